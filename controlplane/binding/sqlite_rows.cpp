// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/sqlite_rows.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "controlplane/binding/record_text.hpp"

namespace homeport::binding {

const char* const kBindingSchema =
    "CREATE TABLE binding ("
    " home_address TEXT PRIMARY KEY NOT NULL, care_of_address TEXT NOT NULL,"
    " state INTEGER NOT NULL, sequence INTEGER NOT NULL, lifetime INTEGER NOT NULL,"
    " deadline_ms INTEGER NOT NULL, registered_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, home_agent TEXT NOT NULL, home_port INTEGER NOT NULL,"
    " node TEXT NOT NULL, prefix_mode INTEGER NOT NULL, mobile_prefixes TEXT NOT NULL,"
    " ipv4_homes TEXT NOT NULL, encapsulation INTEGER NOT NULL, nat INTEGER NOT NULL,"
    " outer_source TEXT, local_endpoint TEXT, esp_source TEXT, nat_refresh_time INTEGER NOT NULL,"
    " ipv6_udp_port INTEGER NOT NULL DEFAULT 0"
    ") WITHOUT ROWID; PRAGMA user_version = 2;";

const char* const kMigrationFrom1 =
    "ALTER TABLE binding ADD COLUMN ipv6_udp_port INTEGER NOT NULL DEFAULT 0;"
    "PRAGMA user_version = 2;";

const char* const kBindingColumns =
    "home_address, care_of_address, state, sequence, lifetime, deadline_ms, registered_ms,"
    " updated_ms, flags, home_agent, home_port, node, prefix_mode, mobile_prefixes, ipv4_homes,"
    " encapsulation, nat, outer_source, local_endpoint, esp_source, nat_refresh_time, "
    "ipv6_udp_port";

namespace {

enum Column : int {
    kHomeAddress,
    kCareOfAddress,
    kState,
    kSequence,
    kLifetime,
    kDeadline,
    kRegistered,
    kUpdated,
    kFlags,
    kHomeAgent,
    kHomePort,
    kNode,
    kPrefixMode,
    kMobilePrefixes,
    kIpv4Homes,
    kEncapsulation,
    kNat,
    kOuterSource,
    kLocalEndpoint,
    kEspSource,
    kNatRefreshTime,
    kIpv6UdpPort,
    kColumnCount,
};

enum Flag : unsigned {
    kFlagHome = 1,
    kFlagLinkLocal = 2,
    kFlagKeyMobility = 4,
    kFlagMobileRouter = 8,
    kFlagForceUdp = 16,
    kFlagVirtual = 32,
};

std::int64_t milliseconds(WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime wall_time(std::int64_t milliseconds_since_epoch) {
    return WallTime{std::chrono::duration_cast<WallTime::duration>(
        std::chrono::milliseconds{milliseconds_since_epoch})};
}

std::int64_t flags_of(const Entry& entry) {
    unsigned flags = 0;
    if (entry.home_registration) flags |= kFlagHome;
    if (entry.link_local) flags |= kFlagLinkLocal;
    if (entry.key_management_mobility) flags |= kFlagKeyMobility;
    if (entry.mobile_router) flags |= kFlagMobileRouter;
    if (entry.force_udp) flags |= kFlagForceUdp;
    if (entry.virtual_home_link) flags |= kFlagVirtual;
    return flags;
}

void bind_text(sqlite3_stmt* statement, Column column, const std::string& text) {
    sqlite3_bind_text(statement, column + 1, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
}

void bind_number(sqlite3_stmt* statement, Column column, std::int64_t number) {
    sqlite3_bind_int64(statement, column + 1, number);
}

void bind_source(sqlite3_stmt* statement, Column column, const std::optional<OuterSource>& source) {
    if (source) {
        bind_text(statement, column, to_text(*source));
    } else {
        sqlite3_bind_null(statement, column + 1);
    }
}

/// Reads one row; remembers the first column that does not make sense.
class RowReader {
  public:
    explicit RowReader(sqlite3_stmt* statement) : statement_(statement) {}

    [[nodiscard]] std::string text(Column column) const {
        const auto* data = sqlite3_column_text(statement_, column);
        const int size = sqlite3_column_bytes(statement_, column);
        return data == nullptr ? std::string{}
                               : std::string{reinterpret_cast<const char*>(data),
                                             static_cast<std::size_t>(size)};
    }

    template <class Number>
    void number(Column column, Number& target, std::int64_t maximum) {
        const std::int64_t value = sqlite3_column_int64(statement_, column);
        if (value < 0 || value > maximum) return bad(column);
        target = static_cast<Number>(value);
    }

    /// `value` is what parsing the column gave.
    template <class Value, class Target>
    void take(Column column, std::optional<Value> value, Target& target) {
        if (!value) return bad(column);
        target = *std::move(value);
    }

    void source(Column column, std::optional<OuterSource>& target) {
        if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return;
        target = outer_source_from(text(column));
        if (!target) bad(column);
    }

    void time(Column column, const ClockPair& clocks, TimePoint& target) {
        const std::int64_t value = sqlite3_column_int64(statement_, column);
        constexpr std::int64_t kYear3000 = 32'503'680'000'000;
        if (value < 0 || value > kYear3000) return bad(column);
        target = clocks.to_steady(wall_time(value));
    }

    void bad(Column column) {
        if (bad_column_ == nullptr) bad_column_ = sqlite3_column_name(statement_, column);
    }
    [[nodiscard]] const char* bad_column() const { return bad_column_; }

  private:
    sqlite3_stmt* statement_;
    const char* bad_column_ = nullptr;
};

void read_flags(unsigned flags, Entry& entry) {
    entry.home_registration = (flags & kFlagHome) != 0;
    entry.link_local = (flags & kFlagLinkLocal) != 0;
    entry.key_management_mobility = (flags & kFlagKeyMobility) != 0;
    entry.mobile_router = (flags & kFlagMobileRouter) != 0;
    entry.force_udp = (flags & kFlagForceUdp) != 0;
    entry.virtual_home_link = (flags & kFlagVirtual) != 0;
}

Entry read_columns(RowReader& row, const ClockPair& clocks) {
    Entry entry;
    row.take(kHomeAddress, Ipv6Address::parse(row.text(kHomeAddress)), entry.home_address);
    row.take(kCareOfAddress, parse_ip_address(row.text(kCareOfAddress)), entry.care_of_address);
    row.number(kState, entry.state, 2);
    row.number(kSequence, entry.sequence, 0xffff);
    row.number(kLifetime, entry.lifetime.value, 0xffff);
    row.time(kDeadline, clocks, entry.deadline);
    row.time(kRegistered, clocks, entry.registered);
    row.time(kUpdated, clocks, entry.updated);
    unsigned flags = 0;
    row.number(kFlags, flags, 63);
    read_flags(flags, entry);
    row.take(kHomeAgent, Ipv6Address::parse(row.text(kHomeAgent)), entry.home_agent);
    row.number(kHomePort, entry.home_port, 0xffff);
    entry.node = row.text(kNode);
    row.number(kPrefixMode, entry.prefix_mode, 2);
    row.take(kMobilePrefixes, ipv6_prefixes_from(row.text(kMobilePrefixes)), entry.mobile_prefixes);
    row.take(kIpv4Homes, ipv4_homes_from(row.text(kIpv4Homes)), entry.ipv4_homes);
    row.number(kEncapsulation, entry.encapsulation, 3);
    row.number(kNat, entry.nat, 3);
    row.source(kOuterSource, entry.outer_source);
    row.source(kLocalEndpoint, entry.local_endpoint);
    row.source(kEspSource, entry.esp_source);
    row.number(kNatRefreshTime, entry.nat_refresh_time, 0xffffffff);
    row.number(kIpv6UdpPort, entry.ipv6_udp_port, 0xffff);
    return entry;
}

}  // namespace

std::string binding_parameters() {
    std::string marks = "?";
    for (int i = 1; i < kColumnCount; ++i) marks += ",?";
    return marks;
}

void bind_entry(sqlite3_stmt* statement, const Entry& entry, const ClockPair& clocks) {
    bind_text(statement, kHomeAddress, entry.home_address.to_string());
    bind_text(statement, kCareOfAddress, to_string(entry.care_of_address));
    bind_number(statement, kState, static_cast<int>(entry.state));
    bind_number(statement, kSequence, entry.sequence);
    bind_number(statement, kLifetime, entry.lifetime.value);
    bind_number(statement, kDeadline, milliseconds(clocks.to_wall(entry.deadline)));
    bind_number(statement, kRegistered, milliseconds(clocks.to_wall(entry.registered)));
    bind_number(statement, kUpdated, milliseconds(clocks.to_wall(entry.updated)));
    bind_number(statement, kFlags, flags_of(entry));
    bind_text(statement, kHomeAgent, entry.home_agent.to_string());
    bind_number(statement, kHomePort, entry.home_port);
    bind_text(statement, kNode, entry.node);
    bind_number(statement, kPrefixMode, static_cast<int>(entry.prefix_mode));
    bind_text(statement, kMobilePrefixes, to_text(entry.mobile_prefixes));
    bind_text(statement, kIpv4Homes, to_text(entry.ipv4_homes));
    bind_number(statement, kEncapsulation, static_cast<int>(entry.encapsulation));
    bind_number(statement, kNat, static_cast<int>(entry.nat));
    bind_source(statement, kOuterSource, entry.outer_source);
    bind_source(statement, kLocalEndpoint, entry.local_endpoint);
    bind_source(statement, kEspSource, entry.esp_source);
    bind_number(statement, kNatRefreshTime, entry.nat_refresh_time);
    bind_number(statement, kIpv6UdpPort, entry.ipv6_udp_port);
}

void bind_home_address(sqlite3_stmt* statement, const Ipv6Address& home_address) {
    bind_text(statement, kHomeAddress, home_address.to_string());
}

std::expected<Entry, std::string> read_entry(sqlite3_stmt* statement, const ClockPair& clocks) {
    RowReader row(statement);
    Entry entry = read_columns(row, clocks);
    if (row.bad_column() == nullptr) return entry;
    return std::unexpected("binding of " + row.text(kHomeAddress) + ": bad value in column " +
                           row.bad_column());
}

}  // namespace homeport::binding
