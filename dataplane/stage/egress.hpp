// SPDX-License-Identifier: BSD-3-Clause
// How the packets of a burst leave whose next hops their stage knows.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/send_queues.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::stage {

/// Makes frames of at most a burst of packets and puts them where their port sends from: what stage
/// tx would come to for them, without their notes, and so without another look at each. They are
/// counted on the stage's edge to tx as if they had gone there; while a trace runs they do go
/// there, as frames.
///
/// A local variable of the loop over the burst, all inlined: so what it keeps about the run of
/// packets so far stays in registers. Nothing else may send by the worker's send queues between
/// turn_to() and finish().
class Egress {
  public:
    /// `edge`: the running stage's edge to tx.
    Egress(Worker& worker, Edges& out, auto edge)
        : worker_(worker), out_(out), edge_(static_cast<unsigned>(edge)) {}

    /// True: what is put from now on leaves over `adjacency`. False: it is not resolved.
    [[nodiscard, gnu::always_inline]] bool turn_to(std::uint32_t adjacency) {
        return adjacency == adjacency_ || (end_run() && begin_run(adjacency));
    }
    /// Whether there is room for the frame of a packet that begins at `ip`, in its buffer.
    [[nodiscard, gnu::always_inline]] static bool has_room(const rte_mbuf* packet,
                                                           const std::uint8_t* ip) {
        return ip - static_cast<const std::uint8_t*>(packet->buf_addr) >=
               std::ptrdiff_t{sizeof(EthernetHeader)};
    }
    /// Sends `length` octets from `ip` on, which has_room(); no checksum of them is left to tx.
    [[gnu::always_inline]] void put(rte_mbuf* packet, std::uint8_t* ip, std::uint32_t length) {
        std::uint8_t* const frame = ip - sizeof(EthernetHeader);
        std::memcpy(frame, &head_, sizeof head_);
        std::memcpy(frame + kTail, &tail_, sizeof tail_);
        packet->data_off =
            static_cast<std::uint16_t>(frame - static_cast<std::uint8_t*>(packet->buf_addr));
        packet->pkt_len = length + sizeof(EthernetHeader);
        packet->data_len = static_cast<std::uint16_t>(length + sizeof(EthernetHeader));
        *end_++ = packet;
    }
    /// Says what was put; from here to the next turn_to() others may send.
    [[gnu::always_inline]] void finish() { (void)end_run(); }
    /// Packets that were put so far.
    [[nodiscard]] unsigned count() const { return said_ + static_cast<unsigned>(end_ - begin_); }

  private:
    /// The 14 octets of the header are written as two words of 8 that overlap.
    static constexpr std::size_t kTail = sizeof(EthernetHeader) - 8;
    static constexpr std::uint32_t kNone = channel::kNoIndex - 1;  // neither an index nor kNoIndex

    [[nodiscard, gnu::always_inline]] bool begin_run(std::uint32_t adjacency) {
        const table::Adjacency* const hop = worker_.tables->adjacencies.find(adjacency);
        if (hop == nullptr || hop->resolved == 0) [[unlikely]]
            return false;
        rte_mbuf** const room = worker_.send_queues->room(hop->port);
        if (room == nullptr) [[unlikely]]
            return false;
        adjacency_ = adjacency;
        port_ = hop->port;
        std::memcpy(&head_, hop->ethernet.data(), sizeof head_);
        std::memcpy(&tail_, hop->ethernet.data() + kTail, sizeof tail_);
        begin_ = end_ = room;
        return true;
    }
    /// True, always: then another run can begin.
    [[gnu::always_inline]] bool end_run() {
        const auto count = static_cast<unsigned>(end_ - begin_);
        if (count != 0) {
            if (out_.traces()) [[unlikely]] {
                go_by_tx();
            } else {
                worker_.send_queues->added(port_, count);
                out_.passed_by(edge_, count);
            }
            if (worker_.adjacency_packets != nullptr) {
                std::uint64_t& packets = worker_.adjacency_packets[adjacency_];
                __atomic_store_n(&packets, packets + count, __ATOMIC_RELAXED);
            }
        }
        said_ += count;
        adjacency_ = kNone;
        begin_ = end_;
        return true;
    }
    [[gnu::always_inline]] void go_by_tx() const {
        for (rte_mbuf** packet = begin_; packet != end_; ++packet) {
            PacketMeta& notes = meta(*packet);
            notes.flags = kMetaFrame;
            notes.in_port = port_;
            out_.to(edge_, *packet);
        }
    }

    Worker& worker_;
    Edges& out_;
    const unsigned edge_;
    std::uint32_t adjacency_ = kNone;
    std::uint16_t port_ = channel::kNoPort;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
    unsigned said_ = 0;           // packets of earlier runs
    rte_mbuf** begin_ = nullptr;  // of the run: where its frames are
    rte_mbuf** end_ = nullptr;
};

}  // namespace homeport::stage
