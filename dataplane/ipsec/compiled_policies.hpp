// SPDX-License-Identifier: BSD-3-Clause
// The SPD in the form that packets are looked up in: immutable, swapped as a whole.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/ipsec/compiled_selectors.hpp"
#include "dataplane/ipsec/policy.hpp"
#include "dataplane/ipsec/policy_hits.hpp"

namespace homeport::ipsec {

struct CompiledPolicy {
    PolicyId id = kNominalDiscard;
    Action action = Action::kDiscard;
    bool populate_remote = false;
    HitSlot hits = kCommonSlot;
    CompiledSelectors selectors;
};

/// A range, told with one subtraction: what lies before the first wraps to beyond the last.
class KeySpan {
  public:
    KeySpan() = default;
    explicit KeySpan(const KeyRange& range)
        : first_(range.first.number()), width_(range.last.number() - first_) {}
    [[nodiscard]] bool contains(const AddressKey& key) const {
        return key.number() - first_ <= width_;
    }

  private:
    AddressKey::Number first_ = 0;
    AddressKey::Number width_ = 0;
};

/// What find() says about most outbound packets of a protocol, known when the SPD is compiled: a
/// few entries that are about nothing but remote addresses, one behind the other, each with the
/// local addresses that entries of another kind before it may be about. Nothing is remembered from
/// packet to packet, so there is nothing that a change of the SPD could leave behind.
struct QuickPolicy {
    /// If it protects, then with an SA for each remote address. Null: ask find().
    const CompiledPolicy* policy = nullptr;
    KeySpan remote;
    KeySpan others;
    bool has_others = false;
    bool leads_on = false;  ///< the next one in the array is about what `remote` leaves
};

class CompiledPolicies {
  public:
    /// `policies` in their order, without the nominal DISCARD.
    explicit CompiledPolicies(std::vector<CompiledPolicy> policies);

    /// The first entry that `packet` matches; the nominal DISCARD if no other does.
    [[nodiscard]] const CompiledPolicy& find(const HeaderInfo& packet, Direction direction) const {
        const unsigned protocol = packet.protocol_known ? packet.protocol : kUnknownProtocol;
        const List list = lists_[packet.family == Family::kIpv6][protocol];
        for (std::uint32_t i = list.begin; i != list.end; ++i) {
            const CompiledPolicy& policy = policies_[candidates_[i]];
            if (policy.selectors.addresses_match(packet, direction) &&
                (policy.selectors.any_values || policy.selectors.values_match(packet, direction))) {
                return policy;
            }
        }
        return policies_.back();
    }

    /// Where the entry counts that bypasses every packet of this family and protocol, whatever its
    /// addresses and ports; kHitSlots: none does, or that depends.
    [[nodiscard]] HitSlot bypasses_all(Family family, std::uint8_t protocol) const {
        return bypasses_all_[family == Family::kIpv6][protocol];
    }

    /// find() for outbound packets whose IP header names `protocol` next, where addresses decide;
    /// null: ask find(). Always null for the extension headers of IPv6.
    [[nodiscard]] const CompiledPolicy* find_quickly(Family family, std::uint8_t protocol,
                                                     const AddressKey& source,
                                                     const AddressKey& destination) const {
        const QuickPolicy* const quick = decide(quick_of(family, protocol), source, destination);
        return quick == nullptr ? nullptr : quick->policy;
    }
    /// The two steps of that: what is the same for all packets of a family and protocol, and what
    /// their addresses come to. Null: ask find().
    [[nodiscard]] const QuickPolicy* quick_of(Family family, std::uint8_t protocol) const {
        return &quick_[quick_of_[family == Family::kIpv6][protocol]];
    }
    [[nodiscard]] static const QuickPolicy* decide(const QuickPolicy* quick,
                                                   const AddressKey& source,
                                                   const AddressKey& destination) {
        while (!quick->remote.contains(destination)) {
            if (!quick->leads_on) return nullptr;
            ++quick;
        }
        const bool decides =
            quick->policy != nullptr && !(quick->has_others && quick->others.contains(source));
        return decides ? quick : nullptr;
    }

  private:
    static constexpr unsigned kUnknownProtocol = 256;

    /// Entries that can match a family and protocol, a stretch of candidates_.
    struct List {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
    };

    [[nodiscard]] HitSlot find_bypass(List list) const;
    [[nodiscard]] std::vector<QuickPolicy> make_quick(List list, Family family) const;
    void make_all_quick();

    std::vector<CompiledPolicy> policies_;  ///< the nominal DISCARD is the last
    std::vector<std::uint16_t> candidates_;
    std::array<std::array<List, kUnknownProtocol + 1>, 2> lists_;
    std::array<std::array<HitSlot, kUnknownProtocol>, 2> bypasses_all_;
    std::vector<QuickPolicy> quick_;  ///< the first has no policy
    std::array<std::array<std::uint16_t, kUnknownProtocol>, 2> quick_of_{};
};

}  // namespace homeport::ipsec
