// SPDX-License-Identifier: BSD-3-Clause
// The headers of a packet as IPsec needs them: what the selectors compare, and where ESP goes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"
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

/// The extension headers that a packet's protocol is looked for behind.
[[nodiscard]] constexpr bool is_skipped_header(std::uint8_t next_header) {
    return next_header == number(IpProtocol::kHopByHop) ||
           next_header == number(IpProtocol::kRouting) ||
           next_header == number(IpProtocol::kFragment) ||
           next_header == number(IpProtocol::kDestinationOptions);
}

/// The whole of walk_headers().
[[nodiscard]] bool walk_headers_in_full(ConstByteSpan packet, HeaderInfo& info);

/// Neither an extension header that is walked nor a protocol with ports or types. A few of those
/// that are plain are not known here, and take the long way.
[[nodiscard]] constexpr bool is_plain(std::uint8_t protocol) {
    constexpr std::uint64_t kSet = std::uint64_t{1} << number(IpProtocol::kIpv4) |
                                   std::uint64_t{1} << number(IpProtocol::kIpv6) |
                                   std::uint64_t{1} << number(IpProtocol::kGre) |
                                   std::uint64_t{1} << number(IpProtocol::kEsp) |
                                   std::uint64_t{1} << number(IpProtocol::kNoNextHeader);
    return protocol < 64 && (kSet >> protocol & 1) != 0;
}

/// Reads the headers of `packet`, which may have octets behind its IP length. False if it is not an
/// IP packet, lengths lie, or there are more than 16 extension headers.
[[nodiscard]] inline bool walk_headers(ConstByteSpan packet, HeaderInfo& info) {
    // Nearly all packets: TCP, UDP, ESP, or a protocol that has neither ports nor types, right
    // behind an IPv6 header.
    constexpr std::size_t kHeader = sizeof(Ipv6Header);
    if (packet.size() < kHeader + 8 || packet[0] >> 4 != 6)
        return walk_headers_in_full(packet, info);
    const std::uint8_t* header = packet.data();
    const std::uint32_t total = kHeader + load_be16(header + 4);
    const std::uint8_t next = header[6];
    const bool has_ports = next == number(IpProtocol::kTcp) || next == number(IpProtocol::kUdp);
    if ((!has_ports && !is_plain(next)) || total < kHeader + 8 || total > packet.size()) {
        return walk_headers_in_full(packet, info);
    }
    info.source = AddressKey::load_ipv6(header + 8);
    info.destination = AddressKey::load_ipv6(header + 24);
    info.ip_length = total;
    info.family = Family::kIpv6;
    info.protocol = next;
    info.protocol_known = true;
    info.fragment = false;
    info.values_known = has_ports;
    info.source_value = has_ports ? load_be16(header + kHeader) : std::uint16_t{0};
    info.destination_value = has_ports ? load_be16(header + kHeader + 2) : std::uint16_t{0};
    info.upper_offset = info.insert_offset = kHeader;
    info.upper_name_offset = info.insert_name_offset = offsetof(Ipv6Header, next_header);
    return true;
}

}  // namespace homeport::ipsec
