// SPDX-License-Identifier: BSD-3-Clause
// What a mobile router sets in the kernel of its host beside HostNetwork (RFC 3963 section 5.5):
// forwarding, and the way of packets of its LAN. The LAN's addresses and router advertisements are
// the operator's business.
//
// Rules, with P a prefix of the LAN:
//   priority - 1  to P lookup main            what comes out of the tunnel, and what stays here
//   priority      from P lookup TABLE         into the TUN device, and nowhere else: without a
//                                             binding a packet of the LAN goes nowhere
//   priority      from P oif HOME lookup TABLE+1   at home, natively
// and in the main table `unreachable P`, behind the LAN's own routes: what is not there must not go
// out again by a default route.
//
// A router takes no router advertisements unless accept_ra is 2, and the care-of address may come
// from them: where it is 1 it becomes 2 first. remove() puts all of it back.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/file_descriptor.hpp"
#include "tools/mobile-node/netlink_socket.hpp"

namespace homeport::mobile_node {

class RouterNetwork {
  public:
    /// Nothing, unless `config` has a mobile router. `tun`: index of the TUN device.
    [[nodiscard]] Result<void> set_up(const Config& config, int tun);
    void remove();
    /// The home link, by its name, for packets of the LAN that leave there.
    [[nodiscard]] Result<void> set_home_link(const std::string& name);

  private:
    enum class Rule : std::uint8_t { kTo, kFrom, kFromAtHome };
    [[nodiscard]] bool is_on() const { return config_.mobile_router.protocol.is_on(); }
    [[nodiscard]] Result<void> set(const std::string& file, const std::string& value);
    [[nodiscard]] Result<void> accept_advertisements();
    [[nodiscard]] Result<void> forward();
    template <class Prefix>
    [[nodiscard]] Result<void> rule(std::uint16_t type, std::uint16_t flags, Rule which,
                                    const Prefix& prefix);
    template <class Prefix>
    [[nodiscard]] Result<void> add_rules(const Prefix& prefix);
    template <class Prefix>
    void delete_rules(const Prefix& prefix);
    template <class Prefix>
    [[nodiscard]] Result<void> unreachable(bool add, const Prefix& prefix);
    [[nodiscard]] Result<void> add_ipv4_routes(int tun);
    /// `function` for each prefix of the LAN, of either family, until one fails.
    template <class Function>
    [[nodiscard]] Result<void> each(Function&& function);

    Config config_;
    NetlinkSocket netlink_;
    std::string home_name_;
    std::vector<std::pair<std::string, std::string>> before_;  // file, what stood there
};

}  // namespace homeport::mobile_node
