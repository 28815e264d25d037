// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/packets.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::uint8_t kEchoRequest = 8;
constexpr std::uint8_t kEchoReply = 0;
constexpr std::uint8_t kTcpSyn = 0x02;
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionMss = 2;
constexpr std::uint8_t kOptionMssLength = 4;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kTcpChecksum = 16;  // offset
constexpr std::uint16_t kLeastMss = 88;   // Linux takes no less

void finish_header(std::vector<std::uint8_t>& packet, const Ipv4Address& source,
                   const Ipv4Address& destination, IpProtocol protocol, std::uint8_t ttl) {
    tunnel::write_ipv4_header(packet.data(), source, destination,
                              {.ttl = ttl,
                               .protocol = number(protocol),
                               .dont_fragment = false,
                               .total_length = static_cast<std::uint16_t>(packet.size())});
}

void refresh_checksum(Ipv4Header& ip) {
    ip.checksum = Be16(0);
    ip.checksum =
        Be16(internet_checksum({reinterpret_cast<const std::uint8_t*>(&ip), ip.header_length()}));
}

/// Offset of the MSS option behind the TCP header; 0: none.
std::size_t find_mss(ConstByteSpan tcp) {
    const std::size_t end = std::min<std::size_t>(tcp.size(), (tcp[12] >> 4) * std::size_t{4});
    std::size_t at = kTcpHeader;
    while (at < end && tcp[at] != kOptionEnd) {
        if (tcp[at] == kOptionNop) {
            ++at;
            continue;
        }
        if (at + 1 >= end || tcp[at + 1] < 2) return 0;
        if (tcp[at] == kOptionMss) {
            return tcp[at + 1] == kOptionMssLength && at + kOptionMssLength <= end ? at : 0;
        }
        at += tcp[at + 1];
    }
    return 0;
}

}  // namespace

std::vector<std::uint8_t> udp_packet(const mip4::Endpoint& from, const mip4::Endpoint& to,
                                     std::uint8_t ttl, ConstByteSpan payload) {
    constexpr std::size_t kHeaders = sizeof(Ipv4Header) + sizeof(UdpHeader);
    std::vector<std::uint8_t> packet(kHeaders + payload.size());
    std::ranges::copy(payload, packet.begin() + kHeaders);
    std::uint8_t* const udp = packet.data() + sizeof(Ipv4Header);
    tunnel::write_udp_header(udp, from.port, to.port,
                             static_cast<std::uint16_t>(packet.size() - sizeof(Ipv4Header)));
    tunnel::put_udp_checksum(udp, from.address, to.address);
    finish_header(packet, from.address, to.address, IpProtocol::kUdp, ttl);
    return packet;
}

std::vector<std::uint8_t> echo_request(const Ipv4Address& source, const Ipv4Address& destination,
                                       std::uint16_t identifier, std::uint16_t sequence) {
    std::vector<std::uint8_t> packet(sizeof(Ipv4Header) + sizeof(IcmpHeader));
    std::uint8_t* const icmp = packet.data() + sizeof(Ipv4Header);
    icmp[0] = kEchoRequest;
    store_be16(icmp + 4, identifier);
    store_be16(icmp + 6, sequence);
    store_be16(icmp + 2, internet_checksum({icmp, sizeof(IcmpHeader)}));
    finish_header(packet, source, destination, IpProtocol::kIcmp, 64);
    return packet;
}

bool is_echo_reply(ConstByteSpan packet) {
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data());
    return packet.size() >= ip.header_length() + sizeof(IcmpHeader) && !ip.is_fragment() &&
           ip.protocol == number(IpProtocol::kIcmp) && packet[ip.header_length()] == kEchoReply;
}

const Ipv4Header* trim_ipv4(Packet& packet) {
    if (packet.length < sizeof(Ipv4Header) || packet.data[0] >> 4 != 4) return nullptr;
    const auto* const ip = reinterpret_cast<const Ipv4Header*>(packet.data);
    const std::uint16_t total = ip->total_length.host();
    if (ip->header_length() < sizeof(Ipv4Header) || total < ip->header_length() ||
        total > packet.length) {
        return nullptr;
    }
    packet.set_length(total);
    return ip;
}

bool put_esp_in_udp(Packet& packet, std::uint16_t source_port) {
    constexpr std::uint32_t kUdp = sizeof(UdpHeader);
    if (packet.headroom < kUdp || packet.length + kUdp > 0xffff) return false;
    const std::uint32_t header = reinterpret_cast<Ipv4Header*>(packet.data)->header_length();
    packet.prepend(kUdp);
    std::memmove(packet.data, packet.data + kUdp, header);
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet.data);
    ip.protocol = number(IpProtocol::kUdp);
    ip.total_length = Be16(static_cast<std::uint16_t>(packet.length));
    refresh_checksum(ip);
    tunnel::write_udp_header(packet.data + header, source_port, tunnel::kNatTraversalPort,
                             static_cast<std::uint16_t>(packet.length - header));
    return true;
}

void take_esp_out_of_udp(Packet& packet) {
    constexpr std::uint32_t kUdp = sizeof(UdpHeader);
    const std::uint32_t header = reinterpret_cast<Ipv4Header*>(packet.data)->header_length();
    std::memmove(packet.data + kUdp, packet.data, header);
    packet.cut_front(kUdp);
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet.data);
    ip.protocol = number(IpProtocol::kEsp);
    ip.total_length = Be16(static_cast<std::uint16_t>(packet.length));
    refresh_checksum(ip);
}

void set_source(Packet& packet, const Ipv4Address& source) {
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet.data);
    if (ip.source == source) return;
    ip.source = source;
    refresh_checksum(ip);
}

bool clamp_mss(Packet& packet, unsigned mtu) {
    constexpr unsigned kHeaders = sizeof(Ipv4Header) + kTcpHeader;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data);
    const std::size_t header = ip.header_length();
    if (ip.protocol != number(IpProtocol::kTcp) || ip.is_fragment() ||
        packet.length < header + kTcpHeader || mtu < kHeaders + kLeastMss) {
        return false;
    }
    std::uint8_t* const tcp = packet.data + header;
    if ((tcp[13] & kTcpSyn) == 0) return false;
    const std::size_t option = find_mss({tcp, packet.length - header});
    if (option == 0) return false;
    std::uint8_t* const at = tcp + option + 2;
    const std::uint16_t old_value = load_be16(at);
    const auto most = static_cast<std::uint16_t>(mtu - kHeaders);
    if (old_value <= most) return false;
    store_be16(at, most);
    // A checksum counts in words of the segment: an option at an odd place has its octets swapped.
    const auto swapped = [&](std::uint16_t value) {
        return (option % 2) == 0 ? value : static_cast<std::uint16_t>(value << 8 | value >> 8);
    };
    store_be16(tcp + kTcpChecksum,
               checksum_update(load_be16(tcp + kTcpChecksum), swapped(old_value), swapped(most)));
    return true;
}

}  // namespace homeport::mobile_node
