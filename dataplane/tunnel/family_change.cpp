// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/family_change.hpp"

#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::tunnel {

namespace {

/// Most that ESP in tunnel mode adds to an inner packet: SPI and sequence number, IV, padding,
/// trailer and ICV of the algorithms that are there.
constexpr std::uint32_t kMostEspOverhead = 8 + 16 + 15 + 2 + 32;

}  // namespace

bool replace_ipv6_by_ipv4(Packet& packet, const EspOverIpv4& outer, std::uint16_t identification,
                          std::uint32_t path_mtu) {
    if (packet.length < sizeof(Ipv6Header) || packet.data[0] >> 4 != 6) return false;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data);
    if (ip.next_header != number(IpProtocol::kEsp)) return false;
    const std::uint16_t header_length = outer.header_length();
    const auto total =
        static_cast<std::uint32_t>(packet.length - sizeof(Ipv6Header) + header_length);
    if (total > 0xffff) return false;
    const Ipv4Fields fields{
        .tos = traffic_class_of(packet.data),
        .ttl = ip.hop_limit,
        .protocol = number(outer.in_udp() ? IpProtocol::kUdp : IpProtocol::kEsp),
        .dont_fragment =
            total <= path_mtu && path_mtu >= kIpv6MinimumMtu + kMostEspOverhead + header_length,
        .identification = identification,
        .total_length = static_cast<std::uint16_t>(total)};
    packet.cut_front(static_cast<std::uint32_t>(sizeof(Ipv6Header)) - header_length);
    if (outer.in_udp()) {
        write_udp_header(packet.data + sizeof(Ipv4Header), outer.source_port,
                         outer.destination_port,
                         static_cast<std::uint16_t>(total - sizeof(Ipv4Header)));
    }
    write_ipv4_header(packet.data, outer.source, outer.destination, fields);
    return true;
}

bool replace_ipv4_by_ipv6(Packet& packet, std::uint16_t esp_offset, const Ipv6Address& source,
                          const Ipv6Address& destination) {
    if (packet.length < esp_offset || esp_offset < sizeof(Ipv4Header)) return false;
    const std::uint32_t payload = packet.length - esp_offset;
    if (packet.headroom + esp_offset < sizeof(Ipv6Header)) return false;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data);
    const std::uint8_t traffic_class = ip.tos;
    const Ipv6Tunnel header{source, destination, ip.ttl, Dscp::kUniform};
    packet.cut_front(esp_offset);
    packet.prepend(sizeof(Ipv6Header));
    write_ipv6_tunnel_header(packet.data, header, traffic_class,
                             static_cast<std::uint16_t>(payload), number(IpProtocol::kEsp));
    return true;
}

}  // namespace homeport::tunnel
