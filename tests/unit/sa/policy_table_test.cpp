// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/policy_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "controlplane/ipsec/sa_source.hpp"
#include "dataplane/channel/records.hpp"
#include "dataplane/ipsec/spd.hpp"

namespace homeport::sa {
namespace {

using ipsec::Action;
using ipsec::AddressRange;
using ipsec::Mode;
using ipsec::PolicyEntry;

Ipv6Address address(std::string_view text) {
    return *Ipv6Address::parse(text);
}

const Ipv6Address kHomeAgent = address("2001:db8:1::1");
const Ipv6Address kHomeAddress = address("2001:db8:1::100");

std::vector<ProtectedPrefix> two_links() {
    return {{kHomeAgent, AddressRange::of(*Ipv6Prefix::parse("2001:db8:1::/64"))},
            {address("2001:db8:9::1"), AddressRange::of(*Ipv6Prefix::parse("2001:db8:9::/64"))}};
}

const PolicyEntry* find(const std::vector<PolicyEntry>& entries, TableEntry entry,
                        std::size_t index = 0) {
    const auto it = std::ranges::find(entries, policy_id(entry, index), &PolicyEntry::id);
    return it == entries.end() ? nullptr : &*it;
}

TEST(PolicyTable, S1_32_entries_stand_in_the_order_of_the_table) {
    const auto entries = home_agent_policies(two_links());
    EXPECT_EQ(lint_order(entries), std::vector<std::string>{});
    EXPECT_TRUE(std::ranges::is_sorted(entries, {}, [](const PolicyEntry& entry) {
        return static_cast<int>(table_entry(entry.id));
    }));
    EXPECT_EQ(table_entry(entries.front().id), TableEntry::kIkeLocal500);
    EXPECT_EQ(table_entry(entries.back().id), TableEntry::kDiscard);
    EXPECT_EQ(table_entry(entries[entries.size() - 2].id), TableEntry::kPayload);
}

TEST(PolicyTable, S1_32_a_permuted_order_is_found) {
    auto entries = home_agent_policies(two_links());
    const auto payload =
        std::ranges::find(entries, policy_id(TableEntry::kPayload), &PolicyEntry::id);
    std::rotate(entries.begin(), payload, payload + 1);
    EXPECT_FALSE(lint_order(entries).empty());
    const auto findings = ipsec::lint(entries);
    EXPECT_TRUE(std::ranges::any_of(findings, [](const ipsec::LintFinding& finding) {
        return finding.kind == ipsec::LintFinding::Kind::kShadowed;
    }));
}

TEST(PolicyTable, the_database_takes_both_sets_and_finds_nothing_hidden) {
    ipsec::ImmediateReclaimer reclaimer;
    for (const bool at_home : {false, true}) {
        PolicyOptions options;
        options.protect_return_routability = !at_home;
        for (const auto& entries :
             {home_agent_policies(two_links(), {}, options), home_agent_policies({}, {}, options),
              mobile_node_policies(kHomeAddress, kHomeAgent, options)}) {
            ipsec::SecurityPolicyDatabase database(reclaimer);
            const auto replaced = database.replace(entries);
            EXPECT_TRUE(replaced) << replaced.error().text;
            for (const ipsec::LintFinding& finding : ipsec::lint(entries)) {
                EXPECT_NE(finding.kind, ipsec::LintFinding::Kind::kShadowed) << finding.text;
            }
        }
    }
}

TEST(PolicyTable, S1_33_the_mobile_nodes_set_is_the_mirror_of_the_home_agents) {
    const std::vector<ProtectedPrefix> one{{kHomeAgent, AddressRange::of(IpAddress(kHomeAddress))}};
    const auto home = home_agent_policies(one);
    const auto mobile = mobile_node_policies(kHomeAddress, kHomeAgent);
    ASSERT_EQ(home.size(), mobile.size());
    for (std::size_t i = 0; i < home.size(); ++i) {
        EXPECT_EQ(home[i].id, mobile[i].id);
        EXPECT_EQ(home[i].action, mobile[i].action);
        EXPECT_EQ(home[i].protect.mode, mobile[i].protect.mode);
        EXPECT_EQ(home[i].selectors.mirrored(), mobile[i].selectors) << home[i].name;
    }
}

TEST(PolicyTable, S1_34_entries_of_the_mobile_node_are_those_of_the_table) {
    const auto entries = mobile_node_policies(kHomeAddress, kHomeAgent);
    const PolicyEntry* bu = find(entries, TableEntry::kBindingUpdate);
    ASSERT_NE(bu, nullptr);
    EXPECT_EQ(bu->selectors.to_string(),
              "local 2001:db8:1::100 remote 2001:db8:1::1 proto mh local-type 5 remote-type 6");
    EXPECT_EQ(bu->action, Action::kProtect);
    EXPECT_EQ(bu->protect.mode, Mode::kTransport);
    const PolicyEntry* hoti = find(entries, TableEntry::kReturnRoutability);
    ASSERT_NE(hoti, nullptr);
    EXPECT_EQ(hoti->selectors.local, std::vector{AddressRange::of(IpAddress(kHomeAddress))});
    EXPECT_TRUE(hoti->selectors.remote.empty());
    EXPECT_EQ(hoti->selectors.local_value, ipsec::ValueSelector::of(1));
    EXPECT_EQ(hoti->selectors.remote_value, ipsec::ValueSelector::of(3));
    EXPECT_EQ(hoti->protect.mode, Mode::kTunnel);
    EXPECT_EQ(hoti->protect.tunnel_local, IpAddress(kHomeAddress));  // S1.21
    EXPECT_EQ(hoti->protect.tunnel_remote, IpAddress(kHomeAgent));
    const PolicyEntry* payload = find(entries, TableEntry::kPayload);
    ASSERT_NE(payload, nullptr);
    EXPECT_EQ(payload->action, Action::kBypass);
}

TEST(PolicyTable, S1_11_tunnels_of_the_home_agent_end_at_the_home_address) {
    PolicyOptions options;
    options.protect_payload = true;
    const auto entries = home_agent_policies(two_links(), {}, options);
    for (const TableEntry id :
         {TableEntry::kReturnRoutability, TableEntry::kCorrespondentMobile, TableEntry::kPayload}) {
        const PolicyEntry* entry = find(entries, id, 1);
        ASSERT_NE(entry, nullptr);
        EXPECT_EQ(entry->action, Action::kProtect);
        EXPECT_EQ(entry->protect.mode, Mode::kTunnel);
        EXPECT_TRUE(entry->protect.populate_remote);
        EXPECT_EQ(entry->protect.tunnel_local, IpAddress(address("2001:db8:9::1")));
        EXPECT_FALSE(entry->protect.tunnel_remote);  // the packet's remote address: the HoA
    }
}

TEST(PolicyTable, S1_35_payload_of_both_families_has_entries_behind_all_others) {
    auto prefixes = two_links();
    prefixes[1].ipv4_home_addresses = AddressRange::of(*Ipv4Prefix::parse("192.0.2.0/24"));
    PolicyOptions options;
    options.protect_payload = true;
    const auto entries = home_agent_policies(prefixes, {}, options);
    const PolicyEntry* payload = find(entries, TableEntry::kPayloadIpv4, 1);
    ASSERT_NE(payload, nullptr);
    EXPECT_EQ(payload->action, Action::kProtect);
    EXPECT_EQ(payload->protect.mode, Mode::kTunnel);
    EXPECT_TRUE(payload->protect.populate_remote);
    EXPECT_EQ(find(entries, TableEntry::kPayloadIpv4, 0), nullptr);
    EXPECT_EQ(lint_order(entries), std::vector<std::string>{});
    EXPECT_EQ(find(entries, TableEntry::kOtherIpv4, 0)->selectors.remote[0].to_string(),
              "0.0.0.0-192.0.1.255");
    EXPECT_EQ(find(entries, TableEntry::kOtherIpv4, 1)->selectors.remote[0].to_string(),
              "192.0.3.0-255.255.255.255");
    ipsec::ImmediateReclaimer reclaimer;
    ipsec::SecurityPolicyDatabase database(reclaimer);
    const auto replaced = database.replace(entries);
    EXPECT_TRUE(replaced) << replaced.error().text;
    // Errors quote what they are about, so they are sealed like it (RFC 4301 section 6.2).
    EXPECT_EQ(find(entries, TableEntry::kIcmpErrors), nullptr);
    EXPECT_NE(find(home_agent_policies(prefixes), TableEntry::kIcmpErrors), nullptr);
}

TEST(PolicyTable, S1_33_the_mobile_nodes_payload_entries_mirror_the_home_agents) {
    const Ipv4Address ipv4 = *Ipv4Address::parse("192.0.2.7");
    PolicyOptions options;
    options.protect_payload = true;
    const auto entries = mobile_node_policies(kHomeAddress, kHomeAgent, options, ipv4);
    for (const TableEntry id : {TableEntry::kPayload, TableEntry::kPayloadIpv4}) {
        const PolicyEntry* payload = find(entries, id);
        ASSERT_NE(payload, nullptr);
        EXPECT_EQ(payload->action, Action::kProtect);
        EXPECT_EQ(payload->protect.tunnel_local, IpAddress(kHomeAddress));
        EXPECT_EQ(payload->protect.tunnel_remote, IpAddress(kHomeAgent));
    }
    EXPECT_EQ(find(entries, TableEntry::kPayloadIpv4)->selectors.local,
              std::vector{AddressRange::of(IpAddress(ipv4))});
}

TEST(PolicyTable, RFC3963_S1_35_networks_have_entries_before_those_that_let_others_pass) {
    PolicyOptions options;
    options.protect_payload = true;
    // The second lies between the two home prefixes and leaves nothing of what is there.
    const auto network = [](const AddressRange& range) {
        return MobileNetwork{range, kHomeAddress, kHomeAgent};
    };
    options.mobile_networks = {
        network(AddressRange::of(*Ipv6Prefix::parse("2001:db8:5000::/48"))),
        network({two_links()[0].home_addresses.last, two_links()[0].home_addresses.last}),
        network(AddressRange::of(*Ipv4Prefix::parse("10.5.0.0/16")))};
    const auto others = complement({two_links()[0].home_addresses, two_links()[1].home_addresses});
    ASSERT_EQ(others.size(), 3u);
    options.mobile_networks[1].addresses = others[1];
    const auto entries = home_agent_policies(two_links(), {}, options);
    EXPECT_EQ(lint_order(entries), std::vector<std::string>{});
    ipsec::ImmediateReclaimer reclaimer;
    ipsec::SecurityPolicyDatabase database(reclaimer);
    const auto replaced = database.replace(entries);
    EXPECT_TRUE(replaced) << replaced.error().text;
    for (const std::size_t i : {0u, 1u}) {
        const PolicyEntry* made = find(entries, TableEntry::kPayloadNetwork, i);
        ASSERT_NE(made, nullptr);
        EXPECT_EQ(made->action, Action::kProtect);
        EXPECT_EQ(made->protect.mode, Mode::kTunnel);
        EXPECT_FALSE(made->protect.populate_remote);
        EXPECT_EQ(made->protect.tunnel_remote, IpAddress(kHomeAddress));
        EXPECT_LT(made, find(entries, TableEntry::kOtherTraffic, 0));
    }
    EXPECT_EQ(find(entries, TableEntry::kOtherTraffic, 1), nullptr);
    ASSERT_NE(find(entries, TableEntry::kPayloadNetworkIpv4), nullptr);

    // The same at the mobile router: local, and its own end of the tunnel.
    options.mobile_networks.erase(options.mobile_networks.begin() + 1);
    const auto mobile = mobile_node_policies(kHomeAddress, kHomeAgent, options);
    const PolicyEntry* own = find(mobile, TableEntry::kPayloadNetwork);
    ASSERT_NE(own, nullptr);
    EXPECT_EQ(own->selectors.local[0].to_string(), "2001:db8:5000::/48");
    EXPECT_EQ(own->protect.tunnel_local, IpAddress(kHomeAddress));
    EXPECT_EQ(own->protect.tunnel_remote, IpAddress(kHomeAgent));
    const auto taken = database.replace(mobile);
    EXPECT_TRUE(taken) << taken.error().text;
}

TEST(PolicyTable, complement_of_ipv4_reaches_both_ends) {
    const auto range = [](const char* text) { return AddressRange::of(*Ipv4Prefix::parse(text)); };
    EXPECT_EQ(complement_ipv4({}).size(), 1u);
    EXPECT_EQ(complement_ipv4({range("0.0.0.0/0")}).size(), 0u);
    const auto middle = complement_ipv4({range("128.0.0.0/1")});
    ASSERT_EQ(middle.size(), 1u);
    EXPECT_EQ(middle[0].to_string(), "0.0.0.0/1");
    const auto two = complement_ipv4({range("0.0.0.0/8"), range("255.0.0.0/8")});
    ASSERT_EQ(two.size(), 1u);
    EXPECT_EQ(two[0].to_string(), "1.0.0.0-254.255.255.255");
}

TEST(PolicyTable, S1_37_at_home_return_routability_is_bypassed_and_signalling_stays_protected) {
    PolicyOptions at_home;
    at_home.protect_return_routability = false;
    const auto entries = mobile_node_policies(kHomeAddress, kHomeAgent, at_home);
    EXPECT_EQ(find(entries, TableEntry::kReturnRoutability)->action, Action::kBypass);
    EXPECT_EQ(find(entries, TableEntry::kBindingUpdate)->action, Action::kProtect);
    EXPECT_EQ(find(entries, TableEntry::kPrefixDiscovery)->action, Action::kProtect);
}

TEST(PolicyTable, S1_36_route_optimised_correspondents_pass_by_the_payload_entry) {
    const Ipv6Address correspondent = address("2001:db8:3::300");
    PolicyOptions options;
    options.protect_payload = true;
    options.route_optimised = {correspondent};
    const auto entries = mobile_node_policies(kHomeAddress, kHomeAgent, options);
    EXPECT_EQ(lint_order(entries), std::vector<std::string>{});
    ipsec::ImmediateReclaimer reclaimer;
    ipsec::SecurityPolicyDatabase spd(reclaimer);
    EXPECT_TRUE(spd.replace(entries));
    const PolicyEntry* direct = find(entries, TableEntry::kRouteOptimised);
    ASSERT_NE(direct, nullptr);
    EXPECT_EQ(direct->action, Action::kBypass);
    EXPECT_EQ(direct->selectors.to_string(),
              "local 2001:db8:1::100 remote 2001:db8:3::300 proto any");
    // Its Home Test Init takes the tunnel all the same (S1.34): that entry stands before.
    EXPECT_LT(find(entries, TableEntry::kReturnRoutability), direct);
    EXPECT_LT(direct, find(entries, TableEntry::kPayload));
    EXPECT_EQ(find(entries, TableEntry::kPayload)->action, Action::kProtect);
}

TEST(PolicyTable, lab_nodes_bypass_before_the_entry_that_protects_all_others) {
    const std::vector<ProtectedPrefix> lab{{kHomeAgent, AddressRange::of(IpAddress(kHomeAddress))}};
    const auto entries = home_agent_policies(two_links(), lab);
    const auto bypass =
        std::ranges::find(entries, policy_id(TableEntry::kUnprotectedNode), &PolicyEntry::id);
    const auto protect =
        std::ranges::find(entries, policy_id(TableEntry::kBindingUpdate), &PolicyEntry::id);
    ASSERT_NE(bypass, entries.end());
    EXPECT_LT(bypass, protect);
    EXPECT_EQ(bypass->action, Action::kBypass);
    EXPECT_EQ(lint_order(entries), std::vector<std::string>{});
    EXPECT_EQ(find(home_agent_policies(two_links()), TableEntry::kUnprotectedNode), nullptr);
}

TEST(PolicyTable, complement_leaves_out_the_ranges_and_nothing_else) {
    const auto range = [](std::string_view first, std::string_view last) {
        return AddressRange{IpAddress(address(first)), IpAddress(address(last))};
    };
    const std::string top = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    EXPECT_EQ(complement({}), (std::vector{range("::", top)}));
    EXPECT_EQ(complement({range("::", top)}), std::vector<AddressRange>{});
    EXPECT_EQ(complement({range("2001:db8:9::", "2001:db8:9:0:ffff:ffff:ffff:ffff"),
                          range("2001:db8:1::", "2001:db8:1:0:ffff:ffff:ffff:ffff")}),
              (std::vector{range("::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff"),
                           range("2001:db8:1:1::", "2001:db8:8:ffff:ffff:ffff:ffff:ffff"),
                           range("2001:db8:9:1::", top)}));
    EXPECT_EQ(complement({range("::", "::5"), range("::6", "::7")}),
              (std::vector{range("::8", top)}));
}

TEST(PolicyRecords, carry_mobility_types_in_the_upper_octet) {
    const auto entries = home_agent_policies(two_links());
    const auto record = to_record(*find(entries, TableEntry::kBindingUpdate, 1));
    EXPECT_TRUE(channel::valid(record));
    EXPECT_EQ(record.action, channel::PolicyAction::kProtect);
    EXPECT_EQ(record.mode, channel::SaMode::kTransport);
    EXPECT_EQ(record.per_remote_address, 1);
    EXPECT_EQ(record.signalling, 1);
    EXPECT_EQ(record.selector.local_low.v6(), address("2001:db8:9::1"));
    EXPECT_EQ(record.selector.local_high.v6(), address("2001:db8:9::1"));
    EXPECT_EQ(record.selector.remote_low.v6(), address("2001:db8:9::"));
    EXPECT_EQ(record.selector.remote_high.v6(), address("2001:db8:9:0:ffff:ffff:ffff:ffff"));
    EXPECT_EQ(record.selector.protocol, 135);
    EXPECT_EQ(record.selector.local_port_low, 6 << 8);
    EXPECT_EQ(record.selector.local_port_high, (6 << 8) + 255);
    EXPECT_EQ(record.selector.remote_port_low, 5 << 8);
    EXPECT_EQ(record.selector.remote_port_high, (5 << 8) + 255);
}

TEST(PolicyRecords, any_and_opaque_have_their_own_values) {
    const auto entries = home_agent_policies(two_links());
    for (const PolicyEntry& entry : entries) EXPECT_TRUE(channel::valid(to_record(entry)));
    const auto hoti = to_record(*find(entries, TableEntry::kReturnRoutability));
    EXPECT_EQ(hoti.selector.local_low.family, 0);
    EXPECT_EQ(hoti.selector.local_high.family, 0);
    EXPECT_EQ(hoti.signalling, 0);
    const auto discard = to_record(*find(entries, TableEntry::kDiscard));
    EXPECT_EQ(discard.selector.protocol, 0xffff);
    EXPECT_EQ(discard.selector.local_port_low, 0);
    EXPECT_EQ(discard.selector.local_port_high, 0xffff);
    const auto one_way = to_record(*find(entries, TableEntry::kHomeAgentSwitch));
    EXPECT_GT(one_way.selector.remote_port_low, one_way.selector.remote_port_high);
}

}  // namespace
}  // namespace homeport::sa
