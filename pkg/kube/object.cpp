#include "kube/object.h"

#include <charconv>

namespace weir::kube {
namespace {

namespace json = boost::json;

// CustomResourceDefinitions nest deep; the API server's own limit is far above.
constexpr std::size_t depth_max = 256;

json::value parse(std::string_view text, json::storage_ptr storage, json::error_code& error) {
  json::parse_options options;
  options.max_depth = depth_max;
  return json::parse(text, error, std::move(storage), options);
}

std::string_view text(const Object& object, std::string_view name) {
  const auto* found = object.if_contains(name);
  const auto* value = found ? found->if_string() : nullptr;
  return value ? std::string_view(*value) : std::string_view();
}

Object* child(Object& object, std::string_view name) {
  auto* found = object.if_contains(name);
  return found ? found->if_object() : nullptr;
}

std::uint64_t revision_of(const Object& metadata) {
  const auto version = text(metadata, "resourceVersion");
  std::uint64_t out = 0;
  const auto* end = version.data() + version.size();
  const auto [stopped, error] = std::from_chars(version.data(), end, out);
  return error == std::errc{} && stopped == end ? out : 0;
}

void strip(Object& metadata) {
  metadata.erase("managedFields");
  auto* annotations = child(metadata, "annotations");
  if (!annotations) return;
  annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
  if (annotations->empty()) metadata.erase("annotations");
}

std::string print(Object& object, const Kind& kind) {
  const auto api_version = text(object, "apiVersion");
  Object ordered(object.storage());
  ordered.reserve(object.size() + 2);
  ordered["apiVersion"] = api_version.empty() ? std::string_view(kind.api_version()) : api_version;
  const auto kind_name = text(object, "kind");
  ordered["kind"] = kind_name.empty() ? kind.kind : kind_name;
  ordered["metadata"] = std::move(object["metadata"]);
  for (auto& [name, value] : object)
    if (name != "apiVersion" && name != "kind" && name != "metadata") ordered.emplace(name, std::move(value));
  auto out = json::serialize(ordered);
  out.shrink_to_fit();  // thousands are kept
  return out;
}

Result<Name> name_of(const Object& metadata) {
  Name name{std::string(text(metadata, "namespace")), std::string(text(metadata, "name"))};
  if (name.name.empty()) return fail("an object without a name");
  return name;
}

std::pair<std::string_view, std::string_view> without(std::string_view text, std::uint64_t revision) {
  const auto part = fmt::format("\"resourceVersion\":\"{}\"", revision);
  const auto at = text.find(part);
  if (at == text.npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + part.size())};
}

Result<Event> read_event(Object& line, const Kind& kind) {
  const auto type = text(line, "type");
  auto* object = child(line, "object");
  if (!object) return fail("a watch event without an object");
  Event out;
  if (type == "ERROR") {
    const auto* code = object->if_contains("code");
    out.code = code && code->is_int64() ? static_cast<int>(code->get_int64()) : 0;
    out.message = std::string(text(*object, "message")).substr(0, 1000);
    return out;
  }
  auto* metadata = child(*object, "metadata");
  if (!metadata) return fail("a watch event without metadata");
  out.revision = revision_of(*metadata);
  if (type == "BOOKMARK") {
    out.type = Event::Type::bookmark;
    return out;
  }
  if (type == "DELETED") {
    auto name = name_of(*metadata);
    if (!name) return std::unexpected(name.error());
    out.type = Event::Type::deleted;
    out.item = {std::move(*name), out.revision, {}};
    return out;
  }
  if (type != "ADDED" && type != "MODIFIED") return fail("a watch event of an unknown type");
  auto item = keep(*object, kind);
  if (!item) return std::unexpected(item.error());
  out.type = Event::Type::changed;
  out.item = std::move(*item);
  return out;
}

}  // namespace

Result<Item> keep(Object& object, const Kind& kind) {
  auto* metadata = child(object, "metadata");
  if (!metadata) return fail("an object without metadata");
  auto name = name_of(*metadata);
  if (!name) return std::unexpected(name.error());
  const auto revision = revision_of(*metadata);
  strip(*metadata);
  return Item{std::move(*name), revision, print(object, kind)};
}

Object parse_kept(std::string_view text) {
  json::error_code error;
  auto parsed = parse(text, {}, error);
  WEIR_ASSERT(!error && parsed.is_object());  // it is what we printed
  return std::move(parsed.get_object());
}

bool same_but_revision(std::string_view a, std::uint64_t revision_a, std::string_view b, std::uint64_t revision_b) {
  if (a == b) return true;
  return without(a, revision_a) == without(b, revision_b);
}

Result<Event> parse_event(std::string_view line, const Kind& kind) {
  unsigned char buffer[16 * 1024];
  json::monotonic_resource memory(buffer);
  json::error_code error;
  auto parsed = parse(line, &memory, error);
  if (error || !parsed.is_object()) return fail("a watch line that is not JSON");
  return read_event(parsed.get_object(), kind);
}

Result<Page> parse_page(std::string_view body, const Kind& kind) {
  json::monotonic_resource memory;
  json::error_code error;
  auto parsed = parse(body, &memory, error);
  if (error || !parsed.is_object()) return fail("a list that is not JSON");
  auto& list = parsed.get_object();
  auto* metadata = child(list, "metadata");
  if (!metadata) return fail("a list without metadata");
  Page out;
  out.revision = revision_of(*metadata);
  out.next = text(*metadata, "continue");
  auto* items = list.if_contains("items");
  if (!items || items->is_null()) return out;
  if (!items->is_array()) return fail("a list whose items are no list");
  out.items.reserve(items->get_array().size());
  for (auto& element : items->get_array()) {
    if (!element.is_object()) return fail("a list with an item that is no object");
    auto item = keep(element.get_object(), kind);
    if (!item) return std::unexpected(item.error());
    out.items.push_back(std::move(*item));
  }
  return out;
}

std::string escape_query(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace weir::kube
