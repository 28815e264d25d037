// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/neighbor_discovery.hpp"

#include "controlplane/wire/bytes.hpp"
#include "controlplane/wire/icmpv6.hpp"

namespace homeport::wire {

namespace {

enum : std::uint8_t {
    kSourceLinkLayer = 1,
    kTargetLinkLayer = 2,
    kPrefixInformation = 3,
    kMtu = 5,
    kAdvertisementInterval = 7,
    kHomeAgentInformation = 8,
};

const Ipv6Address kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

void put_option(Bytes& out, const SourceLinkLayerAddress& option) {
    put8(out, kSourceLinkLayer);
    put8(out, 1);
    put_bytes(out, option.address.bytes);
}

void put_option(Bytes& out, const TargetLinkLayerAddress& option) {
    put8(out, kTargetLinkLayer);
    put8(out, 1);
    put_bytes(out, option.address.bytes);
}

void put_option(Bytes& out, const PrefixInformation& option) {
    put8(out, kPrefixInformation);
    put8(out, 4);
    put8(out, option.prefix_length);
    put8(out,
         static_cast<std::uint8_t>((option.on_link ? 0x80 : 0) | (option.autonomous ? 0x40 : 0) |
                                   (option.router_address ? 0x20 : 0)));
    put32(out, option.valid_lifetime);
    put32(out, option.preferred_lifetime);
    put32(out, 0);
    put_bytes(out, option.prefix.bytes);
}

void put_option(Bytes& out, const MtuOption& option) {
    put8(out, kMtu);
    put8(out, 1);
    put16(out, 0);
    put32(out, option.mtu);
}

void put_option(Bytes& out, const AdvertisementInterval& option) {
    put8(out, kAdvertisementInterval);
    put8(out, 1);
    put16(out, 0);
    put32(out, option.milliseconds);
}

void put_option(Bytes& out, const HomeAgentInformation& option) {
    put8(out, kHomeAgentInformation);
    put8(out, 1);
    put16(out, option.mobile_routers ? 0x8000 : 0);
    put16(out, option.preference);
    put16(out, option.lifetime);
}

void put_option(Bytes& out, const UnknownNdOption& option) {
    const std::size_t length = (option.data.size() + 2 + 7) / 8;
    put8(out, option.type);
    put8(out, static_cast<std::uint8_t>(length));
    put_bytes(out, option.data);
    put_zeros(out, length * 8 - 2 - option.data.size());
}

PrefixInformation get_prefix_information(const std::uint8_t* at) {
    return {.prefix_length = at[2],
            .on_link = (at[3] & 0x80) != 0,
            .autonomous = (at[3] & 0x40) != 0,
            .router_address = (at[3] & 0x20) != 0,
            .valid_lifetime = load_be32(at + 4),
            .preferred_lifetime = load_be32(at + 8),
            .prefix = Ipv6Address::load(at + 16)};
}

/// A known option of another length than ours (an InfiniBand link address, say) is kept as unknown.
NdOption get_option(ConstByteSpan option) {
    const std::uint8_t* at = option.data();
    const std::uint8_t type = at[0];
    if (option.size() == 8) {
        switch (type) {
            case kSourceLinkLayer:
                return SourceLinkLayerAddress{MacAddress::load(at + 2)};
            case kTargetLinkLayer:
                return TargetLinkLayerAddress{MacAddress::load(at + 2)};
            case kMtu:
                return MtuOption{load_be32(at + 4)};
            case kAdvertisementInterval:
                return AdvertisementInterval{load_be32(at + 4)};
            case kHomeAgentInformation:
                return HomeAgentInformation{(at[2] & 0x80) != 0, load_be16(at + 4),
                                            load_be16(at + 6)};
            default:
                break;
        }
    }
    if (type == kPrefixInformation && option.size() == 32) return get_prefix_information(at);
    return UnknownNdOption{type, {option.begin() + 2, option.end()}};
}

}  // namespace

void append_nd_options(std::vector<std::uint8_t>& message, const NdOptions& options) {
    for (const NdOption& option : options) {
        std::visit([&message](const auto& o) { put_option(message, o); }, option);
    }
}

bool read_nd_options(ConstByteSpan bytes, NdOptions& options) {
    while (!bytes.empty()) {
        if (bytes.size() < 8 || bytes[1] == 0) return false;
        const std::size_t length = std::size_t{bytes[1]} * 8;
        if (length > bytes.size()) return false;
        options.push_back(get_option(bytes.first(length)));
        bytes = bytes.subspan(length);
    }
    return true;
}

std::vector<std::uint8_t> dad_probe(const Ipv6Address& target) {
    return icmpv6_packet(NeighborSolicitation{target, {}}, Ipv6Address{}, target.solicited_node());
}

std::vector<std::uint8_t> neighbor_solicitation(const Ipv6Address& source,
                                                const MacAddress& source_link,
                                                const Ipv6Address& target) {
    return icmpv6_packet(NeighborSolicitation{target, {SourceLinkLayerAddress{source_link}}},
                         source, target.solicited_node());
}

std::vector<std::uint8_t> unsolicited_advertisement(const Ipv6Address& source,
                                                    const Ipv6Address& target,
                                                    const MacAddress& link_address, bool router) {
    const NeighborAdvertisement message{
        router, false, true, target, {TargetLinkLayerAddress{link_address}}};
    return icmpv6_packet(message, source, kAllNodes);
}

std::vector<std::uint8_t> proxy_advertisement(const Ipv6Address& source,
                                              const Ipv6Address& solicitor,
                                              const Ipv6Address& target,
                                              const MacAddress& link_address, bool router) {
    const bool probe = solicitor.is_unspecified();
    const NeighborAdvertisement message{
        router, !probe, false, target, {TargetLinkLayerAddress{link_address}}};
    return icmpv6_packet(message, source, probe ? kAllNodes : solicitor);
}

}  // namespace homeport::wire
