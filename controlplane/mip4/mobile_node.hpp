// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's side of Mobile IPv4 with one home agent, or with an internal and an external
// one and a VPN between them (Part S2; RFC 5944, 5265): a state table for each interface, three
// registrations for each, and which of them user data may use. Pure: events and time in, actions
// out.
//
// Use: attach() whenever an interface's care-of address or foreign agent changes, receive() for
// registration replies, tick() at next_deadline(). Whoever carries packets asks way() for each one
// that leaves, and user_data() for each one that came.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <variant>
#include <vector>

#include "controlplane/mip4/network_detection.hpp"
#include "controlplane/mip4/registration_client.hpp"
#include "controlplane/mip4/udp_decision.hpp"

namespace homeport::mip4 {

inline constexpr std::size_t kLegs = 3;
[[nodiscard]] constexpr std::size_t index_of(Leg leg) {
    return static_cast<std::size_t>(leg);
}
[[nodiscard]] std::string_view to_string(Leg leg);

struct MobileNodeConfig {
    RegistrationClientConfig internal{};  // with the home agent of a plain mobile node, too
    std::optional<RegistrationClientConfig> external{};  // none: a plain mobile node
    Ipv4Address vpn_inner_address{};                     // VPN-TIA; with `external`
    DetectionConfig detection{};
    /// Registrations through the VPN without an answer, until the VPN counts as failed.
    unsigned vpn_tries = 4;
    std::chrono::seconds keepalive{110};  // of UDP tunnels, unless the home agent tells (RFC 3519)
    std::chrono::seconds keepalive_patience{3};
    unsigned keepalive_tries = 3;
};

/// Where an interface is.
struct Attachment {
    CareOf care_of{};
    Ipv4Address agent{};                   // the foreign agent, unless co-located
    std::uint16_t most_lifetime = 0xffff;  // seconds that it grants
    /// It looks like the home link: `care_of` is the home address, and what is asked of the home
    /// agent is to be let go (RFC 5944 section 3.6.3). Its answer is what shows that it is.
    bool home = false;
    friend bool operator==(const Attachment&, const Attachment&) = default;
};

/// One layer of Mobile IP as it was registered.
struct MobileTunnel {
    CareOf care_of{};
    Ipv4Address home_agent{};
    Encapsulation encapsulation = Encapsulation::kIpInIp;
    bool udp = false;             // in UDP 434
    bool reverse_tunnel = false;  // T
    std::uint16_t keepalive = 0;  // seconds; with `udp`
    TimePoint until{};            // the registration lasts
    /// Octets before a packet on our link: a foreign agent takes its tunnel off.
    [[nodiscard]] unsigned overhead() const;
    friend bool operator==(const MobileTunnel&, const MobileTunnel&) = default;
};

/// How user data leave: by `internal` alone, or in `internal`, in ESP, in `external`; or natively.
struct Way {
    int interface = 0;
    MobileTunnel internal{};
    std::optional<MobileTunnel> external{};  // with the VPN only
    bool home = false;                       // natively, on the home link
    [[nodiscard]] bool vpn() const { return external.has_value(); }
    friend bool operator==(const Way&, const Way&) = default;
};

/// Clocks: one that never jumps, and that of the authenticators.
struct Now {
    TimePoint steady{};
    NtpTime ntp = 0;
};

/// How a registration reply arrived.
struct ReplyArrival {
    int interface = 0;
    bool through_vpn = false;  // out of an SA of the VPN gateway
    Ipv4Address source{};      // of the IP packet
};

/// A UDP payload to port 434. Through the VPN: it goes the way of user data.
struct SendRegistration {
    int interface = 0;
    Leg leg{};
    bool deregister = false;
    std::vector<std::uint8_t> payload{};
    Ipv4Address source{};
    Ipv4Address destination{};
    std::uint8_t ttl = 64;
};
/// An ICMP echo request from the home address to the home agent, in the tunnel of `leg` (RFC 3519
/// section 4.9).
struct SendKeepalive {
    int interface = 0;
    Leg leg{};
};
struct StartVpnBy {
    int interface = 0;
};
struct SuspendVpnBy {
    int interface = 0;
};
struct VpnFailed {
    int interface = 0;
};
/// Packets that waited for this interface: all of them go (S2.52), or leave.
struct FlushUserQueue {
    int interface = 0;
};
struct ReleaseUserQueue {
    int interface = 0;
};
struct NetworkStateChanged {
    int interface = 0;
    StateChanged change{};
};
/// For log and status.
struct RegistrationResult {
    int interface = 0;
    Leg leg{};
    RegistrationOutcome outcome{};
};
/// A dynamic home address is known.
struct HomeAddressAssigned {
    bool internal = true;
    Ipv4Address address{};
};
using MobileAction = std::variant<SendRegistration, SendKeepalive, StartVpnBy, SuspendVpnBy,
                                  VpnFailed, FlushUserQueue, ReleaseUserQueue, NetworkStateChanged,
                                  RegistrationResult, HomeAddressAssigned>;
using MobileActions = std::vector<MobileAction>;

/// Not thread-safe. Time must not go backwards from call to call.
class MobileNode {
  public:
    /// `seed`: of identifications.
    MobileNode(MobileNodeConfig config, std::uint64_t seed);

    /// Those added first are preferred for user data.
    void add_interface(int id);
    /// This order of preference instead; those not named come last.
    void prefer(const std::vector<int>& order);
    [[nodiscard]] MobileActions remove_interface(int id, const Now& now);
    [[nodiscard]] std::vector<int> interfaces() const;

    /// Where the interface is now; nowhere. `trigger`: something changed although the attachment is
    /// the same, a link that went and came (S2.45, S2.57).
    [[nodiscard]] MobileActions attach(int id, const std::optional<Attachment>& attachment,
                                       bool trigger, const Now& now);
    /// A UDP payload from port 434 that is no tunnel data.
    [[nodiscard]] MobileActions receive(const ReplyArrival& arrival, ConstByteSpan payload,
                                        const Now& now);
    [[nodiscard]] MobileActions vpn_up(int id, const Now& now);
    [[nodiscard]] MobileActions vpn_failed(int id, const Now& now);
    /// What hints say about the network of an interface; no answer of a home agent (S2.78).
    [[nodiscard]] MobileActions believe(int id, Belief belief, const Now& now);
    /// A user packet is to leave by an interface, or came.
    [[nodiscard]] MobileActions traffic(int id, const Now& now);
    /// Something left in the tunnel of `leg`: no keepalive is due for a while.
    void sent(int id, Leg leg, TimePoint now);
    /// A keepalive was answered.
    void keepalive_answered(int id, Leg leg, TimePoint now);
    [[nodiscard]] MobileActions tick(const Now& now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Deregisters: with the internal home agent first, whose way may lead by the external one.
    [[nodiscard]] MobileActions shut_down(const Now& now);
    [[nodiscard]] bool finished() const;

    /// How user data leave now: by the first interface whose state allows any.
    [[nodiscard]] std::optional<Way> way(TimePoint now) const;
    /// How they leave by this one.
    [[nodiscard]] std::optional<Way> way_of(int id, TimePoint now) const;
    /// What may be received from an interface.
    [[nodiscard]] UserData user_data(int id, TimePoint now) const;
    /// That packets may wait for: it is stale or idle, and was inside (S2.51, S2.56).
    [[nodiscard]] std::optional<int> waits_for(TimePoint now) const;

    [[nodiscard]] NetworkState state(int id) const;
    [[nodiscard]] const MobileTunnel* tunnel(int id, Leg leg) const;
    [[nodiscard]] const std::optional<Attachment>& attachment(int id) const;
    [[nodiscard]] const Ipv4Address& home_address() const { return internal_->home_address; }
    /// 0.0.0.0 without one, or while it is not known.
    [[nodiscard]] const Ipv4Address& external_home_address() const {
        return external_->home_address;
    }
    [[nodiscard]] std::uint64_t vpn_failures() const;  // mn.vpn.setup_fail

  private:
    struct Keepalive {
        TimePoint last_sent{};
        std::optional<TimePoint> deadline{};
        unsigned unanswered = 0;
    };
    struct LegState {
        explicit LegState(RegistrationClient made) : client(std::move(made)) {}
        RegistrationClient client;
        std::optional<MobileTunnel> tunnel{};
        Keepalive keepalive{};
        unsigned retries = 0;  // that a reply asked for, since the last request by a timer
    };
    struct Interface {
        int id = 0;
        NetworkDetection detection;
        std::array<LegState, kLegs> legs;
        std::optional<Attachment> attachment{};
        unsigned vpn_unanswered = 0;
        LegState& leg(Leg which) { return legs[index_of(which)]; }
        [[nodiscard]] const LegState& leg(Leg which) const { return legs[index_of(which)]; }
    };
    enum class Closing : std::uint8_t { kNo, kInternal, kExternal, kDone };

    [[nodiscard]] Interface* find(int id);
    [[nodiscard]] const Interface* find(int id) const;
    [[nodiscard]] MobileActions take();
    void apply(Interface& on, const DetectionActions& actions, const Now& now);
    void apply_one(Interface& on, const DetectionAction& action, const Now& now);
    void request(Interface& on, const SendRequest& what, const Now& now);
    void send(Interface& on, const SendRequest& what, const Now& now);
    void let_go(Interface& on, Leg which, const Now& now);
    void judge(Interface& on, Leg leg, const RegistrationOutcome& outcome, const Now& now);
    void accept(Interface& on, Leg leg, const RegistrationOutcome& outcome, const Now& now);
    void tell(Interface& on, Leg leg, const RegistrationOutcome& outcome, const Now& now);
    void reclaim(const Interface& taker, Leg leg, const Now& now);
    void drop_tunnel(Interface& on, Leg leg);
    void inherit_vpn(Interface& on, const Now& now);
    void forget_vpn_but_for(const Interface& on);
    void keep_alive(Interface& on, Leg leg, const Now& now);
    void go_on_closing(const Now& now);
    void close_leg(Interface& on, Leg leg, const Now& now);
    [[nodiscard]] bool is_closing_done(Leg leg) const;

    MobileNodeConfig config_;
    std::mt19937_64 random_;
    std::shared_ptr<HomeAgentKnowledge> internal_;
    std::shared_ptr<HomeAgentKnowledge> external_;
    std::vector<Interface> interfaces_;  // in order of preference
    Closing closing_ = Closing::kNo;
    TimePoint closing_deadline_{};
    unsigned closing_tries_ = 0;
    MobileActions actions_;
};

}  // namespace homeport::mip4
