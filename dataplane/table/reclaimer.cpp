// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/reclaimer.hpp"

#include <rte_rcu_qsbr.h>

#include <utility>

namespace homeport::table {

Reclaimer::~Reclaimer() {
    free_now();
}

void Reclaimer::free_now() {
    free_all(waiting_);
    while (!collecting_.empty()) {
        std::swap(collecting_, waiting_);
        free_all(waiting_);
    }
}

void Reclaimer::free_all(std::vector<Retired>& batch) {
    // A deleter may retire something else, which lands in collecting_, never in `batch`.
    for (const Retired& retired : batch) retired.deleter(retired.object, retired.owner);
    batch.clear();
}

void Reclaimer::retire(void* object, Deleter deleter, void* owner) {
    collecting_.push_back({object, deleter, owner});
    if (backlog() >= kMaxBacklog) synchronize();
}

void Reclaimer::poll() {
    if (!waiting_.empty()) {
        if (qsbr_ != nullptr && rte_rcu_qsbr_check(qsbr_, token_, false) == 0) return;
        free_all(waiting_);
    }
    if (collecting_.empty()) return;
    std::swap(collecting_, waiting_);
    if (qsbr_ != nullptr) token_ = rte_rcu_qsbr_start(qsbr_);
}

void Reclaimer::synchronize() {
    // Inline, unlike rte_rcu_qsbr_synchronize(), so that a TSan build sees the order that it makes.
    if (qsbr_ != nullptr) rte_rcu_qsbr_check(qsbr_, rte_rcu_qsbr_start(qsbr_), true);
    free_all(waiting_);
    std::swap(collecting_, waiting_);
    free_all(waiting_);
}

}  // namespace homeport::table
