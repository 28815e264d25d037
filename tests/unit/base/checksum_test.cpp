// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/checksum.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace homeport {
namespace {

TEST(Checksum, known_answer_of_rfc1071) {
    const std::vector<std::uint8_t> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    EXPECT_EQ(internet_checksum(bytes), 0x220d);
}

TEST(Checksum, every_length_agrees_with_a_plain_sum) {
    std::vector<std::uint8_t> bytes;
    for (unsigned length = 0; length < 70; ++length) {
        std::uint32_t sum = 0;
        for (unsigned i = 0; i < length; ++i) sum += i % 2 == 0 ? bytes[i] << 8u : bytes[i];
        while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
        EXPECT_EQ(internet_checksum(bytes), static_cast<std::uint16_t>(~sum)) << length;
        bytes.push_back(static_cast<std::uint8_t>(length * 37 + 11));
    }
}

TEST(Checksum, update_equals_recomputation) {
    std::vector<std::uint8_t> header{0x45, 0, 0,  60, 0, 1, 0x40, 0, 64, 6,
                                     0,    0, 10, 0,  0, 1, 10,   0, 0,  2};
    store_be16(header.data() + 10, internet_checksum(header));
    const std::uint16_t before = load_be16(header.data() + 8);
    header[8] = 63;
    const auto updated =
        checksum_update(load_be16(header.data() + 10), before, load_be16(header.data() + 8));
    store_be16(header.data() + 10, 0);
    EXPECT_EQ(updated, internet_checksum(header));
}

}  // namespace
}  // namespace homeport
