// SPDX-License-Identifier: BSD-3-Clause
// Calls a function whenever a file descriptor is readable or has an error to report.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace asio {
class io_context;
}

namespace homeport::mobile_node {

/// Watches until it is destroyed; works on a duplicate of the descriptor, so either may be closed
/// first. The function must take what is there, or a bounded part of it: it is called again.
class Readiness {
  public:
    Readiness() = default;
    Readiness(asio::io_context& context, int descriptor, std::function<void()> ready);
    Readiness(Readiness&& other) noexcept = default;
    Readiness& operator=(Readiness&& other) noexcept;
    ~Readiness();

  private:
    struct State;
    static void wait(const std::shared_ptr<State>& state);
    void stop();

    std::shared_ptr<State> state_;
};

/// Calls a function once at a point in time; setting it again replaces the earlier time.
class Alarm {
  public:
    Alarm(asio::io_context& context, std::function<void()> ring);
    ~Alarm();
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    void set(std::chrono::steady_clock::time_point when);
    void clear();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace homeport::mobile_node
