// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/icmpv6.hpp"

#include <algorithm>
#include <optional>

#include "controlplane/wire/bytes.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::wire {

namespace {

constexpr std::uint8_t kNdHopLimit = 255;
constexpr std::size_t kErrorHeaders = sizeof(Ipv6Header) + sizeof(IcmpHeader);
const Ipv6Address kAllRouters{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
const Ipv6Address kAllMldv2Routers{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16}};

std::uint8_t octet(Icmpv6Type type) {
    return static_cast<std::uint8_t>(type);
}

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};

// --- encode: everything behind type, code and checksum ------------------------------------------

void put_body(Bytes& out, const Icmpv6ErrorMessage& message) {
    put32(out, message.parameter);
    put_bytes(out, message.invoking_packet);
}

void put_body(Bytes& out, const EchoMessage& message) {
    put16(out, message.identifier);
    put16(out, message.sequence);
    put_bytes(out, message.data);
}

void put_body(Bytes& out, const MulticastListener& message) {
    put16(out, message.maximum_delay);
    put16(out, 0);
    put_bytes(out, message.group.bytes);
}

void put_body(Bytes& out, const RouterSolicitation& message) {
    put32(out, 0);
    append_nd_options(out, message.options);
}

void put_body(Bytes& out, const RouterAdvertisement& message) {
    put8(out, message.hop_limit);
    put8(out, static_cast<std::uint8_t>((message.managed ? 0x80 : 0) |
                                        (message.other_configuration ? 0x40 : 0) |
                                        (message.home_agent ? 0x20 : 0)));
    put16(out, message.router_lifetime);
    put32(out, message.reachable_time);
    put32(out, message.retrans_timer);
    append_nd_options(out, message.options);
}

void put_body(Bytes& out, const NeighborSolicitation& message) {
    put32(out, 0);
    put_bytes(out, message.target.bytes);
    append_nd_options(out, message.options);
}

void put_body(Bytes& out, const NeighborAdvertisement& message) {
    put32(out, (message.router ? 0x80000000u : 0) | (message.solicited ? 0x40000000u : 0) |
                   (message.override_entry ? 0x20000000u : 0));
    put_bytes(out, message.target.bytes);
    append_nd_options(out, message.options);
}

void put_body(Bytes& out, const MulticastListenerReportV2& message) {
    put16(out, 0);
    put16(out, static_cast<std::uint16_t>(message.records.size()));
    for (const MulticastRecord& record : message.records) {
        put8(out, static_cast<std::uint8_t>(record.type));
        put8(out, 0);
        put16(out, static_cast<std::uint16_t>(record.sources.size()));
        put_bytes(out, record.group.bytes);
        for (const Ipv6Address& source : record.sources) put_bytes(out, source.bytes);
    }
}

void put_body(Bytes& out, const HomeAgentDiscoveryRequest& message) {
    put16(out, message.identifier);
    put16(out, message.mobile_routers ? 0x8000 : 0);
}

void put_body(Bytes& out, const HomeAgentDiscoveryReply& message) {
    put16(out, message.identifier);
    put16(out, message.mobile_routers ? 0x8000 : 0);
    for (const Ipv6Address& address : message.home_agents) put_bytes(out, address.bytes);
}

void put_body(Bytes& out, const MobilePrefixSolicitation& message) {
    put16(out, message.identifier);
    put16(out, 0);
}

void put_body(Bytes& out, const MobilePrefixAdvertisement& message) {
    put16(out, message.identifier);
    put16(out, static_cast<std::uint16_t>((message.managed ? 0x8000 : 0) |
                                          (message.other_configuration ? 0x4000 : 0)));
    append_nd_options(out, message.options);
}

void put_body(Bytes& out, const UnknownIcmpv6& message) {
    put_bytes(out, message.body);
}

std::uint8_t code_of(const Icmpv6Message& message) {
    if (const auto* error = std::get_if<Icmpv6ErrorMessage>(&message)) return error->code;
    if (const auto* unknown = std::get_if<UnknownIcmpv6>(&message)) return unknown->code;
    return 0;
}

// --- decode -----------------------------------------------------------------------------------

using Decoded = std::expected<Icmpv6Message, Icmpv6DecodeError>;

std::unexpected<Icmpv6DecodeError> fault(Icmpv6Fault which, std::size_t offset, const char* what) {
    return std::unexpected(Icmpv6DecodeError{which, static_cast<std::uint16_t>(offset), what});
}

Bytes copy(ConstByteSpan bytes) {
    return {bytes.begin(), bytes.end()};
}

/// Octets of the fixed part of a message, type and checksum included.
std::size_t minimum_octets(std::uint8_t type) {
    switch (static_cast<Icmpv6Type>(type)) {
        case Icmpv6Type::kMulticastListenerQuery:
        case Icmpv6Type::kMulticastListenerReport:
        case Icmpv6Type::kMulticastListenerDone:
        case Icmpv6Type::kNeighborSolicitation:
        case Icmpv6Type::kNeighborAdvertisement:
            return 24;
        case Icmpv6Type::kRouterAdvertisement:
            return 16;
        case Icmpv6Type::kDestinationUnreachable:
        case Icmpv6Type::kPacketTooBig:
        case Icmpv6Type::kTimeExceeded:
        case Icmpv6Type::kParameterProblem:
        case Icmpv6Type::kEchoRequest:
        case Icmpv6Type::kEchoReply:
        case Icmpv6Type::kRouterSolicitation:
        case Icmpv6Type::kMulticastListenerReportV2:
        case Icmpv6Type::kHomeAgentDiscoveryRequest:
        case Icmpv6Type::kHomeAgentDiscoveryReply:
        case Icmpv6Type::kMobilePrefixSolicitation:
        case Icmpv6Type::kMobilePrefixAdvertisement:
            return 8;
    }
    return 4;
}

bool is_neighbor_discovery(std::uint8_t type) {
    return type >= octet(Icmpv6Type::kRouterSolicitation) && type <= 137;
}

bool is_error(std::uint8_t type) {
    return type >= 1 && type <= 4;
}

Decoded get_options(ConstByteSpan message, std::size_t offset, auto&& decoded) {
    if (!read_nd_options(message.subspan(offset), decoded.options)) {
        return fault(Icmpv6Fault::kOption, offset, "option of length 0 or past the end");
    }
    return decoded;
}

Decoded get_router_solicitation(const Ipv6PacketView& packet) {
    auto decoded = get_options(packet.upper, 8, RouterSolicitation{});
    if (decoded && packet.source.is_unspecified() &&
        find_option<SourceLinkLayerAddress>(std::get<RouterSolicitation>(*decoded).options)) {
        return fault(Icmpv6Fault::kAddress, 8, "link-layer address of an unspecified source");
    }
    return decoded;
}

Decoded get_router_advertisement(const Ipv6PacketView& packet) {
    const std::uint8_t* at = packet.upper.data();
    if (!packet.source.is_link_local()) {
        return fault(Icmpv6Fault::kAddress, 0, "advertisement from no link-local address");
    }
    return get_options(packet.upper, 16,
                       RouterAdvertisement{.hop_limit = at[4],
                                           .managed = (at[5] & 0x80) != 0,
                                           .other_configuration = (at[5] & 0x40) != 0,
                                           .home_agent = (at[5] & 0x20) != 0,
                                           .router_lifetime = load_be16(at + 6),
                                           .reachable_time = load_be32(at + 8),
                                           .retrans_timer = load_be32(at + 12),
                                           .options = {}});
}

Decoded get_neighbor_solicitation(const Ipv6PacketView& packet) {
    const Ipv6Address target = Ipv6Address::load(packet.upper.data() + 8);
    if (target.is_multicast()) return fault(Icmpv6Fault::kAddress, 8, "multicast target");
    auto decoded = get_options(packet.upper, 24, NeighborSolicitation{target, {}});
    if (decoded && packet.source.is_unspecified()) {
        if (packet.destination != target.solicited_node()) {
            return fault(Icmpv6Fault::kAddress, 0, "probe not to the solicited-node address");
        }
        if (find_option<SourceLinkLayerAddress>(std::get<NeighborSolicitation>(*decoded).options)) {
            return fault(Icmpv6Fault::kAddress, 24, "link-layer address of an unspecified source");
        }
    }
    return decoded;
}

Decoded get_neighbor_advertisement(const Ipv6PacketView& packet) {
    const std::uint8_t flags = packet.upper[4];
    const Ipv6Address target = Ipv6Address::load(packet.upper.data() + 8);
    if (target.is_multicast()) return fault(Icmpv6Fault::kAddress, 8, "multicast target");
    if (packet.destination.is_multicast() && (flags & 0x40) != 0) {
        return fault(Icmpv6Fault::kAddress, 4, "solicited advertisement to a multicast address");
    }
    return get_options(
        packet.upper, 24,
        NeighborAdvertisement{
            (flags & 0x80) != 0, (flags & 0x40) != 0, (flags & 0x20) != 0, target, {}});
}

Decoded get_report_v2(ConstByteSpan message) {
    MulticastListenerReportV2 report;
    const std::size_t count = load_be16(message.data() + 6);
    std::size_t offset = 8;
    for (std::size_t i = 0; i < count; ++i) {
        if (message.size() - offset < 20) {
            return fault(Icmpv6Fault::kRecord, offset, "multicast record past the end");
        }
        const std::uint8_t* at = message.data() + offset;
        const std::size_t sources = load_be16(at + 2);
        const std::size_t length = 20 + 16 * sources + 4 * std::size_t{at[1]};
        if (message.size() - offset < length) {
            return fault(Icmpv6Fault::kRecord, offset, "multicast record past the end");
        }
        MulticastRecord record{
            static_cast<MulticastRecord::Type>(at[0]), Ipv6Address::load(at + 4), {}};
        for (std::size_t s = 0; s < sources; ++s) {
            record.sources.push_back(Ipv6Address::load(at + 20 + 16 * s));
        }
        report.records.push_back(std::move(record));
        offset += length;
    }
    return report;
}

Decoded get_discovery_reply(ConstByteSpan message) {
    if (message.size() % 16 != 8) {
        return fault(Icmpv6Fault::kTruncated, 8, "list is not of whole addresses");
    }
    HomeAgentDiscoveryReply reply{load_be16(message.data() + 4), (message[6] & 0x80) != 0, {}};
    for (std::size_t offset = 8; offset < message.size(); offset += 16) {
        reply.home_agents.push_back(Ipv6Address::load(message.data() + offset));
    }
    return reply;
}

/// The checksum is right, and the fixed part is there.
Decoded get_message(const Ipv6PacketView& packet) {
    const ConstByteSpan message = packet.upper;
    const std::uint8_t* at = message.data();
    const auto type = static_cast<Icmpv6Type>(at[0]);
    switch (type) {
        case Icmpv6Type::kDestinationUnreachable:
        case Icmpv6Type::kPacketTooBig:
        case Icmpv6Type::kTimeExceeded:
        case Icmpv6Type::kParameterProblem:
            return Icmpv6ErrorMessage{type, at[1], load_be32(at + 4), copy(message.subspan(8))};
        case Icmpv6Type::kEchoRequest:
        case Icmpv6Type::kEchoReply:
            return EchoMessage{type == Icmpv6Type::kEchoReply, load_be16(at + 4), load_be16(at + 6),
                               copy(message.subspan(8))};
        case Icmpv6Type::kMulticastListenerQuery:
        case Icmpv6Type::kMulticastListenerReport:
        case Icmpv6Type::kMulticastListenerDone:
            return MulticastListener{type, load_be16(at + 4), Ipv6Address::load(at + 8)};
        case Icmpv6Type::kRouterSolicitation:
            return get_router_solicitation(packet);
        case Icmpv6Type::kRouterAdvertisement:
            return get_router_advertisement(packet);
        case Icmpv6Type::kNeighborSolicitation:
            return get_neighbor_solicitation(packet);
        case Icmpv6Type::kNeighborAdvertisement:
            return get_neighbor_advertisement(packet);
        case Icmpv6Type::kMulticastListenerReportV2:
            return get_report_v2(message);
        case Icmpv6Type::kHomeAgentDiscoveryRequest:
            return HomeAgentDiscoveryRequest{load_be16(at + 4), (at[6] & 0x80) != 0};
        case Icmpv6Type::kHomeAgentDiscoveryReply:
            return get_discovery_reply(message);
        case Icmpv6Type::kMobilePrefixSolicitation:
            return MobilePrefixSolicitation{load_be16(at + 4)};
        case Icmpv6Type::kMobilePrefixAdvertisement:
            return get_options(
                message, 8,
                MobilePrefixAdvertisement{
                    load_be16(at + 4), (at[6] & 0x80) != 0, (at[6] & 0x40) != 0, {}});
    }
    return UnknownIcmpv6{at[0], at[1], copy(message.subspan(4))};
}

bool is_multicast_listener(std::uint8_t type) {
    return (type >= octet(Icmpv6Type::kMulticastListenerQuery) &&
            type <= octet(Icmpv6Type::kMulticastListenerDone)) ||
           type == octet(Icmpv6Type::kMulticastListenerReportV2);
}

}  // namespace

std::uint8_t type_of(const Icmpv6Message& message) {
    return std::visit(
        Overloaded{
            [](const Icmpv6ErrorMessage& m) { return octet(m.type); },
            [](const EchoMessage& m) {
                return octet(m.reply ? Icmpv6Type::kEchoReply : Icmpv6Type::kEchoRequest);
            },
            [](const MulticastListener& m) { return octet(m.type); },
            [](const RouterSolicitation&) { return octet(Icmpv6Type::kRouterSolicitation); },
            [](const RouterAdvertisement&) { return octet(Icmpv6Type::kRouterAdvertisement); },
            [](const NeighborSolicitation&) { return octet(Icmpv6Type::kNeighborSolicitation); },
            [](const NeighborAdvertisement&) { return octet(Icmpv6Type::kNeighborAdvertisement); },
            [](const MulticastListenerReportV2&) {
                return octet(Icmpv6Type::kMulticastListenerReportV2);
            },
            [](const HomeAgentDiscoveryRequest&) {
                return octet(Icmpv6Type::kHomeAgentDiscoveryRequest);
            },
            [](const HomeAgentDiscoveryReply&) {
                return octet(Icmpv6Type::kHomeAgentDiscoveryReply);
            },
            [](const MobilePrefixSolicitation&) {
                return octet(Icmpv6Type::kMobilePrefixSolicitation);
            },
            [](const MobilePrefixAdvertisement&) {
                return octet(Icmpv6Type::kMobilePrefixAdvertisement);
            },
            [](const UnknownIcmpv6& m) { return m.type; },
        },
        message);
}

std::string Icmpv6DecodeError::to_string() const {
    return std::string{"ICMPv6, octet "} + std::to_string(offset) + ": " + what;
}

std::expected<Icmpv6Message, Icmpv6DecodeError> decode_icmpv6(const Ipv6PacketView& packet) {
    if (packet.upper_protocol != number(IpProtocol::kIcmpv6)) {
        return fault(Icmpv6Fault::kNotIcmpv6, 0, "next header is not 58");
    }
    const ConstByteSpan message = packet.upper;
    if (message.size() < 4) return fault(Icmpv6Fault::kTruncated, 0, "shorter than 4 octets");
    const std::uint64_t sum = checksum_add(
        pseudo_header_sum(packet.source, packet.destination,
                          static_cast<std::uint32_t>(message.size()), number(IpProtocol::kIcmpv6)),
        message);
    if (checksum_finish(sum) != 0) return fault(Icmpv6Fault::kChecksum, 2, "wrong checksum");
    const std::uint8_t type = message[0];
    if (message.size() < minimum_octets(type)) {
        return fault(Icmpv6Fault::kTruncated, message.size(), "shorter than its fixed part");
    }
    if (is_neighbor_discovery(type)) {
        if (packet.hop_limit != kNdHopLimit) {
            return fault(Icmpv6Fault::kHopLimit, 0, "hop limit is not 255");
        }
        if (message[1] != 0) return fault(Icmpv6Fault::kCode, 1, "code is not 0");
    }
    return get_message(packet);
}

std::vector<std::uint8_t> encode_icmpv6(const Icmpv6Message& message, const Ipv6Address& source,
                                        const Ipv6Address& destination) {
    Bytes out{type_of(message), code_of(message), 0, 0};
    std::visit([&out](const auto& m) { put_body(out, m); }, message);
    const std::uint64_t sum =
        checksum_add(pseudo_header_sum(source, destination, static_cast<std::uint32_t>(out.size()),
                                       number(IpProtocol::kIcmpv6)),
                     out);
    store_be16(out.data() + 2, checksum_finish(sum));
    return out;
}

std::vector<std::uint8_t> icmpv6_packet(const Icmpv6Message& message, const Ipv6Address& source,
                                        const Ipv6Address& destination, std::uint8_t hop_limit) {
    const std::uint8_t type = type_of(message);
    const Bytes encoded = encode_icmpv6(message, source, destination);
    if (is_multicast_listener(type)) {
        // Hop-by-hop header: router alert of value 0 (MLD), PadN(0).
        Bytes payload{number(IpProtocol::kIcmpv6), 0, 5, 2, 0, 0, 1, 0};
        put_bytes(payload, encoded);
        return ipv6_packet(source, destination, number(IpProtocol::kHopByHop), 1, payload);
    }
    return ipv6_packet(source, destination, number(IpProtocol::kIcmpv6),
                       is_neighbor_discovery(type) ? kNdHopLimit : hop_limit, encoded);
}

bool may_answer_with_error(ConstByteSpan invoking, Icmpv6Type type, std::uint8_t code) {
    const auto packet = view_ipv6_packet(invoking);
    if (!packet) return false;
    if (packet->source.is_unspecified() || packet->source.is_multicast() ||
        packet->source.is_loopback()) {
        return false;
    }
    const bool allowed_to_multicast =
        type == Icmpv6Type::kPacketTooBig || (type == Icmpv6Type::kParameterProblem && code == 2);
    if (packet->destination.is_multicast() && !allowed_to_multicast) return false;
    if (packet->upper_protocol == number(IpProtocol::kIcmpv6)) {
        if (packet->upper.empty()) return false;
        constexpr std::uint8_t kRedirect = 137;
        return packet->upper[0] >= 128 && packet->upper[0] != kRedirect;
    }
    return true;
}

std::vector<std::uint8_t> icmpv6_error_packet(const Icmpv6ErrorMessage& error,
                                              const Ipv6Address& source,
                                              const Ipv6Address& destination) {
    if (!is_error(octet(error.type)) ||
        !may_answer_with_error(error.invoking_packet, error.type, error.code)) {
        return {};
    }
    Icmpv6ErrorMessage cut = error;
    cut.invoking_packet.resize(
        std::min(cut.invoking_packet.size(), std::size_t{kIpv6MinimumMtu} - kErrorHeaders));
    return icmpv6_packet(cut, source, destination);
}

std::vector<std::uint8_t> mldv2_report(const Ipv6Address& source, const Ipv6Address& group,
                                       bool join) {
    const auto type =
        join ? MulticastRecord::Type::kChangeToExclude : MulticastRecord::Type::kChangeToInclude;
    return icmpv6_packet(MulticastListenerReportV2{{{type, group, {}}}}, source, kAllMldv2Routers);
}

std::vector<std::uint8_t> mldv1_report(const Ipv6Address& source, const Ipv6Address& group,
                                       bool join) {
    const auto type =
        join ? Icmpv6Type::kMulticastListenerReport : Icmpv6Type::kMulticastListenerDone;
    return icmpv6_packet(MulticastListener{type, 0, group}, source, join ? group : kAllRouters);
}

}  // namespace homeport::wire
