// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/home_agent.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

namespace {

constexpr std::size_t kMaxRateKeys = 65'536;

std::size_t rate_keys(const HomeAgentConfig& config) {
    return std::min(config.limits.bindings, kMaxRateKeys);
}

KeyedTokenBuckets<Ipv6Address> node_buckets(const HomeAgentConfig& config) {
    return {config.bu_rate_node.per_second, config.bu_rate_node.burst, rate_keys(config)};
}

/// So many at once, and so many a minute after that.
KeyedTokenBuckets<Ipv6Address> source_buckets(const HomeAgentConfig& config) {
    const double changes = config.source_changes_per_minute;
    return {changes / 60, changes, rate_keys(config)};
}

bool is_binding_update(ConstByteSpan mobility_header) {
    return mobility_header.size() > 2 &&
           mobility_header[2] == static_cast<std::uint8_t>(wire::MobilityType::kBindingUpdate);
}

TokenBucket bucket(const RateLimit& limit) {
    return {limit.per_second, limit.burst};
}

}  // namespace

Ipv6Address link_local_of(const Ipv6Address& home_address) {
    Ipv6Address address = home_address;
    std::fill_n(address.bytes.begin(), 8, std::uint8_t{0});
    address.bytes[0] = 0xfe;
    address.bytes[1] = 0x80;
    return address;
}

Ipv6Address home_agents_anycast(const Ipv6Prefix& prefix) {
    // RFC 2526: all ones behind the prefix, the last seven bits 126; with a 64-bit (EUI-64)
    // interface identifier the universal/local bit is 0.
    Ipv6Address address = prefix.masked().address;
    for (unsigned bit = prefix.length; bit < 128; ++bit) {
        address.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> (bit % 8));
    }
    address.bytes[15] = static_cast<std::uint8_t>(address.bytes[15] & 0xfe);
    if (prefix.length == 64) address.bytes[8] = 0xfd;
    return address;
}

HomeAgent::HomeAgent(HomeAgentConfig config, TimePoint now, std::uint32_t seed)
    : config_(std::move(config)),
      cache_(config_.limits, now),
      random_(seed),
      now_(now),
      bu_rate_node_(node_buckets(config_)),
      replay_rate_node_(node_buckets(config_)),
      bu_rate_all_(bucket(config_.bu_rate_all)),
      binding_error_rate_(bucket(config_.binding_error_rate)),
      icmp_rate_(bucket(config_.icmp_rate)),
      dhaad_rate_(bucket(config_.dhaad_rate)),
      mpa_rate_(1, 1, rate_keys(config_)),
      source_changes_(source_buckets(config_)) {
    build_index();
}

void HomeAgent::make_rate_limiters() {
    bu_rate_node_ = node_buckets(config_);
    replay_rate_node_ = node_buckets(config_);
    bu_rate_all_ = bucket(config_.bu_rate_all);
    binding_error_rate_ = bucket(config_.binding_error_rate);
    icmp_rate_ = bucket(config_.icmp_rate);
    dhaad_rate_ = bucket(config_.dhaad_rate);
    source_changes_ = source_buckets(config_);
}

void HomeAgent::build_index() {
    policy_index_.clear();
    mobile_networks_.clear();
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
        for (const Ipv6Address& address : config_.nodes[i].home_addresses) {
            policy_index_.emplace(address, i);
        }
        const auto& prefixes = config_.nodes[i].mobile_prefixes;
        mobile_networks_.insert(mobile_networks_.end(), prefixes.begin(), prefixes.end());
    }
    build_ipv4_index();
    std::ranges::sort(mobile_networks_);
}

const HomePrefix* HomeAgent::home_prefix_of(const Ipv6Address& home_address) const {
    const HomePrefix* best = nullptr;
    for (const HomePrefix& candidate : config_.home_prefixes) {
        if (!candidate.prefix.contains(home_address)) continue;
        if (candidate.valid_until && *candidate.valid_until <= now_) continue;
        if (best == nullptr || candidate.prefix.length > best->prefix.length) best = &candidate;
    }
    return best;
}

const MobileNodePolicy* HomeAgent::policy_of(const Ipv6Address& home_address) const {
    const auto found = policy_index_.find(home_address);
    return found == policy_index_.end() ? nullptr : &config_.nodes[found->second];
}

bool HomeAgent::is_in_mobile_network(const Ipv6Address& address) const {
    const auto behind = std::ranges::upper_bound(
        mobile_networks_, address, {}, [](const Ipv6Prefix& prefix) { return prefix.address; });
    return behind != mobile_networks_.begin() && std::prev(behind)->contains(address);
}

bool HomeAgent::is_own_address(const Ipv6Address& address) const {
    return std::ranges::find(config_.home_agent_addresses, address) !=
           config_.home_agent_addresses.end();
}

bool HomeAgent::is_own_address(const Ipv4Address& address) const {
    return std::ranges::find(config_.home_agent_ipv4_addresses, address) !=
           config_.home_agent_ipv4_addresses.end();
}

void HomeAgent::count(Counter counter, const Ipv6Address& home_address,
                      const IpAddress& wire_source, const char* detail) {
    counters_.add(counter);
    actions_.push_back(CountEvent{counter, home_address, wire_source, std::nullopt, detail});
}

Actions HomeAgent::take_actions() {
    return std::exchange(actions_, {});
}

Actions HomeAgent::receive(ConstByteSpan bytes, const ReceiveInfo& info, TimePoint now) {
    now_ = std::max(now_, now);
    const auto packet = wire::view_ipv6_packet(bytes);
    if (!packet) {
        count(Counter::kMhPacket, {}, info.wire_source, wire::describe(packet.error()));
    } else if (packet->upper_protocol == number(IpProtocol::kMobility)) {
        receive_mobility(*packet, info);
    } else if (packet->upper_protocol == number(IpProtocol::kIcmpv6)) {
        receive_icmpv6(*packet, info);
    } else {
        count(Counter::kMhPacket, packet->source, info.wire_source,
              "neither mobility header nor ICMPv6");
    }
    return take_actions();
}

// Step 3: the SPD demands protection of binding updates with H=1; one whose H flag cannot be read
// is treated alike.
bool HomeAgent::step_3_is_protected(const wire::Ipv6PacketView& packet,
                                    const ReceiveInfo& info) const {
    if (info.protected_by_ipsec || config_.allow_unprotected) return true;
    const ConstByteSpan header = packet.upper;
    if (!is_binding_update(header)) return true;
    constexpr std::size_t kFlagsOffset = 8;
    constexpr std::uint8_t kHomeRegistration = 0x40;
    return header.size() > kFlagsOffset && (header[kFlagsOffset] & kHomeRegistration) == 0;
}

void HomeAgent::receive_mobility(const wire::Ipv6PacketView& packet, const ReceiveInfo& info) {
    if (!step_3_is_protected(packet, info)) {
        return count(Counter::kIpsecInPolicy, packet.source, info.wire_source,
                     "binding update without IPsec");
    }
    // Step 18 would say the same; what is shed must cost little.
    if (overloaded_ && is_binding_update(packet.upper) && cache_.find(packet.source) == nullptr) {
        return count(Counter::kBuOverload, packet.source, info.wire_source, "overload");
    }
    auto message = wire::decode_mobility_header(packet.upper, packet.source, packet.destination);
    if (!message) return answer_decode_error(packet, info, message.error());
    auto* update = std::get_if<wire::BindingUpdate>(&*message);
    if (update == nullptr) {
        return count(Counter::kMhUnserved, packet.source, info.wire_source,
                     "message that a home agent does not serve");
    }
    BindingRequest request{.update = std::move(*update),
                           .info = info,
                           .home_address = packet.source,
                           .home_agent = packet.destination,
                           .care_of_address = {},
                           .mobile_prefixes = {},
                           .ipv4_answers = {}};
    process_binding_update(request);
}

// Steps 4 to 8.
void HomeAgent::answer_decode_error(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                                    const wire::MobilityDecodeError& error) {
    const auto counted = [&](Counter counter) {
        count(counter, packet.source, info.wire_source, error.what);
    };
    switch (error.fault) {
        case wire::MobilityFault::kTruncated:
            return counted(Counter::kMhLength);
        case wire::MobilityFault::kChecksum:
            return counted(Counter::kMhChecksum);
        case wire::MobilityFault::kType:
            counted(Counter::kMhType);
            return send_binding_error(packet, info);
        case wire::MobilityFault::kPayloadProto:
            counted(Counter::kMhProto);
            return send_parameter_problem(packet, info, error.offset);
        case wire::MobilityFault::kHeaderLength:
            counted(Counter::kMhLength);
            return send_parameter_problem(packet, info, error.offset);
        case wire::MobilityFault::kOption:
            return counted(Counter::kBuMalformed);
    }
}

void HomeAgent::send_binding_error(const wire::Ipv6PacketView& packet, const ReceiveInfo& info) {
    const auto* destination = std::get_if<Ipv6Address>(&info.wire_source);
    if (destination == nullptr || !destination->is_unicast_routable() ||
        packet.destination.is_multicast()) {
        return;
    }
    if (!binding_error_rate_.take(now_)) {
        return count(Counter::kBindingErrorLimited, packet.source, info.wire_source);
    }
    const wire::BindingError error{wire::BindingErrorStatus::kUnrecognizedType,
                                   info.had_hao ? packet.source : Ipv6Address{},
                                   {}};
    actions_.push_back(SendBindingError{
        wire::mobility_packet(error, packet.destination, *destination), *destination, info.port});
    count(Counter::kBindingErrorSent, packet.source, info.wire_source);
}

namespace {

constexpr std::size_t kHomeAddressHeader = 24;

/// The packet as it was before the Home Address option was undone; `shift` is how far everything
/// behind the IPv6 header moved. ESP is not put back.
std::vector<std::uint8_t> wire_form(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                                    std::size_t& shift) {
    std::vector<std::uint8_t> bytes(packet.packet.begin(), packet.packet.end());
    const auto* wire_source = std::get_if<Ipv6Address>(&info.wire_source);
    constexpr std::size_t kNextHeader = 6;
    shift = 0;
    if (!info.had_hao || wire_source == nullptr ||
        bytes[kNextHeader] == number(IpProtocol::kHopByHop)) {
        return bytes;
    }
    std::uint8_t header[kHomeAddressHeader] = {bytes[kNextHeader], 2, 1, 2, 0, 0, 0xc9, 16};
    packet.source.store(header + 8);
    bytes.insert(bytes.begin() + sizeof(Ipv6Header), header, header + sizeof header);
    bytes[kNextHeader] = number(IpProtocol::kDestinationOptions);
    store_be16(bytes.data() + 4,
               static_cast<std::uint16_t>(load_be16(bytes.data() + 4) + kHomeAddressHeader));
    wire_source->store(bytes.data() + 8);
    shift = kHomeAddressHeader;
    return bytes;
}

}  // namespace

void HomeAgent::send_parameter_problem(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                                       std::size_t offset_in_header) {
    const auto* destination = std::get_if<Ipv6Address>(&info.wire_source);
    if (destination == nullptr || !destination->is_unicast_routable() ||
        !wire::may_answer_with_error(packet.packet, wire::Icmpv6Type::kParameterProblem, 0)) {
        return;
    }
    if (!icmp_rate_.take(now_)) {
        return count(Counter::kIcmpRateLimited, packet.source, info.wire_source);
    }
    std::size_t shift = 0;
    std::vector<std::uint8_t> quoted = wire_form(packet, info, shift);
    const std::size_t header_offset = packet.upper_offset + shift;
    constexpr std::size_t kErrorHeaders = sizeof(Ipv6Header) + sizeof(IcmpHeader);
    // What came encrypted does not go back in clear: only the first octets, with the wrong one.
    const std::size_t limit =
        info.protected_by_ipsec ? header_offset + 8 : kIpv6MinimumMtu - kErrorHeaders;
    quoted.resize(std::min(quoted.size(), limit));
    const wire::Icmpv6ErrorMessage problem{
        wire::Icmpv6Type::kParameterProblem, 0,
        static_cast<std::uint32_t>(header_offset + offset_in_header), std::move(quoted)};
    actions_.push_back(SendIcmpv6{wire::icmpv6_packet(problem, packet.destination, *destination),
                                  *destination, info.port});
    count(Counter::kIcmpSent, packet.source, info.wire_source, "parameter problem");
}

void HomeAgent::process_binding_update(BindingRequest& request) {
    static constexpr Step kSteps[] = {
        &HomeAgent::step_9_addresses,
        &HomeAgent::step_10_no_nonce_indices,
        &HomeAgent::step_11_home_registration,
        &HomeAgent::step_12_no_proxy_registration,
        &HomeAgent::step_13_sequence,
        &HomeAgent::step_13b_rate,
        &HomeAgent::step_14_registration_type,
        &HomeAgent::step_14_source_changes,
        &HomeAgent::step_14b_note_sequence,
        &HomeAgent::step_15_deregistration,
        &HomeAgent::step_15b_home_address_option,
        &HomeAgent::step_16_home_agent_function,
        &HomeAgent::step_17_home_subnet,
        &HomeAgent::step_18_node_is_authorized,
        &HomeAgent::step_18_care_of_address_is_allowed,
        &HomeAgent::step_18_resources,
        &HomeAgent::step_19_mobile_router_service,
        &HomeAgent::step_20_prefixes_usable,
        &HomeAgent::step_21_prefixes_authorized,
        &HomeAgent::step_22_implicit_prefixes,
        &HomeAgent::step_23_dual_stack,
        &HomeAgent::step_24_duplicate_address,
        &HomeAgent::step_25_accept,
    };
    for (const Step step : kSteps) {
        const StepResult result = (this->*step)(request);
        switch (result.kind) {
            case StepResult::Kind::kContinue:
                continue;
            case StepResult::Kind::kDone:
                return;
            case StepResult::Kind::kDrop:
                return count(result.counter, request.home_address, request.info.wire_source,
                             result.detail);
            case StepResult::Kind::kReject:
                return reject(request, result.status, result.detail);
        }
    }
}

std::optional<HomeAgent::TimePoint> HomeAgent::next_deadline() const {
    auto next = cache_.next_deadline();
    if (!repeats_.empty() && (!next || repeats_.front().due < *next)) next = repeats_.front().due;
    if (!prefix_queue_.empty() && (!next || prefix_queue_.begin()->first < *next)) {
        next = prefix_queue_.begin()->first;
    }
    return next;
}

}  // namespace homeport::mip6
