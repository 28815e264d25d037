// SPDX-License-Identifier: BSD-3-Clause
// Where SAs are found: own SPIs in an array, foreign ones in a hash, outbound SAs by policy and
// remote address in the SPD-S cache. Readers are lock-free; one writer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/ipsec/crypto.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "dataplane/ipsec/secure_arena.hpp"
#include "dataplane/ipsec/tagged_table.hpp"

namespace homeport::ipsec {

/// A key of the SPD-S cache.
struct PolicyKey {
    PolicyId policy = 0;
    RemoteKey remote;

    [[nodiscard]] std::uint64_t hash() const {
        return hash_of(hash_salt(policy, remote.family), remote.address);
    }
    /// What the keys of one policy and family have in common.
    [[nodiscard]] static constexpr std::uint64_t hash_salt(PolicyId policy, Family family) {
        return std::uint64_t{policy} << 40 ^ static_cast<std::uint64_t>(family) << 56;
    }
    [[nodiscard]] static constexpr std::uint64_t hash_of(std::uint64_t salt,
                                                         const AddressKey& address) {
        // The tag is taken from the upper bits, which see all of the product; the bucket from the
        // lower ones, so the upper half is folded onto them.
        const std::uint64_t product =
            (address.low ^ address.high * 0x9e37'79b9'7f4a'7c15u ^ salt) * 0xd6e8'feb8'6659'fd93u;
        return product ^ (product >> 29);
    }
    friend bool operator==(const PolicyKey&, const PolicyKey&) = default;
};

/// A cache entry that one SA's own line cannot stand for: more than one SA (a rekey), or not the
/// SA's first use. Immutable.
struct CacheNode {
    static constexpr std::size_t kMaxAssociations = 4;
    PolicyKey key;
    std::array<SecurityAssociation*, kMaxAssociations> associations{};  ///< newest first, then null
};

class SaStore {
  public:
    SaStore(const SecurityAssociationDatabase::Options& options, MbManager manager,
            CpuArchitecture architecture, Reclaimer& reclaimer);
    ~SaStore();
    SaStore(const SaStore&) = delete;
    SaStore& operator=(const SaStore&) = delete;

    // Readers.

    [[nodiscard]] SecurityAssociation* find_inbound(Spi spi) const {
        if (SecurityAssociation** slot = own_slot(spi)) [[likely]] {
            SecurityAssociation* sa = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
            if (sa != nullptr && sa->spi == spi) [[likely]]
                return sa;
        }
        return find_foreign(spi);
    }
    void prefetch_inbound(Spi spi) const {
        if (const auto* slot = own_slot(spi)) {
            __builtin_prefetch(static_cast<const void*>(slot));
        } else {
            foreign_.prefetch(spi_hash(spi));
        }
    }
    /// The SA that find_inbound() will find, if any; it has not been looked at.
    [[nodiscard]] SecurityAssociation* guess_inbound(Spi spi) const {
        if (is_own(spi) && spi_slot(spi) < own_slot_count_) [[likely]]
            return __atomic_load_n(&own_slots_[spi_slot(spi)], __ATOMIC_ACQUIRE);
        return TaggedTable::pointer<SecurityAssociation>(foreign_.guess(spi_hash(spi)));
    }
    void prefetch_outbound(std::uint64_t hash) const { cache_.prefetch(hash); }
    /// What sealing looks at first of `sa`, or of nothing; and the line in which AES-GCM has the
    /// last of its keys and kSaTunnel its address.
    [[gnu::always_inline]] static void prefetch_to_seal(const SecurityAssociation* sa) {
        constexpr std::size_t kLastLine = 1024;
        __builtin_prefetch(sa, 1);
        if (sa == nullptr) return;
        __builtin_prefetch(reinterpret_cast<const std::uint8_t*>(sa) + kLastLine);
    }
    /// Counts changes of what find_outbound() finds. A change is counted before an SA that is found
    /// no more goes to the reclaimer.
    [[nodiscard]] std::uint64_t outbound_changes() const {
        return outbound_changes_.load(std::memory_order_acquire);
    }
    /// An SA that find_outbound() of this hash may find, which is to be looked at before it is
    /// believed; null: find_outbound() knows. What it will look at first is prefetched.
    [[nodiscard]] SecurityAssociation* guess_outbound(std::uint64_t hash) const {
        const TaggedTable::Word word = cache_.guess(hash);
        prefetch_to_seal(TaggedTable::pointer<SecurityAssociation>(word));
        return TaggedTable::flag(word) ? nullptr : TaggedTable::pointer<SecurityAssociation>(word);
    }
    [[nodiscard]] SecurityAssociation* find_outbound(const PolicyKey& key,
                                                     std::uint64_t hash) const {
        const TaggedTable::Word word = find_word(key, hash);
        if (TaggedTable::flag(word)) return TaggedTable::pointer<CacheNode>(word)->associations[0];
        return TaggedTable::pointer<SecurityAssociation>(word);
    }
    /// All outbound SAs of `key`, newest first; the rest null.
    [[nodiscard]] std::array<SecurityAssociation*, CacheNode::kMaxAssociations> find_all_outbound(
        const PolicyKey& key) const;

    // Writer.

    /// `parameters` have been checked. The new SA is visible to readers at once.
    [[nodiscard]] Result<SaHandle> add(const SaParameters& parameters, std::uint64_t generation);
    bool remove(SaHandle handle);
    [[nodiscard]] SecurityAssociation* by_handle(SaHandle handle) const;
    [[nodiscard]] std::vector<SaHandle> handles() const;
    /// The SA whose handle has this index; null if there is none. All are below handle_end().
    [[nodiscard]] SecurityAssociation* by_index(std::uint32_t index) const;
    [[nodiscard]] std::uint32_t handle_end() const { return arena_.end_of_numbers(); }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// The uses of `sa` with their addresses filled in.
    [[nodiscard]] static std::vector<PolicyKey> policy_keys_of(const SecurityAssociation& sa);

    [[nodiscard]] CpuArchitecture architecture() const { return architecture_; }

  private:
    struct FreeZeroed {
        void operator()(SecurityAssociation** slots) const { std::free(static_cast<void*>(slots)); }
    };

    [[nodiscard]] static std::uint64_t spi_hash(Spi spi) {
        return mix(spi.value * 0x9e37'79b9u + 1);
    }
    [[nodiscard]] static std::uint64_t inbound_hash_of(TaggedTable::Word word, void* context);
    [[nodiscard]] static std::uint64_t outbound_hash_of(TaggedTable::Word word, void* context);
    static void free_association(void* object, void* owner);
    static void free_node(void* object, void* owner);

    [[nodiscard]] SecurityAssociation** own_slot(Spi spi) const {
        if (!is_own(spi) || spi_slot(spi) >= own_slot_count_) return nullptr;
        return &own_slots_[spi_slot(spi)];
    }
    [[nodiscard]] SecurityAssociation* find_foreign(Spi spi) const;
    [[nodiscard]] TaggedTable::Word find_word(const PolicyKey& key, std::uint64_t hash) const {
        return cache_.find(hash, [&key](TaggedTable::Word word) {
            if (TaggedTable::flag(word)) return TaggedTable::pointer<CacheNode>(word)->key == key;
            const auto* sa = TaggedTable::pointer<SecurityAssociation>(word);
            return sa->policy == key.policy &&
                   (sa->bound_by_remote ? sa->remote_key() == key.remote
                                        : key.remote.family == Family::kNone);
        });
    }
    [[nodiscard]] const SaProfile* acquire_profile(const SaParameters& parameters,
                                                   const RemoteKey& remote);
    void release_profile(const SaProfile* profile);
    [[nodiscard]] SecurityAssociation* construct(const SaParameters& parameters,
                                                 const SaProfile& profile, const RemoteKey& remote);
    /// Takes an SA out of all tables; null if there is none.
    SecurityAssociation* detach(SaHandle handle);
    void bind(const PolicyKey& key, SecurityAssociation* sa);
    void unbind(const PolicyKey& key, SecurityAssociation* sa);
    void put(const PolicyKey& key, TaggedTable::Word old,
             const std::vector<SecurityAssociation*>& associations);
    void publish_inbound(SecurityAssociation* sa);
    void withdraw_inbound(SecurityAssociation* sa);

    MbManager manager_;
    CpuArchitecture architecture_;
    Reclaimer& reclaimer_;
    SecureArena arena_;
    std::uint32_t own_slot_count_;
    std::uint32_t max_associations_;
    /// Words of their own pages, which cost nothing before they are used.
    std::unique_ptr<SecurityAssociation*[], FreeZeroed> own_slots_;
    TaggedTable foreign_;
    TaggedTable cache_;
    /// Looked at in each burst, beside pointers that stay.
    std::atomic<std::uint64_t> outbound_changes_{0};
    std::size_t size_ = 0;
    std::unordered_map<std::string, std::unique_ptr<SaProfile>> profiles_;
};

}  // namespace homeport::ipsec
