// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/app.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <random>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include "tools/mobile-node/access_link4.hpp"
#include "tools/mobile-node/host_network.hpp"
#include "tools/mobile-node/log.hpp"
#include "tools/mobile-node/mip4/agent_link.hpp"
#include "tools/mobile-node/mip4/agents.hpp"
#include "tools/mobile-node/mip4/hints.hpp"
#include "tools/mobile-node/mip4/layers.hpp"
#include "tools/mobile-node/mip4/native_guard.hpp"
#include "tools/mobile-node/mip4/packets.hpp"
#include "tools/mobile-node/mip4/security.hpp"
#include "tools/mobile-node/mip4/status.hpp"
#include "tools/mobile-node/mip4/user_path.hpp"
#include "tools/mobile-node/netlink_monitor.hpp"
#include "tools/mobile-node/readiness.hpp"
#include "tools/mobile-node/status_server.hpp"
#include "tools/mobile-node/tun_device.hpp"

namespace homeport::mobile_node {

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kFirstMtu = 1400;
constexpr int kMostPackets = 64;  // taken from one descriptor before others get their turn
constexpr std::size_t kMostHandovers = 16;
constexpr std::chrono::milliseconds kNoteSequences{200};
constexpr std::chrono::milliseconds kLookForHints{200};
/// For the home agent to answer on what looks like the home link, where there is another way.
constexpr std::chrono::seconds kTryHome{4};
constexpr mip4::NetworkState kDetecting = mip4::NetworkState::kDetect;
constexpr MacAddress kEverybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

mip4::Now clocks() {
    return {Clock::now(), mip4::ntp_time(std::chrono::system_clock::now())};
}

/// What the host's network needs to know, as if of the IPv6 node.
Config host_config(const Config& config) {
    Config out = config;
    const Mip4Config& mip4 = *config.mobile_ipv4;
    out.ipv4_home_address = mip4.internal.home_address;
    out.home_agent_ipv4 = {mip4.internal.home_agent};
    if (mip4.external && mip4.external->home_agent != mip4.internal.home_agent) {
        out.home_agent_ipv4.push_back(mip4.external->home_agent);
    }
    return out;
}

/// Reverse path filter of one interface: 1 makes the kernel drop what comes in for a home address
/// and did not come by the TUN device (S2.50, S2.96). Put back at the end.
class PathFilter {
  public:
    explicit PathFilter(const std::string& interface)
        : file_("/proc/sys/net/ipv4/conf/" + interface + "/rp_filter") {
        std::ifstream(file_) >> before_;
    }
    ~PathFilter() {
        if (!before_.empty()) std::ofstream(file_) << before_;
    }
    PathFilter(const PathFilter&) = delete;
    PathFilter& operator=(const PathFilter&) = delete;
    void set(bool strict) {
        if (strict == strict_) return;
        strict_ = strict;
        std::ofstream(file_) << (strict ? "1" : before_);
    }

  private:
    bool strict_ = false;
    std::string file_;
    std::string before_;
};

/// What an interface shows of the home link (RFC 5944 section 2.4.2 and 3.6.3). None of it is
/// authentic: that it is the home link is what the home agent's answer says.
struct HomeSigns {
    Clock::time_point heard_until{};  // an advertisement of our home agent
    MacAddress router;                // that it came from
    std::optional<Clock::time_point> tried_since{};
    bool is_refused = false;  // it was asked, and did not answer
    [[nodiscard]] bool is_heard(Clock::time_point now) const { return heard_until > now; }
};

struct Attached {
    Attached(std::string the_name, AccessLink4 the_link)
        : name(std::move(the_name)), filter(name), link(std::move(the_link)) {}
    std::string name;
    PathFilter filter;
    AccessLink4 link;
    std::optional<AgentLink> agent_link;
    LinkAgent agent;
    HomeSigns home;
    std::uint64_t losses = 0;
    unsigned mtu = 1500;
    std::vector<Readiness> readiness;
};

struct Hinted {
    mip4::Belief belief = mip4::Belief::kNone;
    Clock::time_point asked{};
};

mip4::MobileNodeConfig node_config(const Mip4Config& config,
                                   mip4::RegistrationClientConfig internal,
                                   std::optional<mip4::RegistrationClientConfig> external) {
    mip4::MobileNodeConfig out;
    out.internal = std::move(internal);
    out.external = std::move(external);
    if (config.vpn) out.vpn_inner_address = config.vpn->inner_address;
    out.detection.profile = config.detection.profile;
    out.detection.detect_period = config.detection.detect_period;
    out.detection.monitor = config.detection.monitor;
    out.detection.grace = config.detection.grace;
    out.detection.stale_retries = config.detection.stale_retries;
    out.detection.idle_after = config.detection.idle_after;
    out.detection.assume_outside = config.detection.assume_outside;
    out.keepalive = config.keepalive;
    return out;
}

Layers::Options layer_options(const Config& config) {
    Layers::Options out;
    out.ttl = config.tunnel.hop_limit;
    if (!config.mobile_ipv4->vpn) return out;
    out.vpn_gateway = config.mobile_ipv4->vpn->gateway;
    out.vpn_inner_address = config.mobile_ipv4->vpn->inner_address;
    out.esp_in_udp = config.mobile_ipv4->vpn->nat_traversal == Mip4EspUdp::kOn;
    return out;
}

}  // namespace

struct Mip4App::State {
    State(const Config& the_config, mip4::MobileNodeConfig node_config, TunDevice the_tun,
          HostNetwork the_host, std::unique_ptr<Mip4Security> the_security)
        : config(the_config),
          mip4(*config.mobile_ipv4),
          tun(std::move(the_tun)),
          host(std::move(the_host)),
          security(std::move(the_security)),
          table({}, {}, host_config(config).home_agent_ipv4),
          monitor(table),
          node(std::move(node_config), std::random_device{}()),
          layers(node, security ? &security->engine() : nullptr, layer_options(config), counters),
          path(node, layers, counters, path_options(), hooks()),
          tun_readiness(context, tun.descriptor(), [this] { tun_ready(); }),
          timer(context, [this] { tick(); }),
          sequence_timer(context, [this] { note_sequences(); }),
          signals(context, SIGTERM, SIGINT, SIGHUP) {}

    UserPath::Options path_options() {
        UserPath::Options out;
        out.queue = mip4.detection.queue;
        out.queue_size = mip4.detection.queue_size;
        out.mss_clamp = mip4.mss_clamp;
        if (!mip4.vpn) return out;
        out.esp_in_udp_may_change = mip4.vpn->nat_traversal == Mip4EspUdp::kAuto;
        out.vpn_gateway = mip4.vpn->gateway;
        out.vpn_inner_address = mip4.vpn->inner_address;
        out.largest_inside = [this](unsigned room) { return security->largest_inside(room); };
        return out;
    }
    UserPath::Hooks hooks() {
        UserPath::Hooks out;
        out.send = [this](int id, Exit exit, ConstByteSpan packet) {
            return send(id, exit, packet);
        };
        out.deliver = [this](ConstByteSpan packet) { return tun.write(packet); };
        out.event = [this](const mip4::MobileAction& action) { note(action); };
        return out;
    }

    Result<void> start() {
        StatusServer::Commands commands;
        commands.status = [this] { return status_line(); };
        commands.solicit_prefixes = [] { return std::string("not with mobile_ipv4"); };
        auto opened = StatusServer::create(context, config.status_socket, std::move(commands));
        if (!opened) return std::unexpected(opened.error());
        status = std::move(*opened);
        keep_native_out();
        if (!mip4.internal.home_address.is_unspecified()) set_home_address();
        if (auto done = monitor.start(); !done) return done;
        monitor_readiness = Readiness(context, monitor.descriptor(), [this] {
            if (auto done = monitor.read_events(); !done) spdlog::error("{}", done.error().text);
            links_changed();
        });
        wait_for_signal();
        links_changed();
        note_sequences();
        return {};
    }

    std::string status_line() const {
        std::map<int, std::string> names;
        for (const auto& [id, attached] : links) names[id] = attached->name;
        return mip4_status_json(
            {mip4, node, path, layers, counters,
             security ? security->associations() : std::vector<ipsec::SaStatus>{},
             security ? security->overhead() : 0, std::move(names), handovers, Clock::now(),
             started});
    }

    // ---------------------------------------------------------------------------------- links

    bool is_ours(const Link& link) const {
        if (link.loopback || link.name == config.tunnel.name) return false;
        return config.interfaces.empty() ||
               std::ranges::find(config.interfaces, link.name) != config.interfaces.end();
    }

    void links_changed() {
        if (closing) return;
        for (auto it = links.begin(); it != links.end();) {
            const Link* const link = table.find(it->first);
            if (link != nullptr && link->name == it->second->name && is_ours(*link)) {
                ++it;
                continue;
            }
            perform(node.remove_interface(it->first, clocks()));
            path.remove_link(it->first);
            it = links.erase(it);
        }
        for (const auto& [id, link] : table.links()) {
            if (is_ours(link) && !links.contains(id)) add_link(link);
        }
        for (const auto& [id, attached] : links) attach(id, false);
        after();
    }

    void add_link(const Link& link) {
        AccessLink4::Options options;
        options.protocols = {IpProtocol::kIpv4, IpProtocol::kGre, IpProtocol::kMinimalEncapsulation,
                             IpProtocol::kEsp};
        options.esp_in_udp = false;
        auto opened = AccessLink4::open(link.index, link.name, options);
        if (!opened) return spdlog::warn("interface {}: {}", link.name, opened.error().text);
        const int id = link.index;
        auto attached = std::make_unique<Attached>(link.name, std::move(*opened));
        attached->losses = table.losses(id);
        auto layer2 = AgentLink::open(id, link.name);
        if (layer2) {
            attached->agent_link.emplace(std::move(*layer2));
            set_filter(*attached);
            attached->readiness.emplace_back(context, attached->agent_link->descriptor(),
                                             [this, id] { agent_ready(id); });
        } else {
            spdlog::warn("interface {}: {}", link.name, layer2.error().text);
        }
        for (const int descriptor : attached->link.descriptors()) {
            attached->readiness.emplace_back(
                context, descriptor, [this, id, descriptor] { link_ready(id, descriptor); });
        }
        if (mip4.foreign_agents != Mip4ForeignAgents::kNever) attached->agent.reset(Clock::now());
        links.emplace(id, std::move(attached));
        node.add_interface(id);
        std::vector<int> order;
        for (const std::string& name : config.interfaces) {
            for (const auto& [other, one] : links) {
                if (one->name == name) order.push_back(other);
            }
        }
        node.prefer(order);
    }

    void set_filter(Attached& attached) {
        if (!attached.agent_link) return;
        const auto done =
            attached.agent_link->set_filter(node.home_address(), node.external_home_address());
        if (!done) spdlog::warn("interface {}: {}", attached.name, done.error().text);
    }

    /// The address that stays, of those that lead to a home agent.
    std::optional<Ipv4Address> address_of(const Link& link) const {
        const bool leads = std::ranges::any_of(table.routes4(), [&](const LinkRoute4& route) {
            return route.interface == link.index;
        });
        if (!link.running || !leads) return std::nullopt;
        const auto& before = node.attachment(link.index);
        std::optional<Ipv4Address> found;
        for (const LinkAddress4& one : link.addresses4) {
            if (!one.address.is_unicast() || one.address.is_link_local()) continue;
            if (before && before->care_of == mip4::CareOf{one.address, true}) return one.address;
            if (!found && !one.deprecated) found = one.address;
        }
        return found;
    }

    void attach(int id, bool trigger) {
        Attached& attached = *links.at(id);
        const Link* const link = table.find(id);
        const std::uint64_t losses = table.losses(id);
        if (losses != attached.losses) {
            attached.losses = losses;
            attached.home = {};
            trigger = true;
            if (mip4.foreign_agents != Mip4ForeignAgents::kNever) {
                attached.agent.reset(Clock::now());
            }
        }
        std::optional<mip4::Attachment> where;
        const auto own = link == nullptr ? std::nullopt : address_of(*link);
        const LinkAgent::Agent* const agent =
            link != nullptr && link->running ? attached.agent.current(Clock::now()) : nullptr;
        const bool wanted =
            agent != nullptr && mip4.foreign_agents != Mip4ForeignAgents::kNever &&
            (mip4.foreign_agents == Mip4ForeignAgents::kAlways || !own || agent->required);
        if (wanted) {
            where = mip4::Attachment{
                {agent->care_of_address, false}, agent->address, agent->most_lifetime, false};
        } else if (own && mip4.foreign_agents != Mip4ForeignAgents::kAlways) {
            where = mip4::Attachment{{*own, true}, {}, 0xffff, false};
        }
        if (is_to_be_tried_as_home(id, link, attached, where.has_value())) {
            where = mip4::Attachment{{node.home_address(), true}, {}, 0xffff, true};
        }
        const bool begins_home = where && where->home && node.attachment(id) != where;
        if (begins_home) come_home(*link, attached);
        attached.mtu = link == nullptr ? 1500 : link->mtu;
        if (mip4.path_mtu != 0) attached.mtu = std::min<unsigned>(attached.mtu, mip4.path_mtu);
        path.set_link(id, {attached.link.udp_port(), attached.mtu});
        if (trigger || node.attachment(id) != where) look_for_hints(id);
        perform(node.attach(id, where, trigger, clocks()));
        set_path_filters();
    }

    /// An advertisement of our home agent, or an address of ours of a network that has the home
    /// address, too; or the operator says so.
    bool looks_like_home(const Link& link, const Attached& attached) const {
        if (attached.home.is_heard(Clock::now()) || link.name == config.home_interface) return true;
        return std::ranges::any_of(link.addresses4, [&](const LinkAddress4& one) {
            return one.prefix_length < Ipv4Prefix::kMaxLength &&
                   Ipv4Prefix{one.address, one.prefix_length}.contains(node.home_address());
        });
    }
    bool is_to_be_tried_as_home(int id, const Link* link, Attached& attached, bool has_other_way) {
        if (link == nullptr || !link->running || node.home_address().is_unspecified() ||
            !looks_like_home(*link, attached)) {
            attached.home.tried_since.reset();
            return false;
        }
        const auto now = Clock::now();
        if (!attached.home.tried_since) attached.home.tried_since = now;
        const auto& where = node.attachment(id);
        const bool is_answered =
            where && where->home && node.state(id) != mip4::NetworkState::kDetect;
        if (has_other_way && !is_answered && now - *attached.home.tried_since >= kTryHome) {
            attached.home.is_refused = true;
        }
        return !(attached.home.is_refused && has_other_way);
    }
    /// RFC 5944 section 4.6: the stations of the link learn where the home address is before the
    /// home agent lets it go.
    void come_home(const Link& link, Attached& attached) {
        spdlog::info("interface {}: this looks like the home link", attached.name);
        if (attached.agent_link && link.mac) {
            (void)attached.agent_link->announce(node.home_address(), *link.mac);
        }
    }

    /// The link on which we are at home, natively, for as long as that is certain.
    void note_home_link() {
        std::string now_at;
        for (const auto& [id, attached] : links) {
            const auto& where = node.attachment(id);
            if (where && where->home &&
                node.user_data(id, Clock::now()) == mip4::UserData::kPlaintext) {
                now_at = attached->name;
            }
        }
        if (now_at == home_link) return;
        home_link = now_at;
        keep_native_out();
        if (!home_link.empty()) spdlog::info("interface {}: at home", home_link);
    }

    /// S2.78. They matter while it is not known where we are.
    void look_for_hints(int id) {
        if (!hints.is_used() || !mip4.external) return;
        const LinkAgent::Agent* const agent = links.at(id)->agent.current(Clock::now());
        const bool has_name = agent != nullptr && mip4.hints.nai_extension != 0;
        const auto belief = hints.about(
            id, has_name ? realm_of(agent->extension(mip4.hints.nai_extension)) : std::string());
        perform(node.believe(id, belief, clocks()));
        auto& before = hinted[id];
        before.asked = Clock::now();
        if (std::exchange(before.belief, belief) == belief) return;
        spdlog::debug("{}: hints say {}", links.at(id)->name,
                      belief == mip4::Belief::kInside    ? "inside"
                      : belief == mip4::Belief::kOutside ? "outside"
                                                         : "nothing");
    }

    /// S2.50, S2.96: what comes natively for the home address is not for the kernel.
    void keep_native_out() {
        const auto done = guard.set(node.home_address(), mip4.internal.home_agent, home_link);
        if (done || guard.is_active()) {
            if (!done) spdlog::error("packets to the home address: {}", done.error().text);
            return;
        }
        if (!std::exchange(told_of_guard, true)) {
            spdlog::warn(
                "packets to the home address that come natively are kept out by the "
                "reverse path filter only, where it can: {}",
                done.error().text);
        }
    }

    /// Where there is no nft. Strict also drops what comes by the less preferred of two interfaces
    /// with addresses.
    void set_path_filters() {
        if (guard.is_active()) return;
        const auto count = std::ranges::count_if(
            links, [&](const auto& one) { return node.attachment(one.first).has_value(); });
        for (const auto& [id, attached] : links) {
            const auto& where = node.attachment(id);
            attached->filter.set(where && !where->home &&
                                 (count == 1 || !where->care_of.co_located));
        }
    }

    // -------------------------------------------------------------------------------- packets

    bool send(int id, Exit exit, ConstByteSpan packet) {
        const auto it = links.find(id);
        if (it == links.end()) return false;
        Attached& attached = *it->second;
        switch (exit) {
            case Exit::kCareOf:
                return attached.link.send(packet) == SendResult::kSent;
            case Exit::kNative:
                if (attached.agent_link && has_to_use_home_router(id, attached)) {
                    return attached.agent_link->send(packet, attached.home.router);
                }
                return attached.agent_link && attached.agent_link->send_native(packet);
            case Exit::kAgent:
                break;
        }
        const LinkAgent::Agent* const agent = attached.agent.current(Clock::now());
        return agent != nullptr && attached.agent_link &&
               attached.agent_link->send(packet, agent->mac);
    }

    /// At home on a link that the kernel has no routes for.
    bool has_to_use_home_router(int id, const Attached& attached) const {
        const auto& where = node.attachment(id);
        return where && where->home && attached.home.is_heard(Clock::now()) &&
               std::ranges::none_of(table.routes4(), [id](const LinkRoute4& route) {
                   return route.interface == id;
               });
    }

    void tun_ready() {
        for (int i = 0; i < kMostPackets; ++i) {
            const auto length = tun.read(buffer.room());
            if (!length) return spdlog::error("{}", length.error().text);
            if (*length == 0) break;
            if (buffer.room()[0] >> 4 != 4) continue;  // the kernel's own IPv6, of the device
            Packet packet = buffer.packet(*length);
            path.from_application(packet, clocks());
        }
        after();
    }

    void link_ready(int id, int descriptor) {
        for (int i = 0; i < kMostPackets; ++i) {
            const auto it = links.find(id);
            if (it == links.end()) return;
            if (const auto news = it->second->link.receive_error(descriptor)) {
                path_mtu(id, news->mtu);
            }
            const auto length = it->second->link.receive(descriptor, buffer.room());
            if (!length) {
                counters.add(Counter::kInMalformed);
                continue;
            }
            if (*length == 0) break;
            Packet packet = buffer.packet(*length);
            path.from_wire(packet, id, false, clocks());
        }
        after();
    }

    void path_mtu(int id, unsigned mtu) {
        Attached& attached = *links.at(id);
        if (mtu < 576 || mtu >= attached.mtu) return;
        counters.add(Counter::kPacketTooBig);
        attached.mtu = mtu;
        path.set_link(id, {attached.link.udp_port(), mtu});
    }

    void agent_ready(int id) {
        for (int i = 0; i < kMostPackets; ++i) {
            const auto it = links.find(id);
            if (it == links.end()) return;
            const auto received = it->second->agent_link->receive(buffer.room());
            if (received.length == 0) break;
            Packet packet = buffer.packet(received.length);
            from_link(id, *it->second, packet, received.source);
        }
        after();
    }

    void from_link(int id, Attached& attached, Packet& packet, const MacAddress& source) {
        const auto now = clocks();
        if (packet.length >= sizeof(Ipv4Header) &&
            packet.data[offsetof(Ipv4Header, protocol)] == number(IpProtocol::kIcmp)) {
            const auto heard = wire::read_agent_discovery_packet(packet.bytes());
            if (heard) {
                hear_home_agent(*heard, attached, source);
                if (mip4.foreign_agents != Mip4ForeignAgents::kNever &&
                    attached.agent.take(*heard, source, now.steady)) {
                    spdlog::info("interface {}: foreign agent {}", attached.name,
                                 heard->source.to_string());
                    attach(id, true);
                }
                return attach(id, false);
            }
        }
        const auto& where = node.attachment(id);
        if (where && where->home) return;  // the kernel has it
        const LinkAgent::Agent* const agent = attached.agent.current(now.steady);
        if (agent == nullptr || agent->mac != source) return counters.add(Counter::kInNotHomeAgent);
        path.from_wire(packet, id, true, now);
    }

    void hear_home_agent(const wire::AgentDiscoveryPacket& heard, Attached& attached,
                         const MacAddress& source) {
        const auto* const message = std::get_if<wire::AgentAdvertisement>(&heard.message);
        if (message == nullptr || !message->agent || !message->agent->flags.home_agent ||
            heard.source != mip4.internal.home_agent) {
            return;
        }
        attached.home.heard_until = Clock::now() + std::chrono::seconds{message->lifetime};
        attached.home.router = source;
    }

    // ------------------------------------------------------------------------------- protocol

    void perform(const mip4::MobileActions& actions) { path.perform(actions, clocks()); }

    void note(const mip4::MobileAction& action) {
        const auto name = [&](int id) {
            const auto it = links.find(id);
            return it == links.end() ? std::string("interface ") + std::to_string(id)
                                     : it->second->name;
        };
        if (const auto* state = std::get_if<mip4::NetworkStateChanged>(&action)) {
            const std::string text =
                name(state->interface) + ": " + std::string(mip4::to_string(state->change.from)) +
                " -> " + std::string(mip4::to_string(state->change.to)) + ", " + state->change.why;
            spdlog::info("{}", text);
            publish("state", text, std::string(mip4::to_string(state->change.to)));
        } else if (const auto* result = std::get_if<mip4::RegistrationResult>(&action)) {
            note_result(name(result->interface), *result);
        } else if (std::holds_alternative<mip4::VpnFailed>(action)) {
            const auto* failed = std::get_if<mip4::VpnFailed>(&action);
            spdlog::warn("{}: no answer through the VPN gateway {}; ESP {}",
                         name(failed->interface), mip4.vpn->gateway.to_string(),
                         layers.esp_in_udp() ? "in UDP 4500 from now on" : "without UDP");
        } else if (std::holds_alternative<mip4::HomeAddressAssigned>(action)) {
            set_home_address();
            keep_native_out();
            for (const auto& [id, attached] : links) set_filter(*attached);
        }
    }
    void note_result(const std::string& name, const mip4::RegistrationResult& result) {
        using Kind = mip4::RegistrationOutcome::Kind;
        const auto& outcome = result.outcome;
        switch (outcome.kind) {
            case Kind::kAccepted:
                return spdlog::debug("{}: registered ({}) for {} s{}", name,
                                     mip4::to_string(result.leg), outcome.lifetime,
                                     outcome.udp ? ", in UDP" : "");
            case Kind::kIgnored:
                return spdlog::debug("{}: reply ignored: {}", name, outcome.why);
            case Kind::kDenied:
            case Kind::kRetry:
                return spdlog::warn("{}: registration ({}) refused, code {}: {}", name,
                                    mip4::to_string(result.leg), outcome.code, outcome.why);
        }
    }
    void publish(const char* event, const std::string& text, const std::string& state) {
        if (status) status->publish(mip4_event_json(event, text, state));
    }

    void set_home_address() {
        if (auto done = host.set_ipv4_home_address(node.home_address(), true); !done) {
            spdlog::error("{}", done.error().text);
        }
    }

    void tick() {
        for (const auto& [id, attached] : links) {
            const auto now = Clock::now();
            const Link* const link = table.find(id);
            if (link != nullptr && link->running && attached->agent_link &&
                attached->agent.solicits(now)) {
                const auto packet = wire::agent_discovery_packet(
                    wire::encode(wire::AgentSolicitation{}),
                    address_of(*link).value_or(Ipv4Address{}), wire::kLimitedBroadcast);
                (void)attached->agent_link->send(packet, kEverybody);
            }
            if (!closing) attach(id, false);  // an agent may have gone silent
        }
        path.tick(clocks());
        after();
    }

    /// After anything: timers, MTU, what a handover cost.
    void after() {
        const auto now = Clock::now();
        for (const auto& [id, attached] : links) {
            const auto state = node.state(id);
            if (state == mip4::NetworkState::kDetect ||
                state == mip4::NetworkState::kExternalTentative) {
                if (now - hinted[id].asked >= kLookForHints) look_for_hints(id);
            }
        }
        note_home_link();
        const auto way = node.way(now);
        note_handover(way, now);
        if (way) {
            const unsigned mtu = path.mtu_of(*way);
            if (mtu != known_mtu) {
                if (auto done = host.set_mtu(mtu); !done) spdlog::warn("{}", done.error().text);
                known_mtu = mtu;
            }
        }
        auto next = path.next_deadline();
        for (const auto& [id, attached] : links) {
            const Link* const link = table.find(id);
            if (link == nullptr || !link->running) continue;
            const auto of_agent = attached->agent.next_deadline(now);
            if (of_agent && (!next || *of_agent < *next)) next = of_agent;
            const HomeSigns& home = attached->home;
            for (const auto& at :
                 {home.is_heard(now) ? std::optional(home.heard_until) : std::nullopt,
                  home.tried_since && !home.is_refused && node.state(id) == kDetecting
                      ? std::optional(*home.tried_since + kTryHome)
                      : std::nullopt}) {
                if (at && *at > now && (!next || *at < *next)) next = at;
            }
        }
        if (next) timer.set(std::max(*next, now));
        if (closing && node.finished()) context.stop();
    }

    std::uint64_t lost() const {
        return counters[Counter::kDropNoBinding] + counters[Counter::kDropMonitor] +
               counters[Counter::kQueueFlushed] + counters[Counter::kDropQueueExpired] +
               counters[Counter::kDropQueueFull] + counters[Counter::kDropSend];
    }
    void note_handover(const std::optional<mip4::Way>& way, Clock::time_point now) {
        const std::string mode = way ? mode_of(*way) : "none";
        if (!way) {
            if (!without_way) without_way = {now, lost()};
            return;
        }
        if (!without_way && way->interface == last_interface && mode == last_mode) return;
        const auto begin = without_way.value_or(std::pair{now, lost()});
        handovers.push_back(
            {last_mode, mode,
             std::chrono::duration_cast<std::chrono::milliseconds>(now - begin.first),
             lost() - begin.second});
        if (handovers.size() > kMostHandovers) handovers.pop_front();
        spdlog::info("mode {} after {}: {} ms without, {} packets lost", mode, last_mode,
                     handovers.back().took.count(), handovers.back().lost);
        publish("mode", last_mode + " -> " + mode, mode);
        last_mode = mode;
        last_interface = way->interface;
        without_way.reset();
    }

    void note_sequences() {
        if (!security) return;
        if (auto done = security->note_sequences(); !done) spdlog::error("{}", done.error().text);
        sequence_timer.set(Clock::now() + kNoteSequences);
    }

    // -------------------------------------------------------------------------------- signals

    void wait_for_signal() {
        signals.async_wait([this](const asio::error_code& error, int number) {
            if (error) return;
            number == SIGHUP ? reload() : shut_down();
            wait_for_signal();
        });
    }
    void reload() {
        auto loaded = load_file(config.file);
        if (!loaded) {
            return spdlog::error("configuration not reloaded:\n{}",
                                 config::to_string(loaded.error()));
        }
        if (const auto keys = needs_restart(config, *loaded); !keys.empty()) {
            spdlog::warn("changed, but only a restart brings it into force: {}", keys);
        }
        config.interfaces = loaded->interfaces;
        config.keep_binding_on_exit = loaded->keep_binding_on_exit;
        config.log_level = loaded->log_level;
        set_log_level(config.log_level);
        spdlog::info("configuration reloaded");
        links_changed();
    }
    void shut_down() {
        if (closing || config.keep_binding_on_exit) return context.stop();
        spdlog::info("ending: deregistering");
        closing = true;
        perform(node.shut_down(clocks()));
        after();
    }

    Config config;
    Mip4Config mip4;
    Clock::time_point started = Clock::now();
    asio::io_context context{1};
    Counters counters;
    TunDevice tun;
    HostNetwork host;
    std::unique_ptr<Mip4Security> security;
    LinkTable table;
    NetlinkMonitor monitor;
    mip4::MobileNode node;
    Layers layers;
    UserPath path;
    std::map<int, std::unique_ptr<Attached>> links;
    HintSource hints{mip4.hints};
    NativeGuard guard{config.tunnel.name};
    bool told_of_guard = false;
    std::string home_link;  // name of the interface; empty: we are not at home
    std::map<int, Hinted> hinted;
    PacketBuffer buffer;
    std::unique_ptr<StatusServer> status;
    Readiness tun_readiness;
    Readiness monitor_readiness;
    Alarm timer;
    Alarm sequence_timer;
    asio::signal_set signals;
    std::deque<Mip4Handover> handovers;
    std::optional<std::pair<Clock::time_point, std::uint64_t>> without_way;
    std::string last_mode = "none";
    int last_interface = 0;
    unsigned known_mtu = kFirstMtu;
    bool closing = false;
};

Mip4App::Mip4App(std::unique_ptr<State> state) : state_(std::move(state)) {}

Mip4App::~Mip4App() {
    state_->host.remove();
}

Result<std::unique_ptr<Mip4App>> Mip4App::create(const Config& config) {
    const Mip4Config& mip4 = *config.mobile_ipv4;
    auto internal = registration_of(mip4.internal);
    if (!internal) return std::unexpected(internal.error());
    std::optional<mip4::RegistrationClientConfig> external;
    std::unique_ptr<Mip4Security> security;
    if (mip4.external) {
        auto made = registration_of(*mip4.external);
        if (!made) return std::unexpected(made.error());
        external = std::move(*made);
        // A dynamic x-HoA is put into the header when it is known.
        const Ipv4Address local = mip4.external->home_address.is_unspecified()
                                      ? mip4.vpn->inner_address
                                      : mip4.external->home_address;
        auto sealed =
            Mip4Security::create(*mip4.vpn, local, config.lab_static_gcm, config.state_file);
        if (!sealed) return std::unexpected(sealed.error());
        security = std::move(*sealed);
    }
    auto tun = TunDevice::create(config.tunnel.name);
    if (!tun) return std::unexpected(tun.error());
    auto host = HostNetwork::set_up(host_config(config), tun->index(), kFirstMtu);
    if (!host) return std::unexpected(host.error());
    std::unique_ptr<Mip4App> app(new Mip4App(std::make_unique<State>(
        config, node_config(mip4, std::move(*internal), std::move(external)), std::move(*tun),
        std::move(*host), std::move(security))));
    if (auto done = app->state_->start(); !done) return std::unexpected(done.error());
    return app;
}

void Mip4App::run() {
    const Mip4Config& mip4 = state_->mip4;
    spdlog::info("homeport-mn {} runs: Mobile IPv4, home address {} on {}, home agent {}{}",
                 HOMEPORT_VERSION, mip4.internal.home_address.to_string(),
                 state_->config.tunnel.name, mip4.internal.home_agent.to_string(),
                 mip4.external ? ", outside " + mip4.external->home_agent.to_string() : "");
    state_->context.run();
}

}  // namespace homeport::mobile_node
