// SPDX-License-Identifier: BSD-3-Clause
// SAs that an operator adds to those of the configuration, and takes away.
#include <algorithm>
#include <map>

#include "controlplane/ipsec/sa_source.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::sa {

namespace {

constexpr std::size_t kMostOfOneEntry = 4;  // as many as the data plane's cache entry takes

std::optional<TableEntry> entry_of(const std::string& purpose) {
    static const std::map<std::string, TableEntry, std::less<>> kEntries{
        {"bu", TableEntry::kBindingUpdate},
        {"mps", TableEntry::kPrefixDiscovery},
        {"rr", TableEntry::kReturnRoutability},
        {"cn", TableEntry::kCorrespondentMobile},
        {"payload", TableEntry::kPayload}};
    const auto found = kEntries.find(purpose);
    if (found == kEntries.end()) return std::nullopt;
    return found->second;
}

std::unexpected<std::string> expected(const std::string& what, const std::string& found,
                                      const std::string& wanted) {
    return std::unexpected(what + ": found " + found + ", expected " + wanted);
}

std::expected<void, std::string> check_numbers(const OperatorSa& sa) {
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    if (sa.spi < 256) return expected("spi", number(sa.spi), "256 or more");
    const bool window_is_right =
        sa.replay_window == 0 || (sa.replay_window >= 64 && sa.replay_window <= 4096);
    if (!window_is_right) {
        return expected("replay_window", number(sa.replay_window), "64 to 4096, or 0 for none");
    }
    const bool inbound = sa.direction == channel::SaDirection::kInbound;
    if (!inbound && sa.replay_window != 0) {
        return expected("replay_window", number(sa.replay_window),
                        "none: an outbound SA has no window");
    }
    if (inbound && sa.extended_sequence && sa.replay_window == 0) {
        return expected("replay_window", "none",
                        "64 to 4096 with extended sequence numbers (RFC 4303 appendix A2)");
    }
    if (sa.hard_seconds != 0 && sa.soft_seconds > sa.hard_seconds) {
        return expected("soft_seconds", number(sa.soft_seconds),
                        "no more than hard_seconds, " + number(sa.hard_seconds));
    }
    if (sa.hard_bytes != 0 && sa.soft_bytes > sa.hard_bytes) {
        return expected("soft_bytes", number(sa.soft_bytes),
                        "no more than hard_bytes, " + number(sa.hard_bytes));
    }
    return {};
}

std::optional<Ipv4Address> ipv4_home_address_of(const Ipv6Address& home_address,
                                                const config::ControlplaneConfig& config) {
    const auto node = std::ranges::find(config.mobile_nodes, home_address,
                                        &config::MobileNodeConfig::home_address);
    if (node != config.mobile_nodes.end()) return node->ipv4_home_address;
    for (const config::MobileNodeRangeConfig& range : config.mobile_node_ranges) {
        const std::uint64_t index = home_address.low() - range.first.low();
        if (!range.ipv4_first || home_address.high() != range.first.high() ||
            index >= range.count) {
            continue;
        }
        return nth_home_address(*range.ipv4_first, static_cast<std::uint32_t>(index));
    }
    return std::nullopt;
}

}  // namespace

std::expected<void, std::string> StaticSaSource::check_room(const Sa& sa) const {
    const bool inbound = sa.direction == channel::SaDirection::kInbound;
    std::size_t of_entry = 0;
    for (const Sa& other : sas_) {
        if (other.direction != sa.direction) continue;
        if (other.spi == sa.spi && (inbound || other.home_address == sa.home_address)) {
            return expected("spi",
                            ipsec::Spi{sa.spi}.to_string() + ", which is in use by " +
                                other.home_address.to_string(),
                            "one that is free");
        }
        if (other.policy == sa.policy && other.home_address == sa.home_address) ++of_entry;
    }
    if (!inbound && of_entry >= kMostOfOneEntry) {
        return expected("direction",
                        std::to_string(of_entry) + " outbound SAs of this kind for " +
                            sa.home_address.to_string(),
                        "at most 4: delete an old one first");
    }
    return {};
}

std::expected<void, std::string> StaticSaSource::add(const OperatorSa& wanted,
                                                     const config::ControlplaneConfig& config) {
    const auto entry = entry_of(wanted.purpose);
    if (!entry)
        return expected("purpose", "'" + wanted.purpose + "'", "bu, mps, rr, cn or payload");
    const auto algorithm = ipsec::parse_algorithm(wanted.algorithm);
    if (!algorithm) return expected("algorithm", "'" + wanted.algorithm + "'", "one that is known");
    if (auto allowed = check_static_key(*algorithm, config.policy.lab_static_gcm); !allowed) {
        return std::unexpected("algorithm: " + allowed.error().text);
    }
    if (auto checked = check_numbers(wanted); !checked) return checked;
    const auto link = std::ranges::find_if(config.home_links, [&](const auto& candidate) {
        return candidate.prefix.contains(wanted.home_address);
    });
    const std::string address = wanted.home_address.to_string();
    if (link == config.home_links.end()) {
        return expected("home_address", address, "one inside a home prefix");
    }
    const auto agent = config.home_agent_address(link->prefix);
    if (!agent) return expected("home_address", address, "a prefix with a home agent address");
    Sa sa;
    sa.direction = wanted.direction;
    sa.spi = wanted.spi;
    sa.policy = policy_id(*entry, static_cast<std::size_t>(link - config.home_links.begin()));
    const auto policy = std::ranges::find(policies_, sa.policy, &ipsec::PolicyEntry::id);
    if (policy == policies_.end() || policy->action != ipsec::Action::kProtect) {
        return expected("purpose", "'" + wanted.purpose + "', which the policy does not protect",
                        "one that it does (hactl show spd)");
    }
    sa.algorithm = *algorithm;
    sa.home_address = wanted.home_address;
    sa.home_agent = *agent;
    if (*entry == TableEntry::kPayload) {  // it carries the node's IPv4 payload, too
        sa.ipv4_home_address = ipv4_home_address_of(wanted.home_address, config);
    }
    sa.replay_window = wanted.replay_window;
    sa.extended_sequence = wanted.extended_sequence;
    sa.by_operator = true;
    sa.soft_seconds = wanted.soft_seconds;
    sa.hard_seconds = wanted.hard_seconds;
    sa.soft_bytes = wanted.soft_bytes;
    sa.hard_bytes = wanted.hard_bytes;
    sa.added_unix = wanted.added_unix;
    if (auto room = check_room(sa); !room) return room;
    auto keys = load_sa_keys(wanted.key_file, *algorithm);
    if (!keys) return std::unexpected(keys.error().text);
    sa.keys = std::move(*keys);
    sas_.push_back(std::move(sa));
    return {};
}

SaSource::Issued StaticSaSource::last_sa(SequenceLedger& ledger, std::uint32_t workers,
                                         const Visit& visit) const {
    return issue(std::span(sas_).last(sas_.empty() ? 0 : 1), ledger, workers, visit);
}

std::optional<channel::SaRemove> StaticSaSource::remove(const SaName& name) {
    const auto found = std::ranges::find_if(sas_, [&](const Sa& sa) {
        return sa.spi == name.spi && sa.direction == name.direction &&
               sa.home_address == name.home_address;
    });
    if (found == sas_.end()) return std::nullopt;
    channel::SaRemove record;
    record.spi = found->spi;
    record.direction = found->direction;
    record.peer = channel::WireAddress(found->home_address);
    record.policy_id = found->policy;
    sas_.erase(found);
    return record;
}

std::vector<Ipv6Address> StaticSaSource::peers_of(std::uint32_t spi,
                                                  channel::SaDirection direction) const {
    std::vector<Ipv6Address> peers;
    for (const Sa& sa : sas_) {
        if (sa.spi == spi && sa.direction == direction) peers.push_back(sa.home_address);
    }
    return peers;
}

}  // namespace homeport::sa
