#include "proxy/worker.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/log.h"
#include "net/listener.h"
#include "proxy/client.h"
#include "proxy/context.h"
#include "proxy/entrance.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// Connections taken in one go; the rest waits for the next turn, so that those that are served are not kept waiting.
constexpr int accept_batch = 64;
// How long a listener rests when there is no file descriptor left.
constexpr std::uint64_t accept_pause_ms = 256;
// While draining: how long handshakes that have begun may take to end in the accept queue.
constexpr std::uint64_t drain_handshakes_ms = 500;

// A socket on its way to the worker: closed when the worker ends before it takes it.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.take()) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class Listener : public net::Handle {
 public:
  Listener(Context& context, int listening, const Listen& listen)
      : context_(context), port_(net::local_port(listening)), entrance_(std::make_shared<Entrance>()) {
    fd = listening;
    *entrance_ = {.entry = listen.entry, .port = listen.public_port ? listen.public_port : port_, .tls = listen.tls};
    ++context_.listener_count;
  }
  ~Listener() override { close(); }

  void on_events(std::uint32_t) override { accept(accept_batch); }
  void on_timeout() override {
    if (context_.draining || entrance_->closing) {
      finish();
      context_.check_drained();
    } else {
      open();
    }
  }

  void open() {
    if (fd >= 0) context_.loop.add(*this, EPOLLIN);
  }
  // No new connections from here on. Those that are in the queue, or on their way into it, have been promised an
  // answer: taken first.
  void drain() {
    if (fd < 0) return;
    entrance_->closing = true;
    if (!net::drop_new_connections(fd)) return finish();
    accept(accept_all);
    context_.loop.set_timeout(*this, drain_handshakes_ms);
  }
  void close() {
    if (fd < 0) return;
    ::close(std::exchange(fd, -1));
    --context_.listener_count;
  }
  std::uint16_t port() const { return port_; }
  bool belongs_to(const Uuid& entry) const { return entrance_->entry == entry; }

 private:
  static constexpr int accept_all = 1 << 20;

  void finish() {
    accept(accept_all);
    close();
  }

  void accept(int most) {
    for (int i = 0; i < most; ++i) {
      net::Address address;
      socklen_t bytes = sizeof address.storage;
      int client = ::accept4(fd, reinterpret_cast<sockaddr*>(&address.storage), &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) {
        adopt(client, address);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // Level-triggered, it would be told of again and again: a rest, while clients wait in the queue.
        context_.loop.remove(*this);
        context_.loop.set_timeout(*this, accept_pause_ms);
        return;
      } else if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO) {
        return;
      }
    }
  }

  void adopt(int socket, const net::Address& address) {
    if (context_.client_count >= context_.options.connections_max) {
      ::close(socket);
      context_.counters.connections_refused.add();
      return;
    }
    net::set_nodelay(socket);
    auto ip = address.ip();
    const bool trusted = context_.trust.holds(ip);
    auto* client = new Client(context_, entrance_, std::move(ip), address.port(), trusted);
    client->fd = socket;
    if (!client->begin()) client->end(false);
  }

  Context& context_;
  const std::uint16_t port_;
  const std::shared_ptr<Entrance> entrance_;
};

class EpollWorker final : public Worker {
 public:
  EpollWorker(const Options& options, net::Resolver& resolver, store::Lookup& lookup, Trust trust, ssl_ctx_st* tls)
      : context_(options, resolver, lookup, std::move(trust)) {
    context_.tls_server = tls;
  }

  ~EpollWorker() override { stop(); }

  void stop() override {
    if (!thread_.joinable()) return;
    context_.loop.post([this] {
      context_.drained = nullptr;
      for (auto& listener : listeners_) {
        listener->close();
        context_.loop.bury(std::move(listener));
      }
      listeners_.clear();
      while (context_.clients) context_.clients->end(true);
      context_.mirrors.end_all();
      context_.pool.close_idle();
      context_.old_epochs.clear();
      context_.epoch.reset();
      context_.loop.stop();
    });
    thread_.join();
  }

  Result<> listen(const Listen& listen) {
    auto fd = net::listen_on(listen.ip, listen.port, listen.backlog, listen.reuseport);
    if (!fd) return std::unexpected(fd.error());
    listeners_.push_back(std::make_unique<Listener>(context_, *fd, listen));
    ports_.push_back(listeners_.back()->port());
    return {};
  }

  void run(unsigned number) {
    thread_ = std::thread([this, number] {
      pthread_setname_np(pthread_self(), ("worker " + std::to_string(number)).c_str());
      context_.loop.run();
    });
  }

  void publish(snapshot::SnapshotPtr snapshot, std::function<void()> adopted) override {
    context_.loop.post([this, snapshot = std::move(snapshot), adopted = std::move(adopted)]() mutable {
      adopt(std::move(snapshot));
      if (adopted) adopted();
    });
  }

  void resolved(const std::string& name, net::ResolvedPtr answer) override {
    context_.loop.post([this, name, answer = std::move(answer)] { context_.backends.resolved(name, answer); });
  }

  void replace_tls(ssl_ctx_st* tls) override {
    context_.loop.post([this, tls] { context_.tls_server = tls; });
  }

  void open(const Listen& listen, int fd) override {
    context_.loop.post([this, listen, socket = Socket(fd)]() mutable {
      if (context_.draining) return;
      bury_closed();
      listeners_.push_back(std::make_unique<Listener>(context_, socket.take(), listen));
      if (context_.epoch) listeners_.back()->open();
    });
  }

  void close(const Uuid& entry) override {
    context_.loop.post([this, entry] {
      for (auto& listener : listeners_)
        if (listener->belongs_to(entry)) listener->drain();
      for (Client *client = context_.clients, *next; client; client = next) {
        next = client->next;
        if (client->entrance->closing) client->drain();
      }
      bury_closed();
    });
  }

  void drain(std::function<void()> drained) override {
    context_.loop.post([this, drained = std::move(drained)]() mutable {
      context_.draining = true;
      context_.drained = std::move(drained);
      for (auto& listener : listeners_) listener->drain();
      for (Client *client = context_.clients, *next; client; client = next) {
        next = client->next;
        client->drain();
      }
      context_.pool.close_idle();
      context_.check_drained();
    });
  }

  void invalidate(std::optional<std::vector<std::string>> keys) override {
    context_.loop.post([this, keys = std::move(keys)] {
      if (!keys) return context_.cache.clear();
      for (const auto& key : *keys) context_.cache.invalidate(key);
    });
  }

  void peek(std::string key, std::function<void(std::shared_ptr<const store::Found>)> done) override {
    context_.loop.post([this, key = std::move(key), done = std::move(done)] { done(context_.cache.peek(key)); });
  }

  const metrics::Counters& counters() const override { return context_.counters; }
  const store::Cache::Counts& cache_counts() const override { return context_.cache_counts; }
  std::uint16_t port(std::size_t listen) const override { return ports_.at(listen); }

 private:
  void bury_closed() {
    for (auto& listener : listeners_)
      if (listener->fd < 0) context_.loop.bury(std::move(listener));
    std::erase(listeners_, nullptr);
  }

  // Exchanges in flight keep the epoch they began with.
  void adopt(snapshot::SnapshotPtr snapshot) {
    auto next = std::make_unique<Epoch>(Epoch{std::move(snapshot), 0});
    const bool first = !context_.epoch;
    auto old = std::exchange(context_.epoch, std::move(next));
    context_.backends.adopt(*context_.epoch->snapshot, old ? old->snapshot->revision() : 0);
    context_.turns.adopt(*context_.epoch->snapshot);
    if (old && old->exchanges > 0) context_.old_epochs.push_back(std::move(old));
    // Before the first snapshot connections wait in the queue: nobody gets a 404 for being early.
    if (first && !context_.draining)
      for (auto& listener : listeners_) listener->open();  // those that close meanwhile too: their queue is promised
  }

  Context context_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::uint16_t> ports_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(unsigned number, const Options& options,
                                              const std::vector<Listen>& listens, ssl_ctx_st* tls,
                                              net::Resolver& resolver, store::Lookup& lookup) {
  auto trust = Trust::parse(options.trusted_ips);
  if (!trust) return std::unexpected(trust.error());
  auto worker = std::make_unique<EpollWorker>(options, resolver, lookup, std::move(*trust), tls);
  for (const auto& listen : listens)
    if (auto made = worker->listen(listen); !made) return std::unexpected(made.error());
  worker->run(number);
  return worker;
}

}  // namespace weir::proxy
