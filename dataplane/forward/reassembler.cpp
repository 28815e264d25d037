// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/reassembler.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/table/concurrent_hash.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::PacketMeta;
using stage::Worker;

/// Where the fragmentable part begins in the buffer: headers go before it, and before them what a
/// tunnel needs.
constexpr std::uint16_t kPayloadOffset = RTE_PKTMBUF_HEADROOM + Reassembler::kMaxHeaders;
constexpr std::uint8_t kEcnMask = 0x03;
constexpr unsigned kNotEct = 0;
constexpr unsigned kCongestionExperienced = 3;

std::uint8_t ecn_of(rte_mbuf* packet, std::uint8_t family) {
    const std::uint8_t traffic_class =
        family == 6 ? ipv6_of(packet).traffic_class() : ipv4_of(packet).tos;
    return traffic_class & kEcnMask;
}

std::uint32_t room_of(const rte_mbuf* whole) {
    return whole->buf_len > kPayloadOffset ? whole->buf_len - std::uint32_t{kPayloadOffset} : 0;
}

std::uint8_t* payload_of(rte_mbuf* whole) {
    return static_cast<std::uint8_t*>(whole->buf_addr) + kPayloadOffset;
}

}  // namespace

Reassembler::Reassembler(const ReassemblyLimits& limits)
    : limits_(limits),
      entries_(std::clamp(limits.entries, 1u, 1u << 20)),
      buckets_(std::bit_ceil(entries_.size()), kNone),
      per_source_(std::bit_ceil(entries_.size()) * 4, 0) {
    limits_.per_source = std::clamp(limits.per_source, 1u, 0xffffu);
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
        entries_[i].next = i + 1 < entries_.size() ? i + 1 : kNone;
    }
    free_ = 0;
}

Reassembler::~Reassembler() {
    while (oldest_ != kNone) close(entries_[oldest_]);
}

// -------------------------------------------------------------------------------------- the table

std::uint32_t Reassembler::bucket_of(const Key& key) const {
    const std::uint64_t seed = table::hash_seed();
    const std::uint64_t hash = table::hash_address(key.source, key.identification, seed) ^
                               table::hash_address(key.destination, key.protocol, ~seed);
    return static_cast<std::uint32_t>(hash >> 32) & static_cast<std::uint32_t>(buckets_.size() - 1);
}

Reassembler::Entry* Reassembler::find(const Key& key) {
    for (std::uint32_t i = buckets_[bucket_of(key)]; i != kNone; i = entries_[i].next) {
        if (entries_[i].key == key) return &entries_[i];
    }
    return nullptr;
}

/// A new entry with a buffer. Where there is none left the oldest packet makes room: an attacker's
/// fragments must not keep others' out until they time out. Null: this source has too many, or no
/// buffer could be had.
Reassembler::Entry* Reassembler::open(Worker& worker, const Key& key) {
    // By hash: two sources that meet in a slot share their limit.
    const auto source_slot = static_cast<std::uint32_t>(
        table::hash_address(key.source, 0, table::hash_seed()) & (per_source_.size() - 1));
    if (per_source_[source_slot] >= limits_.per_source) return nullptr;
    if (free_ == kNone) {
        give_up(worker, entries_[oldest_], Counter::kReassemblyLimit);
        close(entries_[oldest_]);
    }
    rte_mbuf* whole = rte_pktmbuf_alloc(worker.jumbo_pool);
    for (std::uint32_t i = oldest_; whole == nullptr && i != kNone; i = entries_[i].newer) {
        if (entries_[i].whole == nullptr) continue;
        give_up(worker, entries_[i], Counter::kReassemblyLimit);
        whole = rte_pktmbuf_alloc(worker.jumbo_pool);
    }
    if (whole == nullptr) return nullptr;

    const std::uint32_t index = free_;
    Entry& entry = entries_[index];
    free_ = entry.next;
    entry.key = key;
    entry.deadline = worker.now_tsc + limits_.timeout_cycles;
    entry.whole = whole;
    entry.first = nullptr;
    entry.source_slot = source_slot;
    entry.total = 0;
    entry.copied = 0;
    entry.ecn_seen = 0;
    entry.range_count = 0;
    entry.fragments = 0;
    std::uint32_t& bucket = buckets_[bucket_of(key)];
    entry.next = bucket;
    bucket = index;
    entry.older = newest_;
    entry.newer = kNone;
    (newest_ == kNone ? oldest_ : entries_[newest_].newer) = index;
    newest_ = index;
    ++per_source_[source_slot];
    ++used_;
    return &entry;
}

/// Buffers go, the entry stays.
void Reassembler::release(Entry& entry) {
    rte_pktmbuf_free(entry.whole);
    rte_pktmbuf_free(entry.first);
    entry.whole = nullptr;
    entry.first = nullptr;
    entry.fragments = 0;
}

void Reassembler::close(Entry& entry) {
    release(entry);
    const auto index = static_cast<std::uint32_t>(&entry - entries_.data());
    std::uint32_t* link = &buckets_[bucket_of(entry.key)];
    while (*link != index) link = &entries_[*link].next;
    *link = entry.next;
    (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
    (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
    --per_source_[entry.source_slot];
    --used_;
    entry.next = free_;
    free_ = index;
}

/// Its fragments are lost under `counter`. The entry stays until its time is over: what is still to
/// come of that packet has to be dropped too (RFC 5722 section 4).
void Reassembler::give_up(Worker& worker, Entry& entry, Counter counter) {
    if (entry.fragments != 0) worker.count(counter, entry.fragments);
    release(entry);
}

// -------------------------------------------------------------------------------------- fragments

/// Finds the place of a fragment among those that came.
Reassembler::Fit Reassembler::insert(Entry& entry, const Piece& piece) {
    auto* const begin = entry.ranges.data();
    auto* const end = begin + entry.range_count;
    auto* const at =
        std::find_if(begin, end, [&](const Range& range) { return range.end > piece.begin; });
    if (at != end && at->begin < piece.end) {
        // RFC 8200 section 4.5: an exact duplicate is no attack.
        return at->begin == piece.begin && at->end == piece.end ? Fit::kDuplicate : Fit::kOverlap;
    }
    const std::uint32_t last_end = entry.range_count == 0 ? 0 : (end - 1)->end;
    if (!piece.more) {
        if (entry.total != 0 || last_end > piece.end) return Fit::kOverlap;
        entry.total = piece.end;
    } else if (entry.total != 0 && piece.end > entry.total) {
        return Fit::kOverlap;
    }
    if (entry.range_count == kMaxFragments) return Fit::kTooMany;
    std::move_backward(at, end, end + 1);
    *at = {piece.begin, piece.end};
    ++entry.range_count;
    return Fit::kFits;
}

void Reassembler::note_first(Entry& entry, rte_mbuf* fragment, const parse::Headers& headers,
                             const Piece& piece) {
    entry.first = fragment;
    entry.headers_length = piece.headers_length;
    if (headers.family == 6) {
        entry.name_offset = headers.fragment_name_offset;
        entry.next_header = stage::data(fragment)[headers.fragment_header_offset];
    }
}

Reassembler::Result Reassembler::add(Worker& worker, rte_mbuf* fragment,
                                     const parse::Headers& headers) {
    const bool v6 = headers.family == 6;
    const std::uint16_t headers_length =
        v6 ? headers.fragment_header_offset : ipv4_of(fragment).header_length();
    const auto payload_offset =
        static_cast<std::uint16_t>(headers_length + (v6 ? sizeof(FragmentHeader) : 0));
    const std::uint32_t octets = headers.end - std::uint32_t{payload_offset};
    if (octets == 0 || (headers.more_fragments && octets % 8 != 0)) {
        return {.outcome = Outcome::kMalformed, .pointer = offsetof(Ipv6Header, payload_length)};
    }
    if (headers.fragment_offset + octets > 0xffff) {
        return {.outcome = Outcome::kMalformed,
                .pointer = static_cast<std::uint16_t>(headers.fragment_header_offset +
                                                      offsetof(FragmentHeader, offset_flags))};
    }
    const Piece piece{.headers_length = headers_length,
                      .begin = headers.fragment_offset,
                      .end = static_cast<std::uint16_t>(headers.fragment_offset + octets),
                      .more = headers.more_fragments,
                      .payload = bytes_of(fragment).subspan(payload_offset, octets)};
    const Key key{
        .source = v6 ? ipv6_of(fragment).source : table::v4_mapped(ipv4_of(fragment).source),
        .destination =
            v6 ? ipv6_of(fragment).destination : table::v4_mapped(ipv4_of(fragment).destination),
        .identification = headers.identification,
        .family = headers.family,
        .protocol = v6 ? std::uint8_t{0} : ipv4_of(fragment).protocol};

    Entry* entry = find(key);
    if (entry == nullptr) entry = open(worker, key);
    if (entry == nullptr) return {Outcome::kDropped, Counter::kReassemblyLimit};
    if (entry->whole == nullptr) return {Outcome::kDropped, Counter::kReassemblyOverlap};
    const bool too_long = piece.end > room_of(entry->whole) ||
                          piece.end + std::uint32_t{headers_length} > channel::kMaxPacket ||
                          headers_length > kMaxHeaders;
    const Fit fit = too_long ? Fit::kTooMany : insert(*entry, piece);
    if (fit == Fit::kDuplicate) return {Outcome::kDropped, Counter::kReassemblyOverlap};
    if (fit != Fit::kFits) {
        const Counter counter =
            fit == Fit::kOverlap ? Counter::kReassemblyOverlap : Counter::kReassemblyLimit;
        give_up(worker, *entry, counter);
        return {Outcome::kDropped, counter};
    }

    std::memcpy(payload_of(entry->whole) + piece.begin, piece.payload.data(), octets);
    entry->copied += octets;
    entry->ecn_seen =
        static_cast<std::uint8_t>(entry->ecn_seen | 1u << ecn_of(fragment, headers.family));
    ++entry->fragments;
    if (piece.begin == 0) note_first(*entry, fragment, headers, piece);
    if (entry->total != 0 && entry->copied == entry->total) {
        return complete(worker, *entry, fragment);
    }
    if (piece.begin != 0) rte_pktmbuf_free(fragment);
    return {Outcome::kKept};
}

// --------------------------------------------------------------------------------------- the whole

namespace {

void finish_ipv6(std::uint8_t* packet, std::uint16_t length, std::uint16_t name_offset,
                 std::uint8_t next_header, bool congestion) {
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet);
    packet[name_offset] = next_header;
    ip.payload_length = Be16(static_cast<std::uint16_t>(length - sizeof(Ipv6Header)));
    if (congestion) packet[1] = static_cast<std::uint8_t>(packet[1] | kEcnMask << 4);
}

void finish_ipv4(std::uint8_t* packet, std::uint16_t length, std::uint16_t headers_length,
                 bool congestion) {
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet);
    ip.total_length = Be16(length);
    ip.flags_offset = Be16(0);
    if (congestion) ip.tos = static_cast<std::uint8_t>(ip.tos | kEcnMask);
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum({packet, headers_length}));
}

}  // namespace

Reassembler::Result Reassembler::complete(Worker& worker, Entry& entry, rte_mbuf* last) {
    // RFC 3168 section 5.3: a mark of any fragment marks the packet, unless one was not capable.
    const bool congestion = (entry.ecn_seen >> kCongestionExperienced & 1) != 0;
    const bool incapable = (entry.ecn_seen >> kNotEct & 1) != 0;
    if (congestion && incapable) {
        // All ranges are there, so this one was not the caller's to keep.
        const bool last_is_first = entry.first == last;
        if (last_is_first) entry.first = nullptr;
        --entry.fragments;
        give_up(worker, entry, Counter::kReassemblyMalformed);
        close(entry);
        return {Outcome::kDropped, Counter::kReassemblyMalformed};
    }
    rte_mbuf* const whole = entry.whole;
    const std::uint16_t headers_length = entry.headers_length;
    const auto length = static_cast<std::uint16_t>(headers_length + entry.total);
    whole->data_off = static_cast<std::uint16_t>(kPayloadOffset - headers_length);
    set_length(whole, length);
    std::uint8_t* const packet = stage::data(whole);
    std::memcpy(packet, stage::data(entry.first), headers_length);
    if (entry.key.family == 6) {
        finish_ipv6(packet, length, entry.name_offset, entry.next_header, congestion);
    } else {
        finish_ipv4(packet, length, headers_length, congestion);
    }
    const PacketMeta last_notes = stage::meta(last);
    PacketMeta& notes = stage::init_meta(whole, last_notes.in_port);
    notes.passes = last_notes.passes;
    notes.trace = last_notes.trace;
    notes.trace_step = last_notes.trace_step;

    // One of the fragments goes on as the packet.
    if (entry.fragments > 1) worker.count(Counter::kAbsorbed, entry.fragments - 1u);
    worker.count(Counter::kReassemblyOk);
    if (entry.first != last) rte_pktmbuf_free(last);
    entry.whole = nullptr;
    close(entry);
    return {.outcome = Outcome::kComplete, .packet = whole};
}

unsigned Reassembler::expire(Worker& worker, std::uint64_t now_tsc, std::span<rte_mbuf*> expired) {
    unsigned count = 0;
    while (due(now_tsc) && count < expired.size()) {
        Entry& entry = entries_[oldest_];
        if (entry.first != nullptr) {
            rte_mbuf* const first = entry.first;
            entry.first = nullptr;
            --entry.fragments;
            // RFC 8200 section 4.5: code 1, fragment reassembly time exceeded.
            note_icmp_error(first, {stage::IcmpErrorKind::kTimeExceeded, 1, 0},
                            Counter::kReassemblyTimeout);
            expired[count++] = first;
        }
        give_up(worker, entry, Counter::kReassemblyTimeout);
        close(entry);
    }
    return count;
}

}  // namespace homeport::forward
