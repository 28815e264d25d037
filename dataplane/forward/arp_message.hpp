// SPDX-License-Identifier: BSD-3-Clause
// ARP for IPv4 over Ethernet as octets (RFC 826).
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::forward {

inline constexpr std::uint16_t kArpRequest = 1;
inline constexpr std::uint16_t kArpReply = 2;
inline constexpr std::uint16_t kArpLength = 28;

struct ArpMessage {
    std::uint16_t operation = 0;
    MacAddress sender_mac;
    Ipv4Address sender;  // 0.0.0.0 in a probe (RFC 5227 section 2.1.1)
    MacAddress target_mac;
    Ipv4Address target;

    [[nodiscard]] bool is_probe() const { return sender == Ipv4Address{}; }
    /// A node tells of itself: gratuitous ARP (RFC 5227 section 2.3, RFC 5944 section 4.6).
    [[nodiscard]] bool is_announcement() const { return sender == target; }
};

/// Reads what follows the Ethernet header. Nothing if it is not about IPv4 on Ethernet, is cut off,
/// or its sender is no single node.
[[nodiscard]] std::optional<ArpMessage> read_arp(ConstByteSpan octets);

/// Writes kArpLength octets.
void write_arp(std::uint8_t* out, const ArpMessage& message);

}  // namespace homeport::forward
