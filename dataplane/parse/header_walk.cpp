// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/parse/header_walk.hpp"

#include "dataplane/base/checksum.hpp"
#include "dataplane/parse/options.hpp"

namespace homeport::parse {

namespace {

/// State of the walk along a chain of extension headers.
struct Chain {
    ConstByteSpan packet;  // ends where the IP packet ends
    std::size_t at = sizeof(Ipv6Header);
    std::size_t name_at = offsetof(Ipv6Header, next_header);
};

Error visit_hop_by_hop(ConstByteSpan header, Headers& headers) {
    headers.facts |= kHopByHopOptions;
    const bool well_formed = for_each_option(header, [&](const Option& option) {
        if (option.type == number(OptionType::kRouterAlert)) headers.facts |= kRouterAlert;
    });
    return well_formed ? Error::kNone : Error::kHeader;
}

void visit_routing(const Chain& chain, Headers& headers) {
    const bool found_live = headers.has(kRoutingHeader) && headers.segments_left != 0;
    headers.facts |= kRoutingHeader;
    if (found_live) return;
    headers.routing_offset = static_cast<std::uint16_t>(chain.at);
    headers.routing_type = chain.packet[chain.at + 2];
    headers.segments_left = chain.packet[chain.at + 3];
}

/// True if the packet is a fragment, so that the walk ends here.
bool visit_fragment(const Chain& chain, Headers& headers) {
    const std::uint8_t* header = chain.packet.data() + chain.at;
    const std::uint16_t offset_flags = load_be16(header + 2);
    headers.fragment_header_offset = static_cast<std::uint16_t>(chain.at);
    headers.fragment_name_offset = static_cast<std::uint16_t>(chain.name_at);
    headers.fragment_offset = offset_flags & 0xfff8;
    headers.more_fragments = (offset_flags & 1) != 0;
    headers.identification = load_be32(header + 4);
    const bool atomic = headers.fragment_offset == 0 && !headers.more_fragments;
    headers.facts |= atomic ? kAtomicFragment : kFragment;
    return !atomic;
}

Error walk_extension_headers(ConstByteSpan packet, Headers& headers) {
    Chain chain{packet};
    std::uint8_t next_header = packet[chain.name_at];
    for (unsigned count = 0; is_extension_header(next_header); ++count) {
        if (count == kMaxExtensionHeaders) return Error::kHeader;
        if (packet.size() - chain.at < 8) return Error::kTruncated;
        std::size_t length = (packet[chain.at + 1] + std::size_t{1}) * 8;
        if (next_header == number(IpProtocol::kFragment)) length = 8;
        if (packet.size() - chain.at < length) return Error::kTruncated;
        switch (next_header) {
            case number(IpProtocol::kHopByHop):
                if (count != 0) return Error::kHeader;  // RFC 8200 section 4.1
                if (visit_hop_by_hop(packet.subspan(chain.at, length), headers) != Error::kNone) {
                    return Error::kHeader;
                }
                break;
            case number(IpProtocol::kRouting):
                visit_routing(chain, headers);
                break;
            case number(IpProtocol::kFragment):
                if (headers.has(kAtomicFragment)) return Error::kHeader;
                if (!visit_fragment(chain, headers)) break;
                headers.protocol = number(IpProtocol::kFragment);
                headers.upper_offset = static_cast<std::uint16_t>(chain.at);
                headers.upper_name_offset = static_cast<std::uint16_t>(chain.name_at);
                return Error::kNone;
            default:
                headers.facts |= kDestinationOptions;
        }
        next_header = packet[chain.at];
        chain.name_at = chain.at;
        chain.at += length;
    }
    headers.protocol = next_header;
    headers.upper_offset = static_cast<std::uint16_t>(chain.at);
    headers.upper_name_offset = static_cast<std::uint16_t>(chain.name_at);
    return Error::kNone;
}

Error walk_ipv6(ConstByteSpan packet, Headers& headers) {
    if (packet.size() < sizeof(Ipv6Header)) return Error::kTruncated;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data());
    const std::size_t end = sizeof(Ipv6Header) + ip.payload_length.host();
    if (end > packet.size() || end > 0xffff) return Error::kTruncated;
    headers.family = 6;
    headers.end = static_cast<std::uint16_t>(end);
    if (const Error error = check_rare_source(ip); error != Error::kNone) return error;
    return walk_extension_headers(packet.first(end), headers);
}

/// Options of an IPv4 header (RFC 791 section 3.1).
Error walk_ipv4_options(ConstByteSpan options, Headers& headers) {
    constexpr std::uint8_t kEnd = 0;
    constexpr std::uint8_t kNoOperation = 1;
    constexpr std::uint8_t kLooseSourceRoute = 131;
    constexpr std::uint8_t kStrictSourceRoute = 137;
    constexpr std::uint8_t kIpv4RouterAlert = 148;
    headers.facts |= kIpv4Options;
    for (std::size_t at = 0; at < options.size() && options[at] != kEnd;) {
        const std::uint8_t type = options[at];
        if (type == kNoOperation) {
            ++at;
            continue;
        }
        if (options.size() - at < 2) return Error::kHeader;
        const std::size_t length = options[at + 1];
        if (length < 2 || length > options.size() - at) return Error::kHeader;
        if (type == kLooseSourceRoute || type == kStrictSourceRoute) {
            headers.facts |= kIpv4SourceRoute;
        } else if (type == kIpv4RouterAlert) {
            headers.facts |= kRouterAlert;
        }
        at += length;
    }
    return Error::kNone;
}

/// RFC 1812 section 5.3.7. Nobody sends from 0/8 but a host that asks for its address.
bool is_legal_source(const Ipv4Header& ip) {
    if (ip.source.is_unicast()) return true;
    return ip.source.is_unspecified() &&
           (ip.destination.is_broadcast() || ip.destination.is_multicast());
}

Error walk_ipv4(ConstByteSpan packet, Headers& headers, Checksum checksum) {
    if (packet.size() < sizeof(Ipv4Header)) return Error::kTruncated;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data());
    const std::uint8_t header_length = ip.header_length();
    const std::uint16_t total = ip.total_length.host();
    if (header_length < sizeof(Ipv4Header)) return Error::kHeader;
    if (total < header_length || total > packet.size()) return Error::kTruncated;
    if (checksum == Checksum::kVerify && internet_checksum(packet.first(header_length)) != 0) {
        return Error::kChecksum;
    }
    if (!is_legal_source(ip)) return Error::kSource;
    headers.family = 4;
    headers.protocol = ip.protocol;
    headers.upper_offset = header_length;
    headers.end = total;
    if (ip.is_fragment()) {
        headers.facts |= kFragment;
        headers.protocol = number(IpProtocol::kFragment);
        headers.fragment_offset = static_cast<std::uint16_t>((ip.flags_offset.host() & 0x1fff) * 8);
        headers.more_fragments = (ip.flags_offset.host() & 0x2000) != 0;
        headers.identification = ip.identification.host();
    }
    if (header_length == sizeof(Ipv4Header)) return Error::kNone;
    return walk_ipv4_options(packet.subspan(sizeof(Ipv4Header), header_length - sizeof(Ipv4Header)),
                             headers);
}

}  // namespace

Error check_rare_source(const Ipv6Header& header) {
    const Ipv6Address& source = header.source;
    if (source.is_multicast() || source.is_loopback() || source.is_v4_mapped()) {
        return Error::kSource;
    }
    // Duplicate address detection, MLD and router solicitations use it, all to groups.
    if (source.is_unspecified() && !header.destination.is_multicast()) return Error::kSource;
    return Error::kNone;
}

Error walk_slowly(ConstByteSpan packet, Headers& headers, Checksum checksum) {
    if (packet.empty()) return Error::kTruncated;
    headers = Headers{};
    switch (packet[0] >> 4) {
        case 4:
            return walk_ipv4(packet, headers, checksum);
        case 6:
            return walk_ipv6(packet, headers);
        default:
            return Error::kVersion;
    }
}

}  // namespace homeport::parse
