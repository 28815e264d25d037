// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/authenticator.hpp"

#include <gtest/gtest.h>

#include "controlplane/wire/mip4_messages.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip4 {
namespace {

using test::from_hex;
using test::to_hex;

SecurityAssociation association(Algorithm algorithm, std::string_view key) {
    SecurityAssociation one;
    one.algorithm = algorithm;
    one.key = from_hex(key);
    return one;
}

std::vector<std::uint8_t> text(std::string_view characters) {
    return {characters.begin(), characters.end()};
}

TEST(Mip4Authenticator, vectors_C11_to_C13_hold) {
    const SecurityAssociation one =
        association(Algorithm::kHmacMd5, "00112233445566778899aabbccddeeff");
    for (const std::string_view vector :
         {"01220258c0000264c00002010a000005e8d4a510000000019006000000000000201400000100"
          "b2439cee557d87224c06536d1cffd1ce",
          "03000258c0000264c0000201e8d4a510000000012c0600000000006e201400000100"
          "6d666a52f435614370eeb83d53801cd3",
          "03000258c0000264c0000201e8d4a5100000000195020000201400000100"
          "d1986cfee63db7f5dcd6bde0feb78ae7"}) {
        auto message = from_hex(vector);
        const ConstByteSpan all(message);
        EXPECT_TRUE(is_authentic(one, all.first(all.size() - 16), all.last(16)));
        EXPECT_FALSE(is_authentic(one, all.first(all.size() - 16), all.last(15)));
        message[5] ^= 1;
        EXPECT_FALSE(is_authentic(one, all.first(all.size() - 16), all.last(16)));
    }
}

TEST(Mip4Authenticator, known_answers_of_rfc2202_and_rfc4231) {
    EXPECT_EQ(to_hex(authenticator(association(Algorithm::kHmacMd5, "4a656665"),
                                   text("what do ya want for nothing?"))),
              "750c783e6ab0b503eaa86e310a5db738");
    EXPECT_EQ(to_hex(authenticator(association(Algorithm::kHmacSha1, "4a656665"),
                                   text("what do ya want for nothing?"))),
              "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    EXPECT_EQ(to_hex(authenticator(association(Algorithm::kHmacSha256, "4a656665"),
                                   text("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Mip4Authenticator, keyed_md5_of_rfc2002_puts_the_key_on_both_sides) {
    // MD5 of "message digest" (RFC 1321 section A.5), cut so that the key is its first and last.
    const auto one = association(Algorithm::kKeyedMd5, "");
    EXPECT_EQ(to_hex(authenticator(one, text("message digest"))),
              "f96b697d7cb7938d525a2f31aaf161d0");
    // "abc" + "d" + "abc"
    const auto two = association(Algorithm::kKeyedMd5, "616263");
    const auto whole = association(Algorithm::kKeyedMd5, "");
    EXPECT_EQ(authenticator(two, text("d")), authenticator(whole, text("abcdabc")));
}

TEST(Mip4Authenticator, lengths_are_those_of_the_digests) {
    EXPECT_EQ(authenticator_length(Algorithm::kHmacMd5), 16u);
    EXPECT_EQ(authenticator_length(Algorithm::kKeyedMd5), 16u);
    EXPECT_EQ(authenticator_length(Algorithm::kHmacSha1), 20u);
    EXPECT_EQ(authenticator_length(Algorithm::kHmacSha256), 32u);
}

}  // namespace
}  // namespace homeport::mip4
