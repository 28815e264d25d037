// SPDX-License-Identifier: BSD-3-Clause
// Documents made of the command specifications: the reference, the manual page, bash completion.
#pragma once

#include <string>
#include <vector>

#include "controlplane/management/command_spec.hpp"

namespace homeport::hactl {

using Specs = std::vector<management::CommandSpec>;

/// docs/commands.md
[[nodiscard]] std::string commands_markdown(const Specs& specs);
/// hactl(1), in the man macros of groff
[[nodiscard]] std::string manual_page(const Specs& specs);
/// For `source <(hactl completion bash)`.
[[nodiscard]] std::string bash_completion(const Specs& specs);

/// "--replay-window": the option of an argument that is not positional.
[[nodiscard]] std::string option_of(const management::ArgumentSpec& argument);

/// "show bindings [FILTER] [--limit N]"
[[nodiscard]] std::string synopsis(const management::CommandSpec& spec);

}  // namespace homeport::hactl
