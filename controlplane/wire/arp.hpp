// SPDX-License-Identifier: BSD-3-Clause
// Address resolution of IPv4 on Ethernet (RFC 826), as far as a home agent speaks it by itself.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::wire {

/// A broadcast frame that tells all of a link that `address` is at `mac`: an ARP Request whose
/// sender and target are the address itself (RFC 5944 4.6, RFC 5227 3). Padded to 60 octets.
[[nodiscard]] std::vector<std::uint8_t> gratuitous_arp(const Ipv4Address& address,
                                                       const MacAddress& mac);
/// The same on behalf of another: the frame comes from `sender`, so that switches on the link do
/// not look for `mac` behind our port.
[[nodiscard]] std::vector<std::uint8_t> gratuitous_arp(const Ipv4Address& address,
                                                       const MacAddress& mac,
                                                       const MacAddress& sender);

}  // namespace homeport::wire
