// SPDX-License-Identifier: BSD-3-Clause
// What happens to a packet between the TUN device and the wire: paths N1 to N5 of packet-paths
// 2.5. No I/O: packets in, packets out. IPv4 networks are in packet_paths4.cpp.
//
// IPsec gets and gives packets in normal form only, the home address and never a care-of address
// in their IP header (S1.21); a debug build asserts it at both edges of IPsec.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/mip6/mobile_node.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/packet.hpp"
#include "tools/mobile-node/correspondent_routes.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/mobile_network.hpp"
#include "tools/mobile-node/signalling_split.hpp"

namespace homeport::mobile_node {

using Packet = ipsec::Packet;

struct PathAddresses {
    Ipv6Address home_address;
    Ipv6Address home_agent;
    std::optional<Ipv4Address> ipv4_home_address{};
    std::vector<Ipv4Address> home_agents4{};
};

/// How to the home agent: from which care-of address, and in what.
struct Egress {
    mip6::CareOf care_of;
    mip6::Encapsulation encapsulation = mip6::Encapsulation::kIpv6;
    std::uint16_t udp_port = 0;  // Z: ours for UDP 4191; host order
    std::uint16_t esp_port = 0;  // ours for UDP 4500
    bool nested_esp = false;     // S1.19: ESP stays in IPv6, in UDP 4191
    std::uint32_t path_mtu = 1500;

    Egress() = default;
    Egress(const Ipv6Address& care_of_address) : care_of(care_of_address) {}  // NOLINT
};

class PacketPaths {
  public:
    /// `engine` and `counters` must outlive it.
    PacketPaths(const PathAddresses& addresses, std::uint8_t hop_limit, ipsec::Processor& engine,
                Counters& counters);

    /// Addresses at which tunnelled packets are taken: the present care-of address, one that is
    /// being registered, and earlier ones for as long as they are ours (S1.41).
    void set_care_of_addresses(std::vector<Ipv6Address> addresses);
    [[nodiscard]] bool is_care_of_address(const Ipv6Address& address) const;
    /// The same of IPv4.
    void set_ipv4_care_of_addresses(std::vector<Ipv4Address> addresses) {
        care_of_addresses4_ = std::move(addresses);
    }
    /// Whether a packet from the wire has an address of the home agent as its source.
    [[nodiscard]] bool is_from_home_agent(const Packet& packet) const;

    /// Whether the home agent has a binding for the IPv4 home address; at first it has none.
    void set_ipv4_bound(bool bound) { ipv4_bound_ = bound; }
    /// A dynamic one.
    void set_ipv4_home_address(const Ipv4Address& address) {
        addresses_.ipv4_home_address = address;
    }

    /// Of a mobile router: packets from and to these networks take the tunnel, too.
    void set_mobile_network(MobileNetwork network) { network_ = std::move(network); }
    [[nodiscard]] const MobileNetwork& mobile_network() const { return network_; }

    /// Route optimisation: null, as at first, for none. Must outlive its use.
    void set_correspondents(CorrespondentRoutes* correspondents) {
        correspondents_ = correspondents;
    }

    /// How a packet of applications that passed protect() has to leave when away.
    enum class Leave : std::uint8_t {
        kDropped,  // counted
        kPlain,    // N1: in a tunnel header; at home as it is
        kSealed,   // N2: is ESP HoA>HA; the SPI tells what (S1.43)
    };
    /// A packet from the TUN device: whose it is and its scope. False: dropped and counted.
    [[nodiscard]] bool admit(Packet& packet);
    /// An admitted packet through IPsec. Best called when it can leave: a sequence number is not
    /// used for a packet that waits, and may be dropped.
    [[nodiscard]] Leave protect(Packet& packet);
    /// Both.
    [[nodiscard]] Leave outbound(Packet& packet) {
        return admit(packet) ? protect(packet) : Leave::kDropped;
    }
    /// What a packet that protect() left in clear is: for SignallingSplit::classify() there is no
    /// SPI to ask about.
    [[nodiscard]] SignallingSplit::Kind unsealed_kind(const Packet& packet) const;
    /// Makes a packet of data that passed protect() one for the wire. False: dropped and counted.
    [[nodiscard]] bool to_wire(Packet& packet, Leave leave, const Egress& way);
    /// N3, N5: the same for signalling. Over IPv6 with Home Address option; over IPv4 a binding
    /// update goes in UDP without one (RFC 5555 4.2), a prefix solicitation as data do (P7).
    /// Without a way, at home, it stays as it is.
    [[nodiscard]] bool signalling_to_wire(Packet& packet, SignallingSplit::Kind kind,
                                          const std::optional<Egress>& way);

    enum class Arrived : std::uint8_t {
        kDropped,     // counted
        kPayload,     // for applications
        kSignalling,  // a mobility header or other message for the protocol module
    };
    struct Arrival {
        Arrived what = Arrived::kDropped;
        bool is_protected = false;  // came through ESP
        bool had_routing_header = false;
    };
    /// A whole packet from an access link, IPv6 with next header 41, 4, 43, 50 or 135, or IPv4 with
    /// protocol 41, 4, 50 or 17. What is not dropped is in normal form afterwards.
    [[nodiscard]] Arrival inbound(Packet& packet);

  private:
    [[nodiscard]] Arrival dropped(Counter counter);
    [[nodiscard]] Arrival from_correspondent(Packet& packet);
    [[nodiscard]] Arrival tunnelled(Packet& packet, std::uint16_t inner_offset,
                                    std::uint8_t protocol);
    [[nodiscard]] Arrival inbound4(Packet& packet);
    [[nodiscard]] Arrival udp(Packet& packet, std::uint16_t offset);
    [[nodiscard]] Arrival esp_over_ipv4(Packet& packet, std::uint16_t offset);
    [[nodiscard]] bool to_wire4(Packet& packet, Leave leave, const Egress& way);
    [[nodiscard]] bool in_udp(Packet& packet, const Egress& way, bool checksum);
    [[nodiscard]] Arrival routed(Packet& packet);
    [[nodiscard]] Arrival sealed(Packet& packet);
    [[nodiscard]] Arrival through_ipsec(Packet& packet);
    [[nodiscard]] bool is_normal_form(const Packet& packet) const;
    [[nodiscard]] ipsec::Verdict seal(Packet& packet);

    PathAddresses addresses_;
    std::uint8_t hop_limit_;
    ipsec::Processor& engine_;
    Counters& counters_;
    std::vector<Ipv6Address> care_of_addresses_;
    std::vector<Ipv4Address> care_of_addresses4_;
    std::uint16_t identification_ = 0;  // of IPv4 headers that allow fragments
    CorrespondentRoutes* correspondents_ = nullptr;
    bool ipv4_bound_ = false;
    MobileNetwork network_;
};

}  // namespace homeport::mobile_node
