// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/keyed_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "controlplane/binding/crc32c.hpp"
#include "controlplane/binding/spare_time.hpp"

namespace homeport::binding {

namespace {

constexpr std::size_t kHeader = 8;        // length and check
constexpr std::size_t kLeast = 3;         // kind and length of the key
constexpr std::size_t kMostBody = 65535;  // nothing longer is believed
constexpr std::uint8_t kSet = 1;
constexpr std::uint8_t kErase = 2;
constexpr std::size_t kPiece = std::size_t{256} << 10;  // of a base, in one write

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

StoreError error_of(const std::string& file, const char* operation) {
    return {"log " + file + ": cannot " + operation + ": " +
            std::error_code(errno, std::generic_category()).message()};
}

/// A file that is closed when its owner is left.
class OpenFile {
  public:
    OpenFile(const std::string& name, int flags)
        : fd_(::open(name.c_str(), flags | O_CLOEXEC, 0600)) {}
    ~OpenFile() {
        if (fd_ >= 0) ::close(fd_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

using Octets = std::vector<std::uint8_t>;

bool read_all(int file, Octets& bytes) {
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

/// A file that need not be there.
std::expected<Octets, StoreError> contents_of(const std::string& name) {
    const OpenFile file(name, O_RDONLY);
    Octets bytes;
    if (file.get() < 0 && errno == ENOENT) return bytes;
    if (file.get() < 0) return std::unexpected(error_of(name, "open"));
    if (!read_all(file.get(), bytes)) return std::unexpected(error_of(name, "read"));
    return bytes;
}

/// Calls take(view) for each sound record from the start on; how many octets they are.
template <class Take>
std::size_t for_each_record(ConstByteSpan bytes, Take&& take) {
    std::size_t sound = 0;
    for (View view = view_record(bytes); view.size != 0; view = view_record(bytes.subspan(sound))) {
        take(view);
        sound += view.size;
    }
    return sound;
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

/// That a file has another name now gets to the disk with its directory.
void sync_directory_of(const std::string& name) {
    const std::filesystem::path path(name);
    const OpenFile directory(path.has_parent_path() ? path.parent_path().string() : ".",
                             O_RDONLY | O_DIRECTORY);
    if (directory.get() >= 0) (void)::fsync(directory.get());
}

}  // namespace

KeyedLog::KeyedLog(Options options)
    : options_(std::move(options)),
      base_(options_.path + ".base"),
      closed_(options_.path + ".closed"),
      next_(options_.path + ".new") {}

std::expected<KeyedLog::Opened, StoreError> KeyedLog::open(Options options) {
    Opened opened;
    opened.log = std::unique_ptr<KeyedLog>(new KeyedLog(std::move(options)));
    KeyedLog& log = *opened.log;
    const std::string& path = log.options_.path;
    OpenFile file(path, O_RDWR | O_CREAT | O_APPEND);
    if (file.get() < 0) return std::unexpected(error_of(path, "open"));
    const auto take = [&opened](const View& view) {
        if (view.kind == kSet) {
            opened.records.insert_or_assign(std::string(view.key),
                                            Octets(view.value.begin(), view.value.end()));
        } else if (const auto known = opened.records.find(view.key);
                   known != opened.records.end()) {
            opened.records.erase(known);
        }
    };
    const auto base = contents_of(log.base_);
    if (!base) return std::unexpected(base.error());
    const auto closed = contents_of(log.closed_);
    if (!closed) return std::unexpected(closed.error());
    Octets bytes;
    if (!read_all(file.get(), bytes)) return std::unexpected(error_of(path, "read"));
    opened.damaged = base->size() - for_each_record(*base, take);
    opened.damaged += closed->size() - for_each_record(*closed, take);
    log.size_ = for_each_record(bytes, take);
    // What is appended behind half a record would never be read.
    if (log.size_ != bytes.size() && ::ftruncate(file.get(), static_cast<off_t>(log.size_)) != 0) {
        return std::unexpected(error_of(path, "cut off the damaged end"));
    }
    opened.damaged += bytes.size() - log.size_;
    log.file_ = file.release();
    log.base_size_ = base->size();
    log.closed_size_ = closed->size();
    log.has_closed_ = log.is_wanted_ = !closed->empty();
    log.thread_ = std::thread([raw = &log] { raw->run(); });
    return opened;
}

KeyedLog::~KeyedLog() {
    if (!buffer_.empty()) [[maybe_unused]]
        const auto committed = commit();
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            stops_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
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

std::size_t KeyedLog::size() const {
    const std::lock_guard lock(mutex_);
    return base_size_ + closed_size_ + size_;
}

std::expected<void, StoreError> KeyedLog::commit() {
    if (buffer_.empty()) return {};
    if (!write_all(file_, buffer_)) {
        const StoreError error = error_of(options_.path, "write");
        [[maybe_unused]] const int cut = ::ftruncate(file_, static_cast<off_t>(size_));
        buffer_.clear();
        return std::unexpected(error);
    }
    size_ += buffer_.size();
    buffer_.clear();
    if (options_.synchronous_full && ::fdatasync(file_) != 0) {
        return std::unexpected(error_of(options_.path, "sync"));
    }
    const std::lock_guard lock(mutex_);
    if (problem_.empty() && size_ >= retry_at_) tidy_up();
    if (problem_.empty()) return {};
    retry_at_ = size_ + options_.slack;
    return std::unexpected(StoreError{std::exchange(problem_, {})});
}

void KeyedLog::tidy_up() {
    if (has_closed_ && !is_wanted_) {  // it could not be brought into the base the last time
        is_wanted_ = true;
        changed_.notify_all();
    } else if (!has_closed_ && size_ > 3 * base_size_ + options_.slack) {
        close_file();
    }
}

/// From now on changes go to a new file. If there can be none they go on in this one, under
/// whichever name.
void KeyedLog::close_file() {
    // No such file: it was not possible to give it back its name the last time.
    if (std::rename(options_.path.c_str(), closed_.c_str()) != 0 && errno != ENOENT) {
        problem_ = error_of(options_.path, "close").what;
        return;
    }
    OpenFile fresh(options_.path, O_RDWR | O_CREAT | O_EXCL | O_APPEND);
    if (fresh.get() < 0) {
        problem_ = error_of(options_.path, "create").what;
        (void)std::rename(closed_.c_str(), options_.path.c_str());
        return;
    }
    if (options_.synchronous_full) sync_directory_of(options_.path);
    ::close(std::exchange(file_, fresh.release()));
    closed_size_ = std::exchange(size_, 0);
    retry_at_ = 0;
    has_closed_ = is_wanted_ = true;
    changed_.notify_all();
}

// -------------------------------------------------------------------------------- the thread

void KeyedLog::run() {
    work_in_spare_time();
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stops_ || is_wanted_; });
        if (stops_) return;  // the file stays for the next start
        lock.unlock();
        const auto made = make_base();
        lock.lock();
        is_wanted_ = false;
        if (made) {
            base_size_ = *made;
            closed_size_ = 0;
            has_closed_ = false;
        } else {
            problem_ = made.error().what;
        }
        changed_.notify_all();
    }
}

/// The base with what the closed file changes of it, which then goes. Octets of the new one.
std::expected<std::size_t, StoreError> KeyedLog::make_base() const {
    const auto base = contents_of(base_);
    if (!base) return std::unexpected(base.error());
    const auto closed = contents_of(closed_);
    if (!closed) return std::unexpected(closed.error());
    std::unordered_map<std::string_view, ConstByteSpan> last;
    const auto take = [&last](const View& view) {
        if (view.kind == kSet) {
            last.insert_or_assign(view.key, view.value);
        } else {
            last.erase(view.key);
        }
    };
    (void)for_each_record(*base, take);
    (void)for_each_record(*closed, take);

    const OpenFile file(next_, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
    if (file.get() < 0) return std::unexpected(error_of(next_, "create"));
    std::size_t written = 0;
    Octets piece;
    bool is_done = true;
    const auto flush = [&] {
        is_done = is_done && write_all(file.get(), piece);
        written += piece.size();
        piece.clear();
    };
    for (const auto& [key, value] : last) {
        put_record(piece, kSet, key, value);
        if (piece.size() >= kPiece) flush();
    }
    flush();
    // The closed file may go only when the new base is on the disk under its name.
    is_done =
        is_done && ::fdatasync(file.get()) == 0 && std::rename(next_.c_str(), base_.c_str()) == 0;
    if (!is_done) {
        StoreError error = error_of(base_, "write anew");
        ::unlink(next_.c_str());
        return std::unexpected(std::move(error));
    }
    sync_directory_of(base_);
    ::unlink(closed_.c_str());
    return written;
}

void KeyedLog::wait_for_base() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !is_wanted_; });
}

}  // namespace homeport::binding
