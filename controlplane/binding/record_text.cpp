// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/record_text.hpp"

#include <algorithm>
#include <charconv>

namespace homeport::binding {

namespace {

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (end > 0) words.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

}  // namespace

std::string to_text(const std::vector<Ipv6Prefix>& prefixes) {
    std::string text;
    for (const Ipv6Prefix& prefix : prefixes) {
        if (!text.empty()) text += ' ';
        text += prefix.to_string();
    }
    return text;
}

std::optional<std::vector<Ipv6Prefix>> ipv6_prefixes_from(std::string_view text) {
    std::vector<Ipv6Prefix> prefixes;
    for (const std::string_view word : words_of(text)) {
        const auto prefix = Ipv6Prefix::parse(word);
        if (!prefix) return std::nullopt;
        prefixes.push_back(*prefix);
    }
    return prefixes;
}

std::string to_text(const std::vector<Ipv4Home>& homes) {
    std::string text;
    for (const Ipv4Home& home : homes) {
        if (!text.empty()) text += ' ';
        text += home.prefix.to_string() + (home.dynamic ? " dynamic" : " static");
    }
    return text;
}

std::optional<std::vector<Ipv4Home>> ipv4_homes_from(std::string_view text) {
    const auto words = words_of(text);
    if (words.size() % 2 != 0) return std::nullopt;
    std::vector<Ipv4Home> homes;
    for (std::size_t i = 0; i < words.size(); i += 2) {
        const auto prefix = Ipv4Prefix::parse(words[i]);
        if (!prefix || (words[i + 1] != "dynamic" && words[i + 1] != "static")) return std::nullopt;
        homes.push_back({*prefix, words[i + 1] == "dynamic"});
    }
    return homes;
}

std::string to_text(const OuterSource& source) {
    return source.address.to_string() + ":" + std::to_string(source.port);
}

std::optional<OuterSource> outer_source_from(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto address = Ipv4Address::parse(text.substr(0, colon));
    const std::string_view digits = text.substr(colon + 1);
    OuterSource source;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), source.port);
    if (!address || error != std::errc{} || end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    source.address = *address;
    return source;
}

}  // namespace homeport::binding
