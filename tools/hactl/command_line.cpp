// SPDX-License-Identifier: BSD-3-Clause
#include "tools/hactl/command_line.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <sstream>

#include "dataplane/config/config.hpp"
#include "tools/hactl/documents.hpp"

namespace homeport::hactl {

namespace {

using management::ArgumentSpec;
using management::ArgumentType;
using management::CommandSpec;
using nlohmann::json;

// What CLI11 wrote for one command, to be read after parsing.
struct Bound {
    const CommandSpec* spec = nullptr;
    CLI::App* app = nullptr;
    std::map<std::string, std::string> texts;
    std::map<std::string, bool> flags;
};

class CommandLine {
  public:
    explicit CommandLine(const std::vector<CommandSpec>& specs) {
        app_.require_subcommand(1);
        app_.fallthrough();
        app_.failure_message(CLI::FailureMessage::simple);
        global_options();
        for (const CommandSpec& spec : specs) add(spec);
        add_local();
    }

    std::expected<Invocation, Ending> parse(int argc, const char* const* argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            std::ostringstream out, problems;
            const int status = app_.exit(error, out, problems);
            if (status == 0) return std::unexpected(Ending{out.str(), 0});
            return std::unexpected(Ending{usage(error.what(), argc, argv), 2});
        }
        if (invocation_.channel.empty()) invocation_.channel = beside(invocation_.socket);
        return take();
    }

  private:
    void global_options() {
        const char* from_environment = std::getenv("HOMEPORT_SOCKET");
        invocation_.socket =
            from_environment != nullptr ? from_environment : config::kDefaultManagementSocket;
        app_.add_option("--socket", invocation_.socket, "the control plane's socket");
        app_.add_flag("--json", invocation_.as_json, "the reply's data as JSON");
        app_.add_option("--watch", invocation_.watch_seconds,
                        "again and again, every so many seconds")
            ->check(CLI::Range(0.1, 86400.0));
        app_.add_option("--channel", invocation_.channel,
                        "the data plane's socket, if the control plane does not answer");
        app_.add_option("--file-prefix", invocation_.file_prefix, "DPDK's file prefix");
    }

    CLI::App* verb(const std::string& name) {
        CLI::App*& made = verbs_[name];
        if (made == nullptr) {
            made = app_.add_subcommand(name, describe(name));
            made->require_subcommand(1);
            made->fallthrough();
        }
        return made;
    }

    static std::string describe(const std::string& verb) {
        static const std::map<std::string, std::string> kTexts{
            {"show", "look at something"},
            {"clear", "remove something"},
            {"trace", "follow packets through the data plane"},
            {"config", "the configuration: check, reload, show, hash"},
            {"list", "what there is"},
            {"sa", "security associations: add, delete"},
            {"spd", "the security policy database: lint"},
            {"completion", "for shells"},
            {"documents", "reference and manual page"}};
        const auto it = kTexts.find(verb);
        return it == kTexts.end() ? "" : it->second;
    }

    // CLI11 only says that a subcommand is missing, not which word it did not know.
    std::string usage(const std::string& problem, int argc, const char* const* argv) const {
        std::string text = "error: " + problem;
        if (!text.ends_with('\n')) text += '\n';
        std::vector<std::string> words;
        for (int i = 1; i < argc && words.size() < 2; ++i) {
            const std::string word = argv[i];
            if (word.starts_with('-')) break;
            words.push_back(word);
        }
        std::string known;
        const auto verb = words.empty() ? verbs_.end() : verbs_.find(words[0]);
        if (verb == verbs_.end()) {
            for (const auto& [name, app] : verbs_) known += " " + name;
            if (words.empty()) return text + "expected one of:" + known + "\n";
            return text + "found '" + words[0] + "', expected one of:" + known + "\n";
        }
        bool is_known = false;
        for (const CLI::App* noun : verb->second->get_subcommands({})) {
            known += " " + noun->get_name();
            is_known = is_known || (words.size() > 1 && noun->get_name() == words[1]);
        }
        if (is_known) return text;
        return text + "found '" + (words.size() > 1 ? words[1] : "nothing") + "' after '" +
               words[0] + "', expected one of:" + known + "\n";
    }

    void add(const CommandSpec& spec) {
        const auto space = spec.name.find(' ');
        CLI::App* parent = verb(spec.name.substr(0, space));
        Bound& bound = bound_.emplace_back();
        bound.spec = &spec;
        bound.app = parent->add_subcommand(spec.name.substr(space + 1), spec.summary);
        bound.app->fallthrough();
        for (const ArgumentSpec& argument : spec.arguments) {
            const std::string name = argument.positional ? argument.name : option_of(argument);
            if (argument.type == ArgumentType::kBoolean) {
                bound.app->add_flag(name, bound.flags[argument.name], argument.summary);
            } else {
                bound.app->add_option(name, bound.texts[argument.name], argument.summary)
                    ->required(argument.required);
            }
        }
        if (spec.name == "config check") {
            bound.app->add_option("file", invocation_.file,
                                  "test this file here, without the control plane");
            bound.app->add_flag("--keys", invocation_.check_keys, "read its key files too");
        }
    }

    void add_local() {
        for (const auto& [parent, noun, text] :
             {std::tuple("completion", "bash", "print a completion script"),
              std::tuple("documents", "markdown", "print the reference of the commands"),
              std::tuple("documents", "man", "print the manual page")}) {
            local_.emplace_back(verb(parent)->add_subcommand(noun, text),
                                std::string(parent) + " " + noun);
        }
    }

    // The data plane's socket lies beside the control plane's unless somebody says otherwise.
    static std::string beside(const std::string& socket) {
        const auto slash = socket.rfind('/');
        if (slash == std::string::npos) return "channel.sock";
        return socket.substr(0, slash + 1) + "channel.sock";
    }

    static std::optional<json> value_of(const ArgumentSpec& argument, const std::string& text) {
        if (argument.type != ArgumentType::kInteger) return json(text);
        std::int64_t number = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        if (error != std::errc() || stop != end) return std::nullopt;
        return json(number);
    }

    std::expected<Invocation, Ending> take() {
        for (const auto& [app, name] : local_) {
            if (!app->parsed()) continue;
            invocation_.command = name;
            invocation_.is_local = true;
            return invocation_;
        }
        for (const Bound& bound : bound_) {
            if (!bound.app->parsed()) continue;
            invocation_.command = bound.spec->name;
            if (!invocation_.file.empty() || invocation_.check_keys) {
                invocation_.is_local = true;
                if (!invocation_.file.empty()) return invocation_;
                return std::unexpected(Ending{"--keys needs a FILE\n", 2});
            }
            return read_arguments(bound);
        }
        return std::unexpected(Ending{app_.help(), 2});
    }

    std::expected<Invocation, Ending> read_arguments(const Bound& bound) {
        for (const ArgumentSpec& argument : bound.spec->arguments) {
            if (const auto flag = bound.flags.find(argument.name);
                flag != bound.flags.end() && flag->second) {
                invocation_.arguments[argument.name] = true;
            }
            const auto text = bound.texts.find(argument.name);
            if (text == bound.texts.end() || text->second.empty()) continue;
            auto value = value_of(argument, text->second);
            if (!value) {
                return std::unexpected(Ending{argument.name + ": found '" + text->second +
                                                  "', expected " +
                                                  management::describe_type(argument) + "\n",
                                              2});
            }
            invocation_.arguments[argument.name] = std::move(*value);
        }
        if (auto checked = management::check_arguments(*bound.spec, invocation_.arguments);
            !checked) {
            return std::unexpected(Ending{checked.error().text + "\n", 2});
        }
        return invocation_;
    }

    CLI::App app_{"Operates a Homeport home agent.", "hactl"};
    Invocation invocation_;
    std::map<std::string, CLI::App*> verbs_;
    std::deque<Bound> bound_;
    std::vector<std::pair<CLI::App*, std::string>> local_;
};

}  // namespace

std::expected<Invocation, Ending> parse_command_line(const std::vector<CommandSpec>& specs,
                                                     int argc, const char* const* argv) {
    return CommandLine(specs).parse(argc, argv);
}

}  // namespace homeport::hactl
