// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/mobile_node.hpp"

#include <algorithm>

namespace homeport::mip4 {

namespace {

constexpr unsigned kMostRetries = 3;  // that replies ask for, until a timer sends again
constexpr std::chrono::milliseconds kClosingWait{1000};
constexpr unsigned kClosingTries = 2;
constexpr std::uint8_t kTtl = 64;
constexpr std::uint8_t kTtlToForeignAgent = 255;  // with T (RFC 3024 section 3.2)

std::shared_ptr<HomeAgentKnowledge> knowledge_of(const RegistrationClientConfig& config) {
    auto known = std::make_shared<HomeAgentKnowledge>();
    known->home_address = config.home_address;
    known->home_agent = config.home_agent;
    return known;
}

/// S2.30: behind the VPN packets go by the inner address alone.
RegistrationClientConfig behind_vpn(RegistrationClientConfig config) {
    config.reverse_tunnel = true;
    return config;
}

Encapsulation encapsulation_of(const RegistrationClientConfig& asked) {
    if (asked.gre) return Encapsulation::kGre;
    return asked.minimal ? Encapsulation::kMinimal : Encapsulation::kIpInIp;
}

}  // namespace

std::string_view to_string(Leg leg) {
    switch (leg) {
        case Leg::kInternalDirect:
            return "internal";
        case Leg::kExternal:
            return "external";
        case Leg::kInternalVpn:
            return "internal-vpn";
    }
    return "?";
}

unsigned MobileTunnel::overhead() const {
    if (!care_of.co_located) return 0;
    constexpr unsigned kIp = 20;
    constexpr unsigned kUdp = 12;  // UDP, and tunnel data
    const unsigned header = encapsulation == Encapsulation::kGre       ? kIp + 4
                            : encapsulation == Encapsulation::kMinimal ? 12
                                                                       : kIp;
    return header + (udp ? kUdp : 0);
}

MobileNode::MobileNode(MobileNodeConfig config, std::uint64_t seed)
    : config_(std::move(config)),
      random_(seed),
      internal_(knowledge_of(config_.internal)),
      external_(knowledge_of(config_.external.value_or(RegistrationClientConfig{}))) {
    config_.detection.plain = !config_.external;
}

void MobileNode::add_interface(int id) {
    if (find(id) != nullptr) return;
    const RegistrationClientConfig outside = config_.external.value_or(RegistrationClientConfig{});
    interfaces_.push_back(
        {id,
         NetworkDetection(config_.detection),
         {LegState(RegistrationClient(config_.internal, internal_)),
          LegState(RegistrationClient(outside, external_)),
          LegState(RegistrationClient(behind_vpn(config_.internal), internal_))}});
}

MobileActions MobileNode::remove_interface(int id, const Now& now) {
    (void)attach(id, std::nullopt, true, now);
    std::erase_if(interfaces_, [&](const Interface& one) { return one.id == id; });
    actions_.emplace_back(FlushUserQueue{id});
    return take();
}

void MobileNode::prefer(const std::vector<int>& order) {
    std::ranges::stable_sort(interfaces_, {}, [&](const Interface& one) {
        return std::ranges::find(order, one.id) - order.begin();
    });
}

std::vector<int> MobileNode::interfaces() const {
    std::vector<int> out;
    for (const Interface& one : interfaces_) out.push_back(one.id);
    return out;
}

MobileNode::Interface* MobileNode::find(int id) {
    const auto it = std::ranges::find(interfaces_, id, &Interface::id);
    return it == interfaces_.end() ? nullptr : &*it;
}
const MobileNode::Interface* MobileNode::find(int id) const {
    const auto it = std::ranges::find(interfaces_, id, &Interface::id);
    return it == interfaces_.end() ? nullptr : &*it;
}

MobileActions MobileNode::take() {
    MobileActions taken;
    taken.swap(actions_);
    return taken;
}

// ------------------------------------------------------------------------------------- events

MobileActions MobileNode::attach(int id, const std::optional<Attachment>& attachment, bool trigger,
                                 const Now& now) {
    Interface* const on = find(id);
    if (on == nullptr || closing_ != Closing::kNo) return {};
    if (!trigger && on->attachment == attachment) return {};
    on->attachment = attachment;
    // S2.48: what was asked before proves nothing about where we are now.
    for (const Leg leg : {Leg::kInternalDirect, Leg::kExternal}) {
        on->leg(leg).client.forget_requests();
        drop_tunnel(*on, leg);
    }
    if (attachment) inherit_vpn(*on, now);
    const auto attached = std::ranges::count_if(
        interfaces_, [](const Interface& one) { return one.attachment.has_value(); });
    for (Interface& one : interfaces_) {
        for (LegState& leg : one.legs) leg.client.set_simultaneous(attached > 1);
    }
    apply(*on, on->detection.status_changed(attachment.has_value(), now.steady), now);
    return take();
}

/// S2.37: what one interface registered through the VPN holds for the next one, as long as the
/// internal home agent was told nothing else.
void MobileNode::inherit_vpn(Interface& on, const Now& now) {
    if (on.detection.vpn_registered_until()) return;
    for (const Interface& other : interfaces_) {
        const auto until = other.detection.vpn_registered_until();
        const auto& tunnel = other.leg(Leg::kInternalVpn).tunnel;
        if (&other == &on || !until || *until <= now.steady || !tunnel) continue;
        on.detection.adopt_vpn(*until);
        on.leg(Leg::kInternalVpn).tunnel = tunnel;
        on.leg(Leg::kInternalVpn).keepalive = other.leg(Leg::kInternalVpn).keepalive;
        return;
    }
}

/// A direct registration took the place of the inner address. Interfaces that are outside now get
/// it back, see reclaim(), or find out.
void MobileNode::forget_vpn_but_for(const Interface& on) {
    for (Interface& other : interfaces_) {
        if (&other == &on || other.detection.state() == NetworkState::kOutside) continue;
        other.detection.forget_vpn_registration();
        drop_tunnel(other, Leg::kInternalVpn);
    }
}

MobileActions MobileNode::receive(const ReplyArrival& arrival, ConstByteSpan payload,
                                  const Now& now) {
    Interface* const on = find(arrival.interface);
    if (on == nullptr || !on->attachment) return {};
    const bool by_agent = !arrival.through_vpn && !on->attachment->care_of.co_located &&
                          arrival.source == on->attachment->agent;
    RegistrationOutcome ignored;
    const auto try_leg = [&](Leg leg) {
        const auto outcome = on->leg(leg).client.receive(payload, by_agent, now.ntp);
        if (outcome.kind == RegistrationOutcome::Kind::kIgnored) {
            ignored = outcome;
            return false;
        }
        judge(*on, leg, outcome, now);
        return true;
    };
    // S2.99: a reply counts by the way that its request took and by the way that it came.
    const bool known = arrival.through_vpn
                           ? try_leg(Leg::kInternalVpn)
                           : try_leg(Leg::kInternalDirect) || try_leg(Leg::kExternal);
    if (!known) {
        const Leg leg = arrival.through_vpn ? Leg::kInternalVpn : Leg::kInternalDirect;
        actions_.emplace_back(RegistrationResult{on->id, leg, ignored});
    }
    if (closing_ != Closing::kNo) go_on_closing(now);
    return take();
}

MobileActions MobileNode::vpn_up(int id, const Now& now) {
    Interface* const on = find(id);
    if (on == nullptr || closing_ != Closing::kNo) return {};
    on->vpn_unanswered = 0;
    apply(*on, on->detection.vpn_up(now.steady), now);
    return take();
}

MobileActions MobileNode::vpn_failed(int id, const Now& now) {
    Interface* const on = find(id);
    if (on == nullptr) return {};
    drop_tunnel(*on, Leg::kInternalVpn);
    apply(*on, on->detection.vpn_failed(now.steady), now);
    return take();
}

MobileActions MobileNode::believe(int id, Belief belief, const Now& now) {
    Interface* const on = find(id);
    if (on == nullptr || closing_ != Closing::kNo) return {};
    apply(*on, on->detection.believe(belief, now.steady), now);
    return take();
}

MobileActions MobileNode::traffic(int id, const Now& now) {
    Interface* const on = find(id);
    if (on == nullptr || closing_ != Closing::kNo) return {};
    apply(*on, on->detection.traffic(now.steady), now);
    return take();
}

MobileActions MobileNode::tick(const Now& now) {
    if (closing_ != Closing::kNo) {
        go_on_closing(now);
        return take();
    }
    for (Interface& one : interfaces_) {
        apply(one, one.detection.tick(now.steady), now);
        for (const Leg leg : {Leg::kInternalDirect, Leg::kExternal, Leg::kInternalVpn}) {
            keep_alive(one, leg, now);
        }
    }
    return take();
}

std::optional<TimePoint> MobileNode::next_deadline() const {
    if (closing_ != Closing::kNo) {
        return closing_ == Closing::kDone ? std::nullopt : std::optional(closing_deadline_);
    }
    std::optional<TimePoint> next;
    const auto consider = [&](const std::optional<TimePoint>& deadline) {
        if (deadline && (!next || *deadline < *next)) next = deadline;
    };
    for (const Interface& one : interfaces_) {
        consider(one.detection.next_deadline());
        for (const LegState& leg : one.legs) consider(leg.keepalive.deadline);
    }
    return next;
}

// ---------------------------------------------------------------------------- what is to be done

void MobileNode::apply(Interface& on, const DetectionActions& actions, const Now& now) {
    for (const DetectionAction& action : actions) apply_one(on, action, now);
}

void MobileNode::apply_one(Interface& on, const DetectionAction& action, const Now& now) {
    if (const auto* what = std::get_if<SendRequest>(&action)) return request(on, *what, now);
    if (std::holds_alternative<StartVpn>(action)) {
        on.vpn_unanswered = 0;
        actions_.emplace_back(StartVpnBy{on.id});
    } else if (std::holds_alternative<SuspendVpn>(action)) {
        drop_tunnel(on, Leg::kInternalVpn);
        actions_.emplace_back(SuspendVpnBy{on.id});
    } else if (std::holds_alternative<FlushQueue>(action)) {
        actions_.emplace_back(FlushUserQueue{on.id});
    } else if (std::holds_alternative<ReleaseQueue>(action)) {
        actions_.emplace_back(ReleaseUserQueue{on.id});
    } else if (const auto* change = std::get_if<StateChanged>(&action)) {
        actions_.emplace_back(NetworkStateChanged{on.id, *change});
    }
}

void MobileNode::request(Interface& on, const SendRequest& what, const Now& now) {
    on.leg(what.leg).retries = 0;
    if (what.leg == Leg::kInternalVpn && on.detection.state() == NetworkState::kVpnRegistration &&
        ++on.vpn_unanswered > config_.vpn_tries) {
        on.vpn_unanswered = 0;
        actions_.emplace_back(VpnFailed{on.id});
        return apply(on, on.detection.vpn_failed(now.steady), now);
    }
    send(on, what, now);
}

void MobileNode::send(Interface& on, const SendRequest& what, const Now& now) {
    if (!on.attachment) return;
    LegState& leg = on.leg(what.leg);
    const Attachment& where = *on.attachment;
    if (where.home) return let_go(on, what.leg, now);
    const bool vpn = what.leg == Leg::kInternalVpn;
    const CareOf care_of = vpn ? CareOf{config_.vpn_inner_address, true} : where.care_of;
    SendRegistration out{.interface = on.id, .leg = what.leg, .deregister = what.deregister};
    out.payload =
        leg.client.request(care_of, what.deregister, now.ntp, static_cast<std::uint32_t>(random_()),
                           vpn ? std::uint16_t{0xffff} : where.most_lifetime);
    out.source = care_of.co_located ? care_of.address : leg.client.home_address();
    out.destination = care_of.co_located ? leg.client.home_agent() : where.agent;
    const bool limited = !care_of.co_located && leg.client.config().reverse_tunnel;
    out.ttl = limited ? kTtlToForeignAgent : kTtl;
    if (what.deregister && closing_ == Closing::kNo) drop_tunnel(on, what.leg);
    actions_.emplace_back(std::move(out));
}

/// RFC 5944 section 3.6.1.1: from the home link, of all care-of addresses. There is no address to
/// register with others.
void MobileNode::let_go(Interface& on, Leg which, const Now& now) {
    if (which != Leg::kInternalDirect) return;
    LegState& leg = on.leg(which);
    const Ipv4Address& home_address = leg.client.home_address();
    SendRegistration out{.interface = on.id, .leg = which, .deregister = true};
    out.payload = leg.client.request({home_address, false}, true, now.ntp,
                                     static_cast<std::uint32_t>(random_()), 0);
    out.source = home_address;
    out.destination = leg.client.home_agent();
    out.ttl = kTtl;
    actions_.emplace_back(std::move(out));
}

// ------------------------------------------------------------------------------------- replies

void MobileNode::judge(Interface& on, Leg leg, const RegistrationOutcome& outcome, const Now& now) {
    actions_.emplace_back(RegistrationResult{on.id, leg, outcome});
    if (outcome.kind == RegistrationOutcome::Kind::kRetry) {
        if (on.leg(leg).retries++ < kMostRetries) {
            send(on, {leg, outcome.deregister}, now);
        }
        return;
    }
    if (outcome.kind == RegistrationOutcome::Kind::kAccepted) accept(on, leg, outcome, now);
    // At home it is a deregistration whose answer counts, and one that was asked for elsewhere is
    // forgotten.
    const bool at_home = on.attachment && on.attachment->home;
    if (closing_ == Closing::kNo && outcome.deregister == at_home) tell(on, leg, outcome, now);
}

void MobileNode::accept(Interface& on, Leg leg, const RegistrationOutcome& outcome,
                        const Now& now) {
    LegState& state = on.leg(leg);
    const bool internal = leg != Leg::kExternal;
    const RegistrationClientConfig& configured =
        internal ? config_.internal : config_.external.value_or(RegistrationClientConfig{});
    if (configured.home_address.is_unspecified()) {
        actions_.emplace_back(HomeAddressAssigned{internal, outcome.home_address});
    }
    if (outcome.deregister) return drop_tunnel(on, leg);
    if (leg == Leg::kInternalVpn) on.vpn_unanswered = 0;
    MobileTunnel tunnel;
    tunnel.care_of =
        leg == Leg::kInternalVpn ? CareOf{config_.vpn_inner_address, true} : on.attachment->care_of;
    tunnel.home_agent = state.client.home_agent();
    tunnel.encapsulation = encapsulation_of(state.client.config());
    tunnel.udp = outcome.udp.has_value();
    tunnel.reverse_tunnel = state.client.config().reverse_tunnel;
    if (outcome.udp) {
        const std::uint16_t told = outcome.udp->keepalive;
        constexpr std::uint16_t kLeast = 10;  // RFC 3519 section 4.9
        tunnel.keepalive = told != 0 ? std::max(told, kLeast)
                                     : static_cast<std::uint16_t>(config_.keepalive.count());
    }
    tunnel.until = now.steady + std::chrono::seconds{outcome.lifetime};
    state.tunnel = tunnel;
    state.keepalive = {};
    if (tunnel.udp) {
        state.keepalive.last_sent = now.steady;
        state.keepalive.deadline = now.steady + std::chrono::seconds{tunnel.keepalive};
    }
}

void MobileNode::tell(Interface& on, Leg leg, const RegistrationOutcome& outcome, const Now& now) {
    const bool accepted = outcome.kind == RegistrationOutcome::Kind::kAccepted;
    // Nothing ends at home; that it still is home is verified by T_MONITOR.
    const bool at_home = on.attachment && on.attachment->home;
    const std::chrono::seconds lifetime{at_home ? std::uint16_t{0xffff} : outcome.lifetime};
    if (leg == Leg::kExternal) {
        apply(on, on.detection.external_reply({accepted, lifetime}, now.steady), now);
    } else {
        const InternalReply reply{accepted, leg == Leg::kInternalDirect, outcome.trusted_networks,
                                  lifetime};
        apply(on, on.detection.internal_reply(reply, now.steady), now);
    }
    if (accepted && leg == Leg::kInternalDirect) forget_vpn_but_for(on);
    constexpr std::uint8_t kSimultaneous = 0;
    if (accepted && outcome.code != kSimultaneous) reclaim(on, leg, now);
}

/// The home agent keeps one binding only, and a less preferred interface has it now. Code 0 means
/// that the others stay, if S was asked for.
void MobileNode::reclaim(const Interface& taker, Leg leg, const Now& now) {
    const auto preferred = way(now.steady);
    if (!preferred || preferred->interface == taker.id) return;
    Interface& owner = *find(preferred->interface);
    if (leg == Leg::kExternal) {
        if (preferred->vpn()) apply(owner, owner.detection.refresh_external(now.steady), now);
    } else {
        apply(owner, owner.detection.refresh_internal(now.steady), now);
    }
}

// ---------------------------------------------------------------------------------- keepalives

void MobileNode::drop_tunnel(Interface& on, Leg leg) {
    on.leg(leg).tunnel.reset();
    on.leg(leg).keepalive = {};
}

void MobileNode::sent(int id, Leg leg, TimePoint now) {
    Interface* const on = find(id);
    if (on != nullptr) on->leg(leg).keepalive.last_sent = now;
}

void MobileNode::keepalive_answered(int id, Leg leg, TimePoint now) {
    Interface* const on = find(id);
    if (on == nullptr || !on->leg(leg).tunnel || !on->leg(leg).tunnel->udp) return;
    Keepalive& keepalive = on->leg(leg).keepalive;
    keepalive.unanswered = 0;
    keepalive.deadline = now + std::chrono::seconds{on->leg(leg).tunnel->keepalive};
}

void MobileNode::keep_alive(Interface& on, Leg leg, const Now& now) {
    LegState& state = on.leg(leg);
    Keepalive& keepalive = state.keepalive;
    if (!state.tunnel || !keepalive.deadline || *keepalive.deadline > now.steady) return;
    const auto rest = std::chrono::seconds{state.tunnel->keepalive};
    if (keepalive.unanswered == 0 && keepalive.last_sent + rest > now.steady) {
        keepalive.deadline = keepalive.last_sent + rest;
        return;
    }
    if (keepalive.unanswered >= config_.keepalive_tries) {
        // RFC 3519 section 4.9: the mapping may be gone, or the home agent.
        keepalive.unanswered = 0;
        keepalive.deadline = now.steady + rest;
        apply(on,
              leg == Leg::kExternal ? on.detection.refresh_external(now.steady)
                                    : on.detection.refresh_internal(now.steady),
              now);
        return;
    }
    ++keepalive.unanswered;
    keepalive.last_sent = now.steady;
    keepalive.deadline = now.steady + config_.keepalive_patience;
    actions_.emplace_back(SendKeepalive{on.id, leg});
}

// ------------------------------------------------------------------------------------- the end

MobileActions MobileNode::shut_down(const Now& now) {
    if (closing_ != Closing::kNo) return {};
    closing_ = Closing::kInternal;
    closing_tries_ = 0;
    closing_deadline_ = now.steady;
    go_on_closing(now);
    return take();
}

bool MobileNode::finished() const {
    return closing_ == Closing::kDone;
}

void MobileNode::close_leg(Interface& on, Leg leg, const Now& now) {
    if (on.leg(leg).tunnel) send(on, {leg, true}, now);
}

bool MobileNode::is_closing_done(Leg leg) const {
    return std::ranges::none_of(
        interfaces_, [&](const Interface& one) { return one.leg(leg).tunnel.has_value(); });
}

void MobileNode::go_on_closing(const Now& now) {
    while (closing_ != Closing::kDone) {
        const bool internal = closing_ == Closing::kInternal;
        const bool answered =
            internal ? is_closing_done(Leg::kInternalDirect) && is_closing_done(Leg::kInternalVpn)
                     : is_closing_done(Leg::kExternal);
        if (!answered && closing_deadline_ > now.steady) return;
        if (answered || closing_tries_ >= kClosingTries) {
            closing_ = internal ? Closing::kExternal : Closing::kDone;
            closing_tries_ = 0;
            closing_deadline_ = now.steady;
            continue;
        }
        ++closing_tries_;
        closing_deadline_ = now.steady + kClosingWait;
        for (Interface& one : interfaces_) {
            if (internal) {
                close_leg(one, Leg::kInternalDirect, now);
                close_leg(one, Leg::kInternalVpn, now);
            } else {
                close_leg(one, Leg::kExternal, now);
            }
        }
        return;
    }
}

// --------------------------------------------------------------------------------- what may pass

std::optional<Way> MobileNode::way_of(int id, TimePoint now) const {
    const Interface* const on = find(id);
    if (on == nullptr || !on->attachment || closing_ != Closing::kNo) return std::nullopt;
    switch (on->detection.user_data(now)) {
        case UserData::kNone:
            return std::nullopt;
        case UserData::kPlaintext:
            if (on->attachment->home) return Way{id, {}, std::nullopt, true};
            if (const auto& tunnel = on->leg(Leg::kInternalDirect).tunnel) {
                return Way{id, *tunnel, std::nullopt, false};
            }
            return std::nullopt;
        case UserData::kVpn:
            break;
    }
    const auto& internal = on->leg(Leg::kInternalVpn).tunnel;
    const auto& external = on->leg(Leg::kExternal).tunnel;
    if (!internal || !external) return std::nullopt;
    return Way{id, *internal, external, false};
}

std::optional<Way> MobileNode::way(TimePoint now) const {
    for (const Interface& one : interfaces_) {
        if (auto found = way_of(one.id, now)) return found;
    }
    return std::nullopt;
}

UserData MobileNode::user_data(int id, TimePoint now) const {
    const Interface* const on = find(id);
    return on == nullptr || !on->attachment || closing_ != Closing::kNo
               ? UserData::kNone
               : on->detection.user_data(now);
}

std::optional<int> MobileNode::waits_for(TimePoint now) const {
    if (closing_ != Closing::kNo || way(now)) return std::nullopt;
    for (const Interface& one : interfaces_) {
        const NetworkState state = one.detection.state();
        // Inside without leave to send: T_MONITOR is over, and tick() has yet to say so.
        if (state == NetworkState::kStale || state == NetworkState::kInsideIdle ||
            state == NetworkState::kInside) {
            return one.id;
        }
    }
    return std::nullopt;
}

NetworkState MobileNode::state(int id) const {
    const Interface* const on = find(id);
    return on == nullptr ? NetworkState::kDown : on->detection.state();
}

const MobileTunnel* MobileNode::tunnel(int id, Leg leg) const {
    const Interface* const on = find(id);
    return on == nullptr || !on->leg(leg).tunnel ? nullptr : &*on->leg(leg).tunnel;
}

const std::optional<Attachment>& MobileNode::attachment(int id) const {
    static const std::optional<Attachment> kNowhere;
    const Interface* const on = find(id);
    return on == nullptr ? kNowhere : on->attachment;
}

std::uint64_t MobileNode::vpn_failures() const {
    std::uint64_t sum = 0;
    for (const Interface& one : interfaces_) sum += one.detection.vpn_failures();
    return sum;
}

}  // namespace homeport::mip4
