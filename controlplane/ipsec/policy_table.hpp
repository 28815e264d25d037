// SPDX-License-Identifier: BSD-3-Clause
// Table S1-SPD: the ordered, host-wide policies of a home agent, and their mirror image on a mobile
// node (requirements S1.30 to S1.37). Addresses are those of the normal form: the home address,
// never a care-of address.
//
// Use: home_agent_policies(...) or mobile_node_policies(...) gives the list to put in force.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/ipsec/policy.hpp"

namespace homeport::sa {

/// The entries of the table, in its order. Ids of entries are made of these: policy_id().
enum class TableEntry : std::uint8_t {
    kVpnClient = 0x08,  // the VPN gateway's, before all others: see vpn_policies.hpp
    kVpnOther = 0x09,
    kIkeLocal500 = 0x10,  // 1
    kIkeLocal4500,
    kUnprotectedNode = 0x18,      // lab: BU/BA of a node that has no SAs
    kBindingUpdate = 0x20,        // 2
    kPrefixDiscovery = 0x30,      // 3
    kReturnRoutability = 0x40,    // 4
    kCorrespondentMobile = 0x41,  // 4c: the mobile node is itself somebody's correspondent
    kRevocation = 0x48,           // 4b: BRI and BRA
    kHomeAgentSwitch,
    kRefreshRequest,
    kNeighborDiscovery = 0x50,  // 5
    kMulticastListener,
    kMulticastListenerV2,
    kHomeAgentDiscovery,
    kIcmpErrors,
    kBindingError,
    kCareOfTestOut,
    kCareOfTestIn,
    kCorrespondentUpdate,  // BU and BA between a mobile node and its correspondents
    kPayloadNetwork,       // 6, of networks behind mobile routers, which may be anywhere
    kPayloadNetworkIpv4,
    kOtherTraffic,  // whatever has no home address at the mobile node's end
    kOtherIpv4,
    kRouteOptimised,  // a mobile node's traffic with correspondents by the direct way (S1.36)
    kPayload = 0x60,  // 6
    kPayloadIpv4,     // 6, of the same mobile nodes: one SA carries both
    kDiscard = 0x70,  // 7
};

/// `index` tells apart the entries of several home links (or nodes, for kUnprotectedNode); at most
/// kMaxIndex. The id stays the same when other entries come or go.
inline constexpr std::size_t kMaxIndex = 511;
[[nodiscard]] constexpr ipsec::PolicyId policy_id(TableEntry entry, std::size_t index = 0) {
    return static_cast<ipsec::PolicyId>(static_cast<std::uint16_t>(entry) << 9 | (index & 511));
}
[[nodiscard]] constexpr TableEntry table_entry(ipsec::PolicyId id) {
    return static_cast<TableEntry>(id >> 9);
}
[[nodiscard]] constexpr std::size_t policy_index(ipsec::PolicyId id) {
    return id & kMaxIndex;
}
/// Entries 2 and 3: their SAs carry signalling, in transport mode.
[[nodiscard]] constexpr bool is_signalling(TableEntry entry) {
    return entry == TableEntry::kBindingUpdate || entry == TableEntry::kPrefixDiscovery;
}
/// Entries 4, 4c and 6: their SAs are tunnels between home agent and home address (S1.11). Those of
/// VPN clients are tunnels, too.
[[nodiscard]] constexpr bool is_tunnel(TableEntry entry) {
    return entry == TableEntry::kReturnRoutability || entry == TableEntry::kCorrespondentMobile ||
           entry == TableEntry::kPayload || entry == TableEntry::kVpnClient;
}

/// What one home link brings into the table.
struct ProtectedPrefix {
    Ipv6Address home_agent;
    ipsec::AddressRange home_addresses;  // IPv6
    std::optional<ipsec::AddressRange> ipv4_home_addresses{};
};

/// A network behind a mobile router (RFC 3963; RFC 5555 section 3.1.1, flag P), of either family.
struct MobileNetwork {
    ipsec::AddressRange addresses;
    Ipv6Address home_address;  ///< of the router
    Ipv6Address home_agent;    ///< that it registers with
};

struct PolicyOptions {
    /// Entry 6: ESP tunnel mode for payload, and for ICMP errors about it, which quote it (RFC 4301
    /// section 6.2); else bypass. Also off on a mobile node at home (S1.37).
    bool protect_payload = false;
    /// Entries 4 and 4c: ESP tunnel mode for return routability (RFC 4877 section 3: SHOULD); else
    /// bypass. Also off on a mobile node at home (S1.37).
    bool protect_return_routability = true;
    /// Mobile node only: correspondents that have its binding. Their traffic does not enter the
    /// tunnel; the entries stand right before entry 6 (S1.36). At most kMaxIndex + 1.
    std::vector<Ipv6Address> route_optimised{};
    /// Networks whose payload is protected where `protect_payload` is on; they do not meet. At most
    /// kMaxIndex + 1 of each family. The id of an entry is that of its place among its family.
    std::vector<MobileNetwork> mobile_networks{};
    /// Lab, mobile node only: binding updates without ESP.
    bool unprotected = false;
};

/// `prefixes` do not meet. `unprotected` are home addresses whose binding updates need no ESP, a
/// lab switch; at most kMaxIndex + 1 ranges, with the home agent that they register with.
[[nodiscard]] std::vector<ipsec::PolicyEntry> home_agent_policies(
    const std::vector<ProtectedPrefix>& prefixes,
    const std::vector<ProtectedPrefix>& unprotected = {}, const PolicyOptions& options = {});

/// The table of the mobile node `home_address`, registered with `home_agent`. An IPv4 home address
/// of 0.0.0.0 stands for one that is not known yet: the entry takes all.
[[nodiscard]] std::vector<ipsec::PolicyEntry> mobile_node_policies(
    const Ipv6Address& home_address, const Ipv6Address& home_agent,
    const PolicyOptions& options = {},
    const std::optional<Ipv4Address>& ipv4_home_address = std::nullopt);

/// The same policies as the mobile node `home_address` has them: local and remote swapped, tunnels
/// seen from the other end.
[[nodiscard]] std::vector<ipsec::PolicyEntry> mirror(
    const std::vector<ipsec::PolicyEntry>& home_agent_entries, const Ipv6Address& home_address);

/// Where two entries of the list do not stand in the order of table S1-SPD (S1.32): one sentence
/// for each. The entries are told by their ids; others are ignored.
[[nodiscard]] std::vector<std::string> lint_order(const std::vector<ipsec::PolicyEntry>& entries);

/// The IPv6 addresses outside `ranges`, which do not meet, in ascending order.
[[nodiscard]] std::vector<ipsec::AddressRange> complement(std::vector<ipsec::AddressRange> ranges);
/// The same of IPv4.
[[nodiscard]] std::vector<ipsec::AddressRange> complement_ipv4(
    std::vector<ipsec::AddressRange> ranges);

}  // namespace homeport::sa
