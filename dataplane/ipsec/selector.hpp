// SPDX-License-Identifier: BSD-3-Clause
// Traffic selectors (RFC 4301 section 4.4.1.1), as policies and SAs are configured with them.
//
// Use: fill a Selectors, e.g.
//   Selectors s;
//   s.local = {AddressRange::of(home_agent)};
//   s.remote = {AddressRange::of(prefix)};
//   s.protocol = ProtocolSelector::of(IpProtocol::kMobility);
//   s.local_value = ValueSelector::of(6);   // may send type 6
//   s.remote_value = ValueSelector::of(5);  // may receive type 5
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::ipsec {

enum class Direction : std::uint8_t { kInbound, kOutbound };

/// Both ends inclusive and of one family.
struct AddressRange {
    IpAddress first;
    IpAddress last;

    friend bool operator==(const AddressRange&, const AddressRange&) = default;
    [[nodiscard]] static AddressRange of(const IpAddress& address) { return {address, address}; }
    [[nodiscard]] static AddressRange of(const Ipv6Prefix& prefix);
    [[nodiscard]] static AddressRange of(const Ipv4Prefix& prefix);
    /// "::/0", "2001:db8::1", "192.0.2.0/24" or "first-last".
    [[nodiscard]] std::string to_string() const;
};

/// The protocol behind the extension headers 0, 43, 44 and 60. ESP and AH are protocols like
/// others.
struct ProtocolSelector {
    enum class Kind : std::uint8_t { kAny, kOpaque, kNumber };
    Kind kind = Kind::kAny;
    std::uint8_t number = 0;  ///< only with kNumber

    friend bool operator==(const ProtocolSelector&, const ProtocolSelector&) = default;
    [[nodiscard]] static ProtocolSelector any() { return {}; }
    /// Packets whose protocol is not visible (some non-initial IPv6 fragments).
    [[nodiscard]] static ProtocolSelector opaque() { return {Kind::kOpaque, 0}; }
    [[nodiscard]] static ProtocolSelector of(std::uint8_t number) {
        return {Kind::kNumber, number};
    }
    [[nodiscard]] static ProtocolSelector of(IpProtocol protocol) {
        return of(homeport::number(protocol));
    }
};

/// Both ends inclusive.
struct ValueRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    friend bool operator==(const ValueRange&, const ValueRange&) = default;
};

/// Ports, ICMP type * 256 + code, or mobility header type, depending on the protocol. ICMP and MH
/// have one value but two directions: the local value is what may be sent, the remote value what
/// may be received (RFC 4301 section 4.4.1.3).
struct ValueSelector {
    enum class Kind : std::uint8_t { kAny, kOpaque, kRanges };
    Kind kind = Kind::kAny;
    std::vector<ValueRange> ranges;  ///< only with kRanges, then at least one

    friend bool operator==(const ValueSelector&, const ValueSelector&) = default;
    /// Everything, also fragments that do not show the value.
    [[nodiscard]] static ValueSelector any() { return {}; }
    /// Ports: only packets that do not show the value. ICMP and MH: this direction is not allowed.
    [[nodiscard]] static ValueSelector opaque() { return {Kind::kOpaque, {}}; }
    [[nodiscard]] static ValueSelector of(std::uint16_t value) {
        return {Kind::kRanges, {{value, value}}};
    }
    [[nodiscard]] static ValueSelector of(std::vector<ValueRange> ranges) {
        return {Kind::kRanges, std::move(ranges)};
    }
    /// All codes of an ICMP type.
    [[nodiscard]] static ValueSelector icmp_type(std::uint8_t type) {
        return of(
            {{static_cast<std::uint16_t>(type << 8), static_cast<std::uint16_t>(type << 8 | 255)}});
    }
    [[nodiscard]] static ValueSelector icmp(std::uint8_t type, std::uint8_t code) {
        return of(static_cast<std::uint16_t>(type << 8 | code));
    }
};

/// Local is our side (source of what we send, destination of what we receive), remote the other.
struct Selectors {
    std::vector<AddressRange> local;   ///< empty: any address
    std::vector<AddressRange> remote;  ///< empty: any address
    ProtocolSelector protocol;
    ValueSelector local_value;
    ValueSelector remote_value;

    friend bool operator==(const Selectors&, const Selectors&) = default;
    /// The same selectors seen from the other end.
    [[nodiscard]] Selectors mirrored() const;
    /// "local 2001:db8:1::1 remote any proto mh local-type 6 remote-type 5"
    [[nodiscard]] std::string to_string() const;
};

}  // namespace homeport::ipsec
