// SPDX-License-Identifier: BSD-3-Clause
// Deferred freeing for the one writer: what readers may still hold is freed after all of them
// passed a quiescent state (RCU QSBR), in batches, without waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/cache_line.hpp"

struct rte_rcu_qsbr;

namespace homeport::table {

/// Used by the writer's thread alone. That thread must not itself be registered with the QSBR
/// variable.
/// Alone on its cache lines: it changes with every change of a table, and tables stand beside it.
class alignas(kCacheLine) Reclaimer {
  public:
    /// Frees `object`; `owner` is what the object came from. Must not throw.
    using Deleter = void (*)(void* object, void* owner);

    /// `qsbr` is kept, not owned; null: there are no readers, everything is freed at the next poll.
    explicit Reclaimer(rte_rcu_qsbr* qsbr) : qsbr_(qsbr) {}
    /// Frees everything; no reader may be left.
    ~Reclaimer();
    Reclaimer(const Reclaimer&) = delete;
    Reclaimer& operator=(const Reclaimer&) = delete;

    /// Calls `deleter(object, owner)` once no reader that began before this call can hold `object`.
    /// Waits for the readers itself when kMaxBacklog objects have piled up.
    void retire(void* object, Deleter deleter, void* owner);
    /// Frees what has become free. Never waits. Call it often (once a loop).
    void poll();
    /// Waits until all readers passed a quiescent state, and frees everything retired so far.
    void synchronize();
    /// Frees everything without waiting; for the end, when no reader is left.
    void free_now();
    /// Objects that wait.
    [[nodiscard]] std::size_t backlog() const { return collecting_.size() + waiting_.size(); }

    static constexpr std::size_t kMaxBacklog = 1u << 18;

  private:
    struct Retired {
        void* object;
        Deleter deleter;
        void* owner;
    };
    static void free_all(std::vector<Retired>& batch);

    rte_rcu_qsbr* qsbr_;
    std::vector<Retired> collecting_;  // retired since the token of waiting_ was taken
    std::vector<Retired> waiting_;     // free once token_ has passed
    std::uint64_t token_ = 0;
};
static_assert(kFillsLines<Reclaimer>);

}  // namespace homeport::table
