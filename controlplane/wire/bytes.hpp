// SPDX-License-Identifier: BSD-3-Clause
// Appending network byte order numbers and addresses to a growing message.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

using Bytes = std::vector<std::uint8_t>;

inline void put8(Bytes& out, std::uint8_t value) {
    out.push_back(value);
}
inline void put16(Bytes& out, std::uint16_t value) {
    out.resize(out.size() + 2);
    store_be16(out.data() + out.size() - 2, value);
}
inline void put32(Bytes& out, std::uint32_t value) {
    out.resize(out.size() + 4);
    store_be32(out.data() + out.size() - 4, value);
}
inline void put64(Bytes& out, std::uint64_t value) {
    out.resize(out.size() + 8);
    store_be64(out.data() + out.size() - 8, value);
}
inline void put_bytes(Bytes& out, ConstByteSpan bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void put_zeros(Bytes& out, std::size_t count) {
    out.resize(out.size() + count);
}

}  // namespace homeport::wire
