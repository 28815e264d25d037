// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/ipv6_packet.hpp"

#include <cstring>

#include "controlplane/wire/bytes.hpp"

namespace homeport::wire {

namespace {

constexpr unsigned kMaxExtensionHeaders = 8;

/// Length of the extension header at the start of `rest`, 0 if it does not fit or may not be
/// passed, -1 if it is a fragment.
int passable_length(std::uint8_t protocol, ConstByteSpan rest) {
    if (rest.size() < 8) return 0;
    std::size_t length = (std::size_t{rest[1]} + 1) * 8;
    if (protocol == number(IpProtocol::kFragment)) {
        // An atomic fragment is whole (RFC 6946).
        if ((load_be16(rest.data() + 2) & 0xfff9) != 0) return -1;
        length = 8;
    }
    if (protocol == number(IpProtocol::kRouting) && rest[3] != 0) return 0;
    return length <= rest.size() ? static_cast<int>(length) : 0;
}

bool is_passable(std::uint8_t protocol) {
    return protocol == number(IpProtocol::kHopByHop) || protocol == number(IpProtocol::kRouting) ||
           protocol == number(IpProtocol::kFragment) ||
           protocol == number(IpProtocol::kDestinationOptions);
}

}  // namespace

const char* describe(PacketFault fault) {
    switch (fault) {
        case PacketFault::kTooShort:
            return "shorter than an IPv6 header";
        case PacketFault::kVersion:
            return "not IP version 6";
        case PacketFault::kLength:
            return "shorter than its payload length says";
        case PacketFault::kExtensionHeader:
            return "bad extension header";
        case PacketFault::kFragment:
            return "a fragment";
    }
    return "";
}

std::expected<Ipv6PacketView, PacketFault> view_ipv6_packet(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header)) return std::unexpected(PacketFault::kTooShort);
    Ipv6Header header;
    std::memcpy(&header, packet.data(), sizeof header);
    if (header.version() != 6) return std::unexpected(PacketFault::kVersion);
    const std::size_t length = sizeof header + header.payload_length.host();
    if (length > packet.size()) return std::unexpected(PacketFault::kLength);
    packet = packet.first(length);

    std::uint8_t protocol = header.next_header;
    std::size_t offset = sizeof header;
    for (unsigned passed = 0; is_passable(protocol); ++passed) {
        const ConstByteSpan rest = packet.subspan(offset);
        const int skipped = passable_length(protocol, rest);
        if (skipped < 0) return std::unexpected(PacketFault::kFragment);
        if (skipped == 0 || passed == kMaxExtensionHeaders) {
            return std::unexpected(PacketFault::kExtensionHeader);
        }
        protocol = rest[0];
        offset += static_cast<std::size_t>(skipped);
    }
    return Ipv6PacketView{header.source, header.destination,    header.hop_limit, protocol, offset,
                          packet,        packet.subspan(offset)};
}

std::vector<std::uint8_t> ipv6_packet(const Ipv6Address& source, const Ipv6Address& destination,
                                      std::uint8_t next_header, std::uint8_t hop_limit,
                                      ConstByteSpan payload) {
    Ipv6Header header{};
    header.set_version_class_flow(0, 0);
    header.payload_length = Be16(static_cast<std::uint16_t>(payload.size()));
    header.next_header = next_header;
    header.hop_limit = hop_limit;
    header.source = source;
    header.destination = destination;
    Bytes packet(sizeof header);
    std::memcpy(packet.data(), &header, sizeof header);
    put_bytes(packet, payload);
    return packet;
}

std::vector<std::uint8_t> ethernet_frame(const MacAddress& destination, const MacAddress& source,
                                         ConstByteSpan ipv6_packet) {
    Bytes frame;
    frame.reserve(sizeof(EthernetHeader) + ipv6_packet.size());
    put_bytes(frame, destination.bytes);
    put_bytes(frame, source.bytes);
    put16(frame, kEtherTypeIpv6);
    put_bytes(frame, ipv6_packet);
    return frame;
}

}  // namespace homeport::wire
