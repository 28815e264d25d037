// SPDX-License-Identifier: BSD-3-Clause
// Epochs: what a new control plane did not name again is swept (DESIGN section 5).
#include "dataplane/table/table_writer.hpp"

namespace homeport::table {

void TableWriter::begin_sync() {
    ++epoch_;
    if (epoch_ == 0) epoch_ = 1;  // 0 marks "not a known neighbour"
    syncing_ = true;
}

std::uint32_t TableWriter::end_sync() {
    if (!syncing_) return 0;
    syncing_ = false;
    synced_once_ = true;
    return sweep_vpn_clients() + sweep_mobile_prefixes() + sweep_bindings() + sweep_neighbours() +
           sweep_routes() + sweep_home_prefixes() + sweep_addresses();
}

std::uint32_t TableWriter::sweep_bindings() {
    std::uint32_t swept = 0;
    tables_.bindings.for_each([&](std::uint32_t slot, const Binding& binding) {
        if (binding_notes_[slot].epoch == epoch_) return;
        remove_binding(Ipv6Address{binding.home_address});
        ++swept;
    });
    return swept;
}

std::uint32_t TableWriter::sweep_neighbours() {
    std::uint32_t swept = 0;
    for (std::uint32_t index = 0; index < neighbour_epochs_.size(); ++index) {
        if (neighbour_epochs_[index] == 0 || neighbour_epochs_[index] == epoch_) continue;
        remove_neighbour(index);
        ++swept;
    }
    return swept;
}

std::uint32_t TableWriter::sweep_routes() {
    std::uint32_t swept = 0;
    for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
        std::vector<Ipv6Prefix> stale;
        for (const auto& [prefix, notes] : notes_of(family)) {
            if (notes.epoch != epoch_) stale.push_back(prefix);
        }
        for (const Ipv6Prefix& prefix : stale) remove_route(family, prefix);
        swept += static_cast<std::uint32_t>(stale.size());
    }
    return swept;
}

std::uint32_t TableWriter::sweep_home_prefixes() {
    std::vector<Ipv6Prefix> stale;
    for (const auto& [prefix, epoch] : home_prefix_epochs_) {
        if (epoch != epoch_) stale.push_back(prefix);
    }
    for (const Ipv6Prefix& prefix : stale) {
        tables_.home_prefixes.erase(prefix.address, prefix.length);
        home_prefix_epochs_.erase(prefix);
    }
    return static_cast<std::uint32_t>(stale.size());
}

std::uint32_t TableWriter::sweep_mobile_prefixes() {
    std::vector<Ipv6Prefix> stale;
    for (const auto& [prefix, notes] : mobile_prefix_notes_) {
        if (notes.epoch != epoch_) stale.push_back(prefix);
    }
    for (const Ipv6Prefix& prefix : stale) remove_mobile_prefix(prefix);
    return static_cast<std::uint32_t>(stale.size());
}

std::uint32_t TableWriter::sweep_addresses() {
    std::vector<LocalAddresses::Key> stale;
    for (const auto& [key, properties] : tables_.local_addresses.all()) {
        if (properties.epoch != epoch_) stale.push_back(key);
    }
    for (const auto& [address, port] : stale) tables_.local_addresses.remove(address, port);
    return static_cast<std::uint32_t>(stale.size());
}

}  // namespace homeport::table
