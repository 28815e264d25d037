// SPDX-License-Identifier: BSD-3-Clause
// The networks behind a mobile router, as its packet paths ask for them (RFC 3963 section 5.5).
#pragma once

#include <algorithm>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::mobile_node {

struct MobileNetwork {
    std::vector<Ipv6Prefix> prefixes{};
    std::vector<Ipv4Prefix> ipv4_prefixes{};  // those that the home agent forwards

    [[nodiscard]] bool holds(const Ipv6Address& address) const {
        return std::ranges::any_of(prefixes,
                                   [&](const auto& one) { return one.contains(address); });
    }
    [[nodiscard]] bool holds(const Ipv4Address& address) const {
        return std::ranges::any_of(ipv4_prefixes,
                                   [&](const auto& one) { return one.contains(address); });
    }
};

}  // namespace homeport::mobile_node
