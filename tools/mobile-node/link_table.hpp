// SPDX-License-Identifier: BSD-3-Clause
// What the kernel's links, addresses and routes look like, as far as attachment needs them.
// Pure data: netlink_monitor.hpp fills it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::mobile_node {

inline constexpr std::uint32_t kInfinite = 0xffffffff;

struct LinkAddress {
    Ipv6Address address;
    std::uint8_t prefix_length = 128;
    bool tentative = false;  // also: duplicate address detection failed
    bool deprecated = false;
    bool temporary = false;                    // RFC 8981
    std::uint32_t valid_lifetime = kInfinite;  // seconds, when the kernel last told

    friend bool operator==(const LinkAddress&, const LinkAddress&) = default;
};

struct Link {
    int index = 0;
    std::string name;
    bool running = false;  // administratively up, with carrier
    bool loopback = false;
    unsigned mtu = 1500;
    std::optional<MacAddress> mac;
    std::vector<LinkAddress> addresses;

    friend bool operator==(const Link&, const Link&) = default;
};

/// Of the main table, unicast.
struct LinkRoute {
    Ipv6Prefix destination;
    int interface = 0;
    bool on_link = false;  // has no gateway
    std::uint32_t metric = 0;

    friend bool operator==(const LinkRoute&, const LinkRoute&) = default;
};

class LinkTable {
  public:
    static constexpr std::size_t kMostLinks = 1024;
    static constexpr std::size_t kMostAddresses = 256;  // of one link
    static constexpr std::size_t kMostRoutes = 1024;

    /// Routes are kept only if they lead to `home_agent` or are that of `home_prefix` itself.
    LinkTable(const Ipv6Address& home_agent, const Ipv6Prefix& home_prefix)
        : home_agent_(home_agent), home_prefix_(home_prefix) {}

    void clear();
    /// Adds or changes a link; its addresses stay.
    void set_link(const Link& link);
    void remove_link(int index);
    void set_address(int index, const LinkAddress& address);
    void remove_address(int index, const Ipv6Address& address);
    void set_route(const LinkRoute& route);
    void remove_route(const LinkRoute& route);

    [[nodiscard]] const std::map<int, Link>& links() const { return links_; }
    [[nodiscard]] const std::vector<LinkRoute>& routes() const { return routes_; }
    [[nodiscard]] const Link* find(int index) const;
    /// Whether a usable `address` is on a running link `index`.
    [[nodiscard]] bool has_address(int index, const Ipv6Address& address) const;

  private:
    Ipv6Address home_agent_;
    Ipv6Prefix home_prefix_;
    std::map<int, Link> links_;
    std::vector<LinkRoute> routes_;
};

}  // namespace homeport::mobile_node
