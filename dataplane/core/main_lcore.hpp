// SPDX-License-Identifier: BSD-3-Clause
// The main lcore: the only writer of the tables, the kernel's and the control plane's counterpart.
// It never blocks for longer than a millisecond, and nothing here stops a worker.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/channel/server.hpp"
#include "dataplane/channel/statistics_writer.hpp"
#include "dataplane/core/command_applier.hpp"
#include "dataplane/core/ipsec_writer.hpp"
#include "dataplane/core/shared_state.hpp"
#include "dataplane/core/worker_context.hpp"
#include "dataplane/port/exception_tap.hpp"
#include "dataplane/port/port.hpp"
#include "dataplane/port/transmitter.hpp"

namespace homeport::core {

/// A port with everything that the main lcore keeps of it.
struct PortContext {
    std::uint16_t number = 0;
    std::unique_ptr<port::Port> port;
    std::unique_ptr<port::ExceptionTap> tap;
    rte_ring* to_kernel = nullptr;  // frames for the TAP; many producers
    port::TransmitPort transmit;
    port::LinkState link;
    std::uint64_t kernel_rx = 0;  // frames from the TAP
    std::uint64_t kernel_tx = 0;
};

struct MainSetup {
    SharedState& state;
    IpsecWriter& ipsec;
    std::vector<std::unique_ptr<WorkerContext>>& workers;
    std::vector<std::unique_ptr<PortContext>>& ports;
    channel::StatisticsWriter& statistics;
    channel::WorkerStatistics own_statistics;  // the block behind those of the workers
    channel::Server& server;
    Waker& waker;
    stage::TraceSession& trace_session;
    rte_mempool* pool;
    rte_mempool* jumbo_pool;
};

class MainLcore final : private CommandSink {
  public:
    explicit MainLcore(const MainSetup& setup);
    ~MainLcore() override;
    MainLcore(const MainLcore&) = delete;
    MainLcore& operator=(const MainLcore&) = delete;

    /// Until `stop`.
    void run(const std::atomic<bool>& stop);
    /// Brings what workers left behind to the kernel. After the workers have stopped.
    void drain();

  private:
    static constexpr unsigned kBurst = 64;
    static constexpr unsigned kCommandsAtOnce = 512;

    // Each returns whether there was something to do.
    bool round();
    bool to_taps();
    bool to_taps(PortContext& port);
    bool from_taps();
    bool punts();
    bool requests();
    bool commands();
    bool traces();

    table::Applied transmit(const channel::TransmitPacket& record, ConstByteSpan packet) override;
    table::Applied transmit(const channel::TransmitFrame& record, ConstByteSpan frame) override;
    table::Applied trace(const channel::TraceStart& record) override;
    void stop_trace() override;
    void sync_done(const channel::EndSync& record, std::uint32_t swept) override;

    [[nodiscard]] bool room_for_packets() const;
    table::Applied give_worker(const FromMain& order, ConstByteSpan bytes, unsigned worker = 0);
    [[nodiscard]] unsigned sealing_worker(ConstByteSpan packet) const;
    [[nodiscard]] rte_mbuf* make_mbuf(std::size_t octets);
    void apply_command(std::span<std::uint8_t> record);
    void send_punt(rte_mbuf* packet);
    template <channel::ChannelRecord Event>
    bool send(Event& event, ConstByteSpan trailing = {});

    void look_at_channel();
    void attached();
    void send_port_info(const PortContext& port);
    void send_flow_rules(const PortContext& port);
    void set_trace_filters();

    void housekeeping(std::uint64_t now);
    void look_at_links();
    void look_at_associations();
    void look_at_association(const ipsec::SecurityAssociation& sa);
    void report_sequence(const ipsec::SecurityAssociation& sa, std::uint64_t highest,
                         std::uint64_t sent);
    void learn_path_mtu(const Ipv6Address& home_address, std::uint32_t mtu);
    void learn_sealed_path_mtu(const stage::MainRequest& request);
    bool learn_vpn_path_mtu(const SaKey& key, const stage::MainRequest& request);
    void tell_esp_source(const stage::MainRequest& request);
    [[nodiscard]] bool goes_to(std::uint32_t slot, const Ipv6Address& address) const;
    void tell_known_mapping(const channel::BindingSet& record);
    void tell_esp_mapping(const stage::MainRequest& request);
    void follow_path_mtu(const ipsec::SecurityAssociation& sa);
    void follow_vpn_path_mtu(const ipsec::SecurityAssociation& sa, const Ipv4Address& inner);
    void look_at_lifetimes();
    bool tell_lifetime(const ipsec::LifetimeEvent& expired);
    void write_statistics();
    void write_port_row(const PortContext& port);
    void write_adjacency_rows();
    void write_policy_rows();
    void sleep();
    void count(channel::Counter counter, std::uint64_t n = 1) { statistics_.count(counter, n); }

    SharedState& state_;
    IpsecWriter& ipsec_;
    std::vector<std::unique_ptr<WorkerContext>>& workers_;
    std::vector<std::unique_ptr<PortContext>>& ports_;
    channel::StatisticsWriter& region_;
    channel::WorkerStatistics statistics_;
    channel::Server& server_;
    Waker& waker_;
    stage::TraceSession& trace_session_;
    rte_mempool* pool_;
    rte_mempool* jumbo_pool_;
    CommandApplier applier_;

    int epoll_ = -1;
    std::uint64_t last_command_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t refused_commands_ = 0;
    std::optional<stage::TraceFilter> wanted_filter_;
    std::uint64_t wanted_by_ = 0;  // bit by worker: has not got the filter yet
    std::uint32_t wanted_packets_ = 0;
    std::uint64_t lost_steps_ = 0;

    std::uint64_t hz_;
    std::uint64_t started_;
    unsigned rounds_ = 0;  // since the last sleep
    std::uint64_t next_millisecond_ = 0;
    std::uint64_t next_link_look_ = 0;
    std::uint64_t next_second_ = 0;
    std::vector<std::uint8_t> adjacency_rows_in_use_;
    std::vector<std::uint8_t> policy_rows_in_use_;
};

}  // namespace homeport::core
