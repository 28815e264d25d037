// SPDX-License-Identifier: BSD-3-Clause
// What workers learn from a mobile node's valid packets over IPv4 about the way back to it: where
// its NAT has the port for ESP (mipv6.md section 5.4), and whether its tunnel packets came in UDP
// (section 5.3 rule 7). Kept outside the bindings, which never change once readers see them.
//
// One word a slot of the binding table, written by workers only when it changes. It carries a mark
// of home address and care-of address, so that a word of another binding, or of an earlier care-of
// address, is none.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/table/binding_table.hpp"
#include "dataplane/table/memory.hpp"

namespace homeport::table {

class ReturnPaths {
  public:
    /// `slots`: slot limit of the binding table.
    explicit ReturnPaths(std::uint32_t slots) : words_(slots, PageChoice::kNormal) {}
    [[nodiscard]] bool valid() const { return words_.valid(); }

    /// The other end of ESP in UDP.
    struct EspMapping {
        Ipv4Address address;
        std::uint16_t port = 0;  // host order, never 0
        friend bool operator==(const EspMapping&, const EspMapping&) = default;
    };

    // ------------------------------------------------------------------------------- workers
    // `slot` is the one that `binding` was found in.

    void prefetch(std::uint32_t slot) const { __builtin_prefetch(&words_[slot]); }
    /// Nothing: none was learnt, or the last sealed packet came in IPv4 alone.
    [[nodiscard]] std::optional<EspMapping> esp_mapping(std::uint32_t slot,
                                                        const Binding& binding) const {
        const std::uint64_t word = load(slot, binding);
        const auto port = static_cast<std::uint16_t>(word >> kPortShift);
        if (port == 0) return std::nullopt;
        EspMapping mapping{.address = {}, .port = port};
        store_be32(mapping.address.bytes.data(), static_cast<std::uint32_t>(word >> kAddressShift));
        return mapping;
    }
    /// The last valid tunnel packet came in UDP.
    [[nodiscard]] bool in_udp(std::uint32_t slot, const Binding& binding) const {
        return (load(slot, binding) & kInUdp) != 0;
    }
    /// After an authentic packet. True: this is new.
    bool learn_esp_mapping(std::uint32_t slot, const Binding& binding,
                           const std::optional<EspMapping>& mapping) {
        std::uint64_t value = 0;
        if (mapping) {
            value = std::uint64_t{mapping->address.host()} << kAddressShift |
                    std::uint64_t{mapping->port} << kPortShift;
        }
        return change(slot, binding, kMappingMask, value);
    }
    /// After a tunnel packet whose outer source is the binding's.
    void learn_form(std::uint32_t slot, const Binding& binding, bool in_udp) {
        change(slot, binding, kInUdp, in_udp ? kInUdp : 0);
    }

    // -------------------------------------------------------------------------------- writer

    /// A binding was put into `slot`, in the place of one in `replaced` (kNoSlot: of none).
    void put(std::uint32_t slot, std::uint32_t replaced) {
        const std::uint64_t old = replaced == kNoSlot ? 0 : word_at(replaced).load(kRelaxed);
        word_at(slot).store(old, kRelaxed);
    }

  private:
    static constexpr auto kRelaxed = std::memory_order_relaxed;
    static constexpr unsigned kAddressShift = 32;
    static constexpr unsigned kPortShift = 16;
    static constexpr std::uint64_t kInUdp = 1u << 15;
    static constexpr std::uint64_t kMark = kInUdp - 1;
    static constexpr std::uint64_t kMappingMask = ~std::uint64_t{0xffff};

    using Word = std::atomic_ref<std::uint64_t>;
    [[nodiscard]] Word word_at(std::uint32_t slot) const { return Word(words_[slot]); }

    /// Never 0.
    static std::uint64_t mark_of(const Binding& binding) {
        const std::uint64_t hash = hash_address(
            binding.home_address, load_be32(binding.care_of_address.bytes.data() + 12), 0);
        return (hash & kMark) == 0 ? 1 : hash & kMark;
    }
    [[nodiscard]] std::uint64_t load(std::uint32_t slot, const Binding& binding) const {
        const std::uint64_t word = word_at(slot).load(kRelaxed);
        return (word & kMark) == mark_of(binding) ? word : 0;
    }
    /// True: it was different.
    bool change(std::uint32_t slot, const Binding& binding, std::uint64_t mask,
                std::uint64_t value) {
        const std::uint64_t mark = mark_of(binding);
        std::uint64_t old = word_at(slot).load(kRelaxed);
        const std::uint64_t kept = (old & kMark) == mark ? old : 0;
        const std::uint64_t wanted = (kept & ~mask & ~kMark) | value | mark;
        if (wanted == old) return false;
        // Another worker was quicker: the next packet says it again.
        return word_at(slot).compare_exchange_strong(old, wanted, kRelaxed) &&
               (kept & mask) != value;
    }

    mutable MappedArray<std::uint64_t> words_;
};

}  // namespace homeport::table
