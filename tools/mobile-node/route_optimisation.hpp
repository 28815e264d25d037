// SPDX-License-Identifier: BSD-3-Clause
// Route optimisation: carries out what mip6::RouteOptimiser wants, and tells it what happens
// (RFC 6275 sections 11.3, 11.6, 11.7.2; S1.34, S1.36).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip6/route_optimiser.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/correspondent_routes.hpp"
#include "tools/mobile-node/data_path.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/security.hpp"

namespace homeport::mobile_node {

class RouteOptimisation {
  public:
    using Clock = std::chrono::steady_clock;

    /// All references must outlive it. `changed` is called with a sentence for watchers.
    RouteOptimisation(asio::io_context& context, const Config& config, DataPath& data_path,
                      PacketPaths& paths, Security& security, Counters& counters,
                      std::function<void(const std::string& text)> changed);
    ~RouteOptimisation();

    /// Packets are about to leave by another way: no packet is to take a direct one by it yet.
    void prepare(const Route& route);
    /// How packets leave now. `deregistered`: the home agent has let us go. `expires`: our binding
    /// there, when away.
    void follow(const Route& route, bool deregistered, std::optional<Clock::time_point> expires);
    /// A mobility header of a correspondent, in normal form.
    void signalling(ConstByteSpan packet, bool from_home_agent);
    /// A packet for applications that came by the home agent.
    void tunnelled(ConstByteSpan packet);
    /// An ICMPv6 error about something that left from a care-of address.
    void icmp_error(ConstByteSpan packet);

    void shut_down();
    [[nodiscard]] bool finished() const { return optimiser_.finished(); }
    [[nodiscard]] std::vector<mip6::RouteOptimiser::Status> status() const {
        return optimiser_.status();
    }
    [[nodiscard]] const mip6::RouteOptimiserCounters& protocol_counters() const {
        return optimiser_.counters();
    }

  private:
    void run(const mip6::RouteOptimiserActions& actions);
    void act(const mip6::SendHomeTestInit& action);
    void act(const mip6::SendCareOfTestInit& action);
    void act(const mip6::SendCorrespondentUpdate& action);
    void act(const mip6::RoutesChanged& action);
    void act(const mip6::CorrespondentNews& action);
    void tick();
    void error_about(ConstByteSpan quoted, std::uint8_t type, std::uint8_t code, unsigned mtu);

    Config config_;
    DataPath& data_path_;
    PacketPaths& paths_;
    Security& security_;
    Counters& counters_;
    std::function<void(const std::string& text)> changed_;
    Route route_;  // the last that follow() was told
    mip6::RouteOptimiser optimiser_;
    CorrespondentRoutes routes_;
    Alarm alarm_;
};

}  // namespace homeport::mobile_node
