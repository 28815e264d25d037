// SPDX-License-Identifier: BSD-3-Clause
// Mobile network prefixes, which come and go with a binding (RFC 3963 section 6.3).
#include <algorithm>

#include "dataplane/table/table_writer.hpp"

namespace homeport::table {

namespace {

std::unexpected<WriteError> refuse(channel::CommandError code, const Ipv6Prefix& prefix,
                                   const std::string& why) {
    return std::unexpected(WriteError{code, "mobile prefix " + prefix.to_string() + ": " + why});
}

/// IPv4 prefixes stand in ::ffff:0:0/96, and nothing else does.
bool is_network(const Ipv6Prefix& prefix, std::uint8_t family) {
    constexpr std::uint8_t kMappedLength = 96;
    if (family == 4) {
        const Ipv4Address network = v4_of(prefix.address);
        return prefix.length > kMappedLength && network.is_unicast() && !network.is_loopback() &&
               !network.is_link_local();
    }
    return prefix.length != 0 && prefix.address.is_unicast_routable() &&
           !prefix.address.is_v4_mapped() && !prefix.contains(v4_mapped({}));
}

}  // namespace

Applied TableWriter::apply(const channel::MobilePrefixSet& record) {
    const auto prefix = table_prefix(record.prefix, record.prefix_length);
    if (!prefix) return std::unexpected(prefix.error());
    if (!is_network(*prefix, record.prefix.family)) {
        return refuse(channel::CommandError::kMalformed, *prefix,
                      "expected a unicast routable network");
    }
    const Ipv6Address home_address = key_address(record.home_address);
    if (tables_.bindings.find(home_address) == kNoSlot) {
        return refuse(channel::CommandError::kRefused, *prefix,
                      "no binding of " + home_address.to_string());
    }
    const MobilePrefix entry{.prefix = prefix->address,
                             .home_address = home_address,
                             .length = prefix->length,
                             .reserved = {}};
    const auto known = mobile_prefix_notes_.find(*prefix);
    const bool is_new = known == mobile_prefix_notes_.end();
    if (is_new || known->second.home_address != home_address) {
        if (!tables_.mobile_prefixes.put(entry)) {
            return refuse(
                channel::CommandError::kTableFull, *prefix,
                "more than " + std::to_string(tables_.mobile_prefixes.capacity()) + " of them");
        }
        if (!is_new) disown_mobile_prefix(*prefix, known->second.home_address);
        mobile_prefixes_of_[home_address].push_back(*prefix);
    }
    mobile_prefix_notes_[*prefix] = {epoch_, home_address};
    return {};
}

Applied TableWriter::apply(const channel::MobilePrefixRemove& record) {
    const auto prefix = table_prefix(record.prefix, record.prefix_length);
    if (!prefix) return std::unexpected(prefix.error());
    remove_mobile_prefix(*prefix);
    return {};
}

void TableWriter::disown_mobile_prefix(const Ipv6Prefix& prefix, const Ipv6Address& home_address) {
    const auto owned = mobile_prefixes_of_.find(home_address);
    if (owned == mobile_prefixes_of_.end()) return;
    std::erase(owned->second, prefix);
    if (owned->second.empty()) mobile_prefixes_of_.erase(owned);
}

void TableWriter::remove_mobile_prefix(const Ipv6Prefix& prefix) {
    const auto known = mobile_prefix_notes_.find(prefix);
    if (known == mobile_prefix_notes_.end()) return;
    tables_.mobile_prefixes.erase(prefix.address, prefix.length);
    disown_mobile_prefix(prefix, known->second.home_address);
    mobile_prefix_notes_.erase(known);
}

}  // namespace homeport::table
