// SPDX-License-Identifier: BSD-3-Clause
// Plays the data plane for a control plane under measurement: hands it Binding Updates in normal
// form, as they come out of IPsec, and takes its commands. tools/traffic/registrations runs it.
//
//   registration-player SOCKET --nodes N [--first ADDRESS] [--home-agent ADDRESS] [--seconds S]
//       [--rate R] [--new PERCENT] [--window W] [--stay]
//
// First each of the N nodes registers, with at most W updates without an answer. Then, for S
// seconds, they refresh their bindings in random order, from another care-of address each time
// (--stay: the same), R updates a second, or as many as W allows if R is 0; PERCENT of the updates
// are then of nodes that were not seen before. Prints a line of JSON for each of the two phases.
// What it checks: each acknowledgement answers the last update of its node, goes to where that came
// from, and stands behind the command that puts the binding in force (S1.13).
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/channel/server.hpp"
#include "dataplane/channel/statistics_writer.hpp"

namespace {

using namespace homeport;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kPatience = 1'000'000'000;  // nanoseconds until a node asks again
/// Without any answer though some are due: from then on it is looked at what the control plane
/// does, and at the end the run is given up.
constexpr std::uint64_t kSilence = 200'000'000;
constexpr std::uint64_t kGivesUp = 20'000'000'000;

struct Options {
    std::string socket;
    std::string first = "2001:db8:1:1::";
    std::string home_agent = "2001:db8:1::1";
    std::uint32_t nodes = 1000;
    double seconds = 3;
    double rate = 0;
    double new_percent = 0;
    std::uint32_t window = 1024;
    bool stay = false;
};

std::uint64_t nanoseconds() {
    return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}

/// Of all threads of a process: CPU time, and time for which they could have run and got no CPU.
struct CpuTimes {
    std::uint64_t ran = 0, waited = 0;  // nanoseconds
};
CpuTimes cpu_times(pid_t pid) {
    CpuTimes sum;
    std::error_code ignored;
    const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks, ignored)) {
        CpuTimes one;
        if (std::ifstream(task.path() / "schedstat") >> one.ran >> one.waited) {
            sum.ran += one.ran;
            sum.waited += one.waited;
        }
    }
    return sum;
}

/// What the threads of a process do: state, and where in the kernel those are that sleep.
std::string doings_of(pid_t pid) {
    const auto first_line = [](const std::filesystem::path& file) {
        std::string line;
        std::ifstream in(file);
        std::getline(in, line);
        return line;
    };
    std::string text;
    std::error_code ignored;
    const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks, ignored)) {
        const std::string stat = first_line(task.path() / "stat");
        const auto name = stat.rfind(')');
        if (!text.empty()) text += "; ";
        text += name == std::string::npos ? "gone" : stat.substr(name + 2, 1);
        text += " " + first_line(task.path() / "wchan");
    }
    return text;
}

/// Times, in buckets that are a thirty-second of their value wide at most.
class Histogram {
  public:
    void add(std::uint64_t value) {
        ++buckets_[bucket_of(value)];
        ++count_;
    }
    /// Nanoseconds; 0 without values.
    [[nodiscard]] double percentile(double percent) const {
        auto left = static_cast<std::uint64_t>(static_cast<double>(count_) * percent / 100);
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            if (buckets_[i] > left) return static_cast<double>(value_of(i));
            left -= buckets_[i];
        }
        return 0;
    }

  private:
    static constexpr unsigned kSteps = 32;
    static std::size_t bucket_of(std::uint64_t value) {
        if (value < kSteps) return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - 6;
        return std::size_t{shift + 1} * kSteps + (value >> shift) - kSteps;
    }
    static std::uint64_t value_of(std::size_t bucket) {
        if (bucket < kSteps) return bucket;
        return (kSteps + bucket % kSteps) << (bucket / kSteps - 1);
    }
    std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(kSteps * 64);
    std::uint64_t count_ = 0;
};

struct Node {
    std::uint64_t sent_at = 0;
    std::uint16_t sequence = 0;
    bool waits = false;
    bool is_bound = false;
    bool is_away = false;       // which of two care-of addresses
    bool is_installed = false;  // the binding of the last update is in force
};

struct Tally {
    std::uint64_t sent = 0, answered = 0, refused = 0, unanswered = 0, ring_full = 0;
    void print(nlohmann::json& to, const std::string& name) const {
        to[name] = {{"sent", sent},
                    {"accepted", answered - refused},
                    {"refused", refused},
                    {"unanswered", unanswered},
                    {"ring_full", ring_full}};
    }
};

class Player {
  public:
    Player(const Options& options, channel::StatisticsWriter& statistics, channel::Server server)
        : options_(options),
          first_(*Ipv6Address::parse(options.first)),
          home_agent_(*Ipv6Address::parse(options.home_agent)),
          statistics_(statistics),
          server_(std::move(server)),
          nodes_(options.nodes) {}

    void run() {
        wait_for_attachment();
        print_ready("register");
        register_all();
        print_ready("refresh");
        refresh();
    }

  private:
    /// Says what comes, and waits until it may: a line on standard input.
    void print_ready(const char* phase) {
        std::cout << nlohmann::json{{"begins", phase}}.dump() << std::endl;
        pollfd input{STDIN_FILENO, POLLIN, 0};
        do {
            poll();
        } while (::poll(&input, 1, 1) == 0);
        std::string line;
        std::getline(std::cin, line);
    }

    void wait_for_attachment() {
        const auto end = Clock::now() + std::chrono::seconds(120);
        while (!synchronized_) {
            poll();
            if (Clock::now() > end) fail("no control plane attached and synchronised in 120 s");
        }
    }

    void register_all() {
        begin_phase();
        for (std::uint32_t i = 0; i < options_.nodes;) {
            if (waiting_ < options_.window && send_update(i, fresh_)) ++i;
            poll();
            if (silent_for() > kGivesUp) fail("no answer for 20 s; the control plane: " + doings_);
        }
        settle();
        end_phase("register");
    }

    void refresh() {
        begin_phase();
        std::mt19937 random(1);
        const auto begin = nanoseconds();
        // What this program did not send in time, because its CPU was taken away, is left out: sent
        // at once it would measure that.
        const auto most_behind = static_cast<std::uint64_t>(std::max(16.0, options_.rate / 1000));
        std::uint64_t left_out = 0;
        const auto length = static_cast<std::uint64_t>(options_.seconds * 1e9);
        std::vector<std::uint32_t> order(options_.nodes);
        std::iota(order.begin(), order.end(), 0u);
        std::shuffle(order.begin(), order.end(), random);
        std::uint32_t next = 0;
        std::uint64_t tried = 0;
        for (std::uint64_t now = begin; now - begin < length; now = nanoseconds()) {
            std::uint64_t due = tried + (waiting_ < options_.window ? 32 : 0);
            if (options_.rate > 0) {
                due = static_cast<std::uint64_t>(static_cast<double>(now - begin) * options_.rate /
                                                 1e9) -
                      left_out;
                if (due > tried + most_behind) {
                    left_out += due - tried - most_behind;
                    due = tried + most_behind;
                }
            }
            due = std::min(due, tried + 64);
            for (; tried < due; ++tried) {
                const bool is_new =
                    options_.new_percent > 0 &&
                    random() % 10000 < static_cast<unsigned>(options_.new_percent * 100);
                if (is_new) {
                    nodes_.emplace_back();
                    send_update(static_cast<std::uint32_t>(nodes_.size() - 1), fresh_);
                    continue;
                }
                const std::uint32_t node = order[next];
                next = next + 1 < options_.nodes ? next + 1 : 0;
                // It would not ask again so soon (RFC 6275 11.8: INITIAL_BINDACK_TIMEOUT).
                const bool holds = nodes_[node].waits && now - nodes_[node].sent_at < kPatience;
                if (!holds) send_update(node, refreshes_);
            }
            poll();
            (void)silent_for();
        }
        sending_took_ = nanoseconds() - begin;
        settle();
        end_phase("refresh");
    }

    /// Waits until all are answered, or two seconds brought no answer.
    void settle() {
        while (waiting_ != 0 && silent_for() < 2 * kPatience) poll();
    }

    /// Nanoseconds since the last answer, or since something waits for one.
    std::uint64_t silent_for() {
        const std::uint64_t now = nanoseconds();
        if (waiting_ == 0 || answers_ != answers_seen_) {
            answers_seen_ = answers_;
            last_answer_ = now;
            looked_ = false;
            return 0;
        }
        const std::uint64_t silent = now - last_answer_;
        if (silent > longest_silence_) longest_silence_ = silent;
        if (silent > kSilence && !looked_) {
            looked_ = true;
            doings_ = doings_of(server_.peer().pid);
        }
        return silent;
    }

    [[nodiscard]] Ipv6Address home_of(std::uint32_t node) const {
        Ipv6Address address = first_;
        store_be64(address.bytes.data() + 8, first_.low() + node);
        return address;
    }
    [[nodiscard]] Ipv6Address care_of(std::uint32_t node) const {
        Ipv6Address address{{0x20, 0x01, 0x0d, 0xb8, 0, 0x0a}};
        address.bytes[7] = nodes_[node].is_away ? 1 : 2;
        store_be64(address.bytes.data() + 8, 0x1000 + node);
        return address;
    }

    bool send_update(std::uint32_t index, Tally& tally) {
        Node& node = nodes_[index];
        if (node.waits) {  // its last one was lost
            node.waits = false;
            --waiting_;
            ++tally.unanswered;
        }
        ++node.sequence;
        if (!options_.stay || !node.is_bound) node.is_away = !node.is_away;
        wire::BindingUpdate update;
        update.acknowledge = update.home_registration = true;
        update.sequence = node.sequence;
        update.lifetime = {105};
        update.options.emplace_back(wire::AlternateCareOfAddress{care_of(index)});
        const auto packet = wire::mobility_packet(update, home_of(index), home_agent_);
        channel::Punt punt;
        punt.reason = channel::PuntReason::kMobilityHeader;
        punt.protected_by_ipsec = punt.had_home_address_option = 1;
        punt.port = 0;
        punt.length = static_cast<std::uint16_t>(packet.size());
        punt.recorded_source = channel::WireAddress(care_of(index));
        ++tally.sent;
        if (!server_.send(punt, packet)) {
            ++tally.ring_full;
            ++tally.unanswered;
            return false;
        }
        node.sent_at = nanoseconds();
        node.waits = true;
        node.is_installed = false;
        ++waiting_;
        return true;
    }

    void poll() {
        server_.flush();
        if (++polls_ % 256 == 0 || !synchronized_) {
            const channel::ServerEvent event = server_.poll();
            if (event.kind == channel::ServerEvent::Kind::kAttached) send_port();
            if (event.kind == channel::ServerEvent::Kind::kDetached) fail(event.text);
            statistics_.beat();
        }
        channel::RingConsumer& ring = server_.commands();
        for (unsigned i = 0; i < 256; ++i) {
            const auto record = ring.peek();
            if (!record) break;
            const auto taken = channel::dispatch_command(
                *record,
                [this](const auto& command, ConstByteSpan bytes) { take(command, bytes); });
            if (!taken) fail("a malformed command");
            ring.release();
        }
        ring.publish();
    }

    void send_port() {
        channel::PortInfo info;
        info.port = 0;
        info.mtu = 1500;
        info.link_up = 1;
        channel::copy_text(info.name, "p0");
        channel::copy_text(info.kernel_interface, "hp-none");
        channel::copy_text(info.driver, "played");
        if (!server_.send(info)) fail("no room for the first event");
    }

    [[nodiscard]] Node* node_of(const Ipv6Address& home, std::uint32_t& index) {
        const std::uint64_t offset = home.low() - first_.low();
        if (offset >= nodes_.size()) return nullptr;
        index = static_cast<std::uint32_t>(offset);
        return home == home_of(index) ? &nodes_[index] : nullptr;
    }

    void take(const channel::EndSync& command, ConstByteSpan) {
        channel::SyncDone done;
        done.epoch = command.epoch;
        if (!server_.send(done)) fail("no room for an event");
        synchronized_ = true;
    }
    void take(const channel::BindingSet& command, ConstByteSpan) {
        std::uint32_t index = 0;
        Node* const node = node_of(command.home_address.v6(), index);
        if (node == nullptr) return;
        ++bindings_set_;
        node->is_installed = command.care_of_address.v6() == care_of(index);
    }
    void take(const channel::TransmitPacket& command, ConstByteSpan packet) {
        constexpr std::size_t kAcknowledgement = 40 + 12;
        if (packet.size() < kAcknowledgement || packet[6] != 135 || packet[42] != 6) return;
        std::uint32_t index = 0;
        Node* const node = node_of(Ipv6Address::load(packet.data() + 24), index);
        if (node == nullptr || !node->waits) return;
        const std::uint8_t status = packet[46];
        if (load_be16(packet.data() + 48) != node->sequence) return;  // of a lost one
        if (status < 128 && !node->is_installed) fail("S1.13: acknowledged before in force");
        if (command.reply_to.v6() != care_of(index)) fail("an answer goes elsewhere");
        Tally& tally = index < options_.nodes && node->is_bound ? refreshes_ : fresh_;
        node->waits = false;
        node->is_bound = status < 128 || node->is_bound;
        --waiting_;
        ++answers_;
        ++tally.answered;
        if (status >= 128) ++tally.refused;
        times_.add(nanoseconds() - node->sent_at);
    }
    template <class Command>
    void take(const Command&, ConstByteSpan) {}

    void begin_phase() {
        fresh_ = refreshes_ = {};
        times_ = {};
        answers_ = bindings_set_ = sending_took_ = 0;
        answers_seen_ = longest_silence_ = 0;
        last_answer_ = nanoseconds();
        doings_.clear();
        began_ = nanoseconds();
        cpu_ = cpu_times(server_.peer().pid);
    }

    void end_phase(const char* name) {
        const auto now = nanoseconds();
        const CpuTimes times = cpu_times(server_.peer().pid);
        const std::uint64_t cpu = times.ran - cpu_.ran;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (!nodes_[i].waits) continue;
            ++(i < options_.nodes && nodes_[i].is_bound ? refreshes_ : fresh_).unanswered;
            nodes_[i].waits = false;
        }
        waiting_ = 0;
        const double seconds = static_cast<double>(now - began_) / 1e9;
        nlohmann::json out;
        out["phase"] = name;
        out["nodes"] = nodes_.size();
        out["seconds"] = seconds;
        out["exchanges"] = answers_;
        out["per_second"] =
            static_cast<double>(answers_) /
            (sending_took_ != 0 ? static_cast<double>(sending_took_) / 1e9 : seconds);
        out["bindings_set"] = bindings_set_;
        out["waited_for_cpu_seconds"] = static_cast<double>(times.waited - cpu_.waited) / 1e9;
        out["cpu_seconds"] = static_cast<double>(cpu) / 1e9;
        out["cpu_us_per_exchange"] =
            answers_ == 0 ? 0.0 : static_cast<double>(cpu) / 1e3 / static_cast<double>(answers_);
        out["answer_us"] = {{"p50", times_.percentile(50) / 1e3},
                            {"p99", times_.percentile(99) / 1e3},
                            {"p99.9", times_.percentile(99.9) / 1e3}};
        out["longest_silence_ms"] = static_cast<double>(longest_silence_) / 1e6;
        out["silent_in"] = doings_;
        refreshes_.print(out, "refreshes");
        fresh_.print(out, "registrations");
        std::cout << out.dump() << std::endl;
    }

    [[noreturn]] static void fail(const std::string& why) {
        std::cerr << "registration-player: " << why << std::endl;
        std::exit(1);
    }

    Options options_;
    Ipv6Address first_;
    Ipv6Address home_agent_;
    channel::StatisticsWriter& statistics_;
    channel::Server server_;
    std::vector<Node> nodes_;
    bool synchronized_ = false;
    std::uint64_t polls_ = 0;
    std::uint64_t waiting_ = 0;
    Tally fresh_, refreshes_;
    Histogram times_;
    std::uint64_t answers_ = 0, bindings_set_ = 0;
    std::uint64_t began_ = 0, sending_took_ = 0;
    CpuTimes cpu_;
    std::uint64_t answers_seen_ = 0, last_answer_ = 0, longest_silence_ = 0;
    bool looked_ = false;
    std::string doings_;  // of the control plane, in the last long silence
};

int play(const Options& options) {
    if (!Ipv6Address::parse(options.first) || !Ipv6Address::parse(options.home_agent)) {
        std::cerr << "registration-player: --first and --home-agent take an IPv6 address\n";
        return 2;
    }
    channel::StatisticsShape shape;
    shape.stages = {"rx"};
    shape.edges = {"rx.done"};
    shape.bindings = 16;
    auto statistics = channel::StatisticsWriter::create(shape);
    if (!statistics) {
        std::cerr << statistics.error().text << '\n';
        return 1;
    }
    channel::ServerConfig config;
    config.socket_path = options.socket;
    config.build_id = HOMEPORT_VERSION;
    auto server = channel::Server::open(config, statistics->region());
    if (!server) {
        std::cerr << server.error().text << '\n';
        return 1;
    }
    Player(options, *statistics, std::move(*server)).run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App command_line{"Plays the data plane and hands Binding Updates to a control plane."};
    command_line.add_option("socket", options.socket)->required();
    command_line.add_option("--nodes", options.nodes)->check(CLI::Range(1u, 4'000'000u));
    command_line.add_option("--first", options.first);
    command_line.add_option("--home-agent", options.home_agent);
    command_line.add_option("--seconds", options.seconds)->check(CLI::Range(0.0, 3600.0));
    command_line.add_option("--rate", options.rate)->check(CLI::NonNegativeNumber);
    command_line.add_option("--new", options.new_percent)->check(CLI::Range(0.0, 100.0));
    command_line.add_option("--window", options.window)->check(CLI::Range(1u, 1'000'000u));
    command_line.add_flag("--stay", options.stay);
    CLI11_PARSE(command_line, argc, argv);
    return play(options);
}
