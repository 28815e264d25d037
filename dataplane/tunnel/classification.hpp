// SPDX-License-Identifier: BSD-3-Clause
// The stage classify in its parts: what the packet is and whose it is. classify_stage.cpp has the
// tables that are asked and what is in none of them, classify_special.cpp the destinations that
// need no table, classify_local.cpp what is addressed to this host.
#pragma once

#include "dataplane/base/ip_header.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

enum class ClassifyEdge : std::uint8_t {
    kIntercept,
    kForward,
    kTunnelIn,
    kIpsecIn,
    kHomeAddress,
    kReassemble,
    kDsmipIn,
    kNdProxy,
    kIcmpIn,
    kIcmpError,
    kToControl,
    kToKernel,
    kTx,
    kMip4In,
    kVpnIn,
    kVpnOut,
};

/// First octet of the upper-layer header, if it is there.
inline int upper_octet(rte_mbuf* packet, const stage::PacketMeta& notes) {
    if (notes.upper_offset >= stage::length(packet)) return -1;
    return stage::data(packet)[notes.upper_offset];
}

/// UDP to `port`, so much of it as is looked at here.
inline bool is_udp_to(rte_mbuf* packet, const stage::PacketMeta& notes, std::uint16_t port) {
    return notes.protocol == number(IpProtocol::kUdp) &&
           stage::length(packet) >= notes.upper_offset + 4u &&
           load_be16(stage::data(packet) + notes.upper_offset + 2) == port;
}

inline bool has_flag(const stage::PacketMeta& notes, stage::MetaFlags flag) {
    return (notes.flags & flag) != 0;
}

/// One call of the stage. Each method gives its packet away.
class Classification {
  public:
    Classification(stage::Worker& worker, stage::Edges& out)
        : worker_(worker), tables_(*worker.tables), out_(out) {}

    void run(stage::Batch& in);

  private:
    void settle_all(stage::Batch& in);
    [[nodiscard]] bool settle_vpn_source(rte_mbuf* packet, const stage::PacketMeta& notes);
    [[nodiscard]] bool lacks_esp(rte_mbuf* packet, const stage::PacketMeta& notes) const;
    void give(ClassifyEdge edge, rte_mbuf* packet) { out_.to(edge, packet); }
    void punt(rte_mbuf* packet, channel::PuntReason reason) {
        stage::meta(packet).reason = static_cast<std::uint8_t>(reason);
        give(ClassifyEdge::kToControl, packet);
    }

    [[nodiscard]] bool settle_special(rte_mbuf* packet, stage::PacketMeta& notes);
    void settle_group(rte_mbuf* packet, const stage::PacketMeta& notes);
    void settle_link_local(rte_mbuf* packet, stage::PacketMeta& notes);
    [[nodiscard]] bool is_neighbor_discovery(rte_mbuf* packet,
                                             const stage::PacketMeta& notes) const;
    void settle_local(rte_mbuf* packet, stage::PacketMeta& notes, const table::LocalAddress& local);
    [[nodiscard]] bool settle_extension_headers(rte_mbuf* packet, stage::PacketMeta& notes,
                                                const table::LocalAddress& local);
    [[nodiscard]] bool settle_routing_header(rte_mbuf* packet, const parse::Headers& headers);
    [[nodiscard]] bool settle_options(rte_mbuf* packet, const stage::PacketMeta& notes);
    [[nodiscard]] bool hand_to_owner(rte_mbuf* packet, std::uint16_t flags = 0);
    void copy_query_to_control(rte_mbuf* packet);
    [[nodiscard]] rte_mbuf* copy_for_control(rte_mbuf* packet);
    void settle_group_of_home_link(rte_mbuf* packet, const stage::PacketMeta& notes);
    [[nodiscard]] bool settle_mip4(rte_mbuf* packet, const stage::PacketMeta& notes);
    [[nodiscard]] bool is_request_to_home_link(rte_mbuf* packet, const stage::PacketMeta& notes,
                                               const Ipv6Address& destination) const;
    void settle_mobility(rte_mbuf* packet, const stage::PacketMeta& notes);
    void settle_icmpv6(rte_mbuf* packet, const stage::PacketMeta& notes);
    void settle_transit(rte_mbuf* packet, stage::PacketMeta& notes, const Ipv6Address& destination);
    [[nodiscard]] bool settle_mobile_network(rte_mbuf* packet, stage::PacketMeta& notes,
                                             const Ipv6Address& destination);

    stage::Worker& worker_;
    const table::Tables& tables_;
    stage::Edges& out_;
    stage::Batch tunnelled_;
};

}  // namespace homeport::tunnel
