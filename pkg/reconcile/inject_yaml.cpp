#include "reconcile/inject_yaml.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/text.h"
#include "store/yaml.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

constexpr std::size_t depth_max = 64;
constexpr std::size_t values_max = 300'000;  // also bounds what aliases expand to

struct Refused {
  std::string message;
};

std::optional<std::int64_t> whole(std::string_view digits, int base, bool negative) {
  std::int64_t number = 0;
  if (digits.empty() || digits.front() == '-' || digits.front() == '+') return {};
  const auto text = negative ? fmt::format("-{}", digits) : std::string(digits);
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (failed != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

json::value plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  for (const auto* word : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
    if (text == word) return true;
  for (const auto* word : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
    if (text == word) return false;
  const bool negative = text.front() == '-';
  const auto digits = std::string_view(text).substr(negative || text.front() == '+' ? 1 : 0);
  if (digits.size() > 1 && digits.front() == '0') {
    const auto prefix = text::lower(digits.substr(0, 2));
    const int base = prefix == "0x" ? 16 : prefix == "0o" ? 8 : prefix == "0b" ? 2 : 0;
    if (base)
      if (const auto number = whole(digits.substr(2), base, negative)) return *number;
    if (const auto number = whole(digits.substr(1), 8, negative)) return *number;
  }
  if (const auto number = whole(digits, 10, negative)) return *number;
  if (digits.find_first_not_of("0123456789.eE+-") == digits.npos && digits.find_first_of("0123456789") != digits.npos) {
    double number = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failed == std::errc{} && end == digits.data() + digits.size() && std::isfinite(number))
      return negative ? -number : number;
  }
  return json::value(text);
}

class Reader {
 public:
  json::value read(const YAML::Node& node, std::size_t depth = 0) {
    if (depth > depth_max) refuse(node, "nested too deep");
    if (++values_ > values_max) refuse(node, "too many values");
    if (node.IsSequence()) {
      json::array out;
      for (const auto& element : node) out.push_back(read(element, depth + 1));
      return out;
    }
    if (!node.IsMap()) {
      if (node.IsNull() || !node.IsScalar()) return nullptr;
      return node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str" ? json::value(node.Scalar())
                                                                        : plain_scalar(node.Scalar());
    }
    json::object out, merged;
    for (const auto& field : node) {
      if (!field.first.IsScalar()) refuse(field.first, "a key that is no text");
      auto value = read(field.second, depth + 1);
      if (field.first.Scalar() == "<<")
        merge(merged, value);
      else if (!out.emplace(field.first.Scalar(), std::move(value)).second)
        refuse(field.first, "a key given twice");
    }
    for (auto& pair : merged) out.emplace(pair.key(), pair.value());
    return out;
  }

 private:
  [[noreturn]] static void refuse(const YAML::Node& node, std::string_view why) {
    throw Refused{fmt::format("{} at line {}", why, node.Mark().line + 1)};
  }
  static void merge(json::object& into, const json::value& from) {
    if (const auto* list = from.if_array())
      for (const auto& one : *list) merge(into, one);
    if (const auto* object = from.if_object())
      for (const auto& pair : *object) into.emplace(pair.key(), pair.value());
  }
  std::size_t values_ = 0;
};

}  // namespace

Result<std::vector<json::value>> read_manifests(std::string_view text) {
  if (text.size() > store::document_bytes_max) return fail("larger than {} MiB", store::document_bytes_max >> 20);
  try {
    std::vector<json::value> out;
    Reader reader;
    for (const auto& document : YAML::LoadAll(std::string(text)))
      if (auto value = reader.read(document); !value.is_null()) out.push_back(std::move(value));
    return out;
  } catch (const Refused& refused) {
    return fail("{}", refused.message);
  } catch (const YAML::Exception& e) {
    return fail("{} at line {}", e.msg, e.mark.line + 1);
  } catch (const std::exception& e) {
    return fail("{}", e.what());
  }
}

std::string print_manifests(const std::vector<json::value>& documents) {
  std::string out;
  for (const auto& document : documents) {
    if (!out.empty()) out += "---\n";
    store::print_yaml(out, document);
  }
  return out;
}

}  // namespace weir::reconcile
