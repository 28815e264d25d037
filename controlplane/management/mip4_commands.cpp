// SPDX-License-Identifier: BSD-3-Clause
// Commands about the home agents of Mobile IPv4.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "controlplane/management/commands.hpp"
#include "controlplane/management/statistics_view.hpp"
#include "controlplane/mip4/agent_advertiser.hpp"
#include "controlplane/mip4/home_agent.hpp"

namespace homeport::management {

namespace {

using nlohmann::json;

const char* role_name(config::Mip4Role role) {
    switch (role) {
        case config::Mip4Role::kInternal:
            return "internal";
        case config::Mip4Role::kExternal:
            return "external";
        case config::Mip4Role::kPlain:
            break;
    }
    return "plain";
}

std::string text_of(const mip4::Endpoint& endpoint) {
    return endpoint.address.to_string() +
           (endpoint.port != 0 ? ":" + std::to_string(endpoint.port) : "");
}

// As the request spelled them (RFC 5944 section 3.3): what of it is in force.
std::string flags_of(const mip4::Binding& binding) {
    std::string flags;
    if (binding.broadcasts) flags += 'B';
    if (binding.co_located) flags += 'D';
    if (binding.reverse_tunnel) flags += 'T';
    return flags;
}

std::string encapsulation_of(const mip4::Binding& binding) {
    return (binding.udp ? "udp/" : "") + std::string(mip4::to_string(binding.encapsulation));
}

/// One row a care-of address. Packets are counted for all of a home address together.
json view(const mip4::BoundNode& node, std::size_t index, const Mip4Agent& agent,
          const Appliance& appliance) {
    const mip4::Binding& binding = node.bindings[index];
    json remaining;
    if (binding.deadline != mip4::TimePoint::max()) {
        const auto left = std::max(binding.deadline - appliance.now(), mip4::Duration::zero());
        remaining = std::chrono::ceil<std::chrono::seconds>(left).count();
    }
    channel::BindingRow counted;
    const auto* statistics = appliance.statistics();
    const auto row = appliance.counter_index(node.home_address);
    if (statistics != nullptr && row) {
        counted = statistics->binding(*row).value_or(channel::BindingRow{});
    }
    return {{"home_address", node.home_address.to_string()},
            {"care_of_address", binding.care_of_address.to_string()},
            {"node", node.node},
            {"home_agent", agent.config.name},
            {"from_pool", node.is_dynamic},
            {"tunnel_end", text_of(binding.tunnel_end)},
            {"local_end", text_of(binding.local_end)},
            {"encapsulation", encapsulation_of(binding)},
            {"half_bound", binding.half_bound},
            {"flags", flags_of(binding)},
            {"lifetime", binding.lifetime},
            {"remaining", remaining},
            {"keepalive", binding.udp ? json(binding.keepalive) : json()},
            {"requested_from", text_of(binding.requested_from)},
            {"spi", binding.spi},
            {"revocable", binding.revocable},
            {"out_packets", counted.out_packets},
            {"out_bytes", counted.out_bytes},
            {"in_packets", counted.in_packets},
            {"in_bytes", counted.in_bytes}};
}

bool matches(const mip4::BoundNode& node, const std::string& filter) {
    return filter.empty() || node.home_address.to_string().find(filter) != std::string::npos ||
           node.node.find(filter) != std::string::npos ||
           std::ranges::any_of(node.bindings, [&](const mip4::Binding& binding) {
               return text_of(binding.tunnel_end).find(filter) != std::string::npos ||
                      binding.care_of_address.to_string().find(filter) != std::string::npos;
           });
}

std::expected<json, CommandError> show_bindings(const json& arguments, const Appliance& appliance) {
    const auto filter = arguments.value("filter", std::string());
    const auto name = arguments.value("home_agent", std::string());
    const auto limit = arguments.value("limit", std::size_t{1000});
    std::optional<Ipv4Address> after;
    if (arguments.contains("after")) {
        const auto text = arguments["after"].get<std::string>();
        after = Ipv4Address::parse(text);
        if (!after) {
            return std::unexpected(CommandError{
                "bad_argument", "after: found '" + text + "', expected an IPv4 address", {}});
        }
    }
    const auto agents = appliance.mip4_agents();
    std::vector<std::pair<const mip4::BoundNode*, const Mip4Agent*>> page;
    std::size_t total = 0;
    for (const Mip4Agent& agent : agents) {
        total += agent.module.node_count();
        if (!name.empty() && agent.config.name != name) continue;
        agent.module.for_each([&](const mip4::BoundNode& node) {
            if ((!after || *after < node.home_address) && matches(node, filter)) {
                page.emplace_back(&node, &agent);
            }
        });
    }
    const std::size_t shown = std::min(limit, page.size());
    std::ranges::partial_sort(page, page.begin() + static_cast<std::ptrdiff_t>(shown), {},
                              [](const auto& one) { return one.first->home_address; });
    json rows = json::array();
    for (std::size_t i = 0; i < shown; ++i) {
        const auto& [node, agent] = page[i];
        for (std::size_t at = 0; at < node->bindings.size(); ++at) {
            rows.push_back(view(*node, at, *agent, appliance));
        }
    }
    json next;
    if (shown < page.size()) next = page[shown - 1].first->home_address.to_string();
    return json{{"bindings", std::move(rows)}, {"total", total}, {"next", next}};
}

json counters_of(const mip4::HomeAgent& agent) {
    json counters = json::object();
    agent.counters().for_each([&](const std::string& counter, std::uint64_t value) {
        if (value != 0) counters[counter] = value;
    });
    return counters;
}

json advertised(const Mip4Agent& agent) {
    json links = json::array();
    for (const Mip4Agent::Link& link : agent.links) {
        const mip4::AdvertiserCounters& counted = link.advertiser->counters();
        links.push_back({{"port", link.port},
                         {"address", link.advertiser->config().address.to_string()},
                         {"multicast", counted.multicast},
                         {"unicast", counted.unicast},
                         {"solicited", counted.solicited},
                         {"bad_solicited", counted.bad_solicited}});
    }
    return links;
}

json show_home_agents(const Appliance& appliance) {
    json rows = json::array();
    for (const Mip4Agent& agent : appliance.mip4_agents()) {
        json addresses = json::array();
        for (const Ipv4Address& one : agent.config.addresses) addresses.push_back(one.to_string());
        json networks = json::array();
        for (const config::Mip4HomeNetworkConfig& one : agent.config.networks) {
            networks.push_back(one.prefix.to_string() + " " +
                               (one.is_virtual() ? "virtual" : one.port));
        }
        rows.push_back({{"name", agent.config.name},
                        {"role", role_name(agent.config.role)},
                        {"addresses", std::move(addresses)},
                        {"networks", std::move(networks)},
                        {"nodes", agent.module.config().nodes.size()},
                        {"bound", agent.module.node_count()},
                        {"bindings", agent.module.binding_count()},
                        {"limit", agent.config.max_bindings},
                        {"revocations_waiting", agent.module.revocations_waiting()},
                        {"links", advertised(agent)},
                        {"counters", counters_of(agent.module)}});
    }
    return {{"home_agents", std::move(rows)}};
}

}  // namespace

void register_mip4_commands(Dispatcher& dispatcher, Appliance& appliance) {
    dispatcher.handle("show mip4-bindings", [&appliance](const json& arguments) {
        return show_bindings(arguments, appliance);
    });
    dispatcher.handle("show mip4-home-agents",
                      [&appliance](const json&) -> std::expected<json, CommandError> {
                          return show_home_agents(appliance);
                      });
    dispatcher.handle(
        "clear mip4-binding",
        [&appliance](const json& arguments) -> std::expected<json, CommandError> {
            const auto text = arguments.at("address").get<std::string>();
            const auto address = Ipv4Address::parse(text);
            if (!address && text != "all") {
                return std::unexpected(CommandError{
                    "bad_address", "found '" + text + "', expected an IPv4 address or all", {}});
            }
            const std::size_t cleared = appliance.clear_mip4_bindings(address);
            if (address && cleared == 0) {
                return std::unexpected(
                    CommandError{"not_found",
                                 "found no binding of " + text + ", expected a bound home address",
                                 {}});
            }
            return json{{"cleared", cleared}};
        });
}

}  // namespace homeport::management
