// SPDX-License-Identifier: BSD-3-Clause
// Where the mobile node could be attached, best first: the choice of the care-of address.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip6/care_of.hpp"
#include "dataplane/base/address.hpp"
#include "tools/mobile-node/link_table.hpp"

namespace homeport::mobile_node {

struct SelectionRules {
    Ipv6Address home_address;
    Ipv6Prefix home_prefix;
    Ipv6Address home_agent;
    std::vector<std::string> interfaces;  // in order of preference; empty: all
    std::string home_interface;
    std::string tunnel;  // name of the TUN device, never an access interface

    std::vector<Ipv4Address> home_agents4{};  // in order of preference; empty: no IPv4
    std::optional<Ipv4Address> ipv4_home_address{};
    /// Home agent addresses that do not answer at present (reachability.hpp).
    bool silent = false;
    std::vector<Ipv4Address> silent4{};
};

struct Candidate {
    int interface = 0;
    std::string name;
    bool at_home = false;
    mip6::CareOf care_of_address;                          // the home address when at home
    std::optional<std::chrono::seconds> address_lifetime;  // none: infinite
    unsigned mtu = 1500;

    friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// All usable attachments. A link counts when it is running and has a usable global address and a
/// route to the home agent; it is the home link when the home prefix is on it (RFC 6275 11.5.5).
/// IPv4 addresses count once for each IPv4 address of the home agent, and never at home (RFC 5555
/// 4.4.4).
/// Order: home agent addresses that answer first; then addresses that are not deprecated; then the
/// order of `interfaces`, or without one the home link; then IPv6 before IPv4 (mipv6.md 5.1);
/// without `interfaces` the metric of the route to the home agent; then the order of
/// `home_agents4`; then `current`, so that nothing moves without need; then lasting addresses
/// before temporary ones.
[[nodiscard]] std::vector<Candidate> find_candidates(const LinkTable& table,
                                                     const SelectionRules& rules,
                                                     const std::optional<Candidate>& current);

}  // namespace homeport::mobile_node
