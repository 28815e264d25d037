// SPDX-License-Identifier: BSD-3-Clause
// The data plane's side of the channel. Everything here is polled by the main lcore and never
// blocks; nothing that a peer does can stop it.
//
//   main loop:  for (;;) {
//       const ServerEvent event = server.poll();      // one system call when nothing happens
//       ... log event.text, send PortInfo after kAttached ...
//       while (auto record = server.commands().peek()) {
//           dispatch_command(*record, applier);
//           server.commands().release();              // release_and_wipe() for SaSet
//       }
//       server.commands().publish();
//       ... server.send(event) ...
//       server.flush();
//   }
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/channel/error.hpp"
#include "dataplane/channel/file_descriptor.hpp"
#include "dataplane/channel/hello.hpp"
#include "dataplane/channel/records.hpp"
#include "dataplane/channel/region.hpp"
#include "dataplane/channel/ring.hpp"

namespace homeport::channel {

struct ServerConfig {
    std::string socket_path;
    std::string build_id;
    std::size_t command_capacity = std::size_t{8} << 20;  // octets; valid_ring_capacity()
    std::size_t event_capacity = std::size_t{8} << 20;
    mode_t socket_mode = 0660;
    std::optional<gid_t> socket_group;
    std::chrono::milliseconds hello_timeout{2000};
};

/// Who is at the other end, as the kernel says (SO_PEERCRED), and the build that it named.
struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string build_id;
};

struct ServerEvent {
    enum class Kind : std::uint8_t {
        kNothing,
        kAttached,  // a control plane: rings are empty, command numbers begin at 1
        kDetached,  // it is gone. What it had published whole can still be read until next poll()
        kObserverAttached,
        kRefused,  // somebody was sent away; text says who and why
    };
    Kind kind = Kind::kNothing;
    std::string text;  // for the log
};

class Server {
  public:
    static constexpr std::size_t kMaxPending = 8;     // connections that did not say hello yet
    static constexpr std::size_t kMaxObservers = 16;  // attached at the same time

    /// Listens. A socket file that nobody serves is replaced; one that is served gives
    /// kAlreadyRunning. `statistics` must outlive the server; it is what peers get to read.
    [[nodiscard]] static std::expected<Server, Error> open(ServerConfig config,
                                                           const Region& statistics);
    Server(Server&&) noexcept = default;
    Server& operator=(Server&&) = delete;
    ~Server();

    /// Accepts, shakes hands, sees peers go; reports at most one event a call.
    [[nodiscard]] ServerEvent poll();

    /// True between kAttached and kDetached.
    [[nodiscard]] bool attached() const { return attached_; }
    [[nodiscard]] const Peer& peer() const { return peer_; }

    /// The rings of the present attachment. Without one, nothing comes out and nothing goes in. A
    /// broken ring detaches the peer at the next poll().
    [[nodiscard]] RingConsumer& commands() { return commands_; }
    [[nodiscard]] RingProducer& events() { return events_; }

    /// Puts an event into the ring, see write_record(); flush() shows it to the control plane.
    template <ChannelRecord Event>
    [[nodiscard]] bool send(Event& event, ConstByteSpan trailing = {}) {
        return attached_ && write_record(events_, event, trailing);
    }
    /// Says that the main lcore is going to sleep: from now on the peer makes bell_fd() readable
    /// when it sends commands. The caller looks at commands() once more, and sleeps only then.
    void announce_sleep() { (void)commands_.announce_sleep(); }
    void awake() { commands_.withdraw_sleep(); }
    /// Of the present attachment, or -1. To be watched for edges and never read: the peer has it
    /// too. The event of an attachment's end is the last moment to let go of it.
    [[nodiscard]] int bell_fd() const { return bell_.get(); }

    /// Publishes events, and wakes the control plane up if it sleeps.
    void flush();

    /// Drops the attachment at the next poll(), which reports kDetached with `reason`.
    void detach(std::string reason);

  private:
    struct Pending {
        FileDescriptor socket;
        Peer peer;
        std::chrono::steady_clock::time_point deadline;
    };

    Server(ServerConfig config, const Region& statistics, FileDescriptor lock,
           FileDescriptor listener);
    ServerEvent look_after_peer(short revents);
    ServerEvent greet(Pending pending, ConstByteSpan bytes);
    ServerEvent attach(Pending pending);
    ServerEvent attach_observer(Pending pending);
    ServerEvent refuse(const Pending& pending, HelloStatus status, std::string_view text);
    [[nodiscard]] HelloReply make_reply(HelloStatus status) const;
    void accept_connections();
    void drop_regions();

    ServerConfig config_;
    const Region* statistics_;
    FileDescriptor lock_;
    FileDescriptor listener_;
    std::vector<Pending> pending_;
    std::vector<FileDescriptor> observers_;

    bool attached_ = false;
    Peer peer_;
    FileDescriptor peer_socket_;
    FileDescriptor wake_up_;  // eventfd towards the control plane
    FileDescriptor bell_;     // eventfd from the control plane
    Region command_region_, event_region_;
    RingConsumer commands_;
    RingProducer events_;
    std::string detach_reason_;
};

}  // namespace homeport::channel
