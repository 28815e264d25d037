// SPDX-License-Identifier: BSD-3-Clause
// Small packets that the mobile node makes itself, and edits of whole IPv4 packets.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/base/packet.hpp"

namespace homeport::mobile_node {

/// A whole IPv4 packet with UDP and `payload`, checksums included.
[[nodiscard]] std::vector<std::uint8_t> udp_packet(const mip4::Endpoint& from,
                                                   const mip4::Endpoint& to, std::uint8_t ttl,
                                                   ConstByteSpan payload);
/// An ICMP echo request (RFC 3519 section 4.9).
[[nodiscard]] std::vector<std::uint8_t> echo_request(const Ipv4Address& source,
                                                     const Ipv4Address& destination,
                                                     std::uint16_t identifier,
                                                     std::uint16_t sequence);
/// Whether a whole packet is an ICMP echo reply.
[[nodiscard]] bool is_echo_reply(ConstByteSpan packet);

/// The IPv4 header of `packet` if that is one whole IPv4 packet, whose padding is cut off; null:
/// lengths lie.
[[nodiscard]] const Ipv4Header* trim_ipv4(Packet& packet);

/// RFC 3948: a UDP header between the IPv4 and the ESP header. False: no room.
[[nodiscard]] bool put_esp_in_udp(Packet& packet, std::uint16_t source_port);
/// The other way round, for a packet with a UDP header behind its IPv4 header.
void take_esp_out_of_udp(Packet& packet);
/// Gives an IPv4 packet another source, header checksum and all.
void set_source(Packet& packet, const Ipv4Address& source);

/// Lowers the maximum segment size in a TCP SYN to what fits into `mtu` (S2.22). True: it did.
[[nodiscard]] bool clamp_mss(Packet& packet, unsigned mtu);

}  // namespace homeport::mobile_node
