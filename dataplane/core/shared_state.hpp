// SPDX-License-Identifier: BSD-3-Clause
// What all workers look at and the main lcore alone changes: tables, SPD, SAD, parameters, and the
// quiescent states by which replaced objects are freed.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"
#include "dataplane/ipsec/database_queries.hpp"
#include "dataplane/ipsec/reclaimer.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"
#include "dataplane/table/table_writer.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/signalling.hpp"

struct rte_rcu_qsbr;

namespace homeport::core {

/// Lets IPsec free its objects by the same quiescent states as the tables.
class IpsecReclaimer final : public ipsec::Reclaimer {
  public:
    explicit IpsecReclaimer(table::Reclaimer& reclaimer) : reclaimer_(reclaimer) {}
    void retire(void* object, Deleter deleter, void* owner) override {
        reclaimer_.retire(object, deleter, owner);
    }

  private:
    table::Reclaimer& reclaimer_;
};

/// Alone on its cache lines: workers read it in every round.
class alignas(kCacheLine) SharedState {
  public:
    /// `workers` threads may register as readers. The error is a sentence.
    [[nodiscard]] static std::expected<std::unique_ptr<SharedState>, std::string> create(
        const config::DataplaneConfig& config, unsigned workers);
    /// No reader may be left.
    ~SharedState();
    SharedState(const SharedState&) = delete;
    SharedState& operator=(const SharedState&) = delete;

    [[nodiscard]] rte_rcu_qsbr* qsbr() { return qsbr_; }
    [[nodiscard]] table::Tables& tables() { return *tables_; }
    [[nodiscard]] table::TableWriter& writer() { return *writer_; }
    [[nodiscard]] ipsec::SecurityPolicyDatabase& spd() { return *spd_; }
    [[nodiscard]] ipsec::SecurityAssociationDatabase& sad() { return *sad_; }
    [[nodiscard]] const ipsec::Queries& queries() { return *queries_; }

    // Main lcore: puts a new object in force and retires the old one.
    void set_parameters(const channel::ParametersSet& parameters);
    void set_signalling(const tunnel::SignallingPolicies& policies);

    /// Until the first sync of a control plane has ended, nothing is known of addresses and routes:
    /// frames pass between ports and exception TAPs as they are, and the kernel does what it can.
    void set_ready() { ready_.store(true, std::memory_order_release); }
    [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }

    // Workers, once a loop; valid until their next quiescent state.
    [[nodiscard]] const channel::ParametersSet* parameters() const {
        return parameters_.load(std::memory_order_acquire);
    }
    [[nodiscard]] const tunnel::SignallingPolicies* signalling() const {
        return signalling_.load(std::memory_order_acquire);
    }

  private:
    SharedState() = default;

    rte_rcu_qsbr* qsbr_ = nullptr;
    std::unique_ptr<table::Tables> tables_;
    std::unique_ptr<table::TableWriter> writer_;
    std::unique_ptr<IpsecReclaimer> ipsec_reclaimer_;
    std::unique_ptr<ipsec::SecurityPolicyDatabase> spd_;
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::DatabaseQueries> queries_;
    std::atomic<bool> ready_{false};
    std::atomic<const channel::ParametersSet*> parameters_{nullptr};
    std::atomic<const tunnel::SignallingPolicies*> signalling_{nullptr};
};
static_assert(kFillsLines<SharedState>);

}  // namespace homeport::core
