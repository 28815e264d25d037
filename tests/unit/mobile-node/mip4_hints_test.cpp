// SPDX-License-Identifier: BSD-3-Clause
// Hints of the inside and outside (S2.74, S2.76, S2.78).
#include "tools/mobile-node/mip4/hints.hpp"

#include <gtest/gtest.h>
#include <net/if.h>

#include <cstdio>
#include <fstream>

namespace homeport::mobile_node {
namespace {

using mip4::Belief;
using Names = std::vector<std::string>;

MacAddress mac(const char* text) {
    return *MacAddress::parse(text);
}

TEST(Mip4Hints, S2_74_domains_of_a_resolv_conf) {
    EXPECT_EQ(domains_of("nameserver 10.0.0.1\nsearch Corp.Example. lab.example\n"),
              (Names{"corp.example", "lab.example"}));
    EXPECT_EQ(domains_of("\tdomain\tcorp.example\r\n"), Names{"corp.example"});
    // The last one counts.
    EXPECT_EQ(domains_of("domain a.example\nsearch b.example"), Names{"b.example"});
    EXPECT_EQ(domains_of("# search a.example\n;domain b\noptions x\nsearch\n"), Names{});
    EXPECT_EQ(domains_of("searching a.example\nsearch .\n"), Names{});
    EXPECT_EQ(domains_of(""), Names{});
}

TEST(Mip4Hints, S2_74_a_domain_or_one_below_means_inside) {
    Mip4Hints ours;
    ours.domains = {"corp.example"};
    EXPECT_EQ(belief_of(ours, {{"corp.example"}, {}}), Belief::kInside);
    EXPECT_EQ(belief_of(ours, {{"cafe.example", "eng.corp.example"}, {}}), Belief::kInside);
    EXPECT_EQ(belief_of(ours, {{"notcorp.example"}, {}}), Belief::kOutside);
    EXPECT_EQ(belief_of(ours, {{"example"}, {}}), Belief::kOutside);
    EXPECT_EQ(belief_of(ours, {{}, {}}), Belief::kNone);
}

TEST(Mip4Hints, S2_76_a_gateway_of_ours_means_inside_and_another_one_outside) {
    Mip4Hints ours;
    ours.gateway_macs = {mac("02:00:00:00:01:01"), mac("02:00:00:00:01:02")};
    EXPECT_EQ(belief_of(ours, {{}, mac("02:00:00:00:01:02")}), Belief::kInside);
    EXPECT_EQ(belief_of(ours, {{}, mac("02:00:00:00:01:03")}), Belief::kOutside);
    EXPECT_EQ(belief_of(ours, {{"corp.example"}, {}}), Belief::kNone);
    ours.domains = {"corp.example"};
    EXPECT_EQ(belief_of(ours, {{"corp.example"}, mac("02:00:00:00:01:03")}), Belief::kInside);
}

TEST(Mip4Hints, S2_75_the_realm_of_a_foreign_agent_is_a_domain_like_others) {
    const auto realm = [](std::string_view nai) {
        return realm_of({reinterpret_cast<const std::uint8_t*>(nai.data()), nai.size()});
    };
    EXPECT_EQ(realm("fa7@Corp.Example"), "corp.example");
    EXPECT_EQ(realm("a@b@corp.example."), "corp.example");
    EXPECT_EQ(realm("corp.example"), "corp.example");
    EXPECT_EQ(realm("fa@corp example"), "");
    EXPECT_EQ(realm(std::string_view("fa@\0corp", 8)), "");
    EXPECT_EQ(realm("fa@"), "");
    EXPECT_EQ(realm(""), "");
    Mip4Hints ours;
    ours.domains = {"corp.example"};
    EXPECT_EQ(belief_of(ours, {{}, {}, "eng.corp.example"}), Belief::kInside);
    EXPECT_EQ(belief_of(ours, {{}, {}, "cafe.example"}), Belief::kOutside);
    EXPECT_EQ(belief_of(ours, {{"cafe.example"}, {}, "corp.example"}), Belief::kInside);
    EXPECT_EQ(belief_of({}, {{}, {}, "corp.example"}), Belief::kNone);
}

TEST(Mip4Hints, a_file_that_is_not_there_is_no_hint) {
    Mip4Hints ours;
    EXPECT_FALSE(HintSource(ours).is_used());
    ours.domains = {"corp.example"};
    ours.resolv_conf = "/nonexistent/resolv.conf";
    HintSource source(ours);
    EXPECT_TRUE(source.is_used());
    EXPECT_EQ(source.about(1), Belief::kNone);
}

// The referee is /proc. Where this host has no default gateway, nothing may be found.
TEST(Mip4Hints, S2_76_the_kernel_is_asked_for_the_gateway) {
    NetlinkSocket socket;
    ASSERT_TRUE(socket.open());
    EXPECT_FALSE(gateway_mac(socket, static_cast<int>(::if_nametoindex("lo"))));
    std::ifstream routes("/proc/net/route");
    std::string line;
    std::getline(routes, line);
    while (std::getline(routes, line)) {
        char name[64] = {};
        unsigned destination = 0, gateway = 0, flags = 0, mask = 0;
        if (std::sscanf(line.c_str(), "%63s %x %x %x %*d %*d %*d %x", name, &destination, &gateway,
                        &flags, &mask) != 5 ||
            destination != 0 || mask != 0 || gateway == 0) {
            continue;
        }
        std::ifstream known("/proc/net/arp");
        const Ipv4Address address =
            Ipv4Address::load(reinterpret_cast<const std::uint8_t*>(&gateway));
        for (std::string entry; std::getline(known, entry);) {
            char ip[64] = {}, lladdr[64] = {}, device[64] = {};
            if (std::sscanf(entry.c_str(), "%63s %*s %*s %63s %*s %63s", ip, lladdr, device) != 3 ||
                address.to_string() != ip || std::string(device) != name ||
                mac(lladdr) == MacAddress{}) {
                continue;
            }
            const auto found = gateway_mac(socket, static_cast<int>(::if_nametoindex(name)));
            ASSERT_TRUE(found) << line;
            EXPECT_EQ(*found, mac(lladdr));
        }
        return;
    }
}

}  // namespace
}  // namespace homeport::mobile_node
