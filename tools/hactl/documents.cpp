// SPDX-License-Identifier: BSD-3-Clause
#include "tools/hactl/documents.hpp"

#include <algorithm>
#include <map>

namespace homeport::hactl {

namespace {

using management::ArgumentSpec;
using management::ArgumentType;
using management::CommandSpec;

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return text;
}

std::string argument_name(const ArgumentSpec& argument) {
    if (argument.positional) return upper(argument.name);
    if (argument.type == ArgumentType::kBoolean) return option_of(argument);
    return option_of(argument) + " " + upper(argument.name);
}

std::string argument_text(const ArgumentSpec& argument) {
    std::string text = argument.summary;
    if (argument.type != ArgumentType::kString && argument.type != ArgumentType::kBoolean) {
        text += "; " + management::describe_type(argument);
    }
    if (!argument.default_text.empty() && argument.type != ArgumentType::kBoolean) {
        text += "; default " + argument.default_text;
    }
    return text;
}

struct GlobalOption {
    const char* name;
    const char* text;
};
constexpr GlobalOption kGlobalOptions[] = {
    {"--socket PATH",
     "the control plane's socket; default $HOMEPORT_SOCKET, else "
     "/run/homeport/control.sock"},
    {"--json", "the reply's data as JSON, for programs"},
    {"--watch SECONDS", "again and again, until interrupted"},
    {"--channel PATH",
     "the data plane's socket, used when the control plane does not answer; "
     "default channel.sock beside the control plane's"},
    {"--file-prefix NAME", "DPDK's file prefix, to find its telemetry; default homeport"},
};
struct ExitCode {
    int code;
    const char* text;
};
constexpr ExitCode kExitCodes[] = {
    {0, "done"},
    {1, "the command failed; the error says why"},
    {2, "wrong usage"},
    {3, "the control plane cannot be reached"},
};
// Commands that hactl carries out itself.
struct LocalCommand {
    const char* synopsis;
    const char* text;
};
constexpr LocalCommand kLocalCommands[] = {
    {"config check FILE [--keys]",
     "Tests a configuration file, with --keys its key files too. Needs no control plane."},
    {"completion bash", "Prints a completion script: source <(hactl completion bash)"},
    {"documents markdown|man", "Prints this reference, or the manual page."},
};

std::string groff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
    return out;
}

}  // namespace

std::string option_of(const ArgumentSpec& argument) {
    std::string option = "--" + argument.name;
    std::ranges::replace(option, '_', '-');
    return option;
}

std::string synopsis(const CommandSpec& spec) {
    std::string text = spec.name;
    for (const ArgumentSpec& argument : spec.arguments) {
        const std::string name = argument_name(argument);
        text += argument.required ? " " + name : " [" + name + "]";
    }
    return text;
}

std::string commands_markdown(const Specs& specs) {
    std::string out =
        "# Commands\n\n"
        "Made by `hactl documents markdown` from `controlplane/management/commands/`. The control "
        "plane takes them as one JSON object a line on its Unix socket:\n\n"
        "```\n{\"command\": \"show bindings\", \"arguments\": {\"limit\": 10}}\n"
        "{\"result\": 0, \"data\": {...}}\n"
        "{\"result\": 1, \"error\": {\"code\": \"not_found\", \"text\": \"...\"}}\n```\n\n"
        "`hactl` has the same words. Options for every command:\n\n| option | meaning "
        "|\n|---|---|\n";
    for (const auto& [name, text] : kGlobalOptions) {
        out += "| `" + std::string(name) + "` | " + text + " |\n";
    }
    out += "\nExit status: ";
    for (const auto& [code, text] : kExitCodes) {
        out += (code == 0 ? "" : "; ") + std::to_string(code) + " " + text;
    }
    out +=
        ".\n\nErrors of every command: `bad_request`, `bad_argument`, `unknown_command`, "
        "`line_too_long`, `too_large`, `busy`, `internal`.\n";
    for (const CommandSpec& spec : specs) {
        out += "\n## " + spec.name + "\n\n    hactl " + synopsis(spec) + "\n\n" +
               upper(spec.summary.substr(0, 1)) + spec.summary.substr(1) + ". " + spec.description +
               " Since " + spec.since + ".\n";
        if (!spec.arguments.empty()) out += "\n| argument | type | meaning |\n|---|---|---|\n";
        for (const ArgumentSpec& argument : spec.arguments) {
            out += "| `" + argument.name + "` | " + std::string(to_string(argument.type)) +
                   (argument.required ? ", required" : "") + " | " + argument_text(argument) +
                   " |\n";
        }
        if (!spec.reply.empty()) out += "\n| reply | meaning |\n|---|---|\n";
        for (const auto& [member, meaning] : spec.reply) {
            out += "| `" + member + "` | " + meaning + " |\n";
        }
        if (!spec.errors.empty()) out += "\n| error | meaning |\n|---|---|\n";
        for (const auto& [code, meaning] : spec.errors) {
            out += "| `" + code + "` | " + meaning + " |\n";
        }
    }
    out += "\n## Without the control plane\n\n";
    for (const auto& [line, text] : kLocalCommands) {
        out += "* `hactl " + std::string(line) + "`: " + text + "\n";
    }
    return out;
}

std::string manual_page(const Specs& specs) {
    std::string out = ".TH HACTL 1 \"\" \"homeport " HOMEPORT_VERSION
                      "\" \"Homeport\"\n.SH NAME\nhactl \\- operate a Homeport home agent\n"
                      ".SH SYNOPSIS\n.B hactl\n[\\fIoptions\\fR] \\fIverb\\fR \\fInoun\\fR "
                      "[\\fIarguments\\fR]\n.SH OPTIONS\n";
    for (const auto& [name, text] : kGlobalOptions) {
        out += ".TP\n.B " + groff(name) + "\n" + groff(text) + "\n";
    }
    out += ".SH COMMANDS\n";
    for (const CommandSpec& spec : specs) {
        out += ".TP\n.B " + groff(synopsis(spec)) + "\n" + groff(spec.description) + "\n";
        for (const ArgumentSpec& argument : spec.arguments) {
            out += ".RS\n.TP\n.I " + groff(argument_name(argument)) + "\n" +
                   groff(argument_text(argument)) + "\n.RE\n";
        }
    }
    for (const auto& [line, text] : kLocalCommands) {
        out += ".TP\n.B " + groff(line) + "\n" + groff(text) + "\n";
    }
    out += ".SH EXIT STATUS\n";
    for (const auto& [code, text] : kExitCodes) {
        out += ".TP\n.B " + std::to_string(code) + "\n" + groff(text) + "\n";
    }
    out +=
        ".SH ENVIRONMENT\n.TP\n.B HOMEPORT_SOCKET\npath of the control plane's socket\n"
        ".SH SEE ALSO\n.BR homeport\\-controlplane (8),\n.BR homeport\\-dataplane (8)\n";
    return out;
}

std::string bash_completion(const Specs& specs) {
    std::map<std::string, std::string> nouns;
    std::string options;
    for (const CommandSpec& spec : specs) {
        const auto space = spec.name.find(' ');
        auto& list = nouns[spec.name.substr(0, space)];
        list += (list.empty() ? "" : " ") + spec.name.substr(space + 1);
        std::string words;
        for (const ArgumentSpec& argument : spec.arguments) {
            if (!argument.positional) words += (words.empty() ? "" : " ") + option_of(argument);
        }
        if (!words.empty())
            options += "        '" + spec.name + "') words+=\" " + words + "\" ;;\n";
    }
    nouns["completion"] = "bash";
    nouns["documents"] = "markdown man";
    std::string verbs;
    std::string cases;
    for (const auto& [verb, list] : nouns) {
        verbs += (verbs.empty() ? "" : " ") + verb;
        cases += "        " + verb + ") words='" + list + "' ;;\n";
    }
    return "# bash completion of hactl\n"
           "_hactl() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} plain=() words='' at\n"
           "    for ((at = 1; at < COMP_CWORD; ++at)); do\n"
           "        case ${COMP_WORDS[at]} in\n"
           "        --socket | --watch | --channel | --file-prefix) ((++at)) ;;\n"
           "        -*) ;;\n"
           "        *) plain+=(\"${COMP_WORDS[at]}\") ;;\n"
           "        esac\n"
           "    done\n"
           "    if ((${#plain[@]} == 0)); then\n"
           "        words='" +
           verbs +
           " --socket --json --watch --channel --file-prefix --help'\n"
           "    elif ((${#plain[@]} == 1)); then\n"
           "        case ${plain[0]} in\n" +
           cases +
           "        esac\n"
           "    else\n"
           "        words='--json --watch --help'\n"
           "        case \"${plain[0]} ${plain[1]}\" in\n" +
           options +
           "        'config check') words+=' --keys'; COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
           "        esac\n"
           "    fi\n"
           "    COMPREPLY+=($(compgen -W \"$words\" -- \"$word\"))\n"
           "}\n"
           "complete -F _hactl hactl\n";
}

}  // namespace homeport::hactl
