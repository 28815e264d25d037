// SPDX-License-Identifier: BSD-3-Clause
// Known answers: RFC 4106 (draft-mcgrew-gcm-test), RFC 3602, RFC 4868 and RFC 2202, and the
// project's own.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/cipher_burst.hpp"
#include "tests/unit/ipsec/support.hpp"

#ifndef HOMEPORT_VECTORS
#define HOMEPORT_VECTORS "tests/vectors/vectors.json"
#endif

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::hex;
using test::Host;
using test::ip;
using test::joined;
using test::unhex;

const nlohmann::json& vectors() {
    static const nlohmann::json all = nlohmann::json::parse(std::ifstream(HOMEPORT_VECTORS));
    return all;
}

Bytes project(const char* name) {
    return unhex(vectors()["project"][name]["hex"].get<std::string>());
}

Bytes field(const nlohmann::json& vector, const char* name) {
    return unhex(vector[name].get<std::string>());
}

Algorithm gcm_of(std::size_t key_length) {
    return key_length == 16   ? Algorithm::kAes128Gcm16
           : key_length == 24 ? Algorithm::kAes192Gcm16
                              : Algorithm::kAes256Gcm16;
}

/// The cipher layer with keys of one SA, without the packet layer around it.
struct Bare {
    Bare(Algorithm algorithm, Direction direction, const Bytes& key, const Bytes& integrity_key,
         bool esn) {
        SaParameters p;
        p.direction = direction;
        p.spi = Spi{4711};
        p.algorithm = algorithm;
        p.encryption_key = SecretBytes(key);
        p.integrity_key = SecretBytes(integrity_key);
        p.esn = esn;
        p.selectors = {Selectors{}};
        p.policies = {{1, std::nullopt}};
        host.add(p);
        work.sa = direction == Direction::kInbound ? host.sad->find_inbound(p.spi)
                                                   : host.sad->find_outbound(1, std::nullopt);
        CpuArchitecture architecture = host.sad->architecture();
        manager = std::move(*make_mb_manager(architecture));
    }
    Host host;
    MbManager manager;
    CipherWork work{};
    CipherTag tag{};
};

class Gcm : public testing::TestWithParam<int> {};

TEST_P(Gcm, rfc4106_vector_is_reproduced_and_opened) {
    const nlohmann::json& vector = vectors()["gcm_esp"][static_cast<std::size_t>(GetParam())];
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Bytes nonce = field(vector, "nonce");
    const Bytes key = joined({field(vector, "key"), Bytes(nonce.begin(), nonce.begin() + 4)});
    const Bytes aad = field(vector, "aad");
    const Bytes plain = field(vector, "pt");
    const Bytes sealed = joined({field(vector, "ct"), field(vector, "icv")});
    for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
        const bool out = direction == Direction::kOutbound;
        Bare bare(gcm_of(key.size() - 4), direction, key, {}, false);
        std::copy(aad.begin(), aad.end(), bare.work.aad);
        std::copy(nonce.begin(), nonce.end(), bare.work.nonce);
        bare.work.aad_length = static_cast<std::uint8_t>(aad.size());
        Bytes text = joined({Bytes(16), out ? plain : sealed, Bytes(64)});
        bare.work.esp = text.data();
        bare.work.text_offset = 16;
        bare.work.text_length = static_cast<std::uint32_t>(plain.size());
        CipherBurst burst(*bare.manager);
        if (out) {
            burst.seal(&bare.work, &bare.tag, 1);
            EXPECT_EQ(hex({text.data() + 16, sealed.size()}), hex(sealed));
        } else {
            burst.open(&bare.work, &bare.tag, 1);
            EXPECT_EQ(hex({text.data() + 16, plain.size()}), hex(plain));
            EXPECT_EQ(hex({bare.work.aad, 16}), vector["icv"].get<std::string>());
        }
    }
}
INSTANTIATE_TEST_SUITE_P(all, Gcm, testing::Range(0, 14));

Bytes decrypt_cbc(const Bytes& key, const Bytes& iv, const Bytes& cipher_text) {
    Bare bare(Algorithm::kAes128CbcSha1_96, Direction::kInbound, key, Bytes(20), false);
    Bytes esp = joined({Bytes(8), iv, cipher_text, Bytes(32)});
    bare.work.esp = esp.data();
    bare.work.text_offset = 24;
    bare.work.text_length = static_cast<std::uint32_t>(cipher_text.size());
    EXPECT_TRUE(CipherBurst(*bare.manager).open(&bare.work, &bare.tag, 1));
    return {esp.data() + 24, esp.data() + 24 + cipher_text.size()};
}

TEST(Cbc, rfc3602_cases_encrypt_and_decrypt) {
    for (const auto& vector : vectors()["rfc3602_cbc"]) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Bytes plain = field(vector, "pt");
        Bare bare(Algorithm::kAes128CbcSha1_96, Direction::kOutbound, field(vector, "key"),
                  Bytes(20), false);
        Bytes esp = joined({Bytes(8), field(vector, "iv"), plain, Bytes(32)});
        bare.work.esp = esp.data();
        bare.work.text_offset = 24;
        bare.work.text_length = static_cast<std::uint32_t>(plain.size());
        CipherBurst(*bare.manager).seal(&bare.work, &bare.tag, 1);
        EXPECT_EQ(hex({esp.data() + 24, plain.size()}), vector["ct"].get<std::string>());
        EXPECT_EQ(hex(decrypt_cbc(field(vector, "key"), field(vector, "iv"), field(vector, "ct"))),
                  hex(plain));
    }
}

TEST(Cbc, rfc3602_esp_packets_hold_their_inner_packets) {
    // They have no integrity check, which this implementation does not offer: the cipher layer
    // only.
    for (const auto& vector : vectors()["rfc3602_esp"]) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Bytes wire = field(vector, "wire");
        const Bytes packet = field(vector, "plain_packet");
        const bool tunnel = vector["mode"] == "tunnel";
        const Bytes iv(wire.begin() + 28, wire.begin() + 44);
        const Bytes text = decrypt_cbc(field(vector, "key"), iv, {wire.begin() + 44, wire.end()});
        const Bytes expected(packet.begin() + (tunnel ? 0 : 20), packet.end());
        EXPECT_EQ(hex({text.data(), expected.size()}), hex(expected));
        const std::size_t padding = text[text.size() - 2];
        EXPECT_EQ(expected.size() + padding + 2, text.size());
        for (std::size_t i = 0; i < padding; ++i) EXPECT_EQ(text[expected.size() + i], i + 1);
        EXPECT_EQ(text.back(), tunnel ? 4 : 1);
    }
}

TEST(Hmac, rfc4868_and_rfc2202_values) {
    for (const auto& vector : vectors()["hmac"]) {
        const std::string name = vector["alg"];
        if (name == "md5") continue;  // not an ESP algorithm of this implementation
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Algorithm algorithm = name == "sha1"     ? Algorithm::kNullSha1_96
                                    : name == "sha256" ? Algorithm::kNullSha256_128
                                                       : Algorithm::kNullSha512_256;
        Bare bare(algorithm, Direction::kOutbound, {}, field(vector, "key"), false);
        Bytes data = field(vector, "data");
        const std::size_t size = data.size();
        data.resize(size + 64);
        bare.work.esp = data.data();
        bare.work.text_offset = 0;
        bare.work.text_length = static_cast<std::uint32_t>(size);
        CipherBurst(*bare.manager).seal(&bare.work, &bare.tag, 1);
        const std::size_t icv = info(algorithm).icv_length;
        EXPECT_EQ(hex({bare.work.icv(), icv}), vector["mac"].get<std::string>().substr(0, 2 * icv));
        EXPECT_EQ(Bytes(data.begin() + static_cast<std::ptrdiff_t>(size + icv), data.end()),
                  Bytes(64 - icv))
            << "nothing behind it is written";
    }
}

// The project's own packets.

constexpr const char* kHomeAgent = "2001:db8:1::1";
constexpr const char* kHomeAddress = "2001:db8:1::100";

Selectors between(const char* local, const char* remote) {
    Selectors s;
    s.local = {AddressRange::of(ip(local))};
    s.remote = {AddressRange::of(ip(remote))};
    return s;
}

Bytes gcm_key(std::uint8_t first_salt_octet) {
    Bytes key;
    for (std::uint8_t i = 0; i < 16; ++i) key.push_back(i);
    for (std::uint8_t i = 0; i < 4; ++i)
        key.push_back(static_cast<std::uint8_t>(first_salt_octet + i));
    return key;
}

PolicyEntry transport_entry(std::uint8_t local_type, std::uint8_t remote_type) {
    PolicyEntry entry;
    entry.id = 2;
    entry.name = "signalling";
    entry.selectors = between(kHomeAgent, kHomeAddress);
    entry.selectors.protocol = ProtocolSelector::of(IpProtocol::kMobility);
    entry.selectors.local_value = ValueSelector::of(local_type);
    entry.selectors.remote_value = ValueSelector::of(remote_type);
    entry.action = Action::kProtect;
    entry.protect.mode = Mode::kTransport;
    return entry;
}

TEST(ProjectVectors, C2_binding_update_is_opened) {
    Host home_agent;
    home_agent.policies({transport_entry(6, 5)});
    SaParameters p;
    p.spi = Spi{0x10000001};
    p.encryption_key = SecretBytes(gcm_key(0xa0));
    p.selectors = {transport_entry(6, 5).selectors};
    p.policies = {{2, std::nullopt}};
    home_agent.add(p);
    Buffer buffer(project("C2_BU_as_seen_by_IPsec"));
    ASSERT_EQ(home_agent.in(buffer), Verdict::kInOk);
    const Bytes message = project("C1_BU_MH");
    const Bytes opened = buffer.bytes();
    EXPECT_EQ(hex({opened.data() + 40, opened.size() - 40}), hex(message));
    EXPECT_EQ(opened[6], number(IpProtocol::kMobility));
    EXPECT_EQ(load_be16(opened.data() + 4), message.size());
}

TEST(ProjectVectors, C4_binding_acknowledgement_is_sealed) {
    Host home_agent;
    home_agent.policies({transport_entry(6, 5)});
    SaParameters p;
    p.direction = Direction::kOutbound;
    p.spi = Spi{0x20000001};
    p.encryption_key = SecretBytes(gcm_key(0xb0));
    p.policies = {{2, std::nullopt}};
    home_agent.add(p);
    const Bytes expected = project("C4_BA_IPsec_out");
    Bytes packet =
        test::ipv6(kHomeAgent, kHomeAddress, number(IpProtocol::kMobility), project("C3_BA_MH"));
    packet[7] = expected[7];
    Buffer buffer(packet);
    ASSERT_EQ(home_agent.out(buffer), Verdict::kOutProtect);
    EXPECT_EQ(hex(buffer.bytes()), hex(expected));
}

SaParameters payload_sa(Direction direction, bool esn, std::uint64_t sequence) {
    SaParameters p;
    p.direction = direction;
    p.spi = Spi{0x20000003};
    p.encryption_key = SecretBytes(gcm_key(0xc0));
    p.mode = Mode::kTunnel;
    p.tunnel_local = ip(kHomeAgent);
    p.tunnel_remote = ip(kHomeAddress);
    p.esn = esn;
    p.first_sequence = sequence;
    p.selectors = {Selectors{}};
    p.policies = {{1, std::nullopt}};
    return p;
}

TEST(ProjectVectors, C5_payload_is_sealed) {
    Host home_agent;
    home_agent.policies({test::protect_all()});
    home_agent.add(payload_sa(Direction::kOutbound, false, 7));
    Buffer buffer(project("C5_inner"));
    ASSERT_EQ(home_agent.out(buffer), Verdict::kOutProtect);
    EXPECT_EQ(hex(buffer.bytes()), hex(project("C5_IPsec_out")));
}

TEST(ProjectVectors, S1_20_C5_is_opened_whatever_its_outer_header_is) {
    for (const char* name : {"C5_IPsec_out", "C5_rewritten", "C5_rewritten_v4"}) {
        Host mobile_node;
        mobile_node.add(payload_sa(Direction::kInbound, false, 1));
        Buffer buffer(project(name));
        ASSERT_EQ(mobile_node.in(buffer), Verdict::kInOk) << name;
        EXPECT_EQ(hex(buffer.bytes()), hex(project("C5_inner"))) << name;
    }
}

TEST(ProjectVectors, C5_ESN1_high_half_is_authenticated_but_not_sent) {
    const std::uint64_t sequence = (std::uint64_t{1} << 32) + 7;
    // The vector keeps the IV of the packet without ESN, so the cipher layer is compared.
    Bare bare(Algorithm::kAes128Gcm16, Direction::kInbound, gcm_key(0xc0), {}, true);
    Bytes esp = project("C5_ESN1_ESP");
    bare.work.esp = esp.data();
    bare.work.text_offset = 16;
    bare.work.text_length = static_cast<std::uint32_t>(esp.size() - 32);
    const Bytes aad = unhex("200000030000000100000007");
    const Bytes nonce = unhex("c0c1c2c30000000000000007");
    std::copy(aad.begin(), aad.end(), bare.work.aad);
    std::copy(nonce.begin(), nonce.end(), bare.work.nonce);
    bare.work.aad_length = 12;
    CipherBurst(*bare.manager).open(&bare.work, &bare.tag, 1);
    EXPECT_EQ(hex({bare.work.aad, 16}), hex({esp.data() + esp.size() - 16, 16}));
    // And as a packet: the receiver infers the high half.
    Host mobile_node;
    SaParameters p = payload_sa(Direction::kInbound, true, sequence - 3);
    mobile_node.add(p);
    Buffer buffer(
        test::ipv6(kHomeAgent, kHomeAddress, number(IpProtocol::kEsp), project("C5_ESN1_ESP")));
    ASSERT_EQ(mobile_node.in(buffer), Verdict::kInOk);
    EXPECT_EQ(hex(buffer.bytes()), hex(project("C5_inner")));
}

struct C6 {
    const char* name;
    Algorithm algorithm;
    std::uint64_t sequence;
};

class CbcPackets : public testing::TestWithParam<C6> {};

TEST_P(CbcPackets, C6_is_opened) {
    Host mobile_node;
    SaParameters p;
    p.spi = Spi{0x20000004};
    p.algorithm = GetParam().algorithm;
    Bytes key;
    Bytes integrity;
    for (std::uint8_t i = 0; i < 16; ++i) key.push_back(static_cast<std::uint8_t>(0x10 + i));
    const AlgorithmInfo& algorithm = info(p.algorithm);
    const std::uint8_t first = algorithm.integrity == Integrity::kHmacSha1 ? 0x20 : 0x40;
    for (std::uint8_t i = 0; i < algorithm.integrity_key_length; ++i) {
        integrity.push_back(static_cast<std::uint8_t>(first + i));
    }
    p.encryption_key = SecretBytes(key);
    p.integrity_key = SecretBytes(integrity);
    p.mode = Mode::kTunnel;
    p.esn = GetParam().sequence > 0xffffffff;
    p.first_sequence = GetParam().sequence;
    p.selectors = {Selectors{}};
    mobile_node.add(p);
    Buffer buffer(
        test::ipv6(kHomeAgent, kHomeAddress, number(IpProtocol::kEsp), project(GetParam().name)));
    ASSERT_EQ(mobile_node.in(buffer), Verdict::kInOk);
    EXPECT_EQ(hex(buffer.bytes()), hex(project("C5_inner")));
}
INSTANTIATE_TEST_SUITE_P(
    all, CbcPackets,
    testing::Values(C6{"C6_CBC_SHA1_96", Algorithm::kAes128CbcSha1_96, 9},
                    C6{"C6_CBC_SHA256_128", Algorithm::kAes128CbcSha256_128, 9},
                    C6{"C6_CBC_SHA256_128_ESN", Algorithm::kAes128CbcSha256_128,
                       (std::uint64_t{2} << 32) + 9}));

TEST(Chacha20Poly1305, rfc7634_appendix_a_is_opened) {
    // RFC 7634 appendix A: the sealed packet of the example, without its outer header.
    const Bytes key =
        unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3");
    const Bytes esp = unhex(
        "0102030400000005"
        "1011121314151617"
        "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
        "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
        "cbec163fac469b502773f6fb94e664da9165b82829f641e0"
        "76aaa8266b7fb0f7b11b369907e1ad43");
    Host receiver;
    SaParameters p;
    p.spi = Spi{0x01020304};
    p.algorithm = Algorithm::kChacha20Poly1305;
    p.encryption_key = SecretBytes(key);
    p.mode = Mode::kTunnel;
    p.selectors = {Selectors{}};
    receiver.add(p);
    Buffer buffer(test::ipv4("203.0.113.153", "203.0.113.5", number(IpProtocol::kEsp), esp));
    ASSERT_EQ(receiver.in(buffer), Verdict::kInOk);
    EXPECT_EQ(hex(buffer.bytes()),
              "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec1000073627"
              "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
              "3031323334353637");
}

}  // namespace
}  // namespace homeport::ipsec
