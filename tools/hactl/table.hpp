// SPDX-License-Identifier: BSD-3-Clause
// Tables and quantities for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace homeport::hactl {

enum class Align : std::uint8_t { kLeft, kRight };

/// Columns as wide as their widest cell, two spaces between them, no space at the end of a line.
class Table {
  public:
    Table& column(std::string title, Align align = Align::kLeft);
    /// Missing cells are empty; there must not be more cells than columns.
    void row(std::vector<std::string> cells);
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    /// Title line and rows, each with a line end.
    [[nodiscard]] std::string text() const;

  private:
    std::vector<std::string> titles_;
    std::vector<Align> aligns_;
    std::vector<std::vector<std::string>> rows_;
};

/// Columns that a terminal needs for UTF-8 text, one each code point.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// "512 B", "1.5 kB", "20.0 GB": powers of 1000.
[[nodiscard]] std::string octets(std::uint64_t count);
/// "1 234 567": groups of three digits.
[[nodiscard]] std::string grouped(std::int64_t number);
/// "45 s", "9 min 58 s", "3 h 5 min", "12 d 4 h".
[[nodiscard]] std::string duration(std::uint64_t seconds);
/// With so many decimals.
[[nodiscard]] std::string decimal(double number, int decimals);

/// Control characters, escape among them, as '?': what comes from elsewhere must not steer a
/// terminal. Line ends and tabs stay.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace homeport::hactl
