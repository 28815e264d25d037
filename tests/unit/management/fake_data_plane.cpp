// SPDX-License-Identifier: BSD-3-Clause
#include "fake_data_plane.hpp"

#include <stdexcept>

namespace homeport::test {

namespace {

struct Keeper {
    std::vector<Command>& commands;
    std::vector<std::uint64_t>& finished_epochs;

    template <class Record>
    void operator()(const Record& record, ConstByteSpan trailing) const {
        const auto* octets = reinterpret_cast<const std::uint8_t*>(&record);
        commands.push_back(
            {Record::kType, {octets, octets + sizeof record}, {trailing.begin(), trailing.end()}});
        if constexpr (std::is_same_v<Record, channel::EndSync>) {
            finished_epochs.push_back(record.epoch);
        }
    }
};

}  // namespace

FakeDataPlane::FakeDataPlane(const std::string& socket_path, std::vector<std::string> ports)
    : ports_(std::move(ports)) {
    channel::StatisticsShape shape;
    shape.stages = {"rx", "tx"};
    shape.edges = {"rx.parse", "tx.sent"};
    shape.workers = 2;
    shape.adjacencies = 16;
    shape.sas = 16;
    shape.policies = 64;
    shape.bindings = 65536;
    shape.tsc_hz = 1000000000;
    auto writer = channel::StatisticsWriter::create(shape);
    if (!writer) throw std::runtime_error(writer.error().text);
    statistics_ = std::make_unique<channel::StatisticsWriter>(std::move(*writer));
    channel::ServerConfig config;
    config.socket_path = socket_path;
    config.build_id = "fake";
    auto server = channel::Server::open(config, statistics_->region());
    if (!server) throw std::runtime_error(server.error().text);
    server_.emplace(std::move(*server));
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

FakeDataPlane::~FakeDataPlane() {
    thread_.request_stop();
    thread_.join();
}

void FakeDataPlane::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        {
            const std::scoped_lock lock(mutex_);
            channel::Server& server = *server_;
            statistics_->beat();
            if (server.poll().kind == channel::ServerEvent::Kind::kAttached) {
                ++attachments_;
                tell_ports(server);
            }
            std::vector<std::uint64_t> epochs;
            while (const auto record = server.commands().peek()) {
                Keeper keeper{commands_, epochs};
                (void)channel::dispatch_command(*record, keeper);
                server.commands().release_and_wipe();
            }
            server.commands().publish();
            for (const std::uint64_t epoch : epochs) {
                channel::SyncDone done;
                done.epoch = epoch;
                (void)server.send(done);
            }
            if (server.attached()) {
                for (const auto& send : to_send_) send(server);
                to_send_.clear();
            }
            server.flush();
        }
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
}

void FakeDataPlane::tell_ports(channel::Server& server) const {
    for (std::uint16_t port = 0; port < ports_.size(); ++port) {
        channel::PortInfo info;
        info.port = port;
        info.mtu = 1500;
        info.link_up = 1;
        info.mac = mac_of(port);
        channel::copy_text(info.name, ports_[port]);
        channel::copy_text(info.kernel_interface, "no-such-" + std::to_string(port));
        channel::copy_text(info.driver, "fake");
        (void)server.send(info);
    }
}

std::vector<Command> FakeDataPlane::commands() const {
    const std::scoped_lock lock(mutex_);
    return commands_;
}

std::vector<channel::CommandType> FakeDataPlane::types() const {
    std::vector<channel::CommandType> types;
    for (const Command& command : commands()) types.push_back(command.type);
    return types;
}

void FakeDataPlane::clear() {
    const std::scoped_lock lock(mutex_);
    commands_.clear();
}

std::size_t FakeDataPlane::attachments() const {
    const std::scoped_lock lock(mutex_);
    return attachments_;
}

void FakeDataPlane::punt(channel::Punt event, std::vector<std::uint8_t> packet) {
    event.length = static_cast<std::uint16_t>(packet.size());
    tell([event, packet = std::move(packet)](channel::Server& server) mutable {
        (void)server.send(event, packet);
    });
}

void FakeDataPlane::tell(const std::function<void(channel::Server&)>& send) {
    const std::scoped_lock lock(mutex_);
    to_send_.push_back(send);
}

}  // namespace homeport::test
