// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/sa_source.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "dataplane/channel/records.hpp"

namespace homeport::sa {
namespace {

class SaSourceTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "homeport-sa-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string key(const std::string& name, std::size_t octets, char digit = 'a') {
        const std::string path = directory_ / name;
        std::ofstream(path) << std::string(octets * 2, digit) << '\n';
        ::chmod(path.c_str(), 0600);
        return path;
    }
    static config::Config read(const std::string& nodes, const std::string& policy = "{}",
                               const std::string& link = "") {
        const std::string text =
            "controlplane:\n  home_agent: {addresses: ['2001:db8:1::1']}\n"
            "  home_links: [{prefix: '2001:db8:1::/64', port: virtual" +
            link + "}]\n  policy: " + policy + "\n" + nodes;
        auto config = config::parse(text, "/t.yaml");
        EXPECT_TRUE(config) << config::to_string(config.error());
        return config ? *config : config::defaults();
    }
    std::string node(const std::string& algorithm, const std::string& in, const std::string& out) {
        return "  mobile_nodes:\n    - home_address: 2001:db8:1::100\n      security: {bu: "
               "{spi_in: "
               "1001, spi_out: 2001, algorithm: " +
               algorithm + ", key_file_in: " + in + ", key_file_out: " + out +
               ", replay_window: 64}}\n";
    }
    static std::map<std::uint32_t, channel::SaSet> records(const SaSource& source,
                                                           SequenceLedger& ledger) {
        std::map<std::uint32_t, channel::SaSet> all;
        source.for_each_sa(ledger, 4, [&](channel::SaSet& sa, ConstByteSpan) { all[sa.spi] = sa; });
        return all;
    }

    std::filesystem::path directory_;
};

TEST_F(SaSourceTest, a_node_gets_one_sa_for_each_direction_with_its_own_selectors) {
    const auto config =
        read(node("aes128-cbc-hmac-sha256-128", key("in", 48, 'a'), key("out", 48, 'b')));
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    auto ledger = SequenceLedger::in_memory();
    const auto all = records(*source, ledger);
    ASSERT_EQ(all.size(), 2u);
    const channel::SaSet& in = all.at(1001);
    const channel::SaSet& out = all.at(2001);
    EXPECT_TRUE(channel::valid(in));
    EXPECT_EQ(in.direction, channel::SaDirection::kInbound);
    EXPECT_EQ(out.direction, channel::SaDirection::kOutbound);
    EXPECT_EQ(in.policy_id, policy_id(TableEntry::kBindingUpdate));
    EXPECT_EQ(in.replay_window, 64);
    EXPECT_EQ(out.replay_window, 0);
    EXPECT_EQ(in.peer.v6().to_string(), "2001:db8:1::100");
    EXPECT_EQ(in.selector.remote_low.v6().to_string(), "2001:db8:1::100");
    EXPECT_EQ(in.selector.remote_high.v6().to_string(), "2001:db8:1::100");
    EXPECT_EQ(in.selector.local_low.v6().to_string(), "2001:db8:1::1");
    EXPECT_EQ(in.encryption_key_length, 16);
    EXPECT_EQ(in.integrity_key_length, 32);
    EXPECT_EQ(in.encryption_key[0], 0xaa);
    EXPECT_EQ(out.integrity_key[31], 0xbb);
    EXPECT_EQ(in.static_key, 1);
    EXPECT_EQ(in.owner_worker, out.owner_worker);
    EXPECT_LT(in.owner_worker, 4u);
}

TEST_F(SaSourceTest, counter_mode_with_a_static_key_is_refused_with_the_reason) {
    const std::string in = key("in", 20, 'a');
    const std::string out = key("out", 20, 'b');
    for (const char* algorithm : {"aes128-gcm16", "chacha20-poly1305"}) {
        const auto config = read(node(algorithm, in, out));
        const auto source = StaticSaSource::load(config.controlplane);
        ASSERT_FALSE(source);
        EXPECT_NE(source.error().front().find("controlplane.mobile_nodes[0].security.bu"),
                  std::string::npos);
        EXPECT_NE(source.error().front().find("RFC 4106"), std::string::npos);
        EXPECT_NE(source.error().front().find("lab_static_gcm"), std::string::npos);
    }
    const auto lab = read(node("aes128-gcm16", in, out), "{lab_static_gcm: on}");
    const auto source = StaticSaSource::load(lab.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    auto ledger = SequenceLedger::in_memory();
    EXPECT_EQ(records(*source, ledger).at(1001).allow_static_gcm, 1);
}

TEST_F(SaSourceTest, errors_of_key_files_name_the_place_and_hold_no_key) {
    const std::string short_key = key("short", 47, 'a');
    const std::string open_key = key("open", 48, 'b');
    ::chmod(open_key.c_str(), 0644);
    const auto config = read(node("aes128-cbc-hmac-sha256-128", short_key, open_key));
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_FALSE(source);
    ASSERT_EQ(source.error().size(), 2u);
    EXPECT_NE(source.error()[0].find("47"), std::string::npos);
    EXPECT_NE(source.error()[1].find("0644"), std::string::npos);
    for (const std::string& error : source.error()) {
        EXPECT_EQ(error.find("aaaa"), std::string::npos);
        EXPECT_EQ(error.find("bbbb"), std::string::npos);
    }
}

TEST_F(SaSourceTest, a_range_makes_sas_of_successive_addresses_and_spis) {
    for (const char* end : {"10", "11", "12"}) {
        key(std::string("2001:db8:1::") + end + ".in.key", 32);
        key(std::string("2001:db8:1::") + end + ".out.key", 32);
    }
    const auto config = read(
        "  mobile_node_ranges:\n    - first: 2001:db8:1::10\n      count: 3\n"
        "      security: {spi_in: 5000, spi_out: 6000, algorithm: "
        "null-hmac-sha256-128, key_directory: " +
        directory_.string() + "}\n");
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    auto ledger = SequenceLedger::in_memory();
    const auto all = records(*source, ledger);
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all.at(5002).peer.v6().to_string(), "2001:db8:1::12");
    EXPECT_EQ(all.at(6001).peer.v6().to_string(), "2001:db8:1::11");
    EXPECT_EQ(all.at(6001).encryption_key_length, 0);
}

TEST_F(SaSourceTest, S1_11_payload_goes_in_tunnels_to_the_home_address_of_both_families) {
    const auto config = read(
        "  mobile_nodes:\n    - home_address: 2001:db8:1::100\n      ipv4_home_address: "
        "192.0.2.100\n      security: {payload: {spi_in: 1006, spi_out: 2006, algorithm: "
        "null-hmac-sha256-128, key_file_in: " +
            key("in", 32) + ", key_file_out: " + key("out", 32) + ", replay_window: 128}}\n",
        "{protect_payload: on}", ", ipv4_prefix: 192.0.2.0/24");
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    auto ledger = SequenceLedger::in_memory();
    const auto all = records(*source, ledger);
    ASSERT_EQ(all.size(), 2u);
    for (const std::uint32_t spi : {1006u, 2006u}) {
        const channel::SaSet& record = all.at(spi);
        EXPECT_TRUE(channel::valid(record));
        EXPECT_EQ(record.mode, channel::SaMode::kTunnel);
        EXPECT_EQ(record.policy_id, policy_id(TableEntry::kPayload));
        EXPECT_EQ(record.second_policy_id, policy_id(TableEntry::kPayloadIpv4));
        EXPECT_EQ(record.tunnel_local.v6().to_string(), "2001:db8:1::1");
        EXPECT_EQ(record.tunnel_remote.v6().to_string(), "2001:db8:1::100");
        EXPECT_EQ(record.second_peer.v4().to_string(), "192.0.2.100");
        EXPECT_EQ(record.selector.protocol, 0xffff);
    }
    EXPECT_TRUE(source->nodes_without_payload_keys().empty());
    const auto bare = read("  mobile_nodes: [{name: bare, home_address: '2001:db8:1::7'}]\n",
                           "{protect_payload: on}");
    const auto without = StaticSaSource::load(bare.controlplane);
    ASSERT_TRUE(without);
    EXPECT_EQ(without->nodes_without_payload_keys(), std::vector<std::string>{"bare"});
}

TEST_F(SaSourceTest, RFC3963_S1_35_a_routers_payload_sa_names_its_networks) {
    const auto config = read(
        "  mobile_nodes:\n    - {home_address: 2001:db8:1::99, mobile_prefixes: "
        "['2001:db8:4000::/48']}\n    - home_address: 2001:db8:1::100\n"
        "      mobile_prefixes: ['2001:db8:5000::/48']\n"
        "      ipv4_mobile_prefixes: [10.5.0.0/16]\n      security: {payload: {spi_in: 1006, "
        "spi_out: 2006, algorithm: null-hmac-sha256-128, key_file_in: " +
            key("in", 32) + ", key_file_out: " + key("out", 32) +
            "}, bu: {spi_in: 1001, spi_out: 2001, algorithm: null-hmac-sha256-128, key_file_in: " +
            key("bin", 32) + ", key_file_out: " + key("bout", 32) + "}}\n",
        "{protect_payload: on}");
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    auto ledger = SequenceLedger::in_memory();
    source->for_each_sa(ledger, 1, [&](channel::SaSet& sa, ConstByteSpan networks) {
        ASSERT_EQ(networks.size(), channel::trailing_length(sa));
        ASSERT_TRUE(channel::valid(sa));
        if (sa.spi == 1001 || sa.spi == 2001) {
            EXPECT_EQ(sa.network_count, 0);
            return;
        }
        ASSERT_EQ(sa.network_count, 2);
        const auto ipv6 = channel::network_at(networks, 0);
        const auto ipv4 = channel::network_at(networks, 1);
        EXPECT_TRUE(channel::valid(ipv6) && channel::valid(ipv4));
        // The first network of IPv6 is the other node's.
        EXPECT_EQ(ipv6.policy_id, policy_id(TableEntry::kPayloadNetwork, 1));
        EXPECT_EQ(ipv6.low.v6().to_string(), "2001:db8:5000::");
        EXPECT_EQ(ipv6.high.v6().to_string(), "2001:db8:5000:ffff:ffff:ffff:ffff:ffff");
        EXPECT_EQ(ipv4.policy_id, policy_id(TableEntry::kPayloadNetworkIpv4, 0));
        EXPECT_EQ(ipv4.low.v4().to_string(), "10.5.0.0");
        EXPECT_EQ(ipv4.high.v4().to_string(), "10.5.255.255");
    });
    // Where payload is not protected, networks have no entry.
    const auto plain = read(
        "  mobile_nodes: [{home_address: 2001:db8:1::99, mobile_prefixes: "
        "['2001:db8:4000::/48']}]\n");
    const auto without = StaticSaSource::load(plain.controlplane);
    ASSERT_TRUE(without);
    for (const ipsec::PolicyEntry& entry : without->policies()) {
        EXPECT_NE(table_entry(entry.id), TableEntry::kPayloadNetwork);
    }
}

TEST_F(SaSourceTest, a_range_has_sas_of_each_purpose_with_key_files_of_their_own) {
    for (const char* purpose : {"", ".rr", ".cn", ".payload"}) {
        for (const char* end : {"10", "11"}) {
            key(std::string("2001:db8:1::") + end + purpose + ".in.key", 32);
            key(std::string("2001:db8:1::") + end + purpose + ".out.key", 32);
        }
    }
    const auto config = read(
        "  mobile_node_ranges:\n    - first: 2001:db8:1::10\n      ipv4_first: 192.0.2.16\n"
        "      count: 2\n      security: {spi_in: 5000, spi_out: 6000, algorithm: "
        "null-hmac-sha256-128, key_directory: " +
            directory_.string() +
            ", rr: {spi_in: 5100, spi_out: 6100, algorithm: null-hmac-sha256-128}, cn: {spi_in: "
            "5300, spi_out: 6300, algorithm: null-hmac-sha256-128}, payload: "
            "{spi_in: 5200, spi_out: 6200, algorithm: null-hmac-sha256-128}}\n",
        "{protect_payload: on}", ", ipv4_prefix: 192.0.2.0/24");
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    auto ledger = SequenceLedger::in_memory();
    const auto all = records(*source, ledger);
    ASSERT_EQ(all.size(), 16u);
    // Entry 4c: the node is somebody's correspondent; a tunnel, too, with HoT and HoTI swapped.
    EXPECT_EQ(all.at(5301).policy_id, policy_id(TableEntry::kCorrespondentMobile));
    EXPECT_EQ(all.at(5301).mode, channel::SaMode::kTunnel);
    EXPECT_EQ(all.at(5301).tunnel_remote.v6().to_string(), "2001:db8:1::11");
    EXPECT_EQ(all.at(5301).selector.local_port_low, 1 << 8) << "Home Test Init is sent";
    EXPECT_EQ(all.at(5301).selector.remote_port_low, 3 << 8) << "Home Test is received";
    EXPECT_EQ(all.at(5201).policy_id, policy_id(TableEntry::kPayload));
    EXPECT_EQ(all.at(5201).second_peer.v4().to_string(), "192.0.2.17");
    EXPECT_EQ(all.at(6101).policy_id, policy_id(TableEntry::kReturnRoutability));
    EXPECT_EQ(all.at(6101).second_peer.family, 0);
    EXPECT_EQ(all.at(6101).peer.v6().to_string(), "2001:db8:1::11");
}

TEST_F(SaSourceTest, S1_35_an_added_payload_sa_carries_ipv4_of_single_nodes_and_of_ranges) {
    for (const char* purpose : {"", ".payload"}) {
        key(std::string("2001:db8:1::10") + purpose + ".in.key", 32);
        key(std::string("2001:db8:1::10") + purpose + ".out.key", 32);
        key(std::string("2001:db8:1::11") + purpose + ".in.key", 32);
        key(std::string("2001:db8:1::11") + purpose + ".out.key", 32);
    }
    const auto config = read(
        "  mobile_nodes:\n    - home_address: 2001:db8:1::100\n      ipv4_home_address: "
        "192.0.2.100\n    - home_address: 2001:db8:1::200\n  mobile_node_ranges:\n    - first: "
        "2001:db8:1::10\n      ipv4_first: 192.0.2.16\n      count: 2\n      security: {spi_in: "
        "5000, spi_out: 6000, algorithm: null-hmac-sha256-128, key_directory: " +
            directory_.string() +
            ", payload: {spi_in: 5200, spi_out: 6200, algorithm: null-hmac-sha256-128}}\n",
        "{protect_payload: on}", ", ipv4_prefix: 192.0.2.0/24");
    auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    OperatorSa wanted;
    wanted.algorithm = "null-hmac-sha256-128";
    wanted.key_file = key("new", 32);
    wanted.spi = 7000;
    for (const auto direction : {channel::SaDirection::kInbound, channel::SaDirection::kOutbound}) {
        for (const auto& [home, ipv4] :
             {std::pair("2001:db8:1::100", "192.0.2.100"), std::pair("2001:db8:1::200", ""),
              std::pair("2001:db8:1::11", "192.0.2.17")}) {
            wanted.home_address = *Ipv6Address::parse(home);
            wanted.purpose = "payload";
            wanted.direction = direction;
            ++wanted.spi;
            const auto added = source->add(wanted, config.controlplane);
            ASSERT_TRUE(added) << added.error();
            auto ledger = SequenceLedger::in_memory();
            source->last_sa(ledger, 1, [&, inside = ipv4](channel::SaSet& record, ConstByteSpan) {
                EXPECT_TRUE(channel::valid(record));
                EXPECT_EQ(record.spi, wanted.spi);
                const bool has_ipv4 = *inside != 0;
                EXPECT_EQ(record.second_peer.family, has_ipv4 ? 4 : 0) << home;
                if (!has_ipv4) return;
                EXPECT_EQ(record.second_peer.v4().to_string(), inside);
                EXPECT_EQ(record.second_policy_id, policy_id(TableEntry::kPayloadIpv4));
            });
        }
    }
}

TEST_F(SaSourceTest, S1_34_an_sa_of_a_correspondent_is_added_like_any_other) {
    const auto config = read("  mobile_nodes: [{home_address: '2001:db8:1::100'}]\n");
    auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    OperatorSa wanted;
    wanted.home_address = *Ipv6Address::parse("2001:db8:1::100");
    wanted.purpose = "cn";
    wanted.spi = 7000;
    wanted.algorithm = "null-hmac-sha256-128";
    wanted.key_file = key("new", 32);
    const auto added = source->add(wanted, config.controlplane);
    ASSERT_TRUE(added) << added.error();
    const auto known = purposes();
    EXPECT_NE(std::ranges::find(known, "cn"), known.end());
    wanted.purpose = "4c";
    const auto refused = source->add(wanted, config.controlplane);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("bu, mps, rr, cn or payload"), std::string::npos);
}

TEST_F(SaSourceTest, only_lab_nodes_without_keys_may_do_without_esp) {
    const std::string nodes = "  mobile_nodes: [{name: bare, home_address: '2001:db8:1::7'}]\n";
    const auto has_bypass = [](const config::Config& config) {
        const auto entries = policies_of(config.controlplane);
        return std::ranges::any_of(entries, [](const ipsec::PolicyEntry& entry) {
            return table_entry(entry.id) == TableEntry::kUnprotectedNode;
        });
    };
    EXPECT_FALSE(has_bypass(read(nodes)));
    EXPECT_TRUE(has_bypass(read(nodes, "{allow_unprotected: on}")));
    const auto source = StaticSaSource::load(read(nodes).controlplane);
    ASSERT_TRUE(source);
    EXPECT_EQ(source->nodes_without_keys(), std::vector<std::string>{"bare"});
}

TEST_F(SaSourceTest, sequence_numbers_are_never_used_twice_after_a_restart) {
    const auto config =
        read(node("aes128-cbc-hmac-sha1-96", key("in", 36, 'a'), key("out", 36, 'b')));
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source) << source.error().front();
    const std::string path = directory_ / "sequences.db";
    std::uint64_t highest = 0;
    for (int restart = 0; restart < 4; ++restart) {
        auto ledger = SequenceLedger::open(path);
        ASSERT_TRUE(ledger) << ledger.error();
        const std::uint64_t first = records(*source, *ledger).at(2001).first_sequence;
        EXPECT_GT(first, highest);
        if (restart == 0) {
            EXPECT_EQ(first, 1u);
        }
        // The data plane reported some of what it used, and used up to a margin more.
        ledger->note(2001, first + 500);
        highest = first + 500 + SequenceLedger::kMargin;
        ASSERT_TRUE(ledger->commit());
    }
}

TEST_F(SaSourceTest, sequence_numbers_used_before_the_first_report_are_not_used_again) {
    const std::string path = directory_ / "sequences.db";
    {
        auto ledger = SequenceLedger::open(path);
        ASSERT_TRUE(ledger);
        EXPECT_EQ(ledger->begin(2001), 1u);
        ASSERT_TRUE(ledger->commit());
    }
    auto ledger = SequenceLedger::open(path);
    ASSERT_TRUE(ledger);
    EXPECT_GT(ledger->begin(2001), SequenceLedger::kMargin);
}

TEST_F(SaSourceTest, an_sa_without_sequence_numbers_left_is_not_put_in_force) {
    const auto config =
        read(node("aes128-cbc-hmac-sha1-96", key("in", 36, 'a'), key("out", 36, 'b')));
    const auto source = StaticSaSource::load(config.controlplane);
    ASSERT_TRUE(source);
    auto ledger = SequenceLedger::in_memory();
    ledger.note(2001, 0xffffff00);
    std::size_t visited = 0;
    const auto issued =
        source->for_each_sa(ledger, 1, [&](channel::SaSet&, ConstByteSpan) { ++visited; });
    EXPECT_EQ(issued.used_up, std::vector<std::uint32_t>{2001});
    EXPECT_EQ(visited, 1u);
}

TEST_F(SaSourceTest, the_ledger_is_private_and_a_damaged_one_is_an_error) {
    const std::string path = directory_ / "sequences.db";
    ASSERT_TRUE(SequenceLedger::open(path));
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    std::ofstream(path, std::ios::trunc) << std::string(8192, 'x');
    const auto damaged = SequenceLedger::open(path);
    ASSERT_FALSE(damaged);
    EXPECT_NE(damaged.error().find(path), std::string::npos);
    EXPECT_FALSE(SequenceLedger::open("/nonexistent/dir/s.db"));
}

}  // namespace
}  // namespace homeport::sa
