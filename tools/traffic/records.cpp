// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/records.hpp"

#include <algorithm>

#include "dataplane/channel/records.hpp"

namespace homeport::traffic {

using channel::Encapsulation;
using channel::PolicyAction;
using channel::PolicyRecord;
using channel::WireAddress;

namespace {

PolicyRecord policy(std::uint16_t id, PolicyAction action) {
    PolicyRecord record;
    record.id = id;
    record.action = action;
    return record;
}

}  // namespace

std::vector<PolicyRecord> bypass_policies() {
    return {policy(1, PolicyAction::kBypass)};
}

std::vector<PolicyRecord> payload_policies(const WireAddress& prefix, std::uint8_t length) {
    PolicyRecord payload = policy(kPayloadPolicy, PolicyAction::kProtect);
    payload.mode = channel::SaMode::kTunnel;
    payload.per_remote_address = 1;
    payload.selector.remote_low = payload.selector.remote_high = prefix;
    for (std::size_t bit = length; bit < 128; ++bit) {
        payload.selector.remote_high.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
    }
    // Table S1-SPD, entries 2 and 3: what tells signalling from payload looks at them.
    PolicyRecord update = policy(4, PolicyAction::kProtect);
    update.per_remote_address = update.signalling = 1;
    update.selector.protocol = 135;
    PolicyRecord discovery = update;
    discovery.id = 5;
    discovery.selector.protocol = 58;
    discovery.selector.local_port_low = 147 << 8;
    discovery.selector.local_port_high = 147 << 8 | 255;
    discovery.selector.remote_port_low = 146 << 8;
    discovery.selector.remote_port_high = 146 << 8 | 255;
    return {update, discovery, payload, policy(3, PolicyAction::kBypass)};
}

channel::SaSet payload_sa(channel::SaDirection direction, const WireAddress& home_agent,
                          ipsec::Algorithm algorithm, ConstByteSpan key) {
    const ipsec::AlgorithmInfo& info = ipsec::info(algorithm);
    const std::size_t cipher = info.encryption_keying_length();
    channel::SaSet record;
    record.direction = direction;
    record.mode = channel::SaMode::kTunnel;
    record.policy_id = kPayloadPolicy;
    record.tunnel_local = home_agent;
    channel::copy_text(record.algorithm, info.name);
    std::ranges::copy(key.first(cipher), record.encryption_key);
    std::ranges::copy(key.subspan(cipher), record.integrity_key);
    record.encryption_key_length = static_cast<std::uint16_t>(cipher);
    record.integrity_key_length = static_cast<std::uint16_t>(key.size() - cipher);
    return record;
}

channel::SaSet numbered_sa(channel::SaSet record, const Ipv6Address& home, std::uint32_t index,
                           std::uint32_t owners) {
    record.peer = record.tunnel_remote = WireAddress(home);
    record.selector.remote_low = record.selector.remote_high = record.peer;
    const bool inbound = record.direction == channel::SaDirection::kInbound;
    record.spi = inbound ? spi_in(index, owners) : kFirstSpiOut + index;
    record.owner_worker = index % owners;
    return record;
}

channel::BindingSet binding_of(const Setting& setting, std::uint32_t index) {
    channel::BindingSet record;
    record.home_address = WireAddress(home(index));
    record.counter_index = index;
    if (!is_over_ipv4(setting.path)) {
        record.care_of_address = WireAddress(kCareOf);
        record.home_agent_address = WireAddress(kHomeAgent);
        return record;
    }
    record.care_of_address = WireAddress(kCareOf4);
    record.home_agent_address = WireAddress(kHomeAgent4);
    record.encapsulation = Encapsulation::kIpv4;
    if (is_mip4(setting.path)) {
        record.home_address = WireAddress(home4(index));
        record.prefix_length = 32;
        record.flags =
            static_cast<std::uint16_t>(channel::binding_flags_of(channel::Mip4Role::kPlain) |
                                       channel::kBindingReverseTunnel | channel::kBindingCoLocated);
        if (is_in_udp(setting.path)) {
            record.encapsulation = Encapsulation::kMipUdp;
            record.udp_port = kTunnelPort;
        }
        return record;
    }
    if (is_in_udp(setting.path)) {
        record.encapsulation = Encapsulation::kUdpIpv4;
        record.udp_port = kTunnelPort;
    }
    return record;
}

channel::AddressSet address_of(const IpAddress& address, std::uint8_t length) {
    channel::AddressSet record;
    record.address = WireAddress(address);
    record.port = 0;
    record.prefix_length = length;
    record.is_home_agent_address = 1;
    return record;
}

channel::RouteSet default_route(const IpAddress& next_hop) {
    channel::RouteSet record;
    record.next_hop = WireAddress(next_hop);
    record.prefix = record.next_hop;
    record.prefix.bytes = {};
    record.port = 1;
    return record;
}

channel::NeighbourSet neighbour_of(const IpAddress& next_hop) {
    channel::NeighbourSet record;
    record.address = WireAddress(next_hop);
    record.mac = kNextHopMac;
    record.port = 1;
    return record;
}

}  // namespace homeport::traffic
