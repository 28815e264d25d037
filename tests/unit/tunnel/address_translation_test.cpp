// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/address_translation.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "dataplane/base/checksum.hpp"

namespace homeport::tunnel {
namespace {

using Bytes = std::vector<std::uint8_t>;

Ipv4Address address(const char* text) {
    return *Ipv4Address::parse(text);
}
const Ipv4Address kInner = address("10.8.0.5");
const Ipv4Address kOutside = address("192.168.77.9");
const Ipv4Address kServer = address("10.1.2.3");

Bytes packet(std::uint8_t protocol, const Ipv4Address& source, const Ipv4Address& destination,
             const Bytes& payload, std::uint16_t fragment = 0) {
    Bytes made(20 + payload.size());
    made[0] = 0x45;
    store_be16(made.data() + 2, static_cast<std::uint16_t>(made.size()));
    store_be16(made.data() + 6, fragment);
    made[8] = 64;
    made[9] = protocol;
    source.store(made.data() + 12);
    destination.store(made.data() + 16);
    store_be16(made.data() + 10, internet_checksum({made.data(), 20}));
    std::copy(payload.begin(), payload.end(), made.begin() + 20);
    return made;
}
/// A transport segment with its checksum at `offset`.
Bytes segment(std::uint8_t protocol, const Ipv4Address& source, const Ipv4Address& destination,
              std::size_t size, std::size_t offset) {
    Bytes made(size);
    for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::uint8_t>(i * 7 + 1);
    store_be16(made.data() + offset, 0);
    const auto sum =
        pseudo_header_sum(source, destination, static_cast<std::uint16_t>(size), protocol);
    store_be16(made.data() + offset, checksum_finish(checksum_add(sum, made)));
    return made;
}
void translate(Bytes& bytes, AddressField field, const Ipv4Address& from, const Ipv4Address& to) {
    translate_address(bytes.data(), static_cast<std::uint16_t>(bytes.size()), field, from, to);
}

TEST(AddressTranslation, S2_36_tcp_and_udp_are_as_if_made_with_the_new_address) {
    for (const auto& [protocol, offset] : {std::pair{6, 16}, {17, 6}, {136, 6}}) {
        const auto p = static_cast<std::uint8_t>(protocol);
        const auto o = static_cast<std::size_t>(offset);
        Bytes source = packet(p, kInner, kServer, segment(p, kInner, kServer, 41, o));
        translate(source, AddressField::kSource, kInner, kOutside);
        EXPECT_EQ(source, packet(p, kOutside, kServer, segment(p, kOutside, kServer, 41, o)));
        Bytes back = packet(p, kServer, kOutside, segment(p, kServer, kOutside, 41, o));
        translate(back, AddressField::kDestination, kOutside, kInner);
        EXPECT_EQ(back, packet(p, kServer, kInner, segment(p, kServer, kInner, 41, o)));
    }
}

TEST(AddressTranslation, S2_36_a_udp_checksum_that_was_left_out_stays_out) {
    Bytes payload(16, 1);
    store_be16(payload.data() + 6, 0);
    Bytes bytes = packet(17, kInner, kServer, payload);
    translate(bytes, AddressField::kSource, kInner, kOutside);
    EXPECT_EQ(bytes, packet(17, kOutside, kServer, payload));
}

TEST(AddressTranslation, S2_36_later_fragments_and_tunnels_change_in_the_header_alone) {
    const Bytes payload(30, 0x5a);
    for (const auto& [protocol, fragment] : {std::pair{17, 185}, {4, 0}, {50, 0}, {1, 0}}) {
        const auto p = static_cast<std::uint8_t>(protocol);
        const auto f = static_cast<std::uint16_t>(fragment);
        Bytes bytes = packet(p, kInner, kServer, payload, f);
        translate(bytes, AddressField::kSource, kInner, kOutside);
        EXPECT_EQ(bytes, packet(p, kOutside, kServer, payload, f));
    }
}

TEST(AddressTranslation, S2_36_what_an_icmp_error_quotes_is_translated_too) {
    // From the network behind the VPN, about a packet that left with the outer address.
    const auto error = [](const Ipv4Address& client) {
        Bytes icmp{3, 4, 0, 0, 0, 0, 5, 0};
        const Bytes quoted = packet(17, client, kServer, segment(17, client, kServer, 24, 6));
        icmp.insert(icmp.end(), quoted.begin(), quoted.end());
        store_be16(icmp.data() + 2, internet_checksum(icmp));
        return packet(1, kServer, client, icmp);
    };
    Bytes bytes = error(kOutside);
    translate(bytes, AddressField::kDestination, kOutside, kInner);
    EXPECT_EQ(bytes, error(kInner));
}

TEST(AddressTranslation, cut_packets_are_touched_only_where_they_are) {
    for (std::size_t length = 20; length < 60; ++length) {
        for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{6, 17, 1}) {
            Bytes bytes = packet(protocol, kInner, kServer, Bytes(length - 20, 3));
            bytes.shrink_to_fit();
            translate(bytes, AddressField::kSource, kInner, kOutside);
            EXPECT_EQ(internet_checksum({bytes.data(), 20}), 0);
        }
    }
}

}  // namespace
}  // namespace homeport::tunnel
