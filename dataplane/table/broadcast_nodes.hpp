// SPDX-License-Identifier: BSD-3-Clause
// Mobile IPv4 nodes that want the broadcasts of their home link (flag B, P29): a short list, as
// each broadcast is copied for all of them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "dataplane/base/address.hpp"
#include "dataplane/table/reclaimer.hpp"

namespace homeport::table {

class BroadcastNodes {
  public:
    /// More than these get no broadcasts.
    static constexpr std::size_t kMax = 128;
    struct Node {
        Ipv6Address home_address;  // v4-mapped
        std::uint16_t port = 0;    // home link
        friend bool operator==(const Node&, const Node&) = default;
    };

    explicit BroadcastNodes(Reclaimer& reclaimer) : reclaimer_(reclaimer), list_(new List) {}
    ~BroadcastNodes() { delete list_; }
    BroadcastNodes(const BroadcastNodes&) = delete;
    BroadcastNodes& operator=(const BroadcastNodes&) = delete;

    // ------------------------------------------------------------------------------- readers

    [[nodiscard]] std::span<const Node> all() const {
        const List* const list = __atomic_load_n(&list_, __ATOMIC_ACQUIRE);
        return std::span(list->nodes.data(), list->count);
    }

    // -------------------------------------------------------------------------------- writer

    void set(const Node& node);
    void remove(const Ipv6Address& home_address);

  private:
    struct List {  // immutable once published
        std::size_t count = 0;
        std::array<Node, kMax> nodes;
    };
    void publish();

    Reclaimer& reclaimer_;
    const List* list_;
    std::unordered_map<Ipv6Address, std::uint16_t> ports_;  // of all nodes that asked
};

}  // namespace homeport::table
