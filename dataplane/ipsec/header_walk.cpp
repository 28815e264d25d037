// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/header_walk.hpp"

#include "dataplane/base/ip_header.hpp"

namespace homeport::ipsec {

namespace {

constexpr unsigned kMaxExtensionHeaders = 16;

/// Reads ports or types at the upper-layer header, as far as they are there.
void read_values(ConstByteSpan upper, HeaderInfo& info) {
    switch (info.protocol) {
        case 6:    // TCP
        case 17:   // UDP
        case 33:   // DCCP
        case 132:  // SCTP
        case 136:  // UDP-Lite
            if (upper.size() < 4) return;
            info.source_value = load_be16(upper.data());
            info.destination_value = load_be16(upper.data() + 2);
            break;
        case number(IpProtocol::kIcmp):
        case number(IpProtocol::kIcmpv6):
            if (upper.size() < 2) return;
            info.source_value = info.destination_value = load_be16(upper.data());
            break;
        case number(IpProtocol::kMobility):
            if (upper.size() < 3) return;
            info.source_value = info.destination_value = upper[2];
            break;
        default:
            return;
    }
    info.values_known = true;
}

bool walk_ipv4(ConstByteSpan packet, HeaderInfo& info) {
    if (packet.size() < sizeof(Ipv4Header)) return false;
    const auto* header = reinterpret_cast<const Ipv4Header*>(packet.data());
    const std::uint16_t header_length = header->header_length();
    const std::uint16_t total = header->total_length.host();
    if (header_length < sizeof(Ipv4Header) || total < header_length || total > packet.size()) {
        return false;
    }
    info.family = Family::kIpv4;
    info.ip_length = total;
    info.source = AddressKey::load_ipv4(header->source.bytes.data());
    info.destination = AddressKey::load_ipv4(header->destination.bytes.data());
    info.protocol = header->protocol;
    info.protocol_known = true;
    info.fragment = header->is_fragment();
    info.upper_offset = info.insert_offset = header_length;
    info.upper_name_offset = info.insert_name_offset = offsetof(Ipv4Header, protocol);
    const bool non_initial = (header->flags_offset.host() & 0x1fff) != 0;
    if (!non_initial) read_values(packet.subspan(header_length, total - header_length), info);
    return true;
}

/// Follows the chain of extension headers; `packet` ends where the IP packet ends.
bool walk_extension_headers(ConstByteSpan packet, std::uint8_t next_header, HeaderInfo& info) {
    std::size_t at = sizeof(Ipv6Header);
    std::size_t name_at = offsetof(Ipv6Header, next_header);
    info.insert_offset = static_cast<std::uint16_t>(at);
    info.insert_name_offset = static_cast<std::uint16_t>(name_at);
    bool non_initial = false;
    for (unsigned count = 0; count <= kMaxExtensionHeaders; ++count) {
        const bool is_fragment_header = next_header == number(IpProtocol::kFragment);
        const bool stays_outside = is_fragment_header ||
                                   next_header == number(IpProtocol::kHopByHop) ||
                                   next_header == number(IpProtocol::kRouting);
        if (!stays_outside && next_header != number(IpProtocol::kDestinationOptions)) {
            info.protocol = next_header;
            info.protocol_known = true;
            info.upper_offset = static_cast<std::uint16_t>(at);
            info.upper_name_offset = static_cast<std::uint16_t>(name_at);
            if (!non_initial) read_values(packet.subspan(at), info);
            return true;
        }
        if (non_initial) return true;  // the headers that would name the protocol are not here
        if (packet.size() - at < 8) return false;
        if (is_fragment_header) {
            const std::uint16_t offset_flags = load_be16(packet.data() + at + 2);
            info.fragment = (offset_flags & 0xfff9) != 0;
            non_initial = (offset_flags & 0xfff8) != 0;
        }
        const std::size_t length = is_fragment_header ? 8 : (packet[at + 1] + std::size_t{1}) * 8;
        if (packet.size() - at < length) return false;
        next_header = packet[at];
        name_at = at;
        at += length;
        if (stays_outside) {
            info.insert_offset = static_cast<std::uint16_t>(at);
            info.insert_name_offset = static_cast<std::uint16_t>(name_at);
        }
    }
    return false;
}

bool walk_ipv6(ConstByteSpan packet, HeaderInfo& info) {
    if (packet.size() < sizeof(Ipv6Header)) return false;
    const auto* header = reinterpret_cast<const Ipv6Header*>(packet.data());
    const std::size_t total = sizeof(Ipv6Header) + header->payload_length.host();
    if (total > packet.size()) return false;
    info.family = Family::kIpv6;
    info.ip_length = static_cast<std::uint32_t>(total);
    info.source = AddressKey::load_ipv6(header->source.bytes.data());
    info.destination = AddressKey::load_ipv6(header->destination.bytes.data());
    return walk_extension_headers(packet.first(total), header->next_header, info);
}

}  // namespace

bool walk_headers_in_full(ConstByteSpan packet, HeaderInfo& info) {
    info = HeaderInfo{};
    if (packet.empty()) return false;
    switch (packet[0] >> 4) {
        case 4:
            return walk_ipv4(packet, info);
        case 6:
            return walk_ipv6(packet, info);
        default:
            return false;
    }
}

}  // namespace homeport::ipsec
