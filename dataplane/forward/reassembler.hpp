// SPDX-License-Identifier: BSD-3-Clause
// Fragments become packets again: IPv6 as RFC 8200 section 4.5 and RFC 5722, IPv4 as RFC 791 and
// RFC 1858 say. One object a worker. All memory is taken at the start; fragments wait in their own
// buffers and are copied into one when they are all there. Not rte_ip_frag: that accepts overlaps,
// refuses extension headers, and tells nobody why a fragment was lost.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/base/address.hpp"
#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/stage/worker.hpp"

namespace homeport::forward {

struct ReassemblyLimits {
    std::uint32_t entries = 4096;      // packets in reassembly, 1..2^20
    std::uint32_t fragments = 8192;    // that wait in all: at most a part of the buffers there are
    std::uint32_t per_source = 64;     // packets in reassembly from one source
    std::uint64_t timeout_cycles = 0;  // TSC cycles from the first fragment that came
};

class alignas(kCacheLine) Reassembler {
  public:
    static constexpr unsigned kMaxFragments = 32;  // of one packet
    /// Octets before the fragmentable part of a packet, the IP header included.
    static constexpr unsigned kMaxHeaders = 128;

    explicit Reassembler(const ReassemblyLimits& limits);
    /// Frees what waits, uncounted.
    ~Reassembler();
    Reassembler(const Reassembler&) = delete;
    Reassembler& operator=(const Reassembler&) = delete;

    enum class Outcome : std::uint8_t {
        kKept,       // waits for others; the mbuf is taken
        kComplete,   // `packet` is the whole one; the fragment's mbuf is taken
        kDropped,    // the caller drops the fragment under `counter`
        kMalformed,  // the same, and an ICMP parameter problem points to `pointer`
    };
    struct Result {
        Outcome outcome;
        channel::Counter counter = channel::Counter::kReassemblyMalformed;
        rte_mbuf* packet = nullptr;
        std::uint16_t pointer = 0;
    };

    /// Takes one fragment, whose headers are walked. Its notes are set; those of a complete packet
    /// are made anew, with the port and the driver's notes of the fragment that completed it.
    /// Fragments of earlier calls are counted here when their fate is known: as absorbed, or under
    /// the counter of why they are lost.
    [[nodiscard]] Result add(stage::Worker& worker, rte_mbuf* fragment,
                             const parse::Headers& headers);

    /// Gives up packets that are too old. A first fragment of one is put into `expired`, its notes
    /// set for the stage icmp-error, where it belongs next (RFC 8200 section 4.5); all others are
    /// counted (reasm.timeout) and freed. Returns how many were put there. Call it in each round of
    /// the worker's loop; without anything to do it costs a comparison.
    [[nodiscard]] unsigned expire(stage::Worker& worker, std::uint64_t now_tsc,
                                  std::span<rte_mbuf*> expired);
    /// Whether expire() has something to do.
    [[nodiscard]] bool due(std::uint64_t now_tsc) const {
        return oldest_ != kNone && entries_[oldest_].deadline <= now_tsc;
    }
    /// Packets in reassembly, those included of which nothing is accepted any more.
    [[nodiscard]] std::uint32_t size() const { return used_; }
    /// Fragments that wait.
    [[nodiscard]] std::uint32_t held() const { return held_; }

  private:
    static constexpr std::uint32_t kNone = 0xffffffff;
    struct Key {
        Ipv6Address source;  // v4-mapped for IPv4
        Ipv6Address destination;
        std::uint32_t identification;
        std::uint8_t family;
        std::uint8_t protocol;  // IPv4 only (RFC 791); 0 for IPv6
        friend bool operator==(const Key&, const Key&) = default;
    };
    /// A fragment that waits.
    struct Held {
        rte_mbuf* packet;
        std::uint16_t begin;  // octets of the fragmentable part
        std::uint16_t end;
        std::uint16_t payload_offset;  // in the packet
    };
    struct Entry {
        Key key;
        std::uint64_t deadline;
        std::uint32_t next;          // in the bucket, or in the list of free entries
        std::uint32_t older, newer;  // by age
        std::uint32_t source_slot;
        std::uint32_t total;    // octets of the fragmentable part; 0: not known yet
        std::uint32_t octets;   // of it that are there
        std::uint8_t ecn_seen;  // bit by codepoint
        bool given_up;          // only remembered, so that later fragments are dropped
        std::uint8_t count;
        std::array<Held, kMaxFragments> fragments;  // ascending
    };
    /// A fragment as the checks and the copy need it.
    struct Piece {
        std::uint16_t headers_length;
        std::uint16_t payload_offset;
        std::uint16_t begin;
        std::uint16_t end;
        bool more;
    };
    enum class Fit : std::uint8_t { kFits, kDuplicate, kOverlap, kTooMany };

    [[nodiscard]] std::uint32_t bucket_of(const Key& key) const;
    [[nodiscard]] Entry* find(const Key& key);
    [[nodiscard]] Entry* open(stage::Worker& worker, const Key& key);
    void close(Entry& entry);
    void release(Entry& entry);
    void give_up(stage::Worker& worker, Entry& entry, channel::Counter counter);
    void give_up_oldest(stage::Worker& worker);
    [[nodiscard]] static Fit insert(Entry& entry, const Piece& piece, rte_mbuf* fragment);
    [[nodiscard]] Result complete(stage::Worker& worker, Entry& entry, rte_mbuf* last);
    [[nodiscard]] Result lose_complete(stage::Worker& worker, Entry& entry, rte_mbuf* last,
                                       channel::Counter counter);

    ReassemblyLimits limits_;
    LineVector<Entry> entries_;
    LineVector<std::uint32_t> buckets_;
    LineVector<std::uint16_t> per_source_;  // packets by hash of the source
    std::uint32_t free_ = kNone;
    std::uint32_t oldest_ = kNone;
    std::uint32_t newest_ = kNone;
    std::uint32_t used_ = 0;
    std::uint32_t held_ = 0;
};
static_assert(kFillsLines<Reassembler>);

}  // namespace homeport::forward
