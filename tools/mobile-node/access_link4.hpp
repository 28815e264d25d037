// SPDX-License-Identifier: BSD-3-Clause
// Sockets for IPv4 on one access interface: the wire side of a mobile node in IPv4 networks.
//
// UDP sockets for the tunnel of RFC 5555, whose port Z is any, and for ESP in UDP (RFC 3948); each
// has its own mapping in a NAT. Raw sockets for IPv6 and IPv4 in IPv4 and for ESP. What goes out is
// described by a whole IPv4 packet, and the kernel makes the headers again from the same values:
// so it fragments where the path needs it, and sets DF where the packet fits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tools/mobile-node/access_link.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class AccessLink4 {
  public:
    /// Octets that receive() leaves free at the start of the buffer: IPv4 and UDP headers.
    static constexpr std::size_t kHeaderRoom = 28;

    struct Options {
        std::vector<IpProtocol> protocols{IpProtocol::kIpv6, IpProtocol::kIpv4, IpProtocol::kEsp};
        bool esp_in_udp = true;  // a socket for UDP 4500
    };
    [[nodiscard]] static Result<AccessLink4> open(int index, const std::string& name,
                                                  const Options& options);
    [[nodiscard]] static Result<AccessLink4> open(int index, const std::string& name) {
        return open(index, name, Options{});
    }

    /// The sockets to wait on, non-blocking; owned here.
    [[nodiscard]] std::vector<int> descriptors() const;
    /// Z, and ours for ESP in UDP: 4500, or any if that is taken. Host order.
    [[nodiscard]] std::uint16_t udp_port() const { return udp_port_; }
    [[nodiscard]] std::uint16_t esp_port() const { return esp_port_; }

    /// Takes the next packet from `descriptor`: a whole IPv4 packet is put at the start of
    /// `buffer`, the headers before UDP payload made anew from what the kernel tells. Gives its
    /// length; 0: nothing there.
    [[nodiscard]] Result<std::size_t> receive(int descriptor, ByteSpan buffer);

    /// Sends a whole IPv4 packet from one of our addresses: protocol 41, 4, 50, or 17 from one of
    /// the two ports; with a UDP checksum if it has one.
    [[nodiscard]] SendResult send(ConstByteSpan packet);
    /// The one octet of RFC 3948 section 2.3, from the port for ESP.
    [[nodiscard]] SendResult send_keepalive(const Ipv4Address& source,
                                            const Ipv4Address& destination);

    /// As AccessLink's. What is quoted begins behind the outer headers.
    [[nodiscard]] std::optional<PacketTooBig> receive_error(int descriptor);
    [[nodiscard]] unsigned path_mtu(const Ipv4Address& source,
                                    const Ipv4Address& destination) const;

  private:
    struct Socket {
        std::uint8_t protocol = 0;
        std::uint16_t port = 0;  // UDP; host order
        FileDescriptor fd;
    };
    AccessLink4(int index, std::string name) : index_(index), name_(std::move(name)) {}
    [[nodiscard]] Result<FileDescriptor> open_socket(int type, std::uint8_t protocol) const;
    [[nodiscard]] Result<void> open_raw(std::uint8_t protocol);
    [[nodiscard]] Result<std::uint16_t> open_udp(std::uint16_t wanted);
    [[nodiscard]] Socket* socket_of(ConstByteSpan packet);
    [[nodiscard]] bool set_udp_checksum(int descriptor, bool wanted);

    int index_;
    std::string name_;
    std::vector<Socket> sockets_;
    std::uint16_t udp_port_ = 0;
    std::uint16_t esp_port_ = 0;
    std::optional<bool> udp_checksum_;  // what the socket for Z does at present
};

}  // namespace homeport::mobile_node
