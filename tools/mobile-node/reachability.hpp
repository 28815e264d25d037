// SPDX-License-Identifier: BSD-3-Clause
// Which addresses of the home agent do not answer (RFC 5555 section 4.4.1, mipv6.md section 5.1):
// an address at which three binding updates in a row had no answer is silent, others are tried
// first. It rests for a while, longer each time, and is then tried again. That is remembered over
// movements: the node does not change the family back and forth with each of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "controlplane/mip6/care_of.hpp"
#include "tools/mobile-node/attachment.hpp"

namespace homeport::mobile_node {

class Reachability {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr unsigned kUnanswered = 3;  // binding updates
    static constexpr unsigned kMostDoublings = 4;

    explicit Reachability(std::chrono::seconds first_rest) : first_rest_(first_rest) {}

    /// The home agent address that goes with `care_of` does not answer.
    void note_silent(const mip6::CareOf& care_of, TimePoint now);
    void note_answer(const mip6::CareOf& care_of);
    /// Ends the rests whose time is over. True: something may be tried again.
    bool expire(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] bool is_silent(const mip6::CareOf& care_of) const;
    /// Fills in what the choice of an attachment wants to know.
    void apply(SelectionRules& rules) const;

  private:
    struct Silence {
        unsigned times = 0;
        std::optional<TimePoint> until;  // none: the rest is over
    };
    /// By home agent address; 0.0.0.0 stands for the IPv6 one. Bounded by the configuration.
    std::map<Ipv4Address, Silence> silences_;
    std::chrono::seconds first_rest_;
};

}  // namespace homeport::mobile_node
