// SPDX-License-Identifier: BSD-3-Clause
// The data plane's statistics region as replies: for the control plane's commands, and for hactl
// when it reads the region itself because the control plane is down.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>

#include "dataplane/channel/messages.hpp"
#include "dataplane/channel/statistics_reader.hpp"

namespace homeport::management {

/// `show stages`; nothing if there is no such worker.
[[nodiscard]] std::optional<nlohmann::json> stages_view(const channel::StatisticsReader& reader,
                                                        std::optional<std::uint32_t> worker,
                                                        bool with_edges);

/// `show drops`, without what the control plane counts. Counters are read one after the other while
/// packets pass: reads again, a few times within some milliseconds, if the sum does not hold.
[[nodiscard]] nlohmann::json drops_view(const channel::StatisticsReader& reader, bool all);

/// `show ports`. What the region does not know (names, MAC, link) comes from `ports`, which may be
/// empty.
[[nodiscard]] nlohmann::json ports_view(const channel::StatisticsReader& reader,
                                        std::span<const channel::PortInfo> ports);

/// `show flow`: rules of `port` (empty: of all) in `state` (empty: in any).
[[nodiscard]] nlohmann::json flow_view(std::span<const channel::FlowRuleInfo> rules,
                                       std::span<const channel::PortInfo> ports,
                                       std::string_view port, std::string_view state);

/// `show adjacencies`.
[[nodiscard]] nlohmann::json adjacencies_view(const channel::StatisticsReader& reader,
                                              std::span<const channel::PortInfo> ports,
                                              std::size_t limit);

/// The data plane's part of `show status`.
[[nodiscard]] nlohmann::json data_plane_view(const channel::StatisticsReader& reader);

/// "home0", or "port 3" for one that is not in the list.
[[nodiscard]] std::string port_name(std::span<const channel::PortInfo> ports, std::uint16_t port);

/// Text of an address of either family; empty for none.
[[nodiscard]] std::string to_text(const channel::WireAddress& address);

}  // namespace homeport::management
