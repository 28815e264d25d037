// SPDX-License-Identifier: BSD-3-Clause
// The two implementations of RFC 4301 against each other: what one seals the other opens, and both
// say the same about what is wrong (S1.1, S1.8).
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/ipsec-trivial/ipsec.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::trivial {
namespace {

using ipsec::Algorithm;
using ipsec::Direction;
using ipsec::Mode;
using ipsec::Verdict;
using ipsec::test::Buffer;
using ipsec::test::Host;
using ipsec::test::ip;
using ipsec::test::pattern;

/// The same SA for this implementation.
Association association(const ipsec::SaParameters& p) {
    Association a;
    a.direction = p.direction;
    a.spi = p.spi.value;
    a.algorithm = ipsec::info(p.algorithm).name;
    a.key.assign(p.encryption_key.view().begin(), p.encryption_key.view().end());
    a.mac_key.assign(p.integrity_key.view().begin(), p.integrity_key.view().end());
    a.tunnel = p.mode == Mode::kTunnel;
    a.tunnel_local = p.tunnel_local;
    a.tunnel_remote = p.tunnel_remote;
    a.extended_sequence = p.esn;
    a.window = p.replay_window;
    a.first_sequence = p.first_sequence;
    for (const ipsec::PolicyUse& use : p.policies) a.uses.push_back({use.policy, use.remote});
    a.selectors = p.selectors;
    a.path_mtu = p.path_mtu;
    return a;
}
Policy policy(const ipsec::PolicyEntry& entry) {
    return {entry.id, entry.selectors, entry.action, entry.protect.populate_remote};
}

/// A host with both implementations, which are given the same.
struct Both {
    void add(const ipsec::SaParameters& p) {
        ours.add(p);
        EXPECT_TRUE(trivial.add(association(p)));
    }
    void policies(const std::vector<ipsec::PolicyEntry>& entries) {
        ours.policies(entries);
        std::vector<Policy> list;
        for (const ipsec::PolicyEntry& entry : entries) list.push_back(policy(entry));
        trivial.replace_policies(std::move(list));
    }

    Host ours;
    Ipsec trivial;
};

Verdict out(ipsec::Processor& processor, Buffer& buffer) {
    ipsec::Packet* packet = &buffer.packet;
    Verdict verdict{};
    processor.outbound({&packet, 1}, {&verdict, 1});
    return verdict;
}
Verdict in(ipsec::Processor& processor, Buffer& buffer) {
    ipsec::Packet* packet = &buffer.packet;
    Verdict verdict{};
    processor.inbound({&packet, 1}, {&verdict, 1});
    return verdict;
}

/// Opens a copy of `wire` with both; they must agree.
void expect_both(Both& host, const Bytes& wire, Verdict verdict, const Bytes& plain = {}) {
    Buffer first(wire);
    Buffer second(wire);
    EXPECT_EQ(ipsec::counter_name(in(*host.ours.engine, first)), ipsec::counter_name(verdict));
    EXPECT_EQ(ipsec::counter_name(in(host.trivial, second)), ipsec::counter_name(verdict));
    if (!ipsec::passes(verdict)) return;
    EXPECT_EQ(first.bytes(), plain);
    EXPECT_EQ(second.bytes(), plain);
}

// ------------------------------------------------------------------------------- each algorithm

class Cross : public testing::TestWithParam<std::tuple<Algorithm, Mode, bool>> {
  protected:
    [[nodiscard]] static ipsec::test::Pair pair() {
        const auto [algorithm, mode, esn] = GetParam();
        ipsec::test::Pair pair;
        pair.algorithm = algorithm;
        pair.mode = mode;
        pair.esn = esn;
        if (esn) pair.first_sequence = 0xffff'fff0u;  // the high half changes on the way
        return pair;
    }
};

TEST_P(Cross, S1_1_what_one_seals_the_other_opens) {
    const ipsec::test::Pair sa = pair();
    Both sender;
    Both receiver;
    sender.policies({ipsec::test::protect_all(1, sa.mode)});
    receiver.policies({ipsec::test::protect_all(1, sa.mode)});
    // Two SAs with keys of their own, one in each direction between the implementations.
    ipsec::test::Pair back = sa;
    back.spi = ipsec::Spi{0x10000002};
    sender.ours.add(ipsec::test::outbound_parameters(sa));
    ASSERT_TRUE(receiver.trivial.add(association(ipsec::test::inbound_parameters(sa))));
    ASSERT_TRUE(sender.trivial.add(association(ipsec::test::outbound_parameters(back))));
    receiver.ours.add(ipsec::test::inbound_parameters(back));

    for (std::size_t payload = 0; payload < 40; ++payload) {
        for (const bool ipv4 : {false, true}) {
            ipsec::test::Udp udp{.payload = payload, .traffic_class = 0xb8};
            if (ipv4) udp.source = "198.51.100.7";
            if (ipv4) udp.destination = "192.0.2.100";
            const Bytes plain = ipsec::test::udp(udp);
            Buffer one(plain);
            ASSERT_EQ(out(*sender.ours.engine, one), Verdict::kOutProtect);
            ASSERT_EQ(in(receiver.trivial, one), Verdict::kInOk) << payload;
            EXPECT_EQ(one.bytes(), plain);
            Buffer two(plain);
            ASSERT_EQ(out(sender.trivial, two), Verdict::kOutProtect);
            ASSERT_EQ(in(*receiver.ours.engine, two), Verdict::kInOk) << payload;
            EXPECT_EQ(two.bytes(), plain);
        }
    }
}

TEST_P(Cross, S1_1_the_same_packet_where_nothing_is_random) {
    const ipsec::test::Pair sa = pair();
    Both host;
    host.policies({ipsec::test::protect_all(1, sa.mode)});
    host.add(ipsec::test::outbound_parameters(sa));
    const bool random = ipsec::info(sa.algorithm).cipher == ipsec::Cipher::kAesCbc;
    for (std::size_t payload = 0; payload < 40; ++payload) {
        const Bytes plain = ipsec::test::udp({.payload = payload});
        Buffer one(plain);
        Buffer two(plain);
        ASSERT_EQ(out(*host.ours.engine, one), Verdict::kOutProtect);
        ASSERT_EQ(out(host.trivial, two), Verdict::kOutProtect);
        ASSERT_EQ(one.packet.length, two.packet.length);
        if (!random) {
            EXPECT_EQ(one.bytes(), two.bytes()) << payload;
        }
    }
}

TEST_P(Cross, both_refuse_every_changed_octet_and_every_cut) {
    const ipsec::test::Pair sa = pair();
    Both host;
    host.policies({ipsec::test::protect_all(1, sa.mode)});
    host.add(ipsec::test::outbound_parameters(sa));
    ipsec::test::Pair inbound = sa;
    inbound.replay_window = sa.esn ? 1024 : 0;
    host.add(ipsec::test::inbound_parameters(inbound));
    Buffer sealed(ipsec::test::udp({.payload = 17}));
    ASSERT_EQ(out(*host.ours.engine, sealed), Verdict::kOutProtect);
    const Bytes wire = sealed.bytes();
    for (std::size_t at = 40; at < wire.size(); ++at) {
        Bytes bad = wire;
        bad[at] ^= 0x40;
        Buffer first(bad);
        Buffer second(bad);
        const Verdict verdict = in(*host.ours.engine, first);
        EXPECT_FALSE(ipsec::passes(verdict)) << at;
        EXPECT_EQ(ipsec::counter_name(in(host.trivial, second)), ipsec::counter_name(verdict))
            << at;
    }
    for (std::size_t length = 40; length < wire.size(); ++length) {
        Bytes cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(length));
        store_be16(cut.data() + 4, static_cast<std::uint16_t>(length - 40));
        Buffer first(cut);
        Buffer second(cut);
        const Verdict verdict = in(*host.ours.engine, first);
        EXPECT_FALSE(ipsec::passes(verdict)) << length;
        EXPECT_EQ(ipsec::counter_name(in(host.trivial, second)), ipsec::counter_name(verdict))
            << length;
    }
}

std::vector<Algorithm> every_algorithm() {
    std::vector<Algorithm> all;
    for (const auto& algorithm : ipsec::all_algorithms()) all.push_back(algorithm.algorithm);
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, Cross,
                         testing::Combine(testing::ValuesIn(every_algorithm()),
                                          testing::Values(Mode::kTransport, Mode::kTunnel),
                                          testing::Bool()),
                         [](const auto& instance) {
                             std::string name(ipsec::info(std::get<0>(instance.param)).name);
                             std::ranges::replace(name, '-', '_');
                             name += std::get<1>(instance.param) == Mode::kTunnel ? "_tunnel"
                                                                                  : "_transport";
                             return name + (std::get<2>(instance.param) ? "_esn" : "");
                         });

// ----------------------------------------------------------------------------------- databases

ipsec::PolicyEntry entry(ipsec::PolicyId id, ipsec::Action action) {
    ipsec::PolicyEntry e;
    e.id = id;
    e.name = "entry";
    e.action = action;
    return e;
}

TEST(Trivial, RFC4301_5_1_first_match_decides_as_it_does_in_ours) {
    Both host;
    auto discard = entry(1, ipsec::Action::kDiscard);
    discard.selectors.protocol = ipsec::ProtocolSelector::of(IpProtocol::kUdp);
    discard.selectors.remote_value = ipsec::ValueSelector::of(53);
    auto bypass = entry(2, ipsec::Action::kBypass);
    bypass.selectors.protocol = ipsec::ProtocolSelector::of(IpProtocol::kUdp);
    auto sends_5 = entry(3, ipsec::Action::kBypass);
    sends_5.selectors.protocol = ipsec::ProtocolSelector::of(IpProtocol::kMobility);
    sends_5.selectors.local_value = ipsec::ValueSelector::of(5);
    sends_5.selectors.remote_value = ipsec::ValueSelector::opaque();
    auto echo = entry(4, ipsec::Action::kProtect);
    echo.selectors.protocol = ipsec::ProtocolSelector::of(IpProtocol::kIcmpv6);
    echo.selectors.local_value = ipsec::ValueSelector::icmp_type(128);
    echo.selectors.remote_value = ipsec::ValueSelector::icmp_type(129);
    host.policies({discard, bypass, sends_5, echo});
    const std::string a = "2001:db8:3::300";
    const std::string b = "2001:db8:1::100";
    const std::vector<std::tuple<Bytes, Verdict, Verdict>> cases{
        {ipsec::test::udp({.destination_port = 53}), Verdict::kOutDiscard, Verdict::kInBypass},
        {ipsec::test::udp({.source_port = 53}), Verdict::kOutBypass, Verdict::kInDiscard},
        {ipsec::test::mh(a, b, 5), Verdict::kOutBypass, Verdict::kInDiscard},
        {ipsec::test::mh(a, b, 6), Verdict::kOutDiscard, Verdict::kInDiscard},
        {ipsec::test::icmpv6(a, b, 128), Verdict::kOutNoSa, Verdict::kInDiscard},
        {ipsec::test::icmpv6(a, b, 129, 3), Verdict::kOutDiscard, Verdict::kInPolicy},
        {ipsec::test::ipv6(a, b, 47, pattern(20, 1)), Verdict::kOutDiscard, Verdict::kInDiscard},
        {pattern(60, 0x50), Verdict::kOutDiscard, Verdict::kInMalformed},
        {Bytes(3, 0x60), Verdict::kOutDiscard, Verdict::kInMalformed},
    };
    for (const auto& [packet, outbound, inbound] : cases) {
        for (ipsec::Processor* processor : {static_cast<ipsec::Processor*>(host.ours.engine.get()),
                                            static_cast<ipsec::Processor*>(&host.trivial)}) {
            Buffer one(packet);
            EXPECT_EQ(ipsec::counter_name(out(*processor, one)), ipsec::counter_name(outbound));
            Buffer two(packet);
            EXPECT_EQ(ipsec::counter_name(in(*processor, two)), ipsec::counter_name(inbound));
            EXPECT_EQ(ipsec::counter_name(processor->inbound_policy_check(Buffer(packet).packet)),
                      ipsec::counter_name(inbound));
        }
    }
}

TEST(Trivial, RFC4303_3_4_both_refuse_the_same) {
    Both host;
    host.policies({ipsec::test::protect_all(1, Mode::kTunnel)});
    const ipsec::test::Pair pair;
    auto inbound = ipsec::test::inbound_parameters(pair);
    inbound.selectors[0].remote = {ipsec::AddressRange::of(ip("2001:db8:3::300"))};
    host.add(inbound);
    const ipsec::SaParameters outbound = ipsec::test::outbound_parameters(pair);
    const Association a = association(outbound);
    const auto transform = *transform_named(a.algorithm);
    const Keys keys{transform,
                    Bytes(a.key.begin(), a.key.begin() + 16),
                    Bytes(a.key.begin() + 16, a.key.end()),
                    {},
                    false};
    std::uint64_t sequence = 0;
    const auto sealed = [&](const Bytes& inner, std::uint8_t next_header) {
        return ipsec::test::ipv6("2001:db8:1::1", "2001:db8:1::100", 50,
                                 seal(keys, a.spi, ++sequence, inner, next_header));
    };
    const Bytes good = ipsec::test::udp({});
    expect_both(host, sealed(good, 41), Verdict::kInOk, good);
    Bytes padded = good;
    padded.resize(padded.size() + 100);
    expect_both(host, sealed(padded, 41), Verdict::kInOk, good);  // RFC 4303 section 2.7
    expect_both(host, sealed(pattern(50, 3), 59), Verdict::kInDummy);
    expect_both(host, sealed(good, 4), Verdict::kInMalformed);
    expect_both(host, sealed(good, 17), Verdict::kInMalformed);
    expect_both(host, sealed(Bytes(good.begin(), good.end() - 1), 41), Verdict::kInMalformed);
    expect_both(host, sealed(ipsec::test::udp({.source = "2001:db8:3::301"}), 41),
                Verdict::kInSelectorMismatch);
    const Bytes wire = sealed(good, 41);
    expect_both(host, wire, Verdict::kInOk, good);
    expect_both(host, wire, Verdict::kInReplay);
    Bytes unknown = sealed(good, 41);
    unknown[43] ^= 1;
    expect_both(host, unknown, Verdict::kInNoSa);
    expect_both(host, good, Verdict::kInPolicy);
    Bytes fragment = sealed(good, 41);
    const Bytes header{50, 0, 0, 1, 0, 0, 0, 9};
    fragment.insert(fragment.begin() + 40, header.begin(), header.end());
    fragment[6] = 44;
    store_be16(fragment.data() + 4, static_cast<std::uint16_t>(fragment.size() - 40));
    expect_both(host, fragment, Verdict::kInFragment);
}

TEST(Trivial, RFC4303_3_4_3_both_windows_end_at_the_same_number) {
    for (const bool esn : {false, true}) {
        for (const auto window : std::initializer_list<std::uint16_t>{64, 100, 4096}) {
            ipsec::test::Pair pair;
            pair.esn = esn;
            pair.replay_window = window;
            pair.first_sequence = 0xffff'f000u;
            Both receiver;
            receiver.policies({ipsec::test::protect_all(1, Mode::kTunnel)});
            receiver.add(ipsec::test::inbound_parameters(pair));
            const Association a = association(ipsec::test::outbound_parameters(pair));
            const Keys keys{*transform_named(a.algorithm),
                            Bytes(a.key.begin(), a.key.begin() + 16),
                            Bytes(a.key.begin() + 16, a.key.end()),
                            {},
                            esn};
            const Bytes plain = ipsec::test::udp({});
            std::uint64_t top = pair.first_sequence + 5000;
            if (!esn) top = 0xffff'fff0u;
            const auto try_number = [&](std::uint64_t number, Verdict verdict) {
                SCOPED_TRACE(std::to_string(number) + " window " + std::to_string(window));
                expect_both(receiver,
                            ipsec::test::ipv6("2001:db8:1::1", "2001:db8:1::100", 50,
                                              seal(keys, a.spi, number, plain, 41)),
                            verdict, plain);
            };
            try_number(pair.first_sequence, Verdict::kInOk);
            try_number(top, Verdict::kInOk);
            try_number(top, Verdict::kInReplay);
            const std::uint64_t lowest = std::max(top - window + 1, pair.first_sequence + 1);
            try_number(lowest, Verdict::kInOk);
            try_number(lowest, Verdict::kInReplay);
            // With ESN a number left of the window reads as one of the next 2^32: its ICV is wrong.
            if (top - window >= pair.first_sequence) {
                try_number(top - window, esn ? Verdict::kInIcv : Verdict::kInReplay);
            }
            try_number(top + 1, Verdict::kInOk);
        }
    }
}

TEST(Trivial, sequence_numbers_end_in_both) {
    for (const bool esn : {false, true}) {
        ipsec::test::Pair pair;
        pair.esn = esn;
        pair.first_sequence = 0xffff'ffffu;
        Both host;
        host.policies({ipsec::test::protect_all(1, Mode::kTunnel)});
        host.add(ipsec::test::outbound_parameters(pair));
        for (const Verdict expected :
             {Verdict::kOutProtect, esn ? Verdict::kOutProtect : Verdict::kOutSeqOverflow}) {
            Buffer one(ipsec::test::udp({}));
            Buffer two(ipsec::test::udp({}));
            EXPECT_EQ(out(*host.ours.engine, one), expected);
            EXPECT_EQ(out(host.trivial, two), expected);
        }
    }
}

TEST(Trivial, RFC4301_8_both_say_what_fits) {
    for (const Mode mode : {Mode::kTransport, Mode::kTunnel}) {
        for (const auto& algorithm : ipsec::all_algorithms()) {
            ipsec::test::Pair pair;
            pair.mode = mode;
            pair.algorithm = algorithm.algorithm;
            auto parameters = ipsec::test::outbound_parameters(pair);
            parameters.path_mtu = 1280;
            Both host;
            host.policies({ipsec::test::protect_all(1, mode)});
            host.add(parameters);
            Buffer large(ipsec::test::udp({.payload = 1300}));
            const std::uint32_t mtu = host.ours.engine->mtu_for(large.packet);
            EXPECT_GT(mtu, 1100u);
            EXPECT_EQ(host.trivial.mtu_for(large.packet), mtu) << algorithm.name;
            for (const std::uint32_t length : {mtu, mtu + 1}) {
                const Bytes packet = ipsec::test::udp({.payload = length - 48});
                Buffer one(packet);
                Buffer two(packet);
                const Verdict verdict = length == mtu ? Verdict::kOutProtect : Verdict::kOutTooBig;
                EXPECT_EQ(out(*host.ours.engine, one), verdict) << algorithm.name;
                EXPECT_EQ(out(host.trivial, two), verdict) << algorithm.name;
            }
        }
    }
}

TEST(Trivial, RFC4301_5_1_2_tunnel_headers_and_congestion_are_the_same) {
    ipsec::test::Pair pair;
    pair.algorithm = Algorithm::kNullSha256_128;
    pair.tunnel_from = "203.0.113.1";
    pair.tunnel_to = "203.0.113.2";
    Both host;
    host.policies({ipsec::test::protect_all(1, Mode::kTunnel)});
    host.add(ipsec::test::outbound_parameters(pair));
    pair.replay_window = 0;
    host.add(ipsec::test::inbound_parameters(pair));
    for (unsigned ecn = 0; ecn < 4; ++ecn) {
        for (const bool ipv4 : {false, true}) {
            ipsec::test::Udp udp{.traffic_class = static_cast<std::uint8_t>(0xb8 | ecn),
                                 .dont_fragment = true};
            if (ipv4) udp.source = "198.51.100.7";
            if (ipv4) udp.destination = "192.0.2.100";
            const Bytes plain = ipsec::test::udp(udp);
            Buffer one(plain);
            Buffer two(plain);
            ASSERT_EQ(out(*host.ours.engine, one), Verdict::kOutProtect);
            ASSERT_EQ(out(host.trivial, two), Verdict::kOutProtect);
            EXPECT_EQ(one.bytes(), two.bytes());
            Bytes congested = one.bytes();
            congested[1] |= 3;
            Buffer first(congested);
            Buffer second(congested);
            ASSERT_EQ(in(*host.ours.engine, first), Verdict::kInOk);
            ASSERT_EQ(in(host.trivial, second), Verdict::kInOk);
            EXPECT_EQ(first.bytes(), second.bytes());
        }
    }
}

TEST(Trivial, S1_9_nothing_of_the_old_packet_is_left_in_its_buffer) {
    Ipsec trivial;
    trivial.replace_policies({policy(ipsec::test::protect_all(1, Mode::kTunnel))});
    ASSERT_TRUE(trivial.add(association(ipsec::test::outbound_parameters({}))));
    Buffer buffer(ipsec::test::udp({.payload = 200}), 256);
    const std::uint8_t* const before = buffer.packet.data;
    std::fill_n(buffer.packet.data - 256, 256, std::uint8_t{0x77});
    ASSERT_EQ(out(trivial, buffer), Verdict::kOutProtect);
    EXPECT_NE(buffer.packet.data + 74, before);
    for (std::uint32_t i = 1; i <= buffer.packet.headroom; ++i) {
        ASSERT_EQ(*(buffer.packet.data - i), 0xcc) << i;
    }
    for (std::uint32_t i = 0; i < buffer.packet.tailroom; ++i) {
        ASSERT_EQ(buffer.packet.data[buffer.packet.length + i], 0xcc) << i;
    }
}

// ------------------------------------------------------------------------------------- queries

TEST(Trivial, S1_44_S1_45_S1_62_both_answer_the_queries_alike) {
    Both host;
    const ipsec::DatabaseQueries ours(host.ours.spd, *host.ours.sad);
    const ipsec::Queries& trivial = host.trivial;
    auto update = entry(2, ipsec::Action::kProtect);
    update.selectors.protocol = ipsec::ProtocolSelector::of(IpProtocol::kMobility);
    update.selectors.local_value = ipsec::ValueSelector::of(6);
    update.selectors.remote_value = ipsec::ValueSelector::of(5);
    update.protect.populate_remote = true;
    host.policies({update});
    const IpAddress home = ip("2001:db8:1::100");
    ipsec::SelectorTuple tuple{ip("2001:db8:1::1"), home, 135, 6, 0};
    const auto expect_same = [&](std::size_t count) {
        const auto a = ours.spi_for_policy(2, home);
        const auto b = trivial.spi_for_policy(2, home);
        const auto c = trivial.spi_for_policy(tuple);
        ASSERT_EQ(a.count, count);
        ASSERT_EQ(b.count, count);
        ASSERT_EQ(c.count, count);
        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(a.answers[i].spi, b.answers[i].spi);
            EXPECT_EQ(a.answers[i].mode, b.answers[i].mode);
            EXPECT_EQ(a.answers[i].spi, c.answers[i].spi);
        }
    };
    expect_same(0);
    std::uint64_t generation = trivial.generation();
    for (std::uint32_t spi : {0x1000u, 0x1001u}) {
        auto p = ipsec::test::outbound_parameters(
            {.mode = Mode::kTransport, .spi = ipsec::Spi{spi}, .policy = 2});
        p.policies = {{2, home}};
        host.add(p);
        EXPECT_GT(trivial.generation(), generation);
        generation = trivial.generation();
    }
    expect_same(2);
    EXPECT_EQ(trivial.spi_for_policy(2, ip("2001:db8:1::101")).count, 0u);
    tuple.local_value = 5;
    EXPECT_EQ(trivial.spi_for_policy(tuple).count, 0u);

    auto p = ipsec::test::inbound_parameters(
        {.mode = Mode::kTransport, .spi = ipsec::Spi{0x2000}, .policy = 2});
    p.policies = {{2, home}};
    p.selectors = {update.selectors};
    p.selectors[0].remote = {ipsec::AddressRange::of(home)};
    host.add(p);
    const auto a = ours.selectors_for_spi(ipsec::Spi{0x2000});
    const auto b = trivial.selectors_for_spi(ipsec::Spi{0x2000});
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->remote_address(), home);
    EXPECT_EQ(b->remote_address(), home);
    EXPECT_EQ(a->policy, b->policy);
    EXPECT_EQ(a->mode, b->mode);
    EXPECT_EQ(a->protocol, b->protocol);
    for (std::uint16_t type = 0; type < 20; ++type) {
        EXPECT_EQ(a->may_receive(type), b->may_receive(type)) << type;
    }
    EXPECT_FALSE(trivial.selectors_for_spi(ipsec::Spi{0x2001}));
    EXPECT_TRUE(host.trivial.remove(Direction::kInbound, 0x2000, {2, home}));
    EXPECT_FALSE(trivial.selectors_for_spi(ipsec::Spi{0x2000}));
}

}  // namespace
}  // namespace homeport::trivial
