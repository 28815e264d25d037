// SPDX-License-Identifier: BSD-3-Clause
// Prefixes on their way to the data plane: those of home links, and those of mobile routers.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"

namespace homeport::core {

namespace {

channel::MobilePrefixSet prefix_record(const Ipv6Address& home_address,
                                       const channel::WireAddress& prefix, std::uint8_t length) {
    channel::MobilePrefixSet record;
    record.prefix = prefix;
    record.prefix_length = length;
    record.home_address = channel::WireAddress(home_address);
    return record;
}

/// RFC 3963 section 6.3; IPv4 ones: RFC 5555 section 3.1.1, flag P.
std::vector<channel::MobilePrefixSet> prefixes_of(const binding::Entry& entry) {
    std::vector<channel::MobilePrefixSet> records;
    if (!entry.is_active()) return records;
    for (const Ipv6Prefix& prefix : entry.mobile_prefixes) {
        records.push_back(
            prefix_record(entry.home_address, channel::WireAddress(prefix.address), prefix.length));
    }
    for (const binding::Ipv4Home& home : entry.ipv4_homes) {
        if (home.prefix.length == Ipv4Prefix::kMaxLength) continue;
        records.push_back(prefix_record(entry.home_address,
                                        channel::WireAddress(home.prefix.masked().address),
                                        home.prefix.length));
    }
    return records;
}

bool is_same_prefix(const channel::MobilePrefixSet& a, const channel::MobilePrefixSet& b) {
    return a.prefix == b.prefix && a.prefix_length == b.prefix_length;
}

}  // namespace

/// Behind the binding that they belong to.
void App::send_mobile_prefixes(const binding::Entry& entry) {
    std::vector<channel::MobilePrefixSet> wanted = prefixes_of(entry);
    if (auto held = mobile_prefixes_.extract(entry.home_address); !held.empty()) {
        for (const channel::MobilePrefixSet& old : held.mapped()) {
            const auto same = [&](const auto& one) { return is_same_prefix(one, old); };
            if (std::ranges::any_of(wanted, same)) continue;
            channel::MobilePrefixRemove record;
            record.prefix = old.prefix;
            record.prefix_length = old.prefix_length;
            send(record);
        }
    }
    if (wanted.empty()) return;
    for (channel::MobilePrefixSet record : wanted) send(record);
    mobile_prefixes_.emplace(entry.home_address, std::move(wanted));
}

void App::send_home_prefixes() {
    const config::ControlplaneConfig& config = config_.controlplane;
    for (const config::HomeLinkConfig& link : config.home_links) {
        channel::HomePrefixSet record;
        record.prefix = channel::WireAddress(link.prefix.address);
        record.prefix_length = link.prefix.length;
        record.drop_unbound = link.no_binding == config::NoBinding::kDrop ? 1 : 0;
        if (!link.is_virtual()) {
            record.port = ports_.to_data_plane(ports_.number_of(link.port));
            if (record.port == channel::kNoPort) {
                log_.limited(Message::kPortUnknown, "the data plane has no port " + link.port +
                                                        ", which is the home link of " +
                                                        link.prefix.to_string());
            }
        }
        send(record);
        if (!link.ipv4_prefix) continue;
        record.prefix = channel::WireAddress(link.ipv4_prefix->address);
        record.prefix_length = link.ipv4_prefix->length;
        send(record);
    }
    // While no binding leads into it, a mobile network is where a route of its own says, and else
    // nowhere: a default route would only bring the packet back.
    const auto mobile = [this](const channel::WireAddress& prefix, std::uint8_t length) {
        channel::HomePrefixSet record;
        record.prefix = prefix;
        record.prefix_length = length;
        send(record);
    };
    for (const config::MobileNodeConfig& node : config.mobile_nodes) {
        for (const Ipv6Prefix& prefix : node.mobile_prefixes) {
            mobile(channel::WireAddress(prefix.address), prefix.length);
        }
        for (const Ipv4Prefix& prefix : node.ipv4_mobile_prefixes) {
            mobile(channel::WireAddress(prefix.address), prefix.length);
        }
    }
}

}  // namespace homeport::core
