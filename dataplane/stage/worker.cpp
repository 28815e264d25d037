// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/worker.hpp"

#include <rte_mbuf_dyn.h>

namespace homeport::stage {

int g_meta_offset = -1;

bool register_packet_meta() {
    static constexpr rte_mbuf_dynfield kField{.name = "homeport_packet_meta",
                                              .size = sizeof(PacketMeta),
                                              .align = alignof(PacketMeta),
                                              .flags = 0};
    g_meta_offset = rte_mbuf_dynfield_register(&kField);
    return g_meta_offset >= 0;
}

void Policer::configure(std::uint64_t per_second, std::uint64_t burst, std::uint64_t tsc_hz) {
    cycles_per_token_ = per_second == 0 ? 0 : tsc_hz / per_second;
    if (per_second != 0 && cycles_per_token_ == 0) cycles_per_token_ = 1;
    burst_cycles_ = burst * cycles_per_token_;
    credit_cycles_ = burst_cycles_;
    last_tsc_ = 0;
}

bool Policer::take(std::uint64_t now_tsc) {
    if (cycles_per_token_ == 0) return false;
    if (now_tsc > last_tsc_) {
        const std::uint64_t passed = now_tsc - last_tsc_;
        const std::uint64_t missing = burst_cycles_ - credit_cycles_;
        credit_cycles_ = passed >= missing ? burst_cycles_ : credit_cycles_ + passed;
        last_tsc_ = now_tsc;
    }
    if (credit_cycles_ < cycles_per_token_) return false;
    credit_cycles_ -= cycles_per_token_;
    return true;
}

}  // namespace homeport::stage
