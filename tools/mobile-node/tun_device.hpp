// SPDX-License-Identifier: BSD-3-Clause
// A TUN device: whole IP packets, no framing. It is gone when this object is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

class TunDevice {
  public:
    /// `name` at most 15 characters.
    [[nodiscard]] static Result<TunDevice> create(const std::string& name);

    [[nodiscard]] int index() const { return index_; }
    /// Non-blocking.
    [[nodiscard]] int descriptor() const { return fd_.get(); }
    /// The next packet that the kernel routed into the device: its length, 0 if there is none.
    [[nodiscard]] Result<std::size_t> read(ByteSpan buffer);
    /// Hands a packet to the kernel as received; false if it refused it.
    [[nodiscard]] bool write(ConstByteSpan packet);

  private:
    TunDevice(FileDescriptor fd, int index) : fd_(std::move(fd)), index_(index) {}

    FileDescriptor fd_;
    int index_;
};

}  // namespace homeport::mobile_node
