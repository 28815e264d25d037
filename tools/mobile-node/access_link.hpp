// SPDX-License-Identifier: BSD-3-Clause
// Raw sockets on one access interface: the wire side of the mobile node.
//
// There is one socket for each protocol that the home agent sends us: IPv6 and IPv4 in IPv6 (P2,
// P14), routing header (P6), ESP (P6 at home), mobility header. The kernel reassembles fragments
// before it hands them over, does neighbor discovery, routing by the interface's own routes, and
// fragmentation on the way out. That a raw socket takes the protocol keeps the kernel from
// answering "unrecognized next header"; for the routing header see host_network.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

/// An ICMPv6 Packet Too Big about something that we sent through the tunnel.
struct PacketTooBig {
    std::uint32_t mtu = 0;
    /// What was quoted of the inner packet, from its IP header on.
    std::vector<std::uint8_t> inner;
};

enum class SendResult : std::uint8_t { kSent, kTooBig, kFailed };

class AccessLink {
  public:
    /// Octets that receive() leaves free at the start of the buffer.
    static constexpr std::size_t kHeaderRoom = 48;  // IPv6 and UDP

    /// With `icmp_errors` also Packet Too Big and Parameter Problem are received: about packets
    /// with a Home Address option, of which the kernel's sockets know nothing.
    [[nodiscard]] static Result<AccessLink> open(int index, const std::string& name,
                                                 bool icmp_errors);

    [[nodiscard]] int index() const { return index_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    /// The sockets to wait on, non-blocking; owned here.
    [[nodiscard]] std::vector<int> descriptors() const;

    /// Takes the next packet from `descriptor`: a whole IPv6 packet is put at the start of
    /// `buffer`, its header made anew from what the kernel tells (the flow label is lost), also
    /// that of UDP, whose checksum the kernel has verified. Gives its length; 0: nothing there.
    [[nodiscard]] Result<std::size_t> receive(int descriptor, ByteSpan buffer);

    /// Whether packets in UDP 4191 can be sent and received (P15): the port was free.
    [[nodiscard]] bool has_udp() const { return socket_of(number(IpProtocol::kUdp)) != nullptr; }

    /// Sends a whole IPv6 packet from one of our addresses. Encapsulated packets (next header 41
    /// and 4, UDP from port 4191) are fragmented where the path needs it, others are not.
    [[nodiscard]] SendResult send(ConstByteSpan packet);

    /// Takes the next error report from `descriptor`; nothing if there is none. Errors other than
    /// Packet Too Big are taken off and skipped.
    [[nodiscard]] std::optional<PacketTooBig> receive_error(int descriptor);

    /// The path MTU towards `destination` that the kernel knows, from `source`; 0 if none.
    [[nodiscard]] unsigned path_mtu(const Ipv6Address& source,
                                    const Ipv6Address& destination) const;

  private:
    struct Socket {
        std::uint8_t protocol = 0;
        FileDescriptor fd;
    };
    AccessLink(int index, std::string name) : index_(index), name_(std::move(name)) {}
    [[nodiscard]] Result<FileDescriptor> open_socket(std::uint8_t protocol) const;
    [[nodiscard]] Result<FileDescriptor> open_udp() const;
    [[nodiscard]] Result<void> prepare(int descriptor) const;
    [[nodiscard]] const Socket* socket_of(std::uint8_t protocol) const;
    [[nodiscard]] SendResult send_payload(int descriptor, ConstByteSpan packet,
                                          std::size_t headers);
    [[nodiscard]] SendResult send_whole(ConstByteSpan packet);

    int index_;
    std::string name_;
    std::vector<Socket> receivers_;
    FileDescriptor sender_;  // IPV6_HDRINCL
};

}  // namespace homeport::mobile_node
