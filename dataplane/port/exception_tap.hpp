// SPDX-License-Identifier: BSD-3-Clause
// The kernel's end of a port: a TAP interface with the port's address and MTU. What the data plane
// does not handle goes to the kernel through it, and what the kernel sends comes out of it.
// Used by the main lcore alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::port {

class ExceptionTap {
  public:
    /// Makes the interface `name`, or takes a persistent TAP of that name that nobody uses, and
    /// sets it up. The error is a sentence.
    [[nodiscard]] static std::expected<std::unique_ptr<ExceptionTap>, std::string> open(
        const std::string& name, const MacAddress& mac, std::uint16_t mtu);
    ~ExceptionTap();
    ExceptionTap(const ExceptionTap&) = delete;
    ExceptionTap& operator=(const ExceptionTap&) = delete;

    /// Gives a frame to the kernel. False: the kernel takes no more, or not this one.
    bool write(std::span<const std::uint8_t> frame);
    /// Next frame of the kernel: its octets, 0 when there is none.
    [[nodiscard]] std::size_t read(std::span<std::uint8_t> room);
    /// Shows the kernel whether there is a link behind the interface.
    void set_carrier(bool up);

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    /// Settings of the kernel that could not be made, one sentence each, and what that means.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    ExceptionTap(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    [[nodiscard]] std::expected<void, std::string> set_up(const MacAddress& mac, std::uint16_t mtu);
    void set_kernel_parameters();

    int fd_;
    std::string name_;
    std::vector<std::string> warnings_;
};

}  // namespace homeport::port
