// SPDX-License-Identifier: BSD-3-Clause
// The unit of every lifetime and refresh interval in a mobility header: 4 seconds (RFC 6275 6.1.7).
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>

namespace homeport::wire {

struct FourSecondUnits {
    std::uint16_t value = 0;

    friend auto operator<=>(const FourSecondUnits&, const FourSecondUnits&) = default;

    [[nodiscard]] constexpr std::chrono::seconds seconds() const {
        return std::chrono::seconds{std::int64_t{value} * 4};
    }
    /// The whole units in `duration`: the two low bits dropped, held within 0..65535.
    template <class Rep, class Period>
    [[nodiscard]] static constexpr FourSecondUnits floor(
        std::chrono::duration<Rep, Period> duration) {
        const auto whole = std::chrono::floor<std::chrono::seconds>(duration).count() / 4;
        return {static_cast<std::uint16_t>(std::clamp<std::int64_t>(whole, 0, 0xffff))};
    }
};

}  // namespace homeport::wire
