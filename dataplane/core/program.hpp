// SPDX-License-Identifier: BSD-3-Clause
// The program homeport-dataplane from its start to its end.
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/channel/server.hpp"
#include "dataplane/channel/statistics_writer.hpp"
#include "dataplane/config/config.hpp"
#include "dataplane/core/environment.hpp"
#include "dataplane/core/ipsec_writer.hpp"
#include "dataplane/core/log.hpp"
#include "dataplane/core/main_lcore.hpp"
#include "dataplane/core/shared_state.hpp"
#include "dataplane/core/worker_context.hpp"

namespace homeport::core {

/// Exit codes of the program.
enum ExitCode : int {
    kExitOk = 0,
    kExitFailed = 1,  // it could not start; the log says why
    kExitUsage = 2,   // command line or configuration
};

/// Why the program cannot go on.
struct Failure {
    Message message;
    std::string text;
};

class Program {
  public:
    explicit Program(config::DataplaneConfig config) : config_(std::move(config)) {}
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// Starts everything but the workers. `eal_arguments`: appended to those of the configuration.
    [[nodiscard]] std::expected<void, Failure> start(const std::vector<std::string>& eal_arguments);
    /// Runs until `stop`.
    void run(const std::atomic<bool>& stop);

  private:
    using Started = std::expected<void, Failure>;
    Started start_environment(const std::vector<std::string>& eal_arguments);
    Started open_ports();
    Started make_pools();
    Started make_state();
    Started make_workers();
    Started start_ports();
    Started open_taps();
    Started open_channel();
    void connect_port(PortContext& port);

    config::DataplaneConfig config_;
    LcorePlan lcores_;
    bool eal_started_ = false;
    rte_mempool* pool_ = nullptr;
    rte_mempool* jumbo_pool_ = nullptr;
    stage::TraceSession trace_session_;
    std::unique_ptr<Waker> waker_;
    std::unique_ptr<SharedState> state_;
    std::unique_ptr<IpsecWriter> ipsec_;
    std::unique_ptr<channel::StatisticsWriter> statistics_;
    std::vector<std::unique_ptr<PortContext>> ports_;
    std::vector<std::unique_ptr<WorkerContext>> workers_;
    std::unique_ptr<channel::Server> server_;
    std::unique_ptr<MainLcore> main_;
};

}  // namespace homeport::core
