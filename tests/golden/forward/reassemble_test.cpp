// SPDX-License-Identifier: BSD-3-Clause
// Fragments to the home agent: RFC 8200 section 4.5, RFC 5722, RFC 3168 section 5.3.
#include <rte_cycles.h>

#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

class Reassemble : public ForwardTest {
  protected:
    void begin(const config::ReassemblyConfig& reassembly = {}) {
        start_home_agent(reassembly);
        bind();
    }
    static Bytes inner(std::size_t octets = 1400, std::uint8_t hop_limit = 64) {
        return udp6(kHomeAddress, kCorrespondent, octets, {.hop_limit = hop_limit});
    }
    static Bytes tunnelled(const Bytes& packet, std::uint8_t traffic_class = 0) {
        return ipv6(kCareOfAddress, kHomeAgent, 41, packet, {.traffic_class = traffic_class});
    }
    Result feed_fragments(const std::vector<Bytes>& fragments) {
        std::vector<Bytes> frames;
        for (const Bytes& fragment : fragments) frames.push_back(to_port(kOutside, fragment));
        return feed(kOutside, frames);
    }
    /// Idle rounds until `counter` rises.
    Result wait_for(std::string_view counter) {
        const std::uint64_t end = rte_rdtsc() + 5 * rte_get_tsc_hz();
        for (;;) {
            Result result = run_idle();
            if (result.count(counter) != 0 || rte_rdtsc() > end) return result;
        }
    }
};

TEST_F(Reassemble, P2_a_reverse_tunnel_packet_in_pieces_is_forwarded) {
    begin();
    for (const std::size_t size : {1000u, 704u, 480u, 64u}) {
        const auto fragments = fragments6(tunnelled(inner()), size);
        const Result result = feed_fragments(fragments);
        expect_sent(result, kOutside, inner(1400, 63));
        EXPECT_EQ(result.count("reasm.ok"), 1u) << result.to_string();
        EXPECT_EQ(result.count("deliver.absorbed"), fragments.size() - 1);
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
        EXPECT_EQ(result.held, 0u);
    }
}

TEST_F(Reassemble, any_order_will_do) {
    begin();
    auto fragments = fragments6(tunnelled(inner()), 400);
    std::sort(fragments.begin(), fragments.end());
    do {
        const Result result = feed_fragments(fragments);
        expect_sent(result, kOutside, inner(1400, 63));
        EXPECT_EQ(result.held, 0u);
    } while (std::next_permutation(fragments.begin(), fragments.end()));
}

TEST_F(Reassemble, packets_larger_than_a_link_come_together) {
    begin();
    const Bytes packet = udp6(kCorrespondent, kHomeAgent, 9000);
    const Result result = feed_fragments(fragments6(packet, 1232));
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.kernel[kOutside][0]), packet);
}

TEST_F(Reassemble, packets_with_different_identifications_do_not_mix) {
    begin();
    const auto a = fragments6(tunnelled(inner(1400)), 800, 1);
    const auto b = fragments6(tunnelled(inner(1392)), 800, 2);
    const Result result = feed_fragments({a[0], b[0], b[1], a[1]});
    ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), inner(1392, 63));
    EXPECT_EQ(packet_in(result.sent[kOutside][1]), inner(1400, 63));
}

TEST_F(Reassemble, extension_headers_before_the_fragment_header_stay) {
    begin();
    // Destination options (PadN), then the fragment header.
    const Bytes payload = test::udp(kCorrespondent, kHomeAgent, 1, 2, Bytes(92, 3));
    const Bytes options = test::options_header(17, {1, 4, 0, 0, 0, 0});
    const Bytes whole = ipv6(kCorrespondent, kHomeAgent, 60, concat({options, payload}));
    std::vector<Bytes> fragments;
    for (const unsigned at : {0u, 48u}) {
        Bytes named = options;
        named[0] = 44;
        const bool more = at == 0;
        Bytes header{17, 0, 0, static_cast<std::uint8_t>(at | (more ? 1 : 0)), 0, 0, 0, 9};
        const std::size_t size = more ? 48 : payload.size() - 48;
        fragments.push_back(
            ipv6(kCorrespondent, kHomeAgent, 60,
                 concat({named, header,
                         Bytes(payload.begin() + at,
                               payload.begin() + static_cast<std::ptrdiff_t>(at + size))})));
    }
    const Result result = feed_fragments(fragments);
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(to_hex(packet_in(result.kernel[kOutside][0])), to_hex(whole));
}

TEST_F(Reassemble, ipv4_packets_come_together_with_a_right_checksum) {
    begin();
    const Bytes whole = udp4(kCorrespondent4, kOutsideAddress4, 1000);
    std::vector<Bytes> fragments;
    for (const std::uint16_t at : {std::uint16_t{0}, std::uint16_t{504}}) {
        const Bytes payload(whole.begin() + 20 + at,
                            at == 0 ? whole.begin() + 20 + 504 : whole.end());
        fragments.push_back(
            ipv4(kCorrespondent4, kOutsideAddress4, 17, payload,
                 {.flags_offset = static_cast<std::uint16_t>(at / 8 | (at == 0 ? 0x2000 : 0))}));
    }
    const Result result = feed_fragments(fragments);
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(to_hex(packet_in(result.kernel[kOutside][0])), to_hex(whole));
}

// ---------------------------------------------------------------------------------- what is
// refused

TEST_F(Reassemble, overlaps_lose_the_packet_and_all_that_follows_of_it) {
    begin();
    const Bytes packet = tunnelled(inner());
    const Bytes a = fragment6(packet, 0, 800, true);
    const Bytes overlapping = fragment6(packet, 792, 400, true);
    const Bytes rest = fragment6(packet, 800, packet.size() - 840, false);
    Result result = feed_fragments({a, overlapping, rest});
    EXPECT_EQ(result.count("reasm.overlap"), 3u) << result.to_string();
    EXPECT_EQ(result.dropped(), 3u);
    EXPECT_EQ(result.held, 0u);
    expect_nothing_sent(result);
    // Another packet is none the worse.
    result = feed_fragments(fragments6(packet, 800, 77));
    EXPECT_EQ(result.sent[kOutside].size(), 1u);
}

TEST_F(Reassemble, a_second_end_and_data_behind_the_end_are_overlaps) {
    begin();
    const Bytes packet = tunnelled(inner());
    Result result = feed_fragments(
        {fragment6(packet, 800, 80, false, 1), fragment6(packet, 880, 80, false, 1)});
    EXPECT_EQ(result.count("reasm.overlap"), 2u) << result.to_string();
    result =
        feed_fragments({fragment6(packet, 800, 80, false, 2), fragment6(packet, 880, 80, true, 2)});
    EXPECT_EQ(result.count("reasm.overlap"), 2u) << result.to_string();
    result =
        feed_fragments({fragment6(packet, 880, 80, true, 3), fragment6(packet, 800, 80, false, 3)});
    EXPECT_EQ(result.count("reasm.overlap"), 2u) << result.to_string();
    EXPECT_EQ(result.held, 0u);
}

TEST_F(Reassemble, an_exact_duplicate_is_dropped_alone) {
    begin();
    const auto fragments = fragments6(tunnelled(inner()), 800);
    const Result result = feed_fragments({fragments[0], fragments[0], fragments[1]});
    expect_sent(result, kOutside, inner(1400, 63));
    expect_drop(result, "reasm.overlap");
}

TEST_F(Reassemble, malformed_fragments_are_answered_with_a_parameter_problem) {
    begin();
    const Bytes packet = tunnelled(inner());
    const Bytes odd = fragment6(packet, 0, 801, true);
    Result result = feed_fragments({odd});
    expect_drop(result, "reasm.malformed");
    expect_sent(result, kOutside, icmp6_error(kHomeAgent, kCareOfAddress, 4, 0, 4, odd));
    EXPECT_EQ(result.held, 0u);

    Bytes far = fragment6(packet, 0, 800, true);
    store_be16(far.data() + 42, 0xfff9);
    result = feed_fragments({far});
    expect_drop(result, "reasm.malformed");
    // Not a first fragment: nothing is said about it.
    expect_nothing_sent(result);
}

TEST_F(Reassemble, too_many_pieces_or_too_much_data_are_refused) {
    begin();
    const Bytes packet = tunnelled(inner());
    auto fragments = fragments6(packet, 40);
    ASSERT_GT(fragments.size(), 33u);
    fragments.pop_back();
    Result result = feed_fragments(fragments);
    EXPECT_EQ(result.count("reasm.limit"), 33u) << result.to_string();
    EXPECT_EQ(result.count("reasm.overlap"), fragments.size() - 33u) << "given up for good";
    EXPECT_EQ(result.held, 0u);
    Bytes far = fragment6(packet, 0, 800, true, 5);
    store_be16(far.data() + 42, 9200 | 1);
    result = feed_fragments({far});
    expect_drop(result, "reasm.limit");
}

TEST_F(Reassemble, one_source_cannot_have_it_all) {
    begin({.entries = 100, .timeout_ms = 60000, .per_source = 5});
    const Bytes packet = tunnelled(inner());
    std::vector<Bytes> fragments;
    for (std::uint32_t id = 0; id < 20; ++id) {
        fragments.push_back(fragment6(packet, 0, 800, true, id));
    }
    const Result result = feed_fragments(fragments);
    EXPECT_EQ(result.count("reasm.limit"), 15u) << result.to_string();
    EXPECT_EQ(result.held, 5u);
}

TEST_F(Reassemble, what_came_together_counts_no_longer_against_its_source) {
    begin({.entries = 100, .timeout_ms = 60000, .per_source = 5});
    for (std::uint32_t id = 0; id < 20; ++id) {
        const Result result = feed_fragments(fragments6(tunnelled(inner()), 800, id));
        EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    }
}

TEST_F(Reassemble, when_full_the_oldest_makes_room) {
    begin({.entries = 4, .timeout_ms = 60000, .per_source = 100});
    const Bytes packet = tunnelled(inner());
    std::vector<Bytes> fragments;
    for (std::uint32_t id = 0; id < 10; ++id) {
        fragments.push_back(fragment6(packet, 0, 800, true, id));
    }
    Result result = feed_fragments(fragments);
    EXPECT_EQ(result.count("reasm.limit"), 6u) << result.to_string();
    EXPECT_EQ(result.held, 4u);
    result = feed_fragments({fragment6(packet, 800, packet.size() - 840, false, 9)});
    EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
}

TEST_F(Reassemble, what_does_not_come_together_in_time_is_lost_and_said) {
    begin({.entries = 100, .timeout_ms = 1, .per_source = 100});
    const Bytes packet = tunnelled(inner());
    const Bytes first = fragment6(packet, 0, 800, true);
    Result result = feed_fragments({first, fragment6(packet, 808, 80, true)});
    const std::uint64_t early = result.count("reasm.timeout");
    ASSERT_EQ(early, 0u) << "slow machine: " << result.to_string();
    EXPECT_EQ(result.held, 2u);
    result = wait_for("reasm.timeout");
    EXPECT_EQ(result.count("reasm.timeout"), 2u) << result.to_string();
    EXPECT_EQ(result.held, 0u);
    expect_sent(result, kOutside, icmp6_error(kHomeAgent, kCareOfAddress, 3, 1, 0, first));
    // Without a first fragment nothing is said.
    (void)feed_fragments({fragment6(packet, 808, 80, true, 2)});
    result = wait_for("reasm.timeout");
    EXPECT_EQ(result.count("reasm.timeout"), 1u) << result.to_string();
    expect_nothing_sent(result);
}

TEST_F(Reassemble, a_congestion_mark_of_any_piece_marks_the_packet) {
    begin();
    const Bytes packet = udp6(kCorrespondent, kHomeAgent, 600, {.traffic_class = 0x02});
    auto fragments = fragments6(packet, 304);
    fragments[1][1] = static_cast<std::uint8_t>(fragments[1][1] | 0x30);
    Result result = feed_fragments(fragments);
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.kernel[kOutside][0]),
              udp6(kCorrespondent, kHomeAgent, 600, {.traffic_class = 0x03}));
    // A mark on one, and another that cannot be marked.
    fragments[0][1] = static_cast<std::uint8_t>(fragments[0][1] & 0x0f);
    result = feed_fragments(fragments);
    EXPECT_EQ(result.count("reasm.malformed"), 2u) << result.to_string();
    EXPECT_EQ(result.held, 0u);
}

TEST_F(Reassemble, a_packet_that_is_whole_passes_at_once) {
    begin();
    const Bytes packet = tunnelled(inner(200));
    const Result result = feed_fragments({fragment6(packet, 0, packet.size() - 40, false)});
    expect_sent(result, kOutside, inner(200, 63));
    EXPECT_EQ(result.count("reasm.ok"), 0u);
}

TEST_F(Reassemble, fragments_that_are_only_passing_by_are_forwarded) {
    begin();
    const Bytes fragment = fragment6(udp6(kCorrespondent, kAtHome, 600), 304, 200, true);
    const Result result = feed_packet(kOutside, fragment);
    EXPECT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
}

TEST_F(Reassemble, the_books_balance_whatever_comes) {
    begin({.entries = 16, .timeout_ms = 1, .per_source = 8});
    const Bytes packet = tunnelled(inner());
    std::srand(5);
    for (int round = 0; round < 300; ++round) {
        std::vector<Bytes> fragments;
        for (int i = 0; i < 40; ++i) {
            const auto at = static_cast<std::uint16_t>(std::rand() % 20 * 64);
            const std::size_t size = 64u << std::rand() % 2;
            if (at + size + 40 > packet.size()) continue;
            fragments.push_back(fragment6(packet, at, size, std::rand() % 4 != 0,
                                          static_cast<std::uint32_t>(std::rand() % 12)));
        }
        (void)feed_fragments(fragments);  // the fixture checks the invariant
    }
    // Those of deadlines past are gone after an idle round.
    for (int i = 0; i < 1000; ++i) {
        if (run_idle().held == 0) break;
        rte_delay_us_block(100);
    }
    EXPECT_EQ(run_idle().held, 0u);
}

}  // namespace
}  // namespace homeport::golden
