// SPDX-License-Identifier: BSD-3-Clause
// The kernel's tables, as its messages tell them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controlplane/netlink/message.hpp"

namespace homeport::netlink {

/// What a dump covers; combined as bits.
enum Tables : unsigned {
    kLinks = 1,
    kAddresses = 2,
    kRoutes = 4,
    kNeighbours = 8,
    kAllTables = 15,
};

struct RouteKey {
    IpAddress prefix;
    std::uint8_t prefix_length = 0;
    friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
};

struct RouteEntry {
    channel::RouteType type = channel::RouteType::kUnicast;
    std::uint32_t metric = 0;
    std::uint8_t preference = 1;
    std::uint32_t mtu = 0;
    std::uint32_t next_hop_object = 0;
    std::vector<NextHop> next_hops;
    friend bool operator==(const RouteEntry&, const RouteEntry&) = default;
};

/// All routes to one prefix, best first.
struct RouteSlot {
    std::vector<RouteEntry> local, main;
    friend bool operator==(const RouteSlot&, const RouteSlot&) = default;
};

struct LinkState {
    std::string name;
    bool up = false;
    bool carrier = false;
    std::uint32_t mtu = 0;
    MacAddress mac;
    friend bool operator==(const LinkState&, const LinkState&) = default;
};

/// An address first, so that all that is known of it lies together.
struct AddressKey {
    IpAddress address;
    int index = 0;
    std::uint8_t prefix_length = 0;
    friend auto operator<=>(const AddressKey&, const AddressKey&) = default;
};
struct NeighbourKey {
    IpAddress address;
    int index = 0;
    friend auto operator<=>(const NeighbourKey&, const NeighbourKey&) = default;
};

/// What became different, to be looked at once a round.
struct Changes {
    std::set<int> interfaces;  // everything that has to do with them
    std::set<IpAddress> addresses;
    std::set<IpAddress> neighbours;
    std::set<RouteKey> routes;
    unsigned reread = 0;  // Tables that the kernel may have changed silently
};

struct KernelState {
    std::map<int, LinkState> links;
    std::map<AddressKey, bool> addresses;  // whether it is usable
    std::map<RouteKey, RouteSlot> routes;
    std::map<NeighbourKey, MacAddress> neighbours;  // resolved ones

    /// Applies a message about one of `tables`; others are left alone. May come twice.
    void apply(const Message& message, unsigned tables, Changes& changes);

    /// Takes over `tables` of a state that was read anew.
    void replace(KernelState&& fresh, unsigned tables, Changes& changes);

    /// Adds to `tables` what `older` has and this has not.
    void complete_from(const KernelState& older, unsigned tables);

  private:
    void apply(const LinkMessage& message, Changes& changes);
    void apply(const AddressMessage& message, Changes& changes);
    void apply(const RouteMessage& message, Changes& changes);
    void apply(const NeighbourMessage& message, Changes& changes);
    void apply(const NextHopObjectRemoved& message, Changes& changes);
};

}  // namespace homeport::netlink
