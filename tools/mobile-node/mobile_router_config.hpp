// SPDX-License-Identifier: BSD-3-Clause
// Section mobile_router of homeport-mn.yaml. For config.cpp alone.
#pragma once

#include "dataplane/config/reader.hpp"
#include "tools/mobile-node/config.hpp"

namespace homeport::mobile_node {

void read_mobile_router(config::Section section, MobileRouterConfig& out);
/// What no single key shows.
void check_mobile_router(const Config& config, config::Report& report);

}  // namespace homeport::mobile_node
