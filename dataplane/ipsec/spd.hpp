// SPDX-License-Identifier: BSD-3-Clause
// The security policy database (RFC 4301 section 4.4.1): ordered, one for the whole host.
//
// Use: one writer calls replace() with the whole ordered list; the list is compiled into an
// immutable form that engines on other threads read without locks. Which SA serves a PROTECT entry
// is not here but in the SPD-S cache of SecurityAssociationDatabase, keyed by PolicyId: entries can
// be reordered and replaced without touching SAs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/ipsec/error.hpp"
#include "dataplane/ipsec/policy.hpp"
#include "dataplane/ipsec/policy_hits.hpp"
#include "dataplane/ipsec/reclaimer.hpp"

namespace homeport::ipsec {

class CompiledPolicies;

class SecurityPolicyDatabase {
  public:
    /// An empty database: everything is discarded. `reclaimer` must outlive it.
    explicit SecurityPolicyDatabase(Reclaimer& reclaimer);
    ~SecurityPolicyDatabase();
    SecurityPolicyDatabase(const SecurityPolicyDatabase&) = delete;
    SecurityPolicyDatabase& operator=(const SecurityPolicyDatabase&) = delete;

    /// Puts `entries` in force, all at once; a nominal DISCARD follows them. On an error (double
    /// id, address families mixed, an entry that an earlier one hides, ...) nothing changes.
    /// Writer's thread only.
    [[nodiscard]] Result<void> replace(std::vector<PolicyEntry> entries);

    /// In force, without the nominal DISCARD. Writer's thread only.
    [[nodiscard]] const std::vector<PolicyEntry>& entries() const { return entries_; }
    /// One line an entry, the nominal DISCARD included. Writer's thread only.
    [[nodiscard]] std::vector<std::string> to_text() const;

    /// For readers; valid until the reader's next quiescent state.
    [[nodiscard]] const CompiledPolicies& compiled() const {
        return *compiled_.load(std::memory_order_acquire);
    }
    /// Where engines count what the entry `id` decided. An id keeps its slot when it goes and comes
    /// again; kCommonSlot: it has none of its own. Any thread.
    [[nodiscard]] HitSlot slot_of(PolicyId id) const {
        return slots_[id].load(std::memory_order_relaxed);
    }
    /// Grows with each replace().
    [[nodiscard]] std::uint64_t generation() const {
        return generation_.load(std::memory_order_acquire);
    }

  private:
    HitSlot take_slot(PolicyId id);

    Reclaimer& reclaimer_;
    std::vector<PolicyEntry> entries_;
    std::atomic<const CompiledPolicies*> compiled_;
    std::atomic<std::uint64_t> generation_{0};
    std::unique_ptr<std::atomic<HitSlot>[]> slots_;  // by PolicyId
    HitSlot next_slot_ = 0;
};

}  // namespace homeport::ipsec
