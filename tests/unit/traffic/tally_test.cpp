// SPDX-License-Identifier: BSD-3-Clause
// The generator's own arithmetic: what it counts and what it says of delays, on known packets.
#include "tools/traffic/tally.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "tools/traffic/patterns.hpp"

namespace homeport::traffic {
namespace {

constexpr auto kGcm = ipsec::Algorithm::kAes128Gcm16;

std::unique_ptr<Tally> tally_of(Path path, bool unchanged = false) {
    auto tally = Tally::create({.path = path, .algorithm = kGcm, .unchanged = unchanged});
    EXPECT_TRUE(tally) << (tally ? "" : tally.error());
    return tally ? std::move(*tally) : nullptr;
}

std::unique_ptr<Patterns> patterns_of(Path path, std::vector<std::uint32_t> sizes) {
    auto patterns = Patterns::create({.path = path,
                                      .algorithm = kGcm,
                                      .sizes = std::move(sizes),
                                      .workers = 1,
                                      .stamped = true});
    EXPECT_TRUE(patterns) << (patterns ? "" : patterns.error());
    return patterns ? std::move(*patterns) : nullptr;
}

Bytes frame_of(Patterns& patterns, const Stamp& stamp, std::size_t pattern = 0) {
    Bytes frame(patterns.octets(pattern));
    patterns.write(pattern, frame.data(), 7, 1, &stamp);
    return frame;
}

TEST(Delays, percentiles_are_right_to_one_part_in_64) {
    Delays delays;
    for (std::uint32_t i = 1; i <= 100000; ++i) delays.add(i * 10);
    EXPECT_EQ(delays.total(), 100000u);
    EXPECT_EQ(delays.longest(), 1000000u);
    for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999}) {
        const double right = share * 1000000;
        EXPECT_GE(delays.percentile(share), right) << share;
        EXPECT_LE(delays.percentile(share), right * (1 + 1.0 / 64) + 1) << share;
    }
    EXPECT_EQ(delays.percentile(1), 1000000u);
}

TEST(Delays, short_ones_are_exact_and_the_longest_possible_has_a_class) {
    Delays delays;
    EXPECT_EQ(delays.percentile(0.5), 0u);
    delays.add(3);
    delays.add(3);
    delays.add(63);
    delays.add(0xffffffff);
    EXPECT_EQ(delays.percentile(0.5), 3u);
    EXPECT_EQ(delays.percentile(0.75), 63u);
    EXPECT_EQ(delays.percentile(0.99), 0xffffffffu);
}

TEST(Delays, one_late_packet_in_a_thousand_shows_in_the_maximum_alone) {
    Delays delays;
    for (int i = 0; i < 999; ++i) delays.add(50);
    delays.add(1u << 20);
    EXPECT_EQ(delays.percentile(0.999), 50u);
    EXPECT_EQ(delays.longest(), 1u << 20);
}

TEST(Pacer, gives_the_rate_and_not_a_packet_more) {
    Pacer pacer(1000, 2.5);
    std::uint64_t sent = 0;
    for (std::uint64_t now = 1000; now < 1000 + 250000; now += 7) {
        const std::uint64_t due = pacer.due(now);
        sent += due;
        pacer.sent(due);
    }
    EXPECT_NEAR(static_cast<double>(sent), 100000, 4);
    EXPECT_EQ(pacer.given_up(), 0u);
}

TEST(Pacer, who_was_late_does_not_send_it_all_at_once) {
    Pacer pacer(0, 10);
    EXPECT_EQ(pacer.due(0), 1u);
    pacer.sent(1);
    EXPECT_EQ(pacer.due(100000), Pacer::kMostBehind);
    EXPECT_EQ(pacer.given_up(), 10000 - Pacer::kMostBehind);
    pacer.sent(Pacer::kMostBehind);
    EXPECT_EQ(pacer.due(100000), 0u);
    EXPECT_EQ(pacer.due(100010), 1u);
}

TEST(Tally, counts_what_came_and_how_late) {
    const auto patterns = patterns_of(Path::kP1, {64});
    const auto tally = tally_of(Path::kP1, true);
    tally->begin(3);
    for (std::uint32_t i = 0; i < 10; ++i) {
        if (i == 4) continue;  // lost
        const Bytes frame = frame_of(*patterns, {.trial = 3, .number = i, .time = 1000 * i});
        EXPECT_EQ(frame.size(), 64u);
        tally->take(frame, 1000 * i + 40);
    }
    EXPECT_EQ(tally->received(), 9u);
    EXPECT_EQ(tally->delays().total(), 9u);
    EXPECT_EQ(tally->delays().percentile(0.5), 40u);
    EXPECT_EQ(tally->delays().longest(), 40u);
    EXPECT_EQ(tally->reordered(), 0u);
    EXPECT_EQ(tally->stale() + tally->foreign(), 0u);
}

TEST(Tally, delays_go_on_over_the_end_of_32_bits) {
    const auto patterns = patterns_of(Path::kP1, {64});
    const auto tally = tally_of(Path::kP1, true);
    tally->begin(1);
    tally->take(frame_of(*patterns, {.trial = 1, .number = 0, .time = 0xfffffff0}), 0x10);
    EXPECT_EQ(tally->delays().longest(), 0x20u);
}

TEST(Tally, tells_other_trials_other_packets_and_disorder) {
    const auto patterns = patterns_of(Path::kP1, {64});
    const auto tally = tally_of(Path::kP1, true);
    tally->begin(2);
    tally->take(frame_of(*patterns, {.trial = 1, .number = 90, .time = 0}), 10);
    tally->take(frame_of(*patterns, {.trial = 2, .number = 5, .time = 0}), 10);
    tally->take(frame_of(*patterns, {.trial = 2, .number = 4, .time = 0}), 10);
    Bytes other = frame_of(*patterns, {.trial = 2, .number = 6, .time = 0});
    other[sizeof(EthernetHeader) + offsetof(Ipv6Header, next_header)] = 58;
    tally->take(other, 10);
    tally->take(ConstByteSpan(other).first(30), 10);
    EXPECT_EQ(tally->stale(), 1u);
    EXPECT_EQ(tally->received(), 2u);
    EXPECT_EQ(tally->reordered(), 1u);
    EXPECT_EQ(tally->foreign(), 2u);
    tally->begin(3);
    EXPECT_EQ(tally->received() + tally->stale() + tally->reordered() + tally->foreign(), 0u);
    EXPECT_EQ(tally->delays().total(), 0u);
}

/// What a tunnel out makes of a packet is what arrives by a tunnel in, seen from the outside.
TEST(Tally, finds_stamps_in_tunnels) {
    for (const auto& [out, in] : {std::pair(Path::kP1, Path::kP2), std::pair(Path::kP9, Path::kP9i),
                                  std::pair(Path::kP10, Path::kP10i)}) {
        const auto patterns = patterns_of(in, {64, 1420});
        const auto tally = tally_of(out);
        tally->begin(1);
        for (const std::size_t pattern : {0u, 1u}) {
            tally->take(frame_of(*patterns, {.trial = 1, .number = 1, .time = 5}, pattern), 30);
        }
        EXPECT_EQ(tally->received(), 2u) << name_of(out);
        EXPECT_EQ(tally->delays().percentile(1), 25u) << name_of(out);
    }
}

TEST(Tally, finds_stamps_under_esp_in_every_so_many_packets) {
    const auto patterns = patterns_of(Path::kP4, {64});
    const auto tally = tally_of(Path::kP3);
    tally->begin(1);
    const std::uint32_t packets = 4 * Tally::kSample;
    for (std::uint32_t i = 0; i < packets; ++i) {
        tally->take(frame_of(*patterns, {.trial = 1, .number = i, .time = i}), i + 77);
    }
    EXPECT_EQ(tally->received(), packets);
    EXPECT_EQ(tally->delays().total(), 4u);
    EXPECT_EQ(tally->delays().percentile(0.5), 77u);
    EXPECT_EQ(tally->delays().longest(), 77u);
}

TEST(Patterns, what_has_no_room_for_a_stamp_grows) {
    EXPECT_EQ(patterns_of(Path::kP1, {64})->octets(0), 64u);
    EXPECT_EQ(patterns_of(Path::kP2, {64})->octets(0), 104u);
    EXPECT_EQ(patterns_of(Path::kP2, {128})->octets(0), 128u);
}

TEST(Patterns, imix_is_seven_to_four_to_one) {
    const auto patterns = patterns_of(Path::kP1, {kImix.begin(), kImix.end()});
    EXPECT_NEAR(patterns->mean_octets(), (64 * 7 + 570 * 4 + 1420) / 12.0, 20);
}

TEST(Patterns, say_what_they_cannot_make) {
    const auto mobile_ipv4 = Patterns::create({.path = Path::kP20, .sizes = {64}});
    ASSERT_FALSE(mobile_ipv4);
    EXPECT_NE(mobile_ipv4.error().find("P20"), std::string::npos);
    const auto cbc = Patterns::create(
        {.path = Path::kP4, .algorithm = ipsec::Algorithm::kAes128CbcSha1_96, .sizes = {64}});
    ASSERT_FALSE(cbc);
    EXPECT_NE(cbc.error().find("expected AES-GCM"), std::string::npos);
}

}  // namespace
}  // namespace homeport::traffic
