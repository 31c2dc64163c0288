/* training_program.c: a program that trains writes the checkpoint that `poa train` writes, byte for
 * byte, from plans alone; and refuses what it cannot do, with advice.
 *
 * The program is put together in memory from plans of the JIT, so what is tested is the way of
 * plans, constants and steps through poa_training_main; how plans get into a file is tested by
 * aot.c and tests/cli/compile_step.sh. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "driver/session.h"
#include "driver/steps.h"
#include "program/program.h"
#include "program/training_report.h"
#include "temporary_folder.h"

#define MODEL POA_TESTS_DIR "/support/micro.poa"

enum { IMAGES = 40, SIDE = 16, MAX_ENTRIES = 16, MAX_WORDS = 24 };

static char folder[64];
static poa_arena *arena;

static const char *in_folder(const char *name) {
  return poa_arena_format(arena, "%s/%s", folder, name);
}

/* Data */

static void write_file(const char *name, const unsigned char *head, size_t head_bytes, int count,
                       int bytes_each, int modulus) {
  FILE *file = fopen(in_folder(name), "wb");
  cr_assert(file && fwrite(head, 1, head_bytes, file) == head_bytes);
  for (int i = 0; i < count * bytes_each; i++)
    cr_assert_neq(fputc((i * 37 + i / bytes_each * 11) % modulus, file), EOF);
  cr_assert_eq(fclose(file), 0);
}

static void write_split(const char *images, const char *labels) {
  const unsigned char image_head[] = {0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
  const unsigned char label_head[] = {0, 0, 8, 1, 0, 0, 0, IMAGES};
  write_file(images, image_head, sizeof image_head, IMAGES, SIDE * SIDE, 251);
  write_file(labels, label_head, sizeof label_head, IMAGES, 1, 2);
}

static const char *const subfolders[] = {"cache", "jit", "aot"};

static void setup(void) {
  make_folder(folder);
  arena = poa_arena_create();
  write_split("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
  write_split("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte");
}

static void empty_subfolders(void) {
  for (size_t i = 0; i < sizeof subfolders / sizeof *subfolders; i++)
    if (access(in_folder(subfolders[i]), F_OK) == 0)
      remove_folder(in_folder(subfolders[i]));
}

static void teardown(void) {
  empty_subfolders();
  remove_folder(folder);
  poa_arena_free(arena);
}

TestSuite(training_program, .init = setup, .fini = teardown);

/* The program */

typedef struct made {
  poa_flags flags;
  poa_deployment deployment;
  poa_session session;
  poa_program program;
  poa_program_variant variant;
  poa_program_entry entries[MAX_ENTRIES];
} made;

static poa_flags parse(int count, const char **words) {
  poa_flags flags;
  poa_error error = {0};
  const char **line = poa_arena_alloc(arena, (MAX_WORDS + 1) * sizeof *line);
  line[0] = "train";
  memcpy(line + 1, words, (size_t)count * sizeof *line);
  cr_assert_eq(poa_flags_parse(poa_find_command("train"), count + 1, (char **)(uintptr_t)line,
                               arena, &flags, &error),
               POA_OK, "%s", error.message);
  return flags;
}

static void add_entry(made *m, const char *entry, const poa_point *point) {
  poa_error error = {0};
  poa_program_at *at;
  poa_subnetwork size = {.point = *point};
  cr_assert_eq(poa_supernet_program(&m->session.net, entry, point, false, &at, &error), POA_OK,
               "%s", error.message);
  cr_assert_eq(m->session.net.measure(m->session.net.context, &size, &error), POA_OK);
  cr_assert_lt(m->program.entry_count, MAX_ENTRIES);
  m->entries[m->program.entry_count++] = (poa_program_entry){.entry = entry,
                                                             .point = *point,
                                                             .parameters = size.parameters,
                                                             .flops = size.flops,
                                                             .plan = at->plan};
}

static void add_entries(made *m) {
  poa_point points[POA_REPORTED_POINTS];
  const poa_lattice *lattice = m->session.net.lattice;
  for (int64_t i = 0; i < poa_lattice_size(lattice); i++) {
    poa_point point = poa_lattice_point(lattice, i);
    add_entry(m, "step", &point);
  }
  int64_t count = poa_reported_points(lattice, points);
  for (int64_t i = 0; i < count; i++)
    add_entry(m, "features", &points[i]);
}

static void find_steps(made *m) {
  poa_error error = {0};
  poa_step_slopes slopes;
  cr_assert_eq(poa_find_step_slopes(&m->deployment, "step", arena, &slopes, &error), POA_OK, "%s",
               error.message);
  m->program.steps_vary = slopes.vary;
  for (int i = 0; i < m->program.entry_count; i++)
    if (strcmp(m->entries[i].entry, "step") == 0)
      poa_set_step_slopes(&slopes, m->entries[i].plan);
}

/* As `poa compile` would of micro.poa, with the constants `set`. */
static made *make_program(const char *set) {
  made *m = poa_arena_alloc(arena, sizeof *m);
  poa_error error = {0};
  poa_model *model;
  const char *words[] = {MODEL, "--cache", in_folder("cache"), "--threads", "2", "--set", set};
  *m = (made){.flags = parse(set ? 7 : 5, words)};
  cr_assert_eq(poa_deployment_open(&m->deployment, &m->flags, arena, &error), POA_OK, "%s",
               error.message);
  cr_assert_eq(poa_load_model(&m->flags, &model, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_session_open(&m->session, model, &m->flags, &error), POA_OK, "%s",
               error.message);
  m->variant = (poa_program_variant){m->session.target.cpu, m->session.target.features};
  m->program = (poa_program){.version = POA_VERSION,
                             .model = MODEL,
                             .model_path = poa_model_path(model),
                             .overrides = set ? set : "",
                             .source = "",
                             .lattice = *poa_model_lattice(model),
                             .normalization = "",
                             .variant_count = 1,
                             .variants = &m->variant,
                             .entries = m->entries,
                             .weights_file = ""};
  poa_model_number(model, "steps", &m->program.steps);
  poa_model_number(model, "eval_images", &m->program.eval_images);
  add_entries(m);
  find_steps(m);
  return m;
}

static void free_program(made *m) {
  poa_session_close(&m->session);
  poa_deployment_close(&m->deployment);
}

/* Runs; further words of the command line end with NULL. */

static int append(const char **words, int count, const char *const *more) {
  while (more && *more && count < MAX_WORDS - 1)
    words[count++] = *more++;
  words[count] = NULL;
  return count;
}

static int train_by_program(const made *m, const char *const *more) {
  const char *words[MAX_WORDS] = {"trainer",        "--data",    folder, "--out",
                                  in_folder("aot"), "--threads", "2",    "--quiet"};
  int count = append(words, 8, more);
  return poa_training_main(&m->program, count, (char **)(uintptr_t)words);
}

static int train_by_command(const char *const *more) {
  const char *words[MAX_WORDS] = {
      MODEL,     "--data",           folder,      "--out", in_folder("jit"),
      "--cache", in_folder("cache"), "--threads", "2",     "--quiet"};
  poa_flags flags = parse(append(words, 10, more), words);
  return poa_train(&flags);
}

static char *read_whole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  cr_assert_not_null(file, "no file '%s'", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = poa_arena_alloc(arena, *size + 1);
  cr_assert_eq(fread(bytes, 1, *size, file), *size);
  fclose(file);
  return bytes;
}

static void expect_same_file(const char *name) {
  size_t ours, theirs;
  char *aot = read_whole(in_folder(poa_arena_format(arena, "aot/%s", name)), &ours);
  char *jit = read_whole(in_folder(poa_arena_format(arena, "jit/%s", name)), &theirs);
  cr_expect(ours == theirs && memcmp(aot, jit, ours) == 0, "%s differs", name);
}

/* Both ways, with the same flags; `set` is compiled into the one and given to the other. */
static void compare_runs(const made *m, const char *set, const char *const *more) {
  const char *with_set[MAX_WORDS] = {"--set", set};
  append(with_set, set ? 2 : 0, more);
  cr_assert_eq(train_by_program(m, more), 0);
  cr_assert_eq(train_by_command(with_set), 0);
  expect_same_file("checkpoint.safetensors");
  expect_same_file("metrics.jsonl");
  expect_same_file("report.html");
  remove_folder(in_folder("aot"));
  remove_folder(in_folder("jit"));
}

Test(training_program, same_bytes) {
  made *m = make_program(NULL);
  cr_expect(m->program.steps_vary, "the schedules of micro.poa follow the number of steps");
  compare_runs(m, NULL, NULL);
  compare_runs(m, NULL, (const char *const[]){"--steps", "7", "--seed", "5", NULL});
  compare_runs(m, NULL, (const char *const[]){"--steps", "20", NULL});
  compare_runs(m, NULL, (const char *const[]){"--steps", "33", "--every", "4", NULL});
  free_program(m);
}

Test(training_program, same_bytes_with_constants) {
  const char *set = "ibot_weight=0.5,steps=6";
  made *m = make_program(set);
  compare_runs(m, set, NULL);
  compare_runs(m, set, (const char *const[]){"--steps", "4", NULL});
  free_program(m);
}

/* Refusals */

static void refuse(const made *m, const char *expected, const char *const *more) {
  char line[2000] = "";
  FILE *errors = cr_get_redirected_stderr();
  cr_assert_neq(train_by_program(m, more), 0, "not refused: %s", expected);
  cr_expect(fgets(line, sizeof line, errors) && strstr(line, expected), "expected '%s', got: %s",
            expected, line);
}

Test(training_program, refusals, .init = cr_redirect_stderr) {
  made *m = make_program(NULL);
  const char *resume[] = {"--resume", NULL};
  refuse(m, "constants are compiled in", (const char *const[]){"--set", "base_lr=1", NULL});
  refuse(m, "takes flags alone", (const char *const[]){"fashion", NULL});
  refuse(m, "no run to resume", resume);
  cr_expect_neq(access(in_folder("aot"), F_OK), 0, "a refused run leaves a folder");
  m->program.steps_vary = false;
  refuse(m, "compile again with --set steps=7", (const char *const[]){"--steps", "7", NULL});
  free_program(m);
}

Test(training_program, runs_of_others, .init = cr_redirect_stderr) {
  made *m = make_program(NULL);
  const char *resume[] = {"--resume", NULL};
  cr_assert_eq(train_by_command((const char *const[]){"--steps", "3", "--seed", "4", NULL}), 0);
  cr_assert_eq(rename(in_folder("jit"), in_folder("aot")), 0);
  refuse(m, "already holds a run", NULL);
  refuse(m, "started with --seed 4", (const char *const[]){"--resume", "--seed", "5", NULL});
  refuse(m, "leave out --steps", (const char *const[]){"--resume", "--steps", "9", NULL});
  cr_expect_eq(train_by_program(m, resume), 0, "the command's run is the program's to resume");
  m->program.steps_vary = false;
  refuse(m, "has the constants 'steps=3'", resume);
  m->program.overrides = "drop_path=0";
  refuse(m, "has the constants 'steps=3'", resume);
  m->program.model = "another";
  refuse(m, "this program of 'another'", resume);
  free_program(m);
}
