// SPDX-License-Identifier: BSD-3-Clause
// Short ways to write channel records.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

#include "dataplane/base/sanitizers.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/table_writer.hpp"

namespace homeport::table::test {

/// A million; under a sanitizer, which takes thirty times as long, the same in small.
#if defined(HOMEPORT_SANITIZED)
inline constexpr std::uint32_t kMillion = 1u << 16;
#else
inline constexpr std::uint32_t kMillion = 1u << 20;
#endif

inline channel::WireAddress wire(std::string_view text) {
    return channel::WireAddress{*parse_ip_address(text)};
}
/// As the tables keep it.
inline Ipv6Address key(std::string_view text) {
    return key_address(wire(text));
}
inline MacAddress mac(std::uint8_t last) {
    return MacAddress{{2, 0, 0, 0, 0, last}};
}
/// Node `n` of 2001:db8:100::/64.
inline Ipv6Address home(std::uint64_t n) {
    Ipv6Address address = *Ipv6Address::parse("2001:db8:100::");
    store_be64(address.bytes.data() + 8, n);
    return address;
}

inline channel::RouteSet route(std::string_view prefix, std::uint8_t length,
                               std::string_view next_hop, std::uint16_t port) {
    channel::RouteSet record;
    record.prefix = wire(prefix);
    record.prefix_length = length;
    if (!next_hop.empty()) record.next_hop = wire(next_hop);
    record.port = port;
    return record;
}
inline channel::RouteRemove no_route(std::string_view prefix, std::uint8_t length) {
    channel::RouteRemove record;
    record.prefix = wire(prefix);
    record.prefix_length = length;
    return record;
}
inline channel::NeighbourSet neighbour(std::string_view address, std::uint16_t port,
                                       std::uint8_t last) {
    channel::NeighbourSet record;
    record.address = wire(address);
    record.port = port;
    record.mac = mac(last);
    return record;
}
inline channel::NeighbourRemove no_neighbour(std::string_view address, std::uint16_t port) {
    channel::NeighbourRemove record;
    record.address = wire(address);
    record.port = port;
    return record;
}
inline channel::AddressSet address(std::string_view text, std::uint16_t port,
                                   bool home_agent = false) {
    channel::AddressSet record;
    record.address = wire(text);
    record.port = port;
    record.prefix_length = 64;
    if (record.address.family == 4) record.prefix_length = 24;
    record.is_home_agent_address = home_agent;
    return record;
}
inline channel::HomePrefixSet home_prefix(std::string_view prefix, std::uint8_t length,
                                          std::uint16_t port, bool drop = false) {
    channel::HomePrefixSet record;
    record.prefix = wire(prefix);
    record.prefix_length = length;
    record.port = port;
    record.drop_unbound = drop;
    return record;
}
inline channel::BindingSet binding(const Ipv6Address& home_address, std::string_view care_of) {
    channel::BindingSet record;
    record.home_address = channel::WireAddress{home_address};
    record.care_of_address = wire(care_of);
    record.home_agent_address =
        record.care_of_address.family == 4 ? wire("192.0.2.1") : wire("2001:db8:100::1");
    if (record.care_of_address.family == 4) record.encapsulation = channel::Encapsulation::kIpv4;
    record.counter_index = 0;
    return record;
}
inline channel::BindingRemove no_binding(const Ipv6Address& home_address) {
    channel::BindingRemove record;
    record.home_address = channel::WireAddress{home_address};
    return record;
}

inline channel::MobilePrefixSet mobile_prefix(std::string_view prefix, std::uint8_t length,
                                              const Ipv6Address& home_address) {
    channel::MobilePrefixSet record;
    record.prefix = wire(prefix);
    record.prefix_length = length;
    record.home_address = channel::WireAddress{home_address};
    return record;
}
inline channel::MobilePrefixRemove no_mobile_prefix(std::string_view prefix, std::uint8_t length) {
    channel::MobilePrefixRemove record;
    record.prefix = wire(prefix);
    record.prefix_length = length;
    return record;
}

/// Tables without readers, two ports: 0 with MTU 1500, 1 with MTU 1400.
class TableTest : public ::testing::Test {
  protected:
    explicit TableTest(const Sizes& sizes = {.max_bindings = 1000,
                                             .max_routes = 100,
                                             .max_adjacencies = 50,
                                             .max_addresses = 20,
                                             .max_home_prefixes = 10,
                                             .max_mobile_prefixes = 10})
        : tables_(sizes, nullptr), writer_(tables_) {
        EXPECT_TRUE(tables_.valid());
        writer_.set_port(0, mac(0xa0), 1500);
        writer_.set_port(1, mac(0xa1), 1400);
    }
    void settle() {
        while (writer_.poll(now_, 100)) {
        }
    }
    const Binding* bound(const Ipv6Address& home_address) const {
        const std::uint32_t slot = tables_.bindings.find(home_address);
        return slot == kNoSlot ? nullptr : &tables_.bindings.at(slot);
    }
    Hop hop(std::string_view destination) const {
        return tables_.next_hop(wire(destination).family, key(destination));
    }
    template <class Record>
    channel::CommandError error_of(const Record& record) {
        const Applied applied = writer_.apply(record);
        return applied ? channel::CommandError{} : applied.error().code;
    }

    Tables tables_;
    TableWriter writer_;
    std::uint64_t now_ = 1000;
};

}  // namespace homeport::table::test
