// SPDX-License-Identifier: BSD-3-Clause
// What RFC 4301 section 4.4.1 looks at in a packet, and whether selectors take it.
#pragma once

#include <optional>

#include "dataplane/ipsec/selector.hpp"
#include "tests/ipsec-trivial/esp.hpp"

namespace homeport::trivial {

struct Headers {
    IpAddress source;
    IpAddress destination;
    std::size_t length = 0;                ///< of the packet, as its IP header says
    std::optional<std::uint8_t> protocol;  ///< behind headers 0, 43, 44, 60; nothing: hidden
    bool fragment = false;
    /// Ports, or twice type * 256 + code, or twice the mobility header type; nothing: hidden.
    std::optional<std::uint16_t> source_value;
    std::optional<std::uint16_t> destination_value;
    std::size_t upper = 0;        ///< where `protocol` begins
    std::size_t upper_name = 0;   ///< the octet that names it
    std::size_t insert = 0;       ///< where transport mode puts ESP (RFC 4303 section 3.1.1)
    std::size_t insert_name = 0;  ///< the octet that names what is there
};

/// Nothing: not an IP packet, or lengths lie.
[[nodiscard]] std::optional<Headers> read_headers(View packet);

[[nodiscard]] bool takes(const ipsec::Selectors& selectors, const Headers& packet,
                         ipsec::Direction direction);

}  // namespace homeport::trivial
