// SPDX-License-Identifier: BSD-3-Clause
// Shared by the tests of the kernel's mirror.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/netlink/message.hpp"
#include "controlplane/netlink/mirror_sink.hpp"

namespace homeport::netlink::test {

inline IpAddress ip(const char* text) {
    const auto address = parse_ip_address(text);
    if (!address) ADD_FAILURE() << text;
    return address.value_or(IpAddress{});
}
inline MacAddress mac(const char* text) {
    return MacAddress::parse(text).value();
}

/// Keeps the picture that it was told, and complains about what is no difference.
class Recorder : public MirrorSink {
  public:
    void link_changed(std::uint16_t port, const Link& link) override;
    void address_set(std::uint16_t port, const IpAddress& address,
                     std::uint8_t prefix_length) override;
    void address_removed(std::uint16_t port, const IpAddress& address) override;
    void route_set(const Route& route) override;
    void route_removed(const IpAddress& prefix, std::uint8_t prefix_length) override;
    void neighbour_set(std::uint16_t port, const IpAddress& address,
                       const MacAddress& mac) override;
    void neighbour_removed(std::uint16_t port, const IpAddress& address) override;
    void in_sync() override { ++syncs; }

    [[nodiscard]] bool has_address(std::uint16_t port, const char* address) const;
    /// "type port next-hop mtu" of a prefix, "" when there is none.
    [[nodiscard]] std::string route(const char* prefix) const;
    [[nodiscard]] std::string neighbour(std::uint16_t port, const char* address) const;
    /// The whole picture, a line an entry.
    [[nodiscard]] std::string picture() const;

    std::map<std::uint16_t, Link> links;
    std::map<std::pair<std::uint16_t, IpAddress>, std::uint8_t> addresses;
    std::map<std::pair<IpAddress, std::uint8_t>, Route> routes;
    std::map<std::pair<std::uint16_t, IpAddress>, MacAddress> neighbours;
    int syncs = 0;
    std::uint64_t told = 0;
};

/// Writes netlink messages as the kernel does.
class Builder {
  public:
    template <class Header>
    Builder(std::uint16_t type, const Header& header, std::uint16_t flags = 0) {
        words_.resize(4);
        append(&header, sizeof header);
        set(type, flags);
    }
    Builder& attribute(std::uint16_t type, const void* octets, std::size_t length);
    Builder& number(std::uint16_t type, std::uint32_t value) {
        return attribute(type, &value, sizeof value);
    }
    Builder& octet(std::uint16_t type, std::uint8_t value) { return attribute(type, &value, 1); }
    Builder& text(std::uint16_t type, const std::string& value) {
        return attribute(type, value.c_str(), value.size() + 1);
    }
    Builder& address(std::uint16_t type, const char* text);

    [[nodiscard]] const nlmsghdr& message() const {
        return *reinterpret_cast<const nlmsghdr*>(words_.data());
    }
    [[nodiscard]] ConstByteSpan octets() const;

  private:
    void append(const void* octets, std::size_t length);
    void set(std::uint16_t type, std::uint16_t flags);
    std::vector<std::uint32_t> words_;
    std::size_t length_ = 16;
};

}  // namespace homeport::netlink::test
