// SPDX-License-Identifier: BSD-3-Clause
// The stages of the data plane, all of them (DESIGN 3).
#pragma once

#include <span>

#include "dataplane/stage/stage.hpp"

namespace homeport::core {

[[nodiscard]] std::span<const stage::StageDescription> all_stages();

}  // namespace homeport::core
