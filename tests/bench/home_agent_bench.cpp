// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/home_agent_bench.hpp"

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_random.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "dataplane/core/graph.hpp"
#include "tests/bench/stage_marks.hpp"

namespace homeport::bench {

namespace {

constexpr const char* kSink = "net_null_bench";

std::expected<std::uint16_t, std::string> sink(rte_mempool* pool) {
    std::uint16_t device = 0;
    if (rte_eth_dev_get_port_by_name(kSink, &device) == 0) {
        rte_eth_dev_stop(device);
    } else if (rte_dev_probe("net_null_bench,no-rx=1") != 0 ||
               rte_eth_dev_get_port_by_name(kSink, &device) != 0) {
        return std::unexpected("there is no net_null driver");
    }
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    if (rte_eth_dev_configure(device, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(device, 0, 512, 0, nullptr, pool) != 0 ||
        rte_eth_tx_queue_setup(device, 0, 512, 0, nullptr) != 0 || rte_eth_dev_start(device) != 0) {
        return std::unexpected("the sink does not start");
    }
    return device;
}

}  // namespace

bool start_environment() {
    std::string prefix = "--file-prefix=homeport-bench-" + std::to_string(getpid());
    std::array<std::string, 9> words{"bench", "--no-huge",  "--no-pci",      "--no-shconf", "-m",
                                     "512",   "--lcores=0", "--log-level=4", prefix};
    std::array<char*, 10> argv{};
    for (std::size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
    if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0) return false;
    rte_srand(1);
    return stage::register_packet_meta();
}

std::expected<std::unique_ptr<HomeAgent>, std::string> HomeAgent::create(
    const traffic::Setting& setting, config::CryptoCpu cpu) {
    std::unique_ptr<HomeAgent> made(new HomeAgent(setting));
    if (auto built = made->build(cpu); !built) return std::unexpected(built.error());
    return made;
}

HomeAgent::~HomeAgent() {
    context_.reset();
    applier_.reset();
    ipsec_.reset();
    state_.reset();
    rte_mempool_free(pool_);
    rte_mempool_free(jumbo_pool_);
}

std::expected<void, std::string> HomeAgent::build(config::CryptoCpu cpu) {
    config::DataplaneConfig config;
    const unsigned roles = traffic::is_of_roles(setting_.path) ? 2 : 1;
    config.max_bindings = std::max(1024u, setting_.bindings * 2 * roles);
    config.max_routes = config.max_adjacencies = 1024;
    config.max_sas = std::max(4096u, setting_.bindings * 4);
    config.ipsec.cpu = cpu;
    pool_ = rte_pktmbuf_pool_create("bench", 8191, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM, 0);
    jumbo_pool_ = rte_pktmbuf_pool_create("bench jumbo", 255, 0, 0,
                                          channel::kMaxPacket + 128 + RTE_PKTMBUF_HEADROOM, 0);
    if (pool_ == nullptr || jumbo_pool_ == nullptr) {
        return std::unexpected(std::string("buffers: ") + rte_strerror(rte_errno));
    }
    auto state = core::SharedState::create(config, 1);
    if (!state) return std::unexpected(state.error());
    state_ = std::move(*state);
    state_->set_ready();
    ipsec_ = std::make_unique<core::IpsecWriter>(*state_, 1, config.max_sas);
    applier_ = std::make_unique<core::CommandApplier>(*state_, *ipsec_,
                                                      static_cast<core::CommandSink&>(*this));
    if (auto made = make_worker(config); !made) return made;
    return load();
}

std::expected<void, std::string> HomeAgent::make_worker(const config::DataplaneConfig& config) {
    for (const stage::StageDescription& stage : core::all_stages()) {
        graph_.push_back(marked(stage));
    }
    auto statistics = channel::StatisticsWriter::create({.stages = stage::stage_names(),
                                                         .edges = stage::edge_names(graph_),
                                                         .workers = 1,
                                                         .adjacencies = config.max_adjacencies,
                                                         .sas = config.max_sas,
                                                         .bindings = config.max_bindings,
                                                         .tsc_hz = 1});
    if (!statistics) return std::unexpected(statistics.error().text);
    statistics_ = std::make_unique<channel::StatisticsWriter>(std::move(*statistics));
    auto context = core::WorkerContext::create(config, *state_,
                                               {.name_suffix = " bench",
                                                .statistics = statistics_->worker(0),
                                                .pool = pool_,
                                                .jumbo_pool = jumbo_pool_,
                                                .stages = graph_});
    if (!context) return std::unexpected(context.error());
    context_ = std::move(*context);
    const auto device = sink(pool_);
    if (!device) return std::unexpected(device.error());
    for (std::uint16_t port = 0; port < 2; ++port) {
        const MacAddress mac =
            port == 0 ? traffic::kPortMac : MacAddress{{0x02, 0x48, 0x50, 0, 0, 2}};
        context_->transmitter().attach(port, *device, 0, false, shared_port_);
        context_->set_port(port, {.mac = mac, .mtu = 1500, .in_use = 1});
        state_->writer().set_port(port, mac, 1500);
    }
    return {};
}

std::expected<void, std::string> HomeAgent::load() {
    std::string refused;
    traffic::send_all(setting_, [&](const auto& record, ConstByteSpan trailing) {
        const table::Applied applied = applier_->apply(record, trailing);
        if (!applied) refused = applied.error().text;
    });
    while (state_->writer().poll(0, 1u << 20)) {
    }
    context_->refresh();
    if (!refused.empty()) return std::unexpected(refused);
    return {};
}

rte_mbuf* HomeAgent::buffer(std::span<const std::uint8_t> frame) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(pool_);
    if (packet == nullptr) return nullptr;
    void* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
    if (room == nullptr) {
        rte_pktmbuf_free(packet);
        return nullptr;
    }
    std::memcpy(room, frame.data(), frame.size());
    return packet;
}

void HomeAgent::run(std::span<rte_mbuf* const> frames) {
    context_->receive(0, frames);
    (void)context_->transmitter().flush();
}

std::uint64_t HomeAgent::count(channel::Counter counter) {
    return context_->worker().counters[static_cast<std::size_t>(counter)];
}

std::string HomeAgent::counters() {
    std::string text;
    for (std::size_t i = 0; i < channel::kCounterCount; ++i) {
        const std::uint64_t value = context_->worker().counters[i];
        if (value == 0) continue;
        text += (text.empty() ? "" : ", ") + std::string(channel::kCounters[i].name) + " " +
                std::to_string(value);
    }
    return text;
}

std::span<const channel::StageRow> HomeAgent::stages() {
    return {statistics_->worker(0).stages, stage::kStageCount};
}

}  // namespace homeport::bench
