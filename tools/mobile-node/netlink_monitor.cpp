// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/netlink_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "tools/mobile-node/netlink_socket.hpp"

namespace homeport::mobile_node {

namespace {

constexpr int kReceiveBuffer = 1 << 20;
constexpr int kMostDatagrams = 256;  // in one read_events()
constexpr int kMostDumps = 10;

struct Attributes {
    static constexpr std::size_t kTypes = 128;
    static_assert(IFLA_MAX < kTypes && IFA_MAX < kTypes && RTA_MAX < kTypes);
    std::array<const nlattr*, kTypes> at{};

    Attributes(const nlmsghdr& message, unsigned header_length) {
        mnl_attr_parse(&message, header_length, &Attributes::collect, this);
    }
    static int collect(const nlattr* attribute, void* self) {
        const auto type = mnl_attr_get_type(attribute);
        if (type < kTypes) static_cast<Attributes*>(self)->at[type] = attribute;
        return MNL_CB_OK;
    }
    [[nodiscard]] std::optional<std::uint32_t> number(std::size_t type) const {
        if (at[type] == nullptr || mnl_attr_validate(at[type], MNL_TYPE_U32) < 0) {
            return std::nullopt;
        }
        return mnl_attr_get_u32(at[type]);
    }
    template <class Address = Ipv6Address>
    [[nodiscard]] std::optional<Address> address(std::size_t type) const {
        if (at[type] == nullptr || mnl_attr_get_payload_len(at[type]) != sizeof(Address)) {
            return std::nullopt;
        }
        return Address::load(static_cast<const std::uint8_t*>(mnl_attr_get_payload(at[type])));
    }
    [[nodiscard]] std::optional<Ipv4Address> address4(std::size_t type) const {
        return address<Ipv4Address>(type);
    }
};

void apply_link(const nlmsghdr& message, LinkTable& table) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(ifinfomsg)) return;
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
    if (info->ifi_family != AF_UNSPEC) return;  // news of a bridge port
    if (message.nlmsg_type == RTM_DELLINK) return table.remove_link(info->ifi_index);

    const Attributes attributes(message, sizeof(ifinfomsg));
    Link link;
    link.index = info->ifi_index;
    const nlattr* name = attributes.at[IFLA_IFNAME];
    if (name == nullptr || mnl_attr_validate(name, MNL_TYPE_NUL_STRING) < 0) return;
    link.name = mnl_attr_get_str(name);
    constexpr unsigned kRunning = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
    link.running = (info->ifi_flags & kRunning) == kRunning;
    link.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
    link.mtu = attributes.number(IFLA_MTU).value_or(1500);
    link.carrier_changes = attributes.number(IFLA_CARRIER_CHANGES).value_or(0);
    const nlattr* mac = attributes.at[IFLA_ADDRESS];
    if (info->ifi_type == ARPHRD_ETHER && mac != nullptr && mnl_attr_get_payload_len(mac) == 6) {
        link.mac = MacAddress::load(static_cast<const std::uint8_t*>(mnl_attr_get_payload(mac)));
    }
    table.set_link(link);
    if ((info->ifi_flags & IFF_UP) == 0) table.remove_routes4(link.index);
}

std::uint32_t valid_lifetime(const Attributes& attributes) {
    const nlattr* cache = attributes.at[IFA_CACHEINFO];
    if (cache == nullptr || mnl_attr_get_payload_len(cache) < sizeof(ifa_cacheinfo)) {
        return kInfinite;
    }
    ifa_cacheinfo lifetimes;
    std::memcpy(&lifetimes, mnl_attr_get_payload(cache), sizeof lifetimes);
    return lifetimes.ifa_valid;
}

void apply_address4(const nlmsghdr& message, LinkTable& table) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
    const Attributes attributes(message, sizeof(ifaddrmsg));
    const auto address = attributes.address4(IFA_LOCAL);
    if (!address) return;
    const int index = static_cast<int>(info->ifa_index);
    if (message.nlmsg_type == RTM_DELADDR) return table.remove_address(index, *address);
    const std::uint32_t flags = attributes.number(IFA_FLAGS).value_or(info->ifa_flags);
    table.set_address(index,
                      LinkAddress4{*address, info->ifa_prefixlen, (flags & IFA_F_DEPRECATED) != 0,
                                   valid_lifetime(attributes)});
}

void apply_address(const nlmsghdr& message, LinkTable& table) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(ifaddrmsg)) return;
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
    if (info->ifa_family == AF_INET) return apply_address4(message, table);
    if (info->ifa_family != AF_INET6) return;
    const Attributes attributes(message, sizeof(ifaddrmsg));
    auto address = attributes.address(IFA_LOCAL);
    if (!address) address = attributes.address(IFA_ADDRESS);
    if (!address) return;
    const int index = static_cast<int>(info->ifa_index);
    if (message.nlmsg_type == RTM_DELADDR) return table.remove_address(index, *address);

    const std::uint32_t flags = attributes.number(IFA_FLAGS).value_or(info->ifa_flags);
    LinkAddress out;
    out.address = *address;
    out.prefix_length = info->ifa_prefixlen;
    out.tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
    out.deprecated = (flags & IFA_F_DEPRECATED) != 0;
    out.temporary = (flags & IFA_F_TEMPORARY) != 0;
    out.valid_lifetime = valid_lifetime(attributes);
    table.set_address(index, out);
}

template <class Address>
void apply_one_route(const nlmsghdr& message, const BasicLinkRoute<Address>& route,
                     LinkTable& table) {
    if (route.interface == 0) return;
    if (message.nlmsg_type == RTM_DELROUTE) {
        table.remove_route(route);
    } else {
        table.set_route(route);
    }
}

template <class Address>
void apply_route_of(const nlmsghdr& message, const rtmsg* info, LinkTable& table) {
    const Attributes attributes(message, sizeof(rtmsg));
    if (attributes.number(RTA_TABLE).value_or(info->rtm_table) != RT_TABLE_MAIN) return;
    BasicLinkRoute<Address> route;
    route.destination = {attributes.address<Address>(RTA_DST).value_or(Address{}),
                         info->rtm_dst_len};
    route.metric = attributes.number(RTA_PRIORITY).value_or(0);
    route.interface = static_cast<int>(attributes.number(RTA_OIF).value_or(0));
    route.on_link = attributes.at[RTA_GATEWAY] == nullptr && attributes.at[RTA_VIA] == nullptr;
    apply_one_route(message, route, table);

    const nlattr* multipath = attributes.at[RTA_MULTIPATH];
    if (multipath == nullptr) return;
    const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(multipath));
    std::size_t left = mnl_attr_get_payload_len(multipath);
    while (left >= sizeof(rtnexthop) && hop->rtnh_len >= sizeof(rtnexthop) &&
           hop->rtnh_len <= left) {
        route.interface = hop->rtnh_ifindex;
        route.on_link = hop->rtnh_len == sizeof(rtnexthop);
        apply_one_route(message, route, table);
        const std::size_t step = MNL_ALIGN(hop->rtnh_len);
        if (step >= left) break;
        left -= step;
        hop = reinterpret_cast<const rtnexthop*>(reinterpret_cast<const char*>(hop) + step);
    }
}

void apply_route(const nlmsghdr& message, LinkTable& table) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(rtmsg)) return;
    const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
    if (info->rtm_type != RTN_UNICAST || info->rtm_src_len != 0 ||
        (info->rtm_flags & RTM_F_CLONED) != 0) {
        return;
    }
    if (info->rtm_family == AF_INET6 && info->rtm_dst_len <= Ipv6Prefix::kMaxLength) {
        apply_route_of<Ipv6Address>(message, info, table);
    } else if (info->rtm_family == AF_INET && info->rtm_dst_len <= Ipv4Prefix::kMaxLength) {
        apply_route_of<Ipv4Address>(message, info, table);
    }
}

int apply_callback(const nlmsghdr* message, void* table) {
    apply_message(*message, *static_cast<LinkTable*>(table));
    return MNL_CB_OK;
}

}  // namespace

void apply_message(const nlmsghdr& message, LinkTable& table) {
    switch (message.nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return apply_link(message, table);
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return apply_address(message, table);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return apply_route(message, table);
        default:
            return;
    }
}

Result<void> NetlinkMonitor::start() {
    if (auto done = subscribe(); !done) return done;
    return dump_all();
}

Result<void> NetlinkMonitor::subscribe() {
    events_ = FileDescriptor(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (!events_.is_open()) return fail_errno("netlink socket");
    (void)::setsockopt(events_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer,
                       sizeof kReceiveBuffer);
    sockaddr_nl self{};
    self.nl_family = AF_NETLINK;
    if (::bind(events_.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) < 0) {
        return fail_errno("netlink bind");
    }
    for (const int group : {RTNLGRP_LINK, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE,
                            RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE}) {
        if (::setsockopt(events_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) <
            0) {
            return fail_errno("netlink group " + std::to_string(group));
        }
    }
    return {};
}

Result<void> NetlinkMonitor::dump_all() {
    table_.clear();
    if (auto done = dump(RTM_GETLINK, AF_UNSPEC); !done) return done;
    if (auto done = dump(RTM_GETADDR, AF_INET6); !done) return done;
    if (auto done = dump(RTM_GETROUTE, AF_INET6); !done) return done;
    if (auto done = dump(RTM_GETADDR, AF_INET); !done) return done;
    return dump(RTM_GETROUTE, AF_INET);
}

Result<void> NetlinkMonitor::dump(std::uint16_t type, std::uint8_t family) {
    NetlinkSocket socket;
    if (auto opened = socket.open(); !opened) return opened;
    std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    // All three message headers begin with the family.
    auto* header = static_cast<std::uint8_t*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    *header = family;
    for (int attempt = 0; attempt < kMostDumps; ++attempt) {
        auto done = socket.transact(*message, apply_callback, &table_);
        // The kernel's tables changed under the dump: what it said may not be consistent.
        if (done || socket.last_errno() != EINTR) return done;
        if (auto opened = socket.open(); !opened) return opened;
    }
    return fail("netlink: the tables change faster than they can be read");
}

Result<void> NetlinkMonitor::read_events() {
    alignas(nlmsghdr) static thread_local std::array<char, 1 << 16> buffer;
    for (int i = 0; i < kMostDatagrams; ++i) {
        sockaddr_nl from{};
        socklen_t from_length = sizeof from;
        const auto length = ::recvfrom(events_.get(), buffer.data(), buffer.size(), 0,
                                       reinterpret_cast<sockaddr*>(&from), &from_length);
        if (length < 0) {
            if (errno == EAGAIN) return {};
            if (errno == EINTR) continue;
            if (errno != ENOBUFS) return fail_errno("netlink events");
            ++resyncs_;
            return dump_all();
        }
        if (from.nl_pid != 0) continue;  // only the kernel is believed
        (void)mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 0, 0, apply_callback,
                         &table_);
    }
    return {};
}

}  // namespace homeport::mobile_node
