// SPDX-License-Identifier: BSD-3-Clause
// Keys of RFC 5555 and RFC 3963: values, defaults, and the errors of a whole file.
#include <gtest/gtest.h>

#include "dataplane/config/config.hpp"

namespace homeport::config {
namespace {

std::string errors_of(const std::string& text) {
    const auto config = parse(text, "/etc/t.yaml");
    return config ? "" : to_string(config.error());
}

/// A control plane with one virtual home link, `link` more of its keys, and `rest` behind it.
std::string with(const std::string& link, const std::string& rest = "",
                 const std::string& agent = "") {
    return "controlplane:\n  home_agent: {addresses: ['2001:db8::1']" + agent +
           "}\n  home_links:\n    - {prefix: '2001:db8::/64', port: virtual" + link + "}\n" + rest;
}

TEST(DualStackConfigTest, every_key_arrives_in_its_member) {
    const auto config = parse(
        with(", ipv4_prefix: 192.0.2.0/24, ipv4_pool: {first: 192.0.2.10, last: 192.0.2.20}",
             "  mobile_nodes:\n    - home_address: 2001:db8::5\n"
             "      ipv4_home_address: 192.0.2.9\n"
             "      mobile_prefixes: ['2001:db8:70::/48']\n"
             "      ipv4_mobile_prefixes: [10.7.0.0/16, 10.8.0.0/24]\n"
             "  dual_stack: {nat_refresh: 55, force_udp: on, accept_force_udp: on,\n"
             "    omit_natdet: on, tlv_header: on, esp_over_ipv4: nested, nat_pending_max: 64,\n"
             "    nat_pending_ttl: 1500, nat_lock_depth: 3, nat_lock_timeout: 40,\n"
             "    source_changes_per_minute: 12}\n",
             ", ipv4_addresses: [203.0.113.1, 192.0.2.1]"),
        "t");
    ASSERT_TRUE(config) << to_string(config.error());
    const ControlplaneConfig& cp = config->controlplane;
    ASSERT_EQ(cp.home_agent.ipv4_addresses.size(), 2u);
    EXPECT_EQ(cp.home_agent.ipv4_addresses[0].to_string(), "203.0.113.1");
    ASSERT_TRUE(cp.home_links[0].ipv4_pool);
    EXPECT_EQ(cp.home_links[0].ipv4_pool->first.to_string(), "192.0.2.10");
    EXPECT_EQ(cp.home_links[0].ipv4_pool->last.to_string(), "192.0.2.20");
    ASSERT_EQ(cp.mobile_nodes[0].mobile_prefixes.size(), 1u);
    EXPECT_EQ(cp.mobile_nodes[0].mobile_prefixes[0].to_string(), "2001:db8:70::/48");
    ASSERT_EQ(cp.mobile_nodes[0].ipv4_mobile_prefixes.size(), 2u);
    EXPECT_EQ(cp.mobile_nodes[0].ipv4_mobile_prefixes[1].to_string(), "10.8.0.0/24");
    const DualStackConfig expected{.nat_refresh = 55,
                                   .force_udp = true,
                                   .accept_force_udp = true,
                                   .omit_nat_detection = true,
                                   .tlv_header = true,
                                   .esp_over_ipv4 = EspOverIpv4::kNested,
                                   .nat_pending_max = 64,
                                   .nat_pending_ttl = 1500,
                                   .nat_lock_depth = 3,
                                   .nat_lock_timeout = 40,
                                   .source_changes_per_minute = 12};
    EXPECT_EQ(cp.dual_stack, expected);
    auto again = parse(to_yaml(*config), "t");
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(*config, *again);
}

TEST(DualStackConfigTest, defaults_are_those_of_the_rfc_with_force_udp_tlv_and_omission_off) {
    const DualStackConfig dual_stack = defaults().controlplane.dual_stack;
    EXPECT_EQ(dual_stack.nat_refresh, 110u);  // NATKATIMEOUT
    EXPECT_FALSE(dual_stack.force_udp);
    EXPECT_FALSE(dual_stack.accept_force_udp);
    EXPECT_FALSE(dual_stack.omit_nat_detection);
    EXPECT_FALSE(dual_stack.tlv_header);
}

struct Wrong {
    const char* what;
    std::string text;
    const char* error;
};

class DualStackErrors : public testing::TestWithParam<Wrong> {};

TEST_P(DualStackErrors, name_file_line_column_found_and_expected) {
    EXPECT_EQ(errors_of(GetParam().text), GetParam().error);
}

const std::string kPrefix = ", ipv4_prefix: 192.0.2.0/24";

INSTANTIATE_TEST_SUITE_P(
    All, DualStackErrors,
    testing::Values(
        Wrong{"pool_without_prefix", with(", ipv4_pool: {first: 192.0.2.10, last: 192.0.2.20}"),
              "/etc/t.yaml:4:59: controlplane.home_links[0].ipv4_pool: found 192.0.2.10 to "
              "192.0.2.20, expected a pool inside ipv4_prefix, which is not set"},
        Wrong{"pool_outside", with(kPrefix + ", ipv4_pool: {first: 192.0.2.10, last: 192.0.3.2}"),
              "/etc/t.yaml:4:112: controlplane.home_links[0].ipv4_pool.last: found 192.0.3.2, "
              "expected the address of a host in the ipv4_prefix 192.0.2.0/24"},
        Wrong{"pool_with_broadcast",
              with(kPrefix + ", ipv4_pool: {first: 192.0.2.10, last: 192.0.2.255}"),
              "/etc/t.yaml:4:112: controlplane.home_links[0].ipv4_pool.last: found 192.0.2.255, "
              "expected the address of a host in the ipv4_prefix 192.0.2.0/24"},
        Wrong{"pool_backwards", with(kPrefix + ", ipv4_pool: {first: 192.0.2.10, last: 192.0.2.9}"),
              "/etc/t.yaml:4:112: controlplane.home_links[0].ipv4_pool.last: found '192.0.2.9', "
              "expected an address not below first, 192.0.2.10"},
        Wrong{"pool_too_large",
              with(", ipv4_prefix: 10.0.0.0/8, ipv4_pool: {first: 10.0.0.1, last: 10.99.0.1}"),
              "/etc/t.yaml:4:108: controlplane.home_links[0].ipv4_pool.last: found '10.99.0.1', "
              "expected at most 1048576 addresses from 10.0.0.1"},
        Wrong{"pool_without_last", with(kPrefix + ", ipv4_pool: {first: 192.0.2.10}"),
              "/etc/t.yaml:4:86: controlplane.home_links[0].ipv4_pool.last: found nothing, "
              "expected the key 'last': an IPv4 address"},
        Wrong{"pool_with_own_address",
              with(kPrefix + ", ipv4_pool: {first: 192.0.2.10, last: 192.0.2.20}", "",
                   ", ipv4_addresses: [192.0.2.12]"),
              "/etc/t.yaml:4:86: controlplane.home_links[0].ipv4_pool: found 192.0.2.10 to "
              "192.0.2.20, expected a pool without the home agent's own address 192.0.2.12"},
        Wrong{"static_inside_the_pool",
              with(kPrefix + ", ipv4_pool: {first: 192.0.2.10, last: 192.0.2.20}",
                   "  mobile_nodes:\n    - home_address: 2001:db8::5\n"
                   "      ipv4_home_address: 192.0.2.10\n"),
              "/etc/t.yaml:7:26: controlplane.mobile_nodes[0].ipv4_home_address: found "
              "192.0.2.10, expected IPv4 home addresses outside the ipv4_pool 192.0.2.10 to "
              "192.0.2.20"},
        Wrong{"range_reaches_the_pool",
              with(kPrefix + ", ipv4_pool: {first: 192.0.2.10, last: 192.0.2.20}",
                   "  mobile_node_ranges:\n    - {first: 2001:db8::5, count: 8, "
                   "ipv4_first: 192.0.2.3}\n"),
              "/etc/t.yaml:6:50: controlplane.mobile_node_ranges[0].ipv4_first: found 192.0.2.3 "
              "and those behind it, expected IPv4 home addresses outside the ipv4_pool "
              "192.0.2.10 to 192.0.2.20"},
        Wrong{"own_address_of_a_node",
              with(kPrefix,
                   "  mobile_nodes:\n    - home_address: 2001:db8::5\n"
                   "      ipv4_home_address: 192.0.2.1\n",
                   ", ipv4_addresses: [192.0.2.1]"),
              "/etc/t.yaml:7:26: controlplane.mobile_nodes[0].ipv4_home_address: found "
              "192.0.2.1, expected not an address of the home agent itself"},
        Wrong{"own_address_twice", with("", "", ", ipv4_addresses: [192.0.2.1, 192.0.2.1]"),
              "/etc/t.yaml:2:72: controlplane.home_agent.ipv4_addresses[1]: found '192.0.2.1', "
              "expected each address once"},
        Wrong{"own_address_multicast", with("", "", ", ipv4_addresses: [224.0.0.1]"),
              "/etc/t.yaml:2:61: controlplane.home_agent.ipv4_addresses[0]: found '224.0.0.1', "
              "expected a unicast IPv4 address"},
        Wrong{"mobile_prefix_of_two_nodes",
              with("",
                   "  mobile_nodes:\n"
                   "    - {home_address: 2001:db8::5, mobile_prefixes: ['2001:db8:70::/48']}\n"
                   "    - {home_address: 2001:db8::6, mobile_prefixes: ['2001:db8:70:1::/64']}\n"),
              "/etc/t.yaml:7:53: controlplane.mobile_nodes[1].mobile_prefixes[0]: found "
              "2001:db8:70:1::/64, expected a prefix that does not meet 2001:db8:70::/48"},
        Wrong{"mobile_prefix_with_host_bits",
              with("",
                   "  mobile_nodes:\n"
                   "    - {home_address: 2001:db8::5, mobile_prefixes: ['2001:db8:70::1/48']}\n"),
              "/etc/t.yaml:6:53: controlplane.mobile_nodes[0].mobile_prefixes[0]: found "
              "'2001:db8:70::1/48', expected a prefix without host bits: 2001:db8:70::/48"},
        Wrong{"mobile_prefix_around_the_home_agent",
              with("",
                   "  mobile_nodes:\n"
                   "    - {home_address: 2001:db8::5, mobile_prefixes: ['2001:db8::/32']}\n"),
              "/etc/t.yaml:6:53: controlplane.mobile_nodes[0].mobile_prefixes[0]: found "
              "2001:db8::/32, expected a prefix without the home agent's own address 2001:db8::1"},
        Wrong{"ipv4_mobile_prefix_around_the_home_link",
              with(", ipv4_prefix: 192.0.2.0/24",
                   "  mobile_nodes:\n"
                   "    - {home_address: 2001:db8::5, ipv4_mobile_prefixes: [192.0.0.0/16]}\n"),
              "/etc/t.yaml:6:57: controlplane.mobile_nodes[0].ipv4_mobile_prefixes: found "
              "192.0.0.0/16, expected a "
              "prefix that does not hold the home link's 192.0.2.0/24"},
        Wrong{"ipv4_mobile_prefix_of_one_address",
              with("",
                   "  mobile_nodes:\n"
                   "    - {home_address: 2001:db8::5, ipv4_mobile_prefixes: [10.0.0.1/32]}\n"),
              "/etc/t.yaml:6:58: controlplane.mobile_nodes[0].ipv4_mobile_prefixes[0]: found "
              "'10.0.0.1/32', expected a unicast prefix with a length from 8 to 31"},
        Wrong{"refresh_too_short", with("", "  dual_stack: {nat_refresh: 4}\n"),
              "/etc/t.yaml:5:29: controlplane.dual_stack.nat_refresh: found '4', expected a whole "
              "number from 5 to 65535 (seconds)"},
        Wrong{"unknown_form", with("", "  dual_stack: {esp_over_ipv4: bare}\n"),
              "/etc/t.yaml:5:31: controlplane.dual_stack.esp_over_ipv4: found 'bare', expected "
              "one of replaced, nested"}),
    [](const auto& parameter) { return std::string(parameter.param.what); });

}  // namespace
}  // namespace homeport::config
