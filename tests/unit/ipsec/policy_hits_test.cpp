// SPDX-License-Identifier: BSD-3-Clause
// What each entry of the SPD decided about, by direction.
#include <gtest/gtest.h>

#include "support.hpp"

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::Host;

constexpr PolicyId kPass = 100, kRefuse = 7, kPayload = 0x6000, kPayload4 = 0x6200;

PolicyEntry of_protocol(PolicyId id, IpProtocol protocol, Action action) {
    PolicyEntry entry;
    entry.id = id;
    entry.selectors.protocol = ProtocolSelector::of(protocol);
    entry.action = action;
    return entry;
}

PolicyEntry payload_of(PolicyId id, const char* any_local, const char* any_remote) {
    PolicyEntry entry = test::protect_all(id);
    entry.selectors.local = {AddressRange::of(*Ipv6Prefix::parse(any_local))};
    entry.selectors.remote = {AddressRange::of(*Ipv6Prefix::parse(any_remote))};
    return entry;
}

std::vector<PolicyEntry> table() {
    PolicyEntry ipv4 = test::protect_all(kPayload4);
    ipv4.selectors.local = {AddressRange::of(Ipv4Prefix{})};
    ipv4.selectors.remote = {AddressRange::of(Ipv4Prefix{})};
    return {of_protocol(kPass, IpProtocol::kIcmpv6, Action::kBypass),
            of_protocol(kRefuse, IpProtocol::kMobility, Action::kDiscard),
            payload_of(kPayload, "::/0", "::/0"), ipv4};
}

void expect_hits(const Host& host, Direction direction, PolicyId id, std::uint64_t packets,
                 std::uint64_t octets) {
    const PolicyHits::Count count = host.engine->hits(direction, id);
    EXPECT_EQ(count.packets, packets) << id;
    EXPECT_EQ(count.octets, octets) << id;
}

const Bytes kV6 = test::udp({});
const Bytes kV4 = test::udp({.source = "198.51.100.200", .destination = "192.0.2.100"});
const Bytes kEcho = test::icmpv6("2001:db8::1", "2001:db8::2", 128);
const Bytes kMessage = test::mh("2001:db8::1", "2001:db8::2", 5);

/// Both families in one SA, as a mobile node's payload is.
SaParameters both_families(SaParameters parameters) {
    parameters.policies = {{kPayload, std::nullopt}, {kPayload4, std::nullopt}};
    if (parameters.direction == Direction::kOutbound) return parameters;
    const auto entries = table();
    parameters.selectors = {entries[2].selectors, entries[3].selectors};
    return parameters;
}

TEST(PolicyHits, outbound_packets_count_for_the_entry_that_decides) {
    Host host;
    host.policies(table());
    for (const Bytes* packet : {&kEcho, &kEcho, &kMessage, &kV6}) {
        Buffer buffer(*packet);
        (void)host.out(buffer);
    }
    expect_hits(host, Direction::kOutbound, kPass, 2, 2 * kEcho.size());
    expect_hits(host, Direction::kOutbound, kRefuse, 1, kMessage.size());
    expect_hits(host, Direction::kOutbound, kPayload, 1, kV6.size());  // although it has no SA
    host.add(both_families(test::outbound_parameters({})));
    for (const Bytes* packet : {&kV6, &kV4, &kV4}) {
        Buffer buffer(*packet);
        EXPECT_EQ(host.out(buffer), Verdict::kOutProtect);
    }
    expect_hits(host, Direction::kOutbound, kPayload, 2, 2 * kV6.size());
    expect_hits(host, Direction::kOutbound, kPayload4, 2, 2 * kV4.size());
    for (const PolicyId id : {kPass, kRefuse, kPayload, kPayload4}) {
        expect_hits(host, Direction::kInbound, id, 0, 0);
    }
}

TEST(PolicyHits, inbound_packets_count_where_they_were_let_in) {
    Host sender;
    sender.policies(table());
    sender.add(both_families(test::outbound_parameters({})));
    Host host;
    host.policies(table());
    host.add(both_families(test::inbound_parameters({})));
    for (const Bytes* packet : {&kV6, &kV4, &kV4}) {
        Buffer buffer(*packet);
        ASSERT_EQ(sender.out(buffer), Verdict::kOutProtect);
        EXPECT_EQ(host.in(buffer), Verdict::kInOk);
        EXPECT_EQ(host.in(buffer), Verdict::kInPolicy) << "in plain text";
    }
    for (const Bytes* packet : {&kEcho, &kMessage}) {
        Buffer buffer(*packet);
        (void)host.in(buffer);
    }
    expect_hits(host, Direction::kInbound, kPayload, 1, kV6.size());
    expect_hits(host, Direction::kInbound, kPayload4, 2, 2 * kV4.size());
    expect_hits(host, Direction::kInbound, kPass, 1, kEcho.size());
    expect_hits(host, Direction::kInbound, kRefuse, 1, kMessage.size());
}

TEST(PolicyHits, counts_stay_with_their_entry_when_others_come_and_go) {
    Host host;
    host.policies(table());
    Buffer echo(kEcho);
    (void)host.out(echo);
    std::vector<PolicyEntry> other{of_protocol(9, IpProtocol::kTcp, Action::kBypass)};
    host.policies(other);
    Buffer message(kMessage);
    (void)host.out(message);
    expect_hits(host, Direction::kOutbound, kNominalDiscard, 1, kMessage.size());
    other.push_back(of_protocol(kPass, IpProtocol::kIcmpv6, Action::kBypass));
    host.policies(other);
    Buffer again(kEcho);
    (void)host.out(again);
    expect_hits(host, Direction::kOutbound, kPass, 2, 2 * kEcho.size());
    expect_hits(host, Direction::kOutbound, 9, 0, 0);
}

TEST(PolicyHits, more_different_entries_than_slots_share_the_last_one) {
    Host host;
    for (PolicyId first : {PolicyId{0}, PolicyId{4000}}) {
        std::vector<PolicyEntry> entries;
        for (PolicyId i = 0; i < 4000; ++i) {
            PolicyEntry entry;
            entry.id = static_cast<PolicyId>(first + i);
            Ipv6Address address;
            store_be32(address.bytes.data() + 12, entry.id);
            entry.selectors.remote = {AddressRange::of(IpAddress(address))};
            entry.action = Action::kBypass;
            entries.push_back(std::move(entry));
        }
        host.policies(std::move(entries));
    }
    EXPECT_EQ(host.spd.slot_of(4095), 4095);
    EXPECT_EQ(host.spd.slot_of(4096), kCommonSlot);
    EXPECT_EQ(host.spd.slot_of(7), 7);
}

}  // namespace
}  // namespace homeport::ipsec
