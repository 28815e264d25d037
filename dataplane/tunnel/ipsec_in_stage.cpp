// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <optional>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"
#include "dataplane/tunnel/nat_detection.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/vpn_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using ipsec::Verdict;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class IpsecInEdge : std::uint8_t { kExpress, kToControl };

constexpr std::uint8_t kHomeAgentDiscoveryRequest = 144;

/// Signalling that is not ESP: what the policy lets pass goes to the control plane. IPsec only
/// looks at the packet, so its notes stay.
void check_policy(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    const Verdict verdict = worker.esp->inbound_policy_check(view_of(packet));
    if (!ipsec::passes(verdict)) {
        out.drop(packet, counter_of(verdict));
        return;
    }
    worker.count(counter_of(verdict));
    channel::PuntReason reason = channel::PuntReason::kMobilityHeader;
    if (notes.protocol == number(IpProtocol::kIcmpv6)) {
        reason = stage::data(packet)[notes.upper_offset] == kHomeAgentDiscoveryRequest
                     ? channel::PuntReason::kHomeAgentDiscovery
                     : channel::PuntReason::kMobilePrefix;
    }
    notes.reason = static_cast<std::uint8_t>(reason);
    out.to(IpsecInEdge::kToControl, packet);
}

/// Whether ESP with this SPI is something else than a binding update. Only technique A can say.
bool is_no_binding_update(const Worker& worker, rte_mbuf* packet, const PacketMeta& notes) {
    if (worker.parameters->technique == channel::Technique::kHeuristic ||
        worker.ipsec_queries == nullptr || notes.protocol != number(IpProtocol::kEsp) ||
        stage::length(packet) < notes.upper_offset + 4u) {
        return false;
    }
    const ipsec::Spi spi{load_be32(stage::data(packet) + notes.upper_offset)};
    const auto selectors = worker.ipsec_queries->selectors_for_spi(spi);
    return !selectors || !may_carry_binding_update(*selectors);
}

/// A packet whose wire source is not recorded while that of another of the same node is, which is
/// inside IPsec: it would take the other's record. True: it waits or is dropped.
bool has_to_wait(Worker& worker, rte_mbuf* packet, const PacketMeta& notes, Edges& out) {
    if (notes.family != 6 || (notes.flags & stage::kMetaSourceSettled) != 0) return false;
    const Ipv6Address source = source_of(bytes_of(packet));
    if (!worker.reply_to->is_busy(source, worker.now_tsc)) [[likely]]
        return false;
    if (is_no_binding_update(worker, packet, notes)) return false;
    if (worker.reply_to->wait(source, packet)) {
        out.kept(packet, "waits");
    } else {
        out.drop(packet, Counter::kMip6HaoBusy);
    }
    return true;
}

/// What ESP of a batch says about whose it is, before it is opened.
struct Sealed {
    unsigned count = 0;
    std::array<ipsec::Spi, stage::kBatchSize> spis;
    std::array<std::optional<Ipv6Address>, stage::kBatchSize> home_addresses;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    std::array<std::uint8_t, stage::kBatchSize> places;
};

bool is_from_care_of_address(const table::BindingTable& bindings, rte_mbuf* packet,
                             std::uint32_t slot) {
    if (slot == table::kNoSlot || bindings.at(slot).tentative()) return false;
    return table::same_address(bindings.at(slot).care_of_address,
                               reinterpret_cast<const Ipv6Header*>(stage::data(packet))->source);
}

/// Policy check_esp_outer: drops what it refuses, and leaves the rest in `packets`. Returns how
/// many. Databases are asked about the whole batch at once, and about a single packet only if it
/// does not come from where it is expected.
unsigned check_sources(Worker& worker, rte_mbuf** packets, unsigned count, Edges& out) {
    if (worker.parameters->check_esp_outer == channel::EspOuterCheck::kOff ||
        worker.ipsec_queries == nullptr) {
        return count;
    }
    Sealed sealed;
    for (unsigned i = 0; i < count; ++i) {
        const PacketMeta& notes = stage::meta(packets[i]);
        if (notes.family != 6 || (notes.flags & stage::kMetaOuterChecked) != 0 ||
            stage::length(packets[i]) < notes.upper_offset + 4u) {
            continue;
        }
        sealed.spis[sealed.count] =
            ipsec::Spi{load_be32(stage::data(packets[i]) + notes.upper_offset)};
        sealed.places[sealed.count++] = static_cast<std::uint8_t>(i);
    }
    if (sealed.count == 0) return count;
    worker.ipsec_queries->selectors_for_spi(std::span(sealed.spis.data(), sealed.count),
                                            sealed.home_addresses.data());
    unsigned known = 0;
    for (unsigned i = 0; i < sealed.count; ++i) {
        if (!sealed.home_addresses[i]) continue;
        sealed.keys[known] = &*sealed.home_addresses[i];
        sealed.spis[known] = sealed.spis[i];
        sealed.places[known++] = sealed.places[i];
    }
    if (known == 0) return count;
    const table::BindingTable& bindings = worker.tables->bindings;
    bindings.find_bulk(sealed.keys.data(), known, sealed.slots.data());
    bool dropped = false;
    for (unsigned i = 0; i < known; ++i) {
        rte_mbuf*& packet = packets[sealed.places[i]];
        if (is_from_care_of_address(bindings, packet, sealed.slots[i])) [[likely]]
            continue;
        if (refuse_payload_from_elsewhere(worker, packet, sealed.spis[i].value,
                                          source_of(bytes_of(packet)), out)) {
            packet = nullptr;
            dropped = true;
        }
    }
    if (!dropped) [[likely]]
        return count;
    return static_cast<unsigned>(std::remove(packets, packets + count, nullptr) - packets);
}

/// Adds opened packets to their bindings' rows; messages to this home agent are not payload.
void count_payload(const Worker& worker, rte_mbuf* const* packets, unsigned count) {
    if (worker.binding_rows == nullptr) return;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<Ipv6Address, stage::kBatchSize> mapped;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    for (unsigned i = 0; i < count; ++i) {
        const std::uint8_t* const ip = stage::data(packets[i]);
        keys[i] = &reinterpret_cast<const Ipv6Header*>(ip)->source;
        if (ip[0] >> 4 == 6) continue;
        mapped[i] = table::v4_mapped(reinterpret_cast<const Ipv4Header*>(ip)->source);
        keys[i] = &mapped[i];
    }
    const table::BindingTable& bindings = worker.tables->bindings;
    bindings.find_bulk(keys.data(), count, slots.data());
    for (unsigned i = 0; i < count; ++i) {
        if (slots[i] == table::kNoSlot) slots[i] = worker.tables->mobile_network_of(*keys[i]);
        if (slots[i] == table::kNoSlot) continue;
        const std::uint8_t* const ip = stage::data(packets[i]);
        const bool is_mobility = ip[0] >> 4 == 6 && ip[offsetof(Ipv6Header, next_header)] ==
                                                        number(IpProtocol::kMobility);
        if (is_mobility && is_own(worker, reinterpret_cast<const Ipv6Header*>(ip)->destination)) {
            continue;
        }
        count_in(worker, bindings.at(slots[i]), stage::length(packets[i]));
    }
}

/// Behind IPsec packets are like those that were just received, but for what the driver notes.
void give_on(Worker& worker, Batch& opened, Edges& out) {
    unsigned kept = 0;
    for (unsigned i = 0; i < opened.count; ++i) {
        rte_mbuf* packet = opened.packets[i];
        if (worker.ipsec_copy_mode) {
            rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
            if (fresh == nullptr) {
                out.drop(packet, Counter::kNoBuffer);
                continue;
            }
            packet = fresh;
        }
        PacketMeta& notes = stage::reset_meta(packet);
        notes.in_port = channel::kNoPort;
        notes.flags = stage::kMetaDecrypted;
        opened.packets[kept++] = packet;
    }
    opened.count = kept;
    out.to_all(IpsecInEdge::kExpress, opened);
}

/// Gives sealed packets to IPsec, and on what it opened. Returns how many were authentic.
unsigned open(Worker& worker, rte_mbuf* const* packets, unsigned count, Edges& out) {
    std::array<ipsec::Packet, stage::kBatchSize> views;
    std::array<ipsec::Packet*, stage::kBatchSize> pointers;
    std::array<Verdict, stage::kBatchSize> verdicts;
    Batch opened;
    if (count == 0) return 0;
    for (unsigned i = 0; i < count; ++i) {
        views[i] = view_of(packets[i]);
        pointers[i] = &views[i];
    }
    worker.esp->inbound(std::span(pointers.data(), count), std::span(verdicts.data(), count));
    unsigned ok = 0;
    unsigned dummies = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (verdicts[i] == Verdict::kInOk) [[likely]] {
            apply(views[i], packets[i]);
            opened.packets[ok++] = packets[i];
        } else if (verdicts[i] == Verdict::kInDummy) {
            out.absorb(packets[i], counter_of(verdicts[i]));
            ++dummies;
        } else {
            out.drop(packets[i], counter_of(verdicts[i]));
        }
    }
    if (ok == 0) return dummies;
    worker.count(Counter::kIpsecInOk, ok);
    count_payload(worker, opened.packets.data(), ok);
    opened.count = ok;
    give_on(worker, opened, out);
    return ok + dummies;
}

void ipsec_in(Worker& worker, Batch& in, Edges& out) {
    std::array<rte_mbuf*, stage::kBatchSize> packets;
    unsigned sealed = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (has_to_wait(worker, packet, notes, out)) continue;
        if (notes.protocol != number(IpProtocol::kEsp)) {
            check_policy(worker, packet, notes, out);
            continue;
        }
        packets[sealed++] = packet;
    }
    sealed = check_sources(worker, packets.data(), sealed, out);
    unsigned count = 0;
    for (unsigned i = 0; i < sealed; ++i) {
        rte_mbuf* packet = packets[i];
        const PacketMeta& notes = stage::meta(packet);
        const bool is_news = (notes.flags & stage::kMetaNewSource) != 0;
        SealedSource source;
        if (is_news) [[unlikely]]
            source = noted_sealed_source(notes);
        if (worker.ipsec_copy_mode) {
            rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
            if (fresh == nullptr) {
                out.drop(packet, Counter::kNoBuffer);
                continue;
            }
            packet = fresh;
        }
        if (is_news) [[unlikely]] {
            // Alone, so that what comes out is this one; those before it first.
            (void)open(worker, packets.data(), count, out);
            count = 0;
            if (open(worker, &packet, 1, out) != 1) continue;
            if (is_vpn_slot(source.slot)) {
                learn_vpn_source(worker, source);
            } else {
                learn_sealed_source(worker, source);
            }
            continue;
        }
        packets[count++] = packet;
    }
    (void)open(worker, packets.data(), count, out);
}

}  // namespace

const stage::StageDescription kIpsecInStage{
    .id = StageId::kIpsecIn,
    .name = "ipsec-in",
    .function = ipsec_in,
    .edges = {{{"express", StageId::kExpress}, {"to-control", StageId::kToControl}}},
    .edge_count = 2,
};

}  // namespace homeport::tunnel
