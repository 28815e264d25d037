// SPDX-License-Identifier: BSD-3-Clause
// Bindings: their checks, their next hops, their path MTUs.
#include <algorithm>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/table/table_writer.hpp"

namespace homeport::table {

namespace {

constexpr std::uint16_t kAllBindingFlags =
    channel::kBindingTentative | channel::kBindingProxyNd | channel::kBindingLinkLocal |
    channel::kBindingRouter | channel::kBindingRequireEsp | channel::kBindingDscpPipe |
    channel::kBindingProtected | channel::kBindingFollowForm | channel::kBindingNestedEsp |
    channel::kBindingMip4Role | channel::kBindingHalfBound | channel::kBindingReverseTunnel |
    channel::kBindingBroadcasts | channel::kBindingCoLocated | channel::kBindingMoreCareOf;

constexpr std::uint16_t kMip4BindingFlags =
    channel::kBindingHalfBound | channel::kBindingReverseTunnel | channel::kBindingBroadcasts |
    channel::kBindingCoLocated | channel::kBindingMoreCareOf;

/// A look at a slot that is not in use costs this part of resolving a binding.
constexpr unsigned kLooksPerWork = 64;
/// Seconds in which every learnt path MTU is looked at once.
constexpr unsigned kAgeingRound = 30;

std::unexpected<WriteError> fail(channel::CommandError code, std::string text) {
    return std::unexpected(WriteError{code, std::move(text)});
}

bool is_host_address(const channel::WireAddress& address) {
    if (address.family == 4) return address.v4().is_unicast();
    return address.family == 6 && address.v6().is_unicast_routable();
}

/// What every IPv4 node takes (RFC 791): less is not believed of an ICMP error, which anybody may
/// have sent, because a packet of 1280 octets would become dozens.
constexpr std::uint16_t kLeastLearntIpv4 = 576;

std::uint16_t least_path_mtu(const Ipv6Address& care_of_address) {
    return care_of_address.is_v4_mapped() ? 68 : kIpv6MinimumMtu;
}

/// What is wrong with a record, or nothing.
std::string complaint(const channel::BindingSet& record, std::uint32_t max_bindings) {
    if (!is_host_address(record.home_address)) return "home address: not a node's routable address";
    const bool tentative = (record.flags & channel::kBindingTentative) != 0;
    const bool has_care_of = record.care_of_address.family != 0;
    if (has_care_of || !tentative) {
        if (!is_host_address(record.care_of_address)) {
            return "care-of address: not a node's routable address";
        }
        if (record.care_of_address == record.home_address)
            return "care-of address: the home address";
        if (record.home_agent_address.family != record.care_of_address.family ||
            !is_host_address(record.home_agent_address)) {
            return "home agent address: expected one of the care-of address's family";
        }
        if (record.encapsulation > channel::Encapsulation::kMipUdpMinimal ||
            is_over_ipv6(record.encapsulation) != (record.care_of_address.family == 6)) {
            return "encapsulation: not of the care-of address's family";
        }
        const bool of_mip4 = channel::mip4_role(record.flags) != channel::Mip4Role::kNone;
        if (of_mip4 && (record.home_address.family != 4 || record.care_of_address.family != 4)) {
            return "role: of Mobile IPv4, expected IPv4 addresses";
        }
        if (!of_mip4 && (record.encapsulation >= channel::Encapsulation::kGre ||
                         (record.flags & kMip4BindingFlags) != 0 || record.copy != 0)) {
            return "role: none, expected one of Mobile IPv4";
        }
        if (of_mip4 && record.encapsulation == channel::Encapsulation::kUdpIpv4) {
            return "encapsulation: of DSMIPv6, expected one of Mobile IPv4";
        }
        // The end of a tunnel that is half bound is not known yet.
        const bool in_udp =
            (is_in_udp(record.encapsulation) || (record.flags & channel::kBindingNestedEsp) != 0) &&
            (record.flags & channel::kBindingHalfBound) == 0;
        if (in_udp && record.udp_port == 0) return "UDP port: 0, expected the mobile node's";
        const std::uint16_t least = least_path_mtu(key_address(record.care_of_address));
        if (record.path_mtu != 0 && record.path_mtu < least) {
            return "path MTU: " + std::to_string(record.path_mtu) + ", expected 0 or at least " +
                   std::to_string(least);
        }
    }
    if ((record.flags & ~kAllBindingFlags) != 0) {
        return "flags: " + std::to_string(record.flags) + ", unknown bits";
    }
    if (record.counter_index != channel::kNoIndex && record.counter_index >= max_bindings) {
        return "counter index: " + std::to_string(record.counter_index) + ", expected less than " +
               std::to_string(max_bindings);
    }
    return {};
}

}  // namespace

Applied TableWriter::apply(const channel::BindingSet& record) {
    if (std::string wrong = complaint(record, tables_.bindings.capacity()); !wrong.empty()) {
        return fail(channel::CommandError::kMalformed, std::move(wrong));
    }
    if (record.prefix_length != 128 &&
        !(record.home_address.family == 4 && record.prefix_length == 32)) {
        return fail(channel::CommandError::kRefused,
                    "prefix length: " + std::to_string(record.prefix_length) +
                        ", only single home addresses are bound");
    }
    if (record.home_port != channel::kNoPort) {
        if (auto known = check_port(record.home_port); !known) return known;
    }
    const Binding binding{
        .home_address = copy_key(key_address(record.home_address), record.copy),
        .home_agent_address = key_address(record.home_agent_address),
        .care_of_address = key_address(record.care_of_address),
        .adjacency = channel::kNoIndex,
        .counter_index = record.counter_index,
        .flags = record.flags,
        .path_mtu = 0,
        .udp_port = record.udp_port,
        .home_port = record.home_port == channel::kNoPort
                         ? kNoHomePort
                         : static_cast<std::uint8_t>(record.home_port),
        .encapsulation = record.encapsulation,
    };
    BindingNotes notes{
        .epoch = epoch_, .learnt_at = 0, .configured_mtu = record.path_mtu, .learnt_mtu = 0};
    const std::uint32_t known = tables_.bindings.find(binding.home_address);
    if (known != kNoSlot && tables_.bindings.at(known).care_of_address == binding.care_of_address) {
        notes.learnt_at = binding_notes_[known].learnt_at;
        notes.learnt_mtu = binding_notes_[known].learnt_mtu;
    }
    return publish(binding, notes, resolve(binding));
}

Applied TableWriter::apply(const channel::BindingRemove& record) {
    remove_binding(copy_key(key_address(record.home_address), record.copy));
    return {};
}

void TableWriter::remove_binding(const Ipv6Address& home_address) {
    // First what leads to it.
    if (const auto owned = mobile_prefixes_of_.extract(home_address); !owned.empty()) {
        for (const Ipv6Prefix& prefix : owned.mapped()) remove_mobile_prefix(prefix);
    }
    tables_.broadcast_nodes.remove(home_address);
    const std::uint32_t slot = tables_.bindings.erase(home_address);
    if (slot != kNoSlot) tables_.adjacencies.release(tables_.bindings.at(slot).adjacency);
}

TableWriter::Resolution TableWriter::resolve(const Binding& binding) {
    const Ipv6Address& care_of = binding.care_of_address;
    if (care_of.is_unspecified()) return {};
    const Route* const route =
        care_of.is_v4_mapped() ? tables_.fib.find_v4(care_of) : tables_.fib.find_v6(care_of);
    if (route == nullptr || route->type != channel::RouteType::kUnicast) return {};
    if (route->on_link == 0) {
        tables_.adjacencies.acquire(route->adjacency);
        return {route->adjacency, route->mtu};
    }
    // Without an adjacency the packet is routed one by one: slower, still right.
    const auto adjacency =
        tables_.adjacencies.acquire(route->port, care_of, ports_[route->port].mtu);
    return {adjacency ? *adjacency : channel::kNoIndex, route->mtu};
}

std::uint16_t TableWriter::path_mtu_of(const Binding& binding, const BindingNotes& notes,
                                       const Resolution& resolution) const {
    std::uint16_t mtu = notes.configured_mtu != 0 ? notes.configured_mtu : default_path_mtu_;
    if (notes.learnt_mtu != 0) mtu = std::min(mtu, notes.learnt_mtu);
    if (resolution.mtu != 0) mtu = std::min(mtu, resolution.mtu);
    return std::max(mtu, least_path_mtu(binding.care_of_address));
}

Applied TableWriter::publish(Binding binding, const BindingNotes& notes,
                             const Resolution& resolution) {
    binding.adjacency = resolution.adjacency;
    binding.path_mtu = path_mtu_of(binding, notes, resolution);
    const std::uint32_t known = tables_.bindings.find(binding.home_address);
    if (known != kNoSlot &&
        std::memcmp(&tables_.bindings.at(known), &binding, sizeof binding) == 0) {
        binding_notes_[known] = notes;
        tables_.adjacencies.release(resolution.adjacency);
        return {};
    }
    const auto inserted = tables_.bindings.put(binding);
    if (!inserted) {
        tables_.adjacencies.release(resolution.adjacency);
        return fail(channel::CommandError::kTableFull,
                    "more than " + std::to_string(tables_.bindings.capacity()) + " bindings");
    }
    tables_.bound_subnets.add(binding.home_address);
    binding_notes_[inserted->slot] = notes;
    note_broadcasts(binding);
    tables_.return_paths.put(inserted->slot, inserted->replaced);
    if (inserted->replaced != kNoSlot) {
        tables_.adjacencies.release(tables_.bindings.at(inserted->replaced).adjacency);
    }
    return {};
}

void TableWriter::note_broadcasts(const Binding& binding) {
    if (binding.mip4_role() == channel::Mip4Role::kNone || !binding.home_address.is_v4_mapped()) {
        return;  // copies get them with the first one
    }
    const bool wanted =
        (binding.flags & channel::kBindingBroadcasts) != 0 && binding.home_port != kNoHomePort;
    if (wanted) {
        tables_.broadcast_nodes.set({binding.home_address, binding.home_port});
    } else {
        tables_.broadcast_nodes.remove(binding.home_address);
    }
}

void TableWriter::resolve_again(std::uint32_t slot) {
    const Binding binding = tables_.bindings.at(slot);
    const BindingNotes notes = binding_notes_[slot];
    // It replaces, so it cannot find the table full.
    [[maybe_unused]] const Applied replaced = publish(binding, notes, resolve(binding));
}

void TableWriter::set_parameters(const channel::ParametersSet& parameters) {
    path_mtu_age_seconds_ = parameters.path_mtu_age_seconds;
    if (parameters.default_path_mtu == default_path_mtu_) return;
    default_path_mtu_ = parameters.default_path_mtu;
    route_changed();
}

bool TableWriter::path_mtu(const Ipv6Address& home_address, std::uint32_t mtu) {
    const std::uint32_t slot = tables_.bindings.find(home_address);
    if (slot == kNoSlot) return false;
    const Binding binding = tables_.bindings.at(slot);
    const std::uint32_t learnt = std::max<std::uint32_t>(
        mtu, binding.care_of_address.is_v4_mapped() ? kLeastLearntIpv4
                                                    : least_path_mtu(binding.care_of_address));
    if (learnt > binding.path_mtu) return false;
    BindingNotes notes = binding_notes_[slot];
    notes.learnt_mtu = static_cast<std::uint16_t>(learnt);
    notes.learnt_at = static_cast<std::uint32_t>(now_seconds_);
    const bool less = learnt < binding.path_mtu;
    [[maybe_unused]] const Applied replaced = publish(binding, notes, resolve(binding));
    return less;
}

void TableWriter::resolve_some(unsigned max_work) {
    unsigned looks = max_work * kLooksPerWork;
    while (unresolved_work_ != 0 && max_work != 0 && looks != 0) {
        if (cursor_ >= tables_.bindings.high_water()) {
            const std::uint32_t rest = tables_.bindings.slot_limit() - cursor_;
            unresolved_work_ -= std::min(unresolved_work_, rest);
            cursor_ = 0;
            continue;
        }
        if (tables_.bindings.in_use(cursor_)) {
            resolve_again(cursor_);
            --max_work;
        }
        --looks;
        --unresolved_work_;
        ++cursor_;
    }
}

void TableWriter::age_some(unsigned max_work) {
    if (aged_at_ == now_seconds_) return;
    aged_at_ = now_seconds_;
    const std::uint32_t end = tables_.bindings.high_water();
    unsigned looks = std::min(end / kAgeingRound + kLooksPerWork, max_work * kLooksPerWork);
    for (looks = std::min(looks, end); looks != 0; --looks, ++age_cursor_) {
        if (age_cursor_ >= end) age_cursor_ = 0;
        BindingNotes& notes = binding_notes_[age_cursor_];
        if (!tables_.bindings.in_use(age_cursor_) || notes.learnt_mtu == 0) continue;
        if (now_seconds_ - notes.learnt_at < path_mtu_age_seconds_) continue;
        notes.learnt_mtu = 0;
        resolve_again(age_cursor_);
    }
}

void TableWriter::path_mtu_towards(const Ipv6Address& care_of_address, std::uint16_t udp_port,
                                   std::uint32_t mtu) {
    const std::uint32_t all = tables_.bindings.high_water();
    for (TunnelPath& path : tunnel_paths_) {
        if (path.care_of_address != care_of_address || path.udp_port != udp_port) continue;
        if (mtu >= path.mtu) return;
        path.mtu = mtu;
        path.looks_left = all;
        return;
    }
    // More than that at a time are forged, or will be told again by the next packets.
    if (tunnel_paths_.size() == kMostTunnelPaths) return;
    tunnel_paths_.push_back({care_of_address, mtu, all, udp_port});
}

void TableWriter::learn_some(unsigned max_work) {
    const std::uint32_t end = tables_.bindings.high_water();
    for (unsigned looks = max_work * kLooksPerWork; looks != 0 && !tunnel_paths_.empty(); --looks) {
        if (path_cursor_ >= end) path_cursor_ = 0;
        const std::uint32_t slot = path_cursor_++;
        if (slot < end && tables_.bindings.in_use(slot)) {
            const Binding binding = tables_.bindings.at(slot);
            for (const TunnelPath& path : tunnel_paths_) {
                if (same_address(binding.care_of_address, path.care_of_address) &&
                    (path.udp_port == 0 || path.udp_port == binding.udp_port)) {
                    (void)path_mtu(binding.home_address, path.mtu);
                }
            }
        }
        std::erase_if(tunnel_paths_, [](TunnelPath& path) {
            return path.looks_left == 0 || --path.looks_left == 0;
        });
    }
}

bool TableWriter::poll(std::uint64_t now_seconds, unsigned max_work) {
    now_seconds_ = std::max(now_seconds_, now_seconds);
    resolve_some(max_work);
    age_some(max_work);
    learn_some(max_work);
    tables_.broken_tunnels.age(now_seconds_);
    tables_.reclaimer.poll();
    return unresolved_work_ != 0;
}

}  // namespace homeport::table
