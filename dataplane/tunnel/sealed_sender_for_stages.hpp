// SPDX-License-Identifier: BSD-3-Clause
// Packets of one burst that IPsec sealed for home addresses whose bindings are over IPv6 (P3):
// which of them go to their care-of addresses without another look, all in one tight loop.
#pragma once

#include <cstdint>

#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/last_hop_for_stages.hpp"
#include "dataplane/tunnel/sealed_notes_for_stages.hpp"
#include "dataplane/tunnel/signalling_spis.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

/// P13: the IPv6 header becomes one of IPv4, or of IPv4 and UDP, right before ESP. False, and
/// nothing has happened: that is not how packets of `binding`, found in `slot`, leave, or it does
/// not fit. Not of the class below, whose objects stay in registers because nobody has their
/// address.
[[nodiscard]] inline bool change_family(stage::Worker& worker, rte_mbuf* packet, std::uint32_t slot,
                                        const table::Binding& binding) {
    if (table::is_over_ipv6(binding.encapsulation) ||
        (binding.flags & channel::kBindingNestedEsp) != 0) {
        return false;
    }
    const std::uint16_t length = stage::length(packet);
    const std::uint32_t payload = length - std::uint32_t{sizeof(Ipv6Header)};
    const SealedWay way = sealed_way(*worker.tables, slot, binding);
    if (!way.known || !way.to_care_of_address ||
        payload + way.outer.header_length() > binding.path_mtu) {
        return false;
    }
    const std::uint16_t total = write_ipv4_before_esp(
        stage::data(packet), payload, way.outer, next_identification(worker), binding.path_mtu);
    cut_front(packet, static_cast<std::uint16_t>(length - total));
    stage::PacketMeta& notes = stage::meta(packet);
    notes.family = 4;
    notes.protocol = number(way.outer.in_udp() ? IpProtocol::kUdp : IpProtocol::kEsp);
    notes.upper_offset = sizeof(Ipv4Header);
    return true;
}

/// A local variable of the loop over the burst, all inlined: so what it keeps about the run of
/// packets so far stays in registers.
class SealedSender {
  public:
    /// Packets that take() took are added to `out`, which must have room for the burst.
    SealedSender(stage::Worker& worker, const SignallingSpis::Known& known, stage::Batch& out)
        : worker_(worker),
          bindings_(worker.tables->bindings),
          known_(known),
          hop_(*worker.tables),
          rows_(worker),
          out_(out),
          count_(out.count) {}

    /// Rewrites the destination of a packet that begins with `ip` and the first octets of ESP, and
    /// whose notes are those of bare ESP: octets 24 to 39 and nothing else (S1.12). `slot`: where
    /// its binding is, if anywhere. False, and nothing has happened: it is not known to be data
    /// that this home agent sealed for a binding over IPv6, or does not simply fit.
    [[nodiscard, gnu::always_inline]] bool take(rte_mbuf* packet, Ipv6Header& ip,
                                                std::uint32_t slot);
    /// Counts what was taken.
    [[gnu::always_inline]] void finish() {
        if (count_ != out_.count) {
            worker_.count(channel::Counter::kTunOutRewritten, count_ - out_.count);
        }
        out_.count = count_;
    }

  private:
    [[nodiscard, gnu::always_inline]] bool is_ours(const Ipv6Address& source);

    stage::Worker& worker_;
    const table::BindingTable::Steps bindings_;
    const SignallingSpis::Known known_;
    LastHop hop_;
    Ipv6Address own_{{0xff}};  // the last source that was found to be ours; first none can be
    const BindingRows rows_;
    stage::Batch& out_;
    unsigned count_;
};

inline bool SealedSender::take(rte_mbuf* packet, Ipv6Header& ip, std::uint32_t slot) {
    if (slot == table::kNoSlot) [[unlikely]]
        return false;
    const table::Binding& binding = bindings_.at(slot);
    const std::uint16_t length = stage::length(packet);
    const std::uint32_t spi = load_be32(reinterpret_cast<const std::uint8_t*>(&ip + 1));
    if (!table::same_address(ip.destination, binding.home_address) || !is_ours(ip.source) ||
        !hop_.is_resolved(binding.adjacency) || !known_.is_data(ip.destination, slot, spi))
        [[unlikely]] {
        return false;
    }
    if (binding.is_open_ipv6_tunnel()) [[likely]] {
        if (length > binding.path_mtu) [[unlikely]]
            return false;
        ip.destination = binding.care_of_address;
    } else if (binding.tentative() || !change_family(worker_, packet, slot, binding)) {
        return false;
    }
    stage::PacketMeta& notes = stage::meta(packet);
    notes.flags = BareEspNotes{}.flags | stage::kMetaEncapsulated | stage::kMetaMayFragmentOuter;
    notes.adjacency = binding.adjacency;
    rows_.count_out(binding, length);
    out_.packets[count_++] = packet;
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
