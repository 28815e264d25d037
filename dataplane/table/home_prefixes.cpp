// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/home_prefixes.hpp"

namespace homeport::table {

HomePrefixes::HomePrefixes(std::uint32_t max_prefixes, Reclaimer& reclaimer)
    : table_(max_prefixes, reclaimer), reclaimer_(reclaimer), by_port_(new ByPort) {}

HomePrefixes::~HomePrefixes() {
    delete by_port_;
}

std::span<const HomePrefix> HomePrefixes::on_port(std::uint16_t port) const {
    if (port >= channel::kMaxPorts) return {};
    return (*__atomic_load_n(&by_port_, __ATOMIC_ACQUIRE))[port];
}

std::expected<void, HomePrefixes::Error> HomePrefixes::put(const HomePrefix& prefix) {
    auto done = table_.put(prefix);
    if (done) publish();
    return done;
}

bool HomePrefixes::erase(const Ipv6Address& prefix, std::uint8_t length) {
    if (!table_.erase(prefix, length)) return false;
    publish();
    return true;
}

void HomePrefixes::publish() {
    auto* const fresh = new ByPort;
    table_.for_each([&](const HomePrefix& prefix) {
        if (prefix.port < channel::kMaxPorts) (*fresh)[prefix.port].push_back(prefix);
    });
    const ByPort* const old = by_port_;
    __atomic_store_n(&by_port_, fresh, __ATOMIC_RELEASE);
    reclaimer_.retire(
        const_cast<ByPort*>(old), [](void* object, void*) { delete static_cast<ByPort*>(object); },
        nullptr);
}

}  // namespace homeport::table
