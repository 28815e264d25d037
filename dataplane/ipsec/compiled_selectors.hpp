// SPDX-License-Identifier: BSD-3-Clause
// Selectors in the form that packets are compared with.
#pragma once

#include <optional>
#include <vector>

#include "dataplane/ipsec/address_key.hpp"
#include "dataplane/ipsec/error.hpp"
#include "dataplane/ipsec/header_walk.hpp"
#include "dataplane/ipsec/selector.hpp"

namespace homeport::ipsec {

struct KeyRange {
    AddressKey first;
    AddressKey last;

    /// One comparison: what lies before the first wraps to beyond the last.
    [[nodiscard]] bool contains(const AddressKey& key) const {
        return key.number() - first.number() <= last.number() - first.number();
    }
};

/// The addresses whose bits under `mask` are those of `value`.
struct KeyPrefix {
    AddressKey value;
    AddressKey mask;

    [[nodiscard]] bool contains(const AddressKey& key) const {
        return (((key.high ^ value.high) & mask.high) | ((key.low ^ value.low) & mask.low)) == 0;
    }
    /// The prefix that is all of `ranges`, any address if that is empty; nothing: it is not one.
    [[nodiscard]] static std::optional<KeyPrefix> of(const std::vector<KeyRange>& ranges);
};

[[nodiscard]] inline bool any_contains(const std::vector<KeyRange>& ranges, const AddressKey& key) {
    if (ranges.empty()) return true;
    for (const KeyRange& range : ranges) {
        if (range.contains(key)) return true;
    }
    return false;
}

/// True for ICMP and MH: one value, compared with the selector of the packet's direction.
[[nodiscard]] bool is_directional(std::uint8_t protocol);
/// True if packets of this protocol have ports or a type.
[[nodiscard]] bool has_values(std::uint8_t protocol);

/// Immutable after compile().
struct CompiledSelectors {
    bool ipv4 = false;  ///< families that can match
    bool ipv6 = false;
    /// Sorted, merged; empty: any address.
    std::vector<KeyRange> local;
    std::vector<KeyRange> remote;
    ProtocolSelector protocol;
    ValueSelector local_value;  ///< ranges sorted and merged
    ValueSelector remote_value;
    bool any_values = true;  ///< both are kAny

    [[nodiscard]] static Result<CompiledSelectors> compile(const Selectors& selectors);

    [[nodiscard]] bool takes(Family family) const {
        return family == Family::kIpv4 ? ipv4 : family == Family::kIpv6 && ipv6;
    }
    [[nodiscard]] bool protocol_matches(const HeaderInfo& packet) const {
        switch (protocol.kind) {
            case ProtocolSelector::Kind::kAny:
                return true;
            case ProtocolSelector::Kind::kOpaque:
                return !packet.protocol_known;
            case ProtocolSelector::Kind::kNumber:
                return packet.protocol_known && packet.protocol == protocol.number;
        }
        return false;
    }
    /// Ports or type of a packet whose protocol matched.
    [[nodiscard]] bool values_match(const HeaderInfo& packet, Direction direction) const;
    [[nodiscard]] bool addresses_match(const HeaderInfo& packet, Direction direction) const {
        const bool out = direction == Direction::kOutbound;
        return any_contains(local, out ? packet.source : packet.destination) &&
               any_contains(remote, out ? packet.destination : packet.source);
    }
    [[nodiscard]] bool matches(const HeaderInfo& packet, Direction direction) const {
        return takes(packet.family) && protocol_matches(packet) &&
               addresses_match(packet, direction) &&
               (any_values || values_match(packet, direction));
    }

    /// Every packet of `other` in `direction` is one of these too.
    [[nodiscard]] bool covers(const CompiledSelectors& other, Direction direction) const;
    /// Some packet in `direction` matches both.
    [[nodiscard]] bool overlaps(const CompiledSelectors& other, Direction direction) const;
    /// Protocol and values include all of `other`'s (addresses left aside).
    [[nodiscard]] bool covers_protocol(const CompiledSelectors& other, Direction direction) const;
};

}  // namespace homeport::ipsec
