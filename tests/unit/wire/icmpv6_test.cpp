// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/icmpv6.hpp"

#include <gtest/gtest.h>

#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tests/unit/wire/samples.hpp"

namespace homeport::wire {
namespace {

using namespace homeport::test;
using Bytes = std::vector<std::uint8_t>;

void seal(Bytes& packet) {
    const auto view = view_ipv6_packet(packet);
    ASSERT_TRUE(view.has_value());
    std::uint8_t* message = packet.data() + view->upper_offset;
    store_be16(message + 2, 0);
    store_be16(message + 2,
               checksum_finish(checksum_add(
                   pseudo_header_sum(view->source, view->destination,
                                     static_cast<std::uint32_t>(view->upper.size()), 58),
                   view->upper)));
}

std::expected<Icmpv6Message, Icmpv6DecodeError> decode(const Bytes& packet) {
    const auto view = view_ipv6_packet(packet);
    EXPECT_TRUE(view.has_value());
    return decode_icmpv6(*view);
}

Icmpv6Fault fault_of(const Bytes& packet) {
    const auto message = decode(packet);
    EXPECT_FALSE(message.has_value());
    return message ? Icmpv6Fault::kNotIcmpv6 : message.error().fault;
}

TEST(Icmpv6, every_message_survives_a_round_trip) {
    for (const auto& sample : icmpv6_samples()) {
        const Bytes packet = icmpv6_packet(sample.message, sample.source, sample.destination);
        const auto decoded = decode(packet);
        ASSERT_TRUE(decoded.has_value()) << sample.name << ": " << decoded.error().to_string();
        EXPECT_EQ(*decoded, sample.message) << sample.name;
    }
}

TEST(Icmpv6, every_truncation_of_the_message_is_an_error_or_a_shorter_message) {
    for (const auto& sample : icmpv6_samples()) {
        const Bytes whole = encode_icmpv6(sample.message, sample.source, sample.destination);
        for (std::size_t length = 0; length < whole.size(); ++length) {
            Bytes packet = ipv6_packet(sample.source, sample.destination, 58, 255,
                                       ConstByteSpan{whole}.first(length));
            if (length >= 4) seal(packet);
            const auto decoded = decode(packet);
            EXPECT_TRUE(length >= 4 || !decoded.has_value()) << sample.name;
            EXPECT_TRUE(!decoded || *decoded != sample.message) << sample.name << " " << length;
        }
    }
}

TEST(Icmpv6, wrong_checksum_is_refused) {
    Bytes packet = icmpv6_packet(HomeAgentDiscoveryRequest{1, false}, kCoa, kHa);
    packet.back() = static_cast<std::uint8_t>(packet.back() ^ 1);
    EXPECT_EQ(fault_of(packet), Icmpv6Fault::kChecksum);
}

TEST(Icmpv6, RFC4861_7_1_neighbor_discovery_needs_hop_limit_255_and_code_0) {
    Bytes packet = dad_probe(kHoa);
    packet[7] = 254;
    EXPECT_EQ(fault_of(packet), Icmpv6Fault::kHopLimit);
    packet = dad_probe(kHoa);
    packet[41] = 1;
    seal(packet);
    EXPECT_EQ(fault_of(packet), Icmpv6Fault::kCode);
}

TEST(Icmpv6, RFC4861_7_1_1_a_probe_goes_to_the_solicited_node_address_without_link_address) {
    EXPECT_EQ(fault_of(icmpv6_packet(NeighborSolicitation{kHoa, {}}, {}, kHoa)),
              Icmpv6Fault::kAddress);
    const NeighborSolicitation with_link{kHoa, {SourceLinkLayerAddress{mac("02:00:00:00:00:01")}}};
    EXPECT_EQ(fault_of(icmpv6_packet(with_link, {}, kHoa.solicited_node())), Icmpv6Fault::kAddress);
    EXPECT_EQ(fault_of(icmpv6_packet(NeighborSolicitation{v6("ff02::1"), {}}, kHa, kHoa)),
              Icmpv6Fault::kAddress);
}

TEST(Icmpv6, RFC4861_7_1_2_no_solicited_advertisement_to_a_group) {
    EXPECT_EQ(fault_of(icmpv6_packet(NeighborAdvertisement{false, true, true, kHoa, {}}, kHa,
                                     v6("ff02::1"))),
              Icmpv6Fault::kAddress);
}

TEST(Icmpv6, RFC4861_6_1_2_router_advertisement_comes_from_a_link_local_address) {
    EXPECT_EQ(fault_of(icmpv6_packet(RouterAdvertisement{}, kHa, v6("ff02::1"))),
              Icmpv6Fault::kAddress);
}

TEST(Icmpv6, options_of_length_0_or_past_the_end_are_refused) {
    for (const std::uint8_t length : {std::uint8_t{0}, std::uint8_t{2}}) {
        Bytes message = encode_icmpv6(NeighborSolicitation{kHoa, {}}, kHa, kHoa);
        message.insert(message.end(), {1, length, 0, 0, 0, 0, 0, 0});
        Bytes packet = ipv6_packet(kHa, kHoa, 58, 255, message);
        seal(packet);
        EXPECT_EQ(fault_of(packet), Icmpv6Fault::kOption);
    }
}

TEST(Icmpv6, mldv2_record_count_that_lies_is_refused) {
    Bytes packet = mldv2_report(v6("fe80::1"), kHoa.solicited_node(), true);
    packet[48 + 7] = 2;
    seal(packet);
    EXPECT_EQ(fault_of(packet), Icmpv6Fault::kRecord);
    packet[48 + 7] = 1;
    store_be16(packet.data() + 48 + 10, 0xffff);  // number of sources
    seal(packet);
    EXPECT_EQ(fault_of(packet), Icmpv6Fault::kRecord);
}

TEST(Icmpv6, RFC3810_5_report_has_hop_limit_1_and_router_alert) {
    const Bytes packet = mldv2_report(v6("fe80::1"), kHoa.solicited_node(), true);
    EXPECT_EQ(packet[6], 0);  // hop-by-hop
    EXPECT_EQ(packet[7], 1);  // hop limit
    EXPECT_EQ(to_hex({packet.begin() + 40, packet.begin() + 48}), "3a00050200000100");
    EXPECT_EQ(Ipv6Address::load(packet.data() + 24), v6("ff02::16"));
    const auto leave = decode(mldv2_report(v6("fe80::1"), kHoa.solicited_node(), false));
    EXPECT_EQ(std::get<MulticastListenerReportV2>(*leave).records.at(0).type,
              MulticastRecord::Type::kChangeToInclude);
}

TEST(Icmpv6, RFC2710_report_goes_to_the_group_and_done_to_the_routers) {
    const Bytes report = mldv1_report(v6("fe80::1"), kHoa.solicited_node(), true);
    EXPECT_EQ(Ipv6Address::load(report.data() + 24), kHoa.solicited_node());
    const Bytes done = mldv1_report(v6("fe80::1"), kHoa.solicited_node(), false);
    EXPECT_EQ(Ipv6Address::load(done.data() + 24), v6("ff02::2"));
}

TEST(Icmpv6, RFC6275_10_4_1_unsolicited_advertisement) {
    const MacAddress ours = mac("02:00:00:00:00:01");
    const Bytes packet = unsolicited_advertisement(v6("fe80::1"), kHoa, ours, false);
    EXPECT_EQ(packet[7], 255);
    EXPECT_EQ(Ipv6Address::load(packet.data() + 24), v6("ff02::1"));
    EXPECT_EQ(std::get<NeighborAdvertisement>(*decode(packet)),
              (NeighborAdvertisement{false, false, true, kHoa, {TargetLinkLayerAddress{ours}}}));
}

TEST(Icmpv6, RFC4861_7_2_8_proxy_answers_solicited_without_override) {
    const MacAddress ours = mac("02:00:00:00:00:01");
    const Bytes answer = proxy_advertisement(v6("fe80::1"), kCoa, kHoa, ours, false);
    EXPECT_EQ(std::get<NeighborAdvertisement>(*decode(answer)),
              (NeighborAdvertisement{false, true, false, kHoa, {TargetLinkLayerAddress{ours}}}));
    EXPECT_EQ(Ipv6Address::load(answer.data() + 24), kCoa);
    const Bytes to_probe = proxy_advertisement(v6("fe80::1"), {}, kHoa, ours, false);
    EXPECT_EQ(Ipv6Address::load(to_probe.data() + 24), v6("ff02::1"));
    EXPECT_FALSE(std::get<NeighborAdvertisement>(*decode(to_probe)).solicited);
}

TEST(Icmpv6, RFC4443_2_4_c_error_is_cut_to_1280_octets) {
    const Bytes big = ipv6_packet(kCoa, kHa, 17, 64, Bytes(3000));
    const Bytes error = icmpv6_error_packet({Icmpv6Type::kPacketTooBig, 0, 1400, big}, kHa, kCoa);
    EXPECT_EQ(error.size(), 1280u);
    const auto decoded = std::get<Icmpv6ErrorMessage>(*decode(error));
    EXPECT_EQ(decoded.parameter, 1400u);
    EXPECT_EQ(decoded.invoking_packet.size(), 1280u - 48u);
}

TEST(Icmpv6, RFC4443_2_4_e_no_error_about_errors_groups_and_nobody) {
    const auto may = [](const Bytes& packet, Icmpv6Type type = Icmpv6Type::kTimeExceeded,
                        std::uint8_t code = 0) {
        return may_answer_with_error(packet, type, code);
    };
    const Bytes udp(8);
    EXPECT_TRUE(may(ipv6_packet(kCoa, kHa, 17, 64, udp)));
    EXPECT_FALSE(may(ipv6_packet({}, kHa, 17, 64, udp)));
    EXPECT_FALSE(may(ipv6_packet(v6("ff02::1"), kHa, 17, 64, udp)));
    const Bytes to_group = ipv6_packet(kCoa, v6("ff0e::1"), 17, 64, udp);
    EXPECT_FALSE(may(to_group));
    EXPECT_TRUE(may(to_group, Icmpv6Type::kPacketTooBig));
    EXPECT_TRUE(may(to_group, Icmpv6Type::kParameterProblem, 2));
    EXPECT_FALSE(may(to_group, Icmpv6Type::kParameterProblem, 0));
    EXPECT_TRUE(may(icmpv6_packet(EchoMessage{false, 1, 1, {}}, kCoa, kHa)));
    EXPECT_FALSE(
        may(icmpv6_packet(Icmpv6ErrorMessage{Icmpv6Type::kPacketTooBig, 0, 1280, {}}, kCoa, kHa)));
    EXPECT_FALSE(may(icmpv6_packet(UnknownIcmpv6{137, 0, Bytes(36)}, kCoa, kHa)));
    EXPECT_TRUE(
        icmpv6_error_packet({Icmpv6Type::kTimeExceeded, 0, 0, to_group}, kHa, kCoa).empty());
}

TEST(Icmpv6, discovery_reply_of_half_an_address_is_refused) {
    Bytes message = encode_icmpv6(HomeAgentDiscoveryReply{1, false, {kHa}}, kHa, kCoa);
    message.resize(message.size() - 8);
    Bytes packet = ipv6_packet(kHa, kCoa, 58, 64, message);
    seal(packet);
    EXPECT_EQ(fault_of(packet), Icmpv6Fault::kTruncated);
}

}  // namespace
}  // namespace homeport::wire
