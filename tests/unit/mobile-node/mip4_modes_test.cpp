// SPDX-License-Identifier: BSD-3-Clause
// The modes c, f, cvc and fvc (S2.85) and the moves between them, against the product's home
// agents: which message follows which, and the headers of each packet.
#include <gtest/gtest.h>

#include "tests/unit/mobile-node/mip4_world.hpp"

namespace homeport::mobile_node {
namespace {

using namespace test_support;
using mip4::NetworkState;
using Stack = std::vector<std::string>;

const Place* const kInside = &kPlaces[0];
const Place* const kInsideAgent = &kPlaces[2];
const Place* const kOutside = &kPlaces[3];
const Place* const kBehindNat = &kPlaces[4];
const Place* const kOutsideAgent = &kPlaces[5];

struct Mip4Modes : testing::Test {
    KeyFiles files;
    std::unique_ptr<World> made;
    World& make(WorldOptions options = {}) {
        made = std::make_unique<World>(files, options);
        return *made;
    }
    std::string mode() const {
        const auto way = made->node.way(made->now.steady);
        return way ? mode_of(*way) : "none";
    }
    void expect_data_both_ways(bool vpn) {
        static unsigned number = 100;
        made->clear();
        made->application_sends(++number);
        ASSERT_EQ(made->wire.size(), 1u);
        ++number;
        EXPECT_TRUE(vpn ? made->send_by_vpn(1, number) : made->send_in_clear(1, number));
        EXPECT_TRUE(made->delivered.contains(number));
    }
};

TEST_F(Mip4Modes, N6_S2_24_mode_c) {
    World& world = make();
    world.move(1, kInside);
    world.pass(seconds(1));
    EXPECT_EQ(mode(), "c");
    expect_data_both_ways(false);
    EXPECT_EQ(world.wire[0].stack,
              (Stack{"10.2.0.5>10.1.0.1", "10.1.0.100>10.1.0.9", "udp 5000>6000"}));
    EXPECT_EQ(world.wire[0].exit, Exit::kCareOf);
}

// Without T (RFC 3024 section 3.1) packets leave as they are; what comes is in the tunnel.
TEST_F(Mip4Modes, N6_without_a_reverse_tunnel_packets_leave_natively) {
    WorldOptions options;
    options.plain = true;
    options.reverse_tunnel = false;
    World& world = make(options);
    world.move(1, kInside);
    world.pass(seconds(1));
    EXPECT_EQ(mode(), "c");
    expect_data_both_ways(false);
    EXPECT_EQ(world.wire[0].stack, (Stack{"10.1.0.100>10.1.0.9", "udp 5000>6000"}));
    EXPECT_EQ(world.wire[0].exit, Exit::kNative);
    EXPECT_EQ(world.counters[Counter::kNativeSent], 1u);
}

TEST_F(Mip4Modes, N7_S2_26_mode_f_is_native_to_the_foreign_agent) {
    World& world = make();
    world.move(1, kInsideAgent);
    EXPECT_TRUE(world.saw({"10.1.0.100>10.4.0.1", "udp 40000>434", "message 1"}));
    EXPECT_EQ(world.wire[0].packet[8], 255);  // RFC 3024 section 3.2: TTL
    world.pass(seconds(1));
    EXPECT_EQ(mode(), "f");
    expect_data_both_ways(false);
    EXPECT_EQ(world.wire[0].stack, (Stack{"10.1.0.100>10.1.0.9", "udp 5000>6000"}));
    EXPECT_EQ(world.wire[0].exit, Exit::kAgent);
}

TEST_F(Mip4Modes, N8_S2_23_S2_28_mode_cvc_in_order) {
    World& world = make();
    world.move(1, kOutside);
    EXPECT_TRUE(world.saw({"203.0.113.5>10.1.0.1", "udp 40000>434", "message 1"}));  // S2.60
    EXPECT_TRUE(world.saw({"203.0.113.5>198.51.100.1", "udp 40000>434", "message 1"}));
    world.clear();
    world.pass(milliseconds(1900));
    for (const auto& one : world.wire) EXPECT_NE(one.stack.back(), "esp");  // S2.63
    world.pass(seconds(1));
    EXPECT_EQ(mode(), "cvc");
    // 2a: the registration goes in ESP from x-HoA, in the external tunnel.
    EXPECT_TRUE(world.saw({"203.0.113.5>198.51.100.1", "198.51.100.100>198.51.100.10", "esp"}));
    expect_data_both_ways(true);
    EXPECT_EQ(world.wire[0].stack,
              (Stack{"203.0.113.5>198.51.100.1", "198.51.100.100>198.51.100.10", "esp"}));  // 3b
    ASSERT_NE(world.internal.find(kInternalHome), nullptr);
    EXPECT_EQ(world.internal.find(kInternalHome)->bindings.back().care_of_address, kInner);
    EXPECT_TRUE(world.internal.find(kInternalHome)->bindings.back().reverse_tunnel);  // S2.30
}

TEST_F(Mip4Modes, N9_S2_31_mode_fvc_is_esp_native_to_the_foreign_agent) {
    World& world = make();
    world.move(1, kOutsideAgent);
    EXPECT_TRUE(world.saw({"198.51.100.100>203.0.113.129", "udp 40000>434", "message 1"}));
    world.pass(seconds(3));
    EXPECT_EQ(mode(), "fvc");
    expect_data_both_ways(true);
    EXPECT_EQ(world.wire[0].stack, (Stack{"198.51.100.100>198.51.100.10", "esp"}));
    EXPECT_EQ(world.wire[0].exit, Exit::kAgent);
}

TEST_F(Mip4Modes, S2_34_S2_35_nat_traversal_in_all_three_layers) {
    WorldOptions options;
    options.udp = Mip4Udp::kForced;
    options.esp_in_udp = true;
    World& world = make(options);
    world.move(1, kBehindNat);
    world.pass(seconds(3));
    EXPECT_EQ(mode(), "cvc");
    expect_data_both_ways(true);
    EXPECT_EQ(world.wire[0].stack, (Stack{"192.168.7.5>198.51.100.1", "udp 40000>434", "data ip",
                                          "198.51.100.100>198.51.100.10", "udp 4500>4500", "esp"}));
    const auto* inner = world.node.tunnel(1, mip4::Leg::kInternalVpn);
    ASSERT_NE(inner, nullptr);
    EXPECT_TRUE(inner->udp);
    EXPECT_EQ(world.external.find(kExternalHome)->bindings.back().tunnel_end,
              (mip4::Endpoint{kNatAddress, kPort + kNatPorts}));
}

TEST_F(Mip4Modes, S2_34_a_nat_alone_makes_the_external_tunnel_udp) {
    World& world = make();
    world.move(1, kBehindNat);
    world.pass(seconds(3));
    expect_data_both_ways(true);
    EXPECT_EQ(world.wire[0].stack, (Stack{"192.168.7.5>198.51.100.1", "udp 40000>434", "data ip",
                                          "198.51.100.100>198.51.100.10", "esp"}));
}

TEST_F(Mip4Modes, P22_P24_gre_and_minimal_encapsulation) {
    for (const auto& [encapsulation, udp, stack] :
         {std::tuple{mip4::Encapsulation::kGre, false,
                     Stack{"10.2.0.5>10.1.0.1", "gre", "10.1.0.100>10.1.0.9", "udp 5000>6000"}},
          std::tuple{mip4::Encapsulation::kMinimal, false, Stack{"10.2.0.5>10.1.0.1", "minimal"}},
          std::tuple{mip4::Encapsulation::kGre, true,
                     Stack{"10.2.0.5>10.1.0.1", "udp 40000>434", "data gre", "gre",
                           "10.1.0.100>10.1.0.9", "udp 5000>6000"}},
          std::tuple{mip4::Encapsulation::kMinimal, true,
                     Stack{"10.2.0.5>10.1.0.1", "udp 40000>434", "data minimal", "minimal"}}}) {
        WorldOptions options;
        options.encapsulation = encapsulation;
        options.udp = udp ? Mip4Udp::kForced : Mip4Udp::kAllowed;
        World& world = make(options);
        world.move(1, kInside);
        world.pass(seconds(1));
        expect_data_both_ways(false);
        EXPECT_EQ(world.wire[0].stack, stack);
        // Through the VPN, too.
        world.move(1, kOutside);
        world.pass(seconds(3));
        expect_data_both_ways(true);
    }
}

TEST_F(Mip4Modes, S2_37_a_move_outside_is_one_external_registration) {
    World& world = make();
    world.move(1, kOutside);
    world.pass(seconds(3));
    ASSERT_EQ(mode(), "cvc");
    world.clear();
    world.move(1, kBehindNat);
    EXPECT_EQ(mode(), "none");  // S2.45
    world.pass(milliseconds(100));
    EXPECT_EQ(mode(), "cvc");
    for (const auto& one : world.wire) EXPECT_NE(one.stack.back(), "esp");
    for (const auto& action : world.events) {
        EXPECT_FALSE(std::holds_alternative<mip4::StartVpnBy>(action));
    }
    expect_data_both_ways(true);
}

TEST_F(Mip4Modes, S2_37_the_next_interface_takes_over_what_the_vpn_knows) {
    WorldOptions options;
    options.interfaces = 2;
    World& world = make(options);
    world.move(1, kOutside);
    world.pass(seconds(3));
    ASSERT_EQ(mode(), "cvc");
    world.move(1, nullptr);
    world.clear();
    world.move(2, kBehindNat);
    world.pass(milliseconds(100));
    EXPECT_EQ(mode(), "cvc");
    for (const auto& one : world.wire) EXPECT_NE(one.stack.back(), "esp");
    // Not after a stay inside: the internal home agent has another care-of address.
    world.move(2, kInside);
    world.pass(seconds(3));
    ASSERT_EQ(mode(), "c");
    world.move(2, nullptr);
    world.move(1, kOutside);
    world.pass(milliseconds(100));
    EXPECT_EQ(mode(), "none");
    world.pass(seconds(3));
    EXPECT_EQ(mode(), "cvc");
    EXPECT_EQ(world.internal.find(kInternalHome)->bindings.back().care_of_address, kInner);
}

TEST_F(Mip4Modes, a_tour_of_all_modes_and_back) {
    World& world = make();
    const std::vector<std::pair<const Place*, std::string>> tour{
        {kInside, "c"},         {kInsideAgent, "f"},    {kOutside, "cvc"},
        {kBehindNat, "cvc"},    {kOutsideAgent, "fvc"}, {kInside, "c"},
        {kOutsideAgent, "fvc"}, {kOutside, "cvc"},      {kInsideAgent, "f"}};
    for (const auto& [place, expected] : tour) {
        world.move(1, place);
        EXPECT_EQ(mode(), "none");
        world.pass(seconds(4));
        EXPECT_EQ(mode(), expected) << place->name;
        expect_data_both_ways(!place->inside);
        world.pass(seconds(200));
        EXPECT_EQ(mode(), expected) << place->name << ", later";
        expect_data_both_ways(!place->inside);
    }
}

TEST_F(Mip4Modes, S2_65_S2_88_inside_the_external_registration_and_the_vpn_are_given_up) {
    World& world = make();
    world.move(1, kOutside);
    world.pass(seconds(3));
    ASSERT_FALSE(world.external.find(kExternalHome)->bindings.empty());
    world.move(1, kInside);
    world.pass(seconds(3));
    const auto* bound = world.external.find(kExternalHome);
    EXPECT_TRUE(bound == nullptr || bound->bindings.empty());
    // Back outside: the internal home agent forgot the inner address, so it is registered anew.
    world.clear();
    world.move(1, kOutside);
    world.pass(seconds(4));
    EXPECT_EQ(mode(), "cvc");
    EXPECT_EQ(world.internal.find(kInternalHome)->bindings.back().care_of_address, kInner);
    expect_data_both_ways(true);
}

TEST_F(Mip4Modes, S2_50_S2_51_silence_stops_both_directions_and_packets_wait) {
    World& world = make();
    world.move(1, kInside);
    world.pass(seconds(1));
    world.internal_silent = true;
    // The last registration was answered within the first second.
    world.pass(milliseconds(58'500));
    EXPECT_EQ(mode(), "c");
    expect_data_both_ways(false);
    world.pass(seconds(1));
    EXPECT_EQ(mode(), "none");
    world.clear();
    world.application_sends(1);
    for (const auto& one : world.wire) EXPECT_FALSE(World::user_number(one.packet));
    EXPECT_EQ(world.path.queued(), 1u);
    EXPECT_EQ(world.counters[Counter::kQueueMonitor], 1u);
    world.send_in_clear(1, 2);
    EXPECT_FALSE(world.delivered.contains(2));
    EXPECT_EQ(world.counters[Counter::kDropMonitor], 1u);
    world.internal_silent = false;
    world.pass(seconds(3));
    EXPECT_EQ(mode(), "c");
    EXPECT_EQ(world.path.queued(), 0u);
    bool sent = false;
    for (const auto& one : world.wire) sent |= World::user_number(one.packet) == 1u;
    EXPECT_TRUE(sent);
}

TEST_F(Mip4Modes, S2_51_stale_packets_are_dropped_where_that_is_asked_for) {
    WorldOptions options;
    options.queue = false;
    World& world = make(options);
    world.move(1, kInside);
    world.pass(seconds(1));
    world.internal_silent = true;
    world.pass(seconds(60));
    world.application_sends(1);
    EXPECT_EQ(world.path.queued(), 0u);
    EXPECT_EQ(world.counters[Counter::kDropMonitor], 1u);
}

TEST_F(Mip4Modes, S2_56_the_first_packet_after_a_pause_waits_for_a_registration) {
    WorldOptions options;
    options.detection.idle_after = seconds(20);
    World& world = make(options);
    world.move(1, kInside);
    world.pass(seconds(30));
    ASSERT_EQ(world.node.state(1), NetworkState::kInsideIdle);
    world.pass(seconds(80));
    world.clear();
    world.application_sends(7);
    EXPECT_EQ(world.path.queued(), 1u);
    world.pass(milliseconds(100));
    EXPECT_EQ(world.path.queued(), 0u);
    EXPECT_EQ(mode(), "c");
    // One that comes: dropped, and the next is taken.
    world.pass(seconds(30));
    ASSERT_EQ(world.node.state(1), NetworkState::kInsideIdle);
    world.send_in_clear(1, 8);
    EXPECT_FALSE(world.delivered.contains(8));
    world.pass(milliseconds(100));
    world.send_in_clear(1, 9);
    EXPECT_TRUE(world.delivered.contains(9));
}

TEST_F(Mip4Modes, mn_vpn_setup_fail_backs_off_and_tries_udp_4500) {
    World& world = make();
    world.gateway_silent = true;
    world.move(1, kOutside);
    world.pass(seconds(60));
    EXPECT_GE(world.counters[Counter::kVpnSetupFail], 1u);
    EXPECT_EQ(world.node.vpn_failures(), world.counters[Counter::kVpnSetupFail]);
    EXPECT_TRUE(world.saw(
        {"203.0.113.5>198.51.100.1", "198.51.100.100>198.51.100.10", "udp 4500>4500", "esp"}));
    world.gateway_silent = false;
    world.pass(seconds(60));
    EXPECT_EQ(mode(), "cvc");
}

TEST_F(Mip4Modes, S2_116_two_interfaces_one_inside_one_outside) {
    WorldOptions options;
    options.interfaces = 2;
    World& world = make(options);
    world.move(1, kOutside);
    world.move(2, kInside);
    world.pass(seconds(4));
    EXPECT_EQ(world.node.state(1), NetworkState::kOutside);
    EXPECT_EQ(world.node.state(2), NetworkState::kInside);
    EXPECT_EQ(mode(), "cvc");
    EXPECT_EQ(mode_of(*world.node.way_of(2, world.now.steady)), std::string("c"));
    // The home agent keeps one binding: the preferred interface takes it back.
    EXPECT_EQ(world.internal.find(kInternalHome)->bindings.back().care_of_address, kInner);
    expect_data_both_ways(true);
    world.move(1, nullptr);
    EXPECT_EQ(mode(), "c");
    world.pass(seconds(60));
    EXPECT_EQ(mode(), "c");
    EXPECT_EQ(world.internal.find(kInternalHome)->bindings.back().care_of_address,
              kInside->address);
}

TEST_F(Mip4Modes, RFC3519_keepalives_and_a_tunnel_that_does_not_answer) {
    WorldOptions options;
    options.udp = Mip4Udp::kForced;
    World& world = make(options);
    world.move(1, kBehindNat);
    world.pass(seconds(3));
    ASSERT_EQ(mode(), "cvc");
    world.clear();
    world.pass(seconds(106));
    EXPECT_EQ(world.counters[Counter::kUdp434KeepaliveSent], 0u);
    world.pass(seconds(5));
    EXPECT_GE(world.counters[Counter::kUdp434KeepaliveSent], 1u);
    EXPECT_TRUE(world.saw({"192.168.7.5>198.51.100.1", "udp 40000>434", "data ip",
                           "198.51.100.100>198.51.100.1", "1"}));
    // Nobody answers in this world: the external registration is made anew.
    world.clear();
    world.pass(seconds(10));
    EXPECT_TRUE(world.saw({"192.168.7.5>198.51.100.1", "udp 40000>434", "message 1"}));
}

TEST_F(Mip4Modes, deregisters_on_exit_the_internal_home_agent_first) {
    World& world = make();
    world.move(1, kOutside);
    world.pass(seconds(3));
    world.clear();
    world.path.perform(world.node.shut_down(world.now), world.now);
    ASSERT_EQ(world.wire.size(), 1u);
    EXPECT_EQ(world.wire[0].stack.back(), "esp");
    world.pass(seconds(1));
    EXPECT_TRUE(world.node.finished());
    EXPECT_EQ(world.internal.binding_count(), 0u);
    EXPECT_EQ(world.external.binding_count(), 0u);
    world.application_sends(1);
    for (const auto& one : world.wire) EXPECT_FALSE(World::user_number(one.packet));
}

TEST_F(Mip4Modes, a_plain_mobile_node_registers_for_a_lifetime) {
    WorldOptions options;
    options.plain = true;
    options.detection.plain = true;
    World& world = make(options);
    world.move(1, kInside);
    world.pass(seconds(1));
    EXPECT_EQ(mode(), "c");
    world.clear();
    world.pass(seconds(200));
    EXPECT_TRUE(world.wire.empty());  // 300 s were granted
    world.pass(seconds(400));
    EXPECT_EQ(mode(), "c");
    expect_data_both_ways(false);
    world.internal_silent = true;
    world.pass(seconds(310));
    EXPECT_EQ(mode(), "none");
}

TEST_F(Mip4Modes, mn_in_not_ha_and_forms_that_were_not_agreed) {
    World& world = make();
    world.move(1, kInside);
    world.pass(seconds(1));
    const Bytes inner = World::user_packet(kPeer, kInternalHome, 1);
    const auto brought = [&](const Bytes& octets, Counter counter) {
        const auto before = world.counters[counter];
        world.wire_brings(1, octets, false);
        EXPECT_EQ(world.counters[counter], before + 1);
        EXPECT_TRUE(world.delivered.empty());
    };
    const auto in_ip = [&](const Bytes& content, const char* from, const Ipv4Address& to) {
        PacketBuffer room;
        Packet packet = room.fill(content);
        EXPECT_EQ(tunnel::encapsulate_in_ipv4(packet, {v4(from), to}, 1),
                  tunnel::EncapsulateError::kNone);
        return Bytes(packet.data, packet.data + packet.length);
    };
    brought(in_ip(inner, "10.1.0.2", kInside->address), Counter::kInNotHomeAgent);
    brought(in_ip(inner, "10.1.0.1", v4("10.2.0.6")), Counter::kInNotCareOf);
    brought(in_ip(World::user_packet(kPeer, v4("10.1.0.101"), 1), "10.1.0.1", kInside->address),
            Counter::kInInnerAddress);
    Bytes other = in_ip(inner, "10.1.0.1", kInside->address);
    other[9] = 47;
    brought(other, Counter::kInTunnelForm);
    brought(
        udp_packet({kInternalAgent, 434}, {kInside->address, kPort}, 64, Bytes{4, 4, 0, 0, 0x45}),
        Counter::kInTunnelForm);
    brought(udp_packet({kInternalAgent, 435}, {kInside->address, kPort}, 64, Bytes{3}),
            Counter::kInNotHomeAgent);
    brought(Bytes(19, 0x45), Counter::kInMalformed);
    // Native packets to the home address come from a foreign agent, and there is none.
    const auto before = world.counters[Counter::kInNotCareOf];
    world.wire_brings(1, inner, true);
    EXPECT_EQ(world.counters[Counter::kInNotCareOf], before + 1);
}

TEST_F(Mip4Modes, S2_96_outside_nothing_in_the_clear_is_taken) {
    World& world = make();
    world.move(1, kOutside);
    world.pass(seconds(3));
    ASSERT_EQ(mode(), "cvc");
    EXPECT_TRUE(world.send_in_clear(1, 1));  // from the internal home agent, to the care-of address
    EXPECT_FALSE(world.delivered.contains(1));
    // To x-HoA, in the tunnel of the external home agent, but not ESP.
    PacketBuffer room;
    Packet packet = room.fill(World::user_packet(kGateway, kExternalHome, 2));
    ASSERT_EQ(tunnel::encapsulate_in_ipv4(packet, {kExternalAgent, kOutside->address}, 1),
              tunnel::EncapsulateError::kNone);
    world.wire_brings(1, Bytes(packet.data, packet.data + packet.length), false);
    EXPECT_FALSE(world.delivered.contains(2));
    EXPECT_EQ(world.counters[Counter::kTunDelivered], 0u);
}

TEST(Mip4Overhead, S2_100_S2_101_octets_of_each_mode) {
    const unsigned esp64 = 20 + 16 + 9 + 12;  // a cipher of 64-bit blocks, a 96-bit ICV
    const auto way = [](bool outer_agent, bool vpn, bool udp) {
        mip4::Way out;
        out.internal.care_of.co_located = vpn || !outer_agent;
        out.internal.udp = udp;
        if (vpn) {
            out.external.emplace();
            out.external->care_of.co_located = !outer_agent;
            out.external->udp = udp && !outer_agent;
        }
        return out;
    };
    EXPECT_EQ(overhead_of(way(true, false, false), 0, false), 0u);       // f
    EXPECT_EQ(overhead_of(way(false, false, false), 0, false), 20u);     // c
    EXPECT_EQ(overhead_of(way(true, true, false), esp64, false), 77u);   // fvc
    EXPECT_EQ(overhead_of(way(false, true, false), esp64, false), 97u);  // cvc
    EXPECT_EQ(overhead_of(way(false, true, true), esp64, true), 129u);   // cvc, all NAT
    EXPECT_EQ(overhead_of(way(true, true, true), esp64, true), 97u);     // fvc, two of them
    // What is shipped.
    KeyFiles files;
    for (const auto& [algorithm, octets, none, all] :
         {std::tuple{"aes128-gcm16", 96, 97u, 129u},
          std::tuple{"aes128-cbc-hmac-sha1-96", 96, 113u, 145u},
          std::tuple{"aes128-cbc-hmac-sha256-128", 96, 117u, 149u}}) {
        Mip4Vpn vpn;
        vpn.gateway = kGateway;
        vpn.inner_address = kInner;
        vpn.sa.algorithm = algorithm;
        const auto& info = ipsec::info(*ipsec::parse_algorithm(algorithm));
        const std::string key(2 * (info.encryption_keying_length() + info.integrity_key_length),
                              '5');
        vpn.sa.spi_in = vpn.sa.spi_out = 0x1000;
        vpn.sa.key_file_in = vpn.sa.key_file_out = files.write("k", key);
        const auto made = Mip4Security::create(vpn, kExternalHome, true, "");
        ASSERT_TRUE(made) << made.error().text;
        EXPECT_EQ(overhead_of(way(false, true, false), (*made)->overhead(), false), none);
        EXPECT_EQ(overhead_of(way(false, true, true), (*made)->overhead(), true), all);
        (void)octets;
    }
}

}  // namespace
}  // namespace homeport::mobile_node
