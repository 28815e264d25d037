// SPDX-License-Identifier: BSD-3-Clause
// The link layer of one access interface: what goes to a foreign agent and comes from it, agent
// discovery, and packets that leave with a home address as their source.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class AgentLink {
  public:
    /// What a frame held, without its link-layer header.
    struct Received {
        std::size_t length = 0;  // octets of the IPv4 packet; 0: nothing there
        MacAddress source;
    };
    [[nodiscard]] static Result<AgentLink> open(int index, const std::string& name);

    /// Non-blocking; owned here.
    [[nodiscard]] int descriptor() const { return packets_.get(); }
    /// Takes advertisements, and packets to one of two home addresses; 0.0.0.0: none. Everything
    /// else stays with the kernel alone.
    [[nodiscard]] Result<void> set_filter(const Ipv4Address& home, const Ipv4Address& external);
    [[nodiscard]] Received receive(ByteSpan buffer);
    /// A whole IPv4 packet to a station, or to all.
    [[nodiscard]] bool send(ConstByteSpan packet, const MacAddress& to);
    /// Tells all stations of the link that `address` is here (RFC 5944 section 4.6).
    [[nodiscard]] bool announce(const Ipv4Address& address, const MacAddress& mac);
    /// The same by the kernel's routes for this interface, whatever its source.
    [[nodiscard]] bool send_native(ConstByteSpan packet);

  private:
    AgentLink(int index, FileDescriptor packets, FileDescriptor raw)
        : index_(index), packets_(std::move(packets)), raw_(std::move(raw)) {}

    int index_;
    FileDescriptor packets_;
    FileDescriptor raw_;
};

}  // namespace homeport::mobile_node
