// SPDX-License-Identifier: BSD-3-Clause
// Ports by their names. The configuration's numbers (the order of dataplane.ports) stay the same
// while the control plane runs; the data plane's come with each attachment.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::core {

class PortMap {
  public:
    explicit PortMap(const std::vector<config::PortConfig>& ports);

    /// Forgets what an earlier data plane said.
    void forget() {
        infos_.clear();
        flow_rules_.clear();
    }
    /// True if this changes anything.
    bool learn(const channel::PortInfo& info);

    void learn(const channel::FlowRuleInfo& rule);

    /// Number of the port in the configuration; kNoPort for a name that is not there.
    [[nodiscard]] std::uint16_t number_of(std::string_view name) const;
    /// From the configuration's number to the data plane's; kNoPort if not (yet) known.
    [[nodiscard]] std::uint16_t to_data_plane(std::uint16_t number) const;
    [[nodiscard]] std::uint16_t from_data_plane(std::uint16_t port) const;

    /// By the configuration's number; null if not known.
    [[nodiscard]] const channel::PortInfo* info(std::uint16_t number) const;
    /// All configured ports were told of.
    [[nodiscard]] bool is_complete() const { return infos_.size() >= names_.size(); }
    [[nodiscard]] std::span<const channel::PortInfo> infos() const { return infos_; }
    /// In the order of ports and rules.
    [[nodiscard]] std::span<const channel::FlowRuleInfo> flow_rules() const { return flow_rules_; }
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  private:
    std::vector<std::string> names_;
    std::vector<channel::PortInfo> infos_;
    std::vector<channel::FlowRuleInfo> flow_rules_;
};

}  // namespace homeport::core
