// SPDX-License-Identifier: BSD-3-Clause
// What the commands may look at and do. The control plane's App is one; so is a test's stand-in.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controlplane/management/command_spec.hpp"
#include "controlplane/management/trace_buffer.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/channel/statistics_reader.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::mip6 {
class HomeAgent;
}
namespace homeport::mip4 {
class AgentAdvertiser;
class HomeAgent;
}  // namespace homeport::mip4
namespace homeport::sa {
class SaSource;
struct OperatorSa;
struct SaName;
}  // namespace homeport::sa

namespace homeport::management {

struct ApplianceStatus {
    std::uint64_t uptime_seconds = 0;
    bool attached = false;      // to a data plane
    bool synchronized = false;  // the last full synchronisation was confirmed
    std::uint64_t epoch = 0;    // of the last full synchronisation
    std::string data_plane_build;
    std::uint64_t commands_sent = 0, commands_failed = 0;
    unsigned events_waiting_percent = 0;  // of the ring from the data plane, at the last look
    std::string store;
    std::vector<std::string> problems;  // sentences
};

struct ReloadResult {
    bool changed = false;
    std::vector<std::string> restart_needed;  // settings that changed without effect
};

/// A home agent of Mobile IPv4.
struct Mip4Agent {
    const config::Mip4HomeAgentConfig& config;
    const mip4::HomeAgent& module;
    struct Link {
        std::string port;
        const mip4::AgentAdvertiser* advertiser = nullptr;
    };
    std::vector<Link> links;  // that it advertises itself on
};

class Appliance {
  public:
    virtual ~Appliance() = default;

    [[nodiscard]] virtual const config::Config& config() const = 0;
    [[nodiscard]] virtual const mip6::HomeAgent& home_agent() const = 0;
    [[nodiscard]] virtual const sa::SaSource& sa_source() const = 0;
    /// Null without a data plane.
    [[nodiscard]] virtual const channel::StatisticsReader* statistics() const = 0;
    [[nodiscard]] virtual std::span<const channel::PortInfo> ports() const = 0;
    /// rte_flow rules of all ports, in force or not; by port, then by number.
    [[nodiscard]] virtual std::span<const channel::FlowRuleInfo> flow_rules() const = 0;
    /// Routes as they were sent to the data plane.
    virtual void visit_routes(const std::function<void(const channel::RouteSet&)>& visit) const = 0;
    /// Row of the binding in the statistics.
    [[nodiscard]] virtual std::optional<std::uint32_t> counter_index(
        const Ipv6Address& home_address) const = 0;
    /// Seconds left of an entry's deadline are counted from here.
    [[nodiscard]] virtual std::chrono::steady_clock::time_point now() const = 0;
    [[nodiscard]] virtual ApplianceStatus status() const = 0;

    /// How many bindings were removed; `home_address` empty: all.
    virtual std::size_t clear_bindings(const std::optional<Ipv6Address>& home_address) = 0;

    /// In the order of the configuration.
    [[nodiscard]] virtual std::vector<Mip4Agent> mip4_agents() const = 0;
    /// Row of the bindings of a home address of Mobile IPv4 in the statistics.
    [[nodiscard]] virtual std::optional<std::uint32_t> counter_index(
        const Ipv4Address& home_address) const = 0;
    /// How many home addresses were cleared, and revoked where that was agreed on; none given: all.
    virtual std::size_t clear_mip4_bindings(const std::optional<Ipv4Address>& home_address) = 0;

    /// Puts an SA in force and keeps it. The SPI is that of the record or, if it was 0, a free one.
    virtual std::expected<std::uint32_t, CommandError> add_sa(sa::OperatorSa wanted) = 0;
    virtual std::expected<void, CommandError> delete_sa(const sa::SaName& name) = 0;

    virtual std::expected<void, CommandError> start_trace(const channel::TraceStart& start) = 0;
    virtual std::expected<void, CommandError> stop_trace() = 0;
    [[nodiscard]] virtual const TraceBuffer& trace() const = 0;

    /// Reads the file again; the errors are sentences. Changes nothing.
    [[nodiscard]] virtual std::expected<config::Config, std::vector<std::string>> check_config()
        const = 0;
    virtual std::expected<ReloadResult, CommandError> reload_config() = 0;
};

}  // namespace homeport::management
