// SPDX-License-Identifier: BSD-3-Clause
// Addresses of this host: what is for us, and what we speak as.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/concurrent_hash.hpp"

namespace homeport::table {

struct LocalAddress {
    Ipv6Address address;  // v4-mapped for IPv4
    std::uint32_t ports;  // bit n: on port n; 0: on an interface that is none of our ports
    std::uint8_t is_home_agent_address;  // tunnels of Mobile IPv6 and DSMIPv6 end here
    channel::Mip4Role mip4_role;         // those of a Mobile IPv4 home agent
    std::uint8_t is_vpn_gateway;         // ESP tunnels of VPN clients end here
    std::uint8_t reserved[9];

    [[nodiscard]] bool on_port(std::uint16_t port) const {
        return port < channel::kMaxPorts && (ports >> port & 1) != 0;
    }
};
static_assert(sizeof(LocalAddress) == 32);

struct LocalAddressTraits {
    using Entry = LocalAddress;
    using Key = Ipv6Address;
    static std::uint64_t hash(const Key& key, std::uint64_t seed) {
        return hash_address(key, 0, seed);
    }
    static bool matches(const Entry& entry, const Key& key) {
        return same_address(entry.address, key);
    }
    static Key key_of(const Entry& entry) { return entry.address; }
};

/// Multicast groups are not here: they are the kernel's business.
class LocalAddresses {
  public:
    LocalAddresses(std::uint32_t max_addresses, Reclaimer& reclaimer);
    ~LocalAddresses();

    [[nodiscard]] bool valid() const { return hash_.valid(); }

    // ------------------------------------------------------------------------------- readers

    /// Rises with each change, once it can be seen.
    [[nodiscard]] std::uint64_t generation() const {
        return __atomic_load_n(&generation_, __ATOMIC_ACQUIRE);
    }
    /// Null: not ours.
    [[nodiscard]] const LocalAddress* find(const Ipv6Address& address) const {
        const std::uint32_t slot = hash_.find(address);
        return slot == kNoSlot ? nullptr : &hash_.at(slot);
    }
    [[nodiscard]] const LocalAddress* find(const Ipv4Address& address) const {
        return find(v4_mapped_(address));
    }
    /// Up to ConcurrentHash::kMaxBulk addresses; out[i]: null if not ours.
    void find_bulk(const Ipv6Address* const* addresses, unsigned count,
                   const LocalAddress** out) const;
    /// Own source address for a packet to `destination` that leaves by `port`: of its scope, one of
    /// the port if it has any, else a home agent address, else any. Nothing: there is none.
    [[nodiscard]] std::optional<Ipv6Address> source_for(std::uint16_t port,
                                                        const Ipv6Address& destination) const;
    [[nodiscard]] std::optional<Ipv4Address> source_for(std::uint16_t port,
                                                        const Ipv4Address& destination) const;

    /// Whether any address is a Mobile IPv4 home agent's.
    [[nodiscard]] bool serves_mip4() const {
        return __atomic_load_n(&serves_mip4_, __ATOMIC_RELAXED) != 0;
    }

    // -------------------------------------------------------------------------------- writer

    enum class Error : std::uint8_t { kFull };
    struct OnPort {
        std::uint8_t prefix_length = 0;
        bool is_home_agent_address = false;
        std::uint32_t epoch = 0;
        channel::Mip4Role mip4_role = channel::Mip4Role::kNone;
        bool is_vpn_gateway = false;
    };
    using Key = std::pair<Ipv6Address, std::uint16_t>;  // address, port or kNoPort

    std::expected<void, Error> set(const Ipv6Address& address, std::uint16_t port,
                                   const OnPort& properties);
    /// False: there was none.
    bool remove(const Ipv6Address& address, std::uint16_t port);
    [[nodiscard]] const std::map<Key, OnPort>& all() const { return all_; }

  private:
    struct Sources {
        std::optional<Ipv6Address> link_local;
        std::optional<Ipv6Address> routable;
        std::optional<Ipv4Address> v4;
    };
    struct AllSources {  // immutable; one for each port, and the last for every port
        std::array<Sources, channel::kMaxPorts + 1> of;
    };
    static Ipv6Address v4_mapped_(const Ipv4Address& address) {
        Ipv6Address mapped{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
        address.store(mapped.bytes.data() + 12);
        return mapped;
    }
    std::expected<void, Error> publish(const Ipv6Address& address);
    void publish_sources();
    [[nodiscard]] const AllSources& sources() const {
        return *__atomic_load_n(&sources_, __ATOMIC_ACQUIRE);
    }

    ConcurrentHash<LocalAddressTraits> hash_;
    Reclaimer& reclaimer_;
    std::map<Key, OnPort> all_;
    const AllSources* sources_;
    std::uint64_t generation_ = 0;
    std::uint8_t serves_mip4_ = 0;
};

}  // namespace homeport::table
