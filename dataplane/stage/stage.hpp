// SPDX-License-Identifier: BSD-3-Clause
// What a stage is made of: the packet's notes, the batch, the named edges (DESIGN 3).
//
// A stage is one function `void stage(Worker&, Batch&, Edges&)` that gives every packet of the
// batch to exactly one edge, or drops it. Between the stages `parse` and `tx` the first octet of
// the mbuf's data is the first octet of an IP header, and the mbuf is one segment.
#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "dataplane/channel/counter.hpp"
#include "dataplane/channel/messages.hpp"

namespace homeport::stage {

inline constexpr unsigned kBatchSize = 64;
inline constexpr unsigned kMaxEdges = 16;
/// A packet that went this many times back to the same or an earlier stage is in a loop of headers
/// and is dropped (tun.in.malformed). Three roles in one box with NAT between all of them take 9.
inline constexpr unsigned kMaxPasses = 12;
/// A stage gives at most this many packets for each one that it gets: a packet of 9216 octets in
/// fragments of the smallest IPv4 link.
inline constexpr unsigned kMaxAmplification = 200;

/// In the order in which the driver runs them.
enum class StageId : std::uint8_t {
    kExpress,      // ordinary packets, from L2 to IPsec, a tunnel or tx in one look
    kParse,        // L2 and the header walk; strips Ethernet
    kClassify,     // what is it, whose is it
    kReassemble,   // fragments addressed to us
    kDsmipIn,      // UDP 4191 and 4500, ESP over IPv4 (P10i, P13i, P15)
    kVpnIn,        // ESP of VPN clients: UDP 4500 off, and what came out of it (P31)
    kHomeAddress,  // record the wire source, make normal form (P5, P11)
    kTunnelIn,     // P2, P14: check, decapsulate
    kMip4In,       // Mobile IPv4 tunnels and messages (P21, P23, P25, P27, P28)
    kIpsecIn,      // ESP for us, and SPD-I for everything else that is for us
    kNdProxy,      // solicitations for bound addresses on a home link
    kIcmpIn,       // ICMP errors about our tunnels: path MTU, relay (RFC 2473 section 8)
    kIntercept,    // destination is bound: TTL, loops, scope, MTU (P1, P14)
    kVpnOut,       // destination is a VPN client: TTL, MTU, translation (P32)
    kIpsecOut,     // SPD-O and protection
    kTunnelOut,    // encapsulate towards the care-of address; RH2 for replies (P6)
    kForward,      // route, TTL, MTU (P30 and whatever was decapsulated)
    kIcmpError,    // make an ICMP error about the packet, then forget the packet
    kFragment,     // outer packet larger than the link or the tunnel
    kToControl,    // punt to the control plane
    kToKernel,     // exception TAP
    kTx,           // Ethernet header, port
    kCount
};
inline constexpr std::size_t kStageCount = static_cast<std::size_t>(StageId::kCount);

/// Why a packet goes to IcmpError; type, code and parameter of what is sent about it.
enum class IcmpErrorKind : std::uint8_t {
    kNone,
    kTimeExceeded,        // 3/0, v4 11/0
    kPacketTooBig,        // 2/0 with MTU, v4 3/4
    kNoRoute,             // 1/0, v4 3/0
    kAddressUnreachable,  // 1/3, v4 3/1
    kAdminProhibited,     // 1/1, v4 3/13
    kParameterProblem,    // 4/code with pointer
};

enum MetaFlags : std::uint16_t {
    kMetaDecapsulated = 1 << 0,  // came out of a tunnel; TTL is decremented by forward
    kMetaDecrypted = 1 << 1,     // came out of IPsec
    kMetaHaoUndone = 1 << 2,     // a Home Address option was undone
    kMetaEncapsulated =
        1 << 3,  // carries a header that we put on: no TTL decrement, may be fragmented
    kMetaOriginated = 1 << 4,        // made by this host: no TTL decrement (P8)
    kMetaL2Intact = 1 << 5,          // the received Ethernet header still stands before the data
    kMetaToGroup = 1 << 6,           // link-layer destination was multicast or broadcast
    kMetaMayFragmentOuter = 1 << 7,  // tunnel packet over IPv6: the source (we) may fragment
    kMetaPolicyChecked = 1 << 8,     // SPD passed for this direction
    /// For tx: the data is a whole Ethernet frame, to be sent on port `in_port` as it is.
    kMetaFrame = 1 << 9,
    // Before IPsec, of a packet that came over IPv4 or with a Home Address option:
    kMetaSourceSettled = 1 << 10,  // its wire source is recorded, or it is known to be no BU
    kMetaOuterChecked = 1 << 11,   // check_esp_outer was applied to its wire source
    kMetaNewSource =
        1 << 12,  // its source is news, if it is authentic (dsmip_source_for_stages.hpp)
    kMetaSignalling = 1 << 13,  // looks like signalling: its queues to other workers are their own
    kMetaOneCareOf = 1 << 14,   // for the binding in its notes alone, not for its copies (P20)
    kMetaVpnClient = 1 << 15,   // of a VPN client, and vpn-in or vpn-out has seen it
};

/// Notes of one packet for the stages of one run. They end at the edges of IPsec: stages write them
/// anew behind it, nothing rides through it (S1.9). Worker or driver set them before the first
/// stage; a stage that makes a packet calls init_meta(), one that starts a packet anew (parse, run
/// again on what was inside) calls reset_meta().
struct PacketMeta {
    std::uint8_t family;         // 4, 6; 0 for others (ARP)
    std::uint8_t protocol;       // upper-layer protocol after skipped extension headers
    std::uint16_t flags;         // MetaFlags
    std::uint16_t upper_offset;  // octets from the IP header to the upper-layer header
    std::uint16_t in_port;       // DPDK port or kNoPort
    std::uint32_t adjacency;     // egress, once known; kNoIndex otherwise
    std::uint32_t binding;       // slot of the binding concerned; kNoIndex otherwise
    std::uint32_t parameter;     // ICMP error: MTU or pointer; punt: pointer; fragment: MTU
    std::uint8_t reason;         // ICMP error: IcmpErrorKind; punt: channel::PuntReason
    std::uint8_t code;           // ICMP error: code of a parameter problem
    std::uint8_t passes;         // of the driver: times that the packet went back
    std::uint8_t trace;          // of the driver: number of the traced packet, 0: not traced
    std::uint8_t trace_step;
    std::uint8_t resume;  // of the driver: stage at which another worker goes on
    std::uint16_t drop;   // ICMP error: channel::Counter (kDrop) that the packet ends under
};
/// Where the notes are in a packet buffer, known to the compiler. Behind them is room for a time
/// stamp of eight octets, which drivers ask for.
inline constexpr std::size_t kMetaOffset = offsetof(rte_mbuf, dynfield1);
static_assert(sizeof(PacketMeta) + sizeof(std::uint64_t) <= sizeof(rte_mbuf::dynfield1));

/// Registers the notes' place as a dynamic field. False: something else has taken it.
[[nodiscard]] bool register_packet_meta();

inline PacketMeta& meta(rte_mbuf* packet) {
    return *RTE_MBUF_DYNFIELD(packet, kMetaOffset, PacketMeta*);
}
/// Notes of a packet that no stage has seen yet.
constexpr PacketMeta fresh_meta(std::uint16_t in_port, std::uint16_t flags = 0) {
    PacketMeta notes{};
    notes.flags = flags;
    notes.in_port = in_port;
    notes.adjacency = channel::kNoIndex;
    notes.binding = channel::kNoIndex;
    return notes;
}
inline PacketMeta& init_meta(rte_mbuf* packet, std::uint16_t in_port = channel::kNoPort) {
    PacketMeta& notes = meta(packet);
    notes = fresh_meta(in_port);
    return notes;
}
/// The same for a packet that is on its way: keeps port and `kept_flags`, and what is the driver's.
inline PacketMeta& reset_meta(rte_mbuf* packet, std::uint16_t kept_flags = 0) {
    PacketMeta& notes = meta(packet);
    notes = {.family = 0,
             .protocol = 0,
             .flags = static_cast<std::uint16_t>(notes.flags & kept_flags),
             .upper_offset = 0,
             .in_port = notes.in_port,
             .adjacency = channel::kNoIndex,
             .binding = channel::kNoIndex,
             .parameter = 0,
             .reason = 0,
             .code = 0,
             .passes = notes.passes,
             .trace = notes.trace,
             .trace_step = notes.trace_step,
             .resume = 0,
             .drop = 0};
    return notes;
}
inline std::uint8_t* data(rte_mbuf* packet) {
    return rte_pktmbuf_mtod(packet, std::uint8_t*);
}
inline std::uint16_t length(const rte_mbuf* packet) {
    return rte_pktmbuf_data_len(packet);
}

struct Batch {
    unsigned count = 0;
    std::array<rte_mbuf*, kBatchSize> packets;
};

/// Name of an edge and the stage that it leads to.
struct EdgeDescription {
    std::string_view name;
    StageId target;
};

class Driver;
struct Worker;

/// Packets that wait for one stage. Room for all that a batch can become, so it never overflows.
struct Queue {
    static constexpr std::uint32_t kCapacity = kBatchSize * (kMaxAmplification + 1);
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    std::array<rte_mbuf*, kCapacity> packets;
};

/// Where a stage gives its packets. Owned by the driver; valid during one call of a stage.
class Edges {
  public:
    /// Gives `packet` to edge number `edge` of the running stage.
    template <class EdgeEnum>
    void to(EdgeEnum edge, rte_mbuf* packet) {
        give(static_cast<unsigned>(edge), packet);
    }
    /// Gives all packets of `batch`, in their order, to one edge.
    template <class EdgeEnum>
    void to_all(EdgeEnum edge, const Batch& batch) {
        give_all(static_cast<unsigned>(edge), batch);
    }
    /// Counts `count` packets as given to one edge, of which the running stage has done itself what
    /// the stage behind that edge would do.
    template <class EdgeEnum>
    void passed_by(EdgeEnum edge, unsigned count) {
        slots_[static_cast<unsigned>(edge)].given += count;
    }
    /// Counts and frees `packet`. `counter` must be of kind kDrop.
    void drop(rte_mbuf* packet, channel::Counter counter) { end(packet, counter); }
    /// Counts and frees a packet that ended here rightly. `counter` must be of kind kDelivered.
    void absorb(rte_mbuf* packet, channel::Counter counter = channel::Counter::kAbsorbed) {
        end(packet, counter);
    }
    /// Gives `packet` to worker number `worker`, which goes on with it at stage `stage`, notes
    /// kept; what is kMetaSignalling before all else. Counted as handover.full, or signalling.full,
    /// and freed if that worker takes no more.
    void hand_over(rte_mbuf* packet, unsigned worker, StageId stage);
    /// Tells the trace that `packet` leaves the run here: put on a ring or kept by reassembly. For
    /// stages that neither give a packet to an edge nor drop it; costs nothing while not tracing.
    void kept(rte_mbuf* packet, std::string_view where) {
        if (tracing_) [[unlikely]]
            trace_kept(packet, where);
    }

    /// Whether kept() has something to do.
    [[nodiscard]] bool traces() const { return tracing_; }

  private:
    friend class Driver;
    struct Slot {
        Queue* queue = nullptr;
        std::uint32_t given = 0;
        std::uint32_t tail_before = 0;  // of edges that lead back
        StageId target{};
        bool back = false;
    };
    struct alignas(64) Handover {
        unsigned count = 0;
        std::array<rte_mbuf*, kBatchSize> packets;
    };

    explicit Edges(Driver& driver) : driver_(driver) {}

    void give(unsigned edge, rte_mbuf* packet) {
        Slot& slot = slots_[edge];
        Queue& queue = *slot.queue;
        if (queue.tail == Queue::kCapacity) [[unlikely]] {
            end(packet, channel::Counter::kNoBuffer);
            return;
        }
        if (tracing_) [[unlikely]]
            trace_given(edge, packet);
        queue.packets[queue.tail++] = packet;
        ++slot.given;
    }
    void give_all(unsigned edge, const Batch& batch) {
        Slot& slot = slots_[edge];
        Queue& queue = *slot.queue;
        if (tracing_ || queue.tail + batch.count > Queue::kCapacity) [[unlikely]] {
            for (unsigned i = 0; i < batch.count; ++i) give(edge, batch.packets[i]);
            return;
        }
        if (batch.count == 0) return;
        std::memcpy(static_cast<void*>(&queue.packets[queue.tail]),
                    static_cast<const void*>(batch.packets.data()),
                    batch.count * sizeof(rte_mbuf*));
        queue.tail += batch.count;
        slot.given += batch.count;
    }
    void end(rte_mbuf* packet, channel::Counter counter) {
        if (tracing_) [[unlikely]]
            trace_ended(packet, counter);
        std::uint64_t& word = counters_[static_cast<std::size_t>(counter)];
        __atomic_store_n(&word, word + 1, __ATOMIC_RELAXED);
        if (ended_count_ == kBatchSize) [[unlikely]]
            free_ended();
        ended_[ended_count_++] = packet;
    }
    void free_ended();
    void send_handovers();
    void send_handovers(Handover* handovers, rte_ring* const* rings, channel::Counter full);
    void trace_given(unsigned edge, rte_mbuf* packet);
    void trace_ended(rte_mbuf* packet, channel::Counter counter);
    void trace_kept(rte_mbuf* packet, std::string_view where);

    Driver& driver_;
    Slot* slots_ = nullptr;  // of the running stage
    std::uint64_t* counters_ = nullptr;
    bool tracing_ = false;
    unsigned ended_count_ = 0;
    std::array<rte_mbuf*, kBatchSize> ended_;
    Handover* handovers_ = nullptr;             // by worker index
    Handover* signalling_handovers_ = nullptr;  // the same, of kMetaSignalling
    bool handing_over_ = false;
    unsigned worker_count_ = 0;
};

using StageFunction = void (*)(Worker&, Batch&, Edges&);

/// A stage as the driver and `hactl show stages` know it.
struct StageDescription {
    StageId id;
    std::string_view name;
    StageFunction function;
    std::array<EdgeDescription, kMaxEdges> edges;
    unsigned edge_count;
};

}  // namespace homeport::stage
