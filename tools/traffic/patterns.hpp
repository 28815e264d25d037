// SPDX-License-Identifier: BSD-3-Clause
// Frames of a path written fast: one pattern a size, in which the node, the number and the stamp
// are changed. For sources that make millions of frames a second.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "tools/traffic/frames.hpp"
#include "tools/traffic/gcm_key.hpp"
#include "tools/traffic/stamp.hpp"

namespace homeport::traffic {

class Patterns {
  public:
    struct Setting {
        Path path = Path::kP1;
        ipsec::Algorithm algorithm = ipsec::Algorithm::kAes128Gcm16;
        std::vector<std::uint32_t> sizes;  // as FrameMaker::frame() takes them, in any order
        std::uint32_t workers = 1;
        bool stamped = false;  // frames too short for a stamp become longer
    };
    /// The error is a sentence: sealed inbound frames are made with AES-GCM only, those of Mobile
    /// IPv4, of roles.hpp and forged ones not at all.
    [[nodiscard]] static std::expected<std::unique_ptr<Patterns>, std::string> create(
        const Setting& setting);

    /// The pattern of frame number `count`: the sizes mixed, the same order in every run.
    [[nodiscard]] std::size_t pick(std::size_t count) const { return picks_[count % kPicks]; }
    /// Octets without FCS.
    [[nodiscard]] std::uint32_t octets(std::size_t pattern) const {
        return static_cast<std::uint32_t>(patterns_[pattern].frame.size());
    }
    [[nodiscard]] double mean_octets() const;

    /// A frame of `node` to `data`, where octets(pattern) have room. `number`: of the node's packet
    /// under ESP, from 1. `stamp`: for patterns that have room for one, or nullptr.
    void write(std::size_t pattern, std::uint8_t* data, std::uint32_t node, std::uint32_t number,
               const Stamp* stamp = nullptr);

  private:
    static constexpr std::size_t kPicks = 4096;  // the sizes repeat after so many frames

    struct Pattern {
        Bytes frame;
        Bytes plain;              // of a sealed one: what is encrypted, padding included
        std::uint32_t inner = 0;  // of the innermost IPv6 header; in `plain` if it is sealed
        std::uint32_t esp = 0;    // SPI, sequence number, IV
    };

    explicit Patterns(const Setting& setting) : setting_(setting) {}
    [[nodiscard]] bool seals() const { return is_sealed(setting_.path) && !is_out(setting_.path); }
    [[nodiscard]] std::expected<Pattern, std::string> make(FrameMaker& maker, std::uint32_t size);
    void change(std::uint8_t* inner, std::uint32_t node, const Stamp* stamp) const;

    Setting setting_;
    std::vector<Pattern> patterns_;
    std::array<std::uint8_t, kPicks> picks_{};
    std::unique_ptr<GcmKey> key_;
};

}  // namespace homeport::traffic
