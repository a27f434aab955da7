#include "plugin/auth.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/entities.h"
#include "model/formats.h"

namespace weir::plugin {
namespace {

Asked ask_anonymous(Exchange& x, std::string_view consumer) {
  const auto& consumers = model::schema<model::Consumer>();
  if (Uuid::parse(consumer)) {
    auto by_id = ask_row(x, consumers, "id", consumer);
    if (by_id.state != Asked::none) return by_id;
  }
  return ask_row(x, consumers, "username", consumer);
}

// The headers that tell the upstream who calls. All are set or cleared, so that no client can claim to be someone.
void identify(Exchange& x, store::Row consumer, store::Row credential, std::string_view identifier) {
  const auto tell = [&](std::string_view name, std::string_view value) {
    if (value.empty())
      x.remove_header(name);
    else
      set_text_header(x, name, value);
  };
  const bool anonymous = credential == nullptr;
  tell("X-Consumer-ID", text_field(*consumer, "id"));
  tell("X-Consumer-Custom-ID", text_field(*consumer, "custom_id"));
  tell("X-Consumer-Username", text_field(*consumer, "username"));
  tell("X-Credential-Identifier", identifier);
  tell("X-Anonymous-Consumer", anonymous ? "true" : "");
  x.authenticate(std::move(consumer), std::move(credential));
}

}  // namespace

Asked ask_row(Exchange& x, const model::Schema& schema, std::string_view field, std::string_view value) {
  if (value.size() > key_bytes_max || !model::is_text(value)) return {Asked::none, nullptr};
  const auto* found = x.lookup({&schema, field, value});
  if (!found) return {Asked::wait, nullptr};
  if (found->failed) return {Asked::failed, nullptr};
  if (found->rows.empty()) return {Asked::none, nullptr};
  return {Asked::found, found->rows.front()};
}

Verdict accept(Exchange& x, store::Row credential, std::string_view identifier_field) {
  const auto consumer = ask_row(x, model::schema<model::Consumer>(), "id", parent_id(*credential, "consumer"));
  if (consumer.state == Asked::wait) return {Verdict::wait, {}, nullptr, nullptr};
  if (consumer.state == Asked::failed) return {Verdict::failed, {}, nullptr, nullptr};
  // Deleted a moment ago: its credentials go with it.
  if (consumer.state == Asked::none) return {Verdict::refused, "Unauthorized", nullptr, nullptr};
  const auto identifier = text_field(*credential, identifier_field);
  return {Verdict::accepted, {}, consumer.row, std::move(credential), identifier};
}

Step conclude(Exchange& x, const Verdict& verdict, const std::optional<std::string>& anonymous,
              std::string_view challenge, const std::function<void()>& hide) {
  switch (verdict.state) {
    case Verdict::wait:
      return Step::wait;
    case Verdict::failed:
      return unexpected(x);
    case Verdict::accepted:
      hide();
      identify(x, verdict.consumer, verdict.credential, verdict.identifier);
      return Step::next;
    case Verdict::refused:
      break;
  }
  if (!anonymous) {
    x.set_response_header("WWW-Authenticate", challenge);
    x.error(401, verdict.message);
    return Step::done;
  }
  const auto fallback = ask_anonymous(x, *anonymous);
  if (fallback.state == Asked::wait) return Step::wait;
  if (fallback.state == Asked::failed) return unexpected(x);
  if (fallback.state == Asked::none) {
    x.error(500, fmt::format("anonymous consumer {} is configured but doesn't exist", *anonymous));
    return Step::done;
  }
  hide();
  identify(x, fallback.row, nullptr, {});
  return Step::next;
}

Step unexpected(Exchange& x) {
  x.respond_message(500, "An unexpected error occurred");
  return Step::done;
}

std::string_view text_field(const model::Object& entity, std::string_view name) {
  const auto* value = entity.if_contains(name);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

std::string_view parent_id(const model::Object& entity, std::string_view name) {
  const auto* value = entity.if_contains(name);
  const auto* parent = value ? value->if_object() : nullptr;
  return parent ? text_field(*parent, "id") : std::string_view();
}

void set_text_header(Exchange& x, std::string_view name, std::string_view value) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::none_of(value, control)) return x.set_header(name, value);
  std::string safe;
  for (const char c : value) {
    if (control(c))
      safe += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    else
      safe += c;
  }
  x.set_header(name, safe);
}

}  // namespace weir::plugin
