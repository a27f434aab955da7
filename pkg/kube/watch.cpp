#include "kube/watch.h"

#include <random>

#include "base/log.h"

namespace weir::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds backoff_first{100}, backoff_last{30'000};
constexpr milliseconds ask_again{10'000};         // for what is denied or not installed
constexpr milliseconds lived_well{5'000};         // a watch that ended by itself after that begins again at once
constexpr milliseconds refusals_at_most{15'000};  // then others need not wait for this kind's first list
constexpr unsigned attempts_quiet = 4;            // failed, before the log says so
constexpr int page_size = 500;

std::uint64_t random_between(std::uint64_t low, std::uint64_t high) {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_int_distribution<std::uint64_t>(low, high)(engine);
}

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string full_name(const Kind& kind) {
  return kind.group.empty() ? std::string(kind.plural) : fmt::format("{}.{}", kind.plural, kind.group);
}

}  // namespace

Watch::Watch(Client& client, const Kind& what, Informers::Options how, Sink& sink)
    : kind(what), options(std::move(how)), client_(client), sink_(sink) {}

WatchCounts Watch::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

Client::Done Watch::guarded(void (Watch::*then)(Result<Answer>)) {
  return [this, alive = std::weak_ptr(alive_), epoch = epoch_, then](Result<Answer> answer) {
    if (!alive.expired() && epoch == epoch_) (this->*then)(std::move(answer));
  };
}

std::string Watch::query() const {
  std::string out;
  if (!options.label_selector.empty()) out += "&labelSelector=" + escape_query(options.label_selector);
  if (!options.field_selector.empty()) out += "&fieldSelector=" + escape_query(options.field_selector);
  return out;
}

void Watch::stop() {
  stopped_ = true;
  epoch_++;
  stream_.reset();
}

void Watch::tell(const Name& name) {
  if (!stopped_) sink_.changed(*this, name);
}

// --- list ---

void Watch::list() {
  if (stopped_) return;
  epoch_++;
  phase_ = Phase::busy;
  stream_.reset();
  list_number_++;
  count([](auto& c) { c.lists++; });
  ask_page({});
}

void Watch::ask_page(const std::string& token) {
  auto path = fmt::format("{}?limit={}{}", kind.path(options.space), page_size, query());
  if (!token.empty()) path += "&continue=" + escape_query(token);
  client_.request("GET", std::move(path), {}, {}, guarded(&Watch::on_page));
}

void Watch::on_page(Result<Answer> answer) {
  if (!answer) return failed(answer.error().message, Phase::away, {});
  if (!answer->ok()) return turned_away("list", *answer);
  auto page = parse_page(answer->body, kind);
  answer->body = {};
  if (!page) return failed(page.error().message, Phase::refused, {});
  sink_.answered();
  for (auto& item : page->items) apply(std::move(item), true);
  if (page->next.empty())
    end_list(page->revision);
  else
    ask_page(page->next);
}

void Watch::end_list(std::uint64_t revision) {
  for (auto at = objects_.begin(); at != objects_.end();) {
    const auto& entry = at->second;
    const bool put_after = entry.put == list_number_ && entry.revision > revision;
    if (entry.seen == list_number_ || put_after) {
      ++at;
      continue;
    }
    const auto name = at->first;
    at = objects_.erase(at);
    tell(name);
  }
  position_ = revision;
  must_list_ = false;
  misses_ = 0;
  well();
  settle();
  watch();
}

// --- watch ---

void Watch::watch() {
  if (stopped_) return;
  epoch_++;
  phase_ = Phase::busy;
  heard_ = false;
  watching_since_ = Clock::now();
  auto path = fmt::format("{}?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}{}",
                          kind.path(options.space), position_, random_between(300, 600), query());
  stream_ = client_.stream(std::move(path), [this](std::string_view line) { on_line(line); }, guarded(&Watch::on_end));
}

void Watch::on_line(std::string_view line) {
  auto event = parse_event(line, kind);
  if (!event) {
    must_list_ = true;  // what it was is not known
    return failed(event.error().message, Phase::refused, {});
  }
  if (event->type == Event::Type::error) return on_error_event(*event);
  if (!heard_) {
    heard_ = true;
    expired_ = false;
    well();
  }
  position_ = std::max(position_, event->revision);
  switch (event->type) {
    case Event::Type::changed:
      apply(std::move(event->item), false);
      break;
    case Event::Type::deleted:
      remove(event->item.name, event->revision);
      break;
    default:
      break;
  }
  count([&](auto& c) {
    if (event->type != Event::Type::bookmark) c.events++;
    c.objects = objects_.size();
    c.last_event_at = unix_now();
  });
}

void Watch::on_error_event(const Event& event) {
  Answer answer;
  answer.status = event.code;
  answer.body = boost::json::serialize(Object{{"message", event.message}});
  turned_away("watch", answer);
}

void Watch::on_end(Result<Answer> answer) {
  stream_.reset();
  const bool lived = Clock::now() - watching_since_ >= lived_well;
  if (lived || heard_) attempts_ = 0;
  if (!answer) return failed(answer.error().message, Phase::away, {});
  if (!answer->ok()) return turned_away("watch", *answer);
  if (lived) return watch();
  retry(Phase::away, backoff());
}

// Only one object, to see whether the server's time went back meanwhile.
void Watch::probe() {
  epoch_++;
  phase_ = Phase::busy;
  client_.request("GET", fmt::format("{}?limit=1{}", kind.path(options.space), query()), {}, {},
                  guarded(&Watch::on_probe));
}

void Watch::on_probe(Result<Answer> answer) {
  if (!answer) {
    must_list_ = true;
    return failed(answer.error().message, Phase::away, {});
  }
  if (!answer->ok()) return turned_away("list", *answer);
  const auto page = parse_page(answer->body, kind);
  if (!page) return failed(page.error().message, Phase::refused, {});
  sink_.answered();
  if (page->revision < position_) {
    log::warn("the Kubernetes API server's resourceVersion went back; listing anew",
              {{"kind", full_name(kind)}, {"was", position_}, {"is", page->revision}});
    return list();
  }
  well();
  watch();
}

// --- objects ---

void Watch::apply(Item item, bool listed) {
  const auto [at, fresh] = objects_.try_emplace(std::move(item.name));
  auto& entry = at->second;
  if (listed) entry.seen = list_number_;
  // What was put is newer than what a list or watch behind it tells.
  const bool stale = !fresh && item.revision < entry.revision && (!listed || entry.put == list_number_);
  if (stale) return;
  const bool same = !fresh && same_but_revision(entry.text, entry.revision, item.text, item.revision);
  entry.text = std::move(item.text);
  entry.revision = item.revision;
  if (!same) tell(at->first);
}

void Watch::remove(const Name& name, std::uint64_t revision) {
  const auto at = objects_.find(name);
  if (at == objects_.end() || at->second.revision > revision) return;
  objects_.erase(at);
  tell(name);
}

void Watch::put(Item item) {
  if (!options.space.empty() && item.name.space != options.space) return;
  const auto at = objects_.find(item.name);
  // Whether a selector holds for a new one is the server's to say.
  const bool selects = !options.label_selector.empty() ||
                       (!options.field_selector.empty() && options.field_selector != "metadata.name=" + item.name.name);
  if (at == objects_.end() && selects) return;
  if (at != objects_.end() && item.revision <= at->second.revision) return;
  const auto name = item.name;
  apply(std::move(item), false);
  objects_.at(name).put = list_number_;
  count([&](auto& c) { c.objects = objects_.size(); });
}

void Watch::clear() {
  for (const auto& [name, entry] : std::exchange(objects_, {})) tell(name);
}

// --- faults ---

void Watch::turned_away(const char* verb, const Answer& answer) {
  stream_.reset();
  const auto why = fmt::format("cannot {} {} in group \"{}\": {}", verb, kind.plural, kind.group, answer.reason());
  const bool behind = answer.status == 504 || answer.reason().find("Too large resource version") != std::string::npos;
  if (answer.status == 410 || behind) must_list_ = true;
  // Routine: what it was at is compacted away. Only one that comes again and again has to wait.
  if (answer.status == 410 && !std::exchange(expired_, true)) return list();
  if (answer.status == 404) return missing();
  if (answer.status == 403) {
    must_list_ = true;
    failed(why, Phase::refused, ask_again);
    settle();  // nobody waits for it; what was known before stays
    return;
  }
  failed(why, Phase::refused, answer.retry_after);
  if (first_refusal_ == Clock::time_point{}) first_refusal_ = Clock::now();
  if (!synced_ && Clock::now() - first_refusal_ > refusals_at_most) settle();
}

void Watch::missing() {
  misses_++;
  must_list_ = true;
  // Once may be a server that is still starting; what is gone for good was told of, object by object.
  if (misses_ > 1 || !synced_) clear();
  set_fault(fmt::format("{} are not installed in this cluster", full_name(kind)), false);
  count([](auto& c) { c.absent = true; });
  retry(Phase::missing, std::min(ask_again, attempts_ > 0 ? backoff() : ask_again));
  settle();
}

void Watch::failed(const std::string& why, Phase phase, milliseconds at_least) {
  stream_.reset();
  count([](auto& c) { c.faults++; });
  // A cut that heals by itself is nothing to wake anybody for, nor is each of a thousand objects.
  set_fault(why, (phase == Phase::refused || attempts_ >= attempts_quiet) && options.field_selector.empty());
  if (phase == Phase::away) sink_.away();
  const auto wait = backoff();
  retry(phase, std::max(wait, at_least));
}

void Watch::settle() {
  const bool first = !std::exchange(synced_, true);
  count([&](auto& c) {
    c.synced = true;
    c.objects = objects_.size();
  });
  if (!stopped_) sink_.settled(*this, first);
}

void Watch::well() {
  first_refusal_ = {};
  set_fault({}, false);
}

void Watch::set_fault(std::string fault, bool worth_a_warning) {
  if (fault.empty() && std::exchange(warned_, false))
    log::notice("Kubernetes objects are watched again", {{"kind", full_name(kind)}});
  if (!fault.empty() && worth_a_warning && !std::exchange(warned_, true))
    log::warn("Kubernetes objects are not watched", {{"kind", full_name(kind)}, {"fault", fault}});
  count([&](auto& c) {
    c.fault = std::move(fault);
    c.absent = false;
  });
}

milliseconds Watch::backoff() {
  const auto most = std::min(backoff_last, backoff_first * (1 << std::min(attempts_, 12u)));
  attempts_++;
  return milliseconds(
      random_between(static_cast<std::uint64_t>(most.count()) / 2, static_cast<std::uint64_t>(most.count())));
}

void Watch::retry(Phase phase, milliseconds wait) {
  phase_ = phase;
  epoch_++;
  client_.after(wait, [this, alive = std::weak_ptr(alive_), epoch = epoch_] {
    if (!alive.expired() && epoch == epoch_) resume();
  });
}

void Watch::resume() {
  if (must_list_)
    list();
  else
    probe();
}

void Watch::server_is_back() {
  if (phase_ == Phase::away) retry(phase_, milliseconds(random_between(0, 100)));
}

void Watch::installed() {
  if (phase_ != Phase::missing) return;
  attempts_ = 1;  // the first requests may still find nothing: ask quickly for a while
  list();
}

}  // namespace weir::kube
