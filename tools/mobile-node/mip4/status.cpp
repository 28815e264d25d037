// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace homeport::mobile_node {

namespace {

using Json = nlohmann::ordered_json;

double seconds_until(mip4::TimePoint when, mip4::TimePoint now) {
    return std::max(0.0, std::chrono::duration<double>(when - now).count());
}

Json tunnel_json(const mip4::MobileTunnel& tunnel, mip4::TimePoint now) {
    return {{"home_agent", tunnel.home_agent.to_string()},
            {"care_of_address", tunnel.care_of.address.to_string()},
            {"co_located", tunnel.care_of.co_located},
            {"encapsulation", mip4::to_string(tunnel.encapsulation)},
            {"udp", tunnel.udp},
            {"reverse_tunnel", tunnel.reverse_tunnel},
            {"overhead", tunnel.overhead()},
            {"left", seconds_until(tunnel.until, now)}};
}

std::string header_of(const mip4::MobileTunnel& tunnel) {
    if (!tunnel.care_of.co_located) return "";
    return tunnel.care_of.address.to_string() + ">" + tunnel.home_agent.to_string() +
           (tunnel.udp ? " UDP 434" : "") + " " + mip4::to_string(tunnel.encapsulation);
}

/// Outermost first.
Json layers_of(const Mip4StatusSource& source, const mip4::Way& way) {
    Json out = Json::array();
    const auto add = [&](const std::string& text) {
        if (!text.empty()) out.push_back(text);
    };
    if (way.vpn()) {
        add(header_of(*way.external));
        add(source.node.external_home_address().to_string() + ">" +
            source.config.vpn->gateway.to_string() +
            (source.layers.esp_in_udp() ? " UDP 4500 ESP" : " ESP"));
    }
    if (!way.home) add(header_of(way.internal));
    add(source.node.home_address().to_string() + ">any");
    return out;
}

Json interface_json(const Mip4StatusSource& source, int id) {
    const auto name = source.names.find(id);
    const auto way = source.node.way_of(id, source.now);
    Json out{{"name", name == source.names.end() ? std::to_string(id) : name->second},
             {"state", mip4::to_string(source.node.state(id))},
             {"mode", way ? mode_of(*way) : "none"}};
    const auto& attachment = source.node.attachment(id);
    out["care_of_address"] =
        attachment ? Json(attachment->care_of.address.to_string()) : Json(nullptr);
    out["foreign_agent"] = attachment && !attachment->care_of.co_located
                               ? Json(attachment->agent.to_string())
                               : Json(nullptr);
    Json registrations = Json::object();
    for (const mip4::Leg leg :
         {mip4::Leg::kInternalDirect, mip4::Leg::kExternal, mip4::Leg::kInternalVpn}) {
        if (const auto* tunnel = source.node.tunnel(id, leg)) {
            registrations[std::string(mip4::to_string(leg))] = tunnel_json(*tunnel, source.now);
        }
    }
    out["registrations"] = std::move(registrations);
    return out;
}

}  // namespace

std::string mip4_status_json(const Mip4StatusSource& source) {
    const auto way = source.node.way(source.now);
    Json out{{"mobile_ipv4", true},
             {"home_address", source.node.home_address().to_string()},
             {"home_agent", source.config.internal.home_agent.to_string()}};
    if (source.config.external) {
        out["external_home_address"] = source.node.external_home_address().to_string();
        out["external_home_agent"] = source.config.external->home_agent.to_string();
        out["vpn_gateway"] = source.config.vpn->gateway.to_string();
    }
    out["mode"] = way ? mode_of(*way) : "none";
    out["state"] = way ? std::string(mip4::to_string(source.node.state(way->interface))) : "none";
    if (way) {
        const auto name = source.names.find(way->interface);
        out["interface"] = name == source.names.end() ? "" : name->second;
        out["layers"] = layers_of(source, *way);
        out["overhead"] =
            overhead_of(*way, way->vpn() ? source.esp_overhead : 0, source.layers.esp_in_udp());
        out["mtu"] = source.path.mtu_of(*way);
    }
    out["queued"] = source.path.queued();
    out["interfaces"] = Json::array();
    for (const int id : source.node.interfaces()) {
        out["interfaces"].push_back(interface_json(source, id));
    }
    out["handovers"] = Json::array();
    for (const Mip4Handover& one : source.handovers) {
        out["handovers"].push_back({{"from", one.from},
                                    {"to", one.to},
                                    {"milliseconds", one.took.count()},
                                    {"lost", one.lost}});
    }
    out["security_associations"] = Json::array();
    for (const ipsec::SaStatus& sa : source.associations) {
        out["security_associations"].push_back(
            {{"spi", fmt::format("{:#x}", sa.spi.value)},
             {"direction", sa.direction == ipsec::Direction::kOutbound ? "out" : "in"},
             {"packets", sa.packets},
             {"sequence", sa.highest_sequence},
             {"replays", sa.errors.replay},
             {"icv_errors", sa.errors.icv}});
    }
    Json counters = Json::object();
    for (std::size_t i = 0; i < kCounterCount; ++i) {
        if (source.counters.values()[i] != 0) {
            counters[std::string(kCounterNames[i])] = source.counters.values()[i];
        }
    }
    out["counters"] = std::move(counters);
    out["uptime"] = std::chrono::duration<double>(source.now - source.started).count();
    return out.dump();
}

std::string mip4_event_json(const char* event, const std::string& text, const std::string& state) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return Json{{"event", event},
                {"text", text},
                {"time", std::chrono::duration<double>(now).count()},
                {"state", state}}
        .dump();
}

std::string mip4_status_text(const std::string& json) {
    const Json in = Json::parse(json);
    std::string out;
    const auto line = [&out](std::string_view name, const std::string& value) {
        out += fmt::format("{:<18}{}\n", name, value);
    };
    const auto text = [](const Json& value) { return value.get<std::string>(); };
    line("mode", text(in.at("mode")));
    line("home address", text(in.at("home_address")) + ", home agent " + text(in.at("home_agent")));
    if (in.contains("external_home_agent")) {
        line("outside", text(in.at("external_home_address")) + ", home agent " +
                            text(in.at("external_home_agent")) + ", VPN gateway " +
                            text(in.at("vpn_gateway")));
    }
    if (in.contains("layers")) {
        std::string layers;
        for (const Json& one : in.at("layers")) {
            layers += (layers.empty() ? "" : " | ") + text(one);
        }
        line("packets", layers);
        line("overhead",
             fmt::format("at most {} octets, MTU {}, by {}", in.at("overhead").get<unsigned>(),
                         in.at("mtu").get<unsigned>(), text(in.at("interface"))));
    }
    for (const Json& one : in.at("interfaces")) {
        std::string where = one.at("care_of_address").is_null()
                                ? "no care-of address"
                                : "care-of address " + text(one.at("care_of_address"));
        if (!one.at("foreign_agent").is_null()) {
            where += " of foreign agent " + text(one.at("foreign_agent"));
        }
        line("interface", text(one.at("name")) + ": " + text(one.at("state")) + ", mode " +
                              text(one.at("mode")) + ", " + where);
        for (const auto& [leg, tunnel] : one.at("registrations").items()) {
            line("", fmt::format("{}: {} for {:.0f} s{}", leg, text(tunnel.at("home_agent")),
                                 tunnel.at("left").get<double>(),
                                 tunnel.at("udp").get<bool>() ? ", in UDP" : ""));
        }
    }
    for (const Json& one : in.at("handovers")) {
        line("handover", fmt::format("{} -> {}: {} ms, {} packets lost", text(one.at("from")),
                                     text(one.at("to")), one.at("milliseconds").get<std::int64_t>(),
                                     one.at("lost").get<std::uint64_t>()));
    }
    for (const auto& [name, value] : in.at("counters").items()) {
        line("", fmt::format("{:<28}{}", name, value.get<std::uint64_t>()));
    }
    return out;
}

}  // namespace homeport::mobile_node
