// SPDX-License-Identifier: BSD-3-Clause
// The ordinary packets in one look: what parse, classify, intercept and forward would come to for
// an IPv6 packet with nothing unusual about it. Whatever is not certain here goes to parse as it
// came, so nothing is decided here that the stages behind do not decide in the same way;
// tests/golden/forward/express_test.cpp holds the two against each other.
#include <rte_prefetch.h>

#include "dataplane/base/hop_limit.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/table/route_cache.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/ipv6_tunnel_for_stages.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::Worker;

enum class ExpressEdge : std::uint8_t { kParse, kIpsecOut, kTunnelIn, kIpsecIn, kTx };

constexpr unsigned kPrefetchDistance = 4;
constexpr std::uint16_t kIpv6Length = sizeof(Ipv6Header);

/// Upper-layer protocols that mean nothing to this host when they pass through it.
constexpr bool passes_through(std::uint8_t protocol) {
    constexpr std::uint64_t kLow = std::uint64_t{1} << number(IpProtocol::kIpv4) |
                                   std::uint64_t{1} << number(IpProtocol::kTcp) |
                                   std::uint64_t{1} << number(IpProtocol::kUdp) |
                                   std::uint64_t{1} << number(IpProtocol::kIpv6) |
                                   std::uint64_t{1} << number(IpProtocol::kGre) |
                                   std::uint64_t{1} << number(IpProtocol::kNoNextHeader);
    constexpr std::uint8_t kSctp = 132;
    return protocol < 64 ? (kLow >> protocol & 1) != 0 : protocol == kSctp;
}

/// First octet of a unicast address that is neither link-local nor one of the void ones: 001 of
/// global addresses, 1111110 of unique local ones, and what may once be given out.
constexpr bool is_ordinary(std::uint8_t first_octet) {
    return static_cast<std::uint8_t>(first_octet - 1) < 0xfd;
}

/// One call of the stage.
class Express {
  public:
    explicit Express(Worker& worker) : worker_(worker), tables_(*worker.tables) {}

    void run(const Batch& in, Edges& out);

  private:
    [[nodiscard]] const Ipv6Header* header_of(rte_mbuf* packet, const PacketMeta& notes);
    void leave_home_sources(const Batch& in);
    void look_at(rte_mbuf* packet, const Ipv6Header& ip);
    void look_at_local(rte_mbuf* packet, const Ipv6Header& ip);
    void settle_destinations();
    [[nodiscard]] bool intercept(rte_mbuf* packet, const Ipv6Address& destination,
                                 std::uint32_t slot);
    [[nodiscard]] bool goes_into_tunnel(const rte_mbuf* packet, const Ipv6Header& ip,
                                        const table::Binding& binding);
    void count_bypassed();
    [[nodiscard]] bool is_resolved(std::uint32_t adjacency);
    void encapsulate_all();
    [[nodiscard]] bool forward(rte_mbuf* packet, const Ipv6Address& destination);
    void open_tunnels();
    void send_inner(rte_mbuf* packet, const Ipv6Address& destination, std::uint32_t slot,
                    const table::Binding& binding);
    void give_to_tunnel_in(rte_mbuf* packet, const Ipv6Header& outer);
    static void take(rte_mbuf* packet, PacketMeta& notes, const Ipv6Header& ip);
    static void add(Batch& batch, rte_mbuf* packet) { batch.packets[batch.count++] = packet; }

    Worker& worker_;
    const table::Tables& tables_;
    const table::LocalAddress* local_ = nullptr;  // the one that the first packet is for
    bool asked_local_ = false;
    std::uint16_t port_ = channel::kNoPort;  // that mac_ is of
    std::uint64_t mac_ = 0;
    std::uint64_t generation_ = 0;
    std::array<const Ipv6Header*, stage::kBatchSize> headers_;  // of the batch; null: not for here
    Batch candidates_;                                          // whose destinations are asked for
    std::array<const Ipv6Address*, stage::kBatchSize> destinations_;
    /// Of candidates that are inside a tunnel: the binding that they come by. Else null.
    std::array<const table::Binding*, stage::kBatchSize> from_;
    Batch arrived_;  // tunnel packets that end here
    std::array<const Ipv6Header*, stage::kBatchSize> outers_;
    Batch slow_, intercepted_, tunnelled_, sealed_, sent_;

    // Packets that go into their tunnels here.
    Batch encapsulated_;
    std::array<const table::Binding*, stage::kBatchSize> bindings_;
    std::array<const Ipv6Header*, stage::kBatchSize> inners_;
    int bypassed_protocol_ = -1;  // the last one that IPsec was asked about
    std::optional<ipsec::Processor::BypassEntry> bypass_;
    std::uint64_t bypassed_packets_ = 0;
    std::uint64_t bypassed_octets_ = 0;
    unsigned decapsulated_ = 0;
    std::uint32_t adjacency_ = channel::kNoIndex;  // the last one that was looked at
    bool resolved_ = false;
};

const Ipv6Header& header_at(const Ipv6Address& destination) {
    return *reinterpret_cast<const Ipv6Header*>(
        reinterpret_cast<const std::uint8_t*>(&destination) - offsetof(Ipv6Header, destination));
}

/// The six octets at `mac`, which has eight, as a word to compare.
std::uint64_t mac_word(const std::uint8_t* mac) {
    std::uint64_t octets;
    std::memcpy(&octets, mac, sizeof octets);
    return octets << 16;
}

/// The IPv6 header of a packet whose headers are in order and without extensions; null: somebody
/// else must look at it.
const Ipv6Header* Express::header_of(rte_mbuf* packet, const PacketMeta& notes) {
    const std::uint8_t* at = stage::data(packet);
    std::uint32_t room = stage::length(packet);
    if (notes.passes == 0) {
        if (room < kEthernetLength + kIpv6Length || notes.in_port >= channel::kMaxPorts) {
            return nullptr;
        }
        if (notes.in_port != port_) {
            port_ = notes.in_port;
            std::array<std::uint8_t, 8> mac{};
            worker_.ports[port_].mac.store(mac.data());
            mac_ = mac_word(mac.data());
        }
        if (mac_word(at) != mac_ || load_be16(at + 12) != kEtherTypeIpv6) return nullptr;
        at += kEthernetLength;
        room -= kEthernetLength;
    } else if (room < kIpv6Length) {
        return nullptr;
    }
    const auto* const ip = reinterpret_cast<const Ipv6Header*>(at);
    const bool sound = at[0] >> 4 == 6 &&
                       std::uint32_t{kIpv6Length} + ip->payload_length.host() <= room &&
                       ip->hop_limit > 1 && is_ordinary(ip->source.bytes[0]) &&
                       is_ordinary(ip->destination.bytes[0]);
    return sound ? ip : nullptr;
}

/// S1.35: where payload is protected, classify asks of what seems to come from a home address
/// whether it came out of an SA.
void Express::leave_home_sources(const Batch& in) {
    std::array<std::uint8_t, stage::kBatchSize> numbers;
    std::array<const Ipv6Address*, stage::kBatchSize> sources{};
    std::array<const table::HomePrefix*, stage::kBatchSize> homes;
    unsigned count = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        if (headers_[i] == nullptr || stage::meta(in.packets[i]).passes != 0) continue;
        numbers[count] = static_cast<std::uint8_t>(i);
        sources[count++] = &headers_[i]->source;
    }
    tables_.home_prefixes.find_bulk(sources.data(), count, homes.data());
    for (unsigned k = 0; k < count; ++k) {
        if (homes[k] != nullptr) headers_[numbers[k]] = nullptr;
    }
}

/// Notes and bounds of a packet that goes on behind parse; it begins with `ip` from now on.
void Express::take(rte_mbuf* packet, PacketMeta& notes, const Ipv6Header& ip) {
    if (notes.passes == 0) notes.flags |= stage::kMetaL2Intact;
    packet->data_off =
        static_cast<std::uint16_t>(reinterpret_cast<const std::uint8_t*>(&ip) -
                                   static_cast<const std::uint8_t*>(packet->buf_addr));
    set_length(packet, static_cast<std::uint16_t>(kIpv6Length + ip.payload_length.host()));
    notes.family = 6;
    notes.protocol = ip.next_header;
    notes.upper_offset = kIpv6Length;
}

/// Tunnels that end here, and ESP.
void Express::look_at_local(rte_mbuf* packet, const Ipv6Header& ip) {
    PacketMeta& notes = stage::meta(packet);
    const bool from_outside = notes.passes == 0 && local_->is_home_agent_address != 0;
    if (from_outside && ip.next_header == number(IpProtocol::kIpv6)) {
        outers_[arrived_.count] = &ip;
        add(arrived_, packet);
    } else if (from_outside && ip.next_header == number(IpProtocol::kEsp) &&
               worker_.worker_count == 1) {
        take(packet, notes, ip);
        add(sealed_, packet);
    } else {
        add(slow_, packet);
    }
}

void Express::look_at(rte_mbuf* packet, const Ipv6Header& ip) {
    if (!asked_local_) {
        local_ = tables_.local_addresses.find(ip.destination);
        asked_local_ = true;
    }
    if (local_ != nullptr && table::same_address(local_->address, ip.destination)) {
        look_at_local(packet, ip);
    } else if (passes_through(ip.next_header)) [[likely]] {
        destinations_[candidates_.count] = &ip.destination;
        from_[candidates_.count] = nullptr;
        add(candidates_, packet);
    } else {
        add(slow_, packet);
    }
}

/// True: what the stage of this name would let pass unsaid.
bool Express::intercept(rte_mbuf* packet, const Ipv6Address& destination, std::uint32_t slot) {
    const table::Binding& binding = tables_.bindings.at(slot);
    const Ipv6Header& ip = header_at(destination);
    const std::uint32_t length = std::uint32_t{kIpv6Length} + ip.payload_length.host();
    if (binding.tentative() || table::same_address(ip.source, binding.home_agent_address) ||
        table::same_address(ip.source, binding.care_of_address) ||
        length > tunnel_mtu_now(tables_, slot, binding)) [[unlikely]] {
        return false;
    }
    // Written when the tunnel header is.
    if (worker_.binding_rows != nullptr && binding.counter_index != channel::kNoIndex) {
        __builtin_prefetch(&worker_.binding_rows[binding.counter_index], 1);
    }
    if (goes_into_tunnel(packet, ip, binding)) [[likely]] {
        inners_[encapsulated_.count] = &ip;
        bindings_[encapsulated_.count] = &binding;
        add(encapsulated_, packet);
        return true;
    }
    PacketMeta& notes = stage::meta(packet);
    take(packet, notes, ip);
    notes.binding = slot;
    decrement_hop_limit(stage::data(packet), 6);
    add(intercepted_, packet);
    return true;
}

/// The policy lets it pass whatever it is in detail, and its tunnel is IPv6 alone: nothing lies
/// between here and the tunnel header that had to see this packet.
bool Express::goes_into_tunnel(const rte_mbuf* packet, const Ipv6Header& ip,
                               const table::Binding& binding) {
    if (binding.encapsulation != channel::Encapsulation::kIpv6 || worker_.ipsec_copy_mode ||
        rte_pktmbuf_headroom(packet) < kEncapsulationLimitOverhead) [[unlikely]] {
        return false;
    }
    if (ip.next_header != bypassed_protocol_) {
        count_bypassed();
        bypassed_protocol_ = ip.next_header;
        bypass_ = worker_.esp->bypasses_all(ipsec::Family::kIpv6, ip.next_header);
    }
    if (!bypass_ || !is_resolved(binding.adjacency)) return false;
    ++bypassed_packets_;
    bypassed_octets_ += std::uint64_t{kIpv6Length} + ip.payload_length.host();
    return true;
}

void Express::count_bypassed() {
    if (bypassed_packets_ == 0) return;
    worker_.esp->count_bypassed(*bypass_, bypassed_packets_, bypassed_octets_);
    worker_.count(Counter::kIpsecOutBypass, bypassed_packets_);
    bypassed_packets_ = bypassed_octets_ = 0;
}

bool Express::is_resolved(std::uint32_t adjacency) {
    if (adjacency != adjacency_) {
        adjacency_ = adjacency;
        const table::Adjacency* const hop = tables_.adjacencies.find(adjacency);
        resolved_ = hop != nullptr && hop->resolved != 0;
    }
    return resolved_;
}

/// P1, P14.
void Express::encapsulate_all() {
    const std::uint8_t hop_limit = worker_.parameters->tunnel_hop_limit;
    for (unsigned i = 0; i < encapsulated_.count; ++i) {
        rte_mbuf* const packet = encapsulated_.packets[i];
        const table::Binding& binding = *bindings_[i];
        auto* const inner = reinterpret_cast<std::uint8_t*>(const_cast<Ipv6Header*>(inners_[i]));
        const auto length =
            static_cast<std::uint16_t>(kIpv6Length + inners_[i]->payload_length.host());
        decrement_hop_limit(inner, 6);
        put_ipv6_tunnel_header(packet, inner, length, 6, binding, hop_limit);
        count_out(worker_, binding, length);
        PacketMeta& notes = stage::meta(packet);
        notes.family = 6;
        notes.flags |= stage::kMetaEncapsulated | stage::kMetaMayFragmentOuter;
        notes.adjacency = binding.adjacency;
    }
    if (encapsulated_.count != 0) {
        worker_.count(Counter::kTunOutEncapsulated, encapsulated_.count);
    }
}

/// True: it leaves over an adjacency.
bool Express::forward(rte_mbuf* packet, const Ipv6Address& destination) {
    if (worker_.route_cache == nullptr) return false;
    const table::RouteCache::Entry* route = worker_.route_cache->find(destination, generation_);
    if (route == nullptr) {
        route = worker_.route_cache->look_up(tables_, destination, generation_);
        if (route == nullptr) return false;
    }
    const Ipv6Header& ip = header_at(destination);
    if (!is_resolved(route->adjacency) || kIpv6Length + ip.payload_length.host() > route->mtu)
        [[unlikely]] {
        return false;
    }
    PacketMeta& notes = stage::meta(packet);
    take(packet, notes, ip);
    notes.adjacency = route->adjacency;
    decrement_hop_limit(stage::data(packet), 6);
    return true;
}

/// The packet in `binding`'s tunnel; `slot`: of its destination, if that is bound, too (P14).
void Express::send_inner(rte_mbuf* packet, const Ipv6Address& destination, std::uint32_t slot,
                         const table::Binding& binding) {
    const Ipv6Header& inner = header_at(destination);
    if (slot != table::kNoSlot || !forward(packet, destination)) [[unlikely]] {
        give_to_tunnel_in(packet, *(&inner - 1));  // what stands before it
        return;
    }
    stage::meta(packet).flags = stage::kMetaDecapsulated;
    count_in(worker_, binding, stage::length(packet));
    ++decapsulated_;
    add(sent_, packet);
}

void Express::give_to_tunnel_in(rte_mbuf* packet, const Ipv6Header& outer) {
    take(packet, stage::meta(packet), outer);
    add(tunnelled_, packet);
}

/// The packet in a tunnel, if nothing about it is unusual and decapsulation leaves it as it is
/// (RFC 6040); null otherwise.
const Ipv6Header* inner_of(const Ipv6Header& outer) {
    const auto* const at = reinterpret_cast<const std::uint8_t*>(&outer) + kIpv6Length;
    const std::uint32_t room = outer.payload_length.host();
    if (room < kIpv6Length || at[0] >> 4 != 6) return nullptr;
    const auto* const inner = reinterpret_cast<const Ipv6Header*>(at);
    const std::uint8_t inner_ecn = inner->traffic_class() & kEcnMask;
    const bool ordinary = std::uint32_t{kIpv6Length} + inner->payload_length.host() <= room &&
                          inner->hop_limit > 1 && is_ordinary(inner->source.bytes[0]) &&
                          is_ordinary(inner->destination.bytes[0]) &&
                          passes_through(inner->next_header) &&
                          egress_ecn(inner_ecn, outer.traffic_class()) == inner_ecn;
    return ordinary ? inner : nullptr;
}

/// P2. Those that tunnel-in would decapsulate become candidates with their inner destination.
void Express::open_tunnels() {
    if (arrived_.count == 0) return;
    std::array<const Ipv6Address*, stage::kBatchSize> sources;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    unsigned count = 0;
    for (unsigned i = 0; i < arrived_.count; ++i) {
        const Ipv6Header* const inner = inner_of(*outers_[i]);
        if (inner == nullptr || table::same_address(local_->address, inner->destination))
            [[unlikely]] {
            give_to_tunnel_in(arrived_.packets[i], *outers_[i]);
            continue;
        }
        arrived_.packets[count] = arrived_.packets[i];
        outers_[count] = outers_[i];
        sources[count++] = &inner->source;
    }
    tables_.bindings.find_bulk(sources.data(), count, slots.data());
    constexpr std::uint16_t kPolicyIsAsked =
        channel::kBindingTentative | channel::kBindingProtected | channel::kBindingRequireEsp;
    for (unsigned i = 0; i < count; ++i) {
        const table::Binding* const binding =
            slots[i] == table::kNoSlot ? nullptr : &tables_.bindings.at(slots[i]);
        if (binding == nullptr || (binding->flags & kPolicyIsAsked) != 0 ||
            !table::same_address(outers_[i]->source, binding->care_of_address)) [[unlikely]] {
            give_to_tunnel_in(arrived_.packets[i], *outers_[i]);
            continue;
        }
        // Written when the packet is sent.
        if (worker_.binding_rows != nullptr && binding->counter_index != channel::kNoIndex) {
            __builtin_prefetch(&worker_.binding_rows[binding->counter_index], 1);
        }
        from_[candidates_.count] = binding;
        destinations_[candidates_.count] = sources[i] + 1;  // which stands behind the source
        add(candidates_, arrived_.packets[i]);
    }
}

void Express::settle_destinations() {
    if (candidates_.count == 0) return;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    tables_.bindings.find_bulk(destinations_.data(), candidates_.count, slots.data());
    generation_ = tables_.generation();
    for (unsigned i = 0; i < candidates_.count; ++i) {
        rte_mbuf* const packet = candidates_.packets[i];
        const Ipv6Address& destination = *destinations_[i];
        if (from_[i] != nullptr) {
            send_inner(packet, destination, slots[i], *from_[i]);
        } else if (slots[i] != table::kNoSlot) {
            if (!intercept(packet, destination, slots[i])) add(slow_, packet);
        } else {
            add(forward(packet, destination) ? sent_ : slow_, packet);
        }
    }
    count_bypassed();
    encapsulate_all();
    if (decapsulated_ != 0) worker_.count(Counter::kTunInDecapsulated, decapsulated_);
}

void Express::run(const Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        if (i + kPrefetchDistance < in.count) {
            rte_prefetch0(stage::data(in.packets[i + kPrefetchDistance]));
        }
        headers_[i] = header_of(in.packets[i], stage::meta(in.packets[i]));
    }
    if (worker_.parameters->protect_payload != 0) leave_home_sources(in);
    for (unsigned i = 0; i < in.count; ++i) {
        if (headers_[i] != nullptr) [[likely]] {
            look_at(in.packets[i], *headers_[i]);
        } else {
            add(slow_, in.packets[i]);
        }
    }
    open_tunnels();
    settle_destinations();
    out.to_all(ExpressEdge::kParse, slow_);
    out.to_all(ExpressEdge::kIpsecOut, intercepted_);
    out.to_all(ExpressEdge::kTunnelIn, tunnelled_);
    out.to_all(ExpressEdge::kIpsecIn, sealed_);
    out.to_all(ExpressEdge::kTx, encapsulated_);
    out.to_all(ExpressEdge::kTx, sent_);
}

void express(Worker& worker, Batch& in, Edges& out) {
    Express(worker).run(in, out);
}

}  // namespace

const stage::StageDescription kExpressStage{
    .id = stage::StageId::kExpress,
    .name = "express",
    .function = express,
    .edges = {{{"parse", stage::StageId::kParse},
               {"ipsec-out", stage::StageId::kIpsecOut},
               {"tunnel-in", stage::StageId::kTunnelIn},
               {"ipsec-in", stage::StageId::kIpsecIn},
               {"tx", stage::StageId::kTx}}},
    .edge_count = 5,
};

}  // namespace homeport::tunnel
