// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/mobility_key.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace homeport::sa {
namespace {

std::vector<std::uint8_t> octets(std::string_view hex) {
    std::vector<std::uint8_t> out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        out.push_back(
            static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return out;
}

TEST(MobilityKey, S2_121_weak_secrets_are_refused) {
    for (const char* weak : {"", "9f3b77c1a2d04e5586e1f0d3b2c4a5",      // 120 bits
                             "00000000000000000000000000000000",        // nothing
                             "000102030405060708090a0b0c0d0e0f",        // counts
                             "0f0e0d0c0b0a09080706050403020100",        //
                             "0123456789abcdef0123456789abcdef",        // twice
                             "deadbeefdeadbeefdeadbeefdeadbeefdeadbe",  //
                             "69206c6f766520796f75203132333421"}) {     // typed
        EXPECT_NE(weakness_of(octets(weak)), nullptr) << weak;
    }
    for (const char* good : {"9f3b77c1a2d04e5586e1f0d3b2c4a518",
                             "00112233445566778899aabbccddeefe",  // one step differs
                             "5b1e77c1a2d04e5586e1f0d3b2c4a518009cd3"}) {
        EXPECT_EQ(weakness_of(octets(good)), nullptr) << good;
    }
}

TEST(MobilityKey, S2_121_the_loader_says_which_file_and_why) {
    char name[] = "/tmp/homeport-key-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    const std::string file = directory + "/k";
    const auto write = [&](const char* text) {
        std::ofstream(file) << text << "\n";
        ::chmod(file.c_str(), 0600);
    };
    write("000102030405060708090a0b0c0d0e0f");
    const auto weak = load_mobility_key(file);
    ASSERT_FALSE(weak);
    EXPECT_NE(weak.error().text.find(file + ": a weak key (octets that count"), std::string::npos);
    write("9f3b77c1a2d04e5586e1f0d3b2c4");
    const auto shorter = load_mobility_key(file);
    ASSERT_FALSE(shorter);
    EXPECT_NE(shorter.error().text.find("14 octets of key, expected 16 to 64"), std::string::npos);
    write("9f3b77c1a2d04e5586e1f0d3b2c4a518");
    EXPECT_TRUE(load_mobility_key(file));
    ::chmod(file.c_str(), 0644);
    EXPECT_FALSE(load_mobility_key(file));
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace homeport::sa
