// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/agent_advertiser.hpp"

#include <algorithm>
#include <utility>

namespace homeport::mip4 {

namespace {

using namespace std::chrono_literals;

// RFC 1256 section 7
constexpr unsigned kInitialAdvertisements = 3;
constexpr Duration kMostInitialInterval = 16s;
constexpr Duration kMostResponseDelay = 2s;
/// Between two multicasts, however many solicit (RFC 5944 section 2.3).
constexpr Duration kLeastMulticastGap = 500ms;
constexpr std::size_t kMostAnswers = 64;  // between two calls of tick()

constexpr MacAddress kAllSystemsMac{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}};
constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

}  // namespace

const char* fault_of(const AdvertiserConfig& config) {
    const wire::MobilityAgent agent{0, config.registration_lifetime, config.flags,
                                    config.care_of_addresses};
    if (const char* fault = wire::fault_of(agent)) return fault;
    if (!config.address.is_unicast()) return "the source is no unicast address";
    if (config.registration_lifetime == 0) return "registration lifetime 0";
    if (!config.prefix_lengths.empty() && config.prefix_lengths.size() != config.routers.size()) {
        return "prefix lengths: not one for each router";
    }
    if (config.min_interval < 100ms) return "advertisements more often than each 100 ms";
    if (config.max_interval < config.min_interval) return "longest interval below the shortest";
    if (config.lifetime > 9000) return "lifetime of more than 9000 s (RFC 1256 section 4.1)";
    if (std::chrono::seconds(config.lifetime) < config.max_interval) {
        return "lifetime below the longest interval (RFC 1256 section 4.1)";
    }
    return nullptr;
}

AgentAdvertiser::AgentAdvertiser(AdvertiserConfig config, TimePoint now, std::uint64_t seed)
    : config_(std::move(config)),
      random_(seed),
      periodic_(config_.only_solicited ? TimePoint::max() : now),
      response_(TimePoint::max()),
      last_multicast_(now - kLeastMulticastGap),
      tokens_(config_.unicast_burst),
      filled_(now) {}

bool AgentAdvertiser::receive(ConstByteSpan packet, const MacAddress& source, TimePoint now) {
    const auto read = wire::read_agent_discovery_packet(packet);
    if (!read) {
        if (read.error().kind == wire::AgentDiscoveryError::Kind::kNotDiscovery) return false;
        ++counters_.bad_solicited;
        return true;
    }
    if (!std::holds_alternative<wire::AgentSolicitation>(read->message)) return false;
    ++counters_.solicited;
    solicit(read->source, source, now);
    return true;
}

void AgentAdvertiser::solicit(const Ipv4Address& source, const MacAddress& link, TimePoint now) {
    if (source.is_unicast() && !link.is_multicast()) {
        if (answers_.size() < kMostAnswers && may_unicast(now)) {
            answers_.push_back({link, source});
            return;
        }
        ++counters_.rate_limited;
    }
    if (response_ != TimePoint::max()) return;  // one answers all that ask meanwhile
    response_ = std::max(now + random_between(Duration::zero(), kMostResponseDelay),
                         last_multicast_ + kLeastMulticastGap);
}

std::vector<Advertisement> AgentAdvertiser::tick(TimePoint now) {
    std::vector<Advertisement> due;
    for (const Answer& answer : answers_) {
        due.push_back(make(answer.address, answer.link, config_.lifetime));
        ++counters_.unicast;
    }
    answers_.clear();
    if (std::min(periodic_, response_) > now) return due;
    due.push_back(multicast(config_.lifetime));
    response_ = TimePoint::max();
    last_multicast_ = now;
    if (config_.only_solicited) return due;
    Duration interval = random_between(config_.min_interval, config_.max_interval);
    if (initial_ < kInitialAdvertisements) {
        ++initial_;
        interval = std::min(interval, kMostInitialInterval);
    }
    periodic_ = now + interval;
    return due;
}

std::optional<TimePoint> AgentAdvertiser::next_deadline() const {
    if (!answers_.empty()) return filled_;  // at once
    const TimePoint next = std::min(periodic_, response_);
    if (next == TimePoint::max()) return {};
    return next;
}

void AgentAdvertiser::set_busy(bool busy) {
    config_.flags.busy = busy && config_.flags.foreign_agent;
}

Advertisement AgentAdvertiser::farewell() {
    return multicast(0);
}

Advertisement AgentAdvertiser::reset_for(const Ipv4Address& home_address, const MacAddress& link) {
    const std::uint16_t sequence = std::exchange(sequence_, std::uint16_t{0});
    Advertisement made = make(home_address, link, config_.lifetime);
    sequence_ = sequence;
    return made;
}

Advertisement AgentAdvertiser::multicast(std::uint16_t lifetime) {
    ++counters_.multicast;
    return make(config_.broadcast ? wire::kLimitedBroadcast : wire::kAllSystems,
                config_.broadcast ? kBroadcastMac : kAllSystemsMac, lifetime);
}

Advertisement AgentAdvertiser::make(const Ipv4Address& destination, const MacAddress& link,
                                    std::uint16_t lifetime) {
    wire::AgentAdvertisement message;
    message.routes_common_traffic = config_.routes_common_traffic;
    message.lifetime = lifetime;
    message.routers = config_.routers;
    message.prefix_lengths = config_.prefix_lengths;
    message.others = config_.extensions;
    message.agent = wire::MobilityAgent{sequence_, config_.registration_lifetime, config_.flags,
                                        config_.care_of_addresses};
    sequence_ = wire::next_agent_sequence(sequence_);
    return {link,
            wire::agent_discovery_packet(wire::encode(message), config_.address, destination)};
}

Duration AgentAdvertiser::random_between(Duration from, Duration to) {
    if (to <= from) return from;
    return Duration(
        std::uniform_int_distribution<Duration::rep>(from.count(), to.count())(random_));
}

bool AgentAdvertiser::may_unicast(TimePoint now) {
    const std::chrono::duration<double> passed = now - filled_;
    tokens_ =
        std::min(config_.unicast_burst, tokens_ + passed.count() * config_.unicast_per_second);
    filled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
}

}  // namespace homeport::mip4
