// SPDX-License-Identifier: BSD-3-Clause
// Commands of the control plane about policies and SAs, as the data plane keeps them.
#include <gtest/gtest.h>

#include <set>

#include "dataplane/channel/records.hpp"
#include "dataplane/core/ipsec_writer.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "dataplane/ipsec/sa_store.hpp"
#include "tests/golden/fixture.hpp"

namespace homeport::golden {
namespace {

using channel::SaDirection;

const Ipv6Address kHomeAgent = *Ipv6Address::parse("2001:db8:1::1");
const Ipv6Address kHomeAddress = *Ipv6Address::parse("2001:db8:1::100");

channel::SaSet sa(SaDirection direction, std::uint32_t spi) {
    channel::SaSet record;
    record.spi = spi;
    record.direction = direction;
    record.policy_id = 2;
    record.peer = channel::WireAddress(kHomeAddress);
    record.static_key = 1;
    record.replay_window = direction == SaDirection::kInbound ? 64 : 0;
    channel::copy_text(record.algorithm, "aes128-cbc-hmac-sha256-128");
    record.encryption_key_length = 16;
    record.integrity_key_length = 32;
    std::memset(record.encryption_key, 0x11, 16);
    std::memset(record.integrity_key, 0x22, 32);
    return record;
}

channel::PolicyRecord signalling_policy() {
    channel::PolicyRecord policy;
    policy.id = 2;
    policy.action = channel::PolicyAction::kProtect;
    policy.per_remote_address = 1;
    policy.signalling = 1;
    channel::copy_text(policy.name, "bu");
    policy.selector.local_low = policy.selector.local_high = channel::WireAddress(kHomeAgent);
    policy.selector.protocol = 135;
    policy.selector.local_port_low = 6 * 256;
    policy.selector.local_port_high = 6 * 256 + 255;
    policy.selector.remote_port_low = 5 * 256;
    policy.selector.remote_port_high = 5 * 256 + 255;
    return policy;
}

class CommandsTest : public DataPlaneTest {
  protected:
    void SetUp() override { start({.stages = {}}); }
    std::size_t size() { return state().sad().size(); }
    ipsec::SecurityAssociation* outbound() {
        return state().sad().find_outbound(2, IpAddress(kHomeAddress));
    }
};

TEST_F(CommandsTest, an_sa_set_again_goes_on_where_it_is) {
    set_policies(std::array{signalling_policy()});
    apply(sa(SaDirection::kOutbound, 0x1001));
    apply(sa(SaDirection::kInbound, 0x1002));
    EXPECT_EQ(size(), 2u);
    ipsec::SecurityAssociation* const before = outbound();
    ASSERT_NE(before, nullptr);
    before->sequence.store(77);
    channel::SaSet again = sa(SaDirection::kOutbound, 0x1001);
    again.header.number = 9;
    again.first_sequence = 50;
    apply(again);
    EXPECT_EQ(outbound(), before);
    EXPECT_EQ(outbound()->sequence.load(), 77u) << "a sequence number would be used twice";
    EXPECT_EQ(size(), 2u);
}

TEST_F(CommandsTest, an_sa_with_another_key_takes_the_place) {
    set_policies(std::array{signalling_policy()});
    apply(sa(SaDirection::kOutbound, 0x1001));
    channel::SaSet changed = sa(SaDirection::kOutbound, 0x1001);
    changed.encryption_key[3] ^= 1;
    changed.first_sequence = 1000;
    apply(changed);
    EXPECT_EQ(size(), 1u);
    ASSERT_NE(outbound(), nullptr);
    EXPECT_GE(outbound()->sequence.load(), 999u);
}

TEST_F(CommandsTest, sync_sweeps_sas_that_were_not_named) {
    set_policies(std::array{signalling_policy()});
    apply(channel::BeginSync{});
    apply(sa(SaDirection::kOutbound, 0x1001));
    apply(sa(SaDirection::kInbound, 0x1002));
    apply(channel::EndSync{});
    EXPECT_EQ(size(), 2u);
    apply(channel::BeginSync{});
    apply(sa(SaDirection::kInbound, 0x1002));
    apply(channel::EndSync{});
    EXPECT_EQ(size(), 1u);
    EXPECT_EQ(outbound(), nullptr);
}

/// Peers choose their own inbound SPIs, and a lazy operator gives the same one to all.
TEST_F(CommandsTest, outbound_sas_of_one_spi_are_told_apart_by_their_peers) {
    constexpr unsigned kPeers = 200;
    set_policies(std::array{signalling_policy()});
    const auto peer = [](unsigned i) {
        Ipv6Address address = kHomeAddress;
        address.bytes[15] = static_cast<std::uint8_t>(i);
        return channel::WireAddress(address);
    };
    const auto key = [&](unsigned i) {
        return core::SaKey{0x1001, SaDirection::kOutbound, peer(i)};
    };
    apply(channel::BeginSync{});
    for (unsigned i = 0; i < kPeers; ++i) {
        channel::SaSet record = sa(SaDirection::kOutbound, 0x1001);
        record.peer = peer(i);
        apply(record);
        record.spi = 0x2000 + i;
        apply(record);
    }
    apply(channel::EndSync{});
    EXPECT_EQ(size(), 2 * kPeers);
    EXPECT_EQ(ipsec().peers_of(0x1001, 2 * kPeers).size(), kPeers);
    EXPECT_EQ(ipsec().peers_of(0x1001, 8).size(), 8u);
    for (unsigned i = 0; i < kPeers; ++i) {
        ASSERT_EQ(ipsec().peers_of(0x2000 + i, 8), std::vector{peer(i)});
        const ipsec::SecurityAssociation* const found = ipsec().find(key(i));
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(core::peer_of(*found), peer(i));
        ipsec().reported_sequence(*found) = i;
    }
    for (unsigned i = 0; i < kPeers; i += 2) {
        channel::SaRemove record;
        record.direction = SaDirection::kOutbound;
        record.spi = 0x1001;
        record.peer = peer(i);
        apply(record);
    }
    EXPECT_EQ(ipsec().peers_of(0x1001, kPeers).size(), kPeers / 2);
    for (unsigned i = 0; i < kPeers; ++i) {
        const ipsec::SecurityAssociation* const found = ipsec().find(key(i));
        ASSERT_EQ(found != nullptr, i % 2 == 1);
        if (found == nullptr) continue;
        EXPECT_EQ(ipsec().reported_sequence(*found), i);
    }
    // What came over the channel is visited, each once, and what the sync does not name goes.
    std::set<std::pair<std::uint32_t, std::uint32_t>> visited;
    const auto visit = [&](ipsec::SecurityAssociation& seen) {
        EXPECT_TRUE(visited.insert({seen.spi.value, ipsec().row_of(seen)}).second);
    };
    while (!ipsec().visit(7, visit)) {
    }
    EXPECT_EQ(visited.size(), kPeers + kPeers / 2);
    apply(channel::BeginSync{});
    apply(channel::EndSync{});
    EXPECT_EQ(size(), 0u);
    EXPECT_TRUE(ipsec().peers_of(0x1001, 8).empty());
}

TEST_F(CommandsTest, removing_what_is_not_there_is_no_error) {
    channel::SaRemove record;
    record.spi = 0x4242;
    apply(record);
}

TEST_F(CommandsTest, a_refused_command_says_why_and_changes_nothing) {
    set_policies(std::array{signalling_policy()});
    const auto refused = [&](const channel::SaSet& record, const char* text) {
        const table::Applied applied = try_apply(record);
        ASSERT_FALSE(applied) << text;
        EXPECT_NE(applied.error().text.find(text), std::string::npos) << applied.error().text;
        EXPECT_EQ(size(), 0u);
    };
    channel::SaSet record = sa(SaDirection::kOutbound, 0x1001);
    channel::copy_text(record.algorithm, "rot13");
    refused(record, "rot13");
    record = sa(SaDirection::kOutbound, 0x1001);
    record.owner_worker = 3;
    refused(record, "worker 3");
    record = sa(SaDirection::kOutbound, 0x1001);
    channel::copy_text(record.algorithm, "aes128-gcm16");
    record.encryption_key_length = 20;
    record.integrity_key_length = 0;
    refused(record, "static key");
    record.allow_static_gcm = 1;
    apply(record);
    EXPECT_EQ(size(), 1u);
}

TEST_F(CommandsTest, policies_are_replaced_whole_or_not_at_all) {
    set_policies(std::array{signalling_policy()});
    ASSERT_NE(state().signalling(), nullptr);
    EXPECT_EQ(state().signalling()->count, 1u);
    EXPECT_EQ(state().signalling()->ids[0], 2);
    channel::PolicyRecord twice[2] = {signalling_policy(), signalling_policy()};
    channel::SpdReplace record;
    record.count = 2;
    const auto applied =
        try_apply(record, {reinterpret_cast<const std::uint8_t*>(twice), sizeof twice});
    EXPECT_FALSE(applied);
    EXPECT_EQ(state().spd().entries().size(), 1u);
    bypass_all();
    EXPECT_EQ(state().signalling()->count, 0u);
}

TEST_F(CommandsTest, mobility_header_types_are_plain_in_selectors) {
    const auto selectors = core::selectors_of(signalling_policy().selector);
    ASSERT_TRUE(selectors) << selectors.error();
    ASSERT_EQ(selectors->remote_value.ranges.size(), 1u);
    EXPECT_EQ(selectors->remote_value.ranges[0], (ipsec::ValueRange{5, 5}));
    channel::SelectorRecord any;
    const auto everything = core::selectors_of(any);
    ASSERT_TRUE(everything);
    EXPECT_EQ(*everything, ipsec::Selectors{});
}

}  // namespace
}  // namespace homeport::golden
