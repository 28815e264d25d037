// SPDX-License-Identifier: BSD-3-Clause
// Which instruction set intel-ipsec-mb uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace homeport::ipsec {

/// kAuto: the best that this machine has. A database and all engines on it use the same, because
/// expanded keys differ between them.
enum class CpuArchitecture : std::uint8_t { kAuto, kSse, kAvx, kAvx2, kAvx512 };

/// "auto", "sse", "avx", "avx2", "avx512".
[[nodiscard]] std::string_view name(CpuArchitecture architecture);
[[nodiscard]] std::optional<CpuArchitecture> parse_cpu_architecture(std::string_view text);

}  // namespace homeport::ipsec
