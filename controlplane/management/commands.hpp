// SPDX-License-Identifier: BSD-3-Clause
// The commands behind hactl: what the specifications in commands/ say.
#pragma once

#include "controlplane/management/appliance.hpp"
#include "controlplane/management/dispatcher.hpp"

namespace homeport::management {

/// Registers every command; `appliance` must outlive the dispatcher.
void register_commands(Dispatcher& dispatcher, Appliance& appliance);

// The parts of it, one file each.
void register_binding_commands(Dispatcher& dispatcher, Appliance& appliance);
void register_mip4_commands(Dispatcher& dispatcher, Appliance& appliance);
void register_security_commands(Dispatcher& dispatcher, Appliance& appliance);
void register_data_plane_commands(Dispatcher& dispatcher, Appliance& appliance);
void register_trace_commands(Dispatcher& dispatcher, Appliance& appliance);
void register_config_commands(Dispatcher& dispatcher, Appliance& appliance);

}  // namespace homeport::management
