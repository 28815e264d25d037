// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/journal_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "controlplane/binding/entry_record.hpp"
#include "controlplane/binding/spare_time.hpp"

namespace homeport::binding {

namespace {

constexpr std::string_view kSuffix = ".journal-";
constexpr std::size_t kRowsAtOnce = 512;  // of one transaction of the store behind
constexpr auto kRetry = std::chrono::seconds(30);

StoreError error_of(const std::string& file, const char* operation, int code) {
    return {"binding journal " + file + ": cannot " + operation + ": " +
            std::error_code(code, std::generic_category()).message()};
}

/// A file, mapped; empty if it is.
class MappedFile {
  public:
    static std::expected<MappedFile, StoreError> open(const std::string& file) {
        const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) return std::unexpected(error_of(file, "open", errno));
        struct stat status{};
        MappedFile mapped;
        if (::fstat(fd, &status) == 0 && status.st_size > 0) {
            mapped.size_ = static_cast<std::size_t>(status.st_size);
            mapped.data_ = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_PRIVATE, fd, 0);
        }
        const int code = errno;
        ::close(fd);
        if (mapped.data_ != MAP_FAILED) return mapped;
        return std::unexpected(error_of(file, "read", code));
    }
    MappedFile(MappedFile&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    MappedFile& operator=(MappedFile&&) = delete;
    ~MappedFile() {
        if (size_ != 0 && data_ != MAP_FAILED) ::munmap(data_, size_);
    }
    [[nodiscard]] ConstByteSpan bytes() const {
        return {static_cast<const std::uint8_t*>(data_), size_};
    }

  private:
    MappedFile() = default;
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Calls take(record) for each sound record; what is behind the last one, in octets.
template <class Take>
std::size_t for_each_record(ConstByteSpan bytes, Take&& take) {
    while (const auto record = view_record(bytes)) {
        take(*record);
        bytes = bytes.subspan(record->size);
    }
    return bytes.size();
}

}  // namespace

JournalStore::JournalStore(Options options, std::unique_ptr<Store> behind)
    : options_(std::move(options)), behind_(std::move(behind)) {}

std::expected<std::unique_ptr<JournalStore>, StoreError> JournalStore::open(
    Options options, std::unique_ptr<Store> behind) {
    auto store =
        std::unique_ptr<JournalStore>(new JournalStore(std::move(options), std::move(behind)));
    if (auto found = store->find_journals(); !found) return std::unexpected(found.error());
    if (auto begun = store->begin_journal(); !begun) return std::unexpected(begun.error());
    store->thread_ = std::thread([raw = store.get()] { raw->run(); });
    return store;
}

JournalStore::~JournalStore() {
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
    if (file_ >= 0 && size_ == 0) ::unlink(file_name(number_).c_str());
}

std::string JournalStore::file_name(std::uint64_t number) const {
    return options_.path + std::string(kSuffix) + std::to_string(number);
}

/// What an earlier process left: to be read by load_all(), then brought into the store behind.
std::expected<void, StoreError> JournalStore::find_journals() {
    const std::filesystem::path path = options_.path;
    const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
    const std::string begin = path.filename().string() + std::string(kSuffix);
    std::error_code code;
    std::vector<std::uint64_t> numbers;
    for (const auto& file : std::filesystem::directory_iterator(directory, code)) {
        const std::string name = file.path().filename().string();
        if (!name.starts_with(begin)) continue;
        std::uint64_t number = 0;
        const char* const end = name.data() + name.size();
        const auto [parsed, error] = std::from_chars(name.data() + begin.size(), end, number);
        if (error == std::errc{} && parsed == end) numbers.push_back(number);
    }
    if (code) return std::unexpected(error_of(options_.path, "look for journals", code.value()));
    std::ranges::sort(numbers);
    for (const std::uint64_t number : numbers) closed_.push_back(file_name(number));
    if (!numbers.empty()) number_ = numbers.back();
    return {};
}

std::expected<void, StoreError> JournalStore::begin_journal() {
    const std::string file = file_name(number_ + 1);
    const int opened =
        ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (opened < 0) return std::unexpected(error_of(file, "create", errno));
    file_ = opened;
    ++number_;
    size_ = 0;
    return {};
}

std::expected<void, StoreError> JournalStore::persist(const Entry& entry, const ClockPair& clocks) {
    if (entry.state == State::kTentative) return {};
    if (append_entry(buffer_, entry, clocks)) return {};
    return std::unexpected(StoreError{"binding journal " + options_.path + ": the binding of " +
                                      entry.home_address.to_string() + " is too long"});
}

std::expected<void, StoreError> JournalStore::erase(const Ipv6Address& home_address) {
    append_erasure(buffer_, home_address);
    return {};
}

std::expected<void, StoreError> JournalStore::commit() {
    if (file_ < 0) {  // could not be begun the last time
        if (auto begun = begin_journal(); !begun) {
            buffer_.clear();
            return begun;
        }
    }
    std::size_t written = 0;
    while (written < buffer_.size()) {
        const ssize_t count = ::write(file_, buffer_.data() + written, buffer_.size() - written);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            const int code = count < 0 ? errno : ENOSPC;
            // Half a record would hide those behind it.
            [[maybe_unused]] const int cut = ::ftruncate(file_, static_cast<off_t>(size_));
            buffer_.clear();
            return std::unexpected(error_of(file_name(number_), "write", code));
        }
        written += static_cast<std::size_t>(count);
    }
    size_ += written;
    buffer_.clear();
    if (options_.synchronous_full && ::fdatasync(file_) != 0) {
        return std::unexpected(error_of(file_name(number_), "sync", errno));
    }
    if (size_ >= options_.fold_at) close_journal();
    // No lock in the ordinary case: the thread that may hold it runs when there is time.
    if (!has_problem_.load(std::memory_order_acquire)) return {};
    const std::lock_guard lock(mutex_);
    has_problem_.store(false, std::memory_order_relaxed);
    return std::unexpected(StoreError{std::exchange(problem_, {})});
}

/// Hands the journal over, unless the thread still has one: then only when it grew too long.
void JournalStore::close_journal() {
    std::unique_lock lock(mutex_);
    if (!closed_.empty() && !has_failed_) {
        if (size_ < options_.most) return;
        changed_.wait(lock, [this] { return closed_.empty() || has_failed_; });
    }
    const int old = std::exchange(file_, -1);
    const std::string name = file_name(number_);
    if (!begin_journal()) {  // goes on with the old one, and tries again at the next commit
        file_ = old;
        return;
    }
    ::close(old);
    closed_.push_back(name);
    has_failed_ = false;
    changed_.notify_all();
}

std::expected<Store::Loaded, StoreError> JournalStore::load_all(const ClockPair& clocks) {
    std::unique_lock lock(mutex_);
    if (is_loaded_) {  // by now the thread uses the store behind
        return std::unexpected(StoreError{"binding journal " + options_.path +
                                          ": read twice, expected once at the start"});
    }
    auto loaded = behind_->load_all(clocks);
    if (!loaded) return loaded;
    std::unordered_map<Ipv6Address, std::size_t> index;
    index.reserve(loaded->entries.size());
    for (std::size_t i = 0; i < loaded->entries.size(); ++i) {
        index.emplace(loaded->entries[i].home_address, i);
    }
    std::vector<bool> is_erased(loaded->entries.size(), false);
    for (const std::string& file : closed_) {
        const auto mapped = MappedFile::open(file);
        if (!mapped) return std::unexpected(mapped.error());
        const std::size_t rest = for_each_record(mapped->bytes(), [&](const RecordView& record) {
            const auto known = index.find(record.home_address);
            if (record.is_erasure) {
                if (known != index.end()) is_erased[known->second] = true;
                return;
            }
            auto entry = read_record(record, clocks);
            if (!entry) {
                loaded->rejected.push_back("binding of " + record.home_address.to_string() +
                                           " in " + file + ": makes no sense");
            } else if (known != index.end()) {
                loaded->entries[known->second] = *std::move(entry);
                is_erased[known->second] = false;
            } else {
                index.emplace(record.home_address, loaded->entries.size());
                loaded->entries.push_back(*std::move(entry));
                is_erased.push_back(false);
            }
        });
        if (rest != 0) {
            loaded->rejected.push_back("the last " + std::to_string(rest) + " octets of " + file +
                                       ": no whole record");
        }
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < loaded->entries.size(); ++i) {
        if (is_erased[i]) continue;
        if (kept != i) loaded->entries[kept] = std::move(loaded->entries[i]);
        ++kept;
    }
    loaded->entries.resize(kept);
    is_loaded_ = true;
    changed_.notify_all();
    return loaded;
}

// -------------------------------------------------------------------------------- the thread

void JournalStore::run() {
    work_in_spare_time();
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(
            lock, [this] { return stops_ || (is_loaded_ && !closed_.empty() && !has_failed_); });
        if (stops_) return;
        const std::string file = closed_.front();
        lock.unlock();
        const auto folded = fold(file);
        lock.lock();
        if (folded) {
            closed_.pop_front();
            changed_.notify_all();
            continue;
        }
        if (stops_) return;
        problem_ = folded.error().what;
        has_problem_.store(true, std::memory_order_release);
        has_failed_ = true;
        changed_.notify_all();
        changed_.wait_for(lock, kRetry, [this] { return stops_ || !has_failed_; });
        has_failed_ = false;
    }
}

std::expected<void, StoreError> JournalStore::fold(const std::string& file) {
    const auto mapped = MappedFile::open(file);
    if (!mapped) return std::unexpected(mapped.error());
    // Of each home address the last record counts; neighbours in the database come together.
    std::unordered_map<Ipv6Address, RecordView> last;
    (void)for_each_record(mapped->bytes(), [&](const RecordView& record) {
        last.insert_or_assign(record.home_address, record);
    });
    std::vector<const RecordView*> rows;
    rows.reserve(last.size());
    for (const auto& [address, record] : last) rows.push_back(&record);
    std::ranges::sort(rows, {}, [](const RecordView* row) { return row->home_address; });

    const ClockPair clocks{std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
    std::size_t pending = 0;
    for (const RecordView* row : rows) {
        std::expected<void, StoreError> done;
        if (row->is_erasure) {
            done = behind_->erase(row->home_address);
        } else if (const auto entry = read_record(*row, clocks)) {
            done = behind_->persist(*entry, clocks);
        }
        if (done && ++pending == kRowsAtOnce) {
            pending = 0;
            done = behind_->commit();
            const std::lock_guard lock(mutex_);
            if (stops_) return std::unexpected(StoreError{});  // the file stays for the next start
        }
        if (!done) return done;
    }
    if (auto done = behind_->commit(); !done) return done;
    ::unlink(file.c_str());
    return {};
}

void JournalStore::wait_for_fold() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_.empty() || has_failed_; });
}

}  // namespace homeport::binding
