// SPDX-License-Identifier: BSD-3-Clause
// IPv4, IPv6, UDP and ICMP headers as they lie on the wire, and their protocol numbers.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport {

/// IP protocol / IPv6 next header numbers.
enum class IpProtocol : std::uint8_t {
    kHopByHop = 0,
    kIcmp = 1,
    kIpv4 = 4,
    kTcp = 6,
    kUdp = 17,
    kIpv6 = 41,
    kRouting = 43,
    kFragment = 44,
    kGre = 47,
    kEsp = 50,
    kAh = 51,
    kMinimalEncapsulation = 55,
    kIcmpv6 = 58,
    kNoNextHeader = 59,
    kDestinationOptions = 60,
    kMobility = 135,
};

constexpr std::uint8_t number(IpProtocol protocol) {
    return static_cast<std::uint8_t>(protocol);
}

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kIpv6MinimumMtu = 1280;

/// Fixed IPv6 header (RFC 8200 section 3).
struct Ipv6Header {
    Be32 version_class_flow;
    Be16 payload_length;
    std::uint8_t next_header;
    std::uint8_t hop_limit;
    Ipv6Address source;
    Ipv6Address destination;

    [[nodiscard]] std::uint8_t version() const {
        return static_cast<std::uint8_t>(version_class_flow.host() >> 28);
    }
    [[nodiscard]] std::uint8_t traffic_class() const {
        return static_cast<std::uint8_t>(version_class_flow.host() >> 20);
    }
    void set_version_class_flow(std::uint8_t traffic_class, std::uint32_t flow_label) {
        version_class_flow = Be32(6u << 28 | std::uint32_t{traffic_class} << 20 | flow_label);
    }
};
static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

/// IPv4 header without options (RFC 791).
struct Ipv4Header {
    std::uint8_t version_ihl;
    std::uint8_t tos;
    Be16 total_length;
    Be16 identification;
    Be16 flags_offset;
    std::uint8_t ttl;
    std::uint8_t protocol;
    Be16 checksum;
    Ipv4Address source;
    Ipv4Address destination;

    /// Header length in octets, options included.
    [[nodiscard]] std::uint8_t header_length() const {
        return static_cast<std::uint8_t>((version_ihl & 0x0f) * 4);
    }
    [[nodiscard]] bool dont_fragment() const { return (flags_offset.host() & 0x4000) != 0; }
    [[nodiscard]] bool is_fragment() const { return (flags_offset.host() & 0x3fff) != 0; }
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);

/// IPv6 Fragment header (RFC 8200 section 4.5).
struct FragmentHeader {
    std::uint8_t next_header;
    std::uint8_t reserved;
    Be16 offset_flags;
    Be32 identification;
};
static_assert(sizeof(FragmentHeader) == 8);

struct UdpHeader {
    Be16 source_port;
    Be16 destination_port;
    Be16 length;
    Be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

/// First eight octets of every ICMP and ICMPv6 message.
struct IcmpHeader {
    std::uint8_t type;
    std::uint8_t code;
    Be16 checksum;
    Be32 data;
};
static_assert(sizeof(IcmpHeader) == 8);

struct EthernetHeader {
    MacAddress destination;
    MacAddress source;
    Be16 ether_type;
};
static_assert(sizeof(EthernetHeader) == 14);

}  // namespace homeport
