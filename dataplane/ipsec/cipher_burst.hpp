// SPDX-License-Identifier: BSD-3-Clause
// The second pass over a burst: cipher and integrity of packets of any SAs and algorithms.
//
// AEAD packets go through the library's direct calls, one after the other, with the keys of later
// ones prefetched; CBC and NULL with HMAC go as bursts of one algorithm through cipher and hash, so
// that packets of different SAs fill the multi-buffer lanes. Both are synchronous.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "dataplane/ipsec/crypto.hpp"
#include "dataplane/ipsec/sa.hpp"

namespace homeport::ipsec {

inline constexpr std::size_t kMaxBurst = 64;

/// One packet, in one cache line. AAD and nonce are written whole, in one wide store each, well
/// before the cipher loads them.
struct alignas(64) CipherWork {
    /// AEAD: SPI and sequence number, 8 octets or with ESN 12; once it is open, the ICV computed.
    std::uint8_t aad[16];
    std::uint8_t nonce[16];  ///< AEAD: salt and IV, 12 octets
    SecurityAssociation* sa;
    std::uint8_t* esp;  ///< the ESP header
    std::uint64_t sequence;
    std::uint32_t text_length;
    std::uint8_t text_offset;  ///< of what is encrypted, from `esp`
    std::uint8_t aad_length;
    std::uint8_t packet;  ///< index in the burst

    [[nodiscard]] std::uint8_t* text() const { return esp + text_offset; }
    [[nodiscard]] std::uint8_t* icv() const { return esp + text_offset + text_length; }
};
static_assert(sizeof(CipherWork) == 64);

/// What the second pass knows of a packet. Outbound the ICV goes right into the packet.
struct alignas(64) CipherTag {
    std::uint8_t computed[64];  ///< the ICV, inbound and not of an AEAD
    /// With ESN and HMAC the high half is hashed at the place of the ICV: inbound, the received ICV
    /// is kept here. Outbound the computed one comes there after the hash.
    std::uint8_t received[32];
    bool refused;  ///< by the library; of jobs alone, if not all were done: see failed()
};

class CipherBurst {
  public:
    explicit CipherBurst(IMB_MGR& manager);

    /// Outbound: encrypts and puts the ICVs into the packets. `tags` is as long as `works`. True:
    /// all of it was done, and nobody need ask for failed().
    bool seal(CipherWork* works, CipherTag* tags, std::size_t count);
    /// Inbound: decrypts; the caller compares what is computed with what was received. True as
    /// above.
    bool open(CipherWork* works, CipherTag* tags, std::size_t count);
    /// As open(), of AES-GCM alone, which refuses nothing; `behind(k)` is called when works[k] is
    /// open, while the cipher is at later ones: that mostly waits for itself, so that what is done
    /// beside it costs little.
    template <class Behind>
    [[gnu::always_inline]] void open_gcm(CipherWork* works, std::size_t count, Behind behind);
    /// The library refused this one's job.
    [[nodiscard]] static bool failed(const CipherWork& work, const CipherTag& tag) {
        return !work.sa->profile->algorithm.is_counter_mode() && tag.refused;
    }

  private:
    // A long packet's hash powers are up to ten lines, of a key that is in no near cache with many
    // SAs; those of four packets would be more than a core can wait for at once.
    static constexpr std::size_t kKeysAhead = 4;
    static constexpr std::size_t kPowersAhead = 2;

    void prefetch_keys(const CipherWork& work) const;
    void prefetch_powers(const CipherWork& work) const;
    [[gnu::always_inline]] void run_gcm(CipherWork& work, const AlgorithmInfo& algorithm,
                                        Direction direction);
    void run_chacha(CipherWork& work, Direction direction);
    static void fill(IMB_JOB& job, const CipherWork& work, std::uint8_t* icv);
    /// Of the first `count` of jobs_. False: the library did not do all of them.
    [[nodiscard]] bool encrypt_or_decrypt(const AlgorithmInfo& algorithm, Direction direction,
                                          std::uint32_t count);
    [[nodiscard]] bool hash(const AlgorithmInfo& algorithm, std::uint32_t count);
    /// `pending`: bit by bit, those that are no AEAD. True: all were done; else `refused` says of
    /// each of them.
    [[nodiscard]] bool run_jobs(const CipherWork* works, CipherTag* tags, std::uint64_t pending,
                                Direction direction);
    /// As seal() and open().
    template <Direction kDirection>
    [[nodiscard, gnu::always_inline]] bool run_one(CipherWork& work);
    template <Direction kDirection>
    bool run(CipherWork* works, CipherTag* tags, std::size_t count);

    IMB_MGR& manager_;
    std::array<GcmCalls, 3> gcm_;
    bool many_hash_powers_;  ///< expanded GCM keys hold 48 powers, otherwise 8
    std::array<IMB_JOB, kMaxBurst> jobs_{};
    gcm_context_data gcm_context_{};
    chacha20_poly1305_context_data chacha_context_{};
};

[[gnu::always_inline]] inline void prefetch_lines(const std::uint8_t* at, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(at + 64 * i);
}

inline constexpr std::size_t kHashPowers = 48;  ///< of an expanded GCM key, if it has many
/// The line of such a key with the last of them; it and the one before it have seven.
inline constexpr std::size_t kLastPowers = (240 + 16 * kHashPowers - 1) / 64 * 64;

/// The lines of key material that any packet will need. This and the next function have to be
/// inlined: GCC takes a function that does nothing but prefetch for one without effect, and leaves
/// calls of it out.
[[gnu::always_inline]] inline void CipherBurst::prefetch_keys(const CipherWork& work) const {
    const AlgorithmInfo& algorithm = work.sa->profile->algorithm;
    const std::uint8_t* const keys = work.sa->keys();
    prefetch_lines(keys, 3);  // round keys of AES-128, or states of HMAC
    if (algorithm.cipher != Cipher::kAesGcm) {
        if (algorithm.cipher == Cipher::kAesCbc) prefetch_lines(keys + 192, 3);
        return;
    }
    if (!many_hash_powers_) {
        prefetch_lines(keys + 192, 5);
        return;
    }
    if (algorithm.key_length != 16) prefetch_lines(keys + 192, 1);
    prefetch_lines(keys + kLastPowers - 64, 2);
}

/// And those of a long packet, of AES-GCM: it uses as many hash powers as it has blocks, with one
/// each for AAD and lengths; the lowest is the last.
[[gnu::always_inline]] inline void CipherBurst::prefetch_powers(const CipherWork& work) const {
    constexpr std::size_t kFetchedPowers = 7;  // with the other lines
    if (work.text_length < (kFetchedPowers - 2) * 16 || !many_hash_powers_) return;
    const std::size_t powers = std::min(work.text_length / 16 + std::size_t{3}, kHashPowers);
    if (work.sa->profile->algorithm.cipher != Cipher::kAesGcm) return;
    const std::size_t lines = (powers - 4) / 4;
    prefetch_lines(work.sa->keys() + kLastPowers - 64 - 64 * lines, lines);
}

[[gnu::always_inline]] inline void CipherBurst::run_gcm(CipherWork& work,
                                                        const AlgorithmInfo& algorithm,
                                                        Direction direction) {
    const bool out = direction == Direction::kOutbound;
    const GcmCalls& calls = gcm_[static_cast<std::size_t>(algorithm.algorithm)];
    const auto call = out ? calls.encrypt : calls.decrypt;
    std::uint8_t* const text = work.text();
    // The library is done with the AAD when it writes the ICV.
    call(reinterpret_cast<const gcm_key_data*>(work.sa->keys()), &gcm_context_, text, text,
         work.text_length, work.nonce, work.aad, work.aad_length,
         out ? text + work.text_length : work.aad, 16);
}

template <class Behind>
inline void CipherBurst::open_gcm(CipherWork* works, std::size_t count, Behind behind) {
    constexpr std::size_t kBehind = 2;
    for (std::size_t i = 0; i < std::min(count, kKeysAhead); ++i) prefetch_keys(works[i]);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + kKeysAhead < count) prefetch_keys(works[i + kKeysAhead]);
        if (i + kPowersAhead < count) prefetch_powers(works[i + kPowersAhead]);
        run_gcm(works[i], works[i].sa->profile->algorithm, Direction::kInbound);
        if (i >= kBehind) behind(i - kBehind);
    }
    for (std::size_t i = std::max(count, kBehind) - kBehind; i < count; ++i) behind(i);
}

}  // namespace homeport::ipsec
