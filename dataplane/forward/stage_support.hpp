// SPDX-License-Identifier: BSD-3-Clause
// What the stages of this room share. Not for others.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/forward/icmp_message.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::forward {

inline ConstByteSpan bytes_of(rte_mbuf* packet) {
    return {stage::data(packet), stage::length(packet)};
}
inline const Ipv6Header& ipv6_of(rte_mbuf* packet) {
    return *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
}
inline const Ipv4Header& ipv4_of(rte_mbuf* packet) {
    return *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
}
inline bool has(const stage::PacketMeta& notes, unsigned flags) {
    return (notes.flags & flags) != 0;
}
inline void clear(stage::PacketMeta& notes, unsigned flags) {
    notes.flags = static_cast<std::uint16_t>(notes.flags & ~flags);
}
inline void set_length(rte_mbuf* packet, std::uint16_t octets) {
    packet->data_len = octets;
    packet->pkt_len = octets;
}

/// Notes for an ICMP error about the packet, which ends under `drop`.
inline void note_icmp_error(rte_mbuf* packet, const IcmpError& error, channel::Counter drop) {
    stage::PacketMeta& notes = stage::meta(packet);
    notes.reason = static_cast<std::uint8_t>(error.kind);
    notes.code = error.code;
    notes.parameter = error.parameter;
    notes.drop = static_cast<std::uint16_t>(drop);
}

/// Identification of the next packet that this host fragments, or IPv4 packet that it makes. Its
/// values come once in 2^32 packets of all workers together, in an order that is not to be guessed
/// (RFC 7739).
[[nodiscard]] std::uint32_t next_identification(stage::Worker& worker);

/// The port by which the source of `subject`, an IP packet of `family`, is reached; `otherwise` if
/// there is no route to it.
[[nodiscard]] std::uint16_t port_towards_source(const stage::Worker& worker, ConstByteSpan subject,
                                                std::uint8_t family, std::uint16_t otherwise);

/// Makes an ICMP error to the source of `subject`, an IP packet of `family` that may be cut off.
/// Null: none may be sent, the rate is used up (counted), or there is no buffer. The message's
/// notes are set, it is counted as generated and sent, and belongs before ipsec-out.
/// `port`: where an answer to the source would leave; `to_group`: see may_report().
[[nodiscard]] rte_mbuf* make_icmp_error(stage::Worker& worker, ConstByteSpan subject,
                                        std::uint8_t family, const IcmpError& error,
                                        std::uint16_t port, bool to_group);

}  // namespace homeport::forward
