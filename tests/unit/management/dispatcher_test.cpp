// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/dispatcher.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

namespace homeport::management {
namespace {

using nlohmann::json;

class DispatcherTest : public testing::Test {
  protected:
    DispatcherTest() {
        dispatcher_.handle("show bindings",
                           [](const json& arguments) -> std::expected<json, CommandError> {
                               return json{{"arguments", arguments}};
                           });
        dispatcher_.handle("show binding", [](const json&) -> std::expected<json, CommandError> {
            return std::unexpected(CommandError{"not_found", "found none", {"a detail"}});
        });
        dispatcher_.handle("show spd", [](const json&) -> std::expected<json, CommandError> {
            throw std::runtime_error("broken");
        });
        dispatcher_.handle("show sa", [](const json&) -> std::expected<json, CommandError> {
            return json{{"text", std::string(Dispatcher::kMostReplyOctets, 'x')}};
        });
    }
    [[nodiscard]] json ask(const std::string& line) const {
        const std::string reply = dispatcher_.answer(line);
        EXPECT_EQ(reply.find('\n'), std::string::npos);
        return json::parse(reply);
    }
    [[nodiscard]] std::string code(const std::string& line) const {
        const json reply = ask(line);
        EXPECT_EQ(reply["result"], 1);
        EXPECT_FALSE(reply["error"]["text"].get<std::string>().empty());
        return reply["error"]["code"];
    }
    Dispatcher dispatcher_;
};

TEST_F(DispatcherTest, defaults_are_filled_in_and_values_arrive) {
    const json reply = ask(R"({"command": "show bindings", "arguments": {"filter": "alice"}})");
    EXPECT_EQ(reply["result"], 0);
    EXPECT_EQ(reply["data"]["arguments"], (json{{"filter", "alice"}, {"limit", 1000}}));
}

TEST_F(DispatcherTest, what_is_no_request_has_a_code_and_a_sentence) {
    EXPECT_EQ(code(""), "bad_request");
    EXPECT_EQ(code("hello"), "bad_request");
    EXPECT_EQ(code("[]"), "bad_request");
    EXPECT_EQ(code("{}"), "bad_request");
    EXPECT_EQ(code(R"({"command": 5})"), "bad_request");
    EXPECT_EQ(code(R"({"command": "show bindings", "more": 1})"), "bad_request");
    EXPECT_EQ(code(R"({"command": "format disk"})"), "unknown_command");
    EXPECT_EQ(code(R"({"command": "show ports"})"), "unknown_command");  // nobody handles it here
    EXPECT_EQ(code(std::string(60000, '[')), "bad_request");
    EXPECT_EQ(code("{\"command\": \"\xff\xfe\"}"), "bad_request");
}

TEST_F(DispatcherTest, arguments_are_held_against_the_specification) {
    const auto bad = [&](const std::string& arguments) {
        return code(R"({"command": "show bindings", "arguments": )" + arguments + "}");
    };
    EXPECT_EQ(bad("5"), "bad_argument");
    EXPECT_EQ(bad("[]"), "bad_argument");
    EXPECT_EQ(bad(R"({"nothing": 1})"), "bad_argument");
    EXPECT_EQ(bad(R"({"limit": 0})"), "bad_argument");
    EXPECT_EQ(bad(R"({"limit": 10001})"), "bad_argument");
    EXPECT_EQ(bad(R"({"limit": -1})"), "bad_argument");
    EXPECT_EQ(bad(R"({"limit": 1.5})"), "bad_argument");
    EXPECT_EQ(bad(R"({"limit": 18446744073709551615})"), "bad_argument");
    EXPECT_EQ(bad(R"({"limit": "10"})"), "bad_argument");
    EXPECT_EQ(bad(R"({"state": "asleep"})"), "bad_argument");
    EXPECT_EQ(bad(R"({"filter": ""})"), "bad_argument");
    EXPECT_EQ(bad(R"({"filter": ")" + std::string(300, 'a') + "\"}"), "bad_argument");
    EXPECT_EQ(code(R"({"command": "show binding"})"), "bad_argument");
    EXPECT_EQ(code(R"({"command": "show binding", "arguments": {"address": "192.0.2.1"}})"),
              "bad_argument");
}

TEST_F(DispatcherTest, errors_of_a_command_arrive_with_their_details) {
    const json reply =
        ask(R"({"command": "show binding", "arguments": {"address": "2001:db8::1"}})");
    EXPECT_EQ(reply["error"]["code"], "not_found");
    EXPECT_EQ(reply["error"]["details"], json::array({"a detail"}));
}

TEST_F(DispatcherTest, an_exception_and_a_reply_without_bounds_become_errors) {
    EXPECT_EQ(code(R"({"command": "show spd"})"), "internal");
    EXPECT_EQ(code(R"({"command": "show sa"})"), "too_large");
}

TEST_F(DispatcherTest, random_lines_are_answered_with_one_line_each) {
    std::mt19937 random(1);
    const std::string seed = R"({"command": "show bindings", "arguments": {"limit": 10}})";
    for (int i = 0; i < 20000; ++i) {
        std::string line = seed;
        for (unsigned change = 0; change < 1 + random() % 4; ++change) {
            line[random() % line.size()] = static_cast<char>(random());
        }
        const json reply = ask(line);
        EXPECT_TRUE(reply["result"] == 0 || reply["result"] == 1);
    }
}

TEST(CommandSpecs, are_complete_sentences_with_known_types) {
    const auto specs = load_command_specs();
    EXPECT_GE(specs.size(), 19u);
    EXPECT_TRUE(std::ranges::is_sorted(specs, {}, &CommandSpec::name));
    for (const CommandSpec& spec : specs) {
        EXPECT_EQ(std::ranges::count(spec.name, ' '), 1) << spec.name;
        EXPECT_FALSE(spec.summary.empty());
        EXPECT_TRUE(spec.description.ends_with('.')) << spec.name;
        for (const ArgumentSpec& argument : spec.arguments) {
            EXPECT_FALSE(argument.summary.empty());
            if (argument.type == ArgumentType::kInteger) {
                EXPECT_LT(argument.minimum, argument.maximum);
            }
            if (argument.type == ArgumentType::kChoice) {
                EXPECT_FALSE(argument.choices.empty());
            }
        }
    }
}

}  // namespace
}  // namespace homeport::management
