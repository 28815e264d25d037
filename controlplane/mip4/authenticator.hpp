// SPDX-License-Identifier: BSD-3-Clause
// Mobility security associations of Mobile IPv4 and their authenticators (RFC 5944 sections 3.5.1
// and 5.1).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/byte_order.hpp"

namespace homeport::mip4 {

enum class Algorithm : std::uint8_t {
    kHmacMd5,     // the default, which every node has
    kKeyedMd5,    // prefix and suffix, of RFC 2002: for old peers only
    kHmacSha1,    // private, by SPI
    kHmacSha256,  // private, by SPI
};
[[nodiscard]] std::size_t authenticator_length(Algorithm algorithm);  // octets

enum class ReplayStyle : std::uint8_t { kTimestamps, kNonces };  // RFC 5944 section 5.7

/// One SPI between two nodes. The key is wiped when it goes.
struct SecurityAssociation {
    std::uint32_t spi = 256;  // 0 to 255 are reserved (RFC 5944 section 3.5.1)
    Algorithm algorithm = Algorithm::kHmacMd5;
    std::vector<std::uint8_t> key{};
    ReplayStyle replay = ReplayStyle::kTimestamps;
    std::chrono::seconds window{7};  // of time stamps

    SecurityAssociation() = default;
    SecurityAssociation(const SecurityAssociation&) = default;
    SecurityAssociation(SecurityAssociation&&) = default;
    SecurityAssociation& operator=(const SecurityAssociation&) = default;
    SecurityAssociation& operator=(SecurityAssociation&&) = default;
    ~SecurityAssociation();
};

/// The authenticator over `covered`.
[[nodiscard]] std::vector<std::uint8_t> authenticator(const SecurityAssociation& association,
                                                      ConstByteSpan covered);

/// Whether `received` is that authenticator; takes as long whatever it is.
[[nodiscard]] bool is_authentic(const SecurityAssociation& association, ConstByteSpan covered,
                                ConstByteSpan received);

}  // namespace homeport::mip4
