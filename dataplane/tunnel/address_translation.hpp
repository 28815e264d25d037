// SPDX-License-Identifier: BSD-3-Clause
// One address of an IPv4 packet replaced by another, as a translator between a VPN and the network
// behind it does (S2.36; RFC 3022 section 4). Ports stay.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::tunnel {

enum class AddressField : std::uint8_t { kSource, kDestination };

/// `packet`: a whole IPv4 packet whose header is sound; of what lies behind it, only what is there
/// is touched. Renews the header's checksum, those of TCP, UDP and UDP-Lite that cover the address,
/// and in an ICMP error the packet that it quotes, which went the other way: there the other field
/// is replaced if it holds `from`.
void translate_address(std::uint8_t* packet, std::uint16_t length, AddressField field,
                       const Ipv4Address& from, const Ipv4Address& to);

}  // namespace homeport::tunnel
