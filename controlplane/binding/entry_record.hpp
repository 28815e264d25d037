// SPDX-License-Identifier: BSD-3-Clause
// A change of a binding as octets of a file: what the journal is made of.
//
// A record is {length, check, kind, content}: length and check are 32 bits in little-endian order,
// length counts kind and content, check is the CRC-32C of both. Times are milliseconds of the wall
// clock since 1970.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/binding/store.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::binding {

/// Longest content that is written or believed.
inline constexpr std::size_t kMostRecord = 64 * 1024;

/// Appends a record that says "this is the entry now". False: it is too long, nothing is appended.
[[nodiscard]] bool append_entry(std::vector<std::uint8_t>& out, const Entry& entry,
                                const ClockPair& clocks);
/// Appends a record that says "there is none any more".
void append_erasure(std::vector<std::uint8_t>& out, const Ipv6Address& home_address);

/// A record whose check is right, in the octets that it was read from.
struct RecordView {
    Ipv6Address home_address{};
    bool is_erasure = false;
    ConstByteSpan content;  // of an entry, behind the home address
    std::size_t size = 0;   // octets of the whole record
};
/// The record at the start of `bytes`; nothing if there is no whole and sound one.
[[nodiscard]] std::optional<RecordView> view_record(ConstByteSpan bytes);
/// The entry of a record that is no erasure; nothing if its content makes no sense.
[[nodiscard]] std::optional<Entry> read_record(const RecordView& record, const ClockPair& clocks);

}  // namespace homeport::binding
