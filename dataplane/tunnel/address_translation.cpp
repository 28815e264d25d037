// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/address_translation.hpp"

#include <optional>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::tunnel {

namespace {

constexpr std::uint8_t kUdpLite = 136;
constexpr std::uint16_t kSourceOffset = 12;
constexpr std::uint16_t kDestinationOffset = 16;
constexpr std::uint16_t kHeaderChecksum = 10;
constexpr std::uint16_t kIcmpHeader = 8;

std::uint16_t offset_of(AddressField field) {
    return field == AddressField::kSource ? kSourceOffset : kDestinationOffset;
}

/// A checksum that covered `from` covers `to` instead.
void renew(std::uint8_t* checksum, const Ipv4Address& from, const Ipv4Address& to) {
    std::uint16_t value = load_be16(checksum);
    for (std::size_t i = 0; i < 4; i += 2) {
        value = checksum_update(value, load_be16(from.bytes.data() + i),
                                load_be16(to.bytes.data() + i));
    }
    store_be16(checksum, value);
}

std::uint16_t header_length(const std::uint8_t* packet) {
    return static_cast<std::uint16_t>((packet[0] & 15) * 4);
}

/// Offset of a checksum with a pseudo-header, from the upper-layer header; nothing: there is none.
std::optional<std::uint16_t> checksum_offset(std::uint8_t protocol) {
    switch (protocol) {
        case number(IpProtocol::kTcp):
            return 16;
        case number(IpProtocol::kUdp):
        case kUdpLite:
            return 6;
        default:
            return std::nullopt;
    }
}

/// The transport checksum behind `header`, if it is there and not left out.
void renew_transport(std::uint8_t* packet, std::uint16_t length, const Ipv4Address& from,
                     const Ipv4Address& to) {
    constexpr std::uint16_t kOffsetMask = 0x1fff;
    if ((load_be16(packet + 6) & kOffsetMask) != 0) return;  // no first fragment
    const auto offset = checksum_offset(packet[9]);
    const std::uint16_t header = header_length(packet);
    if (!offset || length < header + *offset + 2) return;
    std::uint8_t* const checksum = packet + header + *offset;
    const bool is_udp = packet[9] == number(IpProtocol::kUdp);
    if (is_udp && load_be16(checksum) == 0) return;
    renew(checksum, from, to);
    if (is_udp && load_be16(checksum) == 0) store_be16(checksum, 0xffff);
}

bool is_error(std::uint8_t type) {
    return type == 3 || type == 11 || type == 12;
}

/// In the packet that an ICMP error quotes; the error's own checksum follows.
void translate_quoted(std::uint8_t* packet, std::uint16_t length, AddressField field,
                      const Ipv4Address& from, const Ipv4Address& to) {
    const std::uint16_t header = header_length(packet);
    if (packet[9] != number(IpProtocol::kIcmp) || (load_be16(packet + 6) & 0x1fff) != 0 ||
        length < header + kIcmpHeader + sizeof(Ipv4Header) || !is_error(packet[header])) {
        return;
    }
    std::uint8_t* const quoted = packet + header + kIcmpHeader;
    const AddressField other =
        field == AddressField::kSource ? AddressField::kDestination : AddressField::kSource;
    std::uint8_t* const address = quoted + offset_of(other);
    if (quoted[0] >> 4 != 4 || Ipv4Address::load(address) != from) return;
    const auto left = static_cast<std::uint16_t>(length - header);
    std::uint8_t* const icmp = packet + header;
    to.store(address);
    renew(quoted + kHeaderChecksum, from, to);
    renew_transport(quoted, static_cast<std::uint16_t>(left - kIcmpHeader), from, to);
    // What was quoted has several changes: the sum is made anew over what is there.
    store_be16(icmp + 2, 0);
    store_be16(icmp + 2, internet_checksum({icmp, left}));
}

}  // namespace

void translate_address(std::uint8_t* packet, std::uint16_t length, AddressField field,
                       const Ipv4Address& from, const Ipv4Address& to) {
    to.store(packet + offset_of(field));
    renew(packet + kHeaderChecksum, from, to);
    renew_transport(packet, length, from, to);
    translate_quoted(packet, length, field, from, to);
}

}  // namespace homeport::tunnel
