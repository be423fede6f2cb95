#include <gtest/gtest.h>

#include "base/siphash.h"

namespace await {
namespace {

TEST(SipHash, matches_the_reference_vectors) {
  SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string bytes;
  EXPECT_EQ(siphash(key, bytes), 0x726fdb47dd0e0e31U);
  for (char c = 0; c < 15; ++c)
    bytes += c;
  EXPECT_EQ(siphash(key, bytes), 0xa129ca6149be45e5U);
  EXPECT_EQ(siphash(key, bytes.substr(0, 8)), 0x93f5f5799a932462U);
}

// Clients name ids of their own making: those that fall into one bucket must not be known beforehand, and ids

}  // namespace
}  // namespace await
