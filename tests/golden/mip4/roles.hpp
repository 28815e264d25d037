// SPDX-License-Identifier: BSD-3-Clause
// External home agent, VPN gateway and internal home agent (S2.i), each alone or all in one box,
// and the mobile node's end of the stack of tunnels between them. Port 0 leads inside, where the
// internal home link is, port 1 outside.
#pragma once

#include <memory>

#include "dataplane/channel/records.hpp"
#include "tests/golden/ipsec_peer.hpp"
#include "tests/golden/mip4/home_agent.hpp"

namespace homeport::golden {

inline const Ipv4Address kXAgent = kHomeAgent4;           // x-HA
inline const Ipv4Address kXHome = kNode;                  // x-HoA
inline const Ipv4Address kGateway = v4("192.0.2.9");      // VPN-GW
inline const Ipv4Address kInnerVpn = v4("10.9.0.7");      // VPN-TIA
inline const Ipv4Address kTranslated = v4("10.1.0.200");  // what it is translated to (S2.36)
inline const Ipv4Address kIAgent = v4("10.1.0.1");        // i-HA
inline const Ipv4Address kIHome = v4("10.1.0.100");       // i-HoA
inline const Ipv4Address kInsideHost = v4("10.2.0.5");    // correspondent inside
inline constexpr std::uint16_t kInside = kHomeLink;
inline constexpr std::uint16_t kInnerPort = 41000;  // of UDP 434 inside the VPN
inline constexpr std::uint32_t kSpiFromClient = 0x10000070;
inline constexpr std::uint32_t kSpiToClient = 0x20000070;
inline constexpr std::uint16_t kPolicyVpn = 70;

/// IPsec of the mobile node: a tunnel from x-HoA to the VPN gateway.
class VpnClientIpsec : public IpsecPeer {
  public:
    VpnClientIpsec()
        : IpsecPeer(kXHome, kGateway,
                    {{ipsec::Direction::kOutbound, kSpiFromClient, 0xd0},
                     {ipsec::Direction::kInbound, kSpiToClient, 0xc0}}) {}
};

/// The stack of headers between node and correspondent.
struct Stack {
    const char* name;
    Mip4Form external;
    bool esp_in_udp;
    Mip4Form internal;
    std::uint16_t max_inner;   // packet-paths section 3, at 1500
    unsigned other_clients{};  // of the gateway: with many, they are looked up in another way
};
inline constexpr std::array kStacks{Stack{"cvc", kInIp, false, kInIp, 1406},
                                    Stack{"cvc_all_nat", kInUdp, true, kInUdp, 1374},
                                    Stack{"cvc_gre_and_minimal", kInGre, false, kInMinimal, 1410},
                                    Stack{"cvc_esp_behind_nat", kInUdp, true, kInGre, 1382},
                                    Stack{"cvc_in_a_crowd", kInIp, false, kInIp, 1406, 1500},
                                    Stack{"cvc_nat_in_a_crowd", kInUdp, true, kInUdp, 1374, 1500}};

struct Roles {
    bool external = true;
    bool gateway = true;
    bool internal = true;
};

class RolesTest : public Mip4Test {
  protected:
    void start_roles(const Stack& stack, const Roles& roles = {}, bool translate = false) {
        stack_ = stack;
        translate_ = translate;
        start_stages();
        add_address(kInside, "10.1.0.3", 24);
        add_address(kOutside, "198.18.0.1", 24);
        add_route("10.1.0.0/24", kInside);
        add_route("10.0.0.0/8", kInside, "10.1.0.2");
        add_neighbour(kInside, "10.1.0.2");
        add_route("198.18.0.0/24", kOutside);
        add_route("0.0.0.0/0", kOutside, "198.18.0.2");
        add_neighbour(kOutside, "198.18.0.2");
        bypass_all();
        if (!roles.internal) add_neighbour(kInside, "10.1.0.1", 2);  // the internal home agent
        if (roles.external) add_external();
        if (roles.gateway) add_gateway();
        if (roles.internal) add_internal();
    }

    // ------------------------------------------------------------- what the mobile node sends

    [[nodiscard]] Ipv4Address inner_care_of() const { return translate_ ? kTranslated : kInnerVpn; }
    static Bytes user(std::uint8_t ttl = 64, std::size_t octets = 24) {
        return ipv4(kIHome, kInsideHost, 17, Bytes(octets, 0x3c), {.ttl = ttl});
    }
    static Bytes user_back(std::uint8_t ttl = 64, std::size_t octets = 24,
                           std::uint16_t flags = 0) {
        return ipv4(kInsideHost, kIHome, 17, Bytes(octets, 0x5a),
                    {.ttl = ttl, .flags_offset = flags});
    }
    static Bytes request() {
        return ipv4(kInnerVpn, kIAgent, 17,
                    udp4(kInnerVpn, kInnerPort, kIAgent, 434, concat({{1}, Bytes(47, 9)}), true));
    }
    static Bytes reply() {
        return ipv4(kIAgent, kInnerVpn, 17,
                    udp4(kIAgent, 434, kInnerVpn, kInnerPort, concat({{3}, Bytes(43, 9)}), true));
    }
    /// 3d: `inner` in the tunnel to the internal home agent.
    [[nodiscard]] Bytes internal(const Bytes& inner) const {
        return in_tunnel(stack_.internal.encapsulation, inner, kInnerVpn, kIAgent, kInnerPort);
    }
    /// 2b, 3c: sealed for the VPN gateway.
    Bytes sealed(const Bytes& inner) {
        const Bytes esp = client_.seal(inner);
        if (!stack_.esp_in_udp) return esp;
        return ipv4(kXHome, kGateway, 17, udp4(kXHome, 4500, kGateway, 4500, tail_of(esp, 20)));
    }
    /// 2a, 3b: in the tunnel to the external home agent.
    [[nodiscard]] Bytes external(const Bytes& inner) const {
        return in_tunnel(stack_.external.encapsulation, inner, care_of(stack_.external), kXAgent,
                         kNatPort);
    }

    // -------------------------------------------------------------------- what it gets, undone

    /// The packet inside the tunnel of the external home agent, which is looked at.
    [[nodiscard]] Bytes out_of_external(const Bytes& packet) const {
        if (stack_.external.edits_header() || packet.size() < stack_.external.overhead) return {};
        const Bytes inner = tail_of(packet, stack_.external.overhead);
        expect_tunnel(packet, stack_.external, inner, care_of(stack_.external));
        return inner;
    }
    /// What the VPN gateway has sealed for the node.
    Bytes opened(Bytes packet) {
        if (packet.size() < 28) return {};
        EXPECT_EQ(internet_checksum(ConstByteSpan(packet).first(20)), 0);
        EXPECT_EQ(Ipv4Address::load(packet.data() + 12), kGateway);
        EXPECT_EQ(Ipv4Address::load(packet.data() + 16), kXHome);
        EXPECT_EQ(packet[9], stack_.esp_in_udp ? 17 : 50);
        if (stack_.esp_in_udp) {
            EXPECT_EQ(load_be16(packet.data() + 20), 4500);
            EXPECT_EQ(load_be16(packet.data() + 22), 4500);
            EXPECT_EQ(load_be16(packet.data() + 24), packet.size() - 20);
            packet = ipv4(kGateway, kXHome, 50, tail_of(packet, 28));
        }
        return client_.open(packet);
    }
    void expect_internal(const Bytes& packet, const Bytes& inner) const {
        expect_tunnel(packet, stack_.internal, inner, inner_care_of(), kInnerPort, kIAgent);
    }
    /// A sealed packet has come from there, so its NAT's port is known.
    void teach_return_path() {
        if (!stack_.esp_in_udp) return;
        const Result result = feed_packet(kOutside, external_if_bound(sealed(internal(user()))));
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }

    Stack stack_ = kStacks[0];
    bool translate_ = false;
    bool external_here_ = false;
    VpnClientIpsec client_;

  private:
    Bytes external_if_bound(const Bytes& packet) const {
        return external_here_ ? external(packet) : packet;
    }
    void add_external() {
        external_here_ = true;
        add_mip4_address("192.0.2.1", Mip4Role::kExternal, false, kOutside);
        home_prefix("192.0.2.96", 28, channel::kNoPort);
        channel::BindingSet record =
            mip4_binding(stack_.external.encapsulation, 0, kXHome, Mip4Role::kExternal);
        record.home_port = channel::kNoPort;
        apply(record);
    }
    void add_internal() {
        add_mip4_address("10.1.0.1", Mip4Role::kInternal, false, kInside);
        home_prefix("10.1.0.0", 24, kInside);
        channel::BindingSet record =
            mip4_binding(stack_.internal.encapsulation, 0, kIHome, Mip4Role::kInternal);
        record.care_of_address = channel::WireAddress(inner_care_of());
        record.home_agent_address = channel::WireAddress(kIAgent);
        record.counter_index = 1;
        if (stack_.internal.in_udp) record.udp_port = kInnerPort;
        apply(record);
    }
    void add_gateway() {
        channel::AddressSet address;
        address.address = channel::WireAddress(kGateway);
        address.port = kOutside;
        address.prefix_length = 32;
        address.is_vpn_gateway = 1;
        apply(address);
        channel::PolicyRecord protect;
        protect.id = kPolicyVpn;
        protect.action = channel::PolicyAction::kProtect;
        protect.mode = channel::SaMode::kTunnel;
        protect.per_remote_address = 1;
        channel::copy_text(protect.name, "vpn-client");
        protect.selector.local_low = channel::WireAddress(v4("0.0.0.0"));
        protect.selector.local_high = channel::WireAddress(v4("255.255.255.255"));
        protect.selector.remote_low = channel::WireAddress(kInnerVpn);
        protect.selector.remote_high = channel::WireAddress(kInnerVpn);
        channel::PolicyRecord others;
        others.id = 5;
        others.action = channel::PolicyAction::kBypass;
        set_policies(std::array{protect, others});
        apply(sa(channel::SaDirection::kInbound, kSpiFromClient, 0xd0));
        apply(sa(channel::SaDirection::kOutbound, kSpiToClient, 0xc0));
        channel::VpnClientSet client;
        client.inner = channel::WireAddress(kInnerVpn);
        client.outer = channel::WireAddress(kXHome);
        client.gateway = channel::WireAddress(kGateway);
        if (translate_) client.translated = channel::WireAddress(kTranslated);
        client.spi_in = kSpiFromClient;
        apply(client);
        for (unsigned i = 0; i < stack_.other_clients; ++i) {
            channel::VpnClientSet other = client;
            const auto low = static_cast<std::uint8_t>(i);
            const auto high = static_cast<std::uint8_t>(i >> 8);
            other.inner = channel::WireAddress(Ipv4Address{{10, 10, high, low}});
            other.outer = channel::WireAddress(Ipv4Address{{198, 19, high, low}});
            if (translate_) {
                other.translated = channel::WireAddress(Ipv4Address{{10, 11, high, low}});
            }
            other.spi_in = kSpiFromClient + 1 + i;
            apply(other);
        }
    }
    static channel::SaSet sa(channel::SaDirection direction, std::uint32_t spi, std::uint8_t salt) {
        channel::SaSet record;
        record.spi = spi;
        record.direction = direction;
        record.mode = channel::SaMode::kTunnel;
        record.policy_id = kPolicyVpn;
        record.peer = channel::WireAddress(kInnerVpn);
        record.tunnel_local = channel::WireAddress(kGateway);
        record.tunnel_remote = channel::WireAddress(kXHome);
        record.selector.local_low = channel::WireAddress(v4("0.0.0.0"));
        record.selector.local_high = channel::WireAddress(v4("255.255.255.255"));
        record.selector.remote_low = record.selector.remote_high = channel::WireAddress(kInnerVpn);
        const bool inbound = direction == channel::SaDirection::kInbound;
        record.replay_window = inbound ? std::uint16_t{1024} : std::uint16_t{0};
        channel::copy_text(record.algorithm, "aes128-gcm16");
        record.encryption_key_length = 20;
        for (std::uint8_t i = 0; i < 16; ++i) record.encryption_key[i] = i;
        for (std::uint8_t i = 0; i < 4; ++i) {
            record.encryption_key[16 + i] = static_cast<std::uint8_t>(salt + i);
        }
        return record;
    }
};

}  // namespace homeport::golden
