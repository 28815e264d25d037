// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/compiled_selectors.hpp"

#include <algorithm>

#include "dataplane/base/ip_header.hpp"

namespace homeport::ipsec {

namespace {

constexpr std::size_t kMaxRanges = 256;

using Values = std::vector<ValueRange>;

AddressKey successor(const AddressKey& key) {
    return {key.high + (key.low == ~0ull), key.low + 1};
}

Result<std::vector<KeyRange>> compile_addresses(const std::vector<AddressRange>& ranges,
                                                Family& family, const char* side) {
    std::vector<KeyRange> result;
    if (ranges.size() > kMaxRanges)
        return fail(std::string(side) + " addresses: more than 256 ranges");
    for (const AddressRange& range : ranges) {
        const Family own = family_of(range.first);
        if (own != family_of(range.last) || (family != Family::kNone && own != family)) {
            return fail(std::string(side) + " addresses " + range.to_string() +
                        ": IPv4 and IPv6 in one entry; make an entry for each family");
        }
        family = own;
        const KeyRange keys{AddressKey::of(range.first), AddressKey::of(range.last)};
        if (keys.last < keys.first) {
            return fail(std::string(side) + " addresses " + range.to_string() +
                        ": the first is greater than the last");
        }
        result.push_back(keys);
    }
    std::ranges::sort(result, {}, &KeyRange::first);
    std::vector<KeyRange> merged;
    for (const KeyRange& range : result) {
        if (!merged.empty() &&
            (range.first <= merged.back().last || range.first == successor(merged.back().last))) {
            merged.back().last = std::max(merged.back().last, range.last);
        } else {
            merged.push_back(range);
        }
    }
    return merged;
}

Result<ValueSelector> compile_values(const ValueSelector& selector,
                                     const ProtocolSelector& protocol, const char* side) {
    ValueSelector result{selector.kind, {}};
    if (selector.kind != ValueSelector::Kind::kRanges) return result;
    if (protocol.kind != ProtocolSelector::Kind::kNumber || !has_values(protocol.number)) {
        return fail(std::string(side) + " ports or types are given, but protocol " +
                    (protocol.kind == ProtocolSelector::Kind::kNumber
                         ? std::to_string(protocol.number)
                         : std::string("any or opaque")) +
                    " has none; expected any or opaque");
    }
    if (selector.ranges.empty() || selector.ranges.size() > kMaxRanges) {
        return fail(std::string(side) + " ports or types: expected 1 to 256 ranges, found " +
                    std::to_string(selector.ranges.size()));
    }
    Values sorted = selector.ranges;
    std::ranges::sort(sorted, {}, &ValueRange::first);
    for (const ValueRange& range : sorted) {
        if (range.last < range.first) {
            return fail(std::string(side) + " ports or types " + std::to_string(range.first) + "-" +
                        std::to_string(range.last) + ": the first is greater than the last");
        }
        if (!result.ranges.empty() && range.first <= result.ranges.back().last + 1) {
            result.ranges.back().last = std::max(result.ranges.back().last, range.last);
        } else {
            result.ranges.push_back(range);
        }
    }
    return result;
}

bool in_ranges(const Values& ranges, std::uint16_t value) {
    for (const ValueRange& range : ranges) {
        if (range.first <= value && value <= range.last) return true;
    }
    return false;
}

bool port_matches(const ValueSelector& selector, bool known, std::uint16_t value) {
    switch (selector.kind) {
        case ValueSelector::Kind::kAny:
            return true;
        case ValueSelector::Kind::kOpaque:
            return !known;
        case ValueSelector::Kind::kRanges:
            return known && in_ranges(selector.ranges, value);
    }
    return false;
}

bool ranges_cover(const std::vector<KeyRange>& wide, const std::vector<KeyRange>& narrow) {
    if (wide.empty()) return true;
    if (narrow.empty()) return false;
    return std::ranges::all_of(narrow, [&](const KeyRange& n) {
        return std::ranges::any_of(
            wide, [&](const KeyRange& w) { return w.first <= n.first && n.last <= w.last; });
    });
}

bool ranges_overlap(const std::vector<KeyRange>& a, const std::vector<KeyRange>& b) {
    if (a.empty() || b.empty()) return true;
    return std::ranges::any_of(a, [&](const KeyRange& x) {
        return std::ranges::any_of(
            b, [&](const KeyRange& y) { return x.first <= y.last && y.first <= x.last; });
    });
}

/// "Any" also takes what shows no value; ranges do not, opaque takes nothing else.
bool value_covers(const ValueSelector& wide, const ValueSelector& narrow) {
    using Kind = ValueSelector::Kind;
    if (wide.kind == Kind::kAny) return true;
    if (wide.kind != narrow.kind) return false;
    if (wide.kind == Kind::kOpaque) return true;
    return std::ranges::all_of(narrow.ranges, [&](const ValueRange& n) {
        return std::ranges::any_of(wide.ranges, [&](const ValueRange& w) {
            return w.first <= n.first && n.last <= w.last;
        });
    });
}

bool value_overlaps(const ValueSelector& a, const ValueSelector& b) {
    using Kind = ValueSelector::Kind;
    if (a.kind == Kind::kAny || b.kind == Kind::kAny) return true;
    if (a.kind != b.kind) return false;
    if (a.kind == Kind::kOpaque) return true;
    return std::ranges::any_of(a.ranges, [&](const ValueRange& x) {
        return std::ranges::any_of(
            b.ranges, [&](const ValueRange& y) { return x.first <= y.last && y.first <= x.last; });
    });
}

/// Both kOpaque in a directional protocol: this direction carries nothing.
bool closed(const CompiledSelectors& s, Direction direction) {
    return s.protocol.kind == ProtocolSelector::Kind::kNumber &&
           is_directional(s.protocol.number) &&
           (direction == Direction::kOutbound ? s.local_value : s.remote_value).kind ==
               ValueSelector::Kind::kOpaque;
}

bool protocol_covers(const ProtocolSelector& wide, const ProtocolSelector& narrow) {
    return wide.kind == ProtocolSelector::Kind::kAny || wide == narrow;
}

/// Whether `compare` holds for the values that count in `direction`.
template <class Compare>
bool compare_values(const CompiledSelectors& a, const CompiledSelectors& b, Direction direction,
                    Compare compare) {
    const CompiledSelectors& numbered = b.protocol.kind == ProtocolSelector::Kind::kNumber ? b : a;
    if (numbered.protocol.kind == ProtocolSelector::Kind::kNumber &&
        is_directional(numbered.protocol.number)) {
        return direction == Direction::kOutbound ? compare(a.local_value, b.local_value)
                                                 : compare(a.remote_value, b.remote_value);
    }
    return compare(a.local_value, b.local_value) && compare(a.remote_value, b.remote_value);
}

bool families_cover(const CompiledSelectors& wide, const CompiledSelectors& narrow) {
    return (wide.ipv4 || !narrow.ipv4) && (wide.ipv6 || !narrow.ipv6);
}

}  // namespace

std::optional<KeyPrefix> KeyPrefix::of(const std::vector<KeyRange>& ranges) {
    if (ranges.empty()) return KeyPrefix{};
    if (ranges.size() != 1) return std::nullopt;
    const KeyRange& range = ranges.front();
    // A prefix begins with zeros and ends with ones where its addresses differ, to the last bit.
    const AddressKey differ{range.first.high ^ range.last.high, range.first.low ^ range.last.low};
    const bool within_low = differ.high == 0 && (differ.low & (differ.low + 1)) == 0;
    const bool whole_low = differ.low == ~0ull && (differ.high & (differ.high + 1)) == 0;
    if (!within_low && !whole_low) return std::nullopt;
    if (((range.first.high & differ.high) | (range.first.low & differ.low)) != 0) {
        return std::nullopt;
    }
    return KeyPrefix{range.first, {~differ.high, ~differ.low}};
}

bool is_directional(std::uint8_t protocol) {
    return protocol == number(IpProtocol::kIcmp) || protocol == number(IpProtocol::kIcmpv6) ||
           protocol == number(IpProtocol::kMobility);
}

bool has_values(std::uint8_t protocol) {
    return is_directional(protocol) || protocol == 6 || protocol == 17 || protocol == 33 ||
           protocol == 132 || protocol == 136;
}

Result<CompiledSelectors> CompiledSelectors::compile(const Selectors& selectors) {
    CompiledSelectors result;
    Family family = Family::kNone;
    auto local = compile_addresses(selectors.local, family, "local");
    if (!local) return std::unexpected(local.error());
    auto remote = compile_addresses(selectors.remote, family, "remote");
    if (!remote) return std::unexpected(remote.error());
    auto local_value = compile_values(selectors.local_value, selectors.protocol, "local");
    if (!local_value) return std::unexpected(local_value.error());
    auto remote_value = compile_values(selectors.remote_value, selectors.protocol, "remote");
    if (!remote_value) return std::unexpected(remote_value.error());
    result.ipv4 = family != Family::kIpv6;
    result.ipv6 = family != Family::kIpv4;
    result.local = std::move(*local);
    result.remote = std::move(*remote);
    result.protocol = selectors.protocol;
    if (result.protocol.kind != ProtocolSelector::Kind::kNumber) result.protocol.number = 0;
    result.local_value = std::move(*local_value);
    result.remote_value = std::move(*remote_value);
    result.any_values = result.local_value.kind == ValueSelector::Kind::kAny &&
                        result.remote_value.kind == ValueSelector::Kind::kAny;
    return result;
}

bool CompiledSelectors::values_match(const HeaderInfo& packet, Direction direction) const {
    const bool out = direction == Direction::kOutbound;
    if (packet.protocol_known && is_directional(packet.protocol)) {
        const ValueSelector& own = out ? local_value : remote_value;
        const ValueSelector& other = out ? remote_value : local_value;
        if (own.kind == ValueSelector::Kind::kOpaque) {
            return !packet.values_known && other.kind == ValueSelector::Kind::kOpaque;
        }
        return port_matches(own, packet.values_known, packet.source_value);
    }
    const std::uint16_t local_port = out ? packet.source_value : packet.destination_value;
    const std::uint16_t remote_port = out ? packet.destination_value : packet.source_value;
    return port_matches(local_value, packet.values_known, local_port) &&
           port_matches(remote_value, packet.values_known, remote_port);
}

bool CompiledSelectors::covers_protocol(const CompiledSelectors& other, Direction direction) const {
    return protocol_covers(protocol, other.protocol) &&
           compare_values(*this, other, direction, value_covers);
}

bool CompiledSelectors::covers(const CompiledSelectors& other, Direction direction) const {
    if (closed(other, direction)) return true;
    return families_cover(*this, other) && covers_protocol(other, direction) &&
           ranges_cover(local, other.local) && ranges_cover(remote, other.remote);
}

bool CompiledSelectors::overlaps(const CompiledSelectors& other, Direction direction) const {
    if (closed(other, direction) || closed(*this, direction)) return false;
    const bool families = (ipv4 && other.ipv4) || (ipv6 && other.ipv6);
    const bool protocols =
        protocol_covers(protocol, other.protocol) || protocol_covers(other.protocol, protocol);
    return families && protocols && compare_values(*this, other, direction, value_overlaps) &&
           ranges_overlap(local, other.local) && ranges_overlap(remote, other.remote);
}

}  // namespace homeport::ipsec
