// SPDX-License-Identifier: BSD-3-Clause
// The log of records by key: what was committed is there again, whatever is cut off behind it.
#include "controlplane/binding/keyed_log.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
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

TEST_F(KeyedLogTest, the_file_does_not_grow_without_end) {
    auto opened = open(10'000);
    const std::string value(100, 'v');
    for (int i = 0; i < 5000; ++i) {
        opened.log->set(std::to_string(i % 20), octets(value));
        ASSERT_TRUE(opened.log->commit());
        EXPECT_LT(opened.log->size(), 40'000u);
    }
    opened.log.reset();
    EXPECT_EQ(open().records.size(), 20u);
    EXPECT_FALSE(fs::exists(path_.string() + ".new"));
}

TEST_F(KeyedLogTest, a_directory_that_is_not_there_is_told) {
    const auto opened = KeyedLog::open({.path = (directory_ / "no" / "log").string()});
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().what.find("cannot open: No such file"), std::string::npos);
}

}  // namespace
}  // namespace homeport::binding
