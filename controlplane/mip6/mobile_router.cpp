// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/mobile_router.hpp"

#include <algorithm>

namespace homeport::mip6 {

const char* to_string(MobileRouterMode mode) {
    switch (mode) {
        case MobileRouterMode::kOff:
            return "off";
        case MobileRouterMode::kImplicit:
            return "implicit";
        case MobileRouterMode::kExplicit:
            return "explicit";
    }
    return "";
}

void describe_networks(const MobileRouterConfig& router, bool registers,
                       wire::BindingUpdate& update) {
    if (!router.is_on()) return;
    update.mobile_router = true;
    if (!registers) return;
    if (router.mode == MobileRouterMode::kExplicit) {
        for (const Ipv6Prefix& prefix : router.prefixes) {
            update.options.emplace_back(wire::MobileNetworkPrefix{prefix.length, prefix.address});
        }
    }
    for (const Ipv4Prefix& prefix : router.ipv4_prefixes) {
        update.options.emplace_back(wire::Ipv4HomeAddress{prefix.length, true, prefix.address});
    }
}

std::vector<Ipv4Prefix> served_networks(const MobileRouterConfig& router,
                                        const wire::BindingAcknowledgement& answer) {
    std::vector<Ipv4Prefix> served;
    for (const wire::MobilityOption& option : answer.options) {
        const auto* one = std::get_if<wire::Ipv4AddressAcknowledgement>(&option);
        if (one == nullptr || one->status >= 128 || one->prefix_length > Ipv4Prefix::kMaxLength) {
            continue;
        }
        const Ipv4Prefix prefix = Ipv4Prefix{one->address, one->prefix_length}.masked();
        const auto has = [&](const auto& list) {
            return std::ranges::find(list, prefix) != list.end();
        };
        if (has(router.ipv4_prefixes) && !has(served)) served.push_back(prefix);
    }
    return served;
}

}  // namespace homeport::mip6
