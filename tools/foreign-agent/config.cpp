// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/config.hpp"

#include <algorithm>
#include <array>

#include "dataplane/config/document.hpp"
#include "dataplane/config/reader.hpp"

namespace homeport::foreign_agent {

namespace {

using config::ConfigErrors;
using config::Report;
using config::Section;
using config::Value;

constexpr std::size_t kMostOctets = 1u << 20;
constexpr std::size_t kDeviceName = 15;
constexpr std::size_t kMostLinks = 16;
constexpr std::size_t kMostKeys = 4096;
constexpr std::uint16_t kInfinite = 0xffff;

constexpr auto kReverseTunnelNames =
    std::to_array<std::pair<std::string_view, mip4::ReverseTunnelPolicy>>(
        {{"off", mip4::ReverseTunnelPolicy::kUnavailable},
         {"on", mip4::ReverseTunnelPolicy::kAvailable},
         {"mandatory", mip4::ReverseTunnelPolicy::kMandatory}});
constexpr auto kUdpTunnelNames = std::to_array<std::pair<std::string_view, mip4::ForeignUdpPolicy>>(
    {{"off", mip4::ForeignUdpPolicy::kNever},
     {"on", mip4::ForeignUdpPolicy::kWhereNeeded},
     {"forced", mip4::ForeignUdpPolicy::kForced}});
constexpr auto kAlgorithmNames = std::to_array<std::pair<std::string_view, mip4::Algorithm>>(
    {{"hmac-md5", mip4::Algorithm::kHmacMd5},
     {"keyed-md5", mip4::Algorithm::kKeyedMd5},
     {"hmac-sha1", mip4::Algorithm::kHmacSha1},
     {"hmac-sha256", mip4::Algorithm::kHmacSha256}});

void read_path(const Value& value, const std::filesystem::path& directory, std::string& out) {
    if (value.string(out)) out = (directory / out).lexically_normal().string();
}

void read_unicast(const Value& value, Ipv4Address& out) {
    Ipv4Address address;
    if (!value.address(address)) return;
    if (!address.is_unicast()) return value.fail("the IPv4 address of one node");
    out = address;
}

LinkConfig read_link(Section section) {
    LinkConfig link;
    if (const auto v = section.require("interface", "the name of a network device")) {
        std::string name;
        if (v->string(name, kDeviceName)) {
            if (name.empty() || name == "." || name == ".." ||
                name.find_first_of("/: \t\n%") != std::string::npos) {
                v->fail("the name of a network device, 1 to 15 characters");
            } else {
                link.interface = name;
            }
        }
    }
    if (const auto v = section.find("address")) {
        Ipv4Address address;
        read_unicast(*v, address);
        link.address = address;
    }
    section.finish();
    return link;
}

void read_interval(Section& section, const char* key, std::chrono::milliseconds& out) {
    if (const auto v = section.find(key)) {
        std::uint32_t ms = 0;
        if (v->number(ms, 100, 1'800'000, "milliseconds")) out = std::chrono::milliseconds{ms};
    }
}

void read_advertise(Section section, AdvertiseConfig& out) {
    read_interval(section, "min_interval_ms", out.min_interval);
    read_interval(section, "max_interval_ms", out.max_interval);
    if (const auto v = section.find("lifetime")) v->number(out.lifetime, 1, 9000, "seconds");
    if (const auto v = section.find("only_solicited")) v->boolean(out.only_solicited);
    if (const auto v = section.find("broadcast")) v->boolean(out.broadcast);
    if (const auto v = section.find("default_router")) v->boolean(out.default_router);
    if (const auto v = section.find("prefix_lengths")) v->boolean(out.prefix_lengths);
    if (const auto v = section.find("nai")) v->string(out.nai, 253);
    if (const auto v = section.find("nai_extension")) v->number(out.nai_extension, 128, 255);
    section.finish();
}

KeyConfig read_key(Section section, bool of_home_agent, const std::filesystem::path& directory) {
    KeyConfig key;
    if (of_home_agent) {
        if (const auto v = section.require("address", "the home agent's IPv4 address")) {
            Ipv4Address address;
            read_unicast(*v, address);
            key.address = address;
        }
    } else {
        if (const auto v = section.find("home_address")) {
            Ipv4Address address;
            read_unicast(*v, address);
            key.address = address;
        }
        if (const auto v = section.find("nai")) v->string(key.nai, 255);
    }
    if (const auto v = section.require("spi", "256 to 4294967295")) {
        v->number(key.spi, 256, 0xffffffff);
    }
    if (const auto v = section.find("algorithm")) {
        v->choice(key.algorithm,
                  std::span<const std::pair<std::string_view, mip4::Algorithm>>(kAlgorithmNames));
    }
    if (const auto v = section.require("key_file", "a file of hex digits")) {
        read_path(*v, directory, key.key_file);
    }
    section.finish();
    return key;
}

void read_keys(Section& security, const char* key, bool of_home_agents,
               const std::filesystem::path& directory, std::vector<KeyConfig>& out) {
    security.list(key, "keys", [&](const Value& element) {
        if (out.size() >= kMostKeys) return element.fail("at most 4096 keys");
        out.push_back(read_key(Section(security.report(), element.node(), element.path()),
                               of_home_agents, directory));
    });
}

void read_lifetime(const Value& value, std::uint16_t& out) {
    if (value.is_scalar() && value.text() == "infinite") {
        out = kInfinite;
        return;
    }
    value.number(out, 1, kInfinite - 1, "seconds, or infinite");
}

void read_policies(Section& top, Config& out) {
    if (const auto v = top.find("registration_required")) v->boolean(out.registration_required);
    if (const auto v = top.find("max_lifetime")) read_lifetime(*v, out.max_lifetime);
    if (const auto v = top.find("gre")) v->boolean(out.gre);
    if (const auto v = top.find("minimal")) v->boolean(out.minimal);
    if (const auto v = top.find("reverse_tunnel")) {
        v->choice(out.reverse_tunnel,
                  std::span<const std::pair<std::string_view, mip4::ReverseTunnelPolicy>>(
                      kReverseTunnelNames));
    }
    if (const auto v = top.find("encapsulating_delivery")) v->boolean(out.encapsulating_delivery);
    if (const auto v = top.find("co_located")) v->boolean(out.co_located);
    if (const auto v = top.find("udp_tunnel")) {
        v->choice(
            out.udp_tunnel,
            std::span<const std::pair<std::string_view, mip4::ForeignUdpPolicy>>(kUdpTunnelNames));
    }
    if (const auto v = top.find("keepalive")) {
        std::uint32_t seconds = 0;
        if (v->number(seconds, 10, 3600, "seconds")) out.keepalive = std::chrono::seconds{seconds};
    }
    top.list("home_agents", "prefixes", [&](const Value& element) {
        if (out.home_agents.size() >= 1024) return element.fail("at most 1024 prefixes");
        Ipv4Prefix prefix;
        if (element.prefix(prefix)) out.home_agents.push_back(prefix);
    });
    if (const auto v = top.find("max_visitors")) v->number(out.max_visitors, 1, 4096);
    if (const auto v = top.find("max_pending")) v->number(out.max_pending, 1, 4096);
    if (const auto v = top.find("registration_timeout")) {
        std::uint32_t seconds = 0;
        if (v->number(seconds, 1, 60, "seconds")) {
            out.registration_timeout = std::chrono::seconds{seconds};
        }
    }
    if (const auto v = top.find("revocation")) v->boolean(out.revocation);
    if (const auto v = top.find("notify_visitors")) v->boolean(out.notify_visitors);
}

void read_top(Section top, const std::filesystem::path& directory, Config& out) {
    if (const auto v = top.require("care_of_address", "an IPv4 address of this host")) {
        read_unicast(*v, out.care_of_address);
    }
    if (!top.list("links", "links that mobile nodes visit", [&](const Value& element) {
            if (out.links.size() >= kMostLinks) return element.fail("at most 16 links");
            out.links.push_back(read_link(Section(top.report(), element.node(), element.path())));
        })) {
        (void)top.require("links", "links that mobile nodes visit");
    }
    read_advertise(top.section("advertise"), out.advertise);
    read_policies(top, out);
    Section security = top.section("security");
    read_keys(security, "home_agents", true, directory, out.home_agent_keys);
    read_keys(security, "mobile_nodes", false, directory, out.mobile_node_keys);
    security.finish();
    if (const auto v = top.find("rule_priority")) v->number(out.rule_priority, 1, 32765);
    if (const auto v = top.find("status_socket")) {
        read_path(*v, directory, out.status_socket);
        if (out.status_socket.size() > 107) v->fail("a path of at most 107 characters");
    }
    if (const auto v = top.find("log_level")) v->choice(out.log_level, config::kLogLevelNames);
    top.finish();
}

// What no single value shows.
void check_whole(const Config& out, Report& report) {
    const auto milliseconds = [](std::chrono::milliseconds time) {
        return std::to_string(time.count());
    };
    const AdvertiseConfig& advertise = out.advertise;
    if (out.links.empty()) report.add_at("links", "no link", "one link at least");
    for (std::size_t i = 0; i < out.links.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (out.links[i].interface == out.links[j].interface) {
                report.add_at("links", "'" + out.links[i].interface + "' twice", "each link once");
            }
        }
    }
    if (advertise.max_interval < advertise.min_interval) {
        report.add_at("advertise.max_interval_ms", milliseconds(advertise.max_interval),
                      "at least min_interval_ms, " + milliseconds(advertise.min_interval));
    }
    if (std::chrono::seconds(advertise.lifetime) < advertise.max_interval) {
        report.add_at("advertise.lifetime", std::to_string(advertise.lifetime) + " s",
                      "at least max_interval_ms, " + milliseconds(advertise.max_interval) +
                          " (RFC 1256 section 4.1)");
    }
    if (advertise.prefix_lengths && !advertise.default_router) {
        report.add_at("advertise.prefix_lengths", "on",
                      "off, since no router is advertised that they would belong to");
    }
    for (std::size_t i = 0; i < out.mobile_node_keys.size(); ++i) {
        const KeyConfig& key = out.mobile_node_keys[i];
        if (!key.address && key.nai.empty()) {
            report.add_at("security.mobile_nodes", "a key of nobody", "home_address or nai");
        }
    }
    if (out.udp_tunnel != mip4::ForeignUdpPolicy::kNever &&
        out.reverse_tunnel == mip4::ReverseTunnelPolicy::kUnavailable) {
        report.add_at("reverse_tunnel", "off", "on or mandatory, with udp_tunnel");
    }
}

std::expected<Config, ConfigErrors> read_document(const YAML::Node& node, std::string_view file) {
    Report report(file);
    Config out;
    out.file = file;
    const auto directory = std::filesystem::absolute(std::filesystem::path(file)).parent_path();
    read_top(Section(report, node, ""), directory, out);
    if (report.empty()) check_whole(out, report);
    if (!report.empty()) return std::unexpected(report.take());
    return out;
}

}  // namespace

std::expected<Config, ConfigErrors> parse(std::string_view text, std::string_view file) {
    return config::read_document_of(
        text, file, [&](const YAML::Node& document) { return read_document(document, file); });
}

std::expected<Config, ConfigErrors> load_file(const std::filesystem::path& file) {
    const auto text = config::read_text(file, kMostOctets);
    if (!text) return std::unexpected(text.error());
    return parse(*text, file.string());
}

}  // namespace homeport::foreign_agent
