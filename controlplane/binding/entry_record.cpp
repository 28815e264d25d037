// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/entry_record.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <string>

#include "controlplane/binding/crc32c.hpp"

namespace homeport::binding {

namespace {

constexpr std::size_t kHeader = 8;  // length and check
constexpr std::uint8_t kSet = 1;
constexpr std::uint8_t kErase = 2;
constexpr std::int64_t kYear2200 = 7'258'118'400'000;

class Writer {
  public:
    explicit Writer(std::vector<std::uint8_t>& out) : out_(out) {}

    template <std::integral Number>
    void number(Number value) {
        const std::size_t at = out_.size();
        out_.resize(at + sizeof value);
        std::memcpy(out_.data() + at, &value, sizeof value);
    }
    template <class Enum>
        requires std::is_enum_v<Enum>
    void number(Enum value) {
        number(static_cast<std::underlying_type_t<Enum>>(value));
    }
    template <std::size_t Size>
    void octets(const std::array<std::uint8_t, Size>& bytes) {
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }
    void time(TimePoint time, const ClockPair& clocks) {
        number(std::int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(
                                clocks.to_wall(time).time_since_epoch())
                                .count()});
    }
    void source(const std::optional<OuterSource>& source) {
        number(static_cast<std::uint8_t>(source.has_value()));
        if (!source) return;
        octets(source->address.bytes);
        number(source->port);
    }
    void text(const std::string& text) {
        number(static_cast<std::uint16_t>(text.size()));
        out_.insert(out_.end(), text.begin(), text.end());
    }

  private:
    std::vector<std::uint8_t>& out_;
};

/// Reads what Writer wrote. After a first mistake everything reads as zero.
class Reader {
  public:
    explicit Reader(ConstByteSpan bytes) : left_(bytes) {}

    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] bool at_end() const { return left_.empty() && !failed_; }

    template <class Number>
    void number(Number& value) {
        const ConstByteSpan bytes = take(sizeof value);
        if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    }
    template <class Enum>
    void choice(Enum& value, Enum last) {
        std::underlying_type_t<Enum> read = 0;
        number(read);
        if (read > static_cast<std::underlying_type_t<Enum>>(last)) return fail();
        value = static_cast<Enum>(read);
    }
    void flag(bool& value) {
        std::uint8_t read = 0;
        number(read);
        if (read > 1) return fail();
        value = read != 0;
    }
    template <std::size_t Size>
    void octets(std::array<std::uint8_t, Size>& bytes) {
        const ConstByteSpan read = take(Size);
        if (!read.empty()) std::copy(read.begin(), read.end(), bytes.begin());
    }
    void time(TimePoint& time, const ClockPair& clocks) {
        std::int64_t milliseconds = 0;
        number(milliseconds);
        if (milliseconds < 0 || milliseconds > kYear2200) return fail();
        time = clocks.to_steady(WallTime{std::chrono::duration_cast<WallTime::duration>(
            std::chrono::milliseconds{milliseconds})});
    }
    void source(std::optional<OuterSource>& source) {
        bool is_there = false;
        flag(is_there);
        if (!is_there) return;
        octets(source.emplace().address.bytes);
        number(source->port);
    }
    void text(std::string& text) {
        std::uint16_t length = 0;
        number(length);
        const ConstByteSpan read = take(length);
        text.assign(read.begin(), read.end());
    }
    template <class Address>
    void prefix(Prefix<Address>& prefix) {
        octets(prefix.address.bytes);
        number(prefix.length);
        if (prefix.length > Prefix<Address>::kMaxLength) fail();
    }
    void fail() {
        failed_ = true;
        left_ = {};
    }

  private:
    ConstByteSpan take(std::size_t length) {
        if (length > left_.size()) {
            fail();
            return {};
        }
        const ConstByteSpan taken = left_.first(length);
        left_ = left_.subspan(length);
        return taken;
    }
    ConstByteSpan left_;
    bool failed_ = false;
};

constexpr std::array kFlags = {
    &Entry::home_registration, &Entry::link_local, &Entry::key_management_mobility,
    &Entry::mobile_router,     &Entry::force_udp,  &Entry::virtual_home_link};

void write_content(Writer& out, const Entry& entry, const ClockPair& clocks) {
    out.octets(entry.home_address.bytes);
    const auto* v6 = std::get_if<Ipv6Address>(&entry.care_of_address);
    out.number(static_cast<std::uint8_t>(v6 != nullptr));
    if (v6 != nullptr) {
        out.octets(v6->bytes);
    } else {
        out.octets(std::get<Ipv4Address>(entry.care_of_address).bytes);
    }
    out.number(entry.state);
    out.number(entry.sequence);
    out.number(entry.lifetime.value);
    out.time(entry.deadline, clocks);
    out.time(entry.registered, clocks);
    out.time(entry.updated, clocks);
    for (const auto flag : kFlags) out.number(static_cast<std::uint8_t>(entry.*flag));
    out.octets(entry.home_agent.bytes);
    out.number(entry.home_port);
    out.text(entry.node);
    out.number(entry.prefix_mode);
    out.number(static_cast<std::uint16_t>(entry.mobile_prefixes.size()));
    for (const Ipv6Prefix& prefix : entry.mobile_prefixes) {
        out.octets(prefix.address.bytes);
        out.number(prefix.length);
    }
    out.number(static_cast<std::uint16_t>(entry.ipv4_homes.size()));
    for (const Ipv4Home& home : entry.ipv4_homes) {
        out.octets(home.prefix.address.bytes);
        out.number(home.prefix.length);
        out.number(static_cast<std::uint8_t>(home.dynamic));
    }
    out.number(entry.encapsulation);
    out.number(entry.nat);
    out.source(entry.outer_source);
    out.source(entry.local_endpoint);
    out.source(entry.esp_source);
    out.number(entry.nat_refresh_time);
    out.number(entry.ipv6_udp_port);
}

void read_content(Reader& in, Entry& entry, const ClockPair& clocks) {
    bool is_ipv6 = false;
    in.flag(is_ipv6);
    if (is_ipv6) {
        in.octets(entry.care_of_address.emplace<Ipv6Address>().bytes);
    } else {
        in.octets(entry.care_of_address.emplace<Ipv4Address>().bytes);
    }
    in.choice(entry.state, State::kDeleteWait);
    in.number(entry.sequence);
    in.number(entry.lifetime.value);
    in.time(entry.deadline, clocks);
    in.time(entry.registered, clocks);
    in.time(entry.updated, clocks);
    for (const auto flag : kFlags) in.flag(entry.*flag);
    in.octets(entry.home_agent.bytes);
    in.number(entry.home_port);
    in.text(entry.node);
    in.choice(entry.prefix_mode, PrefixMode::kExplicit);
    std::uint16_t count = 0;
    in.number(count);
    for (; count != 0 && !in.failed(); --count) in.prefix(entry.mobile_prefixes.emplace_back());
    in.number(count);
    for (; count != 0 && !in.failed(); --count) {
        Ipv4Home& home = entry.ipv4_homes.emplace_back();
        in.prefix(home.prefix);
        in.flag(home.dynamic);
    }
    in.choice(entry.encapsulation, Encapsulation::kIpv6Udp);
    in.choice(entry.nat, NatVerdict::kForced);
    in.source(entry.outer_source);
    in.source(entry.local_endpoint);
    in.source(entry.esp_source);
    in.number(entry.nat_refresh_time);
    in.number(entry.ipv6_udp_port);
}

std::size_t begin_record(std::vector<std::uint8_t>& out, std::uint8_t kind) {
    const std::size_t start = out.size();
    out.resize(start + kHeader);
    out.push_back(kind);
    return start;
}

void end_record(std::vector<std::uint8_t>& out, std::size_t start) {
    const ConstByteSpan body = ConstByteSpan(out).subspan(start + kHeader);
    const auto length = static_cast<std::uint32_t>(body.size());
    const std::uint32_t check = crc32c(body);
    std::memcpy(out.data() + start, &length, 4);
    std::memcpy(out.data() + start + 4, &check, 4);
}

}  // namespace

bool append_entry(std::vector<std::uint8_t>& out, const Entry& entry, const ClockPair& clocks) {
    constexpr std::size_t kMostItems = 0xffff;
    const std::size_t start = begin_record(out, kSet);
    Writer writer(out);
    const bool fits = entry.node.size() <= kMostItems &&
                      entry.mobile_prefixes.size() <= kMostItems &&
                      entry.ipv4_homes.size() <= kMostItems;
    if (fits) write_content(writer, entry, clocks);
    if (!fits || out.size() - start - kHeader > kMostRecord) {
        out.resize(start);
        return false;
    }
    end_record(out, start);
    return true;
}

void append_erasure(std::vector<std::uint8_t>& out, const Ipv6Address& home_address) {
    const std::size_t start = begin_record(out, kErase);
    Writer(out).octets(home_address.bytes);
    end_record(out, start);
}

std::optional<RecordView> view_record(ConstByteSpan bytes) {
    constexpr std::size_t kLeast = 1 + sizeof(Ipv6Address);
    if (bytes.size() < kHeader + kLeast) return std::nullopt;
    std::uint32_t length;
    std::uint32_t check;
    std::memcpy(&length, bytes.data(), 4);
    std::memcpy(&check, bytes.data() + 4, 4);
    if (length < kLeast || length > kMostRecord || length > bytes.size() - kHeader) {
        return std::nullopt;
    }
    const ConstByteSpan body = bytes.subspan(kHeader, length);
    if (crc32c(body) != check || (body[0] != kSet && body[0] != kErase)) return std::nullopt;
    return RecordView{Ipv6Address::load(body.data() + 1), body[0] == kErase, body.subspan(kLeast),
                      kHeader + length};
}

std::optional<Entry> read_record(const RecordView& record, const ClockPair& clocks) {
    if (record.is_erasure) return std::nullopt;
    Entry entry;
    entry.home_address = record.home_address;
    Reader reader(record.content);
    read_content(reader, entry, clocks);
    if (!reader.at_end()) return std::nullopt;
    return entry;
}

}  // namespace homeport::binding
