// SPDX-License-Identifier: BSD-3-Clause
// Section mobile_ipv4 of homeport-mn.yaml.
#include "tools/mobile-node/mip4/config.hpp"

#include <gtest/gtest.h>

#include "tools/mobile-node/config.hpp"

namespace homeport::mobile_node {
namespace {

using std::chrono::seconds;

constexpr std::string_view kPlain = R"(mobile_ipv4:
  internal:
    home_agent: 10.1.0.1
    home_address: 10.1.0.100
    spi: 300
    key_file: i.key
)";
constexpr std::string_view kAcross = R"(  external:
    home_agent: 198.51.100.1
    home_address: 198.51.100.100
    spi: 400
    key_file: /keys/x.key
  vpn:
    gateway: 198.51.100.10
    inner_address: 10.1.9.5
    sa: {spi_in: 0x20001, spi_out: 0x10001, algorithm: aes128-cbc-hmac-sha256-128,
         key_file_in: in.key, key_file_out: out.key, replay_window: 1024}
)";

std::expected<Config, config::ConfigErrors> read(const std::string& text) {
    return parse(text, "/etc/homeport/mn.yaml");
}
std::string errors_of(const std::string& text) {
    const auto config = read(text);
    return config ? "no error" : config::to_string(config.error());
}
std::string plain(const std::string& more = "") {
    return std::string(kPlain) + more;
}
std::string across(const std::string& more = "") {
    return plain(std::string(kAcross) + more);
}
void expect_error(const std::string& text, const std::string& part) {
    const std::string errors = errors_of(text);
    EXPECT_NE(errors.find(part), std::string::npos) << errors;
}

TEST(Mip4Config, the_least_that_is_needed_gets_defaults) {
    const auto config = read(plain());
    ASSERT_TRUE(config) << config::to_string(config.error());
    ASSERT_TRUE(config->mobile_ipv4);
    const Mip4Config& mip4 = *config->mobile_ipv4;
    EXPECT_EQ(mip4.internal.key_file, "/etc/homeport/i.key");
    EXPECT_EQ(mip4.internal.lifetime, 600);
    EXPECT_TRUE(mip4.internal.reverse_tunnel);
    EXPECT_FALSE(mip4.external);
    EXPECT_FALSE(mip4.vpn);
    EXPECT_EQ(mip4.detection.monitor, seconds(60));  // S2.54
    EXPECT_EQ(mip4.detection.profile, mip4::Profile::kRfc5265);
    EXPECT_TRUE(mip4.mss_clamp);
    EXPECT_EQ(config->tunnel.name, "homeport0");
}

TEST(Mip4Config, everything_can_be_said) {
    const auto config =
        read(across(R"(  detection: {profile: draft02, detect_period_ms: 0, monitor: 30,
              grace: 5, stale: drop, queue_size: 10, idle_after: 20, stale_retries: 2}
  hints: {domains: [corp.example], gateway_macs: ["02:00:00:00:01:01"], resolv_conf: run/resolv.conf, nai_extension: 200}
  foreign_agents: never
  keepalive: 30
  mss_clamp: off
  path_mtu: 1400
interfaces: [eth0]
keep_binding_on_exit: on
)"));
    ASSERT_TRUE(config) << config::to_string(config.error());
    const Mip4Config& mip4 = *config->mobile_ipv4;
    EXPECT_EQ(mip4.external->key_file, "/keys/x.key");
    EXPECT_EQ(mip4.vpn->sa.spi_in, 0x20001u);
    EXPECT_EQ(mip4.vpn->sa.key_file_out, "/etc/homeport/out.key");
    EXPECT_EQ(mip4.vpn->nat_traversal, Mip4EspUdp::kAuto);
    EXPECT_EQ(mip4.detection.profile, mip4::Profile::kDraft02);
    EXPECT_EQ(mip4.detection.detect_period.count(), 0);
    EXPECT_EQ(mip4.detection.monitor, seconds(30));  // S2.53
    EXPECT_FALSE(mip4.detection.queue);
    EXPECT_EQ(mip4.detection.idle_after, seconds(20));
    EXPECT_EQ(mip4.hints.domains, std::vector<std::string>{"corp.example"});
    ASSERT_EQ(mip4.hints.gateway_macs.size(), 1u);
    EXPECT_EQ(mip4.hints.gateway_macs[0], *MacAddress::parse("02:00:00:00:01:01"));
    EXPECT_EQ(mip4.hints.resolv_conf, "/etc/homeport/run/resolv.conf");
    EXPECT_EQ(mip4.hints.nai_extension, 200);
    EXPECT_EQ(mip4.foreign_agents, Mip4ForeignAgents::kNever);
    EXPECT_EQ(mip4.keepalive, seconds(30));
    EXPECT_FALSE(mip4.mss_clamp);
    EXPECT_EQ(mip4.path_mtu, 1400);
    EXPECT_TRUE(config->keep_binding_on_exit);
}

TEST(Mip4Config, S2_74_S2_76_hints_that_cannot_be_compared_are_refused) {
    expect_error(across("  hints: {domains: [Corp.Example]}\n"), "a domain name in lower case");
    expect_error(across("  hints: {domains: [.example]}\n"), "a domain name in lower case");
    expect_error(across("  hints: {gateway_macs: [10.0.0.1]}\n"), "gateway_macs");
    expect_error(across("  hints: {nais: [fa@example]}\n"), "nais");
    expect_error(across("  hints: {nai_extension: 25}\n"), "128 to 255");
}

TEST(Mip4Config, of_a_home_agent) {
    const auto config = read(R"(mobile_ipv4:
  internal: {home_agent: 10.1.0.1, home_address: dynamic, nai: alice@example, spi: 256, key_file: k,
             algorithm: hmac-sha256, replay: nonces, lifetime: 65535, encapsulation: minimal,
             udp: forced, reverse_tunnel: off}
)");
    ASSERT_TRUE(config) << config::to_string(config.error());
    const Mip4HomeAgent& agent = config->mobile_ipv4->internal;
    EXPECT_TRUE(agent.home_address.is_unspecified());
    EXPECT_EQ(agent.nai, "alice@example");
    EXPECT_EQ(agent.algorithm, mip4::Algorithm::kHmacSha256);
    EXPECT_EQ(agent.replay, mip4::ReplayStyle::kNonces);
    EXPECT_EQ(agent.lifetime, 65535);
    EXPECT_EQ(agent.encapsulation, mip4::Encapsulation::kMinimal);
    EXPECT_EQ(agent.udp, Mip4Udp::kForced);
    EXPECT_FALSE(agent.reverse_tunnel);
}

TEST(Mip4Config, S2_73_S2_95_equal_home_agents_are_refused_unless_outside_is_assumed) {
    std::string equal = across();
    equal.replace(equal.find("198.51.100.1\n"), 12, "10.1.0.1");
    expect_error(equal, "mobile_ipv4.external.home_agent: found 10.1.0.1");
    expect_error(equal, "detection.assume_outside must say so");
    EXPECT_EQ(errors_of(equal + "  detection: {assume_outside: on}\n"), "no error");
}

TEST(Mip4Config, errors_say_where_and_what_was_expected) {
    expect_error("mobile_ipv4: {}\n", "mobile_ipv4.internal");
    expect_error(plain("  external: {home_agent: 198.51.100.1, home_address: 198.51.100.100,"
                       " spi: 400, key_file: x}\n"),
                 "both or none");
    expect_error(plain("  detection: {monitor: 10, grace: 10}\n"), "less than monitor, 10");
    expect_error(plain("  detection: {profile: rfc9999}\n"), "one of rfc5265, draft02");
    expect_error(plain("  detection: {monitor: 2}\n"), "5");
    expect_error(plain("home_address: \"2001:db8::1\"\n"), "home_address");
    expect_error(R"(mobile_ipv4:
  internal: {home_agent: 10.1.0.1, spi: 256, key_file: k}
)",
                 "the home address, or nai");
    expect_error(R"(mobile_ipv4:
  internal: {home_agent: 224.0.0.1, home_address: 10.1.0.2, spi: 255, key_file: k}
)",
                 "a unicast IPv4 address");
    std::string gcm = across();
    gcm.replace(gcm.find("aes128-cbc-hmac-sha256-128"), 26, "aes128-gcm16");
    expect_error(gcm, "lab.static_gcm allows it");
    std::string twice = across();
    twice.replace(twice.find("198.51.100.100"), 14, "10.1.0.100");
    expect_error(twice, "10.1.0.100 twice");
    std::string inside = across();
    inside.replace(inside.find("198.51.100.10\n"), 13, "10.1.0.1");
    expect_error(inside, "an address that is reached from outside");
    // Line and column.
    expect_error(plain("  nonsense: 1\n"), "/etc/homeport/mn.yaml:7:3");
}

TEST(Mip4Config, a_change_needs_a_restart) {
    const auto one = read(plain());
    const auto other = read(plain("  keepalive: 20\n"));
    ASSERT_TRUE(one && other);
    EXPECT_EQ(needs_restart(*one, *one), "");
    EXPECT_EQ(needs_restart(*one, *other), "mobile_ipv4");
}

}  // namespace
}  // namespace homeport::mobile_node
