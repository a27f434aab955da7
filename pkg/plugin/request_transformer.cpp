// Changes requests before they go to the upstream. Kong plugin "request-transformer".
#include <vector>

#include "base/text.h"
#include "http/uri.h"
#include "plugin/plugin.h"
#include "plugin/request_transformer_body.h"

namespace weir::plugin {
namespace {

// A value may hold what a client sent in escapes: no line may end in a field.
std::string_view field_value(std::string_view value, std::string& scratch) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
  if (std::ranges::none_of(value, is_control)) return value;
  scratch.clear();
  for (const char c : value) {
    if (is_control(c))
      scratch.append({'%', digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]});
    else
      scratch += c;
  }
  return scratch;
}

class RequestTransformer : public Plugin {
 public:
  explicit RequestTransformer(const RequestTransformerConfig& config) : edits_(config) {}

  Step access(Exchange& x) const override {
    const Exchange::Body* body = nullptr;
    if (needs_body(x)) {
      body = x.body();
      if (!body) return Step::wait;
    }
    // All of it as the request came.
    Rendered values(edits_.templates.size());
    for (std::size_t i = 0; i < values.size(); i++) edits_.templates[i].render(x, values[i]);
    if (edits_.uri && !edit_path(x, edits_.uri->in(values))) return Step::done;
    if (!edits_.method.empty()) edit_method(x, body);
    edit_headers(x, values);
    if (!edits_.body.empty() && !(body && body->too_large)) edit_body(x, body, values);
    if (!edits_.query.empty()) edit_query(x, values);
    return Step::next;
  }

 private:
  static BodyForm form_of(const Exchange& x) { return body_form(x.header("content-type").value_or("")); }

  bool needs_body(const Exchange& x) const {
    if (!x.has_body()) return false;
    const auto form = form_of(x);
    if (edits_.method_has_no_body && form.kind == BodyForm::form) return true;
    return !edits_.body.empty() && (form.kind != BodyForm::opaque || edits_.changes_content_type);
  }

  // False: answered.
  static bool edit_path(Exchange& x, std::string_view path) {
    if (path.empty()) return true;
    if (!path.starts_with('/')) {
      x.error(500, "An unexpected error occurred");
      return false;
    }
    std::string escaped;
    http::escape_path(path, escaped);
    x.set_upstream_path(escaped);
    return true;
  }

  void edit_method(Exchange& x, const Exchange::Body* body) const {
    if (edits_.method_has_no_body && body && !body->too_large && form_of(x).kind == BodyForm::form) {
      const auto more = Arguments::parse(body->bytes);
      if (!more.empty()) {
        auto query = Arguments::parse(x.raw_query());
        query.append_all(more);
        x.set_raw_query(query.print());
      }
    }
    x.set_method(edits_.method);
  }

  void edit_headers(Exchange& x, const Rendered& values) const {
    const auto& edits = edits_.headers;
    std::string scratch;
    for (const auto& name : edits.remove)
      if (x.header(name)) x.remove_header(name);
    for (const auto& [name, spelled, new_name] : edits.rename) rename_header(x, name, new_name.in(values));
    for (const auto& [name, spelled, value] : edits.replace) {
      if (name == "host")
        x.set_upstream_host(field_value(value.in(values), scratch));
      else if (x.header(name))
        x.set_header(spelled, field_value(value.in(values), scratch));
    }
    for (const auto& [name, spelled, value] : edits.add)
      if (!x.header(name)) x.set_header(spelled, field_value(value.in(values), scratch));
    for (const auto& [name, spelled, value] : edits.append)
      x.add_header(spelled, field_value(value.in(values), scratch));
  }

  static void rename_header(Exchange& x, std::string_view name, std::string_view new_name) {
    if (!x.header(name)) return;
    std::vector<std::string> values;
    x.each_header([&](std::string_view field, std::string_view value) {
      if (text::equal_ignoring_case(field, name)) values.emplace_back(value);
      return false;
    });
    x.remove_header(name);
    x.remove_header(new_name);
    for (const auto& value : values) x.add_header(new_name, value);
  }

  void edit_body(Exchange& x, const Exchange::Body* body, const Rendered& values) const {
    const auto form = form_of(x);
    const auto bytes = body ? body->bytes : std::string_view();
    auto now = edited_body(form, bytes, edits_.body, values);
    if (now && *now != bytes) x.set_body(std::move(*now));
  }

  void edit_query(Exchange& x, const Rendered& values) const {
    auto query = Arguments::parse(x.raw_query());
    edit_arguments(query, edits_.query, values);
    x.set_raw_query(query.print());
  }

  RequestEdits edits_;
};

Result<std::unique_ptr<const Plugin>> make(const model::Object& config, const Scope&, Services&) {
  return std::make_unique<RequestTransformer>(request_transformer_config().read(config));
}

}  // namespace

const Kind& request_transformer() {
  static const Kind kind{.name = "request-transformer",
                         .priority = 801,
                         .phases = phase_access,
                         .config = [] -> const model::Schema& { return request_transformer_config().schema; },
                         .make = make};
  return kind;
}

}  // namespace weir::plugin
