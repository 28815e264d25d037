// SPDX-License-Identifier: BSD-3-Clause
// links: netlink
// Datagrams of netlink messages: decoded, applied to the tables, and told.
#include <cstdint>
#include <cstring>
#include <vector>

#include "controlplane/netlink/kernel_state.hpp"
#include "controlplane/netlink/projection.hpp"

using namespace homeport;
using namespace homeport::netlink;

namespace {

/// Checks that only differences are told.
class Sink : public MirrorSink {
  public:
    void link_changed(std::uint16_t, const Link&) override {}
    void address_set(std::uint16_t port, const IpAddress& address, std::uint8_t length) override {
        const auto [place, is_new] = addresses_.try_emplace({port, address}, length);
        if (!is_new && std::exchange(place->second, length) == length) __builtin_trap();
    }
    void address_removed(std::uint16_t port, const IpAddress& address) override {
        if (addresses_.erase({port, address}) == 0) __builtin_trap();
    }
    void route_set(const Route& route) override {
        const auto [place, is_new] =
            routes_.try_emplace({route.prefix, route.prefix_length}, route);
        if (!is_new && std::exchange(place->second, route) == route) __builtin_trap();
    }
    void route_removed(const IpAddress& prefix, std::uint8_t length) override {
        if (routes_.erase({prefix, length}) == 0) __builtin_trap();
    }
    void neighbour_set(std::uint16_t, const IpAddress&, const MacAddress&) override {}
    void neighbour_removed(std::uint16_t, const IpAddress&) override {}

  private:
    std::map<std::pair<std::uint16_t, IpAddress>, std::uint8_t> addresses_;
    std::map<std::pair<IpAddress, std::uint8_t>, Route> routes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::uint32_t> words((size + 3) / 4);
    if (size != 0) std::memcpy(words.data(), data, size);
    KernelState state;
    Projection projection;
    Sink sink;
    Changes changes;
    projection.set_port("a", 0);
    ConstByteSpan datagram(reinterpret_cast<const std::uint8_t*>(words.data()), size);
    while (const auto* message = take_message(datagram)) {
        if (const auto parsed = parse_message(*message)) {
            state.apply(*parsed, kAllTables, changes);
            projection.update(state, changes, sink);
        }
    }
    projection.update_all(state, sink);
    return 0;
}
