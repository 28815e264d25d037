// SPDX-License-Identifier: BSD-3-Clause
// IPv4 care-of addresses (RFC 5555 4.2, 4.5; mipv6.md section 5): where a binding update came from,
// whether a NAT was on the way, and what tunnel that makes. Section numbers are of RFC 5555.
#include <algorithm>

#include "controlplane/mip6/home_agent.hpp"

namespace homeport::mip6 {

using binding::Encapsulation;
using binding::Entry;
using binding::NatVerdict;
using binding::OuterSource;

namespace {

constexpr std::uint16_t kDsmipPort = 4191;
constexpr std::uint32_t kNoKeepalives = 0xffffffff;  // 3.2.2: all ones

std::uint64_t mapping_key(const OuterSource& source) {
    return std::uint64_t{source.address.host()} << 16 | source.port;
}

Ipv6Address mapped(const Ipv4Address& address) {
    Ipv6Address made;
    made.bytes[10] = made.bytes[11] = 0xff;
    address.store(made.bytes.data() + 12);
    return made;
}

}  // namespace

/// S1.65b: with the heuristic technique an update from where the binding is leaves no record, and
/// seems to come from the home address. What comes from the home link does, too: it never says an
/// IPv4 care-of address, and a registration from there is none.
void HomeAgent::use_recorded_source(BindingRequest& request) const {
    if (request.info.had_hao || request.info.wire_source != IpAddress(request.home_address)) return;
    const Entry* entry = cache_.find(request.home_address);
    if (entry == nullptr || !entry->is_active() || !entry->outer_source) return;
    if (request.update.lifetime.value == 0 &&
        wire::find_option<wire::Ipv4CareOfAddress>(request.update.options) == nullptr) {
        return;
    }
    request.info.wire_source = entry->outer_source->address;
    request.info.wire_port = entry->outer_source->port;
    request.info.local_endpoint = entry->local_endpoint;
}

/// 4.2, S1.61: addresses are compared, ports are not. Without the option (3.1.2 wants it) nobody
/// can tell, and a NAT is the safe answer. The inner source is the home address, with or without a
/// Home Address option; an Alternate Care-of Address means nothing here.
StepResult HomeAgent::step_9_over_ipv4(BindingRequest& request) const {
    const Ipv4Address source = std::get<Ipv4Address>(request.info.wire_source);
    if (!source.is_unicast() || !request.home_address.is_unicast_routable()) {
        return StepResult::drop(Counter::kBuSourceNotUnicast,
                                "source or home address is not unicast");
    }
    const auto* claimed = wire::find_option<wire::Ipv4CareOfAddress>(request.update.options);
    if (claimed != nullptr && !claimed->address.is_unicast()) {
        return StepResult::drop(Counter::kBuSourceNotUnicast,
                                "IPv4 care-of address is not unicast");
    }
    request.care_of_address = claimed != nullptr ? claimed->address : source;
    request.nat =
        claimed != nullptr && claimed->address == source ? NatVerdict::kNoNat : NatVerdict::kNat;
    return StepResult::go_on();
}

/// Packets go to the outer source, so that is what must not lead back here. What the node calls
/// its address may lie in a home prefix when both are private and a NAT is between.
bool HomeAgent::is_denied_over_ipv4(const BindingRequest& request) const {
    const Ipv4Address outer = std::get<Ipv4Address>(request.info.wire_source);
    const auto is_bad = [&](const Ipv4Address& address) {
        return is_own_address(address) ||
               std::ranges::any_of(config_.coa_deny, [&](const Ipv6Prefix& prefix) {
                   return prefix.contains(mapped(address));
               });
    };
    return is_bad(outer) || is_bad(std::get<Ipv4Address>(request.care_of_address)) ||
           is_in_mobile_network(outer) ||
           std::ranges::any_of(config_.home_prefixes, [&](const HomePrefix& home) {
               return home.ipv4_prefix && home.ipv4_prefix->contains(outer);
           });
}

bool HomeAgent::is_in_mobile_network(const Ipv4Address& address) const {
    const auto behind =
        std::ranges::upper_bound(ipv4_mobile_networks_, address, {}, &Ipv4Prefix::address);
    return behind != ipv4_mobile_networks_.begin() && std::prev(behind)->contains(address);
}

std::optional<OuterSource> HomeAgent::outer_source_of(const BindingRequest& request) {
    const auto* source = std::get_if<Ipv4Address>(&request.info.wire_source);
    if (source == nullptr) return std::nullopt;
    return OuterSource{*source, request.info.wire_port};
}

bool HomeAgent::is_udp_forced(const BindingRequest& request) const {
    if (request.nat == NatVerdict::kNat) return false;  // it is in UDP anyway
    return (request.update.force_udp && config_.accept_force_udp) ||
           (!request.is_over_ipv6() && config_.force_udp);
}

/// 3.2.2, 4.2: in each answer to an update that came in UDP. F says that UDP is demanded without a
/// NAT; where it is not demanded and there is no NAT, no keepalives are needed.
std::optional<wire::NatDetection> HomeAgent::nat_detection(const BindingRequest& request,
                                                           bool accepted) const {
    const bool forced = is_udp_forced(request);
    if (!request.is_in_udp() && !(forced && accepted)) return std::nullopt;
    const auto refresh = static_cast<std::uint32_t>(config_.nat_refresh.count());
    if (forced) return wire::NatDetection{.force_udp = true, .refresh_time = refresh};
    if (request.nat == NatVerdict::kNat) {
        return wire::NatDetection{.force_udp = false, .refresh_time = refresh};
    }
    if (config_.omit_nat_detection) return std::nullopt;
    return wire::NatDetection{.force_udp = false, .refresh_time = kNoKeepalives};
}

/// S1.69, S1.70: settled anew by every accepted update.
void HomeAgent::fill_tunnel(Entry& entry, const BindingRequest& request) const {
    const bool forced = is_udp_forced(request);
    const auto source = outer_source_of(request);
    // The mapping of UDP 4500 belongs to the place that it was learnt at (5.1).
    if (!source || !entry.outer_source || source->address != entry.outer_source->address) {
        entry.esp_source.reset();
    }
    entry.care_of_address = request.care_of_address;
    entry.outer_source = source;
    entry.local_endpoint = source ? request.info.local_endpoint : std::nullopt;
    entry.nat = forced ? NatVerdict::kForced : request.nat;
    entry.ipv6_udp_port = 0;
    if (source) {
        entry.encapsulation =
            entry.nat == NatVerdict::kNoNat ? Encapsulation::kIpv4 : Encapsulation::kIpv4Udp;
    } else if (forced) {  // 4.4.1
        entry.encapsulation = Encapsulation::kIpv6Udp;
        entry.ipv6_udp_port = request.info.wire_port != 0 ? request.info.wire_port : kDsmipPort;
    } else {
        entry.encapsulation = Encapsulation::kIpv6;
    }
    switch (entry.nat) {
        case NatVerdict::kNat:
        case NatVerdict::kForced:
            entry.nat_refresh_time = static_cast<std::uint32_t>(config_.nat_refresh.count());
            break;
        case NatVerdict::kNoNat:
            entry.nat_refresh_time = kNoKeepalives;
            break;
        case NatVerdict::kNotApplicable:
            entry.nat_refresh_time = 0;
            break;
    }
}

void HomeAgent::count_tunnel(const Entry& entry, const BindingRequest& request) {
    const auto counted = [&](Counter counter) {
        count(counter, request.home_address, request.info.wire_source);
    };
    if (entry.is_over_ipv4()) {
        counted(request.nat == NatVerdict::kNat ? Counter::kNatYes : Counter::kNatNo);
    }
    if (entry.nat == NatVerdict::kForced) counted(Counter::kForcedUdp);
}

/// A NAT gives a mapping that it took for dead to another. The update that shows it is authentic
/// and newer: packets of the older binding must not go there any more. That binding keeps its
/// addresses and its number, but has no tunnel until its node registers from where it is.
void HomeAgent::take_mapping(const Entry& entry, const BindingRequest& request) {
    if (!entry.outer_source) return;
    const auto [first, last] = mappings_.equal_range(mapping_key(*entry.outer_source));
    std::vector<Ipv6Address> others;
    for (auto it = first; it != last; ++it) {
        if (it->second != entry.home_address) others.push_back(it->second);
    }
    for (const Ipv6Address& other : others) {
        Entry* older = cache_.find(other);
        // One mobile node may have several home addresses behind one port.
        if (older == nullptr || !older->is_active() ||
            (!older->node.empty() && older->node == entry.node)) {
            continue;
        }
        release_ipv4(*older);
        older->outer_source.reset();
        older->esp_source.reset();
        hold_ipv4(*older);
        counters_.add(Counter::kBindingMappingTaken);
        actions_.push_back(CountEvent{.counter = Counter::kBindingMappingTaken,
                                      .home_address = other,
                                      .wire_source = request.info.wire_source,
                                      .status = std::nullopt,
                                      .detail = "",
                                      .wire_port = request.info.wire_port,
                                      .other = entry.home_address});
        actions_.push_back(PersistBinding{*older});
        actions_.push_back(RemoveBinding{other, RemovalReason::kMappingTaken});
    }
}

Actions HomeAgent::note_esp_source(const Ipv6Address& home_address, const OuterSource& source,
                                   TimePoint now) {
    now_ = std::max(now_, now);
    Entry* entry = cache_.find(home_address);
    if (entry == nullptr || !entry->is_active() || !entry->outer_source ||
        entry->esp_source == source) {
        return {};
    }
    entry->esp_source = source;
    actions_.push_back(PersistBinding{*entry});
    return take_actions();
}

// ----------------------------------------------------------------- who is where, for both files

void HomeAgent::hold_ipv4(Entry& entry) {
    std::erase_if(entry.ipv4_homes, [&](const binding::Ipv4Home& home) {
        return !is_free_for(home.prefix, entry.home_address);
    });
    for (const binding::Ipv4Home& home : entry.ipv4_homes) {
        ipv4_owners_.emplace(home.prefix, entry.home_address);
        if (Ipv4Pool* pool = pool_with(home.prefix.address); pool != nullptr && home.dynamic) {
            pool->take(home.prefix.address);
        }
    }
    if (entry.outer_source && entry.is_active()) {
        mappings_.emplace(mapping_key(*entry.outer_source), entry.home_address);
    }
}

/// Harmless for an entry that holds nothing.
void HomeAgent::release_ipv4(const Entry& entry) {
    for (const binding::Ipv4Home& home : entry.ipv4_homes) {
        const auto owner = ipv4_owners_.find(home.prefix);
        if (owner == ipv4_owners_.end() || owner->second != entry.home_address) continue;
        ipv4_owners_.erase(owner);
        if (Ipv4Pool* pool = pool_with(home.prefix.address); pool != nullptr && home.dynamic) {
            pool->give_back(home.prefix.address);
        }
    }
    if (!entry.outer_source) return;
    const auto [first, last] = mappings_.equal_range(mapping_key(*entry.outer_source));
    for (auto it = first; it != last; ++it) {
        if (it->second != entry.home_address) continue;
        mappings_.erase(it);
        return;
    }
}

}  // namespace homeport::mip6
