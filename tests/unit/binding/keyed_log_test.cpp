// SPDX-License-Identifier: BSD-3-Clause
// The log of records by key: what was committed is there again, whatever is cut off behind it.
#include "controlplane/binding/keyed_log.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace homeport::binding {
namespace {

namespace fs = std::filesystem;

class KeyedLogTest : public ::testing::Test {
  protected:
    KeyedLogTest() {
        std::string name = (fs::temp_directory_path() / "keyed-log-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        path_ = directory_ / "log";
    }
    ~KeyedLogTest() override { fs::remove_all(directory_); }

    KeyedLog::Opened open(std::size_t slack = std::size_t{8} << 20) const {
        auto opened = KeyedLog::open({.path = path_.string(), .slack = slack});
        EXPECT_TRUE(opened) << opened.error().what;
        return std::move(*opened);
    }
    static ConstByteSpan octets(std::string_view text) {
        return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    }
    static std::string text(const std::vector<std::uint8_t>& octets) {
        return {octets.begin(), octets.end()};
    }

    fs::path directory_, path_;
};

TEST_F(KeyedLogTest, the_last_of_each_key_is_there_again) {
    {
        const auto opened = open();
        EXPECT_TRUE(opened.records.empty());
        opened.log->set("a", octets("one"));
        opened.log->set("b", octets("two"));
        ASSERT_TRUE(opened.log->commit());
        opened.log->set("a", octets("three"));
        opened.log->erase("b");
        opened.log->set("c", {});
        ASSERT_TRUE(opened.log->commit());
    }
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    const auto again = open();
    EXPECT_EQ(again.damaged, 0u);
    ASSERT_EQ(again.records.size(), 2u);
    EXPECT_EQ(text(again.records.at("a")), "three");
    EXPECT_TRUE(again.records.at("c").empty());
}

TEST_F(KeyedLogTest, nothing_sound_is_lost_whatever_is_cut_off) {
    {
        const auto opened = open();
        for (int i = 0; i < 10; ++i) opened.log->set(std::to_string(i), octets("value"));
    }
    const auto whole = fs::file_size(path_);
    const std::size_t record = whole / 10;
    std::ifstream in(path_, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    for (std::size_t length = 0; length < whole; ++length) {
        std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes.substr(0, length);
        const auto opened = open();
        EXPECT_EQ(opened.records.size(), length / record) << length;
        EXPECT_EQ(opened.damaged, length % record);
        // What comes next is behind the sound part.
        opened.log->set("new", octets("x"));
        ASSERT_TRUE(opened.log->commit());
        EXPECT_TRUE(open().records.contains("new")) << length;
    }
    std::string spoilt = bytes;
    spoilt[record * 4 + 12] ^= 1;
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << spoilt;
    EXPECT_EQ(open().records.size(), 4u);
}

TEST_F(KeyedLogTest, the_files_do_not_grow_without_end) {
    auto opened = open(10'000);
    const std::string value(100, 'v');
    for (int i = 0; i < 5000; ++i) {
        opened.log->set(std::to_string(i % 20), octets(value));
        ASSERT_TRUE(opened.log->commit());
        opened.log->wait_for_base();
        EXPECT_LT(opened.log->size(), 40'000u);
    }
    opened.log.reset();
    EXPECT_EQ(open().records.size(), 20u);
    EXPECT_FALSE(fs::exists(path_.string() + ".new"));
    EXPECT_FALSE(fs::exists(path_.string() + ".closed"));
}

/// Whatever is there when a process is killed: the files in order are what was committed.
TEST_F(KeyedLogTest, each_step_of_making_a_base_may_be_the_last_one) {
    const auto write = [](const fs::path& file, std::initializer_list<const char*> changes) {
        fs::remove(file);
        const auto opened = KeyedLog::open({.path = file.string()});
        for (const std::string_view change : changes) {
            if (change[0] == '-') {
                opened->log->erase(change.substr(1));
            } else {
                opened->log->set(change.substr(0, 1), octets(change.substr(1)));
            }
        }
    };
    const fs::path base = path_.string() + ".base", closed = path_.string() + ".closed",
                   next = path_.string() + ".new";
    const fs::path old = directory_ / "old", middle = directory_ / "middle",
                   last = directory_ / "3";
    write(old, {"a1", "b1", "c1"});
    write(middle, {"a2", "-b", "d2"});
    write(last, {"a3", "e3"});
    const auto put = [](const fs::path& from, const fs::path& to) {
        fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    };
    const auto expect = [&](const char* when) {
        for (int round = 0; round < 2; ++round) {  // and again after what that start did
            auto opened = open();
            EXPECT_EQ(opened.damaged, 0u) << when;
            std::string all;
            for (const auto& [key, value] : opened.records) all += key + text(value) + ' ';
            EXPECT_EQ(all, "a3 c1 d2 e3 ") << when;
            opened.log->wait_for_base();
            EXPECT_FALSE(fs::exists(closed)) << when;
        }
        for (const fs::path& file : {path_, base, closed, next}) fs::remove(file);
    };
    put(old, base), put(middle, closed), put(last, path_);
    expect("the base is not begun");
    put(old, base), put(middle, closed), put(last, path_);
    std::ofstream(next, std::ios::binary) << "half";
    expect("the base is half written");
    write(base, {"a2", "c1", "d2"});
    put(middle, closed), put(last, path_);
    expect("the base is there and the closed file has not gone");
    write(base, {"a2", "c1", "d2"});
    put(last, path_);
    expect("it has gone");
    put(old, base), put(middle, closed);
    {
        std::ofstream both(closed, std::ios::binary | std::ios::app);
        std::ifstream in(last, std::ios::binary);
        both << in.rdbuf();
    }
    expect("the new file is not there yet");
    write(path_, {"a1", "b1", "c1", "a2", "-b", "d2", "a3", "e3"});
    expect("one file alone, as earlier versions had it");
}

/// RFC 5944 section 5.7: an identification that was taken must not be taken again.
TEST_F(KeyedLogTest, nothing_committed_is_lost_when_the_process_is_killed) {
    constexpr unsigned kKeys = 50;
    std::vector<std::uint32_t> acknowledged(kKeys, 0);
    std::uint32_t number = 0;
    unsigned bases = 0;
    for (unsigned round = 0; round < 20; ++round) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {  // writes, and tells what is committed, until it is killed
            ::close(ends[0]);
            auto opened = KeyedLog::open({.path = path_.string(), .slack = 500});
            if (!opened) ::_exit(1);
            for (std::uint32_t n = number + 1;; ++n) {
                std::array<std::uint8_t, 40> value{};
                std::memcpy(value.data(), &n, sizeof n);
                opened->log->set(std::to_string(n % kKeys), value);
                if (!opened->log->commit()) ::_exit(2);
                // On a busy machine the thread that makes bases gets no time of its own.
                if (round % 2 == 0 && n % 128 == 0) opened->log->wait_for_base();
                if (::write(ends[1], &n, sizeof n) != sizeof n) ::_exit(3);
            }
        }
        ::close(ends[1]);
        const std::uint32_t until = number + 300 + round * 37;
        std::uint32_t n = 0;
        while (n < until && ::read(ends[0], &n, sizeof n) == sizeof n) acknowledged[n % kKeys] = n;
        EXPECT_GE(n, until) << "the writer ended by itself";
        ::kill(child, SIGKILL);
        while (::read(ends[0], &n, sizeof n) == sizeof n) acknowledged[n % kKeys] = n;
        ::close(ends[0]);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
        number = n;
        bases += fs::exists(path_.string() + ".base") ? 1u : 0u;
        const auto opened = open();
        for (unsigned key = 0; key < kKeys; ++key) {
            std::uint32_t kept = 0;
            const auto record = opened.records.find(std::to_string(key));
            if (record != opened.records.end()) {
                std::memcpy(&kept, record->second.data(), sizeof kept);
            }
            // What was committed and not told any more may be there, too.
            EXPECT_GE(kept, acknowledged[key]) << "key " << key << " in round " << round;
            EXPECT_LE(kept, number + kKeys);
            number = std::max(number, kept);
        }
    }
    EXPECT_GT(bases, 0u) << "never killed when there was a base";
}

TEST_F(KeyedLogTest, a_base_that_cannot_be_made_is_told_and_made_later) {
    auto opened = open(1000);
    fs::create_directory(path_.string() + ".new");
    std::string told;
    const std::string value(100, 'v');
    for (int i = 0; i < 200; ++i) {
        opened.log->set(std::to_string(i % 20), octets(value));
        if (const auto done = opened.log->commit(); !done) told = done.error().what;
        opened.log->wait_for_base();
    }
    EXPECT_NE(told.find(".new: cannot create"), std::string::npos) << told;
    fs::remove(path_.string() + ".new");
    for (int i = 0; i < 200; ++i) {
        opened.log->set(std::to_string(i % 20), octets(value));
        (void)opened.log->commit();
        opened.log->wait_for_base();
    }
    EXPECT_TRUE(fs::exists(path_.string() + ".base"));
    opened.log.reset();
    EXPECT_EQ(open().records.size(), 20u);
}

TEST_F(KeyedLogTest, a_directory_that_is_not_there_is_told) {
    const auto opened = KeyedLog::open({.path = (directory_ / "no" / "log").string()});
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().what.find("cannot open: No such file"), std::string::npos);
}

}  // namespace
}  // namespace homeport::binding
