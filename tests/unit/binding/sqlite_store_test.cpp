// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/wire/hex.hpp"

namespace homeport::binding {
namespace {

using namespace homeport::test;
using std::chrono::seconds;
namespace fs = std::filesystem;

class SqliteStoreTest : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/binding-store-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
        path = (folder / "bindings.db").string();
    }
    void TearDown() override { fs::remove_all(folder); }

    std::unique_ptr<SqliteStore> open_store() {
        auto opened = SqliteStore::open({.path = path});
        EXPECT_TRUE(opened.has_value()) << opened.error().what;
        EXPECT_EQ(opened->set_aside, "");
        return std::move(opened->store);
    }
    Entry simple(unsigned number) const {
        Entry entry;
        entry.home_address = v6("2001:db8:1::");
        store_be32(entry.home_address.bytes.data() + 12, number);
        entry.care_of_address = v6("2001:db8:2::200");
        entry.state = State::kActive;
        entry.home_agent = v6("2001:db8:1::1");
        entry.deadline = clocks.steady + seconds{400};
        entry.registered = clocks.steady - seconds{1000};
        entry.updated = clocks.steady;
        return entry;
    }
    Entry full() const {
        Entry entry = simple(0x100);
        entry.care_of_address = v4("10.0.0.5");
        entry.state = State::kDeleteWait;
        entry.sequence = 0xfffe;
        entry.lifetime = {0xffff};
        entry.link_local = true;
        entry.key_management_mobility = true;
        entry.mobile_router = true;
        entry.force_udp = true;
        entry.virtual_home_link = false;
        entry.home_port = 65535;
        entry.node = "node 'one'; \"quoted\"";
        entry.prefix_mode = PrefixMode::kExplicit;
        entry.mobile_prefixes = {prefix6("2001:db8:9::/48"), prefix6("2001:db8:a::/64")};
        entry.ipv4_homes = {{*Ipv4Prefix::parse("192.0.2.100/32"), false},
                            {*Ipv4Prefix::parse("198.51.100.0/24"), true}};
        entry.encapsulation = Encapsulation::kIpv4Udp;
        entry.nat = NatVerdict::kNat;
        entry.outer_source = OuterSource{v4("203.0.113.7"), 40000};
        entry.local_endpoint = OuterSource{v4("192.0.2.1"), 4191};
        entry.esp_source = OuterSource{v4("203.0.113.7"), 61001};
        entry.nat_refresh_time = 0xffffffff;
        entry.ipv6_udp_port = 65535;
        return entry;
    }
    void execute(const char* sql) const {
        sqlite3* raw = nullptr;
        ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
        EXPECT_EQ(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), SQLITE_OK)
            << sqlite3_errmsg(raw);
        sqlite3_close(raw);
    }

    fs::path folder;
    std::string path;
    // Whole milliseconds: the resolution of the file.
    ClockPair clocks{TimePoint{seconds{5'000}}, WallTime{seconds{1'800'000'000}}};
};

TEST_F(SqliteStoreTest, every_field_comes_back) {
    auto store = open_store();
    ASSERT_TRUE(store->persist(full(), clocks).has_value());
    ASSERT_TRUE(store->commit().has_value());
    store.reset();
    const auto loaded = open_store()->load_all(clocks);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_TRUE(loaded->rejected.empty());
    EXPECT_EQ(loaded->entries, std::vector{full()});
}

TEST_F(SqliteStoreTest, a_lifetime_goes_on_while_the_control_plane_is_down) {
    auto store = open_store();
    ASSERT_TRUE(store->persist(simple(1), clocks).has_value());
    store.reset();
    // The machine started anew: another steady clock, 100 s later.
    const ClockPair later{TimePoint{seconds{7}}, clocks.wall + seconds{100}};
    const auto loaded = open_store()->load_all(later);
    ASSERT_EQ(loaded->entries.size(), 1u);
    EXPECT_EQ(remaining(loaded->entries[0], later.steady), seconds{300});
}

TEST_F(SqliteStoreTest, persist_replaces_and_erase_removes) {
    auto store = open_store();
    Entry entry = simple(1);
    ASSERT_TRUE(store->persist(entry, clocks).has_value());
    entry.sequence = 77;
    ASSERT_TRUE(store->persist(entry, clocks).has_value());
    ASSERT_TRUE(store->persist(simple(2), clocks).has_value());
    ASSERT_TRUE(store->erase(simple(2).home_address).has_value());
    ASSERT_TRUE(store->erase(simple(3).home_address).has_value());
    ASSERT_TRUE(store->commit().has_value());
    EXPECT_EQ(store->load_all(clocks)->entries, std::vector{entry});
}

TEST_F(SqliteStoreTest, tentative_entries_are_not_kept) {
    auto store = open_store();
    Entry entry = simple(1);
    entry.state = State::kTentative;
    ASSERT_TRUE(store->persist(entry, clocks).has_value());
    ASSERT_TRUE(store->commit().has_value());
    EXPECT_TRUE(store->load_all(clocks)->entries.empty());
}

TEST_F(SqliteStoreTest, what_was_committed_survives_SIGKILL_and_the_rest_is_gone_as_a_whole) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto store = SqliteStore::open({.path = path});
        if (!store) _exit(1);
        for (unsigned i = 0; i < 100; ++i) (void)store->store->persist(simple(i), clocks);
        (void)store->store->commit();
        for (unsigned i = 100; i < 200; ++i) (void)store->store->persist(simple(i), clocks);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(open_store()->load_all(clocks)->entries.size(), 100u);
}

TEST_F(SqliteStoreTest, a_full_batch_is_committed_without_being_asked) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto store = SqliteStore::open({.path = path, .batch = 10});
        if (!store) _exit(1);
        for (unsigned i = 0; i < 25; ++i) (void)store->store->persist(simple(i), clocks);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(open_store()->load_all(clocks)->entries.size(), 20u);
}

TEST_F(SqliteStoreTest, garbage_is_set_aside_and_said_so) {
    {
        std::ofstream file(path, std::ios::binary);
        for (int i = 0; i < 1000; ++i) file << "this is not a database ";
    }
    auto opened = SqliteStore::open({.path = path});
    ASSERT_TRUE(opened.has_value()) << opened.error().what;
    EXPECT_EQ(opened->set_aside, path + ".damaged-1");
    EXPECT_NE(opened->damage, "");
    EXPECT_TRUE(fs::exists(opened->set_aside));
    ASSERT_TRUE(opened->store->persist(simple(1), clocks).has_value());
    ASSERT_TRUE(opened->store->commit().has_value());
    EXPECT_EQ(opened->store->load_all(clocks)->entries.size(), 1u);
}

TEST_F(SqliteStoreTest, a_page_that_was_overwritten_is_found_at_opening) {
    {
        auto store = open_store();
        for (unsigned i = 0; i < 2000; ++i) {
            ASSERT_TRUE(store->persist(simple(i), clocks).has_value());
        }
        ASSERT_TRUE(store->commit().has_value());
    }
    {
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(4096 * 5);
        file << std::string(4096, '\x5a');
    }
    auto opened = SqliteStore::open({.path = path});
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(opened->set_aside, path + ".damaged-1");
    EXPECT_TRUE(opened->store->load_all(clocks)->entries.empty());
}

TEST_F(SqliteStoreTest, a_truncated_file_is_set_aside) {
    {
        auto store = open_store();
        for (unsigned i = 0; i < 2000; ++i) {
            ASSERT_TRUE(store->persist(simple(i), clocks).has_value());
        }
    }
    fs::resize_file(path, fs::file_size(path) / 2);
    auto opened = SqliteStore::open({.path = path});
    ASSERT_TRUE(opened.has_value());
    EXPECT_NE(opened->set_aside, "");
}

TEST_F(SqliteStoreTest, schema_version_1_is_brought_to_the_current_one_with_its_bindings) {
    {
        const auto store = open_store();
        ASSERT_TRUE(store->persist(full(), clocks));
        ASSERT_TRUE(store->commit());
    }
    execute("ALTER TABLE binding DROP COLUMN ipv6_udp_port");  // as version 1 had it
    execute("PRAGMA user_version = 1");
    for (int times = 0; times < 2; ++times) {
        const auto store = open_store();
        ASSERT_NE(store, nullptr);
        const auto loaded = store->load_all(clocks);
        ASSERT_TRUE(loaded.has_value());
        EXPECT_TRUE(loaded->rejected.empty());
        ASSERT_EQ(loaded->entries.size(), 1u);
        Entry expected = full();
        expected.ipv6_udp_port = 0;
        EXPECT_EQ(loaded->entries[0], expected);
    }
}

TEST_F(SqliteStoreTest, another_schema_version_is_an_error_and_left_alone) {
    open_store().reset();
    execute("PRAGMA user_version = 99");
    const auto opened = SqliteStore::open({.path = path});
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().what.find("schema version 99, expected 2"), std::string::npos)
        << opened.error().what;
    EXPECT_TRUE(fs::exists(path));
    EXPECT_FALSE(fs::exists(path + ".damaged-1"));
}

TEST_F(SqliteStoreTest, somebody_elses_database_is_an_error_and_left_alone) {
    execute("CREATE TABLE recipes (name TEXT)");
    const auto opened = SqliteStore::open({.path = path});
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().what.find("schema version 0, expected 2"), std::string::npos);
}

TEST_F(SqliteStoreTest, a_second_control_plane_is_refused) {
    const auto first = open_store();
    const auto second = SqliteStore::open({.path = path});
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().what.find("another process"), std::string::npos)
        << second.error().what;
}

TEST_F(SqliteStoreTest, a_folder_that_is_not_there_is_an_error_with_its_reason) {
    const auto opened = SqliteStore::open({.path = (folder / "no" / "where.db").string()});
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().what.find("No such file or directory"), std::string::npos);
}

TEST_F(SqliteStoreTest, a_record_that_makes_no_sense_is_left_out_and_named) {
    {
        auto store = open_store();
        ASSERT_TRUE(store->persist(simple(1), clocks).has_value());
        ASSERT_TRUE(store->persist(simple(2), clocks).has_value());
    }
    execute("UPDATE binding SET sequence = 70000 WHERE home_address = '2001:db8:1::1'");
    const auto loaded = open_store()->load_all(clocks);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->entries, std::vector{simple(2)});
    EXPECT_EQ(loaded->rejected,
              std::vector<std::string>{"binding of 2001:db8:1::1: bad value in column sequence"});
}

TEST_F(SqliteStoreTest, the_file_is_for_its_owner_only) {
    const auto store = open_store();
    struct stat status{};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace homeport::binding
