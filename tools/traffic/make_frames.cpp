// SPDX-License-Identifier: BSD-3-Clause
// Writes the frames of a path to a file that net_pcap plays: homes in random order, sizes mixed.
//
//   make-frames OUT.pcap PATH FRAMES NODES ALGORITHM SIZE[,SIZE...]|imix [WORKERS [FIRST-SPI]]
//
// SIZE: octets of a frame without FCS; of the packet inside where it comes under ESP. The file is
// played again and again, so the SAs that open its frames need their replay window off.
#include <cstdint>
#include <fstream>
#include <iostream>
#include <random>

#include "tools/traffic/frames.hpp"

namespace {

using namespace homeport;  // NOLINT(google-build-using-namespace): a small program

[[noreturn]] void fail_with(const std::string& text) {
    std::cerr << "make-frames: " << text << "\n";
    std::exit(1);
}

void put32(std::ostream& out, std::uint32_t value) {
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_frame(std::ostream& out, const traffic::Bytes& frame) {
    const auto length = static_cast<std::uint32_t>(frame.size());
    for (const std::uint32_t word : {0u, 0u, length, length}) put32(out, word);
    out.write(reinterpret_cast<const char*>(frame.data()),
              static_cast<std::streamsize>(frame.size()));
}

std::uint32_t number(const char* text) {
    char* end = nullptr;
    const unsigned long value = std::strtoul(text, &end, 10);
    if (*text == 0 || *end != 0 || value > 0xffffffff) {
        fail_with(std::string("not a number: ") + text);
    }
    return static_cast<std::uint32_t>(value);
}

}  // namespace

int main(int count, char** words) {
    if (count < 7 || count > 9) {
        std::cerr << "usage: make-frames OUT.pcap PATH FRAMES NODES ALGORITHM "
                     "SIZE[,SIZE...]|imix [WORKERS [FIRST-SPI]]\n";
        return 2;
    }
    const auto path = traffic::parse_path(words[2]);
    const std::uint32_t frames = number(words[3]);
    const std::uint32_t nodes = number(words[4]);
    const auto algorithm = ipsec::parse_algorithm(words[5]);
    const auto sizes = traffic::parse_sizes(words[6]);
    const std::uint32_t workers = count > 7 ? number(words[7]) : 1;
    const std::uint32_t first_spi = count > 8 ? number(words[8]) : 0;
    if (!path || !algorithm || sizes.empty() || nodes == 0) {
        fail_with("not a path, an algorithm, a size or a number of nodes");
    }
    auto maker = traffic::FrameMaker::create(*path, *algorithm, workers, first_spi);
    if (!maker) fail_with(maker.error());
    std::ofstream out(words[1], std::ios::binary);
    for (const std::uint32_t word : {0xa1b2c3d4u, 4u << 16 | 2u, 0u, 0u, 65535u, 1u}) {
        put32(out, word);
    }
    const auto order = traffic::random_order(nodes);
    std::mt19937 random(2);
    for (std::uint32_t i = 0; i < frames; ++i) {
        auto frame = (*maker)->frame(order[i % nodes], sizes[random() % sizes.size()]);
        if (!frame) fail_with(frame.error());
        put_frame(out, *frame);
    }
    if (!out.flush()) fail_with(std::string("cannot write ") + words[1]);
    return 0;
}
