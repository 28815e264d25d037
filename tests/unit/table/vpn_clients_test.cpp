// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

channel::VpnClientSet client(const char* inner, const char* outer, std::uint32_t spi,
                             const char* translated = nullptr) {
    channel::VpnClientSet record;
    record.inner = wire(inner);
    record.outer = wire(outer);
    record.gateway = wire("203.0.113.1");
    record.spi_in = spi;
    if (translated != nullptr) record.translated = wire(translated);
    return record;
}
channel::VpnClientRemove no_client(const char* inner) {
    channel::VpnClientRemove record;
    record.inner = wire(inner);
    return record;
}
Ipv4Address v4(const char* text) {
    return *Ipv4Address::parse(text);
}

class VpnClientTable : public TableTest {
  protected:
    VpnClientTable() : TableTest({.max_bindings = 100, .max_vpn_clients = 2}) {}
    const VpnClients& clients() const { return tables_.vpn_clients; }
};

TEST_F(VpnClientTable, P31_a_client_is_found_by_each_of_its_names) {
    EXPECT_TRUE(clients().empty());
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300, "192.168.7.7")));
    ASSERT_FALSE(clients().empty());
    const VpnClient* const found = clients().of_inner(v4("10.8.0.5"));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->outer, v4("192.0.2.7"));
    ASSERT_NE(clients().of_translated(v4("192.168.7.7")), nullptr);
    ASSERT_NE(clients().of_spi(300), nullptr);
    ASSERT_NE(clients().of_outer(v4("192.0.2.7")), nullptr);
    EXPECT_EQ(clients().of_inner(v4("192.168.7.7")), nullptr);
    EXPECT_EQ(clients().of_translated(v4("10.8.0.5")), nullptr);
    ASSERT_TRUE(writer_.apply(no_client("10.8.0.5")));
    EXPECT_TRUE(clients().empty());
    EXPECT_EQ(clients().of_spi(300), nullptr);
    EXPECT_EQ(clients().of_outer(v4("192.0.2.7")), nullptr);
}

TEST_F(VpnClientTable, a_change_leaves_no_old_name_behind) {
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300, "192.168.7.7")));
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.8", 301)));
    EXPECT_EQ(clients().of_spi(300), nullptr);
    EXPECT_EQ(clients().of_translated(v4("192.168.7.7")), nullptr);
    EXPECT_EQ(clients().of_outer(v4("192.0.2.7")), nullptr);
    ASSERT_NE(clients().of_outer(v4("192.0.2.8")), nullptr);
    EXPECT_EQ(clients().size(), 1u);
}

class ManyVpnClients : public TableTest {
  protected:
    ManyVpnClients() : TableTest({.max_bindings = 5000, .max_vpn_clients = 5000}) {}
    static Ipv4Address address(std::uint8_t first, unsigned i) {
        return {{first, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
    }
};

// A Fetch is a wish: whoever is asked for afterwards is found as without it, or not.
TEST_F(ManyVpnClients, fetching_names_changes_no_answer) {
    constexpr unsigned kClients = 3000;
    const VpnClients& clients = tables_.vpn_clients;
    for (unsigned i = 0; i < kClients; ++i) {
        channel::VpnClientSet record;
        record.inner = channel::WireAddress(address(10, i));
        record.outer = channel::WireAddress(address(11, i));
        record.gateway = wire("203.0.113.1");
        record.spi_in = 300 + i;
        if (i % 2 == 0) record.translated = channel::WireAddress(address(12, i));
        ASSERT_TRUE(writer_.apply(record));
    }
    for (unsigned first = 0; first < kClients; first += 1000) {
        {
            VpnClients::Fetch fetch(clients);  // of more names than it holds at a time
            for (unsigned i = first; i < first + 1000; ++i) {
                fetch.inside(address(10, i));
                fetch.inside(address(12, i));
                fetch.outer(address(11, i));
                fetch.outer(address(13, i));  // nobody's
                fetch.spi(300 + i);
                fetch.inner(address(13, i));
            }
        }
        for (unsigned i = first; i < first + 1000; ++i) {
            ASSERT_NE(clients.of_inner(address(10, i)), nullptr) << i;
            EXPECT_EQ(clients.of_inner(address(10, i))->spi_in, 300 + i);
            EXPECT_EQ(clients.of_outer(address(11, i))->spi_in, 300 + i);
            EXPECT_EQ(clients.of_spi(300 + i)->inner, address(10, i));
            EXPECT_EQ(clients.of_translated(address(12, i)) != nullptr, i % 2 == 0);
            EXPECT_EQ(clients.of_outer(address(13, i)), nullptr);
            EXPECT_EQ(clients.of_inner(address(12, i)), nullptr);
        }
    }
    VpnClients::Fetch nothing(clients);
}

TEST_F(VpnClientTable, S2_35_the_way_back_is_learnt_and_goes_with_the_outer_address) {
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300)));
    const VpnClient& known = *clients().of_inner(v4("10.8.0.5"));
    EXPECT_EQ(clients().return_path(known), std::nullopt);
    const VpnClients::ReturnPath path{.address = v4("198.51.100.3"), .port = 31000};
    EXPECT_TRUE(clients().learn(known.index, path));
    EXPECT_FALSE(clients().learn(known.index, path));
    EXPECT_EQ(clients().return_path(known), path);
    // Named again by a new control plane: it stays.
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300)));
    EXPECT_EQ(clients().return_path(*clients().of_inner(v4("10.8.0.5"))), path);
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.9", 300)));
    EXPECT_EQ(clients().return_path(*clients().of_inner(v4("10.8.0.5"))), std::nullopt);
}

TEST_F(VpnClientTable, RFC4301_8_2_a_path_mtu_is_learnt_of_the_way_that_packets_take) {
    using enum TableWriter::VpnPath;
    const Ipv4Address inner = v4("10.8.0.5");
    const Ipv4Address outer = v4("192.0.2.7");
    EXPECT_EQ(writer_.vpn_path_mtu(inner, outer, 0, 1400), kNotIts);  // no such client
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300)));
    const auto known = [&] { return writer_.vpn_path_mtu_of(*clients().of_inner(inner)); };
    EXPECT_EQ(known(), 0);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, v4("192.0.2.8"), 0, 1400), kNotIts);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, outer, 4500, 1400), kNotIts);
    EXPECT_EQ(known(), 0);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, outer, 0, 1400), kLess);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, outer, 0, 1450), kKnown);
    EXPECT_EQ(known(), 1400);
    // Nobody vouches for such messages: there is an end to what they can do.
    EXPECT_EQ(writer_.vpn_path_mtu(inner, outer, 0, 68), kLess);
    EXPECT_EQ(known(), channel::kLeastVpnPathMtu);
    // Named again by a new control plane: it stays.
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300)));
    EXPECT_EQ(known(), channel::kLeastVpnPathMtu);
    // Behind a NAT now: another way, by which UDP goes.
    const VpnClients::ReturnPath path{.address = v4("198.51.100.3"), .port = 31000};
    ASSERT_TRUE(clients().learn(clients().of_inner(inner)->index, path));
    EXPECT_EQ(known(), 0);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, outer, 0, 1300), kNotIts);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, path.address, 31001, 1300), kNotIts);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, path.address, path.port, 1300), kLess);
    EXPECT_EQ(known(), 1300);
    // It ages.
    const std::uint32_t age = channel::ParametersSet{}.path_mtu_age_seconds;
    (void)writer_.poll(age - 1, 16);
    EXPECT_EQ(known(), 1300);
    (void)writer_.poll(age, 16);
    EXPECT_EQ(known(), 0);
    EXPECT_EQ(writer_.vpn_path_mtu(inner, path.address, path.port, 1350), kLess);
    ASSERT_TRUE(writer_.apply(no_client("10.8.0.5")));
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300)));
    ASSERT_TRUE(clients().learn(clients().of_inner(inner)->index, path));
    EXPECT_EQ(known(), 0) << "that of a client that was removed";
}

TEST_F(VpnClientTable, RFC2003_5_ends_of_tunnels_are_broken_for_some_seconds) {
    const BrokenTunnels& broken = tables_.broken_tunnels;
    for (std::uint16_t i = 0; i < 2 * BrokenTunnels::kMax; ++i) {
        writer_.tunnel_unreachable(v4_mapped(v4("192.0.2.7")), i);
    }
    ASSERT_EQ(broken.all().size(), BrokenTunnels::kMax) << "bounded";
    EXPECT_EQ(broken.all()[3].udp_port, 3);
    const auto* const list = broken.all().data();
    writer_.tunnel_unreachable(v4_mapped(v4("192.0.2.7")), 3);
    EXPECT_EQ(broken.all().data(), list) << "said again in the same second, it changes nothing";
    (void)writer_.poll(BrokenTunnels::kSeconds - 1, 16);
    writer_.tunnel_unreachable(v4_mapped(v4("192.0.2.7")), 3);
    EXPECT_EQ(broken.all().size(), BrokenTunnels::kMax);
    (void)writer_.poll(BrokenTunnels::kSeconds, 16);
    ASSERT_EQ(broken.all().size(), 1u) << "told again";
    EXPECT_EQ(broken.all()[0].udp_port, 3);
    (void)writer_.poll(2 * BrokenTunnels::kSeconds, 16);
    EXPECT_TRUE(broken.all().empty());
}

TEST_F(VpnClientTable, names_of_two_clients_and_a_full_table_are_refused) {
    using enum channel::CommandError;
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300, "192.168.7.7")));
    EXPECT_EQ(error_of(client("10.8.0.6", "192.0.2.8", 300)), kRefused);
    EXPECT_EQ(error_of(client("10.8.0.6", "192.0.2.7", 301)), kRefused);
    EXPECT_EQ(error_of(client("10.8.0.6", "192.0.2.8", 301, "192.168.7.7")), kRefused);
    EXPECT_EQ(error_of(client("224.0.0.1", "192.0.2.8", 301)), kMalformed);
    ASSERT_TRUE(writer_.apply(client("10.8.0.6", "192.0.2.8", 301)));
    EXPECT_EQ(error_of(client("10.8.0.7", "192.0.2.9", 302)), kTableFull);
    EXPECT_EQ(clients().of_spi(302), nullptr);
    ASSERT_TRUE(writer_.apply(no_client("10.8.0.6")));
    ASSERT_TRUE(writer_.apply(client("10.8.0.7", "192.0.2.9", 302)));
}

TEST_F(VpnClientTable, clients_that_a_new_epoch_does_not_name_are_swept) {
    ASSERT_TRUE(writer_.apply(client("10.8.0.5", "192.0.2.7", 300)));
    ASSERT_TRUE(writer_.apply(client("10.8.0.6", "192.0.2.8", 301)));
    writer_.begin_sync();
    ASSERT_TRUE(writer_.apply(client("10.8.0.6", "192.0.2.8", 301)));
    EXPECT_EQ(writer_.end_sync(), 1u);
    EXPECT_EQ(clients().of_inner(v4("10.8.0.5")), nullptr);
    ASSERT_NE(clients().of_inner(v4("10.8.0.6")), nullptr);
}

}  // namespace
}  // namespace homeport::table::test
