// SPDX-License-Identifier: BSD-3-Clause
// Neighbor discovery about bound addresses on the home link (mipv6 section 3.2).
#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

class NdProxy : public ForwardTest {
  protected:
    void SetUp() override { start_home_agent(); }

    static Bytes address_octets(const Ipv6Address& address) {
        return {address.bytes.begin(), address.bytes.end()};
    }
    static Bytes link_layer_option(std::uint8_t type, const MacAddress& mac) {
        return concat({{type, 1}, Bytes(mac.bytes.begin(), mac.bytes.end())});
    }
    static Bytes solicitation(const Ipv6Address& source, const Ipv6Address& destination,
                              const Ipv6Address& target, const Bytes& options,
                              std::uint8_t hop_limit = 255, std::uint8_t code = 0) {
        return icmp6(source, destination, 135, code, 0, concat({address_octets(target), options}),
                     hop_limit);
    }
    static Bytes ordinary(const Ipv6Address& target = kHomeAddress) {
        return solicitation(kAtHome, target.solicited_node(), target,
                            link_layer_option(1, host_mac(kHomeLink, 7)));
    }
    static Bytes probe(const Ipv6Address& target = kHomeAddress) {
        return solicitation(Ipv6Address{}, target.solicited_node(), target, {});
    }
    /// In a frame to the group of `target`.
    static Bytes group_frame(const Bytes& packet, const Ipv6Address& destination) {
        Bytes frame = to_port(kHomeLink, packet);
        const MacAddress group = ethernet_group_of(destination);
        std::copy(group.bytes.begin(), group.bytes.end(), frame.begin());
        const MacAddress source = host_mac(kHomeLink, 7);
        std::copy(source.bytes.begin(), source.bytes.end(), frame.begin() + 6);
        return frame;
    }
    Result solicit(const Bytes& packet, const Ipv6Address& target = kHomeAddress) {
        return feed(kHomeLink, group_frame(packet, target.solicited_node()));
    }
    static Bytes advertisement(const Ipv6Address& source, const Ipv6Address& destination,
                               const Ipv6Address& target, std::uint32_t flags) {
        return icmp6(source, destination, 136, 0, flags << 24,
                     concat({address_octets(target), link_layer_option(2, port_mac(kHomeLink))}),
                     255);
    }
    static void expect_kernel_only(const Result& result) {
        EXPECT_EQ(result.kernel[kHomeLink].size(), 1u) << result.to_string();
        EXPECT_TRUE(result.punted.empty());
        expect_nothing_sent(result);
        EXPECT_EQ(result.count("nd.proxy"), 0u);
    }
};

TEST_F(NdProxy, a_solicitation_for_a_bound_address_is_answered) {
    bind();
    const Result result = solicit(ordinary());
    expect_sent(result, kHomeLink, advertisement(kHomeAgent, kAtHome, kHomeAddress, 0x40), 7);
    EXPECT_EQ(result.count("nd.proxy"), 1u);
    EXPECT_EQ(result.count("deliver.absorbed"), 1u);
    EXPECT_EQ(result.count("rx.generated"), 1u);
    EXPECT_TRUE(result.kernel[kHomeLink].empty());
    EXPECT_TRUE(result.punted.empty());
}

TEST_F(NdProxy, this_hosts_own_kernel_is_answered_on_its_tap_and_nobody_hears_it_ask) {
    const Bytes asked =
        group_frame(solicitation(kHomeAgent, kHomeAddress.solicited_node(), kHomeAddress,
                                 link_layer_option(1, port_mac(kHomeLink))),
                    kHomeAddress.solicited_node());
    // Unbound, tentative, or not defended: the question goes out as the kernel made it.
    Result result = feed_from_kernel(kHomeLink, asked);
    ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
    EXPECT_EQ(result.sent[kHomeLink][0], asked);
    bind();
    result = feed_from_kernel(kHomeLink, asked);
    expect_nothing_sent(result);
    ASSERT_EQ(result.kernel[kHomeLink].size(), 1u) << result.to_string();
    const Bytes& frame = result.kernel[kHomeLink][0];
    EXPECT_EQ(Bytes(frame.begin() + 14, frame.end()),
              advertisement(kHomeAgent, kHomeAgent, kHomeAddress, 0x40));
    EXPECT_EQ(result.count("nd.proxy"), 1u);
}

TEST_F(NdProxy, a_unicast_solicitation_from_a_link_local_address_is_answered_from_ours) {
    bind();
    const Bytes packet = solicitation(v6("fe80::77"), kHomeAddress, kHomeAddress, {});
    const Result result = feed(kHomeLink, to_port(kHomeLink, packet));
    expect_sent(result, kHomeLink,
                advertisement(v6("fe80::1"), v6("fe80::77"), kHomeAddress, 0x40));
}

TEST_F(NdProxy, a_mobile_router_is_a_router) {
    channel::BindingSet record = binding();
    record.flags |= channel::kBindingRouter;
    apply(record);
    expect_sent(solicit(ordinary()), kHomeLink,
                advertisement(kHomeAgent, kAtHome, kHomeAddress, 0xc0), 7);
}

TEST_F(NdProxy, a_probe_is_answered_to_all_and_told_to_the_control_plane) {
    bind();
    const Result result = solicit(probe());
    ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
    const Bytes& frame = result.sent[kHomeLink][0];
    EXPECT_EQ(to_hex(first_octets(frame, 12)), "333300000001" + to_hex(port_mac(kHomeLink).bytes));
    EXPECT_EQ(to_hex(packet_in(frame)),
              to_hex(advertisement(v6("fe80::1"), v6("ff02::1"), kHomeAddress, 0x00)));
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].record.reason, channel::PuntReason::kDuplicateAddress);
    EXPECT_EQ(result.punted[0].record.port, kHomeLink);
    EXPECT_EQ(packet_in(result.punted[0].packet), probe());
    EXPECT_TRUE(result.kernel[kHomeLink].empty());
}

TEST_F(NdProxy, a_tentative_address_is_not_defended_but_watched) {
    channel::BindingSet record = binding();
    record.flags = channel::kBindingTentative | channel::kBindingProxyNd;
    apply(record);
    for (const Bytes& packet : {ordinary(), probe()}) {
        const Result result = solicit(packet);
        expect_nothing_sent(result);
        ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
        EXPECT_EQ(packet_in(result.punted[0].packet), packet);
        EXPECT_EQ(result.count("nd.proxy"), 0u);
    }
}

TEST_F(NdProxy, an_advertisement_about_a_bound_address_is_told_to_both) {
    bind();
    const Bytes packet = icmp6(
        kHomeAddress, v6("ff02::1"), 136, 0, 0x20u << 24,
        concat({address_octets(kHomeAddress), link_layer_option(2, host_mac(kHomeLink, 9))}), 255);
    const Result result = feed(kHomeLink, group_frame(packet, v6("ff02::1")));
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.punted[0].packet), packet);
    ASSERT_EQ(result.kernel[kHomeLink].size(), 1u);
    EXPECT_EQ(packet_in(result.kernel[kHomeLink][0]), packet);
    expect_nothing_sent(result);
}

TEST_F(NdProxy, the_link_local_address_is_defended_if_the_binding_says_so) {
    const Ipv6Address link_local = v6("fe80::100");
    bind();
    expect_kernel_only(solicit(ordinary(link_local), link_local));
    channel::BindingSet record = binding();
    record.flags |= channel::kBindingLinkLocal;
    apply(record);
    expect_sent(solicit(ordinary(link_local), link_local), kHomeLink,
                advertisement(kHomeAgent, kAtHome, link_local, 0x40), 7);
}

TEST_F(NdProxy, everything_else_is_the_kernels) {
    expect_kernel_only(solicit(ordinary()));  // not bound
    bind();
    expect_kernel_only(solicit(ordinary(kAtHome), kAtHome));
    apply(channel::BindingRemove{.header = {}, .home_address = channel::WireAddress(kHomeAddress)});
    expect_kernel_only(solicit(ordinary()));  // silence after deregistration
    channel::BindingSet record = binding();
    record.flags = 0;
    apply(record);
    expect_kernel_only(solicit(ordinary()));  // bound, but not defended
}

TEST_F(NdProxy, solicitations_on_another_port_are_not_answered) {
    bind();
    Bytes frame = group_frame(ordinary(), kHomeAddress.solicited_node());
    const Result result = feed(kOutside, frame);
    expect_nothing_sent(result);
    EXPECT_EQ(result.count("nd.proxy"), 0u);
}

TEST_F(NdProxy, malformed_solicitations_are_not_answered) {
    bind();
    const Ipv6Address group = kHomeAddress.solicited_node();
    const Bytes source_option = link_layer_option(1, host_mac(kHomeLink, 7));
    const std::vector<Bytes> bad{
        solicitation(kAtHome, group, kHomeAddress, source_option, 254),
        solicitation(kAtHome, group, kHomeAddress, source_option, 255, 1),
        solicitation(kAtHome, group, kHomeAddress, {1, 0, 0, 0, 0, 0, 0, 0}),
        solicitation(kAtHome, group, kHomeAddress, {1, 2, 0, 0, 0, 0, 0, 0}),
        solicitation(kAtHome, group, kHomeAddress, {1, 1, 0, 0}),
        solicitation(Ipv6Address{}, group, kHomeAddress, source_option),
        solicitation(Ipv6Address{}, v6("ff02::1"), kHomeAddress, {}),
        icmp6(kAtHome, group, 135, 0, 0, first_octets(address_octets(kHomeAddress), 15), 255),
        icmp6(kAtHome, group, 135, 0, 0, {}, 255),
    };
    for (std::size_t i = 0; i < bad.size(); ++i) {
        const Result result = solicit(bad[i]);
        expect_nothing_sent(result);
        EXPECT_EQ(result.count("nd.proxy"), 0u) << i << ": " << result.to_string();
        EXPECT_TRUE(result.punted.empty()) << i;
    }
    Bytes corrupted = ordinary();
    corrupted[60] ^= 0x10;
    expect_nothing_sent(solicit(corrupted));
}

TEST_F(NdProxy, a_batch_is_answered_one_by_one) {
    bind();
    for (const unsigned batch : kBatchSizes) {
        const std::vector<Bytes> frames(67, group_frame(ordinary(), kHomeAddress.solicited_node()));
        const Result result = feed(kHomeLink, frames, batch);
        EXPECT_EQ(result.sent[kHomeLink].size(), 67u);
        EXPECT_EQ(result.count("nd.proxy"), 67u);
    }
}

}  // namespace
}  // namespace homeport::golden
