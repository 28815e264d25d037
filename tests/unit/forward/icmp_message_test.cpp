// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/icmp_message.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tunnel/packets.hpp"

namespace homeport::forward {
namespace {

using stage::IcmpErrorKind;
using test::Bytes;
using test::concat;
using test::ipv4;
using test::ipv6;
using test::v4;
using test::v6;

const Ipv6Address kSource = v6("2001:db8::1");
const Ipv6Address kDestination = v6("2001:db8::2");

bool may(const Bytes& packet, IcmpErrorKind kind, bool to_group = false, std::uint8_t code = 0) {
    return may_report(packet, static_cast<std::uint8_t>(packet[0] >> 4), {kind, code, 0}, to_group);
}

TEST(MayReport, ordinary_packets) {
    EXPECT_TRUE(may(ipv6(kSource, kDestination, 17, Bytes(8, 0)), IcmpErrorKind::kNoRoute));
    EXPECT_TRUE(
        may(ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 17, Bytes(8, 0)), IcmpErrorKind::kNoRoute));
}

TEST(MayReport, RFC4443_2_4_e_not_about_errors_and_redirects) {
    for (unsigned type = 0; type < 256; ++type) {
        const Bytes message{static_cast<std::uint8_t>(type), 0, 0, 0, 0, 0, 0, 0};
        const bool allowed = type >= 128 && type != 137;
        EXPECT_EQ(may(ipv6(kSource, kDestination, 58, message), IcmpErrorKind::kNoRoute), allowed)
            << type;
        // Behind extension headers too.
        const Bytes behind = concat({test::options_header(58, {1, 4, 0, 0, 0, 0}), message});
        EXPECT_EQ(may(ipv6(kSource, kDestination, 60, behind), IcmpErrorKind::kNoRoute), allowed)
            << type;
        const Bytes fragment = concat({{58, 0, 0, 1, 0, 0, 0, 1}, message});
        EXPECT_EQ(may(ipv6(kSource, kDestination, 44, fragment), IcmpErrorKind::kNoRoute), allowed)
            << type;
    }
}

TEST(MayReport, RFC1122_not_about_icmpv4_errors) {
    for (unsigned type = 0; type < 256; ++type) {
        const Bytes message{static_cast<std::uint8_t>(type), 0, 0, 0, 0, 0, 0, 0};
        const bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
        EXPECT_EQ(may(ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 1, message), IcmpErrorKind::kNoRoute),
                  !is_error)
            << type;
    }
}

TEST(MayReport, groups_only_hear_of_mtu_and_options) {
    const Bytes packet = ipv6(kSource, v6("ff0e::1"), 17, Bytes(8, 0));
    const Bytes single = ipv6(kSource, kDestination, 17, Bytes(8, 0));
    EXPECT_FALSE(may(packet, IcmpErrorKind::kNoRoute));
    EXPECT_FALSE(may(single, IcmpErrorKind::kTimeExceeded, true));
    EXPECT_TRUE(may(packet, IcmpErrorKind::kPacketTooBig));
    EXPECT_TRUE(may(single, IcmpErrorKind::kPacketTooBig, true));
    EXPECT_TRUE(may(packet, IcmpErrorKind::kParameterProblem, true, 2));
    EXPECT_FALSE(may(packet, IcmpErrorKind::kParameterProblem, true, 0));
    EXPECT_FALSE(
        may(ipv4(v4("192.0.2.1"), v4("224.0.0.1"), 17, Bytes(8, 0)), IcmpErrorKind::kPacketTooBig));
    EXPECT_FALSE(may(ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 17, Bytes(8, 0)),
                     IcmpErrorKind::kPacketTooBig, true));
}

TEST(MayReport, not_to_sources_that_are_no_single_node) {
    for (const char* const source : {"::", "::1", "ff02::1", "::ffff:192.0.2.1"}) {
        EXPECT_FALSE(may(ipv6(v6(source), kDestination, 17, Bytes(8, 0)), IcmpErrorKind::kNoRoute))
            << source;
    }
    for (const char* const source : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
        EXPECT_FALSE(
            may(ipv4(v4(source), v4("192.0.2.2"), 17, Bytes(8, 0)), IcmpErrorKind::kNoRoute))
            << source;
    }
}

TEST(MayReport, not_about_later_fragments_nor_what_cannot_be_read) {
    EXPECT_FALSE(may(ipv6(kSource, kDestination, 44, concat({{17, 0, 0, 8, 0, 0, 0, 1}, Bytes(8)})),
                     IcmpErrorKind::kNoRoute));
    EXPECT_FALSE(may(ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 17, Bytes(8), {.flags_offset = 1}),
                     IcmpErrorKind::kNoRoute));
    const Bytes whole = ipv6(kSource, kDestination, 60,
                             concat({test::options_header(58, {1, 4, 0, 0, 0, 0}), Bytes(8, 128)}));
    for (std::size_t length = 1; length <= 48; ++length) {
        EXPECT_FALSE(may(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)),
                         IcmpErrorKind::kNoRoute))
            << length;
    }
    EXPECT_TRUE(may(Bytes(whole.begin(), whole.begin() + 49), IcmpErrorKind::kNoRoute));
}

TEST(WriteIcmpv6, types_and_codes_of_RFC4443) {
    const Bytes packet = ipv6(kSource, kDestination, 17, Bytes(8, 0));
    const struct {
        IcmpError error;
        std::uint8_t type, code;
        std::uint32_t data;
    } cases[] = {
        {{IcmpErrorKind::kTimeExceeded, 0, 7}, 3, 0, 0},
        {{IcmpErrorKind::kTimeExceeded, 1, 0}, 3, 1, 0},
        {{IcmpErrorKind::kPacketTooBig, 0, 1400}, 2, 0, 1400},
        {{IcmpErrorKind::kNoRoute, 0, 9}, 1, 0, 0},
        {{IcmpErrorKind::kAddressUnreachable, 0, 0}, 1, 3, 0},
        {{IcmpErrorKind::kAdminProhibited, 0, 0}, 1, 1, 0},
        {{IcmpErrorKind::kParameterProblem, 2, 42}, 4, 2, 42},
    };
    for (const auto& expected : cases) {
        std::array<std::uint8_t, kMaxIcmpv6Error> out{};
        const std::uint16_t length =
            write_icmpv6_error(out.data(), kDestination, kSource, expected.error, packet);
        ASSERT_EQ(length, 40u + 8 + packet.size());
        EXPECT_EQ(out[40], expected.type);
        EXPECT_EQ(out[41], expected.code);
        EXPECT_EQ(load_be32(out.data() + 44), expected.data);
        const ConstByteSpan message(out.data() + 40, length - 40u);
        const auto sum = pseudo_header_sum(kDestination, kSource, length - 40u, 58);
        EXPECT_EQ(checksum_finish(checksum_add(sum, message)), 0);
    }
}

TEST(WriteIcmpv6, quotes_as_much_as_fits_1280) {
    std::array<std::uint8_t, kMaxIcmpv6Error> out{};
    for (const std::size_t size :
         {std::size_t{1191}, std::size_t{1192}, std::size_t{1193}, std::size_t{1460}}) {
        const Bytes packet = ipv6(kSource, kDestination, 17, Bytes(size, 1));
        EXPECT_EQ(write_icmpv6_error(out.data(), kDestination, kSource,
                                     {.kind = IcmpErrorKind::kNoRoute}, packet),
                  std::min<std::size_t>(1280, 48 + packet.size()));
    }
}

TEST(WriteIcmpv4, types_and_codes_of_RFC792_and_RFC1191) {
    const Bytes packet = ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 17, Bytes(8, 0));
    const struct {
        IcmpError error;
        std::uint8_t type, code;
        std::uint32_t data;
    } cases[] = {
        {{IcmpErrorKind::kTimeExceeded, 0, 0}, 11, 0, 0},
        {{IcmpErrorKind::kPacketTooBig, 0, 1400}, 3, 4, 1400},
        {{IcmpErrorKind::kNoRoute, 0, 0}, 3, 0, 0},
        {{IcmpErrorKind::kAddressUnreachable, 0, 0}, 3, 1, 0},
        {{IcmpErrorKind::kAdminProhibited, 0, 0}, 3, 13, 0},
        {{IcmpErrorKind::kParameterProblem, 0, 20}, 12, 0, 20u << 24},
    };
    for (const auto& expected : cases) {
        std::array<std::uint8_t, kMaxIcmpv4Error> out{};
        const std::uint16_t length = write_icmpv4_error(
            out.data(), v4("192.0.2.9"), v4("192.0.2.1"), 77, expected.error, packet);
        ASSERT_EQ(length, 28u + packet.size());
        EXPECT_EQ(out[20], expected.type);
        EXPECT_EQ(out[21], expected.code);
        EXPECT_EQ(load_be32(out.data() + 24), expected.data);
        EXPECT_EQ(internet_checksum({out.data(), 20}), 0);
        EXPECT_EQ(internet_checksum({out.data() + 20, length - 20u}), 0);
        EXPECT_EQ(load_be16(out.data() + 4), 77);
    }
}

}  // namespace
}  // namespace homeport::forward
