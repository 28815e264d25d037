// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/neighbor_message.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tunnel/packets.hpp"

namespace homeport::forward {
namespace {

using test::Bytes;
using test::v6;

const Ipv6Address kSource = v6("fe80::1");
const Ipv6Address kTarget = v6("2001:db8:1::100");
const MacAddress kMac{{2, 0, 0, 0, 0, 9}};

Bytes advertisement(bool router, bool solicited, bool override_flag) {
    Bytes bytes(kAdvertisementLength);
    write_neighbor_advertisement(bytes.data(), {.source = kSource,
                                                .destination = v6("ff02::1"),
                                                .target = kTarget,
                                                .link_layer = kMac,
                                                .router = router,
                                                .solicited = solicited,
                                                .override_flag = override_flag});
    return bytes;
}

TEST(NeighborMessage, what_is_written_is_read) {
    const auto message = read_neighbor_message(advertisement(false, false, true), 40);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->type, kNeighborAdvertisement);
    EXPECT_EQ(message->source, kSource);
    EXPECT_EQ(message->target, kTarget);
    EXPECT_FALSE(message->source_link_layer) << "that is option 1, not 2";
}

TEST(NeighborMessage, flags_are_where_RFC4861_4_4_puts_them) {
    EXPECT_EQ(advertisement(true, false, false)[44], 0x80);
    EXPECT_EQ(advertisement(false, true, false)[44], 0x40);
    EXPECT_EQ(advertisement(false, false, true)[44], 0x20);
    EXPECT_EQ(advertisement(false, false, true)[64], 2);
    EXPECT_EQ(advertisement(false, false, true)[65], 1);
    EXPECT_EQ(MacAddress::load(advertisement(false, false, true).data() + 66), kMac);
}

TEST(NeighborMessage, RFC4861_7_1_2_a_solicited_advertisement_is_not_for_a_group) {
    EXPECT_FALSE(read_neighbor_message(advertisement(false, true, false), 40));
}

TEST(NeighborMessage, every_octet_and_every_length_counts) {
    const Bytes good = advertisement(false, false, true);
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_FALSE(read_neighbor_message({good.data(), length}, 40)) << length;
    }
    for (std::size_t at = 40; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= 0x04;
        EXPECT_FALSE(read_neighbor_message(bad, 40)) << at;
    }
    Bytes bad = good;
    bad[7] = 254;
    EXPECT_FALSE(read_neighbor_message(bad, 40));
    EXPECT_FALSE(read_neighbor_message(good, 39));
}

}  // namespace
}  // namespace homeport::forward
