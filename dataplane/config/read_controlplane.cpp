// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <filesystem>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::array<std::pair<std::string_view, NoBinding>, 2> kNoBindingTable{
    {{"forward_home", NoBinding::kForwardHome}, {"drop", NoBinding::kDrop}}};
constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLogLevelTable{
    {{"debug", LogLevel::kDebug},
     {"info", LogLevel::kInfo},
     {"warning", LogLevel::kWarning},
     {"error", LogLevel::kError}}};
constexpr std::array<std::pair<std::string_view, DscpModel>, 2> kDscpModelTable{
    {{"uniform", DscpModel::kUniform}, {"pipe", DscpModel::kPipe}}};
constexpr std::array<std::pair<std::string_view, CheckEspOuter>, 3> kCheckEspOuterTable{
    {{"off", CheckEspOuter::kOff}, {"log", CheckEspOuter::kLog}, {"drop", CheckEspOuter::kDrop}}};

constexpr std::array<std::pair<std::string_view, Technique>, 2> kTechniqueTable{
    {{"api", Technique::kApi}, {"heuristic", Technique::kHeuristic}}};

constexpr std::size_t kAlgorithmName = 31;

std::string absolute(const std::string& directory, const std::string& path) {
    return (std::filesystem::path(directory) / path).lexically_normal().string();
}

void read_lifetime(const Value& value, std::uint32_t& out) {
    if (value.is_scalar() && value.text() == "infinite") {
        out = kInfiniteLifetime;
        return;
    }
    value.number(out, 0, kInfiniteLifetime, "seconds, or infinite");
}

void read_home_agent(Section section, HomeAgentConfig& out) {
    section.list("addresses", "IPv6 addresses", [&](const Value& element) {
        Ipv6Address address;
        if (!element.address(address)) return;
        if (std::find(out.addresses.begin(), out.addresses.end(), address) != out.addresses.end()) {
            return element.fail("each address once");
        }
        out.addresses.push_back(address);
    });
    read_ipv4_addresses(section, out.ipv4_addresses);
    if (const auto v = section.find("preference")) v->number(out.preference, 0, 65535);
    if (const auto v = section.find("lifetime")) v->number(out.lifetime, 1, 65535, "seconds");
    constexpr std::uint32_t kLongest = 0x7fffffff;
    if (const auto v = section.find("min_prefix_advertisement_interval")) {
        v->number(out.min_prefix_advertisement_interval, 3, kLongest, "seconds");
    }
    if (const auto v = section.find("max_prefix_advertisement_interval")) {
        v->number(out.max_prefix_advertisement_interval, 3, kLongest, "seconds");
        if (out.max_prefix_advertisement_interval < out.min_prefix_advertisement_interval) {
            v->fail("at least min_prefix_advertisement_interval");
        }
    }
    section.finish();
}

void read_home_link(Report& report, const Value& element, std::vector<HomeLinkConfig>& out) {
    Section section(report, element.node(), element.path());
    HomeLinkConfig link;
    if (const auto v = section.require("prefix", "the home prefix")) {
        if (v->prefix(link.prefix) && (link.prefix.length < 16 || link.prefix.length > 127)) {
            v->fail("a prefix length from 16 to 127");
        }
    }
    if (const auto v = section.find("ipv4_prefix")) {
        const auto parsed = v->is_scalar() ? Ipv4Prefix::parse(v->text()) : std::nullopt;
        if (!parsed || parsed->length < 8 || parsed->length > 31) {
            v->fail("an IPv4 prefix with a length from 8 to 31");
        } else {
            link.ipv4_prefix = parsed->masked();
        }
    }
    read_ipv4_pool(section, link.ipv4_pool);
    if (const auto v = section.require("port", "the name of a port, or virtual")) {
        if (v->string(link.port, 31) && link.port == "virtual") link.port.clear();
    }
    if (link.is_virtual()) {
        link.no_binding = NoBinding::kDrop;
        link.duplicate_address_detection = false;
    }
    if (const auto v = section.find("no_binding")) {
        v->choice(link.no_binding, kNoBindingNames);
        if (link.is_virtual() && link.no_binding == NoBinding::kForwardHome) {
            v->fail("drop: a virtual prefix has no link to forward to");
        }
    }
    if (const auto v = section.find("dad")) {
        v->boolean(link.duplicate_address_detection);
        if (link.is_virtual() && link.duplicate_address_detection) {
            v->fail("off: a virtual prefix has no link to ask");
        }
    }
    if (const auto v = section.find("valid_lifetime")) read_lifetime(*v, link.valid_lifetime);
    link.preferred_lifetime = link.valid_lifetime;
    if (const auto v = section.find("preferred_lifetime")) {
        read_lifetime(*v, link.preferred_lifetime);
        if (link.preferred_lifetime > link.valid_lifetime) {
            v->fail("at most the valid lifetime");
        }
    }
    section.finish();
    out.push_back(std::move(link));
}

void read_spi(Section& section, std::string_view key, std::uint32_t& out) {
    if (const auto v = section.require(key, "an SPI")) v->number(out, 256, 0xffffffff, "SPI");
}

void read_replay_window(Section& section, std::uint16_t& out) {
    const auto v = section.find("replay_window");
    if (!v) return;
    if (v->is_scalar() && (v->text() == "0" || v->text() == "off")) {
        out = 0;
        return;
    }
    v->number(out, 64, 4096, "packets, or off");
}

void read_algorithm(Section& section, std::string& out) {
    const auto v = section.require("algorithm", "an ESP algorithm");
    if (!v || !v->string(out, kAlgorithmName)) return;
    const AlgorithmNames known = section.report().algorithms();
    if (known.empty() || std::ranges::find(known, out) != known.end()) return;
    const std::vector<std::string> names(known.begin(), known.end());
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    v->fail("one of " + all + "; the nearest is '" + nearest(out, names) + "'");
}

}  // namespace

std::optional<SaPairConfig> read_sa_pair(Section& parent, std::string_view key,
                                         const std::string& directory) {
    const auto value = parent.find(key);
    if (!value) return std::nullopt;
    Section section(parent.report(), value->node(), value->path());
    SaPairConfig pair;
    read_spi(section, "spi_in", pair.spi_in);
    read_spi(section, "spi_out", pair.spi_out);
    read_algorithm(section, pair.algorithm);
    for (auto [name, out] : {std::pair("key_file_in", &pair.key_file_in),
                             std::pair("key_file_out", &pair.key_file_out)}) {
        if (const auto v = section.require(name, "a key file of one direction")) {
            if (v->string(*out)) *out = absolute(directory, *out);
        }
    }
    read_replay_window(section, pair.replay_window);
    if (const auto v = section.find("esn")) v->boolean(pair.extended_sequence);
    section.finish();
    return pair;
}

namespace {

void read_mobile_node(Report& report, const Value& element, const std::string& directory,
                      std::vector<MobileNodeConfig>& out) {
    Section section(report, element.node(), element.path());
    MobileNodeConfig node;
    if (const auto v = section.require("home_address", "the node's home address")) {
        if (v->address(node.home_address)) node.name = node.home_address.to_string();
    }
    if (const auto v = section.find("name")) v->string(node.name, 64);
    if (const auto v = section.find("ipv4_home_address")) {
        Ipv4Address address;
        if (v->address(address)) node.ipv4_home_address = address;
    }
    read_mobile_prefixes(section, node);
    if (const auto v = section.find("security")) {
        Section security(report, v->node(), v->path());
        node.binding_update = read_sa_pair(security, "bu", directory);
        node.prefix_discovery = read_sa_pair(security, "mps", directory);
        node.return_routability = read_sa_pair(security, "rr", directory);
        node.correspondent = read_sa_pair(security, "cn", directory);
        node.payload = read_sa_pair(security, "payload", directory);
        security.finish();
    }
    section.finish();
    out.push_back(std::move(node));
}

void read_range_sas(Section& section, RangeSasConfig& out) {
    read_spi(section, "spi_in", out.spi_in);
    read_spi(section, "spi_out", out.spi_out);
    read_algorithm(section, out.algorithm);
    read_replay_window(section, out.replay_window);
    if (const auto v = section.find("esn")) v->boolean(out.extended_sequence);
}

std::optional<RangeSasConfig> read_range_sas(Section& parent, std::string_view key) {
    const auto value = parent.find(key);
    if (!value) return std::nullopt;
    Section section(parent.report(), value->node(), value->path());
    RangeSasConfig sas;
    read_range_sas(section, sas);
    section.finish();
    return sas;
}

void read_mobile_node_range(Report& report, const Value& element, const std::string& directory,
                            std::vector<MobileNodeRangeConfig>& out) {
    Section section(report, element.node(), element.path());
    MobileNodeRangeConfig range;
    if (const auto v = section.require("first", "the first home address")) {
        if (v->address(range.first)) range.name = range.first.to_string();
    }
    if (const auto v = section.find("name")) v->string(range.name, 64);
    if (const auto v = section.find("ipv4_first")) {
        Ipv4Address address;
        if (v->address(address)) range.ipv4_first = address;
    }
    if (const auto v = section.require("count", "how many nodes")) {
        v->number(range.count, 1, 1u << 22);
    }
    if (const auto v = section.find("security")) {
        Section security(report, v->node(), v->path());
        read_range_sas(security, range.binding_update.emplace());
        if (const auto d = security.require("key_directory", "where the key files are")) {
            if (d->string(range.key_directory)) {
                range.key_directory = absolute(directory, range.key_directory);
            }
        }
        range.prefix_discovery = read_range_sas(security, "mps");
        range.return_routability = read_range_sas(security, "rr");
        range.correspondent = read_range_sas(security, "cn");
        range.payload = read_range_sas(security, "payload");
        security.finish();
    }
    section.finish();
    out.push_back(std::move(range));
}

void read_policy(Section section, PolicyConfig& out) {
    if (const auto v = section.find("max_lifetime")) {
        v->number(out.max_lifetime, 4, 262140, "seconds");
    }
    if (const auto v = section.find("refresh_advice")) {
        v->number(out.refresh_advice, 0, 262140, "seconds; 0 for none");
    }
    if (const auto v = section.find("protect_return_routability")) {
        v->boolean(out.protect_return_routability);
    }
    if (const auto v = section.find("protect_payload")) v->boolean(out.protect_payload);
    if (const auto v = section.find("check_esp_outer")) {
        v->choice(out.check_esp_outer, kCheckEspOuterNames);
    }
    if (const auto v = section.find("believe_packet_too_big")) {
        v->boolean(out.believe_packet_too_big);
    }
    if (const auto v = section.find("require_esp")) v->boolean(out.require_esp);
    section.list("coa_deny", "IPv6 or IPv4 prefixes",
                 [&](const Value& element) { read_either_prefix(element, out.coa_deny); });
    if (const auto v = section.find("technique")) v->choice(out.technique, kTechniqueNames);
    if (const auto v = section.find("require_api")) v->boolean(out.require_api);
    if (const auto v = section.find("bu_heur_timeout")) {
        v->number(out.bu_heur_timeout, 10, 10000, "milliseconds");
    }
    if (const auto v = section.find("bu_heur_min_pkts")) {
        v->number(out.bu_heur_min_pkts, 1, 250, "packets");
    }
    if (const auto v = section.find("allow_unprotected")) v->boolean(out.allow_unprotected);
    if (const auto v = section.find("lab_static_gcm")) v->boolean(out.lab_static_gcm);
    section.finish();
}

void read_limits(Section section, LimitsConfig& out) {
    if (const auto v = section.find("bindings")) v->number(out.bindings, 1, 1u << 24);
    if (const auto v = section.find("bindings_per_node")) {
        v->number(out.bindings_per_node, 1, 64);
    }
    if (const auto v = section.find("bu_per_second")) v->number(out.bu_per_second, 1, 10000000);
    if (const auto v = section.find("bu_per_node_per_second")) {
        v->number(out.bu_per_node_per_second, 1, 1000);
    }
    section.finish();
}

// `file: PATH` in place of a target writes there.
void read_log(Section section, LogConfig& out) {
    if (const auto v = section.find("level")) v->choice(out.level, kLogLevelNames);
    const auto target = section.find("target");
    if (const auto v = section.find("file")) {
        if (v->string(out.file)) out.target = LogTarget::kFile;
        if (target) target->fail("either 'target' or 'file', not both");
    } else if (target) {
        static constexpr std::array<std::pair<std::string_view, LogTarget>, 2> kTargets{
            {{"stderr", LogTarget::kStderr}, {"journal", LogTarget::kJournal}}};
        target->choice(out.target,
                       std::span<const std::pair<std::string_view, LogTarget>>(kTargets));
    }
    if (const auto v = section.find("rotate_mb")) v->number(out.rotate_mb, 1, 10240, "megabytes");
    if (const auto v = section.find("rotate_files")) v->number(out.rotate_files, 1, 1000);
    section.finish();
}

void read_tunnel(Section section, TunnelConfig& out) {
    if (const auto v = section.find("hop_limit")) v->number(out.hop_limit, 1, 255);
    if (const auto v = section.find("dscp")) v->choice(out.dscp, kDscpModelNames);
    if (const auto v = section.find("path_mtu")) v->number(out.path_mtu, 1280, 9198, "octets");
    section.finish();
}

void read_rates(Section section, RatesConfig& out) {
    constexpr std::uint64_t kMost = 100000000;
    if (const auto v = section.find("icmp_errors_per_second")) {
        v->number(out.icmp_errors_per_second, 0, kMost);
    }
    if (const auto v = section.find("punt_packets_per_second")) {
        v->number(out.punt_packets_per_second, 1, kMost);
    }
    if (const auto v = section.find("kernel_packets_per_second")) {
        v->number(out.kernel_packets_per_second, 1, kMost);
    }
    section.finish();
}

}  // namespace

const std::span<const std::pair<std::string_view, NoBinding>> kNoBindingNames = kNoBindingTable;
const std::span<const std::pair<std::string_view, LogLevel>> kLogLevelNames = kLogLevelTable;
const std::span<const std::pair<std::string_view, DscpModel>> kDscpModelNames = kDscpModelTable;
const std::span<const std::pair<std::string_view, Technique>> kTechniqueNames = kTechniqueTable;
const std::span<const std::pair<std::string_view, CheckEspOuter>> kCheckEspOuterNames =
    kCheckEspOuterTable;

void read_controlplane(Section section, const std::string& directory, ControlplaneConfig& out) {
    Report& report = section.report();
    read_home_agent(section.section("home_agent"), out.home_agent);
    section.list("home_links", "home links",
                 [&](const Value& element) { read_home_link(report, element, out.home_links); });
    section.list("mobile_nodes", "mobile nodes", [&](const Value& element) {
        read_mobile_node(report, element, directory, out.mobile_nodes);
    });
    section.list("mobile_node_ranges", "ranges of mobile nodes", [&](const Value& element) {
        read_mobile_node_range(report, element, directory, out.mobile_node_ranges);
    });
    read_policy(section.section("policy"), out.policy);
    read_dual_stack(section.section("dual_stack"), out.dual_stack);
    read_mobile_ipv4(section, directory, out.mobile_ipv4);
    read_vpn_gateway(section.section("vpn_gateway"), directory, out.vpn_gateway);
    read_limits(section.section("limits"), out.limits);
    Section store = section.section("store");
    if (const auto v = store.find("path")) {
        if (v->string(out.store_path) && out.store_path == "none") out.store_path.clear();
    }
    store.finish();
    Section management = section.section("management");
    if (const auto v = management.find("socket")) v->string(out.management.socket, 107);
    if (const auto v = management.find("group")) v->string(out.management.group, 32);
    management.finish();
    read_log(section.section("log"), out.log);
    read_tunnel(section.section("tunnel"), out.tunnel);
    read_rates(section.section("rates"), out.rates);
    section.finish();
}

}  // namespace homeport::config
