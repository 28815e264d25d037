// SPDX-License-Identifier: BSD-3-Clause
// Where the mobile node could be attached, best first: the choice of the care-of address.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

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
};

struct Candidate {
    int interface = 0;
    std::string name;
    bool at_home = false;
    Ipv6Address care_of_address;                           // the home address when at home
    std::optional<std::chrono::seconds> address_lifetime;  // none: infinite
    unsigned mtu = 1500;

    friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// All usable attachments. A link counts when it is running and has a usable global address and a
/// route to the home agent; it is the home link when the home prefix is on it (RFC 6275 11.5.5).
/// Order: addresses that are not deprecated first; then the order of `interfaces`, or without one
/// the home link, then the metric of the route to the home agent; then `current`, so that nothing
/// moves without need; then lasting addresses before temporary ones.
[[nodiscard]] std::vector<Candidate> find_candidates(const LinkTable& table,
                                                     const SelectionRules& rules,
                                                     const std::optional<Candidate>& current);

}  // namespace homeport::mobile_node
