// SPDX-License-Identifier: BSD-3-Clause
// A packet socket on a link that mobile nodes visit: it shows the link address of who sends, and
// reaches a visitor without asking for its link address (RFC 5944 section 4.2.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::foreign_agent {

using mobile_node::Result;

/// One frame: its packet is at the start of the buffer.
struct ReceivedFrame {
    std::size_t length = 0;         // octets of the packet, with padding of the link
    MacAddress source{};            // of the frame
    bool is_group = false;          // broadcast or multicast, else to us
    bool checksum_is_open = false;  // came from this host: checksums are not made yet
};

class VisitedLink {
  public:
    [[nodiscard]] static Result<VisitedLink> open(const std::string& interface);

    /// Non-blocking.
    [[nodiscard]] int descriptor() const { return socket_.get(); }
    /// The next frame to us or to a group; nothing: none is there.
    [[nodiscard]] Result<std::optional<ReceivedFrame>> receive(ByteSpan buffer);
    /// False: the link did not take it.
    [[nodiscard]] bool send(const MacAddress& to, ConstByteSpan packet);

    [[nodiscard]] int index() const { return index_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    /// At present.
    [[nodiscard]] std::size_t mtu() const;
    /// The first IPv4 address of the device, and its prefix.
    [[nodiscard]] const std::optional<Ipv4Prefix>& address() const { return address_; }
    /// The prefix of one of its addresses.
    [[nodiscard]] std::optional<Ipv4Prefix> prefix_of(const Ipv4Address& address) const;

  private:
    VisitedLink(std::string name, int index) : name_(std::move(name)), index_(index) {}

    std::string name_;
    int index_;
    mobile_node::FileDescriptor socket_;
    std::optional<Ipv4Prefix> address_;
};

/// All IPv4 addresses of this host but loopback.
[[nodiscard]] std::vector<Ipv4Address> addresses_of_host();
/// The device that has `address`; empty: none.
[[nodiscard]] std::string device_with(const Ipv4Address& address);
/// Has the kernel hand over packets as they came, not several in one: best effort.
void switch_off_gro(const std::string& interface);

}  // namespace homeport::foreign_agent
