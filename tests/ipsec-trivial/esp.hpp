// SPDX-License-Identifier: BSD-3-Clause
// ESP (RFC 4303) in the plainest way: one packet, byte vectors, OpenSSL. Sealing and opening know
// nothing of addresses or policies; they turn a payload into an ESP packet and back.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace homeport::trivial {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

/// What RFC 4106, 7634, 3602, 2404, 4868 and 2410 say of an algorithm; lengths in octets.
struct Transform {
    std::string cipher;  ///< OpenSSL's name; empty: NULL encryption
    std::string digest;  ///< OpenSSL's name of the HMAC's hash; empty: the cipher authenticates
    std::size_t key = 0;
    std::size_t salt = 0;
    std::size_t mac_key = 0;
    std::size_t iv = 0;
    std::size_t align = 4;  ///< what the encrypted part is a multiple of
    std::size_t icv = 0;
};
/// "aes128-gcm16", "chacha20-poly1305", "aes256-cbc-hmac-sha1-96", "null-hmac-sha256-128", ...
[[nodiscard]] std::optional<Transform> transform_named(std::string_view name);

/// RFC 4303 section 3.4.3: numbers that were authenticated, in a set.
class Replay {
  public:
    /// `size` 0: no check. `next`: the lowest number that may come.
    Replay(std::uint64_t size, std::uint64_t next) : size_(size), top_(next - 1), floor_(next) {}

    /// The whole number of a received low half (RFC 4303 appendix A2.2); nothing: below zero.
    [[nodiscard]] std::optional<std::uint64_t> extended(std::uint32_t low) const;
    [[nodiscard]] bool fresh(std::uint64_t number) const;
    void take(std::uint64_t number);

  private:
    std::uint64_t size_;
    std::uint64_t top_;
    std::uint64_t floor_;
    std::set<std::uint64_t> seen_;
};

/// Keys of one SA and what they are used with.
struct Keys {
    Transform transform;
    Bytes key;  ///< without salt
    Bytes salt;
    Bytes mac_key;
    bool extended_sequence = false;
};

/// Octets from SPI to ICV around `payload` octets.
[[nodiscard]] std::size_t sealed_size(const Transform& transform, std::size_t payload);

/// SPI to ICV.
[[nodiscard]] Bytes seal(const Keys& keys, std::uint32_t spi, std::uint64_t sequence, View payload,
                         std::uint8_t next_header);

struct Opened {
    Bytes payload;  ///< TFC padding included
    std::uint8_t next_header = 0;
};
enum class OpenError : std::uint8_t { kLength, kIcv, kPadding };
/// `esp`: from SPI to ICV. kPadding means that the ICV was right.
[[nodiscard]] std::optional<Opened> open(const Keys& keys, std::uint64_t sequence, View esp,
                                         OpenError& error);

}  // namespace homeport::trivial
