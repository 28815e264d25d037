// SPDX-License-Identifier: BSD-3-Clause
// Sealing: RFC 4301 section 5.1, RFC 4303 section 3.3.
#include <gtest/gtest.h>

#include <set>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/recent_associations.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::hex;
using test::Host;
using test::ip;
using test::Link;
using test::Pair;

class EveryAlgorithm : public testing::TestWithParam<Algorithm> {};

TEST_P(EveryAlgorithm, opens_what_it_seals_at_every_length_in_both_modes) {
    for (const Mode mode : {Mode::kTunnel, Mode::kTransport}) {
        for (const bool esn : {false, true}) {
            Link link({.algorithm = GetParam(), .mode = mode, .esn = esn});
            for (std::size_t payload = 0; payload < 70; ++payload) {
                for (const char* source : {"2001:db8:3::300", "198.51.100.200"}) {
                    const bool v4 = source[0] == '1';
                    const Bytes packet =
                        test::udp({.source = source,
                                   .destination = v4 ? "192.0.2.100" : "2001:db8:1::100",
                                   .payload = payload});
                    Buffer buffer(packet);
                    ASSERT_EQ(link.sender.out(buffer), Verdict::kOutProtect);
                    const std::uint32_t inner = static_cast<std::uint32_t>(packet.size());
                    const std::uint32_t header = v4 ? 20 : 40;
                    const std::uint32_t expected =
                        mode == Mode::kTunnel ? 40 + inner + esp_overhead(GetParam(), inner)
                                              : inner + esp_overhead(GetParam(), inner - header);
                    ASSERT_EQ(buffer.packet.length, expected);
                    ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
                    ASSERT_EQ(hex(buffer.bytes()), hex(packet));
                }
            }
        }
    }
}

TEST_P(EveryAlgorithm, seals_the_largest_packets) {
    Link link({.algorithm = GetParam()});
    const std::uint32_t largest = max_inner_length(GetParam(), 65575, 40);
    const Bytes packet = test::udp({.payload = largest - 48});
    Buffer buffer(packet);
    ASSERT_EQ(link.sender.out(buffer), Verdict::kOutProtect);
    EXPECT_LE(buffer.packet.length, 65575u);
    ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
    EXPECT_EQ(buffer.bytes(), packet);
    Buffer larger(test::udp({.payload = largest - 47}));
    EXPECT_EQ(link.sender.out(larger), Verdict::kOutTooBig);
    EXPECT_EQ(link.sender.sad->status(link.out)->highest_sequence, 1u);
}

TEST_P(EveryAlgorithm, works_on_every_instruction_set) {
    const Bytes packet = test::udp({.payload = 333});
    std::string first;
    for (const CpuArchitecture architecture : {CpuArchitecture::kSse, CpuArchitecture::kAvx,
                                               CpuArchitecture::kAvx2, CpuArchitecture::kAvx512}) {
        ImmediateReclaimer probe;
        if (!SecurityAssociationDatabase::create({.architecture = architecture}, probe)) continue;
        Link link({.algorithm = GetParam()}, {.architecture = architecture});
        EXPECT_EQ(link.sender.sad->architecture(), architecture);
        Buffer buffer(link.seal(packet));
        ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk) << name(architecture);
        EXPECT_EQ(buffer.bytes(), packet);
    }
}

INSTANTIATE_TEST_SUITE_P(all, EveryAlgorithm, testing::ValuesIn([] {
                             std::vector<Algorithm> algorithms;
                             for (const AlgorithmInfo& a : all_algorithms())
                                 algorithms.push_back(a.algorithm);
                             return algorithms;
                         }()),
                         [](const auto& parameter) {
                             std::string text(homeport::ipsec::info(parameter.param).name);
                             for (char& c : text) c = c == '-' ? '_' : c;
                             return text;
                         });

TEST(Outbound, tunnel_header_copies_dscp_and_ecn) {
    Link link({});
    const Bytes sealed = link.seal(test::udp({.traffic_class = 0xb9}));
    const auto* header = reinterpret_cast<const Ipv6Header*>(sealed.data());
    EXPECT_EQ(header->traffic_class(), 0xb9);
    EXPECT_EQ(header->version_class_flow.host() & 0xfffff, 0u) << "flow labels are not copied";
    EXPECT_EQ(header->hop_limit, 64);
    EXPECT_EQ(header->source, std::get<Ipv6Address>(ip("2001:db8:1::1")));
    EXPECT_EQ(header->destination, std::get<Ipv6Address>(ip("2001:db8:1::100")));
}

SaParameters ipv4_tunnel(DontFragment rule) {
    SaParameters p =
        test::outbound_parameters({.tunnel_from = "192.0.2.1", .tunnel_to = "203.0.113.7"});
    p.dont_fragment = rule;
    p.copy_dscp = false;
    p.fixed_dscp = 46;
    p.hop_limit = 33;
    return p;
}

TEST(Outbound, ipv4_tunnel_header_follows_its_rules) {
    struct Case {
        DontFragment rule;
        bool inner_v4;
        bool inner_df;
        bool outer_df;
    };
    for (const Case& c : {Case{DontFragment::kCopy, true, true, true},
                          Case{DontFragment::kCopy, true, false, false},
                          Case{DontFragment::kCopy, false, false, true},
                          Case{DontFragment::kSet, true, false, true},
                          Case{DontFragment::kClear, true, true, false},
                          Case{DontFragment::kClear, false, false, false}}) {
        Host host;
        host.policies({test::protect_all()});
        host.add(ipv4_tunnel(c.rule));
        Buffer buffer(c.inner_v4 ? test::udp({.source = "198.51.100.200",
                                              .destination = "192.0.2.100",
                                              .traffic_class = 0x02,
                                              .dont_fragment = c.inner_df})
                                 : test::udp({.traffic_class = 0x02}));
        ASSERT_EQ(host.out(buffer), Verdict::kOutProtect);
        const auto* header = reinterpret_cast<const Ipv4Header*>(buffer.packet.data);
        EXPECT_EQ(header->dont_fragment(), c.outer_df);
        EXPECT_EQ(header->tos, 46 << 2 | 2);
        EXPECT_EQ(header->ttl, 33);
        EXPECT_EQ(header->protocol, 50);
        EXPECT_EQ(header->total_length.host(), buffer.packet.length);
        EXPECT_EQ(internet_checksum(ConstByteSpan(buffer.packet.data, 20)), 0);
        EXPECT_EQ(header->destination, std::get<Ipv4Address>(ip("203.0.113.7")));
    }
}

// VPN clients: what is protected and where the tunnel ends are two addresses, of each client its
// own (S2.89). None of them costs a profile.
TEST(Outbound, tunnels_of_one_kind_end_where_each_sa_says) {
    struct Kind {
        Algorithm algorithm;
        std::string from;
        std::string to;  // and a number
    };
    for (const Kind& kind : {Kind{Algorithm::kAes128Gcm16, "192.0.2.1", "203.0.113."},
                             Kind{Algorithm::kAes128CbcSha1_96, "192.0.2.1", "203.0.113."},
                             Kind{Algorithm::kChacha20Poly1305, "2001:db8:9::1", "2001:db8:a::"},
                             Kind{Algorithm::kAes256Gcm16, "2001:db8:9::1", "2001:db8:a::"}}) {
        Host sender;
        Host receiver;
        PolicyEntry entry = test::protect_all(1);
        entry.protect.populate_remote = true;
        sender.policies({entry});
        receiver.policies({test::protect_all(1)});
        const auto address = [&](unsigned i) { return ip("2001:db8:1::" + std::to_string(i)); };
        std::vector<SaHandle> outbound;
        for (unsigned i = 1; i <= 3; ++i) {
            const Pair pair{.algorithm = kind.algorithm, .spi = Spi{0x10000000 + i}};
            SaParameters out = outbound_parameters(pair);
            out.tunnel_local = ip(kind.from);
            out.tunnel_remote = ip(kind.to + std::to_string(i));
            out.policies = {{1, address(i)}};
            outbound.push_back(sender.add(out));
            SaParameters in = inbound_parameters(pair);
            in.tunnel_local = out.tunnel_remote;
            in.tunnel_remote = ip(kind.to + std::to_string(100 + i));
            in.selectors[0].remote = {AddressRange::of(ip("2001:db8:3::300"))};
            receiver.add(in);
            EXPECT_EQ(receiver.sad->status(*receiver.sad->inbound_handle(pair.spi))->tunnel_remote,
                      in.tunnel_remote);
        }
        for (unsigned i = 1; i <= 3; ++i) {
            EXPECT_EQ(sender.sad->find_outbound(1, address(i))->profile,
                      sender.sad->find_outbound(1, address(1))->profile);
            EXPECT_EQ(sender.sad->status(outbound[i - 1])->tunnel_remote,
                      ip(kind.to + std::to_string(i)));
            const Bytes inner = test::udp({.destination = "2001:db8:1::" + std::to_string(i)});
            for (int repeated = 0; repeated < 3; ++repeated) {
                Buffer packet(inner);
                ASSERT_EQ(sender.out(packet), Verdict::kOutProtect);
                const bool v4 = packet.packet.data[0] >> 4 == 4;
                const IpAddress destination =
                    AddressKey{v4 ? AddressKey::load_ipv4(packet.packet.data + 16)
                                  : AddressKey::load_ipv6(packet.packet.data + 24)}
                        .address(v4 ? Family::kIpv4 : Family::kIpv6);
                EXPECT_EQ(destination, ip(kind.to + std::to_string(i)));
                ASSERT_EQ(receiver.in(packet), Verdict::kInOk);
                EXPECT_EQ(packet.bytes(), inner);
            }
            Buffer again(inner);
            ASSERT_EQ(sender.out(again), Verdict::kOutProtect);
            Buffer replayed(again.bytes());
            ASSERT_EQ(receiver.in(again), Verdict::kInOk);
            EXPECT_EQ(receiver.in(replayed), Verdict::kInReplay);
        }
    }
}

TEST(Outbound, ipv4_identifications_differ_where_fragmentation_is_allowed) {
    Host host;
    host.policies({test::protect_all()});
    host.add(ipv4_tunnel(DontFragment::kClear));
    std::set<std::uint16_t> seen;
    for (int i = 0; i < 1000; ++i) {
        Buffer buffer(test::udp({}));
        ASSERT_EQ(host.out(buffer), Verdict::kOutProtect);
        seen.insert(load_be16(buffer.packet.data + 4));
    }
    EXPECT_EQ(seen.size(), 1000u);
}

TEST(Outbound, transport_mode_keeps_options_and_extension_headers_outside) {
    const Bytes udp_message =
        test::joined({{0x0f, 0xa1, 0x13, 0x88, 0, 12, 0, 0}, test::pattern(4, 1)});
    const Bytes hop = {43, 0, 1, 4, 0, 0, 0, 0};
    const Bytes routing = {60, 0, 253, 0, 0, 0, 0, 0};
    const Bytes options = {17, 0, 1, 4, 0, 0, 0, 0};
    const Bytes v6 = test::ipv6("2001:db8:3::300", "2001:db8:1::100", 0,
                                test::joined({hop, routing, options, udp_message}));
    const Bytes v4 = test::ipv4("198.51.100.200", "192.0.2.100", 17, udp_message, 0,
                                Bytes{0x94, 4, 0, 0, 1, 1, 1, 0});
    Link link({.mode = Mode::kTransport});
    const Bytes sealed6 = link.seal(v6);
    EXPECT_EQ(sealed6[6], 0);
    EXPECT_EQ(sealed6[40], 43);
    EXPECT_EQ(sealed6[48], 50) << "ESP behind the routing header, destination options inside";
    EXPECT_EQ(load_be32(sealed6.data() + 56), 0x10000001u);
    const Bytes sealed4 = link.seal(v4);
    EXPECT_EQ(sealed4[0], 0x47);
    EXPECT_EQ(sealed4[9], 50);
    EXPECT_EQ(load_be32(sealed4.data() + 28), 0x10000001u);
    EXPECT_EQ(internet_checksum(ConstByteSpan(sealed4).first(28)), 0);
    for (const auto& [sealed, plain] : {std::pair{sealed6, v6}, std::pair{sealed4, v4}}) {
        Buffer buffer(sealed);
        ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
        EXPECT_EQ(hex(buffer.bytes()), hex(plain));
    }
}

TEST(Outbound, sequence_numbers_start_at_1_and_are_the_gcm_iv) {
    Link link({});
    for (std::uint32_t i = 1; i <= 3; ++i) {
        const Bytes sealed = link.seal(test::udp({}));
        EXPECT_EQ(load_be32(sealed.data() + 44), i);
        EXPECT_EQ(load_be64(sealed.data() + 48), i);
    }
}

TEST(Outbound, a_restored_sa_goes_on_beyond_its_mark) {
    Link link({.first_sequence = 1'000'000});
    EXPECT_EQ(load_be32(link.seal(test::udp({})).data() + 44), 1'000'000u);
}

TEST(Outbound, sequence_numbers_never_wrap) {
    Host host;
    host.policies({test::protect_all()});
    const SaHandle handle = host.add(test::outbound_parameters({.first_sequence = 0xfffffffe}));
    const auto send = [&] {
        Buffer buffer(test::udp({}));
        return host.out(buffer);
    };
    EXPECT_EQ(send(), Verdict::kOutProtect);
    EXPECT_EQ(send(), Verdict::kOutProtect);
    EXPECT_EQ(send(), Verdict::kOutSeqOverflow);
    EXPECT_EQ(send(), Verdict::kOutSeqOverflow);
    const SaStatus status = *host.sad->status(handle);
    EXPECT_EQ(status.highest_sequence, 0xffffffffu);
    EXPECT_EQ(status.packets, 2u);
    EXPECT_EQ(status.errors.seq_overflow, 2u);

    Host extended;
    extended.policies({test::protect_all()});
    extended.add(test::outbound_parameters({.esn = true, .first_sequence = ~std::uint64_t{0}}));
    Buffer last(test::udp({}));
    EXPECT_EQ(extended.out(last), Verdict::kOutProtect);
    Buffer beyond(test::udp({}));
    EXPECT_EQ(extended.out(beyond), Verdict::kOutSeqOverflow);
}

TEST(Outbound, esn_crosses_2_32_without_a_gap) {
    for (const Algorithm algorithm :
         {Algorithm::kAes128Gcm16, Algorithm::kChacha20Poly1305, Algorithm::kAes128CbcSha256_128,
          Algorithm::kNullSha512_256}) {
        Link link({.algorithm = algorithm,
                   .esn = true,
                   .replay_window = 64,
                   .first_sequence = 0xffffffff - 20});
        std::vector<Bytes> sealed;
        for (int i = 0; i < 40; ++i) sealed.push_back(link.seal(test::udp({})));
        for (std::size_t i = 0; i < sealed.size(); i += 2) std::swap(sealed[i], sealed[i + 1]);
        for (const Bytes& packet : sealed) {
            Buffer buffer(packet);
            ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
        }
        for (const Bytes& packet : sealed) {
            Buffer buffer(packet);
            ASSERT_EQ(link.receiver.in(buffer), Verdict::kInReplay);
        }
        EXPECT_EQ(link.receiver.sad->status(link.in)->highest_sequence, 0xffffffffull - 20 + 39);
    }
}

TEST(Outbound, cbc_ivs_are_neither_counters_nor_repeated) {
    Link link({.algorithm = Algorithm::kAes128CbcSha1_96});
    Link other({.algorithm = Algorithm::kAes128CbcSha1_96});
    std::set<std::string> seen;
    unsigned ones = 0;
    Bytes previous(16);
    for (int i = 0; i < 500; ++i) {
        for (Link* l : {&link, &other}) {
            const Bytes sealed = l->seal(test::udp({}));
            const Bytes iv(sealed.begin() + 48, sealed.begin() + 64);
            for (std::size_t k = 0; k < 16; ++k) {
                ones += static_cast<unsigned>(
                    std::popcount(static_cast<std::uint8_t>(iv[k] ^ previous[k])));
            }
            previous = iv;
            seen.insert(hex(iv));
        }
    }
    EXPECT_EQ(seen.size(), 1000u);
    // Each IV differs from the one before it in about half of its bits.
    EXPECT_NEAR(ones / 1000.0, 64.0, 1.0);
}

TEST(Outbound, too_big_for_the_path_says_what_fits) {
    Link link({});
    ASSERT_TRUE(link.sender.sad->set_path_mtu(link.out, 1400));
    Buffer fits(test::udp({.payload = max_inner_length(Algorithm::kAes128Gcm16, 1400, 40) - 48}));
    EXPECT_EQ(link.sender.out(fits), Verdict::kOutProtect);
    EXPECT_LE(fits.packet.length, 1400u);
    const Bytes large =
        test::udp({.payload = max_inner_length(Algorithm::kAes128Gcm16, 1400, 40) - 47});
    Buffer exceeds(large);
    EXPECT_EQ(link.sender.out(exceeds), Verdict::kOutTooBig);
    EXPECT_EQ(exceeds.bytes(), large) << "untouched, for the ICMP error";
    EXPECT_EQ(link.sender.engine->mtu_for(exceeds.packet), 1326u);
    const SaStatus status = *link.sender.sad->status(link.out);
    EXPECT_EQ(status.errors.too_big, 1u);
    EXPECT_EQ(status.highest_sequence, 1u) << "no number is used up";
    ASSERT_TRUE(link.sender.sad->set_path_mtu(link.out, 0));
    EXPECT_EQ(link.sender.engine->mtu_for(exceeds.packet), 0u);
}

TEST(Outbound, transport_mode_tells_the_mtu_with_its_headers) {
    Link link({.mode = Mode::kTransport});
    ASSERT_TRUE(link.sender.sad->set_path_mtu(link.out, 1400));
    Buffer exceeds(test::udp({.payload = 1390}));
    ASSERT_EQ(link.sender.out(exceeds), Verdict::kOutTooBig);
    const std::uint32_t mtu = link.sender.engine->mtu_for(exceeds.packet);
    Buffer fits(test::udp({.payload = mtu - 48}));
    EXPECT_EQ(link.sender.out(fits), Verdict::kOutProtect);
    EXPECT_LE(fits.packet.length, 1400u);
}

TEST(Outbound, no_room_in_the_buffer_is_too_big) {
    Link link({});
    Buffer tight(test::udp({}), 30);
    EXPECT_EQ(link.sender.out(tight), Verdict::kOutTooBig);
    Buffer exact(test::udp({}), kMaxHeadroomNeeded);
    EXPECT_EQ(link.sender.out(exact), Verdict::kOutProtect);
}

TEST(Outbound, policy_decides) {
    Host host;
    PolicyEntry bypass;
    bypass.id = 1;
    bypass.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    bypass.action = Action::kBypass;
    PolicyEntry discard;
    discard.id = 2;
    discard.selectors.protocol = ProtocolSelector::of(IpProtocol::kMobility);
    PolicyEntry protect = test::protect_all(3);
    protect.selectors.protocol = ProtocolSelector::of(IpProtocol::kUdp);
    host.policies({bypass, discard, protect});
    const auto verdict = [&](const Bytes& packet) {
        Buffer buffer(packet);
        const Verdict result = host.out(buffer);
        EXPECT_EQ(buffer.bytes(), packet) << "unchanged";
        return result;
    };
    EXPECT_EQ(verdict(test::icmpv6("2001:db8::1", "2001:db8::2", 135)), Verdict::kOutBypass);
    EXPECT_EQ(verdict(test::mh("2001:db8::1", "2001:db8::2", 5)), Verdict::kOutDiscard);
    EXPECT_EQ(verdict(test::udp({})), Verdict::kOutNoSa);
    EXPECT_EQ(verdict(test::ipv6("2001:db8::1", "2001:db8::2", 6, Bytes(20))),
              Verdict::kOutDiscard);
    EXPECT_EQ(verdict({0x60, 1, 2}), Verdict::kOutDiscard);
    EXPECT_EQ(verdict({}), Verdict::kOutDiscard);
    EXPECT_EQ(host.engine->count(Verdict::kOutDiscard), 4u);
    EXPECT_EQ(host.engine->count(Verdict::kOutBypass), 1u);
    EXPECT_EQ(host.engine->count(Verdict::kOutNoSa), 1u);
}

TEST(Outbound, transport_mode_takes_no_fragments_and_tunnel_mode_does) {
    const Bytes fragment = test::ipv6("2001:db8:3::300", "2001:db8:1::100", 44,
                                      test::joined({{17, 0, 0, 1, 0, 0, 0, 9}, Bytes(16)}));
    Link transport({.mode = Mode::kTransport});
    Buffer refused(fragment);
    EXPECT_EQ(transport.sender.out(refused), Verdict::kOutDiscard);
    Link tunnel({});
    Buffer taken(tunnel.seal(fragment));
    ASSERT_EQ(tunnel.receiver.in(taken), Verdict::kInOk);
    EXPECT_EQ(taken.bytes(), fragment);
}

TEST(Outbound, octets_behind_the_ip_packet_are_cut_off) {
    Link link({});
    const Bytes packet = test::udp({.payload = 1});
    Buffer buffer(link.seal(test::joined({packet, Bytes(6)})));
    ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
    EXPECT_EQ(buffer.bytes(), packet);
    PolicyEntry bypass;
    bypass.action = Action::kBypass;
    link.sender.policies({bypass});
    Buffer passed(test::joined({packet, Bytes(6)}));
    ASSERT_EQ(link.sender.out(passed), Verdict::kOutBypass);
    EXPECT_EQ(passed.bytes(), packet);
}

TEST(Outbound, S1_14_changing_the_newest_sa_needs_no_other_change) {
    Link link({});
    (void)link.seal(test::udp({}));
    SaParameters p = test::outbound_parameters({.spi = Spi{0x10000002}});
    const SaHandle second = link.sender.add(p);
    EXPECT_EQ(load_be32(link.seal(test::udp({})).data() + 40), 0x10000002u);
    link.sender.sad->remove(second);
    const Bytes back = link.seal(test::udp({}));
    EXPECT_EQ(load_be32(back.data() + 40), 0x10000001u);
    EXPECT_EQ(load_be32(back.data() + 44), 2u);
}

/// Two nodes, payload of each under an SA of its own, and messages of the first under another.
class Flows : public testing::Test {
  protected:
    static constexpr std::uint32_t kFlow = 7;

    Flows() {
        PolicyEntry message = test::protect_all(1, Mode::kTransport);
        message.selectors.protocol = ProtocolSelector::of(IpProtocol::kMobility);
        PolicyEntry payload = test::protect_all(2);
        message.protect.populate_remote = payload.protect.populate_remote = true;
        host.policies({message, payload});
        (void)add(0x101, 1, Mode::kTransport, kFirst);
        first = add(0x102, 2, Mode::kTunnel, kFirst);
        (void)add(0x202, 2, Mode::kTunnel, kSecond);
    }
    SaHandle add(std::uint32_t spi, PolicyId policy, Mode mode, const char* node) {
        SaParameters p = test::outbound_parameters({.mode = mode, .spi = Spi{spi}});
        p.policies = {{policy, ip(node)}};
        return host.add(p);
    }
    /// The SPI that a packet is sealed with; 0: it is not.
    std::uint32_t spi_of(const Bytes& packet, std::uint32_t flow) {
        Buffer buffer(packet);
        buffer.packet.flow = flow;
        if (host.out(buffer) != Verdict::kOutProtect) return 0;
        return load_be32(buffer.packet.data + 40);
    }
    std::uint32_t payload(const char* node, std::uint32_t flow = kFlow) {
        return spi_of(test::udp({.destination = node}), flow);
    }
    std::uint32_t message(const char* node, std::uint32_t flow = kFlow) {
        return spi_of(test::mh("2001:db8::1", node, 6), flow);
    }
    /// Until flows are remembered again.
    void calm() {
        for (unsigned i = 0; i < 2 * RecentAssociations::kCalmBursts; ++i) {
            ASSERT_EQ(payload(kSecond, kFlow + 1), 0x202u);
        }
    }

    static constexpr const char* kFirst = "2001:db8:1::100";
    static constexpr const char* kSecond = "2001:db8:1::200";
    Host host;
    SaHandle first;
};

TEST_F(Flows, of_several_nodes_and_policies_are_sealed_each_by_its_own) {
    calm();
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(payload(kFirst), 0x102u);
        EXPECT_EQ(payload(kSecond), 0x202u);
        EXPECT_EQ(message(kFirst), 0x101u);
        EXPECT_EQ(message(kSecond), 0u);
        EXPECT_EQ(payload("2001:db8:1::300"), 0u);
    }
}

TEST_F(Flows, S1_14_are_sealed_by_the_newest_sa_as_soon_as_it_is_there) {
    calm();
    ASSERT_EQ(payload(kFirst), 0x102u);
    const SaHandle newest = add(0x302, 2, Mode::kTunnel, kFirst);
    EXPECT_EQ(payload(kFirst), 0x302u);
    calm();
    EXPECT_EQ(payload(kFirst), 0x302u);
    EXPECT_EQ(payload(kFirst), 0x302u);
    host.sad->remove(newest);
    EXPECT_EQ(payload(kFirst), 0x102u);
    calm();
    EXPECT_EQ(payload(kFirst), 0x102u);
}

TEST_F(Flows, are_not_sealed_by_an_sa_that_is_gone) {
    calm();
    ASSERT_EQ(payload(kFirst), 0x102u);
    ASSERT_EQ(payload(kFirst), 0x102u);
    host.sad->remove(first);
    EXPECT_EQ(payload(kFirst), 0u);
    calm();
    EXPECT_EQ(payload(kFirst), 0u);
    // In the memory of the one that went.
    (void)add(0x402, 2, Mode::kTunnel, "2001:db8:1::400");
    calm();
    EXPECT_EQ(payload(kFirst), 0u);
    EXPECT_EQ(payload("2001:db8:1::400"), 0x402u);
}

TEST_F(Flows, without_a_place_are_sealed_all_the_same) {
    calm();
    for (const std::uint32_t flow :
         {RecentAssociations::kFlows - 1, RecentAssociations::kFlows, Packet::kNoFlow}) {
        EXPECT_EQ(payload(kFirst, flow), 0x102u);
        EXPECT_EQ(payload(kFirst, flow), 0x102u);
    }
}

TEST(Outbound, lifetimes_end_an_sa_and_are_told_once) {
    Host host;
    host.policies({test::protect_all()});
    SaParameters p = test::outbound_parameters({});
    p.lifetime.soft_packets = 2;
    p.lifetime.hard_bytes = 4 * test::udp({}).size();
    const SaHandle handle = host.add(p);
    std::vector<Verdict> verdicts;
    std::vector<LifetimeEvent> events;
    for (int i = 0; i < 6; ++i) {
        Buffer buffer(test::udp({}));
        verdicts.push_back(host.out(buffer));
        LifetimeEvent event;
        while (host.engine->next_event(event)) events.push_back(event);
    }
    EXPECT_EQ(std::count(verdicts.begin(), verdicts.end(), Verdict::kOutProtect), 4);
    EXPECT_EQ(std::count(verdicts.begin(), verdicts.end(), Verdict::kOutNoSa), 2);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_FALSE(events[0].hard);
    EXPECT_TRUE(events[1].hard);
    EXPECT_EQ(events[1].handle, handle);
    EXPECT_EQ(events[1].spi, p.spi);
    EXPECT_TRUE(host.sad->status(handle)->hard_expired);
}

TEST(Outbound, a_used_up_sequence_is_told_once_and_before_its_end) {
    Host host;
    host.policies({test::protect_all()});
    SaParameters p = test::outbound_parameters({});
    p.first_sequence = 0xefff'ffff;
    const SaHandle handle = host.add(p);
    EXPECT_FALSE(host.sad->look_at_age(handle, 0));
    Buffer first(test::udp({}));
    ASSERT_EQ(host.out(first), Verdict::kOutProtect);
    Buffer second(test::udp({}));
    ASSERT_EQ(host.out(second), Verdict::kOutProtect);
    const auto soft = host.sad->look_at_age(handle, 0);
    ASSERT_TRUE(soft);
    EXPECT_FALSE(soft->hard);
    EXPECT_EQ(soft->reason, LifetimeReason::kSequence);
    EXPECT_FALSE(host.sad->look_at_age(handle, 0)) << "told once";
    host.sad->remove(handle);

    p.first_sequence = 0xffff'ffff;
    host.add(p);
    Buffer last(test::udp({}));
    ASSERT_EQ(host.out(last), Verdict::kOutProtect);
    std::vector<LifetimeEvent> events;
    for (int i = 0; i < 3; ++i) {
        Buffer none(test::udp({}));
        EXPECT_EQ(host.out(none), Verdict::kOutSeqOverflow);
        LifetimeEvent event;
        while (host.engine->next_event(event)) events.push_back(event);
    }
    ASSERT_EQ(events.size(), 1u);
    EXPECT_TRUE(events[0].hard);
    EXPECT_EQ(events[0].reason, LifetimeReason::kSequence);
}

TEST(Outbound, seconds_end_an_sa_and_are_told_once) {
    Host host;
    host.policies({test::protect_all()});
    SaParameters p = test::outbound_parameters({});
    p.lifetime.soft_seconds = 60;
    p.lifetime.hard_seconds = 100;
    p.born = 1000;
    const SaHandle handle = host.add(p);
    const auto out = [&] {
        Buffer buffer(test::udp({}));
        return host.out(buffer);
    };
    EXPECT_FALSE(host.sad->look_at_age(handle, 1059));
    EXPECT_EQ(host.sad->lifetime_left(handle, 1059).seconds, 41u);
    const auto soft = host.sad->look_at_age(handle, 1060);
    ASSERT_TRUE(soft);
    EXPECT_FALSE(soft->hard);
    EXPECT_EQ(soft->reason, LifetimeReason::kSeconds);
    EXPECT_FALSE(host.sad->look_at_age(handle, 1099));
    EXPECT_EQ(out(), Verdict::kOutProtect);
    const auto hard = host.sad->look_at_age(handle, 1100);
    ASSERT_TRUE(hard);
    EXPECT_TRUE(hard->hard);
    EXPECT_FALSE(host.sad->look_at_age(handle, 1101));
    EXPECT_EQ(out(), Verdict::kOutNoSa);
    EXPECT_EQ(host.sad->lifetime_left(handle, 1101).seconds, 0u);
    EXPECT_EQ(host.sad->lifetime_left(handle, 1101).bytes, LifetimeLeft::kNoLimit);
    EXPECT_TRUE(host.sad->status(handle)->hard_expired);
}

TEST(Outbound, owner_of_an_sa_is_told) {
    Host host;
    host.policies({test::protect_all()});
    SaParameters p = test::outbound_parameters({});
    p.owner = 3;
    host.add(p);
    Buffer buffer(test::udp({}));
    EXPECT_EQ(host.engine->outbound_owner(buffer.packet), 3);
    ASSERT_EQ(host.out(buffer), Verdict::kOutProtect);
    SaParameters in = test::inbound_parameters({});
    in.owner = 5;
    host.add(in);
    EXPECT_EQ(host.engine->inbound_owner(buffer.packet), 5);
    buffer.packet.data[43] ^= 1;
    EXPECT_EQ(host.engine->inbound_owner(buffer.packet), std::nullopt);
}

TEST(Outbound, an_engine_of_another_worker_leaves_packet_and_sequence_number_alone) {
    Host host;
    host.policies({test::protect_all()});
    SaParameters p = test::outbound_parameters({});
    p.owner = 3;
    const SaHandle handle = host.add(p);
    const auto seal_by = [&](std::uint8_t worker, Buffer& buffer) {
        auto engine = std::move(*EspEngine::create(host.spd, *host.sad, worker));
        Packet* packet = &buffer.packet;
        Verdict verdict{};
        engine->outbound({&packet, 1}, {&verdict, 1});
        const std::uint64_t hits =
            engine->hits(Direction::kOutbound, test::protect_all().id).packets;
        EXPECT_EQ(hits, verdict == Verdict::kOutProtect ? 1u : 0u) << "counted by who seals";
        return verdict;
    };
    const auto bytes = test::udp({});
    Buffer buffer(bytes);
    EXPECT_EQ(seal_by(2, buffer), Verdict::kOutElsewhere);
    ASSERT_EQ(buffer.packet.length, bytes.size());
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), buffer.packet.data));
    EXPECT_EQ(host.sad->status(handle)->highest_sequence, 0u);
    EXPECT_EQ(seal_by(3, buffer), Verdict::kOutProtect);
    EXPECT_EQ(host.sad->status(handle)->highest_sequence, 1u);
}

}  // namespace
}  // namespace homeport::ipsec
