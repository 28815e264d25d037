// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/key.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace homeport::ipsec {

namespace {

constexpr std::size_t kMaxFileSize = 1024;

struct FileDescriptor {
    int number;
    ~FileDescriptor() {
        if (number >= 0) ::close(number);
    }
};

/// Key text on its way; wiped whatever the way out is.
struct WipedText {
    std::array<char, kMaxFileSize + 1> text{};
    ~WipedText() { explicit_bzero(text.data(), text.size()); }
};

std::string system_text(int error) {
    return std::generic_category().message(error);
}

std::string octal(unsigned mode) {
    std::string digits = "0000";
    for (std::size_t i = 4; i-- > 0; mode >>= 3) digits[i] = static_cast<char>('0' + (mode & 7));
    return digits;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Result<void> check_file(const std::string& path, const struct stat& status) {
    if (!S_ISREG(status.st_mode)) return fail("key file " + path + ": not a regular file");
    if (status.st_uid != ::geteuid() && status.st_uid != 0) {
        return fail("key file " + path + ": owned by uid " + std::to_string(status.st_uid) +
                    ", expected uid " + std::to_string(::geteuid()) + " or root");
    }
    const unsigned mode = status.st_mode & 07777;
    if (mode != 0600 && mode != 0400) {
        return fail("key file " + path + ": mode " + octal(mode) + ", expected 0600 or 0400");
    }
    if (status.st_size > static_cast<off_t>(kMaxFileSize)) {
        return fail("key file " + path + ": " + std::to_string(status.st_size) +
                    " octets long, expected at most " + std::to_string(kMaxFileSize));
    }
    return {};
}

Result<SecretBytes> parse_hex(const std::string& path, const char* text, std::size_t size,
                              std::size_t least, std::size_t most) {
    struct Wiped {
        std::array<std::uint8_t, kMaxFileSize> bytes{};
        ~Wiped() { explicit_bzero(bytes.data(), bytes.size()); }
    } key;
    std::size_t count = 0;
    std::size_t at = 0;
    while (at < size && is_space(text[at])) ++at;
    if (size - at >= 2 && text[at] == '0' && (text[at + 1] == 'x' || text[at + 1] == 'X')) at += 2;
    while (at < size) {
        if (is_space(text[at])) {
            ++at;
            continue;
        }
        const int high = hex_digit(text[at]);
        const int low = at + 1 < size ? hex_digit(text[at + 1]) : -1;
        if (high < 0 || low < 0) {
            return fail("key file " + path + ": not two hex digits at offset " +
                        std::to_string(at));
        }
        key.bytes[count++] = static_cast<std::uint8_t>(high << 4 | low);
        at += 2;
    }
    if (count < least || count > most) {
        return fail("key file " + path + ": holds " + std::to_string(count) +
                    " octets of key, expected " + std::to_string(least) +
                    (most == least ? "" : " to " + std::to_string(most)));
    }
    return SecretBytes({key.bytes.data(), count});
}

}  // namespace

SecretBytes::SecretBytes(ConstByteSpan bytes) : size_(std::min(bytes.size(), kCapacity)) {
    std::copy_n(bytes.begin(), size_, bytes_.begin());
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept : bytes_(other.bytes_), size_(other.size_) {
    other.wipe();
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
        bytes_ = other.bytes_;
        size_ = other.size_;
        other.wipe();
    }
    return *this;
}

SecretBytes::~SecretBytes() {
    wipe();
}

void SecretBytes::wipe() {
    explicit_bzero(bytes_.data(), bytes_.size());
    size_ = 0;
}

Result<SecretBytes> load_key_file(const std::string& path, std::size_t length) {
    return load_key_file(path, length, length);
}

Result<SecretBytes> load_key_file(const std::string& path, std::size_t least, std::size_t most) {
    if (most > SecretBytes::kCapacity) {
        return fail("key file " + path + ": a key of " + std::to_string(most) +
                    " octets was asked for, the longest is " +
                    std::to_string(SecretBytes::kCapacity));
    }
    const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.number < 0) return fail("key file " + path + ": cannot open: " + system_text(errno));
    struct stat status;
    if (::fstat(file.number, &status) != 0) {
        return fail("key file " + path + ": cannot stat: " + system_text(errno));
    }
    if (auto checked = check_file(path, status); !checked) return std::unexpected(checked.error());
    WipedText buffer;
    std::size_t size = 0;
    while (size < buffer.text.size()) {
        const ssize_t got =
            ::read(file.number, buffer.text.data() + size, buffer.text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail("key file " + path + ": cannot read: " + system_text(errno));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    if (size > kMaxFileSize) return fail("key file " + path + ": grew while it was read");
    return parse_hex(path, buffer.text.data(), size, least, most);
}

}  // namespace homeport::ipsec
