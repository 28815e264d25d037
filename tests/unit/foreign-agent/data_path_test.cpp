// SPDX-License-Identifier: BSD-3-Clause
// Visitors' packets against the project's vectors C15 to C18, and the rules around them.
#include "tools/foreign-agent/data_path.hpp"

#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "tests/unit/mip4/foreign_agent_harness.hpp"

namespace homeport::foreign_agent {
namespace {

using namespace mip4::test_support;
using homeport::test::to_hex;

// C15 to C18 run from 192.0.2.1 to 198.51.100.20 (C18: 203.0.113.7, port 40001) around this packet.
const Octets kInner =
    from_hex("45000028111100003f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");
const Octets kC15 = from_hex(
    "4500003c2222000040046c53c0000201c6336414450000281111"
    "00003f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");
const Octets kC16 = from_hex(
    "4500004022220000402f6c24c0000201c6336414000008004500002811"
    "1100003f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");
const Octets kC17 = from_hex(
    "45000034111100003f377e39c0000201c63364141180011fc0000264c63364c80fa013880014ac41"
    "6d6f62696c65206970207634");
const Octets kC18 = from_hex(
    "450000482222000040115a7ac0000201cb00710701b29c4100344d0b040400004500002811110000"
    "3f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");

Octets resealed(Octets packet) {
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(20)));
    return packet;
}
/// The packet inside as it leaves: one TTL less.
Octets forwarded(Octets packet) {
    EXPECT_TRUE(decrement_ttl(packet));
    return packet;
}

struct Path {
    explicit Path(const Ipv4Address& care_of = v4("198.51.100.20"), const std::string& flags = "T",
                  mip4::ForeignUdpPolicy udp = mip4::ForeignUdpPolicy::kNever,
                  bool encapsulating = false)
        : visit([&] {
              auto config = visited_config();
              config.care_of_addresses = {care_of};
              config.udp = udp;
              return config;
          }()),
          data(visit.agent, visit.counters,
               {{1500}, [this](const auto&, const auto&) { return path_mtu; }, 0x4711}) {
        auto message = visit.request();
        message.care_of_address = care_of;
        message.reverse_tunnel = flags.find('T') != std::string::npos;
        message.gre = flags.find('G') != std::string::npos;
        message.minimal = flags.find('M') != std::string::npos;
        auto payload = Visit::sealed(message);
        if (encapsulating) {
            wire::append_mip4_extension(payload, wire::Mip4EncapsulatingDelivery{});
        }
        visit.ask(payload);
        auto reply = Visit::sealed(Visit::reply_to(message));
        if (udp != mip4::ForeignUdpPolicy::kNever) {
            wire::append_mip4_extension(reply, wire::Mip4UdpTunnelReply{0, true, 60});
        }
        visit.answer(reply);
    }

    Outbox in(const Octets& packet) {
        Outbox out;
        data.from_tunnel(packet, visit.now, out);
        return out;
    }
    Outbox out(const Octets& packet, const MacAddress& from = kVisitorMac, bool is_ours = false) {
        Outbox made;
        was_taken = data.from_visitor(0, from, packet, is_ours, visit.now, made);
        return made;
    }
    std::uint64_t operator[](Count counter) const { return visit.counters[counter]; }

    std::size_t path_mtu = 1500;
    Visit visit;
    DataPath data;
    bool was_taken = false;
};

TEST(DataPath, P20_P22_P24_vectors_C15_C16_C17_come_out_at_the_visitor) {
    for (const Octets& packet : {kC15, kC16, kC17}) {
        Path path(v4("198.51.100.20"), "TGM");
        const Outbox out = path.in(packet);
        ASSERT_EQ(out.frames.size(), 1u);
        EXPECT_EQ(to_hex(out.frames[0].packet), to_hex(forwarded(kInner)));
        EXPECT_EQ(out.frames[0].to, kVisitorMac);
        EXPECT_TRUE(out.frames[0].counts);
    }
}

TEST(DataPath, P26_vector_C18_with_our_port) {
    Path path(v4("203.0.113.7"), "T", mip4::ForeignUdpPolicy::kForced);
    Octets packet = kC18;
    store_be16(packet.data() + 22, 434);
    Outbox out = path.in(packet);
    ASSERT_EQ(out.frames.size(), 1u);
    EXPECT_EQ(to_hex(out.frames[0].packet), to_hex(forwarded(kInner)));
    store_be16(packet.data() + 20, 40001);
    EXPECT_TRUE(path.in(packet).frames.empty());
    EXPECT_EQ(path[Count::kInSource], 1u);
}

TEST(DataPath, RFC5944_4_2_2_only_the_visitors_own_home_agent_delivers_to_it) {
    Path path;
    Octets packet = kC15;
    v4("192.0.2.2").store(packet.data() + 12);
    EXPECT_TRUE(path.in(resealed(packet)).frames.empty());
    EXPECT_EQ(path[Count::kInNoVisitor], 1u);
    packet = kC15;
    v4("198.51.100.21").store(packet.data() + 16);
    EXPECT_TRUE(path.in(resealed(packet)).frames.empty());
    EXPECT_EQ(path[Count::kInNotCareOf], 1u);
}

/// A packet of the visitor, TTL 64, that inside C15 to C18 turned around has TTL 63.
Octets of_visitor() {
    Octets packet = kInner;
    kVisitorHome.store(packet.data() + 12);
    v4("198.51.100.200").store(packet.data() + 16);
    packet[8] = 64;
    return resealed(packet);
}

TEST(DataPath, RFC3024_5_1_direct_delivery_goes_into_the_tunnel_that_was_agreed_on) {
    const Ipv4Address care_of = v4("198.51.100.20");
    const Octets inside = forwarded(of_visitor());
    for (const auto& [flags, protocol, header] :
         {std::tuple{"T", 4, 20}, {"TG", 47, 24}, {"TM", 55, 32}}) {
        Path path(care_of, flags);
        const Outbox out = path.out(of_visitor());
        ASSERT_TRUE(path.was_taken);
        ASSERT_EQ(out.packets.size(), 1u);
        const Octets& packet = out.packets[0].octets;
        ASSERT_TRUE(whole_packet(packet));
        EXPECT_EQ(header_of(packet).protocol, protocol);
        EXPECT_EQ(header_of(packet).source, care_of);
        EXPECT_EQ(header_of(packet).destination, kItsHomeAgent);
        const Octets tail(packet.begin() + header, packet.end());
        EXPECT_EQ(to_hex(tail),
                  to_hex(protocol == 55 ? Octets(inside.begin() + 20, inside.end()) : inside));
    }
    Path path(care_of, "T", mip4::ForeignUdpPolicy::kForced);
    const Outbox out = path.out(of_visitor());
    ASSERT_EQ(out.packets.size(), 1u);
    EXPECT_EQ(to_hex({out.packets[0].octets.begin() + 20, out.packets[0].octets.begin() + 32}),
              "01b201b20034000004040000");
}

TEST(DataPath, what_is_for_nobody_here_goes_nowhere_whatever_it_came_in) {
    for (const auto* flags : {"T", "TG", "TM"}) {
        for (const auto udp : {mip4::ForeignUdpPolicy::kNever, mip4::ForeignUdpPolicy::kForced}) {
            Path path(v4("198.51.100.20"), flags, udp);
            Octets packet = path.out(of_visitor()).packets.at(0).octets;
            // Turned around: as if the home agent had put it in.
            Octets swapped = packet;
            kItsHomeAgent.store(swapped.data() + 12);
            v4("198.51.100.20").store(swapped.data() + 16);
            EXPECT_TRUE(path.in(resealed(swapped)).frames.empty());
            EXPECT_EQ(path[Count::kInNoVisitor], 1u)
                << "its inner destination is the correspondent: " << flags;
        }
    }
}

TEST(DataPath, without_T_it_is_routed_and_with_an_own_care_of_address_it_is_not_ours) {
    Path native(v4("198.51.100.20"), "");
    const Outbox out = native.out(of_visitor());
    ASSERT_EQ(out.packets.size(), 1u);
    EXPECT_EQ(out.packets[0].kind, Outbox::Packet::Kind::kForwarded);
    EXPECT_EQ(to_hex(out.packets[0].octets), to_hex(forwarded(of_visitor())));
    Path path;
    EXPECT_TRUE(path.out(of_visitor(), mac("02:00:00:00:00:01")).packets.empty());
    EXPECT_TRUE(path.was_taken);
    EXPECT_EQ(path[Count::kOutMac], 1u);
    Octets stranger = of_visitor();
    v4("10.1.0.77").store(stranger.data() + 12);
    EXPECT_TRUE(path.out(resealed(stranger)).packets.empty());
    EXPECT_FALSE(path.was_taken) << "RFC 3024: no tunnelling of others' packets";
    (void)path.out(of_visitor(), kVisitorMac, true);
    EXPECT_FALSE(path.was_taken) << "for this host: the kernel's";
}

TEST(DataPath, RFC3024_5_2_encapsulating_delivery) {
    Path path(v4("198.51.100.20"), "T", mip4::ForeignUdpPolicy::kNever, true);
    Octets outer(20);
    tunnel::write_ipv4_header(outer.data(), kVisitorHome, kLinkAddress,
                              {.tos = 0,
                               .ttl = 64,
                               .protocol = 4,
                               .dont_fragment = true,
                               .identification = 0,
                               .total_length = 60});
    const auto wrapped = [&](const Octets& inner) {
        Octets packet = outer;
        packet.insert(packet.end(), inner.begin(), inner.end());
        return packet;
    };
    const Outbox out = path.out(wrapped(of_visitor()), kVisitorMac, true);
    ASSERT_EQ(out.packets.size(), 1u);
    EXPECT_EQ(to_hex({out.packets[0].octets.begin() + 20, out.packets[0].octets.end()}),
              to_hex(forwarded(of_visitor())));
    EXPECT_EQ(path.out(of_visitor()).packets.at(0).kind, Outbox::Packet::Kind::kForwarded)
        << "what is sent directly is not tunnelled";
    (void)path.out(wrapped(kInner), kVisitorMac, true);
    EXPECT_EQ(path[Count::kOutInner], 1u);
    (void)path.out(wrapped(Octets(40)), kVisitorMac, true);
    EXPECT_EQ(path[Count::kOutMalformed], 1u);
    Path direct;
    (void)direct.out(wrapped(of_visitor()), kVisitorMac, true);
    EXPECT_EQ(direct[Count::kOutStyle], 1u);
}

TEST(DataPath, RFC2003_4_and_RFC3519_4_8_sizes) {
    Path path(v4("198.51.100.20"), "TM");
    path.path_mtu = 600;
    Octets large = of_visitor();
    large.resize(1000);
    store_be16(large.data() + 2, 1000);
    const Outbox pieces = path.out(resealed(large));
    ASSERT_EQ(pieces.packets.size(), 2u);
    for (const auto& one : pieces.packets) {
        EXPECT_LE(one.octets.size(), 600u);
        EXPECT_EQ(header_of(one.octets).protocol, 4) << "RFC 2004: pieces go as IP in IP";
    }
    store_be16(large.data() + 6, 0x4000);
    const Outbox told = path.out(resealed(large));
    EXPECT_TRUE(told.packets.empty());
    ASSERT_EQ(told.frames.size(), 1u);
    EXPECT_EQ(load_be16(told.frames[0].packet.data() + 26), 588) << "600 less 12";
    EXPECT_EQ(path[Count::kOutTooBig], 1u);
}

TEST(DataPath, RFC6040_congestion_marks_come_out_of_the_tunnel) {
    Path path;
    Octets packet = kC15;
    packet[1] = 3;   // CE outside
    packet[21] = 2;  // ECT(0) inside
    store_be16(packet.data() + 30, 0);
    store_be16(packet.data() + 30, internet_checksum(ConstByteSpan(packet).subspan(20, 20)));
    const Outbox out = path.in(resealed(packet));
    ASSERT_EQ(out.frames.size(), 1u);
    EXPECT_EQ(out.frames[0].packet[1] & 3, 3);
    packet[21] = 0;
    store_be16(packet.data() + 30, 0);
    store_be16(packet.data() + 30, internet_checksum(ConstByteSpan(packet).subspan(20, 20)));
    EXPECT_TRUE(path.in(resealed(packet)).frames.empty());
    EXPECT_EQ(path[Count::kInEcn], 1u);
}

TEST(DataPath, truncated_at_each_length_every_packet_is_dropped_and_counted_once) {
    for (const Octets& packet : {kC15, kC16, kC17}) {
        Path path(v4("198.51.100.20"), "TGM");
        for (std::size_t length = 0; length < packet.size(); ++length) {
            Octets cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
            if (length >= 20) {
                store_be16(cut.data() + 2, static_cast<std::uint16_t>(length));
                cut = resealed(cut);
            }
            // Minimal encapsulation has no inner length: what is left is a shorter packet.
            const Outbox out = path.in(cut);
            EXPECT_TRUE(out.frames.empty() || (packet == kC17 && length >= 32)) << length;
        }
        std::uint64_t counted = 0;
        for (const Count one : {Count::kInMalformed, Count::kInGre, Count::kInMinimal,
                                Count::kInNoVisitor, Count::kInMode}) {
            counted += path[one];
        }
        const std::uint64_t delivered = packet == kC17 ? packet.size() - 32 : 0;
        EXPECT_EQ(counted + delivered, path[Count::kTunnelReceived]);
    }
}

TEST(DataPath, RFC3519_4_9_keepalives_and_their_answers) {
    Path path(v4("198.51.100.20"), "T", mip4::ForeignUdpPolicy::kForced);
    Outbox out;
    path.data.keepalive(*path.visit.agent.find(kVisitorHome, kItsHomeAgent), 3, out);
    ASSERT_EQ(out.packets.size(), 1u);
    const Octets request(out.packets[0].octets.begin() + 32, out.packets[0].octets.end());
    EXPECT_EQ(header_of(request).source, kVisitorHome);
    EXPECT_EQ(header_of(request).destination, kItsHomeAgent);
    Octets answer = out.packets[0].octets;
    kItsHomeAgent.store(answer.data() + 12);
    v4("198.51.100.20").store(answer.data() + 16);
    kItsHomeAgent.store(answer.data() + 32 + 12);
    kVisitorHome.store(answer.data() + 32 + 16);
    answer[32 + 20] = 0;  // echo reply
    EXPECT_TRUE(path.in(resealed(answer)).frames.empty());
    EXPECT_EQ(path[Count::kInKeepalive], 1u);
    EXPECT_EQ(path[Count::kKeepaliveAnswered], 1u);
    answer[32 + 25] ^= 1;  // another identifier: of the visitor
    EXPECT_EQ(path.in(resealed(answer)).frames.size(), 1u);
}

}  // namespace
}  // namespace homeport::foreign_agent
