// SPDX-License-Identifier: BSD-3-Clause
// Frames of a path: what arrives at the home agent's port.
//
//   auto maker = FrameMaker::create(Path::kP4, ipsec::Algorithm::kAes128Gcm16);
//   auto frame = (*maker)->frame(node, 64);
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/ipsec/algorithm.hpp"
#include "tools/traffic/path.hpp"
#include "tools/traffic/sealer.hpp"

namespace homeport::traffic {

using Bytes = std::vector<std::uint8_t>;

/// 64, 570 and 1420 octets as 7:4:1.
inline constexpr std::array<std::uint32_t, 12> kImix{64, 64,  64,  64,  64,  64,
                                                     64, 570, 570, 570, 570, 1420};
/// "64", "64,512" or "imix"; nothing if it is none of these. Each 64 to 9000.
[[nodiscard]] std::vector<std::uint32_t> parse_sizes(const std::string& text);

/// Nodes in random order, each once; the same order in every run.
[[nodiscard]] std::vector<std::uint32_t> random_order(std::uint32_t nodes);

class FrameMaker {
  public:
    /// `algorithm`: of the sealed paths. `owners`: workers that the inbound SAs belong to in turn.
    /// `first_spi`: of node 0, the others follow; 0: SPIs as the home agent chooses them.
    [[nodiscard]] static std::expected<std::unique_ptr<FrameMaker>, std::string> create(
        Path path, ipsec::Algorithm algorithm, std::uint32_t owners = 1,
        std::uint32_t first_spi = 0);

    /// The next frame of node `index`, of `size` octets without FCS or as many as its headers need.
    /// A sealed one is larger: `size` is that of the packet inside. Its numbers go on per node.
    [[nodiscard]] std::expected<Bytes, std::string> frame(std::uint32_t index, std::uint32_t size);

  private:
    FrameMaker(Path path, std::uint32_t owners, std::uint32_t first_spi)
        : path_(path), owners_(owners), first_spi_(first_spi) {}
    [[nodiscard]] std::expected<Bytes, std::string> sealed(std::uint32_t index, std::uint32_t size);
    [[nodiscard]] std::expected<Bytes, std::string> of_roles(std::uint32_t index,
                                                             std::uint32_t size);
    [[nodiscard]] std::expected<void, std::string> choose(std::uint32_t index);
    [[nodiscard]] Bytes plain4(std::uint32_t index, const Bytes& payload) const;
    [[nodiscard]] Bytes plain(std::uint32_t index, std::uint32_t size) const;

    Path path_;
    std::uint32_t owners_;
    std::uint32_t first_spi_;
    std::uint32_t forged_ = 0;
    std::unique_ptr<Sealer> sealer_;
    std::vector<std::uint64_t> sequences_;  // last number used, by node
};

}  // namespace homeport::traffic
