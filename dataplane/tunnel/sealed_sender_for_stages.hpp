// SPDX-License-Identifier: BSD-3-Clause
// Packets of one burst that IPsec sealed for home addresses whose bindings are over IPv6 (P3):
// which of them go to their care-of addresses without another look, all in one tight loop.
#pragma once

#include <cstdint>

#include "dataplane/stage/egress.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/sealed_notes_for_stages.hpp"
#include "dataplane/tunnel/signalling_spis.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

/// P13: the IPv6 header becomes one of IPv4, or of IPv4 and UDP, right before ESP. Octets of the
/// packet that comes of it, whose end is that of the one it was; 0, and nothing has happened: that
/// is not how packets of `binding`, found in `slot`, leave, or it does not fit. Not of the class
/// below, whose objects stay in registers because nobody has their address.
[[nodiscard]] inline std::uint32_t change_family(stage::Worker& worker, Ipv6Header& ip,
                                                 std::uint32_t length, std::uint32_t slot,
                                                 const table::Binding& binding) {
    if (table::is_over_ipv6(binding.encapsulation) ||
        (binding.flags & channel::kBindingNestedEsp) != 0) {
        return 0;
    }
    const std::uint32_t payload = length - std::uint32_t{sizeof(Ipv6Header)};
    const SealedWay way = sealed_way(*worker.tables, slot, binding);
    if (!way.known || !way.to_care_of_address ||
        payload + way.outer.header_length() > binding.path_mtu) {
        return 0;
    }
    return write_ipv4_before_esp(reinterpret_cast<std::uint8_t*>(&ip), payload, way.outer,
                                 next_identification(worker), binding.path_mtu);
}

/// A local variable of the loop over the burst, all inlined: so what it keeps about the run of
/// packets so far stays in registers.
class SealedSender {
  public:
    /// `edge`: the stage's edge to tx.
    SealedSender(stage::Worker& worker, const SignallingSpis::Known& known, stage::Edges& out,
                 auto edge)
        : worker_(worker),
          bindings_(worker.tables->bindings),
          known_(known),
          egress_(worker, out, edge),
          rows_(worker) {}

    /// Sends a packet of `length` octets that begins with `ip` and the first octets of ESP, to
    /// where it rewrites the destination to: octets 24 to 39 and nothing else (S1.12). `slot`:
    /// where its binding is, if anywhere. False, and nothing has happened: it is not known to be
    /// data that this home agent sealed for a binding over IPv6, or does not simply fit.
    [[nodiscard, gnu::always_inline]] bool take(rte_mbuf* packet, Ipv6Header& ip,
                                                std::uint32_t length, std::uint32_t slot);
    /// Counts what was taken; nothing is behind it.
    [[gnu::always_inline]] void finish() {
        egress_.finish();
        worker_.count(channel::Counter::kTunOutRewritten, egress_.count());
    }

  private:
    [[nodiscard, gnu::always_inline]] bool is_ours(const Ipv6Address& source);

    stage::Worker& worker_;
    const table::BindingTable::Steps bindings_;
    const SignallingSpis::Known known_;
    stage::Egress egress_;
    Ipv6Address own_{{0xff}};  // the last source that was found to be ours; first none can be
    const BindingRows rows_;
};

inline bool SealedSender::take(rte_mbuf* packet, Ipv6Header& ip, std::uint32_t length,
                               std::uint32_t slot) {
    if (slot == table::kNoSlot) [[unlikely]]
        return false;
    const table::Binding& binding = bindings_.at(slot);
    auto* const start = reinterpret_cast<std::uint8_t*>(&ip);
    const std::uint32_t spi = load_be32(start + sizeof(Ipv6Header));
    if (!table::same_address(ip.destination, binding.home_address) || !is_ours(ip.source) ||
        !egress_.has_room(packet, start) || !egress_.turn_to(binding.adjacency) ||
        !known_.is_data(ip.destination, slot, spi)) [[unlikely]] {
        return false;
    }
    std::uint32_t total = length;
    if (binding.is_open_ipv6_tunnel()) [[likely]] {
        if (length > binding.path_mtu) [[unlikely]]
            return false;
        ip.destination = binding.care_of_address;
    } else {
        total = binding.tentative() ? 0 : change_family(worker_, ip, length, slot, binding);
        if (total == 0) return false;
    }
    egress_.put(packet, start + (length - total), total);
    rows_.count_out(binding, length);
    return true;
}

inline bool SealedSender::is_ours(const Ipv6Address& source) {
    if (!table::same_address(source, own_)) [[unlikely]] {
        if (!is_own(worker_, source)) return false;
        own_ = source;
    }
    return true;
}

}  // namespace homeport::tunnel
