// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/cipher_burst.hpp"

#include <string.h>

#include <algorithm>
#include <utility>

namespace homeport::ipsec {

namespace {

constexpr std::size_t kPrefetchAhead = 4;
constexpr std::size_t kGcmHashPowers = 48;
constexpr std::size_t kGcmKeyEnd = 240 + 16 * kGcmHashPowers;

template <int Locality>
void prefetch(const std::uint8_t* from, const std::uint8_t* end) {
    for (; from < end; from += 64) __builtin_prefetch(from, 0, Locality);
    // GCC takes a function that does nothing but prefetch for one that does nothing, and leaves out
    // calls of it.
    asm volatile("");
}
/// The lines of these numbers behind `from`.
template <int Locality, std::size_t... Lines>
void prefetch_lines(const std::uint8_t* from, std::index_sequence<Lines...>) {
    (__builtin_prefetch(from + 64 * Lines, 0, Locality), ...);
    asm volatile("");  // as above
}

}  // namespace

template <int Locality>
void CipherBurst::prefetch_keys(const CipherWork& work) const {
    const AlgorithmInfo& algorithm = work.sa->profile->algorithm;
    const std::uint8_t* keys = work.sa->keys();
    if (algorithm.cipher != Cipher::kAesGcm) {
        prefetch<Locality>(keys, keys + (algorithm.cipher == Cipher::kAesCbc ? 384 : 128));
    } else if (!many_hash_powers_) {
        prefetch_lines<Locality>(keys, std::make_index_sequence<8>());
    } else {
        // Round keys (11, 13 or 15 of 16 octets) are in front. Of the hash powers, which are at the
        // end and the lowest one last, a packet uses as many as it has blocks, with one each for
        // AAD and lengths.
        const std::size_t powers = std::min(work.text_length / 16 + std::size_t{3}, kGcmHashPowers);
        prefetch<Locality>(keys, keys + std::size_t{4} * algorithm.key_length + 112);
        prefetch<Locality>(keys + (kGcmKeyEnd - 16 * powers) / 64 * 64, keys + kGcmKeyEnd);
    }
}

template void CipherBurst::prefetch_keys<2>(const CipherWork& work) const;

CipherBurst::CipherBurst(IMB_MGR& manager)
    : manager_(manager),
      gcm_{gcm_calls(manager, Algorithm::kAes128Gcm16), gcm_calls(manager, Algorithm::kAes192Gcm16),
           gcm_calls(manager, Algorithm::kAes256Gcm16)},
      many_hash_powers_(manager.used_arch == IMB_ARCH_AVX512 &&
                        (manager.features & IMB_FEATURE_VAES) != 0) {}

[[gnu::always_inline]] inline void CipherBurst::run_aead(const CipherWork& work, CipherTag& tag,
                                                         Direction direction) {
    const AlgorithmInfo& algorithm = work.sa->profile->algorithm;
    std::uint8_t* text = work.text();
    std::uint8_t* icv = direction == Direction::kOutbound ? work.icv() : tag.computed;
    if (algorithm.cipher == Cipher::kAesGcm) {
        const GcmCalls& calls = gcm_[static_cast<std::size_t>(algorithm.algorithm)];
        const auto call = direction == Direction::kOutbound ? calls.encrypt : calls.decrypt;
        call(reinterpret_cast<const gcm_key_data*>(work.sa->keys()), &gcm_context_, text, text,
             work.text_length, work.nonce, work.aad, work.aad_length, icv, 16);
        return;
    }
    const std::uint8_t* key = work.sa->keys();
    IMB_CHACHA20_POLY1305_INIT(&manager_, key, &chacha_context_, work.nonce, work.aad,
                               work.aad_length);
    if (direction == Direction::kOutbound) {
        IMB_CHACHA20_POLY1305_ENC_UPDATE(&manager_, key, &chacha_context_, text, text,
                                         work.text_length);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(&manager_, &chacha_context_, icv, 16);
    } else {
        IMB_CHACHA20_POLY1305_DEC_UPDATE(&manager_, key, &chacha_context_, text, text,
                                         work.text_length);
        IMB_CHACHA20_POLY1305_DEC_FINALIZE(&manager_, &chacha_context_, icv, 16);
    }
}

void CipherBurst::complete(const IMB_JOB* job) {
    static_cast<CipherTag*>(job->user_data)->refused = job->status != IMB_STATUS_COMPLETED;
}

void CipherBurst::submit(const CipherWork& work, CipherTag& tag, Direction direction) {
    const SaProfile& profile = *work.sa->profile;
    const AlgorithmInfo& algorithm = profile.algorithm;
    std::uint8_t* keys = work.sa->keys();
    const std::uint8_t* states = keys + hmac_offset(algorithm);
    const bool out = direction == Direction::kOutbound;
    std::uint32_t hashed = work.text_offset + work.text_length;
    if (profile.esn) {
        store_be32(work.icv(), static_cast<std::uint32_t>(work.sequence >> 32));
        hashed += 4;
    }
    IMB_JOB* job = IMB_GET_NEXT_JOB(&manager_);
    const bool cbc = algorithm.cipher == Cipher::kAesCbc;
    job->cipher_mode = cbc ? IMB_CIPHER_CBC : IMB_CIPHER_NULL;
    job->cipher_direction = out ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = out ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = keys;
    job->dec_keys = keys;
    job->key_len_in_bytes = cbc ? algorithm.key_length : 16;
    job->src = work.esp;
    job->dst = work.text();
    job->cipher_start_src_offset_in_bytes = work.text_offset;
    job->msg_len_to_cipher_in_bytes = work.text_length;
    job->iv = work.esp + 8;
    job->iv_len_in_bytes = cbc ? 16 : 0;
    job->hash_alg = hash_of(algorithm.integrity);
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = hashed;
    job->auth_tag_output = tag.computed;
    job->auth_tag_output_len_in_bytes = algorithm.icv_length;
    job->u.HMAC._hashed_auth_key_xor_ipad = states;
    job->u.HMAC._hashed_auth_key_xor_opad = states + kHmacStateSize;
    job->user_data = &tag;
    if (const IMB_JOB* done = IMB_SUBMIT_JOB_NOCHECK(&manager_)) complete(done);
}

std::size_t CipherBurst::run(const CipherWork* works, CipherTag* tags, std::size_t count,
                             Direction direction) {
    std::size_t submitted = 0;
    for (std::size_t i = 0; i < std::min(count, kPrefetchAhead); ++i) prefetch_keys<3>(works[i]);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + kPrefetchAhead < count) prefetch_keys<3>(works[i + kPrefetchAhead]);
        if (works[i].sa->profile->algorithm.is_counter_mode()) {
            run_aead(works[i], tags[i], direction);
        } else {
            submit(works[i], tags[i], direction);
            ++submitted;
        }
    }
    if (submitted == 0) return 0;
    while (const IMB_JOB* done = IMB_FLUSH_JOB(&manager_)) complete(done);
    return submitted;
}

bool CipherBurst::all_done(const CipherWork* works, const CipherTag* tags, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (failed(works[i], tags[i])) return false;
    }
    return true;
}

bool CipherBurst::seal(const CipherWork* works, CipherTag* tags, std::size_t count) {
    if (run(works, tags, count, Direction::kOutbound) == 0) return true;
    for (std::size_t i = 0; i < count; ++i) {
        const AlgorithmInfo& algorithm = works[i].sa->profile->algorithm;
        if (algorithm.is_counter_mode()) continue;
        memcpy(works[i].icv(), tags[i].computed, algorithm.icv_length);
    }
    return all_done(works, tags, count);
}

bool CipherBurst::open(const CipherWork* works, CipherTag* tags, std::size_t count) {
    return run(works, tags, count, Direction::kInbound) == 0 || all_done(works, tags, count);
}

}  // namespace homeport::ipsec
