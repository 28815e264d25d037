// SPDX-License-Identifier: BSD-3-Clause
// Dynamic home agent address discovery (RFC 6275 10.5; R bit RFC 3963 7): path P8.
#include <algorithm>
#include <utility>

#include "controlplane/mip6/home_agent.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

namespace {

constexpr std::size_t kMaxListed =
    (kIpv6MinimumMtu - sizeof(Ipv6Header) - sizeof(IcmpHeader)) / sizeof(Ipv6Address);

}  // namespace

bool HomeAgent::is_anycast_address(const Ipv6Address& address) const {
    return std::ranges::any_of(config_.home_prefixes, [&](const HomePrefix& home) {
        return home_agents_anycast(home.prefix) == address;
    });
}

void HomeAgent::receive_icmpv6(const wire::Ipv6PacketView& packet, const ReceiveInfo& info) {
    const auto counted = [&](Counter counter, const char* detail) {
        count(counter, packet.source, info.wire_source, detail);
    };
    const auto message = wire::decode_icmpv6(packet);
    if (!message) return counted(Counter::kDhaadBad, message.error().what);
    if (const auto* request = std::get_if<wire::HomeAgentDiscoveryRequest>(&*message)) {
        return answer_discovery(packet, info, *request);
    }
    if (const auto* solicitation = std::get_if<wire::MobilePrefixSolicitation>(&*message)) {
        return answer_prefix_solicitation(packet, info, *solicitation);
    }
    counted(Counter::kIcmpUnserved, "ICMPv6 message that a home agent does not serve");
}

/// Our address on the home link of `prefix`: the one inside it, else the preferred one.
Ipv6Address HomeAgent::own_address_for(const HomePrefix* prefix) const {
    if (prefix != nullptr) {
        for (const Ipv6Address& address : config_.home_agent_addresses) {
            if (prefix->prefix.contains(address)) return address;
        }
    }
    return config_.home_agent_addresses.front();
}

/// By decreasing preference, in random order among equals.
std::vector<Ipv6Address> HomeAgent::home_agents_list(const Ipv6Address& self, bool mobile_routers,
                                                     bool& listed_serve_mobile_routers) {
    std::vector<OtherHomeAgent> agents = config_.other_home_agents;
    agents.push_back({self, config_.dhaad_preference, config_.mobile_router_service});
    listed_serve_mobile_routers =
        mobile_routers && std::ranges::any_of(agents, &OtherHomeAgent::mobile_routers);
    if (listed_serve_mobile_routers) {
        std::erase_if(agents, [](const OtherHomeAgent& agent) { return !agent.mobile_routers; });
    }
    std::ranges::shuffle(agents, random_);
    std::ranges::sort(agents, std::ranges::greater{}, &OtherHomeAgent::preference);
    std::vector<Ipv6Address> list;
    for (const OtherHomeAgent& agent : agents) {
        if (list.size() == kMaxListed) break;
        list.push_back(agent.address);
    }
    return list;
}

void HomeAgent::answer_discovery(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                                 const wire::HomeAgentDiscoveryRequest& request) {
    const auto counted = [&](Counter counter, const char* detail) {
        count(counter, packet.source, info.wire_source, detail);
    };
    const bool to_us = is_anycast_address(packet.destination) || is_own_address(packet.destination);
    if (!to_us || !config_.enabled || config_.home_agent_addresses.empty()) {
        return counted(Counter::kDhaadBad, "not to this home agent");
    }
    if (!packet.source.is_unicast_routable()) {
        return counted(Counter::kDhaadBad, "source is not unicast routable");
    }
    if (!dhaad_rate_.take(now_)) return counted(Counter::kDhaadRateLimited, "");
    const Ipv6Address self = own_address_for(home_prefix_of(packet.destination));
    wire::HomeAgentDiscoveryReply reply{request.identifier, false, {}};
    reply.home_agents = home_agents_list(self, request.mobile_routers, reply.mobile_routers);
    actions_.push_back(
        SendIcmpv6{wire::icmpv6_packet(reply, self, packet.source), packet.source, info.port});
    counted(Counter::kDhaadReplied, "");
}

}  // namespace homeport::mip6
