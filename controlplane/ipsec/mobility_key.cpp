// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/mobility_key.hpp"

#include <algorithm>
#include <bitset>

namespace homeport::sa {

namespace {

constexpr std::size_t kLeast = 16;
constexpr std::size_t kMost = 64;
constexpr std::size_t kFewestDifferent = 8;  // of 16 random octets: fewer once in 10^11
constexpr std::size_t kPassword = 32;        // octets of text that may hold 128 bits

bool is_progression(ConstByteSpan key) {
    const auto step = static_cast<std::uint8_t>(key[1] - key[0]);
    for (std::size_t i = 2; i < key.size(); ++i) {
        if (static_cast<std::uint8_t>(key[i] - key[i - 1]) != step) return false;
    }
    return true;
}

/// One part again and again, like 00112233 four times.
bool repeats(ConstByteSpan key) {
    for (std::size_t period = 1; period <= key.size() / 2; ++period) {
        if (std::equal(key.begin() + static_cast<std::ptrdiff_t>(period), key.end(), key.begin())) {
            return true;
        }
    }
    return false;
}

}  // namespace

const char* weakness_of(ConstByteSpan key) {
    if (key.size() < kLeast) return "shorter than 128 bits";
    std::bitset<256> seen;
    for (const std::uint8_t octet : key) seen.set(octet);
    if (seen.count() < kFewestDifferent) return "hardly any two octets differ";
    if (is_progression(key)) return "octets that count up or down";
    if (repeats(key)) return "one pattern again and again";
    const bool is_text =
        std::ranges::all_of(key, [](std::uint8_t octet) { return octet >= 0x20 && octet < 0x7f; });
    if (is_text && key.size() < kPassword) return "text, so less than 128 bits";
    return nullptr;
}

ipsec::Result<ipsec::SecretBytes> load_mobility_key(const std::string& file) {
    auto key = ipsec::load_key_file(file, kLeast, kMost);
    if (!key) return key;
    if (const char* const why = weakness_of(key->view())) {
        return ipsec::fail("key file " + file + ": a weak key (" + why +
                           "), expected at least 128 random bits, such as openssl rand -hex 16");
    }
    return key;
}

}  // namespace homeport::sa
