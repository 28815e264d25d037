// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/hints.hpp"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "tools/mobile-node/netlink_request.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::size_t kLongestFile = 65536;  // octets of a resolv.conf
constexpr std::string_view kSpace = " \t\r";

char lower_case(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view next_word(std::string_view& line) {
    const std::size_t begin = std::min(line.find_first_not_of(kSpace), line.size());
    const std::size_t end = std::min(line.find_first_of(kSpace, begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

bool is_below(std::string_view name, std::string_view domain) {
    if (!name.ends_with(domain)) return false;
    return name.size() == domain.size() || name[name.size() - domain.size() - 1] == '.';
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(kLongestFile, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    return text;
}

// ------------------------------------------------------------------------------------- netlink

struct Route {
    int interface = 0;
    std::optional<Ipv4Address> gateway{};
    std::uint32_t metric = std::numeric_limits<std::uint32_t>::max();
};
struct Neighbour {
    int interface = 0;
    Ipv4Address address{};
    std::optional<MacAddress> mac{};
};

const nlattr* first_of(const nlmsghdr* message, std::size_t header) {
    return static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, header));
}
bool is_there(const nlattr* attribute, const nlmsghdr* message) {
    const auto* const end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
    return mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
}

int take_route(const nlmsghdr* message, void* context) {
    if (message->nlmsg_type != RTM_NEWROUTE) return MNL_CB_OK;
    const auto& head = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    if (head.rtm_family != AF_INET || head.rtm_dst_len != 0 || head.rtm_table != RT_TABLE_MAIN ||
        head.rtm_type != RTN_UNICAST) {
        return MNL_CB_OK;
    }
    auto& best = *static_cast<Route*>(context);
    Route route;
    route.metric = 0;
    for (const nlattr* attribute = first_of(message, sizeof(rtmsg)); is_there(attribute, message);
         attribute = mnl_attr_next(attribute)) {
        const auto length = mnl_attr_get_payload_len(attribute);
        if (length != 4) continue;
        switch (mnl_attr_get_type(attribute)) {
            case RTA_OIF:
                route.interface = static_cast<int>(mnl_attr_get_u32(attribute));
                break;
            case RTA_GATEWAY:
                route.gateway = Ipv4Address::load(
                    static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)));
                break;
            case RTA_PRIORITY:
                route.metric = mnl_attr_get_u32(attribute);
                break;
            default:
                break;
        }
    }
    if (route.gateway && route.interface == best.interface && route.metric < best.metric) {
        best = route;
    }
    return MNL_CB_OK;
}

int take_neighbour(const nlmsghdr* message, void* context) {
    if (message->nlmsg_type != RTM_NEWNEIGH) return MNL_CB_OK;
    constexpr unsigned kKnown =
        NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_NOARP;
    const auto& head = *static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
    auto& wanted = *static_cast<Neighbour*>(context);
    if (head.ndm_ifindex != wanted.interface || (head.ndm_state & kKnown) == 0) return MNL_CB_OK;
    bool is_it = false;
    std::optional<MacAddress> mac;
    for (const nlattr* attribute = first_of(message, sizeof(ndmsg)); is_there(attribute, message);
         attribute = mnl_attr_next(attribute)) {
        const auto* const octets =
            static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
        const auto length = mnl_attr_get_payload_len(attribute);
        const auto type = mnl_attr_get_type(attribute);
        if (type == NDA_DST && length == 4) is_it = Ipv4Address::load(octets) == wanted.address;
        if (type == NDA_LLADDR && length == 6) mac = MacAddress::load(octets);
    }
    if (is_it && mac) wanted.mac = mac;
    return MNL_CB_OK;
}

}  // namespace

std::vector<std::string> domains_of(std::string_view resolv_conf) {
    std::vector<std::string> out;
    while (!resolv_conf.empty()) {
        const std::size_t end = std::min(resolv_conf.find('\n'), resolv_conf.size());
        std::string_view line = resolv_conf.substr(0, end);
        resolv_conf.remove_prefix(std::min(end + 1, resolv_conf.size()));
        const std::string_view key = next_word(line);
        if (key != "domain" && key != "search") continue;
        out.clear();
        for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
            if (word.ends_with('.')) word.remove_suffix(1);
            if (word.empty()) continue;
            std::string& name = out.emplace_back(word);
            std::ranges::transform(name, name.begin(), lower_case);
        }
    }
    return out;
}

std::string realm_of(ConstByteSpan nai) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    std::string realm(nai.begin(), nai.end());
    if (const auto at = realm.rfind('@'); at != std::string::npos) realm.erase(0, at + 1);
    std::ranges::transform(realm, realm.begin(), lower_case);
    if (realm.ends_with('.')) realm.pop_back();
    return realm.find_first_not_of(kAllowed) == std::string::npos ? realm : std::string();
}

mip4::Belief belief_of(const Mip4Hints& ours, const NetworkHints& heard) {
    const auto is_ours = [&](const std::string& name) {
        return std::ranges::any_of(
            ours.domains, [&](const std::string& domain) { return is_below(name, domain); });
    };
    const bool named = std::ranges::any_of(heard.domains, is_ours) || is_ours(heard.realm);
    const bool met = heard.gateway && std::ranges::find(ours.gateway_macs, *heard.gateway) !=
                                          ours.gateway_macs.end();
    if (named || met) return mip4::Belief::kInside;
    const bool has_name = !heard.domains.empty() || !heard.realm.empty();
    const bool told =
        (!ours.domains.empty() && has_name) || (!ours.gateway_macs.empty() && heard.gateway);
    return told ? mip4::Belief::kOutside : mip4::Belief::kNone;
}

std::optional<MacAddress> gateway_mac(NetlinkSocket& socket, int interface) {
    Request routes(RTM_GETROUTE, NLM_F_DUMP);
    routes.header<rtmsg>().rtm_family = AF_INET;
    Route route{.interface = interface};
    if (!socket.transact(*routes.message(), take_route, &route) || !route.gateway) {
        return std::nullopt;
    }
    Request neighbours(RTM_GETNEIGH, NLM_F_DUMP);
    neighbours.header<ndmsg>().ndm_family = AF_INET;
    Neighbour found{interface, *route.gateway};
    if (!socket.transact(*neighbours.message(), take_neighbour, &found)) return std::nullopt;
    return found.mac;
}

mip4::Belief HintSource::about(int interface, const std::string& realm) {
    NetworkHints heard;
    if (!ours_.domains.empty()) heard.realm = realm;
    if (!ours_.domains.empty()) heard.domains = domains_of(read_file(ours_.resolv_conf));
    if (!ours_.gateway_macs.empty()) {
        if (!socket_ && !socket_.emplace().open()) socket_.reset();
        if (socket_) heard.gateway = gateway_mac(*socket_, interface);
    }
    return belief_of(ours_, heard);
}

}  // namespace homeport::mobile_node
