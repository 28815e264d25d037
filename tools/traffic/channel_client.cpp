// SPDX-License-Identifier: BSD-3-Clause
// A control plane made of lines: reads commands from standard input, sends them to the data plane,
// prints its events. For tests of homeport-dataplane without homeport-controlplane.
//
//   channel-client SOCKET
//
//   begin EPOCH | end EPOCH
//   address PORT ADDRESS/LENGTH [home-agent]
//   route PREFIX PORT [NEXT-HOP]
//   neighbour PORT ADDRESS MAC
//   remove-neighbour PORT ADDRESS
//   prefix PREFIX PORT|virtual
//   binding HOME-ADDRESS CARE-OF-ADDRESS HOME-AGENT [HOME-PORT] [udp UDP-PORT]
//   bindings COUNT FIRST-HOME-ADDRESS CARE-OF-ADDRESS HOME-AGENT [udp UDP-PORT]
//                               over IPv4 if the care-of address is one
//   unbind HOME-ADDRESS
//   binding-churn SECONDS PER-SECOND COUNT FIRST-HOME-ADDRESS CARE-OF-ADDRESS HOME-AGENT
//                               moves bindings, COUNT of them, in random order between this care-of
//                               address and the next; prints how many, and how long the data plane
//                               took from the record in the ring to its acknowledgement
//   bypass                      everything passes by IPsec
//   protect PREFIX              payload of its home addresses under ESP, the rest passes by
//
//   sas in|out COUNT FIRST-HOME-ADDRESS HOME-AGENT ALGORITHM KEY-HEX WINDOW [WORKERS]
//                               payload SAs, one a home address: sa_of() says with which SPI; each
//                               belongs to the next of the workers
//
//   sa-churn SECONDS PER-SECOND FIRST-NODE ALGORITHM
//                               sets and removes outbound SAs of nodes of tools/traffic/path.hpp at
//                               this rate, prints how many
//   load PATH BINDINGS ALGORITHM WINDOW WORKERS
//                               all that a path of tools/traffic/path.hpp needs, nodes included
//   trace PACKETS [ADDRESS]
//   frame PORT HEX | packet HEX
//   flush                       waits until all is acknowledged
//   sleep MILLISECONDS
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <deque>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "dataplane/channel/client.hpp"
#include "dataplane/channel/records.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "tools/traffic/records.hpp"

namespace {

using namespace homeport;
using channel::WireAddress;

WireAddress wire(const std::string& text) {
    const auto address = parse_ip_address(text);
    if (address) return WireAddress(*address);
    std::cerr << "not an address: " << text << "\n";
    std::exit(2);
}

struct WirePrefix {
    WireAddress address;
    std::uint8_t length;
};
WirePrefix wire_prefix(const std::string& text) {
    const std::size_t slash = text.find('/');
    return {wire(text.substr(0, slash)),
            static_cast<std::uint8_t>(std::stoi(text.substr(slash + 1)))};
}

std::vector<std::uint8_t> from_hex(const std::string& text) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

class Session {
  public:
    explicit Session(channel::Client client) : client_(std::move(client)) {}

    void run() {
        std::string line;
        while (std::getline(std::cin, line)) {
            std::istringstream words(line);
            std::string verb;
            if (words >> verb) obey(verb, words);
            poll();
        }
        flush();
    }

  private:
    template <class Record>
    void send(Record record, ConstByteSpan trailing = {}) {
        for (;;) {
            const auto number = client_.send(record, trailing);
            if (number) return;
            if (number.error() != channel::SendError::kFull) {
                std::cerr << "send failed: " << static_cast<int>(number.error()) << "\n";
                std::exit(1);
            }
            client_.flush();
            poll();
            // It may have to run on this very CPU.
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }

    void obey(const std::string& verb, std::istringstream& words) {
        const auto next = [&words] {
            std::string word;
            words >> word;
            return word;
        };
        const auto port = [&] { return static_cast<std::uint16_t>(std::stoi(next())); };
        if (verb == "begin") {
            send(channel::BeginSync{.header = {}, .epoch = std::stoull(next())});
        } else if (verb == "end") {
            send(channel::EndSync{.header = {}, .epoch = std::stoull(next())});
        } else if (verb == "address") {
            channel::AddressSet record;
            record.port = port();
            const WirePrefix prefix = wire_prefix(next());
            record.address = prefix.address;
            record.prefix_length = prefix.length;
            record.is_home_agent_address = next() == "home-agent";
            send(record);
        } else if (verb == "route") {
            channel::RouteSet record;
            const WirePrefix prefix = wire_prefix(next());
            record.prefix = prefix.address;
            record.prefix_length = prefix.length;
            record.port = port();
            if (const std::string hop = next(); !hop.empty()) record.next_hop = wire(hop);
            send(record);
        } else if (verb == "neighbour") {
            channel::NeighbourSet record;
            record.port = port();
            record.address = wire(next());
            record.mac = MacAddress::parse(next()).value();
            send(record);
        } else if (verb == "remove-neighbour") {
            channel::NeighbourRemove record;
            record.port = port();
            record.address = wire(next());
            send(record);
        } else if (verb == "prefix") {
            channel::HomePrefixSet record;
            const WirePrefix prefix = wire_prefix(next());
            record.prefix = prefix.address;
            record.prefix_length = prefix.length;
            const std::string where = next();
            if (where != "virtual") record.port = static_cast<std::uint16_t>(std::stoi(where));
            send(record);
        } else if (verb == "binding" || verb == "bindings") {
            bind(verb, words);
        } else if (verb == "binding-churn") {
            move_bindings(words);
        } else if (verb == "unbind") {
            channel::BindingRemove record;
            record.home_address = wire(next());
            send(record);
        } else if (verb == "bypass") {
            set_policies(traffic::bypass_policies());
        } else if (verb == "protect") {
            const WirePrefix prefix = wire_prefix(next());
            set_policies(traffic::payload_policies(prefix.address, prefix.length));
        } else if (verb == "load") {
            load(words);
        } else if (verb == "sas") {
            const bool inbound = next() == "in";
            const std::uint32_t count = static_cast<std::uint32_t>(std::stoul(next()));
            channel::SaSet record = payload_sa(words, inbound);
            record.replay_window = static_cast<std::uint16_t>(std::stoi(next()));
            const std::string workers = next();
            const auto owners =
                static_cast<std::uint32_t>(workers.empty() ? 1 : std::stoul(workers));
            for (std::uint32_t i = 0; i < count; ++i) send(sa_of(record, i, owners));
        } else if (verb == "sa-churn") {
            const int seconds = std::stoi(next());
            const int per_second = std::stoi(next());
            const auto first = static_cast<std::uint32_t>(std::stoul(next()));
            const auto algorithm = ipsec::parse_algorithm(next());
            if (!algorithm) {
                std::cerr << "sa-churn: not an algorithm\n";
                std::exit(2);
            }
            channel::SaSet pattern = traffic::payload_sa(channel::SaDirection::kOutbound,
                                                         WireAddress(traffic::kHomeAgent),
                                                         *algorithm, traffic::key_of(*algorithm));
            pattern.peer = WireAddress(traffic::home(first));
            churn(pattern, seconds, per_second);
        } else if (verb == "trace") {
            channel::TraceStart record;
            record.packets = static_cast<std::uint32_t>(std::stoul(next()));
            if (const std::string address = next(); !address.empty()) {
                record.address = wire(address);
            }
            send(record);
        } else if (verb == "frame" || verb == "packet") {
            transmit(verb, words);
        } else if (verb == "flush") {
            flush();
        } else if (verb == "sleep") {
            wait(std::stoi(next()));
        } else {
            std::cerr << "not known: " << verb << "\n";
            std::exit(2);
        }
    }

    void bind(const std::string& verb, std::istringstream& words) {
        std::uint32_t count = 1;
        if (verb == "bindings") words >> count;
        std::string home, care_of, home_agent;
        words >> home >> care_of >> home_agent;
        channel::BindingSet record;
        record.home_address = wire(home);
        record.care_of_address = wire(care_of);
        record.home_agent_address = wire(home_agent);
        const bool over_ipv4 = record.care_of_address.family == 4;
        if (over_ipv4) record.encapsulation = channel::Encapsulation::kIpv4;
        for (std::string word; words >> word;) {
            if (word == "udp") {
                record.encapsulation =
                    over_ipv4 ? channel::Encapsulation::kUdpIpv4 : channel::Encapsulation::kUdpIpv6;
                words >> record.udp_port;
            } else {
                record.home_port = static_cast<std::uint16_t>(std::stoi(word));
                record.flags = channel::kBindingProxyNd;
            }
        }
        Ipv6Address address = record.home_address.v6();
        for (std::uint32_t i = 0; i < count; ++i) {
            record.counter_index = i;
            record.home_address.bytes = address.bytes;
            send(record);
            store_be64(address.bytes.data() + 8, address.low() + 1);
        }
    }

    /// Sleeps until an event comes, or until `until`.
    void wait_for_event(std::chrono::steady_clock::time_point until) {
        if (!client_.prepare_sleep()) return;
        const auto left = std::max(until - std::chrono::steady_clock::now(),
                                   std::chrono::steady_clock::duration::zero());
        const timespec time{.tv_sec = 0, .tv_nsec = std::min<long>(left.count(), 1'000'000)};
        pollfd readable{client_.event_fd(), POLLIN, 0};
        (void)::ppoll(&readable, 1, &time, nullptr);
        client_.woken();
    }

    void move_bindings(std::istringstream& words) {
        using Clock = std::chrono::steady_clock;
        double seconds = 0;
        double per_second = 0;
        std::uint32_t count = 0;
        std::string home, care_of, home_agent;
        words >> seconds >> per_second >> count >> home >> care_of >> home_agent;
        channel::BindingSet record;
        record.home_address = wire(home);
        record.home_agent_address = wire(home_agent);
        const std::array<WireAddress, 2> places{wire(care_of), next_of(wire(care_of))};
        const Ipv6Address first = record.home_address.v6();
        (void)::prctl(PR_SET_TIMERSLACK, 1);
        std::mt19937 random(1);
        std::vector<bool> is_away(count);
        std::deque<Clock::time_point> sent_at;
        std::vector<Clock::duration> took;
        const std::uint64_t before = client_.last_number();
        std::uint64_t answered = before;
        const auto take_answers = [&] {
            poll();
            const auto now = Clock::now();
            for (; answered < acknowledged_; ++answered) {
                took.push_back(now - sent_at.front());
                sent_at.pop_front();
            }
        };
        const auto start = Clock::now();
        std::uint64_t done = 0;
        const auto length = std::chrono::duration<double>(seconds);
        // Several of them a time where that is enough to keep the rate.
        const double step = std::max(1.0, per_second / 20000);
        while (Clock::now() - start < length) {
            const std::chrono::duration<double> elapsed = Clock::now() - start;
            const auto due = static_cast<std::uint64_t>(elapsed.count() * per_second);
            for (; done < due; ++done) {
                const auto index = static_cast<std::uint32_t>(random() % count);
                record.counter_index = index;
                store_be64(record.home_address.bytes.data() + 8, first.low() + index);
                is_away[index] = !is_away[index];
                record.care_of_address = places[is_away[index] ? 1 : 0];
                sent_at.push_back(Clock::now());
                send(record);
            }
            client_.flush();
            take_answers();
            wait_for_event(
                start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                            (static_cast<double>(done) + step) / per_second)));
            take_answers();
        }
        flush();
        take_answers();
        const std::chrono::duration<double> elapsed = Clock::now() - start;
        std::ranges::sort(took);
        const auto percentile = [&](std::size_t per_mille) {
            if (took.empty()) return 0.0;
            const auto at = std::min(took.size() - 1, took.size() * per_mille / 1000);
            return static_cast<double>(took[at].count()) / 1000;
        };
        std::cout << "moved " << done << " in " << elapsed.count() << " us " << percentile(500)
                  << " " << percentile(990) << " " << percentile(999) << std::endl;
    }

    static WireAddress next_of(WireAddress address) {
        ++address.bytes[address.family == 4 ? 3 : 15];
        return address;
    }

    void set_policies(const std::vector<channel::PolicyRecord>& policies) {
        channel::SpdReplace record;
        record.count = static_cast<std::uint32_t>(policies.size());
        send(record, {reinterpret_cast<const std::uint8_t*>(policies.data()),
                      policies.size() * sizeof policies[0]});
    }

    void load(std::istringstream& words) {
        std::string path, algorithm;
        traffic::Setting setting;
        words >> path >> setting.bindings >> algorithm >> setting.replay_window >> setting.owners;
        const auto known_path = traffic::parse_path(path);
        const auto known_algorithm = ipsec::parse_algorithm(algorithm);
        if (!words || !known_path || !known_algorithm || setting.owners == 0) {
            std::cerr << "load: expected PATH BINDINGS ALGORITHM WINDOW WORKERS\n";
            std::exit(2);
        }
        setting.path = *known_path;
        setting.algorithm = *known_algorithm;
        traffic::send_all(setting, [this](const auto& record, ConstByteSpan trailing) {
            send(record, trailing);
        });
    }

    /// FIRST-HOME-ADDRESS HOME-AGENT ALGORITHM KEY-HEX; the key is the cipher's, with its salt,
    /// then the HMAC's.
    static channel::SaSet payload_sa(std::istringstream& words, bool inbound) {
        std::string home, home_agent, algorithm, key;
        words >> home >> home_agent >> algorithm >> key;
        const auto known = ipsec::parse_algorithm(algorithm);
        const std::vector<std::uint8_t> octets = from_hex(key);
        if (!known || octets.size() != ipsec::info(*known).encryption_keying_length() +
                                           ipsec::info(*known).integrity_key_length) {
            std::cerr << "not an algorithm with a key of its length: " << algorithm << "\n";
            std::exit(2);
        }
        channel::SaSet record = traffic::payload_sa(
            inbound ? channel::SaDirection::kInbound : channel::SaDirection::kOutbound,
            wire(home_agent), *known, octets);
        record.peer = wire(home);
        return record;
    }

    /// Number `index` of many: its home address, and an SPI of our own choosing inbound.
    static channel::SaSet sa_of(const channel::SaSet& record, std::uint32_t index,
                                std::uint32_t owners = 1) {
        Ipv6Address home = record.peer.v6();
        store_be64(home.bytes.data() + 8, home.low() + index);
        channel::SaSet sa = traffic::numbered_sa(record, home, index, owners);
        // What seal-frames makes is for any number of workers.
        if (record.direction == channel::SaDirection::kInbound) sa.spi = traffic::spi_in(index, 1);
        return sa;
    }

    void churn(const channel::SaSet& pattern, int seconds, int per_second) {
        constexpr std::uint32_t kAlive = 1000;
        using Clock = std::chrono::steady_clock;
        const auto start = Clock::now();
        const auto end = start + std::chrono::seconds(seconds);
        std::uint64_t done = 0;
        while (Clock::now() < end) {
            const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
            const auto due = static_cast<std::uint64_t>(elapsed * per_second);
            for (; done < due; ++done) {
                const channel::SaSet set =
                    sa_of(pattern, static_cast<std::uint32_t>(done / 2) % kAlive);
                if (done % 2 == 0) {
                    send(set);
                } else {
                    channel::SaRemove remove;
                    remove.spi = set.spi;
                    remove.direction = set.direction;
                    remove.peer = set.peer;
                    send(remove);
                }
            }
            client_.flush();
            poll();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        flush();
        const double took = std::chrono::duration<double>(Clock::now() - start).count();
        std::cout << "churned " << done << " in " << took << std::endl;
    }

    void transmit(const std::string& verb, std::istringstream& words) {
        std::uint16_t port = channel::kNoPort;
        if (verb == "frame") words >> port;
        std::string hex;
        words >> hex;
        const std::vector<std::uint8_t> bytes = from_hex(hex);
        if (verb == "frame") {
            channel::TransmitFrame record;
            record.port = port;
            record.length = static_cast<std::uint16_t>(bytes.size());
            return send(record, bytes);
        }
        channel::TransmitPacket record;
        record.length = static_cast<std::uint16_t>(bytes.size());
        send(record, bytes);
    }

    void flush() {
        client_.flush();
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (acknowledged_ < client_.last_number()) {
            poll();
            std::this_thread::sleep_for(std::chrono::microseconds(100));
            if (std::chrono::steady_clock::now() > end || client_.closed()) {
                std::cerr << "not acknowledged\n";
                std::exit(1);
            }
        }
        std::cout << "acknowledged " << acknowledged_ << std::endl;
    }

    void wait(int milliseconds) {
        client_.flush();
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
        while (std::chrono::steady_clock::now() < end) {
            poll();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    void poll() {
        client_.poll_events(
            1000, [this](const auto& event, ConstByteSpan packet) { show(event, packet); });
        std::cout.flush();
    }

    void show(const channel::Acknowledge& event, ConstByteSpan) { acknowledged_ = event.number; }
    void show(const channel::CommandFailed& event, ConstByteSpan) {
        std::cout << "failed " << event.number << " " << channel::text_of(event.text) << "\n";
    }
    void show(const channel::SyncDone& event, ConstByteSpan) {
        std::cout << "sync-done " << event.epoch << " swept " << event.swept << "\n";
    }
    void show(const channel::PortInfo& event, ConstByteSpan) {
        std::cout << "port " << event.port << " " << channel::text_of(event.name) << " "
                  << event.mac.to_string() << " " << (event.link_up ? "up" : "down") << " "
                  << channel::text_of(event.kernel_interface) << "\n";
    }
    void show(const channel::Punt& event, ConstByteSpan packet) {
        std::cout << "punt " << static_cast<int>(event.reason) << " port " << event.port
                  << " octets " << packet.size() << "\n";
    }
    void show(const channel::Trace& event, ConstByteSpan) {
        std::cout << "trace " << event.packet << "." << event.step << " "
                  << channel::text_of(event.stage) << " -> " << channel::text_of(event.edge)
                  << " octets " << event.packet_length << "\n";
    }
    void show(const channel::SaHighWater&, ConstByteSpan) {}
    void show(const channel::SaLifetime& event, ConstByteSpan) {
        std::cout << "sa-lifetime " << event.spi << (event.hard != 0 ? " hard" : " soft") << "\n";
    }
    void show(const channel::PathMtu& event, ConstByteSpan) {
        std::cout << "path-mtu " << event.mtu << "\n";
    }
    void show(const channel::EspSource& event, ConstByteSpan) {
        std::cout << "esp-source " << event.spi << "\n";
    }
    void show(const channel::EspMapping& event, ConstByteSpan) {
        std::cout << "esp-mapping " << event.source.v4().to_string() << " " << event.port << "\n";
    }

    void show(const channel::FlowRuleInfo& event, ConstByteSpan) {
        std::cout << "flow-rule " << event.port << " " << channel::text_of(event.name) << " "
                  << (event.state == channel::FlowRuleState::kInstalled ? "installed" : "software")
                  << "\n";
    }

    channel::Client client_;
    std::uint64_t acknowledged_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: channel-client SOCKET\n";
        return 2;
    }
    auto client = channel::Client::connect(argv[1], channel::Role::kControlPlane, "channel-client",
                                           std::chrono::seconds(2));
    if (!client) {
        std::cerr << client.error().text << "\n";
        return 1;
    }
    Session(std::move(*client)).run();
    return 0;
}
