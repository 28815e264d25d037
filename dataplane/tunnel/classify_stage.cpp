// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/extension_headers.hpp"
#include "dataplane/tunnel/mip4_broadcasts_for_stages.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/routing_header.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::IcmpErrorKind;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class ClassifyEdge : std::uint8_t {
    kIntercept,
    kForward,
    kTunnelIn,
    kIpsecIn,
    kHomeAddress,
    kReassemble,
    kDsmipIn,
    kNdProxy,
    kIcmpIn,
    kIcmpError,
    kToControl,
    kToKernel,
    kTx,
    kMip4In,
    kVpnIn,
    kVpnOut,
};

constexpr std::uint8_t kEcho = 0;
constexpr std::uint8_t kIcmpv6FirstInformational = 128;
constexpr std::uint8_t kNeighborSolicitation = 135;
constexpr std::uint8_t kNeighborAdvertisement = 136;
constexpr std::uint8_t kHomeAgentDiscoveryRequest = 144;
constexpr std::uint8_t kMobilePrefixSolicitation = 146;
constexpr std::uint8_t kMldQuery = 130;

/// Interface identifiers of the home agents' anycast address: EUI-64 prefixes, and others (RFC 2526
/// section 2).
constexpr std::uint64_t kAnycastEui64 = 0xfdfffffffffffffe;
constexpr std::uint64_t kAnycastOther = 0xfffffffffffffffe;

const Ipv6Header& ipv6_of(rte_mbuf* packet) {
    return *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
}

/// First octet of the upper-layer header, if it is there.
int upper_octet(rte_mbuf* packet, const PacketMeta& notes) {
    if (notes.upper_offset >= stage::length(packet)) return -1;
    return stage::data(packet)[notes.upper_offset];
}

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

/// UDP to `port`, so much of it as is looked at here.
bool is_udp_to(rte_mbuf* packet, const PacketMeta& notes, std::uint16_t port) {
    return notes.protocol == number(IpProtocol::kUdp) &&
           stage::length(packet) >= notes.upper_offset + 4u &&
           load_be16(stage::data(packet) + notes.upper_offset + 2) == port;
}

bool ends_tunnels(const table::LocalAddress& local) {
    return local.is_home_agent_address != 0 || local.is_vpn_gateway != 0 ||
           local.mip4_role != channel::Mip4Role::kNone;
}

bool has_flag(const PacketMeta& notes, stage::MetaFlags flag) {
    return (notes.flags & flag) != 0;
}

/// One call of the stage. Each method gives its packet away.
class Classification {
  public:
    Classification(Worker& worker, Edges& out)
        : worker_(worker), tables_(*worker.tables), out_(out) {}

    void run(Batch& in);

  private:
    void settle_all(Batch& in);
    [[nodiscard]] bool settle_vpn_source(rte_mbuf* packet, const PacketMeta& notes);
    [[nodiscard]] bool lacks_esp(rte_mbuf* packet, const PacketMeta& notes) const;
    void give(ClassifyEdge edge, rte_mbuf* packet) { out_.to(edge, packet); }
    void punt(rte_mbuf* packet, channel::PuntReason reason) {
        stage::meta(packet).reason = static_cast<std::uint8_t>(reason);
        give(ClassifyEdge::kToControl, packet);
    }

    [[nodiscard]] bool settle_special(rte_mbuf* packet, PacketMeta& notes);
    void settle_group(rte_mbuf* packet, const PacketMeta& notes);
    void settle_link_local(rte_mbuf* packet, PacketMeta& notes);
    [[nodiscard]] bool is_neighbor_discovery(rte_mbuf* packet, const PacketMeta& notes) const;
    void settle_local(rte_mbuf* packet, PacketMeta& notes, const table::LocalAddress& local);
    [[nodiscard]] bool settle_extension_headers(rte_mbuf* packet, PacketMeta& notes,
                                                const table::LocalAddress& local);
    [[nodiscard]] bool settle_routing_header(rte_mbuf* packet, const parse::Headers& headers);
    [[nodiscard]] bool settle_options(rte_mbuf* packet, const PacketMeta& notes);
    [[nodiscard]] bool hand_to_owner(rte_mbuf* packet, std::uint16_t flags = 0);
    void copy_query_to_control(rte_mbuf* packet);
    [[nodiscard]] rte_mbuf* copy_for_control(rte_mbuf* packet);
    void settle_group_of_home_link(rte_mbuf* packet, const PacketMeta& notes);
    [[nodiscard]] bool settle_mip4(rte_mbuf* packet, const PacketMeta& notes);
    [[nodiscard]] bool is_request_to_home_link(rte_mbuf* packet, const PacketMeta& notes,
                                               const Ipv6Address& destination) const;
    void settle_mobility(rte_mbuf* packet, const PacketMeta& notes);
    void settle_icmpv6(rte_mbuf* packet, const PacketMeta& notes);
    void settle_transit(rte_mbuf* packet, PacketMeta& notes, const Ipv6Address& destination);
    [[nodiscard]] bool settle_mobile_network(rte_mbuf* packet, PacketMeta& notes,
                                             const Ipv6Address& destination);

    Worker& worker_;
    const table::Tables& tables_;
    Edges& out_;
    Batch tunnelled_;
};

/// RFC 4301 section 5.2: what a bound home address, or a network behind it, sends comes out of its
/// SA, whatever link it is said to come from. In tunnels that is for tunnel-in to see, in
/// signalling for ipsec-in.
bool Classification::lacks_esp(rte_mbuf* packet, const PacketMeta& notes) const {
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
bool Classification::settle_vpn_source(rte_mbuf* packet, const PacketMeta& notes) {
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

// ----------------------------------------------------------- destinations that no table is asked

/// Groups, link-local and void addresses, and neighbor discovery. True: the packet is given away.
bool Classification::settle_special(rte_mbuf* packet, PacketMeta& notes) {
    if (notes.family == 6) {
        const Ipv6Header& ip = ipv6_of(packet);
        if (notes.protocol == number(IpProtocol::kIcmpv6) && is_neighbor_discovery(packet, notes)) {
            give(ClassifyEdge::kNdProxy, packet);
            return true;
        }
        if (ip.destination.is_multicast()) {
            settle_group(packet, notes);
            return true;
        }
        if (ip.destination.is_link_local()) {
            settle_link_local(packet, notes);
            return true;
        }
        if (ip.destination.high() == 0) {  // ::, ::1, v4-mapped: never on a wire
            out_.drop(packet, Counter::kForwardScope);
            return true;
        }
        return false;
    }
    const Ipv4Address destination =
        reinterpret_cast<const Ipv4Header*>(stage::data(packet))->destination;
    // A subnet broadcast is known by its link-layer destination alone.
    if (destination.is_unicast() && !has_flag(notes, stage::kMetaToGroup)) return false;
    settle_group(packet, notes);
    return true;
}

void Classification::settle_group(rte_mbuf* packet, const PacketMeta& notes) {
    if (has_flag(notes, stage::kMetaOriginated) && has_flag(notes, stage::kMetaL2Intact)) {
        settle_transit(packet, stage::meta(packet), Ipv6Address{});
        return;
    }
    if (!has_flag(notes, stage::kMetaL2Intact)) {  // out of a tunnel: it has no link
        out_.drop(packet, Counter::kForwardScope);
        return;
    }
    if (notes.family == 6 && notes.protocol == number(IpProtocol::kIcmpv6) &&
        upper_octet(packet, notes) == kMldQuery &&
        tables_.home_prefixes.is_home_port(notes.in_port)) {
        copy_query_to_control(packet);
    }
    if (notes.family == 4 && tables_.local_addresses.serves_mip4()) {
        settle_group_of_home_link(packet, notes);
        return;
    }
    give(ClassifyEdge::kToKernel, packet);
}

/// IPv4 on a link that may be the home of Mobile IPv4 nodes: requests to whatever home agent there
/// is (RFC 5944 section 3.8.3.2), and broadcasts that nodes elsewhere want (P29).
void Classification::settle_group_of_home_link(rte_mbuf* packet, const PacketMeta& notes) {
    constexpr int kRouterSolicitation = 10;
    if (!tables_.home_prefixes.is_home_port(notes.in_port)) {
        give(ClassifyEdge::kToKernel, packet);
        return;
    }
    if (is_udp_to(packet, notes, kMip4Port)) {
        give(ClassifyEdge::kMip4In, packet);
        return;
    }
    if (notes.protocol == number(IpProtocol::kIcmp) &&
        upper_octet(packet, notes) == kRouterSolicitation) {
        rte_mbuf* const copy = copy_for_control(packet);
        if (copy != nullptr) punt(copy, channel::PuntReason::kAgentSolicitation);
    }
    const bool multicast =
        reinterpret_cast<const Ipv4Header*>(stage::data(packet))->destination.is_multicast();
    if (!multicast && wants_broadcast(tables_, notes.in_port)) {
        rte_mbuf* const copy = copy_of(worker_, packet);
        if (copy != nullptr) give(ClassifyEdge::kMip4In, copy);
    }
    give(ClassifyEdge::kToKernel, packet);
}

/// Kernel and control plane both report groups: those of its own addresses, and those of the home
/// addresses that are defended. No buffer: the querier asks again.
void Classification::copy_query_to_control(rte_mbuf* packet) {
    rte_mbuf* const copy = copy_for_control(packet);
    if (copy != nullptr) punt(copy, channel::PuntReason::kMldQuery);
}

/// With the Ethernet header before it, as in the packet.
rte_mbuf* Classification::copy_for_control(rte_mbuf* packet) {
    (void)rte_pktmbuf_prepend(packet, kEthernetLength);  // where it still stands
    rte_mbuf* const copy = rte_pktmbuf_copy(packet, worker_.pool, 0, UINT32_MAX);
    cut_front(packet, kEthernetLength);
    if (copy == nullptr) return nullptr;
    cut_front(copy, kEthernetLength);
    worker_.count(Counter::kRxGenerated);
    return copy;
}

/// RFC 6275 section 10.4.2: packets to a mobile node's link-local address are never tunnelled.
void Classification::settle_link_local(rte_mbuf* packet, PacketMeta& notes) {
    const Ipv6Address& destination = ipv6_of(packet).destination;
    if (has_flag(notes, stage::kMetaOriginated) && has_flag(notes, stage::kMetaL2Intact)) {
        settle_transit(packet, notes, Ipv6Address{});
        return;
    }
    if (!has_flag(notes, stage::kMetaL2Intact)) {
        out_.drop(packet, Counter::kForwardScope);
        return;
    }
    const table::LocalAddress* local = tables_.local_addresses.find(destination);
    if (local != nullptr && local->on_port(notes.in_port)) {
        give(ClassifyEdge::kToKernel, packet);
        return;
    }
    for (const table::HomePrefix& prefix : tables_.home_prefixes.on_port(notes.in_port)) {
        if (prefix.prefix.is_v4_mapped()) continue;
        Ipv6Address home_address = prefix.prefix;
        std::copy_n(destination.bytes.begin() + 8, 8, home_address.bytes.begin() + 8);
        const std::uint32_t slot = tables_.bindings.find(home_address);
        if (slot == table::kNoSlot || tables_.bindings.at(slot).tentative()) continue;
        notes.binding = slot;
        give(ClassifyEdge::kIntercept, packet);
        return;
    }
    out_.drop(packet, Counter::kForwardScope);
}

bool Classification::is_neighbor_discovery(rte_mbuf* packet, const PacketMeta& notes) const {
    const int type = upper_octet(packet, notes);
    if (type != kNeighborSolicitation && type != kNeighborAdvertisement) return false;
    // What this host's own kernel advertises is no news here; what it asks for may be bound.
    if (has_flag(notes, stage::kMetaOriginated) && type != kNeighborSolicitation) return false;
    return has_flag(notes, stage::kMetaL2Intact) && ipv6_of(packet).hop_limit == 255 &&
           tables_.home_prefixes.is_home_port(notes.in_port);
}

// ---------------------------------------------------------------------------------- packets to us

/// True: the packet is given away. Otherwise its notes are those of a packet whose extension
/// headers are all in order.
bool Classification::settle_extension_headers(rte_mbuf* packet, PacketMeta& notes,
                                              const table::LocalAddress& local) {
    parse::Headers headers;
    if (parse::walk(bytes_of(packet), headers) != parse::Error::kNone) [[unlikely]] {
        out_.drop(packet, Counter::kParseHeader);
        return true;
    }
    if (headers.has(parse::kFragment)) {
        give(local.is_home_agent_address != 0 ? ClassifyEdge::kReassemble : ClassifyEdge::kToKernel,
             packet);
        return true;
    }
    if (headers.has(parse::kRoutingHeader) && headers.segments_left != 0) {
        return settle_routing_header(packet, headers);
    }
    if (headers.has(parse::kAtomicFragment) && local.is_home_agent_address != 0) {
        ipsec::Packet view = view_of(packet);
        remove_extension_header(view,
                                {headers.fragment_header_offset, headers.fragment_name_offset},
                                sizeof(FragmentHeader));
        apply(view, packet);
        notes.upper_offset = static_cast<std::uint16_t>(notes.upper_offset - 8);
        notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    }
    if (headers.has(parse::kDestinationOptions) || headers.has(parse::kHopByHopOptions)) {
        return settle_options(packet, notes);
    }
    return false;
}

/// RFC 6275 section 6.4: we are nobody's way point. Other routing headers are the kernel's, which
/// answers RFC 5095 and RFC 8200 section 4.4.
bool Classification::settle_routing_header(rte_mbuf* packet, const parse::Headers& headers) {
    if (headers.routing_type == kType2) {
        const std::uint8_t* const address = type2_address(bytes_of(packet), headers);
        if (address == nullptr || !is_own(worker_, Ipv6Address::load(address))) {
            out_.drop(packet, Counter::kMip6Rh2Bad);
            return true;
        }
    }
    give(ClassifyEdge::kToKernel, packet);
    return true;
}

bool Classification::settle_options(rte_mbuf* packet, const PacketMeta& notes) {
    const OptionsReport report = examine_options(bytes_of(packet));
    // Upper layers of the kernel are its own business, but it knows nothing of home addresses.
    const bool kernels = notes.protocol != number(IpProtocol::kEsp) &&
                         notes.protocol != number(IpProtocol::kMobility) &&
                         notes.protocol != number(IpProtocol::kIpv6) &&
                         notes.protocol != number(IpProtocol::kIpv4);
    switch (report.action) {
        case OptionsReport::Action::kAccept:
            if (!report.has_home_address) return false;
            if (notes.protocol == number(IpProtocol::kEsp) &&
                hand_to_owner(packet, stage::kMetaSignalling)) {
                return true;
            }
            give(ClassifyEdge::kHomeAddress, packet);
            return true;
        case OptionsReport::Action::kBadHomeAddress:
            out_.drop(packet, Counter::kMip6HaoBad);
            return true;
        case OptionsReport::Action::kMalformed:
        case OptionsReport::Action::kDiscard:
            if (kernels) return false;
            out_.drop(packet, Counter::kParseHeader);
            return true;
        case OptionsReport::Action::kParameterProblem:
            if (kernels) return false;
            note_icmp_error(packet, IcmpErrorKind::kParameterProblem, Counter::kParseHeader,
                            report.pointer, 2);
            give(ClassifyEdge::kIcmpError, packet);
            return true;
    }
    return false;
}

void Classification::settle_local(rte_mbuf* packet, PacketMeta& notes,
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
bool Classification::settle_mip4(rte_mbuf* packet, const PacketMeta& notes) {
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

// ------------------------------------------------------------------------------------ all others

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
bool Classification::settle_mobile_network(rte_mbuf* packet, PacketMeta& notes,
                                           const Ipv6Address& destination) {
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
        const std::uint8_t first = ip[offsetof(Ipv6Header, destination)];
        // Global unicast addresses begin with 001 or, unique local ones, with 1111110.
        const bool ordinary = notes.family == 6 && notes.protocol != number(IpProtocol::kIcmpv6) &&
                              first != 0 && first < 0xfe;
        if (!ordinary && settle_special(packet, notes)) continue;
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
    for (unsigned i = 0; i < rest; ++i) {
        PacketMeta& notes = stage::meta(packets[i]);
        if (locals[i] != nullptr) {
            settle_local(packets[i], notes, *locals[i]);
        } else if (!settle_mobile_network(packets[i], notes, *keys[i])) {
            settle_transit(packets[i], notes, *keys[i]);
        }
    }
}

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
