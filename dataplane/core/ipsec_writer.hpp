// SPDX-License-Identifier: BSD-3-Clause
// Applies the channel's records about policies and security associations. Main lcore only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/core/shared_state.hpp"
#include "dataplane/table/table_writer.hpp"

namespace homeport::core {

/// How an SA is named on the channel. Inbound SAs by SPI alone: `peer` is family 0 then.
struct SaKey {
    std::uint32_t spi = 0;
    channel::SaDirection direction = channel::SaDirection::kInbound;
    channel::WireAddress peer;
    friend bool operator==(const SaKey&, const SaKey&) = default;
};
struct SaKeyHash {
    std::size_t operator()(const SaKey& key) const noexcept;
};

/// What the channel said about an SA.
struct SaNotes {
    ipsec::SaHandle handle;
    std::uint16_t policy_id = 0;
    std::uint32_t epoch = 0;
    std::uint32_t row = 0;  // in the statistics region
    channel::WireAddress peer;
    std::uint64_t reported_sequence = 0;  // outbound: numbers below it may be used without telling
    std::uint64_t last_sequence = 0;      // at the last look
    std::uint64_t fingerprint[2] = {};    // of the record, to know a repeated one
};

class IpsecWriter {
  public:
    /// `workers`: owner_worker must be below it.
    IpsecWriter(SharedState& state, unsigned workers, std::uint32_t max_sas);

    /// An SA that is there already, with the same content, is left as it is: its sequence numbers
    /// and its replay window go on.
    table::Applied apply(const channel::SaSet& record);
    table::Applied apply(const channel::SaRemove& record);
    /// `policies`: record.count PolicyRecords. On an error the old policies stay in force.
    table::Applied apply(const channel::SpdReplace& record, ConstByteSpan policies);

    void begin_sync();
    /// Removes SAs that were not set since begin_sync(); returns how many.
    std::uint32_t end_sync();

    [[nodiscard]] std::size_t size() const { return associations_.size(); }
    /// Null: not one of the channel's, or gone.
    [[nodiscard]] const SaNotes* find(ipsec::SaHandle handle) const;

    /// Remote addresses of the outbound SAs with this SPI, which the peers chose; at most `most`.
    [[nodiscard]] std::vector<channel::WireAddress> peers_of(std::uint32_t spi,
                                                             std::size_t most) const;
    /// Null: there is none.
    [[nodiscard]] const SaNotes* find(const SaKey& key) const;

    /// function(key, notes) for up to `most` SAs, going on where the last call ended. True: with
    /// this call all have been visited, the next one begins anew.
    bool visit(std::size_t most, const std::function<void(const SaKey&, SaNotes&)>& function);
    /// Forgets what was reported of sequence numbers: a new control plane is to know them all.
    void forget_reports();
    /// Rows of the statistics region whose SA went away since the last call.
    [[nodiscard]] std::vector<std::uint32_t> take_freed_rows();

  private:
    void drop(const SaKey& key, const SaNotes& notes);
    void fingerprint(const channel::SaSet& record, std::uint64_t (&out)[2]) const;

    SharedState& state_;
    unsigned workers_;
    std::uint64_t seeds_[2];
    std::uint32_t epoch_ = 1;
    bool syncing_ = false;
    std::unordered_map<SaKey, SaNotes, SaKeyHash> associations_;
    std::unordered_map<std::uint32_t, SaKey> by_handle_;
    std::unordered_multimap<std::uint32_t, channel::WireAddress> outbound_peers_;  // by SPI
    std::vector<SaKey> visiting_;
    std::vector<std::uint32_t> free_rows_;
    std::vector<std::uint32_t> freed_rows_;
    std::uint32_t fresh_row_ = 0;
    std::uint32_t max_rows_;
};

/// The clock of SaParameters::born and look_at_age().
[[nodiscard]] std::uint64_t monotonic_seconds();

/// The record's selectors for dataplane/ipsec, or a sentence that says what is wrong.
[[nodiscard]] std::expected<ipsec::Selectors, std::string> selectors_of(
    const channel::SelectorRecord& record);

}  // namespace homeport::core
