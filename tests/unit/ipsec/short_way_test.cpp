// SPDX-License-Identifier: BSD-3-Clause
// The short way of inbound.cpp decides nothing in another way than the long one: the same packets,
// ordinary and not, go to two hosts whose SAs let the same pass, but whose profiles take one way
// each, and all that comes of them is compared.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/cipher_burst.hpp"
#include "dataplane/ipsec/sa_store.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::Host;
using test::ip;
using test::joined;
using test::Pair;

constexpr const char* kNode = "2001:db8:1::100";
constexpr const char* kCorrespondent = "2001:db8:3::300";
constexpr PolicyId kPolicy = 7;

/// Seals whatever it is told to, under one SA.
class Sealer {
  public:
    explicit Sealer(const Pair& pair) : pair_(pair) {
        host_.add(test::outbound_parameters(pair));
        CpuArchitecture architecture = host_.sad->architecture();
        manager_ = std::move(*make_mb_manager(architecture));
        sa_ = host_.sad->find_outbound(pair.policy, std::nullopt);
    }

    /// ESP around `text`, from SPI to ICV.
    Bytes seal(const Bytes& text, std::uint64_t sequence) {
        Bytes esp(16);
        store_be32(esp.data(), pair_.spi.value);
        store_be32(esp.data() + 4, static_cast<std::uint32_t>(sequence));
        store_be64(esp.data() + 8, sequence);
        esp = joined({esp, text, Bytes(16)});
        CipherWork work{};
        CipherTag tag{};
        work.sa = sa_;
        work.esp = esp.data();
        work.text_offset = 16;
        work.text_length = static_cast<std::uint32_t>(text.size());
        work.sequence = sequence;
        std::copy_n(reinterpret_cast<const std::uint8_t*>(&sa_->salt), 4, work.nonce);
        std::copy_n(esp.begin() + 8, 8, work.nonce + 4);
        store_be32(work.aad, pair_.spi.value);
        if (pair_.esn) store_be32(work.aad + 4, static_cast<std::uint32_t>(sequence >> 32));
        store_be32(work.aad + (pair_.esn ? 8 : 4), static_cast<std::uint32_t>(sequence));
        work.aad_length = pair_.esn ? 12 : 8;
        CipherBurst(*manager_).seal(&work, &tag, 1);
        return esp;
    }

  private:
    Pair pair_;
    Host host_;
    MbManager manager_;
    SecurityAssociation* sa_;
};

enum class Addresses { kAny, kOneNode, kPrefixes };

struct Case {
    Pair pair;
    Addresses addresses = Addresses::kOneNode;
};

std::vector<Case> cases() {
    const Spi own = make_own_spi(1, 0, 5);
    const Spi manual{0x10000001};
    return {
        {{.spi = own, .policy = kPolicy}, Addresses::kOneNode},
        {{.algorithm = Algorithm::kAes256Gcm16,
          .spi = manual,
          .replay_window = 64,
          .policy = kPolicy},
         Addresses::kPrefixes},
        {{.spi = own, .replay_window = 0, .policy = kPolicy}, Addresses::kAny},
        {{.algorithm = Algorithm::kAes192Gcm16,
          .spi = own,
          .esn = true,
          .replay_window = 100,
          .policy = kPolicy},
         Addresses::kOneNode},
        {{.spi = manual,
          .esn = true,
          .replay_window = 4096,
          .first_sequence = 0xffff'ff80,
          .policy = kPolicy},
         Addresses::kPrefixes},
    };
}

class ShortWay : public testing::TestWithParam<Case> {
  protected:
    /// `twice`: with a second entry that no packet matches, which takes the long way.
    static SaParameters parameters(const Case& of, bool twice) {
        SaParameters result = test::inbound_parameters(of.pair);
        Selectors selectors;
        if (of.addresses == Addresses::kOneNode) {
            selectors.remote = {AddressRange::of(ip(kNode))};
        } else if (of.addresses == Addresses::kPrefixes) {
            selectors.remote = {{ip("2001:db8:1::"), ip("2001:db8:1::ffff")}};
            selectors.local = {{ip("2001:db8:3::"), ip("2001:db8:3:ffff:ffff:ffff:ffff:ffff")}};
        }
        result.selectors = {selectors};
        result.policies = {{kPolicy, std::nullopt}};
        if (twice) {
            Selectors never;
            never.remote = {{ip("2001:db8:9::1"), ip("2001:db8:9::3")}};
            result.selectors.push_back(never);
        }
        return result;
    }

    bool rarely() { return random_() % 12 == 0; }
    template <class List>
    auto one_of(const List& list) {
        return *(std::begin(list) + random_() % std::size(list));
    }

    Bytes inner() {
        static constexpr std::array<const char*, 5> kSources{kNode, kNode, kNode, "2001:db8:1::101",
                                                             "2001:db8:2::100"};
        static constexpr std::array<const char*, 5> kDestinations{
            kCorrespondent, kCorrespondent, "2001:db8:3:ffff::1", "2001:db8:4::1", "2001:db7::1"};
        static constexpr std::array<std::uint8_t, 8> kProtocols{6, 17, 17, 58, 41, 50, 59, 135};
        static constexpr std::array<std::uint8_t, 5> kChains{0, 43, 44, 60, 255};
        Bytes payload(random_() % (rarely() ? 1400 : 60));
        for (std::uint8_t& octet : payload) octet = static_cast<std::uint8_t>(random_());
        if (payload.size() > 1 && rarely()) payload[1] = 0;
        const std::uint8_t protocol = rarely() ? one_of(kChains) : one_of(kProtocols);
        Bytes packet = test::ipv6(one_of(kSources), one_of(kDestinations), protocol, payload);
        packet[1] = static_cast<std::uint8_t>(random_());
        if (rarely()) packet[0] = static_cast<std::uint8_t>(random_());
        if (rarely()) {
            store_be16(packet.data() + 4,
                       static_cast<std::uint16_t>(payload.size() + random_() % 9 - 4));
        }
        return packet;
    }

    /// With padding and trailer, both of which may lie.
    Bytes text() {
        Bytes result = rarely() ? Bytes(random_() % 50, 0x45) : inner();
        if (rarely()) result.resize(result.size() + random_() % 40);  // TFC padding
        if (rarely()) result = test::ipv4("192.0.2.1", "192.0.2.2", 17, Bytes(20));
        unsigned padding = 0;
        const unsigned more = rarely() ? static_cast<unsigned>(random_() % 63) * 4 : 0;
        while ((result.size() + 2) % 4 != 0 || padding < more) {
            result.push_back(static_cast<std::uint8_t>(++padding));
        }
        if (rarely()) padding = static_cast<unsigned>(random_() % 256);
        if (rarely() && !result.empty()) result.back() ^= 1;
        static constexpr std::array<std::uint8_t, 5> kOthers{4, 59, 17, 0, 60};
        result.push_back(static_cast<std::uint8_t>(padding));
        result.push_back(rarely() ? one_of(kOthers) : std::uint8_t{41});
        if (rarely())
            result.resize(result.size() - random_() % std::min<std::size_t>(4, result.size()));
        return result;
    }

    /// Mostly the next one; also repeated, overtaken, and far ahead.
    std::uint64_t sequence() {
        switch (random_() % 10) {
            case 0:
                return next_ > 200 ? next_ - random_() % 200 : next_;
            case 1:
                return next_ += random_() % 200;
            case 2:
                return rarely() ? next_ += 5000 : next_;
            default:
                return ++next_;
        }
    }

    Bytes packet(Sealer& sealer) {
        const Bytes esp = sealer.seal(text(), sequence());
        Bytes bytes = test::ipv6("2001:db8:2::200", "2001:db8:1::1", 50, esp);
        if (rarely()) {
            const Bytes options{50, 0, 1, 4, 0, 0, 0, 0};
            bytes = test::ipv6("2001:db8:2::200", "2001:db8:1::1", 0, joined({options, esp}));
        }
        bytes[1] = static_cast<std::uint8_t>(random_());
        if (rarely())
            bytes[random_() % bytes.size()] ^= static_cast<std::uint8_t>(1 << random_() % 8);
        if (rarely()) bytes.resize(bytes.size() + random_() % 20);  // padding of the link
        if (rarely()) bytes.resize(random_() % (bytes.size() + 1));
        return bytes;
    }

    std::uint64_t next_ = 0;
    std::mt19937_64 random_{4303};
};
INSTANTIATE_TEST_SUITE_P(all, ShortWay, testing::ValuesIn(cases()),
                         [](const auto& of) { return "case" + std::to_string(of.index); });

TEST_P(ShortWay, decides_nothing_in_another_way_than_the_long_one) {
    Host brief;
    Host thorough;
    for (Host* host : {&brief, &thorough}) host->policies({test::protect_all(kPolicy)});
    const SaHandle one = brief.add(parameters(GetParam(), false));
    const SaHandle two = thorough.add(parameters(GetParam(), true));
    ASSERT_TRUE(brief.sad->store().by_handle(one)->profile->opens_short);
    ASSERT_FALSE(thorough.sad->store().by_handle(two)->profile->opens_short);
    Sealer sealer(GetParam().pair);
    next_ = GetParam().pair.first_sequence;

    std::size_t passed = 0;
    for (unsigned round = 0; round < 150; ++round) {
        std::vector<std::unique_ptr<Buffer>> lefts;
        std::vector<std::unique_ptr<Buffer>> rights;
        std::vector<Packet*> left;
        std::vector<Packet*> right;
        const std::size_t count = 1 + random_() % 80;
        for (std::size_t i = 0; i < count; ++i) {
            const Bytes bytes = packet(sealer);
            left.push_back(&lefts.emplace_back(std::make_unique<Buffer>(bytes))->packet);
            right.push_back(&rights.emplace_back(std::make_unique<Buffer>(bytes))->packet);
        }
        std::vector<Verdict> verdicts(count);
        std::vector<Verdict> expected(count);
        brief.engine->inbound(left, verdicts);
        thorough.engine->inbound(right, expected);
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(counter_name(verdicts[i]), counter_name(expected[i])) << round << " " << i;
            if (verdicts[i] != Verdict::kInOk) continue;
            ++passed;
            ASSERT_EQ(test::hex(left[i]->bytes()), test::hex(right[i]->bytes()));
            ASSERT_EQ(left[i]->headroom, right[i]->headroom);
            ASSERT_EQ(left[i]->tailroom, right[i]->tailroom);
        }
        const SaStatus status = *brief.sad->status(one);
        const SaStatus wanted = *thorough.sad->status(two);
        ASSERT_EQ(status.packets, wanted.packets);
        ASSERT_EQ(status.bytes, wanted.bytes);
        ASSERT_EQ(status.highest_sequence, wanted.highest_sequence);
        ASSERT_EQ(status.errors.replay, wanted.errors.replay);
        ASSERT_EQ(status.errors.icv, wanted.errors.icv);
        ASSERT_EQ(status.errors.padding, wanted.errors.padding);
        ASSERT_EQ(status.errors.selector_mismatch, wanted.errors.selector_mismatch);
        ASSERT_EQ(status.errors.malformed, wanted.errors.malformed);
        const auto hits = brief.engine->hits(Direction::kInbound, kPolicy);
        const auto wanted_hits = thorough.engine->hits(Direction::kInbound, kPolicy);
        ASSERT_EQ(hits.packets, wanted_hits.packets);
        ASSERT_EQ(hits.octets, wanted_hits.octets);
    }
    for (std::size_t i = 0; i < kVerdictCount; ++i) {
        const auto verdict = static_cast<Verdict>(i);
        EXPECT_EQ(brief.engine->count(verdict), thorough.engine->count(verdict))
            << counter_name(verdict);
    }
    EXPECT_GT(passed, 1000u) << "too little passes for this test to mean much";
    EXPECT_GT(brief.engine->count(Verdict::kInPadding), 20u);
    EXPECT_GT(brief.engine->count(Verdict::kInIcv), 20u);
}

TEST(OpensShort, is_for_SAs_of_which_it_is_true) {
    Host host;
    std::uint32_t slot = 0;
    const auto opens_short = [&](auto change) {
        SaParameters parameters = test::inbound_parameters({.spi = make_own_spi(0, 0, slot++)});
        change(parameters);
        return host.sad->store().by_handle(host.add(parameters))->profile->opens_short;
    };
    EXPECT_TRUE(opens_short([](SaParameters&) {}));
    EXPECT_TRUE(opens_short([](SaParameters& p) { p.lifetime.hard_seconds = 3600; }));
    EXPECT_FALSE(opens_short([](SaParameters& p) { p.lifetime.soft_packets = 10; }));
    EXPECT_FALSE(opens_short([](SaParameters& p) { p.lifetime.hard_bytes = 10; }));
    EXPECT_FALSE(opens_short([](SaParameters& p) {
        p.mode = Mode::kTransport;
        p.tunnel_local = p.tunnel_remote = std::nullopt;
    }));
    EXPECT_FALSE(
        opens_short([](SaParameters& p) { p.selectors[0].protocol = ProtocolSelector::of(17); }));
    EXPECT_FALSE(
        opens_short([](SaParameters& p) { p.selectors[0].protocol = ProtocolSelector::opaque(); }));
    EXPECT_FALSE(opens_short(
        [](SaParameters& p) { p.selectors[0].remote = {AddressRange::of(ip("192.0.2.1"))}; }));
    EXPECT_FALSE(opens_short(
        [](SaParameters& p) { p.selectors[0].local = {{ip("2001:db8::1"), ip("2001:db8::3")}}; }));
}

KeyRange range(const char* first, const char* last) {
    return {AddressKey::of(ip(first)), AddressKey::of(ip(last))};
}

TEST(KeyPrefix, is_made_of_ranges_that_are_one) {
    EXPECT_TRUE(KeyPrefix::of({}));
    EXPECT_TRUE(KeyPrefix::of({range("2001:db8::", "2001:db8::")}));
    EXPECT_TRUE(KeyPrefix::of({range("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff")}));
    EXPECT_TRUE(KeyPrefix::of({range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}));
    EXPECT_FALSE(KeyPrefix::of({range("2001:db8::1", "2001:db8::2")}));
    EXPECT_FALSE(KeyPrefix::of({range("2001:db8::", "2001:db8::2")}));
    EXPECT_FALSE(KeyPrefix::of({range("2001:db8::1", "2001:db8::3")}));
    EXPECT_FALSE(KeyPrefix::of({range("2001:db8::1:0:0:0:0", "2001:db8:0:3:ffff:ffff:ffff:ffff")}));
    EXPECT_FALSE(KeyPrefix::of({range("2001:db8::", "2001:db8::"), range("::", "::1")}));
}

TEST(KeyPrefix, holds_what_its_range_holds) {
    std::mt19937_64 random{1};
    for (unsigned length = 0; length <= 128; ++length) {
        const std::uint64_t high = length >= 64 ? 0 : length == 0 ? ~0ull : ~0ull >> length;
        const std::uint64_t low = length <= 64 ? ~0ull : length == 128 ? 0 : ~0ull >> (length - 64);
        const AddressKey first{random() & ~high, random() & ~low};
        const KeyRange all{first, {first.high | high, first.low | low}};
        const auto prefix = KeyPrefix::of({all});
        ASSERT_TRUE(prefix) << length;
        for (unsigned i = 0; i < 50; ++i) {
            AddressKey key{first.high | (random() & high), first.low | (random() & low)};
            if (i % 2 != 0) (i % 4 == 1 ? key.high : key.low) ^= 1ull << random() % 64;
            ASSERT_EQ(prefix->contains(key), all.contains(key)) << length;
        }
    }
}

}  // namespace
}  // namespace homeport::ipsec
