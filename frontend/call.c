/* call.c: calls of modules, built-in functions and external functions, and what a
 * label or a branch in front of a call means.
 *
 * Arguments belong to the caller: in `ls1: layer_scale(attn: attention(x))` the
 * parameters are ls1.gamma and attn.qkv.weight, not ls1.attn.qkv.weight. */
#include <string.h>

#include "frontend/elaborate.h"

/* Where the body of a call runs. */
typedef struct surroundings {
  const char *scope;
  int set;
  bool at_max;
} surroundings;

typedef struct callee {
  const poa_definition *definition;
  const poa_builtin *builtin;
} callee;

static poa_worth unknown_callee(poa_elaborator *e, const poa_syntax *call) {
  int count = 0, modules = e->program->module_count;
  const char **names = poa_new_names(e, modules + poa_builtin_count);
  for (int i = 0; i < modules; i++)
    names[count++] = e->program->modules[i]->name;
  for (int i = 0; i < poa_builtin_count; i++)
    names[count++] = poa_builtins[i].name;
  return poa_complain(e, call, "unknown module or function '%s'%s", call->text,
                      poa_suggestion(e, call->text, names, count));
}

static callee find_callee(poa_elaborator *e, const poa_syntax *call) {
  callee found = {0};
  const poa_worth *variable = poa_find_variable(e, call->text);
  if (variable && variable->kind == VALUE_MODULE)
    found.definition = variable->module;
  for (int i = 0; i < e->program->module_count && !found.definition; i++)
    if (strcmp(e->program->modules[i]->name, call->text) == 0)
      found.definition = e->program->modules[i];
  if (!found.definition)
    found.builtin = poa_find_builtin(call->text);
  return found;
}

/* The names of the arguments a callee takes, '?' marking those that may be left out. */
static int formal_names(poa_elaborator *e, const callee *target, const char **names,
                        bool *optional) {
  if (target->definition) {
    for (int i = 0; i < target->definition->formal_count && i < POA_MAX_ARGUMENTS; i++) {
      names[i] = target->definition->formals[i].name;
      optional[i] = target->definition->formals[i].otherwise != NULL;
    }
    return target->definition->formal_count;
  }
  int count = 0;
  char *rest = poa_arena_text(e->arena, target->builtin ? target->builtin->formals : "");
  for (char *state, *word = strtok_r(rest, ", ", &state); word;
       word = strtok_r(NULL, ", ", &state)) {
    size_t length = strlen(word);
    optional[count] = word[length - 1] == '?';
    if (optional[count])
      word[length - 1] = '\0';
    names[count++] = word;
  }
  return count;
}

static int position_of(const char *name, const char **names, int count) {
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0)
      return i;
  return -1;
}

/* Evaluates the arguments in the caller's surroundings, in the order of the formals;
 * what is left out is of kind NONE with count -1. */
static bool gather_arguments(poa_elaborator *e, const poa_syntax *call, const callee *target,
                             poa_worth *arguments) {
  const char *names[POA_MAX_ARGUMENTS];
  bool optional[POA_MAX_ARGUMENTS], given[POA_MAX_ARGUMENTS] = {0};
  int count = formal_names(e, target, names, optional);
  bool good = true;
  for (int i = 0; i < call->count; i++) {
    int at = call->names[i] ? position_of(call->names[i], names, count) : i;
    if (at < 0) {
      poa_complain(e, call->children[i], "%s has no parameter '%s'%s", call->text, call->names[i],
                   poa_suggestion(e, call->names[i], names, count));
      good = false;
    } else if (at >= count || given[at]) {
      poa_complain(e, call->children[i],
                   at >= count ? "%s takes %d argument%s, this is one more"
                               : "an argument of %s is given twice (it takes %d argument%s)",
                   call->text, count, count == 1 ? "" : "s");
      return false;
    } else {
      given[at] = true;
      arguments[at] = poa_elaborate(e, call->children[i]);
      good = good && arguments[at].kind != VALUE_ERROR;
    }
  }
  for (int i = 0; i < count && good; i++) {
    if (!given[i])
      arguments[i] = (poa_worth){.kind = VALUE_NONE, .count = -1};
    if (!given[i] && !optional[i]) {
      poa_complain(e, call, "%s needs its argument '%s'", call->text, names[i]);
      good = false;
    }
  }
  return good;
}

static poa_worth apply(poa_elaborator *e, const poa_syntax *call, const callee *target,
                       const poa_worth *arguments) {
  const poa_definition *definition = target->definition;
  if (!definition)
    return target->builtin->apply(e, call, arguments);
  if (definition->external)
    return poa_call_external(e, call, definition, arguments);
  return poa_call_module(e, call, definition, arguments);
}

static poa_worth call_in(poa_elaborator *e, const poa_syntax *call, surroundings inner) {
  callee target = find_callee(e, call);
  if (!target.definition && !target.builtin)
    return unknown_callee(e, call);
  int formals = target.definition ? target.definition->formal_count : POA_MAX_BUILTIN_ARGUMENTS;
  if (formals > POA_MAX_ARGUMENTS)
    return poa_complain(e, call, "a module takes at most %d arguments", POA_MAX_ARGUMENTS);
  /* In the arena: many of these calls lie on the stack at once. */
  poa_worth *arguments = poa_arena_alloc(e->arena, (size_t)(formals + 1) * sizeof *arguments);
  if (!gather_arguments(e, call, &target, arguments))
    return poa_worth_error();
  surroundings outer = {e->scope, e->set, e->at_max};
  e->scope = inner.scope;
  e->set = inner.set;
  e->at_max = inner.at_max;
  poa_worth result = apply(e, call, &target, arguments);
  e->scope = outer.scope;
  e->set = outer.set;
  e->at_max = outer.at_max;
  return result;
}

static const char *checked_scope(poa_elaborator *e, const poa_syntax *label, const char *scope) {
  if (strlen(scope) <= POA_MAX_SCOPE)
    return scope;
  poa_complain(e, label, "the parameters here would have names of more than %d characters",
               POA_MAX_SCOPE);
  return NULL;
}

/* "blocks[]" with index 3 inside "layers.0" is "layers.0.blocks.3". */
static const char *label_scope(poa_elaborator *e, const poa_syntax *label) {
  const char *scope = *e->scope ? poa_arena_format(e->arena, "%s.", e->scope) : "";
  int index = 1;
  for (const char *at = label->text; *at; at += 2) {
    int plain = (int)strcspn(at, "[");
    scope = poa_arena_format(e->arena, "%s%.*s", scope, plain, at);
    at += plain;
    if (!*at)
      break;
    const poa_syntax *syntax = label->children[index++];
    poa_worth value = poa_elaborate(e, syntax);
    if (value.kind != VALUE_NUMBER || !poa_number_is_integer(&value.number)) {
      if (value.kind != VALUE_ERROR)
        poa_complain(e, syntax, "the index of a label is an integer known at compile time");
      return NULL;
    }
    scope = poa_arena_format(e->arena, "%s.%lld", scope, (long long)value.number.numerator.value);
  }
  return checked_scope(e, label, scope);
}

static poa_worth evaluate_branch(poa_elaborator *e, const poa_syntax *branch) {
  int set = poa_find_set(e, branch->text);
  if (set < 0) {
    int count = e->program->set_count;
    const char **names = poa_new_names(e, count);
    for (int i = 0; i < count; i++)
      names[i] = e->program->sets[i].name;
    return poa_complain(e, branch, "unknown parameter set '%s'%s", branch->text,
                        poa_suggestion(e, branch->text, names, count));
  }
  if (e->set >= 0)
    return poa_complain(e, branch,
                        "a branch inside another branch: parameters of '%s' are "
                        "already in force here",
                        e->program->sets[e->set].name);
  const char *outer = e->branch, *point = branch->at_max ? "max" : "sampled";
  e->branch = poa_arena_format(e->arena, "%s at %s", branch->text, point);
  poa_worth result = call_in(e, branch->children[0], (surroundings){"", set, branch->at_max});
  e->branch = outer;
  return result;
}

poa_worth poa_evaluate_call(poa_elaborator *e, const poa_syntax *syntax) {
  surroundings here = {e->scope, e->set, e->at_max};
  switch (syntax->kind) {
  case SYNTAX_BRANCH:
    return evaluate_branch(e, syntax);
  case SYNTAX_LABEL:
    here.scope = label_scope(e, syntax);
    return here.scope ? call_in(e, syntax->children[0], here) : poa_worth_error();
  default:
    return call_in(e, syntax, here);
  }
}
