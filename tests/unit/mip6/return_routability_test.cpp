// SPDX-License-Identifier: BSD-3-Clause
// Known answers of return routability, computed by Python's hashlib and hmac.
#include "controlplane/mip6/return_routability.hpp"

#include <gtest/gtest.h>

#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using test::from_hex;
using test::to_hex;
using test::v6;

const Ipv6Address kHoa = v6("2001:db8:1::100");
const Ipv6Address kCoa = v6("2001:db8:a::200");
const Ipv6Address kCn = v6("2001:db8:3::300");
constexpr std::uint64_t kHomeToken = 0x0102030405060708;
constexpr std::uint64_t kCareOfToken = 0x1112131415161718;

std::string hex_of(const BindingManagementKey& key) {
    return to_hex({key.octets().begin(), key.octets().end()});
}

TEST(ReturnRoutability, RFC6275_5_2_5_binding_management_key) {
    EXPECT_EQ(hex_of(BindingManagementKey(kHomeToken, kCareOfToken)),
              "cedf8515311913c2601bc6aa86a92ddf2601d97e");
    EXPECT_EQ(hex_of(BindingManagementKey(kHomeToken, std::nullopt)),
              "dd5783bcf1e9002bc00ad5b83a95ed6e4ebb4ad5");
}

TEST(ReturnRoutability, RFC6275_6_2_7_binding_update_with_authenticator) {
    wire::BindingUpdate update;
    update.acknowledge = true;
    update.sequence = 2000;
    update.lifetime = wire::FourSecondUnits{105};
    update.options = {wire::NonceIndices{7, 9}};
    const auto packet = authenticated_update(update, kHoa, kCn, kCoa,
                                             BindingManagementKey(kHomeToken, kCareOfToken));
    ASSERT_EQ(packet.size(), 72u);
    EXPECT_EQ(to_hex({packet.begin() + 40, packet.end()}),
              "3b030500b9ae07d080000069040400070009050c738f56755913fe1ad3712032");
}

TEST(ReturnRoutability, RFC6275_6_2_7_any_changed_octet_is_found) {
    const BindingManagementKey key(kHomeToken, kCareOfToken);
    auto header = from_hex("3b030500b9ae07d080000069040400070009050c738f56755913fe1ad3712032");
    const auto authentic = [&](const Ipv6Address& care_of_address, const Ipv6Address& cn) {
        const auto options = wire::read_mobility_options(header, 12);
        const auto* read = std::get_if<wire::MobilityOptions>(&options);
        return read != nullptr && is_authentic(header, *read, care_of_address, cn, key);
    };
    EXPECT_TRUE(authentic(kCoa, kCn));
    EXPECT_FALSE(authentic(kHoa, kCn));
    EXPECT_FALSE(authentic(kCoa, kCoa));
    for (std::size_t i = 0; i < header.size(); ++i) {
        header[i] ^= 1;
        // The checksum is none of the authenticator's business.
        EXPECT_EQ(authentic(kCoa, kCn), i == 4 || i == 5) << i;
        header[i] ^= 1;
    }
    header.resize(header.size() - 8);
    EXPECT_FALSE(authentic(kCoa, kCn));
}

TEST(ReturnRoutability, RFC6275_6_2_7_the_authenticator_must_be_last_and_of_96_bits) {
    const BindingManagementKey key(kHomeToken, kCareOfToken);
    wire::BindingAcknowledgement answer;
    EXPECT_FALSE(is_authentic(wire::encode_mobility_header(answer, kCn, kHoa), {}, kCoa, kCn, key));
    for (const std::size_t length : {std::size_t{4}, std::size_t{20}}) {
        answer.options = {wire::BindingAuthorizationData{std::vector<std::uint8_t>(length, 0)}};
        const auto header = wire::encode_mobility_header(answer, kCn, kHoa);
        EXPECT_FALSE(is_authentic(header, answer.options, kCoa, kCn, key));
    }
}

}  // namespace
}  // namespace homeport::mip6
