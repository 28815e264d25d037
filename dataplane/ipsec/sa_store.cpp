// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/sa_store.hpp"

#include <string.h>

#include <algorithm>
#include <new>

namespace homeport::ipsec {

namespace {

/// The one remote address that an SA is about: that of its first use that has one, else the
/// single remote address of its first selectors.
RemoteKey remote_of(const SaParameters& parameters) {
    for (const PolicyUse& use : parameters.policies) {
        if (use.remote) return RemoteKey::of(*use.remote);
    }
    for (const Selectors& selectors : parameters.selectors) {
        if (selectors.remote.size() == 1 && selectors.remote[0].first == selectors.remote[0].last) {
            return RemoteKey::of(selectors.remote[0].first);
        }
    }
    return {};
}

bool is_only(const std::vector<AddressRange>& ranges, const RemoteKey& remote) {
    return ranges.size() == 1 && ranges[0].first == ranges[0].last &&
           RemoteKey::of(ranges[0].first) == remote;
}

/// Everything of an SA that is not its own: two SAs with the same text share a profile.
std::string identity_of(const SaProfile& profile) {
    std::string text;
    const auto add = [&text](auto value) {
        text += std::to_string(static_cast<std::uint64_t>(value)) + ' ';
    };
    add(profile.algorithm.algorithm);
    add(profile.direction);
    add(profile.mode);
    add(profile.esn);
    add(profile.copy_dscp);
    add(profile.dont_fragment);
    add(profile.replay_window);
    add(profile.hop_limit);
    add(profile.fixed_dscp);
    add(profile.tunnel_family);
    add(profile.tunnel_remote_source);
    for (const AddressKey& key : {profile.tunnel_local, profile.tunnel_remote}) {
        add(key.high);
        add(key.low);
    }
    for (const std::uint64_t limit :
         {profile.lifetime.soft_bytes, profile.lifetime.hard_bytes, profile.lifetime.soft_packets,
          profile.lifetime.hard_packets, std::uint64_t{profile.lifetime.soft_seconds},
          std::uint64_t{profile.lifetime.hard_seconds}}) {
        add(limit);
    }
    for (const ProfileUse& use : profile.policies) {
        add(use.policy);
        add(use.remote);
        add(use.address.family);
        add(use.address.address.high);
        add(use.address.address.low);
    }
    for (const ProfileSelectors& entry : profile.selectors) {
        add(entry.remote);
        text += entry.selectors.to_string() + ';';
    }
    return text;
}

void fill_tunnel(SaProfile& profile, const SaParameters& parameters, const RemoteKey& remote) {
    if (parameters.tunnel_local) {
        profile.tunnel_family = family_of(*parameters.tunnel_local);
        profile.tunnel_local = AddressKey::of(*parameters.tunnel_local);
    }
    if (!parameters.tunnel_remote) return;
    profile.tunnel_family = family_of(*parameters.tunnel_remote);
    if (RemoteKey::of(*parameters.tunnel_remote) == remote) {
        profile.tunnel_remote_source = AddressSource::kSaRemote;
    } else if (remote.family != Family::kNone) {
        // One of many that a template makes: each has an end of its own.
        profile.tunnel_remote_source = AddressSource::kSaTunnel;
    } else {
        profile.tunnel_remote_source = AddressSource::kProfile;
        profile.tunnel_remote = AddressKey::of(*parameters.tunnel_remote);
    }
}

/// The parts of the tunnel header that are the same for each packet of common SAs.
void make_outer_header(SaProfile& profile) {
    profile.is_common = profile.direction == Direction::kOutbound &&
                        profile.mode == Mode::kTunnel && profile.tunnel_family == Family::kIpv6 &&
                        profile.tunnel_remote_source != AddressSource::kSaTunnel &&
                        !profile.has_lifetime;
    if (!profile.is_common) return;
    profile.seals_short = profile.algorithm.cipher == Cipher::kAesGcm && !profile.esn &&
                          profile.copy_dscp &&
                          profile.tunnel_remote_source == AddressSource::kSaRemote;
    profile.outer_start =
        std::uint64_t{6} << 60 | std::uint64_t{number(IpProtocol::kEsp)} << 8 | profile.hop_limit;
    store_be64(profile.outer_source.bytes.data(), profile.tunnel_local.high);
    store_be64(profile.outer_source.bytes.data() + 8, profile.tunnel_local.low);
}

void note_short_way(SaProfile& profile) {
    if (profile.direction != Direction::kInbound || profile.mode != Mode::kTunnel ||
        profile.algorithm.cipher != Cipher::kAesGcm || profile.has_lifetime ||
        profile.selectors.size() != 1) {
        return;
    }
    const ProfileSelectors& entry = profile.selectors.front();
    const CompiledSelectors& compiled = entry.compiled;
    const auto local = KeyPrefix::of(compiled.local);
    const auto remote = KeyPrefix::of(compiled.remote);
    if (!compiled.ipv6 || compiled.protocol.kind != ProtocolSelector::Kind::kAny ||
        !compiled.any_values || !local || !remote) {
        return;
    }
    profile.opens_short = true;
    profile.remote_is_of_sa = entry.remote == AddressSource::kSaRemote;
    profile.local_prefix = *local;
    profile.local_is_any = local->mask == AddressKey{};
    profile.remote_prefix = *remote;
}

constexpr std::size_t round_to_line(std::size_t size) {
    return (size + 63) / 64 * 64;
}

/// Where everything of an SA is.
void lay_out(SaProfile& profile) {
    const std::size_t keys = sizeof(SecurityAssociation) + key_area_size(profile.algorithm);
    const bool own_tunnel = profile.tunnel_remote_source == AddressSource::kSaTunnel;
    const std::size_t bitmap = ReplayWindow::word_count(profile.replay_window) *
                               (profile.replay_window == 0 ? 0 : sizeof(std::uint64_t));
    profile.tunnel_offset = static_cast<std::uint32_t>(keys);
    profile.bitmap_offset =
        static_cast<std::uint32_t>(round_to_line(keys + (own_tunnel ? sizeof(AddressKey) : 0)));
    profile.block_size = static_cast<std::uint32_t>(profile.bitmap_offset + bitmap);
}

std::unique_ptr<SaProfile> make_profile(const SaParameters& parameters, const RemoteKey& remote) {
    auto profile = std::make_unique<SaProfile>();
    profile->algorithm = info(parameters.algorithm);
    profile->direction = parameters.direction;
    profile->mode = parameters.mode;
    profile->esn = parameters.esn;
    profile->copy_dscp = parameters.copy_dscp;
    profile->fixed_dscp = parameters.fixed_dscp;
    profile->dont_fragment = parameters.dont_fragment;
    profile->hop_limit = parameters.hop_limit;
    profile->lifetime = parameters.lifetime;
    const Lifetime& lifetime = parameters.lifetime;
    profile->has_lifetime = (lifetime.soft_bytes | lifetime.hard_bytes | lifetime.soft_packets |
                             lifetime.hard_packets) != 0;
    if (parameters.direction == Direction::kInbound) {
        profile->replay_window = parameters.replay_window;
        profile->bitmap_mask = ReplayWindow::mask_of(parameters.replay_window);
    }
    fill_tunnel(*profile, parameters, remote);
    for (const PolicyUse& use : parameters.policies) {
        ProfileUse entry{use.policy, AddressSource::kNone, {}};
        if (use.remote) {
            const RemoteKey key = RemoteKey::of(*use.remote);
            entry.remote = key == remote ? AddressSource::kSaRemote : AddressSource::kProfile;
            if (key != remote) entry.address = key;
        }
        profile->policies.push_back(entry);
    }
    for (const Selectors& selectors : parameters.selectors) {
        ProfileSelectors entry{selectors, {}, AddressSource::kProfile};
        if (remote.family != Family::kNone && is_only(selectors.remote, remote)) {
            entry.remote = AddressSource::kSaRemote;
            entry.selectors.remote.clear();
        }
        auto compiled = CompiledSelectors::compile(entry.selectors);
        entry.compiled = std::move(*compiled);  // parameters have been checked
        if (entry.remote == AddressSource::kSaRemote) {
            entry.compiled.ipv4 = remote.family == Family::kIpv4;
            entry.compiled.ipv6 = remote.family == Family::kIpv6;
        }
        profile->selectors.push_back(std::move(entry));
    }
    lay_out(*profile);
    make_outer_header(*profile);
    note_short_way(*profile);
    profile->identity = identity_of(*profile);
    return profile;
}

}  // namespace

std::optional<PolicyId> matching_policy(const SecurityAssociation& sa, const HeaderInfo& packet) {
    const SaProfile& profile = *sa.profile;
    for (std::size_t i = 0; i < profile.selectors.size(); ++i) {
        const ProfileSelectors& entry = profile.selectors[i];
        if (!entry.compiled.matches(packet, Direction::kInbound)) continue;
        // A selector of kSaRemote has lost its remote address to the SA; its family is checked too.
        if (entry.remote == AddressSource::kSaRemote && packet.source != sa.remote) continue;
        // Selectors and policies of an SA of several entries stand in the same order.
        return i < profile.policies.size() ? profile.policies[i].policy : sa.policy;
    }
    return std::nullopt;
}

SaStore::SaStore(const SecurityAssociationDatabase::Options& options, MbManager manager,
                 CpuArchitecture architecture, Reclaimer& reclaimer)
    : manager_(std::move(manager)),
      architecture_(architecture),
      reclaimer_(reclaimer),
      own_slot_count_(options.own_slots),
      max_associations_(options.max_associations),
      own_slots_(static_cast<SecurityAssociation**>(
          std::calloc(options.own_slots, sizeof(SecurityAssociation*)))),
      foreign_(reclaimer, inbound_hash_of, nullptr),
      cache_(reclaimer, outbound_hash_of, nullptr) {
    if (!own_slots_) throw std::bad_alloc();
}

SaStore::~SaStore() {
    // No reader is left, and this object will not be there when the reclaimer's time comes.
    for (const SaHandle handle : handles()) free_association(detach(handle), this);
}

SecurityAssociation* SaStore::find_foreign(Spi spi) const {
    return TaggedTable::pointer<SecurityAssociation>(
        foreign_.find(spi_hash(spi), [spi](TaggedTable::Word word) {
            return TaggedTable::pointer<SecurityAssociation>(word)->spi == spi;
        }));
}

std::uint64_t SaStore::inbound_hash_of(TaggedTable::Word word, void*) {
    return spi_hash(TaggedTable::pointer<SecurityAssociation>(word)->spi);
}

std::uint64_t SaStore::outbound_hash_of(TaggedTable::Word word, void*) {
    if (TaggedTable::flag(word)) return TaggedTable::pointer<CacheNode>(word)->key.hash();
    return policy_keys_of(*TaggedTable::pointer<SecurityAssociation>(word)).front().hash();
}

void SaStore::free_node(void* object, void*) {
    delete static_cast<CacheNode*>(object);
}

void SaStore::free_association(void* object, void* owner) {
    auto* store = static_cast<SaStore*>(owner);
    auto* sa = static_cast<SecurityAssociation*>(object);
    const SaProfile* profile = sa->profile;
    const std::size_t size = profile->block_size;
    // Not before: until now an engine may have made its event of it.
    ++sa->cold().handle_generation;
    store->arena_.free(sa, size);
    store->release_profile(profile);
}

const SaProfile* SaStore::acquire_profile(const SaParameters& parameters, const RemoteKey& remote) {
    auto profile = make_profile(parameters, remote);
    auto& known = profiles_[profile->identity];
    if (!known) known = std::move(profile);
    ++known->users;
    return known.get();
}

void SaStore::release_profile(const SaProfile* profile) {
    const auto found = profiles_.find(profile->identity);
    if (--found->second->users == 0) profiles_.erase(found);
}

SecurityAssociation* SaStore::construct(const SaParameters& parameters, const SaProfile& profile,
                                        const RemoteKey& remote) {
    void* memory = arena_.allocate(profile.block_size);
    if (memory == nullptr) return nullptr;
    auto* sa = new (memory) SecurityAssociation;
    sa->profile = &profile;
    const std::uint8_t handle_generation = sa->cold().handle_generation;
    auto* cold = new (&sa->cold()) SaCold{};
    cold->born = static_cast<std::uint32_t>(parameters.born);
    cold->handle_generation = handle_generation;
    sa->spi = parameters.spi;
    sa->owner = parameters.owner;
    sa->remote = remote.address;
    sa->remote_family = remote.family;
    sa->path_mtu.store(parameters.path_mtu, std::memory_order_relaxed);
    if (!profile.policies.empty()) {
        sa->policy = profile.policies[0].policy;
        sa->bound_by_remote = profile.policies[0].remote == AddressSource::kSaRemote;
    }
    if (profile.direction == Direction::kOutbound) {
        sa->sequence.store(parameters.first_sequence - 1, std::memory_order_relaxed);
    } else if (profile.replay_window != 0 && parameters.first_sequence > 1) {
        sa->window().start_at(parameters.first_sequence);
    }
    if (profile.tunnel_remote_source == AddressSource::kSaTunnel) {
        new (&sa->own_tunnel_remote()) AddressKey(AddressKey::of(*parameters.tunnel_remote));
    }
    const ConstByteSpan keying = parameters.encryption_key.view();
    const std::size_t key_length = profile.algorithm.key_length;
    if (profile.algorithm.salt_length != 0) memcpy(&sa->salt, keying.data() + key_length, 4);
    expand_keys(*manager_, profile.algorithm, profile.direction, keying.first(key_length),
                parameters.integrity_key.view(), sa->keys());
    return sa;
}

Result<SaHandle> SaStore::add(const SaParameters& parameters, std::uint64_t generation) {
    if (size_ >= max_associations_) {
        return fail("the SAD is full: it holds " + std::to_string(size_) + " SAs");
    }
    const RemoteKey remote = remote_of(parameters);
    const SaProfile* profile = acquire_profile(parameters, remote);
    SecurityAssociation* sa = construct(parameters, *profile, remote);
    if (sa == nullptr) {
        release_profile(profile);
        return fail("no memory for another SA");
    }
    sa->cold().generation = static_cast<std::uint32_t>(generation);
    sa->cold().in_use = true;
    ++size_;
    if (profile->direction == Direction::kInbound) {
        publish_inbound(sa);
    } else {
        for (const PolicyKey& key : policy_keys_of(*sa)) bind(key, sa);
    }
    return sa->handle();
}

SecurityAssociation* SaStore::detach(SaHandle handle) {
    SecurityAssociation* sa = by_handle(handle);
    if (sa == nullptr) return nullptr;
    if (sa->profile->direction == Direction::kInbound) {
        withdraw_inbound(sa);
    } else {
        for (const PolicyKey& key : policy_keys_of(*sa)) unbind(key, sa);
    }
    sa->cold().in_use = false;
    --size_;
    return sa;
}

bool SaStore::remove(SaHandle handle) {
    SecurityAssociation* sa = detach(handle);
    if (sa == nullptr) return false;
    reclaimer_.retire(sa, free_association, this);
    return true;
}

SecurityAssociation* SaStore::by_index(std::uint32_t index) const {
    auto* sa = static_cast<SecurityAssociation*>(arena_.block(index));
    return sa != nullptr && sa->cold().in_use ? sa : nullptr;
}

SecurityAssociation* SaStore::by_handle(SaHandle handle) const {
    constexpr std::uint32_t kIndex = (1u << SecurityAssociation::kHandleIndexBits) - 1;
    SecurityAssociation* sa = by_index(handle.value & kIndex);
    return sa != nullptr && sa->handle() == handle ? sa : nullptr;
}

std::vector<SaHandle> SaStore::handles() const {
    std::vector<SaHandle> result;
    for (std::uint32_t index = 0; index < handle_end(); ++index) {
        if (const SecurityAssociation* sa = by_index(index)) result.push_back(sa->handle());
    }
    return result;
}

std::vector<PolicyKey> SaStore::policy_keys_of(const SecurityAssociation& sa) {
    std::vector<PolicyKey> keys;
    for (const ProfileUse& use : sa.profile->policies) {
        PolicyKey key{use.policy, {}};
        if (use.remote == AddressSource::kSaRemote) key.remote = sa.remote_key();
        if (use.remote == AddressSource::kProfile) key.remote = use.address;
        keys.push_back(key);
    }
    return keys;
}

void SaStore::publish_inbound(SecurityAssociation* sa) {
    if (auto* slot = own_slot(sa->spi); slot != nullptr && *slot == nullptr) {
        __atomic_store_n(slot, sa, __ATOMIC_RELEASE);
        return;
    }
    const std::uint64_t hash = spi_hash(sa->spi);
    foreign_.insert(hash, TaggedTable::make_word(sa, false, hash));
}

void SaStore::withdraw_inbound(SecurityAssociation* sa) {
    if (auto* slot = own_slot(sa->spi); slot != nullptr && *slot == sa) {
        __atomic_store_n(slot, nullptr, __ATOMIC_RELEASE);
        return;
    }
    const std::uint64_t hash = spi_hash(sa->spi);
    foreign_.erase(hash, TaggedTable::make_word(sa, false, hash));
}

std::array<SecurityAssociation*, CacheNode::kMaxAssociations> SaStore::find_all_outbound(
    const PolicyKey& key) const {
    const TaggedTable::Word word = find_word(key, key.hash());
    if (TaggedTable::flag(word)) return TaggedTable::pointer<CacheNode>(word)->associations;
    return {TaggedTable::pointer<SecurityAssociation>(word)};
}

void SaStore::put(const PolicyKey& key, TaggedTable::Word old,
                  const std::vector<SecurityAssociation*>& associations) {
    const std::uint64_t hash = key.hash();
    TaggedTable::Word word = 0;
    if (associations.size() == 1 && policy_keys_of(*associations[0]).front() == key) {
        word = TaggedTable::make_word(associations[0], false, hash);
    } else if (!associations.empty()) {
        auto* node = new CacheNode{key, {}};
        std::ranges::copy(associations, node->associations.begin());
        word = TaggedTable::make_word(node, true, hash);
    }
    if (old == 0) {
        cache_.insert(hash, word);
    } else {
        cache_.replace(hash, old, word);
    }
    // Before anything goes to the reclaimer. The word owns the node, which the analyzer cannot see.
    outbound_changes_.fetch_add(  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)
        1, std::memory_order_acq_rel);
    if (old != 0 && TaggedTable::flag(old)) {
        reclaimer_.retire(TaggedTable::pointer<CacheNode>(old), free_node, nullptr);
    }
}

void SaStore::bind(const PolicyKey& key, SecurityAssociation* sa) {
    std::vector<SecurityAssociation*> associations{sa};
    for (SecurityAssociation* older : find_all_outbound(key)) {
        if (older != nullptr && older != sa) associations.push_back(older);
    }
    put(key, find_word(key, key.hash()), associations);
}

void SaStore::unbind(const PolicyKey& key, SecurityAssociation* sa) {
    std::vector<SecurityAssociation*> associations;
    for (SecurityAssociation* other : find_all_outbound(key)) {
        if (other != nullptr && other != sa) associations.push_back(other);
    }
    put(key, find_word(key, key.hash()), associations);
}

}  // namespace homeport::ipsec
