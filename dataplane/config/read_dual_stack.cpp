// SPDX-License-Identifier: BSD-3-Clause
// Keys of IPv4 care-of addresses, IPv4 home addresses and mobile networks (RFC 5555, RFC 3963).
#include <algorithm>
#include <array>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::array<std::pair<std::string_view, EspOverIpv4>, 2> kEspOverIpv4Table{
    {{"replaced", EspOverIpv4::kReplaced}, {"nested", EspOverIpv4::kNested}}};

constexpr std::uint32_t kMostPoolAddresses = 1u << 20;
constexpr std::uint8_t kMappedLength = 96;
constexpr std::size_t kMappedAddress = 12;  // offset of the IPv4 address

}  // namespace

const std::span<const std::pair<std::string_view, EspOverIpv4>> kEspOverIpv4Names =
    kEspOverIpv4Table;

void read_ipv4_addresses(Section& section, std::vector<Ipv4Address>& out) {
    section.list("ipv4_addresses", "IPv4 addresses", [&](const Value& element) {
        Ipv4Address address;
        if (!element.address(address)) return;
        if (std::ranges::find(out, address) != out.end()) return element.fail("each address once");
        out.push_back(address);
    });
}

void read_ipv4_pool(Section& parent, std::optional<Ipv4PoolConfig>& out, std::string_view key) {
    const auto value = parent.find(key);
    if (!value) return;
    Section section(parent.report(), value->node(), value->path());
    Ipv4PoolConfig pool;
    bool whole = true;
    for (auto [end, address] : {std::pair("first", &pool.first), std::pair("last", &pool.last)}) {
        const auto v = section.require(end, "an IPv4 address");
        whole = v && v->address(*address) && whole;
        if (!whole || address != &pool.last) continue;
        if (pool.last < pool.first) {
            v->fail("an address not below first, " + pool.first.to_string());
            whole = false;
        } else if (pool.last.host() - pool.first.host() >= kMostPoolAddresses) {
            v->fail("at most " + std::to_string(kMostPoolAddresses) + " addresses from " +
                    pool.first.to_string());
            whole = false;
        }
    }
    section.finish();
    if (whole) out = pool;
}

void read_mobile_prefixes(Section& section, MobileNodeConfig& out) {
    section.list("mobile_prefixes", "IPv6 prefixes", [&](const Value& element) {
        Ipv6Prefix prefix;
        if (!element.prefix(prefix)) return;
        if (prefix.length < 16 || !prefix.address.is_unicast_routable()) {
            return element.fail("a unicast routable prefix with a length from 16 to 128");
        }
        out.mobile_prefixes.push_back(prefix);
    });
    section.list("ipv4_mobile_prefixes", "IPv4 prefixes", [&](const Value& element) {
        Ipv4Prefix prefix;
        if (!element.prefix(prefix)) return;
        if (prefix.length < 8 || prefix.length > 31 || !prefix.address.is_unicast()) {
            return element.fail("a unicast prefix with a length from 8 to 31");
        }
        out.ipv4_mobile_prefixes.push_back(prefix);
    });
}

void read_either_prefix(const Value& value, std::vector<Ipv6Prefix>& out) {
    Ipv6Prefix prefix;
    if (!value.is_scalar() || value.text().contains(':')) {
        if (value.prefix(prefix)) out.push_back(prefix);
        return;
    }
    Ipv4Prefix ipv4;
    if (!value.prefix(ipv4)) return;
    prefix.address.bytes[10] = prefix.address.bytes[11] = 0xff;
    ipv4.address.store(prefix.address.bytes.data() + kMappedAddress);
    prefix.length = static_cast<std::uint8_t>(kMappedLength + ipv4.length);
    out.push_back(prefix);
}

std::string either_prefix_text(const Ipv6Prefix& prefix) {
    if (!prefix.address.is_v4_mapped() || prefix.length < kMappedLength) return prefix.to_string();
    const Ipv4Prefix ipv4{Ipv4Address::load(prefix.address.bytes.data() + kMappedAddress),
                          static_cast<std::uint8_t>(prefix.length - kMappedLength)};
    return ipv4.to_string();
}

void read_dual_stack(Section section, DualStackConfig& out) {
    if (const auto v = section.find("nat_refresh")) {
        v->number(out.nat_refresh, 5, 65535, "seconds");
    }
    if (const auto v = section.find("force_udp")) v->boolean(out.force_udp);
    if (const auto v = section.find("accept_force_udp")) v->boolean(out.accept_force_udp);
    if (const auto v = section.find("omit_natdet")) v->boolean(out.omit_nat_detection);
    if (const auto v = section.find("tlv_header")) v->boolean(out.tlv_header);
    if (const auto v = section.find("esp_over_ipv4")) {
        v->choice(out.esp_over_ipv4, kEspOverIpv4Names);
    }
    if (const auto v = section.find("nat_pending_max")) {
        v->number(out.nat_pending_max, 0, 1u << 24, "home addresses; 0 for a sixteenth");
    }
    if (const auto v = section.find("nat_pending_ttl")) {
        v->number(out.nat_pending_ttl, 10, 60000, "milliseconds");
    }
    if (const auto v = section.find("nat_lock_depth")) {
        v->number(out.nat_lock_depth, 1, 4, "packets");
    }
    if (const auto v = section.find("nat_lock_timeout")) {
        v->number(out.nat_lock_timeout, 1, 1000, "milliseconds");
    }
    if (const auto v = section.find("source_changes_per_minute")) {
        v->number(out.source_changes_per_minute, 0, 6000, "changes; 0 for any number");
    }
    section.finish();
}

}  // namespace homeport::config
