// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <nlohmann/json.hpp>

#include "controlplane/management/commands.hpp"
#include "controlplane/management/statistics_view.hpp"
#include "controlplane/mip6/home_agent.hpp"

namespace homeport::management {

namespace {

using binding::Entry;
using binding::State;
using nlohmann::json;

const char* state_name(State state) {
    switch (state) {
        case State::kTentative:
            return "tentative";
        case State::kActive:
            return "active";
        case State::kDeleteWait:
            break;
    }
    return "delete_wait";
}

// As the binding update spelled them (RFC 6275 6.1.7, RFC 3963).
std::string flags_of(const Entry& entry) {
    std::string flags;
    if (entry.home_registration) flags += 'H';
    if (entry.link_local) flags += 'L';
    if (entry.key_management_mobility) flags += 'K';
    if (entry.mobile_router) flags += 'R';
    if (entry.force_udp) flags += 'F';
    return flags;
}

// RFC 3963 section 5.2.
const char* prefix_mode_name(binding::PrefixMode mode) {
    switch (mode) {
        case binding::PrefixMode::kImplicit:
            return "implicit";
        case binding::PrefixMode::kExplicit:
            return "explicit";
        case binding::PrefixMode::kNone:
            break;
    }
    return "none";
}

json view(const Entry& entry, const Appliance& appliance) {
    const auto left = binding::remaining(entry, appliance.now());
    json shown{
        {"home_address", entry.home_address.to_string()},
        {"care_of_address", to_string(entry.care_of_address)},
        {"node", entry.node},
        {"state", state_name(entry.state)},
        {"lifetime", entry.lifetime.seconds().count()},
        {"remaining", std::chrono::ceil<std::chrono::seconds>(left).count()},
        {"sequence", entry.sequence},
        {"flags", flags_of(entry)},
        {"home_agent", entry.home_agent.to_string()},
        {"home_link", entry.virtual_home_link ? std::string("virtual")
                                              : port_name(appliance.ports(), entry.home_port)},
        {"encapsulation", binding::to_string(entry.encapsulation)}};
    shown["ipv4_home_addresses"] = json::array();
    shown["mobile_prefixes"] = json::array();
    shown["prefix_mode"] = prefix_mode_name(entry.prefix_mode);
    for (const Ipv6Prefix& prefix : entry.mobile_prefixes) {
        shown["mobile_prefixes"].push_back(prefix.to_string());
    }
    for (const binding::Ipv4Home& home : entry.ipv4_homes) {
        if (home.prefix.length == Ipv4Prefix::kMaxLength) {
            shown["ipv4_home_addresses"].push_back(home.prefix.address.to_string());
        } else {
            shown["mobile_prefixes"].push_back(home.prefix.to_string());
        }
    }
    channel::BindingRow counted;
    const auto* statistics = appliance.statistics();
    const auto index = appliance.counter_index(entry.home_address);
    if (statistics != nullptr && index) {
        counted = statistics->binding(*index).value_or(channel::BindingRow{});
    }
    shown["out_packets"] = counted.out_packets;
    shown["out_bytes"] = counted.out_bytes;
    shown["in_packets"] = counted.in_packets;
    shown["in_bytes"] = counted.in_bytes;
    return shown;
}

bool matches(const Entry& entry, const std::string& filter, const std::string& state) {
    if (!state.empty() && state != state_name(entry.state)) return false;
    return filter.empty() || entry.home_address.to_string().find(filter) != std::string::npos ||
           to_string(entry.care_of_address).find(filter) != std::string::npos ||
           entry.node.find(filter) != std::string::npos;
}

std::expected<json, CommandError> show_bindings(const json& arguments, const Appliance& appliance) {
    const auto filter = arguments.value("filter", std::string());
    const auto state = arguments.value("state", std::string());
    const auto limit = arguments.value("limit", std::size_t{1000});
    std::optional<Ipv6Address> after;
    if (arguments.contains("after")) {
        const auto text = arguments["after"].get<std::string>();
        after = Ipv6Address::parse(text);
        if (!after) {
            return std::unexpected(CommandError{
                "bad_argument", "after: found '" + text + "', expected an IPv6 address", {}});
        }
    }
    const binding::Cache& cache = appliance.home_agent().bindings();
    std::vector<const Entry*> page;
    cache.for_each([&](const Entry& entry) {
        if (after && entry.home_address <= *after) return;
        if (matches(entry, filter, state)) page.push_back(&entry);
    });
    const std::size_t shown = std::min(limit, page.size());
    std::ranges::partial_sort(page, page.begin() + static_cast<std::ptrdiff_t>(shown), {},
                              [](const Entry* entry) { return entry->home_address; });
    json rows = json::array();
    for (std::size_t i = 0; i < shown; ++i) rows.push_back(view(*page[i], appliance));
    json next;
    if (shown < page.size()) next = page[shown - 1]->home_address.to_string();
    return json{{"bindings", std::move(rows)}, {"total", cache.size()}, {"next", next}};
}

CommandError no_such_binding(const std::string& address) {
    return {"not_found", "found no binding of " + address + ", expected a bound home address", {}};
}

}  // namespace

void register_binding_commands(Dispatcher& dispatcher, Appliance& appliance) {
    dispatcher.handle("show bindings", [&appliance](const json& arguments) {
        return show_bindings(arguments, appliance);
    });
    dispatcher.handle(
        "show binding", [&appliance](const json& arguments) -> std::expected<json, CommandError> {
            const auto text = arguments.at("address").get<std::string>();
            const auto* entry = appliance.home_agent().bindings().find(*Ipv6Address::parse(text));
            if (entry == nullptr) return std::unexpected(no_such_binding(text));
            return view(*entry, appliance);
        });
    dispatcher.handle(
        "clear binding", [&appliance](const json& arguments) -> std::expected<json, CommandError> {
            const auto text = arguments.at("address").get<std::string>();
            const auto address = Ipv6Address::parse(text);
            if (!address && text != "all") {
                return std::unexpected(CommandError{
                    "bad_address", "found '" + text + "', expected an IPv6 address or all", {}});
            }
            const std::size_t cleared = appliance.clear_bindings(address);
            if (address && cleared == 0) return std::unexpected(no_such_binding(text));
            return json{{"cleared", cleared}};
        });
}

}  // namespace homeport::management
