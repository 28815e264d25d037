// SPDX-License-Identifier: BSD-3-Clause
// Keeps packets to the home address that come natively from the kernel (S2.50, S2.96): a table of
// nftables of our own, made by the program nft where there is one. It drops what comes for the home
// address by another interface than the TUN device, but for answers of the home agent to
// registrations, which are authentic, and what comes on the home link while we are at home.
//
// The table has one name for each TUN device: a process that was killed leaves it in force, which
// is the safe side, and the next one replaces it.
#pragma once

#include <string>

#include "dataplane/base/address.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class NativeGuard {
  public:
    explicit NativeGuard(std::string tun) : tun_(std::move(tun)) {}
    ~NativeGuard() { remove(); }
    NativeGuard(const NativeGuard&) = delete;
    NativeGuard& operator=(const NativeGuard&) = delete;

    /// From now on these addresses; 0.0.0.0: there is no home address yet. `home_interface`: at
    /// home there, natively; empty: away. Nothing is done if it is so already. The error is that of
    /// nft; what was in force stays so.
    [[nodiscard]] Result<void> set(const Ipv4Address& home, const Ipv4Address& home_agent,
                                   const std::string& home_interface);
    [[nodiscard]] bool is_active() const { return is_active_; }

    /// What nft is told, for tests.
    [[nodiscard]] static std::string rules(const std::string& tun, const Ipv4Address& home,
                                           const Ipv4Address& home_agent,
                                           const std::string& home_interface);
    [[nodiscard]] static std::string table_name(const std::string& tun);

  private:
    void remove();

    std::string tun_;
    std::string in_force_;
    bool is_active_ = false;
};

}  // namespace homeport::mobile_node
