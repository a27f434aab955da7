#include "proxy/plugin_host.h"

#include "http/uri.h"
#include "proxy/errors.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// Whoever answers a question has a time limit of its own; this one is for those that do not keep it.
constexpr std::uint64_t wait_ms_max = 60'000;
// What a reused host may keep of a body's memory.
constexpr std::size_t kept_body_bytes = 16 * 1024;

void empty(std::string& text) {
  if (text.capacity() > kept_body_bytes) std::string().swap(text);
  text.clear();
}

}  // namespace

void PluginHost::begin(proxy::Exchange& exchange) {
  x_ = &exchange;
  head_live_ = true;
  started_ms_ = now_ms();
}

void PluginHost::clear() {
  generation_++;
  x_ = nullptr;
  chain_.clear();
  phases_ = 0;
  regex_ = nullptr;
  running_ = suspended_ = woken_ = body_wanted_ = rechoose_ = false;
  empty(head_text_);
  empty(behind_text_);
  head_kept_ = head_live_ = false;
  request_edits_.clear();
  method_.clear();
  query_.clear();
  upstream_host_.clear();
  client_ip_.clear();
  mirrors_.clear();
  query_set_ = path_set_ = path_known_ = replaced_ = false;
  body_state_ = BodyState::unread;
  empty(request_body_);
  limit_status_ = answer_status_ = 0;
  empty(answer_body_);
  response_edits_.clear();
  noted_before_ = 0;
  filtered_ = from_upstream_ = gathering_response_ = response_live_ = false;
  response_status_ = 0;
  empty(response_text_);
  empty(response_body_);
  body_filters_.clear();
  running_filter_ = nullptr;
  consumer_.reset();
  credential_.reset();
  for (std::size_t i = 0; i < pin_count_; i++) pins_[i].found.reset();
  pin_count_ = 0;
  asked_.clear();
  tries_.clear();
  ending_ = {};
}

void PluginHost::use(const snapshot::Chain* chain, const re2::RE2* regex) {
  chain_.clear();
  phases_ = 0;
  regex_ = regex;
  if (!chain) return;
  for (const auto& instance : chain->plugins) {
    if (!(x_->client_->tls ? instance->https : instance->http)) continue;
    chain_.push_back(instance.get());
    phases_ |= instance->kind->phases;
  }
}

// The plugins of a request whose caller is known. What has run is not run again: only those behind it are new.
void PluginHost::choose_by_consumer(const plugin::Kind& ran) {
  const auto* id = consumer_ ? consumer_->if_contains("id") : nullptr;
  const auto uuid = id && id->is_string() ? Uuid::parse(id->get_string()) : std::nullopt;
  if (!uuid || !x_->epoch_->snapshot->has_plugins_of(*uuid)) return;
  x_->epoch_->snapshot->chain_of(x_->route_, *uuid, chain_);
  std::erase_if(chain_, [&](const auto* instance) { return !(x_->client_->tls ? instance->https : instance->http); });
  phases_ = 0;
  for (const auto* instance : chain_) phases_ |= instance->kind->phases;
  next_ = 0;
  const auto is_before = [&](const plugin::Kind& kind) {  // by falling priority, and names of one priority likewise
    return kind.priority != ran.priority ? kind.priority > ran.priority : kind.name >= ran.name;
  };
  while (next_ < chain_.size() && is_before(*chain_[next_]->kind)) next_++;
}

bool PluginHost::rewrite() {
  if (!(phases_ & plugin::phase_rewrite)) return true;
  next_ = 0;
  return run(plugin::phase_rewrite);
}

bool PluginHost::access() {
  if (!(phases_ & plugin::phase_access)) return true;
  next_ = 0;
  return run(plugin::phase_access);
}

// Runs the steps of a phase on from next_.
bool PluginHost::run(plugin::Phase phase) {
  using plugin::Step;
  phase_ = phase;
  x_->state_ = proxy::Exchange::State::deciding;
  running_ = true;
  while (next_ < chain_.size()) {
    const auto& instance = *chain_[next_];
    if (!(instance.kind->phases & phase)) {
      next_++;
      continue;
    }
    woken_ = false;
    const Step step = phase == plugin::phase_rewrite ? instance.plugin->rewrite(*this) : instance.plugin->access(*this);
    if (answer_status_ != 0) return answer();
    if (over_limit()) return false;
    if (step == Step::done) return x_->answer_later(500);  // it said that it had answered
    if (step == Step::wait) {
      if (!wait()) return false;
      continue;
    }
    next_++;
    if (std::exchange(rechoose_, false)) choose_by_consumer(*instance.kind);
  }
  // What the client still sends of a body that was replaced goes nowhere, but it stands before the next request.
  while (replaced_ && !x_->request_body_.done()) {
    woken_ = false;
    body_wanted_ = true;
    body_state_ = BodyState::gathering;
    if (!wait()) return false;
  }
  running_ = false;
  return true;
}

// False: it does wait, or the exchange is over.
bool PluginHost::wait() {
  if (body_wanted_) {
    switch (gather_request()) {
      case Gathered::all:
        restore();
        return true;
      case Gathered::part:
        break;
      case Gathered::over:
        return false;
    }
  }
  if (woken_) {
    restore();
    return true;
  }
  suspend();
  return false;
}

bool PluginHost::answer() {
  running_ = false;
  const int status = std::exchange(answer_status_, 0);
  return x_->answer_with(status, answer_type_, answer_body_, {});
}

void PluginHost::suspend() {
  keep_head();
  head_live_ = false;
  behind_text_.assign(x_->behind_, std::exchange(x_->behind_bytes_, 0));
  running_ = false;
  suspended_ = true;
  // Slots of the snapshot that it began with may stand for something else by the time it goes on.
  if (x_->route_) x_->hold_balancer();
  set_wait_timeout();
}

void PluginHost::set_wait_timeout() {
  const auto body = static_cast<std::uint64_t>(context_.options.client_body_timeout.count());
  context_.loop.set_timeout(*x_->client_, body_wanted_ ? body : wait_ms_max);
}

void PluginHost::resume() {
  suspended_ = false;
  context_.loop.clear_timeout(*x_->client_);
  restore();
  if (!run(phase_)) return;
  if (phase_ == plugin::phase_rewrite) {
    use_current_snapshot();
    x_->route();
  } else {
    x_->forward();
  }
}

void PluginHost::wake() {
  if (running_) {
    woken_ = true;
  } else if (suspended_) {
    resume();
  }
}

// Routing has not begun: a snapshot that came meanwhile is the one to use.
void PluginHost::use_current_snapshot() {
  if (x_->epoch_ == context_.epoch.get()) return;
  chain_.clear();
  context_.end_epoch_use(*std::exchange(x_->epoch_, context_.epoch.get()));
  x_->epoch_->exchanges++;
  use(x_->epoch_->snapshot->chain(nullptr), nullptr);
}

void PluginHost::keep_head() {
  if (std::exchange(head_kept_, true)) return;
  const auto bytes = context_.request_head.bytes;
  head_text_.assign(x_->behind_ - bytes, bytes);
}

// Head and what came behind it are again as they were when they had been received.
void PluginHost::restore() {
  request_head();
  if (!behind_text_.empty()) {
    x_->behind_ = context_.receive_buffer();
    x_->behind_bytes_ = behind_text_.size();
    std::memcpy(x_->behind_, behind_text_.data(), behind_text_.size());
    behind_text_.clear();
  }
  if (x_->route_) x_->locate();
}

const http::RequestHead& PluginHost::request_head() {
  if (!std::exchange(head_live_, true)) http::scan_request(context_.request_head, head_text_, context_.options.limits);
  return context_.request_head;
}

void PluginHost::on_client_input() {
  if (!suspended_ || !body_wanted_) return;
  switch (gather_request()) {
    case Gathered::all:
      return resume();
    case Gathered::part:
      return set_wait_timeout();
    case Gathered::over:
      return;
  }
}

void PluginHost::stop_waiting() {
  suspended_ = false;
  restore();
}

void PluginHost::on_client_timeout() {
  stop_waiting();
  if (body_wanted_) context_.counters.requests_timed_out.add();
  x_->answer_later(body_wanted_ ? 408 : 500);
}

const store::Found* PluginHost::lookup(const store::LookupKey& key) {
  for (std::size_t i = 0; i < pin_count_; i++) {
    const auto known = pins_[i].key();
    if (known.schema == key.schema && known.field == key.field && known.value == key.value) return pins_[i].found.get();
  }
  if (pin_count_ == pins_.size()) pins_.emplace_back();
  auto& pin = pins_[pin_count_];
  pin.schema = key.schema;
  pin.text.assign(key.field).append(key.value);
  pin.field_bytes = key.field.size();
  pin_count_++;
  find(static_cast<std::uint32_t>(pin_count_ - 1));
  return pins_[pin_count_ - 1].found.get();
}

void PluginHost::find(std::uint32_t pin) {
  // Small enough that the function holds it without an allocation.
  pins_[pin].found = context_.cache.find(pins_[pin].key(), context_.loop.now_ms(),
                                         [this, generation = generation_, pin] { row_is_there(generation, pin); });
}

void PluginHost::row_is_there(std::uint32_t generation, std::uint32_t pin) {
  if (generation != generation_) return;
  find(pin);
  if (pins_[pin].found) wake();
}

const void* PluginHost::ask(const void* who, const std::function<void(Resume)>& start) {
  for (const auto& asked : asked_)
    if (asked.who == who) return asked.answer.get();
  asked_.push_back({who, nullptr});
  start([door = context_.door, this, generation = generation_,
         index = asked_.size() - 1](std::shared_ptr<const void> answer) {
    door->post([this, generation, index, answer = std::move(answer)]() mutable {
      answered(generation, index, std::move(answer));
    });
  });
  return nullptr;
}

void PluginHost::answered(std::uint32_t generation, std::size_t ask, std::shared_ptr<const void> answer) {
  if (generation != generation_) return;
  asked_[ask].answer = std::move(answer);
  wake();
}

void PluginHost::finish(std::uint64_t now_us) {
  if (logs()) {
    fill_ending(now_us);
    if (head_kept_) head_live_ = false;
    if (!response_text_.empty()) response_live_ = false;
    for (const auto* instance : chain_)
      if (instance->kind->phases & plugin::phase_log) instance->plugin->log(*this);
  }
  clear();
  context_.free_plugins(*this);
}

void PluginHost::fill_ending(std::uint64_t now_us) {
  const auto& x = *x_;
  ending_.status = x.status_;
  ending_.upstream_status = x.upstream_status_;
  ending_.from_upstream = from_upstream_;
  ending_.started_ms = started_ms_;
  ending_.total_us = now_us - std::min(now_us, x.started_us_);
  ending_.upstream_us = x.answered_us_ ? x.answered_us_ - x.sent_us_ : 0;
  ending_.weir_us = ending_.total_us - std::min(ending_.total_us, ending_.upstream_us);
  ending_.upstream_asked = x.sent_us_ != 0;
  ending_.request_bytes = (head_kept_ ? head_text_.size() : context_.request_head.bytes) + x.request_body_.bytes();
  ending_.response_bytes = x.sent_bytes_;
  ending_.tries = tries_;
}

void PluginHost::begin_try(const net::Address& address) {
  try_began_us_ = net::Loop::clock_us();
  tries_.push_back({.ip = address.ip(), .port = address.port(), .started_ms = now_ms()});
}

void PluginHost::try_connected() {
  tries_.back().latency_us = net::Loop::clock_us() - try_began_us_;
}

void PluginHost::try_failed(int code) {
  auto& failed = tries_.back();
  failed.code = code;
  if (failed.latency_us == 0) try_connected();
}

}  // namespace weir::proxy
