// SPDX-License-Identifier: BSD-3-Clause
// The second pass over a burst: cipher and integrity of packets of any SAs and algorithms.
//
// AEAD packets go through the library's direct calls, one after the other, with the keys of later
// ones prefetched; CBC and NULL with HMAC are submitted as jobs so that packets of different SAs
// fill the multi-buffer lanes. The jobs are flushed at the end: when run() returns, all is done.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/ipsec/crypto.hpp"
#include "dataplane/ipsec/sa.hpp"

namespace homeport::ipsec {

inline constexpr std::size_t kMaxBurst = 64;

/// One packet. AAD and nonce are written whole, in one wide store each, well before the cipher
/// loads them.
struct alignas(64) CipherWork {
    std::uint8_t aad[16];    ///< AEAD: SPI and sequence number, 8 octets or with ESN 12
    std::uint8_t nonce[16];  ///< AEAD: salt and IV, 12 octets
    SecurityAssociation* sa;
    std::uint8_t* esp;          ///< the ESP header
    std::uint32_t text_offset;  ///< of what is encrypted, from `esp`
    std::uint32_t text_length;
    std::uint32_t aad_length;
    std::uint32_t packet;       ///< index in the burst
    std::uint8_t computed[64];  ///< the ICV
    /// Outbound with ESN and HMAC, the high half is hashed at the place of the ICV, which comes
    /// there afterwards. Inbound the received ICV is kept here for the same reason.
    std::uint8_t received[32];
    std::uint64_t sequence;
    bool failed;  ///< the library refused the job

    [[nodiscard]] std::uint8_t* text() { return esp + text_offset; }
    [[nodiscard]] std::uint8_t* icv() { return esp + text_offset + text_length; }
};

class CipherBurst {
  public:
    explicit CipherBurst(IMB_MGR& manager);

    /// Brings what a packet will need of the keys nearer, while headers are written.
    void announce(const CipherWork& work) const { prefetch_keys<2>(work); }

    /// Outbound: encrypts and puts the ICVs into the packets.
    void seal(CipherWork* works, std::size_t count);
    /// Inbound: decrypts; the caller compares `computed` with `received`.
    void open(CipherWork* works, std::size_t count);

  private:
    /// The lines of key material that this packet will need. `Locality` as of the builtin: 3 is the
    /// first cache, 2 the second.
    template <int Locality>
    void prefetch_keys(const CipherWork& work) const;
    void run_aead(CipherWork& work, Direction direction);
    void submit(CipherWork& work, Direction direction);
    static void complete(const IMB_JOB* job);
    /// Returns how many were submitted as jobs.
    std::size_t run(CipherWork* works, std::size_t count, Direction direction);

    IMB_MGR& manager_;
    std::array<GcmCalls, 3> gcm_;
    bool many_hash_powers_;  ///< expanded GCM keys hold 48 powers, otherwise 8
    gcm_context_data gcm_context_{};
    chacha20_poly1305_context_data chacha_context_{};
};

}  // namespace homeport::ipsec
