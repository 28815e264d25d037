// SPDX-License-Identifier: BSD-3-Clause
// A data plane in this process for one path: real tables, real IPsec, all stages, one worker, a
// null device as sink. Packets are put in by hand, so that what is measured is the worker alone.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/channel/statistics_writer.hpp"
#include "dataplane/core/command_applier.hpp"
#include "dataplane/core/worker_context.hpp"
#include "tools/traffic/records.hpp"

namespace homeport::bench {

/// Starts DPDK's environment without devices and huge pages. False: it does not start.
[[nodiscard]] bool start_environment();

class HomeAgent final : private core::CommandSink {
  public:
    /// `cpu`: as dataplane.ipsec.cpu. The error is a sentence.
    [[nodiscard]] static std::expected<std::unique_ptr<HomeAgent>, std::string> create(
        const traffic::Setting& setting, config::CryptoCpu cpu);
    ~HomeAgent();
    HomeAgent(const HomeAgent&) = delete;
    HomeAgent& operator=(const HomeAgent&) = delete;

    /// A buffer with the frame's octets; null: none is left.
    [[nodiscard]] rte_mbuf* buffer(std::span<const std::uint8_t> frame);
    /// The frames arrive on port 0: all stages run over them, and what comes out is sent.
    void run(std::span<rte_mbuf* const> frames);

    [[nodiscard]] std::uint64_t count(channel::Counter counter);
    /// Counters that are not 0, for messages.
    [[nodiscard]] std::string counters();
    /// Calls, packets and cycles of each stage, by StageId.
    [[nodiscard]] std::span<const channel::StageRow> stages();

  private:
    explicit HomeAgent(const traffic::Setting& setting) : setting_(setting) {}
    std::expected<void, std::string> build(config::CryptoCpu cpu);
    std::expected<void, std::string> make_worker(const config::DataplaneConfig& config);
    std::expected<void, std::string> load();

    table::Applied transmit(const channel::TransmitPacket&, ConstByteSpan) override { return {}; }
    table::Applied transmit(const channel::TransmitFrame&, ConstByteSpan) override { return {}; }
    table::Applied trace(const channel::TraceStart&) override { return {}; }
    void stop_trace() override {}
    void sync_done(const channel::EndSync&, std::uint32_t) override {}

    traffic::Setting setting_;
    rte_mempool* pool_ = nullptr;
    rte_mempool* jumbo_pool_ = nullptr;
    std::unique_ptr<core::SharedState> state_;
    std::unique_ptr<core::IpsecWriter> ipsec_;
    std::unique_ptr<core::CommandApplier> applier_;
    std::unique_ptr<channel::StatisticsWriter> statistics_;
    std::vector<stage::StageDescription> graph_;
    port::TransmitPort shared_port_;
    std::unique_ptr<core::WorkerContext> context_;
};

}  // namespace homeport::bench
