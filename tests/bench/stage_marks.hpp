// SPDX-License-Identifier: BSD-3-Clause
// Stages under names by which callgrind's output tells them apart: each runs inside a function
// mark<NUMBER>, NUMBER being its StageId.
#pragma once

#include <array>
#include <utility>

#include "dataplane/stage/stage.hpp"

namespace homeport::bench {

inline std::array<stage::StageFunction, stage::kStageCount> g_marked_stages{};

template <std::size_t kId>
[[gnu::noinline]] void mark(stage::Worker& worker, stage::Batch& in, stage::Edges& out) {
    g_marked_stages[kId](worker, in, out);
    // Nothing may become of this function but a call: without a jump the callee has a caller.
    asm volatile("" ::: "memory");
}

/// The same stage, called through mark<>.
inline stage::StageDescription marked(stage::StageDescription stage) {
    constexpr auto kMarks = []<std::size_t... kIds>(std::index_sequence<kIds...>) {
        return std::array<stage::StageFunction, sizeof...(kIds)>{mark<kIds>...};
    }(std::make_index_sequence<stage::kStageCount>());
    const auto id = static_cast<std::size_t>(stage.id);
    g_marked_stages[id] = stage.function;
    stage.function = kMarks[id];
    return stage;
}

}  // namespace homeport::bench
