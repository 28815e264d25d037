// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/quoted_packet.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/table/binding_table.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::forward {

namespace {

constexpr std::uint8_t kRoutingType2 = 2;
constexpr std::size_t kRoutingType2Length = 24;  // RFC 6275 section 6.4.1

void read_inner(ConstByteSpan inner, std::uint8_t protocol, QuotedPacket& quoted) {
    quoted.kind = QuotedPacket::Kind::kCutOff;
    quoted.inner = inner;
    if (protocol == number(IpProtocol::kIpv6)) {
        if (inner.size() < sizeof(Ipv6Header) || inner[0] >> 4 != 6) return;
        const auto& ip = *reinterpret_cast<const Ipv6Header*>(inner.data());
        quoted.inner_family = 6;
        quoted.home_address = ip.destination;
        quoted.inner_length = sizeof(Ipv6Header) + std::uint32_t{ip.payload_length.host()};
    } else {
        if (inner.size() < sizeof(Ipv4Header) || inner[0] >> 4 != 4) return;
        const auto& ip = *reinterpret_cast<const Ipv4Header*>(inner.data());
        quoted.inner_family = 4;
        quoted.home_address = table::v4_mapped(ip.destination);
        quoted.inner_length = ip.total_length.host();
        quoted.inner_dont_fragment = ip.dont_fragment();
    }
    quoted.kind = QuotedPacket::Kind::kTunnel;
}

void read_sealed(ConstByteSpan esp, QuotedPacket& quoted) {
    if (esp.size() < sizeof quoted.spi) return;
    quoted.kind = QuotedPacket::Kind::kSealed;
    quoted.spi = load_be32(esp.data());
}

/// P22, and P26 with GRE. It is ours, so there is no checksum in it.
void read_gre(ConstByteSpan gre, QuotedPacket& quoted) {
    constexpr std::size_t kGreLength = 4;
    quoted.kind = QuotedPacket::Kind::kCutOff;
    quoted.of_mip4 = true;
    if (gre.size() < kGreLength) return;
    quoted.overhead += kGreLength;
    read_inner(gre.subspan(kGreLength), number(IpProtocol::kIpv4), quoted);
}

/// P24, and P26 with minimal encapsulation. `outer`: the header that was edited.
void read_minimal(ConstByteSpan bytes, const Ipv4Header& outer, QuotedPacket& quoted) {
    quoted.kind = QuotedPacket::Kind::kCutOff;
    quoted.of_mip4 = true;
    const tunnel::MinimalHeader minimal = tunnel::read_minimal(bytes);
    if (minimal.error != tunnel::MinimalError::kNone || !minimal.has_source) return;
    if (quoted.length < quoted.overhead + minimal.length) return;
    quoted.overhead += minimal.length - std::uint32_t{outer.header_length()};
    quoted.kind = QuotedPacket::Kind::kTunnel;
    quoted.edited = true;
    quoted.inner_family = 4;
    quoted.inner = bytes.subspan(minimal.length);
    quoted.inner_length = quoted.length - quoted.overhead;
    quoted.inner_dont_fragment = outer.dont_fragment();
    quoted.inner_protocol = minimal.protocol;
    quoted.inner_source = minimal.source;
    quoted.home_address = table::v4_mapped(minimal.destination);
}

/// P26.
void read_tunnel_data(ConstByteSpan payload, const Ipv4Header& outer, QuotedPacket& quoted) {
    quoted.kind = QuotedPacket::Kind::kCutOff;
    quoted.of_mip4 = true;
    const tunnel::TunnelData header = tunnel::read_tunnel_data(payload);
    if (payload.size() < tunnel::TunnelData::kLength) return;
    quoted.overhead += tunnel::TunnelData::kLength;
    if (!header.well_formed) {  // a message of the control plane
        quoted.kind = QuotedPacket::Kind::kOther;
        return;
    }
    const ConstByteSpan rest = payload.subspan(tunnel::TunnelData::kLength);
    switch (static_cast<tunnel::Mip4Encapsulation>(header.next_header)) {
        case tunnel::Mip4Encapsulation::kIpInIp:
            read_inner(rest, number(IpProtocol::kIpv4), quoted);
            return;
        case tunnel::Mip4Encapsulation::kGre:
            read_gre(rest, quoted);
            return;
        case tunnel::Mip4Encapsulation::kMinimal:
            read_minimal(rest, outer, quoted);
            return;
    }
}

/// P10, P13, P15: what UDP of ours carries, as far as it is quoted.
void read_udp(ConstByteSpan datagram, QuotedPacket& quoted) {
    if (datagram.size() < sizeof(UdpHeader)) return;
    const auto& udp = *reinterpret_cast<const UdpHeader*>(datagram.data());
    const ConstByteSpan payload = datagram.subspan(sizeof(UdpHeader));
    quoted.udp_port = udp.destination_port.host();
    quoted.overhead += sizeof(UdpHeader);
    if (udp.source_port.host() == tunnel::kNatTraversalPort) {
        read_sealed(payload, quoted);
    } else if (udp.source_port.host() == tunnel::kDsmipPort) {
        const bool v4 = !payload.empty() && payload[0] >> 4 == 4;
        read_inner(payload, number(v4 ? IpProtocol::kIpv4 : IpProtocol::kIpv6), quoted);
    }
}

QuotedPacket read_ipv4_quote(ConstByteSpan quote) {
    QuotedPacket quoted;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(quote.data());
    const std::size_t header = ip.header_length();
    if (header < sizeof(Ipv4Header) || quote.size() < header) return quoted;
    quoted.source = table::v4_mapped(ip.source);
    quoted.destination = table::v4_mapped(ip.destination);
    quoted.length = ip.total_length.host();
    quoted.overhead = static_cast<std::uint32_t>(header);
    const bool tunnel =
        ip.protocol == number(IpProtocol::kIpv6) || ip.protocol == number(IpProtocol::kIpv4);
    if ((ip.flags_offset.host() & 0x1fff) != 0) {  // not the first fragment
        if (tunnel) quoted.kind = QuotedPacket::Kind::kCutOff;
    } else if (tunnel) {
        read_inner(quote.subspan(header), ip.protocol, quoted);
    } else if (ip.protocol == number(IpProtocol::kEsp)) {
        read_sealed(quote.subspan(header), quoted);
    } else if (ip.protocol == number(IpProtocol::kGre)) {
        read_gre(quote.subspan(header), quoted);
    } else if (ip.protocol == number(IpProtocol::kMinimalEncapsulation)) {
        read_minimal(quote.subspan(header), ip, quoted);
    } else if (ip.protocol == number(IpProtocol::kUdp)) {
        read_udp(quote.subspan(header), quoted);
        const ConstByteSpan datagram = quote.subspan(header);
        if (datagram.size() >= sizeof(UdpHeader) &&
            load_be16(datagram.data()) == tunnel::kMip4Port) {
            read_tunnel_data(datagram.subspan(sizeof(UdpHeader)), ip, quoted);
        }
    }
    return quoted;
}

}  // namespace

std::size_t restore_inner(ConstByteSpan quote, const QuotedPacket& quoted,
                          std::array<std::uint8_t, kMostRestored>& buffer) {
    const std::size_t header = reinterpret_cast<const Ipv4Header*>(quote.data())->header_length();
    std::memcpy(buffer.data(), quote.data(), header);
    auto& ip = *reinterpret_cast<Ipv4Header*>(buffer.data());
    ip.total_length = Be16(static_cast<std::uint16_t>(quoted.inner_length));
    ip.protocol = quoted.inner_protocol;
    ip.source = quoted.inner_source;
    ip.destination = table::v4_of(quoted.home_address);
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum({buffer.data(), header}));
    const std::size_t rest = std::min(quoted.inner.size(), buffer.size() - header);
    std::memcpy(buffer.data() + header, quoted.inner.data(), rest);
    return header + rest;
}

QuotedPacket read_quote(ConstByteSpan quote) {
    QuotedPacket quoted;
    if (quote.size() >= sizeof(Ipv4Header) && quote[0] >> 4 == 4) return read_ipv4_quote(quote);
    if (quote.size() < sizeof(Ipv6Header) || quote[0] >> 4 != 6) return quoted;
    quoted.overhead = sizeof(Ipv6Header);
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(quote.data());
    quoted.source = ip.source;
    quoted.destination = ip.destination;
    quoted.length = sizeof(Ipv6Header) + std::uint32_t{ip.payload_length.host()};
    std::uint8_t next = ip.next_header;
    std::size_t at = sizeof(Ipv6Header);
    // What we put on: a tunnel header, a routing header, and a Fragment header between.
    if (next == number(IpProtocol::kFragment)) {
        if (quote.size() < at + sizeof(FragmentHeader)) return quoted;
        const auto& fragment = *reinterpret_cast<const FragmentHeader*>(quote.data() + at);
        next = fragment.next_header;
        at += sizeof(FragmentHeader);
        if ((fragment.offset_flags.host() & 0xfff8) != 0) {
            const bool tunnel =
                next == number(IpProtocol::kIpv6) || next == number(IpProtocol::kIpv4);
            if (tunnel) quoted.kind = QuotedPacket::Kind::kCutOff;
            return quoted;
        }
    }
    if (next == number(IpProtocol::kIpv6) || next == number(IpProtocol::kIpv4)) {
        read_inner(quote.subspan(at), next, quoted);
    } else if (next == number(IpProtocol::kEsp)) {
        read_sealed(quote.subspan(at), quoted);
    } else if (next == number(IpProtocol::kUdp)) {
        read_udp(quote.subspan(at), quoted);
    } else if (next == number(IpProtocol::kRouting) && quote.size() >= at + kRoutingType2Length &&
               quote[at + 2] == kRoutingType2) {
        quoted.kind = QuotedPacket::Kind::kRouting;
        quoted.home_address = Ipv6Address::load(quote.data() + at + 8);
    }
    return quoted;
}

}  // namespace homeport::forward
