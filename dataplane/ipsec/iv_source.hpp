// SPDX-License-Identifier: BSD-3-Clause
// Initialization vectors for CBC (RFC 3602 section 3: unpredictable, not a counter).
//
// Blocks of AES-256 in counter mode under a key that the operating system's generator gave when the
// source was made, taken in bulk. Nobody without the key can tell them from random numbers; and
// because each is the encryption of another counter block, none repeats under one key. Two sources,
// or a source after a restart, have different keys; that two of their IVs meet is as likely as two
// random 128-bit numbers being equal, which is what CBC assumes of random IVs anyway. A process
// that forks must not go on using the same source on both sides.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/ipsec/crypto.hpp"

namespace homeport::ipsec {

class IvSource {
  public:
    static constexpr std::size_t kIvLength = 16;

    IvSource() = default;
    ~IvSource();
    IvSource(const IvSource&) = delete;
    IvSource& operator=(const IvSource&) = delete;

    /// Takes a key from the operating system.
    [[nodiscard]] Result<void> start(IMB_MGR& manager);
    /// 16 octets, valid until the next call.
    [[nodiscard]] const std::uint8_t* next(IMB_MGR& manager) {
        if (at_ == blocks_.size()) refill(manager);
        const std::uint8_t* block = blocks_.data() + at_;
        at_ += kIvLength;
        return block;
    }

  private:
    static constexpr std::size_t kBlocks = 64;

    void refill(IMB_MGR& manager);

    alignas(64) gcm_key_data key_{};
    alignas(64) std::array<std::uint8_t, kBlocks * kIvLength> blocks_{};
    std::size_t at_ = blocks_.size();
    std::uint64_t refills_ = 0;
};

}  // namespace homeport::ipsec
