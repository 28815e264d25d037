// SPDX-License-Identifier: BSD-3-Clause
// One DPDK port: found or made from the configuration's `device`, set up as its family wants.
// Used by the main lcore; the queues belong to the workers.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/config/config.hpp"
#include "dataplane/port/flow_steering.hpp"
#include "dataplane/port/pmd_config.hpp"

struct rte_eth_dev_info;
struct rte_mempool;

namespace homeport::port {

struct LinkState {
    bool up = false;
    std::uint32_t speed_mbps = 0;  // 0: not known
    friend bool operator==(const LinkState&, const LinkState&) = default;
};

class Port {
  public:
    /// Probes the device and asks what it can do. `workers` want one queue each; ports number
    /// `number` with fewer queues are spread over them. The error is a sentence that names port and
    /// device.
    [[nodiscard]] static std::expected<std::unique_ptr<Port>, std::string> open(
        const config::PortConfig& config, const PmdConfigs& pmd_configs, unsigned workers,
        unsigned number = 0);
    ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    /// Sets up queues, offloads, MTU, address and filters; `pool` takes received frames and must
    /// have room for frame_size(). Then starts.
    [[nodiscard]] std::expected<void, std::string> start(rte_mempool* pool);
    void stop();

    [[nodiscard]] std::uint16_t id() const { return id_; }
    [[nodiscard]] const std::string& name() const { return config_.name; }
    [[nodiscard]] const std::string& driver() const { return driver_; }
    [[nodiscard]] const PmdConfig& pmd_config() const { return pmd_config_; }
    /// The port's own address: what is sent to it is for us.
    [[nodiscard]] const MacAddress& mac() const { return mac_; }
    [[nodiscard]] std::uint16_t mtu() const { return mtu_; }
    /// Receive queues of data, without the one that may be for signalling alone.
    [[nodiscard]] std::uint16_t rx_queues() const {
        return static_cast<std::uint16_t>(layout_.workers.size());
    }
    /// With it, whether or not there are rules for it.
    [[nodiscard]] std::uint16_t all_rx_queues() const {
        return static_cast<std::uint16_t>(layout_.workers.size() + (layout_.signalling ? 1 : 0));
    }
    [[nodiscard]] unsigned worker_of_queue(std::uint16_t queue) const {
        return layout_.workers[queue];
    }
    /// Once started: the queue that gets signalling alone, and has rules for it.
    [[nodiscard]] std::optional<std::uint16_t> signalling_queue() const;
    /// Who polls that.
    [[nodiscard]] unsigned signalling_worker() const { return layout_.workers.front(); }
    /// Once started: frames of a data queue that runs over to be looked at for signalling; 0: none.
    [[nodiscard]] std::uint32_t look_ahead() const;
    /// Once started: what became of each steering rule.
    [[nodiscard]] std::span<const FlowRecord> flow_records() const { return flows_->records(); }
    [[nodiscard]] std::uint16_t tx_queues() const { return tx_queues_; }
    [[nodiscard]] bool rx_ipv4_checksum() const { return rx_ipv4_checksum_; }
    [[nodiscard]] bool tx_ipv4_checksum() const { return tx_ipv4_checksum_; }
    [[nodiscard]] bool rx_udp_checksum() const { return rx_udp_checksum_; }
    [[nodiscard]] bool tx_udp_checksum() const { return tx_udp_checksum_; }
    [[nodiscard]] const config::PortConfig& config() const { return config_; }
    /// Octets of the largest frame, Ethernet header and one VLAN tag included.
    [[nodiscard]] std::uint32_t frame_size() const { return std::uint32_t{mtu_} + 14 + 4; }
    /// What did not go as wished, but does not prevent operation; one sentence each.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
    /// True: no file of pmd-config names the driver.
    [[nodiscard]] bool generic_family() const { return generic_family_; }

    /// Asks the driver. Never waits.
    [[nodiscard]] LinkState link() const;

  private:
    explicit Port(config::PortConfig config) : config_(std::move(config)) {}
    [[nodiscard]] std::expected<void, std::string> probe(const PmdConfigs& pmd_configs);
    [[nodiscard]] std::expected<void, std::string> choose(const PmdConfigs& pmd_configs,
                                                          unsigned workers, unsigned number);
    [[nodiscard]] std::expected<void, std::string> configure();
    [[nodiscard]] std::expected<void, std::string> set_up_queues(rte_mempool* pool);
    [[nodiscard]] std::expected<void, std::string> bring_up(rte_mempool* pool);
    [[nodiscard]] bool spread_over_data_queues();
    void choose_queues(const rte_eth_dev_info& info, unsigned workers, unsigned number);
    void set_mtu();
    void set_mac();
    void set_filters();
    [[nodiscard]] std::string error(const std::string& what, int code) const;

    config::PortConfig config_;
    PmdConfig pmd_config_;
    std::uint16_t id_ = 0xffff;
    bool started_ = false;
    bool generic_family_ = false;
    bool foreign_mac_ = false;  // the device filters for another address than ours
    std::string driver_;
    MacAddress mac_;
    std::uint16_t mtu_ = 1500;
    QueueLayout layout_;
    std::uint16_t tx_queues_ = 1;
    std::unique_ptr<FlowSteering> flows_;
    bool rx_ipv4_checksum_ = false;
    bool tx_ipv4_checksum_ = false;
    bool rx_udp_checksum_ = false;
    bool tx_udp_checksum_ = false;
    std::vector<std::string> warnings_;
};

/// An address of its own for a port whose device's address is used by the device's other end:
/// locally administered, and always the same for the same device address and port name.
[[nodiscard]] MacAddress derive_mac(const MacAddress& device, const std::string& port_name);

}  // namespace homeport::port
