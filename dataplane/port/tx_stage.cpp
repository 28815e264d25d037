// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/tx_stage.hpp"

#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/send_queues.hpp"
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

/// Checksums that were left to this stage, of a packet behind whose Ethernet header is the IP one.
[[gnu::noinline]] void see_to_checksums(const table::Adjacency& adjacency, rte_mbuf* packet,
                                        const Worker& worker) {
    const stage::PortView& port = worker.ports[adjacency.port];
    const bool by_port = (packet->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0
                             ? port.tx_ipv4_checksum != 0
                             : port.tx_udp_checksum != 0;
    if (by_port) {
        packet->l2_len = sizeof(EthernetHeader);
        return;
    }
    (void)rte_pktmbuf_adj(packet, sizeof(EthernetHeader));
    stage::finish_checksums(packet);
    (void)rte_pktmbuf_prepend(packet, sizeof(EthernetHeader));
}

/// Packets that leave over one adjacency, from number `first` of the batch to the first that does
/// not. What is the same for all of them is looked at once: the adjacency, its header, the port's
/// queue.
class Run {
  public:
    Run(const table::Adjacency& adjacency, std::uint32_t index, Worker& worker)
        : adjacency_(adjacency), index_(index), worker_(worker) {
        std::memcpy(&head_, adjacency.ethernet.data(), sizeof head_);
        std::memcpy(&tail_, adjacency.ethernet.data() + kTail, sizeof tail_);
    }

    /// Number of the first packet behind the run.
    [[nodiscard]] unsigned send(const Batch& in, unsigned first, Edges& out);

  private:
    /// The same where a trace wants to know of each, or there is no such port.
    [[nodiscard, gnu::noinline]] unsigned send_one_by_one(const Batch& in, unsigned first,
                                                          Edges& out);
    /// The 14 octets are written as two words of 8 that overlap.
    static constexpr std::size_t kTail = sizeof(EthernetHeader) - 8;

    [[nodiscard]] bool belongs(const stage::PacketMeta& notes) const {
        return notes.adjacency == index_ && (notes.flags & stage::kMetaFrame) == 0;
    }
    /// False: there is no room.
    [[nodiscard]] bool put_header(rte_mbuf* packet) const {
        if (packet->data_off < sizeof(EthernetHeader)) [[unlikely]]
            return false;
        packet->data_off = static_cast<std::uint16_t>(packet->data_off - sizeof(EthernetHeader));
        packet->data_len = static_cast<std::uint16_t>(packet->data_len + sizeof(EthernetHeader));
        packet->pkt_len += sizeof(EthernetHeader);
        std::uint8_t* const header = stage::data(packet);
        std::memcpy(header, &head_, sizeof head_);
        std::memcpy(header + kTail, &tail_, sizeof tail_);
        if ((packet->ol_flags & stage::kLeftToTx) != 0) [[unlikely]]
            see_to_checksums(adjacency_, packet, worker_);
        return true;
    }

    void count_sent(unsigned sent) const {
        if (sent == 0 || worker_.adjacency_packets == nullptr) return;
        std::uint64_t& packets = worker_.adjacency_packets[index_];
        __atomic_store_n(&packets, packets + sent, __ATOMIC_RELAXED);
    }

    const table::Adjacency& adjacency_;
    std::uint32_t index_;
    Worker& worker_;
    std::uint64_t head_;
    std::uint64_t tail_;
};

unsigned Run::send(const Batch& in, unsigned first, Edges& out) {
    rte_mbuf** const room = worker_.send_queues->room(adjacency_.port);
    if (room == nullptr || out.traces()) [[unlikely]]
        return send_one_by_one(in, first, out);
    rte_mbuf** end = room;  // of those that were put there
    unsigned i = first;
    for (const unsigned count = in.count; i < count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        if (!belongs(stage::meta(packet))) break;
        if (put_header(packet)) [[likely]] {
            *end++ = packet;
        } else {
            out.drop(packet, channel::Counter::kNoBuffer);
        }
    }
    const auto sent = static_cast<unsigned>(end - room);
    if (sent != 0) worker_.send_queues->added(adjacency_.port, sent);
    count_sent(sent);
    return i;
}

unsigned Run::send_one_by_one(const Batch& in, unsigned first, Edges& out) {
    unsigned sent = 0;
    unsigned i = first;
    for (; i < in.count && belongs(stage::meta(in.packets[i])); ++i) {
        rte_mbuf* const packet = in.packets[i];
        out.kept(packet, "port");
        if (put_header(packet)) {
            worker_.send_queues->put(adjacency_.port, packet);
            ++sent;
        } else {
            out.drop(packet, channel::Counter::kNoBuffer);
        }
    }
    count_sent(sent);
    return i;
}

void tx(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count;) {
        rte_mbuf* const packet = in.packets[i];
        const stage::PacketMeta& notes = stage::meta(packet);
        if ((notes.flags & stage::kMetaFrame) != 0) [[unlikely]] {
            out.kept(packet, "port");
            worker.send_queues->put(notes.in_port, packet);
            ++i;
            continue;
        }
        const table::Adjacency* const adjacency = worker.tables->adjacencies.find(notes.adjacency);
        if (adjacency == nullptr || adjacency->resolved == 0) [[unlikely]] {
            return_to_kernel(packet, adjacency, worker, out);
            ++i;
            continue;
        }
        i = Run(*adjacency, notes.adjacency, worker).send(in, i, out);
    }
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
