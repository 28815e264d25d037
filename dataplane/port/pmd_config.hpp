// SPDX-License-Identifier: BSD-3-Clause
// What is known of each family of network interfaces: the files of pmd-config/.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace homeport::port {

/// One thing that rte_flow of this family takes.
struct FlowRule {
    std::string match;   // a word of generic.yaml; those that Homeport asks for: FlowMatch
    std::string action;  // queue, drop, mark
    std::string note;
};

struct PmdConfig {
    std::string name = "generic";  // of the file, without ".yaml"
    std::string title;
    std::vector<std::string> drivers;            // as DPDK names them
    std::map<std::string, std::string> devargs;  // added unless `device` gives them
    std::uint16_t max_queues = 16;
    std::uint16_t rx_descriptors = 512;
    std::uint16_t tx_descriptors = 512;
    bool rx_ipv4_checksum = true;  // wanted; used if the device has it
    bool tx_ipv4_checksum = true;
    bool rx_udp_checksum = false;
    bool tx_udp_checksum = false;
    std::uint64_t rss = 0;     // RTE_ETH_RSS_* wanted
    bool derived_mac = false;  // the device's address belongs to somebody else
    bool promiscuous = false;
    bool always_up = false;  // what the device says of its link means nothing
    /// A receive queue that no rule and no entry of the hash table names gets no packets.
    bool signalling_queue = false;
    /// Frames of a receive queue that runs over which are looked at for signalling; 0: a source
    /// that waits for us and loses nothing.
    std::uint16_t look_ahead = 512;
    std::vector<FlowRule> flow_rules;
    std::vector<std::string> limits;
    std::string notes;
};

class PmdConfigs {
  public:
    /// Reads all *.yaml of `directory`. Errors: one a line, "FILE:LINE:COLUMN: what, expected".
    [[nodiscard]] static std::expected<PmdConfigs, std::string> load(
        const std::filesystem::path& directory);

    /// The family of `driver`, or null: none names it.
    [[nodiscard]] const PmdConfig* find_driver(std::string_view driver) const;
    /// By the name of the file, or null.
    [[nodiscard]] const PmdConfig* find_name(std::string_view name) const;
    /// The file generic.yaml, or the built-in defaults.
    [[nodiscard]] const PmdConfig& generic() const;
    /// The family that a device string such as "net_tap0,iface=x" names before there is a device;
    /// null for PCI addresses and unknown ones.
    [[nodiscard]] const PmdConfig* find_device(std::string_view device) const;

    [[nodiscard]] const std::vector<PmdConfig>& all() const { return configs_; }

  private:
    std::vector<PmdConfig> configs_;
    PmdConfig built_in_;
};

/// Reads one file's text. The error is as for PmdConfigs::load().
[[nodiscard]] std::expected<PmdConfig, std::string> parse_pmd_config(const std::string& text,
                                                                     const std::string& name);

/// `device` with those `devargs` added whose keys it does not name.
[[nodiscard]] std::string with_devargs(std::string_view device,
                                       const std::map<std::string, std::string>& devargs);

/// The first directory of these that exists: `configured`; pmd-config beside the program;
/// ../share/homeport/pmd-config; that of the source tree. Empty: none.
[[nodiscard]] std::filesystem::path find_pmd_config_directory(
    const std::filesystem::path& configured);

}  // namespace homeport::port
