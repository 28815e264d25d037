// SPDX-License-Identifier: BSD-3-Clause
// What the main lcore writes into the statistics region once a second.
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <cstring>

#include "dataplane/core/main_lcore.hpp"

namespace homeport::core {

void MainLcore::write_statistics() {
    using Header = channel::StatisticsHeader;
    for (const auto& port : ports_) write_port_row(*port);
    write_adjacency_rows();
    write_policy_rows();
    const table::TableWriter& writer = state_.writer();
    region_.set(&Header::current_bindings, writer.binding_count());
    region_.set(&Header::current_routes, writer.route_count());
    region_.set(&Header::current_adjacencies, writer.adjacency_count());
    region_.set(&Header::current_sas, ipsec_.size());
    region_.set(&Header::mbufs_total, pool_->size + jumbo_pool_->size);
    region_.set(&Header::mbufs_in_use,
                rte_mempool_in_use_count(pool_) + rte_mempool_in_use_count(jumbo_pool_));
}

void MainLcore::write_port_row(const PortContext& port) {
    rte_eth_stats stats;
    std::memset(&stats, 0, sizeof stats);
    // A driver without counters leaves zeros.
    (void)rte_eth_stats_get(port.port->id(), &stats);
    channel::PortRow row;
    row.in_use = 1;
    row.rx_packets = stats.ipackets;
    row.tx_packets = stats.opackets;
    row.rx_bytes = stats.ibytes;
    row.tx_bytes = stats.obytes;
    row.rx_missed = stats.imissed;
    row.rx_errors = stats.ierrors;
    row.tx_errors = stats.oerrors;
    row.rx_no_buffer = stats.rx_nombuf;
    row.kernel_rx = port.kernel_rx;
    row.kernel_tx = port.kernel_tx;
    region_.set_port(port.number, row);
}

void MainLcore::write_adjacency_rows() {
    std::vector<std::uint8_t> in_use(adjacency_rows_in_use_.size(), 0);
    state_.writer().for_each_adjacency([&](const table::Adjacency& adjacency) {
        if (adjacency.index >= in_use.size()) return;
        in_use[adjacency.index] = 1;
        channel::AdjacencyRow row;
        row.next_hop = adjacency.family == 4
                           ? channel::WireAddress(table::v4_of(adjacency.next_hop))
                           : channel::WireAddress(adjacency.next_hop);
        row.port = adjacency.port;
        row.in_use = 1;
        row.resolved = adjacency.resolved;
        if (adjacency.resolved != 0) row.mac = MacAddress::load(adjacency.ethernet.data());
        for (const auto& worker : workers_) {
            row.packets +=
                __atomic_load_n(&worker->adjacency_packets()[adjacency.index], __ATOMIC_RELAXED);
        }
        region_.set_adjacency(adjacency.index, row);
    });
    for (std::uint32_t index = 0; index < in_use.size(); ++index) {
        if (adjacency_rows_in_use_[index] != 0 && in_use[index] == 0) {
            region_.set_adjacency(index, {});
        }
    }
    adjacency_rows_in_use_ = std::move(in_use);
}

/// An entry's row is its slot, so that it stays when others come and go.
void MainLcore::write_policy_rows() {
    std::vector<std::uint8_t> in_use(ipsec::kHitSlots, 0);
    const auto write = [&](ipsec::PolicyId id) {
        const ipsec::HitSlot slot = state_.spd().slot_of(id);
        channel::PolicyRow row;
        row.policy_id = id;
        row.in_use = in_use[slot] = 1;
        for (const auto& worker : workers_) {
            const auto in = worker->esp().hits(ipsec::Direction::kInbound, id);
            const auto out = worker->esp().hits(ipsec::Direction::kOutbound, id);
            row.in_packets += in.packets;
            row.in_bytes += in.octets;
            row.out_packets += out.packets;
            row.out_bytes += out.octets;
        }
        region_.set_policy(slot, row);
    };
    for (const ipsec::PolicyEntry& entry : state_.spd().entries()) {
        if (state_.spd().slot_of(entry.id) != ipsec::kCommonSlot) write(entry.id);
    }
    write(ipsec::kNominalDiscard);
    for (std::uint32_t slot = 0; slot < ipsec::kHitSlots; ++slot) {
        if (policy_rows_in_use_[slot] != 0 && in_use[slot] == 0) region_.set_policy(slot, {});
    }
    policy_rows_in_use_ = std::move(in_use);
}

}  // namespace homeport::core
