// SPDX-License-Identifier: BSD-3-Clause
// ARP for bound IPv4 home addresses on the home link (RFC 5944 section 4.6, RFC 5227), and what
// neighbours then send there (P14).
#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

const MacAddress kAsker = host_mac(kHomeLink, 7);
const MacAddress kEverybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

class ArpProxy : public ForwardTest {
  protected:
    void SetUp() override { start_home_agent(); }

    struct Message {
        std::uint16_t operation = 1;
        MacAddress sender_mac = kAsker;
        Ipv4Address sender = kAtHome4;
        MacAddress target_mac{};
        Ipv4Address target = kHomeAddress4;
        MacAddress to = kEverybody;
        MacAddress from = kAsker;
    };
    static Bytes frame(const Message& message) {
        Bytes out(60);
        message.to.store(out.data());
        message.from.store(out.data() + 6);
        store_be16(out.data() + 12, 0x0806);
        std::uint8_t* const arp = out.data() + 14;
        store_be16(arp, 1);
        store_be16(arp + 2, 0x0800);
        arp[4] = 6;
        arp[5] = 4;
        store_be16(arp + 6, message.operation);
        message.sender_mac.store(arp + 8);
        message.sender.store(arp + 14);
        message.target_mac.store(arp + 18);
        message.target.store(arp + 24);
        return out;
    }
    static Bytes reply(const Ipv4Address& to) {
        return frame({.operation = 2,
                      .sender_mac = port_mac(kHomeLink),
                      .sender = kHomeAddress4,
                      .target_mac = kAsker,
                      .target = to,
                      .to = kAsker,
                      .from = port_mac(kHomeLink)});
    }
    Result ask(const Message& message, std::uint16_t port = kHomeLink) {
        return feed(port, frame(message));
    }
    static void expect_answered(const Result& result, const Ipv4Address& to = kAtHome4) {
        ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
        EXPECT_EQ(to_hex(result.sent[kHomeLink][0]), to_hex(reply(to)));
        EXPECT_EQ(result.count("arp.proxy"), 1u);
        EXPECT_EQ(result.count("deliver.absorbed"), 1u);
        EXPECT_EQ(result.count("rx.generated"), 1u);
        EXPECT_TRUE(result.kernel[kHomeLink].empty());
    }
    static void expect_kernel_only(const Result& result, std::uint16_t port = kHomeLink) {
        EXPECT_EQ(result.kernel[port].size(), 1u) << result.to_string();
        expect_nothing_sent(result);
        EXPECT_EQ(result.count("arp.proxy"), 0u);
        EXPECT_TRUE(result.punted.empty());
    }
};

TEST_F(ArpProxy, RFC5944_4_6_a_request_for_a_bound_address_is_answered_with_our_address) {
    bind(kHomeAddress4);
    expect_answered(ask({}));
    // A neighbour that checks an entry asks us alone (RFC 1122 section 2.3.2.1).
    expect_answered(ask({.to = port_mac(kHomeLink)}));
}

TEST_F(ArpProxy, RFC5227_2_1_1_a_probe_of_another_node_learns_that_the_address_is_in_use) {
    bind(kHomeAddress4);
    expect_answered(ask({.sender = Ipv4Address{}}), Ipv4Address{});
}

TEST_F(ArpProxy, RFC5944_4_6_the_mobile_node_itself_is_not_answered) {
    bind(kHomeAddress4);
    // It announces itself, by a request or a reply to itself.
    expect_kernel_only(ask({.sender = kHomeAddress4}));
    expect_kernel_only(ask({.operation = 2, .sender = kHomeAddress4}));
    // It probes, and this link knows its link-layer address.
    add_neighbour(kHomeLink, "192.0.2.100", 9);
    const MacAddress node = host_mac(kHomeLink, 9);
    expect_kernel_only(ask({.sender_mac = node, .sender = Ipv4Address{}, .from = node}));
    expect_answered(ask({.sender = Ipv4Address{}}), Ipv4Address{});
}

TEST_F(ArpProxy, requests_for_other_addresses_are_the_kernels) {
    expect_kernel_only(ask({}));  // not bound
    bind(kHomeAddress4);
    expect_kernel_only(ask({.target = kAtHome4}));
    expect_kernel_only(ask({.operation = 2}));  // a reply
    apply(channel::BindingRemove{
        .header = {}, .home_address = channel::WireAddress(kHomeAddress4), .prefix_length = 32});
    expect_kernel_only(ask({}));  // silence after deregistration
}

TEST_F(ArpProxy, only_what_is_defended_on_that_link_is_answered) {
    channel::BindingSet record = binding(kHomeAddress4);
    record.flags = 0;
    apply(record);
    expect_kernel_only(ask({}));
    record.flags = channel::kBindingProxyNd | channel::kBindingTentative;
    apply(record);
    expect_kernel_only(ask({}));
    record.flags = channel::kBindingProxyNd;
    record.home_port = channel::kNoPort;
    apply(record);
    expect_kernel_only(ask({}));
    record.home_port = kHomeLink;
    apply(record);
    expect_answered(ask({}));
    expect_kernel_only(ask({}, kOutside), kOutside);
}

TEST_F(ArpProxy, malformed_messages_are_not_answered) {
    bind(kHomeAddress4);
    expect_kernel_only(ask({.sender_mac = MacAddress{}}));
    expect_kernel_only(ask({.sender_mac = MacAddress{{1, 2, 3, 4, 5, 6}}}));
    expect_kernel_only(ask({.sender = v4("224.0.0.1")}));
    expect_kernel_only(ask({.sender = v4("255.255.255.255")}));
    expect_kernel_only(ask({.operation = 0}));
    expect_kernel_only(ask({.operation = 3}));
    const Bytes good = frame({});
    for (const std::size_t offset : {14u, 15u, 16u, 17u, 18u, 19u}) {
        Bytes bad = good;
        bad[offset] ^= 0x01;
        expect_kernel_only(feed(kHomeLink, bad));
    }
    for (std::size_t length = 14; length < 14 + 28; ++length) {
        expect_kernel_only(
            feed(kHomeLink, Bytes(good.begin(), good.begin() + static_cast<long>(length))));
    }
}

TEST_F(ArpProxy, the_kernels_own_messages_leave_as_they_are) {
    bind(kHomeAddress4);
    const Bytes own = frame({.sender_mac = port_mac(kHomeLink), .from = port_mac(kHomeLink)});
    const Result result = feed_from_kernel(kHomeLink, own);
    ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
    EXPECT_EQ(result.sent[kHomeLink][0], own);
    EXPECT_EQ(result.count("arp.proxy"), 0u);
}

TEST_F(ArpProxy, a_batch_is_answered_one_by_one) {
    bind(kHomeAddress4);
    for (const unsigned batch : kBatchSizes) {
        const std::vector<Bytes> frames(67, frame({}));
        const Result result = feed(kHomeLink, frames, batch);
        EXPECT_EQ(result.sent[kHomeLink].size(), 67u);
        EXPECT_EQ(result.count("arp.proxy"), 67u);
    }
}

TEST_F(ArpProxy, P14_what_a_neighbour_sends_to_the_answered_address_is_tunnelled) {
    bind(kHomeAddress4);
    const Result result =
        feed(kHomeLink, to_port(kHomeLink, udp4(kAtHome4, kHomeAddress4, 24, {.ttl = 64})));
    expect_sent(
        result, kOutside,
        ipv6(kHomeAgent, kCareOfAddress, 4, udp4(kAtHome4, kHomeAddress4, 24, {.ttl = 63})));
}

TEST_F(ArpProxy, S1_17_an_unbound_ipv4_home_address_is_forwarded_home_or_dropped) {
    const Bytes packet = udp4(kCorrespondent4, kAtHome4, 24, {.ttl = 64});
    expect_sent(feed_packet(kOutside, packet), kHomeLink,
                udp4(kCorrespondent4, kAtHome4, 24, {.ttl = 63}), 7);
    home_prefix("192.0.2.0", 24, kHomeLink, true);
    expect_drop(feed_packet(kOutside, packet), "tun.out.no_binding");
}

TEST_F(ArpProxy, an_ipv4_home_prefix_matches_no_link_local_address) {
    bind(kHomeAddress4);
    // The low half of ::ffff:192.0.2.100.
    const Bytes packet = udp6(kAtHome, v6("fe80::ffff:c000:264"), 24);
    expect_drop(feed(kHomeLink, to_port(kHomeLink, packet)), "forward.scope");
}

}  // namespace
}  // namespace homeport::golden
