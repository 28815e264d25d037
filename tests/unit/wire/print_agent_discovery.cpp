// SPDX-License-Identifier: BSD-3-Clause
// For agent_discovery_referee_test.py. Without arguments: one line "name hex-of-packet" for each
// message that agents and mobile nodes send. With "decode": reads such lines and writes what was
// read of each.
#include <iostream>
#include <string>
#include <string_view>

#include "controlplane/wire/mip4_agent_discovery.hpp"
#include "tests/unit/wire/hex.hpp"

namespace {

using namespace homeport;
using test::v4;

void print(std::string_view name, const wire::AgentDiscoveryMessage& message,
           const Ipv4Address& source, const Ipv4Address& destination) {
    const auto icmp = std::visit([](const auto& one) { return wire::encode(one); }, message);
    std::cout << name << ' '
              << test::to_hex(wire::agent_discovery_packet(icmp, source, destination)) << '\n';
}

void print_all() {
    wire::AgentAdvertisement foreign;
    foreign.routes_common_traffic = false;
    foreign.lifetime = 30;
    foreign.routers = {{v4("10.1.0.1"), -7}, {v4("10.1.0.2"), 3}};
    foreign.prefix_lengths = {24, 16};
    foreign.agent = wire::MobilityAgent{0xfffe, 600, {}, {v4("10.1.0.1"), v4("198.51.100.9")}};
    foreign.agent->flags.registration_required = true;
    foreign.agent->flags.busy = true;
    foreign.agent->flags.foreign_agent = true;
    foreign.agent->flags.gre = true;
    foreign.agent->flags.reverse_tunnel = true;
    foreign.agent->flags.udp_tunnel = true;
    print("foreign", foreign, v4("10.1.0.1"), wire::kAllSystems);

    wire::AgentAdvertisement home;
    home.lifetime = 9000;
    home.agent = wire::MobilityAgent{0, wire::kInfiniteRegistrationLifetime, {}, {}};
    home.agent->flags.home_agent = true;
    home.agent->flags.minimal = true;
    home.agent->flags.revocation = true;
    print("home", home, v4("192.0.2.1"), wire::kLimitedBroadcast);

    print("solicitation", wire::AgentSolicitation{}, v4("0.0.0.0"), wire::kAllMobilityAgents);
}

std::string verdict(const std::vector<std::uint8_t>& octets) {
    const auto read = wire::read_agent_discovery_packet(octets);
    if (!read) return read.error().what;
    if (std::holds_alternative<wire::AgentSolicitation>(read->message)) return "solicitation";
    const auto& message = std::get<wire::AgentAdvertisement>(read->message);
    std::string text = "advertisement lifetime " + std::to_string(message.lifetime);
    for (const auto& one : message.routers) text += " router " + one.address.to_string();
    if (message.agent) {
        text += " sequence " + std::to_string(message.agent->sequence);
        for (const auto& one : message.agent->care_of_addresses) {
            text += " care-of " + one.to_string();
        }
    }
    return text;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        print_all();
        return 0;
    }
    if (std::string_view{argv[1]} != "decode") {
        std::cerr << "usage: " << argv[0] << " [decode]\n";
        return 2;
    }
    std::string name;
    std::string hex;
    while (std::cin >> name >> hex) {
        std::cout << name << ' ' << verdict(test::from_hex(hex)) << '\n';
    }
    return 0;
}
