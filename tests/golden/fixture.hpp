// SPDX-License-Identifier: BSD-3-Clause
// A data plane in the test's process: one worker, its tables, IPsec and all stages that are given;
// frames in, frames and counters out.
//
//   class MyTest : public golden::DataPlaneTest {};
//   TEST_F(MyTest, P1_...) {
//       start({.stages = {&tunnel::kParseStage, ...}});
//       apply(channel::BindingSet{...});
//       for (unsigned batch : golden::kBatchSizes) {
//           const auto result = feed(frames, batch);
//           EXPECT_EQ(result.sent[1], expected);
//           EXPECT_EQ(result.count("tun.out.ok"), frames.size());
//       }
//   }
//
// Stages that are not given are replaced by ones that collect what they get (Result::arrived) and
// end it. What IPsec is and how it is asked depends on the environment, see matrix.hpp: a test that
// holds must hold in all of them. After each feed() the invariant received = forwarded + delivered
// + dropped + held is checked; `held` are packets that wait for more (reassembly), which must be
// gone at the end.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/core/command_applier.hpp"
#include "dataplane/core/worker_context.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/trace.hpp"
#include "tests/golden/matrix.hpp"

namespace homeport::golden {

using Bytes = std::vector<std::uint8_t>;

/// 67 is a multiple of nothing and more than a batch.
inline constexpr std::array<unsigned, 4> kBatchSizes{1, 3, 64, 67};

struct Frame {
    std::uint16_t port = 0;
    Bytes bytes;
};

/// What the control plane would get.
struct Punted {
    channel::Punt record;
    Bytes packet;
};

/// What a stage that is not there would have got.
struct Arrived {
    stage::PacketMeta notes;
    Bytes packet;
};

struct Result {
    std::vector<std::vector<Bytes>> sent;    // by port: frames, in order
    std::vector<std::vector<Bytes>> kernel;  // by port of the exception TAP: frames, in order
    std::vector<Punted> punted;
    std::vector<stage::MainRequest> requests;
    std::map<stage::StageId, std::vector<Arrived>> arrived;
    std::map<std::string, std::uint64_t, std::less<>> counters;  // those that rose, by name
    std::uint64_t held = 0;       // packets that wait somewhere at the end
    std::uint64_t offloaded = 0;  // of those sent: checksums were left to the port

    [[nodiscard]] std::uint64_t count(std::string_view name) const {
        const auto found = counters.find(name);
        return found == counters.end() ? 0 : found->second;
    }
    [[nodiscard]] std::uint64_t count(channel::Counter counter) const {
        return count(channel::name_of(counter));
    }
    /// Sum of all drop counters.
    [[nodiscard]] std::uint64_t dropped() const;
    /// "rx.port 3, tx.port 2, ...": for failure messages.
    [[nodiscard]] std::string to_string() const;
};

struct Options {
    std::vector<const stage::StageDescription*> stages;
    unsigned ports = 2;
    std::uint16_t mtu = 1500;
    bool ipsec_copy_mode = false;
    config::ReassemblyConfig reassembly{};
    std::uint32_t max_bindings = 1024;
};

/// Address of port `port`.
[[nodiscard]] MacAddress port_mac(std::uint16_t port);
/// Address of a host on the link of port `port`.
[[nodiscard]] MacAddress host_mac(std::uint16_t port, std::uint8_t host = 1);
/// `packet` in Ethernet, from host_mac(port) to port_mac(port).
[[nodiscard]] Bytes to_port(std::uint16_t port, std::span<const std::uint8_t> packet);
/// The frame that the port sends for `packet` to host number `host` on its link.
[[nodiscard]] Bytes from_port(std::uint16_t port, std::span<const std::uint8_t> packet,
                              std::uint8_t host = 1);
/// The IP packet in a frame.
[[nodiscard]] Bytes packet_in(const Bytes& frame);
/// "60 00 00 00 ..." or any other hex digits with spaces.
[[nodiscard]] Bytes from_hex(std::string_view text);
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
/// The ethdev `name`, "net_ring...", whose sent frames can be received from it; made and started
/// with `pool` if there is none. It stays for all tests of the process.
[[nodiscard]] std::uint16_t ring_device(const std::string& name, rte_mempool* pool);

class DataPlaneTest : public ::testing::Test, private core::CommandSink {
  protected:
    static void SetUpTestSuite();
    void TearDown() override;

    /// Starts a data plane; once a test.
    void start(const Options& options);

    /// Applies a command, which must succeed. `trailing`: as behind the record on the channel.
    template <class Record>
    void apply(const Record& record, ConstByteSpan trailing = {}) {
        const table::Applied applied = try_apply(record, trailing);
        EXPECT_TRUE(applied) << applied.error().text;
    }
    /// The same for commands that may be refused.
    template <class Record>
    table::Applied try_apply(const Record& record, ConstByteSpan trailing = {}) {
        const table::Applied applied = applier_->apply(matrix_.adapted(record), trailing);
        if (applied) matrix_.apply(record, trailing);
        settle();
        return applied;
    }
    /// Shorthands for apply().
    void add_address(std::uint16_t port, std::string_view address, std::uint8_t prefix_length,
                     bool is_home_agent_address = false);
    /// `next_hop` empty: on-link.
    void add_route(std::string_view prefix, std::uint16_t port, std::string_view next_hop = "");
    /// `address` is host_mac(port, host).
    void add_neighbour(std::uint16_t port, std::string_view address, std::uint8_t host = 1);
    void set_policies(std::span<const channel::PolicyRecord> policies);
    /// One policy: everything bypasses IPsec.
    void bypass_all();

    /// Frames in `frames` arrive, at most `batch` of one port at a time.
    Result feed(std::span<const Frame> frames, unsigned batch);
    Result feed(std::uint16_t port, std::span<const Bytes> frames, unsigned batch = 64);
    /// One frame.
    Result feed(std::uint16_t port, const Bytes& frame) { return feed(port, std::span(&frame, 1)); }
    /// Frames wait in the receive queue of `device`, which add_queue_device() made; then the worker
    /// polls so many rounds.
    Result feed_queue(std::uint16_t device, std::span<const Bytes> frames, unsigned rounds = 1);
    /// The same with one frame in each of some queues.
    Result feed_queues(const std::vector<std::pair<std::uint16_t, Bytes>>& frames);
    /// A device whose receive queue is a ring of 1023 frames; `number` tells one from another.
    [[nodiscard]] std::uint16_t add_queue_device(std::uint16_t number = 7);
    /// A frame that the kernel sends by the exception TAP of `port`.
    Result feed_from_kernel(std::uint16_t port, const Bytes& frame);
    /// A packet in normal form of the control plane. `reply_to`: as in the record.
    Result transmit(const Bytes& packet, channel::WireAddress reply_to = {},
                    std::uint16_t port = channel::kNoPort);
    /// The same with all of the record that is not `length`.
    Result transmit(const Bytes& packet, channel::TransmitPacket record);
    /// Runs idle rounds of the worker, for timers.
    Result run_idle(unsigned rounds = 1);

    /// Whether the express stage takes what it can; as the matrix says when a test starts.
    static void use_express(bool on);
    /// The next `packets` packets are traced, stage by stage.
    void start_trace(std::uint32_t packets);
    /// Steps of traced packets since then, as "stage edge".
    [[nodiscard]] std::vector<std::string> traced_steps();
    /// Packets that stages gave to the edge of this name ("stage.edge") so far.
    [[nodiscard]] std::uint64_t given_to(std::string_view edge);
    /// What the main lcore does when it learnt one.
    void set_path_mtu(std::uint32_t spi, const IpAddress& peer, std::uint16_t path_mtu);
    /// Technique B is in force (S1.8).
    [[nodiscard]] bool heuristic() const { return matrix_.heuristic(); }
    [[nodiscard]] core::WorkerContext& context() { return *context_; }
    [[nodiscard]] stage::Worker& worker() { return context_->worker(); }
    /// Before start(): how many workers there are; all but this one, the first, only take what they
    /// are given (to_other_worker()).
    void set_workers(unsigned workers) { workers_ = workers; }
    /// Before start(): ports put checksums in when they send.
    void set_offloads() { offloads_ = true; }
    /// What the ports say of frames that are fed from now on: RTE_MBUF_F_RX_...
    void set_received_flags(std::uint64_t flags) { received_flags_ = flags; }
    /// Stages and packets on their way to worker 1, taken from its ring of data or of signalling.
    std::vector<Arrived> to_other_worker(bool signalling);
    [[nodiscard]] core::SharedState& state() { return *state_; }
    [[nodiscard]] core::IpsecWriter& ipsec() { return *ipsec_; }
    [[nodiscard]] channel::StatisticsWriter& statistics() { return *statistics_; }

  private:
    struct PortState {
        std::uint16_t device = 0;
        rte_ring* to_kernel = nullptr;
        std::unique_ptr<port::TransmitPort> shared;
    };

    table::Applied transmit(const channel::TransmitPacket& record, ConstByteSpan packet) override;
    table::Applied transmit(const channel::TransmitFrame& record, ConstByteSpan frame) override;
    table::Applied trace(const channel::TraceStart&) override { return {}; }
    void stop_trace() override {}
    void sync_done(const channel::EndSync&, std::uint32_t) override {}

    void build_graph(const Options& options);
    void add_express(std::array<bool, stage::kStageCount>& present);
    void make_port(std::uint16_t port, const Options& options);
    void settle();
    [[nodiscard]] rte_mbuf* make_mbuf(std::span<const std::uint8_t> bytes);
    bool give(const core::FromMain& order, std::span<const std::uint8_t> bytes);
    void begin();
    Result end();
    void collect_ports(Result& result);
    void collect_punts(Result& result);
    void collect_arrivals(Result& result);
    void check_invariant(const Result& result);
    void count(channel::Counter counter, std::uint64_t n = 1) {
        main_counters_[static_cast<std::size_t>(counter)] += n;
    }

    unsigned workers_ = 1;
    bool offloads_ = false;
    std::uint64_t received_flags_ = 0;
    std::array<rte_ring*, 2> other_rings_{};  // of worker 1: data, signalling
    std::vector<stage::StageDescription> graph_;
    stage::TraceSession trace_session_;
    bool forwards_ = false;  // the graph has the forward stage
    rte_mempool* pool_ = nullptr;
    rte_mempool* jumbo_pool_ = nullptr;
    std::unique_ptr<core::SharedState> state_;
    std::unique_ptr<core::IpsecWriter> ipsec_;
    std::unique_ptr<core::CommandApplier> applier_;
    std::unique_ptr<channel::StatisticsWriter> statistics_;
    std::vector<PortState> ports_;
    std::unique_ptr<core::WorkerContext> context_;
    Matrix matrix_;
    std::array<std::uint64_t, channel::kCounterCount> main_counters_{};
    std::array<std::uint64_t, channel::kCounterCount> before_{};
    std::uint64_t held_before_ = 0;
};

}  // namespace homeport::golden
