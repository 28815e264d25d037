// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/route_optimisation.hpp"

#include <spdlog/spdlog.h>

#include <asio/io_context.hpp>
#include <random>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/rewrite.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::size_t kIcmpHeader = 8;
constexpr std::uint8_t kPacketTooBig = 2, kParameterProblem = 4;
constexpr std::uint8_t kUnrecognizedNextHeader = 1, kUnrecognizedOption = 2;

mip6::RouteOptimiserConfig protocol_config(const Config& config) {
    mip6::RouteOptimiserConfig out;
    out.home_address = config.home_address;
    out.home_agent = config.home_agent;
    out.correspondents = config.route_optimisation.correspondents;
    out.most = config.route_optimisation.most;
    out.lifetime = config.route_optimisation.lifetime;
    return out;
}

std::uint64_t random_number() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

}  // namespace

RouteOptimisation::RouteOptimisation(asio::io_context& context, const Config& config,
                                     DataPath& data_path, PacketPaths& paths, Security& security,
                                     Counters& counters,
                                     std::function<void(const std::string& text)> changed)
    : config_(config),
      data_path_(data_path),
      paths_(paths),
      security_(security),
      counters_(counters),
      changed_(std::move(changed)),
      optimiser_(protocol_config(config), random_number),
      routes_(
          {[this](ConstByteSpan packet, unsigned mtu) { data_path_.tell_too_big(packet, mtu); }}),
      alarm_(context, [this] { tick(); }) {
    paths_.set_correspondents(&routes_);
}

RouteOptimisation::~RouteOptimisation() {
    paths_.set_correspondents(nullptr);
}

// ------------------------------------------------------------------------------------ events in

void RouteOptimisation::prepare(const Route& route) {
    if (route.kind == route_.kind && route.care_of_address == route_.care_of_address) return;
    if (auto done = security_.set_route_optimised({}); !done) {
        spdlog::error("{}", done.error().text);
    }
    routes_.replace(route.care_of_address.ipv6(), {}, optimiser_.bound());
}

void RouteOptimisation::follow(const Route& route, bool deregistered,
                               std::optional<Clock::time_point> expires) {
    const auto now = Clock::now();
    route_ = route;
    if (route.kind == Route::Kind::kTunnel && expires) {
        run(optimiser_.away(route.care_of_address.ipv6(), *expires, now));
    } else if (route.kind == Route::Kind::kHome && deregistered) {
        run(optimiser_.at_home(now));
    } else {
        run(optimiser_.detached(now));
    }
}

void RouteOptimisation::signalling(ConstByteSpan packet, bool from_home_agent) {
    using Way = mip6::RouteOptimiser::Way;
    run(optimiser_.receive(packet, from_home_agent ? Way::kTunnel : Way::kDirect, Clock::now()));
}

void RouteOptimisation::tunnelled(ConstByteSpan packet) {
    parse::Headers headers;
    if (parse::walk(packet, headers) != parse::Error::kNone || headers.family != 6) return;
    if (tunnel::destination_of(packet) != config_.home_address) return;  // RFC 3963: not its own
    const Ipv6Address source = tunnel::source_of(packet);
    if (headers.protocol == number(IpProtocol::kIcmpv6) &&
        headers.upper_offset + kIcmpHeader <= headers.end) {
        const std::uint8_t* const icmp = packet.data() + headers.upper_offset;
        if (icmp[0] < 128) {  // about a Home Test Init, if about anything of ours
            return error_about(
                packet.first(headers.end).subspan(headers.upper_offset + kIcmpHeader), icmp[0],
                icmp[1], load_be32(icmp + 4));
        }
    }
    run(optimiser_.tunnelled_from(source, Clock::now()));
}

void RouteOptimisation::icmp_error(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header) + kIcmpHeader) return;
    const ConstByteSpan icmp = packet.subspan(sizeof(Ipv6Header));
    error_about(icmp.subspan(kIcmpHeader), icmp[0], icmp[1], load_be32(icmp.data() + 4));
}

/// RFC 6275 section 11.3.5. `quoted` is as much of our packet as came back.
void RouteOptimisation::error_about(ConstByteSpan quoted, std::uint8_t type, std::uint8_t code,
                                    unsigned mtu) {
    if (quoted.size() < sizeof(Ipv6Header) || quoted[0] >> 4 != 6) return;
    const Ipv6Address source = tunnel::source_of(quoted);
    const Ipv6Address correspondent = tunnel::destination_of(quoted);
    const std::uint8_t next = quoted[offsetof(Ipv6Header, next_header)];
    const bool from_care_of = paths_.is_care_of_address(source);
    if (!from_care_of && source != config_.home_address) return;
    const bool is_signalling = next == number(IpProtocol::kMobility);
    const bool has_option = from_care_of && next == number(IpProtocol::kDestinationOptions);
    const auto now = Clock::now();
    if (type == kPacketTooBig && has_option) {
        counters_.add(Counter::kPacketTooBig);
        if (routes_.expects(correspondent) && !routes_.note_path_mtu(correspondent, mtu, now)) {
            run(optimiser_.unsupported(correspondent, "path too narrow for the option", now));
        }
    } else if (type == kParameterProblem && (is_signalling || has_option) &&
               (code == kUnrecognizedNextHeader || code == kUnrecognizedOption)) {
        run(optimiser_.unsupported(correspondent, "knows no Mobile IPv6", now));
    }
}

void RouteOptimisation::shut_down() {
    run(optimiser_.shutdown(Clock::now()));
}

void RouteOptimisation::tick() {
    const auto now = Clock::now();
    for (const Ipv6Address& correspondent : routes_.take_used()) {
        optimiser_.used(correspondent, now);
    }
    run(optimiser_.tick(now));
}

// ---------------------------------------------------------------------------------- actions out

void RouteOptimisation::run(const mip6::RouteOptimiserActions& actions) {
    for (const auto& action : actions) std::visit([this](const auto& one) { act(one); }, action);
    if (const auto deadline = optimiser_.next_deadline()) {
        alarm_.set(*deadline);
    } else {
        alarm_.clear();
    }
}

void RouteOptimisation::act(const mip6::SendHomeTestInit& action) {
    data_path_.send_from_home_address(action.packet);
}

void RouteOptimisation::act(const mip6::SendCareOfTestInit& action) {
    if (!data_path_.send(route_.interface, action.packet)) counters_.add(Counter::kDropSend);
}

void RouteOptimisation::act(const mip6::SendCorrespondentUpdate& action) {
    (void)data_path_.send_correspondent_update(action.packet, route_.interface,
                                               action.care_of_address);
    spdlog::debug("binding update {} to {}", action.sequence,
                  tunnel::destination_of(action.packet).to_string());
}

void RouteOptimisation::act(const mip6::RoutesChanged&) {
    const auto usable = optimiser_.routes();
    if (auto done = security_.set_route_optimised(usable); !done) {
        spdlog::error("{}", done.error().text);
        return;
    }
    routes_.replace(route_.care_of_address.ipv6(), usable, optimiser_.bound());
}

void RouteOptimisation::act(const mip6::CorrespondentNews& action) {
    std::string text = "correspondent " + action.correspondent.to_string() + ": " + action.text;
    if (action.status) {
        text += " (" + std::to_string(static_cast<unsigned>(*action.status)) + " " +
                wire::describe(*action.status) + ")";
    }
    spdlog::info("{}", text);
    changed_(text);
}

}  // namespace homeport::mobile_node
