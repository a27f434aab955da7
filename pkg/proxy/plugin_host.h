// Runs the plugins of one exchange through their phases, and is what they see of it. An exchange without plugins has
// none.
//
//   rewrite        the global ones, before routing
//   access         those of the route's chain; a known consumer may choose the rest of the chain anew
//   header_filter  of every answer, the upstream's or our own, before its head is printed
//   body_filter    of a body that was gathered because a plugin wanted it
//   log            when the answer was handed over, or the client has gone
//
// A step that waits lets go of the worker: the request's head, and what came behind it, are kept here until what was
// asked for comes (State::deciding). Hosts are never freed before their worker, so an answer that comes late finds a
// host of another generation and is dropped.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/exchange.h"
#include "proxy/context.h"
#include "proxy/edits.h"
#include "proxy/forward.h"

namespace weir::proxy {

class PluginHost final : public plugin::Exchange {
 public:
  explicit PluginHost(Context& context) : context_(context) {}

  void begin(proxy::Exchange&);
  // Its plugins from here on; null: none.
  void use(const snapshot::Chain*, const re2::RE2* regex);

  // Run the phase from its beginning. True: go on. False: it waits, or the exchange is over.
  bool rewrite();
  bool access();
  // While it waits.
  void on_client_input();
  void on_client_timeout();
  void stop_waiting();  // what it asked for is of no more use; its request's head is there again
  void set_wait_timeout();

  // The request's head as the client sent it, when it is no longer where it was received.
  const http::RequestHead& request_head();
  // The same after anything may have happened to the context's.
  const http::RequestHead& request_head_again() {
    if (head_kept_) head_live_ = false;
    return request_head();
  }
  bool edits_request() const { return !request_edits_.empty(); }
  // Keeps the head for what comes later, and puts in the plan what plugins changed. Before it is printed.
  void edit_request(http::RequestHead&, RequestPlan&, std::string& upstream_path);
  // The body, when it was gathered or replaced: all of it, or, when it was too large for that, what came so far.
  bool body_is_whole() const { return body_state_ == BodyState::whole; }
  bool has_gathered() const { return body_state_ != BodyState::unread; }
  const std::string& gathered() const { return request_body_; }
  bool limits_body() const { return limit_status_ != 0; }
  const std::vector<Uuid>& mirrors() const { return mirrors_; }  // services that get a copy
  int limit_status() const { return limit_status_; }
  std::string_view limit_message() const { return limit_message_; }

  // An upstream was chosen, took the connection, or failed.
  void begin_try(const net::Address&);
  void try_connected();
  void try_failed(int code);

  // The upstream's head is there: runs header_filter. True: the body is to be gathered.
  bool filter_response(std::string_view text);
  bool gathering_response() const { return gathering_response_; }
  bool gather_response(std::string_view data);  // false: too large; it passes as it is
  void filter_gathered();                       // runs body_filter
  http::ResponseHead& gathered_head();          // of the response whose body was gathered
  std::string& response_body() { return response_body_; }
  void edit_response(ResponsePlan&);
  // The upstream was asked by HEAD, the client did not: its answer ends with its head.
  static void without_body(http::ResponseHead&);
  void note_printed(std::string_view head);
  // Prints an answer of our own into context.answer.
  void print_answer(int status, std::string_view type, std::string_view body, std::string_view extra_fields);

  // The exchange is over: runs log, and lets go of everything.
  bool logs() const { return phases_ & plugin::phase_log; }
  void finish(std::uint64_t now_us);

  // --- plugin::Exchange, exchange_view.cpp ---
  std::string_view method() const override;
  std::string_view scheme() const override;
  std::string_view http_version() const override;
  std::string_view host() const override;
  std::uint16_t port() const override;
  std::string_view path() const override;
  std::string_view raw_query() const override;
  std::optional<std::string_view> header(std::string_view lower_name) const override;
  std::size_t header_count(std::string_view lower_name) const override;
  void each_header(const plugin::EachField&) const override;
  std::optional<std::uint64_t> content_length() const override;
  bool has_body() const override;
  bool expects_continue() const override;
  std::string_view client_ip() const override;
  std::string_view peer_ip() const override;
  std::uint16_t peer_port() const override;
  std::string server_ip() const override;
  std::string_view request_id() const override;
  std::uint64_t connection_serial() const override;
  std::uint64_t connection_requests() const override;
  std::string_view regex_capture(std::string_view name) const override;
  const Body* body() override;
  void limit_body(std::uint64_t bytes, int status, std::string_view message) override;
  void set_header(std::string_view name, std::string_view value) override;
  void add_header(std::string_view name, std::string_view value) override;
  void remove_header(std::string_view name) override;
  void set_method(std::string_view) override;
  void set_upstream_path(std::string_view) override;
  std::string_view upstream_path() const override;
  void set_raw_query(std::string_view) override;
  void set_upstream_host(std::string_view) override;
  void set_body(std::string) override;
  void mirror(const Uuid& service, std::uint32_t numerator, std::uint32_t denominator) override;
  void respond(int status, std::string_view type, std::string_view body) override;
  void error(int status, std::string_view message) override;
  void set_response_header(std::string_view name, std::string_view value) override;
  void add_response_header(std::string_view name, std::string_view value) override;
  void remove_response_header(std::string_view name) override;
  int response_status() const override;
  void set_response_status(int) override;
  bool from_upstream() const override { return from_upstream_; }
  std::optional<std::string_view> response_header(std::string_view lower_name) const override;
  void each_response_header(const plugin::EachField&) const override;
  void want_response_body() override;
  const plugin::RouteView* route() const override;
  const plugin::ServiceView* service() const override;
  void authenticate(store::Row consumer, store::Row credential) override;
  const model::Object* consumer() const override { return consumer_.get(); }
  const model::Object* credential() const override { return credential_.get(); }
  const store::Found* lookup(const store::LookupKey&) override;
  const void* ask(const void* who, const std::function<void(Resume)>& start) override;
  std::uint64_t now_ms() const override;
  const plugin::Ending& ending() const override { return ending_; }

 private:
  enum class Gathered : std::uint8_t { all, part, over };
  enum class BodyState : std::uint8_t { unread, gathering, whole, too_large };

  // A row asked for and kept; found is null while it is awaited.
  struct Pin {
    const model::Schema* schema = nullptr;
    std::string text;  // field and value
    std::size_t field_bytes = 0;
    std::shared_ptr<const store::Found> found;
    store::LookupKey key() const {
      return {schema, std::string_view(text).substr(0, field_bytes), std::string_view(text).substr(field_bytes)};
    }
  };
  struct Asked {
    const void* who;
    std::shared_ptr<const void> answer;
  };

  // plugin_host.cpp
  void clear();
  void choose_by_consumer(const plugin::Kind& ran);
  bool run(plugin::Phase);
  bool wait();
  bool answer();
  void suspend();
  void resume();
  void wake();
  void find(std::uint32_t pin);
  void row_is_there(std::uint32_t generation, std::uint32_t pin);
  void answered(std::uint32_t generation, std::size_t ask, std::shared_ptr<const void> answer);
  void keep_head();
  void restore();
  void use_current_snapshot();
  void fill_ending(std::uint64_t now_us);

  // plugin_body.cpp
  Gathered gather_request();
  bool take(char* bytes, std::size_t size);  // false: the exchange is over
  bool over_limit();

  // plugin_response.cpp
  void filter_head();
  void begin_response(int status, bool from_upstream);
  const http::ResponseHead& response_head() const;

  const http::RequestHead& head() const { return const_cast<PluginHost*>(this)->request_head(); }
  void refuse_unless(bool accepted);

  Context& context_;
  proxy::Exchange* x_ = nullptr;
  std::uint32_t generation_ = 0;

  std::vector<const snapshot::PluginInstance*> chain_;
  std::uint8_t phases_ = 0;  // of all of them
  const re2::RE2* regex_ = nullptr;

  // The run.
  plugin::Phase phase_ = plugin::phase_rewrite;
  std::size_t next_ = 0;
  bool running_ = false, suspended_ = false, woken_ = false, body_wanted_ = false, rechoose_ = false;

  // The request.
  std::string head_text_;    // its head, once it is kept
  std::string behind_text_;  // what came behind it, while it waits
  bool head_kept_ = false;   // in head_text_
  bool head_live_ = false;   // the context's request_head is this one's
  FieldEdits request_edits_{64 * 1024};
  std::string method_, query_, upstream_host_;
  std::vector<Uuid> mirrors_;
  std::string escaped_path_;
  mutable std::string upstream_path_, host_, client_ip_, capture_path_, normal_path_;
  bool query_set_ = false, path_set_ = false;
  mutable bool path_known_ = false;
  bool replaced_ = false;  // by set_body
  BodyState body_state_ = BodyState::unread;
  std::string request_body_;
  Body body_;
  int limit_status_ = 0;
  std::string limit_message_;

  // The answer that a step gives.
  int answer_status_ = 0;
  std::string answer_type_, answer_body_;

  // The response.
  FieldEdits response_edits_{24 * 1024};
  std::size_t noted_before_ = 0;  // edits that are not of this response alone
  bool filtered_ = false, from_upstream_ = false, gathering_response_ = false;
  mutable bool response_live_ = false;  // the context's response_head is this one's
  int response_status_ = 0;
  std::string response_text_;  // the upstream's head, later the one that was sent
  std::string response_body_;
  std::vector<const snapshot::PluginInstance*> body_filters_;
  const snapshot::PluginInstance* running_filter_ = nullptr;

  store::Row consumer_, credential_;
  std::vector<Pin> pins_;
  std::size_t pin_count_ = 0;
  std::vector<Asked> asked_;
  std::vector<plugin::Try> tries_;
  std::uint64_t try_began_us_ = 0;
  std::uint64_t started_ms_ = 0;
  plugin::Ending ending_;
  mutable plugin::RouteView route_view_;
  mutable plugin::ServiceView service_view_;
};

}  // namespace weir::proxy
