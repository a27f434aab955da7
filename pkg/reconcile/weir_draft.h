// An object of one of Weir's kinds on its way to entities: what it says, what is wrong with it, what it refers to.
//
// Private to the translations of Weir's kinds. Kube thread only.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/unit.h"
#include "reconcile/weir_kinds.h"

namespace weir::reconcile {

class Draft {
 public:
  Draft(const WeirKind&, const Name&, const Object& object, View&);

  const Name& name() const { return name_; }
  View& view() { return view_; }
  // The entity's input: the spec without what only Weir's kinds have; parents as {id}. May be changed before add().
  Object& input() { return input_; }
  // A field of the spec as it was given; null when it is absent.
  const boost::json::value& given(std::string_view field) const;
  double created() const { return created_; }  // Unix seconds

  // "<namespace>.<name>" where the spec gives no name.
  void name_by_object();
  // The object that spec.<field> names, in the same namespace; notes when it is not there. Nothing: not given, or not
  // there.
  struct Target {
    Name name;
    Object object;
  };
  std::optional<Target> referred(std::string_view field, const Kind&);
  // A value in a Secret that spec.<field> {name, key} names.
  std::optional<std::string> secret(std::string_view field, std::string_view key);

  void invalid(std::string_view field, std::string_view why);  // field: "path", "targets[2].weight"; empty: the spec
  void unresolved(std::string message);                        // "upstream 'x' not found"

  // Makes an entity of an input, whose faults are told below `prefix`; nothing when it has some.
  std::optional<Object> make(const model::Schema&, const Uuid& id, Object input, std::string_view prefix = {});
  void add(const model::Schema&, const Uuid& id, Object entity);
  // The kind's own entity, made of input(); null when it is faulty.
  Object* add_own();
  const Uuid& id() const { return id_; }

  void tell(const Kind&, const Name&, std::string text);
  void show(std::string_view field, std::int64_t value);  // in the status
  // What there is, with the conditions.
  Output finish();

 private:
  void take_references();
  void add_faults(const Object& fields, const std::string& prefix);
  boost::json::array conditions() const;

  const WeirKind& kind_;
  const Name& name_;
  View& view_;
  const Object* spec_ = nullptr;
  Object input_, status_;
  Uuid id_;
  double created_ = 0;
  std::int64_t generation_ = 0;
  std::vector<std::string> invalid_, unresolved_;
  Output out_;
};

}  // namespace weir::reconcile
