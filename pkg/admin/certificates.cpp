// /certificates, which Kong gives more than other entities: one is also found by a name of its (SNI), and its names are
// shown and given as the list `snis`.
#include <algorithm>
#include <set>

#include "admin/body.h"
#include "admin/endpoint.h"
#include "admin/lookup.h"
#include "admin/paging.h"
#include "base/result.h"
#include "model/entities.h"
#include "model/form.h"
#include "model/formats.h"

namespace weir::admin {
namespace {

using model::Outcome;
using model::Problem;
using model::Schema;
using Names = std::vector<std::string>;

const Schema& certificates() {
  return model::schema<model::Certificate>();
}
const Schema& snis() {
  return model::schema<model::Sni>();
}

Problem wrong_snis(boost::json::value what) {
  return model::schema_violation(Object{{"snis", std::move(what)}});
}

std::string string_of(const boost::json::value& value) {
  const auto* string = value.if_string();
  return string ? std::string(*string) : std::string();
}

// Takes `snis` out of the input; nothing when it is not given. A form may give one name without a list.
Outcome<std::optional<Names>> take_names(Object& input) {
  const auto* given = input.if_contains("snis");
  if (!given || given->is_null()) {
    input.erase("snis");
    return std::optional<Names>();
  }
  const auto list = given->is_string() ? boost::json::array{*given} : boost::json::array();
  const auto* array = given->is_string() ? &list : given->if_array();
  if (!array) return std::unexpected(wrong_snis("expected a set"));
  Names names;
  boost::json::array faults;
  for (const auto& each : *array) {
    const auto name = string_of(each);
    const auto wrong = each.is_string() ? model::check_wildcard_sni(name) : std::string("expected a string");
    if (wrong) {
      faults.resize(names.size());
      faults.emplace_back(*wrong);
    }
    if (!wrong && std::ranges::find(names, name) != names.end())
      return std::unexpected(wrong_snis(boost::json::string(name + " is duplicated")));
    names.push_back(name);
  }
  if (!faults.empty()) return std::unexpected(wrong_snis(std::move(faults)));
  input.erase("snis");
  return std::optional(std::move(names));
}

class Certificates {
 public:
  explicit Certificates(const Context& context) : context_(context) {}

  Answer list(const Call& call) const {
    const auto query = read_page_query(call, true);
    if (!query) return answer_problem(query.error());
    const auto page = context_.store.page(certificates(), *query);
    if (!page) return answer_problem(page.error());
    boost::json::array rows;
    for (const auto& row : page->rows) {
      auto whole = with_names(row);
      if (!whole) return answer_problem(whole.error());
      rows.push_back(std::move(*whole));
    }
    return answer_json(200, list_body(std::move(rows), page->next_offset, "/certificates", kept_args(call)));
  }

  Answer create(const Call& call) const {
    if (context_.options.database_off) return unsupported("create");
    auto input = read_input(call);
    if (!input) return input.error();
    const auto entity = certificates().insert(std::move(input->values), now());
    if (!entity) return answer_problem(entity.error());
    return write(201, *entity, input->names);
  }

  Answer show(const Call& call) const {
    const auto id = read_id(call);
    if (!id) return id.error();
    const auto found = context_.store.find(certificates(), **id);
    if (!found) return answer_problem(found.error());
    return *found ? answer(200, **found, {}) : not_found();
  }

  Answer replace(const Call& call) const {
    if (context_.options.database_off) return unsupported("create or update");
    const auto known = read_id(call, true);
    if (!known) return known.error();
    auto input = read_input(call);
    if (!input) return input.error();
    if (!*known) {  // a name that nobody has becomes its own
      if (!input->names) input->names.emplace();
      if (std::ranges::find(*input->names, call.params[0]) == input->names->end())
        input->names->push_back(call.params[0]);
    }
    const auto entity = certificates().upsert(std::move(input->values), known->value_or(Uuid::random()), now());
    if (!entity) return answer_problem(entity.error());
    return write(200, *entity, input->names);
  }

  Answer change(const Call& call) const {
    if (context_.options.database_off) return unsupported("update");
    const auto id = read_id(call);
    if (!id) return id.error();
    const auto found = context_.store.find(certificates(), **id);
    if (!found) return answer_problem(found.error());
    if (!*found) return answer_problem(model::missing((*id)->text()));
    auto input = read_input(call);
    if (!input) return input.error();
    const auto entity = certificates().update(**found, std::move(input->values), now());
    if (!entity) return answer_problem(entity.error());
    return write(200, *entity, input->names);
  }

  Answer remove(const Call& call) const {
    if (context_.options.database_off) return unsupported("delete");
    const auto id = read_id(call);
    if (!id) return id.error();
    auto changes = context_.store.remove(certificates(), **id);
    if (!changes) return answer_problem(changes.error());
    auto out = answer_empty(204);
    out.changes = std::move(*changes);
    return out;
  }

 private:
  struct Input {
    Object values;
    std::optional<Names> names;
  };
  template <class T>
  using OrAnswer = std::expected<T, Answer>;

  static Answer unsupported(std::string_view verb) {
    return answer_problem({Problem::operation_unsupported,
                           fmt::format("cannot {} 'certificates' entities when not using a database", verb),
                           {},
                           {}});
  }

  // Of a path's id or name. Nothing only with may_be_new.
  OrAnswer<std::optional<Uuid>> read_id(const Call& call, bool may_be_new = false) const {
    const auto& segment = call.params[0];
    if (const auto id = Uuid::parse(segment)) return std::optional(*id);
    const auto sni = context_.store.find_by(snis(), "name", segment);
    if (!sni) return std::unexpected(answer_problem(sni.error()));
    if (*sni) return foreign_id(**sni, "certificate");
    if (may_be_new) return std::optional<Uuid>();
    return std::unexpected(answer_message(404, "SNI not found"));
  }

  OrAnswer<Input> read_input(const Call& call) const {
    auto body = read_body(call.request);
    if (!body) return std::unexpected(body.error());
    auto names = take_names(body->values);
    if (!names) return std::unexpected(answer_problem(names.error()));
    if (body->form) model::infer(certificates(), body->values);
    return Input{std::move(body->values), std::move(*names)};
  }

  Outcome<std::vector<Object>> snis_of(const Uuid& certificate) const {
    std::vector<Object> out;
    store::PageQuery query;
    query.size = 1000;
    query.parent_field = "certificate";
    query.parent = certificate;
    for (;;) {
      auto page = context_.store.page(snis(), query);
      if (!page) return std::unexpected(page.error());
      std::ranges::move(page->rows, std::back_inserter(out));
      if (!page->next_offset) return out;
      query.offset = *page->next_offset;
    }
  }

  Outcome<Object> with_names(const Object& certificate) const {
    const auto rows = snis_of(id_of(certificate));
    if (!rows) return std::unexpected(rows.error());
    std::set<std::string> names;
    for (const auto& row : *rows) names.insert(string_of(row.at("name")));
    auto out = shown(certificates(), certificate);
    out["snis"] = boost::json::array(names.begin(), names.end());
    return out;
  }

  Answer answer(unsigned status, const Object& certificate, store::Changes changes) const {
    const auto body = with_names(certificate);
    if (!body) return answer_problem(body.error());
    auto out = answer_json(status, *body);
    out.changes = std::move(changes);
    return out;
  }

  // Stores the certificate and, when names are given, just these: new ones in the same transaction, then those that are
  // not wanted any more go.
  Answer write(unsigned status, const Object& certificate, const std::optional<Names>& names) const {
    const auto id = id_of(certificate);
    std::vector<std::pair<const Schema*, Object>> wanted{{&certificates(), certificate}};
    for (const auto& name : names.value_or(Names())) {
      const auto held = context_.store.find_by(snis(), "name", name);
      if (!held) return answer_problem(held.error());
      const auto owner = *held ? foreign_id(**held, "certificate") : std::nullopt;
      if (owner == id) continue;
      if (owner)
        return answer_problem(wrong_snis(boost::json::string(
            fmt::format("{} already associated with existing certificate '{}'", name, owner->text()))));
      const auto sni = snis().insert({{"name", name}, {"certificate", foreign_key(id)}}, now());
      if (!sni) return answer_problem(sni.error());
      wanted.emplace_back(&snis(), *sni);
    }
    auto changes = status == 201 ? context_.store.insert_all(wanted) : context_.store.upsert_all(wanted);
    if (!changes) return answer_problem(changes.error());
    if (names) {
      const auto rows = snis_of(id);
      if (!rows) return answer_problem(rows.error());
      for (const auto& row : *rows) {
        if (std::ranges::find(*names, string_of(row.at("name"))) != names->end()) continue;
        auto removed = context_.store.remove(snis(), id_of(row));
        if (!removed) return answer_problem(removed.error());
        std::ranges::move(*removed, std::back_inserter(*changes));
      }
    }
    const auto stored = context_.store.find(certificates(), id);
    if (!stored) return answer_problem(stored.error());
    return answer(status, *stored ? **stored : certificate, std::move(*changes));
  }

  const Context& context_;
};

}  // namespace

void add_certificates(Table& table, const Context& context) {
  const Certificates all(context);
  const std::string path = "/certificates", member = "/certificates/{certificates}", entity = "certificates";
  const auto add = [&](std::string_view method, const std::string& at, Answer (Certificates::*run)(const Call&) const,
                       std::string summary, std::string takes, std::string gives, unsigned status = 200,
                       std::vector<std::string> query = {}) {
    table.add(method, at,
              {[all, run](const Call& call) { return (all.*run)(call); }, std::move(summary), std::move(takes),
               std::move(gives), status, std::move(query)});
  };
  add("GET", path, &Certificates::list, "List certificates", "", "certificates_list", 200, {"size", "offset", "tags"});
  add("POST", path, &Certificates::create, "Create one of certificates, with its names", entity, entity, 201);
  add("GET", member, &Certificates::show, "Read one of certificates by id or one of its names", "", entity);
  add("PUT", member, &Certificates::replace, "Create or replace one of certificates", entity, entity);
  add("PATCH", member, &Certificates::change, "Change fields of one of certificates", entity, entity);
  add("DELETE", member, &Certificates::remove, "Delete one of certificates and its names", "", "", 204);
}

}  // namespace weir::admin
