// SPDX-License-Identifier: BSD-3-Clause
// How long a binding update waits in a worker that is given more data than it can carry: from the
// receive queue that both come by to the ring to the control plane. Two CPUs: a worker with all
// stages on the one; on the other the source, which is also the reader of that ring.
//
//   signalling-delay [--seconds 3] [--rate 14.88] [--realtime] [--json] [EAL ARGUMENTS...]
//
// --realtime: both are SCHED_FIFO. Updates that find the receive queue full are lost "at the
// queue"; that is the machine's part if the worker waited for its CPU meanwhile ("waited",
// milliseconds in all). What is lost "inside" is lost by the worker, and has a counter.
//
// The receive queue is a ring of 1023 frames that the source fills at `rate` millions of frames a
// second, or as fast as it can; 14.88 is a link of 10 Gbit/s with the smallest frames. What finds
// no room is lost, as in a network interface. Data: 64-octet packets to bound home addresses (P1).
// A binding update a millisecond, plain, with its Home Address option (P5). Three phases: updates
// alone, updates in the flood with the worker's look ahead, and without it.
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_random.h>
#include <rte_ring.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/core/command_applier.hpp"
#include "dataplane/core/graph.hpp"
#include "dataplane/core/ipsec_writer.hpp"
#include "dataplane/core/worker_context.hpp"
#include "dataplane/ipsec/policy_hits.hpp"

namespace {

using namespace homeport;

constexpr std::uint16_t kIn = 0;
constexpr std::uint16_t kOut = 1;
constexpr unsigned kBindings = 1000;
constexpr unsigned kBurst = 32;
const MacAddress kPortMac{{2, 0, 0, 0, 0, 1}};
const MacAddress kPeerMac{{2, 0, 0, 0, 0, 2}};
const Ipv6Address kHomeAgent = *Ipv6Address::parse("2001:db8:1::1");
const Ipv6Address kFirstHome = *Ipv6Address::parse("2001:db8:1::1:0");
const Ipv6Address kCareOf = *Ipv6Address::parse("2001:db8:a::200");
const Ipv6Address kCorrespondent = *Ipv6Address::parse("2001:db8:3::300");
const Ipv6Address kNextHop = *Ipv6Address::parse("2001:db8:f::2");

[[noreturn]] void fail(const std::string& text) {
    std::fprintf(stderr, "signalling-delay: %s\n", text.c_str());
    std::exit(1);
}

Ipv6Address behind(Ipv6Address address, std::uint32_t index) {
    store_be32(address.bytes.data() + 12, load_be32(address.bytes.data() + 12) + index);
    return address;
}

/// What nobody asks for here.
class NoSink final : public core::CommandSink {
  public:
    table::Applied transmit(const channel::TransmitPacket&, ConstByteSpan) override { return {}; }
    table::Applied transmit(const channel::TransmitFrame&, ConstByteSpan) override { return {}; }
    table::Applied trace(const channel::TraceStart&) override { return {}; }
    void stop_trace() override {}
    void sync_done(const channel::EndSync&, std::uint32_t) override {}
};

using Frame = std::vector<std::uint8_t>;

Frame framed(const Ipv6Address& source, const Ipv6Address& destination, std::uint8_t next_header,
             const Frame& payload) {
    Frame frame(sizeof(EthernetHeader) + sizeof(Ipv6Header) + payload.size());
    kPortMac.store(frame.data());
    kPeerMac.store(frame.data() + 6);
    store_be16(frame.data() + 12, kEtherTypeIpv6);
    std::uint8_t* const ip = frame.data() + sizeof(EthernetHeader);
    ip[0] = 0x60;
    store_be16(ip + 4, static_cast<std::uint16_t>(payload.size()));
    ip[6] = next_header;
    ip[7] = 64;
    std::memcpy(ip + 8, source.bytes.data(), 16);
    std::memcpy(ip + 24, destination.bytes.data(), 16);
    std::ranges::copy(payload, ip + sizeof(Ipv6Header));
    return frame;
}

/// RFC 6275 sections 6.3 and 6.1.7; its home address is the number of the message.
Frame binding_update(std::uint32_t number) {
    Frame payload(24 + 16);
    payload[0] = 135;
    payload[1] = 2;
    payload[2] = 1;  // PadN of 4 octets, then the option: 8n + 6
    payload[3] = 2;
    payload[6] = 201;
    payload[7] = 16;
    std::memcpy(payload.data() + 8, behind(kFirstHome, kBindings + number).bytes.data(), 16);
    std::uint8_t* const message = payload.data() + 24;
    message[0] = 59;
    message[1] = 1;
    message[2] = 5;
    message[8] = 0xc0;  // A, H
    return framed(kCareOf, kHomeAgent, 60, payload);
}

struct Phase {
    const char* name;
    bool flood;
    std::uint32_t look_ahead;
};
struct Figures {
    std::string name;
    std::uint64_t offered = 0, carried = 0, lost_by_ring = 0, overload = 0;
    std::uint64_t sent = 0, lost_at_queue = 0, lost_inside = 0;
    double waited_ms = 0;  // the worker could have run and had no CPU
    double seconds = 0;
    std::vector<double> delays;  // microseconds, sorted

    [[nodiscard]] double percentile(double p) const {
        if (delays.empty()) return 0;
        const auto last = static_cast<double>(delays.size() - 1);
        return delays[static_cast<std::size_t>(p / 100 * last + 0.5)];
    }
};

std::uint16_t open_device(const char* name, rte_mempool* pool) {
    std::uint16_t device = 0;
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    if (rte_dev_probe(name) != 0) fail(std::string(name) + " cannot be opened");
    const std::string plain = std::string(name).substr(0, std::string(name).find(','));
    if (rte_eth_dev_get_port_by_name(plain.c_str(), &device) != 0 ||
        rte_eth_dev_configure(device, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(device, 0, 512, 0, nullptr, pool) != 0 ||
        rte_eth_tx_queue_setup(device, 0, 512, 0, nullptr) != 0 || rte_eth_dev_start(device) != 0) {
        fail(plain + " cannot be set up");
    }
    return device;
}

class Measurement {
  public:
    explicit Measurement(bool realtime);
    Figures run(const Phase& phase, unsigned seconds, double rate);

  private:
    void load();
    template <class Record>
    void apply(const Record& record, ConstByteSpan trailing = {}) {
        if (const auto applied = applier_->apply(record, trailing); !applied) {
            fail(applied.error().text);
        }
    }
    rte_mbuf* make(const Frame& frame);
    void flood(Figures& figures);
    void send_update(Figures& figures, std::uint64_t now);
    void collect(core::WorkerContext& worker, Figures& figures);

    bool realtime_;
    config::DataplaneConfig config_;
    rte_mempool* pool_ = nullptr;    // of the worker
    rte_mempool* source_ = nullptr;  // of the source
    std::uint16_t in_ = 0;
    std::uint16_t out_ = 0;
    std::unique_ptr<core::SharedState> state_;
    std::unique_ptr<core::IpsecWriter> ipsec_;
    NoSink sink_;
    std::unique_ptr<core::CommandApplier> applier_;
    std::vector<Frame> data_;
    std::size_t next_data_ = 0;
    std::vector<std::uint64_t> sent_at_;  // by number of the update
    unsigned runs_ = 0;
};

Measurement::Measurement(bool realtime) : realtime_(realtime) {
    config_.max_bindings = 4096;
    pool_ = rte_pktmbuf_pool_create("worker", 4095, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    source_ = rte_pktmbuf_pool_create("source", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (pool_ == nullptr || source_ == nullptr) fail(rte_strerror(rte_errno));
    in_ = open_device("net_ring_delay", source_);
    out_ = open_device("net_null_delay,no-rx=1", pool_);
    auto state = core::SharedState::create(config_, 1);
    if (!state) fail(state.error());
    state_ = std::move(*state);
    ipsec_ = std::make_unique<core::IpsecWriter>(*state_, 1, config_.max_sas);
    applier_ = std::make_unique<core::CommandApplier>(*state_, *ipsec_, sink_);
    load();
}

void Measurement::load() {
    state_->writer().set_port(kIn, kPortMac, 1500);
    state_->writer().set_port(kOut, kPortMac, 1500);
    channel::PolicyRecord bypass;
    bypass.id = 1;
    bypass.action = channel::PolicyAction::kBypass;
    channel::SpdReplace policies;
    policies.count = 1;
    apply(policies, {reinterpret_cast<const std::uint8_t*>(&bypass), sizeof bypass});
    channel::AddressSet address;
    address.address = channel::WireAddress(kHomeAgent);
    address.port = kIn;
    address.prefix_length = 64;
    address.is_home_agent_address = 1;
    apply(address);
    channel::RouteSet route;
    route.prefix = channel::WireAddress(Ipv6Address{});
    route.next_hop = channel::WireAddress(kNextHop);
    route.port = kOut;
    apply(route);
    channel::NeighbourSet neighbour;
    neighbour.address = channel::WireAddress(kNextHop);
    neighbour.mac = kPeerMac;
    neighbour.port = kOut;
    apply(neighbour);
    for (std::uint32_t i = 0; i < kBindings; ++i) {
        channel::BindingSet binding;
        binding.home_address = channel::WireAddress(behind(kFirstHome, i));
        binding.care_of_address = channel::WireAddress(kCareOf);
        binding.home_agent_address = channel::WireAddress(kHomeAgent);
        binding.counter_index = i;
        apply(binding);
        data_.push_back(framed(kCorrespondent, behind(kFirstHome, i), 59, Frame(10)));
    }
    std::shuffle(data_.begin(), data_.end(), std::minstd_rand(1));
    while (state_->writer().poll(0, 1u << 20)) {
    }
    state_->set_ready();
}

rte_mbuf* Measurement::make(const Frame& frame) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(source_);
    if (packet == nullptr) return nullptr;
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size())), frame.data(),
                frame.size());
    return packet;
}

void Measurement::flood(Figures& figures) {
    std::array<rte_mbuf*, kBurst> frames;
    if (rte_pktmbuf_alloc_bulk(source_, frames.data(), kBurst) != 0) return;
    for (rte_mbuf* frame : frames) {
        const Frame& bytes = data_[next_data_];
        if (++next_data_ == data_.size()) next_data_ = 0;
        frame->data_len = static_cast<std::uint16_t>(bytes.size());
        frame->pkt_len = frame->data_len;
        std::memcpy(stage::data(frame), bytes.data(), bytes.size());
    }
    const std::uint16_t taken = rte_eth_tx_burst(in_, 0, frames.data(), kBurst);
    figures.offered += kBurst;
    figures.lost_by_ring += kBurst - taken;
    rte_pktmbuf_free_bulk(frames.data() + taken, kBurst - taken);
}

void Measurement::send_update(Figures& figures, std::uint64_t now) {
    rte_mbuf* packet = make(binding_update(static_cast<std::uint32_t>(sent_at_.size())));
    if (packet == nullptr) return;
    sent_at_.push_back(now);
    ++figures.sent;
    if (rte_eth_tx_burst(in_, 0, &packet, 1) == 0) {
        rte_pktmbuf_free(packet);
        ++figures.lost_at_queue;
    }
}

void Measurement::collect(core::WorkerContext& worker, Figures& figures) {
    void* element = nullptr;
    while (rte_ring_dequeue(worker.to_control(), &element) == 0) {
        auto* const packet = static_cast<rte_mbuf*>(element);
        const std::uint32_t home = load_be32(stage::data(packet) + 8 + 12);
        const std::uint32_t number = home - load_be32(kFirstHome.bytes.data() + 12) - kBindings;
        if (number < sent_at_.size()) {
            figures.delays.push_back(static_cast<double>(rte_rdtsc() - sent_at_[number]) * 1e6 /
                                     static_cast<double>(rte_get_tsc_hz()));
        }
        rte_pktmbuf_free(packet);
    }
}

struct Launch {
    core::WorkerContext* worker;
    bool realtime = false;
    std::atomic<bool> stop{false};
    std::atomic<pid_t> thread{0};
};

void take_precedence() {
    const sched_param first{1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) fail("--realtime: not permitted");
}

/// Milliseconds for which a thread could have run and had no CPU.
double waited_ms(pid_t thread) {
    double ran = 0;
    double waited = 0;
    std::ifstream("/proc/self/task/" + std::to_string(thread) + "/schedstat") >> ran >> waited;
    return waited / 1e6;
}

int run_worker(void* argument) {
    auto* const launch = static_cast<Launch*>(argument);
    if (launch->realtime) take_precedence();
    launch->thread = gettid();
    launch->worker->run(launch->stop, 0);
    return 0;
}

Figures Measurement::run(const Phase& phase, unsigned seconds, double rate) {
    Figures figures;
    figures.name = phase.name;
    auto statistics =
        channel::StatisticsWriter::create({.stages = stage::stage_names(),
                                           .edges = stage::edge_names(core::all_stages()),
                                           .workers = 1,
                                           .adjacencies = config_.max_adjacencies,
                                           .sas = config_.max_sas,
                                           .policies = ipsec::kHitSlots,
                                           .bindings = config_.max_bindings,
                                           .tsc_hz = rte_get_tsc_hz()});
    if (!statistics) fail(statistics.error().text);
    auto made = core::WorkerContext::create(config_, *state_,
                                            {.name_suffix = " " + std::to_string(runs_++),
                                             .statistics = statistics->worker(0),
                                             .pool = pool_,
                                             .jumbo_pool = pool_,
                                             .stages = core::all_stages()});
    if (!made) fail(made.error());
    core::WorkerContext& worker = **made;
    port::TransmitPort out_shared;
    worker.transmitter().attach(kOut, out_, 0, false, out_shared);
    worker.set_port(kIn, {.mac = kPortMac, .in_use = 1});
    worker.set_port(kOut, {.mac = kPortMac, .in_use = 1});
    worker.add_receive_queue(kIn, in_, 0, {.first = false, .look_ahead = phase.look_ahead});

    sent_at_.clear();
    Launch launch{.worker = &worker, .realtime = realtime_};
    const unsigned lcore = rte_get_next_lcore(rte_get_main_lcore(), 1, 0);
    if (rte_eal_remote_launch(run_worker, &launch, lcore) != 0) fail("the worker does not start");
    while (launch.thread == 0) rte_pause();
    const double waited_before = waited_ms(launch.thread);
    const std::uint64_t hz = rte_get_tsc_hz();
    const std::uint64_t start = rte_rdtsc();
    std::uint64_t next = start + hz / 100;
    for (std::uint64_t now = start; now < start + seconds * hz; now = rte_rdtsc()) {
        const double due = rate * 1e6 * static_cast<double>(now - start) / static_cast<double>(hz);
        if (phase.flood && static_cast<double>(figures.offered) < due) flood(figures);
        if (now >= next) {
            send_update(figures, rte_rdtsc());
            // Not in step with anything: 0.5 to 1.5 ms.
            next = now + hz / 2000 + rte_rand_max(hz / 1000);
        }
        collect(worker, figures);
    }
    for (std::uint64_t end = rte_rdtsc() + hz / 10; rte_rdtsc() < end;) collect(worker, figures);
    figures.waited_ms = waited_ms(launch.thread) - waited_before;
    launch.stop = true;
    rte_eal_wait_lcore(lcore);
    collect(worker, figures);
    figures.seconds = seconds;
    const auto count = [&](channel::Counter counter) {
        return worker.worker().counters[static_cast<std::size_t>(counter)];
    };
    figures.carried = count(channel::Counter::kTxPort);
    figures.overload = count(channel::Counter::kRxOverload);
    figures.lost_inside = figures.sent - figures.delays.size() - figures.lost_at_queue;
    std::ranges::sort(figures.delays);
    return figures;
}

void show(const Figures& f) {
    const double million = 1e6 * f.seconds;
    std::printf("%-22s %8.2f %8.2f %10.2f %10.2f %7lu %8lu %6lu %7.1f", f.name.c_str(),
                static_cast<double>(f.offered) / million, static_cast<double>(f.carried) / million,
                static_cast<double>(f.lost_by_ring) / million,
                static_cast<double>(f.overload) / million, f.sent, f.lost_at_queue, f.lost_inside,
                f.waited_ms);
    for (const double p : {50.0, 90.0, 99.0, 99.9, 100.0}) std::printf(" %8.1f", f.percentile(p));
    std::printf("\n");
}

void show_json(const std::vector<Figures>& all) {
    const char* separator = "[";
    for (const Figures& f : all) {
        std::printf(
            "%s{\"phase\": \"%s\", \"seconds\": %g, \"offered\": %lu, \"carried\": %lu, "
            "\"lost_by_ring\": %lu, \"rx_overload\": %lu, \"updates\": %lu, \"lost_at_queue\": "
            "%lu, "
            "\"lost_inside\": %lu, \"worker_waited_ms\": %.1f",
            separator, f.name.c_str(), f.seconds, f.offered, f.carried, f.lost_by_ring, f.overload,
            f.sent, f.lost_at_queue, f.lost_inside, f.waited_ms);
        for (const auto& [name, p] : {std::pair("p50", 50.0), std::pair("p99", 99.0),
                                      std::pair("p999", 99.9), std::pair("max", 100.0)}) {
            std::printf(", \"%s_us\": %.1f", name, f.percentile(p));
        }
        std::printf("}");
        separator = ",\n ";
    }
    std::printf("]\n");
}

}  // namespace

int main(int argc, char** argv) {
    unsigned seconds = 3;
    double rate = 14.88;
    bool json = false;
    bool realtime = false;
    int used = 1;
    for (; used < argc; ++used) {
        const std::string word = argv[used];
        if (word == "--realtime") {
            realtime = true;
        } else if (word == "--json") {
            json = true;
        } else if (word == "--seconds" && used + 1 < argc) {
            seconds = static_cast<unsigned>(std::strtoul(argv[++used], nullptr, 10));
        } else if (word == "--rate" && used + 1 < argc) {
            rate = std::strtod(argv[++used], nullptr);
        } else {
            break;
        }
    }
    if (!(rate > 0)) fail("--rate: expected millions of frames a second");
    if (seconds == 0 || seconds > 60) fail("--seconds: expected 1 to 60");
    std::vector<std::string> words{"signalling-delay",
                                   "--no-pci",
                                   "--no-huge",
                                   "--no-shconf",
                                   "-m",
                                   "512",
                                   "--lcores=0@0,1@1",
                                   "--log-level=4",
                                   "--no-telemetry",
                                   "--file-prefix=hpdelay" + std::to_string(getpid())};
    words.insert(words.end(), argv + used, argv + argc);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) return 1;
    if (!stage::register_packet_meta()) fail("a packet buffer has no room for notes");
    if (rte_lcore_count() < 2) fail("expected two lcores");
    if (realtime) take_precedence();
    Measurement measurement(realtime);
    std::vector<Figures> all;
    for (const Phase& phase : {Phase{"no data", false, 512}, Phase{"flood, look ahead", true, 512},
                               Phase{"flood, none", true, 0}}) {
        all.push_back(measurement.run(phase, seconds, rate));
    }
    if (json) {
        show_json(all);
    } else {
        std::printf("%-22s %8s %8s %10s %10s %7s %8s %6s %7s %8s %8s %8s %8s %8s\n", "", "offered",
                    "carried", "lost", "overload", "updates", "at queue", "inside", "waited", "p50",
                    "p90", "p99", "p99.9", "max");
        for (const Figures& figures : all) show(figures);
        std::printf(
            "data in millions a second; delays in microseconds, from the receive queue to "
            "the ring to the control plane\n");
    }
    std::fflush(stdout);
    _exit(0);  // nothing here is worth an orderly end of DPDK
}
