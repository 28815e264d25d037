// SPDX-License-Identifier: BSD-3-Clause
// Steps 5 to 7 and their answers: Binding Error and ICMPv6 Parameter Problem (RFC 6275 9.2, 9.3.3).
#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using test::v4;
using test::v6;

class MobilityErrors : public HomeAgentTest {
  protected:
    /// A binding update with one octet of its mobility header changed and the checksum put right.
    static std::vector<std::uint8_t> altered(std::size_t octet, std::uint8_t value) {
        auto packet = packet_of(update(1));
        packet[40 + octet] = value;
        store_be16(packet.data() + 44, 0);
        std::size_t length = packet.size() - 40;
        if (octet == 1) length = (std::size_t{value} + 1) * 8;
        const ConstByteSpan header = ConstByteSpan{packet}.subspan(40, length);
        store_be16(
            packet.data() + 44,
            checksum_finish(checksum_add(
                pseudo_header_sum(kHoa, kHa, static_cast<std::uint32_t>(length), 135), header)));
        return packet;
    }
    static wire::Icmpv6ErrorMessage problem_of(const Actions& actions) {
        const auto sent = all<SendIcmpv6>(actions);
        EXPECT_EQ(sent.size(), 1u);
        if (sent.empty()) return {};
        EXPECT_EQ(sent[0].destination, kCoa);
        const auto view = wire::view_ipv6_packet(sent[0].packet);
        EXPECT_EQ(view->source, kHa);
        EXPECT_EQ(view->destination, kCoa) << "no binding cache information is used";
        const auto message = wire::decode_icmpv6(*view);
        EXPECT_TRUE(message.has_value());
        return std::get<wire::Icmpv6ErrorMessage>(*message);
    }
};

TEST_F(MobilityErrors, RFC6275_9_3_3_step_5_unknown_type_gets_a_binding_error) {
    const Actions actions = send_raw(altered(2, 8));
    const auto sent = all<SendBindingError>(actions);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].destination, kCoa) << "to the IPv6 wire source";
    EXPECT_EQ(sent[0].port, kVisitedPort);
    const auto view = wire::view_ipv6_packet(sent[0].packet);
    EXPECT_EQ(view->destination, kCoa);
    EXPECT_EQ(view->source, kHa);
    const auto message = wire::decode_mobility_header(view->upper, view->source, view->destination);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(std::get<wire::BindingError>(*message),
              (wire::BindingError{wire::BindingErrorStatus::kUnrecognizedType, kHoa, {}}));
    EXPECT_EQ(agent.counters()[Counter::kMhType], 1u);
    EXPECT_EQ(agent.counters()[Counter::kBindingErrorSent], 1u);
}

TEST_F(MobilityErrors, step_5_without_home_address_option_the_error_names_no_home_address) {
    ReceiveInfo info = default_info();
    info.had_hao = false;
    info.wire_source = kHoa;
    const auto sent = all<SendBindingError>(send_raw(altered(2, 8), info));
    ASSERT_EQ(sent.size(), 1u);
    const auto view = wire::view_ipv6_packet(sent[0].packet);
    const auto message = wire::decode_mobility_header(view->upper, view->source, view->destination);
    EXPECT_TRUE(std::get<wire::BindingError>(*message).home_address.is_unspecified());
}

TEST_F(MobilityErrors, step_5_binding_errors_are_rate_limited) {
    config.binding_error_rate = {1, 3};
    restart(config);
    std::size_t sent = 0;
    for (int i = 0; i < 10; ++i) sent += count_of<SendBindingError>(send_raw(altered(2, 8)));
    EXPECT_EQ(sent, 3u);
    EXPECT_EQ(agent.counters()[Counter::kMhType], 10u);
    EXPECT_EQ(agent.counters()[Counter::kBindingErrorLimited], 7u);
    now += seconds{1};
    EXPECT_EQ(count_of<SendBindingError>(send_raw(altered(2, 8))), 1u);
}

TEST_F(MobilityErrors, step_5_no_binding_error_to_ipv4_or_to_no_unicast_address) {
    ReceiveInfo info = default_info();
    info.wire_source = v4("203.0.113.7");
    EXPECT_EQ(count_of<SendBindingError>(send_raw(altered(2, 8), info)), 0u);
    info.wire_source = v6("ff02::1");
    EXPECT_EQ(count_of<SendBindingError>(send_raw(altered(2, 8), info)), 0u);
    EXPECT_EQ(agent.counters()[Counter::kMhType], 2u);
}

TEST_F(MobilityErrors, RFC6275_9_2_step_6_payload_proto_points_at_its_octet) {
    const auto problem = problem_of(send_raw(altered(0, 6)));
    EXPECT_EQ(problem.type, wire::Icmpv6Type::kParameterProblem);
    EXPECT_EQ(problem.code, 0);
    // The packet on the wire had 24 octets of destination options before the mobility header.
    EXPECT_EQ(problem.parameter, 40u + 24u + 0u);
    EXPECT_EQ(problem.invoking_packet.at(problem.parameter), 6);
    EXPECT_EQ(agent.counters()[Counter::kMhProto], 1u);
    EXPECT_EQ(agent.counters()[Counter::kIcmpSent], 1u);
}

TEST_F(MobilityErrors, RFC6275_9_2_step_7_header_length_points_at_its_octet) {
    const auto problem = problem_of(send_raw(altered(1, 0)));
    EXPECT_EQ(problem.parameter, 40u + 24u + 1u);
    EXPECT_EQ(problem.invoking_packet.at(problem.parameter), 0);
    EXPECT_EQ(agent.counters()[Counter::kMhLength], 1u);
}

TEST_F(MobilityErrors, the_quoted_packet_is_in_its_wire_form) {
    const auto problem = problem_of(send_raw(altered(0, 6)));
    const auto& quoted = problem.invoking_packet;
    EXPECT_EQ(Ipv6Address::load(quoted.data() + 8), kCoa);
    EXPECT_EQ(quoted.at(6), 60);
    EXPECT_EQ(test::to_hex({quoted.begin() + 40, quoted.begin() + 48}),
              "8702010200"
              "00c910");
    EXPECT_EQ(Ipv6Address::load(quoted.data() + 48), kHoa);
}

TEST_F(MobilityErrors, what_came_encrypted_is_not_quoted_in_clear) {
    const auto problem = problem_of(send_raw(altered(0, 6)));
    EXPECT_EQ(problem.invoking_packet.size(), 40u + 24u + 8u);
    ReceiveInfo info = default_info();
    info.protected_by_ipsec = false;
    config.allow_unprotected = true;
    restart(config);
    const auto open = problem_of(send_raw(altered(0, 6), info));
    EXPECT_EQ(open.invoking_packet.size(), altered(0, 6).size() + 24u);
}

TEST_F(MobilityErrors, at_home_the_pointer_counts_from_the_plain_packet) {
    ReceiveInfo info = default_info();
    info.had_hao = false;
    info.wire_source = kHoa;
    const auto sent = all<SendIcmpv6>(send_raw(altered(1, 0), info));
    ASSERT_EQ(sent.size(), 1u);
    const auto message = wire::decode_icmpv6(*wire::view_ipv6_packet(sent[0].packet));
    EXPECT_EQ(std::get<wire::Icmpv6ErrorMessage>(*message).parameter, 41u);
}

TEST_F(MobilityErrors, parameter_problems_are_rate_limited) {
    config.icmp_rate = {1, 2};
    restart(config);
    std::size_t sent = 0;
    for (int i = 0; i < 5; ++i) sent += count_of<SendIcmpv6>(send_raw(altered(0, 6)));
    EXPECT_EQ(sent, 2u);
    EXPECT_EQ(agent.counters()[Counter::kIcmpRateLimited], 3u);
    EXPECT_EQ(agent.counters()[Counter::kMhProto], 5u);
}

TEST_F(MobilityErrors, a_truncated_header_is_counted_and_not_answered) {
    auto packet = packet_of(update(1));
    packet.resize(packet.size() - 8);
    store_be16(packet.data() + 4, static_cast<std::uint16_t>(packet.size() - 40));
    const Actions actions = send_raw(packet);
    EXPECT_EQ(count_of<SendIcmpv6>(actions), 0u);
    EXPECT_EQ(agent.counters()[Counter::kMhLength], 1u);
}

}  // namespace
}  // namespace homeport::mip6
