// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors: those that we send, and those about our tunnels (mipv6 section 4.1).
#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

class Icmp : public ForwardTest {
  protected:
    void SetUp() override {
        start_home_agent();
        bind();
        bind(kHomeAddress4);
    }

    /// What left as a tunnel packet for `inner`.
    static Bytes tunnelled(const Bytes& inner, std::uint8_t next_header = 41) {
        return ipv6(kHomeAgent, kCareOfAddress, next_header, inner);
    }
    /// An error from a router on the way, about `quoted`.
    Result error_about(std::uint8_t type, std::uint8_t code, std::uint32_t data,
                       const Bytes& quoted) {
        return feed_packet(kOutside,
                           icmp6_error(v6("2001:db8:9::9"), kHomeAgent, type, code, data, quoted));
    }
    static void expect_relayed(const Result& result) {
        EXPECT_EQ(result.count("icmp.relayed"), 1u) << result.to_string();
        EXPECT_EQ(result.count("deliver.absorbed"), 1u) << result.to_string();
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
    static void expect_absorbed_silently(const Result& result) {
        EXPECT_EQ(result.count("deliver.absorbed"), 1u) << result.to_string();
        EXPECT_EQ(result.count("icmp.relayed"), 0u) << result.to_string();
        expect_nothing_sent(result);
    }
    static void expect_kernel(const Result& result) {
        EXPECT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
        expect_nothing_sent(result);
        EXPECT_TRUE(result.requests.empty());
    }
};

// ------------------------------------------------------------------------------ errors that we
// send

TEST_F(Icmp, P1_too_big_for_the_tunnel_is_answered_to_the_sender) {
    const Bytes big = udp6(kCorrespondent, kHomeAddress, 1460);
    const Result result = feed_packet(kOutside, big);
    expect_drop(result, "tun.out.ptb");
    expect_sent(result, kOutside, icmp6_error(kOutsideAddress, kCorrespondent, 2, 0, 1460, big));
}

TEST_F(Icmp, an_error_to_a_bound_home_address_goes_through_its_tunnel) {
    // The mobile node's own packet, out of its reverse tunnel, at its last hop.
    const Bytes inner = udp6(kHomeAddress, kCorrespondent, 24, {.hop_limit = 1});
    const Result result = feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 41, inner));
    expect_drop(result, "forward.ttl");
    expect_sent(result, kOutside,
                tunnelled(icmp6_error(kOutsideAddress, kHomeAddress, 3, 0, 0, inner)));
    EXPECT_EQ(result.count("tun.out.ok"), 1u);
}

TEST_F(Icmp, RFC3963_6_5_errors_to_a_node_of_a_mobile_network_go_through_its_tunnel) {
    const Ipv6Address node = v6("2001:db8:5000::77");
    network("2001:db8:5000::", 48);
    const Bytes inner = udp6(node, kCorrespondent, 24, {.hop_limit = 1});
    const Result result = feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 41, inner));
    expect_drop(result, "forward.ttl");
    expect_sent(result, kOutside, tunnelled(icmp6_error(kOutsideAddress, node, 3, 0, 0, inner)));
}

TEST_F(Icmp, RFC3963_6_3_path_mtu_is_learnt_from_packets_to_a_mobile_network) {
    const Ipv6Address node = v6("2001:db8:5000::77");
    network("2001:db8:5000::", 48);
    const Bytes inner = udp6(kCorrespondent, node, 1400);
    const Result result = error_about(2, 0, 1400, tunnelled(inner));
    expect_relayed(result);
    ASSERT_EQ(result.requests.size(), 1u) << result.to_string();
    EXPECT_EQ(result.requests[0].home_address, kHomeAddress);
    EXPECT_EQ(result.requests[0].mtu, 1400u);
}

TEST_F(Icmp, no_error_about_errors_and_to_no_void_source) {
    const Bytes error = icmp6(kCorrespondent, kAtHome, 1, 0, 0, Bytes(40, 0), 1);
    Result result = feed_packet(kOutside, error);
    expect_drop(result, "forward.ttl");
    expect_nothing_sent(result);
    EXPECT_EQ(result.count("icmp.sent"), 0u);

    const Bytes echo = icmp6(kCorrespondent, kAtHome, 128, 0, 0, Bytes(40, 0), 1);
    EXPECT_EQ(feed_packet(kOutside, echo).sent[kOutside].size(), 1u);

    const Bytes later =
        fragment6(udp6(kCorrespondent, kAtHome, 600, {.hop_limit = 1}), 8, 64, true);
    result = feed_packet(kOutside, later);
    expect_drop(result, "forward.ttl");
    expect_nothing_sent(result);
}

TEST_F(Icmp, no_error_about_packets_of_this_host) {
    add_special_route("2001:db8:c::", 48, channel::RouteType::kUnreachable);
    const Result result = transmit(udp6(kOutsideAddress, v6("2001:db8:c::1"), 24));
    expect_drop(result, "forward.unreachable");
    EXPECT_EQ(result.count("icmp.sent"), 0u) << result.to_string();
    expect_nothing_sent(result);
}

TEST_F(Icmp, a_tunnel_without_a_way_is_told_to_the_sender_of_what_is_inside) {
    add_special_route("2001:db8:2::", 48, channel::RouteType::kUnreachable);
    const Result result = feed_packet(kOutside, udp6(kCorrespondent, kHomeAddress, 24));
    expect_drop(result, "forward.unreachable");
    expect_sent(result, kOutside,
                icmp6_error(kOutsideAddress, kCorrespondent, 1, 3, 0,
                            udp6(kCorrespondent, kHomeAddress, 24, {.hop_limit = 63})));
}

TEST_F(Icmp, errors_are_limited_in_rate_and_the_drop_is_counted_all_the_same) {
    channel::ParametersSet parameters;
    parameters.icmp_errors_per_second = 1;
    apply(parameters);
    const std::vector<Bytes> frames(
        67, to_port(kOutside, udp6(kCorrespondent, kAtHome, 24, {.hop_limit = 1})));
    const Result result = feed(kOutside, frames);
    EXPECT_EQ(result.count("forward.ttl"), 67u);
    EXPECT_GT(result.count("icmp.ratelimited"), 0u);
    EXPECT_LT(result.count("icmp.sent"), 67u);
    EXPECT_EQ(result.count("icmp.sent") + result.count("icmp.ratelimited"), 67u);
}

TEST_F(Icmp, to_the_link_local_address_of_a_mobile_node_is_unreachable) {
    const Bytes packet = udp6(kAtHome, v6("fe80::100"), 24);
    const Result result = feed_packet(kHomeLink, packet);
    expect_drop(result, "mip6.out.linklocal");
    expect_sent(result, kHomeLink, icmp6_error(kHomeAgent, kAtHome, 1, 3, 0, packet), 7);
}

// ------------------------------------------------------------------------- errors about our
// tunnels

TEST_F(Icmp, P1_packet_too_big_is_learnt_and_relayed) {
    const Bytes inner = udp6(kCorrespondent, kHomeAddress, 1410, {.hop_limit = 63});
    const Result result = error_about(2, 0, 1400, tunnelled(inner));
    expect_relayed(result);
    ASSERT_EQ(result.requests.size(), 1u);
    EXPECT_EQ(result.requests[0].home_address, kHomeAddress);
    EXPECT_EQ(result.requests[0].mtu, 1400u);
    // What the router quoted of it, and of that what fits.
    const Bytes quoted = first_octets(inner, 1280 - 48 - 40);
    expect_sent(result, kOutside, icmp6_error(kOutsideAddress, kCorrespondent, 2, 0, 1360, quoted));
}

TEST_F(Icmp, P1_the_relayed_mtu_is_never_below_1280) {
    const Bytes inner = udp6(kCorrespondent, kHomeAddress, 1410, {.hop_limit = 63});
    const Result result = error_about(2, 0, 1280, tunnelled(inner));
    expect_relayed(result);
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(load_be32(packet_in(result.sent[kOutside][0]).data() + 44), 1280u);
}

TEST_F(Icmp, P1_a_small_packet_is_not_blamed) {
    const Bytes inner = udp6(kCorrespondent, kHomeAddress, 1240, {.hop_limit = 63});
    const Result result = error_about(2, 0, 1300, tunnelled(inner));
    expect_absorbed_silently(result);
    EXPECT_EQ(result.requests.size(), 1u) << "the path MTU is learnt";
}

TEST_F(Icmp, P14_packet_too_big_becomes_fragmentation_needed) {
    const Bytes fixed =
        udp4(kCorrespondent4, kHomeAddress4, 1400, {.ttl = 63, .flags_offset = kDontFragment});
    Result result = error_about(2, 0, 1400, tunnelled(fixed, 4));
    expect_relayed(result);
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    const Bytes sent = packet_in(result.sent[kOutside][0]);
    EXPECT_EQ(Ipv4Address::load(sent.data() + 16), kCorrespondent4);
    EXPECT_EQ(sent[20], 3);
    EXPECT_EQ(sent[21], 4);
    EXPECT_EQ(load_be32(sent.data() + 24), 1360u);

    const Bytes loose = udp4(kCorrespondent4, kHomeAddress4, 1400, {.ttl = 63});
    result = error_about(2, 0, 1400, tunnelled(loose, 4));
    expect_absorbed_silently(result);
}

TEST_F(Icmp, P1_a_tunnel_that_does_not_lead_through_is_an_unreachable_address) {
    const Bytes inner = udp6(kCorrespondent, kHomeAddress, 200, {.hop_limit = 63});
    for (const auto& [type, code] : {std::pair{1, 0}, {1, 3}, {3, 0}, {4, 0}}) {
        const Result result = error_about(static_cast<std::uint8_t>(type),
                                          static_cast<std::uint8_t>(code), 0, tunnelled(inner));
        expect_relayed(result);
        expect_sent(result, kOutside, icmp6_error(kOutsideAddress, kCorrespondent, 1, 3, 0, inner));
        EXPECT_TRUE(result.requests.empty());
    }
    const Result late = error_about(3, 1, 0, tunnelled(inner));
    expect_absorbed_silently(late);
}

TEST_F(Icmp, P14_unreachable_becomes_host_unreachable) {
    const Bytes inner = udp4(kCorrespondent4, kHomeAddress4, 200, {.ttl = 63});
    const Result result = error_about(1, 3, 0, tunnelled(inner, 4));
    expect_relayed(result);
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    const Bytes sent = packet_in(result.sent[kOutside][0]);
    EXPECT_EQ(sent[20], 3);
    EXPECT_EQ(sent[21], 1);
    EXPECT_EQ(Bytes(sent.begin() + 28, sent.end()), inner);
}

TEST_F(Icmp, an_error_about_an_inner_error_is_not_relayed) {
    const Bytes inner = icmp6(kCorrespondent, kHomeAddress, 1, 0, 0, Bytes(40, 0), 63);
    expect_absorbed_silently(error_about(1, 3, 0, tunnelled(inner)));
}

TEST_F(Icmp, an_error_to_a_mobile_sender_goes_through_its_tunnel) {
    bind(v6("2001:db8:1::200"));
    const Bytes inner = udp6(v6("2001:db8:1::200"), kHomeAddress, 200, {.hop_limit = 63});
    const Result result = error_about(1, 3, 0, tunnelled(inner));
    expect_relayed(result);
    expect_sent(result, kOutside,
                tunnelled(icmp6_error(kHomeAgent, v6("2001:db8:1::200"), 1, 3, 0, inner)));
}

TEST_F(Icmp, a_quote_that_ends_too_early_is_counted) {
    const Bytes inner = udp6(kCorrespondent, kHomeAddress, 200);
    const Result result = error_about(1, 3, 0, first_octets(tunnelled(inner), 40 + 39));
    expect_drop(result, "icmp.relay_short");
    expect_nothing_sent(result);
}

TEST_F(Icmp, quotes_of_what_we_did_not_send_are_the_kernels) {
    const Bytes inner = udp6(kCorrespondent, kHomeAddress, 1410);
    // Another care-of address, another source, no binding.
    expect_kernel(error_about(2, 0, 1400, ipv6(kHomeAgent, v6("2001:db8:2::999"), 41, inner)));
    expect_kernel(error_about(2, 0, 1400, ipv6(kOutsideAddress, kCareOfAddress, 41, inner)));
    expect_kernel(error_about(2, 0, 1400, tunnelled(udp6(kCorrespondent, kAtHome, 1410))));
    // Our packet was not larger than that.
    expect_kernel(error_about(2, 0, 1490, tunnelled(inner)));
    // Not a tunnel packet.
    expect_kernel(error_about(1, 0, 0, udp6(kHomeAgent, kCorrespondent, 100)));
    // A wrong checksum.
    Bytes bad = icmp6_error(v6("2001:db8:9::9"), kHomeAgent, 2, 0, 1400, tunnelled(inner));
    bad[100] ^= 1;
    expect_kernel(feed_packet(kOutside, bad));
}

TEST_F(Icmp, P6_an_error_about_a_reply_teaches_the_path_mtu_and_ends) {
    Bytes routing{59, 2, 2, 1, 0, 0, 0, 0};
    append(routing, Bytes(kHomeAddress.bytes.begin(), kHomeAddress.bytes.end()));
    append(routing, Bytes(1300, 0));
    const Result result = error_about(2, 0, 1290, ipv6(kHomeAgent, kCareOfAddress, 43, routing));
    expect_absorbed_silently(result);
    ASSERT_EQ(result.requests.size(), 1u);
    EXPECT_EQ(result.requests[0].home_address, kHomeAddress);
}

TEST_F(Icmp, S1_22_too_big_about_a_sealed_packet_is_asked_of_the_main_lcore) {
    const Bytes esp = concat({{0x20, 0, 0, 3, 0, 0, 0, 7}, Bytes(1400, 0xee)});
    Result result = error_about(2, 0, 1300, ipv6(kHomeAgent, kCareOfAddress, 50, esp));
    expect_absorbed_silently(result);
    ASSERT_EQ(result.requests.size(), 1u);
    EXPECT_EQ(result.requests[0].kind, stage::MainRequest::Kind::kSealedPathMtu);
    EXPECT_EQ(result.requests[0].home_address, kCareOfAddress);
    EXPECT_EQ(result.requests[0].spi, 0x20000003u);
    EXPECT_EQ(result.requests[0].mtu, 1300u);
    // Not our packet, not too big for that, or another error: the kernel's.
    for (const Result& other :
         {error_about(2, 0, 1300, ipv6(kCorrespondent, kCareOfAddress, 50, esp)),
          error_about(2, 0, 1499, ipv6(kHomeAgent, kCareOfAddress, 50, esp)),
          error_about(1, 3, 0, ipv6(kHomeAgent, kCareOfAddress, 50, esp))}) {
        expect_kernel(other);
        EXPECT_TRUE(other.requests.empty());
    }
}

TEST_F(Icmp, RFC4301_8_2_packet_too_big_without_esp_is_ignored_where_it_is_not_believed) {
    channel::ParametersSet parameters;
    parameters.believe_packet_too_big = 0;
    apply(parameters);
    const Bytes esp = concat({{0x20, 0, 0, 3, 0, 0, 0, 7}, Bytes(1400, 0xee)});
    for (const Bytes& about : {ipv6(kHomeAgent, kCareOfAddress, 50, esp),
                               tunnelled(udp6(kCorrespondent, kHomeAddress, 1400))}) {
        const Result result = error_about(2, 0, 1300, about);
        expect_absorbed_silently(result);
        EXPECT_TRUE(result.requests.empty());
        EXPECT_EQ(result.count("icmp.ptb_ignored"), 1u) << result.to_string();
    }
    // What the kernel sent is the kernel's to judge, and other errors are told as ever.
    expect_kernel(error_about(2, 0, 1300, ipv6(kHomeAgent, kCorrespondent, 6, Bytes(1400, 1))));
    const Result unreachable =
        error_about(1, 3, 0, tunnelled(udp6(kCorrespondent, kHomeAddress, 1400)));
    EXPECT_EQ(unreachable.count("icmp.relayed"), 1u) << unreachable.to_string();
    parameters.believe_packet_too_big = 1;
    apply(parameters);
    EXPECT_EQ(error_about(2, 0, 1300, ipv6(kHomeAgent, kCareOfAddress, 50, esp)).requests.size(),
              1u);
}

TEST_F(Icmp, a_fragmented_tunnel_packet_is_known_by_its_first_piece) {
    const Bytes outer = tunnelled(udp6(kCorrespondent, kHomeAddress, 1410, {.hop_limit = 63}));
    Result result = error_about(2, 0, 1300, fragment6(outer, 0, 1304, true));
    EXPECT_EQ(result.requests.size(), 1u) << result.to_string();
    result = error_about(2, 0, 1300, fragment6(outer, 8, 1304, true));
    expect_drop(result, "icmp.relay_short");
}

TEST_F(Icmp, every_length_of_a_quote_is_survived) {
    const Bytes whole = icmp6_error(v6("2001:db8:9::9"), kHomeAgent, 2, 0, 1400,
                                    tunnelled(udp6(kCorrespondent, kHomeAddress, 1410)));
    for (std::size_t length = 48; length < 200; ++length) {
        const Bytes rest(whole.begin() + 48, whole.begin() + static_cast<std::ptrdiff_t>(length));
        const Result result =
            feed_packet(kOutside, icmp6(v6("2001:db8:9::9"), kHomeAgent, 2, 0, 1400, rest));
        EXPECT_EQ(result.count("deliver.kernel") + result.count("icmp.relay_short") +
                      result.count("deliver.absorbed"),
                  1u)
            << length << ": " << result.to_string();
    }
}

}  // namespace
}  // namespace homeport::golden
