// SPDX-License-Identifier: BSD-3-Clause
// Policies of the VPN gateway (S2.89 to S2.91a): what its clients may talk to goes through their
// SAs, in both directions, and nothing else passes between them and us.
#pragma once

#include <cstddef>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"
#include "dataplane/ipsec/policy.hpp"

namespace homeport::sa {

/// What clients may talk to: the networks of the configuration and, so that they can register and
/// have their tunnels there (S2.89, S2.90a), the internal home agents. Everything, if no network is
/// configured.
[[nodiscard]] std::vector<ipsec::AddressRange> vpn_networks(
    const config::ControlplaneConfig& config);

/// For each stretch of successive inner addresses one entry a network, and one that discards the
/// rest. They stand before all others. Empty: there is no VPN gateway.
[[nodiscard]] std::vector<ipsec::PolicyEntry> vpn_policies(
    const config::ControlplaneConfig& config);

/// How many entries of one kind there would be; the table takes kMaxIndex + 1.
[[nodiscard]] std::size_t vpn_policy_count(const config::ControlplaneConfig& config);

/// Of the entry that a client's SA is for first, and those that it belongs to beside it.
struct VpnPolicyUse {
    ipsec::PolicyId first = 0;
    std::vector<channel::SaNetwork> others;
};
[[nodiscard]] VpnPolicyUse vpn_policies_of(const std::vector<ipsec::PolicyEntry>& policies,
                                           const Ipv4Address& inner);

}  // namespace homeport::sa
