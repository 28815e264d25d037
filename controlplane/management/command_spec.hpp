// SPDX-License-Identifier: BSD-3-Clause
// What commands there are: their specifications, one file each in commands/, built into the
// program. Requests are checked against them; help, completion and the manual are made from them.
#pragma once

#include <cstdint>
#include <expected>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace homeport::management {

enum class ArgumentType : std::uint8_t {
    kString,   // 1 to 256 octets of UTF-8
    kInteger,  // minimum..maximum
    kBoolean,
    kChoice,   // one of `choices`
    kIpv6,     // text of an IPv6 address
    kAddress,  // text of an IPv6 or IPv4 address
};
[[nodiscard]] std::string_view to_string(ArgumentType type);

struct ArgumentSpec {
    std::string name;
    ArgumentType type = ArgumentType::kString;
    std::string summary;
    bool positional = false;  // on the command line, without its name
    bool required = false;
    std::int64_t minimum = 0;
    std::int64_t maximum = 0;
    std::string default_text;  // as JSON; empty: none
    std::vector<std::string> choices;
};

struct CommandSpec {
    std::string name;  // "show bindings"
    std::string since;
    std::string summary;
    std::string description;
    std::vector<ArgumentSpec> arguments;
    std::vector<std::pair<std::string, std::string>> reply;   // member, meaning
    std::vector<std::pair<std::string, std::string>> errors;  // code, meaning
    std::string text;                                         // the whole file, JSON
};

/// Why a command was not carried out. The code is one word, for programs.
struct CommandError {
    std::string code;
    std::string text;
    std::vector<std::string> details;
};

extern const std::span<const std::string_view> kCommandFiles;

/// All commands in the order of their names.
[[nodiscard]] std::vector<CommandSpec> load_command_specs();

/// The arguments of a request, which may be absent, with defaults filled in. Errors have the code
/// "bad_argument" and say which one, what was found, and what was expected.
[[nodiscard]] std::expected<nlohmann::json, CommandError> check_arguments(
    const CommandSpec& spec, const nlohmann::json& arguments);

/// "a number from 1 to 1000", for people.
[[nodiscard]] std::string describe_type(const ArgumentSpec& argument);

}  // namespace homeport::management
