// SPDX-License-Identifier: BSD-3-Clause
// The other end of the status socket.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

/// The one line of the reply of `program`, which serves `socket`; nothing: said why.
[[nodiscard]] std::optional<std::string> ask(const std::string& socket, const std::string& request,
                                             std::string_view program = "homeport-mn");

/// `homeport-mn status`: prints the state; the exit status.
[[nodiscard]] int show_status(const std::string& socket, bool json);
/// `homeport-mn solicit-prefixes`: has it ask the home agent; the exit status.
[[nodiscard]] int solicit_prefixes(const std::string& socket);
/// `homeport-mn watch`: prints events until the mobile node ends or a signal comes.
[[nodiscard]] int watch(const std::string& socket, bool json);

}  // namespace homeport::mobile_node
