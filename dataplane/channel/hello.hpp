// SPDX-License-Identifier: BSD-3-Clause
// The hand-shake on the SOCK_SEQPACKET socket: the client says Hello, the data plane answers with a
// HelloReply and, when it agrees, the descriptors of that role.
//
// The layout of both messages never changes, so that two sides of any versions can tell each other
// why they do not go together.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/channel/error.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/channel/statistics.hpp"

namespace homeport::channel {

enum class Role : std::uint16_t {
    kControlPlane = 1,  // one at a time; descriptors: command ring, event ring, statistics, eventfd
                        // that is readable when events came, eventfd to wake the data plane with
    kObserver = 2,      // statistics only
};

enum class HelloStatus : std::uint32_t {
    kAccepted = 0,
    kAbiMismatch = 1,
    kBusy = 2,       // another control plane is attached, or too many observers
    kMalformed = 3,  // not a Hello
    kInternal = 4,   // the data plane could not make the regions
};

struct Hello {
    std::uint32_t magic = kMagic;
    std::uint32_t abi_version = kAbiVersion;
    std::uint32_t abi_layout = 0;  // kAbiLayout of the sender
    Role role{};
    std::uint16_t reserved = 0;
    char build_id[64] = {};
};
static_assert(sizeof(Hello) == 80);

struct HelloReply {
    std::uint32_t magic = kMagic;
    std::uint32_t abi_version = kAbiVersion;
    std::uint32_t abi_layout = 0;
    HelloStatus status{};
    char build_id[64] = {};
    std::uint64_t command_capacity = 0;  // octets of the rings; 0 for an observer
    std::uint64_t event_capacity = 0;
    std::uint64_t statistics_size = 0;
    char text[256] = {};  // why it was refused
};
static_assert(sizeof(HelloReply) == 360);

/// A number that differs when sizes of records or the list of types differ: catches a change of
/// messages.hpp or statistics.hpp without a new kAbiVersion.
extern const std::uint32_t kAbiLayout;

/// That come with the answer to Role::kControlPlane, in the order named there.
inline constexpr std::size_t kControlPlaneDescriptors = 5;

/// Octets of the largest statistics region that a client maps.
inline constexpr std::uint64_t kMaxStatisticsSize = std::uint64_t{1} << 36;

[[nodiscard]] Hello make_hello(Role role, std::string_view build_id);

/// The build id that a peer named, fit for a log: other than printable ASCII becomes '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// A hello that was received whole; `data_plane_build_id` goes into the text of a refusal.
struct HelloRefusal {
    HelloStatus status{};
    std::string text;
};
[[nodiscard]] std::expected<Hello, HelloRefusal> decode_hello(ConstByteSpan bytes,
                                                              std::string_view data_plane_build_id);

/// What the data plane agreed to, or the reason why not. Checks everything but the descriptors.
[[nodiscard]] std::expected<HelloReply, Error> decode_hello_reply(ConstByteSpan bytes, Role role,
                                                                  std::string_view build_id);

}  // namespace homeport::channel
