// SPDX-License-Identifier: BSD-3-Clause
// The data plane's end of a real channel, without a data plane: keeps every command in its order,
// and says what it is told to say.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/channel/server.hpp"
#include "dataplane/channel/statistics_writer.hpp"

namespace homeport::test {

struct Command {
    channel::CommandType type{};
    std::vector<std::uint8_t> record;    // the struct
    std::vector<std::uint8_t> trailing;  // what followed it

    template <class Record>
    [[nodiscard]] Record as() const {
        Record out;
        std::memcpy(&out, record.data(), sizeof out);
        return out;
    }
};

class FakeDataPlane {
  public:
    explicit FakeDataPlane(const std::string& socket_path, std::vector<std::string> ports);
    ~FakeDataPlane();
    FakeDataPlane(const FakeDataPlane&) = delete;
    FakeDataPlane& operator=(const FakeDataPlane&) = delete;

    /// Commands since the last clear(), in their order.
    [[nodiscard]] std::vector<Command> commands() const;
    [[nodiscard]] std::vector<channel::CommandType> types() const;
    void clear();
    [[nodiscard]] std::size_t attachments() const;

    /// Sends an event as soon as a control plane is attached.
    void punt(channel::Punt event, std::vector<std::uint8_t> packet);
    void tell(const std::function<void(channel::Server&)>& send);

    [[nodiscard]] channel::StatisticsWriter& statistics() { return *statistics_; }

    static MacAddress mac_of(std::uint16_t port) {
        return MacAddress{{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(port + 1)}};
    }

  private:
    void run(const std::stop_token& stop);
    void tell_ports(channel::Server& server) const;

    std::vector<std::string> ports_;
    std::unique_ptr<channel::StatisticsWriter> statistics_;
    std::optional<channel::Server> server_;
    mutable std::mutex mutex_;
    std::vector<Command> commands_;
    std::vector<std::function<void(channel::Server&)>> to_send_;
    std::size_t attachments_ = 0;
    std::jthread thread_;
};

}  // namespace homeport::test
