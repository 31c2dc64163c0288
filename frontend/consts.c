/* consts.c: constants, evaluated when first asked for, and the lattice.
 *
 * `const n = img_size // 4` sees the img_size that a recipe's `set` or the command
 * line gave, whichever file stands first. */
#include <string.h>

#include "frontend/elaborate.h"

static bool duplicate_const(poa_elaborator *e, const poa_const *syntax) {
  for (int i = 0; i < e->const_count; i++)
    if (strcmp(e->consts[i].syntax->name, syntax->name) == 0) {
      poa_diagnose(e->diagnostics, syntax->location, syntax->length,
                   "the constant '%s' is defined twice; to change it, write: set %s = ...",
                   syntax->name, syntax->name);
      poa_diagnose_note(e->diagnostics, e->consts[i].syntax->location, "first defined here");
      return true;
    }
  return false;
}

static void check_overrides(poa_elaborator *e) {
  const char **names = poa_new_names(e, e->const_count);
  for (int i = 0; i < e->const_count; i++)
    names[i] = e->consts[i].syntax->name;
  for (int i = 0; i < e->program->override_count; i++) {
    const poa_const *override = &e->program->overrides[i];
    if (!poa_find_const(e, override->name))
      poa_diagnose(e->diagnostics, override->location, override->length,
                   "there is no constant '%s' to set%s", override->name,
                   poa_suggestion(e, override->name, names, e->const_count));
  }
}

void poa_consts_open(poa_elaborator *e) {
  const poa_program *program = e->program;
  e->consts = poa_arena_alloc(e->arena, (size_t)(program->const_count + 1) * sizeof *e->consts);
  for (int i = 0; i < program->const_count; i++)
    if (!duplicate_const(e, &program->consts[i]))
      e->consts[e->const_count++].syntax = &program->consts[i];
  check_overrides(e);
}

const poa_const_row *poa_find_const(poa_elaborator *e, const char *name) {
  for (int i = 0; i < e->const_count; i++)
    if (strcmp(e->consts[i].syntax->name, name) == 0)
      return &e->consts[i];
  return NULL;
}

static const poa_const *find_override(const poa_elaborator *e, const char *name) {
  for (int i = e->program->override_count - 1; i >= 0; i--)
    if (strcmp(e->program->overrides[i].name, name) == 0)
      return &e->program->overrides[i];
  return NULL;
}

/* A constant sees other constants only, not the variables of whoever asks first. */
static poa_worth evaluate_alone(poa_elaborator *e, const poa_syntax *value) {
  poa_frame *frame = e->frame;
  poa_graph *graph = e->graph;
  e->frame = NULL;
  e->graph = NULL;
  poa_worth worth = poa_elaborate(e, value);
  e->frame = frame;
  e->graph = graph;
  return worth;
}

/* An override has to be of the kind of the constant's own value. For a string, the command
 * line may leave out the quotes, which a shell takes away. */
static poa_worth overridden(poa_elaborator *e, const poa_const_row *row,
                            const poa_const *override) {
  poa_worth original = evaluate_alone(e, row->syntax->value);
  bool bare = override->from_command_line && override->value->kind == SYNTAX_NAME;
  if (bare && original.kind == VALUE_STRING)
    return poa_worth_text(override->value->text);
  poa_worth value = evaluate_alone(e, override->value);
  bool fits =
      value.kind == original.kind || value.kind == VALUE_ERROR || original.kind == VALUE_ERROR;
  if (fits)
    return value;
  return poa_complain(e, override->value, "the constant '%s' is %s, but is set to %s here",
                      override->name, poa_worth_kind_name(original.kind),
                      poa_worth_kind_name(value.kind));
}

poa_worth poa_const_value(poa_elaborator *e, const char *name, const poa_syntax *at, bool *found) {
  poa_const_row *row = (poa_const_row *)poa_find_const(e, name);
  *found = row != NULL;
  if (!row)
    return poa_worth_none();
  if (row->state == CONST_ACTIVE)
    return poa_complain(e, at, "the constant '%s' is defined by itself", name);
  if (row->state == CONST_WAITING) {
    row->state = CONST_ACTIVE;
    const poa_const *override = find_override(e, name);
    row->value = override ? overridden(e, row, override) : evaluate_alone(e, row->syntax->value);
    row->state = CONST_KNOWN;
  }
  return row->value;
}

int poa_find_elastic(const poa_elaborator *e, const char *name) {
  for (int i = 0; i < e->lattice.count; i++)
    if (strcmp(e->lattice.name[i].name, name) == 0)
      return i;
  return -1;
}

static bool bound(poa_elaborator *e, const poa_syntax *syntax, int64_t otherwise, int64_t *result) {
  *result = otherwise;
  if (!syntax)
    return true;
  poa_worth value = poa_elaborate(e, syntax);
  if (value.kind == VALUE_NUMBER && poa_number_is_integer(&value.number)) {
    *result = value.number.numerator.value;
    return true;
  }
  if (value.kind != VALUE_ERROR)
    poa_complain(e, syntax, "the bounds of an elastic name are integers");
  return false;
}

/* Names of one item are a group. */
static void add_elastic(poa_elaborator *e, poa_elastic elastic, bool follows) {
  poa_elastic *last = e->lattice.count ? &e->lattice.name[e->lattice.count - 1] : NULL;
  if (follows && last) {
    last->group = last->group ? last->group : e->lattice.count;
    elastic.group = last->group;
  }
  e->lattice.name[e->lattice.count++] = elastic;
}

static void open_elastic(poa_elaborator *e, const poa_elastic_syntax *syntax) {
  poa_elastic elastic = {.name = syntax->name, .uniform = syntax->uniform};
  if (!bound(e, syntax->low, 0, &elastic.min) || !bound(e, syntax->high, 0, &elastic.max) ||
      !bound(e, syntax->step, 1, &elastic.step))
    return;
  int length = (int)strlen(syntax->name);
  bool fits = elastic.step >= 1 && elastic.min >= 0 && elastic.min <= elastic.max &&
              (elastic.max - elastic.min) % elastic.step == 0;
  if (!fits)
    poa_diagnose(e->diagnostics, syntax->location, length,
                 "%s goes from %lld to %lld in steps of %lld; expected 0 <= smallest <= largest, "
                 "a whole number of steps apart",
                 elastic.name, (long long)elastic.min, (long long)elastic.max,
                 (long long)elastic.step);
  else if (e->lattice.count == POA_MAX_ELASTIC)
    poa_diagnose(e->diagnostics, syntax->location, length, "more than %d elastic names",
                 POA_MAX_ELASTIC);
  else if (poa_find_elastic(e, elastic.name) >= 0 || poa_find_const(e, elastic.name))
    poa_diagnose(e->diagnostics, syntax->location, length, "'%s' is %s", elastic.name,
                 poa_find_const(e, elastic.name) ? "a constant already" : "declared twice");
  else
    add_elastic(e, elastic, syntax->follows);
}

static void check_lattice(poa_elaborator *e) {
  const poa_elastic_syntax *last = &e->program->elastics[e->program->elastic_count - 1];
  int64_t points = poa_lattice_size(&e->lattice);
  if (points > POA_MAX_POINTS)
    poa_diagnose(e->diagnostics, last->location, (int)strlen(last->name),
                 "the elastic names span %lld networks, more than %d", (long long)points,
                 POA_MAX_POINTS);
}

void poa_open_lattice(poa_elaborator *e) {
  for (int i = 0; i < e->program->elastic_count; i++)
    open_elastic(e, &e->program->elastics[i]);
  if (e->program->elastic_count)
    check_lattice(e);
  e->lattice.select_scale = 1;
  if (!e->program->select_scale)
    return;
  poa_worth scale = poa_elaborate(e, e->program->select_scale);
  bool fits = scale.kind == VALUE_NUMBER && poa_number_is_known(&scale.number) &&
              poa_number_value(&scale.number) >= 1;
  if (fits)
    e->lattice.select_scale = poa_number_value(&scale.number);
  else if (scale.kind != VALUE_ERROR)
    poa_complain(
        e, e->program->select_scale,
        "sampling takes how many times oftener the smallest network comes: a number from 1");
}
