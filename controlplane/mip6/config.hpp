// SPDX-License-Identifier: BSD-3-Clause
// What a home agent must be told. Plain data: reading and checking homeport.yaml is done elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/binding/cache.hpp"
#include "controlplane/wire/units.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

using binding::Duration;
using binding::TimePoint;

/// A prefix that holds home addresses.
struct HomePrefix {
    Ipv6Prefix prefix{};
    /// No link behind it: no duplicate address detection and no neighbor discovery.
    bool is_virtual = true;
    /// Port of the real home link.
    std::uint16_t port = 0;
    /// Ends of the prefix's lifetimes; none: infinite.
    std::optional<TimePoint> valid_until{};
    std::optional<TimePoint> preferred_until{};
};

/// A mobile node that is known by name.
struct MobileNodePolicy {
    std::string identity{};
    std::vector<Ipv6Address> home_addresses{};
    bool prohibited = false;  // status 129
    /// It is being moved to another home agent: no extension of its binding (RFC 5142 5.3).
    bool switching_away = false;
    /// Its SAs were made by an IKE that can follow the care-of address. False with static keys.
    bool ike_moves_endpoint = false;
    bool mobile_router = false;  // may set R
    /// Prefixes that it may name, and that implicit mode gives it.
    std::vector<Ipv6Prefix> mobile_prefixes{};
    bool ipv4_home_prohibited = false;
    /// Its static IPv4 home address (RFC 5555): bound when a Binding Update asks for it.
    std::optional<Ipv4Address> ipv4_home_address{};
};

/// Whether `named` is one of the node's prefixes, or inside one (RFC 3963 section 6.2).
[[nodiscard]] inline bool owns(const MobileNodePolicy& node, const Ipv6Prefix& named) {
    for (const Ipv6Prefix& owned : node.mobile_prefixes) {
        if (owned.length <= named.length && owned.contains(named.address)) return true;
    }
    return false;
}

/// Tokens per second and the depth of the bucket.
struct RateLimit {
    double per_second = 0;
    double burst = 0;
};

/// Another home agent of the home link, for address discovery (RFC 6275 10.5).
struct OtherHomeAgent {
    Ipv6Address address{};
    std::uint16_t preference = 0;
    bool mobile_routers = false;
};

struct HomeAgentConfig {
    bool enabled = true;  // false: status 131
    /// Our addresses that mobile nodes register with. The first is the preferred one.
    std::vector<Ipv6Address> home_agent_addresses{};
    std::vector<HomePrefix> home_prefixes{};
    std::vector<MobileNodePolicy> nodes{};
    /// Serve home addresses of the home prefixes that no entry of `nodes` names; else status 129.
    bool accept_unknown_nodes = false;

    /// Lab switch: take binding updates that IPsec did not protect.
    bool allow_unprotected = false;

    std::chrono::seconds max_lifetime{420};  // at least 4 s
    std::chrono::seconds delete_wait{10};    // MAX_DELETE_BCE_TIMEOUT
    /// Without a verdict of duplicate address detection in this time the registration is forgotten.
    std::chrono::seconds dad_patience{5};
    /// Repeats of the unsolicited neighbor advertisement, one second apart (1 to 3 in all).
    unsigned neighbor_advertisements = 3;

    /// Binding Refresh Advice in acknowledgements. Must stay off while bindings are persistent.
    std::optional<wire::FourSecondUnits> refresh_advice{};
    bool persistent_bindings = true;

    bool mobile_router_service = false;  // RFC 3963
    bool accept_force_udp = false;       // RFC 5555

    std::vector<Ipv6Prefix> coa_deny{};  // status 174

    binding::Limits limits{};
    RateLimit bu_rate_node{5, 10};
    RateLimit bu_rate_all{10'000, 20'000};
    RateLimit binding_error_rate{10, 20};
    RateLimit icmp_rate{10, 20};
    RateLimit dhaad_rate{10, 20};

    // MinMobPfxAdvInterval and MaxMobPfxAdvInterval.
    std::chrono::seconds min_prefix_advertisement_interval{600};
    std::chrono::seconds max_prefix_advertisement_interval{86'400};

    std::uint16_t dhaad_preference = 0;
    std::vector<OtherHomeAgent> other_home_agents{};
};

}  // namespace homeport::mip6
