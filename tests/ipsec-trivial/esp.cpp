// SPDX-License-Identifier: BSD-3-Clause
#include "tests/ipsec-trivial/esp.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace homeport::trivial {

namespace {

constexpr std::size_t kHeader = 8;   // SPI and sequence number
constexpr std::size_t kTrailer = 2;  // pad length and next header

void must(bool good) {
    if (!good) std::abort();
}

void put(Bytes& to, std::uint64_t number, int octets) {
    for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) {
        to.push_back(static_cast<std::uint8_t>(number >> shift));
    }
}

/// RFC 4106 section 5, RFC 7634 section 2.1: SPI, then 32 or 64 bits of sequence number.
Bytes additional_data(const Keys& keys, View esp, std::uint64_t sequence) {
    Bytes data(esp.begin(), esp.begin() + 4);
    put(data, sequence, keys.extended_sequence ? 8 : 4);
    return data;
}

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

/// One call of OpenSSL for everything: `tag` non-null for AEAD. Empty result of a decryption whose
/// tag is wrong.
std::optional<Bytes> run_cipher(const Transform& transform, bool encrypt, const Bytes& key,
                                const Bytes& nonce, View aad, View text, std::uint8_t* tag) {
    const Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    const EVP_CIPHER* const cipher = EVP_get_cipherbyname(transform.cipher.c_str());
    must(context != nullptr && cipher != nullptr);
    EVP_CIPHER_CTX* const c = context.get();
    must(EVP_CipherInit_ex(c, cipher, nullptr, key.data(), nonce.data(), encrypt ? 1 : 0) == 1);
    must(EVP_CIPHER_CTX_set_padding(c, 0) == 1);
    Bytes out(text.size() + 32);
    int size = 0;
    int total = 0;
    if (tag != nullptr) {
        const int icv = static_cast<int>(transform.icv);
        if (!encrypt) must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, icv, tag) == 1);
        must(EVP_CipherUpdate(c, nullptr, &size, aad.data(), static_cast<int>(aad.size())) == 1);
    }
    must(EVP_CipherUpdate(c, out.data(), &size, text.data(), static_cast<int>(text.size())) == 1);
    total = size;
    if (EVP_CipherFinal_ex(c, out.data() + total, &size) != 1) return std::nullopt;
    total += size;
    out.resize(static_cast<std::size_t>(total));
    if (tag != nullptr && encrypt) {
        must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(transform.icv), tag) ==
             1);
    }
    return out;
}

/// RFC 4303 section 2.8: from SPI to next header, then the high half with ESN.
Bytes hmac(const Keys& keys, View covered, std::uint64_t sequence) {
    Bytes input(covered.begin(), covered.end());
    if (keys.extended_sequence) put(input, sequence >> 32, 4);
    Bytes result(EVP_MAX_MD_SIZE);
    unsigned size = 0;
    const EVP_MD* const digest = EVP_get_digestbyname(keys.transform.digest.c_str());
    must(digest != nullptr);
    must(HMAC(digest, keys.mac_key.data(), static_cast<int>(keys.mac_key.size()), input.data(),
              input.size(), result.data(), &size) != nullptr);
    result.resize(keys.transform.icv);
    return result;
}

Bytes nonce_of(const Keys& keys, View iv) {
    Bytes nonce = keys.salt;
    nonce.insert(nonce.end(), iv.begin(), iv.end());
    return nonce;
}

std::size_t padding_for(const Transform& transform, std::size_t payload) {
    return (transform.align - (payload + kTrailer) % transform.align) % transform.align;
}

}  // namespace

std::optional<Transform> transform_named(std::string_view name) {
    struct Mac {
        std::string_view name;
        const char* digest;
        std::size_t key;
        std::size_t icv;
    };
    static constexpr Mac kMacs[] = {{"hmac-sha1-96", "SHA1", 20, 12},
                                    {"hmac-sha256-128", "SHA256", 32, 16},
                                    {"hmac-sha384-192", "SHA384", 48, 24},
                                    {"hmac-sha512-256", "SHA512", 64, 32}};
    if (name == "chacha20-poly1305") return Transform{"ChaCha20-Poly1305", "", 32, 4, 0, 8, 4, 16};
    for (const std::size_t bits : {128u, 192u, 256u}) {
        const std::string aes = "aes" + std::to_string(bits);
        if (name == aes + "-gcm16") {
            return Transform{"aes-" + std::to_string(bits) + "-gcm", "", bits / 8, 4, 0, 8, 4, 16};
        }
        for (const Mac& mac : kMacs) {
            if (name == aes + "-cbc-" + std::string(mac.name)) {
                return Transform{"aes-" + std::to_string(bits) + "-cbc",
                                 mac.digest,
                                 bits / 8,
                                 0,
                                 mac.key,
                                 16,
                                 16,
                                 mac.icv};
            }
        }
    }
    for (const Mac& mac : kMacs) {
        if (name == "null-" + std::string(mac.name)) {
            return Transform{"", mac.digest, 0, 0, mac.key, 0, 4, mac.icv};
        }
    }
    return std::nullopt;
}

// ---------------------------------------------------------------------------------------- replay

std::optional<std::uint64_t> Replay::extended(std::uint32_t low) const {
    const std::uint64_t half = std::uint64_t{1} << 32;
    const std::uint64_t size = size_ == 0 ? 64 : size_;
    const std::uint64_t top_low = top_ % half;
    const std::uint64_t top_high = top_ / half;
    const auto bottom = static_cast<std::uint32_t>(top_low - size + 1);
    std::uint64_t high = top_high;
    if (top_low >= size - 1) {
        if (low < bottom) ++high;
    } else if (low >= bottom) {
        if (top_high == 0) return std::nullopt;
        --high;
    }
    return high * half + low;
}

bool Replay::fresh(std::uint64_t number) const {
    if (size_ == 0) return true;
    if (number < floor_ || number + size_ <= top_) return false;
    return !seen_.contains(number);
}

void Replay::take(std::uint64_t number) {
    top_ = std::max(top_, number);
    if (size_ == 0) return;
    seen_.insert(number);
    while (*seen_.begin() + size_ <= top_) seen_.erase(seen_.begin());
}

// --------------------------------------------------------------------------------- seal and open

std::size_t sealed_size(const Transform& transform, std::size_t payload) {
    return kHeader + transform.iv + payload + padding_for(transform, payload) + kTrailer +
           transform.icv;
}

Bytes seal(const Keys& keys, std::uint32_t spi, std::uint64_t sequence, View payload,
           std::uint8_t next_header) {
    const Transform& transform = keys.transform;
    Bytes esp;
    put(esp, spi, 4);
    put(esp, sequence, 4);
    Bytes iv;
    if (transform.iv == 8) {
        put(iv, sequence, 8);  // never repeats under one key
    } else if (transform.iv != 0) {
        iv.resize(transform.iv);
        must(RAND_bytes(iv.data(), static_cast<int>(iv.size())) == 1);
    }
    Bytes text(payload.begin(), payload.end());
    const std::size_t padding = padding_for(transform, payload.size());
    for (std::size_t i = 1; i <= padding; ++i) text.push_back(static_cast<std::uint8_t>(i));
    text.push_back(static_cast<std::uint8_t>(padding));
    text.push_back(next_header);

    if (transform.digest.empty()) {
        Bytes tag(transform.icv);
        const Bytes aad = additional_data(keys, esp, sequence);
        const auto hidden =
            run_cipher(transform, true, keys.key, nonce_of(keys, iv), aad, text, tag.data());
        must(hidden.has_value());
        esp.insert(esp.end(), iv.begin(), iv.end());
        esp.insert(esp.end(), hidden->begin(), hidden->end());
        esp.insert(esp.end(), tag.begin(), tag.end());
        return esp;
    }
    if (!transform.cipher.empty()) {
        text = *run_cipher(transform, true, keys.key, iv, {}, text, nullptr);
    }
    esp.insert(esp.end(), iv.begin(), iv.end());
    esp.insert(esp.end(), text.begin(), text.end());
    const Bytes icv = hmac(keys, esp, sequence);
    esp.insert(esp.end(), icv.begin(), icv.end());
    return esp;
}

std::optional<Opened> open(const Keys& keys, std::uint64_t sequence, View esp, OpenError& error) {
    const Transform& transform = keys.transform;
    const std::size_t fixed = kHeader + transform.iv + transform.icv;
    error = OpenError::kLength;
    if (esp.size() < fixed + transform.align || (esp.size() - fixed) % transform.align != 0) {
        return std::nullopt;
    }
    const View iv = esp.subspan(kHeader, transform.iv);
    const View hidden = esp.subspan(kHeader + transform.iv, esp.size() - fixed);
    const View icv = esp.last(transform.icv);
    error = OpenError::kIcv;
    std::optional<Bytes> text;
    if (transform.digest.empty()) {
        Bytes tag(icv.begin(), icv.end());
        text = run_cipher(transform, false, keys.key, nonce_of(keys, iv),
                          additional_data(keys, esp, sequence), hidden, tag.data());
        if (!text) return std::nullopt;
    } else {
        const Bytes expected = hmac(keys, esp.first(esp.size() - transform.icv), sequence);
        if (CRYPTO_memcmp(expected.data(), icv.data(), icv.size()) != 0) return std::nullopt;
        text = transform.cipher.empty()
                   ? Bytes(hidden.begin(), hidden.end())
                   : run_cipher(transform, false, keys.key, Bytes(iv.begin(), iv.end()), {}, hidden,
                                nullptr);
        if (!text) return std::nullopt;
    }
    error = OpenError::kPadding;
    const std::size_t padding = (*text)[text->size() - 2];
    if (padding + kTrailer > text->size()) return std::nullopt;
    const std::size_t payload = text->size() - kTrailer - padding;
    for (std::size_t i = 0; i < padding; ++i) {
        if ((*text)[payload + i] != static_cast<std::uint8_t>(i + 1)) return std::nullopt;
    }
    Opened opened;
    opened.next_header = text->back();
    text->resize(payload);
    opened.payload = std::move(*text);
    return opened;
}

}  // namespace homeport::trivial
