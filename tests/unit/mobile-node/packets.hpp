// SPDX-License-Identifier: BSD-3-Clause
// Packets and addresses for the tests of the mobile node: those of the vectors.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mobile_node {

using Bytes = std::vector<std::uint8_t>;

inline const Ipv6Address kHomeAgent = *Ipv6Address::parse("2001:db8:1::1");
inline const Ipv6Address kHomeAddress = *Ipv6Address::parse("2001:db8:1::100");
inline const Ipv6Address kCareOfAddress = *Ipv6Address::parse("2001:db8:2::200");
inline const Ipv6Address kOtherCareOfAddress = *Ipv6Address::parse("2001:db8:b::200");
inline const Ipv6Address kCorrespondent = *Ipv6Address::parse("2001:db8:3::300");
inline const Ipv4Address kHomeAgent4 = *Ipv4Address::parse("192.0.2.1");
inline const Ipv4Address kCareOfAddress4 = *Ipv4Address::parse("10.0.0.5");
inline const Ipv4Address kIpv4HomeAddress = *Ipv4Address::parse("192.0.2.100");

inline Bytes from_hex(std::string_view hex) {
    const auto digit = [](char c) {
        return static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 87);
    };
    Bytes out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        out.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
    }
    return out;
}

inline Bytes ipv6(const Ipv6Address& source, const Ipv6Address& destination,
                  std::uint8_t next_header, const Bytes& payload, std::uint8_t traffic_class = 0) {
    Ipv6Header header{};
    header.set_version_class_flow(traffic_class, 0);
    header.payload_length = Be16(static_cast<std::uint16_t>(payload.size()));
    header.next_header = next_header;
    header.hop_limit = 64;
    header.source = source;
    header.destination = destination;
    Bytes out(sizeof header + payload.size());
    std::memcpy(out.data(), &header, sizeof header);
    std::copy(payload.begin(), payload.end(), out.begin() + sizeof header);
    return out;
}

inline Bytes ipv4(const Ipv4Address& source, const Ipv4Address& destination, const Bytes& payload) {
    Ipv4Header header{};
    header.version_ihl = 0x45;
    header.total_length = Be16(static_cast<std::uint16_t>(sizeof header + payload.size()));
    header.ttl = 64;
    header.protocol = 17;
    header.source = source;
    header.destination = destination;
    Bytes out(sizeof header + payload.size());
    std::memcpy(out.data(), &header, sizeof header);
    store_be16(out.data() + 10, internet_checksum({out.data(), sizeof header}));
    std::copy(payload.begin(), payload.end(), out.begin() + sizeof header);
    return out;
}

/// N1 in: as the home agent sends it.
inline Bytes tunnelled(const Bytes& inner) {
    return ipv6(kHomeAgent, kCareOfAddress, 41, inner);
}

/// Behind a type 2 routing header.
inline Bytes routed(std::uint8_t next_header, const Bytes& payload) {
    Bytes header{next_header, 2, 2, 1, 0, 0, 0, 0};
    header.insert(header.end(), kHomeAddress.bytes.begin(), kHomeAddress.bytes.end());
    header.insert(header.end(), payload.begin(), payload.end());
    return ipv6(kHomeAgent, kCareOfAddress, 43, header);
}

inline Ipv6Address source_of(const Bytes& packet) {
    return Ipv6Address::load(packet.data() + 8);
}
inline Ipv6Address destination_of(const Bytes& packet) {
    return Ipv6Address::load(packet.data() + 24);
}

}  // namespace homeport::mobile_node
