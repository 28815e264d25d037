// SPDX-License-Identifier: BSD-3-Clause
// Where bindings outlive the control plane.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

#include "controlplane/binding/entry.hpp"

namespace homeport::binding {

using WallTime = std::chrono::system_clock::time_point;

/// The two clocks at one moment. Deadlines are kept as wall-clock times, because the steady clock
/// starts anew with the machine.
struct ClockPair {
    TimePoint steady{};
    WallTime wall{};

    [[nodiscard]] WallTime to_wall(TimePoint time) const {
        return wall + std::chrono::duration_cast<WallTime::duration>(time - steady);
    }
    [[nodiscard]] TimePoint to_steady(WallTime time) const {
        return steady + std::chrono::duration_cast<Duration>(time - wall);
    }
};

struct StoreError {
    std::string what{};  // a sentence: operation, file, reason, what was expected
};

/// Writes are collected into one transaction until commit(). A change is safe once commit()
/// returned without error: the caller commits before it sends the acknowledgement.
class Store {
  public:
    virtual ~Store() = default;

    /// Creates or replaces the record of `entry.home_address`. Tentative entries are not kept.
    [[nodiscard]] virtual std::expected<void, StoreError> persist(const Entry& entry,
                                                                  const ClockPair& clocks) = 0;
    [[nodiscard]] virtual std::expected<void, StoreError> erase(
        const Ipv6Address& home_address) = 0;
    [[nodiscard]] virtual std::expected<void, StoreError> commit() = 0;
    /// All records, those that have expired by now included. A record that cannot be read is left
    /// out and named in `rejected`.
    struct Loaded {
        std::vector<Entry> entries;
        std::vector<std::string> rejected;
    };
    [[nodiscard]] virtual std::expected<Loaded, StoreError> load_all(const ClockPair& clocks) = 0;
};

}  // namespace homeport::binding
