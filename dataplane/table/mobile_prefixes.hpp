// SPDX-License-Identifier: BSD-3-Clause
// Mobile network prefixes (RFC 3963; IPv4: RFC 5555 section 3.1.1, flag P): what is behind mobile
// routers, and whose binding leads there.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/table/prefix_table.hpp"

namespace homeport::table {

/// It names the binding by its home address and not by its slot: a binding changes its slot with
/// each change, and no reader may ever follow an old one.
struct alignas(64) MobilePrefix {
    Ipv6Address prefix;        // masked; v4-mapped for IPv4
    Ipv6Address home_address;  // key of the binding
    std::uint8_t length;       // of 128 bits
    std::uint8_t reserved[31];
};
static_assert(sizeof(MobilePrefix) == 64);

using MobilePrefixTable = PrefixTable<MobilePrefix>;

}  // namespace homeport::table
