// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port.hpp"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <algorithm>
#include <cstring>

namespace homeport::port {

namespace {

rte_ether_addr ether(const MacAddress& mac) {
    rte_ether_addr address;
    mac.store(address.addr_bytes);
    return address;
}

std::vector<std::uint16_t> all_ports() {
    std::vector<std::uint16_t> ports;
    for (std::uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id) {
        if (rte_eth_dev_is_valid_port(id) != 0) ports.push_back(id);
    }
    return ports;
}

}  // namespace

MacAddress derive_mac(const MacAddress& device, const std::string& port_name) {
    std::uint32_t mix = 2166136261u;  // FNV-1a
    for (const std::uint8_t byte : device.bytes) mix = (mix ^ byte) * 16777619u;
    for (const char c : port_name) mix = (mix ^ static_cast<std::uint8_t>(c)) * 16777619u;
    MacAddress own{{0x02, 0x48, 0x50, 0, 0, 0}};
    for (std::size_t i = 0; i < 3; ++i) {
        own.bytes[3 + i] = static_cast<std::uint8_t>(mix >> (8 * i));
    }
    if (own == device) own.bytes[5] ^= 1;
    return own;
}

std::string Port::error(const std::string& what, int code) const {
    return "port " + config_.name + " (" + config_.device + "): " + what + ": " +
           rte_strerror(code < 0 ? -code : code);
}

std::expected<std::unique_ptr<Port>, std::string> Port::open(const config::PortConfig& config,
                                                             const PmdConfigs& pmd_configs,
                                                             unsigned workers, unsigned number) {
    std::unique_ptr<Port> port(new Port(config));
    if (auto probed = port->probe(pmd_configs); !probed) return std::unexpected(probed.error());
    port->flows_ = std::make_unique<FlowSteering>(rte_flow_backend(), port->id_);
    if (auto chosen = port->choose(pmd_configs, workers, number); !chosen) {
        return std::unexpected(chosen.error());
    }
    return port;
}

std::expected<void, std::string> Port::probe(const PmdConfigs& pmd_configs) {
    const std::string device_name = config_.device.substr(0, config_.device.find(','));
    if (rte_eth_dev_get_port_by_name(device_name.c_str(), &id_) == 0) return {};
    std::string device = config_.device;
    if (const PmdConfig* family = pmd_configs.find_device(device)) {
        device = with_devargs(device, family->devargs);
    }
    const std::vector<std::uint16_t> before = all_ports();
    if (const int code = rte_dev_probe(device.c_str()); code != 0) {
        return std::unexpected(error("the device cannot be opened (" + device + ")", code));
    }
    if (rte_eth_dev_get_port_by_name(device_name.c_str(), &id_) == 0) return {};
    for (const std::uint16_t id : all_ports()) {
        if (std::ranges::find(before, id) != before.end()) continue;
        id_ = id;
        return {};
    }
    return std::unexpected(error("the device is there but is no network interface", ENODEV));
}

std::expected<void, std::string> Port::choose(const PmdConfigs& pmd_configs, unsigned workers,
                                              unsigned number) {
    rte_eth_dev_info info;
    if (const int code = rte_eth_dev_info_get(id_, &info); code != 0) {
        return std::unexpected(error("its properties cannot be read", code));
    }
    driver_ = info.driver_name != nullptr ? info.driver_name : "unknown";
    const PmdConfig* family = config_.pmd_config == "auto"
                                  ? pmd_configs.find_driver(driver_)
                                  : pmd_configs.find_name(config_.pmd_config);
    if (family == nullptr && config_.pmd_config != "auto") {
        return std::unexpected("port " + config_.name + ": pmd_config '" + config_.pmd_config +
                               "': there is no such file in the directory of pmd-config");
    }
    generic_family_ = family == nullptr;
    pmd_config_ = family != nullptr ? *family : pmd_configs.generic();

    choose_queues(info, workers, number);
    rx_ipv4_checksum_ =
        pmd_config_.rx_ipv4_checksum && (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
    tx_ipv4_checksum_ =
        pmd_config_.tx_ipv4_checksum && (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
    rx_udp_checksum_ =
        pmd_config_.rx_udp_checksum && (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
    tx_udp_checksum_ =
        pmd_config_.tx_udp_checksum && (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
    mtu_ = config_.mtu;
    if (info.max_mtu >= 1280 && mtu_ > info.max_mtu) {
        warnings_.push_back("port " + config_.name + ": MTU " + std::to_string(mtu_) +
                            " is configured, the device takes no more than " +
                            std::to_string(info.max_mtu) + ", which is used");
        mtu_ = info.max_mtu;
    }
    rte_ether_addr device_mac;
    if (rte_eth_macaddr_get(id_, &device_mac) == 0) {
        mac_ = MacAddress::load(device_mac.addr_bytes);
    }
    return {};
}

/// One receive queue a worker that may poll the port, as far as device and family go; and one for
/// signalling where that can be kept free of everything else.
void Port::choose_queues(const rte_eth_dev_info& info, unsigned workers, unsigned number) {
    std::vector<unsigned> polling = config_.workers;
    if (polling.empty()) {
        for (unsigned worker = 0; worker < workers; ++worker) polling.push_back(worker);
    }
    std::erase_if(polling, [&](unsigned worker) { return worker >= workers; });
    if (polling.empty()) polling.push_back(0);
    const auto all = static_cast<std::uint16_t>(polling.size());
    const std::uint16_t wanted = config_.queues != 0 ? std::min(config_.queues, all) : all;
    const std::uint16_t queues =
        std::max<std::uint16_t>(1, std::min({wanted, pmd_config_.max_queues, info.max_rx_queues}));
    // A device with few queues is polled by another worker than the device before it.
    const unsigned first = queues < all ? number : 0;
    for (unsigned queue = 0; queue < queues; ++queue) {
        layout_.workers.push_back(polling[(queue + first) % polling.size()]);
    }
    tx_queues_ = std::max<std::uint16_t>(
        1, std::min<std::uint16_t>(static_cast<std::uint16_t>(workers),
                                   std::min(pmd_config_.max_queues, info.max_tx_queues)));
    if (config_.flow_rules && pmd_config_.signalling_queue && takes_signalling_rules(pmd_config_) &&
        queues < info.max_rx_queues && info.reta_size != 0) {
        layout_.signalling = queues;
    }
    if (config_.queues > queues) {
        warnings_.push_back("port " + config_.name + ": " + std::to_string(config_.queues) +
                            " receive queues are configured, " + std::to_string(queues) +
                            " are used (workers: " + std::to_string(all) + ", the device has " +
                            std::to_string(info.max_rx_queues) + ")");
    }
}

std::expected<void, std::string> Port::start(rte_mempool* pool) {
    if (auto up = bring_up(pool); !up) return up;
    if (layout_.signalling && !spread_over_data_queues()) {
        layout_.signalling.reset();
        stop();
        if (auto up = bring_up(pool); !up) return up;
    }
    set_filters();
    flows_->install(layout_, pmd_config_, config_.flow_rules);
    return {};
}

std::expected<void, std::string> Port::bring_up(rte_mempool* pool) {
    if (auto done = configure(); !done) return done;
    if (auto done = set_up_queues(pool); !done) return done;
    set_mtu();
    set_mac();
    if (const int code = rte_eth_dev_start(id_); code != 0) {
        return std::unexpected(error("it cannot be started", code));
    }
    started_ = true;
    return {};
}

/// Keeps the queue of signalling out of the table by which the device spreads all that no rule
/// names. False: it has no such table, or keeps it for itself.
bool Port::spread_over_data_queues() {
    rte_eth_dev_info info;
    if (rte_eth_dev_info_get(id_, &info) != 0 || info.reta_size == 0) return false;
    const std::size_t groups =
        (info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) / RTE_ETH_RETA_GROUP_SIZE;
    std::vector<rte_eth_rss_reta_entry64> table(groups);
    for (std::uint16_t entry = 0; entry < info.reta_size; ++entry) {
        rte_eth_rss_reta_entry64& group = table[entry / RTE_ETH_RETA_GROUP_SIZE];
        group.mask |= std::uint64_t{1} << (entry % RTE_ETH_RETA_GROUP_SIZE);
        group.reta[entry % RTE_ETH_RETA_GROUP_SIZE] =
            static_cast<std::uint16_t>(entry % layout_.workers.size());
    }
    return rte_eth_dev_rss_reta_update(id_, table.data(), info.reta_size) == 0;
}

std::optional<std::uint16_t> Port::signalling_queue() const {
    const bool has_rules = std::ranges::any_of(flows_->records(), [](const FlowRecord& record) {
        return record.rule.purpose == FlowPurpose::kSignalling &&
               record.state == channel::FlowRuleState::kInstalled;
    });
    return has_rules ? layout_.signalling : std::nullopt;
}

std::uint32_t Port::look_ahead() const {
    if (flows_->separates_signalling()) return 0;
    return config_.look_ahead.value_or(pmd_config_.look_ahead);
}

std::expected<void, std::string> Port::configure() {
    rte_eth_dev_info info;
    if (const int code = rte_eth_dev_info_get(id_, &info); code != 0) {
        return std::unexpected(error("its properties cannot be read", code));
    }
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    conf.rxmode.mtu = mtu_;
    if (rx_ipv4_checksum_) conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
    if (tx_ipv4_checksum_) conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
    if (rx_udp_checksum_) conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
    if (tx_udp_checksum_) conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    if (all_rx_queues() > 1) {
        conf.rx_adv_conf.rss_conf.rss_hf = pmd_config_.rss & info.flow_type_rss_offloads;
        if (conf.rx_adv_conf.rss_conf.rss_hf != 0) {
            conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        } else if (info.flow_type_rss_offloads != 0 || pmd_config_.rss != 0) {
            warnings_.push_back("port " + config_.name +
                                ": the device has none of the hash functions wanted: how it "
                                "spreads packets over its queues is its own affair");
        }
    }
    int code = rte_eth_dev_configure(id_, all_rx_queues(), tx_queues_, &conf);
    if (code == -EINVAL && conf.rxmode.mtu != 1500) {
        // Some virtual devices refuse to be told an MTU here and take it later.
        conf.rxmode.mtu = 0;
        code = rte_eth_dev_configure(id_, all_rx_queues(), tx_queues_, &conf);
    }
    if (code != 0) return std::unexpected(error("it refuses its configuration", code));
    return {};
}

std::expected<void, std::string> Port::set_up_queues(rte_mempool* pool) {
    std::uint16_t rx_descriptors = pmd_config_.rx_descriptors;
    std::uint16_t tx_descriptors = pmd_config_.tx_descriptors;
    if (const int code = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx_descriptors, &tx_descriptors);
        code != 0) {
        return std::unexpected(error("numbers of descriptors", code));
    }
    const auto socket = static_cast<unsigned>(std::max(0, rte_eth_dev_socket_id(id_)));
    for (std::uint16_t queue = 0; queue < tx_queues_; ++queue) {
        const int code = rte_eth_tx_queue_setup(id_, queue, tx_descriptors, socket, nullptr);
        if (code != 0) {
            return std::unexpected(error("transmit queue " + std::to_string(queue), code));
        }
    }
    for (std::uint16_t queue = 0; queue < all_rx_queues(); ++queue) {
        const int code = rte_eth_rx_queue_setup(id_, queue, rx_descriptors, socket, nullptr, pool);
        if (code != 0) {
            return std::unexpected(error("receive queue " + std::to_string(queue), code));
        }
    }
    return {};
}

void Port::set_mtu() {
    // Even if it was told at configuration: net_tap passes it on to its kernel end only here.
    const int code = rte_eth_dev_set_mtu(id_, mtu_);
    if (code != 0 && code != -ENOTSUP) warnings_.push_back(error("MTU", code));
}

void Port::set_mac() {
    const MacAddress device = mac_;
    if (config_.mac) mac_ = *config_.mac;
    // A device without an address of its own has nothing that it could be told either.
    if (pmd_config_.derived_mac || device == MacAddress{}) {
        if (!config_.mac) mac_ = derive_mac(device, config_.name);
        return;
    }
    if (!config_.mac || mac_ == device) return;
    rte_ether_addr address = ether(mac_);
    foreign_mac_ = rte_eth_dev_default_mac_addr_set(id_, &address) != 0;
}

void Port::set_filters() {
    const int all_groups = rte_eth_allmulticast_enable(id_);
    // Solicited-node groups of all bound addresses of a home link: too many to list one by one.
    const bool promiscuous = pmd_config_.promiscuous || foreign_mac_ || all_groups != 0;
    if (!promiscuous) return;
    const int code = rte_eth_promiscuous_enable(id_);
    if (code != 0 && code != -ENOTSUP) {
        warnings_.push_back(error("it takes no more than its own address", code));
    }
}

LinkState Port::link() const {
    if (pmd_config_.always_up) return {.up = started_, .speed_mbps = 0};
    rte_eth_link link;
    std::memset(&link, 0, sizeof link);
    if (rte_eth_link_get_nowait(id_, &link) != 0) return {};
    const bool speed_known = link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN;
    return {.up = link.link_status == RTE_ETH_LINK_UP,
            .speed_mbps = speed_known ? link.link_speed : 0};
}

void Port::stop() {
    if (flows_ != nullptr) flows_->remove();
    if (started_) rte_eth_dev_stop(id_);
    started_ = false;
}

Port::~Port() {
    stop();
    if (id_ == 0xffff || rte_eth_dev_is_valid_port(id_) == 0) return;
    rte_eth_dev_info info;
    const bool known = rte_eth_dev_info_get(id_, &info) == 0;
    rte_eth_dev_close(id_);
    if (known && info.device != nullptr) rte_dev_remove(info.device);
}

}  // namespace homeport::port
