// SPDX-License-Identifier: BSD-3-Clause
// The binding store in one SQLite file (write-ahead log), for one machine.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "controlplane/binding/store.hpp"

namespace homeport::binding {

struct SqliteStoreOpener;

class SqliteStore final : public Store {
  public:
    struct Options {
        std::string path;
        /// Sync to the disk at each commit: bindings then survive loss of power, not only of the
        /// process. Costs one disk flush a commit.
        bool synchronous_full = false;
        /// persist() and erase() commit by themselves after this many changes.
        std::size_t batch = 4096;
    };
    struct Opened {
        std::unique_ptr<SqliteStore> store;
        /// Not empty if the file was damaged: it was moved to this path, and an empty one begun.
        std::string set_aside;
        std::string damage;  // why
    };
    static constexpr int kSchemaVersion = 2;

    /// Opens or creates the file (mode 0600). A file of another schema version, and one that is in
    /// use by another process, is an error and is left alone; a damaged one is set aside.
    [[nodiscard]] static std::expected<Opened, StoreError> open(const Options& options);

    ~SqliteStore() override;
    SqliteStore(const SqliteStore&) = delete;
    SqliteStore& operator=(const SqliteStore&) = delete;

    [[nodiscard]] std::expected<void, StoreError> persist(const Entry& entry,
                                                          const ClockPair& clocks) override;
    [[nodiscard]] std::expected<void, StoreError> erase(const Ipv6Address& home_address) override;
    [[nodiscard]] std::expected<void, StoreError> commit() override;
    [[nodiscard]] std::expected<Loaded, StoreError> load_all(const ClockPair& clocks) override;

  private:
    friend struct SqliteStoreOpener;
    struct Database;
    explicit SqliteStore(std::unique_ptr<Database> database);
    [[nodiscard]] std::expected<void, StoreError> begin();
    [[nodiscard]] std::expected<void, StoreError> count_change();

    std::unique_ptr<Database> database_;
};

}  // namespace homeport::binding
