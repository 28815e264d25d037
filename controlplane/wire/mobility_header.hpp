// SPDX-License-Identifier: BSD-3-Clause
// Mobility header messages (RFC 6275 6.1, RFC 5142, RFC 5846): encode and decode.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/wire/mobility_options.hpp"
#include "controlplane/wire/units.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

enum class MobilityType : std::uint8_t {
    kBindingRefreshRequest = 0,
    kHomeTestInit = 1,
    kCareOfTestInit = 2,
    kHomeTest = 3,
    kCareOfTest = 4,
    kBindingUpdate = 5,
    kBindingAcknowledgement = 6,
    kBindingError = 7,
    kHomeAgentSwitch = 12,
    kBindingRevocation = 16,
};

/// Status of a binding acknowledgement (RFC 6275 6.1.8 and the RFCs named). Below 128: accepted.
enum class BindingStatus : std::uint8_t {
    kAccepted = 0,
    kAcceptedPrefixDiscoveryNecessary = 1,
    kReasonUnspecified = 128,
    kAdministrativelyProhibited = 129,
    kInsufficientResources = 130,
    kHomeRegistrationNotSupported = 131,
    kNotHomeSubnet = 132,
    kNotHomeAgentForThisMobileNode = 133,
    kDuplicateAddressDetectionFailed = 134,
    kSequenceNumberOutOfWindow = 135,
    kExpiredHomeNonceIndex = 136,
    kExpiredCareOfNonceIndex = 137,
    kExpiredNonces = 138,
    kRegistrationTypeChangeDisallowed = 139,
    kMobileRouterOperationNotPermitted = 140,  // RFC 3963
    kInvalidPrefix = 141,                      // RFC 3963
    kNotAuthorizedForPrefix = 142,             // RFC 3963
    kForwardingSetupFailed = 143,              // RFC 3963
    kForceUdpNotAccepted = 144,                // RFC 5555 4.5; RFC 4285: identity mismatch
    kInvalidCareOfAddress = 174,
};
[[nodiscard]] constexpr bool is_accepted(BindingStatus status) {
    return static_cast<std::uint8_t>(status) < 128;
}
/// The sentence of the RFC for a status, or "unassigned".
[[nodiscard]] const char* describe(BindingStatus status);

/// Status of an IPv4 Address Acknowledgement option (RFC 5555 3.2.1).
enum class Ipv4AckStatus : std::uint8_t {
    kSuccess = 0,
    kUnspecified = 128,
    kAdministrativelyProhibited = 129,
    kIncorrectHomeAddress = 130,
    kInvalidAddress = 131,
    kDynamicAssignmentNotAvailable = 132,
    kPrefixAllocationUnauthorized = 133,
};

struct BindingRefreshRequest {
    MobilityOptions options{};
    friend bool operator==(const BindingRefreshRequest&, const BindingRefreshRequest&) = default;
};
struct HomeTestInit {
    std::uint64_t cookie = 0;
    MobilityOptions options{};
    friend bool operator==(const HomeTestInit&, const HomeTestInit&) = default;
};
struct CareOfTestInit {
    std::uint64_t cookie = 0;
    MobilityOptions options{};
    friend bool operator==(const CareOfTestInit&, const CareOfTestInit&) = default;
};
struct HomeTest {
    std::uint16_t nonce_index = 0;
    std::uint64_t cookie = 0;
    std::uint64_t keygen_token = 0;
    MobilityOptions options{};
    friend bool operator==(const HomeTest&, const HomeTest&) = default;
};
struct CareOfTest {
    std::uint16_t nonce_index = 0;
    std::uint64_t cookie = 0;
    std::uint64_t keygen_token = 0;
    MobilityOptions options{};
    friend bool operator==(const CareOfTest&, const CareOfTest&) = default;
};
struct BindingUpdate {
    bool acknowledge = false;              // A
    bool home_registration = false;        // H
    bool link_local = false;               // L: link-local address compatibility
    bool key_management_mobility = false;  // K
    bool map_registration = false;         // M, RFC 4140
    bool mobile_router = false;            // R, RFC 3963
    bool proxy_registration = false;       // P, RFC 5213
    bool force_udp = false;                // F, RFC 5555
    bool tlv_header = false;               // T, RFC 5845
    bool overwrite = false;                // O, RFC 5648
    std::uint16_t sequence = 0;
    FourSecondUnits lifetime{};
    MobilityOptions options{};
    friend bool operator==(const BindingUpdate&, const BindingUpdate&) = default;
};
struct BindingAcknowledgement {
    BindingStatus status = BindingStatus::kAccepted;
    bool key_management_mobility = false;  // K
    bool mobile_router = false;            // R, RFC 3963
    bool proxy_registration = false;       // P, RFC 5213
    bool tlv_header = false;               // T, RFC 5845
    std::uint16_t sequence = 0;
    FourSecondUnits lifetime{};
    MobilityOptions options{};
    friend bool operator==(const BindingAcknowledgement&, const BindingAcknowledgement&) = default;
};
enum class BindingErrorStatus : std::uint8_t { kUnknownBinding = 1, kUnrecognizedType = 2 };
struct BindingError {
    BindingErrorStatus status = BindingErrorStatus::kUnknownBinding;
    /// Of the Home Address option of the packet that failed; unspecified if it had none.
    Ipv6Address home_address{};
    MobilityOptions options{};
    friend bool operator==(const BindingError&, const BindingError&) = default;
};
/// RFC 5142. No address means: discover one.
struct HomeAgentSwitch {
    std::vector<Ipv6Address> addresses{};
    MobilityOptions options{};
    friend bool operator==(const HomeAgentSwitch&, const HomeAgentSwitch&) = default;
};
enum class RevocationType : std::uint8_t { kIndication = 1, kAcknowledgement = 2 };
/// RFC 5846: indication (BRI) and acknowledgement (BRA).
struct BindingRevocation {
    RevocationType type = RevocationType::kIndication;
    /// Trigger of an indication, status of an acknowledgement.
    std::uint8_t trigger_or_status = 0;
    std::uint16_t sequence = 0;
    bool proxy_binding = false;      // P
    bool ipv4_binding_only = false;  // V
    bool global = false;             // G
    MobilityOptions options{};
    friend bool operator==(const BindingRevocation&, const BindingRevocation&) = default;
};

using MobilityMessage = std::variant<BindingRefreshRequest, HomeTestInit, CareOfTestInit, HomeTest,
                                     CareOfTest, BindingUpdate, BindingAcknowledgement,
                                     BindingError, HomeAgentSwitch, BindingRevocation>;

[[nodiscard]] MobilityType type_of(const MobilityMessage& message);

/// The first check of RFC 6275 9.2 that failed. In this order they are made.
enum class MobilityFault : std::uint8_t {
    kTruncated,     // fewer octets than the header says, or than the fixed part: mip6.mh.len
    kChecksum,      // mip6.mh.cksum
    kType,          // mip6.mh.type: answer with a Binding Error, status 2
    kPayloadProto,  // mip6.mh.proto: answer with Parameter Problem, code 0, at `offset`
    kHeaderLength,  // mip6.mh.len: answer with Parameter Problem, code 0, at `offset`
    kOption,        // mip6.bu.malformed: silent
};
struct MobilityDecodeError {
    MobilityFault fault{};
    /// Octet that is wrong, counted from the start of the mobility header.
    std::uint16_t offset = 0;
    std::uint32_t found = 0;
    std::uint32_t expected = 0;
    const char* what = "";
    /// One line: what, where, found and expected.
    [[nodiscard]] std::string to_string() const;
};

/// Decodes the mobility header at the start of `header`; octets behind its end are ignored (payload
/// proto is 59). Checksum addresses are those of the packet's normal form: home address, never
/// care-of address.
[[nodiscard]] std::expected<MobilityMessage, MobilityDecodeError> decode_mobility_header(
    ConstByteSpan header, const Ipv6Address& source, const Ipv6Address& destination);

/// The whole mobility header with checksum and padding, its length a multiple of 8.
[[nodiscard]] std::vector<std::uint8_t> encode_mobility_header(const MobilityMessage& message,
                                                               const Ipv6Address& source,
                                                               const Ipv6Address& destination);

/// The same behind an IPv6 header: a whole packet in normal form.
[[nodiscard]] std::vector<std::uint8_t> mobility_packet(const MobilityMessage& message,
                                                        const Ipv6Address& source,
                                                        const Ipv6Address& destination,
                                                        std::uint8_t hop_limit = 64);

}  // namespace homeport::wire
