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
//
//   HOMEPORT_LESSONS="DEVICE NODES ALGORITHM WORKERS"
//
// The first frames that a device of any kind with frames of 64 octets and more receives, one of
// each node, become P13i, sealed, from the node's port 4500: so a home agent knows where ESP in UDP
// goes before that is measured (P13u). Nothing of it is left in the way of later frames.
#include <dlfcn.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
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
    std::string begin;  // the file that it waits for; empty: none
};

Wanted read_source(const char* text) {
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

Wanted read_lessons(const char* text) {
    std::istringstream words(text);
    Wanted wanted;
    wanted.path = traffic::Path::kP13i;
    wanted.sizes = {64};
    std::string algorithm;
    words >> wanted.device >> wanted.nodes >> algorithm >> wanted.workers >> wanted.begin;
    const auto known_algorithm = ipsec::parse_algorithm(algorithm);
    if (!words || !known_algorithm || wanted.nodes == 0 || wanted.workers == 0) {
        fail_with(std::string("not understood: ") + text);
    }
    wanted.algorithm = *known_algorithm;
    return wanted;
}

/// What a device receives in the place of its own.
class Writer {
  public:
    Writer() = default;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    virtual ~Writer() = default;
    /// Writes what queue `number` receives, in its thread.
    virtual void fill(std::uint16_t number, std::span<rte_mbuf*> packets) = 0;
    /// Nothing is left to write, in any queue.
    [[nodiscard]] virtual bool is_done() const = 0;

  protected:
    static void write(traffic::Patterns& patterns, std::size_t pattern, rte_mbuf* packet,
                      std::uint32_t node, std::uint32_t number) {
        patterns.write(pattern, rte_pktmbuf_mtod(packet, std::uint8_t*), node, number);
        packet->data_len = static_cast<std::uint16_t>(patterns.octets(pattern));
        packet->pkt_len = packet->data_len;
    }
    static std::unique_ptr<traffic::Patterns> patterns_of(const Wanted& wanted) {
        auto patterns = traffic::Patterns::create({.path = wanted.path,
                                                   .algorithm = wanted.algorithm,
                                                   .sizes = wanted.sizes,
                                                   .workers = wanted.workers});
        if (!patterns) fail_with(patterns.error());
        return std::move(*patterns);
    }
};

/// One frame of each node, and nothing more.
class Lessons : public Writer {
  public:
    explicit Lessons(const Wanted& wanted, std::uint16_t queues)
        : patterns_(patterns_of(wanted)), queues_(queues) {
        for (std::uint32_t node = 0; node < wanted.nodes; ++node) {
            queues_[node % queues_.size()].nodes.push_back(node);
        }
    }

    void fill(std::uint16_t number, std::span<rte_mbuf*> packets) override {
        Queue& queue = queues_[number];
        const std::size_t next = queue.next.load(std::memory_order_relaxed);
        const std::size_t count = std::min(packets.size(), queue.nodes.size() - next);
        for (std::size_t i = 0; i < count; ++i) {
            write(*patterns_, 0, packets[i], queue.nodes[next + i], 1);
        }
        queue.next.store(next + count, std::memory_order_release);
    }
    [[nodiscard]] bool is_done() const override {
        return std::ranges::all_of(queues_, [](const Queue& queue) {
            return queue.next.load(std::memory_order_acquire) == queue.nodes.size();
        });
    }

  private:
    struct Queue {
        std::vector<std::uint32_t> nodes;
        std::atomic<std::size_t> next{0};
    };
    std::unique_ptr<traffic::Patterns> patterns_;
    std::vector<Queue> queues_;
};

class Source : public Writer {
  public:
    explicit Source(const Wanted& wanted, std::uint16_t queues)
        : queues_(queues), patterns_(patterns_of(wanted)) {
        for (const std::uint32_t node : traffic::random_order(wanted.nodes)) {
            queues_[node % queues_.size()].nodes.push_back(node);
        }
    }

    void fill(std::uint16_t number, std::span<rte_mbuf*> packets) override {
        Queue& queue = queues_[number];
        if (queue.nodes.empty()) queue.nodes.push_back(0);
        for (rte_mbuf* packet : packets) {
            write(*patterns_, patterns_->pick(queue.pick++), packet, queue.nodes[queue.next],
                  queue.pass);
            if (++queue.next == queue.nodes.size()) {
                queue.next = 0;
                ++queue.pass;
            }
        }
    }
    [[nodiscard]] bool is_done() const override { return false; }

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

/// Called for each burst that a queue of the device received.
std::uint16_t fill(std::uint16_t, std::uint16_t queue, rte_mbuf** packets, std::uint16_t count,
                   std::uint16_t, void* writer) {
    static_cast<Writer*>(writer)->fill(queue, {packets, count});
    return count;
}

/// A function of the DPDK that the program has, in archives or shared libraries, of the same name
/// and type as `declared`; null in a program without DPDK.
template <typename Function>
Function* of_program(Function& /*declared*/, const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

void sleep_a_moment() {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Waits until the device is there and started, and it may begin, and writes what it receives from
/// then on, until all is written. No function of DPDK can be stood in for: a program that is linked
/// with archives calls its own.
template <class Kind>
void take_over(const Wanted& wanted) {
    const auto port_of = of_program(rte_eth_dev_get_port_by_name, "rte_eth_dev_get_port_by_name");
    const auto info_of = of_program(rte_eth_dev_info_get, "rte_eth_dev_info_get");
    const auto link_of = of_program(rte_eth_link_get_nowait, "rte_eth_link_get_nowait");
    const auto add = of_program(rte_eth_add_rx_callback, "rte_eth_add_rx_callback");
    const auto remove = of_program(rte_eth_remove_rx_callback, "rte_eth_remove_rx_callback");
    if (info_of == nullptr || link_of == nullptr || add == nullptr || remove == nullptr) {
        fail_with("the program does not export its DPDK");
    }
    std::uint16_t port = 0;
    rte_eth_link link{};
    while (port_of(wanted.device.c_str(), &port) != 0 || link_of(port, &link) != 0 ||
           link.link_status != RTE_ETH_LINK_UP ||
           (!wanted.begin.empty() && !std::filesystem::exists(wanted.begin))) {
        sleep_a_moment();
    }
    rte_eth_dev_info info;
    if (info_of(port, &info) != 0) fail_with("the device tells nothing");
    static Kind writer(wanted, info.nb_rx_queues);  // of the queues' threads, for ever
    std::vector<const rte_eth_rxtx_callback*> added;
    for (std::uint16_t queue = 0; queue < info.nb_rx_queues; ++queue) {
        added.push_back(add(port, queue, fill, &writer));
        if (added.back() == nullptr) fail_with("the device takes no callback");
    }
    while (!writer.is_done()) sleep_a_moment();
    for (std::uint16_t queue = 0; queue < info.nb_rx_queues; ++queue) {
        if (remove(port, queue, added[queue]) != 0) fail_with("the device keeps a callback");
    }
}

/// Not in `chrt`, which starts the program and has no DPDK.
const bool g_started = [] {
    if (of_program(rte_eth_dev_get_port_by_name, "rte_eth_dev_get_port_by_name") == nullptr) {
        return false;
    }
    std::thread([] {
        const char* const lessons = std::getenv("HOMEPORT_LESSONS");
        const char* const source = std::getenv("HOMEPORT_SOURCE");
        if (lessons == nullptr && source == nullptr) {
            fail_with("neither HOMEPORT_SOURCE nor HOMEPORT_LESSONS is set");
        }
        if (lessons != nullptr) take_over<Lessons>(read_lessons(lessons));
        if (source != nullptr) take_over<Source>(read_source(source));
    }).detach();
    return true;
}();

}  // namespace
