// SPDX-License-Identifier: BSD-3-Clause
// What a foreign agent counts. Each message and each packet that it drops is counted once as such.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace homeport::mip4 {

// clang-format off
#define HOMEPORT_FOREIGN_AGENT_COUNTERS(X) \
    X(kRequest, "fa.rrq.received")                   /* registration requests of mobile nodes */ \
    X(kRequestRelayed, "fa.rrq.relayed") \
    X(kRequestDenied, "fa.rrq.denied")               /* see fa.rrq.code_N */ \
    X(kDenialPoliced, "fa.rrq.denial_policed")       /* denied, but not said: one a second and node */ \
    X(kRequestMalformed, "fa.rrq.malformed")         /* silent: unknown critical extension, no fixed part */ \
    X(kRequestChecksum, "fa.rrq.cksum")              /* UDP checksum */ \
    X(kRequestAuthentication, "fa.rrq.mf_auth")      /* of fa.rrq.denied: 67 */ \
    X(kRequestRevocation, "fa.rrq.revocation_ext")   /* silent: RFC 3543 section 4.2.1 */ \
    X(kRequestOffLink, "fa.rrq.off_link")            /* silent: not on a visited link */ \
    X(kReply, "fa.rrp.received") \
    X(kReplyRelayed, "fa.rrp.relayed") \
    X(kReplyReplaced, "fa.rrp.replaced")             /* our own code instead: 68, 71, 97 to 99, 101 */ \
    X(kReplyMalformed, "fa.rrp.malformed")           /* silent: nothing to go by */ \
    X(kReplyNoPending, "fa.rrp.no_pending")          /* silent: answers nothing */ \
    X(kUnknownType, "fa.unknown_type")               /* no message of a foreign agent */ \
    X(kPendingTimeout, "fa.pending.timeout")         /* 78 */ \
    X(kUnreachable, "fa.pending.unreachable")        /* ICMP errors that ended a request: 80 to 88 */ \
    X(kRegistered, "fa.visitor.registered") \
    X(kRenewed, "fa.visitor.renewed") \
    X(kDeregistered, "fa.visitor.deregistered") \
    X(kExpired, "fa.visitor.expired") \
    X(kRevoked, "fa.visitor.revoked") \
    X(kRevocation, "fa.revocation.received") \
    X(kRevocationAcknowledged, "fa.revocation.acknowledged") \
    X(kRevocationUnknown, "fa.revocation.unknown")   /* silent: no such binding, or not negotiated */ \
    X(kRevocationAuthentication, "fa.revocation.auth") \
    X(kRevocationReplay, "fa.revocation.replay")     /* silent: identifier, or a reflection */ \
    X(kRevocationSent, "fa.revocation.sent")         /* our own, with repetitions */ \
    X(kRevocationAnswered, "fa.revocation.answered") /* acknowledged by the home agent */ \
    X(kKeepaliveSent, "fa.keepalive.sent") \
    X(kKeepaliveAnswered, "fa.keepalive.answered") \
    X(kKeepaliveLost, "fa.keepalive.lost")           /* no answer to several in a row */ \
    /* from home agents */ \
    X(kTunnelReceived, "fa.in.received") \
    X(kTunnelDelivered, "fa.in.delivered")           /* handed to visitors */ \
    X(kTunnelFragments, "fa.in.fragments")           /* pieces that one became; beyond fa.in.delivered */ \
    X(kInMalformed, "fa.in.malformed") \
    X(kInGre, "fa.in.gre")                           /* flags, version, protocol, checksum */ \
    X(kInMinimal, "fa.in.minimal")                   /* length, checksum */ \
    X(kInNoVisitor, "fa.in.no_visitor")              /* inner destination unknown, or another's home agent */ \
    X(kInMode, "fa.in.bad_mode")                     /* not the encapsulation that was agreed */ \
    X(kInSource, "fa.in.bad_outer")                  /* UDP: not from the port of the home agent */ \
    X(kInNotCareOf, "fa.in.not_coa")                 /* not to a care-of address of ours */ \
    X(kInTtl, "fa.in.ttl") \
    X(kInEcn, "fa.in.ecn_drop") \
    X(kInTooBig, "fa.in.too_big")                    /* for the visited link; the sender is told */ \
    X(kInKeepalive, "fa.in.keepalive")               /* answers to ours: end here */ \
    X(kInCoLocated, "fa.in.co_located")              /* for a visitor with its own care-of address */ \
    X(kInSend, "fa.in.send")                         /* the link did not take it */ \
    /* from visitors */ \
    X(kVisitorReceived, "fa.out.received")           /* packets of visitors for somewhere else */ \
    X(kVisitorTunnelled, "fa.out.tunnelled") \
    X(kVisitorForwarded, "fa.out.forwarded")         /* without a reverse tunnel */ \
    X(kVisitorFragments, "fa.out.fragments")         /* pieces beyond the first */ \
    X(kOutMalformed, "fa.out.malformed") \
    X(kOutMac, "fa.out.bad_mac")                     /* a visitor's address from another link address */ \
    X(kOutTtl, "fa.out.ttl") \
    X(kOutTooBig, "fa.out.too_big")                  /* for the tunnel; the visitor is told */ \
    X(kOutStyle, "fa.out.style")                     /* multicast without encapsulating delivery */ \
    X(kOutInner, "fa.out.bad_inner")                 /* encapsulating delivery of another's packet */ \
    X(kOutEcn, "fa.out.ecn_drop") \
    X(kOutSend, "fa.out.send")                       /* the kernel did not take it */ \
    X(kIcmpSent, "fa.icmp.sent") \
    X(kIcmpLimited, "fa.icmp.ratelimited")
// clang-format on

enum class ForeignAgentCounter : std::uint8_t {
#define HOMEPORT_FOREIGN_AGENT_ENUM(id, name) id,
    HOMEPORT_FOREIGN_AGENT_COUNTERS(HOMEPORT_FOREIGN_AGENT_ENUM)
#undef HOMEPORT_FOREIGN_AGENT_ENUM
        kCount
};
inline constexpr std::size_t kForeignAgentCounterCount =
    static_cast<std::size_t>(ForeignAgentCounter::kCount);

inline constexpr std::array<std::string_view, kForeignAgentCounterCount> kForeignAgentCounterNames{{
#define HOMEPORT_FOREIGN_AGENT_NAME(id, name) name,
    HOMEPORT_FOREIGN_AGENT_COUNTERS(HOMEPORT_FOREIGN_AGENT_NAME)
#undef HOMEPORT_FOREIGN_AGENT_NAME
}};
[[nodiscard]] constexpr std::string_view name(ForeignAgentCounter counter) {
    return kForeignAgentCounterNames[static_cast<std::size_t>(counter)];
}

/// Counts, and denials by code.
class ForeignAgentCounters {
  public:
    void add(ForeignAgentCounter counter, std::uint64_t n = 1) {
        counts_[static_cast<std::size_t>(counter)] += n;
    }
    void add_denied(std::uint8_t code) { ++by_code_[code]; }
    [[nodiscard]] std::uint64_t operator[](ForeignAgentCounter counter) const {
        return counts_[static_cast<std::size_t>(counter)];
    }
    [[nodiscard]] std::uint64_t denied(std::uint8_t code) const { return by_code_[code]; }

  private:
    std::array<std::uint64_t, kForeignAgentCounterCount> counts_{};
    std::array<std::uint64_t, 256> by_code_{};
};

}  // namespace homeport::mip4
