// SPDX-License-Identifier: BSD-3-Clause
#include "tests/golden/fixture.hpp"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "dataplane/port/tx_stage.hpp"
#include "dataplane/punt/punt_stages.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "tests/unit/stage/eal.hpp"

namespace homeport::golden {

using channel::Counter;
using channel::CounterKind;
using stage::StageId;

// --------------------------------------------------------------------- stages that are not there

namespace {

struct Collected {
    StageId stage;
    rte_mbuf* packet;
};
/// Filled inside stages, where nothing may be allocated.
std::array<Collected, 65536> g_collected;
std::size_t g_collected_count = 0;

template <std::size_t kId>
void collect(stage::Worker& worker, stage::Batch& in, stage::Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        if (g_collected_count == g_collected.size()) {
            out.drop(in.packets[i], Counter::kNoBuffer);
            continue;
        }
        worker.count(Counter::kAbsorbed);
        g_collected[g_collected_count++] = {static_cast<StageId>(kId), in.packets[i]};
    }
}

template <std::size_t... kIds>
constexpr auto collectors(std::index_sequence<kIds...>) {
    return std::array<stage::StageFunction, sizeof...(kIds)>{collect<kIds>...};
}
constexpr auto kCollectors = collectors(std::make_index_sequence<stage::kStageCount>());

Bytes bytes_of(const rte_mbuf* packet) {
    Bytes bytes(rte_pktmbuf_pkt_len(packet));
    const void* const start =
        rte_pktmbuf_read(packet, 0, rte_pktmbuf_pkt_len(packet), bytes.data());
    if (start != bytes.data() && !bytes.empty()) std::memcpy(bytes.data(), start, bytes.size());
    return bytes;
}

channel::WireAddress wire_address(std::string_view text) {
    const auto address = parse_ip_address(text);
    EXPECT_TRUE(address) << "not an address: " << text;
    return address ? channel::WireAddress(*address) : channel::WireAddress{};
}

}  // namespace

// --------------------------------------------------------------------------------------- helpers

MacAddress port_mac(std::uint16_t port) {
    return {{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(port + 1)}};
}

MacAddress host_mac(std::uint16_t port, std::uint8_t host) {
    return {{0x02, 0, 0, 1, static_cast<std::uint8_t>(port + 1), host}};
}

namespace {

Bytes framed(const MacAddress& destination, const MacAddress& source,
             std::span<const std::uint8_t> packet) {
    Bytes frame(sizeof(EthernetHeader) + packet.size());
    destination.store(frame.data());
    source.store(frame.data() + 6);
    const bool is_v4 = !packet.empty() && packet[0] >> 4 == 4;
    store_be16(frame.data() + 12, is_v4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
    std::ranges::copy(packet, frame.begin() + sizeof(EthernetHeader));
    return frame;
}

}  // namespace

Bytes to_port(std::uint16_t port, std::span<const std::uint8_t> packet) {
    return framed(port_mac(port), host_mac(port), packet);
}

Bytes from_port(std::uint16_t port, std::span<const std::uint8_t> packet, std::uint8_t host) {
    return framed(host_mac(port, host), port_mac(port), packet);
}

Bytes packet_in(const Bytes& frame) {
    if (frame.size() < sizeof(EthernetHeader)) return {};
    return {frame.begin() + sizeof(EthernetHeader), frame.end()};
}

Bytes from_hex(std::string_view text) {
    Bytes bytes;
    int high = -1;
    for (const char c : text) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) continue;
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<std::uint8_t>(high << 4 | digit));
            high = -1;
        }
    }
    return bytes;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::uint64_t Result::dropped() const {
    std::uint64_t sum = 0;
    for (const channel::CounterDescription& counter : channel::kCounters) {
        if (counter.kind == CounterKind::kDrop) sum += count(counter.name);
    }
    return sum;
}

std::string Result::to_string() const {
    std::string text;
    for (const auto& [name, value] : counters) {
        text += (text.empty() ? "" : ", ") + name + " " + std::to_string(value);
    }
    return text;
}

// ----------------------------------------------------------------------------------------- set-up

void DataPlaneTest::SetUpTestSuite() {
    testing::start_eal();
}

void DataPlaneTest::start(const Options& options) {
    ASSERT_EQ(context_, nullptr) << "start() is for once a test";
    config::DataplaneConfig config;
    config.max_bindings = options.max_bindings;
    config.max_routes = 4096;
    config.max_adjacencies = 4096;
    config.max_sas = 4096;
    config.reassembly = options.reassembly;
    config.ipsec.copy_mode = options.ipsec_copy_mode || matrix_.copy_mode();

    pool_ =
        rte_pktmbuf_pool_create("golden", 8191, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
    jumbo_pool_ =
        rte_pktmbuf_pool_create("golden jumbo", 1023, 0, 0,
                                channel::kMaxPacket + 128 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
    ASSERT_NE(pool_, nullptr) << rte_strerror(rte_errno);
    ASSERT_NE(jumbo_pool_, nullptr) << rte_strerror(rte_errno);
    auto state = core::SharedState::create(config, 1);
    ASSERT_TRUE(state) << state.error();
    state_ = std::move(*state);
    state_->set_ready();
    ipsec_ = std::make_unique<core::IpsecWriter>(*state_, workers_, config.max_sas);
    applier_ = std::make_unique<core::CommandApplier>(*state_, *ipsec_,
                                                      static_cast<core::CommandSink&>(*this));

    build_graph(options);
    auto statistics = channel::StatisticsWriter::create({.stages = stage::stage_names(),
                                                         .edges = stage::edge_names(graph_),
                                                         .workers = 1,
                                                         .adjacencies = config.max_adjacencies,
                                                         .sas = config.max_sas,
                                                         .bindings = config.max_bindings,
                                                         .tsc_hz = 1});
    ASSERT_TRUE(statistics) << statistics.error().text;
    statistics_ = std::make_unique<channel::StatisticsWriter>(std::move(*statistics));
    auto context = core::WorkerContext::create(config, *state_,
                                               {.count = workers_,
                                                .name_suffix = " golden",
                                                .statistics = statistics_->worker(0),
                                                .pool = pool_,
                                                .jumbo_pool = jumbo_pool_,
                                                .stages = graph_,
                                                .trace_session = &trace_session_});
    ASSERT_TRUE(context) << context.error();
    context_ = std::move(*context);
    if (workers_ > 1) {
        other_rings_[0] = rte_ring_create("golden other", 64, SOCKET_ID_ANY, 0);
        other_rings_[1] = rte_ring_create("golden signalling other", 64, SOCKET_ID_ANY, 0);
        worker().to_worker[1] = other_rings_[0];
        worker().signalling_to_worker[1] = other_rings_[1];
    }
    matrix_.take_place(context_->worker());
    if (!forwards_) context_->worker().route_cache = nullptr;
    for (std::uint16_t port = 0; port < options.ports; ++port) make_port(port, options);
    // Tests are not about the rates that are the default.
    channel::ParametersSet parameters;
    parameters.icmp_errors_per_second = parameters.punt_packets_per_second =
        parameters.kernel_packets_per_second = 10000000;
    apply(parameters);
}

namespace {

bool g_express = true;

/// All packets go to parse, or those that the stage leaves.
void express_or_not(stage::Worker& worker, stage::Batch& in, stage::Edges& out) {
    if (g_express) {
        tunnel::kExpressStage.function(worker, in, out);
    } else {
        out.to_all(0u, in);
    }
}

}  // namespace

void DataPlaneTest::use_express(bool on) {
    g_express = on;
}

void DataPlaneTest::start_trace(std::uint32_t packets) {
    ASSERT_TRUE(context_->tracer()->set_filter({}));
    trace_session_.start(packets);
}

std::vector<std::string> DataPlaneTest::traced_steps() {
    std::vector<std::string> steps;
    while (const auto step = context_->tracer()->read()) {
        steps.push_back(std::string(step->stage) + " " + std::string(step->edge));
    }
    return steps;
}

std::uint64_t DataPlaneTest::given_to(std::string_view edge) {
    const std::vector<std::string> names = stage::edge_names(graph_);
    const auto at = std::ranges::find(names, edge);
    EXPECT_NE(at, names.end()) << edge;
    return statistics_->worker(0).edges[at - names.begin()];
}

/// Packets are as the worker gives them to its stages. Where the stages that express takes the
/// place of are not all there, or the matrix says so, it gives everything to parse.
void DataPlaneTest::add_express(std::array<bool, stage::kStageCount>& present) {
    bool all = matrix_.express();
    for (const StageId id : {StageId::kParse, StageId::kClassify, StageId::kIntercept,
                             StageId::kIpsecOut, StageId::kTunnelIn, StageId::kIpsecIn}) {
        all = all && present[static_cast<std::size_t>(id)];
    }
    use_express(all);
    graph_.push_back(tunnel::kExpressStage);
    graph_.back().function = express_or_not;
    present[static_cast<std::size_t>(StageId::kExpress)] = true;
    forwards_ = present[static_cast<std::size_t>(StageId::kForward)];
}

void DataPlaneTest::build_graph(const Options& options) {
    std::array<bool, stage::kStageCount> present{};
    for (const stage::StageDescription* stage : options.stages) {
        graph_.push_back(*stage);
        present[static_cast<std::size_t>(stage->id)] = true;
        EXPECT_EQ(stage::stage_names()[static_cast<std::size_t>(stage->id)], stage->name);
    }
    add_express(present);
    for (const stage::StageDescription* stage :
         {&punt::kToControlStage, &punt::kToKernelStage, &port::kTxStage}) {
        if (std::exchange(present[static_cast<std::size_t>(stage->id)], true)) continue;
        graph_.push_back(*stage);
    }
    for (std::size_t id = 0; id < stage::kStageCount; ++id) {
        if (present[id]) continue;
        graph_.push_back({.id = static_cast<StageId>(id),
                          .name = "collected",
                          .function = kCollectors[id],
                          .edges = {},
                          .edge_count = 0});
    }
}

std::uint16_t ring_device(const std::string& name, rte_mempool* pool) {
    std::uint16_t device = 0;
    if (rte_eth_dev_get_port_by_name(name.c_str(), &device) == 0) return device;
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    EXPECT_EQ(rte_dev_probe(name.c_str()), 0) << name;
    EXPECT_EQ(rte_eth_dev_get_port_by_name(name.c_str(), &device), 0);
    EXPECT_EQ(rte_eth_dev_configure(device, 1, 1, &conf), 0);
    EXPECT_EQ(rte_eth_rx_queue_setup(device, 0, 512, 0, nullptr, pool), 0);
    EXPECT_EQ(rte_eth_tx_queue_setup(device, 0, 512, 0, nullptr), 0);
    EXPECT_EQ(rte_eth_dev_start(device), 0);
    return device;
}

void DataPlaneTest::make_port(std::uint16_t port, const Options& options) {
    PortState state;
    state.device = ring_device("net_ring_golden" + std::to_string(port), pool_);
    state.to_kernel = rte_ring_create(("golden kernel" + std::to_string(port)).c_str(), 4096,
                                      SOCKET_ID_ANY, RING_F_SC_DEQ);
    ASSERT_NE(state.to_kernel, nullptr);
    state.shared = std::make_unique<port::TransmitPort>();
    context_->transmitter().attach(port, state.device, 0, false, *state.shared);
    context_->set_port(port, {.mac = port_mac(port),
                              .mtu = options.mtu,
                              .in_use = 1,
                              .tx_ipv4_checksum = static_cast<std::uint8_t>(offloads_ ? 1 : 0),
                              .tx_udp_checksum = static_cast<std::uint8_t>(offloads_ ? 1 : 0),
                              .to_kernel = state.to_kernel});
    state_->writer().set_port(port, port_mac(port), options.mtu);
    ports_.push_back(std::move(state));
}

void DataPlaneTest::TearDown() {
    context_.reset();
    for (rte_ring* ring : other_rings_) {
        void* packet = nullptr;
        while (ring != nullptr && rte_ring_dequeue(ring, &packet) == 0) {
            rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
        }
        rte_ring_free(ring);
    }
    for (PortState& port : ports_) rte_ring_free(port.to_kernel);
    applier_.reset();
    ipsec_.reset();
    state_.reset();
    statistics_.reset();
    for (rte_mempool* pool : {pool_, jumbo_pool_}) {
        if (pool == nullptr) continue;
        EXPECT_EQ(rte_mempool_in_use_count(pool), 0u) << "packets leaked from pool " << pool->name;
        rte_mempool_free(pool);
    }
}

// --------------------------------------------------------------------------------------- commands

/// What the main lcore does in its spare time, until nothing is left to do.
void DataPlaneTest::settle() {
    while (state_->writer().poll(0, 1u << 20)) {
    }
    context_->refresh();
}

void DataPlaneTest::add_address(std::uint16_t port, std::string_view address,
                                std::uint8_t prefix_length, bool is_home_agent_address) {
    channel::AddressSet record;
    record.address = wire_address(address);
    record.port = port;
    record.prefix_length = prefix_length;
    record.is_home_agent_address = is_home_agent_address ? 1 : 0;
    apply(record);
}

void DataPlaneTest::add_route(std::string_view prefix, std::uint16_t port,
                              std::string_view next_hop) {
    channel::RouteSet record;
    const std::size_t slash = prefix.find('/');
    record.prefix = wire_address(prefix.substr(0, slash));
    record.prefix_length =
        static_cast<std::uint8_t>(std::stoi(std::string(prefix.substr(slash + 1))));
    if (!next_hop.empty()) record.next_hop = wire_address(next_hop);
    record.port = port;
    apply(record);
}

void DataPlaneTest::add_neighbour(std::uint16_t port, std::string_view address, std::uint8_t host) {
    channel::NeighbourSet record;
    record.address = wire_address(address);
    record.mac = host_mac(port, host);
    record.port = port;
    apply(record);
}

void DataPlaneTest::set_policies(std::span<const channel::PolicyRecord> policies) {
    channel::SpdReplace record;
    record.count = static_cast<std::uint32_t>(policies.size());
    apply(record, {reinterpret_cast<const std::uint8_t*>(policies.data()), policies.size_bytes()});
}

void DataPlaneTest::bypass_all() {
    channel::PolicyRecord policy;
    policy.id = 1;
    policy.action = channel::PolicyAction::kBypass;
    set_policies(std::span(&policy, 1));
}

// ----------------------------------------------------------------------------------------- packets

rte_mbuf* DataPlaneTest::make_mbuf(std::span<const std::uint8_t> bytes) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(bytes.size() > 2048 - 128 ? jumbo_pool_ : pool_);
    if (packet == nullptr) return nullptr;
    // Notes and buffer are as full of rubbish as those of a driver.
    stage::meta(packet) = {};
    std::memset(&stage::meta(packet), 0xa5, sizeof(stage::PacketMeta));
    void* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(bytes.size()));
    if (room == nullptr) {
        rte_pktmbuf_free(packet);
        return nullptr;
    }
    if (!bytes.empty()) std::memcpy(room, bytes.data(), bytes.size());
    packet->ol_flags |= received_flags_;
    return packet;
}

void DataPlaneTest::begin() {
    for (std::size_t i = 0; i < channel::kCounterCount; ++i) {
        before_[i] = worker().counters[i] + main_counters_[i];
    }
    held_before_ = rte_mempool_in_use_count(pool_) + rte_mempool_in_use_count(jumbo_pool_);
    g_collected_count = 0;
}

Result DataPlaneTest::end() {
    Result result;
    result.sent.resize(ports_.size());
    result.kernel.resize(ports_.size());
    collect_ports(result);
    collect_punts(result);
    collect_arrivals(result);
    for (std::size_t i = 0; i < channel::kCounterCount; ++i) {
        const std::uint64_t rose = worker().counters[i] + main_counters_[i] - before_[i];
        if (rose != 0) result.counters.emplace(channel::kCounters[i].name, rose);
    }
    result.held = rte_mempool_in_use_count(pool_) + rte_mempool_in_use_count(jumbo_pool_);
    check_invariant(result);
    return result;
}

namespace {

/// What a network interface does with the flags of a packet that it sends. True: there were some.
bool put_in_checksums(rte_mbuf* packet) {
    const std::uint64_t wanted =
        packet->ol_flags & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK);
    if (wanted == 0) return false;
    auto* const ip = rte_pktmbuf_mtod_offset(packet, std::uint8_t*, packet->l2_len);
    if ((wanted & RTE_MBUF_F_TX_IP_CKSUM) != 0) {
        auto* const header = reinterpret_cast<rte_ipv4_hdr*>(ip);
        EXPECT_EQ(header->hdr_checksum, 0);
        header->hdr_checksum = rte_ipv4_cksum(header);
    }
    if ((wanted & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM) {
        auto* const udp = reinterpret_cast<rte_udp_hdr*>(ip + packet->l3_len);
        const auto sum =
            static_cast<std::uint16_t>(~rte_raw_cksum(udp, rte_be_to_cpu_16(udp->dgram_len)));
        udp->dgram_cksum = sum == 0 ? std::uint16_t{0xffff} : sum;
    }
    return true;
}

}  // namespace

void DataPlaneTest::collect_ports(Result& result) {
    bool more = true;
    while (more) {
        more = !context_->transmitter().flush();
        for (std::size_t port = 0; port < ports_.size(); ++port) {
            rte_mbuf* packet = nullptr;
            while (rte_eth_rx_burst(ports_[port].device, 0, &packet, 1) == 1) {
                if (put_in_checksums(packet)) ++result.offloaded;
                result.sent[port].push_back(bytes_of(packet));
                rte_pktmbuf_free(packet);
            }
        }
    }
    for (std::size_t port = 0; port < ports_.size(); ++port) {
        void* packet = nullptr;
        while (rte_ring_dequeue(ports_[port].to_kernel, &packet) == 0) {
            result.kernel[port].push_back(bytes_of(static_cast<rte_mbuf*>(packet)));
            rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
            count(Counter::kToKernel);
        }
    }
}

void DataPlaneTest::collect_punts(Result& result) {
    void* element = nullptr;
    while (rte_ring_dequeue(context_->to_control(), &element) == 0) {
        auto* const packet = static_cast<rte_mbuf*>(element);
        result.punted.push_back({punt::punt_of(packet), bytes_of(packet)});
        rte_pktmbuf_free(packet);
        count(Counter::kToControl);
    }
    stage::MainRequest request;
    while (rte_ring_dequeue_elem(context_->to_main(), &request, sizeof request) == 0) {
        result.requests.push_back(request);
    }
}

void DataPlaneTest::collect_arrivals(Result& result) {
    for (std::size_t i = 0; i < g_collected_count; ++i) {
        const auto [id, packet] = g_collected[i];
        result.arrived[id].push_back({stage::meta(packet), bytes_of(packet)});
        rte_pktmbuf_free(packet);
    }
    g_collected_count = 0;
}

void DataPlaneTest::check_invariant(const Result& result) {
    std::int64_t balance = 0;
    for (const channel::CounterDescription& counter : channel::kCounters) {
        const auto n = static_cast<std::int64_t>(result.count(counter.name));
        if (counter.kind == CounterKind::kReceived) balance += n;
        if (counter.kind == CounterKind::kForwarded || counter.kind == CounterKind::kDelivered ||
            counter.kind == CounterKind::kDrop) {
            balance -= n;
        }
    }
    const auto held =
        static_cast<std::int64_t>(result.held) - static_cast<std::int64_t>(held_before_);
    EXPECT_EQ(balance, held) << "received = forwarded + delivered + dropped + held does not hold: "
                             << result.to_string() << ", held " << held;
}

void DataPlaneTest::set_path_mtu(std::uint32_t spi, const IpAddress& peer, std::uint16_t path_mtu) {
    if (matrix_.set_path_mtu(peer, path_mtu)) return;
    const ipsec::SecurityAssociation* const sa =
        ipsec_->find({spi, channel::SaDirection::kOutbound, channel::WireAddress(peer)});
    ASSERT_NE(sa, nullptr);
    EXPECT_TRUE(state_->sad().set_path_mtu(sa->handle(), path_mtu));
}

Result DataPlaneTest::feed(std::span<const Frame> frames, unsigned batch) {
    begin();
    std::vector<rte_mbuf*> together;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        rte_mbuf* const packet = make_mbuf(frames[i].bytes);
        EXPECT_NE(packet, nullptr);
        if (packet != nullptr) together.push_back(packet);
        const bool last = i + 1 == frames.size() || frames[i + 1].port != frames[i].port;
        if (!last && together.size() < batch) continue;
        context_->receive(frames[i].port, together);
        together.clear();
    }
    return end();
}

Result DataPlaneTest::feed(std::uint16_t port, std::span<const Bytes> frames, unsigned batch) {
    std::vector<Frame> all;
    for (const Bytes& frame : frames) all.push_back({port, frame});
    return feed(all, batch);
}

std::uint16_t DataPlaneTest::add_queue_device(std::uint16_t number) {
    return ring_device("net_ring_golden" + std::to_string(number), pool_);
}

Result DataPlaneTest::feed_queues(const std::vector<std::pair<std::uint16_t, Bytes>>& frames) {
    begin();
    for (const auto& [device, bytes] : frames) {
        rte_mbuf* packet = make_mbuf(bytes);
        EXPECT_NE(packet, nullptr);
        EXPECT_EQ(rte_eth_tx_burst(device, 0, &packet, 1), 1) << "the queue is full";
    }
    context_->poll();
    return end();
}

Result DataPlaneTest::feed_queue(std::uint16_t device, std::span<const Bytes> frames,
                                 unsigned rounds) {
    begin();
    for (const Bytes& bytes : frames) {
        rte_mbuf* packet = make_mbuf(bytes);
        EXPECT_NE(packet, nullptr);
        EXPECT_EQ(rte_eth_tx_burst(device, 0, &packet, 1), 1) << "the queue is full";
    }
    for (unsigned i = 0; i < rounds; ++i) context_->poll();
    return end();
}

std::vector<Arrived> DataPlaneTest::to_other_worker(bool signalling) {
    std::vector<Arrived> taken;
    void* element = nullptr;
    while (rte_ring_dequeue(other_rings_[signalling ? 1 : 0], &element) == 0) {
        auto* const packet = static_cast<rte_mbuf*>(element);
        taken.push_back({stage::meta(packet), bytes_of(packet)});
        rte_pktmbuf_free(packet);
    }
    return taken;
}

bool DataPlaneTest::give(const core::FromMain& order, std::span<const std::uint8_t> bytes) {
    rte_mbuf* const packet = make_mbuf(bytes);
    if (packet == nullptr) return false;
    std::memcpy(packet->buf_addr, &order, sizeof order);
    if (rte_ring_enqueue(context_->from_main(), packet) == 0) return true;
    rte_pktmbuf_free(packet);
    return false;
}

Result DataPlaneTest::feed_from_kernel(std::uint16_t port, const Bytes& frame) {
    begin();
    EXPECT_TRUE(give({.kind = core::FromMain::Kind::kKernelFrame, .port = port}, frame));
    count(Counter::kRxKernel);
    context_->poll();
    return end();
}

Result DataPlaneTest::transmit(const Bytes& packet, channel::WireAddress reply_to,
                               std::uint16_t port) {
    channel::TransmitPacket record;
    record.reply_to = reply_to;
    record.port = port;
    return transmit(packet, record);
}

Result DataPlaneTest::transmit(const Bytes& packet, channel::TransmitPacket record) {
    begin();
    record.length = static_cast<std::uint16_t>(packet.size());
    const table::Applied applied = applier_->apply(record, packet);
    EXPECT_TRUE(applied) << applied.error().text;
    context_->poll();
    return end();
}

Result DataPlaneTest::run_idle(unsigned rounds) {
    begin();
    for (unsigned i = 0; i < rounds; ++i) context_->poll();
    return end();
}

table::Applied DataPlaneTest::transmit(const channel::TransmitPacket& record,
                                       ConstByteSpan packet) {
    if (!give({.kind = core::FromMain::Kind::kPacket,
               .port = record.port,
               .reply_to = record.reply_to,
               .reply_from = record.reply_from,
               .reply_to_port = record.reply_to_port,
               .reply_from_port = record.reply_from_port},
              packet)) {
        return std::unexpected(table::WriteError{channel::CommandError::kNoBuffer, "full"});
    }
    count(Counter::kRxControl);
    return {};
}

table::Applied DataPlaneTest::transmit(const channel::TransmitFrame& record, ConstByteSpan frame) {
    if (!give({.kind = core::FromMain::Kind::kFrame, .port = record.port}, frame)) {
        return std::unexpected(table::WriteError{channel::CommandError::kNoBuffer, "full"});
    }
    count(Counter::kRxControl);
    return {};
}

}  // namespace homeport::golden
