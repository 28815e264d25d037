// SPDX-License-Identifier: BSD-3-Clause
// Applies the channel's records about policies and security associations. Main lcore only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
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
[[nodiscard]] SaKey key_of(const ipsec::SecurityAssociation& sa);
/// Whom the record named, for inbound SAs, too; family 0: nobody.
[[nodiscard]] channel::WireAddress peer_of(const ipsec::SecurityAssociation& sa);

class IpsecWriter {
  public:
    /// `workers`: owner_worker must be below it.
    IpsecWriter(SharedState& state, unsigned workers, std::uint32_t max_sas);

    /// An SA that is there already, with the same content, is left as it is: its sequence numbers
    /// and its replay window go on.
    /// `networks`: record.network_count SaNetworks.
    table::Applied apply(const channel::SaSet& record, ConstByteSpan networks = {});
    table::Applied apply(const channel::SaRemove& record);
    /// `policies`: record.count PolicyRecords. On an error the old policies stay in force. SAs that
    /// an entry of the old ones leads to by its id alone, for other addresses than it has now, are
    /// removed: they come again with what they are for now.
    table::Applied apply(const channel::SpdReplace& record, ConstByteSpan policies);

    void begin_sync();
    /// Removes SAs that were not set since begin_sync(); returns how many.
    std::uint32_t end_sync();

    [[nodiscard]] std::size_t size() const { return size_; }

    /// Remote addresses of the outbound SAs with this SPI, which the peers chose; at most `most`.
    [[nodiscard]] std::vector<channel::WireAddress> peers_of(std::uint32_t spi,
                                                             std::size_t most) const;
    /// Null: there is none.
    [[nodiscard]] ipsec::SecurityAssociation* find(const SaKey& key) const;
    /// Row of the statistics region. Only of an SA that visit() or find() gave.
    [[nodiscard]] std::uint32_t row_of(const ipsec::SecurityAssociation& sa) const;
    /// Outbound: numbers below it may be used without telling. Likewise.
    [[nodiscard]] std::uint64_t& reported_sequence(const ipsec::SecurityAssociation& sa);

    /// function(sa) for up to `most` SAs, going on where the last call ended. True: with this call
    /// all have been visited, the next one begins anew.
    bool visit(std::size_t most, const std::function<void(ipsec::SecurityAssociation&)>& function);
    /// Forgets what was reported of sequence numbers: a new control plane is to know them all.
    void forget_reports();
    /// Rows of the statistics region whose SA went away since the last call.
    [[nodiscard]] std::vector<std::uint32_t> take_freed_rows();

  private:
    /// What is known of an SA beside the database, in the place of its handle's index. There are
    /// two for each mobile node: what the database can tell is not here.
    struct Notes {
        std::uint64_t fingerprint = 0;    // of the record, to know a repeated one
        std::uint32_t row = kNoRow;       // in the statistics region; kNoRow: not one of ours
        std::uint32_t outbound : 24 = 0;  // place in outbound_
        std::uint32_t epoch : 8 = 0;
    };
    static_assert(sizeof(Notes) == 16);
    struct OutboundNotes {
        std::uint64_t reported_sequence = 0;
        // Neighbours in the list of by_spi_, by index.
        std::uint32_t next = kNone;
        std::uint32_t previous = kNone;
    };
    static constexpr std::uint32_t kNoRow = 0xffff'ffff;
    static constexpr std::uint32_t kNone = 0xffff'ffff;

    [[nodiscard]] std::uint64_t fingerprint(const channel::SaSet& record,
                                            ConstByteSpan networks) const;
    void note(ipsec::SaHandle handle, const channel::SaSet& record, std::uint64_t fingerprint);
    void drop(const ipsec::SecurityAssociation& sa);
    /// It came over the channel.
    [[nodiscard]] bool is_known(const ipsec::SecurityAssociation& sa) const;
    [[nodiscard]] Notes& notes_of(const ipsec::SecurityAssociation& sa);
    void drop_sas_of_changed(const std::vector<ipsec::PolicyEntry>& entries);
    [[nodiscard]] const ipsec::SaStore& store() const { return state_.sad().store(); }
    [[nodiscard]] std::uint32_t& first_with(std::uint32_t spi);
    void add_to_list(std::uint32_t index, std::uint32_t spi);
    void take_from_list(std::uint32_t index, std::uint32_t spi);
    void grow_lists();

    SharedState& state_;
    unsigned workers_;
    std::uint64_t seed_;
    std::uint8_t epoch_ = 1;
    bool syncing_ = false;
    std::size_t size_ = 0;
    std::vector<Notes> notes_;  // by handle index
    std::vector<OutboundNotes> outbound_;
    std::vector<std::uint32_t> free_outbound_;
    std::map<ipsec::PolicyId, std::uint32_t> outbound_policies_;  // how many SAs each has
    std::vector<std::uint32_t> by_spi_;  // by hash of the SPI: index of the first outbound SA
    std::uint32_t next_visit_ = 0;
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
