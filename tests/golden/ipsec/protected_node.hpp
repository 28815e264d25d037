// SPDX-License-Identifier: BSD-3-Clause
// A home agent and a mobile node with SAs for signalling and payload. The node's end is an engine
// of its own; what it sends passes the whole pipeline.
#pragma once

#include "tests/golden/tunnel/home_agent.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::golden {

using ipsec::Algorithm;
using ipsec::test::Pair;

inline constexpr std::uint16_t kPolicyPayload = 6;
inline constexpr std::uint32_t kSpiUpdate = 0x10000011;
inline constexpr std::uint32_t kSpiPayloadIn = 0x80000021;
inline constexpr std::uint32_t kSpiPayloadOut = 0x20000031;

class ProtectedNodeTest : public TunnelTest {
  protected:
    void start_protected(Algorithm algorithm,
                         const stage::StageDescription& other = tunnel::kTunnelOutStage) {
        algorithm_ = algorithm;
        start_home_agent_with(other);
        channel::PolicyRecord update;
        update.id = kPolicyBindingUpdate;
        update.action = channel::PolicyAction::kProtect;
        update.per_remote_address = 1;
        update.signalling = 1;
        update.selector = mobility(6, 5);
        channel::PolicyRecord refused;  // SCTP: as good as any protocol
        refused.id = 4;
        refused.action = channel::PolicyAction::kDiscard;
        refused.selector.protocol = 132;
        channel::PolicyRecord payload;
        payload.id = kPolicyPayload;
        payload.action = channel::PolicyAction::kProtect;
        payload.mode = channel::SaMode::kTunnel;
        payload.per_remote_address = 1;
        payload.selector = to_node();
        payload.selector.remote_low = mobility(6, 5).remote_low;
        payload.selector.remote_high = mobility(6, 5).remote_high;
        channel::PolicyRecord others;
        others.id = 7;
        others.action = channel::PolicyAction::kBypass;
        const std::array policies{update, refused, payload, others};
        set_policies(policies);
        bind();
        apply(record_of(update_pair(), channel::SaDirection::kInbound));
    }

    /// Anything between anyone and the mobile node.
    static channel::SelectorRecord to_node() {
        channel::SelectorRecord selector;
        selector.remote_low = selector.remote_high = channel::WireAddress(kHomeAddress);
        return selector;
    }

    [[nodiscard]] Pair update_pair() const {
        return {.algorithm = algorithm_,
                .mode = ipsec::Mode::kTransport,
                .spi = ipsec::Spi{kSpiUpdate},
                .replay_window = 64,
                .tunnel_from = {},
                .tunnel_to = {}};
    }
    [[nodiscard]] Pair payload_in() const {
        return {.algorithm = algorithm_,
                .spi = ipsec::Spi{kSpiPayloadIn},
                .tunnel_from = "2001:db8:1::100",
                .tunnel_to = "2001:db8:1::1"};
    }
    [[nodiscard]] Pair payload_out() const {
        return {.algorithm = algorithm_, .spi = ipsec::Spi{kSpiPayloadOut}};
    }

    /// The SA of `pair` at the home agent.
    static channel::SaSet record_of(const Pair& pair, channel::SaDirection direction) {
        const ipsec::SaParameters sa = ipsec::test::outbound_parameters(pair);
        const bool tunnel = pair.mode == ipsec::Mode::kTunnel;
        channel::SaSet record;
        record.spi = pair.spi.value;
        record.direction = direction;
        record.mode = tunnel ? channel::SaMode::kTunnel : channel::SaMode::kTransport;
        record.policy_id = tunnel ? kPolicyPayload : kPolicyBindingUpdate;
        record.peer = channel::WireAddress(kHomeAddress);
        record.extended_sequence = pair.esn ? 1 : 0;
        record.replay_window =
            direction == channel::SaDirection::kInbound ? pair.replay_window : std::uint16_t{0};
        record.first_sequence = pair.first_sequence;
        if (tunnel) {
            record.tunnel_local = channel::WireAddress(kHomeAgent);
            record.tunnel_remote = channel::WireAddress(kHomeAddress);
        }
        record.selector = tunnel ? to_node() : mobility(6, 5);
        record.selector.remote_low = record.selector.remote_high =
            channel::WireAddress(kHomeAddress);
        const std::string_view name = ipsec::info(pair.algorithm).name;
        std::copy(name.begin(), name.end(), record.algorithm);
        const auto put = [](ConstByteSpan key, std::uint8_t* to, std::uint16_t& length) {
            std::copy(key.begin(), key.end(), to);
            length = static_cast<std::uint16_t>(key.size());
        };
        put(sa.encryption_key.view(), record.encryption_key, record.encryption_key_length);
        put(sa.integrity_key.view(), record.integrity_key, record.integrity_key_length);
        return record;
    }

    /// What is sealed in normal form, as it comes from the mobile node's care-of address.
    static Bytes from_care_of_address(const Bytes& sealed) {
        return ipv6(kCareOfAddress, kHomeAgent, 50, {sealed.begin() + 40, sealed.end()});
    }
    /// The same for signalling, with the Home Address option.
    static Bytes with_home_address(const Bytes& sealed, const Ipv6Address& home_address) {
        const Bytes option = test::options_header(
            50, concat({{1, 2, 0, 0}, test::home_address_option(home_address)}));
        return ipv6(kCareOfAddress, kHomeAgent, 60,
                    concat({option, Bytes(sealed.begin() + 40, sealed.end())}));
    }
    /// A packet of the payload SA with this number, around `inner` or a packet of the node.
    [[nodiscard]] Bytes payload(const Pair& pair, std::uint32_t sequence) const {
        const std::size_t block = ipsec::info(pair.algorithm).block;
        return from_care_of_address(
            ipsec::test::seal_raw(pair, ipsec::test::with_trailer(inner(), block, 41), sequence));
    }
    static Bytes inner(const Ipv6Address& source = kHomeAddress) {
        return ipv6(source, kCorrespondent, 17, Bytes(24, 0x5a));
    }
    /// A binding whose payload is sealed: its SA alone says what fits.
    void bind_sealed() {
        channel::BindingSet record = binding();
        record.flags |= channel::kBindingProtected;
        apply(record);
    }
    void expect_opened(const Result& result) {
        EXPECT_EQ(result.count("ipsec.in.ok"), 1u) << result.to_string();
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }

    Algorithm algorithm_ = Algorithm::kAes128Gcm16;
};

}  // namespace homeport::golden
