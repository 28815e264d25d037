// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors about tunnels of Mobile IPv4 (RFC 2003 section 4), and path MTUs learnt from them.
#include "tests/golden/mip4/home_agent.hpp"

namespace homeport::golden {
namespace {

using stage::MainRequest;

class Mip4Icmp : public Mip4Test, public ::testing::WithParamInterface<Mip4Form> {
  protected:
    void SetUp() override {
        start_mip4();
        bind4(GetParam().encapsulation);
    }
    /// What a router on the way says about `quoted`.
    static Bytes error(std::uint8_t type, std::uint8_t code, const Bytes& quoted,
                       std::uint16_t mtu = 0) {
        Bytes icmp{type, code, 0, 0, 0, 0, 0, 0};
        store_be16(icmp.data() + 6, mtu);
        append(icmp, quoted);
        store_be16(icmp.data() + 2, internet_checksum(icmp));
        return ipv4(v4("198.18.0.2"), kHomeAgent4, 1, icmp);
    }
    Bytes outer_of(const Bytes& inner) { return sent(feed_packet(kOutside, inner)); }
};
INSTANTIATE_TEST_SUITE_P(All, Mip4Icmp, ::testing::ValuesIn(kMip4Forms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(Mip4Icmp, P20_to_P26_errors_about_a_tunnel_reach_the_sender) {
    const Bytes inner = to_node_packet(64, 1400, 0x4000);
    const Bytes outer = outer_of(inner);
    struct Case {
        std::uint8_t type, code, relayed_code;
        std::uint16_t mtu;
    };
    for (const Case& row : {Case{3, 4, 4, 1300}, Case{3, 0, 1, 0}, Case{3, 1, 1, 0},
                            Case{3, 2, 1, 0}, Case{11, 0, 1, 0}}) {
        const Result result = feed_packet(kOutside, error(row.type, row.code, outer, row.mtu));
        EXPECT_EQ(result.count("icmp.relayed"), 1u) << result.to_string();
        const Bytes relay = sent(result);
        ASSERT_GE(relay.size(), 56u);
        EXPECT_EQ(Ipv4Address::load(relay.data() + 16), kPeer);
        EXPECT_EQ(relay[20], 3);
        EXPECT_EQ(relay[21], row.relayed_code);
        EXPECT_EQ(internet_checksum(ConstByteSpan(relay).subspan(20)), 0);
        if (row.mtu != 0) {
            EXPECT_EQ(load_be16(relay.data() + 26), row.mtu - GetParam().overhead);
        }
        // The packet that the sender knows, a hop on.
        const Bytes quote = tail_of(relay, 28);
        const Bytes known = with_ttl(inner, 63);
        EXPECT_EQ(to_hex(ConstByteSpan(quote).first(28)), to_hex(ConstByteSpan(known).first(28)));
        ASSERT_EQ(result.requests.size(), row.mtu != 0 ? 1u : 0u);
        if (row.mtu == 0) continue;
        EXPECT_EQ(result.requests[0].kind, MainRequest::Kind::kPathMtu);
        EXPECT_EQ(result.requests[0].home_address, table::v4_mapped(kNode));
        EXPECT_EQ(result.requests[0].mtu, row.mtu);
    }
}

TEST_P(Mip4Icmp, RFC2003_4_what_is_about_the_outer_header_alone_is_not_relayed) {
    const Bytes outer = outer_of(to_node_packet(64, 100, 0x4000));
    const std::array<std::pair<std::uint8_t, std::uint8_t>, 4> kinds{
        {{3, 3}, {3, 5}, {12, 0}, {11, 1}}};
    for (const auto& [type, code] : kinds) {
        const Result result = feed_packet(kOutside, error(type, code, outer));
        EXPECT_EQ(result.count("icmp.relayed"), 0u) << int{type} << ' ' << int{code};
        EXPECT_EQ(result.sent[kOutside].size(), 0u);
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
}

/// RFC 792 has routers quote eight octets behind the header, no more.
TEST_P(Mip4Icmp, RFC2003_4_a_short_quote_is_enough_for_the_path_mtu) {
    const Bytes outer = outer_of(to_node_packet(64, 1400, 0x4000));
    const Bytes quoted(outer.begin(), outer.begin() + 28);
    const Result result = feed_packet(kOutside, error(3, 4, quoted, 1300));
    ASSERT_EQ(result.requests.size(), 1u) << result.to_string();
    EXPECT_EQ(result.requests[0].kind, MainRequest::Kind::kTunnelPathMtu);
    EXPECT_EQ(result.requests[0].home_address, table::v4_mapped(care_of(GetParam())));
    EXPECT_EQ(result.requests[0].port, GetParam().in_udp ? kNatPort : 0);
    EXPECT_EQ(result.requests[0].mtu, 1300u);
    EXPECT_EQ(result.dropped(), 0u);
}

/// The soft state of an encapsulator: such an error cannot be passed on, but the next packet is
/// answered, and goes into the tunnel all the same.
TEST_P(Mip4Icmp, RFC2003_5_senders_are_told_of_a_tunnel_that_gets_nowhere) {
    const Bytes inner = to_node_packet(64, 400, 0x4000);
    const Bytes outer = outer_of(inner);
    const Bytes quoted(outer.begin(), outer.begin() + 28);
    // What is about the outer header alone says nothing of the kind.
    for (const auto& [type, code] : {std::pair<int, int>{3, 5}, {12, 0}, {11, 1}}) {
        const Result result = feed_packet(kOutside, error(static_cast<std::uint8_t>(type),
                                                          static_cast<std::uint8_t>(code), quoted));
        EXPECT_TRUE(result.requests.empty()) << type << ' ' << code;
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
    for (const auto& [type, code] : {std::pair<int, int>{3, 1}, {11, 0}}) {
        const Result heard = feed_packet(kOutside, error(static_cast<std::uint8_t>(type),
                                                         static_cast<std::uint8_t>(code), quoted));
        ASSERT_EQ(heard.requests.size(), 1u) << heard.to_string();
        EXPECT_EQ(heard.requests[0].kind, MainRequest::Kind::kTunnelUnreachable);
        EXPECT_EQ(heard.requests[0].home_address, table::v4_mapped(care_of(GetParam())));
        EXPECT_EQ(heard.requests[0].port, GetParam().in_udp ? kNatPort : 0);
        EXPECT_EQ(heard.dropped(), 0u);
    }
    const Result before = feed_packet(kOutside, inner);
    EXPECT_EQ(before.count("icmp.sent"), 0u);
    state().writer().tunnel_unreachable(table::v4_mapped(care_of(GetParam())),
                                        GetParam().in_udp ? kNatPort : std::uint16_t{0});
    const Result told = feed_packet(kOutside, inner);
    EXPECT_EQ(told.count("mip4.tun.unreachable"), 1u) << told.to_string();
    EXPECT_EQ(told.count("icmp.sent"), 1u);
    ASSERT_EQ(told.sent[kOutside].size(), 2u) << "the packet, and what its sender is told";
    const auto answer = std::ranges::find_if(told.sent[kOutside],
                                             [](const Bytes& frame) { return frame[14 + 9] == 1; });
    ASSERT_NE(answer, told.sent[kOutside].end());
    const Bytes packet(answer->begin() + 14, answer->end());
    EXPECT_EQ(Ipv4Address::load(packet.data() + 16), kPeer);
    EXPECT_EQ(packet[20], 3);
    EXPECT_EQ(packet[21], 1);
    const std::vector<Bytes> burst(8, to_port(kOutside, inner));
    const Result several = feed(kOutside, burst);
    EXPECT_EQ(several.count("mip4.tun.unreachable"), 1u) << "one copy a burst";
    EXPECT_EQ(several.sent[kOutside].size(), 9u) << several.to_string();
    // Another way of the same node.
    bind4(GetParam().encapsulation, channel::kBindingMoreCareOf);
    channel::BindingSet second = mip4_binding(Encapsulation::kIpv4);
    second.copy = 1;
    second.care_of_address = channel::WireAddress(v4("203.0.113.99"));
    apply(second);
    EXPECT_EQ(feed_packet(kOutside, inner).count("mip4.tun.unreachable"), 0u);
}

TEST_P(Mip4Icmp, a_further_care_of_address_has_a_path_of_its_own) {
    bind4(GetParam().encapsulation, channel::kBindingMoreCareOf);
    channel::BindingSet second = mip4_binding(Encapsulation::kIpv4);
    second.copy = 1;
    second.care_of_address = channel::WireAddress(v4("203.0.113.99"));
    apply(second);
    const Bytes inner = to_node_packet(63, 1400, 0x4000);
    const Bytes outer = ipv4(kHomeAgent4, v4("203.0.113.99"), 4, inner, {.flags_offset = 0x4000});
    const Result result = feed_packet(kOutside, error(3, 4, outer, 1300));
    ASSERT_EQ(result.requests.size(), 1u) << result.to_string();
    EXPECT_EQ(result.requests[0].home_address, table::copy_key(table::v4_mapped(kNode), 1));
    EXPECT_EQ(result.count("icmp.relayed"), 1u);
}

TEST_P(Mip4Icmp, errors_about_nobodys_tunnel_are_the_kernels) {
    const Bytes foreign = in_tunnel(GetParam().encapsulation, to_node_packet(63, 200, 0x4000),
                                    kHomeAgent4, v4("203.0.113.66"), 434, kNatPort);
    const Result result = feed_packet(kOutside, error(3, 1, foreign));
    EXPECT_EQ(result.count("icmp.relayed"), 0u);
    EXPECT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
}

}  // namespace
}  // namespace homeport::golden
