// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/gcm_key.hpp"

#include <cstdlib>
#include <cstring>

#include "tools/traffic/sealer.hpp"

namespace homeport::traffic {

namespace {

constexpr std::size_t kAuthenticated = 8;  // octets: SPI and sequence number

}  // namespace

std::expected<std::unique_ptr<GcmKey>, std::string> GcmKey::create(ipsec::Algorithm algorithm) {
    const ipsec::AlgorithmInfo& info = ipsec::info(algorithm);
    if (info.cipher != ipsec::Cipher::kAesGcm) {
        return std::unexpected(std::string(info.name) + ": expected AES-GCM");
    }
    ipsec::CpuArchitecture architecture = ipsec::CpuArchitecture::kAuto;
    auto manager = ipsec::make_mb_manager(architecture);
    if (!manager) return std::unexpected(manager.error().text);
    std::unique_ptr<GcmKey> made(new GcmKey);
    made->manager_ = std::move(*manager);
    const std::vector<std::uint8_t> key = key_of(algorithm);
    std::memcpy(made->salt_.data(), key.data() + info.key_length, made->salt_.size());
    made->keys_.reset(static_cast<std::uint8_t*>(
        std::aligned_alloc(64, (ipsec::key_area_size(info) + 63) / 64 * 64)));
    if (made->keys_ == nullptr) return std::unexpected("no memory for a key");
    ipsec::expand_keys(*made->manager_, info, ipsec::Direction::kOutbound, key, {},
                       made->keys_.get());
    made->calls_ = ipsec::gcm_calls(*made->manager_, algorithm);
    return made;
}

std::array<std::uint8_t, 12> GcmKey::iv_of(const std::uint8_t* esp) const {
    std::array<std::uint8_t, 12> iv;
    std::memcpy(iv.data(), salt_.data(), 4);
    std::memcpy(iv.data() + 4, esp + kAuthenticated, 8);
    return iv;
}

void GcmKey::seal(std::uint8_t* esp, ConstByteSpan plain) {
    thread_local gcm_context_data context;
    const auto iv = iv_of(esp);
    calls_.encrypt(reinterpret_cast<const gcm_key_data*>(keys_.get()), &context, esp + kHeader,
                   plain.data(), plain.size(), iv.data(), esp, kAuthenticated,
                   esp + kHeader + plain.size(), kTag);
}

void GcmKey::open(const std::uint8_t* esp, std::uint8_t* plain, std::size_t count) {
    thread_local gcm_context_data context;
    const auto iv = iv_of(esp);
    std::array<std::uint8_t, kTag> tag;
    calls_.decrypt(reinterpret_cast<const gcm_key_data*>(keys_.get()), &context, plain,
                   esp + kHeader, count, iv.data(), esp, kAuthenticated, tag.data(), kTag);
}

}  // namespace homeport::traffic
