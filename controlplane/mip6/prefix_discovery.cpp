// SPDX-License-Identifier: BSD-3-Clause
// Mobile prefix discovery (RFC 6275 10.6): path P7.
//
// A solicitation is answered at once. Unsolicited advertisements go out only for news that a mobile
// node cannot wait for, a lifetime of its home prefix that became shorter: longer ones it asks for
// in time.
#include <algorithm>
#include <utility>

#include "controlplane/mip6/home_agent.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

namespace {

constexpr std::chrono::seconds kAdvertisementTimeout{3};  // PREFIX_ADV_TIMEOUT
constexpr unsigned kAdvertisementRetries = 3;             // PREFIX_ADV_RETRIES
constexpr std::chrono::seconds kShorter{1};               // less is rounding
constexpr std::uint32_t kInfinite = 0xffffffff;           // seconds
// What fits behind an IPv6 header and the fixed part of the message.
constexpr std::size_t kMostPrefixes = 32;

std::uint32_t seconds_left(const std::optional<TimePoint>& end, TimePoint now) {
    if (!end) return kInfinite;
    const auto left = std::chrono::floor<std::chrono::seconds>(*end - now).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, kInfinite - 1));
}

bool ends_earlier(const std::optional<TimePoint>& now, const std::optional<TimePoint>& before) {
    if (!now) return false;
    return !before || *now + kShorter < *before;
}

}  // namespace

/// The prefixes of the home link of `home_address`, that of the address itself first. R and the
/// whole address where we have one in it (RFC 6275 7.2).
wire::NdOptions HomeAgent::prefix_options(const Ipv6Address& home_address) const {
    wire::NdOptions options;
    const HomePrefix* const own = home_prefix_of(home_address);
    if (own == nullptr) return options;
    const auto add = [&](const HomePrefix& prefix) {
        if (options.size() == kMostPrefixes) return;
        wire::PrefixInformation option;
        option.prefix_length = static_cast<std::uint8_t>(prefix.prefix.length);
        option.on_link = !prefix.is_virtual;
        option.autonomous = true;
        option.valid_lifetime = seconds_left(prefix.valid_until, now_);
        option.preferred_lifetime =
            std::min(option.valid_lifetime, seconds_left(prefix.preferred_until, now_));
        option.prefix = prefix.prefix.address;
        const auto agent = std::ranges::find_if(
            config_.home_agent_addresses,
            [&](const Ipv6Address& address) { return prefix.prefix.contains(address); });
        if (agent != config_.home_agent_addresses.end()) {
            option.router_address = true;
            option.prefix = *agent;
        }
        options.emplace_back(option);
    };
    add(*own);
    if (own->is_virtual) return options;
    for (const HomePrefix& other : config_.home_prefixes) {
        if (&other != own && !other.is_virtual && other.port == own->port) add(other);
    }
    return options;
}

void HomeAgent::answer_prefix_solicitation(const wire::Ipv6PacketView& packet,
                                           const ReceiveInfo& info,
                                           const wire::MobilePrefixSolicitation& request) {
    const auto counted = [&](Counter counter, const char* detail) {
        count(counter, packet.source, info.wire_source, detail);
    };
    if (!info.protected_by_ipsec && !config_.allow_unprotected) {
        return counted(Counter::kIpsecInPolicy, "prefix solicitation without ESP");
    }
    if (!is_own_address(packet.destination)) {
        return counted(Counter::kMpsBad, "prefix solicitation not to this home agent");
    }
    // RFC 6275 10.6.1: only mobile nodes that are away ask like this.
    const binding::Entry* const entry = cache_.find(packet.source);
    if (entry == nullptr || !entry->is_active()) {
        return counted(Counter::kMpsUnserved, "prefix solicitation of a node without binding");
    }
    // Over IPv4 nothing is recorded of it but for a binding update (S1.62), and the answer goes to
    // where the binding is.
    if (!info.had_hao && info.wire_source == IpAddress(packet.source) && !entry->is_over_ipv4()) {
        return counted(Counter::kMpsBad, "prefix solicitation without home address option");
    }
    forget_prefix_news(packet.source);  // it is the acknowledgement, too
    if (!mpa_rate_.take(packet.source, now_)) return counted(Counter::kMpsRateLimited, "");
    advertise_prefixes(*entry, request.identifier, info.wire_source, info.port,
                       info.protected_by_ipsec);
}

/// Always with routing header (P7), by what is behind the channel: `reply_to` is no home address.
void HomeAgent::advertise_prefixes(const binding::Entry& entry, std::uint16_t identifier,
                                   const IpAddress& reply_to, std::uint16_t port, bool protect) {
    wire::MobilePrefixAdvertisement advertisement;
    advertisement.identifier = identifier;
    advertisement.options = prefix_options(entry.home_address);
    actions_.push_back(SendMobilityMessage{
        .packet = wire::icmpv6_packet(advertisement, entry.home_agent, entry.home_address),
        .home_address = entry.home_address,
        .reply_to = reply_to,
        .by_binding = entry.is_over_ipv4(),
        .routing_header_2 = true,
        .port = port,
        .protect = protect});
    count(Counter::kMpaSent, entry.home_address, reply_to);
}

// ------------------------------------------------------------------------- unsolicited ones

/// RAND_ADV_DELAY of RFC 6275 10.6.2; in time before the prefix ends.
Duration HomeAgent::prefix_advertisement_delay(const HomePrefix& prefix) {
    using std::chrono::seconds;
    const auto least = config_.min_prefix_advertisement_interval;
    const seconds preferred{seconds_left(prefix.preferred_until, now_)};
    const auto most = std::min(config_.max_prefix_advertisement_interval, preferred);
    const auto spread = static_cast<std::uint64_t>(std::abs((most - least).count()));
    Duration delay = least + seconds(spread == 0 ? 0 : random_() % spread);
    if (prefix.valid_until) delay = std::min(delay, (*prefix.valid_until - now_) / 2);
    return std::max(delay, Duration::zero());
}

void HomeAgent::schedule_prefix_advertisements(const std::vector<HomePrefix>& before) {
    std::vector<const HomePrefix*> shorter;
    for (const HomePrefix& prefix : config_.home_prefixes) {
        const auto old = std::ranges::find(before, prefix.prefix, &HomePrefix::prefix);
        if (old == before.end()) continue;
        if (ends_earlier(prefix.valid_until, old->valid_until) ||
            ends_earlier(prefix.preferred_until, old->preferred_until)) {
            shorter.push_back(&prefix);
        }
    }
    if (shorter.empty()) return;
    cache_.for_each([&](const binding::Entry& entry) {
        const HomePrefix* const own = home_prefix_of(entry.home_address);
        if (!entry.is_active() || std::ranges::find(shorter, own) == shorter.end()) return;
        set_prefix_news(entry.home_address, {now_ + prefix_advertisement_delay(*own),
                                             1 + kAdvertisementRetries, kAdvertisementTimeout});
    });
}

void HomeAgent::set_prefix_news(const Ipv6Address& home_address, const PrefixNews& news) {
    forget_prefix_news(home_address);
    prefix_news_[home_address] = news;
    prefix_queue_.emplace(news.due, home_address);
}

void HomeAgent::forget_prefix_news(const Ipv6Address& home_address) {
    const auto found = prefix_news_.find(home_address);
    if (found == prefix_news_.end()) return;
    prefix_queue_.erase({found->second.due, home_address});
    prefix_news_.erase(found);
}

/// Repeated until the mobile node answers with a solicitation, or its registration ends.
void HomeAgent::advertise_due_prefixes() {
    while (!prefix_queue_.empty() && prefix_queue_.begin()->first <= now_) {
        const Ipv6Address home_address = prefix_queue_.begin()->second;
        PrefixNews news = prefix_news_[home_address];
        const binding::Entry* const entry = cache_.find(home_address);
        const bool wanted = entry != nullptr && entry->is_active() && news.left > 0;
        if (wanted && mpa_rate_.take(home_address, now_)) {
            advertise_prefixes(*entry, static_cast<std::uint16_t>(random_()),
                               entry->care_of_address, entry->home_port,
                               !config_.allow_unprotected);
            --news.left;
        }
        if (!wanted || news.left == 0) {
            forget_prefix_news(home_address);
            continue;
        }
        news.due = now_ + news.timeout;
        news.timeout *= 2;
        set_prefix_news(home_address, news);
    }
}

}  // namespace homeport::mip6
