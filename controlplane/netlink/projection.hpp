// SPDX-License-Identifier: BSD-3-Clause
// From the kernel's tables to what the sink is told: interfaces become ports, of all routes to a
// prefix one is chosen, and only differences come out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "controlplane/netlink/kernel_state.hpp"
#include "controlplane/netlink/mirror_sink.hpp"

namespace homeport::netlink {

class Projection {
  public:
    // The sink hears of them with the next update_all().
    void set_port(const std::string& interface_name, std::uint16_t port);
    void clear_port(std::uint16_t port);

    /// The kernel interface of a port, 0 when there is none.
    [[nodiscard]] int index_of(std::uint16_t port, const KernelState& state) const;

    /// Tells `sink` the difference between what it was told and `state`, where `changes` say.
    void update(const KernelState& state, Changes& changes, MirrorSink& sink);
    /// As update(), about everything.
    void update_all(const KernelState& state, MirrorSink& sink);
    /// Tells `sink` all that was told.
    void replay(MirrorSink& sink) const;

  private:
    using AddressOfPort = std::pair<IpAddress, std::uint16_t>;

    [[nodiscard]] std::uint16_t port_of(int index, const KernelState& state) const;
    void expand(const KernelState& state, Changes& changes) const;
    void update_links(const KernelState& state, MirrorSink& sink);
    void update_address(const IpAddress& address, const KernelState& state, MirrorSink& sink);
    void update_neighbour(const IpAddress& address, const KernelState& state, MirrorSink& sink);
    void update_route(const RouteKey& key, const KernelState& state, MirrorSink& sink);
    [[nodiscard]] std::optional<Route> choose_route(const RouteKey& key, const RouteSlot& slot,
                                                    const KernelState& state) const;
    [[nodiscard]] const NextHop* choose_next_hop(const RouteEntry& entry,
                                                 const KernelState& state) const;

    std::map<std::string, std::uint16_t> ports_;  // by interface name
    std::map<std::uint16_t, Link> links_;
    std::map<AddressOfPort, std::uint8_t> addresses_;  // prefix length
    std::map<AddressOfPort, MacAddress> neighbours_;
    std::map<RouteKey, Route> routes_;
};

}  // namespace homeport::netlink
