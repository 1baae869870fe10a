// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which row of the rule tables says what becomes of an op on chain values.
#include "fuse/fuse.h"

static bool commutes(FiarPrimitiveKind kind) {
  return kind == FIAR_PRIM_ADD || kind == FIAR_PRIM_MUL || kind == FIAR_PRIM_MAX ||
         kind == FIAR_PRIM_MIN || kind == FIAR_PRIM_EQUAL || kind == FIAR_PRIM_NOT_EQUAL;
}

const FiarTerm* fiarFurther(const FiarTerm* a, const FiarTerm* b) {
  return b != NULL && b->role > a->role ? b : a;
}

static bool apply_rule(FiarRuleContext* context, const FiarRule* rule, const FiarTerm* a,
                       const FiarTerm* b, FiarTerm* out) {
  if (rule->a != a->role || rule->b != (b == NULL ? FIAR_ROLE_OUTSIDE : b->role)) {
    return false;
  }
  *out = *fiarFurther(a, b);  // its facts know more
  out->role = rule->to;
  out->layout = context->layout;
  out->layout.shape.elem = context->elem;
  if (rule->refusal != NULL) {
    if (rule->apply == NULL || rule->apply(context, a, b, out)) {
      fiarRefuse(context->fusion, fiarFurther(a, b), context->primitive->op, "%s", rule->refusal);
    }
    return false;
  }
  return rule->apply(context, a, b, out);
}

bool fiarApplyRules(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b, FiarTerm* out) {
  const FiarRule* const tables[] = {fiar_norm_rules, fiar_quant_rules, fiar_power_rules};
  for (size_t table = 0; table < sizeof tables / sizeof *tables; ++table) {
    for (const FiarRule* rule = tables[table]; rule->kind != FIAR_PRIM_UNKNOWN; ++rule) {
      if (rule->kind != context->primitive->kind) {
        continue;
      }
      if (apply_rule(context, rule, a, b, out) ||
          (b != NULL && commutes(rule->kind) && apply_rule(context, rule, b, a, out))) {
        return true;
      }
    }
  }
  return false;
}
