// SPDX-License-Identifier: BSD-3-Clause
// Seals or opens packets with one SA, for tests that put another ESP implementation at the far end.
//
//   esp-tool seal|open ALGORITHM KEY_HEX INTEGRITY_HEX tunnel|transport SPI SEQUENCE esn|noesn
//   [FROM TO]
//
// KEY_HEX and INTEGRITY_HEX may be "-". Reads a packet in hex a line, writes one a line, or the
// name of the counter that dropped it.
#include <iostream>
#include <string>

#include "tests/unit/ipsec/support.hpp"

namespace {

using namespace homeport;         // NOLINT(google-build-using-namespace): a small program
using namespace homeport::ipsec;  // NOLINT(google-build-using-namespace)

struct Arguments {
    bool seal = false;
    SaParameters sa;
};

test::Bytes octets(const std::string& text) {
    return text == "-" ? test::Bytes{} : test::unhex(text);
}

bool parse(int count, char** words, Arguments& arguments) {
    if (count != 9 && count != 11) return false;
    const std::string action = words[1];
    const auto algorithm = parse_algorithm(words[2]);
    if ((action != "seal" && action != "open") || !algorithm) return false;
    arguments.seal = action == "seal";
    SaParameters& sa = arguments.sa;
    sa.direction = arguments.seal ? Direction::kOutbound : Direction::kInbound;
    sa.algorithm = *algorithm;
    sa.encryption_key = SecretBytes(octets(words[3]));
    sa.integrity_key = SecretBytes(octets(words[4]));
    sa.mode = std::string(words[5]) == "tunnel" ? Mode::kTunnel : Mode::kTransport;
    sa.spi = Spi{static_cast<std::uint32_t>(std::stoul(words[6], nullptr, 0))};
    sa.first_sequence = std::stoull(words[7], nullptr, 0);
    sa.esn = std::string(words[8]) == "esn";
    sa.selectors = {Selectors{}};
    sa.policies = {{1, std::nullopt}};
    if (count == 11) {
        sa.tunnel_local = parse_ip_address(words[9]);
        sa.tunnel_remote = parse_ip_address(words[10]);
    }
    return true;
}

}  // namespace

int main(int count, char** words) {
    Arguments arguments;
    if (!parse(count, words, arguments)) {
        std::cerr << "usage: esp-tool seal|open ALGORITHM KEY INTEGRITY_KEY tunnel|transport SPI "
                     "SEQUENCE esn|noesn [FROM TO]\n";
        return 2;
    }
    test::Host host;
    host.policies({test::protect_all(1, Mode::kTransport)});
    if (auto handle = host.sad->add(arguments.sa); !handle) {
        std::cerr << handle.error().text << '\n';
        return 1;
    }
    for (std::string line; std::getline(std::cin, line);) {
        test::Buffer buffer(test::unhex(line));
        const Verdict verdict = arguments.seal ? host.out(buffer) : host.in(buffer);
        if (passes(verdict)) {
            std::cout << test::hex(buffer.bytes()) << '\n';
        } else {
            std::cout << counter_name(verdict) << '\n';
        }
    }
    return 0;
}
