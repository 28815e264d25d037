// SPDX-License-Identifier: BSD-3-Clause
// The security association database (RFC 4301 section 4.4.2) and the SPD-S cache that leads from a
// policy entry (and, where it is populated from the packet, a remote address) to the outbound SA.
//
// Use: one writer thread adds and removes; EspEngines on any number of threads read without locks.
// An SA's sequence number, replay window and counters have exactly one writer, the engine of the
// worker that owns the SA (SaParameters::owner): whoever distributes packets sees to that.
//
// Rekey: add the new SA with the same policies; new packets take the newest, the older ones stay
// reachable by SPI and in the queries until they are removed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ipsec/architecture.hpp"
#include "dataplane/ipsec/error.hpp"
#include "dataplane/ipsec/reclaimer.hpp"
#include "dataplane/ipsec/sa_parameters.hpp"

namespace homeport::ipsec {

struct SecurityAssociation;
struct AddressKey;
class SaStore;

/// Names an SA in the database; not reused before 2^8 other SAs came and went in its place.
struct SaHandle {
    std::uint32_t value = 0;
    friend bool operator==(const SaHandle&, const SaHandle&) = default;
};

/// What came to its end.
enum class LifetimeReason : std::uint8_t { kBytes, kPackets, kSeconds, kSequence };

/// An SA came to the end of a lifetime. Soft: time to rekey. Hard: it is not used any more.
struct LifetimeEvent {
    Spi spi;
    Direction direction = Direction::kInbound;
    bool hard = false;
    LifetimeReason reason = LifetimeReason::kBytes;
    SaHandle handle;
};

/// What an SA may still do until its hard lifetime; kNoLimit where there is none.
struct LifetimeLeft {
    static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
    std::uint64_t bytes = kNoLimit;
    std::uint64_t packets = kNoLimit;
    std::uint64_t seconds = kNoLimit;
};

struct SaErrors {
    std::uint64_t replay = 0;
    std::uint64_t icv = 0;
    std::uint64_t padding = 0;
    std::uint64_t selector_mismatch = 0;
    std::uint64_t malformed = 0;
    std::uint64_t seq_overflow = 0;
    std::uint64_t too_big = 0;
};

/// What an SA is and has done; no key material.
struct SaStatus {
    Direction direction = Direction::kInbound;
    Spi spi;
    Algorithm algorithm = Algorithm::kAes128Gcm16;
    Mode mode = Mode::kTransport;
    bool esn = false;
    std::uint16_t replay_window = 0;
    std::uint8_t owner = 0;
    std::uint16_t path_mtu = 0;
    std::optional<IpAddress> tunnel_local;
    std::optional<IpAddress> tunnel_remote;
    std::vector<PolicyUse> policies;
    std::vector<Selectors> selectors;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;  ///< of whole inner packets
    /// Outbound: the last number used. Inbound: the highest number authenticated. 0: none yet.
    std::uint64_t highest_sequence = 0;
    SaErrors errors;
    bool soft_expired = false;
    bool hard_expired = false;
};

class SecurityAssociationDatabase {
  public:
    struct Options {
        CpuArchitecture architecture = CpuArchitecture::kAuto;
        std::uint32_t own_slots = 1u << 16;         ///< slots for own SPIs, 1..2^24
        std::uint32_t max_associations = 1u << 20;  ///< of both directions, 1..2^24
        /// Lets static keys be used with AEAD ciphers, where a repeated IV (after a restart, say)
        /// gives the plaintext and the authentication key away. For laboratories only.
        bool lab_static_gcm = false;
    };

    /// `reclaimer` must outlive the database. Fails if the CPU lacks the architecture.
    [[nodiscard]] static Result<std::unique_ptr<SecurityAssociationDatabase>> create(
        const Options& options, Reclaimer& reclaimer);
    /// Readers and pending deleters must be gone.
    ~SecurityAssociationDatabase();
    SecurityAssociationDatabase(const SecurityAssociationDatabase&) = delete;
    SecurityAssociationDatabase& operator=(const SecurityAssociationDatabase&) = delete;

    // Writer's thread.

    [[nodiscard]] Result<SaHandle> add(const SaParameters& parameters);
    /// False if there is no such SA. Its key material is wiped as soon as no reader can hold it.
    bool remove(SaHandle handle);
    /// 0: no limit. False if there is no such SA.
    bool set_path_mtu(SaHandle handle, std::uint16_t path_mtu);
    [[nodiscard]] std::optional<SaStatus> status(SaHandle handle) const;
    [[nodiscard]] std::optional<SaHandle> inbound_handle(Spi spi) const;
    /// To be called now and then for every SA: ends it when its time is over. What there is to tell
    /// of its age and of an outbound SA's sequence numbers (soft: 15 of 16 are used), each once.
    /// `now`: seconds of the clock of SaParameters::born.
    [[nodiscard]] std::optional<LifetimeEvent> look_at_age(SaHandle handle, std::uint64_t now);
    [[nodiscard]] LifetimeLeft lifetime_left(SaHandle handle, std::uint64_t now) const;
    /// All SAs, in no particular order.
    [[nodiscard]] std::vector<SaHandle> handles() const;
    [[nodiscard]] std::size_t size() const;

    // Any thread that takes part in the reclaimer's scheme.

    /// Null if unknown.
    [[nodiscard]] SecurityAssociation* find_inbound(Spi spi) const;
    /// The newest outbound SA of a policy entry; null if there is none. `remote` only if the entry
    /// has populate_remote.
    [[nodiscard]] SecurityAssociation* find_outbound(PolicyId policy,
                                                     const std::optional<IpAddress>& remote) const;
    /// Grows with each SA that is added or removed.
    [[nodiscard]] std::uint64_t generation() const {
        return generation_.load(std::memory_order_acquire);
    }
    /// What kAuto became.
    [[nodiscard]] CpuArchitecture architecture() const;
    /// For the engine and the queries.
    [[nodiscard]] const SaStore& store() const { return *store_; }

  private:
    SecurityAssociationDatabase(const Options& options, std::unique_ptr<SaStore> store);

    Options options_;
    std::unique_ptr<SaStore> store_;
    std::atomic<std::uint64_t> generation_{0};
};

}  // namespace homeport::ipsec
