// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/app.hpp"

#include <signal.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <ctime>
#include <map>
#include <random>

#include "controlplane/ipsec/mobility_key.hpp"
#include "controlplane/mip4/agent_advertiser.hpp"
#include "controlplane/mip4/foreign_agent.hpp"
#include "dataplane/base/checksum.hpp"
#include "tools/foreign-agent/data_path.hpp"
#include "tools/foreign-agent/home_side.hpp"
#include "tools/foreign-agent/host_rules.hpp"
#include "tools/foreign-agent/status_report.hpp"
#include "tools/foreign-agent/visited_link.hpp"
#include "tools/mobile-node/log.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/status_server.hpp"

namespace homeport::foreign_agent {

namespace {

using mobile_node::Alarm;
using mobile_node::fail;
using mobile_node::Readiness;
using mobile_node::Result;
using mobile_node::StatusServer;
using Clock = std::chrono::steady_clock;
using Count = mip4::ForeignAgentCounter;

constexpr std::uint16_t kPort = 434;
constexpr int kMostAtOnce = 64;  // packets from one socket, before others have their turn
constexpr std::size_t kBuffer = 1 << 17;

/// Seconds, for time stamps of revocations.
std::uint32_t clock_now() {
    return static_cast<std::uint32_t>(std::time(nullptr));
}

Result<std::optional<mip4::SecurityAssociation>> load_key(const KeyConfig& key) {
    auto octets = sa::load_mobility_key(key.key_file);
    if (!octets) return fail(octets.error().text);
    mip4::SecurityAssociation out;
    out.spi = key.spi;
    out.algorithm = key.algorithm;
    const ConstByteSpan view = octets->view();
    out.key.assign(view.begin(), view.end());
    return std::optional<mip4::SecurityAssociation>(std::move(out));
}

Result<mip4::ForeignAgentConfig> protocol_config(const Config& config,
                                                 const std::vector<Ipv4Address>& links) {
    mip4::ForeignAgentConfig out;
    out.link_addresses = links;
    out.care_of_addresses = {config.care_of_address};
    out.own_addresses = addresses_of_host();
    out.max_lifetime = config.max_lifetime;
    out.gre = config.gre;
    out.minimal = config.minimal;
    out.reverse_tunnel = config.reverse_tunnel;
    out.encapsulating_delivery = config.encapsulating_delivery;
    out.co_located = config.co_located;
    out.udp = config.udp_tunnel;
    out.keepalive = config.keepalive;
    out.home_agents = config.home_agents;
    out.max_visitors = config.max_visitors;
    out.max_pending = config.max_pending;
    out.registration_timeout = config.registration_timeout;
    out.revocation = config.revocation;
    out.notify_visitors = config.notify_visitors;
    for (const KeyConfig& key : config.home_agent_keys) {
        auto loaded = load_key(key);
        if (!loaded) return std::unexpected(loaded.error());
        out.home_agent_keys.push_back({*key.address, std::move(**loaded)});
    }
    for (const KeyConfig& key : config.mobile_node_keys) {
        auto loaded = load_key(key);
        if (!loaded) return std::unexpected(loaded.error());
        out.mobile_node_keys.push_back({key.address, key.nai, std::move(**loaded)});
    }
    return out;
}

mip4::AdvertiserConfig advertiser_config(const Config& config, const VisitedLink& link,
                                         const Ipv4Address& address) {
    mip4::AdvertiserConfig out;
    out.address = address;
    out.flags.registration_required = config.registration_required;
    out.flags.foreign_agent = true;
    out.flags.minimal = config.minimal;
    out.flags.gre = config.gre;
    out.flags.reverse_tunnel = config.reverse_tunnel != mip4::ReverseTunnelPolicy::kUnavailable;
    out.flags.udp_tunnel = config.udp_tunnel != mip4::ForeignUdpPolicy::kNever;
    out.flags.revocation = config.revocation && !config.home_agent_keys.empty();
    out.registration_lifetime = config.max_lifetime;
    out.care_of_addresses = {config.care_of_address};
    out.routes_common_traffic = config.advertise.default_router;
    if (config.advertise.default_router) out.routers = {{address, 0}};
    if (config.advertise.prefix_lengths) {
        const auto prefix = link.prefix_of(address);
        out.prefix_lengths = {prefix ? prefix->length : std::uint8_t{32}};
    }
    out.min_interval = config.advertise.min_interval;
    out.max_interval = config.advertise.max_interval;
    out.lifetime = config.advertise.lifetime;
    out.only_solicited = config.advertise.only_solicited;
    out.broadcast = config.advertise.broadcast;
    const std::string& nai = config.advertise.nai;
    if (!nai.empty()) {
        out.extensions = {{config.advertise.nai_extension, {nai.begin(), nai.end()}}};
    }
    return out;
}

bool udp_checksum_is_right(ConstByteSpan packet) {
    const Ipv4Header& ip = header_of(packet);
    const ConstByteSpan udp = payload_of(packet);
    if (load_be16(udp.data() + 6) == 0) return true;
    const std::uint64_t sum =
        pseudo_header_sum(ip.source, ip.destination, static_cast<std::uint16_t>(udp.size()),
                          number(IpProtocol::kUdp));
    return checksum_finish(checksum_add(sum, udp)) == 0;
}

/// The UDP payload to port 434 of a whole packet; nothing: it is none.
std::optional<ConstByteSpan> payload_to_port_434(ConstByteSpan packet) {
    const Ipv4Header& ip = header_of(packet);
    if (ip.protocol != number(IpProtocol::kUdp) || ip.is_fragment()) return {};
    const ConstByteSpan udp = payload_of(packet);
    if (udp.size() < sizeof(UdpHeader) || load_be16(udp.data() + 2) != kPort) return {};
    const std::size_t length = load_be16(udp.data() + 4);
    if (length < sizeof(UdpHeader) || length > udp.size()) return {};
    return udp.first(length).subspan(sizeof(UdpHeader));
}

}  // namespace

struct App::State {
    struct Link {
        VisitedLink socket;
        std::unique_ptr<mip4::AgentAdvertiser> advertiser;
        Readiness readiness;
    };

    State(const Config& the_config, mip4::ForeignAgentConfig protocol, std::vector<Link> the_links,
          HomeSide the_home, HostRules the_rules)
        : config(the_config),
          links(std::move(the_links)),
          home(std::move(the_home)),
          rules(std::move(the_rules)),
          service(std::move(protocol), counters),
          data(service, counters, options()),
          alarm(context, [this] { tick(); }),
          signals(context, SIGTERM, SIGINT, SIGHUP) {}

    DataPath::Options options() {
        DataPath::Options out;
        for (const Link& link : links) out.link_mtu.push_back(link.socket.mtu());
        out.path_mtu = [this](const Ipv4Address& source, const Ipv4Address& home_agent) {
            return home.path_mtu(source, home_agent);
        };
        out.keepalive_identifier = static_cast<std::uint16_t>(std::random_device{}());
        return out;
    }

    // ---------------------------------------------------------------------------- starting

    Result<void> start() {
        StatusServer::Commands commands;
        commands.status = [this] { return status(); };
        commands.other = [this](const std::string& line) { return command(line); };
        commands.known = "status, revoke HOME_ADDRESS";
        auto opened = StatusServer::create(context, config.status_socket, std::move(commands));
        if (!opened) return std::unexpected(opened.error());
        server = std::move(*opened);
        for (std::size_t i = 0; i < links.size(); ++i) {
            if (auto done = home.join(links[i].socket.index()); !done) return done;
            links[i].readiness =
                Readiness(context, links[i].socket.descriptor(), [this, i] { frames_ready(i); });
        }
        for (const int descriptor : home.descriptors()) {
            home_readiness.emplace_back(context, descriptor,
                                        [this, descriptor] { home_ready(descriptor); });
        }
        wait_for_signal();
        tick();
        return {};
    }

    void wait_for_signal() {
        signals.async_wait([this](const asio::error_code& error, int number) {
            if (error) return;
            if (number != SIGHUP) return shut_down();
            reload();
            wait_for_signal();
        });
    }

    void reload() {
        const auto loaded = load_file(config.file);
        if (!loaded) {
            return log.write(Message::kBadConfiguration, config::to_string(loaded.error()));
        }
        config.log_level = loaded->log_level;
        mobile_node::set_log_level(config.log_level);
        if (*loaded != config) {
            log.write(Message::kNeedsRestart,
                      "something else than log_level changed: only a restart brings it into force");
        }
        log.write(Message::kReloaded, config.file);
    }

    void shut_down() {
        log.write(Message::kStops, fmt::format("{} visitors", service.visitor_count()));
        for (std::size_t i = 0; i < links.size(); ++i) {
            const auto last = links[i].advertiser->farewell();
            (void)links[i].socket.send(last.destination, last.packet);
        }
        context.stop();
    }

    // ------------------------------------------------------------------------------- input

    void frames_ready(std::size_t i) {
        const auto now = Clock::now();
        for (int n = 0; n < kMostAtOnce; ++n) {
            const auto frame = links[i].socket.receive(buffer);
            if (!frame) {
                log.write_limited(Message::kSocket, frame.error().text);
                break;
            }
            if (!*frame) break;
            take_frame(i, **frame, ConstByteSpan(buffer).first((*frame)->length), now);
        }
        tick();
    }

    void take_frame(std::size_t i, const ReceivedFrame& frame, ConstByteSpan octets,
                    Clock::time_point now) {
        if (octets.size() < sizeof(Ipv4Header)) return;
        if (frame.length > links[i].socket.mtu() + 64 && !said_large) {
            said_large = true;
            log.write(Message::kLargeFrame, fmt::format("{}: a frame of {} octets",
                                                        links[i].socket.name(), frame.length));
        }
        const Ipv4Address& destination = header_of(octets).destination;
        const bool is_ours = is_own(destination);
        if (is_ours || frame.is_group) {
            const auto whole = whole_packet(octets);
            if (whole && take_message(i, frame, *whole, is_ours, now)) return;
        }
        if (frame.is_group) return data.group_from_visitor(i, frame.source, octets);
        Outbox out;
        (void)data.from_visitor(i, frame.source, octets, is_ours, now, out);
        send(out);
    }

    /// Registration requests and solicitations.
    bool take_message(std::size_t i, const ReceivedFrame& frame, ConstByteSpan packet, bool is_ours,
                      Clock::time_point now) {
        const Ipv4Header& ip = header_of(packet);
        if (ip.protocol == number(IpProtocol::kIcmp)) {
            const ConstByteSpan icmp = payload_of(packet);
            constexpr std::uint8_t kSolicitation = 10;
            if (icmp.empty() || icmp[0] != kSolicitation) return false;
            return links[i].advertiser->receive(packet, frame.source, now);
        }
        const auto payload = payload_to_port_434(packet);
        constexpr std::uint8_t kRequest = 1;
        if (!payload || payload->empty() || (*payload)[0] != kRequest) return false;
        if (!frame.checksum_is_open && !udp_checksum_is_right(packet)) {
            counters.add(Count::kRequest);
            counters.add(Count::kRequestChecksum);
            return true;
        }
        mip4::VisitorRequestInfo info;
        info.link = i;
        info.mac = frame.source;
        info.source = {ip.source, load_be16(payload_of(packet).data())};
        info.destination = ip.destination;
        info.destination_is_ours = is_ours;
        info.ttl = ip.ttl;
        perform(service.receive_request(*payload, info, now, clock_now()));
        return true;
    }

    void home_ready(int descriptor) {
        const auto now = Clock::now();
        while (const auto report = home.receive_error(descriptor, buffer)) {
            perform(service.unreachable(report->destination, report->type, report->code,
                                        report->quoted, now));
        }
        for (int n = 0; n < kMostAtOnce; ++n) {
            const auto received = home.receive(descriptor, buffer);
            if (!received) {
                log.write_limited(Message::kSocket, received.error().text);
                break;
            }
            if (!*received) break;
            if (const auto* message = std::get_if<ControlMessage>(&**received)) {
                take_control(*message, now);
            } else {
                take_tunnelled(std::get<TunnelPacket>(**received), now);
            }
        }
        tick();
    }

    void take_control(const ControlMessage& message, Clock::time_point now) {
        constexpr std::uint8_t kRequest = 1;
        const bool is_request = !message.payload.empty() && message.payload[0] == kRequest;
        const bool is_visited = std::ranges::any_of(
            links, [&](const Link& one) { return one.socket.index() == message.interface; });
        if (is_request && is_visited) return;  // the packet socket has it, with its link address
        if (is_request) {
            counters.add(Count::kRequest);
            counters.add(Count::kRequestOffLink);
            return;
        }
        perform(service.receive_from_home(message.payload, message.source, message.destination, now,
                                          clock_now()));
    }

    void take_tunnelled(const TunnelPacket& received, Clock::time_point now) {
        // Encapsulating delivery of a visitor: the packet socket has it, with its link address.
        if (received.packet.size() >= sizeof(Ipv4Header)) {
            for (std::size_t i = 0; i < links.size(); ++i) {
                if (links[i].socket.index() == received.interface &&
                    service.has_visitor(i, header_of(received.packet).source)) {
                    return;
                }
            }
        }
        Outbox out;
        data.from_tunnel(received.packet, now, out);
        send(out);
    }

    // ------------------------------------------------------------------------------ output

    void send(const Outbox& out) {
        for (const Outbox::Frame& frame : out.frames) {
            const bool done = links[frame.link].socket.send(frame.to, frame.packet);
            if (frame.counts) counters.add(done ? Count::kTunnelDelivered : Count::kInSend);
        }
        for (const Outbox::Packet& packet : out.packets) {
            const bool done = home.send_packet(packet.octets);
            switch (packet.kind) {
                case Outbox::Packet::Kind::kOwn:
                    break;
                case Outbox::Packet::Kind::kTunnelled:
                    counters.add(done ? Count::kVisitorTunnelled : Count::kOutSend);
                    break;
                case Outbox::Packet::Kind::kForwarded:
                    counters.add(done ? Count::kVisitorForwarded : Count::kOutSend);
                    break;
            }
        }
    }

    void perform(const mip4::ForeignAgentActions& actions) {
        for (const auto& action : actions) {
            std::visit([this](const auto& one) { perform_one(one); }, action);
        }
    }
    void perform_one(const mip4::SendToVisitor& action) {
        const auto packet = udp_packet(action.source, kPort, action.to.address, action.to.port, 255,
                                       action.payload);
        if (!links[action.link].socket.send(action.mac, packet)) {
            log.write_limited(Message::kSocket,
                              links[action.link].socket.name() + " did not take a reply");
        }
    }
    void perform_one(const mip4::SendToHomeAgent& action) {
        if (home.send_control(action.care_of_address, action.home_agent, action.payload)) return;
        // No route: as if a router had said so (RFC 5944 section 3.7.3).
        constexpr std::uint8_t kUnreachable = 3;
        const std::uint8_t code = errno == EHOSTUNREACH ? 1 : 0;
        perform(service.unreachable(action.home_agent, kUnreachable, code, action.payload,
                                    Clock::now()));
    }
    void perform_one(const mip4::VisitorChanged& action) {
        const mip4::Visitor& visitor = action.visitor;
        const auto key = std::pair{visitor.home_address, visitor.home_agent};
        const std::string link = visitor.co_located ? "" : links[visitor.link].socket.name();
        const auto known = ruled.find(key);
        if (known != ruled.end() && known->second == link) return;
        if (known != ruled.end()) drop_rule(key);
        if (link.empty()) return;
        if (auto done = rules.add(link, visitor.home_address); !done) {
            return log.write_limited(Message::kRule, done.error().text);
        }
        ruled[key] = link;
    }
    void perform_one(const mip4::VisitorGone& action) {
        drop_rule({action.visitor.home_address, action.visitor.home_agent});
        log.write_limited(
            Message::kGone,
            fmt::format("visitor {} of {}: {}", action.visitor.home_address.to_string(),
                        action.visitor.home_agent.to_string(), action.why));
    }
    void drop_rule(const std::pair<Ipv4Address, Ipv4Address>& key) {
        const auto known = ruled.find(key);
        if (known == ruled.end()) return;
        rules.remove(known->second, key.first);
        ruled.erase(known);
    }
    void perform_one(const mip4::SendKeepalive& action) {
        Outbox out;
        data.keepalive(action.visitor, action.sequence, out);
        send(out);
    }
    void perform_one(const mip4::SendReset& action) {
        const auto made = links[action.link].advertiser->reset_for(action.home_address, action.mac);
        (void)links[action.link].socket.send(made.destination, made.packet);
    }
    void perform_one(const mip4::ForeignAgentEvent& event) {
        const auto text = [&](std::string_view what) {
            return fmt::format("{}: home address {}, home agent {}, link address {}{}{}", what,
                               event.home_address.to_string(), event.home_agent.to_string(),
                               event.mac.to_string(), *event.detail == '\0' ? "" : ": ",
                               event.detail);
        };
        switch (event.counter) {
            case Count::kRegistered:
                return log.write_limited(Message::kRegistered, text("registered"));
            case Count::kRequestDenied:
                return log.write_limited(Message::kDenied,
                                         text(fmt::format("denied with code {}", event.code)));
            case Count::kRequestAuthentication:
            case Count::kRevocationAuthentication:
                return log.write_limited(Message::kSecurity, text(mip4::name(event.counter)));
            case Count::kReplyReplaced:
                return log.write_limited(Message::kReplaced,
                                         text(fmt::format("code {} instead of the home agent's "
                                                          "reply",
                                                          event.code)));
            case Count::kKeepaliveLost:
                return log.write_limited(Message::kKeepalivesLost, text("keepalives"));
            default:
                return spdlog::debug("{}", text(mip4::name(event.counter)));
        }
    }

    // -------------------------------------------------------------------------------- time

    void tick() {
        const auto now = Clock::now();
        perform(service.tick(now, clock_now()));
        auto next = now + std::chrono::seconds(60);
        for (std::size_t i = 0; i < links.size(); ++i) {
            Link& link = links[i];
            link.advertiser->set_busy(service.is_busy());
            for (const auto& one : link.advertiser->tick(now)) {
                (void)link.socket.send(one.destination, one.packet);
            }
            data.set_link_mtu(i, link.socket.mtu());
            if (const auto due = link.advertiser->next_deadline()) next = std::min(next, *due);
        }
        if (const auto due = service.next_deadline()) next = std::min(next, *due);
        alarm.set(next);
    }

    bool is_own(const Ipv4Address& address) const {
        const auto& own = service.config().own_addresses;
        return std::ranges::find(own, address) != own.end();
    }

    // ------------------------------------------------------------------------------ status

    std::string status() const {
        StatusSource source{service, counters, {}, Clock::now(), started};
        for (const Link& link : links) {
            source.links.push_back({link.socket.name(), link.advertiser.get()});
        }
        return status_json(source);
    }
    std::optional<std::string> command(const std::string& line) {
        constexpr std::string_view kRevoke = "revoke ";
        if (!line.starts_with(kRevoke)) return {};
        const auto address = Ipv4Address::parse(line.substr(kRevoke.size()));
        if (!address) return R"({"error":"expected: revoke HOME_ADDRESS"})";
        mip4::ForeignAgentActions actions;
        const bool any = service.revoke(*address, Clock::now(), clock_now(), actions);
        perform(actions);
        tick();
        return any ? R"({"done":true})" : R"({"error":"no visitor has this home address"})";
    }

    Config config;
    Clock::time_point started = Clock::now();
    asio::io_context context{1};
    Log log;
    mip4::ForeignAgentCounters counters;
    std::vector<Link> links;
    HomeSide home;
    HostRules rules;
    std::map<std::pair<Ipv4Address, Ipv4Address>, std::string> ruled;  // -> link
    mip4::ForeignAgentService service;
    DataPath data;
    std::unique_ptr<StatusServer> server;
    std::vector<Readiness> home_readiness;
    Alarm alarm;
    asio::signal_set signals;
    std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(kBuffer);
    bool said_large = false;
};

App::App(std::unique_ptr<State> state) : state_(std::move(state)) {}
App::~App() = default;

Result<std::unique_ptr<App>> App::create(const Config& config) {
    const auto own = addresses_of_host();
    if (std::ranges::find(own, config.care_of_address) == own.end()) {
        return fail("care_of_address " + config.care_of_address.to_string() +
                    ": no device of this host has it");
    }
    std::vector<State::Link> links;
    std::vector<Ipv4Address> addresses;
    std::random_device random;
    for (const LinkConfig& one : config.links) {
        auto link = VisitedLink::open(one.interface);
        if (!link) return std::unexpected(link.error());
        if (!one.address && !link->address()) {
            return fail("link " + one.interface + ": has no IPv4 address");
        }
        const Ipv4Address address = one.address ? *one.address : link->address()->address;
        if (!link->prefix_of(address)) {
            return fail("link " + one.interface + ": has no address " + address.to_string());
        }
        addresses.push_back(address);
        auto advertiser = std::make_unique<mip4::AgentAdvertiser>(
            advertiser_config(config, *link, address), Clock::now(),
            std::uint64_t{random()} << 32 | random());
        links.push_back({std::move(*link), std::move(advertiser), {}});
    }
    auto protocol = protocol_config(config, addresses);
    if (!protocol) return std::unexpected(protocol.error());
    auto home = HomeSide::open();
    if (!home) return std::unexpected(home.error());
    auto rules = HostRules::open(config.rule_priority);
    if (!rules) return std::unexpected(rules.error());
    switch_off_gro(device_with(config.care_of_address));
    std::unique_ptr<App> app(new App(std::make_unique<State>(
        config, std::move(*protocol), std::move(links), std::move(*home), std::move(*rules))));
    if (auto done = app->state_->start(); !done) return std::unexpected(done.error());
    return app;
}

void App::run() {
    std::string names;
    for (const auto& link : state_->links) names += " " + link.socket.name();
    state_->log.write(
        Message::kStarts,
        fmt::format("homeport-fa {} runs: care-of address {}, links{}", HOMEPORT_VERSION,
                    state_->config.care_of_address.to_string(), names));
    state_->context.run();
}

}  // namespace homeport::foreign_agent
