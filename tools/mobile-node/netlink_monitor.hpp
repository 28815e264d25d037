// SPDX-License-Identifier: BSD-3-Clause
// Keeps a LinkTable in step with the kernel over rtnetlink.
//
// Use: start() fills the table; whenever descriptor() is readable call read_events().
#pragma once

#include <cstdint>

#include "tools/mobile-node/file_descriptor.hpp"
#include "tools/mobile-node/link_table.hpp"

struct nlmsghdr;

namespace homeport::mobile_node {

/// Changes `table` as one rtnetlink message says; other messages are ignored. `message` must be
/// whole.
void apply_message(const nlmsghdr& message, LinkTable& table);

class NetlinkMonitor {
  public:
    /// `table` must outlive it.
    explicit NetlinkMonitor(LinkTable& table) : table_(table) {}

    /// Subscribes, then reads the present state.
    [[nodiscard]] Result<void> start();
    /// Non-blocking.
    [[nodiscard]] int descriptor() const { return events_.get(); }
    /// Takes what is there, at most a bounded number of datagrams. When the kernel lost events
    /// (ENOBUFS) everything is read anew.
    [[nodiscard]] Result<void> read_events();
    [[nodiscard]] std::uint64_t resyncs() const { return resyncs_; }

  private:
    [[nodiscard]] Result<void> subscribe();
    [[nodiscard]] Result<void> dump_all();
    [[nodiscard]] Result<void> dump(std::uint16_t type, std::uint8_t family);

    LinkTable& table_;
    FileDescriptor events_;
    std::uint64_t resyncs_ = 0;
};

}  // namespace homeport::mobile_node
