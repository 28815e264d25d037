// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/ipv4_packet.hpp"

#include <algorithm>

#include "dataplane/base/checksum.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::foreign_agent {

namespace {

constexpr std::size_t kHeader = sizeof(Ipv4Header);
constexpr std::size_t kIcmpHeader = sizeof(IcmpHeader);
constexpr std::uint8_t kTtl = 64;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kOffsetMask = 0x1fff;
/// ICMP errors are at most this long (RFC 1812 section 4.3.2.3).
constexpr std::size_t kMostQuoted = 576 - kHeader - kIcmpHeader;

void seal_header(Octets& packet, std::size_t header) {
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(header)));
}

/// The options of `header` that go with every piece, padded (RFC 791 section 3.1).
Octets copied_options(ConstByteSpan header) {
    constexpr std::uint8_t kEnd = 0;
    constexpr std::uint8_t kNothing = 1;
    constexpr std::uint8_t kCopied = 0x80;
    Octets copied;
    std::size_t at = kHeader;
    while (at < header.size() && header[at] != kEnd) {
        if (header[at] == kNothing) {
            ++at;
            continue;
        }
        if (header.size() - at < 2 || header[at + 1] < 2 || header.size() - at < header[at + 1]) {
            break;
        }
        const ConstByteSpan option = header.subspan(at, header[at + 1]);
        if ((option[0] & kCopied) != 0) copied.insert(copied.end(), option.begin(), option.end());
        at += option.size();
    }
    while (copied.size() % 4 != 0) copied.push_back(kEnd);
    return copied;
}

}  // namespace

std::optional<ConstByteSpan> whole_packet(ConstByteSpan bytes) {
    if (bytes.size() < kHeader || bytes[0] >> 4 != 4) return {};
    const std::size_t header = header_of(bytes).header_length();
    const std::size_t length = header_of(bytes).total_length.host();
    if (header < kHeader || length < header || bytes.size() < length) return {};
    if (internet_checksum(bytes.first(header)) != 0) return {};
    return bytes.first(length);
}

bool decrement_ttl(Octets& packet) {
    constexpr std::size_t kTtlWord = 8;
    if (packet[kTtlWord] <= 1) return false;
    const std::uint16_t before = load_be16(packet.data() + kTtlWord);
    --packet[kTtlWord];
    store_be16(packet.data() + 10, checksum_update(load_be16(packet.data() + 10), before,
                                                   load_be16(packet.data() + kTtlWord)));
    return true;
}

void set_tos(Octets& packet, std::uint8_t tos) {
    const std::uint16_t before = load_be16(packet.data());
    packet[1] = tos;
    store_be16(packet.data() + 10,
               checksum_update(load_be16(packet.data() + 10), before, load_be16(packet.data())));
}

std::vector<Octets> fragment(ConstByteSpan packet, std::size_t mtu) {
    if (packet.size() <= mtu) return {Octets(packet.begin(), packet.end())};
    const std::size_t header = header_of(packet).header_length();
    const std::uint16_t flags = header_of(packet).flags_offset.host();
    const ConstByteSpan payload = packet.subspan(header);
    const Octets options = copied_options(packet.first(header));
    std::vector<Octets> pieces;
    for (std::size_t at = 0; at < payload.size();) {
        Octets piece(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(kHeader));
        const bool is_first = at == 0;
        if (is_first) {
            piece.insert(piece.end(), packet.begin() + static_cast<std::ptrdiff_t>(kHeader),
                         packet.begin() + static_cast<std::ptrdiff_t>(header));
        } else {
            piece.insert(piece.end(), options.begin(), options.end());
        }
        const std::size_t length = piece.size();
        const std::size_t most = (mtu - length) / 8 * 8;
        const std::size_t taken = payload.size() - at <= mtu - length ? payload.size() - at : most;
        const ConstByteSpan part = payload.subspan(at, taken);
        piece.insert(piece.end(), part.begin(), part.end());
        at += taken;
        piece[0] = static_cast<std::uint8_t>(0x40 | length / 4);
        store_be16(piece.data() + 2, static_cast<std::uint16_t>(piece.size()));
        const auto offset = static_cast<std::uint16_t>((flags & kOffsetMask) + (at - taken) / 8);
        const bool is_more = at < payload.size() || (flags & kMoreFragments) != 0;
        store_be16(piece.data() + 6,
                   static_cast<std::uint16_t>(offset | (is_more ? kMoreFragments : 0) |
                                              (flags & kDontFragment)));
        seal_header(piece, length);
        pieces.push_back(std::move(piece));
    }
    return pieces;
}

std::optional<Octets> icmp_error(IcmpError error, std::uint16_t mtu, const Ipv4Address& source,
                                 ConstByteSpan packet) {
    const Ipv4Header& about = header_of(packet);
    if ((about.flags_offset.host() & kOffsetMask) != 0) return {};
    if (!about.source.is_unicast() || !about.destination.is_unicast()) return {};
    if (about.protocol == number(IpProtocol::kIcmp)) {
        const ConstByteSpan icmp = payload_of(packet);
        constexpr std::uint8_t kQueries[] = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18};
        if (icmp.empty() || std::ranges::find(kQueries, icmp[0]) == std::end(kQueries)) return {};
    }
    const std::size_t quoted = std::min(packet.size(), kMostQuoted);
    Octets out(kHeader + kIcmpHeader);
    tunnel::write_ipv4_header(
        out.data(), source, about.source,
        {.tos = 0xc0,
         .ttl = kTtl,
         .protocol = number(IpProtocol::kIcmp),
         .dont_fragment = true,
         .identification = 0,
         .total_length = static_cast<std::uint16_t>(kHeader + kIcmpHeader + quoted)});
    std::uint8_t* const icmp = out.data() + kHeader;
    switch (error) {
        case IcmpError::kTooBig:
            icmp[0] = 3;
            icmp[1] = 4;
            store_be16(icmp + 6, mtu);
            break;
        case IcmpError::kTimeExceeded:
            icmp[0] = 11;
            break;
        case IcmpError::kHostUnreachable:
            icmp[0] = 3;
            icmp[1] = 1;
            break;
    }
    out.insert(out.end(), packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(quoted));
    store_be16(out.data() + kHeader + 2, internet_checksum(ConstByteSpan(out).subspan(kHeader)));
    return out;
}

Octets echo_request(const Ipv4Address& source, const Ipv4Address& destination,
                    std::uint16_t identifier, std::uint16_t sequence) {
    constexpr std::uint8_t kEchoRequest = 8;
    Octets out(kHeader + kIcmpHeader);
    tunnel::write_ipv4_header(out.data(), source, destination,
                              {.tos = 0,
                               .ttl = kTtl,
                               .protocol = number(IpProtocol::kIcmp),
                               .dont_fragment = true,
                               .identification = 0,
                               .total_length = static_cast<std::uint16_t>(out.size())});
    std::uint8_t* const icmp = out.data() + kHeader;
    icmp[0] = kEchoRequest;
    store_be16(icmp + 4, identifier);
    store_be16(icmp + 6, sequence);
    store_be16(icmp + 2, internet_checksum({icmp, kIcmpHeader}));
    return out;
}

Octets udp_packet(const Ipv4Address& source, std::uint16_t source_port,
                  const Ipv4Address& destination, std::uint16_t destination_port, std::uint8_t ttl,
                  ConstByteSpan payload) {
    const std::size_t length = sizeof(UdpHeader) + payload.size();
    Octets out(kHeader + sizeof(UdpHeader));
    tunnel::write_ipv4_header(out.data(), source, destination,
                              {.tos = 0,
                               .ttl = ttl,
                               .protocol = number(IpProtocol::kUdp),
                               .dont_fragment = true,
                               .identification = 0,
                               .total_length = static_cast<std::uint16_t>(kHeader + length)});
    tunnel::write_udp_header(out.data() + kHeader, source_port, destination_port,
                             static_cast<std::uint16_t>(length));
    out.insert(out.end(), payload.begin(), payload.end());
    tunnel::put_udp_checksum(out.data() + kHeader, source, destination);
    return out;
}

}  // namespace homeport::foreign_agent
