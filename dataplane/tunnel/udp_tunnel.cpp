// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/udp_tunnel.hpp"

#include "dataplane/base/checksum.hpp"

namespace homeport::tunnel {

namespace {

constexpr std::uint16_t kEspHeaderLength = 8;
constexpr std::uint8_t kKeepaliveOctet = 0xff;

template <class Address>
std::uint16_t sum_over(const Address& source, const Address& destination, ConstByteSpan octets) {
    const auto length = static_cast<std::uint16_t>(octets.size());
    return checksum_finish(checksum_add(
        pseudo_header_sum(source, destination, length, number(IpProtocol::kUdp)), octets));
}

/// Of a datagram that may be shorter than the octets that follow its header.
ConstByteSpan covered(ConstByteSpan datagram) {
    return datagram.first(reinterpret_cast<const UdpHeader*>(datagram.data())->length.host());
}

std::uint16_t never_zero(std::uint16_t checksum) {
    return checksum == 0 ? std::uint16_t{0xffff} : checksum;
}

std::uint16_t checksum_field(ConstByteSpan datagram) {
    return reinterpret_cast<const UdpHeader*>(datagram.data())->checksum.host();
}

}  // namespace

UdpDatagram read_udp(ConstByteSpan datagram) {
    UdpDatagram udp;
    if (datagram.size() < sizeof(UdpHeader)) return udp;
    const auto& header = *reinterpret_cast<const UdpHeader*>(datagram.data());
    udp.source_port = header.source_port.host();
    udp.destination_port = header.destination_port.host();
    const std::uint16_t length = header.length.host();
    if (length < sizeof(UdpHeader) || length > datagram.size()) return udp;
    udp.payload = datagram.first(length).subspan(sizeof(UdpHeader));
    udp.well_formed = true;
    return udp;
}

bool udp_checksum_holds(const Ipv4Address& source, const Ipv4Address& destination,
                        ConstByteSpan datagram) {
    return checksum_field(datagram) == 0 || sum_over(source, destination, covered(datagram)) == 0;
}

bool udp_checksum_holds(const Ipv6Address& source, const Ipv6Address& destination,
                        ConstByteSpan datagram) {
    return checksum_field(datagram) != 0 && sum_over(source, destination, covered(datagram)) == 0;
}

std::uint16_t udp_checksum(const Ipv4Address& source, const Ipv4Address& destination,
                           ConstByteSpan datagram) {
    return never_zero(sum_over(source, destination, datagram));
}

std::uint16_t udp_checksum(const Ipv6Address& source, const Ipv6Address& destination,
                           ConstByteSpan datagram) {
    return never_zero(sum_over(source, destination, datagram));
}

UdpTunnelPayload read_udp_tunnel_payload(ConstByteSpan payload, bool tlv_allowed) {
    using Kind = UdpTunnelPayload::Kind;
    if (payload.empty()) return {Kind::kShort};
    switch (payload[0] >> 4) {
        case 6:
            return {Kind::kIp, number(IpProtocol::kIpv6), 0};
        case 4:
            return {Kind::kIp, number(IpProtocol::kIpv4), 0};
        case 0:  // type 0 of RFC 5845
            break;
        default:
            return {Kind::kBadVersion};
    }
    if (!tlv_allowed) return {Kind::kBadVersion};
    if (payload.size() <= kTlvHeaderLength) return {Kind::kShort};
    if (load_be16(payload.data() + 2) != payload.size() - kTlvHeaderLength) return {Kind::kShort};
    const std::uint8_t protocol = payload[1];
    const int version = payload[kTlvHeaderLength] >> 4;
    const bool agrees = (protocol == number(IpProtocol::kIpv6) && version == 6) ||
                        (protocol == number(IpProtocol::kIpv4) && version == 4);
    if (!agrees) return {Kind::kBadVersion};
    return {Kind::kIp, protocol, kTlvHeaderLength};
}

void write_tlv_header(std::uint8_t* at, std::uint8_t protocol, std::uint16_t length) {
    at[0] = 0;
    at[1] = protocol;
    store_be16(at + 2, length);
}

Udp4500Payload classify_udp4500(ConstByteSpan payload) {
    if (payload.size() == 1 && payload[0] == kKeepaliveOctet) return Udp4500Payload::kKeepalive;
    if (payload.size() < sizeof(std::uint32_t)) return Udp4500Payload::kBad;
    if (load_be32(payload.data()) == 0) {
        return payload.size() > sizeof(std::uint32_t) ? Udp4500Payload::kIke : Udp4500Payload::kBad;
    }
    return payload.size() >= kEspHeaderLength ? Udp4500Payload::kEsp : Udp4500Payload::kBad;
}

}  // namespace homeport::tunnel
