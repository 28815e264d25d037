// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/worker.hpp"

#include <rte_mbuf_dyn.h>

#include <cstddef>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::stage {

bool register_packet_meta() {
    static constexpr rte_mbuf_dynfield kField{.name = "homeport_packet_meta",
                                              .size = sizeof(PacketMeta),
                                              .align = alignof(PacketMeta),
                                              .flags = 0};
    return rte_mbuf_dynfield_register_offset(&kField, kMetaOffset) >= 0;
}

void finish_checksums(rte_mbuf* packet) {
    if ((packet->ol_flags & kLeftToTx) == 0) return;
    std::uint8_t* const ip = data(packet);
    if ((packet->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0) {
        auto* const header = reinterpret_cast<Ipv4Header*>(ip);
        header->checksum = {};
        header->checksum = Be16(internet_checksum({ip, packet->l3_len}));
    }
    if ((packet->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM) {
        // The sum of the pseudo-header stands in the field; 0 would mean that there is none.
        std::uint8_t* const udp = ip + packet->l3_len;
        const std::uint16_t length = load_be16(udp + offsetof(UdpHeader, length));
        const std::uint16_t checksum = internet_checksum({udp, length});
        store_be16(udp + offsetof(UdpHeader, checksum),
                   checksum == 0 ? std::uint16_t{0xffff} : checksum);
    }
    packet->ol_flags &=
        ~(RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
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
