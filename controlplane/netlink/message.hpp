// SPDX-License-Identifier: BSD-3-Clause
// rtnetlink messages as values. Pure: octets in, values out.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/channel/messages.hpp"

struct nlmsghdr;

namespace homeport::netlink {

/// RTM_NEWLINK, RTM_DELLINK.
struct LinkMessage {
    bool removed = false;
    int index = 0;
    std::string name;
    bool up = false;
    bool carrier = false;
    std::uint32_t mtu = 0;
    MacAddress mac;  // zero when it has none of six octets
};

/// RTM_NEWADDR, RTM_DELADDR.
struct AddressMessage {
    bool removed = false;
    int index = 0;
    IpAddress address;  // the local one, not the peer's
    std::uint8_t prefix_length = 0;
    bool usable = false;  // neither tentative (optimistic ones are usable) nor failed in DAD
};

struct NextHop {
    int index = 0;  // of the interface
    std::optional<IpAddress> gateway;
    bool encapsulated = false;  // by the kernel (lightweight tunnels)

    friend bool operator==(const NextHop&, const NextHop&) = default;
};

/// RTM_NEWROUTE, RTM_DELROUTE of the tables main and local.
struct RouteMessage {
    bool removed = false;
    bool replaces = false;  // NLM_F_REPLACE
    bool appends = false;   // NLM_F_APPEND
    bool listed = false;    // part of a dump: routes come in the order of the kernel's list
    bool local_table = false;
    IpAddress prefix;
    std::uint8_t prefix_length = 0;
    channel::RouteType type = channel::RouteType::kUnicast;
    std::uint32_t metric = 0;
    std::uint8_t preference = 1;  // RFC 4191: 0 low, 1 medium, 2 high
    std::uint32_t mtu = 0;
    std::uint32_t next_hop_object = 0;
    std::vector<NextHop> next_hops;  // of other types than kUnicast: what tells them apart
};

/// RTM_NEWNEIGH, RTM_DELNEIGH of IP neighbours, proxy entries apart.
struct NeighbourMessage {
    bool removed = false;
    int index = 0;
    IpAddress address;
    std::optional<MacAddress> mac;  // nothing: not resolved
};

/// RTM_DELNEXTHOP: routes that use the object went silently.
struct NextHopObjectRemoved {
    std::uint32_t id = 0;
};

using Message =
    std::variant<LinkMessage, AddressMessage, RouteMessage, NeighbourMessage, NextHopObjectRemoved>;

enum class NotParsed : std::uint8_t {
    kIrrelevant,  // of a type, family, table or kind of address that is not mirrored
    kMalformed,
};

/// Decodes one message. `message.nlmsg_len` octets must be readable.
[[nodiscard]] std::expected<Message, NotParsed> parse_message(const nlmsghdr& message);

/// The first message of `datagram`, which must be aligned to four octets, and removes it from it.
/// Null: the end, or octets that are no whole message.
[[nodiscard]] const nlmsghdr* take_message(ConstByteSpan& datagram);

}  // namespace homeport::netlink
