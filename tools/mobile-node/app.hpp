// SPDX-License-Identifier: BSD-3-Clause
// Owns everything of a running mobile node, and its event loop.
#pragma once

#include <memory>

#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class App {
  public:
    /// Sets the host's network up. Needs CAP_NET_ADMIN and CAP_NET_RAW.
    [[nodiscard]] static Result<std::unique_ptr<App>> create(const Config& config);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Until SIGTERM or SIGINT, and then until the binding is deregistered. SIGHUP reads the
    /// configuration again.
    void run();

  private:
    struct State;
    explicit App(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace homeport::mobile_node
