// SPDX-License-Identifier: BSD-3-Clause
// Registrations, synchronisation and restarts of the whole control plane.
#include "app_fixture.hpp"
#include "controlplane/wire/icmpv6.hpp"

namespace homeport::core {
namespace {

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

}  // namespace
}  // namespace homeport::core
