// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/status_report.hpp"

#include "tools/mobile-node/mip4/status.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace homeport::mobile_node {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_until(const std::optional<Clock::time_point>& when, Clock::time_point now) {
    if (!when) return 0;
    return std::max(0.0, std::chrono::duration<double>(*when - now).count());
}

double unix_time(std::chrono::system_clock::time_point at) {
    return std::chrono::duration<double>(at.time_since_epoch()).count();
}

template <class Address>
Json or_null(const std::optional<Address>& address) {
    return address ? Json(address->to_string()) : Json(nullptr);
}

// What the home agent said about a NAT, and what keeps its mapping.
Json nat_of(const mip6::MobileNode::Status& status, Clock::time_point now) {
    const bool forced_over_ipv6 = status.encapsulation == mip6::Encapsulation::kUdpIpv6;
    if (!status.registered_care_of_address ||
        (!status.registered_care_of_address->is_ipv4() && !forced_over_ipv6)) {
        return nullptr;
    }
    const bool udp = status.encapsulation == mip6::Encapsulation::kUdpIpv4;
    const bool forced = status.nat && status.nat->force_udp;
    Json out;
    out["verdict"] = forced ? "udp forced" : udp ? "nat" : "no nat";
    out["refresh_time"] = status.nat ? Json(status.nat->refresh_time) : Json(nullptr);
    out["keepalive_in"] =
        status.keepalive_at ? Json(seconds_until(status.keepalive_at, now)) : Json(nullptr);
    return out;
}

Json port_or_null(std::uint16_t port) {
    return port == 0 ? Json(nullptr) : Json(port);
}

std::string technique_of(const Config& config) {
    return config.signalling.technique == config::Technique::kApi ? "api" : "heuristic";
}

Json attachment_of(const std::optional<Candidate>& attachment) {
    if (!attachment) return nullptr;
    return {{"interface", attachment->name},
            {"at_home", attachment->at_home},
            {"family", attachment->care_of_address.is_ipv4() ? 4 : 6},
            {"home_agent", attachment->care_of_address.is_ipv4()
                               ? Json(attachment->care_of_address.home_agent().to_string())
                               : Json(nullptr)},
            {"care_of_address",
             attachment->at_home ? Json(nullptr) : Json(attachment->care_of_address.to_string())}};
}

Json binding_of(const mip6::MobileNode::Status& status, Clock::time_point now) {
    Json out;
    out["care_of_address"] = or_null(status.registered_care_of_address);
    out["granted"] = status.granted_lifetime.count();
    out["lifetime_left"] = seconds_until(status.expires, now);
    out["refresh_in"] = seconds_until(status.refresh_at, now);
    out["sequence"] = status.sequence;
    out["attempts"] = status.attempts;
    out["next_transmission_in"] = seconds_until(status.next_transmission, now);
    if (status.last_status) {
        out["last_status"] = {{"code", static_cast<unsigned>(*status.last_status)},
                              {"text", wire::describe(*status.last_status)}};
    } else {
        out["last_status"] = nullptr;
    }
    return out;
}

Json handovers_of(const Mobility& mobility) {
    Json out = Json::array();
    for (const Handover& handover : mobility.handovers()) {
        Json one;
        one["time"] = unix_time(handover.at);
        one["from"] = handover.from;
        one["to"] = handover.to;
        one["milliseconds"] = handover.duration
                                  ? Json(static_cast<double>(handover.duration->count()) / 1000.0)
                                  : Json(nullptr);
        one["sent"] = handover.sent;
        one["received"] = handover.received;
        one["dropped"] = handover.dropped;
        one["held"] = handover.held;
        out.push_back(std::move(one));
    }
    return out;
}

Json associations_of(const std::vector<ipsec::SaStatus>& associations) {
    Json out = Json::array();
    for (const ipsec::SaStatus& sa : associations) {
        Json one;
        one["spi"] = sa.spi.to_string();
        one["direction"] = sa.direction == ipsec::Direction::kInbound ? "in" : "out";
        one["mode"] = sa.mode == ipsec::Mode::kTransport ? "transport" : "tunnel";
        one["algorithm"] = std::string(ipsec::info(sa.algorithm).name);
        one["packets"] = sa.packets;
        one["bytes"] = sa.bytes;
        one["sequence"] = sa.highest_sequence;
        one["replay_window"] = sa.replay_window;
        one["errors"] = sa.errors.replay + sa.errors.icv + sa.errors.padding +
                        sa.errors.selector_mismatch + sa.errors.malformed + sa.errors.seq_overflow +
                        sa.errors.too_big;
        out.push_back(std::move(one));
    }
    return out;
}

Json protocol_of(const mip6::MobileNodeCounters& counters) {
    return {{"updates_sent", counters.updates_sent},
            {"retransmissions", counters.retransmissions},
            {"acknowledgements_accepted", counters.acknowledgements_accepted},
            {"acknowledgements_rejecting", counters.acknowledgements_rejecting},
            {"ignored_not_for_us", counters.ignored_not_for_us},
            {"ignored_malformed", counters.ignored_malformed},
            {"ignored_unprotected", counters.ignored_unprotected},
            {"ignored_sequence", counters.ignored_sequence},
            {"ignored_message", counters.ignored_message},
            {"binding_errors", counters.binding_errors},
            {"refresh_requests", counters.refresh_requests}};
}

Json correspondents_of(const Mobility& mobility, Clock::time_point now) {
    const RouteOptimisation* const optimisation = mobility.route_optimisation();
    if (optimisation == nullptr) return nullptr;
    Json list = Json::array();
    for (const auto& one : optimisation->status()) {
        list.push_back(
            {{"address", one.correspondent.to_string()},
             {"state", one.state},
             {"care_of_address", or_null(one.care_of_address)},
             {"lifetime_left", seconds_until(one.expires, now)},
             {"rests_for", seconds_until(one.rests_until, now)},
             {"sequence", one.sequence},
             {"failures", one.failures},
             {"last_status",
              one.last_status ? Json(static_cast<unsigned>(*one.last_status)) : Json(nullptr)}});
    }
    const auto& counters = optimisation->protocol_counters();
    return {{"correspondents", std::move(list)},
            {"home_tests_sent", counters.home_tests_sent},
            {"care_of_tests_sent", counters.care_of_tests_sent},
            {"updates_sent", counters.updates_sent},
            {"accepted", counters.accepted},
            {"rejected", counters.rejected},
            {"given_up", counters.given_up},
            {"limited", counters.limited},
            {"ignored_malformed", counters.ignored_malformed},
            {"ignored_unknown", counters.ignored_unknown},
            {"ignored_cookie", counters.ignored_cookie},
            {"ignored_path", counters.ignored_path},
            {"ignored_sequence", counters.ignored_sequence},
            {"ignored_authenticator", counters.ignored_authenticator},
            {"ignored_message", counters.ignored_message},
            {"binding_errors", counters.binding_errors},
            {"refresh_requests", counters.refresh_requests}};
}

Json prefixes_of(const mip6::PrefixSolicitor& state, Clock::time_point now) {
    Json list = Json::array();
    for (const auto& one : state.prefixes()) {
        const auto& information = one.information;
        const Ipv6Prefix prefix{information.prefix, information.prefix_length};
        const auto left = [&](const std::optional<Clock::time_point>& end) {
            return end ? Json(seconds_until(end, now)) : Json("infinite");
        };
        list.push_back(
            {{"prefix", prefix.masked().to_string()},
             {"home_agent",
              information.router_address ? Json(information.prefix.to_string()) : Json(nullptr)},
             {"valid", left(one.valid_until)},
             {"preferred", left(one.preferred_until)}});
    }
    const auto& counters = state.counters();
    return {{"prefixes", std::move(list)},
            {"asking", state.is_asking()},
            {"sent", counters.sent},
            {"accepted", counters.accepted},
            {"given_up", counters.given_up},
            {"ignored_malformed", counters.ignored_malformed},
            {"ignored_not_from_home_agent", counters.ignored_not_from_home_agent},
            {"ignored_unprotected", counters.ignored_unprotected},
            {"ignored_no_routing_header", counters.ignored_no_routing_header},
            {"ignored_identifier", counters.ignored_identifier}};
}

Json router_of(const Config& config, const mip6::MobileNode::Status& status) {
    const mip6::MobileRouterConfig& router = config.mobile_router.protocol;
    if (!router.is_on()) return nullptr;
    const bool bound = status.registered_care_of_address.has_value();
    Json list = Json::array();
    for (const Ipv6Prefix& prefix : router.prefixes) {
        list.push_back({{"prefix", prefix.to_string()}, {"served", bound}});
    }
    for (const Ipv4Prefix& prefix : router.ipv4_prefixes) {
        const auto& served = status.ipv4_network.served;
        list.push_back({{"prefix", prefix.to_string()},
                        {"served", std::ranges::find(served, prefix) != served.end()}});
    }
    return {{"lan", config.mobile_router.lan},
            {"mode", to_string(status.router_mode)},
            {"prefixes", std::move(list)}};
}

std::string text_or(const Json& value, const std::string& otherwise) {
    return value.is_string() ? value.get<std::string>() : otherwise;
}

}  // namespace

std::string status_json(const StatusSource& source) {
    const auto status = source.mobility.status();
    const Route& route = source.data_path.route();
    Json out;
    out["state"] = to_string(status.state);
    out["home_address"] = source.config.home_address.to_string();
    if (source.config.ipv4_home_address) {
        out["ipv4_home_address"] = {
            {"address", status.ipv4.bound ? status.ipv4.address.to_string()
                        : source.config.ipv4_home_address->is_unspecified()
                            ? "dynamic"
                            : source.config.ipv4_home_address->to_string()},
            {"bound", status.ipv4.bound},
            {"status", status.ipv4.status ? Json(*status.ipv4.status) : Json(nullptr)}};
    }
    if (const Json router = router_of(source.config, status); !router.is_null()) {
        out["mobile_router"] = router;
    }
    out["home_agent"] = source.config.home_agent.to_string();
    out["home_prefix"] = source.config.home_prefix.to_string();
    out["attachment"] = attachment_of(source.mobility.attachment());
    out["care_of_address"] = or_null(status.registered_care_of_address);
    out["binding"] = binding_of(status, source.now);
    out["tunnel"] = {
        {"device", source.config.tunnel.name},
        {"mtu", source.mobility.tunnel_mtu()},
        {"route", to_string(route.kind)},
        {"encapsulation",
         route.kind == Route::Kind::kTunnel ? Json(to_string(route.encapsulation)) : Json(nullptr)},
        {"udp_port", port_or_null(source.data_path.udp_port())},
        {"esp_port", port_or_null(source.data_path.esp_port())},
        {"technique", technique_of(source.config)},
        {"care_of_address", route.kind == Route::Kind::kTunnel
                                ? Json(route.care_of_address.to_string())
                                : Json(nullptr)}};
    out["nat"] = nat_of(status, source.now);
    out["handovers"] = handovers_of(source.mobility);
    out["security_associations"] = associations_of(source.associations);
    Json counters;
    for (std::size_t i = 0; i < kCounterCount; ++i) {
        counters[std::string(kCounterNames[i])] = source.counters.values()[i];
    }
    out["counters"] = std::move(counters);
    out["protocol"] = protocol_of(source.mobility.protocol_counters());
    out["route_optimisation"] = correspondents_of(source.mobility, source.now);
    out["prefix_discovery"] = prefixes_of(source.mobility.prefix_discovery(), source.now);
    out["uptime"] = std::chrono::duration<double>(source.now - source.started).count();
    return out.dump();
}

std::string event_json(const char* event, const std::string& text, const Mobility& mobility) {
    const auto status = mobility.status();
    Json out;
    out["time"] = unix_time(std::chrono::system_clock::now());
    out["event"] = event;
    out["text"] = text;
    out["state"] = to_string(status.state);
    out["attachment"] = attachment_of(mobility.attachment());
    out["care_of_address"] = or_null(status.registered_care_of_address);
    return out.dump();
}

std::string status_text(const std::string& json) {
    const Json in = Json::parse(json);
    if (in.contains("mobile_ipv4")) return mip4_status_text(json);
    const Json& binding = in.at("binding");
    const Json& tunnel = in.at("tunnel");
    const Json& attachment = in.at("attachment");
    std::string out;
    const auto line = [&out](std::string_view name, const std::string& value) {
        out += fmt::format("{:<18}{}\n", name, value);
    };
    line("state", in.at("state").get<std::string>());
    line("home address", in.at("home_address").get<std::string>());
    if (in.contains("ipv4_home_address")) {
        const Json& ipv4 = in.at("ipv4_home_address");
        line("IPv4 home address",
             ipv4.at("address").get<std::string>() +
                 (ipv4.at("bound").get<bool>() ? ", bound" : ", not bound") +
                 (ipv4.at("status").is_number()
                      ? ", status " + std::to_string(ipv4.at("status").get<unsigned>())
                      : ""));
    }
    if (in.contains("mobile_router")) {
        const Json& router = in.at("mobile_router");
        std::string prefixes;
        for (const Json& one : router.at("prefixes")) {
            prefixes += (prefixes.empty() ? "" : ", ") + one.at("prefix").get<std::string>() +
                        (one.at("served").get<bool>() ? "" : " (not served)");
        }
        line("mobile router", prefixes + " on " + router.at("lan").get<std::string>() + ", " +
                                  router.at("mode").get<std::string>() + " mode");
    }
    line("home agent", in.at("home_agent").get<std::string>());
    if (attachment.is_null()) {
        line("attached to", "nothing");
    } else if (attachment.at("at_home").get<bool>()) {
        line("attached to", attachment.at("interface").get<std::string>() + " (home link)");
    } else {
        line("attached to", attachment.at("interface").get<std::string>() + ", " +
                                text_or(attachment.at("care_of_address"), "-"));
    }
    if (binding.at("care_of_address").is_string()) {
        line("binding", fmt::format("{}, {:.0f} s left of {}, refresh in {:.0f} s",
                                    binding.at("care_of_address").get<std::string>(),
                                    binding.at("lifetime_left").get<double>(),
                                    binding.at("granted").get<std::int64_t>(),
                                    binding.at("refresh_in").get<double>()));
    } else {
        line("binding", "none");
    }
    line("sequence", std::to_string(binding.at("sequence").get<unsigned>()));
    if (binding.at("last_status").is_object()) {
        line("last answer",
             fmt::format("{} {}", binding.at("last_status").at("code").get<unsigned>(),
                         binding.at("last_status").at("text").get<std::string>()));
    }
    line("packets leave by", tunnel.at("route").get<std::string>() +
                                 (tunnel.at("care_of_address").is_string()
                                      ? " from " + tunnel.at("care_of_address").get<std::string>() +
                                            ", " + tunnel.at("encapsulation").get<std::string>()
                                      : ""));
    if (in.at("nat").is_object()) {
        const Json& nat = in.at("nat");
        const auto port = [&](const char* key) {
            return tunnel.at(key).is_number() ? std::to_string(tunnel.at(key).get<unsigned>())
                                              : std::string("-");
        };
        line("NAT",
             nat.at("verdict").get<std::string>() + ", our UDP port " + port("udp_port") +
                 ", for ESP " + port("esp_port") +
                 (nat.at("keepalive_in").is_number()
                      ? fmt::format(", keepalive in {:.0f} s", nat.at("keepalive_in").get<double>())
                      : ""));
    }
    line("device", fmt::format("{}, MTU {}", tunnel.at("device").get<std::string>(),
                               tunnel.at("mtu").get<unsigned>()));
    for (const Json& sa : in.at("security_associations")) {
        line("SA",
             fmt::format("{:<3} {} {} {}, {} packets, sequence {}, {} errors",
                         sa.at("direction").get<std::string>(), sa.at("spi").get<std::string>(),
                         sa.at("mode").get<std::string>(), sa.at("algorithm").get<std::string>(),
                         sa.at("packets").get<std::uint64_t>(),
                         sa.at("sequence").get<std::uint64_t>(),
                         sa.at("errors").get<std::uint64_t>()));
    }
    if (in.at("route_optimisation").is_object()) {
        for (const Json& one : in.at("route_optimisation").at("correspondents")) {
            line("correspondent",
                 fmt::format("{} {}, {:.0f} s left", one.at("address").get<std::string>(),
                             one.at("state").get<std::string>(),
                             one.at("lifetime_left").get<double>()));
        }
    }
    if (!in.at("handovers").empty()) {
        out += fmt::format("\n{:<10}{:<28}{:<28}{:>10}{:>9}{:>9}{:>9}{:>6}\n", "time", "from", "to",
                           "ms", "sent", "received", "dropped", "held");
    }
    for (const Json& one : in.at("handovers")) {
        const auto at = static_cast<std::time_t>(one.at("time").get<double>());
        out += fmt::format(
            "{:%H:%M:%S}  {:<28}{:<28}{:>10}{:>9}{:>9}{:>9}{:>6}\n", fmt::localtime(at),
            one.at("from").get<std::string>(), one.at("to").get<std::string>(),
            one.at("milliseconds").is_null()
                ? std::string("-")
                : fmt::format("{:.1f}", one.at("milliseconds").get<double>()),
            one.at("sent").get<std::uint64_t>(), one.at("received").get<std::uint64_t>(),
            one.at("dropped").get<std::uint64_t>(), one.at("held").get<std::uint64_t>());
    }
    out += "\n";
    for (const auto& [name, value] : in.at("counters").items()) {
        if (value.get<std::uint64_t>() != 0) {
            out += fmt::format("{:<26}{:>14}\n", name, value.get<std::uint64_t>());
        }
    }
    return out;
}

std::string error_text(const std::string& json) {
    return Json::parse(json).value("error", std::string());
}

std::string event_text(const std::string& json) {
    const Json in = Json::parse(json);
    const double time = in.at("time").get<double>();
    const auto whole = static_cast<std::time_t>(time);
    return fmt::format("{:%H:%M:%S}.{:03}  {:<14} {:<14} {}", fmt::localtime(whole),
                       static_cast<int>((time - static_cast<double>(whole)) * 1000),
                       in.at("state").get<std::string>(), in.at("event").get<std::string>(),
                       in.at("text").get<std::string>());
}

}  // namespace homeport::mobile_node
