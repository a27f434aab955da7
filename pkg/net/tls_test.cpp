#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace weir::net {
namespace {

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-tls-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    cert = folder + "/c.pem", key = folder + "/k.pem";
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string folder, cert, key;
};

TEST_F(Files, of_a_self_signed_certificate_serve_and_keep_the_key_to_the_owner) {
  std::ofstream(key) << "old";  // replaced, with the right mode
  auto made = make_self_signed(cert, key);
  ASSERT_TRUE(made) << made.error().message;
  struct stat file;
  ASSERT_EQ(::stat(key.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  auto context = server_context(cert, key);
  ASSERT_TRUE(context) << context.error().message;
  SSL_CTX_free(*context);
}

TEST_F(Files, that_do_not_fit_are_named) {
  auto missing = server_context(cert, key);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find(cert), std::string::npos) << missing.error().message;
  ASSERT_TRUE(make_self_signed(cert, key));
  ASSERT_TRUE(make_self_signed(folder + "/other.pem", folder + "/other_key.pem"));
  auto foreign = server_context(cert, folder + "/other_key.pem");
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("other_key.pem"), std::string::npos) << foreign.error().message;
  auto nowhere = make_self_signed(folder + "/no/c.pem", folder + "/no/k.pem");
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("/no/k.pem"), std::string::npos);
}

TEST(Tls, makes_a_client_context) {
  auto context = client_context();
  ASSERT_TRUE(context);
  SSL_CTX_free(*context);
}

}  // namespace
}  // namespace weir::net
