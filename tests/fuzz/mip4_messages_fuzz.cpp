// SPDX-License-Identifier: BSD-3-Clause
// links: mip4
// Messages of Mobile IPv4, and a home agent that gets them, with a right authenticator if the first
// octet says so.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "controlplane/mip4/home_agent.hpp"
#include "controlplane/wire/mip4_messages.hpp"

using namespace homeport;

namespace {

mip4::HomeAgentConfig config() {
    mip4::HomeAgentConfig made;
    made.addresses = {Ipv4Address{{192, 0, 2, 1}}};
    made.home_networks = {{.prefix = Ipv4Prefix{Ipv4Address{{192, 0, 2, 0}}, 24}}};
    made.simultaneous_bindings = 3;
    made.udp.foreign_agent_registration = true;
    mip4::Node node;
    node.name = "fuzz";
    node.home_address = Ipv4Address{{192, 0, 2, 100}};
    node.associations.emplace_back().key = {1, 2, 3};
    made.nodes = {node};
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::vector<std::uint8_t> payload(data + 1, data + size);
    const mip4::HomeAgentConfig made = config();
    if ((data[0] & 1) != 0) {
        const auto& seal = made.nodes[0].associations[0];
        wire::append_mip4_authentication(
            payload, wire::Mip4AuthenticationKind::kMobileHome, seal.spi, 16,
            [&](ConstByteSpan covered) { return mip4::authenticator(seal, covered); });
    }
    const auto message = wire::decode_mip4(payload);
    if (message) {
        // What was understood survives being written and read again.
        const auto again = std::visit([](const auto& m) { return wire::encode(m); }, *message);
        if (again.size() <= payload.size()) {
            const auto second = wire::decode_mip4(again);
            if (!second || second->index() != message->index()) std::abort();
        }
    }
    const mip4::TimePoint now{};
    mip4::HomeAgent agent(made, now, 1);
    mip4::RequestInfo info;
    info.source = {Ipv4Address{{10, 0, 0, 5}}, 434};
    info.destination = {made.addresses[0], 434};
    // Inside the window of whatever time stamp there is.
    const mip4::NtpTime time = payload.size() >= 24 ? load_be64(payload.data() + 16) : 0;
    (void)agent.receive(payload, info, now, time);
    if (agent.binding_count() > 3) std::abort();
    (void)agent.tick(now + std::chrono::hours(20), time);
    return 0;
}
