// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <charconv>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::array<std::pair<std::string_view, HugePages>, 3> kHugePagesTable{
    {{"auto", HugePages::kAuto}, {"on", HugePages::kOn}, {"off", HugePages::kOff}}};
constexpr std::array<std::pair<std::string_view, CryptoCpu>, 5> kCryptoCpuTable{
    {{"auto", CryptoCpu::kAuto},
     {"sse", CryptoCpu::kSse},
     {"avx", CryptoCpu::kAvx},
     {"avx2", CryptoCpu::kAvx2},
     {"avx512", CryptoCpu::kAvx512}}};

constexpr unsigned kMaxLcore = 1023;
constexpr std::size_t kMaxPorts = 32;
constexpr std::uint32_t kMaxLookAhead = 4096;

// `workers:` is a number of lcores, a list of them, or a map with the key `lcores`.
void read_worker_list(Report& report, const Value& list, WorkerConfig& out) {
    std::vector<unsigned> lcores;
    for_each(report, list, "lcore numbers", [&](const Value& element) {
        unsigned lcore = 0;
        if (!element.number(lcore, 0, kMaxLcore)) return;
        if (std::find(lcores.begin(), lcores.end(), lcore) != lcores.end()) {
            element.fail("each lcore once");
            return;
        }
        lcores.push_back(lcore);
    });
    if (lcores.empty()) return;
    out.count = static_cast<unsigned>(lcores.size());
    out.lcores = std::move(lcores);
}

void read_workers(Section& parent, WorkerConfig& out) {
    const auto value = parent.find("workers");
    if (!value) return;
    if (value->node().IsMap()) {
        Section section(parent.report(), value->node(), value->path());
        if (const auto list = section.find("lcores")) {
            read_worker_list(section.report(), *list, out);
        }
        if (const auto count = section.find("count")) {
            if (!out.lcores.empty()) {
                count->fail("either 'count' or 'lcores', not both");
            } else {
                count->number(out.count, 1, kMaxLcore);
            }
        }
        return section.finish();
    }
    if (value->node().IsSequence()) return read_worker_list(parent.report(), *value, out);
    value->number(out.count, 1, kMaxLcore, "workers");
}

void read_idle_backoff(Section& section, std::uint32_t& out) {
    const auto value = section.find("idle_backoff");
    if (!value) return;
    const std::string_view text = value->is_scalar() ? value->text() : "";
    if (text == "off" || text == "false" || text == "no") {
        out = 0;
    } else if (text != "on" && text != "true" && text != "yes") {
        std::uint32_t us = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, us);
        if (text.empty() || error != std::errc() || stop != end || us > 10000) {
            return value->fail("on, off, or the longest sleep in microseconds, 0 to 10000");
        }
        out = us;
    }
}

bool is_name(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

void read_port(Report& report, const Value& element, std::vector<PortConfig>& out) {
    Section section(report, element.node(), element.path());
    PortConfig port;
    if (const auto name = section.require("name", "how the port is called")) {
        if (name->string(port.name, 31) && (!is_name(port.name) || port.name == "virtual")) {
            name->fail("letters, digits, '-', '_' and '.'; not 'virtual'");
        }
    }
    if (const auto device =
            section.require("device", "a PCI address or a virtual device with its arguments")) {
        device->string(port.device, 512);
    }
    port.tap = ("hp-" + port.name).substr(0, 15);
    if (const auto tap = section.find("tap")) {
        if (tap->string(port.tap, 15) && !is_name(port.tap)) {
            tap->fail("a name of an interface: letters, digits, '-', '_' and '.'");
        }
    }
    if (const auto mac = section.find("mac")) mac->mac(port.mac);
    if (const auto mtu = section.find("mtu")) mtu->number(port.mtu, 1280, 9198, "octets");
    if (const auto queues = section.find("queues")) {
        if (!(queues->is_scalar() && queues->text() == "auto")) {
            queues->number(port.queues, 1, 64, "receive queues, or auto");
        }
    }
    if (const auto pmd = section.find("pmd_config")) {
        if (pmd->string(port.pmd_config, 64) && !is_name(port.pmd_config)) {
            pmd->fail("auto, or the name of a file of pmd_config_dir without its ending");
        }
    }
    if (const auto workers = section.find("workers")) {
        for_each(report, *workers, "numbers of workers", [&](const Value& value) {
            unsigned worker = 0;
            if (!value.number(worker, 0, kMaxLcore)) return;
            if (std::ranges::find(port.workers, worker) != port.workers.end()) {
                return value.fail("each worker once");
            }
            port.workers.push_back(worker);
        });
    }
    if (const auto rules = section.find("flow_rules")) rules->boolean(port.flow_rules);
    if (const auto ahead = section.find("look_ahead")) {
        std::uint32_t frames = 0;
        if (!(ahead->is_scalar() && ahead->text() == "auto") &&
            ahead->number(frames, 0, kMaxLookAhead, "frames, or auto")) {
            port.look_ahead = frames;
        }
    }
    section.finish();
    out.push_back(std::move(port));
}

void read_reassembly(Section section, ReassemblyConfig& out) {
    if (const auto v = section.find("entries")) v->number(out.entries, 1, 1u << 20, "datagrams");
    if (const auto v = section.find("timeout_ms")) {
        v->number(out.timeout_ms, 100, 120000, "milliseconds");
    }
    if (const auto v = section.find("per_source")) {
        v->number(out.per_source, 1, 1u << 20, "datagrams");
    }
    section.finish();
}

void read_ipsec(Section section, IpsecConfig& out) {
    if (const auto v = section.find("cpu")) v->choice(out.cpu, kCryptoCpuNames);
    if (const auto v = section.find("copy_mode")) v->boolean(out.copy_mode);
    section.finish();
}

void read_sizes(Section& section, DataplaneConfig& out) {
    constexpr std::uint64_t kMost = 1u << 24;
    if (const auto v = section.find("memory_mb")) {
        v->number(out.memory_mb, 64, 1u << 20, "megabytes");
    }
    if (const auto v = section.find("mbufs")) v->number(out.mbufs, 1024, kMost, "packet buffers");
    if (const auto v = section.find("max_bindings")) v->number(out.max_bindings, 16, kMost);
    if (const auto v = section.find("max_routes")) v->number(out.max_routes, 16, kMost);
    if (const auto v = section.find("max_adjacencies")) v->number(out.max_adjacencies, 16, kMost);
    if (const auto v = section.find("max_sas")) v->number(out.max_sas, 16, kMost);
}

}  // namespace

const std::span<const std::pair<std::string_view, HugePages>> kHugePagesNames = kHugePagesTable;
const std::span<const std::pair<std::string_view, CryptoCpu>> kCryptoCpuNames = kCryptoCpuTable;

void read_dataplane(Section section, DataplaneConfig& out) {
    if (const auto v = section.find("main_lcore")) v->number(out.main_lcore, 0, kMaxLcore);
    read_workers(section, out.workers);
    read_idle_backoff(section, out.idle_backoff_us);
    if (const auto v = section.find("huge_pages")) v->choice(out.huge_pages, kHugePagesNames);
    read_sizes(section, out);
    section.list("eal_args", "arguments", [&](const Value& element) {
        std::string argument;
        if (element.string(argument)) out.eal_args.push_back(std::move(argument));
    });
    if (const auto v = section.find("file_prefix")) {
        if (v->string(out.file_prefix, 32) && !is_name(out.file_prefix)) {
            v->fail("letters, digits, '-', '_' and '.'");
        }
    }
    if (const auto v = section.find("channel_socket")) v->string(out.channel_socket, 107);
    if (const auto v = section.find("channel_group")) v->string(out.channel_group, 32);
    std::vector<PortConfig> ports;
    if (section.list("ports", "ports",
                     [&](const Value& element) { read_port(section.report(), element, ports); })) {
        if (ports.empty() || ports.size() > kMaxPorts) {
            section.report().add_at(section.path() + ".ports",
                                    "a list of " + std::to_string(ports.size()),
                                    "1 to " + std::to_string(kMaxPorts) + " ports");
        }
        out.ports = std::move(ports);
    }
    read_reassembly(section.section("reassembly"), out.reassembly);
    read_ipsec(section.section("ipsec"), out.ipsec);
    if (const auto v = section.find("pmd_config_dir")) v->string(out.pmd_config_dir);
    section.finish();
}

}  // namespace homeport::config
