// SPDX-License-Identifier: BSD-3-Clause
// The short way to an outbound packet's policy and SA, held against the long one with random
// databases and packets (RFC 4301 sections 4.4.1 and 5.1).
#include <gtest/gtest.h>

#include <random>

#include "dataplane/ipsec/compiled_policies.hpp"
#include "dataplane/ipsec/sa_store.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::Host;

constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kEsp = 50;

/// Makes databases and packets out of so few addresses, protocols and ports that they meet often.
class Chance {
  public:
    explicit Chance(std::uint32_t seed) : random_(seed) {}

    std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_() % end); }
    bool one_in(std::uint32_t n) { return below(n) == 0; }

    IpAddress address(bool v4 = false) {
        if (v4) return Ipv4Address{{192, 0, 2, static_cast<std::uint8_t>(below(16))}};
        Ipv6Address result{{0x20, 0x01, 0x0d, 0xb8}};
        result.bytes[7] = static_cast<std::uint8_t>(below(2));  // in the upper half
        result.bytes[15] = static_cast<std::uint8_t>(below(16));
        return result;
    }
    std::vector<AddressRange> ranges(bool v4) {
        std::vector<AddressRange> result;
        for (std::uint32_t n = one_in(2) ? 0 : 1 + below(2); n > 0; --n) {
            IpAddress first = address(v4);
            IpAddress last = address(v4);
            if (last < first) std::swap(first, last);
            result.push_back({first, last});
        }
        return result;
    }
    std::uint8_t protocol() {
        constexpr std::array<std::uint8_t, 10> kProtocols{kUdp, kUdp, kTcp, kEsp, 58,
                                                          135,  59,   0,    43,   60};
        return kProtocols[below(kProtocols.size())];
    }
    ValueSelector values() {
        if (!one_in(3)) return ValueSelector::any();
        if (one_in(4)) return ValueSelector::opaque();
        return ValueSelector::of(static_cast<std::uint16_t>(below(3)));
    }
    PolicyEntry entry(PolicyId id) {
        PolicyEntry result;
        result.id = id;
        result.name = std::to_string(id);
        const bool v4 = one_in(3);
        result.selectors.local = ranges(v4);
        result.selectors.remote = ranges(v4);
        if (one_in(2)) {
            const std::uint8_t wanted = protocol();
            result.selectors.protocol = ProtocolSelector::of(wanted);
            if (has_values(wanted)) {
                result.selectors.local_value = values();
                result.selectors.remote_value = values();
            }
        }
        constexpr std::array kActions{Action::kDiscard, Action::kBypass, Action::kProtect,
                                      Action::kProtect};
        result.action = kActions[below(kActions.size())];
        if (result.action == Action::kProtect) {
            result.protect.mode = Mode::kTunnel;
            result.protect.populate_remote = !one_in(4);
        }
        return result;
    }
    /// Sometimes with an extension header, sometimes cut short, sometimes with octets behind it.
    Bytes packet() {
        Bytes upper(one_in(8) ? below(8) : 16);
        for (std::uint8_t& octet : upper) octet = static_cast<std::uint8_t>(below(3));
        const std::uint8_t next = protocol();
        if (one_in(3)) {
            constexpr std::array<std::uint16_t, 4> kFragments{0, 0, 0x2000, 1};
            return test::ipv4(to_string(address(true)), to_string(address(true)), next, upper,
                              kFragments[below(kFragments.size())]);
        }
        if (is_skipped_header(next) && upper.size() >= 8) {
            upper[0] = one_in(2) ? kUdp : 59;
            upper[1] = 0;
        }
        Bytes bytes = test::ipv6(to_string(address()), to_string(address()), next, upper);
        if (one_in(16)) bytes.resize(bytes.size() + 4);
        if (one_in(16)) bytes.resize(bytes.size() - std::min<std::size_t>(4, upper.size()));
        if (one_in(32)) bytes[0] = 0x45;
        return bytes;
    }

  private:
    std::mt19937 random_;
};

std::vector<PolicyEntry> entries_of(Chance& chance) {
    std::vector<PolicyEntry> entries;
    const std::uint32_t count = 1 + chance.below(5);
    for (PolicyId id = 1; id <= count; ++id) entries.push_back(chance.entry(id));
    return entries;
}

TEST(QuickPolicy, says_what_the_whole_search_says_or_nothing) {
    Chance chance(1);
    std::size_t decided = 0;
    std::size_t asked = 0;
    for (unsigned round = 0; round < 3000; ++round) {
        std::vector<CompiledPolicy> policies;
        for (const PolicyEntry& entry : entries_of(chance)) {
            auto selectors = CompiledSelectors::compile(entry.selectors);
            ASSERT_TRUE(selectors) << selectors.error().text;
            policies.push_back({.id = entry.id,
                                .action = entry.action,
                                .populate_remote = entry.action == Action::kProtect &&
                                                   entry.protect.populate_remote,
                                .selectors = std::move(*selectors)});
        }
        const CompiledPolicies compiled(std::move(policies));
        for (unsigned i = 0; i < 40; ++i) {
            const Bytes bytes = chance.packet();
            HeaderInfo header;
            if (!walk_headers(bytes, header)) continue;
            ++asked;
            const CompiledPolicy* const quick =
                compiled.find_quickly(header.family, bytes[header.family == Family::kIpv6 ? 6 : 9],
                                      header.source, header.destination);
            if (quick == nullptr) continue;
            ++decided;
            ASSERT_EQ(quick, &compiled.find(header, Direction::kOutbound))
                << "round " << round << ", " << test::hex(bytes);
        }
    }
    // Both happen, or nothing was shown.
    EXPECT_GT(decided, asked / 50);
    EXPECT_LT(decided, asked / 2);
}

TEST(QuickPolicy, skips_entries_about_other_local_addresses) {
    // As a home agent has it: IKE of its own, then all payload to its home addresses.
    PolicyEntry ike;
    ike.id = 1;
    ike.name = "ike";
    ike.selectors.local = {AddressRange::of(test::ip("2001:db8:1::1"))};
    ike.selectors.protocol = ProtocolSelector::of(kUdp);
    ike.selectors.local_value = ValueSelector::of(500);
    ike.action = Action::kBypass;
    PolicyEntry payload;
    payload.id = 6;
    payload.name = "payload";
    payload.selectors.remote = {AddressRange::of(*Ipv6Prefix::parse("2001:db8:1::/64"))};
    payload.action = Action::kProtect;
    payload.protect.mode = Mode::kTunnel;
    payload.protect.populate_remote = true;
    Host host;
    host.policies({ike, payload});
    const CompiledPolicies& compiled = host.spd.compiled();
    const auto decides = [&](const char* source, const char* destination) {
        const CompiledPolicy* const quick =
            compiled.find_quickly(Family::kIpv6, kUdp, AddressKey::of(test::ip(source)),
                                  AddressKey::of(test::ip(destination)));
        return quick != nullptr && quick->id == 6;
    };
    EXPECT_TRUE(decides("2001:db8:3::300", "2001:db8:1::"));
    EXPECT_TRUE(decides("2001:db8:3::300", "2001:db8:1::ffff:ffff:ffff:ffff"));
    EXPECT_FALSE(decides("2001:db8:3::300", "2001:db8:0:ffff:ffff:ffff:ffff:ffff"));
    EXPECT_FALSE(decides("2001:db8:3::300", "2001:db8:1:1::"));
    EXPECT_FALSE(decides("2001:db8:1::1", "2001:db8:1::100")) << "may be IKE";
    const AddressKey home = AddressKey::of(test::ip("2001:db8:1::100"));
    EXPECT_EQ(compiled.find_quickly(Family::kIpv6, 0, {}, home), nullptr)
        << "a hop-by-hop header hides the protocol";
}

/// A host whose databases change between packets, and what its databases say about a packet.
class Changing {
  public:
    explicit Changing(std::uint32_t seed) : chance_(seed) { change_policies(); }

    void change() {
        if (chance_.one_in(4)) change_policies();
        for (std::uint32_t n = chance_.below(4); n > 0; --n) {
            if (!handles_.empty() && chance_.one_in(3)) {
                const std::size_t victim =
                    chance_.below(static_cast<std::uint32_t>(handles_.size()));
                ASSERT_TRUE(host_.sad->remove(handles_[victim]));
                handles_.erase(handles_.begin() + static_cast<std::ptrdiff_t>(victim));
            } else {
                add();
            }
        }
    }

    void send() {
        const Bytes bytes = chance_.packet();
        Buffer buffer(bytes);
        HeaderInfo header;
        const bool sound = walk_headers(bytes, header);
        const CompiledPolicy* const policy =
            sound ? &host_.spd.compiled().find(header, Direction::kOutbound) : nullptr;
        const SecurityAssociation* sa = nullptr;
        if (policy != nullptr && policy->action == Action::kProtect) {
            PolicyKey key{policy->id, {}};
            if (policy->populate_remote) key.remote = {header.destination, header.family};
            sa = host_.sad->store().find_outbound(key, key.hash());
        }
        const auto hits = [&] {
            return policy == nullptr ? PolicyHits::Count{}
                                     : host_.engine->hits(Direction::kOutbound, policy->id);
        };
        const PolicyHits::Count before = hits();
        const std::uint64_t number = sa == nullptr ? 0 : sa->sequence.load();
        const Verdict verdict = host_.out(buffer);
        ASSERT_EQ(verdict, expected(policy, sa));
        EXPECT_EQ(hits().packets, before.packets + (policy == nullptr ? 0 : 1));
        EXPECT_EQ(hits().octets, before.octets + (policy == nullptr ? 0 : header.ip_length));
        if (verdict != Verdict::kOutProtect) return;
        ++sealed;
        const Bytes out = buffer.bytes();
        EXPECT_EQ(load_be32(out.data() + 40), sa->spi.value);
        EXPECT_EQ(load_be32(out.data() + 44), number + 1);
        EXPECT_EQ(sa->sequence.load(), number + 1);
    }

    std::size_t sealed = 0;

  private:
    static Verdict expected(const CompiledPolicy* policy, const SecurityAssociation* sa) {
        if (policy == nullptr || policy->action == Action::kDiscard) return Verdict::kOutDiscard;
        if (policy->action == Action::kBypass) return Verdict::kOutBypass;
        return sa == nullptr ? Verdict::kOutNoSa : Verdict::kOutProtect;
    }

    void change_policies() {
        for (;;) {  // one whose entries hide each other is refused
            if (host_.spd.replace(entries_of(chance_))) return;
        }
    }

    /// Of any kind: for one remote address or all, the only one of its key or a newer one, with a
    /// profile that has a short way or not.
    void add() {
        const Algorithm algorithm =
            chance_.one_in(4) ? Algorithm::kAes128CbcSha1_96 : Algorithm::kAes128Gcm16;
        const AlgorithmInfo& a = info(algorithm);
        const Bytes key(64, 7);
        SaParameters p;
        p.direction = Direction::kOutbound;
        p.algorithm = algorithm;
        p.encryption_key = SecretBytes(ConstByteSpan(key).first(a.encryption_keying_length()));
        p.integrity_key = SecretBytes(ConstByteSpan(key).first(a.integrity_key_length));
        p.mode = Mode::kTunnel;
        p.spi = Spi{0x1000 + ++last_spi_};
        p.tunnel_local = test::ip("2001:db8:ffff::1");
        const IpAddress remote = chance_.address(chance_.one_in(3));
        p.tunnel_remote =
            chance_.one_in(3) || family_of(remote) == Family::kIpv4 ? chance_.address() : remote;
        for (std::uint32_t n = 1 + chance_.below(2); n > 0; --n) {
            PolicyUse use{static_cast<PolicyId>(1 + chance_.below(5)), remote};
            if (chance_.one_in(3)) use.remote.reset();
            p.policies.push_back(use);
        }
        if (p.policies.size() == 2 && p.policies[0] == p.policies[1]) p.policies.pop_back();
        if (const auto handle = host_.sad->add(p)) handles_.push_back(*handle);
    }

    Chance chance_;
    Host host_;
    std::vector<SaHandle> handles_;
    std::uint32_t last_spi_ = 0;
};

TEST(QuickPolicy, finds_the_sa_that_the_databases_name_however_they_change) {
    std::size_t sealed = 0;
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE(seed);
        Changing host(seed);
        for (unsigned round = 0; round < 400; ++round) {
            ASSERT_NO_FATAL_FAILURE(host.change());
            for (unsigned i = 0; i < 6; ++i) ASSERT_NO_FATAL_FAILURE(host.send());
        }
        sealed += host.sealed;
    }
    EXPECT_GT(sealed, 1000u);
}

}  // namespace
}  // namespace homeport::ipsec
