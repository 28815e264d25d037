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
#include "tools/mobile-node/access_link4.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/message_gate.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/packet_paths.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/tun_device.hpp"

namespace homeport::mobile_node {

/// Where packets of applications go.
struct Route {
    enum class Kind : std::uint8_t {
        kNone,
        kTunnel,  // N1, N2, N4, from `care_of_address` on `interface`
        kHome,    // natively on `interface`
    };
    Kind kind = Kind::kNone;
    int interface = 0;
    mip6::CareOf care_of_address;
    mip6::Encapsulation encapsulation = mip6::Encapsulation::kIpv6;

    friend bool operator==(const Route&, const Route&) = default;
};
[[nodiscard]] const char* to_string(Route::Kind kind);

/// Octets of the headers around a packet that leaves by `route`, without those of ESP.
[[nodiscard]] unsigned outer_octets(const Route& route, bool sealed, bool nested_esp);

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
    struct Options {
        bool ipv4_networks = false;  // care-of addresses may be IPv4
        bool nested_esp = false;
        bool payload_is_sealed = false;
        std::chrono::seconds esp_keepalive{20};  // 0: none
    };
    /// Packets that are kept while there is no route, at most so many and for so long.
    static constexpr std::size_t kMostHeld = 256;
    static constexpr std::chrono::milliseconds kLongestHeld{2000};

    /// All references must outlive it.
    DataPath(asio::io_context& context, TunDevice& tun, PacketPaths& paths, SignallingSplit& split,
             const PathAddresses& addresses, const Options& options, Counters& counters,
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

    /// N3, N5: by its own way, while all else leaves by the route (S1.40). Without a care-of
    /// address: at home. False: not sent.
    bool send_binding_update(ConstByteSpan packet, int interface,
                             const std::optional<mip6::CareOf>& care_of_address);
    /// One to a correspondent, in clear (RFC 6275 section 11.7.2).
    bool send_correspondent_update(ConstByteSpan packet, int interface,
                                   const std::optional<Ipv6Address>& care_of_address);
    /// P7, by the route. While a binding update is awaited behind IPsec it waits (S1.47, rule 3).
    void send_prefix_solicitation(ConstByteSpan packet);
    /// The last binding update, the last solicitation, had a valid answer.
    void confirm_update() { split_.confirm(SignallingSplit::Kind::kBindingUpdate); }
    void confirm_solicitation() { split_.confirm(SignallingSplit::Kind::kPrefixSolicitation); }
    /// A packet of the protocol that takes the way of payload from the home address; none: it is
    /// dropped. Waits likewise.
    void send_from_home_address(ConstByteSpan packet);
    /// An authentic packet without content on UDP 4500, if that is what payload takes: so the home
    /// agent learns our mapping there (mipv6.md section 5.4).
    void open_esp_mapping();
    /// When something last left in UDP 4191 by the route.
    [[nodiscard]] std::chrono::steady_clock::time_point last_udp() const { return last_udp_; }
    /// Our ports on the interface of the route, for display; 0: none.
    [[nodiscard]] std::uint16_t udp_port() const { return way_.udp_port; }
    [[nodiscard]] std::uint16_t esp_port() const { return way_.esp_port; }
    /// Tells the application that sent `packet`, in normal form or a part of it, what fits.
    void tell_too_big(ConstByteSpan packet, unsigned mtu);
    /// A whole packet of our own.
    bool send(int interface, ConstByteSpan packet);
    /// That the kernel knows for the route; 0 if there is no tunnel.
    [[nodiscard]] unsigned known_path_mtu() const;

  private:
    struct Held {
        std::vector<std::uint8_t> packet;  // as applications sent it
        std::chrono::steady_clock::time_point since;
    };
    struct AttachedLink {
        explicit AttachedLink(AccessLink opened) : link(std::move(opened)) {}
        AccessLink link;
        std::optional<AccessLink4> link4;
        std::vector<Readiness> readiness;
    };

    void tun_ready();
    void link_ready(int index, int descriptor);
    void packet_too_big(int index, bool over_ipv4, const PacketTooBig& news);
    void leave(Packet& packet);
    void hold(const Packet& packet);
    void drop_expired();
    void arrive(Packet& packet);
    [[nodiscard]] AttachedLink* find(int index);
    [[nodiscard]] std::optional<Egress> way_from(int interface, const mip6::CareOf& care_of,
                                                 mip6::Encapsulation encapsulation);
    [[nodiscard]] SendResult send_on(int interface, ConstByteSpan packet);
    /// Behind IPsec: by the SPI alone it is told what a packet is, and where it goes.
    bool dispatch(Packet& packet, PacketPaths::Leave how);
    bool send_update(Packet& packet);
    bool send_payload(Packet& packet, PacketPaths::Leave how);
    bool send_solicitation(Packet& packet);
    bool seal_and_send(SignallingSplit::Kind kind, ConstByteSpan packet);
    void release_messages();
    void note_left(PacketPaths::Leave how);
    [[nodiscard]] bool uses_esp_in_udp() const;
    void keep_esp_mapping();

    asio::io_context& context_;
    TunDevice& tun_;
    PacketPaths& paths_;
    SignallingSplit& split_;
    PathAddresses addresses_;
    Options options_;
    Counters& counters_;
    Events events_;
    std::map<int, AttachedLink> links_;
    Route route_;
    Egress way_;  // of the route, in a tunnel
    /// Where the binding update goes that is being sent.
    struct Update {
        int interface = 0;
        std::optional<Egress> way;  // none: at home
    };
    std::optional<Update> update_;
    MessageGate gate_;
    Alarm gate_alarm_;
    std::chrono::steady_clock::time_point last_udp_{};
    std::chrono::steady_clock::time_point last_esp_{};
    Alarm esp_alarm_;
    bool holding_ = false;
    std::deque<Held> held_;
    Alarm held_alarm_;
    PacketBuffer buffer_;
    PacketBuffer own_buffer_;  // for what is sent while buffer_ is in use
    Readiness tun_readiness_;
};

}  // namespace homeport::mobile_node
