// SPDX-License-Identifier: BSD-3-Clause
// homeport.yaml, the one configuration file of both processes, as plain structs. Every default
// below is in force when the key, or the whole file, is missing: the programs then start on
// virtual devices. Nothing here throws.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::config {

inline constexpr std::string_view kDefaultFile = "/etc/homeport/homeport.yaml";
inline constexpr std::string_view kDefaultChannelSocket = "/run/homeport/channel.sock";
inline constexpr std::string_view kDefaultManagementSocket = "/run/homeport/control.sock";

// ------------------------------------------------------------------------------ dataplane:

enum class HugePages : std::uint8_t { kAuto, kOn, kOff };
enum class CryptoCpu : std::uint8_t { kAuto, kSse, kAvx, kAvx2, kAvx512 };

struct PortConfig {
    std::string name;    // "home0": how the rest of the file, the CLI and the log call it
    std::string device;  // PCI address, or virtual device with its arguments: "net_tap0,iface=x"
    std::string tap;     // name of the exception TAP, at most 15 characters; default "hp-" + name
    std::optional<MacAddress> mac;    // none: the device's own
    std::uint16_t mtu = 1500;         // octets, 1280..9198
    std::uint16_t queues = 0;         // receive queues; 0: one a worker, as far as the device goes
    std::string pmd_config = "auto";  // name of a file in pmd_config_dir, or auto by driver
    std::vector<unsigned> workers{};  // that poll it, by their place in `workers`; empty: all
    bool flow_rules = true;           // rte_flow rules are tried
    /// Frames of a receive queue that runs over which are looked at for signalling, before the data
    /// among them; 0: none. None given: as pmd-config says of the family.
    std::optional<std::uint32_t> look_ahead{};

    friend bool operator==(const PortConfig&, const PortConfig&) = default;
};

struct WorkerConfig {
    std::vector<unsigned> lcores;  // empty: `count` lcores, chosen by the program
    unsigned count = 1;            // equals lcores.size() if that is not empty

    friend bool operator==(const WorkerConfig&, const WorkerConfig&) = default;
};

struct ReassemblyConfig {
    std::uint32_t entries = 4096;      // datagrams in reassembly, per worker
    std::uint32_t timeout_ms = 60000;  // RFC 8200 section 4.5
    std::uint32_t per_source = 64;     // of these from one source

    friend bool operator==(const ReassemblyConfig&, const ReassemblyConfig&) = default;
};

struct IpsecConfig {
    CryptoCpu cpu = CryptoCpu::kAuto;
    bool copy_mode = false;  // S1.9: a fresh buffer at both edges of IPsec; for tests

    friend bool operator==(const IpsecConfig&, const IpsecConfig&) = default;
};

struct DataplaneConfig {
    unsigned main_lcore = 0;
    WorkerConfig workers;
    std::uint32_t idle_backoff_us = 100;  // longest sleep of an idle worker; 0: polls without rest
    HugePages huge_pages = HugePages::kAuto;
    std::uint32_t memory_mb = 512;
    std::vector<std::string> eal_args;  // appended to the EAL's command line as they are
    std::string file_prefix = "homeport";
    std::string channel_socket{kDefaultChannelSocket};
    std::string channel_group;  // group that may attach to the channel; empty: the process's own
    std::uint32_t mbufs = 16384;
    std::vector<PortConfig> ports;  // at least one
    std::uint32_t max_bindings = 65536;
    std::uint32_t max_routes = 65536;
    std::uint32_t max_adjacencies = 65536;
    std::uint32_t max_sas = 131072;  // both directions together
    ReassemblyConfig reassembly;
    IpsecConfig ipsec;
    std::string pmd_config_dir = "/usr/share/homeport/pmd-config";

    friend bool operator==(const DataplaneConfig&, const DataplaneConfig&) = default;
};

// --------------------------------------------------------------------------- controlplane:

inline constexpr std::uint32_t kInfiniteLifetime = 0xffffffff;

struct HomeAgentConfig {
    std::vector<Ipv6Address> addresses;  // one inside each home prefix; the first is the default
    std::vector<Ipv4Address> ipv4_addresses;  // tunnels over IPv4 end here (RFC 5555)
    std::uint16_t preference = 0;   // home agent preference in DHAAD (RFC 6275 section 7.4)
    std::uint16_t lifetime = 1800;  // seconds, 1..65535
    /// Seconds: MinMobPfxAdvInterval and MaxMobPfxAdvInterval (RFC 6275 section 13), 3..2^31-1.
    std::uint32_t min_prefix_advertisement_interval = 600;
    std::uint32_t max_prefix_advertisement_interval = 86400;  // >= min

    friend bool operator==(const HomeAgentConfig&, const HomeAgentConfig&) = default;
};

enum class NoBinding : std::uint8_t { kForwardHome, kDrop };  // S1.17

/// Successive IPv4 addresses.
struct Ipv4PoolConfig {
    Ipv4Address first;
    Ipv4Address last;  // >= first; at most 2^20 addresses

    friend bool operator==(const Ipv4PoolConfig&, const Ipv4PoolConfig&) = default;
};

struct HomeLinkConfig {
    Ipv6Prefix prefix;                      // masked
    std::optional<Ipv4Prefix> ipv4_prefix;  // masked; of IPv4 home addresses of this link's nodes
    /// Given to nodes that ask for any address (RFC 5555 section 4.5); inside `ipv4_prefix`.
    std::optional<Ipv4PoolConfig> ipv4_pool;
    std::string port;  // name of a port: a real home link; empty: a virtual prefix ("virtual")
    NoBinding no_binding = NoBinding::kForwardHome;  // virtual prefixes: drop, unless set
    bool duplicate_address_detection = true;         // virtual prefixes: false
    // Seconds from the moment that the file is read: the prefix ends then. Infinite: it does not.
    std::uint32_t valid_lifetime = kInfiniteLifetime;
    std::uint32_t preferred_lifetime = kInfiniteLifetime;  // <= valid

    [[nodiscard]] bool is_virtual() const { return port.empty(); }
    friend bool operator==(const HomeLinkConfig&, const HomeLinkConfig&) = default;
};

/// A pair of static ESP SAs between one mobile node and the home agent, named from the home
/// agent's side: `in` protects what the mobile node sends.
struct SaPairConfig {
    std::uint32_t spi_in = 0;   // 256..2^32-1
    std::uint32_t spi_out = 0;  // 256..2^32-1
    std::string algorithm;      // a name of the algorithm table of dataplane/ipsec
    std::string key_file_in;    // absolute; a relative one counts from the file's directory
    std::string key_file_out;
    std::uint16_t replay_window = 0;  // packets; 0: off (the default of manual keys), 64..4096
    bool extended_sequence = false;

    friend bool operator==(const SaPairConfig&, const SaPairConfig&) = default;
};

struct MobileNodeConfig {
    std::string name;
    Ipv6Address home_address;
    std::optional<Ipv4Address> ipv4_home_address;    // static, bound on request (RFC 5555)
    std::vector<Ipv6Prefix> mobile_prefixes;         // of a mobile router (RFC 3963)
    std::vector<Ipv4Prefix> ipv4_mobile_prefixes;    // the same, RFC 5555 section 3.1.1 flag P
    std::optional<SaPairConfig> binding_update;      // security.bu: table S1-SPD entry 2
    std::optional<SaPairConfig> prefix_discovery;    // security.mps: entry 3
    std::optional<SaPairConfig> return_routability;  // security.rr: entry 4, tunnel mode
    std::optional<SaPairConfig> correspondent;       // security.cn: entry 4c, tunnel mode
    std::optional<SaPairConfig> payload;             // security.payload: entry 6, tunnel mode

    friend bool operator==(const MobileNodeConfig&, const MobileNodeConfig&) = default;
};

/// SAs of one purpose for all nodes of a range: node i has SPIs spi_in + i and spi_out + i.
struct RangeSasConfig {
    std::uint32_t spi_in = 0;   // 256..2^32-1
    std::uint32_t spi_out = 0;  // 256..2^32-1
    std::string algorithm;
    std::uint16_t replay_window = 0;  // as in SaPairConfig
    bool extended_sequence = false;

    friend bool operator==(const RangeSasConfig&, const RangeSasConfig&) = default;
};

/// `count` mobile nodes with successive home addresses and SPIs. Node i has home address first + i
/// and, in `key_directory`, the key files `<home address>.in.key` and `<home address>.out.key` for
/// binding updates, `<home address>.mps.in.key` and so on for the rest.
struct MobileNodeRangeConfig {
    std::string name;
    Ipv6Address first;
    std::optional<Ipv4Address> ipv4_first;  // of IPv4 home addresses; node i has ipv4_first + i
    std::uint32_t count = 0;
    std::string key_directory;
    std::optional<RangeSasConfig> binding_update;      // the keys of `security` itself
    std::optional<RangeSasConfig> prefix_discovery;    // security.mps
    std::optional<RangeSasConfig> return_routability;  // security.rr
    std::optional<RangeSasConfig> correspondent;       // security.cn
    std::optional<RangeSasConfig> payload;             // security.payload

    friend bool operator==(const MobileNodeRangeConfig&, const MobileNodeRangeConfig&) = default;
};

/// How sealed signalling is told from sealed data behind IPsec (S1.8, S1.18): by the SPIs that
/// IPsec tells, or by what packets look like and when they come.
enum class Technique : std::uint8_t { kApi, kHeuristic };
/// What becomes of payload under ESP that does not come from the care-of address (path P4): it is
/// authentic all the same, since IPsec does not look at the outer source (S1.20).
enum class CheckEspOuter : std::uint8_t { kOff, kLog, kDrop };

struct PolicyConfig {
    std::uint32_t max_lifetime = 3600;       // seconds, 4..262140
    std::uint32_t refresh_advice = 0;        // seconds; 0: none is sent
    bool protect_return_routability = true;  // table S1-SPD entries 4 and 4c; off: bypassed
    bool protect_payload = false;            // entry 6; off: payload goes in plain tunnels
    CheckEspOuter check_esp_outer = CheckEspOuter::kLog;
    /// Off: Packet Too Big about tunnels is heeded only if it comes through an SA. The path MTUs
    /// are then those of the configuration.
    bool believe_packet_too_big = true;
    bool require_esp = false;          // plain reverse tunnels are dropped (mip6.rt.need_esp)
    std::vector<Ipv6Prefix> coa_deny;  // care-of addresses that are refused with status 174
    Technique technique = Technique::kApi;
    bool require_api = true;              // S1.82: the heuristic technique is refused
    std::uint16_t bu_heur_timeout = 500;  // milliseconds, 10..10000 (S1.47)
    std::uint8_t bu_heur_min_pkts = 8;    // 1..250 (S1.47)
    bool allow_unprotected = false;       // lab: BU and BA without ESP
    bool lab_static_gcm = false;          // lab: static keys with GCM and its kin

    friend bool operator==(const PolicyConfig&, const PolicyConfig&) = default;
};

/// Form of sealed payload over IPv4: the IPv6 header that IPsec made is replaced (RFC 5555 5.3,
/// path P13), or goes inside UDP 4191 (S1.19).
enum class EspOverIpv4 : std::uint8_t { kReplaced, kNested };

/// IPv4 care-of addresses and NATs (RFC 5555).
struct DualStackConfig {
    std::uint32_t nat_refresh = 110;  // seconds, 5..65535: NATKATIMEOUT, told to mobile nodes
    bool force_udp = false;           // UDP 4191 also where no NAT is seen
    bool accept_force_udp = false;    // flag F of binding updates; off: status 144
    bool omit_nat_detection = false;  // no option 31 where no NAT is seen (against 4.2)
    bool tlv_header = false;          // RFC 5845 header accepted on UDP 4191
    EspOverIpv4 esp_over_ipv4 = EspOverIpv4::kReplaced;
    std::uint32_t nat_pending_max = 0;     // S1.64; 0: a sixteenth of dataplane.max_bindings
    std::uint16_t nat_pending_ttl = 2000;  // milliseconds, 10..60000
    std::uint8_t nat_lock_depth = 4;       // S1.66: 1..4
    std::uint16_t nat_lock_timeout = 50;   // milliseconds, 1..1000
    std::uint32_t source_changes_per_minute = 60;  // of one binding (S1.80); 0: any number

    friend bool operator==(const DualStackConfig&, const DualStackConfig&) = default;
};

struct LimitsConfig {
    std::uint32_t bindings = 65536;
    std::uint32_t bindings_per_node = 1;
    std::uint32_t bu_per_second = 2000;
    std::uint32_t bu_per_node_per_second = 3;  // RFC 6275 MAX_UPDATE_RATE

    friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct ManagementConfig {
    std::string socket{kDefaultManagementSocket};
    std::string group;  // group that may use it; empty: the process's own

    friend bool operator==(const ManagementConfig&, const ManagementConfig&) = default;
};

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogTarget : std::uint8_t { kStderr, kJournal, kFile };

struct LogConfig {
    LogLevel level = LogLevel::kInfo;
    LogTarget target = LogTarget::kStderr;
    std::string file;                // for kFile
    std::uint32_t rotate_mb = 10;    // a file this large is rotated
    std::uint32_t rotate_files = 5;  // and as many old ones are kept

    friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

enum class DscpModel : std::uint8_t { kUniform, kPipe };  // RFC 2983

struct TunnelConfig {
    std::uint8_t hop_limit = 64;
    DscpModel dscp = DscpModel::kUniform;
    std::uint16_t path_mtu = 1500;  // default towards care-of addresses, octets

    friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

struct RatesConfig {
    std::uint32_t icmp_errors_per_second = 100;        // per worker
    std::uint32_t punt_packets_per_second = 20000;     // per worker
    std::uint32_t kernel_packets_per_second = 100000;  // per worker

    friend bool operator==(const RatesConfig&, const RatesConfig&) = default;
};

// ------------------------------------------------------- Mobile IPv4 and the VPN gateway (S2)

/// i-HA and x-HA of RFC 5265, or a home agent of neither kind.
enum class Mip4Role : std::uint8_t { kPlain, kInternal, kExternal };
/// `rfc5265` trusts subnets and says so in its replies, `draft02` knows neither (S2.90 to S2.99).
enum class Mip4Profile : std::uint8_t { kRfc5265, kDraft02 };
enum class Mip4Algorithm : std::uint8_t { kHmacMd5, kKeyedMd5, kHmacSha1, kHmacSha256 };
enum class Mip4Replay : std::uint8_t { kTimestamps, kNonces };  // RFC 5944 section 5.7

/// A mobility security association (RFC 5944 section 1.6).
struct Mip4AssociationConfig {
    std::uint32_t spi = 0;  // 256..2^32-1
    Mip4Algorithm algorithm = Mip4Algorithm::kHmacMd5;
    std::string key_file;  // absolute; at least 128 bits, not weak (S2.121)
    Mip4Replay replay = Mip4Replay::kTimestamps;
    std::uint16_t window = 7;  // seconds, 1..3600: of time stamps

    friend bool operator==(const Mip4AssociationConfig&, const Mip4AssociationConfig&) = default;
};

struct Mip4NodeConfig {
    std::string name;
    std::optional<Ipv4Address> home_address;  // none: from the pool, known by its identifier
    std::string nai;                          // network access identifier (RFC 2794); or empty
    std::vector<Mip4AssociationConfig> associations;  // at least one
    bool prohibited = false;                          // refused with code 129

    friend bool operator==(const Mip4NodeConfig&, const Mip4NodeConfig&) = default;
};

/// `count` nodes with successive home addresses; node i has home address first + i, SPI `spi` and
/// the key file `<home address>.key` in `key_directory`.
struct Mip4NodeRangeConfig {
    std::string name;
    Ipv4Address first;
    std::uint32_t count = 0;
    std::string key_directory;
    std::uint32_t spi = 256;
    Mip4Algorithm algorithm = Mip4Algorithm::kHmacMd5;
    Mip4Replay replay = Mip4Replay::kTimestamps;
    std::uint16_t window = 7;

    friend bool operator==(const Mip4NodeRangeConfig&, const Mip4NodeRangeConfig&) = default;
};

struct Mip4ForeignAgentConfig {
    Ipv4Address address;
    std::vector<Mip4AssociationConfig> associations;  // at least one

    friend bool operator==(const Mip4ForeignAgentConfig&, const Mip4ForeignAgentConfig&) = default;
};

struct Mip4HomeNetworkConfig {
    Ipv4Prefix prefix;                   // masked
    std::string port;                    // of a real home link; empty: a virtual network
    std::optional<Ipv4PoolConfig> pool;  // for nodes that ask for any address; inside `prefix`
    NoBinding no_binding = NoBinding::kForwardHome;  // virtual networks: drop, unless set
    /// Agent advertisements on the home link (RFC 5944 section 2.3): seconds between two; 0: none.
    std::uint16_t advertisement_interval = 0;

    [[nodiscard]] bool is_virtual() const { return port.empty(); }
    friend bool operator==(const Mip4HomeNetworkConfig&, const Mip4HomeNetworkConfig&) = default;
};

/// UDP tunnels (RFC 3519).
struct Mip4UdpConfig {
    bool allowed = true;
    bool forced_allowed = false;              // flag F of requests is heeded
    bool foreign_agent_registration = false;  // flag R: half-bound tunnels
    bool strict_source = false;        // co-located, from another address, without request: 129
    bool refuse_reserved = false;      // reserved bits in the request: 134, else it is skipped
    std::uint16_t keepalive = 110;     // seconds, 0 (the node's own) or 10..65535
    std::uint16_t max_lifetime = 300;  // seconds, 10..65534

    friend bool operator==(const Mip4UdpConfig&, const Mip4UdpConfig&) = default;
};

/// One Mobile IPv4 home agent; several stand in one process (S2.20).
struct Mip4HomeAgentConfig {
    std::string name;  // "internal": how commands and log call it
    Mip4Role role = Mip4Role::kPlain;
    Mip4Profile profile = Mip4Profile::kRfc5265;
    std::vector<Ipv4Address> addresses;  // at least one; the first answers broadcast requests
    std::vector<Mip4HomeNetworkConfig> networks;
    std::vector<Mip4NodeConfig> nodes;
    std::vector<Mip4NodeRangeConfig> ranges;
    std::vector<Mip4ForeignAgentConfig> foreign_agents;
    std::vector<Ipv4Prefix> trusted_subnets;  // of role internal, profile rfc5265 (S2.90)
    /// Ports of the trusted network: requests to an external home agent that come in by them are
    /// dropped (S2.81), as are those to an internal one that come in by others (S2.83).
    std::vector<std::string> inside_ports;
    std::uint16_t max_lifetime = 600;        // seconds, 10..65535 (infinite)
    std::uint8_t simultaneous_bindings = 1;  // of one node, 1..8; 1: flag S is not supported
    std::uint32_t max_bindings = 65536;
    bool reverse_tunnel = true;             // else code 137
    bool reverse_tunnel_mandatory = false;  // else code 138
    bool gre = true;
    bool minimal = true;
    bool broadcasts = true;  // flag B is heeded (P29)
    bool revocation = true;  // RFC 3543, for nodes and foreign agents that say they know it
    Mip4UdpConfig udp;

    friend bool operator==(const Mip4HomeAgentConfig&, const Mip4HomeAgentConfig&) = default;
};

/// Whether ESP between VPN client and gateway goes in UDP 4500 (RFC 3948).
enum class VpnUdp : std::uint8_t { kAuto, kOff, kAlways };

struct VpnClientConfig {
    std::string name;
    Ipv4Address outer;                      // x-HoA, or wherever its ESP ends
    Ipv4Address inner;                      // VPN-TIA
    std::optional<Ipv4Address> translated;  // what `inner` is made to outside the VPN (S2.36)
    VpnUdp udp_encapsulation = VpnUdp::kAuto;
    SaPairConfig sa;

    friend bool operator==(const VpnClientConfig&, const VpnClientConfig&) = default;
};

/// The VPN gateway role (S2.89 to S2.91a): ESP tunnels of clients, with static keys.
struct VpnGatewayConfig {
    std::vector<Ipv4Address> addresses;  // empty: no VPN gateway
    /// What clients may talk to; empty: everything. UDP 434 and tunnels to the internal home agents
    /// are allowed always (S2.89, S2.90a).
    std::vector<Ipv4Prefix> networks;
    std::vector<VpnClientConfig> clients;
    /// Octets of sealed packet that get to clients, 576..9216: room for the tunnel of an external
    /// home agent on the way, since ICMP errors may not come back (S2.22).
    std::uint16_t path_mtu = 1468;

    friend bool operator==(const VpnGatewayConfig&, const VpnGatewayConfig&) = default;
};

struct ControlplaneConfig {
    HomeAgentConfig home_agent;
    std::vector<HomeLinkConfig> home_links;
    std::vector<MobileNodeConfig> mobile_nodes;
    std::vector<MobileNodeRangeConfig> mobile_node_ranges;
    PolicyConfig policy;
    DualStackConfig dual_stack;
    std::vector<Mip4HomeAgentConfig> mobile_ipv4;
    VpnGatewayConfig vpn_gateway;
    LimitsConfig limits;
    std::string store_path = "/var/lib/homeport/bindings.db";  // empty ("none"): not kept
    ManagementConfig management;
    LogConfig log;
    TunnelConfig tunnel;
    RatesConfig rates;

    /// The home agent's address on `link`: the first one inside its prefix, else the first one.
    [[nodiscard]] std::optional<Ipv6Address> home_agent_address(const Ipv6Prefix& link) const;

    friend bool operator==(const ControlplaneConfig&, const ControlplaneConfig&) = default;
};

// ----------------------------------------------------------------------------------- reading

struct Config {
    DataplaneConfig dataplane;
    ControlplaneConfig controlplane;
    std::string file;  // empty: defaults

    friend bool operator==(const Config&, const Config&) = default;
};

/// One thing that is wrong in a file. Lines and columns count from 1; 0: not known.
struct ConfigError {
    std::string file;
    unsigned line = 0;
    unsigned column = 0;
    std::string path;      // "dataplane.ports[0].mtu"
    std::string found;     // "70000"
    std::string expected;  // "a number from 1280 to 9198"

    /// "FILE:LINE:COLUMN: PATH: found FOUND, expected EXPECTED"
    [[nodiscard]] std::string to_string() const;
};
using ConfigErrors = std::vector<ConfigError>;

/// Two virtual ports, no home link, no mobile node.
[[nodiscard]] Config defaults();

/// Names that `algorithm` may take; empty: any (a program that makes no SAs need not know them).
using AlgorithmNames = std::span<const std::string_view>;

/// Reads `text`; `file` is the name that errors give, and relative paths in the text count from
/// its directory. Gives all errors of the text, in the order of their lines.
[[nodiscard]] std::expected<Config, ConfigErrors> parse(std::string_view text,
                                                        std::string_view file,
                                                        AlgorithmNames algorithms = {});

/// Reads a file of at most 16 MiB.
[[nodiscard]] std::expected<Config, ConfigErrors> load_file(const std::filesystem::path& file,
                                                            AlgorithmNames algorithms = {});

/// Joins the errors, one a line.
[[nodiscard]] std::string to_string(const ConfigErrors& errors);

/// The configuration in force, every default written out, as YAML that parse() reads back to an
/// equal Config. Holds names of key files, never keys.
[[nodiscard]] std::string to_yaml(const Config& config);

/// The same as one JSON object.
[[nodiscard]] std::string to_json(const Config& config);

/// SHA-256 of to_yaml(config), in hex: equal for files that mean the same.
[[nodiscard]] std::string hash(const Config& config);

}  // namespace homeport::config
