// SPDX-License-Identifier: BSD-3-Clause
#include <openssl/evp.h>

#include <array>

#include "dataplane/config/emitter.hpp"
#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

std::string lifetime(std::uint32_t seconds) {
    return seconds == kInfiniteLifetime ? "infinite" : std::to_string(seconds);
}

void write_port(YAML::Emitter& out, const PortConfig& port) {
    Map map(out);
    map.put("name", port.name).put("device", port.device).put("tap", port.tap);
    if (port.mac) map.put("mac", port.mac->to_string());
    map.put("mtu", port.mtu);
    map.put("queues", port.queues == 0 ? "auto" : std::to_string(port.queues));
    map.put("pmd_config", port.pmd_config);
    if (!port.workers.empty()) {
        map.list("workers", port.workers, [&](unsigned worker) { out << worker; });
    }
    map.put("flow_rules", on_off(port.flow_rules));
    if (port.look_ahead) map.put("look_ahead", *port.look_ahead);
}

void write_dataplane(YAML::Emitter& out, const DataplaneConfig& dp) {
    Map map(out);
    map.put("main_lcore", dp.main_lcore);
    if (dp.workers.lcores.empty()) {
        map.put("workers", dp.workers.count);
    } else {
        map.list("workers", dp.workers.lcores, [&](unsigned lcore) { out << lcore; });
    }
    map.put("idle_backoff", dp.idle_backoff_us == 0 ? "off" : std::to_string(dp.idle_backoff_us));
    map.put("huge_pages", name_of(dp.huge_pages, kHugePagesNames));
    map.put("memory_mb", dp.memory_mb);
    map.list("eal_args", dp.eal_args, [&](const std::string& argument) { out << argument; });
    map.put("file_prefix", dp.file_prefix).put("channel_socket", dp.channel_socket);
    map.optional("channel_group", dp.channel_group);
    map.put("mbufs", dp.mbufs);
    map.list("ports", dp.ports, [&](const PortConfig& port) { write_port(out, port); });
    map.put("max_bindings", dp.max_bindings).put("max_routes", dp.max_routes);
    map.put("max_adjacencies", dp.max_adjacencies).put("max_sas", dp.max_sas);
    map.begin("reassembly");
    Map(out)
        .put("entries", dp.reassembly.entries)
        .put("timeout_ms", dp.reassembly.timeout_ms)
        .put("per_source", dp.reassembly.per_source);
    map.begin("ipsec");
    Map(out)
        .put("cpu", name_of(dp.ipsec.cpu, kCryptoCpuNames))
        .put("copy_mode", on_off(dp.ipsec.copy_mode));
    map.put("pmd_config_dir", dp.pmd_config_dir);
}

void write_home_link(YAML::Emitter& out, const HomeLinkConfig& link) {
    Map map(out);
    map.put("prefix", link.prefix.to_string());
    if (link.ipv4_prefix) map.put("ipv4_prefix", link.ipv4_prefix->to_string());
    if (link.ipv4_pool) {
        map.begin("ipv4_pool");
        Map(out)
            .put("first", link.ipv4_pool->first.to_string())
            .put("last", link.ipv4_pool->last.to_string());
    }
    map.put("port", link.is_virtual() ? "virtual" : link.port)
        .put("no_binding", name_of(link.no_binding, kNoBindingNames))
        .put("dad", on_off(link.duplicate_address_detection))
        .put("valid_lifetime", lifetime(link.valid_lifetime))
        .put("preferred_lifetime", lifetime(link.preferred_lifetime));
}

std::string window(std::uint16_t packets) {
    return packets == 0 ? "off" : std::to_string(packets);
}

}  // namespace

void write_sa_pair(Map& parent, YAML::Emitter& out, const char* key, const SaPairConfig& pair) {
    parent.begin(key);
    Map(out)
        .put("spi_in", pair.spi_in)
        .put("spi_out", pair.spi_out)
        .put("algorithm", pair.algorithm)
        .put("key_file_in", pair.key_file_in)
        .put("key_file_out", pair.key_file_out)
        .put("replay_window", window(pair.replay_window))
        .put("esn", on_off(pair.extended_sequence));
}

namespace {

void write_node(YAML::Emitter& out, const MobileNodeConfig& node) {
    Map map(out);
    map.put("name", node.name).put("home_address", node.home_address.to_string());
    if (node.ipv4_home_address) map.put("ipv4_home_address", node.ipv4_home_address->to_string());
    map.list("mobile_prefixes", node.mobile_prefixes,
             [&](const Ipv6Prefix& prefix) { out << prefix.to_string(); });
    map.list("ipv4_mobile_prefixes", node.ipv4_mobile_prefixes,
             [&](const Ipv4Prefix& prefix) { out << prefix.to_string(); });
    if (!node.binding_update && !node.prefix_discovery && !node.return_routability &&
        !node.correspondent && !node.payload) {
        return;
    }
    map.begin("security");
    Map security(out);
    if (node.binding_update) write_sa_pair(security, out, "bu", *node.binding_update);
    if (node.prefix_discovery) write_sa_pair(security, out, "mps", *node.prefix_discovery);
    if (node.return_routability) write_sa_pair(security, out, "rr", *node.return_routability);
    if (node.correspondent) write_sa_pair(security, out, "cn", *node.correspondent);
    if (node.payload) write_sa_pair(security, out, "payload", *node.payload);
}

void write_range_sas(Map& map, const RangeSasConfig& sas) {
    map.put("spi_in", sas.spi_in)
        .put("spi_out", sas.spi_out)
        .put("algorithm", sas.algorithm)
        .put("replay_window", window(sas.replay_window))
        .put("esn", on_off(sas.extended_sequence));
}

void write_range(YAML::Emitter& out, const MobileNodeRangeConfig& range) {
    Map map(out);
    map.put("name", range.name).put("first", range.first.to_string());
    if (range.ipv4_first) map.put("ipv4_first", range.ipv4_first->to_string());
    map.put("count", range.count);
    if (!range.binding_update) return;
    map.begin("security");
    Map security(out);
    write_range_sas(security, *range.binding_update);
    security.put("key_directory", range.key_directory);
    for (const auto& [key, sas] :
         {std::pair("mps", &range.prefix_discovery), std::pair("rr", &range.return_routability),
          std::pair("cn", &range.correspondent), std::pair("payload", &range.payload)}) {
        if (!*sas) continue;
        security.begin(key);
        Map map_of_sas(out);
        write_range_sas(map_of_sas, **sas);
    }
}

void write_log(YAML::Emitter& out, const LogConfig& log) {
    Map map(out);
    map.put("level", name_of(log.level, kLogLevelNames));
    if (log.target == LogTarget::kFile) {
        map.put("file", log.file);
    } else {
        map.put("target", log.target == LogTarget::kJournal ? "journal" : "stderr");
    }
    map.put("rotate_mb", log.rotate_mb).put("rotate_files", log.rotate_files);
}

void write_dual_stack(YAML::Emitter& out, const DualStackConfig& dual_stack) {
    Map(out)
        .put("nat_refresh", dual_stack.nat_refresh)
        .put("force_udp", on_off(dual_stack.force_udp))
        .put("accept_force_udp", on_off(dual_stack.accept_force_udp))
        .put("omit_natdet", on_off(dual_stack.omit_nat_detection))
        .put("tlv_header", on_off(dual_stack.tlv_header))
        .put("esp_over_ipv4", name_of(dual_stack.esp_over_ipv4, kEspOverIpv4Names))
        .put("nat_pending_max", dual_stack.nat_pending_max)
        .put("nat_pending_ttl", dual_stack.nat_pending_ttl)
        .put("nat_lock_depth", dual_stack.nat_lock_depth)
        .put("nat_lock_timeout", dual_stack.nat_lock_timeout)
        .put("source_changes_per_minute", dual_stack.source_changes_per_minute);
}

void write_settings(Map& map, YAML::Emitter& out, const ControlplaneConfig& cp) {
    map.begin("dual_stack");
    write_dual_stack(out, cp.dual_stack);
    write_mobile_ipv4(map, out, cp.mobile_ipv4);
    write_vpn_gateway(map, out, cp.vpn_gateway);
    map.begin("limits");
    Map(out)
        .put("bindings", cp.limits.bindings)
        .put("bindings_per_node", cp.limits.bindings_per_node)
        .put("bu_per_second", cp.limits.bu_per_second)
        .put("bu_per_node_per_second", cp.limits.bu_per_node_per_second);
    map.begin("store");
    Map(out).put("path", cp.store_path.empty() ? "none" : cp.store_path);
    map.begin("management");
    Map(out).put("socket", cp.management.socket).optional("group", cp.management.group);
    map.begin("log");
    write_log(out, cp.log);
    map.begin("tunnel");
    Map(out)
        .put("hop_limit", cp.tunnel.hop_limit)
        .put("dscp", name_of(cp.tunnel.dscp, kDscpModelNames))
        .put("path_mtu", cp.tunnel.path_mtu);
    map.begin("rates");
    Map(out)
        .put("icmp_errors_per_second", cp.rates.icmp_errors_per_second)
        .put("punt_packets_per_second", cp.rates.punt_packets_per_second)
        .put("kernel_packets_per_second", cp.rates.kernel_packets_per_second);
}

void write_controlplane(YAML::Emitter& out, const ControlplaneConfig& cp) {
    Map map(out);
    map.begin("home_agent");
    {
        Map agent(out);
        agent.list("addresses", cp.home_agent.addresses,
                   [&](const Ipv6Address& address) { out << address.to_string(); });
        agent.list("ipv4_addresses", cp.home_agent.ipv4_addresses,
                   [&](const Ipv4Address& address) { out << address.to_string(); });
        agent.put("preference", cp.home_agent.preference).put("lifetime", cp.home_agent.lifetime);
        agent
            .put("min_prefix_advertisement_interval",
                 cp.home_agent.min_prefix_advertisement_interval)
            .put("max_prefix_advertisement_interval",
                 cp.home_agent.max_prefix_advertisement_interval);
    }
    map.list("home_links", cp.home_links,
             [&](const HomeLinkConfig& link) { write_home_link(out, link); });
    map.list("mobile_nodes", cp.mobile_nodes,
             [&](const MobileNodeConfig& node) { write_node(out, node); });
    map.list("mobile_node_ranges", cp.mobile_node_ranges,
             [&](const MobileNodeRangeConfig& range) { write_range(out, range); });
    map.begin("policy");
    {
        Map policy(out);
        policy.put("max_lifetime", cp.policy.max_lifetime)
            .put("refresh_advice", cp.policy.refresh_advice)
            .put("protect_return_routability", on_off(cp.policy.protect_return_routability))
            .put("protect_payload", on_off(cp.policy.protect_payload))
            .put("check_esp_outer", name_of(cp.policy.check_esp_outer, kCheckEspOuterNames))
            .put("believe_packet_too_big", on_off(cp.policy.believe_packet_too_big))
            .put("require_esp", on_off(cp.policy.require_esp));
        policy.list("coa_deny", cp.policy.coa_deny,
                    [&](const Ipv6Prefix& prefix) { out << either_prefix_text(prefix); });
        policy.put("technique", name_of(cp.policy.technique, kTechniqueNames))
            .put("require_api", on_off(cp.policy.require_api))
            .put("bu_heur_timeout", cp.policy.bu_heur_timeout)
            .put("bu_heur_min_pkts", cp.policy.bu_heur_min_pkts);
        policy.put("allow_unprotected", on_off(cp.policy.allow_unprotected))
            .put("lab_static_gcm", on_off(cp.policy.lab_static_gcm));
    }
    write_settings(map, out, cp);
}

}  // namespace

namespace {

void write_config(YAML::Emitter& out, const Config& config) {
    Map map(out);
    map.begin("dataplane");
    write_dataplane(out, config.dataplane);
    map.begin("controlplane");
    write_controlplane(out, config.controlplane);
}

}  // namespace

std::string to_yaml(const Config& config) {
    YAML::Emitter out;
    write_config(out, config);
    return std::string(out.c_str()) + "\n";
}

std::string to_json(const Config& config) {
    // Flow style with all text in double quotes is JSON.
    YAML::Emitter out;
    out.SetMapFormat(YAML::Flow);
    out.SetSeqFormat(YAML::Flow);
    out.SetStringFormat(YAML::DoubleQuoted);
    write_config(out, config);
    return out.c_str();
}

std::string hash(const Config& config) {
    const std::string text = to_yaml(config);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
        return "";
    }
    std::string hex;
    for (unsigned i = 0; i < length; ++i) {
        static constexpr char kDigits[] = "0123456789abcdef";
        hex += kDigits[digest[i] >> 4];
        hex += kDigits[digest[i] & 15];
    }
    return hex;
}

}  // namespace homeport::config
