// Appends a line of JSON to a file for each request. Kong plugin "file-log".
#include <map>

#include "model/schema_builder.h"
#include "plugin/config_rules.h"
#include "plugin/log_record.h"
#include "plugin/plugin.h"
#include "plugin/services.h"

namespace weir::plugin {
namespace {

struct Config {
  std::string path;
  bool reopen = false;
  std::optional<std::map<std::string, std::string>> custom_fields_by_lua;
};

const model::Declared<Config>& declared() {
  static const auto built =
      model::SchemaBuilder<Config>("file-log")
          .field("path", &Config::path, "The file; made when it is not there.", model::check(check_file_path))
          .field("reopen", &Config::reopen, "Whether the path is opened anew for what follows, after a rotation.")
          .field("custom_fields_by_lua", &Config::custom_fields_by_lua, "Lua that changes the log.", no_lua())
          .build();
  return built;
}

class FileLog : public Plugin {
 public:
  FileLog(std::shared_ptr<LogFile> file, bool reopen) : file_(std::move(file)), reopen_(reopen) {}

  void log(Exchange& x) const override {
    std::string line;
    line.reserve(2048);
    print_log_record(line, x);
    file_->add(std::move(line), reopen_);
  }

 private:
  const std::shared_ptr<LogFile> file_;
  const bool reopen_;
};

Result<std::unique_ptr<const Plugin>> make(const model::Object& object, const Scope&, Services& services) {
  const auto config = declared().read(object);
  return std::make_unique<const FileLog>(services.files.at(config.path), config.reopen);
}

}  // namespace

const Kind& file_log() {
  static const Kind kind{"file-log", 9, phase_log, true, [] -> const model::Schema& { return declared().schema; },
                         make};
  return kind;
}

}  // namespace weir::plugin
