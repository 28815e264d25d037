// SPDX-License-Identifier: BSD-3-Clause
// Home agents of Mobile IPv4 between packets of the data plane and commands to it.
#include "controlplane/core/mip4_service.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tests/unit/mip4/harness.hpp"

namespace homeport::core {
namespace {

using namespace mip4::test_support;
using mip4::Endpoint;
using mip4::SecurityAssociation;

constexpr MacAddress kNodeMac{{0x02, 0, 0, 0, 0, 0x77}};
constexpr MacAddress kPortMac{{0x02, 0, 0, 0, 0, 0x01}};

class FakeHost final : public Mip4Host {
  public:
    struct Frame {
        std::uint16_t port;
        std::vector<std::uint8_t> octets;
    };
    void send_command(channel::BindingSet& record) override {
        sets.push_back(record);
        order += 'S';
    }
    void send_command(channel::BindingRemove& record) override {
        removes.push_back(record);
        order += 'R';
    }
    void send_ipv4_packet(ConstByteSpan packet) override {
        packets.emplace_back(packet.begin(), packet.end());
        order += 'P';
    }
    void send_frame(std::uint16_t port, ConstByteSpan frame) override {
        frames.push_back({port, {frame.begin(), frame.end()}});
        order += 'F';
    }
    std::uint32_t take_counter_row(const Ipv4Address&) override { return 5; }
    void give_back_counter_row(const Ipv4Address& address) override { given_back = address; }
    void forget_neighbour(std::uint16_t, const Ipv4Address& address) override {
        forgotten = address;
    }
    void forget() { *this = FakeHost(); }

    std::vector<channel::BindingSet> sets;
    std::vector<channel::BindingRemove> removes;
    std::vector<std::vector<std::uint8_t>> packets;
    std::vector<Frame> frames;
    std::string order;
    Ipv4Address given_back, forgotten;
};

std::vector<std::uint8_t> ipv4_udp(const Endpoint& from, const Endpoint& to,
                                   const std::vector<std::uint8_t>& payload) {
    std::vector<std::uint8_t> packet(28);
    packet[0] = 0x45;
    store_be16(packet.data() + 2, static_cast<std::uint16_t>(28 + payload.size()));
    packet[8] = 64;
    packet[9] = 17;
    from.address.store(packet.data() + 12);
    to.address.store(packet.data() + 16);
    store_be16(packet.data() + 20, from.port);
    store_be16(packet.data() + 22, to.port);
    store_be16(packet.data() + 24, static_cast<std::uint16_t>(8 + payload.size()));
    packet.insert(packet.end(), payload.begin(), payload.end());
    packet.resize(packet.size() + 6);  // padding of the frame: not part of it
    return packet;
}

/// Both checksums hold, and lengths are right; the registration reply in it.
wire::RegistrationReply reply_in(ConstByteSpan packet, const Endpoint& from, const Endpoint& to) {
    EXPECT_GE(packet.size(), 28u);
    EXPECT_EQ(internet_checksum(packet.first(20)), 0);
    EXPECT_EQ(load_be16(packet.data() + 2), packet.size());
    EXPECT_EQ(Ipv4Address::load(packet.data() + 12), from.address);
    EXPECT_EQ(Ipv4Address::load(packet.data() + 16), to.address);
    EXPECT_EQ(load_be16(packet.data() + 20), from.port);
    EXPECT_EQ(load_be16(packet.data() + 22), to.port);
    const auto udp = packet.subspan(20);
    const auto sum =
        pseudo_header_sum(from.address, to.address, static_cast<std::uint16_t>(udp.size()), 17);
    EXPECT_EQ(checksum_finish(checksum_add(sum, udp)), 0);
    const auto message = wire::decode_mip4(udp.subspan(8));
    EXPECT_TRUE(message && std::holds_alternative<wire::RegistrationReply>(*message));
    return std::get<wire::RegistrationReply>(message.value());
}

class Mip4ServiceTest : public ::testing::Test {
  protected:
    Mip4ServiceTest() : ports_(two_ports()) {
        std::string name = (std::filesystem::temp_directory_path() / "mip4-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        config::LogConfig log;
        log.target = config::LogTarget::kFile;
        log.file = directory_ / "log";
        log_ = std::move(*Log::open(log));
        for (std::uint16_t port = 0; port < 2; ++port) {
            channel::PortInfo info;
            info.port = static_cast<std::uint16_t>(10 + port);  // the data plane's numbers
            info.mac = kPortMac;
            const std::string text = port == 0 ? "home0" : "wan0";
            std::copy(text.begin(), text.end(), info.name);
            (void)ports_.learn(info);
        }
        config_.mobile_ipv4.resize(1);
        config::Mip4HomeAgentConfig& agent = config_.mobile_ipv4[0];
        agent.name = "office";
        agent.addresses = {kHomeAgent};
        config::Mip4HomeNetworkConfig& network = agent.networks.emplace_back();
        network.prefix = *Ipv4Prefix::parse("192.0.2.0/24");
        network.port = "home0";
        agent.simultaneous_bindings = 3;
        agent.udp.foreign_agent_registration = true;
    }
    ~Mip4ServiceTest() override {
        service_.reset();
        std::filesystem::remove_all(directory_);
    }
    static std::vector<config::PortConfig> two_ports() {
        std::vector<config::PortConfig> ports(2);
        ports[0].name = "home0";
        ports[1].name = "wan0";
        return ports;
    }
    void start() {
        service_ = std::make_unique<Mip4Service>(host_, ports_, *log_);
        auto configs = mip4_configs(config_, ports_);
        ASSERT_TRUE(configs);
        (*configs)[0].nodes = {{.name = "alice", .home_address = kHome, .associations = {kAlice}}};
        service_->configure(config_, std::move(*configs));
        ASSERT_TRUE(service_->open_log(directory_ / "log.mip4").empty());
    }
    wire::RegistrationRequest request() {
        wire::RegistrationRequest made = Conversation().request();
        made.identification =
            mip4::ntp_time(std::chrono::system_clock::now()) + (std::uint64_t{++sent_} << 20);
        return made;
    }
    void deliver(const wire::RegistrationRequest& message, const Endpoint& from,
                 std::uint16_t port = 11) {
        channel::Punt punt;
        punt.reason = channel::PuntReason::kMip4Message;
        punt.port = port;
        punt.source_mac = kNodeMac;
        service_->receive(punt, ipv4_udp(from, {kHomeAgent, 434}, Conversation().sealed(message)));
        service_->finish_round();
    }
    const mip4::HomeAgent& agent() const { return *service_->agents()[0].module; }

    std::filesystem::path directory_;
    std::unique_ptr<Log> log_;
    PortMap ports_;
    config::ControlplaneConfig config_;
    FakeHost host_;
    std::unique_ptr<Mip4Service> service_;
    std::uint64_t sent_ = 0;
};

TEST_F(Mip4ServiceTest, P28_the_binding_is_in_force_before_the_reply_leaves) {
    start();
    deliver(request(), {kCareOf, 434});
    EXPECT_EQ(host_.order, "SP");
    ASSERT_EQ(host_.sets.size(), 1u);
    const channel::BindingSet& record = host_.sets[0];
    EXPECT_EQ(record.home_address.v4(), kHome);
    EXPECT_EQ(record.prefix_length, 32);
    EXPECT_EQ(record.care_of_address.v4(), kCareOf);
    EXPECT_EQ(record.home_agent_address.v4(), kHomeAgent);
    EXPECT_EQ(record.encapsulation, channel::Encapsulation::kIpv4);
    EXPECT_EQ(record.counter_index, 5u);
    EXPECT_EQ(record.home_port, 10);
    EXPECT_EQ(channel::mip4_role(record.flags), channel::Mip4Role::kPlain);
    EXPECT_EQ(record.flags & ~channel::kBindingMip4Role, channel::kBindingProxyNd |
                                                             channel::kBindingReverseTunnel |
                                                             channel::kBindingCoLocated);
    ASSERT_EQ(host_.packets.size(), 1u);
    EXPECT_EQ(reply_in(host_.packets[0], {kHomeAgent, 434}, {kCareOf, 434}).code, 0);
}

TEST_F(Mip4ServiceTest, each_encapsulation_has_its_record) {
    start();
    struct Form {
        bool gre, minimal, udp;
        channel::Encapsulation expected;
    };
    for (const Form& form : {Form{true, false, false, channel::Encapsulation::kGre},
                             Form{false, true, false, channel::Encapsulation::kMinimal},
                             Form{false, false, true, channel::Encapsulation::kMipUdp},
                             Form{true, false, true, channel::Encapsulation::kMipUdpGre},
                             Form{false, true, true, channel::Encapsulation::kMipUdpMinimal}}) {
        host_.forget();
        auto made = request();
        made.gre = form.gre;
        made.minimal = form.minimal;
        if (form.udp) made.extensions = {wire::Mip4UdpTunnelRequest{}};
        deliver(made, form.udp ? kNat : Endpoint{kCareOf, 434});
        ASSERT_EQ(host_.sets.size(), 1u);
        EXPECT_EQ(host_.sets[0].encapsulation, form.expected);
        EXPECT_EQ(host_.sets[0].udp_port, form.udp ? kNat.port : 0);
        EXPECT_EQ(host_.sets[0].care_of_address.v4(), form.udp ? kNat.address : kCareOf);
    }
}

TEST_F(Mip4ServiceTest, simultaneous_bindings_are_numbered_without_a_gap) {
    start();
    const auto at = [&](const char* care_of, std::uint16_t lifetime) {
        host_.forget();
        auto made = request();
        made.simultaneous = true;
        made.care_of_address = v4(care_of);
        made.lifetime = lifetime;
        deliver(made, {v4(care_of), 434});
    };
    at("10.0.0.5", 600);
    at("10.0.0.6", 600);
    at("10.0.0.7", 600);
    ASSERT_EQ(host_.sets.size(), 3u);
    for (std::uint8_t copy = 0; copy < 3; ++copy) {
        EXPECT_EQ(host_.sets[copy].copy, copy);
        EXPECT_EQ((host_.sets[copy].flags & channel::kBindingMoreCareOf) != 0, copy == 0);
    }
    EXPECT_EQ(host_.sets[0].care_of_address.v4(), v4("10.0.0.7"));
    at("10.0.0.6", 0);
    EXPECT_EQ(host_.order, "SSRP");
    EXPECT_EQ(host_.removes[0].copy, 2);
    at("10.0.0.5", 0);
    EXPECT_EQ(host_.order, "SRP");
    EXPECT_EQ(host_.sets[0].flags & channel::kBindingMoreCareOf, 0);
    at("10.0.0.7", 0);
    EXPECT_EQ(host_.order, "RP");
    EXPECT_EQ(host_.removes[0].copy, 0);
    EXPECT_EQ(host_.given_back, kHome);
    EXPECT_EQ(host_.forgotten, kHome);
}

TEST_F(Mip4ServiceTest, RFC5944_3_8_3_1_a_node_at_home_is_answered_by_a_frame_of_its_own) {
    start();
    deliver(request(), {kCareOf, 434});
    host_.forget();
    auto leaving = request();
    leaving.lifetime = 0;
    leaving.care_of_address = kHome;
    leaving.identification = 3;  // refused: the binding stays, and is not asked
    deliver(leaving, {kHome, 434}, 10);
    EXPECT_EQ(host_.order, "F");
    EXPECT_EQ(host_.frames[0].port, 10);
    const ConstByteSpan frame(host_.frames[0].octets);
    EXPECT_EQ(MacAddress::load(frame.data()), kNodeMac);
    EXPECT_EQ(MacAddress::load(frame.data() + 6), kPortMac);
    EXPECT_EQ(load_be16(frame.data() + 12), kEtherTypeIpv4);
    EXPECT_EQ(reply_in(frame.subspan(14), {kHomeAgent, 434}, {kHome, 434}).code, 133);
    // From elsewhere with that source address it is nobody at home.
    host_.forget();
    leaving.identification = 4;
    deliver(leaving, {kHome, 434}, 11);
    EXPECT_EQ(host_.order, "P");
}

TEST_F(Mip4ServiceTest, what_was_answered_is_there_after_a_crash) {
    start();
    const auto accepted = request();
    deliver(accepted, {kCareOf, 434});
    const auto bound = agent().find(kHome)->bindings;
    // A copy of what a killed process would have left.
    std::filesystem::copy_file(directory_ / "log.mip4", directory_ / "copy");
    service_.reset();
    std::filesystem::rename(directory_ / "copy", directory_ / "log.mip4");
    host_.forget();
    start();
    ASSERT_NE(agent().find(kHome), nullptr);
    EXPECT_EQ(agent().find(kHome)->bindings.size(), 1u);
    EXPECT_EQ(agent().find(kHome)->bindings[0].care_of_address, bound[0].care_of_address);
    EXPECT_EQ(host_.sets.size(), 1u);
    host_.forget();
    deliver(accepted, {kCareOf, 434});
    EXPECT_EQ(reply_in(host_.packets.at(0), {kHomeAgent, 434}, {kCareOf, 434}).code, 133);
}

TEST_F(Mip4ServiceTest, a_home_agent_that_is_no_longer_configured_leaves_nothing_behind) {
    start();
    deliver(request(), {kCareOf, 434});
    service_.reset();
    config_.mobile_ipv4[0].name = "other";
    host_.forget();
    start();
    EXPECT_EQ(service_->node_count(), 0u);
    EXPECT_TRUE(host_.sets.empty());
}

TEST_F(Mip4ServiceTest, RFC3519_4_4_a_keepalive_completes_the_tunnel_and_is_answered_through_it) {
    start();
    auto made = request();
    made.extensions = {wire::Mip4UdpTunnelRequest{false, true, 0, 0}};
    deliver(made, kNat);
    EXPECT_NE(host_.sets.at(0).flags & channel::kBindingHalfBound, 0);
    host_.forget();
    std::vector<std::uint8_t> echo = ipv4_udp({kHome, 0}, {kHomeAgent, 0}, {});
    echo.resize(28);
    echo[9] = 1;
    std::ranges::fill(echo.begin() + 20, echo.end(), std::uint8_t{0});
    echo[20] = 8;
    store_be16(echo.data() + 24, 0x1234);
    store_be16(echo.data() + 22, internet_checksum(ConstByteSpan(echo).subspan(20)));
    channel::Punt punt;
    punt.reason = channel::PuntReason::kMip4Keepalive;
    punt.recorded_source = channel::WireAddress(kNat.address);
    punt.recorded_port = 50000;
    service_->receive(punt, echo);
    service_->finish_round();
    EXPECT_EQ(host_.order, "SP");
    EXPECT_EQ(host_.sets[0].flags & channel::kBindingHalfBound, 0);
    EXPECT_EQ(host_.sets[0].udp_port, 50000);
    const ConstByteSpan answer(host_.packets.at(0));
    EXPECT_EQ(internet_checksum(answer.first(20)), 0);
    EXPECT_EQ(internet_checksum(answer.subspan(20)), 0);
    EXPECT_EQ(answer[20], 0);
    EXPECT_EQ(load_be16(answer.data() + 24), 0x1234);
    EXPECT_EQ(Ipv4Address::load(answer.data() + 16), kHome);
}

TEST_F(Mip4ServiceTest, packets_that_are_cut_off_are_left_alone) {
    start();
    const auto whole =
        ipv4_udp({kCareOf, 434}, {kHomeAgent, 434}, Conversation().sealed(request()));
    channel::Punt punt;
    punt.port = 11;
    for (const auto reason :
         {channel::PuntReason::kMip4Message, channel::PuntReason::kMip4Keepalive,
          channel::PuntReason::kAgentSolicitation}) {
        punt.reason = reason;
        for (std::size_t length = 0; length + 6 < whole.size(); ++length) {
            service_->receive(punt, ConstByteSpan(whole).first(length));
        }
    }
    service_->finish_round();
    EXPECT_TRUE(host_.sets.empty());
}

TEST(Mip4Config, S2_99_vpn_clients_outside_the_trusted_subnets_are_doubted) {
    config::ControlplaneConfig config;
    config.mobile_ipv4.resize(1);
    config.mobile_ipv4[0].name = "office";
    config.mobile_ipv4[0].role = config::Mip4Role::kInternal;
    EXPECT_EQ(doubts_about(config).size(), 1u);  // it trusts nobody
    config.mobile_ipv4[0].trusted_subnets = {*Ipv4Prefix::parse("10.0.0.0/8")};
    EXPECT_TRUE(doubts_about(config).empty());
    config.vpn_gateway.clients.resize(1);
    config.vpn_gateway.clients[0].name = "alice";
    config.vpn_gateway.clients[0].inner = v4("172.16.0.5");
    const auto doubts = doubts_about(config);
    ASSERT_EQ(doubts.size(), 1u);
    EXPECT_NE(doubts[0].find("172.16.0.5"), std::string::npos);
    config.vpn_gateway.clients[0].translated = v4("10.3.0.5");
    EXPECT_TRUE(doubts_about(config).empty());
}

}  // namespace
}  // namespace homeport::core
