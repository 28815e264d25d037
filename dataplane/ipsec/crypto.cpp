// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/crypto.hpp"

#include <string.h>

#include <array>

namespace homeport::ipsec {

namespace {

using OneBlock = void (*)(const void*, void*);

struct HashShape {
    std::size_t block;
    OneBlock one_block;
};

HashShape shape_of(const IMB_MGR& manager, Integrity integrity) {
    switch (integrity) {
        case Integrity::kHmacSha1:
            return {IMB_SHA1_BLOCK_SIZE, manager.sha1_one_block};
        case Integrity::kHmacSha256:
            return {IMB_SHA_256_BLOCK_SIZE, manager.sha256_one_block};
        case Integrity::kHmacSha384:
            return {IMB_SHA_384_BLOCK_SIZE, manager.sha384_one_block};
        default:
            return {IMB_SHA_512_BLOCK_SIZE, manager.sha512_one_block};
    }
}

/// HMAC keys of ESP are never longer than a block (RFC 4868 section 2.1.1).
void expand_hmac(IMB_MGR& manager, Integrity integrity, ConstByteSpan key, std::uint8_t* states) {
    const HashShape shape = shape_of(manager, integrity);
    std::array<std::uint8_t, IMB_SHA_512_BLOCK_SIZE> block;
    for (const std::uint8_t pad : {std::uint8_t{0x36}, std::uint8_t{0x5c}}) {
        block.fill(pad);
        for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
        shape.one_block(block.data(), states);
        states += kHmacStateSize;
    }
    explicit_bzero(block.data(), block.size());
}

void expand_cbc(IMB_MGR& manager, const AlgorithmInfo& algorithm, Direction direction,
                ConstByteSpan key, std::uint8_t* area) {
    struct alignas(64) {
        std::uint8_t encrypt[kCbcKeySize];
        std::uint8_t decrypt[kCbcKeySize];
    } both;
    switch (algorithm.key_length) {
        case 16:
            IMB_AES_KEYEXP_128(&manager, key.data(), both.encrypt, both.decrypt);
            break;
        case 24:
            IMB_AES_KEYEXP_192(&manager, key.data(), both.encrypt, both.decrypt);
            break;
        default:
            IMB_AES_KEYEXP_256(&manager, key.data(), both.encrypt, both.decrypt);
            break;
    }
    constexpr std::size_t kRoundKeys = std::size_t{15} * 16;
    memcpy(area, direction == Direction::kOutbound ? both.encrypt : both.decrypt, kRoundKeys);
    explicit_bzero(&both, sizeof both);
}

void expand_gcm(IMB_MGR& manager, const AlgorithmInfo& algorithm, ConstByteSpan key,
                std::uint8_t* area) {
    auto* expanded = reinterpret_cast<gcm_key_data*>(area);
    switch (algorithm.key_length) {
        case 16:
            IMB_AES128_GCM_PRE(&manager, key.data(), expanded);
            break;
        case 24:
            IMB_AES192_GCM_PRE(&manager, key.data(), expanded);
            break;
        default:
            IMB_AES256_GCM_PRE(&manager, key.data(), expanded);
            break;
    }
}

}  // namespace

void MbManagerDeleter::operator()(IMB_MGR* manager) const {
    free_mb_mgr(manager);
}

Result<MbManager> make_mb_manager(CpuArchitecture& architecture) {
    MbManager manager(alloc_mb_mgr(0));
    if (!manager) return fail("intel-ipsec-mb: cannot allocate a manager");
    const std::uint64_t features = manager->features;
    const auto lacks = [&](std::uint64_t needed) { return (features & needed) != needed; };
    const auto refuse = [&] {
        return fail("intel-ipsec-mb: this CPU lacks what '" + std::string(name(architecture)) +
                    "' needs; expected auto or a lower one of sse, avx, avx2, avx512");
    };
    if (lacks(IMB_CPUFLAGS_SSE)) {
        return fail("intel-ipsec-mb: this CPU lacks AES-NI, PCLMULQDQ or SSE4.2, which are needed");
    }
    switch (architecture) {
        case CpuArchitecture::kAuto:
            init_mb_mgr_auto(manager.get(), nullptr);
            break;
        case CpuArchitecture::kSse:
            init_mb_mgr_sse(manager.get());
            break;
        case CpuArchitecture::kAvx:
            if (lacks(IMB_CPUFLAGS_AVX)) return refuse();
            init_mb_mgr_avx(manager.get());
            break;
        case CpuArchitecture::kAvx2:
            if (lacks(IMB_CPUFLAGS_AVX2)) return refuse();
            init_mb_mgr_avx2(manager.get());
            break;
        case CpuArchitecture::kAvx512:
            if (lacks(IMB_CPUFLAGS_AVX512)) return refuse();
            init_mb_mgr_avx512(manager.get());
            break;
    }
    if (const int error = imb_get_errno(manager.get()); error != 0) {
        return fail(std::string("intel-ipsec-mb: ") + imb_get_strerror(error));
    }
    if (architecture == CpuArchitecture::kAuto) {
        architecture = manager->used_arch == IMB_ARCH_AVX512 ? CpuArchitecture::kAvx512
                       : manager->used_arch == IMB_ARCH_AVX2 ? CpuArchitecture::kAvx2
                       : manager->used_arch == IMB_ARCH_AVX  ? CpuArchitecture::kAvx
                                                             : CpuArchitecture::kSse;
    }
    return manager;
}

std::size_t key_area_size(const AlgorithmInfo& algorithm) {
    switch (algorithm.cipher) {
        case Cipher::kAesGcm:
            return sizeof(gcm_key_data);
        case Cipher::kChacha20Poly1305:
            return algorithm.key_length;
        default:
            return hmac_offset(algorithm) + 2 * kHmacStateSize;
    }
}

void expand_keys(IMB_MGR& manager, const AlgorithmInfo& algorithm, Direction direction,
                 ConstByteSpan encryption_key, ConstByteSpan integrity_key, std::uint8_t* area) {
    switch (algorithm.cipher) {
        case Cipher::kAesGcm:
            expand_gcm(manager, algorithm, encryption_key, area + kCipherKeyOffset);
            break;
        case Cipher::kChacha20Poly1305:
            memcpy(area + kCipherKeyOffset, encryption_key.data(), algorithm.key_length);
            break;
        case Cipher::kAesCbc:
            expand_cbc(manager, algorithm, direction, encryption_key, area + kCipherKeyOffset);
            break;
        case Cipher::kNull:
            break;
    }
    if (algorithm.integrity != Integrity::kAead) {
        expand_hmac(manager, algorithm.integrity, integrity_key, area + hmac_offset(algorithm));
    }
}

GcmCalls gcm_calls(const IMB_MGR& manager, Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::kAes128Gcm16:
            return {manager.gcm128_enc, manager.gcm128_dec};
        case Algorithm::kAes192Gcm16:
            return {manager.gcm192_enc, manager.gcm192_dec};
        default:
            return {manager.gcm256_enc, manager.gcm256_dec};
    }
}

IMB_HASH_ALG hash_of(Integrity integrity) {
    switch (integrity) {
        case Integrity::kHmacSha1:
            return IMB_AUTH_HMAC_SHA_1;
        case Integrity::kHmacSha256:
            return IMB_AUTH_HMAC_SHA_256;
        case Integrity::kHmacSha384:
            return IMB_AUTH_HMAC_SHA_384;
        default:
            return IMB_AUTH_HMAC_SHA_512;
    }
}

}  // namespace homeport::ipsec
