// SPDX-License-Identifier: BSD-3-Clause
// A mobile node of Mobile IPv4 in a small world without I/O: an internal and an external home
// agent (the product's own protocol modules), a VPN gateway, foreign agents, a NAT and a firewall.
// What the node puts on the wire is looked at octet by octet.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controlplane/ipsec/sa_keys.hpp"
#include "controlplane/mip4/home_agent.hpp"
#include "controlplane/mip4/mobile_node.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "tools/mobile-node/mip4/layers.hpp"
#include "tools/mobile-node/mip4/packets.hpp"
#include "tools/mobile-node/mip4/security.hpp"
#include "tools/mobile-node/mip4/user_path.hpp"
#include "tools/mobile-node/packet_buffer.hpp"

namespace homeport::mobile_node::test_support {

using Bytes = std::vector<std::uint8_t>;
using mip4::Duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline Ipv4Address v4(const char* text) {
    return *Ipv4Address::parse(text);
}

inline const Ipv4Address kInternalAgent = v4("10.1.0.1");
inline const Ipv4Address kInternalHome = v4("10.1.0.100");
inline const Ipv4Address kExternalAgent = v4("198.51.100.1");
inline const Ipv4Address kExternalHome = v4("198.51.100.100");
inline const Ipv4Address kGateway = v4("198.51.100.10");
inline const Ipv4Address kInner = v4("10.1.9.5");  // VPN-TIA
inline const Ipv4Address kPeer = v4("10.1.0.9");   // a correspondent inside
inline constexpr std::uint16_t kPort = 40000;
inline constexpr std::string_view kMark = "user data of an application, not for others";

/// Where an interface can be.
struct Place {
    const char* name = "";
    bool inside = false;
    bool nat = false;
    bool agent = false;     // a foreign agent, no address of our own
    Ipv4Address address{};  // care-of address, ours or the agent's
};
inline const std::array<Place, 6> kPlaces{{
    {"inside", true, false, false, v4("10.2.0.5")},
    {"inside, another subnet", true, false, false, v4("10.3.0.5")},
    {"inside, foreign agent", true, false, true, v4("10.4.0.1")},
    {"outside", false, false, false, v4("203.0.113.5")},
    {"outside, NAT", false, true, false, v4("192.168.7.5")},
    {"outside, foreign agent", false, false, true, v4("203.0.113.129")},
}};
inline const Ipv4Address kNatAddress = v4("203.0.113.77");
inline constexpr std::uint16_t kNatPorts = 1000;  // what the NAT adds

/// Keys in files.
class KeyFiles {
  public:
    KeyFiles() {
        char name[] = "/tmp/homeport-mip4-world-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~KeyFiles() { std::filesystem::remove_all(directory_); }
    KeyFiles(const KeyFiles&) = delete;
    KeyFiles& operator=(const KeyFiles&) = delete;
    std::string write(const std::string& name, const std::string& hex) const {
        const std::string path = directory_ + "/" + name;
        std::ofstream(path) << hex << "\n";
        ::chmod(path.c_str(), 0600);
        return path;
    }

  private:
    std::string directory_;
};

/// The gateway's end of the SAs.
class Gateway {
  public:
    explicit Gateway(const SaPair& node_side) : spd_(reclaimer_) {
        ipsec::PolicyEntry entry;
        entry.id = 1;
        entry.name = "client";
        entry.selectors.local = {ipsec::AddressRange::of(Ipv4Prefix{})};
        entry.selectors.remote = {ipsec::AddressRange::of(IpAddress(kInner))};
        entry.action = ipsec::Action::kProtect;
        entry.protect.mode = ipsec::Mode::kTunnel;
        entry.protect.tunnel_local = kGateway;
        entry.protect.tunnel_remote = kExternalHome;
        EXPECT_TRUE(spd_.replace({entry}));
        ipsec::SecurityAssociationDatabase::Options options;
        options.own_slots = 16;
        options.max_associations = 4;
        sad_ = std::move(*ipsec::SecurityAssociationDatabase::create(options, reclaimer_));
        for (const auto direction : {ipsec::Direction::kInbound, ipsec::Direction::kOutbound}) {
            const bool out = direction == ipsec::Direction::kOutbound;
            const auto algorithm = *ipsec::parse_algorithm(node_side.algorithm);
            auto keys =
                sa::load_sa_keys(out ? node_side.key_file_in : node_side.key_file_out, algorithm);
            ipsec::SaParameters one;
            one.direction = direction;
            one.spi = ipsec::Spi{out ? node_side.spi_in : node_side.spi_out};
            one.algorithm = algorithm;
            one.encryption_key = std::move(keys->encryption);
            one.integrity_key = std::move(keys->integrity);
            one.mode = ipsec::Mode::kTunnel;
            one.tunnel_local = kGateway;
            one.tunnel_remote = kExternalHome;
            one.replay_window = out ? 0 : 1024;
            one.static_key = true;
            one.policies.push_back({1, std::nullopt});
            one.selectors.push_back(entry.selectors);
            EXPECT_TRUE(sad_->add(one));
        }
        engine_ = std::move(*ipsec::EspEngine::create(spd_, *sad_));
    }
    bool open(Packet& packet) {
        std::array<Packet*, 1> packets{&packet};
        std::array<ipsec::Verdict, 1> verdicts{};
        engine_->inbound(packets, verdicts);
        return verdicts[0] == ipsec::Verdict::kInOk;
    }
    bool seal(Packet& packet) {
        std::array<Packet*, 1> packets{&packet};
        std::array<ipsec::Verdict, 1> verdicts{};
        engine_->outbound(packets, verdicts);
        return verdicts[0] == ipsec::Verdict::kOutProtect;
    }

  private:
    ipsec::ImmediateReclaimer reclaimer_;
    ipsec::SecurityPolicyDatabase spd_;
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::EspEngine> engine_;
};

/// Both ends of the SAs. They know nothing of places and times: many worlds, one after the other,
/// can use the same ones, and to make them costs more than most walks.
struct VpnEnds {
    explicit VpnEnds(const KeyFiles& files)
        : config(config_of(files)),
          security(std::move(*Mip4Security::create(config, kExternalHome, false, ""))),
          gateway(config.sa) {}
    static Mip4Vpn config_of(const KeyFiles& files) {
        Mip4Vpn vpn;
        vpn.gateway = kGateway;
        vpn.inner_address = kInner;
        vpn.sa.spi_in = 0x20001;
        vpn.sa.spi_out = 0x10001;
        vpn.sa.algorithm = "aes128-cbc-hmac-sha256-128";
        vpn.sa.key_file_in = files.write("in", std::string(96, '5'));
        vpn.sa.key_file_out = files.write("out", std::string(96, '6'));
        vpn.sa.replay_window = 1024;
        return vpn;
    }
    Mip4Vpn config;
    std::unique_ptr<Mip4Security> security;
    Gateway gateway;
};

struct WorldOptions {
    mip4::DetectionConfig detection{};
    Mip4Udp udp = Mip4Udp::kAllowed;
    mip4::Encapsulation encapsulation = mip4::Encapsulation::kIpInIp;
    bool queue = true;
    bool plain = false;
    bool reverse_tunnel = true;
    std::uint16_t lifetime = 300;
    bool esp_in_udp = false;
    unsigned interfaces = 1;
    std::uint64_t seed = 1;
};

class World {
  public:
    /// What the node puts on an interface, before the world answers.
    struct OnWire {
        int interface = 0;
        Exit exit{};
        Bytes packet;
        std::vector<std::string> stack;  // headers, outermost first
    };
    /// A reply on its way to the node.
    struct Pending {
        mip4::TimePoint due{};
        int interface = 0;
        unsigned epoch = 0;  // of that interface, when the request left
        bool native = false;
        Bytes packet;
        enum class Proves : std::uint8_t { kNothing, kInside, kExternal, kVpn } proves{};
        seconds lifetime{};
    };
    struct AtInterface {
        const Place* place = nullptr;  // nowhere
        Place copy{};
        unsigned epoch = 0;
        std::optional<mip4::TimePoint> inside_since{};  // last success, direct, of this epoch
        std::optional<mip4::TimePoint> external_until{};
    };

    World(const KeyFiles& files, const WorldOptions& options)
        : World(std::make_shared<VpnEnds>(files), options) {}
    World(std::shared_ptr<VpnEnds> ends, const WorldOptions& options)
        : options_(options),
          random(options.seed),
          ends_(std::move(ends)),
          internal(internal_config(), now.steady, 11),
          external(external_config(), now.steady, 12),
          node(node_config(), options.seed),
          layers(node, &ends_->security->engine(),
                 {.vpn_gateway = kGateway,
                  .vpn_inner_address = kInner,
                  .esp_in_udp = options.esp_in_udp},
                 counters),
          path(node, layers, counters, path_options(), hooks()) {
        for (unsigned i = 1; i <= options.interfaces; ++i) {
            node.add_interface(static_cast<int>(i));
            path.set_link(static_cast<int>(i), {kPort, 1500});
            interfaces[static_cast<int>(i)] = {};
        }
    }

    // ---------------------------------------------------------------------------- the node's side

    /// Plugs an interface somewhere else, or nowhere.
    void move(int id, const Place* place) {
        AtInterface& at = interfaces[id];
        at.place = nullptr;
        if (place != nullptr) {
            at.copy = *place;
            at.place = &at.copy;
        }
        ++at.epoch;
        at.inside_since.reset();
        at.external_until.reset();
        std::optional<mip4::Attachment> attachment;
        if (place != nullptr) {
            attachment = mip4::Attachment{{place->address, !place->agent},
                                          place->agent ? place->address : Ipv4Address{},
                                          0xffff};
        }
        path.perform(node.attach(id, attachment, true, now), now);
    }
    /// The network behind the same attachment is another one, and nobody says so (S2.59).
    void slip(int id) {
        AtInterface& at = interfaces[id];
        at.copy.inside = !at.copy.inside;
    }
    /// An application sends; the number is part of the payload.
    void application_sends(unsigned number) {
        Packet packet = buffer_.fill(user_packet(kInternalHome, kPeer, number));
        path.from_application(packet, now);
    }
    static Bytes user_packet(const Ipv4Address& from, const Ipv4Address& to, unsigned number) {
        Bytes payload(kMark.begin(), kMark.end());
        for (const char c : std::to_string(number) + ";") payload.push_back(std::uint8_t(c));
        return udp_packet({from, 5000}, {to, 6000}, 64, payload);
    }
    /// The number of the user packet that stands in `octets` in the clear.
    static std::optional<unsigned> user_number(ConstByteSpan octets) {
        const auto found = std::search(octets.begin(), octets.end(), kMark.begin(), kMark.end());
        if (found == octets.end()) return std::nullopt;
        return static_cast<unsigned>(std::stoul(
            std::string(found + static_cast<std::ptrdiff_t>(kMark.size()), octets.end())));
    }
    void wire_brings(int id, const Bytes& octets, bool native) {
        Packet packet = buffer_.fill(octets);
        path.from_wire(packet, id, native, now);
    }

    // ------------------------------------------------------------------------------ the other side

    /// Time goes on, and with it replies arrive and timers ring.
    void pass(Duration time) {
        const auto end = now.steady + time;
        while (true) {
            auto next = end;
            if (const auto deadline = path.next_deadline()) next = std::min(next, *deadline);
            for (const Pending& one : pending) next = std::min(next, one.due);
            next = std::max(next, now.steady);
            now.ntp += ntp_of(next - now.steady);
            now.steady = next;
            if (deliver_due()) continue;
            path.tick(now);
            const auto again = path.next_deadline();
            if (now.steady >= end && (!again || *again > now.steady)) return;
        }
    }
    bool deliver_due() {
        for (std::size_t i = 0; i < pending.size(); ++i) {
            if (pending[i].due > now.steady) continue;
            const Pending one = pending[i];
            pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
            arrive(one);
            return true;
        }
        return false;
    }
    void arrive(const Pending& one) {
        AtInterface& at = interfaces[one.interface];
        if (at.place == nullptr) return;
        // What a foreign agent puts on its link is not heard on that of another one.
        if (one.native && Ipv4Address::load(&one.packet[12]) != at.place->address &&
            one.epoch != at.epoch) {
            return;
        }
        if (one.epoch == at.epoch) {  // the facts that the node may build upon
            using Proves = Pending::Proves;
            if (one.proves == Proves::kInside) {
                at.inside_since = now.steady;
                // The internal home agent has this care-of address now, not the inner one (S2.47).
                if (interfaces.size() == 1) vpn_until.reset();
            }
            if (one.proves == Proves::kExternal) at.external_until = now.steady + one.lifetime;
        }
        if (one.proves == Pending::Proves::kVpn) vpn_until = now.steady + one.lifetime;
        wire_brings(one.interface, one.packet, one.native);
    }

    /// Whether the world would let the node send or take user data in the clear there.
    bool may_be_clear(int id) const {
        const AtInterface& at = interfaces.at(id);
        return at.inside_since && now.steady - *at.inside_since <= options_.detection.monitor;
    }
    bool may_use_vpn(int id) const {
        const AtInterface& at = interfaces.at(id);
        return at.external_until && *at.external_until >= now.steady && vpn_until &&
               *vpn_until >= now.steady;
    }

    /// A user packet for the node, as the home agent or the gateway would send it now.
    struct Injected {
        bool clear = false;
        unsigned number = 0;
    };
    bool send_in_clear(int id, unsigned number) {
        const AtInterface& at = interfaces[id];
        if (at.place == nullptr) return false;
        const Bytes inner = user_packet(kPeer, kInternalHome, number);
        injected_[number] = {true, number};
        if (at.place->agent) {
            wire_brings(id, inner, true);
            return true;
        }
        const auto* tunnel = node.tunnel(id, mip4::Leg::kInternalDirect);
        wire_brings(id, wrapped(inner, kInternalAgent, at.place->address, tunnel, kPort), false);
        return true;
    }
    bool send_by_vpn(int id, unsigned number) {
        const auto* tunnel = node.tunnel(id, mip4::Leg::kInternalVpn);
        injected_[number] = {false, number};
        return send_through_gateway(
            id, wrapped(user_packet(kPeer, kInternalHome, number), kInternalAgent, kInner, tunnel,
                        Layers::kInnerPort));
    }

    WorldOptions options_;
    std::mt19937_64 random;
    mip4::Now now{mip4::TimePoint{} + std::chrono::hours(1),
                  mip4::ntp_time(std::chrono::system_clock::time_point{seconds(1'800'000'000)})};
    Counters counters;
    std::shared_ptr<VpnEnds> ends_;
    mip4::HomeAgent internal;
    mip4::HomeAgent external;
    mip4::MobileNode node;
    Layers layers;
    UserPath path;
    std::map<int, AtInterface> interfaces;
    std::optional<mip4::TimePoint> vpn_until;
    std::deque<Pending> pending;
    bool keeps_wire = true;
    std::vector<OnWire> wire;  // since the last clear(), if kept
    std::vector<mip4::MobileAction> events;
    std::set<unsigned> delivered;
    double loss = 0;         // of replies
    milliseconds delay{20};  // of replies
    bool firewall = true;    // S2.41
    bool internal_silent = false, external_silent = false, gateway_silent = false;
    /// Called for each packet of the node, and for each one that an application gets.
    std::function<void(const OnWire&)> look;
    std::function<void(const Injected&)> look_delivered;
    /// Called for each packet that the gateway opened and that is no registration: its number.
    std::function<void(int, std::optional<unsigned>)> look_opened;

    bool saw(const std::vector<std::string>& stack) const {
        for (const OnWire& one : wire) {
            if (one.stack == stack) return true;
        }
        return false;
    }
    void clear() {
        wire.clear();
        events.clear();
    }

  private:
    static mip4::NtpTime ntp_of(Duration time) {
        const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
        return static_cast<mip4::NtpTime>(ns / 1'000'000'000) << 32 |
               static_cast<mip4::NtpTime>(static_cast<double>(ns % 1'000'000'000) * 4.294967296);
    }
    static mip4::SecurityAssociation association(std::uint32_t spi, std::uint8_t start) {
        mip4::SecurityAssociation one;
        one.spi = spi;
        for (unsigned i = 0; i < 16; ++i) one.key.push_back(std::uint8_t(start + i * i * 7));
        return one;
    }
    mip4::HomeAgentConfig internal_config() const {
        mip4::HomeAgentConfig config;
        config.role = options_.plain ? mip4::Role::kPlain : mip4::Role::kInternal;
        config.profile = options_.detection.profile;
        config.addresses = {kInternalAgent};
        config.home_networks = {{.prefix = *Ipv4Prefix::parse("10.1.0.0/16")}};
        config.nodes = {
            {.name = "i", .home_address = kInternalHome, .associations = {association(300, 3)}}};
        for (const char* text : {"10.0.0.0/8"}) {
            config.trusted_subnets.push_back(*Ipv4Prefix::parse(text));
        }
        config.udp.forced_allowed = true;
        return config;
    }
    static mip4::HomeAgentConfig external_config() {
        mip4::HomeAgentConfig config;
        config.role = mip4::Role::kExternal;
        config.addresses = {kExternalAgent};
        config.home_networks = {{.prefix = *Ipv4Prefix::parse("198.51.100.0/24")}};
        config.nodes = {
            {.name = "x", .home_address = kExternalHome, .associations = {association(400, 9)}}};
        config.udp.forced_allowed = true;
        return config;
    }
    mip4::RegistrationClientConfig client(const Ipv4Address& agent, const Ipv4Address& home,
                                          std::uint32_t spi, std::uint8_t start) const {
        mip4::RegistrationClientConfig config;
        config.home_agent = agent;
        config.home_address = home;
        config.association = association(spi, start);
        config.lifetime = options_.lifetime;
        config.reverse_tunnel = options_.reverse_tunnel;
        config.gre = options_.encapsulation == mip4::Encapsulation::kGre;
        config.minimal = options_.encapsulation == mip4::Encapsulation::kMinimal;
        config.udp_tunnel = options_.udp != Mip4Udp::kOff;
        config.force_udp = options_.udp == Mip4Udp::kForced;
        return config;
    }
    mip4::MobileNodeConfig node_config() const {
        mip4::MobileNodeConfig config;
        config.internal = client(kInternalAgent, kInternalHome, 300, 3);
        if (!options_.plain) config.external = client(kExternalAgent, kExternalHome, 400, 9);
        config.vpn_inner_address = kInner;
        config.detection = options_.detection;
        return config;
    }
    UserPath::Options path_options() {
        UserPath::Options out;
        out.queue = options_.queue;
        out.queue_size = 32;
        out.vpn_gateway = kGateway;
        out.vpn_inner_address = kInner;
        out.largest_inside = [this](unsigned room) {
            return ends_->security->largest_inside(room);
        };
        return out;
    }
    UserPath::Hooks hooks() {
        UserPath::Hooks out;
        out.send = [this](int id, Exit exit, ConstByteSpan packet) {
            leaves(id, exit, packet);
            return true;
        };
        out.deliver = [this](ConstByteSpan packet) {
            const auto number = user_number(packet);
            EXPECT_TRUE(number) << testing::PrintToString(packet);
            if (number) {
                delivered.insert(*number);
                if (look_delivered) look_delivered(injected_[*number]);
            }
            return true;
        };
        out.event = [this](const mip4::MobileAction& action) { events.push_back(action); };
        return out;
    }

    // ------------------------------------------------------------ packets, by other code than ours

    static std::string header_name(std::uint8_t protocol) {
        switch (protocol) {
            case 4:
                return "ip";
            case 17:
                return "udp";
            case 47:
                return "gre";
            case 50:
                return "esp";
            case 55:
                return "minimal";
            default:
                return std::to_string(protocol);
        }
    }
    static std::uint16_t word(const Bytes& octets, std::size_t at) {
        return at + 2 <= octets.size() ? std::uint16_t(octets[at] << 8 | octets[at + 1]) : 0;
    }
    /// Reads headers from `at` on: addresses, and what is next. Leaves `packet` from the innermost
    /// IP packet that can be read.
    static std::vector<std::string> stack_of(const Bytes& packet) {
        std::vector<std::string> out;
        std::size_t at = 0;
        for (unsigned depth = 0; depth < 8 && at + 20 <= packet.size(); ++depth) {
            const std::size_t header = (packet[at] & 15u) * 4u;
            std::uint8_t protocol = packet[at + 9];
            out.push_back(Ipv4Address::load(&packet[at + 12]).to_string() + ">" +
                          Ipv4Address::load(&packet[at + 16]).to_string());
            at += header;
            if (protocol == 17) {
                const auto from = word(packet, at);
                const auto to = word(packet, at + 2);
                out.push_back("udp " + std::to_string(from) + ">" + std::to_string(to));
                at += 8;
                if (to == 434 && at < packet.size() && packet[at] == 4) {
                    protocol = packet[at + 1];
                    out.push_back("data " + header_name(protocol));
                    at += 4;
                } else if (to == 434 && at < packet.size()) {
                    out.push_back("message " + std::to_string(packet[at]));
                    return out;
                } else if (to == 4500) {
                    out.push_back("esp");
                    return out;
                } else {
                    return out;
                }
            }
            if (protocol == 47) {
                out.emplace_back("gre");
                at += 4;
            } else if (protocol == 55) {
                out.emplace_back("minimal");
                return out;
            } else if (protocol != 4) {
                out.push_back(header_name(protocol));
                return out;
            }
        }
        return out;
    }
    static Bytes wrapped(const Bytes& inner, const Ipv4Address& from, const Ipv4Address& to,
                         const mip4::MobileTunnel* tunnel, std::uint16_t port) {
        PacketBuffer room;
        Packet packet = room.fill(inner);
        const tunnel::Ipv4Tunnel ends{from, to, 64, tunnel::Dscp::kUniform};
        const auto form = tunnel == nullptr ? mip4::Encapsulation::kIpInIp : tunnel->encapsulation;
        const auto wire_form = static_cast<tunnel::Mip4Encapsulation>(form);
        if (tunnel != nullptr && tunnel->udp) {
            EXPECT_EQ(
                tunnel::encapsulate_in_mip_udp(packet, ends, {434, port, false}, wire_form, 1),
                tunnel::Mip4TunnelError::kNone);
        } else if (form == mip4::Encapsulation::kGre) {
            EXPECT_EQ(tunnel::encapsulate_in_gre(packet, ends, 1), tunnel::Mip4TunnelError::kNone);
        } else if (form == mip4::Encapsulation::kMinimal) {
            EXPECT_EQ(tunnel::encapsulate_minimally(packet, from, to),
                      tunnel::Mip4TunnelError::kNone);
        } else {
            EXPECT_EQ(tunnel::encapsulate_in_ipv4(packet, ends, 1),
                      tunnel::EncapsulateError::kNone);
        }
        return {packet.data, packet.data + packet.length};
    }
    bool send_through_gateway(int id, const Bytes& inner, unsigned epoch = ~0u,
                              Pending::Proves proves = Pending::Proves::kNothing,
                              seconds lifetime = {}) {
        const AtInterface& at = interfaces[id];
        PacketBuffer room;
        Packet packet = room.fill(inner);
        if (gateway_silent || at.place == nullptr || !ends_->gateway.seal(packet)) return false;
        if (layers.esp_in_udp() && !put_esp_in_udp(packet, 4500)) return false;
        const Bytes sealed(packet.data, packet.data + packet.length);
        const auto* tunnel = node.tunnel(id, mip4::Leg::kExternal);
        const Bytes on_link =
            at.place->agent ? sealed
                            : wrapped(sealed, kExternalAgent, at.place->address, tunnel, kPort);
        if (epoch == ~0u) {
            wire_brings(id, on_link, at.place->agent);
        } else {
            queue({{}, id, epoch, at.place->agent, on_link, proves, lifetime});
        }
        return true;
    }
    void queue(Pending one) {
        if (std::uniform_real_distribution<>()(random) < loss) return;
        one.due = now.steady + delay;
        pending.push_back(std::move(one));
    }

    void leaves(int id, Exit exit, ConstByteSpan octets) {
        OnWire one{id, exit, Bytes(octets.begin(), octets.end()), {}};
        if (keeps_wire) one.stack = stack_of(one.packet);
        if (look) look(one);
        if (keeps_wire) wire.push_back(one);
        answer(one);
    }
    void answer(const OnWire& one) {
        const AtInterface& at = interfaces[one.interface];
        if (at.place == nullptr) return;
        PacketBuffer room;
        Packet packet = room.fill(one.packet);
        const auto source = Ipv4Address::load(packet.data + 12);
        const auto destination = Ipv4Address::load(packet.data + 16);
        if (packet.data[9] == 17 && load_be16(packet.data + 22) == 434) {
            const ConstByteSpan payload = packet.bytes().subspan(28);
            const std::uint16_t port = load_be16(packet.data + 20);
            if (payload[0] != 4)
                return registers(one.interface, payload, source, destination, port);
            if (destination != kExternalAgent) return;
            if (!undo(packet, 28 + 4, payload[1])) return;
        } else if (destination == kExternalAgent) {
            if (!undo(packet, 20, packet.data[9])) return;
        } else if (!at.place->agent || destination != kGateway) {
            return;  // user data to the internal home agent, or native: nobody answers
        }
        to_gateway(one.interface, packet);
    }
    static bool undo(Packet& packet, std::uint32_t offset, std::uint8_t protocol) {
        if (protocol == 55) {
            const auto header = tunnel::read_minimal(packet.bytes().subspan(offset));
            EXPECT_EQ(header.error, tunnel::MinimalError::kNone);
            tunnel::undo_minimal(packet, std::uint16_t(offset), header);
            return true;
        }
        if (protocol == 47) offset += 4;
        return tunnel::decapsulate(packet, std::uint16_t(offset), 4) ==
               tunnel::DecapsulateError::kNone;
    }
    void to_gateway(int id, Packet packet) {
        if (Ipv4Address::load(packet.data + 16) != kGateway) return;
        EXPECT_EQ(Ipv4Address::load(packet.data + 12), kExternalHome);
        if (packet.data[9] == 17) {
            if (packet.length < 40) return;  // keepalive
            take_esp_out_of_udp(packet);
        }
        EXPECT_EQ(packet.data[9], 50);
        if (!ends_->gateway.open(packet)) return;
        EXPECT_EQ(Ipv4Address::load(packet.data + 12), kInner);
        if (packet.data[9] != 17 || packet.data[28] == 4) {
            if (look_opened) look_opened(id, user_number(packet.bytes()));
            return;
        }
        if (gateway_silent) return;
        registers_by_vpn(id, packet);
    }
    mip4::Actions ask(mip4::HomeAgent& agent, ConstByteSpan payload,
                      const mip4::RequestInfo& info) {
        return agent.receive(payload, info, now.steady, now.ntp);
    }
    static wire::RegistrationReply reply_in(const Bytes& payload) {
        return std::get<wire::RegistrationReply>(wire::decode_mip4(payload).value());
    }
    /// A registration in the clear, at an agent or by a router.
    void registers(int id, ConstByteSpan payload, const Ipv4Address& source,
                   const Ipv4Address& destination, std::uint16_t port) {
        const AtInterface& at = interfaces[id];
        const auto request =
            std::get<wire::RegistrationRequest>(wire::decode_mip4(payload).value());
        EXPECT_EQ(request.decapsulates, !at.place->agent);
        const bool to_internal = request.home_agent == kInternalAgent;
        if (at.place->agent) {
            EXPECT_EQ(destination, at.place->address);
        } else {
            EXPECT_EQ(destination, request.home_agent);
            EXPECT_EQ(source, at.place->address);
        }
        if (to_internal && !at.place->inside && firewall) return;
        if (to_internal ? internal_silent : external_silent) return;
        mip4::RequestInfo info;
        info.source = {at.place->agent ? at.place->address : source, port};
        if (at.place->nat) info.source = {kNatAddress, std::uint16_t(port + kNatPorts)};
        info.destination = {request.home_agent, 434};
        info.came_from_inside = to_internal && at.place->inside;
        for (const auto& action : ask(to_internal ? internal : external, payload, info)) {
            const auto* reply = std::get_if<mip4::SendReply>(&action);
            if (reply == nullptr) continue;
            const auto message = reply_in(reply->payload);
            const bool good = message.code <= 1 && message.lifetime > 0;
            const bool tnc = wire::find_extension<wire::Mip4TrustedNetworksConfigured>(
                                 message.extensions) != nullptr;
            auto proves = Pending::Proves::kNothing;
            if (good && to_internal &&
                (tnc || options_.plain || options_.detection.profile == mip4::Profile::kDraft02)) {
                proves = Pending::Proves::kInside;
            }
            if (good && !to_internal) proves = Pending::Proves::kExternal;
            const mip4::Endpoint from{at.place->agent ? at.place->address : request.home_agent,
                                      434};
            const mip4::Endpoint to{at.place->agent ? message.home_address : source, port};
            queue({{},
                   id,
                   at.epoch,
                   at.place->agent,
                   udp_packet(from, to, 64, reply->payload),
                   proves,
                   seconds(message.lifetime)});
        }
    }
    void registers_by_vpn(int id, const Packet& packet) {
        if (internal_silent) return;
        EXPECT_EQ(Ipv4Address::load(packet.data + 16), kInternalAgent);
        mip4::RequestInfo info;
        info.source = {kInner, load_be16(packet.data + 20)};
        info.destination = {kInternalAgent, 434};
        info.came_through_ipsec = true;
        info.came_from_inside = true;
        for (const auto& action : ask(internal, packet.bytes().subspan(28), info)) {
            const auto* reply = std::get_if<mip4::SendReply>(&action);
            if (reply == nullptr) continue;
            const auto message = reply_in(reply->payload);
            const bool good = message.code <= 1 && message.lifetime > 0;
            (void)send_through_gateway(id, udp_packet(reply->from, reply->to, 64, reply->payload),
                                       interfaces[id].epoch,
                                       good ? Pending::Proves::kVpn : Pending::Proves::kNothing,
                                       seconds(message.lifetime));
        }
    }

    PacketBuffer buffer_;
    std::map<unsigned, Injected> injected_;
};

}  // namespace homeport::mobile_node::test_support
