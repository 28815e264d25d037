// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/encapsulate.hpp"

#include "dataplane/parse/options.hpp"

namespace homeport::tunnel {

namespace {

constexpr std::uint16_t kLimitHeaderLength = kEncapsulationLimitOverhead - kIpv6TunnelOverhead;

/// Destination options header with the limit and PadN(1) (RFC 2473 figure 4).
void write_limit_header(std::uint8_t* at, std::uint8_t next_header, std::uint8_t limit) {
    const std::uint8_t header[kLimitHeaderLength] = {
        next_header, 0,     parse::number(parse::OptionType::kTunnelEncapsulationLimit),
        1,           limit, parse::number(parse::OptionType::kPadN),
        1,           0};
    std::memcpy(at, header, sizeof header);
}

}  // namespace

EncapsulateError encapsulate_in_ipv6(Packet& packet, const Ipv6Tunnel& tunnel,
                                     std::optional<std::uint8_t> encapsulation_limit) {
    if (packet.length < sizeof(Ipv4Header)) return EncapsulateError::kNotIp;
    const std::uint8_t version = packet.data[0] >> 4;
    if (version != 4 && (version != 6 || packet.length < sizeof(Ipv6Header))) {
        return EncapsulateError::kNotIp;
    }
    const std::uint16_t overhead =
        encapsulation_limit ? kEncapsulationLimitOverhead : kIpv6TunnelOverhead;
    const std::uint32_t payload = packet.length + overhead - kIpv6TunnelOverhead;
    if (packet.headroom < overhead || payload > 0xffff) return EncapsulateError::kNoRoom;

    const std::uint8_t traffic_class =
        outer_traffic_class(traffic_class_of(packet.data), tunnel.dscp);
    std::uint8_t next_header = number(version == 6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4);
    if (encapsulation_limit) {
        packet.prepend(kLimitHeaderLength);
        write_limit_header(packet.data, next_header, *encapsulation_limit);
        next_header = number(IpProtocol::kDestinationOptions);
    }
    packet.prepend(kIpv6TunnelOverhead);
    write_ipv6_tunnel_header(packet.data, tunnel, traffic_class,
                             static_cast<std::uint16_t>(payload), next_header);
    return EncapsulateError::kNone;
}

std::optional<EncapsulationLimit> encapsulation_limit_of(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header) + 8 || packet[0] >> 4 != 6 ||
        packet[offsetof(Ipv6Header, next_header)] != number(IpProtocol::kDestinationOptions)) {
        return std::nullopt;
    }
    const ConstByteSpan behind = packet.subspan(sizeof(Ipv6Header));
    const std::size_t length = (behind[1] + std::size_t{1}) * 8;
    if (length > behind.size()) return std::nullopt;
    std::optional<EncapsulationLimit> found;
    const bool well_formed =
        parse::for_each_option(behind.first(length), [&](const parse::Option& option) {
            if (option.type != parse::number(parse::OptionType::kTunnelEncapsulationLimit) ||
                option.length != 1 || found) {
                return;
            }
            found = EncapsulationLimit{
                behind[option.offset + 2u],
                static_cast<std::uint16_t>(sizeof(Ipv6Header) + option.offset + 2)};
        });
    return well_formed ? found : std::nullopt;
}

}  // namespace homeport::tunnel
