// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/fragment_stage.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/forward/stages.hpp"
#include "dataplane/parse/header_walk.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class FragmentEdge : std::uint8_t { kTx, kToKernel, kForward, kTunnelOut };

constexpr unsigned kMaxPieces = stage::kMaxAmplification;
constexpr std::uint8_t kOptionCopied = 0x80;  // RFC 791: goes into every fragment
constexpr std::uint8_t kLastOption = 1;       // 0: end of list, 1: no operation
constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;

/// How a packet is cut: `first` octets of payload in the first piece, `later` in all others but the
/// last, which gets the rest. Both are multiples of 8.
struct Cut {
    std::uint16_t header = 0;  // octets before the payload
    std::uint16_t payload = 0;
    std::uint16_t first = 0;
    std::uint16_t later = 0;

    [[nodiscard]] bool possible() const { return first != 0 && later != 0 && payload > first; }
    [[nodiscard]] unsigned later_pieces() const { return (payload - first + later - 1u) / later; }
};

std::uint16_t whole_eights(std::uint32_t mtu, std::uint32_t headers) {
    return mtu <= headers
               ? std::uint16_t{0}
               : static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu - headers, 0xffff) & ~7u);
}

/// Buffers for the pieces behind the first; all of them or none.
struct Pieces {
    unsigned count = 0;
    std::array<rte_mbuf*, kMaxPieces> packets;
};

bool allocate(Worker& worker, unsigned count, std::uint16_t octets, Pieces& pieces) {
    if (count > kMaxPieces) return false;
    for (rte_mempool* pool : {worker.pool, worker.jumbo_pool}) {
        if (pool == nullptr) continue;
        const std::uint16_t room = rte_pktmbuf_data_room_size(pool);
        if (room < RTE_PKTMBUF_HEADROOM + octets) continue;
        if (rte_pktmbuf_alloc_bulk(pool, pieces.packets.data(), count) != 0) continue;
        pieces.count = count;
        return true;
    }
    return false;
}

/// Notes of a later piece are those of the packet.
void copy_notes(rte_mbuf* piece, rte_mbuf* packet) {
    PacketMeta& notes = stage::meta(piece);
    notes = stage::meta(packet);
    notes.trace = 0;  // the packet's trace goes on with the first piece
}

// ------------------------------------------------------------------------------------------- IPv6

/// Octets of the part that goes into every fragment, and the octet that names what follows it (RFC
/// 8200 section 4.5): everything up to and including the last hop-by-hop or routing header.
struct PerFragment {
    std::uint16_t length = sizeof(Ipv6Header);
    std::uint16_t name_offset = offsetof(Ipv6Header, next_header);
    bool fragmented_before = false;
};

PerFragment per_fragment_part(ConstByteSpan packet) {
    PerFragment part;
    parse::Headers headers;
    if (parse::walk(packet, headers) != parse::Error::kNone) return part;
    parse::for_each_extension_header(packet, [&](const parse::ExtensionHeader& header) {
        if (header.is(IpProtocol::kFragment)) {
            part.fragmented_before = true;
            return false;
        }
        if (header.is(IpProtocol::kHopByHop) || header.is(IpProtocol::kRouting)) {
            part.length = static_cast<std::uint16_t>(header.offset + header.length);
            part.name_offset = header.offset;
        }
        return true;
    });
    return part;
}

void write_fragment_header(std::uint8_t* packet, std::uint16_t header_length,
                           std::uint16_t name_offset, std::uint8_t next_header,
                           std::uint16_t offset, bool more, std::uint32_t identification,
                           std::uint16_t payload) {
    packet[name_offset] = number(IpProtocol::kFragment);
    auto& fragment = *reinterpret_cast<FragmentHeader*>(packet + header_length);
    fragment.next_header = next_header;
    fragment.reserved = 0;
    fragment.offset_flags = Be16(static_cast<std::uint16_t>(offset | (more ? 1 : 0)));
    fragment.identification = Be32(identification);
    reinterpret_cast<Ipv6Header*>(packet)->payload_length = Be16(static_cast<std::uint16_t>(
        header_length - sizeof(Ipv6Header) + sizeof(FragmentHeader) + payload));
}

/// False: nothing was changed, the packet cannot be fragmented.
bool fragment_ipv6(Worker& worker, rte_mbuf* packet, std::uint32_t mtu, Pieces& pieces) {
    const PerFragment part = per_fragment_part(bytes_of(packet));
    const auto headers = static_cast<std::uint16_t>(part.length + sizeof(FragmentHeader));
    const Cut cut{.header = part.length,
                  .payload = static_cast<std::uint16_t>(stage::length(packet) - part.length),
                  .first = whole_eights(mtu, headers),
                  .later = whole_eights(mtu, headers)};
    if (part.fragmented_before || !cut.possible() ||
        rte_pktmbuf_headroom(packet) < sizeof(FragmentHeader) ||
        !allocate(worker, cut.later_pieces(), static_cast<std::uint16_t>(headers + cut.later),
                  pieces)) {
        return false;
    }
    const std::uint32_t identification = next_identification(worker);
    std::uint8_t* const whole = stage::data(packet);
    const std::uint8_t next_header = whole[part.name_offset];
    std::uint16_t at = cut.first;
    for (unsigned i = 0; i < pieces.count; ++i) {
        rte_mbuf* const piece = pieces.packets[i];
        const auto octets =
            static_cast<std::uint16_t>(std::min<unsigned>(cut.later, cut.payload - at));
        std::uint8_t* const out = stage::data(piece);
        std::memcpy(out, whole, cut.header);
        std::memcpy(out + headers, whole + cut.header + at, octets);
        write_fragment_header(out, cut.header, part.name_offset, next_header, at,
                              at + octets < cut.payload, identification, octets);
        set_length(piece, static_cast<std::uint16_t>(headers + octets));
        copy_notes(piece, packet);
        at = static_cast<std::uint16_t>(at + octets);
    }
    set_length(packet, static_cast<std::uint16_t>(cut.header + cut.first));
    auto* const first =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, sizeof(FragmentHeader)));
    std::memmove(first, whole, cut.header);
    write_fragment_header(first, cut.header, part.name_offset, next_header, 0, true, identification,
                          cut.first);
    return true;
}

// ------------------------------------------------------------------------------------------- IPv4

/// Writes the header of a later fragment: the options with the copied flag only. Returns its
/// length.
std::uint16_t write_later_header(std::uint8_t* out, const std::uint8_t* header) {
    const std::uint8_t length = reinterpret_cast<const Ipv4Header*>(header)->header_length();
    std::memcpy(out, header, sizeof(Ipv4Header));
    std::uint16_t written = sizeof(Ipv4Header);
    for (std::uint16_t at = sizeof(Ipv4Header); at < length && header[at] != 0;) {
        if (header[at] <= kLastOption) {
            ++at;
            continue;
        }
        const std::uint8_t octets = at + 1 < length ? header[at + 1] : std::uint8_t{0};
        if (octets < 2 || at + octets > length) break;
        if ((header[at] & kOptionCopied) != 0) {
            std::memcpy(out + written, header + at, octets);
            written = static_cast<std::uint16_t>(written + octets);
        }
        at = static_cast<std::uint16_t>(at + octets);
    }
    while (written % 4 != 0) out[written++] = 0;
    out[0] = static_cast<std::uint8_t>(0x40 | written / 4);
    return written;
}

void finish_ipv4(std::uint8_t* packet, std::uint16_t header_length, std::uint16_t payload,
                 std::uint16_t offset_flags) {
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet);
    ip.total_length = Be16(static_cast<std::uint16_t>(header_length + payload));
    ip.flags_offset = Be16(offset_flags);
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum({packet, header_length}));
}

bool fragment_ipv4(Worker& worker, rte_mbuf* packet, std::uint32_t mtu, Pieces& pieces) {
    std::uint8_t* const whole = stage::data(packet);
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(whole);
    std::array<std::uint8_t, 60> later_header;
    const std::uint16_t later_length = write_later_header(later_header.data(), whole);
    const std::uint8_t header = ip.header_length();
    const Cut cut{.header = header,
                  .payload = static_cast<std::uint16_t>(stage::length(packet) - header),
                  .first = whole_eights(mtu, header),
                  .later = whole_eights(mtu, later_length)};
    if (ip.dont_fragment() || !cut.possible() ||
        !allocate(worker, cut.later_pieces(), static_cast<std::uint16_t>(later_length + cut.later),
                  pieces)) {
        return false;
    }
    // The packet may be a fragment itself.
    const std::uint16_t flags = ip.flags_offset.host();
    const auto base = static_cast<std::uint16_t>(flags & kIpv4OffsetMask);
    const bool more_behind = (flags & kIpv4MoreFragments) != 0;
    std::uint16_t at = cut.first;
    for (unsigned i = 0; i < pieces.count; ++i) {
        rte_mbuf* const piece = pieces.packets[i];
        const auto octets =
            static_cast<std::uint16_t>(std::min<unsigned>(cut.later, cut.payload - at));
        std::uint8_t* const out = stage::data(piece);
        std::memcpy(out, later_header.data(), later_length);
        std::memcpy(out + later_length, whole + cut.header + at, octets);
        const bool more = more_behind || at + octets < cut.payload;
        finish_ipv4(out, later_length, octets,
                    static_cast<std::uint16_t>((base + at / 8) | (more ? kIpv4MoreFragments : 0)));
        set_length(piece, static_cast<std::uint16_t>(later_length + octets));
        copy_notes(piece, packet);
        at = static_cast<std::uint16_t>(at + octets);
    }
    set_length(packet, static_cast<std::uint16_t>(cut.header + cut.first));
    finish_ipv4(whole, cut.header, cut.first,
                static_cast<std::uint16_t>(base | kIpv4MoreFragments));
    packet->ol_flags &= ~(RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4);
    return true;
}

// ------------------------------------------------------------------------------------------ stage

/// Where a piece goes; its notes are made fit for that.
FragmentEdge edge_of(Worker& worker, PacketMeta& notes) {
    // Cut for a tunnel whose header it does not have yet (P26).
    if (has(notes, stage::kMetaOneCareOf) && !has(notes, stage::kMetaEncapsulated)) {
        return FragmentEdge::kTunnelOut;
    }
    if (static_cast<PiecesGo>(notes.reason) == PiecesGo::kToKernel) {
        worker.count(Counter::kUnresolvedToKernel);
        return FragmentEdge::kToKernel;
    }
    const table::Hop hop = worker.tables->hop_of(notes.adjacency);
    if (hop.type == table::Hop::Type::kForward) return FragmentEdge::kTx;
    if (hop.type == table::Hop::Type::kUnresolved) {
        notes.in_port = hop.port;
        worker.count(Counter::kUnresolvedToKernel);
        return FragmentEdge::kToKernel;
    }
    return FragmentEdge::kForward;
}

void give(Worker& worker, rte_mbuf* piece, Edges& out) {
    PacketMeta& notes = stage::meta(piece);
    clear(notes, stage::kMetaL2Intact);
    out.to(edge_of(worker, notes), piece);
}

void fragment(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const PacketMeta notes = stage::meta(packet);
        const bool tunnel = has(notes, stage::kMetaEncapsulated);
        if (stage::length(packet) <= notes.parameter) {  // fits: nothing to be done
            give(worker, packet, out);
            continue;
        }
        stage::finish_checksums(packet);
        Pieces pieces;
        const bool done = notes.family == 6
                              ? fragment_ipv6(worker, packet, notes.parameter, pieces)
                              : fragment_ipv4(worker, packet, notes.parameter, pieces);
        if (!done) {
            out.drop(packet, Counter::kTunOutFragFail);
            continue;
        }
        worker.count(Counter::kRxGenerated, pieces.count);
        if (tunnel) worker.count(Counter::kTunOutFragmented);
        give(worker, packet, out);
        for (unsigned k = 0; k < pieces.count; ++k) give(worker, pieces.packets[k], out);
    }
}

}  // namespace

const stage::StageDescription kFragmentStage{
    .id = StageId::kFragment,
    .name = "fragment",
    .function = fragment,
    .edges = {{{"tx", StageId::kTx},
               {"to-kernel", StageId::kToKernel},
               {"forward", StageId::kForward},
               {"tunnel-out", StageId::kTunnelOut}}},
    .edge_count = 4,
};

}  // namespace homeport::forward
