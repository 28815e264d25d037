// SPDX-License-Identifier: BSD-3-Clause
// The statistics region: written by the data plane, mapped read-only by everyone else. It tells its
// own layout, so that a reader needs no knowledge of the writer's counters or stages.
//
//   StatisticsHeader
//   NameRow[counter_count]            names of the counters
//   NameRow[stage_count]              names of the stages
//   NameRow[edge_count]               names of all stages' edges, "stage.edge"
//   per worker, each 64-byte aligned: uint64_t[counter_count], StageRow[stage_count],
//                                     uint64_t[edge_count], WorkerRow
//   PortRow[kMaxPorts]                written by the main lcore once a second
//   AdjacencyRow[adjacency_count]     the same
//   SaRow[sa_count]                   the same
//   PolicyRow[policy_count]           the same
//   BindingRow[worker_count][binding_count]
//
// Words are 64 bits, written with relaxed atomic stores by one thread each: a reader sees no torn
// word. Rows that must be read as one carry a sequence in the lowest 16 bits
// of their first word (odd while being written).
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/channel/messages.hpp"

namespace homeport::channel {

struct NameRow {
    char name[48] = {};
    std::uint8_t kind = 0;  // CounterKind for counters
    std::uint8_t reserved[15] = {};
};
static_assert(sizeof(NameRow) == 64);

struct StageRow {
    std::uint64_t calls = 0;
    std::uint64_t packets = 0;
    std::uint64_t cycles = 0;  // TSC cycles
    std::uint64_t reserved = 0;
};

struct WorkerRow {
    std::uint64_t lcore = 0;
    std::uint64_t polls = 0;
    std::uint64_t empty_polls = 0;
    std::uint64_t sleeps = 0;
    std::uint64_t busy_cycles = 0;
    std::uint64_t handed_over = 0;
    std::uint64_t reserved[2] = {};
};
static_assert(sizeof(WorkerRow) == 64);

struct PortRow {
    std::uint64_t sequence = 0;
    std::uint64_t in_use = 0;
    std::uint64_t rx_packets = 0, tx_packets = 0, rx_bytes = 0, tx_bytes = 0;
    std::uint64_t rx_missed = 0, rx_errors = 0, tx_errors = 0, rx_no_buffer = 0;
    std::uint64_t kernel_rx = 0, kernel_tx = 0;  // frames over the exception TAP
    std::uint64_t reserved[4] = {};
};
static_assert(sizeof(PortRow) == 128);

struct AdjacencyRow {
    std::uint64_t sequence = 0;
    WireAddress next_hop;
    MacAddress mac;
    std::uint16_t port = kNoPort;
    std::uint8_t in_use = 0;
    std::uint8_t resolved = 0;
    std::uint8_t reserved[6] = {};
    std::uint64_t packets = 0;  // forwarded over it; lets the control plane keep it fresh
    std::uint64_t reserved2 = 0;
};
static_assert(sizeof(AdjacencyRow) == 64);

enum SaRowState : std::uint8_t { kSaSoftExpired = 1, kSaHardExpired = 2 };

/// There are two for each mobile node, so members are as narrow as they can be.
struct SaRow {
    static constexpr std::uint32_t kNoLimit = 0xffff'ffff;

    std::uint16_t sequence = 0;
    std::uint8_t in_use : 1 = 0;
    std::uint8_t direction : 1 = 0;    // SaDirection
    std::uint8_t peer_family : 4 = 0;  // as in WireAddress
    std::uint8_t state : 2 = 0;        // SaRowState
    std::uint8_t owner_worker = 0;
    std::uint32_t spi = 0;
    std::array<std::uint8_t, 16> peer{};
    std::uint64_t packets = 0, bytes = 0;
    std::uint64_t highest_sequence = 0;
    std::uint32_t errors = 0;               // stays at its highest value
    std::uint32_t seconds_left = kNoLimit;  // until the hard lifetime
};
static_assert(sizeof(SaRow) == 56);

/// An entry of the SPD and the packets that it decided about, since the data plane started: sealed,
/// opened, passed or discarded. Octets are those of the packet without ESP.
struct PolicyRow {
    std::uint64_t sequence = 0;
    std::uint16_t policy_id = 0;
    std::uint8_t in_use = 0;
    std::uint8_t reserved[5] = {};
    std::uint64_t in_packets = 0, in_bytes = 0;
    std::uint64_t out_packets = 0, out_bytes = 0;
    std::uint64_t reserved2[2] = {};
};
static_assert(sizeof(PolicyRow) == 64);

struct BindingRow {
    std::uint64_t out_packets = 0, out_bytes = 0;
    std::uint64_t in_packets = 0, in_bytes = 0;
};
static_assert(sizeof(BindingRow) == 32);

struct StatisticsHeader {
    std::uint32_t magic = kMagic;
    std::uint32_t abi_version = kAbiVersion;
    std::uint64_t size = 0;  // octets of the region
    std::uint64_t tsc_hz = 0;
    std::uint64_t started_unix_seconds = 0;
    std::uint64_t heartbeat = 0;  // rises while the main lcore lives, at least ten times a second
    std::uint32_t counter_count = 0, stage_count = 0, edge_count = 0, worker_count = 0;
    std::uint32_t adjacency_count = 0, sa_count = 0, binding_count = 0, port_count = 0;
    std::uint32_t policy_count = 0, reserved = 0;
    std::uint64_t counter_names = 0, stage_names = 0, edge_names = 0;  // offsets into the region
    std::uint64_t workers = 0, worker_stride = 0;
    std::uint64_t ports = 0, adjacencies = 0, sas = 0, policies = 0, bindings = 0;
    std::uint64_t worker_stages = 0, worker_edges = 0, worker_row = 0;  // offsets into a worker
    std::uint64_t current_bindings = 0, current_sas = 0, current_routes = 0,
                  current_adjacencies = 0;
    std::uint64_t mbufs_in_use = 0, mbufs_total = 0;
    std::uint64_t fast_path_ready = 0;  // 1 once the first sync ended
};

}  // namespace homeport::channel
