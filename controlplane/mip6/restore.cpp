// SPDX-License-Identifier: BSD-3-Clause
// Bindings across a restart of the control plane, and across a change of the configuration.
#include <algorithm>
#include <iterator>
#include <utility>

#include "controlplane/mip6/home_agent.hpp"

namespace homeport::mip6 {

using binding::Entry;
using binding::State;

/// Whether the configuration still serves this home address.
bool HomeAgent::is_served(const Ipv6Address& home_address) const {
    if (!config_.enabled || home_prefix_of(home_address) == nullptr) return false;
    const MobileNodePolicy* policy = policy_of(home_address);
    return policy != nullptr ? !policy->prohibited : config_.accept_unknown_nodes;
}

/// Brings what an entry took over from the configuration in line with it; true if that changed it.
bool HomeAgent::align_with_config(Entry& entry) const {
    const HomePrefix* prefix = home_prefix_of(entry.home_address);
    TimePoint deadline = entry.deadline;
    // A wall clock that was set back must not lengthen a lifetime.
    if (entry.is_active()) deadline = std::min(deadline, now_ + entry.lifetime.seconds());
    if (prefix->valid_until) deadline = std::min(deadline, *prefix->valid_until);
    const MobileNodePolicy* policy = policy_of(entry.home_address);
    const auto taken_away = std::erase_if(entry.ipv4_homes, [&](const binding::Ipv4Home& home) {
        return policy == nullptr || policy->ipv4_home_prohibited ||
               policy->ipv4_home_address != home.prefix.address;
    });
    const bool other_prefixes = align_mobile_prefixes(entry);
    const bool changed = deadline != entry.deadline || taken_away != 0 || other_prefixes ||
                         prefix->is_virtual != entry.virtual_home_link ||
                         prefix->port != entry.home_port;
    entry.deadline = deadline;
    entry.virtual_home_link = prefix->is_virtual;
    entry.home_port = prefix->port;
    return changed;
}

/// The mobile router learns of it with its next binding update.
bool HomeAgent::align_mobile_prefixes(Entry& entry) const {
    const MobileNodePolicy* policy = policy_of(entry.home_address);
    const bool may = config_.mobile_router_service && policy != nullptr && policy->mobile_router;
    std::vector<Ipv6Prefix> allowed;
    if (may && entry.prefix_mode == binding::PrefixMode::kImplicit) {
        allowed = policy->mobile_prefixes;
    } else if (may) {
        std::ranges::copy_if(entry.mobile_prefixes, std::back_inserter(allowed),
                             [&](const Ipv6Prefix& named) { return owns(*policy, named); });
    }
    if (allowed == entry.mobile_prefixes) return false;
    entry.mobile_prefixes = std::move(allowed);
    return true;
}

Actions HomeAgent::restore(std::span<const Entry> entries, TimePoint now) {
    now_ = std::max(now_, now);
    for (const Entry& stored : entries) {
        const auto refuse = [&](const char* detail) {
            count(Counter::kBindingNotRestored, stored.home_address, stored.care_of_address,
                  detail);
            actions_.push_back(ErasePersisted{stored.home_address});
        };
        if (stored.state == State::kTentative || stored.deadline <= now_) {
            refuse("expired meanwhile");
            continue;
        }
        if (!is_served(stored.home_address)) {
            refuse("no longer served");
            continue;
        }
        Entry entry = stored;
        (void)align_with_config(entry);
        const MobileNodePolicy* policy = policy_of(entry.home_address);
        entry.node = policy != nullptr ? policy->identity : std::string{};
        const auto inserted = cache_.insert(std::move(entry));
        if (!inserted) {
            refuse("limit of bindings");
            continue;
        }
        count(Counter::kBindingRestored, stored.home_address, stored.care_of_address);
        if (!(*inserted)->is_active()) continue;
        join(**inserted);
        actions_.push_back(InstallBinding{**inserted});
    }
    return take_actions();
}

Actions HomeAgent::reconfigure(HomeAgentConfig config, TimePoint now) {
    now_ = std::max(now_, now);
    const auto before = std::exchange(config_, std::move(config)).home_prefixes;
    build_index();
    cache_.set_limits(config_.limits);
    make_rate_limiters();

    std::vector<Ipv6Address> all;
    cache_.for_each([&all](const Entry& entry) { all.push_back(entry.home_address); });
    for (const Ipv6Address& home_address : all) {
        Entry& entry = *cache_.find(home_address);
        if (!is_served(home_address)) {
            if (entry.is_active()) {
                count(Counter::kBindingDeleted, home_address, entry.care_of_address,
                      "no longer served");
            }
            remove(home_address, RemovalReason::kNotServed);
            continue;
        }
        Entry aligned = entry;
        if (!align_with_config(aligned)) continue;
        if (entry.state == State::kTentative) {
            // Its probe runs on a link that may be another one now: the mobile node asks again.
            remove(home_address, RemovalReason::kNotServed);
            continue;
        }
        if (entry.is_active()) {
            join(aligned);
            leave(entry);
        }
        entry.virtual_home_link = aligned.virtual_home_link;
        entry.home_port = aligned.home_port;
        entry.ipv4_homes = aligned.ipv4_homes;
        entry.mobile_prefixes = aligned.mobile_prefixes;
        cache_.set_deadline(entry, aligned.deadline);
        actions_.push_back(PersistBinding{entry});
        if (entry.is_active()) actions_.push_back(InstallBinding{entry});
    }
    schedule_prefix_advertisements(before);
    return take_actions();
}

}  // namespace homeport::mip6
