// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/one_shot_records.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>

namespace homeport::tunnel {

OneShotRecords::OneShotRecords() {
    // Home addresses are chosen by whoever sends packets; without a secret they could be chosen so
    // that all of them fall into one bucket. If there is no entropy the address of the table must
    // do.
    seed_ = reinterpret_cast<std::uintptr_t>(this);
    (void)getentropy(&seed_, sizeof seed_);
    reserve(kLeast);
}

void OneShotRecords::reserve(std::uint32_t count) {
    capacity_ = std::max(count, kLeast);
    const std::uint32_t buckets = std::bit_ceil(capacity_);
    records_ = LineVector<Record>(capacity_);
    buckets_.assign(buckets, kNone);
    bucket_mask_ = buckets - 1;
    live_ = unused_ = 0;
    free_ = kNone;
    lists_[0] = lists_[1] = {};
}

std::size_t OneShotRecords::bucket_of(const Ipv6Address& home_address) const {
    std::uint64_t x = (home_address.high() ^ seed_) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 32) ^ home_address.low()) * 0xd6e8feb86659fd93u;
    return static_cast<std::uint32_t>(x ^ (x >> 32)) & bucket_mask_;
}

std::uint32_t OneShotRecords::find(const Ipv6Address& home_address) const {
    std::uint32_t index = buckets_[bucket_of(home_address)];
    while (index != kNone && records_[index].home_address != home_address) {
        index = records_[index].next_in_bucket;
    }
    return index;
}

bool OneShotRecords::is_locked_slowly(const Ipv6Address& home_address, std::uint64_t now) const {
    const std::uint32_t index = find(home_address);
    return index != kNone && locked(records_[index], now);
}

const WireEndpoint* OneShotRecords::peek_slowly(const Ipv6Address& home_address,
                                                std::uint64_t now) const {
    const std::uint32_t index = find(home_address);
    if (index == kNone || over(records_[index], now)) return nullptr;
    return &records_[index].endpoint;
}

OneShotRecords::Result OneShotRecords::put(const Ipv6Address& home_address,
                                           const WireEndpoint& endpoint, std::uint64_t now,
                                           Kind kind) {
    if (const std::uint32_t old = live_ == 0 ? kNone : find(home_address); old != kNone) {
        if (locked(records_[old], now)) return Result::kBusy;
        forget(old);
    }
    if (!make_room(kind, now)) return Result::kFull;
    std::uint32_t index = free_;
    if (index != kNone) {
        free_ = records_[index].younger;
    } else {
        index = unused_++;
    }
    List& list = list_of(kind);
    std::uint32_t& bucket = buckets_[bucket_of(home_address)];
    records_[index] = {.home_address = home_address,
                       .endpoint = endpoint,
                       .made = now,
                       .next_in_bucket = bucket,
                       .older = list.youngest,
                       .younger = kNone,
                       .kind = kind};
    bucket = index;
    (list.youngest == kNone ? list.oldest : records_[list.youngest].younger) = index;
    list.youngest = index;
    ++list.count;
    ++live_;
    return Result::kOk;
}

bool OneShotRecords::make_room(Kind kind, std::uint64_t now) {
    List& pending = list_of(Kind::kPending);
    if (kind == Kind::kPending && pending.count >= limits_.most_pending &&
        !forget_oldest(pending, now)) {
        return false;
    }
    if (live_ < capacity_) return true;
    return forget_oldest(pending, now) || forget_oldest(list_of(Kind::kBound), now);
}

/// Unless it is locked: then all the younger ones are, too.
bool OneShotRecords::forget_oldest(List& list, std::uint64_t now) {
    if (list.oldest == kNone || locked(records_[list.oldest], now)) return false;
    forget(list.oldest);
    return true;
}

void OneShotRecords::forget(std::uint32_t index) {
    Record& record = records_[index];
    std::uint32_t* at = &buckets_[bucket_of(record.home_address)];
    while (*at != index) at = &records_[*at].next_in_bucket;
    *at = record.next_in_bucket;
    List& list = list_of(record.kind);
    (record.older == kNone ? list.oldest : records_[record.older].younger) = record.younger;
    (record.younger == kNone ? list.youngest : records_[record.younger].older) = record.older;
    --list.count;
    --live_;
    record.younger = free_;
    free_ = index;
}

std::optional<WireEndpoint> OneShotRecords::take(const Ipv6Address& home_address,
                                                 std::uint64_t now) {
    if (live_ == 0) return std::nullopt;
    const std::uint32_t index = find(home_address);
    if (index == kNone) return std::nullopt;
    const bool valid = !over(records_[index], now);
    const WireEndpoint endpoint = records_[index].endpoint;
    forget(index);
    if (!valid) return std::nullopt;
    return endpoint;
}

void OneShotRecords::expire(std::uint64_t now) {
    for (List& list : lists_) {
        while (list.oldest != kNone && (limits_.synchronous || over(records_[list.oldest], now))) {
            forget(list.oldest);
        }
    }
}

}  // namespace homeport::tunnel
