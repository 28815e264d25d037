// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/foreign_agent.hpp"

#include <algorithm>
#include <utility>

namespace homeport::mip4 {

namespace {

constexpr unsigned kLostKeepalives = 3;  // in a row, before it is said

}  // namespace

ForeignAgentService::ForeignAgentService(ForeignAgentConfig config, ForeignAgentCounters& counters)
    : config_(std::move(config)), counters_(counters) {}

ForeignAgentActions ForeignAgentService::take_actions() {
    return std::exchange(actions_, {});
}

void ForeignAgentService::event(Count counter, const Ipv4Address& home_address,
                                const Ipv4Address& home_agent, const MacAddress& mac,
                                const char* detail, std::uint8_t code) {
    counters_.add(counter);
    actions_.emplace_back(ForeignAgentEvent{counter, home_address, home_agent, mac, code, detail});
}

// ---------------------------------------------------------------------------------------- tables

const Visitor* ForeignAgentService::find(const Ipv4Address& home_address,
                                         const Ipv4Address& home_agent) const {
    const auto found = visitors_.find({home_address, home_agent});
    return found == visitors_.end() ? nullptr : &found->second.visitor;
}

const Visitor* ForeignAgentService::find(std::size_t link, const MacAddress& mac,
                                         const Ipv4Address& home_address) const {
    const VisitorEntry* newest = nullptr;
    for (auto at = visitors_.lower_bound({home_address, Ipv4Address{}});
         at != visitors_.end() && at->first.first == home_address; ++at) {
        const VisitorEntry& entry = at->second;
        if (entry.visitor.link != link || entry.visitor.mac != mac) continue;
        if (newest == nullptr || entry.order > newest->order) newest = &entry;
    }
    return newest == nullptr ? nullptr : &newest->visitor;
}

bool ForeignAgentService::has_visitor(std::size_t link, const Ipv4Address& home_address) const {
    for (auto at = visitors_.lower_bound({home_address, Ipv4Address{}});
         at != visitors_.end() && at->first.first == home_address; ++at) {
        if (at->second.visitor.link == link) return true;
    }
    return false;
}

std::vector<const Visitor*> ForeignAgentService::visitors() const {
    std::vector<const Visitor*> all;
    all.reserve(visitors_.size());
    for (const auto& [key, entry] : visitors_) all.push_back(&entry.visitor);
    return all;
}

bool ForeignAgentService::is_care_of_address(const Ipv4Address& address) const {
    return std::ranges::find(config_.care_of_addresses, address) != config_.care_of_addresses.end();
}

const SecurityAssociation* ForeignAgentService::home_agent_key(const Ipv4Address& address) const {
    const auto found = std::ranges::find(config_.home_agent_keys, address,
                                         &ForeignAgentConfig::HomeAgentKey::address);
    return found == config_.home_agent_keys.end() ? nullptr : &found->association;
}

const SecurityAssociation* ForeignAgentService::home_agent_key(const Ipv4Address& address,
                                                               std::uint32_t spi) const {
    for (const auto& one : config_.home_agent_keys) {
        if (one.address == address && one.association.spi == spi) return &one.association;
    }
    return nullptr;
}

const SecurityAssociation* ForeignAgentService::mobile_node_key(const Ipv4Address& home_address,
                                                                const std::string& nai) const {
    for (const auto& one : config_.mobile_node_keys) {
        const bool by_address = one.home_address && *one.home_address == home_address;
        const bool by_name = !one.nai.empty() && one.nai == nai;
        if (by_address || by_name) return &one.association;
    }
    return nullptr;
}

void ForeignAgentService::end_visitor(std::map<VisitorKey, VisitorEntry>::iterator entry,
                                      Count counter, const char* why) {
    const Visitor visitor = entry->second.visitor;
    visitors_.erase(entry);
    actions_.emplace_back(VisitorGone{visitor, why});
    event(counter, visitor.home_address, visitor.home_agent, visitor.mac, why);
}

// ------------------------------------------------------------------------------------------ time

ForeignAgentActions ForeignAgentService::tick(TimePoint now, std::uint32_t clock) {
    for (auto at = pending_.begin(); at != pending_.end();) {
        if (at->deadline > now) {
            ++at;
            continue;
        }
        const Pending late = std::move(*at);
        at = pending_.erase(at);
        event(Count::kPendingTimeout, late.request.home_address, late.request.home_agent,
              late.info.mac, "the home agent did not answer");
        deny(late.request, late.info, mobile_node_key(late.request.home_address, late.nai),
             Code::kRegistrationTimeout, "the home agent did not answer", now);
    }
    // A foreign agent says nothing when a lifetime is over (RFC 5944 section 3.7).
    for (auto at = visitors_.begin(); at != visitors_.end();) {
        const auto here = at++;
        if (here->second.visitor.deadline <= now) {
            end_visitor(here, Count::kExpired, "the lifetime is over");
        }
    }
    for (auto& [key, entry] : visitors_) {
        if (entry.next_keepalive > now) continue;
        const TimePoint due = entry.last_sent + entry.visitor.keepalive;
        if (due > now) {
            entry.next_keepalive = due;
            continue;
        }
        if (entry.unanswered == kLostKeepalives) {
            event(Count::kKeepaliveLost, key.first, key.second, entry.visitor.mac,
                  "no answer to three keepalives: the NAT may have lost its mapping");
        }
        ++entry.unanswered;
        entry.last_sent = now;
        entry.next_keepalive = now + entry.visitor.keepalive;
        counters_.add(Count::kKeepaliveSent);
        actions_.emplace_back(SendKeepalive{entry.visitor, ++entry.sequence});
    }
    repeat_revocations(now, clock);
    return take_actions();
}

std::optional<TimePoint> ForeignAgentService::next_deadline() const {
    TimePoint next = TimePoint::max();
    for (const Pending& one : pending_) next = std::min(next, one.deadline);
    for (const auto& [key, entry] : visitors_) {
        next = std::min({next, entry.visitor.deadline, entry.next_keepalive});
    }
    for (const Ended& one : ended_) {
        next = std::min(
            next, one.by_us && !one.answered ? std::min(one.next, one.deadline) : one.deadline);
    }
    if (next == TimePoint::max()) return {};
    return next;
}

void ForeignAgentService::tunnel_used(const Ipv4Address& home_address,
                                      const Ipv4Address& home_agent, TimePoint now) {
    const auto found = visitors_.find({home_address, home_agent});
    if (found != visitors_.end()) found->second.last_sent = now;
}

void ForeignAgentService::keepalive_answered(const Ipv4Address& home_address,
                                             const Ipv4Address& home_agent) {
    const auto found = visitors_.find({home_address, home_agent});
    if (found == visitors_.end()) return;
    found->second.unanswered = 0;
    counters_.add(Count::kKeepaliveAnswered);
}

// ---------------------------------------------------------------------------------- unreachable

namespace {

/// The code that an ICMP error stands for; nothing: it does not say that nobody is there.
std::optional<wire::ForeignAgentCode> code_of(std::uint8_t type, std::uint8_t code) {
    constexpr std::uint8_t kUnreachable = 3;
    constexpr std::uint8_t kTimeExceeded = 11;
    constexpr std::uint8_t kFragmentationNeeded = 4;
    using Code = wire::ForeignAgentCode;
    if (type == kTimeExceeded) return Code::kHomeAgentUnreachable;
    if (type != kUnreachable || code == kFragmentationNeeded) return {};
    switch (code) {
        case 0:   // net unreachable
        case 6:   // net unknown
        case 9:   // net prohibited
        case 11:  // net, for this type of service
            return Code::kHomeNetworkUnreachable;
        case 1:   // host unreachable
        case 7:   // host unknown
        case 10:  // host prohibited
        case 12:  // host, for this type of service
            return Code::kHomeAgentHostUnreachable;
        case 3:
            return Code::kHomeAgentPortUnreachable;
        default:
            return Code::kHomeAgentUnreachable;
    }
}

}  // namespace

ForeignAgentActions ForeignAgentService::unreachable(const Ipv4Address& home_agent,
                                                     std::uint8_t icmp_type, std::uint8_t icmp_code,
                                                     ConstByteSpan quoted, TimePoint now) {
    constexpr std::size_t kRequestLength = 24;
    const auto code = code_of(icmp_type, icmp_code);
    if (!code) return {};
    const bool is_quoted = quoted.size() >= kRequestLength && quoted[0] == 1;
    for (auto at = pending_.begin(); at != pending_.end();) {
        const wire::RegistrationRequest& request = at->request;
        const bool is_it =
            request.home_agent == home_agent &&
            (!is_quoted || (Ipv4Address::load(quoted.data() + 4) == request.home_address &&
                            load_be64(quoted.data() + 16) == request.identification));
        if (!is_it) {
            ++at;
            continue;
        }
        const Pending one = std::move(*at);
        at = pending_.erase(at);
        counters_.add(Count::kUnreachable);
        deny(one.request, one.info, mobile_node_key(one.request.home_address, one.nai), *code,
             "ICMP says so", now);
    }
    return take_actions();
}

}  // namespace homeport::mip4
