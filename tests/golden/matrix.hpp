// SPDX-License-Identifier: BSD-3-Clause
// With which IPsec golden tests run (S1.8), read from the environment:
//   HOMEPORT_TEST_IPSEC       ours (default), or trivial: the implementation of tests/ipsec-trivial
//   HOMEPORT_TEST_TECHNIQUE   api (default) or heuristic: how sealed signalling is told from data
//   HOMEPORT_TEST_EXPRESS     0: every packet takes the way through all stages
//   HOMEPORT_TEST_COPY_MODE   1: a fresh buffer at both edges of IPsec (S1.9)
// Commands go to both implementations; packets only to the one that is chosen.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <tuple>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/stage/worker.hpp"
#include "tests/ipsec-trivial/ipsec.hpp"

namespace homeport::golden {

/// Lets an implementation allocate that is not written for the fast path, and other things happen
/// while packets are inside IPsec.
class Unguarded final : public ipsec::Processor {
  public:
    explicit Unguarded(ipsec::Processor& processor) : processor_(processor) {}

    /// Called once, when the next burst is sealed and has not left yet.
    std::function<void()> meanwhile;

    void outbound(std::span<ipsec::Packet* const> packets,
                  std::span<ipsec::Verdict> verdicts) override;
    void inbound(std::span<ipsec::Packet* const> packets,
                 std::span<ipsec::Verdict> verdicts) override;
    [[nodiscard]] ipsec::Verdict inbound_policy_check(const ipsec::Packet& packet) const override;
    [[nodiscard]] std::uint32_t mtu_for(const ipsec::Packet& packet) const override;
    [[nodiscard]] std::optional<std::uint8_t> outbound_owner(
        const ipsec::Packet& packet) const override;
    [[nodiscard]] std::optional<std::uint8_t> inbound_owner(
        const ipsec::Packet& packet) const override;

  private:
    ipsec::Processor& processor_;
};

class Matrix {
  public:
    Matrix();

    [[nodiscard]] bool copy_mode() const { return copy_mode_; }
    [[nodiscard]] bool express() const { return express_; }
    [[nodiscard]] bool trivial() const { return trivial_ != nullptr; }
    [[nodiscard]] bool heuristic() const { return heuristic_; }
    /// Makes the chosen implementation this worker's.
    void take_place(stage::Worker& worker) const;

    /// The command as the data plane is to get it.
    template <class Record>
    [[nodiscard]] const Record& adapted(const Record& record) const {
        return record;
    }

    [[nodiscard]] channel::ParametersSet adapted(channel::ParametersSet record) const {
        if (heuristic_) record.technique = channel::Technique::kHeuristic;
        return record;
    }

    /// Of the SAs towards `peer`. False: IPsec is the product's own, ask that.
    [[nodiscard]] bool set_path_mtu(const IpAddress& peer, std::uint16_t path_mtu) {
        if (trivial_ != nullptr) trivial_->set_path_mtu(peer, path_mtu);
        return trivial_ != nullptr;
    }

    /// After the command was applied.
    template <class Record>
    void apply(const Record& record, ConstByteSpan trailing) {
        if (trivial_ == nullptr) return;
        if constexpr (requires { follow(record, trailing); }) follow(record, trailing);
    }

  private:
    struct Known {
        channel::SaSet record;
        trivial::Bytes networks;
        unsigned epoch = 0;
    };

    void follow(const channel::SaSet& record, ConstByteSpan networks);
    void follow(const channel::SaRemove& record, ConstByteSpan);
    void follow(const channel::SpdReplace& record, ConstByteSpan policies);
    void follow(const channel::BeginSync& record, ConstByteSpan);
    void follow(const channel::EndSync& record, ConstByteSpan);
    void drop(const Known& known);

    bool heuristic_ = false;
    bool copy_mode_ = false;
    bool express_ = true;
    std::unique_ptr<trivial::Ipsec> trivial_;
    std::unique_ptr<Unguarded> unguarded_;
    std::map<std::tuple<std::uint32_t, channel::SaDirection, trivial::Bytes>, Known> associations_;
    unsigned epoch_ = 0;
};

}  // namespace homeport::golden
