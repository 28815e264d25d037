// SPDX-License-Identifier: BSD-3-Clause
// Mobile prefix discovery: carries out what mip6::PrefixSolicitor wants (RFC 6275 11.4; P7).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "controlplane/mip6/prefix_solicitor.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/data_path.hpp"
#include "tools/mobile-node/readiness.hpp"

namespace homeport::mobile_node {

class PrefixDiscovery {
  public:
    using Clock = std::chrono::steady_clock;

    /// All references must outlive it. `changed` is called with a sentence for watchers.
    PrefixDiscovery(asio::io_context& context, const Config& config, DataPath& data_path,
                    std::function<void(const std::string& text)> changed);

    /// How packets leave now; `registered`: the home agent has us away from home.
    void follow(const Route& route, bool registered);
    /// Asks the home agent. Empty: done, or as soon as it can be; else why it cannot.
    [[nodiscard]] std::string solicit();
    /// ICMPv6 of the home agent, in normal form.
    void receive(ConstByteSpan packet, bool is_protected, bool had_routing_header);

    [[nodiscard]] const mip6::PrefixSolicitor& state() const { return solicitor_; }

  private:
    void send(const mip6::PrefixSolicitor::Packet& packet);

    DataPath& data_path_;
    std::function<void(const std::string& text)> changed_;
    bool has_keys_;
    mip6::PrefixSolicitor solicitor_;
    Alarm alarm_;
};

}  // namespace homeport::mobile_node
