// SPDX-License-Identifier: BSD-3-Clause
// Seals and opens batches of packets (RFC 4301 section 5, RFC 4303).
//
// Use: one engine per worker thread. Give outbound() the packets that leave, inbound() those that
// are addressed to this host; each packet gets a verdict. Where passes(verdict) is false the packet
// is to be dropped, its content is undefined, and nothing but counters has changed. A packet that
// came out of inbound() as kInOk is a packet like any other: it may be ESP again.
//
// Both functions are synchronous and take any number of packets; they work in bursts of kBurst.
// They do not allocate, lock, log or make system calls.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/ipsec/error.hpp"
#include "dataplane/ipsec/packet.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"
#include "dataplane/ipsec/verdict.hpp"

namespace homeport::ipsec {

/// An SA came to the end of a lifetime. Soft: time to rekey. Hard: it is not used any more.
struct LifetimeEvent {
    Spi spi;
    Direction direction = Direction::kInbound;
    bool hard = false;
    SaHandle handle;
};

class EspEngine {
  public:
    static constexpr std::size_t kBurst = 64;

    /// Databases must outlive the engine. Takes the architecture of `sad`, and a random key for IVs
    /// from the operating system.
    [[nodiscard]] static Result<std::unique_ptr<EspEngine>> create(
        const SecurityPolicyDatabase& spd, const SecurityAssociationDatabase& sad);
    ~EspEngine();
    EspEngine(const EspEngine&) = delete;
    EspEngine& operator=(const EspEngine&) = delete;

    /// SPD lookup, then bypass, discard or seal each packet. `verdicts` must be as long as
    /// `packets`. All packets of a batch are distinct.
    void outbound(std::span<Packet* const> packets, std::span<Verdict> verdicts);

    /// Opens ESP packets; checks all others against the policy.
    void inbound(std::span<Packet* const> packets, std::span<Verdict> verdicts);

    /// The policy check of inbound() for one packet that is not ESP: kInBypass, kInDiscard,
    /// kInPolicy or kInMalformed. Counts nothing.
    [[nodiscard]] Verdict inbound_policy_check(const Packet& packet) const;

    /// After kOutTooBig: the largest packet to tell the sender of `packet`, in octets (RFC 4301
    /// section 8); 0 if `packet` is not to be protected or its SA has no path MTU.
    [[nodiscard]] std::uint32_t mtu_for(const Packet& packet) const;

    /// The worker that owns the SA which would seal or open `packet`; nothing if no SA is
    /// concerned.
    [[nodiscard]] std::optional<std::uint8_t> outbound_owner(const Packet& packet) const;
    [[nodiscard]] std::optional<std::uint8_t> inbound_owner(const Packet& packet) const;

    /// Packets that got this verdict from this engine. Any thread.
    [[nodiscard]] std::uint64_t count(Verdict verdict) const;

    /// Takes the oldest lifetime event. Any one thread. False if there is none.
    bool next_event(LifetimeEvent& event);

  private:
    struct State;
    explicit EspEngine(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace homeport::ipsec
