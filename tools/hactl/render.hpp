// SPDX-License-Identifier: BSD-3-Clause
// The data of a reply as text for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace homeport::hactl {

/// `command` is the name of its specification; one without a table of its own is shown as nested
/// names and values. Ends with a line end unless there is nothing to say.
[[nodiscard]] std::string render(const std::string& command, const nlohmann::json& data);

}  // namespace homeport::hactl
