// SPDX-License-Identifier: BSD-3-Clause
// The whole control plane against the other end of a real channel.
#include "controlplane/core/app.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "controlplane/core/log.hpp"
#include "controlplane/management/commands.hpp"
#include "controlplane/wire/icmpv6.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/ipsec/spi.hpp"
#include "fake_data_plane.hpp"
#include "tools/hactl/connection.hpp"

namespace homeport::core {
namespace {

using channel::CommandType;
using namespace std::chrono_literals;
using test::Command;
using test::FakeDataPlane;

Ipv6Address address(std::string_view text) {
    return *Ipv6Address::parse(text);
}

const Ipv6Address kHomeAgent = address("2001:db8:1::1");
const Ipv6Address kHomeAddress = address("2001:db8:1::101");
const Ipv6Address kCareOf = address("2001:db8:a::200");
const Ipv6Address kOtherCareOf = address("2001:db8:b::200");

std::vector<std::uint8_t> binding_update(std::uint16_t sequence, const Ipv6Address& care_of,
                                         std::chrono::seconds lifetime = 60s) {
    wire::BindingUpdate update;
    update.acknowledge = true;
    update.home_registration = true;
    update.sequence = sequence;
    update.lifetime = wire::FourSecondUnits::floor(lifetime);
    if (care_of != kHomeAddress) update.options = {wire::AlternateCareOfAddress{care_of}};
    return wire::mobility_packet(update, kHomeAddress, kHomeAgent);
}

channel::Punt punt_from(const Ipv6Address& wire_source) {
    channel::Punt punt;
    punt.reason = channel::PuntReason::kMobilityHeader;
    punt.protected_by_ipsec = 1;
    punt.had_home_address_option = wire_source == kHomeAddress ? 0 : 1;
    punt.port = 1;
    punt.recorded_source = channel::WireAddress(wire_source);
    return punt;
}

wire::BindingAcknowledgement acknowledgement_in(const Command& command) {
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

TEST_F(AppTest, full_state_stands_between_begin_and_end_of_the_synchronisation) {
    start_both();
    const auto types = data_plane_->types();
    ASSERT_FALSE(types.empty());
    EXPECT_EQ(types.front(), CommandType::kBeginSync);
    EXPECT_EQ(types.back(), CommandType::kEndSync);
    for (const CommandType type : {CommandType::kParametersSet, CommandType::kAddressSet,
                                   CommandType::kHomePrefixSet, CommandType::kSpdReplace}) {
        EXPECT_EQ(count(type), 1u);
    }
    const auto sas = all(CommandType::kSaSet);
    ASSERT_EQ(sas.size(), 2u);
    for (const Command& sa : sas) {
        EXPECT_EQ(sa.as<channel::SaSet>().owner_worker, 0u);  // there is one worker
    }
    const auto prefix = all(CommandType::kHomePrefixSet).front().as<channel::HomePrefixSet>();
    EXPECT_EQ(prefix.port, channel::kNoPort);
    EXPECT_EQ(prefix.drop_unbound, 1);
    const auto own = all(CommandType::kAddressSet).front().as<channel::AddressSet>();
    EXPECT_EQ(own.is_home_agent_address, 1);
    EXPECT_EQ(own.address.v6(), kHomeAgent);
}

TEST_F(AppTest, S1_13_the_binding_is_in_force_before_the_acknowledgement_leaves) {
    start_both();
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(data_plane_->types(),
              (std::vector{CommandType::kBindingSet, CommandType::kTransmitPacket}));
    const auto commands = data_plane_->commands();
    const auto binding = commands[0].as<channel::BindingSet>();
    EXPECT_EQ(binding.home_address.v6(), kHomeAddress);
    EXPECT_EQ(binding.care_of_address.v6(), kCareOf);
    EXPECT_EQ(binding.home_agent_address.v6(), kHomeAgent);
    EXPECT_EQ(binding.flags, 0);
    EXPECT_LT(binding.counter_index, 100u);
    const auto transmit = commands[1].as<channel::TransmitPacket>();
    EXPECT_EQ(transmit.reply_to.v6(), kCareOf);
    EXPECT_EQ(transmit.port, channel::kNoPort);
    const auto answer = acknowledgement_in(commands[1]);
    EXPECT_EQ(answer.status, wire::BindingStatus::kAccepted);
    EXPECT_EQ(answer.sequence, 7);
}

TEST_F(AppTest, a_move_keeps_the_row_of_the_counters_and_a_refusal_answers_the_sender) {
    start_both();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    data_plane_->punt(punt_from(kOtherCareOf), binding_update(8, kOtherCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 2; }));
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 2u);
    EXPECT_EQ(bindings[0].as<channel::BindingSet>().counter_index,
              bindings[1].as<channel::BindingSet>().counter_index);
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), binding_update(3, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(count(CommandType::kBindingSet), 0u);
    const auto refused = all(CommandType::kTransmitPacket).front();
    EXPECT_EQ(refused.as<channel::TransmitPacket>().reply_to.v6(), kCareOf);
    EXPECT_EQ(acknowledgement_in(refused).status, wire::BindingStatus::kSequenceNumberOutOfWindow);
    EXPECT_NE(log_text().find("HP-CP-0043"), std::string::npos);
}

TEST_F(AppTest, deregistration_at_home_removes_the_binding_and_answers_on_the_home_link) {
    start_both();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    data_plane_->clear();
    auto punt = punt_from(kHomeAddress);
    punt.port = 0;
    data_plane_->punt(punt, binding_update(8, kHomeAddress, 0s));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(data_plane_->types(),
              (std::vector{CommandType::kBindingRemove, CommandType::kTransmitPacket}));
    const auto transmit = all(CommandType::kTransmitPacket).front().as<channel::TransmitPacket>();
    EXPECT_EQ(transmit.reply_to.v6(), kHomeAddress);
    EXPECT_EQ(transmit.port, 0);
}

TEST_F(AppTest, P14_an_ipv4_home_address_is_a_binding_of_its_own_beside_the_one_it_came_with) {
    std::string text;
    {
        std::ifstream stream(file());
        text.assign(std::istreambuf_iterator<char>(stream), {});
    }
    const std::string home = "home_address: 2001:db8:1::101\n";
    text.insert(text.find(home) + home.size(), "      ipv4_home_address: 192.0.2.100\n");
    std::ofstream(file()) << text;
    start_both();
    const auto update = [](std::uint16_t sequence, bool with_ipv4) {
        wire::BindingUpdate made;
        made.acknowledge = made.home_registration = true;
        made.sequence = sequence;
        made.lifetime = wire::FourSecondUnits::floor(60s);
        made.options = {wire::AlternateCareOfAddress{kCareOf}};
        if (with_ipv4) {
            made.options.emplace_back(
                wire::Ipv4HomeAddress{32, false, *Ipv4Address::parse("192.0.2.100")});
        }
        return wire::mobility_packet(made, kHomeAddress, kHomeAgent);
    };
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), update(7, true));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(data_plane_->types(), (std::vector{CommandType::kBindingSet, CommandType::kBindingSet,
                                                 CommandType::kTransmitPacket}));
    const auto ipv4 = all(CommandType::kBindingSet)[1].as<channel::BindingSet>();
    EXPECT_EQ(ipv4.home_address.v4().to_string(), "192.0.2.100");
    EXPECT_EQ(ipv4.prefix_length, 32);
    EXPECT_EQ(ipv4.care_of_address.v6(), kCareOf);

    // A registration without it takes it away, before the acknowledgement says so.
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), update(8, false));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(data_plane_->types(),
              (std::vector{CommandType::kBindingSet, CommandType::kBindingRemove,
                           CommandType::kTransmitPacket}));
    const auto removed = all(CommandType::kBindingRemove)[0].as<channel::BindingRemove>();
    EXPECT_EQ(removed.home_address.v4().to_string(), "192.0.2.100");

    data_plane_->punt(punt_from(kCareOf), update(9, true));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 2; }));
    data_plane_->clear();
    auto at_home = punt_from(kHomeAddress);
    at_home.port = 0;
    data_plane_->punt(at_home, binding_update(10, kHomeAddress, 0s));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(count(CommandType::kBindingRemove), 2u);
}

TEST_F(AppTest, RFC3963_6_3_mobile_prefixes_stand_behind_their_binding) {
    std::string text;
    {
        std::ifstream stream(file());
        text.assign(std::istreambuf_iterator<char>(stream), {});
    }
    const std::string home = "home_address: 2001:db8:1::101\n";
    text.insert(text.find(home) + home.size(), "      mobile_prefixes: ['2001:db8:5000::/40']\n");
    std::ofstream(file()) << text;
    start_both();
    // Where nobody leads into it, the mobile network is nowhere.
    bool known = false;
    for (const Command& command : all(CommandType::kHomePrefixSet)) {
        const auto record = command.as<channel::HomePrefixSet>();
        known |= record.prefix.v6() == address("2001:db8:5000::") && record.prefix_length == 40 &&
                 record.port == channel::kNoPort && record.drop_unbound == 0;
    }
    EXPECT_TRUE(known);
    const auto update = [](std::uint16_t sequence, std::vector<const char*> prefixes) {
        wire::BindingUpdate made;
        made.acknowledge = made.home_registration = made.mobile_router = true;
        made.sequence = sequence;
        made.lifetime = wire::FourSecondUnits::floor(60s);
        made.options = {wire::AlternateCareOfAddress{kCareOf}};
        for (const char* prefix : prefixes) {
            made.options.emplace_back(wire::MobileNetworkPrefix{48, address(prefix)});
        }
        return wire::mobility_packet(made, kHomeAddress, kHomeAgent);
    };
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), update(7, {"2001:db8:5000::", "2001:db8:5001::"}));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(data_plane_->types(),
              (std::vector{CommandType::kBindingSet, CommandType::kMobilePrefixSet,
                           CommandType::kMobilePrefixSet, CommandType::kTransmitPacket}));
    const auto set = all(CommandType::kMobilePrefixSet)[1].as<channel::MobilePrefixSet>();
    EXPECT_EQ(set.prefix.v6(), address("2001:db8:5001::"));
    EXPECT_EQ(set.prefix_length, 48);
    EXPECT_EQ(set.home_address.v6(), kHomeAddress);
    EXPECT_TRUE(acknowledgement_in(all(CommandType::kTransmitPacket)[0]).mobile_router);

    // One that is no longer named goes.
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), update(8, {"2001:db8:5001::"}));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(data_plane_->types(),
              (std::vector{CommandType::kBindingSet, CommandType::kMobilePrefixRemove,
                           CommandType::kMobilePrefixSet, CommandType::kTransmitPacket}));
    const auto gone = all(CommandType::kMobilePrefixRemove)[0].as<channel::MobilePrefixRemove>();
    EXPECT_EQ(gone.prefix.v6(), address("2001:db8:5000::"));
}

// --- over IPv4 (RFC 5555) ---------------------------------------------------------------------

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

TEST_F(AppOverIpv4, P10_P12_a_binding_behind_a_nat_and_the_answer_to_where_the_update_came_from) {
    write("virtual");
    start_both();
    register_from("10.0.0.5");
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 2u);
    for (const Command& command : bindings) {
        const auto binding = command.as<channel::BindingSet>();
        EXPECT_EQ(binding.encapsulation, channel::Encapsulation::kUdpIpv4);
        EXPECT_EQ(binding.care_of_address.v4(), v4("203.0.113.7")) << "not the private one";
        EXPECT_EQ(binding.home_agent_address.v4(), v4("192.0.2.2"));
        EXPECT_EQ(binding.udp_port, kPort);
        EXPECT_EQ(binding.flags, 0);
    }
    EXPECT_EQ(bindings[1].as<channel::BindingSet>().home_address.v4(), v4("198.51.100.7"));
    const auto answer = all(CommandType::kTransmitPacket).front();
    const auto transmit = answer.as<channel::TransmitPacket>();
    EXPECT_EQ(transmit.reply_to.v4(), v4("203.0.113.7"));
    EXPECT_EQ(transmit.reply_to_port, kPort);
    EXPECT_EQ(transmit.reply_from.v4(), v4("192.0.2.2"));
    EXPECT_EQ(transmit.reply_from_port, 4191);
    const auto acknowledgement = acknowledgement_in(answer);
    EXPECT_EQ(*wire::find_option<wire::NatDetection>(acknowledgement.options),
              (wire::NatDetection{false, 110}));
}

TEST_F(AppOverIpv4, P9_without_a_nat_the_data_plane_follows_the_form_that_the_node_uses) {
    write("virtual", "  dual_stack: {esp_over_ipv4: nested}\n");
    start_both();
    register_from("203.0.113.7");
    const auto binding = all(CommandType::kBindingSet).front().as<channel::BindingSet>();
    EXPECT_EQ(binding.encapsulation, channel::Encapsulation::kIpv4);
    EXPECT_EQ(binding.udp_port, kPort);
    EXPECT_EQ(binding.flags, channel::kBindingFollowForm | channel::kBindingNestedEsp);
}

TEST_F(AppOverIpv4, S1_64_S1_66_addresses_prefixes_and_parameters_are_in_the_synchronisation) {
    write("virtual",
          "  dual_stack: {tlv_header: on, nat_pending_max: 9, nat_pending_ttl: 1000, "
          "nat_lock_depth: 2, nat_lock_timeout: 30}\n");
    start_both();
    const auto addresses = all(CommandType::kAddressSet);
    ASSERT_EQ(addresses.size(), 3u);
    for (std::size_t i = 1; i < 3; ++i) {
        const auto own = addresses[i].as<channel::AddressSet>();
        EXPECT_EQ(own.address.family, 4);
        EXPECT_EQ(own.is_home_agent_address, 1);
    }
    const auto prefixes = all(CommandType::kHomePrefixSet);
    ASSERT_EQ(prefixes.size(), 2u);
    EXPECT_EQ(prefixes[1].as<channel::HomePrefixSet>().prefix.v4(), v4("198.51.100.0"));
    EXPECT_EQ(prefixes[1].as<channel::HomePrefixSet>().prefix_length, 24);
    const auto parameters = all(CommandType::kParametersSet)[0].as<channel::ParametersSet>();
    EXPECT_EQ(parameters.nat_pending_max, 9u);
    EXPECT_EQ(parameters.nat_pending_ttl_ms, 1000);
    EXPECT_EQ(parameters.nat_lock_depth, 2);
    EXPECT_EQ(parameters.nat_lock_timeout_ms, 30);
    EXPECT_EQ(parameters.tlv_header, 1);
}

TEST_F(AppOverIpv4, S1_69_source_verdict_and_dynamic_address_survive_a_restart) {
    write("virtual");
    start_both();
    register_from("10.0.0.5");
    app_->stop();
    app_.reset();
    data_plane_->clear();
    start_app();
    ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 2u);
    EXPECT_EQ(bindings[0].as<channel::BindingSet>().care_of_address.v4(), v4("203.0.113.7"));
    EXPECT_EQ(bindings[0].as<channel::BindingSet>().udp_port, kPort);
    EXPECT_EQ(bindings[1].as<channel::BindingSet>().home_address.v4(), v4("198.51.100.7"));
}

TEST_F(AppOverIpv4, RFC5555_4_5_on_a_real_link_the_ipv4_home_address_is_announced_and_defended) {
    write("home0");
    start_both();
    register_from("10.0.0.5");
    ASSERT_TRUE(run_until([&] {
        return std::ranges::any_of(all(CommandType::kTransmitFrame), [](const Command& frame) {
            return load_be16(frame.trailing.data() + 12) == kEtherTypeArp;
        });
    }));
    const auto frames = all(CommandType::kTransmitFrame);
    const auto arp = std::ranges::find_if(frames, [](const Command& frame) {
        return load_be16(frame.trailing.data() + 12) == kEtherTypeArp;
    });
    EXPECT_EQ(arp->as<channel::TransmitFrame>().port, 0);
    EXPECT_EQ(arp->trailing.size(), 60u);
    EXPECT_EQ(MacAddress::load(arp->trailing.data()).to_string(), "ff:ff:ff:ff:ff:ff");
    EXPECT_EQ(MacAddress::load(arp->trailing.data() + 22), FakeDataPlane::mac_of(0));
    EXPECT_EQ(Ipv4Address::load(arp->trailing.data() + 28), v4("198.51.100.7"));
    EXPECT_EQ(Ipv4Address::load(arp->trailing.data() + 38), v4("198.51.100.7"));
    for (const Command& command : all(CommandType::kBindingSet)) {
        const auto binding = command.as<channel::BindingSet>();
        if (binding.home_address.family != 4 || (binding.flags & channel::kBindingTentative)) {
            continue;
        }
        EXPECT_EQ(binding.home_port, 0);
        EXPECT_NE(binding.flags & channel::kBindingProxyNd, 0);
    }
}

TEST_F(AppTest, an_unprotected_binding_update_changes_nothing_and_is_not_answered) {
    start_both();
    data_plane_->clear();
    auto punt = punt_from(kCareOf);
    punt.protected_by_ipsec = 0;
    data_plane_->punt(punt, binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return log_text().find("HP-CP-0045") != std::string::npos; }));
    EXPECT_TRUE(data_plane_->types().empty());
}

TEST_F(AppTest, bindings_survive_a_restart_of_the_control_plane) {
    start_both();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    const auto first_sequence = [&] {
        std::uint64_t first = 0;
        for (const Command& command : all(CommandType::kSaSet)) {
            const auto sa = command.as<channel::SaSet>();
            if (sa.direction == channel::SaDirection::kOutbound) first = sa.first_sequence;
        }
        return first;
    };
    EXPECT_EQ(first_sequence(), 1u);
    const auto epoch = all(CommandType::kBeginSync).front().as<channel::BeginSync>().epoch;
    app_.reset();
    data_plane_->clear();
    start_app();
    ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    EXPECT_GT(all(CommandType::kBeginSync).front().as<channel::BeginSync>().epoch, epoch);
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 1u);
    EXPECT_EQ(bindings[0].as<channel::BindingSet>().care_of_address.v6(), kCareOf);
    EXPECT_EQ(data_plane_->types().back(), CommandType::kEndSync);
    EXPECT_GT(first_sequence(), sa::SequenceLedger::kMargin);
    // The sequence number of the binding is known too: an old one is refused, the next is taken.
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    data_plane_->punt(punt_from(kCareOf), binding_update(8, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 2; }));
    const auto answers = all(CommandType::kTransmitPacket);
    EXPECT_EQ(acknowledgement_in(answers[0]).status,
              wire::BindingStatus::kSequenceNumberOutOfWindow);
    EXPECT_EQ(acknowledgement_in(answers[1]).status, wire::BindingStatus::kAccepted);
}

TEST_F(AppTest, a_data_plane_that_comes_back_gets_everything_again) {
    start_both();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    data_plane_.reset();
    ASSERT_TRUE(run_until([&] { return !app_->status().attached; }));
    EXPECT_FALSE(app_->is_synchronized());
    start_data_plane();
    ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    EXPECT_EQ(count(CommandType::kBindingSet), 1u);
    EXPECT_EQ(count(CommandType::kSaSet), 2u);
    EXPECT_EQ(data_plane_->types().front(), CommandType::kBeginSync);
    EXPECT_NE(log_text().find("HP-CP-0012"), std::string::npos);
}

TEST_F(AppTest, a_missing_data_plane_is_complained_of_once) {
    start_app();
    EXPECT_FALSE(run_until([&] { return app_->is_synchronized(); }, 1s));
    const std::string text = log_text();
    const auto first = text.find("HP-CP-0011");
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(text.find("HP-CP-0011", first + 1), std::string::npos);
    start_data_plane();
    EXPECT_TRUE(run_until([&] { return app_->is_synchronized(); }));
}

TEST_F(AppTest, dad_probes_the_home_link_before_the_first_acknowledgement) {
    write_config("home0");
    start_both();
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    const auto commands = data_plane_->commands();
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 2u);
    const auto tentative = bindings[0].as<channel::BindingSet>();
    const auto active = bindings[1].as<channel::BindingSet>();
    EXPECT_NE(tentative.flags & channel::kBindingTentative, 0);
    EXPECT_EQ(active.flags, channel::kBindingProxyNd);
    EXPECT_EQ(active.home_port, 0);
    bool saw_probe = false;
    bool saw_advertisement = false;
    for (const Command& command : commands) {
        if (command.type != CommandType::kTransmitFrame) continue;
        EXPECT_EQ(command.as<channel::TransmitFrame>().port, 0);
        EXPECT_EQ(MacAddress::load(command.trailing.data() + 6), FakeDataPlane::mac_of(0));
        const auto view = wire::view_ipv6_packet(ConstByteSpan(command.trailing).subspan(14));
        ASSERT_TRUE(view);
        const auto message = wire::decode_icmpv6(*view);
        ASSERT_TRUE(message);
        if (const auto* probe = std::get_if<wire::NeighborSolicitation>(&*message)) {
            EXPECT_EQ(probe->target, kHomeAddress);
            EXPECT_TRUE(view->source.is_unspecified());
            EXPECT_FALSE(saw_advertisement);
            saw_probe = true;
        }
        if (const auto* told = std::get_if<wire::NeighborAdvertisement>(&*message)) {
            EXPECT_EQ(told->target, kHomeAddress);
            EXPECT_TRUE(told->override_entry);
            EXPECT_FALSE(told->solicited);
            saw_advertisement = true;
        }
    }
    EXPECT_TRUE(saw_probe);
    EXPECT_TRUE(saw_advertisement);
}

TEST_F(AppTest, a_home_address_in_use_on_the_home_link_is_refused_with_status_134) {
    write_config("home0");
    start_both();
    data_plane_->clear();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitFrame) >= 1; }));
    const MacAddress other{{0x02, 9, 9, 9, 9, 9}};
    const auto advertisement =
        wire::unsolicited_advertisement(kHomeAddress, kHomeAddress, other, false);
    channel::Punt frame;
    frame.reason = channel::PuntReason::kDuplicateAddress;
    frame.port = 0;
    data_plane_->punt(
        frame, wire::ethernet_frame(MacAddress{{0x33, 0x33, 0, 0, 0, 1}}, other, advertisement));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    EXPECT_EQ(acknowledgement_in(all(CommandType::kTransmitPacket).front()).status,
              wire::BindingStatus::kDuplicateAddressDetectionFailed);
    EXPECT_EQ(count(CommandType::kBindingSet), 1u);  // the tentative one
    ASSERT_TRUE(run_until([&] { return count(CommandType::kBindingRemove) == 1; }));
}

TEST_F(AppTest, home_address_option_without_a_binding_is_answered_with_a_binding_error) {
    start_both();
    data_plane_->clear();
    // CoA > HA | destination options {HAO} | no next header
    std::vector<std::uint8_t> options{59, 2, 1, 2, 0, 0, 0xc9, 16};
    options.insert(options.end(), kHomeAddress.bytes.begin(), kHomeAddress.bytes.end());
    channel::Punt punt;
    punt.reason = channel::PuntReason::kHaoWithoutBinding;
    punt.port = 1;
    data_plane_->punt(punt, wire::ipv6_packet(kCareOf, kHomeAgent, 60, 64, options));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    const auto command = all(CommandType::kTransmitPacket).front();
    EXPECT_EQ(command.as<channel::TransmitPacket>().reply_to.family, 0);
    const auto view = wire::view_ipv6_packet(command.trailing);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->destination, kCareOf);
    const auto message = wire::decode_mobility_header(view->upper, view->source, view->destination);
    ASSERT_TRUE(message);
    const auto& error = std::get<wire::BindingError>(*message);
    EXPECT_EQ(error.status, wire::BindingErrorStatus::kUnknownBinding);
    EXPECT_EQ(error.home_address, kHomeAddress);
}

TEST_F(AppTest, sequence_numbers_that_the_data_plane_reports_are_kept) {
    start_both();
    data_plane_->tell([](channel::Server& server) {
        channel::SaHighWater event;
        event.spi = 2001;
        event.sequence = 500000;
        (void)server.send(event);
    });
    const auto ledger_knows = [&] {
        auto ledger = sa::SequenceLedger::open((directory_ / "b.db.sequences").string());
        return ledger && ledger->begin(2001) > 500000 + sa::SequenceLedger::kMargin;
    };
    EXPECT_TRUE(run_until(ledger_knows));
}

TEST_F(AppTest, a_bad_file_leaves_the_configuration_in_force_and_a_good_one_is_synchronized) {
    start_both();
    const std::string before = config::hash(app_->config());
    write_config("virtual", "  tunnel: {hop_limit: 0}\n");
    const auto refused = app_->reload_config();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "invalid_config");
    ASSERT_EQ(refused.error().details.size(), 1u);
    EXPECT_NE(refused.error().details[0].find("h.yaml:"), std::string::npos);
    EXPECT_EQ(config::hash(app_->config()), before);
    data_plane_->clear();
    write_config("virtual", "  tunnel: {hop_limit: 9}\n  limits: {bindings: 50}\n");
    const auto done = app_->reload_config();
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_TRUE(done->changed);
    ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    ASSERT_EQ(count(CommandType::kParametersSet), 1u);
    EXPECT_EQ(
        all(CommandType::kParametersSet).front().as<channel::ParametersSet>().tunnel_hop_limit, 9);
}

// A client in a thread of its own, as hactl is a process of its own.
nlohmann::json ask(AppTest&, asio::io_context& context, const std::string& socket,
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

TEST_F(AppTest, commands_show_what_is_there) {
    start_both();
    data_plane_->punt(punt_from(kCareOf), binding_update(7, kCareOf));
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTransmitPacket) == 1; }));
    const auto row = all(CommandType::kBindingSet).front().as<channel::BindingSet>().counter_index;
    data_plane_->statistics().worker(0).bindings[row].out_packets = 40;
    data_plane_->statistics().worker(1).bindings[row].out_packets = 2;
    data_plane_->statistics().worker(0).count(channel::Counter::kRxPort, 10);
    data_plane_->statistics().worker(0).count(channel::Counter::kTxPort, 7);
    data_plane_->statistics().worker(1).count(channel::Counter::kForwardTtl, 2);
    const std::string socket = directory_ / "control";
    const auto show = [&](const std::string& command) {
        auto reply = ask(*this, context_, socket, {{"command", command}});
        EXPECT_EQ(reply.value("result", -1), 0) << command << reply.dump();
        return reply["data"];
    };
    const auto bindings = show("show bindings");
    ASSERT_EQ(bindings["bindings"].size(), 1u);
    EXPECT_EQ(bindings["bindings"][0]["care_of_address"], kCareOf.to_string());
    EXPECT_EQ(bindings["bindings"][0]["node"], "alice");
    EXPECT_EQ(bindings["bindings"][0]["state"], "active");
    EXPECT_EQ(bindings["bindings"][0]["out_packets"], 42);
    const auto drops = show("show drops");
    EXPECT_EQ(drops["received"], 10);
    EXPECT_EQ(drops["forwarded"], 7);
    EXPECT_EQ(drops["dropped"], 2);
    EXPECT_EQ(drops["difference"], 1);
    const auto sas = show("show sa");
    ASSERT_EQ(sas["sas"].size(), 2u);
    EXPECT_EQ(sas.dump().find("aaaa"), std::string::npos);  // no key
    EXPECT_EQ(show("show status")["data_plane"]["synchronized"], true);
    const auto entries = show("show spd")["policies"];
    EXPECT_EQ(entries[0]["name"], "ike");
    EXPECT_TRUE(entries[0]["in_packets"].is_null()) << "the data plane said nothing of it";
    EXPECT_EQ(show("show stages")["stages"].size(), 2u);
    EXPECT_EQ(show("config check")["valid"], true);
    EXPECT_EQ(show("show config").dump().find("aaaa"), std::string::npos);
    for (const char* command : {"show ports", "show flow", "show adjacencies", "show routes",
                                "config show", "config hash", "list commands", "trace show"}) {
        (void)show(command);
    }
    const auto cleared = ask(*this, context_, socket,
                             {{"command", "clear binding"}, {"arguments", {{"address", "all"}}}});
    EXPECT_EQ(cleared["data"]["cleared"], 1);
    ASSERT_TRUE(run_until([&] { return count(CommandType::kBindingRemove) == 1; }));
}

TEST_F(AppOverIpv4, show_binding_tells_verdict_source_encapsulation_and_the_mapping_of_4500) {
    write("virtual");
    start_both();
    register_from("10.0.0.5");
    channel::EspMapping mapping;
    mapping.home_address = channel::WireAddress(kHomeAddress);
    mapping.source = channel::WireAddress(v4("203.0.113.7"));
    mapping.port = 61001;
    data_plane_->tell([&](channel::Server& server) { (void)server.send(mapping); });
    const auto* entry = app_->home_agent().bindings().find(kHomeAddress);
    ASSERT_TRUE(run_until([&] { return entry->esp_source.has_value(); }));
    const auto shown =
        ask(*this, context_, directory_ / "control",
            {{"command", "show binding"}, {"arguments", {{"address", "2001:db8:1::101"}}}})["data"];
    EXPECT_EQ(shown["care_of_address"], "10.0.0.5");
    EXPECT_EQ(shown["encapsulation"], "ipv4-udp");
    EXPECT_EQ(shown["nat"], "yes");
    EXPECT_EQ(shown["outer_source"], "203.0.113.7:40000");
    EXPECT_EQ(shown["local_endpoint"], "192.0.2.2:4191");
    EXPECT_EQ(shown["esp_source"], "203.0.113.7:61001");
    EXPECT_EQ(shown["nat_refresh"], 110);
    EXPECT_EQ(shown["ipv4_home_addresses"], nlohmann::json::array({"198.51.100.7"}));
    EXPECT_EQ(shown["ipv4_from_pool"], nlohmann::json::array({"198.51.100.7"}));
}

class SaCommands : public AppTest {
  protected:
    nlohmann::json command(const std::string& name, nlohmann::json arguments) {
        return ask(*this, context_, (directory_ / "control").string(),
                   {{"command", name}, {"arguments", std::move(arguments)}});
    }
    [[nodiscard]] nlohmann::json arguments(const std::string& direction,
                                           const std::string& spi = {}) const {
        nlohmann::json all{{"home_address", kHomeAddress.to_string()},
                           {"purpose", "bu"},
                           {"direction", direction},
                           {"algorithm", "aes128-cbc-hmac-sha256-128"},
                           {"key_file", (directory_ / "new.key").string()}};
        if (!spi.empty()) all["spi"] = spi;
        return all;
    }
    static std::string code_of(const nlohmann::json& reply) {
        return reply.value("error", nlohmann::json::object()).value("code", std::string());
    }
    void write_key(mode_t mode = 0600) {
        std::ofstream(directory_ / "new.key") << std::string(96, 'c');
        ::chmod((directory_ / "new.key").c_str(), mode);
    }
    [[nodiscard]] std::vector<channel::SaSet> sas() const {
        std::vector<channel::SaSet> found;
        for (const Command& set : all(CommandType::kSaSet))
            found.push_back(set.as<channel::SaSet>());
        return found;
    }
};

TEST_F(SaCommands, a_rekey_puts_the_new_sa_beside_the_old_one_and_keeps_it) {
    start_both();
    write_key();
    data_plane_->clear();
    const auto out = command("sa add", arguments("out", "0x7d2"));
    ASSERT_EQ(out["data"]["spi"], "0x000007d2") << out.dump();
    ASSERT_TRUE(run_until([&] { return count(CommandType::kSaSet) == 1; }));
    EXPECT_EQ(sas()[0].spi, 2002u);
    EXPECT_EQ(sas()[0].direction, channel::SaDirection::kOutbound);
    EXPECT_EQ(sas()[0].encryption_key[0], 0xcc);
    EXPECT_EQ(count(CommandType::kSaRemove), 0u) << "the old one stays";

    auto wanted = arguments("in");
    wanted["hard_seconds"] = 3600;
    wanted["replay_window"] = 64;
    const auto in = command("sa add", wanted);
    ASSERT_TRUE(in.contains("data")) << in.dump();
    const std::string spi_text = in["data"]["spi"];
    const ipsec::Spi spi{static_cast<std::uint32_t>(std::stoul(spi_text, nullptr, 16))};
    EXPECT_TRUE(ipsec::is_own(spi));
    EXPECT_EQ(ipsec::spi_group(spi), 0u) << "signalling";
    ASSERT_TRUE(run_until([&] { return count(CommandType::kSaSet) == 2; }));
    EXPECT_EQ(sas()[1].spi, spi.value);
    EXPECT_EQ(sas()[1].hard_seconds, 3600u);
    EXPECT_EQ(sas()[1].owner_worker, ipsec::spi_owner(spi));

    const auto shown = command("show sa", nlohmann::json::object())["data"];
    ASSERT_EQ(shown["sas"].size(), 4u);
    EXPECT_EQ(shown["sas"][2]["source"], "operator");
    EXPECT_EQ(shown["sas"][0]["source"], "configuration");
    EXPECT_EQ(shown.dump().find("cccc"), std::string::npos) << "no key";

    // It outlives the control plane; and is sent behind the older one, so that it stays the newest.
    app_.reset();
    data_plane_->clear();
    start_app();
    ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    std::vector<std::uint32_t> order;
    for (const channel::SaSet& sa : sas()) order.push_back(sa.spi);
    EXPECT_EQ(order, (std::vector<std::uint32_t>{1001, 2001, 2002, spi.value}));

    data_plane_->clear();
    const auto gone = command("sa delete", {{"spi", spi_text}, {"direction", "in"}});
    EXPECT_EQ(gone["data"]["home_address"], kHomeAddress.to_string()) << gone.dump();
    ASSERT_TRUE(run_until([&] { return count(CommandType::kSaRemove) == 1; }));
    EXPECT_EQ(all(CommandType::kSaRemove)[0].as<channel::SaRemove>().spi, spi.value);
    EXPECT_EQ(code_of(command("sa delete", {{"spi", spi_text}, {"direction", "in"}})), "not_found");
    EXPECT_EQ(code_of(command("sa delete", {{"spi", "1001"}, {"direction", "in"}})), "configured");
    EXPECT_EQ(log_text().find("cccc"), std::string::npos) << "no key";
    EXPECT_NE(log_text().find("HP-CP-0070"), std::string::npos);
}

TEST_F(SaCommands, wrong_ones_change_nothing_and_say_what_was_expected) {
    start_both();
    write_key();
    data_plane_->clear();
    const auto refused = [&](nlohmann::json wanted, const std::string& expected) {
        const auto reply = command("sa add", std::move(wanted));
        EXPECT_EQ(code_of(reply), "bad_argument") << reply.dump();
        EXPECT_NE(reply.dump().find(expected), std::string::npos) << reply.dump();
    };
    const auto with = [&](const char* member, const nlohmann::json& value) {
        auto wanted = arguments("in", "5000");
        wanted[member] = value;
        return wanted;
    };
    refused(arguments("out"), "other end's inbound SA");
    refused(arguments("in", "1001"), "in use");
    refused(arguments("out", "2001"), "in use");
    refused(arguments("in", "255"), "256 or more");
    refused(arguments("in", "0x"), "hex digits");
    refused(arguments("in", "12x"), "hex digits");
    refused(with("algorithm", "rot13"), "one that is known");
    refused(with("algorithm", "aes128-gcm16"), "RFC 4106");
    refused(with("replay_window", 63), "64 to 4096");
    refused(with("esn", true), "RFC 4303");
    refused(with("home_address", "2001:db8:77::1"), "home prefix");
    refused(with("key_file", "new.key"), "absolute path");
    refused(with("key_file", "/nonexistent"), "cannot open");
    auto lifetime = with("soft_seconds", 50);
    lifetime["hard_seconds"] = 49;
    refused(lifetime, "no more than hard_seconds");
    auto outbound = arguments("out", "5001");
    outbound["replay_window"] = 64;
    refused(outbound, "no window");
    write_key(0644);
    refused(arguments("in", "5000"), "0600 or 0400");
    EXPECT_EQ(count(CommandType::kSaSet), 0u);
    EXPECT_EQ(command("show sa", nlohmann::json::object())["data"]["total"], 2);
}

TEST_F(SaCommands, lifetimes_are_told_and_an_ended_sa_is_a_problem) {
    start_both();
    const auto tell = [&](bool hard, channel::SaLifetimeReason reason) {
        data_plane_->tell([=](channel::Server& server) {
            channel::SaLifetime event;
            event.spi = 2001;
            event.direction = channel::SaDirection::kOutbound;
            event.peer = channel::WireAddress(kHomeAddress);
            event.hard = hard ? 1 : 0;
            event.reason = reason;
            (void)server.send(event);
            server.flush();
        });
    };
    tell(false, channel::SaLifetimeReason::kSeconds);
    ASSERT_TRUE(run_until([&] { return log_text().find("HP-CP-0027") != std::string::npos; }));
    EXPECT_NE(log_text().find("0x000007d1 of 2001:db8:1::101 reached its soft lifetime (seconds)"),
              std::string::npos)
        << log_text();
    EXPECT_TRUE(app_->status().problems.empty());
    tell(true, channel::SaLifetimeReason::kSequence);
    ASSERT_TRUE(run_until([&] { return log_text().find("HP-CP-0073") != std::string::npos; }));
    ASSERT_EQ(app_->status().problems.size(), 1u);
    EXPECT_NE(app_->status().problems[0].find("0x000007d1"), std::string::npos);
}

TEST_F(SaCommands, show_spd_has_the_packets_of_each_entry_and_direction) {
    start_both();
    const auto policies = [&] {
        return command("show spd", nlohmann::json::object())["data"]["policies"];
    };
    const auto shown = policies();
    for (std::uint32_t i = 0; i < 2; ++i) {
        channel::PolicyRow row;
        row.policy_id = shown[i + 1]["id"];
        row.in_use = 1;
        row.in_packets = 10 + i;
        row.in_bytes = 1000 + i;
        row.out_packets = 20 + i;
        row.out_bytes = 2000 + i;
        data_plane_->statistics().set_policy(40 - i, row);  // in no order
    }
    const auto counted = policies();
    EXPECT_TRUE(counted[0]["out_packets"].is_null());
    EXPECT_EQ(counted[1]["in_packets"], 10);
    EXPECT_EQ(counted[1]["in_bytes"], 1000);
    EXPECT_EQ(counted[2]["out_packets"], 21);
    EXPECT_EQ(counted[2]["out_bytes"], 2001);
}

TEST_F(SaCommands, show_flow_lists_each_rule_with_its_state_and_the_reason_of_a_refusal) {
    start_both();
    const auto tell = [&](std::uint16_t index, std::uint16_t rules, const char* name,
                          const char* reason) {
        data_plane_->tell([=](channel::Server& server) {
            channel::FlowRuleInfo event;
            event.port = 0;
            event.index = index;
            event.rules = rules;
            event.state = *reason == 0 ? channel::FlowRuleState::kInstalled
                                       : channel::FlowRuleState::kSoftware;
            if (*reason != 0) event.refusal = channel::FlowRuleRefusal::kValidate;
            event.error_type = *reason == 0 ? 0 : 13;
            channel::copy_text(event.name, name);
            channel::copy_text(event.reason, reason);
            (void)server.send(event);
        });
    };
    tell(1, 2, "owner 1 esp ipv6", "item of the pattern (Invalid argument): no ESP here");
    tell(0, 2, "signalling esp ipv6", "");
    ASSERT_TRUE(run_until([&] { return app_->flow_rules().size() == 2; }));
    const auto ask_for = [&](nlohmann::json arguments) {
        return ask(*this, context_, directory_ / "control",
                   {{"command", "show flow"}, {"arguments", std::move(arguments)}});
    };
    const auto all = ask_for(nlohmann::json::object())["data"];
    ASSERT_EQ(all["rules"].size(), 2u);
    EXPECT_EQ(all["rules"][0]["name"], "signalling esp ipv6");
    EXPECT_EQ(all["rules"][0]["state"], "installed");
    EXPECT_EQ(all["rules"][0]["refused_by"], "");
    EXPECT_EQ(all["rules"][1]["refused_by"], "validate");
    EXPECT_EQ(all["rules"][1]["reason"], "item of the pattern (Invalid argument): no ESP here");
    EXPECT_EQ(all["installed"], 1);
    EXPECT_EQ(all["software"], 1);
    EXPECT_EQ(ask_for({{"state", "software"}})["data"]["rules"].size(), 1u);
    EXPECT_EQ(ask_for({{"port", "nonsense"}})["error"]["code"], "not_found");
    // Told again with fewer: those that are no more are forgotten.
    tell(0, 1, "signalling esp ipv6", "priority: changed");
    ASSERT_TRUE(run_until([&] { return app_->flow_rules().size() == 1; }));
    EXPECT_EQ(ask_for(nlohmann::json::object())["data"]["installed"], 0);
}

TEST_F(SaCommands, P4_payload_from_elsewhere_is_a_line_a_minute_and_node) {
    start_both();
    const auto tell = [&](const char* source, const Ipv6Address& home_address) {
        data_plane_->tell([=](channel::Server& server) {
            channel::EspSource event;
            event.home_address = channel::WireAddress(home_address);
            event.care_of_address = channel::WireAddress(kCareOf);
            event.source = channel::WireAddress(*Ipv6Address::parse(source));
            event.spi = 1001;
            (void)server.send(event);
        });
    };
    const Ipv6Address other = *Ipv6Address::parse("2001:db8:1::102");
    tell("2001:db8:77::1", kHomeAddress);
    tell("2001:db8:77::2", kHomeAddress);
    tell("2001:db8:77::3", other);
    ASSERT_TRUE(run_until([&] { return log_text().find("2001:db8:77::3") != std::string::npos; }));
    EXPECT_NE(log_text().find("HP-CP-0046 payload under ESP of 2001:db8:1::101 (SPI 0x000003e9) "
                              "came from 2001:db8:77::1, its care-of address is " +
                              kCareOf.to_string() + ": let pass"),
              std::string::npos)
        << log_text();
    EXPECT_EQ(log_text().find("2001:db8:77::2"), std::string::npos) << "again within a minute";
}

TEST_F(SaCommands, S1_32_spd_lint_names_the_entries_that_clash) {
    start_both();
    const auto in_force = command("spd lint", nlohmann::json::object())["data"];
    EXPECT_TRUE(in_force["findings"].empty()) << in_force.dump();
    const auto policies = command("show spd", nlohmann::json::object())["data"]["policies"];
    EXPECT_EQ(in_force["policies"], policies.size());
    // Every entry but IKE's, moved before those of the lines above it, is found with its name.
    for (std::size_t i = 2; i < policies.size(); ++i) {
        const auto found =
            command("spd lint", {{"order", std::to_string(i + 1)}})["data"]["findings"];
        const std::string name = policies[i]["name"];
        ASSERT_FALSE(found.empty()) << name;
        EXPECT_NE(found.dump().find("'" + name + "'"), std::string::npos) << found.dump();
    }
    for (const char* wrong : {"0", "1,1", "1,", "x", "1000"}) {
        EXPECT_EQ(code_of(command("spd lint", {{"order", wrong}})), "bad_argument") << wrong;
    }
}

TEST_F(AppTest, traces_are_recorded_and_shown) {
    start_both();
    const std::string socket = directory_ / "control";
    const auto started = ask(*this, context_, socket,
                             {{"command", "trace start"},
                              {"arguments", {{"address", "2001:db8:1::101"}, {"packets", 3}}}});
    EXPECT_EQ(started["data"]["packets"], 3);
    ASSERT_TRUE(run_until([&] { return count(CommandType::kTraceStart) == 1; }));
    EXPECT_EQ(all(CommandType::kTraceStart).front().as<channel::TraceStart>().address.v6(),
              kHomeAddress);
    data_plane_->tell([](channel::Server& server) {
        for (std::uint16_t step : {std::uint16_t{1}, std::uint16_t{0}}) {
            channel::Trace trace;
            trace.packet = 5;
            trace.step = step;
            trace.tsc = 1000 + 2000u * step;
            trace.packet_length = 60;
            trace.captured = 2;
            trace.bytes[0] = 0xab;
            channel::copy_text(trace.stage, step == 0 ? "rx" : "parse");
            channel::copy_text(trace.edge, "next");
            (void)server.send(trace);
        }
    });
    ASSERT_TRUE(run_until([&] { return app_->trace().steps().size() == 2; }));
    const auto shown = ask(*this, context_, socket, {{"command", "trace show"}})["data"];
    ASSERT_EQ(shown["packets"].size(), 1u);
    EXPECT_EQ(shown["packets"][0]["steps"][0]["stage"], "rx");
    EXPECT_EQ(shown["packets"][0]["steps"][1]["microseconds"], 2.0);
    EXPECT_EQ(shown["packets"][0]["steps"][0]["bytes"], "ab00");
}

TEST_F(AppTest, every_specified_command_is_handled) {
    start_app();
    management::Dispatcher dispatcher;
    management::register_commands(dispatcher, *app_);
    EXPECT_EQ(dispatcher.unhandled(), std::vector<std::string>{});
}

}  // namespace
}  // namespace homeport::core
