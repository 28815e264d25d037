// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/mobile_node.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

using wire::BindingStatus;

namespace {

/// Without an acknowledgement of the deregistration, and without a binding that we know of, we are
/// at home after this many.
constexpr unsigned kBlindDeregistrations = 4;
constexpr std::uint32_t kNoKeepalives = 0xffffffff;     // RFC 5555 3.2.2
constexpr std::chrono::seconds kDefaultKeepalive{110};  // NATKATIMEOUT
constexpr std::chrono::hours kLongestKeepalive{24};     // more is as good as none

/// Early enough for several retransmissions before the end, but not before half of the time.
std::chrono::seconds default_refresh(std::chrono::seconds granted) {
    const auto late = std::min(granted * 4 / 5, granted - std::chrono::seconds{15});
    return std::max(granted / 2, late);
}

}  // namespace

const char* to_string(MobileNodeState state) {
    switch (state) {
        case MobileNodeState::kDetached:
            return "detached";
        case MobileNodeState::kRegistering:
            return "registering";
        case MobileNodeState::kRegistered:
            return "registered";
        case MobileNodeState::kMoving:
            return "moving";
        case MobileNodeState::kRefreshing:
            return "refreshing";
        case MobileNodeState::kReturning:
            return "returning";
        case MobileNodeState::kAtHome:
            return "at-home";
        case MobileNodeState::kBackingOff:
            return "backing-off";
        case MobileNodeState::kStopped:
            return "stopped";
        case MobileNodeState::kShuttingDown:
            return "shutting-down";
        case MobileNodeState::kFinished:
            return "finished";
    }
    return "";
}

const char* to_string(Encapsulation encapsulation) {
    switch (encapsulation) {
        case Encapsulation::kIpv6:
            return "ipv6";
        case Encapsulation::kIpv4:
            return "ipv4";
        case Encapsulation::kUdpIpv4:
            return "udp-ipv4";
        case Encapsulation::kUdpIpv6:
            return "udp-ipv6";
    }
    return "";
}

MobileNode::MobileNode(MobileNodeConfig config, std::uint16_t first_sequence)
    : config_(config), next_sequence_(first_sequence) {}

MobileNodeActions MobileNode::take_actions() {
    return std::exchange(actions_, {});
}

void MobileNode::set_state(MobileNodeState state, const char* reason) {
    if (state == state_) return;
    actions_.emplace_back(StateChanged{state_, state, reason});
    state_ = state;
}

// --- events -----------------------------------------------------------------------------------

MobileNodeActions MobileNode::attach(const Attachment& attachment, TimePoint now) {
    now_ = now;
    if (finished()) return {};
    const bool same = attachment_ && attachment_->at_home == attachment.at_home &&
                      attachment_->care_of_address == attachment.care_of_address;
    attachment_ = attachment;
    address_expires_.reset();
    if (attachment.address_lifetime) address_expires_ = now + *attachment.address_lifetime;
    if (home_address_unusable_) {
        set_state(MobileNodeState::kStopped, "home address is in use by another node");
        return take_actions();
    }
    const bool idle = state_ == MobileNodeState::kStopped || state_ == MobileNodeState::kBackingOff;
    if (same && !idle) return {};
    backoff_ = {};
    if (state_ == MobileNodeState::kShuttingDown) {
        begin(Purpose::kDeregister, MobileNodeState::kShuttingDown, "moved while shutting down");
    } else {
        begin_for_attachment();
    }
    return take_actions();
}

void MobileNode::begin_for_attachment() {
    if (attachment_->at_home) {
        if (binding_ || home_agent_may_hold_binding_) {
            return begin(Purpose::kDeregister, MobileNodeState::kReturning, "at home");
        }
        stop_sending();
        return set_state(MobileNodeState::kAtHome, "at home, never registered");
    }
    // Back where the home agent has us, and nothing else was asked for meanwhile. An IPv4 address
    // may be one behind another NAT now.
    if (binding_ && !attachment_->care_of_address.is_ipv4() &&
        binding_->care_of_address == attachment_->care_of_address &&
        last_asked_for_ == attachment_->care_of_address && binding_->refresh_at > now_) {
        stop_sending();
        return set_state(MobileNodeState::kRegistered, "back at the registered address");
    }
    begin(Purpose::kRegister, binding_ ? MobileNodeState::kMoving : MobileNodeState::kRegistering,
          "new care-of address");
}

MobileNodeActions MobileNode::detach(TimePoint now) {
    now_ = now;
    if (finished()) return {};
    attachment_.reset();
    address_expires_.reset();
    stop_sending();
    if (state_ == MobileNodeState::kShuttingDown) {
        finish("link lost while shutting down");
    } else if (!home_address_unusable_) {
        set_state(MobileNodeState::kDetached, "no link");
    }
    return take_actions();
}

MobileNodeActions MobileNode::shutdown(TimePoint now) {
    now_ = now;
    if (finished() || state_ == MobileNodeState::kShuttingDown) return {};
    const bool bound = binding_ || (home_agent_may_hold_binding_ && purpose_ != Purpose::kNone);
    if (!attachment_ || !bound) {
        stop_sending();
        finish("nothing to deregister");
    } else {
        begin(Purpose::kDeregister, MobileNodeState::kShuttingDown, "shutdown");
    }
    return take_actions();
}

MobileNodeActions MobileNode::tick(TimePoint now) {
    now_ = now;
    if (binding_ && binding_->expires <= now_) binding_lost("binding expired");
    if (backoff_until_ && *backoff_until_ <= now_) {
        backoff_until_.reset();
        if (attachment_) retry_after_backoff();
    }
    if (state_ == MobileNodeState::kRegistered && binding_ && binding_->refresh_at <= now_) {
        refresh("refresh is due");
    }
    if (const auto at = keepalive_at(); at && *at <= now_) refresh("NAT keepalive");
    if (purpose_ != Purpose::kNone && next_transmission_ && *next_transmission_ <= now_) {
        repeat_or_give_up();
    }
    return take_actions();
}

void MobileNode::retry_after_backoff() {
    if (attachment_->at_home) {
        begin(Purpose::kDeregister, MobileNodeState::kReturning, "trying again");
    } else {
        begin(Purpose::kRegister,
              binding_ ? MobileNodeState::kMoving : MobileNodeState::kRegistering, "trying again");
    }
}

void MobileNode::repeat_or_give_up() {
    if (state_ == MobileNodeState::kShuttingDown && attempts_ >= config_.shutdown_attempts) {
        stop_sending();
        return finish("no answer to the deregistration");
    }
    if (state_ == MobileNodeState::kStopped && attempts_ >= config_.shutdown_attempts) {
        return stop_sending();  // the binding ends by itself
    }
    if (state_ == MobileNodeState::kReturning && !binding_ && attempts_ >= kBlindDeregistrations) {
        return deregistered("no answer to the deregistration, and no binding known");
    }
    send_when_rate_allows();
}

std::optional<MobileNode::TimePoint> MobileNode::next_deadline() const {
    std::optional<TimePoint> next;
    const auto consider = [&next](const std::optional<TimePoint>& time) {
        if (time && (!next || *time < *next)) next = time;
    };
    if (purpose_ != Purpose::kNone) consider(next_transmission_);
    consider(backoff_until_);
    if (binding_) {
        consider(binding_->expires);
        if (state_ == MobileNodeState::kRegistered) consider(binding_->refresh_at);
    }
    consider(keepalive_at());
    return next;
}

void MobileNode::note_udp_sent(TimePoint at) {
    if (!udp_sent_ || at > *udp_sent_) udp_sent_ = at;
}

std::optional<MobileNode::TimePoint> MobileNode::keepalive_at() const {
    if (state_ != MobileNodeState::kRegistered || !binding_ || !udp_sent_ ||
        binding_->keepalive == std::chrono::seconds::zero()) {
        return std::nullopt;
    }
    return *udp_sent_ + binding_->keepalive;
}

// --- binding updates out ------------------------------------------------------------------------

void MobileNode::begin(Purpose purpose, MobileNodeState state, const char* reason) {
    stop_sending();
    purpose_ = purpose;
    timeout_ = purpose == Purpose::kRegister && !binding_ ? config_.first_registration_timeout
                                                          : config_.initial_timeout;
    set_state(state, reason);
    send_when_rate_allows();
}

void MobileNode::stop_sending() {
    purpose_ = Purpose::kNone;
    outstanding_.clear();
    attempts_ = 0;
    next_transmission_.reset();
    backoff_until_.reset();
}

void MobileNode::refresh(const char* reason) {
    begin(Purpose::kRegister, MobileNodeState::kRefreshing, reason);
}

/// MAX_UPDATE_RATE messages in any one second.
MobileNode::TimePoint MobileNode::earliest_transmission() const {
    if (recent_.size() < config_.max_update_rate) return now_;
    return std::max(now_, recent_.front() + std::chrono::seconds{1});
}

void MobileNode::send_when_rate_allows() {
    const TimePoint earliest = earliest_transmission();
    if (earliest > now_) {
        next_transmission_ = earliest;
    } else {
        transmit();
    }
}

wire::FourSecondUnits MobileNode::lifetime_to_ask() const {
    if (purpose_ == Purpose::kDeregister) return {};
    auto lifetime = wire::FourSecondUnits::floor(config_.lifetime);
    if (address_expires_) {
        lifetime = std::min(lifetime, wire::FourSecondUnits::floor(*address_expires_ - now_));
    }
    return std::max(lifetime, wire::FourSecondUnits{1});
}

std::vector<std::uint8_t> MobileNode::build_update(std::uint16_t sequence,
                                                   wire::FourSecondUnits lifetime) const {
    const bool same_identifier =
        config_.home_link_local && config_.home_link_local->low() == config_.home_address.low();
    wire::BindingUpdate update{.acknowledge = true,
                               .home_registration = true,
                               .link_local = same_identifier,
                               .sequence = sequence,
                               .lifetime = lifetime,
                               .options = {}};
    add_options(update);
    describe_networks(config_.mobile_router, purpose_ == Purpose::kRegister, update);
    return wire::mobility_packet(update, config_.home_address, config_.home_agent);
}

void MobileNode::add_options(wire::BindingUpdate& update) const {
    const CareOf& care_of = attachment_->care_of_address;
    const bool over_ipv4 = !attachment_->at_home && care_of.is_ipv4();
    if (!attachment_->at_home && !over_ipv4) {
        update.options.emplace_back(wire::AlternateCareOfAddress{care_of.ipv6()});
    }
    if (asks_for_ipv4()) {
        const Ipv4Address address = granted_ipv4_.value_or(*config_.ipv4_home_address);
        update.options.emplace_back(wire::Ipv4HomeAddress{Ipv4Prefix::kMaxLength, false, address});
    }
    update.force_udp = asks_for_udp();
    if (over_ipv4) update.options.emplace_back(wire::Ipv4CareOfAddress{care_of.ipv4()});
}

/// Flag F. Nothing goes in a tunnel that is being given up.
bool MobileNode::asks_for_udp() const {
    if (attachment_->at_home || force_udp_refused_) return false;
    if (attachment_->care_of_address.is_ipv4()) return config_.force_udp;
    return config_.force_udp_ipv6 && purpose_ == Purpose::kRegister;
}

/// RFC 5555 4.4.2.1: an update without it ends the IPv4 binding alone.
bool MobileNode::asks_for_ipv4() const {
    return config_.ipv4_home_address && purpose_ == Purpose::kRegister && !ipv4_unsupported_;
}

void MobileNode::transmit() {
    const wire::FourSecondUnits lifetime = lifetime_to_ask();
    last_sequence_ = next_sequence_++;
    if (outstanding_.size() == kMaxOutstanding) outstanding_.erase(outstanding_.begin());
    const bool over_ipv4 = !attachment_->at_home && attachment_->care_of_address.is_ipv4();
    outstanding_.push_back({last_sequence_, now_, lifetime, asks_for_udp(), asks_for_ipv4()});
    if (over_ipv4) note_udp_sent(now_);
    recent_.push_back(now_);
    while (recent_.size() > config_.max_update_rate) recent_.pop_front();
    ++counters_.updates_sent;
    if (attempts_++ > 0) ++counters_.retransmissions;
    if (purpose_ == Purpose::kRegister) {
        home_agent_may_hold_binding_ = true;
        last_asked_for_ = attachment_->care_of_address;
    }
    next_transmission_ = now_ + timeout_;
    timeout_ = std::min<Duration>(timeout_ * 2, config_.max_timeout);
    actions_.emplace_back(SendBindingUpdate{
        build_update(last_sequence_, lifetime),
        attachment_->at_home ? CareOf(config_.home_address) : attachment_->care_of_address,
        attachment_->at_home, last_sequence_});
}

// --- answers in ---------------------------------------------------------------------------------

MobileNodeActions MobileNode::receive(ConstByteSpan bytes, bool protected_by_ipsec, TimePoint now) {
    now_ = now;
    const auto packet = wire::view_ipv6_packet(bytes);
    if (!packet || packet->upper_protocol != number(IpProtocol::kMobility) ||
        packet->source != config_.home_agent || packet->destination != config_.home_address) {
        ++counters_.ignored_not_for_us;
        return {};
    }
    const auto message =
        wire::decode_mobility_header(packet->upper, packet->source, packet->destination);
    if (!message) {
        ++counters_.ignored_malformed;
        return {};
    }
    if (std::holds_alternative<wire::BindingError>(*message)) {
        // Nobody vouches for it; retransmission and expiry do what is needed (RFC 6275 11.3.6).
        ++counters_.binding_errors;
        return {};
    }
    if (!protected_by_ipsec && !config_.allow_unprotected) {
        ++counters_.ignored_unprotected;
        return {};
    }
    if (const auto* answer = std::get_if<wire::BindingAcknowledgement>(&*message)) {
        receive_acknowledgement(*answer);
    } else if (std::holds_alternative<wire::BindingRefreshRequest>(*message)) {
        ++counters_.refresh_requests;
        if (state_ == MobileNodeState::kRegistered) refresh("asked to by the home agent");
    } else {
        ++counters_.ignored_message;
    }
    return take_actions();
}

void MobileNode::receive_acknowledgement(const wire::BindingAcknowledgement& answer) {
    if (purpose_ == Purpose::kNone) {
        ++counters_.ignored_sequence;
        return;
    }
    if (answer.status == BindingStatus::kSequenceNumberOutOfWindow) {
        ++counters_.acknowledgements_rejecting;
        last_status_ = answer.status;
        return out_of_window(answer.sequence);
    }
    const auto update = std::ranges::find(outstanding_, answer.sequence, &Outstanding::sequence);
    if (update == outstanding_.end()) {
        ++counters_.ignored_sequence;
        return;
    }
    last_status_ = answer.status;
    if (wire::is_accepted(answer.status)) {
        ++counters_.acknowledgements_accepted;
        accepted(Outstanding{*update}, answer);
    } else {
        ++counters_.acknowledgements_rejecting;
        rejected(Outstanding{*update}, answer.status);
    }
}

/// RFC 6275 11.7.3: go on from the number that the home agent gave.
void MobileNode::out_of_window(std::uint16_t last_accepted) {
    next_sequence_ = static_cast<std::uint16_t>(last_accepted + 1);
    outstanding_.clear();
    send_when_rate_allows();
}

void MobileNode::accepted(const Outstanding& update, const wire::BindingAcknowledgement& answer) {
    if (answer.status == BindingStatus::kAcceptedPrefixDiscoveryNecessary) {
        prefix_discovery_needed_ = true;
    }
    if (purpose_ == Purpose::kDeregister) return deregistered("deregistered");
    if (config_.mobile_router.is_on() && !answer.mobile_router) return not_a_router();
    // max(L_remain - (L_update - L_ack), 0), counted from the sending of the update.
    const std::chrono::seconds granted = std::min(answer.lifetime, update.lifetime).seconds();
    if (granted == std::chrono::seconds::zero() || update.sent + granted <= now_) {
        drop_binding();
        return back_off("accepted without a lifetime");
    }
    Binding binding;
    binding.care_of_address = attachment_->care_of_address;
    binding.granted = granted;
    binding.expires = update.sent + granted;
    note_nat(binding, answer);
    const bool switched = !binding_ || binding_->care_of_address != binding.care_of_address ||
                          binding_->encapsulation != binding.encapsulation;
    binding.refresh_at = update.sent + default_refresh(granted);
    const auto* advice = wire::find_option<wire::BindingRefreshAdvice>(answer.options);
    if (advice != nullptr && advice->interval.value != 0 && advice->interval.seconds() < granted) {
        binding.refresh_at = update.sent + advice->interval.seconds();
    }
    binding_ = binding;
    backoff_ = {};
    stop_sending();
    note_ipv4_networks(answer);
    if (switched) {
        actions_.emplace_back(SwitchTunnel{binding.care_of_address, binding.encapsulation});
    }
    set_state(MobileNodeState::kRegistered, "accepted");
    note_ipv4_answer(update, answer);
}

/// mipv6.md section 5.3, rule 7: all ones and not forced is the one answer that says "no NAT".
void MobileNode::note_nat(Binding& binding, const wire::BindingAcknowledgement& answer) const {
    const auto* option = wire::find_option<wire::NatDetection>(answer.options);
    if (!binding.care_of_address.is_ipv4()) {
        // RFC 5555 3.2.2: F is obeyed. There is no NAT, so nothing to keep alive.
        if (option == nullptr || !option->force_udp) return;
        binding.encapsulation = Encapsulation::kUdpIpv6;
        binding.nat = *option;
        return;
    }
    binding.encapsulation = Encapsulation::kIpv4;
    if (option == nullptr) return;
    binding.nat = *option;
    if (option->force_udp || option->refresh_time != kNoKeepalives) {
        binding.encapsulation = Encapsulation::kUdpIpv4;
    }
    if (!config_.nat_keepalive || option->refresh_time == kNoKeepalives) return;
    binding.keepalive =
        option->refresh_time == 0 ? kDefaultKeepalive : std::chrono::seconds{option->refresh_time};
    if (binding.keepalive > kLongestKeepalive) binding.keepalive = {};
}

/// RFC 5555 4.4.2: without the option the home agent knows nothing of IPv4 home addresses.
void MobileNode::note_ipv4_answer(const Outstanding& update,
                                  const wire::BindingAcknowledgement& answer) {
    if (!update.asked_for_ipv4) return;
    const auto* option = wire::find_option<wire::Ipv4AddressAcknowledgement>(answer.options);
    if (option == nullptr) {
        ipv4_unsupported_ = true;
        granted_ipv4_.reset();
        return set_ipv4({});
    }
    Ipv4HomeAddressNews news{.status = option->status};
    const bool dynamic = config_.ipv4_home_address->is_unspecified();
    if (option->status < 128) {
        news.bound =
            dynamic ? option->address.is_unicast() : option->address == *config_.ipv4_home_address;
        if (news.bound) news.address = option->address;
    }
    const bool lost = dynamic && granted_ipv4_ && !news.bound;
    granted_ipv4_.reset();
    if (dynamic && news.bound) granted_ipv4_ = news.address;
    set_ipv4(news);
    // The address that we were given is not ours any more: another will do.
    if (lost) refresh("the dynamic IPv4 home address is gone");
}

void MobileNode::set_ipv4(const Ipv4HomeAddressNews& news) {
    if (news == ipv4_) return;
    ipv4_ = news;
    actions_.emplace_back(news);
}

void MobileNode::rejected(const Outstanding& update, BindingStatus status) {
    const char* reason = wire::describe(status);
    // 144 has two meanings; with F in the update it is this one (RFC 5555 4.4.2).
    if (status == BindingStatus::kForceUdpNotAccepted && update.force_udp) {
        force_udp_refused_ = true;
        outstanding_.clear();
        return send_when_rate_allows();
    }
    if (state_ == MobileNodeState::kShuttingDown) {
        stop_sending();
        return finish(reason);
    }
    if (purpose_ == Purpose::kDeregister &&
        status == BindingStatus::kNotHomeAgentForThisMobileNode) {
        return deregistered("the home agent has no binding");
    }
    if (status == BindingStatus::kDuplicateAddressDetectionFailed) {
        home_address_unusable_ = true;
        drop_binding();
    }
    if (names_prefixes_after(status)) {
        return begin(Purpose::kRegister,
                     binding_ ? MobileNodeState::kMoving : MobileNodeState::kRegistering,
                     "explicit mode after status 143");
    }
    const bool temporary = status == BindingStatus::kReasonUnspecified ||
                           status == BindingStatus::kInsufficientResources;
    if (temporary) return back_off(reason);
    stop_sending();
    // The binding that the home agent may still hold ends by itself; the tunnel stays with it.
    set_state(MobileNodeState::kStopped, reason);
}

/// RFC 3963 section 5.3: the home agent took us for a mobile node. Its binding would lead packets
/// here that are not for the mobile network, so it has to go.
void MobileNode::not_a_router() {
    home_agent_may_hold_binding_ = true;
    begin(Purpose::kDeregister, MobileNodeState::kStopped,
          "the home agent does not serve mobile routers");
}

/// RFC 3963 section 5.6: no prefixes are configured there for implicit mode, so ours are named.
bool MobileNode::names_prefixes_after(BindingStatus status) {
    MobileRouterConfig& router = config_.mobile_router;
    if (status != BindingStatus::kForwardingSetupFailed || purpose_ != Purpose::kRegister ||
        router.mode != MobileRouterMode::kImplicit || router.prefixes.empty()) {
        return false;
    }
    router.mode = MobileRouterMode::kExplicit;
    return true;
}

void MobileNode::note_ipv4_networks(const wire::BindingAcknowledgement& answer) {
    Ipv4NetworkNews news{served_networks(config_.mobile_router, answer)};
    if (news == ipv4_network_) return;
    ipv4_network_ = news;
    actions_.emplace_back(std::move(news));
}

void MobileNode::back_off(const char* reason) {
    stop_sending();
    backoff_ = backoff_ == Duration::zero() ? Duration{config_.initial_backoff}
                                            : std::min<Duration>(backoff_ * 2, config_.max_backoff);
    backoff_until_ = now_ + backoff_;
    set_state(MobileNodeState::kBackingOff, reason);
}

// --- ends of a binding --------------------------------------------------------------------------

void MobileNode::drop_binding() {
    set_ipv4({});
    granted_ipv4_.reset();
    if (!ipv4_network_.served.empty()) {
        ipv4_network_ = {};
        actions_.emplace_back(ipv4_network_);
    }
    if (binding_) actions_.emplace_back(TunnelDown{});
    binding_.reset();
    home_agent_may_hold_binding_ = false;
}

void MobileNode::deregistered(const char* reason) {
    stop_sending();
    drop_binding();
    if (state_ == MobileNodeState::kShuttingDown) return finish(reason);
    if (state_ == MobileNodeState::kStopped) return;  // away: not_a_router()
    backoff_ = {};
    actions_.emplace_back(AnnounceAtHome{});
    set_state(MobileNodeState::kAtHome, reason);
}

void MobileNode::binding_lost(const char* reason) {
    const bool may_hold = purpose_ == Purpose::kRegister;
    drop_binding();
    home_agent_may_hold_binding_ = may_hold;
    switch (state_) {
        case MobileNodeState::kRegistered:
            return begin(Purpose::kRegister, MobileNodeState::kRegistering, reason);
        case MobileNodeState::kMoving:
        case MobileNodeState::kRefreshing:
            // The update that is under way now makes a new binding.
            return set_state(MobileNodeState::kRegistering, reason);
        case MobileNodeState::kReturning:
            return deregistered(reason);
        case MobileNodeState::kShuttingDown:
            stop_sending();
            return finish(reason);
        default:
            return;
    }
}

void MobileNode::finish(const char* reason) {
    if (binding_) actions_.emplace_back(TunnelDown{});
    binding_.reset();
    set_state(MobileNodeState::kFinished, reason);
}

MobileNode::Status MobileNode::status() const {
    Status status;
    status.state = state_;
    if (attachment_) {
        status.current_care_of_address =
            attachment_->at_home ? CareOf(config_.home_address) : attachment_->care_of_address;
    }
    if (binding_) {
        status.registered_care_of_address = binding_->care_of_address;
        status.encapsulation = binding_->encapsulation;
        status.nat = binding_->nat;
        status.keepalive_at = keepalive_at();
        status.granted_lifetime = binding_->granted;
        status.expires = binding_->expires;
        if (state_ == MobileNodeState::kRegistered) status.refresh_at = binding_->refresh_at;
    }
    status.sequence = last_sequence_;
    if (purpose_ != Purpose::kNone) status.next_transmission = next_transmission_;
    if (backoff_until_) status.next_transmission = backoff_until_;
    status.attempts = attempts_;
    status.last_status = last_status_;
    status.prefix_discovery_needed = prefix_discovery_needed_;
    status.home_address_unusable = home_address_unusable_;
    status.ipv4 = ipv4_;
    status.ipv4_network = ipv4_network_;
    status.router_mode = config_.mobile_router.mode;
    return status;
}

}  // namespace homeport::mip6
