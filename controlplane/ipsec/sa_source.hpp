// SPDX-License-Identifier: BSD-3-Clause
// Where security associations come from, and the records that put policies and SAs in force in the
// data plane.
//
// Use: auto source = StaticSaSource::load(config.controlplane); send source->policies(), then
// what for_each_sa() gives, within every full sync.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controlplane/ipsec/operator_sas.hpp"
#include "controlplane/ipsec/policy_table.hpp"
#include "controlplane/ipsec/sa_keys.hpp"
#include "controlplane/ipsec/sequence_ledger.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::sa {

/// As people write it: a.b.c.d where SAs of VPN clients have their IPv4 addresses v4-mapped.
[[nodiscard]] std::string peer_text(const Ipv6Address& peer);

class SaSource {
  public:
    virtual ~SaSource() = default;

    /// The whole ordered SPD.
    [[nodiscard]] virtual const std::vector<ipsec::PolicyEntry>& policies() const = 0;

    struct Issued {
        std::vector<std::uint32_t> used_up;  // SPIs without sequence numbers left: not visited
        std::string ledger_error;            // the ledger could not be written; empty: it was
    };
    /// Calls `visit` for each SA, after the ledger knows what it may use from now on. The record's
    /// header is not filled in; the record is wiped after the call. `workers` (at least 1) share
    /// the SAs among them.
    using Visit = std::function<void(channel::SaSet&, ConstByteSpan networks)>;
    virtual Issued for_each_sa(SequenceLedger& ledger, std::uint32_t workers,
                               const Visit& visit) const = 0;
    /// What `show sa` tells of an SA: those of the configuration in the order of their SPIs, then
    /// those that were added, in that order.
    struct Description {
        std::uint32_t spi = 0;
        channel::SaDirection direction{};
        ipsec::PolicyId policy = 0;
        ipsec::Algorithm algorithm{};
        ipsec::Mode mode{};
        Ipv6Address peer;
        std::uint16_t replay_window = 0;
        bool extended_sequence = false;
        bool by_operator = false;
        std::uint64_t hard_bytes = 0;  // 0: no limit
    };
    virtual void describe(const std::function<void(const Description&)>& visit) const = 0;
    [[nodiscard]] virtual std::size_t sa_count() const = 0;
    /// Home addresses of the SAs with this SPI.
    [[nodiscard]] virtual std::vector<Ipv6Address> peers_of(
        std::uint32_t spi, channel::SaDirection direction) const = 0;
};

/// Manual keying (RFC 6275 section 5.1, RFC 4877 section 6): everything from the configuration.
class StaticSaSource final : public SaSource {
  public:
    /// Reads all key files. Each error is a sentence with the place in the configuration.
    [[nodiscard]] static std::expected<StaticSaSource, std::vector<std::string>> load(
        const config::ControlplaneConfig& config);

    [[nodiscard]] const std::vector<ipsec::PolicyEntry>& policies() const override {
        return policies_;
    }
    Issued for_each_sa(SequenceLedger& ledger, std::uint32_t workers,
                       const Visit& visit) const override;
    void describe(const std::function<void(const Description&)>& visit) const override;
    [[nodiscard]] std::size_t sa_count() const override { return sas_.size(); }

    /// Adds an SA behind all others, so that an outbound one is the newest of its entry (a rekey:
    /// the older ones stay until they are removed). Reads the key file. The error is a sentence.
    [[nodiscard]] std::expected<void, std::string> add(const OperatorSa& sa,
                                                       const config::ControlplaneConfig& config);
    /// The same for the last one alone as for_each_sa() does for all.
    Issued last_sa(SequenceLedger& ledger, std::uint32_t workers, const Visit& visit) const;
    /// What removes it from the data plane; nothing if no SA has this name.
    [[nodiscard]] std::optional<channel::SaRemove> remove(const SaName& name);
    [[nodiscard]] std::vector<Ipv6Address> peers_of(std::uint32_t spi,
                                                    channel::SaDirection direction) const override;

    /// Home addresses of nodes that have no SAs for binding updates and cannot register.
    [[nodiscard]] const std::vector<std::string>& nodes_without_keys() const {
        return nodes_without_keys_;
    }
    /// Nodes that can register, but whose payload is dropped: policy.protect_payload demands ESP.
    [[nodiscard]] const std::vector<std::string>& nodes_without_payload_keys() const {
        return nodes_without_payload_keys_;
    }

  private:
    struct Sa {
        channel::SaDirection direction{};
        std::uint32_t spi = 0;
        ipsec::PolicyId policy = 0;
        ipsec::Algorithm algorithm{};
        Ipv6Address home_address;
        std::optional<Ipv4Address> ipv4_home_address;  // with kPayload: the SA carries both
        Ipv6Address home_agent;
        /// Of a VPN client: where the tunnel ends. `home_address` is its inner address then,
        /// v4-mapped.
        struct VpnTunnel {
            Ipv4Address inner, gateway, outer;
        };
        std::optional<VpnTunnel> vpn;
        std::uint16_t replay_window = 0;
        bool extended_sequence = false;
        bool by_operator = false;
        std::uint32_t soft_seconds = 0, hard_seconds = 0;
        std::uint64_t soft_bytes = 0, hard_bytes = 0;
        std::uint64_t added_unix = 0;
        SaKeys keys;
    };
    class Loader;

    [[nodiscard]] channel::SaSet record_of(const Sa& sa, std::uint32_t workers) const;
    void note_networks(const std::vector<MobileNetwork>& networks);
    [[nodiscard]] std::span<const channel::SaNetwork> networks_of(const Sa& sa) const;
    [[nodiscard]] Issued issue(std::span<const Sa> sas, SequenceLedger& ledger,
                               std::uint32_t workers, const Visit& visit) const;
    [[nodiscard]] std::expected<void, std::string> check_room(const Sa& sa) const;

    std::vector<ipsec::PolicyEntry> policies_;
    std::vector<Sa> sas_;
    /// By home address: entries of the SPD that an SA for payload, or one of a VPN client, belongs
    /// to beside its own.
    std::map<Ipv6Address, std::vector<channel::SaNetwork>> networks_;
    std::vector<std::string> nodes_without_keys_;
    std::vector<std::string> nodes_without_payload_keys_;
    bool lab_static_gcm_ = false;
};

/// The worker that owns the SAs of a mobile node, all of them: by the last bits of its home
/// address.
[[nodiscard]] std::uint32_t owner_of(const Ipv6Address& home_address, std::uint32_t workers);

/// What the control plane's configuration makes of table S1-SPD.
[[nodiscard]] std::vector<ipsec::PolicyEntry> policies_of(const config::ControlplaneConfig& config);

/// Networks behind the mobile routers of the configuration, in the order of their entries.
[[nodiscard]] std::vector<MobileNetwork> mobile_networks_of(
    const config::ControlplaneConfig& config);

/// The record of an entry with at most one range in each selector, as those of policy_table.hpp
/// are. In a SelectorRecord "any address" has family 0, and values of the mobility header are its
/// type * 256 + 0..255.
[[nodiscard]] channel::PolicyRecord to_record(const ipsec::PolicyEntry& entry);
[[nodiscard]] channel::SelectorRecord to_record(const ipsec::Selectors& selectors);

/// The home address `index` addresses behind `first`, within the interface identifier.
[[nodiscard]] Ipv6Address nth_home_address(const Ipv6Address& first, std::uint32_t index);
[[nodiscard]] Ipv4Address nth_home_address(const Ipv4Address& first, std::uint32_t index);

}  // namespace homeport::sa
