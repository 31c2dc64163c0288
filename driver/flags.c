/* flags.c: the command line. One table says what each flag is; a command lists the
 * names of those it takes. */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "driver/driver.h"

typedef enum flag_kind {
  FLAG_TEXT,
  FLAG_COUNT,
  FLAG_REAL,
  FLAG_SWITCH,
  FLAG_SET,
  FLAG_PLUGIN
} flag_kind;

typedef struct flag_row {
  const char *name;
  flag_kind kind;
  size_t offset;
  int64_t smallest; /* of a count */
  const char *value, *description;
} flag_row;

#define FIELD(name) offsetof(poa_flags, name)

static const flag_row table[] = {
    {"after", FLAG_TEXT, FIELD(after), 0, "PASS", "print the graph after this pass"},
    {"all", FLAG_SWITCH, FIELD(all), 0, NULL, "every point of the lattice"},
    {"at", FLAG_TEXT, FIELD(at), 0, "NAME=N,..", "a point of the lattice, as width=256,depth=8"},
    {"cache", FLAG_TEXT, FIELD(cache), 0, "DIR", "keep compiled kernels here"},
    {"cpu", FLAG_TEXT, FIELD(cpu), 0, "NAME",
     "compile for this CPU (native, x86-64, x86-64-v3, x86-64-v4, ...)"},
    {"data", FLAG_TEXT, FIELD(data), 0, "PATH", "images: a folder of IDX files or one IDX file"},
    {"entry", FLAG_TEXT, FIELD(entry), 0, "NAME", "an entry of the description (default: step)"},
    {"every", FLAG_COUNT, FIELD(every), 1, "N", "write a checkpoint every N steps"},
    {"json", FLAG_SWITCH, FIELD(json), 0, NULL, "print JSON"},
    {"knn", FLAG_SWITCH, FIELD(knn), 0, NULL, "k nearest neighbours (the default)"},
    {"limit", FLAG_COUNT, FIELD(limit), 1, "N", "use at most N training images"},
    {"list", FLAG_SWITCH, FIELD(list), 0, NULL, "list the passes"},
    {"no-cache", FLAG_SWITCH, FIELD(no_cache), 0, NULL, "keep no compiled kernels on disk"},
    {"out", FLAG_TEXT, FIELD(out), 0, "DIR", "the folder of the run"},
    {"passes", FLAG_TEXT, FIELD(passes), 0, "A,B", "run these passes, in this order"},
    {"plugin", FLAG_PLUGIN, FIELD(plugins), 0, "PATH",
     "a shared library with functions that the description declares; may be repeated"},
    {"print-after-all", FLAG_SWITCH, FIELD(print_after_all), 0, NULL,
     "print the graph after each pass"},
    {"probes", FLAG_SWITCH, FIELD(probes), 0, NULL, "keep the probes of the description"},
    {"quiet", FLAG_SWITCH, FIELD(quiet), 0, NULL, "no progress line"},
    {"resume", FLAG_SWITCH, FIELD(resume), 0, NULL, "go on from the run's checkpoint"},
    {"scale", FLAG_REAL, FIELD(scale), 0, "X", "multiply the limits by X"},
    {"seed", FLAG_COUNT, FIELD(seed), 0, "N", "of all randomness (default: 0)"},
    {"set", FLAG_SET, FIELD(overrides), 0, "NAME=VALUE,..", "other values for constants"},
    {"steps", FLAG_COUNT, FIELD(steps), 1, "N", "how many steps"},
    {"threads", FLAG_COUNT, FIELD(threads), 1, "N", "how many threads (default: one per core)"},
    {"verify", FLAG_SWITCH, FIELD(verify), 0, NULL, "check the graph after each pass"},
};
enum { ROW_COUNT = sizeof table / sizeof *table };

/* Whether `name` stands in the comma-separated list. */
static bool listed(const char *list, const char *name) {
  size_t length = strlen(name);
  for (const char *at = list; (at = strstr(at, name)); at += length) {
    bool starts = at == list || at[-1] == ',';
    if (starts && (at[length] == ',' || at[length] == '\0'))
      return true;
  }
  return false;
}

static int accepted_rows(const poa_command *command, const flag_row **rows) {
  int count = 0;
  for (int i = 0; i < ROW_COUNT; i++)
    if (listed(command->accepted, table[i].name))
      rows[count++] = &table[i];
  return count;
}

/* "a=1,b=[2,3]" at the commas outside brackets and strings. */
static poa_status split_overrides(const char *text, poa_arena *arena, poa_flags *flags,
                                  poa_error *error) {
  char *copy = poa_arena_text(arena, text), *start = copy;
  int depth = 0;
  bool quoted = false;
  for (char *at = copy;; at++) {
    quoted ^= *at == '"';
    depth += *at == '[' || *at == '(';
    depth -= *at == ']' || *at == ')';
    bool separator = *at == ',' && depth == 0 && !quoted;
    if (*at && !separator)
      continue;
    bool last = !*at;
    *at = '\0';
    if (flags->override_count == POA_MAX_OVERRIDES)
      return poa_fail(error, POA_BAD_INPUT, "more than %d constants set", POA_MAX_OVERRIDES);
    flags->overrides[flags->override_count++] = start;
    if (last)
      return POA_OK;
    start = at + 1;
  }
}

static poa_status read_count(const flag_row *row, const char *text, int64_t *result,
                             poa_error *error) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (*end || end == text || errno || value < row->smallest)
    return poa_fail(error, POA_BAD_INPUT, "--%s takes an integer from %lld up, not '%s'", row->name,
                    (long long)row->smallest, text);
  *result = value;
  return POA_OK;
}

static poa_status read_real(const flag_row *row, const char *text, double *result,
                            poa_error *error) {
  char *end;
  double value = strtod(text, &end);
  if (*end || end == text || !(value > 0 && value < 1e30))
    return poa_fail(error, POA_BAD_INPUT, "--%s takes a number above 0, not '%s'", row->name, text);
  *result = value;
  return POA_OK;
}

static poa_status store(const flag_row *row, const char *text, poa_arena *arena, poa_flags *flags,
                        poa_error *error) {
  void *field = (char *)flags + row->offset;
  switch (row->kind) {
  case FLAG_TEXT:
    *(const char **)field = text;
    return POA_OK;
  case FLAG_SWITCH:
    *(bool *)field = true;
    return POA_OK;
  case FLAG_COUNT:
    return read_count(row, text, field, error);
  case FLAG_REAL:
    return read_real(row, text, field, error);
  case FLAG_SET:
    return split_overrides(text, arena, flags, error);
  case FLAG_PLUGIN:
    if (flags->plugin_count == POA_MAX_PLUGINS)
      return poa_fail(error, POA_BAD_INPUT, "more than %d plugins", POA_MAX_PLUGINS);
    flags->plugins[flags->plugin_count++] = text;
    return POA_OK;
  }
  return POA_OK;
}

static poa_status refuse_flag(const poa_command *command, const flag_row **rows, int count,
                              const char *given, int option, poa_error *error) {
  if (option == ':')
    return poa_fail(error, POA_BAD_INPUT, "%s takes a value; see: poa help %s", given,
                    command->name);
  const char *names[ROW_COUNT];
  for (int i = 0; i < count; i++)
    names[i] = rows[i]->name;
  const char *bare = given + strspn(given, "-");
  const char *nearest = poa_nearest(bare, names, count);
  return poa_fail(error, POA_BAD_INPUT, "poa %s does not know the flag %s%s%s%s; see: poa help %s",
                  command->name, given, nearest ? ", did you mean --" : "", nearest ? nearest : "",
                  nearest ? "?" : "", command->name);
}

static poa_status check_arguments(const poa_command *command, const poa_flags *flags,
                                  poa_error *error) {
  if (flags->argument_count >= command->min_arguments &&
      flags->argument_count <= command->max_arguments)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT, "usage: %s", command->usage);
}

poa_status poa_flags_parse(const poa_command *command, int argc, char **argv, poa_arena *arena,
                           poa_flags *flags, poa_error *error) {
  const flag_row *rows[ROW_COUNT];
  struct option options[ROW_COUNT + 1] = {{0}};
  int count = accepted_rows(command, rows);
  for (int i = 0; i < count; i++)
    options[i] = (struct option){
        rows[i]->name, rows[i]->kind == FLAG_SWITCH ? no_argument : required_argument, NULL, i + 1};
  *flags =
      (poa_flags){.steps = -1, .threads = -1, .seed = -1, .every = -1, .limit = -1, .scale = 1};
  opterr = 0;
  optind = 0;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    if (option < 1 || option > count)
      return refuse_flag(command, rows, count, argv[optind - 1], option, error);
    poa_status status = store(rows[option - 1], optarg, arena, flags, error);
    if (status)
      return status;
  }
  for (; optind < argc; optind++) {
    if (flags->argument_count == POA_MAX_ARGUMENTS)
      return poa_fail(error, POA_BAD_INPUT, "usage: %s", command->usage);
    flags->arguments[flags->argument_count++] = argv[optind];
  }
  return check_arguments(command, flags, error);
}

void poa_flags_describe(const poa_command *command, FILE *out) {
  const flag_row *rows[ROW_COUNT];
  int count = accepted_rows(command, rows);
  for (int i = 0; i < count; i++) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", rows[i]->name, rows[i]->value ? " " : "",
             rows[i]->value ? rows[i]->value : "");
    fprintf(out, "  %-24s %s\n", left, rows[i]->description);
  }
}
