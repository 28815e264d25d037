// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/icmp_message.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/parse/header_walk.hpp"

namespace homeport::forward {

namespace {

using stage::IcmpErrorKind;

constexpr std::uint8_t kHopLimit = 64;
constexpr std::uint8_t kInternetworkControl = 0xc0;  // precedence 6, RFC 1812 section 4.3.2.5
constexpr std::uint8_t kIcmpv6FirstInformational = 128;
constexpr std::uint8_t kIcmpv6Redirect = 137;
constexpr std::uint8_t kUnrecognizedOption = 2;

struct TypeAndCode {
    std::uint8_t type;
    std::uint8_t code;
};

TypeAndCode icmpv6_type(const IcmpError& error) {
    switch (error.kind) {
        case IcmpErrorKind::kTimeExceeded:
            return {3, error.code};
        case IcmpErrorKind::kPacketTooBig:
            return {2, 0};
        case IcmpErrorKind::kNoRoute:
            return {1, 0};
        case IcmpErrorKind::kAdminProhibited:
            return {1, 1};
        case IcmpErrorKind::kParameterProblem:
            return {4, error.code};
        case IcmpErrorKind::kAddressUnreachable:
        case IcmpErrorKind::kNone:
            break;
    }
    return {1, 3};
}

TypeAndCode icmpv4_type(const IcmpError& error) {
    switch (error.kind) {
        case IcmpErrorKind::kTimeExceeded:
            return {11, error.code};
        case IcmpErrorKind::kPacketTooBig:
            return {3, 4};
        case IcmpErrorKind::kNoRoute:
            return {3, 0};
        case IcmpErrorKind::kAdminProhibited:
            return {3, 13};
        case IcmpErrorKind::kParameterProblem:
            return {12, 0};
        case IcmpErrorKind::kAddressUnreachable:
        case IcmpErrorKind::kNone:
            break;
    }
    return {3, 1};
}

std::uint32_t icmpv6_data(const IcmpError& error) {
    const bool has_parameter = error.kind == IcmpErrorKind::kPacketTooBig ||
                               error.kind == IcmpErrorKind::kParameterProblem;
    return has_parameter ? error.parameter : 0;
}

std::uint32_t icmpv4_data(const IcmpError& error) {
    if (error.kind == IcmpErrorKind::kPacketTooBig) return error.parameter & 0xffff;
    if (error.kind == IcmpErrorKind::kParameterProblem) return error.parameter << 24;
    return 0;
}

std::optional<UpperLayer> find_in_ipv6(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header) || packet[0] >> 4 != 6) return std::nullopt;
    UpperLayer upper{packet[offsetof(Ipv6Header, next_header)], sizeof(Ipv6Header), false};
    for (unsigned count = 0; parse::is_extension_header(upper.protocol); ++count) {
        if (count == parse::kMaxExtensionHeaders || packet.size() < upper.offset + 8u) {
            return std::nullopt;
        }
        const std::uint8_t* const header = packet.data() + upper.offset;
        std::size_t length = (std::size_t{header[1]} + 1) * 8;
        if (upper.protocol == number(IpProtocol::kFragment)) {
            length = sizeof(FragmentHeader);
            upper.later_fragment = (load_be16(header + 2) & 0xfff8) != 0;
        }
        upper.protocol = header[0];
        upper.offset = static_cast<std::uint16_t>(upper.offset + length);
        if (upper.later_fragment) break;
    }
    return upper;
}

std::optional<UpperLayer> find_in_ipv4(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header) || packet[0] >> 4 != 4) return std::nullopt;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data());
    if (ip.header_length() < sizeof(Ipv4Header)) return std::nullopt;
    return UpperLayer{ip.protocol, ip.header_length(), (ip.flags_offset.host() & 0x1fff) != 0};
}

bool is_icmpv6_error(ConstByteSpan packet, const UpperLayer& upper) {
    if (upper.protocol != number(IpProtocol::kIcmpv6) || upper.later_fragment) return false;
    if (packet.size() <= upper.offset) return true;  // cannot be told: be silent
    const std::uint8_t type = packet[upper.offset];
    return type < kIcmpv6FirstInformational || type == kIcmpv6Redirect;
}

bool is_icmpv4_error(ConstByteSpan packet, const UpperLayer& upper) {
    if (upper.protocol != number(IpProtocol::kIcmp) || upper.later_fragment) return false;
    if (packet.size() <= upper.offset) return true;
    switch (packet[upper.offset]) {
        case 3:   // destination unreachable
        case 4:   // source quench
        case 5:   // redirect
        case 11:  // time exceeded
        case 12:  // parameter problem
            return true;
        default:
            return false;
    }
}

bool may_report_ipv6(ConstByteSpan packet, const IcmpError& error, bool to_group) {
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data());
    // RFC 4443 section 2.4(e.3), (e.4): path MTU discovery works for multicast too.
    const bool allowed_for_groups =
        error.kind == IcmpErrorKind::kPacketTooBig ||
        (error.kind == IcmpErrorKind::kParameterProblem && error.code == kUnrecognizedOption);
    if ((ip.destination.is_multicast() || to_group) && !allowed_for_groups) return false;
    const Ipv6Address& source = ip.source;
    return !source.is_multicast() && !source.is_unspecified() && !source.is_loopback() &&
           !source.is_v4_mapped();
}

bool may_report_ipv4(ConstByteSpan packet, bool to_group) {
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data());
    return !to_group && ip.source.is_unicast() && !ip.destination.is_multicast() &&
           !ip.destination.is_broadcast();
}

}  // namespace

std::optional<UpperLayer> find_upper_layer(ConstByteSpan packet, std::uint8_t family) {
    return family == 4 ? find_in_ipv4(packet) : find_in_ipv6(packet);
}

bool may_report(ConstByteSpan packet, std::uint8_t family, const IcmpError& error, bool to_group) {
    const auto upper = find_upper_layer(packet, family);
    if (!upper || upper->later_fragment) return false;
    if (family == 4) {
        return !is_icmpv4_error(packet, *upper) && may_report_ipv4(packet, to_group);
    }
    return !is_icmpv6_error(packet, *upper) && may_report_ipv6(packet, error, to_group);
}

std::uint16_t write_icmpv6_error(std::uint8_t* out, const Ipv6Address& source,
                                 const Ipv6Address& destination, const IcmpError& error,
                                 ConstByteSpan packet) {
    constexpr std::size_t kHeaders = sizeof(Ipv6Header) + sizeof(IcmpHeader);
    const std::size_t quoted = std::min(packet.size(), kMaxIcmpv6Error - kHeaders);
    const auto length = static_cast<std::uint16_t>(sizeof(IcmpHeader) + quoted);
    auto& ip = *reinterpret_cast<Ipv6Header*>(out);
    ip.set_version_class_flow(0, 0);
    ip.payload_length = Be16(length);
    ip.next_header = number(IpProtocol::kIcmpv6);
    ip.hop_limit = kHopLimit;
    ip.source = source;
    ip.destination = destination;

    const TypeAndCode type = icmpv6_type(error);
    auto& icmp = *reinterpret_cast<IcmpHeader*>(out + sizeof(Ipv6Header));
    icmp = {type.type, type.code, Be16(0), Be32(icmpv6_data(error))};
    std::memcpy(out + kHeaders, packet.data(), quoted);
    const std::uint64_t sum =
        pseudo_header_sum(source, destination, length, number(IpProtocol::kIcmpv6));
    icmp.checksum = Be16(checksum_finish(checksum_add(sum, {out + sizeof(Ipv6Header), length})));
    return static_cast<std::uint16_t>(sizeof(Ipv6Header) + length);
}

std::uint16_t write_icmpv4_error(std::uint8_t* out, const Ipv4Address& source,
                                 const Ipv4Address& destination, std::uint16_t identification,
                                 const IcmpError& error, ConstByteSpan packet) {
    constexpr std::size_t kHeaders = sizeof(Ipv4Header) + sizeof(IcmpHeader);
    const std::size_t quoted = std::min(packet.size(), kMaxIcmpv4Error - kHeaders);
    const auto length = static_cast<std::uint16_t>(kHeaders + quoted);
    auto& ip = *reinterpret_cast<Ipv4Header*>(out);
    ip = {.version_ihl = 0x45,
          .tos = kInternetworkControl,
          .total_length = Be16(length),
          .identification = Be16(identification),
          .flags_offset = Be16(0),
          .ttl = kHopLimit,
          .protocol = number(IpProtocol::kIcmp),
          .checksum = Be16(0),
          .source = source,
          .destination = destination};
    ip.checksum = Be16(internet_checksum({out, sizeof(Ipv4Header)}));

    const TypeAndCode type = icmpv4_type(error);
    auto& icmp = *reinterpret_cast<IcmpHeader*>(out + sizeof(Ipv4Header));
    icmp = {type.type, type.code, Be16(0), Be32(icmpv4_data(error))};
    std::memcpy(out + kHeaders, packet.data(), quoted);
    icmp.checksum =
        Be16(internet_checksum({out + sizeof(Ipv4Header), length - sizeof(Ipv4Header)}));
    return length;
}

}  // namespace homeport::forward
