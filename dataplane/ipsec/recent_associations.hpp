// SPDX-License-Identifier: BSD-3-Clause
// The outbound SAs that packets of a flow were sealed by, so that the next of them needs no hash
// and no look into the SPD-S cache. A guess: who takes one asks it SecurityAssociation::is_for().
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/ipsec/sa.hpp"

namespace homeport::ipsec {

/// Of one engine. Flows are numbers that the caller gives; those beyond kFlows are not remembered.
///
/// Everything is forgotten when the outbound SAs have changed in any way, which the store counts
/// before it gives an SA that went to the reclaimer. So what is found after begin() was there in
/// this burst, and will be until the engine's thread is quiescent. While they keep changing nothing
/// is remembered, as forgetting costs as much as sealing 50 packets.
class RecentAssociations {
  public:
    static constexpr std::uint32_t kFlows = 1u << 14;
    /// Bursts without a change before anything is remembered.
    static constexpr unsigned kCalmBursts = 64;

    /// At the begin of each burst, with SaStore::outbound_changes() of now.
    [[gnu::always_inline]] void begin(std::uint64_t changes) {
        if (changes != changes_ || flows_ == 0) [[unlikely]]
            wait_for_calm(changes);
    }
    /// Null: none is known.
    [[nodiscard]] SecurityAssociation* find(std::uint32_t flow) const {
        return flow < flows_ ? associations_[flow] : nullptr;
    }
    void remember(std::uint32_t flow, SecurityAssociation* sa) {
        if (flow < flows_) associations_[flow] = sa;
    }

  private:
    [[gnu::noinline]] void wait_for_calm(std::uint64_t changes) {
        if (changes != changes_) {
            changes_ = changes;
            flows_ = 0;
            calm_ = 0;
        } else if (++calm_ == kCalmBursts) {
            associations_.fill(nullptr);
            flows_ = kFlows;
        }
    }

    std::uint64_t changes_ = 0;
    std::uint32_t flows_ = 0;  ///< that are remembered now: all, or none
    unsigned calm_ = 0;        ///< bursts since the last change, while there are none
    std::array<SecurityAssociation*, kFlows> associations_{};
};

}  // namespace homeport::ipsec
