// SPDX-License-Identifier: BSD-3-Clause
// IP and link-layer addresses and prefixes. All bytes are in network order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/base/byte_order.hpp"

namespace homeport {

struct Ipv4Address {
    std::array<std::uint8_t, 4> bytes{};

    friend auto operator<=>(const Ipv4Address&, const Ipv4Address&) = default;

    [[nodiscard]] static Ipv4Address load(const std::uint8_t* wire) {
        Ipv4Address address;
        std::memcpy(address.bytes.data(), wire, 4);
        return address;
    }
    void store(std::uint8_t* wire) const { std::memcpy(wire, bytes.data(), 4); }
    /// Dotted quad, or nothing if `text` is not one.
    [[nodiscard]] static std::optional<Ipv4Address> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    [[nodiscard]] std::uint32_t host() const { return load_be32(bytes.data()); }
    [[nodiscard]] bool is_unspecified() const { return host() == 0; }
    [[nodiscard]] bool is_loopback() const { return bytes[0] == 127; }
    [[nodiscard]] bool is_multicast() const { return (bytes[0] & 0xf0) == 0xe0; }
    [[nodiscard]] bool is_broadcast() const { return host() == 0xffffffff; }
    [[nodiscard]] bool is_link_local() const { return bytes[0] == 169 && bytes[1] == 254; }
    /// Usable as the address of one node: not 0/8, loopback, multicast, class E or broadcast.
    [[nodiscard]] bool is_unicast() const {
        return bytes[0] != 0 && !is_loopback() && bytes[0] < 224;
    }
};

struct Ipv6Address {
    std::array<std::uint8_t, 16> bytes{};

    friend auto operator<=>(const Ipv6Address&, const Ipv6Address&) = default;

    [[nodiscard]] static Ipv6Address load(const std::uint8_t* wire) {
        Ipv6Address address;
        std::memcpy(address.bytes.data(), wire, 16);
        return address;
    }
    void store(std::uint8_t* wire) const { std::memcpy(wire, bytes.data(), 16); }
    /// RFC 4291 text form without a zone, or nothing if `text` is not one.
    [[nodiscard]] static std::optional<Ipv6Address> parse(std::string_view text);
    /// RFC 5952 text form.
    [[nodiscard]] std::string to_string() const;

    /// The upper and lower half as numbers of host order: for hashing and prefix arithmetic.
    [[nodiscard]] std::uint64_t high() const { return load_be64(bytes.data()); }
    [[nodiscard]] std::uint64_t low() const { return load_be64(bytes.data() + 8); }

    [[nodiscard]] bool is_unspecified() const { return high() == 0 && low() == 0; }
    [[nodiscard]] bool is_loopback() const { return high() == 0 && low() == 1; }
    [[nodiscard]] bool is_multicast() const { return bytes[0] == 0xff; }
    /// Multicast scope (RFC 4291 section 2.7), valid only if is_multicast().
    [[nodiscard]] std::uint8_t multicast_scope() const { return bytes[1] & 0x0f; }
    [[nodiscard]] bool is_link_local() const {
        return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    }
    [[nodiscard]] bool is_v4_mapped() const {
        return high() == 0 && load_be32(bytes.data() + 8) == 0xffff;
    }
    /// ::/96 without :: and ::1 (deprecated by RFC 4291, never legal on the wire).
    [[nodiscard]] bool is_v4_compatible() const {
        return high() == 0 && load_be32(bytes.data() + 8) == 0 && low() > 1;
    }
    /// "Unicast routable" of RFC 6275 section 2.1: one node's address beyond link scope.
    [[nodiscard]] bool is_unicast_routable() const {
        return !is_unspecified() && !is_loopback() && !is_multicast() && !is_link_local() &&
               !is_v4_mapped() && !is_v4_compatible();
    }
    /// The solicited-node multicast address of this address (RFC 4291 section 2.7.1).
    [[nodiscard]] Ipv6Address solicited_node() const {
        Ipv6Address group{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0}};
        std::memcpy(group.bytes.data() + 13, bytes.data() + 13, 3);
        return group;
    }
};

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    friend auto operator<=>(const MacAddress&, const MacAddress&) = default;

    [[nodiscard]] static MacAddress load(const std::uint8_t* wire) {
        MacAddress address;
        std::memcpy(address.bytes.data(), wire, 6);
        return address;
    }
    void store(std::uint8_t* wire) const { std::memcpy(wire, bytes.data(), 6); }
    /// Six colon separated octets of two hex digits.
    [[nodiscard]] static std::optional<MacAddress> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] bool is_multicast() const { return (bytes[0] & 1) != 0; }
};

/// Group address of an IPv6 multicast destination on Ethernet (RFC 2464 section 7).
inline MacAddress ethernet_group_of(const Ipv6Address& group) {
    MacAddress mac{{0x33, 0x33, 0, 0, 0, 0}};
    std::memcpy(mac.bytes.data() + 2, group.bytes.data() + 12, 4);
    return mac;
}

/// `length` leading bits of `address`; the rest of the bits are kept as given, and ignored.
template <class Address>
struct Prefix {
    Address address{};
    std::uint8_t length = 0;

    static constexpr std::uint8_t kMaxLength = sizeof(Address) * 8;

    friend auto operator<=>(const Prefix&, const Prefix&) = default;

    [[nodiscard]] bool contains(const Address& other) const {
        const unsigned whole = length / 8;
        if (std::memcmp(address.bytes.data(), other.bytes.data(), whole) != 0) return false;
        const unsigned rest = length % 8;
        if (rest == 0) return true;
        const auto mask = static_cast<std::uint8_t>(0xff00u >> rest);
        return ((address.bytes[whole] ^ other.bytes[whole]) & mask) == 0;
    }
    /// The same prefix with all bits behind `length` cleared.
    [[nodiscard]] Prefix masked() const;
    /// "address/length"; a missing length, or one that is too long, gives nothing.
    [[nodiscard]] static std::optional<Prefix> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
};

using Ipv4Prefix = Prefix<Ipv4Address>;
using Ipv6Prefix = Prefix<Ipv6Address>;
extern template struct Prefix<Ipv4Address>;
extern template struct Prefix<Ipv6Address>;

/// An address of either family.
using IpAddress = std::variant<Ipv6Address, Ipv4Address>;
[[nodiscard]] std::optional<IpAddress> parse_ip_address(std::string_view text);
[[nodiscard]] std::string to_string(const IpAddress& address);

}  // namespace homeport

template <>
struct std::hash<homeport::Ipv6Address> {
    std::size_t operator()(const homeport::Ipv6Address& address) const noexcept {
        // Two rounds of a 64-bit mix: home addresses of one prefix differ in few bits.
        std::uint64_t x = address.high() * 0x9e3779b97f4a7c15u ^ address.low();
        x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
        return x ^ (x >> 29);
    }
};

template <>
struct std::hash<homeport::Ipv4Address> {
    std::size_t operator()(const homeport::Ipv4Address& address) const noexcept {
        const std::uint64_t x = address.host() * 0x9e3779b97f4a7c15u;
        return x ^ (x >> 32);
    }
};
