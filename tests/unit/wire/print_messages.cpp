// SPDX-License-Identifier: BSD-3-Clause
// For scapy_mip6_test.py. Without arguments: one line "name hex-of-packet" for each message that we
// can send. With "decode": reads lines "name hex-of-packet" and writes "name ok" or "name reason".
#include <iostream>
#include <string>
#include <string_view>

#include "controlplane/wire/icmpv6.hpp"
#include "tests/unit/wire/samples.hpp"

namespace {

using namespace homeport;

std::string verdict(const std::vector<std::uint8_t>& bytes) {
    const auto packet = wire::view_ipv6_packet(bytes);
    if (!packet) return wire::describe(packet.error());
    if (packet->upper_protocol == 135) {
        const auto message =
            wire::decode_mobility_header(packet->upper, packet->source, packet->destination);
        return message
                   ? "ok mobility " + std::to_string(static_cast<unsigned>(wire::type_of(*message)))
                   : message.error().to_string();
    }
    const auto message = wire::decode_icmpv6(*packet);
    return message ? "ok icmpv6 " + std::to_string(unsigned{wire::type_of(*message)})
                   : message.error().to_string();
}

void print_all() {
    for (const auto& [name, message] : test::mobility_samples()) {
        std::cout << name << ' '
                  << test::to_hex(wire::mobility_packet(message, test::kHoa, test::kHa)) << '\n';
    }
    for (const auto& sample : test::icmpv6_samples()) {
        std::cout << "icmpv6_" << sample.name << ' '
                  << test::to_hex(
                         wire::icmpv6_packet(sample.message, sample.source, sample.destination))
                  << '\n';
    }
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
