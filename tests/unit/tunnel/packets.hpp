// SPDX-License-Identifier: BSD-3-Clause
// Packets for tests: octets from hex, a buffer with room around them, and a small builder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/packet.hpp"

namespace homeport::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes from_hex(std::string_view hex) {
    const auto digit = [](char c) {
        return static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    };
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
    }
    return bytes;
}

inline Ipv6Address v6(std::string_view text) {
    return *Ipv6Address::parse(text);
}
inline Ipv4Address v4(std::string_view text) {
    return *Ipv4Address::parse(text);
}

/// A packet in a buffer with `room` octets before and behind it.
struct Buffer {
    explicit Buffer(const Bytes& bytes, std::uint32_t room = 128)
        : storage(bytes.size() + std::size_t{2} * room, 0xee) {
        std::ranges::copy(bytes, storage.begin() + room);
        packet = {storage.data() + room, static_cast<std::uint32_t>(bytes.size()), room, room};
    }
    [[nodiscard]] Bytes bytes() const { return {packet.data, packet.data + packet.length}; }

    Bytes storage;
    ipsec::Packet packet;
};

inline void append(Bytes& to, const Bytes& more) {
    to.insert(to.end(), more.begin(), more.end());
}

struct Ipv6Options {
    std::uint8_t traffic_class = 0;
    std::uint8_t hop_limit = 64;
    std::uint32_t flow_label = 0;
};

/// IPv6 header and `payload`.
inline Bytes ipv6(const Ipv6Address& source, const Ipv6Address& destination,
                  std::uint8_t next_header, const Bytes& payload, const Ipv6Options& options = {}) {
    Ipv6Header ip{};
    ip.set_version_class_flow(options.traffic_class, options.flow_label);
    ip.payload_length = Be16(static_cast<std::uint16_t>(payload.size()));
    ip.next_header = next_header;
    ip.hop_limit = options.hop_limit;
    ip.source = source;
    ip.destination = destination;
    Bytes bytes(sizeof ip);
    std::memcpy(bytes.data(), &ip, sizeof ip);
    append(bytes, payload);
    return bytes;
}

struct Ipv4Options {
    std::uint8_t tos = 0;
    std::uint8_t ttl = 64;
    std::uint16_t flags_offset = 0;
    Bytes options{};  // a multiple of 4 octets
};

/// IPv4 header with right checksum, and `payload`.
inline Bytes ipv4(const Ipv4Address& source, const Ipv4Address& destination, std::uint8_t protocol,
                  const Bytes& payload, const Ipv4Options& given = {}) {
    const std::size_t header_length = 20 + given.options.size();
    Bytes bytes(header_length);
    auto& ip = *reinterpret_cast<Ipv4Header*>(bytes.data());
    ip.version_ihl = static_cast<std::uint8_t>(0x40 | header_length / 4);
    ip.tos = given.tos;
    ip.total_length = Be16(static_cast<std::uint16_t>(header_length + payload.size()));
    ip.flags_offset = Be16(given.flags_offset);
    ip.ttl = given.ttl;
    ip.protocol = protocol;
    ip.source = source;
    ip.destination = destination;
    if (!given.options.empty()) {
        std::memcpy(bytes.data() + 20, given.options.data(), given.options.size());
    }
    ip.checksum = Be16(internet_checksum(bytes));
    append(bytes, payload);
    return bytes;
}

/// UDP header with a right checksum over IPv6, and `payload`.
inline Bytes udp(const Ipv6Address& source, const Ipv6Address& destination, std::uint16_t from,
                 std::uint16_t to, const Bytes& payload) {
    UdpHeader header{};
    header.source_port = Be16(from);
    header.destination_port = Be16(to);
    const auto length = static_cast<std::uint16_t>(sizeof header + payload.size());
    header.length = Be16(length);
    Bytes bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    append(bytes, payload);
    store_be16(bytes.data() + 6, checksum_finish(checksum_add(
                                     pseudo_header_sum(source, destination, length, 17), bytes)));
    return bytes;
}

/// Destination or hop-by-hop options header that holds `options`, which make 8n+6 octets.
inline Bytes options_header(std::uint8_t next_header, const Bytes& options) {
    Bytes bytes{next_header, static_cast<std::uint8_t>((options.size() + 2) / 8 - 1)};
    append(bytes, options);
    return bytes;
}

/// The Home Address option.
inline Bytes home_address_option(const Ipv6Address& home_address) {
    Bytes bytes{0xc9, 16};
    append(bytes, Bytes(home_address.bytes.begin(), home_address.bytes.end()));
    return bytes;
}

inline Bytes concat(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) append(all, part);
    return all;
}

// Vectors of the project: binding update, acknowledgement, payload.
inline const Ipv6Address kHomeAgent = v6("2001:db8:1::1");
inline const Ipv6Address kHomeAddress = v6("2001:db8:1::100");
inline const Ipv6Address kCareOfAddress = v6("2001:db8:2::200");
inline const Ipv6Address kCorrespondent = v6("2001:db8:3::300");

inline const Bytes kC2BindingUpdate = from_hex(
    "60000000005c3c4020010db800020000000000000000020020010db8000100000000000000000001320201020000c9"
    "10"
    "20010db8000100000000000000000100100000010000000100000000000000017d7219f240ce6564776c4681da0497"
    "76"
    "31f3143b96f780a26df18b101ca65d12eaf9cc2cd36631aebe499de78adff396375d8571");
inline const Bytes kC2AsSeenByIpsec = from_hex(
    "600000000044324020010db800010000000000000000010020010db800010000000000000000000110000001000000"
    "01"
    "00000000000000017d7219f240ce6564776c4681da04977631f3143b96f780a26df18b101ca65d12eaf9cc2cd36631"
    "ae"
    "be499de78adff396375d8571");
inline const Bytes kC4IpsecOut = from_hex(
    "600000000034324020010db800010000000000000000000120010db800010000000000000000010020000001000000"
    "01"
    "0000000000000001b7e7a50b61ae89b96c46370276207ee298b1de1a39ca7687b163470abf2553591ca1a125");
inline const Bytes kC4Wire = from_hex(
    "60000000004c2b4020010db800010000000000000000000120010db800020000000000000000020032020201000000"
    "00"
    "20010db8000100000000000000000100200000010000000100000000"
    "00000001b7e7a50b61ae89b96c46370276207ee298b1de1a39ca7687b163470abf2553591ca1a125");
inline const Bytes kC5Inner = from_hex(
    "600000000018113f20010db800030000000000000000030020010db80001000000000000000001000fa01388001893"
    "eb"
    "756e6d6f646966696564204950736563");
inline const Bytes kC5IpsecOut = from_hex(
    "600000000064324020010db800010000000000000000000120010db800010000000000000000010020000003000000"
    "07"
    "000000000000000704779918a5b06f254f145fdd5817d4a9164c498102094461f3c2a815cd630ca21c67373cde27b6"
    "95"
    "bcbd84112c4936db5b7cb1ce0524f190d3791eb579fb843208bf0824263fa77326b048f31403ebe93513aa73");
inline const Bytes kC5Rewritten = from_hex(
    "600000000064324020010db800010000000000000000000120010db800020000000000000000020020000003000000"
    "07"
    "000000000000000704779918a5b06f254f145fdd5817d4a9164c498102094461f3c2a815cd630ca21c67373cde27b6"
    "95"
    "bcbd84112c4936db5b7cb1ce0524f190d3791eb579fb843208bf0824263fa77326b048f31403ebe93513aa73");

}  // namespace homeport::test
