// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/statistics_view.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "dataplane/channel/records.hpp"

namespace homeport::management {

namespace {

using channel::CounterKind;
using channel::CounterValue;
using channel::StatisticsHeader;
using channel::StatisticsReader;
using nlohmann::json;

struct Sums {
    std::uint64_t received = 0, forwarded = 0, delivered = 0, dropped = 0;

    [[nodiscard]] std::int64_t difference() const {
        return static_cast<std::int64_t>(received - forwarded - delivered - dropped);
    }
};

Sums sums_of(const std::vector<CounterValue>& counters) {
    Sums sums;
    for (const CounterValue& counter : counters) {
        switch (counter.kind) {
            case CounterKind::kReceived:
                sums.received += counter.value;
                break;
            case CounterKind::kForwarded:
                sums.forwarded += counter.value;
                break;
            case CounterKind::kDelivered:
                sums.delivered += counter.value;
                break;
            case CounterKind::kDrop:
                sums.dropped += counter.value;
                break;
            case CounterKind::kEvent:
                break;
        }
    }
    return sums;
}

const char* to_string(CounterKind kind) {
    switch (kind) {
        case CounterKind::kReceived:
            return "received";
        case CounterKind::kForwarded:
            return "forwarded";
        case CounterKind::kDelivered:
            return "delivered";
        case CounterKind::kDrop:
            return "drop";
        case CounterKind::kEvent:
            break;
    }
    return "event";
}

double ratio(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::uint64_t seconds_since(std::uint64_t unix_seconds) {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    const auto then = static_cast<std::int64_t>(unix_seconds);
    return now > then ? static_cast<std::uint64_t>(now - then) : 0;
}

// The last row is the main lcore's: it counts what it makes and drops, and forwards nothing.
std::uint32_t forwarding_workers(const StatisticsReader& reader) {
    return std::max(reader.worker_count(), 1u) - 1;
}

json worker_view(const channel::WorkerRow& row, const StatisticsHeader& layout) {
    const auto up = seconds_since(layout.started_unix_seconds);
    return {{"lcore", row.lcore},
            {"polls", row.polls},
            {"empty_polls", row.empty_polls},
            {"sleeps", row.sleeps},
            {"busy_percent", std::min(100.0, 100 * ratio(row.busy_cycles, layout.tsc_hz * up))},
            {"handed_over", row.handed_over}};
}

const channel::PortInfo* find_port(std::span<const channel::PortInfo> ports, std::uint32_t port) {
    const auto it = std::ranges::find_if(
        ports, [&](const channel::PortInfo& info) { return info.port == port; });
    return it == ports.end() ? nullptr : &*it;
}

}  // namespace

std::string to_text(const channel::WireAddress& address) {
    if (address.family == 6) return address.v6().to_string();
    if (address.family == 4) return address.v4().to_string();
    return "";
}

std::string port_name(std::span<const channel::PortInfo> ports, std::uint16_t port) {
    if (port == channel::kNoPort) return "";
    const channel::PortInfo* const info = find_port(ports, port);
    return info != nullptr ? std::string(channel::text_of(info->name))
                           : "port " + std::to_string(port);
}

std::optional<json> stages_view(const StatisticsReader& reader, std::optional<std::uint32_t> worker,
                                bool with_edges) {
    if (worker && *worker >= forwarding_workers(reader)) return std::nullopt;
    json stages = json::array();
    for (const auto& stage : worker ? reader.stages(*worker) : reader.stages()) {
        stages.push_back({{"name", stage.name},
                          {"calls", stage.calls},
                          {"packets", stage.packets},
                          {"packets_per_call", ratio(stage.packets, stage.calls)},
                          {"cycles_per_packet", ratio(stage.cycles, stage.packets)}});
    }
    json edges = json::array();
    if (with_edges) {
        for (const auto& edge : worker ? reader.edges(*worker) : reader.edges()) {
            edges.push_back({{"name", edge.name}, {"packets", edge.packets}});
        }
    }
    json workers = json::array();
    const auto rows = reader.workers();
    for (std::uint32_t i = 0; i < forwarding_workers(reader); ++i) {
        workers.push_back(worker_view(rows[i], reader.layout()));
    }
    return json{{"stages", std::move(stages)},
                {"edges", std::move(edges)},
                {"tsc_hz", reader.layout().tsc_hz},
                {"workers", std::move(workers)}};
}

json drops_view(const StatisticsReader& reader, bool all) {
    auto counters = reader.counters();
    Sums sums = sums_of(counters);
    for (int again = 0; again < 10 && sums.difference() != 0; ++again) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        counters = reader.counters();
        sums = sums_of(counters);
    }
    json rows = json::array();
    for (const CounterValue& counter : counters) {
        if (counter.value == 0 && !all) continue;
        rows.push_back(
            {{"name", counter.name}, {"kind", to_string(counter.kind)}, {"value", counter.value}});
    }
    return {{"received", sums.received},       {"forwarded", sums.forwarded},
            {"delivered", sums.delivered},     {"dropped", sums.dropped},
            {"difference", sums.difference()}, {"counters", std::move(rows)}};
}

json ports_view(const StatisticsReader& reader, std::span<const channel::PortInfo> ports) {
    json rows = json::array();
    for (const auto& [index, row] : reader.ports()) {
        json shown{{"index", index},
                   {"name", port_name(ports, static_cast<std::uint16_t>(index))},
                   {"rx_packets", row.rx_packets},
                   {"rx_bytes", row.rx_bytes},
                   {"tx_packets", row.tx_packets},
                   {"tx_bytes", row.tx_bytes},
                   {"rx_missed", row.rx_missed},
                   {"rx_errors", row.rx_errors},
                   {"tx_errors", row.tx_errors},
                   {"rx_no_buffer", row.rx_no_buffer},
                   {"kernel_rx", row.kernel_rx},
                   {"kernel_tx", row.kernel_tx}};
        if (const channel::PortInfo* info = find_port(ports, index)) {
            shown["driver"] = channel::text_of(info->driver);
            shown["tap"] = channel::text_of(info->kernel_interface);
            shown["mac"] = info->mac.to_string();
            shown["mtu"] = info->mtu;
            shown["link_up"] = info->link_up != 0;
            shown["speed_mbps"] = info->link_speed_mbps;
        }
        rows.push_back(std::move(shown));
    }
    return {{"ports", std::move(rows)}};
}

json flow_view(std::span<const channel::FlowRuleInfo> rules,
               std::span<const channel::PortInfo> ports, std::string_view port,
               std::string_view state) {
    static constexpr std::array kRefusers{"",       "operator", "pmd-config",
                                          "queues", "validate", "create"};
    json rows = json::array();
    std::size_t installed = 0;
    for (const channel::FlowRuleInfo& rule : rules) {
        const std::string name = port_name(ports, rule.port);
        const bool in_force = rule.state == channel::FlowRuleState::kInstalled;
        const char* const shown_state = in_force ? "installed" : "software";
        if ((!port.empty() && name != port) || (!state.empty() && state != shown_state)) continue;
        installed += in_force ? 1 : 0;
        rows.push_back({{"port", name},
                        {"index", rule.index},
                        {"name", channel::text_of(rule.name)},
                        {"match", channel::text_of(rule.match)},
                        {"action", channel::text_of(rule.action)},
                        {"state", shown_state},
                        {"refused_by", kRefusers.at(static_cast<std::size_t>(rule.refusal))},
                        {"reason", channel::text_of(rule.reason)},
                        {"error_type", rule.error_type},
                        {"error_code", rule.error_code}});
    }
    const std::size_t count = rows.size();
    return {{"rules", std::move(rows)}, {"installed", installed}, {"software", count - installed}};
}

json adjacencies_view(const StatisticsReader& reader, std::span<const channel::PortInfo> ports,
                      std::size_t limit) {
    json rows = json::array();
    const auto adjacencies = reader.adjacencies();
    for (const auto& [index, row] : adjacencies) {
        if (rows.size() >= limit) break;
        rows.push_back({{"next_hop", to_text(row.next_hop)},
                        {"port", port_name(ports, row.port)},
                        {"mac", row.resolved != 0 ? row.mac.to_string() : ""},
                        {"resolved", row.resolved != 0},
                        {"packets", row.packets}});
    }
    return {{"adjacencies", std::move(rows)}, {"total", adjacencies.size()}};
}

json data_plane_view(const StatisticsReader& reader) {
    const StatisticsHeader& layout = reader.layout();
    return {{"uptime", seconds_since(layout.started_unix_seconds)},
            {"fast_path_ready", reader.value(&StatisticsHeader::fast_path_ready) != 0},
            {"workers", forwarding_workers(reader)},
            {"bindings", reader.value(&StatisticsHeader::current_bindings)},
            {"max_bindings", layout.binding_count},
            {"sas", reader.value(&StatisticsHeader::current_sas)},
            {"max_sas", layout.sa_count},
            {"routes", reader.value(&StatisticsHeader::current_routes)},
            {"adjacencies", reader.value(&StatisticsHeader::current_adjacencies)},
            {"max_adjacencies", layout.adjacency_count},
            {"mbufs_in_use", reader.value(&StatisticsHeader::mbufs_in_use)},
            {"mbufs", reader.value(&StatisticsHeader::mbufs_total)}};
}

}  // namespace homeport::management
