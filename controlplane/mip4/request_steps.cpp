// SPDX-License-Identifier: BSD-3-Clause
// The checks of a registration request, in the order of mipv4.md section 4. The first that fails
// decides.
#include <algorithm>

#include "controlplane/mip4/home_agent.hpp"

namespace homeport::mip4 {

namespace {

using wire::RegistrationCode;

const SecurityAssociation* find_spi(const std::vector<SecurityAssociation>& associations,
                                    std::uint32_t spi) {
    const auto found = std::ranges::find(associations, spi, &SecurityAssociation::spi);
    return found == associations.end() ? nullptr : &*found;
}

}  // namespace

// Known by where the request came from; behind a NAT by its care-of address (RFC 5944 3.5.4: they
// are the same). Looked for before any step, since refusals go through it, too.
void HomeAgent::find_foreign_agent(Request& request) const {
    auto found = by_foreign_agent_.find(request.info.source.address);
    if (found == by_foreign_agent_.end() && !request.message.decapsulates) {
        found = by_foreign_agent_.find(request.message.care_of_address);
    }
    const wire::Mip4Authentication* seal = nullptr;
    for (const wire::Mip4Extension& extension : request.message.extensions) {
        const auto* one = std::get_if<wire::Mip4Authentication>(&extension);
        if (one == nullptr || one->kind != wire::Mip4AuthenticationKind::kForeignHome) continue;
        seal = one;
        ++request.foreign_seals;
    }
    if (found == by_foreign_agent_.end()) return;
    const ForeignAgent& agent = config_.foreign_agents[found->second];
    if (agent.associations.empty()) return;
    request.foreign_agent = &agent;
    request.foreign_association = &agent.associations.front();
    if (request.foreign_seals != 1) return;
    const SecurityAssociation* const association = find_spi(agent.associations, seal->spi);
    if (association == nullptr ||
        !is_authentic(*association, request.payload.first(seal->covered), seal->authenticator)) {
        return;
    }
    request.foreign_association = association;
    request.is_foreign_authentic = true;
}

// S2.81, S2.83, S2.91: in silence, so that nobody learns that there is a home agent.
HomeAgent::Result HomeAgent::step_0_came_the_right_way(Request& request) {
    const RequestInfo& info = request.info;
    if (config_.role == Role::kExternal && info.came_from_inside) {
        return Result::drop(Counter::kFromInside, "external home agent, request from inside");
    }
    if (config_.role != Role::kInternal) return Result::go_on();
    if (!info.came_from_inside && !info.came_through_ipsec) {
        return Result::drop(Counter::kFromOutside, "internal home agent, request from outside");
    }
    if (config_.profile != Profile::kRfc5265) return Result::go_on();
    const bool is_trusted = std::ranges::any_of(
        config_.trusted_subnets,
        [&](const Ipv4Prefix& subnet) { return subnet.contains(info.source.address); });
    return is_trusted ? Result::go_on()
                      : Result::drop(Counter::kUntrusted, "source in no trusted subnet");
}

// RFC 5944 3.8.2.1. Of the authorization-enabling extensions only 32 is offered.
HomeAgent::Result HomeAgent::step_3_has_authentication(Request& request) {
    const wire::Mip4Extensions& extensions = request.message.extensions;
    for (std::size_t i = 0; i < extensions.size(); ++i) {
        const auto* one = std::get_if<wire::Mip4Authentication>(&extensions[i]);
        if (one == nullptr || one->kind != wire::Mip4AuthenticationKind::kMobileHome) continue;
        request.authentication = i;
        return Result::go_on();
    }
    return Result::drop(Counter::kNoAuthentication, "no Mobile-Home authentication");
}

HomeAgent::Result HomeAgent::step_4_association(Request& request) {
    request.node = node_of(request.message);
    if (request.node == nullptr || request.node->associations.empty()) {
        return Result::drop(Counter::kNoAssociation, "no security association with this node");
    }
    const auto& one =
        std::get<wire::Mip4Authentication>(request.message.extensions[request.authentication]);
    request.association = find_spi(request.node->associations, one.spi);
    if (request.association != nullptr) return Result::go_on();
    // The reply is sealed by what we have.
    request.association = &request.node->associations.front();
    return Result::reject(RegistrationCode::kMobileNodeFailedAuthentication, "unknown SPI");
}

HomeAgent::Result HomeAgent::step_5_authentic(Request& request) {
    const auto& one =
        std::get<wire::Mip4Authentication>(request.message.extensions[request.authentication]);
    if (is_authentic(*request.association, request.payload.first(one.covered), one.authenticator)) {
        return Result::go_on();
    }
    return Result::reject(RegistrationCode::kMobileNodeFailedAuthentication,
                          "authenticator does not match");
}

/// None of the nodes takes the time of the others: its own requests have a limit. What is authentic
/// and old may come from anybody who once heard it, and so does not count as the node's; there are
/// few answers to it.
HomeAgent::Result HomeAgent::step_6_identification(Request& request) {
    IdentificationState& state = identification_of(request.node->name, request.association->spi);
    const IdentificationState before = state;
    const IdentificationVerdict verdict =
        judge_identification(*request.association, state, request.message.identification, time_,
                             static_cast<std::uint32_t>(random_()));
    request.reply_identification = verdict.reply;
    NodeBuckets& buckets = buckets_of(*request.node);
    if (verdict.is_valid && !buckets.fresh.take(config_.node_rate, now_)) {
        state = before;
        return Result::drop(Counter::kNodePoliced, "more registrations than one node may make");
    }
    if (!verdict.is_valid && !buckets.replayed.take(config_.node_rate, now_)) {
        state = before;
        return Result::drop(Counter::kReplayPoliced, "too many old requests of one node");
    }
    if (state != before) {
        actions_.push_back(
            PersistIdentification{request.node->name, request.association->spi, state});
    }
    if (verdict.is_valid) return Result::go_on();
    return Result::reject(RegistrationCode::kIdentificationMismatch,
                          request.association->replay == ReplayStyle::kTimestamps
                              ? "time stamp outside the window or not newer"
                              : "nonce is not the expected one");
}

// RFC 5944 3.8.2.1: exactly one, and good, where we share a key; none from strangers.
HomeAgent::Result HomeAgent::step_7_foreign_agent(Request& request) {
    if (request.foreign_agent == nullptr) {
        return request.foreign_seals == 0
                   ? Result::go_on()
                   : Result::drop(Counter::kForeignAuthentication,
                                  "foreign-home authentication of a stranger");
    }
    if (request.is_deregistration() && request.foreign_seals == 0) return Result::go_on();
    return request.is_foreign_authentic
               ? Result::go_on()
               : Result::reject(RegistrationCode::kForeignAgentFailedAuthentication,
                                "foreign agent is not authentic");
}

// RFC 5944 3.8.3.2: the answer tells who we are.
HomeAgent::Result HomeAgent::step_8_unicast(Request& request) {
    if (!request.info.destination_is_broadcast) return Result::go_on();
    return Result::reject(RegistrationCode::kUnknownHomeAgentAddress,
                          "request to a broadcast address");
}

HomeAgent::Result HomeAgent::step_9_home_agent(Request& request) {
    if (is_own(request.message.home_agent)) {
        request.home_agent = request.message.home_agent;
        return Result::go_on();
    }
    return Result::reject(RegistrationCode::kUnknownHomeAgentAddress,
                          "home agent field is not ours");
}

// RFC 3115 section 3: critical, and of no vendor that we know.
HomeAgent::Result HomeAgent::step_10_vendor_extensions(Request& request) {
    const wire::Mip4Extensions& extensions = request.message.extensions;
    const std::size_t at = wire::position_of<wire::Mip4CriticalVendor>(extensions);
    if (at == extensions.size()) return Result::go_on();
    return Result::reject(at < request.authentication
                              ? RegistrationCode::kUnknownVendorFromMobileNode
                              : RegistrationCode::kUnknownVendorFromForeignAgent,
                          "unknown critical vendor extension");
}

HomeAgent::Result HomeAgent::step_11_home_address(Request& request) {
    const auto prohibited = [](const char* detail) {
        return Result::reject(RegistrationCode::kAdministrativelyProhibited, detail);
    };
    if (request.node->prohibited) return prohibited("node is prohibited");
    const Ipv4Address wanted = request.message.home_address;
    if (!wanted.is_unspecified()) {
        if (is_own(wanted) || network_of(wanted) == nullptr) {
            return prohibited("home address is not served here");
        }
        request.home_address = wanted;
        request.is_dynamic = !request.node->home_address;
        const bool may_have_it = request.is_dynamic ? may_have(*request.node, wanted)
                                                    : wanted == *request.node->home_address;
        return may_have_it || request.is_deregistration()
                   ? Result::go_on()
                   : prohibited("home address is another node's");
    }
    if (request.is_deregistration()) return prohibited("deregistration without home address");
    request.is_dynamic = !request.node->home_address;
    const auto given = request.is_dynamic ? allocate(*request.node) : request.node->home_address;
    if (!given) {
        return Result::reject(RegistrationCode::kInsufficientResources, "no home address is free");
    }
    request.home_address = *given;
    return Result::go_on();
}

// RFC 3024 section 4.1: both asked for, either will do.
HomeAgent::Result HomeAgent::step_13_encapsulation(Request& request) {
    const bool gre = request.message.gre;
    const bool minimal = request.message.minimal;
    if (!gre && !minimal) return Result::go_on();
    if (gre && config_.gre) {
        request.encapsulation = Encapsulation::kGre;
    } else if (minimal && config_.minimal) {
        request.encapsulation = Encapsulation::kMinimal;
    } else {
        return Result::reject(RegistrationCode::kEncapsulationUnavailable,
                              "encapsulation is not available");
    }
    return Result::go_on();
}

HomeAgent::Result HomeAgent::step_14_reverse_tunnel(Request& request) {
    if (!request.message.reverse_tunnel) {
        return config_.reverse_tunnel_mandatory
                   ? Result::reject(RegistrationCode::kReverseTunnelMandatory,
                                    "reverse tunnel is mandatory")
                   : Result::go_on();
    }
    return config_.reverse_tunnel_available
               ? Result::go_on()
               : Result::reject(RegistrationCode::kReverseTunnelUnavailable,
                                "reverse tunnel is not available");
}

// A binding that is there is never refused for want of room.
HomeAgent::Result HomeAgent::step_15_limits(Request& request) {
    const Ipv4Address& care_of = request.message.care_of_address;
    if (!care_of.is_unicast() || care_of == request.home_address || is_own(care_of)) {
        return Result::reject(RegistrationCode::kPoorlyFormedRequest,
                              "care-of address is no other node's");
    }
    const BoundNode* const bound = find(request.home_address);
    const bool is_known = bound != nullptr &&
                          std::ranges::find(bound->bindings, care_of, &Binding::care_of_address) !=
                              bound->bindings.end();
    if (is_known) return Result::go_on();
    if (keeps_earlier(request) && bound != nullptr &&
        bound->bindings.size() >= config_.simultaneous_bindings) {
        return Result::reject(RegistrationCode::kTooManySimultaneousBindings,
                              "limit of simultaneous bindings");
    }
    const bool is_one_more = bound == nullptr || keeps_earlier(request);
    if (is_one_more && binding_count_ >= config_.max_bindings) {
        return Result::reject(RegistrationCode::kInsufficientResources, "limit of bindings");
    }
    return Result::go_on();
}

HomeAgent::Result HomeAgent::step_16_udp(Request& request) {
    const wire::RegistrationRequest& message = request.message;
    const std::size_t at = wire::position_of<wire::Mip4UdpTunnelRequest>(message.extensions);
    UdpQuestion question;
    question.request = wire::find_extension<wire::Mip4UdpTunnelRequest>(message.extensions);
    question.before_mobile_home_authentication = at < request.authentication;
    question.co_located = message.decapsulates;
    question.source_is_care_of_address = request.info.source.address == message.care_of_address;
    question.source_is_home_address = request.info.source.address == request.home_address;
    question.by_flags = request.encapsulation;
    request.udp = decide_udp(question, config_.udp);
    if (request.udp.request_skipped) {
        count(Counter::kUdpRequestReserved, request.home_address, request.info.source,
              "reserved bits in the UDP tunnel request");
    }
    if (!request.udp.refusal) return Result::go_on();
    if (question.request == nullptr) {
        count(Counter::kStrictSource, request.home_address, request.info.source);
    }
    return Result::reject(*request.udp.refusal, request.udp.why);
}

}  // namespace homeport::mip4
