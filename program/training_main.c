/* training_main.c: the program that an elastic network becomes: it trains, as `poa train` does,
 * with every sub-network compiled in. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "program/command_line.h"
#include "program/compiled_plans.h"
#include "program/cpu.h"
#include "program/training.h"
#include "runtime/openmp_start.h"

#define CHECKPOINT_EVERY 500

typedef struct flags {
  const char *data, *out, *init, *set;
  int64_t steps, threads, seed, every; /* -1: not given */
  poa_texts plugins;
  bool resume, quiet, help, info, version;
} flags;

#define FIELD(name) offsetof(flags, name)

static const poa_flag_row rows[] = {
    {"data", POA_FLAG_TEXT, FIELD(data), 0, "PATH",
     "images: a folder of images, of lists, of CIFAR's or MNIST's files; or one list"},
    {"every", POA_FLAG_COUNT, FIELD(every), 1, "N", "write a checkpoint every N steps"},
    {"help", POA_FLAG_SWITCH, FIELD(help), 0, NULL, "this"},
    {"info", POA_FLAG_SWITCH, FIELD(info), 0, NULL, "what is compiled in"},
    {"init", POA_FLAG_TEXT, FIELD(init), 0, "FILE",
     "start from these weights, a safetensors file with timm's or DINOv2's names"},
    {"out", POA_FLAG_TEXT, FIELD(out), 0, "DIR", "the folder of the run"},
    {"plugin", POA_FLAG_TEXTS, FIELD(plugins), 0, "PATH",
     "a shared library with functions that the description declares; may be repeated"},
    {"quiet", POA_FLAG_SWITCH, FIELD(quiet), 0, NULL, "no progress line"},
    {"resume", POA_FLAG_SWITCH, FIELD(resume), 0, NULL, "go on from the run's checkpoint"},
    {"seed", POA_FLAG_COUNT, FIELD(seed), 0, "N", "of all randomness (default: 0)"},
    {"set", POA_FLAG_TEXT, FIELD(set), 0, "NAME=VALUE,..",
     "refused: constants are compiled in; compile again with --set"},
    {"steps", POA_FLAG_COUNT, FIELD(steps), 1, "N", "how many steps"},
    {"threads", POA_FLAG_COUNT, FIELD(threads), 1, "N", "how many threads (default: one per core)"},
    {"version", POA_FLAG_SWITCH, FIELD(version), 0, NULL, "of the poa that made this program"},
};

static const poa_command_line command_line = {
    .program = "this program",
    .help = "--help",
    .row_count = sizeof rows / sizeof *rows,
    .rows = rows,
};

typedef struct trainer {
  const poa_program *program;
  const flags *flags;
  poa_compiled_plans plans;
  poa_supernet net;
  poa_plugins *plugins;
  poa_training settings;
  char overrides[8000];
} trainer;

static int fail(const poa_error *error, int status) {
  fflush(stdout);
  fprintf(stderr, "%s\n", error->message);
  return error->status == POA_INTERRUPTED ? 130 : status;
}

static void print_help(const poa_program *program, const char *name) {
  printf("usage: %s --data PATH [--out DIR] [--steps N] [--resume]\n\n"
         "Trains %s%s%s as `poa train` does, to the same bits; compiled by poa %s.\n\n",
         name, program->model, *program->overrides ? " with " : "", program->overrides,
         program->version);
  poa_command_line_describe(&command_line, stdout);
}

static const char *precision_of(const poa_program *program) {
  return program->bf16 ? "bf16" : "fp32";
}

static void print_info(const poa_program *program) {
  int steps = 0, features = 0;
  for (int i = 0; i < program->entry_count; i++) {
    steps += strcmp(program->entries[i].entry, "step") == 0;
    features += strcmp(program->entries[i].entry, "features") == 0;
  }
  printf("model: %s%s%s\n", program->model, *program->overrides ? " with " : "",
         program->overrides);
  printf("compiled in: a step of %d sub-networks, features of %d\n", steps, features);
  for (int i = 0; i < program->variant_count; i++)
    printf("code for: %s\n", program->variants[i].cpu);
  printf("steps: %.0f%s\n", program->steps, program->steps_vary ? ", or as --steps says" : "");
  if (program->bf16)
    printf("products: in bf16\n");
  printf("made by: poa %s\n", program->version);
}

/* The run */

/* --steps is the constant `steps` of the description, as the command line of `poa train` sets it.
 */
static poa_status choose_steps(trainer *t, poa_error *error) {
  const poa_program *program = t->program;
  snprintf(t->overrides, sizeof t->overrides, "%s", program->overrides);
  t->settings.overrides = t->overrides;
  t->settings.steps = t->flags->steps > 0 ? t->flags->steps : (int64_t)program->steps;
  if (t->settings.steps < 1)
    return poa_fail(error, POA_BAD_INPUT, "the model has no constant 'steps': give --steps N");
  if (t->flags->steps < 1 || program->steps < 1)
    return POA_OK;
  if (t->flags->steps != (int64_t)program->steps && !program->steps_vary)
    return poa_fail(error, POA_BAD_INPUT,
                    "this program is compiled for %.0f steps, and more depends on it than can be "
                    "changed: for another number compile again with --set steps=%" PRId64,
                    program->steps, t->flags->steps);
  size_t used = strlen(t->overrides);
  snprintf(t->overrides + used, sizeof t->overrides - used, "%ssteps=%" PRId64, used ? "," : "",
           t->flags->steps);
  t->plans.more_steps = (double)t->flags->steps - program->steps;
  return POA_OK;
}

/* "a=1" of "a=1,steps=20", where "steps=20" is what --steps added; else all. */
static bool splits_into(const char *recorded, const char *compiled, long long *steps) {
  size_t length = strlen(compiled);
  *steps = 0;
  if (strcmp(recorded, compiled) == 0)
    return true;
  if (strncmp(recorded, compiled, length) != 0 || (length > 0 && recorded[length] != ','))
    return false;
  int end = 0;
  const char *rest = recorded + length + (length > 0);
  return sscanf(rest, "steps=%lld%n", steps, &end) == 1 && rest[end] == '\0' && *steps > 0;
}

/* A run that is to be resumed must be one of this program's. */
static poa_status check_run(trainer *t, const poa_checkpoint_info *info, poa_error *error) {
  const poa_program *program = t->program;
  long long steps;
  if (strcmp(info->model, program->model) != 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "the run in %s is of the model '%s', this program of '%s'",
                    t->settings.folder.path, info->model, program->model);
  if (!splits_into(info->overrides, program->overrides, &steps) ||
      (steps > 0 && steps != (long long)program->steps && !program->steps_vary))
    return poa_fail(error, POA_BAD_INPUT,
                    "the run in %s has the constants '%s', this program '%s': compile again with "
                    "--set",
                    t->settings.folder.path, info->overrides, program->overrides);
  if (t->flags->seed >= 0 && (uint64_t)t->flags->seed != info->seed)
    return poa_fail(error, POA_BAD_INPUT, "the run was started with --seed %" PRIu64, info->seed);
  if (strcmp(info->precision, precision_of(program)) != 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "the run in %s computes products in %s, this program in %s: compile again with "
                    "--precision %s",
                    t->settings.folder.path, info->precision, precision_of(program),
                    info->precision);
  snprintf(t->overrides, sizeof t->overrides, "%s", info->overrides);
  t->settings.overrides = t->overrides;
  t->settings.seed = info->seed;
  t->settings.steps = steps > 0 ? steps : (int64_t)program->steps;
  t->plans.more_steps = steps > 0 ? (double)steps - program->steps : 0;
  return POA_OK;
}

static poa_status recall(trainer *t, poa_error *error) {
  poa_safetensors *file = NULL;
  poa_checkpoint_info info;
  if (t->flags->init)
    return poa_fail(error, POA_BAD_INPUT,
                    "a resumed run goes on from its checkpoint: leave out --init");
  if (t->flags->steps > 0 && t->program->steps > 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "a resumed run keeps its number of steps: leave out --steps");
  poa_status status = poa_training_recall(&t->settings.folder, &file, &info, error);
  if (status == POA_OK)
    status = check_run(t, &info, error);
  poa_safetensors_close(file);
  if (status == POA_OK && t->program->steps < 1)
    t->settings.steps = t->flags->steps;
  if (status == POA_OK && t->settings.steps < 1)
    status = poa_fail(error, POA_BAD_INPUT, "the model has no constant 'steps': give --steps N");
  return status;
}

static poa_status prepare(trainer *t, const char *name, poa_error *error) {
  const flags *given = t->flags;
  t->settings = (poa_training){
      .model = t->program->model,
      .precision = precision_of(t->program),
      .again = name,
      .data = given->data,
      .init = given->init,
      .seed = given->seed > 0 ? (uint64_t)given->seed : 0,
      .every = given->every > 0 ? given->every : CHECKPOINT_EVERY,
      .resume = given->resume,
      .quiet = given->quiet,
  };
  if (given->set)
    return poa_fail(error, POA_BAD_INPUT,
                    "--set: constants are compiled in; compile again with: poa compile %s --entry "
                    "step --set %s",
                    t->program->model, given->set);
  poa_status status = poa_choose_variant(t->program, &t->plans.variant, error);
  if (status == POA_OK)
    status = poa_training_folder(given->out, t->program->model, given->resume, &t->settings.folder,
                                 error);
  if (status)
    return status;
  return given->resume ? recall(t, error) : choose_steps(t, error);
}

static poa_status train(trainer *t, const char *name, poa_error *error) {
  poa_status status = prepare(t, name, error);
  if (status == POA_OK)
    status = poa_plugins_open(&t->plugins, t->flags->plugins.count, t->flags->plugins.text, error);
  int threads = t->flags->threads > 0 ? (int)t->flags->threads : 0;
  if (status == POA_OK)
    status = poa_compiled_plans_open(&t->net, &t->plans, threads, t->plugins, error);
  if (status == POA_OK)
    poa_warn_of_threads("", t->flags->threads);
  return status ? status : poa_train_network(&t->settings, &t->net, error);
}

int poa_training_main(const poa_program *program, int argc, char **argv) {
  flags given = {.steps = -1, .threads = -1, .seed = -1, .every = -1};
  poa_texts arguments;
  poa_error error = {0};
  poa_openmp_start();
  poa_status status = poa_command_line_parse(&command_line, argc, argv, &given, &arguments, &error);
  if (status == POA_OK && arguments.count > 0)
    status = poa_fail(&error, POA_BAD_INPUT, "'%s': this program takes flags alone; see: --help",
                      arguments.text[0]);
  if (status)
    return fail(&error, 2);
  if (given.help)
    print_help(program, argv[0]);
  else if (given.info)
    print_info(program);
  else if (given.version)
    printf("made by poa %s\n", program->version);
  if (given.help || given.info || given.version)
    return 0;
  trainer t = {.program = program, .flags = &given, .plans = {.program = program}};
  status = train(&t, argv[0], &error);
  poa_supernet_close(&t.net);
  poa_plugins_close(t.plugins);
  return status ? fail(&error, 1) : 0;
}
