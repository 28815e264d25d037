// SPDX-License-Identifier: BSD-3-Clause
// P11: binding updates in UDP over IPv4, and what is recorded of where they came from.
#include "tests/golden/nat/home_agent.hpp"

namespace homeport::golden {
namespace {

using NatRecord = NatTest;

TEST_F(NatRecord, S1_60_vector_C8_reaches_the_control_plane_with_its_outer_source) {
    for (int round = 0; round < 3; ++round) {  // manual keys: no replay check
        const Result result = feed_packet(kOutside, kC8Wire);
        expect_update(result, {});
        EXPECT_EQ(result.count("ipsec.in.ok"), 1u);
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
}

TEST_F(NatRecord, S1_61_address_and_port_are_those_of_the_wire_in_all_four_cases) {
    // What the message says of itself (10.0.0.5) is compared behind IPsec, not here.
    bind_behind_nat();
    for (const Ipv4Address& address : {kNat, kElsewhere, v4("10.0.0.5")}) {
        for (const std::uint16_t port : {kNatPort, std::uint16_t{40001}}) {
            const Wire wire{.source = address, .port = port};
            const Result result = feed_udp(update(), wire);
            if (heuristic() && address == kNat && port == kNatPort) {
                expect_unrecorded(result);  // S1.65b: the binding says it
            } else {
                expect_update(result, wire);
            }
        }
    }
}

TEST_F(NatRecord, S1_62_a_forged_inner_source_is_no_ones_record_but_the_sas) {
    keep_packets();
    const Ipv6Address forged = v6("2001:db8:1::101");
    expect_drop(feed_udp(update(forged)), "ipsec.in.selector_mismatch");
    // Technique A asks whose SA it is; technique B can only take what the packet says.
    const Ipv6Address& recorded = heuristic() ? forged : kHomeAddress;
    const Ipv6Address& other = heuristic() ? kHomeAddress : forged;
    ASSERT_NE(record_of_node(recorded), nullptr);
    EXPECT_EQ(record_of_node(recorded)->address, IpAddress(kNat));
    EXPECT_EQ(record_of_node(other), nullptr);
}

TEST_F(NatRecord, S1_62_an_spi_that_is_no_ones_makes_no_record) {
    keep_packets();
    Bytes packet = update();
    store_be32(packet.data() + 40, 0x10ffffff);
    expect_drop(feed_udp(packet), "ipsec.in.no_sa");
    EXPECT_EQ(record_of_node() == nullptr, !heuristic());
}

TEST_F(NatRecord, S1_63_an_sa_for_any_mobility_header_records_each_packet_and_a_bu_takes_it) {
    Pair wide = update_pair();
    wide.spi = ipsec::Spi{0x10000012};
    channel::SaSet record = record_of(wide, channel::SaDirection::kInbound);
    record.selector.local_port_low = record.selector.remote_port_low = 0;
    record.selector.local_port_high = record.selector.remote_port_high = 0xffff;
    apply(record);
    Link link(wide);
    Bytes revocation = kC7BindingUpdate;
    revocation[2] = 16;  // Binding Revocation (RFC 5846)

    keep_packets();
    Result result = feed_udp(link.seal(ipv6(kHomeAddress, kHomeAgent, 135, revocation)));
    expect_unrecorded(result);
    ASSERT_NE(record_of_node(), nullptr) << "recorded, and nobody took it";
    (void)worker().reply_to->take_source(kHomeAddress, worker().now_tsc);
    expect_update(feed_udp(link.seal(binding_update())), {});
    EXPECT_EQ(record_of_node(), nullptr);
}

TEST_F(NatRecord, S1_64_first_binding_update_of_many_nodes_at_once) {
    constexpr unsigned kNodes = 20;
    for (unsigned n = 0; n < kNodes; ++n) add_other_node(n);
    channel::ParametersSet parameters;
    parameters.nat_pending_max = 3;  // those that find no room wait for the next run
    apply(parameters);
    for (const unsigned batch : {20u, 64u}) {
        std::vector<Bytes> frames;
        for (unsigned n = 0; n < kNodes; ++n) {
            const Wire wire{.port = static_cast<std::uint16_t>(50000 + n)};
            frames.push_back(to_port(kOutside, in_udp(update_of_other(n), wire)));
        }
        const Result result = feed(kOutside, frames, batch);
        if (batch == 20) {
            ASSERT_EQ(result.punted.size(), kNodes) << result.to_string();
            for (const Punted& punted : result.punted) {
                const std::uint32_t n = load_be32(punted.packet.data() + 20) - 0x10000;
                expect_recorded(punted, {.port = static_cast<std::uint16_t>(50000 + n)});
            }
        } else {
            EXPECT_EQ(result.count("ipsec.in.replay"), kNodes) << result.to_string();
        }
        EXPECT_EQ(worker().reply_to->waiting(), 0u);
    }
}

TEST_F(NatRecord, S1_64_pending_records_are_bounded_and_expire) {
    for (unsigned n = 0; n < 3; ++n) add_other_node(n);
    keep_packets(60000, 500, 2);
    const auto garbage = [&](unsigned n) {
        Bytes packet = update_of_other(n);
        packet.back() ^= 1;
        return packet;
    };
    expect_drop(feed_udp(garbage(0)), "ipsec.in.icv");
    expect_drop(feed_udp(garbage(1)), "ipsec.in.icv");
    expect_drop(feed_udp(garbage(2)), "dsmip.in.nat_pending_full");
    bind_behind_nat(kElsewhere);
    expect_update(feed_udp(update()), {});  // a bound node does not depend on them
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (worker().reply_to->is_busy(other_home_address(0), rte_rdtsc()) &&
           std::chrono::steady_clock::now() < deadline) {
        (void)feed_packet(kHomeLink, ipv6(kHomeAddress, kCorrespondent, 17, Bytes(24)));
    }
    EXPECT_EQ(record_of_node(other_home_address(0)), nullptr);
    expect_drop(feed_udp(garbage(2)), "ipsec.in.icv");
}

TEST_F(NatRecord, S1_65_what_comes_from_where_the_binding_says_is_not_recorded_by_technique_b) {
    keep_packets();
    bind_behind_nat();
    Bytes garbage = update();
    garbage.back() ^= 1;
    expect_drop(feed_udp(garbage), "ipsec.in.icv");
    EXPECT_EQ(record_of_node() == nullptr, heuristic());
}

TEST_F(NatRecord, S1_65_S1_70_a_port_that_a_nat_changed_alone_is_seen_with_the_next_refresh) {
    bind_behind_nat();
    const Wire remapped{.port = 61000};
    expect_update(feed_udp(update(), remapped), remapped);
    bind_behind_nat(kNat, 61000);  // what the control plane makes of it
    const Result refresh = feed_udp(update(), remapped);
    heuristic() ? expect_unrecorded(refresh) : expect_update(refresh, remapped);
    expect_update(feed_udp(update()), {});  // and back
}

TEST_F(NatRecord, S1_65b_a_refresh_is_delivered_without_a_record_by_technique_b) {
    bind_behind_nat();
    const Result result = feed_udp(update());
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].packet, binding_update());
    heuristic() ? expect_unrecorded(result) : expect_update(result, {});
}

TEST_F(NatRecord, S1_68_a_record_changes_nothing_by_itself) {
    bind_behind_nat();
    keep_packets();
    Bytes garbage = update();
    garbage.back() ^= 1;
    const std::uint32_t slot = state().tables().bindings.find(kHomeAddress);
    const table::Binding before = state().tables().bindings.at(slot);
    expect_drop(feed_udp(garbage, {.source = kElsewhere}), "ipsec.in.icv");
    ASSERT_NE(record_of_node(), nullptr);
    ASSERT_EQ(state().tables().bindings.find(kHomeAddress), slot);
    EXPECT_EQ(std::memcmp(&before, &state().tables().bindings.at(slot), sizeof before), 0);
}

TEST_F(NatRecord, S1_68_a_flood_of_forged_esp_is_bounded_and_others_do_not_notice) {
    // Two nodes: one that is talked to, one whose home address is abused; more that are made up.
    constexpr unsigned kFrames = 64 * 20;
    bind(other_home_address(1), kCareOfAddress);
    bind_behind_nat(kElsewhere);
    bypass_all();
    const Bytes data =
        to_port(kOutside, ipv6(kCorrespondent, other_home_address(1), 17, Bytes(24)));
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < kFrames; ++i) {
        if (i % 4 == 0) {
            frames.push_back(data);
            continue;
        }
        Bytes forged = update();
        forged.back() ^= 1;
        if (i % 4 == 1) {  // a home address that nobody has
            other_home_address(1000 + i).store(forged.data() + 8);
        } else if (i % 4 == 2) {  // an SPI that nobody has
            store_be32(forged.data() + 40, 0x20000000 + i);
        }
        const Wire wire{.port = static_cast<std::uint16_t>(1024 + i)};
        frames.push_back(to_port(kOutside, in_udp(forged, wire)));
    }
    const auto cycles_of = [&](StageId id) {
        return statistics().worker(0).stages[static_cast<std::size_t>(id)].cycles;
    };
    const std::uint64_t before = cycles_of(StageId::kHomeAddress) + cycles_of(StageId::kIpsecIn);
    constexpr unsigned kRounds = 10;
    for (unsigned round = 0; round < kRounds; ++round) {
        const Result result = feed(kOutside, frames, 64);
        EXPECT_EQ(result.sent[kOutside].size(), kFrames / 4) << result.to_string();
        EXPECT_TRUE(result.punted.empty());
        EXPECT_EQ(result.dropped(), kFrames / 4 * 3) << result.to_string();
        EXPECT_EQ(worker().reply_to->waiting(), 0u);
        EXPECT_EQ(record_of_node(), nullptr);
    }
    const std::uint64_t cycles =
        cycles_of(StageId::kHomeAddress) + cycles_of(StageId::kIpsecIn) - before;
    RecordProperty("cycles_of_a_forged_packet",
                   static_cast<int>(cycles / (kRounds * kFrames / 4 * 3)));
    // And the node whose address was abused is heard.
    expect_update(feed_udp(update()), {});
}

TEST_F(NatRecord, S1_71_the_home_agents_address_and_port_are_recorded) {
    for (const Ipv4Address& local : {kHomeAgent4Second, kHomeAgent4}) {
        const Wire wire{.local = local};
        expect_update(feed_udp(update(), wire), wire);
    }
}

TEST_F(NatRecord, P11_with_a_home_address_option) {
    const auto with_option = [&](const Ipv6Address& source, const Ipv6Address& home_address) {
        const Bytes sealed = update();
        const Bytes option = test::options_header(
            50, concat({{1, 2, 0, 0}, test::home_address_option(home_address)}));
        return ipv6(source, kHomeAgent, 60,
                    concat({option, Bytes(sealed.begin() + 40, sealed.end())}));
    };
    for (const Ipv6Address& source : {kHomeAddress, kCareOfAddress}) {
        const Result result = feed_udp(with_option(source, kHomeAddress));
        expect_update(result, {});
        EXPECT_EQ(result.count("mip6.hao.ok"), 1u);
    }
    expect_drop(feed_udp(with_option(kHomeAddress, v6("ff02::1"))), "mip6.hao.bad");
    expect_drop(feed_udp(with_option(kHomeAddress, kHomeAgent)), "mip6.hao.bad");
    expect_drop(feed_udp(with_option(kHomeAddress, v6("2001:db8:1::101"))),
                "ipsec.in.selector_mismatch");
}

TEST_F(NatRecord, P11_lab_without_esp) {
    bypass_all();
    const Result result = feed_udp(binding_update());
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].packet, binding_update());
    EXPECT_EQ(result.punted[0].record.protected_by_ipsec, 0);
    expect_recorded(result.punted[0], {});
}

TEST_F(NatRecord, P11_without_esp_where_the_policy_demands_it) {
    expect_drop(feed_udp(binding_update()), "ipsec.in.policy");
}

TEST_F(NatRecord, P13i_nested_payload_makes_no_record_by_technique_a) {
    apply(record_of(payload_in(), channel::SaDirection::kInbound));
    Link payload(payload_in());
    bind_behind_nat();
    keep_packets(0);
    for (const Wire& wire : {Wire{}, Wire{.source = kElsewhere}}) {
        const Result result = feed_udp(payload.seal(inner()), wire);
        EXPECT_EQ(result.count("ipsec.in.ok"), 1u) << result.to_string();
        ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
        EXPECT_EQ(at(result, StageId::kForward)[0].packet, inner());
        EXPECT_EQ(record_of_node() != nullptr, heuristic() && wire.source == kElsewhere);
    }
}

TEST_F(NatRecord, P4_nested_payload_from_elsewhere_by_policy) {
    apply(record_of(payload_in(), channel::SaDirection::kInbound));
    Link payload(payload_in());
    bind_behind_nat();
    channel::ParametersSet parameters;
    parameters.check_esp_outer = channel::EspOuterCheck::kDrop;
    apply(parameters);
    EXPECT_EQ(feed_udp(payload.seal(inner())).count("ipsec.in.ok"), 1u);
    expect_drop(feed_udp(payload.seal(inner()), {.source = kElsewhere}), "mip6.rt.esp_src");
    parameters.check_esp_outer = channel::EspOuterCheck::kCount;
    apply(parameters);
    const Result result = feed_udp(payload.seal(inner()), {.source = kElsewhere});
    EXPECT_EQ(result.count("mip6.rt.esp_src_seen"), 1u) << result.to_string();
    EXPECT_EQ(result.count("ipsec.in.ok"), 1u);
}

TEST_F(NatRecord, P7_a_prefix_solicitation_has_to_come_from_where_the_binding_says) {
    Pair discovery = update_pair();
    discovery.spi = ipsec::Spi{0x10000014};
    channel::SaSet record = record_of(discovery, channel::SaDirection::kInbound);
    record.selector.protocol = 58;
    record.selector.local_port_low = 147 << 8;
    record.selector.local_port_high = 147 << 8 | 255;
    record.selector.remote_port_low = 146 << 8;
    record.selector.remote_port_high = 146 << 8 | 255;
    apply(record);
    Link link(discovery);
    Bytes solicitation{146, 0, 0, 0, 0, 1, 0, 0};
    const std::uint64_t sum = pseudo_header_sum(kHomeAddress, kHomeAgent, 8, 58);
    store_be16(solicitation.data() + 2, checksum_finish(checksum_add(sum, solicitation)));
    const Bytes packet = ipv6(kHomeAddress, kHomeAgent, 58, solicitation);
    bind_behind_nat();
    const Result result = feed_udp(link.seal(packet));
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].record.reason, channel::PuntReason::kMobilePrefix);
    expect_unrecorded(result);
    if (heuristic()) return;  // it is a candidate like others there
    expect_drop(feed_udp(link.seal(packet), {.source = kElsewhere}), "dsmip.in.bad_outer");
    expect_drop(feed_udp(link.seal(packet), {.port = 1}), "dsmip.in.bad_outer");
    unbind();
    expect_drop(feed_udp(link.seal(packet)), "dsmip.in.bad_outer");
}

}  // namespace
}  // namespace homeport::golden
