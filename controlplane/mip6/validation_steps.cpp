// SPDX-License-Identifier: BSD-3-Clause
// The checks of a binding update in the order of mipv6.md section 3; each function is one step and
// names the section of the RFC that demands it (RFC 6275 unless said otherwise).
#include <algorithm>

#include "controlplane/mip6/home_agent.hpp"

namespace homeport::mip6 {

using wire::BindingStatus;

namespace {

/// Lifetime 0, or the care-of address is the home address (the second only over native IPv6).
bool is_deregistration(const BindingRequest& request) {
    return request.update.lifetime.value == 0 ||
           (request.is_over_ipv6() && request.care_of_address == request.home_address);
}

}  // namespace

// 6.1.7, 9.5.1; RFC 4877 4.3: away from home the care-of address is that of the protected option.
StepResult HomeAgent::step_9_addresses(BindingRequest& request) {
    const auto* source = std::get_if<Ipv6Address>(&request.info.wire_source);
    if (source == nullptr) {
        return StepResult::drop(Counter::kMhUnserved, "binding update over IPv4 is not served");
    }
    if (!source->is_unicast_routable() || !request.home_address.is_unicast_routable()) {
        return StepResult::drop(Counter::kBuSourceNotUnicast,
                                "source or home address is not unicast routable");
    }
    const auto* alternate = wire::find_option<wire::AlternateCareOfAddress>(request.update.options);
    if (request.info.had_hao && alternate == nullptr && request.update.lifetime.value != 0) {
        return StepResult::drop(Counter::kBuNoAlternateCoa,
                                "away from home without alternate care-of address");
    }
    request.care_of_address = alternate != nullptr ? alternate->address : *source;
    if (!request.care_of_address.is_unicast_routable()) {
        return StepResult::drop(Counter::kBuSourceNotUnicast,
                                "care-of address is not unicast routable");
    }
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

// Excess is met with silence: mobile nodes take a rejection as final and repeat on silence.
StepResult HomeAgent::step_12b_rate(BindingRequest& request) {
    const MobileNodePolicy* policy = policy_of(request.home_address);
    const Ipv6Address& key =
        policy != nullptr ? policy->home_addresses.front() : request.home_address;
    if (!bu_rate_node_.take(key, now_)) {
        return StepResult::drop(Counter::kBuRateLimitedNode, "too many of this node");
    }
    if (!bu_rate_all_.take(now_)) {
        return StepResult::drop(Counter::kBuRateLimitedAll, "too many in all");
    }
    return StepResult::go_on();
}

// 9.5.1. An entry in delete-wait keeps its sequence number (10.3.2).
StepResult HomeAgent::step_13_sequence(BindingRequest& request) {
    const binding::Entry* entry = cache_.find(request.home_address);
    if (entry != nullptr && !is_newer_sequence(request.update.sequence, entry->sequence)) {
        return StepResult::reject(BindingStatus::kSequenceNumberOutOfWindow,
                                  "sequence number not greater than the last");
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
    if (request.is_over_ipv6() && !request.info.had_hao) {
        return StepResult::reject(BindingStatus::kReasonUnspecified,
                                  "registration without Home Address option");
    }
    return StepResult::go_on();
}

// 10.3.1
StepResult HomeAgent::step_16_home_agent_function(BindingRequest& request) {
    if (!config_.enabled || !is_own_address(request.home_agent)) {
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
    if (is_denied(request.care_of_address)) {
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

// RFC 5555 4.5. Each option is answered for itself; a refusal does not reject the IPv6 binding.
StepResult HomeAgent::step_23_dual_stack(BindingRequest& request) {
    if (request.update.force_udp && !config_.accept_force_udp) {
        return StepResult::reject(BindingStatus::kForceUdpNotAccepted, "forced UDP is off");
    }
    for (const wire::MobilityOption& option : request.update.options) {
        if (const auto* home = std::get_if<wire::Ipv4HomeAddress>(&option)) {
            answer_ipv4_home(request, *home);
        }
    }
    return StepResult::go_on();
}

void HomeAgent::answer_ipv4_home(BindingRequest& request, const wire::Ipv4HomeAddress& home) const {
    const MobileNodePolicy* policy = policy_of(request.home_address);
    const wire::Ipv4AckStatus status = ipv4_home_status(home, policy);
    wire::Ipv4AddressAcknowledgement answer{
        .status = static_cast<std::uint8_t>(status), .prefix_length = 0, .address = home.address};
    if (status == wire::Ipv4AckStatus::kSuccess) {
        answer.address = *policy->ipv4_home_address;
        answer.prefix_length = Ipv4Prefix::kMaxLength;
        const binding::Ipv4Home granted{.prefix = {answer.address, answer.prefix_length},
                                        .dynamic = home.address.is_unspecified()};
        // Named twice, granted once.
        if (request.ipv4_homes.empty()) request.ipv4_homes.push_back(granted);
    }
    request.ipv4_answers.push_back(answer);
}

// 0.0.0.0 asks for whatever address the home agent has for this node (RFC 5555 4.5.1).
wire::Ipv4AckStatus HomeAgent::ipv4_home_status(const wire::Ipv4HomeAddress& home,
                                                const MobileNodePolicy* policy) {
    using enum wire::Ipv4AckStatus;
    if (home.prefix_length == 0 || home.prefix_length > Ipv4Prefix::kMaxLength) return kUnspecified;
    if (policy != nullptr && policy->ipv4_home_prohibited) return kAdministrativelyProhibited;
    if (home.prefix_requested) return kPrefixAllocationUnauthorized;
    const bool has_one = policy != nullptr && policy->ipv4_home_address.has_value();
    if (home.address.is_unspecified()) return has_one ? kSuccess : kDynamicAssignmentNotAvailable;
    if (!home.address.is_unicast()) return kInvalidAddress;
    if (has_one && home.address == *policy->ipv4_home_address) return kSuccess;
    return kIncorrectHomeAddress;
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
