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

constexpr std::uint8_t kEcnMask = 0x03;
constexpr unsigned kNotEct = 0;
constexpr unsigned kCongestionExperienced = 3;

std::uint8_t ecn_of(rte_mbuf* packet, std::uint8_t family) {
    const std::uint8_t traffic_class =
        family == 6 ? ipv6_of(packet).traffic_class() : ipv4_of(packet).tos;
    return traffic_class & kEcnMask;
}

}  // namespace

Reassembler::Reassembler(const ReassemblyLimits& limits)
    : limits_(limits),
      entries_(std::clamp(limits.entries, 1u, 1u << 20)),
      buckets_(std::bit_ceil(entries_.size()), kNone),
      per_source_(std::bit_ceil(entries_.size()) * 4, 0) {
    limits_.per_source = std::clamp(limits.per_source, 1u, 0xffffu);
    limits_.fragments = std::max(limits.fragments, kMaxFragments);
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

/// A new entry. Where there is none left the oldest packet makes room: an attacker's fragments must
/// not keep others' out until they time out. Null: this source has too many.
Reassembler::Entry* Reassembler::open(Worker& worker, const Key& key) {
    // By hash: two sources that meet in a slot share their limit.
    const auto source_slot = static_cast<std::uint32_t>(
        table::hash_address(key.source, 0, table::hash_seed()) & (per_source_.size() - 1));
    if (per_source_[source_slot] >= limits_.per_source) return nullptr;
    if (free_ == kNone) {
        give_up(worker, entries_[oldest_], Counter::kReassemblyLimit);
        close(entries_[oldest_]);
    }
    const std::uint32_t index = free_;
    Entry& entry = entries_[index];
    free_ = entry.next;
    entry.key = key;
    entry.deadline = worker.now_tsc + limits_.timeout_cycles;
    entry.source_slot = source_slot;
    entry.total = 0;
    entry.octets = 0;
    entry.ecn_seen = 0;
    entry.given_up = false;
    entry.count = 0;
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
    for (unsigned i = 0; i < entry.count; ++i) rte_pktmbuf_free(entry.fragments[i].packet);
    held_ -= entry.count;
    entry.count = 0;
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
    if (entry.count != 0) worker.count(counter, entry.count);
    release(entry);
    entry.given_up = true;
}

void Reassembler::give_up_oldest(Worker& worker) {
    for (std::uint32_t i = oldest_; i != kNone; i = entries_[i].newer) {
        if (entries_[i].count == 0) continue;
        give_up(worker, entries_[i], Counter::kReassemblyLimit);
        return;
    }
}

// -------------------------------------------------------------------------------------- fragments

/// Puts a fragment among those that came.
Reassembler::Fit Reassembler::insert(Entry& entry, const Piece& piece, rte_mbuf* fragment) {
    auto* const begin = entry.fragments.data();
    auto* const end = begin + entry.count;
    auto* const at =
        std::find_if(begin, end, [&](const Held& held) { return held.end > piece.begin; });
    if (at != end && at->begin < piece.end) {
        // RFC 8200 section 4.5: an exact duplicate is no attack.
        return at->begin == piece.begin && at->end == piece.end ? Fit::kDuplicate : Fit::kOverlap;
    }
    const std::uint32_t last_end = entry.count == 0 ? 0 : (end - 1)->end;
    if (!piece.more) {
        if (entry.total != 0 || last_end > piece.end) return Fit::kOverlap;
        entry.total = piece.end;
    } else if (entry.total != 0 && piece.end > entry.total) {
        return Fit::kOverlap;
    }
    if (entry.count == kMaxFragments) return Fit::kTooMany;
    std::move_backward(at, end, end + 1);
    *at = {fragment, piece.begin, piece.end, piece.payload_offset};
    ++entry.count;
    return Fit::kFits;
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
                      .payload_offset = payload_offset,
                      .begin = headers.fragment_offset,
                      .end = static_cast<std::uint16_t>(headers.fragment_offset + octets),
                      .more = headers.more_fragments};
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
    if (entry->given_up) return {Outcome::kDropped, Counter::kReassemblyOverlap};
    if (held_ >= limits_.fragments) give_up_oldest(worker);
    if (entry->given_up) return {Outcome::kDropped, Counter::kReassemblyLimit};
    const bool too_long = piece.end + std::uint32_t{headers_length} > channel::kMaxPacket ||
                          headers_length > kMaxHeaders;
    const Fit fit = too_long ? Fit::kTooMany : insert(*entry, piece, fragment);
    if (fit == Fit::kDuplicate) return {Outcome::kDropped, Counter::kReassemblyOverlap};
    if (fit != Fit::kFits) {
        const Counter counter =
            fit == Fit::kOverlap ? Counter::kReassemblyOverlap : Counter::kReassemblyLimit;
        give_up(worker, *entry, counter);
        return {Outcome::kDropped, counter};
    }
    ++held_;
    entry->octets += octets;
    entry->ecn_seen =
        static_cast<std::uint8_t>(entry->ecn_seen | 1u << ecn_of(fragment, headers.family));
    if (entry->total != 0 && entry->octets == entry->total) {
        return complete(worker, *entry, fragment);
    }
    return {Outcome::kKept};
}

// --------------------------------------------------------------------------------------- the whole

namespace {

/// Takes the Fragment header, which stood behind `headers_length` octets, out of the chain.
void finish_ipv6(std::uint8_t* packet, std::uint16_t length, const std::uint8_t* first_fragment,
                 std::uint16_t headers_length, bool congestion) {
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet);
    std::uint16_t name_offset = offsetof(Ipv6Header, next_header);
    for (std::uint16_t at = sizeof(Ipv6Header); at < headers_length;) {
        name_offset = at;
        at = static_cast<std::uint16_t>(at + (packet[at + 1] + 1) * 8);
    }
    packet[name_offset] = first_fragment[headers_length];
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

/// All fragments are there, but the packet is lost; the caller drops the last one.
Reassembler::Result Reassembler::lose_complete(Worker& worker, Entry& entry, rte_mbuf* last,
                                               Counter counter) {
    auto* const begin = entry.fragments.data();
    auto* const end = begin + entry.count;
    auto* const at =
        std::find_if(begin, end, [&](const Held& held) { return held.packet == last; });
    std::move(at + 1, end, at);
    --entry.count;
    --held_;
    give_up(worker, entry, counter);
    close(entry);
    return {Outcome::kDropped, counter};
}

Reassembler::Result Reassembler::complete(Worker& worker, Entry& entry, rte_mbuf* last) {
    // RFC 3168 section 5.3: a mark of any fragment marks the packet, unless one was not capable.
    const bool congestion = (entry.ecn_seen >> kCongestionExperienced & 1) != 0;
    const bool incapable = (entry.ecn_seen >> kNotEct & 1) != 0;
    if (congestion && incapable) {
        return lose_complete(worker, entry, last, Counter::kReassemblyMalformed);
    }
    const Held& first = entry.fragments[0];
    const std::uint8_t* const first_octets = stage::data(first.packet);
    const bool v6 = entry.key.family == 6;
    const auto headers_length = static_cast<std::uint16_t>(
        first.payload_offset - (v6 ? sizeof(FragmentHeader) : std::size_t{0}));
    const auto length = static_cast<std::uint16_t>(headers_length + entry.total);
    rte_mbuf* const whole = rte_pktmbuf_alloc(worker.jumbo_pool);
    if (whole == nullptr || rte_pktmbuf_append(whole, length) == nullptr) {
        rte_pktmbuf_free(whole);
        return lose_complete(worker, entry, last, Counter::kNoBuffer);
    }
    std::uint8_t* const packet = stage::data(whole);
    std::memcpy(packet, first_octets, headers_length);
    for (unsigned i = 0; i < entry.count; ++i) {
        const Held& held = entry.fragments[i];
        std::memcpy(packet + headers_length + held.begin,
                    stage::data(held.packet) + held.payload_offset,
                    static_cast<std::size_t>(held.end - held.begin));
    }
    if (v6) {
        finish_ipv6(packet, length, first_octets, headers_length, congestion);
    } else {
        finish_ipv4(packet, length, headers_length, congestion);
    }
    const PacketMeta last_notes = stage::meta(last);
    PacketMeta& notes = stage::init_meta(whole, last_notes.in_port);
    notes.passes = last_notes.passes;
    notes.trace = last_notes.trace;
    notes.trace_step = last_notes.trace_step;

    // One of the fragments goes on as the packet.
    worker.count(Counter::kAbsorbed, entry.count - 1u);
    worker.count(Counter::kReassemblyOk);
    close(entry);
    return {.outcome = Outcome::kComplete, .packet = whole};
}

unsigned Reassembler::expire(Worker& worker, std::uint64_t now_tsc, std::span<rte_mbuf*> expired) {
    unsigned count = 0;
    while (due(now_tsc) && count < expired.size()) {
        Entry& entry = entries_[oldest_];
        if (entry.count != 0 && entry.fragments[0].begin == 0) {
            rte_mbuf* const first = entry.fragments[0].packet;
            std::move(entry.fragments.data() + 1, entry.fragments.data() + entry.count,
                      entry.fragments.data());
            --entry.count;
            --held_;
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
