// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/pmd_config.hpp"

#include <rte_ethdev.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

namespace homeport::port {

namespace {

constexpr std::uint64_t kRssTcp =
    RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_IPV6_TCP_EX;
constexpr std::uint64_t kRssUdp =
    RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_IPV6_UDP_EX;

struct NamedRss {
    std::string_view name;
    std::uint64_t bits;
};
constexpr std::array<NamedRss, 9> kRssNames{{
    {"ipv4", RTE_ETH_RSS_IPV4},
    {"ipv6", RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_IPV6_EX},
    {"ipv4_fragment", RTE_ETH_RSS_FRAG_IPV4},
    {"ipv6_fragment", RTE_ETH_RSS_FRAG_IPV6},
    {"ipv4_other", RTE_ETH_RSS_NONFRAG_IPV4_OTHER},
    {"ipv6_other", RTE_ETH_RSS_NONFRAG_IPV6_OTHER},
    {"tcp", kRssTcp},
    {"udp", kRssUdp},
    {"esp", RTE_ETH_RSS_ESP},
}};
constexpr std::uint64_t kDefaultRss =
    RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_IPV6_EX | kRssTcp | kRssUdp;

constexpr std::array<std::string_view, 7> kFlowMatches{
    "udp_destination_port", "ipv6_destination",   "next_header",          "esp_spi",
    "esp_spi_masked",       "udp_esp_spi_masked", "udp_inner_next_header"};
constexpr std::array<std::string_view, 3> kFlowActions{"queue", "drop", "mark"};

/// Reads one document; what is wrong becomes lines of errors().
class Reader {
  public:
    Reader(std::string name, PmdConfig& config) : name_(std::move(name)), config_(config) {}

    void read(const YAML::Node& root) {
        if (!root.IsMap()) return fail(root, "a map of keys");
        for (const auto& entry : root) read_key(entry.first, entry.second);
        for (const char* key : {"title", "drivers"}) {
            if (!root[key]) fail(root, "a key '" + std::string(key) + "'");
        }
    }
    [[nodiscard]] const std::string& errors() const { return errors_; }

  private:
    void read_key(const YAML::Node& key, const YAML::Node& value) {
        const std::string name = key.IsScalar() ? key.Scalar() : "";
        if (name == "title") return string(value, config_.title);
        if (name == "notes") return string(value, config_.notes);
        if (name == "drivers") return strings(value, config_.drivers);
        if (name == "limits") return strings(value, config_.limits);
        if (name == "devargs") return devargs(value);
        if (name == "queues") {
            return members(
                value,
                {{"max", [&](const YAML::Node& n) { number(n, config_.max_queues, 1, 1024); }}});
        }
        if (name == "descriptors") {
            return members(
                value,
                {{"rx", [&](const YAML::Node& n) { number(n, config_.rx_descriptors, 32, 32768); }},
                 {"tx",
                  [&](const YAML::Node& n) { number(n, config_.tx_descriptors, 32, 32768); }}});
        }
        if (name == "offloads") {
            return members(value,
                           {{"rx",
                             [&](const YAML::Node& n) {
                                 checksums(n, config_.rx_ipv4_checksum, config_.rx_udp_checksum);
                             }},
                            {"tx", [&](const YAML::Node& n) {
                                 checksums(n, config_.tx_ipv4_checksum, config_.tx_udp_checksum);
                             }}});
        }
        if (name == "rss") return rss(value);
        if (name == "own_mac") return own_mac(value);
        if (name == "link_state") return link_state(value);
        if (name == "promiscuous") return boolean(value, config_.promiscuous);
        if (name == "signalling_queue") return boolean(value, config_.signalling_queue);
        if (name == "look_ahead") return number(value, config_.look_ahead, 0, 4096);
        if (name == "flow_rules") return flow_rules(value);
        fail(key, "a key of those that pmd-config/generic.yaml lists, not '" + name + "'");
    }

    using Member = std::pair<std::string_view, std::function<void(const YAML::Node&)>>;
    void members(const YAML::Node& node, const std::vector<Member>& known) {
        if (!node.IsMap()) return fail(node, "a map");
        for (const auto& entry : node) {
            const auto found = std::ranges::find_if(known, [&](const Member& member) {
                return entry.first.IsScalar() && entry.first.Scalar() == member.first;
            });
            if (found == known.end()) {
                std::string names;
                for (const Member& member : known) names += " " + std::string(member.first);
                fail(entry.first, "one of the keys" + names);
            } else {
                found->second(entry.second);
            }
        }
    }

    void string(const YAML::Node& node, std::string& out) {
        if (!node.IsScalar()) return fail(node, "a text");
        out = node.Scalar();
    }
    void strings(const YAML::Node& node, std::vector<std::string>& out) {
        if (!node.IsSequence()) return fail(node, "a list of texts");
        out.clear();
        for (const auto& item : node) string(item, out.emplace_back());
    }
    void boolean(const YAML::Node& node, bool& out) {
        if (!node.IsScalar() || (node.Scalar() != "true" && node.Scalar() != "false")) {
            return fail(node, "true or false");
        }
        out = node.Scalar() == "true";
    }
    void number(const YAML::Node& node, std::uint16_t& out, unsigned low, unsigned high) {
        unsigned value = 0;
        if (!node.IsScalar() || !YAML::convert<unsigned>::decode(node, value) || value < low ||
            value > high) {
            return fail(node,
                        "a number from " + std::to_string(low) + " to " + std::to_string(high));
        }
        out = static_cast<std::uint16_t>(value);
    }
    void devargs(const YAML::Node& node) {
        if (!node.IsMap()) return fail(node, "a map of names and values");
        for (const auto& entry : node) {
            std::string key, value;
            string(entry.first, key);
            string(entry.second, value);
            config_.devargs[key] = value;
        }
    }
    void checksums(const YAML::Node& node, bool& ipv4, bool& udp) {
        std::vector<std::string> names;
        strings(node, names);
        ipv4 = udp = false;
        for (const std::string& name : names) {
            if (name == "ipv4_checksum") {
                ipv4 = true;
            } else if (name == "udp_checksum") {
                udp = true;
            } else {
                fail(node, "offloads of these: ipv4_checksum, udp_checksum");
            }
        }
    }
    void rss(const YAML::Node& node) {
        std::vector<std::string> names;
        strings(node, names);
        config_.rss = 0;
        for (const std::string& name : names) {
            const auto* const found = std::ranges::find(kRssNames, name, &NamedRss::name);
            if (found == kRssNames.end()) {
                fail(node,
                     "hash functions as pmd-config/generic.yaml lists them, not '" + name + "'");
            } else {
                config_.rss |= found->bits;
            }
        }
    }
    void own_mac(const YAML::Node& node) {
        if (!node.IsScalar() || (node.Scalar() != "device" && node.Scalar() != "derived")) {
            return fail(node, "device or derived");
        }
        config_.derived_mac = node.Scalar() == "derived";
    }
    void link_state(const YAML::Node& node) {
        if (!node.IsScalar() || (node.Scalar() != "device" && node.Scalar() != "always_up")) {
            return fail(node, "device or always_up");
        }
        config_.always_up = node.Scalar() == "always_up";
    }
    void flow_rules(const YAML::Node& node) {
        if (!node.IsSequence()) return fail(node, "a list of rules");
        for (const auto& item : node) {
            FlowRule& rule = config_.flow_rules.emplace_back();
            members(item, {{"match", [&](const YAML::Node& n) { string(n, rule.match); }},
                           {"action", [&](const YAML::Node& n) { string(n, rule.action); }},
                           {"note", [&](const YAML::Node& n) { string(n, rule.note); }}});
            if (std::ranges::find(kFlowMatches, rule.match) == kFlowMatches.end() ||
                std::ranges::find(kFlowActions, rule.action) == kFlowActions.end()) {
                fail(item, "a match and an action that Homeport knows");
            }
        }
    }
    void fail(const YAML::Node& node, const std::string& expected) {
        const YAML::Mark mark = node.Mark();
        errors_ += name_ + ":" + std::to_string(mark.line + 1) + ":" +
                   std::to_string(mark.column + 1) + ": expected " + expected + "\n";
    }

    std::string name_;
    PmdConfig& config_;
    std::string errors_;
};

std::string_view device_family(std::string_view device) {
    std::string_view name = device.substr(0, device.find(','));
    while (!name.empty() && name.back() >= '0' && name.back() <= '9') name.remove_suffix(1);
    return name;
}

}  // namespace

std::expected<PmdConfig, std::string> parse_pmd_config(const std::string& text,
                                                       const std::string& name) {
    PmdConfig config;
    config.rss = kDefaultRss;
    try {
        Reader reader(name, config);
        reader.read(YAML::Load(text));
        if (!reader.errors().empty()) return std::unexpected(reader.errors());
    } catch (const YAML::Exception& error) {
        return std::unexpected(name + ":" + std::to_string(error.mark.line + 1) + ":" +
                               std::to_string(error.mark.column + 1) + ": " + error.msg + "\n");
    }
    return config;
}

std::expected<PmdConfigs, std::string> PmdConfigs::load(const std::filesystem::path& directory) {
    PmdConfigs configs;
    configs.built_in_.title = "built-in defaults";
    configs.built_in_.rss = kDefaultRss;
    std::error_code code;
    std::set<std::filesystem::path> files;
    for (std::filesystem::directory_iterator entry(directory, code), end; !code && entry != end;
         entry.increment(code)) {
        if (entry->path().extension() == ".yaml") files.insert(entry->path());
    }
    if (code) return std::unexpected(directory.string() + ": " + code.message() + "\n");
    std::string errors;
    for (const std::filesystem::path& file : files) {
        std::ifstream stream(file);
        const std::string text{std::istreambuf_iterator<char>(stream), {}};
        if (!stream.good() && !stream.eof()) {
            errors += file.string() + ": cannot be read\n";
            continue;
        }
        auto config = parse_pmd_config(text, file.string());
        if (!config) {
            errors += config.error();
            continue;
        }
        config->name = file.stem().string();
        configs.configs_.push_back(std::move(*config));
    }
    if (!errors.empty()) return std::unexpected(errors);
    return configs;
}

const PmdConfig* PmdConfigs::find_driver(std::string_view driver) const {
    for (const PmdConfig& config : configs_) {
        if (std::ranges::find(config.drivers, driver) != config.drivers.end()) return &config;
    }
    return nullptr;
}

const PmdConfig* PmdConfigs::find_name(std::string_view name) const {
    const auto found = std::ranges::find(configs_, name, &PmdConfig::name);
    return found == configs_.end() ? nullptr : &*found;
}

const PmdConfig& PmdConfigs::generic() const {
    const PmdConfig* const found = find_name("generic");
    return found != nullptr ? *found : built_in_;
}

const PmdConfig* PmdConfigs::find_device(std::string_view device) const {
    return find_driver(device_family(device));
}

std::string with_devargs(std::string_view device,
                         const std::map<std::string, std::string>& devargs) {
    std::string result(device);
    std::set<std::string_view> given;
    for (std::size_t comma = device.find(','); comma != std::string_view::npos;) {
        const std::size_t next = device.find(',', comma + 1);
        const std::string_view argument = device.substr(comma + 1, next - comma - 1);
        given.insert(argument.substr(0, argument.find('=')));
        comma = next;
    }
    for (const auto& [key, value] : devargs) {
        if (!given.contains(key)) result += "," + key + "=" + value;
    }
    return result;
}

std::filesystem::path find_pmd_config_directory(const std::filesystem::path& configured) {
    std::error_code code;
    std::vector<std::filesystem::path> places{configured};
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", code);
    if (!code) {
        const std::filesystem::path folder = program.parent_path();
        places.push_back(folder / "pmd-config");
        places.push_back(folder / ".." / "share" / "homeport" / "pmd-config");
    }
#ifdef HOMEPORT_PMD_CONFIG_SOURCE
    places.emplace_back(HOMEPORT_PMD_CONFIG_SOURCE);
#endif
    for (const std::filesystem::path& place : places) {
        if (!place.empty() && std::filesystem::is_directory(place, code)) return place;
    }
    return {};
}

}  // namespace homeport::port
