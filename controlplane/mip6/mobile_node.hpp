// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's side of Mobile IPv6 as a pure state machine (RFC 6275 11; mipv6.md section 8).
// No I/O and no clock: events in, actions out. Packets are in normal form (home address, never
// care-of address): Home Address option, routing header and ESP are the tunnel module's and
// IPsec's.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/mip6/care_of.hpp"
#include "controlplane/mip6/mobile_router.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

struct MobileNodeConfig {
    Ipv6Address home_address;
    Ipv6Address home_agent;
    /// Asked for in each registration (RFC 5555 3.1.1). 0.0.0.0: any that the home agent has.
    std::optional<Ipv4Address> ipv4_home_address{};
    /// Our link-local address at home; L is set if its interface identifier is that of the home
    /// address.
    std::optional<Ipv6Address> home_link_local;
    std::chrono::seconds lifetime{420};                          // asked for; 4 s to 262140 s
    std::chrono::milliseconds first_registration_timeout{1500};  // InitialBindackTimeoutFirstReg
    std::chrono::milliseconds initial_timeout{1000};             // INITIAL_BINDACK_TIMEOUT
    std::chrono::milliseconds max_timeout{32'000};               // MAX_BINDACK_TIMEOUT
    unsigned max_update_rate = 3;                                // MAX_UPDATE_RATE, per second
    /// After a temporary rejection (128, 130): first wait, doubled each time up to the second.
    std::chrono::seconds initial_backoff{10};
    std::chrono::seconds max_backoff{320};
    /// Binding updates of lifetime 0 on shutdown() before giving up.
    unsigned shutdown_attempts = 3;
    /// Binding updates over IPv4 have the F flag: data are to go in UDP, NAT or not.
    bool force_udp = false;
    /// The same over IPv6, where tunnels do not get through but UDP does (RFC 5555 4.4.1).
    bool force_udp_ipv6 = false;
    /// Behind a NAT a binding update is sent when nothing else went in UDP for the time that the
    /// home agent gave (RFC 5555 4.3).
    bool nat_keepalive = true;
    MobileRouterConfig mobile_router{};
    /// Lab switch: take acknowledgements that IPsec did not protect.
    bool allow_unprotected = false;
};

enum class MobileNodeState : std::uint8_t {
    kDetached,      // no care-of address
    kRegistering,   // away, no binding yet
    kRegistered,    // away, bound to the current care-of address
    kMoving,        // away, bound to an earlier care-of address, update outstanding
    kRefreshing,    // away, bound, update outstanding
    kReturning,     // at home, deregistration outstanding
    kAtHome,        // at home, no binding
    kBackingOff,    // rejected for now: will try again
    kStopped,       // rejected for good: see Status::last_status
    kShuttingDown,  // deregistration on exit outstanding
    kFinished,      // shut down
};
[[nodiscard]] const char* to_string(MobileNodeState state);

/// What is put around data (mipv6.md section 5.4).
enum class Encapsulation : std::uint8_t {
    kIpv6,
    kIpv4,     // protocol 41 and 4; ESP: protocol 50
    kUdpIpv4,  // port 4191; ESP: port 4500
    kUdpIpv6,  // port 4191 at both ends; ESP: without UDP
};
[[nodiscard]] const char* to_string(Encapsulation encapsulation);

/// Send `packet` (HoA > HA, mobility header BU) through IPsec. Away: from `care_of_address`
/// although the tunnel may still be on another one (S1.40); IPv6 with Home Address option, IPv4 in
/// UDP without (RFC 5555 4.2). At home: as it is.
struct SendBindingUpdate {
    std::vector<std::uint8_t> packet;
    CareOf care_of_address;
    bool is_home = false;
    std::uint16_t sequence = 0;
    friend bool operator==(const SendBindingUpdate&, const SendBindingUpdate&) = default;
};
/// A binding update was accepted: from now on all tunnelled traffic uses this address (S1.42), and
/// this form.
struct SwitchTunnel {
    CareOf care_of_address;
    Encapsulation encapsulation = Encapsulation::kIpv6;
    friend bool operator==(const SwitchTunnel&, const SwitchTunnel&) = default;
};
/// The binding is gone (deregistered, expired): no tunnel.
struct TunnelDown {
    friend bool operator==(const TunnelDown&, const TunnelDown&) = default;
};
/// Deregistered at home: multicast a neighbor advertisement for the home address (and the
/// link-local one), O=1, S=0 (RFC 6275 11.5.5). From here on the home address is used on the link.
struct AnnounceAtHome {
    friend bool operator==(const AnnounceAtHome&, const AnnounceAtHome&) = default;
};
/// The home agent's answer about our IPv4 home address has changed: whether it is bound.
struct Ipv4HomeAddressNews {
    bool bound = false;
    /// The one that is bound, if it is.
    Ipv4Address address{};
    /// As in the acknowledgement; none: the home agent said nothing about it, or the binding ended.
    std::optional<std::uint8_t> status{};
    friend bool operator==(const Ipv4HomeAddressNews&, const Ipv4HomeAddressNews&) = default;
};
/// The IPv4 prefixes of the mobile network that the home agent forwards have changed.
struct Ipv4NetworkNews {
    std::vector<Ipv4Prefix> served;
    friend bool operator==(const Ipv4NetworkNews&, const Ipv4NetworkNews&) = default;
};
/// For status display and log.
struct StateChanged {
    MobileNodeState from{};
    MobileNodeState to{};
    const char* reason = "";  // static text
    friend bool operator==(const StateChanged& a, const StateChanged& b) {
        return a.from == b.from && a.to == b.to;
    }
};
using MobileNodeAction = std::variant<SendBindingUpdate, SwitchTunnel, TunnelDown, AnnounceAtHome,
                                      Ipv4HomeAddressNews, Ipv4NetworkNews, StateChanged>;
using MobileNodeActions = std::vector<MobileNodeAction>;

struct MobileNodeCounters {
    std::uint64_t updates_sent = 0;
    std::uint64_t retransmissions = 0;
    std::uint64_t acknowledgements_accepted = 0;
    std::uint64_t acknowledgements_rejecting = 0;
    std::uint64_t ignored_not_for_us = 0;  // other addresses, no mobility header, malformed packet
    std::uint64_t ignored_malformed = 0;   // mobility header does not decode
    std::uint64_t ignored_unprotected = 0;
    std::uint64_t ignored_sequence = 0;  // no outstanding binding update has this number
    std::uint64_t ignored_message = 0;   // a mobility message that we have no use for
    std::uint64_t binding_errors = 0;
    std::uint64_t refresh_requests = 0;
};

class MobileNode {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::steady_clock::duration;

    struct Attachment {
        CareOf care_of_address;  // the home address when at home
        bool at_home = false;
        /// What is left of the care-of address's valid lifetime; none: infinite.
        std::optional<std::chrono::seconds> address_lifetime{};
    };
    struct Status {
        MobileNodeState state{};
        std::optional<CareOf> current_care_of_address{};
        std::optional<CareOf> registered_care_of_address{};
        Encapsulation encapsulation = Encapsulation::kIpv6;  // of the registered one
        /// What the home agent said of NATs; none over IPv6, or if it said nothing.
        std::optional<wire::NatDetection> nat{};
        std::optional<TimePoint> keepalive_at{};
        std::uint16_t sequence = 0;  // last sent
        std::chrono::seconds granted_lifetime{0};
        std::optional<TimePoint> expires{};
        std::optional<TimePoint> refresh_at{};
        std::optional<TimePoint> next_transmission{};
        unsigned attempts = 0;  // of the outstanding update
        std::optional<wire::BindingStatus> last_status{};
        bool prefix_discovery_needed = false;  // a BA had status 1
        bool home_address_unusable = false;    // a BA had status 134
        Ipv4HomeAddressNews ipv4{};
        Ipv4NetworkNews ipv4_network{};
        MobileRouterMode router_mode = MobileRouterMode::kOff;  // in use
    };

    /// `first_sequence` should be random, or beyond the last one used before a restart.
    MobileNode(MobileNodeConfig config, std::uint16_t first_sequence);

    /// A new point of attachment, or news of the present one. The same care-of address again only
    /// renews the address lifetime, unless a registration was stopped: then it is tried anew.
    [[nodiscard]] MobileNodeActions attach(const Attachment& attachment, TimePoint now);
    /// No link. The binding at the home agent lives on.
    [[nodiscard]] MobileNodeActions detach(TimePoint now);
    /// A packet in normal form from the home agent (routing header undone, through IPsec).
    [[nodiscard]] MobileNodeActions receive(ConstByteSpan packet, bool protected_by_ipsec,
                                            TimePoint now);
    /// Call at next_deadline() or later.
    [[nodiscard]] MobileNodeActions tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    /// Something left in UDP from the registered care-of address: the NAT keeps its mapping. Only
    /// the newest time counts.
    void note_udp_sent(TimePoint at);
    /// Deregisters before exit; finished() says when no more is to be waited for.
    [[nodiscard]] MobileNodeActions shutdown(TimePoint now);
    [[nodiscard]] bool finished() const { return state_ == MobileNodeState::kFinished; }

    [[nodiscard]] Status status() const;
    [[nodiscard]] const MobileNodeCounters& counters() const { return counters_; }

  private:
    enum class Purpose : std::uint8_t { kNone, kRegister, kDeregister };

    /// A binding update list entry as far as the home agent granted it (RFC 6275 11.1).
    struct Binding {
        CareOf care_of_address;
        std::chrono::seconds granted{0};
        TimePoint expires{};
        TimePoint refresh_at{};
        Encapsulation encapsulation = Encapsulation::kIpv6;
        std::optional<wire::NatDetection> nat{};
        /// Longest time without anything in UDP; zero: any.
        std::chrono::seconds keepalive{0};
    };
    /// One binding update that may still be answered.
    struct Outstanding {
        std::uint16_t sequence = 0;
        TimePoint sent{};
        wire::FourSecondUnits lifetime;
        bool force_udp = false;
        bool asked_for_ipv4 = false;
    };
    static constexpr std::size_t kMaxOutstanding = 16;

    void begin(Purpose purpose, MobileNodeState state, const char* reason);
    void stop_sending();
    void transmit();
    void send_when_rate_allows();
    [[nodiscard]] TimePoint earliest_transmission() const;
    [[nodiscard]] wire::FourSecondUnits lifetime_to_ask() const;
    [[nodiscard]] std::vector<std::uint8_t> build_update(std::uint16_t sequence,
                                                         wire::FourSecondUnits lifetime) const;
    void add_options(wire::BindingUpdate& update) const;
    [[nodiscard]] bool asks_for_ipv4() const;
    [[nodiscard]] bool asks_for_udp() const;
    [[nodiscard]] std::optional<TimePoint> keepalive_at() const;
    void receive_acknowledgement(const wire::BindingAcknowledgement& answer);
    void accepted(const Outstanding& update, const wire::BindingAcknowledgement& answer);
    void rejected(const Outstanding& update, wire::BindingStatus status);
    void out_of_window(std::uint16_t last_accepted);
    void deregistered(const char* reason);
    void not_a_router();
    [[nodiscard]] bool names_prefixes_after(wire::BindingStatus status);
    void note_ipv4_networks(const wire::BindingAcknowledgement& answer);
    void note_nat(Binding& binding, const wire::BindingAcknowledgement& answer) const;
    void note_ipv4_answer(const Outstanding& update, const wire::BindingAcknowledgement& answer);
    void set_ipv4(const Ipv4HomeAddressNews& news);
    void drop_binding();
    void finish(const char* reason);
    void binding_lost(const char* reason);
    void back_off(const char* reason);
    void refresh(const char* reason);
    void begin_for_attachment();
    void retry_after_backoff();
    void repeat_or_give_up();
    void set_state(MobileNodeState state, const char* reason);
    [[nodiscard]] MobileNodeActions take_actions();

    MobileNodeConfig config_;
    MobileNodeState state_ = MobileNodeState::kDetached;
    std::optional<Attachment> attachment_;
    std::optional<TimePoint> address_expires_;
    std::optional<Binding> binding_;
    /// Whether the home agent may hold a binding that we do not know of (start, unanswered update).
    bool home_agent_may_hold_binding_ = true;

    /// Care-of address of the newest registration sent.
    std::optional<CareOf> last_asked_for_;
    /// A dynamic IPv4 home address that was granted, and is asked for again.
    std::optional<Ipv4Address> granted_ipv4_;
    bool ipv4_unsupported_ = false;   // an acknowledgement said nothing of it (RFC 5555 2.3.1)
    bool force_udp_refused_ = false;  // status 144
    std::optional<TimePoint> udp_sent_;

    Purpose purpose_ = Purpose::kNone;
    std::uint16_t next_sequence_;
    std::uint16_t last_sequence_ = 0;
    std::vector<Outstanding> outstanding_;
    unsigned attempts_ = 0;
    Duration timeout_{};
    std::optional<TimePoint> next_transmission_;
    std::optional<TimePoint> backoff_until_;
    Duration backoff_{};
    std::deque<TimePoint> recent_;  // the last max_update_rate transmissions

    Ipv4HomeAddressNews ipv4_;
    Ipv4NetworkNews ipv4_network_;
    std::optional<wire::BindingStatus> last_status_;
    bool prefix_discovery_needed_ = false;
    bool home_address_unusable_ = false;
    MobileNodeCounters counters_;
    MobileNodeActions actions_;
    TimePoint now_{};
};

}  // namespace homeport::mip6
