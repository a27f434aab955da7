// For the tests of this folder: a temporary folder, entities made by the schemas, a store on a file.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "model/entities.h"
#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "store/store.h"

namespace weir::store {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline const Schema& services() {
  return model::schema<model::Service>();
}
inline const Schema& routes() {
  return model::schema<model::Route>();
}
inline const Schema& upstreams() {
  return model::schema<model::Upstream>();
}
inline const Schema& targets() {
  return model::schema<model::Target>();
}

inline const Schema& consumers() {
  return model::schema<model::Consumer>();
}
inline const Schema& plugins() {
  return model::schema<model::Plugin>();
}
inline const Schema& key_auths() {
  return model::schema<model::KeyAuthCredential>();
}
inline const Schema& basic_auths() {
  return model::schema<model::BasicAuthCredential>();
}
inline const Schema& acls() {
  return model::schema<model::Acl>();
}

// Two plugins: "key-auth", which no consumer may have, and "limit".
inline void install_test_plugins() {
  struct KeyAuth {
    std::vector<std::string> key_names{"apikey"};
    std::optional<std::string> realm;
  };
  struct Limit {
    std::optional<std::int64_t> minute;
    std::string policy = "local";
  };
  static const auto key_auth = model::SchemaBuilder<KeyAuth>("key-auth")
                                   .field("key_names", &KeyAuth::key_names, "Names.")
                                   .field("realm", &KeyAuth::realm, "Realm.")
                                   .build();
  static const auto limit = model::SchemaBuilder<Limit>("limit")
                                .field("minute", &Limit::minute, "Per minute.")
                                .field("policy", &Limit::policy, "Policy.")
                                .build();
  model::install_plugin_schemas({{"key-auth", &key_auth.schema, false, 2}, {"limit", &limit.schema, true, 1}});
}

// A complete entity from what a client would send.
inline Object made(const Schema& schema, std::string_view json, double now = 1700000000.125) {
  auto entity = schema.insert(boost::json::parse(json).as_object(), now);
  EXPECT_TRUE(entity.has_value()) << (entity ? "" : entity.error().message);
  return entity ? std::move(*entity) : Object{};
}
inline std::string id_text(const Object& entity) {
  return std::string(entity.at("id").as_string());
}
inline Uuid id_value(const Object& entity) {
  return *Uuid::parse(id_text(entity));
}

inline std::unique_ptr<Store> opened(const std::string& path = ":memory:") {
  auto store = open_sqlite(path);
  EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().message);
  return store ? std::move(*store) : nullptr;
}

// Inserts and returns what is stored.
inline Object put(Store& store, const Schema& schema, std::string_view json, double now = 1700000000.125) {
  auto written = store.insert(schema, made(schema, json, now));
  EXPECT_TRUE(written.has_value()) << (written ? "" : written.error().message);
  return written ? std::move(written->entity) : Object{};
}

inline std::string child(std::string_view field, const Object& parent, std::string_view rest) {
  return fmt::format(R"({{"{}":{{"id":"{}"}},{}}})", field, id_text(parent), rest);
}

}  // namespace weir::store
