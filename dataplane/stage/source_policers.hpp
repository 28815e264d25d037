// SPDX-License-Identifier: BSD-3-Clause
// A token bucket for each source of messages, so that none of them uses up what all may send
// together. Sources share a fixed number of buckets by a hash that nobody outside knows.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/concurrent_hash.hpp"

namespace homeport::stage {

/// Not shared between threads.
class SourcePolicers {
  public:
    /// Of each source; as for Policer.
    void configure(std::uint64_t per_second, std::uint64_t burst, std::uint64_t tsc_hz) {
        for (Policer& bucket : buckets_) bucket.configure(per_second, burst, tsc_hz);
    }
    [[nodiscard]] bool take(const Ipv4Address& source, std::uint64_t now_tsc) {
        constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
        const std::uint64_t mixed = (source.host() ^ seed_) * kOdd;
        return buckets_[mixed >> (64 - kBits)].take(now_tsc);
    }

  private:
    static constexpr unsigned kBits = 10;
    std::uint64_t seed_ = table::hash_seed();
    std::array<Policer, 1u << kBits> buckets_{};
};

}  // namespace homeport::stage
