// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/support_for_stages.hpp"

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <cstring>
#include <optional>

#include "dataplane/ipsec/queries.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::tunnel {

using channel::Counter;

Counter counter_of(parse::Error error) {
    switch (error) {
        case parse::Error::kVersion:
            return Counter::kParseVersion;
        case parse::Error::kHeader:
            return Counter::kParseHeader;
        case parse::Error::kChecksum:
            return Counter::kParseChecksum;
        case parse::Error::kSource:
            return Counter::kParseSource;
        case parse::Error::kNone:
        case parse::Error::kTruncated:
            break;
    }
    return Counter::kParseTruncated;
}

Counter counter_of(ipsec::Verdict verdict) {
    using ipsec::Verdict;
    switch (verdict) {
        case Verdict::kOutProtect:
            return Counter::kIpsecOutProtect;
        case Verdict::kOutBypass:
            return Counter::kIpsecOutBypass;
        case Verdict::kOutDiscard:
            return Counter::kIpsecOutDiscard;
        case Verdict::kOutNoSa:
            return Counter::kIpsecOutNoSa;
        case Verdict::kOutSeqOverflow:
            return Counter::kIpsecOutSequenceOverflow;
        case Verdict::kOutTooBig:
            return Counter::kIpsecOutTooBig;
        case Verdict::kOutElsewhere:  // no end: hand_over() counts
            return Counter::kHandoverFull;
        case Verdict::kInOk:
            return Counter::kIpsecInOk;
        case Verdict::kInNoSa:
            return Counter::kIpsecInNoSa;
        case Verdict::kInReplay:
            return Counter::kIpsecInReplay;
        case Verdict::kInIcv:
            return Counter::kIpsecInIcv;
        case Verdict::kInPadding:
            return Counter::kIpsecInPadding;
        case Verdict::kInDummy:
            return Counter::kIpsecInDummy;
        case Verdict::kInSelectorMismatch:
            return Counter::kIpsecInSelectorMismatch;
        case Verdict::kInPolicy:
            return Counter::kIpsecInPolicy;
        case Verdict::kInFragment:
            return Counter::kIpsecInFragment;
        case Verdict::kInMalformed:
            return Counter::kIpsecInMalformed;
        case Verdict::kInBypass:
            return Counter::kIpsecInBypass;
        case Verdict::kInDiscard:
            return Counter::kIpsecInDiscard;
    }
    return Counter::kIpsecInMalformed;
}

namespace {

/// Whose payload it is, if it comes from elsewhere than that node's care-of address.
std::optional<Ipv6Address> payload_from_elsewhere(const stage::Worker& worker, std::uint32_t spi,
                                                  const Ipv6Address& source) {
    const auto selectors = worker.ipsec_queries->selectors_for_spi(ipsec::Spi{spi});
    if (!selectors || selectors->mode != ipsec::Mode::kTunnel) return std::nullopt;
    const auto remote = selectors->remote_address();
    const auto* const home_address = remote ? std::get_if<Ipv6Address>(&*remote) : nullptr;
    const table::Tables& tables = *worker.tables;
    if (home_address == nullptr || tables.home_prefixes.find(*home_address) == nullptr) {
        return std::nullopt;  // an SA that has nothing to do with mobile nodes
    }
    const std::uint32_t slot = tables.bindings.find(*home_address);
    if (slot == table::kNoSlot || tables.bindings.at(slot).tentative()) return *home_address;
    const table::Binding& binding = tables.bindings.at(slot);
    if (binding.care_of_address == source) return std::nullopt;
    // A NAT may have another address for UDP 4500; authentic packets came from there.
    const auto mapping = tables.return_paths.esp_mapping(slot, binding);
    if (mapping && table::v4_mapped(mapping->address) == source) return std::nullopt;
    return *home_address;
}

/// For the log, by way of the main lcore. Some a second: anybody who knows an SPI can set it off.
void report_source(stage::Worker& worker, std::uint32_t spi, const Ipv6Address& source,
                   const Ipv6Address& home_address, bool dropped) {
    if (worker.to_main == nullptr || !worker.report_policer.take(worker.now_tsc)) return;
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kEspSource;
    request.dropped = dropped ? 1 : 0;
    request.home_address = home_address;
    request.spi = spi;
    request.source = source;
    (void)rte_ring_enqueue_elem(worker.to_main, &request, sizeof request);
}

}  // namespace

void wait_or_drop(stage::Worker& worker, rte_mbuf* packet, const Ipv6Address& home_address,
                  Counter full, stage::Edges& out) {
    if (worker.reply_to->wait(home_address, packet)) {
        out.kept(packet, "waits");
    } else {
        out.drop(packet, full);
    }
}

bool refuse_payload_from_elsewhere(stage::Worker& worker, rte_mbuf* packet, std::uint32_t spi,
                                   const Ipv6Address& source, stage::Edges& out) {
    using channel::EspOuterCheck;
    const EspOuterCheck check = worker.parameters->check_esp_outer;
    if (check == EspOuterCheck::kOff || worker.ipsec_queries == nullptr) return false;
    const auto home_address = payload_from_elsewhere(worker, spi, source);
    if (!home_address) [[likely]]
        return false;
    report_source(worker, spi, source, *home_address, check == EspOuterCheck::kDrop);
    if (check == EspOuterCheck::kCount) {
        worker.count(Counter::kMip6RtEspSourceSeen);
        return false;
    }
    out.drop(packet, Counter::kMip6RtEspSource);
    return true;
}

namespace {

/// A fresh buffer with the same octets and no notes; null: there is none.
rte_mbuf* same_octets(const stage::Worker& worker, rte_mbuf* packet) {
    const std::uint16_t length = stage::length(packet);
    rte_mempool* const pool = length + RTE_PKTMBUF_HEADROOM + ipsec::kMaxTailroomNeeded <=
                                      rte_pktmbuf_data_room_size(worker.pool)
                                  ? worker.pool
                                  : worker.jumbo_pool;
    rte_mbuf* const fresh = pool == nullptr ? nullptr : rte_pktmbuf_alloc(pool);
    if (fresh == nullptr) return nullptr;
    if (rte_pktmbuf_tailroom(fresh) < length) {
        rte_pktmbuf_free(fresh);
        return nullptr;
    }
    std::memcpy(rte_pktmbuf_append(fresh, length), stage::data(packet), length);
    return fresh;
}

}  // namespace

rte_mbuf* into_fresh_buffer(const stage::Worker& worker, rte_mbuf* packet) {
    rte_mbuf* const fresh = same_octets(worker, packet);
    if (fresh == nullptr) return nullptr;
    const stage::PacketMeta old = stage::meta(packet);
    stage::PacketMeta& notes = stage::init_meta(fresh);
    notes.passes = old.passes;
    notes.trace = old.trace;
    notes.trace_step = old.trace_step;
    rte_pktmbuf_free(packet);
    return fresh;
}

rte_mbuf* copy_of(stage::Worker& worker, rte_mbuf* packet) {
    worker.count(Counter::kRxGenerated);
    rte_mbuf* const copy = same_octets(worker, packet);
    if (copy == nullptr) {
        worker.count(Counter::kNoBuffer);
        return nullptr;
    }
    stage::PacketMeta& notes = stage::meta(copy);
    notes = stage::meta(packet);
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    notes.trace = 0;  // the trace goes on with the packet
    return copy;
}

bool udp_checksum_holds(rte_mbuf* packet, const stage::PacketMeta& notes) {
    // Hardware that looked at a UDP checksum says so of the packet that it received alone.
    if (notes.passes == 0 &&
        (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
        notes.family == 4) {
        return true;
    }
    const ConstByteSpan datagram = bytes_of(packet).subspan(notes.upper_offset);
    const std::uint8_t* const ip = stage::data(packet);
    if (notes.family == 6) {
        const auto& header = *reinterpret_cast<const Ipv6Header*>(ip);
        return udp_checksum_holds(header.source, header.destination, datagram);
    }
    const auto& header = *reinterpret_cast<const Ipv4Header*>(ip);
    return udp_checksum_holds(header.source, header.destination, datagram);
}

bool renew_notes(rte_mbuf* packet) {
    parse::Headers headers;
    if (parse::walk(bytes_of(packet), headers, parse::Checksum::kVerified) != parse::Error::kNone) {
        return false;
    }
    stage::PacketMeta& notes = stage::meta(packet);
    notes.family = headers.family;
    notes.protocol = headers.protocol;
    notes.upper_offset = headers.upper_offset;
    return true;
}

}  // namespace homeport::tunnel
