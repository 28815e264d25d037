// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/prefix_discovery.hpp"

#include <spdlog/spdlog.h>

#include <asio/io_context.hpp>
#include <random>

namespace homeport::mobile_node {

namespace {

mip6::PrefixSolicitorConfig protocol_config(const Config& config) {
    mip6::PrefixSolicitorConfig out;
    out.home_address = config.home_address;
    out.home_agent = config.home_agent;
    return out;
}

std::uint16_t random_identifier() {
    std::random_device device;
    return static_cast<std::uint16_t>(device());
}

}  // namespace

PrefixDiscovery::PrefixDiscovery(asio::io_context& context, const Config& config,
                                 DataPath& data_path,
                                 std::function<void(const std::string& text)> changed)
    : data_path_(data_path),
      changed_(std::move(changed)),
      has_keys_(config.prefix_discovery.has_value()),
      solicitor_(protocol_config(config), random_identifier),
      alarm_(context, [this] { send(solicitor_.tick(Clock::now())); }) {}

void PrefixDiscovery::follow(const Route& route, bool registered) {
    if (!has_keys_) return;
    const bool away = registered && route.kind == Route::Kind::kTunnel;
    send(solicitor_.set_registered(away, Clock::now()));
}

std::string PrefixDiscovery::solicit() {
    if (!has_keys_) return "security.mps is missing: prefix discovery is not protected";
    send(solicitor_.solicit(Clock::now()));
    return {};
}

void PrefixDiscovery::receive(ConstByteSpan packet, bool is_protected, bool had_routing_header) {
    const std::uint64_t before = solicitor_.counters().accepted;
    send(solicitor_.receive(packet, is_protected, had_routing_header, Clock::now()));
    if (solicitor_.counters().accepted == before) return;
    data_path_.confirm_solicitation();
    const std::string text =
        std::to_string(solicitor_.prefixes().size()) + " prefixes of the home link";
    spdlog::info("prefix discovery: {}", text);
    changed_(text);
}

void PrefixDiscovery::send(const mip6::PrefixSolicitor::Packet& packet) {
    // P7: IPsec by entry 3, then the Home Address option.
    if (packet) data_path_.send_prefix_solicitation(*packet);
    if (const auto deadline = solicitor_.next_deadline()) {
        alarm_.set(*deadline);
    } else {
        alarm_.clear();
    }
}

}  // namespace homeport::mobile_node
