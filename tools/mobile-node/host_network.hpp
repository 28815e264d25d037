// SPDX-License-Identifier: BSD-3-Clause
// What the mobile node sets in the kernel of its host: the TUN device's address and MTU, the rules
// and routes that lead into it, and the silence towards the home agent. All of it goes again with
// remove(); what a killed process left behind is taken over by the next.
//
// Rules, all with the configured priority; the last one is asked first:
//   from HOME_ADDRESS lookup TABLE          with FIB_RULE_FIND_SADDR: a packet that has no source
//                                           address yet matches too, if it would get the home
//                                           address. Traffic from a care-of address does not match
//                                           and takes the main table.
//   from HOME_ADDRESS oif HOME lookup TABLE+1
//                                           At home: what we send natively on the home link.
//   to HOME_AGENT ICMPv6 4/0-2, 1/4 blackhole
//                                           The kernel does not know routing header type 2 (nor,
//                                           with its tunnel driver loaded, our tunnel) and would
//                                           answer each packet of the home agent with an error.
//   to HOME_AGENT_IPV4 ICMP 3/2-3 blackhole Likewise in IPv4.
//   from HOME_ADDRESS_IPV4 lookup TABLE     and, as long as the home agent serves it,
//   from 0.0.0.0/32 lookup TABLE            new connections, which have no source address yet; what
//                                           is bound to an address takes the main table.
//   to CORRESPONDENTS ICMPv6 4/0 blackhole  With route optimisation: routing headers come from them
//                                           too.
#pragma once

#include <cstdint>

#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/file_descriptor.hpp"
#include "tools/mobile-node/netlink_socket.hpp"
#include "tools/mobile-node/router_network.hpp"

namespace homeport::mobile_node {

class HostNetwork {
  public:
    /// Brings the TUN device `index` up with the home addresses, and sets rules and routes.
    [[nodiscard]] static Result<HostNetwork> set_up(const Config& config, int index, unsigned mtu);
    HostNetwork(HostNetwork&&) = default;
    HostNetwork& operator=(HostNetwork&&) = delete;

    /// Takes the rules away; addresses and routes go with the device.
    void remove();
    [[nodiscard]] Result<void> set_mtu(unsigned mtu);
    /// The IPv4 home address, none while a dynamic one is not known. `bound`: the home agent serves
    /// it, so new connections get it.
    [[nodiscard]] Result<void> set_ipv4_home_address(const std::optional<Ipv4Address>& address,
                                                     bool bound);
    /// At home what has the IPv4 home address leaves by the kernel's own routes.
    [[nodiscard]] Result<void> set_ipv4_native(bool native);
    /// Routes for packets that leave natively on the home link `index`: the home prefix is on it.
    /// With `default_route` everything else goes to the home agent, which is a router there; else
    /// by the kernel's own routes for that link.
    [[nodiscard]] Result<void> set_home_link(int index, const std::string& name,
                                             bool default_route);

  private:
    HostNetwork(const Config& config, int index) : config_(config), index_(index) {}

    /// kNoLinkLocal must come before kUp: the device owns the home addresses and nothing else
    /// (S1.5).
    enum class Step : std::uint8_t { kMtu, kNoLinkLocal, kUp };
    [[nodiscard]] Result<void> change_link(Step step, unsigned mtu);
    [[nodiscard]] Result<void> add_addresses();
    [[nodiscard]] Result<void> add_ipv4_address();
    [[nodiscard]] Result<void> change_ipv4_address(std::uint16_t type, const Ipv4Address& address);
    [[nodiscard]] Result<void> add_ipv4_routes(const Ipv4Address& source);
    /// Of packets from `source`; 0.0.0.0: from none yet.
    [[nodiscard]] Result<void> ipv4_rule(std::uint16_t type, std::uint16_t flags,
                                         const Ipv4Address& source);
    [[nodiscard]] Result<void> silence_rule4(std::uint16_t type, std::uint16_t flags,
                                             const Ipv4Address& home_agent);
    void delete_ipv4_rules();
    [[nodiscard]] Result<void> add_routes();
    [[nodiscard]] Result<void> add_rules();
    void delete_rules();
    [[nodiscard]] Result<void> address_rule(std::uint16_t type, std::uint16_t flags);
    [[nodiscard]] Result<void> home_rule(std::uint16_t type, std::uint16_t flags);
    /// Those that belong to the configuration, with how to say each in an error.
    struct Silence {
        Ipv6Prefix to;
        std::uint16_t first = 0, last = 0;  // type * 256 + code
    };
    [[nodiscard]] std::vector<Silence> silences() const;
    [[nodiscard]] Result<void> silence_rule(std::uint16_t type, std::uint16_t flags,
                                            const Silence& silence);

    Config config_;
    int index_;
    std::optional<Ipv4Address> ipv4_home_address_;  // on the device
    bool ipv4_bound_ = false;
    bool ipv4_native_ = false;
    std::string home_name_;  // of the home link that home_rule() stands for
    NetlinkSocket netlink_;
    RouterNetwork router_;  // idle, but for a mobile router
};

}  // namespace homeport::mobile_node
