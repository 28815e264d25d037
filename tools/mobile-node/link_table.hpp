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

struct LinkAddress4 {
    Ipv4Address address;
    std::uint8_t prefix_length = 32;
    bool deprecated = false;
    std::uint32_t valid_lifetime = kInfinite;  // seconds, when the kernel last told

    friend bool operator==(const LinkAddress4&, const LinkAddress4&) = default;
};

struct Link {
    int index = 0;
    std::string name;
    bool running = false;  // administratively up, with carrier
    bool loopback = false;
    unsigned mtu = 1500;
    std::uint32_t carrier_changes = 0;  // as the kernel counts them
    std::optional<MacAddress> mac;
    std::vector<LinkAddress> addresses;
    std::vector<LinkAddress4> addresses4;

    friend bool operator==(const Link&, const Link&) = default;
};

/// Of the main table, unicast.
template <class Address>
struct BasicLinkRoute {
    Prefix<Address> destination;
    int interface = 0;
    bool on_link = false;  // has no gateway
    std::uint32_t metric = 0;

    friend bool operator==(const BasicLinkRoute&, const BasicLinkRoute&) = default;
};
using LinkRoute = BasicLinkRoute<Ipv6Address>;
using LinkRoute4 = BasicLinkRoute<Ipv4Address>;

class LinkTable {
  public:
    static constexpr std::size_t kMostLinks = 1024;
    static constexpr std::size_t kMostAddresses = 256;  // of one link
    static constexpr std::size_t kMostRoutes = 1024;

    /// Routes are kept only if they lead to `home_agent` or one of `home_agents4`, or are that of
    /// `home_prefix` itself.
    LinkTable(const Ipv6Address& home_agent, const Ipv6Prefix& home_prefix,
              std::vector<Ipv4Address> home_agents4 = {})
        : home_agent_(home_agent),
          home_prefix_(home_prefix),
          home_agents4_(std::move(home_agents4)) {}

    void clear();
    /// Adds or changes a link; its addresses stay.
    void set_link(const Link& link);
    void remove_link(int index);
    void set_address(int index, const LinkAddress& address);
    void remove_address(int index, const Ipv6Address& address);
    void set_route(const LinkRoute& route);
    void remove_route(const LinkRoute& route);
    void set_address(int index, const LinkAddress4& address);
    void remove_address(int index, const Ipv4Address& address);
    void set_route(const LinkRoute4& route);
    void remove_route(const LinkRoute4& route);
    /// The kernel does not say so when a link that goes down takes its IPv4 routes along.
    void remove_routes4(int index);

    /// Grows whenever something of the link went, if only for a moment: carrier, an IPv4 address,
    /// the link itself (S2.45, S2.57).
    [[nodiscard]] std::uint64_t losses(int index) const;

    [[nodiscard]] const std::map<int, Link>& links() const { return links_; }
    [[nodiscard]] const std::vector<LinkRoute>& routes() const { return routes_; }
    [[nodiscard]] const std::vector<LinkRoute4>& routes4() const { return routes4_; }
    [[nodiscard]] const Link* find(int index) const;
    /// Whether a usable `address` is on a running link `index`.
    [[nodiscard]] bool has_address(int index, const Ipv6Address& address) const;
    [[nodiscard]] bool has_address(int index, const Ipv4Address& address) const;

  private:
    Ipv6Address home_agent_;
    Ipv6Prefix home_prefix_;
    std::vector<Ipv4Address> home_agents4_;
    std::map<int, Link> links_;
    std::vector<LinkRoute> routes_;
    std::vector<LinkRoute4> routes4_;
    std::map<int, std::uint64_t> losses_;
    std::uint64_t lost_all_ = 0;
};

}  // namespace homeport::mobile_node
