// SPDX-License-Identifier: BSD-3-Clause
// What the control plane would tell the data plane for a path: channel records of its addresses,
// routes, policies, bindings and SAs.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "tools/traffic/path.hpp"
#include "tools/traffic/roles.hpp"
#include "tools/traffic/sealer.hpp"

namespace homeport::traffic {

/// One entry: everything passes by IPsec.
[[nodiscard]] std::vector<channel::PolicyRecord> bypass_policies();
/// Payload of the home addresses in the prefix under ESP, one SA a node, and the entries for
/// signalling that go with it; the rest passes by.
[[nodiscard]] std::vector<channel::PolicyRecord> payload_policies(
    const channel::WireAddress& prefix, std::uint8_t length);

/// A payload SA's record without peer and SPI. `key`: the cipher's with its salt, then the HMAC's;
/// of the algorithm's length.
[[nodiscard]] channel::SaSet payload_sa(channel::SaDirection direction,
                                        const channel::WireAddress& home_agent,
                                        ipsec::Algorithm algorithm, ConstByteSpan key);
/// Number `index` of many: home address, SPI, worker.
[[nodiscard]] channel::SaSet numbered_sa(channel::SaSet record, const Ipv6Address& home,
                                         std::uint32_t index, std::uint32_t owners);

struct Setting {
    Path path = Path::kP1;
    std::uint32_t bindings = 1000;
    ipsec::Algorithm algorithm = ipsec::Algorithm::kAes128Gcm16;
    std::uint16_t replay_window = 0;
    std::uint32_t owners = 1;  // workers
};

/// Binding of node `index`.
[[nodiscard]] channel::BindingSet binding_of(const Setting& setting, std::uint32_t index);

[[nodiscard]] channel::AddressSet address_of(const IpAddress& address, std::uint8_t length);
[[nodiscard]] channel::RouteSet default_route(const IpAddress& next_hop);
[[nodiscard]] channel::NeighbourSet neighbour_of(const IpAddress& next_hop);

template <class Send>
void send_policies(const std::vector<channel::PolicyRecord>& policies, Send&& send) {
    channel::SpdReplace spd;
    spd.count = static_cast<std::uint32_t>(policies.size());
    send(spd, ConstByteSpan(reinterpret_cast<const std::uint8_t*>(policies.data()),
                            policies.size() * sizeof policies[0]));
}

/// send_all() for a path of roles.hpp.
template <class Send>
void send_roles(const Setting& setting, Send&& send) {
    const Roles roles = roles_of(setting.path);
    send_policies(roles.gateway ? client_policies(setting.bindings) : bypass_policies(), send);
    for (const channel::AddressSet& address : role_addresses(roles)) send(address, ConstByteSpan{});
    send(default_route(kNextHop4), ConstByteSpan{});
    send(neighbour_of(kNextHop4), ConstByteSpan{});
    const std::vector<std::uint8_t> key = key_of(setting.algorithm);
    channel::SaSet base = payload_sa(channel::SaDirection::kInbound, channel::WireAddress(kGateway),
                                     setting.algorithm, key);
    base.replay_window = setting.replay_window;
    for (std::uint32_t i = 0; i < setting.bindings; ++i) {
        if (roles.gateway) {
            for (const auto way :
                 {channel::SaDirection::kInbound, channel::SaDirection::kOutbound}) {
                send(client_sa(base, way, i, setting.owners), ConstByteSpan{});
            }
            send(client_record(i, spi_in(i, setting.owners)), ConstByteSpan{});
        }
        if (roles.external) send(external_binding(i), ConstByteSpan{});
        // Rows of counters of its own, behind those of the external ones.
        if (roles.internal) send(internal_binding(i, setting.bindings + i), ConstByteSpan{});
    }
}

/// Calls `send(record, trailing octets)` for all that `setting` needs, bindings and SAs included.
/// Frames come in by port 0 and leave by port 1.
template <class Send>
void send_all(const Setting& setting, Send&& send) {
    if (is_of_roles(setting.path)) {
        send_roles(setting, send);
        return;
    }
    const bool sealed = is_sealed(setting.path);
    const bool by_udp_4500 = sealed && is_in_udp(setting.path);
    if (by_udp_4500) {
        // What undoes UDP 4500 asks whether the SA is a mobile node's.
        channel::HomePrefixSet prefix;
        prefix.prefix = channel::WireAddress(kHomePrefix);
        prefix.prefix_length = 64;
        send(prefix, ConstByteSpan{});
    }
    send_policies(
        sealed ? payload_policies(channel::WireAddress(kHomePrefix), 64) : bypass_policies(), send);
    send(address_of(kHomeAgent, 64), ConstByteSpan{});
    channel::AddressSet home_agent4 = address_of(kHomeAgent4, 24);
    if (is_mip4(setting.path)) {
        home_agent4.is_home_agent_address = 0;
        home_agent4.mip4_role = channel::Mip4Role::kPlain;
    }
    send(home_agent4, ConstByteSpan{});
    for (const IpAddress& next_hop : {IpAddress(kNextHop), IpAddress(kNextHop4)}) {
        send(default_route(next_hop), ConstByteSpan{});
        send(neighbour_of(next_hop), ConstByteSpan{});
    }
    const std::vector<std::uint8_t> key = key_of(setting.algorithm);
    const auto sa = [&](channel::SaDirection direction, std::uint32_t i) {
        channel::SaSet record =
            payload_sa(direction, channel::WireAddress(kHomeAgent), setting.algorithm, key);
        record.replay_window = setting.replay_window;
        send(numbered_sa(record, home(i), i, setting.owners), ConstByteSpan{});
    };
    for (std::uint32_t i = 0; i < setting.bindings; ++i) {
        if (sealed && is_out(setting.path)) sa(channel::SaDirection::kOutbound, i);
        // In UDP 4500 the way out is learnt from what came in.
        if (sealed && (!is_out(setting.path) || by_udp_4500)) {
            sa(channel::SaDirection::kInbound, i);
        }
        send(binding_of(setting, i), ConstByteSpan{});
    }
}

}  // namespace homeport::traffic
