// SPDX-License-Identifier: BSD-3-Clause
// From the octets of a ring record to a typed command or event, and back. Nothing that a peer
// wrote is believed: type, length, trailing length, enumerations, address families, prefix lengths
// and the ends of strings are checked on a private copy.
//
// A handler is anything that can be called as handler(const Record&, ConstByteSpan trailing) for
// every record type of its direction. `trailing` (packet of TransmitPacket, TransmitFrame and Punt;
// policies of SpdReplace) is shared memory whose length was checked and whose contents can change
// at any time: copy first, look at the copy.
#pragma once

#include <cstring>
#include <expected>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/channel/ring.hpp"

namespace homeport::channel {

// Whether the values of a record are within their definition. Ports are not compared with those
// that exist, nor keys with what their algorithm wants: that is the receiver's knowledge.
[[nodiscard]] bool valid(const BeginSync& record);
[[nodiscard]] bool valid(const EndSync& record);
[[nodiscard]] bool valid(const AddressSet& record);
[[nodiscard]] bool valid(const AddressRemove& record);
[[nodiscard]] bool valid(const RouteSet& record);
[[nodiscard]] bool valid(const RouteRemove& record);
[[nodiscard]] bool valid(const NeighbourSet& record);
[[nodiscard]] bool valid(const NeighbourRemove& record);
[[nodiscard]] bool valid(const HomePrefixSet& record);
[[nodiscard]] bool valid(const HomePrefixRemove& record);
[[nodiscard]] bool valid(const BindingSet& record);
[[nodiscard]] bool valid(const BindingRemove& record);
[[nodiscard]] bool valid(const MobilePrefixSet& record);
[[nodiscard]] bool valid(const MobilePrefixRemove& record);
[[nodiscard]] bool valid(const VpnClientSet& record);
[[nodiscard]] bool valid(const VpnClientRemove& record);
[[nodiscard]] bool valid(const SelectorRecord& record);
[[nodiscard]] bool valid(const SaNetwork& record);
[[nodiscard]] bool valid(const SaSet& record);
[[nodiscard]] bool valid(const SaRemove& record);
[[nodiscard]] bool valid(const PolicyRecord& record);
[[nodiscard]] bool valid(const SpdReplace& record);
[[nodiscard]] bool valid(const TransmitPacket& record);
[[nodiscard]] bool valid(const TransmitFrame& record);
[[nodiscard]] bool valid(const TraceStart& record);
[[nodiscard]] bool valid(const TraceStop& record);
[[nodiscard]] bool valid(const ParametersSet& record);

[[nodiscard]] bool valid(const PortInfo& record);
[[nodiscard]] bool valid(const Acknowledge& record);
[[nodiscard]] bool valid(const CommandFailed& record);
[[nodiscard]] bool valid(const SyncDone& record);
[[nodiscard]] bool valid(const Punt& record);
[[nodiscard]] bool valid(const Trace& record);
[[nodiscard]] bool valid(const SaHighWater& record);
[[nodiscard]] bool valid(const SaLifetime& record);
[[nodiscard]] bool valid(const PathMtu& record);
[[nodiscard]] bool valid(const EspSource& record);
[[nodiscard]] bool valid(const EspMapping& record);
[[nodiscard]] bool valid(const FlowRuleInfo& record);

/// Octets that must follow the struct of a record.
template <class Record>
[[nodiscard]] std::size_t trailing_length(const Record& record) {
    if constexpr (requires { record.count; }) {
        return std::size_t{record.count} * sizeof(PolicyRecord);
    } else if constexpr (requires { record.network_count; }) {
        return std::size_t{record.network_count} * sizeof(SaNetwork);
    } else if constexpr (requires { record.length; }) {
        return record.length;
    } else {
        return 0;
    }
}

/// The `index`th policy behind an SpdReplace, as a private copy, not yet checked with valid().
/// Precondition: (index + 1) * sizeof(PolicyRecord) <= trailing.size().
[[nodiscard]] inline PolicyRecord policy_at(ConstByteSpan trailing, std::size_t index) {
    PolicyRecord policy;
    std::memcpy(&policy, trailing.data() + index * sizeof policy, sizeof policy);
    return policy;
}

/// The same of the networks behind an SaSet.
[[nodiscard]] inline SaNetwork network_at(ConstByteSpan trailing, std::size_t index) {
    SaNetwork network;
    std::memcpy(&network, trailing.data() + index * sizeof network, sizeof network);
    return network;
}

enum class DecodeError : std::uint8_t {
    kLength,       // shorter than its struct, or longer or shorter than it says
    kUnknownType,  // well-formed header of a type that this side does not know
    kValue,        // a member is out of its range
};

/// First octets of a record: enough to answer a command that could not be decoded.
template <class Header>
[[nodiscard]] std::expected<Header, DecodeError> decode_header(ConstByteSpan bytes) {
    if (bytes.size() < sizeof(Header)) return std::unexpected(DecodeError::kLength);
    Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.length != bytes.size()) return std::unexpected(DecodeError::kLength);
    return header;
}

namespace detail {

/// Copies, checks and hands over one record. The copy is wiped: it may have held keys.
template <class Record, class Header, class Handler>
std::expected<void, DecodeError> deliver(ConstByteSpan bytes, const Header& header,
                                         Handler& handler) {
    if (bytes.size() < sizeof(Record)) return std::unexpected(DecodeError::kLength);
    Record record;
    std::memcpy(&record, bytes.data(), sizeof record);
    record.header = header;  // the one that was checked; the shared one may have changed since
    std::expected<void, DecodeError> result;
    if (bytes.size() - sizeof(Record) != trailing_length(record)) {
        result = std::unexpected(DecodeError::kLength);
    } else if (!valid(record)) {
        result = std::unexpected(DecodeError::kValue);
    } else {
        handler(std::as_const(record), bytes.subspan(sizeof(Record)));
    }
    if constexpr (requires { record.encryption_key; }) explicit_bzero(&record, sizeof record);
    return result;
}

template <class Header, class Handler, class... Records>
struct Dispatcher {
    static std::expected<void, DecodeError> run(ConstByteSpan bytes, Handler& handler) {
        const auto header = decode_header<Header>(bytes);
        if (!header) return std::unexpected(header.error());
        // Two plain variables: g++ 12 takes a std::expected that is assigned to for uninitialised.
        bool delivered = false;
        DecodeError error = DecodeError::kUnknownType;
        const auto take = [&](const std::expected<void, DecodeError>& result) {
            delivered = result.has_value();
            if (!delivered) error = result.error();
            return true;
        };
        (void)((header->type == Records::kType &&
                take(deliver<Records>(bytes, *header, handler))) ||
               ...);
        if (!delivered) return std::unexpected(error);
        return {};
    }
};

}  // namespace detail

/// Decodes one command record and calls `handler` with it, once, unless there is an error.
template <class Handler>
std::expected<void, DecodeError> dispatch_command(ConstByteSpan bytes, Handler&& handler) {
    return detail::Dispatcher<CommandHeader, std::remove_reference_t<Handler>, BindingSet,
                              BindingRemove, TransmitPacket, TransmitFrame, SaSet, SaRemove,
                              RouteSet, RouteRemove, NeighbourSet, NeighbourRemove, AddressSet,
                              AddressRemove, HomePrefixSet, HomePrefixRemove, SpdReplace, BeginSync,
                              EndSync, TraceStart, TraceStop, ParametersSet, MobilePrefixSet,
                              MobilePrefixRemove, VpnClientSet, VpnClientRemove>::run(bytes,
                                                                                      handler);
}

/// Decodes one event record and calls `handler` with it, once, unless there is an error.
template <class Handler>
std::expected<void, DecodeError> dispatch_event(ConstByteSpan bytes, Handler&& handler) {
    return detail::Dispatcher<EventHeader, std::remove_reference_t<Handler>, Punt, Acknowledge,
                              CommandFailed, SyncDone, PortInfo, Trace, SaHighWater, SaLifetime,
                              PathMtu, EspSource, EspMapping, FlowRuleInfo>::run(bytes, handler);
}

[[nodiscard]] constexpr CommandError command_error_of(DecodeError error) {
    return error == DecodeError::kUnknownType ? CommandError::kUnknownType
                                              : CommandError::kMalformed;
}

/// Fills in type and length of `record`, and commits it with `trailing` behind it; `trailing` must
/// be trailing_length(record) octets. Not yet published. False: full, broken, too long, or the
/// lengths differ.
template <ChannelRecord Record>
[[nodiscard]] bool write_record(RingProducer& ring, Record& record, ConstByteSpan trailing = {}) {
    if (trailing.size() != trailing_length(record)) return false;
    record.header.type = Record::kType;
    record.header.length = static_cast<std::uint32_t>(sizeof(Record) + trailing.size());
    return ring.write(ConstByteSpan(reinterpret_cast<const std::uint8_t*>(&record), sizeof record),
                      trailing);
}

/// Copies `text` to a member array, cut to fit and always terminated.
template <std::size_t Size>
void copy_text(char (&member)[Size], std::string_view text) {
    const std::size_t length = text.size() < Size ? text.size() : Size - 1;
    std::memcpy(member, text.data(), length);
    std::memset(member + length, 0, Size - length);
}
/// The text of a member array, which ends at its first zero or its end.
template <std::size_t Size>
[[nodiscard]] std::string_view text_of(const char (&member)[Size]) {
    return {member, strnlen(member, Size)};
}

}  // namespace homeport::channel
