// SPDX-License-Identifier: BSD-3-Clause
// What the stages of this room share. Not for others.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/ipsec/packet.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "dataplane/ipsec/verdict.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/binding_rows_for_stages.hpp"

namespace homeport::tunnel {

/// Of a packet that is to be handed to another worker: the SPI at `spi` is one of signalling.
inline void note_signalling(stage::PacketMeta& notes, const std::uint8_t* spi) {
    const ipsec::Spi value{load_be32(spi)};
    if (ipsec::is_own(value) && ipsec::spi_group(value) == 0) notes.flags |= stage::kMetaSignalling;
}

inline constexpr std::uint16_t kEthernetLength = sizeof(EthernetHeader);

[[nodiscard]] channel::Counter counter_of(parse::Error error);
[[nodiscard]] channel::Counter counter_of(ipsec::Verdict verdict);

/// Octets of an mbuf from its first to its last.
[[nodiscard]] inline ConstByteSpan bytes_of(rte_mbuf* packet) {
    return {stage::data(packet), stage::length(packet)};
}

/// The one-segment mbuf as header work and IPsec see it.
[[nodiscard]] inline ipsec::Packet view_of(rte_mbuf* packet) {
    return {stage::data(packet), stage::length(packet), rte_pktmbuf_headroom(packet),
            rte_pktmbuf_tailroom(packet)};
}
/// Makes the mbuf what `view`, which came from view_of(packet), has become.
inline void apply(const ipsec::Packet& view, rte_mbuf* packet) {
    packet->data_off =
        static_cast<std::uint16_t>(view.data - static_cast<const std::uint8_t*>(packet->buf_addr));
    packet->data_len = static_cast<std::uint16_t>(view.length);
    packet->pkt_len = view.length;
}

/// Cuts `octets` off the front of a one-segment mbuf that has them.
inline void cut_front(rte_mbuf* packet, std::uint16_t octets) {
    packet->data_off = static_cast<std::uint16_t>(packet->data_off + octets);
    packet->data_len = static_cast<std::uint16_t>(packet->data_len - octets);
    packet->pkt_len -= octets;
}
inline void set_length(rte_mbuf* packet, std::uint16_t octets) {
    packet->data_len = octets;
    packet->pkt_len = octets;
}

/// Notes for an ICMP error about the packet, which ends under `drop`.
inline void note_icmp_error(rte_mbuf* packet, stage::IcmpErrorKind kind, channel::Counter drop,
                            std::uint32_t parameter = 0, std::uint8_t code = 0) {
    stage::PacketMeta& notes = stage::meta(packet);
    notes.reason = static_cast<std::uint8_t>(kind);
    notes.code = code;
    notes.parameter = parameter;
    notes.drop = static_cast<std::uint16_t>(drop);
}

/// A packet of this host to nobody's knowledge but the table's: its address is one of ours.
[[nodiscard]] inline bool is_own(const stage::Worker& worker, const Ipv6Address& address) {
    return worker.tables->local_addresses.find(address) != nullptr;
}

/// Policy check_esp_outer for ESP with `spi` that came from `source`, v4-mapped for IPv4 (P4). The
/// SA says whose payload it is, so no note about the outer header has to pass through IPsec (S1.9);
/// that the packet is authentic is not known yet. True: it was dropped.
[[nodiscard]] bool refuse_payload_from_elsewhere(stage::Worker& worker, rte_mbuf* packet,
                                                 std::uint32_t spi, const Ipv6Address& source,
                                                 stage::Edges& out);

/// Gives `packet` away: it waits until no other of `home_address` is inside IPsec (S1.66), or is
/// dropped as `full`.
void wait_or_drop(stage::Worker& worker, rte_mbuf* packet, const Ipv6Address& home_address,
                  channel::Counter full, stage::Edges& out);

/// A fresh buffer with the same octets, and nothing but the driver's notes in common (S1.9). The
/// old one is freed. Null: no buffer, the old one is as it was.
[[nodiscard]] rte_mbuf* into_fresh_buffer(const stage::Worker& worker, rte_mbuf* packet);

/// Reads family, protocol and upper-layer offset of an IP packet anew. False: it is malformed.
[[nodiscard]] bool renew_notes(rte_mbuf* packet);

/// Whether the checksum of UDP at `upper_offset`, which is well formed, is right, or was not put
/// in.
[[nodiscard]] bool udp_checksum_holds(rte_mbuf* packet, const stage::PacketMeta& notes);

/// A second buffer with the same octets and notes, which is counted as made here (rx.generated) and
/// not traced. Null: no buffer, which is counted.
[[nodiscard]] rte_mbuf* copy_of(stage::Worker& worker, rte_mbuf* packet);

/// Adds to one direction of a binding's row of statistics.
inline void count_out(const stage::Worker& worker, const table::Binding& binding,
                      std::uint32_t octets) {
    BindingRows(worker).count_out(binding, octets);
}
inline void count_in(const stage::Worker& worker, const table::Binding& binding,
                     std::uint32_t octets) {
    BindingRows(worker).count_in(binding, octets);
}

/// Identification of an IPv4 header without DF: two workers never use the same one at a time.
[[nodiscard]] inline std::uint16_t next_identification(stage::Worker& worker) {
    return static_cast<std::uint16_t>(worker.identification++ * worker.worker_count + worker.index);
}

}  // namespace homeport::tunnel
