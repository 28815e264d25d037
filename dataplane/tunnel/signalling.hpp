// SPDX-License-Identifier: BSD-3-Clause
// Which SPD entries protect signalling of the home agent: table S1-SPD entries 2, 3 and 4b.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace homeport::tunnel {

/// Immutable once workers see it.
struct SignallingPolicies {
    static constexpr unsigned kMax = 1024;
    unsigned count = 0;
    std::array<std::uint16_t, kMax> ids{};  // ipsec::PolicyId

    [[nodiscard]] std::span<const std::uint16_t> view() const { return {ids.data(), count}; }
};

}  // namespace homeport::tunnel
