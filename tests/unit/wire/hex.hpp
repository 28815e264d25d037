// SPDX-License-Identifier: BSD-3-Clause
// Hexadecimal text to bytes and back, and address literals, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::test {

inline std::vector<std::uint8_t> from_hex(std::string_view text) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(
            static_cast<std::uint8_t>(std::stoul(std::string{text.substr(i, 2)}, nullptr, 16)));
    }
    return bytes;
}

inline std::string to_hex(const std::vector<std::uint8_t>& bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

inline Ipv6Address v6(std::string_view text) {
    return Ipv6Address::parse(text).value();
}
inline Ipv4Address v4(std::string_view text) {
    return Ipv4Address::parse(text).value();
}
inline MacAddress mac(std::string_view text) {
    return MacAddress::parse(text).value();
}
inline Ipv6Prefix prefix6(std::string_view text) {
    return Ipv6Prefix::parse(text).value();
}

}  // namespace homeport::test
