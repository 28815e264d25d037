// SPDX-License-Identifier: BSD-3-Clause
// Seals and opens batches of packets (RFC 4301 section 5, RFC 4303): the implementation of
// interface.hpp on intel-ipsec-mb. Works in bursts of kBurst.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/ipsec/error.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/policy_hits.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"

namespace homeport::ipsec {

/// Each packet reads it, so nothing that anybody writes is beside it.
class alignas(kCacheLine) EspEngine final : public Processor {
  public:
    static constexpr std::size_t kBurst = 64;

    /// Databases must outlive the engine. Takes the architecture of `sad`, and a random key for IVs
    /// from the operating system. `worker`: whose engine this is; it seals by SAs of this owner
    /// alone, as sequence numbers have one writer. Nothing: by all, there is no other engine.
    [[nodiscard]] static Result<std::unique_ptr<EspEngine>> create(
        const SecurityPolicyDatabase& spd, const SecurityAssociationDatabase& sad,
        std::optional<std::uint8_t> worker = std::nullopt);
    ~EspEngine() override;
    EspEngine(const EspEngine&) = delete;
    EspEngine& operator=(const EspEngine&) = delete;

    void outbound(std::span<Packet* const> packets, std::span<Verdict> verdicts) override;
    void inbound(std::span<Packet* const> packets, std::span<Verdict> verdicts) override;
    [[nodiscard]] Verdict inbound_policy_check(const Packet& packet) const override;
    [[nodiscard]] std::uint32_t mtu_for(const Packet& packet) const override;
    [[nodiscard]] std::optional<BypassEntry> bypasses_all(Family family,
                                                          std::uint8_t protocol) const override;
    void count_bypassed(BypassEntry entry, std::uint64_t packets, std::uint64_t octets) override;
    [[nodiscard]] std::optional<std::uint8_t> outbound_owner(const Packet& packet) const override;
    [[nodiscard]] std::optional<std::uint8_t> inbound_owner(const Packet& packet) const override;

    /// Packets that got this verdict from this engine. Any thread.
    [[nodiscard]] std::uint64_t count(Verdict verdict) const;

    /// Packets that the entry `id` of the SPD decided about, with their octets without ESP: sealed
    /// or opened by its SAs, or passed or discarded by it. Any thread.
    [[nodiscard]] PolicyHits::Count hits(Direction direction, PolicyId id) const;

    /// Takes the oldest lifetime event. Any one thread. False if there is none.
    bool next_event(LifetimeEvent& event);

  private:
    struct State;
    explicit EspEngine(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};
static_assert(kFillsLines<EspEngine>);

}  // namespace homeport::ipsec
