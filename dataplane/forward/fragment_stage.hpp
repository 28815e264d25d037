// SPDX-License-Identifier: BSD-3-Clause
// Where the pieces of a fragmented packet go: PacketMeta::reason before the fragment stage.
#pragma once

#include <cstdint>

namespace homeport::forward {

enum class PiecesGo : std::uint8_t {
    kByAdjacency,  // over `adjacency`; unresolved: to the kernel; none: to be routed
    kToKernel,     // to the exception TAP of `in_port`
};

}  // namespace homeport::forward
