// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/config.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace homeport::config {
namespace {

constexpr std::string_view kFull = R"(# every key once
dataplane:
  main_lcore: 0
  workers: [1, 2]
  idle_backoff: 250
  huge_pages: off
  memory_mb: 256
  eal_args: ["--log-level=6"]
  file_prefix: ha1
  channel_socket: /tmp/ha1/channel.sock
  channel_group: homeport
  mbufs: 8192
  max_bindings: 1000
  max_routes: 2000
  max_adjacencies: 3000
  max_sas: 4000
  ports:
    - {name: home0, device: "net_tap0,iface=x0", tap: hp-home, mac: "02:00:00:00:00:01", mtu: 1400, queues: 2, pmd_config: net_tap, workers: [1], flow_rules: off, look_ahead: 128}
    - name: wan0
      device: 0000:01:00.0
  reassembly: {entries: 10, timeout_ms: 2000, per_source: 5}
  ipsec: {cpu: avx2, copy_mode: on}
  pmd_config_dir: /etc/pmd
controlplane:
  home_agent:
    addresses: ["2001:db8:1::1", "2001:db8:9::1"]
    ipv4_addresses: [198.51.96.1, 203.0.113.1]
    preference: 10
    lifetime: 900
    min_prefix_advertisement_interval: 30
    max_prefix_advertisement_interval: 40
  home_links:
    - {prefix: "2001:db8:1::/64", port: home0, no_binding: drop, dad: off, valid_lifetime: 7200, preferred_lifetime: 3600}
    - {prefix: "2001:db8:9::/64", ipv4_prefix: 198.51.96.0/20, ipv4_pool: {first: 198.51.104.1, last: 198.51.104.200}, port: virtual}
  mobile_nodes:
    - name: car
      home_address: 2001:db8:1::100
      security:
        bu: {spi_in: 0x10000001, spi_out: 0x20000001, algorithm: aes-cbc-128-hmac-sha256-128, key_file_in: keys/in, key_file_out: /k/out, replay_window: 128, esn: on}
        mps: {spi_in: 300, spi_out: 301, algorithm: null-hmac-sha256-128, key_file_in: a, key_file_out: b}
        rr: {spi_in: 302, spi_out: 303, algorithm: x, key_file_in: c, key_file_out: d}
        cn: {spi_in: 306, spi_out: 307, algorithm: z, key_file_in: g, key_file_out: h}
        payload: {spi_in: 304, spi_out: 305, algorithm: y, key_file_in: e, key_file_out: f, replay_window: 1024}
    - home_address: 2001:db8:9::7
      mobile_prefixes: []  # not with protect_payload: dual_stack_test.cpp
      ipv4_mobile_prefixes: []
  mobile_node_ranges:
    - first: 2001:db8:9::1:0
      count: 1000
      ipv4_first: 198.51.100.16
      security:
        spi_in: 0x30000000
        spi_out: 0x40000000
        algorithm: x
        key_directory: keys
        mps: {spi_in: 0x31000000, spi_out: 0x41000000, algorithm: m}
        rr: {spi_in: 0x32000000, spi_out: 0x42000000, algorithm: r}
        cn: {spi_in: 0x34000000, spi_out: 0x44000000, algorithm: c}
        payload: {spi_in: 0x33000000, spi_out: 0x43000000, algorithm: p, replay_window: 512, esn: on}
  policy: {max_lifetime: 600, refresh_advice: 300, require_esp: on, protect_payload: on, check_esp_outer: drop, believe_packet_too_big: off, coa_deny: ["2001:db8:bad::/48", 198.18.0.0/15], allow_unprotected: on, lab_static_gcm: on, technique: heuristic, require_api: off, bu_heur_timeout: 250, bu_heur_min_pkts: 5}
  dual_stack: {nat_refresh: 55, force_udp: on, accept_force_udp: on, omit_natdet: on, tlv_header: on, esp_over_ipv4: nested, nat_pending_max: 64, nat_pending_ttl: 1500, nat_lock_depth: 3, nat_lock_timeout: 40, source_changes_per_minute: 12}
  limits: {bindings: 500, bindings_per_node: 2, bu_per_second: 100, bu_per_node_per_second: 5}
  store: {path: /tmp/b.db}
  management: {socket: /tmp/m.sock, group: admin}
  log: {level: debug, file: /tmp/log, rotate_mb: 5, rotate_files: 2}
  tunnel: {hop_limit: 32, dscp: pipe, path_mtu: 1400}
  rates: {icmp_errors_per_second: 1, punt_packets_per_second: 2, kernel_packets_per_second: 3}
)";

std::string errors_of(std::string_view text) {
    const auto config = parse(text, "/etc/t.yaml");
    return config ? "" : to_string(config.error());
}

TEST(Config, every_key_arrives_in_its_member) {
    const auto config = parse(kFull, "/etc/homeport/t.yaml");
    ASSERT_TRUE(config) << to_string(config.error());
    const DataplaneConfig& dp = config->dataplane;
    EXPECT_EQ(dp.workers.lcores, (std::vector<unsigned>{1, 2}));
    EXPECT_EQ(dp.workers.count, 2u);
    EXPECT_EQ(dp.idle_backoff_us, 250u);
    EXPECT_EQ(dp.huge_pages, HugePages::kOff);
    EXPECT_EQ(dp.eal_args, std::vector<std::string>{"--log-level=6"});
    EXPECT_EQ(dp.channel_group, "homeport");
    ASSERT_EQ(dp.ports.size(), 2u);
    EXPECT_EQ(dp.ports[0].mac->to_string(), "02:00:00:00:00:01");
    EXPECT_EQ(dp.ports[0].queues, 2);
    EXPECT_EQ(dp.ports[0].workers, std::vector<unsigned>{1});
    EXPECT_FALSE(dp.ports[0].flow_rules);
    EXPECT_EQ(dp.ports[0].look_ahead, 128u);
    EXPECT_TRUE(dp.ports[1].workers.empty());
    EXPECT_TRUE(dp.ports[1].flow_rules);
    EXPECT_FALSE(dp.ports[1].look_ahead);
    EXPECT_EQ(dp.ports[1].tap, "hp-wan0");
    EXPECT_EQ(dp.ports[1].queues, 0);
    EXPECT_EQ(dp.reassembly.timeout_ms, 2000u);
    EXPECT_EQ(dp.ipsec.cpu, CryptoCpu::kAvx2);
    EXPECT_TRUE(dp.ipsec.copy_mode);
    const ControlplaneConfig& cp = config->controlplane;
    ASSERT_EQ(cp.home_links.size(), 2u);
    EXPECT_EQ(cp.home_agent.min_prefix_advertisement_interval, 30u);
    EXPECT_EQ(cp.home_agent.max_prefix_advertisement_interval, 40u);
    EXPECT_EQ(cp.home_links[0].valid_lifetime, 7200u);
    EXPECT_FALSE(cp.home_links[0].duplicate_address_detection);
    EXPECT_TRUE(cp.home_links[1].is_virtual());
    EXPECT_EQ(cp.home_links[1].no_binding, NoBinding::kDrop);
    ASSERT_TRUE(cp.mobile_nodes[0].binding_update);
    EXPECT_EQ(cp.mobile_nodes[0].binding_update->spi_in, 0x10000001u);
    EXPECT_EQ(cp.mobile_nodes[0].binding_update->key_file_in, "/etc/homeport/keys/in");
    EXPECT_EQ(cp.mobile_nodes[0].binding_update->key_file_out, "/k/out");
    EXPECT_TRUE(cp.mobile_nodes[0].binding_update->extended_sequence);
    EXPECT_EQ(cp.mobile_nodes[1].name, "2001:db8:9::7");
    EXPECT_EQ(cp.mobile_node_ranges[0].key_directory, "/etc/homeport/keys");
    ASSERT_TRUE(cp.mobile_nodes[0].correspondent);
    EXPECT_EQ(cp.mobile_nodes[0].correspondent->spi_out, 307u);
    ASSERT_TRUE(cp.mobile_node_ranges[0].correspondent);
    EXPECT_EQ(cp.mobile_node_ranges[0].correspondent->algorithm, "c");
    ASSERT_TRUE(cp.mobile_nodes[0].payload);
    EXPECT_EQ(cp.mobile_nodes[0].payload->replay_window, 1024);
    ASSERT_TRUE(cp.mobile_node_ranges[0].payload);
    EXPECT_EQ(cp.mobile_node_ranges[0].payload->spi_in, 0x33000000u);
    EXPECT_EQ(cp.mobile_node_ranges[0].payload->algorithm, "p");
    EXPECT_TRUE(cp.mobile_node_ranges[0].payload->extended_sequence);
    EXPECT_EQ(cp.home_links[1].ipv4_prefix->to_string(), "198.51.96.0/20");
    EXPECT_TRUE(cp.policy.protect_payload);
    EXPECT_EQ(cp.policy.check_esp_outer, CheckEspOuter::kDrop);
    EXPECT_FALSE(cp.policy.believe_packet_too_big);
    EXPECT_TRUE(PolicyConfig{}.believe_packet_too_big);
    ASSERT_EQ(cp.policy.coa_deny.size(), 2u);
    EXPECT_EQ(cp.policy.coa_deny[1].to_string(), "::ffff:198.18.0.0/111");
    EXPECT_EQ(cp.policy.technique, Technique::kHeuristic);
    EXPECT_FALSE(cp.policy.require_api);
    EXPECT_EQ(cp.policy.bu_heur_timeout, 250);
    EXPECT_EQ(cp.policy.bu_heur_min_pkts, 5);
    EXPECT_EQ(cp.log.target, LogTarget::kFile);
    EXPECT_EQ(cp.tunnel.dscp, DscpModel::kPipe);
    EXPECT_EQ(cp.rates.kernel_packets_per_second, 3u);
    EXPECT_EQ(cp.limits.bu_per_node_per_second, 5u);
    EXPECT_EQ(cp.home_agent_address(cp.home_links[1].prefix)->to_string(), "2001:db8:9::1");
}

TEST(Config, an_empty_file_gives_the_defaults_on_virtual_devices) {
    for (const char* text : {"", "# nothing\n", "dataplane:\ncontrolplane:\n", "---\n"}) {
        auto config = parse(text, "t.yaml");
        ASSERT_TRUE(config) << to_string(config.error());
        config->file.clear();
        EXPECT_EQ(*config, defaults());
    }
    EXPECT_TRUE(defaults().dataplane.ports.at(0).device.starts_with("net_tap"));
}

TEST(Config, S1_82_the_heuristic_technique_is_refused_unless_require_api_is_off) {
    EXPECT_TRUE(defaults().controlplane.policy.require_api);
    EXPECT_EQ(defaults().controlplane.policy.technique, Technique::kApi);
    EXPECT_EQ(errors_of("controlplane: {policy: {technique: heuristic}}\n"),
              "/etc/t.yaml:1:36: controlplane.policy.technique: found 'heuristic', expected api, "
              "because policy.require_api is on");
    EXPECT_NE(errors_of("controlplane: {policy: {technique: heuristic, require_api: on}}\n"), "");
    EXPECT_EQ(errors_of("controlplane: {policy: {technique: heuristic, require_api: off}}\n"), "");
    EXPECT_EQ(
        errors_of("controlplane: {policy: {technique: guess}}\n"),
        "/etc/t.yaml:1:36: controlplane.policy.technique: found 'guess', expected one of api, "
        "heuristic");
}

TEST(Config, written_configuration_reads_back_equal_and_hashes_alike) {
    const auto config = parse(kFull, "/etc/homeport/t.yaml");
    ASSERT_TRUE(config);
    const auto again = parse(to_yaml(*config), "/etc/homeport/t.yaml");
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(*config, *again);
    EXPECT_EQ(hash(*config), hash(*again));
    EXPECT_EQ(hash(*config).size(), 64u);
    EXPECT_NE(hash(*config), hash(defaults()));
}

TEST(Config, limit_of_bindings_follows_the_table_unless_given) {
    const auto config = parse("dataplane: {max_bindings: 100}", "t");
    ASSERT_TRUE(config) << to_string(config.error());
    EXPECT_EQ(config->controlplane.limits.bindings, 100u);
    EXPECT_EQ(errors_of("dataplane: {max_bindings: 100}\ncontrolplane:\n  limits: {bindings: 101}"),
              "/etc/t.yaml:3:22: controlplane.limits.bindings: found 101, expected at most "
              "dataplane.max_bindings, 100");
}

struct Wrong {
    const char* what;
    const char* text;
    const char* error;
};

class ConfigErrorsTest : public testing::TestWithParam<Wrong> {};

TEST_P(ConfigErrorsTest, names_file_line_column_found_and_expected) {
    EXPECT_EQ(errors_of(GetParam().text), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigErrorsTest,
    testing::Values(
        Wrong{"unknown_key", "dataplane:\n  mbuf: 5000\n",
              "/etc/t.yaml:2:3: dataplane.mbuf: found the unknown key 'mbuf', expected a known "
              "key; the nearest is 'mbufs'"},
        Wrong{"unknown_section", "data-plane: {}\n",
              "/etc/t.yaml:1:1: data-plane: found the unknown key 'data-plane', expected a known "
              "key; the nearest is 'dataplane'"},
        Wrong{"out_of_range", "dataplane:\n  ports:\n    - {name: a, device: b, mtu: 70000}\n",
              "/etc/t.yaml:3:33: dataplane.ports[0].mtu: found '70000', expected a whole number "
              "from 1280 to 9198 (octets)"},
        Wrong{"not_a_number", "dataplane: {memory_mb: 1G}\n",
              "/etc/t.yaml:1:24: dataplane.memory_mb: found '1G', expected a whole number from 64 "
              "to 1048576 (megabytes)"},
        Wrong{"negative", "dataplane: {main_lcore: -1}\n",
              "/etc/t.yaml:1:25: dataplane.main_lcore: found '-1', expected a whole number from 0 "
              "to 1023"},
        Wrong{"list_for_map", "dataplane: [1]\n",
              "/etc/t.yaml:1:12: dataplane: found a list, expected a map of keys and values"},
        Wrong{"map_for_list", "dataplane:\n  ports: {}\n",
              "/etc/t.yaml:2:10: dataplane.ports: found a map, expected a list of ports"},
        Wrong{"no_port", "dataplane:\n  ports: []\n",
              "/etc/t.yaml:2:10: dataplane.ports: found a list of 0, expected 1 to 32 ports"},
        Wrong{"missing_key", "dataplane:\n  ports:\n    - name: a\n",
              "/etc/t.yaml:3:7: dataplane.ports[0].device: found nothing, expected the key "
              "'device': a PCI address or a virtual device with its arguments"},
        Wrong{"duplicate_key", "dataplane:\n  mbufs: 5000\n  mbufs: 6000\n",
              "/etc/t.yaml:3:3: dataplane.mbufs: found the key 'mbufs' a second time, expected "
              "each key once"},
        Wrong{"bad_choice", "dataplane: {huge_pages: maybe}\n",
              "/etc/t.yaml:1:25: dataplane.huge_pages: found 'maybe', expected one of auto, on, "
              "off"},
        Wrong{"bad_address", "controlplane:\n  home_agent: {addresses: [fe80::1]}\n",
              "/etc/t.yaml:2:28: controlplane.home_agent.addresses[0]: found 'fe80::1', expected a "
              "unicast routable IPv6 address"},
        Wrong{"host_bits", "controlplane:\n  policy: {coa_deny: ['2001:db8::1/64']}\n",
              "/etc/t.yaml:2:23: controlplane.policy.coa_deny[0]: found '2001:db8::1/64', expected "
              "a prefix without host bits: 2001:db8::/64"},
        Wrong{"bad_boolean", "controlplane: {policy: {require_esp: 2}}\n",
              "/etc/t.yaml:1:38: controlplane.policy.require_esp: found '2', expected on or off"},
        Wrong{"not_yaml", "dataplane: [1\ncontrolplane: }\n",
              "/etc/t.yaml:2:13: found text that is not YAML (end of sequence flow not found), "
              "expected YAML 1.2"},
        Wrong{"two_documents", "a: 1\n---\nb: 1\n",
              "/etc/t.yaml:2:1: found a second document, expected one YAML document"},
        Wrong{"ipv4_home_twice",
              "controlplane:\n  home_agent: {addresses: ['2001:db8:1::1']}\n  home_links:\n  - "
              "{prefix: '2001:db8:1::/64', port: virtual}\n  mobile_nodes:\n  - {home_address: "
              "'2001:db8:1::2', ipv4_home_address: 192.0.2.7}\n  - {home_address: "
              "'2001:db8:1::3', ipv4_home_address: 192.0.2.7}\n",
              "/etc/t.yaml:7:56: controlplane.mobile_nodes[1].ipv4_home_address: found 192.0.2.7, "
              "expected each home address once"},
        Wrong{"ipv4_home_of_nobody",
              "controlplane:\n  home_agent: {addresses: ['2001:db8:1::1']}\n  home_links:\n  - "
              "{prefix: '2001:db8:1::/64', port: virtual}\n  mobile_nodes:\n  - {home_address: "
              "'2001:db8:1::2', ipv4_home_address: 224.0.0.7}\n",
              "/etc/t.yaml:6:56: controlplane.mobile_nodes[0].ipv4_home_address: found "
              "'224.0.0.7', expected a unicast IPv4 address"},
        Wrong{"documents_without_end", ",",
              "/etc/t.yaml:1:1: found a second document, expected one YAML document"},
        Wrong{"worker_on_main_lcore", "dataplane: {main_lcore: 1, workers: [1]}\n",
              "/etc/t.yaml:1:37: dataplane.workers: found the main lcore 1, expected workers on "
              "other lcores than main_lcore"},
        Wrong{"lcores_and_count", "dataplane: {workers: {lcores: [1], count: 2}}\n",
              "/etc/t.yaml:1:43: dataplane.workers.count: found '2', expected either 'count' or "
              "'lcores', not both"},
        Wrong{"no_such_port",
              "dataplane:\n  ports: [{name: home0, device: x}]\ncontrolplane:\n"
              "  home_agent: {addresses: ['2001:db8::1']}\n"
              "  home_links:\n    - {prefix: '2001:db8::/64', port: hone0}\n",
              "/etc/t.yaml:6:39: controlplane.home_links[0].port: found 'hone0', expected the name "
              "of a port of dataplane.ports, or virtual; the nearest is 'home0'"},
        Wrong{"overlapping_prefixes",
              "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n  home_links:\n"
              "    - {prefix: '2001:db8::/48', port: virtual}\n"
              "    - {prefix: '2001:db8:0:1::/64', port: virtual}\n",
              "/etc/t.yaml:5:16: controlplane.home_links[1].prefix: found 2001:db8:0:1::/64, "
              "expected a prefix that does not meet 2001:db8::/48"},
        Wrong{"virtual_link_with_dad",
              "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n  home_links:\n"
              "    - {prefix: '2001:db8::/48', port: virtual, dad: on}\n",
              "/etc/t.yaml:4:53: controlplane.home_links[0].dad: found 'on', expected off: a "
              "virtual prefix has no link to ask"},
        Wrong{"home_address_outside",
              "controlplane:\n  mobile_nodes:\n    - home_address: 2001:db8:5::5\n",
              "/etc/t.yaml:3:21: controlplane.mobile_nodes[0].home_address: found 2001:db8:5::5, "
              "expected home addresses inside one prefix of controlplane.home_links"},
        Wrong{"reserved_spi",
              "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n"
              "  home_links: [{prefix: '2001:db8::/64', port: virtual}]\n"
              "  mobile_nodes:\n    - home_address: 2001:db8::5\n"
              "      security: {bu: {spi_in: 255, spi_out: 256, algorithm: a, key_file_in: a, "
              "key_file_out: b}}\n",
              "/etc/t.yaml:6:31: controlplane.mobile_nodes[0].security.bu.spi_in: found '255', "
              "expected a whole number from 256 to 4294967295 (SPI)"},
        Wrong{"preferred_beyond_valid",
              "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n  home_links:\n    - "
              "{prefix: '2001:db8::/64', port: virtual, valid_lifetime: 5, preferred_lifetime: 6}",
              "/etc/t.yaml:4:87: controlplane.home_links[0].preferred_lifetime: found '6', "
              "expected at most the valid lifetime"}),
    [](const auto& parameter) { return std::string(parameter.param.what); });

TEST(Config, unknown_algorithm_names_the_nearest_where_the_names_are_known) {
    static constexpr std::string_view kNames[] = {"aes128-gcm16", "aes128-cbc-hmac-sha1-96"};
    const auto config = parse(kFull, "/etc/t.yaml", kNames);
    ASSERT_FALSE(config);
    ASSERT_EQ(config.error().size(), 10u);
    EXPECT_EQ(config.error()[0].line, 39u);
    EXPECT_EQ(config.error()[0].expected,
              "one of aes128-gcm16, aes128-cbc-hmac-sha1-96; the nearest is "
              "'aes128-cbc-hmac-sha1-96'");
}

TEST(Config, all_errors_of_a_file_are_reported_in_the_order_of_their_lines) {
    const auto config = parse(
        "dataplane:\n  bogus: 1\n  mbufs: x\ncontrolplane:\n  tunnel: {hop_limit: 0, dscp: y}\n",
        "t");
    ASSERT_FALSE(config);
    std::vector<unsigned> lines;
    for (const ConfigError& error : config.error()) lines.push_back(error.line);
    EXPECT_EQ(lines, (std::vector<unsigned>{2, 3, 5, 5}));
}

TEST(Config, same_spi_twice_in_one_direction_is_refused_also_inside_a_range) {
    const std::string head =
        "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n"
        "  home_links: [{prefix: '2001:db8::/64', port: virtual}]\n";
    const std::string text =
        head +
        "  mobile_node_ranges:\n    - first: 2001:db8::100\n      count: 16\n      security: "
        "{spi_in: 1000, spi_out: 2000, algorithm: a, key_directory: k}\n    - first: "
        "2001:db8::200\n      count: 16\n      security: {spi_in: 1015, spi_out: 2016, algorithm: "
        "a, key_directory: k}\n";
    EXPECT_EQ(errors_of(text),
              "/etc/t.yaml:10:26: controlplane.mobile_node_ranges[1].security.spi_in: found 1015, "
              "expected an SPI that no other SA of this direction uses");
}

TEST(Config, S1_34_keys_of_a_correspondent_need_the_policy) {
    const auto with = [](const std::string& policy) {
        return errors_of(
            "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n"
            "  home_links: [{prefix: '2001:db8::/64', port: virtual}]\n"
            "  policy: {protect_return_routability: " +
            policy +
            "}\n  mobile_nodes: [{home_address: '2001:db8::7', security: {cn: {spi_in: 300, "
            "spi_out: 301, algorithm: a, key_file_in: b, key_file_out: c}}}]\n");
    };
    EXPECT_EQ(with("on"), "");
    EXPECT_NE(with("off").find("mobile_nodes[0].security.cn: found keys, and "
                               "policy.protect_return_routability off"),
              std::string::npos);
}

TEST(Config, S1_35_keys_of_payload_need_the_policy_and_ipv4_addresses_a_protected_prefix) {
    const auto with = [](const std::string& link, const std::string& policy,
                         const std::string& node) {
        return errors_of(
            "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n"
            "  home_links: [{prefix: '2001:db8::/64', port: virtual" +
            link + "}]\n  policy: {protect_payload: " + policy +
            "}\n  mobile_nodes: [{home_address: '2001:db8::7', " + node + "}]\n");
    };
    const std::string keys =
        "security: {payload: {spi_in: 300, spi_out: 301, algorithm: a, key_file_in: b, "
        "key_file_out: c}}";
    EXPECT_EQ(with("", "on", keys), "");
    EXPECT_EQ(with("", "off", keys),
              "/etc/t.yaml:5:68: controlplane.mobile_nodes[0].security.payload: found keys, and "
              "policy.protect_payload off, expected protect_payload: on, or no keys");
    const std::string ipv4 = "ipv4_home_address: 192.0.2.7";
    EXPECT_EQ(with("", "off", ipv4), "");
    EXPECT_EQ(with(", ipv4_prefix: 192.0.2.0/24", "on", ipv4), "");
    for (const char* link : {"", ", ipv4_prefix: 192.0.3.0/24"}) {
        EXPECT_NE(with(link, "on", ipv4)
                      .find("expected IPv4 addresses inside the ipv4_prefix of "
                            "the node's home link, 2001:db8::/64"),
                  std::string::npos);
    }
    EXPECT_NE(with(", ipv4_prefix: 192.0.2.0/99", "on", ipv4).find("an IPv4 prefix"),
              std::string::npos);
    EXPECT_NE(errors_of("controlplane: {policy: {check_esp_outer: maybe}}\n")
                  .find("one of off, log, drop"),
              std::string::npos);
}

TEST(Config, home_address_twice_is_refused_also_inside_a_range) {
    const std::string text =
        "controlplane:\n  home_agent: {addresses: ['2001:db8::1']}\n"
        "  home_links: [{prefix: '2001:db8::/64', port: virtual}]\n"
        "  mobile_nodes: [{home_address: '2001:db8::105'}]\n"
        "  mobile_node_ranges: [{first: '2001:db8::100', count: 6}]\n";
    EXPECT_EQ(errors_of(text),
              "/etc/t.yaml:5:32: controlplane.mobile_node_ranges[0].first: found 2001:db8::100, "
              "expected each home address once");
}

TEST(Config, a_file_that_is_not_there_or_not_a_file_is_an_error_with_its_name) {
    const auto missing = load_file("/nonexistent/homeport.yaml");
    ASSERT_FALSE(missing);
    EXPECT_EQ(to_string(missing.error()),
              "/nonexistent/homeport.yaml: found no such file, expected a configuration file");
    const auto directory = load_file(std::filesystem::temp_directory_path());
    ASSERT_FALSE(directory);
    EXPECT_NE(to_string(directory.error()).find("a directory"), std::string::npos);
}

TEST(Config, deep_nesting_and_self_reference_end_in_an_error) {
    EXPECT_NE(errors_of(std::string(100000, '[')), "");
    EXPECT_NE(errors_of(std::string(100000, '{')), "");
    EXPECT_NE(errors_of("&a [*a]"), "");
    EXPECT_NE(errors_of("dataplane: &a {ports: [*a]}"), "");
}

}  // namespace
}  // namespace homeport::config
