// SPDX-License-Identifier: BSD-3-Clause
// What may come on UDP 4191 in the place of a binding update.
#include "tests/golden/nat/home_agent.hpp"

namespace homeport::golden {
namespace {

using NatBadInput = NatTest;

TEST_F(NatBadInput, P11_a_wrong_checksum_is_dropped_and_none_is_accepted) {
    Bytes packet = in_udp(update());
    packet[26] ^= 1;
    expect_drop(feed_packet(kOutside, packet), "dsmip.in.cksum");
    expect_update(feed_packet(kOutside, in_udp(update(), {}, false)), {});
}

TEST_F(NatBadInput, P11_inner_sources_that_cannot_be) {
    for (const char* bad : {"2001:db8:1::1", "fe80::1", "2001:db8:1::2"}) {
        const Result result = feed_udp(update(v6(bad)));
        expect_drop(result, "tun.in.bad_inner_src");
    }
}

TEST_F(NatBadInput, P11_truncated_at_each_length) {
    const Bytes whole = update();
    for (std::size_t length = 40; length < whole.size(); ++length) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        store_be16(cut.data() + 4, static_cast<std::uint16_t>(length - 40));
        const Result result = feed_udp(cut);
        EXPECT_EQ(result.dropped(), 1u) << length << ": " << result.to_string();
        EXPECT_TRUE(result.punted.empty());
        EXPECT_EQ(worker().reply_to->waiting(), 0u);
    }
    expect_update(feed_udp(update()), {});
}

TEST_F(NatBadInput, P11_octets_behind_the_inner_packet_are_cut) {
    Bytes packet = update();
    append(packet, Bytes(7, 0xee));
    expect_update(feed_udp(packet), {});
}

TEST_F(NatBadInput, RFC5845_a_tlv_header_only_where_it_is_allowed) {
    const auto with_header = [&] {
        const Bytes packet = update();
        Bytes header{0, 41, 0, static_cast<std::uint8_t>(packet.size())};
        append(header, packet);
        return header;
    };
    EXPECT_TRUE(feed_udp(with_header()).punted.empty());
    channel::ParametersSet parameters;
    parameters.tlv_header = 1;
    apply(parameters);
    expect_update(feed_udp(with_header()), {});
}

TEST_F(NatBadInput, P11_ecn_is_carried_inwards) {
    Bytes packet = in_udp(update());
    packet[1] = 3;  // congestion experienced, and the node's packet does not take part
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum({packet.data(), 20}));
    expect_drop(feed_packet(kOutside, packet), "tun.in.ecn_drop");
    expect_update(feed_udp(update()), {});
}

}  // namespace
}  // namespace homeport::golden
