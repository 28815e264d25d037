// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/config.hpp"

#include <yaml-cpp/eventhandler.h>

#include <fstream>
#include <sstream>
#include <system_error>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::size_t kMostOctets = std::size_t{16} << 20;

ConfigErrors single(std::string_view file, std::string found, std::string expected) {
    ConfigError error;
    error.file = file;
    error.found = std::move(found);
    error.expected = std::move(expected);
    return {std::move(error)};
}

std::string directory_of(std::string_view file) {
    std::error_code ignored;
    const auto absolute = std::filesystem::absolute(std::filesystem::path(file), ignored);
    return absolute.parent_path().string();
}

PortConfig virtual_port(const std::string& name, unsigned number) {
    PortConfig port;
    port.name = name;
    port.device = "net_tap" + std::to_string(number) + ",iface=hpw-" + name;
    port.tap = "hp-" + name;
    return port;
}

// Remembers where documents begin, and takes nothing else of them.
class DocumentStart final : public YAML::EventHandler {
  public:
    std::optional<YAML::Mark> start;

    void OnDocumentStart(const YAML::Mark& mark) override { start = mark; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

// Where a second document begins. Two steps and no more: the parser gives documents without end for
// text like ",", so YAML::LoadAll() would not return.
std::optional<YAML::Mark> second_document(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStart first, second;
    if (!parser.HandleNextDocument(first) || !parser.HandleNextDocument(second)) return {};
    return second.start;
}

std::expected<Config, ConfigErrors> read_document(const YAML::Node& document, std::string_view file,
                                                  AlgorithmNames algorithms) {
    Report report(file, algorithms);
    Config config = defaults();
    config.file = file;
    Section top(report, document, "");
    read_dataplane(top.section("dataplane"), config.dataplane);
    read_controlplane(top.section("controlplane"), directory_of(file), config.controlplane);
    top.finish();
    if (!report.was_read("controlplane.limits.bindings")) {
        config.controlplane.limits.bindings = config.dataplane.max_bindings;
    }
    check_whole(config, report);
    if (!report.empty()) return std::unexpected(report.take());
    return config;
}

}  // namespace

std::optional<Ipv6Address> ControlplaneConfig::home_agent_address(const Ipv6Prefix& link) const {
    for (const Ipv6Address& address : home_agent.addresses) {
        if (link.contains(address)) return address;
    }
    if (home_agent.addresses.empty()) return std::nullopt;
    return home_agent.addresses.front();
}

std::string ConfigError::to_string() const {
    std::string text = file.empty() ? "(no file)" : file;
    if (line != 0) text += ":" + std::to_string(line) + ":" + std::to_string(column);
    text += ": ";
    if (!path.empty()) text += path + ": ";
    return text + "found " + found + ", expected " + expected;
}

std::string to_string(const ConfigErrors& errors) {
    std::string text;
    for (const ConfigError& error : errors) {
        if (!text.empty()) text += '\n';
        text += error.to_string();
    }
    return text;
}

Config defaults() {
    Config config;
    config.dataplane.ports = {virtual_port("home0", 0), virtual_port("wan0", 1)};
    return config;
}

std::expected<Config, ConfigErrors> parse(std::string_view text, std::string_view file,
                                          AlgorithmNames algorithms) {
    try {
        const std::string whole(text);
        if (const auto mark = second_document(whole)) {
            Report report(file);
            report.add(*mark, "", "a second document", "one YAML document");
            return std::unexpected(report.take());
        }
        return read_document(YAML::Load(whole), file, algorithms);
    } catch (const YAML::Exception& error) {
        Report report(file);
        report.add(error.mark, "", "text that is not YAML (" + error.msg + ")", "YAML 1.2");
        return std::unexpected(report.take());
    } catch (const std::exception& error) {
        return std::unexpected(single(file, error.what(), "a configuration that can be read"));
    }
}

std::expected<Config, ConfigErrors> load_file(const std::filesystem::path& file,
                                              AlgorithmNames algorithms) {
    std::error_code error;
    const auto status = std::filesystem::status(file, error);
    if (error || status.type() == std::filesystem::file_type::not_found) {
        return std::unexpected(single(file.string(), "no such file", "a configuration file"));
    }
    if (status.type() == std::filesystem::file_type::directory) {
        return std::unexpected(single(file.string(), "a directory", "a configuration file"));
    }
    std::ifstream stream(file, std::ios::binary);
    std::string text(kMostOctets + 1, '\0');
    if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad()) {
        return std::unexpected(
            single(file.string(), "a file that cannot be read", "a readable configuration file"));
    }
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > kMostOctets) {
        return std::unexpected(single(file.string(), "more than 16 MiB", "at most 16 MiB"));
    }
    return parse(text, file.string(), algorithms);
}

}  // namespace homeport::config
