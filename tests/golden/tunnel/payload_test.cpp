// SPDX-License-Identifier: BSD-3-Clause
// Payload under ESP: P3, P3r, P4, P4r, vector C5. With and without fresh buffers at both edges of
// IPsec (S1.9).
#include "tests/golden/tunnel/protected_payload.hpp"

#include "dataplane/ipsec/sad.hpp"

namespace homeport::golden {
namespace {

using channel::EspOuterCheck;
using channel::SaDirection;

const Ipv6Address kMovedTo = v6("2001:db8:2::201");

class Payload : public ProtectedPayload, public ::testing::WithParamInterface<bool> {
  protected:
    void SetUp() override {
        start_protected(GetParam());
        bind_protected();
        bind_protected(kHomeAddress4);
    }
    /// The one packet left for the mobile node; as it opens there.
    Bytes opened(const Result& result, std::uint32_t spi = kSpiPayloadOut,
                 const Ipv6Address& care_of_address = kCareOfAddress) {
        EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
        if (result.sent[kOutside].size() != 1) return {};
        const Bytes sealed = packet_in(result.sent[kOutside][0]);
        EXPECT_EQ(sealed[6], 50);
        EXPECT_EQ(spi_of(sealed), spi);
        EXPECT_EQ(Ipv6Address::load(sealed.data() + 8), kHomeAgent);
        EXPECT_EQ(Ipv6Address::load(sealed.data() + 24), care_of_address);
        return mobile_node_.open(normal_form(sealed));
    }
    void expect_forwarded(const Result& result, const Bytes& packet) {
        ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
        EXPECT_EQ(at(result, StageId::kForward)[0].packet, packet);
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
};

TEST_P(Payload, P3_S1_12_vector_C5) {
    channel::SaRemove old;
    old.spi = kSpiPayloadOut;
    old.direction = SaDirection::kOutbound;
    old.peer = channel::WireAddress(kHomeAddress);
    old.policy_id = kPolicyPayload;
    apply(old);
    add_tunnel(SaDirection::kOutbound, kSpiPayloadOut, 0xc0, kPolicyPayload, kC5Sequence);
    Bytes inner = test::kC5Inner;
    inner[7] = 64;  // the hop limit of the vector is that of the packet that was forwarded
    const Result result = feed_packet(kOutside, inner);
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(to_hex(packet_in(result.sent[kOutside][0])), to_hex(test::kC5Rewritten));
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u);
    EXPECT_EQ(result.count("tun.out.rewritten"), 1u);
    EXPECT_EQ(result.count("tun.out.ok"), 0u);
}

TEST_P(Payload, P3_batches_keep_their_order_and_sequence) {
    std::uint32_t next = 1;
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i)
            frames.push_back(to_port(kOutside, to_mobile(64, 24 + i)));
        const std::uint64_t before = worker().binding_rows[0].out_packets;
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            const Bytes sealed = packet_in(result.sent[kOutside][i]);
            EXPECT_EQ(sequence_of(sealed), next++);
            EXPECT_EQ(mobile_node_.open(normal_form(sealed)), to_mobile(63, 24 + i));
        }
        EXPECT_EQ(worker().binding_rows[0].out_packets - before, 67u);
    }
}

TEST_P(Payload, S1_35_ipv4_and_ipv6_go_in_one_sa) {
    const Bytes packet4 = ipv4(kCorrespondent4, kHomeAddress4, 17, Bytes(24, 0x5a), {.ttl = 64});
    EXPECT_EQ(opened(feed_packet(kOutside, packet4)),
              ipv4(kCorrespondent4, kHomeAddress4, 17, Bytes(24, 0x5a), {.ttl = 63}));
    const Result second = feed_packet(kOutside, to_mobile());
    ASSERT_EQ(second.sent[kOutside].size(), 1u);
    EXPECT_EQ(sequence_of(packet_in(second.sent[kOutside][0])), 2u) << "one sequence for both";
    const Bytes answer = ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(24, 1), {});
    expect_forwarded(feed_packet(kOutside, mobile_node_.send(answer)), answer);
}

TEST_P(Payload, S1_34_P3r_home_test_goes_in_the_sa_of_return_routability) {
    const Bytes home_test = ipv6(kCorrespondent, kHomeAddress, 135,
                                 concat({{59, 2, 3, 0, 0, 0, 0, 0}, Bytes(16, 0x77)}));
    Bytes forwarded = home_test;
    --forwarded[7];
    EXPECT_EQ(opened(feed_packet(kOutside, home_test), kSpiRoutabilityOut), forwarded);
    // Other messages of the kind are payload: a Care-of Test does not belong there, and is sealed.
    Bytes other = home_test;
    other[42] = 8;
    Bytes other_forwarded = other;
    --other_forwarded[7];
    EXPECT_EQ(opened(feed_packet(kOutside, other)), other_forwarded);
}

TEST_P(Payload, S1_35_icmp_errors_about_payload_are_sealed) {
    const Bytes quoted = from_mobile();
    const Bytes error = ipv6(kCorrespondent, kHomeAddress, 58,
                             concat({{1, 4, 0, 0, 0, 0, 0, 0}, quoted}), {.hop_limit = 64});
    Bytes forwarded = error;
    forwarded[7] = 63;
    EXPECT_EQ(opened(feed_packet(kOutside, error)), forwarded);
}

TEST_P(Payload, S1_12_end_to_end_esp_of_a_correspondent_is_payload) {
    const Bytes esp = concat({{0x20, 0, 0, 3, 0, 0, 0, 9}, Bytes(40, 0xee)});
    const Bytes packet = ipv6(kCorrespondent, kHomeAddress, 50, esp, {.hop_limit = 64});
    Bytes forwarded = packet;
    forwarded[7] = 63;
    EXPECT_EQ(opened(feed_packet(kOutside, packet)), forwarded)
        << "sealed once more, not rewritten, whatever its SPI is";
}

TEST_P(Payload, S1_13_the_next_packet_goes_to_the_new_care_of_address) {
    EXPECT_EQ(opened(feed_packet(kOutside, to_mobile())), to_mobile(63));
    bind_protected(kHomeAddress, kMovedTo);
    EXPECT_EQ(opened(feed_packet(kOutside, to_mobile()), kSpiPayloadOut, kMovedTo), to_mobile(63));
}

TEST_P(Payload, S1_17_sealed_for_a_node_without_binding_goes_home_or_nowhere) {
    // Sealed before the binding went away: only its way changes.
    const Bytes sealed = ipv6(kHomeAgent, kHomeAddress, 50, Bytes(64, 3), {.hop_limit = 64});
    bypass_all();
    unbind();
    Result result = transmit(sealed);
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet, sealed);
    channel::HomePrefixSet strict;
    strict.prefix = channel::WireAddress(v6("2001:db8:1::"));
    strict.prefix_length = 64;
    strict.port = kHomeLink;
    strict.drop_unbound = 1;
    apply(strict);
    expect_drop(transmit(sealed), "tun.out.no_binding");
}

TEST_P(Payload, S1_37_at_home_payload_and_errors_of_this_host_are_not_sealed) {
    unbind();
    Result result = feed_packet(kOutside, to_mobile());
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet, to_mobile());
    const Bytes error =
        ipv6(kHomeAgent, kHomeAddress, 58, concat({{3, 0, 0, 0, 0, 0, 0, 0}, from_mobile()}));
    result = transmit(error);
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet, error);
    EXPECT_EQ(result.count("ipsec.out.protect"), 0u);
    // Away, the same error is payload.
    bind_protected();
    EXPECT_EQ(opened(transmit(error)), error);
}

TEST_P(Payload, S1_37_at_home_signalling_keeps_its_sas) {
    unbind();
    const Result result = transmit(ipv6(kHomeAgent, kHomeAddress, 135, kC3Acknowledgement),
                                   channel::WireAddress(kHomeAddress));
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u) << result.to_string();
}

TEST_P(Payload, P3_no_association_no_packet) {
    bind_protected(v6("2001:db8:1::101"));
    Bytes packet = to_mobile();
    v6("2001:db8:1::101").store(packet.data() + 24);
    expect_drop(feed_packet(kOutside, packet), "ipsec.out.no_sa");
}

TEST_P(Payload, P4_opened_and_forwarded) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, mobile_node_.send(from_mobile(64, 24 + i))));
        }
        const std::uint64_t before = worker().binding_rows[0].in_packets;
        const std::uint64_t octets = worker().binding_rows[0].in_bytes;
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(at(result, StageId::kForward).size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            EXPECT_EQ(at(result, StageId::kForward)[i].packet, from_mobile(64, 24 + i));
        }
        EXPECT_EQ(result.count("ipsec.in.ok"), 67u);
        EXPECT_EQ(worker().binding_rows[0].in_packets - before, 67u);
        EXPECT_EQ(worker().binding_rows[0].in_bytes - octets, 67u * 64 + 66 * 67 / 2);
    }
}

/// Where the last packet of an SA was counted is only a guess at where the next one is.
TEST_P(Payload, P4_counts_for_the_binding_that_is_there_now) {
    const auto counted = [&](std::uint32_t row) { return worker().binding_rows[row].in_packets; };
    const auto open_one = [&] {
        const Result result = feed_packet(kOutside, mobile_node_.send(from_mobile()));
        EXPECT_EQ(result.count("ipsec.in.ok"), 1u) << result.to_string();
    };
    check_outer(EspOuterCheck::kOff);
    open_one();
    open_one();
    EXPECT_EQ(counted(0), 2u);
    unbind();
    bind(v6("2001:db8:1::101"));  // gets the row, and perhaps the slot
    open_one();
    EXPECT_EQ(counted(0), 2u) << "of no binding";
    channel::BindingSet record = binding();
    for (const std::uint32_t row : {2u, 3u}) {
        record.counter_index = row;
        apply(record);
        open_one();
        open_one();
        EXPECT_EQ(counted(row), 2u);
    }
    EXPECT_EQ(counted(2), 2u) << "replaced";
    EXPECT_EQ(counted(0), 2u);
}

/// Packets of several nodes under their SAs and, as of a node that moves a network, under one.
TEST_P(Payload, P4_counts_for_each_binding_whatever_comes_between) {
    const Ipv6Address other = v6("2001:db8:1::101");
    channel::BindingSet second = binding(other, kMovedTo);
    second.counter_index = 2;
    second.flags = channel::kBindingProtected;
    apply(second);
    channel::SaSet sa = tunnel_sa(SaDirection::kInbound, 0x1000000b, 0xd8, kPolicyPayload);
    sa.peer = sa.tunnel_remote = channel::WireAddress(other);
    sa.selector.remote_low = channel::WireAddress(v6("2001:db8:1::"));
    sa.selector.remote_high = channel::WireAddress(v6("2001:db8:1::ffff"));
    sa.second_peer = {};
    apply(sa);
    const Ipv6Address uncounted = v6("2001:db8:1::102");
    channel::BindingSet third = binding(uncounted, kMovedTo);
    third.counter_index = channel::kNoIndex;
    third.flags = channel::kBindingProtected;
    apply(third);
    IpsecPeer peer(other, kHomeAgent, {{ipsec::Direction::kOutbound, 0x1000000b, 0xd8}});
    const auto from = [](const Ipv6Address& node, std::size_t octets) {
        return ipv6(node, kCorrespondent, 17, udp6(node, kCorrespondent, octets));
    };
    const auto sent_by_second = [&](const Bytes& packet) {
        Bytes sealed = peer.seal(packet);
        kMovedTo.store(sealed.data() + 8);
        return sealed;
    };
    // Which SA, whose packet: f, the first's own; s, the second's own; x, the first's under the
    // SA of the second; n, of a node that has no row, under it, too.
    const std::string_view order = "nnffffsssssfsfsnnsfnxxssxsffxxxnnxsfsnn";
    std::vector<unsigned> batches(kBatchSizes.begin(), kBatchSizes.end());
    // Again, as what was last under an SPI is expected next.
    batches.insert(batches.end(), batches.begin(), batches.end());
    for (const unsigned batch : batches) {
        std::vector<Bytes> frames;
        std::array<std::uint64_t, 4> expected{};
        for (std::size_t i = 0; i < order.size(); ++i) {
            const bool first = order[i] == 'f' || order[i] == 'x';
            const Bytes inner = from(first             ? kHomeAddress
                                     : order[i] == 's' ? other
                                                       : uncounted,
                                     20 + i);
            frames.push_back(to_port(
                kOutside, order[i] == 'f' ? mobile_node_.send(inner) : sent_by_second(inner)));
            if (order[i] == 'n') continue;
            ++expected[first ? 0 : 2];
            expected[first ? 1 : 3] += inner.size();
        }
        const auto counted = [&] {
            const channel::BindingRow* rows = worker().binding_rows;
            return std::array<std::uint64_t, 4>{rows[0].in_packets, rows[0].in_bytes,
                                                rows[2].in_packets, rows[2].in_bytes};
        };
        const auto before = counted();
        const Result result = feed(kOutside, frames, batch);
        EXPECT_EQ(result.count("ipsec.in.ok"), order.size()) << result.to_string();
        auto after = counted();
        for (std::size_t i = 0; i < after.size(); ++i) after[i] -= before[i];
        EXPECT_EQ(after, expected) << "batches of " << batch;
    }
}

TEST_P(Payload, P4_between_two_mobile_nodes_one_hop_and_both_seals) {
    const Ipv6Address other = v6("2001:db8:1::101");
    channel::BindingSet second = binding(other, kMovedTo);
    second.counter_index = 2;
    apply(second);
    const auto between = [&](std::uint8_t hop_limit) {
        return ipv6(kHomeAddress, other, 17, udp6(kHomeAddress, other, 24),
                    {.hop_limit = hop_limit});
    };
    channel::SaSet sa = tunnel_sa(SaDirection::kOutbound, 0x20000009, 0xc0, kPolicyPayload);
    sa.peer = sa.tunnel_remote = channel::WireAddress(other);
    sa.selector.remote_low = sa.selector.remote_high = channel::WireAddress(other);
    sa.second_peer = {};
    apply(sa);
    const Result result = feed_packet(kOutside, mobile_node_.send(between(64)));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    const Bytes sealed = packet_in(result.sent[kOutside][0]);
    EXPECT_EQ(spi_of(sealed), 0x20000009u);
    EXPECT_EQ(Ipv6Address::load(sealed.data() + 24), kMovedTo);
    EXPECT_EQ(result.count("ipsec.in.ok"), 1u);
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u);
}

TEST_P(Payload, P4_what_does_not_belong_to_the_sa_is_dropped) {
    Bytes foreign = from_mobile();
    v6("2001:db8:1::101").store(foreign.data() + 8);
    expect_drop(feed_packet(kOutside, mobile_node_.send(foreign)), "ipsec.in.selector_mismatch");
    Bytes broken = mobile_node_.send(from_mobile());
    broken[60] ^= 1;
    expect_drop(feed_packet(kOutside, broken), "ipsec.in.icv");
    const Bytes genuine = mobile_node_.send(from_mobile());
    expect_forwarded(feed_packet(kOutside, genuine), from_mobile());
    expect_drop(feed_packet(kOutside, genuine), "ipsec.in.replay");
}

TEST_P(Payload, S1_20_any_outer_source_opens) {
    expect_forwarded(feed_packet(kOutside, mobile_node_.send(from_mobile(), kMovedTo)),
                     from_mobile());
}

TEST_P(Payload, P4_check_esp_outer_off_log_drop) {
    check_outer(EspOuterCheck::kCount);
    Result result = feed_packet(kOutside, mobile_node_.send(from_mobile()));
    EXPECT_EQ(result.count("mip6.rt.esp_src_seen"), 0u) << result.to_string();
    result = feed_packet(kOutside, mobile_node_.send(from_mobile(), kMovedTo));
    expect_forwarded(result, from_mobile());
    EXPECT_EQ(result.count("mip6.rt.esp_src_seen"), 1u) << result.to_string();
    ASSERT_EQ(result.requests.size(), 1u) << "told for the log";
    EXPECT_EQ(result.requests[0].kind, stage::MainRequest::Kind::kEspSource);
    EXPECT_EQ(result.requests[0].home_address, kHomeAddress);
    EXPECT_EQ(result.requests[0].source, kMovedTo);
    EXPECT_EQ(result.requests[0].spi, kSpiPayloadIn);
    EXPECT_EQ(result.requests[0].dropped, 0);
    check_outer(EspOuterCheck::kDrop);
    result = feed_packet(kOutside, mobile_node_.send(from_mobile(), kMovedTo));
    expect_drop(result, "mip6.rt.esp_src");
    ASSERT_EQ(result.requests.size(), 1u);
    EXPECT_EQ(result.requests[0].dropped, 1);
    expect_forwarded(feed_packet(kOutside, mobile_node_.send(from_mobile())), from_mobile());
    bind_protected(kHomeAddress, kMovedTo);
    expect_forwarded(feed_packet(kOutside, mobile_node_.send(from_mobile(), kMovedTo)),
                     from_mobile());
    unbind();
    expect_drop(feed_packet(kOutside, mobile_node_.send(from_mobile(), kMovedTo)),
                "mip6.rt.esp_src");
    // A binding update is not payload, and comes from where it comes from.
    result = feed_packet(kOutside, test::kC2BindingUpdate);
    EXPECT_EQ(result.punted.size(), 1u) << result.to_string();
}

TEST_P(Payload, P4_a_flood_from_elsewhere_is_told_a_few_times_only) {
    check_outer(EspOuterCheck::kCount);
    Result all;
    for (int i = 0; i < 100; ++i) {
        Result result = feed_packet(kOutside, mobile_node_.send(from_mobile(), kMovedTo));
        std::ranges::copy(result.requests, std::back_inserter(all.requests));
    }
    EXPECT_GE(all.requests.size(), 1u);
    EXPECT_LE(all.requests.size(), 20u);
}

TEST_P(Payload, P2_plaintext_where_the_policy_demands_esp) {
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 41, from_mobile())),
                "mip6.rt.need_esp");
    const Bytes packet4 = ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(24, 1), {});
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 4, packet4)),
                "mip6.rt.need_esp");
    // Home Test Init has an entry of its own, which holds without protection of payload, too.
    bind();
    const Bytes init = ipv6(kHomeAddress, kCorrespondent, 135,
                            concat({{59, 1, 1, 0, 0, 0, 0, 0}, Bytes(8, 0x77)}));
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 41, init)),
                "mip6.rt.need_esp");
}

TEST_P(Payload, RFC4301_5_2_plaintext_of_a_bound_address_is_dropped_outside_of_tunnels_too) {
    const Bytes from4 = ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(24, 1), {});
    expect_forwarded(feed_packet(kOutside, from_mobile()), from_mobile());
    channel::ParametersSet parameters;
    parameters.protect_payload = 1;
    apply(parameters);
    const Ipv6Address other = v6("2001:db8:1::101");
    bind_protected(other, v6("2001:db8:2::201"));
    for (const std::uint16_t port : {kOutside, kHomeLink}) {
        expect_drop(feed_packet(port, from_mobile()), "ipsec.in.policy");
        expect_drop(feed_packet(port, from4), "ipsec.in.policy");
        for (const Ipv6Address& to : {kHomeAgent, v6("2001:db8:1::9"), other}) {
            expect_drop(feed_packet(port, ipv6(kHomeAddress, to, 17, Bytes(24, 1))),
                        "ipsec.in.policy");
        }
    }
    // What comes by the SA goes on; so does what others send, bound or not.
    expect_forwarded(feed_packet(kOutside, mobile_node_.send(from_mobile())), from_mobile());
    const Bytes neighbour = ipv6(v6("2001:db8:1::9"), kCorrespondent, 17, Bytes(24, 1));
    expect_forwarded(feed_packet(kHomeLink, neighbour), neighbour);
    // Messages under ESP that come from the home address itself, back at home, are opened.
    const Result update = feed_packet(kHomeLink, test::kC2AsSeenByIpsec);
    EXPECT_EQ(update.punted.size(), 1u) << update.to_string();
    // At home nothing is to be sealed (S1.37).
    unbind();
    expect_forwarded(feed_packet(kHomeLink, from_mobile()), from_mobile());
}

TEST_P(Payload, S1_15_no_routing_header_and_no_option) {
    const Result result = feed_packet(kOutside, to_mobile());
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.sent[kOutside][0])[6], 50) << "ESP stands behind the IPv6 header";
    EXPECT_EQ(result.count("mip6.rh2.sent"), 0u);
    expect_forwarded(feed_packet(kOutside, mobile_node_.send(from_mobile())), from_mobile());
}

TEST_P(Payload, S1_16_a_forged_binding_update_moves_nothing) {
    Bytes forged = test::kC2BindingUpdate;
    forged[100] ^= 1;
    kMovedTo.store(forged.data() + 8);
    expect_drop(feed_packet(kOutside, forged), "ipsec.in.icv");
    EXPECT_EQ(opened(feed_packet(kOutside, to_mobile())), to_mobile(63));
}

/// All that the database tells of an SA but what each packet changes.
std::string text_of(const ipsec::SaStatus& status) {
    std::string text = std::to_string(static_cast<int>(status.direction)) + " " +
                       status.spi.to_string() + " " +
                       std::to_string(static_cast<int>(status.algorithm)) + " " +
                       std::to_string(static_cast<int>(status.mode)) + " " +
                       std::to_string(status.esn) + " " + std::to_string(status.replay_window) +
                       " " + std::to_string(status.owner) + " " + std::to_string(status.path_mtu);
    for (const auto& address : {status.tunnel_local, status.tunnel_remote}) {
        text += " " + (address ? to_string(*address) : std::string("-"));
    }
    for (const auto& use : status.policies) {
        text += " " + std::to_string(use.policy) + (use.remote ? to_string(*use.remote) : "");
    }
    for (const auto& selectors : status.selectors) text += " [" + selectors.to_string() + "]";
    return text;
}

TEST_P(Payload, S1_11_S1_14_ten_thousand_handovers_change_no_sa) {
    const auto dump = [&] {
        std::vector<std::string> all;
        for (const auto handle : state().sad().handles()) {
            all.push_back(std::to_string(handle.value) + ": " +
                          text_of(*state().sad().status(handle)));
        }
        std::ranges::sort(all);
        return all;
    };
    const std::vector<std::string> before = dump();
    const std::uint64_t generation = state().sad().generation();
    ASSERT_EQ(before.size(), 5u);
    const std::array<Ipv6Address, 2> places{kMovedTo, kCareOfAddress};
    std::uint32_t expected = 1;
    for (unsigned move = 0; move < 10000; ++move) {
        const Ipv6Address& place = places[move % 2];
        bind_protected(kHomeAddress, place);
        const Result result = feed_packet(kOutside, to_mobile());
        ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
        const Bytes sealed = packet_in(result.sent[kOutside][0]);
        ASSERT_EQ(Ipv6Address::load(sealed.data() + 24), place);
        ASSERT_EQ(sequence_of(sealed), expected++) << "one gapless sequence over both addresses";
        if (move % 1000 == 0) {
            ASSERT_EQ(mobile_node_.open(normal_form(sealed)), to_mobile(63));
        }
    }
    EXPECT_EQ(dump(), before);
    EXPECT_EQ(state().sad().generation(), generation);
}

INSTANTIATE_TEST_SUITE_P(BothWays, Payload, ::testing::Bool(), [](const auto& parameter) {
    return parameter.param ? "fresh_buffers" : "in_place";
});

// ---------------------------------------------------- packets inside IPsec while the node moves

/// What is known of a binding before IPsec is known when it goes.
class InsideIpsec : public ProtectedPayload {
  protected:
    static constexpr unsigned kInside = 40;

    void SetUp() override {
        start_protected();
        bind_protected();
        ipsec_ = std::make_unique<Unguarded>(*worker().esp);
        worker().esp = ipsec_.get();
        EXPECT_EQ(feed_packet(kOutside, to_mobile()).sent[kOutside].size(), 1u);
    }
    /// Of a burst during whose sealing that happens.
    Result feed_while(std::function<void()> meanwhile) {
        ipsec_->meanwhile = std::move(meanwhile);
        return feed(kOutside, std::vector<Bytes>(kInside, to_port(kOutside, to_mobile())));
    }

    std::unique_ptr<Unguarded> ipsec_;
};

TEST_F(InsideIpsec, S1_13_packets_go_to_the_new_care_of_address) {
    const Result result = feed_while([&] { bind_protected(kHomeAddress, kMovedTo); });
    ASSERT_EQ(result.sent[kOutside].size(), kInside) << result.to_string();
    EXPECT_EQ(result.count("tun.out.rewritten"), kInside);
    for (unsigned i = 0; i < kInside; ++i) {
        const Bytes sealed = packet_in(result.sent[kOutside][i]);
        EXPECT_EQ(Ipv6Address::load(sealed.data() + 24), kMovedTo) << i;
        EXPECT_EQ(sequence_of(sealed), i + 2);
        EXPECT_EQ(mobile_node_.open(normal_form(sealed)), to_mobile(63));
    }
}

TEST_F(InsideIpsec, S1_17_packets_of_a_node_that_deregisters_go_home) {
    const Result result = feed_while([&] { unbind(); });
    ASSERT_EQ(at(result, StageId::kForward).size(), kInside) << result.to_string();
    for (unsigned i = 0; i < kInside; ++i) {
        const Bytes& sealed = at(result, StageId::kForward)[i].packet;
        EXPECT_EQ(Ipv6Address::load(sealed.data() + 24), kHomeAddress);
        EXPECT_EQ(mobile_node_.open(sealed), to_mobile(63));
    }
}

/// The slot of the binding is another's by then.
TEST_F(InsideIpsec, S1_13_packets_do_not_follow_another_binding_in_the_place_of_theirs) {
    const Result result = feed_while([&] {
        unbind();
        bind_protected(v6("2001:db8:1::777"), kMovedTo);
    });
    EXPECT_TRUE(result.sent[kOutside].empty()) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward).size(), kInside) << result.to_string();
}

}  // namespace
}  // namespace homeport::golden
