// SPDX-License-Identifier: BSD-3-Clause
// What the Mobile IPv6 protocol module counts, under the names of docs/counters.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/wire/mobility_header.hpp"

namespace homeport::mip6 {

enum class Counter : std::uint8_t {
    kIpsecInPolicy,         // ipsec.in.policy: a binding update that was not protected
    kMhChecksum,            // mip6.mh.cksum
    kMhType,                // mip6.mh.type
    kMhProto,               // mip6.mh.proto
    kMhLength,              // mip6.mh.len
    kMhUnserved,            // mip6.mh.unserved: a known message that a home agent has no use for
    kMhPacket,              // mip6.mh.packet: not an IPv6 packet with mobility header or ICMPv6
    kBuMalformed,           // mip6.bu.malformed
    kBuHomeFlagClear,       // mip6.bu.h0
    kBuProxy,               // mip6.bu.proxy
    kBuNoAlternateCoa,      // mip6.bu.no_acoa
    kBuSourceNotUnicast,    // mip6.bu.src_not_unicast
    kBuRateLimitedNode,     // mip6.bu.limited_node
    kBuRateLimitedAll,      // mip6.bu.limited_all
    kBuRateLimitedSource,   // mip6.bu.limited_source: outer source changes too often (S1.80)
    kBuOverload,            // mip6.bu.overload
    kBuPending,             // mip6.bu.pending: taken while duplicate address detection runs
    kBuAccepted,            // mip6.bu.accepted, deregistrations included
    kBuRejected,            // mip6.bu.rejected_<status>, see Counters::rejected()
    kBindingErrorSent,      // mip6.be.sent
    kBindingErrorLimited,   // mip6.be.ratelimited
    kIcmpSent,              // icmp.sent
    kIcmpRateLimited,       // icmp.ratelimited
    kDhaadReplied,          // mip6.dhaad.replied
    kDhaadRateLimited,      // mip6.dhaad.ratelimited
    kDhaadBad,              // mip6.dhaad.bad: malformed, not to us, or from no unicast address
    kMpsUnserved,           // mip6.mps.unserved: of a node without binding
    kMpsBad,                // mip6.mps.bad: not to us, or without home address option
    kMpsRateLimited,        // mip6.mps.ratelimited: more than one a second of one node
    kMpaSent,               // mip6.mpa.sent
    kIcmpUnserved,          // mip6.icmp.unserved
    kNdNaSent,              // nd.na_sent
    kNdDadFail,             // nd.dad_fail
    kNdDadLost,             // nd.dad_lost: no verdict came in time
    kBindingCreated,        // binding.created
    kBindingUpdated,        // binding.updated
    kBindingDeleted,        // binding.deleted
    kBindingExpired,        // binding.expired
    kBindingSourceChanged,  // binding.source_changed: care-of address or outer source
    kBindingMappingTaken,   // binding.mapping_taken: its NAT mapping is another binding's now
    kBindingRestored,       // binding.restored
    kBindingNotRestored,    // binding.not_restored: expired meanwhile, or no longer served
    kNatYes,                // dsmip.in.nat_yes: accepted, a NAT on the way
    kNatNo,                 // dsmip.in.nat_no: accepted over IPv4, none
    kForcedUdp,             // dsmip.out.forced_udp: acknowledged with UDP that no NAT asks for
    kArpGratuitous,         // arp.gratuitous
    kCount,
};

/// The counter's name; for kBuRejected with "<status>" in place of the number.
[[nodiscard]] std::string_view name(Counter counter);

class Counters {
  public:
    void add(Counter counter) { ++values_[static_cast<std::size_t>(counter)]; }
    void add_rejected(wire::BindingStatus status) {
        add(Counter::kBuRejected);
        ++rejected_[static_cast<std::uint8_t>(status)];
    }
    [[nodiscard]] std::uint64_t operator[](Counter counter) const {
        return values_[static_cast<std::size_t>(counter)];
    }
    [[nodiscard]] std::uint64_t rejected(wire::BindingStatus status) const {
        return rejected_[static_cast<std::uint8_t>(status)];
    }

    /// `visit(std::string name, std::uint64_t value)`: each counter, zeros included, and each
    /// mip6.bu.rejected_<status> that is not zero.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            if (static_cast<Counter>(i) == Counter::kBuRejected) continue;
            visit(std::string{name(static_cast<Counter>(i))}, values_[i]);
        }
        for (std::size_t status = 0; status < rejected_.size(); ++status) {
            if (rejected_[status] == 0) continue;
            const std::string_view pattern = name(Counter::kBuRejected);
            visit(std::string{pattern.substr(0, pattern.find('<'))} + std::to_string(status),
                  rejected_[status]);
        }
    }

  private:
    std::array<std::uint64_t, static_cast<std::size_t>(Counter::kCount)> values_{};
    std::array<std::uint64_t, 256> rejected_{};
};

}  // namespace homeport::mip6
