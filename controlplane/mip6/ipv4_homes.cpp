// SPDX-License-Identifier: BSD-3-Clause
// IPv4 home addresses and prefixes (RFC 5555 3.1.1, 3.2.1, 4.5): which option is answered how, the
// pools, and the defence on a home link. Section numbers are of RFC 5555.
#include <algorithm>

#include "controlplane/mip6/home_agent.hpp"

namespace homeport::mip6 {

using binding::Entry;
using binding::Ipv4Home;
using wire::Ipv4AckStatus;

namespace {

// A mobile node asks for an address and a prefix or two; each answer takes room in the answer.
constexpr std::ptrdiff_t kMostIpv4Homes = 16;

bool is_address(const Ipv4Home& home) {
    return home.prefix.length == Ipv4Prefix::kMaxLength;
}

/// Whether an option names what is held. Of a prefix any address says which one it is.
bool names(const wire::Ipv4HomeAddress& option, const Ipv4Home& held) {
    if (is_address(held)) return option.address == held.prefix.address && !option.prefix_requested;
    return Ipv4Prefix{option.address, option.prefix_length}.masked() == held.prefix;
}

bool holds(const std::vector<Ipv4Home>& homes, const Ipv4Prefix& prefix) {
    return std::ranges::find(homes, prefix, &Ipv4Home::prefix) != homes.end();
}

}  // namespace

// 4.5. Each option is answered for itself; a refusal does not reject the IPv6 binding.
StepResult HomeAgent::step_23_dual_stack(BindingRequest& request) {
    if (request.update.force_udp && !config_.accept_force_udp) {
        return StepResult::reject(wire::BindingStatus::kForceUdpNotAccepted, "forced UDP is off");
    }
    return answer_ipv4_homes(request);
}

StepResult HomeAgent::answer_ipv4_homes(BindingRequest& request) const {
    const auto asked = std::ranges::count_if(request.update.options, [](const auto& option) {
        return std::holds_alternative<wire::Ipv4HomeAddress>(option);
    });
    if (asked > kMostIpv4Homes) {
        return StepResult::reject(wire::BindingStatus::kReasonUnspecified,
                                  "more than 16 IPv4 Home Address options");
    }
    for (const wire::MobilityOption& option : request.update.options) {
        const auto* home = std::get_if<wire::Ipv4HomeAddress>(&option);
        if (home == nullptr) continue;
        const Ipv4Verdict verdict = judge_ipv4_home(request, *home);
        // 3.2.1: on failure the length is 0; on success it overrides what was asked for.
        wire::Ipv4AddressAcknowledgement answer{.status = static_cast<std::uint8_t>(verdict.status),
                                                .prefix_length = 0,
                                                .address = home->address};
        if (verdict.status == Ipv4AckStatus::kSuccess) {
            const Ipv4Prefix& granted = verdict.granted.prefix;
            answer.prefix_length = granted.length;
            if (is_address(verdict.granted) || home->address.is_unspecified()) {
                answer.address = granted.address;
            }
            // Named twice, granted once.
            if (!holds(request.ipv4_homes, granted)) request.ipv4_homes.push_back(verdict.granted);
        }
        request.ipv4_answers.push_back(answer);
    }
    return StepResult::go_on();
}

HomeAgent::Ipv4Verdict HomeAgent::judge_ipv4_home(const BindingRequest& request,
                                                  const wire::Ipv4HomeAddress& home) const {
    using enum Ipv4AckStatus;
    if (home.prefix_length == 0 || home.prefix_length > Ipv4Prefix::kMaxLength) {
        return {kUnspecified, {}};
    }
    const MobileNodePolicy* policy = policy_of(request.home_address);
    if (policy != nullptr && policy->ipv4_home_prohibited) return {kAdministrativelyProhibited, {}};
    // A refresh: what the binding has stays, and P means nothing (3.1.1).
    if (const Entry* entry = cache_.find(request.home_address)) {
        for (const Ipv4Home& held : entry->ipv4_homes) {
            if (names(home, held)) return {kSuccess, held};
        }
    }
    if (home.prefix_requested) return judge_ipv4_prefix(request, home, policy);
    if (home.address.is_unspecified()) return assign_ipv4_home(request, policy);
    if (!home.address.is_unicast()) return {kInvalidAddress, {}};
    const Ipv4Prefix one{home.address, Ipv4Prefix::kMaxLength};
    if (policy != nullptr && policy->ipv4_home_address == home.address &&
        is_free_for(one, request.home_address)) {
        return {kSuccess, {.prefix = one, .dynamic = false}};
    }
    // The refresh of a prefix whose binding was lost here does not say P any more.
    if (home.prefix_length < Ipv4Prefix::kMaxLength) {
        const Ipv4Verdict prefix = judge_ipv4_prefix(request, home, policy);
        if (prefix.status == kSuccess) return prefix;
    }
    return {kIncorrectHomeAddress, {}};
}

/// P: a prefix of this node's; 0.0.0.0 asks for any, best of the length that is named.
HomeAgent::Ipv4Verdict HomeAgent::judge_ipv4_prefix(const BindingRequest& request,
                                                    const wire::Ipv4HomeAddress& home,
                                                    const MobileNodePolicy* policy) const {
    using enum Ipv4AckStatus;
    const bool any = home.address.is_unspecified();
    if (!any && !home.address.is_unicast()) return {kInvalidAddress, {}};
    if (policy == nullptr) return {kPrefixAllocationUnauthorized, {}};
    if (!any) {
        const Ipv4Prefix named = Ipv4Prefix{home.address, home.prefix_length}.masked();
        const bool is_own =
            std::ranges::any_of(policy->ipv4_mobile_prefixes, [&](const Ipv4Prefix& owned) {
                return owned.length <= named.length && owned.contains(named.address);
            });
        if (!is_own || !is_free_for(named, request.home_address))
            return {kPrefixAllocationUnauthorized, {}};
        return {kSuccess, {.prefix = named, .dynamic = false}};
    }
    const Ipv4Prefix* best = nullptr;
    for (const Ipv4Prefix& owned : policy->ipv4_mobile_prefixes) {
        if (holds(request.ipv4_homes, owned) || !is_free_for(owned, request.home_address)) continue;
        if (best == nullptr ||
            (best->length != home.prefix_length && owned.length == home.prefix_length)) {
            best = &owned;
        }
    }
    if (best == nullptr) return {kPrefixAllocationUnauthorized, {}};
    return {kSuccess, {.prefix = *best, .dynamic = false}};
}

/// 0.0.0.0: the node's own address, else what it got from the pool before (its first update may be
/// repeated, the answer being lost), else a free one.
HomeAgent::Ipv4Verdict HomeAgent::assign_ipv4_home(const BindingRequest& request,
                                                   const MobileNodePolicy* policy) const {
    using enum Ipv4AckStatus;
    const auto success = [](const Ipv4Address& address, bool dynamic) {
        return Ipv4Verdict{kSuccess,
                           {.prefix = {address, Ipv4Prefix::kMaxLength}, .dynamic = dynamic}};
    };
    if (policy != nullptr && policy->ipv4_home_address) {
        const Ipv4Prefix one{*policy->ipv4_home_address, Ipv4Prefix::kMaxLength};
        if (is_free_for(one, request.home_address)) return success(one.address, false);
    }
    const Entry* entry = cache_.find(request.home_address);
    for (const auto* homes :
         {entry != nullptr ? &entry->ipv4_homes : nullptr, &request.ipv4_homes}) {
        if (homes == nullptr) continue;
        const auto held = std::ranges::find_if(*homes, &Ipv4Home::dynamic);
        if (held != homes->end()) return {kSuccess, *held};
    }
    const Ipv4Pool* pool = pool_of(request.home_address);
    const auto free = pool != nullptr ? pool->next_free() : std::nullopt;
    return free ? success(*free, true) : Ipv4Verdict{kDynamicAssignmentNotAvailable, {}};
}

bool HomeAgent::is_free_for(const Ipv4Prefix& prefix, const Ipv6Address& home_address) const {
    const auto owner = ipv4_owners_.find(prefix);
    return owner == ipv4_owners_.end() || owner->second == home_address;
}

/// Whether the configuration still gives this to the node of `entry`.
bool HomeAgent::may_keep(const Entry& entry, const Ipv4Home& home) const {
    const MobileNodePolicy* policy = policy_of(entry.home_address);
    if (policy != nullptr && policy->ipv4_home_prohibited) return false;
    if (home.dynamic) {
        const Ipv4Pool* pool = pool_of(entry.home_address);
        return pool != nullptr && pool->contains(home.prefix.address) &&
               !reserved_ipv4_.contains(home.prefix.address);
    }
    if (policy == nullptr) return false;
    if (is_address(home)) return policy->ipv4_home_address == home.prefix.address;
    return std::ranges::any_of(policy->ipv4_mobile_prefixes, [&](const Ipv4Prefix& owned) {
        return owned.length <= home.prefix.length && owned.contains(home.prefix.address);
    });
}

// --- pools ------------------------------------------------------------------------------------

/// From the configuration alone: nothing is held yet.
void HomeAgent::build_ipv4_index() {
    pools_.clear();
    ipv4_owners_.clear();
    mappings_.clear();
    reserved_ipv4_.clear();
    ipv4_mobile_networks_.clear();
    for (const HomePrefix& home : config_.home_prefixes) {
        auto& pool = pools_.emplace_back();
        if (home.ipv4_pool) pool.emplace(home.ipv4_pool->first, home.ipv4_pool->last);
    }
    // Static addresses and our own are not for others.
    const auto reserve = [&](const Ipv4Address& address) {
        Ipv4Pool* pool = pool_with(address);
        if (pool == nullptr) return;
        pool->take(address);
        reserved_ipv4_.insert(address);
    };
    for (const MobileNodePolicy& node : config_.nodes) {
        if (node.ipv4_home_address) reserve(*node.ipv4_home_address);
        ipv4_mobile_networks_.insert(ipv4_mobile_networks_.end(), node.ipv4_mobile_prefixes.begin(),
                                     node.ipv4_mobile_prefixes.end());
    }
    std::ranges::sort(ipv4_mobile_networks_);
    for (const Ipv4Address& own : config_.home_agent_ipv4_addresses) reserve(own);
}

const Ipv4Pool* HomeAgent::pool_of(const Ipv6Address& home_address) const {
    const HomePrefix* prefix = home_prefix_of(home_address);
    if (prefix == nullptr) return nullptr;
    const auto& pool = pools_[static_cast<std::size_t>(prefix - config_.home_prefixes.data())];
    return pool ? &*pool : nullptr;
}

Ipv4Pool* HomeAgent::pool_with(const Ipv4Address& address) {
    for (auto& pool : pools_) {
        if (pool && pool->contains(address)) return &*pool;
    }
    return nullptr;
}

// --- defence on a real home link --------------------------------------------------------------

/// 4.5: home addresses of this binding that its home link has an IPv4 prefix for, in order.
std::vector<Ipv4Address> HomeAgent::defended_ipv4(const Entry& entry) const {
    std::vector<Ipv4Address> addresses;
    const HomePrefix* prefix = home_prefix_of(entry.home_address);
    if (entry.virtual_home_link || prefix == nullptr || !prefix->ipv4_prefix) return addresses;
    for (const Ipv4Home& home : entry.ipv4_homes) {
        if (is_address(home) && prefix->ipv4_prefix->contains(home.prefix.address)) {
            addresses.push_back(home.prefix.address);
        }
    }
    std::ranges::sort(addresses);
    return addresses;
}

void HomeAgent::announce_ipv4(const Entry& entry) {
    for (const Ipv4Address& address : defended_ipv4(entry)) {
        actions_.push_back(SendGratuitousArp{address, entry.home_port});
        count(Counter::kArpGratuitous, entry.home_address, address);
    }
}

}  // namespace homeport::mip6
