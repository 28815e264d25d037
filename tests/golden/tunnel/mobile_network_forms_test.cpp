// SPDX-License-Identifier: BSD-3-Clause
// Networks behind a mobile router (RFC 3963; IPv4: RFC 5555 section 3.1.1) in every form of the
// tunnel: P1, P9, P10, P15, and under ESP P3, P4, P13, nested.
#include "tests/golden/tunnel/dual_stack.hpp"

namespace homeport::golden {
namespace {

constexpr std::uint16_t kPolicyNetwork = 8;
constexpr std::uint16_t kPolicyNetwork4 = 9;
const Ipv6Address kNode = v6("2001:db8:5000:1::77");
const Ipv4Address kNode4 = v4("10.5.0.77");

class NetworkForms : public DualStack {
  protected:
    void networks() {
        for (const auto& [prefix, length] : {std::pair{"2001:db8:5000::", 48}, {"10.5.0.0", 16}}) {
            channel::MobilePrefixSet record;
            record.prefix = channel::WireAddress(*parse_ip_address(prefix));
            record.prefix_length = static_cast<std::uint8_t>(length);
            record.home_address = channel::WireAddress(kHomeAddress);
            apply(record);
            home_prefix(prefix, record.prefix_length, channel::kNoPort);
        }
    }
    /// Table S1-SPD with an entry for each network before all others of payload.
    void protect_networks() {
        start_dual_stack(true);
        std::array policies{network_policy(kPolicyNetwork, kIpv6Network),
                            network_policy(kPolicyNetwork4, kIpv4Network), payload_policy(),
                            policy(kPolicyPayload4, "payload-ipv4"), channel::PolicyRecord{}};
        policies[3].selector.remote_low = channel::WireAddress(v4("192.0.2.0"));
        policies[3].selector.remote_high = channel::WireAddress(v4("192.0.2.255"));
        policies[4].id = kPolicyOthers;
        policies[4].action = channel::PolicyAction::kBypass;
        set_policies(policies);
        for (const auto direction :
             {channel::SaDirection::kInbound, channel::SaDirection::kOutbound}) {
            sa_with_networks(direction);
        }
    }
    static channel::PolicyRecord payload_policy() {
        channel::PolicyRecord record = policy(kPolicyPayload, "payload");
        record.selector.remote_low = channel::WireAddress(v6("2001:db8:1::"));
        record.selector.remote_high = channel::WireAddress(v6("2001:db8:1::ffff:ffff:ffff:ffff"));
        return record;
    }
    struct Range {
        std::string_view low, high;
    };
    static constexpr Range kIpv6Network{"2001:db8:5000::",
                                        "2001:db8:5000:ffff:ffff:ffff:ffff:ffff"};
    static constexpr Range kIpv4Network{"10.5.0.0", "10.5.255.255"};
    static channel::PolicyRecord network_policy(std::uint16_t id, const Range& range) {
        channel::PolicyRecord record = policy(id, "payload-network");
        record.per_remote_address = 0;
        record.tunnel_remote = channel::WireAddress(kHomeAddress);
        record.selector.remote_low = channel::WireAddress(*parse_ip_address(range.low));
        record.selector.remote_high = channel::WireAddress(*parse_ip_address(range.high));
        return record;
    }
    static channel::SaNetwork sa_network(std::uint16_t id, const Range& range) {
        channel::SaNetwork network;
        network.policy_id = id;
        network.low = channel::WireAddress(*parse_ip_address(range.low));
        network.high = channel::WireAddress(*parse_ip_address(range.high));
        return network;
    }
    void sa_with_networks(channel::SaDirection direction) {
        const bool inbound = direction == channel::SaDirection::kInbound;
        channel::SaSet record = tunnel_sa(direction, inbound ? kSpiPayloadIn : kSpiPayloadOut,
                                          inbound ? 0xd0 : 0xc0, kPolicyPayload);
        const std::array both{sa_network(kPolicyNetwork, kIpv6Network),
                              sa_network(kPolicyNetwork4, kIpv4Network)};
        record.network_count = both.size();
        apply(record, {reinterpret_cast<const std::uint8_t*>(both.data()), sizeof both});
    }

    static Bytes to_network(bool v4_inside, std::uint8_t hops, std::size_t octets = 24) {
        if (v4_inside) return ipv4(kCorrespondent4, kNode4, 17, Bytes(octets, 0x5a), {.ttl = hops});
        return ipv6(kCorrespondent, kNode, 17, udp6(kCorrespondent, kNode, octets),
                    {.hop_limit = hops});
    }
    static Bytes from_network(bool v4_inside, std::uint8_t hops, std::size_t octets = 24) {
        if (v4_inside) return ipv4(kNode4, kCorrespondent4, 17, Bytes(octets, 0x3c), {.ttl = hops});
        return ipv6(kNode, kCorrespondent, 17, udp6(kNode, kCorrespondent, octets),
                    {.hop_limit = hops});
    }
    /// A sealed packet of the router as it is on the wire over IPv4: protocol 50, UDP 4500, nested.
    Bytes sealed_in(int form, const Bytes& inner) {
        if (form == 0) return ipv4(kCareOf4, kHomeAgent4, 50, esp_of(inner));
        if (form == 1) return in_4500(esp_of(inner));
        return tunnelled(Encapsulation::kUdpIpv4, mobile_node_.seal(inner));
    }
    Bytes opened_from(int form, const Bytes& packet) {
        if (form == 0) return opened(behind(packet, 20));
        return form == 1 ? opened(behind(packet, 28)) : mobile_node_.open(behind(packet, 28));
    }
    void bind_form(int form) {
        const std::uint16_t nested = form == 2 ? channel::kBindingNestedEsp : 0;
        bind_by(form == 0 ? Encapsulation::kIpv4 : Encapsulation::kUdpIpv4,
                static_cast<std::uint16_t>(channel::kBindingProtected | nested));
        networks();
        if (form == 1) teach_mapping();
    }
};

TEST_F(NetworkForms, P1_P9_P10_P15_S1_10_both_families_out_and_in) {
    start_dual_stack();
    constexpr std::array<std::pair<Encapsulation, std::size_t>, 4> kForms{
        {{Encapsulation::kIpv6, 40},
         {Encapsulation::kIpv4, 20},
         {Encapsulation::kUdpIpv4, 28},
         {Encapsulation::kUdpIpv6, 48}}};
    for (const auto& [encapsulation, overhead] : kForms) {
        bind_by(encapsulation);
        networks();
        for (const bool v4_inside : {false, true}) {
            for (const unsigned batch : kBatchSizes) {
                std::vector<Bytes> out;
                std::vector<Bytes> in;
                for (unsigned i = 0; i < 67; ++i) {
                    out.push_back(to_port(kOutside, to_network(v4_inside, 64, 24 + i)));
                    in.push_back(to_port(
                        kOutside, tunnelled(encapsulation, from_network(v4_inside, 64, 24 + i))));
                }
                const Result left = feed(kOutside, out, batch);
                const Result came = feed(kOutside, in, batch);
                ASSERT_EQ(left.sent[kOutside].size(), 67u) << left.to_string();
                ASSERT_EQ(came.sent[kOutside].size(), 67u) << came.to_string();
                for (unsigned i = 0; i < 67; ++i) {
                    const Bytes packet = packet_in(left.sent[kOutside][i]);
                    EXPECT_EQ(behind(packet, overhead), to_network(v4_inside, 63, 24 + i));
                    EXPECT_EQ(packet_in(came.sent[kOutside][i]),
                              from_network(v4_inside, 63, 24 + i));
                }
            }
        }
    }
}

TEST_F(NetworkForms, P9i_P10i_other_sources_and_other_nodes_are_refused) {
    start_dual_stack();
    for (const Encapsulation encapsulation : {Encapsulation::kIpv4, Encapsulation::kUdpIpv4}) {
        bind_by(encapsulation);
        networks();
        for (const bool v4_inside : {false, true}) {
            expect_drop(feed_packet(kOutside, tunnelled(encapsulation, from_network(v4_inside, 64),
                                                        kPortZ, kElsewhere4)),
                        "dsmip.in.bad_outer");
        }
        expect_drop(
            feed_packet(kOutside, tunnelled(encapsulation,
                                            ipv4(v4("10.6.0.1"), kCorrespondent4, 17, Bytes(24)))),
            "mip6.rt.inner_src");
    }
}

TEST_F(NetworkForms, P3_P4_under_esp_over_ipv6) {
    protect_networks();
    bind_by(Encapsulation::kIpv6, channel::kBindingProtected);
    networks();
    for (const bool v4_inside : {false, true}) {
        const Bytes packet = sent(feed_packet(kOutside, to_network(v4_inside, 64)));
        ASSERT_GT(packet.size(), 48u);
        EXPECT_EQ(packet[6], 50);
        EXPECT_EQ(Ipv6Address::load(packet.data() + 24), kCareOfAddress);
        EXPECT_EQ(load_be32(packet.data() + 40), kSpiPayloadOut);
        EXPECT_EQ(mobile_node_.open(normal_form(packet)), to_network(v4_inside, 63));
        EXPECT_EQ(sent(feed_packet(kOutside, mobile_node_.send(from_network(v4_inside, 64)))),
                  from_network(v4_inside, 63));
    }
}

TEST_F(NetworkForms, P13_P13i_S1_19_under_esp_over_ipv4_in_every_form_and_batch) {
    protect_networks();
    for (int form = 0; form < 3; ++form) {
        bind_form(form);
        for (const bool v4_inside : {false, true}) {
            for (const unsigned batch : kBatchSizes) {
                std::vector<Bytes> out;
                std::vector<Bytes> in;
                for (unsigned i = 0; i < 67; ++i) {
                    // In between packets of the home address, which the same SA carries.
                    const bool network = i % 3 != 0;
                    out.push_back(to_port(kOutside, network ? to_network(v4_inside, 64, 24 + i)
                                                            : payload_to(v4_inside, 64, 24 + i)));
                    in.push_back(to_port(
                        kOutside, sealed_in(form, network ? from_network(v4_inside, 64, 24 + i)
                                                          : payload_from(v4_inside, 64, 24 + i))));
                }
                const Result left = feed(kOutside, out, batch);
                const Result came = feed(kOutside, in, batch);
                ASSERT_EQ(left.sent[kOutside].size(), 67u) << form << ' ' << left.to_string();
                ASSERT_EQ(came.sent[kOutside].size(), 67u) << form << ' ' << came.to_string();
                EXPECT_EQ(left.count("tun.out.rewritten"), 67u);
                // Packets to a network and to a home address may overtake each other.
                std::vector<Bytes> opened_out;
                std::vector<Bytes> expected_out;
                std::vector<Bytes> expected_in;
                for (unsigned i = 0; i < 67; ++i) {
                    const bool network = i % 3 != 0;
                    opened_out.push_back(opened_from(form, packet_in(left.sent[kOutside][i])));
                    expected_out.push_back(network ? to_network(v4_inside, 63, 24 + i)
                                                   : payload_to(v4_inside, 63, 24 + i));
                    expected_in.push_back(
                        from_port(kOutside, network ? from_network(v4_inside, 63, 24 + i)
                                                    : payload_from(v4_inside, 63, 24 + i)));
                }
                std::ranges::sort(opened_out);
                std::ranges::sort(expected_out);
                std::ranges::sort(expected_in);
                std::vector<Bytes> forwarded = came.sent[kOutside];
                std::ranges::sort(forwarded);
                EXPECT_EQ(opened_out, expected_out) << form;
                EXPECT_EQ(forwarded, expected_in) << form;
            }
        }
    }
}

TEST_F(NetworkForms, S1_34_S1_35_a_protected_network_is_not_heard_in_the_clear) {
    protect_networks();
    for (const Encapsulation encapsulation :
         {Encapsulation::kIpv6, Encapsulation::kIpv4, Encapsulation::kUdpIpv4}) {
        bind_by(encapsulation, channel::kBindingProtected);
        networks();
        for (const bool v4_inside : {false, true}) {
            expect_drop(
                feed_packet(kOutside, tunnelled(encapsulation, from_network(v4_inside, 64))),
                "mip6.rt.need_esp");
        }
    }
    channel::ParametersSet parameters;
    parameters.protect_payload = 1;
    apply(parameters);
    for (const bool v4_inside : {false, true}) {
        expect_drop(feed_packet(kOutside, from_network(v4_inside, 64)), "ipsec.in.policy");
    }
}

TEST_F(NetworkForms, RFC4301_5_2_other_sources_do_not_come_out_of_the_sa) {
    protect_networks();
    bind_form(0);
    expect_drop(
        feed_packet(kOutside, sealed_in(0, ipv4(v4("10.6.0.1"), kCorrespondent4, 17, Bytes(24)))),
        "ipsec.in.selector_mismatch");
    const Ipv6Address other = v6("2001:db8:5001::77");
    expect_drop(feed_packet(kOutside, sealed_in(0, ipv6(other, kCorrespondent, 17,
                                                        udp6(other, kCorrespondent, 24)))),
                "ipsec.in.selector_mismatch");
}

TEST_F(NetworkForms, an_entry_that_stands_for_another_network_leads_to_no_old_sa) {
    protect_networks();
    bind_form(0);
    (void)sent(feed_packet(kOutside, to_network(false, 64)));
    constexpr Range kOther{"2001:db8:6000::", "2001:db8:6000:ffff:ffff:ffff:ffff:ffff"};
    std::array policies{network_policy(kPolicyNetwork, kOther), payload_policy()};
    set_policies(policies);
    const Ipv6Address other = v6("2001:db8:6000::1");
    channel::MobilePrefixSet record;
    record.prefix = channel::WireAddress(v6("2001:db8:6000::"));
    record.prefix_length = 48;
    record.home_address = channel::WireAddress(kHomeAddress);
    apply(record);
    if (ipsec().find({kSpiPayloadOut, channel::SaDirection::kOutbound,
                      channel::WireAddress(kHomeAddress)}) != nullptr) {
        ADD_FAILURE() << "the SA of the old network seals for the new one";
    }
    sa_with_networks(channel::SaDirection::kOutbound);
    const Bytes packet = sent(
        feed_packet(kOutside, ipv6(kCorrespondent, other, 17, udp6(kCorrespondent, other, 24))));
    EXPECT_EQ(load_be32(packet.data() + 20), kSpiPayloadOut);
}

TEST_F(NetworkForms, networks_of_an_sa_that_are_none_are_refused) {
    start_dual_stack(true);
    channel::SaSet record =
        tunnel_sa(channel::SaDirection::kOutbound, 0x20000077, 0xc7, kPolicyPayload);
    record.peer = channel::WireAddress(v6("2001:db8:1::9"));
    record.second_peer = {};
    record.network_count = 1;
    channel::SaNetwork network = sa_network(kPolicyNetwork, kIpv4Network);
    std::swap(network.low, network.high);
    const auto refused =
        ipsec().apply(record, {reinterpret_cast<const std::uint8_t*>(&network), sizeof network});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().text,
              "outbound SA 0x20000077 of 2001:db8:1::9: network 0 is not an address range");
}

}  // namespace
}  // namespace homeport::golden
