// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/hello.hpp"

#include <cstdio>
#include <cstring>
#include <utility>

#include "dataplane/channel/records.hpp"

namespace homeport::channel {

namespace {

template <class... Types>
consteval std::uint32_t hash_of_layouts() {
    std::uint32_t hash = 0x811c9dc5 ^ kControlPlaneDescriptors;  // FNV-1a
    ((hash = (hash ^ static_cast<std::uint32_t>(sizeof(Types))) * 0x01000193u), ...);
    return hash;
}

std::string version_text(std::uint32_t abi_version, std::uint32_t abi_layout,
                         std::string_view build_id) {
    char numbers[48];
    std::snprintf(numbers, sizeof numbers, "%u (layout %08x)", abi_version, abi_layout);
    return "ABI version " + std::string(numbers) + ", build \"" + printable(build_id) + '"';
}

const char* name_of(Role role) {
    return role == Role::kControlPlane ? "the control plane" : "the observer";
}

/// Both sides' versions in one sentence, the same on both sides.
std::string mismatch_text(Role role, const std::string& client, const std::string& data_plane) {
    return std::string(name_of(role)) + " speaks channel " + client +
           "; the data plane speaks channel " + data_plane + "; install both from the same release";
}

}  // namespace

const std::uint32_t kAbiLayout = hash_of_layouts<
    WireAddress, BeginSync, EndSync, AddressSet, AddressRemove, RouteSet, RouteRemove, NeighbourSet,
    NeighbourRemove, HomePrefixSet, HomePrefixRemove, BindingSet, BindingRemove, MobilePrefixSet,
    MobilePrefixRemove, VpnClientSet, VpnClientRemove, SelectorRecord, SaNetwork, SaSet, SaRemove,
    PolicyRecord, SpdReplace, TransmitPacket, TransmitFrame, TraceStart, TraceStop, ParametersSet,
    PortInfo, Acknowledge, CommandFailed, SyncDone, Punt, Trace, SaHighWater, SaLifetime, PathMtu,
    EspSource, FlowRuleInfo, StatisticsHeader, NameRow, StageRow, WorkerRow, PortRow, AdjacencyRow,
    SaRow, PolicyRow, BindingRow, RingControl>();

std::string printable(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c < ' ' || c > '~') c = '?';
    }
    return result;
}

Hello make_hello(Role role, std::string_view build_id) {
    Hello hello;
    hello.abi_layout = kAbiLayout;
    hello.role = role;
    copy_text(hello.build_id, build_id);
    return hello;
}

std::expected<Hello, HelloRefusal> decode_hello(ConstByteSpan bytes,
                                                std::string_view data_plane_build_id) {
    const auto refuse = [](HelloStatus status, std::string text) {
        return std::unexpected(HelloRefusal{status, std::move(text)});
    };
    Hello hello;
    if (bytes.size() != sizeof hello) {
        return refuse(HelloStatus::kMalformed, "a hello of " + std::to_string(bytes.size()) +
                                                   " octets, expected " +
                                                   std::to_string(sizeof hello));
    }
    std::memcpy(&hello, bytes.data(), sizeof hello);
    if (hello.magic != kMagic) {
        return refuse(HelloStatus::kMalformed, "a hello without Homeport's magic number");
    }
    if (hello.role != Role::kControlPlane && hello.role != Role::kObserver) {
        return refuse(
            HelloStatus::kMalformed,
            "unknown role " + std::to_string(static_cast<unsigned>(hello.role)) + " in the hello");
    }
    hello.build_id[sizeof hello.build_id - 1] = 0;
    if (hello.abi_version != kAbiVersion || hello.abi_layout != kAbiLayout) {
        return refuse(HelloStatus::kAbiMismatch,
                      mismatch_text(hello.role,
                                    version_text(hello.abi_version, hello.abi_layout,
                                                 text_of(hello.build_id)),
                                    version_text(kAbiVersion, kAbiLayout, data_plane_build_id)));
    }
    return hello;
}

std::expected<HelloReply, Error> decode_hello_reply(ConstByteSpan bytes, Role role,
                                                    std::string_view build_id) {
    HelloReply reply;
    if (bytes.size() != sizeof reply) {
        return std::unexpected(
            Error{ErrorCode::kProtocol, "the data plane answered the hello with " +
                                            std::to_string(bytes.size()) + " octets, expected " +
                                            std::to_string(sizeof reply)});
    }
    std::memcpy(&reply, bytes.data(), sizeof reply);
    if (reply.magic != kMagic) {
        return std::unexpected(
            Error{ErrorCode::kProtocol, "whoever answers on the socket is not a data plane"});
    }
    reply.build_id[sizeof reply.build_id - 1] = 0;
    reply.text[sizeof reply.text - 1] = 0;
    if (reply.abi_version != kAbiVersion || reply.abi_layout != kAbiLayout) {
        return std::unexpected(
            Error{ErrorCode::kAbiMismatch,
                  mismatch_text(
                      role, version_text(kAbiVersion, kAbiLayout, build_id),
                      version_text(reply.abi_version, reply.abi_layout, text_of(reply.build_id)))});
    }
    if (reply.status != HelloStatus::kAccepted) {
        return std::unexpected(Error{
            reply.status == HelloStatus::kAbiMismatch ? ErrorCode::kAbiMismatch
                                                      : ErrorCode::kRefused,
            std::string("the data plane refused the attachment: ").append(text_of(reply.text))});
    }
    const bool capacities_good = role == Role::kObserver
                                     ? reply.command_capacity == 0 && reply.event_capacity == 0
                                     : valid_ring_capacity(reply.command_capacity) &&
                                           valid_ring_capacity(reply.event_capacity);
    if (!capacities_good || reply.statistics_size < sizeof(StatisticsHeader) ||
        reply.statistics_size > kMaxStatisticsSize) {
        return std::unexpected(
            Error{ErrorCode::kProtocol, "the data plane announced regions of impossible sizes"});
    }
    return reply;
}

}  // namespace homeport::channel
