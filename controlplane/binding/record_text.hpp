// SPDX-License-Identifier: BSD-3-Clause
// Text forms of the lists in a stored binding, so that the file can be read with any SQLite tool.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/binding/entry.hpp"

namespace homeport::binding {

/// "2001:db8:1::/48 2001:db8:2::/48".
[[nodiscard]] std::string to_text(const std::vector<Ipv6Prefix>& prefixes);
[[nodiscard]] std::optional<std::vector<Ipv6Prefix>> ipv6_prefixes_from(std::string_view text);

/// "192.0.2.7/32 static 198.51.100.0/29 dynamic".
[[nodiscard]] std::string to_text(const std::vector<Ipv4Home>& homes);
[[nodiscard]] std::optional<std::vector<Ipv4Home>> ipv4_homes_from(std::string_view text);

/// "192.0.2.7:4191".
[[nodiscard]] std::string to_text(const OuterSource& source);
[[nodiscard]] std::optional<OuterSource> outer_source_from(std::string_view text);

}  // namespace homeport::binding
