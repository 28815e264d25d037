// SPDX-License-Identifier: BSD-3-Clause
// Records by key in files that are appended to: what Mobile IPv4 keeps over a restart. A change is
// in a file when commit() returns, so that a crash of the process loses none; one write a round,
// whatever changed in it.
//
// The file grows with each change. When most of it is of no use any more it is closed, which costs
// commit() a rename, and a thread of its own brings it into the base. Whoever reads takes the files
// in this order, and the last of each key counts; a closed file that is in the base already changes
// nothing, so it does not matter at which step a process is killed.
//
//   PATH.base    each key once
//   PATH.closed  changes after that, on their way into the base; often there is none
//   PATH         changes after that
//   PATH.new     the next base, while it is written; nobody reads it
//
// Each is records {length, check, kind, key length, key, value}: 32, 32, 8, 16 bits, little-endian;
// length counts what is behind the check, check is its CRC-32C.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "controlplane/binding/store.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::binding {

class KeyedLog {
  public:
    struct Options {
        std::string path;
        bool synchronous_full = false;  // sync to the disk at each commit
        /// The file is closed once it has so many octets more than three times what the base has.
        std::size_t slack = std::size_t{8} << 20;
    };
    struct Opened {
        std::unique_ptr<KeyedLog> log;
        std::map<std::string, std::vector<std::uint8_t>, std::less<>> records;
        std::size_t damaged = 0;  // octets at the end that are no whole record; they are cut off
    };

    /// Opens or creates the file (mode 0600). The error is a sentence.
    [[nodiscard]] static std::expected<Opened, StoreError> open(Options options);
    ~KeyedLog();
    KeyedLog(const KeyedLog&) = delete;
    KeyedLog& operator=(const KeyedLog&) = delete;

    /// Key and value together may have up to 65000 octets; more than that is not kept.
    void set(std::string_view key, ConstByteSpan value);
    void erase(std::string_view key);
    [[nodiscard]] bool has_changes() const { return !buffer_.empty(); }
    /// Also tells, once, what went wrong when a closed file was brought into the base.
    [[nodiscard]] std::expected<void, StoreError> commit();
    /// Octets of all files that are read at a start.
    [[nodiscard]] std::size_t size() const;
    /// Waits until no closed file is left, or the last one could not be brought into the base.
    void wait_for_base();

  private:
    explicit KeyedLog(Options options);
    void append(std::uint8_t kind, std::string_view key, ConstByteSpan value);
    void tidy_up();
    void close_file();
    void run();
    [[nodiscard]] std::expected<std::size_t, StoreError> make_base() const;

    const Options options_;
    const std::string base_, closed_, next_;  // names of the other files
    std::vector<std::uint8_t> buffer_;        // not yet written
    int file_ = -1;
    std::size_t size_ = 0;      // of the file that is written
    std::size_t retry_at_ = 0;  // its size at which what failed is tried again

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t base_size_ = 0;  // guarded by mutex_, like the rest
    std::size_t closed_size_ = 0;
    std::string problem_;
    bool has_closed_ = false;
    bool is_wanted_ = false;  // the thread is to bring it into the base
    bool stops_ = false;
    std::thread thread_;
};

}  // namespace homeport::binding
