// SPDX-License-Identifier: BSD-3-Clause
// Routing rules that keep the kernel from forwarding what visitors send: that is done here.
//
//     from HOME_ADDRESS iif LINK blackhole
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "dataplane/base/address.hpp"
#include "tools/mobile-node/netlink_socket.hpp"

namespace homeport::foreign_agent {

class HostRules {
  public:
    /// Takes rules of that priority away that a killed process left.
    [[nodiscard]] static mobile_node::Result<HostRules> open(std::uint32_t priority);
    HostRules(HostRules&&) noexcept = default;
    HostRules& operator=(HostRules&&) = delete;
    HostRules(const HostRules&) = delete;
    HostRules& operator=(const HostRules&) = delete;
    ~HostRules();

    /// Counted: two visitors may have the same home address.
    [[nodiscard]] mobile_node::Result<void> add(const std::string& link,
                                                const Ipv4Address& home_address);
    void remove(const std::string& link, const Ipv4Address& home_address);

  private:
    explicit HostRules(std::uint32_t priority) : priority_(priority) {}
    [[nodiscard]] mobile_node::Result<void> change(std::uint16_t type, std::uint16_t flags,
                                                   const std::string& link,
                                                   const Ipv4Address& home_address);

    mobile_node::NetlinkSocket netlink_;
    std::uint32_t priority_;
    std::map<std::pair<std::string, Ipv4Address>, unsigned> rules_;
};

}  // namespace homeport::foreign_agent
