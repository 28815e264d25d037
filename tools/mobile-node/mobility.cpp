// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mobility.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <random>
#include <utility>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/rewrite.hpp"

namespace homeport::mobile_node {

namespace {

// A node is reachable at earlier care-of addresses while packets for them are under way (S1.41).
constexpr std::size_t kEarlierCareOfAddresses = 4;
constexpr unsigned kAnnouncements = 3;  // MAX_NEIGHBOR_ADVERTISEMENT
constexpr std::chrono::seconds kBetweenAnnouncements{1};
constexpr std::chrono::minutes kPathMtuAge{10};  // RFC 8201 section 4
// In this time no SA uses up the numbers that a restart gives up (SequenceLedger::kMargin).
constexpr std::chrono::milliseconds kBetweenNotes{250};

std::uint16_t random_sequence() {
    std::random_device device;
    return static_cast<std::uint16_t>(device());
}

mip6::MobileNodeConfig protocol_config(const Config& config) {
    mip6::MobileNodeConfig out;
    out.home_address = config.home_address;
    out.home_agent = config.home_agent;
    out.ipv4_home_address = config.ipv4_home_address;
    out.force_udp = config.dual_stack.force_udp;
    out.force_udp_ipv6 = config.dual_stack.force_udp_ipv6;
    out.nat_keepalive = config.dual_stack.nat_keepalive;
    out.mobile_router = config.mobile_router.protocol;
    out.lifetime = config.lifetime;
    out.first_registration_timeout = config.first_registration_timeout;
    out.allow_unprotected = config.lab_unprotected;
    return out;
}

std::string describe(const mip6::CareOf& care_of) {
    if (!care_of.is_ipv4()) return care_of.to_string();
    return care_of.to_string() + " by " + care_of.home_agent().to_string();
}

std::string name_of(const std::optional<Candidate>& candidate) {
    if (!candidate) return "nowhere";
    if (candidate->at_home) return "home (" + candidate->name + ")";
    return candidate->name + " " + describe(candidate->care_of_address);
}

bool is_same_place(const Candidate& a, const Candidate& b) {
    return a.interface == b.interface && a.at_home == b.at_home &&
           a.care_of_address == b.care_of_address;
}

}  // namespace

Mobility::Mobility(asio::io_context& context, const Config& config, const LinkTable& table,
                   DataPath& data_path, PacketPaths& paths, HostNetwork& host, Security& security,
                   Counters& counters, unsigned tunnel_mtu,
                   std::function<void(const char* event, const std::string& text)> changed)
    : context_(context),
      config_(config),
      table_(table),
      data_path_(data_path),
      paths_(paths),
      host_(host),
      security_(security),
      counters_(counters),
      changed_(std::move(changed)),
      node_(protocol_config(config), random_sequence()),
      prefixes_(context, config, data_path,
                [this](const std::string& text) { changed_("prefixes", text); }),
      node_alarm_(context, [this] { protocol_alarm(); }),
      reachability_(config.dual_stack.retry),
      rest_alarm_(context, [this] { rest_is_over(); }),
      announce_alarm_(context, [this] { announce(); }),
      tunnel_mtu_(tunnel_mtu),
      mtu_alarm_(context, [this] { set_tunnel_mtu(link_mtu(tunnel_interface_)); }),
      sequence_alarm_(context, [this] { note_sequences(); }) {
    paths_.set_mobile_network({config.mobile_router.protocol.prefixes, {}});
    note_sequences();
    if (!config.route_optimisation.enabled) return;
    optimisation_.emplace(context, config, data_path, paths, security, counters,
                          [this](const std::string& text) { changed_("correspondent", text); });
}

void Mobility::note_sequences() {
    if (auto done = security_.note_sequences(); !done) spdlog::error("{}", done.error().text);
    sequence_alarm_.set(Clock::now() + kBetweenNotes);
}

SelectionRules Mobility::rules() const {
    SelectionRules out{config_.home_address,    config_.home_prefix,      config_.home_agent,
                       config_.interfaces,      config_.home_interface,   config_.tunnel.name,
                       config_.home_agent_ipv4, config_.ipv4_home_address};
    reachability_.apply(out);
    return out;
}

// ------------------------------------------------------------------------------------ movement

void Mobility::links_changed() {
    open_links();
    refresh_home_routes();
    choose();
    update_route();
}

void Mobility::reconfigured() {
    links_changed();
}

void Mobility::open_links() {
    const auto wanted = [&](const Link& link) {
        if (!link.running || link.loopback || link.name == config_.tunnel.name) return false;
        return config_.interfaces.empty() ||
               std::ranges::find(config_.interfaces, link.name) != config_.interfaces.end();
    };
    for (const int index : data_path_.links()) {
        if (table_.find(index) == nullptr) data_path_.remove_link(index);
    }
    for (const auto& [index, link] : table_.links()) {
        if (wanted(link)) (void)data_path_.add_link(index, link.name);
    }
}

void Mobility::choose() {
    if (shutting_down_) return;
    const auto candidates = find_candidates(table_, rules(), current_);
    if (candidates.empty()) {
        if (current_) detach();
        return;
    }
    const Candidate& best = best_of(candidates);
    if (current_ && is_same_place(*current_, best)) {
        const bool is_news = current_->address_lifetime != best.address_lifetime;
        current_ = best;
        if (!is_news) return;
        run(node_.attach({best.care_of_address, best.at_home, best.address_lifetime},
                         Clock::now()));
        return;
    }
    attach(best);
}

void Mobility::attach(const Candidate& candidate) {
    spdlog::info("attached to {} (was {})", name_of(candidate), name_of(current_));
    start_handover(name_of(candidate));
    leave_home();
    current_ = candidate;
    update_sent_at_home_ = false;
    if (candidate.at_home) {
        enter_home(candidate);
    } else {
        remember_care_of_address(candidate.care_of_address);
        if (tunnel_ == candidate.care_of_address) tunnel_interface_ = candidate.interface;
    }
    changed_("attached", name_of(current_));
    run(node_.attach({candidate.care_of_address, candidate.at_home, candidate.address_lifetime},
                     Clock::now()));
}

// Where nobody answers the node stays with what it tries, and is patient there.
const Candidate& Mobility::best_of(const std::vector<Candidate>& candidates) const {
    const Candidate& best = candidates.front();
    if (!current_ || best.at_home || !reachability_.is_silent(best.care_of_address)) return best;
    const auto same = std::ranges::find_if(
        candidates, [&](const Candidate& one) { return is_same_place(one, *current_); });
    return same == candidates.end() ? best : *same;
}

bool Mobility::is_unanswered(Clock::time_point now) const {
    const auto status = node_.status();
    return current_ && !current_->at_home && !shutting_down_ &&
           status.attempts >= Reachability::kUnanswered && status.next_transmission &&
           *status.next_transmission <= now && !reachability_.is_silent(current_->care_of_address);
}

void Mobility::protocol_alarm() {
    const auto now = Clock::now();
    node_.note_udp_sent(data_path_.last_udp());
    if (is_unanswered(now)) {
        reachability_.note_silent(current_->care_of_address, now);
        spdlog::warn("no answer from the home agent at {}",
                     current_->care_of_address.is_ipv4()
                         ? current_->care_of_address.home_agent().to_string()
                         : config_.home_agent.to_string());
        if (const auto deadline = reachability_.next_deadline()) rest_alarm_.set(*deadline);
        choose();
    }
    run(node_.tick(now));
}

void Mobility::rest_is_over() {
    if (reachability_.expire(Clock::now())) {
        choose();
        update_route();
    }
    if (const auto deadline = reachability_.next_deadline()) rest_alarm_.set(*deadline);
}

void Mobility::detach() {
    spdlog::warn("no attachment left (was {})", name_of(current_));
    leave_home();
    current_.reset();
    changed_("detached", "no link with an address and a route to the home agent");
    run(node_.detach(Clock::now()));
}

void Mobility::shut_down() {
    shutting_down_ = true;
    if (optimisation_) optimisation_->shut_down();
    go_on_shutting_down();
}

void Mobility::go_on_shutting_down() {
    if (optimisation_ && !optimisation_->finished()) return;
    run(node_.shutdown(Clock::now()));
}

void Mobility::signalling(ConstByteSpan packet, const Origin& origin) {
    if (packet.size() > sizeof(Ipv6Header) &&
        packet[offsetof(Ipv6Header, next_header)] == number(IpProtocol::kIcmpv6)) {
        return prefixes_.receive(packet, origin.is_protected, origin.had_routing_header);
    }
    if (optimisation_ && tunnel::source_of(packet) != config_.home_agent) {
        return optimisation_->signalling(packet, origin.from_home_agent);
    }
    const auto answers = [this] {
        const auto& counters = node_.counters();
        return counters.acknowledgements_accepted + counters.acknowledgements_rejecting;
    };
    const std::uint64_t before = answers();
    const auto actions = node_.receive(packet, origin.is_protected, Clock::now());
    if (answers() != before) {
        data_path_.confirm_update();
        if (current_ && !current_->at_home) reachability_.note_answer(current_->care_of_address);
    }
    run(actions);
}

void Mobility::tunnelled(ConstByteSpan packet) {
    if (optimisation_) optimisation_->tunnelled(packet);
}

void Mobility::icmp_error(ConstByteSpan packet) {
    if (optimisation_) optimisation_->icmp_error(packet);
}

// --------------------------------------------------------------------------------- at home

void Mobility::enter_home(const Candidate& candidate) {
    const Link* link = table_.find(candidate.interface);
    if (link == nullptr || !link->mac) {
        spdlog::warn("{}: the home link has no Ethernet address, nobody will find us there",
                     candidate.name);
        return;
    }
    auto home =
        HomeLink::open(candidate.interface, candidate.name, *link->mac, config_.home_address);
    if (!home) {
        spdlog::error("home link: {}", home.error().text);
        return;
    }
    home_.emplace(std::move(*home));
    home_name_ = candidate.name;
    home_readiness_ = Readiness(context_, home_->descriptor(), [this] { home_ready(); });
    home_has_default_.reset();
    refresh_home_routes();
}

void Mobility::leave_home() {
    announce_alarm_.clear();
    home_readiness_ = {};
    home_.reset();
}

void Mobility::refresh_home_routes() {
    if (!home_) return;
    const bool has_default = std::ranges::any_of(table_.routes(), [&](const LinkRoute& route) {
        return route.interface == home_->index() && route.destination.length == 0;
    });
    if (home_has_default_ == has_default) return;
    home_has_default_ = has_default;
    if (auto done = host_.set_home_link(home_->index(), home_name_, !has_default); !done) {
        spdlog::warn("home link: {}", done.error().text);
    }
}

void Mobility::home_ready() {
    for (int i = 0; i < 64; ++i) {
        const auto answer = home_->receive();
        if (!answer) return;
        if (!answer->is_for_us || answer->packet.empty()) {
            counters_.add(Counter::kNdIgnored);
        } else if (update_sent_at_home_ && data_path_.send(home_->index(), answer->packet)) {
            counters_.add(Counter::kNdAnswered);
        }
    }
}

void Mobility::announce() {
    if (!home_ || announcements_left_ == 0) return;
    --announcements_left_;
    if (data_path_.send(home_->index(), home_->announcement())) {
        counters_.add(Counter::kNdAnnounced);
    }
    if (config_.ipv4_home_address && !config_.ipv4_home_address->is_unspecified() &&
        !home_->announce(*config_.ipv4_home_address)) {
        spdlog::warn("{}: no ARP announcement", home_name_);
    }
    if (announcements_left_ > 0) announce_alarm_.set(Clock::now() + kBetweenAnnouncements);
}

// ------------------------------------------------------------------------------ protocol actions

void Mobility::run(const mip6::MobileNodeActions& actions) {
    for (const auto& action : actions) std::visit([this](const auto& one) { act(one); }, action);
    update_route();
    if (const auto deadline = node_.next_deadline()) {
        node_alarm_.set(*deadline);
    } else {
        node_alarm_.clear();
    }
}

void Mobility::act(const mip6::SendBindingUpdate& action) {
    std::optional<mip6::CareOf> care_of_address;
    int interface = current_ ? current_->interface : 0;
    if (!action.is_home) {
        care_of_address = action.care_of_address;
        if (!current_ || current_->care_of_address != action.care_of_address) {
            interface = interface_of(action.care_of_address);
        }
    }
    update_sent_at_home_ = action.is_home;
    const bool sent = data_path_.send_binding_update(action.packet, interface, care_of_address);
    spdlog::debug("binding update {} from {}{}", action.sequence,
                  care_of_address ? care_of_address->to_string() : std::string("home"),
                  sent ? "" : ": not sent");
    changed_("binding_update", "sequence " + std::to_string(action.sequence) + " from " +
                                   (care_of_address ? care_of_address->to_string() : "home"));
}

void Mobility::act(const mip6::SwitchTunnel& action) {
    const bool is_news =
        tunnel_ != action.care_of_address || encapsulation_ != action.encapsulation;
    tunnel_ = action.care_of_address;
    encapsulation_ = action.encapsulation;
    tunnel_interface_ = interface_of(action.care_of_address);
    remember_care_of_address(action.care_of_address);
    finish_handover();
    if (!is_news) return;
    update_route();
    unsigned mtu = link_mtu(tunnel_interface_);
    if (const unsigned known = data_path_.known_path_mtu(); known != 0) {
        mtu = std::min(mtu, known);
    }
    set_tunnel_mtu(mtu);
    if (action.care_of_address.is_ipv4()) {
        spdlog::info("data leave from {} as {}", describe(action.care_of_address),
                     to_string(action.encapsulation));
    }
    changed_("tunnel", "from " + describe(action.care_of_address));
}

void Mobility::act(const mip6::TunnelDown&) {
    tunnel_.reset();
    changed_("tunnel", "down");
}

void Mobility::act(const mip6::AnnounceAtHome&) {
    settle_at_home();
}

void Mobility::act(const mip6::Ipv4HomeAddressNews& news) {
    if (news.bound) paths_.set_ipv4_home_address(news.address);
    paths_.set_ipv4_bound(news.bound);
    const bool dynamic = config_.ipv4_home_address->is_unspecified();
    const auto home_address =
        news.bound ? std::optional(news.address)
                   : (dynamic ? std::nullopt : std::optional(*config_.ipv4_home_address));
    if (auto done = host_.set_ipv4_home_address(home_address, news.bound); !done) {
        spdlog::error("{}", done.error().text);
    }
    const std::string address =
        news.bound ? news.address.to_string()
                   : (dynamic ? "dynamic" : config_.ipv4_home_address->to_string());
    if (news.bound) {
        spdlog::info("the home agent serves the IPv4 home address {}", address);
        changed_("ipv4", address + " bound");
        return;
    }
    if (news.status) {
        spdlog::warn(
            "the home agent does not serve the IPv4 home address {}: status {} of RFC 5555 "
            "section 3.2.1",
            address, *news.status);
    }
    changed_("ipv4", address + " not bound");
}

void Mobility::act(const mip6::Ipv4NetworkNews& news) {
    const mip6::MobileRouterConfig& router = config_.mobile_router.protocol;
    paths_.set_mobile_network({router.prefixes, news.served});
    for (const Ipv4Prefix& prefix : router.ipv4_prefixes) {
        const bool served = std::ranges::find(news.served, prefix) != news.served.end();
        changed_("mobile_network", prefix.to_string() + (served ? " served" : " not served"));
    }
}

void Mobility::act(const mip6::StateChanged& action) {
    spdlog::info("{} -> {}: {}", to_string(action.from), to_string(action.to), action.reason);
    // Neither comes with another action when the home agent need not be asked.
    if (action.to == mip6::MobileNodeState::kAtHome) settle_at_home();
    if (action.to == mip6::MobileNodeState::kRegistered) {
        finish_handover();
        // After each acknowledgement: the NAT may have lost what it knew.
        update_route();
        data_path_.open_esp_mapping();
    }
    changed_("state", std::string(to_string(action.to)) + ": " + action.reason);
}

void Mobility::settle_at_home() {
    tunnel_.reset();
    finish_handover();
    if (!home_ || home_->is_owned()) return;
    home_->own();
    update_sent_at_home_ = true;
    announcements_left_ = kAnnouncements;
    announce();
    changed_("at_home", home_name_);
}

// ------------------------------------------------------------------------------------ data path

Route Mobility::best_route() const {
    if (tunnel_ && interface_of(*tunnel_) != 0) {
        return {Route::Kind::kTunnel, tunnel_interface_, *tunnel_, encapsulation_};
    }
    // On its way back the home address is used at home from the binding update on, if the tunnel is
    // no longer usable (RFC 6275 section 11.5.5).
    if (current_ && current_->at_home && home_ && update_sent_at_home_) {
        return {Route::Kind::kHome, current_->interface, {}};
    }
    // Away from home, but not registered yet: the old way stays for as long as it is there.
    const Route& now = data_path_.route();
    if (now.kind == Route::Kind::kHome && !tunnel_ && current_ && !current_->at_home) {
        const Link* link = table_.find(now.interface);
        if (link != nullptr && link->running) return now;
    }
    return {};
}

void Mobility::update_route() {
    using State = mip6::MobileNodeState;
    const Route route = best_route();
    accept_care_of_addresses();
    const State state = node_.status().state;
    data_path_.set_holding(state == State::kMoving || state == State::kReturning ||
                           state == State::kRegistering || state == State::kRefreshing ||
                           (state == State::kDetached && tunnel_));
    if (route == data_path_.route()) return follow_route();
    // Before the first packet takes the new way, also one that was held (S1.37).
    if (route.kind != Route::Kind::kNone) {
        if (auto done = security_.set_at_home(route.kind == Route::Kind::kHome); !done) {
            spdlog::error("{}", done.error().text);
        }
    }
    if (auto done = host_.set_ipv4_native(route.kind == Route::Kind::kHome); !done) {
        spdlog::error("{}", done.error().text);
    }
    if (optimisation_) optimisation_->prepare(ipv6_only(route));
    data_path_.set_route(route);
    follow_route();
    spdlog::debug("packets leave by: {}", to_string(route.kind));
}

void Mobility::follow_route() {
    const auto status = node_.status();
    prefixes_.follow(data_path_.route(), status.registered_care_of_address.has_value());
    // Each acknowledgement with status 1 is a reason to ask once (RFC 6275 section 11.7.3).
    const bool told = status.last_status == wire::BindingStatus::kAcceptedPrefixDiscoveryNecessary;
    if (told && !std::exchange(told_of_prefixes_, true)) (void)prefixes_.solicit();
    if (!told) told_of_prefixes_ = false;
    if (!optimisation_) return;
    optimisation_->follow(ipv6_only(data_path_.route()),
                          status.state == mip6::MobileNodeState::kAtHome, status.expires);
}

// No route optimisation from an IPv4 care-of address (mipv6.md section 5.1).
Route Mobility::ipv6_only(const Route& route) {
    return route.kind == Route::Kind::kTunnel && route.care_of_address.is_ipv4() ? Route{} : route;
}

void Mobility::remember_care_of_address(const mip6::CareOf& address) {
    std::erase(earlier_care_of_addresses_, address);
    earlier_care_of_addresses_.push_front(address);
    if (earlier_care_of_addresses_.size() > kEarlierCareOfAddresses) {
        earlier_care_of_addresses_.pop_back();
    }
    accept_care_of_addresses();
}

void Mobility::accept_care_of_addresses() {
    std::vector<Ipv6Address> ours;
    std::vector<Ipv4Address> ours4;
    for (const mip6::CareOf& address : earlier_care_of_addresses_) {
        if (interface_of(address) == 0) continue;
        if (address.is_ipv4()) {
            ours4.push_back(address.ipv4());
        } else {
            ours.push_back(address.ipv6());
        }
    }
    paths_.set_care_of_addresses(std::move(ours));
    paths_.set_ipv4_care_of_addresses(std::move(ours4));
}

int Mobility::interface_of(const mip6::CareOf& care_of_address) const {
    if (care_of_address.is_ipv4()) {
        const int link = care_of_address.link();
        return table_.has_address(link, care_of_address.ipv4()) ? link : 0;
    }
    for (const auto& [index, link] : table_.links()) {
        if (table_.has_address(index, care_of_address.ipv6())) return index;
    }
    return 0;
}

// -------------------------------------------------------------------------------------- the MTU

unsigned Mobility::link_mtu(int interface) const {
    const Link* link = table_.find(interface);
    return link == nullptr ? 1500 : link->mtu;
}

unsigned Mobility::inner_mtu(unsigned path_mtu) const {
    return security_.tunnel_mtu(path_mtu,
                                outer_octets(data_path_.route(), security_.protects_payload(),
                                             config_.dual_stack.nested_esp));
}

void Mobility::path_mtu(unsigned mtu) {
    if (inner_mtu(mtu) >= tunnel_mtu_) return;
    set_tunnel_mtu(mtu);
    mtu_alarm_.set(Clock::now() + kPathMtuAge);
}

void Mobility::set_tunnel_mtu(unsigned path_mtu) {
    // Below 1280 the outer packets are fragmented (RFC 2473 section 7.1).
    const unsigned mtu = std::max<unsigned>(inner_mtu(path_mtu), kIpv6MinimumMtu);
    if (mtu == tunnel_mtu_) return;
    if (auto done = host_.set_mtu(mtu); !done) {
        spdlog::warn("{}", done.error().text);
        return;
    }
    tunnel_mtu_ = mtu;
    spdlog::info("MTU of {} is {}", config_.tunnel.name, mtu);
}

// ------------------------------------------------------------------------------------ handovers

void Mobility::start_handover(const std::string& to) {
    if (!handovers_.empty()) handovers_.back() = count(handovers_.back());
    Handover handover;
    handover.at = std::chrono::system_clock::now();
    handover.from = name_of(current_);
    handover.to = to;
    handover_started_ = Clock::now();
    // Until the next handover these hold what the counters were.
    handover.sent = counters_[Counter::kTunnelSent] + counters_[Counter::kHomeSent];
    handover.received = counters_[Counter::kTunnelReceived];
    handover.dropped = counters_[Counter::kDropNoBinding] + counters_[Counter::kDropQueueFull] +
                       counters_[Counter::kDropQueueExpired] + counters_[Counter::kDropSend];
    handover.held = counters_[Counter::kQueued];
    handovers_.push_back(std::move(handover));
    if (handovers_.size() > kMostHandovers) handovers_.pop_front();
}

void Mobility::finish_handover() {
    if (handovers_.empty() || handovers_.back().duration) return;
    handovers_.back().duration =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - handover_started_);
}

Handover Mobility::count(Handover handover) const {
    handover.sent = counters_[Counter::kTunnelSent] + counters_[Counter::kHomeSent] - handover.sent;
    handover.received = counters_[Counter::kTunnelReceived] - handover.received;
    handover.dropped = counters_[Counter::kDropNoBinding] + counters_[Counter::kDropQueueFull] +
                       counters_[Counter::kDropQueueExpired] + counters_[Counter::kDropSend] -
                       handover.dropped;
    handover.held = counters_[Counter::kQueued] - handover.held;
    return handover;
}

std::vector<Handover> Mobility::handovers() const {
    std::vector<Handover> out(handovers_.begin(), handovers_.end());
    if (!out.empty()) out.back() = count(out.back());
    return out;
}

}  // namespace homeport::mobile_node
