// SPDX-License-Identifier: BSD-3-Clause
// What comes back of the packets of a trial: how many, in which order, how late.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "dataplane/base/byte_order.hpp"
#include "tools/traffic/gcm_key.hpp"
#include "tools/traffic/path.hpp"
#include "tools/traffic/stamp.hpp"

namespace homeport::traffic {

/// Counts of delays in TSC cycles; each class is at most 1/64 of its delay wide.
class Delays {
  public:
    void add(std::uint32_t cycles) {
        ++counts_[class_of(cycles)];
        ++total_;
        if (cycles > longest_) longest_ = cycles;
    }
    void clear() { *this = Delays{}; }
    [[nodiscard]] std::uint64_t total() const { return total_; }
    [[nodiscard]] std::uint32_t longest() const { return longest_; }
    /// The delay that `share` of the packets (0 to 1) do not exceed: the upper end of its class, at
    /// most the longest; 0 if there are none.
    [[nodiscard]] std::uint32_t percentile(double share) const;

  private:
    static constexpr unsigned kBits = 6;  // 64 classes for each power of two
    static constexpr std::size_t kClasses = (32 - kBits + 1) << kBits;
    [[nodiscard]] static std::size_t class_of(std::uint32_t cycles);
    [[nodiscard]] static std::uint32_t last_of(std::size_t index);

    std::array<std::uint64_t, kClasses> counts_{};
    std::uint64_t total_ = 0;
    std::uint32_t longest_ = 0;
};

class Tally {
  public:
    /// Stamps of sealed packets have to be decrypted: only every so many are.
    static constexpr std::uint32_t kSample = 8;

    struct Setting {
        Path path = Path::kP1;
        ipsec::Algorithm algorithm = ipsec::Algorithm::kAes128Gcm16;
        bool unchanged = false;  // frames come back as they were sent
    };
    [[nodiscard]] static std::expected<std::unique_ptr<Tally>, std::string> create(
        const Setting& setting);

    /// Forgets what was counted.
    void begin(std::uint16_t trial);
    /// A frame that came back at the TSC's low half `now`.
    void take(ConstByteSpan frame, std::uint32_t now);

    [[nodiscard]] std::uint64_t received() const { return received_; }
    /// Stamps of this trial that came behind one with a higher number.
    [[nodiscard]] std::uint64_t reordered() const { return reordered_; }
    /// Of an earlier trial.
    [[nodiscard]] std::uint64_t stale() const { return stale_; }
    /// What the data plane or the kernel behind it sends of its own.
    [[nodiscard]] std::uint64_t foreign() const { return foreign_; }
    [[nodiscard]] const Delays& delays() const { return delays_; }

  private:
    Tally() = default;
    void look_at(const Stamp& stamp, std::uint32_t now);

    std::uint32_t inner_ = 0;   // offset of the innermost IPv6 header, or of ESP
    std::uint16_t ether_ = 0;   // EtherType of what comes back
    std::uint32_t marker_ = 0;  // offset of an octet that
    std::uint8_t marked_ = 0;   // has this value in every packet of the path
    std::unique_ptr<GcmKey> key_;
    std::uint16_t trial_ = 0;
    std::uint32_t highest_ = 0;
    std::uint32_t until_sample_ = 0;
    std::uint64_t received_ = 0, reordered_ = 0, stale_ = 0, foreign_ = 0;
    Delays delays_;
};

/// How many packets are due at a steady rate. Who cannot keep up does not make up for it in one
/// burst: what is due beyond kMostBehind is given up, and counted.
class Pacer {
  public:
    static constexpr std::uint64_t kMostBehind = 128;  // packets

    /// `start`: TSC; `cycles`: TSC cycles from one packet to the next, more than 0.
    Pacer(std::uint64_t start, double cycles) : start_(start), cycles_(cycles) {}
    [[nodiscard]] std::uint64_t due(std::uint64_t now);
    void sent(std::uint64_t count) { sent_ += count; }
    [[nodiscard]] std::uint64_t given_up() const { return given_up_; }

  private:
    std::uint64_t start_;
    double cycles_;
    std::uint64_t sent_ = 0;
    std::uint64_t given_up_ = 0;
};

}  // namespace homeport::traffic
