// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/vpn_clients.hpp"

namespace homeport::table {

namespace {

constexpr std::uint32_t kKeysOfClient = 4;
constexpr unsigned kAddressShift = 32;

}  // namespace

VpnClients::VpnClients(std::uint32_t max_clients, Reclaimer& reclaimer)
    : capacity_(max_clients),
      hash_(max_clients * kKeysOfClient, reclaimer, PageChoice::kNormal),
      paths_(max_clients, PageChoice::kNormal) {}

void VpnClients::Fetch::run() {
    if (count_ == 0) return;
    std::array<const Ipv6Address*, 64> keys;
    std::array<std::uint32_t, 64> slots;
    for (unsigned i = 0; i < count_; ++i) keys[i] = &keys_[i];
    clients_.hash_.fetch_bulk(keys.data(), count_, slots.data());
    for (unsigned i = 0; i < count_; ++i) {
        if (slots[i] == kNoSlot) continue;
        __builtin_prefetch(&clients_.paths_[clients_.hash_.at(slots[i]).index]);
    }
    count_ = 0;
}

std::optional<VpnClients::ReturnPath> VpnClients::return_path(const VpnClient& client) const {
    const std::uint64_t word =
        std::atomic_ref(paths_[client.index]).load(std::memory_order_relaxed);
    if (word == 0) return std::nullopt;
    ReturnPath path{.address = {}, .port = static_cast<std::uint16_t>(word)};
    store_be32(path.address.bytes.data(), static_cast<std::uint32_t>(word >> kAddressShift));
    return path;
}

bool VpnClients::learn(std::uint32_t index, const std::optional<ReturnPath>& path) const {
    const std::uint64_t wanted =
        path ? std::uint64_t{path->address.host()} << kAddressShift | path->port : 0;
    const std::atomic_ref word(paths_[index]);
    return word.exchange(wanted, std::memory_order_relaxed) != wanted;
}

bool VpnClients::put(VpnClient client) {
    const Ipv6Address inner_key = v4_mapped(client.inner);
    if (const std::uint32_t known = hash_.find(inner_key); known != kNoSlot) {
        const VpnClient old = hash_.at(known);
        client.index = old.index;
        if (old.spi_in != client.spi_in) hash_.erase(spi_key(old.spi_in));
        if (old.outer != client.outer) hash_.erase(outer_key(old.outer));
        if (old.translated != client.translated) hash_.erase(translated_key(old.translated));
        if (old.outer != client.outer || old.gateway != client.gateway) {
            (void)learn(client.index, std::nullopt);
        }
    } else {
        if (count_ == capacity_) return false;
        if (free_indices_.empty()) {
            client.index = next_index_++;
        } else {
            client.index = free_indices_.back();
            free_indices_.pop_back();
        }
        (void)learn(client.index, std::nullopt);
        __atomic_store_n(&count_, count_ + 1, __ATOMIC_RELAXED);
    }
    const auto set = [&](const Ipv6Address& key) {
        client.key = key;
        return hash_.put(client).has_value();
    };
    bool all = set(inner_key) && set(spi_key(client.spi_in)) && set(outer_key(client.outer));
    if (!client.translated.is_unspecified()) all = all && set(translated_key(client.translated));
    return all;
}

bool VpnClients::erase(const Ipv4Address& inner) {
    const std::uint32_t slot = hash_.find(v4_mapped(inner));
    if (slot == kNoSlot) return false;
    const VpnClient client = hash_.at(slot);
    hash_.erase(spi_key(client.spi_in));
    hash_.erase(outer_key(client.outer));
    if (!client.translated.is_unspecified()) hash_.erase(translated_key(client.translated));
    hash_.erase(v4_mapped(inner));
    free_indices_.push_back(client.index);
    __atomic_store_n(&count_, count_ - 1, __ATOMIC_RELAXED);
    return true;
}

}  // namespace homeport::table
