// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/sqlite_store.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <system_error>
#include <utility>

#include "controlplane/binding/sqlite_rows.hpp"

namespace homeport::binding {

namespace {

static_assert(SqliteStore::kSchemaVersion == 2, "kBindingSchema and kMigrationFrom1 set it");

struct StatementDeleter {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementDeleter>;

bool is_damage(int code) {
    const int primary = code & 0xff;
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

}  // namespace

struct SqliteStore::Database {
    std::string path;
    std::size_t batch = 0;
    std::size_t changes = 0;  // since the transaction began
    sqlite3* handle = nullptr;
    Statement insert;
    Statement remove;

    Database() = default;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database() {
        insert.reset();
        remove.reset();
        sqlite3_close_v2(handle);
    }

    [[nodiscard]] StoreError error(std::string_view operation) const {
        return {"binding store " + path + ": cannot " + std::string{operation} + ": " +
                (handle != nullptr ? sqlite3_errmsg(handle) : "out of memory")};
    }
    [[nodiscard]] int execute(const char* sql) const {
        return sqlite3_exec(handle, sql, nullptr, nullptr, nullptr);
    }
    [[nodiscard]] int prepare(const std::string& sql, Statement& statement) const {
        sqlite3_stmt* raw = nullptr;
        const int code =
            sqlite3_prepare_v2(handle, sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
        statement.reset(raw);
        return code;
    }
    /// The single text value of a query, or its error code.
    [[nodiscard]] int query(const char* sql, std::string& value) const {
        Statement statement;
        if (const int code = prepare(sql, statement); code != SQLITE_OK) return code;
        const int code = sqlite3_step(statement.get());
        if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_ERROR : code;
        const auto* text = sqlite3_column_text(statement.get(), 0);
        value = text != nullptr ? reinterpret_cast<const char*>(text) : "";
        return SQLITE_OK;
    }
};

namespace {

/// Why a file could not be taken as it is: damaged (it may be set aside), or another reason.
struct OpenFailure {
    bool damaged = false;
    StoreError error;
};

}  // namespace

/// Steps of opening that need the private Database.
struct SqliteStoreOpener {
    using Database = SqliteStore::Database;

    static std::expected<void, StoreError> create_file(const std::string& path) {
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            return std::unexpected(StoreError{
                "binding store " + path +
                ": cannot open: " + std::error_code(errno, std::generic_category()).message()});
        }
        ::close(fd);
        return {};
    }

    static std::unexpected<OpenFailure> failure(const Database& database, int code,
                                                std::string_view operation) {
        StoreError error = database.error(operation);
        if ((code & 0xff) == SQLITE_BUSY) error.what += " (another process has it open)";
        return std::unexpected(OpenFailure{is_damage(code), std::move(error)});
    }

    static std::expected<void, OpenFailure> configure(Database& database, bool synchronous_full) {
        sqlite3_extended_result_codes(database.handle, 1);
        sqlite3_busy_timeout(database.handle, 2000);
        const char* synchronous =
            synchronous_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
        // The exclusive lock is taken with the first access and kept: one control plane a file.
        for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL",
                                synchronous, "BEGIN EXCLUSIVE", "COMMIT"}) {
            if (const int code = database.execute(sql); code != SQLITE_OK) {
                return failure(database, code, sql);
            }
        }
        return {};
    }

    static std::expected<void, OpenFailure> check_schema(Database& database) {
        std::string version;
        std::string tables;
        if (const int code = database.query("PRAGMA user_version", version); code != SQLITE_OK) {
            return failure(database, code, "read the schema version");
        }
        if (const int code = database.query("SELECT count(*) FROM sqlite_master", tables);
            code != SQLITE_OK) {
            return failure(database, code, "read the schema");
        }
        if (version == "0" && tables == "0") {
            const std::string sql = std::string{"BEGIN;"} + kBindingSchema + "COMMIT;";
            if (const int code = database.execute(sql.c_str()); code != SQLITE_OK) {
                return failure(database, code, "create the schema");
            }
            return {};
        }
        if (version == "1") {
            const std::string sql = std::string{"BEGIN;"} + kMigrationFrom1 + "COMMIT;";
            if (const int code = database.execute(sql.c_str()); code != SQLITE_OK) {
                (void)database.execute("ROLLBACK");
                return failure(database, code, "bring the schema from version 1 to 2");
            }
            return {};
        }
        if (version != std::to_string(SqliteStore::kSchemaVersion)) {
            return std::unexpected(OpenFailure{
                false,
                {"binding store " + database.path + ": schema version " + version + ", expected " +
                 std::to_string(SqliteStore::kSchemaVersion) +
                 ": written by another release; move the file away to begin an empty store"}});
        }
        return {};
    }

    static std::expected<void, OpenFailure> check_content(Database& database) {
        std::string verdict;
        if (const int code = database.query("PRAGMA quick_check(1)", verdict); code != SQLITE_OK) {
            return failure(database, code, "check the file");
        }
        if (verdict != "ok") {
            return std::unexpected(OpenFailure{
                true, {"binding store " + database.path + ": check of the file: " + verdict}});
        }
        return {};
    }

    static std::expected<void, OpenFailure> prepare(Database& database) {
        const std::string insert = std::string{"INSERT OR REPLACE INTO binding ("} +
                                   kBindingColumns + ") VALUES (" + binding_parameters() + ")";
        // The version is right, so a column that is missing is damage.
        if (database.prepare(insert, database.insert) != SQLITE_OK ||
            database.prepare("DELETE FROM binding WHERE home_address = ?", database.remove) !=
                SQLITE_OK) {
            return std::unexpected(OpenFailure{true, database.error("use the schema")});
        }
        return {};
    }

    static std::expected<std::unique_ptr<Database>, OpenFailure> try_open(
        const SqliteStore::Options& options) {
        if (auto created = create_file(options.path); !created) {
            return std::unexpected(OpenFailure{false, created.error()});
        }
        auto database = std::make_unique<Database>();
        database->path = options.path;
        database->batch = options.batch == 0 ? 1 : options.batch;
        const int code = sqlite3_open_v2(options.path.c_str(), &database->handle,
                                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
        if (code != SQLITE_OK) return failure(*database, code, "open");
        auto done = configure(*database, options.synchronous_full);
        if (done) done = check_schema(*database);
        if (done) done = check_content(*database);
        if (done) done = prepare(*database);
        if (!done) return std::unexpected(std::move(done).error());
        return database;
    }

    /// Renames the file and its log; the name it got.
    static std::expected<std::string, StoreError> set_aside(const std::string& path) {
        for (int number = 1; number < 1000; ++number) {
            std::string target = path + ".damaged-" + std::to_string(number);
            struct stat status{};
            if (::lstat(target.c_str(), &status) == 0) continue;
            if (std::rename(path.c_str(), target.c_str()) != 0) break;
            for (const char* suffix : {"-wal", "-shm"}) {
                std::rename((path + suffix).c_str(), (target + suffix).c_str());
            }
            return target;
        }
        return std::unexpected(
            StoreError{"binding store " + path + ": damaged, and cannot be renamed: " +
                       std::error_code(errno, std::generic_category()).message()});
    }
};

SqliteStore::SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

SqliteStore::~SqliteStore() {
    // Nobody is left to be told; the caller commits before it lets go.
    if (database_->changes == 0) return;
    [[maybe_unused]] const auto committed = commit();
}

std::expected<SqliteStore::Opened, StoreError> SqliteStore::open(const Options& options) {
    auto database = SqliteStoreOpener::try_open(options);
    if (database) {
        return Opened{std::unique_ptr<SqliteStore>(new SqliteStore(*std::move(database))), {}, {}};
    }
    if (!database.error().damaged) return std::unexpected(database.error().error);
    const auto moved = SqliteStoreOpener::set_aside(options.path);
    if (!moved) return std::unexpected(moved.error());
    auto fresh = SqliteStoreOpener::try_open(options);
    if (!fresh) return std::unexpected(fresh.error().error);
    return Opened{std::unique_ptr<SqliteStore>(new SqliteStore(*std::move(fresh))), *moved,
                  database.error().error.what};
}

std::expected<void, StoreError> SqliteStore::begin() {
    if (sqlite3_get_autocommit(database_->handle) == 0) return {};
    if (database_->execute("BEGIN") != SQLITE_OK) {
        return std::unexpected(database_->error("begin a transaction"));
    }
    return {};
}

std::expected<void, StoreError> SqliteStore::count_change() {
    if (++database_->changes < database_->batch) return {};
    return commit();
}

std::expected<void, StoreError> SqliteStore::persist(const Entry& entry, const ClockPair& clocks) {
    if (entry.state == State::kTentative) return {};
    if (auto begun = begin(); !begun) return begun;
    sqlite3_stmt* statement = database_->insert.get();
    bind_entry(statement, entry, clocks);
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (code != SQLITE_DONE) return std::unexpected(database_->error("write a binding"));
    return count_change();
}

std::expected<void, StoreError> SqliteStore::erase(const Ipv6Address& home_address) {
    if (auto begun = begin(); !begun) return begun;
    sqlite3_stmt* statement = database_->remove.get();
    bind_home_address(statement, home_address);
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE) return std::unexpected(database_->error("erase a binding"));
    return count_change();
}

std::expected<void, StoreError> SqliteStore::commit() {
    database_->changes = 0;
    if (sqlite3_get_autocommit(database_->handle) != 0) return {};
    if (database_->execute("COMMIT") == SQLITE_OK) return {};
    auto error = database_->error("commit");
    if (sqlite3_get_autocommit(database_->handle) == 0) (void)database_->execute("ROLLBACK");
    return std::unexpected(std::move(error));
}

std::expected<Store::Loaded, StoreError> SqliteStore::load_all(const ClockPair& clocks) {
    Statement select;
    if (database_->prepare(std::string{"SELECT "} + kBindingColumns + " FROM binding", select) !=
        SQLITE_OK) {
        return std::unexpected(database_->error("read the bindings"));
    }
    Loaded loaded;
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
        auto entry = read_entry(select.get(), clocks);
        if (entry) {
            loaded.entries.push_back(*std::move(entry));
        } else {
            loaded.rejected.push_back(std::move(entry).error());
        }
    }
    if (code != SQLITE_DONE) return std::unexpected(database_->error("read the bindings"));
    return loaded;
}

}  // namespace homeport::binding
