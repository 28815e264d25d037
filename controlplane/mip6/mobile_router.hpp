// SPDX-License-Identifier: BSD-3-Clause
// What makes a mobile node a mobile router (RFC 3963 section 5; IPv4: RFC 5555 section 3.1.1): what
// its binding updates say, and what answers mean. Pure, like MobileNode, which uses it.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

/// RFC 3963 section 5.2: who says which prefixes there are. IPv4 prefixes are always named: RFC
/// 5555 knows no implicit mode.
enum class MobileRouterMode : std::uint8_t {
    kOff,       // a mobile node
    kImplicit,  // the home agent knows them
    kExplicit,  // each registration names them
};
[[nodiscard]] const char* to_string(MobileRouterMode mode);

struct MobileRouterConfig {
    MobileRouterMode mode = MobileRouterMode::kOff;
    std::vector<Ipv6Prefix> prefixes{};  // masked
    std::vector<Ipv4Prefix> ipv4_prefixes{};

    [[nodiscard]] bool is_on() const { return mode != MobileRouterMode::kOff; }
    friend bool operator==(const MobileRouterConfig&, const MobileRouterConfig&) = default;
};

/// Flag R, and, in one that registers, the prefixes.
void describe_networks(const MobileRouterConfig& router, bool registers,
                       wire::BindingUpdate& update);

/// The IPv4 prefixes that the home agent accepted, of those that are configured.
[[nodiscard]] std::vector<Ipv4Prefix> served_networks(const MobileRouterConfig& router,
                                                      const wire::BindingAcknowledgement& answer);

}  // namespace homeport::mip6
