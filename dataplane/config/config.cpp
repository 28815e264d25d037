// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/config.hpp"

#include <system_error>

#include "dataplane/config/document.hpp"
#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::size_t kMostOctets = std::size_t{16} << 20;

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
    for (std::size_t i = 0; i < config.controlplane.mobile_ipv4.size(); ++i) {
        const std::string path = "controlplane.mobile_ipv4[" + std::to_string(i) + "]";
        if (report.was_read(path + ".max_bindings")) continue;
        config.controlplane.mobile_ipv4[i].max_bindings = config.dataplane.max_bindings;
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
    return read_document_of(text, file, [&](const YAML::Node& document) {
        return read_document(document, file, algorithms);
    });
}

std::expected<Config, ConfigErrors> load_file(const std::filesystem::path& file,
                                              AlgorithmNames algorithms) {
    const auto text = read_text(file, kMostOctets);
    if (!text) return std::unexpected(text.error());
    return parse(*text, file.string(), algorithms);
}

}  // namespace homeport::config
