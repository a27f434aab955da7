// The endpoints that every schema gets: its collection, its members, and the same below each of its parents.
#include "admin/attachment.h"
#include "admin/body.h"
#include "admin/endpoint.h"
#include "admin/lookup.h"
#include "admin/paging.h"
#include "admin/uri.h"
#include "base/result.h"
#include "model/form.h"
#include "model/schema.h"

namespace weir::admin {

namespace {

using model::Field;
using model::Outcome;
using model::Problem;
using model::Schema;

template <class T>
using OrAnswer = std::expected<T, Answer>;

// Consumers, which may also be found by the id that they have elsewhere.
bool has_custom_id(const Schema& schema) {
  return schema.field("custom_id") != nullptr;
}

// Targets have no collection of their own, and PUT on them is PATCH.
bool nested_only(const Schema& schema) {
  return schema.name() == "targets";
}

Answer unsupported(std::string_view verb, const Schema& schema) {
  return answer_problem({Problem::operation_unsupported,
                         fmt::format("cannot {} '{}' entities when not using a database", verb, schema.name()),
                         {},
                         {}});
}

// The value itself is not told: it may be a credential's key.
Problem declared_elsewhere(const Node::Elsewhere& there) {
  return {Problem::unique_violation,
          fmt::format("this {} is declared by {}; change it there, or take another {}", there.field, there.owner,
                      there.field),
          {{there.field, "declared by " + there.owner}},
          {}};
}

// Entities of one schema: all of them, or (parent_ not null) those below the parent that the first parameter names.
class Collection {
 public:
  Collection(const Context& context, const Schema& schema, const Field* parent_field)
      : context_(context),
        schema_(schema),
        parent_field_(parent_field),
        parent_(parent_field ? model::find_schema(parent_field->reference) : nullptr) {}

  Answer list(const Call& call) const {
    if (const auto* custom_id = call.arg("custom_id"); custom_id && has_custom_id(schema_) && !parent_)
      return list_one("custom_id", *custom_id);
    const auto parent = read_parent(call);
    if (!parent) return parent.error();
    auto query = read_page_query(call, !parent_);
    if (!query) return answer_problem(query.error());
    if (*parent) {
      query->parent_field = (*parent)->field;
      query->parent = (*parent)->id;
    }
    const auto page = context_.store.page(schema_, *query);
    if (!page) return answer_problem(page.error());
    boost::json::array rows;
    for (const auto& row : page->rows) rows.push_back(shown(schema_, row));
    const auto path =
        parent_ ? fmt::format("/{}/{}/{}", parent_->collection(), call.raw_params[0], schema_.nested_collection())
                : fmt::format("/{}", schema_.collection());
    return answer_json(200, list_body(std::move(rows), page->next_offset, path, parent_ ? Query{} : kept_args(call)));
  }

  Answer create(const Call& call) const {
    if (context_.options.database_off) return unsupported("create", schema_);
    const auto parent = read_parent(call);
    if (!parent) return parent.error();
    auto input = read_input(call, *parent, nullptr);
    if (!input) return input.error();
    const auto entity = checked(schema_.insert(std::move(*input), now()));
    if (!entity) return answer_problem(entity.error());
    return written(201, context_.store.insert(schema_, *entity));
  }

  Answer show(const Call& call) const {
    const auto parent = read_parent(call);
    if (!parent) return parent.error();
    const auto found = read_member(call, *parent);
    if (!found) return found.error();
    return found->entity ? answer_json(200, shown(schema_, *found->entity)) : not_found();
  }

  Answer replace(const Call& call) const {
    if (context_.options.database_off) return unsupported("create or update", schema_);
    if (nested_only(schema_)) return change(call);
    const auto parent = read_parent(call);
    if (!parent) return parent.error();
    // As Kong does, without a look at the parent it had: PUT below another parent moves it there.
    const auto found = read_member(call, *parent, true);
    if (!found) return found.error();
    auto input = read_input(call, *parent, nullptr);
    if (!input) return input.error();
    if (!found->key.id) (*input)[found->key.field] = found->key.value;
    const auto id = found->key.id ? *found->key.id : found->entity ? id_of(*found->entity) : Uuid::random();
    const auto entity = checked(schema_.upsert(std::move(*input), id, now()));
    if (!entity) return answer_problem(entity.error());
    return written(200, context_.store.upsert(schema_, *entity));
  }

  Answer change(const Call& call) const {
    if (context_.options.database_off) return unsupported("update", schema_);
    const auto parent = read_parent(call);
    if (!parent) return parent.error();
    const auto found = read_member(call, *parent);
    if (!found) return found.error();
    if (!found->entity) return parent_ ? not_found() : answer_problem(missing(found->key));
    auto input = read_input(call, std::nullopt, &*found->entity);
    if (!input) return input.error();
    const auto entity = checked(schema_.update(*found->entity, std::move(*input), now()));
    if (!entity) return answer_problem(entity.error());
    return written(200, context_.store.update(schema_, *entity));
  }

  // Idempotent at the top level; below a parent a missing one is an error.
  Answer remove(const Call& call) const {
    if (context_.options.database_off) return unsupported("delete", schema_);
    const auto parent = read_parent(call);
    if (!parent) return parent.error();
    const auto found = read_member(call, *parent);
    if (!found) return found.error();
    if (!found->entity) return parent_ ? not_found() : answer_empty(204);
    auto changes = context_.store.remove(schema_, id_of(*found->entity));
    if (!changes) return answer_problem(changes.error());
    auto answer = answer_empty(204);
    answer.changes = std::move(*changes);
    return answer;
  }

 private:
  struct Member {
    Key key;
    std::optional<Object> entity;
  };

  OrAnswer<std::optional<Parent>> read_parent(const Call& call) const {
    if (!parent_) return std::optional<Parent>();
    const auto found = find(context_, *parent_, call.params[0]);
    if (!found) return std::unexpected(answer_problem(found.error()));
    if (!*found) return std::unexpected(not_found());
    return Parent{parent_field_->name, id_of(**found)};
  }

  // anywhere: also one that belongs to another parent, when its key says which one it is.
  OrAnswer<Member> read_member(const Call& call, const std::optional<Parent>& parent, bool anywhere = false) const {
    const auto* below = parent ? &*parent : nullptr;
    const auto key = read_key(schema_, call.params.back(), below);
    if (!key) return std::unexpected(answer_problem(key.error()));
    if (anywhere && (key->id || schema_.field(key->field)->unique)) below = nullptr;
    auto found = find(context_, schema_, *key, below);
    if (!found) return std::unexpected(answer_problem(found.error()));
    return Member{*key, std::move(*found)};
  }

  OrAnswer<Object> read_input(const Call& call, const std::optional<Parent>& parent, const Object* before) const {
    auto body = read_body(call.request);
    if (!body) return std::unexpected(body.error());
    if (body->form) model::infer(schema_, body->values, before);
    if (const auto resolved = resolve_foreign_keys(context_, schema_, body->values); !resolved)
      return std::unexpected(answer_problem(resolved.error()));
    if (parent) body->values[parent->field] = foreign_key(parent->id);
    return std::move(body->values);
  }

  // An entity that satisfies its schema, also held against those that it refers to.
  Outcome<Object> checked(Outcome<Object> entity) const {
    if (!entity) return entity;
    if (const auto fits = check_attachment(context_, schema_, *entity); !fits) return std::unexpected(fits.error());
    if (const auto there = context_.node.declared_elsewhere(schema_, *entity))
      return std::unexpected(declared_elsewhere(*there));
    return entity;
  }

  Answer list_one(std::string_view field, const std::string& value) const {
    if (value.empty()) return answer_message(400, fmt::format("{} must be an unempty string", field));
    const auto found = context_.store.find_by(schema_, field, value);
    if (!found) return answer_problem(found.error());
    boost::json::array rows;
    if (*found) rows.push_back(shown(schema_, **found));
    return answer_json(200, list_body(std::move(rows), std::nullopt, {}, {}));
  }

  Answer written(unsigned status, Outcome<store::Written> result) const {
    if (!result) return answer_problem(result.error());
    auto answer = answer_json(status, shown(schema_, result->entity));
    answer.changes = std::move(result->changes);
    return answer;
  }

  const Context& context_;
  const Schema& schema_;
  const Field* parent_field_;
  const Schema* parent_;
};

// /routes/{routes}/service: the parent that a foreign field points to.
class ForeignMember {
 public:
  ForeignMember(const Context& context, const Schema& schema, const Field& field, const Schema& parent)
      : context_(context), schema_(schema), field_(field), parent_(parent) {}

  Answer show(const Call& call) const {
    const auto bound = read_bound(call);
    if (!bound) return bound.error();
    return bound->parent ? answer_json(200, shown(parent_, *bound->parent)) : not_found();
  }

  Answer change(const Call& call) const {
    if (context_.options.database_off) return unsupported("update", parent_);
    const auto bound = read_bound(call);
    if (!bound) return bound.error();
    if (!bound->parent) return not_found();
    auto input = read_input(call);
    if (!input) return input.error();
    const auto entity = parent_.update(*bound->parent, std::move(*input), now());
    if (!entity) return answer_problem(entity.error());
    return written(context_.store.update(parent_, *entity), {});
  }

  // Replaces the parent, or makes one and binds it.
  Answer replace(const Call& call) const {
    if (context_.options.database_off) return unsupported("create or update", parent_);
    const auto bound = read_bound(call);
    if (!bound) return bound.error();
    auto input = read_input(call);
    if (!input) return input.error();
    const auto id = bound->parent ? id_of(*bound->parent) : Uuid::random();
    const auto entity = parent_.upsert(std::move(*input), id, now());
    if (!entity) return answer_problem(entity.error());
    auto made = context_.store.upsert(parent_, *entity);
    if (!made || bound->parent) return written(std::move(made), {});
    const auto child = schema_.update(bound->child, Object{{field_.name, foreign_key(id)}}, now());
    if (!child) return answer_problem(child.error());
    auto rebound = context_.store.update(schema_, *child);
    if (!rebound) return answer_problem(rebound.error());
    return written(std::move(made), std::move(rebound->changes));
  }

 private:
  struct Bound {
    Object child;
    std::optional<Object> parent;
  };

  OrAnswer<Bound> read_bound(const Call& call) const {
    auto child = find(context_, schema_, call.params[0]);
    if (!child) return std::unexpected(answer_problem(child.error()));
    if (!*child) return std::unexpected(not_found());
    Bound bound{std::move(**child), std::nullopt};
    if (const auto id = foreign_id(bound.child, field_.name)) {
      auto parent = context_.store.find(parent_, *id);
      if (!parent) return std::unexpected(answer_problem(parent.error()));
      bound.parent = std::move(*parent);
    }
    return bound;
  }

  OrAnswer<Object> read_input(const Call& call) const {
    auto body = read_body(call.request);
    if (!body) return std::unexpected(body.error());
    if (body->form) model::infer(parent_, body->values);
    if (const auto resolved = resolve_foreign_keys(context_, parent_, body->values); !resolved)
      return std::unexpected(answer_problem(resolved.error()));
    return std::move(body->values);
  }

  Answer written(Outcome<store::Written> result, store::Changes more) const {
    if (!result) return answer_problem(result.error());
    auto answer = answer_json(200, shown(parent_, result->entity));
    answer.changes = std::move(result->changes);
    std::ranges::move(more, std::back_inserter(answer.changes));
    return answer;
  }

  const Context& context_;
  const Schema& schema_;
  const Field& field_;
  const Schema& parent_;
};

void add_members(Table& table, const Collection& members, const std::string& path, const Schema& schema, bool nested) {
  const std::string entity(schema.name());
  const std::string member = fmt::format("{}/{{{}}}", path, entity);
  std::vector<std::string> list_query{"size", "offset"};
  if (!nested && schema.has_tags()) list_query.push_back("tags");
  if (!nested && has_custom_id(schema)) list_query.push_back("custom_id");
  const auto where = nested ? " of this parent" : "";
  table.add("GET", path,
            {[members](const Call& call) { return members.list(call); }, fmt::format("List {}{}", entity, where), "",
             entity + "_list", 200, list_query});
  table.add("POST", path,
            {[members](const Call& call) { return members.create(call); },
             fmt::format("Create one of {}{}", entity, where), entity, entity, 201});
  table.add("GET", member,
            {[members](const Call& call) { return members.show(call); },
             fmt::format("Read one of {} by id{}{}", entity, schema.endpoint_key().empty() ? "" : " or ",
                         schema.endpoint_key()),
             "", entity});
  table.add("PUT", member,
            {[members](const Call& call) { return members.replace(call); },
             fmt::format("Create or replace one of {}", entity), entity, entity});
  table.add("PATCH", member,
            {[members](const Call& call) { return members.change(call); },
             fmt::format("Change fields of one of {}", entity), entity, entity});
  table.add("DELETE", member,
            {[members](const Call& call) { return members.remove(call); }, fmt::format("Delete one of {}", entity), "",
             "", 204});
}

void add_foreign_member(Table& table, const ForeignMember& member, const std::string& path, const Schema& parent) {
  const std::string entity(parent.name());
  table.add("GET", path,
            {[member](const Call& call) { return member.show(call); },
             fmt::format("Read the one of {} that this belongs to", entity), "", entity});
  table.add("PUT", path,
            {[member](const Call& call) { return member.replace(call); },
             fmt::format("Replace it, or create and bind one of {}", entity), entity, entity});
  table.add("PATCH", path,
            {[member](const Call& call) { return member.change(call); },
             fmt::format("Change fields of the one of {} that this belongs to", entity), entity, entity});
}

}  // namespace

void add_entities(Table& table, const Context& context) {
  for (const auto* schema : model::schemas()) {
    if (!nested_only(*schema)) {
      const auto path = fmt::format("/{}", schema->collection());
      add_members(table, Collection(context, *schema, nullptr), path, *schema, false);
    }
    for (const auto& field : schema->fields()) {
      if (field.type != model::Type::foreign) continue;
      const auto* parent = model::find_schema(field.reference);
      if (!parent) continue;  // an entity that this version does not have
      const auto above =
          fmt::format("/{}/{{{}}}/{}", parent->collection(), parent->name(), schema->nested_collection());
      const Collection nested(context, *schema, &field);
      add_members(table, nested, above, *schema, true);
      if (nested_only(*schema)) {
        table.add("GET", above + "/all",
                  {[nested](const Call& call) { return nested.list(call); },
                   fmt::format("List all rows of {}", schema->name()),
                   "",
                   fmt::format("{}_list", schema->name()),
                   200,
                   {"size", "offset"}});
      } else if (schema->name() != "snis") {  // Kong: /certificates/{name} is the way
        const auto below = fmt::format("/{}/{{{}}}/{}", schema->collection(), schema->name(), field.name);
        add_foreign_member(table, ForeignMember(context, *schema, field, *parent), below, *parent);
      }
    }
  }
}

}  // namespace weir::admin
