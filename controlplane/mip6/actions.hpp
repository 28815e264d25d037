// SPDX-License-Identifier: BSD-3-Clause
// What the home agent wants done. Actions are carried out in the order of the list: a binding is
// stored and in force before the acknowledgement behind it leaves (S1.13).
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "controlplane/binding/entry.hpp"
#include "controlplane/mip6/counters.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

/// A packet in normal form (HA > HoA) for IPsec and the tunnel module. `reply_to` is the wire
/// source of the binding update that it answers, whatever the binding cache says (RFC 6275 9.5.4).
struct SendMobilityMessage {
    std::vector<std::uint8_t> packet{};
    Ipv6Address home_address{};
    IpAddress reply_to{};
    /// In UDP over IPv4: the port there, and our address and port that the answer comes from
    /// (S1.50, S1.71). Port 0: not in UDP.
    std::uint16_t reply_to_port = 0;
    std::optional<binding::OuterSource> reply_from{};
    /// The way of the binding's data instead of `reply_to` (P7 over IPv4).
    bool by_binding = false;
    /// Insert a type 2 routing header. False: to the home address itself, on the home link.
    bool routing_header_2 = false;
    std::uint16_t port = 0;  // where the binding update came in
    bool protect = true;     // false only for an answer to an unprotected one (lab switch)
};

/// The data plane's binding is to become this. Also a change of an existing one.
struct InstallBinding {
    binding::Entry entry{};
};

enum class RemovalReason : std::uint8_t {
    kDeregistered,
    kExpired,
    kCleared,
    kNotServed,
    kMappingTaken,  // the binding stays, without a place to send to
};
struct RemoveBinding {
    Ipv6Address home_address{};
    RemovalReason reason{};
};

/// For the store: before the next message leaves, commit.
struct PersistBinding {
    binding::Entry entry{};
};
struct ErasePersisted {
    Ipv6Address home_address{};
};

/// Probe the addresses on the home link; the verdict comes back by dad_result().
struct StartDad {
    Ipv6Address home_address{};
    std::optional<Ipv6Address> link_local{};  // probe this one too (flag L)
    std::uint16_t port = 0;
};
/// The verdict is no longer wanted.
struct CancelDad {
    Ipv6Address home_address{};
    std::uint16_t port = 0;
};

/// To all nodes of the home link, target link-layer address ours, S=0, O=1.
struct SendUnsolicitedNeighborAdvertisement {
    Ipv6Address target{};
    Ipv6Address home_agent{};  // our address on that link
    bool router = false;       // R
    std::uint16_t port = 0;
};

/// Broadcast on the home link, with our link-layer address (RFC 5944 4.6, RFC 5227 3).
struct SendGratuitousArp {
    Ipv4Address target{};
    std::uint16_t port = 0;
};

/// The group is counted here: one Join for the first address in it, one Leave for the last.
struct JoinSolicitedNode {
    Ipv6Address group{};
    std::uint16_t port = 0;
};
struct LeaveSolicitedNode {
    Ipv6Address group{};
    std::uint16_t port = 0;
};

/// A whole IPv6 packet for the wire as it is: no binding cache, no IPsec of a mobile node (P8).
struct SendIcmpv6 {
    std::vector<std::uint8_t> packet{};
    Ipv6Address destination{};
    std::uint16_t port = 0;
};
struct SendBindingError {
    std::vector<std::uint8_t> packet{};
    Ipv6Address destination{};
    std::uint16_t port = 0;
};

/// Already counted in HomeAgent::counters(); here for the log.
struct CountEvent {
    Counter counter{};
    Ipv6Address home_address{};
    IpAddress wire_source{};
    /// For kBuRejected.
    std::optional<wire::BindingStatus> status{};
    const char* detail = "";  // static text, for people
    /// Of `wire_source`, if the binding update came in UDP.
    std::uint16_t wire_port = 0;
    /// For kBindingMappingTaken: the binding that has the mapping now.
    std::optional<Ipv6Address> other{};
};

using Action =
    std::variant<SendMobilityMessage, InstallBinding, RemoveBinding, PersistBinding, ErasePersisted,
                 StartDad, CancelDad, SendUnsolicitedNeighborAdvertisement, SendGratuitousArp,
                 JoinSolicitedNode, LeaveSolicitedNode, SendIcmpv6, SendBindingError, CountEvent>;
using Actions = std::vector<Action>;

}  // namespace homeport::mip6
