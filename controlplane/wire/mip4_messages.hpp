// SPDX-License-Identifier: BSD-3-Clause
// Messages of Mobile IPv4 on UDP port 434 (RFC 5944 sections 3.3 and 3.4; RFC 3543), as the UDP
// payload holds them. Numbers are in host order.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <variant>
#include <vector>

#include "controlplane/wire/mip4_extensions.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

inline constexpr std::uint16_t kMip4Port = 434;
inline constexpr std::uint16_t kInfiniteMip4Lifetime = 0xffff;

/// First octet of a message. Tunnel data (RFC 3519) is the data plane's.
enum class Mip4MessageType : std::uint8_t {
    kRegistrationRequest = 1,
    kRegistrationReply = 3,
    kTunnelData = 4,
    kRegistrationRevocation = 7,
    kRevocationAcknowledgement = 15,
};

struct RegistrationRequest {
    bool simultaneous = false;    // S: earlier bindings stay
    bool broadcasts = false;      // B
    bool decapsulates = false;    // D: the care-of address is co-located
    bool minimal = false;         // M
    bool gre = false;             // G
    bool reverse_tunnel = false;  // T (RFC 3024)
    std::uint16_t lifetime = 0;   // seconds; 0: deregistration; 0xffff: infinite
    Ipv4Address home_address{};
    Ipv4Address home_agent{};
    Ipv4Address care_of_address{};
    std::uint64_t identification = 0;
    Mip4Extensions extensions{};
    friend bool operator==(const RegistrationRequest&, const RegistrationRequest&) = default;
};

struct RegistrationReply {
    std::uint8_t code = 0;       // RegistrationCode
    std::uint16_t lifetime = 0;  // seconds, as above
    Ipv4Address home_address{};
    Ipv4Address home_agent{};
    std::uint64_t identification = 0;
    Mip4Extensions extensions{};
    friend bool operator==(const RegistrationReply&, const RegistrationReply&) = default;
};

/// RFC 3543 section 3.3.
struct RegistrationRevocation {
    bool by_home_agent = false;        // A
    bool informs_mobile_node = false;  // I
    Ipv4Address home_address{};
    Ipv4Address home_domain{};     // the home agent's address
    Ipv4Address foreign_domain{};  // the foreign agent's, or the co-located care-of address
    std::uint32_t identifier = 0;  // a time stamp
    Mip4Extensions extensions{};
    friend bool operator==(const RegistrationRevocation&, const RegistrationRevocation&) = default;
};

/// RFC 3543 section 3.4.
struct RevocationAcknowledgement {
    bool informs_mobile_node = false;  // I
    Ipv4Address home_address{};
    std::uint32_t identifier = 0;
    Mip4Extensions extensions{};
    friend bool operator==(const RevocationAcknowledgement&,
                           const RevocationAcknowledgement&) = default;
};

using Mip4Message = std::variant<RegistrationRequest, RegistrationReply, RegistrationRevocation,
                                 RevocationAcknowledgement>;

/// Codes of replies (mipv4.md section 3). Those of foreign agents are 64 to 127.
enum class RegistrationCode : std::uint8_t {
    kAccepted = 0,
    kAcceptedWithoutSimultaneous = 1,
    kReasonUnspecified = 128,
    kAdministrativelyProhibited = 129,
    kInsufficientResources = 130,
    kMobileNodeFailedAuthentication = 131,
    kForeignAgentFailedAuthentication = 132,
    kIdentificationMismatch = 133,
    kPoorlyFormedRequest = 134,
    kTooManySimultaneousBindings = 135,
    kUnknownHomeAgentAddress = 136,
    kReverseTunnelUnavailable = 137,
    kReverseTunnelMandatory = 138,
    kEncapsulationUnavailable = 139,
    kUnknownVendorFromMobileNode = 140,
    kUnknownVendorFromForeignAgent = 141,
    kUdpTunnelUnavailable = 142,
};
/// In words, for logs and people; "code N" for one that has none.
[[nodiscard]] const char* to_string(RegistrationCode code);

/// The message in octets, extensions in their order.
[[nodiscard]] std::vector<std::uint8_t> encode(const RegistrationRequest& message);
[[nodiscard]] std::vector<std::uint8_t> encode(const RegistrationReply& message);
[[nodiscard]] std::vector<std::uint8_t> encode(const RegistrationRevocation& message);
[[nodiscard]] std::vector<std::uint8_t> encode(const RevocationAcknowledgement& message);

/// Appends an authentication to an encoded message: `authenticator_of` gets all that it covers
/// (RFC 5944 section 3.5.1) and gives the authenticator, of `length` octets.
void append_mip4_authentication(
    std::vector<std::uint8_t>& message, Mip4AuthenticationKind kind, std::uint32_t spi,
    std::size_t length,
    const std::function<std::vector<std::uint8_t>(ConstByteSpan covered)>& authenticator_of);

/// Reads a UDP payload. Flags r and x of a request are ignored, as RFC 5944 section 3.3 says.
[[nodiscard]] std::expected<Mip4Message, Mip4DecodeError> decode_mip4(ConstByteSpan payload);

}  // namespace homeport::wire
