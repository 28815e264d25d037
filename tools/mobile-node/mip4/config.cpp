// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/config.hpp"

#include <array>

#include "dataplane/ipsec/algorithm.hpp"

namespace homeport::mobile_node {

namespace {

using config::Section;
using config::Value;

template <class E, std::size_t N>
using Names = std::array<std::pair<std::string_view, E>, N>;

constexpr Names<mip4::Algorithm, 4> kAlgorithms{{{"hmac-md5", mip4::Algorithm::kHmacMd5},
                                                 {"keyed-md5", mip4::Algorithm::kKeyedMd5},
                                                 {"hmac-sha1", mip4::Algorithm::kHmacSha1},
                                                 {"hmac-sha256", mip4::Algorithm::kHmacSha256}}};
constexpr Names<mip4::ReplayStyle, 2> kReplays{
    {{"timestamps", mip4::ReplayStyle::kTimestamps}, {"nonces", mip4::ReplayStyle::kNonces}}};
constexpr Names<mip4::Encapsulation, 3> kEncapsulations{
    {{"ip", mip4::Encapsulation::kIpInIp},
     {"gre", mip4::Encapsulation::kGre},
     {"minimal", mip4::Encapsulation::kMinimal}}};
// YAML takes off and on as they stand: texts.
constexpr Names<Mip4Udp, 3> kUdpNames{
    {{"off", Mip4Udp::kOff}, {"allowed", Mip4Udp::kAllowed}, {"forced", Mip4Udp::kForced}}};
constexpr Names<Mip4EspUdp, 3> kEspUdpNames{
    {{"off", Mip4EspUdp::kOff}, {"auto", Mip4EspUdp::kAuto}, {"on", Mip4EspUdp::kOn}}};
constexpr Names<mip4::Profile, 2> kProfiles{
    {{"rfc5265", mip4::Profile::kRfc5265}, {"draft02", mip4::Profile::kDraft02}}};
constexpr Names<bool, 2> kStaleNames{{{"drop", false}, {"queue", true}}};
constexpr Names<Mip4ForeignAgents, 3> kAgentNames{{{"auto", Mip4ForeignAgents::kAuto},
                                                   {"always", Mip4ForeignAgents::kAlways},
                                                   {"never", Mip4ForeignAgents::kNever}}};

template <class E, std::size_t N>
void choose(Section& section, const char* key, const Names<E, N>& names, E& out) {
    if (const auto v = section.find(key)) v->template choice<E>(out, names);
}

void read_unicast(const Value& value, Ipv4Address& out) {
    Ipv4Address address;
    if (!value.address(address)) return;
    if (!address.is_unicast()) return value.fail("a unicast IPv4 address");
    out = address;
}

template <class Unit>
void read_time(Section& section, const char* key, std::uint64_t least, std::uint64_t most,
               std::string_view unit, Unit& out) {
    std::uint64_t number = 0;
    const auto v = section.find(key);
    if (v && v->number(number, least, most, unit)) out = Unit(number);
}

void read_home_agent(Section section, const std::filesystem::path& directory, Mip4HomeAgent& out) {
    if (const auto v = section.require("home_agent", "the address of the home agent")) {
        read_unicast(*v, out.home_agent);
    }
    if (const auto v = section.find("home_address")) {
        if (v->is_scalar() && v->text() == "dynamic") {
            out.home_address = {};
        } else {
            read_unicast(*v, out.home_address);
        }
    }
    if (const auto v = section.find("nai")) v->string(out.nai, 255);
    if (out.home_address.is_unspecified() && out.nai.empty()) {
        section.report().add_at(section.path(), "neither home_address nor nai",
                                "the home address, or nai to be given one (RFC 2794)");
    }
    if (const auto v = section.require("spi", "the SPI shared with the home agent")) {
        v->number(out.spi, 256, 0xffffffff);
    }
    choose(section, "algorithm", kAlgorithms, out.algorithm);
    if (const auto v = section.require("key_file", "the secret shared with the home agent")) {
        read_path(*v, directory, out.key_file);
    }
    choose(section, "replay", kReplays, out.replay);
    if (const auto v = section.find("lifetime")) {
        v->number(out.lifetime, 10, 65535, "seconds; 65535: infinite");
    }
    choose(section, "encapsulation", kEncapsulations, out.encapsulation);
    choose(section, "udp", kUdpNames, out.udp);
    if (const auto v = section.find("reverse_tunnel")) v->boolean(out.reverse_tunnel);
    section.finish();
}

void read_vpn(Section section, const std::filesystem::path& directory, Mip4Vpn& out) {
    if (const auto v = section.require("gateway", "the address of the VPN gateway")) {
        read_unicast(*v, out.gateway);
    }
    if (const auto v = section.require("inner_address", "our address inside the VPN")) {
        read_unicast(*v, out.inner_address);
    }
    if (section.require("sa", "a pair of static ESP SAs")) {
        out.sa = read_sa_pair(section.section("sa"), directory);
    }
    choose(section, "nat_traversal", kEspUdpNames, out.nat_traversal);
    section.finish();
}

void read_detection(Section section, Mip4Detection& out) {
    choose(section, "profile", kProfiles, out.profile);
    read_time(section, "detect_period_ms", 0, 60'000, "milliseconds", out.detect_period);
    read_time(section, "monitor", 5, 3600, "seconds", out.monitor);
    read_time(section, "grace", 1, 3599, "seconds", out.grace);
    choose(section, "stale", kStaleNames, out.queue);
    if (const auto v = section.find("queue_size")) v->number(out.queue_size, 1, 65536, "packets");
    if (const auto v = section.find("idle_after")) {
        std::uint32_t seconds = 0;
        if (v->number(seconds, 0, 86400, "seconds; 0: never") && seconds != 0) {
            out.idle_after = std::chrono::seconds{seconds};
        }
    }
    if (const auto v = section.find("stale_retries")) v->number(out.stale_retries, 1, 100);
    if (const auto v = section.find("assume_outside")) v->boolean(out.assume_outside);
    section.finish();
}

/// A domain name, as far as it can be compared.
bool is_domain(std::string_view name) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    return !name.empty() && name.size() <= 253 && name.front() != '.' && name.back() != '.' &&
           name.find_first_not_of(kAllowed) == std::string_view::npos;
}

void read_hints(Section section, const std::filesystem::path& directory, Mip4Hints& out) {
    section.list("domains", "domain names of the inside", [&](const Value& value) {
        std::string name;
        if (!value.string(name, 253)) return;
        if (!is_domain(name))
            return value.fail("a domain name in lower case, such as corp.example");
        if (out.domains.size() >= Mip4Hints::kMost) return value.fail("at most 64 domains");
        out.domains.push_back(name);
    });
    section.list("gateway_macs", "MAC addresses of default gateways inside",
                 [&](const Value& value) {
                     std::optional<MacAddress> mac;
                     if (!value.mac(mac) || !mac) return;
                     if (out.gateway_macs.size() >= Mip4Hints::kMost)
                         return value.fail("at most 64 addresses");
                     out.gateway_macs.push_back(*mac);
                 });
    if (const auto v = section.find("resolv_conf")) read_path(*v, directory, out.resolv_conf);
    if (const auto v = section.find("nai_extension")) {
        std::uint8_t type = 0;
        if (v->number(type, 0, 255)) {
            if (type != 0 && type < 128) {
                v->fail("0 for none, or 128 to 255, which others may skip");
            }
            out.nai_extension = type;
        }
    }
    section.finish();
}

}  // namespace

void read_mip4(Section section, const std::filesystem::path& directory, Mip4Config& out) {
    if (section.require("internal", "the home agent")) {
        read_home_agent(section.section("internal"), directory, out.internal);
    }
    if (section.find("external")) {
        read_home_agent(section.section("external"), directory, out.external.emplace());
    }
    if (section.find("vpn")) read_vpn(section.section("vpn"), directory, out.vpn.emplace());
    read_detection(section.section("detection"), out.detection);
    read_hints(section.section("hints"), directory, out.hints);
    choose(section, "foreign_agents", kAgentNames, out.foreign_agents);
    read_time(section, "keepalive", 10, 3600, "seconds", out.keepalive);
    if (const auto v = section.find("mss_clamp")) v->boolean(out.mss_clamp);
    if (const auto v = section.find("path_mtu")) v->number(out.path_mtu, 576, 65535, "octets");
    section.finish();
}

void check_mip4(const Mip4Config& config, bool lab_static_gcm, config::Report& report) {
    const auto fail = [&](const char* path, std::string found, std::string expected) {
        report.add_at(std::string("mobile_ipv4.") + path, std::move(found), std::move(expected));
    };
    if (config.detection.grace >= config.detection.monitor) {
        fail("detection.grace", std::to_string(config.detection.grace.count()),
             "less than monitor, " + std::to_string(config.detection.monitor.count()));
    }
    if (config.external.has_value() != config.vpn.has_value()) {
        fail(config.external ? "external" : "vpn", "nothing beside it",
             "external and vpn, both or none: what is outside goes through both");
        return;
    }
    if (!config.external) return;
    // S2.73; S2.95.
    if (config.external->home_agent == config.internal.home_agent &&
        !config.detection.assume_outside) {
        fail("external.home_agent",
             config.external->home_agent.to_string() + ", as of mobile_ipv4.internal",
             "another address: with one nothing can be inferred, and detection.assume_outside "
             "must say so");
    }
    if (!config.external->home_address.is_unspecified() &&
        config.external->home_address == config.internal.home_address) {
        fail("external.home_address", config.internal.home_address.to_string() + " twice",
             "an address other than that of mobile_ipv4.internal");
    }
    if (config.vpn->gateway == config.internal.home_agent) {
        fail("vpn.gateway", config.vpn->gateway.to_string() + ", the internal home agent",
             "an address that is reached from outside");
    }
    const auto algorithm = ipsec::parse_algorithm(config.vpn->sa.algorithm);
    if (!lab_static_gcm && algorithm && ipsec::info(*algorithm).is_counter_mode()) {
        fail("vpn.sa.algorithm", "'" + config.vpn->sa.algorithm + "'",
             "another cipher: static keys and counter modes do not go together (RFC 4106 section "
             "2); lab.static_gcm allows it");
    }
}

}  // namespace homeport::mobile_node
