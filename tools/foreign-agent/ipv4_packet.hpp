// SPDX-License-Identifier: BSD-3-Clause
// What a router does to IPv4 packets: checks, TTL, fragments, ICMP errors. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::foreign_agent {

using Octets = std::vector<std::uint8_t>;

/// The IPv4 packet at the start of `bytes`, without what link or tunnel padded it with; nothing: it
/// is no whole one, or its header checksum is wrong.
[[nodiscard]] std::optional<ConstByteSpan> whole_packet(ConstByteSpan bytes);

/// The header of a whole packet.
[[nodiscard]] inline const Ipv4Header& header_of(ConstByteSpan packet) {
    return *reinterpret_cast<const Ipv4Header*>(packet.data());
}
/// What stands behind it.
[[nodiscard]] inline ConstByteSpan payload_of(ConstByteSpan packet) {
    return packet.subspan(header_of(packet).header_length());
}

/// One less, the checksum with it. False: it is used up, and nothing is changed.
[[nodiscard]] bool decrement_ttl(Octets& packet);

/// Sets the TOS octet, the checksum with it.
void set_tos(Octets& packet, std::uint8_t tos);

/// The packet in pieces of at most `mtu` octets (RFC 791), itself if it fits. `mtu`: 68 at least.
/// Options go with the first piece, those that must be copied with all.
[[nodiscard]] std::vector<Octets> fragment(ConstByteSpan packet, std::size_t mtu);

enum class IcmpError : std::uint8_t { kTooBig, kTimeExceeded, kHostUnreachable };

/// An ICMP error about `packet` from `source`; nothing where RFC 1122 section 3.2.2 forbids one:
/// about ICMP errors, to or about groups and broadcasts, about later pieces.
[[nodiscard]] std::optional<Octets> icmp_error(IcmpError error, std::uint16_t mtu,
                                               const Ipv4Address& source, ConstByteSpan packet);

/// An ICMP echo request, TTL 64.
[[nodiscard]] Octets echo_request(const Ipv4Address& source, const Ipv4Address& destination,
                                  std::uint16_t identifier, std::uint16_t sequence);

/// A UDP datagram, with a checksum.
[[nodiscard]] Octets udp_packet(const Ipv4Address& source, std::uint16_t source_port,
                                const Ipv4Address& destination, std::uint16_t destination_port,
                                std::uint8_t ttl, ConstByteSpan payload);

/// At most `per_second`, and `burst` at once.
class Limiter {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    Limiter(double per_second, double burst)
        : per_second_(per_second), burst_(burst), tokens_(burst) {}
    [[nodiscard]] bool take(TimePoint now) {
        const std::chrono::duration<double> passed = now - filled_;
        if (filled_ != TimePoint{}) tokens_ += passed.count() * per_second_;
        if (tokens_ > burst_) tokens_ = burst_;
        filled_ = now;
        if (tokens_ < 1) return false;
        tokens_ -= 1;
        return true;
    }

  private:
    double per_second_;
    double burst_;
    double tokens_;
    TimePoint filled_{};
};

}  // namespace homeport::foreign_agent
