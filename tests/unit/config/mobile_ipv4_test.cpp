// SPDX-License-Identifier: BSD-3-Clause
// controlplane.mobile_ipv4: values, defaults, and errors with their places.
#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/config/config.hpp"

namespace homeport::config {
namespace {

constexpr const char* kFull = R"(controlplane:
  mobile_ipv4:
    - name: office
      role: internal
      profile: rfc5265
      addresses: [10.1.0.1, 10.1.0.2]
      networks:
        - {prefix: 10.1.0.0/16, port: home0, pool: {first: 10.1.200.1, last: 10.1.200.9}, no_binding: drop, advertisement_interval: 10}
        - {prefix: 10.2.0.0/16, port: virtual}
      nodes:
        - name: alice
          home_address: 10.1.0.100
          nai: alice@example.com
          associations:
            - {spi: 256, algorithm: hmac-sha1, key_file: keys/alice, replay: nonces, window: 20}
            - {spi: 257, key_file: /k/alice2}
        - {nai: bob@example.com, prohibited: on, associations: [{spi: 300, key_file: b}]}
      ranges:
        - {first: 10.2.0.10, count: 100, key_directory: range, spi: 400, algorithm: keyed-md5, window: 9}
      foreign_agents:
        - {address: 192.0.2.5, associations: [{spi: 500, key_file: fa, algorithm: hmac-sha256}]}
      trusted_subnets: [10.0.0.0/8]
      inside_ports: [home0]
      max_lifetime: infinite
      simultaneous_bindings: 3
      max_bindings: 1000
      reverse_tunnel: on
      reverse_tunnel_mandatory: on
      gre: off
      minimal: off
      broadcasts: off
      revocation: off
      udp: {allowed: on, forced_allowed: on, foreign_agent_registration: on, strict_source: on, refuse_reserved: on, keepalive: 60, max_lifetime: 90}
    - {role: external, addresses: [198.51.100.1], networks: [{prefix: 198.51.100.0/24, port: virtual}]}
)";

std::string replaced(const std::string& what, const std::string& by) {
    std::string text = kFull;
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

/// Of the file above with `what` replaced.
std::string errors_of(const std::string& what, const std::string& by) {
    const auto config = parse(replaced(what, by), "/etc/t.yaml");
    return config ? "" : to_string(config.error());
}

TEST(MobileIpv4Config, every_key_arrives_in_its_member_and_comes_back) {
    const auto config = parse(kFull, "/etc/homeport/t.yaml");
    ASSERT_TRUE(config) << to_string(config.error());
    ASSERT_EQ(config->controlplane.mobile_ipv4.size(), 2u);
    const Mip4HomeAgentConfig& office = config->controlplane.mobile_ipv4[0];
    EXPECT_EQ(office.name, "office");
    EXPECT_EQ(office.role, Mip4Role::kInternal);
    EXPECT_EQ(office.addresses.size(), 2u);
    EXPECT_EQ(office.networks[0].port, "home0");
    EXPECT_EQ(office.networks[0].pool->last.to_string(), "10.1.200.9");
    EXPECT_EQ(office.networks[0].no_binding, NoBinding::kDrop);
    EXPECT_EQ(office.networks[0].advertisement_interval, 10);
    EXPECT_TRUE(office.networks[1].is_virtual());
    EXPECT_EQ(office.networks[1].no_binding, NoBinding::kDrop);
    ASSERT_EQ(office.nodes.size(), 2u);
    EXPECT_EQ(office.nodes[0].home_address->to_string(), "10.1.0.100");
    const Mip4AssociationConfig expected{.spi = 256,
                                         .algorithm = Mip4Algorithm::kHmacSha1,
                                         .key_file = "/etc/homeport/keys/alice",
                                         .replay = Mip4Replay::kNonces,
                                         .window = 20};
    EXPECT_EQ(office.nodes[0].associations[0], expected);
    EXPECT_EQ(office.nodes[0].associations[1].key_file, "/k/alice2");
    EXPECT_EQ(office.nodes[1].name, "bob@example.com");
    EXPECT_TRUE(office.nodes[1].prohibited);
    const Mip4NodeRangeConfig range{.name = "10.2.0.10",
                                    .first = *Ipv4Address::parse("10.2.0.10"),
                                    .count = 100,
                                    .key_directory = "/etc/homeport/range",
                                    .spi = 400,
                                    .algorithm = Mip4Algorithm::kKeyedMd5,
                                    .window = 9};
    EXPECT_EQ(office.ranges[0], range);
    EXPECT_EQ(office.foreign_agents[0].associations[0].algorithm, Mip4Algorithm::kHmacSha256);
    EXPECT_EQ(office.trusted_subnets[0].to_string(), "10.0.0.0/8");
    EXPECT_EQ(office.inside_ports, std::vector<std::string>{"home0"});
    EXPECT_EQ(office.max_lifetime, 65535);
    EXPECT_EQ(office.simultaneous_bindings, 3);
    EXPECT_EQ(office.max_bindings, 1000u);
    EXPECT_TRUE(office.reverse_tunnel && office.reverse_tunnel_mandatory);
    EXPECT_FALSE(office.gre || office.minimal || office.broadcasts || office.revocation);
    const Mip4UdpConfig udp{.allowed = true,
                            .forced_allowed = true,
                            .foreign_agent_registration = true,
                            .strict_source = true,
                            .refuse_reserved = true,
                            .keepalive = 60,
                            .max_lifetime = 90};
    EXPECT_EQ(office.udp, udp);

    const Mip4HomeAgentConfig& external = config->controlplane.mobile_ipv4[1];
    EXPECT_EQ(external.name, "external");
    EXPECT_EQ(external.max_lifetime, 600);
    EXPECT_EQ(external.max_bindings, config->dataplane.max_bindings);
    EXPECT_EQ(external.udp, Mip4UdpConfig{});

    auto again = parse(to_yaml(*config), "/etc/homeport/t.yaml");
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(*config, *again);
    EXPECT_EQ(hash(*config), hash(*again));
}

struct Wrong {
    const char* what;
    const char* by;
    const char* error;
};

TEST(MobileIpv4Config, S2_73_S2_83_S2_90_what_is_wrong_is_told_with_its_place) {
    constexpr Wrong kWrong[] = {
        {"role: internal", "role: inner",
         "/etc/t.yaml:4:13: controlplane.mobile_ipv4[0].role: found 'inner', expected one of "
         "plain, internal, external"},
        {"[198.51.100.1]", "[10.1.0.2]",
         "/etc/t.yaml:34:36: controlplane.mobile_ipv4[1].addresses[0]: found 10.1.0.2, expected an "
         "address that is not that of 'office' too (S2.73)"},
        {"198.51.100.0/24", "10.2.128.0/24",
         ".networks[0].prefix: found 10.2.128.0/24, expected a prefix that does not meet "
         "10.2.0.0/16"},
        {"first: 10.1.200.1", "first: 10.3.0.1",
         "networks[0].pool.last: found '10.1.200.9', expected an address not below first"},
        {"first: 10.1.200.1", "first: 10.1.0.0",
         "networks[0].pool.first: found 10.1.0.0, expected the address of a host in 10.1.0.0/16"},
        {"first: 10.1.200.1", "first: 10.1.0.1",
         "expected a pool without the home agent's own address 10.1.0.1"},
        {"home_address: 10.1.0.100", "home_address: 10.1.200.5",
         "expected home addresses outside the pool 10.1.200.1 to 10.1.200.9"},
        {"home_address: 10.1.0.100", "home_address: 10.9.0.100",
         "t.yaml:12:25: controlplane.mobile_ipv4[0].nodes[0].home_address: found 10.9.0.100, "
         "expected addresses of hosts in one of the home networks"},
        {"home_address: 10.1.0.100", "home_address: 10.1.0.1",
         "expected not an address of the home agent itself"},
        {"home_address: 10.1.0.100", "home_address: 10.2.0.20",
         ".ranges[0].first: found 10.2.0.10 and those behind it, expected each home address once"},
        {"spi: 256,", "spi: 255,",
         "found '255', expected a whole number from 256 to 4294967295 (SPI"},
        {"spi: 257,", "spi: 256,", "expected each SPI of a node once"},
        {", associations: [{spi: 300, key_file: b}]", "",
         "nodes[1]: found no associations, expected at least one security association"},
        {"{nai: bob@example.com,", "{name: bob,",
         "nodes[1]: found neither home_address nor nai, expected one of them"},
        {"nai: bob@example.com", "nai: alice@example.com",
         "nodes[1].nai: found 'alice@example.com' again, expected each once"},
        {"nai: bob@example.com", "nai: 'bob smith'",
         "expected a name without spaces and control characters"},
        {"pool: {first: 10.1.200.1, last: 10.1.200.9}, ", "",
         "networks: found no pool, and nodes without home_address, expected a pool"},
        {"port: home0", "port: home1", "the nearest is 'home0'"},
        {"inside_ports: [home0]", "inside_ports: [hom]",
         "t.yaml:23:22: controlplane.mobile_ipv4[0].inside_ports[0]: found 'hom', expected the "
         "name of a port of dataplane.ports; the nearest is 'home0'"},
        {"      inside_ports: [home0]\n", "",
         "found an internal home agent without inside_ports, expected the ports of the trusted "
         "network"},
        {"profile: rfc5265", "profile: draft02",
         "trusted_subnets: found trusted subnets, expected none"},
        {"port: virtual}", "port: virtual, advertisement_interval: 10}",
         "expected off: a virtual network has no link to advertise on"},
        {"addresses: [10.1.0.1, 10.1.0.2]", "addresses: [10.2.0.1]",
         "networks[0].advertisement_interval: found no address of the home agent there"},
        {"addresses: [10.1.0.1, 10.1.0.2]", "addresses: [224.0.0.1]",
         "expected a unicast IPv4 address"},
        {"reverse_tunnel: on", "reverse_tunnel: off",
         "reverse_tunnel_mandatory: found on, and reverse_tunnel off"},
        {"max_bindings: 1000", "max_bindings: 100000",
         "max_bindings: found 100000, expected at most dataplane.max_bindings, 65536"},
        {"role: external,", "role: external, name: office,",
         "mobile_ipv4[1].name: found 'office' again"},
        {"keepalive: 60", "keepalive: 5", "expected a whole number from 10 to 65535"},
        {"simultaneous_bindings: 3", "simultaneous_bindings: 9", "a whole number from 1 to 8"},
        {"window: 20", "windows: 20", "associations[0].windows: found the unknown key 'windows'"},
    };
    for (const Wrong& one : kWrong) {
        const std::string errors = errors_of(one.what, one.by);
        EXPECT_NE(errors.find(one.error), std::string::npos) << one.what << " -> " << one.by << "\n"
                                                             << errors;
    }
}

TEST(MobileIpv4Config, an_internal_home_agent_behind_ipsec_alone_says_so) {
    EXPECT_EQ(errors_of("inside_ports: [home0]", "inside_ports: []"), "");
}

TEST(MobileIpv4Config, a_home_network_does_not_meet_a_home_link) {
    const std::string text = std::string(kFull) +
                             "  home_agent: {addresses: ['2001:db8::1']}\n"
                             "  home_links: [{prefix: '2001:db8::/64', ipv4_prefix: 10.1.2.0/24, "
                             "port: virtual}]\n";
    const auto config = parse(text, "t");
    ASSERT_FALSE(config);
    EXPECT_NE(to_string(config.error()).find("does not meet the home link's 10.1.2.0/24"),
              std::string::npos)
        << to_string(config.error());
}

}  // namespace
}  // namespace homeport::config
