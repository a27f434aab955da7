// What the authentication plugins share: finding rows, telling the upstream who calls, and the fallback to an anonymous
// consumer.
//
// A step is called again from its beginning after a wait, and sees its own edits: so everything is looked up first, and
// edited only when the outcome is known.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "plugin/exchange.h"

namespace weir::plugin {

// One row asked for by a unique field.
struct Asked {
  enum State : std::uint8_t { wait, failed, none, found } state = wait;
  store::Row row;
};
// A value that no database could hold (not UTF-8, or longer than key_bytes_max) is not asked for: there is none.
Asked ask_row(Exchange&, const model::Schema&, std::string_view field, std::string_view value);
inline constexpr std::size_t key_bytes_max = 8192;  // PostgreSQL's unique indexes hold less

// What an authentication plugin found out.
struct Verdict {
  enum State : std::uint8_t { wait, failed, refused, accepted } state = wait;
  std::string_view message;          // refused: of the 401
  store::Row consumer, credential;   // accepted
  std::string_view identifier = {};  // X-Credential-Identifier; lives as long as the credential
};
// The consumer of a credential that was found, then the verdict.
Verdict accept(Exchange&, store::Row credential, std::string_view identifier_field);

// Carries a verdict out. With `anonymous` set (a consumer's id or username), plugins are a logical OR: a refused
// request passes as that consumer. challenge: WWW-Authenticate of the 401. hide: takes the credentials out of the
// request; called once when the request goes on.
Step conclude(Exchange&, const Verdict&, const std::optional<std::string>& anonymous, std::string_view challenge,
              const std::function<void()>& hide);

// 500 as Kong says it when the database could not be asked.
Step unexpected(Exchange&);

// A text field of an entity; empty when it is null.
std::string_view text_field(const model::Object&, std::string_view name);
// The id of the parent that a foreign field names.
std::string_view parent_id(const model::Object&, std::string_view name);
// Sets a header of the upstream request; control characters are percent-encoded, so that a name in the database cannot
// become a header.
void set_text_header(Exchange&, std::string_view name, std::string_view value);

}  // namespace weir::plugin
