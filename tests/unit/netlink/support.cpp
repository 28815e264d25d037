// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/netlink/support.hpp"

#include <linux/netlink.h>

#include <sstream>

namespace homeport::netlink::test {

void Recorder::link_changed(std::uint16_t port, const Link& link) {
    ++told;
    EXPECT_TRUE(!links.contains(port) || links[port] != link) << "told twice: link " << link.name;
    links[port] = link;
}
void Recorder::address_set(std::uint16_t port, const IpAddress& address,
                           std::uint8_t prefix_length) {
    ++told;
    const auto known = addresses.find({port, address});
    EXPECT_TRUE(known == addresses.end() || known->second != prefix_length)
        << "told twice: " << to_string(address);
    addresses[{port, address}] = prefix_length;
}
void Recorder::address_removed(std::uint16_t port, const IpAddress& address) {
    ++told;
    EXPECT_EQ(addresses.erase({port, address}), 1u) << to_string(address);
}
void Recorder::route_set(const Route& route) {
    ++told;
    const auto known = routes.find({route.prefix, route.prefix_length});
    EXPECT_TRUE(known == routes.end() || known->second != route)
        << "told twice: " << to_string(route.prefix);
    routes[{route.prefix, route.prefix_length}] = route;
}
void Recorder::route_removed(const IpAddress& prefix, std::uint8_t prefix_length) {
    ++told;
    EXPECT_EQ(routes.erase({prefix, prefix_length}), 1u) << to_string(prefix);
}
void Recorder::neighbour_set(std::uint16_t port, const IpAddress& address,
                             const MacAddress& mac_address) {
    ++told;
    const auto known = neighbours.find({port, address});
    EXPECT_TRUE(known == neighbours.end() || known->second != mac_address)
        << "told twice: " << to_string(address);
    neighbours[{port, address}] = mac_address;
}
void Recorder::neighbour_removed(std::uint16_t port, const IpAddress& address) {
    ++told;
    EXPECT_EQ(neighbours.erase({port, address}), 1u) << to_string(address);
}

bool Recorder::has_address(std::uint16_t port, const char* address) const {
    return addresses.contains({port, ip(address)});
}

namespace {

std::string text_of(const Route& route) {
    static constexpr const char* kNames[] = {"unicast", "kernel", "blackhole", "unreachable"};
    std::ostringstream text;
    text << kNames[static_cast<int>(route.type)];
    if (route.type == channel::RouteType::kUnicast) {
        text << ' ' << route.port << ' '
             << (route.next_hop ? to_string(*route.next_hop) : std::string("on-link"));
    }
    if (route.mtu != 0) text << " mtu " << route.mtu;
    return text.str();
}

}  // namespace

std::string Recorder::route(const char* prefix) const {
    const std::string text(prefix);
    const auto slash = text.find('/');
    const auto length = static_cast<std::uint8_t>(std::stoi(text.substr(slash + 1)));
    const auto found = routes.find({ip(text.substr(0, slash).c_str()), length});
    return found == routes.end() ? "" : text_of(found->second);
}

std::string Recorder::neighbour(std::uint16_t port, const char* address) const {
    const auto found = neighbours.find({port, ip(address)});
    return found == neighbours.end() ? "" : found->second.to_string();
}

std::string Recorder::picture() const {
    std::ostringstream text;
    for (const auto& [port, link] : links) {
        if (!link.present) continue;
        text << "link " << port << ' ' << link.name << ' ' << link.index << ' ' << link.up
             << link.carrier << ' ' << link.mtu << ' ' << link.mac.to_string() << '\n';
    }
    for (const auto& [key, length] : addresses) {
        text << "address " << key.first << ' ' << to_string(key.second) << '/' << int{length}
             << '\n';
    }
    for (const auto& [key, route] : routes) {
        text << "route " << to_string(key.first) << '/' << int{key.second} << ' ' << text_of(route)
             << '\n';
    }
    for (const auto& [key, mac_address] : neighbours) {
        text << "neighbour " << key.first << ' ' << to_string(key.second) << ' '
             << mac_address.to_string() << '\n';
    }
    return text.str();
}

void Builder::append(const void* octets, std::size_t length) {
    words_.resize((length_ + length + 3) / 4);
    std::memcpy(reinterpret_cast<char*>(words_.data()) + length_, octets, length);
    length_ = words_.size() * 4;
}
void Builder::set(std::uint16_t type, std::uint16_t flags) {
    auto* header = reinterpret_cast<nlmsghdr*>(words_.data());
    header->nlmsg_len = static_cast<std::uint32_t>(length_);
    header->nlmsg_type = type;
    header->nlmsg_flags = flags;
}
Builder& Builder::attribute(std::uint16_t type, const void* octets, std::size_t length) {
    std::vector<char> bytes(sizeof(nlattr) + length);
    const nlattr header{static_cast<std::uint16_t>(bytes.size()), type};
    std::memcpy(bytes.data(), &header, sizeof header);
    if (length != 0) std::memcpy(bytes.data() + sizeof header, octets, length);
    append(bytes.data(), bytes.size());
    words_[0] = static_cast<std::uint32_t>(length_);
    return *this;
}
Builder& Builder::address(std::uint16_t type, const char* text) {
    std::visit([&](const auto& a) { attribute(type, a.bytes.data(), a.bytes.size()); }, ip(text));
    return *this;
}
ConstByteSpan Builder::octets() const {
    return {reinterpret_cast<const std::uint8_t*>(words_.data()), words_.size() * 4};
}

}  // namespace homeport::netlink::test
