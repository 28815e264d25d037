// SPDX-License-Identifier: BSD-3-Clause
// The Home Address destination option (RFC 6275 section 6.3; paths P5 and N3). IPsec sees neither
// it nor the care-of address: both sides transform to and from the normal form outside IPsec.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/tunnel/extension_headers.hpp"

namespace homeport::tunnel {

/// Octets that insert_home_address_option() adds.
inline constexpr std::uint16_t kHomeAddressOptionLength = 24;

/// Receiver: source := home address; returns the source that the packet had on the wire. The option
/// header goes if there was nothing but padding beside the option, else the option becomes PadN.
/// `report` comes from examine_options() of this packet and has_home_address.
Ipv6Address undo_home_address_option(Packet& packet, const OptionsReport& report);

/// Mobile node: moves the source, a home address, into an option and puts the care-of address in
/// its place. The header goes behind hop-by-hop options and routing headers, before everything
/// else. False: `packet` is no well-formed IPv6 packet, or there is no room; it is unchanged.
[[nodiscard]] bool insert_home_address_option(Packet& packet, const Ipv6Address& care_of_address);

}  // namespace homeport::tunnel
