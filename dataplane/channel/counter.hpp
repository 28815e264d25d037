// SPDX-License-Identifier: BSD-3-Clause
// Every drop and event counter of the data plane. The names are those of docs/counters.md.
// A packet that is dropped increments exactly one counter of kind kDrop; the invariant
//   received = forwarded + delivered + dropped
// holds over any interval in which no packet is in flight.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace homeport::channel {

enum class CounterKind : std::uint8_t {
    kReceived,   // a packet came in: from a port, the kernel, or the control plane
    kForwarded,  // a packet left by a port
    kDelivered,  // a packet ended here: kernel, control plane, answered, absorbed by reassembly
    kDrop,       // a packet was dropped
    kEvent,      // something happened; says nothing about where a packet went
};

// clang-format off
#define HOMEPORT_COUNTERS(X) \
    X(kRxPort, "rx.port", kReceived)                        /* frames from ports */ \
    X(kRxKernel, "rx.kernel", kReceived)                    /* frames from exception TAPs */ \
    X(kRxControl, "rx.control", kReceived)                  /* packets and frames from the control plane */ \
    X(kRxGenerated, "rx.generated", kReceived)              /* made here: ICMP errors, fragments beyond the first, proxy advertisements */ \
    X(kTxPort, "tx.port", kForwarded) \
    X(kToKernel, "deliver.kernel", kDelivered) \
    X(kToControl, "deliver.control", kDelivered) \
    X(kAbsorbed, "deliver.absorbed", kDelivered)            /* consumed: answered solicitation, relayed ICMP error, fragment of a reassembled packet, dummy */ \
    X(kTxFull, "tx.full", kDrop)                            /* the port took no more */ \
    X(kTxPortDown, "tx.port_down", kDrop) \
    X(kPuntFull, "punt.full", kDrop)                        /* ring to the control plane full */ \
    X(kPuntPoliced, "punt.policed", kDrop)                  /* over the control-plane policer */ \
    X(kKernelFull, "kernel.full", kDrop)                    /* ring to the exception TAP full */ \
    X(kKernelPoliced, "kernel.policed", kDrop) \
    X(kHandoverFull, "handover.full", kDrop)                /* ring to another worker full */ \
    X(kSignallingFull, "signalling.full", kDrop)            /* a queue of signalling full: of a worker, or to another one */ \
    X(kRxOverload, "rx.overload", kDrop)                    /* data of a receive queue that ran over, taken off to find the signalling behind it */ \
    X(kNoBuffer, "mbuf.exhausted", kDrop) \
    X(kParseL2, "parse.l2", kDrop)                          /* not Ethernet II with IPv4/IPv6/ARP, or not for this port */ \
    X(kParseTruncated, "parse.truncated", kDrop)            /* shorter than its headers say */ \
    X(kParseVersion, "parse.version", kDrop) \
    X(kParseHeader, "parse.header", kDrop)                  /* extension header chain or IPv4 options malformed or too long */ \
    X(kParseChecksum, "parse.checksum", kDrop)              /* IPv4 header checksum */ \
    X(kParseSource, "parse.source", kDrop)                  /* source multicast, loopback or unspecified where illegal */ \
    X(kForwardTtl, "forward.ttl", kDrop) \
    X(kForwardNoRoute, "forward.no_route", kDrop) \
    X(kForwardBlackhole, "forward.blackhole", kDrop) \
    X(kForwardUnreachable, "forward.unreachable", kDrop) \
    X(kForwardTooBig, "forward.too_big", kDrop) \
    X(kForwardScope, "forward.scope", kDrop)                /* link-local or multicast packet that may not be forwarded */ \
    X(kForwardUnresolvedFull, "forward.unresolved", kDrop)  /* next hop unresolved and the kernel took no more */ \
    X(kTunOutNoBinding, "tun.out.no_binding", kDrop) \
    X(kTunOutLoop, "tun.out.loop", kDrop) \
    X(kTunOutTtl, "tun.out.ttl", kDrop) \
    X(kTunOutPtb, "tun.out.ptb", kDrop) \
    X(kTunOutFragFail, "tun.out.frag_fail", kDrop) \
    X(kTunInEcnDrop, "tun.in.ecn_drop", kDrop) \
    X(kTunInMalformed, "tun.in.malformed", kDrop) \
    X(kTunInBadInnerSource, "tun.in.bad_inner_src", kDrop) \
    X(kTunInUnknown, "tun.in.unknown", kDrop) \
    X(kMip6OutLinkLocal, "mip6.out.linklocal", kDrop) \
    X(kMip6OutMulticastScope, "mip6.out.mcast_scope", kDrop) \
    X(kMip6RtNoBinding, "mip6.rt.no_binding", kDrop) \
    X(kMip6RtBadSource, "mip6.rt.bad_src", kDrop) \
    X(kMip6RtInnerSource, "mip6.rt.inner_src", kDrop) \
    X(kMip6RtNeedEsp, "mip6.rt.need_esp", kDrop) \
    X(kMip6RtEspSource, "mip6.rt.esp_src", kDrop)           /* payload under ESP, not from the care-of address: policy check_esp_outer is drop */ \
    X(kMip6HaoBad, "mip6.hao.bad", kDrop) \
    X(kMip6HaoNoBinding, "mip6.hao.no_bce", kDrop) \
    X(kMip6HaoBusy, "mip6.hao.busy", kDrop)                 /* more than the queue depth of S1.66 wait for one home address */ \
    X(kMip6Rh2Bad, "mip6.rh2.bad", kDrop) \
    X(kMip6NoReplyTo, "mip6.ba.no_reply_to", kDrop)         /* a reply for a home address with neither reply-to nor binding */ \
    X(kDsmipInBadOuter, "dsmip.in.bad_outer", kDrop)        /* outer IPv4 source or port is not the binding's */ \
    X(kDsmipInBadVersion, "dsmip.in.bad_version", kDrop)    /* UDP 4191: neither IPv4 nor IPv6 inside */ \
    X(kDsmipInShort, "dsmip.in.short", kDrop)               /* UDP 4191: nothing inside, or less than the length says */ \
    X(kDsmipInChecksum, "dsmip.in.cksum", kDrop)            /* UDP checksum, where there is one */ \
    X(kDsmipInNatLockFull, "dsmip.in.nat_lock_full", kDrop) \
    X(kDsmipInNatPendingFull, "dsmip.in.nat_pending_full", kDrop) \
    X(kDsmipOutNo4500Mapping, "dsmip.out.no_4500_mapping", kDrop) \
    X(kUdp4500Keepalive, "udp4500.keepalive", kDelivered) \
    X(kUdp4500Bad, "udp4500.bad", kDrop) \
    X(kUdp4500Ike, "udp4500.ike", kEvent)                   /* given to the kernel's IKE daemon */ \
    X(kUdp4500Esp, "udp4500.esp", kEvent) \
    X(kMip4UnknownType, "mip4.unknown_type", kDrop)         /* UDP 434: no message of Mobile IPv4 */ \
    X(kMip4RrqPoliced, "mip4.rrq.policed", kDrop)           /* more than the control plane takes */ \
    X(kMip4RrqSource, "mip4.rrq.source_policed", kDrop)     /* more than it takes of one source */ \
    X(kMip4RrqChecksum, "mip4.rrq.cksum", kDrop)            /* UDP checksum, where there is one */ \
    X(kMip4RtNoBinding, "mip4.rt.no_binding", kDrop)        /* reverse tunnel: not the home address and care-of address of a binding */ \
    X(kMip4RtBadMode, "mip4.rt.bad_mode", kDrop)            /* reverse tunnel: another encapsulation than the binding's, or T was not granted */ \
    X(kMip4UdpBadOuter, "mip4.udp.bad_outer", kDrop)        /* tunnel data: outer addresses or ports are not the binding's */ \
    X(kMip4UdpBadNextHeader, "mip4.udp.bad_nh", kDrop)      /* tunnel data: next header is not the binding's */ \
    X(kMip4UdpMalformed, "mip4.udp.malformed", kDrop)       /* tunnel data: too short, or its UDP checksum is wrong */ \
    X(kMip4UdpHalfBound, "mip4.udp.half_bound", kDrop)      /* to a node whose end of the tunnel is not known yet */ \
    X(kMip4BroadcastLimit, "mip4.broadcast.limit", kDrop)   /* broadcasts of the home link: more than are forwarded */ \
    X(kGreBadFlags, "gre.bad_flags", kDrop) \
    X(kGreVersion, "gre.version", kDrop) \
    X(kGreProtocol, "gre.proto", kDrop) \
    X(kGreChecksum, "gre.cksum", kDrop) \
    X(kGreLoop, "gre.loop", kDrop) \
    X(kMinimalChecksum, "minenc.cksum", kDrop) \
    X(kMinimalLength, "minenc.len", kDrop) \
    X(kVpnInBadSource, "vpn.in.bad_source", kDrop)          /* out of a client's SA, but not from its inner address */ \
    X(kVpnOutNoPort, "vpn.out.no_port", kDrop)              /* ESP in UDP 4500 is demanded and the client's port is not known */ \
    X(kMip4Keepalive, "mip4.keepalive", kEvent)             /* answered through the UDP tunnel */ \
    X(kMip4Copies, "mip4.copies", kEvent)                   /* for a second and further care-of address */ \
    X(kMip4Broadcasts, "mip4.broadcasts", kEvent)           /* copies of broadcasts for nodes with flag B */ \
    X(kMip4ReverseBroadcasts, "mip4.rt.broadcasts", kEvent) /* out of a reverse tunnel, to all on the home link */ \
    X(kMip4TunnelBroken, "mip4.tun.unreachable", kDrop)     /* a copy, to tell the sender that the tunnel's end is said to be unreachable; the packet went on */ \
    X(kMinimalFallback, "minenc.frag_fallback", kEvent)     /* a fragment, so IP in IP instead */ \
    X(kMip4TunIn, "mip4.tun.in", kEvent)                    /* out of a tunnel of a plain home agent */ \
    X(kMip4TunOut, "mip4.tun.out", kEvent) \
    X(kInternalTunIn, "iha.tun.in", kEvent)                 /* the same of the internal one */ \
    X(kInternalTunOut, "iha.tun.out", kEvent) \
    X(kExternalTunIn, "xha.tun.in", kEvent)                 /* of the external one */ \
    X(kExternalTunOut, "xha.tun.out", kEvent) \
    X(kVpnIn, "vpn.in", kEvent)                             /* out of a VPN client's SA */ \
    X(kVpnOut, "vpn.out", kEvent)                           /* into it */ \
    X(kVpnTranslated, "vpn.translated", kEvent)             /* inner address replaced, either way */ \
    X(kVpnMoved, "vpn.moved", kEvent)                       /* a valid packet came from another outer address or port */ \
    X(kVpnPathMtu, "vpn.path_mtu", kEvent)                  /* an ICMP error said that less gets to a client than was known */ \
    X(kArpProxy, "arp.proxy", kEvent)                       /* request for a bound address answered */ \
    X(kIpsecInNoSa, "ipsec.in.no_sa", kDrop) \
    X(kIpsecInReplay, "ipsec.in.replay", kDrop) \
    X(kIpsecInIcv, "ipsec.in.icv", kDrop) \
    X(kIpsecInPadding, "ipsec.in.padding", kDrop) \
    X(kIpsecInDummy, "ipsec.in.dummy", kDelivered) \
    X(kIpsecInSelectorMismatch, "ipsec.in.selector_mismatch", kDrop) \
    X(kIpsecInPolicy, "ipsec.in.policy", kDrop) \
    X(kIpsecInFragment, "ipsec.in.fragment", kDrop) \
    X(kIpsecInMalformed, "ipsec.in.malformed", kDrop) \
    X(kIpsecInDiscard, "ipsec.in.discard", kDrop) \
    X(kIpsecOutDiscard, "ipsec.out.discard", kDrop) \
    X(kIpsecOutNoSa, "ipsec.out.no_sa", kDrop) \
    X(kIpsecOutSequenceOverflow, "ipsec.out.seq_overflow", kDrop) \
    X(kIpsecOutTooBig, "ipsec.out.too_big", kDrop) \
    X(kIpsecOutMalformed, "ipsec.out.malformed", kDrop) \
    X(kReassemblyTimeout, "reasm.timeout", kDrop) \
    X(kReassemblyOverlap, "reasm.overlap", kDrop) \
    X(kReassemblyLimit, "reasm.limit", kDrop) \
    X(kReassemblyMalformed, "reasm.malformed", kDrop) \
    X(kIcmpRelayShort, "icmp.relay_short", kDrop) \
    X(kIpsecInOk, "ipsec.in.ok", kEvent) \
    X(kIpsecInBypass, "ipsec.in.bypass", kEvent) \
    X(kIpsecOutProtect, "ipsec.out.protect", kEvent) \
    X(kIpsecOutBypass, "ipsec.out.bypass", kEvent) \
    X(kReassemblyOk, "reasm.ok", kEvent) \
    X(kIcmpSent, "icmp.sent", kEvent) \
    X(kIcmpRateLimited, "icmp.ratelimited", kEvent) \
    X(kIcmpRelayed, "icmp.relayed", kEvent) \
    X(kNdProxy, "nd.proxy", kEvent)                         /* solicitation for a bound address answered */ \
    X(kNdNaSent, "nd.na_sent", kEvent) \
    X(kTunOutEncapsulated, "tun.out.ok", kEvent) \
    X(kTunInDecapsulated, "tun.in.ok", kEvent) \
    X(kTunOutFragmented, "tun.out.fragmented", kEvent) \
    X(kHaoUndone, "mip6.hao.ok", kEvent) \
    X(kRh2Inserted, "mip6.rh2.sent", kEvent) \
    X(kTunOutSpiAsked, "tun.out.spi.asked", kEvent)         /* technique api: questions to IPsec */ \
    X(kTunOutSpiTimeout, "tun.out.spi.timeout", kEvent)     /* technique heuristic: a message was not seen */ \
    X(kTunOutSpiMismatch, "tun.out.spi.mismatch", kEvent)   /* technique heuristic: data taken for a message */ \
    X(kTunOutSpiFull, "tun.out.spi.full", kEvent)           /* technique heuristic: too many messages at once */ \
    X(kMip6RtEspSourceSeen, "mip6.rt.esp_src_seen", kEvent) /* the same with check_esp_outer log: it goes on */ \
    X(kIcmpTooBigIgnored, "icmp.ptb_ignored", kEvent)       /* Packet Too Big without ESP, while policy believe_packet_too_big is off */ \
    X(kIcmpTooBigForeign, "icmp.ptb_foreign", kEvent)       /* Packet Too Big about ESP that goes there by no SA of ours */ \
    X(kTunOutRewritten, "tun.out.rewritten", kEvent)        /* P3: sealed, destination changed to the care-of address */ \
    X(kUnresolvedToKernel, "forward.unresolved_to_kernel", kEvent) \
    X(kHandoverSent, "handover.sent", kEvent)               /* given to the worker that owns the SA */ \
    X(kHandoverSignalling, "handover.signalling", kEvent)   /* of these: signalling */ \
    X(kSignallingFirst, "signalling.first", kEvent)         /* signalling that passed data of its own receive queue */
// clang-format on

enum class Counter : std::uint16_t {
#define HOMEPORT_COUNTER_ENUM(id, name, kind) id,
    HOMEPORT_COUNTERS(HOMEPORT_COUNTER_ENUM)
#undef HOMEPORT_COUNTER_ENUM
        kCount
};

inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::kCount);

struct CounterDescription {
    std::string_view name;
    CounterKind kind;
};

inline constexpr std::array<CounterDescription, kCounterCount> kCounters{{
#define HOMEPORT_COUNTER_ROW(id, name, kind) {name, CounterKind::kind},
    HOMEPORT_COUNTERS(HOMEPORT_COUNTER_ROW)
#undef HOMEPORT_COUNTER_ROW
}};

constexpr std::string_view name_of(Counter counter) {
    return kCounters[static_cast<std::size_t>(counter)].name;
}
constexpr CounterKind kind_of(Counter counter) {
    return kCounters[static_cast<std::size_t>(counter)].kind;
}

}  // namespace homeport::channel
