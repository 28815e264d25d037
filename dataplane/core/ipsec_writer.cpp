// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/ipsec_writer.hpp"

#include <rte_random.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <optional>

#include "dataplane/channel/records.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/sa_store.hpp"

namespace homeport::core {

using channel::CommandError;
using table::Applied;
using table::WriteError;

namespace {

std::unexpected<WriteError> refuse(std::string text, CommandError code = CommandError::kRefused) {
    return std::unexpected(WriteError{code, std::move(text)});
}

std::optional<IpAddress> address_of(const channel::WireAddress& address) {
    if (address.family == 6) return IpAddress(address.v6());
    if (address.family == 4) return IpAddress(address.v4());
    return std::nullopt;
}

std::expected<std::vector<ipsec::AddressRange>, std::string> range_of(
    const channel::WireAddress& low, const channel::WireAddress& high) {
    const auto first = address_of(low);
    const auto last = address_of(high);
    if (!first && !last) return std::vector<ipsec::AddressRange>{};
    if (!first || !last || first->index() != last->index()) {
        return std::unexpected("an address range whose ends are of two families");
    }
    return std::vector<ipsec::AddressRange>{{*first, *last}};
}

/// `mobility`: the channel has types times 256, as for ICMP; IPsec has plain ones.
ipsec::ValueSelector values_of(std::uint16_t low, std::uint16_t high, bool mobility) {
    if (low == 0 && high == 0xffff) return ipsec::ValueSelector::any();
    if (low > high) return ipsec::ValueSelector::opaque();
    const unsigned unit = mobility ? 256 : 1;
    return ipsec::ValueSelector::of(
        {{static_cast<std::uint16_t>(low / unit), static_cast<std::uint16_t>(high / unit)}});
}

SaKey key_of(const channel::SaSet& record) {
    const bool inbound = record.direction == channel::SaDirection::kInbound;
    return {record.spi, record.direction, inbound ? channel::WireAddress{} : record.peer};
}

std::string naming(const SaKey& key) {
    std::string text = key.direction == channel::SaDirection::kInbound ? "inbound" : "outbound";
    text += " SA " + ipsec::Spi{key.spi}.to_string();
    if (const auto peer = address_of(key.peer)) text += " of " + to_string(*peer);
    return text;
}

/// Networks behind the peer, whose entries of the SPD lead to the SA without a remote address, and
/// networks on our side.
std::expected<void, std::string> add_networks(const channel::SaSet& record, ConstByteSpan networks,
                                              const ipsec::Selectors& like,
                                              ipsec::SaParameters& parameters) {
    for (std::size_t i = 0; i < record.network_count; ++i) {
        const channel::SaNetwork network = channel::network_at(networks, i);
        if (!channel::valid(network)) {
            return std::unexpected("network " + std::to_string(i) + " is not an address range");
        }
        const bool is_local = network.is_local != 0;
        ipsec::PolicyUse use{.policy = network.policy_id, .remote = std::nullopt};
        if (is_local) use.remote = address_of(record.peer);
        parameters.policies.push_back(use);
        if (parameters.direction != ipsec::Direction::kInbound) continue;
        auto range = range_of(network.low, network.high);
        if (!range) return std::unexpected(std::move(range).error());
        ipsec::Selectors selectors = like;
        (is_local ? selectors.local : selectors.remote) = *std::move(range);
        parameters.selectors.push_back(std::move(selectors));
    }
    return {};
}

std::expected<ipsec::SaParameters, WriteError> parameters_of(const channel::SaSet& record,
                                                             ConstByteSpan networks,
                                                             unsigned workers) {
    const std::string name = naming(key_of(record));
    const std::string_view algorithm_name = channel::text_of(record.algorithm);
    const auto algorithm = ipsec::parse_algorithm(algorithm_name);
    if (!algorithm) {
        return refuse(name + ": algorithm '" + std::string(algorithm_name) + "' is not known");
    }
    if (record.static_key != 0 && ipsec::info(*algorithm).is_counter_mode() &&
        record.allow_static_gcm == 0) {
        return refuse(name + ": " + std::string(algorithm_name) +
                      " with a static key repeats IVs after a restart and is for laboratories "
                      "only (lab_static_gcm)");
    }
    if (record.owner_worker >= workers) {
        return refuse(name + ": owner is worker " + std::to_string(record.owner_worker) +
                      ", there are " + std::to_string(workers));
    }
    auto selectors = selectors_of(record.selector);
    if (!selectors) return refuse(name + ": " + selectors.error());

    ipsec::SaParameters parameters;
    parameters.direction = record.direction == channel::SaDirection::kInbound
                               ? ipsec::Direction::kInbound
                               : ipsec::Direction::kOutbound;
    parameters.spi = ipsec::Spi{record.spi};
    parameters.algorithm = *algorithm;
    parameters.encryption_key = ipsec::SecretBytes(
        {record.encryption_key,
         std::min<std::size_t>(record.encryption_key_length, sizeof record.encryption_key)});
    parameters.integrity_key = ipsec::SecretBytes(
        {record.integrity_key,
         std::min<std::size_t>(record.integrity_key_length, sizeof record.integrity_key)});
    parameters.mode =
        record.mode == channel::SaMode::kTunnel ? ipsec::Mode::kTunnel : ipsec::Mode::kTransport;
    parameters.tunnel_local = address_of(record.tunnel_local);
    parameters.tunnel_remote = address_of(record.tunnel_remote);
    parameters.esn = record.extended_sequence != 0;
    parameters.replay_window = record.replay_window;
    const auto second_peer = address_of(record.second_peer);
    if (parameters.direction == ipsec::Direction::kInbound) {
        parameters.selectors.push_back(*selectors);
        if (second_peer) {
            parameters.selectors.push_back(*selectors);
            parameters.selectors.back().remote = {ipsec::AddressRange::of(*second_peer)};
        }
    }
    parameters.policies.push_back({record.policy_id, address_of(record.peer)});
    if (second_peer) parameters.policies.push_back({record.second_policy_id, second_peer});
    if (auto added = add_networks(record, networks, *selectors, parameters); !added) {
        return refuse(name + ": " + added.error());
    }
    parameters.lifetime = {record.soft_bytes,   record.hard_bytes,   record.soft_packets,
                           record.hard_packets, record.soft_seconds, record.hard_seconds};
    parameters.born = monotonic_seconds() - record.age_seconds;
    parameters.first_sequence = record.first_sequence;
    parameters.static_key = record.static_key != 0;
    parameters.owner = static_cast<std::uint8_t>(record.owner_worker);
    return parameters;
}

std::expected<ipsec::PolicyEntry, std::string> entry_of(const channel::PolicyRecord& record) {
    if (!channel::valid(record)) return std::unexpected("a policy record is malformed");
    ipsec::PolicyEntry entry;
    entry.id = record.id;
    entry.name = std::string(channel::text_of(record.name));
    auto selectors = selectors_of(record.selector);
    if (!selectors) {
        return std::unexpected("policy " + std::to_string(record.id) + " '" + entry.name +
                               "': " + selectors.error());
    }
    entry.selectors = std::move(*selectors);
    switch (record.action) {
        case channel::PolicyAction::kDiscard:
            entry.action = ipsec::Action::kDiscard;
            break;
        case channel::PolicyAction::kBypass:
            entry.action = ipsec::Action::kBypass;
            break;
        case channel::PolicyAction::kProtect:
            entry.action = ipsec::Action::kProtect;
            entry.protect.mode = record.mode == channel::SaMode::kTunnel ? ipsec::Mode::kTunnel
                                                                         : ipsec::Mode::kTransport;
            entry.protect.populate_remote = record.per_remote_address != 0;
            entry.protect.tunnel_remote = address_of(record.tunnel_remote);
            break;
    }
    return entry;
}

}  // namespace

std::uint64_t monotonic_seconds() {
    using namespace std::chrono;
    // A year more, so that an SA may be older than the machine's uptime.
    constexpr std::uint64_t kStart = 366u * 86400u;
    const auto since = steady_clock::now().time_since_epoch();
    return kStart + static_cast<std::uint64_t>(duration_cast<seconds>(since).count());
}

std::expected<ipsec::Selectors, std::string> selectors_of(const channel::SelectorRecord& record) {
    constexpr std::uint16_t kAnyProtocol = 0xffff;
    constexpr std::uint16_t kOpaqueProtocol = 0xfffe;
    auto local = range_of(record.local_low, record.local_high);
    auto remote = range_of(record.remote_low, record.remote_high);
    if (!local) return std::unexpected("local: " + local.error());
    if (!remote) return std::unexpected("remote: " + remote.error());
    ipsec::Selectors selectors;
    selectors.local = std::move(*local);
    selectors.remote = std::move(*remote);
    if (record.protocol == kOpaqueProtocol) {
        selectors.protocol = ipsec::ProtocolSelector::opaque();
    } else if (record.protocol != kAnyProtocol) {
        if (record.protocol > 255) {
            return std::unexpected("protocol " + std::to_string(record.protocol) +
                                   ", expected 0 to 255");
        }
        selectors.protocol =
            ipsec::ProtocolSelector::of(static_cast<std::uint8_t>(record.protocol));
    }
    const bool mobility = record.protocol == number(IpProtocol::kMobility);
    selectors.local_value = values_of(record.local_port_low, record.local_port_high, mobility);
    selectors.remote_value = values_of(record.remote_port_low, record.remote_port_high, mobility);
    return selectors;
}

channel::WireAddress peer_of(const ipsec::SecurityAssociation& sa) {
    if (!sa.bound_by_remote) return {};
    return channel::WireAddress(sa.remote.address(sa.remote_family));
}

SaKey key_of(const ipsec::SecurityAssociation& sa) {
    if (sa.profile->direction == ipsec::Direction::kInbound) {
        return {sa.spi.value, channel::SaDirection::kInbound, {}};
    }
    return {sa.spi.value, channel::SaDirection::kOutbound, peer_of(sa)};
}

IpsecWriter::IpsecWriter(SharedState& state, unsigned workers, std::uint32_t max_sas)
    : state_(state), workers_(workers), seed_(rte_rand()), max_rows_(max_sas) {}

std::uint64_t IpsecWriter::fingerprint(const channel::SaSet& record, ConstByteSpan networks) const {
    channel::SaSet copy = record;
    copy.header = {};
    // A restored SA goes on, wherever it is by now.
    copy.first_sequence = 0;
    copy.age_seconds = 0;
    // FNV-1a over words with a secret start: tells changes apart, reveals no key.
    std::uint64_t sum = seed_ ^ 14695981039346656037u;
    const auto add = [&sum](ConstByteSpan bytes) {
        for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
            std::uint64_t word;
            std::memcpy(&word, bytes.data() + at, sizeof word);
            sum = (sum ^ word) * 1099511628211u;
            sum ^= sum >> 29;
        }
    };
    add({reinterpret_cast<const std::uint8_t*>(&copy), sizeof copy});
    add(networks);
    explicit_bzero(&copy, sizeof copy);
    return sum;
}

// --------------------------------------------------------------- what is known beside the database

namespace {

std::uint32_t index_of(const ipsec::SecurityAssociation& sa) {
    return ipsec::SecureArena::number_of(&sa);
}

}  // namespace

IpsecWriter::Notes& IpsecWriter::notes_of(const ipsec::SecurityAssociation& sa) {
    return notes_[index_of(sa)];
}

bool IpsecWriter::is_known(const ipsec::SecurityAssociation& sa) const {
    return index_of(sa) < notes_.size() && notes_[index_of(sa)].row != kNoRow;
}

std::uint32_t IpsecWriter::row_of(const ipsec::SecurityAssociation& sa) const {
    return notes_[index_of(sa)].row;
}

std::uint64_t& IpsecWriter::reported_sequence(const ipsec::SecurityAssociation& sa) {
    return outbound_[notes_of(sa).outbound].reported_sequence;
}

void IpsecWriter::note(ipsec::SaHandle handle, const channel::SaSet& record,
                       std::uint64_t fingerprint) {
    const std::uint32_t index = index_of(*store().by_handle(handle));
    if (index >= notes_.size()) notes_.resize(store().handle_end());
    Notes& notes = notes_[index];
    notes.fingerprint = fingerprint;
    notes.epoch = epoch_;
    if (free_rows_.empty()) {
        notes.row = fresh_row_++;
    } else {
        notes.row = free_rows_.back();
        free_rows_.pop_back();
    }
    ++size_;
    if (record.direction != channel::SaDirection::kOutbound) return;
    if (free_outbound_.empty()) {
        notes.outbound = outbound_.size() & 0xff'ffffu;
        outbound_.emplace_back();
    } else {
        notes.outbound = free_outbound_.back() & 0xff'ffffu;
        free_outbound_.pop_back();
    }
    ++outbound_policies_[record.policy_id];
    add_to_list(index, record.spi);
}

void IpsecWriter::drop(const ipsec::SecurityAssociation& sa) {
    Notes& notes = notes_of(sa);
    if (sa.profile->direction == ipsec::Direction::kOutbound) {
        take_from_list(index_of(sa), sa.spi.value);
        outbound_[notes.outbound] = {};
        free_outbound_.push_back(notes.outbound);
        const auto users = outbound_policies_.find(sa.policy);
        if (--users->second == 0) outbound_policies_.erase(users);
    }
    free_rows_.push_back(notes.row);
    freed_rows_.push_back(notes.row);
    notes = {};
    --size_;
    state_.sad().remove(sa.handle());
}

std::uint32_t& IpsecWriter::first_with(std::uint32_t spi) {
    return by_spi_[ipsec::mix(spi) & (by_spi_.size() - 1)];
}

/// Lists are of all SPIs with one hash; there are at least as many as outbound SAs.
void IpsecWriter::add_to_list(std::uint32_t index, std::uint32_t spi) {
    if (outbound_.size() > by_spi_.size()) {
        grow_lists();  // with this one
        return;
    }
    OutboundNotes& notes = outbound_[notes_[index].outbound];
    std::uint32_t& first = first_with(spi);
    notes.previous = kNone;
    notes.next = first;
    if (first != kNone) outbound_[notes_[first].outbound].previous = index;
    first = index;
}

void IpsecWriter::take_from_list(std::uint32_t index, std::uint32_t spi) {
    const OutboundNotes& notes = outbound_[notes_[index].outbound];
    if (notes.next != kNone) outbound_[notes_[notes.next].outbound].previous = notes.previous;
    if (notes.previous != kNone) {
        outbound_[notes_[notes.previous].outbound].next = notes.next;
    } else {
        first_with(spi) = notes.next;
    }
}

void IpsecWriter::grow_lists() {
    constexpr std::size_t kLeast = 64;
    by_spi_.assign(std::max(kLeast, std::bit_ceil(outbound_.size())), kNone);
    for (std::uint32_t index = 0; index < notes_.size(); ++index) {
        if (notes_[index].row == kNoRow) continue;
        const ipsec::SecurityAssociation& sa = *store().by_index(index);
        if (sa.profile->direction == ipsec::Direction::kOutbound) add_to_list(index, sa.spi.value);
    }
}

ipsec::SecurityAssociation* IpsecWriter::find(const SaKey& key) const {
    if (key.direction == channel::SaDirection::kInbound) {
        ipsec::SecurityAssociation* const sa = store().find_inbound(ipsec::Spi{key.spi});
        return sa != nullptr && is_known(*sa) ? sa : nullptr;
    }
    // SPIs are the peers' choice, perhaps all the same; but a peer has few SAs.
    const auto remote = address_of(key.peer);
    for (const auto& [policy, users] : outbound_policies_) {
        const ipsec::PolicyKey cached{policy,
                                      remote ? ipsec::RemoteKey::of(*remote) : ipsec::RemoteKey{}};
        for (ipsec::SecurityAssociation* sa : store().find_all_outbound(cached)) {
            if (sa != nullptr && sa->spi.value == key.spi && is_known(*sa) && key_of(*sa) == key) {
                return sa;
            }
        }
    }
    return nullptr;
}

std::vector<channel::WireAddress> IpsecWriter::peers_of(std::uint32_t spi, std::size_t most) const {
    std::vector<channel::WireAddress> peers;
    if (by_spi_.empty()) return peers;
    std::uint32_t index = by_spi_[ipsec::mix(spi) & (by_spi_.size() - 1)];
    while (index != kNone && peers.size() < most) {
        const ipsec::SecurityAssociation& sa = *store().by_index(index);
        if (sa.spi.value == spi) peers.push_back(peer_of(sa));
        index = outbound_[notes_[index].outbound].next;
    }
    return peers;
}

// ------------------------------------------------------------------------------------- records

Applied IpsecWriter::apply(const channel::SaSet& record, ConstByteSpan networks) {
    const SaKey key = key_of(record);
    const std::uint64_t print = fingerprint(record, networks);
    const ipsec::SecurityAssociation* const known = find(key);
    if (known != nullptr && notes_of(*known).fingerprint == print) {
        notes_of(*known).epoch = epoch_;
        return {};
    }
    auto parameters = parameters_of(record, networks, workers_);
    if (!parameters) return std::unexpected(parameters.error());
    // Same name, other content: one cannot stand beside the other.
    if (known != nullptr) drop(*known);
    if (free_rows_.empty() && fresh_row_ == max_rows_) {
        return refuse(
            naming(key) + ": there are already " + std::to_string(max_rows_) + " (max_sas)",
            CommandError::kTableFull);
    }
    auto handle = state_.sad().add(*parameters);
    if (!handle) return refuse(handle.error().text);
    note(*handle, record, print);
    return {};
}

Applied IpsecWriter::apply(const channel::SaRemove& record) {
    const bool inbound = record.direction == channel::SaDirection::kInbound;
    const SaKey key{record.spi, record.direction, inbound ? channel::WireAddress{} : record.peer};
    if (const ipsec::SecurityAssociation* known = find(key)) drop(*known);
    return {};
}

/// An entry without populate_remote is all that says whose packets an SA seals: where its addresses
/// changed (its id may stand for another network by now), the SA must not go on.
void IpsecWriter::drop_sas_of_changed(const std::vector<ipsec::PolicyEntry>& entries) {
    for (const ipsec::PolicyEntry& old : state_.spd().entries()) {
        if (old.action != ipsec::Action::kProtect || old.protect.populate_remote) continue;
        const auto now = std::ranges::find(entries, old.id, &ipsec::PolicyEntry::id);
        if (now != entries.end() && now->selectors == old.selectors) continue;
        for (ipsec::SecurityAssociation* sa : store().find_all_outbound({old.id, {}})) {
            if (sa != nullptr && is_known(*sa)) drop(*sa);
        }
    }
}

Applied IpsecWriter::apply(const channel::SpdReplace& record, ConstByteSpan policies) {
    std::vector<ipsec::PolicyEntry> entries;
    tunnel::SignallingPolicies signalling;
    for (std::uint32_t i = 0; i < record.count; ++i) {
        const channel::PolicyRecord policy = channel::policy_at(policies, i);
        auto entry = entry_of(policy);
        if (!entry) return refuse(entry.error());
        if (policy.signalling != 0) {
            if (signalling.count == tunnel::SignallingPolicies::kMax) {
                return refuse("more than " + std::to_string(tunnel::SignallingPolicies::kMax) +
                              " policies for signalling");
            }
            signalling.ids[signalling.count++] = policy.id;
        }
        entries.push_back(std::move(*entry));
    }
    drop_sas_of_changed(entries);  // before new packets find the old SA
    if (auto done = state_.spd().replace(std::move(entries)); !done) {
        return refuse(done.error().text);
    }
    state_.set_signalling(signalling);
    return {};
}

void IpsecWriter::begin_sync() {
    ++epoch_;
    syncing_ = true;
}

std::uint32_t IpsecWriter::end_sync() {
    if (!syncing_) return 0;
    syncing_ = false;
    std::uint32_t dropped = 0;
    for (std::uint32_t index = 0; index < notes_.size(); ++index) {
        if (notes_[index].row == kNoRow || notes_[index].epoch == epoch_) continue;
        drop(*store().by_index(index));
        ++dropped;
    }
    return dropped;
}

bool IpsecWriter::visit(std::size_t most,
                        const std::function<void(ipsec::SecurityAssociation&)>& function) {
    // Places without an SA count, too, but less: their notes are all that is looked at.
    constexpr std::size_t kEmptyPlaces = 16;
    std::size_t left = most * kEmptyPlaces;
    for (; next_visit_ < notes_.size() && left != 0; ++next_visit_) {
        const bool empty = notes_[next_visit_].row == kNoRow;
        left -= std::min(left, empty ? 1 : kEmptyPlaces);
        if (!empty) function(*store().by_index(next_visit_));
    }
    if (next_visit_ < notes_.size()) return false;
    next_visit_ = 0;
    return true;
}

void IpsecWriter::forget_reports() {
    for (OutboundNotes& notes : outbound_) notes.reported_sequence = 0;
}

std::vector<std::uint32_t> IpsecWriter::take_freed_rows() {
    return std::exchange(freed_rows_, {});
}

}  // namespace homeport::core
