// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "dataplane/config/config.hpp"

namespace homeport::config {
namespace {

using testing::HasSubstr;

std::string gateway(const std::string& clients, const std::string& rest = "") {
    return "controlplane:\n  vpn_gateway:\n    addresses: [203.0.113.1]\n" + rest +
           "    clients:\n" + clients;
}
std::string client(const std::string& inner, const std::string& outer, unsigned spi,
                   const std::string& more = "") {
    const std::string number = std::to_string(spi);
    return "      - {inner: " + inner + ", outer: " + outer + more + ", sa: {spi_in: " + number +
           ", spi_out: 1" + number +
           ", algorithm: aes128-cbc-hmac-sha256-128, key_file_in: " + number +
           ".in, key_file_out: " + number + ".out, replay_window: 64}}\n";
}
std::string errors_of(const std::string& text) {
    const auto config = parse(text, "/etc/homeport/homeport.yaml");
    return config ? "" : to_string(config.error());
}

TEST(VpnGatewayConfig, everything_of_it_is_read_and_written_back) {
    const auto config =
        parse(gateway(client("10.8.0.5", "192.0.2.7", 300,
                             ", name: anna, translated: 192.168.7.5, udp_encapsulation: always") +
                          client("10.8.0.6", "192.0.2.8", 301),
                      "    networks: [10.0.0.0/8]\n    path_mtu: 1400\n"),
              "/etc/homeport/homeport.yaml");
    ASSERT_TRUE(config) << to_string(config.error());
    const VpnGatewayConfig& read = config->controlplane.vpn_gateway;
    ASSERT_EQ(read.clients.size(), 2u);
    EXPECT_EQ(read.addresses.front().to_string(), "203.0.113.1");
    EXPECT_EQ(read.networks.front().to_string(), "10.0.0.0/8");
    EXPECT_EQ(read.path_mtu, 1400);
    EXPECT_EQ(read.clients[0].name, "anna");
    EXPECT_EQ(read.clients[0].translated->to_string(), "192.168.7.5");
    EXPECT_EQ(read.clients[0].udp_encapsulation, VpnUdp::kAlways);
    EXPECT_EQ(read.clients[0].sa.key_file_in, "/etc/homeport/300.in");
    EXPECT_EQ(read.clients[1].name, "10.8.0.6");
    EXPECT_EQ(read.clients[1].udp_encapsulation, VpnUdp::kAuto);
    auto again = parse(to_yaml(*config), "/etc/homeport/homeport.yaml");
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(again->controlplane.vpn_gateway, read);
}

TEST(VpnGatewayConfig, errors_say_where_and_what_was_expected) {
    EXPECT_THAT(errors_of(gateway(client("10.8.0.5", "192.0.2.7", 300) +
                                  client("10.8.0.5", "192.0.2.8", 301))),
                HasSubstr("homeport.yaml:6:"));
    EXPECT_THAT(errors_of(gateway(client("10.8.0.5", "192.0.2.7", 300) +
                                  client("10.8.0.5", "192.0.2.8", 301))),
                HasSubstr("one that is not that of '10.8.0.5' too"));
    EXPECT_THAT(errors_of(gateway(client("10.8.0.5", "192.0.2.7", 300) +
                                  client("10.8.0.6", "192.0.2.7", 301))),
                HasSubstr("clients[1].outer"));
    EXPECT_THAT(errors_of(gateway(client("10.8.0.5", "192.0.2.7", 300) +
                                  client("10.8.0.6", "192.0.2.8", 300))),
                HasSubstr("clients[1].sa.spi_in"));
    EXPECT_THAT(errors_of(gateway(client("10.8.0.5", "203.0.113.1", 300))),
                HasSubstr("an address that is not our own"));
    EXPECT_THAT(errors_of(gateway(client("127.0.0.5", "192.0.2.7", 300))),
                HasSubstr("a unicast IPv4 address"));
    EXPECT_THAT(errors_of(gateway("      - {inner: 10.8.0.5, outer: 192.0.2.7}\n")),
                HasSubstr("clients[0]"));
    EXPECT_THAT(errors_of(gateway(client("10.8.0.5", "192.0.2.7", 300), "    path_mtu: 100\n")),
                HasSubstr("path_mtu"));
    EXPECT_THAT(errors_of("controlplane:\n  home_agent: {ipv4_addresses: [203.0.113.1]}\n"
                          "  vpn_gateway: {addresses: [203.0.113.1]}\n"),
                HasSubstr("none of home_agent.ipv4_addresses"));
    EXPECT_THAT(errors_of("controlplane:\n  vpn_gateway:\n    clients:\n" +
                          client("10.8.0.5", "192.0.2.7", 300)),
                HasSubstr("at which the clients' ESP ends"));
}

}  // namespace
}  // namespace homeport::config
