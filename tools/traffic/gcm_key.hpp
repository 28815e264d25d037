// SPDX-License-Identifier: BSD-3-Clause
// ESP with AES-GCM (RFC 4106) as the measurements need it: one key for all SAs, no SAs, no
// policies.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <expected>
#include <memory>
#include <string>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/crypto.hpp"

namespace homeport::traffic {

/// The key of key_of(), expanded.
class GcmKey {
  public:
    static constexpr std::uint32_t kTag = 16;     // octets of the ICV
    static constexpr std::uint32_t kHeader = 16;  // SPI, sequence number, IV

    /// An error, a sentence, for what is not AES-GCM.
    [[nodiscard]] static std::expected<std::unique_ptr<GcmKey>, std::string> create(
        ipsec::Algorithm algorithm);

    /// `esp`: SPI, sequence number and IV are there; behind them room for as many octets as `plain`
    /// has, and for the tag.
    void seal(std::uint8_t* esp, ConstByteSpan plain);
    /// The first `count` octets under `esp`. Nobody looks at the tag.
    void open(const std::uint8_t* esp, std::uint8_t* plain, std::size_t count);

  private:
    GcmKey() = default;
    [[nodiscard]] std::array<std::uint8_t, 12> iv_of(const std::uint8_t* esp) const;

    struct Free {
        void operator()(std::uint8_t* memory) const { std::free(memory); }
    };
    ipsec::MbManager manager_;
    std::unique_ptr<std::uint8_t, Free> keys_;
    std::array<std::uint8_t, 4> salt_{};
    ipsec::GcmCalls calls_{};
};

}  // namespace homeport::traffic
