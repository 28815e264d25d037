// SPDX-License-Identifier: BSD-3-Clause
// What the tunnel-out stage does with a batch. Its parts: tunnel_out_stage.cpp, and of its own
// messages and of Mobile IPv4 tunnel_out_signalling.cpp and tunnel_out_mip4.cpp.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/last_hop_for_stages.hpp"
#include "dataplane/tunnel/signalling_spis.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/udp_signalling_stages.hpp"

namespace homeport::tunnel {

enum class TunnelOutEdge : std::uint8_t { kTx, kForward, kFragment, kVpnOut };

/// One batch; made and used up by the stage.
class TunnelOut {
  public:
    TunnelOut(stage::Worker& worker, stage::Edges& out)
        : worker_(worker),
          tables_(*worker.tables),
          question_(worker.ipsec_queries, worker.signalling),
          hop_limit_(worker.parameters->tunnel_hop_limit),
          out_(out),
          hop_(tables_) {}

    void run(stage::Batch& in);

  private:
    void flush_tx() {
        out_.to_all(TunnelOutEdge::kTx, to_tx_);
        to_tx_.count = 0;
    }
    void find_bindings(const stage::Batch& in);
    void fetch_clients(const stage::Batch& in) const;
    void take(rte_mbuf* packet);
    void take_sealed(stage::Batch& in);
    [[nodiscard]] bool send_sealed(rte_mbuf* packet);
    [[nodiscard]] bool is_ours(rte_mbuf* packet, const stage::PacketMeta& notes,
                               const table::Binding* binding) const;
    [[nodiscard]] bool is_signalling(rte_mbuf* packet, const stage::PacketMeta& notes) const;
    void send_signalling(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding* binding);
    void send_over_udp(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding* binding,
                       const WireEndpoint& reply);
    void send_in_tunnel(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding& binding);
    void rewrite(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding& binding);
    void send_home(rte_mbuf* packet);
    void encapsulate(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding& binding);
    void send_by_dsmip(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding& binding,
                       bool sealed);
    void send_by_mip4(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding& binding);
    void send_to_care_of(rte_mbuf* packet, stage::PacketMeta& notes, const table::Binding& binding);
    [[nodiscard]] bool is_for_vpn(rte_mbuf* packet, const stage::PacketMeta& notes) const;
    void send_past_binding(rte_mbuf* packet, stage::PacketMeta& notes);
    [[nodiscard]] bool goes_on_inside(rte_mbuf* packet, stage::PacketMeta& notes,
                                      const table::Binding& binding);
    [[nodiscard]] bool put_limited_header(rte_mbuf* packet, const table::Binding& binding);
    void send(rte_mbuf* packet, stage::PacketMeta& notes, std::uint32_t adjacency,
              std::uint16_t mtu);

    stage::Worker& worker_;
    const table::Tables& tables_;
    SignallingSpis::Question question_;
    std::uint8_t hop_limit_;
    stage::Edges& out_;
    unsigned encapsulated_ = 0;
    unsigned rewritten_ = 0;
    std::array<unsigned, 4> by_role_{};  // of Mobile IPv4; Mip4Role
    LastHop hop_;
    stage::Batch to_tx_;
};

/// `adjacency`: of the care-of address, or kNoIndex. `mtu`: octets that get there.
inline void TunnelOut::send(rte_mbuf* packet, stage::PacketMeta& notes, std::uint32_t adjacency,
                            std::uint16_t mtu) {
    notes.adjacency = adjacency;
    notes.parameter = mtu;
    notes.reason = 0;  // pieces go by the adjacency
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    if (stage::length(packet) > mtu) [[unlikely]] {
        out_.to(TunnelOutEdge::kFragment, packet);
        return;
    }
    if (hop_.is_resolved(adjacency)) [[likely]] {
        to_tx_.packets[to_tx_.count++] = packet;
    } else {
        out_.to(TunnelOutEdge::kForward, packet);
    }
}

}  // namespace homeport::tunnel
