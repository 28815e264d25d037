// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/algorithm.hpp"

#include <gtest/gtest.h>

namespace homeport::ipsec {
namespace {

TEST(Algorithm, names_are_found_again) {
    for (const AlgorithmInfo& algorithm : all_algorithms()) {
        EXPECT_EQ(parse_algorithm(algorithm.name), algorithm.algorithm) << algorithm.name;
    }
    EXPECT_EQ(parse_algorithm("aes512-gcm16"), std::nullopt);
    EXPECT_EQ(parse_algorithm(""), std::nullopt);
}

// The table of maxima for a path MTU of 1500 in the catalogue of packet paths.
TEST(Algorithm, largest_inner_packets_are_those_of_the_specification) {
    EXPECT_EQ(max_inner_length(Algorithm::kAes128Gcm16, 1500, 40), 1426u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128CbcSha1_96, 1500, 40), 1422u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128CbcSha256_128, 1500, 40), 1406u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128Gcm16, 1500, 20), 1446u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128Gcm16, 1500, 28), 1438u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128Gcm16, 1500, 68), 1398u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128CbcSha1_96, 1500, 68), 1390u);
    EXPECT_EQ(max_inner_length(Algorithm::kAes128Gcm16, 40, 40), 0u);
}

TEST(Algorithm, overhead_is_that_of_the_specification) {
    std::uint32_t least = 1000;
    std::uint32_t most = 0;
    for (std::uint32_t payload = 64; payload < 128; ++payload) {
        const std::uint32_t overhead = esp_overhead(Algorithm::kAes256Gcm16, payload);
        least = std::min(least, overhead);
        most = std::max(most, overhead);
    }
    EXPECT_EQ(least, 34u);
    EXPECT_EQ(most, 37u);
    EXPECT_EQ(esp_overhead(Algorithm::kAes128CbcSha1_96, 14), 38u);
    EXPECT_EQ(esp_overhead(Algorithm::kAes128CbcSha1_96, 15), 38u + 15);
    EXPECT_EQ(esp_overhead(Algorithm::kAes128CbcSha256_128, 14), 42u);
    EXPECT_EQ(esp_overhead(Algorithm::kNullSha256_128, 2), 26u);
}

TEST(Algorithm, largest_inner_packet_fits_and_one_more_does_not) {
    for (const AlgorithmInfo& a : all_algorithms()) {
        for (std::uint32_t mtu = 1280; mtu < 1320; ++mtu) {
            const std::uint32_t inner = max_inner_length(a.algorithm, mtu, 40);
            EXPECT_LE(40 + inner + esp_overhead(a.algorithm, inner), mtu) << a.name;
            EXPECT_GT(40 + inner + 1 + esp_overhead(a.algorithm, inner + 1), mtu) << a.name;
        }
    }
}

}  // namespace
}  // namespace homeport::ipsec
