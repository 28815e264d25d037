// SPDX-License-Identifier: BSD-3-Clause
// Actions of a Mobile IPv4 home agent become commands, records and frames, in their order; replies
// wait until the log knows what they promise.
#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"
#include "controlplane/core/mip4_service.hpp"
#include "controlplane/wire/arp.hpp"
#include "controlplane/wire/bytes.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::core {

namespace {

// Held replies of one round; more of them are committed and sent in between.
constexpr std::size_t kMostHeld = 512;

channel::Encapsulation encapsulation_of(const mip4::Binding& binding) {
    switch (binding.encapsulation) {
        case mip4::Encapsulation::kGre:
            return binding.udp ? channel::Encapsulation::kMipUdpGre : channel::Encapsulation::kGre;
        case mip4::Encapsulation::kMinimal:
            return binding.udp ? channel::Encapsulation::kMipUdpMinimal
                               : channel::Encapsulation::kMinimal;
        case mip4::Encapsulation::kIpInIp:
            break;
    }
    return binding.udp ? channel::Encapsulation::kMipUdp : channel::Encapsulation::kIpv4;
}

std::vector<std::uint8_t> udp_packet(const mip4::Endpoint& from, const mip4::Endpoint& to,
                                     ConstByteSpan payload) {
    constexpr std::uint8_t kTtl = 64;
    const auto udp_length = static_cast<std::uint16_t>(sizeof(UdpHeader) + payload.size());
    wire::Bytes out;
    wire::put8(out, 0x45);
    wire::put8(out, 0);
    wire::put16(out, static_cast<std::uint16_t>(sizeof(Ipv4Header) + udp_length));
    wire::put32(out, 0);  // identification is the data plane's, if it must fragment
    wire::put8(out, kTtl);
    wire::put8(out, number(IpProtocol::kUdp));
    wire::put16(out, 0);
    wire::put_bytes(out, from.address.bytes);
    wire::put_bytes(out, to.address.bytes);
    store_be16(out.data() + 10, internet_checksum(out));
    wire::put16(out, from.port);
    wire::put16(out, to.port);
    wire::put16(out, udp_length);
    wire::put16(out, 0);
    wire::put_bytes(out, payload);
    const std::uint64_t sum =
        pseudo_header_sum(from.address, to.address, udp_length, number(IpProtocol::kUdp));
    const std::uint16_t checksum =
        checksum_finish(checksum_add(sum, ConstByteSpan(out).subspan(sizeof(Ipv4Header))));
    store_be16(out.data() + sizeof(Ipv4Header) + 6, checksum == 0 ? 0xffff : checksum);
    return out;
}

std::string text_of(const mip4::Endpoint& endpoint) {
    return endpoint.address.to_string() +
           (endpoint.port != 0 ? " port " + std::to_string(endpoint.port) : "");
}

}  // namespace

std::vector<std::uint8_t> mip4_frame(const MacAddress& destination, const MacAddress& source,
                                     ConstByteSpan packet) {
    constexpr std::size_t kShortestFrame = 60;  // without its check sequence
    wire::Bytes frame;
    wire::put_bytes(frame, destination.bytes);
    wire::put_bytes(frame, source.bytes);
    wire::put16(frame, kEtherTypeIpv4);
    wire::put_bytes(frame, packet);
    if (frame.size() < kShortestFrame) frame.resize(kShortestFrame);
    return frame;
}

void Mip4Service::carry_out(const Agent& agent, const mip4::Actions& actions) {
    for (const mip4::Action& action : actions) {
        std::visit([&](const auto& one) { carry_out(agent, one); }, action);
    }
    if (held_.size() >= kMostHeld) finish_round();
}

void Mip4Service::carry_out(const Agent&, const mip4::SendReply& action) {
    held_.push_back(action);
}

void Mip4Service::finish_round() {
    commit();
    while (!held_.empty()) {
        const mip4::SendReply reply = std::move(held_.front());
        held_.pop_front();
        send_reply(reply);
    }
    for (const auto& packet : held_packets_) host_.send_ipv4_packet(packet);
    held_packets_.clear();
}

void Mip4Service::commit() {
    if (!store_ || !store_->has_changes()) return;
    const auto committed = store_->commit();
    problem_ = committed ? "" : committed.error().what;
    if (!committed) {
        log_.limited(Message::kStoreWriteFailed, "registrations cannot be kept: " + problem_);
    }
}

/// To a node that is at home in a frame of its own, so that no binding and no route is asked.
void Mip4Service::send_reply(const mip4::SendReply& reply) {
    const auto packet = udp_packet(reply.from, reply.to, reply.payload);
    const auto* const info = reply.home_port ? ports_.info(*reply.home_port) : nullptr;
    if (info != nullptr && reply.home_mac) {
        return host_.send_frame(info->port, mip4_frame(*reply.home_mac, info->mac, packet));
    }
    host_.send_ipv4_packet(packet);
}

// -------------------------------------------------------------------------------------- bindings

void Mip4Service::carry_out(const Agent& agent, const mip4::InstallBindings& action) {
    const mip4::BoundNode& node = action.node;
    const auto known = installed_.find(node.home_address);
    const unsigned before = known == installed_.end() ? 0 : known->second;
    const std::size_t count =
        std::min<std::size_t>(node.bindings.size(), channel::kMaxCareOfAddresses);
    for (std::size_t copy = 0; copy < count; ++copy) {
        // The newest first: it is the one that certainly works.
        const mip4::Binding& binding = node.bindings[node.bindings.size() - 1 - copy];
        channel::BindingSet record;
        record.home_address = channel::WireAddress(node.home_address);
        record.prefix_length = Ipv4Prefix::kMaxLength;
        record.copy = static_cast<std::uint8_t>(copy);
        record.care_of_address = channel::WireAddress(binding.tunnel_end.address);
        record.udp_port = binding.udp ? binding.tunnel_end.port : std::uint16_t{0};
        record.home_agent_address = channel::WireAddress(binding.local_end.address);
        record.encapsulation = encapsulation_of(binding);
        record.counter_index = host_.take_counter_row(node.home_address);
        unsigned flags = tunnel_flags_ | channel::binding_flags_of(mip4_role_of(agent.config.role));
        if (binding.half_bound) flags |= channel::kBindingHalfBound;
        if (binding.reverse_tunnel) flags |= channel::kBindingReverseTunnel;
        if (binding.broadcasts) flags |= channel::kBindingBroadcasts;
        if (binding.co_located) flags |= channel::kBindingCoLocated;
        if (copy == 0 && count > 1) flags |= channel::kBindingMoreCareOf;
        if (!node.virtual_home_link) {
            record.home_port = ports_.to_data_plane(node.home_port);
            flags |= channel::kBindingProxyNd;
        }
        record.flags = static_cast<std::uint16_t>(flags);
        if (const auto mtu = path_mtus_.find(node.home_address); mtu != path_mtus_.end()) {
            record.path_mtu = mtu->second;
        }
        host_.send_command(record);
    }
    for (unsigned copy = before; copy > count; --copy) {
        channel::BindingRemove record;
        record.home_address = channel::WireAddress(node.home_address);
        record.prefix_length = Ipv4Prefix::kMaxLength;
        record.copy = static_cast<std::uint8_t>(copy - 1);
        host_.send_command(record);
    }
    if (count != 0) {
        installed_[node.home_address] = static_cast<std::uint8_t>(count);
        return;
    }
    installed_.erase(node.home_address);
    path_mtus_.erase(node.home_address);
    host_.give_back_counter_row(node.home_address);
    // While the address was bound the kernel heard from the data plane that it is here.
    if (!node.virtual_home_link) {
        const std::uint16_t port = ports_.to_data_plane(node.home_port);
        if (port != channel::kNoPort) host_.forget_neighbour(port, node.home_address);
    }
}

void Mip4Service::send_bindings() {
    installed_.clear();  // what is not named again is swept
    for (const Agent& agent : agents_) {
        agent.module->for_each(
            [&](const mip4::BoundNode& node) { carry_out(agent, mip4::InstallBindings{node}); });
    }
}

void Mip4Service::carry_out(const Agent& agent, const mip4::PersistNode& action) {
    if (!store_) return;
    const std::string key = mip4::record_key(agent.config.name, action.node);
    if (action.node.bindings.empty()) return store_->erase(key);
    store_->set(key, mip4::to_record(action.node, {std::chrono::steady_clock::now(),
                                                   std::chrono::system_clock::now()}));
}

void Mip4Service::carry_out(const Agent& agent, const mip4::PersistIdentification& action) {
    if (store_) {
        store_->set(mip4::record_key(agent.config.name, action), mip4::to_record(action));
    }
}

void Mip4Service::carry_out(const Agent&, const mip4::SendGratuitousArp& action) {
    const auto* const info = ports_.info(action.port);
    if (info == nullptr) return;
    const MacAddress owner = action.hardware_address.value_or(info->mac);
    host_.send_frame(info->port, wire::gratuitous_arp(action.home_address, owner, info->mac));
}

// ------------------------------------------------------------------------------------------- log

void Mip4Service::carry_out(const Agent& agent, const mip4::CountEvent& action) {
    const auto who = [&] {
        return action.home_address.to_string() + " at '" + agent.config.name + "'";
    };
    const auto because = [&] {
        return *action.detail == 0 ? std::string() : ": " + std::string(action.detail);
    };
    switch (action.counter) {
        case mip4::Counter::kBindingCreated:
            return log_.limited(Message::kRegistrationCreated, [&] {
                return who() + " registered, request from " + text_of(action.source);
            });
        case mip4::Counter::kSourceChanged:
            path_mtus_.erase(action.home_address);  // that of another path
            return log_.limited(Message::kRegistrationMoved, [&] {
                return who() + " moved: its tunnel ended at " + text_of(action.before) +
                       ", request from " + text_of(action.source) + because();
            });
        case mip4::Counter::kHalfBoundCompleted:
            return log_.limited(Message::kRegistrationMoved, [&] {
                return who() + ": a keepalive showed the end of its tunnel, " +
                       text_of(action.source);
            });
        case mip4::Counter::kBindingDeleted:
            return log_.limited(Message::kRegistrationEnded,
                                [&] { return who() + " deregistered" + because(); });
        case mip4::Counter::kBindingExpired:
            return log_.limited(Message::kRegistrationEnded, [&] { return who() + " expired"; });
        case mip4::Counter::kRejected:
            return log_.limited(Message::kRegistrationRefused, [&] {
                const auto code = action.code.value_or(wire::RegistrationCode{});
                return who() + ", request from " + text_of(action.source) + " refused with code " +
                       std::to_string(static_cast<unsigned>(code)) + " (" + wire::to_string(code) +
                       ")" + because();
            });
        case mip4::Counter::kNoAssociation:
        case mip4::Counter::kForeignAuthentication:
        case mip4::Counter::kFromInside:
        case mip4::Counter::kFromOutside:
        case mip4::Counter::kUntrusted:
            return log_.limited(Message::kRegistrationIgnored, [&] {
                return "a request of " + who() + " from " + text_of(action.source) +
                       " is not answered" + because();
            });
        case mip4::Counter::kRevocationSent:
        case mip4::Counter::kRevocationAcknowledged:
        case mip4::Counter::kRevoked:
            return log_.limited(Message::kRevocation, [&] {
                return std::string(mip4::name(action.counter)) + ": " + who() + ", with " +
                       text_of(action.source);
            });
        case mip4::Counter::kRevocationUnanswered:
        case mip4::Counter::kRevocationRefused:
            return log_.limited(Message::kRevocationTrouble, [&] {
                return std::string(mip4::name(action.counter)) + ": " + who() + ", with " +
                       text_of(action.source) + because();
            });
        default:
            if (log_.is_debug()) {
                log_.debug(std::string(mip4::name(action.counter)) + " " + who() + " " +
                           text_of(action.source) + because());
            }
            return;
    }
}

}  // namespace homeport::core
