// SPDX-License-Identifier: BSD-3-Clause
// A home agent with one mobile node: port 0 is the home link, port 1 leads to everywhere else.
#pragma once

#include <algorithm>
#include <vector>

#include "dataplane/base/checksum.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "tests/golden/fixture.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::golden {

using channel::Counter;
using stage::IcmpErrorKind;
using stage::StageId;
using test::append;
using test::concat;
using test::ipv4;
using test::ipv6;
using test::kCareOfAddress;
using test::kCorrespondent;
using test::kHomeAddress;
using test::kHomeAgent;
using test::v4;
using test::v6;

inline constexpr std::uint16_t kHomeLink = 0;
inline constexpr std::uint16_t kOutside = 1;
inline const Ipv4Address kHomeAddress4 = v4("192.0.2.100");
inline const Ipv4Address kCorrespondent4 = v4("198.51.100.200");

inline constexpr std::uint16_t kPolicyBindingUpdate = 2;
inline constexpr std::uint32_t kSpiIn = 0x10000001;
inline constexpr std::uint32_t kSpiOut = 0x20000001;

inline const Bytes kC1BindingUpdate =
    test::from_hex("3b0305002c4a1234f00000960100031020010db8000200000000000000000200");
inline const Bytes kC3Acknowledgement = test::from_hex("3b0106004da600801234009601020000");

class TunnelTest : public DataPlaneTest {
  protected:
    /// All stages of the room; what lies behind them collects.
    void start_home_agent(bool copy_mode = false) {
        start_home_agent_with(tunnel::kTunnelOutStage, copy_mode);
    }
    /// With `other` in the place of the stage whose id it has.
    void start_home_agent_with(const stage::StageDescription& other, bool copy_mode = false) {
        std::vector<const stage::StageDescription*> stages{
            &tunnel::kParseStage,       &tunnel::kClassifyStage, &tunnel::kDsmipInStage,
            &tunnel::kHomeAddressStage, &tunnel::kTunnelInStage, &tunnel::kIpsecInStage,
            &tunnel::kInterceptStage,   &tunnel::kIpsecOutStage, &tunnel::kTunnelOutStage,
        };
        std::ranges::replace_if(
            stages, [&](const auto* stage) { return stage->id == other.id; }, &other);
        start({.stages = stages, .ipsec_copy_mode = copy_mode, .reassembly = {}});
        add_address(kHomeLink, "2001:db8:1::1", 64, true);
        add_address(kHomeLink, "fe80::1", 64);
        add_address(kHomeLink, "2001:db8:1::2", 64);  // ours, but no home agent address
        add_address(kOutside, "2001:db8:f::1", 64);
        add_route("2001:db8:1::/64", kHomeLink);
        add_route("2001:db8:f::/64", kOutside);
        add_route("::/0", kOutside, "2001:db8:f::2");
        add_neighbour(kOutside, "2001:db8:f::2");
        home_prefix("2001:db8:1::", 64, kHomeLink);
        home_prefix("192.0.2.0", 24, channel::kNoPort);
        bypass_all();
    }

    void home_prefix(std::string_view prefix, std::uint8_t length, std::uint16_t port) {
        channel::HomePrefixSet record;
        record.prefix = channel::WireAddress(*parse_ip_address(prefix));
        record.prefix_length = length;
        record.port = port;
        apply(record);
    }

    channel::BindingSet binding(const IpAddress& home_address = kHomeAddress,
                                const Ipv6Address& care_of_address = kCareOfAddress) {
        channel::BindingSet record;
        record.home_address = channel::WireAddress(home_address);
        record.prefix_length = record.home_address.family == 4 ? 32 : 128;
        record.care_of_address = channel::WireAddress(care_of_address);
        record.home_agent_address = channel::WireAddress(kHomeAgent);
        record.counter_index = record.home_address.family == 4 ? 1 : 0;
        record.home_port = kHomeLink;
        return record;
    }
    void bind(const IpAddress& home_address = kHomeAddress,
              const Ipv6Address& care_of_address = kCareOfAddress) {
        apply(binding(home_address, care_of_address));
    }
    void unbind() {
        channel::BindingRemove record;
        record.home_address = channel::WireAddress(kHomeAddress);
        apply(record);
    }

    /// Table S1-SPD, entries 2, 5 and 6 without protection of payload, and the SAs of vectors C2
    /// and C4.
    void protect_signalling() {
        channel::PolicyRecord update;
        update.id = kPolicyBindingUpdate;
        update.action = channel::PolicyAction::kProtect;
        update.per_remote_address = 1;
        update.signalling = 1;
        update.selector = mobility(6, 5);
        channel::PolicyRecord others;
        others.id = 5;
        others.action = channel::PolicyAction::kBypass;
        const std::array policies{update, others};
        set_policies(policies);
        add_sa(channel::SaDirection::kInbound, kSpiIn, 0xa0);
        add_sa(channel::SaDirection::kOutbound, kSpiOut, 0xb0);
    }

    static channel::SelectorRecord mobility(unsigned sent, unsigned received) {
        channel::SelectorRecord selector;
        selector.local_low = selector.local_high = channel::WireAddress(kHomeAgent);
        selector.remote_low = channel::WireAddress(v6("2001:db8:1::"));
        selector.remote_high = channel::WireAddress(v6("2001:db8:1::ffff:ffff:ffff:ffff"));
        selector.protocol = 135;
        selector.local_port_low = static_cast<std::uint16_t>(sent << 8);
        selector.local_port_high = static_cast<std::uint16_t>(sent << 8 | 255);
        selector.remote_port_low = static_cast<std::uint16_t>(received << 8);
        selector.remote_port_high = static_cast<std::uint16_t>(received << 8 | 255);
        return selector;
    }

    void add_sa(channel::SaDirection direction, std::uint32_t spi, std::uint8_t salt) {
        channel::SaSet record;
        record.spi = spi;
        record.direction = direction;
        record.mode = channel::SaMode::kTransport;
        record.policy_id = kPolicyBindingUpdate;
        record.peer = channel::WireAddress(kHomeAddress);
        record.selector = mobility(6, 5);
        record.selector.remote_low = record.selector.remote_high =
            channel::WireAddress(kHomeAddress);
        constexpr std::string_view kAlgorithm = "aes128-gcm16";
        std::copy(kAlgorithm.begin(), kAlgorithm.end(), record.algorithm);
        record.encryption_key_length = 20;
        for (std::uint8_t i = 0; i < 16; ++i) record.encryption_key[i] = i;
        for (std::uint8_t i = 0; i < 4; ++i) {
            record.encryption_key[16 + i] = static_cast<std::uint8_t>(salt + i);
        }
        apply(record);
    }

    /// `packet` through a port of the home agent.
    Result feed_packet(std::uint16_t port, const Bytes& packet) {
        return feed(port, to_port(port, packet));
    }
    [[nodiscard]] static const std::vector<Arrived>& at(const Result& result, StageId stage) {
        static const std::vector<Arrived> kNone;
        const auto found = result.arrived.find(stage);
        return found == result.arrived.end() ? kNone : found->second;
    }
    /// The one packet was dropped under `counter`.
    static void expect_drop(const Result& result, std::string_view counter) {
        EXPECT_EQ(result.count(counter), 1u) << counter << ": " << result.to_string();
        EXPECT_EQ(result.dropped(), 1u) << counter << ": " << result.to_string();
    }
    /// The one packet went to icmp-error with these notes.
    static void expect_icmp_error(const Result& result, IcmpErrorKind kind, Counter drop,
                                  std::uint32_t parameter = 0) {
        const auto& arrived = at(result, StageId::kIcmpError);
        ASSERT_EQ(arrived.size(), 1u) << result.to_string();
        EXPECT_EQ(arrived[0].notes.reason, static_cast<std::uint8_t>(kind));
        EXPECT_EQ(arrived[0].notes.drop, static_cast<std::uint16_t>(drop))
            << channel::name_of(static_cast<Counter>(arrived[0].notes.drop));
        EXPECT_EQ(arrived[0].notes.parameter, parameter);
    }
};

/// UDP of `octets` in all behind the IPv6 header.
inline Bytes udp6(const Ipv6Address& source, const Ipv6Address& destination, std::size_t octets) {
    return test::udp(source, destination, 4000, 5000, Bytes(octets - 8, 0x5a));
}

}  // namespace homeport::golden
