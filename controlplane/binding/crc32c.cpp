// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/crc32c.hpp"

#include <array>
#include <cstring>

namespace homeport::binding {

namespace {

constexpr auto kCrcTable = [] {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
        tables[0][i] = crc;
    }
    for (std::size_t t = 1; t < tables.size(); ++t) {
        for (std::size_t i = 0; i < 256; ++i) {
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
        }
    }
    return tables;
}();

}  // namespace

std::uint32_t crc32c(ConstByteSpan bytes) {
    std::uint32_t crc = 0xffffffff;
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data() + at, 8);
        word ^= crc;  // little-endian, as every CPU that this runs on
        crc = 0;
        for (std::size_t i = 0; i < 8; ++i) crc ^= kCrcTable[7 - i][word >> (8 * i) & 0xff];
    }
    for (; at < bytes.size(); ++at) crc = crc >> 8 ^ kCrcTable[0][(crc ^ bytes[at]) & 0xff];
    return ~crc;
}

}  // namespace homeport::binding
