// SPDX-License-Identifier: BSD-3-Clause
// Revocation of registrations, the foreign agent's side (RFC 3543 sections 3.5 and 4.2).
#include <algorithm>

#include "controlplane/mip4/foreign_agent.hpp"

namespace homeport::mip4 {

namespace {

using namespace std::chrono_literals;
using wire::Mip4AuthenticationKind;

constexpr Duration kFirstInterval = 1s;
constexpr Duration kLongestInterval = 64s;
/// How long an end without a lifetime of its own is remembered.
constexpr Duration kForgottenAfter = 1h;

/// Whether time stamp `a` is later than `b`, over the end of 32 bits.
bool is_later(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) > 0;
}

void seal(std::vector<std::uint8_t>& message, const SecurityAssociation& key) {
    wire::append_mip4_authentication(
        message, Mip4AuthenticationKind::kForeignHome, key.spi, authenticator_length(key.algorithm),
        [&](ConstByteSpan covered) { return authenticator(key, covered); });
}

}  // namespace

void ForeignAgentService::remember_ended(Ended ended) {
    if (ended.deadline == TimePoint::max()) ended.deadline = ended.next + kForgottenAfter;
    std::erase_if(ended_, [&](const Ended& one) {
        return one.visitor.home_address == ended.visitor.home_address &&
               one.visitor.home_agent == ended.visitor.home_agent;
    });
    if (ended_.size() >= kMostEnded) ended_.pop_front();
    ended_.push_back(std::move(ended));
}

void ForeignAgentService::receive_revocation(const wire::RegistrationRevocation& message,
                                             ConstByteSpan payload, const Endpoint& source,
                                             const Ipv4Address& destination, TimePoint now) {
    counters_.add(Count::kRevocation);
    const auto drop = [&](Count counter, const char* detail) {
        event(counter, message.home_address, source.address, {}, detail);
    };
    if (!message.by_home_agent) return drop(Count::kRevocationReplay, "not of a home agent");
    if (!is_sealed_by(message.home_domain, payload, message.extensions)) {
        return drop(Count::kRevocationAuthentication, "foreign-home authentication");
    }
    const auto entry = visitors_.find({message.home_address, message.home_domain});
    const auto ended = std::ranges::find_if(ended_, [&](const Ended& one) {
        return one.visitor.home_address == message.home_address &&
               one.visitor.home_agent == message.home_domain;
    });
    const Visitor* visitor = entry != visitors_.end() ? &entry->second.visitor
                             : ended != ended_.end()  ? &ended->visitor
                                                      : nullptr;
    if (visitor == nullptr || !visitor->revocation ||
        visitor->care_of_address != message.foreign_domain) {
        return drop(Count::kRevocationUnknown, "no such registration");
    }
    if (!is_later(message.identifier, visitor->revocation_stamp)) {
        return drop(Count::kRevocationReplay, "not later than the registration");
    }
    if (entry == visitors_.end() && !is_later(message.identifier, ended->last_received)) {
        return drop(Count::kRevocationReplay, "repeated");
    }
    const Visitor gone = *visitor;
    // Where I was agreed the home agent decides whether the visitor is told, else we do.
    const bool notify =
        gone.revocation_informs ? message.informs_mobile_node : config_.notify_visitors;
    if (entry != visitors_.end()) {
        Ended record;
        record.visitor = gone;
        record.last_received = message.identifier;
        record.next = now;
        record.deadline = gone.deadline;
        end_visitor(entry, Count::kRevoked, "revoked by the home agent");
        remember_ended(std::move(record));
        if (notify) actions_.emplace_back(SendReset{gone.link, gone.mac, gone.home_address});
    } else {
        ended->last_received = message.identifier;
    }
    wire::RevocationAcknowledgement acknowledgement;
    acknowledgement.informs_mobile_node = notify;
    acknowledgement.home_address = message.home_address;
    acknowledgement.identifier = message.identifier;
    auto out = wire::encode(acknowledgement);
    seal(out, *home_agent_key(message.home_domain));
    counters_.add(Count::kRevocationAcknowledged);
    actions_.emplace_back(SendToHomeAgent{destination, source.address, std::move(out)});
}

bool ForeignAgentService::revoke(const Ipv4Address& home_address, TimePoint now,
                                 std::uint32_t clock, ForeignAgentActions& actions) {
    bool any = false;
    for (auto at = visitors_.lower_bound({home_address, Ipv4Address{}});
         at != visitors_.end() && at->first.first == home_address;) {
        const auto here = at++;
        const Visitor visitor = here->second.visitor;
        any = true;
        end_visitor(here, Count::kRevoked, "revoked by the operator");
        // With I agreed the home agent decides whether the visitor is told (section 4.2.3.1).
        if (!visitor.revocation_informs) {
            actions_.emplace_back(SendReset{visitor.link, visitor.mac, visitor.home_address});
        }
        if (!visitor.revocation) continue;
        Ended record;
        record.visitor = visitor;
        record.by_us = true;
        record.interval = kFirstInterval;
        record.next = now;
        record.deadline = visitor.deadline;
        send_revocation(record, now, clock);
        remember_ended(std::move(record));
    }
    auto made = take_actions();
    std::ranges::move(made, std::back_inserter(actions));
    return any;
}

void ForeignAgentService::send_revocation(Ended& ended, TimePoint now, std::uint32_t clock) {
    const SecurityAssociation* const key = home_agent_key(ended.visitor.home_agent);
    if (key == nullptr) return;
    wire::RegistrationRevocation message;
    message.by_home_agent = false;
    message.informs_mobile_node = ended.visitor.revocation_informs;
    message.home_address = ended.visitor.home_address;
    message.home_domain = ended.visitor.home_agent;
    message.foreign_domain = ended.visitor.care_of_address;
    // Each has a later time stamp than the one before.
    message.identifier =
        is_later(clock, ended.identifier) || ended.identifier == 0 ? clock : ended.identifier + 1;
    ended.identifier = message.identifier;
    ended.next = now + ended.interval;
    ended.interval = std::min<Duration>(ended.interval * 2, kLongestInterval);
    auto out = wire::encode(message);
    seal(out, *key);
    counters_.add(Count::kRevocationSent);
    actions_.emplace_back(
        SendToHomeAgent{message.foreign_domain, message.home_domain, std::move(out)});
}

void ForeignAgentService::receive_acknowledgement(const wire::RevocationAcknowledgement& message,
                                                  ConstByteSpan payload, const Endpoint& source) {
    const auto ended = std::ranges::find_if(ended_, [&](const Ended& one) {
        return one.by_us && !one.answered && one.visitor.home_address == message.home_address &&
               one.visitor.home_agent == source.address && one.identifier == message.identifier;
    });
    if (ended == ended_.end()) {
        return event(Count::kRevocationUnknown, message.home_address, source.address, {},
                     "acknowledges nothing");
    }
    if (!is_sealed_by(source.address, payload, message.extensions)) {
        return event(Count::kRevocationAuthentication, message.home_address, source.address, {},
                     "foreign-home authentication");
    }
    ended->answered = true;
    counters_.add(Count::kRevocationAnswered);
    const Visitor& visitor = ended->visitor;
    if (visitor.revocation_informs && message.informs_mobile_node) {
        actions_.emplace_back(SendReset{visitor.link, visitor.mac, visitor.home_address});
    }
}

void ForeignAgentService::repeat_revocations(TimePoint now, std::uint32_t clock) {
    std::erase_if(ended_, [&](const Ended& one) { return one.deadline <= now; });
    for (Ended& one : ended_) {
        if (one.by_us && !one.answered && one.next <= now) send_revocation(one, now, clock);
    }
}

}  // namespace homeport::mip4
