// SPDX-License-Identifier: BSD-3-Clause
// The check of what is kept in files: CRC-32C (Castagnoli), in software.
#pragma once

#include <cstdint>

#include "dataplane/base/byte_order.hpp"

namespace homeport::binding {

[[nodiscard]] std::uint32_t crc32c(ConstByteSpan bytes);

}  // namespace homeport::binding
