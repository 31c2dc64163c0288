/* driver.h: the `poa` command: one file per sub-command and what they share. */
#ifndef POA_DRIVER_H
#define POA_DRIVER_H

#include "frontend/model.h"
#include "passes/passes.h"
#include "poa.h"
#include "program/command_line.h"
#include "runtime/signals.h"

/* flags.c: the command line, by getopt_long */

#define POA_MAX_OVERRIDES 128
#define POA_MAX_ARGUMENTS 8

typedef struct poa_flags {
  int argument_count;
  const char *arguments[POA_MAX_ARGUMENTS]; /* what is no flag, in order */
  int override_count;
  const char *overrides[POA_MAX_OVERRIDES]; /* --set NAME=VALUE, split at commas */
  poa_texts sets;                           /* as given */
  poa_texts plugins;
  const char *data, *out, *at, *entry, *after, *passes, *cpu, *cache;
  const char *trace, *output, *emit, *weights, *from, *init, *batch, *target, *all_to, *precision;
  poa_texts points;                           /* every --at; `at` is the last */
  int64_t steps, threads, seed, every, limit; /* -1: not given */
  double scale;                               /* 1 if not given */
  bool check, first_step, resume, print_after_all, all, knn, json, list, quiet, verify, probes,
      no_cache;
  bool multiversion, with_images, weights_external;
} poa_flags;

typedef struct poa_command {
  const char *name;
  int (*run)(const poa_flags *flags); /* the exit status */
  const char *accepted;               /* the flags it takes, "set,data,steps" */
  int min_arguments, max_arguments;
  const char *usage;   /* one line */
  const char *summary; /* one line */
  const char *help;    /* what `poa help NAME` adds */
} poa_command;

/* commands.c */
extern const poa_command poa_commands[];
extern const int poa_command_count;
const poa_command *poa_find_command(const char *name);

/* Parses argv[0..] after the command's name; strings belong to `arena` or argv. */
poa_status poa_flags_parse(const poa_command *command, int argc, char **argv, poa_arena *arena,
                           poa_flags *flags, poa_error *error);
/* Appends "a=1,b=[2,3]", split at the commas outside brackets and strings, to the overrides. */
poa_status poa_overrides_split(const char *text, poa_arena *arena, poa_flags *flags,
                               poa_error *error);
/* Describes every flag that `command` takes, a line each. */
void poa_flags_describe(const poa_command *command, FILE *out);

/* models.c: loads flags->arguments[0] with its overrides; errors are shown on stderr. */
poa_status poa_load_model(const poa_flags *flags, poa_model **model, poa_error *error);

/* manual.c: writes the pages poa.1 and poa-COMMAND.1 into a folder; the exit status. */
int poa_write_manual(const char *folder);

/* failure.c: POA_INTERRUPTED once a signal that is watched for has asked to stop, so that work of
 * many steps ends between two of them and cleans up after itself. */
poa_status poa_check_signals(const poa_signals *signals, poa_error *error);

/* output_path.c: what stands after the last slash. */
const char *poa_base_name(const char *path);
/* Fails where `path` cannot become a file: no folder, no right to write there,
 * something else in its place. */
poa_status poa_check_writable(const char *path, poa_error *error);

/* failure.c: prints the message and gives the exit status: 1, or 130 for an interruption. */
int poa_report_failure(const poa_error *error);

int poa_train(const poa_flags *flags);
int poa_eval(const poa_flags *flags);
int poa_extract_command(const poa_flags *flags);
int poa_compile(const poa_flags *flags);
int poa_ir(const poa_flags *flags);
int poa_opt(const poa_flags *flags);
int poa_info(const poa_flags *flags);
int poa_replay(const poa_flags *flags);
int poa_bench(const poa_flags *flags);

#endif
