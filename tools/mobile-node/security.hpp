// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's IPsec: its policies (table S1-SPD, mobile node side) and its static SAs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ipsec/policy_table.hpp"
#include "controlplane/ipsec/sequence_ledger.hpp"
#include "dataplane/ipsec/database_queries.hpp"
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
    [[nodiscard]] const ipsec::Queries& queries() const { return *queries_; }
    [[nodiscard]] bool protects_payload() const { return config_.payload.has_value(); }
    /// At home return routability and payload are bypassed (S1.37). No SA changes with it.
    [[nodiscard]] Result<void> set_at_home(bool at_home);
    /// Correspondents whose traffic takes the direct way, past entry 6 (S1.36).
    [[nodiscard]] Result<void> set_route_optimised(const std::vector<Ipv6Address>& correspondents);
    /// Octets of the largest packet of applications that, sealed if payload is, fits into
    /// `path_mtu` behind `outer` octets of tunnel headers.
    [[nodiscard]] unsigned tunnel_mtu(unsigned path_mtu, unsigned outer) const;
    [[nodiscard]] std::vector<ipsec::SaStatus> associations() const;
    /// Call several times a second: from time to time writes the sequence numbers down.
    [[nodiscard]] Result<void> note_sequences();

  private:
    Security();
    [[nodiscard]] Result<void> put_policies();
    [[nodiscard]] Result<void> open_ledger();
    [[nodiscard]] Result<void> add_pair(sa::TableEntry entry, const std::string& key,
                                        const std::optional<SaPair>& pair);
    [[nodiscard]] Result<void> add_association(sa::TableEntry entry, const SaPair& pair,
                                               ipsec::Direction direction);

    Config config_;
    bool at_home_ = false;
    std::vector<Ipv6Address> route_optimised_;
    ipsec::ImmediateReclaimer reclaimer_;
    ipsec::SecurityPolicyDatabase spd_;
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::DatabaseQueries> queries_;
    std::unique_ptr<ipsec::EspEngine> engine_;
    std::optional<sa::SequenceLedger> ledger_;
    std::map<std::uint32_t, std::uint64_t> written_;  // SPI, highest number in the ledger's file
};

}  // namespace homeport::mobile_node
