// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/prefix_solicitor.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/wire/ipv6_packet.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

using std::chrono::seconds;

namespace {

constexpr std::uint32_t kInfinite = 0xffffffff;
constexpr std::size_t kMostPrefixes = 32;
// A lifetime is asked about at this part of it, and no sooner than this.
constexpr int kRenewNumerator = 4, kRenewDenominator = 5;
constexpr seconds kSoonestRenewal{10};

}  // namespace

PrefixSolicitor::PrefixSolicitor(PrefixSolicitorConfig config,
                                 std::function<std::uint16_t()> random)
    : config_(config), random_(std::move(random)) {}

PrefixSolicitor::Packet PrefixSolicitor::set_registered(bool registered, TimePoint now) {
    if (std::exchange(registered_, registered) == registered) return std::nullopt;
    if (!registered) {
        wanted_ = wanted_ || attempts_ > 0;
        attempts_ = 0;
        next_.reset();
        return std::nullopt;
    }
    return wanted_ ? begin(now) : tick(now);
}

PrefixSolicitor::Packet PrefixSolicitor::solicit(TimePoint now) {
    if (attempts_ > 0) return std::nullopt;
    if (!registered_) {
        wanted_ = true;
        return std::nullopt;
    }
    return begin(now);
}

PrefixSolicitor::Packet PrefixSolicitor::begin(TimePoint now) {
    wanted_ = false;
    attempts_ = 0;
    timeout_ = config_.initial_timeout;
    identifier_ = random_();
    return transmit(now);
}

PrefixSolicitor::Packet PrefixSolicitor::transmit(TimePoint now) {
    ++attempts_;
    ++counters_.sent;
    last_ = now;
    next_ = now + timeout_;
    timeout_ *= 2;
    return wire::icmpv6_packet(wire::MobilePrefixSolicitation{identifier_}, config_.home_address,
                               config_.home_agent);
}

PrefixSolicitor::Packet PrefixSolicitor::tick(TimePoint now) {
    if (!registered_) return std::nullopt;
    if (next_ && *next_ <= now) {
        if (attempts_ < config_.attempts) return transmit(now);
        ++counters_.given_up;
        attempts_ = 0;
        next_.reset();
        if (renew_at_) renew_at_ = now + config_.retry_after;
        return std::nullopt;
    }
    if (renew_at_ && *renew_at_ <= now && attempts_ == 0) {
        // Until the answer says when again; without one, after retry_after.
        renew_at_ = now + config_.retry_after;
        return begin(now);
    }
    return std::nullopt;
}

std::optional<PrefixSolicitor::TimePoint> PrefixSolicitor::next_deadline() const {
    if (!registered_) return std::nullopt;
    return attempts_ > 0 ? next_ : renew_at_;
}

PrefixSolicitor::Packet PrefixSolicitor::receive(ConstByteSpan bytes, bool is_protected,
                                                 bool had_routing_header, TimePoint now) {
    const auto ignore = [](std::uint64_t& counter) -> Packet {
        ++counter;
        return std::nullopt;
    };
    const auto packet = wire::view_ipv6_packet(bytes);
    if (!packet || packet->upper_protocol != number(IpProtocol::kIcmpv6)) {
        return ignore(counters_.ignored_malformed);
    }
    const auto message = wire::decode_icmpv6(*packet);
    const auto* advertisement =
        message ? std::get_if<wire::MobilePrefixAdvertisement>(&*message) : nullptr;
    if (advertisement == nullptr) return ignore(counters_.ignored_malformed);
    if (packet->source != config_.home_agent || packet->destination != config_.home_address) {
        return ignore(counters_.ignored_not_from_home_agent);
    }
    if (!is_protected && !config_.allow_unprotected) return ignore(counters_.ignored_unprotected);
    if (!had_routing_header) return ignore(counters_.ignored_no_routing_header);
    if (attempts_ == 0 || advertisement->identifier != identifier_) {
        ++counters_.ignored_identifier;
        // Nobody asked: what it says is heard only in an answer (RFC 6275 11.4.3).
        if (attempts_ > 0 || (last_ && now - *last_ < config_.least_interval)) return std::nullopt;
        return solicit(now);
    }
    ++counters_.accepted;
    attempts_ = 0;
    next_.reset();
    learn(*advertisement, now);
    return std::nullopt;
}

void PrefixSolicitor::learn(const wire::MobilePrefixAdvertisement& advertisement, TimePoint now) {
    prefixes_.clear();
    renew_at_.reset();
    const auto end_of = [now](std::uint32_t lifetime) -> std::optional<TimePoint> {
        if (lifetime == kInfinite) return std::nullopt;
        return now + seconds{lifetime};
    };
    for (const wire::NdOption& option : advertisement.options) {
        const auto* information = std::get_if<wire::PrefixInformation>(&option);
        if (information == nullptr || prefixes_.size() == kMostPrefixes) continue;
        // RFC 4862 5.5.3 (c): such an option is no use.
        if (information->preferred_lifetime > information->valid_lifetime) continue;
        prefixes_.push_back({*information, now, end_of(information->valid_lifetime),
                             end_of(information->preferred_lifetime)});
        const std::uint32_t first =
            std::min(information->preferred_lifetime, information->valid_lifetime);
        const Ipv6Prefix prefix{information->prefix, information->prefix_length};
        // Only our own prefix is worth a question; a deprecated one is until it is invalid.
        if (!prefix.masked().contains(config_.home_address)) continue;
        const std::uint32_t lifetime = first == 0 ? information->valid_lifetime : first;
        if (lifetime == kInfinite) continue;
        const Duration wait = std::max<Duration>(
            seconds{lifetime} * kRenewNumerator / kRenewDenominator, kSoonestRenewal);
        renew_at_ = now + wait;
    }
}

}  // namespace homeport::mip6
