// SPDX-License-Identifier: BSD-3-Clause
// Owns everything of a running foreign agent, and its event loop.
#pragma once

#include <memory>

#include "tools/foreign-agent/config.hpp"
#include "tools/foreign-agent/messages.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::foreign_agent {

class App {
  public:
    /// Needs CAP_NET_ADMIN and CAP_NET_RAW, and CAP_NET_BIND_SERVICE for port 434.
    [[nodiscard]] static mobile_node::Result<std::unique_ptr<App>> create(const Config& config);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Until SIGTERM or SIGINT. SIGHUP reads the configuration again.
    void run();

  private:
    struct State;
    explicit App(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace homeport::foreign_agent
