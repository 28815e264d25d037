// SPDX-License-Identifier: BSD-3-Clause
// Keys and authenticators of return routability (RFC 6275 sections 5.2.5, 6.2.7), as the mobile
// node needs them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::mip6 {

inline constexpr std::size_t kAuthenticatorLength = 12;  // octets

/// A secret: wiped when it goes.
class BindingManagementKey {
  public:
    /// SHA1(home keygen token | care-of keygen token), tokens as numbers read from the wire in
    /// network byte order. Without the second: the key that deletes a binding.
    BindingManagementKey(std::uint64_t home_token, std::optional<std::uint64_t> care_of_token);
    ~BindingManagementKey();
    BindingManagementKey(const BindingManagementKey&) = default;
    BindingManagementKey& operator=(const BindingManagementKey&) = default;

    [[nodiscard]] const std::array<std::uint8_t, 20>& octets() const { return octets_; }

  private:
    std::array<std::uint8_t, 20> octets_{};
};

/// First 96 bits of HMAC_SHA1(key, care-of address | correspondent | mobility header), the header
/// with checksum 0 and without the authenticator, which is its last 12 octets. `care_of_address` is
/// the one that gets registered, or the home address when a binding is deleted.
[[nodiscard]] std::array<std::uint8_t, kAuthenticatorLength> binding_authenticator(
    const BindingManagementKey& key, const Ipv6Address& care_of_address,
    const Ipv6Address& correspondent, ConstByteSpan mobility_header);

/// A packet source > destination with `update`, to whose options the authenticator is added.
[[nodiscard]] std::vector<std::uint8_t> authenticated_update(wire::BindingUpdate update,
                                                             const Ipv6Address& source,
                                                             const Ipv6Address& correspondent,
                                                             const Ipv6Address& care_of_address,
                                                             const BindingManagementKey& key);

/// Whether the mobility header, which decoded well, ends in an authenticator of 96 bits that is
/// right. Takes the same time for every wrong one.
[[nodiscard]] bool is_authentic(ConstByteSpan mobility_header, const wire::MobilityOptions& options,
                                const Ipv6Address& care_of_address,
                                const Ipv6Address& correspondent, const BindingManagementKey& key);

}  // namespace homeport::mip6
