// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/return_routability.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

namespace {

constexpr std::size_t kChecksumOffset = 4;  // in the mobility header
constexpr std::size_t kMobilityMinimum = 8;

}  // namespace

BindingManagementKey::BindingManagementKey(std::uint64_t home_token,
                                           std::optional<std::uint64_t> care_of_token) {
    std::array<std::uint8_t, 16> tokens{};
    store_be64(tokens.data(), home_token);
    if (care_of_token) store_be64(tokens.data() + 8, *care_of_token);
    unsigned length = 0;
    (void)EVP_Digest(tokens.data(), care_of_token ? 16 : 8, octets_.data(), &length, EVP_sha1(),
                     nullptr);
    OPENSSL_cleanse(tokens.data(), tokens.size());
}

BindingManagementKey::~BindingManagementKey() {
    OPENSSL_cleanse(octets_.data(), octets_.size());
}

std::array<std::uint8_t, kAuthenticatorLength> binding_authenticator(
    const BindingManagementKey& key, const Ipv6Address& care_of_address,
    const Ipv6Address& correspondent, ConstByteSpan mobility_header) {
    std::vector<std::uint8_t> data(care_of_address.bytes.begin(), care_of_address.bytes.end());
    data.insert(data.end(), correspondent.bytes.begin(), correspondent.bytes.end());
    const std::size_t start = data.size();
    const std::size_t length = mobility_header.size() - kAuthenticatorLength;
    data.insert(data.end(), mobility_header.begin(),
                mobility_header.begin() + static_cast<std::ptrdiff_t>(length));
    data[start + kChecksumOffset] = data[start + kChecksumOffset + 1] = 0;
    std::array<std::uint8_t, 20> digest{};
    unsigned written = 0;
    (void)HMAC(EVP_sha1(), key.octets().data(), static_cast<int>(key.octets().size()), data.data(),
               data.size(), digest.data(), &written);
    std::array<std::uint8_t, kAuthenticatorLength> first{};
    std::copy_n(digest.begin(), first.size(), first.begin());
    return first;
}

std::vector<std::uint8_t> authenticated_update(wire::BindingUpdate update,
                                               const Ipv6Address& source,
                                               const Ipv6Address& correspondent,
                                               const Ipv6Address& care_of_address,
                                               const BindingManagementKey& key) {
    update.options.emplace_back(
        wire::BindingAuthorizationData{std::vector<std::uint8_t>(kAuthenticatorLength, 0)});
    const auto header = wire::encode_mobility_header(update, source, correspondent);
    const auto authenticator = binding_authenticator(key, care_of_address, correspondent, header);
    update.options.back() =
        wire::BindingAuthorizationData{{authenticator.begin(), authenticator.end()}};
    return wire::mobility_packet(update, source, correspondent);
}

bool is_authentic(ConstByteSpan mobility_header, const wire::MobilityOptions& options,
                  const Ipv6Address& care_of_address, const Ipv6Address& correspondent,
                  const BindingManagementKey& key) {
    if (options.empty() || mobility_header.size() < kMobilityMinimum) return false;
    const auto* last = std::get_if<wire::BindingAuthorizationData>(&options.back());
    if (last == nullptr || last->authenticator.size() != kAuthenticatorLength) return false;
    const std::size_t length = 8 + std::size_t{mobility_header[1]} * 8;
    if (length > mobility_header.size() || length < kMobilityMinimum + kAuthenticatorLength) {
        return false;
    }
    const ConstByteSpan header = mobility_header.first(length);
    // No padding may stand behind it (RFC 6275 section 6.2.7).
    if (!std::ranges::equal(header.last(kAuthenticatorLength), last->authenticator)) return false;
    const auto expected = binding_authenticator(key, care_of_address, correspondent, header);
    return CRYPTO_memcmp(expected.data(), last->authenticator.data(), expected.size()) == 0;
}

}  // namespace homeport::mip6
