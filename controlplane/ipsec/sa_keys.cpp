// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/sa_keys.hpp"

#include <utility>

namespace homeport::sa {

ipsec::Result<SaKeys> load_sa_keys(const std::string& file, ipsec::Algorithm algorithm) {
    const ipsec::AlgorithmInfo& sizes = ipsec::info(algorithm);
    const std::size_t cipher = sizes.encryption_keying_length();
    auto material = ipsec::load_key_file(file, cipher + sizes.integrity_key_length);
    if (!material) return std::unexpected(std::move(material.error()));
    const ConstByteSpan octets = material->view();
    return SaKeys{ipsec::SecretBytes(octets.first(cipher)),
                  ipsec::SecretBytes(octets.subspan(cipher))};
}

ipsec::Result<void> check_static_key(ipsec::Algorithm algorithm, bool lab_static_gcm) {
    const ipsec::AlgorithmInfo& info = ipsec::info(algorithm);
    if (!info.is_counter_mode() || lab_static_gcm) return {};
    return ipsec::fail("algorithm " + std::string(info.name) +
                       " with a static key: a counter that ever starts anew repeats its nonces, "
                       "and that gives away plaintext and the authentication key (RFC 4106 "
                       "sections 2 and 10); expected an AES-CBC or NULL algorithm with HMAC. The "
                       "lab switch lab_static_gcm allows it");
}

}  // namespace homeport::sa
