// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/key.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

class KeyFile : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "keyXXXXXX").string();
        directory_ = mkdtemp(pattern.data());
        path_ = directory_ + "/key";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    void write(const std::string& text, mode_t mode) {
        std::ofstream(path_) << text;
        ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    }
    [[nodiscard]] std::string error(std::size_t length) const {
        auto key = load_key_file(path_, length);
        return key ? "no error" : key.error().text;
    }

    std::string directory_;
    std::string path_;
};

TEST_F(KeyFile, is_read) {
    for (const char* text :
         {"000102030405060708090a0b0c0d0e0f", "0x00010203 04050607\n08090A0B 0C0D0E0F\n"}) {
        write(text, 0600);
        const auto key = load_key_file(path_, 16);
        ASSERT_TRUE(key) << key.error().text;
        EXPECT_EQ(test::hex(key->view()), "000102030405060708090a0b0c0d0e0f");
        ASSERT_EQ(chmod(path_.c_str(), 0400), 0);
        EXPECT_TRUE(load_key_file(path_, 16));
        ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
    }
}

TEST_F(KeyFile, errors_say_what_where_and_what_was_expected) {
    EXPECT_EQ(error(16), "key file " + path_ + ": cannot open: No such file or directory");
    write("00112233", 0644);
    EXPECT_EQ(error(4), "key file " + path_ + ": mode 0644, expected 0600 or 0400");
    ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
    EXPECT_EQ(error(16), "key file " + path_ + ": holds 4 octets of key, expected 16");
    EXPECT_EQ(error(1000), "key file " + path_ +
                               ": a key of 1000 octets was asked for, the longest is " +
                               std::to_string(SecretBytes::kCapacity));
    write("0011223x", 0600);
    EXPECT_EQ(error(4), "key file " + path_ + ": not two hex digits at offset 6");
    write("001", 0600);
    EXPECT_EQ(error(4), "key file " + path_ + ": not two hex digits at offset 2");
    write("", 0600);
    EXPECT_EQ(error(4), "key file " + path_ + ": holds 0 octets of key, expected 4");
    write(std::string(2000, '0'), 0600);
    EXPECT_EQ(error(4), "key file " + path_ + ": 2000 octets long, expected at most 1024");
    path_ = directory_;
    EXPECT_EQ(error(4), "key file " + path_ + ": not a regular file");
}

TEST_F(KeyFile, of_another_user_is_refused) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
    write("00112233", 0600);
    ASSERT_EQ(chown(path_.c_str(), 12345, 0), 0);
    EXPECT_EQ(error(4), "key file " + path_ + ": owned by uid 12345, expected uid 0 or root");
}

TEST(SecretBytes, are_wiped_when_moved_from) {
    SecretBytes first(test::unhex("00112233"));
    SecretBytes second(std::move(first));
    EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that is the point
    EXPECT_EQ(test::hex(second.view()), "00112233");
    SecretBytes third;
    third = std::move(second);
    EXPECT_TRUE(second.empty());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(test::hex(third.clone().view()), "00112233");
}

TEST(SecretBytes, leave_nothing_in_memory) {
    alignas(SecretBytes) std::uint8_t place[sizeof(SecretBytes)];
    auto* key = new (place) SecretBytes(test::pattern(64, 1));
    key->~SecretBytes();
    volatile const std::uint8_t* octets = place;
    for (std::size_t i = 0; i < 64; ++i) ASSERT_EQ(octets[i], 0) << i;
}

}  // namespace
}  // namespace homeport::ipsec
