// SPDX-License-Identifier: BSD-3-Clause
// What can go wrong between the two processes, as a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace homeport::channel {

enum class ErrorCode : std::uint8_t {
    kSystem,          // a system call failed; the text names it and its cause
    kNotRunning,      // nobody listens on the socket
    kAlreadyRunning,  // another data plane listens on the socket
    kRefused,         // the data plane refused the attachment, in its own words
    kAbiMismatch,     // the two sides were built from different channel definitions
    kProtocol,        // the other side said something that it may not say
    kTimeout,
    kBadRegion,  // a shared region is not what it was said to be
};

struct Error {
    ErrorCode code{};
    std::string text;  // what, where, what was expected
};

/// "what: strerror(number)".
[[nodiscard]] Error system_error(std::string_view what, int number);

}  // namespace homeport::channel
