// SPDX-License-Identifier: BSD-3-Clause
// TSC cycles a packet of sealing and opening whole bursts: policy lookup, SPD-S cache, headers,
// cipher, replay window, selectors. Packets go to the SAs in random order.
//   bench-esp [--benchmark_filter=...]
// The arguments of a benchmark are octets of the inner packet and number of SAs.
#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/crypto.hpp"
#include "dataplane/ipsec/esp_engine.hpp"

namespace homeport::ipsec {
namespace {

constexpr std::size_t kBurst = 32;
constexpr std::uint32_t kRoom = 128;
constexpr std::size_t kStride = 2048;

Ipv6Address home(std::uint32_t n) {
    Ipv6Address address{{0x20, 0x01, 0x0d, 0xb8, 1}};
    store_be32(address.bytes.data() + 12, n);
    return address;
}

struct Setup {
    Setup(Algorithm algorithm, std::uint32_t associations) {
        sad = std::move(*SecurityAssociationDatabase::create({.own_slots = 1u << 17}, reclaimer));
        PolicyEntry entry;
        entry.id = 6;
        entry.selectors.remote = {AddressRange::of(Ipv6Prefix{home(0), 64})};
        entry.action = Action::kProtect;
        entry.protect.mode = Mode::kTunnel;
        entry.protect.populate_remote = true;
        if (!spd.replace({entry})) std::abort();
        const AlgorithmInfo& a = info(algorithm);
        const std::vector<std::uint8_t> key(64, 7);
        for (std::uint32_t i = 0; i < associations; ++i) {
            SaParameters p;
            p.algorithm = algorithm;
            p.encryption_key = SecretBytes(ConstByteSpan(key).first(a.encryption_keying_length()));
            p.integrity_key = SecretBytes(ConstByteSpan(key).first(a.integrity_key_length));
            p.mode = Mode::kTunnel;
            p.spi = make_own_spi(0, 0, i);
            p.tunnel_local = Ipv6Address{{0x20, 1}};
            p.tunnel_remote = home(i);
            p.policies = {{6, home(i)}};
            p.direction = Direction::kOutbound;
            if (!sad->add(p)) std::abort();
            p.direction = Direction::kInbound;
            p.selectors = {Selectors{}};
            if (!sad->add(p)) std::abort();
        }
        sender = std::move(*EspEngine::create(spd, *sad));
        receiver = std::move(*EspEngine::create(spd, *sad));
    }
    ImmediateReclaimer reclaimer;
    SecurityPolicyDatabase spd{reclaimer};
    std::unique_ptr<SecurityAssociationDatabase> sad;
    std::unique_ptr<EspEngine> sender;
    std::unique_ptr<EspEngine> receiver;
};

/// A burst of packets in buffers of their own, made new for each round.
struct Burst {
    Burst() : memory(kBurst * kStride) {
        for (std::size_t i = 0; i < kBurst; ++i) pointers[i] = &packets[i];
    }
    void refill(std::uint32_t length, std::uint32_t associations, std::mt19937& random) {
        for (std::size_t i = 0; i < kBurst; ++i) {
            std::uint8_t* data = memory.data() + i * kStride + kRoom;
            auto* header = reinterpret_cast<Ipv6Header*>(data);
            header->set_version_class_flow(0, 0);
            header->payload_length = Be16(static_cast<std::uint16_t>(length - 40));
            header->next_header = number(IpProtocol::kUdp);
            header->hop_limit = 63;
            header->destination = home(static_cast<std::uint32_t>(random() % associations));
            packets[i] = {data, length, kRoom,
                          static_cast<std::uint32_t>(kStride) - kRoom - length};
        }
    }
    std::vector<std::uint8_t> memory;
    std::array<Packet, kBurst> packets;
    std::array<Packet*, kBurst> pointers;
    std::array<Verdict, kBurst> verdicts;
};

void report(benchmark::State& state, std::vector<std::uint64_t>& rounds) {
    // The median: a round in which the core was taken away does not count.
    const auto middle = rounds.begin() + static_cast<std::ptrdiff_t>(rounds.size() / 2);
    std::nth_element(rounds.begin(), middle, rounds.end());
    state.counters["cycles/packet"] = static_cast<double>(*middle) / kBurst;
}

void run(benchmark::State& state, Algorithm algorithm, Direction direction) {
    const auto length = static_cast<std::uint32_t>(state.range(0));
    const auto associations = static_cast<std::uint32_t>(state.range(1));
    Setup setup(algorithm, associations);
    Burst burst;
    std::mt19937 random(1);
    std::vector<std::uint64_t> rounds;
    for (auto _ : state) {
        burst.refill(length, associations, random);
        if (direction == Direction::kInbound)
            setup.sender->outbound(burst.pointers, burst.verdicts);
        const std::uint64_t before = __rdtsc();
        if (direction == Direction::kInbound) {
            setup.receiver->inbound(burst.pointers, burst.verdicts);
        } else {
            setup.sender->outbound(burst.pointers, burst.verdicts);
        }
        rounds.push_back(__rdtsc() - before);
    }
    if (!std::ranges::all_of(burst.verdicts, passes)) state.SkipWithError("packets were dropped");
    report(state, rounds);
}

/// The cipher alone, by direct calls over packets in place: what sealing cannot be faster than.
void run_limit(benchmark::State& state) {
    const auto length = static_cast<std::uint32_t>(state.range(0));
    CpuArchitecture architecture = CpuArchitecture::kAuto;
    const MbManager manager = std::move(*make_mb_manager(architecture));
    alignas(64) gcm_key_data key;
    alignas(64) gcm_context_data context;
    const std::array<std::uint8_t, 16> octets{};
    IMB_AES128_GCM_PRE(manager.get(), octets.data(), &key);
    Burst burst;
    std::mt19937 random(1);
    std::vector<std::uint64_t> rounds;
    for (auto _ : state) {
        burst.refill(length, 1, random);
        const std::uint64_t before = __rdtsc();
        for (const Packet& packet : burst.packets) {
            IMB_AES128_GCM_ENC(manager.get(), &key, &context, packet.data, packet.data, length,
                               octets.data(), octets.data(), 8, packet.data + length, 16);
        }
        rounds.push_back(__rdtsc() - before);
    }
    report(state, rounds);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
    for (const int associations : {1, 1000, 10000}) {
        for (const int length : {64, 512, 1420}) benchmark->Args({length, associations});
    }
    benchmark->MinTime(0.1);
}

void all(const char* what, Algorithm algorithm) {
    for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
        const std::string name =
            std::string(direction == Direction::kOutbound ? "seal/" : "open/") + what;
        sizes(benchmark::RegisterBenchmark(
            name.c_str(), [=](benchmark::State& state) { run(state, algorithm, direction); }));
    }
}

}  // namespace
}  // namespace homeport::ipsec

int main(int count, char** words) {
    using homeport::ipsec::Algorithm;
    benchmark::RegisterBenchmark("limit/aes128-gcm16", homeport::ipsec::run_limit)
        ->Args({64, 1})
        ->Args({512, 1})
        ->Args({1420, 1});
    homeport::ipsec::all("aes128-gcm16", Algorithm::kAes128Gcm16);
    homeport::ipsec::all("aes128-cbc-hmac-sha1-96", Algorithm::kAes128CbcSha1_96);
    homeport::ipsec::all("aes128-cbc-hmac-sha256-128", Algorithm::kAes128CbcSha256_128);
    homeport::ipsec::all("chacha20-poly1305", Algorithm::kChacha20Poly1305);
    benchmark::Initialize(&count, words);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
