// SPDX-License-Identifier: BSD-3-Clause
// Secrets of Mobile IPv4's mobility security associations, for both ends.
#pragma once

#include <string>

#include "dataplane/ipsec/key.hpp"

namespace homeport::sa {

/// Why `key` must not be used, or null. Detection of the inside rests on this secret (S2.121): who
/// guesses it talks the mobile node out of encryption. Refused: less than 128 bits, a pattern, and
/// what somebody typed.
[[nodiscard]] const char* weakness_of(ConstByteSpan key);

/// Hex digits of 16 to 64 octets, in a file of mode 0600 or 0400. Weak ones are errors.
[[nodiscard]] ipsec::Result<ipsec::SecretBytes> load_mobility_key(const std::string& file);

}  // namespace homeport::sa
