// SPDX-License-Identifier: BSD-3-Clause
// Mirror of the kernel's links, addresses, routes and neighbours, kept by rtnetlink(7).
//
// Two sockets: one hears every change, one asks for whole tables (dumps). When changes were lost
// (the kernel's ENOBUFS), or the kernel changed routes without a word (IPv4 routes of a link that
// went down), the tables concerned are read anew and the sink is told the differences. Nothing
// blocks: a large table is read over many calls of process().
//
// Routes of the tables main and local are mirrored, those of type-of-service 0 and without a source
// prefix. Of several routes to a prefix the usable one of the lowest metric is told; of several
// next hops the first usable one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "controlplane/netlink/mirror_sink.hpp"

namespace homeport::netlink {

struct Error {
    std::string text;  // what, and its cause
};

struct MirrorOptions {
    /// Octets that the kernel may queue for us; it counts about 1 KiB a change.
    int receive_buffer = 16 << 20;
    /// Datagrams that one process() reads at most from each socket.
    std::size_t datagrams_per_round = 64;
};

struct MirrorStatistics {
    std::uint64_t changes = 0;             // messages heard
    std::uint64_t malformed = 0;           // messages that could not be decoded
    std::uint64_t overruns = 0;            // the kernel could not queue changes
    std::uint64_t resynchronisations = 0;  // tables read anew, the first time included
    std::uint64_t interrupted_dumps = 0;   // a table changed while it was read
    std::uint64_t refused_requests = 0;    // of neighbours, that the kernel did not like
};

class KernelMirror {
  public:
    /// Opens the sockets in the network namespace of the calling thread and starts the first
    /// reading. `sink` must outlive the mirror; it is called from process(), set_port(),
    /// clear_port() only.
    [[nodiscard]] static std::expected<std::unique_ptr<KernelMirror>, Error> open(
        MirrorSink& sink, const MirrorOptions& options = {});
    KernelMirror(const KernelMirror&) = delete;
    KernelMirror& operator=(const KernelMirror&) = delete;
    ~KernelMirror();

    /// Readable (level-triggered) while process() has something to do.
    [[nodiscard]] int fd() const;

    /// Reads what is there, bounded by datagrams_per_round, and tells the sink. An error means that
    /// a socket is unusable: open a new mirror.
    [[nodiscard]] std::expected<void, Error> process();

    /// True while the sink knows a whole picture and no table is being read anew.
    [[nodiscard]] bool in_sync() const;

    /// `port` (< channel::kMaxPorts) is what stands behind the kernel interface of this name, which
    /// need not exist yet. Replaces earlier words about the name or the port.
    void set_port(const std::string& interface_name, std::uint16_t port);
    /// The port is gone: all of it is told as removed.
    void clear_port(std::uint16_t port);

    /// Tells `sink` the whole present picture as if it were new, without in_sync(): for a new
    /// epoch. Tells nothing before the first picture is whole.
    void replay_all(MirrorSink& sink) const;

    /// Tells the kernel that a neighbour is in use (NTF_USE): it resolves one that it does not
    /// know, and probes one that is stale. False: no such port, or the kernel took no request.
    bool touch_neighbour(std::uint16_t port, const IpAddress& address);
    /// Has the kernel forget a neighbour, before the call returns; one that it does not have is
    /// none already. False: no such port, or the kernel took no request.
    bool forget_neighbour(std::uint16_t port, const IpAddress& address);

    [[nodiscard]] const MirrorStatistics& statistics() const;

  private:
    class Implementation;
    explicit KernelMirror(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace homeport::netlink
