// SPDX-License-Identifier: BSD-3-Clause
// What operators ask a running control plane.
#include "app_fixture.hpp"
#include "controlplane/management/commands.hpp"

namespace homeport::core {
namespace {

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
        auto reply = ask(context_, socket, {{"command", command}});
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
    const auto cleared =
        ask(context_, socket, {{"command", "clear binding"}, {"arguments", {{"address", "all"}}}});
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
        ask(context_, directory_ / "control",
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

TEST_F(AppTest, traces_are_recorded_and_shown) {
    start_both();
    const std::string socket = directory_ / "control";
    const auto started = ask(context_, socket,
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
    const auto shown = ask(context_, socket, {{"command", "trace show"}})["data"];
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
