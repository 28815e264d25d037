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
#include <cstdint>
#include <string_view>

#include "dataplane/channel/counter.hpp"

namespace homeport::stage {

inline constexpr unsigned kBatchSize = 64;
inline constexpr unsigned kMaxEdges = 12;
/// A packet that passed this many stages is in a loop of headers and is dropped (tun.in.malformed).
inline constexpr unsigned kMaxPasses = 24;

/// In the order in which the driver runs them.
enum class StageId : std::uint8_t {
    kParse,        // L2 and the header walk; strips Ethernet
    kClassify,     // what is it, whose is it
    kReassemble,   // fragments addressed to us
    kHomeAddress,  // Home Address option: record the wire source, make normal form (P5)
    kTunnelIn,     // P2, P14: check, decapsulate
    kIpsecIn,      // ESP for us, and SPD-I for everything else that is for us
    kNdProxy,      // solicitations for bound addresses on a home link
    kIcmpIn,       // ICMP errors about our tunnels: path MTU, relay (RFC 2473 section 8)
    kIntercept,    // destination is bound: TTL, loops, scope, MTU (P1, P14)
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
};

/// Notes of one packet for the stages of one run. They end at the edges of IPsec: stages write them
/// anew behind it, nothing rides through it (S1.9).
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
    std::uint8_t passes;
    std::uint8_t trace;  // number of the trace slot, 0: not traced
    std::uint8_t trace_step;
    std::uint8_t reserved[3];
};
static_assert(sizeof(PacketMeta) <= 32);

extern int g_meta_offset;  // of the mbuf dynamic field; set once by register_packet_meta()

/// Registers the dynamic field. False if the mbuf has no room for it.
[[nodiscard]] bool register_packet_meta();

inline PacketMeta& meta(rte_mbuf* packet) {
    return *RTE_MBUF_DYNFIELD(packet, g_meta_offset, PacketMeta*);
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

/// Where a stage gives its packets. Owned by the driver; valid during one call of a stage.
class Edges {
  public:
    explicit Edges(Driver& driver) : driver_(driver) {}
    /// Gives `packet` to edge number `edge` of the running stage.
    template <class EdgeEnum>
    void to(EdgeEnum edge, rte_mbuf* packet) {
        give(static_cast<unsigned>(edge), packet);
    }
    /// Counts and frees `packet`. `counter` must be of kind kDrop.
    void drop(rte_mbuf* packet, channel::Counter counter);
    /// Counts and frees a packet that ended here rightly. `counter` must be of kind kDelivered.
    void absorb(rte_mbuf* packet, channel::Counter counter = channel::Counter::kAbsorbed);

  private:
    void give(unsigned edge, rte_mbuf* packet);
    Driver& driver_;
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
