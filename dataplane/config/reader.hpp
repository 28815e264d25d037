// SPDX-License-Identifier: BSD-3-Clause
// Reading of one YAML document against a schema that is written as code: a Section asks for its
// keys one by one, and complains of those that nobody asked for. Internal to this room.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/config/config.hpp"

namespace homeport::config {

/// Collects what is wrong, and remembers where every value stood.
class Report {
  public:
    explicit Report(std::string_view file, AlgorithmNames algorithms = {})
        : file_(file), algorithms_(algorithms) {}

    void add(const YAML::Mark& mark, std::string_view path, std::string found,
             std::string expected);
    /// For checks after reading: the place is that of the value, or else of the nearest section
    /// around it, that was read from `path`.
    void add_at(std::string_view path, std::string found, std::string expected);
    void remember(const std::string& path, const YAML::Mark& mark) { marks_[path] = mark; }

    [[nodiscard]] AlgorithmNames algorithms() const { return algorithms_; }
    [[nodiscard]] bool was_read(std::string_view path) const { return marks_.contains(path); }
    [[nodiscard]] bool empty() const { return errors_.empty(); }
    [[nodiscard]] ConfigErrors take();

  private:
    std::string file_;
    AlgorithmNames algorithms_;
    ConfigErrors errors_;
    std::map<std::string, YAML::Mark, std::less<>> marks_;
};

/// Text of an error for what stands at `node`: "'abc'", "a list", "nothing".
[[nodiscard]] std::string describe(const YAML::Node& node);

/// The one of `candidates` with the fewest changed characters from `word`; empty if there is none.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// One value that must be a scalar. Each reader returns whether `out` was set.
class Value {
  public:
    Value(Report& report, const YAML::Node& node, std::string path);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const YAML::Node& node() const { return node_; }
    [[nodiscard]] bool is_scalar() const { return node_.IsScalar(); }
    [[nodiscard]] std::string_view text() const { return node_.Scalar(); }
    void fail(std::string expected) const;

    template <class T>
    bool number(T& out, std::uint64_t low, std::uint64_t high, std::string_view unit = "") const {
        const auto value = unsigned_number(low, high, unit);
        if (value) out = static_cast<T>(*value);
        return value.has_value();
    }
    bool boolean(bool& out) const;
    bool string(std::string& out, std::size_t most = 4096) const;
    bool address(Ipv6Address& out) const;
    bool address(Ipv4Address& out) const;
    bool prefix(Ipv6Prefix& out) const;
    bool prefix(Ipv4Prefix& out) const;
    bool mac(std::optional<MacAddress>& out) const;
    template <class E>
    bool choice(E& out, std::span<const std::pair<std::string_view, E>> choices) const {
        if (is_scalar()) {
            for (const auto& [name, value] : choices) {
                if (name == text()) {
                    out = value;
                    return true;
                }
            }
        }
        std::string names;
        for (const auto& [name, value] : choices) {
            names += (names.empty() ? "" : ", ") + std::string(name);
        }
        fail("one of " + names);
        return false;
    }

  private:
    [[nodiscard]] std::optional<std::uint64_t> unsigned_number(std::uint64_t low,
                                                               std::uint64_t high,
                                                               std::string_view unit) const;
    Report& report_;
    YAML::Node node_;
    std::string path_;
};

/// One map. finish() reports duplicate keys and those that were never asked for.
class Section {
  public:
    /// A `node` that is null is an empty map; any other kind but a map is an error.
    Section(Report& report, const YAML::Node& node, std::string path);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] Report& report() const { return report_; }

    /// The value of `key`, if it is there and not null.
    [[nodiscard]] std::optional<Value> find(std::string_view key);
    /// The same, and an error if it is not there.
    [[nodiscard]] std::optional<Value> require(std::string_view key, std::string_view what);
    /// The map at `key`; an empty one if it is missing.
    [[nodiscard]] Section section(std::string_view key);
    /// Calls `each` for every element of the list at `key`; false if there is no such list.
    bool list(std::string_view key, std::string_view what,
              const std::function<void(const Value&)>& each);
    void finish();

  private:
    [[nodiscard]] std::string path_of(std::string_view key) const;

    Report& report_;
    std::string path_;
    YAML::Mark mark_;
    std::vector<std::pair<YAML::Node, YAML::Node>> entries_;
    std::vector<std::string> known_;
};

/// Calls `each` for every element of `list`, which must be a list of at most `most`.
bool for_each(Report& report, const Value& list, std::string_view what,
              const std::function<void(const Value&)>& each);

void read_dataplane(Section section, DataplaneConfig& out);
/// `directory`: relative paths of key files count from it.
void read_controlplane(Section section, const std::string& directory, ControlplaneConfig& out);
// Keys of a section that is read elsewhere: read_dual_stack.cpp.
void read_ipv4_addresses(Section& section, std::vector<Ipv4Address>& out);
void read_ipv4_pool(Section& parent, std::optional<Ipv4PoolConfig>& out,
                    std::string_view key = "ipv4_pool");
void read_mobile_prefixes(Section& section, MobileNodeConfig& out);
void read_dual_stack(Section section, DualStackConfig& out);
/// Key files and directories count from `directory`: read_mobile_ipv4.cpp.
void read_mobile_ipv4(Section& parent, const std::string& directory,
                      std::vector<Mip4HomeAgentConfig>& out);
/// The pair of SAs at `key`, if it is there: read_controlplane.cpp.
[[nodiscard]] std::optional<SaPairConfig> read_sa_pair(Section& parent, std::string_view key,
                                                       const std::string& directory);
void read_vpn_gateway(Section section, const std::string& directory, VpnGatewayConfig& out);
/// A prefix of either family; an IPv4 one becomes ::ffff:0:0/96 and its length + 96.
void read_either_prefix(const Value& value, std::vector<Ipv6Prefix>& out);
/// As read_either_prefix() takes it.
[[nodiscard]] std::string either_prefix_text(const Ipv6Prefix& prefix);
/// What no single value shows: names that must exist, values that must not meet.
void check_whole(const Config& config, Report& report);
/// The part of it that is about IPv4 and mobile networks.
void check_dual_stack(const ControlplaneConfig& config, Report& report);
/// The part that is about home agents of Mobile IPv4.
void check_mobile_ipv4(const Config& config, Report& report);
/// The part that is about the VPN gateway.
void check_vpn_gateway(const ControlplaneConfig& config, Report& report);

/// Names of enumerators in the file.
extern const std::span<const std::pair<std::string_view, HugePages>> kHugePagesNames;
extern const std::span<const std::pair<std::string_view, CryptoCpu>> kCryptoCpuNames;
extern const std::span<const std::pair<std::string_view, NoBinding>> kNoBindingNames;
extern const std::span<const std::pair<std::string_view, LogLevel>> kLogLevelNames;
extern const std::span<const std::pair<std::string_view, DscpModel>> kDscpModelNames;
extern const std::span<const std::pair<std::string_view, Technique>> kTechniqueNames;
extern const std::span<const std::pair<std::string_view, CheckEspOuter>> kCheckEspOuterNames;
extern const std::span<const std::pair<std::string_view, EspOverIpv4>> kEspOverIpv4Names;
extern const std::span<const std::pair<std::string_view, Mip4Role>> kMip4RoleNames;
extern const std::span<const std::pair<std::string_view, Mip4Profile>> kMip4ProfileNames;
extern const std::span<const std::pair<std::string_view, Mip4Algorithm>> kMip4AlgorithmNames;
extern const std::span<const std::pair<std::string_view, Mip4Replay>> kMip4ReplayNames;
extern const std::span<const std::pair<std::string_view, VpnUdp>> kVpnUdpNames;

template <class E>
std::string name_of(E value, std::span<const std::pair<std::string_view, E>> names) {
    for (const auto& [name, candidate] : names) {
        if (candidate == value) return std::string(name);
    }
    return "?";
}

}  // namespace homeport::config
