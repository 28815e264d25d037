// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "controlplane/ipsec/sa_source.hpp"
#include "controlplane/management/commands.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/spd.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::management {

namespace {

using Description = sa::SaSource::Description;
using nlohmann::json;

const char* mode_name(ipsec::Mode mode) {
    return mode == ipsec::Mode::kTunnel ? "tunnel" : "transport";
}

const char* state_name(std::uint64_t state) {
    if ((state & channel::kSaHardExpired) != 0) return "hard";
    return (state & channel::kSaSoftExpired) != 0 ? "soft" : "live";
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
               {"peer", sa::peer_text(sa.peer)},
               {"policy", policy},
               {"mode", mode_name(sa.mode)},
               {"algorithm", ipsec::info(sa.algorithm).name},
               {"replay_window", sa.replay_window},
               {"esn", sa.extended_sequence},
               {"source", sa.by_operator ? "operator" : "configuration"},
               {"owner_worker", nullptr},
               {"packets", nullptr},
               {"bytes", nullptr},
               {"errors", nullptr},
               {"highest_sequence", nullptr},
               {"state", nullptr},
               {"bytes_left", nullptr},
               {"packets_left", nullptr},
               {"seconds_left", nullptr}};
    const auto it = rows.find({sa.spi, static_cast<std::uint8_t>(sa.direction)});
    if (it != rows.end()) {
        shown["packets"] = it->second.packets;
        shown["bytes"] = it->second.bytes;
        shown["errors"] = it->second.errors;
        shown["highest_sequence"] = it->second.highest_sequence;
        shown["owner_worker"] = it->second.owner_worker;
        shown["state"] = state_name(it->second.state);
        if (sa.hard_bytes != 0) {
            shown["bytes_left"] = sa.hard_bytes - std::min(sa.hard_bytes, it->second.bytes);
        }
        if (it->second.seconds_left != channel::SaRow::kNoLimit) {
            shown["seconds_left"] = it->second.seconds_left;
        }
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
        if (!filter.empty() && sa::peer_text(sa.peer).find(filter) == std::string::npos &&
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

using Hits = std::map<std::uint16_t, channel::PolicyRow>;

Hits hits_of(const channel::StatisticsReader* statistics) {
    Hits hits;
    if (statistics == nullptr) return hits;
    for (const auto& [index, row] : statistics->policies()) hits[row.policy_id] = row;
    return hits;
}

json show_spd(const Appliance& appliance) {
    json policies = json::array();
    const Hits hits = hits_of(appliance.statistics());
    for (const ipsec::PolicyEntry& entry : appliance.sa_source().policies()) {
        json shown{{"order", policies.size() + 1},
                   {"id", entry.id},
                   {"name", entry.name},
                   {"action", action_name(entry.action)},
                   {"mode", ""},
                   {"per_remote_address", false},
                   {"selectors", entry.selectors.to_string()},
                   {"in_packets", nullptr},
                   {"in_bytes", nullptr},
                   {"out_packets", nullptr},
                   {"out_bytes", nullptr}};
        if (const auto row = hits.find(entry.id); row != hits.end()) {
            shown["in_packets"] = row->second.in_packets;
            shown["in_bytes"] = row->second.in_bytes;
            shown["out_packets"] = row->second.out_packets;
            shown["out_bytes"] = row->second.out_bytes;
        }
        if (entry.action == ipsec::Action::kProtect) {
            shown["mode"] = mode_name(entry.protect.mode);
            shown["per_remote_address"] = entry.protect.populate_remote;
        }
        policies.push_back(std::move(shown));
    }
    return {{"policies", std::move(policies)}};
}

CommandError bad_argument(const std::string& name, const std::string& found,
                          const std::string& expected) {
    return {"bad_argument", name + ": found '" + found + "', expected " + expected, {}};
}

// "4097" or "0x1001"; nothing of either: no value.
std::optional<std::uint32_t> spi_of(const std::string& text) {
    const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
    const char* const first = text.data() + (is_hex ? 2 : 0);
    const char* const last = text.data() + text.size();
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(first, last, value, is_hex ? 16 : 10);
    if (error != std::errc() || end != last) return std::nullopt;
    return value;
}

channel::SaDirection direction_of(const json& arguments) {
    return arguments.at("direction") == "in" ? channel::SaDirection::kInbound
                                             : channel::SaDirection::kOutbound;
}

std::expected<json, CommandError> add_sa(const json& arguments, Appliance& appliance) {
    sa::OperatorSa wanted;
    wanted.home_address = *Ipv6Address::parse(arguments.at("home_address").get<std::string>());
    wanted.purpose = arguments.at("purpose").get<std::string>();
    wanted.direction = direction_of(arguments);
    const auto text = arguments.value("spi", std::string());
    if (!text.empty()) {
        const auto spi = spi_of(text);
        if (!spi || *spi == 0) {
            return std::unexpected(
                bad_argument("spi", text, "a number from 256 to 4294967295, or 0x and hex digits"));
        }
        wanted.spi = *spi;
    }
    wanted.algorithm = arguments.at("algorithm").get<std::string>();
    wanted.key_file = arguments.at("key_file").get<std::string>();
    if (!wanted.key_file.starts_with('/')) {
        return std::unexpected(bad_argument("key_file", wanted.key_file, "an absolute path"));
    }
    wanted.replay_window = arguments.at("replay_window").get<std::uint16_t>();
    wanted.extended_sequence = arguments.value("esn", false);
    wanted.soft_seconds = arguments.at("soft_seconds").get<std::uint32_t>();
    wanted.hard_seconds = arguments.at("hard_seconds").get<std::uint32_t>();
    wanted.soft_bytes = arguments.at("soft_bytes").get<std::uint64_t>();
    wanted.hard_bytes = arguments.at("hard_bytes").get<std::uint64_t>();
    const auto added = appliance.add_sa(std::move(wanted));
    if (!added) return std::unexpected(added.error());
    return json{{"spi", ipsec::Spi{*added}.to_string()}};
}

std::expected<json, CommandError> delete_sa(const json& arguments, Appliance& appliance) {
    const auto text = arguments.at("spi").get<std::string>();
    const auto spi = spi_of(text);
    if (!spi) return std::unexpected(bad_argument("spi", text, "a number, or 0x and hex digits"));
    sa::SaName name{*spi, direction_of(arguments), {}};
    const auto peers = appliance.sa_source().peers_of(name.spi, name.direction);
    if (arguments.contains("home_address")) {
        name.home_address = *Ipv6Address::parse(arguments["home_address"].get<std::string>());
    } else if (peers.size() > 1) {
        return std::unexpected(bad_argument(
            "home_address", "none", "one: " + std::to_string(peers.size()) + " SAs have this SPI"));
    } else if (!peers.empty()) {
        name.home_address = peers.front();
    }
    if (std::ranges::find(peers, name.home_address) == peers.end()) {
        return std::unexpected(CommandError{
            "not_found", "found no SA with SPI " + text + ", expected one of show sa", {}});
    }
    if (auto deleted = appliance.delete_sa(name); !deleted) {
        return std::unexpected(deleted.error());
    }
    return json{{"spi", ipsec::Spi{name.spi}.to_string()},
                {"home_address", sa::peer_text(name.home_address)}};
}

// "3,1,2": those entries first, the others behind in their order.
std::expected<std::vector<ipsec::PolicyEntry>, CommandError> reorder(
    const std::vector<ipsec::PolicyEntry>& entries, const std::string& order) {
    std::vector<ipsec::PolicyEntry> result;
    std::vector<bool> taken(entries.size());
    const char* at = order.data();
    const char* const last = at + order.size();
    while (at != last) {
        std::size_t number = 0;
        const auto [end, error] = std::from_chars(at, last, number);
        const bool is_right = error == std::errc() && number >= 1 && number <= entries.size() &&
                              !taken[number - 1] &&
                              (end == last || (*end == ',' && end + 1 != last));
        if (!is_right) {
            return std::unexpected(bad_argument(
                "order", order,
                "different numbers from 1 to " + std::to_string(entries.size()) + " and commas"));
        }
        taken[number - 1] = true;
        result.push_back(entries[number - 1]);
        at = end == last ? end : end + 1;
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!taken[i]) result.push_back(entries[i]);
    }
    return result;
}

std::expected<json, CommandError> lint_spd(const json& arguments, const Appliance& appliance) {
    const auto entries =
        reorder(appliance.sa_source().policies(), arguments.value("order", std::string()));
    if (!entries) return std::unexpected(entries.error());
    json findings = json::array();
    for (const std::string& text : sa::lint_order(*entries)) {
        findings.push_back({{"kind", "order"}, {"text", text}});
    }
    for (const ipsec::LintFinding& finding : ipsec::lint(*entries)) {
        const bool is_hidden = finding.kind == ipsec::LintFinding::Kind::kShadowed;
        findings.push_back({{"kind", is_hidden ? "hidden" : "overlap"}, {"text", finding.text}});
    }
    return json{{"policies", entries->size()}, {"findings", std::move(findings)}};
}

}  // namespace

void register_security_commands(Dispatcher& dispatcher, Appliance& appliance) {
    dispatcher.handle(
        "show sa", [&appliance](const json& arguments) { return show_sa(arguments, appliance); });
    dispatcher.handle("show spd", [&appliance](const json&) { return show_spd(appliance); });
    dispatcher.handle("sa add",
                      [&appliance](const json& arguments) { return add_sa(arguments, appliance); });
    dispatcher.handle("sa delete", [&appliance](const json& arguments) {
        return delete_sa(arguments, appliance);
    });
    dispatcher.handle(
        "spd lint", [&appliance](const json& arguments) { return lint_spd(arguments, appliance); });
}

}  // namespace homeport::management
