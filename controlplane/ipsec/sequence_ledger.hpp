// SPDX-License-Identifier: BSD-3-Clause
// The highest sequence number that each outbound SA with a static key may have used, kept on disk:
// after a restart of the data plane the SA goes on beyond it, so that no number is used twice.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <unordered_map>

namespace homeport::sa {

class SequenceLedger {
  public:
    /// The data plane's report may be late: so many numbers beyond the last one are given up.
    static constexpr std::uint64_t kMargin = 1u << 16;

    /// Opens or creates the SQLite file (mode 0600). The error is a sentence.
    [[nodiscard]] static std::expected<SequenceLedger, std::string> open(const std::string& path);
    /// Without a file: forgets everything at the end of the process. For tests and virtual set-ups.
    [[nodiscard]] static SequenceLedger in_memory();

    SequenceLedger(SequenceLedger&&) noexcept;
    SequenceLedger& operator=(SequenceLedger&&) noexcept;
    ~SequenceLedger();

    /// The first number that the SA may use: 1 the first time that this SPI is asked for, then
    /// kMargin beyond everything that was noted. Note: safe only after the next commit().
    [[nodiscard]] std::uint64_t begin(std::uint32_t spi);

    /// The SA used `sequence`. Lower numbers than noted before change nothing.
    void note(std::uint32_t spi, std::uint64_t sequence);

    /// Writes what changed since the last time, and syncs it to the disk.
    [[nodiscard]] std::expected<void, std::string> commit();
    [[nodiscard]] bool has_changes() const { return !changed_.empty(); }

  private:
    struct Database;
    explicit SequenceLedger(std::unique_ptr<Database> database);

    std::unique_ptr<Database> database_;  // null: in memory
    std::unordered_map<std::uint32_t, std::uint64_t> highest_;
    std::unordered_map<std::uint32_t, std::uint64_t> changed_;
};

}  // namespace homeport::sa
