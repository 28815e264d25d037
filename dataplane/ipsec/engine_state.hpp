// SPDX-License-Identifier: BSD-3-Clause
// What an EspEngine works with. Its bursts are in outbound.cpp and inbound.cpp.
#pragma once

#include <array>
#include <atomic>

#include "dataplane/ipsec/cipher_burst.hpp"
#include "dataplane/ipsec/compiled_policies.hpp"
#include "dataplane/ipsec/esp_engine.hpp"
#include "dataplane/ipsec/iv_source.hpp"
#include "dataplane/ipsec/policy_hits.hpp"
#include "dataplane/ipsec/recent_associations.hpp"
#include "dataplane/ipsec/sa_store.hpp"

namespace homeport::ipsec {

static_assert(kMaxBurst == EspEngine::kBurst);

/// Lifetime events on their way to whoever asks for them: one producer, one consumer. An event that
/// finds no room is told again with the SA's next packet.
class EventRing {
  public:
    [[nodiscard]] bool push(const LifetimeEvent& event) {
        const std::uint32_t head = head_.load(std::memory_order_relaxed);
        if (head - tail_.load(std::memory_order_acquire) == kSize) return false;
        events_[head % kSize] = event;
        head_.store(head + 1, std::memory_order_release);
        return true;
    }
    [[nodiscard]] bool pop(LifetimeEvent& event) {
        const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
        if (tail == head_.load(std::memory_order_acquire)) return false;
        event = events_[tail % kSize];
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

  private:
    static constexpr std::uint32_t kSize = 256;
    std::array<LifetimeEvent, kSize> events_;
    std::atomic<std::uint32_t> head_{0};
    std::atomic<std::uint32_t> tail_{0};
};

/// Written by one worker, burst after burst; on whole cache lines, because the allocator would put
/// that of another worker beside it.
struct alignas(kCacheLine) EspEngine::State {
    State(const SecurityPolicyDatabase& policy_database, const SecurityAssociationDatabase& sad,
          MbManager mb_manager)
        : spd(policy_database),
          store(sad.store()),
          manager(std::move(mb_manager)),
          cipher(*manager) {}

    const SecurityPolicyDatabase& spd;
    const SaStore& store;
    MbManager manager;
    CipherBurst cipher;
    IvSource ivs;
    std::uint16_t next_ipv4_id = 0;
    std::optional<std::uint8_t> worker;    ///< the owner of SAs that this engine seals by; or any
    alignas(kCacheLine) EventRing events;  ///< looked at by another thread each millisecond
    alignas(kCacheLine) PolicyHits hits;
    std::array<std::atomic<std::uint64_t>, kVerdictCount> counts{};
    std::array<CipherWork, kMaxBurst> works;
    std::array<CipherTag, kMaxBurst> tags;  ///< of `works`
    std::array<HeaderInfo, kMaxBurst> headers;
    /// Outbound: a packet that is to be sealed. Half a cache line.
    struct Outgoing {
        const CompiledPolicy* policy;
        union {
            SecurityAssociation* guess;  ///< what may be its SA, or null
            std::uint64_t hash;          ///< before it, of the key of the SA, if it `asks`
        };
        std::uint32_t use;  ///< SecurityAssociation::use_of() it; kNoUse: find_association() has to
        std::uint32_t length;  ///< octets of it
        std::uint8_t packet;   ///< its place in the burst
        bool walked;           ///< `headers` are those of it
        bool asks;             ///< no SA of its flow is known

        /// IPv6, and not walked.
        [[nodiscard]] bool is_quick_ipv6() const {
            return use >> 16 == SecurityAssociation::use_of(0, Family::kIpv6) >> 16;
        }
    };
    static_assert(sizeof(Outgoing) == 32);
    std::array<Outgoing, kMaxBurst> outgoing;
    std::array<Outgoing*, kMaxBurst> asking;
    RecentAssociations recent;

    void outbound_burst(Packet* const* packets, Verdict* verdicts, std::size_t count);
    void inbound_burst(Packet* const* packets, Verdict* verdicts, std::size_t count);
    void count_verdicts(const Verdict* verdicts, std::size_t count);
    /// Adds a packet to the SA's counters, and looks at its lifetime.
    void count_packet(SecurityAssociation& sa, std::uint32_t bytes);
    void check_lifetime(SecurityAssociation& sa);
    void tell(SecurityAssociation& sa, bool hard, LifetimeReason reason);
    [[nodiscard]] Verdict policy_verdict(const HeaderInfo& packet);

    // Steps of outbound_burst.
    class QuickRun;
    struct Selected {
        std::size_t count;   ///< in `outgoing`
        std::size_t asking;  ///< of them, in `asking`
    };
    [[nodiscard]] Selected select_policies(Packet* const* packets, Verdict* verdicts,
                                           std::size_t count);
    template <Family kFamily>
    [[nodiscard]] const CompiledPolicy* select_policy(QuickRun& quick, Packet& packet,
                                                      Outgoing& to);
    [[nodiscard]] const CompiledPolicy* walk_and_select(Packet& packet, Outgoing& to);
    [[nodiscard]] std::size_t prepare_works(Packet* const* packets, Verdict* verdicts,
                                            std::size_t count);
    void ask_store(Packet* const* packets, std::size_t asking_count);
    [[nodiscard]] Verdict prepare_by_long_way(Packet& packet, const Outgoing& of, CipherWork& work);
    [[nodiscard]] SecurityAssociation* find_association(const Outgoing& of, const Packet& packet);
    [[nodiscard]] bool complete_header(const SaProfile& profile, const Packet& packet,
                                       const Outgoing& of);
    template <class Shape>
    [[nodiscard]] bool prepare_common(SecurityAssociation& sa, std::uint32_t length, Family family,
                                      Packet& packet, CipherWork& work);
    [[nodiscard]] Verdict prepare_seal(SecurityAssociation* sa, Packet& packet, const Outgoing& of,
                                       CipherWork& work);
    // Steps of inbound_burst. The ordinary ones say false of what has to go the long way.
    [[nodiscard]] bool prepare_ordinary(CipherWork& work);
    [[nodiscard]] bool finish_ordinary(Packet& packet, const CipherWork& work,
                                       PolicyHits::Run& run);
    [[nodiscard]] Verdict finish_otherwise(Packet& packet, const CipherWork& work,
                                           const CipherTag& tag);
    [[nodiscard]] bool classify(Packet& packet, std::size_t index, Verdict& verdict);
    [[nodiscard]] static Verdict prepare_open(const Packet& packet, const HeaderInfo& header,
                                              CipherWork& work, CipherTag& tag);
    /// Of a packet whose cipher did its work.
    [[nodiscard]] Verdict finish_open(Packet& packet, const HeaderInfo& outer,
                                      const CipherWork& work, const CipherTag& tag);
};

/// The key under which the SA for `packet` is cached for `policy`.
[[nodiscard]] inline PolicyKey policy_key(const CompiledPolicy& policy, const HeaderInfo& packet) {
    PolicyKey key{policy.id, {}};
    if (policy.populate_remote) key.remote = {packet.destination, packet.family};
    return key;
}

/// Puts AAD and nonce of an AEAD packet in place (RFC 4106 sections 4 and 5): `spi_be` as on the
/// wire, `iv_be` as on the wire.
inline void set_aead_inputs(CipherWork& work, std::uint32_t spi_be, std::uint64_t sequence,
                            bool esn, std::uint32_t salt, std::uint64_t iv_be) {
    struct Wide {
        std::uint64_t word[2];
    };
    const std::uint32_t low = byte_swap(static_cast<std::uint32_t>(sequence));
    const std::uint32_t high = byte_swap(static_cast<std::uint32_t>(sequence >> 32));
    const Wide aad = esn ? Wide{{spi_be | std::uint64_t{high} << 32, low}}
                         : Wide{{spi_be | std::uint64_t{low} << 32, 0}};
    const Wide nonce{{salt | iv_be << 32, iv_be >> 32}};
    std::memcpy(work.aad, &aad, sizeof aad);
    std::memcpy(work.nonce, &nonce, sizeof nonce);
    work.aad_length = esn ? 12 : 8;
}

}  // namespace homeport::ipsec
