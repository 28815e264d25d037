// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/signalling_spis.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace homeport::tunnel {

namespace {

/// A home agent's messages have no answer that says which SPI they left with.
constexpr std::uint8_t kMatchesToConfirm = 2;
constexpr unsigned kExpiredAtOnce = 32;

}  // namespace

SignallingSpis::SignallingSpis()
    : answers_(kAnswers), peers_(kBuckets * kWays), windows_(kWindows) {}

void SignallingSpis::configure(const Settings& settings) {
    if (settings == settings_) return;
    settings_ = settings;
    limits_ = {settings.timeout, settings.min_packets, kMatchesToConfirm};
    std::ranges::fill(answers_, Answer{});
    std::ranges::fill(peers_, Peer{});
    first_window_ = window_count_ = 0;
}

void SignallingSpis::note(std::uint32_t Events::* event, std::uint32_t n) {
    events_.*event += n;
    has_events_ = true;
}

SignallingSpis::Events SignallingSpis::take_events() {
    has_events_ = false;
    return std::exchange(events_, {});
}

// ------------------------------------------------------------------------------------------- api

bool SignallingSpis::ask(Answer& answer, const Ipv6Address& home_address, std::uint32_t spi,
                         const ipsec::Queries& queries, const SignallingPolicies& policies) {
    note(&Events::asked);
    // Read before the questions: a change in between makes the answers old at once.
    answer = {.home_address = home_address,
              .policies = &policies,
              .generation = queries.generation(),
              .spis = {},
              .count = 0,
              .complete = true};
    bool found = false;
    for (const std::uint16_t policy : policies.view()) {
        for (const ipsec::SpiAnswer& sa : queries.spi_for_policy(policy, home_address).view()) {
            found = found || sa.spi.value == spi;
            if (answer.count == Answer::kSpis) {
                answer.complete = false;
            } else {
                answer.spis[answer.count++] = sa.spi.value;
            }
        }
    }
    return found;
}

bool SignallingSpis::is_signalling(const Ipv6Address& home_address, std::uint32_t spi,
                                   std::uint64_t now, const ipsec::Queries* queries,
                                   const SignallingPolicies* policies) {
    if (settings_.technique == Technique::kHeuristic) {
        const auto seen = find_or_make(home_address, now)->heuristic.packet(spi, now, limits_);
        if (seen.timeout) [[unlikely]]
            note(&Events::timeout);
        if (seen.mismatch) [[unlikely]]
            note(&Events::mismatch);
        return seen.signalling;
    }
    if (queries == nullptr || policies == nullptr || policies->count == 0) return false;
    Answer& answer = answers_[std::hash<Ipv6Address>{}(home_address) % kAnswers];
    if (!answer.complete || answer.policies != policies ||
        answer.generation != queries->generation() || answer.home_address != home_address)
        [[unlikely]] {
        return ask(answer, home_address, spi, *queries, *policies);
    }
    const auto end = answer.spis.begin() + answer.count;
    return std::find(answer.spis.begin(), end, spi) != end;
}

// ------------------------------------------------------------------------------------- heuristic

SignallingSpis::Peer* SignallingSpis::find(const Ipv6Address& home_address) {
    Peer* const bucket = &peers_[std::hash<Ipv6Address>{}(home_address) % kBuckets * kWays];
    for (std::size_t i = 0; i < kWays; ++i) {
        if (bucket[i].used != 0 && bucket[i].home_address == home_address) return &bucket[i];
    }
    return nullptr;
}

/// The one that was used least recently makes room, but not while a message of it is awaited, as
/// long as there is another.
SignallingSpis::Peer* SignallingSpis::find_or_make(const Ipv6Address& home_address,
                                                   std::uint64_t now) {
    Peer* peer = find(home_address);
    if (peer == nullptr) {
        Peer* const bucket = &peers_[std::hash<Ipv6Address>{}(home_address) % kBuckets * kWays];
        peer = std::min_element(bucket, bucket + kWays, [](const Peer& a, const Peer& b) {
            return std::pair(a.heuristic.armed(), a.used) < std::pair(b.heuristic.armed(), b.used);
        });
        if (peer->heuristic.armed()) note(&Events::full);
        *peer = {.home_address = home_address, .used = 0, .heuristic = {}};
    }
    peer->used = std::max<std::uint64_t>(now, 1);
    return peer;
}

void SignallingSpis::arm(const Ipv6Address& home_address, std::uint64_t now) {
    if (settings_.technique != Technique::kHeuristic) return;
    Peer* const peer = find_or_make(home_address, now);
    if (peer->heuristic.arm(now, limits_)) note(&Events::timeout);
    // Without room the window ends all the same, with the next packet or message.
    if (window_count_ == kWindows) return;
    windows_[(first_window_ + window_count_++) % kWindows] = {home_address, now + limits_.timeout};
}

void SignallingSpis::passed_unsealed(const Ipv6Address& home_address) {
    if (settings_.technique != Technique::kHeuristic) return;
    if (Peer* const peer = find(home_address)) peer->heuristic.disarm();
}

void SignallingSpis::expire(std::uint64_t now) {
    for (unsigned i = 0; i < kExpiredAtOnce && window_count_ != 0; ++i) {
        const Window& window = windows_[first_window_];
        if (now < window.deadline) return;
        Peer* const peer = find(window.home_address);
        if (peer != nullptr && peer->heuristic.expire(now)) note(&Events::timeout);
        first_window_ = (first_window_ + 1) % kWindows;
        --window_count_;
    }
}

}  // namespace homeport::tunnel
