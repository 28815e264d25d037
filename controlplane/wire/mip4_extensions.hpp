// SPDX-License-Identifier: BSD-3-Clause
// Extensions of Mobile IPv4 messages (RFC 5944 section 1.10; 2794, 3024, 3115, 3519, 3543, 4721,
// 5265). Numbers are in host order. What stands before an authentication is covered by it, so their
// order is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

/// Types 32, 33, 34 (RFC 5944 sections 3.5.2 to 3.5.4).
enum class Mip4AuthenticationKind : std::uint8_t {
    kMobileHome = 32,
    kMobileForeign = 33,
    kForeignHome = 34,
};
struct Mip4Authentication {
    Mip4AuthenticationKind kind = Mip4AuthenticationKind::kMobileHome;
    std::uint32_t spi = 0;
    std::vector<std::uint8_t> authenticator{};
    /// Set by decoding: the first so many octets of the message are authenticated, this
    /// extension's type, length and SPI included.
    std::size_t covered = 0;
    friend bool operator==(const Mip4Authentication&, const Mip4Authentication&) = default;
};
/// Type 36 (RFC 4721 section 5). Subtype 1 is Mobile-AAA.
struct Mip4GeneralizedAuthentication {
    std::uint8_t subtype = 1;
    std::uint32_t spi = 0;
    std::vector<std::uint8_t> authenticator{};
    std::size_t covered = 0;  // as above
    friend bool operator==(const Mip4GeneralizedAuthentication&,
                           const Mip4GeneralizedAuthentication&) = default;
};
/// Type 38 (RFC 3115 section 2): who does not know vendor and vendor type refuses the message.
struct Mip4CriticalVendor {
    std::uint32_t vendor = 0;
    std::uint16_t vendor_type = 0;
    std::vector<std::uint8_t> value{};
    friend bool operator==(const Mip4CriticalVendor&, const Mip4CriticalVendor&) = default;
};
/// Type 134 (RFC 3115 section 3).
struct Mip4NormalVendor {
    std::uint32_t vendor = 0;
    std::uint16_t vendor_type = 0;
    std::vector<std::uint8_t> value{};
    friend bool operator==(const Mip4NormalVendor&, const Mip4NormalVendor&) = default;
};
/// Type 44, sub-type 0 (RFC 3519 section 3.2). Codes up to 63 assent.
struct Mip4UdpTunnelReply {
    std::uint8_t code = 0;
    bool forced = false;          // F
    std::uint16_t keepalive = 0;  // seconds; 0: the mobile node's own default
    friend bool operator==(const Mip4UdpTunnelReply&, const Mip4UdpTunnelReply&) = default;
};
/// Type 144, sub-type 0 (RFC 3519 section 3.1).
struct Mip4UdpTunnelRequest {
    bool forced = false;                      // F
    bool foreign_agent_registration = false;  // R
    std::uint8_t encapsulation = 0;           // 0, 4, 47, 55
    std::uint16_t reserved = 0;               // as received; sent as 0
    friend bool operator==(const Mip4UdpTunnelRequest&, const Mip4UdpTunnelRequest&) = default;
};
/// Type 130 (RFC 3024 section 3.3), mobile node to foreign agent.
struct Mip4EncapsulatingDelivery {
    friend bool operator==(const Mip4EncapsulatingDelivery&,
                           const Mip4EncapsulatingDelivery&) = default;
};
/// Type 131 (RFC 2794).
struct Mip4NetworkAccessIdentifier {
    std::string identifier{};
    friend bool operator==(const Mip4NetworkAccessIdentifier&,
                           const Mip4NetworkAccessIdentifier&) = default;
};
/// Type 132 (RFC 4721 section 4).
struct Mip4Challenge {
    std::vector<std::uint8_t> challenge{};
    friend bool operator==(const Mip4Challenge&, const Mip4Challenge&) = default;
};
/// Type 137 (RFC 3543 section 3.2).
struct Mip4RevocationSupport {
    bool informs_mobile_node = false;  // I
    std::uint32_t timestamp = 0;
    friend bool operator==(const Mip4RevocationSupport&, const Mip4RevocationSupport&) = default;
};
/// Type 149, sub-type 0 (RFC 5265 section 3.4; S2.92).
struct Mip4TrustedNetworksConfigured {
    friend bool operator==(const Mip4TrustedNetworksConfigured&,
                           const Mip4TrustedNetworksConfigured&) = default;
};
/// Any other of the types 128 to 255: skipped by receivers, kept as it came.
struct Mip4UnknownExtension {
    std::uint8_t type = 255;
    std::vector<std::uint8_t> data{};
    friend bool operator==(const Mip4UnknownExtension&, const Mip4UnknownExtension&) = default;
};

using Mip4Extension =
    std::variant<Mip4Authentication, Mip4GeneralizedAuthentication, Mip4CriticalVendor,
                 Mip4NormalVendor, Mip4UdpTunnelReply, Mip4UdpTunnelRequest,
                 Mip4EncapsulatingDelivery, Mip4NetworkAccessIdentifier, Mip4Challenge,
                 Mip4RevocationSupport, Mip4TrustedNetworksConfigured, Mip4UnknownExtension>;
/// In the order of the wire. Padding (type 0) is dropped on decoding.
using Mip4Extensions = std::vector<Mip4Extension>;

/// Position of the first extension of type T, or extensions.size().
template <class T>
[[nodiscard]] std::size_t position_of(const Mip4Extensions& extensions) {
    std::size_t i = 0;
    while (i < extensions.size() && !std::holds_alternative<T>(extensions[i])) ++i;
    return i;
}
/// The first extension of type T, or nullptr.
template <class T>
[[nodiscard]] const T* find_extension(const Mip4Extensions& extensions) {
    const std::size_t i = position_of<T>(extensions);
    return i == extensions.size() ? nullptr : std::get_if<T>(&extensions[i]);
}

/// Where and why a message cannot be read. Offsets count from its first octet.
struct Mip4DecodeError {
    enum class Kind : std::uint8_t {
        kTruncated,        // shorter than the fixed part, or an extension that ends past it
        kType,             // no message that we know
        kLength,           // a known extension of an illegal length
        kUnknownCritical,  // an unknown extension of types 1 to 127: discard (RFC 5944 1.10)
    };
    Kind kind = Kind::kTruncated;
    std::size_t offset = 0;
    std::size_t found = 0;
    std::size_t expected = 0;
    const char* what = "";
};

/// Appends `extension` to `message`. The authenticator of an authentication is taken as it is.
void append_mip4_extension(std::vector<std::uint8_t>& message, const Mip4Extension& extension);

/// Reads the extensions at `message[offset..]`.
[[nodiscard]] std::expected<Mip4Extensions, Mip4DecodeError> read_mip4_extensions(
    ConstByteSpan message, std::size_t offset);

}  // namespace homeport::wire
