#include "net/resolver_channel.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include <ares.h>
#include <arpa/nameser.h>

#include "base/text.h"

namespace weir::net {

namespace {

// c-ares has one socket per server; resolvers of clusters are known to drop bursts above some hundreds.
constexpr std::size_t in_flight_max = 256;

int initialise_library() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);  // never undone: others may use c-ares
  return status;
}

}  // namespace

Channel::Channel(Options options, int epoll) : options_(std::move(options)), epoll_(epoll) {}

Result<std::unique_ptr<Channel>> Channel::open(Options options, int epoll) {
  if (int status = initialise_library(); status != ARES_SUCCESS)
    return fail("the DNS library does not start: {}", ares_strerror(status));
  std::unique_ptr<Channel> channel(new Channel(std::move(options), epoll));
  ares_options settings{};
  settings.timeout = static_cast<int>(std::max<std::int64_t>(channel->options_.timeout.count(), 1));
  settings.tries = 1;  // c-ares doubles the timeout from try to try; ours stays the same, so attempts are counted here
  settings.sock_state_cb_data = channel.get();
  settings.sock_state_cb = [](void* self, ares_socket_t socket, int readable, int writable) {
    int epoll = static_cast<Channel*>(self)->epoll_;
    epoll_event event{.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), .data = {.fd = socket}};
    if (!readable && !writable)
      epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
    else if (epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) != 0)
      epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  };
  int status =
      ares_init_options(&channel->ares_, &settings, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) return fail("DNS cannot be set up from /etc/resolv.conf: {}", ares_strerror(status));
  if (auto set = channel->set_servers(); !set) return std::unexpected(set.error());
  return channel;
}

Channel::~Channel() {
  closing_ = true;
  if (ares_) ares_destroy(ares_);
}

Result<> Channel::set_servers() {
  std::string list;
  for (const auto& server : options_.servers) {
    auto parts = text::split_host_port(server);
    auto address = parts ? Address::from_ip(parts->host, parts->port ? parts->port : 53) : std::nullopt;
    if (!address) return fail("dns_resolver: \"{}\" is not an IP address with an optional port", server);
    bool v6 = address->get()->sa_family == AF_INET6;
    list += fmt::format("{}{}{}{}:{}", list.empty() ? "" : ",", v6 ? "[" : "", address->ip(), v6 ? "]" : "",
                        address->port());
  }
  if (list.empty()) return {};
  if (int status = ares_set_servers_ports_csv(ares_, list.c_str()); status != ARES_SUCCESS)
    return fail("dns_resolver: \"{}\": {}", list, ares_strerror(status));
  return {};
}

void Channel::ask(std::string owner, std::uint64_t lookup, Question question) {
  waiting_.push_back(std::make_unique<Query>(Query{this, {std::move(owner), lookup, std::move(question), {}}}));
  send_waiting();
}

void Channel::send_waiting() {
  while (in_flight_ < in_flight_max && !waiting_.empty()) {
    auto query = std::move(waiting_.front());
    waiting_.pop_front();
    send(std::move(query));
  }
}

void Channel::send(std::unique_ptr<Query> query) {
  auto callback = [](void* argument, int status, int, unsigned char* packet, int length) {
    std::unique_ptr<Query> query(static_cast<Query*>(argument));
    auto* channel = query->channel;
    --channel->in_flight_;
    auto size = packet && length > 0 ? static_cast<std::size_t>(length) : 0;
    channel->answered(std::move(query), status, {packet, size});
  };
  ++in_flight_;
  ++sent_;
  ++query->attempts;
  auto* raw = query.release();  // the callback takes it back; it may run before ares_search returns
  ares_search(ares_, raw->about.question.name.c_str(), ns_c_in, wire_type(raw->about.question.type), callback, raw);
}

void Channel::answered(std::unique_ptr<Query> query, int status, std::span<const std::uint8_t> packet) {
  if (closing_) return;
  if (status == ARES_ETIMEOUT && query->attempts < options_.attempts) {
    waiting_.push_front(std::move(query));  // sent by process(): c-ares must not be called back into itself forever
    return;
  }
  query->about.reply = read_reply(query->about.question, status, packet);
  answered_.push_back(std::move(query->about));
}

void Channel::process(int socket, std::uint32_t events) {
  bool readable = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
  ares_process_fd(ares_, readable ? socket : ARES_SOCKET_BAD, events & EPOLLOUT ? socket : ARES_SOCKET_BAD);
  send_waiting();
}

void Channel::process_timeouts() {
  ares_process_fd(ares_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  send_waiting();
}

std::chrono::milliseconds Channel::wait_at_most(std::chrono::milliseconds longest) const {
  timeval limit{.tv_sec = longest.count() / 1000, .tv_usec = longest.count() % 1000 * 1000};
  timeval left{};
  const timeval* wait = ares_timeout(ares_, &limit, &left);
  // Rounded up: waking a fraction of a millisecond early would spin.
  return std::chrono::milliseconds(wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000);
}

std::vector<Channel::Answered> Channel::take_answered() {
  return std::exchange(answered_, {});
}

}  // namespace weir::net
