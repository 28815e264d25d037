// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/classification.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::tunnel {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

namespace {

constexpr std::uint8_t kHomeAgentDiscoveryRequest = 144;
constexpr std::uint8_t kEcho = 0;
constexpr std::uint8_t kIcmpv6FirstInformational = 128;
constexpr std::uint8_t kMobilePrefixSolicitation = 146;

/// Interface identifiers of the home agents' anycast address: EUI-64 prefixes, and others (RFC 2526
/// section 2).
constexpr std::uint64_t kAnycastEui64 = 0xfdfffffffffffffe;
constexpr std::uint64_t kAnycastOther = 0xfffffffffffffffe;

/// Destination unreachable, time exceeded, parameter problem: about what this host sent.
bool is_icmpv4_error(rte_mbuf* packet, const PacketMeta& notes) {
    const int type = upper_octet(packet, notes);
    return type == 3 || type == 11 || type == 12;
}

/// UDP that ends in this room, sound or not; IKE and everything else is the kernel's.
bool is_dsmip_port(rte_mbuf* packet, const PacketMeta& notes) {
    if (stage::length(packet) < notes.upper_offset + 4u) return false;
    constexpr std::uint16_t kProxyControlPort = 5436;  // RFC 5844: not ours
    constexpr std::uint16_t kProxyDataPort = 5437;
    const std::uint16_t port = load_be16(stage::data(packet) + notes.upper_offset + 2);
    return port == kDsmipPort || (port == kNatTraversalPort && notes.family == 4) ||
           port == kProxyControlPort || port == kProxyDataPort;
}

bool ends_tunnels(const table::LocalAddress& local) {
    return local.is_home_agent_address != 0 || local.is_vpn_gateway != 0 ||
           local.mip4_role != channel::Mip4Role::kNone;
}

/// The destination is one that tables are asked for; others are for settle_special().
bool is_ordinary(const std::uint8_t* ip, const PacketMeta& notes) {
    if (notes.family == 6) {
        // Global unicast addresses begin with 001 or, unique local ones, with 1111110.
        const std::uint8_t first = ip[offsetof(Ipv6Header, destination)];
        return notes.protocol != number(IpProtocol::kIcmpv6) && first != 0 && first < 0xfe;
    }
    // A subnet broadcast is known by its link-layer destination alone.
    return reinterpret_cast<const Ipv4Header*>(ip)->destination.is_unicast() &&
           !has_flag(notes, stage::kMetaToGroup);
}

}  // namespace

/// RFC 4301 section 5.2: what a bound home address, or a network behind it, sends comes out of its
/// SA, whatever link it is said to come from. In tunnels that is for tunnel-in to see, in
/// signalling for ipsec-in.
[[gnu::always_inline]] inline bool Classification::lacks_esp(rte_mbuf* packet,
                                                             const PacketMeta& notes) const {
    constexpr std::uint16_t kLookedAt =
        stage::kMetaDecapsulated | stage::kMetaDecrypted | stage::kMetaOriginated;
    if ((notes.flags & kLookedAt) != 0) return false;
    const std::uint8_t* const ip = stage::data(packet);
    const bool is_ipv6 = notes.family == 6;
    const Ipv6Address source =
        is_ipv6 ? reinterpret_cast<const Ipv6Header*>(ip)->source
                : table::v4_mapped(reinterpret_cast<const Ipv4Header*>(ip)->source);
    if (is_ipv6 && tables_.home_prefixes.find(source) == nullptr) return false;
    std::uint32_t slot = tables_.bindings.find(source);
    if (slot == table::kNoSlot) slot = tables_.mobile_network_of(source);
    if (slot == table::kNoSlot) return false;
    const table::Binding& binding = tables_.bindings.at(slot);
    if (binding.tentative() || (binding.flags & channel::kBindingProtected) == 0) return false;
    const bool has_its_stage = notes.protocol == number(IpProtocol::kEsp) ||
                               notes.protocol == number(IpProtocol::kMobility) ||
                               notes.protocol == number(IpProtocol::kFragment);
    if (has_its_stage && is_ipv6 &&
        is_own(worker_, reinterpret_cast<const Ipv6Header*>(ip)->destination)) {
        return false;
    }
    return worker_.esp->inbound_policy_check(view_of(packet)) == ipsec::Verdict::kInPolicy;
}

/// P31: what came out of a VPN client's SA is for vpn-in, once. What says that it comes from a
/// client and came by no SA is dropped (RFC 4301 section 5.2). True: the packet is given away.
[[gnu::always_inline]] inline bool Classification::settle_vpn_source(rte_mbuf* packet,
                                                                     const PacketMeta& notes) {
    constexpr std::uint16_t kSettled = stage::kMetaVpnClient | stage::kMetaOriginated;
    if ((notes.flags & kSettled) != 0) return false;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
    if (tables_.vpn_clients.of_inner(ip.source) == nullptr) return false;
    if (has_flag(notes, stage::kMetaDecrypted)) {
        give(ClassifyEdge::kVpnIn, packet);
    } else {
        out_.drop(packet, Counter::kIpsecInPolicy);
    }
    return true;
}

/// RFC 5944 section 3.8.3.2: to the broadcast address of a home subnet, from elsewhere.
bool Classification::is_request_to_home_link(rte_mbuf* packet, const PacketMeta& notes,
                                             const Ipv6Address& destination) const {
    if (!is_udp_to(packet, notes, kMip4Port) || !tables_.local_addresses.serves_mip4()) {
        return false;
    }
    const table::HomePrefix* const home = tables_.home_prefixes.find(destination);
    if (home == nullptr || home->length >= 127) return false;
    const std::uint32_t host_bits =
        home->length <= 96 ? 0xffffffffu : (1u << (128 - home->length)) - 1;
    return (table::v4_of(destination).host() & host_bits) == host_bits;
}

[[gnu::always_inline]] inline void Classification::settle_local(rte_mbuf* packet, PacketMeta& notes,
                                                                const table::LocalAddress& local) {
    const bool is_home_agent = local.is_home_agent_address != 0;
    const bool is_mip4 = local.mip4_role != channel::Mip4Role::kNone;
    if (is_mip4 && settle_mip4(packet, notes)) [[unlikely]]
        return;
    if (notes.family == 6 && notes.upper_offset != sizeof(Ipv6Header)) [[unlikely]] {
        if (settle_extension_headers(packet, notes, local)) return;
    }
    switch (notes.protocol) {
        case number(IpProtocol::kIpv6):
        case number(IpProtocol::kIpv4):
            if (!is_home_agent) break;
            tunnelled_.packets[tunnelled_.count++] = packet;
            return;
        case number(IpProtocol::kUdp):
            if (is_home_agent && is_dsmip_port(packet, notes)) {
                give(ClassifyEdge::kDsmipIn, packet);
                return;
            }
            if (local.is_vpn_gateway == 0 || !is_udp_to(packet, notes, kNatTraversalPort)) break;
            give(ClassifyEdge::kVpnIn, packet);
            return;
        case number(IpProtocol::kEsp):
            if (is_home_agent && notes.family == 4) {
                give(ClassifyEdge::kDsmipIn, packet);
                return;
            }
            if (local.is_vpn_gateway != 0 && notes.family == 4) {
                give(ClassifyEdge::kVpnIn, packet);
                return;
            }
            if (!hand_to_owner(packet)) give(ClassifyEdge::kIpsecIn, packet);
            return;
        case number(IpProtocol::kFragment):
            give(ends_tunnels(local) ? ClassifyEdge::kReassemble : ClassifyEdge::kToKernel, packet);
            return;
        case number(IpProtocol::kMobility):
            if (!is_home_agent || notes.family != 6) break;
            settle_mobility(packet, notes);
            return;
        case number(IpProtocol::kIcmpv6):
            if (!is_home_agent || notes.family != 6) break;
            settle_icmpv6(packet, notes);
            return;
        case number(IpProtocol::kIcmp):
            if (!ends_tunnels(local) || notes.family != 4 || !is_icmpv4_error(packet, notes)) break;
            give(ClassifyEdge::kIcmpIn, packet);
            return;
        default:
            break;
    }
    give(ClassifyEdge::kToKernel, packet);
}

/// Tunnels of Mobile IPv4, and UDP 434. True: the packet is given away.
[[gnu::always_inline]] inline bool Classification::settle_mip4(rte_mbuf* packet,
                                                               const PacketMeta& notes) {
    switch (notes.protocol) {
        case number(IpProtocol::kIpv4):
        case number(IpProtocol::kGre):
        case number(IpProtocol::kMinimalEncapsulation):
            break;
        case number(IpProtocol::kUdp):
            if (!is_udp_to(packet, notes, kMip4Port)) return false;
            break;
        default:
            return false;
    }
    give(ClassifyEdge::kMip4In, packet);
    return true;
}

/// Sequence numbers and replay window of an SA have one writer, its owner, and the note of a wire
/// source has to be made where the binding update is opened. `flags`: what is known of the packet.
bool Classification::hand_to_owner(rte_mbuf* packet, std::uint16_t flags) {
    if (worker_.worker_count <= 1) return false;
    const auto owner = worker_.esp->inbound_owner(view_of(packet));
    if (!owner || *owner == worker_.index) return false;
    PacketMeta& notes = stage::meta(packet);
    notes.flags |= flags;
    note_signalling(notes, stage::data(packet) + notes.upper_offset);
    out_.hand_over(packet, *owner, StageId::kClassify);
    return true;
}

void Classification::settle_mobility(rte_mbuf* packet, const PacketMeta& notes) {
    if (has_flag(notes, stage::kMetaDecrypted)) {
        punt(packet, channel::PuntReason::kMobilityHeader);
    } else {
        give(ClassifyEdge::kIpsecIn, packet);
    }
}

void Classification::settle_icmpv6(rte_mbuf* packet, const PacketMeta& notes) {
    const int type = upper_octet(packet, notes);
    if (type > kEcho && type < kIcmpv6FirstInformational) {
        give(ClassifyEdge::kIcmpIn, packet);
    } else if (type == kMobilePrefixSolicitation && has_flag(notes, stage::kMetaDecrypted)) {
        punt(packet, channel::PuntReason::kMobilePrefix);
    } else if (type == kHomeAgentDiscoveryRequest || type == kMobilePrefixSolicitation) {
        give(ClassifyEdge::kIpsecIn, packet);
    } else {
        give(ClassifyEdge::kToKernel, packet);
    }
}

/// The destination is neither ours nor bound.
void Classification::settle_transit(rte_mbuf* packet, PacketMeta& notes,
                                    const Ipv6Address& destination) {
    if (notes.family == 4 && is_vpn_client(tables_, table::v4_of(destination))) [[unlikely]] {
        give(ClassifyEdge::kVpnOut, packet);
        return;
    }
    if (has_flag(notes, stage::kMetaOriginated) && has_flag(notes, stage::kMetaL2Intact)) {
        // The kernel made this frame and knows its way.
        (void)rte_pktmbuf_prepend(packet, kEthernetLength);
        notes.flags |= stage::kMetaFrame;
        give(ClassifyEdge::kTx, packet);
        return;
    }
    if (notes.protocol == number(IpProtocol::kIcmpv6) && notes.family == 6) {
        const std::uint64_t identifier = destination.low();
        if ((identifier == kAnycastEui64 || identifier == kAnycastOther) &&
            upper_octet(packet, notes) == kHomeAgentDiscoveryRequest &&
            tables_.home_prefixes.find(destination) != nullptr) {
            give(ClassifyEdge::kIpsecIn, packet);
            return;
        }
    }
    if (has_flag(notes, stage::kMetaToGroup)) {  // RFC 1812 section 5.3.4
        out_.drop(packet, Counter::kForwardScope);
        return;
    }
    if (notes.family == 4) {
        if (is_request_to_home_link(packet, notes, destination)) {
            give(ClassifyEdge::kMip4In, packet);
            return;
        }
    }
    give(ClassifyEdge::kForward, packet);
}

/// RFC 3963 section 6.3: behind a mobile router. True: the packet is given away.
[[gnu::always_inline]] inline bool Classification::settle_mobile_network(
    rte_mbuf* packet, PacketMeta& notes, const Ipv6Address& destination) {
    const std::uint32_t slot = tables_.mobile_network_of(destination);
    if (slot == table::kNoSlot) [[likely]]
        return false;
    if (has_flag(notes, stage::kMetaToGroup)) {  // RFC 1812 section 5.3.4
        out_.drop(packet, Counter::kForwardScope);
        return true;
    }
    notes.binding = slot;
    give(ClassifyEdge::kIntercept, packet);
    return true;
}

void Classification::run(Batch& in) {
    settle_all(in);
    out_.to_all(ClassifyEdge::kTunnelIn, tunnelled_);
}

void Classification::settle_all(Batch& in) {
    std::array<rte_mbuf*, stage::kBatchSize> packets;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<Ipv6Address, stage::kBatchSize> mapped;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    std::array<const table::LocalAddress*, stage::kBatchSize> locals;

    // Tunnelled packets all go to one address or a few: the last one found is tried first.
    const table::LocalAddress* last = nullptr;
    bool tried = false;
    const bool checks_sources = worker_.parameters->protect_payload != 0;
    const bool serves_vpn = !tables_.vpn_clients.empty();
    unsigned count = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        const std::uint8_t* const ip = stage::data(packet);
        if (checks_sources && lacks_esp(packet, notes)) [[unlikely]] {
            out_.drop(packet, Counter::kIpsecInPolicy);
            continue;
        }
        if (serves_vpn && notes.family == 4 && settle_vpn_source(packet, notes)) continue;
        if (!is_ordinary(ip, notes) && settle_special(packet, notes)) continue;
        const Ipv6Address* key = &reinterpret_cast<const Ipv6Header*>(ip)->destination;
        if (notes.family != 6) {
            mapped[count] = table::v4_mapped(reinterpret_cast<const Ipv4Header*>(ip)->destination);
            key = &mapped[count];
        }
        if (!tried) {
            last = tables_.local_addresses.find(*key);
            tried = true;
        }
        if (last != nullptr && table::same_address(last->address, *key)) {
            settle_local(packet, notes, *last);
            continue;
        }
        packets[count] = packet;
        keys[count++] = key;
    }
    if (count == 0) return;

    tables_.bindings.find_bulk(keys.data(), count, slots.data());
    unsigned bound = 0;
    unsigned rest = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (slots[i] != table::kNoSlot && !tables_.bindings.at(slots[i]).tentative()) [[likely]] {
            PacketMeta& notes = stage::meta(packets[i]);
            if (has_flag(notes, stage::kMetaToGroup)) [[unlikely]] {  // RFC 1812 section 5.3.4
                out_.drop(packets[i], Counter::kForwardScope);
                continue;
            }
            notes.binding = slots[i];
            in.packets[bound++] = packets[i];
            continue;
        }
        packets[rest] = packets[i];
        keys[rest++] = keys[i];
    }
    in.count = bound;
    out_.to_all(ClassifyEdge::kIntercept, in);
    if (rest == 0) return;

    tables_.local_addresses.find_bulk(keys.data(), rest, locals.data());
    if (tables_.vpn_clients.worth_fetching()) {
        table::VpnClients::Fetch fetch(tables_.vpn_clients);
        for (unsigned i = 0; i < rest; ++i) {
            if (keys[i]->is_v4_mapped()) fetch.inside(table::v4_of(*keys[i]));
        }
    }
    for (unsigned i = 0; i < rest; ++i) {
        PacketMeta& notes = stage::meta(packets[i]);
        if (locals[i] != nullptr) {
            settle_local(packets[i], notes, *locals[i]);
        } else if (!settle_mobile_network(packets[i], notes, *keys[i])) {
            settle_transit(packets[i], notes, *keys[i]);
        }
    }
}

namespace {

void classify(Worker& worker, Batch& in, Edges& out) {
    Classification(worker, out).run(in);
}

}  // namespace

const stage::StageDescription kClassifyStage{
    .id = StageId::kClassify,
    .name = "classify",
    .function = classify,
    .edges = {{{"intercept", StageId::kIntercept},
               {"forward", StageId::kForward},
               {"tunnel-in", StageId::kTunnelIn},
               {"ipsec-in", StageId::kIpsecIn},
               {"home-address", StageId::kHomeAddress},
               {"reassemble", StageId::kReassemble},
               {"dsmip-in", StageId::kDsmipIn},
               {"nd-proxy", StageId::kNdProxy},
               {"icmp-in", StageId::kIcmpIn},
               {"icmp-error", StageId::kIcmpError},
               {"to-control", StageId::kToControl},
               {"to-kernel", StageId::kToKernel},
               {"tx", StageId::kTx},
               {"mip4-in", StageId::kMip4In},
               {"vpn-in", StageId::kVpnIn},
               {"vpn-out", StageId::kVpnOut}}},
    .edge_count = 16,
};

}  // namespace homeport::tunnel
