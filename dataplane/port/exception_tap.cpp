// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/exception_tap.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace homeport::port {

namespace {

std::string reason() {
    // Called at start-up by the main thread alone.
    return std::strerror(errno);  // NOLINT(concurrency-mt-unsafe)
}

ifreq request(const std::string& name) {
    ifreq wanted{};
    std::memcpy(wanted.ifr_name, name.c_str(), std::min<std::size_t>(name.size(), IFNAMSIZ - 1));
    return wanted;
}

/// A socket for interface ioctls.
class Socket {
  public:
    Socket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
    ~Socket() {
        if (fd_ >= 0) close(fd_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] bool set(unsigned long command, ifreq& wanted) const {
        return fd_ >= 0 && ioctl(fd_, command, &wanted) == 0;
    }

  private:
    int fd_;
};

struct KernelParameter {
    std::string_view path;  // below /proc/sys/net; "%" is the interface
    std::string_view value;
    std::string_view meaning;  // of a failure
};

constexpr std::array<KernelParameter, 11> kKernelParameters{{
    {"ipv6/conf/%/disable_ipv6", "0", "the kernel has no IPv6 on this port"},
    {"ipv6/conf/all/forwarding", "1",
     "packets to next hops that are not yet resolved are lost instead of forwarded by the kernel"},
    {"ipv6/conf/%/forwarding", "1",
     "packets to next hops that are not yet resolved are lost instead of forwarded by the kernel"},
    {"ipv6/conf/%/accept_ra", "0",
     "the kernel may configure addresses and routes from router advertisements"},
    {"ipv6/conf/%/accept_redirects", "0", "the kernel may follow redirects"},
    {"ipv4/conf/%/forwarding", "1", "IPv4 packets to next hops that are not yet resolved are lost"},
    {"ipv4/conf/%/rp_filter", "0", "the kernel may drop packets that came by another port"},
    {"ipv4/conf/%/accept_local", "1",
     "the kernel drops packets that the data plane sends from its own addresses"},
    {"ipv4/conf/%/send_redirects", "0",
     "the kernel tells hosts to go round this router for packets that it resolves for us"},
    {"ipv4/conf/%/accept_redirects", "0", "the kernel may follow redirects"},
    {"ipv4/conf/%/arp_ignore", "1", "the kernel answers ARP for addresses of other ports"},
}};

std::string read_text(const std::string& path) {
    std::array<char, 32> text{};
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    const ssize_t length = read(fd, text.data(), text.size());
    close(fd);
    std::string value(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    while (!value.empty() && (value.back() == '\n' || value.back() == ' ')) value.pop_back();
    return value;
}

bool write_text(const std::string& path, std::string_view value) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const ssize_t written = write(fd, value.data(), value.size());
    const int code = errno;
    close(fd);
    errno = code;
    return written == static_cast<ssize_t>(value.size());
}

}  // namespace

std::expected<std::unique_ptr<ExceptionTap>, std::string> ExceptionTap::open(
    const std::string& name, const MacAddress& mac, std::uint16_t mtu) {
    const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return std::unexpected("exception TAP " + name + ": /dev/net/tun: " + reason() +
                               " (the kernel module tun and the capability CAP_NET_ADMIN are "
                               "needed)");
    }
    std::unique_ptr<ExceptionTap> tap(new ExceptionTap(fd, name));
    ifreq wanted = request(name);
    wanted.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(fd, TUNSETIFF, &wanted) != 0) {
        const std::string why =
            errno == EBUSY    ? "an interface of that name is in use by another program"
            : errno == EINVAL ? "an interface of that name is there and is no TAP, or a TAP of "
                                "another kind"
                              : reason();
        return std::unexpected("exception TAP " + name + ": " + why);
    }
    if (auto done = tap->set_up(mac, mtu); !done) return std::unexpected(done.error());
    return tap;
}

ExceptionTap::~ExceptionTap() {
    close(fd_);
}

std::expected<void, std::string> ExceptionTap::set_up(const MacAddress& mac, std::uint16_t mtu) {
    const Socket socket;
    const auto failed = [this](const char* what) {
        return std::unexpected("exception TAP " + name_ + ": " + what + ": " + reason());
    };
    ifreq wanted = request(name_);
    wanted.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    mac.store(reinterpret_cast<std::uint8_t*>(wanted.ifr_hwaddr.sa_data));
    if (!socket.set(SIOCSIFHWADDR, wanted)) return failed("its link-layer address cannot be set");
    wanted = request(name_);
    wanted.ifr_mtu = mtu;
    if (!socket.set(SIOCSIFMTU, wanted)) return failed("its MTU cannot be set");
    set_kernel_parameters();
    wanted = request(name_);
    if (!socket.set(SIOCGIFFLAGS, wanted)) return failed("its flags cannot be read");
    wanted.ifr_flags = static_cast<short>(wanted.ifr_flags | IFF_UP);
    if (!socket.set(SIOCSIFFLAGS, wanted)) return failed("it cannot be set up");
    return {};
}

void ExceptionTap::set_kernel_parameters() {
    for (const KernelParameter& parameter : kKernelParameters) {
        std::string path = "/proc/sys/net/" + std::string(parameter.path);
        if (const std::size_t at = path.find('%'); at != std::string::npos) {
            path.replace(at, 1, name_);
        }
        if (read_text(path) == parameter.value || write_text(path, parameter.value)) continue;
        warnings_.push_back(path + " cannot be set to " + std::string(parameter.value) + " (" +
                            reason() + "): " + std::string(parameter.meaning));
    }
}

bool ExceptionTap::write(std::span<const std::uint8_t> frame) {
    return ::write(fd_, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
}

std::size_t ExceptionTap::read(std::span<std::uint8_t> room) {
    const ssize_t length = ::read(fd_, room.data(), room.size());
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

void ExceptionTap::set_carrier(bool up) {
    int carrier = up ? 1 : 0;
    // Kernels before 5.0 do not know it; the interface then simply stays up.
    (void)ioctl(fd_, TUNSETCARRIER, &carrier);
}

}  // namespace homeport::port
