// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/signalling_peek.hpp"

#include <cstddef>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::core {

namespace {

constexpr std::uint16_t kIkePort = 500;
constexpr std::uint16_t kMobileIpv4Port = 434;
constexpr std::uint16_t kDsmipPort = 4191;
constexpr std::uint16_t kNatTraversalPort = 4500;

constexpr std::size_t kUdpHeader = 8;

/// ESP of an SA whose SPI says that it carries signalling.
bool is_signalling_esp(ConstByteSpan esp) {
    if (esp.size() < 4) return false;
    const ipsec::Spi spi{load_be32(esp.data())};
    return ipsec::is_own(spi) && ipsec::spi_group(spi) == 0;
}

/// Router and neighbor discovery, home agent discovery, mobile prefixes.
bool is_signalling_icmpv6(ConstByteSpan message) {
    if (message.empty()) return false;
    const std::uint8_t type = message[0];
    return (type >= 133 && type <= 137) || type == 144 || type == 146;
}

bool is_signalling_upper(std::uint8_t next_header, ConstByteSpan upper) {
    switch (next_header) {
        case number(IpProtocol::kMobility):
        case number(IpProtocol::kDestinationOptions):
            return true;
        case number(IpProtocol::kEsp):
            return is_signalling_esp(upper);
        case number(IpProtocol::kIcmpv6):
            return is_signalling_icmpv6(upper);
        default:
            return false;
    }
}

bool is_signalling_udp(ConstByteSpan udp) {
    if (udp.size() < kUdpHeader) return false;
    const ConstByteSpan inside = udp.subspan(kUdpHeader);
    switch (load_be16(udp.data() + 2)) {
        case kIkePort:
        case kMobileIpv4Port:
            return true;
        case kNatTraversalPort:
            // RFC 3948 section 2.2: four octets of zero, then IKE.
            return inside.size() >= 4 &&
                   (load_be32(inside.data()) == 0 || is_signalling_esp(inside));
        case kDsmipPort:
            return inside.size() >= sizeof(Ipv6Header) && inside[0] >> 4 == 6 &&
                   is_signalling_upper(inside[offsetof(Ipv6Header, next_header)],
                                       inside.subspan(sizeof(Ipv6Header)));
        default:
            return false;
    }
}

bool is_signalling_ipv6(ConstByteSpan packet, const table::Tables& tables) {
    if (packet.size() < sizeof(Ipv6Header)) return false;
    const std::uint8_t next_header = packet[offsetof(Ipv6Header, next_header)];
    const ConstByteSpan upper = packet.subspan(sizeof(Ipv6Header));
    const bool wanted = next_header == number(IpProtocol::kUdp)
                            ? is_signalling_udp(upper)
                            : is_signalling_upper(next_header, upper);
    if (!wanted) return false;
    const auto destination = Ipv6Address::load(packet.data() + offsetof(Ipv6Header, destination));
    return destination.is_multicast() || next_header == number(IpProtocol::kIcmpv6) ||
           tables.local_addresses.find(destination) != nullptr;
}

bool is_signalling_ipv4(ConstByteSpan packet, const table::Tables& tables) {
    if (packet.size() < sizeof(Ipv4Header)) return false;
    const std::size_t header = std::size_t{packet[0] & 0xfu} * 4;
    if (header < sizeof(Ipv4Header) || packet.size() < header) return false;
    const std::uint8_t protocol = packet[offsetof(Ipv4Header, protocol)];
    const ConstByteSpan upper = packet.subspan(header);
    const bool wanted = protocol == number(IpProtocol::kUdp)   ? is_signalling_udp(upper)
                        : protocol == number(IpProtocol::kEsp) ? is_signalling_esp(upper)
                                                               : false;
    if (!wanted) return false;
    const auto destination = Ipv4Address::load(packet.data() + offsetof(Ipv4Header, destination));
    return tables.local_addresses.find(table::v4_mapped(destination)) != nullptr;
}

}  // namespace

bool looks_like_signalling(ConstByteSpan frame, const table::Tables& tables) {
    if (frame.size() < sizeof(EthernetHeader)) return false;
    const ConstByteSpan packet = frame.subspan(sizeof(EthernetHeader));
    switch (load_be16(frame.data() + offsetof(EthernetHeader, ether_type))) {
        case kEtherTypeIpv6:
            return is_signalling_ipv6(packet, tables);
        case kEtherTypeIpv4:
            return is_signalling_ipv4(packet, tables);
        case kEtherTypeArp:
            return true;
        default:
            return false;
    }
}

}  // namespace homeport::core
