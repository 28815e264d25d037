// SPDX-License-Identifier: BSD-3-Clause
// Addresses of both families as 128-bit numbers, for ranges and hashing.
#pragma once

#include <compare>
#include <cstdint>
#include <variant>

#include "dataplane/base/address.hpp"

namespace homeport::ipsec {

enum class Family : std::uint8_t { kNone, kIpv4, kIpv6 };

/// Host order. An IPv4 address is in the low 32 bits of `low`, below the marker ffff of
/// ::ffff:0:0/96; the family is kept beside it, so that an IPv6 packet with a mapped address is not
/// taken for IPv4.
struct AddressKey {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend auto operator<=>(const AddressKey&, const AddressKey&) = default;

    __extension__ using Number = unsigned __int128;
    [[nodiscard]] Number number() const { return Number{high} << 64 | low; }

    [[nodiscard]] static AddressKey load_ipv6(const std::uint8_t* wire) {
        return {load_be64(wire), load_be64(wire + 8)};
    }
    [[nodiscard]] static AddressKey load_ipv4(const std::uint8_t* wire) {
        return {0, 0x0000'ffff'0000'0000u | load_be32(wire)};
    }
    [[nodiscard]] static AddressKey of(const IpAddress& address) {
        if (const auto* v6 = std::get_if<Ipv6Address>(&address)) return load_ipv6(v6->bytes.data());
        return load_ipv4(std::get<Ipv4Address>(address).bytes.data());
    }
    [[nodiscard]] IpAddress address(Family family) const {
        if (family == Family::kIpv4) {
            Ipv4Address v4;
            store_be32(v4.bytes.data(), static_cast<std::uint32_t>(low));
            return v4;
        }
        Ipv6Address v6;
        store_be64(v6.bytes.data(), high);
        store_be64(v6.bytes.data() + 8, low);
        return v6;
    }
};

[[nodiscard]] inline Family family_of(const IpAddress& address) {
    return std::holds_alternative<Ipv6Address>(address) ? Family::kIpv6 : Family::kIpv4;
}

/// An address with its family; kNone: no address.
struct RemoteKey {
    AddressKey address;
    Family family = Family::kNone;

    friend bool operator==(const RemoteKey&, const RemoteKey&) = default;
    [[nodiscard]] static RemoteKey of(const IpAddress& address) {
        return {AddressKey::of(address), family_of(address)};
    }
};

/// Spreads `x` over all 64 bits.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 32)) * 0xd6e8'feb8'6659'fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8'feb8'6659'fd93u;
    return x ^ (x >> 32);
}

}  // namespace homeport::ipsec
