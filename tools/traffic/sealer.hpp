// SPDX-License-Identifier: BSD-3-Clause
// The mobile nodes' side of ESP: seals packets of any of many nodes with the product's engine.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/ipsec/esp_engine.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"

namespace homeport::traffic {

class Sealer {
  public:
    /// `key`: as key_of() makes it. The error is a sentence.
    [[nodiscard]] static std::expected<std::unique_ptr<Sealer>, std::string> create(
        ipsec::Algorithm algorithm, std::vector<std::uint8_t> key);

    /// From now on packets are those of the SA `spi`, whose next number is `first_sequence`.
    std::expected<void, std::string> choose(std::uint32_t spi, std::uint64_t first_sequence);
    /// `packet`, an IPv6 packet, in ESP tunnel mode from the care-of address to the home agent.
    [[nodiscard]] std::expected<std::vector<std::uint8_t>, std::string> seal(ConstByteSpan packet);

  private:
    Sealer(ipsec::Algorithm algorithm, std::vector<std::uint8_t> key)
        : algorithm_(algorithm), key_(std::move(key)) {}
    std::expected<void, std::string> build();

    ipsec::Algorithm algorithm_;
    std::vector<std::uint8_t> key_;
    ipsec::ImmediateReclaimer reclaimer_;
    ipsec::SecurityPolicyDatabase spd_{reclaimer_};
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::EspEngine> engine_;
    std::optional<ipsec::SaHandle> handle_;
};

/// The key that all SAs of the measurements have: the cipher's with its salt, then the HMAC's.
[[nodiscard]] std::vector<std::uint8_t> key_of(ipsec::Algorithm algorithm);

}  // namespace homeport::traffic
