// SPDX-License-Identifier: BSD-3-Clause
// Prefixes that home addresses come from: real home links and virtual prefixes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/prefix_table.hpp"

namespace homeport::table {

struct HomePrefix {
    Ipv6Address prefix;         // masked; v4-mapped for IPv4
    std::uint16_t port;         // the home link; channel::kNoPort: virtual prefix
    std::uint8_t length;        // of 128 bits
    std::uint8_t drop_unbound;  // 1: no_binding = drop; 0: forward_home (S1.17)
    std::uint8_t reserved[12];

    [[nodiscard]] bool is_virtual() const { return port == channel::kNoPort; }
};
static_assert(sizeof(HomePrefix) == 32);

class HomePrefixes {
  public:
    using Error = PrefixTable<HomePrefix>::Error;

    HomePrefixes(std::uint32_t max_prefixes, Reclaimer& reclaimer);
    ~HomePrefixes();

    [[nodiscard]] bool valid() const { return table_.valid(); }

    // ------------------------------------------------------------------------------- readers

    /// Rises with each change, once it can be seen.
    [[nodiscard]] std::uint64_t generation() const { return table_.generation(); }
    /// The home prefix that holds `address` (IPv4: v4-mapped); null: none.
    [[nodiscard]] const HomePrefix* find(const Ipv6Address& address) const {
        return table_.find(address);
    }
    void find_bulk(const Ipv6Address* const* addresses, unsigned count,
                   const HomePrefix** out) const {
        table_.find_bulk(addresses, count, out);
    }
    /// The home prefixes of the link at `port`.
    [[nodiscard]] std::span<const HomePrefix> on_port(std::uint16_t port) const;
    [[nodiscard]] bool is_home_port(std::uint16_t port) const { return !on_port(port).empty(); }

    // -------------------------------------------------------------------------------- writer

    std::expected<void, Error> put(const HomePrefix& prefix);
    bool erase(const Ipv6Address& prefix, std::uint8_t length);
    [[nodiscard]] const PrefixTable<HomePrefix>& table() const { return table_; }

  private:
    using ByPort = std::array<std::vector<HomePrefix>, channel::kMaxPorts>;
    void publish();

    PrefixTable<HomePrefix> table_;
    Reclaimer& reclaimer_;
    const ByPort* by_port_;
};

}  // namespace homeport::table
