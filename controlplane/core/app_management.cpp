// SPDX-License-Identifier: BSD-3-Clause
// What commands see and do.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/home_agent_config.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::core {

namespace {

// Of a whole picture of the kernel, the routes only.
class RouteVisitor final : public netlink::MirrorSink {
  public:
    explicit RouteVisitor(const std::function<void(const channel::RouteSet&)>& visit)
        : visit_(visit) {}

    void link_changed(std::uint16_t, const netlink::Link&) override {}
    void address_set(std::uint16_t, const IpAddress&, std::uint8_t) override {}
    void address_removed(std::uint16_t, const IpAddress&) override {}
    void route_set(const netlink::Route& route) override {
        channel::RouteSet record;
        record.prefix = channel::WireAddress(route.prefix);
        record.prefix_length = route.prefix_length;
        record.route_type = route.type;
        record.port = route.port;
        if (route.next_hop) record.next_hop = channel::WireAddress(*route.next_hop);
        record.mtu = route.mtu;
        visit_(record);
    }
    void route_removed(const IpAddress&, std::uint8_t) override {}
    void neighbour_set(std::uint16_t, const IpAddress&, const MacAddress&) override {}
    void neighbour_removed(std::uint16_t, const IpAddress&) override {}

  private:
    const std::function<void(const channel::RouteSet&)>& visit_;
};

management::CommandError no_data_plane() {
    return {"no_data_plane", "found no data plane, expected one to be attached", {}};
}

}  // namespace

std::span<const channel::PortInfo> App::ports() const {
    return ports_.infos();
}

std::span<const channel::FlowRuleInfo> App::flow_rules() const {
    return ports_.flow_rules();
}

void App::visit_routes(const std::function<void(const channel::RouteSet&)>& visit) const {
    if (!mirror_) return;
    RouteVisitor visitor(visit);
    mirror_->replay_all(visitor);
}

management::ApplianceStatus App::status() const {
    management::ApplianceStatus status;
    status.uptime_seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now() - started_).count());
    status.attached = data_plane_->is_attached();
    status.synchronized = is_synchronized();
    status.epoch = epoch_;
    status.data_plane_build = data_plane_->build_id();
    status.commands_sent = data_plane_->commands_sent();
    status.commands_failed = commands_failed_;
    status.store = store_ ? config_.controlplane.store_path : "none";
    const auto problem = [&](bool is_one, std::string text) {
        if (is_one) status.problems.push_back(std::move(text));
    };
    problem(!status.attached,
            "No data plane is attached; expected one at " + config_.dataplane.channel_socket + ".");
    problem(status.attached && !status.synchronized, "The data plane is not yet in step.");
    status.events_waiting_percent = events_waiting_percent_;
    problem(sheds_, "More binding updates come than can be answered: new registrations wait.");
    problem(is_stuck_, "The data plane's main loop does not move.");
    problem(options_.mirror_kernel && !mirror_, "The kernel's tables cannot be read.");
    problem(!store_problem_.empty(), "Bindings cannot be kept: " + store_problem_);
    problem(!mip4_.problem().empty(), "Registrations cannot be kept: " + mip4_.problem());
    for (const std::string& doubt : doubts_about(config_.controlplane)) {
        problem(true, "In the configuration: " + doubt + ".");
    }
    problem(!ledger_problem_.empty(), "Sequence numbers cannot be kept: " + ledger_problem_);
    for (const IpAddress& address : missing_addresses_) {
        problem(true,
                "The kernel does not have the home agent's address " + to_string(address) + ".");
    }
    if (!ended_sas_.empty()) {
        const auto& [name, peer] = *ended_sas_.begin();
        problem(true, std::to_string(ended_sas_.size()) +
                          " security associations are at their end, among them " +
                          ipsec::Spi{name.second}.to_string() + " of " + sa::peer_text(peer) + ".");
    }
    problem(config_.controlplane.policy.technique == config::Technique::kHeuristic,
            "policy.technique is heuristic: signalling is told from data by when it comes.");
    problem(config_.controlplane.policy.allow_unprotected,
            "The lab switch policy.allow_unprotected is on.");
    problem(config_.controlplane.policy.lab_static_gcm,
            "The lab switch policy.lab_static_gcm is on.");
    return status;
}

std::size_t App::clear_bindings(const std::optional<Ipv6Address>& home_address) {
    std::vector<Ipv6Address> wanted;
    if (home_address) {
        if (home_agent_->bindings().find(*home_address) != nullptr) wanted.push_back(*home_address);
    } else {
        home_agent_->bindings().for_each(
            [&](const binding::Entry& entry) { wanted.push_back(entry.home_address); });
    }
    for (const Ipv6Address& address : wanted) carry_out(home_agent_->clear(address, now()));
    finish_round();
    data_plane_->flush();
    arm_timer();
    return wanted.size();
}

std::expected<void, management::CommandError> App::start_trace(const channel::TraceStart& start) {
    if (phase_ != Phase::kRunning) return std::unexpected(no_data_plane());
    trace_.clear();
    channel::TraceStart record = start;
    send(record);
    data_plane_->flush();
    return {};
}

std::expected<void, management::CommandError> App::stop_trace() {
    if (phase_ != Phase::kRunning) return std::unexpected(no_data_plane());
    channel::TraceStop record;
    send(record);
    data_plane_->flush();
    return {};
}

std::expected<config::Config, std::vector<std::string>> App::check_config() const {
    return load_config(config_.file);
}

std::expected<config::Config, std::vector<std::string>> load_config(const std::string& file) {
    if (file.empty()) return config::defaults();
    std::vector<std::string_view> algorithms;
    for (const auto& info : ipsec::all_algorithms()) algorithms.push_back(info.name);
    auto config = config::load_file(file, algorithms);
    std::vector<std::string> errors;
    if (!config) {
        for (const config::ConfigError& error : config.error()) errors.push_back(error.to_string());
        return std::unexpected(std::move(errors));
    }
    const auto source = sa::StaticSaSource::load(config->controlplane);
    const auto mip4 = mip4_configs(config->controlplane, PortMap(config->dataplane.ports));
    if (source && mip4) return std::move(*config);
    if (!source) {
        for (const std::string& error : source.error()) errors.push_back(file + ": " + error);
    }
    if (!mip4) {
        for (const std::string& error : mip4.error()) errors.push_back(file + ": " + error);
    }
    return std::unexpected(std::move(errors));
}

std::expected<management::ReloadResult, management::CommandError> App::reload_config() {
    const auto refuse = [&](const char* code, std::string text, std::vector<std::string> details) {
        log_.write(Message::kReloadRefused, "the configuration in force stays: " + text);
        for (const std::string& detail : details) log_.limited(Message::kConfigInvalid, detail);
        return std::unexpected(management::CommandError{code, std::move(text), std::move(details)});
    };
    if (config_.file.empty()) {
        return refuse("no_file", "found no configuration file, expected one at start", {});
    }
    auto wanted = load_config(config_.file);
    if (!wanted) {
        return refuse("invalid_config", "found errors in " + config_.file + ", expected none",
                      std::move(wanted.error()));
    }
    auto source = sa::StaticSaSource::load(wanted->controlplane);
    if (!source) {
        return refuse("invalid_config", "found key files that cannot be used, expected usable ones",
                      std::move(source.error()));
    }
    auto mip4 = mip4_configs(wanted->controlplane, PortMap(config_.dataplane.ports));
    if (!mip4) {
        return refuse("invalid_config", "found key files that cannot be used, expected usable ones",
                      std::move(mip4.error()));
    }
    management::ReloadResult result;
    result.changed = config::hash(*wanted) != config::hash(config_);
    result.restart_needed = restart_needed(config_, *wanted);
    for (const std::string& setting : result.restart_needed) {
        log_.write(Message::kRestartNeeded, setting + " changed, which needs a restart");
    }
    // What needs a restart stays as it is, so that what is shown is what is in force.
    config::ControlplaneConfig next = wanted->controlplane;
    next.store_path = config_.controlplane.store_path;
    next.management = config_.controlplane.management;
    const config::LogLevel level = next.log.level;
    next.log = config_.controlplane.log;
    next.log.level = level;
    next.limits.bindings = std::min(next.limits.bindings, config_.dataplane.max_bindings);
    for (config::Mip4HomeAgentConfig& agent : next.mobile_ipv4) {
        agent.max_bindings = std::min(agent.max_bindings, config_.dataplane.max_bindings);
    }
    config_.controlplane = std::move(next);
    log_.set_level(level);
    sa_source_ = std::make_unique<sa::StaticSaSource>(std::move(*source));
    put_operator_sas_in_force();
    carry_out(
        home_agent_->reconfigure(home_agent_config(config_.controlplane, ports_, now()), now()));
    mip4_.reconfigure(config_.controlplane, std::move(*mip4));
    finish_round();
    if (phase_ == Phase::kRunning) synchronize();
    warn_of_lab_switches();
    log_doubts();
    arm_timer();
    log_.write(Message::kConfigReloaded,
               "configuration " + config::hash(config_).substr(0, 12) + " is in force");
    return result;
}

}  // namespace homeport::core
