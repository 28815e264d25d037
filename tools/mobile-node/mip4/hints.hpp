// SPDX-License-Identifier: BSD-3-Clause
// Hints about a network (S2.74 to S2.76): the domain that its DHCP server named, the identifier
// (NAI) that its foreign agent advertises, and the MAC address of its default gateway. Anybody can
// forge them: see mip4::Belief for what they change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/mip4/network_detection.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/mip4/config.hpp"
#include "tools/mobile-node/netlink_socket.hpp"

namespace homeport::mobile_node {

/// What a network tells.
struct NetworkHints {
    std::vector<std::string> domains;  // as domains_of()
    std::optional<MacAddress> gateway;
    std::string realm{};  // of the foreign agent, as realm_of(); empty: none
};

/// What stands behind "@" in a NAI (RFC 7542), in lower case; all of it if there is no "@". Empty:
/// it is no name.
[[nodiscard]] std::string realm_of(ConstByteSpan nai);

/// The names of the lines "domain" and "search" of a resolv.conf: lower case, without a dot at the
/// end. The last such line counts, as for the resolver.
[[nodiscard]] std::vector<std::string> domains_of(std::string_view resolv_conf);

/// Inside: a domain is one of ours or below one, or the gateway is one of ours. Outside: something
/// is known of what we have a list of, and nothing fits.
[[nodiscard]] mip4::Belief belief_of(const Mip4Hints& ours, const NetworkHints& heard);

/// Asks the host. Not thread-safe.
class HintSource {
  public:
    explicit HintSource(Mip4Hints ours) : ours_(std::move(ours)) {}
    /// False: no hint is configured, and about() says nothing.
    [[nodiscard]] bool is_used() const {
        return !ours_.domains.empty() || !ours_.gateway_macs.empty();
    }
    /// `interface`: its index; `realm`: of the foreign agent that is heard there. What cannot be
    /// read is no hint.
    [[nodiscard]] mip4::Belief about(int interface, const std::string& realm = {});

  private:
    Mip4Hints ours_;
    std::optional<NetlinkSocket> socket_;
};

/// The MAC address of the default gateway of the main table on `interface`, as the kernel knows it
/// now.
[[nodiscard]] std::optional<MacAddress> gateway_mac(NetlinkSocket& socket, int interface);

}  // namespace homeport::mobile_node
