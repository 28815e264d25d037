// SPDX-License-Identifier: BSD-3-Clause
// Paths N4 and N5: P9, P10 and P13 as the mobile node sees them, and vectors C8 and C10.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "controlplane/wire/mobility_header.hpp"
#include "tests/unit/mobile-node/packets.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/packet_paths.hpp"
#include "tools/mobile-node/security.hpp"

namespace homeport::mobile_node {
namespace {

using Arrived = PacketPaths::Arrived;
using Leave = PacketPaths::Leave;
using Kind = SignallingSplit::Kind;
using mip6::Encapsulation;

constexpr std::uint16_t kPort = 40000, kEspPort = 4501;

struct Ipv4PathsTest : testing::Test {
    Ipv4PathsTest() {
        char name[] = "/tmp/homeport-mn4-test-XXXXXX";
        directory = ::mkdtemp(name);
        config.home_address = kHomeAddress;
        config.home_agent = kHomeAgent;
        config.ipv4_home_address = kIpv4HomeAddress;
        config.binding_update = pair(0x20001, 0x10001, "bu");
        make();
    }
    ~Ipv4PathsTest() override { std::filesystem::remove_all(directory); }

    SaPair pair(std::uint32_t in, std::uint32_t out, const std::string& name) const {
        for (const char* way : {"in", "out"}) {
            const std::string path = directory + "/" + name + way;
            std::ofstream(path) << std::string(96, way[0] == 'i' ? 'a' : 'b') << "\n";
            ::chmod(path.c_str(), 0600);
        }
        return {.spi_in = in,
                .spi_out = out,
                .algorithm = "aes128-cbc-hmac-sha256-128",
                .key_file_in = directory + "/" + name + "in",
                .key_file_out = directory + "/" + name + "out"};
    }
    void make() {
        auto made = Security::create(config);
        ASSERT_TRUE(made) << made.error().text;
        security = std::move(*made);
        paths.emplace(PathAddresses{kHomeAddress, kHomeAgent, kIpv4HomeAddress, {kHomeAgent4}},
                      std::uint8_t{64}, security->engine(), counters);
        paths->set_ipv4_bound(true);
        paths->set_ipv4_care_of_addresses({kCareOfAddress4});
    }
    void protect_payload() {
        config.payload = pair(0x20006, 0x10006, "payload");
        make();
    }
    static Egress egress(Encapsulation encapsulation, bool nested = false) {
        Egress out;
        out.care_of = mip6::CareOf(kCareOfAddress4, kHomeAgent4, 2);
        out.encapsulation = encapsulation;
        out.udp_port = kPort;
        out.esp_port = kEspPort;
        out.nested_esp = nested;
        return out;
    }
    Bytes send(const Bytes& bytes, const Egress& to) {
        packet = buffer.fill(bytes);
        const Leave how = paths->outbound(packet);
        if (how == Leave::kDropped || !paths->to_wire(packet, how, to)) return {};
        return result();
    }
    Arrived receive(const Bytes& bytes) {
        packet = buffer.fill(bytes);
        const auto arrival = paths->inbound(packet);
        is_protected = arrival.is_protected;
        return arrival.what;
    }
    [[nodiscard]] Bytes result() const { return {packet.data, packet.data + packet.length}; }

    static Bytes outer(std::uint8_t protocol, const Bytes& payload,
                       const Ipv4Address& source = kHomeAgent4) {
        Bytes out = ipv4(source, kCareOfAddress4, payload);
        out[9] = protocol;
        return out;
    }
    static Bytes udp(std::uint16_t source, std::uint16_t destination, const Bytes& payload) {
        Bytes out(8);
        store_be16(out.data(), source);
        store_be16(out.data() + 2, destination);
        store_be16(out.data() + 4, static_cast<std::uint16_t>(8 + payload.size()));
        out.insert(out.end(), payload.begin(), payload.end());
        return out;
    }
    void expect_only(Counter counter) {
        for (std::size_t i = 0; i < kCounterCount; ++i) {
            const auto one = static_cast<Counter>(i);
            EXPECT_EQ(counters[one] - before[one], one == counter ? 1u : 0u) << kCounterNames[i];
        }
        before = counters;
    }

    const Bytes inner6 = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20), 0xb9);
    const Bytes inner4 = ipv4(kIpv4HomeAddress, *Ipv4Address::parse("198.51.100.9"), Bytes(20));
    const Bytes in6 = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(20));
    const Bytes in4 = ipv4(*Ipv4Address::parse("198.51.100.9"), kIpv4HomeAddress, Bytes(20));

    std::string directory;
    Config config;
    Counters counters, before;
    std::unique_ptr<Security> security;
    std::optional<PacketPaths> paths;
    PacketBuffer buffer;
    Packet packet{};
    bool is_protected = false;
};

TEST_F(Ipv4PathsTest, P9_N4_both_families_in_ipv4_with_dscp_and_ecn) {
    const Bytes six = send(inner6, egress(Encapsulation::kIpv4));
    ASSERT_EQ(six.size(), inner6.size() + 20);
    EXPECT_EQ(six[9], 41);
    EXPECT_EQ(six[1], 0xb9) << "traffic class copied";
    EXPECT_EQ(six[8], 64);
    EXPECT_EQ(Ipv4Address::load(six.data() + 12), kCareOfAddress4);
    EXPECT_EQ(Ipv4Address::load(six.data() + 16), kHomeAgent4);
    EXPECT_EQ(internet_checksum({six.data(), 20}), 0);
    EXPECT_EQ(Bytes(six.begin() + 20, six.end()), inner6);
    const Bytes four = send(inner4, egress(Encapsulation::kIpv4));
    ASSERT_EQ(four.size(), inner4.size() + 20);
    EXPECT_EQ(four[9], 4);
}

TEST_F(Ipv4PathsTest, P10_N4_both_families_in_udp_4191_without_checksum) {
    for (const Bytes& inner : {inner6, inner4}) {
        const Bytes wire = send(inner, egress(Encapsulation::kUdpIpv4));
        ASSERT_EQ(wire.size(), inner.size() + 28);
        EXPECT_EQ(wire[9], 17);
        EXPECT_EQ(load_be16(wire.data() + 20), kPort);
        EXPECT_EQ(load_be16(wire.data() + 22), 4191);
        EXPECT_EQ(load_be16(wire.data() + 24), inner.size() + 8);
        EXPECT_EQ(load_be16(wire.data() + 26), 0);
    }
}

TEST_F(Ipv4PathsTest,
       N5_a_binding_update_goes_in_udp_with_checksum_and_without_home_address_option) {
    const wire::BindingUpdate update{
        .sequence = 7, .lifetime = {100}, .options = {wire::Ipv4CareOfAddress{kCareOfAddress4}}};
    packet = buffer.fill(wire::mobility_packet(update, kHomeAddress, kHomeAgent));
    ASSERT_EQ(paths->protect(packet), Leave::kSealed);
    // Whatever data are in: an update over IPv4 is always in UDP.
    ASSERT_TRUE(
        paths->signalling_to_wire(packet, Kind::kBindingUpdate, egress(Encapsulation::kIpv4)));
    const Bytes wire = result();
    EXPECT_EQ(load_be16(wire.data() + 22), 4191);
    EXPECT_NE(load_be16(wire.data() + 26), 0);
    EXPECT_EQ(wire[28] >> 4, 6);
    EXPECT_EQ(wire[28 + 6], 50) << "ESP right behind the IPv6 header";
    EXPECT_EQ(source_of(Bytes(wire.begin() + 28, wire.end())), kHomeAddress);
    EXPECT_EQ(load_be32(wire.data() + 68), 0x10001u);
}

TEST_F(Ipv4PathsTest, P13_N4_the_ipv6_header_of_esp_is_replaced) {
    protect_payload();
    for (const Bytes& inner : {inner6, inner4}) {
        const Bytes plain = send(inner, egress(Encapsulation::kIpv4));
        ASSERT_GT(plain.size(), 28u);
        EXPECT_EQ(plain[9], 50);
        EXPECT_EQ(load_be32(plain.data() + 20), 0x10006u);
        const Bytes in_udp = send(inner, egress(Encapsulation::kUdpIpv4));
        EXPECT_EQ(in_udp.size(), plain.size() + 8);
        EXPECT_EQ(load_be16(in_udp.data() + 20), kEspPort);
        EXPECT_EQ(load_be16(in_udp.data() + 22), 4500);
        EXPECT_EQ(load_be16(in_udp.data() + 26), 0) << "RFC 3948 2.1";
        EXPECT_EQ(load_be32(in_udp.data() + 28), 0x10006u);
        const Bytes nested = send(inner, egress(Encapsulation::kUdpIpv4, true));
        EXPECT_EQ(nested.size(), plain.size() + 48);
        EXPECT_EQ(load_be16(nested.data() + 22), 4191);
        EXPECT_EQ(nested[28 + 6], 50);
    }
    EXPECT_EQ(inner6[1] >> 4 | (inner6[0] & 15) << 4, 0xb9);
}

TEST_F(Ipv4PathsTest, P9_P10_inbound_both_families) {
    EXPECT_EQ(receive(outer(41, in6)), Arrived::kPayload);
    EXPECT_EQ(result(), in6);
    EXPECT_EQ(receive(outer(4, in4)), Arrived::kPayload);
    EXPECT_EQ(result(), in4);
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, in6))), Arrived::kPayload);
    EXPECT_EQ(result(), in6);
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, in4))), Arrived::kPayload);
    EXPECT_EQ(result(), in4);
    EXPECT_EQ(counters[Counter::kTunnelReceived], 4u);
}

TEST_F(Ipv4PathsTest, mn_in_not_ha_each_form_is_taken_from_the_home_agent_only) {
    const Ipv4Address other = *Ipv4Address::parse("192.0.2.66");
    for (const Bytes& bytes : {outer(41, in6, other), outer(17, udp(4191, kPort, in6), other),
                               outer(50, Bytes(40), other), outer(17, udp(4192, kPort, in6))}) {
        EXPECT_EQ(receive(bytes), Arrived::kDropped);
        expect_only(Counter::kInNotHomeAgent);
    }
    paths->set_ipv4_care_of_addresses({});
    EXPECT_EQ(receive(outer(41, in6)), Arrived::kDropped);
    expect_only(Counter::kInNotCareOf);
}

TEST_F(Ipv4PathsTest, udp_4191_version_nibble_and_lengths) {
    Bytes bad = in6;
    bad[0] = 0x50;
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, bad))), Arrived::kDropped);
    expect_only(Counter::kInVersion);
    bad[0] = 0;  // TLV header: off
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, bad))), Arrived::kDropped);
    expect_only(Counter::kInVersion);
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, {}))), Arrived::kDropped);
    expect_only(Counter::kInMalformed);
    Bytes lies = udp(4191, kPort, in6);
    store_be16(lies.data() + 4, static_cast<std::uint16_t>(lies.size() + 1));
    EXPECT_EQ(receive(outer(17, lies)), Arrived::kDropped);
    expect_only(Counter::kInMalformed);
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, Bytes(in6.begin(), in6.end() - 1)))),
              Arrived::kDropped);
    expect_only(Counter::kInMalformed);
}

TEST_F(Ipv4PathsTest, udp_4500_keepalive_and_ike_are_no_payload) {
    EXPECT_EQ(receive(outer(17, udp(4500, kEspPort, {0xff}))), Arrived::kDropped);
    expect_only(Counter::kEspKeepaliveReceived);
    EXPECT_EQ(receive(outer(17, udp(4500, kEspPort, Bytes(40)))), Arrived::kDropped);
    expect_only(Counter::kInIke);
    EXPECT_EQ(receive(outer(17, udp(4500, kEspPort, {1, 2}))), Arrived::kDropped);
    expect_only(Counter::kInMalformed);
}

// The other end of our SAs: what the home agent would send.
struct HomeAgentSide {
    explicit HomeAgentSide(const Config& config) {
        Config mirrored = config;
        for (auto* pair : {&mirrored.binding_update, &mirrored.payload}) {
            if (!*pair) continue;
            std::swap((*pair)->spi_in, (*pair)->spi_out);
            std::swap((*pair)->key_file_in, (*pair)->key_file_out);
        }
        mirrored.home_address = config.home_agent;
        mirrored.home_agent = config.home_address;
        mirrored.ipv4_home_address.reset();
        security = std::move(*Security::create(mirrored));
    }
    std::unique_ptr<Security> security;
};

TEST_F(Ipv4PathsTest, P12_an_acknowledgement_in_udp_comes_through_ipsec) {
    const wire::BindingAcknowledgement answer{.status = wire::BindingStatus::kAccepted,
                                              .sequence = 7,
                                              .lifetime = {100},
                                              .options = {wire::NatDetection{false, 110}}};
    HomeAgentSide other(config);
    // Its outbound entry is that of binding updates: as an update it is sealed with the same SA.
    PacketBuffer theirs;
    wire::BindingUpdate update{.sequence = 7, .lifetime = {100}, .options = {}};
    Packet sealed = theirs.fill(wire::mobility_packet(update, kHomeAgent, kHomeAddress));
    std::array<Packet*, 1> packets{&sealed};
    std::array<ipsec::Verdict, 1> verdicts{};
    other.security->engine().outbound(packets, verdicts);
    ASSERT_EQ(verdicts[0], ipsec::Verdict::kOutProtect);
    const Bytes esp(sealed.data, sealed.data + sealed.length);
    // The selectors of our SA are for acknowledgements: an update does not pass.
    EXPECT_EQ(receive(outer(17, udp(4191, kPort, esp))), Arrived::kDropped);
    expect_only(Counter::kInPolicy);
    // In clear neither.
    EXPECT_EQ(receive(outer(
                  17, udp(4191, kPort, wire::mobility_packet(answer, kHomeAgent, kHomeAddress)))),
              Arrived::kDropped);
    expect_only(Counter::kInPolicy);
}

TEST_F(Ipv4PathsTest, P7_a_solicitation_over_ipv4_keeps_its_home_address_option) {
    const Bytes solicitation = ipv6(kHomeAddress, kHomeAgent, 58, {146, 0, 0, 0, 0, 1, 0, 0});
    packet = buffer.fill(solicitation);
    EXPECT_EQ(paths->unsealed_kind(packet), Kind::kPrefixSolicitation);
    ASSERT_TRUE(paths->signalling_to_wire(packet, Kind::kPrefixSolicitation,
                                          egress(Encapsulation::kUdpIpv4)));
    const Bytes wire = result();
    EXPECT_EQ(wire.size(), solicitation.size() + 24 + 28);
    EXPECT_EQ(wire[28 + 6], 60);
    EXPECT_EQ(source_of(Bytes(wire.begin() + 28, wire.end())), kHomeAddress);
}

}  // namespace
}  // namespace homeport::mobile_node
