// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/config.hpp"

#include <gtest/gtest.h>

namespace homeport::mobile_node {
namespace {

constexpr std::string_view kGood = R"(home_address: "2001:db8:1::100"
home_agent: "2001:db8:1::1"
security:
  bu: {spi_in: 0x20001, spi_out: 0x10001, algorithm: aes128-cbc-hmac-sha256-128,
       key_file_in: ba.key, key_file_out: keys/bu.key}
)";

std::string errors_of(std::string_view text) {
    const auto config = parse(text, "/etc/mn.yaml");
    return config ? "no error" : config::to_string(config.error());
}

std::string with(std::string_view line) {
    return std::string(kGood) + std::string(line) + "\n";
}

TEST(Config, the_least_that_is_needed_gets_defaults) {
    const auto config = parse(kGood, "/etc/homeport/mn.yaml");
    ASSERT_TRUE(config) << config::to_string(config.error());
    EXPECT_EQ(config->home_prefix.to_string(), "2001:db8:1::/64");
    EXPECT_EQ(config->lifetime.count(), 420);
    EXPECT_EQ(config->first_registration_timeout.count(), 1500);
    EXPECT_TRUE(config->interfaces.empty());
    EXPECT_EQ(config->tunnel.name, "homeport0");
    ASSERT_EQ(config->tunnel.routes.size(), 1u);
    EXPECT_EQ(config->tunnel.routes[0].to_string(), "::/0");
    ASSERT_TRUE(config->binding_update);
    EXPECT_EQ(config->binding_update->spi_in, 0x20001u);
    EXPECT_EQ(config->binding_update->key_file_in, "/etc/homeport/ba.key");
    EXPECT_EQ(config->binding_update->key_file_out, "/etc/homeport/keys/bu.key");
    EXPECT_EQ(config->binding_update->replay_window, 0);
}

TEST(Config, S1_34_pairs_of_return_routability_and_prefix_discovery) {
    const auto config =
        parse(with(R"(  rr: {spi_in: 0x20003, spi_out: 0x10003, key_file_in: a, key_file_out: b,
       algorithm: aes128-cbc-hmac-sha256-128}
  mps: {spi_in: 0x20002, spi_out: 0x10002, key_file_in: c, key_file_out: d,
        algorithm: aes128-cbc-hmac-sha256-128}
  cn: {spi_in: 0x20004, spi_out: 0x10004, key_file_in: e, key_file_out: f,
       algorithm: aes128-cbc-hmac-sha256-128})"),
              "/etc/homeport/mn.yaml");
    ASSERT_TRUE(config) << config::to_string(config.error());
    ASSERT_TRUE(config->correspondent);
    EXPECT_EQ(config->correspondent->spi_in, 0x20004u);
    ASSERT_TRUE(config->return_routability);
    EXPECT_EQ(config->return_routability->spi_in, 0x20003u);
    EXPECT_EQ(config->return_routability->key_file_out, "/etc/homeport/b");
    ASSERT_TRUE(config->prefix_discovery);
    EXPECT_EQ(config->prefix_discovery->spi_out, 0x10002u);
    Config other = *config;
    other.return_routability.reset();
    other.prefix_discovery->replay_window = 64;
    other.correspondent->spi_out = 0x10005;
    EXPECT_EQ(needs_restart(*config, other), "security.mps, security.rr, security.cn");
}

TEST(Config, route_optimisation_is_off_on_or_a_section) {
    const auto read = [](std::string_view line) {
        auto config = parse(with(line), "/etc/mn.yaml");
        EXPECT_TRUE(config) << (config ? "" : config::to_string(config.error()));
        return config ? config->route_optimisation : RouteOptimisationConfig{};
    };
    EXPECT_FALSE(read("").enabled);
    EXPECT_FALSE(read("route_optimisation: off").enabled);
    const auto on = read("route_optimisation: on");
    EXPECT_TRUE(on.enabled);
    ASSERT_EQ(on.correspondents.size(), 1u);
    EXPECT_EQ(on.correspondents[0].to_string(), "::/0");
    EXPECT_EQ(on.most, 64u);
    EXPECT_EQ(on.lifetime.count(), 420);
    const auto some =
        read("route_optimisation: {correspondents: [\"2001:db8:3::/64\"], most: 2, lifetime: 60}");
    EXPECT_TRUE(some.enabled);
    ASSERT_EQ(some.correspondents.size(), 1u);
    EXPECT_EQ(some.correspondents[0].to_string(), "2001:db8:3::/64");
    EXPECT_EQ(some.most, 2u);
    EXPECT_EQ(some.lifetime.count(), 60);
    EXPECT_NE(errors_of(with("route_optimisation: {lifetime: 421}")).find("from 4 to 420"),
              std::string::npos);
    EXPECT_NE(errors_of(with("route_optimisation: {mots: 1}")).find("nearest is 'most'"),
              std::string::npos);
    EXPECT_NE(errors_of(with("route_optimisation: perhaps")).find("route_optimisation"),
              std::string::npos);
}

TEST(Config, RFC5555_keys_of_ipv4_networks) {
    const auto read = [](std::string_view lines) {
        auto config = parse(with(lines), "/etc/mn.yaml");
        EXPECT_TRUE(config) << (config ? "" : config::to_string(config.error()));
        return config.value_or(Config{});
    };
    const Config none = read("");
    EXPECT_TRUE(none.home_agent_ipv4.empty());
    EXPECT_EQ(none.dual_stack, DualStackConfig{});
    EXPECT_EQ(none.signalling.technique, config::Technique::kApi);
    EXPECT_EQ(read("home_agent_ipv4: 203.0.113.1").home_agent_ipv4.size(), 1u);
    const Config all = read(
        "home_agent_ipv4: [203.0.113.1, 203.0.113.2]\n"
        "ipv4_home_address: dynamic\n"
        "signalling: {technique: heuristic, bu_heur_timeout: 100, bu_heur_min_pkts: 3}\n"
        "dual_stack: {force_udp: on, force_udp_ipv6: on, nat_keepalive: off, esp_keepalive: 0, "
        "retry: 5,\n"
        "             protected_data_over_v4: nested}");
    EXPECT_EQ(all.home_agent_ipv4[1].to_string(), "203.0.113.2");
    EXPECT_TRUE(all.ipv4_home_address && all.ipv4_home_address->is_unspecified());
    EXPECT_EQ(all.signalling, (SplitConfig{config::Technique::kHeuristic, 100, 3}));
    EXPECT_EQ(all.dual_stack, (DualStackConfig{true, true, false, std::chrono::seconds{0}, true,
                                               std::chrono::seconds{5}}));
    EXPECT_EQ(needs_restart(none, all),
              "home_agent_ipv4, signalling, dual_stack, ipv4_home_address");
    for (const auto& [lines, expected] :
         {std::pair{"home_agent_ipv4: 224.0.0.1", "a unicast IPv4 address"},
          std::pair{"home_agent_ipv4: [203.0.113.1, 203.0.113.1]", "each address once"},
          std::pair{"home_agent_ipv4: 192.0.2.1\nipv4_home_address: 192.0.2.1", "other than"},
          std::pair{"ipv4_home_address: any", "or dynamic"},
          std::pair{"dual_stack: {retry: 0}", "from 1 to 3600"},
          std::pair{"dual_stack: {protected_data_over_v4: no}", "rfc5555, nested"},
          std::pair{"signalling: {bu_heur_timeout: 5}", "from 10 to 10000"}}) {
        EXPECT_NE(errors_of(with(lines)).find(expected), std::string::npos)
            << lines << ": " << errors_of(with(lines));
    }
}

TEST(Config, unknown_key_names_place_and_nearest) {
    EXPECT_EQ(errors_of(with("liftime: 30")),
              "/etc/mn.yaml:6:1: liftime: found the unknown key 'liftime', expected a known key; "
              "the nearest is 'lifetime'");
}

TEST(Config, errors_tell_line_column_found_and_expected) {
    const auto expect = [](std::string_view line, std::string_view part) {
        const std::string errors = errors_of(with(line));
        EXPECT_NE(errors.find(part), std::string::npos) << line << ": " << errors;
    };
    expect("lifetime: 3", "6:11: lifetime: found '3', expected a whole number from 4 to 262140");
    expect("interfaces: [eth0, eth0]", "expected each interface once");
    expect("interfaces: [a_name_that_is_too_long]", "1 to 15 characters");
    expect("interfaces: []", "at least one interface, or all");
    expect("interfaces: [homeport0]", "the tunnel device 'homeport0'");
    expect("home_interface: wlan0\ninterfaces: [eth0]",
           "found 'wlan0', expected one of interfaces");
    expect("home_prefix: 2001:db8:2::/64", "a prefix that holds the home address");
    expect("home_prefix: 2001:db8:1::1/64", "a prefix without host bits");
    expect("ipv4_home_address: 224.0.0.1", "a unicast IPv4 address");
    expect("tunnel: {table: 254}", "a routing table other than");
    expect("tunnel: {routes: [nonsense]}", "an IPv6 prefix, address/length");
    expect("log_level: loud", "one of debug, info, warning, error");
    expect("lab: {unprotected: on}", "one of the two");
    expect("home_address: \"2001:db8:1::100\"", "a second time");
}

TEST(Config, addresses_are_required_and_differ) {
    EXPECT_NE(errors_of("home_address: ff02::1\n").find("a unicast routable IPv6 address"),
              std::string::npos);
    EXPECT_NE(errors_of("lab: {unprotected: on}\n").find("the key 'home_agent'"),
              std::string::npos);
    EXPECT_NE(errors_of("home_address: \"2001:db8::1\"\nhome_agent: \"2001:db8::1\"\n")
                  .find("an address other than the home address"),
              std::string::npos);
}

TEST(Config, binding_updates_need_keys_but_for_the_lab_switch) {
    constexpr std::string_view kBare =
        "home_address: \"2001:db8:1::100\"\nhome_agent: \"2001:db8:1::1\"\n";
    EXPECT_NE(errors_of(kBare).find("security.bu: found nothing"), std::string::npos);
    EXPECT_TRUE(parse(std::string(kBare) + "lab: {unprotected: on}\n", "x"));
}

TEST(Config, static_keys_and_counter_modes_need_the_lab_switch) {
    std::string text(kGood);
    const std::string_view name = "aes128-cbc-hmac-sha256-128";
    text.replace(text.find(name), name.size(), "aes128-gcm16");
    EXPECT_NE(errors_of(text).find("lab.static_gcm allows it"), std::string::npos);
    EXPECT_TRUE(parse(text + "lab: {static_gcm: on}\n", "x"));
    text.replace(text.find("aes128-gcm16"), 12, "aes128-gmc16");
    EXPECT_NE(errors_of(text).find("the nearest is 'aes128-gcm16'"), std::string::npos);
}

TEST(Config, replay_window_is_off_or_at_least_64) {
    const auto text = [](const char* window) {
        std::string out(kGood);
        out.insert(out.find("key_file_in"), std::string("replay_window: ") + window + ", ");
        return out;
    };
    EXPECT_NE(errors_of(text("63")).find("0 or 64 to 4096"), std::string::npos);
    EXPECT_TRUE(parse(text("64"), "x"));
    EXPECT_TRUE(parse(text("0"), "x"));
}

TEST(Config, text_that_is_not_yaml_is_an_error_with_a_place) {
    EXPECT_NE(errors_of("a: [1, 2\nb: 3").find("/etc/mn.yaml:2:"), std::string::npos);
}

TEST(Config, reload_tells_what_needs_a_restart) {
    const auto one = parse(kGood, "x");
    const auto other = parse(with("lifetime: 60\ninterfaces: [a]\ntunnel: {name: mip0}"), "x");
    ASSERT_TRUE(one && other);
    EXPECT_EQ(needs_restart(*one, *other), "lifetime, tunnel");
    EXPECT_EQ(needs_restart(*one, *parse(with("interfaces: [a]\nlog_level: debug"), "x")), "");
}

TEST(Config, RFC3963_5_a_mobile_router_and_its_prefixes) {
    const auto config = parse(with(R"(interfaces: [eth0]
mobile_router: {lan: eth1, mode: implicit, prefixes: ["2001:db8:5000::/48"],
                ipv4_prefixes: [10.5.0.0/16]})"),
                              "/etc/mn.yaml");
    ASSERT_TRUE(config) << config::to_string(config.error());
    EXPECT_EQ(config->mobile_router.lan, "eth1");
    const mip6::MobileRouterConfig& router = config->mobile_router.protocol;
    EXPECT_EQ(router.mode, mip6::MobileRouterMode::kImplicit);
    EXPECT_EQ(router.prefixes, std::vector{*Ipv6Prefix::parse("2001:db8:5000::/48")});
    EXPECT_EQ(router.ipv4_prefixes, std::vector{*Ipv4Prefix::parse("10.5.0.0/16")});
    Config other = *config;
    other.mobile_router.protocol.mode = mip6::MobileRouterMode::kExplicit;
    EXPECT_EQ(needs_restart(*config, other), "mobile_router");
    const auto plain = parse(kGood, "/etc/mn.yaml");
    ASSERT_TRUE(plain);
    EXPECT_FALSE(plain->mobile_router.protocol.is_on());
}

TEST(Config, RFC3963_5_bad_mobile_routers_are_named) {
    const auto router = [](std::string_view keys) {
        return errors_of(with("interfaces: [eth0]\nmobile_router: {" + std::string(keys) + "}"));
    };
    for (const auto& [keys, expected] : std::vector<std::pair<const char*, const char*>>{
             {"prefixes: ['2001:db8:5000::/48']", "lan"},
             {"lan: eth1", "no prefix"},
             {"lan: eth1, prefixes: ['2001:db8:5000::/48'], mode: both", "implicit"},
             {"lan: eth1, prefixes: ['fe80::/64']", "unicast routable"},
             {"lan: eth1, prefixes: ['2001:db8:5000::1/48']", "2001:db8:5000::1/48"},
             {"lan: eth1, prefixes: ['2001:db8:5000::/48', '2001:db8:5000:1::/64']", "not meet"},
             {"lan: eth1, prefixes: ['2001:db8:1::/64']", "without the home address"},
             {"lan: eth1, ipv4_prefixes: [10.0.0.1/8]", "10.0.0.1/8"},
             {"lan: eth1, ipv4_prefixes: [224.0.0.0/8]", "unicast"},
             {"lan: eth0, prefixes: ['2001:db8:5000::/48']", "one of interfaces"},
             {"lan: homeport0, prefixes: ['2001:db8:5000::/48']", "tunnel device"},
             {"lan: eth1, prefixes: ['2001:db8:5000::/48'], lans: 1", "lans"}}) {
        EXPECT_NE(router(keys).find(expected), std::string::npos) << keys << ": " << router(keys);
    }
    const std::string protected_too = errors_of(
        with("  payload: {spi_in: 0x20006, spi_out: 0x10006, key_file_in: e, key_file_out: f,\n"
             "    algorithm: aes128-cbc-hmac-sha256-128}\ninterfaces: [eth0]\n"
             "mobile_router: {lan: eth1, prefixes: ['2001:db8:5000::/48']}"));
    EXPECT_EQ(protected_too, "no error");
    const std::string all =
        errors_of(with("mobile_router: {lan: eth1, prefixes: ['2001:db8:5000::/48']}"));
    EXPECT_NE(all.find("interfaces"), std::string::npos) << all;
}

}  // namespace
}  // namespace homeport::mobile_node
