// SPDX-License-Identifier: BSD-3-Clause
// What the mirror tells: the kernel's view in terms of ports, as differences.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"

namespace homeport::netlink {

/// A kernel interface that stands for a port.
struct Link {
    std::string name;
    int index = 0;         // the kernel's; another one when the interface was made anew
    bool present = false;  // false: it vanished, and the rest is as it was last
    bool up = false;       // administratively
    bool carrier = false;
    std::uint32_t mtu = 0;  // octets
    MacAddress mac;

    friend bool operator==(const Link&, const Link&) = default;
};

struct Route {
    IpAddress prefix;
    std::uint8_t prefix_length = 0;
    channel::RouteType type = channel::RouteType::kUnicast;
    std::uint16_t port = channel::kNoPort;  // of kUnicast only
    std::optional<IpAddress> next_hop;      // of kUnicast only; nothing: on-link
    std::uint32_t mtu = 0;                  // octets; 0: the link's

    friend bool operator==(const Route&, const Route&) = default;
};

/// Gets each difference once. Nothing is told before the first whole picture of the kernel is
/// there; then come all of its entries, then in_sync().
///
/// A port whose interface is not there, or not yet known, has no addresses and no neighbours, and
/// no route leads through it.
class MirrorSink {
  public:
    virtual ~MirrorSink() = default;

    virtual void link_changed(std::uint16_t port, const Link& link) = 0;

    /// An address is ours: not while DAD runs, nor after it failed. `port` is kNoPort for one on an
    /// interface that is none of our ports (loopback and link-local ones are left out there).
    /// Told again when the prefix length changes.
    virtual void address_set(std::uint16_t port, const IpAddress& address,
                             std::uint8_t prefix_length) = 0;
    virtual void address_removed(std::uint16_t port, const IpAddress& address) = 0;

    /// The best usable route of a prefix, told again when it changes. Link-local and multicast
    /// destinations are left out.
    virtual void route_set(const Route& route) = 0;
    virtual void route_removed(const IpAddress& prefix, std::uint8_t prefix_length) = 0;

    /// A neighbour has a link-layer address that the kernel would use now.
    virtual void neighbour_set(std::uint16_t port, const IpAddress& address,
                               const MacAddress& mac) = 0;
    virtual void neighbour_removed(std::uint16_t port, const IpAddress& address) = 0;

    /// The picture is whole: after start, and after every resynchronisation.
    virtual void in_sync() {}
};

}  // namespace homeport::netlink
