// SPDX-License-Identifier: BSD-3-Clause
// Registrations of Mobile IPv4 a second: from a datagram of the data plane to the records and the
// reply for it, HMAC-MD5 both ways and the log of what is kept included; rounds of 64. The longest
// round is how long nothing else gets a turn.
//
//   bench-mip4-registration      renewals and moves of 1,000 and of 100,000 nodes
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>

#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"
#include "controlplane/core/mip4_service.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport {
namespace {

constexpr std::size_t kRound = 64;
const Ipv4Address kHomeAgent{{192, 0, 2, 1}};

Ipv4Address nth(std::uint32_t first, std::uint32_t i) {
    Ipv4Address address;
    store_be32(address.bytes.data(), first + i);
    return address;
}
Ipv4Address home_of(std::uint32_t i) {
    return nth(0x0a000001, i);
}

class Nothing final : public core::Mip4Host {
  public:
    void send_command(channel::BindingSet& record) override { benchmark::DoNotOptimize(record); }
    void send_command(channel::BindingRemove& record) override { benchmark::DoNotOptimize(record); }
    void send_ipv4_packet(ConstByteSpan packet) override { replies += packet.size() > 28; }
    void send_frame(std::uint16_t, ConstByteSpan) override {}
    std::uint32_t take_counter_row(const Ipv4Address&) override { return 0; }
    void give_back_counter_row(const Ipv4Address&) override {}
    void forget_neighbour(std::uint16_t, const Ipv4Address&) override {}
    std::uint64_t replies = 0;
};

mip4::SecurityAssociation association() {
    mip4::SecurityAssociation made;
    made.spi = 256;
    for (int i = 0; i < 16; ++i) made.key.push_back(static_cast<std::uint8_t>(i * 37));
    return made;
}

std::vector<std::uint8_t> request(std::uint32_t node, bool moves, std::uint64_t serial) {
    static const mip4::SecurityAssociation kKey = association();
    wire::RegistrationRequest message;
    message.decapsulates = message.reverse_tunnel = true;
    message.lifetime = 600;
    message.home_address = home_of(node);
    message.home_agent = kHomeAgent;
    message.care_of_address = nth(0xc6120000, moves ? static_cast<std::uint32_t>(serial) : node);
    message.identification = mip4::ntp_time(std::chrono::system_clock::now()) + (serial & 0xffff);
    auto payload = wire::encode(message);
    wire::append_mip4_authentication(
        payload, wire::Mip4AuthenticationKind::kMobileHome, kKey.spi, 16,
        [&](ConstByteSpan covered) { return mip4::authenticator(kKey, covered); });
    std::vector<std::uint8_t> packet(28);
    packet[0] = 0x45;
    store_be16(packet.data() + 2, static_cast<std::uint16_t>(28 + payload.size()));
    packet[9] = number(IpProtocol::kUdp);
    message.care_of_address.store(packet.data() + 12);
    kHomeAgent.store(packet.data() + 16);
    store_be16(packet.data() + 20, 434);
    store_be16(packet.data() + 22, 434);
    store_be16(packet.data() + 24, static_cast<std::uint16_t>(8 + payload.size()));
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

void registrations(benchmark::State& state) {
    const auto nodes = static_cast<std::uint32_t>(state.range(0));
    const bool moves = state.range(1) != 0;
    std::string name = (std::filesystem::temp_directory_path() / "bench-XXXXXX").string();
    const std::filesystem::path directory = ::mkdtemp(name.data());
    config::LogConfig log_config;
    log_config.target = config::LogTarget::kFile;
    log_config.file = directory / "log";
    const auto log = std::move(*core::Log::open(log_config));
    const core::PortMap ports(std::vector<config::PortConfig>{});
    Nothing host;
    {
        config::ControlplaneConfig config;
        config.mobile_ipv4.resize(1);
        config.mobile_ipv4[0].addresses = {kHomeAgent};
        config.mobile_ipv4[0].networks.emplace_back().prefix = *Ipv4Prefix::parse("10.0.0.0/8");
        auto configs = std::move(*core::mip4_configs(config, ports));
        for (std::uint32_t i = 0; i < nodes; ++i) {
            configs[0].nodes.push_back({.name = home_of(i).to_string(),
                                        .home_address = home_of(i),
                                        .associations = {association()}});
        }
        configs[0].max_bindings = nodes;
        configs[0].node_rate = {1e9, 1e9};  // this is not about how often one node may come
        core::Mip4Service service(host, ports, *log);
        service.configure(config, std::move(configs));
        if (!service.open_log(directory / "kept").empty()) state.SkipWithError("no log");
        channel::Punt punt;
        punt.reason = channel::PuntReason::kMip4Message;
        std::uint64_t number = 0;
        const auto round = [&](const std::vector<std::vector<std::uint8_t>>& packets) {
            for (const auto& packet : packets) service.receive(punt, packet);
            service.finish_round();
        };
        const auto make = [&] {
            std::vector<std::vector<std::uint8_t>> packets;
            for (std::size_t i = 0; i < kRound; ++i, ++number) {
                packets.push_back(
                    request(static_cast<std::uint32_t>(number % nodes), moves, number));
            }
            return packets;
        };
        for (std::uint32_t i = 0; i < nodes; i += kRound) round(make());
        const std::uint64_t before = host.replies;
        std::chrono::steady_clock::duration longest{};
        for (auto _ : state) {
            state.PauseTiming();
            const auto packets = make();
            state.ResumeTiming();
            const auto began = std::chrono::steady_clock::now();
            round(packets);
            longest = std::max(longest, std::chrono::steady_clock::now() - began);
        }
        state.counters["longest_ms"] = std::chrono::duration<double, std::milli>(longest).count();
        const std::uint64_t sent = static_cast<std::uint64_t>(state.iterations()) * kRound;
        if (host.replies - before != sent) state.SkipWithError("not every request was answered");
        const auto accepted = service.agents()[0].module->counters()[mip4::Counter::kAccepted];
        if (accepted < sent) state.SkipWithError("not every request was accepted");
        state.SetItemsProcessed(static_cast<std::int64_t>(sent));
    }
    std::filesystem::remove_all(directory);
}

BENCHMARK(registrations)
    ->ArgNames({"nodes", "moves"})
    ->Args({1000, 0})
    ->Args({1000, 1})
    ->Args({100000, 0})
    ->Args({100000, 1});

}  // namespace
}  // namespace homeport

BENCHMARK_MAIN();
