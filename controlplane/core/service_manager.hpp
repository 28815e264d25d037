// SPDX-License-Identifier: BSD-3-Clause
// sd_notify(3) without its library.
#pragma once

#include <string_view>

namespace homeport::core {

/// Sends `state` ("READY=1") to the socket in $NOTIFY_SOCKET; does nothing without one.
void notify_service_manager(std::string_view state);

}  // namespace homeport::core
