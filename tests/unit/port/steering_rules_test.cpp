// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/steering_rules.hpp"

#include <gtest/gtest.h>
#include <rte_byteorder.h>

#include <cstring>
#include <map>

namespace homeport::port {
namespace {

using Types = std::vector<rte_flow_item_type>;
constexpr auto kEth = RTE_FLOW_ITEM_TYPE_ETH;
constexpr auto kIp4 = RTE_FLOW_ITEM_TYPE_IPV4;
constexpr auto kIp6 = RTE_FLOW_ITEM_TYPE_IPV6;
constexpr auto kUdp = RTE_FLOW_ITEM_TYPE_UDP;
constexpr auto kEsp = RTE_FLOW_ITEM_TYPE_ESP;

/// What a rule must be, field by field. Zero: the field is not looked at.
struct Expected {
    Types items;
    std::uint16_t queue = 0;
    std::uint16_t udp_destination = 0;
    std::uint8_t next_header = 0;  // of the last IPv6 item
    std::uint32_t spi = 0, spi_mask = 0;
    FlowMatch needs{};
};

template <class Item>
bool is_zero(const Item& item) {
    static const Item kZero{};
    return std::memcmp(&item, &kZero, sizeof item) == 0;
}

/// `item` with nothing in spec and mask but what is expected.
void expect_item(const rte_flow_item& item, const Expected& wanted, bool is_last) {
    EXPECT_EQ(item.last, nullptr);
    if (item.type == kUdp) {
        rte_flow_item_udp spec = *static_cast<const rte_flow_item_udp*>(item.spec);
        rte_flow_item_udp mask = *static_cast<const rte_flow_item_udp*>(item.mask);
        EXPECT_EQ(rte_be_to_cpu_16(spec.hdr.dst_port), wanted.udp_destination);
        EXPECT_EQ(mask.hdr.dst_port, 0xffff);
        spec.hdr.dst_port = mask.hdr.dst_port = 0;
        EXPECT_TRUE(is_zero(spec) && is_zero(mask));
    } else if (item.type == kEsp) {
        rte_flow_item_esp spec = *static_cast<const rte_flow_item_esp*>(item.spec);
        rte_flow_item_esp mask = *static_cast<const rte_flow_item_esp*>(item.mask);
        EXPECT_EQ(rte_be_to_cpu_32(spec.hdr.spi), wanted.spi);
        EXPECT_EQ(rte_be_to_cpu_32(mask.hdr.spi), wanted.spi_mask);
        EXPECT_EQ(wanted.spi & ~wanted.spi_mask, 0u) << "a value outside its mask";
        spec.hdr.spi = mask.hdr.spi = 0;
        EXPECT_TRUE(is_zero(spec) && is_zero(mask));
    } else if (item.type == kIp6 && is_last) {
        rte_flow_item_ipv6 spec = *static_cast<const rte_flow_item_ipv6*>(item.spec);
        rte_flow_item_ipv6 mask = *static_cast<const rte_flow_item_ipv6*>(item.mask);
        EXPECT_EQ(spec.hdr.proto, wanted.next_header);
        EXPECT_EQ(mask.hdr.proto, 0xff);
        spec.hdr.proto = mask.hdr.proto = 0;
        EXPECT_TRUE(is_zero(spec) && is_zero(mask));
    } else {
        EXPECT_EQ(item.spec, nullptr);
        EXPECT_EQ(item.mask, nullptr);
    }
}

void expect_rule(const SteeringRule& rule, const Expected& wanted) {
    SCOPED_TRACE(rule.name + ": " + pattern_text(rule));
    EXPECT_EQ(rule.needs, wanted.needs);
    const FlowArguments arguments(rule);
    EXPECT_EQ(arguments.attributes().ingress, 1u);
    EXPECT_EQ(arguments.attributes().egress, 0u);
    EXPECT_EQ(arguments.attributes().transfer, 0u);
    EXPECT_EQ(arguments.attributes().group, 0u);
    EXPECT_EQ(arguments.attributes().priority, 0u);
    const rte_flow_item* items = arguments.items();
    for (std::size_t i = 0; i < wanted.items.size(); ++i) {
        ASSERT_EQ(items[i].type, wanted.items[i]) << "item " << i;
        expect_item(items[i], wanted, i + 1 == wanted.items.size());
    }
    EXPECT_EQ(items[wanted.items.size()].type, RTE_FLOW_ITEM_TYPE_END);
    EXPECT_EQ(arguments.actions()[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
    EXPECT_EQ(static_cast<const rte_flow_action_queue*>(arguments.actions()[0].conf)->index,
              wanted.queue);
    EXPECT_EQ(arguments.actions()[1].type, RTE_FLOW_ACTION_TYPE_END);
}

void expect_rules(const std::vector<SteeringRule>& rules,
                  const std::vector<std::pair<std::string, Expected>>& wanted) {
    ASSERT_EQ(rules.size(), wanted.size());
    for (std::size_t i = 0; i < rules.size(); ++i) {
        EXPECT_EQ(rules[i].name, wanted[i].first);
        expect_rule(rules[i], wanted[i].second);
    }
}

std::vector<std::pair<std::string, Expected>> signalling(std::uint16_t queue) {
    constexpr auto kMasked = FlowMatch::kEspSpiMasked;
    constexpr auto kInUdp = FlowMatch::kUdpEspSpiMasked;
    constexpr auto kPort = FlowMatch::kUdpDestinationPort;
    constexpr auto kNext = FlowMatch::kNextHeader;
    return {
        {"signalling esp ipv6", {{kEth, kIp6, kEsp}, queue, 0, 0, 1u << 31, 3u << 30, kMasked}},
        {"signalling esp ipv4", {{kEth, kIp4, kEsp}, queue, 0, 0, 1u << 31, 3u << 30, kMasked}},
        {"signalling esp udp 4500",
         {{kEth, kIp4, kUdp, kEsp}, queue, 4500, 0, 1u << 31, 3u << 30, kInUdp}},
        {"ike udp 4500", {{kEth, kIp4, kUdp, kEsp}, queue, 4500, 0, 0, 0xffffffff, kInUdp}},
        {"home address option", {{kEth, kIp6}, queue, 0, 60, 0, 0, kNext}},
        {"mobility header", {{kEth, kIp6}, queue, 0, 135, 0, 0, kNext}},
        {"home address option udp 4191",
         {{kEth, kIp4, kUdp, kIp6}, queue, 4191, 60, 0, 0, FlowMatch::kUdpInnerNextHeader}},
        {"udp 434", {{kEth, kIp4, kUdp}, queue, 434, 0, 0, 0, kPort}},
        {"udp 500 ipv4", {{kEth, kIp4, kUdp}, queue, 500, 0, 0, 0, kPort}},
        {"udp 500 ipv6", {{kEth, kIp6, kUdp}, queue, 500, 0, 0, 0, kPort}},
        {"udp 4191", {{kEth, kIp4, kUdp}, queue, 4191, 0, 0, 0, kPort}},
        {"udp 4500", {{kEth, kIp4, kUdp}, queue, 4500, 0, 0, 0, kPort}},
    };
}

TEST(SteeringRules, S1_18_signalling_goes_to_its_queue_field_by_field) {
    expect_rules(steering_rules({.workers = {0}, .signalling = 1}), signalling(1));
}

TEST(SteeringRules, each_owner_has_its_queue_field_by_field) {
    auto wanted = signalling(3);
    const std::vector<unsigned> workers{2, 0, 5};
    for (std::uint16_t queue = 0; queue < 3; ++queue) {
        const unsigned owner = workers[queue];
        const std::uint32_t spi = 3u << 30 | owner << 24;  // our own, data
        const std::string name = "owner " + std::to_string(owner);
        constexpr auto kMasked = FlowMatch::kEspSpiMasked;
        wanted.push_back(
            {name + " esp ipv6", {{kEth, kIp6, kEsp}, queue, 0, 0, spi, 0xff000000, kMasked}});
        wanted.push_back(
            {name + " esp ipv4", {{kEth, kIp4, kEsp}, queue, 0, 0, spi, 0xff000000, kMasked}});
        wanted.push_back({name + " esp udp 4500",
                          {{kEth, kIp4, kUdp, kEsp},
                           queue,
                           4500,
                           0,
                           spi,
                           0xff000000,
                           FlowMatch::kUdpEspSpiMasked}});
    }
    expect_rules(steering_rules({.workers = workers, .signalling = 3}), wanted);
}

TEST(SteeringRules, without_a_queue_of_its_own_signalling_goes_to_its_owner) {
    const auto rules = steering_rules({.workers = {0, 1}, .signalling = {}});
    const auto& owner1 = rules[rules.size() - 3];
    EXPECT_EQ(owner1.name, "owner 1 esp ipv6");
    EXPECT_EQ(pattern_text(owner1),
              "eth / ipv6 / esp spi spec 0x81000000 spi mask 0xbf000000 / end");
    EXPECT_EQ(action_text(owner1), "queue index 1");
}

TEST(SteeringRules, a_worker_with_two_queues_gets_its_packets_by_one) {
    const auto rules = steering_rules({.workers = {0, 1, 0}, .signalling = {}});
    unsigned owners = 0;
    for (const SteeringRule& rule : rules) owners += rule.purpose == FlowPurpose::kOwner ? 1 : 0;
    EXPECT_EQ(owners, 6u);
}

/// Whether both rules can match one packet, by the headers and fields that they look at.
bool overlap(const SteeringRule& a, const SteeringRule& b) {
    if (a.items.size() != b.items.size()) {
        // A shorter pattern with a next header of its own excludes what the longer one wants.
        const SteeringRule& shorter = a.items.size() < b.items.size() ? a : b;
        const SteeringRule& longer = a.items.size() < b.items.size() ? b : a;
        for (std::size_t i = 0; i < shorter.items.size(); ++i) {
            if (shorter.items[i].type != longer.items[i].type) return false;
        }
        if (std::holds_alternative<Matched<rte_flow_item_ipv6>>(shorter.items.back().match)) {
            return false;  // 60 and 135 are neither ESP nor UDP
        }
        const auto* one = std::get_if<Matched<rte_flow_item_udp>>(&shorter.items[2].match);
        const auto* other = std::get_if<Matched<rte_flow_item_udp>>(&longer.items[2].match);
        return one != nullptr && other != nullptr &&
               one->spec.hdr.dst_port == other->spec.hdr.dst_port;
    }
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (a.items[i].type != b.items[i].type) return false;
        if (const auto* x = std::get_if<Matched<rte_flow_item_esp>>(&a.items[i].match)) {
            const auto* y = std::get_if<Matched<rte_flow_item_esp>>(&b.items[i].match);
            const auto both = x->mask.hdr.spi & y->mask.hdr.spi;
            if ((x->spec.hdr.spi & both) != (y->spec.hdr.spi & both)) return false;
        }
        if (const auto* x = std::get_if<Matched<rte_flow_item_udp>>(&a.items[i].match)) {
            const auto* y = std::get_if<Matched<rte_flow_item_udp>>(&b.items[i].match);
            if (x->spec.hdr.dst_port != y->spec.hdr.dst_port) return false;
        }
        const auto* x = std::get_if<Matched<rte_flow_item_ipv6>>(&a.items[i].match);
        const auto* y = std::get_if<Matched<rte_flow_item_ipv6>>(&b.items[i].match);
        if (x != nullptr && y != nullptr && x->spec.hdr.proto != y->spec.hdr.proto) return false;
    }
    return true;
}

TEST(SteeringRules, no_two_rules_match_one_packet_but_those_asked_for_instead_of_each_other) {
    const auto rules = steering_rules({.workers = {0, 1, 2}, .signalling = 3});
    for (std::size_t i = 0; i < rules.size(); ++i) {
        for (std::size_t k = i + 1; k < rules.size(); ++k) {
            const bool stands_in = rules[k].instead_of == static_cast<int>(i);
            const bool with_it = rules[k].name == "udp 4500" && rules[i].name == "ike udp 4500";
            // Owners of data in UDP 4500 and the whole port are never asked for together.
            const bool never_both =
                rules[i].name == "udp 4500" && rules[k].purpose == FlowPurpose::kOwner;
            if (stands_in || with_it || never_both) continue;
            EXPECT_FALSE(overlap(rules[i], rules[k])) << rules[i].name << ", " << rules[k].name;
        }
    }
}

TEST(SteeringRules, texts_are_those_of_testpmd) {
    std::map<std::string, std::string> texts;
    for (const SteeringRule& rule : steering_rules({.workers = {0}, .signalling = 1})) {
        texts[rule.name] = pattern_text(rule);
    }
    EXPECT_EQ(texts["mobility header"], "eth / ipv6 proto is 135 / end");
    EXPECT_EQ(texts["udp 434"], "eth / ipv4 / udp dst is 434 / end");
    EXPECT_EQ(texts["home address option udp 4191"],
              "eth / ipv4 / udp dst is 4191 / ipv6 proto is 60 / end");
    EXPECT_EQ(texts["signalling esp udp 4500"],
              "eth / ipv4 / udp dst is 4500 / esp spi spec 0x80000000 spi mask 0xc0000000 / end");
}

}  // namespace
}  // namespace homeport::port
