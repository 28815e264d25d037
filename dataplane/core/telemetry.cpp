// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/telemetry.hpp"

#include <rte_telemetry.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

namespace homeport::core {

namespace {

// DPDK's telemetry calls functions without an argument of ours, from its own thread.
std::mutex g_lock;
const channel::StatisticsWriter* g_statistics = nullptr;
const std::vector<std::unique_ptr<PortContext>>* g_ports = nullptr;

template <class T>
const T* at(std::uint64_t offset) {
    return reinterpret_cast<const T*>(g_statistics->region().bytes().data() + offset);
}

std::uint64_t word(const std::uint64_t& value) {
    return __atomic_load_n(&value, __ATOMIC_RELAXED);
}

/// Offset of worker `worker`'s block.
std::uint64_t block(std::uint32_t worker) {
    const channel::StatisticsHeader& layout = g_statistics->layout();
    return layout.workers + layout.worker_stride * worker;
}

/// DPDK takes letters, digits, '_' and '/': "rx.port" becomes "rx/port".
std::string name_for_dpdk(std::string_view name) {
    std::string result(name);
    for (char& c : result) c = c == '-' ? '_' : c == '.' ? '/' : c;
    return result;
}

int counters(const char*, const char*, rte_tel_data* reply) {
    const std::scoped_lock lock(g_lock);
    rte_tel_data_start_dict(reply);
    if (g_statistics == nullptr) return 0;
    for (std::size_t counter = 0; counter < channel::kCounterCount; ++counter) {
        std::uint64_t sum = 0;
        for (std::uint32_t worker = 0; worker < g_statistics->layout().worker_count; ++worker) {
            sum += word(at<std::uint64_t>(block(worker))[counter]);
        }
        // A dictionary of DPDK holds 256 entries: the ones that say something.
        if (sum == 0) continue;
        rte_tel_data_add_dict_u64(reply, name_for_dpdk(channel::kCounters[counter].name).c_str(),
                                  sum);
    }
    return 0;
}

int stages(const char*, const char*, rte_tel_data* reply) {
    const std::scoped_lock lock(g_lock);
    rte_tel_data_start_dict(reply);
    if (g_statistics == nullptr) return 0;
    const channel::StatisticsHeader& layout = g_statistics->layout();
    for (std::uint32_t stage = 0; stage < layout.stage_count; ++stage) {
        channel::StageRow sum;
        for (std::uint32_t worker = 0; worker < layout.worker_count; ++worker) {
            const auto& row = at<channel::StageRow>(block(worker) + layout.worker_stages)[stage];
            sum.calls += word(row.calls);
            sum.packets += word(row.packets);
            sum.cycles += word(row.cycles);
        }
        rte_tel_data* const entry = rte_tel_data_alloc();
        if (entry == nullptr) break;
        rte_tel_data_start_dict(entry);
        rte_tel_data_add_dict_u64(entry, "calls", sum.calls);
        rte_tel_data_add_dict_u64(entry, "packets", sum.packets);
        rte_tel_data_add_dict_u64(entry, "cycles", sum.cycles);
        const char* const name = at<channel::NameRow>(layout.stage_names)[stage].name;
        rte_tel_data_add_dict_container(reply, name_for_dpdk(name).c_str(), entry, 0);
    }
    return 0;
}

int status(const char*, const char*, rte_tel_data* reply) {
    const std::scoped_lock lock(g_lock);
    rte_tel_data_start_dict(reply);
    if (g_statistics == nullptr) return 0;
    const auto& header = *at<channel::StatisticsHeader>(0);
    rte_tel_data_add_dict_string(reply, "version", HOMEPORT_VERSION);
    rte_tel_data_add_dict_u64(reply, "tsc_hz", header.tsc_hz);
    rte_tel_data_add_dict_u64(reply, "workers", header.worker_count - 1);
    rte_tel_data_add_dict_u64(reply, "bindings", word(header.current_bindings));
    rte_tel_data_add_dict_u64(reply, "routes", word(header.current_routes));
    rte_tel_data_add_dict_u64(reply, "adjacencies", word(header.current_adjacencies));
    rte_tel_data_add_dict_u64(reply, "sas", word(header.current_sas));
    rte_tel_data_add_dict_u64(reply, "mbufs_in_use", word(header.mbufs_in_use));
    rte_tel_data_add_dict_u64(reply, "mbufs_total", word(header.mbufs_total));
    std::uint64_t handed_over = 0;
    const channel::StatisticsHeader& layout = g_statistics->layout();
    for (std::uint32_t worker = 0; worker < layout.worker_count; ++worker) {
        handed_over += word(at<channel::WorkerRow>(block(worker) + layout.worker_row)->handed_over);
    }
    rte_tel_data_add_dict_u64(reply, "handed_over", handed_over);
    rte_tel_data_add_dict_u64(reply, "synchronized", word(header.fast_path_ready));
    return 0;
}

int ports(const char*, const char* parameters, rte_tel_data* reply) {
    const std::scoped_lock lock(g_lock);
    if (parameters == nullptr || *parameters == '\0') {
        rte_tel_data_start_array(reply, RTE_TEL_STRING_VAL);
        if (g_ports == nullptr) return 0;
        for (const auto& port : *g_ports) {
            rte_tel_data_add_array_string(reply, port->port->name().c_str());
        }
        return 0;
    }
    rte_tel_data_start_dict(reply);
    if (g_ports == nullptr) return 0;
    for (const auto& port : *g_ports) {
        if (port->port->name() != parameters) continue;
        const auto& row = at<channel::PortRow>(g_statistics->layout().ports)[port->number];
        rte_tel_data_add_dict_string(reply, "driver", port->port->driver().c_str());
        rte_tel_data_add_dict_string(reply, "mac", port->port->mac().to_string().c_str());
        rte_tel_data_add_dict_int(reply, "dpdk_port", port->port->id());
        rte_tel_data_add_dict_int(reply, "mtu", port->port->mtu());
        rte_tel_data_add_dict_string(
            reply, "link", port->transmit.link_up.load(std::memory_order_relaxed) ? "up" : "down");
        rte_tel_data_add_dict_u64(reply, "rx_packets", word(row.rx_packets));
        rte_tel_data_add_dict_u64(reply, "tx_packets", word(row.tx_packets));
        rte_tel_data_add_dict_u64(reply, "rx_missed", word(row.rx_missed));
        rte_tel_data_add_dict_u64(reply, "kernel_rx", word(row.kernel_rx));
        rte_tel_data_add_dict_u64(reply, "kernel_tx", word(row.kernel_tx));
        return 0;
    }
    return -1;
}

}  // namespace

void start_telemetry(const channel::StatisticsWriter& statistics,
                     const std::vector<std::unique_ptr<PortContext>>& all_ports) {
    {
        const std::scoped_lock lock(g_lock);
        g_statistics = &statistics;
        g_ports = &all_ports;
    }
    // Without telemetry (--no-telemetry) these are refused, which is as wanted.
    (void)rte_telemetry_register_cmd("/homeport/counters", counters,
                                     "Counters of all workers that are not 0. No parameters");
    (void)rte_telemetry_register_cmd("/homeport/stages", stages,
                                     "Calls, packets and cycles of each stage. No parameters");
    (void)rte_telemetry_register_cmd("/homeport/status", status,
                                     "Version and sizes of tables. No parameters");
    (void)rte_telemetry_register_cmd("/homeport/ports", ports,
                                     "Names of the ports. Parameter: a name, for its state");
}

void stop_telemetry() {
    const std::scoped_lock lock(g_lock);
    g_statistics = nullptr;
    g_ports = nullptr;
}

}  // namespace homeport::core
