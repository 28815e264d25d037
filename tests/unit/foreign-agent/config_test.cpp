// SPDX-License-Identifier: BSD-3-Clause
// homeport-fa.yaml: every key, and errors that say where.
#include "tools/foreign-agent/config.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace homeport::foreign_agent {
namespace {

const std::string kLeast = "care_of_address: 198.51.100.9\nlinks: [{interface: visited0}]\n";

/// Line, column and what was expected of the first error; empty: there is none.
std::string error_of(const std::string& text) {
    const auto config = parse(text, "fa.yaml");
    if (config) return "";
    return config::to_string(config.error());
}

TEST(ForeignAgentConfig, two_keys_are_enough) {
    const auto config = parse(kLeast, "fa.yaml");
    ASSERT_TRUE(config) << config::to_string(config.error());
    EXPECT_EQ(config->care_of_address, Ipv4Address::parse("198.51.100.9"));
    ASSERT_EQ(config->links.size(), 1u);
    EXPECT_EQ(config->links[0].interface, "visited0");
    EXPECT_EQ(config->max_lifetime, 600);
    EXPECT_EQ(config->reverse_tunnel, mip4::ReverseTunnelPolicy::kAvailable);
    EXPECT_EQ(config->udp_tunnel, mip4::ForeignUdpPolicy::kNever);
}

TEST(ForeignAgentConfig, the_example_has_every_key) {
    const auto config = load_file(HOMEPORT_EXAMPLE);
    ASSERT_TRUE(config) << config::to_string(config.error());
    EXPECT_EQ(config->links[0].address, Ipv4Address::parse("10.1.0.1"));
    ASSERT_EQ(config->home_agent_keys.size(), 1u);
    EXPECT_EQ(config->home_agent_keys[0].spi, 300u);
    ASSERT_EQ(config->mobile_node_keys.size(), 2u);
    EXPECT_EQ(config->mobile_node_keys[1].nai, "alice@example.org");
    // But for examples it shows the defaults.
    Config plain = *parse(kLeast, config->file);
    plain.links = config->links;
    plain.home_agent_keys = config->home_agent_keys;
    plain.mobile_node_keys = config->mobile_node_keys;
    EXPECT_EQ(plain, *config);
}

TEST(ForeignAgentConfig, every_value_is_read) {
    const auto config = parse(
        kLeast +
            R"(advertise: {min_interval_ms: 200, max_interval_ms: 300, lifetime: 7, only_solicited: on,
  broadcast: on, default_router: on, prefix_lengths: on, nai: fa@corp.example,
  nai_extension: 200}
registration_required: on
max_lifetime: infinite
gre: off
minimal: off
reverse_tunnel: mandatory
encapsulating_delivery: off
co_located: off
udp_tunnel: forced
keepalive: 20
home_agents: [192.0.2.0/24]
max_visitors: 5
max_pending: 6
registration_timeout: 3
revocation: off
notify_visitors: off
security: {home_agents: [{address: 192.0.2.1, spi: 4711, algorithm: hmac-sha256, key_file: a.key}]}
rule_priority: 99
status_socket: fa.sock
log_level: debug
)",
        "/tmp/x/fa.yaml");
    ASSERT_TRUE(config) << config::to_string(config.error());
    EXPECT_EQ(config->advertise,
              (AdvertiseConfig{std::chrono::milliseconds(200), std::chrono::milliseconds(300), 7,
                               true, true, true, true, "fa@corp.example", 200}));
    EXPECT_TRUE(config->registration_required);
    EXPECT_EQ(config->max_lifetime, 0xffff);
    EXPECT_FALSE(config->gre || config->minimal || config->encapsulating_delivery ||
                 config->co_located || config->revocation || config->notify_visitors);
    EXPECT_EQ(config->reverse_tunnel, mip4::ReverseTunnelPolicy::kMandatory);
    EXPECT_EQ(config->udp_tunnel, mip4::ForeignUdpPolicy::kForced);
    EXPECT_EQ(config->keepalive, std::chrono::seconds(20));
    EXPECT_EQ(config->home_agents.size(), 1u);
    EXPECT_EQ(config->max_visitors, 5u);
    EXPECT_EQ(config->max_pending, 6u);
    EXPECT_EQ(config->registration_timeout, std::chrono::seconds(3));
    EXPECT_EQ(config->home_agent_keys[0].algorithm, mip4::Algorithm::kHmacSha256);
    EXPECT_EQ(config->home_agent_keys[0].key_file, "/tmp/x/a.key");
    EXPECT_EQ(config->rule_priority, 99u);
    EXPECT_EQ(config->status_socket, "/tmp/x/fa.sock");
    EXPECT_EQ(config->log_level, config::LogLevel::kDebug);
}

TEST(ForeignAgentConfig, errors_say_where_and_what_was_expected) {
    const std::tuple<std::string, std::string, std::string> wrong[] = {
        {"links: [{interface: a}]\n", "care_of_address", ""},
        {"care_of_address: 198.51.100.9\n", "links", ""},
        {"care_of_address: 224.0.0.1\nlinks: [{interface: a}]\n", "fa.yaml:1", "unicast"},
        {kLeast + "gre: maybe\n", "fa.yaml:3", "gre"},
        {kLeast + "max_lifetime: 0\n", "fa.yaml:3", "1"},
        {kLeast + "keepalive: 9\n", "fa.yaml:3", "10"},
        {kLeast + "reverse_tunnel: perhaps\n", "fa.yaml:3", "off, on, mandatory"},
        {kLeast + "revers_tunnel: on\n", "fa.yaml:3", "reverse_tunnel"},
        {kLeast + "advertise: {lifetime: 5}\n", "fa.yaml:3", "max_interval_ms"},
        {kLeast + "advertise: {min_interval_ms: 5000, max_interval_ms: 400}\n", "fa.yaml:3",
         "min_interval_ms"},
        {kLeast + "advertise: {default_router: off, prefix_lengths: on}\n", "fa.yaml:3", "off"},
        {kLeast + "security: {mobile_nodes: [{spi: 300, key_file: a}]}\n", "security",
         "home_address or nai"},
        {kLeast + "security: {home_agents: [{address: 192.0.2.1, spi: 255, key_file: a}]}\n",
         "fa.yaml:3", "256"},
        {kLeast + "udp_tunnel: on\nreverse_tunnel: off\n", "reverse_tunnel", "mandatory"},
        {"care_of_address: 198.51.100.9\nlinks: [{interface: a}, {interface: a}]\n", "links",
         "each link once"},
        {"care_of_address: 198.51.100.9\nlinks: [{interface: 'a/b'}]\n", "fa.yaml:2",
         "network device"},
        {"a: [", "fa.yaml", "YAML"}};
    for (const auto& [text, place, expected] : wrong) {
        const std::string error = error_of(text);
        EXPECT_NE(error, "") << text;
        EXPECT_NE(error.find(place), std::string::npos) << error;
        EXPECT_NE(error.find(expected), std::string::npos) << error;
    }
}

}  // namespace
}  // namespace homeport::foreign_agent
