// SPDX-License-Identifier: BSD-3-Clause
// What the data plane tells the operator: one line each, with an id that docs/messages-dataplane.md
// explains. Written to stderr by way of DPDK's log. Never from a stage.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace homeport::core {

enum class Severity : std::uint8_t { kDebug, kInfo, kWarning, kError };

// clang-format off
#define HOMEPORT_DATAPLANE_MESSAGES(X) \
    X(kStarted, 1, kInfo, "the data plane runs") \
    X(kStopping, 2, kInfo, "it was told to stop") \
    X(kStopped, 3, kInfo, "it has stopped") \
    X(kBadConfiguration, 4, kError, "the configuration cannot be used") \
    X(kWrongCpu, 5, kError, "the processor lacks what the program was built for") \
    X(kNoHugePages, 6, kWarning, "no huge pages") \
    X(kFewCores, 7, kWarning, "fewer cores than lcores") \
    X(kEalFailed, 8, kError, "DPDK's environment does not start") \
    X(kNoMemory, 9, kError, "memory that is needed is not there") \
    X(kMoreBuffers, 10, kInfo, "more packet buffers than configured") \
    X(kInternal, 11, kError, "a part cannot be started") \
    X(kAttached, 101, kInfo, "a control plane is attached") \
    X(kDetached, 102, kWarning, "the control plane is gone; forwarding goes on") \
    X(kRefused, 103, kWarning, "somebody was refused on the channel") \
    X(kObserver, 104, kDebug, "an observer reads the statistics") \
    X(kCommandFailed, 105, kWarning, "a command of the control plane was refused") \
    X(kSynchronized, 106, kInfo, "the state of the control plane is complete") \
    X(kChannelSocket, 107, kError, "the channel's socket cannot be opened") \
    X(kPortStarted, 201, kInfo, "a port is in operation") \
    X(kLinkUp, 202, kInfo, "a port has link") \
    X(kLinkDown, 203, kWarning, "a port has no link") \
    X(kGenericFamily, 204, kWarning, "a port of a family that is not described") \
    X(kPortWarning, 205, kWarning, "a port is not set up as configured") \
    X(kPortFailed, 206, kError, "a port cannot be used") \
    X(kTapWarning, 207, kWarning, "a setting of the kernel could not be made") \
    X(kTapFailed, 208, kError, "an exception TAP cannot be used") \
    X(kPmdConfig, 209, kError, "the files of pmd-config cannot be used") \
    X(kTraceStarted, 301, kInfo, "packets are traced") \
    X(kTraceLost, 302, kWarning, "steps of a trace were lost")
// clang-format on

enum class Message : std::uint16_t {
#define HOMEPORT_MESSAGE_ENUM(id, number, severity, meaning) id = number,
    HOMEPORT_DATAPLANE_MESSAGES(HOMEPORT_MESSAGE_ENUM)
#undef HOMEPORT_MESSAGE_ENUM
};

struct MessageDescription {
    Message message;
    Severity severity;
    std::string_view meaning;
};
/// All messages, in the order of their numbers.
[[nodiscard]] std::span<const MessageDescription> all_messages();

/// Registers the log type "homeport"; `--log-level=homeport:debug` shows all.
void start_log();
/// "HP-DP-0201 info: " and `text`.
void log(Message message, std::string_view text);

}  // namespace homeport::core
