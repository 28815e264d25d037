// SPDX-License-Identifier: BSD-3-Clause
// Codes of registration replies that foreign agents give (mipv4.md section 3; RFC 5944 section 3.4,
// RFC 2794, 3024, 3115).
#pragma once

#include <cstdint>

namespace homeport::wire {

enum class ForeignAgentCode : std::uint8_t {
    kReasonUnspecified = 64,
    kAdministrativelyProhibited = 65,
    kInsufficientResources = 66,
    kMobileNodeFailedAuthentication = 67,
    kHomeAgentFailedAuthentication = 68,
    kLifetimeTooLong = 69,
    kPoorlyFormedRequest = 70,
    kPoorlyFormedReply = 71,
    kEncapsulationUnavailable = 72,
    kReverseTunnelUnavailable = 74,
    kReverseTunnelMandatory = 75,
    kMobileNodeTooDistant = 76,
    kInvalidCareOfAddress = 77,
    kRegistrationTimeout = 78,
    kDeliveryStyleUnsupported = 79,
    kHomeNetworkUnreachable = 80,
    kHomeAgentHostUnreachable = 81,
    kHomeAgentPortUnreachable = 82,
    kHomeAgentUnreachable = 88,
    kHomeAddressRequired = 96,
    kMissingNai = 97,
    kMissingHomeAgent = 98,
    kMissingHomeAddress = 99,
    kUnknownVendorFromMobileNode = 100,
    kUnknownVendorFromHomeAgent = 101,
    kInvalidHomeAgentAddress = 194,
};

/// In words, for logs and people.
[[nodiscard]] constexpr const char* to_string(ForeignAgentCode code) {
    switch (code) {
        case ForeignAgentCode::kReasonUnspecified:
            return "reason unspecified";
        case ForeignAgentCode::kAdministrativelyProhibited:
            return "administratively prohibited";
        case ForeignAgentCode::kInsufficientResources:
            return "insufficient resources";
        case ForeignAgentCode::kMobileNodeFailedAuthentication:
            return "mobile node failed authentication";
        case ForeignAgentCode::kHomeAgentFailedAuthentication:
            return "home agent failed authentication";
        case ForeignAgentCode::kLifetimeTooLong:
            return "requested lifetime too long";
        case ForeignAgentCode::kPoorlyFormedRequest:
            return "poorly formed request";
        case ForeignAgentCode::kPoorlyFormedReply:
            return "poorly formed reply";
        case ForeignAgentCode::kEncapsulationUnavailable:
            return "requested encapsulation unavailable";
        case ForeignAgentCode::kReverseTunnelUnavailable:
            return "requested reverse tunnel unavailable";
        case ForeignAgentCode::kReverseTunnelMandatory:
            return "reverse tunnel is mandatory";
        case ForeignAgentCode::kMobileNodeTooDistant:
            return "mobile node too distant";
        case ForeignAgentCode::kInvalidCareOfAddress:
            return "invalid care-of address";
        case ForeignAgentCode::kRegistrationTimeout:
            return "registration timeout";
        case ForeignAgentCode::kDeliveryStyleUnsupported:
            return "delivery style not supported";
        case ForeignAgentCode::kHomeNetworkUnreachable:
            return "home network unreachable";
        case ForeignAgentCode::kHomeAgentHostUnreachable:
            return "home agent host unreachable";
        case ForeignAgentCode::kHomeAgentPortUnreachable:
            return "home agent port unreachable";
        case ForeignAgentCode::kHomeAgentUnreachable:
            return "home agent unreachable";
        case ForeignAgentCode::kHomeAddressRequired:
            return "non-zero home address required";
        case ForeignAgentCode::kMissingNai:
            return "reply without the mobile node's NAI";
        case ForeignAgentCode::kMissingHomeAgent:
            return "reply without a home agent address";
        case ForeignAgentCode::kMissingHomeAddress:
            return "reply without a home address";
        case ForeignAgentCode::kUnknownVendorFromMobileNode:
            return "unknown critical vendor extension of the mobile node";
        case ForeignAgentCode::kUnknownVendorFromHomeAgent:
            return "unknown critical vendor extension of the home agent";
        case ForeignAgentCode::kInvalidHomeAgentAddress:
            return "invalid home agent address";
    }
    return "unknown code";
}

}  // namespace homeport::wire
