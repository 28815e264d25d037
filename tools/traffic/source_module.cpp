// SPDX-License-Identifier: BSD-3-Clause
// A source for any DPDK program that takes no file: preloaded (LD_PRELOAD) it fills what a net_null
// device receives with the frames of a path, while they are received, from a moment after the
// device was started. A small set of buffers that stay in the caches serves any number of nodes,
// and inbound ESP is sealed and numbered on the way, so that replay windows can be on.
//
//   HOMEPORT_SOURCE="DEVICE PATH NODES ALGORITHM SIZE[,SIZE...]|imix WORKERS"
//   LD_PRELOAD=.../libhomeport-source.so homeport-dataplane ...
//
// DEVICE: name of the net_null device, whose size= must be the largest frame or more. Homes come in
// random order; each receive queue has the nodes of one worker, as RSS or flow rules would give it.
// Sealed inbound: AES-128-GCM, AES-256-GCM and the like only.
#include <dlfcn.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tools/traffic/patterns.hpp"

namespace {

using namespace homeport;  // NOLINT(google-build-using-namespace): a small program

[[noreturn]] void fail_with(const std::string& text) {
    std::fprintf(stderr, "homeport-source: %s\n", text.c_str());
    std::exit(1);
}

struct Wanted {
    std::string device;
    traffic::Path path{};
    std::uint32_t nodes = 0;
    ipsec::Algorithm algorithm{};
    std::vector<std::uint32_t> sizes;
    std::uint32_t workers = 1;
};

Wanted read() {
    const char* const text = std::getenv("HOMEPORT_SOURCE");
    if (text == nullptr) fail_with("HOMEPORT_SOURCE is not set");
    std::istringstream words(text);
    Wanted wanted;
    std::string path, algorithm, sizes;
    words >> wanted.device >> path >> wanted.nodes >> algorithm >> sizes >> wanted.workers;
    const auto known_path = traffic::parse_path(path);
    const auto known_algorithm = ipsec::parse_algorithm(algorithm);
    wanted.sizes = traffic::parse_sizes(sizes);
    if (!words || !known_path || !known_algorithm || wanted.sizes.empty() || wanted.nodes == 0 ||
        wanted.workers == 0) {
        fail_with(std::string("not understood: ") + text);
    }
    wanted.path = *known_path;
    wanted.algorithm = *known_algorithm;
    return wanted;
}

class Source {
  public:
    explicit Source(const Wanted& wanted, std::uint16_t queues) : queues_(queues) {
        auto patterns = traffic::Patterns::create({.path = wanted.path,
                                                   .algorithm = wanted.algorithm,
                                                   .sizes = wanted.sizes,
                                                   .workers = wanted.workers});
        if (!patterns) fail_with(patterns.error());
        patterns_ = std::move(*patterns);
        for (const std::uint32_t node : traffic::random_order(wanted.nodes)) {
            queues_[node % queues_.size()].nodes.push_back(node);
        }
    }

    void fill(std::uint16_t number, std::span<rte_mbuf*> packets) {
        Queue& queue = queues_[number];
        if (queue.nodes.empty()) queue.nodes.push_back(0);
        for (rte_mbuf* packet : packets) {
            const std::size_t pattern = patterns_->pick(queue.pick++);
            patterns_->write(pattern, rte_pktmbuf_mtod(packet, std::uint8_t*),
                             queue.nodes[queue.next], queue.pass);
            packet->data_len = static_cast<std::uint16_t>(patterns_->octets(pattern));
            packet->pkt_len = packet->data_len;
            if (++queue.next == queue.nodes.size()) {
                queue.next = 0;
                ++queue.pass;
            }
        }
    }

  private:
    /// Alone in its cache lines: queues are polled by different workers.
    struct alignas(128) Queue {
        std::vector<std::uint32_t> nodes;
        std::size_t next = 0;
        std::size_t pick = 0;
        std::uint32_t pass = 1;  // every node's number of this turn
    };

    std::vector<Queue> queues_;
    std::unique_ptr<traffic::Patterns> patterns_;
};

std::unique_ptr<Source> g_source;

std::uint16_t fill(std::uint16_t, std::uint16_t queue, rte_mbuf** packets, std::uint16_t count,
                   std::uint16_t, void*) {
    g_source->fill(queue, {packets, count});
    return count;
}

/// A function of the DPDK that the program has, in archives or shared libraries, of the same name
/// and type as `declared`; null in a program without DPDK.
template <typename Function>
Function* of_program(Function& /*declared*/, const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

/// Waits until the device is there and started, and is its source from then on. No function of DPDK
/// can be stood in for: a program that is linked with archives calls its own.
void take_over(const Wanted& wanted) {
    const auto port_of = of_program(rte_eth_dev_get_port_by_name, "rte_eth_dev_get_port_by_name");
    const auto info_of = of_program(rte_eth_dev_info_get, "rte_eth_dev_info_get");
    const auto link_of = of_program(rte_eth_link_get_nowait, "rte_eth_link_get_nowait");
    const auto add = of_program(rte_eth_add_rx_callback, "rte_eth_add_rx_callback");
    if (info_of == nullptr || link_of == nullptr || add == nullptr) {
        fail_with("the program does not export its DPDK");
    }
    std::uint16_t port = 0;
    rte_eth_link link{};
    while (port_of(wanted.device.c_str(), &port) != 0 || link_of(port, &link) != 0 ||
           link.link_status != RTE_ETH_LINK_UP) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    rte_eth_dev_info info;
    if (info_of(port, &info) != 0) fail_with("the device tells nothing");
    g_source = std::make_unique<Source>(wanted, info.nb_rx_queues);
    for (std::uint16_t queue = 0; queue < info.nb_rx_queues; ++queue) {
        if (add(port, queue, fill, nullptr) == nullptr) fail_with("the device takes no callback");
    }
}

/// Not in `chrt`, which starts the program and has no DPDK.
const bool g_started = [] {
    if (of_program(rte_eth_dev_get_port_by_name, "rte_eth_dev_get_port_by_name") != nullptr) {
        std::thread(take_over, read()).detach();
    }
    return true;
}();

}  // namespace
