// SPDX-License-Identifier: BSD-3-Clause
// How a binding is laid out in a row of the SQLite store.
#pragma once

#include <sqlite3.h>

#include <expected>
#include <string>

#include "controlplane/binding/entry.hpp"
#include "controlplane/binding/store.hpp"

namespace homeport::binding {

/// Creates the table and sets the schema version.
extern const char* const kBindingSchema;
/// Takes a table of schema version 1 to the current one.
extern const char* const kMigrationFrom1;
/// The columns, comma separated, in the order of bind_entry() and read_entry().
extern const char* const kBindingColumns;
/// As many parameters as there are columns: "?,?,...".
[[nodiscard]] std::string binding_parameters();

void bind_entry(sqlite3_stmt* statement, const Entry& entry, const ClockPair& clocks);
void bind_home_address(sqlite3_stmt* statement, const Ipv6Address& home_address);

/// The current row, or a sentence that names the home address and the bad column.
[[nodiscard]] std::expected<Entry, std::string> read_entry(sqlite3_stmt* statement,
                                                           const ClockPair& clocks);

}  // namespace homeport::binding
