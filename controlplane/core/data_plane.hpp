// SPDX-License-Identifier: BSD-3-Clause
// The attachment to the data plane: connects, connects again, hands out events, sends commands.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/channel/client.hpp"
#include "dataplane/channel/statistics_reader.hpp"

namespace asio {
class io_context;
}

namespace homeport::core {

class Log;

/// Told from the event loop, never from within send().
class DataPlaneEvents {
  public:
    virtual ~DataPlaneEvents() = default;
    virtual void attached() = 0;
    virtual void detached() = 0;
    /// A round of events begins; `waiting` of the ring's `capacity` octets are in use.
    virtual void round_began(std::size_t waiting, std::size_t capacity) = 0;
    /// A round of events was handed over.
    virtual void round_ended() = 0;
    virtual void on_event(const channel::PortInfo& event) = 0;
    virtual void on_event(const channel::Acknowledge& event) = 0;
    virtual void on_event(const channel::CommandFailed& event) = 0;
    virtual void on_event(const channel::SyncDone& event) = 0;
    virtual void on_event(const channel::Punt& event, ConstByteSpan packet) = 0;
    virtual void on_event(const channel::Trace& event) = 0;
    virtual void on_event(const channel::SaHighWater& event) = 0;
    virtual void on_event(const channel::SaLifetime& event) = 0;
    virtual void on_event(const channel::PathMtu& event) = 0;
    virtual void on_event(const channel::EspSource& event) = 0;
    virtual void on_event(const channel::EspMapping& event) = 0;
    virtual void on_event(const channel::FlowRuleInfo& event) = 0;
};

class DataPlane {
  public:
    DataPlane(asio::io_context& context, std::string socket_path, Log& log,
              DataPlaneEvents& events);
    ~DataPlane();
    DataPlane(const DataPlane&) = delete;
    DataPlane& operator=(const DataPlane&) = delete;

    /// Begins to connect, and never gives up until stop().
    void start();
    void stop();

    [[nodiscard]] bool is_attached() const { return client_.has_value() && !is_lost_; }
    [[nodiscard]] const channel::StatisticsReader* statistics() const {
        return is_attached() && statistics_ ? &*statistics_ : nullptr;
    }
    [[nodiscard]] std::string build_id() const;
    [[nodiscard]] std::uint64_t commands_sent() const { return commands_sent_; }

    /// Puts a command into the ring; waits a little for room. False: not attached, or the data
    /// plane does not read its ring, which ends the attachment. What was lost is sent again by the
    /// full synchronisation of the next attachment.
    template <channel::ChannelRecord Command>
    bool send(Command& command, ConstByteSpan trailing = {}) {
        while (is_attached()) {
            const auto sent = client_->send(command, trailing);
            if (sent) {
                ++commands_sent_;
                return true;
            }
            if (sent.error() != channel::SendError::kFull) {
                lose("the channel refused a command");
                return false;
            }
            if (!wait_for_room()) return false;
        }
        return false;
    }
    /// The data plane sees what was sent.
    void flush();

  private:
    struct Waits;

    void try_to_connect();
    void wait_and_retry();
    void adopt(channel::Client client);
    void wait_for_events();
    void on_ready();
    bool wait_for_room();
    void lose(const std::string& reason);
    void clean_up();

    asio::io_context& context_;
    std::string socket_path_;
    Log& log_;
    DataPlaneEvents& events_;
    std::unique_ptr<Waits> waits_;
    std::optional<channel::Client> client_;
    std::optional<channel::StatisticsReader> statistics_;
    std::chrono::milliseconds backoff_;
    std::string last_complaint_;
    std::uint64_t commands_sent_ = 0;
    bool is_lost_ = false;  // the attachment ended; it is cleaned up from the event loop
    bool is_stopped_ = true;
};

}  // namespace homeport::core
