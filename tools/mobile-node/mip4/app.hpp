// SPDX-License-Identifier: BSD-3-Clause
// A running mobile node of Mobile IPv4, and its event loop.
#pragma once

#include <memory>

#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class Mip4App {
  public:
    /// Sets the host's network up. Needs CAP_NET_ADMIN and CAP_NET_RAW. `config` has mobile_ipv4.
    [[nodiscard]] static Result<std::unique_ptr<Mip4App>> create(const Config& config);
    ~Mip4App();
    Mip4App(const Mip4App&) = delete;
    Mip4App& operator=(const Mip4App&) = delete;

    /// Until SIGTERM or SIGINT, and then until the bindings are deregistered. SIGHUP reads the
    /// configuration again.
    void run();

  private:
    struct State;
    explicit Mip4App(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace homeport::mobile_node
