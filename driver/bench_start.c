/* bench_start.c: what a user waits for: the first step of a process, and a sub-network that was not
 * seen before.
 *
 * The first step is timed from outside. `poa bench` starts itself with --first-step, once with an
 * empty folder for kernels and once with what that left; the child says the time on the monotonic
 * clock, which all processes share, when its first step is over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver/bench.h"
#include "driver/child.h"
#include "driver/session.h"
#include "driver/temporary_folder.h"
#include "runtime/clock.h"

enum { MOST_WORDS = 2 * POA_MAX_OVERRIDES + 20 };

typedef struct command_line {
  const char *words[MOST_WORDS];
  int count;
} command_line;

static void add(command_line *line, const char *flag, const char *value) {
  if (!value || line->count + 3 > MOST_WORDS)
    return;
  if (flag)
    line->words[line->count++] = flag;
  line->words[line->count++] = value;
}

static command_line first_step_of(const poa_flags *flags, const char *point, const char *cache,
                                  poa_arena *arena) {
  command_line line = {.words = {"poa", "bench", "--first-step"}, .count = 3};
  add(&line, NULL, flags->arguments[0]);
  for (int i = 0; i < flags->override_count; i++)
    add(&line, "--set", flags->overrides[i]);
  for (int i = 0; i < flags->plugins.count; i++)
    add(&line, "--plugin", flags->plugins.text[i]);
  add(&line, "--cpu", flags->cpu);
  add(&line, "--precision", flags->precision);
  add(&line, "--at", *point ? point : NULL);
  add(&line, "--cache", cache);
  if (flags->threads > 0)
    add(&line, "--threads", poa_arena_format(arena, "%lld", (long long)flags->threads));
  return line;
}

/* Runs the command and reads the number that it prints. */
static poa_status run_child(const command_line *line, double *number, poa_error *error) {
  FILE *said = tmpfile();
  if (!said)
    return poa_fail(error, POA_IO, "no temporary file: %s", strerror(errno));
  int status, code = poa_child_run("/proc/self/exe", line->words, said, false, &status);
  rewind(said);
  bool read = code == 0 && status == 0 && fscanf(said, "%lf", number) == 1;
  fclose(said);
  return read ? POA_OK
              : poa_fail(error, POA_IO, "a process that was to run the first step did not: %s",
                         code ? strerror(code) : "see above");
}

poa_status poa_bench_first_steps(const poa_flags *flags, const char *point, poa_arena *arena,
                                 double *cold, double *warm, poa_error *error) {
  const char *folder;
  poa_status status = poa_make_temporary_folder(arena, &folder, error);
  if (status)
    return status;
  command_line line = first_step_of(flags, point, folder, arena);
  double *const results[] = {cold, warm};
  for (int i = 0; i < 2 && status == POA_OK; i++) {
    double start = poa_seconds(), end = 0;
    status = run_child(&line, &end, error);
    *results[i] = end - start;
  }
  poa_remove_temporary_folder(folder);
  return status;
}

/* A point in the middle of the lattice, with name `moved` (if any) at its next value. */
static poa_point middle_of(const poa_lattice *lattice, int moved) {
  poa_point point = {0};
  for (int i = 0; i < lattice->count; i++) {
    const poa_elastic *name = &lattice->name[i];
    int64_t values = poa_elastic_values(name), chosen = (values - 1) / 2;
    if (i == moved)
      chosen = chosen > 0 ? chosen - 1 : values - 1;
    point.value[i] = name->min + chosen * name->step;
  }
  return point;
}

static poa_status time_program(poa_session *session, const poa_point *point, double *seconds,
                               poa_error *error) {
  poa_program_at *program;
  double start = poa_seconds();
  poa_status status = poa_supernet_program(&session->net, "step", point, false, &program, error);
  *seconds = poa_seconds() - start;
  return status;
}

/* The last name of more than one value, other than the first; -1: none. */
static int last_elastic(const poa_lattice *lattice) {
  for (int i = lattice->count - 1; i > 0; i--)
    if (poa_elastic_values(&lattice->name[i]) > 1)
      return i;
  return -1;
}

poa_status poa_bench_new_points(const poa_flags *flags, double *new_first, double *new_last,
                                poa_error *error) {
  poa_flags fresh = *flags;
  poa_model *model = NULL;
  poa_session session = {0};
  double first;
  fresh.no_cache = true;
  *new_first = *new_last = -1;
  poa_status status = poa_load_model(&fresh, &model, error);
  if (status)
    return status;
  status = poa_session_open(&session, model, &fresh, error);
  const poa_lattice *lattice = status ? NULL : poa_model_lattice(model);
  if (status == POA_OK && lattice->count > 0) {
    int last = last_elastic(lattice);
    poa_point middle = middle_of(lattice, -1), other = middle_of(lattice, last);
    poa_point wide = middle_of(lattice, 0);
    status = time_program(&session, &middle, &first, error);
    if (status == POA_OK && last > 0)
      status = time_program(&session, &other, new_last, error);
    if (status == POA_OK && poa_elastic_values(&lattice->name[0]) > 1)
      status = time_program(&session, &wide, new_first, error);
  }
  poa_session_close(&session);
  return status;
}
