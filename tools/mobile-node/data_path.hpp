// SPDX-License-Identifier: BSD-3-Clause
// Carries packets between the TUN device and the access links.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "tools/mobile-node/access_link.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/packet_paths.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/tun_device.hpp"

namespace homeport::mobile_node {

/// Where packets of applications go.
struct Route {
    enum class Kind : std::uint8_t {
        kNone,
        kTunnel,  // N1/N2, from `care_of_address` on `interface`
        kHome,    // natively on `interface`
    };
    Kind kind = Kind::kNone;
    int interface = 0;
    Ipv6Address care_of_address;

    friend bool operator==(const Route&, const Route&) = default;
};
[[nodiscard]] const char* to_string(Route::Kind kind);

/// What the normal form of a packet no longer shows.
struct Origin {
    bool is_protected = false;     // came through ESP
    bool from_home_agent = false;  // on the wire it came from there, whoever made it
    bool had_routing_header = false;
};

class DataPath {
  public:
    struct Events {
        /// A mobility header or the like, in normal form.
        std::function<void(ConstByteSpan packet, const Origin& origin)> signalling;
        /// A path MTU towards the home agent, from the care-of address of the route.
        std::function<void(unsigned mtu)> path_mtu;
        /// Payload that came by the home agent, before it is delivered. May be empty.
        std::function<void(ConstByteSpan packet)> tunnelled{};
        /// ICMPv6 errors to an address of a link, whole packets. Empty: they are not asked for.
        std::function<void(ConstByteSpan packet)> icmp_error{};
    };
    /// Packets that are kept while there is no route, at most so many and for so long.
    static constexpr std::size_t kMostHeld = 256;
    static constexpr std::chrono::milliseconds kLongestHeld{2000};

    /// All references must outlive it.
    DataPath(asio::io_context& context, TunDevice& tun, PacketPaths& paths,
             const Ipv6Address& home_address, const Ipv6Address& home_agent, Counters& counters,
             Events events);

    /// False if the link's sockets cannot be opened; the reason is logged.
    bool add_link(int index, const std::string& name);
    void remove_link(int index);
    [[nodiscard]] std::vector<int> links() const;

    /// Packets that were held leave by the new route.
    void set_route(const Route& route);
    [[nodiscard]] const Route& route() const { return route_; }
    /// Without a route: keep packets for a while (during a handover), or drop them.
    void set_holding(bool hold);

    /// N3. Without a care-of address: at home. False: not sent.
    bool send_binding_update(ConstByteSpan packet, int interface,
                             const std::optional<Ipv6Address>& care_of_address);
    /// A packet of the protocol that takes the way of payload from the home address; none: it is
    /// dropped.
    void send_from_home_address(ConstByteSpan packet);
    /// Tells the application that sent `packet`, in normal form or a part of it, what fits.
    void tell_too_big(ConstByteSpan packet, unsigned mtu);
    /// A whole packet of our own.
    bool send(int interface, ConstByteSpan packet);
    /// That the kernel knows for the route; 0 if there is no tunnel.
    [[nodiscard]] unsigned known_path_mtu(const Ipv6Address& home_agent) const;

  private:
    struct Held {
        std::vector<std::uint8_t> packet;  // as applications sent it
        std::chrono::steady_clock::time_point since;
    };
    struct AttachedLink {
        explicit AttachedLink(AccessLink opened) : link(std::move(opened)) {}
        AccessLink link;
        std::vector<Readiness> readiness;
    };

    void tun_ready();
    void link_ready(int index, int descriptor);
    void packet_too_big(int index, const PacketTooBig& news);
    void leave(Packet& packet);
    void hold(const Packet& packet);
    void drop_expired();
    void arrive(Packet& packet);
    [[nodiscard]] AccessLink* find(int index);

    asio::io_context& context_;
    TunDevice& tun_;
    PacketPaths& paths_;
    Ipv6Address home_address_;
    Ipv6Address home_agent_;
    Counters& counters_;
    Events events_;
    std::map<int, AttachedLink> links_;
    Route route_;
    bool holding_ = false;
    std::deque<Held> held_;
    Alarm held_alarm_;
    PacketBuffer buffer_;
    PacketBuffer own_buffer_;  // for what is sent while buffer_ is in use
    Readiness tun_readiness_;
};

}  // namespace homeport::mobile_node
