// SPDX-License-Identifier: BSD-3-Clause
// Everything that the stages of one worker core use. One thread, no sharing but by the tables
// (read-only here) and the rings.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <cstdint>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/channel/statistics.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::ipsec {
class Processor;
class Queries;
}  // namespace homeport::ipsec
namespace homeport::forward {
class Reassembler;
}
namespace homeport::table {
class RouteCache;
struct Tables;
}  // namespace homeport::table
namespace homeport::tunnel {
class PayloadOwners;
class ReplyToTable;
class SignallingSpis;
struct SignallingPolicies;
}  // namespace homeport::tunnel

namespace homeport::stage {

class SendQueues;

/// Token bucket on the TSC. Not shared between threads.
class Policer {
  public:
    /// `burst` tokens at most; `per_second` of them come back a second.
    void configure(std::uint64_t per_second, std::uint64_t burst, std::uint64_t tsc_hz);
    [[nodiscard]] bool take(std::uint64_t now_tsc);

  private:
    std::uint64_t cycles_per_token_ = 0;
    std::uint64_t burst_cycles_ = 0;
    std::uint64_t credit_cycles_ = 0;
    std::uint64_t last_tsc_ = 0;
};

class SourcePolicers;

/// What a worker asks of the main lcore, the only writer of the tables.
struct MainRequest {
    enum class Kind : std::uint8_t {
        kPathMtu,
        kSealedPathMtu,
        kTunnelPathMtu,
        kTunnelUnreachable,
        kEspSource,
        kEspMapping,
    } kind{};
    std::uint8_t dropped = 0;  // kEspSource: the packet was
    /// kEspMapping; the others but kEspSource: UDP destination port, 0: not in UDP. Host order.
    std::uint16_t port = 0;
    /// kPathMtu: home address of the binding concerned (IPv4 ones in v4-mapped form).
    /// kSealedPathMtu: the address that the SA's packets go to.
    /// kTunnelPathMtu, kTunnelUnreachable: the care-of address, v4-mapped; too little was quoted to
    /// say whose.
    /// kEspSource: whose SA the packet came by.
    /// kEspMapping: of the binding whose node's ESP comes from `source` and `port`.
    Ipv6Address home_address;
    std::uint32_t mtu = 0;  // octets towards the care-of address
    std::uint32_t spi = 0;  // kSealedPathMtu: of the outbound SA; kEspSource: of the inbound one
    Ipv6Address source;     // kEspSource, kEspMapping: of the outer header, v4-mapped for IPv4
};

/// A port as the stages see it. Rewritten by the main lcore only while no worker runs.
struct PortView {
    MacAddress mac;
    std::uint16_t mtu = 1500;  // octets of IP packet
    std::uint8_t in_use = 0;
    std::uint8_t tx_ipv4_checksum = 0;  // offloads available
    std::uint8_t tx_udp_checksum = 0;
    std::uint8_t rx_ipv4_checksum = 0;
    rte_ring* to_kernel = nullptr;  // frames for the exception TAP, read by the main lcore
};

/// Starts a cache line of its own and fills its last one: nothing that another thread writes is
/// beside it.
struct alignas(kCacheLine) Worker {
    unsigned index = 0;
    unsigned lcore = 0;
    unsigned worker_count = 1;
    const table::Tables* tables = nullptr;
    table::RouteCache* route_cache = nullptr;  // this worker's own; null: none
    ipsec::Processor* esp = nullptr;           // this worker's own
    const ipsec::Queries* ipsec_queries = nullptr;
    bool ipsec_copy_mode = false;      // S1.9: a fresh buffer at both edges of IPsec
    bool ipsec_keeps_packets = false;  // it may give one back in a later run (S1.66); ours does not
    /// SPD entries whose SAs carry signalling (S1.18); swapped with the SPD under RCU. Null: none.
    const tunnel::SignallingPolicies* signalling = nullptr;
    tunnel::SignallingSpis* signalling_spis = nullptr;
    tunnel::ReplyToTable* reply_to = nullptr;
    tunnel::PayloadOwners* payload_owners = nullptr;
    SendQueues* send_queues = nullptr;  // this worker's own
    forward::Reassembler* reassembler = nullptr;
    const channel::ParametersSet* parameters = nullptr;  // swapped by the main lcore under RCU
    std::array<PortView, channel::kMaxPorts> ports{};

    rte_mempool* pool = nullptr;        // for packets made here
    rte_mempool* jumbo_pool = nullptr;  // reassembled packets, up to channel::kMaxPacket octets

    bool wakes_main = false;  // set by whoever gives the main lcore something; cleared by the loop
    rte_ring* to_control = nullptr;  // mbufs for the event ring, read by the main lcore
    rte_ring* to_main = nullptr;     // MainRequest elements (rte_ring_elem)
    std::array<rte_ring*, RTE_MAX_LCORE> to_worker{};             // hand-over, by worker index
    std::array<rte_ring*, RTE_MAX_LCORE> signalling_to_worker{};  // the same, of kMetaSignalling

    std::uint64_t* counters = nullptr;  // channel::kCounterCount words, written here alone
    channel::BindingRow* binding_rows = nullptr;  // this worker's rows; null: not counted
    std::uint64_t* adjacency_packets = nullptr;   // by adjacency index

    Policer icmp_policer;
    Policer control_policer;         // of what anybody can send
    Policer sealed_control_policer;  // of what came by an SA
    Policer known_control_policer;   // of Mobile IPv4 messages from where their binding says
    SourcePolicers* mip4_sources = nullptr;  // of Mobile IPv4 messages; null: no limit
    Policer kernel_policer;
    Policer report_policer;            // of what is told for the log
    Policer broadcast_policer;         // of copies of broadcasts for mobile nodes (P29)
    std::uint64_t now_tsc = 0;         // at the start of the batch
    std::uint32_t identification = 0;  // IPv4/fragment identification source

    void count(channel::Counter counter, std::uint64_t n = 1) {
        std::uint64_t& word = counters[static_cast<std::size_t>(counter)];
        __atomic_store_n(&word, word + n, __ATOMIC_RELAXED);
    }
};
static_assert(kFillsLines<Worker>);

/// Checksums that a stage left to the port that the packet leaves by (port/tx_stage.hpp).
inline constexpr std::uint64_t kLeftToTx = RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM;

/// Puts them into `packet`, which begins with its IP header. For everything but sending it.
void finish_checksums(rte_mbuf* packet);

}  // namespace homeport::stage
