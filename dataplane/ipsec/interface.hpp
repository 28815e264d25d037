// SPDX-License-Identifier: BSD-3-Clause
// IPsec as packets go through it: whole IP packets in, whole IP packets out, and nothing about a
// packet beside it (S1.9). With the two questions of queries.hpp this is all that those who stand
// before and behind IPsec know of it (S1.7); EspEngine is one implementation, and any other of
// RFC 4301 that has these functions can take its place (S1.1).
//
// Use: one Processor per worker thread. Give outbound() the packets that leave, inbound() those
// that are addressed to this host; each packet gets a verdict. Where passes(verdict) is false the
// packet is to be dropped, its content is undefined, and nothing but counters has changed. A packet
// that came out of inbound() as kInOk is a packet like any other: it may be ESP again.
//
// A packet is transformed in its buffer, which has kMaxHeadroomNeeded and kMaxTailroomNeeded octets
// of room; one with less may be refused as kOutTooBig. Both functions are synchronous, take any
// number of packets, and do not allocate, lock, log or make system calls.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/ipsec/address_key.hpp"
#include "dataplane/ipsec/packet.hpp"
#include "dataplane/ipsec/verdict.hpp"

namespace homeport::ipsec {

class Processor {
  public:
    virtual ~Processor() = default;

    /// SPD lookup, then bypass, discard or seal each packet. `verdicts` must be as long as
    /// `packets`. All packets of a batch are distinct.
    virtual void outbound(std::span<Packet* const> packets, std::span<Verdict> verdicts) = 0;

    /// An SPD entry that bypasses whole protocols, for count_bypassed().
    using BypassEntry = std::uint16_t;
    /// Whether outbound() would bypass every sound packet of this family and upper-layer protocol,
    /// whatever its addresses and ports: then the caller need not ask for each, and says with
    /// count_bypassed() how many there were. Nothing: that depends on the packet.
    [[nodiscard]] virtual std::optional<BypassEntry> bypasses_all(Family family,
                                                                  std::uint8_t protocol) const {
        (void)family, (void)protocol;
        return std::nullopt;
    }
    /// Counts `packets` of `octets` in all as outbound() would have. In the run in which
    /// bypasses_all() said `entry`.
    virtual void count_bypassed(BypassEntry entry, std::uint64_t packets, std::uint64_t octets) {
        (void)entry, (void)packets, (void)octets;
    }

    /// Opens ESP packets; checks all others against the policy.
    virtual void inbound(std::span<Packet* const> packets, std::span<Verdict> verdicts) = 0;

    /// The policy check of inbound() for one packet that is not ESP: kInBypass, kInDiscard,
    /// kInPolicy or kInMalformed. Counts no verdict.
    [[nodiscard]] virtual Verdict inbound_policy_check(const Packet& packet) const = 0;

    /// After kOutTooBig: the largest packet to tell the sender of `packet`, in octets (RFC 4301
    /// section 8); 0 if `packet` is not to be protected or its SA has no path MTU.
    [[nodiscard]] virtual std::uint32_t mtu_for(const Packet& packet) const = 0;

    /// The worker that owns the SA which would seal or open `packet`, where sequence numbers and
    /// replay windows have one writer; nothing if no SA is concerned, or any worker will do.
    [[nodiscard]] virtual std::optional<std::uint8_t> outbound_owner(
        const Packet& packet) const = 0;
    [[nodiscard]] virtual std::optional<std::uint8_t> inbound_owner(const Packet& packet) const = 0;
};

}  // namespace homeport::ipsec
