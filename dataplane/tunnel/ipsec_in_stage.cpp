// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <optional>
#include <type_traits>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"
#include "dataplane/tunnel/nat_detection.hpp"
#include "dataplane/tunnel/opened_sender_for_stages.hpp"
#include "dataplane/tunnel/payload_owners.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/vpn_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using ipsec::Verdict;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class IpsecInEdge : std::uint8_t { kExpress, kToControl, kTx };

constexpr std::uint8_t kHomeAgentDiscoveryRequest = 144;

/// Signalling that is not ESP: what the policy lets pass goes to the control plane. IPsec only
/// looks at the packet, so its notes stay.
void check_policy(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    const Verdict verdict = worker.esp->inbound_policy_check(view_of(packet));
    if (!ipsec::passes(verdict)) {
        out.drop(packet, counter_of(verdict));
        return;
    }
    worker.count(counter_of(verdict));
    channel::PuntReason reason = channel::PuntReason::kMobilityHeader;
    if (notes.protocol == number(IpProtocol::kIcmpv6)) {
        reason = stage::data(packet)[notes.upper_offset] == kHomeAgentDiscoveryRequest
                     ? channel::PuntReason::kHomeAgentDiscovery
                     : channel::PuntReason::kMobilePrefix;
    }
    notes.reason = static_cast<std::uint8_t>(reason);
    out.to(IpsecInEdge::kToControl, packet);
}

/// Whether ESP with this SPI is something else than a binding update. Only technique A can say.
bool is_no_binding_update(const Worker& worker, rte_mbuf* packet, const PacketMeta& notes) {
    if (worker.parameters->technique == channel::Technique::kHeuristic ||
        worker.ipsec_queries == nullptr || notes.protocol != number(IpProtocol::kEsp) ||
        stage::length(packet) < notes.upper_offset + 4u) {
        return false;
    }
    const ipsec::Spi spi{load_be32(stage::data(packet) + notes.upper_offset)};
    const auto selectors = worker.ipsec_queries->selectors_for_spi(spi);
    return !selectors || !may_carry_binding_update(*selectors);
}

/// A packet whose wire source is not recorded while that of another of the same node is, which is
/// inside IPsec: it would take the other's record. True: it waits or is dropped.
bool has_to_wait(Worker& worker, rte_mbuf* packet, const PacketMeta& notes, Edges& out) {
    if (notes.family != 6 || (notes.flags & stage::kMetaSourceSettled) != 0) return false;
    const Ipv6Address& source = reinterpret_cast<const Ipv6Header*>(stage::data(packet))->source;
    if (!worker.reply_to->is_busy(source, worker.now_tsc)) return false;
    if (is_no_binding_update(worker, packet, notes)) return false;
    wait_or_drop(worker, packet, source, Counter::kMip6HaoBusy, out);
    return true;
}

/// Room for objects that are made one by one, each before it is used.
template <class T>
class Room {
  public:
    static_assert(std::is_trivially_destructible_v<T>);
    T& make(unsigned at, const T& value) { return *new (octets_ + at * sizeof(T)) T(value); }
    T& operator[](unsigned at) { return reinterpret_cast<T*>(octets_)[at]; }

  private:
    alignas(T) std::byte octets_[stage::kBatchSize * sizeof(T)];
};

/// Sealed packets of a batch on their way into IPsec, and what this stage knows of each.
struct Sealed {
    unsigned count = 0;
    std::array<rte_mbuf*, stage::kBatchSize> packets;
    /// The binding whose payload it may be: of the home address that the packet's SA is for, where
    /// somebody looked, or of the last packet with its SPI. Only a guess at whose the packet inside
    /// is, as nothing goes through IPsec beside it (S1.9).
    std::array<std::uint32_t, stage::kBatchSize> slots;
    /// Of the guess, among PayloadOwners. Any, where somebody looked: that seldom errs.
    std::array<std::uint32_t, stage::kBatchSize> places;
    /// The packets as IPsec sees them.
    Room<ipsec::Packet> views;
    std::array<ipsec::Packet*, stage::kBatchSize> pointers;

    [[gnu::always_inline]] void put(unsigned at, rte_mbuf* packet, std::uint32_t slot,
                                    std::uint32_t place) {
        packets[at] = packet;
        slots[at] = slot;
        places[at] = place;
        pointers[at] = &views.make(at, view_of(packet));
    }
    void add(rte_mbuf* packet, std::uint32_t slot, std::uint32_t place) {
        put(count++, packet, slot, place);
    }
};

/// dsmip-in has asked for the binding (P13i).
std::uint32_t noted_slot(const PacketMeta& notes) {
    constexpr std::uint16_t kLookedAt = stage::kMetaOuterChecked | stage::kMetaNewSource;
    return (notes.flags & kLookedAt) == stage::kMetaOuterChecked ? notes.binding : table::kNoSlot;
}

/// What ESP of a batch says about whose it is, before it is opened.
struct Owners {
    unsigned count = 0;
    std::array<ipsec::Spi, stage::kBatchSize> spis;
    std::array<std::optional<Ipv6Address>, stage::kBatchSize> home_addresses;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    std::array<std::uint8_t, stage::kBatchSize> places;
};

bool is_from_care_of_address(const table::BindingTable& bindings, rte_mbuf* packet,
                             std::uint32_t slot) {
    if (slot == table::kNoSlot || bindings.at(slot).tentative()) return false;
    return table::same_address(bindings.at(slot).care_of_address,
                               reinterpret_cast<const Ipv6Header*>(stage::data(packet))->source);
}

/// Policy check_esp_outer: drops what it refuses, and leaves the rest in `sealed`. Databases are
/// asked about the whole batch at once, and about a single packet only if it does not come from
/// where it is expected.
void check_sources(Worker& worker, Sealed& sealed, Edges& out) {
    if (worker.parameters->check_esp_outer == channel::EspOuterCheck::kOff ||
        worker.ipsec_queries == nullptr) {
        return;
    }
    Owners owners;
    for (unsigned i = 0; i < sealed.count; ++i) {
        const PacketMeta& notes = stage::meta(sealed.packets[i]);
        if (notes.family != 6 || (notes.flags & stage::kMetaOuterChecked) != 0 ||
            stage::length(sealed.packets[i]) < notes.upper_offset + 4u) {
            continue;
        }
        owners.spis[owners.count] =
            ipsec::Spi{load_be32(stage::data(sealed.packets[i]) + notes.upper_offset)};
        owners.places[owners.count++] = static_cast<std::uint8_t>(i);
    }
    if (owners.count == 0) return;
    worker.ipsec_queries->selectors_for_spi(std::span(owners.spis.data(), owners.count),
                                            owners.home_addresses.data());
    unsigned known = 0;
    for (unsigned i = 0; i < owners.count; ++i) {
        if (!owners.home_addresses[i]) continue;
        owners.keys[known] = &*owners.home_addresses[i];
        owners.spis[known] = owners.spis[i];
        owners.places[known++] = owners.places[i];
    }
    if (known == 0) return;
    const table::BindingTable& bindings = worker.tables->bindings;
    bindings.find_bulk(owners.keys.data(), known, owners.slots.data());
    bool dropped = false;
    for (unsigned i = 0; i < known; ++i) {
        rte_mbuf*& packet = sealed.packets[owners.places[i]];
        if (owners.slots[i] != table::kNoSlot) sealed.slots[owners.places[i]] = owners.slots[i];
        if (is_from_care_of_address(bindings, packet, owners.slots[i])) [[likely]]
            continue;
        if (refuse_payload_from_elsewhere(worker, packet, owners.spis[i].value,
                                          source_of(bytes_of(packet)), out)) {
            packet = nullptr;
            dropped = true;
        }
    }
    if (!dropped) [[likely]]
        return;
    const unsigned count = sealed.count;
    sealed.count = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (sealed.packets[i] == nullptr) continue;
        sealed.add(sealed.packets[i], sealed.slots[i], sealed.places[i]);
    }
}

/// Adds opened packets of a batch to their bindings' rows. Where the guess does not hold, the table
/// is asked, in steps.
class PayloadCount {
  public:
    explicit PayloadCount(const Worker& worker)
        : worker_(worker), steps_(worker.tables->bindings), rows_(worker) {}

    /// Of a packet of `octets` that begins with `ip`, if it is one of IPv6, and with `first` in any
    /// case; `slot`, `place`: as in Sealed.
    [[gnu::always_inline]] void add(FirstWord first, const Ipv6Header& ip, std::uint32_t octets,
                                    std::uint32_t slot, std::uint32_t place) {
        const Ipv6Address* key = &ip.source;
        if (first.version() != 6) [[unlikely]] {
            const auto at = static_cast<unsigned>(end_ - asked_.data());
            key =
                &mapped_.make(at, table::v4_mapped(reinterpret_cast<const Ipv4Header&>(ip).source));
        } else if (first.next_header() == number(IpProtocol::kMobility) &&
                   is_own(worker_, ip.destination)) [[unlikely]] {
            return;  // a message to this home agent is no payload
        }
        if (slot == noted_slot_ && table::same_address(noted_->home_address, *key)) {
            rows_.repeat(octets);
            return;
        }
        const table::Binding* const guess = steps_.current(slot);
        if (guess != nullptr && table::same_address(guess->home_address, *key)) [[likely]] {
            if (rows_.note(*guess, octets)) {
                noted_slot_ = slot;
                noted_ = guess;
            }
            return;
        }
        Asked& asked = *end_++;
        asked.place = place;
        asked.key = key;
        asked.octets = octets;
        steps_.aim(*key, asked.guess);
    }

    /// Those that were added.
    void finish() {
        rows_.count_in();
        Asked* const end = end_;
        if (end == asked_.data()) [[likely]]
            return;
        const Steps steps = steps_;  // which a call leaves alone
        for (Asked* asked = asked_.data(); asked != end; ++asked) steps.approach(asked->guess);
        for (Asked* asked = asked_.data(); asked != end; ++asked) {
            const table::Binding* binding = steps.find(*asked->key, asked->guess);
            if (binding == nullptr) [[unlikely]] {
                const std::uint32_t slot = worker_.tables->mobile_network_of(*asked->key);
                if (slot == table::kNoSlot) continue;
                binding = &worker_.tables->bindings.at(slot);
            } else {
                worker_.payload_owners->set(asked->place, asked->guess.slot);
            }
            rows_.count_in(*binding, asked->octets);
        }
    }

  private:
    using Steps = table::BindingTable::Steps;
    struct Asked {
        const Ipv6Address* key;
        Steps::Guess guess;
        std::uint32_t octets;
        std::uint32_t place;
    };

    const Worker& worker_;
    Steps steps_;
    BindingRowsOfRuns rows_;                     // of what a guess was right about
    std::uint32_t noted_slot_ = table::kNoSlot;  // the last one of those
    const table::Binding* noted_ = nullptr;      // what is in it
    std::array<Asked, stage::kBatchSize> asked_;
    Asked* end_ = asked_.data();
    Room<Ipv6Address> mapped_;  // of IPv4 packets
};

/// Behind IPsec a packet is like one that was just received, but for what the driver notes.
void note_opened(PacketMeta& notes) {
    // In two pieces that no field lies across: what was stored in two loads cannot take in one.
    constexpr PacketMeta kOpened = stage::fresh_meta(channel::kNoPort, stage::kMetaDecrypted);
    constexpr std::size_t kFirst = offsetof(PacketMeta, parameter);
    static_assert(kFirst == 16);
    std::memcpy(&notes, &kOpened, kFirst);
    notes.parameter = 0;
    notes.reason = 0;
    notes.code = 0;
    notes.resume = 0;
    notes.drop = 0;
}

/// Gives sealed packets to IPsec, and on what it opened. Returns how many were authentic.
unsigned open(Worker& worker, Sealed& sealed, Edges& out) {
    std::array<Verdict, stage::kBatchSize> verdicts;
    const unsigned count = sealed.count;
    if (count == 0) return 0;
    worker.esp->inbound(std::span(sealed.pointers.data(), count),
                        std::span(verdicts.data(), count));
    PayloadCount payload(worker);
    OpenedSender sender(worker, out, IpsecInEdge::kTx);
    Batch opened;
    rte_mbuf** opened_end = opened.packets.data();
    const bool in_place = !worker.ipsec_copy_mode;
    unsigned ok = 0;
    unsigned dummies = 0;
    for (unsigned i = 0; i < count; ++i) {
        rte_mbuf* packet = sealed.packets[i];
        if (verdicts[i] == Verdict::kInOk) [[likely]] {
            ++ok;
            ipsec::Packet view = sealed.views[i];
            if (!in_place) [[unlikely]] {  // S1.9: nothing but octets
                apply(view, packet);
                rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
                if (fresh == nullptr) {
                    out.drop(packet, Counter::kNoBuffer);
                    continue;
                }
                packet = fresh;
                view = view_of(packet);
            }
            auto& ip = *reinterpret_cast<Ipv6Header*>(view.data);
            const FirstWord first(ip);
            payload.add(first, ip, view.length, sealed.slots[i], sealed.places[i]);
            if (sender.take(packet, ip, first, view.length)) continue;
            apply(view, packet);
            note_opened(stage::meta(packet));
            *opened_end++ = packet;
        } else if (verdicts[i] == Verdict::kInDummy) {
            out.absorb(packet, counter_of(verdicts[i]));
            ++dummies;
        } else {
            out.drop(packet, counter_of(verdicts[i]));
        }
    }
    sealed.count = 0;
    if (ok == 0) return dummies;
    worker.count(Counter::kIpsecInOk, ok);
    sender.finish();
    payload.finish();
    opened.count = static_cast<unsigned>(opened_end - opened.packets.data());
    out.to_all(IpsecInEdge::kExpress, opened);
    return ok + dummies;
}

/// Those whose source is news, if they are authentic, one by one, so that what comes out is known
/// to be this one; the others together, in their order.
void open_one_by_one(Worker& worker, const Sealed& sealed, Edges& out) {
    Sealed together;
    for (unsigned i = 0; i < sealed.count; ++i) {
        rte_mbuf* packet = sealed.packets[i];
        const PacketMeta& notes = stage::meta(packet);
        const bool is_news = (notes.flags & stage::kMetaNewSource) != 0;
        const SealedSource source = is_news ? noted_sealed_source(notes) : SealedSource{};
        if (worker.ipsec_copy_mode) {
            rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
            if (fresh == nullptr) {
                out.drop(packet, Counter::kNoBuffer);
                continue;
            }
            packet = fresh;
        }
        if (!is_news) {
            together.add(packet, sealed.slots[i], sealed.places[i]);
            continue;
        }
        (void)open(worker, together, out);
        Sealed alone;
        alone.add(packet, sealed.slots[i], sealed.places[i]);
        if (open(worker, alone, out) != 1) continue;
        if (is_vpn_slot(source.slot)) {
            learn_vpn_source(worker, source);
        } else {
            learn_sealed_source(worker, source);
        }
    }
    (void)open(worker, together, out);
}

/// What ESP begins with; 0 if it is too short for that.
std::uint32_t spi_of(rte_mbuf* packet, const PacketMeta& notes) {
    const std::uint32_t at = notes.upper_offset;
    return stage::length(packet) < at + 4 ? 0 : load_be32(stage::data(packet) + at);
}

void ipsec_in(Worker& worker, Batch& in, Edges& out) {
    const PayloadOwners& owners = *worker.payload_owners;
    const table::BindingTable::Steps bindings(worker.tables->bindings);
    Sealed sealed;
    std::uint16_t flags = 0;
    unsigned count = 0;
    const bool somebody_is_busy = worker.reply_to->is_somebody_busy();
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (somebody_is_busy && has_to_wait(worker, packet, notes, out)) [[unlikely]]
            continue;
        if (notes.protocol != number(IpProtocol::kEsp)) [[unlikely]] {
            check_policy(worker, packet, notes, out);
            continue;
        }
        flags |= notes.flags;
        std::uint32_t place = 0;
        std::uint32_t slot = noted_slot(notes);
        if (slot == table::kNoSlot) {
            place = owners.place_of(spi_of(packet, notes));
            slot = owners.slot_at(place);
            bindings.prefetch(slot);
        }
        sealed.put(count++, packet, slot, place);
    }
    sealed.count = count;
    check_sources(worker, sealed, out);
    if ((flags & stage::kMetaNewSource) != 0 || worker.ipsec_copy_mode) [[unlikely]] {
        open_one_by_one(worker, sealed, out);
    } else {
        (void)open(worker, sealed, out);
    }
}

}  // namespace

const stage::StageDescription kIpsecInStage{
    .id = StageId::kIpsecIn,
    .name = "ipsec-in",
    .function = ipsec_in,
    .edges = {{{"express", StageId::kExpress},
               {"to-control", StageId::kToControl},
               {"tx", StageId::kTx}}},
    .edge_count = 3,
};

}  // namespace homeport::tunnel
