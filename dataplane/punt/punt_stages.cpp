// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/punt/punt_stages.hpp"

#include <rte_cycles.h>
#include <rte_ring.h>

#include <cstring>
#include <optional>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/port/tx_stage.hpp"
#include "dataplane/stage/source_policers.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"

namespace homeport::punt {

namespace {

using channel::Counter;
using channel::PuntReason;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::Worker;

/// Source of frames that never were on a wire: locally administered.
constexpr MacAddress kMadeHere{{0x02, 0x48, 0x50, 0xff, 0xff, 0xff}};

/// Brings the received Ethernet header back, or makes one. False: there is no room for it.
bool put_ethernet_header(rte_mbuf* packet, const PacketMeta& notes, const MacAddress& destination) {
    const bool intact = (notes.flags & stage::kMetaL2Intact) != 0;
    if (notes.family == 0 && !intact) return true;  // ARP and the like: a frame all the way
    auto* const frame =
        reinterpret_cast<EthernetHeader*>(rte_pktmbuf_prepend(packet, sizeof(EthernetHeader)));
    if (frame == nullptr) return false;
    if (intact) {
        // The port of the TAP need not be the one that the packet came in by.
        if (!frame->destination.is_multicast()) frame->destination = destination;
        return true;
    }
    frame->destination = destination;
    frame->source = kMadeHere;
    frame->ether_type = Be16(notes.family == 4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
    return true;
}

// ------------------------------------------------------------------------------- to the kernel

std::uint16_t tap_port(const Worker& worker, std::uint16_t port) {
    if (port < channel::kMaxPorts && worker.ports[port].to_kernel != nullptr) return port;
    for (std::uint16_t other = 0; other < channel::kMaxPorts; ++other) {
        if (worker.ports[other].to_kernel != nullptr) return other;
    }
    return channel::kNoPort;
}

void to_kernel(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const PacketMeta& notes = stage::meta(packet);
        const std::uint16_t port = tap_port(worker, notes.in_port);
        if (port == channel::kNoPort) {
            out.drop(packet, Counter::kKernelFull);
            continue;
        }
        if (!worker.kernel_policer.take(worker.now_tsc)) {
            out.drop(packet, Counter::kKernelPoliced);
            continue;
        }
        port::finish_checksums(packet);
        if (!put_ethernet_header(packet, notes, worker.ports[port].mac)) {
            out.drop(packet, Counter::kNoBuffer);
            continue;
        }
        out.kept(packet, "kernel");
        worker.wakes_main = true;
        if (rte_ring_enqueue(worker.ports[port].to_kernel, packet) != 0) {
            out.drop(packet, Counter::kKernelFull);
        }
    }
}

// ------------------------------------------------------------------------ to the control plane

bool wants_frame(PuntReason reason) {
    return reason == PuntReason::kDuplicateAddress || reason == PuntReason::kMldQuery;
}

/// Packets in normal form whose origin on the wire the control plane may have to answer to.
bool wants_recorded_source(PuntReason reason) {
    return reason == PuntReason::kMobilityHeader || reason == PuntReason::kMobilePrefix ||
           reason == PuntReason::kParameterProblem;
}

/// S1.63: other messages of the same SA leave the record alone.
bool is_binding_update(const rte_mbuf* packet, const PacketMeta& notes, PuntReason reason) {
    constexpr std::uint8_t kBindingUpdate = 5;
    constexpr std::uint16_t kMobilityType = 2;  // offset
    return reason == PuntReason::kMobilityHeader &&
           stage::length(packet) > notes.upper_offset + kMobilityType &&
           rte_pktmbuf_mtod(packet, const std::uint8_t*)[notes.upper_offset + kMobilityType] ==
               kBindingUpdate;
}

void fill_in_source(Worker& worker, const rte_mbuf* packet, const PacketMeta& notes,
                    channel::Punt& punt) {
    const std::uint8_t* const bytes = rte_pktmbuf_mtod(packet, const std::uint8_t*);
    if (punt.reason == PuntReason::kMip4Keepalive) {  // the notes are of the tunnel's header
        Ipv4Address end;
        store_be32(end.bytes.data(), notes.adjacency);
        punt.recorded_source = channel::WireAddress(end);
        punt.recorded_port = static_cast<std::uint16_t>(notes.parameter);
        return;
    }
    if (notes.family == 4 && stage::length(packet) >= sizeof(Ipv4Header)) {
        punt.recorded_source =
            channel::WireAddress(Ipv4Address::load(bytes + offsetof(Ipv4Header, source)));
    }
    if (notes.family != 6 || stage::length(packet) < sizeof(Ipv6Header)) return;
    const Ipv6Address source = Ipv6Address::load(bytes + offsetof(Ipv6Header, source));
    if (!wants_recorded_source(punt.reason) || worker.reply_to == nullptr) {
        punt.recorded_source = channel::WireAddress(source);
        return;
    }
    const tunnel::WireEndpoint* const recorded = worker.reply_to->source_of(source, worker.now_tsc);
    const bool in_udp = recorded != nullptr && recorded->udp_port != 0;
    // Without a record a message came from home, or from where its binding says (S1.65b): none of
    // the two is known here.
    if (recorded == nullptr || (in_udp && !is_binding_update(packet, notes, punt.reason))) {
        if (punt.reason == PuntReason::kParameterProblem) {
            punt.recorded_source = channel::WireAddress(source);
        }
        return;
    }
    punt.recorded_source = channel::WireAddress(recorded->address);
    if (in_udp) {
        punt.recorded_port = recorded->udp_port;
        punt.recorded_local = channel::WireAddress(recorded->local);
        punt.recorded_local_port = recorded->local_port;
    } else {
        punt.had_home_address_option = 1;
    }
    (void)worker.reply_to->take_source(source, worker.now_tsc);
}

/// Of a packet whose Ethernet header still stands before it.
void fill_in_link(rte_mbuf* packet, const PacketMeta& notes, channel::Punt& punt) {
    punt.to_group = (notes.flags & stage::kMetaToGroup) != 0 ? 1 : 0;
    if ((notes.flags & stage::kMetaL2Intact) == 0) return;
    punt.source_mac = MacAddress::load(stage::data(packet) - sizeof(EthernetHeader) +
                                       offsetof(EthernetHeader, source));
}

/// A message of Mobile IPv4 that comes from where the binding of its home address says. Whoever
/// floods us with made up addresses does not know these, and so does not get in the way of nodes
/// that register again.
bool comes_from_its_binding(const Worker& worker, const rte_mbuf* packet, const PacketMeta& notes,
                            const Ipv4Address& source) {
    constexpr std::uint32_t kHomeAddress = 4;  // offset in messages of types 1, 3, 7 and 15
    const std::uint32_t at = notes.upper_offset + sizeof(UdpHeader) + kHomeAddress;
    if (worker.tables == nullptr || stage::length(packet) < at + sizeof(Ipv4Address)) return false;
    const std::uint8_t* const bytes = rte_pktmbuf_mtod(packet, const std::uint8_t*);
    const table::BindingTable& bindings = worker.tables->bindings;
    const std::uint32_t slot = bindings.find(table::v4_mapped(Ipv4Address::load(bytes + at)));
    return slot != table::kNoSlot && bindings.at(slot).care_of_address == table::v4_mapped(source);
}

/// Why the control plane is not given the packet, if it is not.
std::optional<Counter> refused_by_policers(Worker& worker, const rte_mbuf* packet,
                                           const PacketMeta& notes, PuntReason reason) {
    const bool sealed = (notes.flags & stage::kMetaDecrypted) != 0;
    stage::Policer* policer = sealed ? &worker.sealed_control_policer : &worker.control_policer;
    Counter counter = Counter::kPuntPoliced;
    if (reason == PuntReason::kMip4Message) {
        const Ipv4Address source = Ipv4Address::load(rte_pktmbuf_mtod(packet, const std::uint8_t*) +
                                                     offsetof(Ipv4Header, source));
        if (worker.mip4_sources != nullptr && !worker.mip4_sources->take(source, worker.now_tsc)) {
            return Counter::kMip4RrqSource;
        }
        counter = Counter::kMip4RrqPoliced;
        if (!sealed && comes_from_its_binding(worker, packet, notes, source)) {
            policer = &worker.known_control_policer;
        }
    }
    if (policer->take(worker.now_tsc)) return std::nullopt;
    return counter;
}

/// Keeps `punt` in the headroom at the start of the buffer. False: there is no room.
bool stash(rte_mbuf* packet, const channel::Punt& punt) {
    if (rte_pktmbuf_headroom(packet) < sizeof punt) {
        const auto missing = static_cast<std::uint16_t>(sizeof punt - rte_pktmbuf_headroom(packet));
        if (rte_pktmbuf_tailroom(packet) < missing) return false;
        std::uint8_t* const bytes = stage::data(packet);
        std::memmove(bytes + missing, bytes, stage::length(packet));
        packet->data_off = static_cast<std::uint16_t>(packet->data_off + missing);
    }
    std::memcpy(packet->buf_addr, &punt, sizeof punt);
    return true;
}

/// What anybody can send must not take the room of what came by an SA: the last quarter of the ring
/// is for that.
bool has_room_for_unsealed(const Worker& worker) {
    return rte_ring_free_count(worker.to_control) > rte_ring_get_capacity(worker.to_control) / 4;
}

void to_control(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const PacketMeta& notes = stage::meta(packet);
        channel::Punt punt;
        punt.reason = static_cast<PuntReason>(notes.reason);
        // First of all: the note of a packet that is dropped here must go, too.
        fill_in_source(worker, packet, notes, punt);
        const bool sealed = (notes.flags & stage::kMetaDecrypted) != 0;
        const auto refused = refused_by_policers(worker, packet, notes, punt.reason);
        if (worker.to_control == nullptr || refused) {
            out.drop(packet, refused.value_or(Counter::kPuntPoliced));
            continue;
        }
        if (!sealed && !has_room_for_unsealed(worker)) {
            out.drop(packet, Counter::kPuntFull);
            continue;
        }
        port::finish_checksums(packet);
        punt.protected_by_ipsec = sealed ? 1 : 0;
        if ((notes.flags & stage::kMetaHaoUndone) != 0) punt.had_home_address_option = 1;
        punt.code = notes.code;
        punt.port = notes.in_port;
        if (punt.reason != PuntReason::kMip4Keepalive) punt.pointer = notes.parameter;
        fill_in_link(packet, notes, punt);
        punt.worker = worker.index;
        punt.received_tsc = worker.now_tsc;
        const bool framed = wants_frame(punt.reason);
        if ((framed && !put_ethernet_header(packet, notes, kMadeHere)) || !stash(packet, punt)) {
            out.drop(packet, Counter::kNoBuffer);
            continue;
        }
        out.kept(packet, "control");
        worker.wakes_main = true;
        if (rte_ring_enqueue(worker.to_control, packet) != 0) {
            out.drop(packet, Counter::kPuntFull);
        }
    }
}

}  // namespace

channel::Punt punt_of(const rte_mbuf* packet) {
    channel::Punt punt;
    std::memcpy(&punt, packet->buf_addr, sizeof punt);
    return punt;
}

const stage::StageDescription kToControlStage{
    .id = stage::StageId::kToControl,
    .name = "to-control",
    .function = to_control,
    .edges = {},
    .edge_count = 0,
};

const stage::StageDescription kToKernelStage{
    .id = stage::StageId::kToKernel,
    .name = "to-kernel",
    .function = to_kernel,
    .edges = {},
    .edge_count = 0,
};

}  // namespace homeport::punt
