// SPDX-License-Identifier: BSD-3-Clause
// The express stage decides nothing in another way than the stages that it takes the place of: the
// same frames, ordinary and not, go through both, and all that comes of them is compared.
#include <algorithm>
#include <random>
#include <utility>

#include "dataplane/channel/records.hpp"
#include "dataplane/ipsec/policy_hits.hpp"
#include "tests/golden/forward/home_agent.hpp"
#include "tests/golden/ipsec_peer.hpp"

namespace homeport::golden {

namespace {

const Ipv6Address kOtherHome = v6("2001:db8:1::101");
const Ipv6Address kOtherCareOf = v6("2001:db8:2::201");
const Ipv6Address kInNetwork = v6("2001:db8:5::5");
const Ipv6Address kSecondHomeAgent = v6("2001:db8:1::2");
const Ipv6Address kOfThisHost = v6("2001:db8:1::3");  // and of no home agent

class ExpressTest : public ForwardTest {
  protected:
    void SetUp() override {
        start_home_agent();
        bind();
        channel::BindingSet other = binding(kOtherHome);
        other.care_of_address = channel::WireAddress(kOtherCareOf);
        other.counter_index = 2;
        other.flags |= channel::kBindingDscpPipe;
        apply(other);
        network("2001:db8:5::", 64);
        add_address(kHomeLink, "2001:db8:1::2", 64, true);
        add_address(kHomeLink, "2001:db8:1::3", 64, false);
        add_special_route("2001:db8:dead::", 48, channel::RouteType::kBlackhole);
        add_special_route("2001:db8:beef::", 48, channel::RouteType::kUnreachable);
        // Another protocol, another entry: TCP and UDP are bypassed whatever they are, of SCTP
        // some is refused.
        channel::PolicyRecord refused;
        refused.id = 1;
        refused.action = channel::PolicyAction::kDiscard;
        refused.selector.protocol = 132;
        refused.selector.remote_low = refused.selector.remote_high =
            channel::WireAddress(kOtherHome);
        channel::PolicyRecord udp;
        udp.id = 2;
        udp.action = channel::PolicyAction::kBypass;
        udp.selector.protocol = 17;
        channel::PolicyRecord others;
        others.id = 3;
        others.action = channel::PolicyAction::kBypass;
        const std::array policies{refused, udp, others};
        set_policies(policies);
    }

    template <class List>
    auto one_of(const List& list) {
        return *(std::begin(list) + random_() % std::size(list));
    }
    bool rarely() { return random_() % 12 == 0; }

    Ipv6Address address() {
        static const std::vector<Ipv6Address> kOrdinary{
            kHomeAddress, kOtherHome, kCareOfAddress, kOtherCareOf, kHomeAgent, kAtHome, kInNetwork,
            kCorrespondent, kOutsideAddress, v6("2001:db8:3::301"),
            // The lower half of the home agent's address, and of a care-of address.
            v6("2001:db8:3::1"), v6("2001:db8:3::201")};
        static const std::vector<Ipv6Address> kOdd{v6("::"),
                                                   v6("::1"),
                                                   v6("::ffff:192.0.2.1"),
                                                   v6("fe80::1"),
                                                   v6("fe80::9"),
                                                   v6("ff02::1"),
                                                   v6("ff0e::1"),
                                                   kSecondHomeAgent,
                                                   v6("2001:db8:dead::1"),
                                                   v6("fec0::1"),
                                                   v6("fd00::1"),
                                                   v6("2001:db8:beef::1"),
                                                   v6("2001:db8:1::fdff:ffff:ffff:fffe")};
        return rarely() ? one_of(kOdd) : one_of(kOrdinary);
    }
    std::uint8_t protocol() {
        static constexpr std::array<std::uint8_t, 6> kOrdinary{6, 17, 47, 59, 132, 17};
        // No fragments: what is done with one depends on those before it.
        static constexpr std::array<std::uint8_t, 11> kOdd{0,  1,  4,  41,  43, 50,
                                                           51, 58, 60, 135, 255};
        return rarely() ? one_of(kOdd) : one_of(kOrdinary);
    }
    Bytes packet(const Ipv6Address& source, const Ipv6Address& destination, std::uint8_t next,
                 const Bytes& payload) {
        Bytes bytes = ipv6(source, destination, next, payload);
        bytes[0] = static_cast<std::uint8_t>(0x60 | (random_() & 15));
        bytes[1] = static_cast<std::uint8_t>(random_());
        static constexpr std::array<std::uint8_t, 5> kHops{0, 1, 2, 64, 255};
        bytes[7] = rarely() ? one_of(kHops) : std::uint8_t{64};
        if (rarely()) bytes[0] = static_cast<std::uint8_t>(random_());
        if (rarely()) {
            const auto lie = static_cast<std::uint16_t>(payload.size() + random_() % 7 - 3);
            store_be16(bytes.data() + 4, lie);
        }
        return bytes;
    }
    Bytes payload() {
        static constexpr std::array<std::size_t, 6> kLengths{0, 7, 8, 40, 500, 1400};
        std::size_t length = one_of(kLengths);
        if (rarely()) length = 1200 + random_() % 300;
        Bytes bytes(length);
        for (std::uint8_t& octet : bytes) octet = static_cast<std::uint8_t>(random_());
        return bytes;
    }
    Ipv6Address own_address() {
        return rarely() ? kOfThisHost : random_() % 4 != 0 ? kHomeAgent : kSecondHomeAgent;
    }
    /// Of any kind, but mostly of those that the stage takes.
    Bytes any_packet() {
        switch (random_() % 5) {
            case 0:  // P2, P14: out of a tunnel
                return packet(random_() % 4 != 0 ? kCareOfAddress : address(),
                              random_() % 4 != 0 ? kHomeAgent : kSecondHomeAgent, 41,
                              packet(random_() % 4 != 0 ? kHomeAddress : address(), address(),
                                     protocol(), payload()));
            case 1:  // ESP for us, and runs of it
                return packet(address(), own_address(), 50, payload());
            case 2:  // P1
                return packet(address(), random_() % 2 != 0 ? kHomeAddress : kOtherHome, protocol(),
                              payload());
            default:
                return packet(address(), address(), protocol(), payload());
        }
    }
    Frame any_frame() {
        const auto port = static_cast<std::uint16_t>(random_() % 2);
        Bytes frame = to_port(port, any_packet());
        if (rarely()) frame[random_() % 6] ^= static_cast<std::uint8_t>(1 << random_() % 8);
        if (rarely()) frame[12 + random_() % 2] ^= static_cast<std::uint8_t>(random_());
        if (rarely()) frame.resize(random_() % (frame.size() + 1));
        if (rarely()) frame.resize(frame.size() + random_() % 20);  // padding of the link
        // Sometimes by the other port than the one that it is addressed to.
        return {rarely() ? static_cast<std::uint16_t>(1 - port) : port, frame};
    }

    /// An address that is on no home link.
    void bind_elsewhere(const Ipv6Address& address) {
        channel::BindingSet record = binding(address);
        record.home_port = channel::kNoPort;
        record.flags = 0;
        record.care_of_address = channel::WireAddress(kOtherCareOf);
        apply(record);
    }

    struct Outcome {
        Result result;
        std::vector<std::uint64_t> rows;  // of bindings, entries of the policy, and next hops
    };
    Outcome run(const std::vector<Frame>& frames, unsigned batch, bool express) {
        use_express(express);
        const std::vector<std::uint64_t> before = rows();
        Outcome outcome{feed(frames, batch), rows()};
        for (std::size_t i = 0; i < before.size(); ++i) outcome.rows[i] -= before[i];
        // Packets of different ways overtake each other.
        for (auto* lists : {&outcome.result.sent, &outcome.result.kernel}) {
            for (auto& list : *lists) {
                for (Bytes& frame : list) clear_identification(frame);
                std::ranges::sort(list);
            }
        }
        return outcome;
    }
    std::vector<std::uint64_t> rows() {
        std::vector<std::uint64_t> all;
        for (const std::size_t index : {std::size_t{0}, std::size_t{2}}) {
            const channel::BindingRow& row = worker().binding_rows[index];
            all.insert(all.end(), {row.in_packets, row.in_bytes, row.out_packets, row.out_bytes});
        }
        for (ipsec::PolicyId id = 1; id <= 3; ++id) {
            const auto hits = context().esp().hits(ipsec::Direction::kOutbound, id);
            all.insert(all.end(), {hits.packets, hits.octets});
        }
        for (std::size_t next_hop = 0; next_hop < 16; ++next_hop) {
            all.push_back(worker().adjacency_packets[next_hop]);
        }
        return all;
    }
    void expect_the_same(const std::vector<Frame>& frames, unsigned batch) {
        const Outcome with = run(frames, batch, true);
        expect_equal(with, run(frames, batch, false));
    }
    static void expect_equal(const Outcome& with, const Outcome& without) {
        ASSERT_EQ(with.result.counters, without.result.counters) << with.result.to_string() << "\n"
                                                                 << without.result.to_string();
        for (std::size_t port = 0; port < with.result.sent.size(); ++port) {
            expect_equal(with.result.sent[port], without.result.sent[port]);
            expect_equal(with.result.kernel[port], without.result.kernel[port]);
        }
        EXPECT_EQ(with.result.punted.size(), without.result.punted.size());
        EXPECT_EQ(with.rows, without.rows);
    }
    /// Of fragments of tunnel packets: no two are the same.
    static void clear_identification(Bytes& frame) {
        constexpr std::size_t kFragmentHeader = sizeof(EthernetHeader) + sizeof(Ipv6Header);
        if (frame.size() < kFragmentHeader + 8 || frame[sizeof(EthernetHeader) + 6] != 44) return;
        std::fill_n(frame.begin() + kFragmentHeader + 4, 4, std::uint8_t{0});
    }
    static void expect_equal(const std::vector<Bytes>& with, const std::vector<Bytes>& without) {
        ASSERT_EQ(with.size(), without.size());
        for (std::size_t i = 0; i < with.size(); ++i) {
            ASSERT_EQ(to_hex(with[i]), to_hex(without[i]));
        }
    }
    [[nodiscard]] std::uint64_t packets_of(stage::StageId id) {
        return statistics().worker(0).stages[static_cast<std::size_t>(id)].packets;
    }
    [[nodiscard]] std::uint64_t left_at_once() {
        return packets_of(stage::StageId::kExpress) - packets_of(stage::StageId::kParse);
    }

    std::mt19937 random_{20111};
};

/// What comes out of IPsec, and is sent from there where a kept route is known for it.
class OpenedTest : public ExpressTest {
  protected:
    void SetUp() override {
        ExpressTest::SetUp();
        add_route("2001:db8:6::/48", kOutside, "2001:db8:f::3");
        add_neighbour(kOutside, "2001:db8:f::3", 3);
        channel::PolicyRecord payload;
        payload.id = 1;
        payload.action = channel::PolicyAction::kProtect;
        payload.mode = channel::SaMode::kTunnel;
        payload.per_remote_address = 1;
        payload.selector.remote_low = channel::WireAddress(v6("2001:db8:1::"));
        payload.selector.remote_high = channel::WireAddress(v6("2001:db8:1::ffff:ffff:ffff:ffff"));
        channel::PolicyRecord others;
        others.id = 2;
        others.action = channel::PolicyAction::kBypass;
        set_policies(std::array{payload, others});
        channel::SaSet sa;
        sa.spi = kSpi;
        sa.direction = channel::SaDirection::kInbound;
        sa.mode = channel::SaMode::kTunnel;
        sa.policy_id = payload.id;
        sa.peer = sa.tunnel_remote = channel::WireAddress(kHomeAddress);
        sa.tunnel_local = channel::WireAddress(kHomeAgent);
        sa.selector = payload.selector;
        sa.replay_window = 0;  // frames come more than once
        channel::copy_text(sa.algorithm, "aes128-gcm16");
        sa.encryption_key_length = 20;
        for (std::uint8_t i = 0; i < 16; ++i) sa.encryption_key[i] = i;
        for (std::uint8_t i = 0; i < 4; ++i) {
            sa.encryption_key[16 + i] = static_cast<std::uint8_t>(kSalt + i);
        }
        apply(sa);
    }
    Ipv6Address correspondent() {
        static const std::vector<Ipv6Address> kBeyond{kCorrespondent, v6("2001:db8:3::301"),
                                                      v6("2001:db8:6::301"), v6("2001:db8:6::1")};
        return rarely() ? address() : one_of(kBeyond);
    }
    Frame sealed_frame() {
        const Ipv6Address source = random_() % 2 != 0 ? kHomeAddress
                                   : rarely()         ? address()
                                                      : kOtherHome;
        Bytes sealed = peer_.seal(packet(source, correspondent(), protocol(), payload()));
        if (sealed.empty()) return any_frame();  // no packet at all
        kCareOfAddress.store(sealed.data() + offsetof(Ipv6Header, source));
        return {kOutside, to_port(kOutside, sealed)};
    }

    static constexpr std::uint32_t kSpi = 0x10000003;
    static constexpr std::uint8_t kSalt = 0xd0;
    IpsecPeer peer_{kHomeAddress, kHomeAgent, {{ipsec::Direction::kOutbound, kSpi, kSalt}}};
};

}  // namespace

TEST_F(ExpressTest, any_frames_come_to_the_same) {
    for (unsigned round = 0; round < 120; ++round) {
        std::vector<Frame> frames;
        for (unsigned i = 0; i < 200; ++i) frames.push_back(any_frame());
        ASSERT_NO_FATAL_FAILURE(expect_the_same(frames, one_of(kBatchSizes))) << "round " << round;
        if (HasFailure()) return;
    }
    EXPECT_GT(left_at_once(), 4000u) << "the stage takes too little for this test to mean much";
}

TEST_F(OpenedTest, P4_comes_to_the_same_where_routes_are_kept) {
    std::uint64_t opened = 0;
    std::uint64_t back = 0;  // to express, from IPsec
    for (unsigned round = 0; round < 60; ++round) {
        std::vector<Frame> frames;
        for (unsigned i = 0; i < 200; ++i) frames.push_back(sealed_frame());
        const unsigned batch = one_of(kBatchSizes);
        const std::uint64_t before = packets_of(stage::StageId::kExpress);
        const Outcome with = run(frames, batch, true);
        back += packets_of(stage::StageId::kExpress) - before - frames.size();
        opened += with.result.count("ipsec.in.ok");
        table::RouteCache* const routes = std::exchange(worker().route_cache, nullptr);
        const Outcome without = run(frames, batch, false);
        worker().route_cache = routes;
        ASSERT_NO_FATAL_FAILURE(expect_equal(with, without)) << "round " << round;
        if (HasFailure()) return;
    }
    EXPECT_GT(opened, 6000u);
    EXPECT_LT(back, opened / 2) << "the stage sends too few for this test to mean much";
}

TEST_F(ExpressTest, S1_35_with_protected_payload_home_addresses_outside_are_refused_alike) {
    channel::BindingSet guarded = binding();
    guarded.flags |= channel::kBindingProtected;
    apply(guarded);
    channel::ParametersSet parameters;
    parameters.protect_payload = 1;
    parameters.icmp_errors_per_second = parameters.kernel_packets_per_second = 10000000;
    apply(parameters);
    for (unsigned round = 0; round < 40; ++round) {
        std::vector<Frame> frames;
        for (unsigned i = 0; i < 200; ++i) frames.push_back(any_frame());
        ASSERT_NO_FATAL_FAILURE(expect_the_same(frames, 64)) << "round " << round;
        if (HasFailure()) return;
    }
}

TEST_F(ExpressTest, what_changes_is_seen_with_the_next_packet) {
    use_express(true);
    const Bytes out = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20));
    const Bytes tunnelled = ipv6(kCareOfAddress, kHomeAgent, 41, out);
    EXPECT_EQ(feed_packet(kOutside, tunnelled).sent[kOutside].size(), 1u);
    // A route: the answer that was kept is none any more.
    add_special_route("2001:db8:3::", 48, channel::RouteType::kBlackhole);
    expect_drop(feed_packet(kOutside, tunnelled), "forward.blackhole");
    add_route("2001:db8:3::/48", kOutside, "2001:db8:f::2");
    EXPECT_EQ(feed_packet(kOutside, tunnelled).sent[kOutside].size(), 1u);
    // An address of ours.
    add_address(kOutside, "2001:db8:3::300", 64);
    EXPECT_EQ(feed_packet(kOutside, tunnelled).kernel[kOutside].size(), 1u);
    channel::AddressRemove gone;
    gone.address = channel::WireAddress(kCorrespondent);
    gone.port = kOutside;
    apply(gone);
    EXPECT_EQ(feed_packet(kOutside, tunnelled).sent[kOutside].size(), 1u);
    // A binding.
    bind_elsewhere(kCorrespondent);
    const Result bound = feed_packet(kOutside, tunnelled);
    ASSERT_EQ(bound.sent[kOutside].size(), 1u) << bound.to_string();
    EXPECT_EQ(bound.count("tun.out.ok"), 1u) << bound.to_string();
}

/// Once an address of a /64 is bound, the table is asked about all others there.
TEST_F(ExpressTest, a_second_binding_in_a_subnet_is_seen_with_the_next_packet) {
    use_express(true);
    const Bytes tunnelled =
        ipv6(kCareOfAddress, kHomeAgent, 41, ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20)));
    for (const Ipv6Address& address : {v6("2001:db8:3::9999"), kCorrespondent}) {
        EXPECT_EQ(feed_packet(kOutside, tunnelled).sent[kOutside].size(), 1u);
        EXPECT_EQ(feed_packet(kOutside, tunnelled).count("tun.out.ok"), 0u);
        bind_elsewhere(address);
    }
    const Result bound = feed_packet(kOutside, tunnelled);
    EXPECT_EQ(bound.count("tun.out.ok"), 1u) << bound.to_string();
}

TEST_F(OpenedTest, a_second_binding_in_a_subnet_is_seen_with_the_next_packet) {
    use_express(true);
    Bytes sealed = peer_.seal(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20)));
    kCareOfAddress.store(sealed.data() + offsetof(Ipv6Header, source));
    for (const Ipv6Address& address : {v6("2001:db8:3::9999"), kCorrespondent}) {
        EXPECT_EQ(feed_packet(kOutside, sealed).sent[kOutside].size(), 1u);
        EXPECT_EQ(feed_packet(kOutside, sealed).count("tun.out.ok"), 0u);
        bind_elsewhere(address);
    }
    const Result bound = feed_packet(kOutside, sealed);
    EXPECT_EQ(bound.count("tun.out.ok"), 1u) << bound.to_string();
}

/// Neither way makes the other slow, and what is ours is asked for whatever comes first.
TEST_F(ExpressTest, P1_and_P2_in_one_burst_leave_at_once) {
    use_express(true);
    const Bytes out = to_port(kOutside, ipv6(kCorrespondent, kHomeAddress, 17, Bytes(20)));
    const Bytes inner = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20));
    const Bytes in = to_port(kOutside, ipv6(kCareOfAddress, kHomeAgent, 41, inner));
    const Bytes other = to_port(kOutside, ipv6(kCareOfAddress, kSecondHomeAgent, 41, inner));
    const Bytes foreign = to_port(kOutside, ipv6(kHomeAgent, kCorrespondent, 41, inner));
    std::vector<Frame> frames;
    for (const Bytes* frame : {&out, &in, &out, &other, &in, &foreign, &other, &out, &in}) {
        frames.push_back({kOutside, *frame});
    }
    const std::uint64_t before = packets_of(stage::StageId::kParse);
    const Result result = feed(frames, 64);
    EXPECT_EQ(result.sent[kOutside].size(), frames.size()) << result.to_string();
    EXPECT_EQ(result.count("tun.out.ok"), 3u) << result.to_string();
    EXPECT_EQ(packets_of(stage::StageId::kParse), before);
}

/// What express is certain of does not pass tx, unless somebody wants to see its way. All else is
/// the same: frames, counters, rows, edges.
TEST_F(ExpressTest, what_is_traced_takes_the_way_by_tx) {
    const Ipv6Address kBehindHomeLink = v6("2001:db8:77::1");
    add_route("2001:db8:77::/48", kHomeLink, "2001:db8:1::77");
    const Bytes inner = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20));
    std::vector<Bytes> ways{
        ipv6(kCareOfAddress, kHomeAgent, 41, inner),           // P2
        ipv6(kCorrespondent, kBehindHomeLink, 17, Bytes(30)),  // by another port
        ipv6(kAtHome, kCorrespondent, 17, Bytes(30)),          // and back
    };
    // P1, two bindings; an IPsec that must see every packet has express leave them.
    if (!worker().ipsec_copy_mode && worker().esp->bypasses_all(ipsec::Family::kIpv6, 17)) {
        ways.push_back(ipv6(kCorrespondent, kHomeAddress, 17, Bytes(20)));
        ways.push_back(ipv6(kCorrespondent, kOtherHome, 17, Bytes(40)));
    }
    std::vector<Frame> frames;
    for (unsigned i = 0; i < 64; ++i) {
        frames.push_back({kOutside, to_port(kOutside, one_of(ways))});
    }
    (void)run(frames, 64, true);  // routes are kept from then on
    const std::uint64_t by_tx = packets_of(stage::StageId::kTx);
    const std::uint64_t edges = given_to("express.tx");
    const Outcome direct = run(frames, 64, true);
    EXPECT_EQ(direct.result.sent[kOutside].size() + direct.result.sent[kHomeLink].size(), 64u)
        << direct.result.to_string();
    EXPECT_FALSE(direct.result.sent[kHomeLink].empty());
    EXPECT_EQ(packets_of(stage::StageId::kTx), by_tx);
    EXPECT_EQ(given_to("express.tx"), edges + 64);

    start_trace(64);
    const Outcome traced = run(frames, 64, true);
    const std::vector<std::string> steps = traced_steps();
    EXPECT_EQ(packets_of(stage::StageId::kTx), by_tx + 64);
    EXPECT_EQ(given_to("express.tx"), edges + 128);
    EXPECT_EQ(std::ranges::count(steps, "express in"), 64);
    EXPECT_EQ(std::ranges::count(steps, "express tx"), 64);
    EXPECT_EQ(std::ranges::count(steps, "tx port"), 64);
    EXPECT_EQ(traced.result.counters, direct.result.counters);
    EXPECT_EQ(traced.rows, direct.rows);
    for (const std::uint16_t port : {kOutside, kHomeLink}) {
        expect_equal(traced.result.sent[port], direct.result.sent[port]);
    }
}

TEST_F(ExpressTest, a_lost_neighbour_sends_packets_to_the_kernel) {
    use_express(true);
    const Bytes tunnelled =
        ipv6(kCareOfAddress, kHomeAgent, 41, ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20)));
    const Bytes to_home = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(20));
    EXPECT_EQ(feed_packet(kOutside, tunnelled).sent[kOutside].size(), 1u);
    EXPECT_EQ(feed_packet(kOutside, to_home).sent[kOutside].size(), 1u);
    lose_neighbour(kOutside, "2001:db8:f::2");
    EXPECT_EQ(feed_packet(kOutside, tunnelled).kernel[kOutside].size(), 1u);
    EXPECT_EQ(feed_packet(kOutside, to_home).kernel[kOutside].size(), 1u);
    add_neighbour(kOutside, "2001:db8:f::2");
    EXPECT_EQ(feed_packet(kOutside, tunnelled).sent[kOutside].size(), 1u);
}

}  // namespace homeport::golden
