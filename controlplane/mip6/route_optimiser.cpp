// SPDX-License-Identifier: BSD-3-Clause
// Events and messages out; route_optimiser_answers.cpp is what comes in.
#include "controlplane/mip6/route_optimiser.hpp"

#include <algorithm>
#include <utility>

namespace homeport::mip6 {

using std::chrono::seconds;

RouteOptimiser::RouteOptimiser(RouteOptimiserConfig config, std::function<std::uint64_t()> random)
    : config_(std::move(config)),
      random_(std::move(random)),
      starts_(config_.starts_per_second, config_.starts_burst) {}

RouteOptimiserActions RouteOptimiser::take_actions() {
    erase_gone();
    if (std::exchange(routes_changed_, false)) {
        // First: nothing may take a way that is no longer there.
        actions_.insert(actions_.begin(), RoutesChanged{});
    }
    return std::exchange(actions_, {});
}

void RouteOptimiser::erase_gone() {
    for (const Ipv6Address& address : std::exchange(gone_, {})) entries_.erase(address);
}

void RouteOptimiser::news(const Ipv6Address& correspondent, const char* text,
                          std::optional<wire::BindingStatus> status) {
    actions_.emplace_back(CorrespondentNews{correspondent, text, status});
}

RouteOptimiser::Entry* RouteOptimiser::find(const Ipv6Address& correspondent) {
    const auto found = entries_.find(correspondent);
    return found == entries_.end() ? nullptr : &found->second;
}

bool RouteOptimiser::is_usable(const Entry& entry) const {
    return place_ == Place::kAway && !shutdown_deadline_ && entry.binding &&
           entry.purpose != Purpose::kDelete && entry.binding->care_of_address == care_of_address_;
}

std::vector<Ipv6Address> RouteOptimiser::routes() const {
    std::vector<Ipv6Address> out;
    for (const auto& [address, entry] : entries_) {
        if (is_usable(entry)) out.push_back(address);
    }
    return out;
}

std::vector<Ipv6Address> RouteOptimiser::bound() const {
    std::vector<Ipv6Address> out;
    for (const auto& [address, entry] : entries_) {
        if (entry.binding) out.push_back(address);
    }
    return out;
}

// --------------------------------------------------------------------------------------- movement

RouteOptimiserActions RouteOptimiser::away(const Ipv6Address& care_of_address,
                                           TimePoint binding_expires, TimePoint now) {
    now_ = now;
    home_binding_expires_ = binding_expires;
    if (shutdown_deadline_) return {};
    if (place_ == Place::kAway && care_of_address_ == care_of_address) return {};
    const bool returned_to_same = care_of_address_ == care_of_address && place_ == Place::kDetached;
    place_ = Place::kAway;
    care_of_address_ = care_of_address;
    routes_changed_ = true;
    for (auto& [address, entry] : entries_) {
        if (entry.purpose == Purpose::kDelete) stop(entry);  // left home before it was done
        if (returned_to_same) {
            proceed(address, entry);
            continue;
        }
        const bool wanted = entry.binding || entry.purpose == Purpose::kRegister;
        stop(entry);
        entry.care_of_token.reset();
        if (wanted) begin(address, entry, Purpose::kRegister);
    }
    return take_actions();
}

RouteOptimiserActions RouteOptimiser::at_home(TimePoint now) {
    now_ = now;
    if (place_ == Place::kHome || shutdown_deadline_) return {};
    place_ = Place::kHome;
    care_of_address_.reset();
    routes_changed_ = true;
    for (auto& [address, entry] : entries_) {
        stop(entry);
        entry.care_of_token.reset();
        if (entry.binding) begin(address, entry, Purpose::kDelete);
    }
    return take_actions();
}

RouteOptimiserActions RouteOptimiser::detached(TimePoint now) {
    now_ = now;
    if (place_ == Place::kDetached) return {};
    place_ = Place::kDetached;
    routes_changed_ = true;
    return take_actions();
}

RouteOptimiserActions RouteOptimiser::shutdown(TimePoint now) {
    now_ = now;
    if (shutdown_deadline_) return {};
    shutdown_deadline_ = now + config_.shutdown_patience;
    routes_changed_ = true;
    for (auto& [address, entry] : entries_) {
        stop(entry);
        if (entry.binding && place_ != Place::kDetached) {
            begin(address, entry, Purpose::kDelete);
        } else {
            gone_.push_back(address);
        }
    }
    return take_actions();
}

bool RouteOptimiser::finished() const {
    return shutdown_deadline_ && (entries_.empty() || now_ >= *shutdown_deadline_);
}

// ---------------------------------------------------------------------------------------- traffic

bool RouteOptimiser::is_candidate(const Ipv6Address& correspondent) const {
    return correspondent.is_unicast_routable() && correspondent != config_.home_agent &&
           correspondent != config_.home_address && correspondent != care_of_address_ &&
           std::ranges::any_of(config_.correspondents, [&](const Ipv6Prefix& prefix) {
               return prefix.contains(correspondent);
           });
}

// Of those that have nothing at stake the one that was silent for longest goes.
bool RouteOptimiser::make_room() {
    if (entries_.size() < config_.most) return true;
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
        if (it->second.binding || it->second.purpose != Purpose::kNone) continue;
        if (oldest == entries_.end() || it->second.last_traffic < oldest->second.last_traffic) {
            oldest = it;
        }
    }
    if (oldest == entries_.end()) return false;
    entries_.erase(oldest);
    return true;
}

RouteOptimiserActions RouteOptimiser::tunnelled_from(const Ipv6Address& correspondent,
                                                     TimePoint now) {
    now_ = now;
    if (place_ != Place::kAway || shutdown_deadline_ || !is_candidate(correspondent)) return {};
    Entry* entry = find(correspondent);
    if (entry != nullptr) {
        entry->last_traffic = now;
        if (entry->purpose != Purpose::kNone || (entry->rests_until && *entry->rests_until > now)) {
            return {};
        }
        // It may have lost the binding; or the packet was under way while it was made.
        if (is_usable(*entry) && (now - entry->binding->since < config_.unauthentic_interval ||
                                  !may_act_unauthentic(*entry))) {
            return {};
        }
    }
    if (!starts_.take(now) || (entry == nullptr && !make_room())) {
        ++counters_.limited;
        return {};
    }
    if (entry == nullptr) {
        entry = &entries_[correspondent];
        entry->last_traffic = now;
        entry->next_sequence = static_cast<std::uint16_t>(random_());
    }
    begin(correspondent, *entry, Purpose::kRegister);
    return take_actions();
}

void RouteOptimiser::used(const Ipv6Address& correspondent, TimePoint now) {
    if (Entry* entry = find(correspondent)) entry->last_traffic = now;
}

RouteOptimiserActions RouteOptimiser::unsupported(const Ipv6Address& correspondent,
                                                  const char* reason, TimePoint now) {
    now_ = now;
    Entry* entry = find(correspondent);
    // RFC 6275 section 11.3.5: such errors make no entries.
    if (entry == nullptr || (entry->purpose == Purpose::kNone && !is_usable(*entry))) return {};
    news(correspondent, reason);
    if (entry->purpose == Purpose::kDelete) {
        end_deletion(correspondent, *entry);
    } else {
        drop_binding(*entry);
        rest(*entry, config_.refused_for);
    }
    return take_actions();
}

// ------------------------------------------------------------------------------------- procedures

bool RouteOptimiser::is_fresh(const std::optional<Token>& token) const {
    return token && now_ - token->asked < config_.token_lifetime;
}

RouteOptimiser::Message& RouteOptimiser::message_of(Entry& entry, Kind kind) {
    switch (kind) {
        case Kind::kHomeTest:
            return entry.home_test;
        case Kind::kCareOfTest:
            return entry.care_of_test;
        case Kind::kUpdate:
            break;
    }
    return entry.update;
}

void RouteOptimiser::begin(const Ipv6Address& correspondent, Entry& entry, Purpose purpose) {
    if (is_usable(entry) && purpose == Purpose::kDelete) routes_changed_ = true;
    stop(entry);
    entry.rests_until.reset();
    entry.purpose = purpose;
    proceed(correspondent, entry);
}

void RouteOptimiser::stop(Entry& entry) {
    entry.purpose = Purpose::kNone;
    entry.updates.clear();
    entry.nonce_failures = 0;
    for (const Kind kind : {Kind::kHomeTest, Kind::kCareOfTest, Kind::kUpdate}) {
        message_of(entry, kind).outstanding = false;
    }
}

/// Whatever is needed next and not asked for yet (RFC 6275 sections 11.6.1, 11.7.2).
void RouteOptimiser::proceed(const Ipv6Address& correspondent, Entry& entry) {
    if (entry.purpose == Purpose::kNone || place_ == Place::kDetached) return;
    const bool needs_home = !is_fresh(entry.home_token);
    const bool needs_care_of =
        entry.purpose == Purpose::kRegister &&
        !(is_fresh(entry.care_of_token) && entry.care_of_token_address == care_of_address_);
    if (needs_home && !entry.home_test.outstanding) ask(correspondent, entry, Kind::kHomeTest);
    if (needs_care_of && !entry.care_of_test.outstanding) {
        ask(correspondent, entry, Kind::kCareOfTest);
    }
    if (!needs_home && !needs_care_of && !entry.update.outstanding) {
        ask(correspondent, entry, Kind::kUpdate);
    }
}

void RouteOptimiser::ask(const Ipv6Address& correspondent, Entry& entry, Kind kind) {
    Message& message = message_of(entry, kind);
    message.outstanding = true;
    message.attempts = 0;
    message.timeout = config_.initial_timeout;
    message.cookie = random_();
    transmit(correspondent, entry, kind);
}

void RouteOptimiser::transmit(const Ipv6Address& correspondent, Entry& entry, Kind kind) {
    Message& message = message_of(entry, kind);
    while (!message.recent.empty() && message.recent.front() + seconds{1} <= now_) {
        message.recent.pop_front();
    }
    if (message.recent.size() >= config_.max_update_rate) {
        message.next = message.recent.front() + seconds{1};
        return;
    }
    if (kind == Kind::kUpdate && !send_update(correspondent, entry)) return;
    if (kind == Kind::kHomeTest) {
        ++counters_.home_tests_sent;
        actions_.emplace_back(SendHomeTestInit{wire::mobility_packet(
            wire::HomeTestInit{message.cookie, {}}, config_.home_address, correspondent)});
    } else if (kind == Kind::kCareOfTest) {
        ++counters_.care_of_tests_sent;
        actions_.emplace_back(
            SendCareOfTestInit{wire::mobility_packet(wire::CareOfTestInit{message.cookie, {}},
                                                     *care_of_address_, correspondent),
                               *care_of_address_});
    }
    ++message.attempts;
    message.sent = now_;
    message.recent.push_back(now_);
    message.next = now_ + message.timeout;
    message.timeout = std::min<Duration>(message.timeout * 2, config_.max_timeout);
}

/// False: there is no use in it any more, and something else was begun.
bool RouteOptimiser::send_update(const Ipv6Address& correspondent, Entry& entry) {
    const bool registers = entry.purpose == Purpose::kRegister;
    if (!is_fresh(entry.home_token) || (registers && !is_fresh(entry.care_of_token))) {
        entry.update.outstanding = false;
        proceed(correspondent, entry);
        return false;
    }
    wire::FourSecondUnits lifetime;
    if (registers) {
        // No longer than the home agent has us (RFC 6275 section 11.7.2).
        lifetime = std::min(wire::FourSecondUnits::floor(config_.lifetime),
                            wire::FourSecondUnits::floor(home_binding_expires_ - now_));
        lifetime = std::max(lifetime, wire::FourSecondUnits{1});
    }
    const Ipv6Address signed_address = registers ? *care_of_address_ : config_.home_address;
    const std::optional<std::uint64_t> care_of_token =
        registers ? std::optional(entry.care_of_token->value) : std::nullopt;
    Update update{entry.next_sequence++, now_, lifetime, signed_address,
                  BindingManagementKey(entry.home_token->value, care_of_token)};
    wire::BindingUpdate message;
    message.acknowledge = true;
    message.sequence = update.sequence;
    message.lifetime = lifetime;
    message.options.emplace_back(wire::NonceIndices{
        entry.home_token->index, registers ? entry.care_of_token->index : std::uint16_t{0}});
    ++counters_.updates_sent;
    actions_.emplace_back(SendCorrespondentUpdate{
        authenticated_update(message, config_.home_address, correspondent, signed_address,
                             update.key),
        place_ == Place::kAway ? care_of_address_ : std::nullopt, update.sequence});
    if (entry.updates.size() == kMostOutstanding) entry.updates.erase(entry.updates.begin());
    entry.updates.push_back(std::move(update));
    return true;
}

void RouteOptimiser::give_up(const Ipv6Address& correspondent, Entry& entry) {
    ++counters_.given_up;
    if (entry.purpose == Purpose::kDelete) {
        news(correspondent, "no answer to the deletion");
        return end_deletion(correspondent, entry);
    }
    news(correspondent, "no answer");
    if (entry.binding && entry.binding->care_of_address != care_of_address_) drop_binding(entry);
    back_off(entry);
}

/// After max_failures in a row it is left alone for long (RFC 6275 section 11.6: MAX_RO_FAILURE).
void RouteOptimiser::back_off(Entry& entry) {
    if (++entry.failures >= config_.max_failures) {
        entry.failures = 0;
        entry.backoff = {};
        return rest(entry, config_.refused_for);
    }
    entry.backoff = entry.backoff == Duration::zero()
                        ? Duration{config_.initial_backoff}
                        : std::min<Duration>(entry.backoff * 2, config_.max_backoff);
    rest(entry, entry.backoff);
}

void RouteOptimiser::rest(Entry& entry, Duration duration) {
    stop(entry);
    entry.rests_until = now_ + duration;
}

void RouteOptimiser::drop_binding(Entry& entry) {
    if (entry.binding) routes_changed_ = true;
    entry.binding.reset();
}

void RouteOptimiser::end_deletion(const Ipv6Address& correspondent, Entry& entry) {
    drop_binding(entry);
    stop(entry);
    gone_.push_back(correspondent);
}

// ------------------------------------------------------------------------------------------ time

RouteOptimiserActions RouteOptimiser::tick(TimePoint now) {
    now_ = now;
    for (auto& [address, entry] : entries_) tick_entry(address, entry);
    return take_actions();
}

void RouteOptimiser::tick_entry(const Ipv6Address& correspondent, Entry& entry) {
    if (entry.binding && entry.binding->expires <= now_) {
        drop_binding(entry);
        news(correspondent, "binding expired");
        if (entry.purpose == Purpose::kDelete) return end_deletion(correspondent, entry);
    }
    if (entry.rests_until && *entry.rests_until <= now_) {
        entry.rests_until.reset();
        if (!entry.binding && now_ - entry.last_traffic > config_.idle) {
            gone_.push_back(correspondent);
            return;
        }
    }
    if (place_ == Place::kDetached) return;
    if (entry.purpose == Purpose::kNone && is_usable(entry) && entry.binding->refresh_at <= now_ &&
        !entry.rests_until) {
        if (now_ - entry.last_traffic <= config_.idle) {
            begin(correspondent, entry, Purpose::kRegister);
        } else {
            entry.binding->refresh_at = entry.binding->expires;  // nobody needs it
        }
        return;
    }
    for (const Kind kind : {Kind::kHomeTest, Kind::kCareOfTest, Kind::kUpdate}) {
        const Message& message = message_of(entry, kind);
        if (!message.outstanding || message.next > now_) continue;
        if (message.attempts >= config_.attempts) return give_up(correspondent, entry);
        transmit(correspondent, entry, kind);
    }
}

std::optional<RouteOptimiser::TimePoint> RouteOptimiser::next_deadline() const {
    std::optional<TimePoint> next = shutdown_deadline_;
    const auto consider = [&next](TimePoint time) {
        if (!next || time < *next) next = time;
    };
    for (const auto& [address, entry] : entries_) {
        if (entry.binding) consider(entry.binding->expires);
        if (entry.rests_until) consider(*entry.rests_until);
        if (place_ == Place::kDetached) continue;
        if (entry.purpose == Purpose::kNone && is_usable(entry) && !entry.rests_until) {
            consider(entry.binding->refresh_at);
        }
        for (const Message* message : {&entry.home_test, &entry.care_of_test, &entry.update}) {
            if (message->outstanding) consider(message->next);
        }
    }
    return next;
}

std::vector<RouteOptimiser::Status> RouteOptimiser::status() const {
    std::vector<Status> out;
    for (const auto& [address, entry] : entries_) {
        Status one;
        one.correspondent = address;
        if (entry.purpose == Purpose::kDelete) {
            one.state = "deleting";
        } else if (entry.purpose == Purpose::kRegister) {
            one.state = entry.update.outstanding ? "updating" : "testing";
        } else if (is_usable(entry)) {
            one.state = "bound";
        } else {
            one.state = entry.rests_until ? "resting" : "idle";
        }
        if (entry.binding) {
            one.care_of_address = entry.binding->care_of_address;
            one.expires = entry.binding->expires;
        }
        one.rests_until = entry.rests_until;
        one.sequence = static_cast<std::uint16_t>(entry.next_sequence - 1);
        one.failures = entry.failures;
        one.last_status = entry.last_status;
        out.push_back(one);
    }
    return out;
}

}  // namespace homeport::mip6
