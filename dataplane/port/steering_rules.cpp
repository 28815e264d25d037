// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/steering_rules.hpp"

#include <rte_byteorder.h>

#include <array>
#include <cstdio>
#include <utility>

#include "dataplane/base/ip_header.hpp"

namespace homeport::port {

namespace {

constexpr std::uint16_t kIkePort = 500;
constexpr std::uint16_t kMobileIpv4Port = 434;     // RFC 5944 section 3.1
constexpr std::uint16_t kDsmipPort = 4191;         // RFC 5555 section 4.1.1
constexpr std::uint16_t kNatTraversalPort = 4500;  // RFC 3948

constexpr std::uint32_t kSignallingSpi = spi_bits::kOwn;
constexpr std::uint32_t kGroupMask = spi_bits::kOwn | spi_bits::kData;
constexpr std::uint32_t kNonEspMarker = 0;  // RFC 3948 section 2.2: IKE behind it

template <class Item>
FlowItem item(rte_flow_item_type type, const Matched<Item>& match) {
    return {type, match};
}
FlowItem any(rte_flow_item_type type) {
    return {type, {}};
}

FlowItem ipv6_with(IpProtocol next_header) {
    Matched<rte_flow_item_ipv6> match{};
    match.spec.hdr.proto = number(next_header);
    match.mask.hdr.proto = 0xff;
    return item(RTE_FLOW_ITEM_TYPE_IPV6, match);
}

FlowItem udp_to(std::uint16_t port) {
    Matched<rte_flow_item_udp> match{};
    match.spec.hdr.dst_port = rte_cpu_to_be_16(port);
    match.mask.hdr.dst_port = 0xffff;
    return item(RTE_FLOW_ITEM_TYPE_UDP, match);
}

FlowItem esp_with(std::uint32_t spi, std::uint32_t mask) {
    Matched<rte_flow_item_esp> match{};
    match.spec.hdr.spi = rte_cpu_to_be_32(spi);
    match.mask.hdr.spi = rte_cpu_to_be_32(mask);
    return item(RTE_FLOW_ITEM_TYPE_ESP, match);
}

const FlowItem kEthernet = any(RTE_FLOW_ITEM_TYPE_ETH);
const FlowItem kIpv4 = any(RTE_FLOW_ITEM_TYPE_IPV4);
const FlowItem kIpv6 = any(RTE_FLOW_ITEM_TYPE_IPV6);

/// The three ways in which ESP comes (P4, P13i).
void add_esp(std::vector<SteeringRule>& rules, const std::string& name, FlowPurpose purpose,
             std::uint32_t spi, std::uint32_t mask, std::uint16_t queue) {
    const FlowItem esp = esp_with(spi, mask);
    rules.push_back(
        {name + " esp ipv6", purpose, FlowMatch::kEspSpiMasked, {kEthernet, kIpv6, esp}, queue});
    rules.push_back(
        {name + " esp ipv4", purpose, FlowMatch::kEspSpiMasked, {kEthernet, kIpv4, esp}, queue});
    rules.push_back({name + " esp udp 4500",
                     purpose,
                     FlowMatch::kUdpEspSpiMasked,
                     {kEthernet, kIpv4, udp_to(kNatTraversalPort), esp},
                     queue});
}

void add_signalling(std::vector<SteeringRule>& rules, std::uint16_t queue) {
    constexpr FlowPurpose kPurpose = FlowPurpose::kSignalling;
    add_esp(rules, "signalling", kPurpose, kSignallingSpi, kGroupMask, queue);
    const int esp_in_udp = static_cast<int>(rules.size()) - 1;
    rules.push_back(
        {"ike udp 4500",
         kPurpose,
         FlowMatch::kUdpEspSpiMasked,
         {kEthernet, kIpv4, udp_to(kNatTraversalPort), esp_with(kNonEspMarker, 0xffffffff)},
         queue});
    rules.push_back({"home address option",
                     kPurpose,
                     FlowMatch::kNextHeader,
                     {kEthernet, ipv6_with(IpProtocol::kDestinationOptions)},
                     queue});
    rules.push_back({"mobility header",
                     kPurpose,
                     FlowMatch::kNextHeader,
                     {kEthernet, ipv6_with(IpProtocol::kMobility)},
                     queue});
    rules.push_back(
        {"home address option udp 4191",
         kPurpose,
         FlowMatch::kUdpInnerNextHeader,
         {kEthernet, kIpv4, udp_to(kDsmipPort), ipv6_with(IpProtocol::kDestinationOptions)},
         queue});
    const int inside_4191 = static_cast<int>(rules.size()) - 1;
    const auto whole_port = [&](const std::string& name, const FlowItem& ip, std::uint16_t port,
                                int instead_of) {
        rules.push_back({name,
                         kPurpose,
                         FlowMatch::kUdpDestinationPort,
                         {kEthernet, ip, udp_to(port)},
                         queue,
                         instead_of});
    };
    whole_port("udp 434", kIpv4, kMobileIpv4Port, -1);
    whole_port("udp 500 ipv4", kIpv4, kIkePort, -1);
    whole_port("udp 500 ipv6", kIpv6, kIkePort, -1);
    // Data comes by these two as well. Where the whole port has to go to the queue of signalling,
    // software tells the two apart behind it.
    whole_port("udp 4191", kIpv4, kDsmipPort, inside_4191);
    whole_port("udp 4500", kIpv4, kNatTraversalPort, esp_in_udp);
}

void add_owners(std::vector<SteeringRule>& rules, const QueueLayout& layout) {
    // Signalling without a queue of its own goes to its owner like data.
    const std::uint32_t group = layout.signalling ? spi_bits::kData : 0;
    constexpr unsigned kMostOwners = (spi_bits::kOwner >> spi_bits::kOwnerShift) + 1;
    std::uint64_t seen = 0;
    for (std::size_t queue = 0; queue < layout.workers.size(); ++queue) {
        const unsigned worker = layout.workers[queue];
        if (worker >= kMostOwners || (seen >> worker & 1) != 0) continue;
        seen |= std::uint64_t{1} << worker;
        add_esp(rules, "owner " + std::to_string(worker), FlowPurpose::kOwner,
                spi_bits::kOwn | group | worker << spi_bits::kOwnerShift,
                spi_bits::kOwn | group | spi_bits::kOwner, static_cast<std::uint16_t>(queue));
    }
}

std::string hexadecimal(std::uint32_t value) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%08x", value);
    return text.data();
}

struct ItemText {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const Matched<rte_flow_item_ipv4>& ip) const {
        if (ip.mask.hdr.next_proto_id == 0) return "";
        return " proto is " + std::to_string(ip.spec.hdr.next_proto_id);
    }
    std::string operator()(const Matched<rte_flow_item_ipv6>& ip) const {
        if (ip.mask.hdr.proto == 0) return "";
        return " proto is " + std::to_string(ip.spec.hdr.proto);
    }
    std::string operator()(const Matched<rte_flow_item_udp>& udp) const {
        return " dst is " + std::to_string(rte_be_to_cpu_16(udp.spec.hdr.dst_port));
    }
    std::string operator()(const Matched<rte_flow_item_esp>& esp) const {
        const std::uint32_t spi = rte_be_to_cpu_32(esp.spec.hdr.spi);
        const std::uint32_t mask = rte_be_to_cpu_32(esp.mask.hdr.spi);
        return " spi spec " + hexadecimal(spi) + " spi mask " + hexadecimal(mask);
    }
};

std::string_view name_of(rte_flow_item_type type) {
    switch (type) {
        case RTE_FLOW_ITEM_TYPE_ETH:
            return "eth";
        case RTE_FLOW_ITEM_TYPE_IPV4:
            return "ipv4";
        case RTE_FLOW_ITEM_TYPE_IPV6:
            return "ipv6";
        case RTE_FLOW_ITEM_TYPE_UDP:
            return "udp";
        case RTE_FLOW_ITEM_TYPE_ESP:
            return "esp";
        default:
            return "?";
    }
}

}  // namespace

std::string_view name_of(FlowMatch match) {
    static constexpr std::array<std::string_view, 5> kNames{"udp_destination_port", "next_header",
                                                            "esp_spi_masked", "udp_esp_spi_masked",
                                                            "udp_inner_next_header"};
    return kNames[static_cast<std::size_t>(match)];
}

std::vector<SteeringRule> steering_rules(const QueueLayout& layout) {
    std::vector<SteeringRule> rules;
    add_signalling(rules, layout.signalling.value_or(0));
    // One queue takes all that is left without a rule.
    if (layout.workers.size() > 1) add_owners(rules, layout);
    return rules;
}

std::string pattern_text(const SteeringRule& rule) {
    std::string text;
    for (const FlowItem& item : rule.items) {
        text += name_of(item.type);
        text += std::visit(ItemText{}, item.match) + " / ";
    }
    return text + "end";
}

std::string action_text(const SteeringRule& rule) {
    return "queue index " + std::to_string(rule.queue);
}

FlowArguments::FlowArguments(const SteeringRule& rule) {
    attributes_.ingress = 1;
    for (const FlowItem& item : rule.items) {
        rte_flow_item& out = items_.emplace_back();
        out.type = item.type;
        std::visit(
            [&](const auto& match) {
                if constexpr (requires { match.spec; }) {
                    out.spec = &match.spec;
                    out.mask = &match.mask;
                }
            },
            item.match);
    }
    items_.emplace_back().type = RTE_FLOW_ITEM_TYPE_END;
    queue_.index = rule.queue;
    actions_[0].type = RTE_FLOW_ACTION_TYPE_QUEUE;
    actions_[0].conf = &queue_;
    actions_[1].type = RTE_FLOW_ACTION_TYPE_END;
}

}  // namespace homeport::port
