// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/tx_stage.hpp"

#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/port/transmitter.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::port {

namespace {

using stage::Batch;
using stage::Edges;
using stage::Worker;

enum class TxEdge : std::uint8_t { kUnresolved };

/// The next hop was resolved when it was chosen and is not any more.
void return_to_kernel(rte_mbuf* packet, const table::Adjacency* adjacency, Worker& worker,
                      Edges& out) {
    if (adjacency == nullptr) {
        out.drop(packet, channel::Counter::kForwardUnresolvedFull);
        return;
    }
    stage::meta(packet).in_port = adjacency->port;
    worker.count(channel::Counter::kUnresolvedToKernel);
    out.to(TxEdge::kUnresolved, packet);
}

void send_over(const table::Adjacency& adjacency, rte_mbuf* packet, Worker& worker, Edges& out) {
    auto* const header =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, sizeof(EthernetHeader)));
    if (header == nullptr) [[unlikely]] {
        out.drop(packet, channel::Counter::kNoBuffer);
        return;
    }
    if ((packet->ol_flags & stage::kLeftToTx) != 0) [[unlikely]] {
        const stage::PortView& port = worker.ports[adjacency.port];
        const bool by_port = (packet->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0
                                 ? port.tx_ipv4_checksum != 0
                                 : port.tx_udp_checksum != 0;
        if (by_port) {
            packet->l2_len = sizeof(EthernetHeader);
        } else {
            (void)rte_pktmbuf_adj(packet, sizeof(EthernetHeader));
            stage::finish_checksums(packet);
            (void)rte_pktmbuf_prepend(packet, sizeof(EthernetHeader));
        }
    }
    std::memcpy(header, adjacency.ethernet.data(), sizeof(EthernetHeader));
    worker.transmitter->put(adjacency.port, packet);
}

void count_sent(const Worker& worker, std::uint32_t adjacency, unsigned count) {
    if (count == 0 || worker.adjacency_packets == nullptr) return;
    std::uint64_t& packets = worker.adjacency_packets[adjacency];
    __atomic_store_n(&packets, packets + count, __ATOMIC_RELAXED);
}

void tx(Worker& worker, Batch& in, Edges& out) {
    const table::AdjacencyTable& adjacencies = worker.tables->adjacencies;
    std::uint32_t last_index = channel::kNoIndex;
    const table::Adjacency* adjacency = nullptr;
    unsigned sent = 0;  // over it
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const stage::PacketMeta& notes = stage::meta(packet);
        if ((notes.flags & stage::kMetaFrame) != 0) [[unlikely]] {
            out.kept(packet, "port");
            worker.transmitter->put(notes.in_port, packet);
            continue;
        }
        if (notes.adjacency != last_index || adjacency == nullptr) {
            count_sent(worker, last_index, sent);
            sent = 0;
            last_index = notes.adjacency;
            adjacency = adjacencies.find(last_index);
        }
        if (adjacency == nullptr || adjacency->resolved == 0) [[unlikely]] {
            return_to_kernel(packet, adjacency, worker, out);
            continue;
        }
        ++sent;
        out.kept(packet, "port");
        send_over(*adjacency, packet, worker, out);
    }
    count_sent(worker, last_index, sent);
}

}  // namespace

const stage::StageDescription kTxStage{
    .id = stage::StageId::kTx,
    .name = "tx",
    .function = tx,
    .edges = {{{"unresolved", stage::StageId::kToKernel}}},
    .edge_count = 1,
};

}  // namespace homeport::port
