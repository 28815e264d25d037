// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/roles.hpp"

#include "tools/traffic/records.hpp"

namespace homeport::traffic {

using channel::Mip4Role;
using channel::PolicyRecord;
using channel::WireAddress;

namespace {

constexpr Ipv4Address kLowest{{0, 0, 0, 0}};
constexpr Ipv4Address kHighest{{255, 255, 255, 255}};

channel::BindingSet binding(Mip4Role role, const Ipv4Address& home_agent, const Ipv4Address& home,
                            const Ipv4Address& care_of, std::uint32_t counter_index) {
    channel::BindingSet record;
    record.home_address = WireAddress(home);
    record.prefix_length = 32;
    record.care_of_address = WireAddress(care_of);
    record.home_agent_address = WireAddress(home_agent);
    record.encapsulation = channel::Encapsulation::kIpv4;
    record.flags =
        static_cast<std::uint16_t>(channel::binding_flags_of(role) |
                                   channel::kBindingReverseTunnel | channel::kBindingCoLocated);
    record.counter_index = counter_index;
    return record;
}

}  // namespace

Roles roles_of(Path path) {
    switch (path) {
        case Path::kP31:
        case Path::kP32:
            return {.gateway = true};
        case Path::kInternalIn:
        case Path::kInternalOut:
            return {.internal = true};
        case Path::kExternalIn:
        case Path::kExternalOut:
            return {.external = true};
        default:
            return {.external = true, .gateway = true, .internal = true};
    }
}

std::vector<channel::AddressSet> role_addresses(const Roles& roles) {
    std::vector<channel::AddressSet> records;
    const auto add = [&](const Ipv4Address& address) -> channel::AddressSet& {
        records.push_back(address_of(address, 32));
        records.back().is_home_agent_address = 0;
        return records.back();
    };
    if (roles.external) add(kExternalAgent).mip4_role = Mip4Role::kExternal;
    if (roles.gateway) add(kGateway).is_vpn_gateway = 1;
    if (roles.internal) add(kInternalAgent).mip4_role = Mip4Role::kInternal;
    return records;
}

std::vector<PolicyRecord> client_policies(std::uint32_t clients) {
    PolicyRecord protect;
    protect.id = kPayloadPolicy;
    protect.action = channel::PolicyAction::kProtect;
    protect.mode = channel::SaMode::kTunnel;
    protect.per_remote_address = 1;
    protect.selector.local_low = WireAddress(kLowest);
    protect.selector.local_high = WireAddress(kHighest);
    protect.selector.remote_low = WireAddress(vpn_inner(0));
    protect.selector.remote_high = WireAddress(vpn_inner(clients - 1));
    PolicyRecord others;
    others.id = 3;
    others.action = channel::PolicyAction::kBypass;
    return {protect, others};
}

channel::SaSet client_sa(const channel::SaSet& base, channel::SaDirection direction,
                         std::uint32_t index, std::uint32_t owners) {
    channel::SaSet record = base;
    record.direction = direction;
    record.peer = WireAddress(vpn_inner(index));
    record.tunnel_remote = WireAddress(external_home(index));
    record.selector.local_low = WireAddress(kLowest);
    record.selector.local_high = WireAddress(kHighest);
    record.selector.remote_low = record.selector.remote_high = record.peer;
    const bool inbound = direction == channel::SaDirection::kInbound;
    record.spi = inbound ? spi_in(index, owners) : kFirstSpiOut + index;
    if (!inbound) record.replay_window = 0;
    record.owner_worker = index % owners;
    return record;
}

channel::VpnClientSet client_record(std::uint32_t index, std::uint32_t spi_in) {
    channel::VpnClientSet record;
    record.inner = WireAddress(vpn_inner(index));
    record.outer = WireAddress(external_home(index));
    record.gateway = WireAddress(kGateway);
    record.spi_in = spi_in;
    return record;
}

channel::BindingSet external_binding(std::uint32_t counter_index) {
    return binding(Mip4Role::kExternal, kExternalAgent, external_home(counter_index), kCareOf4,
                   counter_index);
}

channel::BindingSet internal_binding(std::uint32_t index, std::uint32_t counter_index) {
    return binding(Mip4Role::kInternal, kInternalAgent, home4(index), vpn_inner(index),
                   counter_index);
}

}  // namespace homeport::traffic
