// SPDX-License-Identifier: BSD-3-Clause
// The static keys of one SA from one file, for both ends.
#pragma once

#include <string>

#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/key.hpp"

namespace homeport::sa {

struct SaKeys {
    ipsec::SecretBytes encryption;  // with the salt behind it for counter modes; empty for NULL
    ipsec::SecretBytes integrity;   // empty for AEAD
};

/// The file holds hex digits of the keying material in the order of RFC 7296 section 2.17: the
/// cipher's key, its salt, then the integrity key. Its mode must be 0600 or 0400.
[[nodiscard]] ipsec::Result<SaKeys> load_sa_keys(const std::string& file,
                                                 ipsec::Algorithm algorithm);

/// Whether the algorithm may be used with keys that outlive the SA. The text says why not.
[[nodiscard]] ipsec::Result<void> check_static_key(ipsec::Algorithm algorithm, bool lab_static_gcm);

}  // namespace homeport::sa
