// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/iv_source.hpp"

#include <string.h>
#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace homeport::ipsec {

IvSource::~IvSource() {
    explicit_bzero(&key_, sizeof key_);
    explicit_bzero(blocks_.data(), blocks_.size());
}

Result<void> IvSource::start(IMB_MGR& manager) {
    std::array<std::uint8_t, 32> seed;
    std::size_t have = 0;
    while (have < seed.size()) {
        const ssize_t got = ::getrandom(seed.data() + have, seed.size() - have, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            return fail("no random numbers from the system: " +
                        std::generic_category().message(errno));
        }
        have += static_cast<std::size_t>(got);
    }
    IMB_AES256_GCM_PRE(&manager, seed.data(), &key_);
    explicit_bzero(seed.data(), seed.size());
    return {};
}

void IvSource::refill(IMB_MGR& manager) {
    // GCM over zeros is the plain keystream: block i of this call encrypts (nonce, i + 2), and the
    // nonce is another one in each call.
    static constexpr std::array<std::uint8_t, kBlocks * kIvLength> kZeros{};
    std::array<std::uint8_t, 16> nonce{};
    memcpy(nonce.data(), &++refills_, sizeof refills_);
    std::array<std::uint8_t, 16> tag;
    gcm_context_data context;
    IMB_AES256_GCM_ENC(&manager, &key_, &context, blocks_.data(), kZeros.data(), kZeros.size(),
                       nonce.data(), nonce.data(), 0, tag.data(), tag.size());
    at_ = 0;
}

}  // namespace homeport::ipsec
