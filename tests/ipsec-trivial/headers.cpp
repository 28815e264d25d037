// SPDX-License-Identifier: BSD-3-Clause
#include "tests/ipsec-trivial/headers.hpp"

#include <algorithm>

namespace homeport::trivial {

namespace {

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kMobility = 135;

std::uint16_t u16(View packet, std::size_t at) {
    return static_cast<std::uint16_t>(packet[at] << 8 | packet[at + 1]);
}

bool is_extension(std::uint8_t protocol) {
    return protocol == kHopByHop || protocol == kRouting || protocol == kFragment ||
           protocol == kDestinationOptions;
}

/// RFC 4301 section 4.4.1.3: these have one value and two directions.
bool has_type(std::uint8_t protocol) {
    return protocol == kIcmp || protocol == kIcmpv6 || protocol == kMobility;
}

bool has_ports(std::uint8_t protocol) {
    return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

void read_values(View packet, Headers& headers) {
    const std::uint8_t protocol = *headers.protocol;
    const std::size_t at = headers.upper;
    const std::size_t left = headers.length - at;
    if (has_ports(protocol) && left >= 4) {
        headers.source_value = u16(packet, at);
        headers.destination_value = u16(packet, at + 2);
    } else if ((protocol == kIcmp || protocol == kIcmpv6) && left >= 2) {
        headers.source_value = headers.destination_value = u16(packet, at);
    } else if (protocol == kMobility && left >= 3) {
        headers.source_value = headers.destination_value = packet[at + 2];
    }
}

std::optional<Headers> read_ipv4(View packet) {
    if (packet.size() < 20) return std::nullopt;
    Headers headers;
    const std::size_t header = std::size_t{packet[0] & 15u} * 4;
    headers.length = u16(packet, 2);
    if (header < 20 || headers.length < header || headers.length > packet.size()) {
        return std::nullopt;
    }
    headers.source = Ipv4Address::load(packet.data() + 12);
    headers.destination = Ipv4Address::load(packet.data() + 16);
    headers.protocol = packet[9];
    headers.upper = headers.insert = header;
    headers.upper_name = headers.insert_name = 9;
    const std::uint16_t fragment = u16(packet, 6);
    headers.fragment = (fragment & 0x3fff) != 0;
    if ((fragment & 0x1fff) == 0) read_values(packet, headers);
    return headers;
}

std::optional<Headers> read_ipv6(View packet) {
    if (packet.size() < 40) return std::nullopt;
    Headers headers;
    headers.length = 40u + u16(packet, 4);
    if (headers.length > packet.size()) return std::nullopt;
    headers.source = Ipv6Address::load(packet.data() + 8);
    headers.destination = Ipv6Address::load(packet.data() + 24);
    headers.upper = headers.insert = 40;
    headers.upper_name = headers.insert_name = 6;
    std::uint8_t next = packet[6];
    bool later_piece = false;
    for (int count = 0; is_extension(next); ++count) {
        const std::size_t at = headers.upper;
        if (count == 16) return std::nullopt;
        if (later_piece) return headers;  // what follows is not in this fragment
        if (at + 8 > headers.length) return std::nullopt;
        const std::size_t size = next == kFragment ? 8 : (std::size_t{packet[at + 1]} + 1) * 8;
        if (at + size > headers.length) return std::nullopt;
        if (next == kFragment) {
            const std::uint16_t field = u16(packet, at + 2);
            if ((field & 0xfff9) != 0) headers.fragment = true;
            later_piece = (field & 0xfff8) != 0;
        }
        const std::uint8_t kind = next;
        next = packet[at];
        headers.upper = at + size;
        headers.upper_name = at;
        if (kind != kDestinationOptions) {
            headers.insert = headers.upper;
            headers.insert_name = headers.upper_name;
        }
    }
    headers.protocol = next;
    if (!later_piece) read_values(packet, headers);
    return headers;
}

bool in_ranges(const std::vector<ipsec::AddressRange>& ranges, const IpAddress& address) {
    if (ranges.empty()) return true;
    return std::ranges::any_of(ranges, [&](const ipsec::AddressRange& range) {
        return range.first.index() == address.index() && range.first <= address &&
               address <= range.last;
    });
}

bool in_values(const ipsec::ValueSelector& selector, std::optional<std::uint16_t> value) {
    using Kind = ipsec::ValueSelector::Kind;
    if (selector.kind == Kind::kAny) return true;
    if (selector.kind == Kind::kOpaque) return !value;
    return value && std::ranges::any_of(selector.ranges, [&](const ipsec::ValueRange& range) {
               return range.first <= *value && *value <= range.last;
           });
}

}  // namespace

std::optional<Headers> read_headers(View packet) {
    if (packet.empty()) return std::nullopt;
    if (packet[0] >> 4 == 4) return read_ipv4(packet);
    if (packet[0] >> 4 == 6) return read_ipv6(packet);
    return std::nullopt;
}

bool takes(const ipsec::Selectors& selectors, const Headers& packet, ipsec::Direction direction) {
    using Kind = ipsec::ProtocolSelector::Kind;
    const bool out = direction == ipsec::Direction::kOutbound;
    if (!in_ranges(selectors.local, out ? packet.source : packet.destination) ||
        !in_ranges(selectors.remote, out ? packet.destination : packet.source)) {
        return false;
    }
    const bool right_protocol =
        selectors.protocol.kind == Kind::kAny ||
        (selectors.protocol.kind == Kind::kOpaque && !packet.protocol) ||
        (selectors.protocol.kind == Kind::kNumber && packet.protocol == selectors.protocol.number);
    if (!right_protocol) return false;
    if (packet.protocol && has_type(*packet.protocol)) {
        const ipsec::ValueSelector& way = out ? selectors.local_value : selectors.remote_value;
        // OPAQUE: nothing of this protocol goes in this direction.
        if (way.kind == ipsec::ValueSelector::Kind::kOpaque) return false;
        return in_values(way, packet.source_value);
    }
    return in_values(selectors.local_value, out ? packet.source_value : packet.destination_value) &&
           in_values(selectors.remote_value, out ? packet.destination_value : packet.source_value);
}

}  // namespace homeport::trivial
