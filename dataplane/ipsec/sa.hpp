// SPDX-License-Identifier: BSD-3-Clause
// A security association in memory. What all SAs of one kind share is in a profile; what differs is
// one cache line, the expanded keys behind it, then the replay bitmap:
//
//   | SecurityAssociation 64 | keys | kSaTunnel's address | to a multiple of 64 | bitmap |
//
// All of it is touched for each packet. Fields that seldom are have their place in the arena's note
// of the block, SaCold.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/ipsec/address_key.hpp"
#include "dataplane/ipsec/compiled_selectors.hpp"
#include "dataplane/ipsec/replay_window.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/secure_arena.hpp"

namespace homeport::ipsec {

/// Where an address of a profile comes from. Profiles of a million SAs that differ in one remote
/// address, and in where their tunnels end, are one profile. kSaTunnel: behind the SA's keys.
enum class AddressSource : std::uint8_t { kNone, kProfile, kSaRemote, kSaTunnel };

/// Selectors of an inbound SA.
struct ProfileSelectors {
    Selectors selectors;         ///< as given; `remote` empty with kSaRemote
    CompiledSelectors compiled;  ///< likewise
    AddressSource remote = AddressSource::kProfile;
};

struct ProfileUse {
    PolicyId policy = 0;
    AddressSource remote = AddressSource::kNone;
    RemoteKey address;  ///< with kProfile
};

/// Shared by SAs, immutable; freed with the last of them. Touched for each packet, but one for many
/// SAs, so that it stays in the cache.
struct alignas(64) SaProfile {
    // What every packet looks at: the first line, and outbound the second.
    AlgorithmInfo algorithm{};
    Direction direction = Direction::kInbound;
    Mode mode = Mode::kTransport;
    bool esn = false;
    bool copy_dscp = true;
    bool has_lifetime = false;  ///< in octets or packets, which is looked at for each packet
    /// Out into an IPv6 tunnel, without a lifetime that is counted by packet: what nearly all
    /// payload has, and is sealed by a short way.
    bool is_common = false;
    /// And by the shortest: with AES-GCM, 32-bit sequence numbers and an unchanged traffic class,
    /// and to the remote address, which each packet is for.
    bool seals_short = false;
    /// AES-GCM in out of a tunnel, no such lifetime, any protocol and ports, and addresses that are
    /// prefixes: what nearly all payload has, and is opened by a short way.
    bool opens_short = false;
    DontFragment dont_fragment = DontFragment::kCopy;
    bool remote_is_of_sa = false;  ///< of those: the one remote address is the SA's
    std::uint16_t replay_window = 0;
    std::uint16_t bitmap_mask = 0;  ///< ReplayWindow::mask_of(replay_window)
    std::uint8_t hop_limit = 64;
    std::uint8_t fixed_dscp = 0;
    Family tunnel_family = Family::kNone;
    AddressSource tunnel_remote_source = AddressSource::kNone;
    bool local_is_any = false;        ///< what is opened by the short way may be for any address
    std::uint32_t tunnel_offset = 0;  ///< of kSaTunnel's address, from the start of the SA
    std::uint32_t bitmap_offset = 0;  ///< of the replay bitmap, likewise
    std::uint32_t block_size = 0;     ///< octets of the whole SA
    /// The tunnel header of common SAs: its first eight octets as a number, without traffic class
    /// and length, and its source.
    alignas(64) std::uint64_t outer_start = 0;
    Ipv6Address outer_source;
    /// What SAs that open by the short way let pass.
    alignas(64) KeyPrefix local_prefix;
    KeyPrefix remote_prefix;  ///< any, with remote_is_of_sa

    AddressKey tunnel_local;
    AddressKey tunnel_remote;
    Lifetime lifetime;
    std::vector<ProfileSelectors> selectors;
    std::vector<ProfileUse> policies;

    // Of the writer only.
    std::string identity;  ///< under which the store finds it again
    std::size_t users = 0;
};

struct SaCold {
    enum Error : std::uint8_t {
        kReplay,
        kIcv,
        kPadding,
        kSelectorMismatch,
        kMalformed,
        kErrorCount,
        // Outbound SAs use the first two places for their own.
        kSeqOverflow = kReplay,
        kTooBig = kIcv,
    };
    std::atomic<std::uint32_t> errors[kErrorCount];  ///< stay at their highest value
    std::uint32_t generation = 0;        ///< of the database when the SA was added, its lower bits
    std::uint32_t born = 0;              ///< SaParameters::born, its lower bits
    std::uint8_t handle_generation = 0;  ///< stays when the SA goes
    bool in_use = false;

    /// Seconds since `born`; 0 if that is still to come.
    [[nodiscard]] std::uint32_t age(std::uint64_t now) const {
        const std::uint32_t seconds = static_cast<std::uint32_t>(now) - born;
        return seconds < 1u << 31 ? seconds : 0;
    }
};
static_assert(sizeof(SaCold) <= SecureArena::kNoteSize);

/// The hot line. `sequence`, `packets`, `bytes` and the bitmap have one writer, the owner's engine;
/// anyone may read the atomics. Bits of `state` are set by the engine and by the database's writer.
struct alignas(kCacheLine) SecurityAssociation {
    static constexpr unsigned kHandleIndexBits = 24;
    enum State : std::uint8_t { kSoftExpired = 1, kHardExpired = 2, kSoftTold = 4, kHardTold = 8 };

    Spi spi;
    std::uint32_t salt = 0;             ///< as in memory of the keying material, not a number
    PolicyId policy = kNominalDiscard;  ///< of the first use; kNominalDiscard: none
    Family remote_family = Family::kNone;
    bool bound_by_remote = false;  ///< the first use is by `remote`
    std::atomic<std::uint16_t> path_mtu{0};
    std::uint8_t owner = 0;
    std::atomic<std::uint8_t> state{0};
    /// Outbound: last number used. Inbound: highest number authenticated.
    std::atomic<std::uint64_t> sequence{0};
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> bytes{0};
    const SaProfile* profile = nullptr;
    AddressKey remote;  ///< the one remote address of this SA, if remote_family says so

    [[nodiscard]] std::uint8_t* keys() { return reinterpret_cast<std::uint8_t*>(this + 1); }
    [[nodiscard]] const std::uint8_t* keys() const {
        return reinterpret_cast<const std::uint8_t*>(this + 1);
    }
    [[nodiscard]] SaCold& cold() const { return *static_cast<SaCold*>(SecureArena::note_of(this)); }
    /// For writer's thread and engine alike; nothing of the handle changes while the SA is there.
    [[nodiscard]] SaHandle handle() const {
        return {std::uint32_t{cold().handle_generation} << kHandleIndexBits |
                SecureArena::number_of(this)};
    }
    [[nodiscard]] ReplayWindow window() {
        auto* bitmap = reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::uint8_t*>(this) +
                                                        profile->bitmap_offset);
        return {sequence, bitmap, profile->replay_window, profile->bitmap_mask};
    }
    /// Inbound: what is_new() of its replay window says about `sequence`, the low half of a number
    /// that is extended before if the SA has extended numbers.
    [[nodiscard]] [[gnu::noinline]] bool extend_if_new(std::uint64_t& sequence_number) {
        const ReplayWindow view = window();
        const auto low = static_cast<std::uint32_t>(sequence_number);
        return (!profile->esn || view.extend(low, sequence_number)) && view.is_new(sequence_number);
    }
    /// Inbound, of an authentic packet: accept() of its replay window if it has one; else
    /// remembers the highest number.
    [[nodiscard]] [[gnu::always_inline]] bool accept(std::uint64_t sequence_number) {
        if (profile->replay_window == 0) {
            if (sequence_number > sequence.load(std::memory_order_relaxed)) {
                sequence.store(sequence_number, std::memory_order_relaxed);
            }
            return true;
        }
        return window().accept(sequence_number);
    }
    [[nodiscard]] bool is_expired() const {
        return (state.load(std::memory_order_relaxed) & kHardExpired) != 0;
    }
    /// Sets bits of `state`; those that were not set before.
    std::uint8_t set_state(unsigned bits) {
        const auto wanted = static_cast<std::uint8_t>(bits);
        return static_cast<std::uint8_t>(wanted &
                                         ~state.fetch_or(wanted, std::memory_order_relaxed));
    }
    void clear_state(unsigned bits) {
        state.fetch_and(static_cast<std::uint8_t>(~bits), std::memory_order_relaxed);
    }
    void count(std::uint32_t octets) {
        packets.store(packets.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        bytes.store(bytes.load(std::memory_order_relaxed) + octets, std::memory_order_relaxed);
    }
    void count_error(SaCold::Error error) {
        auto& counter = cold().errors[error];
        const std::uint32_t count = counter.load(std::memory_order_relaxed);
        if (count != UINT32_MAX) counter.store(count + 1, std::memory_order_relaxed);
    }
    [[nodiscard]] bool is_remote(const AddressKey& address) const {
        return ((address.high ^ remote.high) | (address.low ^ remote.low)) == 0;
    }
    [[nodiscard]] RemoteKey remote_key() const { return {remote, remote_family}; }
    /// Outbound: its first use is what use_of() made `use` of, and for this remote address, which
    /// the entry is populated with.
    [[nodiscard]] bool is_for(std::uint32_t use, const AddressKey& address) const {
        std::uint32_t own;
        __builtin_memcpy(&own, reinterpret_cast<const std::uint8_t*>(this) + kUseOffset, 4);
        return own == use && is_remote(address);
    }
    /// `policy`, `remote_family` and `bound_by_remote` as they lie there, to be compared at once.
    [[nodiscard]] static constexpr std::uint32_t use_of(PolicyId entry, Family family) {
        return entry | std::uint32_t{static_cast<std::uint8_t>(family)} << 16 | 1u << 24;
    }
    /// That of no SA.
    static constexpr std::uint32_t kNoUse = ~0u;
    static constexpr std::size_t kUseOffset = 8;
    /// The other end of the tunnel where it is not `remote`, as a VPN client's is not; of an SA
    /// whose profile says kSaTunnel. AES-GCM's keys leave room for it in a line that each packet
    /// needs.
    [[nodiscard]] AddressKey& own_tunnel_remote() const {
        auto* const self = const_cast<SecurityAssociation*>(this);
        return *reinterpret_cast<AddressKey*>(reinterpret_cast<std::uint8_t*>(self) +
                                              profile->tunnel_offset);
    }
    [[nodiscard]] AddressKey tunnel_remote() const {
        if (profile->tunnel_remote_source == AddressSource::kSaRemote) return remote;
        if (profile->tunnel_remote_source == AddressSource::kSaTunnel) return own_tunnel_remote();
        return profile->tunnel_remote;
    }
};
static_assert(sizeof(SecurityAssociation) == kCacheLine && kFillsLines<SecurityAssociation> &&
              offsetof(SecurityAssociation, policy) == SecurityAssociation::kUseOffset &&
              offsetof(SecurityAssociation, remote_family) == SecurityAssociation::kUseOffset + 2 &&
              offsetof(SecurityAssociation, bound_by_remote) ==
                  SecurityAssociation::kUseOffset + 3);

/// Whether a decapsulated packet is one that the inbound SA `sa` was made for: the entry of the SPD
/// whose selectors let it pass (kNominalDiscard if the SA belongs to none); nothing: it is not.
[[nodiscard]] std::optional<PolicyId> matching_policy(const SecurityAssociation& sa,
                                                      const HeaderInfo& packet);

}  // namespace homeport::ipsec
