// SPDX-License-Identifier: BSD-3-Clause
// A second implementation of RFC 4301 behind dataplane/ipsec/interface.hpp (S1.1, S1.8): policies
// in a list that is searched from the front, SAs in maps, ESP by OpenSSL. It shares nothing with
// the product's implementation but the types of the interface, and is slow on purpose: each packet
// is copied out of its buffer, worked on as a vector, and the buffer is filled with rubbish before
// the result is copied back to another place in it.
//
// Not for several threads. Owners: any worker will do. No lifetimes.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/ipsec/interface.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "tests/ipsec-trivial/esp.hpp"
#include "tests/ipsec-trivial/headers.hpp"

namespace homeport::trivial {

struct Policy {
    ipsec::PolicyId id = 0;
    ipsec::Selectors selectors;
    ipsec::Action action = ipsec::Action::kDiscard;
    bool per_remote = false;  ///< an SA for each remote address
};

/// What an SA is for; `peer` only for a policy with per_remote.
struct Use {
    ipsec::PolicyId policy = 0;
    std::optional<IpAddress> peer;
    friend bool operator==(const Use&, const Use&) = default;
};

struct Association {
    ipsec::Direction direction = ipsec::Direction::kInbound;
    std::uint32_t spi = 0;
    std::string algorithm;
    Bytes key;  ///< salt behind it
    Bytes mac_key;
    bool tunnel = false;
    std::optional<IpAddress> tunnel_local;
    std::optional<IpAddress> tunnel_remote;
    bool extended_sequence = false;
    std::uint16_t window = 0;  ///< 0: no replay check
    std::uint64_t first_sequence = 1;
    std::vector<Use> uses;
    std::vector<ipsec::Selectors> selectors;  ///< inbound
    std::uint16_t path_mtu = 0;               ///< outbound; 0: no limit
};

class Ipsec final : public ipsec::Processor, public ipsec::Queries {
  public:
    Ipsec();
    ~Ipsec() override;
    Ipsec(const Ipsec&) = delete;
    Ipsec& operator=(const Ipsec&) = delete;

    // Management.

    void replace_policies(std::vector<Policy> policies);
    /// In the place of one with the same direction, SPI and (outbound) first use. False: the
    /// algorithm is not known, or keys have the wrong length.
    [[nodiscard]] bool add(const Association& association);
    bool remove(ipsec::Direction direction, std::uint32_t spi, const Use& first_use);
    /// Of all outbound SAs towards `peer`.
    void set_path_mtu(const IpAddress& peer, std::uint16_t path_mtu);

    // Packets.

    void outbound(std::span<ipsec::Packet* const> packets,
                  std::span<ipsec::Verdict> verdicts) override;
    void inbound(std::span<ipsec::Packet* const> packets,
                 std::span<ipsec::Verdict> verdicts) override;
    [[nodiscard]] ipsec::Verdict inbound_policy_check(const ipsec::Packet& packet) const override;
    [[nodiscard]] std::uint32_t mtu_for(const ipsec::Packet& packet) const override;
    [[nodiscard]] std::optional<std::uint8_t> outbound_owner(const ipsec::Packet&) const override {
        return std::nullopt;
    }
    [[nodiscard]] std::optional<std::uint8_t> inbound_owner(const ipsec::Packet&) const override {
        return std::nullopt;
    }

    // Queries.

    [[nodiscard]] ipsec::SpiAnswers spi_for_policy(
        ipsec::PolicyId policy, const std::optional<IpAddress>& remote) const override;
    [[nodiscard]] ipsec::SpiAnswers spi_for_policy(
        const ipsec::SelectorTuple& tuple) const override;
    void selectors_for_spi(std::span<const ipsec::Spi> spis,
                           std::optional<Ipv6Address>* remotes) const override {
        ipsec::ask_one_by_one(*this, spis, remotes);
    }
    [[nodiscard]] std::optional<ipsec::SelectorAnswer> selectors_for_spi(
        ipsec::Spi spi) const override;
    [[nodiscard]] std::uint64_t generation() const override { return generation_; }

    /// How many questions were asked of spi_for_policy().
    [[nodiscard]] std::uint64_t questions() const { return questions_; }

  private:
    struct Sa;

    [[nodiscard]] const Policy* policy_for(const Headers& packet, ipsec::Direction direction) const;
    [[nodiscard]] Sa* outbound_sa(const Use& use) const;
    [[nodiscard]] Sa* outbound_sa(const Headers& packet) const;
    [[nodiscard]] ipsec::Verdict policy_verdict(const Headers& packet) const;
    [[nodiscard]] ipsec::Verdict seal_one(ipsec::Packet& packet);
    [[nodiscard]] ipsec::Verdict open_one(ipsec::Packet& packet);
    [[nodiscard]] Bytes tunnel_packet(const Sa& sa, const Bytes& inner, const Headers& headers,
                                      std::uint64_t sequence);

    std::vector<Policy> policies_;
    std::list<std::unique_ptr<Sa>> outbound_;  ///< newest first
    std::map<std::uint32_t, std::unique_ptr<Sa>> inbound_;
    std::uint64_t generation_ = 0;
    std::uint16_t identification_ = 1;
    mutable std::uint64_t questions_ = 0;
};

}  // namespace homeport::trivial
