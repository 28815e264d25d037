// SPDX-License-Identifier: BSD-3-Clause
// The checks of a binding update in the order of mipv6.md section 3; each function is one step and
// names the section of the RFC that demands it (RFC 6275 unless said otherwise).
#include <algorithm>

#include "controlplane/mip6/home_agent.hpp"

namespace homeport::mip6 {

using wire::BindingStatus;

namespace {

/// Lifetime 0, or the care-of address is the home address. The second only over native IPv6: in an
/// IPv4 network the source is the home address, and nobody is at home over IPv4 (RFC 5555 4.4.4).
bool is_deregistration(const BindingRequest& request) {
    return request.update.lifetime.value == 0 ||
           (!request.is_in_udp() && request.care_of_address == IpAddress(request.home_address));
}

}  // namespace

// 6.1.7, 9.5.1; RFC 4877 4.3: away from home the care-of address is that of the protected option.
StepResult HomeAgent::step_9_addresses(BindingRequest& request) {
    use_recorded_source(request);
    const auto* source = std::get_if<Ipv6Address>(&request.info.wire_source);
    if (source == nullptr) return step_9_over_ipv4(request);
    if (!source->is_unicast_routable() || !request.home_address.is_unicast_routable()) {
        return StepResult::drop(Counter::kBuSourceNotUnicast,
                                "source or home address is not unicast routable");
    }
    const auto* alternate = wire::find_option<wire::AlternateCareOfAddress>(request.update.options);
    const bool is_away = request.info.had_hao || request.is_in_udp();
    if (is_away && alternate == nullptr && request.update.lifetime.value != 0) {
        return StepResult::drop(Counter::kBuNoAlternateCoa,
                                "away from home without alternate care-of address");
    }
    const Ipv6Address& care_of_address = alternate != nullptr ? alternate->address : *source;
    if (!care_of_address.is_unicast_routable()) {
        return StepResult::drop(Counter::kBuSourceNotUnicast,
                                "care-of address is not unicast routable");
    }
    request.care_of_address = care_of_address;
    return StepResult::go_on();
}

// 9.5.1
StepResult HomeAgent::step_10_no_nonce_indices(BindingRequest& request) {
    if (request.update.home_registration &&
        wire::find_option<wire::NonceIndices>(request.update.options) != nullptr) {
        return StepResult::drop(Counter::kBuMalformed, "home registration with nonce indices");
    }
    return StepResult::go_on();
}

// 9.5; RFC 3963 6.2. We are no correspondent node. Only an authentic sender is told so.
StepResult HomeAgent::step_11_home_registration(BindingRequest& request) {
    if (request.update.home_registration) return StepResult::go_on();
    const bool authentic = request.info.protected_by_ipsec || config_.allow_unprotected;
    if (request.update.mobile_router && authentic) {
        return StepResult::reject(BindingStatus::kMobileRouterOperationNotPermitted,
                                  "mobile router without home registration");
    }
    return StepResult::drop(Counter::kBuHomeFlagClear, "no correspondent node function");
}

// RFC 5213
StepResult HomeAgent::step_12_no_proxy_registration(BindingRequest& request) {
    if (request.update.proxy_registration) {
        return StepResult::drop(Counter::kBuProxy, "proxy registration");
    }
    return StepResult::go_on();
}

/// The node that a rate is counted for, whichever of its home addresses it uses.
Ipv6Address HomeAgent::rate_key(const BindingRequest& request) const {
    const MobileNodePolicy* policy = policy_of(request.home_address);
    return policy != nullptr ? policy->home_addresses.front() : request.home_address;
}

// 9.5.1. An entry in delete-wait keeps its sequence number (10.3.2).
StepResult HomeAgent::step_13_sequence(BindingRequest& request) {
    const binding::Entry* entry = cache_.find(request.home_address);
    if (entry != nullptr && !is_newer_sequence(request.update.sequence, entry->sequence)) {
        if (!replay_rate_node_.take(rate_key(request), now_)) {
            return StepResult::drop(Counter::kBuRateLimitedNode, "too many old ones of this node");
        }
        return StepResult::reject(BindingStatus::kSequenceNumberOutOfWindow,
                                  "sequence number not greater than the last");
    }
    return StepResult::go_on();
}

// Excess is met with silence: mobile nodes take a rejection as final and repeat on silence. Behind
// the sequence number, so that repeating what was captured takes nothing from honest nodes.
StepResult HomeAgent::step_13b_rate(BindingRequest& request) {
    if (!bu_rate_node_.take(rate_key(request), now_)) {
        return StepResult::drop(Counter::kBuRateLimitedNode, "too many of this node");
    }
    // Who is bound comes first: new registrations find nothing while refreshes are in advance.
    const bool is_known = cache_.find(request.home_address) != nullptr;
    if (!bu_rate_all_.take(now_, is_known ? config_.bu_rate_all.burst / 4 : 0)) {
        return StepResult::drop(Counter::kBuRateLimitedAll, "too many in all");
    }
    return StepResult::go_on();
}

// 9.5.1; RFC 3963 6.2
StepResult HomeAgent::step_14_registration_type(BindingRequest& request) {
    const binding::Entry* entry = cache_.find(request.home_address);
    if (entry == nullptr || !entry->is_active()) return StepResult::go_on();
    const bool home_changed = entry->home_registration != request.update.home_registration;
    const bool router_changed = entry->mobile_router != request.update.mobile_router;
    if (home_changed || (router_changed && !is_deregistration(request))) {
        return StepResult::reject(BindingStatus::kRegistrationTypeChangeDisallowed,
                                  "H or R flag differs from the binding's");
    }
    return StepResult::go_on();
}

// S1.80: the update is authentic and new, its outer source is neither. Silence, so that the node
// asks again; before its number counts, so that it may.
StepResult HomeAgent::step_14_source_changes(BindingRequest& request) {
    const binding::Entry* entry = cache_.find(request.home_address);
    if (config_.source_changes_per_minute == 0 || request.is_over_ipv6() || entry == nullptr ||
        !entry->is_active() || is_deregistration(request) ||
        entry->outer_source == outer_source_of(request)) {
        return StepResult::go_on();
    }
    if (source_changes_.take(request.home_address, now_)) return StepResult::go_on();
    return StepResult::drop(Counter::kBuRateLimitedSource, "outer source changes too often");
}

// 9.5.1: the binding update is valid now; its number counts even if a later step rejects it.
StepResult HomeAgent::step_14b_note_sequence(BindingRequest& request) {
    if (binding::Entry* entry = cache_.find(request.home_address)) {
        entry->sequence = request.update.sequence;
        request.sequence_noted = true;
    }
    return StepResult::go_on();
}

// 9.5.1, 10.3.2; RFC 3963 6.2
StepResult HomeAgent::step_15_deregistration(BindingRequest& request) {
    if (!is_deregistration(request)) return StepResult::go_on();
    if (cache_.find(request.home_address) == nullptr) {
        return StepResult::reject(BindingStatus::kNotHomeAgentForThisMobileNode,
                                  "deregistration without a binding");
    }
    deregister(request);
    return StepResult::done();
}

// 10.3.1
StepResult HomeAgent::step_15b_home_address_option(BindingRequest& request) {
    if (!request.is_in_udp() && !request.info.had_hao) {
        return StepResult::reject(BindingStatus::kReasonUnspecified,
                                  "registration without Home Address option");
    }
    return StepResult::go_on();
}

// 10.3.1
StepResult HomeAgent::step_16_home_agent_function(BindingRequest& request) {
    const auto& local = request.info.local_endpoint;
    if (!config_.enabled || !is_own_address(request.home_agent) ||
        (!request.is_over_ipv6() && local && !is_own_address(local->address))) {
        return StepResult::reject(BindingStatus::kHomeRegistrationNotSupported,
                                  "no home agent at this address");
    }
    return StepResult::go_on();
}

// 10.3.1; RFC 3963 6.2. A prefix that is valid for less than one unit cannot hold a binding.
StepResult HomeAgent::step_17_home_subnet(BindingRequest& request) {
    const HomePrefix* prefix = home_prefix_of(request.home_address);
    if (prefix == nullptr) {
        return StepResult::reject(BindingStatus::kNotHomeSubnet, "home address in no home prefix");
    }
    if (prefix->valid_until &&
        wire::FourSecondUnits::floor(*prefix->valid_until - now_).value == 0) {
        return StepResult::reject(BindingStatus::kNotHomeSubnet, "home prefix is about to end");
    }
    return StepResult::go_on();
}

// 10.3.1; RFC 5142 5.3
StepResult HomeAgent::step_18_node_is_authorized(BindingRequest& request) {
    const auto prohibited = [](const char* detail) {
        return StepResult::reject(BindingStatus::kAdministrativelyProhibited, detail);
    };
    if (is_own_address(request.home_address) || is_anycast_address(request.home_address)) {
        return prohibited("home address is the home agent's own");
    }
    const MobileNodePolicy* policy = policy_of(request.home_address);
    if (policy == nullptr) {
        return config_.accept_unknown_nodes ? StepResult::go_on() : prohibited("unknown node");
    }
    if (policy->prohibited) return prohibited("node is prohibited");
    if (policy->switching_away) return prohibited("node is being moved to another home agent");
    return StepResult::go_on();
}

// 15.1: a care-of address that is a home address here can make packets go round in circles.
StepResult HomeAgent::step_18_care_of_address_is_allowed(BindingRequest& request) {
    const auto* ipv6 = std::get_if<Ipv6Address>(&request.care_of_address);
    if (ipv6 != nullptr ? is_denied(*ipv6) : is_denied_over_ipv4(request)) {
        return StepResult::reject(
            BindingStatus::kInvalidCareOfAddress,
            "care-of address in a home prefix or mobile network, our own, or denied");
    }
    return StepResult::go_on();
}

bool HomeAgent::is_denied(const Ipv6Address& care_of_address) const {
    const auto contains = [&](const Ipv6Prefix& prefix) {
        return prefix.contains(care_of_address);
    };
    return is_own_address(care_of_address) || is_in_mobile_network(care_of_address) ||
           std::ranges::any_of(config_.coa_deny, contains) ||
           std::ranges::any_of(config_.home_prefixes,
                               [&](const HomePrefix& home) { return contains(home.prefix); });
}

// 10.3.1. A binding that is there is never refused for want of room.
StepResult HomeAgent::step_18_resources(BindingRequest& request) {
    if (cache_.find(request.home_address) != nullptr) return StepResult::go_on();
    if (overloaded_) return StepResult::drop(Counter::kBuOverload, "overload");
    const MobileNodePolicy* policy = policy_of(request.home_address);
    const auto refusal = cache_.refusal_for(policy != nullptr ? policy->identity : std::string{});
    if (refusal) {
        return StepResult::reject(BindingStatus::kInsufficientResources,
                                  *refusal == binding::InsertRefusal::kNodeFull
                                      ? "limit of bindings of this node"
                                      : "limit of bindings");
    }
    return StepResult::go_on();
}

// RFC 3963 6.2, 6.6
StepResult HomeAgent::step_19_mobile_router_service(BindingRequest& request) {
    if (!request.update.mobile_router) return StepResult::go_on();
    const MobileNodePolicy* policy = policy_of(request.home_address);
    if (!config_.mobile_router_service || policy == nullptr || !policy->mobile_router) {
        return StepResult::reject(BindingStatus::kMobileRouterOperationNotPermitted,
                                  "no mobile router service for this node");
    }
    return StepResult::go_on();
}

// RFC 3963 6.2, explicit mode: one bad prefix and none is forwarded.
StepResult HomeAgent::step_20_prefixes_usable(BindingRequest& request) {
    if (!request.update.mobile_router) return StepResult::go_on();
    for (const wire::MobilityOption& option : request.update.options) {
        const auto* named = std::get_if<wire::MobileNetworkPrefix>(&option);
        if (named == nullptr) continue;
        if (named->prefix_length == 0 || named->prefix_length > Ipv6Prefix::kMaxLength ||
            !named->prefix.is_unicast_routable()) {
            return StepResult::reject(BindingStatus::kInvalidPrefix,
                                      "mobile network prefix is not unicast routable");
        }
        const Ipv6Prefix prefix = Ipv6Prefix{named->prefix, named->prefix_length}.masked();
        // Named twice, forwarded once.
        if (std::ranges::find(request.mobile_prefixes, prefix) == request.mobile_prefixes.end()) {
            request.mobile_prefixes.push_back(prefix);
        }
    }
    if (!request.mobile_prefixes.empty()) request.prefix_mode = binding::PrefixMode::kExplicit;
    return StepResult::go_on();
}

// RFC 3963 6.2: the prefix table is the node's policy.
StepResult HomeAgent::step_21_prefixes_authorized(BindingRequest& request) {
    const MobileNodePolicy* policy = policy_of(request.home_address);
    for (const Ipv6Prefix& named : request.mobile_prefixes) {
        if (!owns(*policy, named)) {
            return StepResult::reject(BindingStatus::kNotAuthorizedForPrefix,
                                      "mobile network prefix is not this node's");
        }
    }
    return StepResult::go_on();
}

// RFC 3963 6.2
StepResult HomeAgent::step_22_implicit_prefixes(BindingRequest& request) {
    if (!request.update.mobile_router || !request.mobile_prefixes.empty()) {
        return StepResult::go_on();
    }
    // A router of IPv4 networks alone names those (RFC 5555 section 3.1.1, flag P).
    const bool names_ipv4 = std::ranges::any_of(request.update.options, [](const auto& option) {
        const auto* home = std::get_if<wire::Ipv4HomeAddress>(&option);
        return home != nullptr && home->prefix_requested;
    });
    request.mobile_prefixes = policy_of(request.home_address)->mobile_prefixes;
    if (request.mobile_prefixes.empty() && names_ipv4) {
        request.prefix_mode = binding::PrefixMode::kExplicit;
        return StepResult::go_on();
    }
    if (request.mobile_prefixes.empty()) {
        return StepResult::reject(BindingStatus::kForwardingSetupFailed,
                                  "implicit mode, and no prefix is configured");
    }
    request.prefix_mode = binding::PrefixMode::kImplicit;
    return StepResult::go_on();
}

// 10.3.1. A newer binding update takes the place of the one that waits: no second probe.
StepResult HomeAgent::step_24_duplicate_address(BindingRequest& request) {
    binding::Entry* entry = cache_.find(request.home_address);
    if (entry != nullptr && entry->is_active()) return StepResult::go_on();
    const HomePrefix* prefix = home_prefix_of(request.home_address);
    if (prefix->is_virtual) return StepResult::go_on();
    return wait_for_dad(request, entry, *prefix);
}

StepResult HomeAgent::step_25_accept(BindingRequest& request) {
    accept(request);
    return StepResult::done();
}

}  // namespace homeport::mip6
