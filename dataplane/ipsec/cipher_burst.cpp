// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/cipher_burst.hpp"

#include <algorithm>
#include <bit>

namespace homeport::ipsec {

CipherBurst::CipherBurst(IMB_MGR& manager)
    : manager_(manager),
      gcm_{gcm_calls(manager, Algorithm::kAes128Gcm16), gcm_calls(manager, Algorithm::kAes192Gcm16),
           gcm_calls(manager, Algorithm::kAes256Gcm16)},
      many_hash_powers_(manager.used_arch == IMB_ARCH_AVX512 &&
                        (manager.features & IMB_FEATURE_VAES) != 0) {}

void CipherBurst::run_chacha(CipherWork& work, Direction direction) {
    std::uint8_t* const text = work.text();
    const std::uint8_t* key = work.sa->keys();
    IMB_CHACHA20_POLY1305_INIT(&manager_, key, &chacha_context_, work.nonce, work.aad,
                               work.aad_length);
    if (direction == Direction::kOutbound) {
        IMB_CHACHA20_POLY1305_ENC_UPDATE(&manager_, key, &chacha_context_, text, text,
                                         work.text_length);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(&manager_, &chacha_context_, work.icv(), 16);
    } else {
        IMB_CHACHA20_POLY1305_DEC_UPDATE(&manager_, key, &chacha_context_, text, text,
                                         work.text_length);
        IMB_CHACHA20_POLY1305_DEC_FINALIZE(&manager_, &chacha_context_, work.aad, 16);
    }
}

/// What the library is to do with a packet. Both steps read the packet and no step's result.
void CipherBurst::fill(IMB_JOB& job, const CipherWork& work, std::uint8_t* icv) {
    const SaProfile& profile = *work.sa->profile;
    const AlgorithmInfo& algorithm = profile.algorithm;
    std::uint8_t* keys = work.sa->keys();
    const std::uint8_t* states = keys + hmac_offset(algorithm);
    std::uint32_t hashed = work.text_offset + work.text_length;
    if (profile.esn) {
        store_be32(work.icv(), static_cast<std::uint32_t>(work.sequence >> 32));
        hashed += 4;
    }
    job.enc_keys = keys;
    job.dec_keys = keys;
    job.src = work.esp;
    job.dst = work.text();
    job.cipher_start_src_offset_in_bytes = work.text_offset;
    job.msg_len_to_cipher_in_bytes = work.text_length;
    job.iv = work.esp + 8;
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = hashed;
    job.auth_tag_output = icv;
    job.auth_tag_output_len_in_bytes = algorithm.icv_length;
    job.u.HMAC._hashed_auth_key_xor_ipad = states;
    job.u.HMAC._hashed_auth_key_xor_opad = states + kHmacStateSize;
}

bool CipherBurst::encrypt_or_decrypt(const AlgorithmInfo& algorithm, Direction direction,
                                     std::uint32_t count) {
    if (algorithm.cipher == Cipher::kNull) return true;
    const IMB_CIPHER_DIRECTION way =
        direction == Direction::kOutbound ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    return IMB_SUBMIT_CIPHER_BURST_NOCHECK(&manager_, jobs_.data(), count, IMB_CIPHER_CBC, way,
                                           static_cast<IMB_KEY_SIZE_BYTES>(algorithm.key_length)) ==
           count;
}

bool CipherBurst::hash(const AlgorithmInfo& algorithm, std::uint32_t count) {
    return IMB_SUBMIT_HASH_BURST_NOCHECK(&manager_, jobs_.data(), count,
                                         hash_of(algorithm.integrity)) == count;
}

/// Packets of one algorithm go through cipher and hash as a whole, so that those of different SAs
/// fill the lanes; the library waits for none in between.
bool CipherBurst::run_jobs(const CipherWork* works, CipherTag* tags, std::uint64_t pending,
                           Direction direction) {
    const bool out = direction == Direction::kOutbound;
    const std::uint64_t all = pending;
    std::uint64_t refused = 0;
    while (pending != 0) {
        const AlgorithmInfo& algorithm = works[std::countr_zero(pending)].sa->profile->algorithm;
        std::uint32_t count = 0;
        std::uint64_t taken = 0;
        for (std::uint64_t rest = pending; rest != 0; rest &= rest - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(rest));
            if (works[i].sa->profile->algorithm.algorithm != algorithm.algorithm) continue;
            fill(jobs_[count++], works[i], out ? works[i].icv() : tags[i].computed);
            taken |= std::uint64_t{1} << i;
        }
        pending &= ~taken;
        const bool done =
            out ? encrypt_or_decrypt(algorithm, direction, count) && hash(algorithm, count)
                : hash(algorithm, count) && encrypt_or_decrypt(algorithm, direction, count);
        if (!done) refused |= taken;
    }
    if (refused == 0) [[likely]]
        return true;
    for (std::uint64_t rest = all; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(rest));
        tags[i].refused = (refused >> i & 1) != 0;
    }
    return false;
}

/// False: it is for run_jobs().
template <Direction kDirection>
inline bool CipherBurst::run_one(CipherWork& work) {
    const AlgorithmInfo& algorithm = work.sa->profile->algorithm;
    if (algorithm.cipher == Cipher::kAesGcm) [[likely]] {
        run_gcm(work, algorithm, kDirection);
        return true;
    }
    if (!algorithm.is_counter_mode()) return false;
    run_chacha(work, kDirection);
    return true;
}

template <Direction kDirection>
bool CipherBurst::run(CipherWork* works, CipherTag* tags, std::size_t count) {
    std::uint64_t jobs = 0;
    for (std::size_t i = 0; i < std::min(count, kKeysAhead); ++i) prefetch_keys(works[i]);
    std::size_t i = 0;
    for (; i + kKeysAhead < count; ++i) {
        prefetch_keys(works[i + kKeysAhead]);
        prefetch_powers(works[i + kPowersAhead]);
        if (!run_one<kDirection>(works[i])) [[unlikely]]
            jobs |= std::uint64_t{1} << i;
    }
    for (; i < count; ++i) {
        if (i + kPowersAhead < count) prefetch_powers(works[i + kPowersAhead]);
        if (!run_one<kDirection>(works[i])) jobs |= std::uint64_t{1} << i;
    }
    return jobs == 0 || run_jobs(works, tags, jobs, kDirection);
}

bool CipherBurst::seal(CipherWork* works, CipherTag* tags, std::size_t count) {
    return run<Direction::kOutbound>(works, tags, count);
}

bool CipherBurst::open(CipherWork* works, CipherTag* tags, std::size_t count) {
    return run<Direction::kInbound>(works, tags, count);
}

}  // namespace homeport::ipsec
