// SPDX-License-Identifier: BSD-3-Clause
// Packets of one burst that go into IPv6 tunnels without another look at them (P1, P14): which they
// are, and the tunnel headers of all of them in one tight loop.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/ipsec/interface.hpp"
#include "dataplane/stage/egress.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/express_headers.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

/// True: the source is an end of the tunnel, a loop that intercept has to look at.
[[nodiscard]] inline bool comes_from_an_end(const Ipv6Address& source,
                                            const table::Binding& binding) {
    // Half of the address tells nearly always.
    std::uint64_t own;
    std::uint64_t care_of;
    std::uint64_t home_agent;
    std::memcpy(&own, source.bytes.data() + 8, 8);
    std::memcpy(&care_of, binding.care_of_address.bytes.data() + 8, 8);
    std::memcpy(&home_agent, binding.home_agent_address.bytes.data() + 8, 8);
    if (own != care_of && own != home_agent) [[likely]]
        return false;
    return table::same_address(source, binding.care_of_address) ||
           table::same_address(source, binding.home_agent_address);
}

/// Puts packets of a burst into their tunnels. A local variable of the loop over them, all inlined:
/// so what it keeps about the run of packets so far stays in registers.
class Encapsulator {
  public:
    /// `edge`: the stage's edge to tx.
    Encapsulator(stage::Worker& worker, stage::Edges& out, auto edge)
        : worker_(worker),
          egress_(worker, out, edge),
          rows_(worker),
          hop_limit_(worker.parameters->tunnel_hop_limit),
          copies_(worker.ipsec_copy_mode) {}

    /// Takes one hop off the packet, puts the header of its tunnel before it (RFC 2473) and sends
    /// it. False, and nothing has happened: IPsec, intercept or another kind of tunnel is
    /// concerned.
    [[nodiscard, gnu::always_inline]] bool take(rte_mbuf* packet, const Ipv6Header& ip,
                                                const table::Binding& binding);
    /// Counts what was taken.
    [[gnu::always_inline]] void finish();

  private:
    static constexpr unsigned kNone = 256;  // no protocol

    [[nodiscard, gnu::always_inline]] bool is_bypassed(std::uint8_t protocol);
    void end_run();

    stage::Worker& worker_;
    stage::Egress egress_;
    LateBindingRows rows_;
    std::uint8_t hop_limit_;
    bool copies_;

    // The outbound policy, asked once for a run of packets of one protocol: where an entry bypasses
    // all of it (S1.1), IPsec need not see them. They are counted under that entry run by run.
    unsigned bypassed_ = kNone;  // the protocol that is
    unsigned asked_ = kNone;     // the last one that is not
    ipsec::Processor::BypassEntry entry_ = 0;
    unsigned run_begin_ = 0;
    std::uint64_t run_octets_ = 0;
};

inline void Encapsulator::end_run() {
    const unsigned count = egress_.count();
    if (count != run_begin_) {
        worker_.esp->count_bypassed(entry_, count - run_begin_, run_octets_);
        worker_.count(channel::Counter::kIpsecOutBypass, count - run_begin_);
    }
    run_begin_ = count;
    run_octets_ = 0;
}

inline bool Encapsulator::is_bypassed(std::uint8_t protocol) {
    if (protocol == bypassed_) [[likely]]
        return true;
    if (protocol == asked_ || copies_) return false;
    end_run();
    const auto entry = worker_.esp->bypasses_all(ipsec::Family::kIpv6, protocol);
    (entry ? bypassed_ : asked_) = protocol;
    if (entry) entry_ = *entry;
    return entry.has_value();
}

inline bool Encapsulator::take(rte_mbuf* packet, const Ipv6Header& ip,
                               const table::Binding& binding) {
    const FirstWord first(ip);
    const std::uint32_t length = first.packet_length();
    auto& inner = const_cast<Ipv6Header&>(ip);
    auto* const outer = reinterpret_cast<std::uint8_t*>(&inner) - kIpv6TunnelOverhead;
    if (!is_bypassed(first.next_header()) || !binding.is_open_ipv6_tunnel() ||
        length + kIpv6TunnelOverhead > binding.path_mtu || comes_from_an_end(ip.source, binding) ||
        !egress_.has_room(packet, outer) || !egress_.turn_to(binding.adjacency)) [[unlikely]] {
        return false;
    }
    rows_.note(binding, length);
    const bool pipe = (binding.flags & channel::kBindingDscpPipe) != 0;
    --inner.hop_limit;
    store_be64(outer, first.tunnel_word(pipe ? Dscp::kPipe : Dscp::kUniform, hop_limit_));
    std::memcpy(outer + offsetof(Ipv6Header, source), &binding.home_agent_address,
                sizeof binding.home_agent_address + sizeof binding.care_of_address);
    egress_.put(packet, outer, length + kIpv6TunnelOverhead);
    run_octets_ += length;
    return true;
}

inline void Encapsulator::finish() {
    end_run();
    egress_.finish();
    if (egress_.count() == 0) return;
    worker_.count(channel::Counter::kTunOutEncapsulated, egress_.count());
    rows_.count_out();
}

}  // namespace homeport::tunnel
