#include "reconcile/kong_object.h"

#include <openssl/evp.h>

#include "base/text.h"

namespace weir::reconcile::kong {

namespace json = boost::json;

namespace {

std::optional<std::string_view> entry_of(const Object& object, std::string_view map, std::string_view key) {
  const auto* value = object_of(object, {"metadata", map}).if_contains(key);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::optional(text::trim(*text)) : std::nullopt;
}

}  // namespace

std::optional<std::string_view> annotation(const Object& object, std::string_view whole_key) {
  return entry_of(object, "annotations", whole_key);
}

std::optional<std::string_view> kong_annotation(const Object& object, std::string_view key) {
  return annotation(object, fmt::format("konghq.com/{}", key));
}

std::optional<std::string_view> label(const Object& object, std::string_view key) {
  return entry_of(object, "labels", key);
}

json::array tags(const Kind& kind, const Object& object) {
  const auto& metadata = object_of(object, {"metadata"});
  json::array out;
  const auto add = [&](std::string_view what, std::string_view value) {
    if (!value.empty()) out.emplace_back(fmt::format("{}:{}", what, value));
  };
  add("k8s-name", text_of(metadata, "name"));
  add("k8s-namespace", text_of(metadata, "namespace"));
  add("k8s-kind", kind.kind);
  add("k8s-uid", text_of(metadata, "uid"));
  add("k8s-group", kind.group);
  add("k8s-version", kind.version);
  for (const auto tag : text::split(kong_annotation(object, "tags").value_or(""))) out.emplace_back(tag);
  return out;
}

std::optional<Result<std::string>> secret_value(const Object& secret, std::string_view key) {
  const auto* value = object_of(secret, {"data"}).if_contains(key);
  const auto* text = value ? value->if_string() : nullptr;
  if (!text) return std::nullopt;
  if (text->size() % 4 != 0) return Result<std::string>(fail("key '{}' is not base64", key));
  std::string out(text->size() / 4 * 3, '\0');
  const int bytes =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text->data()), static_cast<int>(text->size()));
  if (bytes < 0) return Result<std::string>(fail("key '{}' is not base64", key));
  // OpenSSL counts what the padding stands for.
  const auto padding = text->ends_with("==") ? 2u : text->ends_with('=') ? 1u : 0u;
  out.resize(static_cast<std::size_t>(bytes) - padding);
  return Result<std::string>(std::move(out));
}

void add_fault(std::string& fault, std::string_view sentence) {
  constexpr std::size_t bytes_max = 900;  // the message of an Event has 1,024 bytes at most
  constexpr std::string_view more = "; and more";
  if (sentence.empty() || fault.find(sentence) != fault.npos || fault.ends_with(more)) return;
  if (fault.size() + sentence.size() + 2 > bytes_max && !fault.empty()) {
    fault += more;
    return;
  }
  if (!fault.empty()) fault += "; ";
  fault += sentence.substr(0, bytes_max);
}

namespace {

void list_fields(std::vector<std::string>& out, const std::string& path, const json::value& fault) {
  if (const auto* object = fault.if_object()) {
    for (const auto& pair : *object) {
      const std::string_view key = pair.key();
      list_fields(out, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key), pair.value());
    }
  } else if (!fault.is_null()) {
    out.push_back(path);
  }
}

}  // namespace

std::string in_words(const model::Problem& problem, Values values) {
  if (values == Values::shown) return problem.message;
  std::vector<std::string> fields;
  list_fields(fields, "", problem.fields);
  return fmt::format("{} ({})", problem.name(), fmt::join(fields, ", "));
}

model::Outcome<Entity> make_entity(std::string_view schema_name, const Uuid& id, Object input,
                                   std::int64_t created_at) {
  const auto* schema = model::find_schema(schema_name);
  if (!schema)
    return std::unexpected(
        model::schema_violation({{"@entity", json::array{fmt::format("{} are not supported", schema_name)}}}));
  input["id"] = id.text();
  auto entity = schema->insert(std::move(input), static_cast<double>(std::max<std::int64_t>(created_at, 1)));
  if (!entity) return std::unexpected(std::move(entity.error()));
  return Entity{schema, id, std::move(*entity)};
}

model::Outcome<Entity> make_without_faulty(std::string_view schema, const Uuid& id, Object input,
                                           std::int64_t created_at, const std::map<std::string, std::string>& optional,
                                           std::string_view of, std::string& fault) {
  auto made = make_entity(schema, id, input, created_at);
  if (made) return made;
  bool left_out = false;
  for (const auto& pair : made.error().fields) {
    const auto known = optional.find(std::string(pair.key()));
    if (known == optional.end() || !input.contains(pair.key())) continue;
    model::Problem alone = model::schema_violation({{pair.key(), pair.value()}});
    add_fault(fault, fmt::format("{}: {} is left out: {}", of, known->second, alone.message));
    input.erase(pair.key());
    left_out = true;
  }
  if (!left_out) return made;
  return make_entity(schema, id, std::move(input), created_at);
}

}  // namespace weir::reconcile::kong
