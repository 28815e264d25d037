// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/program.hpp"

#include <grp.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include "dataplane/core/graph.hpp"
#include "dataplane/core/telemetry.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::core {

namespace {

// What the rules of ports match is what the SPIs of SAs say.
namespace spi_bits = port::spi_bits;
static_assert(spi_bits::kOwn == ipsec::kOwnSpiBit && spi_bits::kData == ipsec::kSpiGroupMask &&
              spi_bits::kOwner == ipsec::kSpiOwnerMask);
static_assert(ipsec::make_own_spi(1, 5, 0).value ==
              (spi_bits::kOwn | spi_bits::kData | 5u << spi_bits::kOwnerShift));

constexpr unsigned kMempoolCache = 256;
constexpr std::uint32_t kJumboBuffers = 1024;
/// Room behind a frame for the padding and ICV that ESP adds.
constexpr std::uint32_t kTailroom = 64;

std::unexpected<Failure> fail(Message message, std::string text) {
    return std::unexpected(Failure{message, std::move(text)});
}

}  // namespace

std::expected<void, Failure> Program::start(const std::vector<std::string>& eal_arguments) {
    if (auto done = start_environment(eal_arguments); !done) return done;
    if (auto done = open_ports(); !done) return done;
    if (auto done = make_pools(); !done) return done;
    if (auto done = make_state(); !done) return done;
    if (auto done = make_workers(); !done) return done;
    if (auto done = start_ports(); !done) return done;
    if (auto done = open_taps(); !done) return done;
    if (auto done = open_channel(); !done) return done;
    return {};
}

Program::Started Program::start_environment(const std::vector<std::string>& eal_arguments) {
    auto lcores = plan_lcores(config_, allowed_cpus());
    if (!lcores) return fail(Message::kBadConfiguration, "dataplane.workers: " + lcores.error());
    lcores_ = std::move(*lcores);
    auto plan = plan_eal(config_, lcores_, eal_arguments, free_huge_page_octets());
    if (!plan) return fail(Message::kNoMemory, plan.error());
    // DPDK keeps pointers into what it is given.
    static std::vector<std::string> words;
    static std::vector<char*> arguments;
    words = std::move(plan->arguments);
    for (std::string& word : words) arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
        std::string line;
        for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
        return fail(Message::kEalFailed, std::string(rte_strerror(rte_errno)) + " (" + line + ")");
    }
    eal_started_ = true;
    start_log();
    if (!lcores_.warning.empty()) log(Message::kFewCores, lcores_.warning);
    if (!plan->warning.empty()) log(Message::kNoHugePages, plan->warning);
    if (!stage::register_packet_meta()) {
        return fail(Message::kInternal,
                    "a packet buffer has no room for the packet's notes: another library or "
                    "driver uses the dynamic fields");
    }
    return {};
}

Program::Started Program::open_ports() {
    const std::filesystem::path directory = port::find_pmd_config_directory(config_.pmd_config_dir);
    if (directory.empty()) {
        return fail(Message::kPmdConfig, "directory " + config_.pmd_config_dir +
                                             " (dataplane.pmd_config_dir) does not exist");
    }
    auto pmd_configs = port::PmdConfigs::load(directory);
    if (!pmd_configs) return fail(Message::kPmdConfig, pmd_configs.error());
    for (const config::PortConfig& config : config_.ports) {
        auto opened =
            port::Port::open(config, *pmd_configs, static_cast<unsigned>(lcores_.workers.size()),
                             static_cast<unsigned>(ports_.size()));
        if (!opened) return fail(Message::kPortFailed, opened.error());
        auto context = std::make_unique<PortContext>();
        context->number = static_cast<std::uint16_t>(ports_.size());
        context->port = std::move(*opened);
        if (context->port->generic_family()) {
            log(Message::kGenericFamily, "port " + config.name + ": no file of " +
                                             directory.string() + " describes driver " +
                                             context->port->driver());
        }
        ports_.push_back(std::move(context));
    }
    return {};
}

Program::Started Program::make_pools() {
    std::uint32_t frame = 0;
    std::uint64_t in_rings = 0;
    bool looks_ahead = false;
    for (const auto& port : ports_) {
        frame = std::max(frame, port->port->frame_size());
        const port::PmdConfig& family = port->port->pmd_config();
        // Each queue may have as much beside it that was looked at for signalling.
        looks_ahead |= port->port->look_ahead() != 0;
        in_rings += std::uint64_t{port->port->all_rx_queues()} *
                        (std::uint64_t{family.rx_descriptors} + port->port->look_ahead()) +
                    std::uint64_t{port->port->tx_queues()} * family.tx_descriptors;
    }
    // All that can wait anywhere at the same time: a flood must not take the buffers of the rest.
    const std::size_t workers = lcores_.workers.size();
    const std::uint64_t rings_of_worker =
        (workers > 1 ? 3 : 2) * std::uint64_t{kRingSize} + (looks_ahead ? kSignallingQueueSize : 0);
    const std::uint64_t needed =
        in_rings + workers * rings_of_worker + (workers + 1) * kMempoolCache * 2 +
        ports_.size() * (kRingSize + workers * port::Transmitter::kCapacity);
    std::uint32_t buffers = config_.mbufs;
    if (buffers < needed) {
        buffers = static_cast<std::uint32_t>(needed);
        log(Message::kMoreBuffers, "dataplane.mbufs is " + std::to_string(config_.mbufs) +
                                       ", ports and workers need " + std::to_string(needed));
    }
    const auto room = static_cast<std::uint16_t>(
        std::max<std::uint32_t>(RTE_MBUF_DEFAULT_DATAROOM, frame + kTailroom) +
        RTE_PKTMBUF_HEADROOM);
    const auto socket = static_cast<int>(rte_socket_id());
    pool_ = rte_pktmbuf_pool_create("packets", buffers, kMempoolCache, 0, room, socket);
    if (pool_ != nullptr) {
        jumbo_pool_ = rte_pktmbuf_pool_create(
            "jumbo", kJumboBuffers, 32, 0,
            channel::kMaxPacket + kTailroom + 64 + RTE_PKTMBUF_HEADROOM, socket);
    }
    if (pool_ == nullptr || jumbo_pool_ == nullptr) {
        return fail(Message::kNoMemory, std::to_string(buffers) + " packet buffers of " +
                                            std::to_string(room) + " octets do not fit memory_mb " +
                                            std::to_string(config_.memory_mb) + ": " +
                                            rte_strerror(rte_errno));
    }
    return {};
}

Program::Started Program::make_state() {
    auto waker = Waker::create();
    if (!waker) return fail(Message::kInternal, waker.error());
    waker_ = std::move(*waker);
    const auto workers = static_cast<unsigned>(lcores_.workers.size());
    auto state = SharedState::create(config_, workers);
    if (!state) return fail(Message::kNoMemory, state.error());
    state_ = std::move(*state);
    ipsec_ = std::make_unique<IpsecWriter>(*state_, workers, config_.max_sas);
    // One block more than workers: the main lcore counts, too.
    auto statistics = channel::StatisticsWriter::create({.stages = stage::stage_names(),
                                                         .edges = stage::edge_names(all_stages()),
                                                         .workers = workers + 1,
                                                         .adjacencies = config_.max_adjacencies,
                                                         .sas = config_.max_sas,
                                                         .policies = ipsec::kHitSlots,
                                                         .bindings = config_.max_bindings,
                                                         .tsc_hz = rte_get_tsc_hz()});
    if (!statistics) return fail(Message::kNoMemory, statistics.error().text);
    statistics_ = std::make_unique<channel::StatisticsWriter>(std::move(*statistics));
    return {};
}

Program::Started Program::make_workers() {
    const auto count = static_cast<unsigned>(lcores_.workers.size());
    for (unsigned index = 0; index < count; ++index) {
        auto context = WorkerContext::create(config_, *state_,
                                             {.index = index,
                                              .count = count,
                                              .lcore = lcores_.workers[index],
                                              .name_suffix = " " + std::to_string(index),
                                              .statistics = statistics_->worker(index),
                                              .pool = pool_,
                                              .jumbo_pool = jumbo_pool_,
                                              .stages = all_stages(),
                                              .trace_session = &trace_session_,
                                              .waker = waker_.get()});
        if (!context) return fail(Message::kInternal, context.error());
        workers_.push_back(std::move(*context));
    }
    for (const auto& from : workers_) {
        for (const auto& to : workers_) from->connect(*to);
    }
    channel::store_word(statistics_->worker(count).row->lcore, lcores_.main_lcore);
    return {};
}

Program::Started Program::start_ports() {
    for (const auto& context : ports_) {
        port::Port& port = *context->port;
        if (auto started = port.start(pool_); !started) {
            return fail(Message::kPortFailed, started.error());
        }
        for (const std::string& warning : port.warnings()) log(Message::kPortWarning, warning);
        const std::string ring = "kernel " + std::to_string(context->number);
        context->to_kernel = rte_ring_create(ring.c_str(), kRingSize, SOCKET_ID_ANY, RING_F_SC_DEQ);
        if (context->to_kernel == nullptr) {
            return fail(Message::kNoMemory, "ring " + ring + ": " + rte_strerror(rte_errno));
        }
        context->link = port.link();
        context->transmit.link_up = context->link.up;
        state_->writer().set_port(context->number, port.mac(), port.mtu());
        connect_port(*context);
        log(Message::kPortStarted,
            "port " + port.name() + ": " + port.config().device + ", driver " + port.driver() +
                " (" + port.pmd_config().name + "), address " + port.mac().to_string() + ", MTU " +
                std::to_string(port.mtu()) + ", " + std::to_string(port.rx_queues()) +
                " receive and " + std::to_string(port.tx_queues()) + " transmit queue(s)");
    }
    return {};
}

/// Receive queues go round the workers; each worker has a transmit queue, shared if they are few.
void Program::connect_port(PortContext& context) {
    const port::Port& port = *context.port;
    const auto workers = static_cast<std::uint16_t>(workers_.size());
    if (const auto queue = port.signalling_queue()) {
        workers_[port.signalling_worker()]->add_receive_queue(
            context.number, port.id(), *queue, {.first = true, .look_ahead = port.look_ahead()});
    }
    for (std::uint16_t queue = 0; queue < port.rx_queues(); ++queue) {
        workers_[port.worker_of_queue(queue)]->add_receive_queue(
            context.number, port.id(), queue, {.first = false, .look_ahead = port.look_ahead()});
    }
    for (std::uint16_t worker = 0; worker < workers; ++worker) {
        workers_[worker]->transmitter().attach(
            context.number, port.id(), static_cast<std::uint16_t>(worker % port.tx_queues()),
            port.tx_queues() < workers, context.transmit);
        workers_[worker]->set_port(
            context.number,
            {.mac = port.mac(),
             .mtu = port.mtu(),
             .in_use = 1,
             .tx_ipv4_checksum = static_cast<std::uint8_t>(port.tx_ipv4_checksum() ? 1 : 0),
             .tx_udp_checksum = static_cast<std::uint8_t>(port.tx_udp_checksum() ? 1 : 0),
             .rx_ipv4_checksum = static_cast<std::uint8_t>(port.rx_ipv4_checksum() ? 1 : 0),
             .to_kernel = context.to_kernel});
    }
}

Program::Started Program::open_taps() {
    for (const auto& context : ports_) {
        const port::Port& port = *context->port;
        auto tap = port::ExceptionTap::open(port.config().tap, port.mac(), port.mtu());
        if (!tap) return fail(Message::kTapFailed, "port " + port.name() + ": " + tap.error());
        context->tap = std::move(*tap);
        context->tap->set_carrier(context->link.up);
        for (const std::string& warning : context->tap->warnings()) {
            log(Message::kTapWarning, "port " + port.name() + ": " + warning);
        }
    }
    return {};
}

Program::Started Program::open_channel() {
    channel::ServerConfig config;
    config.socket_path = config_.channel_socket;
    config.build_id = HOMEPORT_VERSION;
    if (!config_.channel_group.empty()) {
        std::array<char, 4096> room{};
        group entry{};
        group* found = nullptr;
        if (getgrnam_r(config_.channel_group.c_str(), &entry, room.data(), room.size(), &found) !=
                0 ||
            found == nullptr) {
            return fail(Message::kBadConfiguration, "dataplane.channel_group: there is no group '" +
                                                        config_.channel_group + "'");
        }
        config.socket_group = entry.gr_gid;
    }
    // Where no service manager made it (RuntimeDirectory=).
    std::error_code ignored;
    std::filesystem::create_directory(std::filesystem::path(config_.channel_socket).parent_path(),
                                      ignored);
    auto server = channel::Server::open(std::move(config), statistics_->region());
    if (!server) return fail(Message::kChannelSocket, server.error().text);
    server_ = std::make_unique<channel::Server>(std::move(*server));
    return {};
}

namespace {

struct Launch {
    WorkerContext* worker;
    const std::atomic<bool>* stop;
    std::uint32_t idle_backoff_us;
};

int run_worker(void* argument) {
    const auto* const launch = static_cast<const Launch*>(argument);
    launch->worker->run(*launch->stop, launch->idle_backoff_us);
    return 0;
}

}  // namespace

void Program::run(const std::atomic<bool>& stop) {
    const auto workers = static_cast<std::uint32_t>(workers_.size());
    main_ = std::make_unique<MainLcore>(MainSetup{.state = *state_,
                                                  .ipsec = *ipsec_,
                                                  .workers = workers_,
                                                  .ports = ports_,
                                                  .statistics = *statistics_,
                                                  .own_statistics = statistics_->worker(workers),
                                                  .server = *server_,
                                                  .waker = *waker_,
                                                  .trace_session = trace_session_,
                                                  .pool = pool_,
                                                  .jumbo_pool = jumbo_pool_});
    start_telemetry(*statistics_, ports_);
    std::vector<Launch> launches;
    for (const auto& worker : workers_) {
        launches.push_back({worker.get(), &stop, config_.idle_backoff_us});
    }
    for (std::size_t i = 0; i < launches.size(); ++i) {
        rte_eal_remote_launch(run_worker, &launches[i], lcores_.workers[i]);
    }
    log(Message::kStarted, std::to_string(ports_.size()) + " ports, " + std::to_string(workers) +
                               " worker(s), channel " + config_.channel_socket);
    main_->run(stop);
    log(Message::kStopping, "draining");
    rte_eal_mp_wait_lcore();
    main_->drain();
    stop_telemetry();
}

Program::~Program() {
    main_.reset();
    server_.reset();
    for (const auto& port : ports_) {
        port->tap.reset();
        port->port->stop();
    }
    workers_.clear();
    for (const auto& port : ports_) {
        if (port->to_kernel == nullptr) continue;
        void* frame = nullptr;
        while (rte_ring_dequeue(port->to_kernel, &frame) == 0) {
            rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
        }
        rte_ring_free(port->to_kernel);
    }
    ports_.clear();
    ipsec_.reset();
    state_.reset();
    if (jumbo_pool_ != nullptr) rte_mempool_free(jumbo_pool_);
    if (pool_ != nullptr) rte_mempool_free(pool_);
    if (eal_started_) rte_eal_cleanup();
}

}  // namespace homeport::core
