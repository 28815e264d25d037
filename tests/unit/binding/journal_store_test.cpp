// SPDX-License-Identifier: BSD-3-Clause
// The journal before the binding store: nothing committed is lost, whatever is cut off or spoilt,
// and all of it gets into the store behind.
#include "controlplane/binding/journal_store.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "controlplane/binding/entry_record.hpp"
#include "controlplane/binding/sqlite_store.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::binding {
namespace {

using namespace homeport::test;
using std::chrono::seconds;
namespace fs = std::filesystem;

constexpr ClockPair kClocks{TimePoint{seconds{5000}}, WallTime{seconds{1'700'000'000}}};

/// What a store behind would hold, and how often it fails.
struct Shelf {
    std::mutex mutex;
    std::map<Ipv6Address, Entry> entries;
    unsigned commits = 0;
    int scheduling = -1;  // class of the thread that committed last
    bool fails = false;
};

class FakeStore final : public Store {
  public:
    explicit FakeStore(Shelf& shelf) : shelf_(shelf) {}
    std::expected<void, StoreError> persist(const Entry& entry, const ClockPair& now) override {
        const std::lock_guard lock(shelf_.mutex);
        Entry& kept = shelf_.entries[entry.home_address] = entry;
        for (TimePoint* time : {&kept.deadline, &kept.registered, &kept.updated}) {
            *time = kClocks.to_steady(now.to_wall(*time));
        }
        return {};
    }
    std::expected<void, StoreError> erase(const Ipv6Address& home_address) override {
        const std::lock_guard lock(shelf_.mutex);
        shelf_.entries.erase(home_address);
        return {};
    }
    std::expected<void, StoreError> commit() override {
        const std::lock_guard lock(shelf_.mutex);
        if (shelf_.fails) return std::unexpected(StoreError{"the shelf is full"});
        ++shelf_.commits;
        shelf_.scheduling = sched_getscheduler(0);
        return {};
    }
    std::expected<Loaded, StoreError> load_all(const ClockPair&) override {
        const std::lock_guard lock(shelf_.mutex);
        Loaded loaded;
        for (const auto& [address, entry] : shelf_.entries) loaded.entries.push_back(entry);
        return loaded;
    }

  private:
    Shelf& shelf_;
};

class JournalStoreTest : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/binding-journal-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
    }
    void TearDown() override { fs::remove_all(folder); }

    std::unique_ptr<JournalStore> open(std::size_t fold_at = 1 << 20) {
        auto store = JournalStore::open({.path = folder / "bindings.db", .fold_at = fold_at},
                                        std::make_unique<FakeStore>(shelf));
        EXPECT_TRUE(store.has_value()) << store.error().what;
        return std::move(*store);
    }
    /// Opened and read, as the control plane does it.
    std::unique_ptr<JournalStore> begin(std::size_t fold_at = 1 << 20) {
        auto store = open(fold_at);
        loaded = *store->load_all(clocks);
        return store;
    }
    std::map<Ipv6Address, Entry> loaded_entries() {
        std::map<Ipv6Address, Entry> entries;
        for (const Entry& entry : loaded.entries) entries[entry.home_address] = entry;
        EXPECT_EQ(entries.size(), loaded.entries.size()) << "an address twice";
        return entries;
    }
    std::vector<fs::path> journals() const {
        std::vector<fs::path> files;
        for (const auto& file : fs::directory_iterator(folder)) files.push_back(file.path());
        std::ranges::sort(files);
        return files;
    }
    Entry simple(unsigned number, std::uint16_t sequence = 1) const {
        Entry entry;
        entry.home_address = v6("2001:db8:1::");
        store_be32(entry.home_address.bytes.data() + 12, number);
        entry.care_of_address = v6("2001:db8:2::200");
        entry.state = State::kActive;
        entry.sequence = sequence;
        entry.home_agent = v6("2001:db8:1::1");
        entry.deadline = clocks.steady + seconds{400};
        entry.registered = clocks.steady - seconds{1000};
        entry.updated = clocks.steady;
        return entry;
    }
    Entry full() const {
        Entry entry = simple(0x100, 0xfffe);
        entry.care_of_address = v4("10.0.0.5");
        entry.state = State::kDeleteWait;
        entry.lifetime = {0xffff};
        entry.link_local = entry.key_management_mobility = true;
        entry.mobile_router = entry.force_udp = true;
        entry.virtual_home_link = false;
        entry.home_port = 65535;
        entry.node = "node 'one'";
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

    fs::path folder;
    Shelf shelf;
    Store::Loaded loaded;
    ClockPair clocks = kClocks;
};

TEST_F(JournalStoreTest, every_member_comes_back) {
    std::vector<std::uint8_t> bytes;
    ASSERT_TRUE(append_entry(bytes, full(), clocks));
    ASSERT_TRUE(append_entry(bytes, simple(1), clocks));
    const auto first = view_record(bytes);
    ASSERT_TRUE(first);
    EXPECT_EQ(read_record(*first, clocks), full());
    const auto second = view_record(ConstByteSpan(bytes).subspan(first->size));
    ASSERT_TRUE(second);
    EXPECT_EQ(read_record(*second, clocks), simple(1));
    EXPECT_EQ(first->size + second->size, bytes.size());
}

TEST_F(JournalStoreTest, what_was_committed_is_there_after_the_next_start) {
    {
        auto store = begin();
        for (unsigned i = 0; i < 100; ++i) ASSERT_TRUE(store->persist(simple(i), clocks));
        ASSERT_TRUE(store->persist(simple(7, 2), clocks));
        ASSERT_TRUE(store->erase(simple(8).home_address));
        ASSERT_TRUE(store->persist(full(), clocks));
        ASSERT_TRUE(store->commit());
    }
    EXPECT_TRUE(shelf.entries.empty()) << "there was no need to";
    const auto store = begin();
    EXPECT_TRUE(loaded.rejected.empty());
    auto entries = loaded_entries();
    EXPECT_EQ(entries.size(), 100u);
    EXPECT_EQ(entries.at(simple(7).home_address), simple(7, 2));
    EXPECT_FALSE(entries.contains(simple(8).home_address));
    EXPECT_EQ(entries.at(full().home_address), full());
    store->wait_for_fold();
    EXPECT_TRUE(shelf.entries == entries) << "the start brings them into the store behind";
    EXPECT_EQ(journals().size(), 1u) << "the one that is written";
}

TEST_F(JournalStoreTest, tentative_entries_are_not_kept) {
    auto store = begin();
    Entry entry = simple(1);
    entry.state = State::kTentative;
    ASSERT_TRUE(store->persist(entry, clocks));
    ASSERT_TRUE(store->commit());
    store.reset();
    store = begin();
    EXPECT_TRUE(loaded.entries.empty());
}

TEST_F(JournalStoreTest, an_erased_one_that_the_store_behind_has_is_gone) {
    shelf.entries[simple(1).home_address] = simple(1);
    shelf.entries[simple(2).home_address] = simple(2);
    {
        auto store = begin();
        ASSERT_TRUE(store->erase(simple(1).home_address));
        ASSERT_TRUE(store->commit());
    }
    const auto store = begin();
    ASSERT_EQ(loaded.entries.size(), 1u);
    EXPECT_EQ(loaded.entries[0], simple(2));
    store->wait_for_fold();
    EXPECT_EQ(shelf.entries.size(), 1u);
}

TEST_F(JournalStoreTest,
       a_long_journal_is_brought_into_the_store_behind_while_the_next_is_written) {
    auto store = begin(4096);
    for (unsigned round = 0; round < 50; ++round) {
        for (unsigned i = 0; i < 40; ++i) {
            ASSERT_TRUE(store->persist(simple(i, static_cast<std::uint16_t>(round)), clocks));
        }
        ASSERT_TRUE(store->commit());
    }
    store->wait_for_fold();
    ASSERT_TRUE(store->commit());
    store.reset();
    EXPECT_GT(shelf.commits, 0u);
    EXPECT_LE(journals().size(), 2u);
    store = begin();
    EXPECT_EQ(loaded.entries.size(), 40u);
    for (const Entry& entry : loaded.entries) EXPECT_EQ(entry.sequence, 49);
}

TEST_F(JournalStoreTest, a_journal_goes_only_when_the_store_behind_has_it) {
    shelf.fails = true;
    auto store = begin(1024);
    for (unsigned i = 0; i < 100; ++i) ASSERT_TRUE(store->persist(simple(i), clocks));
    ASSERT_TRUE(store->commit());
    store->wait_for_fold();
    const auto told = store->commit();
    ASSERT_FALSE(told) << "what went wrong behind is told";
    EXPECT_EQ(told.error().what, "the shelf is full");
    EXPECT_TRUE(store->commit()) << "once";
    store.reset();
    shelf.entries.clear();
    shelf.fails = false;
    store = begin();
    EXPECT_EQ(loaded.entries.size(), 100u);
    store->wait_for_fold();
    EXPECT_EQ(shelf.entries.size(), 100u);
}

TEST_F(JournalStoreTest, a_real_time_control_plane_does_not_wait_for_the_database) {
    // Its event loop and the thread that fills the database may have one CPU between them.
    const int before = sched_getscheduler(0);
    const sched_param real_time{1}, none{};
    const bool is_real_time = sched_setscheduler(0, SCHED_FIFO, &real_time) == 0;  // else: as it is
    auto store = begin(1024);
    for (unsigned i = 0; i < 100; ++i) ASSERT_TRUE(store->persist(simple(i), clocks));
    ASSERT_TRUE(store->commit());
    store->wait_for_fold();
    ASSERT_TRUE(!is_real_time || sched_setscheduler(0, before, &none) == 0);
    EXPECT_EQ(shelf.scheduling, SCHED_BATCH);
}

TEST_F(JournalStoreTest, a_torn_end_costs_the_last_record_alone_and_is_told) {
    {
        auto store = begin();
        for (unsigned i = 0; i < 10; ++i) ASSERT_TRUE(store->persist(simple(i), clocks));
        ASSERT_TRUE(store->commit());
    }
    const fs::path file = journals().at(0);
    fs::resize_file(file, fs::file_size(file) - 1);
    const auto store = begin();
    EXPECT_EQ(loaded.entries.size(), 9u);
    EXPECT_EQ(loaded.rejected.size(), 1u);
}

TEST_F(JournalStoreTest, no_octet_of_a_record_can_change_unnoticed) {
    std::vector<std::uint8_t> bytes;
    ASSERT_TRUE(append_entry(bytes, full(), clocks));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            auto spoilt = bytes;
            spoilt[at] = static_cast<std::uint8_t>(spoilt[at] ^ 1u << bit);
            EXPECT_FALSE(view_record(spoilt)) << at;
        }
    }
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(view_record(ConstByteSpan(bytes).first(length)));
    }
}

TEST_F(JournalStoreTest, content_that_makes_no_sense_is_no_entry) {
    std::vector<std::uint8_t> bytes;
    ASSERT_TRUE(append_entry(bytes, full(), clocks));
    const RecordView sound = *view_record(bytes);
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::uint8_t> noise(sound.content.begin(), sound.content.end());
        for (unsigned i = 0; i < 1 + random() % 4; ++i) {
            noise[random() % noise.size()] = static_cast<std::uint8_t>(random());
        }
        noise.resize(noise.size() - random() % 3);
        RecordView record = sound;
        record.content = noise;
        (void)read_record(record, clocks);  // no access outside, no loop without end
    }
    RecordView longer = sound;
    std::vector<std::uint8_t> more(sound.content.begin(), sound.content.end());
    more.push_back(0);
    longer.content = more;
    EXPECT_FALSE(read_record(longer, clocks));
}

TEST_F(JournalStoreTest, a_journal_that_cannot_be_written_is_an_error_and_no_harm) {
    auto store = begin();
    fs::remove_all(folder);
    ASSERT_TRUE(store->persist(simple(1), clocks));
    EXPECT_TRUE(store->commit()) << "the open file is still there";
    store.reset();
    EXPECT_FALSE(
        JournalStore::open({.path = folder / "bindings.db"}, std::make_unique<FakeStore>(shelf)));
}

TEST_F(JournalStoreTest, with_the_database_behind) {
    const std::string path = folder / "bindings.db";
    const auto start = [&](std::size_t fold_at) {
        auto opened = SqliteStore::open({.path = path});
        EXPECT_TRUE(opened) << opened.error().what;
        auto store =
            JournalStore::open({.path = path, .fold_at = fold_at}, std::move(opened->store));
        EXPECT_TRUE(store) << store.error().what;
        loaded = *(*store)->load_all(clocks);
        return std::move(*store);
    };
    auto store = start(8192);
    for (unsigned i = 0; i < 2000; ++i) {
        ASSERT_TRUE(store->persist(simple(i), clocks));
        if (i % 100 == 99) {
            ASSERT_TRUE(store->commit());
        }
    }
    ASSERT_TRUE(store->persist(full(), clocks));
    ASSERT_TRUE(store->commit());
    store.reset();
    store = start(8192);
    EXPECT_EQ(loaded.entries.size(), 2000u) << "0x100 is one of them";
    EXPECT_TRUE(loaded.rejected.empty());
    EXPECT_EQ(loaded_entries().at(full().home_address), full());
    store->wait_for_fold();
    store.reset();
    const auto alone = SqliteStore::open({.path = path});
    ASSERT_TRUE(alone);
    EXPECT_EQ(alone->store->load_all(clocks)->entries.size(), 2000u);
}

}  // namespace
}  // namespace homeport::binding
