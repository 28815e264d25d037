// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/udp_decision.hpp"

namespace homeport::mip4 {

namespace {

using wire::RegistrationCode;

constexpr std::uint8_t kAssent = 0;
constexpr std::uint8_t kDeclined = 64;

UdpDecision refuse(RegistrationCode code, const char* why) {
    UdpDecision decision;
    decision.refusal = code;
    decision.why = why;
    return decision;
}

UdpDecision plain(const UdpQuestion& question, const char* why) {
    UdpDecision decision;
    decision.encapsulation = question.by_flags;
    decision.why = why;
    return decision;
}

UdpDecision declined(const UdpQuestion& question) {
    UdpDecision decision = plain(question, "no NAT: declined");
    decision.answer = wire::Mip4UdpTunnelReply{kDeclined, false, 0};
    return decision;
}

/// What goes inside UDP; nothing: we cannot.
std::optional<Encapsulation> inside_udp(const UdpQuestion& question, const UdpPolicy& policy) {
    Encapsulation wanted = question.by_flags;
    switch (question.request->encapsulation) {
        case 0:
            break;
        case static_cast<std::uint8_t>(Encapsulation::kIpInIp):
            return Encapsulation::kIpInIp;
        case static_cast<std::uint8_t>(Encapsulation::kGre):
            wanted = Encapsulation::kGre;
            break;
        case static_cast<std::uint8_t>(Encapsulation::kMinimal):
            wanted = Encapsulation::kMinimal;
            break;
        default:
            return std::nullopt;
    }
    if (wanted == Encapsulation::kGre && !policy.gre) return std::nullopt;
    if (wanted == Encapsulation::kMinimal && !policy.minimal) return std::nullopt;
    return wanted;
}

UdpDecision granted(const UdpQuestion& question, const UdpPolicy& policy, bool half_bound) {
    const auto encapsulation = inside_udp(question, policy);
    if (!encapsulation) {
        return refuse(RegistrationCode::kUdpTunnelUnavailable,
                      "encapsulation inside UDP is not available");
    }
    UdpDecision decision;
    decision.udp = true;
    decision.half_bound = half_bound;
    decision.encapsulation = *encapsulation;
    decision.answer = wire::Mip4UdpTunnelReply{kAssent, question.request->forced, policy.keepalive};
    decision.why = half_bound ? "UDP, half bound" : "UDP";
    return decision;
}

UdpDecision without_request(const UdpQuestion& question, const UdpPolicy& policy) {
    if (question.source_is_care_of_address || !question.co_located ||
        question.source_is_home_address || !policy.strict_source) {
        return plain(question, "no request for UDP");
    }
    return refuse(RegistrationCode::kAdministrativelyProhibited,
                  "comes neither from its care-of address nor from its home address");
}

}  // namespace

const char* to_string(Encapsulation encapsulation) {
    switch (encapsulation) {
        case Encapsulation::kIpInIp:
            return "ip-in-ip";
        case Encapsulation::kGre:
            return "gre";
        case Encapsulation::kMinimal:
            return "minimal";
    }
    return "?";
}

UdpDecision decide_udp(const UdpQuestion& question, const UdpPolicy& policy) {
    if (question.request == nullptr) return without_request(question, policy);
    const wire::Mip4UdpTunnelRequest& request = *question.request;
    if (request.reserved != 0) {
        if (policy.refuse_reserved) {
            return refuse(RegistrationCode::kPoorlyFormedRequest,
                          "reserved bits in the UDP tunnel request");
        }
        UdpDecision decision = without_request(question, policy);
        decision.request_skipped = true;
        return decision;
    }
    // The mobile node's own request is under its authentication, a foreign agent's behind it.
    if (question.before_mobile_home_authentication != question.co_located) {
        return refuse(RegistrationCode::kPoorlyFormedRequest,
                      "UDP tunnel request in the wrong place for flag D");
    }
    const auto prohibited = [](const char* why) {
        return refuse(RegistrationCode::kAdministrativelyProhibited, why);
    };
    if (question.co_located && request.foreign_agent_registration) {
        if (!policy.allowed || !policy.foreign_agent_registration) {
            return prohibited("registration by way of a foreign agent with UDP is off");
        }
        return granted(question, policy, true);
    }
    if (!question.source_is_care_of_address) {
        if (!policy.allowed) return prohibited("UDP tunnels are off");
        return granted(question, policy, false);
    }
    if (!request.forced) return declined(question);
    if (!policy.allowed || !policy.forced_allowed) return prohibited("forced UDP is off");
    return granted(question, policy, false);
}

}  // namespace homeport::mip4
