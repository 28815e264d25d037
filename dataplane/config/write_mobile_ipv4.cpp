// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/emitter.hpp"
#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::uint16_t kInfinite = 0xffff;

template <class Association>
void write_association(Map& map, const Association& one) {
    map.put("algorithm", name_of(one.algorithm, kMip4AlgorithmNames))
        .put("replay", name_of(one.replay, kMip4ReplayNames))
        .put("window", one.window);
}

void write_associations(Map& parent, YAML::Emitter& out,
                        const std::vector<Mip4AssociationConfig>& associations) {
    parent.list("associations", associations, [&](const Mip4AssociationConfig& one) {
        Map map(out);
        map.put("spi", one.spi);
        write_association(map, one);
        map.put("key_file", one.key_file);
    });
}

void write_network(YAML::Emitter& out, const Mip4HomeNetworkConfig& network) {
    Map map(out);
    map.put("prefix", network.prefix.to_string());
    map.put("port", network.is_virtual() ? "virtual" : network.port);
    if (network.pool) {
        map.begin("pool");
        Map(out)
            .put("first", network.pool->first.to_string())
            .put("last", network.pool->last.to_string());
    }
    map.put("no_binding", name_of(network.no_binding, kNoBindingNames));
    map.put("advertisement_interval", network.advertisement_interval == 0
                                          ? "off"
                                          : std::to_string(network.advertisement_interval));
}

void write_node(YAML::Emitter& out, const Mip4NodeConfig& node) {
    Map map(out);
    map.put("name", node.name);
    if (node.home_address) map.put("home_address", node.home_address->to_string());
    map.optional("nai", node.nai);
    map.put("prohibited", on_off(node.prohibited));
    write_associations(map, out, node.associations);
}

void write_range(YAML::Emitter& out, const Mip4NodeRangeConfig& range) {
    Map map(out);
    map.put("name", range.name)
        .put("first", range.first.to_string())
        .put("count", range.count)
        .put("key_directory", range.key_directory)
        .put("spi", range.spi);
    write_association(map, range);
}

void write_agent(YAML::Emitter& out, const Mip4HomeAgentConfig& agent) {
    Map map(out);
    map.put("name", agent.name)
        .put("role", name_of(agent.role, kMip4RoleNames))
        .put("profile", name_of(agent.profile, kMip4ProfileNames));
    map.list("addresses", agent.addresses,
             [&](const Ipv4Address& address) { out << address.to_string(); });
    map.list("networks", agent.networks,
             [&](const Mip4HomeNetworkConfig& network) { write_network(out, network); });
    map.list("nodes", agent.nodes, [&](const Mip4NodeConfig& node) { write_node(out, node); });
    map.list("ranges", agent.ranges,
             [&](const Mip4NodeRangeConfig& range) { write_range(out, range); });
    map.list("foreign_agents", agent.foreign_agents, [&](const Mip4ForeignAgentConfig& one) {
        Map of_agent(out);
        of_agent.put("address", one.address.to_string());
        write_associations(of_agent, out, one.associations);
    });
    map.list("trusted_subnets", agent.trusted_subnets,
             [&](const Ipv4Prefix& prefix) { out << prefix.to_string(); });
    map.list("inside_ports", agent.inside_ports, [&](const std::string& name) { out << name; });
    map.put("max_lifetime",
            agent.max_lifetime == kInfinite ? "infinite" : std::to_string(agent.max_lifetime));
    map.put("simultaneous_bindings", agent.simultaneous_bindings)
        .put("max_bindings", agent.max_bindings)
        .put("reverse_tunnel", on_off(agent.reverse_tunnel))
        .put("reverse_tunnel_mandatory", on_off(agent.reverse_tunnel_mandatory))
        .put("gre", on_off(agent.gre))
        .put("minimal", on_off(agent.minimal))
        .put("broadcasts", on_off(agent.broadcasts))
        .put("revocation", on_off(agent.revocation));
    map.begin("udp");
    Map(out)
        .put("allowed", on_off(agent.udp.allowed))
        .put("forced_allowed", on_off(agent.udp.forced_allowed))
        .put("foreign_agent_registration", on_off(agent.udp.foreign_agent_registration))
        .put("strict_source", on_off(agent.udp.strict_source))
        .put("refuse_reserved", on_off(agent.udp.refuse_reserved))
        .put("keepalive", agent.udp.keepalive)
        .put("max_lifetime", agent.udp.max_lifetime);
}

}  // namespace

void write_mobile_ipv4(Map& parent, YAML::Emitter& out,
                       const std::vector<Mip4HomeAgentConfig>& agents) {
    parent.list("mobile_ipv4", agents,
                [&](const Mip4HomeAgentConfig& agent) { write_agent(out, agent); });
}

}  // namespace homeport::config
