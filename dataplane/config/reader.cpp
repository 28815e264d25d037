// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/reader.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace homeport::config {

namespace {

constexpr std::size_t kMostErrors = 200;
constexpr std::size_t kMostShown = 60;

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kMostShown)) {
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    if (text.size() > kMostShown) out += "...";
    return out;
}

// Number of insertions, deletions and substitutions that make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({changed, above + 1, row[j - 1] + 1});
            diagonal = above;
        }
    }
    return row.back();
}

}  // namespace

void Report::add(const YAML::Mark& mark, std::string_view path, std::string found,
                 std::string expected) {
    if (errors_.size() >= kMostErrors) return;
    ConfigError error;
    error.file = file_;
    if (!mark.is_null()) {
        error.line = static_cast<unsigned>(mark.line + 1);
        error.column = static_cast<unsigned>(mark.column + 1);
    }
    error.path = path;
    error.found = std::move(found);
    error.expected = std::move(expected);
    errors_.push_back(std::move(error));
}

void Report::add_at(std::string_view path, std::string found, std::string expected) {
    std::string_view around = path;
    while (true) {
        if (const auto it = marks_.find(around); it != marks_.end()) {
            return add(it->second, path, std::move(found), std::move(expected));
        }
        const auto cut = around.find_last_of(".[");
        if (cut == std::string_view::npos) break;
        around = around.substr(0, cut);
    }
    add(YAML::Mark::null_mark(), path, std::move(found), std::move(expected));
}

ConfigErrors Report::take() {
    std::ranges::stable_sort(errors_, [](const ConfigError& a, const ConfigError& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(errors_);
}

std::string describe(const YAML::Node& node) {
    if (!node.IsDefined() || node.IsNull()) return "nothing";
    if (node.IsSequence()) return "a list";
    if (node.IsMap()) return "a map";
    return "'" + printable(node.Scalar()) + "'";
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
    std::string best;
    std::size_t best_distance = std::numeric_limits<std::size_t>::max();
    const std::string_view head = word.substr(0, 64);
    for (const std::string& candidate : candidates) {
        const std::size_t d = distance(head, candidate);
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

Value::Value(Report& report, const YAML::Node& node, std::string path)
    : report_(report), node_(node), path_(std::move(path)) {
    report_.remember(path_, node_.Mark());
}

void Value::fail(std::string expected) const {
    report_.add(node_.Mark(), path_, describe(node_), std::move(expected));
}

std::optional<std::uint64_t> Value::unsigned_number(std::uint64_t low, std::uint64_t high,
                                                    std::string_view unit) const {
    if (is_scalar()) {
        std::string_view digits = text();
        int base = 10;
        if (digits.starts_with("0x") || digits.starts_with("0X")) {
            digits.remove_prefix(2);
            base = 16;
        }
        std::uint64_t value = 0;
        const char* const end = digits.data() + digits.size();
        const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
        if (error == std::errc() && stop == end && !digits.empty() && value >= low &&
            value <= high) {
            return value;
        }
    }
    std::string expected =
        "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    if (!unit.empty()) expected += " (" + std::string(unit) + ")";
    fail(std::move(expected));
    return std::nullopt;
}

bool Value::boolean(bool& out) const {
    if (is_scalar()) {
        for (const std::string_view word : {"true", "on", "yes"}) {
            if (text() == word) return out = true;
        }
        for (const std::string_view word : {"false", "off", "no"}) {
            if (text() == word) {
                out = false;
                return true;
            }
        }
    }
    fail("on or off");
    return false;
}

bool Value::string(std::string& out, std::size_t most) const {
    if (!is_scalar() || text().empty() || text().size() > most ||
        text().find('\0') != std::string_view::npos) {
        fail("text of 1 to " + std::to_string(most) + " characters");
        return false;
    }
    out = text();
    return true;
}

bool Value::address(Ipv6Address& out) const {
    const auto parsed = is_scalar() ? Ipv6Address::parse(text()) : std::nullopt;
    if (!parsed || !parsed->is_unicast_routable()) {
        fail("a unicast routable IPv6 address");
        return false;
    }
    out = *parsed;
    return true;
}

bool Value::address(Ipv4Address& out) const {
    const auto parsed = is_scalar() ? Ipv4Address::parse(text()) : std::nullopt;
    if (!parsed || !parsed->is_unicast()) {
        fail("a unicast IPv4 address");
        return false;
    }
    out = *parsed;
    return true;
}

bool Value::prefix(Ipv6Prefix& out) const {
    const auto parsed = is_scalar() ? Ipv6Prefix::parse(text()) : std::nullopt;
    if (!parsed) {
        fail("an IPv6 prefix, address/length");
        return false;
    }
    if (parsed->masked() != *parsed) {
        fail("a prefix without host bits: " + parsed->masked().to_string());
        return false;
    }
    out = *parsed;
    return true;
}

bool Value::prefix(Ipv4Prefix& out) const {
    const auto parsed = is_scalar() ? Ipv4Prefix::parse(text()) : std::nullopt;
    if (!parsed) {
        fail("an IPv4 prefix, address/length");
        return false;
    }
    if (parsed->masked() != *parsed) {
        fail("a prefix without host bits: " + parsed->masked().to_string());
        return false;
    }
    out = *parsed;
    return true;
}

bool Value::mac(std::optional<MacAddress>& out) const {
    const auto parsed = is_scalar() ? MacAddress::parse(text()) : std::nullopt;
    if (!parsed || parsed->is_multicast() || *parsed == MacAddress{}) {
        fail("a unicast Ethernet address, six octets with colons");
        return false;
    }
    out = *parsed;
    return true;
}

Section::Section(Report& report, const YAML::Node& node, std::string path)
    : report_(report), path_(std::move(path)), mark_(node.Mark()) {
    report_.remember(path_, mark_);
    if (!node.IsDefined() || node.IsNull()) return;
    if (!node.IsMap()) {
        report_.add(mark_, path_.empty() ? "(top)" : path_, describe(node),
                    "a map of keys and values");
        return;
    }
    for (const auto& entry : node) entries_.emplace_back(entry.first, entry.second);
}

std::string Section::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::optional<Value> Section::find(std::string_view key) {
    known_.emplace_back(key);
    for (const auto& [name, value] : entries_) {
        if (name.IsScalar() && name.Scalar() == key) {
            if (value.IsNull()) return std::nullopt;
            return Value(report_, value, path_of(key));
        }
    }
    return std::nullopt;
}

std::optional<Value> Section::require(std::string_view key, std::string_view what) {
    auto value = find(key);
    if (!value) {
        report_.add(mark_, path_of(key), "nothing",
                    "the key '" + std::string(key) + "': " + std::string(what));
    }
    return value;
}

Section Section::section(std::string_view key) {
    const auto value = find(key);
    return Section(report_, value ? value->node() : YAML::Node(YAML::NodeType::Null), path_of(key));
}

bool Section::list(std::string_view key, std::string_view what,
                   const std::function<void(const Value&)>& each) {
    const auto value = find(key);
    return value && for_each(report_, *value, what, each);
}

void Section::finish() {
    std::vector<std::string> seen;
    for (const auto& [name, value] : entries_) {
        if (!name.IsScalar()) {
            report_.add(name.Mark(), path_, describe(name), "a key that is plain text");
            continue;
        }
        const std::string& key = name.Scalar();
        if (std::ranges::find(seen, key) != seen.end()) {
            report_.add(name.Mark(), path_of(printable(key)),
                        "the key '" + printable(key) + "' a second time", "each key once");
        } else if (std::ranges::find(known_, key) == known_.end()) {
            report_.add(name.Mark(), path_of(printable(key)),
                        "the unknown key '" + printable(key) + "'",
                        "a known key; the nearest is '" + nearest(key, known_) + "'");
        }
        seen.push_back(key);
    }
}

bool for_each(Report& report, const Value& list, std::string_view what,
              const std::function<void(const Value&)>& each) {
    if (!list.node().IsSequence()) {
        list.fail("a list of " + std::string(what));
        return false;
    }
    std::size_t index = 0;
    for (const auto& element : list.node()) {
        each(Value(report, element, list.path() + "[" + std::to_string(index++) + "]"));
    }
    return true;
}

}  // namespace homeport::config
