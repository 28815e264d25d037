// SPDX-License-Identifier: BSD-3-Clause
// links: mip4
// Agent discovery: the codec, and an advertiser that gets the same packet, its checksums right.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "controlplane/mip4/agent_advertiser.hpp"
#include "dataplane/base/checksum.hpp"

using namespace homeport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::vector<std::uint8_t> icmp(data + 1, data + size);
    if ((data[0] & 1) != 0 && icmp.size() >= 4) {
        store_be16(icmp.data() + 2, 0);
        store_be16(icmp.data() + 2, internet_checksum(icmp));
    }
    const auto message = wire::decode_agent_discovery(icmp);
    if (message) {
        // What was understood survives being written and read again.
        const auto again = std::visit([](const auto& one) { return wire::encode(one); }, *message);
        const auto second = wire::decode_agent_discovery(again);
        if (!second || *second != *message) std::abort();
    }
    mip4::AdvertiserConfig config;
    config.address = Ipv4Address{{10, 1, 0, 1}};
    config.flags.home_agent = true;
    const mip4::TimePoint now = mip4::TimePoint{} + std::chrono::hours(1);
    mip4::AgentAdvertiser agent(config, now, 1);
    const MacAddress link{{2, 0, 0, 0, 0, 1}};
    (void)agent.receive(icmp, link, now);
    if (icmp.size() < 65000) {
        (void)agent.receive(wire::agent_discovery_packet(icmp, Ipv4Address{{192, 0, 2, 1}},
                                                         wire::kAllMobilityAgents),
                            link, now);
    }
    if (agent.tick(now).size() > 2) std::abort();
    return 0;
}
