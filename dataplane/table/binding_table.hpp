// SPDX-License-Identifier: BSD-3-Clause
// Home address to binding: the table that every packet to a mobile node asks (P1, P2, P14).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/concurrent_hash.hpp"

namespace homeport::table {

/// IPv4 addresses are keys and members in this form: ::ffff:a.b.c.d. Made in one piece, as it is
/// compared: what was stored in several, one load cannot take in.
[[nodiscard]] inline Ipv6Address v4_mapped(const Ipv4Address& address) {
    std::uint32_t octets;
    std::memcpy(&octets, address.bytes.data(), sizeof octets);
    Ipv6Address mapped;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(mapped.bytes.data()),
                     _mm_set_epi32(static_cast<int>(octets), static_cast<int>(0xffff'0000u), 0, 0));
    return mapped;
}
/// The IPv4 address in `mapped`, which must be v4-mapped.
[[nodiscard]] inline Ipv4Address v4_of(const Ipv6Address& mapped) {
    return Ipv4Address::load(mapped.bytes.data() + 12);
}
/// `address` as a table key; family 0 gives ::.
[[nodiscard]] inline Ipv6Address key_address(const channel::WireAddress& address) {
    if (address.family == 4) return v4_mapped(address.v4());
    return address.family == 6 ? address.v6() : Ipv6Address{};
}

/// Octets that an encapsulation adds (packet-paths section 3).
[[nodiscard]] constexpr std::uint16_t overhead_of(channel::Encapsulation encapsulation) {
    switch (encapsulation) {
        case channel::Encapsulation::kIpv6:
            return 40;
        case channel::Encapsulation::kIpv4:
            return 20;
        case channel::Encapsulation::kUdpIpv4:
            return 28;
        case channel::Encapsulation::kUdpIpv6:
            return 48;
        case channel::Encapsulation::kGre:
            return 24;
        case channel::Encapsulation::kMinimal:
            return 12;
        case channel::Encapsulation::kMipUdp:
            return 32;
        case channel::Encapsulation::kMipUdpGre:
            return 36;
        case channel::Encapsulation::kMipUdpMinimal:
            return 24;
    }
    return 48;
}
[[nodiscard]] constexpr bool is_over_ipv6(channel::Encapsulation encapsulation) {
    return encapsulation == channel::Encapsulation::kIpv6 ||
           encapsulation == channel::Encapsulation::kUdpIpv6;
}
[[nodiscard]] constexpr bool is_in_udp(channel::Encapsulation encapsulation) {
    return encapsulation == channel::Encapsulation::kUdpIpv4 ||
           encapsulation == channel::Encapsulation::kUdpIpv6 ||
           encapsulation >= channel::Encapsulation::kMipUdp;
}

/// Key of a further care-of address of a Mobile IPv4 node, `copy` from 1: no packet's address is
/// like it, as its first octet is that of multicast. 0 is the home address itself.
[[nodiscard]] inline Ipv6Address copy_key(const Ipv6Address& home_address, std::uint8_t copy) {
    Ipv6Address key = home_address;
    if (copy != 0) {
        key.bytes[0] = 0xff;
        key.bytes[1] = copy;
    }
    return key;
}

/// The home address of such a key.
[[nodiscard]] inline Ipv6Address home_address_of(const Ipv6Address& key) {
    return key.bytes[0] == 0xff ? v4_mapped(v4_of(key)) : key;
}

inline constexpr std::uint8_t kNoHomePort = 0xff;

/// All that the outbound and the reverse path need, in the one cache line that they touch.
/// Never changed once readers can see it: a change makes a new one in another slot.
struct alignas(64) Binding {
    Ipv6Address home_address;  // v4-mapped for an IPv4 home address; of a copy: copy_key()
    // Ends of the tunnel, in the order of a header's addresses.
    Ipv6Address home_agent_address;  // outer source; v4-mapped for an IPv4 one
    Ipv6Address care_of_address;     // v4-mapped for an IPv4 one; :: while tentative
    std::uint32_t adjacency;         // next hop to the care-of address; channel::kNoIndex: route it
    std::uint32_t counter_index;     // row of the statistics; channel::kNoIndex: not counted
    std::uint16_t flags;             // channel::BindingFlags
    std::uint16_t path_mtu;          // octets of outer packet: least of what is configured, learnt
                                     // from ICMP, and carried by the route to the care-of address
    std::uint16_t udp_port;          // peer's, for UDP encapsulations; host order
    std::uint8_t home_port;          // home link, or kNoHomePort
    channel::Encapsulation encapsulation;

    [[nodiscard]] channel::Mip4Role mip4_role() const { return channel::mip4_role(flags); }
    [[nodiscard]] bool tentative() const { return (flags & channel::kBindingTentative) != 0; }
    /// An IPv6 tunnel that is in use; in one compare, since nearly every packet asks.
    [[nodiscard]] bool is_open_ipv6_tunnel() const {
        static_assert(channel::Encapsulation::kIpv6 == channel::Encapsulation{});
        constexpr std::uint64_t kRefused = channel::kBindingTentative | std::uint64_t{0xff} << 56;
        std::uint64_t word;
        std::memcpy(&word, &flags, sizeof word);
        return (word & kRefused) == 0;
    }
    /// Largest inner packet that needs no outer fragmentation.
    [[nodiscard]] std::uint16_t tunnel_mtu() const {
        return static_cast<std::uint16_t>(path_mtu - overhead_of(encapsulation));
    }
};
static_assert(sizeof(Binding) == 64);
static_assert(offsetof(Binding, flags) == 56 && offsetof(Binding, encapsulation) == 63);
static_assert(offsetof(Binding, care_of_address) == offsetof(Binding, home_agent_address) + 16);

struct BindingTraits {
    using Entry = Binding;
    using Key = Ipv6Address;
    static std::uint64_t hash(const Key& key, std::uint64_t seed) {
        return hash_address(key, 0, seed);
    }
    static bool matches(const Entry& entry, const Key& key) {
        return same_address(entry.home_address, key);
    }
    static Key key_of(const Entry& entry) { return entry.home_address; }
};

/// IPv6 and IPv4 home addresses share one table and one space of slots, so that a slot alone names
/// a binding (PacketMeta::binding) and max_bindings is one limit.
/// Readers: find(), find_bulk(), at(). Tentative bindings are found too; the caller looks at
/// tentative().
using BindingTable = ConcurrentHash<BindingTraits>;

}  // namespace homeport::table
