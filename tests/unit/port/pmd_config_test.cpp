// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/pmd_config.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>

#include <fstream>
#include <set>

namespace homeport::port {
namespace {

TEST(PmdConfig, the_files_of_the_repository_are_good_and_name_each_driver_once) {
    const auto configs = PmdConfigs::load(HOMEPORT_SOURCE_ROOT "/pmd-config");
    ASSERT_TRUE(configs) << configs.error();
    std::set<std::string> drivers, names;
    for (const PmdConfig& config : configs->all()) {
        names.insert(config.name);
        EXPECT_FALSE(config.title.empty()) << config.name;
        EXPECT_FALSE(config.limits.empty()) << config.name;
        for (const std::string& driver : config.drivers) {
            EXPECT_TRUE(drivers.insert(driver).second) << driver << " is named twice";
        }
    }
    for (const char* wanted : {"generic", "virtio", "e1000", "ixgbe", "i40e", "ice", "mlx5",
                               "af_xdp", "af_packet", "tap", "pcap", "ring", "null", "memif"}) {
        EXPECT_TRUE(names.contains(wanted)) << wanted;
    }
    EXPECT_EQ(configs->find_driver("net_tap")->name, "tap");
    EXPECT_TRUE(configs->find_driver("net_tap")->derived_mac);
    EXPECT_EQ(configs->find_driver("net_unheard_of"), nullptr);
    EXPECT_EQ(configs->generic().name, "generic");
    EXPECT_EQ(configs->find_device("net_af_packet12,iface=x")->name, "af_packet");
    EXPECT_EQ(configs->find_device("0000:03:00.0"), nullptr);
}

TEST(PmdConfig, a_value_is_read) {
    const auto config = parse_pmd_config(
        "title: t\ndrivers: [net_x, net_y]\nqueues: {max: 3}\ndescriptors: {rx: 128, tx: 256}\n"
        "offloads: {rx: [udp_checksum], tx: [ipv4_checksum]}\nsignalling_queue: true\nlook_ahead: "
        "77\nrss: [esp, udp]\npromiscuous: true\n"
        "devargs: {a: 1}\nflow_rules: [{match: esp_spi, action: queue, note: n}]\n",
        "f");
    ASSERT_TRUE(config) << config.error();
    EXPECT_EQ(config->max_queues, 3);
    EXPECT_EQ(config->rx_descriptors, 128);
    EXPECT_EQ(config->tx_descriptors, 256);
    EXPECT_FALSE(config->rx_ipv4_checksum);
    EXPECT_TRUE(config->tx_ipv4_checksum);
    EXPECT_TRUE(config->rx_udp_checksum);
    EXPECT_FALSE(config->tx_udp_checksum);
    EXPECT_TRUE(config->signalling_queue);
    EXPECT_EQ(config->look_ahead, 77);
    EXPECT_EQ(config->rss, RTE_ETH_RSS_ESP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
                               RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_IPV6_UDP_EX);
    EXPECT_TRUE(config->promiscuous);
    EXPECT_EQ(config->devargs.at("a"), "1");
    ASSERT_EQ(config->flow_rules.size(), 1u);
    EXPECT_EQ(config->flow_rules[0].match, "esp_spi");
}

TEST(PmdConfig, an_error_names_file_line_and_what_is_expected) {
    const std::string good = "title: t\ndrivers: [d]\n";
    const auto error_of = [&](const std::string& more) {
        const auto config = parse_pmd_config(good + more, "x.yaml");
        return config ? "no error" : config.error();
    };
    EXPECT_EQ(error_of("nonsense: 1\n").substr(0, 12), "x.yaml:3:1: ");
    EXPECT_NE(error_of("queues: {max: 0}\n").find("1 to 1024"), std::string::npos);
    EXPECT_NE(error_of("queues: {most: 1}\n").find("max"), std::string::npos);
    EXPECT_NE(error_of("offloads: {rx: [tcp]}\n").find("udp_checksum"), std::string::npos);
    EXPECT_NE(error_of("look_ahead: 5000\n").find("0 to 4096"), std::string::npos);
    EXPECT_NE(error_of("rss: [tea]\n").find("'tea'"), std::string::npos);
    EXPECT_NE(error_of("own_mac: mine\n").find("device or derived"), std::string::npos);
    EXPECT_NE(error_of("link_state: 1\n").find("always_up"), std::string::npos);
    EXPECT_NE(error_of("flow_rules: [{match: all, action: queue}]\n").find("match"),
              std::string::npos);
    EXPECT_NE(error_of("rss: [\n").find("x.yaml:"), std::string::npos);
    const auto missing = parse_pmd_config("title: t\n", "x.yaml");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().find("'drivers'"), std::string::npos);
    EXPECT_FALSE(parse_pmd_config("", "x.yaml"));
    EXPECT_FALSE(parse_pmd_config("- a list\n", "x.yaml"));
}

TEST(PmdConfig, a_directory_that_is_missing_is_an_error) {
    EXPECT_FALSE(PmdConfigs::load("/nonexistent"));
}

TEST(PmdConfig, devargs_are_added_unless_they_are_given) {
    EXPECT_EQ(with_devargs("net_x0,iface=a", {{"framesz", "9"}, {"iface", "b"}}),
              "net_x0,iface=a,framesz=9");
    EXPECT_EQ(with_devargs("net_x0", {{"a", "1"}}), "net_x0,a=1");
    EXPECT_EQ(with_devargs("net_x0,a", {{"a", "1"}}), "net_x0,a");
}

}  // namespace
}  // namespace homeport::port
