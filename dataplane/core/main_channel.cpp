// SPDX-License-Identifier: BSD-3-Clause
// The main lcore and the control plane: commands in ring order, punts and other events.
#include <rte_cycles.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <sys/epoll.h>

#include <cstring>
#include <type_traits>

#include "dataplane/channel/records.hpp"
#include "dataplane/core/log.hpp"
#include "dataplane/core/main_lcore.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "dataplane/ipsec/sa_store.hpp"
#include "dataplane/punt/punt_stages.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"

namespace homeport::core {

using channel::CommandError;
using channel::Counter;
using table::Applied;
using table::WriteError;

namespace {

/// Refused commands that are logged; all of them are answered.
constexpr std::uint64_t kLoggedRefusals = 20;
constexpr std::uint64_t kSequenceReserve = 1u << 20;

/// Of a table's key.
channel::WireAddress wire_address(const Ipv6Address& key) {
    return key.is_v4_mapped() ? channel::WireAddress(table::v4_of(key)) : channel::WireAddress(key);
}

ConstByteSpan octets_of(rte_mbuf* packet) {
    return {stage::data(packet), stage::length(packet)};
}

}  // namespace

template <channel::ChannelRecord Event>
bool MainLcore::send(Event& event, ConstByteSpan trailing) {
    return server_.send(event, trailing);
}

// ---------------------------------------------------------------------------- the attachment

void MainLcore::look_at_channel() {
    using Kind = channel::ServerEvent::Kind;
    const channel::ServerEvent event = server_.poll();
    switch (event.kind) {
        case Kind::kNothing:
            return;
        case Kind::kAttached:
            log(Message::kAttached, event.text);
            return attached();
        case Kind::kDetached:
            log(Message::kDetached, event.text);
            // The peer may hold it open: closing our end would not end the watch.
            epoll_ctl(epoll_, EPOLL_CTL_DEL, server_.bell_fd(), nullptr);
            return stop_trace();
        case Kind::kObserverAttached:
            return log(Message::kObserver, event.text);
        case Kind::kRefused:
            return log(Message::kRefused, event.text);
    }
}

void MainLcore::attached() {
    epoll_event bell{};
    bell.events = EPOLLIN | EPOLLET;
    bell.data.fd = server_.bell_fd();
    epoll_ctl(epoll_, EPOLL_CTL_ADD, server_.bell_fd(), &bell);
    last_command_ = acknowledged_ = refused_commands_ = 0;
    for (const auto& port : ports_) {
        send_port_info(*port);
        send_flow_rules(*port);
    }
    ipsec_.forget_reports();
}

void MainLcore::send_port_info(const PortContext& port) {
    channel::PortInfo info;
    info.port = port.number;
    info.mtu = port.port->mtu();
    info.link_up = port.link.up ? 1 : 0;
    info.link_speed_mbps = port.link.speed_mbps;
    info.mac = port.port->mac();
    channel::copy_text(info.name, port.port->name());
    channel::copy_text(info.kernel_interface, port.tap != nullptr ? port.tap->name() : "");
    channel::copy_text(info.driver, port.port->driver());
    // Not attached: told at the next attachment.
    (void)send(info);
}

void MainLcore::send_flow_rules(const PortContext& port) {
    const std::span<const port::FlowRecord> records = port.port->flow_records();
    for (std::size_t i = 0; i < records.size(); ++i) {
        channel::FlowRuleInfo info = port::info_of(records[i]);
        info.port = port.number;
        info.index = static_cast<std::uint16_t>(i);
        info.rules = static_cast<std::uint16_t>(records.size());
        (void)send(info);
    }
}

// --------------------------------------------------------------------------------- commands

bool MainLcore::room_for_packets() const {
    return rte_ring_free_count(workers_.front()->from_main()) != 0 && rte_mempool_empty(pool_) == 0;
}

bool MainLcore::commands() {
    channel::RingConsumer& ring = server_.commands();
    unsigned applied = 0;
    while (applied < kCommandsAtOnce) {
        // A packet that finds no room must not be passed by the commands behind it: all wait.
        if (!room_for_packets()) break;
        const auto record = ring.peek();
        if (!record) break;
        apply_command(*record);
        ++applied;
    }
    if (applied == 0) return false;
    ring.publish();
    if (last_command_ != acknowledged_) {
        channel::Acknowledge acknowledge;
        acknowledge.number = last_command_;
        if (send(acknowledge)) acknowledged_ = last_command_;
    }
    return true;
}

void MainLcore::apply_command(std::span<std::uint8_t> record) {
    const auto header = channel::decode_header<channel::CommandHeader>(record);
    Applied applied;
    const auto decoded =
        channel::dispatch_command(record, [&](const auto& command, ConstByteSpan trailing) {
            applied = applier_.apply(command, trailing);
            using Record = std::remove_cvref_t<decltype(command)>;
            if constexpr (std::is_same_v<Record, channel::BindingSet>) {
                if (applied && state_.writer().syncing()) tell_known_mapping(command);
            }
        });
    const bool secret = header && header->type == channel::CommandType::kSaSet;
    channel::RingConsumer& ring = server_.commands();
    secret ? ring.release_and_wipe() : ring.release();
    if (header) last_command_ = header->number;
    if (decoded && applied) return;

    channel::CommandFailed failed;
    failed.number = header ? header->number : 0;
    failed.command = header ? header->type : channel::CommandType{};
    failed.error = decoded ? applied.error().code : channel::command_error_of(decoded.error());
    channel::copy_text(failed.text, decoded ? applied.error().text : "the record is malformed");
    (void)send(failed);
    if (++refused_commands_ > kLoggedRefusals) return;
    log(Message::kCommandFailed,
        "command " + std::to_string(failed.number) + " (type " +
            std::to_string(static_cast<unsigned>(failed.command)) +
            "): " + (decoded ? applied.error().text : "the record is malformed") +
            (refused_commands_ == kLoggedRefusals ? "; more of them are not logged" : ""));
}

Applied MainLcore::give_worker(const FromMain& order, ConstByteSpan bytes, unsigned worker) {
    rte_mbuf* const packet = make_mbuf(bytes.size() + 128);
    const auto refuse = [&](const char* text) {
        rte_pktmbuf_free(packet);
        return std::unexpected(WriteError{CommandError::kNoBuffer, text});
    };
    if (packet == nullptr) return refuse("no packet buffer is free");
    char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(bytes.size()));
    if (room == nullptr) return refuse("the packet is longer than a packet buffer");
    std::memcpy(room, bytes.data(), bytes.size());
    std::memcpy(packet->buf_addr, &order, sizeof order);
    if (rte_ring_enqueue(workers_[worker]->from_main(), packet) != 0) {
        return refuse("the worker's ring is full");
    }
    count(Counter::kRxControl);
    return {};
}

/// The worker that will seal `packet`: the wire destination of a reply is kept by worker, and where
/// the packet passes IPsec it must be found (S1.50).
unsigned MainLcore::sealing_worker(ConstByteSpan packet) const {
    // Looked at only.
    auto* const data = const_cast<std::uint8_t*>(packet.data());
    const ipsec::Packet view{data, static_cast<std::uint32_t>(packet.size()), 0, 0};
    const auto owner = workers_.front()->esp().outbound_owner(view);
    return owner && *owner < workers_.size() ? *owner : 0;
}

Applied MainLcore::transmit(const channel::TransmitPacket& record, ConstByteSpan packet) {
    if (record.reply_to.family == 4 && (record.reply_to_port == 0 || record.reply_from_port == 0 ||
                                        record.reply_from.family != 4)) {
        return std::unexpected(WriteError{
            CommandError::kMalformed,
            "a reply over IPv4: expected a port there, and an IPv4 address and a port here (P12)"});
    }
    return give_worker({.kind = FromMain::Kind::kPacket,
                        .port = record.port,
                        .reply_to = record.reply_to,
                        .reply_from = record.reply_from,
                        .reply_to_port = record.reply_to_port,
                        .reply_from_port = record.reply_from_port},
                       packet, sealing_worker(packet));
}

Applied MainLcore::transmit(const channel::TransmitFrame& record, ConstByteSpan frame) {
    if (record.port >= ports_.size()) {
        return std::unexpected(WriteError{CommandError::kUnknownPort,
                                          "port " + std::to_string(record.port) + ", there are " +
                                              std::to_string(ports_.size())});
    }
    if (frame.size() < 14) {
        return std::unexpected(
            WriteError{CommandError::kMalformed, "a frame of less than 14 octets"});
    }
    return give_worker({.kind = FromMain::Kind::kFrame, .port = record.port}, frame);
}

void MainLcore::sync_done(const channel::EndSync& record, std::uint32_t swept) {
    channel::SyncDone done;
    done.epoch = record.epoch;
    done.swept = swept;
    (void)send(done);
    state_.set_ready();
    region_.set(&channel::StatisticsHeader::fast_path_ready, 1);
    const table::TableWriter& writer = state_.writer();
    log(Message::kSynchronized, std::to_string(writer.binding_count()) + " bindings, " +
                                    std::to_string(writer.route_count()) + " routes, " +
                                    std::to_string(ipsec_.size()) + " SAs; " +
                                    std::to_string(swept) + " entries of before were swept");
}

// ------------------------------------------------------------------------------------ events

bool MainLcore::punts() {
    bool busy = false;
    for (const auto& worker : workers_) {
        std::array<rte_mbuf*, kBurst> packets;
        const unsigned count = rte_ring_sc_dequeue_burst(
            worker->to_control(), reinterpret_cast<void**>(packets.data()), kBurst, nullptr);
        for (unsigned i = 0; i < count; ++i) send_punt(packets[i]);
        if (count != 0) rte_pktmbuf_free_bulk(packets.data(), count);
        busy |= count != 0;
    }
    return busy;
}

void MainLcore::send_punt(rte_mbuf* packet) {
    channel::Punt punt = punt::punt_of(packet);
    punt.length = stage::length(packet);
    count(send(punt, octets_of(packet)) ? Counter::kToControl : Counter::kPuntFull);
}

bool MainLcore::requests() {
    bool busy = false;
    for (const auto& worker : workers_) {
        stage::MainRequest request;
        for (unsigned i = 0; i < kBurst; ++i) {
            if (rte_ring_sc_dequeue_elem(worker->to_main(), &request, sizeof request) != 0) break;
            busy = true;
            switch (request.kind) {
                case stage::MainRequest::Kind::kPathMtu:
                    learn_path_mtu(request.home_address, request.mtu);
                    break;
                case stage::MainRequest::Kind::kSealedPathMtu:
                    learn_sealed_path_mtu(request);
                    break;
                case stage::MainRequest::Kind::kTunnelPathMtu:
                    state_.writer().path_mtu_towards(request.home_address, request.port,
                                                     request.mtu);
                    break;
                case stage::MainRequest::Kind::kTunnelUnreachable:
                    state_.writer().tunnel_unreachable(request.home_address, request.port);
                    break;
                case stage::MainRequest::Kind::kEspSource:
                    tell_esp_source(request);
                    break;
                case stage::MainRequest::Kind::kEspMapping:
                    tell_esp_mapping(request);
                    break;
            }
        }
    }
    return busy;
}

void MainLcore::learn_path_mtu(const Ipv6Address& home_address, std::uint32_t mtu) {
    if (!state_.writer().path_mtu(home_address, mtu)) return;
    channel::PathMtu event;
    event.home_address = wire_address(table::home_address_of(home_address));
    event.mtu = mtu;
    (void)send(event);
}

/// P4, check_esp_outer. Without a control plane nobody is told; the counter has it all the same.
void MainLcore::tell_esp_source(const stage::MainRequest& request) {
    channel::EspSource event;
    event.home_address = channel::WireAddress(request.home_address);
    event.source = wire_address(request.source);
    event.spi = request.spi;
    event.dropped = request.dropped;
    const table::BindingTable& bindings = state_.tables().bindings;
    const std::uint32_t slot = bindings.find(request.home_address);
    if (slot != table::kNoSlot && !bindings.at(slot).tentative()) {
        event.care_of_address = wire_address(bindings.at(slot).care_of_address);
    }
    (void)send(event);
}

/// The workers use it already.
void MainLcore::tell_esp_mapping(const stage::MainRequest& request) {
    channel::EspMapping event;
    event.home_address = wire_address(request.home_address);
    event.source = wire_address(request.source);
    event.port = request.port;
    (void)send(event);
}

/// A control plane that has just begun does not know what the workers learnt before.
void MainLcore::tell_known_mapping(const channel::BindingSet& record) {
    const table::Tables& tables = state_.tables();
    const std::uint32_t slot = tables.bindings.find(table::key_address(record.home_address));
    if (slot == table::kNoSlot) return;
    const auto mapping = tables.return_paths.esp_mapping(slot, tables.bindings.at(slot));
    if (!mapping) return;
    channel::EspMapping event;
    event.home_address = record.home_address;
    event.source = channel::WireAddress(mapping->address);
    event.port = mapping->port;
    (void)send(event);
}

/// Whether sealed packets of the binding in `slot` go to `address`, v4-mapped for IPv4.
bool MainLcore::goes_to(std::uint32_t slot, const Ipv6Address& address) const {
    const table::Tables& tables = state_.tables();
    const table::Binding& binding = tables.bindings.at(slot);
    if (binding.care_of_address == address) return true;
    const auto mapping = tables.return_paths.esp_mapping(slot, binding);
    return mapping && table::v4_mapped(mapping->address) == address;
}

/// S1.22: the packet that was too big went to a care-of address; IPsec knows home addresses.
void MainLcore::learn_sealed_path_mtu(const stage::MainRequest& request) {
    constexpr std::size_t kMostPeers = 64;
    const table::BindingTable& bindings = state_.tables().bindings;
    bool is_ours = false;
    for (const channel::WireAddress& peer : ipsec_.peers_of(request.spi, kMostPeers)) {
        const SaKey key{request.spi, channel::SaDirection::kOutbound, peer};
        if (peer.family == 4) {
            is_ours |= learn_vpn_path_mtu(key, request);
            continue;
        }
        const std::uint32_t slot = peer.family == 6 ? bindings.find(peer.v6()) : table::kNoSlot;
        if (slot == table::kNoSlot || bindings.at(slot).tentative() ||
            !goes_to(slot, request.home_address)) {
            continue;
        }
        is_ours = true;
        learn_path_mtu(peer.v6(), request.mtu);
        if (const auto* sa = ipsec_.find(key)) follow_path_mtu(*sa);
    }
    if (!is_ours) count(Counter::kIcmpTooBigForeign);
}

/// Of the SA of a VPN client, by its name. False: nothing of it goes where the message was about.
bool MainLcore::learn_vpn_path_mtu(const SaKey& key, const stage::MainRequest& request) {
    if (!request.home_address.is_v4_mapped()) return false;
    using enum table::TableWriter::VpnPath;
    const auto learnt = state_.writer().vpn_path_mtu(
        key.peer.v4(), table::v4_of(request.home_address), request.port, request.mtu);
    if (learnt == kLess) {
        count(Counter::kVpnPathMtu);
        if (const auto* sa = ipsec_.find(key)) follow_path_mtu(*sa);
    }
    return learnt != kNotIts;
}

/// What IPsec sees is a link to the home address. It takes what fits into the path to the care-of
/// address, and at least what becomes of 1280 octets: larger sealed packets are fragmented behind
/// IPsec (RFC 2473 section 7.1).
void MainLcore::follow_path_mtu(const ipsec::SecurityAssociation& sa) {
    if (sa.profile->direction != ipsec::Direction::kOutbound ||
        sa.profile->mode != ipsec::Mode::kTunnel) {
        return;
    }
    const channel::WireAddress peer = peer_of(sa);
    if (peer.family == 4) follow_vpn_path_mtu(sa, peer.v4());
    if (peer.family != 6) return;
    const table::BindingTable& bindings = state_.tables().bindings;
    const std::uint32_t slot = bindings.find(peer.v6());
    if (slot == table::kNoSlot || bindings.at(slot).tentative()) return;
    constexpr std::uint32_t kEspHeaderAndTrailer = 8 + 2;
    const ipsec::AlgorithmInfo& cipher = sa.profile->algorithm;
    constexpr std::uint32_t kHeaders = sizeof(Ipv6Header) + kEspHeaderAndTrailer;
    const std::uint32_t least =
        kIpv6MinimumMtu + kHeaders + cipher.iv_length + cipher.icv_length + cipher.block - 1u;
    // Behind IPsec the outer header may become another one (P13).
    const int path_mtu = bindings.at(slot).path_mtu -
                         tunnel::sealed_overhead(state_.tables(), slot, bindings.at(slot));
    const auto mtu = static_cast<std::uint16_t>(std::max(path_mtu, static_cast<int>(least)));
    if (sa.path_mtu.load(std::memory_order_relaxed) == mtu) return;
    (void)state_.sad().set_path_mtu(sa.handle(), mtu);
}

/// P32: what gets to the client's outer address, which may be bound here (S2.131).
void MainLcore::follow_vpn_path_mtu(const ipsec::SecurityAssociation& sa,
                                    const Ipv4Address& inner) {
    const table::Tables& tables = state_.tables();
    const table::VpnClient* const client = tables.vpn_clients.of_inner(inner);
    if (client == nullptr) return;
    const Ipv6Address outer = table::v4_mapped(client->outer);
    const std::uint32_t slot = tables.bindings.find(outer);
    unsigned mtu = slot != table::kNoSlot ? tables.bindings.at(slot).tunnel_mtu()
                                          : tables.next_hop(4, outer).mtu;
    if (mtu == 0) mtu = state_.parameters()->default_path_mtu;
    if (client->path_mtu != 0) mtu = std::min<unsigned>(mtu, client->path_mtu);
    const std::uint16_t learnt = state_.writer().vpn_path_mtu_of(*client);
    if (learnt != 0) mtu = std::min<unsigned>(mtu, learnt);
    if (tables.vpn_clients.return_path(*client)) mtu -= unsigned{sizeof(UdpHeader)};
    const auto path_mtu =
        static_cast<std::uint16_t>(std::max<unsigned>(mtu, channel::kLeastVpnPathMtu));
    if (sa.path_mtu.load(std::memory_order_relaxed) == path_mtu) return;
    (void)state_.sad().set_path_mtu(sa.handle(), path_mtu);
}

void MainLcore::look_at_lifetimes() {
    for (const auto& worker : workers_) {
        ipsec::LifetimeEvent expired;
        for (unsigned i = 0; i < kBurst && worker->esp().next_event(expired); ++i) {
            (void)tell_lifetime(expired);
        }
    }
}

bool MainLcore::tell_lifetime(const ipsec::LifetimeEvent& expired) {
    channel::SaLifetime event;
    event.spi = expired.spi.value;
    event.direction = expired.direction == ipsec::Direction::kInbound
                          ? channel::SaDirection::kInbound
                          : channel::SaDirection::kOutbound;
    event.hard = expired.hard ? 1 : 0;
    event.reason = static_cast<channel::SaLifetimeReason>(expired.reason);
    if (const auto* sa = state_.sad().store().by_handle(expired.handle)) event.peer = peer_of(*sa);
    return send(event);
}

/// A part of them each millisecond, all of them in a quarter of a second.
void MainLcore::look_at_associations() {
    for (const std::uint32_t row : ipsec_.take_freed_rows()) region_.set_sa(row, {});
    ipsec_.visit(ipsec_.size() / 250 + 1,
                 [this](ipsec::SecurityAssociation& sa) { look_at_association(sa); });
}

void MainLcore::look_at_association(const ipsec::SecurityAssociation& sa) {
    follow_path_mtu(sa);
    const ipsec::SaHandle handle = sa.handle();
    const channel::WireAddress peer = peer_of(sa);
    const bool outbound = sa.profile->direction == ipsec::Direction::kOutbound;
    channel::SaRow row;
    row.spi = sa.spi.value;
    row.direction = static_cast<unsigned>(outbound ? channel::SaDirection::kOutbound
                                                   : channel::SaDirection::kInbound) &
                    1;
    row.in_use = 1;
    row.peer = peer.bytes;
    row.peer_family = peer.family & 0xf;
    row.packets = sa.packets.load(std::memory_order_relaxed);
    row.bytes = sa.bytes.load(std::memory_order_relaxed);
    std::uint64_t errors = 0;
    for (const auto& error : sa.cold().errors) errors += error.load(std::memory_order_relaxed);
    row.errors = static_cast<std::uint32_t>(std::min<std::uint64_t>(errors, UINT32_MAX));
    row.highest_sequence = sa.sequence.load(std::memory_order_relaxed);
    const std::uint64_t now = monotonic_seconds();
    if (const auto expired = state_.sad().look_at_age(handle, now)) (void)tell_lifetime(*expired);
    const std::uint64_t left = state_.sad().lifetime_left(handle, now).seconds;
    if (left < channel::SaRow::kNoLimit) row.seconds_left = static_cast<std::uint32_t>(left);
    const std::uint8_t state = sa.state.load(std::memory_order_relaxed);
    using Sa = ipsec::SecurityAssociation;
    unsigned shown = 0;
    if ((state & Sa::kSoftExpired) != 0) shown |= channel::kSaSoftExpired;
    if ((state & Sa::kHardExpired) != 0) shown |= channel::kSaHardExpired;
    row.state = shown & 3;
    row.owner_worker = sa.owner;
    const std::uint32_t place = ipsec_.row_of(sa);
    const std::uint64_t sent = row.packets - region_.sa(place).packets;
    region_.set_sa(place, row);
    if (outbound) report_sequence(sa, row.highest_sequence, sent);
}

/// What is reported is reserved: enough for what the SA can send until the next look, so that one
/// that is restored from the report never repeats a number. `sent`: since the last look.
void MainLcore::report_sequence(const ipsec::SecurityAssociation& sa, std::uint64_t highest,
                                std::uint64_t sent) {
    std::uint64_t& reported = ipsec_.reported_sequence(sa);
    if (highest + kSequenceReserve / 2 + 2 * sent < reported) return;
    channel::SaHighWater event;
    event.spi = sa.spi.value;
    event.policy_id = sa.policy;
    event.peer = peer_of(sa);
    event.sequence = highest + kSequenceReserve + 4 * sent;
    if (send(event)) reported = event.sequence;
}

// ------------------------------------------------------------------------------------- trace

Applied MainLcore::trace(const channel::TraceStart& record) {
    wanted_filter_ = stage::TraceFilter{.address = record.address, .port = record.port};
    wanted_packets_ = record.packets;
    wanted_by_ = 0;
    for (std::size_t i = 0; i < workers_.size(); ++i) wanted_by_ |= std::uint64_t{1} << i;
    trace_session_.stop();
    set_trace_filters();
    log(Message::kTraceStarted, std::to_string(record.packets) + " packets are to be traced");
    return {};
}

void MainLcore::stop_trace() {
    trace_session_.stop();
    wanted_filter_.reset();
}

void MainLcore::set_trace_filters() {
    if (!wanted_filter_) return;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        stage::Tracer* const tracer = workers_[i]->tracer();
        if ((wanted_by_ >> i & 1) == 0) continue;
        if (tracer == nullptr || tracer->set_filter(*wanted_filter_)) {
            wanted_by_ &= ~(std::uint64_t{1} << i);
        }
    }
    if (wanted_by_ != 0) return;
    trace_session_.start(wanted_packets_);
    wanted_filter_.reset();
}

bool MainLcore::traces() {
    set_trace_filters();
    bool busy = false;
    std::uint64_t lost = 0;
    for (const auto& worker : workers_) {
        stage::Tracer* const tracer = worker->tracer();
        if (tracer == nullptr) continue;
        for (unsigned i = 0; i < kBurst; ++i) {
            const auto step = tracer->read();
            if (!step) break;
            busy = true;
            channel::Trace event;
            event.packet = step->packet;
            event.step = step->step;
            event.port = step->port;
            event.tsc = step->tsc;
            channel::copy_text(event.stage, step->stage);
            channel::copy_text(event.edge, step->edge);
            event.packet_length = step->length;
            event.captured = step->captured;
            std::memcpy(event.bytes, step->bytes.data(), sizeof event.bytes);
            (void)send(event);
        }
        lost += tracer->lost_steps();
    }
    if (lost > lost_steps_ && !busy) {
        log(Message::kTraceLost, std::to_string(lost - lost_steps_) + " steps");
        lost_steps_ = lost;
    }
    return busy;
}

}  // namespace homeport::core
