// SPDX-License-Identifier: BSD-3-Clause
// Records by key in one file that is appended to: what Mobile IPv4 keeps over a restart. A change
// is in the file when commit() returns, so that a crash of the process loses none; one write a
// round, whatever changed in it.
//
// The file grows with each change. When most of it is of no use any more it is written anew beside
// itself and renamed, which keeps the caller waiting for as long as the live records take.
//
//   PATH      records {length, check, kind, key length, key, value}: 32, 32, 8, 16 bits,
//             little-endian; length counts what is behind the check, check is its CRC-32C
//   PATH.new  the next one, while it is written
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/binding/store.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::binding {

class KeyedLog {
  public:
    struct Options {
        std::string path;
        bool synchronous_full = false;  // sync to the disk at each commit
        /// A file is written anew once it has so many octets more than four times what it had then.
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
    [[nodiscard]] std::expected<void, StoreError> commit();
    [[nodiscard]] std::size_t size() const { return size_; }  // octets of the file

  private:
    explicit KeyedLog(Options options) : options_(std::move(options)) {}
    void append(std::uint8_t kind, std::string_view key, ConstByteSpan value);
    [[nodiscard]] std::expected<void, StoreError> write_anew();
    [[nodiscard]] StoreError error_of(const char* operation) const;

    Options options_;
    std::vector<std::uint8_t> buffer_;  // not yet written
    int file_ = -1;
    std::size_t size_ = 0;
    std::size_t size_when_anew_ = 0;
};

}  // namespace homeport::binding
