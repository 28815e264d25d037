// SPDX-License-Identifier: BSD-3-Clause
// Exchange of an address of an IPv6 header behind or before IPsec. ESP does not cover the outer
// header and no checksum of it covers the care-of address, so nothing else changes.
#pragma once

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::tunnel {

/// The addresses of the IPv6 header at `packet`, which holds at least 40 octets.
[[nodiscard]] inline Ipv6Address source_of(ConstByteSpan packet) {
    return Ipv6Address::load(packet.data() + offsetof(Ipv6Header, source));
}
[[nodiscard]] inline Ipv6Address destination_of(ConstByteSpan packet) {
    return Ipv6Address::load(packet.data() + offsetof(Ipv6Header, destination));
}

/// Home agent, outbound: HA>HoA becomes HA>CoA (S1.12). False: `packet` is no IPv6 packet to
/// `home_address`, and stays as it is.
inline bool rewrite_destination_to_care_of_address(ByteSpan packet, const Ipv6Address& home_address,
                                                   const Ipv6Address& care_of_address) {
    if (packet.size() < sizeof(Ipv6Header) || packet[0] >> 4 != 6) return false;
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet.data());
    if (ip.destination != home_address) return false;
    ip.destination = care_of_address;
    return true;
}

/// Mobile node, outbound: HoA>HA becomes CoA>HA (S1.21). False as above.
inline bool rewrite_source_to_care_of_address(ByteSpan packet, const Ipv6Address& home_address,
                                              const Ipv6Address& care_of_address) {
    if (packet.size() < sizeof(Ipv6Header) || packet[0] >> 4 != 6) return false;
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet.data());
    if (ip.source != home_address) return false;
    ip.source = care_of_address;
    return true;
}

/// Mobile node, inbound: HA>CoA becomes HA>HoA (S1.21). False: `packet` is no IPv6 packet to
/// `care_of_address`.
inline bool rewrite_destination_to_home_address(ByteSpan packet, const Ipv6Address& care_of_address,
                                                const Ipv6Address& home_address) {
    return rewrite_destination_to_care_of_address(packet, care_of_address, home_address);
}

}  // namespace homeport::tunnel
