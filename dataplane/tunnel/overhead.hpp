// SPDX-License-Identifier: BSD-3-Clause
// What encapsulation costs: octets added, and the largest inner packet that fits a path MTU
// (packet-paths section 3).
//
// Use: describe a stack of headers from the outermost to the innermost:
//   constexpr std::array stack{kIpv4Layer, kUdpLayer, esp_layer(8, 4, 16)};
//   max_inner(stack, 1500)
#pragma once

#include <cstdint>
#include <span>

namespace homeport::tunnel {

/// Headers of one protocol.
struct Layer {
    std::uint8_t header = 0;   // octets before the inner packet; for ESP: SPI, sequence number, IV
    std::uint8_t trailer = 0;  // octets behind it that are always there; for ESP: the ICV
    std::uint8_t block = 0;  // ESP: inner packet, padding and 2 octets are a multiple of it; 0: no
};

inline constexpr Layer kIpv6Layer{40, 0, 0};
inline constexpr Layer kIpv4Layer{20, 0, 0};
inline constexpr Layer kUdpLayer{8, 0, 0};
inline constexpr Layer kTlvLayer{4, 0, 0};            // RFC 5845
inline constexpr Layer kMipTunnelDataLayer{4, 0, 0};  // RFC 3519
inline constexpr Layer kGreLayer{4, 0, 0};
/// Minimal encapsulation with original source: it edits the IP header that is there.
inline constexpr Layer kMinimalLayer{12, 0, 0};

/// Octets of IV, cipher block (at least 4) and ICV.
[[nodiscard]] constexpr Layer esp_layer(std::uint8_t iv, std::uint8_t block, std::uint8_t icv) {
    return {static_cast<std::uint8_t>(8 + iv), icv, block};
}

/// Octets that one layer adds to `inner` octets, with the least padding.
[[nodiscard]] constexpr std::uint32_t overhead(const Layer& layer, std::uint32_t inner) {
    if (layer.block == 0) return std::uint32_t{layer.header} + layer.trailer;
    const std::uint32_t sealed = (inner + 2 + layer.block - 1) / layer.block * layer.block;
    return sealed - inner + layer.header + layer.trailer;
}

/// Octets that a stack adds to an inner packet of `inner` octets.
[[nodiscard]] constexpr std::uint32_t overhead(std::span<const Layer> stack, std::uint32_t inner) {
    std::uint32_t length = inner;
    for (std::size_t i = stack.size(); i-- > 0;) length += overhead(stack[i], length);
    return length - inner;
}

/// Most octets that a stack adds to any packet.
[[nodiscard]] constexpr std::uint32_t max_overhead(std::span<const Layer> stack) {
    std::uint32_t most = 0;
    for (const Layer& layer : stack) {
        most += std::uint32_t{layer.header} + layer.trailer;
        if (layer.block != 0) most += layer.block - 1u + 2u;
    }
    return most;
}

/// Largest inner packet whose outer one has at most `path_mtu` octets; 0: none fits.
[[nodiscard]] constexpr std::uint32_t max_inner(std::span<const Layer> stack,
                                                std::uint32_t path_mtu) {
    std::uint32_t room = path_mtu;
    for (const Layer& layer : stack) {
        const std::uint32_t fixed = std::uint32_t{layer.header} + layer.trailer;
        if (room <= fixed) return 0;
        room -= fixed;
        if (layer.block == 0) continue;
        room = room / layer.block * layer.block;
        if (room <= 2) return 0;
        room -= 2;
    }
    return room;
}

/// What to tell the sender of an IPv6 packet that is longer than `tunnel_mtu` (RFC 2473 section
/// 7.1): never less than 1280.
[[nodiscard]] constexpr std::uint32_t packet_too_big_mtu(std::uint32_t tunnel_mtu) {
    return tunnel_mtu < 1280 ? 1280 : tunnel_mtu;
}

}  // namespace homeport::tunnel
