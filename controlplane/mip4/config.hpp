// SPDX-License-Identifier: BSD-3-Clause
// What a Mobile IPv4 home agent must be told. Plain data: reading and checking homeport.yaml is
// done elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip4/authenticator.hpp"
#include "controlplane/mip4/udp_decision.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip4 {

/// Part S2 of the requirements: i-HA and x-HA of RFC 5265, or neither.
enum class Role : std::uint8_t { kPlain, kInternal, kExternal };
/// S2.90 ff.: RFC 5265 trusts subnets and says so in its replies, the draft before it does not.
enum class Profile : std::uint8_t { kRfc5265, kDraft02 };

/// A prefix that home addresses come from.
struct HomeNetwork {
    Ipv4Prefix prefix{};
    bool is_virtual = true;  // no link behind it: no ARP
    std::uint16_t port = 0;  // of the real home link
    /// Addresses for nodes that ask for any: first to last, inside `prefix`. None: 0.0.0.0 both.
    Ipv4Address pool_first{};
    Ipv4Address pool_last{};
};

struct Node {
    std::string name{};
    std::optional<Ipv4Address> home_address{};  // none: from a pool
    std::string nai{};                          // RFC 2794; empty: none
    std::vector<SecurityAssociation> associations{};
    bool prohibited = false;  // code 129
};

/// A foreign agent that shares keys with us (RFC 5944 section 3.8.2.1).
struct ForeignAgent {
    Ipv4Address address{};
    std::vector<SecurityAssociation> associations{};
};

struct RateLimit {
    double per_second = 0;
    double burst = 0;
};

struct HomeAgentConfig {
    Role role = Role::kPlain;
    Profile profile = Profile::kRfc5265;
    /// Ours. The first answers requests that went to a broadcast address.
    std::vector<Ipv4Address> addresses{};
    std::vector<HomeNetwork> home_networks{};
    std::vector<Node> nodes{};
    std::vector<ForeignAgent> foreign_agents{};

    std::vector<Ipv4Prefix> trusted_subnets{};  // role kInternal, profile kRfc5265 (S2.90)

    std::chrono::seconds max_lifetime{600};
    std::chrono::seconds max_lifetime_nat{300};  // with UDP and keepalives
    unsigned simultaneous_bindings = 1;          // of one node; 1: flag S is not supported
    std::size_t max_bindings = 65536;
    bool reverse_tunnel_available = true;   // else 137
    bool reverse_tunnel_mandatory = false;  // else 138
    bool gre = true;
    bool minimal = true;
    UdpPolicy udp{};

    bool broadcasts = true;            // flag B is heeded
    bool revocation = true;            // RFC 3543
    bool inform_on_revocation = true;  // bit I, where the foreign agent offers it

    RateLimit failure_rate{10, 20};  // of answers to requests that failed authentication
    /// Of one node: registrations that it certainly made, and answers to what fails the check of
    /// the identification, which others may have recorded and sent again.
    RateLimit node_rate{5, 20};
    unsigned gratuitous_arps = 3;  // one second apart
};

}  // namespace homeport::mip4
