// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/policy_table.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace homeport::sa {

namespace {

using ipsec::Action;
using ipsec::AddressRange;
using ipsec::Mode;
using ipsec::PolicyEntry;
using ipsec::ProtocolSelector;
using ipsec::Selectors;
using ipsec::ValueSelector;

// Mobility header types (RFC 6275 6.1, RFC 5142, RFC 5846) and ICMPv6 types.
constexpr std::uint16_t kBrr = 0, kHotI = 1, kCotI = 2, kHot = 3, kCot = 4, kBu = 5, kBa = 6,
                        kBe = 7, kSwitch = 12, kRevoke = 16;
constexpr std::uint8_t kMps = 146, kMpa = 147, kDhaadRequest = 144, kDhaadReply = 145;

ValueSelector icmp_types(std::uint8_t first, std::uint8_t last) {
    return ValueSelector::of(
        {{static_cast<std::uint16_t>(first << 8), static_cast<std::uint16_t>(last << 8 | 255)}});
}

Selectors select(std::vector<AddressRange> local, std::vector<AddressRange> remote,
                 ProtocolSelector protocol, ValueSelector local_value, ValueSelector remote_value) {
    return {std::move(local), std::move(remote), protocol, std::move(local_value),
            std::move(remote_value)};
}

PolicyEntry entry(TableEntry id, std::size_t index, std::string name, Selectors selectors,
                  Action action = Action::kBypass) {
    PolicyEntry made;
    made.id = policy_id(id, index);
    made.name = std::move(name);
    made.selectors = std::move(selectors);
    made.action = action;
    return made;
}

PolicyEntry transport(PolicyEntry made) {
    made.action = Action::kProtect;
    made.protect.mode = Mode::kTransport;
    made.protect.populate_remote = true;
    return made;
}

PolicyEntry tunnel(PolicyEntry made, const Ipv6Address& home_agent) {
    made.action = Action::kProtect;
    made.protect.mode = Mode::kTunnel;
    made.protect.populate_remote = true;
    made.protect.tunnel_local = home_agent;
    return made;
}

// One function for each line of the table, from the home agent's side.
class Table {
  public:
    Table(const std::vector<ProtectedPrefix>& prefixes,
          const std::vector<ProtectedPrefix>& unprotected, const PolicyOptions& options)
        : prefixes_(prefixes), unprotected_(unprotected), options_(options) {}

    std::vector<PolicyEntry> make() {
        ike();
        unprotected_nodes();
        for_each_prefix(&Table::binding_update);
        for_each_prefix(&Table::prefix_discovery);
        for_each_prefix(&Table::return_routability);
        for_each_prefix(&Table::correspondent_mobile);
        for_each_prefix(&Table::revocation);
        for_each_prefix(&Table::home_agent_switch);
        for_each_prefix(&Table::refresh_request);
        bypass_icmp();
        bypass_mobility();
        payload_networks();
        bypass_others();
        for_each_prefix(&Table::route_optimised);
        for_each_prefix(&Table::payload);
        for_each_prefix(&Table::payload_ipv4);
        add(entry(TableEntry::kDiscard, 0, "discard", {}, Action::kDiscard));
        return std::move(entries_);
    }

  private:
    using Line = void (Table::*)(const ProtectedPrefix&, std::size_t);

    void add(PolicyEntry made) { entries_.push_back(std::move(made)); }
    void for_each_prefix(Line line) {
        for (std::size_t i = 0; i < prefixes_.size(); ++i) (this->*line)(prefixes_[i], i);
    }

    void ike() {
        const auto udp = ProtocolSelector::of(IpProtocol::kUdp);
        add(entry(TableEntry::kIkeLocal500, 0, "ike",
                  select({}, {}, udp, ValueSelector::of(500), ValueSelector::any())));
        add(entry(TableEntry::kIkeLocal4500, 0, "ike-nat-t",
                  select({}, {}, udp, ValueSelector::of(4500), ValueSelector::any())));
    }

    static Selectors signalling(const ProtectedPrefix& prefix, std::uint16_t sent,
                                std::optional<std::uint16_t> received) {
        return select({AddressRange::of(IpAddress(prefix.home_agent))}, {prefix.home_addresses},
                      ProtocolSelector::of(IpProtocol::kMobility), ValueSelector::of(sent),
                      received ? ValueSelector::of(*received) : ValueSelector::opaque());
    }

    void unprotected_nodes() {
        for (std::size_t i = 0; i < unprotected_.size(); ++i) {
            add(entry(TableEntry::kUnprotectedNode, i, "lab-unprotected",
                      signalling(unprotected_[i], kBa, kBu)));
        }
    }
    void binding_update(const ProtectedPrefix& prefix, std::size_t i) {
        add(transport(entry(TableEntry::kBindingUpdate, i, "bu-ba", signalling(prefix, kBa, kBu))));
    }
    void prefix_discovery(const ProtectedPrefix& prefix, std::size_t i) {
        add(transport(
            entry(TableEntry::kPrefixDiscovery, i, "mps-mpa",
                  select({AddressRange::of(IpAddress(prefix.home_agent))}, {prefix.home_addresses},
                         ProtocolSelector::of(IpProtocol::kIcmpv6), ValueSelector::icmp_type(kMpa),
                         ValueSelector::icmp_type(kMps)))));
    }
    void routability(TableEntry id, std::size_t i, const char* name, const ProtectedPrefix& prefix,
                     std::uint16_t sent, std::uint16_t received) {
        PolicyEntry made =
            entry(id, i, name,
                  select({}, {prefix.home_addresses}, ProtocolSelector::of(IpProtocol::kMobility),
                         ValueSelector::of(sent), ValueSelector::of(received)));
        add(options_.protect_return_routability ? tunnel(std::move(made), prefix.home_agent)
                                                : std::move(made));
    }
    void return_routability(const ProtectedPrefix& prefix, std::size_t i) {
        routability(TableEntry::kReturnRoutability, i, "hot-hoti", prefix, kHot, kHotI);
    }
    void correspondent_mobile(const ProtectedPrefix& prefix, std::size_t i) {
        routability(TableEntry::kCorrespondentMobile, i, "hoti-hot", prefix, kHotI, kHot);
    }
    void revocation(const ProtectedPrefix& prefix, std::size_t i) {
        add(transport(
            entry(TableEntry::kRevocation, i, "bri-bra", signalling(prefix, kRevoke, kRevoke))));
    }
    void home_agent_switch(const ProtectedPrefix& prefix, std::size_t i) {
        add(transport(entry(TableEntry::kHomeAgentSwitch, i, "ha-switch",
                            signalling(prefix, kSwitch, std::nullopt))));
    }
    void refresh_request(const ProtectedPrefix& prefix, std::size_t i) {
        add(transport(entry(TableEntry::kRefreshRequest, i, "refresh-request",
                            signalling(prefix, kBrr, std::nullopt))));
    }

    void bypass_icmp() {
        const auto both = [&](TableEntry id, const char* name, const ValueSelector& types) {
            add(entry(id, 0, name,
                      select({}, {}, ProtocolSelector::of(IpProtocol::kIcmpv6), types, types)));
        };
        both(TableEntry::kNeighborDiscovery, "neighbor-discovery", icmp_types(133, 137));
        both(TableEntry::kMulticastListener, "mld", icmp_types(130, 132));
        both(TableEntry::kMulticastListenerV2, "mldv2", icmp_types(143, 143));
        add(entry(TableEntry::kHomeAgentDiscovery, 0, "dhaad",
                  select({}, {}, ProtocolSelector::of(IpProtocol::kIcmpv6),
                         icmp_types(kDhaadReply, kDhaadReply),
                         icmp_types(kDhaadRequest, kDhaadRequest))));
        if (!options_.protect_payload)
            both(TableEntry::kIcmpErrors, "icmp-errors", icmp_types(1, 4));
    }
    void bypass_mobility() {
        const auto mobility = [&](TableEntry id, const char* name, std::uint16_t sent,
                                  std::uint16_t received) {
            add(entry(id, 0, name,
                      select({}, {}, ProtocolSelector::of(IpProtocol::kMobility),
                             ValueSelector::of(sent), ValueSelector::of(received))));
        };
        mobility(TableEntry::kBindingError, "binding-error", kBe, kBe);
        mobility(TableEntry::kCareOfTestOut, "cot-coti", kCot, kCotI);
        mobility(TableEntry::kCareOfTestIn, "coti-cot", kCotI, kCot);
        mobility(TableEntry::kCorrespondentUpdate, "bu-ba-correspondents", kBa, kBu);
    }
    // An SA stands for its router's home address, which is not what packets to a network have: each
    // network has an entry, which leads to one SA.
    void payload_networks() {
        if (!options_.protect_payload) return;
        std::size_t next[2] = {0, 0};
        for (const MobileNetwork& network : options_.mobile_networks) {
            const bool is_ipv4 = std::holds_alternative<Ipv4Address>(network.addresses.first);
            PolicyEntry made =
                entry(is_ipv4 ? TableEntry::kPayloadNetworkIpv4 : TableEntry::kPayloadNetwork,
                      next[is_ipv4]++, is_ipv4 ? "payload-network-ipv4" : "payload-network",
                      select(is_ipv4 ? std::vector{AddressRange::of(Ipv4Prefix{})}
                                     : std::vector<AddressRange>{},
                             {network.addresses}, ProtocolSelector::any(), ValueSelector::any(),
                             ValueSelector::any()));
            made = tunnel(std::move(made), network.home_agent);
            made.protect.populate_remote = false;
            made.protect.tunnel_remote = network.home_address;
            add(std::move(made));
        }
    }
    /// Between two home prefixes may be a mobile network and nothing else: no packet is left for an
    /// entry behind that of the network.
    [[nodiscard]] bool is_of_a_network(const AddressRange& range) const {
        return options_.protect_payload &&
               std::ranges::any_of(options_.mobile_networks, [&](const MobileNetwork& network) {
                   return network.addresses.first.index() == range.first.index() &&
                          network.addresses.first <= range.first &&
                          range.last <= network.addresses.last;
               });
    }
    void bypass_others() {
        std::vector<AddressRange> homes;
        std::vector<AddressRange> ipv4_homes;
        for (const ProtectedPrefix& prefix : prefixes_) {
            homes.push_back(prefix.home_addresses);
            if (prefix.ipv4_home_addresses) ipv4_homes.push_back(*prefix.ipv4_home_addresses);
        }
        const auto others = complement(std::move(homes));
        for (std::size_t i = 0; i < others.size(); ++i) {
            if (is_of_a_network(others[i])) continue;
            add(entry(TableEntry::kOtherTraffic, i, "other-traffic",
                      select({}, {others[i]}, ProtocolSelector::any(), ValueSelector::any(),
                             ValueSelector::any())));
        }
        const auto ipv4_others = complement_ipv4(std::move(ipv4_homes));
        for (std::size_t i = 0; i < ipv4_others.size(); ++i) {
            if (is_of_a_network(ipv4_others[i])) continue;
            add(entry(TableEntry::kOtherIpv4, i, "ipv4",
                      select({AddressRange::of(Ipv4Prefix{})}, {ipv4_others[i]},
                             ProtocolSelector::any(), ValueSelector::any(), ValueSelector::any())));
        }
    }
    void add_payload(TableEntry id, std::size_t i, const char* name, const Ipv6Address& home_agent,
                     std::vector<AddressRange> local, const AddressRange& home_addresses) {
        PolicyEntry made = entry(id, i, name,
                                 select(std::move(local), {home_addresses}, ProtocolSelector::any(),
                                        ValueSelector::any(), ValueSelector::any()));
        add(options_.protect_payload ? tunnel(std::move(made), home_agent) : std::move(made));
    }
    // One mobile node has one prefix: its home address.
    void route_optimised(const ProtectedPrefix& prefix, std::size_t) {
        for (std::size_t i = 0; i < options_.route_optimised.size() && i <= kMaxIndex; ++i) {
            add(entry(TableEntry::kRouteOptimised, i, "route-optimised",
                      select({AddressRange::of(IpAddress(options_.route_optimised[i]))},
                             {prefix.home_addresses}, ProtocolSelector::any(), ValueSelector::any(),
                             ValueSelector::any())));
        }
    }
    void payload(const ProtectedPrefix& prefix, std::size_t i) {
        add_payload(TableEntry::kPayload, i, "payload", prefix.home_agent, {},
                    prefix.home_addresses);
    }
    void payload_ipv4(const ProtectedPrefix& prefix, std::size_t i) {
        if (!prefix.ipv4_home_addresses) return;
        add_payload(TableEntry::kPayloadIpv4, i, "payload-ipv4", prefix.home_agent,
                    {AddressRange::of(Ipv4Prefix{})}, *prefix.ipv4_home_addresses);
    }

    const std::vector<ProtectedPrefix>& prefixes_;
    const std::vector<ProtectedPrefix>& unprotected_;
    PolicyOptions options_;
    std::vector<PolicyEntry> entries_;
};

// The next (or last) address in numeric order; nothing at the end of the address space.
std::optional<Ipv6Address> step(const Ipv6Address& address, int by) {
    std::uint64_t high = address.high();
    std::uint64_t low = address.low();
    if (by > 0) {
        if (++low == 0 && ++high == 0) return std::nullopt;
    } else {
        if (low-- == 0 && high-- == 0) return std::nullopt;
    }
    Ipv6Address stepped;
    store_be64(stepped.bytes.data(), high);
    store_be64(stepped.bytes.data() + 8, low);
    return stepped;
}

}  // namespace

std::vector<PolicyEntry> home_agent_policies(const std::vector<ProtectedPrefix>& prefixes,
                                             const std::vector<ProtectedPrefix>& unprotected,
                                             const PolicyOptions& options) {
    return Table(prefixes, unprotected, options).make();
}

std::vector<PolicyEntry> mobile_node_policies(const Ipv6Address& home_address,
                                              const Ipv6Address& home_agent,
                                              const PolicyOptions& options,
                                              const std::optional<Ipv4Address>& ipv4_home_address) {
    std::vector<ProtectedPrefix> own{
        {home_agent, AddressRange::of(IpAddress(home_address)), std::nullopt}};
    if (ipv4_home_address) {
        own[0].ipv4_home_addresses = ipv4_home_address->is_unspecified()
                                         ? AddressRange::of(Ipv4Prefix{})
                                         : AddressRange::of(IpAddress(*ipv4_home_address));
    }
    const auto unprotected = options.unprotected ? own : std::vector<ProtectedPrefix>{};
    return mirror(home_agent_policies(own, unprotected, options), home_address);
}

std::vector<PolicyEntry> mirror(const std::vector<PolicyEntry>& home_agent_entries,
                                const Ipv6Address& home_address) {
    std::vector<PolicyEntry> mirrored = home_agent_entries;
    for (PolicyEntry& made : mirrored) {
        made.selectors = made.selectors.mirrored();
        if (made.action != Action::kProtect) continue;
        // The address that SAs are made for is the node's own here: there is only one.
        made.protect.populate_remote = false;
        if (made.protect.mode == Mode::kTunnel) {
            made.protect.tunnel_remote = std::exchange(made.protect.tunnel_local, home_address);
        }
    }
    return mirrored;
}

std::vector<std::string> lint_order(const std::vector<PolicyEntry>& entries) {
    std::vector<std::string> findings;
    const PolicyEntry* highest = nullptr;
    for (const PolicyEntry& made : entries) {
        if (highest != nullptr && table_entry(made.id) < table_entry(highest->id)) {
            findings.push_back("policy '" + made.name + "' stands behind '" + highest->name +
                               "', expected before it (table S1-SPD)");
            continue;
        }
        highest = &made;
    }
    return findings;
}

std::vector<AddressRange> complement(std::vector<AddressRange> ranges) {
    std::ranges::sort(ranges, {}, &AddressRange::first);
    std::vector<AddressRange> outside;
    Ipv6Address next;  // lowest address not yet passed
    for (const AddressRange& range : ranges) {
        const auto first = std::get<Ipv6Address>(range.first);
        if (next < first) outside.push_back({next, *step(first, -1)});
        const auto behind = step(std::get<Ipv6Address>(range.last), 1);
        if (!behind) return outside;
        next = *behind;
    }
    Ipv6Address last;
    last.bytes.fill(0xff);
    outside.push_back({next, last});
    return outside;
}

std::vector<AddressRange> complement_ipv4(std::vector<AddressRange> ranges) {
    const auto address = [](std::uint64_t value) {
        Ipv4Address made;
        store_be32(made.bytes.data(), static_cast<std::uint32_t>(value));
        return IpAddress(made);
    };
    std::ranges::sort(ranges, {}, &AddressRange::first);
    std::vector<AddressRange> outside;
    std::uint64_t next = 0;  // lowest address not yet passed
    for (const AddressRange& range : ranges) {
        const std::uint32_t first = std::get<Ipv4Address>(range.first).host();
        if (next < first) outside.push_back({address(next), address(first - 1u)});
        next = std::uint64_t{std::get<Ipv4Address>(range.last).host()} + 1;
    }
    if (next <= 0xffffffff) outside.push_back({address(next), address(0xffffffff)});
    return outside;
}

}  // namespace homeport::sa
