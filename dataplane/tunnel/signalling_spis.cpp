// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/signalling_spis.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <ranges>
#include <span>
#include <utility>

namespace homeport::tunnel {

namespace {

/// A home agent's messages have no answer that says which SPI they left with.
constexpr std::uint8_t kMatchesToConfirm = 2;
constexpr unsigned kExpiredAtOnce = 32;

}  // namespace

SignallingSpis::SignallingSpis() : peers_(kBuckets * kWays), windows_(kWindows) {
    reserve(0);
}

void SignallingSpis::reserve(std::size_t home_addresses) {
    // Two SPIs a home address, and half of the places free.
    const std::size_t wanted = std::clamp<std::size_t>(home_addresses, 64, 1u << 20);
    const std::size_t count = std::bit_ceil(wanted);
    const std::size_t size = count * sizeof(Answers);
    void* const memory = ::operator new(size, kHugePage);
    // A wish: with small pages a packet waits for the page table, too.
    (void)::madvise(memory, size, MADV_HUGEPAGE);
    std::memset(memory, 0, size);
    answers_.reset(static_cast<Answers*>(memory));
    answer_mask_ = count - 1;
}

void SignallingSpis::configure(const Settings& settings) {
    if (settings == settings_) return;
    settings_ = settings;
    limits_ = {settings.timeout, settings.min_packets, kMatchesToConfirm};
    for (std::size_t i = 0; i <= answer_mask_; ++i) answers_[i] = {};
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

bool SignallingSpis::ask(const Ipv6Address& home_address, std::uint32_t spi,
                         const ipsec::Queries& queries, const SignallingPolicies& policies) {
    return std::ranges::any_of(policies.view(), [&](std::uint16_t policy) {
        return queries.spi_for_policy(policy, home_address).contains(ipsec::Spi{spi});
    });
}

/// In the place of an older answer to the same question, or of one that is out of date, or of any.
void SignallingSpis::keep(Answers& bucket, const Answer& answer) {
    // The first place, which is looked at first, is for data; there is more of it.
    const std::span places = std::span(bucket.answers).subspan(answer.stamp & 1);
    Answer* place = &places[next_victim_++ % places.size()];
    // From the back, so that the first is taken first.
    for (Answer& kept : places | std::views::reverse) {
        if ((kept.stamp | 1) != (answer.stamp | 1) || kept.tag == 0) place = &kept;
        if (kept.tag == answer.tag && kept.spi == answer.spi) {
            place = &kept;
            break;
        }
    }
    *place = answer;
}

bool SignallingSpis::is_signalling_slowly(const Ipv6Address& home_address, std::uint64_t place,
                                          std::uint32_t spi, std::uint64_t now,
                                          const Question& question) {
    if (settings_.technique == Technique::kHeuristic) {
        return guess(*find_or_make(home_address, now), spi, now);
    }
    if (!question.asks_) return false;
    Answer answer{
        .tag = tag_of(home_address, question.salt_), .spi = spi, .stamp = question.stamp_};
    Answers& bucket = answers_[place & answer_mask_];
    for (const Answer& kept : bucket.answers) {
        if (kept.tag == answer.tag && kept.spi == spi && (kept.stamp & ~1u) == answer.stamp)
            return (kept.stamp & 1) != 0;
    }
    note(&Events::asked);
    const bool signalling = ask(home_address, spi, *question.queries_, *question.policies_);
    if (signalling) answer.stamp |= 1;
    keep(bucket, answer);
    return signalling;
}

// ------------------------------------------------------------------------------------- heuristic

/// Acknowledgements and prefix advertisements have SPIs of their own: each kind learns its own, and
/// what one kind took for its message is nothing to the other.
bool SignallingSpis::guess(Peer& peer, std::uint32_t spi, std::uint64_t now) {
    bool signalling = false;
    for (std::size_t i = 0; i < kMessageKinds; ++i) {
        const SpiHeuristic& other = peer.heuristics[1 - i];
        if (spi == other.signalling_spi() || spi == other.candidate()) continue;
        const auto seen = peer.heuristics[i].packet(spi, now, limits_);
        if (seen.timeout) [[unlikely]]
            note(&Events::timeout);
        if (seen.mismatch) [[unlikely]]
            note(&Events::mismatch);
        signalling |= seen.signalling;
    }
    return signalling;
}

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
            return std::pair(a.armed(), a.used) < std::pair(b.armed(), b.used);
        });
        if (peer->armed()) note(&Events::full);
        *peer = {.home_address = home_address, .used = 0, .heuristics = {}};
    }
    peer->used = std::max<std::uint64_t>(now, 1);
    return peer;
}

void SignallingSpis::arm(const Ipv6Address& home_address, std::uint64_t now, MessageKind kind) {
    if (settings_.technique != Technique::kHeuristic) return;
    Peer* const peer = find_or_make(home_address, now);
    if (peer->of(kind).arm(now, limits_)) note(&Events::timeout);
    // Without room the window ends all the same, with the next packet or message.
    if (window_count_ == kWindows) return;
    windows_[(first_window_ + window_count_++) % kWindows] = {home_address, now + limits_.timeout,
                                                              kind};
}

void SignallingSpis::passed_unsealed(const Ipv6Address& home_address, MessageKind kind) {
    if (settings_.technique != Technique::kHeuristic) return;
    if (Peer* const peer = find(home_address)) peer->of(kind).disarm();
}

void SignallingSpis::expire(std::uint64_t now) {
    for (unsigned i = 0; i < kExpiredAtOnce && window_count_ != 0; ++i) {
        const Window& window = windows_[first_window_];
        if (now < window.deadline) return;
        Peer* const peer = find(window.home_address);
        if (peer != nullptr && peer->of(window.kind).expire(now)) note(&Events::timeout);
        first_window_ = (first_window_ + 1) % kWindows;
        --window_count_;
    }
}

}  // namespace homeport::tunnel
