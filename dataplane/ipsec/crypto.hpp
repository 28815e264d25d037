// SPDX-License-Identifier: BSD-3-Clause
// intel-ipsec-mb behind this room's names: the manager of one thread, and expanded keys.
#pragma once

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include <cstdint>
#include <memory>

#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/architecture.hpp"
#include "dataplane/ipsec/error.hpp"
#include "dataplane/ipsec/key.hpp"
#include "dataplane/ipsec/selector.hpp"

namespace homeport::ipsec {

struct MbManagerDeleter {
    void operator()(IMB_MGR* manager) const;
};
using MbManager = std::unique_ptr<IMB_MGR, MbManagerDeleter>;

/// Fails if this CPU lacks what `architecture` needs. On success `architecture` is what kAuto
/// became.
[[nodiscard]] Result<MbManager> make_mb_manager(CpuArchitecture& architecture);

/// Where the parts of expanded keys are, in octets from the start of the SA's key area.
inline constexpr std::size_t kCipherKeyOffset = 0;
inline constexpr std::size_t kCbcKeySize = 256;    ///< round keys of one direction
inline constexpr std::size_t kHmacStateSize = 64;  ///< inner, then outer state

/// Octets of the key area, a multiple of 8.
[[nodiscard]] std::size_t key_area_size(const AlgorithmInfo& algorithm);
/// Offset of the inner HMAC state in the key area; the outer state follows it.
[[nodiscard]] constexpr std::size_t hmac_offset(const AlgorithmInfo& algorithm) {
    return algorithm.cipher == Cipher::kAesCbc ? kCbcKeySize : 0;
}

/// Expands keys of the right length into `area`, 64-octet aligned and key_area_size() long.
void expand_keys(IMB_MGR& manager, const AlgorithmInfo& algorithm, Direction direction,
                 ConstByteSpan encryption_key, ConstByteSpan integrity_key, std::uint8_t* area);

/// The direct GCM calls for a key length.
struct GcmCalls {
    aes_gcm_enc_dec_t encrypt;
    aes_gcm_enc_dec_t decrypt;
};
[[nodiscard]] GcmCalls gcm_calls(const IMB_MGR& manager, Algorithm algorithm);

/// The job fields that name the HMAC.
[[nodiscard]] IMB_HASH_ALG hash_of(Integrity integrity);

}  // namespace homeport::ipsec
