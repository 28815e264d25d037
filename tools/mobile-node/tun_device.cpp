// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/tun_device.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>

namespace homeport::mobile_node {

Result<TunDevice> TunDevice::create(const std::string& name) {
    FileDescriptor fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd.is_open()) return fail_errno("/dev/net/tun");
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::copy_n(name.data(), std::min(name.size(), std::size_t{IFNAMSIZ - 1}), request.ifr_name);
    if (::ioctl(fd.get(), TUNSETIFF, &request) < 0) {
        return fail_errno("TUN device " + name +
                          (errno == EBUSY ? " (is another homeport-mn running?)" : ""));
    }
    const unsigned index = ::if_nametoindex(request.ifr_name);
    if (index == 0) return fail_errno("TUN device " + name);
    return TunDevice(std::move(fd), static_cast<int>(index));
}

Result<std::size_t> TunDevice::read(ByteSpan buffer) {
    while (true) {
        const auto length = ::read(fd_.get(), buffer.data(), buffer.size());
        if (length >= 0) return static_cast<std::size_t>(length);
        if (errno == EAGAIN) return std::size_t{0};
        if (errno != EINTR) return fail_errno("read from the TUN device");
    }
}

bool TunDevice::write(ConstByteSpan packet) {
    while (true) {
        if (::write(fd_.get(), packet.data(), packet.size()) >= 0) return true;
        if (errno != EINTR) return false;
    }
}

}  // namespace homeport::mobile_node
