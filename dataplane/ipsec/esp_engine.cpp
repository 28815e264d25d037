// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/esp_engine.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/engine_state.hpp"

namespace homeport::ipsec {

EspEngine::EspEngine(std::unique_ptr<State> state) : state_(std::move(state)) {}
EspEngine::~EspEngine() = default;

Result<std::unique_ptr<EspEngine>> EspEngine::create(const SecurityPolicyDatabase& spd,
                                                     const SecurityAssociationDatabase& sad,
                                                     std::optional<std::uint8_t> worker) {
    static_assert(kFillsLines<State>);
    CpuArchitecture architecture = sad.architecture();
    auto manager = make_mb_manager(architecture);
    if (!manager) return std::unexpected(manager.error());
    auto state = std::make_unique<State>(spd, sad, std::move(*manager));
    state->worker = worker;
    if (auto started = state->ivs.start(*state->manager); !started) {
        return std::unexpected(started.error());
    }
    std::memcpy(&state->next_ipv4_id, state->ivs.next(*state->manager), sizeof state->next_ipv4_id);
    return std::unique_ptr<EspEngine>(new EspEngine(std::move(state)));
}

void EspEngine::outbound(std::span<Packet* const> packets, std::span<Verdict> verdicts) {
    for (std::size_t done = 0; done < packets.size(); done += kBurst) {
        const std::size_t count = std::min(kBurst, packets.size() - done);
        state_->outbound_burst(packets.data() + done, verdicts.data() + done, count);
        state_->count_verdicts(verdicts.data() + done, count);
    }
}

void EspEngine::inbound(std::span<Packet* const> packets, std::span<Verdict> verdicts) {
    for (std::size_t done = 0; done < packets.size(); done += kBurst) {
        const std::size_t count = std::min(kBurst, packets.size() - done);
        state_->inbound_burst(packets.data() + done, verdicts.data() + done, count);
        state_->count_verdicts(verdicts.data() + done, count);
    }
}

void EspEngine::State::count_verdicts(const Verdict* verdicts, std::size_t count) {
    // Runs of one verdict, which is nearly always the whole burst, are added at once.
    for (std::size_t i = 0; i < count;) {
        std::size_t end = i + 1;
        const std::uint64_t eight = 0x0101'0101'0101'0101u * static_cast<std::uint8_t>(verdicts[i]);
        for (std::uint64_t next; end + 8 <= count; end += 8) {
            std::memcpy(&next, verdicts + end, sizeof next);
            if (next != eight) break;
        }
        while (end < count && verdicts[end] == verdicts[i]) ++end;
        auto& counter = counts[static_cast<std::size_t>(verdicts[i])];
        counter.store(counter.load(std::memory_order_relaxed) + (end - i),
                      std::memory_order_relaxed);
        i = end;
    }
}

void EspEngine::State::count_packet(SecurityAssociation& sa, std::uint32_t bytes) {
    sa.count(bytes);
    if (sa.profile->has_lifetime) check_lifetime(sa);
}

void EspEngine::State::check_lifetime(SecurityAssociation& sa) {
    const Lifetime& limit = sa.profile->lifetime;
    const std::uint64_t packets = sa.packets.load(std::memory_order_relaxed);
    const std::uint64_t bytes = sa.bytes.load(std::memory_order_relaxed);
    const auto reached = [](std::uint64_t value, std::uint64_t end) {
        return end != 0 && value >= end;
    };
    const auto look = [&](std::uint64_t byte_limit, std::uint64_t packet_limit, bool hard) {
        const bool by_bytes = reached(bytes, byte_limit);
        if (!by_bytes && !reached(packets, packet_limit)) return;
        tell(sa, hard, by_bytes ? LifetimeReason::kBytes : LifetimeReason::kPackets);
    };
    look(limit.soft_bytes, limit.soft_packets, false);
    look(limit.hard_bytes, limit.hard_packets, true);
}

void EspEngine::State::tell(SecurityAssociation& sa, bool hard, LifetimeReason reason) {
    const unsigned expired =
        hard ? SecurityAssociation::kHardExpired : SecurityAssociation::kSoftExpired;
    const unsigned told = hard ? SecurityAssociation::kHardTold : SecurityAssociation::kSoftTold;
    // A used up sequence has its own verdict, so the SA is not marked as expired.
    if (sa.set_state(reason == LifetimeReason::kSequence ? told : expired | told) & told) {
        const LifetimeEvent event{sa.spi, sa.profile->direction, hard, reason, sa.handle()};
        if (!events.push(event)) sa.clear_state(told);
    }
}

Verdict EspEngine::inbound_policy_check(const Packet& packet) const {
    HeaderInfo header;
    if (!walk_headers(packet.bytes(), header)) return Verdict::kInMalformed;
    return state_->policy_verdict(header);
}

namespace {

/// The SA that would seal a packet with these headers; null if none would.
const SecurityAssociation* outbound_association(const SecurityPolicyDatabase& spd,
                                                const SaStore& store, const HeaderInfo& header) {
    const CompiledPolicy& policy = spd.compiled().find(header, Direction::kOutbound);
    if (policy.action != Action::kProtect) return nullptr;
    const PolicyKey key = policy_key(policy, header);
    return store.find_outbound(key, key.hash());
}

}  // namespace

std::optional<Processor::BypassEntry> EspEngine::bypasses_all(Family family,
                                                              std::uint8_t protocol) const {
    const HitSlot hits = state_->spd.compiled().bypasses_all(family, protocol);
    if (hits == kHitSlots) return std::nullopt;
    return hits;
}

void EspEngine::count_bypassed(BypassEntry entry, std::uint64_t packets, std::uint64_t octets) {
    state_->hits.count(Direction::kOutbound, entry, octets, packets);
    auto& counter = state_->counts[static_cast<std::size_t>(Verdict::kOutBypass)];
    counter.store(counter.load(std::memory_order_relaxed) + packets, std::memory_order_relaxed);
}

std::uint32_t EspEngine::mtu_for(const Packet& packet) const {
    HeaderInfo header;
    if (!walk_headers(packet.bytes(), header)) return 0;
    const SecurityAssociation* sa = outbound_association(state_->spd, state_->store, header);
    if (sa == nullptr) return 0;
    const std::uint16_t path_mtu = sa->path_mtu.load(std::memory_order_relaxed);
    if (path_mtu == 0) return 0;
    const Algorithm algorithm = sa->profile->algorithm.algorithm;
    if (sa->profile->mode == Mode::kTunnel) {
        const bool v6 = sa->profile->tunnel_family == Family::kIpv6;
        return max_inner_length(algorithm, path_mtu, v6 ? sizeof(Ipv6Header) : sizeof(Ipv4Header));
    }
    const std::uint32_t payload = max_inner_length(algorithm, path_mtu, header.insert_offset);
    return payload == 0 ? 0 : payload + header.insert_offset;
}

std::optional<std::uint8_t> EspEngine::outbound_owner(const Packet& packet) const {
    HeaderInfo header;
    if (!walk_headers(packet.bytes(), header)) return std::nullopt;
    const SecurityAssociation* sa = outbound_association(state_->spd, state_->store, header);
    if (sa == nullptr) return std::nullopt;
    return sa->owner;
}

std::optional<std::uint8_t> EspEngine::inbound_owner(const Packet& packet) const {
    HeaderInfo header;
    if (!walk_headers(packet.bytes(), header) || !header.protocol_known ||
        header.protocol != number(IpProtocol::kEsp) || header.fragment ||
        header.ip_length < header.upper_offset + 8u) {
        return std::nullopt;
    }
    const SecurityAssociation* sa =
        state_->store.find_inbound(Spi{load_be32(packet.data + header.upper_offset)});
    if (sa == nullptr) return std::nullopt;
    return sa->owner;
}

std::uint64_t EspEngine::count(Verdict verdict) const {
    return state_->counts[static_cast<std::size_t>(verdict)].load(std::memory_order_relaxed);
}

PolicyHits::Count EspEngine::hits(Direction direction, PolicyId id) const {
    return state_->hits.read(direction, state_->spd.slot_of(id));
}

bool EspEngine::next_event(LifetimeEvent& event) {
    return state_->events.pop(event);
}

}  // namespace homeport::ipsec
