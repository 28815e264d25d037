// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/reachability.hpp"

#include <algorithm>

namespace homeport::mobile_node {

void Reachability::note_silent(const mip6::CareOf& care_of, TimePoint now) {
    Silence& silence = silences_[care_of.home_agent()];
    silence.until = now + first_rest_ * (1u << std::min(silence.times, kMostDoublings));
    ++silence.times;
}

void Reachability::note_answer(const mip6::CareOf& care_of) {
    silences_.erase(care_of.home_agent());
}

bool Reachability::expire(TimePoint now) {
    bool any = false;
    for (auto& [home_agent, silence] : silences_) {
        if (!silence.until || *silence.until > now) continue;
        silence.until.reset();
        any = true;
    }
    return any;
}

std::optional<Reachability::TimePoint> Reachability::next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto& [home_agent, silence] : silences_) {
        if (silence.until && (!next || *silence.until < *next)) next = silence.until;
    }
    return next;
}

bool Reachability::is_silent(const mip6::CareOf& care_of) const {
    const auto it = silences_.find(care_of.home_agent());
    return it != silences_.end() && it->second.until.has_value();
}

void Reachability::apply(SelectionRules& rules) const {
    rules.silent = is_silent(mip6::CareOf{});
    rules.silent4.clear();
    for (const auto& [home_agent, silence] : silences_) {
        if (silence.until && !home_agent.is_unspecified()) rules.silent4.push_back(home_agent);
    }
}

}  // namespace homeport::mobile_node
