// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/overhead.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace homeport::tunnel {
namespace {

using Stack = std::vector<Layer>;

const Layer kGcm = esp_layer(8, 4, 16);
const Layer kCbcSha1 = esp_layer(16, 16, 12);
const Layer kCbcSha256 = esp_layer(16, 16, 16);
/// 64-bit cipher block, 96-bit ICV.
const Layer kDummy = esp_layer(8, 8, 12);

struct Row {
    const char* name;
    Stack stack;
    std::uint32_t least;
    std::uint32_t most;
    std::uint32_t max_inner;
};

const Row kRows[] = {
    {"v6-in-v6", {kIpv6Layer}, 40, 40, 1460},
    {"v6-in-v4", {kIpv4Layer}, 20, 20, 1480},
    {"udp 4191 over v4", {kIpv4Layer, kUdpLayer}, 28, 28, 1472},
    {"udp 4191 + tlv", {kIpv4Layer, kUdpLayer, kTlvLayer}, 32, 32, 1468},
    {"udp over v6", {kIpv6Layer, kUdpLayer}, 48, 48, 1452},
    {"esp gcm over v6", {kIpv6Layer, kGcm}, 74, 77, 1426},
    {"esp cbc-sha1 over v6", {kIpv6Layer, kCbcSha1}, 78, 93, 1422},
    {"esp cbc-sha256 over v6", {kIpv6Layer, kCbcSha256}, 82, 97, 1406},
    {"esp gcm over v4", {kIpv4Layer, kGcm}, 54, 57, 1446},
    {"esp gcm in udp 4500", {kIpv4Layer, kUdpLayer, kGcm}, 62, 65, 1438},
    {"esp gcm nested", {kIpv4Layer, kUdpLayer, kIpv6Layer, kGcm}, 102, 105, 1398},
    {"gre", {kIpv4Layer, kGreLayer}, 24, 24, 1476},
    {"minimal", {kMinimalLayer}, 12, 12, 1488},
    {"mip udp ip", {kIpv4Layer, kUdpLayer, kMipTunnelDataLayer}, 32, 32, 1468},
    {"mip udp gre", {kIpv4Layer, kUdpLayer, kMipTunnelDataLayer, kGreLayer}, 36, 36, 1464},
    {"mip udp minimal", {kUdpLayer, kMipTunnelDataLayer, kMinimalLayer}, 24, 24, 1476},
    {"cvc gcm", {kIpv4Layer, kIpv4Layer, kGcm, kIpv4Layer}, 94, 97, 1406},
    {"cvc gcm all nat",
     {kIpv4Layer, kUdpLayer, kMipTunnelDataLayer, kIpv4Layer, kUdpLayer, kGcm, kIpv4Layer,
      kUdpLayer, kMipTunnelDataLayer},
     126,
     129,
     1374},
    {"cvc cbc-sha1", {kIpv4Layer, kIpv4Layer, kCbcSha1, kIpv4Layer}, 98, 113, 1402},
    {"cvc cbc-sha256", {kIpv4Layer, kIpv4Layer, kCbcSha256, kIpv4Layer}, 102, 117, 1386},
    {"fvc gcm", {kIpv4Layer, kGcm, kIpv4Layer}, 74, 77, 1426},
};

TEST(Overhead, table_of_packet_paths_section_3) {
    for (const Row& row : kRows) {
        std::uint32_t least = 0xffffffff;
        std::uint32_t most = 0;
        for (std::uint32_t inner = 40; inner <= 1500; ++inner) {
            const std::uint32_t octets = overhead(row.stack, inner);
            least = octets < least ? octets : least;
            most = octets > most ? octets : most;
        }
        EXPECT_EQ(least, row.least) << row.name;
        EXPECT_EQ(most, row.most) << row.name;
        EXPECT_EQ(max_overhead(row.stack), row.most) << row.name;
        EXPECT_EQ(max_inner(row.stack, 1500), row.max_inner) << row.name;
    }
}

TEST(Overhead, max_inner_is_the_largest_that_fits) {
    for (const Row& row : kRows) {
        for (std::uint32_t path_mtu = 200; path_mtu <= 9000; path_mtu += 7) {
            const std::uint32_t inner = max_inner(row.stack, path_mtu);
            EXPECT_LE(inner + overhead(row.stack, inner), path_mtu) << row.name << path_mtu;
            EXPECT_GT(inner + 1 + overhead(row.stack, inner + 1), path_mtu) << row.name << path_mtu;
        }
        EXPECT_EQ(max_inner(row.stack, 8), 0u) << row.name;
    }
}

TEST(Overhead, S2_100_figures_with_a_64_bit_block_and_96_bit_icv) {
    EXPECT_EQ(max_overhead({}), 0u);
    EXPECT_EQ(max_overhead(Stack{kIpv4Layer}), 20u);
    EXPECT_EQ(max_overhead(Stack{kIpv4Layer, kDummy, kIpv4Layer}), 77u);
    EXPECT_EQ(max_overhead(Stack{kIpv4Layer, kIpv4Layer, kDummy, kIpv4Layer}), 97u);
    EXPECT_EQ(max_overhead(Stack{kIpv4Layer, kUdpLayer, kMipTunnelDataLayer, kIpv4Layer, kUdpLayer,
                                 kDummy, kIpv4Layer, kUdpLayer, kMipTunnelDataLayer}),
              129u);
}

TEST(Overhead, S2_101_figures_of_the_algorithms_that_are_there) {
    struct Figures {
        Layer esp;
        std::uint32_t tunnel;   // ESP and a new IPv4 header
        std::uint32_t cvc;      // all three tunnels
        std::uint32_t all_nat;  // with UDP in each of them
    };
    constexpr std::array kFigures{Figures{esp_layer(8, 4, 16), 57, 97, 129},      // AES-GCM-16
                                  Figures{esp_layer(16, 16, 12), 73, 113, 145},   // CBC, SHA1-96
                                  Figures{esp_layer(16, 16, 16), 77, 117, 149}};  // CBC, SHA256-128
    for (const Figures& row : kFigures) {
        EXPECT_EQ(max_overhead(Stack{kIpv4Layer, row.esp}), row.tunnel);
        EXPECT_EQ(max_overhead(Stack{kIpv4Layer, kIpv4Layer, row.esp, kIpv4Layer}), row.cvc);
        EXPECT_EQ(
            max_overhead(Stack{kIpv4Layer, kUdpLayer, kMipTunnelDataLayer, kIpv4Layer, kUdpLayer,
                               row.esp, kIpv4Layer, kUdpLayer, kMipTunnelDataLayer}),
            row.all_nat);
    }
}

TEST(Overhead, packet_too_big_never_below_1280) {
    EXPECT_EQ(packet_too_big_mtu(1240), 1280u);
    EXPECT_EQ(packet_too_big_mtu(1280), 1280u);
    EXPECT_EQ(packet_too_big_mtu(1460), 1460u);
}

}  // namespace
}  // namespace homeport::tunnel
