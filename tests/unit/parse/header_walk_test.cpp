// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/parse/header_walk.hpp"

#include <gtest/gtest.h>

#include "dataplane/parse/options.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::parse {
namespace {

using namespace homeport::test;

constexpr std::uint8_t kUdp = 17;
const Bytes kPayload(16, 0x5a);

Bytes fragment_header(std::uint8_t next_header, std::uint16_t offset_flags, std::uint32_t id) {
    Bytes bytes(8);
    bytes[0] = next_header;
    store_be16(bytes.data() + 2, offset_flags);
    store_be32(bytes.data() + 4, id);
    return bytes;
}
Bytes routing_header(std::uint8_t next_header, std::uint8_t type, std::uint8_t segments_left,
                     const Ipv6Address& address) {
    Bytes bytes{next_header, 2, type, segments_left, 0, 0, 0, 0};
    append(bytes, Bytes(address.bytes.begin(), address.bytes.end()));
    return bytes;
}
Bytes from_cn(std::uint8_t next_header, const Bytes& payload) {
    return ipv6(kCorrespondent, kHomeAddress, next_header, payload);
}

TEST(HeaderWalk, plain_ipv6_packet) {
    Headers headers;
    ASSERT_EQ(walk(kC5Inner, headers), Error::kNone);
    EXPECT_EQ(headers.family, 6);
    EXPECT_EQ(headers.protocol, kUdp);
    EXPECT_EQ(headers.facts, 0);
    EXPECT_EQ(headers.upper_offset, 40);
    EXPECT_EQ(headers.end, 64);
}

TEST(HeaderWalk, padding_of_the_link_is_behind_the_end) {
    Bytes packet = from_cn(59, {});
    packet.resize(46);
    Headers headers;
    ASSERT_EQ(walk(packet, headers), Error::kNone);
    EXPECT_EQ(headers.end, 40);
    Bytes small = ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 17, Bytes(8));
    small.resize(46);
    ASSERT_EQ(walk(small, headers), Error::kNone);
    EXPECT_EQ(headers.end, 28);
}

TEST(HeaderWalk, each_truncation_is_an_error) {
    const Bytes chain =
        concat({options_header(43, {5, 2, 0, 0, 1, 0}), routing_header(60, 2, 1, kHomeAddress),
                options_header(44, Bytes(6)), fragment_header(17, 0, 7), kPayload});
    const std::vector<Bytes> packets{
        kC5Inner, kC2BindingUpdate, kC4Wire, from_cn(0, chain),
        ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 17, kPayload, {.options = {7, 3, 4, 0}})};
    for (const Bytes& packet : packets) {
        Headers headers;
        ASSERT_EQ(walk(packet, headers), Error::kNone);
        for (std::size_t length = 0; length < packet.size(); ++length) {
            EXPECT_EQ(walk(ConstByteSpan(packet).first(length), headers), Error::kTruncated)
                << length << " of " << packet.size();
        }
    }
}

TEST(HeaderWalk, lengths_of_the_chain_must_fit_the_payload_length_not_the_buffer) {
    const Bytes packet = from_cn(60, concat({options_header(17, Bytes(6)), kPayload}));
    for (std::uint16_t payload = 0; payload < 8; ++payload) {
        Bytes lying = packet;
        store_be16(lying.data() + 4, payload);
        Headers headers;
        EXPECT_EQ(walk(lying, headers), Error::kTruncated) << payload;
    }
    Bytes long_header = packet;
    long_header[41] = 3;  // 32 octets of 24
    Headers headers;
    EXPECT_EQ(walk(long_header, headers), Error::kTruncated);
}

TEST(HeaderWalk, chain_of_all_extension_headers) {
    const Bytes packet =
        from_cn(0, concat({options_header(60, {5, 2, 0, 0, 1, 0}), options_header(43, Bytes(6)),
                           routing_header(44, 2, 1, kHomeAddress), fragment_header(60, 0, 7),
                           options_header(17, Bytes(6)), kPayload}));
    Headers headers;
    ASSERT_EQ(walk(packet, headers), Error::kNone);
    EXPECT_EQ(headers.protocol, kUdp);
    EXPECT_EQ(headers.upper_offset, 40 + 8 + 8 + 24 + 8 + 8);
    EXPECT_EQ(headers.upper_name_offset, 40 + 8 + 8 + 24 + 8);
    EXPECT_EQ(headers.facts, kHopByHopOptions | kRouterAlert | kDestinationOptions |
                                 kRoutingHeader | kAtomicFragment);
    EXPECT_EQ(headers.routing_offset, 56);
    EXPECT_EQ(headers.routing_type, 2);
    EXPECT_EQ(headers.segments_left, 1);
    EXPECT_EQ(headers.fragment_header_offset, 80);
    EXPECT_EQ(headers.fragment_name_offset, 56);

    std::vector<std::uint8_t> types;
    std::vector<std::uint16_t> offsets;
    for_each_extension_header(packet, [&](const ExtensionHeader& header) {
        types.push_back(header.type);
        offsets.push_back(header.offset);
        return true;
    });
    EXPECT_EQ(types, (std::vector<std::uint8_t>{0, 60, 43, 44, 60}));
    EXPECT_EQ(offsets, (std::vector<std::uint16_t>{40, 48, 56, 80, 88}));
}

TEST(HeaderWalk, fragments_end_the_walk) {
    Headers headers;
    const Bytes first = from_cn(44, concat({fragment_header(17, 0x0001, 0x01020304), kPayload}));
    ASSERT_EQ(walk(first, headers), Error::kNone);
    EXPECT_EQ(headers.protocol, 44);
    EXPECT_EQ(headers.upper_offset, 40);
    EXPECT_TRUE(headers.has(kFragment));
    EXPECT_FALSE(headers.has(kAtomicFragment));
    EXPECT_TRUE(headers.more_fragments);
    EXPECT_EQ(headers.identification, 0x01020304u);

    // What would be a broken header is data of a later fragment.
    const Bytes last =
        from_cn(44, concat({fragment_header(60, 1440, 9), Bytes{17, 255, 1, 2, 3, 4, 5, 6}}));
    ASSERT_EQ(walk(last, headers), Error::kNone);
    EXPECT_EQ(headers.protocol, 44);
    EXPECT_EQ(headers.fragment_offset, 1440);
    EXPECT_FALSE(headers.more_fragments);
}

TEST(HeaderWalk, hop_by_hop_options_come_first_or_not_at_all) {
    Headers headers;
    const Bytes late =
        from_cn(60, concat({options_header(0, Bytes(6)), options_header(17, Bytes(6)), kPayload}));
    EXPECT_EQ(walk(late, headers), Error::kHeader);
}

TEST(HeaderWalk, chains_are_bounded) {
    for (unsigned count = 1; count <= 12; ++count) {
        Bytes chain;
        for (unsigned i = 1; i <= count; ++i) {
            append(chain, options_header(i == count ? 17 : 60, Bytes(6)));
        }
        append(chain, kPayload);
        Headers headers;
        EXPECT_EQ(walk(from_cn(60, chain), headers),
                  count <= kMaxExtensionHeaders ? Error::kNone : Error::kHeader)
            << count;
    }
    Headers headers;
    const Bytes twice = from_cn(44, concat({fragment_header(44, 0, 1), fragment_header(17, 0, 1)}));
    EXPECT_EQ(walk(twice, headers), Error::kHeader);
}

TEST(HeaderWalk, hop_by_hop_options_are_checked) {
    Headers headers;
    for (const Bytes& options : {Bytes{5, 9, 0, 0, 1, 0}, Bytes{1, 3, 0, 0, 0, 5}}) {
        EXPECT_EQ(walk(from_cn(0, concat({options_header(17, options), kPayload})), headers),
                  Error::kHeader);
    }
    Bytes many(2 + 62, 0);
    many[0] = 17;
    many[1] = 7;
    EXPECT_EQ(walk(from_cn(0, concat({many, kPayload})), headers), Error::kNone);
    many.resize(72, 0);
    many[1] = 8;
    EXPECT_EQ(walk(from_cn(0, concat({many, kPayload})), headers), Error::kHeader);
}

TEST(HeaderWalk, the_routing_header_that_is_not_used_up_is_reported) {
    const Bytes packet = from_cn(
        43, concat({routing_header(43, 4, 0, kHomeAddress), routing_header(43, 2, 1, kHomeAddress),
                    routing_header(17, 3, 1, kHomeAddress), kPayload}));
    Headers headers;
    ASSERT_EQ(walk(packet, headers), Error::kNone);
    EXPECT_EQ(headers.routing_type, 2);
    EXPECT_EQ(headers.routing_offset, 64);
}

TEST(HeaderWalk, esp_and_ah_are_upper_protocols) {
    for (const std::uint8_t protocol : Bytes{50, 51, 135, 41, 4, 59, 255, 139}) {
        Headers headers;
        ASSERT_EQ(
            walk(from_cn(60, concat({options_header(protocol, Bytes(6)), kPayload})), headers),
            Error::kNone);
        EXPECT_EQ(headers.protocol, protocol);
        EXPECT_EQ(headers.upper_offset, 48);
    }
}

TEST(HeaderWalk, sources_that_nobody_may_send) {
    struct Case {
        const char* source;
        const char* destination;
        Error expected;
    };
    const Case cases[] = {
        {"ff02::1", "2001:db8::1", Error::kSource},
        {"ff0e::1", "2001:db8::1", Error::kSource},
        {"::1", "2001:db8::1", Error::kSource},
        {"::ffff:192.0.2.1", "2001:db8::1", Error::kSource},
        {"::", "2001:db8::1", Error::kSource},
        {"::", "ff02::1:ff00:100", Error::kNone},
        {"fe80::1", "2001:db8::1", Error::kNone},
        {"fdff::1", "2001:db8::1", Error::kNone},
    };
    for (const Case& c : cases) {
        for (const bool with_options : {false, true}) {
            const Bytes packet = with_options
                                     ? ipv6(v6(c.source), v6(c.destination), 60,
                                            concat({options_header(17, Bytes(6)), kPayload}))
                                     : ipv6(v6(c.source), v6(c.destination), 17, kPayload);
            Headers headers;
            EXPECT_EQ(walk(packet, headers), c.expected) << c.source << " " << with_options;
        }
    }
}

TEST(HeaderWalk, version) {
    for (unsigned version = 0; version < 16; ++version) {
        Bytes packet = kC5Inner;
        packet[0] = static_cast<std::uint8_t>(version << 4);
        Headers headers;
        const Error error = walk(packet, headers);
        if (version == 6) {
            EXPECT_EQ(error, Error::kNone);
        } else if (version == 4) {
            EXPECT_EQ(error, Error::kHeader);  // header length 0
        } else {
            EXPECT_EQ(error, Error::kVersion) << version;
        }
    }
}

TEST(HeaderWalkIpv4, plain_packet_and_checksum) {
    Bytes packet = ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload);
    Headers headers;
    ASSERT_EQ(walk(packet, headers), Error::kNone);
    EXPECT_EQ(headers.family, 4);
    EXPECT_EQ(headers.protocol, 17);
    EXPECT_EQ(headers.upper_offset, 20);
    EXPECT_EQ(headers.end, 36);
    EXPECT_EQ(headers.facts, 0);
    packet[8] ^= 1;
    EXPECT_EQ(walk(packet, headers), Error::kChecksum);
    EXPECT_EQ(walk(packet, headers, Checksum::kVerified), Error::kNone);
}

TEST(HeaderWalkIpv4, header_length_and_total_length) {
    Bytes packet = ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload);
    Headers headers;
    packet[0] = 0x44;
    EXPECT_EQ(walk(packet, headers), Error::kHeader);
    packet[0] = 0x4f;
    EXPECT_EQ(walk(packet, headers), Error::kTruncated);
    packet[0] = 0x45;
    for (const std::uint16_t total : std::vector<std::uint16_t>{0, 19, 37, 0xffff}) {
        store_be16(packet.data() + 2, total);
        EXPECT_EQ(walk(packet, headers, Checksum::kVerified), Error::kTruncated) << total;
    }
}

TEST(HeaderWalkIpv4, options) {
    const auto walk_with = [](const Bytes& options) {
        Headers headers;
        const Bytes packet =
            ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload, {.options = options});
        EXPECT_EQ(walk(packet, headers), Error::kNone);
        EXPECT_EQ(headers.upper_offset, 20 + options.size());
        return headers.facts;
    };
    EXPECT_EQ(walk_with({1, 1, 1, 0}), kIpv4Options);
    EXPECT_EQ(walk_with({148, 4, 0, 0}), kIpv4Options | kRouterAlert);
    EXPECT_EQ(walk_with({131, 7, 4, 192, 0, 2, 1, 0}), kIpv4Options | kIpv4SourceRoute);
    EXPECT_EQ(walk_with({1, 137, 7, 4, 192, 0, 2, 1}), kIpv4Options | kIpv4SourceRoute);
    EXPECT_EQ(walk_with({0, 131, 9, 9}), kIpv4Options);  // behind the end of the list
    for (const Bytes& bad : {Bytes{7, 1, 4, 0}, Bytes{7, 5, 4, 0}, Bytes{1, 1, 1, 7}}) {
        Headers headers;
        EXPECT_EQ(
            walk(ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload, {.options = bad}),
                 headers),
            Error::kHeader);
    }
}

TEST(HeaderWalkIpv4, fragments) {
    Headers headers;
    ASSERT_EQ(
        walk(ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload, {.flags_offset = 0x2000}),
             headers),
        Error::kNone);
    EXPECT_EQ(headers.protocol, 44);
    EXPECT_TRUE(headers.has(kFragment));
    EXPECT_TRUE(headers.more_fragments);
    ASSERT_EQ(
        walk(ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload, {.flags_offset = 185}),
             headers),
        Error::kNone);
    EXPECT_EQ(headers.fragment_offset, 1480);
    EXPECT_FALSE(headers.more_fragments);
    ASSERT_EQ(
        walk(ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, kPayload, {.flags_offset = 0x4000}),
             headers),
        Error::kNone);
    EXPECT_FALSE(headers.has(kFragment));
}

TEST(HeaderWalkIpv4, sources) {
    const auto error_of = [](const char* source, const char* destination) {
        Headers headers;
        return walk(ipv4(v4(source), v4(destination), 17, kPayload), headers);
    };
    EXPECT_EQ(error_of("127.0.0.1", "192.0.2.1"), Error::kSource);
    EXPECT_EQ(error_of("224.0.0.1", "192.0.2.1"), Error::kSource);
    EXPECT_EQ(error_of("240.0.0.1", "192.0.2.1"), Error::kSource);
    EXPECT_EQ(error_of("255.255.255.255", "192.0.2.1"), Error::kSource);
    EXPECT_EQ(error_of("0.0.0.0", "192.0.2.1"), Error::kSource);
    EXPECT_EQ(error_of("0.0.0.0", "255.255.255.255"), Error::kNone);
    EXPECT_EQ(error_of("0.0.0.0", "224.0.0.22"), Error::kNone);
    EXPECT_EQ(error_of("10.0.0.1", "192.0.2.1"), Error::kNone);
}

TEST(Options, walk_over_pads_and_data) {
    const Bytes header = options_header(17, {0, 1, 2, 0, 0, 0, 0xc9, 3, 1, 2, 3, 0, 0, 0});
    std::vector<std::uint16_t> offsets;
    ASSERT_TRUE(
        for_each_option(header, [&](const Option& option) { offsets.push_back(option.offset); }));
    EXPECT_EQ(offsets, (std::vector<std::uint16_t>{2, 3, 7, 8, 13, 14, 15}));
}

}  // namespace
}  // namespace homeport::parse
