// SPDX-License-Identifier: BSD-3-Clause
// External home agent, VPN gateway and internal home agent (S2.i), each alone or all in one box:
// channel records, and what arrives there. The node is in mode cvc, nothing is behind a NAT.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/ipsec/spi.hpp"
#include "tools/traffic/path.hpp"

namespace homeport::traffic {

inline constexpr std::uint16_t kPayloadPolicy = 2;

inline constexpr Ipv4Address kExternalAgent = kHomeAgent4;     // x-HA
inline constexpr Ipv4Address kGateway{{192, 0, 2, 9}};         // VPN-GW
inline constexpr Ipv4Address kInternalAgent{{172, 16, 0, 1}};  // i-HA

/// VPN-TIA of node number `index`; its i-HoA is home4().
[[nodiscard]] constexpr Ipv4Address vpn_inner(std::uint32_t index) {
    return ipv4_of(0x0a40'1000 + index);
}
/// x-HoA, where its SAs end.
[[nodiscard]] constexpr Ipv4Address external_home(std::uint32_t index) {
    return ipv4_of(0x6440'1000 + index);
}
/// SPI of node `index` inbound, of our own choosing: each belongs to the next of the workers.
[[nodiscard]] constexpr std::uint32_t spi_in(std::uint32_t index, std::uint32_t owners) {
    return ipsec::make_own_spi(1, index % owners, index).value;
}

struct Roles {
    bool external = false;
    bool gateway = false;
    bool internal = false;
};
[[nodiscard]] Roles roles_of(Path path);

[[nodiscard]] std::vector<channel::AddressSet> role_addresses(const Roles& roles);
/// Everything between us and the inner addresses of that many clients goes through their SAs.
[[nodiscard]] std::vector<channel::PolicyRecord> client_policies(std::uint32_t clients);
/// `base`: as payload_sa() makes it, its tunnel beginning at the gateway.
[[nodiscard]] channel::SaSet client_sa(const channel::SaSet& base, channel::SaDirection direction,
                                       std::uint32_t index, std::uint32_t owners);
[[nodiscard]] channel::VpnClientSet client_record(std::uint32_t index, std::uint32_t spi_in);
/// x-HoA is at the care-of address, i-HoA at the client's inner address.
[[nodiscard]] channel::BindingSet external_binding(std::uint32_t counter_index);
[[nodiscard]] channel::BindingSet internal_binding(std::uint32_t index,
                                                   std::uint32_t counter_index);

}  // namespace homeport::traffic
