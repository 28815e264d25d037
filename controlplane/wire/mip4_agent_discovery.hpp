// SPDX-License-Identifier: BSD-3-Clause
// Agent discovery of Mobile IPv4 (RFC 5944 section 2): ICMP router discovery (RFC 1256) with the
// extensions of mobility agents. ICMP messages and whole IPv4 packets, checksums included. Numbers
// are in host order.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

inline constexpr Ipv4Address kAllSystems{{224, 0, 0, 1}};
inline constexpr Ipv4Address kAllRouters{{224, 0, 0, 2}};
inline constexpr Ipv4Address kAllMobilityAgents{{224, 0, 0, 11}};
inline constexpr Ipv4Address kLimitedBroadcast{{255, 255, 255, 255}};
inline constexpr std::uint16_t kInfiniteRegistrationLifetime = 0xffff;

/// Of the Mobility Agent Advertisement extension (RFC 5944 section 2.1.1).
struct AgentFlags {
    bool registration_required = false;  // R: also with a co-located care-of address
    bool busy = false;                   // B: no further mobile nodes
    bool home_agent = false;             // H
    bool foreign_agent = false;          // F
    bool minimal = false;                // M
    bool gre = false;                    // G
    bool reverse_tunnel = false;         // T (RFC 3024)
    bool udp_tunnel = false;             // U (RFC 3519)
    bool revocation = false;             // X (RFC 3543)
    bool regional = false;               // I (RFC 4857)
    friend bool operator==(const AgentFlags&, const AgentFlags&) = default;
};

/// Type 16.
struct MobilityAgent {
    std::uint16_t sequence = 0;
    std::uint16_t registration_lifetime = 0;  // seconds: the longest that it grants
    AgentFlags flags{};
    std::vector<Ipv4Address> care_of_addresses{};  // at most 62
    friend bool operator==(const MobilityAgent&, const MobilityAgent&) = default;
};

struct AdvertisedRouter {
    Ipv4Address address{};
    std::int32_t preference = 0;
    friend bool operator==(const AdvertisedRouter&, const AdvertisedRouter&) = default;
};

/// An extension of types 128 to 255 that is not known here: skipped, kept as it came. S2.75 lets a
/// mobile node read a name of the network from one; its type is a matter of the network.
struct AgentExtension {
    std::uint8_t type = 255;
    std::vector<std::uint8_t> data{};  // at most 255 octets
    friend bool operator==(const AgentExtension&, const AgentExtension&) = default;
};

/// ICMP type 9.
struct AgentAdvertisement {
    bool routes_common_traffic = true;      // code 0; else 16
    std::uint16_t lifetime = 0;             // seconds, of this advertisement
    std::vector<AdvertisedRouter> routers;  // may be none (RFC 5944 section 2.1)
    std::optional<MobilityAgent> agent;     // none: from a router that is no mobility agent
    /// Type 19: one for each of `routers`, or none at all.
    std::vector<std::uint8_t> prefix_lengths;
    std::vector<std::uint8_t> challenge;  // type 24 (RFC 4721), as it came; empty: none
    std::vector<AgentExtension> others;
    friend bool operator==(const AgentAdvertisement&, const AgentAdvertisement&) = default;
};

/// ICMP type 10.
struct AgentSolicitation {
    friend bool operator==(const AgentSolicitation&, const AgentSolicitation&) = default;
};

using AgentDiscoveryMessage = std::variant<AgentAdvertisement, AgentSolicitation>;

struct AgentDiscoveryError {
    enum class Kind : std::uint8_t {
        kNotDiscovery,     // another ICMP type, or no ICMP, or a fragment
        kTruncated,        // a length that goes past the end
        kChecksum,         // of IP or ICMP
        kCode,             // of ICMP
        kTtl,              // of a solicitation: not 1 (RFC 5944 section 2.2)
        kLength,           // a known extension of an illegal length
        kUnknownCritical,  // an unknown extension of types 1 to 127 (RFC 5944 section 1.10)
        kFlags,            // a combination that must not be
    };
    Kind kind = Kind::kTruncated;
    std::size_t offset = 0;  // from the first octet that was given
    const char* what = "";
};

/// What forbids to send or to believe an advertisement (RFC 5944 section 2.1.1): neither F nor H,
/// B or R without F, F without a care-of address. Nothing: all right.
[[nodiscard]] const char* fault_of(const MobilityAgent& agent);

/// The ICMP message with its checksum. Lists that are longer than their fields can say are cut.
[[nodiscard]] std::vector<std::uint8_t> encode(const AgentAdvertisement& message);
[[nodiscard]] std::vector<std::uint8_t> encode(const AgentSolicitation& message);

/// Reads an ICMP message, checksum and all.
[[nodiscard]] std::expected<AgentDiscoveryMessage, AgentDiscoveryError> decode_agent_discovery(
    ConstByteSpan icmp);

/// A whole IPv4 packet of TTL 1 around it.
[[nodiscard]] std::vector<std::uint8_t> agent_discovery_packet(ConstByteSpan icmp,
                                                               const Ipv4Address& source,
                                                               const Ipv4Address& destination);

struct AgentDiscoveryPacket {
    Ipv4Address source{};
    Ipv4Address destination{};
    AgentDiscoveryMessage message{};
};
/// Reads a whole IPv4 packet. That an advertisement has TTL 1 is the sender's duty alone (RFC 1256
/// section 5.2); a solicitation may come from any address, so that its TTL is all that keeps it to
/// the link (RFC 5944 section 2.3).
[[nodiscard]] std::expected<AgentDiscoveryPacket, AgentDiscoveryError> read_agent_discovery_packet(
    ConstByteSpan packet);

/// The number behind `sequence`: 0xffff is followed by 256, so that a restart, which begins with 0,
/// can be told (RFC 5944 section 2.3.2).
[[nodiscard]] constexpr std::uint16_t next_agent_sequence(std::uint16_t sequence) {
    return sequence == 0xffff ? std::uint16_t{256} : static_cast<std::uint16_t>(sequence + 1);
}
/// Whether the agent was restarted between `before` and `now` (RFC 5944 section 2.4.4).
[[nodiscard]] constexpr bool agent_was_restarted(std::uint16_t before, std::uint16_t now) {
    return now < before && now < 256;
}

}  // namespace homeport::wire
