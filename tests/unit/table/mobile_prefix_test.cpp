// SPDX-License-Identifier: BSD-3-Clause
// Mobile network prefixes: RFC 3963 section 6.3.
#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

using channel::CommandError;

class MobilePrefixes : public TableTest {
  protected:
    MobilePrefixes() {
        EXPECT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
        EXPECT_TRUE(writer_.apply(binding(home(6), "2001:db8:a::6")));
    }
    /// Home address of the binding that `address` is reached by; :: if none.
    Ipv6Address leads_to(std::string_view address) const {
        const std::uint32_t slot = tables_.mobile_network_of(key(address));
        return slot == kNoSlot ? Ipv6Address{} : tables_.bindings.at(slot).home_address;
    }
};

TEST_F(MobilePrefixes, RFC3963_6_3_the_longest_prefix_leads_to_its_binding) {
    EXPECT_TRUE(tables_.mobile_prefixes.empty());
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::", 40, home(5))));
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5060::", 64, home(6))));
    ASSERT_TRUE(writer_.apply(mobile_prefix("10.5.0.0", 16, home(5))));
    ASSERT_TRUE(writer_.apply(mobile_prefix("10.5.6.0", 24, home(6))));
    EXPECT_EQ(leads_to("2001:db8:5011::1"), home(5));
    EXPECT_EQ(leads_to("2001:db8:5060::1"), home(6));
    EXPECT_EQ(leads_to("2001:db8:5060:1::1"), home(5));
    EXPECT_EQ(leads_to("10.5.7.1"), home(5));
    EXPECT_EQ(leads_to("10.5.6.1"), home(6));
    EXPECT_EQ(leads_to("10.6.0.1"), Ipv6Address{});
    EXPECT_EQ(leads_to("2001:db8:4fff::1"), Ipv6Address{});
    ASSERT_TRUE(writer_.apply(no_mobile_prefix("10.5.6.0", 24)));
    EXPECT_EQ(leads_to("10.5.6.1"), home(5));
    ASSERT_TRUE(writer_.apply(no_mobile_prefix("10.5.6.0", 24)));
}

TEST_F(MobilePrefixes, bits_behind_the_length_do_not_count) {
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::77", 64, home(5))));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), home(5));
    ASSERT_TRUE(writer_.apply(no_mobile_prefix("2001:db8:5000::99", 64)));
    EXPECT_TRUE(tables_.mobile_prefixes.empty());
}

TEST_F(MobilePrefixes, they_follow_their_binding_and_go_with_it) {
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::", 64, home(5))));
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:b::5")));
    const std::uint32_t slot = tables_.mobile_network_of(key("2001:db8:5000::1"));
    ASSERT_NE(slot, kNoSlot);
    EXPECT_EQ(tables_.bindings.at(slot).care_of_address, key("2001:db8:b::5"));
    ASSERT_TRUE(writer_.apply(no_binding(home(5))));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), Ipv6Address{});
    EXPECT_TRUE(tables_.mobile_prefixes.empty());
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), Ipv6Address{}) << "named again, or not there";
}

TEST_F(MobilePrefixes, a_tentative_binding_is_not_reached) {
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::", 64, home(5))));
    channel::BindingSet tentative = binding(home(5), "2001:db8:a::5");
    tentative.flags = channel::kBindingTentative;
    ASSERT_TRUE(writer_.apply(tentative));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), Ipv6Address{});
}

TEST_F(MobilePrefixes, a_prefix_that_changes_its_router_belongs_to_one_binding_only) {
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::", 64, home(5))));
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::", 64, home(6))));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), home(6));
    ASSERT_TRUE(writer_.apply(no_binding(home(5))));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), home(6));
    ASSERT_TRUE(writer_.apply(no_binding(home(6))));
    EXPECT_TRUE(tables_.mobile_prefixes.empty());
}

TEST_F(MobilePrefixes, what_a_sync_does_not_name_is_swept) {
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5000::", 64, home(5))));
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5001::", 64, home(5))));
    ASSERT_TRUE(writer_.apply(mobile_prefix("10.6.0.0", 16, home(6))));
    writer_.begin_sync();
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    ASSERT_TRUE(writer_.apply(mobile_prefix("2001:db8:5001::", 64, home(5))));
    EXPECT_EQ(leads_to("2001:db8:5000::1"), home(5)) << "until the sync has ended";
    EXPECT_EQ(writer_.end_sync(), 3u);  // two prefixes and the binding of node 6
    EXPECT_EQ(leads_to("2001:db8:5000::1"), Ipv6Address{});
    EXPECT_EQ(leads_to("2001:db8:5001::1"), home(5));
    EXPECT_EQ(leads_to("10.6.0.1"), Ipv6Address{});
}

TEST_F(MobilePrefixes, bad_records_are_refused_and_change_nothing) {
    EXPECT_EQ(error_of(mobile_prefix("2001:db8:5000::", 64, home(7))), CommandError::kRefused);
    for (const auto& [prefix, length] : {std::pair{"::", 0},
                                         {"ff02::", 16},
                                         {"fe80::", 64},
                                         {"::", 64},
                                         {"::ffff:0:0", 96},
                                         {"0.0.0.0", 0},
                                         {"127.0.0.0", 8},
                                         {"224.0.0.0", 4},
                                         {"169.254.0.0", 16}}) {
        EXPECT_EQ(error_of(mobile_prefix(prefix, static_cast<std::uint8_t>(length), home(5))),
                  CommandError::kMalformed)
            << prefix;
    }
    EXPECT_EQ(error_of(mobile_prefix("10.0.0.0", 33, home(5))), CommandError::kMalformed);
    EXPECT_TRUE(tables_.mobile_prefixes.empty());
}

TEST_F(MobilePrefixes, a_full_table_refuses_new_ones_only) {
    for (int i = 0; i < 10; ++i) {
        const std::string prefix = "2001:db8:50" + std::to_string(10 + i) + "::";
        ASSERT_TRUE(writer_.apply(mobile_prefix(prefix, 64, home(5)))) << i;
    }
    EXPECT_EQ(error_of(mobile_prefix("2001:db8:6000::", 64, home(5))), CommandError::kTableFull);
    EXPECT_TRUE(writer_.apply(mobile_prefix("2001:db8:5010::", 64, home(6))));
    EXPECT_EQ(leads_to("2001:db8:5010::1"), home(6));
    EXPECT_EQ(leads_to("2001:db8:6000::1"), Ipv6Address{});
}

}  // namespace
}  // namespace homeport::table::test
