// SPDX-License-Identifier: BSD-3-Clause
// What happens to a packet between the TUN device and the wire: paths N1, N2 and N3 of
// packet-paths 2.5. No I/O: packets in, packets out.
//
// IPsec gets and gives packets in normal form only, the home address and never a care-of address
// in their IP header (S1.21); a debug build asserts it at both edges of IPsec.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/packet.hpp"
#include "tools/mobile-node/correspondent_routes.hpp"
#include "tools/mobile-node/counters.hpp"

namespace homeport::mobile_node {

using Packet = ipsec::Packet;

struct PathAddresses {
    Ipv6Address home_address;
    Ipv6Address home_agent;
    std::optional<Ipv4Address> ipv4_home_address;
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

    /// Whether the home agent has a binding for the IPv4 home address; at first it has none.
    void set_ipv4_bound(bool bound) { ipv4_bound_ = bound; }

    /// Route optimisation: null, as at first, for none. Must outlive its use.
    void set_correspondents(CorrespondentRoutes* correspondents) {
        correspondents_ = correspondents;
    }

    /// How a packet of applications that passed protect() has to leave when away.
    enum class Leave : std::uint8_t {
        kDropped,  // counted
        kPlain,    // N1: in a tunnel header; at home as it is
        kSealed,   // N2: is ESP HoA>HA, its source becomes the care-of address
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
    /// Makes a packet that passed protect() one for the wire, from `care_of_address`. False:
    /// dropped and counted.
    [[nodiscard]] bool to_wire(Packet& packet, Leave leave, const Ipv6Address& care_of_address);

    /// N3: a binding update in normal form becomes one for the wire: IPsec, then the Home Address
    /// option. Without a care-of address, at home, only IPsec. False: dropped and counted.
    [[nodiscard]] bool binding_update_to_wire(Packet& packet,
                                              const std::optional<Ipv6Address>& care_of_address);

    enum class Arrived : std::uint8_t {
        kDropped,     // counted
        kPayload,     // for applications
        kSignalling,  // a mobility header or other message for the protocol module
    };
    struct Arrival {
        Arrived what = Arrived::kDropped;
        bool is_protected = false;  // came through ESP
    };
    /// A whole packet from an access link, IPv6 with next header 41, 4, 43, 50 or 135. What is not
    /// dropped is in normal form afterwards.
    [[nodiscard]] Arrival inbound(Packet& packet);

  private:
    [[nodiscard]] Arrival dropped(Counter counter);
    [[nodiscard]] Arrival from_correspondent(Packet& packet);
    [[nodiscard]] Arrival tunnelled(Packet& packet, std::uint8_t protocol);
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
    CorrespondentRoutes* correspondents_ = nullptr;
    bool ipv4_bound_ = false;
};

}  // namespace homeport::mobile_node
