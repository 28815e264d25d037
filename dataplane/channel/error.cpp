// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/error.hpp"

#include <cstring>

namespace homeport::channel {

Error system_error(std::string_view what, int number) {
    char buffer[128];
    // The GNU variant: returns the text, which need not be in the buffer.
    const char* cause = strerror_r(number, buffer, sizeof buffer);
    return {ErrorCode::kSystem, std::string(what) + ": " + cause};
}

}  // namespace homeport::channel
