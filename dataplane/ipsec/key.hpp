// SPDX-License-Identifier: BSD-3-Clause
// Keying material: a container that wipes itself, and static keys from files.
//
// Use: auto key = load_key_file(path, length); move it into SaParameters. It cannot be copied by
// accident, printed or compared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/ipsec/error.hpp"

namespace homeport::ipsec {

/// Up to 128 octets of key; wiped when destroyed, moved from or assigned to.
class SecretBytes {
  public:
    static constexpr std::size_t kCapacity = 128;  // key, salt and integrity key in one

    SecretBytes() = default;
    /// Copies `bytes`, of which there may be at most kCapacity (more are cut off).
    explicit SecretBytes(ConstByteSpan bytes);
    SecretBytes(SecretBytes&& other) noexcept;
    SecretBytes& operator=(SecretBytes&& other) noexcept;
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;
    ~SecretBytes();

    [[nodiscard]] SecretBytes clone() const { return SecretBytes(view()); }
    [[nodiscard]] ConstByteSpan view() const { return {bytes_.data(), size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

  private:
    void wipe();

    std::array<std::uint8_t, kCapacity> bytes_{};
    std::size_t size_ = 0;
};

/// Reads hex digits (spaces and line ends between octets are allowed, a leading 0x too) that must
/// make exactly `length` octets. The file must be a regular one, owned by the caller or root, with
/// mode 0600 or 0400. For AEAD ciphers the file holds key and salt, as keying material does.
[[nodiscard]] Result<SecretBytes> load_key_file(const std::string& path, std::size_t length);
/// The same with `least` to `most` octets.
[[nodiscard]] Result<SecretBytes> load_key_file(const std::string& path, std::size_t least,
                                                std::size_t most);

}  // namespace homeport::ipsec
