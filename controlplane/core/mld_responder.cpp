// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/mld_responder.hpp"

#include <algorithm>

#include "controlplane/wire/icmpv6.hpp"

namespace homeport::core {

namespace {

using namespace std::chrono_literals;

constexpr auto kRepeatAfter = 1000ms;       // Unsolicited Report Interval, RFC 3810 9.11
constexpr std::size_t kMostSpecific = 256;  // pending answers to queries about one group
constexpr std::size_t kVersion1Query = 24;  // octets of the ICMPv6 message, RFC 3810 8.1

const Ipv6Address kAllMldv2Routers{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16}};

}  // namespace

void MldResponder::set_source(std::uint16_t port, const Ipv6Address& link_local) {
    links_[port].source = link_local;
}

MldResponder::Reports MldResponder::join(std::uint16_t port, const Ipv6Address& group,
                                         TimePoint now) {
    Link& link = links_[port];
    link.groups.insert(group);
    link.repeats.emplace_back(now + kRepeatAfter, group);  // a report may be lost
    return {{port, kAllMldv2Routers, wire::mldv2_report(link.source, group, true)}};
}

MldResponder::Reports MldResponder::leave(std::uint16_t port, const Ipv6Address& group) {
    Link& link = links_[port];
    link.groups.erase(group);
    link.specific.erase(group);
    return {{port, kAllMldv2Routers, wire::mldv2_report(link.source, group, false)}};
}

std::chrono::milliseconds MldResponder::random_below(std::chrono::milliseconds limit) {
    if (limit.count() <= 0) return 0ms;
    return std::chrono::milliseconds(
        std::uniform_int_distribution<std::int64_t>(0, limit.count() - 1)(random_));
}

void MldResponder::receive(std::uint16_t port, const wire::Ipv6PacketView& packet, TimePoint now) {
    const auto it = links_.find(port);
    if (it == links_.end() || it->second.groups.empty()) return;
    // Only what comes from the link itself (RFC 3810 5.1.14).
    if (packet.hop_limit != 1 || !packet.source.is_link_local()) return;
    const auto message = wire::decode_icmpv6(packet);
    if (!message) return;
    const auto* query = std::get_if<wire::MulticastListener>(&*message);
    if (query == nullptr || query->type != wire::Icmpv6Type::kMulticastListenerQuery) return;
    Link& link = it->second;
    const bool version_1 = packet.upper.size() == kVersion1Query;
    const std::chrono::milliseconds within{query->maximum_delay};
    if (query->group.is_unspecified()) return answer_all(link, within, version_1, now);
    if (!link.groups.contains(query->group)) return;
    if (link.specific.size() >= kMostSpecific && !link.specific.contains(query->group)) return;
    Pending answer{now + random_below(within), {query->group}, version_1};
    auto& pending = link.specific[query->group];
    if (pending.groups.empty() || answer.due < pending.due) pending = std::move(answer);
}

// A query that comes while the last one is being answered changes nothing: all groups are named.
void MldResponder::answer_all(Link& link, std::chrono::milliseconds within, bool version_1,
                              TimePoint now) {
    if (!link.answers.empty()) return;
    std::vector<Ipv6Address> part;
    const auto close = [&] {
        link.answers.push_back({now + random_below(within), std::move(part), version_1});
        part.clear();
    };
    for (const Ipv6Address& group : link.groups) {
        part.push_back(group);
        if (part.size() == kRecordsPerReport) close();
    }
    if (!part.empty()) close();
    std::ranges::sort(link.answers, {}, &Pending::due);
}

void MldResponder::append(Reports& reports, std::uint16_t port, const Link& link,
                          const std::vector<Ipv6Address>& groups, bool version_1) {
    std::vector<wire::MulticastRecord> records;
    for (const Ipv6Address& group : groups) {
        if (!link.groups.contains(group)) continue;  // left meanwhile
        if (version_1) {
            reports.push_back({port, group, wire::mldv1_report(link.source, group, true)});
        } else {
            records.push_back({wire::MulticastRecord::Type::kModeIsExclude, group, {}});
        }
    }
    if (records.empty()) return;
    reports.push_back({port, kAllMldv2Routers,
                       wire::icmpv6_packet(wire::MulticastListenerReportV2{std::move(records)},
                                           link.source, kAllMldv2Routers)});
}

MldResponder::Reports MldResponder::tick(TimePoint now) {
    Reports reports;
    for (auto& [port, link] : links_) {
        while (!link.answers.empty() && link.answers.front().due <= now) {
            append(reports, port, link, link.answers.front().groups,
                   link.answers.front().version_1);
            link.answers.erase(link.answers.begin());
        }
        for (auto it = link.specific.begin(); it != link.specific.end();) {
            if (it->second.due > now) {
                ++it;
                continue;
            }
            append(reports, port, link, it->second.groups, it->second.version_1);
            it = link.specific.erase(it);
        }
        while (!link.repeats.empty() && link.repeats.front().first <= now) {
            const Ipv6Address group = link.repeats.front().second;
            link.repeats.pop_front();
            append(reports, port, link, {group}, false);
        }
    }
    return reports;
}

std::optional<MldResponder::TimePoint> MldResponder::next_deadline() const {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint time) {
        if (!next || time < *next) next = time;
    };
    for (const auto& [port, link] : links_) {
        if (!link.answers.empty()) consider(link.answers.front().due);
        for (const auto& [group, pending] : link.specific) consider(pending.due);
        if (!link.repeats.empty()) consider(link.repeats.front().first);
    }
    return next;
}

std::size_t MldResponder::group_count() const {
    std::size_t count = 0;
    for (const auto& [port, link] : links_) count += link.groups.size();
    return count;
}

}  // namespace homeport::core
