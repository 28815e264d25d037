// SPDX-License-Identifier: BSD-3-Clause
// One walk over the headers of an IP packet, from the IP header to the upper-layer header.
//
// Use: walk(packet, headers); on success `headers` says what the packet is. A packet without
// extension headers or IPv4 options, that is nearly every one, costs a few instructions. Who has to
// know more of a chain of extension headers (and it was walked without error) goes over it with
// for_each_extension_header().
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::parse {

/// Each is a counter: parse.truncated, .version, .header, .checksum, .source.
enum class Error : std::uint8_t {
    kNone,
    kTruncated,  // shorter than its headers say
    kVersion,    // neither 4 nor 6
    kHeader,     // extension headers or IPv4 options malformed, misplaced or too many
    kChecksum,   // of the IPv4 header
    kSource,     // no node may have sent this source address
};

/// What the walk met on its way. None of them in the common case.
enum Fact : std::uint16_t {
    kHopByHopOptions = 1 << 0,
    kRouterAlert = 1 << 1,
    kDestinationOptions = 1 << 2,
    kRoutingHeader = 1 << 3,
    kFragment = 1 << 4,        // part of a packet
    kAtomicFragment = 1 << 5,  // Fragment header on a whole packet (RFC 6946)
    kIpv4Options = 1 << 6,
    kIpv4SourceRoute = 1 << 7,  // loose or strict
};

inline constexpr unsigned kMaxExtensionHeaders = 8;

/// Offsets are octets from the first octet of the IP header.
struct Headers {
    std::uint8_t family = 0;  // 4 or 6
    /// Upper-layer protocol behind the headers 0, 43, 60 and an atomic 44. For a fragment of either
    /// family it is 44, and for IPv6 upper_offset is that of the Fragment header.
    std::uint8_t protocol = 0;
    std::uint16_t facts = 0;         // Fact
    std::uint16_t upper_offset = 0;  // of the upper-layer header
    std::uint16_t end = 0;  // length of the packet; what lies behind is padding of the link

    // IPv6 with extension headers only:
    std::uint16_t upper_name_offset = 0;  // of the Next Header octet that names `protocol`
    std::uint16_t routing_offset = 0;     // with kRoutingHeader: of the first that is not used up,
                                          // or else of the last
    std::uint8_t routing_type = 0;
    std::uint8_t segments_left = 0;

    // kFragment and kAtomicFragment only:
    std::uint16_t fragment_header_offset = 0;  // IPv6
    std::uint16_t fragment_name_offset = 0;    // IPv6: of the octet that names the Fragment header
    std::uint16_t fragment_offset = 0;         // octets
    bool more_fragments = false;
    std::uint32_t identification = 0;

    [[nodiscard]] bool has(Fact fact) const { return (facts & fact) != 0; }
};

/// Whether the IPv4 header checksum is to be verified, or hardware did it.
enum class Checksum : std::uint8_t { kVerify, kVerified };

/// Next headers that stand before an upper-layer header.
constexpr bool is_extension_header(std::uint8_t next_header) {
    constexpr std::uint64_t kSet = std::uint64_t{1} << number(IpProtocol::kHopByHop) |
                                   std::uint64_t{1} << number(IpProtocol::kRouting) |
                                   std::uint64_t{1} << number(IpProtocol::kFragment) |
                                   std::uint64_t{1} << number(IpProtocol::kDestinationOptions);
    return next_header < 64 && (kSet >> next_header & 1) != 0;
}

/// The cases that walk() does not settle inline.
[[nodiscard]] Error walk_slowly(ConstByteSpan packet, Headers& headers, Checksum checksum);
/// Source of an IPv6 header that is multicast, or whose upper 64 bits are 0.
[[nodiscard]] Error check_rare_source(const Ipv6Header& header);

/// Walks the packet that begins at packet[0]; octets behind its end are allowed. On an error
/// `headers` is undefined.
[[nodiscard]] inline Error walk(ConstByteSpan packet, Headers& headers,
                                Checksum checksum = Checksum::kVerify) {
    if (packet.size() < sizeof(Ipv6Header) || packet[0] >> 4 != 6 ||
        is_extension_header(packet[offsetof(Ipv6Header, next_header)])) [[unlikely]] {
        return walk_slowly(packet, headers, checksum);
    }
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data());
    const std::size_t end = sizeof(Ipv6Header) + ip.payload_length.host();
    if (end > packet.size() || end > 0xffff) [[unlikely]]
        return Error::kTruncated;
    headers.family = 6;
    headers.protocol = ip.next_header;
    headers.facts = 0;
    headers.upper_offset = sizeof(Ipv6Header);
    headers.end = static_cast<std::uint16_t>(end);
    if (ip.source.bytes[0] == 0xff || ip.source.high() == 0) [[unlikely]]
        return check_rare_source(ip);
    return Error::kNone;
}

/// One extension header of an IPv6 packet.
struct ExtensionHeader {
    std::uint8_t type = 0;          // as the header before it names it
    std::uint8_t next_header = 0;   // as it names what follows
    std::uint16_t offset = 0;       // octets from the IP header
    std::uint16_t length = 0;       // octets
    std::uint16_t name_offset = 0;  // of the octet that names this header

    [[nodiscard]] bool is(IpProtocol protocol) const { return type == number(protocol); }
};

/// Calls `visit(const ExtensionHeader&)`, which returns whether to go on, for the extension headers
/// of a packet that walk() accepted, in their order, up to and including the Fragment header of a
/// fragment.
template <class Visitor>
void for_each_extension_header(ConstByteSpan packet, Visitor&& visit) {
    ExtensionHeader header{packet[offsetof(Ipv6Header, next_header)], 0, sizeof(Ipv6Header), 0,
                           offsetof(Ipv6Header, next_header)};
    while (is_extension_header(header.type)) {
        const std::uint8_t* at = packet.data() + header.offset;
        const bool is_fragment_header = header.is(IpProtocol::kFragment);
        header.next_header = at[0];
        header.length =
            is_fragment_header ? std::uint16_t{8} : static_cast<std::uint16_t>((at[1] + 1) * 8);
        if (!visit(static_cast<const ExtensionHeader&>(header))) return;
        if (is_fragment_header && (load_be16(at + 2) & 0xfff9) != 0) return;
        header.name_offset = header.offset;
        header.offset = static_cast<std::uint16_t>(header.offset + header.length);
        header.type = header.next_header;
    }
}

}  // namespace homeport::parse
