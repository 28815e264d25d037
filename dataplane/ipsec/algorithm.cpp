// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/algorithm.hpp"

#include <array>

#include "dataplane/ipsec/architecture.hpp"

namespace homeport::ipsec {

namespace {

constexpr std::uint32_t kSpiAndSequence = 8;
constexpr std::uint32_t kPadLengthAndNextHeader = 2;

constexpr AlgorithmInfo gcm(Algorithm algorithm, std::string_view name, std::uint8_t key) {
    return {algorithm, name, Cipher::kAesGcm, Integrity::kAead, key, 4, 0, 8, 4, 16};
}

struct Hmac {
    Integrity integrity;
    std::uint8_t key;
    std::uint8_t icv;
};
constexpr Hmac kSha1{Integrity::kHmacSha1, 20, 12};
constexpr Hmac kSha256{Integrity::kHmacSha256, 32, 16};
constexpr Hmac kSha384{Integrity::kHmacSha384, 48, 24};
constexpr Hmac kSha512{Integrity::kHmacSha512, 64, 32};

constexpr AlgorithmInfo cbc(Algorithm algorithm, std::string_view name, std::uint8_t key,
                            Hmac hmac) {
    return {algorithm, name, Cipher::kAesCbc, hmac.integrity, key, 0, hmac.key, 16, 16, hmac.icv};
}

constexpr AlgorithmInfo null(Algorithm algorithm, std::string_view name, Hmac hmac) {
    return {algorithm, name, Cipher::kNull, hmac.integrity, 0, 0, hmac.key, 0, 4, hmac.icv};
}

constexpr std::array<AlgorithmInfo, kAlgorithmCount> kAlgorithms = {{
    gcm(Algorithm::kAes128Gcm16, "aes128-gcm16", 16),
    gcm(Algorithm::kAes192Gcm16, "aes192-gcm16", 24),
    gcm(Algorithm::kAes256Gcm16, "aes256-gcm16", 32),
    {Algorithm::kChacha20Poly1305, "chacha20-poly1305", Cipher::kChacha20Poly1305, Integrity::kAead,
     32, 4, 0, 8, 4, 16},
    cbc(Algorithm::kAes128CbcSha1_96, "aes128-cbc-hmac-sha1-96", 16, kSha1),
    cbc(Algorithm::kAes192CbcSha1_96, "aes192-cbc-hmac-sha1-96", 24, kSha1),
    cbc(Algorithm::kAes256CbcSha1_96, "aes256-cbc-hmac-sha1-96", 32, kSha1),
    cbc(Algorithm::kAes128CbcSha256_128, "aes128-cbc-hmac-sha256-128", 16, kSha256),
    cbc(Algorithm::kAes192CbcSha256_128, "aes192-cbc-hmac-sha256-128", 24, kSha256),
    cbc(Algorithm::kAes256CbcSha256_128, "aes256-cbc-hmac-sha256-128", 32, kSha256),
    cbc(Algorithm::kAes128CbcSha384_192, "aes128-cbc-hmac-sha384-192", 16, kSha384),
    cbc(Algorithm::kAes192CbcSha384_192, "aes192-cbc-hmac-sha384-192", 24, kSha384),
    cbc(Algorithm::kAes256CbcSha384_192, "aes256-cbc-hmac-sha384-192", 32, kSha384),
    cbc(Algorithm::kAes128CbcSha512_256, "aes128-cbc-hmac-sha512-256", 16, kSha512),
    cbc(Algorithm::kAes192CbcSha512_256, "aes192-cbc-hmac-sha512-256", 24, kSha512),
    cbc(Algorithm::kAes256CbcSha512_256, "aes256-cbc-hmac-sha512-256", 32, kSha512),
    null(Algorithm::kNullSha1_96, "null-hmac-sha1-96", kSha1),
    null(Algorithm::kNullSha256_128, "null-hmac-sha256-128", kSha256),
    null(Algorithm::kNullSha384_192, "null-hmac-sha384-192", kSha384),
    null(Algorithm::kNullSha512_256, "null-hmac-sha512-256", kSha512),
}};

constexpr bool in_order() {
    for (std::size_t i = 0; i < kAlgorithms.size(); ++i) {
        if (static_cast<std::size_t>(kAlgorithms[i].algorithm) != i) return false;
    }
    return true;
}
static_assert(in_order());

constexpr std::array<std::string_view, 5> kArchitectureNames = {"auto", "sse", "avx", "avx2",
                                                                "avx512"};

}  // namespace

const AlgorithmInfo& info(Algorithm algorithm) {
    return kAlgorithms[static_cast<std::size_t>(algorithm)];
}

std::span<const AlgorithmInfo> all_algorithms() {
    return kAlgorithms;
}

std::optional<Algorithm> parse_algorithm(std::string_view name) {
    for (const AlgorithmInfo& entry : kAlgorithms) {
        if (entry.name == name) return entry.algorithm;
    }
    return std::nullopt;
}

std::uint32_t esp_overhead(Algorithm algorithm, std::uint32_t payload) {
    const AlgorithmInfo& a = info(algorithm);
    const std::uint32_t text = payload + kPadLengthAndNextHeader;
    const std::uint32_t padded = (text + a.block - 1u) / a.block * a.block;
    return kSpiAndSequence + a.iv_length + (padded - payload) + a.icv_length;
}

std::uint32_t max_inner_length(Algorithm algorithm, std::uint32_t path_mtu,
                               std::uint32_t outer_header) {
    const AlgorithmInfo& a = info(algorithm);
    const std::uint32_t fixed = outer_header + kSpiAndSequence + a.iv_length + a.icv_length;
    if (path_mtu < fixed + a.block) return 0;
    return (path_mtu - fixed) / a.block * a.block - kPadLengthAndNextHeader;
}

std::string_view name(CpuArchitecture architecture) {
    return kArchitectureNames[static_cast<std::size_t>(architecture)];
}

std::optional<CpuArchitecture> parse_cpu_architecture(std::string_view text) {
    for (std::size_t i = 0; i < kArchitectureNames.size(); ++i) {
        if (kArchitectureNames[i] == text) return static_cast<CpuArchitecture>(i);
    }
    return std::nullopt;
}

}  // namespace homeport::ipsec
