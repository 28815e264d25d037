// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/checksum.hpp"

namespace homeport {

std::uint64_t checksum_add(std::uint64_t sum, ConstByteSpan bytes) {
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    // 32-bit big-endian words into 64 bits: cannot overflow for any IP packet.
    for (; left >= 4; left -= 4, at += 4) sum += load_be32(at);
    if (left >= 2) {
        sum += std::uint64_t{load_be16(at)};
        left -= 2;
        at += 2;
    }
    if (left == 1) sum += std::uint64_t{*at} << 8;
    return sum;
}

std::uint64_t pseudo_header_sum(const Ipv6Address& source, const Ipv6Address& destination,
                                std::uint32_t length, std::uint8_t next_header) {
    std::uint64_t sum = checksum_add(0, source.bytes);
    sum = checksum_add(sum, destination.bytes);
    return sum + length + next_header;
}

std::uint64_t pseudo_header_sum(const Ipv4Address& source, const Ipv4Address& destination,
                                std::uint16_t length, std::uint8_t protocol) {
    std::uint64_t sum = checksum_add(0, source.bytes);
    sum = checksum_add(sum, destination.bytes);
    return sum + length + protocol;
}

}  // namespace homeport
