// SPDX-License-Identifier: BSD-3-Clause
// What IPsec did with a packet. Each value is one counter; a packet gets exactly one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace homeport::ipsec {

enum class Verdict : std::uint8_t {
    kOutProtect,      ///< sealed: send the packet as it is now
    kOutBypass,       ///< policy BYPASS: send it, unchanged
    kOutDiscard,      ///< policy DISCARD; also: not an IP packet, fragment for a transport mode SA
    kOutNoSa,         ///< policy PROTECT, no usable SA (none, or its hard lifetime is over)
    kOutSeqOverflow,  ///< the SA's sequence numbers are used up
    kOutTooBig,       ///< sealed it would exceed the SA's path MTU, 65535 octets or the buffer
    kOutElsewhere,    ///< another worker owns the SA: untouched, not counted; hand it over
    kInOk,            ///< authenticated, decrypted, matches its SA's selectors
    kInNoSa,          ///< ESP with an SPI that is not ours
    kInReplay,        ///< seen before, or left of the replay window
    kInIcv,           ///< integrity check failed
    kInPadding,       ///< padding is not 1, 2, 3, ... or longer than the payload
    kInDummy,         ///< next header 59 (RFC 4303 section 2.6); not an error
    kInSelectorMismatch,  ///< not among the packets that the SA was made for
    kInPolicy,            ///< plaintext where the policy demands ESP
    kInFragment,          ///< ESP in a fragment: it must be reassembled before IPsec
    kInMalformed,         ///< lengths that lie, truncated headers
    kInBypass,            ///< not ESP, policy BYPASS
    kInDiscard,           ///< not ESP, policy DISCARD
};
inline constexpr std::size_t kVerdictCount = 19;

/// The counter of this verdict, e.g. "ipsec.out.protect".
[[nodiscard]] std::string_view counter_name(Verdict verdict);

/// True if the packet goes on, false if it has to be dropped.
[[nodiscard]] constexpr bool passes(Verdict verdict) {
    return verdict == Verdict::kOutProtect || verdict == Verdict::kOutBypass ||
           verdict == Verdict::kInOk || verdict == Verdict::kInBypass;
}

}  // namespace homeport::ipsec
