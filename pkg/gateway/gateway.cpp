#include "gateway/gateway.h"

#include <csignal>
#include <filesystem>

#include <malloc.h>
#include <openssl/ssl.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "base/uuid.h"
#include "gateway/configuration.h"
#include "gateway/kubernetes.h"
#include "gateway/node.h"
#include "gateway/process.h"
#include "gateway/publisher.h"
#include "gateway/version.h"
#include "gateway/webhook.h"
#include "net/tls.h"
#include "plugin/cluster_counters.h"
#include "plugin/services.h"
#include "store/desk.h"

namespace weir::gateway {
namespace {

namespace asio = boost::asio;
using TlsContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

struct Bound {
  std::string_view what;
  std::string address;
  std::uint16_t port;
  bool tls;
};

std::string shown(const Bound& b) {
  return b.address.find(':') == std::string::npos ? fmt::format("{}:{}", b.address, b.port)
                                                  : fmt::format("[{}]:{}", b.address, b.port);
}

class Running : public Gateway {
 public:
  Running(const Settings& settings, const Options& options) : settings_(settings), options_(options) {}

  // What asks ends before what is asked, and what answers to workers before they are freed.
  ~Running() override {
    admin_.reset();
    status_.reset();
    webhook_.reset();
    for (const auto& worker : workers_) worker->stop();
    kubernetes_.reset();
    kube_desk_.reset();
    desk_.reset();
    lookup_.reset();
    configuration_.reset();
    publisher_.reset();
    plugins_.reset();
  }

  Result<> prepare() {
    if (auto made = make_folder(options_.prefix); !made) return made;
    auto lock = Lock::take(options_.prefix + "/weir.lock");
    if (!lock) return std::unexpected(lock.error());
    lock_.emplace(std::move(*lock));
    if (auto id = identify(); !id) return id;
    auto store = open_store(options_);
    if (!store) return std::unexpected(store.error());
    store_.emplace(std::move(*store));
    if (auto resolver = start_resolver(); !resolver) return resolver;
    plugins_.emplace(plugin::Services::Options{.workers = options_.workers},
                     options_.postgres ? plugin::cluster_counters(options_.postgres->server) : nullptr);
    publisher_.emplace(io_, *resolver_, *plugins_);
    configuration_.emplace(io_, options_, *store_, *publisher_);
    if (auto loaded = configuration_->load(); !loaded) return loaded;
    if (auto following = start_desk(); !following) return following;
    malloc_trim(0);  // the rows that were read are compiled now; an idle node should not keep their memory
    if (auto started = start_workers(); !started) return started;
    if (auto started = start_kubernetes(); !started) return started;
    return start_servers();
  }

  std::string greeting() const override {
    const auto find = [&](std::string_view what, bool tls) {
      for (const auto& b : bound_)
        if (b.what == what && b.tls == tls) return shown(b);
      return std::string("off");
    };
    const auto admin = find("admin", false);
    return fmt::format(
        "Weir {} is running.\n"
        "  Admin API  http://{}\n"
        "  proxy      http://{}  https://{}\n"
        "  metrics    http://{}/metrics\n\n"
        "Try:\n"
        "  curl -X POST http://{}/upstreams -H 'Content-Type: application/json' -d '{{\"name\":\"hello\"}}'\n"
        "  curl -X POST http://{}/upstreams/hello/targets -H 'Content-Type: application/json' -d "
        "'{{\"target\":\"127.0.0.1:3000\",\"weight\":100}}'\n"
        "  curl http://{}/upstreams/hello/health\n",
        version, admin, find("proxy", false), find("proxy", true), find("status", false), admin, admin, admin);
  }

  int run() override {
    asio::signal_set stop(io_, SIGTERM, SIGINT, SIGQUIT), reload(io_, SIGHUP);
    on_stop_ = [this] { begin_drain(); };
    wait_for_stop(stop);
    wait_for_reload(reload);
    tick();
    notify("READY=1");
    log::notice("ready", {{"version", version},
                          {"routes", publisher_->snapshot()->routes()},
                          {"services", publisher_->snapshot()->services()},
                          {"upstreams", publisher_->snapshot()->upstreams()},
                          {"workers", workers_.size()}});
    io_.run();
    for (const int number : {SIGTERM, SIGINT, SIGQUIT}) std::signal(number, SIG_IGN);  // it is leaving already
    return forced_ ? 2 : 0;
  }

 private:
  Result<> identify() {
    if (!options_.node_id.empty()) return {};
    const auto path = options_.prefix + "/weir.id";
    if (auto text = read_file(path); text && Uuid::parse(text->substr(0, 36))) {
      options_.node_id = text->substr(0, 36);
      return {};
    }
    options_.node_id = Uuid::random().text();
    return write_private_file(path, options_.node_id + "\n");
  }

  Result<> start_resolver() {
    auto resolver = net::Resolver::start(options_.resolver, [this](const std::string& name, net::ResolvedPtr answer) {
      asio::post(io_, [this, name, answer = std::move(answer)] {
        for (const auto& worker : workers_) worker->resolved(name, answer);
      });
    });
    if (!resolver) return std::unexpected(resolver.error());
    resolver_ = std::move(*resolver);
    return {};
  }

  Result<> start_desk() {
    desk_ = store::Desk::start(store_->postgres(), [this](store::Followed followed) {
      asio::post(io_, [this, followed = std::make_shared<store::Followed>(std::move(followed))] {
        configuration_->take(std::move(*followed));
      });
    });
    lookup_ =
        options_.postgres ? store::postgres_lookup(options_.postgres->server) : store::desk_lookup(*desk_, **store_);
    if (options_.kubernetes) {
      auto rows = store::open_sqlite(":memory:", "kube", store::References::unchecked);
      if (!rows) return std::unexpected(rows.error());
      kube_rows_ = std::move(*rows);
      kube_desk_ = store::Desk::start(nullptr, [](store::Followed) {});
      lookup_ = store::layered_lookup(store::desk_lookup(*kube_desk_, *kube_rows_), std::move(lookup_));
    }
    return configuration_->follow(*desk_);
  }

  Result<> start_kubernetes() {
    if (!options_.kubernetes) return {};
    kubernetes_.emplace(io_, *publisher_, *kube_desk_, *kube_rows_, serving());
    node_->show_kubernetes(&*kubernetes_);
    return kubernetes_->start(*options_.kubernetes);
  }

  std::vector<proxy::Worker*> serving() const {
    std::vector<proxy::Worker*> out;
    for (const auto& worker : workers_) out.push_back(worker.get());
    return out;
  }

  static bool any_tls(const std::vector<proxy::Listen>& listens) {
    return std::ranges::any_of(listens, [](const auto& l) { return l.tls; });
  }

  // Null when no address of `listens` has TLS. The newest context of each kind is the last one.
  Result<ssl_ctx_st*> server_tls(const std::vector<proxy::Listen>& listens, CertificateFiles files) {
    if (!any_tls(listens)) return nullptr;
    if (files.certificate.empty()) {
      const auto folder = options_.prefix + "/ssl";
      files = {folder + "/weir-default.crt", folder + "/weir-default.key"};
      std::error_code error;
      if (!std::filesystem::exists(files.certificate, error) || !std::filesystem::exists(files.key, error)) {
        if (auto made = make_folder(folder); !made) return std::unexpected(made.error());
        if (auto made = net::make_self_signed(files.certificate, files.key); !made)
          return std::unexpected(made.error());
      }
    }
    auto context = net::server_context(files.certificate, files.key);
    if (!context) return std::unexpected(context.error());
    tls_.emplace_back(*context, SSL_CTX_free);
    return *context;
  }

  Result<> start_workers() {
    auto listens = options_.proxy_listen;
    auto tls = server_tls(listens, options_.ssl);
    if (!tls) return std::unexpected(tls.error());
    for (unsigned i = 0; i < options_.workers; i++) {
      auto worker = proxy::Worker::start(i, options_.proxy, listens, *tls, *resolver_, *lookup_);
      if (!worker) return std::unexpected(worker.error());
      for (std::size_t l = 0; l < listens.size(); l++)
        listens[l].port = (*worker)->port(l);  // port 0: the others share it
      workers_.push_back(std::move(*worker));
    }
    for (const auto& l : listens) listening("proxy", l.ip, l.port, l.tls);
    publisher_->serve(serving());
    node_.emplace(
        NodeView::Parts{io_, settings_, options_, *store_, *resolver_, *publisher_, *configuration_, *plugins_},
        serving());
    return {};
  }

  Result<> start_servers() {
    const admin::Threads threads{
        [this](auto work) { desk_->post(std::move(work)); },
        [this](auto work) {
          asio::post(io_, [work = std::make_shared<admin::Threads::Work>(std::move(work))] { (*work)(); });
        }};
    api_ = admin::Api::make(**store_, *node_, options_.admin, threads);
    // Probes and scrapers reach the status listener by the pod's address.
    auto status_options = options_.admin;
    status_options.loopback_only = false;
    status_api_ = admin::make_status(**store_, *node_, status_options, threads);
    admin_ = admin::HttpServer::make(io_, options_.admin_http, [this](admin::Request request, admin::Respond respond) {
      api_->handle(std::move(request), std::move(respond));
    });
    auto status_http = options_.admin_http;
    status_http.setting = "status_listen";
    status_ = admin::HttpServer::make(io_, status_http, [this](admin::Request request, admin::Respond respond) {
      status_api_->handle(std::move(request), std::move(respond));
    });
    if (auto bound = listen("admin", *admin_, options_.admin_listen, options_.admin_ssl); !bound) return bound;
    if (!options_.admin.loopback_only)
      log::warn(
          "the Admin API listens beyond loopback without authentication: anyone who reaches it can change everything");
    if (auto bound = listen("status", *status_, options_.status_listen, options_.status_ssl); !bound) return bound;
    return start_webhook();
  }

  Result<> start_webhook() {
    if (options_.webhook_listen.empty()) return {};
    auto http = options_.admin_http;
    http.setting = "webhook_listen";
    webhook_ = admin::HttpServer::make(
        io_, http, [sidecar = options_.sidecar](const admin::Request& request, admin::Respond respond) {
          respond(answer_webhook(request, sidecar));
        });
    return listen("webhook", *webhook_, options_.webhook_listen, options_.webhook_ssl);
  }

  Result<> listen(std::string_view what, admin::HttpServer& server, const std::vector<proxy::Listen>& listens,
                  const CertificateFiles& certificate) {
    auto tls = server_tls(listens, certificate.certificate.empty() ? options_.ssl : certificate);
    if (!tls) return std::unexpected(tls.error());
    for (const auto& l : listens) {
      auto port = server.listen(l.ip, l.port, l.tls ? *tls : nullptr);
      if (!port) return std::unexpected(port.error());
      listening(what, l.ip, *port, l.tls);
    }
    return {};
  }

  void listening(std::string_view what, const std::string& ip, std::uint16_t port, bool tls) {
    bound_.push_back({what, ip, port, tls});
    log::notice("listening", {{"what", what}, {"address", ip}, {"port", port}, {"tls", tls}});
  }

  void wait_for_stop(asio::signal_set& signals) {
    signals.async_wait([this, &signals](boost::system::error_code error, int number) {
      if (error) return;
      if (std::exchange(draining_, true)) {
        log::warn("stopping at once: second signal", {{"signal", number}});
        forced_ = true;
        return io_.stop();
      }
      log::notice("draining", {{"signal", number}});
      wait_for_stop(signals);
      on_stop_();
    });
  }

  void begin_drain() {
    notify("STOPPING=1");
    node_->set_draining();
    admin_->close();
    deadline_.expires_after(options_.shutdown_timeout);
    deadline_.async_wait([this](boost::system::error_code cancelled) {
      if (cancelled) return;
      log::warn("stopping with requests in flight: nginx_main_worker_shutdown_timeout is over");
      io_.stop();
    });
    left_to_drain_ = workers_.size();
    for (const auto& worker : workers_)
      worker->drain([this] {
        asio::post(io_, [this] {
          if (--left_to_drain_ == 0) await_answers();
        });
      });
  }

  // What the Admin API has stored is answered before the node goes.
  void await_answers() {
    if (admin_->in_flight() == 0) {
      log::notice("drained");
      return io_.stop();
    }
    clock_.expires_after(std::chrono::milliseconds(10));
    clock_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled) await_answers();
    });
  }

  void wait_for_reload(asio::signal_set& signals) {
    signals.async_wait([this, &signals](boost::system::error_code error, int) {
      if (error) return;
      log::notice("reloading");
      notify("RELOADING=1");
      reload_certificates();
      configuration_->reload();
      notify("READY=1");
      wait_for_reload(signals);
    });
  }

  void reload_certificates() {
    auto tls = server_tls(options_.proxy_listen, options_.ssl);
    if (!tls)
      return log::error("certificate not reloaded; the one before stays in use", {{"error", tls.error().message}});
    if (!*tls) return;
    for (const auto& worker : workers_) worker->replace_tls(*tls);
  }

  void tick() {
    clock_.expires_after(std::chrono::seconds(1));
    clock_.async_wait([this](boost::system::error_code cancelled) {
      if (cancelled) return;
      publisher_->retire();
      node_->check_store(*desk_);
      if (kubernetes_) kubernetes_->retry();
      tick();
    });
  }

  Settings settings_;
  Options options_;
  std::optional<Lock> lock_;
  asio::io_context io_{1};
  asio::steady_timer clock_{io_}, deadline_{io_};
  std::optional<OpenStore> store_;
  std::unique_ptr<store::Desk> desk_;
  std::unique_ptr<store::Store> kube_rows_;  // looked-up rows that Kubernetes declares
  std::unique_ptr<store::Desk> kube_desk_;   // their thread: never held up by a database
  std::unique_ptr<store::Lookup> lookup_;
  std::unique_ptr<net::Resolver> resolver_;
  std::optional<plugin::Services> plugins_;
  std::optional<Publisher> publisher_;
  std::optional<Configuration> configuration_;
  std::vector<TlsContext> tls_;  // all that were ever used: connections may still have older ones
  std::vector<std::unique_ptr<proxy::Worker>> workers_;
  std::optional<NodeView> node_;
  std::optional<Kubernetes> kubernetes_;
  std::unique_ptr<admin::Api> api_, status_api_;
  std::unique_ptr<admin::HttpServer> admin_, status_, webhook_;
  std::vector<Bound> bound_;
  std::function<void()> on_stop_;
  std::size_t left_to_drain_ = 0;
  bool draining_ = false, forced_ = false;
};

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::start(const Settings& settings, const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  log::set_level(options.log_level);
  for (const auto& name : settings.unknown_variables())
    log::info("variable in the environment is no setting", {{"variable", name}});
  auto running = std::make_unique<Running>(settings, options);
  if (auto prepared = running->prepare(); !prepared) return std::unexpected(prepared.error());
  return running;
}

}  // namespace weir::gateway
