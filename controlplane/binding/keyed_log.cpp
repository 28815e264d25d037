// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/keyed_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "controlplane/binding/crc32c.hpp"

namespace homeport::binding {

namespace {

constexpr std::size_t kHeader = 8;        // length and check
constexpr std::size_t kLeast = 3;         // kind and length of the key
constexpr std::size_t kMostBody = 65535;  // nothing longer is believed
constexpr std::uint8_t kSet = 1;
constexpr std::uint8_t kErase = 2;

template <class Number>
Number load(const std::uint8_t* at) {
    Number value;
    std::memcpy(&value, at, sizeof value);  // little-endian, as every CPU that this runs on
    return value;
}

struct View {
    std::uint8_t kind = 0;
    std::string_view key;
    ConstByteSpan value;
    std::size_t size = 0;  // octets of the whole record
};

/// The record at the start of `bytes`; size 0: there is no whole and sound one.
View view_record(ConstByteSpan bytes) {
    if (bytes.size() < kHeader + kLeast) return {};
    const auto length = load<std::uint32_t>(bytes.data());
    if (length < kLeast || length > kMostBody || length > bytes.size() - kHeader) return {};
    const ConstByteSpan body = bytes.subspan(kHeader, length);
    if (crc32c(body) != load<std::uint32_t>(bytes.data() + 4)) return {};
    const std::size_t key = load<std::uint16_t>(body.data() + 1);
    if ((body[0] != kSet && body[0] != kErase) || key > length - kLeast) return {};
    return {body[0],
            {reinterpret_cast<const char*>(body.data()) + kLeast, key},
            body.subspan(kLeast + key),
            kHeader + length};
}

void put_record(std::vector<std::uint8_t>& out, std::uint8_t kind, std::string_view key,
                ConstByteSpan value) {
    const std::size_t start = out.size();
    out.resize(start + kHeader + kLeast);
    out.insert(out.end(), key.begin(), key.end());
    out.insert(out.end(), value.begin(), value.end());
    std::uint8_t* const at = out.data() + start;
    const auto length = static_cast<std::uint32_t>(out.size() - start - kHeader);
    const auto key_length = static_cast<std::uint16_t>(key.size());
    at[kHeader] = kind;
    std::memcpy(at + kHeader + 1, &key_length, sizeof key_length);
    const std::uint32_t check = crc32c({at + kHeader, length});
    std::memcpy(at, &length, sizeof length);
    std::memcpy(at + 4, &check, sizeof check);
}

using Records = std::map<std::string, std::vector<std::uint8_t>, std::less<>>;

/// What the octets come to; how many of them are sound.
std::size_t replay(ConstByteSpan bytes, Records& records) {
    std::size_t sound = 0;
    for (View view = view_record(bytes); view.size != 0; view = view_record(bytes.subspan(sound))) {
        if (view.kind == kErase) {
            if (const auto known = records.find(view.key); known != records.end()) {
                records.erase(known);
            }
        } else {
            records.insert_or_assign(
                std::string(view.key),
                std::vector<std::uint8_t>(view.value.begin(), view.value.end()));
        }
        sound += view.size;
    }
    return sound;
}

bool read_all(int file, std::vector<std::uint8_t>& bytes) {
    struct stat status{};
    if (::fstat(file, &status) != 0) return false;
    bytes.resize(static_cast<std::size_t>(status.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count =
            ::pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return true;
}

bool write_all(int file, ConstByteSpan bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) errno = ENOSPC;
        if (count <= 0) return false;
        done += static_cast<std::size_t>(count);
    }
    return true;
}

}  // namespace

StoreError KeyedLog::error_of(const char* operation) const {
    return {"log " + options_.path + ": cannot " + operation + ": " +
            std::error_code(errno, std::generic_category()).message()};
}

std::expected<KeyedLog::Opened, StoreError> KeyedLog::open(Options options) {
    Opened opened;
    opened.log = std::unique_ptr<KeyedLog>(new KeyedLog(std::move(options)));
    KeyedLog& log = *opened.log;
    log.file_ = ::open(log.options_.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log.file_ < 0) return std::unexpected(log.error_of("open"));
    std::vector<std::uint8_t> bytes;
    if (!read_all(log.file_, bytes)) return std::unexpected(log.error_of("read"));
    log.size_ = replay(bytes, opened.records);
    opened.damaged = bytes.size() - log.size_;
    // What is appended behind half a record would never be read.
    if (opened.damaged != 0 && ::ftruncate(log.file_, static_cast<off_t>(log.size_)) != 0) {
        return std::unexpected(log.error_of("cut off the damaged end"));
    }
    if (auto done = log.write_anew(); !done) return std::unexpected(done.error());
    return opened;
}

KeyedLog::~KeyedLog() {
    if (!buffer_.empty()) [[maybe_unused]]
        const auto committed = commit();
    if (file_ >= 0) ::close(file_);
}

void KeyedLog::append(std::uint8_t kind, std::string_view key, ConstByteSpan value) {
    constexpr std::size_t kMost = 65000;
    if (key.size() + value.size() <= kMost) put_record(buffer_, kind, key, value);
}

void KeyedLog::set(std::string_view key, ConstByteSpan value) {
    append(kSet, key, value);
}

void KeyedLog::erase(std::string_view key) {
    append(kErase, key, {});
}

std::expected<void, StoreError> KeyedLog::commit() {
    if (buffer_.empty()) return {};
    if (!write_all(file_, buffer_)) {
        const StoreError error = error_of("write");
        [[maybe_unused]] const int cut = ::ftruncate(file_, static_cast<off_t>(size_));
        buffer_.clear();
        return std::unexpected(error);
    }
    size_ += buffer_.size();
    buffer_.clear();
    if (options_.synchronous_full && ::fdatasync(file_) != 0) {
        return std::unexpected(error_of("sync"));
    }
    if (size_ > 4 * size_when_anew_ + options_.slack) return write_anew();
    return {};
}

/// The file stays as it is if that fails, and is good all the same.
std::expected<void, StoreError> KeyedLog::write_anew() {
    std::vector<std::uint8_t> bytes;
    Records records;
    if (!read_all(file_, bytes)) return std::unexpected(error_of("read"));
    replay(bytes, records);
    std::vector<std::uint8_t> fresh;
    for (const auto& [key, value] : records) put_record(fresh, kSet, key, value);
    size_when_anew_ = fresh.size();
    if (fresh.size() == size_) return {};
    const std::string name = options_.path + ".new";
    const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return std::unexpected(error_of("write anew"));
    const bool is_done = write_all(file, fresh) && ::fdatasync(file) == 0 &&
                         std::rename(name.c_str(), options_.path.c_str()) == 0;
    if (!is_done) {
        StoreError error = error_of("write anew");
        ::close(file);
        ::unlink(name.c_str());
        return std::unexpected(std::move(error));
    }
    ::close(std::exchange(file_, file));
    size_ = fresh.size();
    return {};
}

}  // namespace homeport::binding
