// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/message.hpp"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace homeport::netlink {

namespace {

using channel::RouteType;

constexpr auto kIrrelevant = std::unexpected(NotParsed::kIrrelevant);
constexpr auto kMalformed = std::unexpected(NotParsed::kMalformed);

constexpr std::size_t kTypes = 32;  // attribute types that are looked at are lower
static_assert(RTA_MAX < kTypes && RTAX_MAX < kTypes && NDA_LLADDR < kTypes && IFLA_MTU < kTypes);

/// The attributes of a message or of an attribute, by type; of a repeated one the last.
class Attributes {
  public:
    Attributes(const void* first, std::size_t length) {
        const auto* attribute = static_cast<const nlattr*>(first);
        int left = static_cast<int>(length);
        while (mnl_attr_ok(attribute, left)) {
            const std::uint16_t type = mnl_attr_get_type(attribute);
            if (type < kTypes) places_[type] = attribute;
            left -= static_cast<int>(MNL_ALIGN(attribute->nla_len));
            attribute = mnl_attr_next(attribute);
        }
    }

    [[nodiscard]] bool has(std::size_t type) const { return places_[type] != nullptr; }
    [[nodiscard]] ConstByteSpan octets(std::size_t type) const {
        if (!has(type)) return {};
        return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(places_[type])),
                mnl_attr_get_payload_len(places_[type])};
    }
    template <class Number>
    [[nodiscard]] std::optional<Number> number(std::size_t type) const {
        const ConstByteSpan bytes = octets(type);
        if (bytes.size() < sizeof(Number)) return std::nullopt;
        Number value;
        std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }

  private:
    std::array<const nlattr*, kTypes> places_{};
};

/// The fixed header of a message, or null when the message is too short for it.
template <class Header>
const Header* fixed_header(const nlmsghdr& message) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(Header)) return nullptr;
    return static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

/// The attributes behind the fixed header, which is there.
template <class Header>
Attributes attributes_behind(const nlmsghdr& message) {
    const std::size_t header = MNL_ALIGN(sizeof(Header));
    const std::size_t payload = mnl_nlmsg_get_payload_len(&message);
    const auto* start = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(&message));
    return Attributes(start + header, payload > header ? payload - header : 0);
}

std::optional<IpAddress> address_of(int family, ConstByteSpan bytes) {
    if (family == AF_INET && bytes.size() == 4) return Ipv4Address::load(bytes.data());
    if (family == AF_INET6 && bytes.size() == 16) return Ipv6Address::load(bytes.data());
    return std::nullopt;
}

bool is_ip(int family) {
    return family == AF_INET || family == AF_INET6;
}

std::expected<Message, NotParsed> parse_link(const nlmsghdr& message) {
    const auto* header = fixed_header<ifinfomsg>(message);
    if (header == nullptr) return kMalformed;
    // A bridge tells of its ports in messages of its own family.
    if (header->ifi_family != AF_UNSPEC) return kIrrelevant;
    const auto attributes = attributes_behind<ifinfomsg>(message);
    LinkMessage link;
    link.removed = message.nlmsg_type == RTM_DELLINK;
    link.index = header->ifi_index;
    link.up = (header->ifi_flags & IFF_UP) != 0;
    link.carrier = (header->ifi_flags & IFF_LOWER_UP) != 0;
    const ConstByteSpan name = attributes.octets(IFLA_IFNAME);
    link.name.assign(name.begin(), std::ranges::find(name, 0));
    link.mtu = attributes.number<std::uint32_t>(IFLA_MTU).value_or(0);
    const ConstByteSpan mac = attributes.octets(IFLA_ADDRESS);
    if (mac.size() == 6) link.mac = MacAddress::load(mac.data());
    if (link.index <= 0 || (link.name.empty() && !link.removed)) return kMalformed;
    return link;
}

std::expected<Message, NotParsed> parse_address(const nlmsghdr& message) {
    const auto* header = fixed_header<ifaddrmsg>(message);
    if (header == nullptr) return kMalformed;
    if (!is_ip(header->ifa_family)) return kIrrelevant;
    const auto attributes = attributes_behind<ifaddrmsg>(message);
    // IFA_ADDRESS is the peer's on a point-to-point link, and then IFA_LOCAL is there.
    const auto address = address_of(
        header->ifa_family, attributes.octets(attributes.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS));
    const std::uint8_t longest = header->ifa_family == AF_INET ? 32 : 128;
    if (!address || header->ifa_prefixlen > longest || header->ifa_index == 0) return kMalformed;
    const std::uint32_t flags =
        attributes.number<std::uint32_t>(IFA_FLAGS).value_or(header->ifa_flags);
    AddressMessage result;
    result.removed = message.nlmsg_type == RTM_DELADDR;
    result.index = static_cast<int>(header->ifa_index);
    result.address = *address;
    result.prefix_length = header->ifa_prefixlen;
    const bool tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
    result.usable = !tentative && (flags & IFA_F_DADFAILED) == 0;
    return result;
}

std::optional<RouteType> route_type_of(std::uint8_t kernel_type) {
    switch (kernel_type) {
        case RTN_UNICAST:
            return RouteType::kUnicast;
        case RTN_LOCAL:
        case RTN_BROADCAST:
        case RTN_ANYCAST:
            return RouteType::kKernel;
        case RTN_BLACKHOLE:
            return RouteType::kBlackhole;
        case RTN_UNREACHABLE:
        case RTN_PROHIBIT:
        case RTN_THROW:  // ends the search: behind the main table there is nothing that we mirror
            return RouteType::kUnreachable;
        default:
            return std::nullopt;
    }
}

/// Gateway and encapsulation, from the attributes of a route or of one of its next hops.
bool read_path(const Attributes& attributes, int family, NextHop& hop) {
    hop.encapsulated = attributes.has(RTA_ENCAP) || attributes.has(RTA_NEWDST);
    if (attributes.has(RTA_GATEWAY)) {
        hop.gateway = address_of(family, attributes.octets(RTA_GATEWAY));
        return hop.gateway.has_value();
    }
    if (attributes.has(RTA_VIA)) {
        // struct rtvia: a family, then an address of it.
        const ConstByteSpan via = attributes.octets(RTA_VIA);
        if (via.size() < sizeof(std::uint16_t)) return false;
        std::uint16_t via_family;
        std::memcpy(&via_family, via.data(), sizeof via_family);
        hop.gateway = address_of(via_family, via.subspan(sizeof via_family));
        return hop.gateway.has_value();
    }
    return true;
}

/// The next hops of an RTA_MULTIPATH. False: malformed.
bool read_multipath(ConstByteSpan bytes, int family, std::vector<NextHop>& hops) {
    while (!bytes.empty()) {
        rtnexthop header;
        if (bytes.size() < sizeof header) return false;
        std::memcpy(&header, bytes.data(), sizeof header);
        if (header.rtnh_len < sizeof header || header.rtnh_len > bytes.size()) return false;
        NextHop hop;
        hop.index = header.rtnh_ifindex;
        const Attributes attributes(bytes.data() + sizeof header, header.rtnh_len - sizeof header);
        if (!read_path(attributes, family, hop)) return false;
        hops.push_back(std::move(hop));
        bytes = bytes.subspan(std::min<std::size_t>(RTNH_ALIGN(header.rtnh_len), bytes.size()));
    }
    return true;
}

/// Destinations that are never forwarded to by a table, or of this host's inside only.
bool is_mirrored_destination(const IpAddress& prefix) {
    if (const auto* v4 = std::get_if<Ipv4Address>(&prefix)) {
        return !v4->is_loopback() && !v4->is_multicast();
    }
    const auto& v6 = std::get<Ipv6Address>(prefix);
    return !v6.is_loopback() && !v6.is_multicast() && !v6.is_link_local();
}

std::uint32_t mtu_of(ConstByteSpan metrics) {
    const Attributes attributes(metrics.data(), metrics.size());
    return attributes.number<std::uint32_t>(RTAX_MTU).value_or(0);
}

std::uint8_t rank_of(std::uint8_t icmpv6_preference) {
    // RFC 4191 section 2.1: 01 high, 00 medium, 11 low.
    return icmpv6_preference == 1 ? 2 : icmpv6_preference == 3 ? 0 : 1;
}

std::expected<Message, NotParsed> parse_route(const nlmsghdr& message) {
    const auto* header = fixed_header<rtmsg>(message);
    if (header == nullptr) return kMalformed;
    const int family = header->rtm_family;
    if (!is_ip(family) || (header->rtm_flags & RTM_F_CLONED) != 0 || header->rtm_tos != 0 ||
        header->rtm_src_len != 0) {
        return kIrrelevant;
    }
    const auto attributes = attributes_behind<rtmsg>(message);
    const std::uint32_t table =
        attributes.number<std::uint32_t>(RTA_TABLE).value_or(header->rtm_table);
    const auto type = route_type_of(header->rtm_type);
    if ((table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) || !type) return kIrrelevant;

    RouteMessage route;
    route.removed = message.nlmsg_type == RTM_DELROUTE;
    route.replaces = (message.nlmsg_flags & NLM_F_REPLACE) != 0;
    route.appends = (message.nlmsg_flags & NLM_F_APPEND) != 0;
    route.local_table = table == RT_TABLE_LOCAL;
    route.type = *type;
    route.prefix_length = header->rtm_dst_len;
    if (attributes.has(RTA_DST)) {
        const auto destination = address_of(family, attributes.octets(RTA_DST));
        if (!destination) return kMalformed;
        route.prefix = *destination;
    } else if (family == AF_INET) {
        route.prefix = Ipv4Address{};
    } else {
        route.prefix = Ipv6Address{};
    }
    if (route.prefix_length > (family == AF_INET ? 32 : 128)) return kMalformed;
    if (!is_mirrored_destination(route.prefix)) return kIrrelevant;
    route.metric = attributes.number<std::uint32_t>(RTA_PRIORITY).value_or(0);
    route.preference = rank_of(attributes.number<std::uint8_t>(RTA_PREF).value_or(0));
    route.next_hop_object = attributes.number<std::uint32_t>(RTA_NH_ID).value_or(0);
    if (attributes.has(RTA_METRICS)) route.mtu = mtu_of(attributes.octets(RTA_METRICS));
    if (attributes.has(RTA_MULTIPATH)) {
        if (!read_multipath(attributes.octets(RTA_MULTIPATH), family, route.next_hops)) {
            return kMalformed;
        }
    } else if (const auto index = attributes.number<std::int32_t>(RTA_OIF)) {
        NextHop hop;
        hop.index = *index;
        if (!read_path(attributes, family, hop)) return kMalformed;
        route.next_hops.push_back(std::move(hop));
    }
    return route;
}

std::expected<Message, NotParsed> parse_neighbour(const nlmsghdr& message) {
    const auto* header = fixed_header<ndmsg>(message);
    if (header == nullptr) return kMalformed;
    if (!is_ip(header->ndm_family) || (header->ndm_flags & NTF_PROXY) != 0) return kIrrelevant;
    const auto attributes = attributes_behind<ndmsg>(message);
    const auto address = address_of(header->ndm_family, attributes.octets(NDA_DST));
    if (!address || header->ndm_ifindex <= 0) return kMalformed;
    const bool is_multicast = std::visit([](const auto& a) { return a.is_multicast(); }, *address);
    if (is_multicast) return kIrrelevant;

    NeighbourMessage neighbour;
    neighbour.removed = message.nlmsg_type == RTM_DELNEIGH;
    neighbour.index = header->ndm_ifindex;
    neighbour.address = *address;
    constexpr unsigned kResolved =
        NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
    const ConstByteSpan mac = attributes.octets(NDA_LLADDR);
    if ((header->ndm_state & kResolved) != 0 && mac.size() == 6) {
        const MacAddress known = MacAddress::load(mac.data());
        // The kernel's own entries for broadcast addresses are NOARP; a cluster's group address
        // that the operator entered is permanent.
        const bool is_own = (header->ndm_state & NUD_NOARP) != 0 && known.is_multicast();
        if (!is_own && known != MacAddress{}) neighbour.mac = known;
    }
    return neighbour;
}

std::expected<Message, NotParsed> parse_next_hop_object(const nlmsghdr& message) {
    if (fixed_header<nhmsg>(message) == nullptr) return kMalformed;
    const auto attributes = attributes_behind<nhmsg>(message);
    const auto id = attributes.number<std::uint32_t>(NHA_ID);
    if (!id) return kMalformed;
    return NextHopObjectRemoved{*id};
}

}  // namespace

std::expected<Message, NotParsed> parse_message(const nlmsghdr& message) {
    switch (message.nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return parse_link(message);
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return parse_address(message);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return parse_route(message);
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            return parse_neighbour(message);
        case RTM_DELNEXTHOP:
            return parse_next_hop_object(message);
        default:
            return kIrrelevant;
    }
}

const nlmsghdr* take_message(ConstByteSpan& datagram) {
    if (datagram.size() < sizeof(nlmsghdr)) return nullptr;
    const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
    // Not mnl_nlmsg_ok(), which takes a length beyond 2^31 for a negative one and lets it pass.
    if (message->nlmsg_len < sizeof(nlmsghdr) || message->nlmsg_len > datagram.size()) {
        return nullptr;
    }
    datagram =
        datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(message->nlmsg_len), datagram.size()));
    return message;
}

}  // namespace homeport::netlink
