// SPDX-License-Identifier: BSD-3-Clause
// Ports, addresses, routes, neighbours, home prefixes.
#include "dataplane/table/table_writer.hpp"

#include <algorithm>

#include "dataplane/base/ip_header.hpp"

namespace homeport::table {

namespace {

std::unexpected<WriteError> fail(channel::CommandError code, std::string text) {
    return std::unexpected(WriteError{code, std::move(text)});
}
std::unexpected<WriteError> malformed(std::string text) {
    return fail(channel::CommandError::kMalformed, std::move(text));
}

bool is_unicast(const channel::WireAddress& address) {
    if (address.family == 4) return address.v4().is_unicast();
    const Ipv6Address v6 = address.v6();
    return address.family == 6 && !v6.is_multicast() && !v6.is_unspecified() && !v6.is_v4_mapped();
}

std::string text_of(const channel::WireAddress& address) {
    if (address.family == 4) return address.v4().to_string();
    return address.family == 6 ? address.v6().to_string() : "no address";
}

}  // namespace

TableWriter::TableWriter(Tables& tables)
    : tables_(tables),
      binding_notes_(tables.bindings.slot_limit(), PageChoice::kNormal),
      neighbour_epochs_(tables.adjacencies.capacity(), 0) {}

std::expected<Ipv6Prefix, WriteError> TableWriter::table_prefix(const channel::WireAddress& address,
                                                                unsigned length) {
    if (address.family != 4 && address.family != 6) {
        return malformed("prefix: family " + std::to_string(address.family) + ", expected 4 or 6");
    }
    const unsigned most = address.family == 4 ? 32 : 128;
    if (length > most) {
        return malformed("prefix length: " + std::to_string(length) + ", expected 0 to " +
                         std::to_string(most));
    }
    const unsigned in_table = length + 128 - most;
    return Ipv6Prefix{masked(key_address(address), in_table), static_cast<std::uint8_t>(in_table)};
}

Applied TableWriter::check_port(std::uint16_t port) const {
    if (port < channel::kMaxPorts && ports_[port].in_use) return {};
    return fail(channel::CommandError::kUnknownPort,
                "port " + std::to_string(port) + ": no such port of the data plane");
}

// ------------------------------------------------------------------------------------------ ports

void TableWriter::set_port(std::uint16_t port, const MacAddress& mac, std::uint16_t mtu) {
    if (port >= channel::kMaxPorts) return;
    Port& known = ports_[port];
    if (known.in_use && known.mac == mac && known.mtu == mtu) return;
    known = {mac, mtu, true};

    tables_.adjacencies.for_each([&](const Adjacency& seen) {
        if (seen.port != port) return;
        const Adjacency adjacency = seen;
        tables_.adjacencies.set_mtu(adjacency.index, mtu);
        if (adjacency.resolved != 0) {
            tables_.adjacencies.resolve(adjacency.index,
                                        MacAddress::load(adjacency.ethernet.data()), mac);
        }
    });
    for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
        PrefixTable<Route>& routes = tables_.fib.of_family(family);
        routes.for_each([&](const Route& seen) {
            if (seen.port != port) return;
            Route route = seen;
            const std::uint16_t configured =
                notes_of(family)[{route.prefix, route.length}].configured_mtu;
            route.mtu = configured != 0 ? std::min(configured, mtu) : mtu;
            // It replaces, so it cannot find the table full.
            if (route.mtu != seen.mtu && !routes.put(route)) return;
        });
    }
    route_changed();
}

// -------------------------------------------------------------------------------------- addresses

Applied TableWriter::apply(const channel::AddressSet& record) {
    if (!is_unicast(record.address)) {
        return malformed("address: " + text_of(record.address) + ", expected a unicast address");
    }
    if (record.prefix_length > (record.address.family == 4 ? 32 : 128)) {
        return malformed("prefix length: " + std::to_string(record.prefix_length));
    }
    if (record.port != channel::kNoPort) {
        if (auto known = check_port(record.port); !known) return known;
    }
    const LocalAddresses::OnPort properties{record.prefix_length, record.is_home_agent_address != 0,
                                            epoch_, record.mip4_role, record.is_vpn_gateway != 0};
    if (!tables_.local_addresses.set(key_address(record.address), record.port, properties)) {
        return fail(channel::CommandError::kTableFull, "too many addresses");
    }
    return {};
}

Applied TableWriter::apply(const channel::AddressRemove& record) {
    tables_.local_addresses.remove(key_address(record.address), record.port);
    return {};
}

// ----------------------------------------------------------------------------------------- routes

Applied TableWriter::apply(const channel::RouteSet& record) {
    const auto prefix = table_prefix(record.prefix, record.prefix_length);
    if (!prefix) return std::unexpected(prefix.error());
    if (record.route_type > channel::RouteType::kUnreachable) {
        return malformed("route type: " + std::to_string(static_cast<int>(record.route_type)));
    }
    const std::uint8_t family = record.prefix.family;
    Route route{.prefix = prefix->address,
                .adjacency = channel::kNoIndex,
                .mtu = 0xffff,
                .port = channel::kNoPort,
                .length = prefix->length,
                .type = record.route_type,
                .on_link = 0,
                .reserved = {}};
    // Below these no host may go (RFC 8200 section 5, RFC 791).
    const std::uint32_t least_mtu = family == 4 ? 68 : kIpv6MinimumMtu;
    const auto mtu = static_cast<std::uint16_t>(
        record.mtu == 0 ? 0 : std::clamp<std::uint32_t>(record.mtu, least_mtu, 0xffff));
    if (record.route_type == channel::RouteType::kUnicast) {
        if (auto known = check_port(record.port); !known) return known;
        route.port = record.port;
        route.mtu = ports_[record.port].mtu;
        if (mtu != 0) route.mtu = std::min(route.mtu, mtu);
        route.on_link = record.next_hop.family == 0 ? 1 : 0;
        if (route.on_link == 0) {
            if (record.next_hop.family != family || !is_unicast(record.next_hop)) {
                return malformed("next hop: " + text_of(record.next_hop) +
                                 ", expected a unicast address of IPv" + std::to_string(family));
            }
            const auto adjacency = tables_.adjacencies.acquire(
                record.port, key_address(record.next_hop), ports_[record.port].mtu);
            if (!adjacency) {
                return fail(channel::CommandError::kTableFull, "too many adjacencies");
            }
            route.adjacency = *adjacency;
        }
    }

    PrefixTable<Route>& routes = tables_.fib.of_family(family);
    const Route* const known = routes.find_exact(route.prefix, route.length);
    const std::uint32_t old_adjacency = known != nullptr ? known->adjacency : channel::kNoIndex;
    if (known != nullptr && std::memcmp(known, &route, sizeof route) == 0) {
        tables_.adjacencies.release(route.adjacency);
    } else {
        if (!routes.put(route)) {
            tables_.adjacencies.release(route.adjacency);
            return fail(channel::CommandError::kTableFull,
                        "more than " + std::to_string(routes.capacity()) + " IPv" +
                            std::to_string(family) + " routes");
        }
        tables_.adjacencies.release(old_adjacency);
        route_changed();
    }
    notes_of(family)[*prefix] = {epoch_, mtu};
    return {};
}

void TableWriter::remove_route(std::uint8_t family, const Ipv6Prefix& prefix) {
    PrefixTable<Route>& routes = tables_.fib.of_family(family);
    const Route* const known = routes.find_exact(prefix.address, prefix.length);
    if (known == nullptr) return;
    const std::uint32_t adjacency = known->adjacency;
    routes.erase(prefix.address, prefix.length);
    tables_.adjacencies.release(adjacency);
    notes_of(family).erase(prefix);
    route_changed();
}

Applied TableWriter::apply(const channel::RouteRemove& record) {
    const auto prefix = table_prefix(record.prefix, record.prefix_length);
    if (!prefix) return std::unexpected(prefix.error());
    remove_route(record.prefix.family, *prefix);
    return {};
}

// ------------------------------------------------------------------------------------- neighbours

Applied TableWriter::apply(const channel::NeighbourSet& record) {
    if (!is_unicast(record.address)) {
        return malformed("neighbour: " + text_of(record.address) + ", expected a unicast address");
    }
    if (record.mac.is_multicast() || record.mac == MacAddress{}) {
        return malformed("neighbour " + text_of(record.address) + ": link-layer address " +
                         record.mac.to_string() + ", expected that of a node");
    }
    if (auto known = check_port(record.port); !known) return known;

    const Port& port = ports_[record.port];
    const Ipv6Address address = key_address(record.address);
    const Adjacency* const known = tables_.adjacencies.find(record.port, address);
    std::uint32_t index = known != nullptr ? known->index : channel::kNoIndex;
    if (known == nullptr || neighbour_epochs_[index] == 0) {
        const auto acquired = tables_.adjacencies.acquire(record.port, address, port.mtu);
        if (!acquired) return fail(channel::CommandError::kTableFull, "too many adjacencies");
        index = *acquired;
    }
    neighbour_epochs_[index] = epoch_;
    tables_.adjacencies.resolve(index, record.mac, port.mac);
    return {};
}

void TableWriter::remove_neighbour(std::uint32_t adjacency) {
    neighbour_epochs_[adjacency] = 0;
    tables_.adjacencies.unresolve(adjacency);
    tables_.adjacencies.release(adjacency);
}

Applied TableWriter::apply(const channel::NeighbourRemove& record) {
    const Adjacency* const known =
        tables_.adjacencies.find(record.port, key_address(record.address));
    if (known != nullptr && neighbour_epochs_[known->index] != 0) remove_neighbour(known->index);
    return {};
}

// ---------------------------------------------------------------------------------- home prefixes

Applied TableWriter::apply(const channel::HomePrefixSet& record) {
    const auto prefix = table_prefix(record.prefix, record.prefix_length);
    if (!prefix) return std::unexpected(prefix.error());
    if (prefix->contains(v4_mapped({})) && record.prefix.family == 6) {
        return malformed("home prefix: " + text_of(record.prefix) + "/" +
                         std::to_string(record.prefix_length) + " holds ::ffff:0:0/96");
    }
    if (record.port != channel::kNoPort) {
        if (auto known = check_port(record.port); !known) return known;
    }
    const HomePrefix entry{.prefix = prefix->address,
                           .port = record.port,
                           .length = prefix->length,
                           .drop_unbound = record.drop_unbound != 0,
                           .reserved = {}};
    const HomePrefix* const known =
        tables_.home_prefixes.table().find_exact(entry.prefix, entry.length);
    if (known == nullptr || std::memcmp(known, &entry, sizeof entry) != 0) {
        if (!tables_.home_prefixes.put(entry)) {
            return fail(channel::CommandError::kTableFull, "too many home prefixes");
        }
    }
    home_prefix_epochs_[*prefix] = epoch_;
    return {};
}

Applied TableWriter::apply(const channel::HomePrefixRemove& record) {
    const auto prefix = table_prefix(record.prefix, record.prefix_length);
    if (!prefix) return std::unexpected(prefix.error());
    tables_.home_prefixes.erase(prefix->address, prefix->length);
    home_prefix_epochs_.erase(*prefix);
    return {};
}

}  // namespace homeport::table
