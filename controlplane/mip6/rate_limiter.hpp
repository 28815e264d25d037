// SPDX-License-Identifier: BSD-3-Clause
// Token buckets: one, and one per key with a bound on their number.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

#include "controlplane/binding/timer_wheel.hpp"

namespace homeport::mip6 {

class TokenBucket {
  public:
    TokenBucket(double per_second, double burst)
        : per_second_(per_second), burst_(burst), tokens_(burst) {}

    /// Takes one token if there is one; with an `advance`, also while no more than so many are
    /// owed.
    [[nodiscard]] bool take(binding::TimePoint now, double advance = 0) {
        if (now > filled_ || !started_) {
            const std::chrono::duration<double> passed =
                started_ ? now - filled_ : binding::Duration::zero();
            tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
            filled_ = now;
            started_ = true;
        }
        if (tokens_ + advance < 1) return false;
        tokens_ -= 1;
        return true;
    }

  private:
    double per_second_;
    double burst_;
    double tokens_;
    binding::TimePoint filled_{};
    bool started_ = false;
};

/// At most `max_keys` buckets; the one unused for longest makes room. A key that is forgotten
/// starts with a full bucket: the limit over all keys is what bounds an attacker with many keys.
template <class Key>
class KeyedTokenBuckets {
  public:
    KeyedTokenBuckets(double per_second, double burst, std::size_t max_keys)
        : per_second_(per_second), burst_(burst), max_keys_(std::max<std::size_t>(max_keys, 1)) {}

    [[nodiscard]] bool take(const Key& key, binding::TimePoint now) {
        const auto found = index_.find(key);
        if (found != index_.end()) {
            order_.splice(order_.begin(), order_, found->second);
        } else {
            if (order_.size() >= max_keys_) {
                index_.erase(order_.back().first);
                order_.pop_back();
            }
            order_.emplace_front(key, TokenBucket{per_second_, burst_});
            index_.emplace(key, order_.begin());
        }
        return order_.front().second.take(now);
    }
    [[nodiscard]] std::size_t size() const { return order_.size(); }

  private:
    using Order = std::list<std::pair<Key, TokenBucket>>;
    double per_second_;
    double burst_;
    std::size_t max_keys_;
    Order order_;  // most recently used first
    std::unordered_map<Key, typename Order::iterator> index_;
};

}  // namespace homeport::mip6
