// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/layers.hpp"

#include <array>

#include "controlplane/wire/mip4_messages.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "tools/mobile-node/mip4/packets.hpp"

namespace homeport::mobile_node {

namespace {

using mip4::Leg;
using mip4::MobileTunnel;

const Ipv4Header& header_of(const Packet& packet) {
    return *reinterpret_cast<const Ipv4Header*>(packet.data);
}

tunnel::Mip4Encapsulation wire_form(mip4::Encapsulation encapsulation) {
    return static_cast<tunnel::Mip4Encapsulation>(encapsulation);
}

bool is_tunnel_protocol(std::uint8_t protocol) {
    return protocol == number(IpProtocol::kIpv4) || protocol == number(IpProtocol::kGre) ||
           protocol == number(IpProtocol::kMinimalEncapsulation);
}

Counter counter_of(tunnel::GreError error) {
    switch (error) {
        case tunnel::GreError::kFlags:
            return Counter::kInGreFlags;
        case tunnel::GreError::kVersion:
            return Counter::kInGreVersion;
        case tunnel::GreError::kProtocol:
            return Counter::kInGreProtocol;
        case tunnel::GreError::kChecksum:
            return Counter::kInGreChecksum;
        case tunnel::GreError::kNone:
        case tunnel::GreError::kTruncated:
            break;
    }
    return Counter::kInMalformed;
}

}  // namespace

Layers::Layers(const mip4::MobileNode& node, ipsec::Processor* vpn, const Options& options,
               Counters& counters)
    : node_(node), vpn_(vpn), options_(options), counters_(counters) {}

// ------------------------------------------------------------------------------------ outbound

bool Layers::wrap(Packet& packet, const MobileTunnel& tunnel, std::uint16_t source_port,
                  std::uint32_t path_mtu) {
    const tunnel::Ipv4Tunnel ends{tunnel.care_of.address, tunnel.home_agent, options_.ttl,
                                  tunnel::Dscp::kUniform};
    const tunnel::UdpTunnel udp{source_port, tunnel::kMip4Port, false};
    const auto put = [&](tunnel::Mip4Encapsulation form) {
        using tunnel::Mip4Encapsulation;
        if (tunnel.udp) {
            return tunnel::encapsulate_in_mip_udp(packet, ends, udp, form, identification_++,
                                                  path_mtu);
        }
        if (form == Mip4Encapsulation::kGre) {
            return tunnel::encapsulate_in_gre(packet, ends, identification_++, path_mtu);
        }
        if (form == Mip4Encapsulation::kMinimal) {
            return tunnel::encapsulate_minimally(packet, ends.source, ends.destination);
        }
        return tunnel::encapsulate_in_ipv4(packet, ends, identification_++, path_mtu) ==
                       tunnel::EncapsulateError::kNone
                   ? tunnel::Mip4TunnelError::kNone
                   : tunnel::Mip4TunnelError::kNoRoom;
    };
    auto error = put(wire_form(tunnel.encapsulation));
    if (error == tunnel::Mip4TunnelError::kFragmented) {
        counters_.add(Counter::kFragmentFallback);
        error = put(tunnel::Mip4Encapsulation::kIpInIp);
    }
    if (error == tunnel::Mip4TunnelError::kNone) return true;
    counters_.add(Counter::kDropTooBig);
    return false;
}

bool Layers::seal(Packet& packet) {
    if (vpn_ == nullptr) {
        counters_.add(Counter::kDropPolicyOut);
        return false;
    }
    std::array<Packet*, 1> packets{&packet};
    std::array<ipsec::Verdict, 1> verdicts{};
    vpn_->outbound(packets, verdicts);
    // S2.96: what the policy lets by is not for this way, either.
    if (verdicts[0] != ipsec::Verdict::kOutProtect) {
        counters_.add(verdicts[0] == ipsec::Verdict::kOutTooBig ? Counter::kDropTooBig
                                                                : Counter::kDropPolicyOut);
        return false;
    }
    set_source(packet, node_.external_home_address());
    if (!options_.esp_in_udp || put_esp_in_udp(packet, kEspPort)) return true;
    counters_.add(Counter::kDropTooBig);
    return false;
}

std::optional<Exit> Layers::wrap_external(Packet& packet, const MobileTunnel& external,
                                          const Link& link) {
    if (!external.care_of.co_located) return Exit::kAgent;
    if (!external.reverse_tunnel) return Exit::kNative;
    if (!wrap(packet, external, link.udp_port, link.mtu)) return std::nullopt;
    return Exit::kCareOf;
}

std::optional<Exit> Layers::out_through_vpn(Packet& packet, const MobileTunnel& external,
                                            const Link& link) {
    if (!seal(packet)) return std::nullopt;
    return wrap_external(packet, external, link);
}

std::optional<Exit> Layers::out(Packet& packet, const mip4::Way& way, const Link& link) {
    if (way.home) return Exit::kNative;
    if (!way.vpn()) return wrap_external(packet, way.internal, link);
    if (!wrap(packet, way.internal, kInnerPort, link.mtu)) return std::nullopt;
    return out_through_vpn(packet, *way.external, link);
}

std::optional<Exit> Layers::out_by(Packet& packet, int interface, Leg leg, const Link& link) {
    const MobileTunnel* const tunnel = node_.tunnel(interface, leg);
    if (tunnel == nullptr) {
        counters_.add(Counter::kDropNoBinding);
        return std::nullopt;
    }
    if (leg != Leg::kInternalVpn) return wrap_external(packet, *tunnel, link);
    const MobileTunnel* const external = node_.tunnel(interface, Leg::kExternal);
    if (external == nullptr) {
        counters_.add(Counter::kDropNoBinding);
        return std::nullopt;
    }
    return out(packet, mip4::Way{interface, *tunnel, *external, false}, link);
}

// ------------------------------------------------------------------------------------- inbound

Layers::Arrival Layers::dropped(Counter counter) {
    counters_.add(counter);
    return {};
}

Layers::Arrival Layers::in(Packet& packet, int interface, bool native, mip4::TimePoint now) {
    const Ipv4Header* const ip = trim_ipv4(packet);
    if (ip == nullptr) return dropped(Counter::kInMalformed);
    const auto& attachment = node_.attachment(interface);
    if (!attachment) return dropped(Counter::kDropNoBinding);
    if (native) {
        if (attachment->care_of.co_located) return dropped(Counter::kInNotCareOf);
        return from_agent(packet, interface, now);
    }
    if (!attachment->care_of.co_located || ip->destination != attachment->care_of.address) {
        return dropped(Counter::kInNotCareOf);
    }
    return to_address(packet, interface, false, now);
}

// N7, N9: the foreign agent took the tunnel off.
Layers::Arrival Layers::from_agent(Packet& packet, int interface, mip4::TimePoint now) {
    const Ipv4Header& ip = header_of(packet);
    const bool of_agent = ip.source == node_.attachment(interface)->agent;
    if (of_agent && ip.protocol == number(IpProtocol::kUdp) && !ip.is_fragment()) {
        const auto read = tunnel::read_udp(packet.bytes().subspan(ip.header_length()));
        if (read.well_formed && read.source_port == wire::kMip4Port) {
            return udp(packet, interface, false, now);
        }
    }
    if (!ip.destination.is_unspecified() && ip.destination == node_.external_home_address()) {
        return sealed(packet, interface, now);
    }
    if (ip.destination.is_unspecified() || ip.destination != node_.home_address()) {
        return dropped(Counter::kInInnerAddress);
    }
    const Arrival arrival = user(interface, false, now);
    if (arrival.what == Arrived::kUser) counters_.add(Counter::kNativeReceived);
    return arrival;
}

// To the care-of address, or to the VPN-TIA out of the VPN.
Layers::Arrival Layers::to_address(Packet& packet, int interface, bool through_vpn,
                                   mip4::TimePoint now) {
    const Ipv4Header& ip = header_of(packet);
    if (ip.is_fragment()) return dropped(Counter::kInMalformed);
    if (ip.protocol == number(IpProtocol::kUdp)) return udp(packet, interface, through_vpn, now);
    if (!is_tunnel_protocol(ip.protocol)) return dropped(Counter::kInUnexpected);
    return tunnelled(packet, interface, through_vpn, ip.header_length(), ip.protocol, false, now);
}

Layers::Arrival Layers::udp(Packet& packet, int interface, bool through_vpn, mip4::TimePoint now) {
    const Ipv4Header& ip = header_of(packet);
    const ConstByteSpan datagram = packet.bytes().subspan(ip.header_length());
    const tunnel::UdpDatagram read = tunnel::read_udp(datagram);
    if (!read.well_formed || read.payload.empty() ||
        !tunnel::udp_checksum_holds(ip.source, ip.destination, datagram)) {
        return dropped(Counter::kInMalformed);
    }
    if (read.source_port != wire::kMip4Port) return dropped(Counter::kInNotHomeAgent);
    const std::uint32_t offset = ip.header_length() + std::uint32_t{sizeof(UdpHeader)};
    packet.set_length(static_cast<std::uint32_t>(offset + read.payload.size()));
    if (read.payload[0] != tunnel::TunnelData::kType) {
        return registration(packet, offset, through_vpn);
    }
    const tunnel::TunnelData data = tunnel::read_tunnel_data(read.payload);
    if (!data.well_formed || !is_tunnel_protocol(data.next_header)) {
        return dropped(Counter::kInMalformed);
    }
    return tunnelled(packet, interface, through_vpn, offset + tunnel::TunnelData::kLength,
                     data.next_header, true, now);
}

Layers::Arrival Layers::registration(Packet& packet, std::uint32_t offset, bool through_vpn) {
    Arrival arrival{Arrived::kRegistration, through_vpn, {}, header_of(packet).source};
    packet.cut_front(offset);
    return arrival;
}

// The outer source must be the home agent that this way was agreed with, and the form as agreed
// (RFC 5944 section 4.3, RFC 3519 section 4.3).
Layers::Arrival Layers::tunnelled(Packet& packet, int interface, bool through_vpn,
                                  std::uint32_t offset, std::uint8_t protocol, bool in_udp,
                                  mip4::TimePoint now) {
    const Ipv4Address source = header_of(packet).source;
    const auto from = [&](Leg leg) -> const MobileTunnel* {
        const MobileTunnel* const tunnel = node_.tunnel(interface, leg);
        return tunnel != nullptr && tunnel->home_agent == source ? tunnel : nullptr;
    };
    Leg leg = through_vpn ? Leg::kInternalVpn : Leg::kInternalDirect;
    const MobileTunnel* tunnel = from(leg);
    if (tunnel == nullptr && !through_vpn) tunnel = from(leg = Leg::kExternal);
    if (tunnel == nullptr) return dropped(Counter::kInNotHomeAgent);
    const bool is_agreed =
        protocol == static_cast<std::uint8_t>(tunnel->encapsulation) ||
        // What is a fragment already cannot go in the minimal form (RFC 2004 section 3).
        (tunnel->encapsulation == mip4::Encapsulation::kMinimal &&
         protocol == number(IpProtocol::kIpv4));
    if (in_udp != tunnel->udp || !is_agreed) return dropped(Counter::kInTunnelForm);
    if (const auto fault = unwrap(packet, offset, protocol)) return dropped(*fault);
    return inner(packet, interface, leg, now);
}

std::optional<Counter> Layers::unwrap(Packet& packet, std::uint32_t offset, std::uint8_t protocol) {
    const ConstByteSpan content = packet.bytes().subspan(offset);
    if (protocol == number(IpProtocol::kMinimalEncapsulation)) {
        const auto header = tunnel::read_minimal(content);
        if (header.error == tunnel::MinimalError::kLength) return Counter::kInMinimalLength;
        if (header.error == tunnel::MinimalError::kChecksum) return Counter::kInMinimalChecksum;
        tunnel::undo_minimal(packet, static_cast<std::uint16_t>(offset), header);
        return std::nullopt;
    }
    if (protocol == number(IpProtocol::kGre)) {
        const auto header = tunnel::read_gre(content);
        if (header.error != tunnel::GreError::kNone) return counter_of(header.error);
        offset += header.length;
    }
    switch (tunnel::decapsulate(packet, static_cast<std::uint16_t>(offset),
                                number(IpProtocol::kIpv4))) {
        case tunnel::DecapsulateError::kNone:
            return std::nullopt;
        case tunnel::DecapsulateError::kEcn:
            return Counter::kInEcn;
        case tunnel::DecapsulateError::kMalformed:
            break;
    }
    return Counter::kInMalformed;
}

Layers::Arrival Layers::inner(Packet& packet, int interface, Leg leg, mip4::TimePoint now) {
    const Ipv4Header* const ip = trim_ipv4(packet);
    if (ip == nullptr) return dropped(Counter::kInMalformed);
    const bool external = leg == Leg::kExternal;
    const Ipv4Address& home = external ? node_.external_home_address() : node_.home_address();
    if (home.is_unspecified() || ip->destination != home) return dropped(Counter::kInInnerAddress);
    const MobileTunnel* const tunnel = node_.tunnel(interface, leg);
    if (tunnel->udp && ip->source == tunnel->home_agent && is_echo_reply(packet.bytes())) {
        counters_.add(Counter::kUdp434KeepaliveAnswered);
        return {Arrived::kKeepalive, leg == Leg::kInternalVpn, leg, ip->source};
    }
    if (external) return sealed(packet, interface, now);
    const Arrival arrival = user(interface, leg == Leg::kInternalVpn, now);
    if (arrival.what != Arrived::kUser) return arrival;
    counters_.add(Counter::kTunnelReceived);
    if (arrival.through_vpn) counters_.add(Counter::kVpnReceived);
    return arrival;
}

// To the external home address: the VPN, and nothing else.
Layers::Arrival Layers::sealed(Packet& packet, int interface, mip4::TimePoint now) {
    const Ipv4Header& ip = header_of(packet);
    if (vpn_ == nullptr || ip.source != options_.vpn_gateway) {
        return dropped(Counter::kInNotHomeAgent);
    }
    if (ip.is_fragment()) return dropped(Counter::kInMalformed);
    if (ip.protocol == number(IpProtocol::kUdp)) {
        const auto read = tunnel::read_udp(packet.bytes().subspan(ip.header_length()));
        if (!read.well_formed || read.source_port != tunnel::kNatTraversalPort) {
            return dropped(Counter::kInUnexpected);
        }
        switch (tunnel::classify_udp4500(read.payload)) {
            case tunnel::Udp4500Payload::kEsp:
                break;
            case tunnel::Udp4500Payload::kKeepalive:
                return dropped(Counter::kEspKeepaliveReceived);
            case tunnel::Udp4500Payload::kIke:
                return dropped(Counter::kInIke);
            case tunnel::Udp4500Payload::kBad:
                return dropped(Counter::kInMalformed);
        }
        take_esp_out_of_udp(packet);
    } else if (ip.protocol != number(IpProtocol::kEsp)) {
        return dropped(Counter::kInPolicy);  // S2.96: nothing in the clear
    }
    std::array<Packet*, 1> packets{&packet};
    std::array<ipsec::Verdict, 1> verdicts{};
    vpn_->inbound(packets, verdicts);
    if (verdicts[0] != ipsec::Verdict::kInOk) return dropped(Counter::kInPolicy);
    const Ipv4Header* const inside = trim_ipv4(packet);
    if (inside == nullptr) return dropped(Counter::kInMalformed);
    if (inside->destination != options_.vpn_inner_address) {
        return dropped(Counter::kInInnerAddress);
    }
    return to_address(packet, interface, true, now);
}

// S2.50, S2.96: what comes in is held to the same rule as what goes out.
Layers::Arrival Layers::user(int interface, bool through_vpn, mip4::TimePoint now) {
    const mip4::UserData wanted = through_vpn ? mip4::UserData::kVpn : mip4::UserData::kPlaintext;
    if (node_.user_data(interface, now) == wanted) {
        return {Arrived::kUser, through_vpn, {}, {}};
    }
    switch (node_.state(interface)) {
        case mip4::NetworkState::kInside:
        case mip4::NetworkState::kInsideIdle:
        case mip4::NetworkState::kStale:
            return dropped(through_vpn ? Counter::kInState : Counter::kDropMonitor);
        default:
            return dropped(Counter::kInState);
    }
}

}  // namespace homeport::mobile_node
