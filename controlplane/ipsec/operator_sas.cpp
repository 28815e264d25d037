// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/operator_sas.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace homeport::sa {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;

json to_json(const OperatorSa& sa) {
    return {{"home_address", sa.home_address.to_string()},
            {"purpose", sa.purpose},
            {"direction", sa.direction == channel::SaDirection::kInbound ? "in" : "out"},
            {"spi", sa.spi},
            {"algorithm", sa.algorithm},
            {"key_file", sa.key_file},
            {"replay_window", sa.replay_window},
            {"esn", sa.extended_sequence},
            {"soft_seconds", sa.soft_seconds},
            {"hard_seconds", sa.hard_seconds},
            {"soft_bytes", sa.soft_bytes},
            {"hard_bytes", sa.hard_bytes},
            {"added", sa.added_unix}};
}

// Throws json::exception: the caller says where.
OperatorSa from_json(const json& value) {
    OperatorSa sa;
    const auto address = Ipv6Address::parse(value.at("home_address").get<std::string>());
    if (!address) throw json::other_error::create(501, "home_address is no IPv6 address", &value);
    sa.home_address = *address;
    value.at("purpose").get_to(sa.purpose);
    sa.direction = value.at("direction").get<std::string>() == "in"
                       ? channel::SaDirection::kInbound
                       : channel::SaDirection::kOutbound;
    value.at("spi").get_to(sa.spi);
    value.at("algorithm").get_to(sa.algorithm);
    value.at("key_file").get_to(sa.key_file);
    value.at("replay_window").get_to(sa.replay_window);
    value.at("esn").get_to(sa.extended_sequence);
    value.at("soft_seconds").get_to(sa.soft_seconds);
    value.at("hard_seconds").get_to(sa.hard_seconds);
    value.at("soft_bytes").get_to(sa.soft_bytes);
    value.at("hard_bytes").get_to(sa.hard_bytes);
    value.at("added").get_to(sa.added_unix);
    return sa;
}

std::string system_text() {
    return std::generic_category().message(errno);
}

}  // namespace

std::vector<std::string_view> purposes() {
    return {"bu", "mps", "rr", "cn", "payload"};
}

std::expected<OperatorSas, std::string> OperatorSas::open(std::string path) {
    OperatorSas list(std::move(path));
    if (list.path_.empty() || !std::filesystem::exists(list.path_)) return list;
    std::ifstream file(list.path_);
    try {
        const json document = json::parse(file);
        if (document.at("version").get<int>() != kVersion) {
            return std::unexpected(list.path_ + ": found version " + document.at("version").dump() +
                                   ", expected 1");
        }
        for (const json& row : document.at("sas")) list.sas_.push_back(from_json(row));
    } catch (const json::exception& error) {
        return std::unexpected(list.path_ + ": found '" + error.what() +
                               "', expected the list of SAs that 'hactl sa add' wrote; move the "
                               "file away to begin without them");
    }
    return list;
}

bool OperatorSas::contains(const SaName& name) const {
    return std::ranges::any_of(sas_, [&](const OperatorSa& sa) { return name.names(sa); });
}

std::expected<void, std::string> OperatorSas::add(OperatorSa sa) {
    std::vector<OperatorSa> next = sas_;
    next.push_back(std::move(sa));
    if (auto written = write(next); !written) return written;
    sas_ = std::move(next);
    return {};
}

std::expected<void, std::string> OperatorSas::remove(const SaName& name) {
    std::vector<OperatorSa> next = sas_;
    std::erase_if(next, [&](const OperatorSa& sa) { return name.names(sa); });
    if (auto written = write(next); !written) return written;
    sas_ = std::move(next);
    return {};
}

/// A new file takes the place of the old one, whole or not at all.
std::expected<void, std::string> OperatorSas::write(const std::vector<OperatorSa>& sas) const {
    if (path_.empty()) return {};
    json rows = json::array();
    for (const OperatorSa& sa : sas) rows.push_back(to_json(sa));
    const std::string text = json{{"version", kVersion}, {"sas", std::move(rows)}}.dump(1) + "\n";
    const std::string fresh = path_ + ".new";
    const auto failed = [&](const char* what) {
        return std::unexpected(fresh + ": cannot " + what + ": " + system_text());
    };
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return failed("open");
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    const bool synced = done == text.size() && ::fsync(fd) == 0;
    if (!synced) {
        auto error = failed("write");
        ::close(fd);
        return error;
    }
    ::close(fd);
    if (::rename(fresh.c_str(), path_.c_str()) != 0) return failed("rename");
    return {};
}

}  // namespace homeport::sa
