// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "controlplane/ipsec/sa_source.hpp"
#include "controlplane/management/commands.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::management {

namespace {

using Description = sa::SaSource::Description;
using nlohmann::json;

const char* mode_name(ipsec::Mode mode) {
    return mode == ipsec::Mode::kTunnel ? "tunnel" : "transport";
}

const char* action_name(ipsec::Action action) {
    switch (action) {
        case ipsec::Action::kProtect:
            return "protect";
        case ipsec::Action::kBypass:
            return "bypass";
        case ipsec::Action::kDiscard:
            break;
    }
    return "discard";
}

std::string policy_name(const sa::SaSource& source, ipsec::PolicyId id) {
    const auto it = std::ranges::find(source.policies(), id, &ipsec::PolicyEntry::id);
    return it == source.policies().end() ? std::to_string(id) : it->name;
}

using Rows = std::map<std::pair<std::uint32_t, std::uint8_t>, channel::SaRow>;

Rows rows_of(const channel::StatisticsReader* statistics) {
    Rows rows;
    if (statistics == nullptr) return rows;
    for (const auto& [index, row] : statistics->sas()) rows[{row.spi, row.direction}] = row;
    return rows;
}

json view(const Description& sa, const std::string& policy, const Rows& rows) {
    const bool is_inbound = sa.direction == channel::SaDirection::kInbound;
    json shown{{"spi", ipsec::Spi{sa.spi}.to_string()},
               {"direction", is_inbound ? "in" : "out"},
               {"peer", sa.peer.to_string()},
               {"policy", policy},
               {"mode", mode_name(sa.mode)},
               {"algorithm", ipsec::info(sa.algorithm).name},
               {"replay_window", sa.replay_window},
               {"esn", sa.extended_sequence},
               {"packets", nullptr},
               {"bytes", nullptr},
               {"errors", nullptr},
               {"highest_sequence", nullptr}};
    const auto it = rows.find({sa.spi, static_cast<std::uint8_t>(sa.direction)});
    if (it != rows.end()) {
        shown["packets"] = it->second.packets;
        shown["bytes"] = it->second.bytes;
        shown["errors"] = it->second.errors;
        shown["highest_sequence"] = it->second.highest_sequence;
    }
    return shown;
}

json show_sa(const json& arguments, const Appliance& appliance) {
    const auto filter = arguments.value("filter", std::string());
    const auto limit = arguments.value("limit", std::size_t{1000});
    const auto after = arguments.value("after", std::size_t{0});
    const sa::SaSource& source = appliance.sa_source();
    const Rows rows = rows_of(appliance.statistics());
    json shown = json::array();
    json next;
    std::size_t place = 0;
    source.describe([&](const Description& sa) {
        ++place;
        if (place <= after || !next.is_null()) return;
        const std::string policy = policy_name(source, sa.policy);
        if (!filter.empty() && sa.peer.to_string().find(filter) == std::string::npos &&
            policy.find(filter) == std::string::npos &&
            ipsec::Spi{sa.spi}.to_string().find(filter) == std::string::npos) {
            return;
        }
        if (shown.size() == limit) {
            next = place - 1;
            return;
        }
        shown.push_back(view(sa, policy, rows));
    });
    return {{"sas", std::move(shown)}, {"total", source.sa_count()}, {"next", next}};
}

json show_spd(const Appliance& appliance) {
    json policies = json::array();
    for (const ipsec::PolicyEntry& entry : appliance.sa_source().policies()) {
        json shown{{"order", policies.size() + 1},
                   {"id", entry.id},
                   {"name", entry.name},
                   {"action", action_name(entry.action)},
                   {"mode", ""},
                   {"per_remote_address", false},
                   {"selectors", entry.selectors.to_string()}};
        if (entry.action == ipsec::Action::kProtect) {
            shown["mode"] = mode_name(entry.protect.mode);
            shown["per_remote_address"] = entry.protect.populate_remote;
        }
        policies.push_back(std::move(shown));
    }
    return {{"policies", std::move(policies)}};
}

}  // namespace

void register_security_commands(Dispatcher& dispatcher, Appliance& appliance) {
    dispatcher.handle(
        "show sa", [&appliance](const json& arguments) { return show_sa(arguments, appliance); });
    dispatcher.handle("show spd", [&appliance](const json&) { return show_spd(appliance); });
}

}  // namespace homeport::management
