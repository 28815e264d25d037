// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/local_addresses.hpp"

#include <algorithm>

namespace homeport::table {

LocalAddresses::LocalAddresses(std::uint32_t max_addresses, Reclaimer& reclaimer)
    : hash_(max_addresses, reclaimer), reclaimer_(reclaimer), sources_(new AllSources) {}

LocalAddresses::~LocalAddresses() {
    delete sources_;
}

void LocalAddresses::find_bulk(const Ipv6Address* const* addresses, unsigned count,
                               const LocalAddress** out) const {
    std::array<std::uint32_t, ConcurrentHash<LocalAddressTraits>::kMaxBulk> slots;
    hash_.find_bulk(addresses, count, slots.data());
    for (unsigned i = 0; i < count; ++i) {
        out[i] = slots[i] == kNoSlot ? nullptr : &hash_.at(slots[i]);
    }
}

std::optional<Ipv6Address> LocalAddresses::source_for(std::uint16_t port,
                                                      const Ipv6Address& destination) const {
    const AllSources& all = sources();
    const Sources* const own = port < channel::kMaxPorts ? &all.of[port] : nullptr;
    const bool link_scope = destination.is_link_local() ||
                            (destination.is_multicast() && destination.multicast_scope() <= 2);
    if (link_scope) return own != nullptr ? own->link_local : std::nullopt;
    if (own != nullptr && own->routable) return own->routable;
    return all.of[channel::kMaxPorts].routable;
}

std::optional<Ipv4Address> LocalAddresses::source_for(std::uint16_t port,
                                                      const Ipv4Address&) const {
    const AllSources& all = sources();
    if (port < channel::kMaxPorts && all.of[port].v4) return all.of[port].v4;
    return all.of[channel::kMaxPorts].v4;
}

std::expected<void, LocalAddresses::Error> LocalAddresses::publish(const Ipv6Address& address) {
    LocalAddress entry{};
    entry.address = address;
    bool exists = false;
    for (auto it = all_.lower_bound({address, 0}); it != all_.end() && it->first.first == address;
         ++it) {
        exists = true;
        if (it->first.second < channel::kMaxPorts) entry.ports |= 1u << it->first.second;
        if (it->second.is_home_agent_address) entry.is_home_agent_address = 1;
        if (it->second.is_vpn_gateway) entry.is_vpn_gateway = 1;
        if (it->second.mip4_role != channel::Mip4Role::kNone) {
            entry.mip4_role = it->second.mip4_role;
        }
    }
    if (!exists) {
        hash_.erase(address);
    } else if (!hash_.put(entry)) {
        return std::unexpected(Error::kFull);
    }
    publish_sources();
    __atomic_store_n(&generation_, generation_ + 1, __ATOMIC_RELEASE);
    return {};
}

void LocalAddresses::publish_sources() {
    auto* const fresh = new AllSources;
    // A home agent address is preferred: what it says is answered to it. all_ is ordered, so the
    // choice does not depend on the order in which addresses came.
    for (const bool home_agent_addresses : {true, false}) {
        for (const auto& [key, properties] : all_) {
            if (properties.is_home_agent_address != home_agent_addresses) continue;
            const auto& [address, port] = key;
            for (const std::size_t place : {std::size_t{port}, channel::kMaxPorts}) {
                if (place > channel::kMaxPorts) continue;
                Sources& sources = fresh->of[place];
                if (address.is_v4_mapped()) {
                    const Ipv4Address v4 = Ipv4Address::load(address.bytes.data() + 12);
                    if (!sources.v4 && !v4.is_loopback()) sources.v4 = v4;
                } else if (address.is_link_local()) {
                    if (!sources.link_local) sources.link_local = address;
                } else if (!sources.routable && address.is_unicast_routable()) {
                    sources.routable = address;
                }
            }
        }
    }
    const bool serves = std::ranges::any_of(
        all_, [](const auto& entry) { return entry.second.mip4_role != channel::Mip4Role::kNone; });
    __atomic_store_n(&serves_mip4_, serves ? 1 : 0, __ATOMIC_RELAXED);
    const AllSources* const old = sources_;
    __atomic_store_n(&sources_, fresh, __ATOMIC_RELEASE);
    reclaimer_.retire(
        const_cast<AllSources*>(old),
        [](void* object, void*) { delete static_cast<AllSources*>(object); }, nullptr);
}

std::expected<void, LocalAddresses::Error> LocalAddresses::set(const Ipv6Address& address,
                                                               std::uint16_t port,
                                                               const OnPort& properties) {
    const Key key{address, port};
    const auto known = all_.find(key);
    if (known != all_.end()) {
        const bool same = known->second.is_home_agent_address == properties.is_home_agent_address &&
                          known->second.mip4_role == properties.mip4_role &&
                          known->second.is_vpn_gateway == properties.is_vpn_gateway;
        known->second = properties;
        return same ? std::expected<void, Error>{} : publish(address);
    }
    if (all_.size() >= hash_.capacity()) return std::unexpected(Error::kFull);
    all_.emplace(key, properties);
    return publish(address);
}

bool LocalAddresses::remove(const Ipv6Address& address, std::uint16_t port) {
    if (all_.erase({address, port}) == 0) return false;
    return publish(address).has_value();
}

}  // namespace homeport::table
