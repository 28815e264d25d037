// SPDX-License-Identifier: BSD-3-Clause
// The ordinary packets in one look: what parse, classify, intercept and forward would come to for
// an IPv6 packet with nothing unusual about it. Whatever is not certain here goes to parse as it
// came, so nothing is decided here that the stages behind do not decide in the same way;
// tests/golden/forward/express_test.cpp holds the two against each other.
//
// The burst goes through few short loops, each of which knows one thing only:
//
//   sort            headers in order? To this host: a tunnel, or ESP. To others: a destination
//   open_tunnels    P2: the packet inside, and the binding that its source must have
//   go_on           what left a tunnel or IPsec: its route, if that is known to be all it takes
//   settle          all other destinations: bound (P1, P14, P3), or routed. What goes into a tunnel
//                   by policy and binding gets its header here (express_encapsulate_for_stages.hpp)
//
// Between them are lists, in the order of the burst, of the packets that go the same way. The table
// of bindings is asked in steps, the first as soon as an address is known, so that its lines come
// while headers of other packets are looked at. Loops count in local variables: the compiler must
// believe that a store into a packet changes members.
#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/egress.hpp"
#include "dataplane/table/route_cache.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/express_encapsulate_for_stages.hpp"
#include "dataplane/tunnel/express_headers.hpp"
#include "dataplane/tunnel/sealed_notes_for_stages.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::Worker;
using table::RouteCache;

enum class ExpressEdge : std::uint8_t { kParse, kIpsecOut, kTunnelIn, kIpsecIn, kTx };

void add(Batch& batch, rte_mbuf* packet) {
    batch.packets[batch.count++] = packet;
}

using Steps = table::BindingTable::Steps;

/// A packet whose binding is asked for.
struct Asked {
    rte_mbuf* packet;
    const Ipv6Header* ip;  // its first header
    Steps::Guess guess;
};
/// One call of the stage.
class Express {
  public:
    explicit Express(Worker& worker)
        : worker_(worker),
          tables_(*worker.tables),
          generation_(tables_.generation()),
          changes_mark_(GuessedBinding::mark_of(tables_.bindings.changes())),
          alone_(worker.worker_count == 1),
          bindings_(tables_.bindings),
          from_nodes_(worker) {}

    void run(Batch& in, Edges& out);

  private:
    void set_home_sources_aside(Batch& in);
    void sort(const Batch& in);
    [[nodiscard, gnu::always_inline]] const Ipv6Header* frame_header(rte_mbuf* packet,
                                                                     std::uint16_t in_port);
    [[nodiscard, gnu::always_inline]] bool is_local(const Ipv6Address& address, Kind kind);
    void sort_returned(rte_mbuf* packet);
    [[nodiscard, gnu::noinline]] unsigned sort_sealed(rte_mbuf* const* begin, rte_mbuf* const* end);
    void sort_local(rte_mbuf* packet, const Ipv6Header& ip, Kind kind);
    [[gnu::always_inline]] void open_tunnels(stage::Egress& egress);
    void count_decapsulated();
    [[gnu::always_inline]] void go_on(rte_mbuf* packet, const Ipv6Header& ip,
                                      const table::Binding* from, stage::Egress& egress);
    [[nodiscard, gnu::always_inline]] bool send(rte_mbuf* packet, const Ipv6Header& ip,
                                                std::uint32_t adjacency, std::uint16_t mtu,
                                                const table::Binding* from, stage::Egress& egress);
    [[gnu::always_inline]] void send_routed(stage::Egress& egress);
    void settle(Edges& out);
    void settle_other(const Asked& asked, const table::Binding* binding);
    void settle_inner();
    [[nodiscard]] bool intercept(rte_mbuf* packet, const Ipv6Header& ip,
                                 const table::Binding& binding, std::uint32_t slot);
    [[nodiscard]] bool forward(rte_mbuf* packet, const Ipv6Header& ip, const table::Binding* from);
    void leave(rte_mbuf* packet, const Ipv6Header& ip, const table::Binding* from);
    [[gnu::always_inline]] static void take(rte_mbuf* packet, PacketMeta& notes,
                                            const Ipv6Header& ip);

    Worker& worker_;
    const table::Tables& tables_;
    const std::uint64_t generation_;    // read before any table is asked
    const std::uint32_t changes_mark_;  // of bindings, likewise
    const bool alone_;                  // no other worker may own an SA
    const Steps bindings_;

    std::uint16_t port_ = channel::kNoPort;  // that frame_start_ is of
    FrameStart frame_start_;
    const Ipv6Address* asked_ = nullptr;          // the last one that was looked up
    const table::LocalAddress* local_ = nullptr;  // the last one that is ours

    Batch slow_;  // to parse
    unsigned arrived_count_ = 0;
    std::array<Asked, stage::kBatchSize> arrived_;  // tunnel packets that end here: their sources
    Batch tunnelled_;                               // those of them that tunnel-in has to look at
    Batch sealed_;                                  // ESP for us
    Batch returned_;                                // bare packets, that came out of IPsec
    unsigned candidate_count_ = 0;
    std::array<Asked, stage::kBatchSize> candidates_;  // for others: their destinations
    struct Inner {
        rte_mbuf* packet;
        const Ipv6Header* ip;
        const table::Binding* from;
    };
    unsigned inner_count_ = 0;
    std::array<Inner, stage::kBatchSize> inner_;  // out of a tunnel, and not simply to be sent
    Batch intercepted_;  // to bound destinations, and IPsec or other tunnels are concerned
    struct Routed {
        rte_mbuf* packet;
        const Ipv6Header* ip;
        const table::Binding* from;
        std::uint32_t adjacency;
        std::uint16_t mtu;
    };
    unsigned routed_count_ = 0;
    std::array<Routed, stage::kBatchSize>
        routed_;  // ordinary ones, to destinations without binding
    unsigned decapsulated_ = 0;
    LateBindingRows from_nodes_;  // what they sent, out of tunnels
};

// ------------------------------------------------------------------------------------------- sort

/// S1.35: where payload is protected, classify asks of what seems to come from a home address
/// whether it came out of an SA. Gives it what seems to, or is no IPv6 packet at all.
void Express::set_home_sources_aside(Batch& in) {
    std::array<std::uint8_t, stage::kBatchSize> numbers;
    std::array<const Ipv6Address*, stage::kBatchSize> sources{};
    std::array<const table::HomePrefix*, stage::kBatchSize> homes;
    unsigned count = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        if (stage::length(packet) < kEthernetLength + kIpv6HeaderLength ||
            stage::meta(packet).passes != 0) {
            continue;
        }
        numbers[count] = static_cast<std::uint8_t>(i);
        sources[count++] = reinterpret_cast<const Ipv6Address*>(
            stage::data(packet) + kEthernetLength + offsetof(Ipv6Header, source));
    }
    tables_.home_prefixes.find_bulk(sources.data(), count, homes.data());
    std::uint64_t aside = 0;
    for (unsigned k = 0; k < count; ++k) {
        if (homes[k] != nullptr) aside |= std::uint64_t{1} << numbers[k];
    }
    if (aside == 0) return;
    unsigned kept = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        if ((aside >> i & 1) != 0) {
            add(slow_, in.packets[i]);
        } else {
            in.packets[kept++] = in.packets[i];
        }
    }
    in.count = kept;
}

/// The IPv6 header of a frame for us; null: somebody else must look at it. How long the frame is
/// was not asked yet: its buffer has room for the headers in any case.
inline const Ipv6Header* Express::frame_header(rte_mbuf* packet, std::uint16_t in_port) {
    if (in_port != port_) [[unlikely]] {
        if (in_port >= channel::kMaxPorts) return nullptr;
        port_ = in_port;
        frame_start_.set(worker_.ports[in_port].mac);
    }
    const std::uint8_t* const frame = stage::data(packet);
    return frame_start_.matches(frame)
               ? reinterpret_cast<const Ipv6Header*>(frame + kEthernetLength)
               : nullptr;
}

/// Whether it is for us, as far as that matters here: the first packet and whatever may be a tunnel
/// that ends here or ESP are looked up, others only compared with what was found. Their destination
/// is asked for later, and nothing that is ours is forwarded.
inline bool Express::is_local(const Ipv6Address& address, Kind kind) {
    if (local_ != nullptr && table::same_address(local_->address, address)) return true;
    if (asked_ != nullptr &&
        (kind == Kind::kPassesThrough || table::same_address(*asked_, address))) {
        return false;
    }
    asked_ = &address;
    const table::LocalAddress* const found = tables_.local_addresses.find(address);
    if (found != nullptr) local_ = found;
    return found != nullptr;
}

/// ESP to the address that was found to be ours comes in runs. Takes the one from `begin` on, and
/// says how many packets it has; 0: somebody else has to look at the first.
unsigned Express::sort_sealed(rte_mbuf* const* begin, rte_mbuf* const* end) {
    if (local_->is_home_agent_address == 0 || !alone_) return 0;
    const FrameStart frame_start = frame_start_;
    const Ipv6Address address = local_->address;
    const std::uint16_t port = port_;
    rte_mbuf* const* next = begin;
    rte_mbuf** sealed = sealed_.packets.data() + sealed_.count;
    for (; next != end; ++next) {
        rte_mbuf* const packet = *next;
        PacketMeta& notes = stage::meta(packet);
        const std::uint8_t* const frame = stage::data(packet);
        const auto& ip = *reinterpret_cast<const Ipv6Header*>(frame + kEthernetLength);
        const FirstWord word(ip);
        if (notes.passes != 0 || notes.in_port != port || !frame_start.matches(frame, address) ||
            word.next_header() != number(IpProtocol::kEsp) ||
            !is_sound_but_for_destination(ip, word, stage::length(packet), kEthernetLength)) {
            break;
        }
        // As take() does with a packet that no stage has seen.
        const std::uint32_t length = word.packet_length();
        packet->data_off = static_cast<std::uint16_t>(packet->data_off + kEthernetLength);
        packet->pkt_len = length;
        packet->data_len = static_cast<std::uint16_t>(length);
        notes.flags |= stage::kMetaL2Intact;
        notes.family = 6;
        notes.protocol = number(IpProtocol::kEsp);
        notes.upper_offset = kIpv6HeaderLength;
        *sealed++ = packet;
    }
    sealed_.count = static_cast<unsigned>(sealed - sealed_.packets.data());
    return static_cast<unsigned>(next - begin);
}

/// Tunnels that end here.
void Express::sort_local(rte_mbuf* packet, const Ipv6Header& ip, Kind kind) {
    const bool serves = local_->is_home_agent_address != 0;
    if (serves && kind == Kind::kTunnel) {
        const Ipv6Header* const inner = ordinary_inner_of(ip);
        if (inner == nullptr) [[unlikely]] {
            take(packet, stage::meta(packet), ip);
            add(tunnelled_, packet);
            return;
        }
        Asked& asked = arrived_[arrived_count_++];
        asked.packet = packet;
        asked.ip = &ip;
        bindings_.aim(inner->source, asked.guess);
    } else {
        add(slow_, packet);
    }
}

void Express::sort(const Batch& in) {
    const Steps bindings(tables_.bindings);
    unsigned candidates = 0;
    bool ask_local = true;  // false: nothing is ours so far, only what may end here is asked for
    rte_mbuf* const* next = in.packets.data();
    for (rte_mbuf* const* const end = next + in.count; next != end;) {
        rte_mbuf* const packet = *next++;
        const PacketMeta& notes = stage::meta(packet);
        if (notes.passes != 0) [[unlikely]] {
            sort_returned(packet);
            continue;
        }
        const Ipv6Header* const ip = frame_header(packet, notes.in_port);
        if (ip == nullptr) [[unlikely]] {
            add(slow_, packet);
            continue;
        }
        const FirstWord first(*ip);
        const Kind kind = kind_of(first.next_header());
        if (!is_sound(*ip, first, stage::length(packet), kEthernetLength)) [[unlikely]] {
            add(slow_, packet);
            continue;
        }
        if (ask_local || kind != Kind::kPassesThrough) {
            if (kind == Kind::kOther) [[unlikely]] {
                add(slow_, packet);
                continue;
            }
            const bool local = is_local(ip->destination, kind);
            ask_local = local_ != nullptr;
            if (kind == Kind::kEsp) {
                const unsigned run = local ? sort_sealed(next - 1, end) : 0;
                if (run == 0) {
                    add(slow_, packet);
                } else {
                    next += run - 1;
                }
                continue;
            }
            if (local) {
                sort_local(packet, *ip, kind);
                continue;
            }
        }
        Asked& asked = candidates_[candidates++];
        asked.packet = packet;
        asked.ip = ip;
        bindings.aim(ip->destination, asked.guess);
    }
    candidate_count_ = candidates;
}

/// A bare packet that another stage gave back; no Ethernet header stands before it. Those for us
/// are none of this stage's business.
void Express::sort_returned(rte_mbuf* packet) {
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
    const std::uint32_t room = stage::length(packet);
    const FirstWord first(ip);
    const bool ordinary = room >= kIpv6HeaderLength && first.version() == 6 &&
                          is_sound(ip, first, room, 0) &&
                          passes_through(kind_of(first.next_header())) &&
                          !is_local(ip.destination, kind_of(first.next_header()));
    add(ordinary ? returned_ : slow_, packet);
}

/// Notes and bounds of a packet that goes on behind parse; it begins with `ip` from now on.
inline void Express::take(rte_mbuf* packet, PacketMeta& notes, const Ipv6Header& ip) {
    const FirstWord first(ip);
    const std::uint32_t length = first.packet_length();
    packet->data_off =
        static_cast<std::uint16_t>(reinterpret_cast<const std::uint8_t*>(&ip) -
                                   static_cast<const std::uint8_t*>(packet->buf_addr));
    packet->pkt_len = length;
    packet->data_len = static_cast<std::uint16_t>(length);
    if (notes.passes == 0) notes.flags |= stage::kMetaL2Intact;
    notes.family = 6;
    notes.protocol = first.next_header();
    notes.upper_offset = kIpv6HeaderLength;
}

// ---------------------------------------------------------------------------- out of a tunnel: P2

/// A packet that left a tunnel (`from`) or IPsec (null). Most are for correspondents, whose
/// addresses are in no /64 with bindings: then the route that is kept says all.
inline void Express::go_on(rte_mbuf* packet, const Ipv6Header& ip, const table::Binding* from,
                           stage::Egress& egress) {
    const RouteCache::Entry* const route =
        worker_.route_cache == nullptr ? nullptr
                                       : worker_.route_cache->find(ip.destination, generation_);
    if (route != nullptr && route->unbound != 0) [[likely]] {
        if (!send(packet, ip, route->adjacency, route->mtu, from, egress)) leave(packet, ip, from);
        return;
    }
    if (from != nullptr) {
        inner_[inner_count_++] = {packet, &ip, from};
        return;
    }
    Asked& asked = candidates_[candidate_count_++];
    asked.packet = packet;
    asked.ip = &ip;
    bindings_.aim(ip.destination, asked.guess);
}

/// Those that tunnel-in would decapsulate go on with what is inside.
inline void Express::open_tunnels(stage::Egress& egress) {
    const unsigned count = arrived_count_;
    if (count == 0) return;
    const Steps bindings(tables_.bindings);
    for (unsigned i = 0; i < count; ++i) bindings.approach(arrived_[i].guess);
    constexpr std::uint16_t kPolicyIsAsked =
        channel::kBindingTentative | channel::kBindingProtected | channel::kBindingRequireEsp;
    for (unsigned i = 0; i < count; ++i) {
        rte_mbuf* const packet = arrived_[i].packet;
        const Ipv6Header& outer = *arrived_[i].ip;
        const Ipv6Header& inner = *(&outer + 1);
        const table::Binding* const binding = bindings.find(inner.source, arrived_[i].guess);
        if (binding == nullptr || (binding->flags & kPolicyIsAsked) != 0 ||
            !table::same_address(outer.source, binding->care_of_address)) [[unlikely]] {
            take(packet, stage::meta(packet), outer);
            add(tunnelled_, packet);
            continue;
        }
        go_on(packet, inner, binding, egress);
    }
}

// ----------------------------------------------------------------------------------- destinations

void Express::settle(Edges& out) {
    const unsigned count = candidate_count_;
    if (count == 0) return;
    const Steps bindings(tables_.bindings);
#pragma GCC unroll 4
    for (unsigned i = 0; i < count; ++i) bindings.approach(candidates_[i].guess);
    Encapsulator encapsulator(worker_, out, ExpressEdge::kTx);
    for (unsigned i = 0; i < count; ++i) {
        Asked& asked = candidates_[i];
        const table::Binding* const binding = bindings.find(asked.ip->destination, asked.guess);
        if (binding == nullptr || !encapsulator.take(asked.packet, *asked.ip, *binding))
            [[unlikely]]
            settle_other(asked, binding);
    }
    encapsulator.finish();
}

/// What does not simply go into a tunnel.
void Express::settle_other(const Asked& asked, const table::Binding* binding) {
    const bool settled = binding != nullptr
                             ? intercept(asked.packet, *asked.ip, *binding, asked.guess.slot)
                             : forward(asked.packet, *asked.ip, nullptr);
    if (!settled) add(slow_, asked.packet);
}

/// P14, from one tunnel into another, is for tunnel-in.
void Express::settle_inner() {
    if (inner_count_ == 0) return;
    std::array<const Ipv6Address*, stage::kBatchSize> destinations;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    for (unsigned i = 0; i < inner_count_; ++i) destinations[i] = &inner_[i].ip->destination;
    tables_.bindings.find_bulk(destinations.data(), inner_count_, slots.data());
    for (unsigned i = 0; i < inner_count_; ++i) {
        const auto& [packet, ip, from] = inner_[i];
        if (slots[i] != table::kNoSlot || !forward(packet, *ip, from)) leave(packet, *ip, from);
    }
}

/// True: what the stage of this name would let pass unsaid, to IPsec.
bool Express::intercept(rte_mbuf* packet, const Ipv6Header& ip, const table::Binding& binding,
                        std::uint32_t slot) {
    const bool follows_form = (binding.flags & channel::kBindingFollowForm) != 0;
    const std::uint32_t mtu = binding.is_open_ipv6_tunnel() && !follows_form
                                  ? binding.path_mtu - std::uint32_t{kIpv6TunnelOverhead}
                                  : tunnel_mtu_now(tables_, slot, binding);
    if (binding.tentative() || comes_from_an_end(ip.source, binding) ||
        FirstWord(ip).packet_length() > mtu) [[unlikely]] {
        return false;
    }
    BindingRows(worker_).prefetch(binding);
    PacketMeta& notes = stage::meta(packet);
    take(packet, notes, ip);
    GuessedBinding::note(notes, slot, changes_mark_);
    --const_cast<Ipv6Header&>(ip).hop_limit;
    add(intercepted_, packet);
    return true;
}

/// True: send_routed() sends it, or leaves it.
bool Express::forward(rte_mbuf* packet, const Ipv6Header& ip, const table::Binding* from) {
    if (worker_.route_cache == nullptr) return false;
    const RouteCache::Entry* route = worker_.route_cache->find(ip.destination, generation_);
    if (route == nullptr) {
        route = worker_.route_cache->look_up(tables_, ip.destination, generation_);
    }
    if (route == nullptr) return false;
    routed_[routed_count_++] = {packet, &ip, from, route->adjacency, route->mtu};
    return true;
}

/// What was kept until nobody else sends.
inline void Express::send_routed(stage::Egress& egress) {
    for (unsigned i = 0; i < routed_count_; ++i) {
        const Routed& routed = routed_[i];
        if (!send(routed.packet, *routed.ip, routed.adjacency, routed.mtu, routed.from, egress)) {
            leave(routed.packet, *routed.ip, routed.from);
        }
    }
}

/// False: nothing has happened to the packet.
inline bool Express::send(rte_mbuf* packet, const Ipv6Header& ip, std::uint32_t adjacency,
                          std::uint16_t mtu, const table::Binding* from, stage::Egress& egress) {
    const std::uint32_t length = FirstWord(ip).packet_length();
    auto& header = const_cast<Ipv6Header&>(ip);
    auto* const start = reinterpret_cast<std::uint8_t*>(&header);
    if (length > mtu || !egress.has_room(packet, start) || !egress.turn_to(adjacency))
        [[unlikely]] {
        return false;
    }
    --header.hop_limit;
    egress.put(packet, start, length);
    if (from != nullptr) {
        from_nodes_.note(*from, length);
        ++decapsulated_;
    }
    return true;
}

void Express::count_decapsulated() {
    if (decapsulated_ == 0) return;
    from_nodes_.count_in();
    worker_.count(Counter::kTunInDecapsulated, decapsulated_);
}

/// A packet that was not sent, to the stage that looks closely at such.
void Express::leave(rte_mbuf* packet, const Ipv6Header& ip, const table::Binding* from) {
    if (from == nullptr) {
        add(slow_, packet);
        return;
    }
    take(packet, stage::meta(packet), *(&ip - 1));  // the tunnel header before it
    add(tunnelled_, packet);
}

void Express::run(Batch& in, Edges& out) {
    if (worker_.parameters->protect_payload != 0) set_home_sources_aside(in);
    sort(in);
    stage::Egress egress(worker_, out, ExpressEdge::kTx);
    open_tunnels(egress);
    for (unsigned i = 0; i < returned_.count; ++i) {
        rte_mbuf* const packet = returned_.packets[i];
        go_on(packet, *reinterpret_cast<const Ipv6Header*>(stage::data(packet)), nullptr, egress);
    }
    egress.finish();
    settle(out);
    settle_inner();
    send_routed(egress);
    egress.finish();
    count_decapsulated();
    out.to_all(ExpressEdge::kParse, slow_);
    out.to_all(ExpressEdge::kIpsecOut, intercepted_);
    out.to_all(ExpressEdge::kTunnelIn, tunnelled_);
    out.to_all(ExpressEdge::kIpsecIn, sealed_);
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
