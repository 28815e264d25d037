// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "controlplane/management/commands.hpp"
#include "controlplane/management/statistics_view.hpp"
#include "dataplane/channel/records.hpp"

namespace homeport::management {

namespace {

using channel::Trace;
using nlohmann::json;
using Reply = std::expected<json, CommandError>;

std::string hex(const Trace& step) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    const std::size_t captured = std::min<std::size_t>(step.captured, sizeof step.bytes);
    for (std::size_t i = 0; i < captured; ++i) {
        text += kDigits[step.bytes[i] >> 4];
        text += kDigits[step.bytes[i] & 15];
    }
    return text;
}

double microseconds(std::uint64_t cycles, std::uint64_t hz) {
    return hz == 0 ? 0 : static_cast<double>(cycles) * 1e6 / static_cast<double>(hz);
}

Reply trace_start(const json& arguments, Appliance& appliance) {
    channel::TraceStart start;
    start.packets = arguments.value("packets", 10u);
    if (arguments.contains("address")) {
        start.address =
            channel::WireAddress(*parse_ip_address(arguments["address"].get<std::string>()));
    }
    if (arguments.contains("port")) {
        const auto name = arguments["port"].get<std::string>();
        const auto ports = appliance.ports();
        const auto it = std::ranges::find_if(ports, [&](const channel::PortInfo& port) {
            return channel::text_of(port.name) == name;
        });
        if (it == ports.end()) {
            return std::unexpected(CommandError{
                "not_found", "found no port '" + name + "', expected one of `show ports`", {}});
        }
        start.port = it->port;
    }
    auto started = appliance.start_trace(start);
    if (!started) return std::unexpected(std::move(started.error()));
    return json{{"packets", start.packets}};
}

Reply trace_show(const json& arguments, const Appliance& appliance) {
    std::map<std::uint32_t, std::vector<const Trace*>> packets;
    for (const Trace& step : appliance.trace().steps()) packets[step.packet].push_back(&step);
    if (arguments.contains("packet")) {
        const auto wanted = arguments["packet"].get<std::uint32_t>();
        std::erase_if(packets, [&](const auto& row) { return row.first != wanted; });
    }
    const auto* statistics = appliance.statistics();
    const std::uint64_t hz = statistics != nullptr ? statistics->layout().tsc_hz : 0;
    json shown = json::array();
    for (auto& [number, steps] : packets) {
        std::ranges::stable_sort(steps, {}, &Trace::step);
        json rows = json::array();
        for (const Trace* step : steps) {
            rows.push_back({{"stage", channel::text_of(step->stage)},
                            {"edge", channel::text_of(step->edge)},
                            {"port", port_name(appliance.ports(), step->port)},
                            {"microseconds", microseconds(step->tsc - steps.front()->tsc, hz)},
                            {"length", step->packet_length},
                            {"bytes", hex(*step)}});
        }
        shown.push_back({{"packet", number}, {"steps", std::move(rows)}});
    }
    return json{{"packets", std::move(shown)}, {"lost", appliance.trace().lost()}};
}

}  // namespace

void register_trace_commands(Dispatcher& dispatcher, Appliance& appliance) {
    dispatcher.handle("trace start", [&appliance](const json& arguments) {
        return trace_start(arguments, appliance);
    });
    dispatcher.handle("trace stop", [&appliance](const json&) -> Reply {
        auto stopped = appliance.stop_trace();
        if (!stopped) return std::unexpected(std::move(stopped.error()));
        return json::object();
    });
    dispatcher.handle("trace show", [&appliance](const json& arguments) {
        return trace_show(arguments, appliance);
    });
}

}  // namespace homeport::management
