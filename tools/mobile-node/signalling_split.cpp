// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/signalling_split.hpp"

#include "controlplane/ipsec/policy_table.hpp"

namespace homeport::mobile_node {

namespace {

std::uint64_t ticks(SignallingSplit::TimePoint now) {
    return static_cast<std::uint64_t>(now.time_since_epoch().count());
}

}  // namespace

SignallingSplit::SignallingSplit(const SplitConfig& config, const ipsec::Queries& queries,
                                 Counters& counters)
    : heuristic_(config.technique == config::Technique::kHeuristic),
      queries_(queries),
      counters_(counters) {
    const TimePoint::duration timeout = std::chrono::milliseconds{config.bu_heur_timeout};
    limits_.timeout = static_cast<std::uint64_t>(timeout.count());
    limits_.min_packets = config.bu_heur_min_pkts;
}

void SignallingSplit::arm(Kind kind, TimePoint now) {
    if (!heuristic_) return;
    if (heuristic_of(kind).arm(ticks(now), limits_)) counters_.add(Counter::kHeuristicTimeout);
    deadline_ = now + TimePoint::duration{static_cast<std::int64_t>(limits_.timeout)};
}

void SignallingSplit::disarm(Kind kind) {
    heuristic_of(kind).disarm();
}

SignallingSplit::Kind SignallingSplit::classify(std::uint32_t spi, TimePoint now) {
    if (!heuristic_) return ask(spi);
    const auto update = updates_.packet(spi, ticks(now), limits_);
    note(update);
    if (update.signalling) return Kind::kBindingUpdate;
    // An update is never taken for a solicitation, nor the other way round: one of them at most is
    // armed, and each has its own SPI.
    const auto solicitation = solicitations_.packet(spi, ticks(now), limits_);
    note(solicitation);
    return solicitation.signalling ? Kind::kPrefixSolicitation : Kind::kData;
}

SignallingSplit::Kind SignallingSplit::ask(std::uint32_t spi) {
    const std::uint64_t generation = queries_.generation();
    if (generation_ != generation) {
        const auto spis_of = [&](sa::TableEntry entry) {
            return queries_.spi_for_policy(sa::policy_id(entry), std::nullopt);
        };
        update_spis_ = spis_of(sa::TableEntry::kBindingUpdate);
        solicitation_spis_ = spis_of(sa::TableEntry::kPrefixDiscovery);
        generation_ = generation;
    }
    if (update_spis_.contains(ipsec::Spi{spi})) return Kind::kBindingUpdate;
    if (solicitation_spis_.contains(ipsec::Spi{spi})) return Kind::kPrefixSolicitation;
    return Kind::kData;
}

void SignallingSplit::note(const tunnel::SpiHeuristic::Seen& seen) {
    if (seen.timeout) counters_.add(Counter::kHeuristicTimeout);
    if (seen.mismatch) counters_.add(Counter::kHeuristicMismatch);
}

void SignallingSplit::confirm(Kind kind) {
    heuristic_of(kind).confirm();
}

void SignallingSplit::expire(TimePoint now) {
    if (updates_.expire(ticks(now))) counters_.add(Counter::kHeuristicTimeout);
    if (solicitations_.expire(ticks(now))) counters_.add(Counter::kHeuristicTimeout);
}

std::optional<SignallingSplit::TimePoint> SignallingSplit::next_deadline() const {
    return armed() ? std::optional(deadline_) : std::nullopt;
}

}  // namespace homeport::mobile_node
