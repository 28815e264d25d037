// SPDX-License-Identifier: BSD-3-Clause
// What came to a home agent address in UDP, or as ESP over IPv4: P10i, P11, P13i, P15. Fragments
// have been put together before.

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"
#include "dataplane/tunnel/family_change.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/udp_signalling_stages.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class DsmipInEdge : std::uint8_t { kTunnelIn, kHomeAddress, kIpsecIn, kParse, kToKernel };

constexpr std::uint16_t kProxyControlPort = 5436;  // RFC 5844: of proxies, not of mobile nodes
constexpr std::uint16_t kProxyDataPort = 5437;

constexpr std::uint16_t kEspHeader = 8;

class DsmipIn {
  public:
    DsmipIn(Worker& worker, Edges& out) : worker_(worker), tables_(*worker.tables), out_(out) {}

    void take(rte_mbuf* packet);
    /// Gives on the sealed packets of those that were taken: databases are asked about all of them
    /// at once.
    void give_sealed();

  private:
    /// P13i, before it is known whose it is.
    struct Sealed {
        rte_mbuf* packet;
        std::uint32_t spi;
        std::uint16_t esp_offset;
        std::uint16_t udp_port;  // the source port; 0: ESP right in IPv4, if not in_udp
        bool in_udp;
    };

    [[nodiscard]] bool take_plain_esp(rte_mbuf* packet, const PacketMeta& notes);
    void take_udp(rte_mbuf* packet, PacketMeta& notes);
    void take_tunnel(rte_mbuf* packet, PacketMeta& notes, const UdpDatagram& udp);
    void take_4500(rte_mbuf* packet, PacketMeta& notes, const UdpDatagram& udp);
    void take_esp(rte_mbuf* packet, PacketMeta& notes, std::uint16_t esp_offset,
                  std::uint16_t udp_port);
    void give(const Sealed& sealed, const Ipv6Address& home_address, const table::HomePrefix& home,
              std::uint32_t slot);
    void take_other_esp(rte_mbuf* packet, PacketMeta& notes, std::uint16_t esp_offset);
    void strip_for_home_agent(rte_mbuf* packet, PacketMeta& notes, std::uint16_t inner_offset,
                              std::uint8_t protocol);
    [[nodiscard]] bool is_for_home_agent(ConstByteSpan inner) const;
    [[nodiscard]] bool hand_to_owner(rte_mbuf* packet, std::uint16_t esp_offset);
    [[nodiscard]] bool is_news(std::uint32_t slot, const SealedSource& source) const;

    Worker& worker_;
    const table::Tables& tables_;
    Edges& out_;
    unsigned in_udp_ = 0;  // ESP in UDP that is not counted yet
    unsigned sealed_count_ = 0;
    std::array<Sealed, stage::kBatchSize> sealed_;
};

Ipv4Address source4(rte_mbuf* packet) {
    return reinterpret_cast<const Ipv4Header*>(stage::data(packet))->source;
}

/// What lies behind the datagram is none of its.
void cut_behind(rte_mbuf* packet, const PacketMeta& notes, const UdpDatagram& udp) {
    set_length(packet, static_cast<std::uint16_t>(notes.upper_offset + sizeof(UdpHeader) +
                                                  udp.payload.size()));
}

// -------------------------------------------------------------------------------------------- UDP

/// ESP in UDP 4500 over IPv4 as it nearly always comes, without a checksum (RFC 3948 section 2.1),
/// where this worker owns every SA: in one look what take_udp() would come to. False: nothing was
/// done.
bool DsmipIn::take_plain_esp(rte_mbuf* packet, const PacketMeta& notes) {
    constexpr std::uint16_t kUdp = sizeof(UdpHeader);
    const std::uint32_t least = notes.upper_offset + kUdp + std::uint32_t{kEspHeader};
    if (notes.protocol != number(IpProtocol::kUdp) || notes.family != 4 ||
        worker_.worker_count > 1 || stage::length(packet) < least) {
        return false;
    }
    const std::uint8_t* const header = stage::data(packet) + notes.upper_offset;
    const auto& udp = *reinterpret_cast<const UdpHeader*>(header);
    const std::uint32_t end = std::uint32_t{notes.upper_offset} + udp.length.host();
    const std::uint32_t spi = load_be32(header + kUdp);
    if (udp.destination_port.host() != kNatTraversalPort || udp.checksum.host() != 0 ||
        end < least || end > stage::length(packet) || spi == 0) {
        return false;
    }
    set_length(packet, static_cast<std::uint16_t>(end));
    ++in_udp_;
    sealed_[sealed_count_++] = {.packet = packet,
                                .spi = spi,
                                .esp_offset = static_cast<std::uint16_t>(notes.upper_offset + kUdp),
                                .udp_port = udp.source_port.host(),
                                .in_udp = true};
    return true;
}

void DsmipIn::take_udp(rte_mbuf* packet, PacketMeta& notes) {
    const UdpDatagram udp = read_udp(bytes_of(packet).subspan(notes.upper_offset));
    // A header that is cut off still says whose it was: classify has looked at the port.
    const std::uint16_t port = load_be16(stage::data(packet) + notes.upper_offset + 2);
    if (port == kProxyControlPort || port == kProxyDataPort) {
        out_.drop(packet, Counter::kTunInUnknown);
        return;
    }
    const bool is_tunnel = port == kDsmipPort;
    if (!udp.well_formed) {
        out_.drop(packet, is_tunnel ? Counter::kDsmipInShort : Counter::kUdp4500Bad);
        return;
    }
    if (!udp_checksum_holds(packet, notes)) {
        out_.drop(packet, Counter::kDsmipInChecksum);
        return;
    }
    is_tunnel ? take_tunnel(packet, notes, udp) : take_4500(packet, notes, udp);
}

/// P15, over IPv6: what IPsec, or the protocol module, has to judge.
bool DsmipIn::is_for_home_agent(ConstByteSpan inner) const {
    parse::Headers headers;
    if (parse::walk(inner, headers) != parse::Error::kNone || headers.family != 6) return false;
    if (headers.protocol != number(IpProtocol::kEsp) &&
        headers.protocol != number(IpProtocol::kMobility)) {
        return false;
    }
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(inner.data());
    const table::LocalAddress* const local = tables_.local_addresses.find(ip.destination);
    return local != nullptr && local->is_home_agent_address != 0;
}

/// P15: the outer headers go, and what is inside goes the way of any packet over IPv6.
void DsmipIn::strip_for_home_agent(rte_mbuf* packet, PacketMeta& notes, std::uint16_t inner_offset,
                                   std::uint8_t protocol) {
    std::uint8_t* const outer = stage::data(packet);
    const Inner inner = peek_inner(bytes_of(packet).subspan(inner_offset), protocol);
    if (inner.family == 0) {
        out_.drop(packet, Counter::kTunInMalformed);
        return;
    }
    if (!carry_ecn_inwards(outer + inner_offset, traffic_class_of(outer))) {
        out_.drop(packet, Counter::kTunInEcnDrop);
        return;
    }
    cut_front(packet, inner_offset);
    set_length(packet, inner.length);
    notes.flags = stage::kMetaDecapsulated;
    out_.to(DsmipInEdge::kParse, packet);
}

/// P10i, P11, P15.
void DsmipIn::take_tunnel(rte_mbuf* packet, PacketMeta& notes, const UdpDatagram& udp) {
    using Kind = UdpTunnelPayload::Kind;
    const UdpTunnelPayload payload =
        read_udp_tunnel_payload(udp.payload, worker_.parameters->tlv_header != 0);
    if (payload.kind != Kind::kIp) {
        out_.drop(packet, payload.kind == Kind::kShort ? Counter::kDsmipInShort
                                                       : Counter::kDsmipInBadVersion);
        return;
    }
    cut_behind(packet, notes, udp);
    const auto inner_offset =
        static_cast<std::uint16_t>(notes.upper_offset + sizeof(UdpHeader) + payload.offset);
    const ConstByteSpan inner = bytes_of(packet).subspan(inner_offset);
    if (notes.family == 4 && takes_signalling_path(worker_, inner)) {
        notes.parameter = inner_offset;
        out_.to(DsmipInEdge::kHomeAddress, packet);
        return;
    }
    if (notes.family == 6 && is_for_home_agent(inner)) {
        strip_for_home_agent(packet, notes, inner_offset, payload.protocol);
        return;
    }
    notes.protocol = payload.protocol;
    notes.upper_offset = inner_offset;
    notes.parameter = kCameInUdp | udp.source_port;
    out_.to(DsmipInEdge::kTunnelIn, packet);
}

/// RFC 3948 section 2.
void DsmipIn::take_4500(rte_mbuf* packet, PacketMeta& notes, const UdpDatagram& udp) {
    switch (classify_udp4500(udp.payload)) {
        case Udp4500Payload::kKeepalive:
            out_.absorb(packet, Counter::kUdp4500Keepalive);
            return;
        case Udp4500Payload::kIke:
            worker_.count(Counter::kUdp4500Ike);
            out_.to(DsmipInEdge::kToKernel, packet);
            return;
        case Udp4500Payload::kBad:
            out_.drop(packet, Counter::kUdp4500Bad);
            return;
        case Udp4500Payload::kEsp:
            break;
    }
    cut_behind(packet, notes, udp);
    take_esp(packet, notes, static_cast<std::uint16_t>(notes.upper_offset + sizeof(UdpHeader)),
             udp.source_port);
}

// -------------------------------------------------------------------------------------------- ESP

/// Sequence numbers and replay window of an SA have one writer, and the note of where the packet
/// came from has to be made where it is opened. IPsec is shown a packet of the form that it gets.
bool DsmipIn::hand_to_owner(rte_mbuf* packet, std::uint16_t esp_offset) {
    if (worker_.worker_count <= 1) return false;
    constexpr std::uint16_t kShown = 8;
    std::array<std::uint8_t, sizeof(Ipv6Header) + kShown> shown{};
    write_ipv6_tunnel_header(shown.data(), {}, 0, kShown, number(IpProtocol::kEsp));
    std::memcpy(shown.data() + sizeof(Ipv6Header), stage::data(packet) + esp_offset, kShown);
    const auto owner = worker_.esp->inbound_owner({shown.data(), shown.size(), 0, 0});
    if (!owner || *owner == worker_.index) return false;
    note_signalling(stage::meta(packet), stage::data(packet) + esp_offset);
    out_.hand_over(packet, *owner, StageId::kDsmipIn);
    return true;
}

/// Whether it would change where answers go, were it authentic.
bool DsmipIn::is_news(std::uint32_t slot, const SealedSource& source) const {
    const table::Binding& binding = tables_.bindings.at(slot);
    if (binding.encapsulation != channel::Encapsulation::kIpv4 &&
        binding.encapsulation != channel::Encapsulation::kUdpIpv4) {
        return false;
    }
    const auto known = tables_.return_paths.esp_mapping(slot, binding);
    if (!source.mapping) {
        return known && (binding.flags & channel::kBindingFollowForm) != 0;
    }
    return !known || *known != *source.mapping;
}

/// ESP of others: IPsec gets it as it would have come without UDP.
void DsmipIn::take_other_esp(rte_mbuf* packet, PacketMeta& notes, std::uint16_t esp_offset) {
    if (esp_offset != notes.upper_offset) {
        constexpr std::uint16_t kCut = sizeof(UdpHeader);
        std::uint8_t* const old = stage::data(packet);
        std::memmove(old + kCut, old, notes.upper_offset);
        cut_front(packet, kCut);
        auto& ip = *reinterpret_cast<Ipv4Header*>(stage::data(packet));
        ip.total_length = Be16(stage::length(packet));
        ip.protocol = number(IpProtocol::kEsp);
        ip.checksum = Be16(0);
        ip.checksum = Be16(internet_checksum({stage::data(packet), notes.upper_offset}));
        notes.protocol = number(IpProtocol::kEsp);
        notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    }
    out_.to(DsmipInEdge::kIpsecIn, packet);
}

/// P13i: it waits for the rest of the batch. `udp_port`: the source port, or 0 for ESP right in
/// IPv4.
void DsmipIn::take_esp(rte_mbuf* packet, PacketMeta& notes, std::uint16_t esp_offset,
                       std::uint16_t udp_port) {
    if (stage::length(packet) < esp_offset + kEspHeader) {
        out_.to(DsmipInEdge::kIpsecIn, packet);  // it counts what is wrong with it
        return;
    }
    if (hand_to_owner(packet, esp_offset)) return;
    const bool in_udp = notes.protocol == number(IpProtocol::kUdp);
    in_udp_ += in_udp ? 1 : 0;
    const std::uint32_t spi = load_be32(stage::data(packet) + esp_offset);
    sealed_[sealed_count_++] = {packet, spi, esp_offset, udp_port, in_udp};
}

/// The SA's home address stands where the outer addresses were; its binding is in `slot`.
void DsmipIn::give(const Sealed& sealed, const Ipv6Address& home_address,
                   const table::HomePrefix& home, std::uint32_t slot) {
    rte_mbuf* const packet = sealed.packet;
    PacketMeta& notes = stage::meta(packet);
    if (slot != table::kNoSlot && tables_.bindings.at(slot).tentative()) slot = table::kNoSlot;
    const Ipv6Address source6 = table::v4_mapped(source4(packet));
    const bool expected = slot != table::kNoSlot &&
                          table::same_address(tables_.bindings.at(slot).care_of_address, source6);
    if (!expected && refuse_payload_from_elsewhere(worker_, packet, sealed.spi, source6, out_)) {
        return;
    }
    SealedSource source{.slot = slot, .mapping = std::nullopt};
    if (sealed.udp_port != 0) {
        source.mapping = {.address = source4(packet), .port = sealed.udp_port};
    }
    const auto home_agent = tables_.local_addresses.source_for(home.port, home_address);
    ipsec::Packet view = view_of(packet);
    if (!replace_ipv4_by_ipv6(view, sealed.esp_offset, home_address,
                              home_agent.value_or(Ipv6Address{}))) {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    apply(view, packet);
    stage::reset_meta(packet);
    notes.family = 6;
    notes.protocol = number(IpProtocol::kEsp);
    notes.upper_offset = sizeof(Ipv6Header);
    // Binding updates come in UDP 4191, never here.
    notes.flags = stage::kMetaOuterChecked | stage::kMetaSourceSettled;
    notes.binding = slot;
    const bool can_be_answered = !sealed.in_udp || sealed.udp_port != 0;
    if (slot != table::kNoSlot && can_be_answered && is_news(slot, source)) {
        note_sealed_source(notes, source);
    }
    out_.to(DsmipInEdge::kIpsecIn, packet);
}

void DsmipIn::give_sealed() {
    std::array<ipsec::Spi, stage::kBatchSize> spis;
    std::array<std::optional<Ipv6Address>, stage::kBatchSize> home_addresses;
    std::array<const table::HomePrefix*, stage::kBatchSize> homes;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    if (sealed_count_ == 0) return;
    if (in_udp_ != 0) worker_.count(Counter::kUdp4500Esp, in_udp_);
    for (unsigned i = 0; i < sealed_count_; ++i) spis[i] = ipsec::Spi{sealed_[i].spi};
    if (worker_.ipsec_queries != nullptr) {
        worker_.ipsec_queries->selectors_for_spi(std::span(spis.data(), sealed_count_),
                                                 home_addresses.data());
    }
    unsigned known = 0;
    for (unsigned i = 0; i < sealed_count_; ++i) {
        const table::HomePrefix* const home =
            home_addresses[i] ? tables_.home_prefixes.find(*home_addresses[i]) : nullptr;
        if (home == nullptr) {  // an SA that has nothing to do with mobile nodes, or none at all
            rte_mbuf* const packet = sealed_[i].packet;
            take_other_esp(packet, stage::meta(packet), sealed_[i].esp_offset);
            continue;
        }
        sealed_[known] = sealed_[i];
        home_addresses[known] = home_addresses[i];
        homes[known++] = home;
    }
    if (known == 0) return;
    for (unsigned i = 0; i < known; ++i) keys[i] = &*home_addresses[i];
    tables_.bindings.find_bulk(keys.data(), known, slots.data());
    for (unsigned i = 0; i < known; ++i) {
        if (slots[i] != table::kNoSlot) tables_.return_paths.prefetch(slots[i]);
    }
    for (unsigned i = 0; i < known; ++i) give(sealed_[i], *home_addresses[i], *homes[i], slots[i]);
}

void DsmipIn::take(rte_mbuf* packet) {
    PacketMeta& notes = stage::meta(packet);
    if (take_plain_esp(packet, notes)) [[likely]]
        return;
    if (notes.protocol == number(IpProtocol::kEsp)) {
        take_esp(packet, notes, notes.upper_offset, 0);
    } else {
        take_udp(packet, notes);
    }
}

void dsmip_in(Worker& worker, Batch& in, Edges& out) {
    DsmipIn stage(worker, out);
    for (unsigned i = 0; i < in.count; ++i) stage.take(in.packets[i]);
    stage.give_sealed();
}

}  // namespace

const stage::StageDescription kDsmipInStage{
    .id = StageId::kDsmipIn,
    .name = "dsmip-in",
    .function = dsmip_in,
    .edges = {{{"tunnel-in", StageId::kTunnelIn},
               {"home-address", StageId::kHomeAddress},
               {"ipsec-in", StageId::kIpsecIn},
               {"parse", StageId::kParse},
               {"to-kernel", StageId::kToKernel}}},
    .edge_count = 5,
};

}  // namespace homeport::tunnel
