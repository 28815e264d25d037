// SPDX-License-Identifier: BSD-3-Clause
#include "tools/hactl/offline.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "controlplane/management/statistics_view.hpp"
#include "dataplane/channel/client.hpp"

namespace homeport::hactl {

namespace {

using nlohmann::json;
using Reply = std::expected<json, std::string>;

constexpr std::chrono::milliseconds kTimeout{2000};

Reply from_statistics(const std::string& command, const json& arguments,
                      const channel::StatisticsReader& reader) {
    if (command == "show drops") {
        json view = management::drops_view(reader, arguments.value("all", false));
        view["control_plane"] = json::array();
        return view;
    }
    if (command == "show ports") return management::ports_view(reader, {});
    if (command == "show adjacencies") {
        return management::adjacencies_view(reader, {},
                                            arguments.value("limit", std::size_t{1000}));
    }
    if (command == "show stages") {
        std::optional<std::uint32_t> worker;
        if (arguments.contains("worker")) worker = arguments["worker"].get<std::uint32_t>();
        auto view = management::stages_view(reader, worker, arguments.value("edges", false));
        if (!view) return std::unexpected("found no such worker");
        return std::move(*view);
    }
    json data_plane = management::data_plane_view(reader);
    data_plane["attached"] = false;
    return json{{"control_plane", nullptr},
                {"data_plane", std::move(data_plane)},
                {"problems", {"The control plane does not answer."}}};
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_;
};

// Ports as telemetry tells of them: no names, no exception TAPs.
Reply ports_from_telemetry(const std::string& file_prefix) {
    const auto list = ask_telemetry(file_prefix, "/ethdev/list");
    if (!list) return std::unexpected(list.error());
    json rows = json::array();
    for (const json& port : list->value("/ethdev/list", json::array())) {
        const std::string query = "/ethdev/stats," + port.dump();
        const auto stats = ask_telemetry(file_prefix, query);
        if (!stats) return std::unexpected(stats.error());
        const json values = stats->value("/ethdev/stats", json::object());
        rows.push_back({{"index", port},
                        {"name", "port " + port.dump()},
                        {"rx_packets", values.value("ipackets", std::uint64_t{0})},
                        {"rx_bytes", values.value("ibytes", std::uint64_t{0})},
                        {"tx_packets", values.value("opackets", std::uint64_t{0})},
                        {"tx_bytes", values.value("obytes", std::uint64_t{0})},
                        {"rx_missed", values.value("imissed", std::uint64_t{0})},
                        {"rx_errors", values.value("ierrors", std::uint64_t{0})},
                        {"tx_errors", values.value("oerrors", std::uint64_t{0})},
                        {"rx_no_buffer", values.value("rx_nombuf", std::uint64_t{0})}});
    }
    return json{{"ports", std::move(rows)}};
}

}  // namespace

bool works_offline(const std::string& command) {
    static const std::set<std::string> kCommands{"show drops", "show ports", "show adjacencies",
                                                 "show stages", "show status"};
    return kCommands.contains(command);
}

Reply ask_telemetry(const std::string& file_prefix, const std::string& command) {
    const std::string path = "/var/run/dpdk/" + file_prefix + "/dpdk_telemetry.v2";
    const auto failed = [&](const std::string& text) {
        return std::unexpected("telemetry at " + path + ": " + text);
    };
    const auto system = [&] { return failed(std::generic_category().message(errno)); };
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return failed("the path is too long");
    path.copy(address.sun_path, path.size());
    const Descriptor fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const timeval limit{2, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return system();
    }
    // It greets with its version and the longest reply; then one message each way.
    std::array<char, 16384> buffer;
    if (::recv(fd.get(), buffer.data(), buffer.size(), 0) < 0) return system();
    if (::send(fd.get(), command.data(), command.size(), MSG_NOSIGNAL) < 0) return system();
    const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (n < 0) return system();
    json reply = json::parse(buffer.data(), buffer.data() + n, nullptr, false);
    if (!reply.is_object()) return failed("found no JSON object in the reply");
    return reply;
}

Reply offline_reply(const std::string& command, const json& arguments,
                    const DataPlanePlace& place) {
    const auto client = channel::Client::connect(place.channel_socket, channel::Role::kObserver,
                                                 HOMEPORT_VERSION, kTimeout);
    if (!client) {
        if (command == "show ports") {
            if (auto ports = ports_from_telemetry(place.file_prefix)) return ports;
        }
        return std::unexpected("the data plane does not answer at " + place.channel_socket + ": " +
                               client.error().text);
    }
    const auto reader = channel::StatisticsReader::open(client->statistics());
    if (!reader) return std::unexpected(reader.error().text);
    return from_statistics(command, arguments, *reader);
}

}  // namespace homeport::hactl
