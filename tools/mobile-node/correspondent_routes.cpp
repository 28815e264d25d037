// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/correspondent_routes.hpp"

#include <utility>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/home_address_option.hpp"
#include "dataplane/tunnel/rewrite.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::chrono::minutes kPathMtuAge{10};

}  // namespace

void CorrespondentRoutes::replace(const Ipv6Address& care_of_address,
                                  const std::vector<Ipv6Address>& usable,
                                  const std::vector<Ipv6Address>& bound) {
    // Another care-of address is another path.
    const bool same = care_of_address_ == care_of_address;
    std::unordered_map<Ipv6Address, Direct> next;
    const auto add = [&](const Ipv6Address& address, bool is_usable) {
        Direct& direct = next[address];
        if (const auto old = routes_.find(address); old != routes_.end() && same) {
            direct = old->second;
        }
        direct.usable = is_usable;
    };
    for (const Ipv6Address& address : bound) add(address, false);
    for (const Ipv6Address& address : usable) add(address, true);
    routes_ = std::move(next);
    care_of_address_ = care_of_address;
}

CorrespondentRoutes::Taken CorrespondentRoutes::take(ipsec::Packet& packet,
                                                     const Ipv6Address& care_of_address) {
    if (routes_.empty() || packet.length < sizeof(Ipv6Header) || packet.data[0] >> 4 != 6 ||
        care_of_address != care_of_address_ ||
        packet.data[offsetof(Ipv6Header, next_header)] == number(IpProtocol::kMobility)) {
        return Taken::kNo;
    }
    const auto found = routes_.find(tunnel::destination_of(packet.bytes()));
    if (found == routes_.end() || !found->second.usable) return Taken::kNo;
    Direct& direct = found->second;
    if (direct.path_mtu != 0 && Clock::now() - direct.learnt > kPathMtuAge) direct.path_mtu = 0;
    if (direct.path_mtu != 0 &&
        packet.length + tunnel::kHomeAddressOptionLength > direct.path_mtu) {
        events_.too_big(packet.bytes(), direct.path_mtu - tunnel::kHomeAddressOptionLength);
        return Taken::kTooBig;
    }
    if (!tunnel::insert_home_address_option(packet, care_of_address)) return Taken::kNoRoom;
    direct.used = true;
    return Taken::kYes;
}

bool CorrespondentRoutes::note_path_mtu(const Ipv6Address& correspondent, unsigned mtu,
                                        Clock::time_point now) {
    const auto found = routes_.find(correspondent);
    if (found == routes_.end()) return false;
    // Below this an application's smallest packets would have to be fragmented: not worth it.
    if (mtu < kIpv6MinimumMtu + tunnel::kHomeAddressOptionLength) return false;
    Direct& direct = found->second;
    if (direct.path_mtu != 0 && direct.path_mtu <= mtu) return true;
    direct.path_mtu = mtu;
    direct.learnt = now;
    return true;
}

std::vector<Ipv6Address> CorrespondentRoutes::take_used() {
    std::vector<Ipv6Address> out;
    for (auto& [address, direct] : routes_) {
        if (std::exchange(direct.used, false)) out.push_back(address);
    }
    return out;
}

}  // namespace homeport::mobile_node
