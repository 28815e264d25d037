// SPDX-License-Identifier: BSD-3-Clause
// Applies the channel's records to the tables: checks them, keeps epochs, keeps bindings resolved.
// Lives on the main lcore and is called from there alone. Never waits for a worker, but when a
// table's spare slots are used up (one quiescent state of each worker then).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::table {

/// Why a record was not applied; the tables are as before it.
struct WriteError {
    channel::CommandError code;
    std::string text;  // what, found, expected
};
using Applied = std::expected<void, WriteError>;

class TableWriter {
  public:
    /// `tables` must outlive the writer.
    explicit TableWriter(Tables& tables);

    // ----------------------------------------------------------------- ports and parameters

    /// Port `port` < channel::kMaxPorts exists, or changed. Routes, neighbours and bindings over it
    /// follow. `mtu`: octets of IP packet.
    void set_port(std::uint16_t port, const MacAddress& mac, std::uint16_t mtu);
    /// default_path_mtu and path_mtu_age_seconds are in force from now on.
    void set_parameters(const channel::ParametersSet& parameters);

    // --------------------------------------------------------------- records of the channel
    // Each is idempotent. Setting what is there already changes nothing that readers see.
    // Removing what is not there is no error.

    Applied apply(const channel::AddressSet& record);
    Applied apply(const channel::AddressRemove& record);
    Applied apply(const channel::RouteSet& record);
    Applied apply(const channel::RouteRemove& record);
    Applied apply(const channel::NeighbourSet& record);
    Applied apply(const channel::NeighbourRemove& record);
    Applied apply(const channel::HomePrefixSet& record);
    Applied apply(const channel::HomePrefixRemove& record);
    Applied apply(const channel::BindingSet& record);
    Applied apply(const channel::BindingRemove& record);
    Applied apply(const channel::MobilePrefixSet& record);
    Applied apply(const channel::MobilePrefixRemove& record);
    Applied apply(const channel::VpnClientSet& record);
    Applied apply(const channel::VpnClientRemove& record);

    /// What is set between the two stays. A second begin_sync() before end_sync() starts anew.
    void begin_sync();
    /// Removes what was not set since begin_sync(); returns how many entries that were. 0 without
    /// a begin_sync().
    std::uint32_t end_sync();
    [[nodiscard]] bool synced_once() const { return synced_once_; }
    [[nodiscard]] bool syncing() const { return syncing_; }

    // ---------------------------------------------------------------------------- upkeep

    /// An ICMP error said that only `mtu` octets get to the care-of address of `home_address`
    /// (v4-mapped for IPv4). Values below 1280 count as 1280 for an IPv6 care-of address, below 576
    /// as 576 for an IPv4 one. True if the binding's path MTU became less (PathMtu event).
    bool path_mtu(const Ipv6Address& home_address, std::uint32_t mtu);
    /// The path to an IPv4 care-of address (v4-mapped) takes no more than `mtu` octets; whose
    /// binding it is was not told. `udp_port`: of the tunnel, host order; 0: any. The bindings are
    /// looked for by poll(), a part at a time; a few such paths are remembered, more are forgotten.
    void path_mtu_towards(const Ipv6Address& care_of_address, std::uint16_t udp_port,
                          std::uint32_t mtu);

    /// An ICMP error said that the end of a tunnel cannot be reached, and no more. Senders of what
    /// goes there are told for a while.
    void tunnel_unreachable(const Ipv6Address& care_of_address, std::uint16_t udp_port) {
        tables_.broken_tunnels.add({care_of_address, udp_port}, now_seconds_);
    }
    /// What an ICMP error about a sealed packet comes to.
    enum class VpnPath : std::uint8_t {
        kNotIts,  // nothing of that client goes there
        kKnown,   // no less than what is known
        kLess,
    };
    /// No more than `mtu` octets, UDP 4500 among them, get to where packets of the VPN client
    /// `inner` go: `destination`, and in UDP `udp_port` (host order; 0: not in UDP). Believed for
    /// path_mtu_age_seconds, as long as they go there.
    VpnPath vpn_path_mtu(const Ipv4Address& inner, const Ipv4Address& destination,
                         std::uint16_t udp_port, std::uint32_t mtu);
    /// What was learnt so of the way that packets of `client` take now; 0: nothing.
    [[nodiscard]] std::uint16_t vpn_path_mtu_of(const VpnClient& client) const;

    /// Work that can wait: resolves at most `max_work` bindings anew after route changes, lets
    /// learnt path MTUs age, frees what readers have left. `now_seconds` never goes backwards.
    /// True if more work is left.
    bool poll(std::uint64_t now_seconds, unsigned max_work);

    /// For others whose objects readers hold: same thread, same readers.
    [[nodiscard]] Reclaimer& reclaimer() { return tables_.reclaimer; }

    // --------------------------------------------------------------------- views, for show

    /// function(const Binding&, std::uint32_t slot)
    template <class Function>
    void for_each_binding(Function&& function) const {
        tables_.bindings.for_each(
            [&](std::uint32_t slot, const Binding& binding) { function(binding, slot); });
    }
    /// function(const Route&, std::uint8_t family)
    template <class Function>
    void for_each_route(Function&& function) const {
        for (const std::uint8_t family : {std::uint8_t{6}, std::uint8_t{4}}) {
            tables_.fib.of_family(family).for_each(
                [&](const Route& route) { function(route, family); });
        }
    }
    /// function(const Adjacency&)
    template <class Function>
    void for_each_adjacency(Function&& function) const {
        tables_.adjacencies.for_each(function);
    }
    [[nodiscard]] const Tables& tables() const { return tables_; }
    [[nodiscard]] std::uint32_t binding_count() const { return tables_.bindings.size(); }
    [[nodiscard]] std::uint32_t route_count() const { return tables_.fib.size(); }
    [[nodiscard]] std::uint32_t adjacency_count() const { return tables_.adjacencies.size(); }

  private:
    struct Port {
        MacAddress mac;
        std::uint16_t mtu = 0;
        bool in_use = false;
    };
    /// What the writer alone needs to know of a binding, by slot.
    struct BindingNotes {
        std::uint32_t epoch;
        std::uint32_t learnt_at;       // seconds; valid if learnt_mtu != 0
        std::uint16_t configured_mtu;  // 0: default
        std::uint16_t learnt_mtu;      // 0: nothing learnt
    };
    struct MobilePrefixNotes {
        std::uint32_t epoch = 0;
        Ipv6Address home_address;
    };
    struct RouteNotes {
        std::uint32_t epoch = 0;
        std::uint16_t configured_mtu = 0;
    };
    struct PrefixHash {
        std::size_t operator()(const Ipv6Prefix& prefix) const noexcept {
            return std::hash<Ipv6Address>{}(prefix.address) * 131 + prefix.length;
        }
    };
    using RouteNotesMap = std::unordered_map<Ipv6Prefix, RouteNotes, PrefixHash>;
    struct Resolution {
        std::uint32_t adjacency = channel::kNoIndex;  // referred to already
        std::uint16_t mtu = 0;                        // of the route; 0: none
    };

    /// A prefix of either family as the tables keep it: v4-mapped, masked, its length of 128 bits.
    [[nodiscard]] static std::expected<Ipv6Prefix, WriteError> table_prefix(
        const channel::WireAddress& address, unsigned length);
    [[nodiscard]] Applied check_port(std::uint16_t port) const;
    [[nodiscard]] RouteNotesMap& notes_of(std::uint8_t family) {
        return family == 4 ? route_notes_v4_ : route_notes_v6_;
    }
    void remove_route(std::uint8_t family, const Ipv6Prefix& prefix);
    void remove_neighbour(std::uint32_t adjacency);
    void remove_binding(const Ipv6Address& home_address);
    void remove_mobile_prefix(const Ipv6Prefix& prefix);
    void disown_mobile_prefix(const Ipv6Prefix& prefix, const Ipv6Address& home_address);
    void route_changed() { unresolved_work_ = tables_.bindings.slot_limit(); }

    [[nodiscard]] Resolution resolve(const Binding& binding);
    [[nodiscard]] std::uint16_t path_mtu_of(const Binding& binding, const BindingNotes& notes,
                                            const Resolution& resolution) const;
    /// Puts `binding` with a path MTU and adjacency of its own; `resolution` is handed over.
    Applied publish(Binding binding, const BindingNotes& notes, const Resolution& resolution);
    void note_broadcasts(const Binding& binding);
    void resolve_again(std::uint32_t slot);
    void resolve_some(unsigned max_work);
    void learn_some(unsigned max_work);
    void age_some(unsigned max_work);
    std::uint32_t sweep_bindings();
    std::uint32_t sweep_routes();
    std::uint32_t sweep_neighbours();
    std::uint32_t sweep_addresses();
    std::uint32_t sweep_home_prefixes();
    std::uint32_t sweep_mobile_prefixes();
    std::uint32_t sweep_vpn_clients();

    Tables& tables_;
    std::array<Port, channel::kMaxPorts> ports_{};
    std::uint16_t default_path_mtu_ = channel::ParametersSet{}.default_path_mtu;
    /// A path that path_mtu_towards() told of, and the slots that are still to be looked at.
    struct TunnelPath {
        Ipv6Address care_of_address;
        std::uint32_t mtu = 0;
        std::uint32_t looks_left = 0;
        std::uint16_t udp_port = 0;
    };
    static constexpr std::size_t kMostTunnelPaths = 16;
    std::vector<TunnelPath> tunnel_paths_;
    std::uint32_t path_cursor_ = 0;
    std::uint32_t path_mtu_age_seconds_ = channel::ParametersSet{}.path_mtu_age_seconds;
    std::uint64_t now_seconds_ = 0;

    std::uint32_t epoch_ = 1;
    bool syncing_ = false;
    bool synced_once_ = false;
    MappedArray<BindingNotes> binding_notes_;  // by slot
    RouteNotesMap route_notes_v6_, route_notes_v4_;
    std::unordered_map<Ipv6Prefix, std::uint32_t, PrefixHash> home_prefix_epochs_;
    std::unordered_map<Ipv6Prefix, MobilePrefixNotes, PrefixHash> mobile_prefix_notes_;
    /// What goes with a binding, by its home address.
    std::unordered_map<Ipv6Address, std::vector<Ipv6Prefix>> mobile_prefixes_of_;
    std::unordered_map<Ipv4Address, std::uint32_t> vpn_client_epochs_;  // by inner address
    struct VpnPathMtu {
        VpnClients::ReturnPath way;
        std::uint64_t learnt_at = 0;  // seconds
        std::uint16_t mtu = 0;
    };
    std::unordered_map<Ipv4Address, VpnPathMtu> vpn_path_mtus_;  // learnt; by inner address
    std::vector<std::uint32_t> neighbour_epochs_;  // by adjacency; 0: not a known neighbour

    std::uint32_t cursor_ = 0;           // next slot of bindings to resolve anew
    std::uint32_t unresolved_work_ = 0;  // slots from there on, cyclic, until all were looked at
    std::uint32_t age_cursor_ = 0;       // next slot whose learnt path MTU may be too old
    std::uint64_t aged_at_ = 0;          // second of the last look
};

}  // namespace homeport::table
