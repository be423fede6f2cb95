#include "curl/address_guard.h"

#include <gtest/gtest.h>

namespace await::curl {
namespace {

TEST(AddressGuard, public_addresses_are_allowed) {
  AddressGuard guard;
  for (const char *address :
       {"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
        "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::8a", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
        "192.0.1.1", "198.17.255.255", "198.20.0.0"})
    EXPECT_EQ(guard.objection(address), "") << address;
}

TEST(AddressGuard, special_addresses_are_refused_in_each_form) {
  AddressGuard guard;
  for (const char *address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "100.127.255.255",
                              "100.100.100.200",
                              "127.0.0.1",
                              "127.255.255.254",
                              "168.63.129.16",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.192",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.7",
                              "203.0.113.9",
                              "224.0.0.1",
                              "239.255.255.255",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::2",
                              "::127.0.0.1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::ffff:169.254.169.254",
                              "64:ff9b::127.0.0.1",
                              "64:ff9b::a9fe:a9fe",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:7f00:1::",
                              "2002:808:808::1",
                              "3fff::1",
                              "4000::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fe80::1",
                              "febf::1",
                              "fec0::1",
                              "ff02::1",
                              "ffff::1"})
    EXPECT_NE(guard.objection(address), "") << address;
  EXPECT_EQ(guard.objection("::ffff:10.0.0.1"), "10.0.0.1 is a private address");
  EXPECT_EQ(guard.objection("fd00:ec2::254"), "fd00:ec2::254 is a private address");
}

TEST(AddressGuard, what_is_no_address_is_refused) {
  AddressGuard guard;
  for (const char *text : {"", "localhost", "127.1", "0x7f000001", "2130706433", "8.8.8.8 ", "fe80::1%lo"})
    EXPECT_NE(guard.objection(text), "") << text;
}

TEST(AddressGuard, an_allowed_network_is_allowed_in_each_form_and_nothing_beside_it) {
  AddressGuard guard;
  ASSERT_TRUE(guard.allow("10.1.128.0/17"));
  ASSERT_TRUE(guard.allow("127.0.0.1"));
  ASSERT_TRUE(guard.allow("fd00:1::/32"));
  for (const char *address :
       {"10.1.128.0", "10.1.255.255", "::ffff:10.1.200.1", "64:ff9b::10.1.200.1", "127.0.0.1", "fd00:1::7"})
    EXPECT_EQ(guard.objection(address), "") << address;
  for (const char *address : {"10.1.127.255", "10.2.0.0", "127.0.0.2", "fd00:2::7", "::1"})
    EXPECT_NE(guard.objection(address), "") << address;
}

TEST(AddressGuard, an_IPv6_network_does_not_allow_IPv4) {
  for (const char *network : {"::/0", "::/1", "::/80", "::/95", "64:ff9b::/95"}) {
    AddressGuard guard;
    ASSERT_TRUE(guard.allow(network));
    for (const char *address :
         {"10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::169.254.169.254"})
      EXPECT_NE(guard.objection(address), "") << network << " " << address;
  }
  AddressGuard guard;
  ASSERT_TRUE(guard.allow("::/0"));
  for (const char *address : {"::1", "fd00::1", "fe80::1", "8.8.8.8"})
    EXPECT_EQ(guard.objection(address), "") << address;
  ASSERT_TRUE(guard.allow("0.0.0.0/0"));
  EXPECT_EQ(guard.objection("10.0.0.1"), "");
  EXPECT_EQ(guard.objection("64:ff9b::10.0.0.1"), "");
}

TEST(AddressGuard, IPv4_within_IPv6_is_allowed_by_that_form) {
  AddressGuard guard;
  ASSERT_TRUE(guard.allow("::ffff:10.0.0.0/104"));
  EXPECT_EQ(guard.objection("10.0.0.1"), "");
  EXPECT_NE(guard.objection("127.0.0.1"), "");
  ASSERT_TRUE(guard.allow("64:ff9b::/96"));
  EXPECT_EQ(guard.objection("64:ff9b::127.0.0.1"), "");
  EXPECT_NE(guard.objection("127.0.0.1"), "");
}

TEST(AddressGuard, everything_is_allowed_by_a_network_of_no_bits) {
  AddressGuard guard;
  ASSERT_TRUE(guard.allow("0.0.0.0/0"));
  EXPECT_EQ(guard.objection("10.0.0.1"), "");
  EXPECT_NE(guard.objection("fd00::1"), "") << "IPv4 only";
  ASSERT_TRUE(guard.allow("::/0"));
  EXPECT_EQ(guard.objection("fd00::1"), "");
  EXPECT_EQ(AddressGuard::open().objection("169.254.169.254"), "");
}

TEST(AddressGuard, a_network_that_is_none_is_an_error) {
  AddressGuard guard;
  for (const char *text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10/8",
                           "fd00::/129", "localhost", "10.0.0.0 /8"}) {
    auto result = guard.allow(text);
    ASSERT_FALSE(result) << text;
    EXPECT_NE(result.error().detail.find("is not a network"), std::string::npos);
  }
  EXPECT_NE(guard.objection("10.0.0.1"), "");
}

}  // namespace
}  // namespace await::curl
