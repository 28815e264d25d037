// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/command_spec.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "dataplane/base/address.hpp"

namespace homeport::management {

namespace {

using nlohmann::json;

constexpr std::size_t kMostText = 256;
constexpr std::array<std::pair<std::string_view, ArgumentType>, 6> kTypes{
    {{"string", ArgumentType::kString},
     {"integer", ArgumentType::kInteger},
     {"boolean", ArgumentType::kBoolean},
     {"choice", ArgumentType::kChoice},
     {"ipv6", ArgumentType::kIpv6},
     {"address", ArgumentType::kAddress}}};

ArgumentSpec read_argument(const json& file) {
    ArgumentSpec argument;
    argument.name = file.at("name");
    argument.summary = file.at("summary");
    const std::string type = file.at("type");
    argument.type = std::ranges::find(kTypes, type, [](const auto& row) {
                        return std::string(row.first);
                    })->second;
    argument.positional = file.value("positional", false);
    argument.required = file.value("required", false);
    argument.minimum = file.value("minimum", std::int64_t{0});
    argument.maximum = file.value("maximum", std::int64_t{0});
    if (file.contains("default")) argument.default_text = file["default"].dump();
    argument.choices = file.value("choices", std::vector<std::string>{});
    return argument;
}

CommandSpec read_spec(std::string_view text) {
    const json file = json::parse(text);
    CommandSpec spec;
    spec.name = file.at("name");
    spec.since = file.at("since");
    spec.summary = file.at("summary");
    spec.description = file.at("description");
    for (const json& argument : file.at("arguments")) {
        spec.arguments.push_back(read_argument(argument));
    }
    for (const auto& [member, meaning] : file.at("reply").items()) {
        spec.reply.emplace_back(member, meaning);
    }
    for (const json& error : file.at("errors")) {
        spec.errors.emplace_back(error.at("code"), error.at("text"));
    }
    spec.text = text;
    return spec;
}

bool fits(const ArgumentSpec& argument, const json& value) {
    if (argument.type == ArgumentType::kBoolean) return value.is_boolean();
    if (argument.type == ArgumentType::kInteger) {
        if (value.is_number_unsigned()) {
            const auto number = value.get<std::uint64_t>();
            return argument.maximum >= 0 &&
                   number <= static_cast<std::uint64_t>(argument.maximum) &&
                   (argument.minimum <= 0 ||
                    number >= static_cast<std::uint64_t>(argument.minimum));
        }
        return value.is_number_integer() && value.get<std::int64_t>() >= argument.minimum &&
               value.get<std::int64_t>() <= argument.maximum;
    }
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    if (text.empty() || text.size() > kMostText) return false;
    switch (argument.type) {
        case ArgumentType::kChoice:
            return std::ranges::find(argument.choices, text) != argument.choices.end();
        case ArgumentType::kIpv6:
            return Ipv6Address::parse(text).has_value();
        case ArgumentType::kAddress:
            return parse_ip_address(text).has_value();
        default:
            return true;
    }
}

std::string shortened(const json& value) {
    std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 60) + "...";
    return text;
}

CommandError bad_argument(std::string text) {
    return {"bad_argument", std::move(text), {}};
}

}  // namespace

std::string_view to_string(ArgumentType type) {
    for (const auto& [name, candidate] : kTypes) {
        if (candidate == type) return name;
    }
    return "?";
}

std::string describe_type(const ArgumentSpec& argument) {
    switch (argument.type) {
        case ArgumentType::kInteger:
            return "a whole number from " + std::to_string(argument.minimum) + " to " +
                   std::to_string(argument.maximum);
        case ArgumentType::kBoolean:
            return "true or false";
        case ArgumentType::kIpv6:
            return "an IPv6 address";
        case ArgumentType::kAddress:
            return "an IPv6 or IPv4 address";
        case ArgumentType::kChoice: {
            std::string names;
            for (const std::string& name : argument.choices) {
                names += (names.empty() ? "" : ", ") + name;
            }
            return "one of " + names;
        }
        case ArgumentType::kString:
            break;
    }
    return "text of 1 to " + std::to_string(kMostText) + " characters";
}

std::vector<CommandSpec> load_command_specs() {
    std::vector<CommandSpec> specs;
    for (const std::string_view text : kCommandFiles) specs.push_back(read_spec(text));
    std::ranges::sort(specs, {}, &CommandSpec::name);
    return specs;
}

std::expected<json, CommandError> check_arguments(const CommandSpec& spec, const json& arguments) {
    if (!arguments.is_null() && !arguments.is_object()) {
        return std::unexpected(bad_argument("found " + shortened(arguments) +
                                            " for the arguments, expected an object"));
    }
    json checked = json::object();
    for (const auto& [name, value] : arguments.items()) {
        const auto it = std::ranges::find(spec.arguments, name, &ArgumentSpec::name);
        if (it == spec.arguments.end()) {
            std::string known;
            for (const ArgumentSpec& argument : spec.arguments) {
                known += (known.empty() ? "" : ", ") + argument.name;
            }
            return std::unexpected(bad_argument("found the argument " + shortened(json(name)) +
                                                ", expected " +
                                                (known.empty() ? "none" : "one of " + known)));
        }
        if (value.is_null()) continue;
        if (!fits(*it, value)) {
            return std::unexpected(bad_argument(name + ": found " + shortened(value) +
                                                ", expected " + describe_type(*it)));
        }
        checked[name] = value;
    }
    for (const ArgumentSpec& argument : spec.arguments) {
        if (checked.contains(argument.name)) continue;
        if (argument.required) {
            return std::unexpected(bad_argument(argument.name + ": found nothing, expected " +
                                                describe_type(argument)));
        }
        if (!argument.default_text.empty()) {
            checked[argument.name] = json::parse(argument.default_text);
        }
    }
    return checked;
}

}  // namespace homeport::management
