// Gives each request an id that can be followed through all systems. Kong plugin "correlation-id".
#include <iterator>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "base/uuid.h"
#include "model/schema_builder.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

struct Config {
  std::optional<std::string> header_name = "Kong-Request-ID";
  std::string generator = "uuid#counter";
  bool echo_downstream = false;
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("correlation-id")
          .field("header_name", &Config::header_name, "The header with the id; one that the client sends is kept.",
                 check(check_header_name))
          .field("generator", &Config::generator,
                 "uuid: a new UUID each; uuid#counter: one UUID per worker and a counter; tracker: "
                 "address-port-process-connection-request-time.",
                 one_of({"uuid", "uuid#counter", "tracker"}))
          .field("echo_downstream", &Config::echo_downstream, "Whether the client gets the id, too.")
          .build();
  return built;
}

constexpr std::size_t id_bytes_max = 160;
using Id = fmt::basic_memory_buffer<char, id_bytes_max>;

void append(Id& out, const Uuid& id) {
  for (std::size_t i = 0; i < id.bytes.size(); i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back("0123456789abcdef"[id.bytes[i] >> 4]);
    out.push_back("0123456789abcdef"[id.bytes[i] & 15]);
  }
}

// A worker is a thread: no two of them share a UUID or a counter.
struct Sequence {
  Uuid id = Uuid::random();
  std::uint64_t count = 0;
};
thread_local std::optional<Sequence> sequence;

class CorrelationId : public Plugin {
 public:
  explicit CorrelationId(const Config& config)
      : name_(config.header_name.value_or("Kong-Request-ID")),
        lower_name_(text::lower(name_)),
        generator_(config.generator == "uuid"      ? Generator::uuid
                   : config.generator == "tracker" ? Generator::tracker
                                                   : Generator::counter),
        echo_(config.echo_downstream) {}

  Step access(Exchange& x) const override {
    if (!given(x).empty()) return Step::next;
    Id id;
    generate(x, id);
    x.set_header(name_, {id.data(), id.size()});
    return Step::next;
  }

  void header_filter(Exchange& x) const override {
    if (!echo_) return;
    if (const auto id = given(x); !id.empty()) return x.set_response_header(name_, id);
    Id id;  // access did not run: no route
    generate(x, id);
    x.set_response_header(name_, {id.data(), id.size()});
  }

 private:
  enum class Generator : std::uint8_t { uuid, counter, tracker };

  std::string_view given(const Exchange& x) const { return x.header(lower_name_).value_or(std::string_view()); }

  void generate(const Exchange& x, Id& out) const {
    if (generator_ == Generator::uuid) return append(out, Uuid::random());
    if (generator_ == Generator::counter) {
      if (!sequence) sequence.emplace();
      append(out, sequence->id);
      fmt::format_to(std::back_inserter(out), "#{}", ++sequence->count);
      return;
    }
    const auto now = x.now_ms();
    fmt::format_to(std::back_inserter(out), "{}-{}-{}-{}-{}-{}.{:03}", x.server_ip(), x.port(), ::getpid(),
                   x.connection_serial(), x.connection_requests(), now / 1000, now % 1000);
  }

  std::string name_, lower_name_;
  Generator generator_;
  bool echo_;
};

}  // namespace

const Kind& correlation_id() {
  static const Kind kind{
      .name = "correlation-id",
      .priority = 100001,
      .phases = phase_access | phase_header_filter,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object& config, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return std::make_unique<CorrelationId>(declared().read(config));
      }};
  return kind;
}

}  // namespace weir::plugin
