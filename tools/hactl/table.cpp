// SPDX-License-Identifier: BSD-3-Clause
#include "tools/hactl/table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace homeport::hactl {

Table& Table::column(std::string title, Align align) {
    titles_.push_back(std::move(title));
    aligns_.push_back(align);
    return *this;
}

void Table::row(std::vector<std::string> cells) {
    cells.resize(titles_.size());
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<std::size_t> widths;
    for (const std::string& title : titles_) widths.push_back(display_width(title));
    for (const auto& cells : rows_) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(cells[i]));
        }
    }
    std::string out;
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string made;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (i > 0) made += "  ";
            const std::string space(widths[i] - display_width(cells[i]), ' ');
            made += aligns_[i] == Align::kRight ? space + cells[i] : cells[i] + space;
        }
        made.erase(made.find_last_not_of(' ') + 1);
        out += made + "\n";
    };
    line(titles_);
    for (const auto& cells : rows_) line(cells);
    return out;
}

std::size_t display_width(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string decimal(double number, int decimals) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), "%.*f", decimals, number);
    return {text.data(), static_cast<std::size_t>(std::clamp(length, 0, 63))};
}

std::string octets(std::uint64_t count) {
    static constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    if (count < 1000) return std::to_string(count) + " B";
    auto value = static_cast<double>(count);
    std::size_t unit = 0;
    while (value >= 999.95 && unit + 1 < kUnits.size()) {
        value /= 1000;
        ++unit;
    }
    return decimal(value, 1) + " " + kUnits[unit];
}

std::string grouped(std::int64_t number) {
    std::string digits = std::to_string(number);
    const std::size_t sign = number < 0 ? 1 : 0;
    for (std::size_t at = digits.size(); at > sign + 3;) {
        at -= 3;
        digits.insert(at, 1, ' ');
    }
    return digits;
}

std::string duration(std::uint64_t seconds) {
    const std::uint64_t minutes = seconds / 60;
    const std::uint64_t hours = minutes / 60;
    const auto two = [](std::uint64_t large, const char* large_unit, std::uint64_t small,
                        const char* small_unit) {
        std::string text = std::to_string(large) + " " + large_unit;
        if (small != 0) text += " " + std::to_string(small) + " " + small_unit;
        return text;
    };
    if (hours >= 24) return two(hours / 24, "d", hours % 24, "h");
    if (hours > 0) return two(hours, "h", minutes % 60, "min");
    if (minutes > 0) return two(minutes, "min", seconds % 60, "s");
    return std::to_string(seconds) + " s";
}

std::string printable(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(
        out,
        [](char c) {
            const auto octet = static_cast<unsigned char>(c);
            return (octet < 0x20 && c != '\n' && c != '\t') || octet == 0x7f;
        },
        '?');
    return out;
}

}  // namespace homeport::hactl
