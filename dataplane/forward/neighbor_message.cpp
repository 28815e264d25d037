// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/neighbor_message.hpp"

#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::forward {

namespace {

constexpr std::uint8_t kNeighborHopLimit = 255;
constexpr std::size_t kFixedLength = 24;  // ICMPv6 header and target
constexpr std::uint8_t kSourceLinkLayer = 1;
constexpr std::uint8_t kTargetLinkLayer = 2;
constexpr std::uint32_t kRouterFlag = 1u << 31;
constexpr std::uint32_t kSolicitedFlag = 1u << 30;
constexpr std::uint32_t kOverrideFlag = 1u << 29;

/// False: an option of length 0, or one that is cut off.
bool read_options(ConstByteSpan options, NeighborMessage& message) {
    while (!options.empty()) {
        if (options.size() < 8 || options[1] == 0) return false;
        const std::size_t length = std::size_t{options[1]} * 8;
        if (length > options.size()) return false;
        if (options[0] == kSourceLinkLayer && length == 8 && !message.source_link_layer) {
            message.source_link_layer = MacAddress::load(options.data() + 2);
        }
        options = options.subspan(length);
    }
    return true;
}

bool is_solicited_node_group(const Ipv6Address& address) {
    constexpr std::uint8_t kPrefix[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    return std::memcmp(address.bytes.data(), kPrefix, sizeof kPrefix) == 0;
}

}  // namespace

std::optional<NeighborMessage> read_neighbor_message(ConstByteSpan packet,
                                                     std::uint16_t upper_offset) {
    if (packet.size() < upper_offset + kFixedLength || upper_offset < sizeof(Ipv6Header)) {
        return std::nullopt;
    }
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data());
    const ConstByteSpan icmp = packet.subspan(upper_offset);
    NeighborMessage message{.type = icmp[0],
                            .source = ip.source,
                            .destination = ip.destination,
                            .target = Ipv6Address::load(icmp.data() + 8),
                            .source_link_layer = {}};
    const bool known =
        message.type == kNeighborSolicitation || message.type == kNeighborAdvertisement;
    if (!known || icmp[1] != 0 || ip.hop_limit != kNeighborHopLimit) return std::nullopt;
    const std::uint64_t sum =
        pseudo_header_sum(ip.source, ip.destination, static_cast<std::uint32_t>(icmp.size()),
                          number(IpProtocol::kIcmpv6));
    if (checksum_finish(checksum_add(sum, icmp)) != 0) return std::nullopt;
    if (message.target.is_multicast()) return std::nullopt;
    if (!read_options(icmp.subspan(kFixedLength), message)) return std::nullopt;
    if (message.type == kNeighborSolicitation && message.is_probe() &&
        (!is_solicited_node_group(message.destination) || message.source_link_layer)) {
        return std::nullopt;
    }
    if (message.type == kNeighborAdvertisement && message.destination.is_multicast() &&
        (load_be32(icmp.data() + 4) & kSolicitedFlag) != 0) {
        return std::nullopt;
    }
    return message;
}

void write_neighbor_advertisement(std::uint8_t* out, const NeighborAdvertisement& advertisement) {
    constexpr std::uint16_t kLength = kAdvertisementLength - sizeof(Ipv6Header);
    auto& ip = *reinterpret_cast<Ipv6Header*>(out);
    ip.set_version_class_flow(0, 0);
    ip.payload_length = Be16(kLength);
    ip.next_header = number(IpProtocol::kIcmpv6);
    ip.hop_limit = kNeighborHopLimit;
    ip.source = advertisement.source;
    ip.destination = advertisement.destination;

    std::uint8_t* const icmp = out + sizeof(Ipv6Header);
    const std::uint32_t flags = (advertisement.router ? kRouterFlag : 0) |
                                (advertisement.solicited ? kSolicitedFlag : 0) |
                                (advertisement.override_flag ? kOverrideFlag : 0);
    icmp[0] = kNeighborAdvertisement;
    icmp[1] = 0;
    store_be16(icmp + 2, 0);
    store_be32(icmp + 4, flags);
    advertisement.target.store(icmp + 8);
    icmp[kFixedLength] = kTargetLinkLayer;
    icmp[kFixedLength + 1] = 1;
    advertisement.link_layer.store(icmp + kFixedLength + 2);
    const std::uint64_t sum =
        pseudo_header_sum(ip.source, ip.destination, kLength, number(IpProtocol::kIcmpv6));
    store_be16(icmp + 2, checksum_finish(checksum_add(sum, {icmp, kLength})));
}

}  // namespace homeport::forward
