// SPDX-License-Identifier: BSD-3-Clause
// Where Mobile IPv4 tunnels end that routers say cannot be reached (RFC 2003 section 5): the soft
// state of an encapsulator, for errors that quote too little to be passed on. A short list, empty
// nearly always; senders whose packets go there are told for some seconds.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/base/address.hpp"
#include "dataplane/table/reclaimer.hpp"

namespace homeport::table {

class BrokenTunnels {
  public:
    /// More than these at once are forgotten: anybody can say that something is unreachable.
    static constexpr std::size_t kMax = 16;
    static constexpr std::uint64_t kSeconds = 10;  // that it is believed
    struct End {
        Ipv6Address care_of_address;  // v4-mapped
        std::uint16_t udp_port = 0;   // host order; 0: not in UDP
        friend bool operator==(const End&, const End&) = default;
    };

    explicit BrokenTunnels(Reclaimer& reclaimer) : reclaimer_(reclaimer), list_(new List) {}
    ~BrokenTunnels() { delete list_; }
    BrokenTunnels(const BrokenTunnels&) = delete;
    BrokenTunnels& operator=(const BrokenTunnels&) = delete;

    // ------------------------------------------------------------------------------- readers

    [[nodiscard]] std::span<const End> all() const {
        const List* const list = __atomic_load_n(&list_, __ATOMIC_ACQUIRE);
        return std::span(list->ends.data(), list->count);
    }

    // -------------------------------------------------------------------------------- writer

    /// Seconds never go backwards.
    void add(const End& end, std::uint64_t now_seconds);
    void age(std::uint64_t now_seconds);

  private:
    struct List {  // immutable once published
        std::size_t count = 0;
        std::array<End, kMax> ends{};
        std::array<std::uint64_t, kMax> until{};  // seconds
    };
    void publish(List* fresh);

    Reclaimer& reclaimer_;
    const List* list_;
};

}  // namespace homeport::table
