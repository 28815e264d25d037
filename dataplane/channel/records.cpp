// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/records.hpp"

namespace homeport::channel {

namespace {

bool is_address(const WireAddress& address) {
    return address.family == 4 || address.family == 6;
}
bool is_address_or_none(const WireAddress& address) {
    return address.family == 0 || is_address(address);
}
bool is_prefix(const WireAddress& address, std::uint8_t length) {
    return is_address(address) && length <= (address.family == 4 ? 32 : 128);
}
bool is_port_or_none(std::uint16_t port) {
    return port == kNoPort || port < kMaxPorts;
}
bool is_bool(std::uint8_t value) {
    return value <= 1;
}
template <std::size_t Size>
bool is_terminated(const char (&text)[Size]) {
    return strnlen(text, Size) < Size;
}
template <class Enum>
bool at_most(Enum value, Enum last) {
    return static_cast<std::underlying_type_t<Enum>>(value) <=
           static_cast<std::underlying_type_t<Enum>>(last);
}
bool is_packet_length(std::uint16_t length) {
    return length != 0 && length <= kMaxPacket;
}

}  // namespace

bool valid(const BeginSync&) {
    return true;
}
bool valid(const EndSync&) {
    return true;
}
bool valid(const AddressSet& record) {
    return is_prefix(record.address, record.prefix_length) && is_port_or_none(record.port) &&
           is_bool(record.is_home_agent_address) &&
           at_most(record.mip4_role, Mip4Role::kExternal) && is_bool(record.is_vpn_gateway);
}
bool valid(const AddressRemove& record) {
    return is_address(record.address) && is_port_or_none(record.port);
}
bool valid(const RouteSet& record) {
    return is_prefix(record.prefix, record.prefix_length) && is_address_or_none(record.next_hop) &&
           is_port_or_none(record.port) && at_most(record.route_type, RouteType::kUnreachable);
}
bool valid(const RouteRemove& record) {
    return is_prefix(record.prefix, record.prefix_length);
}
bool valid(const NeighbourSet& record) {
    return is_address(record.address) && record.port < kMaxPorts;
}
bool valid(const NeighbourRemove& record) {
    return is_address(record.address) && record.port < kMaxPorts;
}
bool valid(const HomePrefixSet& record) {
    return is_prefix(record.prefix, record.prefix_length) && is_port_or_none(record.port) &&
           is_bool(record.drop_unbound);
}
bool valid(const HomePrefixRemove& record) {
    return is_prefix(record.prefix, record.prefix_length);
}

bool valid(const BindingSet& record) {
    if (!at_most(record.encapsulation, Encapsulation::kMipUdpMinimal)) return false;
    if (record.copy >= kMaxCareOfAddresses) return false;
    const bool over_ipv6 = record.encapsulation == Encapsulation::kIpv6 ||
                           record.encapsulation == Encapsulation::kUdpIpv6;
    return is_prefix(record.home_address, record.prefix_length) &&
           record.care_of_address.family == (over_ipv6 ? 6 : 4) &&
           is_address(record.home_agent_address) && is_port_or_none(record.home_port);
}
bool valid(const BindingRemove& record) {
    return is_prefix(record.home_address, record.prefix_length) &&
           record.copy < kMaxCareOfAddresses;
}

bool valid(const VpnClientSet& record) {
    return record.inner.family == 4 && record.outer.family == 4 && record.gateway.family == 4 &&
           (record.translated.family == 4 || record.translated.family == 0) &&
           at_most(record.udp_encapsulation, UdpEncapsulation::kAlways) &&
           (record.path_mtu == 0 || record.path_mtu >= kLeastVpnPathMtu);
}
bool valid(const VpnClientRemove& record) {
    return record.inner.family == 4;
}

bool valid(const MobilePrefixSet& record) {
    return is_prefix(record.prefix, record.prefix_length) && is_address(record.home_address);
}
bool valid(const MobilePrefixRemove& record) {
    return is_prefix(record.prefix, record.prefix_length);
}

bool valid(const SelectorRecord& record) {
    return is_address_or_none(record.local_low) &&
           record.local_low.family == record.local_high.family &&
           is_address_or_none(record.remote_low) &&
           record.remote_low.family == record.remote_high.family &&
           (record.protocol <= 0xff || record.protocol >= 0xfffe);
}
bool valid(const SaNetwork& record) {
    return is_bool(record.is_local) && is_address(record.low) &&
           record.low.family == record.high.family && record.low.bytes <= record.high.bytes;
}
bool valid(const SaSet& record) {
    return at_most(record.direction, SaDirection::kOutbound) &&
           at_most(record.mode, SaMode::kTunnel) && is_bool(record.extended_sequence) &&
           is_bool(record.allow_static_gcm) && is_bool(record.static_key) &&
           is_address_or_none(record.tunnel_local) && is_address_or_none(record.tunnel_remote) &&
           is_address_or_none(record.peer) && is_address_or_none(record.second_peer) &&
           valid(record.selector) && is_terminated(record.algorithm) &&
           record.encryption_key_length <= sizeof record.encryption_key &&
           record.integrity_key_length <= sizeof record.integrity_key &&
           record.network_count <= kMaxSaNetworks;
}
bool valid(const SaRemove& record) {
    return at_most(record.direction, SaDirection::kOutbound) && is_address_or_none(record.peer);
}
bool valid(const PolicyRecord& record) {
    return at_most(record.action, PolicyAction::kProtect) &&
           at_most(record.mode, SaMode::kTunnel) && is_bool(record.per_remote_address) &&
           is_bool(record.signalling) && is_terminated(record.name) && valid(record.selector) &&
           is_address_or_none(record.tunnel_remote);
}
bool valid(const SpdReplace&) {
    return true;  // the receiver checks the policies behind it one by one
}

bool valid(const TransmitPacket& record) {
    return is_packet_length(record.length) && is_address_or_none(record.reply_to) &&
           is_address_or_none(record.reply_from) && is_port_or_none(record.port);
}
bool valid(const TransmitFrame& record) {
    return is_packet_length(record.length) && record.port < kMaxPorts;
}
bool valid(const TraceStart& record) {
    return is_address_or_none(record.address) && is_port_or_none(record.port);
}
bool valid(const TraceStop&) {
    return true;
}
bool valid(const ParametersSet& record) {
    return record.technique <= Technique::kHeuristic && record.heuristic_min_packets != 0 &&
           record.heuristic_timeout_ms != 0 &&
           at_most(record.check_esp_outer, EspOuterCheck::kDrop) &&
           is_bool(record.believe_packet_too_big) && is_bool(record.protect_payload) &&
           record.nat_lock_depth != 0 && record.nat_lock_timeout_ms != 0 &&
           record.nat_pending_ttl_ms != 0 && is_bool(record.tlv_header);
}

bool valid(const PortInfo& record) {
    return record.port < kMaxPorts && is_bool(record.link_up) && is_terminated(record.name) &&
           is_terminated(record.kernel_interface) && is_terminated(record.driver);
}
bool valid(const Acknowledge&) {
    return true;
}
bool valid(const CommandFailed& record) {
    return is_terminated(record.text);
}
bool valid(const SyncDone&) {
    return true;
}
bool valid(const Punt& record) {
    return is_packet_length(record.length) && record.reason >= PuntReason::kMobilityHeader &&
           at_most(record.reason, PuntReason::kAgentSolicitation) &&
           is_bool(record.protected_by_ipsec) && is_bool(record.had_home_address_option) &&
           is_port_or_none(record.port) && is_address_or_none(record.recorded_source) &&
           is_address_or_none(record.recorded_local) && is_bool(record.to_group);
}
bool valid(const Trace& record) {
    return is_terminated(record.stage) && is_terminated(record.edge) &&
           record.captured <= sizeof record.bytes && record.captured <= record.packet_length &&
           is_port_or_none(record.port);
}
bool valid(const SaHighWater& record) {
    return is_address_or_none(record.peer);
}
bool valid(const SaLifetime& record) {
    return at_most(record.direction, SaDirection::kOutbound) && is_bool(record.hard) &&
           at_most(record.reason, SaLifetimeReason::kSequence) && is_address_or_none(record.peer);
}
bool valid(const PathMtu& record) {
    return is_address(record.home_address);
}
bool valid(const EspSource& record) {
    return is_address(record.home_address) && is_address_or_none(record.care_of_address) &&
           is_address(record.source) && is_bool(record.dropped);
}
bool valid(const EspMapping& record) {
    return is_address(record.home_address) && is_address(record.source) && record.port != 0;
}
bool valid(const FlowRuleInfo& record) {
    return record.port < kMaxPorts && record.index < record.rules &&
           record.state >= FlowRuleState::kInstalled &&
           at_most(record.state, FlowRuleState::kSoftware) &&
           at_most(record.refusal, FlowRuleRefusal::kCreate) && is_terminated(record.name) &&
           is_terminated(record.match) && is_terminated(record.action) &&
           is_terminated(record.reason);
}

}  // namespace homeport::channel
