// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/address.hpp"

#include <arpa/inet.h>

#include <charconv>

namespace homeport {

namespace {

template <class Address>
std::optional<Address> parse_with(int family, std::string_view text) {
    const std::string terminated(text);
    Address address;
    if (inet_pton(family, terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
    return address;
}

}  // namespace

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) {
    return parse_with<Ipv4Address>(AF_INET, text);
}

std::string Ipv4Address::to_string() const {
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, bytes.data(), text, sizeof text);
}

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) {
    return parse_with<Ipv6Address>(AF_INET6, text);
}

std::string Ipv6Address::to_string() const {
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    if (text.size() != 17) return std::nullopt;
    MacAddress mac;
    for (std::size_t i = 0; i < 6; ++i) {
        const char* first = text.data() + 3 * i;
        if (i > 0 && first[-1] != ':') return std::nullopt;
        const auto [end, error] = std::from_chars(first, first + 2, mac.bytes[i], 16);
        if (error != std::errc{} || end != first + 2) return std::nullopt;
    }
    return mac;
}

std::string MacAddress::to_string() const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        if (!text.empty()) text += ':';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

template <class Address>
Prefix<Address> Prefix<Address>::masked() const {
    Prefix result = *this;
    for (unsigned i = 0; i < sizeof(Address); ++i) {
        const unsigned first_bit = i * 8;
        if (first_bit >= length) {
            result.address.bytes[i] = 0;
        } else if (length - first_bit < 8) {
            result.address.bytes[i] &= static_cast<std::uint8_t>(0xff00u >> (length - first_bit));
        }
    }
    return result;
}

template <class Address>
std::optional<Prefix<Address>> Prefix<Address>::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto address = Address::parse(text.substr(0, slash));
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), length, 10);
    if (!address || error != std::errc{} || end != digits.data() + digits.size() ||
        length > kMaxLength) {
        return std::nullopt;
    }
    return Prefix{*address, static_cast<std::uint8_t>(length)};
}

template <class Address>
std::string Prefix<Address>::to_string() const {
    return address.to_string() + "/" + std::to_string(length);
}

template struct Prefix<Ipv4Address>;
template struct Prefix<Ipv6Address>;

std::optional<IpAddress> parse_ip_address(std::string_view text) {
    if (const auto v6 = Ipv6Address::parse(text)) return *v6;
    if (const auto v4 = Ipv4Address::parse(text)) return *v4;
    return std::nullopt;
}

std::string to_string(const IpAddress& address) {
    return std::visit([](const auto& a) { return a.to_string(); }, address);
}

}  // namespace homeport
