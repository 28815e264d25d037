// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/routing_header.hpp"

#include <cstring>

namespace homeport::tunnel {

namespace {

constexpr std::uint8_t kHeaderExtensionLength = 2;  // in 8 octets, without the first 8
constexpr std::size_t kAddressOffset = 8;

}  // namespace

bool insert_type2_routing_header(Packet& packet, const Ipv6Address& care_of_address) {
    parse::Headers headers;
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone || headers.family != 6 ||
        headers.end != packet.length) {
        return false;
    }
    Place place{sizeof(Ipv6Header), offsetof(Ipv6Header, next_header)};
    if (headers.has(parse::kHopByHopOptions)) {
        const std::size_t length = (packet.data[place.offset + 1] + std::size_t{1}) * 8;
        place = {static_cast<std::uint16_t>(place.offset + length), place.offset};
    }
    if (!insert_extension_header(packet, place, kType2RoutingHeaderLength,
                                 number(IpProtocol::kRouting))) {
        return false;
    }
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet.data);
    std::uint8_t* const header = packet.data + place.offset;
    const std::uint8_t fields[] = {kType2, 1, 0, 0, 0, 0};  // type, segments left, reserved
    std::memcpy(header + 2, fields, sizeof fields);
    ip.destination.store(header + kAddressOffset);
    ip.destination = care_of_address;
    return true;
}

const std::uint8_t* type2_address(ConstByteSpan packet, const parse::Headers& headers) {
    const std::uint8_t* const header = packet.data() + headers.routing_offset;
    if (headers.routing_type != kType2 || header[1] != kHeaderExtensionLength) return nullptr;
    return header + kAddressOffset;
}

RoutingHeaderResult undo_type2_routing_header(Packet& packet, const parse::Headers& headers,
                                              const Ipv6Address& home_address) {
    if (headers.family != 6 || !headers.has(parse::kRoutingHeader) ||
        headers.routing_type != kType2) {
        return RoutingHeaderResult::kNone;
    }
    const std::uint8_t* const address = type2_address(packet.bytes(), headers);
    if (address == nullptr || headers.segments_left != 1 ||
        Ipv6Address::load(address) != home_address || !home_address.is_unicast_routable()) {
        return RoutingHeaderResult::kBad;
    }
    Place place;
    unsigned routing_headers = 0;
    parse::for_each_extension_header(packet.bytes(), [&](const parse::ExtensionHeader& header) {
        if (header.is(IpProtocol::kRouting)) ++routing_headers;
        if (header.offset == headers.routing_offset) place = {header.offset, header.name_offset};
        return true;
    });
    if (routing_headers != 1) return RoutingHeaderResult::kBad;
    reinterpret_cast<Ipv6Header*>(packet.data)->destination = home_address;
    remove_extension_header(packet, place, kType2RoutingHeaderLength);
    return RoutingHeaderResult::kUndone;
}

}  // namespace homeport::tunnel
