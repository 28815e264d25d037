// SPDX-License-Identifier: BSD-3-Clause
// The headers of a packet as IPsec needs them: what the selectors compare, and where ESP goes.
#pragma once

#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/ipsec/address_key.hpp"

namespace homeport::ipsec {

/// Offsets are octets from the IP header. Headers are 65535 octets at most, so 16 bits hold them.
struct HeaderInfo {
    AddressKey source;
    AddressKey destination;
    std::uint32_t ip_length = 0;  ///< of the whole packet, as its IP header says
    Family family = Family::kNone;
    std::uint8_t protocol = 0;  ///< behind the headers 0, 43, 44 and 60; valid if protocol_known
    bool protocol_known = false;
    bool fragment = false;  ///< a fragment, the first one included
    bool values_known = false;
    std::uint16_t source_value = 0;       ///< source port; ICMP type * 256 + code; MH type
    std::uint16_t destination_value = 0;  ///< destination port, or the same as source_value
    std::uint16_t upper_offset = 0;       ///< of the header of `protocol`
    std::uint16_t upper_name_offset = 0;  ///< of the octet that names `protocol`
    /// Transport mode inserts ESP here (RFC 4303 section 3.1.1): behind hop-by-hop options, routing
    /// and (atomic) fragment headers, before destination options that no routing header follows.
    std::uint16_t insert_offset = 0;
    std::uint16_t insert_name_offset = 0;  ///< of the octet that names what is at insert_offset
};

/// Reads the headers of `packet`, which may have octets behind its IP length. False if it is not an
/// IP packet, lengths lie, or there are more than 16 extension headers.
[[nodiscard]] bool walk_headers(ConstByteSpan packet, HeaderInfo& info);

}  // namespace homeport::ipsec
