/* flags.c: the command line. One table says what each flag is; a command lists the
 * names of those it takes. */
#include <stddef.h>
#include <string.h>

#include "driver/driver.h"

#define FIELD(name) offsetof(poa_flags, name)

static const poa_flag_row table[] = {
    {"after", POA_FLAG_TEXT, FIELD(after), 0, "PASS", "print the graph after this pass"},
    {"all", POA_FLAG_SWITCH, FIELD(all), 0, NULL, "every point of the lattice"},
    {"all-to", POA_FLAG_TEXT, FIELD(all_to), 0, "DIR", "every point of the lattice, into DIR"},
    {"at", POA_FLAG_TEXTS, FIELD(points), 0, "NAME=N,..",
     "a point of the lattice, as width=256,depth=8"},
    {"batch", POA_FLAG_TEXT, FIELD(batch), 0, "N,..",
     "images a run takes at once; several: the program picks (default: 1,16; else 1)"},
    {"cache", POA_FLAG_TEXT, FIELD(cache), 0, "DIR", "keep compiled kernels here"},
    {"check", POA_FLAG_SWITCH, FIELD(check), 0, NULL, "prove every point and keep no file"},
    {"cpu", POA_FLAG_TEXT, FIELD(cpu), 0, "NAME",
     "compile for this CPU (native, x86-64, x86-64-v3, x86-64-v4, ...)"},
    {"data", POA_FLAG_TEXT, FIELD(data), 0, "PATH",
     "images: a folder of images, of lists, of CIFAR's or MNIST's files; or one list"},
    {"emit", POA_FLAG_TEXT, FIELD(emit), 0, "WHAT",
     "exe (the default), shared, object, llvm, asm or onnx"},
    {"entry", POA_FLAG_TEXT, FIELD(entry), 0, "NAME",
     "an entry of the description (default: step; of compile: features)"},
    {"every", POA_FLAG_COUNT, FIELD(every), 1, "N", "write a checkpoint every N steps"},
    {"first-step", POA_FLAG_SWITCH, FIELD(first_step), 0, NULL,
     "run one step and print the monotonic clock's time after it"},
    {"from", POA_FLAG_TEXT, FIELD(from), 0, "SET", "the parameter set to take (default: teacher)"},
    {"init", POA_FLAG_TEXT, FIELD(init), 0, "FILE",
     "start from these weights, a safetensors file with timm's or DINOv2's names"},
    {"json", POA_FLAG_SWITCH, FIELD(json), 0, NULL, "print JSON"},
    {"knn", POA_FLAG_SWITCH, FIELD(knn), 0, NULL, "k nearest neighbours (the default)"},
    {"limit", POA_FLAG_COUNT, FIELD(limit), 1, "N", "use at most N training images"},
    {"list", POA_FLAG_SWITCH, FIELD(list), 0, NULL, "list the passes"},
    {"multiversion", POA_FLAG_SWITCH, FIELD(multiversion), 0, NULL,
     "code for x86-64-v4 and x86-64-v3 in one program, which picks at start"},
    {"no-cache", POA_FLAG_SWITCH, FIELD(no_cache), 0, NULL, "keep no compiled kernels on disk"},
    {"out", POA_FLAG_TEXT, FIELD(out), 0, "DIR", "the folder of the run"},
    {"output", POA_FLAG_TEXT, FIELD(output), 0, "FILE", "where to (-o FILE)"},
    {"passes", POA_FLAG_TEXT, FIELD(passes), 0, "A,B", "run these passes, in this order"},
    {"plugin", POA_FLAG_TEXTS, FIELD(plugins), 0, "PATH",
     "a shared library with functions that the description declares; may be repeated"},
    {"precision", POA_FLAG_TEXT, FIELD(precision), 0, "fp32|bf16",
     "of the step's matrix products (default: fp32); sums and all else are fp32"},
    {"print-after-all", POA_FLAG_SWITCH, FIELD(print_after_all), 0, NULL,
     "print the graph after each pass"},
    {"probes", POA_FLAG_SWITCH, FIELD(probes), 0, NULL, "keep the probes of the description"},
    {"quiet", POA_FLAG_SWITCH, FIELD(quiet), 0, NULL, "no progress line"},
    {"resume", POA_FLAG_SWITCH, FIELD(resume), 0, NULL, "go on from the run's checkpoint"},
    {"scale", POA_FLAG_REAL, FIELD(scale), 0, "X", "multiply the limits by X"},
    {"seed", POA_FLAG_COUNT, FIELD(seed), 0, "N", "of all randomness (default: 0)"},
    {"set", POA_FLAG_TEXTS, FIELD(sets), 0, "NAME=VALUE,..", "other values for constants"},
    {"steps", POA_FLAG_COUNT, FIELD(steps), 1, "N", "how many steps"},
    {"target", POA_FLAG_TEXT, FIELD(target), 0, "TRIPLE", "another machine, as aarch64-linux-gnu"},
    {"threads", POA_FLAG_COUNT, FIELD(threads), 1, "N", "how many threads (default: one per core)"},
    {"trace", POA_FLAG_TEXT, FIELD(trace), 0, "FILE",
     "write a timeline of the first steps, for Perfetto or chrome://tracing"},
    {"verify", POA_FLAG_SWITCH, FIELD(verify), 0, NULL, "check the graph after each pass"},
    {"weights", POA_FLAG_TEXT, FIELD(weights), 0, "FILE",
     "a run's folder, an extracted file, or a safetensors file with the model's names"},
    {"weights-external", POA_FLAG_SWITCH, FIELD(weights_external), 0, NULL,
     "leave the weights in a file beside the program"},
    {"with-images", POA_FLAG_SWITCH, FIELD(with_images), 0, NULL,
     "a program that reads JPEG, PNG and WebP files too"},
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

static int accepted_rows(const poa_command *command, poa_flag_row *rows) {
  int count = 0;
  for (int i = 0; i < ROW_COUNT; i++)
    if (listed(command->accepted, table[i].name)) {
      rows[count] = table[i];
      if (strcmp(table[i].name, "all-to") == 0) /* --all takes a folder where points are written */
        rows[count].name = "all";
      count++;
    }
  return count;
}

poa_status poa_overrides_split(const char *text, poa_arena *arena, poa_flags *flags,
                               poa_error *error) {
  char *start = poa_arena_text(arena, text);
  int depth = 0;
  bool quoted = false;
  for (char *at = start;; at++) {
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

static poa_status check_arguments(const poa_command *command, const poa_flags *flags,
                                  poa_error *error) {
  if (flags->argument_count >= command->min_arguments &&
      flags->argument_count <= command->max_arguments)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT, "usage: %s", command->usage);
}

/* Moves what was read to where the commands expect it. */
static poa_status take_texts(const poa_command *command, const poa_texts *arguments,
                             poa_arena *arena, poa_flags *flags, poa_error *error) {
  if (arguments->count > POA_MAX_ARGUMENTS)
    return poa_fail(error, POA_BAD_INPUT, "usage: %s", command->usage);
  for (int i = 0; i < arguments->count; i++)
    flags->arguments[flags->argument_count++] = arguments->text[i];
  if (flags->points.count)
    flags->at = flags->points.text[flags->points.count - 1];
  for (int i = 0; i < flags->sets.count; i++) {
    poa_status status = poa_overrides_split(flags->sets.text[i], arena, flags, error);
    if (status)
      return status;
  }
  return check_arguments(command, flags, error);
}

poa_status poa_flags_parse(const poa_command *command, int argc, char **argv, poa_arena *arena,
                           poa_flags *flags, poa_error *error) {
  poa_flag_row rows[ROW_COUNT];
  poa_texts arguments;
  poa_command_line line = {.program = poa_arena_format(arena, "poa %s", command->name),
                           .help = poa_arena_format(arena, "poa help %s", command->name),
                           .row_count = accepted_rows(command, rows),
                           .rows = rows};
  *flags =
      (poa_flags){.steps = -1, .threads = -1, .seed = -1, .every = -1, .limit = -1, .scale = 1};
  poa_status status = poa_command_line_parse(&line, argc, argv, flags, &arguments, error);
  return status ? status : take_texts(command, &arguments, arena, flags, error);
}

void poa_flags_describe(const poa_command *command, FILE *out) {
  poa_flag_row rows[ROW_COUNT];
  poa_command_line line = {.rows = rows, .row_count = accepted_rows(command, rows)};
  poa_command_line_describe(&line, out);
}
