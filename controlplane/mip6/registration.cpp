// SPDX-License-Identifier: BSD-3-Clause
// What a binding update changes once it has been judged: entries, defence of addresses, answers.
#include <algorithm>
#include <utility>

#include "controlplane/mip6/home_agent.hpp"

namespace homeport::mip6 {

using binding::Entry;
using binding::State;
using wire::BindingAcknowledgement;
using wire::BindingStatus;

namespace {

constexpr std::chrono::seconds kAdvertisementInterval{1};  // RetransTimer, RFC 4861 10

StartDad dad_of(const BindingRequest& request, std::uint16_t port) {
    StartDad start{request.home_address, std::nullopt, port};
    if (request.update.link_local) start.link_local = link_local_of(request.home_address);
    return start;
}

}  // namespace

// --- answers ----------------------------------------------------------------------------------

void HomeAgent::acknowledge(const BindingRequest& request, BindingAcknowledgement answer) {
    const bool accepted = static_cast<unsigned>(answer.status) < 128;
    if (const auto nat = nat_detection(request, accepted)) answer.options.emplace_back(*nat);
    actions_.push_back(SendMobilityMessage{
        .packet = wire::mobility_packet(answer, request.home_agent, request.home_address),
        .home_address = request.home_address,
        .reply_to = request.info.wire_source,
        .reply_to_port = request.info.wire_port,
        .reply_from = request.is_over_ipv6() ? std::nullopt : request.info.local_endpoint,
        .routing_header_2 = request.info.had_hao && request.is_over_ipv6(),
        .port = request.info.port,
        .protect = request.info.protected_by_ipsec});
}

void HomeAgent::reject(const BindingRequest& request, BindingStatus status, const char* detail) {
    counters_.add_rejected(status);
    actions_.push_back(CountEvent{Counter::kBuRejected, request.home_address,
                                  request.info.wire_source, status, detail});
    const Entry* entry = cache_.find(request.home_address);
    if (request.sequence_noted && entry != nullptr) actions_.push_back(PersistBinding{*entry});
    BindingAcknowledgement answer{
        .status = status, .sequence = request.update.sequence, .lifetime = {}, .options = {}};
    if (status == BindingStatus::kSequenceNumberOutOfWindow && entry != nullptr) {
        answer.sequence = entry->sequence;
    }
    acknowledge(request, std::move(answer));
}

// --- acceptance -------------------------------------------------------------------------------

/// RFC 6275 10.3.1: no more than asked for, than policy, and than the prefix is still valid.
wire::FourSecondUnits HomeAgent::grant(const BindingRequest& request) const {
    auto granted = std::min(
        request.update.lifetime,
        std::max(wire::FourSecondUnits::floor(config_.max_lifetime), wire::FourSecondUnits{1}));
    const HomePrefix* prefix = home_prefix_of(request.home_address);
    if (prefix == nullptr) return {};
    if (prefix->valid_until) {
        granted = std::min(granted, wire::FourSecondUnits::floor(*prefix->valid_until - now_));
    }
    return granted;
}

/// Status 1 if the prefix is deprecated, becomes so during the binding, or ends with it.
BindingStatus HomeAgent::acceptance(const Entry& entry) const {
    const HomePrefix* prefix = home_prefix_of(entry.home_address);
    const bool deprecated = prefix->preferred_until && *prefix->preferred_until <= entry.deadline;
    const bool ends = prefix->valid_until &&
                      *prefix->valid_until - entry.deadline < wire::FourSecondUnits{1}.seconds();
    return deprecated || ends ? BindingStatus::kAcceptedPrefixDiscoveryNecessary
                              : BindingStatus::kAccepted;
}

void HomeAgent::fill_entry(Entry& entry, const BindingRequest& request) const {
    const wire::BindingUpdate& update = request.update;
    const HomePrefix* prefix = home_prefix_of(request.home_address);
    fill_tunnel(entry, request);
    entry.home_registration = update.home_registration;
    entry.link_local = update.link_local;
    entry.key_management_mobility = grants_key_management_mobility(request);
    entry.mobile_router = update.mobile_router;
    entry.force_udp = update.force_udp;
    entry.home_agent = request.home_agent;
    entry.virtual_home_link = prefix->is_virtual;
    entry.home_port = prefix->port;
    entry.prefix_mode = request.prefix_mode;
    entry.mobile_prefixes = request.mobile_prefixes;
    entry.ipv4_homes = request.ipv4_homes;
    entry.updated = now_;
}

binding::Entry HomeAgent::new_entry(const BindingRequest& request) const {
    Entry entry;
    entry.home_address = request.home_address;
    entry.sequence = request.update.sequence;  // later ones are noted by step 14b
    if (const MobileNodePolicy* policy = policy_of(request.home_address)) {
        entry.node = policy->identity;
    }
    fill_entry(entry, request);
    return entry;
}

/// Manual keying: never (RFC 6275 6.1.7).
bool HomeAgent::grants_key_management_mobility(const BindingRequest& request) const {
    const MobileNodePolicy* policy = policy_of(request.home_address);
    return request.update.key_management_mobility && policy != nullptr &&
           policy->ike_moves_endpoint;
}

void HomeAgent::accept(BindingRequest& request) {
    const wire::FourSecondUnits granted = grant(request);
    if (granted.value == 0) {
        return reject(request, BindingStatus::kNotHomeSubnet, "home prefix ended meanwhile");
    }
    Entry* entry = cache_.find(request.home_address);
    if (entry == nullptr) {
        auto inserted = cache_.insert(new_entry(request));
        if (!inserted) {
            return reject(request, BindingStatus::kInsufficientResources, "limit of bindings");
        }
        entry = *inserted;
    }
    const State before = entry->state;
    const bool was_active = before == State::kActive;
    const IpAddress earlier = entry->care_of_address;
    const auto earlier_source = entry->outer_source;
    const auto defended = defended_ipv4(*entry);
    release_ipv4(*entry);
    fill_entry(*entry, request);
    entry->state = State::kActive;
    entry->lifetime = granted;
    cache_.set_deadline(*entry, now_ + granted.seconds());
    if (!was_active) entry->registered = now_;
    take_mapping(*entry, request);
    hold_ipv4(*entry);

    const auto counted = [&](Counter counter) {
        count(counter, request.home_address, request.info.wire_source);
    };
    counted(Counter::kBuAccepted);
    counted(was_active ? Counter::kBindingUpdated : Counter::kBindingCreated);
    if (was_active &&
        (earlier != entry->care_of_address || earlier_source != entry->outer_source)) {
        counted(Counter::kBindingSourceChanged);
        std::get<CountEvent>(actions_.back()).wire_port = request.info.wire_port;
    }
    count_tunnel(*entry, request);
    actions_.push_back(PersistBinding{*entry});
    actions_.push_back(InstallBinding{*entry});
    if (!was_active) {
        begin_advertising(*entry);
    } else if (const auto now_defended = defended_ipv4(*entry);
               !std::ranges::includes(defended, now_defended)) {
        begin_advertising(*entry, true);
    }
    acknowledge_acceptance(request, *entry);
}

void HomeAgent::acknowledge_acceptance(const BindingRequest& request, const Entry& entry) {
    const auto left = wire::FourSecondUnits::floor(binding::remaining(entry, now_));
    BindingAcknowledgement answer{.status = acceptance(entry),
                                  .key_management_mobility = entry.key_management_mobility,
                                  .mobile_router = entry.mobile_router,
                                  .sequence = request.update.sequence,
                                  .lifetime = std::max(left, wire::FourSecondUnits{1}),
                                  .options = {}};
    // Forbidden while bindings are in non-volatile storage (6.2.4); less than the lifetime.
    if (config_.refresh_advice && !config_.persistent_bindings &&
        *config_.refresh_advice < answer.lifetime) {
        answer.options.emplace_back(wire::BindingRefreshAdvice{*config_.refresh_advice});
    }
    for (const auto& ipv4 : request.ipv4_answers) answer.options.emplace_back(ipv4);
    acknowledge(request, std::move(answer));
}

// --- duplicate address detection --------------------------------------------------------------

StepResult HomeAgent::wait_for_dad(BindingRequest& request, Entry* entry,
                                   const HomePrefix& prefix) {
    count(Counter::kBuPending, request.home_address, request.info.wire_source);
    if (entry != nullptr && entry->state == State::kTentative) {
        const bool probe_link_local = request.update.link_local && !entry->link_local;
        release_ipv4(*entry);
        fill_entry(*entry, request);
        hold_ipv4(*entry);
        pending_.insert_or_assign(request.home_address, request);
        if (probe_link_local) {
            actions_.push_back(CancelDad{request.home_address, prefix.port});
            actions_.push_back(dad_of(request, prefix.port));
        }
        return StepResult::done();
    }
    if (entry == nullptr) {
        auto inserted = cache_.insert(new_entry(request));
        if (!inserted) {
            return StepResult::reject(BindingStatus::kInsufficientResources, "limit of bindings");
        }
        entry = *inserted;
    } else {
        fill_entry(*entry, request);
    }
    entry->state = State::kTentative;
    hold_ipv4(*entry);
    cache_.set_deadline(*entry, now_ + config_.dad_patience);
    pending_.insert_or_assign(request.home_address, request);
    // Joined before the first probe, so that the probes of others are heard (RFC 4862 5.4.2).
    join(*entry);
    actions_.push_back(dad_of(request, prefix.port));
    return StepResult::done();
}

Actions HomeAgent::dad_result(const Ipv6Address& home_address, bool unique, TimePoint now) {
    now_ = std::max(now_, now);
    auto waiting = pending_.extract(home_address);
    Entry* entry = cache_.find(home_address);
    if (waiting.empty() || entry == nullptr || entry->state != State::kTentative) return {};
    BindingRequest& request = waiting.mapped();
    if (unique && home_prefix_of(home_address) != nullptr) {
        accept(request);
        return take_actions();
    }
    request.sequence_noted = false;
    leave(*entry);
    release_ipv4(*entry);
    cache_.erase(home_address);
    actions_.push_back(ErasePersisted{home_address});
    if (unique) {
        reject(request, BindingStatus::kNotHomeSubnet, "home prefix ended meanwhile");
    } else {
        count(Counter::kNdDadFail, home_address, request.info.wire_source);
        reject(request, BindingStatus::kDuplicateAddressDetectionFailed,
               "home address is in use on the home link");
    }
    return take_actions();
}

// --- deregistration and removal ---------------------------------------------------------------

/// RFC 6275 10.3.2: stop at once, but remember the sequence number for a while.
void HomeAgent::deregister(BindingRequest& request) {
    Entry& entry = *cache_.find(request.home_address);
    count(Counter::kBuAccepted, request.home_address, request.info.wire_source);
    if (entry.state != State::kDeleteWait) {
        if (entry.is_active()) {
            count(Counter::kBindingDeleted, request.home_address, request.info.wire_source);
        }
        stop_service(entry, RemovalReason::kDeregistered);
        release_ipv4(entry);
        entry.ipv4_homes.clear();
        entry.state = State::kDeleteWait;
        entry.lifetime = {};
        cache_.set_deadline(entry, now_ + config_.delete_wait);
    }
    actions_.push_back(PersistBinding{entry});
    acknowledge(request, {.status = BindingStatus::kAccepted,
                          .key_management_mobility = grants_key_management_mobility(request),
                          .mobile_router = request.update.mobile_router,
                          .sequence = request.update.sequence,
                          .lifetime = {},
                          .options = {}});
}

/// Ends forwarding, defence and probing of an entry, whatever its state; it stays in the cache.
void HomeAgent::stop_service(const Entry& entry, RemovalReason reason) {
    if (entry.state == State::kTentative) {
        pending_.erase(entry.home_address);
        actions_.push_back(CancelDad{entry.home_address, entry.home_port});
    }
    if (entry.is_active()) actions_.push_back(RemoveBinding{entry.home_address, reason});
    if (entry.state != State::kDeleteWait) leave(entry);
}

void HomeAgent::remove(const Ipv6Address& home_address, RemovalReason reason) {
    const Entry* entry = cache_.find(home_address);
    if (entry == nullptr) return;
    stop_service(*entry, reason);
    release_ipv4(*entry);
    cache_.erase(home_address);
    actions_.push_back(ErasePersisted{home_address});
}

Actions HomeAgent::clear(const Ipv6Address& home_address, TimePoint now) {
    now_ = std::max(now_, now);
    const Entry* entry = cache_.find(home_address);
    if (entry != nullptr && entry->is_active()) {
        count(Counter::kBindingDeleted, home_address, entry->care_of_address, "by the operator");
    }
    remove(home_address, RemovalReason::kCleared);
    return take_actions();
}

Actions HomeAgent::tick(TimePoint now) {
    now_ = std::max(now_, now);
    due_.clear();
    cache_.collect_due(now_, due_);
    for (const Ipv6Address& home_address : due_) {
        const Entry* entry = cache_.find(home_address);
        if (entry->is_active()) {
            count(Counter::kBindingExpired, home_address, entry->care_of_address);
        } else if (entry->state == State::kTentative) {
            count(Counter::kNdDadLost, home_address, entry->care_of_address);
        }
        remove(home_address, RemovalReason::kExpired);
    }
    repeat_advertisements();
    advertise_due_prefixes();
    return take_actions();
}

// --- defence of addresses on a real home link ---------------------------------------------------

void HomeAgent::join(const Entry& entry) {
    if (entry.virtual_home_link) return;
    const Group group{entry.home_address.solicited_node(), entry.home_port};
    // The link-local address with the same interface identifier is in the same group.
    if (++groups_[group] == 1) actions_.push_back(JoinSolicitedNode{group.address, group.port});
}

void HomeAgent::leave(const Entry& entry) {
    if (entry.virtual_home_link) return;
    const auto found = groups_.find(Group{entry.home_address.solicited_node(), entry.home_port});
    if (found == groups_.end() || --found->second > 0) return;
    actions_.push_back(LeaveSolicitedNode{found->first.address, found->first.port});
    groups_.erase(found);
}

void HomeAgent::advertise(const Entry& entry, bool only_ipv4) {
    announce_ipv4(entry);
    if (only_ipv4) return;
    const auto send = [&](const Ipv6Address& target) {
        actions_.push_back(SendUnsolicitedNeighborAdvertisement{
            target, entry.home_agent, entry.mobile_router, entry.home_port});
        count(Counter::kNdNaSent, entry.home_address, entry.care_of_address);
    };
    send(entry.home_address);
    if (entry.link_local) send(link_local_of(entry.home_address));
}

void HomeAgent::begin_advertising(const Entry& entry, bool only_ipv4) {
    if (entry.virtual_home_link || config_.neighbor_advertisements == 0) return;
    advertise(entry, only_ipv4);
    constexpr unsigned kMaxNeighborAdvertisement = 3;  // RFC 4861 10
    const unsigned left = std::min(config_.neighbor_advertisements, kMaxNeighborAdvertisement) - 1;
    if (left > 0) {
        repeats_.push_back(
            {now_ + kAdvertisementInterval, entry.home_address, entry.registered, left, only_ipv4});
    }
}

void HomeAgent::repeat_advertisements() {
    while (!repeats_.empty() && repeats_.front().due <= now_) {
        Repeat repeat = repeats_.front();
        repeats_.pop_front();
        const Entry* entry = cache_.find(repeat.home_address);
        if (entry == nullptr || !entry->is_active() || entry->registered != repeat.registered) {
            continue;
        }
        advertise(*entry, repeat.only_ipv4);
        if (--repeat.left == 0) continue;
        repeat.due = now_ + kAdvertisementInterval;
        repeats_.push_back(repeat);
    }
}

}  // namespace homeport::mip6
