// SPDX-License-Identifier: BSD-3-Clause
// Mobile nodes that move while they are called: how long it takes from a Binding Update on the wire
// to its acknowledgement, and to the first data packet that goes to the new care-of address.
// tools/traffic/path-change runs it.
//
//   movers NODES OTHERS RATE SECONDS EAL-ARGUMENTS...
//
// One DPDK port, whose other end is the home agent's. NODES mobile nodes and OTHERS, which carry
// the traffic beside and never move, register; then RATE updates a second, each of another node
// from another care-of address, plain, with a Home Address option (P5). From then on until it
// arrives behind a tunnel header with the new address (P1) a packet to that node is sent every few
// microseconds. All clocks are this program's: what the wire, its port and its own pauses take is
// in the figures. Prints a line of JSON.
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace {

using namespace homeport;  // NOLINT(google-build-using-namespace): a small program

constexpr unsigned kWords = 5;
constexpr double kProbeEvery = 5e-6;    // seconds, at first; then a fiftieth of the time waited
constexpr double kGivesUp = 0.2;        // seconds, for one update
constexpr double kRegistration = 20.0;  // seconds, for all nodes at the beginning
constexpr std::uint8_t kAcknowledgement = 6;
const MacAddress kPortMac{{0x02, 0x48, 0x50, 0, 0, 0x02}};
const MacAddress kOwnMac{{0x02, 0, 0, 0, 0, 0x0a}};
const Ipv6Address kHomeAgent = *Ipv6Address::parse("2001:db8:1::1");
const Ipv6Address kFirstNode = *Ipv6Address::parse("2001:db8:1:2::");
const Ipv6Address kFirstOther = *Ipv6Address::parse("2001:db8:1:1::1000");
const Ipv6Address kCareOf = *Ipv6Address::parse("2001:db8:a::");
const Ipv6Address kOthersCareOf = *Ipv6Address::parse("2001:db8:e::200");
const Ipv6Address kCorrespondent = *Ipv6Address::parse("2001:db8:3::300");

[[noreturn]] void fail_with(const std::string& text) {
    std::fprintf(stderr, "movers: %s\n", text.c_str());
    std::exit(1);
}

Ipv6Address plus(Ipv6Address address, std::uint64_t low) {
    store_be64(address.bytes.data() + 8, address.low() + low);
    return address;
}

struct Node {
    std::uint64_t sent_at = 0, probed_at = 0;  // TSC
    std::uint32_t moves = 0;                   // number of its care-of address
    std::uint16_t sequence = 0;
    bool is_bound = false;
    bool awaits_answer = false, awaits_data = false;
};

class Movers {
  public:
    Movers(std::uint32_t nodes, std::uint32_t others, double rate);
    void register_all(std::uint32_t others);
    void move(double seconds);
    void print() const;

  private:
    void send(ConstByteSpan ip_packet);
    void send_update(const Ipv6Address& home, const Ipv6Address& care_of, std::uint16_t sequence);
    void update(std::uint32_t index);
    void probe();
    void receive();
    void take(ConstByteSpan frame, std::uint64_t now);
    [[nodiscard]] Ipv6Address care_of(std::uint32_t index) const {
        return plus(kCareOf, std::uint64_t{index} << 32 | nodes_[index].moves);
    }
    /// The node whose present care-of address it is; null: of none.
    [[nodiscard]] Node* at(const Ipv6Address& care_of_address) {
        const std::uint64_t index = care_of_address.low() >> 32;
        if (care_of_address.high() != kCareOf.high() || index >= nodes_.size()) return nullptr;
        Node& node = nodes_[index];
        return static_cast<std::uint32_t>(care_of_address.low()) == node.moves ? &node : nullptr;
    }
    [[nodiscard]] double microseconds(std::uint64_t cycles) const {
        return static_cast<double>(cycles) * 1e6 / hz_;
    }

    double rate_;
    double hz_ = static_cast<double>(rte_get_tsc_hz());
    rte_mempool* pool_;
    std::vector<Node> nodes_;
    std::deque<std::uint32_t> moving_;  // an answer or data is awaited
    std::vector<double> answer_us_, data_us_;
    std::uint64_t updates_ = 0, no_answer_ = 0, no_data_ = 0, refused_ = 0, left_out_ = 0;
    std::uint64_t not_sent_ = 0, probes_ = 0;
};

Movers::Movers(std::uint32_t nodes, std::uint32_t others, double rate)
    : rate_(rate),
      pool_(rte_pktmbuf_pool_create("movers", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0)),
      nodes_(nodes) {
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    if (pool_ == nullptr || rte_eth_dev_configure(0, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(0, 0, 1024, 0, nullptr, pool_) != 0 ||
        rte_eth_tx_queue_setup(0, 0, 1024, 0, nullptr) != 0 || rte_eth_dev_start(0) != 0) {
        fail_with("the port cannot be set up");
    }
    rte_eth_link link;
    std::memset(&link, 0, sizeof link);
    for (unsigned tries = 0; link.link_status != RTE_ETH_LINK_UP; ++tries) {
        if (tries == 1000) fail_with("no link within 10 s");
        rte_delay_us_sleep(10000);
        (void)rte_eth_link_get_nowait(0, &link);
    }
    register_all(others);
}

void Movers::send(ConstByteSpan ip_packet) {
    const auto frame = wire::ethernet_frame(kPortMac, kOwnMac, ip_packet);
    rte_mbuf* packet = rte_pktmbuf_alloc(pool_);
    if (packet == nullptr) {
        ++not_sent_;
        return;
    }
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size())), frame.data(),
                frame.size());
    if (rte_eth_tx_burst(0, 0, &packet, 1) == 1) return;
    rte_pktmbuf_free(packet);
    ++not_sent_;
}

/// RFC 6275 sections 6.1.7 and 6.3. Checksums are of normal form: from the home address.
void Movers::send_update(const Ipv6Address& home, const Ipv6Address& care_of,
                         std::uint16_t sequence) {
    wire::BindingUpdate message;
    message.acknowledge = message.home_registration = true;
    message.sequence = sequence;
    message.lifetime = {105};
    message.options.emplace_back(wire::AlternateCareOfAddress{care_of});
    const auto normal = wire::mobility_packet(message, home, kHomeAgent);
    std::vector<std::uint8_t> payload{135, 2, 1, 2, 0, 0, 201, 16};  // PadN, then the option
    payload.insert(payload.end(), home.bytes.begin(), home.bytes.end());
    payload.insert(payload.end(), normal.begin() + sizeof(Ipv6Header), normal.end());
    send(wire::ipv6_packet(care_of, kHomeAgent, number(IpProtocol::kDestinationOptions), 64,
                           payload));
}

void Movers::update(std::uint32_t index) {
    Node& node = nodes_[index];
    ++node.moves;
    node.awaits_answer = node.awaits_data = true;
    moving_.push_back(index);
    ++updates_;
    node.sent_at = node.probed_at = rte_rdtsc();
    send_update(plus(kFirstNode, index), care_of(index), ++node.sequence);
}

void Movers::register_all(std::uint32_t others) {
    for (std::uint32_t i = 0; i < others; ++i) {
        send_update(plus(kFirstOther, i), kOthersCareOf, 1);
        rte_delay_us_sleep(200);
        receive();
    }
    const auto end = rte_rdtsc() + static_cast<std::uint64_t>(kRegistration * hz_);
    for (std::uint32_t bound = 0; bound < nodes_.size();) {
        for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].is_bound) continue;
            send_update(plus(kFirstNode, i), care_of(i), ++nodes_[i].sequence);
            rte_delay_us_sleep(200);
            receive();
        }
        rte_delay_us_sleep(20000);
        receive();
        bound = static_cast<std::uint32_t>(std::ranges::count_if(nodes_, &Node::is_bound));
        if (rte_rdtsc() > end) {
            fail_with(std::to_string(bound) + " of " + std::to_string(nodes_.size()) +
                      " nodes registered within 20 s");
        }
    }
}

/// Packets to those who move; gives up those who never arrive.
void Movers::probe() {
    const std::uint64_t now = rte_rdtsc();
    for (std::size_t left = moving_.size(); left != 0; --left) {
        const std::uint32_t index = moving_.front();
        moving_.pop_front();
        Node& node = nodes_[index];
        if (static_cast<double>(now - node.sent_at) > kGivesUp * hz_) {
            no_answer_ += node.awaits_answer;
            no_data_ += node.awaits_data;
            node.awaits_answer = node.awaits_data = false;
        }
        if (!node.awaits_answer && !node.awaits_data) continue;
        moving_.push_back(index);
        // One that waits for long must not fill the ring for the others.
        const double every =
            std::max(kProbeEvery * hz_, static_cast<double>(now - node.sent_at) / 50);
        if (!node.awaits_data || static_cast<double>(now - node.probed_at) < every) continue;
        node.probed_at = now;
        ++probes_;
        send(wire::ipv6_packet(kCorrespondent, plus(kFirstNode, index), 59, 64,
                               std::array<std::uint8_t, 10>{}));
    }
}

void Movers::receive() {
    std::array<rte_mbuf*, 32> frames;
    const std::uint16_t count = rte_eth_rx_burst(0, 0, frames.data(), frames.size());
    const std::uint64_t now = rte_rdtsc();
    for (std::uint16_t i = 0; i < count; ++i) {
        take({rte_pktmbuf_mtod(frames[i], std::uint8_t*), rte_pktmbuf_data_len(frames[i])}, now);
    }
    rte_pktmbuf_free_bulk(frames.data(), count);
}

void Movers::take(ConstByteSpan frame, std::uint64_t now) {
    constexpr std::size_t kRoutingHeader = 24;  // of type 2
    if (frame.size() < sizeof(EthernetHeader) + sizeof(Ipv6Header)) return;
    const ConstByteSpan packet = frame.subspan(sizeof(EthernetHeader));
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data());
    Node* const node = at(ip.destination);
    if (node == nullptr) return;
    const ConstByteSpan upper = packet.subspan(sizeof(Ipv6Header));
    if (ip.next_header == number(IpProtocol::kIpv6) && node->awaits_data) {
        node->awaits_data = false;
        data_us_.push_back(microseconds(now - node->sent_at));
        return;
    }
    if (ip.next_header != number(IpProtocol::kRouting) || upper.size() < kRoutingHeader + 12 ||
        upper[0] != number(IpProtocol::kMobility) ||
        upper[kRoutingHeader + 2] != kAcknowledgement) {
        return;
    }
    if (upper[kRoutingHeader + 6] >= 128) {
        ++refused_;
        return;
    }
    node->is_bound = true;
    if (!node->awaits_answer || load_be16(&upper[kRoutingHeader + 8]) != node->sequence) return;
    node->awaits_answer = false;
    answer_us_.push_back(microseconds(now - node->sent_at));
}

void Movers::move(double seconds) {
    const std::uint64_t begin = rte_rdtsc();
    const auto length = static_cast<std::uint64_t>(seconds * hz_);
    std::uint32_t next = 0;
    std::uint64_t due_before = 0;
    for (std::uint64_t now = begin; now - begin < length || !moving_.empty(); now = rte_rdtsc()) {
        const auto due = static_cast<std::uint64_t>(static_cast<double>(now - begin) * rate_ / hz_);
        if (due > due_before && now - begin < length) {
            // What was not sent in time, because this program had no CPU, is left out.
            left_out_ += due - due_before - 1;
            due_before = due;
            Node& node = nodes_[next];
            node.awaits_answer || node.awaits_data ? void(++left_out_) : update(next);
            next = next + 1 < nodes_.size() ? next + 1 : 0;
        }
        receive();
        probe();
    }
}

void Movers::print() const {
    const auto percentiles = [](std::vector<double> values) {
        std::ranges::sort(values);
        nlohmann::json out;
        for (const auto& [name, part] :
             {std::pair("p50", 0.5), std::pair("p90", 0.9), std::pair("p99", 0.99),
              std::pair("p99.9", 0.999), std::pair("max", 1.0)}) {
            const auto last = static_cast<double>(values.empty() ? 0 : values.size() - 1);
            out[name] = values.empty() ? 0.0 : values[static_cast<std::size_t>(part * last + 0.5)];
        }
        return out;
    };
    const nlohmann::json out{{"updates", updates_},
                             {"left_out", left_out_},
                             {"no_answer", no_answer_},
                             {"no_data", no_data_},
                             {"refused", refused_},
                             {"not_sent", not_sent_},
                             {"probes", probes_},
                             {"answer_us", percentiles(answer_us_)},
                             {"data_us", percentiles(data_us_)}};
    std::printf("%s\n", out.dump().c_str());
}

double number_of(const char* word, double least, double most, const char* what) {
    const double value = std::strtod(word, nullptr);
    if (!(value >= least && value <= most)) fail_with(std::string(word) + ": expected " + what);
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < static_cast<int>(kWords)) {
        fail_with("expected NODES OTHERS RATE SECONDS and arguments of EAL");
    }
    const auto nodes = static_cast<std::uint32_t>(number_of(argv[1], 1, 1e6, "a number of nodes"));
    const auto others = static_cast<std::uint32_t>(number_of(argv[2], 0, 1e6, "a number of nodes"));
    const double rate = number_of(argv[3], 1, 1e6, "updates a second");
    const double seconds = number_of(argv[4], 0.1, 600, "seconds");
    argv[kWords - 1] = argv[0];
    if (rte_eal_init(argc - static_cast<int>(kWords) + 1, argv + kWords - 1) < 0) return 1;
    Movers movers(nodes, others, rate);
    std::printf("{\"ready\": true}\n");
    std::fflush(stdout);
    (void)std::getchar();
    movers.move(seconds);
    movers.print();
    std::fflush(stdout);
    _exit(0);  // nothing here is worth an orderly end of DPDK
}
