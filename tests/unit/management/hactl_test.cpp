// SPDX-License-Identifier: BSD-3-Clause
// What people see of the tool: tables, command line, documents.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "controlplane/management/command_spec.hpp"
#include "tools/hactl/command_line.hpp"
#include "tools/hactl/documents.hpp"
#include "tools/hactl/offline.hpp"
#include "tools/hactl/render.hpp"
#include "tools/hactl/table.hpp"

namespace homeport::hactl {
namespace {

using nlohmann::json;

TEST(Table, columns_are_aligned_and_lines_have_no_space_at_their_end) {
    Table table;
    table.column("NAME").column("COUNT", Align::kRight).column("NOTE");
    table.row({"a", "5", ""});
    table.row({"längst", "12345", "x"});
    EXPECT_EQ(table.text(),
              "NAME    COUNT  NOTE\n"
              "a           5\n"
              "längst  12345  x\n");
}

TEST(Table, quantities_have_units) {
    EXPECT_EQ(octets(0), "0 B");
    EXPECT_EQ(octets(999), "999 B");
    EXPECT_EQ(octets(1500), "1.5 kB");
    EXPECT_EQ(octets(999950), "1.0 MB");
    EXPECT_EQ(octets(20'000'000'000), "20.0 GB");
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(-1234567), "-1 234 567");
    EXPECT_EQ(grouped(123), "123");
    EXPECT_EQ(duration(59), "59 s");
    EXPECT_EQ(duration(598), "9 min 58 s");
    EXPECT_EQ(duration(7200), "2 h");
    EXPECT_EQ(duration(90061), "1 d 1 h");
}

TEST(Table, what_comes_from_elsewhere_cannot_steer_the_terminal) {
    EXPECT_EQ(printable("a\033[2Jb\n\tc\x7f"), "a?[2Jb\n\tc?");
    const json data{{"bindings", json::array({{{"node", "\033]0;owned\a"}}})}, {"total", 1}};
    EXPECT_EQ(render("show bindings", data).find('\033'), std::string::npos);
}

TEST(Render, bindings_are_a_table_with_units) {
    const json data{{"bindings", json::array({{{"home_address", "2001:db8:1::100"},
                                               {"care_of_address", "2001:db8:a::200"},
                                               {"node", "alice"},
                                               {"state", "active"},
                                               {"remaining", 598},
                                               {"sequence", 7},
                                               {"flags", "H"},
                                               {"home_link", "home0"},
                                               {"encapsulation", "ipv4-udp"},
                                               {"nat", "yes"},
                                               {"outer_source", "203.0.113.7:40000"},
                                               {"out_packets", 1234},
                                               {"out_bytes", 1500000},
                                               {"in_packets", 0},
                                               {"in_bytes", 0}}})},
                    {"total", 1},
                    {"next", nullptr}};
    EXPECT_EQ(render("show bindings", data),
              "HOME ADDRESS     CARE-OF ADDRESS  NODE   STATE         LEFT  SEQ  FLAGS  LINK   "
              "TUNNEL                      NAT    OUT          IN\n"
              "2001:db8:1::100  2001:db8:a::200  alice  active  9 min 58 s    7  H      home0  "
              "ipv4-udp 203.0.113.7:40000  yes  1 234  1.5 MB   0  0 B\n"
              "1 in the cache\n");
}

TEST(Render, drops_show_the_sum_and_its_difference) {
    const json data{
        {"received", 1000},
        {"forwarded", 900},
        {"delivered", 50},
        {"dropped", 49},
        {"difference", 1},
        {"counters", json::array({{{"name", "forward.ttl"}, {"kind", "drop"}, {"value", 49}},
                                  {{"name", "rx.port"}, {"kind", "received"}, {"value", 1000}}})},
        {"control_plane", json::array({{{"name", "mip6.bu.accepted"}, {"value", 3}}})}};
    const std::string text = render("show drops", data);
    EXPECT_NE(text.find("difference      1\n"), std::string::npos);
    EXPECT_NE(text.find("forward.ttl       49\n"), std::string::npos);
    EXPECT_NE(text.find("mip6.bu.accepted      3\n"), std::string::npos);
    EXPECT_LT(text.find("forward.ttl"), text.find("rx.port"));
}

TEST(Render, every_command_survives_empty_and_odd_data) {
    for (const auto& spec : management::load_command_specs()) {
        for (const json& data :
             {json::object(), json{{"bindings", 5}}, json{{"packets", json::array({5, nullptr})}},
              json{{"counters", json::array({json::array()})}}, json::array({1, 2})}) {
            EXPECT_NO_THROW((void)render(spec.name, data)) << spec.name << data.dump();
        }
    }
}

std::expected<Invocation, Ending> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "hactl");
    return parse_command_line(management::load_command_specs(), static_cast<int>(words.size()),
                              words.data());
}

TEST(CommandLine, words_become_a_command_with_typed_arguments) {
    const auto parsed = parse(
        {"--json", "show", "bindings", "alice", "--limit", "5", "--socket", "/tmp/x/control.sock"});
    ASSERT_TRUE(parsed) << parsed.error().text;
    EXPECT_EQ(parsed->command, "show bindings");
    EXPECT_EQ(parsed->arguments, (json{{"filter", "alice"}, {"limit", 5}}));
    EXPECT_TRUE(parsed->as_json);
    EXPECT_EQ(parsed->channel, "/tmp/x/channel.sock");
    const auto flag = parse({"show", "stages", "--edges", "--watch", "2", "--json"});
    ASSERT_TRUE(flag) << flag.error().text;
    EXPECT_EQ(flag->arguments, (json{{"edges", true}}));
    EXPECT_EQ(flag->watch_seconds, 2);
    EXPECT_TRUE(flag->as_json);
}

TEST(CommandLine, wrong_usage_ends_with_status_2_and_help_with_0) {
    for (const std::vector<const char*>& words : {std::vector<const char*>{},
                                                  {"show"},
                                                  {"show", "nothing"},
                                                  {"show", "bindings", "--limit", "x"},
                                                  {"show", "bindings", "--limit", "0"},
                                                  {"show", "binding"},
                                                  {"show", "binding", "alice"},
                                                  {"trace", "start", "--packets", "100000"},
                                                  {"show", "spd", "--watch", "0"},
                                                  {"config", "check", "--keys"}}) {
        const auto parsed = parse(words);
        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().status, 2);
        EXPECT_FALSE(parsed.error().text.empty());
    }
    const auto help = parse({"show", "bindings", "--help"});
    ASSERT_FALSE(help);
    EXPECT_EQ(help.error().status, 0);
    EXPECT_NE(help.error().text.find("--limit"), std::string::npos);
}

TEST(CommandLine, config_check_with_a_file_is_done_here_and_without_by_the_control_plane) {
    const auto file = parse({"config", "check", "h.yaml", "--keys"});
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->is_local);
    EXPECT_EQ(file->file, "h.yaml");
    EXPECT_TRUE(file->check_keys);
    const auto remote = parse({"config", "check"});
    ASSERT_TRUE(remote);
    EXPECT_FALSE(remote->is_local);
}

TEST(Documents, docs_commands_md_is_what_the_specifications_say) {
    std::ifstream stream(HOMEPORT_SOURCE_ROOT "/docs/commands.md");
    std::ostringstream text;
    text << stream.rdbuf();
    EXPECT_EQ(text.str(), commands_markdown(management::load_command_specs()))
        << "make it anew: hactl documents markdown > docs/commands.md";
}

TEST(Documents, manual_page_and_completion_name_every_command) {
    const auto specs = management::load_command_specs();
    const std::string page = manual_page(specs);
    const std::string completion = bash_completion(specs);
    for (const auto& spec : specs) {
        std::string name = spec.name;  // as troff wants hyphens
        for (std::size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2) {
            name.insert(at, 1, '\\');
        }
        EXPECT_NE(page.find(".B " + name), std::string::npos) << spec.name;
        EXPECT_NE(completion.find(spec.name.substr(spec.name.find(' ') + 1)), std::string::npos);
    }
}

TEST(Offline, without_any_process_the_error_names_the_socket) {
    const auto reply = offline_reply("show drops", json::object(), {"/nonexistent/c.sock", "none"});
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().find("/nonexistent/c.sock"), std::string::npos);
    EXPECT_FALSE(works_offline("show bindings"));
    EXPECT_FALSE(ask_telemetry("no-such-prefix", "/ethdev/list"));
}

}  // namespace
}  // namespace homeport::hactl
