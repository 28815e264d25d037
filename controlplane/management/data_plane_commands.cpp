// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "controlplane/management/commands.hpp"
#include "controlplane/management/statistics_view.hpp"
#include "controlplane/mip4/home_agent.hpp"
#include "controlplane/mip6/home_agent.hpp"
#include "dataplane/channel/records.hpp"

namespace homeport::management {

namespace {

using channel::StatisticsReader;
using nlohmann::json;
using Reply = std::expected<json, CommandError>;

CommandError no_data_plane() {
    return {"no_data_plane", "found no data plane, expected one to be attached", {}};
}

// A handler that needs the statistics region.
template <class Show>
Dispatcher::Handler with_statistics(Appliance& appliance, Show show) {
    return [&appliance, show](const json& arguments) -> Reply {
        const StatisticsReader* const statistics = appliance.statistics();
        if (statistics == nullptr) return std::unexpected(no_data_plane());
        return show(arguments, *statistics, appliance);
    };
}

Reply show_stages(const json& arguments, const StatisticsReader& reader, const Appliance&) {
    std::optional<std::uint32_t> worker;
    if (arguments.contains("worker")) worker = arguments["worker"].get<std::uint32_t>();
    auto view = stages_view(reader, worker, arguments.value("edges", false));
    if (!view) {
        return std::unexpected(CommandError{"not_found",
                                            "found no worker " + std::to_string(*worker) +
                                                ", expected one below " +
                                                std::to_string(reader.worker_count()),
                                            {}});
    }
    return std::move(*view);
}

Reply show_drops(const json& arguments, const StatisticsReader& reader,
                 const Appliance& appliance) {
    const bool all = arguments.value("all", false);
    json view = drops_view(reader, all);
    std::map<std::string, std::uint64_t> of_mip4;  // of all home agents together
    for (const Mip4Agent& agent : appliance.mip4_agents()) {
        agent.module.counters().for_each(
            [&](const std::string& name, std::uint64_t value) { of_mip4[name] += value; });
    }
    json rows = json::array();
    const auto add = [&](const std::string& name, std::uint64_t value) {
        if (value != 0 || all) rows.push_back({{"name", name}, {"value", value}});
    };
    appliance.home_agent().counters().for_each([&](const std::string& name, std::uint64_t value) {
        if (const auto same = of_mip4.find(name); same != of_mip4.end()) {
            value += same->second;
            of_mip4.erase(same);
        }
        add(name, value);
    });
    for (const auto& [name, value] : of_mip4) add(name, value);
    view["control_plane"] = std::move(rows);
    return view;
}

const char* type_name(channel::RouteType type) {
    static constexpr std::array kNames{"unicast", "kernel", "blackhole", "unreachable"};
    return kNames.at(static_cast<std::size_t>(type));
}

Reply show_routes(const json& arguments, const Appliance& appliance) {
    const auto filter = arguments.value("filter", std::string());
    const auto after = arguments.value("after", std::string());
    const auto limit = arguments.value("limit", std::size_t{1000});
    std::vector<std::pair<std::string, channel::RouteSet>> page;
    std::size_t total = 0;
    appliance.visit_routes([&](const channel::RouteSet& route) {
        ++total;
        std::string prefix = to_text(route.prefix) + "/" + std::to_string(route.prefix_length);
        if (!after.empty() && prefix <= after) return;
        if (!filter.empty() && prefix.find(filter) == std::string::npos &&
            to_text(route.next_hop).find(filter) == std::string::npos) {
            return;
        }
        page.emplace_back(std::move(prefix), route);
    });
    std::ranges::sort(page, {}, [](const auto& row) -> const std::string& { return row.first; });
    json rows = json::array();
    for (const auto& [prefix, route] : page) {
        if (rows.size() == limit) break;
        rows.push_back({{"prefix", prefix},
                        {"type", type_name(route.route_type)},
                        {"next_hop", to_text(route.next_hop)},
                        {"port", port_name(appliance.ports(), route.port)},
                        {"mtu", route.mtu}});
    }
    json next;
    if (rows.size() < page.size()) next = page[rows.size() - 1].first;
    return json{{"routes", std::move(rows)}, {"total", total}, {"next", next}};
}

json binding_sums(const Appliance& appliance) {
    std::array<std::size_t, 3> states{};
    const binding::Cache& cache = appliance.home_agent().bindings();
    cache.for_each(
        [&](const binding::Entry& entry) { ++states.at(static_cast<std::size_t>(entry.state)); });
    std::size_t mip4_nodes = 0;
    for (const Mip4Agent& agent : appliance.mip4_agents()) mip4_nodes += agent.module.node_count();
    return {{"tentative", states[0]},
            {"active", states[1]},
            {"delete_wait", states[2]},
            {"mip4", mip4_nodes},
            {"limit", cache.limits().bindings}};
}

json show_status(const Appliance& appliance) {
    const ApplianceStatus status = appliance.status();
    const config::Config& config = appliance.config();
    json data_plane{{"attached", status.attached},
                    {"synchronized", status.synchronized},
                    {"epoch", status.epoch},
                    {"build", status.data_plane_build},
                    {"commands_sent", status.commands_sent},
                    {"commands_failed", status.commands_failed},
                    {"events_waiting_percent", status.events_waiting_percent}};
    if (const StatisticsReader* statistics = appliance.statistics()) {
        data_plane.update(data_plane_view(*statistics));
    }
    return {{"control_plane",
             {{"version", HOMEPORT_VERSION},
              {"pid", ::getpid()},
              {"uptime", status.uptime_seconds},
              {"config_file", config.file},
              {"config_hash", config::hash(config)},
              {"store", status.store}}},
            {"data_plane", std::move(data_plane)},
            {"bindings", binding_sums(appliance)},
            {"problems", status.problems}};
}

Reply show_flow(const json& arguments, const StatisticsReader&, const Appliance& appliance) {
    const auto port = arguments.value("port", std::string());
    const auto is_it = [&](const channel::PortInfo& info) {
        return channel::text_of(info.name) == port;
    };
    if (!port.empty() && std::ranges::none_of(appliance.ports(), is_it)) {
        return std::unexpected(CommandError{
            "not_found", "found no port '" + port + "', expected one that `show ports` lists", {}});
    }
    return flow_view(appliance.flow_rules(), appliance.ports(), port,
                     arguments.value("state", std::string()));
}

}  // namespace

void register_data_plane_commands(Dispatcher& dispatcher, Appliance& appliance) {
    dispatcher.handle("show stages", with_statistics(appliance, show_stages));
    dispatcher.handle("show drops", with_statistics(appliance, show_drops));
    dispatcher.handle("show flow", with_statistics(appliance, show_flow));
    dispatcher.handle("show ports", with_statistics(appliance,
                                                    [](const json&, const StatisticsReader& reader,
                                                       const Appliance& shown) -> Reply {
                                                        return ports_view(reader, shown.ports());
                                                    }));
    dispatcher.handle("show adjacencies",
                      with_statistics(appliance,
                                      [](const json& arguments, const StatisticsReader& reader,
                                         const Appliance& shown) -> Reply {
                                          return adjacencies_view(
                                              reader, shown.ports(),
                                              arguments.value("limit", std::size_t{1000}));
                                      }));
    dispatcher.handle("show routes", [&appliance](const json& arguments) {
        return show_routes(arguments, appliance);
    });
    dispatcher.handle("show status",
                      [&appliance](const json&) -> Reply { return show_status(appliance); });
}

}  // namespace homeport::management
