// SPDX-License-Identifier: BSD-3-Clause
// The log goes to standard error, one line an event.
#pragma once

#include "dataplane/config/config.hpp"

namespace homeport::mobile_node {

void start_log(config::LogLevel level);
void set_log_level(config::LogLevel level);

}  // namespace homeport::mobile_node
