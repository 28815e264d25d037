// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/spd.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/ipsec/compiled_policies.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Bytes;
using test::ip;

constexpr const char* kHomeAgent = "2001:db8:1::1";
constexpr const char* kHome = "2001:db8:1::100";
constexpr const char* kOther = "2001:db8:3::300";

Ipv6Prefix home_prefix() {
    return *Ipv6Prefix::parse("2001:db8:1::/64");
}

enum Id : PolicyId {
    kIke = 1,
    kBinding = 2,
    kPrefix = 3,
    kRouting = 4,
    kRouting2 = 41,
    kOtherMh = 42,
    kNeighbour = 51,
    kCorrespondent = 52,
    kPayload = 6
};

PolicyEntry entry(PolicyId id, std::string name, Action action) {
    PolicyEntry e;
    e.id = id;
    e.name = std::move(name);
    e.action = action;
    return e;
}

PolicyEntry protect(PolicyId id, std::string name, Mode mode) {
    PolicyEntry e = entry(id, std::move(name), Action::kProtect);
    e.protect.mode = mode;
    e.protect.populate_remote = true;
    if (mode == Mode::kTunnel) e.protect.tunnel_local = ip(kHomeAgent);
    return e;
}

void mh_types(PolicyEntry& e, std::uint16_t local, std::uint16_t remote) {
    e.selectors.protocol = ProtocolSelector::of(IpProtocol::kMobility);
    e.selectors.local_value = ValueSelector::of(local);
    e.selectors.remote_value = ValueSelector::of(remote);
}

/// Table S1-SPD of the requirements, the home agent's column.
std::vector<PolicyEntry> home_agent_table() {
    std::vector<PolicyEntry> table;
    PolicyEntry ike = entry(kIke, "IKE", Action::kBypass);
    ike.selectors.protocol = ProtocolSelector::of(IpProtocol::kUdp);
    ike.selectors.local_value = ValueSelector::of({{500, 500}, {4500, 4500}});
    table.push_back(ike);

    PolicyEntry binding = protect(kBinding, "BU/BA", Mode::kTransport);
    binding.selectors.local = {AddressRange::of(ip(kHomeAgent))};
    binding.selectors.remote = {AddressRange::of(home_prefix())};
    mh_types(binding, 6, 5);
    table.push_back(binding);

    PolicyEntry prefix = protect(kPrefix, "MPS/MPA", Mode::kTransport);
    prefix.selectors.local = binding.selectors.local;
    prefix.selectors.remote = binding.selectors.remote;
    prefix.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    prefix.selectors.local_value = ValueSelector::icmp_type(147);
    prefix.selectors.remote_value = ValueSelector::icmp_type(146);
    table.push_back(prefix);

    PolicyEntry routing = protect(kRouting, "HoTI/HoT", Mode::kTunnel);
    routing.selectors.remote = {AddressRange::of(home_prefix())};
    mh_types(routing, 3, 1);
    table.push_back(routing);

    PolicyEntry routing2 = protect(kRouting2, "HoT/HoTI", Mode::kTunnel);
    routing2.selectors.remote = {AddressRange::of(home_prefix())};
    mh_types(routing2, 1, 3);
    table.push_back(routing2);

    PolicyEntry other = protect(kOtherMh, "other MH", Mode::kTransport);
    other.selectors.local = binding.selectors.local;
    other.selectors.remote = binding.selectors.remote;
    other.selectors.protocol = ProtocolSelector::of(IpProtocol::kMobility);
    other.selectors.local_value = other.selectors.remote_value =
        ValueSelector::of({{0, 0}, {7, 7}, {12, 12}, {16, 16}});
    table.push_back(other);

    PolicyEntry neighbour = entry(kNeighbour, "neighbour discovery", Action::kBypass);
    neighbour.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    neighbour.selectors.local_value = neighbour.selectors.remote_value =
        ValueSelector::of({{133 * 256, 137 * 256 + 255}});
    table.push_back(neighbour);

    PolicyEntry correspondent = entry(kCorrespondent, "CoTI/CoT", Action::kBypass);
    correspondent.selectors.protocol = ProtocolSelector::of(IpProtocol::kMobility);
    correspondent.selectors.local_value = correspondent.selectors.remote_value =
        ValueSelector::of({{2, 2}, {4, 4}});
    table.push_back(correspondent);

    PolicyEntry payload = protect(kPayload, "payload", Mode::kTunnel);
    payload.selectors.remote = {AddressRange::of(home_prefix())};
    table.push_back(payload);
    return table;
}

struct Table : testing::Test {
    ImmediateReclaimer reclaimer;
    SecurityPolicyDatabase spd{reclaimer};

    PolicyId find(const Bytes& packet, Direction direction) {
        HeaderInfo header;
        EXPECT_TRUE(walk_headers(packet, header));
        return spd.compiled().find(header, direction).id;
    }
    PolicyId out(const Bytes& packet) { return find(packet, Direction::kOutbound); }
    PolicyId in(const Bytes& packet) { return find(packet, Direction::kInbound); }
    std::string error(std::vector<PolicyEntry> entries) {
        auto result = spd.replace(std::move(entries));
        return result ? "no error" : result.error().text;
    }
};

using Spd = Table;

TEST_F(Spd, an_empty_one_discards) {
    EXPECT_EQ(out(test::udp({})), kNominalDiscard);
    EXPECT_EQ(spd.to_text(),
              std::vector<std::string>{"65535 nominal: local any remote any proto any -> discard"});
}

TEST_F(Spd, S1_31_S1_34_S1_35_table_sends_each_packet_to_its_entry) {
    ASSERT_EQ(error(home_agent_table()), "no error");
    EXPECT_EQ(out(test::mh(kHomeAgent, kHome, 6)), kBinding);
    EXPECT_EQ(in(test::mh(kHome, kHomeAgent, 5)), kBinding);
    EXPECT_EQ(out(test::icmpv6(kHomeAgent, kHome, 147)), kPrefix);
    EXPECT_EQ(in(test::icmpv6(kHome, kHomeAgent, 146)), kPrefix);
    EXPECT_EQ(out(test::mh(kOther, kHome, 3)), kRouting);
    EXPECT_EQ(in(test::mh(kHome, kOther, 1)), kRouting);
    EXPECT_EQ(out(test::mh(kOther, kHome, 1)), kRouting2);
    EXPECT_EQ(out(test::mh(kHomeAgent, kHome, 7)), kOtherMh);
    EXPECT_EQ(out(test::icmpv6(kHomeAgent, kHome, 135)), kNeighbour);
    EXPECT_EQ(out(test::mh(kOther, kHome, 4)), kCorrespondent);
    EXPECT_EQ(out(test::udp({})), kPayload);
    EXPECT_EQ(in(test::udp({.source = kHome, .destination = kOther})), kPayload);
    EXPECT_EQ(out(test::udp({.source = kHomeAgent, .destination = kHome, .source_port = 4500})),
              kIke);
    EXPECT_EQ(out(test::udp({.destination = "2001:db8:9::9"})), kNominalDiscard);
    EXPECT_EQ(out(test::udp({.source = "192.0.2.9", .destination = "192.0.2.1"})), kNominalDiscard);
}

TEST_F(Spd, S1_31_the_type_that_may_be_received_is_not_one_that_may_be_sent) {
    std::vector<PolicyEntry> table{home_agent_table()[1]};
    ASSERT_EQ(error(table), "no error");
    EXPECT_EQ(out(test::mh(kHomeAgent, kHome, 5)), kNominalDiscard);
    EXPECT_EQ(in(test::mh(kHome, kHomeAgent, 6)), kNominalDiscard);
}

TEST_F(Spd, opaque_closes_a_direction_of_icmp_and_mh) {
    PolicyEntry e = entry(9, "send only", Action::kBypass);
    e.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    e.selectors.local_value = ValueSelector::icmp_type(128);
    e.selectors.remote_value = ValueSelector::opaque();
    ASSERT_EQ(error({e}), "no error");
    EXPECT_EQ(out(test::icmpv6(kHomeAgent, kHome, 128)), 9);
    EXPECT_EQ(in(test::icmpv6(kHome, kHomeAgent, 128)), kNominalDiscard);
    EXPECT_EQ(in(test::icmpv6(kHome, kHomeAgent, 129)), kNominalDiscard);
}

Bytes non_initial_fragment(std::uint8_t next) {
    return test::ipv6(kOther, kHome, 44, {next, 0, 1, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_F(Spd, opaque_on_both_sides_takes_only_what_shows_no_type) {
    PolicyEntry e = entry(9, "fragments", Action::kBypass);
    e.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    e.selectors.local_value = e.selectors.remote_value = ValueSelector::opaque();
    ASSERT_EQ(error({e}), "no error");
    EXPECT_EQ(out(test::icmpv6(kHomeAgent, kHome, 128)), kNominalDiscard);
    EXPECT_EQ(out(non_initial_fragment(58)), 9);
}

TEST_F(Spd, non_initial_fragments_match_only_any_and_opaque) {
    PolicyEntry ports = entry(1, "ports", Action::kBypass);
    ports.selectors.protocol = ProtocolSelector::of(IpProtocol::kUdp);
    ports.selectors.remote_value = ValueSelector::of({{0, 65535}});
    PolicyEntry opaque_port = entry(2, "no port", Action::kBypass);
    opaque_port.selectors.protocol = ProtocolSelector::of(IpProtocol::kUdp);
    opaque_port.selectors.local_value = ValueSelector::opaque();
    opaque_port.selectors.remote_value = ValueSelector::opaque();
    PolicyEntry opaque_protocol = entry(3, "no protocol", Action::kBypass);
    opaque_protocol.selectors.protocol = ProtocolSelector::opaque();
    PolicyEntry any = entry(4, "rest", Action::kBypass);
    ASSERT_EQ(error({ports, opaque_port, opaque_protocol, any}), "no error");
    EXPECT_EQ(out(test::udp({})), 1);
    EXPECT_EQ(out(non_initial_fragment(17)), 2);
    EXPECT_EQ(out(non_initial_fragment(60)), 3);
    EXPECT_EQ(out(non_initial_fragment(6)), 4);
}

TEST_F(Spd, port_ranges_and_address_ranges_are_inclusive) {
    PolicyEntry e = entry(1, "ranges", Action::kBypass);
    e.selectors.local = {{ip("192.0.2.10"), ip("192.0.2.20")}};
    e.selectors.remote = {AddressRange::of(*Ipv4Prefix::parse("198.51.100.0/24"))};
    e.selectors.protocol = ProtocolSelector::of(IpProtocol::kUdp);
    e.selectors.remote_value = ValueSelector::of({{100, 200}});
    ASSERT_EQ(error({e}), "no error");
    const auto packet = [](const char* source, std::uint16_t port) {
        return test::udp(
            {.source = source, .destination = "198.51.100.255", .destination_port = port});
    };
    EXPECT_EQ(out(packet("192.0.2.10", 100)), 1);
    EXPECT_EQ(out(packet("192.0.2.20", 200)), 1);
    EXPECT_EQ(out(packet("192.0.2.9", 100)), kNominalDiscard);
    EXPECT_EQ(out(packet("192.0.2.21", 100)), kNominalDiscard);
    EXPECT_EQ(out(packet("192.0.2.10", 99)), kNominalDiscard);
    EXPECT_EQ(out(packet("192.0.2.10", 201)), kNominalDiscard);
}

TEST_F(Spd, S1_32_right_order_has_no_findings) {
    for (const LintFinding& finding : lint(home_agent_table())) ADD_FAILURE() << finding.text;
}

TEST_F(Spd, S1_32_payload_before_any_other_entry_is_found) {
    const std::vector<PolicyEntry> right = home_agent_table();
    for (std::size_t place = 0; place + 1 < right.size(); ++place) {
        std::vector<PolicyEntry> table = right;
        std::rotate(table.begin() + static_cast<std::ptrdiff_t>(place), table.end() - 1,
                    table.end());
        const auto findings = lint(table);
        const bool found = std::ranges::any_of(findings, [&](const LintFinding& f) {
            return f.earlier == kPayload && f.later == right[place].id;
        });
        EXPECT_TRUE(found) << "payload before " << right[place].name;
    }
}

TEST_F(Spd, S1_32_two_protected_entries_that_overlap_are_found) {
    PolicyEntry payload = home_agent_table().back();
    PolicyEntry signalling = home_agent_table()[1];
    signalling.selectors.remote.clear();
    const auto findings = lint({payload, signalling});
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].kind, LintFinding::Kind::kOverlap);
    EXPECT_EQ(findings[0].later, kBinding);
    EXPECT_TRUE(lint({signalling, payload}).empty());
}

TEST_F(Spd, S1_32_a_hidden_entry_is_refused_and_both_are_named) {
    std::vector<PolicyEntry> table = home_agent_table();
    std::swap(table[3], table.back());
    EXPECT_EQ(error(table),
              "entry 6 'payload' (local any remote 2001:db8:1::/64 proto any) stands before "
              "entry 41 'HoT/HoTI' (local any remote 2001:db8:1::/64 proto mh local-type 1 "
              "remote-type 3) and takes all of its packets: move it behind");
    EXPECT_EQ(out(test::udp({})), kNominalDiscard) << "nothing has changed";
    EXPECT_EQ(
        error({entry(1, "all", Action::kDiscard), entry(2, "never", Action::kBypass)}),
        "entry 1 'all' (local any remote any proto any) stands before entry 2 'never' (local any "
        "remote any proto any) and takes all of its packets: move it behind");
}

TEST_F(Spd, S1_33_mirrored_selectors_match_the_packet_at_the_other_end) {
    std::vector<PolicyEntry> mirrored = home_agent_table();
    for (PolicyEntry& e : mirrored) {
        e.selectors = e.selectors.mirrored();
        e.protect.populate_remote = false;
        if (e.protect.mode == Mode::kTunnel) e.protect.tunnel_remote = ip(kHomeAgent);
    }
    for (PolicyEntry& e : mirrored) {
        if (e.protect.mode == Mode::kTunnel) e.protect.tunnel_local = ip(kHome);
    }
    ASSERT_EQ(error(mirrored), "no error");
    EXPECT_EQ(out(test::mh(kHome, kHomeAgent, 5)), kBinding);
    EXPECT_EQ(in(test::mh(kHomeAgent, kHome, 6)), kBinding);
    EXPECT_EQ(out(test::mh(kHome, kOther, 1)), kRouting);
    EXPECT_EQ(out(test::udp({.source = kHome, .destination = kOther})), kPayload);
    EXPECT_EQ(in(test::udp({})), kPayload);
}

TEST_F(Spd, errors_name_the_entry) {
    PolicyEntry families = entry(7, "mixed", Action::kBypass);
    families.selectors.local = {AddressRange::of(ip(kHomeAgent))};
    families.selectors.remote = {AddressRange::of(ip("192.0.2.1"))};
    EXPECT_EQ(
        error({families}),
        "entry 7 'mixed': remote addresses 192.0.2.1: IPv4 and IPv6 in one entry; make an entry "
        "for each family");
    PolicyEntry ports = entry(7, "ports", Action::kBypass);
    ports.selectors.local_value = ValueSelector::of(5);
    EXPECT_EQ(
        error({ports}),
        "entry 7 'ports': local ports or types are given, but protocol any or opaque has none; "
        "expected any or opaque");
    PolicyEntry backwards = entry(7, "range", Action::kBypass);
    backwards.selectors.remote = {{ip("192.0.2.2"), ip("192.0.2.1")}};
    EXPECT_EQ(error({backwards}),
              "entry 7 'range': remote addresses 192.0.2.2-192.0.2.1: the first is greater than "
              "the last");
    EXPECT_EQ(error({entry(7, "a", Action::kDiscard), entry(7, "b", Action::kDiscard)}),
              "entry 7 'b': this id is used twice");
    PolicyEntry tunnel = entry(7, "tunnel", Action::kProtect);
    tunnel.protect.mode = Mode::kTunnel;
    EXPECT_EQ(error({tunnel}),
              "entry 7 'tunnel': tunnel mode needs a remote tunnel address, or the packet's remote "
              "address (populate_remote)");
    EXPECT_EQ(error({entry(kNominalDiscard, "x", Action::kDiscard)}),
              "entry 65535 'x': id 65535 is that of the nominal last entry");
}

TEST_F(Spd, entries_are_shown_as_text) {
    ASSERT_EQ(error(home_agent_table()), "no error");
    const std::vector<std::string> text = spd.to_text();
    EXPECT_EQ(text[0], "1 IKE: local any remote any proto udp local-port 500,4500 -> bypass");
    EXPECT_EQ(
        text[1],
        "2 BU/BA: local 2001:db8:1::1 remote 2001:db8:1::/64 proto mh local-type 6 remote-type 5 "
        "-> protect esp transport aes128-gcm16 pfp-remote");
    EXPECT_EQ(text[2],
              "3 MPS/MPA: local 2001:db8:1::1 remote 2001:db8:1::/64 proto icmpv6 local-type 147 "
              "remote-type 146 -> protect esp transport aes128-gcm16 pfp-remote");
    EXPECT_EQ(text[8],
              "6 payload: local any remote 2001:db8:1::/64 proto any -> protect esp tunnel "
              "2001:db8:1::1>packet's remote aes128-gcm16 pfp-remote");
    EXPECT_EQ(text.back(), "65535 nominal: local any remote any proto any -> discard");
}

TEST_F(Spd, generation_grows_with_each_change_and_not_with_errors) {
    EXPECT_EQ(spd.generation(), 0u);
    ASSERT_EQ(error(home_agent_table()), "no error");
    EXPECT_EQ(spd.generation(), 1u);
    EXPECT_NE(error({entry(7, "a", Action::kDiscard), entry(7, "b", Action::kDiscard)}),
              "no error");
    EXPECT_EQ(spd.generation(), 1u);
}

}  // namespace
}  // namespace homeport::ipsec
