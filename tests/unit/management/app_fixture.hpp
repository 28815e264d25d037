// SPDX-License-Identifier: BSD-3-Clause
// The whole control plane with the other end of a real channel, for the tests of the App.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "fake_data_plane.hpp"
#include "tools/hactl/connection.hpp"

namespace homeport::core {

using channel::CommandType;
using namespace std::chrono_literals;
using test::Command;
using test::FakeDataPlane;

inline Ipv6Address address(std::string_view text) {
    return *Ipv6Address::parse(text);
}

inline const Ipv6Address kHomeAgent = address("2001:db8:1::1");
inline const Ipv6Address kHomeAddress = address("2001:db8:1::101");
inline const Ipv6Address kCareOf = address("2001:db8:a::200");
inline const Ipv6Address kOtherCareOf = address("2001:db8:b::200");

inline std::vector<std::uint8_t> binding_update(std::uint16_t sequence, const Ipv6Address& care_of,
                                                std::chrono::seconds lifetime = 60s) {
    wire::BindingUpdate update;
    update.acknowledge = true;
    update.home_registration = true;
    update.sequence = sequence;
    update.lifetime = wire::FourSecondUnits::floor(lifetime);
    if (care_of != kHomeAddress) update.options = {wire::AlternateCareOfAddress{care_of}};
    return wire::mobility_packet(update, kHomeAddress, kHomeAgent);
}

inline channel::Punt punt_from(const Ipv6Address& wire_source) {
    channel::Punt punt;
    punt.reason = channel::PuntReason::kMobilityHeader;
    punt.protected_by_ipsec = 1;
    punt.had_home_address_option = wire_source == kHomeAddress ? 0 : 1;
    punt.port = 1;
    punt.recorded_source = channel::WireAddress(wire_source);
    return punt;
}

inline wire::BindingAcknowledgement acknowledgement_in(const Command& command) {
    const auto view = wire::view_ipv6_packet(command.trailing);
    EXPECT_TRUE(view);
    const auto message = wire::decode_mobility_header(view->upper, view->source, view->destination);
    EXPECT_TRUE(message);
    EXPECT_TRUE(std::holds_alternative<wire::BindingAcknowledgement>(*message));
    return std::get<wire::BindingAcknowledgement>(*message);
}

class AppTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name =
            (std::filesystem::temp_directory_path() / "homeport-app-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        for (const char* file : {"in.key", "out.key"}) {
            std::ofstream(directory_ / file) << std::string(96, file[0] == 'i' ? 'a' : 'b');
            ::chmod((directory_ / file).c_str(), 0600);
        }
        config::LogConfig log;
        log.target = config::LogTarget::kFile;
        log.file = directory_ / "log";
        auto opened = Log::open(log);
        ASSERT_TRUE(opened);
        log_ = std::move(*opened);
        write_config("virtual");
    }
    void TearDown() override {
        app_.reset();
        data_plane_.reset();
        std::filesystem::remove_all(directory_);
    }

    void write_config(const std::string& link, const std::string& more = "") {
        std::ofstream(file()) << "dataplane:\n  channel_socket: "
                              << (directory_ / "channel").string()
                              << "\n  max_bindings: 100\n"
                                 "  ports: [{name: home0, device: a}, {name: wan0, device: b}]\n"
                                 "controlplane:\n"
                                 "  home_agent: {addresses: ['2001:db8:1::1']}\n"
                                 "  home_links: [{prefix: '2001:db8:1::/64', port: "
                              << link
                              << "}]\n"
                                 "  mobile_nodes:\n    - name: alice\n      home_address: "
                                 "2001:db8:1::101\n      security: {bu: {spi_in: 1001, spi_out: "
                                 "2001, algorithm: aes128-cbc-hmac-sha256-128, key_file_in: "
                                 "in.key, key_file_out: out.key}}\n"
                                 "  store: {path: "
                              << (directory_ / "b.db").string()
                              << "}\n  management: {socket: " << (directory_ / "control").string()
                              << "}\n"
                              << more;
    }
    [[nodiscard]] std::string file() const { return directory_ / "h.yaml"; }

    void start_data_plane() {
        data_plane_ = std::make_unique<FakeDataPlane>(directory_ / "channel",
                                                      std::vector<std::string>{"home0", "wan0"});
    }
    void start_app() {
        auto config = load_config(file());
        ASSERT_TRUE(config) << config.error().front();
        AppOptions options;
        options.mirror_kernel = false;
        options.dad_wait = 100ms;
        auto app = App::create(context_, std::move(*config), *log_, options);
        ASSERT_TRUE(app) << app.error().front();
        app_ = std::move(*app);
        app_->start();
    }
    template <class Condition>
    [[nodiscard]] bool run_until(Condition condition, std::chrono::seconds limit = 10s) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            context_.restart();
            context_.run_for(5ms);
        }
        return true;
    }
    void start_both() {
        start_data_plane();
        start_app();
        ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    }
    [[nodiscard]] std::size_t count(CommandType type) const {
        return static_cast<std::size_t>(std::ranges::count(data_plane_->types(), type));
    }
    [[nodiscard]] std::vector<Command> all(CommandType type) const {
        auto commands = data_plane_->commands();
        std::erase_if(commands, [&](const Command& command) { return command.type != type; });
        return commands;
    }
    [[nodiscard]] std::string log_text() const {
        std::ifstream stream(directory_ / "log");
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    std::filesystem::path directory_;
    std::unique_ptr<Log> log_;
    asio::io_context context_{1};
    std::unique_ptr<FakeDataPlane> data_plane_;
    std::unique_ptr<App> app_;
};

/// Over IPv4 (RFC 5555).
class AppOverIpv4 : public AppTest {
  protected:
    static constexpr std::uint16_t kPort = 40000;

    void write(const std::string& link, const std::string& more = "") {
        write_config(link, more);
        std::string text;
        {
            std::ifstream stream(file());
            text.assign(std::istreambuf_iterator<char>(stream), {});
        }
        const auto put_behind = [&text](const std::string& where, const std::string& what) {
            text.insert(text.find(where) + where.size(), what);
        };
        put_behind("addresses: ['2001:db8:1::1']", ", ipv4_addresses: [192.0.2.1, 192.0.2.2]");
        put_behind("'2001:db8:1::/64', ",
                   "ipv4_prefix: 198.51.100.0/24, ipv4_pool: {first: 198.51.100.7, last: "
                   "198.51.100.9}, ");
        std::ofstream(file()) << text;
    }
    static Ipv4Address v4(std::string_view text) { return *Ipv4Address::parse(text); }
    static channel::Punt punt_over_udp(std::uint16_t port = kPort) {
        channel::Punt punt;
        punt.reason = channel::PuntReason::kMobilityHeader;
        punt.protected_by_ipsec = 1;
        punt.port = 1;
        punt.recorded_source = channel::WireAddress(v4("203.0.113.7"));
        punt.recorded_port = port;
        punt.recorded_local = channel::WireAddress(v4("192.0.2.2"));
        punt.recorded_local_port = 4191;
        return punt;
    }
    static std::vector<std::uint8_t> update(std::uint16_t sequence, std::string_view claimed) {
        wire::BindingUpdate made;
        made.acknowledge = made.home_registration = true;
        made.sequence = sequence;
        made.lifetime = wire::FourSecondUnits::floor(60s);
        made.options = {wire::Ipv4HomeAddress{32, false, v4("0.0.0.0")},
                        wire::Ipv4CareOfAddress{v4(claimed)}};
        return wire::mobility_packet(made, kHomeAddress, kHomeAgent);
    }
    void register_from(std::string_view claimed) {
        data_plane_->clear();
        data_plane_->punt(punt_over_udp(), update(++sequence_, claimed));
        ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    }

    std::uint16_t sequence_ = 0;
};

// A client in a thread of its own, as hactl is a process of its own.
inline nlohmann::json ask(asio::io_context& context, const std::string& socket,
                          const nlohmann::json& request) {
    std::optional<std::string> reply;
    std::jthread client([&] {
        auto connection = hactl::Connection::open(socket, std::chrono::seconds(10));
        reply = connection ? connection->ask(request.dump()).value_or("null") : "null";
        asio::post(context, [&context] { context.stop(); });
    });
    context.restart();
    context.run_for(std::chrono::seconds(10));
    client.join();
    return nlohmann::json::parse(reply.value_or("null"));
}

}  // namespace homeport::core
