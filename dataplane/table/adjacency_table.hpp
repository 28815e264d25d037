// SPDX-License-Identifier: BSD-3-Clause
// Next hops: an index that routes and bindings keep, and behind it what to write on the wire.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/concurrent_hash.hpp"

namespace homeport::table {

/// A neighbour on a port, resolved or wanted. One cache line; never changed once readers see it.
struct alignas(64) Adjacency {
    Ipv6Address next_hop;                   // v4-mapped for IPv4
    std::array<std::uint8_t, 16> ethernet;  // the first 14 octets go before the packet
    std::uint32_t index;                    // its own
    std::uint32_t mtu;                      // of the port, octets of IP packet
    std::uint16_t port;                     // egress
    std::uint8_t family;                    // 4 or 6: of next_hop, and of the EtherType
    std::uint8_t resolved;                  // 0: `ethernet` is void, the kernel must resolve it
};
static_assert(sizeof(Adjacency) == 64);

struct NeighbourKey {
    Ipv6Address address;  // v4-mapped for IPv4
    std::uint16_t port;
};
struct AdjacencyTraits {
    using Entry = Adjacency;
    using Key = NeighbourKey;
    static std::uint64_t hash(const Key& key, std::uint64_t seed) {
        return hash_address(key.address, key.port, seed);
    }
    static bool matches(const Entry& entry, const Key& key) {
        return entry.port == key.port && same_address(entry.next_hop, key.address);
    }
    static Key key_of(const Entry& entry) { return {entry.next_hop, entry.port}; }
};

/// An index stays the same while anybody refers to it, however often its neighbour changes.
class AdjacencyTable {
  public:
    AdjacencyTable(std::uint32_t max_adjacencies, Reclaimer& reclaimer);

    [[nodiscard]] bool valid() const { return hash_.valid() && current_.valid(); }

    // ------------------------------------------------------------------------------- readers
    // What a reader got is valid until its next quiescent state.

    /// Rises with each index that is given back, and may come to mean another neighbour.
    [[nodiscard]] std::uint64_t generation() const {
        return __atomic_load_n(&generation_, __ATOMIC_ACQUIRE);
    }
    /// Null if `index` is not in use (kNoIndex included).
    [[nodiscard]] const Adjacency* find(std::uint32_t index) const {
        if (index >= hash_.capacity()) return nullptr;
        const std::uint32_t slot = __atomic_load_n(&current_[index], __ATOMIC_ACQUIRE);
        return slot == 0 ? nullptr : &hash_.at(slot - 1);
    }
    /// The neighbour `address` on `port`, known or wanted; null: nobody refers to it.
    [[nodiscard]] const Adjacency* find(std::uint16_t port, const Ipv6Address& address) const {
        const std::uint32_t slot = hash_.find({address, port});
        return slot == kNoSlot ? nullptr : &hash_.at(slot);
    }
    void prefetch(std::uint32_t index) const {
        if (index < hash_.capacity()) __builtin_prefetch(&current_[index]);
    }

    // -------------------------------------------------------------------------------- writer

    enum class Error : std::uint8_t { kFull };
    /// Refers to `address` on `port`; makes an unresolved adjacency if there is none yet.
    std::expected<std::uint32_t, Error> acquire(std::uint16_t port, const Ipv6Address& address,
                                                std::uint32_t mtu);
    /// Another reference to an index that the caller knows to be referred to.
    void acquire(std::uint32_t index) { ++references_[index]; }
    /// Gives a reference back; the last one frees the index. kNoIndex is ignored.
    void release(std::uint32_t index);
    /// Sets the link-layer addresses. True if anything changed.
    bool resolve(std::uint32_t index, const MacAddress& neighbour, const MacAddress& own);
    /// The neighbour is lost.
    void unresolve(std::uint32_t index);
    void set_mtu(std::uint32_t index, std::uint32_t mtu);
    [[nodiscard]] std::uint32_t references(std::uint32_t index) const { return references_[index]; }
    [[nodiscard]] std::uint32_t size() const { return hash_.size(); }
    [[nodiscard]] std::uint32_t capacity() const { return hash_.capacity(); }
    template <class Function>
    void for_each(Function&& function) const {  // function(const Adjacency&)
        hash_.for_each([&](std::uint32_t, const Adjacency& adjacency) { function(adjacency); });
    }

  private:
    void publish(const Adjacency& adjacency);

    ConcurrentHash<AdjacencyTraits> hash_;
    MappedArray<std::uint32_t> current_;  // by index: slot + 1, 0: not in use
    Reclaimer& reclaimer_;
    std::vector<std::uint32_t> references_;
    std::vector<std::uint32_t> free_;
    std::uint32_t fresh_ = 0;
    std::uint64_t generation_ = 0;
};

}  // namespace homeport::table
