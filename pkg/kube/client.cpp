#include "kube/client.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <boost/json.hpp>

#include "base/inbox.h"
#include "base/log.h"
#include "kube/moment.h"
#include "kube/transfer.h"

namespace weir::kube {
namespace {

using TransferPtr = std::shared_ptr<Transfer>;
constexpr std::chrono::milliseconds farewell{800};       // for requests that write, at the end
constexpr std::chrono::milliseconds busy_at_most{20};    // then when_quiet() is heard although more arrives
constexpr std::chrono::milliseconds longest_wait{5000};  // between two looks at silent streams

void initialise() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

class StreamHandle final : public Client::Stream {
 public:
  StreamHandle(TransferPtr transfer, std::shared_ptr<bool> any_cancelled)
      : transfer_(std::move(transfer)), any_cancelled_(std::move(any_cancelled)) {}
  ~StreamHandle() override { transfer_->cancelled = *any_cancelled_ = true; }

 private:
  TransferPtr transfer_;
  std::shared_ptr<bool> any_cancelled_;
};

class CurlClient final : public Client {
 public:
  CurlClient(Access access, Options options, Server server)
      : options_(std::move(options)),
        server_(std::move(server)),
        space_(access.as_namespace),
        credentials_(std::move(access)),
        wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        inbox_([this] { wake(); }) {
    WEIR_ASSERT(wake_fd_ >= 0);
    open_multi();
  }
  ~CurlClient() override {
    ending_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
    for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_, easy);
    running_.clear();
    curl_multi_cleanup(multi_);
    ::close(wake_fd_);
  }

  Result<void> check() {
    auto identity = credentials_.now();
    if (!identity) return std::unexpected(identity.error());
    return {};
  }
  void begin_thread() {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), options_.thread_name.substr(0, 15).c_str());
      run();
    });
  }

  void post(Work work) override { inbox_.post(std::move(work)); }
  void after(std::chrono::milliseconds wait, Work work) override {
    timers_.emplace(Clock::now() + wait, std::move(work));
  }
  void when_quiet(Work work) override {
    if (quiet_.empty()) quiet_since_ = Clock::now();
    quiet_.push_back(std::move(work));
  }
  void request(std::string method, std::string path, std::string body, std::string content_type, Done done) override {
    auto transfer = std::make_shared<Transfer>();
    transfer->method = std::move(method);
    transfer->path = std::move(path);
    transfer->body = std::move(body);
    transfer->content_type = std::move(content_type);
    transfer->timeout = options_.timeout;
    transfer->done = std::move(done);
    begin(std::move(transfer));
  }
  std::unique_ptr<Stream> stream(std::string path, std::function<void(std::string_view)> line, Done done) override {
    auto transfer = std::make_shared<Transfer>();
    transfer->method = "GET";
    transfer->path = std::move(path);
    transfer->line = std::move(line);
    transfer->done = std::move(done);
    auto handle = std::make_unique<StreamHandle>(transfer, any_cancelled_);
    begin(std::move(transfer));
    return handle;
  }
  const std::string& default_namespace() const override { return space_; }

 private:
  void run();
  bool turn();
  bool is_quiet();
  void hand_over();
  void hand_over(Transfer&);
  void finish();
  void finish(const TransferPtr&, CURLcode);
  void fail_later(TransferPtr, std::string message);
  void run_timers();
  void begin(TransferPtr);
  void begin_waiting();
  void bury();
  void look_for_silence();
  void reset_connections(const std::string& why);
  void wait();
  bool said_farewell();
  std::vector<curl_waitfd> descriptors() const;

  void open_multi() {
    multi_ = curl_multi_init();
    WEIR_ASSERT(multi_);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  }
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
  }

  const Options options_;
  const Server server_;
  const std::string space_;
  Credentials credentials_;

  const int wake_fd_;
  Inbox inbox_;
  std::atomic<bool> ending_ = false;
  Clock::time_point ends_at_{};
  std::thread thread_;

  CURLM* multi_ = nullptr;
  std::unordered_map<CURL*, TransferPtr> running_;
  std::vector<TransferPtr> waiting_;  // for credentials
  std::shared_ptr<bool> any_cancelled_ = std::make_shared<bool>(false);
  std::multimap<Clock::time_point, Work> timers_;
  std::vector<Work> quiet_;
  Clock::time_point quiet_since_{}, heard_ = Clock::now(), looked_ = Clock::now();
};

void CurlClient::run() {
  for (;;) {
    const bool ends = ending_;  // read first: what was posted before is run by this turn
    const bool again = turn();
    if (ends && said_farewell()) return;
    if (!again) wait();
  }
}

// True: there is more to do at once.
bool CurlClient::turn() {
  int running = 0;
  curl_multi_perform(multi_, &running);
  hand_over();
  finish();
  inbox_.run();
  run_timers();
  if (credentials_.step()) begin_waiting();
  if (Clock::now() - looked_ >= longest_wait || options_.silence < longest_wait) look_for_silence();
  bury();
  if (quiet_.empty()) return false;
  if (!is_quiet()) return true;
  for (auto& work : std::exchange(quiet_, {})) work();
  bury();
  return true;
}

bool CurlClient::is_quiet() {
  if (Clock::now() - quiet_since_ > busy_at_most) return true;
  long due = -1;
  curl_multi_timeout(multi_, &due);
  if (due == 0) return false;
  int ready = 0;
  curl_multi_poll(multi_, nullptr, 0, 0, &ready);
  return ready == 0;
}

void CurlClient::hand_over() {
  std::vector<TransferPtr> streams;
  for (const auto& [easy, transfer] : running_)
    if (transfer->is_stream() && transfer->lines.waiting()) streams.push_back(transfer);
  for (const auto& transfer : streams) hand_over(*transfer);
}

void CurlClient::hand_over(Transfer& transfer) {
  while (!transfer.cancelled) {
    const auto line = transfer.lines.next();
    if (!line) return;
    transfer.line(*line);
  }
}

void CurlClient::finish() {
  std::vector<std::pair<TransferPtr, CURLcode>> ended;
  int left = 0;
  while (const auto* message = curl_multi_info_read(multi_, &left))
    if (message->msg == CURLMSG_DONE) ended.emplace_back(running_.at(message->easy_handle), message->data.result);
  for (const auto& [transfer, code] : ended) {
    if (!transfer->easy()) continue;  // another one's end reset the connections
    curl_multi_remove_handle(multi_, transfer->easy());
    running_.erase(transfer->easy());
    finish(transfer, code);
  }
}

void CurlClient::finish(const TransferPtr& transfer, CURLcode code) {
  if (transfer->is_stream()) hand_over(*transfer);
  long status = 0;
  curl_easy_getinfo(transfer->easy(), CURLINFO_RESPONSE_CODE, &status);
  transfer->answer.status = static_cast<int>(status);
  const auto message = code == CURLE_OK ? std::string() : transfer->error_text(code);
  transfer->release();
  if (transfer->cancelled) return;
  if (code == CURLE_OK && status == 401 && !transfer->repeated && credentials_.refused(transfer->identity)) {
    transfer->repeated = true;
    begin(transfer);
    return;
  }
  if (code == CURLE_OK) {
    transfer->done(std::move(transfer->answer));
    return;
  }
  // Not one octet of anything since this was sent: it is the connection that is dead (HTTP/2 would go on using it).
  const bool dead = code == CURLE_OPERATION_TIMEDOUT && heard_ <= transfer->began;
  transfer->done(fail("{}", message));
  if (dead) reset_connections(message);
}

void CurlClient::begin(TransferPtr transfer) {
  auto identity = credentials_.now();
  if (!identity) {
    fail_later(std::move(transfer), identity.error().message);
  } else if (!*identity) {
    waiting_.push_back(std::move(transfer));
  } else {
    auto* easy = transfer->prepare(server_, std::move(*identity));
    transfer->heard_anywhere = &heard_;
    running_.emplace(easy, std::move(transfer));
    WEIR_ASSERT(curl_multi_add_handle(multi_, easy) == CURLM_OK);
  }
}

void CurlClient::begin_waiting() {
  for (auto& transfer : std::exchange(waiting_, {}))
    if (!transfer->cancelled) begin(std::move(transfer));
}

// Never from inside of request(): its caller is not ready for the answer yet.
void CurlClient::fail_later(TransferPtr transfer, std::string message) {
  after(std::chrono::milliseconds(0), [transfer = std::move(transfer), message = std::move(message)] {
    if (!transfer->cancelled) transfer->done(fail("{}", message));
  });
}

// Those of this moment; what they add for now is for the next turn.
void CurlClient::run_timers() {
  const auto now = Clock::now();
  std::vector<Work> due;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    due.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  for (auto& work : due) work();
}

void CurlClient::bury() {
  if (!std::exchange(*any_cancelled_, false)) return;
  std::erase_if(running_, [&](const auto& entry) {
    if (!entry.second->cancelled) return false;
    curl_multi_remove_handle(multi_, entry.first);
    entry.second->release();
    return true;
  });
  std::erase_if(waiting_, [](const auto& transfer) { return transfer->cancelled; });
}

void CurlClient::look_for_silence() {
  looked_ = Clock::now();
  std::vector<TransferPtr> silent;
  for (const auto& [easy, transfer] : running_)
    if (transfer->is_stream() && !transfer->cancelled && looked_ - transfer->heard > options_.silence)
      silent.push_back(transfer);
  if (silent.empty()) return;
  const auto why = fmt::format("nothing came for {} s", options_.silence.count() / 1000.0);
  if (looked_ - heard_ > options_.silence) {
    reset_connections(why);
    return;
  }
  for (const auto& transfer : silent) {
    curl_multi_remove_handle(multi_, transfer->easy());
    running_.erase(transfer->easy());
    transfer->release();
    if (!transfer->cancelled) transfer->done(fail("{}", why));
  }
}

void CurlClient::reset_connections(const std::string& why) {
  const auto given_up = std::exchange(running_, {});
  for (const auto& [easy, transfer] : given_up) {
    curl_multi_remove_handle(multi_, easy);
    transfer->release();
  }
  curl_multi_cleanup(multi_);
  open_multi();
  heard_ = Clock::now();
  for (const auto& [easy, transfer] : given_up)
    if (!transfer->cancelled) transfer->done(fail("{}", why));
}

std::vector<curl_waitfd> CurlClient::descriptors() const {
  std::vector<curl_waitfd> out{{wake_fd_, CURL_WAIT_POLLIN, 0}};
  for (const int fd : credentials_.descriptors())
    if (fd >= 0) out.push_back({fd, CURL_WAIT_POLLIN, 0});
  return out;
}

void CurlClient::wait() {
  auto until = Clock::now() + std::min(longest_wait, options_.silence);
  if (!timers_.empty()) until = std::min(until, timers_.begin()->first);
  if (const auto deadline = credentials_.deadline()) until = std::min(until, *deadline);
  if (ends_at_ != Clock::time_point{}) until = std::min(until, ends_at_);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  auto extra = descriptors();
  curl_multi_poll(multi_, extra.data(), static_cast<unsigned>(extra.size()), static_cast<int>(std::max<long>(0, left)),
                  nullptr);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(wake_fd_, &count, sizeof count);
}

// True: nothing is left that is worth waiting for.
bool CurlClient::said_farewell() {
  if (ends_at_ == Clock::time_point{}) ends_at_ = Clock::now() + farewell;
  std::erase_if(running_, [&](const auto& entry) {
    if (entry.second->writes()) return false;
    curl_multi_remove_handle(multi_, entry.first);
    entry.second->release();
    return true;
  });
  return running_.empty() || Clock::now() >= ends_at_;
}

}  // namespace

Result<std::unique_ptr<Client>> Client::start(Access access, Options options) {
  initialise();
  auto server = server_of(access, options.user_agent);
  if (!server) return std::unexpected(server.error());
  auto client = std::make_unique<CurlClient>(std::move(access), std::move(options), std::move(*server));
  if (auto checked = client->check(); !checked) return std::unexpected(checked.error());
  client->begin_thread();
  return client;
}

std::string Answer::reason() const {
  boost::json::error_code error;
  const auto parsed = boost::json::parse(body, error);
  if (const auto* object = error ? nullptr : parsed.if_object())
    if (const auto* message = object->if_contains("message"); message && message->is_string())
      return std::string(message->get_string()).substr(0, 1000);
  return fmt::format("HTTP status {}", status);
}

}  // namespace weir::kube
