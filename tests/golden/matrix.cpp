// SPDX-License-Identifier: BSD-3-Clause
#include "tests/golden/matrix.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "dataplane/channel/records.hpp"
#include "dataplane/core/ipsec_writer.hpp"
#include "dataplane/stage/guard.hpp"

namespace homeport::golden {

namespace {

/// Whether a variable has its second value; anything but the two is a mistake of whoever runs this.
bool chosen(const char* variable, std::string_view usual, std::string_view other) {
    const char* const text = std::getenv(variable);
    const std::string_view value = text == nullptr ? usual : text;
    EXPECT_TRUE(value == usual || value == other)
        << variable << " is '" << value << "', expected " << usual << " or " << other;
    return value == other;
}

std::optional<IpAddress> address_of(const channel::WireAddress& address) {
    if (address.family == 6) return IpAddress(address.v6());
    if (address.family == 4) return IpAddress(address.v4());
    return std::nullopt;
}

template <class Record>
auto key_of(const Record& record) {
    const bool inbound = record.direction == channel::SaDirection::kInbound;
    trivial::Bytes peer;
    if (!inbound) {
        peer.assign(record.peer.bytes.begin(), record.peer.bytes.end());
        peer.push_back(record.peer.family);
    }
    return std::tuple(record.spi, record.direction, peer);
}

bool same_content(channel::SaSet a, channel::SaSet b) {
    a.header = b.header = {};
    a.first_sequence = b.first_sequence = 0;
    return std::memcmp(&a, &b, sizeof a) == 0;
}

/// An SA can belong to a second entry, with another address and else the same selectors.
template <class Record>
void add_second_use(const Record& record, trivial::Association& a) {
    if constexpr (requires { record.second_peer; }) {
        const auto peer = address_of(record.second_peer);
        if (!peer) return;
        a.uses.push_back({record.second_policy_id, peer});
        if (a.selectors.empty()) return;
        a.selectors.push_back(a.selectors[0]);
        a.selectors.back().remote = {ipsec::AddressRange::of(*peer)};
    }
}

/// Networks behind the peer are entries of their own, which name no address.
void add_networks(const channel::SaSet& record, ConstByteSpan networks, trivial::Association& a) {
    for (std::size_t i = 0; i < record.network_count; ++i) {
        const channel::SaNetwork network = channel::network_at(networks, i);
        a.uses.push_back({network.policy_id, std::nullopt});
        if (a.selectors.empty()) continue;
        a.selectors.push_back(a.selectors[0]);
        a.selectors.back().remote = {{*address_of(network.low), *address_of(network.high)}};
    }
}

trivial::Association association_of(const channel::SaSet& record, ConstByteSpan networks) {
    trivial::Association a;
    a.direction = record.direction == channel::SaDirection::kInbound ? ipsec::Direction::kInbound
                                                                     : ipsec::Direction::kOutbound;
    a.spi = record.spi;
    a.algorithm = channel::text_of(record.algorithm);
    a.key.assign(record.encryption_key, record.encryption_key + record.encryption_key_length);
    a.mac_key.assign(record.integrity_key, record.integrity_key + record.integrity_key_length);
    a.tunnel = record.mode == channel::SaMode::kTunnel;
    a.tunnel_local = address_of(record.tunnel_local);
    a.tunnel_remote = address_of(record.tunnel_remote);
    a.extended_sequence = record.extended_sequence != 0;
    a.window = record.replay_window;
    a.first_sequence = record.first_sequence;
    a.uses.push_back({record.policy_id, address_of(record.peer)});
    if (a.direction == ipsec::Direction::kInbound) {
        const auto selectors = core::selectors_of(record.selector);
        EXPECT_TRUE(selectors);
        if (selectors) a.selectors.push_back(*selectors);
    }
    add_second_use(record, a);
    add_networks(record, networks, a);
    return a;
}

}  // namespace

// ------------------------------------------------------------------------------------ Unguarded

namespace {

/// No stage runs while this is there.
class Pause {
  public:
    Pause() = default;
    ~Pause() { stage::g_running_stage = name_; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

  private:
    std::string_view name_ = std::exchange(stage::g_running_stage, {});
};

}  // namespace

void Unguarded::outbound(std::span<ipsec::Packet* const> packets,
                         std::span<ipsec::Verdict> verdicts) {
    const Pause pause;
    processor_.outbound(packets, verdicts);
    if (meanwhile) std::exchange(meanwhile, nullptr)();
}
void Unguarded::inbound(std::span<ipsec::Packet* const> packets,
                        std::span<ipsec::Verdict> verdicts) {
    const Pause pause;
    processor_.inbound(packets, verdicts);
}
ipsec::Verdict Unguarded::inbound_policy_check(const ipsec::Packet& packet) const {
    const Pause pause;
    return processor_.inbound_policy_check(packet);
}
std::uint32_t Unguarded::mtu_for(const ipsec::Packet& packet) const {
    const Pause pause;
    return processor_.mtu_for(packet);
}
std::optional<std::uint8_t> Unguarded::outbound_owner(const ipsec::Packet& packet) const {
    return processor_.outbound_owner(packet);
}
std::optional<std::uint8_t> Unguarded::inbound_owner(const ipsec::Packet& packet) const {
    return processor_.inbound_owner(packet);
}

// --------------------------------------------------------------------------------------- Matrix

Matrix::Matrix()
    : heuristic_(chosen("HOMEPORT_TEST_TECHNIQUE", "api", "heuristic")),
      copy_mode_(chosen("HOMEPORT_TEST_COPY_MODE", "0", "1")),
      express_(!chosen("HOMEPORT_TEST_EXPRESS", "1", "0")) {
    if (chosen("HOMEPORT_TEST_IPSEC", "ours", "trivial")) {
        trivial_ = std::make_unique<trivial::Ipsec>();
        unguarded_ = std::make_unique<Unguarded>(*trivial_);
    }
}

void Matrix::take_place(stage::Worker& worker) const {
    if (trivial_ == nullptr) return;
    worker.esp = unguarded_.get();
    worker.ipsec_queries = trivial_.get();
}

void Matrix::drop(const Known& known) {
    const trivial::Association a = association_of(known.record, known.networks);
    trivial_->remove(a.direction, a.spi, a.uses[0]);
}

/// One that is there already goes on where it is.
void Matrix::follow(const channel::SaSet& record, ConstByteSpan networks) {
    const auto known = associations_.find(key_of(record));
    if (known != associations_.end() && same_content(known->second.record, record) &&
        std::ranges::equal(known->second.networks, networks)) {
        known->second.epoch = epoch_;
        return;
    }
    if (known != associations_.end()) drop(known->second);
    EXPECT_TRUE(trivial_->add(association_of(record, networks)))
        << channel::text_of(record.algorithm);
    associations_[key_of(record)] = {record, {networks.begin(), networks.end()}, epoch_};
}

void Matrix::follow(const channel::SaRemove& record, ConstByteSpan) {
    const auto known = associations_.find(key_of(record));
    if (known == associations_.end()) return;
    drop(known->second);
    associations_.erase(known);
}

void Matrix::follow(const channel::SpdReplace& record, ConstByteSpan policies) {
    std::vector<trivial::Policy> list;
    for (std::uint32_t i = 0; i < record.count; ++i) {
        const channel::PolicyRecord policy = channel::policy_at(policies, i);
        const auto selectors = core::selectors_of(policy.selector);
        ASSERT_TRUE(selectors);
        constexpr ipsec::Action kActions[] = {ipsec::Action::kDiscard, ipsec::Action::kBypass,
                                              ipsec::Action::kProtect};
        list.push_back({policy.id, *selectors, kActions[static_cast<unsigned>(policy.action)],
                        policy.per_remote_address != 0});
    }
    trivial_->replace_policies(std::move(list));
}

void Matrix::follow(const channel::BeginSync&, ConstByteSpan) {
    ++epoch_;
}

void Matrix::follow(const channel::EndSync&, ConstByteSpan) {
    std::erase_if(associations_, [this](const auto& item) {
        if (item.second.epoch == epoch_) return false;
        drop(item.second);
        return true;
    });
}

}  // namespace homeport::golden
