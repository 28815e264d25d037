// SPDX-License-Identifier: BSD-3-Clause
// Sockets towards the home agents: registration messages on UDP port 434, what comes out of tunnels
// (protocols 4, 47, 55 and tunnel data in UDP), and whole packets that the kernel routes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::foreign_agent {

using mobile_node::Result;

/// A message on UDP port 434 that is no tunnel data.
struct ControlMessage {
    mip4::Endpoint source{};
    Ipv4Address destination{};
    int interface = 0;      // index of the device that it came in on
    ConstByteSpan payload;  // in the buffer
};
/// A whole IPv4 packet out of a tunnel.
struct TunnelPacket {
    int interface = 0;
    ConstByteSpan packet;  // in the buffer
};
struct IcmpReport {
    Ipv4Address destination{};  // of what we sent
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    ConstByteSpan quoted;  // of its UDP payload
};
using FromHome = std::variant<ControlMessage, TunnelPacket>;

class HomeSide {
  public:
    [[nodiscard]] static Result<HomeSide> open();

    /// Members of 224.0.0.11 and 224.0.0.2 on this device.
    [[nodiscard]] Result<void> join(int interface);

    /// Non-blocking; owned here.
    [[nodiscard]] std::vector<int> descriptors() const;
    [[nodiscard]] Result<std::optional<FromHome>> receive(int descriptor, ByteSpan buffer);
    /// The next ICMP error about a message of ours.
    [[nodiscard]] std::optional<IcmpReport> receive_error(int descriptor, ByteSpan buffer);

    /// From port 434 of `source`. False: the kernel did not take it; errno says why.
    [[nodiscard]] bool send_control(const Ipv4Address& source, const Ipv4Address& destination,
                                    ConstByteSpan payload);
    /// A whole IPv4 packet, from whatever address.
    [[nodiscard]] bool send_packet(ConstByteSpan packet);

    /// What gets from `source` to `destination` in one piece, as the kernel knows; asked once a
    /// second.
    [[nodiscard]] std::size_t path_mtu(const Ipv4Address& source, const Ipv4Address& destination);

  private:
    HomeSide() = default;
    struct Path {
        std::size_t mtu = 1500;
        std::chrono::steady_clock::time_point asked{};
    };
    [[nodiscard]] Result<void> open_udp();
    [[nodiscard]] Result<void> open_raw(std::uint8_t protocol);

    mobile_node::FileDescriptor udp_;
    mobile_node::FileDescriptor sender_;
    std::vector<mobile_node::FileDescriptor> raw_;
    std::map<std::pair<Ipv4Address, Ipv4Address>, Path> paths_;
};

}  // namespace homeport::foreign_agent
