// SPDX-License-Identifier: BSD-3-Clause
// What the mobile node counts (packet-paths 2.5). Each packet that is dropped is counted once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace homeport::mobile_node {

// clang-format off
#define HOMEPORT_MOBILE_NODE_COUNTERS(X) \
    X(kTunReceived, "mn.tun.received")             /* packets that applications sent */ \
    X(kTunDelivered, "mn.tun.delivered")           /* packets handed to applications */ \
    X(kTunnelSent, "mn.tunnel.sent")               /* N1 out */ \
    X(kTunnelReceived, "mn.tunnel.received")       /* N1 in: payload */ \
    X(kDirectSent, "mn.ro.sent")                   /* of mn.tunnel.sent: past the home agent */ \
    X(kDirectReceived, "mn.ro.received")           /* payload of correspondents, past the home agent */ \
    X(kHomeSent, "mn.home.sent")                   /* sent natively on the home link */ \
    X(kUpdateSent, "mn.bu.sent")                   /* N3 out */ \
    X(kUdpSent, "mn.udp.sent")                     /* of mn.tunnel.sent: in UDP 4191 */ \
    X(kEspKeepaliveSent, "mn.udp4500.keepalive_sent") \
    X(kEspKeepaliveReceived, "udp4500.keepalive")  \
    X(kHeuristicTimeout, "mn.bu_heur.timeout")     /* S1.47: a window without a binding update */ \
    X(kHeuristicMismatch, "mn.bu_heur.mismatch")   /* data had been taken for a binding update */ \
    X(kMessageHeld, "mn.bu_heur.held")             /* S1.47 rule 3: messages that had to wait */ \
    X(kSignallingReceived, "mn.signalling.received") /* N3 in: mobility messages to the protocol */ \
    X(kNdAnswered, "mn.nd.answered")               /* solicitations for the home address at home */ \
    X(kNdAnnounced, "mn.nd.announced")             /* advertisements after returning home */ \
    X(kPacketTooBig, "mn.ptb.received")            /* path MTU news */ \
    X(kQueued, "mn.queue.held")                    /* packets kept during a handover */ \
    X(kDropNoBinding, "mn.drop.no_binding")        /* no tunnel and not at home */ \
    X(kDropQueueFull, "mn.drop.queue_full")        \
    X(kDropQueueExpired, "mn.drop.queue_expired")  \
    X(kDropNotHomeAddress, "mn.drop.source")       /* from the TUN, but not from a home address */ \
    X(kDropLinkLocal, "mn.drop.linklocal")         /* link-local addresses or groups never leave */ \
    X(kDropMalformed, "mn.drop.malformed")         /* from the TUN, not an IP packet */ \
    X(kDropPolicyOut, "mn.drop.policy")            /* ipsec.out.* said no */ \
    X(kDropSend, "mn.drop.send")                   /* the kernel did not take it */ \
    X(kDropTooBig, "mn.drop.too_big")              \
    X(kInNotHomeAgent, "mn.in.not_ha")             /* tunnelled, but not from the home agent */ \
    X(kInNotCareOf, "mn.in.not_coa")               /* to an address that is no care-of address */ \
    X(kInMalformed, "mn.in.malformed")             \
    X(kInNotCorrespondent, "mn.in.not_correspondent") /* routing header, but no binding there */ \
    X(kInInnerAddress, "mn.in.inner_dst")          /* inner destination is not a home address */ \
    X(kInCareOfAddress, "mn.in.care_of")           /* behind tunnel and RH2: still a care-of address */ \
    X(kInEcn, "mn.in.ecn_drop")                    /* RFC 6040: Not-ECT inside, CE outside */ \
    X(kInPolicy, "mn.in.policy")                   /* ipsec.in.* said no */ \
    X(kInUnexpected, "mn.in.unexpected")               /* not what this path carries */ \
    X(kRoutingHeaderBad, "mn.rh2.bad")             \
    X(kInVersion, "mn.in.bad_version")             /* UDP 4191: neither IPv4 nor IPv6 inside */ \
    X(kInIke, "mn.in.ike")                         /* UDP 4500 with marker 0: no IKE here */ \
    X(kDropHeldMessage, "mn.drop.held_message")    /* more messages than can wait */ \
    X(kDropTunWrite, "mn.drop.tun_write")          /* the kernel refused a delivered packet */ \
    X(kDropMonitor, "mn.drop.tmonitor")            /* S2.50: inside, but not lately confirmed; both ways */ \
    X(kQueueMonitor, "mn.queue.tmonitor")          /* the same: packets kept (S2.51) */ \
    X(kQueueFlushed, "mn.drop.queue_flushed")      /* kept, then the network changed (S2.52) */ \
    X(kVpnSetupFail, "mn.vpn.setup_fail")          \
    X(kVpnSent, "mn.vpn.sent")                     /* of mn.tunnel.sent: N8, N9 */ \
    X(kVpnReceived, "mn.vpn.received")             \
    X(kNativeSent, "mn.native.sent")               /* N7, or no reverse tunnel */ \
    X(kNativeReceived, "mn.native.received")       \
    X(kRequestSent, "mn.rrq.sent")                 \
    X(kReplyReceived, "mn.rrp.received")           \
    X(kReplyIgnored, "mn.rrp.ignored")             /* answers nothing, or is not authentic */ \
    X(kUdp434KeepaliveSent, "mn.udp434.keepalive_sent") \
    X(kUdp434KeepaliveAnswered, "mn.udp434.keepalive_answered") \
    X(kMssClamped, "mn.mss.clamped")               \
    X(kFragmentFallback, "minenc.frag_fallback")   /* IP in IP instead: it is a fragment */ \
    X(kInState, "mn.in.state")                     /* user data while none may come, or not so */ \
    X(kInTunnelForm, "mn.in.bad_tunnel")           /* from the home agent, but not as agreed */ \
    X(kInGreFlags, "gre.bad_flags")                \
    X(kInGreVersion, "gre.version")                \
    X(kInGreProtocol, "gre.proto")                 \
    X(kInGreChecksum, "gre.cksum")                 \
    X(kInMinimalLength, "minenc.len")              \
    X(kInMinimalChecksum, "minenc.cksum")          \
    X(kNdIgnored, "mn.nd.ignored")                 /* malformed, or not for us to answer */ \
    X(kNetlinkResync, "mn.netlink.resync")
// clang-format on

enum class Counter : std::uint8_t {
#define X(id, name) id,
    HOMEPORT_MOBILE_NODE_COUNTERS(X)
#undef X
        kCount
};
inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::kCount);

inline constexpr std::array<std::string_view, kCounterCount> kCounterNames{
#define X(id, name) name,
    HOMEPORT_MOBILE_NODE_COUNTERS(X)
#undef X
};

class Counters {
  public:
    void add(Counter counter, std::uint64_t n = 1) {
        values_[static_cast<std::size_t>(counter)] += n;
    }
    [[nodiscard]] std::uint64_t operator[](Counter counter) const {
        return values_[static_cast<std::size_t>(counter)];
    }
    [[nodiscard]] const std::array<std::uint64_t, kCounterCount>& values() const { return values_; }

  private:
    std::array<std::uint64_t, kCounterCount> values_{};
};

}  // namespace homeport::mobile_node
