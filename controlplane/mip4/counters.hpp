// SPDX-License-Identifier: BSD-3-Clause
// Counters of the Mobile IPv4 home agent; names as in packet-paths section 4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace homeport::mip4 {

// clang-format off
#define HOMEPORT_MIP4_COUNTERS(X) \
    X(kUnknownType, "mip4.rrq.unexpected")          /* no message for a home agent */ \
    X(kBadSource, "mip4.rrq.bad_source")            /* no address that can be answered */ \
    X(kMalformed, "mip4.rrq.malformed") \
    X(kNoAuthentication, "mip4.rrq.no_auth")        /* no authorization-enabling extension */ \
    X(kNoAssociation, "mip4.rrq.no_sa")             /* nobody that we know */ \
    X(kForeignAuthentication, "mip4.rrq.fa_unknown")/* foreign-home authentication of a stranger */ \
    X(kFailurePoliced, "mip4.rrq.failure_policed")  /* failed authentication, not answered: too many */ \
    X(kNodePoliced, "mip4.rrq.limited_node")        /* authentic and fresh, but more than one node may send */ \
    X(kReplayPoliced, "mip4.rrq.replay_policed")    /* identification mismatch, not answered: too many of one node */ \
    X(kFromInside, "xha.rrq.from_inside")           /* S2.81 */ \
    X(kFromOutside, "iha.rrq.from_outside")         /* S2.83 */ \
    X(kUntrusted, "iha.rrq.untrusted")              /* S2.91 */ \
    X(kRejected, "mip4.rrq.rejected")               /* with a code; see mip4.rrq.code_N */ \
    X(kAccepted, "mip4.rrq.accepted") \
    X(kUdpRequestReserved, "mip4.udpreq_rsv3") \
    X(kStrictSource, "mip4.strict_source") \
    X(kUdpGranted, "mip4.udp.granted") \
    X(kBindingCreated, "mip4.binding.created") \
    X(kBindingUpdated, "mip4.binding.updated") \
    X(kBindingDeleted, "mip4.binding.deleted") \
    X(kBindingExpired, "mip4.binding.expired") \
    X(kSourceChanged, "mip4.binding.source_changed") \
    X(kHalfBoundCompleted, "mip4.udp.completed") \
    X(kGratuitousArp, "arp.gratuitous") \
    X(kRevocationSent, "mip4.revocation.sent")      /* with each repetition */ \
    X(kRevocationAcknowledged, "mip4.revocation.acknowledged") \
    X(kRevocationUnanswered, "mip4.revocation.unanswered") \
    X(kRevoked, "mip4.revocation.received")         /* by a foreign agent */ \
    X(kRevocationRefused, "mip4.revocation.refused")/* not authentic, old, reflected, of nothing */
// clang-format on

enum class Counter : std::uint8_t {
#define HOMEPORT_MIP4_COUNTER_ENUM(id, name) id,
    HOMEPORT_MIP4_COUNTERS(HOMEPORT_MIP4_COUNTER_ENUM)
#undef HOMEPORT_MIP4_COUNTER_ENUM
        kCount
};

inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::kCount);
inline constexpr std::array<std::string_view, kCounterCount> kCounterNames{{
#define HOMEPORT_MIP4_COUNTER_NAME(id, name) name,
    HOMEPORT_MIP4_COUNTERS(HOMEPORT_MIP4_COUNTER_NAME)
#undef HOMEPORT_MIP4_COUNTER_NAME
}};
[[nodiscard]] constexpr std::string_view name(Counter counter) {
    return kCounterNames[static_cast<std::size_t>(counter)];
}

/// Counts, and refusals by code.
class Counters {
  public:
    void add(Counter counter) { ++counts_[static_cast<std::size_t>(counter)]; }
    void add_rejected(std::uint8_t code) {
        add(Counter::kRejected);
        ++by_code_[code];
    }
    [[nodiscard]] std::uint64_t operator[](Counter counter) const {
        return counts_[static_cast<std::size_t>(counter)];
    }
    [[nodiscard]] std::uint64_t rejected(std::uint8_t code) const { return by_code_[code]; }
    /// Calls visit(name, value) for each; of codes only for those that occurred.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (std::size_t i = 0; i < kCounterCount; ++i) {
            visit(std::string(kCounterNames[i]), counts_[i]);
        }
        for (std::size_t code = 0; code < by_code_.size(); ++code) {
            if (by_code_[code] != 0) visit("mip4.rrq.code_" + std::to_string(code), by_code_[code]);
        }
    }

  private:
    std::array<std::uint64_t, kCounterCount> counts_{};
    std::array<std::uint64_t, 256> by_code_{};
};

}  // namespace homeport::mip4
