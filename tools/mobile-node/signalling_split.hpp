// SPDX-License-Identifier: BSD-3-Clause
// Tells binding updates, prefix solicitations and data apart behind IPsec, by the SPI alone
// (S1.43):
//
// * api: IPsec tells the SPIs of its signalling entries (S1.44), asked again when its databases
// have
//   changed and never per packet (S1.45).
// * heuristic: the state table S1-B (S1.46 to S1.48).
//
// Use: arm() before a message goes into IPsec, then classify() each ESP packet that comes out.
// While armed() no other message of the protocol may be sent (S1.47, rule 3): only the heuristic is
// ever armed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "dataplane/ipsec/queries.hpp"
#include "dataplane/tunnel/spi_heuristic.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/counters.hpp"

namespace homeport::mobile_node {

class SignallingSplit {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    enum class Kind : std::uint8_t { kData, kBindingUpdate, kPrefixSolicitation };

    /// References must outlive it.
    SignallingSplit(const SplitConfig& config, const ipsec::Queries& queries, Counters& counters);

    /// A message of `kind`, not kData, goes into IPsec.
    void arm(Kind kind, TimePoint now);
    /// It came out unsealed, or not at all.
    void disarm(Kind kind);
    /// What an ESP packet with `spi` to the home agent is.
    [[nodiscard]] Kind classify(std::uint32_t spi, TimePoint now);
    /// The last binding update had a valid acknowledgement; the last solicitation an advertisement.
    void confirm(Kind kind);
    /// Closes windows whose time is over.
    void expire(TimePoint now);
    /// When expire() has something to do.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] bool armed() const { return updates_.armed() || solicitations_.armed(); }
    /// Whether an inbound SPI carries acknowledgements (S1.49): display only.
    [[nodiscard]] std::uint32_t update_spi() const { return updates_.signalling_spi(); }

  private:
    [[nodiscard]] Kind ask(std::uint32_t spi);
    [[nodiscard]] tunnel::SpiHeuristic& heuristic_of(Kind kind) {
        return kind == Kind::kBindingUpdate ? updates_ : solicitations_;
    }
    void note(const tunnel::SpiHeuristic::Seen& seen);

    bool heuristic_;
    tunnel::SpiHeuristic::Limits limits_;  // ticks are nanoseconds
    const ipsec::Queries& queries_;
    Counters& counters_;
    std::optional<std::uint64_t> generation_;
    ipsec::SpiAnswers update_spis_;
    ipsec::SpiAnswers solicitation_spis_;
    tunnel::SpiHeuristic updates_;
    tunnel::SpiHeuristic solicitations_;
    TimePoint deadline_{};
};

}  // namespace homeport::mobile_node
