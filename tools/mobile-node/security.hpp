// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's IPsec: its policies (table S1-SPD, mobile node side) and its static SAs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/ipsec/sequence_ledger.hpp"
#include "dataplane/ipsec/esp_engine.hpp"
#include "dataplane/ipsec/reclaimer.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class Security {
  public:
    /// Reads the key files. With a state file, sequence numbers go on beyond those of the last run.
    [[nodiscard]] static Result<std::unique_ptr<Security>> create(const Config& config);

    [[nodiscard]] ipsec::Processor& engine() { return *engine_; }
    [[nodiscard]] std::vector<ipsec::SaStatus> associations() const;
    /// Call after each binding update: from time to time writes the sequence numbers down.
    [[nodiscard]] Result<void> note_sequences();

  private:
    Security();
    [[nodiscard]] Result<void> add_policies(const Config& config);
    [[nodiscard]] Result<void> open_ledger(const Config& config);
    [[nodiscard]] Result<void> add_association(const Config& config, ipsec::Direction direction);

    ipsec::ImmediateReclaimer reclaimer_;
    ipsec::SecurityPolicyDatabase spd_;
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::EspEngine> engine_;
    std::optional<sa::SequenceLedger> ledger_;
    std::uint64_t written_ = 0;  // highest sequence number in the ledger's file
};

}  // namespace homeport::mobile_node
