// SPDX-License-Identifier: BSD-3-Clause
// Movement: chooses the attachment, drives the protocol's state machine, and switches the data path
// (RFC 6275 section 11; S1.40 to S1.42).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip6/mobile_node.hpp"
#include "tools/mobile-node/attachment.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/data_path.hpp"
#include "tools/mobile-node/home_link.hpp"
#include "tools/mobile-node/host_network.hpp"
#include "tools/mobile-node/link_table.hpp"
#include "tools/mobile-node/prefix_discovery.hpp"
#include "tools/mobile-node/reachability.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/route_optimisation.hpp"
#include "tools/mobile-node/security.hpp"

namespace homeport::mobile_node {

/// One change of attachment. Packet counts run from its start to the next one's.
struct Handover {
    std::chrono::system_clock::time_point at;
    std::string from;  // "a 2001:db8:a::200", "home", "nowhere"
    std::string to;
    /// From the choice of the new attachment to the acknowledgement; none: not (yet) acknowledged.
    std::optional<std::chrono::microseconds> duration;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t dropped = 0;
    std::uint64_t held = 0;
};

class Mobility {
  public:
    static constexpr std::size_t kMostHandovers = 64;

    /// All references must outlive it. `changed` is called when something happened that a watcher
    /// wants to know: with a name of the event and a sentence.
    Mobility(asio::io_context& context, const Config& config, const LinkTable& table,
             DataPath& data_path, PacketPaths& paths, HostNetwork& host, Security& security,
             Counters& counters, unsigned tunnel_mtu,
             std::function<void(const char* event, const std::string& text)> changed);

    /// Links, addresses or routes changed.
    void links_changed();
    /// A packet in normal form for the protocol.
    void signalling(ConstByteSpan packet, const Origin& origin);
    /// Asks for the prefixes of the home link; empty, or why not.
    [[nodiscard]] std::string solicit_prefixes() { return prefixes_.solicit(); }
    [[nodiscard]] const mip6::PrefixSolicitor& prefix_discovery() const {
        return prefixes_.state();
    }
    /// Payload that came by the home agent, and ICMPv6 errors of the access links.
    void tunnelled(ConstByteSpan packet);
    void icmp_error(ConstByteSpan packet);
    /// The path to the home agent takes no more than `mtu` octets.
    void path_mtu(unsigned mtu);
    /// New preferences are in the configuration.
    void reconfigured();
    /// Deregisters. finished() tells when that is done, or given up.
    void shut_down();
    [[nodiscard]] bool finished() const { return node_.finished(); }
    /// Call now and then while shutting down: correspondents are told first, the home agent then.
    void go_on_shutting_down();

    [[nodiscard]] mip6::MobileNode::Status status() const { return node_.status(); }
    [[nodiscard]] const mip6::MobileNodeCounters& protocol_counters() const {
        return node_.counters();
    }
    /// Null: off.
    [[nodiscard]] const RouteOptimisation* route_optimisation() const {
        return optimisation_ ? &*optimisation_ : nullptr;
    }
    [[nodiscard]] const std::optional<Candidate>& attachment() const { return current_; }
    [[nodiscard]] std::vector<Handover> handovers() const;
    [[nodiscard]] unsigned tunnel_mtu() const { return tunnel_mtu_; }
    [[nodiscard]] const Reachability& reachability() const { return reachability_; }

  private:
    using Clock = std::chrono::steady_clock;

    void open_links();
    void choose();
    void attach(const Candidate& candidate);
    void detach();
    void protocol_alarm();
    /// Three binding updates without an answer: another way to the home agent is tried first.
    [[nodiscard]] bool is_unanswered(Clock::time_point now) const;
    void rest_is_over();
    void enter_home(const Candidate& candidate);
    void leave_home();
    void refresh_home_routes();
    void run(const mip6::MobileNodeActions& actions);
    void act(const mip6::SendBindingUpdate& action);
    void act(const mip6::SwitchTunnel& action);
    void act(const mip6::TunnelDown& action);
    void act(const mip6::AnnounceAtHome& action);
    void act(const mip6::Ipv4HomeAddressNews& news);
    void act(const mip6::Ipv4NetworkNews& news);
    void act(const mip6::StateChanged& action);
    void settle_at_home();
    void announce();
    void home_ready();
    /// Sets the data path to what is possible now.
    void update_route();
    void follow_route();
    [[nodiscard]] Route best_route() const;
    void accept_care_of_addresses();
    void remember_care_of_address(const mip6::CareOf& address);
    void start_handover(const std::string& to);
    void finish_handover();
    void note_sequences();
    void set_tunnel_mtu(unsigned path_mtu);
    [[nodiscard]] unsigned inner_mtu(unsigned path_mtu) const;
    [[nodiscard]] const Candidate& best_of(const std::vector<Candidate>& candidates) const;
    [[nodiscard]] unsigned link_mtu(int interface) const;
    [[nodiscard]] int interface_of(const mip6::CareOf& care_of_address) const;
    /// For what knows of IPv6 only.
    [[nodiscard]] static Route ipv6_only(const Route& route);
    [[nodiscard]] SelectionRules rules() const;
    [[nodiscard]] Handover count(Handover handover) const;

    asio::io_context& context_;
    const Config& config_;
    const LinkTable& table_;
    DataPath& data_path_;
    PacketPaths& paths_;
    HostNetwork& host_;
    Security& security_;
    Counters& counters_;
    std::function<void(const char* event, const std::string& text)> changed_;

    mip6::MobileNode node_;
    std::optional<RouteOptimisation> optimisation_;
    PrefixDiscovery prefixes_;
    bool told_of_prefixes_ = false;  // that an acknowledgement had status 1
    Alarm node_alarm_;
    Reachability reachability_;
    Alarm rest_alarm_;
    std::optional<Candidate> current_;
    /// The tunnel that the home agent acknowledged.
    std::optional<mip6::CareOf> tunnel_;
    mip6::Encapsulation encapsulation_ = mip6::Encapsulation::kIpv6;
    int tunnel_interface_ = 0;
    bool update_sent_at_home_ = false;
    bool shutting_down_ = false;

    std::optional<HomeLink> home_;
    std::string home_name_;
    std::optional<bool> home_has_default_;  // route, when the routes there were last set
    Readiness home_readiness_;
    Alarm announce_alarm_;
    unsigned announcements_left_ = 0;

    std::deque<mip6::CareOf> earlier_care_of_addresses_;
    unsigned tunnel_mtu_;   // of the TUN device
    Alarm mtu_alarm_;       // a lowered path MTU is given another try
    Alarm sequence_alarm_;  // sequence numbers are written down

    std::deque<Handover> handovers_;
    Clock::time_point handover_started_;
};

}  // namespace homeport::mobile_node
