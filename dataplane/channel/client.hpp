// SPDX-License-Identifier: BSD-3-Clause
// The control plane's side of the channel, and an observer's (statistics only).
//
// In an event loop: wait until event_fd() or socket_fd() is readable; then
//   client.woken();
//   client.poll_events(budget, handler) until it gives less than the budget;
//   if (!client.prepare_sleep()) start over instead of waiting.
// socket_fd() readable means that the data plane went away: closed() tells.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>

#include "dataplane/channel/error.hpp"
#include "dataplane/channel/file_descriptor.hpp"
#include "dataplane/channel/hello.hpp"
#include "dataplane/channel/records.hpp"
#include "dataplane/channel/region.hpp"
#include "dataplane/channel/ring.hpp"

namespace homeport::channel {

enum class SendError : std::uint8_t {
    kFull,       // try again after the data plane has read on
    kTooLong,    // longer than the ring's longest record
    kMalformed,  // trailing octets are not as many as the record says
    kBroken,     // the data plane wrote garbage into the ring: reconnect
};

/// What became of a round of poll_events().
struct PollResult {
    std::size_t events = 0;     // handed to the handler
    std::size_t malformed = 0;  // skipped: not a valid event
    bool broken = false;        // the ring is broken: reconnect
};

class Client {
  public:
    /// Connects, says hello, maps. Blocks for at most `timeout`.
    [[nodiscard]] static std::expected<Client, Error> connect(const std::string& socket_path,
                                                              Role role, std::string_view build_id,
                                                              std::chrono::milliseconds timeout);

    /// Commits a command; the data plane sees it after flush(). Returns its number: 1, 2, ... .
    /// `command` gets header and number filled in.
    template <ChannelRecord Command>
    [[nodiscard]] std::expected<std::uint64_t, SendError> send(Command& command,
                                                               ConstByteSpan trailing = {}) {
        if (trailing.size() != trailing_length(command)) {
            return std::unexpected(SendError::kMalformed);
        }
        if (sizeof command + trailing.size() > commands_.max_record()) {
            return std::unexpected(SendError::kTooLong);
        }
        command.header.number = last_number_ + 1;
        if (!write_record(commands_, command, trailing)) {
            return std::unexpected(commands_.broken() ? SendError::kBroken : SendError::kFull);
        }
        return ++last_number_;
    }
    /// Publishes all commands sent so far, and wakes the data plane if it sleeps. It applies them
    /// in order.
    void flush();
    /// Room for commands, in octets, as RingProducer::free_octets().
    [[nodiscard]] std::size_t free_octets() { return commands_.free_octets(); }
    [[nodiscard]] std::uint64_t last_number() const { return last_number_; }

    /// Calls `handler` (see records.hpp) for up to `budget` events.
    template <class Handler>
    PollResult poll_events(std::size_t budget, Handler&& handler) {
        PollResult result;
        for (std::size_t i = 0; i < budget; ++i) {
            const auto record = events_.peek();
            if (!record) break;
            if (dispatch_event(*record, handler)) {
                ++result.events;
            } else {
                ++result.malformed;
            }
            events_.release();
        }
        events_.publish();
        result.broken = events_.broken();
        return result;
    }

    /// Events that wait, in octets of the ring, and the ring's size.
    [[nodiscard]] std::size_t waiting_octets() const { return events_.waiting_octets(); }
    [[nodiscard]] std::size_t event_capacity() const { return events_.capacity(); }

    /// True: no event waits and the data plane will make event_fd() readable for the next one.
    [[nodiscard]] bool prepare_sleep() { return events_.announce_sleep(); }
    /// To be called after a sleep: empties event_fd().
    void woken();

    /// True once the data plane closed the channel or died.
    [[nodiscard]] bool closed() const;

    /// Readable when events came after prepare_sleep(). -1 for an observer.
    [[nodiscard]] int event_fd() const { return wake_up_.get(); }
    [[nodiscard]] int socket_fd() const { return socket_.get(); }

    /// For StatisticsReader; lives as long as this object, also after closed().
    [[nodiscard]] std::span<const std::uint8_t> statistics() const { return statistics_.bytes(); }
    [[nodiscard]] std::string_view data_plane_build_id() const { return build_id_; }

  private:
    Client() = default;

    FileDescriptor socket_;
    FileDescriptor wake_up_;
    FileDescriptor bell_;  // eventfd towards the data plane
    Region command_region_, event_region_, statistics_;
    RingProducer commands_;
    RingConsumer events_;
    std::uint64_t last_number_ = 0;
    std::string build_id_;
};

}  // namespace homeport::channel
