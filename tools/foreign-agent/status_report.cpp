// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/status_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "controlplane/wire/mip4_foreign_agent_code.hpp"

namespace homeport::foreign_agent {

namespace {

using nlohmann::json;

long seconds(mip4::Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

json visitor_json(const mip4::Visitor& visitor, const StatusSource& source) {
    json out;
    out["home_address"] = visitor.home_address.to_string();
    out["home_agent"] = visitor.home_agent.to_string();
    if (!visitor.nai.empty()) out["nai"] = visitor.nai;
    out["link"] = source.links[visitor.link].name;
    out["mac"] = visitor.mac.to_string();
    out["care_of_address"] = visitor.care_of_address.to_string();
    out["co_located"] = visitor.co_located;
    out["encapsulation"] = mip4::to_string(visitor.encapsulation);
    out["udp"] = visitor.udp;
    out["reverse_tunnel"] = visitor.reverse_tunnel;
    out["encapsulating_delivery"] = visitor.encapsulating_delivery;
    out["revocation"] = visitor.revocation;
    out["lifetime"] = visitor.lifetime;
    out["registered_for"] = seconds(source.now - visitor.registered);
    if (visitor.deadline == mip4::TimePoint::max()) {
        out["remaining"] = nullptr;
    } else {
        out["remaining"] = seconds(visitor.deadline - source.now);
    }
    return out;
}

std::string table_of_visitors(const json& visitors) {
    std::string text = fmt::format("{:15}  {:15}  {:10}  {:17}  {:>6}  {}\n", "home address",
                                   "home agent", "link", "link address", "left", "tunnel");
    for (const json& one : visitors) {
        const std::string left =
            one["remaining"].is_null() ? "-" : std::to_string(one["remaining"].get<long>());
        std::string tunnel = one["encapsulation"].get<std::string>();
        if (one["udp"].get<bool>()) tunnel += " in UDP";
        if (one["co_located"].get<bool>()) tunnel = "its own";
        if (one["reverse_tunnel"].get<bool>()) tunnel += ", both ways";
        if (one["encapsulating_delivery"].get<bool>()) tunnel += ", encapsulating";
        text += fmt::format("{:15}  {:15}  {:10}  {:17}  {:>6}  {}\n",
                            one["home_address"].get<std::string>(),
                            one["home_agent"].get<std::string>(), one["link"].get<std::string>(),
                            one["mac"].get<std::string>(), left, tunnel);
    }
    return text;
}

}  // namespace

std::string status_json(const StatusSource& source) {
    json out;
    out["uptime"] = seconds(source.now - source.started);
    out["busy"] = source.service.is_busy();
    out["pending"] = source.service.pending_count();
    out["visitors"] = json::array();
    for (const mip4::Visitor* one : source.service.visitors()) {
        out["visitors"].push_back(visitor_json(*one, source));
    }
    out["links"] = json::array();
    for (const auto& link : source.links) {
        const auto& counts = link.advertiser->counters();
        const auto& config = link.advertiser->config();
        json care_of = json::array();
        for (const Ipv4Address& one : config.care_of_addresses) care_of.push_back(one.to_string());
        out["links"].push_back({{"name", link.name},
                                {"address", config.address.to_string()},
                                {"care_of_addresses", care_of},
                                {"advertisements", counts.multicast + counts.unicast},
                                {"solicitations", counts.solicited},
                                {"bad_solicitations", counts.bad_solicited},
                                {"solicitations_ratelimited", counts.rate_limited}});
    }
    json& counters = out["counters"];
    for (std::size_t i = 0; i < mip4::kForeignAgentCounterCount; ++i) {
        const auto counter = static_cast<mip4::ForeignAgentCounter>(i);
        counters[std::string(mip4::name(counter))] = source.counters[counter];
    }
    json& codes = out["codes"] = json::object();
    for (unsigned code = 0; code < 256; ++code) {
        const auto number = static_cast<std::uint8_t>(code);
        if (source.counters.denied(number) > 0) {
            codes[std::to_string(code)] = source.counters.denied(number);
        }
    }
    return out.dump();
}

std::string status_text(const std::string& line) {
    const json in = json::parse(line, nullptr, false);
    if (in.is_discarded() || !in.is_object()) return "no status: " + line + "\n";
    if (in.contains("error")) return in["error"].get<std::string>() + "\n";
    std::string text;
    for (const json& link : in["links"]) {
        text += fmt::format("link {}: {}, {} advertisements, {} solicitations\n",
                            link["name"].get<std::string>(), link["address"].get<std::string>(),
                            link["advertisements"].get<std::uint64_t>(),
                            link["solicitations"].get<std::uint64_t>());
    }
    text +=
        fmt::format("{} visitors{}, {} requests pending\n\n", in["visitors"].size(),
                    in["busy"].get<bool>() ? " (busy)" : "", in["pending"].get<std::uint64_t>());
    if (!in["visitors"].empty()) text += table_of_visitors(in["visitors"]) + "\n";
    for (const auto& [name, value] : in["counters"].items()) {
        if (value.get<std::uint64_t>() > 0) {
            text += fmt::format("{:28} {}\n", name, value.get<std::uint64_t>());
        }
    }
    for (const auto& [code, value] : in["codes"].items()) {
        const auto number = static_cast<std::uint8_t>(std::stoul(code));
        text += fmt::format("{:28} {}  {}\n", "fa.rrq.code_" + code, value.get<std::uint64_t>(),
                            wire::to_string(static_cast<wire::ForeignAgentCode>(number)));
    }
    return text;
}

std::string error_of(const std::string& line) {
    const json in = json::parse(line, nullptr, false);
    if (in.is_discarded() || !in.is_object()) return "no answer that can be read";
    return in.contains("error") ? in["error"].get<std::string>() : "";
}

}  // namespace homeport::foreign_agent
