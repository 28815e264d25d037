// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/reassembler.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/forward/stages.hpp"
#include "dataplane/parse/header_walk.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::StageId;
using stage::Worker;

enum class ReassembleEdge : std::uint8_t { kParse, kIcmpError };

/// Fragments of one datagram come by any queue and port; they meet in the worker that addresses and
/// identification name.
unsigned meeting_worker(const Worker& worker, rte_mbuf* packet, const parse::Headers& headers) {
    const std::uint8_t* const ip = stage::data(packet);
    const bool is_ipv6 = headers.family == 6;
    const std::size_t first = is_ipv6 ? offsetof(Ipv6Header, source) : offsetof(Ipv4Header, source);
    const std::size_t octets = is_ipv6 ? 2 * sizeof(Ipv6Address) : 2 * sizeof(Ipv4Address);
    std::uint32_t mix = headers.identification;
    for (std::size_t at = first; at < first + octets; at += 4) {
        mix = (mix ^ load_be32(ip + at)) * 0x9e3779b1u;
        mix ^= mix >> 15;
    }
    return mix % worker.worker_count;
}

void take(Worker& worker, rte_mbuf* packet, Edges& out) {
    parse::Headers headers;
    if (worker.reassembler == nullptr ||
        parse::walk(bytes_of(packet), headers) != parse::Error::kNone ||
        !headers.has(parse::kFragment)) {
        out.drop(packet, Counter::kReassemblyMalformed);
        return;
    }
    if (worker.worker_count > 1) {
        const unsigned meeting = meeting_worker(worker, packet, headers);
        if (meeting != worker.index) return out.hand_over(packet, meeting, StageId::kReassemble);
    }
    out.kept(packet, "reassembly");
    const Reassembler::Result result = worker.reassembler->add(worker, packet, headers);
    switch (result.outcome) {
        case Reassembler::Outcome::kKept:
            return;
        case Reassembler::Outcome::kComplete:
            out.to(ReassembleEdge::kParse, result.packet);
            return;
        case Reassembler::Outcome::kDropped:
            out.drop(packet, result.counter);
            return;
        case Reassembler::Outcome::kMalformed:
            break;
    }
    if (headers.family != 6) {
        out.drop(packet, result.counter);
        return;
    }
    note_icmp_error(packet, {stage::IcmpErrorKind::kParameterProblem, 0, result.pointer},
                    result.counter);
    out.to(ReassembleEdge::kIcmpError, packet);
}

void reassemble(Worker& worker, Batch& in, Edges& out) {
    if (worker.reassembler != nullptr && worker.reassembler->due(worker.now_tsc)) {
        std::array<rte_mbuf*, stage::kBatchSize> expired;
        const unsigned count = worker.reassembler->expire(worker, worker.now_tsc, expired);
        for (unsigned i = 0; i < count; ++i) out.to(ReassembleEdge::kIcmpError, expired[i]);
    }
    for (unsigned i = 0; i < in.count; ++i) take(worker, in.packets[i], out);
}

}  // namespace

const stage::StageDescription kReassembleStage{
    .id = StageId::kReassemble,
    .name = "reassemble",
    .function = reassemble,
    .edges = {{{"parse", StageId::kParse}, {"icmp-error", StageId::kIcmpError}}},
    .edge_count = 2,
};

}  // namespace homeport::forward
