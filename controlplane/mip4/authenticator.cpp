// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/authenticator.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace homeport::mip4 {

namespace {

const EVP_MD* digest_of(Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::kHmacMd5:
        case Algorithm::kKeyedMd5:
            return EVP_md5();
        case Algorithm::kHmacSha1:
            return EVP_sha1();
        case Algorithm::kHmacSha256:
            return EVP_sha256();
    }
    return EVP_md5();
}

/// RFC 2002 section 3.5.1: the digest of key, data, key.
std::vector<std::uint8_t> keyed_md5(ConstByteSpan key, ConstByteSpan covered) {
    std::vector<std::uint8_t> all;
    all.reserve(2 * key.size() + covered.size());
    all.insert(all.end(), key.begin(), key.end());
    all.insert(all.end(), covered.begin(), covered.end());
    all.insert(all.end(), key.begin(), key.end());
    std::vector<std::uint8_t> out(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    (void)EVP_Digest(all.data(), all.size(), out.data(), &length, EVP_md5(), nullptr);
    OPENSSL_cleanse(all.data(), all.size());
    out.resize(length);
    return out;
}

}  // namespace

SecurityAssociation::~SecurityAssociation() {
    OPENSSL_cleanse(key.data(), key.size());
}

std::size_t authenticator_length(Algorithm algorithm) {
    return static_cast<std::size_t>(EVP_MD_get_size(digest_of(algorithm)));
}

std::vector<std::uint8_t> authenticator(const SecurityAssociation& association,
                                        ConstByteSpan covered) {
    if (association.algorithm == Algorithm::kKeyedMd5) return keyed_md5(association.key, covered);
    std::vector<std::uint8_t> out(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    (void)HMAC(digest_of(association.algorithm), association.key.data(),
               static_cast<int>(association.key.size()), covered.data(), covered.size(), out.data(),
               &length);
    out.resize(length);
    return out;
}

bool is_authentic(const SecurityAssociation& association, ConstByteSpan covered,
                  ConstByteSpan received) {
    const std::vector<std::uint8_t> expected = authenticator(association, covered);
    return !expected.empty() && expected.size() == received.size() &&
           CRYPTO_memcmp(expected.data(), received.data(), expected.size()) == 0;
}

}  // namespace homeport::mip4
