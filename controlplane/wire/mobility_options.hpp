// SPDX-License-Identifier: BSD-3-Clause
// Mobility options (RFC 6275 6.2; RFC 3963, 4283, 4285, 5555, 5648). Numbers are in host order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/wire/units.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

/// Type 2, in a BA from a home agent and in HA Switch.
struct BindingRefreshAdvice {
    FourSecondUnits interval{};
    friend bool operator==(const BindingRefreshAdvice&, const BindingRefreshAdvice&) = default;
};
/// Type 3.
struct AlternateCareOfAddress {
    Ipv6Address address{};
    friend bool operator==(const AlternateCareOfAddress&, const AlternateCareOfAddress&) = default;
};
/// Type 4, in a BU to a correspondent node.
struct NonceIndices {
    std::uint16_t home = 0;
    std::uint16_t care_of = 0;
    friend bool operator==(const NonceIndices&, const NonceIndices&) = default;
};
/// Type 5; must be the last option.
struct BindingAuthorizationData {
    std::vector<std::uint8_t> authenticator{};
    friend bool operator==(const BindingAuthorizationData&,
                           const BindingAuthorizationData&) = default;
};
/// Type 6 (RFC 3963 4.3). The length is as received: it may exceed 128.
struct MobileNetworkPrefix {
    std::uint8_t prefix_length = 0;
    Ipv6Address prefix{};
    friend bool operator==(const MobileNetworkPrefix&, const MobileNetworkPrefix&) = default;
};
/// Type 8 (RFC 4283). Subtype 1 is a network access identifier.
struct MobileNodeIdentifier {
    std::uint8_t subtype = 1;
    std::vector<std::uint8_t> identifier{};
    friend bool operator==(const MobileNodeIdentifier&, const MobileNodeIdentifier&) = default;
};
/// Type 9 (RFC 4285 5). Subtype 1 is MN-HA, 2 is MN-AAA.
struct MessageAuthentication {
    std::uint8_t subtype = 1;
    std::uint32_t spi = 0;
    std::vector<std::uint8_t> data{};
    friend bool operator==(const MessageAuthentication&, const MessageAuthentication&) = default;
};
/// Type 10 (RFC 4285 6): NTP time stamp.
struct ReplayProtection {
    std::uint64_t timestamp = 0;
    friend bool operator==(const ReplayProtection&, const ReplayProtection&) = default;
};
/// Type 29 (RFC 5555 3.1.1). Prefix length is 6 bits wide: as received it may exceed 32.
struct Ipv4HomeAddress {
    std::uint8_t prefix_length = 32;
    bool prefix_requested = false;
    Ipv4Address address{};
    friend bool operator==(const Ipv4HomeAddress&, const Ipv4HomeAddress&) = default;
};
/// Type 30 (RFC 5555 3.2.1).
struct Ipv4AddressAcknowledgement {
    std::uint8_t status = 0;
    std::uint8_t prefix_length = 32;
    Ipv4Address address{};
    friend bool operator==(const Ipv4AddressAcknowledgement&,
                           const Ipv4AddressAcknowledgement&) = default;
};
/// Type 31 (RFC 5555 3.2.2). Refresh time in seconds: 0 = ignore, all ones = no keepalives needed.
struct NatDetection {
    bool force_udp = false;
    std::uint32_t refresh_time = 0;
    friend bool operator==(const NatDetection&, const NatDetection&) = default;
};
/// Type 32 (RFC 5555 3.1.2).
struct Ipv4CareOfAddress {
    Ipv4Address address{};
    friend bool operator==(const Ipv4CareOfAddress&, const Ipv4CareOfAddress&) = default;
};
/// Type 35 (RFC 5648 4.1).
struct BindingIdentifier {
    std::uint16_t identifier = 0;
    std::uint8_t status = 0;
    bool simultaneous_home_and_foreign = false;
    std::variant<std::monostate, Ipv4Address, Ipv6Address> care_of_address{};
    friend bool operator==(const BindingIdentifier&, const BindingIdentifier&) = default;
};
/// Any other type: skipped by receivers, kept as it came.
struct UnknownOption {
    std::uint8_t type = 0;
    std::vector<std::uint8_t> data{};
    friend bool operator==(const UnknownOption&, const UnknownOption&) = default;
};

/// Padding is never listed: it is computed on encoding and dropped on decoding.
using MobilityOption = std::variant<BindingRefreshAdvice, AlternateCareOfAddress, NonceIndices,
                                    BindingAuthorizationData, MobileNetworkPrefix,
                                    MobileNodeIdentifier, MessageAuthentication, ReplayProtection,
                                    Ipv4HomeAddress, Ipv4AddressAcknowledgement, NatDetection,
                                    Ipv4CareOfAddress, BindingIdentifier, UnknownOption>;
/// In the order of the wire.
using MobilityOptions = std::vector<MobilityOption>;

/// The first option of type T, or nullptr.
template <class T>
[[nodiscard]] const T* find_option(const MobilityOptions& options) {
    for (const MobilityOption& option : options) {
        if (const T* found = std::get_if<T>(&option)) return found;
    }
    return nullptr;
}

/// Where and how a list of options is wrong. Offsets count from the start of the mobility header.
struct OptionError {
    std::size_t offset = 0;
    std::size_t found = 0;
    std::size_t expected = 0;
    const char* what = "";
};

/// Appends `options` to `header`, which holds the mobility header so far, each aligned as its RFC
/// says with Pad1/PadN before it, then padding up to a multiple of 8 octets.
void append_mobility_options(std::vector<std::uint8_t>& header, const MobilityOptions& options);

/// Reads the options at `header[offset..]`, at any alignment. An option that ends past the header,
/// or a known one with an illegal length, is an error; an unknown one is kept.
[[nodiscard]] std::variant<MobilityOptions, OptionError> read_mobility_options(ConstByteSpan header,
                                                                               std::size_t offset);

}  // namespace homeport::wire
