// SPDX-License-Identifier: BSD-3-Clause
// A home agent that protects payload, and the mobile node's end of its SAs: an IPsec that knows the
// home address alone.
#pragma once

#include <memory>

#include "dataplane/channel/records.hpp"
#include "tests/golden/ipsec_peer.hpp"
#include "tests/golden/tunnel/home_agent.hpp"

namespace homeport::golden {

inline constexpr std::uint16_t kPolicyRoutability = 4;
inline constexpr std::uint16_t kPolicyOthers = 5;
inline constexpr std::uint16_t kPolicyPayload = 6;
inline constexpr std::uint16_t kPolicyPayload4 = 7;
inline constexpr std::uint32_t kSpiPayloadIn = 0x10000003;
inline constexpr std::uint32_t kSpiPayloadOut = 0x20000003;  // of vector C5
inline constexpr std::uint32_t kSpiRoutabilityOut = 0x20000002;
inline constexpr std::uint64_t kC5Sequence = 7;

/// IPsec of the mobile node: seals with kSpiPayloadIn, opens kSpiPayloadOut and kSpiRoutabilityOut.
class MobileNodeIpsec : public IpsecPeer {
  public:
    MobileNodeIpsec()
        : IpsecPeer(kHomeAddress, kHomeAgent,
                    {{ipsec::Direction::kOutbound, kSpiPayloadIn, 0xd0},
                     {ipsec::Direction::kInbound, kSpiPayloadOut, 0xc0},
                     {ipsec::Direction::kInbound, kSpiRoutabilityOut, 0xe0}}) {}

    /// Sealed, as it is on the wire.
    Bytes send(const Bytes& packet, const Ipv6Address& care_of_address = kCareOfAddress) {
        Bytes sealed = seal(packet);
        care_of_address.store(sealed.data() + 8);
        return sealed;
    }
};

class ProtectedPayload : public TunnelTest {
  protected:
    void start_protected(bool copy_mode = false) {
        start_home_agent(copy_mode);
        protect_payload();
    }

    /// Table S1-SPD with entries 2, 4, 5 and 6, and SAs for all of them.
    void protect_payload() {
        channel::PolicyRecord update = policy(kPolicyBindingUpdate, "bu");
        update.mode = channel::SaMode::kTransport;
        update.signalling = 1;
        update.selector = mobility(6, 5);
        channel::PolicyRecord routability = policy(kPolicyRoutability, "hot-hoti");
        routability.selector = mobility(3, 1);
        routability.selector.local_low = routability.selector.local_high = {};
        channel::PolicyRecord payload = policy(kPolicyPayload, "payload");
        payload.selector.remote_low = channel::WireAddress(v6("2001:db8:1::"));
        payload.selector.remote_high = channel::WireAddress(v6("2001:db8:1::ffff:ffff:ffff:ffff"));
        channel::PolicyRecord payload4 = policy(kPolicyPayload4, "payload-ipv4");
        payload4.selector.local_low = channel::WireAddress(v4("0.0.0.0"));
        payload4.selector.local_high = channel::WireAddress(v4("255.255.255.255"));
        payload4.selector.remote_low = channel::WireAddress(v4("192.0.2.0"));
        payload4.selector.remote_high = channel::WireAddress(v4("192.0.2.255"));
        channel::PolicyRecord others;
        others.id = kPolicyOthers;
        others.action = channel::PolicyAction::kBypass;
        set_policies(std::array{update, routability, payload, payload4, others});
        add_sa(channel::SaDirection::kInbound, kSpiIn, 0xa0);
        add_sa(channel::SaDirection::kOutbound, kSpiOut, 0xb0);
        add_tunnel(channel::SaDirection::kInbound, kSpiPayloadIn, 0xd0, kPolicyPayload);
        add_tunnel(channel::SaDirection::kOutbound, kSpiPayloadOut, 0xc0, kPolicyPayload);
        add_tunnel(channel::SaDirection::kOutbound, kSpiRoutabilityOut, 0xe0, kPolicyRoutability);
    }
    void bind_protected(const IpAddress& home_address = kHomeAddress,
                        const Ipv6Address& care_of_address = kCareOfAddress) {
        channel::BindingSet record = binding(home_address, care_of_address);
        record.flags = channel::kBindingProtected;
        apply(record);
    }
    void check_outer(channel::EspOuterCheck check) {
        channel::ParametersSet parameters;
        parameters.check_esp_outer = check;
        apply(parameters);
    }

    /// HoA > HA is its template (S1.11); IPv4 payload of the node goes in the same SA.
    void add_tunnel(channel::SaDirection direction, std::uint32_t spi, std::uint8_t salt,
                    std::uint16_t policy_id, std::uint64_t first_sequence = 1) {
        channel::SaSet record = tunnel_sa(direction, spi, salt, policy_id);
        record.first_sequence = first_sequence;
        apply(record);
    }
    static channel::SaSet tunnel_sa(channel::SaDirection direction, std::uint32_t spi,
                                    std::uint8_t salt, std::uint16_t policy_id) {
        channel::SaSet record;
        record.spi = spi;
        record.direction = direction;
        record.mode = channel::SaMode::kTunnel;
        record.policy_id = policy_id;
        record.peer = channel::WireAddress(kHomeAddress);
        record.tunnel_local = channel::WireAddress(kHomeAgent);
        record.tunnel_remote = channel::WireAddress(kHomeAddress);
        record.selector.remote_low = record.selector.remote_high =
            channel::WireAddress(kHomeAddress);
        if (policy_id == kPolicyPayload) {
            record.second_policy_id = kPolicyPayload4;
            record.second_peer = channel::WireAddress(kHomeAddress4);
        }
        record.replay_window =
            direction == channel::SaDirection::kInbound ? std::uint16_t{1024} : std::uint16_t{0};
        channel::copy_text(record.algorithm, "aes128-gcm16");
        record.encryption_key_length = 20;
        for (std::uint8_t i = 0; i < 16; ++i) record.encryption_key[i] = i;
        for (std::uint8_t i = 0; i < 4; ++i) {
            record.encryption_key[16 + i] = static_cast<std::uint8_t>(salt + i);
        }
        return record;
    }
    static channel::PolicyRecord policy(std::uint16_t id, const char* name) {
        channel::PolicyRecord record;
        record.id = id;
        record.action = channel::PolicyAction::kProtect;
        record.mode = channel::SaMode::kTunnel;
        record.per_remote_address = 1;
        channel::copy_text(record.name, name);
        return record;
    }

    static Bytes to_mobile(std::uint8_t hop_limit = 64, std::size_t octets = 24) {
        return ipv6(kCorrespondent, kHomeAddress, 17, udp6(kCorrespondent, kHomeAddress, octets),
                    {.hop_limit = hop_limit});
    }
    static Bytes from_mobile(std::uint8_t hop_limit = 64, std::size_t octets = 24) {
        return ipv6(kHomeAddress, kCorrespondent, 17, udp6(kHomeAddress, kCorrespondent, octets),
                    {.hop_limit = hop_limit});
    }
    /// The normal form of a sealed packet that goes to a care-of address.
    static Bytes normal_form(Bytes packet) {
        kHomeAddress.store(packet.data() + 24);
        return packet;
    }
    static std::uint32_t sequence_of(const Bytes& packet) { return load_be32(packet.data() + 44); }
    static std::uint32_t spi_of(const Bytes& packet) { return load_be32(packet.data() + 40); }

    MobileNodeIpsec mobile_node_;
};

}  // namespace homeport::golden
