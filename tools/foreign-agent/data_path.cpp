// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/data_path.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/traffic_class.hpp"

namespace homeport::foreign_agent {

namespace {

using mip4::Encapsulation;
using mip4::Visitor;

constexpr std::size_t kHeadroom = 64;
constexpr std::size_t kLeastMtu = 68;  // RFC 791

std::size_t overhead_of(Encapsulation encapsulation, bool udp) {
    switch (encapsulation) {
        case Encapsulation::kGre:
            return udp ? tunnel::kMipUdpGreOverhead : tunnel::kGreOverhead;
        case Encapsulation::kMinimal:
            return udp ? tunnel::kMipUdpMinimalOverhead : tunnel::kMinimalOverhead;
        case Encapsulation::kIpInIp:
            break;
    }
    return udp ? tunnel::kMipUdpOverhead : tunnel::kIpv4TunnelOverhead;
}

Octets copy(ConstByteSpan bytes) {
    return {bytes.begin(), bytes.end()};
}

bool is_fragment(ConstByteSpan packet) {
    return header_of(packet).is_fragment();
}

}  // namespace

DataPath::DataPath(mip4::ForeignAgentService& service, mip4::ForeignAgentCounters& counters,
                   Options options)
    : service_(service), counters_(counters), options_(std::move(options)) {}

// --------------------------------------------------------------------------- from the home agent

std::expected<DataPath::Inner, DataPath::Count> DataPath::undo(ConstByteSpan packet) {
    const auto drop = [](Count counter) { return std::unexpected(counter); };
    const Ipv4Header& outer = header_of(packet);
    Inner inner;
    inner.outer_tos = outer.tos;
    std::size_t at = outer.header_length();
    std::uint8_t protocol = outer.protocol;
    if (protocol == number(IpProtocol::kUdp)) {
        const ConstByteSpan udp = packet.subspan(at);
        if (udp.size() < sizeof(UdpHeader)) return drop(Count::kInMalformed);
        const auto data = tunnel::read_tunnel_data(udp.subspan(sizeof(UdpHeader)));
        if (!data.well_formed) return drop(Count::kInMalformed);
        inner.udp = true;
        inner.source_port = load_be16(udp.data());
        protocol = data.next_header;
        at += sizeof(UdpHeader) + tunnel::TunnelData::kLength;
    }
    if (protocol == number(IpProtocol::kMinimalEncapsulation)) {
        const auto header = tunnel::read_minimal(packet.subspan(at));
        if (header.error != tunnel::MinimalError::kNone) return drop(Count::kInMinimal);
        inner.encapsulation = Encapsulation::kMinimal;
        inner.has_own_tos = false;
        inner.packet = copy(packet);
        homeport::Packet whole{inner.packet.data(), static_cast<std::uint32_t>(inner.packet.size()),
                               0, 0};
        tunnel::undo_minimal(whole, static_cast<std::uint16_t>(at), header);
        inner.packet.erase(inner.packet.begin(),
                           inner.packet.begin() + (whole.data - inner.packet.data()));
    } else {
        if (protocol == number(IpProtocol::kGre)) {
            const auto header = tunnel::read_gre(packet.subspan(at));
            if (header.error == tunnel::GreError::kTruncated) return drop(Count::kInMalformed);
            if (header.error != tunnel::GreError::kNone) return drop(Count::kInGre);
            inner.encapsulation = Encapsulation::kGre;
            at += header.length;
        } else if (protocol != number(IpProtocol::kIpv4)) {
            return drop(inner.udp ? Count::kInMode : Count::kInMalformed);
        }
        inner.packet = copy(packet.subspan(at));
    }
    const auto whole = whole_packet(inner.packet);
    if (!whole) return drop(Count::kInMalformed);
    inner.packet.resize(whole->size());
    return inner;
}

/// The encapsulation that was agreed on; IP in IP is what every home agent may fall back to, for
/// fragments that minimal encapsulation cannot take. RFC 3519 section 3.3 is strict.
bool DataPath::fits(const Visitor& visitor, const Inner& inner) const {
    if (inner.udp != visitor.udp) return false;
    if (inner.udp) {
        return inner.encapsulation == visitor.encapsulation ||
               (visitor.encapsulation == Encapsulation::kMinimal &&
                inner.encapsulation == Encapsulation::kIpInIp);
    }
    switch (inner.encapsulation) {
        case Encapsulation::kGre:
            return visitor.gre && service_.config().gre;
        case Encapsulation::kMinimal:
            return visitor.minimal && service_.config().minimal;
        case Encapsulation::kIpInIp:
            break;
    }
    return true;
}

void DataPath::from_tunnel(ConstByteSpan packet, mip4::TimePoint now, Outbox& out) {
    counters_.add(Count::kTunnelReceived);
    const auto outer = whole_packet(packet);
    if (!outer) return counters_.add(Count::kInMalformed);
    const Ipv4Header& header = header_of(*outer);
    auto inner = undo(*outer);
    if (!inner) return counters_.add(inner.error());
    const Ipv4Header& about = header_of(inner->packet);
    const Visitor* const visitor = service_.find(about.destination, header.source);
    if (visitor == nullptr) return counters_.add(Count::kInNoVisitor);
    if (visitor->co_located) return counters_.add(Count::kInCoLocated);
    if (header.destination != visitor->care_of_address) return counters_.add(Count::kInNotCareOf);
    if (!fits(*visitor, *inner)) return counters_.add(Count::kInMode);
    if (inner->udp && inner->source_port != visitor->home_agent_port) {
        return counters_.add(Count::kInSource);
    }
    const ConstByteSpan icmp = payload_of(inner->packet);
    constexpr std::uint8_t kEchoReply = 0;
    if (visitor->udp && about.protocol == number(IpProtocol::kIcmp) && !about.is_fragment() &&
        about.source == visitor->home_agent && icmp.size() >= sizeof(IcmpHeader) &&
        icmp[0] == kEchoReply && load_be16(icmp.data() + 4) == options_.keepalive_identifier) {
        counters_.add(Count::kInKeepalive);
        return service_.keepalive_answered(visitor->home_address, visitor->home_agent);
    }
    if (inner->has_own_tos) {
        const std::uint8_t ecn = tunnel::egress_ecn(about.tos, inner->outer_tos);
        if (ecn == tunnel::kEcnDrop) return counters_.add(Count::kInEcn);
        if (ecn != (about.tos & tunnel::kEcnMask)) {
            set_tos(inner->packet,
                    static_cast<std::uint8_t>((about.tos & ~tunnel::kEcnMask) | ecn));
        }
    }
    deliver(*visitor, std::move(inner->packet), now, out);
}

void DataPath::deliver(const Visitor& visitor, Octets packet, mip4::TimePoint now, Outbox& out) {
    if (!decrement_ttl(packet)) {
        counters_.add(Count::kInTtl);
        return tell_sender(visitor, IcmpError::kTimeExceeded, 0, packet, now, out);
    }
    const std::size_t mtu = std::max(options_.link_mtu[visitor.link], kLeastMtu);
    if (packet.size() > mtu && header_of(packet).dont_fragment()) {
        counters_.add(Count::kInTooBig);
        return tell_sender(visitor, IcmpError::kTooBig, mtu, packet, now, out);
    }
    auto pieces = fragment(packet, mtu);
    counters_.add(Count::kTunnelFragments, pieces.size() - 1);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        out.frames.push_back({visitor.link, visitor.mac, std::move(pieces[i]), i == 0});
    }
}

// ------------------------------------------------------------------------------ from the visitor

bool DataPath::from_visitor(std::size_t link, const MacAddress& mac, ConstByteSpan bytes,
                            bool is_ours, mip4::TimePoint now, Outbox& out) {
    if (bytes.size() < sizeof(Ipv4Header) || bytes[0] >> 4 != 4) return false;
    const Ipv4Address source = header_of(bytes).source;
    if (!service_.has_visitor(link, source)) return false;
    const Visitor* const visitor = service_.find(link, mac, source);
    const bool is_encapsulated =
        header_of(bytes).protocol == number(IpProtocol::kIpv4) ||
        header_of(bytes).protocol == number(IpProtocol::kGre) ||
        header_of(bytes).protocol == number(IpProtocol::kMinimalEncapsulation);
    if (is_ours && !is_encapsulated) return false;
    const auto drop = [&](Count counter) {
        counters_.add(counter);
        return true;
    };
    if (visitor == nullptr) {
        counters_.add(Count::kVisitorReceived);
        return drop(Count::kOutMac);
    }
    if (visitor->co_located) return false;
    counters_.add(Count::kVisitorReceived);
    const auto whole = whole_packet(bytes);
    if (!whole) return drop(Count::kOutMalformed);
    if (!is_ours) {
        if (visitor->reverse_tunnel && !visitor->encapsulating_delivery) {
            tunnel(*visitor, copy(*whole), now, out);
        } else {
            route(*visitor, copy(*whole), now, out);
        }
        return true;
    }
    // RFC 3024 section 5.2: put into a tunnel to us, what is inside goes into the one to its home.
    if (!visitor->reverse_tunnel || !visitor->encapsulating_delivery) return drop(Count::kOutStyle);
    if (is_fragment(*whole)) return drop(Count::kOutMalformed);
    auto inner = undo(*whole);
    if (!inner) return drop(Count::kOutMalformed);
    if (header_of(inner->packet).source != visitor->home_address) return drop(Count::kOutInner);
    if (inner->has_own_tos) {
        const std::uint8_t tos = header_of(inner->packet).tos;
        const std::uint8_t ecn = tunnel::egress_ecn(tos, inner->outer_tos);
        if (ecn == tunnel::kEcnDrop) return drop(Count::kOutEcn);
        set_tos(inner->packet, static_cast<std::uint8_t>((tos & ~tunnel::kEcnMask) | ecn));
    }
    tunnel(*visitor, std::move(inner->packet), now, out);
    return true;
}

void DataPath::group_from_visitor(std::size_t link, const MacAddress& mac, ConstByteSpan bytes) {
    const auto whole = whole_packet(bytes);
    if (!whole) return;
    const Visitor* const visitor = service_.find(link, mac, header_of(*whole).source);
    if (visitor == nullptr || visitor->co_located || !visitor->reverse_tunnel) return;
    const Ipv4Address& group = header_of(*whole).destination;
    const bool is_of_link = group.is_broadcast() ||
                            (group.bytes[0] == 224 && group.bytes[1] == 0 && group.bytes[2] == 0);
    if (is_of_link) return;
    counters_.add(Count::kVisitorReceived);
    counters_.add(Count::kOutStyle);
}

void DataPath::route(const Visitor& visitor, Octets packet, mip4::TimePoint now, Outbox& out) {
    if (!decrement_ttl(packet)) {
        counters_.add(Count::kOutTtl);
        return tell_visitor(visitor, IcmpError::kTimeExceeded, 0, packet, now, out);
    }
    out.packets.push_back({std::move(packet), Outbox::Packet::Kind::kForwarded});
}

void DataPath::tunnel(const Visitor& visitor, Octets packet, mip4::TimePoint now, Outbox& out) {
    if (!decrement_ttl(packet)) {
        counters_.add(Count::kOutTtl);
        return tell_visitor(visitor, IcmpError::kTimeExceeded, 0, packet, now, out);
    }
    const std::size_t path = options_.path_mtu(visitor.care_of_address, visitor.home_agent);
    // Pieces are made before the tunnel (RFC 3519 section 4.8 MUST, RFC 2003 section 5.1), and
    // minimal encapsulation takes no pieces: they go as IP in IP.
    std::size_t overhead = overhead_of(visitor.encapsulation, visitor.udp);
    const bool in_pieces = packet.size() + overhead > path || is_fragment(packet);
    if (in_pieces && visitor.encapsulation == Encapsulation::kMinimal) {
        overhead = overhead_of(Encapsulation::kIpInIp, visitor.udp);
    }
    const std::size_t mtu = std::max(path > overhead ? path - overhead : 0, kLeastMtu);
    if (packet.size() > mtu && header_of(packet).dont_fragment()) {
        counters_.add(Count::kOutTooBig);
        const std::size_t most =
            std::max(path - overhead_of(visitor.encapsulation, visitor.udp), kLeastMtu);
        return tell_visitor(visitor, IcmpError::kTooBig, most, packet, now, out);
    }
    auto pieces = fragment(packet, mtu);
    counters_.add(Count::kVisitorFragments, pieces.size() - 1);
    bool is_first = true;
    for (Octets& piece : pieces) {
        auto outer = encapsulate(visitor, std::move(piece), path);
        if (!outer) {
            if (is_first) counters_.add(Count::kOutMalformed);
            return;
        }
        out.packets.push_back({std::move(*outer), is_first ? Outbox::Packet::Kind::kTunnelled
                                                           : Outbox::Packet::Kind::kOwn});
        is_first = false;
    }
    service_.tunnel_used(visitor.home_address, visitor.home_agent, now);
}

std::optional<Octets> DataPath::encapsulate(const Visitor& visitor, Octets inner,
                                            std::size_t path_mtu) {
    Octets buffer(kHeadroom);
    buffer.insert(buffer.end(), inner.begin(), inner.end());
    homeport::Packet packet{buffer.data() + kHeadroom, static_cast<std::uint32_t>(inner.size()),
                            kHeadroom, 0};
    const tunnel::Ipv4Tunnel ends{visitor.care_of_address, visitor.home_agent};
    const auto mtu = static_cast<std::uint32_t>(path_mtu);
    const std::uint16_t id = identification_++;
    const bool can_be_minimal =
        visitor.encapsulation == Encapsulation::kMinimal && !is_fragment(inner);
    const bool is_gre = visitor.encapsulation == Encapsulation::kGre;
    bool done = false;
    if (visitor.udp) {
        const tunnel::UdpTunnel udp{tunnel::kMip4Port, visitor.home_agent_port};
        const auto kind = is_gre           ? tunnel::Mip4Encapsulation::kGre
                          : can_be_minimal ? tunnel::Mip4Encapsulation::kMinimal
                                           : tunnel::Mip4Encapsulation::kIpInIp;
        done = tunnel::encapsulate_in_mip_udp(packet, ends, udp, kind, id, mtu) ==
               tunnel::Mip4TunnelError::kNone;
    } else if (is_gre) {
        done = tunnel::encapsulate_in_gre(packet, ends, id, mtu) == tunnel::Mip4TunnelError::kNone;
    } else if (can_be_minimal) {
        done = tunnel::encapsulate_minimally(packet, ends.source, ends.destination) ==
               tunnel::Mip4TunnelError::kNone;
    } else {
        done =
            tunnel::encapsulate_in_ipv4(packet, ends, id, mtu) == tunnel::EncapsulateError::kNone;
    }
    if (!done) return {};
    return Octets(packet.data, packet.data + packet.length);
}

void DataPath::keepalive(const Visitor& visitor, std::uint16_t sequence, Outbox& out) {
    auto outer = encapsulate(visitor,
                             echo_request(visitor.home_address, visitor.home_agent,
                                          options_.keepalive_identifier, sequence),
                             options_.path_mtu(visitor.care_of_address, visitor.home_agent));
    if (outer) out.packets.push_back({std::move(*outer), Outbox::Packet::Kind::kOwn});
}

// ------------------------------------------------------------------------------------------ ICMP

bool DataPath::may_send_error(mip4::TimePoint now) {
    const bool may = errors_.take(now);
    counters_.add(may ? Count::kIcmpSent : Count::kIcmpLimited);
    return may;
}

void DataPath::tell_visitor(const Visitor& visitor, IcmpError error, std::size_t mtu,
                            ConstByteSpan packet, mip4::TimePoint now, Outbox& out) {
    auto made = icmp_error(error, static_cast<std::uint16_t>(mtu),
                           service_.config().link_addresses[visitor.link], packet);
    if (!made || !may_send_error(now)) return;
    out.frames.push_back({visitor.link, visitor.mac, std::move(*made), false});
}

void DataPath::tell_sender(const Visitor& visitor, IcmpError error, std::size_t mtu,
                           ConstByteSpan packet, mip4::TimePoint now, Outbox& out) {
    auto made = icmp_error(error, static_cast<std::uint16_t>(mtu), visitor.care_of_address, packet);
    if (!made || !may_send_error(now)) return;
    out.packets.push_back({std::move(*made), Outbox::Packet::Kind::kOwn});
}

}  // namespace homeport::foreign_agent
