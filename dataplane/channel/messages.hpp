// SPDX-License-Identifier: BSD-3-Clause
// What data plane and control plane say to each other through the rings: the ABI of DESIGN 5.
//
// Every record is a trivially copyable struct of fixed layout, some followed by `length` octets of
// packet. Integers are in host byte order, addresses in network order. Commands are idempotent and
// applied in ring order (S1.13). Any change here changes kAbiVersion.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/base/address.hpp"

namespace homeport::channel {

inline constexpr std::uint32_t kMagic = 0x48504348;  // "HPCH"
inline constexpr std::uint32_t kAbiVersion = 6;

inline constexpr std::uint16_t kNoPort = 0xffff;
inline constexpr std::uint32_t kNoIndex = 0xffffffff;
inline constexpr std::size_t kMaxPorts = 32;
inline constexpr std::size_t kMaxPacket = 9216;

/// An address of either family: IPv4 in the first four octets.
struct WireAddress {
    std::array<std::uint8_t, 16> bytes{};
    std::uint8_t family = 0;  // 4, 6, or 0 for none
    std::array<std::uint8_t, 7> reserved{};

    WireAddress() = default;
    explicit WireAddress(const Ipv6Address& address) : bytes(address.bytes), family(6) {}
    explicit WireAddress(const Ipv4Address& address) : family(4) { address.store(bytes.data()); }
    explicit WireAddress(const IpAddress& address) {
        std::visit([this](const auto& a) { *this = WireAddress(a); }, address);
    }
    [[nodiscard]] Ipv6Address v6() const { return Ipv6Address{bytes}; }
    [[nodiscard]] Ipv4Address v4() const { return Ipv4Address::load(bytes.data()); }
    friend bool operator==(const WireAddress&, const WireAddress&) = default;
};
static_assert(sizeof(WireAddress) == 24);

// ---------------------------------------------------------------- control plane -> data plane

enum class CommandType : std::uint16_t {
    kBeginSync = 1,
    kEndSync,
    kAddressSet,
    kAddressRemove,
    kRouteSet,
    kRouteRemove,
    kNeighbourSet,
    kNeighbourRemove,
    kHomePrefixSet,
    kHomePrefixRemove,
    kBindingSet,
    kBindingRemove,
    kSaSet,
    kSaRemove,
    kSpdReplace,
    kTransmitPacket,
    kTransmitFrame,
    kTraceStart,
    kTraceStop,
    kParametersSet,
    kMobilePrefixSet,
    kMobilePrefixRemove,
    kVpnClientSet,
    kVpnClientRemove,
};

/// First member of every command. `number` rises by one a command within an attachment.
struct CommandHeader {
    CommandType type{};
    std::uint16_t reserved = 0;
    std::uint32_t length = 0;  // octets of the whole record, this header included
    std::uint64_t number = 0;
};
static_assert(sizeof(CommandHeader) == 16);

/// State named between the two stays, all other state of the previous epoch is swept at kEndSync.
struct BeginSync {
    static constexpr auto kType = CommandType::kBeginSync;
    CommandHeader header;
    std::uint64_t epoch = 0;
};
struct EndSync {
    static constexpr auto kType = CommandType::kEndSync;
    CommandHeader header;
    std::uint64_t epoch = 0;
};

/// What a Mobile IPv4 home agent is for (part S2 of the requirements).
enum class Mip4Role : std::uint8_t {
    kNone = 0,
    kPlain = 1,
    kInternal = 2,  // i-HA
    kExternal = 3,  // x-HA
};

/// An address of this host on a port's exception TAP. Packets to it are for us.
struct AddressSet {
    static constexpr auto kType = CommandType::kAddressSet;
    CommandHeader header;
    WireAddress address;
    std::uint16_t port = kNoPort;
    std::uint8_t prefix_length = 0;
    std::uint8_t is_home_agent_address = 0;  // tunnels of Mobile IPv6 and DSMIPv6 end here
    Mip4Role mip4_role = Mip4Role::kNone;    // those of a Mobile IPv4 home agent of this role
    std::uint8_t is_vpn_gateway = 0;         // ESP tunnels of VPN clients end here (P31)
    std::uint8_t reserved[2] = {};
};
struct AddressRemove {
    static constexpr auto kType = CommandType::kAddressRemove;
    CommandHeader header;
    WireAddress address;
    std::uint16_t port = kNoPort;
    std::uint8_t reserved[6] = {};
};

enum class RouteType : std::uint8_t {
    kUnicast = 0,  // via next_hop, or on-link when next_hop.family is 0
    kKernel = 1,   // known to the kernel on an interface that is none of our ports
    kBlackhole = 2,
    kUnreachable = 3,
};
struct RouteSet {
    static constexpr auto kType = CommandType::kRouteSet;
    CommandHeader header;
    WireAddress prefix;
    WireAddress next_hop;
    std::uint16_t port = kNoPort;
    std::uint8_t prefix_length = 0;
    RouteType route_type = RouteType::kUnicast;
    std::uint32_t mtu = 0;  // octets; 0: the port's
};
struct RouteRemove {
    static constexpr auto kType = CommandType::kRouteRemove;
    CommandHeader header;
    WireAddress prefix;
    std::uint8_t prefix_length = 0;
    std::uint8_t reserved[7] = {};
};

/// A resolved neighbour. One that the kernel lost is removed, not set.
struct NeighbourSet {
    static constexpr auto kType = CommandType::kNeighbourSet;
    CommandHeader header;
    WireAddress address;
    MacAddress mac;
    std::uint16_t port = kNoPort;
};
struct NeighbourRemove {
    static constexpr auto kType = CommandType::kNeighbourRemove;
    CommandHeader header;
    WireAddress address;
    std::uint16_t port = kNoPort;
    std::uint8_t reserved[6] = {};
};

/// A prefix that home addresses come from.
struct HomePrefixSet {
    static constexpr auto kType = CommandType::kHomePrefixSet;
    CommandHeader header;
    WireAddress prefix;
    std::uint16_t port = kNoPort;  // the home link; kNoPort: virtual prefix
    std::uint8_t prefix_length = 0;
    std::uint8_t drop_unbound = 0;  // 1: no_binding = drop; 0: forward_home (S1.17)
    std::uint8_t reserved[4] = {};
};
struct HomePrefixRemove {
    static constexpr auto kType = CommandType::kHomePrefixRemove;
    CommandHeader header;
    WireAddress prefix;
    std::uint8_t prefix_length = 0;
    std::uint8_t reserved[7] = {};
};

enum class Encapsulation : std::uint8_t {
    kIpv6 = 0,           // P1, P14
    kIpv4 = 1,           // P9, P20
    kUdpIpv4 = 2,        // P10
    kUdpIpv6 = 3,        // P15
    kGre = 4,            // P22
    kMinimal = 5,        // P24
    kMipUdp = 6,         // P26: UDP 434, IP inside
    kMipUdpGre = 7,      //
    kMipUdpMinimal = 8,  //
};

enum BindingFlags : std::uint16_t {
    kBindingTentative = 1 << 0,   // DAD runs: nothing is intercepted, ND about it is punted
    kBindingProxyNd = 1 << 1,     // answer solicitations on the home port
    kBindingLinkLocal = 1 << 2,   // defend fe80::/64 + interface id too (L flag)
    kBindingRouter = 1 << 3,      // R flag in advertisements (NEMO)
    kBindingRequireEsp = 1 << 4,  // plain reverse tunnels are dropped (mip6.rt.need_esp)
    kBindingDscpPipe = 1 << 5,    // outer DSCP 0 instead of a copy (RFC 2983)
    kBindingProtected = 1 << 6,   // what the policy protects is dropped when it comes without ESP
    kBindingFollowForm = 1 << 7,  // no NAT was found: tunnel packets take the form, plain or UDP
                                  // 4191, of the last valid one from there (RFC 5555 4.4.2)
    kBindingNestedEsp = 1 << 8,   // sealed payload over IPv4 keeps its IPv6 header and goes through
                                  // UDP 4191 (S1.19); else the header is replaced (P13)
    // Of Mobile IPv4 bindings alone:
    kBindingMip4Role = 3 << 9,        // Mip4Role; none: a Mobile IPv6 or DSMIPv6 binding
    kBindingHalfBound = 1 << 11,      // nothing goes out before a keepalive came (RFC 3519 4.4)
    kBindingReverseTunnel = 1 << 12,  // T was granted: what comes by the tunnel is taken (P21)
    kBindingBroadcasts = 1 << 13,     // B: broadcasts of the home link are for it (P29)
    kBindingCoLocated = 1 << 14,      // D: the mobile node ends the tunnel itself
    kBindingMoreCareOf = 1 << 15,     // the first of several: copies 1, 2 ... stand beside it
};
inline constexpr unsigned kBindingMip4RoleShift = 9;
/// Care-of addresses of one home address at a time (RFC 5944 flag S), the first included.
inline constexpr std::uint8_t kMaxCareOfAddresses = 8;

[[nodiscard]] constexpr Mip4Role mip4_role(std::uint16_t binding_flags) {
    return static_cast<Mip4Role>((binding_flags & kBindingMip4Role) >> kBindingMip4RoleShift);
}
[[nodiscard]] constexpr std::uint16_t binding_flags_of(Mip4Role role) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(role) << kBindingMip4RoleShift);
}

/// One home address and where it is. `counter_index` is dense, given by the control plane, below
/// the data plane's max_bindings, and names the row of BindingStatistics.
struct BindingSet {
    static constexpr auto kType = CommandType::kBindingSet;
    CommandHeader header;
    WireAddress home_address;
    WireAddress care_of_address;
    WireAddress home_agent_address;  // outer source; tunnels of this binding end here
    std::uint32_t counter_index = kNoIndex;
    std::uint16_t flags = 0;  // BindingFlags
    std::uint16_t home_port = kNoPort;
    std::uint16_t path_mtu = 0;  // octets towards the care-of address; 0: default
    std::uint8_t prefix_length = 128;
    Encapsulation encapsulation = Encapsulation::kIpv6;
    std::uint16_t udp_port = 0;  // peer's, for the UDP encapsulations
    /// Of several care-of addresses of a Mobile IPv4 node: 0 the first, which says
    /// kBindingMoreCareOf; the others are numbered without a gap and each gets a copy of a packet.
    std::uint8_t copy = 0;
    std::uint8_t reserved[5] = {};
};
/// A mobile network prefix, IPv6 or IPv4, reached by the binding of `home_address`, which stands
/// already (RFC 3963 section 6.3, RFC 5555 section 3.1.2). Goes when the binding is removed.
struct MobilePrefixSet {
    static constexpr auto kType = CommandType::kMobilePrefixSet;
    CommandHeader header;
    WireAddress prefix;
    WireAddress home_address;
    std::uint8_t prefix_length = 0;
    std::uint8_t reserved[7] = {};
};
struct MobilePrefixRemove {
    static constexpr auto kType = CommandType::kMobilePrefixRemove;
    CommandHeader header;
    WireAddress prefix;
    std::uint8_t prefix_length = 0;
    std::uint8_t reserved[7] = {};
};
struct BindingRemove {
    static constexpr auto kType = CommandType::kBindingRemove;
    CommandHeader header;
    WireAddress home_address;
    std::uint8_t prefix_length = 128;
    std::uint8_t copy = 0;  // as in BindingSet
    std::uint8_t reserved[6] = {};
};

/// Whether ESP between a VPN client and us goes in UDP 4500 (RFC 3948).
enum class UdpEncapsulation : std::uint8_t {
    kAuto = 0,  // as the client's last valid packet came; before it, not
    kOff = 1,
    kAlways = 2,  // nothing is sent before the client's port is known
};
/// A client of the VPN gateway (P31, P32). `inner` is what its packets inside the tunnel carry as
/// source (VPN-TIA); with `translated` they leave with that address instead (S2.36).
inline constexpr std::uint16_t kLeastVpnPathMtu = 576;
struct VpnClientSet {
    static constexpr auto kType = CommandType::kVpnClientSet;
    CommandHeader header;
    WireAddress inner;
    WireAddress outer;         // where its ESP ends (x-HoA)
    WireAddress gateway;       // and here
    WireAddress translated;    // family 0: none
    std::uint32_t spi_in = 0;  // of its inbound SA
    UdpEncapsulation udp_encapsulation = UdpEncapsulation::kAuto;
    std::uint8_t reserved = 0;
    std::uint16_t path_mtu = 0;  // octets of sealed packet that get to `outer`; 0: as routed
};
struct VpnClientRemove {
    static constexpr auto kType = CommandType::kVpnClientRemove;
    CommandHeader header;
    WireAddress inner;
};

enum class SaDirection : std::uint8_t { kInbound = 0, kOutbound = 1 };
enum class SaMode : std::uint8_t { kTransport = 0, kTunnel = 1 };

/// Selector values as in an SPD entry; any value is {low = 0, high = all ones}.
struct SelectorRecord {
    WireAddress local_low, local_high;
    WireAddress remote_low, remote_high;
    std::uint16_t protocol = 0xffff;  // 0..255, 0xffff any, 0xfffe opaque
    /// Port, ICMP type*256+code, or MH type*256; range inclusive. low > high: opaque.
    std::uint16_t local_port_low = 0, local_port_high = 0xffff;
    std::uint16_t remote_port_low = 0, remote_port_high = 0xffff;
    std::uint8_t reserved[6] = {};
};
static_assert(sizeof(SelectorRecord) == 112);

/// Another entry of the SPD that an SA belongs to. For a network behind a mobile router, whose
/// payload the SA carries too: the entry stands for the network and is asked for no remote address;
/// the network is its remote selector. With `is_local`, for a VPN client: the entry is asked for
/// the SA's own peer, and the network is one on our side that the client may talk to.
struct SaNetwork {
    std::uint16_t policy_id = 0;
    std::uint8_t is_local = 0;
    std::uint8_t reserved[5] = {};
    WireAddress low, high;
};
static_assert(sizeof(SaNetwork) == 56);
inline constexpr std::size_t kMaxSaNetworks = 64;

/// Adds or replaces an SA; `network_count` SaNetworks follow. The record is wiped from the ring
/// after it was read.
struct SaSet {
    static constexpr auto kType = CommandType::kSaSet;
    CommandHeader header;
    std::uint32_t spi = 0;
    SaDirection direction = SaDirection::kInbound;
    SaMode mode = SaMode::kTransport;
    std::uint8_t extended_sequence = 0;
    std::uint8_t allow_static_gcm = 0;  // lab switch
    std::uint16_t replay_window = 0;    // packets; 0: off
    std::uint16_t policy_id = 0;        // SPD entry that this SA belongs to
    std::uint32_t owner_worker = 0;
    WireAddress tunnel_local;
    WireAddress tunnel_remote;
    WireAddress peer;  // the remote address that the SPD-S cache entry is made for
    SelectorRecord selector;
    std::uint64_t first_sequence = 1;
    std::uint64_t soft_bytes = 0, hard_bytes = 0;      // 0: none
    std::uint64_t soft_packets = 0, hard_packets = 0;  // 0: none
    std::uint32_t soft_seconds = 0, hard_seconds = 0;  // 0: none
    std::uint64_t age_seconds = 0;  // of an SA that is restored; of no effect on one that is there
    char algorithm[32] = {};
    std::uint16_t encryption_key_length = 0;  // octets, salt included
    std::uint16_t integrity_key_length = 0;
    std::uint8_t encryption_key[36] = {};
    std::uint8_t integrity_key[64] = {};
    std::uint8_t static_key = 0;
    std::uint8_t network_count = 0;  // at most kMaxSaNetworks
    std::uint8_t reserved[4] = {};
    /// The SA belongs to this entry too, for this remote address, and its selectors are the same
    /// with that address: payload of a node's IPv4 home address. Family 0: it does not.
    std::uint16_t second_policy_id = 0;
    WireAddress second_peer;
};
struct SaRemove {
    static constexpr auto kType = CommandType::kSaRemove;
    CommandHeader header;
    std::uint32_t spi = 0;
    SaDirection direction = SaDirection::kInbound;
    std::uint8_t reserved[3] = {};
    WireAddress peer;
    std::uint32_t policy_id = 0;
    std::uint32_t reserved2 = 0;
};

enum class PolicyAction : std::uint8_t { kDiscard = 0, kBypass = 1, kProtect = 2 };

struct PolicyRecord {
    std::uint16_t id = 0;
    PolicyAction action = PolicyAction::kDiscard;
    SaMode mode = SaMode::kTransport;
    std::uint8_t per_remote_address = 0;  // PFP on the remote address (RFC 4301 4.4.1)
    std::uint8_t signalling = 0;          // SAs of this entry carry signalling: table S1-SPD 2, 3
    std::uint8_t reserved[2] = {};
    char name[32] = {};
    SelectorRecord selector;
    WireAddress tunnel_remote;  // kTunnel without per_remote_address: where its SAs end
};
static_assert(sizeof(PolicyRecord) == 176);

/// The whole ordered SPD: `count` PolicyRecords follow. A refused one leaves the old one in force.
struct SpdReplace {
    static constexpr auto kType = CommandType::kSpdReplace;
    CommandHeader header;
    std::uint32_t count = 0;
    std::uint32_t reserved = 0;
};

/// A packet in normal form that the control plane originates; `length` octets follow. It passes
/// the SPD, then the tunnel module, like any other (P6, P8).
struct TransmitPacket {
    static constexpr auto kType = CommandType::kTransmitPacket;
    CommandHeader header;
    WireAddress reply_to;    // one-shot wire destination of this reply (S1.50); family 0: none
    WireAddress reply_from;  // with an IPv4 `reply_to`: our address on the wire (S1.71)
    std::uint16_t port = kNoPort;       // kNoPort: by route
    std::uint16_t length = 0;           // octets of packet behind this struct
    std::uint16_t reply_to_port = 0;    // with an IPv4 `reply_to`: UDP port there
    std::uint16_t reply_from_port = 0;  // and here
};
/// An Ethernet frame to put on a port as it is; `length` octets follow.
struct TransmitFrame {
    static constexpr auto kType = CommandType::kTransmitFrame;
    CommandHeader header;
    std::uint16_t port = kNoPort;
    std::uint16_t length = 0;
    std::uint8_t reserved[4] = {};
};

/// Traces the next `packets` packets whose addresses match at any point of their way.
struct TraceStart {
    static constexpr auto kType = CommandType::kTraceStart;
    CommandHeader header;
    WireAddress address;  // source or destination, inner or outer; family 0: every packet
    std::uint32_t packets = 0;
    std::uint16_t port = kNoPort;  // kNoPort: any
    std::uint8_t reserved[2] = {};
};
struct TraceStop {
    static constexpr auto kType = CommandType::kTraceStop;
    CommandHeader header;
};

/// How sealed signalling is told from sealed data (S1.8).
enum class Technique : std::uint8_t { kApi = 0, kHeuristic = 1 };
/// What becomes of payload under ESP that does not come from the care-of address (P4).
enum class EspOuterCheck : std::uint8_t { kOff = 0, kCount = 1, kDrop = 2 };

struct ParametersSet {
    static constexpr auto kType = CommandType::kParametersSet;
    CommandHeader header;
    std::uint32_t icmp_errors_per_second = 100;        // of all kinds together, per worker
    std::uint32_t punt_packets_per_second = 20000;     // to the control plane, per worker
    std::uint32_t kernel_packets_per_second = 100000;  // to each exception TAP, per worker
    std::uint16_t default_path_mtu = 1500;
    std::uint8_t tunnel_hop_limit = 64;
    EspOuterCheck check_esp_outer = EspOuterCheck::kOff;
    std::uint32_t path_mtu_age_seconds = 600;
    Technique technique = Technique::kApi;
    std::uint8_t heuristic_min_packets = 8;    // S1.47: bu_heur_min_pkts
    std::uint16_t heuristic_timeout_ms = 500;  // S1.47: bu_heur_timeout
    std::uint32_t nat_pending_max = 0;         // S1.64; 0: a sixteenth of the bindings
    std::uint16_t nat_pending_ttl_ms = 2000;   // S1.64
    std::uint16_t nat_lock_timeout_ms = 50;    // S1.66
    std::uint8_t nat_lock_depth = 4;           // S1.66
    std::uint8_t tlv_header = 0;               // 1: RFC 5845 header accepted on UDP 4191
    /// 0: a Packet Too Big about tunnels that no SA brought changes nothing (RFC 4301 section 8.2).
    std::uint8_t believe_packet_too_big = 1;
    /// 1: some bindings are kBindingProtected, so plaintext is looked at by its source.
    std::uint8_t protect_payload = 0;
    std::uint8_t reserved[4] = {};
};

// ---------------------------------------------------------------- data plane -> control plane

enum class EventType : std::uint16_t {
    kPortInfo = 1,
    kAcknowledge,
    kCommandFailed,
    kSyncDone,
    kPunt,
    kTrace,
    kSaHighWater,
    kSaLifetime,
    kPathMtu,
    kEspMapping,
    kEspSource,
    kFlowRuleInfo,
};

struct EventHeader {
    EventType type{};
    std::uint16_t reserved = 0;
    std::uint32_t length = 0;
};
static_assert(sizeof(EventHeader) == 8);

/// Sent for every port after the attachment, and again when something of it changes.
struct PortInfo {
    static constexpr auto kType = EventType::kPortInfo;
    EventHeader header;
    std::uint16_t port = kNoPort;
    std::uint16_t mtu = 0;
    std::uint8_t link_up = 0;
    std::uint8_t reserved[3] = {};
    std::uint32_t link_speed_mbps = 0;
    MacAddress mac;
    std::uint8_t reserved2[6] = {};
    char name[32] = {};              // of the DPDK port, as configured
    char kernel_interface[16] = {};  // its exception TAP
    char driver[32] = {};
};

enum class FlowRuleState : std::uint8_t {
    kInstalled = 1,  // in the network interface
    kSoftware = 2,   // workers do the same
};
/// Where a flow rule that is not installed ended.
enum class FlowRuleRefusal : std::uint8_t {
    kNone = 0,
    kNotWanted,  // `flow_rules` of the port is off
    kFamily,     // the file of pmd-config does not name it
    kNoQueue,    // the port has no queue for it
    kValidate,   // rte_flow_validate() refused it
    kCreate,     // rte_flow_create() did, after the driver had found it good
};
/// One rule that rte_flow was, or could have been, asked for; sent behind the PortInfo of its port.
/// Rules of a port are numbered from 0 to `rules` - 1.
struct FlowRuleInfo {
    static constexpr auto kType = EventType::kFlowRuleInfo;
    EventHeader header;
    std::uint16_t port = kNoPort;
    std::uint16_t index = 0;
    std::uint16_t rules = 0;     // of this port
    std::uint16_t priority = 0;  // 0 is matched first
    FlowRuleState state = FlowRuleState::kSoftware;
    FlowRuleRefusal refusal = FlowRuleRefusal::kNone;
    std::uint16_t error_type = 0;  // enum rte_flow_error_type
    std::int32_t error_code = 0;   // errno; 0: none
    char name[32] = {};            // "signalling esp ipv6"
    char match[128] = {};          // as testpmd writes it
    char action[32] = {};
    char reason[160] = {};  // type and message of the refusal, in words
};

/// All commands up to `number` were applied, failed ones excepted (those got kCommandFailed).
struct Acknowledge {
    static constexpr auto kType = EventType::kAcknowledge;
    EventHeader header;
    std::uint64_t number = 0;
};

enum class CommandError : std::uint16_t {
    kMalformed = 1,
    kUnknownType,
    kUnknownPort,
    kTableFull,
    kRefused,
    kNoBuffer,
};
struct CommandFailed {
    static constexpr auto kType = EventType::kCommandFailed;
    EventHeader header;
    std::uint64_t number = 0;
    CommandType command{};
    CommandError error{};
    std::uint8_t reserved[4] = {};
    char text[128] = {};
};

struct SyncDone {
    static constexpr auto kType = EventType::kSyncDone;
    EventHeader header;
    std::uint64_t epoch = 0;
    std::uint32_t swept = 0;  // entries that the new epoch did not name
    std::uint32_t reserved = 0;
};

enum class PuntReason : std::uint8_t {
    kMobilityHeader = 1,  // normal form, after IPsec
    kHomeAgentDiscovery,  // ICMPv6 144
    kMobilePrefix,        // ICMPv6 146, normal form, after IPsec
    kHaoWithoutBinding,   // original packet: answer with a Binding Error
    kDuplicateAddress,    // frame: NS or NA about a tentative or bound home address
    kMldQuery,            // frame: query on a home link
    kParameterProblem,    // normal form; unknown option or next header for us, see code, pointer
    kMip4Message,         // UDP 434 to a Mobile IPv4 home agent, but tunnel data (P28)
    kMip4Keepalive,       // of a half-bound binding: the packet inside the tunnel; recorded_source
                          // and recorded_port are those of the tunnel's outer header
    kAgentSolicitation,   // IPv4 packet: ICMP router solicitation on a home link
};

struct Punt {
    static constexpr auto kType = EventType::kPunt;
    EventHeader header;
    PuntReason reason{};
    std::uint8_t protected_by_ipsec = 0;
    std::uint8_t had_home_address_option = 0;
    std::uint8_t code = 0;
    std::uint16_t port = kNoPort;
    std::uint16_t length = 0;  // octets of packet behind this struct
    std::uint32_t pointer = 0;
    std::uint32_t worker = 0;
    WireAddress recorded_source;      // wire source of the packet, recorded before IPsec (S1.60)
    WireAddress recorded_local;       // over IPv4: the address of ours that it was sent to (S1.71)
    std::uint16_t recorded_port = 0;  // over IPv4: UDP source port
    std::uint16_t recorded_local_port = 0;  // over IPv4: UDP destination port
    MacAddress source_mac;                  // of the frame; zero if the packet came out of a tunnel
    std::uint8_t to_group = 0;              // link-layer destination was multicast or broadcast
    std::uint8_t reserved[5] = {};
    std::uint64_t received_tsc = 0;
};

/// One step of a traced packet. `packet` numbers the packet, `step` its steps; up to 128 octets.
struct Trace {
    static constexpr auto kType = EventType::kTrace;
    EventHeader header;
    std::uint32_t packet = 0;
    std::uint16_t step = 0;
    std::uint16_t port = kNoPort;
    std::uint64_t tsc = 0;
    char stage[24] = {};
    char edge[32] = {};
    std::uint32_t packet_length = 0;
    std::uint32_t captured = 0;
    std::uint8_t bytes[128] = {};
};

/// Highest sequence number used by an outbound SA: a restored one starts beyond it.
struct SaHighWater {
    static constexpr auto kType = EventType::kSaHighWater;
    EventHeader header;
    std::uint32_t spi = 0;
    std::uint32_t policy_id = 0;
    WireAddress peer;
    std::uint64_t sequence = 0;
};
enum class SaLifetimeReason : std::uint8_t { kBytes = 0, kPackets, kSeconds, kSequence };
struct SaLifetime {
    static constexpr auto kType = EventType::kSaLifetime;
    EventHeader header;
    std::uint32_t spi = 0;
    SaDirection direction{};
    std::uint8_t hard = 0;
    SaLifetimeReason reason{};
    std::uint8_t reserved = 0;
    WireAddress peer;
};
struct PathMtu {
    static constexpr auto kType = EventType::kPathMtu;
    EventHeader header;
    WireAddress home_address;
    std::uint32_t mtu = 0;
    std::uint32_t reserved = 0;
};

/// An authentic ESP packet on UDP 4500 showed where the mobile node's NAT has its port for it
/// (mipv6.md section 5.4, RFC 3947 section 5.3). The data plane uses it already.
struct EspMapping {
    static constexpr auto kType = EventType::kEspMapping;
    EventHeader header;
    WireAddress home_address;
    WireAddress source;
    std::uint16_t port = 0;
    std::uint8_t reserved[6] = {};
};

/// Payload under ESP came from elsewhere than the care-of address (P4, EspOuterCheck). Not each
/// such packet is told, and none of them is known to be authentic.
struct EspSource {
    static constexpr auto kType = EventType::kEspSource;
    EventHeader header;
    WireAddress home_address;     // of the SA
    WireAddress care_of_address;  // of its binding; family 0: not bound
    WireAddress source;           // of the outer header
    std::uint32_t spi = 0;
    std::uint8_t dropped = 0;
    std::uint8_t reserved[3] = {};
};

template <class Record>
concept ChannelRecord = std::is_trivially_copyable_v<Record> && std::is_standard_layout_v<Record> &&
                        sizeof(Record) % 8 == 0 && alignof(Record) <= 8;

static_assert(ChannelRecord<BeginSync> && ChannelRecord<AddressSet> && ChannelRecord<RouteSet> &&
              ChannelRecord<NeighbourSet> && ChannelRecord<HomePrefixSet> &&
              ChannelRecord<BindingSet> && ChannelRecord<SaSet> && ChannelRecord<SaRemove> &&
              ChannelRecord<SpdReplace> && ChannelRecord<PolicyRecord> &&
              ChannelRecord<SaNetwork> && ChannelRecord<TransmitPacket> &&
              ChannelRecord<TransmitFrame> && ChannelRecord<TraceStart> &&
              ChannelRecord<ParametersSet> && ChannelRecord<AddressRemove> &&
              ChannelRecord<RouteRemove> && ChannelRecord<NeighbourRemove> &&
              ChannelRecord<HomePrefixRemove> && ChannelRecord<BindingRemove> &&
              ChannelRecord<MobilePrefixSet> && ChannelRecord<MobilePrefixRemove> &&
              ChannelRecord<VpnClientSet> && ChannelRecord<VpnClientRemove>);
static_assert(ChannelRecord<PortInfo> && ChannelRecord<Acknowledge> &&
              ChannelRecord<CommandFailed> && ChannelRecord<SyncDone> && ChannelRecord<Punt> &&
              ChannelRecord<Trace> && ChannelRecord<SaHighWater> && ChannelRecord<SaLifetime> &&
              ChannelRecord<PathMtu> && ChannelRecord<EspMapping> && ChannelRecord<EspSource> &&
              ChannelRecord<FlowRuleInfo>);

}  // namespace homeport::channel
