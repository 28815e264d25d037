// SPDX-License-Identifier: BSD-3-Clause
// Packet paths in IPv4 networks (RFC 5555): N4 and N5, which mirror P9 to P13.
#include <algorithm>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/family_change.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "tools/mobile-node/packet_paths.hpp"

namespace homeport::mobile_node {

namespace {

const Ipv4Header& ipv4_header(const Packet& packet) {
    return *reinterpret_cast<const Ipv4Header*>(packet.data);
}

}  // namespace

// ------------------------------------------------------------------------------------ outbound

bool PacketPaths::in_udp(Packet& packet, const Egress& way, bool checksum) {
    const tunnel::Ipv4Tunnel header{way.care_of.ipv4(), way.care_of.home_agent(), hop_limit_,
                                    tunnel::Dscp::kUniform};
    const tunnel::UdpTunnel udp{way.udp_port, tunnel::kDsmipPort, checksum};
    if (tunnel::encapsulate_in_udp_ipv4(packet, header, udp, identification_++, way.path_mtu) ==
        tunnel::EncapsulateError::kNone) {
        return true;
    }
    counters_.add(Counter::kDropTooBig);
    return false;
}

bool PacketPaths::to_wire4(Packet& packet, Leave leave, const Egress& way) {
    const bool plain = way.encapsulation == mip6::Encapsulation::kIpv4;
    if (leave == Leave::kSealed && !way.nested_esp) {
        const tunnel::EspOverIpv4 outer{way.care_of.ipv4(), way.care_of.home_agent(),
                                        plain ? std::uint16_t{0} : way.esp_port,
                                        plain ? std::uint16_t{0} : tunnel::kNatTraversalPort};
        if (tunnel::replace_ipv6_by_ipv4(packet, outer, identification_++, way.path_mtu)) {
            return true;
        }
        counters_.add(Counter::kDropTooBig);
        return false;
    }
    // The nested form always goes in UDP.
    if (!plain || leave == Leave::kSealed) return in_udp(packet, way, false);
    const tunnel::Ipv4Tunnel header{way.care_of.ipv4(), way.care_of.home_agent(), hop_limit_,
                                    tunnel::Dscp::kUniform};
    if (tunnel::encapsulate_in_ipv4(packet, header, identification_++, way.path_mtu) ==
        tunnel::EncapsulateError::kNone) {
        return true;
    }
    counters_.add(Counter::kDropTooBig);
    return false;
}

// ------------------------------------------------------------------------------------- inbound

bool PacketPaths::is_from_home_agent(const Packet& packet) const {
    if (packet.length >= sizeof(Ipv6Header) && packet.data[0] >> 4 == 6) {
        return tunnel::source_of(packet.bytes()) == addresses_.home_agent;
    }
    return packet.length >= sizeof(Ipv4Header) &&
           std::ranges::find(addresses_.home_agents4, ipv4_header(packet).source) !=
               addresses_.home_agents4.end();
}

// The kernel has checked the header and put fragments together.
PacketPaths::Arrival PacketPaths::inbound4(Packet& packet) {
    const Ipv4Header& ip = ipv4_header(packet);
    const std::uint8_t length = ip.header_length();
    const std::uint16_t total = ip.total_length.host();
    if (length < sizeof(Ipv4Header) || total < length || total > packet.length ||
        ip.is_fragment()) {
        return dropped(Counter::kInMalformed);
    }
    if (std::ranges::find(care_of_addresses4_, ip.destination) == care_of_addresses4_.end()) {
        return dropped(Counter::kInNotCareOf);
    }
    if (!is_from_home_agent(packet)) return dropped(Counter::kInNotHomeAgent);
    packet.set_length(total);
    switch (ip.protocol) {
        case number(IpProtocol::kIpv6):
        case number(IpProtocol::kIpv4):
            return tunnelled(packet, length, ip.protocol);
        case number(IpProtocol::kEsp):
            return esp_over_ipv4(packet, length);
        case number(IpProtocol::kUdp):
            return udp(packet, length);
        default:
            return dropped(Counter::kInUnexpected);
    }
}

// The home agent's port tells what is inside (RFC 5555 section 4.1). Over IPv6 there is no UDP
// 4500.
PacketPaths::Arrival PacketPaths::udp(Packet& packet, std::uint16_t offset) {
    const ConstByteSpan datagram = packet.bytes().subspan(offset);
    const tunnel::UdpDatagram read = tunnel::read_udp(datagram);
    if (!read.well_formed) return dropped(Counter::kInMalformed);
    const auto payload_offset = static_cast<std::uint16_t>(offset + sizeof(UdpHeader));
    packet.set_length(static_cast<std::uint32_t>(payload_offset + read.payload.size()));
    const bool over_ipv4 = packet.data[0] >> 4 == 4;
    if (read.source_port == tunnel::kNatTraversalPort && over_ipv4) {
        switch (tunnel::classify_udp4500(read.payload)) {
            case tunnel::Udp4500Payload::kEsp:
                return esp_over_ipv4(packet, payload_offset);
            case tunnel::Udp4500Payload::kKeepalive:
                return dropped(Counter::kEspKeepaliveReceived);
            case tunnel::Udp4500Payload::kIke:
                return dropped(Counter::kInIke);
            case tunnel::Udp4500Payload::kBad:
                break;
        }
        return dropped(Counter::kInMalformed);
    }
    if (read.source_port != tunnel::kDsmipPort) return dropped(Counter::kInNotHomeAgent);
    using Kind = tunnel::UdpTunnelPayload::Kind;
    const auto inner = tunnel::read_udp_tunnel_payload(read.payload, false);
    if (inner.kind == Kind::kBadVersion) return dropped(Counter::kInVersion);
    if (inner.kind == Kind::kShort) return dropped(Counter::kInMalformed);
    return tunnelled(packet, static_cast<std::uint16_t>(payload_offset + inner.offset),
                     inner.protocol);
}

// P13i: IPsec gets the packet between the addresses of its SA; what opens it is the SPI's SA.
PacketPaths::Arrival PacketPaths::esp_over_ipv4(Packet& packet, std::uint16_t offset) {
    if (!tunnel::replace_ipv4_by_ipv6(packet, offset, addresses_.home_agent,
                                      addresses_.home_address)) {
        return dropped(Counter::kInMalformed);
    }
    const Arrival arrival = through_ipsec(packet);
    if (arrival.what == Arrived::kPayload) counters_.add(Counter::kTunnelReceived);
    return arrival;
}

}  // namespace homeport::mobile_node
