// SPDX-License-Identifier: BSD-3-Clause
// The two questions that others may ask IPsec, and a generation counter (requirement S1.7). Both
// are what RFC 4301 section 4.4.2 obliges the databases to know: outbound SAs are pointed to by
// SPD-S cache entries, and inbound SAs hold their negotiated selectors. Nothing here changes
// anything.
//
// Use: from any thread that also runs a Processor. Answers are values; a caller that keeps one asks
// again when generation() has changed. DatabaseQueries answers from SPD and SAD of this room.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/ipsec/policy.hpp"
#include "dataplane/ipsec/selector.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::ipsec {

/// One outbound SA.
struct SpiAnswer {
    Spi spi;
    Mode mode = Mode::kTransport;
    std::uint64_t generation = 0;  ///< of the database when this SA was added
};

/// Newest first. During a rekey the old SAs answer too.
struct SpiAnswers {
    static constexpr std::size_t kCapacity = 4;
    std::array<SpiAnswer, kCapacity> answers;
    std::size_t count = 0;

    [[nodiscard]] std::span<const SpiAnswer> view() const { return {answers.data(), count}; }
    [[nodiscard]] bool contains(Spi spi) const {
        return std::ranges::any_of(view(),
                                   [spi](const SpiAnswer& answer) { return answer.spi == spi; });
    }
};

/// A packet as the selectors see it, for a query before there is a packet.
struct SelectorTuple {
    IpAddress local;
    IpAddress remote;
    std::uint8_t protocol = 0;
    std::uint16_t local_value = 0;   ///< port, ICMP type * 256 + code, or MH type
    std::uint16_t remote_value = 0;  ///< ports only; ICMP and MH have one value
};

/// The first (usually the only) selector set of an inbound SA, seen from our side.
struct SelectorAnswer {
    static constexpr std::size_t kMaxRanges = 8;
    PolicyId policy = kNominalDiscard;  ///< kNominalDiscard: bound to no entry
    Mode mode = Mode::kTransport;
    std::optional<AddressRange> local;   ///< nothing: any, or more than one range
    std::optional<AddressRange> remote;  ///< nothing: any, or more than one range
    ProtocolSelector protocol;
    ValueSelector::Kind remote_kind = ValueSelector::Kind::kAny;
    std::array<ValueRange, kMaxRanges> remote_values;  ///< what may be received
    std::size_t remote_value_count = 0;

    /// Whether the SA may carry `value` (MH type, ICMP type * 256 + code, source port) towards us.
    [[nodiscard]] bool may_receive(std::uint16_t value) const {
        if (remote_kind == ValueSelector::Kind::kAny) return true;
        return std::any_of(remote_values.begin(), remote_values.begin() + remote_value_count,
                           [value](const ValueRange& range) {
                               return range.first <= value && value <= range.last;
                           });
    }
    /// The remote address if the selector is a single one.
    [[nodiscard]] std::optional<IpAddress> remote_address() const {
        if (!remote || remote->first != remote->last) return std::nullopt;
        return remote->first;
    }
};

/// All functions are const, answer in constant time and change nothing (S1.81).
class Queries {
  public:
    virtual ~Queries() = default;

    /// Outbound SAs of an entry; `remote` for an entry with populate_remote.
    [[nodiscard]] virtual SpiAnswers spi_for_policy(
        PolicyId policy, const std::optional<IpAddress>& remote) const = 0;
    /// Outbound SAs that a packet like `tuple` takes; none if it is not to be protected.
    [[nodiscard]] virtual SpiAnswers spi_for_policy(const SelectorTuple& tuple) const = 0;
    /// Nothing if no inbound SA has this SPI.
    [[nodiscard]] virtual std::optional<SelectorAnswer> selectors_for_spi(Spi spi) const = 0;
    /// The same about up to 64 SPIs at once, and of the answers only the remote address of tunnel
    /// mode SAs whose selector has a single one: remotes[i] is that of spis[i].
    virtual void selectors_for_spi(std::span<const Spi> spis,
                                   std::optional<Ipv6Address>* remotes) const = 0;
    /// Grows with each change of SAs or policies.
    [[nodiscard]] virtual std::uint64_t generation() const = 0;
};

/// The same question about many SPIs, one after the other: for implementations that know no faster
/// way.
inline void ask_one_by_one(const Queries& queries, std::span<const Spi> spis,
                           std::optional<Ipv6Address>* remotes) {
    for (std::size_t i = 0; i < spis.size(); ++i) {
        remotes[i].reset();
        const auto selectors = queries.selectors_for_spi(spis[i]);
        if (!selectors || selectors->mode != Mode::kTunnel) continue;
        const auto remote = selectors->remote_address();
        if (!remote) continue;
        if (const auto* v6 = std::get_if<Ipv6Address>(&*remote)) remotes[i] = *v6;
    }
}

}  // namespace homeport::ipsec
