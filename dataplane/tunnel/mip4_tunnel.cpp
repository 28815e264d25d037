// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/mip4_tunnel.hpp"

#include <cstring>

#include "dataplane/base/checksum.hpp"

namespace homeport::tunnel {

namespace {

constexpr std::uint16_t kGreChecksumPresent = 0x8000;
constexpr std::uint16_t kGreMustBeZero = 0x7c00;  // bits 1 to 5 (RFC 2784 section 2.3)
constexpr std::uint16_t kGreVersion = 0x0007;
constexpr std::uint16_t kGreLength = 4;
constexpr std::uint16_t kGreChecksumLength = 4;
constexpr std::uint8_t kMinimalHasSource = 0x80;
constexpr std::uint16_t kMinimalLength = 12;
constexpr std::uint16_t kMinimalShortLength = 8;

/// The IPv4 header of `packet`; null: it is no whole IPv4 packet.
const Ipv4Header* whole_ipv4(const Packet& packet) {
    if (packet.length < sizeof(Ipv4Header) || packet.data[0] >> 4 != 4) return nullptr;
    const auto* const ip = reinterpret_cast<const Ipv4Header*>(packet.data);
    const std::uint32_t header = ip->header_length();
    if (header < sizeof(Ipv4Header) || ip->total_length.host() < header ||
        ip->total_length.host() != packet.length) {
        return nullptr;
    }
    return ip;
}

Mip4TunnelError check(const Packet& packet, std::uint32_t overhead) {
    if (whole_ipv4(packet) == nullptr) return Mip4TunnelError::kNotIpv4;
    if (packet.headroom < overhead || packet.length + overhead > 0xffff) {
        return Mip4TunnelError::kNoRoom;
    }
    return Mip4TunnelError::kNone;
}

bool is_fragment(const Packet& packet) {
    constexpr std::uint16_t kMoreOrOffset = 0x3fff;
    return (load_be16(packet.data + 6) & kMoreOrOffset) != 0;
}

/// An outer IPv4 header; what stands before `packet` already is counted in `overhead`.
void put_outer(Packet& packet, const Ipv4Tunnel& tunnel, Ipv4Fields fields) {
    packet.prepend(kIpv4TunnelOverhead);
    fields.total_length = static_cast<std::uint16_t>(packet.length);
    write_ipv4_header(packet.data, tunnel.source, tunnel.destination, fields);
}

Ipv4Fields fields_of(const Packet& inner, const Ipv4Tunnel& tunnel, IpProtocol protocol,
                     std::uint16_t identification, std::uint32_t path_mtu, std::uint32_t overhead) {
    return {.tos = outer_traffic_class(traffic_class_of(inner.data), tunnel.dscp),
            .ttl = tunnel.ttl,
            .protocol = number(protocol),
            .dont_fragment = outer_dont_fragment(inner.data, inner.length, path_mtu, overhead),
            .identification = identification,
            .total_length = 0};
}

void write_minimal(std::uint8_t* at, std::uint8_t protocol, const Ipv4Address& source,
                   const Ipv4Address& destination) {
    at[0] = protocol;
    at[1] = kMinimalHasSource;
    store_be16(at + 2, 0);
    destination.store(at + 4);
    source.store(at + 8);
    store_be16(at + 2, internet_checksum({at, kMinimalLength}));
}

/// The packet's IP header goes `room` octets towards lower addresses, to be that of a tunnel.
void edit_header(Packet& packet, std::uint16_t room, const Ipv4Address& source,
                 const Ipv4Address& destination, IpProtocol protocol) {
    const std::uint32_t header = reinterpret_cast<Ipv4Header*>(packet.data)->header_length();
    packet.prepend(room);
    std::memmove(packet.data, packet.data + room, header);
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet.data);
    ip.total_length = Be16(static_cast<std::uint16_t>(packet.length));
    ip.protocol = number(protocol);
    ip.source = source;
    ip.destination = destination;
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum({packet.data, header}));
}

/// RFC 3519 section 4.2: UDP and tunnel data between the IP header and the minimal header.
Mip4TunnelError put_minimal_in_udp(Packet& packet, const Ipv4Tunnel& tunnel, const UdpTunnel& udp) {
    const auto error = check(packet, kMipUdpMinimalOverhead);
    if (error != Mip4TunnelError::kNone) return error;
    if (is_fragment(packet)) return Mip4TunnelError::kFragmented;
    const Ipv4Header ip = *whole_ipv4(packet);
    edit_header(packet, kMipUdpMinimalOverhead, tunnel.source, tunnel.destination,
                IpProtocol::kUdp);
    const std::uint32_t header = ip.header_length();
    std::uint8_t* at = packet.data + header;
    write_udp_header(at, udp.source_port, udp.destination_port,
                     static_cast<std::uint16_t>(packet.length - header));
    at += sizeof(UdpHeader);
    write_tunnel_data(at, Mip4Encapsulation::kMinimal);
    write_minimal(at + TunnelData::kLength, ip.protocol, ip.source, ip.destination);
    if (udp.checksum) {
        put_udp_checksum(packet.data + header, tunnel.source, tunnel.destination);
    }
    return Mip4TunnelError::kNone;
}

}  // namespace

Mip4TunnelError encapsulate_in_gre(Packet& packet, const Ipv4Tunnel& tunnel,
                                   std::uint16_t identification, std::uint32_t path_mtu) {
    const auto error = check(packet, kGreOverhead);
    if (error != Mip4TunnelError::kNone) return error;
    const Ipv4Fields fields =
        fields_of(packet, tunnel, IpProtocol::kGre, identification, path_mtu, kGreOverhead);
    packet.prepend(kGreLength);
    write_gre(packet.data);
    put_outer(packet, tunnel, fields);
    return Mip4TunnelError::kNone;
}

Mip4TunnelError encapsulate_minimally(Packet& packet, const Ipv4Address& source,
                                      const Ipv4Address& destination) {
    const auto error = check(packet, kMinimalOverhead);
    if (error != Mip4TunnelError::kNone) return error;
    if (is_fragment(packet)) return Mip4TunnelError::kFragmented;
    const Ipv4Header ip = *whole_ipv4(packet);
    edit_header(packet, kMinimalOverhead, source, destination, IpProtocol::kMinimalEncapsulation);
    write_minimal(packet.data + ip.header_length(), ip.protocol, ip.source, ip.destination);
    return Mip4TunnelError::kNone;
}

Mip4TunnelError encapsulate_in_mip_udp(Packet& packet, const Ipv4Tunnel& tunnel,
                                       const UdpTunnel& udp, Mip4Encapsulation encapsulation,
                                       std::uint16_t identification, std::uint32_t path_mtu) {
    if (encapsulation == Mip4Encapsulation::kMinimal) {
        return put_minimal_in_udp(packet, tunnel, udp);
    }
    const bool gre = encapsulation == Mip4Encapsulation::kGre;
    const std::uint16_t overhead = gre ? kMipUdpGreOverhead : kMipUdpOverhead;
    const auto error = check(packet, overhead);
    if (error != Mip4TunnelError::kNone) return error;
    const Ipv4Fields fields =
        fields_of(packet, tunnel, IpProtocol::kUdp, identification, path_mtu, overhead);
    if (gre) {
        packet.prepend(kGreLength);
        write_gre(packet.data);
    }
    packet.prepend(TunnelData::kLength);
    write_tunnel_data(packet.data, encapsulation);
    packet.prepend(sizeof(UdpHeader));
    write_udp_header(packet.data, udp.source_port, udp.destination_port,
                     static_cast<std::uint16_t>(packet.length));
    if (udp.checksum) put_udp_checksum(packet.data, tunnel.source, tunnel.destination);
    put_outer(packet, tunnel, fields);
    return Mip4TunnelError::kNone;
}

GreHeader read_gre(ConstByteSpan bytes) {
    if (bytes.size() < kGreLength) return {GreError::kTruncated, 0};
    const std::uint16_t flags = load_be16(bytes.data());
    if ((flags & kGreMustBeZero) != 0) return {GreError::kFlags, 0};
    if ((flags & kGreVersion) != 0) return {GreError::kVersion, 0};
    if (load_be16(bytes.data() + 2) != kEtherTypeIpv4) return {GreError::kProtocol, 0};
    if ((flags & kGreChecksumPresent) == 0) return {GreError::kNone, kGreLength};
    constexpr std::uint8_t kWithChecksum = kGreLength + kGreChecksumLength;
    if (bytes.size() < kWithChecksum) return {GreError::kTruncated, 0};
    if (internet_checksum(bytes) != 0) return {GreError::kChecksum, 0};
    return {GreError::kNone, kWithChecksum};
}

MinimalHeader read_minimal(ConstByteSpan bytes) {
    MinimalHeader header;
    if (bytes.size() < kMinimalShortLength) return header;
    header.has_source = (bytes[1] & kMinimalHasSource) != 0;
    const std::uint16_t length = header.has_source ? kMinimalLength : kMinimalShortLength;
    if (bytes.size() < length) return header;
    header.length = static_cast<std::uint8_t>(length);
    header.protocol = bytes[0];
    header.destination = Ipv4Address::load(bytes.data() + 4);
    if (header.has_source) header.source = Ipv4Address::load(bytes.data() + 8);
    header.error =
        internet_checksum(bytes.first(length)) == 0 ? MinimalError::kNone : MinimalError::kChecksum;
    return header;
}

void undo_minimal(Packet& packet, std::uint16_t offset, const MinimalHeader& header) {
    const std::uint32_t ip_length = reinterpret_cast<Ipv4Header*>(packet.data)->header_length();
    const std::uint32_t room = offset + header.length - ip_length;
    std::memmove(packet.data + room, packet.data, ip_length);
    packet.cut_front(room);
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet.data);
    ip.total_length = Be16(static_cast<std::uint16_t>(packet.length));
    ip.protocol = header.protocol;
    ip.destination = header.destination;
    if (header.has_source) ip.source = header.source;
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum({packet.data, ip_length}));
}

TunnelData read_tunnel_data(ConstByteSpan payload) {
    if (payload.size() < TunnelData::kLength || payload[0] != TunnelData::kType) return {};
    return {true, payload[1]};
}

}  // namespace homeport::tunnel
