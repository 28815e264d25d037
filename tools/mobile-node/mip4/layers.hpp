// SPDX-License-Identifier: BSD-3-Clause
// The headers of Mobile IPv4 around user packets: paths N6 to N9 of packet-paths 2.5.
//
//   c    CoA>i-HA | HoA>CN                                             N6, P20 to P27 mirrored
//   f    HoA>CN, to the foreign agent                                  N7
//   cvc  CoA>x-HA | x-HoA>GW ESP | TIA>i-HA | HoA>CN                    N8
//   fvc  x-HoA>GW ESP | TIA>i-HA | HoA>CN, to the foreign agent         N9
//
// Whole packets in and out, no I/O. What may pass is asked of mip4::MobileNode.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/mip4/mobile_node.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/packet.hpp"
#include "tools/mobile-node/counters.hpp"

namespace homeport::mobile_node {

using Packet = ipsec::Packet;

/// How a packet leaves its interface.
enum class Exit : std::uint8_t {
    kCareOf,  // from the care-of address, by the kernel's routes
    kNative,  // from a home address, by the kernel's routes: no reverse tunnel
    kAgent,   // from a home address, to the foreign agent's link-layer address
};

class Layers {
  public:
    struct Options {
        Ipv4Address vpn_gateway{};
        Ipv4Address vpn_inner_address{};
        bool esp_in_udp = false;  // sent so (RFC 3948); both forms are received
        std::uint8_t ttl = 64;    // of tunnel headers
    };
    /// Ports of ours behind the VPN: nobody else has that address.
    static constexpr std::uint16_t kInnerPort = 434;
    static constexpr std::uint16_t kEspPort = 4500;

    /// `vpn`: null without one. All must outlive it.
    Layers(const mip4::MobileNode& node, ipsec::Processor* vpn, const Options& options,
           Counters& counters);

    void set_esp_in_udp(bool wanted) { options_.esp_in_udp = wanted; }
    [[nodiscard]] bool esp_in_udp() const { return options_.esp_in_udp; }
    /// Source port of UDP 434 on an access interface, and what its path takes.
    struct Link {
        std::uint16_t udp_port = 0;
        std::uint32_t mtu = 1500;
    };

    /// A user packet from the home address. Nothing: dropped and counted.
    [[nodiscard]] std::optional<Exit> out(Packet& packet, const mip4::Way& way, const Link& link);
    /// In one tunnel of Mobile IP, and in the VPN if that is the way of the tunnel: keepalives.
    [[nodiscard]] std::optional<Exit> out_by(Packet& packet, int interface, mip4::Leg leg,
                                             const Link& link);
    /// A packet from the VPN-TIA to what is behind the gateway: registrations.
    [[nodiscard]] std::optional<Exit> out_through_vpn(Packet& packet,
                                                      const mip4::MobileTunnel& external,
                                                      const Link& link);

    enum class Arrived : std::uint8_t {
        kDropped,       // counted
        kUser,          // for applications
        kRegistration,  // `packet` is its UDP payload
        kKeepalive,     // an answer to ours
    };
    struct Arrival {
        Arrived what = Arrived::kDropped;
        bool through_vpn = false;
        mip4::Leg leg{};       // kKeepalive
        Ipv4Address source{};  // of the IP packet around a registration
    };
    /// A whole packet that came in on `interface`: to the care-of address; or `native`, to a home
    /// address and from the foreign agent's link-layer address.
    [[nodiscard]] Arrival in(Packet& packet, int interface, bool native, mip4::TimePoint now);

  private:
    [[nodiscard]] Arrival dropped(Counter counter);
    [[nodiscard]] bool wrap(Packet& packet, const mip4::MobileTunnel& tunnel,
                            std::uint16_t source_port, std::uint32_t path_mtu);
    [[nodiscard]] std::optional<Exit> wrap_external(Packet& packet,
                                                    const mip4::MobileTunnel& external,
                                                    const Link& link);
    [[nodiscard]] bool seal(Packet& packet);
    [[nodiscard]] Arrival from_agent(Packet& packet, int interface, mip4::TimePoint now);
    [[nodiscard]] Arrival to_address(Packet& packet, int interface, bool through_vpn,
                                     mip4::TimePoint now);
    [[nodiscard]] Arrival udp(Packet& packet, int interface, bool through_vpn, mip4::TimePoint now);
    [[nodiscard]] Arrival registration(Packet& packet, std::uint32_t offset, bool through_vpn);
    [[nodiscard]] Arrival tunnelled(Packet& packet, int interface, bool through_vpn,
                                    std::uint32_t offset, std::uint8_t protocol, bool in_udp,
                                    mip4::TimePoint now);
    [[nodiscard]] std::optional<Counter> unwrap(Packet& packet, std::uint32_t offset,
                                                std::uint8_t protocol);
    [[nodiscard]] Arrival inner(Packet& packet, int interface, mip4::Leg leg, mip4::TimePoint now);
    [[nodiscard]] Arrival sealed(Packet& packet, int interface, mip4::TimePoint now);
    [[nodiscard]] Arrival user(int interface, bool through_vpn, mip4::TimePoint now);

    const mip4::MobileNode& node_;
    ipsec::Processor* vpn_;
    Options options_;
    Counters& counters_;
    std::uint16_t identification_ = 0;  // of headers that allow fragments
};

}  // namespace homeport::mobile_node
