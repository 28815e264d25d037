// SPDX-License-Identifier: BSD-3-Clause
#include <rte_prefetch.h>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::Worker;

enum class ParseEdge : std::uint8_t { kClassify, kToKernel, kTx, kNdProxy };

constexpr unsigned kPrefetchDistance = 4;

std::uint64_t mac_bits(const std::uint8_t* mac) {
    return std::uint64_t{load_be32(mac)} << 16 | load_be16(mac + 4);
}

enum class FrameKind : std::uint8_t { kIp, kOther, kNotForUs };

/// Reads Ethernet, notes whom the frame is for, and cuts the header off.
FrameKind take_frame(const Worker& worker, rte_mbuf* packet, PacketMeta& notes) {
    if (packet->nb_segs != 1 && rte_pktmbuf_linearize(packet) != 0) return FrameKind::kNotForUs;
    if (stage::length(packet) < kEthernetLength || notes.in_port >= channel::kMaxPorts) {
        return FrameKind::kNotForUs;
    }
    const std::uint8_t* const frame = stage::data(packet);
    if ((frame[0] & 1) != 0) {
        notes.flags |= stage::kMetaToGroup;
    } else if (mac_bits(frame) != mac_bits(worker.ports[notes.in_port].mac.bytes.data()) &&
               (notes.flags & stage::kMetaOriginated) == 0) [[unlikely]] {
        return FrameKind::kNotForUs;
    }
    const std::uint16_t ether_type = load_be16(frame + 12);
    notes.flags |= stage::kMetaL2Intact;
    cut_front(packet, kEthernetLength);
    const bool is_ip = ether_type == kEtherTypeIpv6 || ether_type == kEtherTypeIpv4;
    return is_ip ? FrameKind::kIp : FrameKind::kOther;
}

/// A frame from the kernel that leaves as it came.
void send_kernel_frame(rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    (void)rte_pktmbuf_prepend(packet, kEthernetLength);  // where it still stands
    notes.flags |= stage::kMetaFrame;
    out.to(ParseEdge::kTx, packet);
}

/// What hardware said is about the header that came from the port, not about an inner one.
parse::Checksum checksum_state(const rte_mbuf* packet, const PacketMeta& notes) {
    if (notes.passes != 0) return parse::Checksum::kVerify;
    const std::uint64_t state = packet->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    return state == RTE_MBUF_F_RX_IP_CKSUM_GOOD ? parse::Checksum::kVerified
                                                : parse::Checksum::kVerify;
}

/// True: the packet goes to classify.
bool parse_packet(rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    parse::Headers headers;
    const parse::Error error =
        parse::walk(bytes_of(packet), headers, checksum_state(packet, notes));
    if (error != parse::Error::kNone) [[unlikely]] {
        if ((notes.flags & stage::kMetaOriginated) != 0 && notes.passes == 0) {
            send_kernel_frame(packet, notes, out);
        } else {
            out.drop(packet, counter_of(error));
        }
        return false;
    }
    notes.family = headers.family;
    notes.protocol = headers.protocol;
    notes.upper_offset = headers.upper_offset;
    set_length(packet, headers.end);
    return true;
}

/// A home link may ask for an address that is bound.
bool is_arp_of_a_home_link(const Worker& worker, rte_mbuf* packet, const PacketMeta& notes) {
    return load_be16(stage::data(packet) - 2) == kEtherTypeArp &&
           worker.tables->home_prefixes.is_home_port(notes.in_port);
}

/// Gives away a frame that is not an IP packet for us.
void settle_frame(const Worker& worker, rte_mbuf* packet, PacketMeta& notes, FrameKind kind,
                  Edges& out) {
    if (kind == FrameKind::kNotForUs) {
        out.drop(packet, Counter::kParseL2);
    } else if ((notes.flags & stage::kMetaOriginated) != 0) {
        send_kernel_frame(packet, notes, out);
    } else if (is_arp_of_a_home_link(worker, packet, notes)) {
        out.to(ParseEdge::kNdProxy, packet);
    } else {
        out.to(ParseEdge::kToKernel, packet);
    }
}

void parse_batch(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count && i < kPrefetchDistance; ++i) {
        rte_prefetch0(stage::data(in.packets[i]));
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        if (i + kPrefetchDistance < in.count) {
            rte_prefetch0(stage::data(in.packets[i + kPrefetchDistance]));
        }
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (notes.passes == 0) {
            const FrameKind kind = take_frame(worker, packet, notes);
            if (kind != FrameKind::kIp) [[unlikely]] {
                settle_frame(worker, packet, notes, kind, out);
                continue;
            }
        }
        if (parse_packet(packet, notes, out)) in.packets[kept++] = packet;
    }
    in.count = kept;
    out.to_all(ParseEdge::kClassify, in);
}

}  // namespace

const stage::StageDescription kParseStage{
    .id = stage::StageId::kParse,
    .name = "parse",
    .function = parse_batch,
    .edges = {{{"classify", stage::StageId::kClassify},
               {"to-kernel", stage::StageId::kToKernel},
               {"tx", stage::StageId::kTx},
               {"nd-proxy", stage::StageId::kNdProxy}}},
    .edge_count = 4,
};

}  // namespace homeport::tunnel
