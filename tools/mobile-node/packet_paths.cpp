// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/packet_paths.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/home_address_option.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/routing_header.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::uint8_t kLinkScope = 2;
constexpr std::uint8_t kMobilePrefixSolicitation = 146;
constexpr std::uint8_t kMobilePrefixAdvertisement = 147;
constexpr std::uint8_t kBindingUpdateType = 5;

const Ipv6Header& ipv6_header(const Packet& packet) {
    return *reinterpret_cast<const Ipv6Header*>(packet.data);
}
const Ipv4Header& ipv4_header(const Packet& packet) {
    return *reinterpret_cast<const Ipv4Header*>(packet.data);
}

bool stays_on_link(const Ipv6Address& destination) {
    return destination.is_link_local() || destination.is_loopback() ||
           destination.is_unspecified() ||
           (destination.is_multicast() && destination.multicast_scope() <= kLinkScope);
}
bool stays_on_link(const Ipv4Address& destination) {
    return destination.is_link_local() || destination.is_loopback() || destination.is_broadcast() ||
           destination.is_multicast();
}

/// What a mobile node sends to its correspondents (RFC 6275 section 9.4, 9.5). This node has no
/// part of a correspondent; the host behind the TUN device may have one, and answers in any case.
bool is_for_a_correspondent(std::uint8_t type) {
    using wire::MobilityType;
    return type == static_cast<std::uint8_t>(MobilityType::kHomeTestInit) ||
           type == static_cast<std::uint8_t>(MobilityType::kCareOfTestInit) ||
           type == static_cast<std::uint8_t>(MobilityType::kBindingUpdate);
}

bool is_signalling(const Packet& packet, const parse::Headers& headers) {
    if (headers.family != 6) return false;
    if (headers.protocol == number(IpProtocol::kMobility)) {
        const std::uint32_t type = headers.upper_offset + 2u;
        return type >= headers.end || !is_for_a_correspondent(packet.data[type]);
    }
    return headers.protocol == number(IpProtocol::kIcmpv6) && headers.upper_offset < headers.end &&
           packet.data[headers.upper_offset] == kMobilePrefixAdvertisement;
}

}  // namespace

PacketPaths::PacketPaths(const PathAddresses& addresses, std::uint8_t hop_limit,
                         ipsec::Processor& engine, Counters& counters)
    : addresses_(addresses), hop_limit_(hop_limit), engine_(engine), counters_(counters) {}

void PacketPaths::set_care_of_addresses(std::vector<Ipv6Address> addresses) {
    care_of_addresses_ = std::move(addresses);
}

bool PacketPaths::is_care_of_address(const Ipv6Address& address) const {
    return std::ranges::find(care_of_addresses_, address) != care_of_addresses_.end();
}

bool PacketPaths::is_normal_form(const Packet& packet) const {
    if (packet.length < sizeof(Ipv6Header) || packet.data[0] >> 4 != 6) return true;
    return !is_care_of_address(ipv6_header(packet).source) &&
           !is_care_of_address(ipv6_header(packet).destination);
}

ipsec::Verdict PacketPaths::seal(Packet& packet) {
    assert(is_normal_form(packet));
    std::array<Packet*, 1> packets{&packet};
    std::array<ipsec::Verdict, 1> verdicts{};
    engine_.outbound(packets, verdicts);
    assert(!ipsec::passes(verdicts[0]) || is_normal_form(packet));
    return verdicts[0];
}

// ------------------------------------------------------------------------------------ outbound

bool PacketPaths::admit(Packet& packet) {
    const auto drop = [&](Counter counter) {
        counters_.add(counter);
        return false;
    };
    parse::Headers headers;
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone) {
        return drop(Counter::kDropMalformed);
    }
    packet.set_length(headers.end);
    if (headers.family == 6) {
        const Ipv6Header& ip = ipv6_header(packet);
        if (stays_on_link(ip.destination) || ip.source.is_link_local()) {
            return drop(Counter::kDropLinkLocal);
        }
        if (ip.source != addresses_.home_address && !network_.holds(ip.source)) {
            return drop(Counter::kDropNotHomeAddress);
        }
        if (is_care_of_address(ip.destination)) return drop(Counter::kDropLinkLocal);
    } else {
        const Ipv4Header& ip = ipv4_header(packet);
        if (stays_on_link(ip.destination)) return drop(Counter::kDropLinkLocal);
        if (network_.holds(ip.source)) return true;
        if (!addresses_.ipv4_home_address || ip.source != *addresses_.ipv4_home_address) {
            return drop(Counter::kDropNotHomeAddress);
        }
        if (!ipv4_bound_) return drop(Counter::kDropNoBinding);
    }
    return true;
}

PacketPaths::Leave PacketPaths::protect(Packet& packet) {
    const auto drop = [&](Counter counter) {
        counters_.add(counter);
        return Leave::kDropped;
    };
    switch (seal(packet)) {
        case ipsec::Verdict::kOutBypass:
            return Leave::kPlain;
        case ipsec::Verdict::kOutProtect:
            return Leave::kSealed;
        case ipsec::Verdict::kOutTooBig:
            return drop(Counter::kDropTooBig);
        default:
            return drop(Counter::kDropPolicyOut);
    }
}

SignallingSplit::Kind PacketPaths::unsealed_kind(const Packet& packet) const {
    using Kind = SignallingSplit::Kind;
    parse::Headers headers;
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone || headers.family != 6 ||
        ipv6_header(packet).destination != addresses_.home_agent ||
        headers.upper_offset + 4u > headers.end) {
        return Kind::kData;
    }
    const std::uint8_t* const upper = packet.data + headers.upper_offset;
    if (headers.protocol == number(IpProtocol::kMobility) && upper[2] == kBindingUpdateType) {
        return Kind::kBindingUpdate;
    }
    const bool solicits =
        headers.protocol == number(IpProtocol::kIcmpv6) && upper[0] == kMobilePrefixSolicitation;
    return solicits ? Kind::kPrefixSolicitation : Kind::kData;
}

bool PacketPaths::to_wire(Packet& packet, Leave leave, const Egress& way) {
    if (way.care_of.is_ipv4()) return to_wire4(packet, leave, way);
    const Ipv6Address& care_of_address = way.care_of.ipv6();
    if (leave == Leave::kSealed) {
        if (tunnel::rewrite_source_to_care_of_address({packet.data, packet.length},
                                                      addresses_.home_address, care_of_address)) {
            return true;
        }
        counters_.add(Counter::kDropPolicyOut);
        return false;
    }
    // Of the home address alone: nodes of a mobile network have no care-of address.
    if (correspondents_ != nullptr &&
        tunnel::source_of(packet.bytes()) == addresses_.home_address) {
        switch (correspondents_->take(packet, care_of_address)) {
            case CorrespondentRoutes::Taken::kNo:
                break;
            case CorrespondentRoutes::Taken::kYes:
                counters_.add(Counter::kDirectSent);
                return true;
            case CorrespondentRoutes::Taken::kTooBig:
                counters_.add(Counter::kDropTooBig);
                return false;
            case CorrespondentRoutes::Taken::kNoRoom:
                counters_.add(Counter::kDropMalformed);
                return false;
        }
    }
    const tunnel::Ipv6Tunnel header{care_of_address, addresses_.home_agent, hop_limit_,
                                    tunnel::Dscp::kUniform};
    // P15: the checksum is not optional there.
    const tunnel::UdpTunnel udp{way.udp_port, tunnel::kDsmipPort, true};
    const auto done = way.encapsulation == mip6::Encapsulation::kUdpIpv6
                          ? tunnel::encapsulate_in_udp_ipv6(packet, header, udp)
                          : tunnel::encapsulate_in_ipv6(packet, header);
    if (done == tunnel::EncapsulateError::kNone) return true;
    counters_.add(Counter::kDropTooBig);
    return false;
}

bool PacketPaths::signalling_to_wire(Packet& packet, SignallingSplit::Kind kind,
                                     const std::optional<Egress>& way) {
    if (!way) return true;
    const bool over_ipv4 = way->care_of.is_ipv4();
    if (over_ipv4 && kind == SignallingSplit::Kind::kBindingUpdate) {
        return in_udp(packet, *way, true);
    }
    const Ipv6Address& source = over_ipv4 ? addresses_.home_address : way->care_of.ipv6();
    if (!tunnel::insert_home_address_option(packet, source)) {
        counters_.add(Counter::kDropMalformed);
        return false;
    }
    return !over_ipv4 || to_wire4(packet, Leave::kPlain, *way);
}

// ------------------------------------------------------------------------------------- inbound

PacketPaths::Arrival PacketPaths::dropped(Counter counter) {
    counters_.add(counter);
    return {};
}

PacketPaths::Arrival PacketPaths::inbound(Packet& packet) {
    if (packet.length >= sizeof(Ipv4Header) && packet.data[0] >> 4 == 4) return inbound4(packet);
    if (packet.length < sizeof(Ipv6Header) || packet.data[0] >> 4 != 6) {
        return dropped(Counter::kInMalformed);
    }
    const Ipv6Header& ip = ipv6_header(packet);
    const std::uint8_t protocol = ip.next_header;
    if (protocol == number(IpProtocol::kEsp)) return sealed(packet);
    if (protocol == number(IpProtocol::kMobility) && ip.destination == addresses_.home_address) {
        const Arrival arrival = through_ipsec(packet);
        // At home the kernel has it without us.
        return arrival.what == Arrived::kPayload ? dropped(Counter::kInNotCareOf) : arrival;
    }
    // What else comes here is meant for the kernel or for others, unless the home agent sent it to
    // a care-of address (RFC 6275 section 11.3.3).
    if (!is_care_of_address(ip.destination)) return dropped(Counter::kInNotCareOf);
    if (ip.source != addresses_.home_agent) return from_correspondent(packet);
    if (protocol == number(IpProtocol::kRouting)) return routed(packet);
    if (protocol == number(IpProtocol::kIpv6) || protocol == number(IpProtocol::kIpv4)) {
        return tunnelled(packet, sizeof(Ipv6Header), protocol);
    }
    if (protocol == number(IpProtocol::kUdp)) return udp(packet, sizeof(Ipv6Header));
    return dropped(Counter::kInUnexpected);
}

// To a care-of address and not from the home agent: what route optimisation brings along. Care-of
// tests and Binding Errors are for the care-of address itself, so no policy of the home address is
// about them; the protocol looks after them (S1-SPD entry 5).
PacketPaths::Arrival PacketPaths::from_correspondent(Packet& packet) {
    if (correspondents_ == nullptr) return dropped(Counter::kInNotHomeAgent);
    const Ipv6Header& ip = ipv6_header(packet);
    if (ip.next_header == number(IpProtocol::kMobility)) {
        counters_.add(Counter::kSignallingReceived);
        return {Arrived::kSignalling, false};
    }
    if (ip.next_header != number(IpProtocol::kRouting)) return dropped(Counter::kInNotHomeAgent);
    const Ipv6Address source = ip.source;
    const Arrival arrival = routed(packet);
    if (arrival.what != Arrived::kPayload) return arrival;
    if (!correspondents_->expects(source)) return dropped(Counter::kInNotCorrespondent);
    counters_.add(Counter::kDirectReceived);
    return arrival;
}

PacketPaths::Arrival PacketPaths::tunnelled(Packet& packet, std::uint16_t inner_offset,
                                            std::uint8_t protocol) {
    switch (tunnel::decapsulate(packet, inner_offset, protocol)) {
        case tunnel::DecapsulateError::kNone:
            break;
        case tunnel::DecapsulateError::kEcn:
            return dropped(Counter::kInEcn);
        case tunnel::DecapsulateError::kMalformed:
            return dropped(Counter::kInMalformed);
    }
    if (packet.data[0] >> 4 == 4) {
        const Ipv4Address& destination = ipv4_header(packet).destination;
        if (addresses_.ipv4_home_address != destination && !network_.holds(destination)) {
            return dropped(Counter::kInInnerAddress);
        }
    } else if (const Ipv6Header& inner = ipv6_header(packet);
               (inner.destination != addresses_.home_address &&
                !network_.holds(inner.destination)) ||
               inner.source.is_link_local()) {
        return dropped(Counter::kInInnerAddress);
    } else if (ipv6_header(packet).source == addresses_.home_agent &&
               ipv6_header(packet).next_header == number(IpProtocol::kRouting)) {
        // Over IPv4: a prefix advertisement (P7), and a home agent that sends acknowledgements so.
        return routed(packet);
    }
    const Arrival arrival = through_ipsec(packet);
    if (arrival.what == Arrived::kPayload) counters_.add(Counter::kTunnelReceived);
    return arrival;
}

PacketPaths::Arrival PacketPaths::routed(Packet& packet) {
    parse::Headers headers;
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone) {
        return dropped(Counter::kRoutingHeaderBad);
    }
    switch (tunnel::undo_type2_routing_header(packet, headers, addresses_.home_address)) {
        case tunnel::RoutingHeaderResult::kUndone: {
            Arrival arrival = through_ipsec(packet);
            arrival.had_routing_header = true;
            return arrival;
        }
        case tunnel::RoutingHeaderResult::kBad:
            return dropped(Counter::kRoutingHeaderBad);
        case tunnel::RoutingHeaderResult::kNone:
            break;
    }
    return dropped(Counter::kInUnexpected);
}

// ESP that is not between home agent and home address belongs to the host's own IPsec.
PacketPaths::Arrival PacketPaths::sealed(Packet& packet) {
    const Ipv6Header& ip = ipv6_header(packet);
    if (ip.source != addresses_.home_agent) return dropped(Counter::kInNotHomeAgent);
    if (is_care_of_address(ip.destination)) {
        const Ipv6Address care_of_address = ip.destination;
        (void)tunnel::rewrite_destination_to_home_address({packet.data, packet.length},
                                                          care_of_address, addresses_.home_address);
    }
    if (ip.destination != addresses_.home_address) return dropped(Counter::kInNotCareOf);
    const Arrival arrival = through_ipsec(packet);
    if (arrival.what == Arrived::kPayload) counters_.add(Counter::kTunnelReceived);
    return arrival;
}

PacketPaths::Arrival PacketPaths::through_ipsec(Packet& packet) {
    parse::Headers headers;
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone) {
        return dropped(Counter::kInMalformed);
    }
    // End-to-end ESP of a correspondent is payload (S1.12).
    const bool is_esp = headers.protocol == number(IpProtocol::kEsp);
    if (is_esp && (headers.family != 6 || ipv6_header(packet).source != addresses_.home_agent)) {
        return {Arrived::kPayload, false};
    }
    // Whatever the wire brings: a care-of address goes neither into IPsec nor out of it (S1.21).
    if (!is_normal_form(packet)) return dropped(Counter::kInCareOfAddress);
    std::array<Packet*, 1> packets{&packet};
    std::array<ipsec::Verdict, 1> verdicts{};
    engine_.inbound(packets, verdicts);
    if (!ipsec::passes(verdicts[0])) return dropped(Counter::kInPolicy);
    if (!is_normal_form(packet)) return dropped(Counter::kInCareOfAddress);
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone) {
        return dropped(Counter::kInMalformed);
    }
    const bool is_protected = verdicts[0] == ipsec::Verdict::kInOk;
    if (is_signalling(packet, headers)) {
        counters_.add(Counter::kSignallingReceived);
        return {Arrived::kSignalling, is_protected};
    }
    // The SAs of a dynamic IPv4 home address take any.
    if (headers.family == 4 && addresses_.ipv4_home_address &&
        ipv4_header(packet).destination != *addresses_.ipv4_home_address &&
        !network_.holds(ipv4_header(packet).destination)) {
        return dropped(Counter::kInInnerAddress);
    }
    return {Arrived::kPayload, is_protected};
}

}  // namespace homeport::mobile_node
