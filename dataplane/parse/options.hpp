// SPDX-License-Identifier: BSD-3-Clause
// Options of a hop-by-hop or destination options header (RFC 8200 section 4.2).
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.hpp"

namespace homeport::parse {

enum class OptionType : std::uint8_t {
    kPad1 = 0x00,
    kPadN = 0x01,
    kTunnelEncapsulationLimit = 0x04,  // RFC 2473 section 4.1.1
    kRouterAlert = 0x05,               // RFC 2711
    kHomeAddress = 0xc9,               // RFC 6275 section 6.3
};

constexpr std::uint8_t number(OptionType type) {
    return static_cast<std::uint8_t>(type);
}

/// Options of one header, each Pad1 included, that are looked at. A longer list is malformed (RFC
/// 8504 section 5.3 allows such limits).
inline constexpr unsigned kMaxOptions = 64;

struct Option {
    std::uint8_t type = 0;
    std::uint8_t length = 0;   // octets of data; 0 for Pad1
    std::uint16_t offset = 0;  // of the type octet, from the start of the extension header

    [[nodiscard]] bool is_padding() const { return type <= number(OptionType::kPadN); }
};

/// Calls `visit(const Option&)` for each option of `header`, a whole extension header. False if an
/// option does not fit into the header or there are too many.
template <class Visitor>
[[nodiscard]] bool for_each_option(ConstByteSpan header, Visitor&& visit) {
    std::size_t at = 2;
    for (unsigned count = 0; at < header.size(); ++count) {
        if (count == kMaxOptions) return false;
        Option option{header[at], 0, static_cast<std::uint16_t>(at)};
        if (option.type == number(OptionType::kPad1)) {
            ++at;
        } else {
            if (header.size() - at < 2) return false;
            option.length = header[at + 1];
            at += std::size_t{2} + option.length;
            if (at > header.size()) return false;
        }
        visit(option);
    }
    return true;
}

}  // namespace homeport::parse
