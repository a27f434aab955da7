// The entities "keyauth_credentials", "basicauth_credentials" and "acls": how a consumer is known, and its groups.
#include <openssl/evp.h>

#include "base/result.h"

#include "model/entities.h"
#include "model/fields.h"

namespace weir::model {
namespace {

namespace json = boost::json;

constexpr double ttl_max = 1e8;  // seconds

template <class T>
SchemaBuilder<T> credential(std::string_view name) {
  SchemaBuilder<T> builder(name);
  builder.field("id", &T::id, "Identifies the entity; made up when left out.", automatic(Auto::uuid))
      .field("created_at", &T::created_at, "When it was made, in Unix seconds.", automatic(Auto::created_at))
      .field("consumer", &T::consumer, "Whose it is.", foreign("consumers"), cascade());
  builder.looked_up();
  return builder;
}

// Kong: a time to live of 0 means none.
Rule no_ttl_for_zero() {
  return [](Field& f) {
    f.normalise = [](const json::value& value) {
      const auto* seconds = value.if_int64();
      return seconds && *seconds == 0 ? json::value() : value;
    };
  };
}

std::string sha1_hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  WEIR_ASSERT(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) == 1);
  std::string out;
  for (unsigned i = 0; i < size; i++) out += fmt::format("{:02x}", digest[i]);
  return out;
}

// Kong's form of a stored password; a weak one, but the one that its databases hold.
void hash_password(Object& entity) {
  std::string text(text_of(value_of(entity, "password")));
  if (const auto* consumer = value_of(entity, "consumer").if_object()) text += text_of(value_of(*consumer, "id"));
  entity["password"] = sha1_hex(text);
}

const Declared<KeyAuthCredential>& keys_declared() {
  static const auto built =
      credential<KeyAuthCredential>("keyauth_credentials")
          .endpoint_key("key")
          .shown_at("key-auths", "key-auth")
          .field("key", &KeyAuthCredential::key, "What the consumer sends; made up when left out.", unique(),
                 automatic(Auto::secret), encrypted())
          .field("tags", &KeyAuthCredential::tags, tags_help, tags())
          .field("ttl", &KeyAuthCredential::ttl, "Seconds until it ends by itself; 0 or null: never.",
                 between(0, ttl_max), no_ttl_for_zero())
          .build();
  return built;
}

const Declared<BasicAuthCredential>& passwords_declared() {
  static const auto built =
      credential<BasicAuthCredential>("basicauth_credentials")
          .endpoint_key("username")
          .shown_at("basic-auths", "basic-auth")
          .field("username", &BasicAuthCredential::username, "What the consumer sends as user.", unique())
          .field("password", &BasicAuthCredential::password, "What the consumer sends as password; stored hashed.",
                 encrypted())
          .field("tags", &BasicAuthCredential::tags, tags_help, tags())
          .transform({"password"}, hash_password)
          .build();
  return built;
}

const Declared<Acl>& acls_declared() {
  static const auto built = credential<Acl>("acls")
                                .cache_key({"consumer", "group"})
                                .field("group", &Acl::group, "The group that the consumer is in.")
                                .field("tags", &Acl::tags, tags_help, tags())
                                .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<KeyAuthCredential>() {
  return keys_declared().schema;
}
template <>
KeyAuthCredential read<KeyAuthCredential>(const Object& entity) {
  return keys_declared().read(entity);
}
template <>
const Schema& schema<BasicAuthCredential>() {
  return passwords_declared().schema;
}
template <>
BasicAuthCredential read<BasicAuthCredential>(const Object& entity) {
  return passwords_declared().read(entity);
}
template <>
const Schema& schema<Acl>() {
  return acls_declared().schema;
}
template <>
Acl read<Acl>(const Object& entity) {
  return acls_declared().read(entity);
}

}  // namespace weir::model
