/* features_main.c: the program that a sub-network becomes: images in, features out. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "program/cpu.h"
#include "program/features.h"
#include "runtime/checkpoint.h"
#include "runtime/openmp_start.h"
#include "runtime/own_folder.h"

#define FIELD(name) offsetof(poa_features_flags, name)

static const poa_flag_row rows[] = {
    {"at", POA_FLAG_TEXT, FIELD(at), 0, "NAME=N,..", "this network of those compiled in"},
    {"bench", POA_FLAG_SWITCH, FIELD(bench), 0, NULL, "print latency and throughput"},
    {"format", POA_FLAG_TEXT, FIELD(format), 0, "NAME", "text, npy or safetensors"},
    {"help", POA_FLAG_SWITCH, FIELD(help), 0, NULL, "this"},
    {"info", POA_FLAG_SWITCH, FIELD(info), 0, NULL, "what is compiled in"},
    {"json", POA_FLAG_SWITCH, FIELD(json), 0, NULL, "--bench as JSON"},
    {"knn", POA_FLAG_TEXT, FIELD(knn), 0, "DIR", "accuracy by nearest neighbours on this data set"},
    {"limit", POA_FLAG_COUNT, FIELD(limit), 1, "N", "--knn with N training images at most"},
    {"max-gflops", POA_FLAG_REAL, FIELD(max_gflops), 0, "X",
     "the largest network within X GFLOP for an image"},
    {"max-ms", POA_FLAG_REAL, FIELD(max_ms), 0, "X",
     "the largest network that takes at most X ms here, measured now"},
    {"output", POA_FLAG_TEXT, FIELD(output), 0, "FILE", "where features go (-o FILE)"},
    {"threads", POA_FLAG_COUNT, FIELD(threads), 1, "N", "how many threads (default: one per core)"},
    {"version", POA_FLAG_SWITCH, FIELD(version), 0, NULL, "of the poa that made this program"},
    {"weights", POA_FLAG_TEXT, FIELD(weights), 0, "FILE", "weights of another training"},
};

static const poa_command_line command_line = {
    .program = "this program",
    .help = "--help",
    .row_count = sizeof rows / sizeof *rows,
    .rows = rows,
};

static int fail(const poa_error *error, int status) {
  fflush(stdout);
  fprintf(stderr, "%s\n", error->message);
  return status;
}

static void print_help(const poa_program *program, const char *name) {
  printf(
      "usage: %s [flags] [FILE..]\n\n"
      "Computes the features of images with %s, compiled by poa %s.\n\n"
      "FILEs are .npy arrays, IDX files, PGM, PPM, and JPEG, PNG and WebP if compiled in; pixels\n"
      "are cut to the middle square, resized and normalized as in training, while .npy files of\n"
      "floats are taken as they are. Without FILE, or for -, standard input is raw float32\n"
      "[n, channels, size, size]. Features go to standard output as text, or to -o FILE as\n"
      ".npy, .safetensors or text. A file that cannot be read is named and left out, and the\n"
      "exit status is 1.\n\n",
      name, program->model, program->version);
  poa_command_line_describe(&command_line, stdout);
}

/* Weights */

/* The file beside this executable. */
static poa_status beside(const char *name, char *path, size_t size, poa_error *error) {
  size_t folder = poa_own_folder(path, size) ? strlen(path) : size;
  if (folder < size && (size_t)snprintf(path + folder, size - folder, "/%s", name) < size - folder)
    return POA_OK;
  return poa_fail(error, POA_IO, "cannot tell where this program lies: give --weights FILE");
}

static poa_status load_weights(poa_features *f, const poa_plan *plan, poa_error *error) {
  char path[4096];
  const char *given = f->flags->weights;
  poa_safetensors *file = NULL;
  poa_status status = given ? POA_OK : beside(f->program->weights_file, path, sizeof path, error);
  if (status == POA_OK)
    status = poa_safetensors_open(&file, given ? given : path, error);
  if (status == POA_OK)
    status = poa_parameter_store_create(&f->store, plan, error);
  if (status == POA_OK)
    status = poa_checkpoint_load(file, f->store, error);
  poa_safetensors_close(file);
  return status;
}

static poa_status open_weights(poa_features *f, poa_error *error) {
  const poa_program *program = f->program;
  const poa_plan *plan = NULL;
  for (int i = 0; i < program->entry_count && !plan; i++)
    if (strcmp(program->entries[i].entry, "features") == 0)
      plan = program->entries[i].plan;
  if (!plan)
    return poa_fail(error, POA_BAD_INPUT, "no entry 'features' is compiled in");
  if (plan->parameter_bytes == 0 && !f->flags->weights)
    return poa_parameter_store_create(&f->store, plan, error);
  if (program->weights && !f->flags->weights)
    return poa_parameter_store_borrow(&f->store, plan, program->weights, error);
  return load_weights(f, plan, error);
}

/* Information */

static void print_info(const poa_features *f) {
  const poa_program *p = f->program;
  printf("model: %s%s%s\n", p->model, *p->overrides ? " with " : "", p->overrides);
  printf("weights: %s, %.2f MB, %s\n", *p->source ? p->source : "none were given",
         (double)p->weight_bytes * 1e-6, *p->weights_file ? p->weights_file : "in this file");
  printf("normalization (mean/deviation): %s\n", *p->normalization ? p->normalization : "unknown");
  for (int i = 0; i < p->variant_count; i++)
    printf("code for: %s%s\n", p->variants[i].cpu, i == f->variant ? ", in use" : "");
  printf("made by: poa %s\n", p->version);
  printf("  %-28s %6s %12s %14s %14s\n", "network", "batch", "parameters", "GFLOP/image",
         "memory MB");
  for (int i = 0; i < p->entry_count; i++) {
    const poa_program_entry *entry = &p->entries[i];
    char point[256];
    poa_point_print(&p->lattice, &entry->point, point, sizeof point);
    if (entry->variant == f->variant)
      printf("  %-28s %6lld %12lld %14.5g %14.3f\n", *point ? point : "(one)",
             (long long)entry->batch, (long long)entry->parameters, entry->flops * 1e-9,
             (double)entry->plan->arena_bytes * 1e-6);
  }
}

/* The work */

static poa_status open_program(poa_features *f, poa_error *error) {
  f->normalized = poa_normalization_parse(f->program->normalization, &f->normalization);
  poa_status status = open_weights(f, error);
  if (status == POA_OK)
    status = poa_executor_create(&f->executor, (int)f->flags->threads, NULL, error);
  if (status == POA_OK)
    poa_warn_of_threads("", f->flags->threads);
  return status ? status : poa_features_choose(f, error);
}

/* Reads what can be read; *unread counts the files that cannot. */
static poa_status read_all(poa_features *f, const poa_texts *files, FILE *names, int *unread,
                           poa_error *error) {
  static const poa_texts standard_input = {1, {"-"}};
  const poa_texts *list = files->count ? files : &standard_input;
  for (int i = 0; i < list->count; i++) {
    poa_error one = {0};
    poa_status status = poa_features_read(f, list->text[i], names, &one);
    if (status == POA_NO_MEMORY)
      return poa_fail(error, status, "%s", one.message);
    if (status) {
      fprintf(stderr, "%s\n", one.message);
      ++*unread;
    }
  }
  return poa_features_flush(f, error);
}

static poa_status compute(poa_features *f, const poa_texts *files, int *unread, poa_error *error) {
  char *names = NULL;
  size_t size;
  FILE *list = open_memstream(&names, &size);
  if (!list)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  poa_status status = read_all(f, files, list, unread, error);
  fclose(list);
  if (status == POA_OK && (f->result_count > 0 || *unread == 0))
    status = poa_features_write(f, names, error);
  free(names);
  return status;
}

static int run(poa_features *f, const poa_texts *files) {
  poa_error error = {0};
  int unread = 0;
  poa_status status = poa_choose_variant(f->program, &f->variant, &error);
  if (status == POA_OK)
    status = poa_features_check_output(f->flags, &error);
  if (status == POA_OK && f->flags->info) {
    print_info(f);
    return 0;
  }
  if (status == POA_OK)
    status = open_program(f, &error);
  if (status == POA_OK && f->flags->bench)
    status = poa_features_bench(f, &error);
  else if (status == POA_OK && f->flags->knn)
    status = poa_features_judge(f, &error);
  else if (status == POA_OK)
    status = compute(f, files, &unread, &error);
  return status ? fail(&error, 1) : unread > 0;
}

int poa_features_main(const poa_program *program, int argc, char **argv) {
  poa_features_flags flags = {0};
  poa_texts files;
  poa_error error = {0};
  poa_openmp_start();
  if (poa_command_line_parse(&command_line, argc, argv, &flags, &files, &error))
    return fail(&error, 2);
  if (flags.help) {
    print_help(program, argv[0]);
    return 0;
  }
  if (flags.version) {
    printf("made by poa %s\n", program->version);
    return 0;
  }
  poa_features f = {.program = program, .flags = &flags};
  int status = run(&f, &files);
  poa_features_release(&f);
  poa_executor_free(f.executor);
  poa_parameter_store_free(f.store);
  free(f.waiting);
  free(f.results);
  return status;
}
