// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/counters.hpp"

namespace homeport::mip6 {

std::string_view name(Counter counter) {
    switch (counter) {
        case Counter::kIpsecInPolicy:
            return "ipsec.in.policy";
        case Counter::kMhChecksum:
            return "mip6.mh.cksum";
        case Counter::kMhType:
            return "mip6.mh.type";
        case Counter::kMhProto:
            return "mip6.mh.proto";
        case Counter::kMhLength:
            return "mip6.mh.len";
        case Counter::kMhUnserved:
            return "mip6.mh.unserved";
        case Counter::kMhPacket:
            return "mip6.mh.packet";
        case Counter::kBuMalformed:
            return "mip6.bu.malformed";
        case Counter::kBuHomeFlagClear:
            return "mip6.bu.h0";
        case Counter::kBuProxy:
            return "mip6.bu.proxy";
        case Counter::kBuNoAlternateCoa:
            return "mip6.bu.no_acoa";
        case Counter::kBuSourceNotUnicast:
            return "mip6.bu.src_not_unicast";
        case Counter::kBuRateLimitedNode:
            return "mip6.bu.limited_node";
        case Counter::kBuRateLimitedAll:
            return "mip6.bu.limited_all";
        case Counter::kBuRateLimitedSource:
            return "mip6.bu.limited_source";
        case Counter::kBuOverload:
            return "mip6.bu.overload";
        case Counter::kBuPending:
            return "mip6.bu.pending";
        case Counter::kBuAccepted:
            return "mip6.bu.accepted";
        case Counter::kBuRejected:
            return "mip6.bu.rejected_<status>";
        case Counter::kBindingErrorSent:
            return "mip6.be.sent";
        case Counter::kBindingErrorLimited:
            return "mip6.be.ratelimited";
        case Counter::kIcmpSent:
            return "icmp.sent";
        case Counter::kIcmpRateLimited:
            return "icmp.ratelimited";
        case Counter::kDhaadReplied:
            return "mip6.dhaad.replied";
        case Counter::kDhaadRateLimited:
            return "mip6.dhaad.ratelimited";
        case Counter::kDhaadBad:
            return "mip6.dhaad.bad";
        case Counter::kMpsUnserved:
            return "mip6.mps.unserved";
        case Counter::kMpsBad:
            return "mip6.mps.bad";
        case Counter::kMpsRateLimited:
            return "mip6.mps.ratelimited";
        case Counter::kMpaSent:
            return "mip6.mpa.sent";
        case Counter::kIcmpUnserved:
            return "mip6.icmp.unserved";
        case Counter::kNdNaSent:
            return "nd.na_sent";
        case Counter::kNdDadFail:
            return "nd.dad_fail";
        case Counter::kNdDadLost:
            return "nd.dad_lost";
        case Counter::kBindingCreated:
            return "binding.created";
        case Counter::kBindingUpdated:
            return "binding.updated";
        case Counter::kBindingDeleted:
            return "binding.deleted";
        case Counter::kBindingExpired:
            return "binding.expired";
        case Counter::kBindingSourceChanged:
            return "binding.source_changed";
        case Counter::kBindingMappingTaken:
            return "binding.mapping_taken";
        case Counter::kBindingRestored:
            return "binding.restored";
        case Counter::kBindingNotRestored:
            return "binding.not_restored";
        case Counter::kNatYes:
            return "dsmip.in.nat_yes";
        case Counter::kNatNo:
            return "dsmip.in.nat_no";
        case Counter::kForcedUdp:
            return "dsmip.out.forced_udp";
        case Counter::kArpGratuitous:
            return "arp.gratuitous";
        case Counter::kCount:
            break;
    }
    return "";
}

}  // namespace homeport::mip6
