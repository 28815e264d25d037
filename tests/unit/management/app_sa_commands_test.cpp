// SPDX-License-Identifier: BSD-3-Clause
// Commands about SAs, policies and rules of a running control plane.
#include "app_fixture.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::core {
namespace {

class SaCommands : public AppTest {
  protected:
    nlohmann::json command(const std::string& name, nlohmann::json arguments) {
        return ask(context_, (directory_ / "control").string(),
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
        return ask(context_, directory_ / "control",
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

}  // namespace
}  // namespace homeport::core
