// SPDX-License-Identifier: BSD-3-Clause
// What a home agent keeps over a restart, as octets: bindings of a home address, and what is known
// of the identification of a security association. Times are wall-clock milliseconds since 1970.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controlplane/mip4/actions.hpp"

namespace homeport::mip4 {

/// The two clocks at one moment.
struct Clocks {
    TimePoint steady{};
    std::chrono::system_clock::time_point wall{};
};

/// Under what name something is kept; `agent` is the home agent's, of those of one process.
[[nodiscard]] std::string record_key(std::string_view agent, const BoundNode& node);
[[nodiscard]] std::string record_key(std::string_view agent, const PersistIdentification& state);

[[nodiscard]] std::vector<std::uint8_t> to_record(const BoundNode& node, const Clocks& clocks);
[[nodiscard]] std::vector<std::uint8_t> to_record(const PersistIdentification& state);

/// What was kept, and of which home agent. Nothing: the record makes no sense.
struct Kept {
    std::string agent{};
    std::variant<BoundNode, PersistIdentification> what{};
};
[[nodiscard]] std::optional<Kept> from_record(std::string_view key, ConstByteSpan record,
                                              const Clocks& clocks);

}  // namespace homeport::mip4
