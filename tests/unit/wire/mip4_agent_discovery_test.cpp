// SPDX-License-Identifier: BSD-3-Clause
// Agent discovery on the wire (RFC 5944 section 2, mipv4.md section 10). tshark reads the same
// messages in agent_discovery_referee_test.py.
#include "controlplane/wire/mip4_agent_discovery.hpp"

#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::wire {
namespace {

using test::from_hex;
using test::to_hex;
using test::v4;
using Kind = AgentDiscoveryError::Kind;

AgentAdvertisement sample() {
    AgentAdvertisement message;
    message.lifetime = 30;
    message.routers = {{v4("10.1.0.1"), -1}};
    message.prefix_lengths = {24};
    MobilityAgent agent;
    agent.sequence = 0x0102;
    agent.registration_lifetime = 600;
    agent.flags.foreign_agent = true;
    agent.flags.registration_required = true;
    agent.flags.minimal = true;
    agent.flags.gre = true;
    agent.flags.reverse_tunnel = true;
    agent.flags.udp_tunnel = true;
    agent.care_of_addresses = {v4("10.1.0.1"), v4("198.51.100.9")};
    message.agent = agent;
    return message;
}

/// The ICMP message `octets`, checksum made right.
std::vector<std::uint8_t> sealed(std::vector<std::uint8_t> octets) {
    store_be16(octets.data() + 2, 0);
    store_be16(octets.data() + 2, internet_checksum(octets));
    return octets;
}
AgentAdvertisement read_back(const AgentAdvertisement& message) {
    const auto read = decode_agent_discovery(encode(message));
    if (!read) {
        ADD_FAILURE() << read.error().what;
        return {};
    }
    return std::get<AgentAdvertisement>(*read);
}
AgentDiscoveryError fault_of_octets(std::string_view hex) {
    const auto read = decode_agent_discovery(sealed(from_hex(hex)));
    if (read) {
        ADD_FAILURE() << "was taken: " << hex;
        return {};
    }
    return read.error();
}

TEST(AgentDiscovery, RFC5944_2_1_1_octets_of_an_advertisement) {
    // Written down by hand from the figures of RFC 1256 and RFC 5944.
    EXPECT_EQ(to_hex(encode(sample())), to_hex(sealed(from_hex("090000000102001e"
                                                               "0a010001ffffffff"
                                                               "100e010202589d80"
                                                               "0a010001c6336409"
                                                               "130118"
                                                               "00"))));
}

TEST(AgentDiscovery, every_flag_has_its_own_bit) {
    const std::pair<bool AgentFlags::*, std::uint16_t> flags[] = {
        {&AgentFlags::registration_required, 0x8000},
        {&AgentFlags::busy, 0x4000},
        {&AgentFlags::home_agent, 0x2000},
        {&AgentFlags::foreign_agent, 0x1000},
        {&AgentFlags::minimal, 0x0800},
        {&AgentFlags::gre, 0x0400},
        {&AgentFlags::reverse_tunnel, 0x0100},
        {&AgentFlags::udp_tunnel, 0x0080},
        {&AgentFlags::revocation, 0x0040},
        {&AgentFlags::regional, 0x0020}};
    for (const auto& [member, bit] : flags) {
        AgentAdvertisement message;
        message.agent = MobilityAgent{};
        message.agent->flags.*member = true;
        message.agent->flags.foreign_agent = true;  // so that each combination is legal
        message.agent->care_of_addresses = {v4("10.1.0.1")};
        const auto octets = encode(message);
        EXPECT_EQ(load_be16(octets.data() + 14), bit | 0x1000);
        EXPECT_EQ(read_back(message), message);
    }
}

TEST(AgentDiscovery, advertisements_survive_being_written_and_read) {
    EXPECT_EQ(read_back(sample()), sample());
    AgentAdvertisement home;
    home.routes_common_traffic = false;
    home.lifetime = 9000;
    home.agent = MobilityAgent{};
    home.agent->flags.home_agent = true;
    home.challenge = {1, 2, 3, 4};
    home.others = {{200, {}}, {255, {7}}};
    EXPECT_EQ(read_back(home), home);
    AgentAdvertisement plain;  // of a router that is no mobility agent
    plain.routers = {{v4("10.0.0.1"), 5}, {v4("10.0.0.2"), INT32_MIN}};
    EXPECT_EQ(read_back(plain), plain);
    AgentAdvertisement many = sample();
    many.agent->care_of_addresses.assign(62, v4("10.9.8.7"));
    EXPECT_EQ(read_back(many), many);
    many.agent->care_of_addresses.push_back(v4("10.9.8.7"));
    EXPECT_EQ(read_back(many).agent->care_of_addresses.size(), 62u) << "all that a length can say";
}

TEST(AgentDiscovery, RFC5944_2_1_3_padding_makes_the_length_even_and_is_skipped) {
    AgentAdvertisement message = sample();
    EXPECT_EQ(encode(message).size() % 2, 0u);
    EXPECT_EQ(encode(message).back(), 0) << "the pad is last";
    auto octets = encode(message);
    octets.insert(octets.end(), 4, 0);
    const auto read = decode_agent_discovery(sealed(octets));
    ASSERT_TRUE(read);
    EXPECT_EQ(std::get<AgentAdvertisement>(*read), message);
}

TEST(AgentDiscovery, RFC5944_2_1_1_combinations_of_flags_that_must_not_be) {
    const auto with = [](std::string_view flags, std::string_view care_of) {
        const bool any = !care_of.empty();
        return "090000000002001e"
               "10" +
               std::string(any ? "0a" : "06") + "00000258" + std::string(flags) +
               std::string(care_of);
    };
    for (const auto* flags : {"0000", "8000", "4000", "a000", "6000", "0c00"}) {
        EXPECT_EQ(fault_of_octets((with(flags, ""))).kind, Kind::kFlags) << flags;
    }
    EXPECT_EQ(fault_of_octets((with("1000", ""))).kind, Kind::kFlags) << "F without address";
    EXPECT_TRUE(decode_agent_discovery(sealed(from_hex((with("2000", ""))))));
    EXPECT_TRUE(decode_agent_discovery(sealed(from_hex((with("d000", "0a010001"))))));
    EXPECT_TRUE(decode_agent_discovery(sealed(from_hex((with("123f", "0a010001"))))))
        << "r and reserved bits are ignored";
}

TEST(AgentDiscovery, messages_that_lie_are_refused_with_the_place) {
    EXPECT_EQ(fault_of_octets("09000000000200").kind, Kind::kTruncated);
    EXPECT_EQ(fault_of_octets("0800000000020000").kind, Kind::kNotDiscovery);
    EXPECT_EQ(fault_of_octets("0901000000020000").kind, Kind::kCode);
    EXPECT_EQ(fault_of_octets("0901000000020000").offset, 1u);
    EXPECT_EQ(fault_of_octets("09000000010100000a010001").kind, Kind::kLength) << "entry of a word";
    EXPECT_EQ(fault_of_octets("09000000010200000a010001").kind, Kind::kTruncated);
    EXPECT_EQ(fault_of_octets("090000000002000010").offset, 8u);
    EXPECT_EQ(fault_of_octets("09000000000200001007000002580000").kind, Kind::kTruncated);
    EXPECT_EQ(fault_of_octets("0900000000020000100500000258200000").kind, Kind::kLength);
    EXPECT_EQ(fault_of_octets("0900000000020000100700000258200000").kind, Kind::kLength);
    EXPECT_EQ(fault_of_octets("0900000000020000"
                              "1006000002582000"
                              "1006000002582000")
                  .kind,
              Kind::kLength)
        << "twice";
    EXPECT_EQ(fault_of_octets("0900000000020000130108").kind, Kind::kLength)
        << "prefix length without a router";
    EXPECT_EQ(fault_of_octets("09000000010200000a01000100000000130121").kind, Kind::kLength)
        << "33 bits";
    EXPECT_EQ(fault_of_octets("09000000000200007f00").kind, Kind::kUnknownCritical);
    EXPECT_EQ(fault_of_octets("0a01000000000000").kind, Kind::kCode);
}

TEST(AgentDiscovery, a_longer_address_entry_is_read_by_its_size) {
    // Three words an entry: the third is of a later version (RFC 1256 section 5.2).
    const auto read = decode_agent_discovery(
        sealed(from_hex("090000000203001e0a01000100000001aaaaaaaa0a01000200000002bbbbbbbb")));
    ASSERT_TRUE(read);
    EXPECT_EQ(std::get<AgentAdvertisement>(*read).routers,
              (std::vector<AdvertisedRouter>{{v4("10.1.0.1"), 1}, {v4("10.1.0.2"), 2}}));
}

TEST(AgentDiscovery, a_wrong_checksum_is_refused_wherever_the_wrong_bit_is) {
    const auto good = encode(sample());
    for (std::size_t i = 1; i < good.size(); ++i) {
        auto bad = good;
        bad[i] ^= 0x10;
        const auto read = decode_agent_discovery(bad);
        ASSERT_FALSE(read) << i;
        EXPECT_EQ(read.error().kind, Kind::kChecksum) << i;
    }
}

TEST(AgentDiscovery, RFC5944_2_2_solicitations_have_ttl_1_and_nothing_behind_them_counts) {
    const auto icmp = encode(AgentSolicitation{});
    EXPECT_EQ(to_hex(icmp), "0a00f5ff00000000");
    auto packet = agent_discovery_packet(icmp, v4("0.0.0.0"), kAllMobilityAgents);
    const auto read = read_agent_discovery_packet(packet);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->destination, v4("224.0.0.11"));
    EXPECT_TRUE(std::holds_alternative<AgentSolicitation>(read->message));
    packet[8] = 2;
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(20)));
    ASSERT_FALSE(read_agent_discovery_packet(packet));
    EXPECT_EQ(read_agent_discovery_packet(packet).error().kind, Kind::kTtl);
    EXPECT_TRUE(decode_agent_discovery(sealed(from_hex("0a00000000000000c0ffee"))));
}

TEST(AgentDiscovery, whole_packets_are_read_to_their_length_and_no_further) {
    auto packet = agent_discovery_packet(encode(sample()), v4("10.1.0.1"), kAllSystems);
    EXPECT_EQ(packet[8], 1) << "RFC 5944 section 2.1: TTL 1";
    packet.insert(packet.end(), 6, 0x55);  // padding of Ethernet
    const auto read = read_agent_discovery_packet(packet);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->source, v4("10.1.0.1"));
    EXPECT_EQ(std::get<AgentAdvertisement>(read->message), sample());
    for (std::size_t length = 0; length + 6 < packet.size(); ++length) {
        EXPECT_FALSE(read_agent_discovery_packet(ConstByteSpan(packet).first(length))) << length;
    }
    packet[10] ^= 1;
    EXPECT_EQ(read_agent_discovery_packet(packet).error().kind, Kind::kChecksum);
}

TEST(AgentDiscovery, RFC5944_2_3_2_sequence_numbers_roll_over_to_256) {
    EXPECT_EQ(next_agent_sequence(0), 1);
    EXPECT_EQ(next_agent_sequence(0xffff), 256);
    EXPECT_TRUE(agent_was_restarted(700, 0));
    EXPECT_TRUE(agent_was_restarted(255, 254));
    EXPECT_FALSE(agent_was_restarted(0xffff, 256));
    EXPECT_FALSE(agent_was_restarted(0, 1));
}

}  // namespace
}  // namespace homeport::wire
