// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/app.hpp"

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <filesystem>
#include <random>

#include "controlplane/binding/journal_store.hpp"
#include "controlplane/binding/sqlite_store.hpp"
#include "controlplane/core/home_agent_config.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"
#include "controlplane/management/commands.hpp"

namespace homeport::core {

namespace {

using namespace std::chrono_literals;

constexpr auto kStuckAfter = 5s;
constexpr std::size_t kMostTouches = 1000;  // neighbours told to the kernel in one round
constexpr unsigned kTouchEvery = 5;         // seconds

}  // namespace

struct App::Timers {
    explicit Timers(asio::io_context& context)
        : protocol(context), second(context), mirror(context) {}
    asio::steady_timer protocol;
    asio::steady_timer second;
    asio::posix::stream_descriptor mirror;
    unsigned seconds = 0;
};

App::App(asio::io_context& context, config::Config config, Log& log, const AppOptions& options)
    : context_(context),
      config_(std::move(config)),
      log_(log),
      options_(options),
      started_(std::chrono::steady_clock::now()),
      ports_(config_.dataplane.ports),
      home_agent_(std::make_unique<mip6::HomeAgent>(
          home_agent_config(config_.controlplane, ports_, now()), now(), std::random_device{}())),
      dad_(options.dad_wait),
      mld_(std::random_device{}()),
      spis_(config_.dataplane.max_sas),
      counter_rows_(config_.dataplane.max_bindings),
      mip4_(static_cast<Mip4Host&>(*this), ports_, log),
      data_plane_(std::make_unique<DataPlane>(context, config_.dataplane.channel_socket, log,
                                              static_cast<DataPlaneEvents&>(*this))),
      timers_(std::make_unique<Timers>(context)) {}

App::~App() {
    stop();
}

std::expected<std::unique_ptr<App>, std::vector<std::string>> App::create(
    asio::io_context& context, config::Config config, Log& log, const AppOptions& options) {
    auto source = sa::StaticSaSource::load(config.controlplane);
    if (!source) return std::unexpected(std::move(source.error()));
    for (const std::string& node : source->nodes_without_keys()) {
        if (config.controlplane.policy.allow_unprotected) break;
        log.limited(Message::kNodeWithoutKeys,
                    "the mobile node " + node + " has no keys and cannot register");
    }
    for (const std::string& node : source->nodes_without_payload_keys()) {
        log.limited(Message::kNodeWithoutPayloadKeys,
                    "the mobile node " + node +
                        " has no keys for payload, which policy.protect_payload demands");
    }
    auto mip4 = mip4_configs(config.controlplane, PortMap(config.dataplane.ports));
    if (!mip4) return std::unexpected(std::move(mip4.error()));
    auto app = std::unique_ptr<App>(new App(context, std::move(config), log, options));
    app->mip4_.configure(app->config_.controlplane, std::move(*mip4));
    app->sa_source_ = std::make_unique<sa::StaticSaSource>(std::move(*source));
    if (auto errors = app->open_stores(); !errors.empty()) return std::unexpected(errors);
    app->put_operator_sas_in_force();
    if (auto errors = app->restore_bindings(); !errors.empty()) return std::unexpected(errors);
    if (auto errors = app->open_management(); !errors.empty()) return std::unexpected(errors);
    if (options.mirror_kernel) app->open_mirror();
    app->warn_of_lab_switches();
    app->log_doubts();
    return app;
}

std::vector<std::string> App::open_stores() {
    const std::string& path = config_.controlplane.store_path;
    if (path.empty()) {
        ledger_ = sa::SequenceLedger::in_memory();
        operator_sas_ = sa::OperatorSas::open({}).value();
        return {};
    }
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    auto opened = binding::SqliteStore::open({.path = path});
    if (!opened) return {opened.error().what};
    if (!opened->set_aside.empty()) {
        log_.write(Message::kStoreSetAside, "the store " + path + " was damaged (" +
                                                opened->damage + ") and is now " +
                                                opened->set_aside + "; begins with an empty one");
    }
    auto journal = binding::JournalStore::open({.path = path}, std::move(opened->store));
    if (!journal) return {journal.error().what};
    store_ = std::move(*journal);
    auto ledger = sa::SequenceLedger::open(path + ".sequences");
    if (!ledger) return {ledger.error()};
    ledger_ = std::move(*ledger);
    auto added = sa::OperatorSas::open(path + ".sas");
    if (!added) return {added.error()};
    operator_sas_ = std::move(*added);
    return mip4_.open_log(path + ".mip4");
}

std::vector<std::string> App::restore_bindings() {
    if (!store_) return {};
    const auto loaded = store_->load_all(clocks());
    if (!loaded) return {loaded.error().what};
    for (const std::string& record : loaded->rejected) {
        log_.limited(Message::kStoreRecordBad, "a record of the store was left out: " + record);
    }
    carry_out(home_agent_->restore(loaded->entries, now()));
    finish_round();
    const std::size_t restored = home_agent_->bindings().size();
    if (!loaded->entries.empty()) {
        log_.write(Message::kBindingsRestored, std::to_string(restored) + " of " +
                                                   std::to_string(loaded->entries.size()) +
                                                   " bindings of the store are in force again");
    }
    return {};
}

std::vector<std::string> App::open_management() {
    management::register_commands(dispatcher_, *this);
    const config::ManagementConfig& wanted = config_.controlplane.management;
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(wanted.socket).parent_path(),
                                        ignored);
    management::ServerOptions options;
    options.path = wanted.socket;
    options.group = wanted.group;
    const auto describe = [](const management::PeerCredentials& peer) {
        return "pid " + std::to_string(peer.pid) + " uid " + std::to_string(peer.uid) + " gid " +
               std::to_string(peer.gid);
    };
    management::Server::Callbacks callbacks;
    callbacks.answer = [this, describe](std::string_view line,
                                        const management::PeerCredentials& peer) {
        const std::string command = management::Dispatcher::command_of(line);
        const std::string text = "command '" + command + "' from " + describe(peer);
        if (command.starts_with("show ") || command.starts_with("list ")) {
            log_.debug(text);
        } else {
            log_.limited(Message::kOperatorCommand, text);
        }
        return dispatcher_.answer(line);
    };
    callbacks.refused = [this, describe](const std::string& reason,
                                         const management::PeerCredentials& peer) {
        log_.limited(Message::kClientRefused,
                     "a client was sent away, " + describe(peer) + ": " + reason);
    };
    auto server = management::Server::open(context_, std::move(options), std::move(callbacks));
    if (!server) return {"management socket: " + server.error()};
    server_ = std::move(*server);
    log_.write(Message::kManagementOpen, "commands are taken at " + wanted.socket);
    return {};
}

void App::warn_of_lab_switches() {
    const config::PolicyConfig& policy = config_.controlplane.policy;
    if (policy.allow_unprotected) {
        log_.write(Message::kLabSwitch,
                   "policy.allow_unprotected is on: anybody can take over the home address of a "
                   "mobile node without keys");
    }
    if (policy.lab_static_gcm) {
        log_.write(Message::kLabSwitch,
                   "policy.lab_static_gcm is on: a static key with a counter mode is not safe "
                   "across restarts (RFC 4106 section 2)");
    }
}

void App::open_mirror() {
    auto mirror = netlink::KernelMirror::open(static_cast<netlink::MirrorSink&>(*this));
    if (!mirror) {
        log_.write(Message::kMirrorFailed,
                   "the kernel's tables cannot be read: " + mirror.error().text + "; tries again");
        return;
    }
    mirror_ = std::move(*mirror);
    for (const channel::PortInfo& info : ports_.infos()) {
        mirror_->set_port(info.kernel_interface, info.port);
    }
    timers_->mirror.assign(mirror_->fd());
    wait_for_mirror();
}

void App::wait_for_mirror() {
    timers_->mirror.async_wait(
        asio::posix::stream_descriptor::wait_read, [this](std::error_code error) {
            if (error || !mirror_) return;
            const auto processed = mirror_->process();
            data_plane_->flush();
            if (processed) {
                synchronize_if_ready();
                return wait_for_mirror();
            }
            log_.limited(Message::kMirrorFailed, "the kernel's tables can no longer be read: " +
                                                     processed.error().text + "; tries again");
            timers_->mirror.release();
            mirror_.reset();  // every_second() opens another
        });
}

void App::start() {
    every_second();
    data_plane_->start();
    arm_timer();
}

void App::stop() {
    if (is_stopped_) return;
    is_stopped_ = true;
    server_.reset();
    timers_->protocol.cancel();
    timers_->second.cancel();
    if (timers_->mirror.is_open()) timers_->mirror.release();
    mirror_.reset();
    data_plane_->stop();
    commit_store();
    mip4_.finish_round();
    write_ledger();
}

binding::ClockPair App::clocks() const {
    return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

void App::arm_timer() {
    if (is_stopped_) return;
    std::optional<binding::TimePoint> next;
    for (const auto& deadline : {home_agent_->next_deadline(), dad_.next_deadline(),
                                 mld_.next_deadline(), mip4_.next_deadline()}) {
        if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    if (!next) {
        timers_->protocol.cancel();
        return;
    }
    // Not more often than every few milliseconds, whatever the deadlines are.
    timers_->protocol.expires_at(std::max(*next, now() + 2ms));
    timers_->protocol.async_wait([this](std::error_code error) {
        if (!error) on_timer();
    });
}

void App::on_timer() {
    carry_out(home_agent_->tick(now()));
    for (const auto& verdict : dad_.tick(now())) conclude_dad(verdict);
    send_reports(mld_.tick(now()));
    mip4_.tick();
    finish_round();
    data_plane_->flush();
    arm_timer();
}

void App::every_second() {
    if (is_stopped_) return;
    ++timers_->seconds;
    log_.flush_suppressed();
    write_ledger();
    watch_heartbeat();
    watch_overload();
    synchronize_if_ready();
    if (options_.mirror_kernel && !mirror_) open_mirror();
    if (timers_->seconds % kTouchEvery == 0) refresh_neighbours();
    timers_->second.expires_after(1s);
    timers_->second.async_wait([this](std::error_code error) {
        if (!error) every_second();
    });
}

void App::write_ledger() {
    if (!ledger_ || !ledger_->has_changes()) return;
    const auto written = ledger_->commit();
    ledger_problem_ = written ? "" : written.error();
    if (!written) {
        log_.limited(Message::kLedgerFailed,
                     "sequence numbers of SAs cannot be kept: " + written.error());
    }
}

// The kernel forgets neighbours that it does not use itself: it does not see our packets.
void App::refresh_neighbours() {
    const auto* statistics = data_plane_->statistics();
    if (statistics == nullptr || !mirror_) return;
    std::map<std::string, std::uint64_t> seen;
    std::size_t touched = 0;
    for (const auto& [index, row] : statistics->adjacencies()) {
        if (row.next_hop.family == 0) continue;
        const IpAddress address =
            row.next_hop.family == 6 ? IpAddress(row.next_hop.v6()) : IpAddress(row.next_hop.v4());
        std::string key = std::to_string(row.port) + " " + to_string(address);
        const auto before = adjacency_packets_.find(key);
        const bool is_used =
            before == adjacency_packets_.end() ? row.packets != 0 : before->second != row.packets;
        if (is_used && touched < kMostTouches) {
            mirror_->touch_neighbour(row.port, address);
            ++touched;
        }
        seen.emplace(std::move(key), row.packets);
    }
    adjacency_packets_ = std::move(seen);
}

void App::watch_heartbeat() {
    const auto* statistics = data_plane_->statistics();
    if (statistics == nullptr) {
        is_stuck_ = false;
        return;
    }
    const std::uint64_t beat = statistics->value(&channel::StatisticsHeader::heartbeat);
    if (beat != last_heartbeat_) {
        last_heartbeat_ = beat;
        heartbeat_seen_ = now();
        is_stuck_ = false;
    } else if (!is_stuck_ && now() - heartbeat_seen_ > kStuckAfter) {
        is_stuck_ = true;
        log_.write(Message::kDataPlaneStuck, "the data plane's main loop has not moved for 5 s");
    }
}

}  // namespace homeport::core
