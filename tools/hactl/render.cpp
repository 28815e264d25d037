// SPDX-License-Identifier: BSD-3-Clause
#include "tools/hactl/render.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "tools/hactl/table.hpp"

namespace homeport::hactl {

namespace {

using nlohmann::json;

std::string scalar(const json& value) {
    if (value.is_null()) return "-";
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (!value.is_string()) return value.dump();
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? "-" : text;
}

std::string text_of(const json& row, const char* member) {
    const auto it = row.find(member);
    return it == row.end() ? "-" : scalar(*it);
}

bool is_true(const json& row, const char* member) {
    const auto it = row.find(member);
    return it != row.end() && it->is_boolean() && it->get<bool>();
}

std::int64_t number_of(const json& row, const char* member) {
    const auto it = row.find(member);
    return it != row.end() && it->is_number_integer() ? it->get<std::int64_t>() : 0;
}

std::string count_of(const json& row, const char* member) {
    const auto it = row.find(member);
    return it == row.end() || !it->is_number_integer() ? "-" : grouped(it->get<std::int64_t>());
}

std::string octets_of(const json& row, const char* member) {
    const auto it = row.find(member);
    return it == row.end() || !it->is_number_integer() ? "-" : octets(it->get<std::uint64_t>());
}

std::string decimal_of(const json& row, const char* member, int decimals) {
    const auto it = row.find(member);
    return it == row.end() || !it->is_number() ? "-" : decimal(it->get<double>(), decimals);
}

std::string duration_of(const json& row, const char* member) {
    const auto it = row.find(member);
    return it == row.end() || !it->is_number() ? "-" : duration(it->get<std::uint64_t>());
}

const json& list_of(const json& data, const char* member) {
    static const json kEmpty = json::array();
    const auto it = data.find(member);
    return it != data.end() && it->is_array() ? *it : kEmpty;
}

std::string page_note(const json& data) {
    const auto it = data.find("next");
    if (it == data.end() || it->is_null()) return "";
    return "more: --after " + (it->is_string() ? it->get<std::string>() : it->dump()) + "\n";
}

std::string show_bindings(const json& data) {
    Table table;
    table.column("HOME ADDRESS").column("CARE-OF ADDRESS").column("NODE").column("STATE");
    table.column("LEFT", Align::kRight).column("SEQ", Align::kRight).column("FLAGS").column("LINK");
    table.column("TUNNEL").column("NAT");
    table.column("OUT", Align::kRight).column("", Align::kRight);
    table.column("IN", Align::kRight).column("", Align::kRight);
    // Over IPv4 packets go to the outer source, not to what the node calls its address.
    const auto tunnel_of = [](const json& row) {
        const auto it = row.find("outer_source");
        const bool over_ipv4 = it != row.end() && it->is_string();
        return text_of(row, "encapsulation") + (over_ipv4 ? " " + it->get<std::string>() : "");
    };
    for (const json& row : list_of(data, "bindings")) {
        table.row({text_of(row, "home_address"), text_of(row, "care_of_address"),
                   text_of(row, "node"), text_of(row, "state"), duration_of(row, "remaining"),
                   text_of(row, "sequence"), text_of(row, "flags"), text_of(row, "home_link"),
                   tunnel_of(row), text_of(row, "nat"), count_of(row, "out_packets"),
                   octets_of(row, "out_bytes"), count_of(row, "in_packets"),
                   octets_of(row, "in_bytes")});
    }
    const std::string total = text_of(data, "total") + " in the cache\n";
    return (table.empty() ? "no bindings, " : table.text()) + total + page_note(data);
}

std::string show_mip4_bindings(const json& data) {
    Table table;
    table.column("HOME ADDRESS").column("CARE-OF ADDRESS").column("NODE").column("HOME AGENT");
    table.column("TUNNEL").column("TO").column("FLAGS").column("LEFT", Align::kRight);
    table.column("OUT", Align::kRight).column("", Align::kRight);
    table.column("IN", Align::kRight).column("", Align::kRight);
    for (const json& row : list_of(data, "bindings")) {
        const std::string half = is_true(row, "half_bound") ? " (half bound)" : "";
        table.row({text_of(row, "home_address"), text_of(row, "care_of_address"),
                   text_of(row, "node"), text_of(row, "home_agent"),
                   text_of(row, "encapsulation") + half, text_of(row, "tunnel_end"),
                   text_of(row, "flags"), duration_of(row, "remaining"),
                   count_of(row, "out_packets"), octets_of(row, "out_bytes"),
                   count_of(row, "in_packets"), octets_of(row, "in_bytes")});
    }
    const std::string total = text_of(data, "total") + " home addresses bound\n";
    return (table.empty() ? "no bindings, " : table.text()) + total + page_note(data);
}

std::string joined(const json& row, const char* member) {
    std::string text;
    for (const json& one : list_of(row, member)) text += (text.empty() ? "" : ", ") + scalar(one);
    return text.empty() ? "-" : text;
}

std::string show_mip4_home_agents(const json& data) {
    std::string text;
    for (const json& row : list_of(data, "home_agents")) {
        text += text_of(row, "name") + " (" + text_of(row, "role") + ") at " +
                joined(row, "addresses") + ", for " + joined(row, "networks") + "\n  " +
                count_of(row, "bound") + " of " + count_of(row, "nodes") + " nodes bound, " +
                count_of(row, "bindings") + " bindings, limit " + count_of(row, "limit") + ", " +
                count_of(row, "revocations_waiting") + " revocations wait\n";
        for (const json& link : list_of(row, "links")) {
            text += "  advertised on " + text_of(link, "port") + " as " + text_of(link, "address") +
                    ": " + count_of(link, "multicast") + " times, " + count_of(link, "solicited") +
                    " solicitations\n";
        }
        const auto counters = row.find("counters");
        if (counters == row.end() || !counters->is_object()) continue;
        Table table;
        table.column("  COUNTER").column("", Align::kRight);
        for (const auto& [name, value] : counters->items()) {
            table.row({"  " + name, count_of(*counters, name.c_str())});
        }
        if (!table.empty()) text += table.text();
    }
    return text.empty() ? "no home agent of Mobile IPv4\n" : text;
}

// What is left until the hard lifetime: "52m 10s", "1.2 MiB", both, or nothing without a limit.
std::string lifetime_of(const json& row) {
    std::string left;
    const auto add = [&](const char* member, const std::string& text) {
        const auto it = row.find(member);
        if (it == row.end() || it->is_null()) return;
        left += (left.empty() ? "" : ", ") + text;
    };
    add("seconds_left", duration_of(row, "seconds_left"));
    add("bytes_left", octets_of(row, "bytes_left"));
    add("packets_left", count_of(row, "packets_left") + " packets");
    return left;
}

std::string show_sa(const json& data) {
    Table table;
    table.column("SPI").column("DIR").column("PEER").column("POLICY").column("MODE");
    table.column("ALGORITHM").column("WINDOW", Align::kRight).column("ESN");
    table.column("PACKETS", Align::kRight).column("OCTETS", Align::kRight);
    table.column("ERRORS", Align::kRight).column("SEQUENCE", Align::kRight);
    table.column("STATE").column("LEFT", Align::kRight).column("WORKER", Align::kRight);
    for (const json& row : list_of(data, "sas")) {
        table.row({text_of(row, "spi"), text_of(row, "direction"), text_of(row, "peer"),
                   text_of(row, "policy"), text_of(row, "mode"), text_of(row, "algorithm"),
                   text_of(row, "replay_window"), text_of(row, "esn"), count_of(row, "packets"),
                   octets_of(row, "bytes"), count_of(row, "errors"),
                   count_of(row, "highest_sequence"), text_of(row, "state"), lifetime_of(row),
                   text_of(row, "owner_worker")});
    }
    return (table.empty() ? "no security associations\n" : table.text()) + page_note(data);
}

std::string show_spd(const json& data) {
    Table table;
    table.column("#", Align::kRight).column("ID", Align::kRight).column("NAME").column("ACTION");
    table.column("MODE").column("IN", Align::kRight).column("OCTETS IN", Align::kRight);
    table.column("OUT", Align::kRight).column("OCTETS OUT", Align::kRight).column("SELECTORS");
    for (const json& row : list_of(data, "policies")) {
        table.row({text_of(row, "order"), text_of(row, "id"), text_of(row, "name"),
                   text_of(row, "action"), text_of(row, "mode"), count_of(row, "in_packets"),
                   octets_of(row, "in_bytes"), count_of(row, "out_packets"),
                   octets_of(row, "out_bytes"), text_of(row, "selectors")});
    }
    return table.text();
}

std::string show_stages(const json& data) {
    Table table;
    table.column("STAGE").column("CALLS", Align::kRight).column("PACKETS", Align::kRight);
    table.column("PER CALL", Align::kRight).column("CYCLES/PACKET", Align::kRight);
    for (const json& row : list_of(data, "stages")) {
        table.row({text_of(row, "name"), count_of(row, "calls"), count_of(row, "packets"),
                   decimal_of(row, "packets_per_call", 1),
                   decimal_of(row, "cycles_per_packet", 1)});
    }
    std::string out = table.text();
    if (!list_of(data, "edges").empty()) {
        Table edges;
        edges.column("EDGE").column("PACKETS", Align::kRight);
        for (const json& row : list_of(data, "edges")) {
            edges.row({text_of(row, "name"), count_of(row, "packets")});
        }
        out += "\n" + edges.text();
    }
    Table workers;
    workers.column("WORKER ON LCORE", Align::kRight).column("POLLS", Align::kRight);
    workers.column("EMPTY", Align::kRight).column("SLEEPS", Align::kRight);
    workers.column("BUSY %", Align::kRight).column("HANDED OVER", Align::kRight);
    for (const json& row : list_of(data, "workers")) {
        workers.row({text_of(row, "lcore"), count_of(row, "polls"), count_of(row, "empty_polls"),
                     count_of(row, "sleeps"), decimal_of(row, "busy_percent", 1),
                     count_of(row, "handed_over")});
    }
    return out + "\n" + workers.text();
}

std::string show_drops(const json& data) {
    Table sums;
    sums.column("PACKETS").column("", Align::kRight);
    for (const char* name : {"received", "forwarded", "delivered", "dropped", "difference"}) {
        sums.row({name, count_of(data, name)});
    }
    std::string out =
        sums.text() + "received = forwarded + delivered + dropped; what differs is on its way\n";
    for (const auto& [kind, title] :
         {std::pair("drop", "DROPPED"), std::pair("received", "RECEIVED"),
          std::pair("forwarded", "FORWARDED"), std::pair("delivered", "DELIVERED"),
          std::pair("event", "EVENT")}) {
        Table table;
        table.column(title).column("PACKETS", Align::kRight);
        for (const json& row : list_of(data, "counters")) {
            if (text_of(row, "kind") == kind) {
                table.row({text_of(row, "name"), count_of(row, "value")});
            }
        }
        if (!table.empty()) out += "\n" + table.text();
    }
    Table control;
    control.column("CONTROL PLANE").column("COUNT", Align::kRight);
    for (const json& row : list_of(data, "control_plane")) {
        control.row({text_of(row, "name"), count_of(row, "value")});
    }
    return control.empty() ? out : out + "\n" + control.text();
}

std::string show_ports(const json& data) {
    Table table;
    table.column("#", Align::kRight).column("PORT").column("DRIVER").column("TAP").column("MAC");
    table.column("MTU", Align::kRight).column("LINK").column("RX", Align::kRight);
    table.column("", Align::kRight).column("TX", Align::kRight).column("", Align::kRight);
    table.column("MISSED", Align::kRight).column("ERRORS", Align::kRight);
    table.column("KERNEL RX", Align::kRight).column("TX", Align::kRight);
    for (const json& row : list_of(data, "ports")) {
        const std::string link = row.find("link_up") == row.end() ? "-"
                                 : is_true(row, "link_up")        ? "up"
                                                                  : "down";
        const auto errors = number_of(row, "rx_errors") + number_of(row, "tx_errors") +
                            number_of(row, "rx_no_buffer");
        table.row({text_of(row, "index"), text_of(row, "name"), text_of(row, "driver"),
                   text_of(row, "tap"), text_of(row, "mac"), text_of(row, "mtu"), link,
                   count_of(row, "rx_packets"), octets_of(row, "rx_bytes"),
                   count_of(row, "tx_packets"), octets_of(row, "tx_bytes"),
                   count_of(row, "rx_missed"), grouped(errors), count_of(row, "kernel_rx"),
                   count_of(row, "kernel_tx")});
    }
    return table.empty() ? "no ports\n" : table.text();
}

std::string show_adjacencies(const json& data) {
    Table table;
    table.column("NEXT HOP").column("PORT").column("MAC").column("PACKETS", Align::kRight);
    for (const json& row : list_of(data, "adjacencies")) {
        table.row({text_of(row, "next_hop"), text_of(row, "port"),
                   is_true(row, "resolved") ? text_of(row, "mac") : "unresolved",
                   count_of(row, "packets")});
    }
    return table.empty() ? "no adjacencies\n" : table.text();
}

std::string show_routes(const json& data) {
    Table table;
    table.column("PREFIX").column("TYPE").column("NEXT HOP").column("PORT");
    table.column("MTU", Align::kRight);
    for (const json& row : list_of(data, "routes")) {
        const bool has_mtu = number_of(row, "mtu") != 0;
        table.row({text_of(row, "prefix"), text_of(row, "type"), text_of(row, "next_hop"),
                   text_of(row, "port"), has_mtu ? text_of(row, "mtu") : "-"});
    }
    return (table.empty() ? "no routes\n" : table.text()) + page_note(data);
}

// Names and values, one a line, nested ones indented.
void put_nested(std::string& out, const json& value, const std::string& indent) {
    for (const auto& [name, member] : value.items()) {
        const std::string head = indent + (value.is_array() ? "-" : name + ":");
        if (!member.is_structured()) {
            out += head + " " + scalar(member) + "\n";
        } else {
            out += head + (member.empty() ? " none\n" : "\n");
            put_nested(out, member, indent + "  ");
        }
    }
}

std::string nested(const json& data) {
    std::string out;
    put_nested(out, data, "");
    return out;
}

std::string show_status(const json& data) {
    std::string out;
    json shown = data;
    for (const char* part : {"control_plane", "data_plane"}) {
        if (shown.contains(part) && shown[part].contains("uptime")) {
            shown[part]["uptime"] = duration_of(shown[part], "uptime");
        }
    }
    const json problems = list_of(shown, "problems");
    shown.erase("problems");
    put_nested(out, shown, "");
    for (const json& problem : problems) {
        out += "PROBLEM: " + (problem.is_string() ? problem.get<std::string>() : problem.dump()) +
               "\n";
    }
    return problems.empty() ? out + "no problems\n" : out;
}

std::string show_config(const json& data) {
    return "# " + (text_of(data, "file") == "-" ? "built-in defaults" : text_of(data, "file")) +
           "\n# hash " + text_of(data, "hash") + "\n" + text_of(data, "yaml");
}

// Sixteen octets a line, with their offset.
std::string hex_dump(const std::string& hex) {
    std::string out;
    for (std::size_t at = 0; at < hex.size(); at += 32) {
        std::string offset = std::to_string(at / 2);
        out += "        " + std::string(4 - std::min<std::size_t>(4, offset.size()), ' ') + offset;
        for (std::size_t i = at; i < std::min(at + 32, hex.size()); i += 2) {
            out += " " + hex.substr(i, 2);
        }
        out += "\n";
    }
    return out;
}

std::string trace_show(const json& data) {
    std::string out;
    for (const json& packet : list_of(data, "packets")) {
        out += "packet " + text_of(packet, "packet") + "\n";
        std::string previous;
        for (const json& step : list_of(packet, "steps")) {
            out += "  " + decimal_of(step, "microseconds", 2) + " us  " + text_of(step, "stage") +
                   " -> " + text_of(step, "edge") + "  " + text_of(step, "length") + " octets";
            if (text_of(step, "port") != "-") out += "  " + text_of(step, "port");
            out += "\n";
            const std::string bytes = text_of(step, "bytes");
            if (bytes != "-" && bytes != previous) out += hex_dump(bytes);
            previous = bytes;
        }
    }
    if (out.empty()) out = "nothing was recorded\n";
    if (number_of(data, "lost") != 0) out += text_of(data, "lost") + " steps did not fit\n";
    return out;
}

std::string config_check(const json& data) {
    std::string out = text_of(data, "file") + ": ";
    if (is_true(data, "valid")) {
        return out + "valid" + (is_true(data, "changed") ? ", not yet in force" : "") + "\n";
    }
    out += "not valid\n";
    for (const json& error : list_of(data, "errors")) {
        out += (error.is_string() ? error.get<std::string>() : error.dump()) + "\n";
    }
    return out;
}

std::string spd_lint(const json& data) {
    std::string out;
    for (const json& finding : list_of(data, "findings")) {
        out += text_of(finding, "kind") + ": " + text_of(finding, "text") + "\n";
    }
    return out.empty() ? "no clash among " + text_of(data, "policies") + " policies\n" : out;
}

std::string list_commands(const json& data) {
    Table table;
    table.column("COMMAND").column("");
    for (const json& row : list_of(data, "commands")) {
        table.row({text_of(row, "name"), text_of(row, "summary")});
    }
    return table.text();
}
std::string show_flow(const json& data) {
    Table table;
    table.column("PORT").column("RULE").column("STATE").column("ACTION").column("MATCH");
    table.column("REFUSED BY").column("REASON");
    for (const json& row : list_of(data, "rules")) {
        table.row({text_of(row, "port"), text_of(row, "name"), text_of(row, "state"),
                   text_of(row, "action"), text_of(row, "match"), text_of(row, "refused_by"),
                   text_of(row, "reason")});
    }
    return (table.empty() ? "" : table.text()) + count_of(data, "installed") + " installed, " +
           count_of(data, "software") + " in software\n";
}

}  // namespace

std::string render(const std::string& command, const json& data) {
    static const std::map<std::string, std::string (*)(const json&)> kRenderers{
        {"show bindings", show_bindings},
        {"show mip4-bindings", show_mip4_bindings},
        {"show mip4-home-agents", show_mip4_home_agents},
        {"show sa", show_sa},
        {"show spd", show_spd},
        {"show stages", show_stages},
        {"show drops", show_drops},
        {"show ports", show_ports},
        {"show flow", show_flow},
        {"show routes", show_routes},
        {"show adjacencies", show_adjacencies},
        {"show status", show_status},
        {"show config", show_config},
        {"config show", show_config},
        {"trace show", trace_show},
        {"config check", config_check},
        {"list commands", list_commands},
        {"spd lint", spd_lint}};
    const auto it = kRenderers.find(command);
    return printable(it != kRenderers.end() && data.is_object() ? it->second(data) : nested(data));
}

}  // namespace homeport::hactl
