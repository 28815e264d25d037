// SPDX-License-Identifier: BSD-3-Clause
// What a measured packet carries behind its innermost IPv6 header: which one it is and when it was
// sent. Ten octets, so that the smallest frames of P1, P3 and P4 have room.
#pragma once

#include <cstdint>

#include "dataplane/base/byte_order.hpp"

namespace homeport::traffic {

struct Stamp {
    static constexpr std::uint32_t kOctets = 10;

    std::uint16_t trial = 0;
    std::uint32_t number = 0;  // from 0, in the order of sending
    std::uint32_t time = 0;    // low half of the TSC: good for delays of up to a second

    /// Big endian.
    void store(std::uint8_t* to) const {
        store_be16(to, trial);
        store_be32(to + 2, number);
        store_be32(to + 6, time);
    }
    [[nodiscard]] static Stamp load(const std::uint8_t* from) {
        return {
            .trial = load_be16(from), .number = load_be32(from + 2), .time = load_be32(from + 6)};
    }
};

}  // namespace homeport::traffic
