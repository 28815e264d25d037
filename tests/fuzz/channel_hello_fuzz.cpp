// SPDX-License-Identifier: BSD-3-Clause
// links: channel
// Both messages of the hand-shake.
#include <cstdint>

#include "dataplane/channel/hello.hpp"
#include "dataplane/channel/ring.hpp"

using namespace homeport::channel;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const homeport::ConstByteSpan bytes(data, size);
    if (const auto hello = decode_hello(bytes, "fuzz"); hello) {
        if (hello->magic != kMagic || hello->abi_version != kAbiVersion) __builtin_trap();
    } else if (hello.error().text.empty()) {
        __builtin_trap();
    }
    for (const Role role : {Role::kControlPlane, Role::kObserver}) {
        const auto reply = decode_hello_reply(bytes, role, "fuzz");
        if (reply && role == Role::kControlPlane && !valid_ring_capacity(reply->event_capacity)) {
            __builtin_trap();
        }
        if (!reply && reply.error().text.empty()) __builtin_trap();
    }
    return 0;
}
