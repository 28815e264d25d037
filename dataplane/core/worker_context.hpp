// SPDX-License-Identifier: BSD-3-Clause
// One worker core: everything that its stages use, and its loop. Made by the main lcore before the
// worker starts; afterwards used by the worker's thread, but for what is marked.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/statistics_writer.hpp"
#include "dataplane/config/config.hpp"
#include "dataplane/core/receive_queue.hpp"
#include "dataplane/core/shared_state.hpp"
#include "dataplane/forward/reassembler.hpp"
#include "dataplane/ipsec/esp_engine.hpp"
#include "dataplane/port/transmitter.hpp"
#include "dataplane/stage/driver.hpp"
#include "dataplane/stage/source_policers.hpp"
#include "dataplane/stage/trace.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/route_cache.hpp"
#include "dataplane/tunnel/payload_owners.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/signalling_spis.hpp"

namespace homeport::core {

/// Wakes the main lcore up when it sleeps. Any thread; written when it goes to sleep alone.
class alignas(kCacheLine) Waker {
  public:
    [[nodiscard]] static std::expected<std::unique_ptr<Waker>, std::string> create();
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

    /// To be waited on; readable after wake().
    [[nodiscard]] int fd() const { return fd_; }
    /// The main lcore is going to sleep; it looks at all rings once more after this.
    void announce_sleep() { sleeps_.store(true, std::memory_order_seq_cst); }
    void awake();
    /// One system call if the main lcore sleeps, a load if not.
    void wake() {
        // What was put into a ring before must be seen by a main lcore that is not seen asleep.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (sleeps_.load(std::memory_order_seq_cst)) [[unlikely]]
            really_wake();
    }

  private:
    explicit Waker(int fd) : fd_(fd) {}
    void really_wake();
    int fd_;
    std::atomic<bool> sleeps_{false};
};

/// What the main lcore writes at the start of the buffer of a packet that it gives to a worker.
struct FromMain {
    enum class Kind : std::uint8_t {
        kFrame,        // of the control plane: to be sent on `port` as it is
        kKernelFrame,  // of the exception TAP of `port`: tunnelled if its destination is bound
        kPacket,       // of the control plane, in normal form: enters IPsec
    } kind{};
    std::uint16_t port = channel::kNoPort;
    // kPacket: as in channel::TransmitPacket.
    channel::WireAddress reply_to{};
    channel::WireAddress reply_from{};
    std::uint16_t reply_to_port = 0;
    std::uint16_t reply_from_port = 0;
};
static_assert(sizeof(FromMain) <= RTE_PKTMBUF_HEADROOM);
/// Entries of each ring between a worker and others. Part of the count of packet buffers.
inline constexpr unsigned kRingSize = 2048;
/// Frames of signalling that a worker has found and not yet begun with, and that wait for it from
/// other workers: each so many.
inline constexpr unsigned kSignallingQueueSize = 512;

struct WorkerSetup {
    unsigned index = 0;
    unsigned count = 1;
    unsigned lcore = 0;
    std::string name_suffix;  // makes the names of rings unique in this process
    channel::WorkerStatistics statistics;
    rte_mempool* pool = nullptr;
    rte_mempool* jumbo_pool = nullptr;
    std::span<const stage::StageDescription> stages;
    stage::TraceSession* trace_session = nullptr;  // null: no trace
    Waker* waker = nullptr;                        // null: nobody sleeps
};

/// Alone on its cache lines, with all that is made into it.
class alignas(kCacheLine) WorkerContext {
  public:
    /// The error is a sentence.
    [[nodiscard]] static std::expected<std::unique_ptr<WorkerContext>, std::string> create(
        const config::DataplaneConfig& config, SharedState& state, const WorkerSetup& setup);
    ~WorkerContext();
    WorkerContext(const WorkerContext&) = delete;
    WorkerContext& operator=(const WorkerContext&) = delete;

    // ---------------------------------------------------------- before the worker starts

    /// `port`: number of the port; `device`: DPDK port that it is.
    void add_receive_queue(std::uint16_t port, std::uint16_t device, std::uint16_t queue,
                           const ReceiveOptions& options = {});
    void set_port(std::uint16_t port, const stage::PortView& view);
    /// Where this worker hands packets for `other` over.
    void connect(WorkerContext& other);

    // ------------------------------------------------------------------ the worker's thread

    /// Polls and processes until `stop`, as reader number `index` of the state's QSBR variable.
    void run(const std::atomic<bool>& stop, std::uint32_t idle_backoff_us);
    /// One round over all sources. True: there was work.
    bool poll();
    /// Frames that came in by `port`: counts them and runs all stages.
    void receive(std::uint16_t port, std::span<rte_mbuf* const> frames);

    // ------------------------------------------------------------------- the main lcore

    /// For packets that begin with a FromMain; multi producer.
    [[nodiscard]] rte_ring* from_main() { return from_main_; }
    [[nodiscard]] rte_ring* to_control() { return worker_.to_control; }
    [[nodiscard]] rte_ring* to_main() { return worker_.to_main; }
    [[nodiscard]] ipsec::EspEngine& esp() { return *esp_; }
    [[nodiscard]] stage::Tracer* tracer() { return tracer_.get(); }
    [[nodiscard]] port::Transmitter& transmitter() { return transmitter_; }
    [[nodiscard]] const std::uint64_t* adjacency_packets() const { return adjacency_packets_; }

    [[nodiscard]] stage::Worker& worker() { return worker_; }
    /// Puts changed parameters in force. The loop does it in every round.
    void refresh();
    /// Packets that wait somewhere in this worker.
    [[nodiscard]] bool idle() const;

  private:
    WorkerContext(SharedState& state, const WorkerSetup& setup);
    [[nodiscard]] std::expected<void, std::string> build(const config::DataplaneConfig& config,
                                                         const WorkerSetup& setup);
    [[nodiscard]] std::expected<void, std::string> make_rings(const WorkerSetup& setup);
    void make_reassembler(const config::ReassemblyConfig& config);
    void run_stages();
    void begin_with(std::uint16_t port, std::span<rte_mbuf* const> frames, std::uint16_t flags);
    bool poll_queue(ReceiveQueue& queue);
    [[nodiscard]] static bool runs_over(ReceiveQueue& queue);
    void look_ahead(ReceiveQueue& queue, std::span<rte_mbuf* const> frames);
    void sort_out(ReceiveQueue& queue, std::span<rte_mbuf* const> frames);
    bool serve_signalling();
    bool poll_ring(rte_ring* ring);
    bool expire_fragments();
    void look_at_signalling();
    bool poll_from_main();
    bool poll_handed_over();
    void start_packet(rte_mbuf* packet);
    [[nodiscard]] bool note_reply(const FromMain& order, rte_mbuf* packet);
    bool retry_waiting();
    void inject_in_one_piece(stage::StageId stage, std::span<rte_mbuf* const> frames);
    void inject_one(stage::StageId stage, rte_mbuf* packet);
    void wake_main();
    void sleep(unsigned idle_rounds, std::uint32_t longest_us);

    SharedState& state_;
    stage::Worker worker_;
    stage::SourcePolicers mip4_sources_;
    channel::WorkerStatistics statistics_;
    Waker* waker_;
    std::unique_ptr<ipsec::EspEngine> esp_;
    tunnel::ReplyToTable reply_to_;
    tunnel::PayloadOwners payload_owners_;
    table::RouteCache route_cache_;
    tunnel::SignallingSpis signalling_spis_;
    std::unique_ptr<forward::Reassembler> reassembler_;
    std::unique_ptr<stage::Tracer> tracer_;
    port::Transmitter transmitter_;
    std::unique_ptr<stage::Driver> driver_;
    LineVector<ReceiveQueue> receive_queues_;
    const channel::ParametersSet* parameters_ = nullptr;
    rte_ring* from_main_ = nullptr;
    rte_ring* handed_over_ = nullptr;
    rte_ring* signalling_handed_over_ = nullptr;
    FrameQueue signalling_{kSignallingQueueSize};
    std::uint64_t* adjacency_packets_ = nullptr;
    LineVector<rte_mbuf*> deferred_;  // replies that wait for an earlier one of their address
};
static_assert(kFillsLines<WorkerContext> && kFillsLines<Waker>);

}  // namespace homeport::core
