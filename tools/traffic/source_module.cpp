// SPDX-License-Identifier: BSD-3-Clause
// A source for any DPDK program that takes no file: preloaded (LD_PRELOAD) it fills what a net_null
// device receives with the frames of a path, while they are received. A small set of buffers that
// stay in the caches serves any number of nodes, and inbound ESP is sealed and numbered on the way,
// so that replay windows can be on.
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
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/crypto.hpp"
#include "tools/traffic/frames.hpp"
#include "tools/traffic/records.hpp"

namespace {

using namespace homeport;  // NOLINT(google-build-using-namespace): a small program

constexpr std::size_t kPicks = 4096;  // the sizes repeat after so many frames
constexpr std::uint32_t kTag = 16;

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

    [[nodiscard]] bool seals() const { return is_sealed(path) && !is_out(path); }
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
        wanted.workers == 0 || is_forged(*known_path)) {
        fail_with(std::string("not understood: ") + text);
    }
    wanted.path = *known_path;
    wanted.algorithm = *known_algorithm;
    if (wanted.seals() && ipsec::info(wanted.algorithm).cipher != ipsec::Cipher::kAesGcm) {
        fail_with("sealed inbound frames are made with AES-GCM only");
    }
    return wanted;
}

/// A frame of one size, and where in it what differs between frames stands.
struct Pattern {
    traffic::Bytes frame;
    traffic::Bytes plain;    // of a sealed one: what is encrypted, padding included
    std::uint32_t home = 0;  // last four octets of the home address; in `plain` if it is sealed
    std::uint32_t esp = 0;   // SPI, sequence number, IV
};

class Source {
  public:
    explicit Source(const Wanted& wanted, std::uint16_t queues) : wanted_(wanted), queues_(queues) {
        if (wanted.seals()) make_keys();
        auto maker = traffic::FrameMaker::create(wanted.path, wanted.algorithm, wanted.workers);
        if (!maker) fail_with(maker.error());
        for (const std::uint32_t size : wanted.sizes) patterns_.push_back(pattern(**maker, size));
        std::mt19937 random(2);
        for (auto& pick : picks_) {
            pick = static_cast<std::uint8_t>(random() % patterns_.size());
        }
        for (const std::uint32_t node : traffic::random_order(wanted.nodes)) {
            queues_[node % queues_.size()].nodes.push_back(node);
        }
    }

    void fill(std::uint16_t number, std::span<rte_mbuf*> packets) {
        Queue& queue = queues_[number];
        if (queue.nodes.empty()) queue.nodes.push_back(0);
        for (rte_mbuf* packet : packets) {
            const Pattern& pattern = patterns_[picks_[queue.pick++ % kPicks]];
            auto* const data = rte_pktmbuf_mtod(packet, std::uint8_t*);
            const std::uint32_t node = queue.nodes[queue.next];
            wanted_.seals() ? seal(pattern, data, node, queue.pass) : copy(pattern, data, node);
            packet->data_len = static_cast<std::uint16_t>(pattern.frame.size());
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

    static void copy(const Pattern& pattern, std::uint8_t* data, std::uint32_t node) {
        std::memcpy(data, pattern.frame.data(), pattern.frame.size());
        store_be32(data + pattern.home, 0x1000 + node);
    }

    void seal(const Pattern& pattern, std::uint8_t* data, std::uint32_t node, std::uint32_t pass) {
        thread_local gcm_context_data context;
        thread_local std::array<std::uint8_t, 9216> plain;
        std::memcpy(data, pattern.frame.data(), pattern.esp);
        std::memcpy(plain.data(), pattern.plain.data(), pattern.plain.size());
        store_be32(plain.data() + pattern.home, 0x1000 + node);
        std::uint8_t* const esp = data + pattern.esp;
        store_be32(esp, traffic::spi_in(node, wanted_.workers));
        store_be32(esp + 4, pass);
        store_be64(esp + 8, pass);
        std::array<std::uint8_t, 12> iv;
        std::memcpy(iv.data(), salt_.data(), 4);
        std::memcpy(iv.data() + 4, esp + 8, 8);
        calls_.encrypt(reinterpret_cast<const gcm_key_data*>(keys_.get()), &context, esp + 16,
                       plain.data(), pattern.plain.size(), iv.data(), esp, 8,
                       esp + 16 + pattern.plain.size(), kTag);
    }

    void make_keys() {
        ipsec::CpuArchitecture architecture = ipsec::CpuArchitecture::kAuto;
        auto manager = ipsec::make_mb_manager(architecture);
        if (!manager) fail_with(manager.error().text);
        manager_ = std::move(*manager);
        const ipsec::AlgorithmInfo& info = ipsec::info(wanted_.algorithm);
        const traffic::Bytes key = traffic::key_of(wanted_.algorithm);
        std::memcpy(salt_.data(), key.data() + info.key_length, 4);
        keys_.reset(static_cast<std::uint8_t*>(
            std::aligned_alloc(64, (ipsec::key_area_size(info) + 63) / 64 * 64)));
        ipsec::expand_keys(*manager_, info, ipsec::Direction::kOutbound, key, {}, keys_.get());
        calls_ = ipsec::gcm_calls(*manager_, wanted_.algorithm);
    }

    /// Octets of headers before ESP or, of a plain frame, before the innermost IPv6 header.
    [[nodiscard]] std::uint32_t outer() const {
        using traffic::Path;
        constexpr std::uint32_t kEthernet = sizeof(EthernetHeader);
        switch (wanted_.path) {
            case Path::kP2:
            case Path::kP4:
                return kEthernet + sizeof(Ipv6Header);
            case Path::kP9i:
                return kEthernet + sizeof(Ipv4Header);
            case Path::kP10i:
            case Path::kP13i:
                return kEthernet + sizeof(Ipv4Header) + sizeof(UdpHeader);
            default:
                return kEthernet;
        }
    }

    Pattern pattern(traffic::FrameMaker& maker, std::uint32_t size) {
        auto made = maker.frame(0, size);
        if (!made) fail_with(made.error());
        Pattern pattern{.frame = std::move(*made), .plain = {}};
        const std::uint32_t address =
            is_out(wanted_.path) ? offsetof(Ipv6Header, destination) : offsetof(Ipv6Header, source);
        if (!wanted_.seals()) {
            pattern.home = outer() + address + 12;
            return pattern;
        }
        pattern.home = address + 12;
        pattern.esp = outer();
        const std::uint8_t* const esp = pattern.frame.data() + pattern.esp;
        pattern.plain.resize(pattern.frame.size() - pattern.esp - 16 - kTag);
        std::array<std::uint8_t, 12> iv;
        std::memcpy(iv.data(), salt_.data(), 4);
        std::memcpy(iv.data() + 4, esp + 8, 8);
        gcm_context_data context;
        std::array<std::uint8_t, kTag> tag;
        calls_.decrypt(reinterpret_cast<const gcm_key_data*>(keys_.get()), &context,
                       pattern.plain.data(), esp + 16, pattern.plain.size(), iv.data(), esp, 8,
                       tag.data(), kTag);
        return pattern;
    }

    struct Free {
        void operator()(std::uint8_t* memory) const { std::free(memory); }
    };
    Wanted wanted_;
    std::vector<Queue> queues_;
    std::vector<Pattern> patterns_;
    std::array<std::uint8_t, kPicks> picks_{};
    ipsec::MbManager manager_;
    std::unique_ptr<std::uint8_t, Free> keys_;
    std::array<std::uint8_t, 4> salt_{};
    ipsec::GcmCalls calls_{};
};

std::unique_ptr<Source> g_source;

std::uint16_t fill(std::uint16_t, std::uint16_t queue, rte_mbuf** packets, std::uint16_t count,
                   std::uint16_t, void*) {
    g_source->fill(queue, {packets, count});
    return count;
}

void take_over(std::uint16_t port) {
    std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
    if (rte_eth_dev_get_name_by_port(port, name.data()) != 0) return;
    static const Wanted wanted = read();
    if (wanted.device != name.data() || g_source != nullptr) return;
    rte_eth_dev_info info;
    if (rte_eth_dev_info_get(port, &info) != 0) fail_with("the device tells nothing");
    g_source = std::make_unique<Source>(wanted, info.nb_rx_queues);
    for (std::uint16_t queue = 0; queue < info.nb_rx_queues; ++queue) {
        if (rte_eth_add_rx_callback(port, queue, fill, nullptr) == nullptr) {
            fail_with("the device takes no callback");
        }
    }
}

}  // namespace

/// Stands before DPDK's own, which it calls.
extern "C" __attribute__((visibility("default"))) int rte_eth_dev_start(std::uint16_t port) {
    using Start = int (*)(std::uint16_t);
    static const auto next = reinterpret_cast<Start>(dlsym(RTLD_NEXT, "rte_eth_dev_start"));
    if (next == nullptr) fail_with("DPDK is not linked dynamically");
    const int code = next(port);
    if (code == 0) take_over(port);
    return code;
}
