// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/family_change.hpp"

#include "dataplane/tunnel/encapsulate.hpp"

namespace homeport::tunnel {

bool replace_ipv6_by_ipv4(Packet& packet, const EspOverIpv4& outer, std::uint16_t identification,
                          std::uint32_t path_mtu) {
    constexpr std::uint32_t kBefore = sizeof(Ipv6Header);
    if (packet.length < kBefore || packet.data[0] >> 4 != 6 ||
        packet.data[offsetof(Ipv6Header, next_header)] != number(IpProtocol::kEsp)) {
        return false;
    }
    const std::uint16_t total = write_ipv4_before_esp(packet.data, packet.length - kBefore, outer,
                                                      identification, path_mtu);
    if (total == 0) return false;
    packet.cut_front(packet.length - total);
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
