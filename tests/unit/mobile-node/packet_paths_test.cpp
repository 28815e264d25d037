// SPDX-License-Identifier: BSD-3-Clause
// Paths N1 to N3, with the vectors C1 to C4 and real IPsec.
#include "tools/mobile-node/packet_paths.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "controlplane/ipsec/policy_table.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "tests/ipsec-trivial/ipsec.hpp"
#include "tests/unit/mobile-node/packets.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/security.hpp"

namespace homeport::mobile_node {
namespace {

using Arrived = PacketPaths::Arrived;
using Leave = PacketPaths::Leave;

const nlohmann::json& vectors() {
    static const nlohmann::json all = nlohmann::json::parse(std::ifstream(HOMEPORT_VECTORS));
    return all["project"];
}
Bytes vector(const char* name) {
    return from_hex(vectors()[name]["hex"].get<std::string>());
}

struct PacketPathsTest : testing::Test {
    PacketPathsTest() {
        char name[] = "/tmp/homeport-mn-test-XXXXXX";
        directory = ::mkdtemp(name);
        config.home_address = kHomeAddress;
        config.home_agent = kHomeAgent;
        config.lab_static_gcm = true;
        config.binding_update = SaPair{
            .spi_in = 0x20000001,
            .spi_out = 0x10000001,
            .algorithm = "aes128-gcm16",
            .key_file_in = key_file("in", "000102030405060708090a0b0c0d0e0f b0b1b2b3"),
            .key_file_out = key_file("out", "000102030405060708090a0b0c0d0e0f a0a1a2a3"),
        };
        auto made = Security::create(config);
        EXPECT_TRUE(made) << made.error().text;
        security = std::move(*made);
        paths.emplace(PathAddresses{kHomeAddress, kHomeAgent, kIpv4HomeAddress, {kHomeAgent4}},
                      std::uint8_t{64}, processor(), counters);
        paths->set_care_of_addresses({kCareOfAddress});
    }
    ~PacketPathsTest() override { std::filesystem::remove_all(directory); }

    std::string key_file(const char* name, const char* hex) const {
        const std::string path = directory + "/" + name;
        std::ofstream(path) << hex << "\n";
        ::chmod(path.c_str(), 0600);
        return path;
    }
    /// S1.8, S1.21: with HOMEPORT_TEST_IPSEC=trivial the implementation of tests/ipsec-trivial,
    /// with the same policies and SAs.
    ipsec::Processor& processor() {
        const char* const wanted = std::getenv("HOMEPORT_TEST_IPSEC");
        if (wanted == nullptr || wanted != std::string("trivial")) return security->engine();
        sa::PolicyOptions options;
        options.protect_return_routability = false;
        std::vector<trivial::Policy> policies;
        ipsec::Selectors update;
        const auto update_policy = sa::policy_id(sa::TableEntry::kBindingUpdate);
        for (const auto& entry : sa::mobile_node_policies(kHomeAddress, kHomeAgent, options)) {
            policies.push_back(
                {entry.id, entry.selectors, entry.action, entry.protect.populate_remote});
            if (entry.id == update_policy) update = entry.selectors;
        }
        trivial.replace_policies(std::move(policies));
        for (const auto direction : {ipsec::Direction::kInbound, ipsec::Direction::kOutbound}) {
            const bool in = direction == ipsec::Direction::kInbound;
            trivial::Association association;
            association.direction = direction;
            association.spi = in ? 0x20000001 : 0x10000001;
            association.algorithm = "aes128-gcm16";
            association.key = from_hex(in ? "000102030405060708090a0b0c0d0e0fb0b1b2b3"
                                          : "000102030405060708090a0b0c0d0e0fa0a1a2a3");
            association.uses = {{update_policy, std::nullopt}};
            association.selectors = {update};
            EXPECT_TRUE(trivial.add(association));
        }
        return trivial;
    }
    Arrived receive(const Bytes& bytes) {
        packet = buffer.fill(bytes);
        const auto arrival = paths->inbound(packet);
        is_protected = arrival.is_protected;
        return arrival.what;
    }
    // N3: as DataPath does it.
    bool update_to_wire(const std::optional<Ipv6Address>& care_of_address) {
        if (paths->protect(packet) == Leave::kDropped) return false;
        const auto way = care_of_address ? std::optional<Egress>(*care_of_address) : std::nullopt;
        return paths->signalling_to_wire(packet, SignallingSplit::Kind::kBindingUpdate, way);
    }
    Leave send(const Bytes& bytes) {
        packet = buffer.fill(bytes);
        return paths->outbound(packet);
    }
    [[nodiscard]] Bytes result() const { return {packet.data, packet.data + packet.length}; }
    // Exactly this counter, and no other, went up by one.
    void expect_only(Counter counter) {
        for (std::size_t i = 0; i < kCounterCount; ++i) {
            const auto one = static_cast<Counter>(i);
            EXPECT_EQ(counters[one] - before[one], one == counter ? 1u : 0u) << kCounterNames[i];
        }
        before = counters;
    }

    std::string directory;
    Config config;
    Counters counters;
    Counters before;
    std::unique_ptr<Security> security;
    trivial::Ipsec trivial;
    std::optional<PacketPaths> paths;
    PacketBuffer buffer;
    Packet packet;
    bool is_protected = false;
};

TEST_F(PacketPathsTest, N3_binding_update_is_vector_C2) {
    const Bytes expected = vector("C2_BU_ESP");
    Bytes normal = ipv6(kHomeAddress, kHomeAgent, 135, vector("C1_BU_MH"));
    normal[7] = expected[7];
    packet = buffer.fill(normal);
    ASSERT_TRUE(update_to_wire(kCareOfAddress));
    EXPECT_EQ(result(), expected);
}

TEST_F(PacketPathsTest, S1_21_a_care_of_address_from_the_wire_never_reaches_ipsec) {
    EXPECT_EQ(receive(ipv6(kCareOfAddress, kHomeAddress, 135, vector("C1_BU_MH"))),
              Arrived::kDropped);
    expect_only(Counter::kInCareOfAddress);
    EXPECT_EQ(receive(ipv6(kHomeAgent, kCareOfAddress, 41,
                           ipv6(kCareOfAddress, kHomeAddress, 59, Bytes{}))),
              Arrived::kDropped);
    expect_only(Counter::kInCareOfAddress);
}

TEST_F(PacketPathsTest, N3_at_home_the_binding_update_keeps_its_normal_form) {
    const Bytes expected = vector("C2_BU_as_seen_by_IPsec");
    Bytes normal = ipv6(kHomeAddress, kHomeAgent, 135, vector("C1_BU_MH"));
    normal[7] = expected[7];
    packet = buffer.fill(normal);
    ASSERT_TRUE(update_to_wire(std::nullopt));
    EXPECT_EQ(result(), expected);
}

TEST_F(PacketPathsTest, N3_binding_acknowledgement_of_vector_C4_is_undone) {
    ASSERT_EQ(receive(vector("C4_BA_wire")), Arrived::kSignalling);
    EXPECT_TRUE(is_protected);
    const Bytes got = result();
    EXPECT_EQ(source_of(got), kHomeAgent);
    EXPECT_EQ(destination_of(got), kHomeAddress);
    EXPECT_EQ(Bytes(got.begin() + 40, got.end()), vector("C3_BA_MH"));
    EXPECT_TRUE(
        wire::decode_mobility_header(ConstByteSpan(got).subspan(40), kHomeAgent, kHomeAddress));
}

TEST_F(PacketPathsTest, P15_payload_in_udp_over_ipv6_both_ways_with_a_checksum) {
    Egress way(kCareOfAddress);
    way.encapsulation = mip6::Encapsulation::kUdpIpv6;
    way.udp_port = 4191;
    const Bytes inner = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(31, 7), 0xb9);
    const Leave how = send(inner);
    ASSERT_EQ(how, Leave::kPlain);
    ASSERT_TRUE(paths->to_wire(packet, how, way));
    Bytes wire = result();
    ASSERT_EQ(wire.size(), inner.size() + 48);
    EXPECT_EQ(wire[6], 17);
    EXPECT_EQ(source_of(wire), kCareOfAddress);
    EXPECT_EQ(destination_of(wire), kHomeAgent);
    EXPECT_EQ(load_be16(wire.data() + 40), 4191);
    EXPECT_EQ(load_be16(wire.data() + 42), 4191);
    EXPECT_EQ(Bytes(wire.begin() + 48, wire.end()), inner);
    EXPECT_TRUE(
        tunnel::udp_checksum_holds(kCareOfAddress, kHomeAgent, ConstByteSpan(wire).subspan(40)));

    const auto answer = [](const Bytes& inside, std::uint16_t port = 4191) {
        Bytes datagram(8);
        store_be16(datagram.data(), port);
        store_be16(datagram.data() + 2, 4191);
        store_be16(datagram.data() + 4, static_cast<std::uint16_t>(8 + inside.size()));
        datagram.insert(datagram.end(), inside.begin(), inside.end());
        return ipv6(kHomeAgent, kCareOfAddress, 17, datagram);
    };
    const Bytes in = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(31, 9));
    before = counters;
    ASSERT_EQ(receive(answer(in)), Arrived::kPayload);
    EXPECT_EQ(result(), in);
    expect_only(Counter::kTunnelReceived);
    EXPECT_EQ(receive(answer(in, 4500)), Arrived::kDropped);
    expect_only(Counter::kInNotHomeAgent);
    EXPECT_EQ(receive(answer(Bytes{})), Arrived::kDropped);
    expect_only(Counter::kInMalformed);
    EXPECT_EQ(receive(answer(Bytes(40, 0x55))), Arrived::kDropped);
    expect_only(Counter::kInVersion);
    // A length that lies.
    Bytes lying = answer(in);
    store_be16(lying.data() + 44, 0xffff);
    EXPECT_EQ(receive(lying), Arrived::kDropped);
    expect_only(Counter::kInMalformed);
}

TEST_F(PacketPathsTest, S1_34_what_is_for_a_correspondent_goes_to_the_host) {
    const auto message = [](int type) {
        return Bytes{59, 1, static_cast<std::uint8_t>(type), 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    };
    for (const int type : {1, 2, 5}) {  // Home Test Init, Care-of Test Init, Binding Update
        const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 135, message(type));
        ASSERT_EQ(receive(tunnelled(inner)), Arrived::kPayload) << type;
        EXPECT_EQ(result(), inner);
        EXPECT_EQ(receive(inner), Arrived::kDropped) << "at home the kernel has it already";
    }
    for (const int type : {0, 3, 6, 7}) {
        EXPECT_EQ(receive(tunnelled(ipv6(kCorrespondent, kHomeAddress, 135, message(type)))),
                  Arrived::kSignalling)
            << type;
    }
}

TEST_F(PacketPathsTest, N3_at_home_the_acknowledgement_comes_without_routing_header) {
    ASSERT_EQ(receive(vector("C4_BA_IPsec_out")), Arrived::kSignalling);
    EXPECT_TRUE(is_protected);
}

TEST_F(PacketPathsTest, S1_21_ipsec_never_sees_a_care_of_address) {
    // Every packet at the edges of IPsec is checked by an assertion of debug builds; here are those
    // for which a wrong order of the steps would show it.
    ASSERT_EQ(receive(vector("C4_BA_wire")), Arrived::kSignalling);
    packet = buffer.fill(ipv6(kHomeAddress, kHomeAgent, 135, vector("C1_BU_MH")));
    ASSERT_TRUE(update_to_wire(kCareOfAddress));
    ASSERT_EQ(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(16))), Leave::kPlain);
    ASSERT_EQ(receive(tunnelled(ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16)))),
              Arrived::kPayload);
#ifndef NDEBUG
    // The assertion itself: an address that becomes care-of address is refused by IPsec's edge.
    paths->set_care_of_addresses({kHomeAgent});
    packet = buffer.fill(ipv6(kHomeAddress, kHomeAgent, 135, vector("C1_BU_MH")));
    EXPECT_DEATH((void)update_to_wire(kCareOfAddress), "is_normal_form");
#endif
}

TEST_F(PacketPathsTest, S1_14_sequence_numbers_go_on_over_a_move) {
    std::uint32_t sequence = 0;
    for (const Ipv6Address& care_of_address : {kCareOfAddress, kOtherCareOfAddress}) {
        packet = buffer.fill(ipv6(kHomeAddress, kHomeAgent, 135, vector("C1_BU_MH")));
        ASSERT_TRUE(update_to_wire(care_of_address));
        const Bytes wire = result();
        EXPECT_EQ(source_of(wire), care_of_address);
        EXPECT_EQ(load_be32(wire.data() + 40 + 24 + 4), ++sequence);
    }
}

TEST_F(PacketPathsTest, N1_out_gets_the_tunnel_header) {
    const Bytes inner = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(16), 0xb9);
    ASSERT_EQ(send(inner), Leave::kPlain);
    ASSERT_TRUE(paths->to_wire(packet, Leave::kPlain, kCareOfAddress));
    EXPECT_EQ(result(), ipv6(kCareOfAddress, kHomeAgent, 41, inner, 0xb9));
}

TEST_F(PacketPathsTest, N1_in_loses_the_tunnel_header) {
    const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16));
    ASSERT_EQ(receive(tunnelled(inner)), Arrived::kPayload);
    EXPECT_EQ(result(), inner);
    EXPECT_FALSE(is_protected);
    expect_only(Counter::kTunnelReceived);
}

TEST_F(PacketPathsTest, N1_in_marks_congestion_on_the_inner_packet) {
    const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16), 2);
    ASSERT_EQ(receive(ipv6(kHomeAgent, kCareOfAddress, 41, inner, 3)), Arrived::kPayload);
    EXPECT_EQ(result(), ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16), 3));
    expect_only(Counter::kTunnelReceived);
    const Bytes not_ect = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16), 0);
    EXPECT_EQ(receive(ipv6(kHomeAgent, kCareOfAddress, 41, not_ect, 3)), Arrived::kDropped);
    expect_only(Counter::kInEcn);
}

TEST_F(PacketPathsTest, P14_IPv4_travels_in_the_same_tunnel) {
    const Bytes out = ipv4(kIpv4HomeAddress, *Ipv4Address::parse("198.51.100.9"), Bytes(12));
    EXPECT_EQ(send(out), Leave::kDropped) << "not before the home agent has bound it";
    expect_only(Counter::kDropNoBinding);
    paths->set_ipv4_bound(true);
    ASSERT_EQ(send(out), Leave::kPlain);
    ASSERT_TRUE(paths->to_wire(packet, Leave::kPlain, kCareOfAddress));
    EXPECT_EQ(result(), ipv6(kCareOfAddress, kHomeAgent, 4, out));
    const Bytes in = ipv4(*Ipv4Address::parse("198.51.100.9"), kIpv4HomeAddress, Bytes(12));
    ASSERT_EQ(receive(ipv6(kHomeAgent, kCareOfAddress, 4, in)), Arrived::kPayload);
    EXPECT_EQ(result(), in);
    expect_only(Counter::kTunnelReceived);
    const Bytes stray = ipv4(kIpv4HomeAddress, *Ipv4Address::parse("198.51.100.9"), Bytes(12));
    EXPECT_EQ(receive(ipv6(kHomeAgent, kCareOfAddress, 4, stray)), Arrived::kDropped);
    expect_only(Counter::kInInnerAddress);
}

TEST_F(PacketPathsTest, tunnels_of_others_are_refused) {
    const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16));
    EXPECT_EQ(receive(ipv6(kCorrespondent, kCareOfAddress, 41, inner)), Arrived::kDropped);
    expect_only(Counter::kInNotHomeAgent);
    EXPECT_EQ(receive(ipv6(kHomeAgent, kOtherCareOfAddress, 41, inner)), Arrived::kDropped);
    expect_only(Counter::kInNotCareOf);
    EXPECT_EQ(receive(tunnelled(ipv6(kCorrespondent, kCorrespondent, 17, Bytes(16)))),
              Arrived::kDropped);
    expect_only(Counter::kInInnerAddress);
    EXPECT_EQ(receive(tunnelled(ipv6(*Ipv6Address::parse("fe80::1"), kHomeAddress, 17, Bytes(16)))),
              Arrived::kDropped);
    expect_only(Counter::kInInnerAddress);
}

TEST_F(PacketPathsTest, S1_41_the_old_care_of_address_still_receives) {
    paths->set_care_of_addresses({kOtherCareOfAddress, kCareOfAddress});
    const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16));
    EXPECT_EQ(receive(ipv6(kHomeAgent, kCareOfAddress, 41, inner)), Arrived::kPayload);
    EXPECT_EQ(receive(ipv6(kHomeAgent, kOtherCareOfAddress, 41, inner)), Arrived::kPayload);
}

TEST_F(PacketPathsTest, binding_acknowledgement_without_ESP_is_refused) {
    const Bytes plain = ipv6(kHomeAgent, kHomeAddress, 135, vector("C3_BA_MH"));
    EXPECT_EQ(receive(tunnelled(plain)), Arrived::kDropped);
    expect_only(Counter::kInPolicy);
    EXPECT_EQ(receive(routed(135, vector("C3_BA_MH"))), Arrived::kDropped);
    expect_only(Counter::kInPolicy);
    EXPECT_EQ(receive(plain), Arrived::kDropped);
    expect_only(Counter::kInPolicy);
}

TEST_F(PacketPathsTest, changed_ESP_is_refused) {
    const Bytes good = vector("C4_BA_wire");
    for (const std::size_t at : {std::size_t{64}, std::size_t{75}, good.size() - 1}) {
        Bytes bad = good;
        bad[at] ^= 1;
        EXPECT_EQ(receive(bad), Arrived::kDropped) << at;
        expect_only(Counter::kInPolicy);
    }
}

TEST_F(PacketPathsTest, bad_routing_headers_are_discarded_silently) {
    const Bytes good = vector("C4_BA_wire");
    for (const auto& [at, value] : std::initializer_list<std::pair<std::size_t, int>>{
             {43, 2},    // segments left
             {43, 0},    //
             {63, 0x99}  // another address
         }) {
        Bytes bad = good;
        bad[at] = static_cast<std::uint8_t>(value);
        EXPECT_EQ(receive(bad), Arrived::kDropped) << at;
        expect_only(Counter::kRoutingHeaderBad);
    }
    Bytes from_other = good;
    from_other[23] ^= 2;
    EXPECT_EQ(receive(from_other), Arrived::kDropped);
    expect_only(Counter::kInNotHomeAgent);
}

TEST_F(PacketPathsTest, ESP_of_a_correspondent_is_payload) {
    const Bytes esp = ipv6(kCorrespondent, kHomeAddress, 50, Bytes(40, 7));
    ASSERT_EQ(receive(tunnelled(esp)), Arrived::kPayload);
    EXPECT_EQ(result(), esp);
}

TEST_F(PacketPathsTest, only_packets_of_the_home_addresses_leave) {
    EXPECT_EQ(send(ipv6(kCareOfAddress, kCorrespondent, 17, Bytes(16))), Leave::kDropped);
    expect_only(Counter::kDropNotHomeAddress);
    EXPECT_EQ(send(ipv4(*Ipv4Address::parse("192.0.2.77"), *Ipv4Address::parse("198.51.100.9"),
                        Bytes(12))),
              Leave::kDropped);
    expect_only(Counter::kDropNotHomeAddress);
}

/// With SAs for payload; the home agent's end is another mobile node's IPsec, turned round.
struct SealedPathsTest : PacketPathsTest {
    SealedPathsTest() {
        config.payload = SaPair{
            .spi_in = 0x20000003,
            .spi_out = 0x10000003,
            .algorithm = "aes128-gcm16",
            .key_file_in = key_file("pin", "000102030405060708090a0b0c0d0e0f c0c1c2c3"),
            .key_file_out = key_file("pout", "000102030405060708090a0b0c0d0e0f d0d1d2d3"),
            .replay_window = 64,
        };
        config.ipv4_home_address = kIpv4HomeAddress;
        auto made = Security::create(config);
        EXPECT_TRUE(made) << made.error().text;
        security = std::move(*made);
        paths.emplace(PathAddresses{kHomeAddress, kHomeAgent, kIpv4HomeAddress, {kHomeAgent4}},
                      std::uint8_t{64}, security->engine(), counters);
        paths->set_care_of_addresses({kCareOfAddress, kOtherCareOfAddress});
        paths->set_ipv4_bound(true);
    }
    std::uint32_t sequence() const { return load_be32(packet.data + 44); }
};

TEST_F(SealedPathsTest, N2_payload_is_sealed_and_leaves_from_the_care_of_address) {
    const Bytes inner = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(24));
    ASSERT_EQ(send(inner), Leave::kSealed);
    EXPECT_EQ(source_of(result()), kHomeAddress) << "S1.21: IPsec knows no care-of address";
    EXPECT_EQ(destination_of(result()), kHomeAgent);
    ASSERT_TRUE(paths->to_wire(packet, Leave::kSealed, kCareOfAddress));
    const Bytes wire = result();
    EXPECT_EQ(source_of(wire), kCareOfAddress);
    EXPECT_EQ(wire[6], 50);
    EXPECT_EQ(load_be32(wire.data() + 40), 0x10000003u);
}

TEST_F(SealedPathsTest, N2_vector_C5_opens_at_whatever_care_of_address_it_came) {
    for (const char* name : {"C5_rewritten", "C5_IPsec_out"}) {
        auto made = Security::create(config);  // the same vector twice is a replay
        ASSERT_TRUE(made);
        PacketPaths fresh({kHomeAddress, kHomeAgent, kIpv4HomeAddress}, 64, (*made)->engine(),
                          counters);
        fresh.set_care_of_addresses({kCareOfAddress});
        packet = buffer.fill(vector(name));
        const auto arrival = fresh.inbound(packet);
        EXPECT_EQ(arrival.what, Arrived::kPayload);
        EXPECT_TRUE(arrival.is_protected);
        EXPECT_EQ(result(), vector("C5_inner"));
    }
    ASSERT_EQ(receive(vector("C5_rewritten")), Arrived::kPayload);
    before = counters;
    EXPECT_EQ(receive(vector("C5_rewritten")), Arrived::kDropped);
    expect_only(Counter::kInPolicy);
}

TEST_F(SealedPathsTest, S1_14_S1_21_ten_thousand_moves_leave_one_gapless_sequence) {
    for (std::uint32_t move = 1; move <= 10000; ++move) {
        const Ipv6Address& care_of = move % 2 == 0 ? kCareOfAddress : kOtherCareOfAddress;
        ASSERT_EQ(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(8))), Leave::kSealed);
        ASSERT_TRUE(paths->to_wire(packet, Leave::kSealed, care_of));
        ASSERT_EQ(source_of(result()), care_of);
        ASSERT_EQ(sequence(), move);
    }
    for (const ipsec::SaStatus& status : security->associations()) {
        if (status.mode != ipsec::Mode::kTunnel) continue;
        EXPECT_EQ(status.tunnel_local, IpAddress(kHomeAddress));
        EXPECT_EQ(status.tunnel_remote, IpAddress(kHomeAgent));
    }
}

TEST_F(SealedPathsTest, S1_35_ipv4_goes_in_the_same_sa) {
    ASSERT_EQ(send(ipv4(kIpv4HomeAddress, *Ipv4Address::parse("198.51.100.9"), Bytes(20))),
              Leave::kSealed);
    EXPECT_EQ(load_be32(packet.data + 40), 0x10000003u);
    EXPECT_EQ(sequence(), 1u);
    ASSERT_EQ(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(24))), Leave::kSealed);
    EXPECT_EQ(sequence(), 2u);
}

TEST_F(SealedPathsTest, S1_37_at_home_payload_is_plain_and_signalling_is_not) {
    ASSERT_TRUE(security->set_at_home(true));
    EXPECT_EQ(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(24))), Leave::kPlain);
    packet = buffer.fill(ipv6(kHomeAddress, kHomeAgent, 135, vector("C1_BU_MH")));
    ASSERT_TRUE(update_to_wire(std::nullopt));
    EXPECT_EQ(result()[6], 50);
    EXPECT_EQ(receive(vector("C5_IPsec_out")), Arrived::kPayload) << "what was on its way opens";
    ASSERT_TRUE(security->set_at_home(false));
    EXPECT_EQ(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(24))), Leave::kSealed);
    EXPECT_EQ(sequence(), 1u);
}

TEST_F(SealedPathsTest, plaintext_in_a_tunnel_is_dropped_where_the_policy_demands_esp) {
    EXPECT_EQ(receive(tunnelled(ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16)))),
              Arrived::kDropped);
    expect_only(Counter::kInPolicy);
}

TEST_F(SealedPathsTest, the_tunnels_mtu_leaves_room_for_esp) {
    // packet-paths section 3: ESP with GCM over IPv6, path MTU 1500.
    EXPECT_EQ(security->tunnel_mtu(1500, 40), 1426u);
    EXPECT_EQ(security->tunnel_mtu(60, 40), 0u);
    config.payload.reset();
    auto plain = Security::create(config);
    ASSERT_TRUE(plain);
    EXPECT_EQ((*plain)->tunnel_mtu(1500, 40), 1460u);
}

TEST_F(PacketPathsTest, link_local_traffic_never_leaves) {
    for (const char* destination : {"fe80::1", "ff02::1", "ff01::1", "::1"}) {
        EXPECT_EQ(send(ipv6(kHomeAddress, *Ipv6Address::parse(destination), 58, Bytes(16))),
                  Leave::kDropped)
            << destination;
        expect_only(Counter::kDropLinkLocal);
    }
    EXPECT_EQ(send(ipv6(*Ipv6Address::parse("fe80::1"), kCorrespondent, 58, Bytes(16))),
              Leave::kDropped);
    expect_only(Counter::kDropLinkLocal);
}

TEST_F(PacketPathsTest, lengths_that_lie_are_refused) {
    const Bytes good = tunnelled(ipv6(kCorrespondent, kHomeAddress, 17, Bytes(16)));
    for (std::size_t length = 0; length < good.size(); ++length) {
        Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
        if (length >= 40) store_be16(cut.data() + 4, static_cast<std::uint16_t>(length - 40));
        EXPECT_EQ(receive(cut), Arrived::kDropped) << length;
        expect_only(Counter::kInMalformed);
    }
    EXPECT_EQ(send(Bytes(40, 0x45)), Leave::kDropped);
    expect_only(Counter::kDropMalformed);
    EXPECT_EQ(send(Bytes(3, 0x60)), Leave::kDropped);
    expect_only(Counter::kDropMalformed);
}

}  // namespace
}  // namespace homeport::mobile_node
