// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/sad.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "dataplane/ipsec/sa.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Host;
using test::inbound_parameters;
using test::ip;
using test::outbound_parameters;
using test::Pair;

std::string error_of(Host& host, const SaParameters& parameters) {
    auto handle = host.sad->add(parameters);
    return handle ? "no error" : handle.error().text;
}

IpAddress home(unsigned n) {
    Ipv6Address address = std::get<Ipv6Address>(ip("2001:db8:1::"));
    store_be32(address.bytes.data() + 12, n);
    return address;
}

TEST(Sad, own_and_manual_spis_are_found) {
    Host host({.own_slots = 16});
    for (const Spi spi : {make_own_spi(0, 0, 0), make_own_spi(1, 5, 3), make_own_spi(0, 5, 3),
                          make_own_spi(0, 0, 16), Spi{256}, Spi{0x7fffffff}, Spi{0xffffffff}}) {
        const SaHandle handle = host.add(inbound_parameters({.spi = spi}));
        ASSERT_NE(host.sad->find_inbound(spi), nullptr) << spi.to_string();
        EXPECT_EQ(host.sad->find_inbound(spi)->spi, spi);
        EXPECT_EQ(host.sad->inbound_handle(spi), handle);
    }
    EXPECT_EQ(host.sad->size(), 7u);
    EXPECT_EQ(host.sad->find_inbound(make_own_spi(0, 1, 3)), nullptr);
    EXPECT_EQ(host.sad->find_inbound(Spi{0}), nullptr);
    for (const SaHandle handle : host.sad->handles()) {
        const Spi spi = host.sad->status(handle)->spi;
        EXPECT_TRUE(host.sad->remove(handle));
        EXPECT_EQ(host.sad->find_inbound(spi), nullptr) << spi.to_string();
        EXPECT_FALSE(host.sad->remove(handle));
    }
    EXPECT_EQ(host.sad->size(), 0u);
}

TEST(Sad, handles_are_not_reused_at_once) {
    Host host;
    const SaHandle first = host.add(inbound_parameters({}));
    host.sad->remove(first);
    const SaHandle second = host.add(inbound_parameters({}));
    EXPECT_FALSE(host.sad->status(first));
    EXPECT_FALSE(host.sad->remove(first));
    EXPECT_TRUE(host.sad->remove(second));
}

TEST(Sad, many_manual_spis) {
    Host host;
    for (std::uint32_t i = 0; i < 5000; ++i) {
        host.add(
            inbound_parameters({.algorithm = Algorithm::kNullSha1_96, .spi = Spi{256 + i * 977}}));
    }
    for (std::uint32_t i = 0; i < 5000; ++i) {
        ASSERT_NE(host.sad->find_inbound(Spi{256 + i * 977}), nullptr) << i;
        ASSERT_EQ(host.sad->find_inbound(Spi{257 + i * 977}), nullptr) << i;
    }
}

TEST(Sad, populated_entries_lead_to_the_sa_of_the_remote_address) {
    Host host;
    std::vector<SaHandle> handles;
    for (unsigned i = 0; i < 3000; ++i) {
        SaParameters p =
            outbound_parameters({.algorithm = Algorithm::kNullSha1_96, .spi = Spi{1000 + i}});
        p.tunnel_remote = home(i);
        p.policies = {{6, home(i)}};
        handles.push_back(host.add(p));
    }
    for (unsigned i = 0; i < 3000; ++i) {
        ASSERT_NE(host.sad->find_outbound(6, home(i)), nullptr);
        EXPECT_EQ(host.sad->find_outbound(6, home(i))->spi.value, 1000 + i);
        EXPECT_EQ(host.sad->status(handles[i])->tunnel_remote, home(i));
    }
    EXPECT_EQ(host.sad->find_outbound(6, home(3000)), nullptr);
    EXPECT_EQ(host.sad->find_outbound(5, home(0)), nullptr);
    EXPECT_EQ(host.sad->find_outbound(6, std::nullopt), nullptr);
    // SAs that differ in their remote address share the rest.
    EXPECT_EQ(host.sad->find_outbound(6, home(0))->profile,
              host.sad->find_outbound(6, home(1))->profile);
    for (unsigned i = 0; i < 3000; i += 2) EXPECT_TRUE(host.sad->remove(handles[i]));
    for (unsigned i = 0; i < 3000; ++i) {
        EXPECT_EQ(host.sad->find_outbound(6, home(i)) != nullptr, i % 2 == 1) << i;
    }
}

TEST(Sad, one_sa_serves_an_ipv6_and_an_ipv4_entry) {
    Host host;
    SaParameters p = outbound_parameters({});
    p.policies = {{6, home(1)}, {7, ip("192.0.2.100")}};
    const SaHandle handle = host.add(p);
    EXPECT_EQ(host.sad->find_outbound(6, home(1)), host.sad->find_outbound(7, ip("192.0.2.100")));
    EXPECT_NE(host.sad->find_outbound(7, ip("192.0.2.100")), nullptr);
    EXPECT_EQ(host.sad->find_outbound(7, ip("192.0.2.101")), nullptr);
    EXPECT_EQ(host.sad->status(handle)->policies, p.policies);
    host.sad->remove(handle);
    EXPECT_EQ(host.sad->find_outbound(6, home(1)), nullptr);
    EXPECT_EQ(host.sad->find_outbound(7, ip("192.0.2.100")), nullptr);
}

TEST(Queries, S1_44_S1_45_spi_for_policy_tells_old_and_new_during_rekey) {
    Host host;
    const DatabaseQueries queries(host.spd, *host.sad);
    SaParameters p = outbound_parameters({.mode = Mode::kTransport, .spi = Spi{1000}});
    p.policies = {{2, home(1)}};
    EXPECT_EQ(queries.spi_for_policy(2, home(1)).count, 0u);
    const std::uint64_t before = queries.generation();
    const SaHandle first = host.add(p);
    EXPECT_GT(queries.generation(), before);
    p.spi = Spi{1001};
    const SaHandle second = host.add(p);
    const SpiAnswers both = queries.spi_for_policy(2, home(1));
    ASSERT_EQ(both.count, 2u);
    EXPECT_EQ(both.answers[0].spi.value, 1001u) << "newest first";
    EXPECT_EQ(both.answers[1].spi.value, 1000u);
    EXPECT_EQ(both.answers[0].mode, Mode::kTransport);
    EXPECT_GT(both.answers[0].generation, both.answers[1].generation);
    EXPECT_TRUE(both.contains(Spi{1000}));
    EXPECT_FALSE(both.contains(Spi{1002}));
    EXPECT_EQ(host.sad->find_outbound(2, home(1))->spi.value, 1001u);
    host.sad->remove(first);
    ASSERT_EQ(queries.spi_for_policy(2, home(1)).count, 1u);
    EXPECT_TRUE(queries.spi_for_policy(2, home(1)).contains(Spi{1001}));
    // Bounded: a fifth is refused.
    for (std::uint32_t spi = 1002; spi < 1005; ++spi) {
        p.spi = Spi{spi};
        host.add(p);
    }
    p.spi = Spi{1005};
    EXPECT_EQ(
        error_of(host, p),
        "outbound SA 0x000003ed: policy entry 2 has 4 SAs for this remote address already; remove "
        "an old one first");
    host.sad->remove(second);
    EXPECT_EQ(queries.spi_for_policy(2, home(1)).count, 3u);
}

Selectors binding_selectors(const IpAddress& remote) {
    Selectors s;
    s.local = {AddressRange::of(ip("2001:db8:1::1"))};
    s.remote = {AddressRange::of(remote)};
    s.protocol = ProtocolSelector::of(IpProtocol::kMobility);
    s.local_value = ValueSelector::of(6);
    s.remote_value = ValueSelector::of(5);
    return s;
}

TEST(Queries, S1_62_selectors_for_spi_tells_the_home_address_of_the_sa) {
    Host host;
    const DatabaseQueries queries(host.spd, *host.sad);
    for (unsigned i = 1; i <= 2; ++i) {
        SaParameters p = inbound_parameters({.mode = Mode::kTransport, .spi = Spi{500 + i}});
        p.selectors = {binding_selectors(home(i))};
        p.policies = {{2, home(i)}};
        host.add(p);
    }
    for (unsigned i = 1; i <= 2; ++i) {
        const auto answer = queries.selectors_for_spi(Spi{500 + i});
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->remote_address(), home(i));
        EXPECT_EQ(answer->local, AddressRange::of(ip("2001:db8:1::1")));
        EXPECT_EQ(answer->policy, 2);
        EXPECT_EQ(answer->mode, Mode::kTransport);
        EXPECT_EQ(answer->protocol, ProtocolSelector::of(IpProtocol::kMobility));
        EXPECT_TRUE(answer->may_receive(5));
        EXPECT_FALSE(answer->may_receive(6));
        EXPECT_EQ(host.sad->status(*host.sad->inbound_handle(Spi{500 + i}))->selectors[0],
                  binding_selectors(home(i)));
    }
    EXPECT_FALSE(queries.selectors_for_spi(Spi{999}));
    EXPECT_EQ(host.sad->find_inbound(Spi{501})->profile, host.sad->find_inbound(Spi{502})->profile);
}

TEST(Queries, spi_for_a_packet_like_this_one) {
    Host host;
    const DatabaseQueries queries(host.spd, *host.sad);
    PolicyEntry entry;
    entry.id = 2;
    entry.selectors = binding_selectors(home(0));
    entry.selectors.remote = {AddressRange::of(*Ipv6Prefix::parse("2001:db8:1::/64"))};
    entry.action = Action::kProtect;
    entry.protect.populate_remote = true;
    host.policies({entry});
    SaParameters p = outbound_parameters({.mode = Mode::kTransport, .spi = Spi{1000}});
    p.policies = {{2, home(7)}};
    host.add(p);
    SelectorTuple tuple{ip("2001:db8:1::1"), home(7), 135, 6, 0};
    EXPECT_TRUE(queries.spi_for_policy(tuple).contains(Spi{1000}));
    tuple.remote = home(8);
    EXPECT_EQ(queries.spi_for_policy(tuple).count, 0u);
    tuple.remote = home(7);
    tuple.local_value = 5;
    EXPECT_EQ(queries.spi_for_policy(tuple).count, 0u);
}

TEST(Sad, static_keys_are_refused_for_gcm) {
    Host strict;
    SaParameters p = outbound_parameters({});
    p.static_key = true;
    const std::string error = error_of(strict, p);
    EXPECT_NE(error.find("aes128-gcm16 must not be used with static keys"), std::string::npos)
        << error;
    EXPECT_NE(error.find("lab_static_gcm"), std::string::npos) << error;
    Host lab({.lab_static_gcm = true});
    EXPECT_EQ(error_of(lab, p), "no error");
    for (const Algorithm algorithm : {Algorithm::kAes256Gcm16, Algorithm::kChacha20Poly1305}) {
        SaParameters other = inbound_parameters({.algorithm = algorithm});
        other.static_key = true;
        EXPECT_NE(error_of(strict, other), "no error");
    }
    SaParameters cbc = outbound_parameters({.algorithm = Algorithm::kAes128CbcSha1_96});
    cbc.static_key = true;
    EXPECT_EQ(error_of(strict, cbc), "no error");
}

TEST(Sad, errors_say_what_is_wrong_with_an_sa) {
    Host host;
    const std::string in = "inbound SA 0x10000001: ";
    const std::string out = "outbound SA 0x10000001: ";
    const auto inbound = [&](auto change) {
        SaParameters p = inbound_parameters({});
        change(p);
        return error_of(host, p);
    };
    const auto outbound = [&](auto change) {
        SaParameters p = outbound_parameters({});
        change(p);
        return error_of(host, p);
    };
    EXPECT_EQ(inbound([](auto& p) { p.spi = Spi{255}; }),
              "inbound SA 0x000000ff: SPIs 0 to 255 are reserved (RFC 4303 section 2.1)");
    EXPECT_EQ(inbound([](auto& p) { p.encryption_key = SecretBytes(test::Bytes(16)); }),
              in + "the encryption key has 16 octets, aes128-gcm16 takes 20 (key 16 and salt 4)");
    EXPECT_EQ(inbound([](auto& p) { p.integrity_key = SecretBytes(test::Bytes(20)); }),
              in + "the integrity key has 20 octets, aes128-gcm16 takes 0");
    EXPECT_EQ(inbound([](auto& p) { p.replay_window = 63; }),
              in + "replay window 63, expected 64 to 4096, or 0 for none");
    EXPECT_EQ(inbound([](auto& p) { p.replay_window = 4097; }),
              in + "replay window 4097, expected 64 to 4096, or 0 for none");
    EXPECT_EQ(inbound([](auto& p) {
                  p.replay_window = 0;
                  p.esn = true;
              }),
              in + "extended sequence numbers need a replay window (RFC 4303 appendix A2)");
    EXPECT_EQ(inbound([](auto& p) { p.selectors.clear(); }),
              in + "no selectors; an inbound SA must hold what may come out of it");
    EXPECT_EQ(inbound([](auto& p) { p.first_sequence = 0; }),
              in + "first sequence number 0, expected 1 or more");
    EXPECT_EQ(outbound([](auto& p) { p.first_sequence = std::uint64_t{1} << 32; }),
              out + "first sequence number 4294967296 needs extended sequence numbers");
    EXPECT_EQ(outbound([](auto& p) { p.tunnel_remote.reset(); }),
              out + "tunnel mode needs a local and a remote tunnel address");
    EXPECT_EQ(outbound([](auto& p) { p.tunnel_remote = ip("192.0.2.1"); }),
              out + "the tunnel addresses 2001:db8:1::1 and 192.0.2.1 are of two families");
    EXPECT_EQ(outbound([](auto& p) { p.mode = Mode::kTransport; }),
              out + "transport mode, but tunnel addresses are given");
    EXPECT_EQ(outbound([](auto& p) { p.owner = 64; }), out + "owner 64, expected 0 to 63");
    EXPECT_EQ(host.sad->size(), 0u);
    EXPECT_EQ(inbound([](auto&) {}), "no error");
    EXPECT_EQ(inbound([](auto&) {}), in + "this SPI is in use");
    Host small({.max_associations = 1});
    EXPECT_EQ(error_of(small, inbound_parameters({})), "no error");
    EXPECT_EQ(error_of(small, outbound_parameters({})), "the SAD is full: it holds 1 SAs");
}

TEST(Sad, limits_of_the_database_itself) {
    ImmediateReclaimer reclaimer;
    EXPECT_FALSE(SecurityAssociationDatabase::create({.own_slots = 0}, reclaimer));
    EXPECT_FALSE(
        SecurityAssociationDatabase::create({.max_associations = (1u << 24) + 1}, reclaimer));
}

TEST(Sad, key_material_is_wiped_when_an_sa_goes) {
    Host host;
    const SaHandle handle = host.add(outbound_parameters({.algorithm = Algorithm::kAes256Gcm16}));
    const SecurityAssociation* sa = host.sad->find_outbound(1, std::nullopt);
    const std::uint8_t* keys = sa->keys();
    EXPECT_TRUE(std::any_of(keys, keys + 1008, [](std::uint8_t octet) { return octet != 0; }));
    host.sad->remove(handle);
    EXPECT_TRUE(std::all_of(keys, keys + 1008, [](std::uint8_t octet) { return octet == 0; }));
}

TEST(Sad, keys_are_aligned_and_stay_out_of_core_files) {
    Host host;
    host.add(outbound_parameters({}));
    const auto at =
        reinterpret_cast<std::uintptr_t>(host.sad->find_outbound(1, std::nullopt)->keys());
    EXPECT_EQ(at % 64, 0u);
    // The mapping that holds them carries the flag "dd" (do not dump).
    std::FILE* maps = std::fopen("/proc/self/smaps", "r");
    ASSERT_NE(maps, nullptr);
    char line[512];
    bool inside = false;
    bool found = false;
    while (std::fgets(line, sizeof line, maps) != nullptr) {
        unsigned long first = 0;
        unsigned long last = 0;
        if (std::sscanf(line, "%lx-%lx ", &first, &last) == 2) inside = first <= at && at < last;
        if (inside && std::strncmp(line, "VmFlags:", 8) == 0) {
            found = true;
            EXPECT_NE(std::strstr(line, " dd"), nullptr) << line;
        }
    }
    std::fclose(maps);
    if (!found) GTEST_SKIP() << "this kernel shows no VmFlags";
}

/// Frees when told to, as a quiescent-state scheme does.
struct LateReclaimer final : Reclaimer {
    struct Entry {
        void* object;
        Deleter deleter;
        void* owner;
    };
    std::vector<Entry> entries;
    void retire(void* object, Deleter deleter, void* owner) override {
        entries.push_back({object, deleter, owner});
    }
    void run() {
        for (const Entry& e : entries) e.deleter(e.object, e.owner);
        entries.clear();
    }
};

TEST(Sad, a_removed_sa_lives_until_the_reclaimer_says_so) {
    LateReclaimer reclaimer;
    auto sad = std::move(*SecurityAssociationDatabase::create({}, reclaimer));
    const SaHandle handle = *sad->add(inbound_parameters({}));
    const SecurityAssociation* sa = sad->find_inbound(Spi{0x10000001});
    sad->remove(handle);
    EXPECT_EQ(sad->find_inbound(Spi{0x10000001}), nullptr);
    EXPECT_EQ(sa->spi.value, 0x10000001u) << "a reader that has it may go on";
    reclaimer.run();
    EXPECT_NE(sa->spi.value, 0x10000001u);
    ASSERT_TRUE(sad->add(inbound_parameters({})));
}

}  // namespace
}  // namespace homeport::ipsec
