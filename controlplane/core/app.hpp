// SPDX-License-Identifier: BSD-3-Clause
// The control plane: owns everything, lives in one event loop. Events of the data plane go to the
// protocol module, its actions become commands.
//
//   app.cpp             start, stop, timers, reload
//   app_sync.cpp        full synchronisation with the data plane; what the kernel tells
//   app_prefixes.cpp    home prefixes, prefixes of mobile routers
//   app_events.cpp      events of the data plane
//   app_actions.cpp     actions of the protocol module
//   app_management.cpp  what commands see and do
//   app_mip4.cpp        what the home agents of Mobile IPv4 (mip4_service.hpp) need of the rest
#pragma once

#include <chrono>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/binding/store.hpp"
#include "controlplane/core/counter_rows.hpp"
#include "controlplane/core/data_plane.hpp"
#include "controlplane/core/mip4_service.hpp"
#include "controlplane/core/mld_responder.hpp"
#include "controlplane/core/port_map.hpp"
#include "controlplane/ipsec/operator_sas.hpp"
#include "controlplane/ipsec/sa_source.hpp"
#include "controlplane/ipsec/spi_allocator.hpp"
#include "controlplane/management/appliance.hpp"
#include "controlplane/management/dispatcher.hpp"
#include "controlplane/management/server.hpp"
#include "controlplane/mip6/duplicate_address_detection.hpp"
#include "controlplane/mip6/home_agent.hpp"
#include "controlplane/mip6/rate_limiter.hpp"
#include "controlplane/netlink/kernel_mirror.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::core {

class Log;

/// Reads the file and its key files; no file: the built-in defaults. Errors are sentences.
[[nodiscard]] std::expected<config::Config, std::vector<std::string>> load_config(
    const std::string& file);

struct AppOptions {
    /// False: no mirror of the kernel; the data plane gets no routes and neighbours. For tests.
    bool mirror_kernel = true;
    /// Of duplicate address detection (RFC 4862: RetransTimer).
    std::chrono::milliseconds dad_wait{1000};
};

class App final : public management::Appliance,
                  private DataPlaneEvents,
                  private Mip4Host,
                  private netlink::MirrorSink {
  public:
    /// Opens the store, reads the keys, restores bindings, listens on the management socket. Every
    /// error is a sentence. The log and the context must outlive the App.
    [[nodiscard]] static std::expected<std::unique_ptr<App>, std::vector<std::string>> create(
        asio::io_context& context, config::Config config, Log& log, const AppOptions& options = {});
    ~App() override;
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Begins to attach to the data plane.
    void start();
    /// Bindings stay in the store, the data plane goes on with what it has.
    void stop();

    // What commands see and do (management::Appliance).
    [[nodiscard]] const config::Config& config() const override { return config_; }
    [[nodiscard]] const mip6::HomeAgent& home_agent() const override { return *home_agent_; }
    [[nodiscard]] const sa::SaSource& sa_source() const override { return *sa_source_; }
    [[nodiscard]] const channel::StatisticsReader* statistics() const override {
        return data_plane_->statistics();
    }
    [[nodiscard]] std::span<const channel::PortInfo> ports() const override;
    [[nodiscard]] std::span<const channel::FlowRuleInfo> flow_rules() const override;
    void visit_routes(const std::function<void(const channel::RouteSet&)>& visit) const override;
    [[nodiscard]] std::optional<std::uint32_t> counter_index(
        const Ipv6Address& home_address) const override {
        return counter_rows_.find(home_address);
    }
    [[nodiscard]] binding::TimePoint now() const override {
        return std::chrono::steady_clock::now();
    }
    [[nodiscard]] management::ApplianceStatus status() const override;
    std::size_t clear_bindings(const std::optional<Ipv6Address>& home_address) override;
    [[nodiscard]] std::vector<management::Mip4Agent> mip4_agents() const override;
    [[nodiscard]] std::optional<std::uint32_t> counter_index(
        const Ipv4Address& home_address) const override;
    std::size_t clear_mip4_bindings(const std::optional<Ipv4Address>& home_address) override;
    std::expected<std::uint32_t, management::CommandError> add_sa(sa::OperatorSa wanted) override;
    std::expected<void, management::CommandError> delete_sa(const sa::SaName& name) override;
    std::expected<void, management::CommandError> start_trace(
        const channel::TraceStart& start) override;
    std::expected<void, management::CommandError> stop_trace() override;
    [[nodiscard]] const management::TraceBuffer& trace() const override { return trace_; }
    [[nodiscard]] std::expected<config::Config, std::vector<std::string>> check_config()
        const override;
    std::expected<management::ReloadResult, management::CommandError> reload_config() override;

    [[nodiscard]] bool is_synchronized() const { return synchronized_epoch_ == epoch_ && epoch_; }

  private:
    struct Timers;
    struct EarlyPunt {
        channel::Punt event;
        std::vector<std::uint8_t> packet;
    };
    enum class Phase : std::uint8_t { kDetached, kWaitsForKernel, kRunning };

    App(asio::io_context& context, config::Config config, Log& log, const AppOptions& options);

    // app.cpp
    std::vector<std::string> open_stores();
    std::vector<std::string> restore_bindings();
    void open_mirror();
    void wait_for_mirror();
    std::vector<std::string> open_management();
    void warn_of_lab_switches();
    void arm_timer();
    void on_timer();
    void every_second();
    void write_ledger();
    void refresh_neighbours();
    void watch_heartbeat();

    // app_security.cpp
    void put_operator_sas_in_force();
    void learn_own_spis();
    [[nodiscard]] std::uint32_t worker_count() const;
    void note_issued(const sa::SaSource::Issued& issued);

    // app_sync.cpp
    void attached() override;
    void detached() override;
    void synchronize_if_ready();
    void synchronize();
    void send_addresses();
    void send_home_prefixes();
    void send_bindings();
    void send_security();
    void check_home_agent_addresses();
    void link_changed(std::uint16_t port, const netlink::Link& link) override;
    void address_set(std::uint16_t port, const IpAddress& address,
                     std::uint8_t prefix_length) override;
    void address_removed(std::uint16_t port, const IpAddress& address) override;
    void route_set(const netlink::Route& route) override;
    void route_removed(const IpAddress& prefix, std::uint8_t prefix_length) override;
    void neighbour_set(std::uint16_t port, const IpAddress& address,
                       const MacAddress& mac) override;
    void neighbour_removed(std::uint16_t port, const IpAddress& address) override;
    void in_sync() override;

    // app_events.cpp
    void round_began(std::size_t waiting, std::size_t capacity) override;
    void round_ended() override;
    void watch_overload();
    void on_event(const channel::PortInfo& event) override;
    void on_event(const channel::Acknowledge& event) override;
    void on_event(const channel::CommandFailed& event) override;
    void on_event(const channel::SyncDone& event) override;
    void on_event(const channel::Punt& event, ConstByteSpan packet) override;
    void on_event(const channel::Trace& event) override;
    void on_event(const channel::SaHighWater& event) override;
    void on_event(const channel::SaLifetime& event) override;
    void on_event(const channel::PathMtu& event) override;
    void on_event(const channel::EspSource& event) override;
    void on_event(const channel::FlowRuleInfo& event) override;
    void on_event(const channel::EspMapping& event) override;
    void take_punt(const channel::Punt& event, ConstByteSpan packet);
    void take_frame(const channel::Punt& event, ConstByteSpan frame);
    void answer_unknown_binding(const channel::Punt& event, ConstByteSpan packet);
    void answer_parameter_problem(const channel::Punt& event, ConstByteSpan packet);

    // app_mip4.cpp
    void send_command(channel::BindingSet& record) override;
    void send_command(channel::BindingRemove& record) override;
    void send_ipv4_packet(ConstByteSpan packet) override;
    void send_frame(std::uint16_t port, ConstByteSpan frame) override;
    [[nodiscard]] std::uint32_t take_counter_row(const Ipv4Address& home_address) override;
    void give_back_counter_row(const Ipv4Address& home_address) override;
    void forget_neighbour(std::uint16_t port, const Ipv4Address& address) override;
    void send_mip4_networks();
    void log_doubts();

    // app_actions.cpp
    void carry_out(const mip6::Actions& actions);
    void carry_out(const mip6::SendMobilityMessage& action);
    void carry_out(const mip6::InstallBinding& action);
    void carry_out(const mip6::RemoveBinding& action);
    void carry_out(const mip6::PersistBinding& action);
    void carry_out(const mip6::ErasePersisted& action);
    void carry_out(const mip6::StartDad& action);
    void carry_out(const mip6::CancelDad& action);
    void carry_out(const mip6::SendUnsolicitedNeighborAdvertisement& action);
    void carry_out(const mip6::SendGratuitousArp& action);
    void carry_out(const mip6::JoinSolicitedNode& action);
    void carry_out(const mip6::LeaveSolicitedNode& action);
    void carry_out(const mip6::SendIcmpv6& action);
    void carry_out(const mip6::SendBindingError& action);
    void carry_out(const mip6::CountEvent& action);
    void finish_round();  // what was held back until the store knows
    void commit_store();
    void send_binding(const binding::Entry& entry);
    void remove_binding(const Ipv6Address& home_address);
    // app_prefixes.cpp
    void send_mobile_prefixes(const binding::Entry& entry);
    void forget_own_answer(const Ipv6Address& home_address);
    void send_ipv4_bindings(const binding::Entry& entry, channel::BindingSet record);
    void remove_ipv4_binding(const Ipv4Address& address);
    void send_packet(ConstByteSpan packet, std::uint16_t port, channel::TransmitPacket record = {});
    void send_answer(const mip6::SendMobilityMessage& message);
    void send_frame(std::uint16_t port, const Ipv6Address& destination, ConstByteSpan packet);
    void put_frame(const channel::PortInfo& port, ConstByteSpan frame);
    void send_reports(const MldResponder::Reports& reports);
    void conclude_dad(const mip6::DuplicateAddressDetection::Verdict& verdict);
    [[nodiscard]] bool probes_home_link(std::uint16_t port) const;
    [[nodiscard]] binding::ClockPair clocks() const;
    [[nodiscard]] channel::BindingSet tunnel_of(const binding::Entry& entry) const;
    [[nodiscard]] bool is_on_home_link(const binding::Entry& entry,
                                       const Ipv4Address& address) const;
    [[nodiscard]] bool is_home_agent_address(const IpAddress& address) const;
    void note_roles(const IpAddress& address, channel::AddressSet& record) const;
    [[nodiscard]] bool has_role(const IpAddress& address) const;
    void send_vpn_clients();
    template <class Command>
    void send(Command& command, ConstByteSpan trailing = {}) {
        if (phase_ == Phase::kRunning) data_plane_->send(command, trailing);
    }

    asio::io_context& context_;
    config::Config config_;
    Log& log_;
    AppOptions options_;
    std::chrono::steady_clock::time_point started_;

    PortMap ports_;
    std::unique_ptr<mip6::HomeAgent> home_agent_;
    mip6::DuplicateAddressDetection dad_;
    MldResponder mld_;
    std::unique_ptr<binding::Store> store_;  // null: bindings are not kept
    bool store_is_dirty_ = false;
    std::string store_problem_;
    std::optional<sa::SequenceLedger> ledger_;
    std::string ledger_problem_;
    std::unique_ptr<sa::StaticSaSource> sa_source_;
    std::optional<sa::OperatorSas> operator_sas_;
    sa::SpiAllocator spis_;
    /// Past their hard lifetime, or without sequence numbers left: nothing passes them.
    std::map<std::pair<channel::SaDirection, std::uint32_t>, Ipv6Address> ended_sas_;
    CounterRows counter_rows_;
    /// IPv4 home addresses that the data plane has bindings for, by the IPv6 one that holds them.
    std::unordered_map<Ipv6Address, std::vector<Ipv4Address>> ipv4_bindings_;
    /// Mobile network prefixes that the data plane has, by the home address that holds them.
    std::unordered_map<Ipv6Address, std::vector<channel::MobilePrefixSet>> mobile_prefixes_;
    std::unordered_map<Ipv6Address, std::uint16_t> path_mtus_;  // learned; only of bound addresses
    std::vector<mip6::SendMobilityMessage> held_messages_;

    Phase phase_ = Phase::kDetached;
    std::uint64_t epoch_ = 0;               // last sent
    std::uint64_t synchronized_epoch_ = 0;  // last confirmed
    std::uint64_t commands_failed_ = 0;
    std::deque<EarlyPunt> early_punts_;
    std::chrono::steady_clock::time_point attached_at_{};
    std::uint64_t last_heartbeat_ = 0;
    std::chrono::steady_clock::time_point heartbeat_seen_{};
    bool is_stuck_ = false;
    std::uint64_t shed_before_ = 0;  // registrations; at the last look, and before this overload
    std::uint64_t shed_until_now_ = 0;
    bool sheds_ = false;
    unsigned events_waiting_percent_ = 0;                     // of the ring, at the last round
    std::map<std::string, std::uint64_t> adjacency_packets_;  // by port and address

    Mip4Service mip4_;

    std::unique_ptr<netlink::KernelMirror> mirror_;
    /// Home agent addresses that the kernel has, with the data plane's number of the port.
    std::map<IpAddress, std::uint16_t> kernel_addresses_;
    std::set<IpAddress> missing_addresses_;  // already told
    mip6::TokenBucket binding_errors_{10, 20};
    mip6::KeyedTokenBuckets<Ipv6Address> esp_sources_{1.0 / 60, 1, 1024};  // log lines
    mip6::TokenBucket parameter_problems_{10, 20};

    management::TraceBuffer trace_;
    management::Dispatcher dispatcher_;
    std::unique_ptr<management::Server> server_;
    std::unique_ptr<DataPlane> data_plane_;
    std::unique_ptr<Timers> timers_;
    bool is_stopped_ = false;
};

}  // namespace homeport::core
