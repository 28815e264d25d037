// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport {

/// Adds `bytes` to a running ones' complement sum. Every span but the last must have even length.
[[nodiscard]] std::uint64_t checksum_add(std::uint64_t sum, ConstByteSpan bytes);

/// Folds a running sum and complements it. The result is the value to store with store_be16.
[[nodiscard]] constexpr std::uint16_t checksum_finish(std::uint64_t sum) {
    sum = (sum & 0xffff'ffff) + (sum >> 32);
    // 33 bits; each fold takes what the one before it carried.
    for (int fold = 0; fold < 3; ++fold) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

/// Checksum over `bytes`; 0 when `bytes` holds a correct checksum field.
[[nodiscard]] inline std::uint16_t internet_checksum(ConstByteSpan bytes) {
    return checksum_finish(checksum_add(0, bytes));
}

/// Pseudo-header sums of RFC 8200 section 8.1 and RFC 768; `length` is the upper-layer length.
[[nodiscard]] std::uint64_t pseudo_header_sum(const Ipv6Address& source,
                                              const Ipv6Address& destination, std::uint32_t length,
                                              std::uint8_t next_header);
[[nodiscard]] std::uint64_t pseudo_header_sum(const Ipv4Address& source,
                                              const Ipv4Address& destination, std::uint16_t length,
                                              std::uint8_t protocol);

/// New checksum field after a 16-bit word under it changed (RFC 1624 equation 3); host order.
[[nodiscard]] constexpr std::uint16_t checksum_update(std::uint16_t checksum,
                                                      std::uint16_t old_word,
                                                      std::uint16_t new_word) {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
    sum += static_cast<std::uint16_t>(~old_word);
    sum += new_word;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

}  // namespace homeport
