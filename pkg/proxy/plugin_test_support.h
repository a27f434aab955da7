// For tests of plugins' host: kinds whose phases the test writes, as functions that are found by a name in their
// configuration. They run on the worker's thread; what they note is read when the conversation says that it is there.
#pragma once
#include <map>

#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "plugin/services.h"
#include "proxy/test_support.h"

namespace weir::proxy::testing {

using plugin::Step;
using View = plugin::Exchange;

struct Script {
  std::function<Step(View&)> rewrite = {}, access = {};
  std::function<void(View&)> header_filter = {}, log = {};
  std::function<void(View&, std::string&)> body_filter = {};
};

class Scripts {
 public:
  void put(const std::string& name, Script script) {
    std::lock_guard lock(mutex_);
    all_[name] = std::make_shared<const Script>(std::move(script));
  }
  std::shared_ptr<const Script> find(const std::string& name) {
    std::lock_guard lock(mutex_);
    return all_[name];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Script>> all_;
};
inline Scripts& scripts() {
  static Scripts all;
  return all;
}

class Scripted : public plugin::Plugin {
 public:
  explicit Scripted(std::shared_ptr<const Script> script) : script_(std::move(script)) {}
  Step rewrite(View& x) const override { return script_->rewrite ? script_->rewrite(x) : Step::next; }
  Step access(View& x) const override { return script_->access ? script_->access(x) : Step::next; }
  void header_filter(View& x) const override {
    if (script_->header_filter) script_->header_filter(x);
  }
  void body_filter(View& x, std::string& body) const override {
    if (script_->body_filter) script_->body_filter(x, body);
  }
  void log(View& x) const override {
    if (script_->log) script_->log(x);
  }

 private:
  std::shared_ptr<const Script> script_;
};

struct ScriptConfig {
  std::string script = "nothing";
};

inline constexpr std::uint8_t all_phases = 31;

template <int number>
const plugin::Kind& scripted_kind(std::string_view name, int priority, std::uint8_t phases = all_phases) {
  static const auto declared =
      model::SchemaBuilder<ScriptConfig>(name).field("script", &ScriptConfig::script, "Its name.").build();
  static const plugin::Kind kind{.name = name,
                                 .priority = priority,
                                 .phases = phases,
                                 .config = []() -> const model::Schema& { return declared.schema; },
                                 .make = [](const model::Object& config, const plugin::Scope&,
                                            plugin::Services&) -> Result<std::unique_ptr<const plugin::Plugin>> {
                                   auto script = scripts().find(declared.read(config).script);
                                   if (!script) return fail("no such script");
                                   return std::make_unique<Scripted>(std::move(script));
                                 }};
  return kind;
}

inline std::span<const plugin::Kind* const> scripted_kinds() {
  static const plugin::Kind* const all[] = {&scripted_kind<0>("first", 30), &scripted_kind<1>("second", 20),
                                            &scripted_kind<2>("third", 10)};
  return all;
}
inline const plugin::Kind* find_scripted(std::string_view name) {
  for (const auto* kind : scripted_kinds())
    if (kind->name == name) return kind;
  return nullptr;
}

// A gate with plugins. number: of the entity; kind: "first", "second", "third"; scope: "\"route\":{...}," or empty.
class PluginGate : public Gate {
 public:
  explicit PluginGate(Options options = {}, std::vector<Listen> listens = {{.ip = "127.0.0.1", .port = 0}})
      : Gate(std::move(options), std::move(listens)) {
    std::vector<model::PluginSchema> schemas;
    for (const auto* kind : scripted_kinds()) schemas.push_back({kind->name, &kind->config(), true, kind->priority});
    model::install_plugin_schemas(std::move(schemas));
    services = &services_;
    makers.find_kind = find_scripted;
  }
  ~PluginGate() { worker.reset(); }  // before what plugins use

  store::Change plugin(std::uint32_t number, std::string_view kind, Script script, const std::string& scope = "") {
    const auto name = fmt::format("script {}", number);
    scripts().put(name, std::move(script));
    return put<model::Plugin>(number,
                              fmt::format(R"({{"name":"{}",{}"config":{{"script":"{}"}}}})", kind, scope, name));
  }
  // A global one.
  void add(std::string_view kind, Script script) { publish({plugin(next_++, kind, std::move(script))}); }

 private:
  plugin::Services services_{{}, nullptr};
  std::uint32_t next_ = 1000;
};

// What plugins note, in order; any thread.
class Notes {
 public:
  void add(std::string_view note) {
    std::lock_guard lock(mutex_);
    text_.append(text_.empty() ? "" : " ").append(note);
    ++count_;
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }
  // Waits until there are as many.
  std::string wait_for(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (count_ >= count || std::chrono::steady_clock::now() > end) return text_;
      }
      std::this_thread::yield();
    }
  }

 private:
  std::mutex mutex_;
  std::string text_;
  std::size_t count_ = 0;
};

// Answers an ask from another thread, when the test says so.
class Asker {
 public:
  ~Asker() {
    if (thread_.joinable()) thread_.join();
  }
  void hold(View::Resume resume) {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(resume));
  }
  std::size_t waiting() {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  void wait_for(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
    while (waiting() < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    ASSERT_EQ(waiting(), count);
  }
  // From a thread of its own.
  void answer(int value = 1) {
    std::vector<View::Resume> all;
    {
      std::lock_guard lock(mutex_);
      all.swap(waiting_);
    }
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([all = std::move(all), value] {
      for (const auto& resume : all) resume(std::make_shared<const int>(value));
    });
  }
  // An access step that asks once and then goes on.
  std::function<Step(View&)> step() {
    return [this](View& x) {
      return x.ask(this, [this](View::Resume resume) { hold(std::move(resume)); }) ? Step::next : Step::wait;
    };
  }

 private:
  std::mutex mutex_;
  std::vector<View::Resume> waiting_;
  std::thread thread_;
};

}  // namespace weir::proxy::testing
