// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/app.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/data_path.hpp"
#include "tools/mobile-node/host_network.hpp"
#include "tools/mobile-node/log.hpp"
#include "tools/mobile-node/mobility.hpp"
#include "tools/mobile-node/netlink_monitor.hpp"
#include "tools/mobile-node/packet_paths.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/security.hpp"
#include "tools/mobile-node/status_report.hpp"
#include "tools/mobile-node/status_server.hpp"
#include "tools/mobile-node/tun_device.hpp"

namespace homeport::mobile_node {

namespace {

using Clock = std::chrono::steady_clock;

// Until an attachment is known: the path MTU of Ethernet less the tunnel header.
constexpr unsigned kFirstMtu = 1500 - 40;

PathAddresses addresses_of(const Config& config) {
    return {config.home_address, config.home_agent, config.ipv4_home_address,
            config.home_agent_ipv4};
}

DataPath::Options options_of(const Config& config) {
    DataPath::Options out;
    out.ipv4_networks = !config.home_agent_ipv4.empty();
    out.nested_esp = config.dual_stack.nested_esp;
    out.payload_is_sealed = config.payload.has_value();
    out.esp_keepalive = config.dual_stack.esp_keepalive;
    return out;
}

}  // namespace

struct App::State {
    State(const Config& the_config, TunDevice the_tun, HostNetwork the_host,
          std::unique_ptr<Security> the_security)
        : config(the_config),
          tun(std::move(the_tun)),
          host(std::move(the_host)),
          security(std::move(the_security)),
          table(config.home_agent, config.home_prefix, config.home_agent_ipv4),
          monitor(table),
          split(config.signalling, security->queries(), counters),
          paths(addresses_of(config), config.tunnel.hop_limit, security->engine(), counters),
          data_path(context, tun, paths, split, addresses_of(config), options_of(config), counters,
                    events()),
          mobility(context, config, table, data_path, paths, host, *security, counters, kFirstMtu,
                   [this](const char* event, const std::string& text) { publish(event, text); }),
          signals(context, SIGTERM, SIGINT, SIGHUP),
          shutdown_alarm(context, [this] { stop_when_finished(); }) {}

    Result<void> start() {
        StatusServer::Commands commands;
        commands.status = [this] {
            return status_json({config, mobility, data_path, counters, security->associations(),
                                Clock::now(), started});
        };
        commands.solicit_prefixes = [this] { return mobility.solicit_prefixes(); };
        auto opened = StatusServer::create(context, config.status_socket, std::move(commands));
        if (!opened) return std::unexpected(opened.error());
        status = std::move(*opened);
        if (auto done = monitor.start(); !done) return done;
        monitor_readiness = Readiness(context, monitor.descriptor(), [this] { netlink_ready(); });
        wait_for_signal();
        mobility.links_changed();
        return {};
    }

    DataPath::Events events() {
        DataPath::Events out;
        out.signalling = [this](ConstByteSpan packet, const Origin& origin) {
            mobility.signalling(packet, origin);
            stop_when_finished();
        };
        out.path_mtu = [this](unsigned mtu) { mobility.path_mtu(mtu); };
        if (config.route_optimisation.enabled) {
            out.tunnelled = [this](ConstByteSpan packet) { mobility.tunnelled(packet); };
            out.icmp_error = [this](ConstByteSpan packet) { mobility.icmp_error(packet); };
        }
        return out;
    }

    void netlink_ready() {
        const std::uint64_t resyncs = monitor.resyncs();
        if (auto done = monitor.read_events(); !done) spdlog::error("{}", done.error().text);
        counters.add(Counter::kNetlinkResync, monitor.resyncs() - resyncs);
        mobility.links_changed();
        stop_when_finished();
    }

    void publish(const char* event, const std::string& text) {
        if (status) status->publish(event_json(event, text, mobility));
    }

    void wait_for_signal() {
        signals.async_wait([this](const asio::error_code& error, int number) {
            if (error) return;
            if (number == SIGHUP) {
                reload();
            } else {
                shut_down();
            }
            wait_for_signal();
        });
    }

    void reload() {
        auto loaded = load_file(config.file);
        if (!loaded) {
            spdlog::error("configuration not reloaded:\n{}", config::to_string(loaded.error()));
            return;
        }
        if (const auto keys = needs_restart(config, *loaded); !keys.empty()) {
            spdlog::warn("changed, but only a restart brings it into force: {}", keys);
        }
        config.interfaces = loaded->interfaces;
        config.home_interface = loaded->home_interface;
        config.keep_binding_on_exit = loaded->keep_binding_on_exit;
        config.log_level = loaded->log_level;
        set_log_level(config.log_level);
        spdlog::info("configuration reloaded");
        mobility.reconfigured();
    }

    void shut_down() {
        if (shutting_down || config.keep_binding_on_exit) return context.stop();
        spdlog::info("ending: deregistering");
        shutting_down = true;
        mobility.shut_down();
        stop_when_finished();
    }

    void stop_when_finished() {
        if (!shutting_down) return;
        mobility.go_on_shutting_down();
        if (mobility.finished()) return context.stop();
        shutdown_alarm.set(Clock::now() + std::chrono::milliseconds{50});
    }

    Config config;
    Clock::time_point started = Clock::now();
    asio::io_context context{1};
    Counters counters;
    TunDevice tun;
    HostNetwork host;
    std::unique_ptr<Security> security;
    LinkTable table;
    NetlinkMonitor monitor;
    SignallingSplit split;
    PacketPaths paths;
    DataPath data_path;
    std::unique_ptr<StatusServer> status;
    Mobility mobility;
    Readiness monitor_readiness;
    asio::signal_set signals;
    Alarm shutdown_alarm;
    bool shutting_down = false;
};

App::App(std::unique_ptr<State> state) : state_(std::move(state)) {}

App::~App() {
    state_->host.remove();
}

Result<std::unique_ptr<App>> App::create(const Config& config) {
    auto security = Security::create(config);
    if (!security) return std::unexpected(security.error());
    auto tun = TunDevice::create(config.tunnel.name);
    if (!tun) return std::unexpected(tun.error());
    auto host = HostNetwork::set_up(config, tun->index(), kFirstMtu);
    if (!host) return std::unexpected(host.error());
    std::unique_ptr<App> app(new App(
        std::make_unique<State>(config, std::move(*tun), std::move(*host), std::move(*security))));
    if (auto done = app->state_->start(); !done) return std::unexpected(done.error());
    return app;
}

void App::run() {
    spdlog::info("homeport-mn {} runs: home address {} on {}, home agent {}", HOMEPORT_VERSION,
                 state_->config.home_address.to_string(), state_->config.tunnel.name,
                 state_->config.home_agent.to_string());
    state_->context.run();
}

}  // namespace homeport::mobile_node
