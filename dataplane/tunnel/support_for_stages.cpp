// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/support_for_stages.hpp"

#include <cstring>

namespace homeport::tunnel {

using channel::Counter;

Counter counter_of(parse::Error error) {
    switch (error) {
        case parse::Error::kVersion:
            return Counter::kParseVersion;
        case parse::Error::kHeader:
            return Counter::kParseHeader;
        case parse::Error::kChecksum:
            return Counter::kParseChecksum;
        case parse::Error::kSource:
            return Counter::kParseSource;
        case parse::Error::kNone:
        case parse::Error::kTruncated:
            break;
    }
    return Counter::kParseTruncated;
}

Counter counter_of(ipsec::Verdict verdict) {
    using ipsec::Verdict;
    switch (verdict) {
        case Verdict::kOutProtect:
            return Counter::kIpsecOutProtect;
        case Verdict::kOutBypass:
            return Counter::kIpsecOutBypass;
        case Verdict::kOutDiscard:
            return Counter::kIpsecOutDiscard;
        case Verdict::kOutNoSa:
            return Counter::kIpsecOutNoSa;
        case Verdict::kOutSeqOverflow:
            return Counter::kIpsecOutSequenceOverflow;
        case Verdict::kOutTooBig:
            return Counter::kIpsecOutTooBig;
        case Verdict::kInOk:
            return Counter::kIpsecInOk;
        case Verdict::kInNoSa:
            return Counter::kIpsecInNoSa;
        case Verdict::kInReplay:
            return Counter::kIpsecInReplay;
        case Verdict::kInIcv:
            return Counter::kIpsecInIcv;
        case Verdict::kInPadding:
            return Counter::kIpsecInPadding;
        case Verdict::kInDummy:
            return Counter::kIpsecInDummy;
        case Verdict::kInSelectorMismatch:
            return Counter::kIpsecInSelectorMismatch;
        case Verdict::kInPolicy:
            return Counter::kIpsecInPolicy;
        case Verdict::kInFragment:
            return Counter::kIpsecInFragment;
        case Verdict::kInMalformed:
            return Counter::kIpsecInMalformed;
        case Verdict::kInBypass:
            return Counter::kIpsecInBypass;
        case Verdict::kInDiscard:
            return Counter::kIpsecInDiscard;
    }
    return Counter::kIpsecInMalformed;
}

rte_mbuf* into_fresh_buffer(const stage::Worker& worker, rte_mbuf* packet) {
    const std::uint16_t length = stage::length(packet);
    rte_mempool* const pool = length + RTE_PKTMBUF_HEADROOM + ipsec::kMaxTailroomNeeded <=
                                      rte_pktmbuf_data_room_size(worker.pool)
                                  ? worker.pool
                                  : worker.jumbo_pool;
    rte_mbuf* const fresh = pool == nullptr ? nullptr : rte_pktmbuf_alloc(pool);
    if (fresh == nullptr) return nullptr;
    if (rte_pktmbuf_tailroom(fresh) < length) {
        rte_pktmbuf_free(fresh);
        return nullptr;
    }
    std::memcpy(rte_pktmbuf_append(fresh, length), stage::data(packet), length);
    const stage::PacketMeta old = stage::meta(packet);
    stage::PacketMeta& notes = stage::init_meta(fresh);
    notes.passes = old.passes;
    notes.trace = old.trace;
    notes.trace_step = old.trace_step;
    rte_pktmbuf_free(packet);
    return fresh;
}

bool renew_notes(rte_mbuf* packet) {
    parse::Headers headers;
    if (parse::walk(bytes_of(packet), headers, parse::Checksum::kVerified) != parse::Error::kNone) {
        return false;
    }
    stage::PacketMeta& notes = stage::meta(packet);
    notes.family = headers.family;
    notes.protocol = headers.protocol;
    notes.upper_offset = headers.upper_offset;
    return true;
}

}  // namespace homeport::tunnel
