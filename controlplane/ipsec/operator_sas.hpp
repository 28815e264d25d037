// SPDX-License-Identifier: BSD-3-Clause
// Security associations that an operator added to a running control plane. Kept in a file of their
// own beside the store, so that they outlive it; what is kept names the key's file and is no key.
//
// Use: auto list = OperatorSas::open(path); put each of all() in force; add() and remove() write
// the file before they return.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"

namespace homeport::sa {

struct OperatorSa {
    Ipv6Address home_address;
    std::string purpose;  // a name of purposes()
    channel::SaDirection direction{};
    std::uint32_t spi = 0;  // inbound: 0 lets the control plane choose
    std::string algorithm;  // a name of the algorithm table of dataplane/ipsec
    std::string key_file;   // absolute; as for load_sa_keys()
    std::uint16_t replay_window = 0;
    bool extended_sequence = false;
    std::uint32_t soft_seconds = 0, hard_seconds = 0;  // 0: no limit
    std::uint64_t soft_bytes = 0, hard_bytes = 0;      // likewise
    std::uint64_t added_unix = 0;                      // seconds; where its time begins

    friend bool operator==(const OperatorSa&, const OperatorSa&) = default;
};

/// What an SA may be for: "bu", "mps", "rr", "cn", "payload".
[[nodiscard]] std::vector<std::string_view> purposes();

/// Names an SA: inbound ones by SPI, outbound ones by SPI and home address.
struct SaName {
    std::uint32_t spi = 0;
    channel::SaDirection direction{};
    Ipv6Address home_address;

    [[nodiscard]] bool names(const OperatorSa& sa) const {
        return sa.spi == spi && sa.direction == direction && sa.home_address == home_address;
    }
};

class OperatorSas {
  public:
    /// The error is a sentence. An empty path: nothing is kept. A missing file: none were added.
    [[nodiscard]] static std::expected<OperatorSas, std::string> open(std::string path);

    /// In the order in which they were added.
    [[nodiscard]] const std::vector<OperatorSa>& all() const { return sas_; }
    [[nodiscard]] bool contains(const SaName& name) const;
    /// The error is a sentence; nothing was changed then.
    [[nodiscard]] std::expected<void, std::string> add(OperatorSa sa);
    [[nodiscard]] std::expected<void, std::string> remove(const SaName& name);

  private:
    explicit OperatorSas(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] std::expected<void, std::string> write(const std::vector<OperatorSa>& sas) const;

    std::string path_;
    std::vector<OperatorSa> sas_;
};

}  // namespace homeport::sa
