// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/message.hpp"

#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <random>

#include "tests/unit/netlink/support.hpp"

namespace homeport::netlink {
namespace {

using namespace test;
using channel::RouteType;

template <class Wanted>
Wanted parsed(const Builder& builder) {
    const auto message = parse_message(builder.message());
    if (!message || !std::holds_alternative<Wanted>(*message)) {
        ADD_FAILURE() << "not the message that it should be";
        return {};
    }
    return std::get<Wanted>(*message);
}
NotParsed problem(const Builder& builder) {
    const auto message = parse_message(builder.message());
    EXPECT_FALSE(message);
    return message ? NotParsed{} : message.error();
}

ifinfomsg link_header(unsigned flags, unsigned char family = AF_UNSPEC) {
    ifinfomsg header{};
    header.ifi_family = family;
    header.ifi_index = 7;
    header.ifi_flags = flags;
    return header;
}

TEST(LinkMessages, name_mtu_mac_and_flags) {
    const std::uint8_t address[6] = {2, 0, 0, 0, 0, 9};
    const auto link = parsed<LinkMessage>(Builder(RTM_NEWLINK, link_header(IFF_UP | IFF_LOWER_UP))
                                              .text(IFLA_IFNAME, "hp0")
                                              .number(IFLA_MTU, 1400)
                                              .attribute(IFLA_ADDRESS, address, 6));
    EXPECT_FALSE(link.removed);
    EXPECT_EQ(link.index, 7);
    EXPECT_EQ(link.name, "hp0");
    EXPECT_TRUE(link.up && link.carrier);
    EXPECT_EQ(link.mtu, 1400u);
    EXPECT_EQ(link.mac, mac("02:00:00:00:00:09"));
    EXPECT_TRUE(parsed<LinkMessage>(Builder(RTM_DELLINK, link_header(0))).removed);
}

TEST(LinkMessages, what_a_bridge_says_of_its_ports_is_not_the_end_of_a_link) {
    EXPECT_EQ(problem(Builder(RTM_DELLINK, link_header(0, AF_BRIDGE)).text(IFLA_IFNAME, "hp0")),
              NotParsed::kIrrelevant);
}

TEST(LinkMessages, a_name_without_an_end_and_one_too_few_octets) {
    EXPECT_EQ(
        parsed<LinkMessage>(Builder(RTM_NEWLINK, link_header(0)).attribute(IFLA_IFNAME, "abcd", 4))
            .name,
        "abcd");
    EXPECT_EQ(problem(Builder(RTM_NEWLINK, link_header(0))), NotParsed::kMalformed);
    EXPECT_EQ(problem(Builder(RTM_NEWLINK, std::uint32_t{0})), NotParsed::kMalformed);
}

Builder address_message(int family, std::uint32_t flags, std::uint16_t type = RTM_NEWADDR) {
    ifaddrmsg header{};
    header.ifa_family = static_cast<unsigned char>(family);
    header.ifa_prefixlen = family == AF_INET ? 24 : 64;
    header.ifa_index = 3;
    header.ifa_flags = static_cast<unsigned char>(flags);
    Builder builder(type, header);
    builder.number(IFA_FLAGS, flags);
    return builder;
}

TEST(AddressMessages, the_local_address_and_not_the_peers) {
    const auto address = parsed<AddressMessage>(address_message(AF_INET, IFA_F_PERMANENT)
                                                    .address(IFA_ADDRESS, "10.0.0.2")
                                                    .address(IFA_LOCAL, "10.0.0.1"));
    EXPECT_EQ(address.address, ip("10.0.0.1"));
    EXPECT_EQ(address.prefix_length, 24);
    EXPECT_EQ(address.index, 3);
    EXPECT_TRUE(address.usable);
    EXPECT_EQ(parsed<AddressMessage>(address_message(AF_INET6, 0).address(IFA_ADDRESS, "2001::1"))
                  .address,
              ip("2001::1"));
}

TEST(AddressMessages, a_tentative_address_is_not_ours_yet_and_a_failed_one_never) {
    const auto usable = [](std::uint32_t flags) {
        return parsed<AddressMessage>(
                   address_message(AF_INET6, flags).address(IFA_ADDRESS, "2001::1"))
            .usable;
    };
    EXPECT_FALSE(usable(IFA_F_TENTATIVE));
    EXPECT_FALSE(usable(IFA_F_TENTATIVE | IFA_F_DADFAILED));
    EXPECT_FALSE(usable(IFA_F_DADFAILED | IFA_F_PERMANENT));
    EXPECT_TRUE(usable(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC));
    EXPECT_TRUE(usable(IFA_F_DEPRECATED));
    EXPECT_TRUE(usable(IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE));  // beyond the first octet of flags
}

TEST(AddressMessages, malformed_ones) {
    EXPECT_EQ(problem(address_message(AF_INET, 0)), NotParsed::kMalformed);
    EXPECT_EQ(problem(address_message(AF_INET, 0).address(IFA_LOCAL, "2001::1")),
              NotParsed::kMalformed);
    EXPECT_EQ(problem(address_message(AF_UNIX, 0)), NotParsed::kIrrelevant);
}

rtmsg route_header(int family, std::uint8_t length, std::uint8_t type = RTN_UNICAST,
                   std::uint8_t table = RT_TABLE_MAIN) {
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(family);
    header.rtm_dst_len = length;
    header.rtm_table = table;
    header.rtm_type = type;
    return header;
}

TEST(RouteMessages, via_a_gateway_with_metric_mtu_and_preference) {
    struct {
        nlattr header{8, RTAX_MTU};
        std::uint32_t mtu = 1380;
    } metrics;
    const auto route =
        parsed<RouteMessage>(Builder(RTM_NEWROUTE, route_header(AF_INET6, 48), NLM_F_REPLACE)
                                 .address(RTA_DST, "2001:db8:1::")
                                 .address(RTA_GATEWAY, "fe80::1")
                                 .number(RTA_OIF, 4)
                                 .number(RTA_PRIORITY, 1024)
                                 .octet(RTA_PREF, 1)
                                 .attribute(RTA_METRICS, &metrics, sizeof metrics));
    EXPECT_TRUE(route.replaces);
    EXPECT_EQ(route.prefix, ip("2001:db8:1::"));
    EXPECT_EQ(route.prefix_length, 48);
    EXPECT_EQ(route.metric, 1024u);
    EXPECT_EQ(route.preference, 2);
    EXPECT_EQ(route.mtu, 1380u);
    ASSERT_EQ(route.next_hops.size(), 1u);
    EXPECT_EQ(route.next_hops[0].index, 4);
    EXPECT_EQ(route.next_hops[0].gateway, ip("fe80::1"));
}

TEST(RouteMessages, a_default_route_has_no_destination) {
    const auto route =
        parsed<RouteMessage>(Builder(RTM_NEWROUTE, route_header(AF_INET, 0)).number(RTA_OIF, 4));
    EXPECT_EQ(route.prefix, ip("0.0.0.0"));
    EXPECT_FALSE(route.next_hops.at(0).gateway);
}

TEST(RouteMessages, an_ipv4_route_by_an_ipv6_gateway) {
    std::uint8_t via[18] = {AF_INET6, 0};
    via[2] = 0xfe, via[3] = 0x80, via[17] = 5;
    const auto route = parsed<RouteMessage>(Builder(RTM_NEWROUTE, route_header(AF_INET, 8))
                                                .address(RTA_DST, "10.0.0.0")
                                                .attribute(RTA_VIA, via, sizeof via)
                                                .number(RTA_OIF, 1));
    EXPECT_EQ(route.next_hops.at(0).gateway, ip("fe80::5"));
    EXPECT_EQ(problem(Builder(RTM_NEWROUTE, route_header(AF_INET, 8))
                          .address(RTA_DST, "10.0.0.0")
                          .attribute(RTA_VIA, via, 9)
                          .number(RTA_OIF, 1)),
              NotParsed::kMalformed);
}

TEST(RouteMessages, every_type_becomes_what_the_data_plane_knows) {
    const auto type_of = [](std::uint8_t type) {
        return parsed<RouteMessage>(Builder(RTM_NEWROUTE, route_header(AF_INET, 8, type))
                                        .address(RTA_DST, "10.0.0.0"))
            .type;
    };
    EXPECT_EQ(type_of(RTN_UNICAST), RouteType::kUnicast);
    EXPECT_EQ(type_of(RTN_LOCAL), RouteType::kKernel);
    EXPECT_EQ(type_of(RTN_BROADCAST), RouteType::kKernel);
    EXPECT_EQ(type_of(RTN_ANYCAST), RouteType::kKernel);
    EXPECT_EQ(type_of(RTN_BLACKHOLE), RouteType::kBlackhole);
    EXPECT_EQ(type_of(RTN_UNREACHABLE), RouteType::kUnreachable);
    EXPECT_EQ(type_of(RTN_PROHIBIT), RouteType::kUnreachable);
    EXPECT_EQ(type_of(RTN_THROW), RouteType::kUnreachable);
    EXPECT_EQ(problem(Builder(RTM_NEWROUTE, route_header(AF_INET, 8, RTN_MULTICAST))),
              NotParsed::kIrrelevant);
}

TEST(RouteMessages, what_is_not_mirrored) {
    const auto ignored = [](Builder builder) { return problem(builder) == NotParsed::kIrrelevant; };
    EXPECT_TRUE(ignored(Builder(RTM_NEWROUTE, route_header(AF_INET, 8, RTN_UNICAST, 100))));
    EXPECT_TRUE(ignored(
        Builder(RTM_NEWROUTE, route_header(AF_INET, 8, RTN_UNICAST, 0)).number(RTA_TABLE, 70000)));
    EXPECT_TRUE(ignored(Builder(RTM_NEWROUTE, route_header(AF_MPLS, 20))));
    for (const char* prefix : {"fe80::", "ff00::", "::1"}) {
        EXPECT_TRUE(
            ignored(Builder(RTM_NEWROUTE, route_header(AF_INET6, 64)).address(RTA_DST, prefix)));
    }
    for (const char* prefix : {"127.0.0.0", "224.0.0.0"}) {
        EXPECT_TRUE(
            ignored(Builder(RTM_NEWROUTE, route_header(AF_INET, 8)).address(RTA_DST, prefix)));
    }
    auto header = route_header(AF_INET6, 64);
    header.rtm_flags = RTM_F_CLONED;
    EXPECT_TRUE(ignored(Builder(RTM_NEWROUTE, header).address(RTA_DST, "2001::")));
    header = route_header(AF_INET6, 64);
    header.rtm_src_len = 48;
    EXPECT_TRUE(ignored(Builder(RTM_NEWROUTE, header).address(RTA_DST, "2001::")));
    header = route_header(AF_INET, 8);
    header.rtm_tos = 0x10;
    EXPECT_TRUE(ignored(Builder(RTM_NEWROUTE, header).address(RTA_DST, "10.0.0.0")));
}

std::vector<std::uint8_t> multipath(std::initializer_list<std::pair<int, const char*>> hops) {
    std::vector<std::uint8_t> octets;
    for (const auto& [index, gateway] : hops) {
        const auto address = std::get<Ipv4Address>(ip(gateway));
        rtnexthop header{};
        header.rtnh_len = sizeof header + 8;
        header.rtnh_ifindex = index;
        const nlattr attribute{8, RTA_GATEWAY};
        const auto* h = reinterpret_cast<const std::uint8_t*>(&header);
        const auto* a = reinterpret_cast<const std::uint8_t*>(&attribute);
        octets.insert(octets.end(), h, h + sizeof header);
        octets.insert(octets.end(), a, a + sizeof attribute);
        octets.insert(octets.end(), address.bytes.begin(), address.bytes.end());
    }
    return octets;
}

TEST(RouteMessages, all_next_hops_of_a_multipath_route) {
    const auto hops = multipath({{3, "10.0.0.1"}, {4, "10.0.1.1"}});
    const auto route =
        parsed<RouteMessage>(Builder(RTM_NEWROUTE, route_header(AF_INET, 0))
                                 .attribute(RTA_MULTIPATH, hops.data(), hops.size()));
    ASSERT_EQ(route.next_hops.size(), 2u);
    EXPECT_EQ(route.next_hops[1].index, 4);
    EXPECT_EQ(route.next_hops[1].gateway, ip("10.0.1.1"));
}

TEST(RouteMessages, next_hops_whose_lengths_lie) {
    for (const std::uint16_t length : std::initializer_list<std::uint16_t>{0, 1, 7, 17, 0xffff}) {
        auto hops = multipath({{3, "10.0.0.1"}});
        std::memcpy(hops.data(), &length, sizeof length);
        EXPECT_EQ(problem(Builder(RTM_NEWROUTE, route_header(AF_INET, 0))
                              .attribute(RTA_MULTIPATH, hops.data(), hops.size())),
                  NotParsed::kMalformed)
            << length;
    }
    EXPECT_EQ(problem(Builder(RTM_NEWROUTE, route_header(AF_INET, 33))
                          .address(RTA_DST, "10.0.0.0")
                          .number(RTA_OIF, 1)),
              NotParsed::kMalformed);
}

ndmsg neighbour_header(int family, std::uint16_t state, std::uint8_t flags = 0) {
    ndmsg header{};
    header.ndm_family = static_cast<unsigned char>(family);
    header.ndm_ifindex = 5;
    header.ndm_state = state;
    header.ndm_flags = flags;
    return header;
}

TEST(NeighbourMessages, resolved_in_the_states_in_which_the_kernel_would_send) {
    const std::uint8_t address[6] = {2, 0, 0, 0, 0, 1};
    const auto neighbour = [&](int number) {
        const auto state = static_cast<std::uint16_t>(number);
        return parsed<NeighbourMessage>(Builder(RTM_NEWNEIGH, neighbour_header(AF_INET6, state))
                                            .address(NDA_DST, "2001::5")
                                            .attribute(NDA_LLADDR, address, 6));
    };
    for (const int state :
         {NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT, NUD_NOARP}) {
        EXPECT_EQ(neighbour(state).mac, mac("02:00:00:00:00:01")) << state;
    }
    for (const int state : {NUD_INCOMPLETE, NUD_FAILED, NUD_NONE}) {
        EXPECT_FALSE(neighbour(state).mac) << state;
    }
    EXPECT_FALSE(
        parsed<NeighbourMessage>(Builder(RTM_NEWNEIGH, neighbour_header(AF_INET, NUD_REACHABLE))
                                     .address(NDA_DST, "10.0.0.1"))
            .mac);
}

TEST(NeighbourMessages, proxies_groups_and_broadcast_are_no_neighbours) {
    const std::uint8_t group[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    EXPECT_EQ(problem(Builder(RTM_NEWNEIGH, neighbour_header(AF_INET6, 0, NTF_PROXY))
                          .address(NDA_DST, "2001::5")),
              NotParsed::kIrrelevant);
    EXPECT_EQ(problem(Builder(RTM_NEWNEIGH, neighbour_header(AF_INET6, NUD_NOARP))
                          .address(NDA_DST, "ff02::1")),
              NotParsed::kIrrelevant);
    EXPECT_EQ(problem(Builder(RTM_NEWNEIGH, neighbour_header(AF_BRIDGE, NUD_PERMANENT))),
              NotParsed::kIrrelevant);
    const auto of = [&](std::uint16_t state) {
        return parsed<NeighbourMessage>(Builder(RTM_NEWNEIGH, neighbour_header(AF_INET, state))
                                            .address(NDA_DST, "10.0.0.255")
                                            .attribute(NDA_LLADDR, group, 6));
    };
    EXPECT_FALSE(of(NUD_NOARP).mac);
    EXPECT_TRUE(of(NUD_PERMANENT).mac) << "an operator may enter a group address";
}

TEST(NextHopMessages, only_the_end_of_an_object_matters) {
    EXPECT_EQ(parsed<NextHopObjectRemoved>(Builder(RTM_DELNEXTHOP, nhmsg{}).number(NHA_ID, 12)).id,
              12u);
    EXPECT_EQ(problem(Builder(RTM_DELNEXTHOP, nhmsg{})), NotParsed::kMalformed);
    EXPECT_EQ(problem(Builder(RTM_NEWNEXTHOP, nhmsg{}).number(NHA_ID, 12)), NotParsed::kIrrelevant);
}

TEST(Datagrams, messages_are_taken_one_by_one_and_a_torn_one_is_left) {
    const Builder one(RTM_NEWROUTE, route_header(AF_INET, 0));
    std::vector<std::uint32_t> words;
    for (int i = 0; i < 3; ++i) {
        const auto* start = reinterpret_cast<const std::uint32_t*>(one.octets().data());
        words.insert(words.end(), start, start + one.octets().size() / 4);
    }
    ConstByteSpan datagram(reinterpret_cast<const std::uint8_t*>(words.data()),
                           words.size() * 4 - 4);
    EXPECT_NE(take_message(datagram), nullptr);
    EXPECT_NE(take_message(datagram), nullptr);
    EXPECT_EQ(take_message(datagram), nullptr);
    EXPECT_FALSE(datagram.empty());
    ConstByteSpan nothing;
    EXPECT_EQ(take_message(nothing), nullptr);
    for (const std::uint32_t length : {0u, 15u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
        words[0] = length;
        datagram = {reinterpret_cast<const std::uint8_t*>(words.data()), words.size() * 4};
        EXPECT_EQ(take_message(datagram), nullptr) << length;
    }
}

TEST(Datagrams, random_octets_do_no_harm) {
    std::mt19937 random(9);
    constexpr std::uint16_t kTypes[] = {RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH,
                                        RTM_DELNEXTHOP};
    for (int i = 0; i < 200000; ++i) {
        std::vector<std::uint32_t> words(4 + random() % 40);
        for (auto& word : words) {
            word = static_cast<std::uint32_t>(random() % 2 == 0 ? random() % 48 : random());
        }
        words[0] = static_cast<std::uint32_t>(words.size() * 4);
        words[1] = kTypes[random() % 5];
        ConstByteSpan datagram(reinterpret_cast<const std::uint8_t*>(words.data()),
                               words.size() * 4);
        while (const auto* message = take_message(datagram)) (void)parse_message(*message);
    }
}

}  // namespace
}  // namespace homeport::netlink
