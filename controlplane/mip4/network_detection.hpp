// SPDX-License-Identifier: BSD-3-Clause
// Is this network inside or outside? The mobile node's state table S2-DET, one instance an
// interface (S2.44). Pure: events and time in, actions out.
//
// Whoever carries packets asks user_data() for each one: nothing goes in the clear but kPlaintext,
// and that ends by time alone when the last registration with the internal home agent is too old
// (S2.50), whether tick() was called or not.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "controlplane/mip4/config.hpp"

namespace homeport::mip4 {

enum class NetworkState : std::uint8_t {
    kDown,
    kDetect,             // both home agents were asked (S2.60)
    kExternalTentative,  // the external one answered; the internal one may yet (S2.61)
    kVpnSetup,
    kVpnRegistration,  // with the internal home agent, through the VPN
    kOutside,
    kInside,
    kInsideIdle,  // no traffic: no registrations just to be sure (S2.56)
    kStale,       // too long since the last registration: nothing passes (S2.50)
};
[[nodiscard]] std::string_view to_string(NetworkState state);

/// Which way packets of applications may go.
enum class UserData : std::uint8_t { kNone, kPlaintext, kVpn };

/// What hints say about a network (S2.74 to S2.78). They change the order of what is asked, and
/// nothing else: inside is what the internal home agent vouches for (S2.77).
enum class Belief : std::uint8_t { kNone, kInside, kOutside };

/// A registration goes out by one of these.
enum class Leg : std::uint8_t { kInternalDirect, kExternal, kInternalVpn };

struct DetectionConfig {
    Profile profile = Profile::kRfc5265;
    /// How long the internal home agent is asked on after the external one answered (S2.62); 0
    /// where a firewall keeps the external one out of reach from inside (S2.72).
    std::chrono::milliseconds detect_period{2000};
    std::chrono::seconds monitor{60};  // T_MONITOR (S2.53, S2.54)
    std::chrono::seconds grace{10};    // N of S2.49, less than `monitor`
    std::chrono::milliseconds first_retransmission{1000};
    std::chrono::milliseconds longest_retransmission{32'000};
    unsigned stale_retries = 3;                        // then detection starts anew
    std::optional<std::chrono::seconds> idle_after{};  // S2.56; none: never idle
    /// Both home agents have one address: nothing can be inferred, this is outside (S2.95).
    bool assume_outside = false;
    /// A mobile node without VPN and external home agent: nothing is to be detected, and a
    /// registration is good for its lifetime.
    bool plain = false;
};

struct SendRequest {
    Leg leg = Leg::kInternalDirect;
    bool deregister = false;
    friend bool operator==(const SendRequest&, const SendRequest&) = default;
};
struct StartVpn {
    friend bool operator==(const StartVpn&, const StartVpn&) = default;
};
/// IPsec is left as it is and used for nothing (S2.9, S2.88).
struct SuspendVpn {
    friend bool operator==(const SuspendVpn&, const SuspendVpn&) = default;
};
/// Packets that waited are dropped (S2.52).
struct FlushQueue {
    friend bool operator==(const FlushQueue&, const FlushQueue&) = default;
};
struct ReleaseQueue {
    friend bool operator==(const ReleaseQueue&, const ReleaseQueue&) = default;
};
/// For log and status.
struct StateChanged {
    NetworkState from{};
    NetworkState to{};
    const char* why = "";  // static text
    friend bool operator==(const StateChanged&, const StateChanged&) = default;
};
using DetectionAction =
    std::variant<SendRequest, StartVpn, SuspendVpn, FlushQueue, ReleaseQueue, StateChanged>;
using DetectionActions = std::vector<DetectionAction>;

/// A registration reply that proved authentic and answers an outstanding request.
struct InternalReply {
    bool accepted = false;
    bool direct = false;            // not through the VPN (S2.99)
    bool trusted_networks = false;  // TNC before the Mobile-Home authentication (S2.93)
    std::chrono::seconds lifetime{0};
};
struct ExternalReply {
    bool accepted = false;
    std::chrono::seconds lifetime{0};  // 0: the answer to a deregistration
};

/// Not thread-safe. Time must not go backwards from call to call.
class NetworkDetection {
  public:
    explicit NetworkDetection(const DetectionConfig& config) : config_(config) {}

    /// The interface has a new care-of address or foreign agent, a link came or went, or a lower
    /// layer says that something changed. `usable`: there is a care-of address or a foreign agent.
    /// Stops user data at once (S2.45).
    [[nodiscard]] DetectionActions status_changed(bool usable, TimePoint now);

    [[nodiscard]] DetectionActions internal_reply(const InternalReply& reply, TimePoint now);
    [[nodiscard]] DetectionActions external_reply(const ExternalReply& reply, TimePoint now);

    /// The VPN's security associations are there; could not be made; are gone.
    [[nodiscard]] DetectionActions vpn_up(TimePoint now);
    [[nodiscard]] DetectionActions vpn_failed(TimePoint now);
    [[nodiscard]] DetectionActions vpn_lost(TimePoint now);

    /// Until when the internal home agent has the inner address, if the VPN is up.
    [[nodiscard]] std::optional<TimePoint> vpn_registered_until() const {
        return vpn_up_ ? vpn_registered_until_ : std::nullopt;
    }
    /// Another interface made them, and neither SAs nor that registration know interfaces (S2.37).
    void adopt_vpn(TimePoint until);
    /// The internal home agent has another care-of address now.
    void forget_vpn_registration() { vpn_registered_until_.reset(); }

    /// S2.78, from now on and for detections to come. Inside: the external home agent is asked
    /// `detect_period` later. Outside: the VPN begins right after its answer, and the internal one
    /// is asked on meanwhile.
    [[nodiscard]] DetectionActions believe(Belief belief, TimePoint now);

    /// Registers anew with the internal home agent, the way that holds at present: another
    /// interface took the binding, or a tunnel does not answer (RFC 3519 section 4.4).
    [[nodiscard]] DetectionActions refresh_internal(TimePoint now);
    [[nodiscard]] DetectionActions refresh_external(TimePoint now);

    /// A packet of an application is to be sent, or came.
    [[nodiscard]] DetectionActions traffic(TimePoint now);

    [[nodiscard]] DetectionActions tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    [[nodiscard]] UserData user_data(TimePoint now) const;
    [[nodiscard]] NetworkState state() const { return state_; }
    [[nodiscard]] std::uint64_t vpn_failures() const { return vpn_failures_; }  // mn.vpn.setup_fail

  private:
    enum class Timer : std::uint8_t {
        kInternal,         // Tr_i
        kExternal,         // Tr_x
        kVpn,              // retransmission of the registration through the VPN
        kDetectPeriod,     // Td
        kRefresh,          // Tn
        kMonitor,          // Tm
        kInternalRefresh,  // lifetime of the direct registration near its end
        kExternalRefresh,  // outside: lifetimes near their end, and at it
        kExternalExpiry,
        kVpnRefresh,
        kVpnExpiry,
        kIdle,
        kCount
    };
    static constexpr std::size_t kTimers = static_cast<std::size_t>(Timer::kCount);

    void set(Timer timer, Duration after);
    void cancel(Timer timer);
    void cancel_all();
    void enter(NetworkState state, const char* why);
    void request(Leg leg, bool deregister = false);
    void ask(Leg leg);  // with retransmission
    void repeat(Leg leg);
    [[nodiscard]] static Timer timer_of(Leg leg);

    void start_detection(const char* why);
    void become_inside(std::chrono::seconds lifetime, const char* why);
    void count_direct_success(const InternalReply& reply);
    void become_outside(std::chrono::seconds lifetime, const char* why);
    void set_up_vpn(const char* why);
    void set_up_vpn_asking_on(const char* why);
    void ask_external_first();
    void register_through_vpn();
    void not_inside();
    void restart_monitor(std::chrono::seconds lifetime);
    void note_external(std::chrono::seconds lifetime);
    void forget_external();
    void expire(Timer timer);
    void retry_when_stale();
    void fail_vpn();
    [[nodiscard]] bool is_vpn_registered() const;
    [[nodiscard]] DetectionActions take();

    DetectionConfig config_;
    NetworkState state_ = NetworkState::kDown;
    TimePoint now_{};
    std::array<std::optional<TimePoint>, kTimers> timers_{};
    std::array<Duration, 3> interval_{};            // of retransmission, by leg
    std::optional<TimePoint> registered_inside_{};  // last success since the last status change
    Duration monitor_{};                            // that is good for
    bool external_registered_ = false;
    TimePoint external_until_{};
    bool vpn_up_ = false;
    std::optional<TimePoint> vpn_registered_until_{};
    Duration vpn_backoff_{};
    unsigned stale_tries_ = 0;
    std::uint64_t vpn_failures_ = 0;
    Belief belief_ = Belief::kNone;
    bool external_waits_ = false;  // its first request does, see believe()
    DetectionActions actions_;
};

}  // namespace homeport::mip4
