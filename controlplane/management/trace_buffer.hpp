// SPDX-License-Identifier: BSD-3-Clause
// Steps of traced packets, as the data plane reported them; bounded.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/channel/messages.hpp"

namespace homeport::management {

class TraceBuffer {
  public:
    static constexpr std::size_t kMostSteps = 20000;

    void clear() {
        steps_.clear();
        lost_ = 0;
    }
    void add(const channel::Trace& step) {
        if (steps_.size() < kMostSteps) {
            steps_.push_back(step);
        } else {
            ++lost_;
        }
    }
    /// In the order of arrival; those of one packet may lie apart.
    [[nodiscard]] const std::vector<channel::Trace>& steps() const { return steps_; }
    [[nodiscard]] std::uint64_t lost() const { return lost_; }

  private:
    std::vector<channel::Trace> steps_;
    std::uint64_t lost_ = 0;
};

}  // namespace homeport::management
