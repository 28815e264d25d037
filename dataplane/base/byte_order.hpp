// SPDX-License-Identifier: BSD-3-Clause
// Loads and stores of network byte order integers, and types that hold them.
#pragma once

#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace homeport {

using ByteSpan = std::span<std::uint8_t>;
using ConstByteSpan = std::span<const std::uint8_t>;

static_assert(std::endian::native == std::endian::little, "written for little-endian hosts");

constexpr std::uint16_t byte_swap(std::uint16_t value) {
    return __builtin_bswap16(value);
}
constexpr std::uint32_t byte_swap(std::uint32_t value) {
    return __builtin_bswap32(value);
}
constexpr std::uint64_t byte_swap(std::uint64_t value) {
    return __builtin_bswap64(value);
}

/// An unsigned integer kept in network byte order, with the alignment of a byte, so that it can be
/// a member of a struct laid over wire bytes. Reading it as a number takes an explicit host().
template <class T>
class BigEndian {
  public:
    constexpr BigEndian() = default;
    constexpr explicit BigEndian(T host_value) {
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            bytes_[i] = static_cast<std::uint8_t>(host_value >> (8 * (sizeof(T) - 1 - i)));
        }
    }
    /// The value in host byte order.
    [[nodiscard]] T host() const {
        T raw;
        std::memcpy(&raw, bytes_, sizeof raw);
        return byte_swap(raw);
    }
    friend constexpr bool operator==(const BigEndian&, const BigEndian&) = default;

  private:
    std::uint8_t bytes_[sizeof(T)] = {};
};

using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
using Be64 = BigEndian<std::uint64_t>;
static_assert(sizeof(Be64) == 8 && alignof(Be64) == 1);

/// Reads a network byte order integer at `bytes`, which need not be aligned; returns host order.
inline std::uint16_t load_be16(const std::uint8_t* bytes) {
    std::uint16_t raw;
    std::memcpy(&raw, bytes, sizeof raw);
    return byte_swap(raw);
}
inline std::uint32_t load_be32(const std::uint8_t* bytes) {
    std::uint32_t raw;
    std::memcpy(&raw, bytes, sizeof raw);
    return byte_swap(raw);
}
inline std::uint64_t load_be64(const std::uint8_t* bytes) {
    std::uint64_t raw;
    std::memcpy(&raw, bytes, sizeof raw);
    return byte_swap(raw);
}

/// Writes `value` (host order) at `bytes` in network byte order.
inline void store_be16(std::uint8_t* bytes, std::uint16_t value) {
    const std::uint16_t raw = byte_swap(value);
    std::memcpy(bytes, &raw, sizeof raw);
}
inline void store_be32(std::uint8_t* bytes, std::uint32_t value) {
    const std::uint32_t raw = byte_swap(value);
    std::memcpy(bytes, &raw, sizeof raw);
}
inline void store_be64(std::uint8_t* bytes, std::uint64_t value) {
    const std::uint64_t raw = byte_swap(value);
    std::memcpy(bytes, &raw, sizeof raw);
}

}  // namespace homeport
