// SPDX-License-Identifier: BSD-3-Clause
// Checksums by the port or by software: the same octets leave, the same packets are accepted.
// DPDK's own functions judge.
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>

#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

/// Whether the IPv6 packet's UDP checksum is right.
bool udp_holds(const Bytes& packet) {
    const auto* const ip = reinterpret_cast<const rte_ipv6_hdr*>(packet.data());
    const auto* const udp = reinterpret_cast<const rte_udp_hdr*>(packet.data() + 40);
    rte_udp_hdr zeroed = *udp;
    zeroed.dgram_cksum = 0;
    Bytes copy = packet;
    std::memcpy(copy.data() + 40, &zeroed, sizeof zeroed);
    return udp->dgram_cksum != 0 && udp->dgram_cksum == rte_ipv6_udptcp_cksum(ip, copy.data() + 40);
}

class Offload : public ForwardTest {
  protected:
    void begin(std::uint16_t path_mtu = 0) {
        start_home_agent();
        channel::BindingSet record = binding();
        record.encapsulation = channel::Encapsulation::kUdpIpv6;
        record.udp_port = 40000;
        record.path_mtu = path_mtu;
        apply(record);
    }
    /// Packets of all lengths, odd ones too, through P15.
    std::vector<Bytes> tunnelled(std::uint64_t& offloaded) {
        std::vector<Bytes> packets;
        offloaded = 0;
        for (std::size_t octets = 8; octets < 1200; octets += 37) {
            const Result result = feed_packet(kOutside, udp6(kCorrespondent, kHomeAddress, octets));
            EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
            for (const Bytes& frame : result.sent[kOutside]) packets.push_back(packet_in(frame));
            offloaded += result.offloaded;
        }
        return packets;
    }
};

TEST_F(Offload, P15_software_puts_the_udp_checksum_in_where_the_port_does_not) {
    begin();
    std::uint64_t offloaded = 0;
    const auto packets = tunnelled(offloaded);
    EXPECT_EQ(offloaded, 0u);
    ASSERT_EQ(packets.size(), 33u);
    for (const Bytes& packet : packets) EXPECT_TRUE(udp_holds(packet)) << to_hex(packet);
}

TEST_F(Offload, P15_the_port_puts_the_same_udp_checksum_in) {
    set_offloads();
    begin();
    std::uint64_t offloaded = 0;
    const auto packets = tunnelled(offloaded);
    EXPECT_EQ(offloaded, packets.size()) << "left to the port";
    ASSERT_EQ(packets.size(), 33u);
    for (const Bytes& packet : packets) EXPECT_TRUE(udp_holds(packet)) << to_hex(packet);
}

TEST_F(Offload, P15_what_is_cut_or_goes_to_the_kernel_has_its_checksum) {
    set_offloads();
    begin(1280);
    // Larger than the path: cut behind the encapsulation; both pieces' octets together are right.
    Result result = feed_packet(kOutside, udp6(kCorrespondent, kHomeAddress, 1200));
    EXPECT_EQ(result.offloaded, result.sent[kOutside].size() == 1 ? 1u : 0u);
    if (result.sent[kOutside].size() == 2) {
        Bytes whole = packet_in(result.sent[kOutside][0]);
        const Bytes second = packet_in(result.sent[kOutside][1]);
        whole.erase(whole.begin() + 40, whole.begin() + 48);
        whole[6] = 17;
        whole.insert(whole.end(), second.begin() + 48, second.end());
        store_be16(whole.data() + 4, static_cast<std::uint16_t>(whole.size() - 40));
        EXPECT_TRUE(udp_holds(whole));
    }
    lose_neighbour(kOutside, "2001:db8:f::2");
    result = feed_packet(kOutside, udp6(kCorrespondent, kHomeAddress, 100));
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_TRUE(udp_holds(packet_in(result.kernel[kOutside][0])));
}

TEST_F(Offload, what_the_port_found_right_is_believed_and_what_it_found_wrong_is_looked_at) {
    begin();
    const auto packet = [&](bool right) {
        Bytes bytes = ipv4(kCorrespondent4, kAtHome4, 17, Bytes(16));
        if (!right) bytes[10] = static_cast<std::uint8_t>(bytes[10] ^ 1);
        return bytes;
    };
    EXPECT_EQ(feed_packet(kOutside, packet(false)).count("parse.checksum"), 1u);
    set_received_flags(RTE_MBUF_F_RX_IP_CKSUM_GOOD);
    EXPECT_EQ(feed_packet(kOutside, packet(false)).count("parse.checksum"), 0u) << "not looked at";
    set_received_flags(RTE_MBUF_F_RX_IP_CKSUM_BAD);
    EXPECT_EQ(feed_packet(kOutside, packet(true)).count("parse.checksum"), 0u);
    EXPECT_EQ(feed_packet(kOutside, packet(false)).count("parse.checksum"), 1u);
}

TEST_F(Offload, P10_a_udp_checksum_that_the_port_found_right_is_believed) {
    begin();
    Bytes datagram(8);
    store_be16(datagram.data(), 40000);
    store_be16(datagram.data() + 2, 4191);
    append(datagram, ipv6(kHomeAddress, kCorrespondent, 59, Bytes(8)));
    store_be16(datagram.data() + 4, static_cast<std::uint16_t>(datagram.size()));
    store_be16(datagram.data() + 6, 0x1234);  // wrong
    const Bytes packet = ipv4(kCorrespondent4, kOutsideAddress4, 17, datagram);
    EXPECT_EQ(feed_packet(kOutside, packet).count("dsmip.in.cksum"), 1u);
    set_received_flags(RTE_MBUF_F_RX_L4_CKSUM_GOOD);
    EXPECT_EQ(feed_packet(kOutside, packet).count("dsmip.in.cksum"), 0u);
    set_received_flags(RTE_MBUF_F_RX_L4_CKSUM_BAD);
    EXPECT_EQ(feed_packet(kOutside, packet).count("dsmip.in.cksum"), 1u);
}

}  // namespace
}  // namespace homeport::golden
