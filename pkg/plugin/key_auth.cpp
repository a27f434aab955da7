// Lets requests pass that carry a known key in a header, the query or the body. Kong plugin "key-auth".
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "model/entities.h"
#include "model/schema_builder.h"
#include "plugin/auth.h"
#include "plugin/body_args.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

struct Config {
  std::vector<std::string> key_names{"apikey"};
  bool hide_credentials = false;
  std::optional<std::string> anonymous;
  bool key_in_header = true, key_in_query = true, key_in_body = false, run_on_preflight = true;
  std::optional<std::string> realm;
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("key-auth")
          .field("key_names", &Config::key_names, "Names of the header, query argument or body field with the key.",
                 each({check(check_header_name)}))
          .field("hide_credentials", &Config::hide_credentials, "Whether the key is kept from the upstream.")
          .field("anonymous", &Config::anonymous,
                 "Id or username of the consumer that unauthenticated requests pass as; without it they get 401.")
          .field("key_in_header", &Config::key_in_header, "Whether the key may be in a header.")
          .field("key_in_query", &Config::key_in_query, "Whether the key may be in the query.")
          .field("key_in_body", &Config::key_in_body, "Whether the key may be in a form, JSON or multipart body.")
          .field("run_on_preflight", &Config::run_on_preflight, "Whether OPTIONS requests need a key, too.")
          .field("realm", &Config::realm, "The realm in WWW-Authenticate.", check(check_header_value))
          .build();
  return built;
}

class KeyAuth : public Plugin {
 public:
  explicit KeyAuth(Config config) : config_(std::move(config)) {
    challenge_ = config_.realm ? fmt::format("Key realm=\"{}\"", *config_.realm) : "Key";
    for (const auto& name : config_.key_names) lower_names_.push_back(text::lower(name));
  }

  Step access(Exchange& x) const override {
    if (!config_.run_on_preflight && x.method() == "OPTIONS") return Step::next;
    if (config_.anonymous && x.credential()) return Step::next;  // another plugin of a logical OR has let it in
    Search search;
    const auto verdict = judge(x, search);
    const auto hiding = [&] { hide(x, search); };
    return conclude(x, verdict, config_.anonymous, challenge_, std::ref(hiding));
  }

 private:
  // What was looked at to find the key. The texts are views into the request, or into scratch.
  struct Search {
    std::string scratch;
    std::optional<std::size_t> found;  // the name that led to the key
    bool body_read = false;
    BodyForm form;
    std::string_view body;
  };

  Verdict judge(Exchange& x, Search& search) const {
    Arg key;
    for (std::size_t i = 0; i < lower_names_.size() && !search.found; i++) {
      if (!find(x, i, search, key)) return {Verdict::wait, {}, nullptr, nullptr};
      if (key.state == Arg::many) return refused("Duplicate API key found");
      if (key.state == Arg::one) search.found = i;
    }
    // The body is needed to take the key out of it, wherever else the key was.
    if (search.found && config_.hide_credentials && config_.key_in_body && !read_body(x, search))
      return {Verdict::wait, {}, nullptr, nullptr};
    if (!search.found || key.text.empty()) return refused("No API key found in request");

    auto credential = ask_row(x, model::schema<model::KeyAuthCredential>(), "key", key.text);
    if (credential.state == Asked::wait) return {Verdict::wait, {}, nullptr, nullptr};
    if (credential.state == Asked::failed) return {Verdict::failed, {}, nullptr, nullptr};
    if (credential.state == Asked::none) return refused("Unauthorized");
    return accept(x, std::move(credential.row), "id");
  }

  // The value under one name: of the header, else the query, else the body. False: the body is not there yet.
  bool find(Exchange& x, std::size_t i, Search& search, Arg& key) const {
    key = {};
    if (config_.key_in_header) {
      if (const auto value = x.header(lower_names_[i])) {
        key = x.header_count(lower_names_[i]) > 1 ? Arg{Arg::many, {}} : Arg{Arg::one, *value};
        return true;
      }
    }
    if (config_.key_in_query) {
      key = find_arg(x.raw_query(), config_.key_names[i], search.scratch);
      if (key.state != Arg::absent) return true;
    }
    if (config_.key_in_body) {
      if (!read_body(x, search)) return false;
      key = find_in_body(search.form, search.body, config_.key_names[i], search.scratch);
    }
    return true;
  }

  bool read_body(Exchange& x, Search& search) const {
    if (search.body_read) return true;
    search.form = x.has_body() ? body_form(x.header("content-type").value_or("")) : BodyForm{};
    if (search.form.kind != BodyForm::opaque) {
      const auto* body = x.body();
      if (!body) return false;
      if (body->too_large) search.form = {};
      search.body = body->bytes;
    }
    search.body_read = true;
    return true;
  }

  void hide(Exchange& x, const Search& search) const {
    if (!config_.hide_credentials || !search.found) return;
    const auto& name = config_.key_names[*search.found];
    std::string rest;
    // The body before the headers: its boundary is a view of one.
    if (config_.key_in_body && cut_from_body(search.form, search.body, name, rest)) x.set_body(std::move(rest));
    if (std::string query; cut_arg(x.raw_query(), name, query)) x.set_raw_query(query);
    x.remove_header(name);
  }

  static Verdict refused(std::string_view message) { return {Verdict::refused, message, nullptr, nullptr}; }

  Config config_;
  std::string challenge_;
  std::vector<std::string> lower_names_;
};

}  // namespace

const Kind& key_auth() {
  static const Kind kind{
      .name = "key-auth",
      .priority = 1250,
      .phases = phase_access,
      .consumer_scope = false,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object& config, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return std::make_unique<KeyAuth>(declared().read(config));
      }};
  return kind;
}

}  // namespace weir::plugin
