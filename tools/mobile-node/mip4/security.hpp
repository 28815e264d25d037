// SPDX-License-Identifier: BSD-3-Clause
// IPsec of the mobile node towards the VPN gateway: one policy, VPN-TIA <-> any in tunnel mode
// between x-HoA and gateway, and a pair of static SAs. Everything else is discarded (S2.96).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "controlplane/ipsec/sequence_ledger.hpp"
#include "controlplane/mip4/mobile_node.hpp"
#include "dataplane/ipsec/esp_engine.hpp"
#include "dataplane/ipsec/reclaimer.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"
#include "tools/mobile-node/file_descriptor.hpp"
#include "tools/mobile-node/mip4/config.hpp"

namespace homeport::mobile_node {

/// The secret from its file and the rest of the configuration.
[[nodiscard]] Result<mip4::RegistrationClientConfig> registration_of(const Mip4HomeAgent& config);

class Mip4Security {
  public:
    /// Reads the key files. With a state file, sequence numbers go on beyond those of the last run.
    [[nodiscard]] static Result<std::unique_ptr<Mip4Security>> create(
        const Mip4Vpn& vpn, const Ipv4Address& local, bool lab_static_gcm,
        const std::string& state_file);

    [[nodiscard]] ipsec::Processor& engine() { return *engine_; }
    /// Octets of the largest packet that fits, sealed, into `room`; 0: none. IPv4 outside.
    [[nodiscard]] unsigned largest_inside(unsigned room) const;
    /// Octets that sealing adds at most: outer header, ESP, padding (S2.100, S2.101).
    [[nodiscard]] unsigned overhead() const;
    [[nodiscard]] std::vector<ipsec::SaStatus> associations() const;
    /// Call several times a second: from time to time writes the sequence number down.
    [[nodiscard]] Result<void> note_sequences();

  private:
    Mip4Security();
    [[nodiscard]] Result<void> put_policy(const Ipv4Address& local);
    [[nodiscard]] Result<void> add(ipsec::Direction direction, const Ipv4Address& local);

    Mip4Vpn vpn_;
    ipsec::ImmediateReclaimer reclaimer_;
    ipsec::SecurityPolicyDatabase spd_;
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::EspEngine> engine_;
    std::optional<sa::SequenceLedger> ledger_;
    std::uint64_t written_ = 0;
};

}  // namespace homeport::mobile_node
