// SPDX-License-Identifier: BSD-3-Clause
// Shared by the tests of the channel.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/sanitizers.hpp"
#include "dataplane/channel/client.hpp"
#include "dataplane/channel/region.hpp"
#include "dataplane/channel/server.hpp"
#include "dataplane/channel/statistics_writer.hpp"

/// Processes are forked here and TSan does not follow them.
#ifdef HOMEPORT_TSAN
#define SKIP_UNDER_TSAN() GTEST_SKIP() << "forks; not for the thread sanitizer"
#else
#define SKIP_UNDER_TSAN() (void)0
#endif

namespace homeport::channel::test {

inline constexpr std::chrono::seconds kPatience{60};

/// Calls `condition` until it is true. False when it did not become true in kPatience.
bool eventually(const std::function<bool()>& condition);

/// A directory of its own that goes away with the object.
class ScratchDirectory {
  public:
    ScratchDirectory();
    ~ScratchDirectory();
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

/// Page aligned zeroed memory with a ring in it, as both sides would map it.
class RingMemory {
  public:
    explicit RingMemory(std::size_t capacity);
    [[nodiscard]] std::span<std::uint8_t> bytes() { return {memory_.get(), size_}; }
    [[nodiscard]] RingControl& control() { return *reinterpret_cast<RingControl*>(memory_.get()); }
    [[nodiscard]] std::uint8_t* data() { return memory_.get() + kRingDataOffset; }
    [[nodiscard]] std::size_t capacity() const { return size_ - kRingDataOffset; }

  private:
    struct Free {
        void operator()(std::uint8_t* memory) const { std::free(memory); }
    };
    std::size_t size_;
    std::unique_ptr<std::uint8_t, Free> memory_;
};

/// A child process that runs `body` and exits with what it returns; killed by the destructor.
class Child {
  public:
    explicit Child(const std::function<int()>& body);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    [[nodiscard]] pid_t pid() const { return pid_; }
    void kill();
    /// Exit status, or -1 after a signal or when it did not end in kPatience.
    int wait();

  private:
    pid_t pid_ = -1;
};

/// A server with small rings, and its statistics.
struct TestServer {
    explicit TestServer(const std::string& socket_path, std::size_t capacity = 1 << 16,
                        std::chrono::milliseconds hello_timeout = std::chrono::seconds(10));
    /// Polls until something is reported; kNothing when nothing was in kPatience.
    ServerEvent next_event();

    StatisticsWriter statistics;
    Server server;
};

/// Client::connect for a server that is polled by this very thread.
std::expected<Client, Error> connect_while_polling(TestServer& server, const std::string& path,
                                                   Role role, ServerEvent* event = nullptr);

/// A client that does by hand what Client does, and need not do it right.
struct RawClient {
    FileDescriptor socket;
    HelloReply reply;
    std::vector<FileDescriptor> fds;

    /// Connects and sends `hello` (any octets).
    void say(const std::string& path, ConstByteSpan hello);
    /// Reads the reply, which must have come already or come in kPatience.
    bool read_reply();
};

}  // namespace homeport::channel::test
