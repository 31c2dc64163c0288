/* parser.c: the top level of a description, and what the parser's files share. */
#include "frontend/parser.h"

#include <string.h>

#define MAX_ITEMS 10000 /* of a kind; each is compared with all others */

void poa_push(poa_arena *arena, poa_pointers *list, const void *item) {
  if (list->count == list->capacity) {
    int capacity = list->capacity ? 2 * list->capacity : 4;
    void **items = (void **)poa_arena_alloc(arena, (size_t)capacity * sizeof *items);
    for (int i = 0; i < list->count; i++)
      items[i] = list->items[i];
    list->items = items;
    list->capacity = capacity;
  }
  list->items[list->count++] = (void *)item;
}

const poa_token *poa_peek(const poa_parser *p) {
  return &p->tokens[p->at];
}

bool poa_is(const poa_parser *p, const char *text) {
  const poa_token *token = poa_peek(p);
  bool word = token->kind == TOKEN_NAME || token->kind == TOKEN_PUNCTUATION;
  return word && strcmp(token->text, text) == 0;
}

bool poa_accept(poa_parser *p, const char *text) {
  if (!poa_is(p, text))
    return false;
  p->at++;
  return true;
}

void poa_parse_failure(poa_parser *p, const poa_token *at, const char *format, ...) {
  char message[600];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  poa_diagnose(p->diagnostics, at->location, at->length, "%s", message);
  longjmp(*p->recovery, 1);
}

const char *poa_describe(const poa_parser *p, const poa_token *token) {
  switch (token->kind) {
  case TOKEN_END:
    return "the end of the file";
  case TOKEN_NEWLINE:
    return "the end of the line";
  default:
    return poa_arena_format(p->arena, token->kind == TOKEN_STRING ? "\"%s\"" : "'%s'", token->text);
  }
}

const poa_token *poa_expect(poa_parser *p, const char *text, const char *what) {
  const poa_token *token = poa_peek(p);
  if (!poa_accept(p, text))
    poa_parse_failure(p, token, "expected %s, found %s", what, poa_describe(p, token));
  return token;
}

const poa_token *poa_expect_name(poa_parser *p, const char *what) {
  const poa_token *token = poa_peek(p);
  if (token->kind != TOKEN_NAME)
    poa_parse_failure(p, token, "expected %s, found %s", what, poa_describe(p, token));
  p->at++;
  return token;
}

/* The array, with room for one item more; it grows in the arena. */
static void *grown(poa_parser *p, void *array, int count, size_t item_size) {
  if (count == MAX_ITEMS)
    poa_parse_failure(p, poa_peek(p), "more than %d definitions of one kind", MAX_ITEMS);
  if ((count & (count - 1)) != 0)
    return array;
  void *larger = poa_arena_alloc(p->arena, (size_t)(count ? 2 * count : 1) * item_size);
  if (count)
    memcpy(larger, array, (size_t)count * item_size);
  return larger;
}

#define APPEND(array, count, item)                                                                 \
  ((array) = (__typeof__(array))grown(p, (void *)(array), count, sizeof *(array)),                 \
   (array)[(count)++] = (item))

static void parse_import(poa_parser *p, poa_program *program) {
  const poa_token *path = poa_peek(p);
  if (path->kind != TOKEN_STRING)
    poa_parse_failure(p, path, "expected the path of a description in quotes");
  p->at++;
  poa_import import = {path->text, path->location, path->length};
  APPEND(program->imports, program->import_count, import);
}

/* const a = 1, b = 2   and   set a = 1 */
static void parse_consts(poa_parser *p, poa_program *program, bool override) {
  do {
    const poa_token *name = poa_expect_name(p, "the name of a constant");
    poa_const constant = {.name = name->text, .location = name->location, .length = name->length};
    poa_expect(p, "=", "'=' and a value");
    constant.value = poa_parse_expression(p);
    if (override)
      APPEND(program->overrides, program->override_count, constant);
    else
      APPEND(program->consts, program->const_count, constant);
  } while (poa_accept(p, ","));
}

/* width: min_width..max_width step head_dim uniform */
static void parse_elastic_name(poa_parser *p, poa_program *program, bool follows) {
  const poa_token *name = poa_expect_name(p, "the name of an elastic extent");
  poa_elastic_syntax elastic = {.name = name->text, .location = name->location, .follows = follows};
  poa_expect(p, ":", "':' and a range");
  elastic.low = poa_parse_expression(p);
  poa_expect(p, "..", "'..' between the smallest and the largest value");
  elastic.high = poa_parse_expression(p);
  if (poa_accept(p, "step"))
    elastic.step = poa_parse_expression(p);
  elastic.uniform = poa_accept(p, "uniform");
  APPEND(program->elastics, program->elastic_count, elastic);
}

/* elastic width: 64..128 step 16   and, sampled as one,   elastic first: 3..8, second: 6..36 */
static void parse_elastic(poa_parser *p, poa_program *program) {
  parse_elastic_name(p, program, false);
  while (poa_accept(p, ",")) {
    while (poa_peek(p)->kind == TOKEN_NEWLINE)
      p->at++;
    parse_elastic_name(p, program, true);
  }
}

static void parse_set(poa_parser *p, poa_program *program) {
  const poa_token *name = poa_expect_name(p, "the name of a parameter set");
  poa_set_syntax set = {.name = name->text, .location = name->location};
  if (poa_accept(p, "=")) {
    set.zeros = poa_accept(p, "zeros");
    if (!set.zeros) {
      poa_expect(p, "copy", "copy(OTHER SET) or zeros");
      poa_expect(p, "(", "'('");
      const poa_token *source = poa_expect_name(p, "a parameter set");
      set.copy_of = source->text;
      set.copy_location = source->location;
      poa_expect(p, ")", "')'");
    }
  }
  APPEND(program->sets, program->set_count, set);
}

static void parse_item(poa_parser *p, poa_program *program) {
  const poa_token *first = poa_peek(p);
  if (poa_accept(p, "import")) {
    parse_import(p, program);
  } else if (poa_accept(p, "const")) {
    parse_consts(p, program, false);
  } else if (poa_accept(p, "set")) {
    parse_consts(p, program, true);
  } else if (poa_accept(p, "elastic")) {
    parse_elastic(p, program);
  } else if (poa_accept(p, "sampling")) {
    program->select_scale = poa_parse_expression(p);
  } else if (poa_accept(p, "params")) {
    parse_set(p, program);
  } else if (poa_is(p, "module")) {
    poa_definition *module = poa_parse_module(p, false);
    APPEND(program->modules, program->module_count, module);
  } else if (poa_is(p, "extern")) {
    poa_definition *external = poa_parse_extern(p);
    APPEND(program->modules, program->module_count, external);
  } else if (poa_is(p, "entry")) {
    poa_definition *entry = poa_parse_module(p, true);
    APPEND(program->entries, program->entry_count, entry);
  } else {
    static const char *const words[] = {"import", "const",  "set",    "elastic", "sampling",
                                        "params", "module", "extern", "entry"};
    const char *nearest = poa_nearest(first->text, words, 9);
    poa_parse_failure(p, first,
                      "expected import, const, set, elastic, sampling, params, module, extern or "
                      "entry, found %s%s%s%s",
                      poa_describe(p, first), nearest ? "; did you mean '" : "",
                      nearest ? nearest : "", nearest ? "'?" : "");
  }
  if (poa_peek(p)->kind != TOKEN_NEWLINE && poa_peek(p)->kind != TOKEN_END)
    poa_parse_failure(p, poa_peek(p), "expected the end of the line, found %s",
                      poa_describe(p, poa_peek(p)));
}

/* To the next line that begins in the first column. */
static void skip_item(poa_parser *p) {
  while (poa_peek(p)->kind != TOKEN_END) {
    bool line_end = poa_peek(p)->kind == TOKEN_NEWLINE;
    p->at++;
    if (line_end && poa_peek(p)->location.column == 1 && poa_peek(p)->kind == TOKEN_NAME)
      return;
  }
}

static void parse_item_or_skip(poa_parser *p, poa_program *program) {
  jmp_buf recovery;
  p->recovery = &recovery;
  p->nesting = 0;
  p->in_subscript = false;
  if (setjmp(recovery) == 0)
    parse_item(p, program);
  else
    skip_item(p);
  p->recovery = NULL;
}

void poa_parse_file(poa_arena *arena, const char *file, const char *text,
                    poa_diagnostics *diagnostics, poa_program *program) {
  int count;
  poa_parser p = {.arena = arena,
                  .diagnostics = diagnostics,
                  .tokens = poa_lex(arena, file, text, diagnostics, &count)};
  while (poa_peek(&p)->kind != TOKEN_END) {
    if (poa_peek(&p)->kind == TOKEN_NEWLINE)
      p.at++;
    else
      parse_item_or_skip(&p, program);
  }
}

poa_syntax *poa_parse_value(poa_arena *arena, const char *file, const char *text,
                            poa_diagnostics *diagnostics) {
  int count;
  poa_parser p = {.arena = arena,
                  .diagnostics = diagnostics,
                  .tokens = poa_lex(arena, file, text, diagnostics, &count)};
  jmp_buf recovery;
  p.recovery = &recovery;
  if (setjmp(recovery) != 0)
    return NULL;
  poa_syntax *value = poa_parse_expression(&p);
  if (poa_peek(&p)->kind != TOKEN_NEWLINE)
    poa_parse_failure(&p, poa_peek(&p), "expected one value, found %s after it",
                      poa_describe(&p, poa_peek(&p)));
  return value;
}
