// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/netlink_monitor.hpp"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

#include <array>

#include "tests/unit/mobile-node/packets.hpp"

namespace homeport::mobile_node {
namespace {

struct NetlinkMonitorTest : testing::Test {
    LinkTable table{kHomeAgent, *Ipv6Prefix::parse("2001:db8:1::/64")};
    alignas(nlmsghdr) std::array<char, 1024> buffer{};

    template <class T>
    T& message(std::uint16_t type) {
        buffer.fill(0);
        nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
        header->nlmsg_type = type;
        return *static_cast<T*>(mnl_nlmsg_put_extra_header(header, sizeof(T)));
    }
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer.data()); }
    void apply() { apply_message(*header(), table); }

    void link(int index, const char* name, unsigned flags) {
        auto& info = message<ifinfomsg>(RTM_NEWLINK);
        info.ifi_index = index;
        info.ifi_type = ARPHRD_ETHER;
        info.ifi_flags = flags;
        mnl_attr_put_strz(header(), IFLA_IFNAME, name);
        mnl_attr_put_u32(header(), IFLA_MTU, 1400);
        const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, 0, 9};
        mnl_attr_put(header(), IFLA_ADDRESS, 6, mac.data());
        apply();
    }
    void address(std::uint16_t type, unsigned index, const Ipv6Address& address,
                 std::uint32_t flags) {
        auto& info = message<ifaddrmsg>(type);
        info.ifa_family = AF_INET6;
        info.ifa_prefixlen = 64;
        info.ifa_index = index;
        mnl_attr_put(header(), IFA_ADDRESS, 16, address.bytes.data());
        mnl_attr_put_u32(header(), IFA_FLAGS, flags);
        const ifa_cacheinfo lifetimes{60, 90, 0, 0};
        mnl_attr_put(header(), IFA_CACHEINFO, sizeof lifetimes, &lifetimes);
        apply();
    }
    void route(std::uint16_t type, std::uint8_t length, bool gateway, std::uint8_t table_id) {
        auto& info = message<rtmsg>(type);
        info.rtm_family = AF_INET6;
        info.rtm_type = RTN_UNICAST;
        info.rtm_dst_len = length;
        info.rtm_table = table_id;
        if (length > 0) {
            mnl_attr_put(header(), RTA_DST, 16,
                         Ipv6Prefix{kHomeAgent, 64}.masked().address.bytes.data());
        }
        mnl_attr_put_u32(header(), RTA_OIF, 2);
        mnl_attr_put_u32(header(), RTA_PRIORITY, 7);
        if (gateway) mnl_attr_put(header(), RTA_GATEWAY, 16, kCorrespondent.bytes.data());
        apply();
    }
};

constexpr unsigned kUp = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;

TEST_F(NetlinkMonitorTest, links_come_change_and_go) {
    link(2, "eth0", kUp);
    ASSERT_NE(table.find(2), nullptr);
    EXPECT_EQ(table.find(2)->name, "eth0");
    EXPECT_TRUE(table.find(2)->running);
    EXPECT_EQ(table.find(2)->mtu, 1400u);
    EXPECT_EQ(table.find(2)->mac, MacAddress::parse("02:00:00:00:00:09"));
    link(2, "eth0", IFF_UP);  // no carrier
    EXPECT_FALSE(table.find(2)->running);
    message<ifinfomsg>(RTM_DELLINK).ifi_index = 2;
    apply();
    EXPECT_EQ(table.find(2), nullptr);
}

TEST_F(NetlinkMonitorTest, addresses_come_change_and_go) {
    link(2, "eth0", kUp);
    address(RTM_NEWADDR, 2, kCareOfAddress, IFA_F_TENTATIVE);
    EXPECT_FALSE(table.has_address(2, kCareOfAddress));
    address(RTM_NEWADDR, 2, kCareOfAddress, IFA_F_DEPRECATED | IFA_F_TEMPORARY);
    EXPECT_TRUE(table.has_address(2, kCareOfAddress));
    const LinkAddress& found = table.find(2)->addresses.at(0);
    EXPECT_TRUE(found.deprecated && found.temporary);
    EXPECT_EQ(found.valid_lifetime, 90u);
    EXPECT_EQ(table.find(2)->addresses.size(), 1u);
    link(2, "eth0", kUp);
    EXPECT_TRUE(table.has_address(2, kCareOfAddress)) << "news of the link loses its addresses";
    address(RTM_DELADDR, 2, kCareOfAddress, 0);
    EXPECT_FALSE(table.has_address(2, kCareOfAddress));
}

TEST_F(NetlinkMonitorTest, an_address_of_which_detection_found_a_duplicate_is_not_usable) {
    link(2, "eth0", kUp);
    address(RTM_NEWADDR, 2, kCareOfAddress, IFA_F_DADFAILED);
    EXPECT_FALSE(table.has_address(2, kCareOfAddress));
}

TEST_F(NetlinkMonitorTest, routes_of_the_main_table_come_and_go) {
    route(RTM_NEWROUTE, 0, true, RT_TABLE_MAIN);
    route(RTM_NEWROUTE, 64, false, RT_TABLE_MAIN);
    route(RTM_NEWROUTE, 0, true, 100);
    ASSERT_EQ(table.routes().size(), 2u);
    EXPECT_FALSE(table.routes()[0].on_link);
    EXPECT_TRUE(table.routes()[1].on_link);
    EXPECT_EQ(table.routes()[1].metric, 7u);
    route(RTM_DELROUTE, 0, true, RT_TABLE_MAIN);
    EXPECT_EQ(table.routes().size(), 1u);
}

TEST_F(NetlinkMonitorTest, short_and_strange_messages_are_ignored) {
    for (const std::uint16_t type : {RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE}) {
        buffer.fill(0);
        nlmsghdr* short_one = mnl_nlmsg_put_header(buffer.data());
        short_one->nlmsg_type = type;
        apply();
        mnl_nlmsg_put_extra_header(short_one, 4);
        apply();
    }
    message<ifinfomsg>(RTM_NEWLINK).ifi_index = 3;  // without a name
    apply();
    EXPECT_TRUE(table.links().empty());
    link(2, "eth0", kUp);
    auto& info = message<ifaddrmsg>(RTM_NEWADDR);
    info.ifa_family = AF_INET6;
    info.ifa_index = 2;
    mnl_attr_put(header(), IFA_ADDRESS, 4, kCareOfAddress.bytes.data());  // too short
    apply();
    EXPECT_TRUE(table.find(2)->addresses.empty());
}

}  // namespace
}  // namespace homeport::mobile_node
