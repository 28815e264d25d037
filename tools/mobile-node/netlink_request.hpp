// SPDX-License-Identifier: BSD-3-Clause
// Requests to rtnetlink as octets. For those that set up the host's network.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "dataplane/base/address.hpp"

namespace homeport::mobile_node {

/// One message under construction.
struct Request {
    alignas(nlmsghdr) std::array<char, 1024> buffer{};

    Request(std::uint16_t type, std::uint16_t flags) {
        mnl_nlmsg_put_header(buffer.data());
        message()->nlmsg_type = type;
        message()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    }
    nlmsghdr* message() { return reinterpret_cast<nlmsghdr*>(buffer.data()); }
    template <class T>
    T& header() {
        return *static_cast<T*>(mnl_nlmsg_put_extra_header(message(), sizeof(T)));
    }
    template <class Address>
    void address(std::uint16_t type, const Address& address) {
        mnl_attr_put(message(), type, address.bytes.size(), address.bytes.data());
    }
    void number(std::uint16_t type, std::uint32_t value) {
        mnl_attr_put_u32(message(), type, value);
    }
};

/// Adds, or replaces, a route to `destination` over `interface`; 0: over none.
template <class Address>
Request route_request(const Prefix<Address>& destination, std::uint32_t table, int interface) {
    Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    auto& route = request.header<rtmsg>();
    route.rtm_family = sizeof(Address) == 16 ? AF_INET6 : AF_INET;
    route.rtm_dst_len = destination.length;
    route.rtm_table = static_cast<unsigned char>(table < 256 ? table : 0);
    route.rtm_protocol = RTPROT_STATIC;
    route.rtm_scope = RT_SCOPE_UNIVERSE;
    route.rtm_type = RTN_UNICAST;
    request.number(RTA_TABLE, table);
    if (destination.length > 0) request.address(RTA_DST, destination.address);
    if (interface != 0) request.number(RTA_OIF, static_cast<std::uint32_t>(interface));
    return request;
}

}  // namespace homeport::mobile_node
