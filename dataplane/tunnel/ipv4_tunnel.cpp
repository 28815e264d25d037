// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::tunnel {

namespace {

/// IP version of `packet` if a header of it is there and `overhead` octets fit before it; 0 and
/// `error` otherwise. `most`: what the length field of the outer header can say.
std::uint8_t version_of(const Packet& packet, std::uint32_t overhead, std::uint32_t counted,
                        EncapsulateError& error) {
    error = EncapsulateError::kNotIp;
    if (packet.length < sizeof(Ipv4Header)) return 0;
    const std::uint8_t version = packet.data[0] >> 4;
    if (version != 4 && (version != 6 || packet.length < sizeof(Ipv6Header))) return 0;
    error = EncapsulateError::kNoRoom;
    if (packet.headroom < overhead || packet.length + counted > 0xffff) return 0;
    error = EncapsulateError::kNone;
    return version;
}

std::uint8_t protocol_of(std::uint8_t version) {
    return number(version == 6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4);
}

Ipv4Fields fields_for(const Packet& packet, const Ipv4Tunnel& tunnel, std::uint32_t overhead,
                      std::uint16_t identification, std::uint32_t path_mtu) {
    return {.tos = outer_traffic_class(traffic_class_of(packet.data), tunnel.dscp),
            .ttl = tunnel.ttl,
            .protocol = number(IpProtocol::kUdp),
            .dont_fragment = outer_dont_fragment(packet.data, packet.length, path_mtu, overhead),
            .identification = identification,
            .total_length = static_cast<std::uint16_t>(packet.length + overhead)};
}

}  // namespace

void put_udp_checksum(std::uint8_t* udp, const Ipv6Address& source,
                      const Ipv6Address& destination) {
    const std::uint16_t length = load_be16(udp + offsetof(UdpHeader, length));
    store_be16(udp + offsetof(UdpHeader, checksum),
               udp_checksum(source, destination, {udp, length}));
}

void put_udp_checksum(std::uint8_t* udp, const Ipv4Address& source,
                      const Ipv4Address& destination) {
    const std::uint16_t length = load_be16(udp + offsetof(UdpHeader, length));
    store_be16(udp + offsetof(UdpHeader, checksum),
               udp_checksum(source, destination, {udp, length}));
}

EncapsulateError encapsulate_in_ipv4(Packet& packet, const Ipv4Tunnel& tunnel,
                                     std::uint16_t identification, std::uint32_t path_mtu) {
    EncapsulateError error{};
    const std::uint8_t version =
        version_of(packet, kIpv4TunnelOverhead, kIpv4TunnelOverhead, error);
    if (version == 0) return error;
    Ipv4Fields fields = fields_for(packet, tunnel, kIpv4TunnelOverhead, identification, path_mtu);
    fields.protocol = protocol_of(version);
    packet.prepend(kIpv4TunnelOverhead);
    write_ipv4_header(packet.data, tunnel.source, tunnel.destination, fields);
    return EncapsulateError::kNone;
}

EncapsulateError encapsulate_in_udp_ipv4(Packet& packet, const Ipv4Tunnel& tunnel,
                                         const UdpTunnel& udp, std::uint16_t identification,
                                         std::uint32_t path_mtu) {
    EncapsulateError error{};
    const std::uint8_t version =
        version_of(packet, kUdpIpv4TunnelOverhead, kUdpIpv4TunnelOverhead, error);
    if (version == 0) return error;
    const Ipv4Fields fields =
        fields_for(packet, tunnel, kUdpIpv4TunnelOverhead, identification, path_mtu);
    packet.prepend(sizeof(UdpHeader));
    write_udp_header(packet.data, udp.source_port, udp.destination_port,
                     static_cast<std::uint16_t>(packet.length));
    if (udp.checksum) put_udp_checksum(packet.data, tunnel.source, tunnel.destination);
    packet.prepend(kIpv4TunnelOverhead);
    write_ipv4_header(packet.data, tunnel.source, tunnel.destination, fields);
    return EncapsulateError::kNone;
}

EncapsulateError encapsulate_in_udp_ipv6(Packet& packet, const Ipv6Tunnel& tunnel,
                                         const UdpTunnel& udp, UdpChecksum checksum) {
    EncapsulateError error{};
    const std::uint8_t version =
        version_of(packet, kUdpIpv6TunnelOverhead, sizeof(UdpHeader), error);
    if (version == 0) return error;
    const std::uint8_t traffic_class =
        outer_traffic_class(traffic_class_of(packet.data), tunnel.dscp);
    packet.prepend(sizeof(UdpHeader));
    const auto length = static_cast<std::uint16_t>(packet.length);
    write_udp_header(packet.data, udp.source_port, udp.destination_port, length);
    if (checksum == UdpChecksum::kWhole) {
        put_udp_checksum(packet.data, tunnel.source, tunnel.destination);
    } else {
        const std::uint64_t sum =
            pseudo_header_sum(tunnel.source, tunnel.destination, length, number(IpProtocol::kUdp));
        store_be16(packet.data + offsetof(UdpHeader, checksum),
                   static_cast<std::uint16_t>(~checksum_finish(sum)));
    }
    packet.prepend(kIpv6TunnelOverhead);
    write_ipv6_tunnel_header(packet.data, tunnel, traffic_class, length, number(IpProtocol::kUdp));
    return EncapsulateError::kNone;
}

}  // namespace homeport::tunnel
