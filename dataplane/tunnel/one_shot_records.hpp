// SPDX-License-Identifier: BSD-3-Clause
// Records about home addresses, at most one for each, that serve once: what must be known on both
// sides of IPsec waits here, because nothing travels with a packet through it (S1.9, S1.60).
//
// A record is locked from put() on: a second one for the same home address is refused (kBusy), as
// it would be found by the packet of the first (S1.66, S1.67). The lock ends
//   * with take(): the packet came out of IPsec;
//   * at the end of the run, if IPsec is synchronous: the packet did not come out, so it was
//     dropped, and its record is forgotten;
//   * after `lock_timeout`, if IPsec keeps packets: another record may take its place, and until
//     then, or until `time_to_live` is over, take() still finds it (S1.64).
//
// Bounded: Limits::most_pending records of home addresses without binding, and as many as reserve()
// said in all. When there is no room, the oldest record that is not locked makes some; if there is
// none the new one is refused (kFull).
//
// No memory but what reserve() and the constructor allocate, no I/O. Times are ticks of the
// caller's clock, which does not go back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/cache_line.hpp"

namespace homeport::tunnel {

/// An address on the wire, not a home address.
struct WireEndpoint {
    IpAddress address{};
    std::uint16_t udp_port = 0;  // host order; 0: not in UDP
    // Of an IPv4 endpoint: our own end (S1.71).
    std::uint16_t local_port = 0;
    Ipv4Address local{};

    friend bool operator==(const WireEndpoint&, const WireEndpoint&) = default;
};

class OneShotRecords {
  public:
    struct Limits {
        bool synchronous = true;         ///< IPsec gives a packet back in the same run, or never
        std::uint64_t lock_timeout = 0;  ///< ticks: nat_lock_timeout
        std::uint64_t time_to_live = 0;  ///< ticks: nat_pending_ttl
        std::uint32_t most_pending = kLeast;  ///< nat_pending_max
        friend bool operator==(const Limits&, const Limits&) = default;
    };
    enum class Result : std::uint8_t {
        kOk,
        kBusy,  // there is one for this home address, and it is locked
        kFull,
    };
    /// Whether the home address has a binding. Pending ones have a bound of their own (S1.64).
    enum class Kind : std::uint8_t { kBound, kPending };

    /// Records that there is room for in any case: more than what comes in one run.
    static constexpr std::uint32_t kLeast = 512;

    OneShotRecords();
    /// Room for `count` records, at least kLeast; forgets everything.
    void reserve(std::uint32_t count);
    /// Records that there are stay, and are judged by the new limits.
    void configure(const Limits& limits) { limits_ = limits; }

    [[nodiscard]] Result put(const Ipv6Address& home_address, const WireEndpoint& endpoint,
                             std::uint64_t now, Kind kind = Kind::kBound);
    /// There is a record and it is locked.
    [[nodiscard]] bool is_locked(const Ipv6Address& home_address, std::uint64_t now) const {
        return live_ != 0 && is_locked_slowly(home_address, now);
    }
    /// Null: there is none. Valid until the next call that changes something.
    [[nodiscard]] const WireEndpoint* peek(const Ipv6Address& home_address,
                                           std::uint64_t now) const {
        return live_ == 0 ? nullptr : peek_slowly(home_address, now);
    }
    std::optional<WireEndpoint> take(const Ipv6Address& home_address, std::uint64_t now);
    /// A run of the stages is over.
    void end_run(std::uint64_t now) {
        if (live_ != 0) [[unlikely]]
            expire(now);
    }

    [[nodiscard]] std::uint32_t live() const { return live_; }
    [[nodiscard]] std::uint32_t pending() const { return lists_[1].count; }
    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

  private:
    static constexpr std::uint32_t kNone = 0xffffffff;
    struct Record {
        Ipv6Address home_address;
        WireEndpoint endpoint;
        std::uint64_t made = 0;  // ticks
        std::uint32_t next_in_bucket = kNone;
        std::uint32_t older = kNone;
        std::uint32_t younger = kNone;  // in its list; or the next free one
        Kind kind{};
    };
    struct List {
        std::uint32_t oldest = kNone;
        std::uint32_t youngest = kNone;
        std::uint32_t count = 0;
    };

    [[nodiscard]] std::size_t bucket_of(const Ipv6Address& home_address) const;
    [[nodiscard]] std::uint32_t find(const Ipv6Address& home_address) const;
    [[nodiscard]] bool locked(const Record& record, std::uint64_t now) const {
        return limits_.synchronous || now - record.made < limits_.lock_timeout;
    }
    [[nodiscard]] bool over(const Record& record, std::uint64_t now) const {
        return !limits_.synchronous && now - record.made >= limits_.time_to_live;
    }
    [[nodiscard]] bool is_locked_slowly(const Ipv6Address& home_address, std::uint64_t now) const;
    [[nodiscard]] const WireEndpoint* peek_slowly(const Ipv6Address& home_address,
                                                  std::uint64_t now) const;
    [[nodiscard]] bool make_room(Kind kind, std::uint64_t now);
    [[nodiscard]] bool forget_oldest(List& list, std::uint64_t now);
    void forget(std::uint32_t index);
    void expire(std::uint64_t now);
    [[nodiscard]] List& list_of(Kind kind) { return lists_[static_cast<unsigned>(kind)]; }

    Limits limits_;
    std::uint64_t seed_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t bucket_mask_ = 0;
    std::uint32_t live_ = 0;
    std::uint32_t unused_ = 0;    // records from here on were never used
    std::uint32_t free_ = kNone;  // records that were used before
    List lists_[2];               // by Kind, in the order in which they were made
    LineVector<Record> records_;
    LineVector<std::uint32_t> buckets_;  // first record of each
};

}  // namespace homeport::tunnel
