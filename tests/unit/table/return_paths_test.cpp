// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/return_paths.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace homeport::table {
namespace {

using Mapping = ReturnPaths::EspMapping;

Binding binding(std::uint8_t home, std::uint8_t care_of) {
    Binding made{};
    made.home_address = *Ipv6Address::parse("2001:db8:1::");
    made.home_address.bytes[15] = home;
    made.care_of_address = v4_mapped(Ipv4Address{{203, 0, 113, care_of}});
    return made;
}

TEST(ReturnPaths, a_mapping_and_a_form_do_not_disturb_each_other) {
    ReturnPaths paths(4);
    const Binding node = binding(1, 7);
    const Mapping mapping{Ipv4Address{{203, 0, 113, 7}}, 61001};
    EXPECT_FALSE(paths.esp_mapping(2, node));
    EXPECT_FALSE(paths.in_udp(2, node));
    EXPECT_TRUE(paths.learn_esp_mapping(2, node, mapping));
    EXPECT_FALSE(paths.learn_esp_mapping(2, node, mapping)) << "no news";
    EXPECT_FALSE(paths.in_udp(2, node));
    paths.learn_form(2, node, true);
    EXPECT_TRUE(paths.in_udp(2, node));
    EXPECT_EQ(paths.esp_mapping(2, node), mapping);
    EXPECT_TRUE(paths.learn_esp_mapping(2, node, std::nullopt));
    EXPECT_FALSE(paths.esp_mapping(2, node));
    EXPECT_TRUE(paths.in_udp(2, node));
    EXPECT_FALSE(paths.esp_mapping(1, node)) << "another slot";
}

TEST(ReturnPaths, a_word_of_another_binding_or_care_of_address_is_none) {
    ReturnPaths paths(4);
    ASSERT_TRUE(paths.learn_esp_mapping(0, binding(1, 7), Mapping{Ipv4Address{{1, 2, 3, 4}}, 5}));
    unsigned taken = 0;
    for (unsigned i = 0; i < 256; ++i) {
        const auto octet = static_cast<std::uint8_t>(i);
        if (i != 1) taken += paths.esp_mapping(0, binding(octet, 7)).has_value() ? 1 : 0;
        if (i != 7) taken += paths.esp_mapping(0, binding(1, octet)).has_value() ? 1 : 0;
    }
    EXPECT_LE(taken, 1u) << "15 bits tell them apart; the writer's put() for certain";
    paths.put(3, 0);
    EXPECT_TRUE(paths.esp_mapping(3, binding(1, 7))) << "a change of the binding keeps it";
    paths.put(0, kNoSlot);
    EXPECT_FALSE(paths.esp_mapping(0, binding(1, 7)));
}

TEST(ReturnPaths, two_workers_at_once_leave_whole_words) {
    ReturnPaths paths(1);
    const Binding node = binding(1, 7);
    const auto learn = [&](std::uint8_t last) {
        const Mapping mapping{Ipv4Address{{10, 0, 0, last}},
                              static_cast<std::uint16_t>(last * 256)};
        for (int i = 0; i < 20000; ++i) {
            (void)paths.learn_esp_mapping(0, node, mapping);
            paths.learn_form(0, node, i % 2 == 0);
            const auto seen = paths.esp_mapping(0, node);
            ASSERT_TRUE(!seen || seen->port == seen->address.bytes[3] * 256);
        }
    };
    std::thread other(learn, std::uint8_t{2});
    learn(3);
    other.join();
}

}  // namespace
}  // namespace homeport::table
