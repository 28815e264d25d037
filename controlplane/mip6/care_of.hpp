// SPDX-License-Identifier: BSD-3-Clause
// A mobile node's care-of address, of either family.
#pragma once

#include <compare>
#include <string>

#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

/// An IPv4 care-of address goes with the home agent's IPv4 address that it is used with (RFC 5555
/// section 4.4.1), and with its link: private addresses are the same in many networks.
class CareOf {
  public:
    CareOf() = default;
    CareOf(const Ipv6Address& address) : ipv6_(address) {}  // NOLINT: an address is one
    CareOf(const Ipv4Address& address, const Ipv4Address& home_agent, int link)
        : is_ipv4_(true), ipv4_(address), home_agent_(home_agent), link_(link) {}

    [[nodiscard]] bool is_ipv4() const { return is_ipv4_; }
    /// "::" if it is IPv4.
    [[nodiscard]] const Ipv6Address& ipv6() const { return ipv6_; }
    /// 0.0.0.0, 0.0.0.0 and 0 if it is IPv6.
    [[nodiscard]] const Ipv4Address& ipv4() const { return ipv4_; }
    [[nodiscard]] const Ipv4Address& home_agent() const { return home_agent_; }
    [[nodiscard]] int link() const { return link_; }
    [[nodiscard]] std::string to_string() const {
        return is_ipv4_ ? ipv4_.to_string() : ipv6_.to_string();
    }
    friend auto operator<=>(const CareOf&, const CareOf&) = default;

  private:
    bool is_ipv4_ = false;
    Ipv6Address ipv6_;
    Ipv4Address ipv4_;
    Ipv4Address home_agent_;
    int link_ = 0;
};

}  // namespace homeport::mip6
