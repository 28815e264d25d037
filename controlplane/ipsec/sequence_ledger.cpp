// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/sequence_ledger.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace homeport::sa {

struct SequenceLedger::Database {
    std::string path;
    sqlite3* handle = nullptr;
    sqlite3_stmt* upsert = nullptr;

    ~Database() {
        sqlite3_finalize(upsert);
        sqlite3_close(handle);
    }
    [[nodiscard]] std::string error(const char* what) const {
        return std::string(what) + " " + path + ": " + sqlite3_errmsg(handle);
    }
    [[nodiscard]] bool run(const char* sql) const {
        return sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
    }
};

namespace {

// SQLite would create the file with the process's umask.
bool make_private(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    const bool done = ::fchmod(fd, 0600) == 0;
    ::close(fd);
    return done;
}

}  // namespace

SequenceLedger::SequenceLedger(std::unique_ptr<Database> database)
    : database_(std::move(database)) {}
SequenceLedger::SequenceLedger(SequenceLedger&&) noexcept = default;
SequenceLedger& SequenceLedger::operator=(SequenceLedger&&) noexcept = default;
SequenceLedger::~SequenceLedger() = default;

SequenceLedger SequenceLedger::in_memory() {
    return SequenceLedger(nullptr);
}

std::expected<SequenceLedger, std::string> SequenceLedger::open(const std::string& path) {
    if (!make_private(path)) {
        return std::unexpected("cannot open " + path + ": " +
                               std::generic_category().message(errno));
    }
    auto database = std::make_unique<Database>();
    database->path = path;
    if (sqlite3_open_v2(path.c_str(), &database->handle, SQLITE_OPEN_READWRITE, nullptr) !=
        SQLITE_OK) {
        return std::unexpected(database->error("cannot open"));
    }
    sqlite3_busy_timeout(database->handle, 1000);
    // FULL: a number that was reported is on the disk, also when the power fails.
    if (!database->run("PRAGMA journal_mode=WAL") || !database->run("PRAGMA synchronous=FULL") ||
        !database->run("CREATE TABLE IF NOT EXISTS sequence(spi INTEGER PRIMARY KEY, highest "
                       "INTEGER NOT NULL)") ||
        sqlite3_prepare_v2(database->handle,
                           "INSERT INTO sequence VALUES(?1, ?2) ON CONFLICT(spi) DO UPDATE SET "
                           "highest = max(highest, ?2)",
                           -1, &database->upsert, nullptr) != SQLITE_OK) {
        return std::unexpected(database->error("cannot use"));
    }
    SequenceLedger ledger(std::move(database));
    sqlite3_stmt* read = nullptr;
    if (sqlite3_prepare_v2(ledger.database_->handle, "SELECT spi, highest FROM sequence", -1, &read,
                           nullptr) != SQLITE_OK) {
        return std::unexpected(ledger.database_->error("cannot read"));
    }
    int result;
    while ((result = sqlite3_step(read)) == SQLITE_ROW) {
        ledger.highest_[static_cast<std::uint32_t>(sqlite3_column_int64(read, 0))] =
            static_cast<std::uint64_t>(sqlite3_column_int64(read, 1));
    }
    sqlite3_finalize(read);
    if (result != SQLITE_DONE) return std::unexpected(ledger.database_->error("cannot read"));
    return ledger;
}

std::uint64_t SequenceLedger::begin(std::uint32_t spi) {
    const auto [it, is_new] = highest_.try_emplace(spi, 0);
    if (is_new) {
        changed_[spi] = 0;
        return 1;
    }
    return it->second + kMargin + 1;
}

void SequenceLedger::note(std::uint32_t spi, std::uint64_t sequence) {
    // SQLite's integers are signed; no counter comes near this.
    sequence = std::min(sequence, std::uint64_t{1} << 62);
    auto& highest = highest_[spi];
    if (sequence <= highest) return;
    highest = sequence;
    changed_[spi] = sequence;
}

std::expected<void, std::string> SequenceLedger::commit() {
    if (database_ == nullptr) changed_.clear();
    if (changed_.empty()) return {};
    if (!database_->run("BEGIN IMMEDIATE")) {
        return std::unexpected(database_->error("cannot write"));
    }
    for (const auto& [spi, sequence] : changed_) {
        sqlite3_bind_int64(database_->upsert, 1, static_cast<sqlite3_int64>(spi));
        sqlite3_bind_int64(database_->upsert, 2, static_cast<sqlite3_int64>(sequence));
        const int result = sqlite3_step(database_->upsert);
        sqlite3_reset(database_->upsert);
        if (result != SQLITE_DONE) {
            auto text = database_->error("cannot write");
            (void)database_->run("ROLLBACK");
            return std::unexpected(std::move(text));
        }
    }
    if (!database_->run("COMMIT")) {
        auto text = database_->error("cannot write");
        (void)database_->run("ROLLBACK");
        return std::unexpected(std::move(text));
    }
    changed_.clear();
    return {};
}

}  // namespace homeport::sa
