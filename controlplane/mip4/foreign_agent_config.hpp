// SPDX-License-Identifier: BSD-3-Clause
// What a foreign agent must be told. Plain data: reading and checking homeport-fa.yaml is done
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip4/authenticator.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip4 {

enum class ReverseTunnelPolicy : std::uint8_t { kUnavailable, kAvailable, kMandatory };

/// Whether a UDP tunnel is asked for on behalf of visitors (RFC 3519 section 4.5).
enum class ForeignUdpPolicy : std::uint8_t {
    kNever,
    kWhereNeeded,  // where the home agent sees a NAT
    kForced,       // flag F
};

struct ForeignAgentConfig {
    /// Ours, one a visited link; requests and packets name the link by its place here.
    std::vector<Ipv4Address> link_addresses{};
    std::vector<Ipv4Address> care_of_addresses{};  // at least one
    /// All unicast addresses of this host, for code 194.
    std::vector<Ipv4Address> own_addresses{};

    std::uint16_t max_lifetime = 600;  // seconds; 0xffff: any
    bool gre = true;
    bool minimal = true;
    ReverseTunnelPolicy reverse_tunnel = ReverseTunnelPolicy::kAvailable;
    bool encapsulating_delivery = true;  // else 79
    bool co_located = true;              // relays also for co-located care-of addresses; else 65
    ForeignUdpPolicy udp = ForeignUdpPolicy::kNever;
    std::chrono::seconds keepalive{110};  // where the home agent names none (RFC 3519 section 4.9)

    std::vector<Ipv4Prefix> home_agents{};  // that may be registered with; none: all
    std::size_t max_visitors = 256;
    std::size_t max_pending = 64;
    std::size_t max_pending_of_node = 8;           // by link address
    std::chrono::seconds registration_timeout{7};  // RFC 5944 section 3.7.1
    bool revocation = true;                        // RFC 3543, with home agents that share keys
    bool notify_visitors = true;                   // of revocations: sequence number 0

    /// Keys that are shared with home agents (34); the first of an address seals what we send.
    struct HomeAgentKey {
        Ipv4Address address{};
        SecurityAssociation association{};
    };
    std::vector<HomeAgentKey> home_agent_keys{};
    /// Keys that are shared with mobile nodes (33).
    struct MobileNodeKey {
        std::optional<Ipv4Address> home_address{};  // or else
        std::string nai{};
        SecurityAssociation association{};
    };
    std::vector<MobileNodeKey> mobile_node_keys{};
};

}  // namespace homeport::mip4
