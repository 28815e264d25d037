// SPDX-License-Identifier: BSD-3-Clause
// ICMPv6 messages (RFC 4443, 4861, 2710, 3810, RFC 6275 6.5-6.8): encode and decode.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/neighbor_discovery.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

enum class Icmpv6Type : std::uint8_t {
    kDestinationUnreachable = 1,
    kPacketTooBig = 2,
    kTimeExceeded = 3,
    kParameterProblem = 4,
    kEchoRequest = 128,
    kEchoReply = 129,
    kMulticastListenerQuery = 130,
    kMulticastListenerReport = 131,
    kMulticastListenerDone = 132,
    kRouterSolicitation = 133,
    kRouterAdvertisement = 134,
    kNeighborSolicitation = 135,
    kNeighborAdvertisement = 136,
    kMulticastListenerReportV2 = 143,
    kHomeAgentDiscoveryRequest = 144,
    kHomeAgentDiscoveryReply = 145,
    kMobilePrefixSolicitation = 146,
    kMobilePrefixAdvertisement = 147,
};

/// Types 1 to 4.
struct Icmpv6ErrorMessage {
    Icmpv6Type type = Icmpv6Type::kDestinationUnreachable;
    std::uint8_t code = 0;
    /// MTU of type 2, pointer of type 4, else 0.
    std::uint32_t parameter = 0;
    /// As much of the packet that failed as fits into 1280 octets.
    std::vector<std::uint8_t> invoking_packet{};
    friend bool operator==(const Icmpv6ErrorMessage&, const Icmpv6ErrorMessage&) = default;
};
struct EchoMessage {
    bool reply = false;
    std::uint16_t identifier = 0;
    std::uint16_t sequence = 0;
    std::vector<std::uint8_t> data{};
    friend bool operator==(const EchoMessage&, const EchoMessage&) = default;
};
/// MLDv1 (RFC 2710): query, report, done. A query longer than 24 octets is MLDv2's: the rest is
/// ignored.
struct MulticastListener {
    Icmpv6Type type = Icmpv6Type::kMulticastListenerReport;
    std::uint16_t maximum_delay = 0;  // milliseconds
    Ipv6Address group{};
    friend bool operator==(const MulticastListener&, const MulticastListener&) = default;
};
/// One record of an MLDv2 report (RFC 3810 5.2.12).
struct MulticastRecord {
    enum class Type : std::uint8_t {
        kModeIsInclude = 1,
        kModeIsExclude = 2,
        kChangeToInclude = 3,
        kChangeToExclude = 4,
        kAllowNewSources = 5,
        kBlockOldSources = 6,
    };
    Type type = Type::kChangeToExclude;
    Ipv6Address group{};
    std::vector<Ipv6Address> sources{};
    friend bool operator==(const MulticastRecord&, const MulticastRecord&) = default;
};
struct MulticastListenerReportV2 {
    std::vector<MulticastRecord> records{};
    friend bool operator==(const MulticastListenerReportV2&,
                           const MulticastListenerReportV2&) = default;
};
/// Dynamic home agent address discovery (RFC 6275 6.5, 6.6; R bit RFC 3963 7.1).
struct HomeAgentDiscoveryRequest {
    std::uint16_t identifier = 0;
    bool mobile_routers = false;
    friend bool operator==(const HomeAgentDiscoveryRequest&,
                           const HomeAgentDiscoveryRequest&) = default;
};
struct HomeAgentDiscoveryReply {
    std::uint16_t identifier = 0;
    bool mobile_routers = false;
    std::vector<Ipv6Address> home_agents{};
    friend bool operator==(const HomeAgentDiscoveryReply&,
                           const HomeAgentDiscoveryReply&) = default;
};
/// RFC 6275 6.7.
struct MobilePrefixSolicitation {
    std::uint16_t identifier = 0;
    friend bool operator==(const MobilePrefixSolicitation&,
                           const MobilePrefixSolicitation&) = default;
};
/// RFC 6275 6.8.
struct MobilePrefixAdvertisement {
    std::uint16_t identifier = 0;
    bool managed = false;              // M
    bool other_configuration = false;  // O
    NdOptions options{};
    friend bool operator==(const MobilePrefixAdvertisement&,
                           const MobilePrefixAdvertisement&) = default;
};
struct UnknownIcmpv6 {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    /// Everything behind the checksum.
    std::vector<std::uint8_t> body{};
    friend bool operator==(const UnknownIcmpv6&, const UnknownIcmpv6&) = default;
};

using Icmpv6Message =
    std::variant<Icmpv6ErrorMessage, EchoMessage, MulticastListener, RouterSolicitation,
                 RouterAdvertisement, NeighborSolicitation, NeighborAdvertisement,
                 MulticastListenerReportV2, HomeAgentDiscoveryRequest, HomeAgentDiscoveryReply,
                 MobilePrefixSolicitation, MobilePrefixAdvertisement, UnknownIcmpv6>;

[[nodiscard]] std::uint8_t type_of(const Icmpv6Message& message);

enum class Icmpv6Fault : std::uint8_t {
    kNotIcmpv6,
    kTruncated,
    kChecksum,
    kHopLimit,  // neighbor discovery not sent with hop limit 255 (RFC 4861 6.1, 7.1)
    kCode,      // neighbor discovery with a code other than 0
    kOption,
    kAddress,  // target multicast, probe with a link-layer address, ...
    kRecord,   // MLDv2 record that overruns
};
struct Icmpv6DecodeError {
    Icmpv6Fault fault{};
    std::uint16_t offset = 0;  // from the start of the ICMPv6 message
    const char* what = "";
    [[nodiscard]] std::string to_string() const;
};

/// Decodes the upper layer of `packet`, with the validity checks of RFC 4861 6.1 and 7.1 for
/// neighbor discovery.
[[nodiscard]] std::expected<Icmpv6Message, Icmpv6DecodeError> decode_icmpv6(
    const Ipv6PacketView& packet);

/// The ICMPv6 message with its checksum.
[[nodiscard]] std::vector<std::uint8_t> encode_icmpv6(const Icmpv6Message& message,
                                                      const Ipv6Address& source,
                                                      const Ipv6Address& destination);

/// A whole packet. Neighbor discovery always gets hop limit 255; multicast listener messages get
/// hop limit 1 and a hop-by-hop header with the router alert (RFC 2710 3, RFC 3810 5).
[[nodiscard]] std::vector<std::uint8_t> icmpv6_packet(const Icmpv6Message& message,
                                                      const Ipv6Address& source,
                                                      const Ipv6Address& destination,
                                                      std::uint8_t hop_limit = 64);

/// An error message about `invoking`, cut so that the whole packet is at most 1280 octets; nothing
/// where RFC 4443 2.4 (e) forbids one: about ICMPv6 errors and redirects, to a source that is not
/// one node's unicast address, about multicasts (but Packet Too Big, and Parameter Problem code 2).
[[nodiscard]] std::vector<std::uint8_t> icmpv6_error_packet(const Icmpv6ErrorMessage& error,
                                                            const Ipv6Address& source,
                                                            const Ipv6Address& destination);
[[nodiscard]] bool may_answer_with_error(ConstByteSpan invoking, Icmpv6Type type,
                                         std::uint8_t code);

/// MLDv2 report that one group is joined or left, to ff02::16 (RFC 3810 5.2.14). `source` is a
/// link-local address of the interface, or :: (RFC 3590).
[[nodiscard]] std::vector<std::uint8_t> mldv2_report(const Ipv6Address& source,
                                                     const Ipv6Address& group, bool join);
/// MLDv1 report (to the group) or done (to all routers).
[[nodiscard]] std::vector<std::uint8_t> mldv1_report(const Ipv6Address& source,
                                                     const Ipv6Address& group, bool join);

}  // namespace homeport::wire
