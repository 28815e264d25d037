// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/network_detection.hpp"

#include <algorithm>
#include <utility>

namespace homeport::mip4 {

namespace {

/// A registration is renewed when this part of its lifetime is over.
Duration renewal_of(std::chrono::seconds lifetime) {
    return std::chrono::duration_cast<Duration>(lifetime) * 3 / 4;
}

}  // namespace

std::string_view to_string(NetworkState state) {
    switch (state) {
        case NetworkState::kDown:
            return "down";
        case NetworkState::kDetect:
            return "detect";
        case NetworkState::kExternalTentative:
            return "external-tentative";
        case NetworkState::kVpnSetup:
            return "vpn-setup";
        case NetworkState::kVpnRegistration:
            return "vpn-registration";
        case NetworkState::kOutside:
            return "outside";
        case NetworkState::kInside:
            return "inside";
        case NetworkState::kInsideIdle:
            return "inside-idle";
        case NetworkState::kStale:
            return "stale";
    }
    return "?";
}

// ------------------------------------------------------------------------------ small helpers

void NetworkDetection::set(Timer timer, Duration after) {
    timers_[static_cast<std::size_t>(timer)] = now_ + after;
}
void NetworkDetection::cancel(Timer timer) {
    timers_[static_cast<std::size_t>(timer)].reset();
}
void NetworkDetection::cancel_all() {
    timers_.fill(std::nullopt);
    external_waits_ = false;
}

DetectionActions NetworkDetection::take() {
    DetectionActions taken;
    taken.swap(actions_);
    return taken;
}

void NetworkDetection::enter(NetworkState state, const char* why) {
    if (state == state_) return;
    actions_.emplace_back(StateChanged{state_, state, why});
    state_ = state;
}

void NetworkDetection::request(Leg leg, bool deregister) {
    actions_.emplace_back(SendRequest{leg, deregister});
}

NetworkDetection::Timer NetworkDetection::timer_of(Leg leg) {
    switch (leg) {
        case Leg::kInternalDirect:
            return Timer::kInternal;
        case Leg::kExternal:
            return Timer::kExternal;
        case Leg::kInternalVpn:
            return Timer::kVpn;
    }
    return Timer::kVpn;
}

void NetworkDetection::ask(Leg leg) {
    interval_[static_cast<std::size_t>(leg)] = config_.first_retransmission;
    if (leg == Leg::kExternal) external_waits_ = false;
    request(leg);
    set(timer_of(leg), config_.first_retransmission);
}

/// RFC 5944 section 3.6.3: each wait is twice the one before.
void NetworkDetection::repeat(Leg leg) {
    Duration& interval = interval_[static_cast<std::size_t>(leg)];
    interval = std::min<Duration>(2 * interval, config_.longest_retransmission);
    request(leg);
    set(timer_of(leg), interval);
}

bool NetworkDetection::is_vpn_registered() const {
    return vpn_up_ && vpn_registered_until_ && *vpn_registered_until_ > now_;
}

// ------------------------------------------------------------------------------------ changes

DetectionActions NetworkDetection::status_changed(bool usable, TimePoint now) {
    now_ = std::max(now_, now);
    cancel_all();
    actions_.emplace_back(FlushQueue{});
    registered_inside_.reset();
    // What the external home agent knows is of the old care-of address. SAs and the binding behind
    // them do not know where we are (S2.37).
    external_registered_ = false;
    if (usable) {
        start_detection("the network changed");
    } else {
        enter(NetworkState::kDown, "no network");
    }
    return take();
}

/// S2.60: both at once.
void NetworkDetection::start_detection(const char* why) {
    cancel_all();
    registered_inside_.reset();
    stale_tries_ = 0;
    vpn_backoff_ = {};
    enter(NetworkState::kDetect, why);
    if (!config_.assume_outside) ask(Leg::kInternalDirect);
    if (!config_.plain) ask_external_first();
}

void NetworkDetection::ask_external_first() {
    const bool later =
        belief_ == Belief::kInside && !config_.assume_outside && config_.detect_period.count() != 0;
    if (!later) return ask(Leg::kExternal);
    external_waits_ = true;
    set(Timer::kExternal, config_.detect_period);
}

void NetworkDetection::restart_monitor(std::chrono::seconds lifetime) {
    registered_inside_ = now_;
    stale_tries_ = 0;
    cancel(Timer::kInternal);
    set(Timer::kInternalRefresh, renewal_of(lifetime));
    monitor_ = config_.plain ? Duration(lifetime) : Duration(config_.monitor);
    if (state_ == NetworkState::kInsideIdle) return;
    if (!config_.plain) set(Timer::kRefresh, monitor_ - config_.grace);
    set(Timer::kMonitor, monitor_);
}

void NetworkDetection::forget_external() {
    if (external_registered_) request(Leg::kExternal, true);  // S2.65, S2.67
    external_registered_ = false;
}

void NetworkDetection::become_inside(std::chrono::seconds lifetime, const char* why) {
    const bool used_vpn = vpn_up_ || state_ == NetworkState::kVpnSetup;
    cancel_all();
    forget_external();
    if (used_vpn) actions_.emplace_back(SuspendVpn{});
    // The internal home agent has the direct care-of address now, not the one behind the VPN.
    vpn_registered_until_.reset();
    const bool was_stale = state_ == NetworkState::kStale;
    enter(NetworkState::kInside, why);
    restart_monitor(lifetime);
    if (config_.idle_after) set(Timer::kIdle, *config_.idle_after);
    if (was_stale) actions_.emplace_back(ReleaseQueue{});
}

void NetworkDetection::note_external(std::chrono::seconds lifetime) {
    external_registered_ = true;
    external_until_ = now_ + lifetime;
    cancel(Timer::kExternal);
    set(Timer::kExternalRefresh, renewal_of(lifetime));
    set(Timer::kExternalExpiry, lifetime);
}

void NetworkDetection::set_up_vpn(const char* why) {
    cancel(Timer::kDetectPeriod);
    cancel(Timer::kInternal);
    enter(NetworkState::kVpnSetup, why);
    if (vpn_up_) {
        register_through_vpn();
    } else {
        actions_.emplace_back(StartVpn{});
    }
}

/// Both at once, until the detection period is over.
void NetworkDetection::set_up_vpn_asking_on(const char* why) {
    const auto period = timers_[static_cast<std::size_t>(Timer::kDetectPeriod)];
    const auto internal = timers_[static_cast<std::size_t>(Timer::kInternal)];
    set_up_vpn(why);
    timers_[static_cast<std::size_t>(Timer::kDetectPeriod)] = period;
    timers_[static_cast<std::size_t>(Timer::kInternal)] = internal;
}

void NetworkDetection::register_through_vpn() {
    enter(NetworkState::kVpnRegistration, "the VPN is up");
    ask(Leg::kInternalVpn);
}

void NetworkDetection::become_outside(std::chrono::seconds lifetime, const char* why) {
    cancel(Timer::kVpn);
    vpn_backoff_ = {};
    vpn_registered_until_ = now_ + lifetime;
    set(Timer::kVpnRefresh, renewal_of(lifetime));
    set(Timer::kVpnExpiry, lifetime);
    if (state_ == NetworkState::kOutside) return;
    enter(NetworkState::kOutside, why);
    actions_.emplace_back(ReleaseQueue{});
}

/// RFC 5265 section 3.3: an internal home agent that does not vouch for the network.
void NetworkDetection::not_inside() {
    cancel(Timer::kInternal);
    cancel(Timer::kExternal);
    if (external_registered_) {
        set_up_vpn("the internal home agent does not trust this network");
    } else {
        ask(Leg::kExternal);
    }
}

// ------------------------------------------------------------------------------------- events

DetectionActions NetworkDetection::internal_reply(const InternalReply& reply, TimePoint now) {
    now_ = std::max(now_, now);
    if (state_ == NetworkState::kDown) return {};
    if (!reply.direct) {
        const bool awaited =
            state_ == NetworkState::kVpnRegistration || state_ == NetworkState::kOutside;
        if (awaited && reply.accepted && vpn_up_) {
            become_outside(reply.lifetime, "registered through the VPN");
        }
        return take();  // a refusal: the timer repeats the request
    }
    const bool counts =
        reply.accepted && !config_.assume_outside &&
        (config_.plain || config_.profile != Profile::kRfc5265 || reply.trusted_networks);
    if (counts) {
        count_direct_success(reply);
    } else if (reply.accepted &&
               (state_ == NetworkState::kDetect || state_ == NetworkState::kExternalTentative)) {
        not_inside();
    } else if (reply.accepted &&
               (state_ == NetworkState::kOutside || state_ == NetworkState::kVpnSetup ||
                state_ == NetworkState::kVpnRegistration)) {
        cancel(Timer::kInternal);
    } else if (!reply.accepted &&
               (state_ == NetworkState::kInside || state_ == NetworkState::kInsideIdle)) {
        start_detection("registration refused");  // S2.69, S2.70
    }
    return take();
}

void NetworkDetection::count_direct_success(const InternalReply& reply) {
    if (state_ == NetworkState::kInside || state_ == NetworkState::kInsideIdle) {
        restart_monitor(reply.lifetime);
    } else {
        become_inside(reply.lifetime, "the internal home agent answered directly");  // S2.64, S2.79
    }
}

DetectionActions NetworkDetection::external_reply(const ExternalReply& reply, TimePoint now) {
    now_ = std::max(now_, now);
    if (state_ == NetworkState::kDown || !reply.accepted || reply.lifetime.count() == 0) {
        return {};
    }
    switch (state_) {
        case NetworkState::kInside:
        case NetworkState::kInsideIdle:
        case NetworkState::kStale:
            external_registered_ = true;
            forget_external();  // S2.67
            return take();
        case NetworkState::kDetect:
            break;
        default:
            note_external(reply.lifetime);
            return take();
    }
    note_external(reply.lifetime);
    const bool internal_is_asked = timers_[static_cast<std::size_t>(Timer::kInternal)].has_value();
    if (is_vpn_registered()) {
        // S2.37: nothing but the external registration changed. The internal home agent is asked
        // on for a while.
        if (internal_is_asked) set(Timer::kDetectPeriod, config_.detect_period);
        become_outside(
            std::chrono::duration_cast<std::chrono::seconds>(*vpn_registered_until_ - now_),
            "moved outside");
        return take();
    }
    enter(NetworkState::kExternalTentative, "the external home agent answered");
    if (internal_is_asked && config_.detect_period.count() != 0) {
        set(Timer::kDetectPeriod, config_.detect_period);
        if (belief_ == Belief::kOutside) set_up_vpn_asking_on("a hint says outside");
    } else {
        set_up_vpn("the internal home agent is not waited for");
    }
    return take();
}

DetectionActions NetworkDetection::vpn_up(TimePoint now) {
    now_ = std::max(now_, now);
    vpn_up_ = true;
    if (state_ == NetworkState::kVpnSetup) register_through_vpn();
    return take();
}

void NetworkDetection::fail_vpn() {
    ++vpn_failures_;
    vpn_backoff_ = std::clamp<Duration>(2 * vpn_backoff_, config_.first_retransmission,
                                        config_.longest_retransmission);
    cancel(Timer::kVpn);
    cancel(Timer::kVpnRefresh);
    cancel(Timer::kVpnExpiry);
    enter(NetworkState::kExternalTentative, "the VPN could not be set up");
    set(Timer::kDetectPeriod, vpn_backoff_);
}

DetectionActions NetworkDetection::vpn_failed(TimePoint now) {
    now_ = std::max(now_, now);
    vpn_up_ = false;
    vpn_registered_until_.reset();
    if (state_ == NetworkState::kOutside) return vpn_lost(now);
    if (state_ == NetworkState::kVpnSetup || state_ == NetworkState::kVpnRegistration) fail_vpn();
    return take();
}

DetectionActions NetworkDetection::vpn_lost(TimePoint now) {
    now_ = std::max(now_, now);
    vpn_up_ = false;
    vpn_registered_until_.reset();
    if (state_ != NetworkState::kOutside && state_ != NetworkState::kVpnRegistration) {
        return take();
    }
    cancel(Timer::kVpn);
    cancel(Timer::kVpnRefresh);
    cancel(Timer::kVpnExpiry);
    set_up_vpn("the VPN is gone");
    return take();
}

void NetworkDetection::adopt_vpn(TimePoint until) {
    vpn_up_ = true;
    vpn_registered_until_ = until;
}

DetectionActions NetworkDetection::believe(Belief belief, TimePoint now) {
    now_ = std::max(now_, now);
    if (std::exchange(belief_, belief) == belief) return {};
    if (belief != Belief::kInside && external_waits_) ask(Leg::kExternal);
    // A VPN that failed is waited for, whatever hints say.
    const bool waits = state_ == NetworkState::kExternalTentative && vpn_backoff_ == Duration{};
    if (belief == Belief::kOutside && waits) set_up_vpn_asking_on("a hint says outside");
    return take();
}

DetectionActions NetworkDetection::refresh_internal(TimePoint now) {
    now_ = std::max(now_, now);
    if (state_ == NetworkState::kInside || state_ == NetworkState::kInsideIdle) {
        ask(Leg::kInternalDirect);
    } else if (state_ == NetworkState::kOutside) {
        ask(Leg::kInternalVpn);
    }
    return take();
}

DetectionActions NetworkDetection::refresh_external(TimePoint now) {
    now_ = std::max(now_, now);
    if (external_registered_) ask(Leg::kExternal);
    return take();
}

DetectionActions NetworkDetection::traffic(TimePoint now) {
    now_ = std::max(now_, now);
    if (state_ == NetworkState::kInside && config_.idle_after) {
        set(Timer::kIdle, *config_.idle_after);
    } else if (state_ == NetworkState::kInsideIdle) {
        enter(NetworkState::kStale, "traffic after a pause");
        retry_when_stale();
    }
    return take();
}

void NetworkDetection::retry_when_stale() {
    if (stale_tries_ >= config_.stale_retries) return start_detection("no answer any more");
    stale_tries_ == 0 ? ask(Leg::kInternalDirect) : repeat(Leg::kInternalDirect);
    ++stale_tries_;
}

// ------------------------------------------------------------------------------------- timers

void NetworkDetection::expire(Timer timer) {
    switch (timer) {
        case Timer::kInternal:
            return state_ == NetworkState::kStale ? retry_when_stale()
                                                  : repeat(Leg::kInternalDirect);
        case Timer::kExternal:
            return external_waits_ ? ask(Leg::kExternal) : repeat(Leg::kExternal);
        case Timer::kVpn:
            return repeat(Leg::kInternalVpn);
        case Timer::kDetectPeriod:
            if (state_ == NetworkState::kExternalTentative) {
                set_up_vpn("the internal home agent did not answer");
            } else {
                cancel(Timer::kInternal);
            }
            return;
        case Timer::kRefresh:
            if (state_ == NetworkState::kInside) ask(Leg::kInternalDirect);  // S2.49, S2.55
            return;
        case Timer::kMonitor:
            if (state_ != NetworkState::kInside) return;
            // Requests were sent since Tn: those that follow are the last.
            enter(NetworkState::kStale, "the last registration is too old");  // S2.50
            return retry_when_stale();
        case Timer::kInternalRefresh:
            // Where nothing is sent just to be sure, the binding is kept all the same (S2.56).
            if (state_ == NetworkState::kInside || state_ == NetworkState::kInsideIdle) {
                ask(Leg::kInternalDirect);
            }
            return;
        case Timer::kExternalRefresh:
            return ask(Leg::kExternal);
        case Timer::kVpnRefresh:
            if (state_ == NetworkState::kOutside) ask(Leg::kInternalVpn);
            return;
        case Timer::kExternalExpiry:
            external_registered_ = false;
            return start_detection("the external registration is over");
        case Timer::kVpnExpiry:
            vpn_registered_until_.reset();
            if (state_ == NetworkState::kOutside) {
                enter(NetworkState::kVpnRegistration, "the registration behind the VPN is over");
            }
            return;
        case Timer::kIdle:
            if (state_ != NetworkState::kInside) return;
            cancel(Timer::kRefresh);
            cancel(Timer::kMonitor);
            cancel(Timer::kInternal);
            return enter(NetworkState::kInsideIdle, "no traffic");
        case Timer::kCount:
            return;
    }
}

DetectionActions NetworkDetection::tick(TimePoint now) {
    now_ = std::max(now_, now);
    for (std::size_t i = 0; i < kTimers; ++i) {
        if (!timers_[i] || *timers_[i] > now_) continue;
        timers_[i].reset();
        expire(static_cast<Timer>(i));
    }
    return take();
}

std::optional<TimePoint> NetworkDetection::next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto& timer : timers_) {
        if (timer && (!next || *timer < *next)) next = timer;
    }
    return next;
}

UserData NetworkDetection::user_data(TimePoint now) const {
    switch (state_) {
        case NetworkState::kInside:
            return registered_inside_ && now - *registered_inside_ <= monitor_
                       ? UserData::kPlaintext
                       : UserData::kNone;
        case NetworkState::kOutside:
            return vpn_up_ && external_registered_ && external_until_ > now &&
                           vpn_registered_until_ && *vpn_registered_until_ > now
                       ? UserData::kVpn
                       : UserData::kNone;
        default:
            return UserData::kNone;
    }
}

}  // namespace homeport::mip4
