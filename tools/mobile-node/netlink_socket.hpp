// SPDX-License-Identifier: BSD-3-Clause
// One request to rtnetlink and its answer, synchronously.
#pragma once

#include <cstdint>

#include "tools/mobile-node/file_descriptor.hpp"

struct nlmsghdr;

namespace homeport::mobile_node {

class NetlinkSocket {
  public:
    [[nodiscard]] Result<void> open();

    /// Sends `message`, whose sequence number is set here, and waits (at most 5 seconds) for the
    /// acknowledgement or the end of the dump. `callback` gets each message of the answer.
    /// `last_errno()` tells what the kernel said.
    [[nodiscard]] Result<void> transact(nlmsghdr& message,
                                        int (*callback)(const nlmsghdr*, void*) = nullptr,
                                        void* context = nullptr);
    [[nodiscard]] int last_errno() const { return last_errno_; }

  private:
    FileDescriptor socket_;
    std::uint32_t sequence_ = 0;
    int last_errno_ = 0;
};

}  // namespace homeport::mobile_node
