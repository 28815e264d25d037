// SPDX-License-Identifier: BSD-3-Clause
// Clients of the VPN gateway (P31, P32), by what a packet shows of them: the address that they use
// inside the VPN, the one that it is translated to, where their SAs end, and the SPI of the inbound
// one. And where the last valid packet of each came from, for those behind a NAT (RFC 3948).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/binding_table.hpp"
#include "dataplane/table/concurrent_hash.hpp"
#include "dataplane/table/memory.hpp"

namespace homeport::table {

/// Never changed once readers can see it.
struct VpnClient {
    Ipv6Address key;         // what it was found by
    Ipv4Address inner;       // VPN-TIA
    Ipv4Address outer;       // x-HoA, where its SA ends
    Ipv4Address gateway;     // ours
    Ipv4Address translated;  // what `inner` is outside the VPN (S2.36); 0.0.0.0: itself
    std::uint32_t spi_in;
    std::uint32_t index;     // of its return path
    std::uint16_t path_mtu;  // octets of sealed packet that get to `outer`; 0: as routed
    channel::UdpEncapsulation udp_encapsulation;
    std::uint8_t reserved[5];
};
static_assert(sizeof(VpnClient) == 48);

struct VpnClientTraits {
    using Entry = VpnClient;
    using Key = Ipv6Address;
    static std::uint64_t hash(const Key& key, std::uint64_t seed) {
        return hash_address(key, 0, seed);
    }
    static bool matches(const Entry& entry, const Key& key) { return same_address(entry.key, key); }
    static Key key_of(const Entry& entry) { return entry.key; }
};

class VpnClients {
  public:
    VpnClients(std::uint32_t max_clients, Reclaimer& reclaimer);

    [[nodiscard]] bool valid() const { return hash_.valid() && paths_.valid(); }

    // ------------------------------------------------------------------------------- readers

    [[nodiscard]] bool empty() const { return __atomic_load_n(&count_, __ATOMIC_RELAXED) == 0; }
    /// Null: no client's.
    [[nodiscard]] const VpnClient* of_inner(const Ipv4Address& address) const {
        return empty() ? nullptr : find(v4_mapped(address));
    }
    [[nodiscard]] const VpnClient* of_translated(const Ipv4Address& address) const {
        return empty() ? nullptr : find(translated_key(address));
    }
    [[nodiscard]] const VpnClient* of_spi(std::uint32_t spi) const {
        return empty() ? nullptr : find(spi_key(spi));
    }

    /// By the address where its SA ends.
    [[nodiscard]] const VpnClient* of_outer(const Ipv4Address& address) const {
        return empty() ? nullptr : find(outer_key(address));
    }

    /// Whether to fetch before one asks: no, while caches hold the table anyway.
    [[nodiscard]] bool worth_fetching() const {
        constexpr std::uint32_t kHeldByCaches = 1024;
        return __atomic_load_n(&count_, __ATOMIC_RELAXED) > kHeldByCaches;
    }
    /// Brings to the cache, many at once, what is asked for one by one soon after: without it each
    /// question about one of 100 k clients waits for memory twice. Goes out of scope before the
    /// first question.
    class Fetch {
      public:
        explicit Fetch(const VpnClients& clients) : clients_(clients) {}
        ~Fetch() { run(); }
        Fetch(const Fetch&) = delete;
        Fetch& operator=(const Fetch&) = delete;

        /// For of_inner() and of_translated().
        void inside(const Ipv4Address& address) {
            add(v4_mapped(address));
            add(translated_key(address));
        }
        void inner(const Ipv4Address& address) { add(v4_mapped(address)); }
        void outer(const Ipv4Address& address) { add(outer_key(address)); }
        void spi(std::uint32_t spi) { add(spi_key(spi)); }

      private:
        void add(const Ipv6Address& key) {
            if (count_ == keys_.size()) run();
            keys_[count_++] = key;
        }
        void run();

        const VpnClients& clients_;
        unsigned count_ = 0;
        std::array<Ipv6Address, 64> keys_;
    };

    /// Where ESP in UDP 4500 goes; port in host order, never 0.
    struct ReturnPath {
        Ipv4Address address;
        std::uint16_t port = 0;
        friend bool operator==(const ReturnPath&, const ReturnPath&) = default;
    };
    /// Nothing: none was learnt, or the last valid packet did not come in UDP.
    [[nodiscard]] std::optional<ReturnPath> return_path(const VpnClient& client) const;
    /// After an authentic packet. True: this is new. Any worker.
    bool learn(std::uint32_t index, const std::optional<ReturnPath>& path) const;

    // -------------------------------------------------------------------------------- writer

    /// False: the table is full.
    [[nodiscard]] bool put(VpnClient client);
    /// False: there was none.
    bool erase(const Ipv4Address& inner);
    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint32_t size() const { return count_; }
    /// function(const VpnClient&)
    template <class Function>
    void for_each(Function&& function) const {
        hash_.for_each([&](std::uint32_t, const VpnClient& client) {
            if (client.key == v4_mapped(client.inner)) function(client);
        });
    }

  private:
    // Keys that no packet's address has, as their first octet is that of multicast.
    static Ipv6Address translated_key(const Ipv4Address& address) {
        Ipv6Address key{{0xff, 1}};
        address.store(key.bytes.data() + 12);
        return key;
    }
    static Ipv6Address spi_key(std::uint32_t spi) {
        Ipv6Address key{{0xff, 2}};
        store_be32(key.bytes.data() + 12, spi);
        return key;
    }
    static Ipv6Address outer_key(const Ipv4Address& address) {
        Ipv6Address key{{0xff, 3}};
        address.store(key.bytes.data() + 12);
        return key;
    }
    [[nodiscard]] const VpnClient* find(const Ipv6Address& key) const {
        const std::uint32_t slot = hash_.find(key);
        return slot == kNoSlot ? nullptr : &hash_.at(slot);
    }

    std::uint32_t capacity_;
    ConcurrentHash<VpnClientTraits> hash_;
    mutable MappedArray<std::uint64_t> paths_;  // address, port; 0: none
    std::vector<std::uint32_t> free_indices_;
    std::uint32_t next_index_ = 0;
    std::uint32_t count_ = 0;
};

}  // namespace homeport::table
