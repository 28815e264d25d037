// SPDX-License-Identifier: BSD-3-Clause
// ESP algorithms: names, sizes, overhead.
//
// Use: info(algorithm).key_length and the like; parse_algorithm("aes128-gcm16") for configuration;
// max_inner_length(...) for the MTU to tell a sender.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace homeport::ipsec {

enum class Algorithm : std::uint8_t {
    kAes128Gcm16,  ///< RFC 4106
    kAes192Gcm16,
    kAes256Gcm16,
    kChacha20Poly1305,  ///< RFC 7634
    kAes128CbcSha1_96,  ///< RFC 3602 with RFC 2404
    kAes192CbcSha1_96,
    kAes256CbcSha1_96,
    kAes128CbcSha256_128,  ///< RFC 3602 with RFC 4868
    kAes192CbcSha256_128,
    kAes256CbcSha256_128,
    kAes128CbcSha384_192,
    kAes192CbcSha384_192,
    kAes256CbcSha384_192,
    kAes128CbcSha512_256,
    kAes192CbcSha512_256,
    kAes256CbcSha512_256,
    kNullSha1_96,  ///< RFC 2410 with RFC 2404
    kNullSha256_128,
    kNullSha384_192,
    kNullSha512_256,
};
inline constexpr std::size_t kAlgorithmCount = 20;

enum class Cipher : std::uint8_t { kNull, kAesCbc, kAesGcm, kChacha20Poly1305 };
enum class Integrity : std::uint8_t { kAead, kHmacSha1, kHmacSha256, kHmacSha384, kHmacSha512 };

/// All lengths in octets.
struct AlgorithmInfo {
    Algorithm algorithm;
    std::string_view name;
    Cipher cipher;
    Integrity integrity;
    std::uint8_t key_length;   ///< of the encryption key, without salt
    std::uint8_t salt_length;  ///< follows the key in the keying material (RFC 4106 section 8.1)
    std::uint8_t integrity_key_length;  ///< 0 for AEAD
    std::uint8_t iv_length;             ///< on the wire
    std::uint8_t block;                 ///< the encrypted part is a multiple of this
    std::uint8_t icv_length;

    /// The cipher breaks when an IV repeats under one key: no static keys.
    [[nodiscard]] constexpr bool is_counter_mode() const { return integrity == Integrity::kAead; }
    /// Octets of keying material for the cipher: key and salt.
    [[nodiscard]] constexpr std::size_t encryption_keying_length() const {
        return std::size_t{key_length} + salt_length;
    }
};

[[nodiscard]] const AlgorithmInfo& info(Algorithm algorithm);
[[nodiscard]] std::span<const AlgorithmInfo> all_algorithms();
/// By the name in the table, e.g. "aes128-gcm16", "aes128-cbc-hmac-sha1-96"; nothing if unknown.
[[nodiscard]] std::optional<Algorithm> parse_algorithm(std::string_view name);

/// Octets that ESP adds to `payload` octets (the inner packet in tunnel mode, the upper layer in
/// transport mode): SPI, sequence number, IV, padding, pad length, next header, ICV.
[[nodiscard]] std::uint32_t esp_overhead(Algorithm algorithm, std::uint32_t payload);

/// The largest payload whose ESP packet fits into `path_mtu` octets behind `outer_header` octets of
/// IP (and UDP) headers; 0 if none does.
[[nodiscard]] std::uint32_t max_inner_length(Algorithm algorithm, std::uint32_t path_mtu,
                                             std::uint32_t outer_header);

}  // namespace homeport::ipsec
