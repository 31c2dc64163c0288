/* model.c: loads a description with its imports and keeps what was elaborated. */
#include "frontend/model.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/elaborate.h"

#define MAX_FILE_BYTES (4 << 20)
#define MAX_FILES 64
#define MAX_ROUNDS 4 /* of elaboration */

struct poa_model {
  poa_arena *arena;
  const char *path, *models_dir;
  int file_count;
  const char *files[MAX_FILES]; /* real paths, each read once */
  poa_diagnostics diagnostics;
  poa_program program;
  poa_elaborator elaborator;
  poa_graph **graphs; /* of each entry of the program, as elaborated when all was loaded */
};

static bool is_file(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The text of a file, or NULL with the reason in *problem. */
static char *read_file(poa_arena *arena, const char *path, const char **problem) {
  struct stat status;
  FILE *file = fopen(path, "rb");
  if (!file || fstat(fileno(file), &status) != 0) {
    *problem = strerror(errno);
    if (file)
      fclose(file);
    return NULL;
  }
  char *text = NULL;
  if (status.st_size > MAX_FILE_BYTES) {
    *problem = "it is larger than 4 MiB";
  } else {
    text = poa_arena_alloc(arena, (size_t)status.st_size + 1);
    size_t size = fread(text, 1, (size_t)status.st_size, file);
    *problem = ferror(file) ? strerror(errno) : strlen(text) < size ? "it is no text" : NULL;
  }
  fclose(file);
  return *problem ? NULL : text;
}

static const char *folder_of(poa_arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? poa_arena_format(arena, "%.*s", (int)(slash - path), path) : ".";
}

/* Short names in messages: what the user would type. */
static const char *shown_name(const poa_model *model, const char *path) {
  size_t length = strlen(model->models_dir);
  if (length && strncmp(path, model->models_dir, length) == 0 && path[length] == '/')
    return path + length + 1;
  return path;
}

static void load_file(poa_model *model, const char *path, const poa_import *from);

static void load_import(poa_model *model, poa_import import, const char *folder) {
  const char *beside = poa_arena_format(model->arena, "%s/%s", folder, import.path);
  const char *shared = poa_arena_format(model->arena, "%s/%s", model->models_dir, import.path);
  if (is_file(beside) || is_file(shared))
    load_file(model, is_file(beside) ? beside : shared, &import);
  else if (access(beside, F_OK) == 0)
    poa_diagnose(&model->diagnostics, import.location, import.length, "'%s' is no file", beside);
  else
    poa_diagnose(&model->diagnostics, import.location, import.length,
                 "cannot find '%s', neither beside this file nor among the models in %s",
                 import.path, model->models_dir);
}

/* Moves `count` overrides from `first` behind those that imports brought. */
static void move_last(poa_model *model, int first, int count) {
  poa_program *program = &model->program;
  int later = program->override_count - first - count;
  if (count == 0 || later == 0)
    return;
  poa_const *own = poa_arena_alloc(model->arena, (size_t)count * sizeof *own);
  memcpy(own, &program->overrides[first], (size_t)count * sizeof *own);
  memmove(&program->overrides[first], &program->overrides[first + count],
          (size_t)later * sizeof *own);
  memcpy(&program->overrides[first + later], own, (size_t)count * sizeof *own);
}

/* What a file sets counts after what its imports set. */
static void load_file(poa_model *model, const char *path, const poa_import *from) {
  char real[PATH_MAX];
  poa_location nowhere = {.file = path, .line = 1, .column = 1};
  if (!realpath(path, real))
    snprintf(real, sizeof real, "%s", path);
  for (int i = 0; i < model->file_count; i++)
    if (strcmp(model->files[i], real) == 0)
      return;
  const char *problem = "a model has at most 64 files";
  char *text = model->file_count < MAX_FILES ? read_file(model->arena, path, &problem) : NULL;
  if (!text) {
    poa_diagnose(&model->diagnostics, from ? from->location : nowhere, from ? from->length : 1,
                 "cannot read '%s': %s", path, problem);
    return;
  }
  model->files[model->file_count++] = poa_arena_text(model->arena, real);
  const char *name = poa_arena_text(model->arena, shown_name(model, path));
  poa_diagnostics_source(&model->diagnostics, name, text);
  poa_program *program = &model->program;
  int first_import = program->import_count, first_override = program->override_count;
  poa_parse_file(model->arena, name, text, &model->diagnostics, program);
  int own_imports = program->import_count, own_overrides = program->override_count;
  for (int i = first_import; i < own_imports; i++)
    load_import(model, program->imports[i], folder_of(model->arena, path));
  move_last(model, first_override, own_overrides - first_override);
}

static void add_override(poa_model *model, const char *text) {
  poa_program *program = &model->program;
  const char *equals = strchr(text, '=');
  poa_location at = {.file = "--set", .line = 1, .column = 1};
  if (!equals || equals == text) {
    poa_diagnose(&model->diagnostics, at, 1, "'%s': expected NAME=VALUE", text);
    return;
  }
  poa_const override = {.name = poa_arena_format(model->arena, "%.*s", (int)(equals - text), text)};
  const char *file = poa_arena_format(model->arena, "--set %s", override.name);
  override.location = (poa_location){.file = file, .line = 1, .column = 1};
  override.length = (int)strlen(equals + 1);
  override.from_command_line = true;
  poa_diagnostics_source(&model->diagnostics, file, equals + 1);
  override.value = poa_parse_value(model->arena, file, equals + 1, &model->diagnostics);
  if (!override.value)
    return;
  int count = program->override_count;
  poa_const *grown = poa_arena_alloc(model->arena, (size_t)(count + 1) * sizeof *grown);
  if (count)
    memcpy(grown, program->overrides, (size_t)count * sizeof *grown);
  grown[count] = override;
  program->overrides = grown;
  program->override_count++;
}

static void refuse_duplicates(poa_model *model, poa_definition **list, int count,
                              const char *what) {
  for (int i = 0; i < count; i++) {
    int first = 0;
    while (strcmp(list[i]->name, list[first]->name) != 0)
      first++;
    if (first == i)
      continue;
    poa_diagnose(&model->diagnostics, list[i]->location, list[i]->length,
                 "the %s '%s' is defined twice", what, list[i]->name);
    poa_diagnose_note(&model->diagnostics, list[first]->location, "first defined here");
  }
}

static const poa_set_syntax *find_set(const poa_program *program, const char *name) {
  for (int i = 0; i < program->set_count; i++)
    if (strcmp(program->sets[i].name, name) == 0)
      return &program->sets[i];
  return NULL;
}

static void check_sets(poa_model *model) {
  const poa_program *program = &model->program;
  for (int i = 0; i < program->set_count; i++) {
    const poa_set_syntax *set = &program->sets[i];
    const poa_set_syntax *source = set->copy_of ? find_set(program, set->copy_of) : NULL;
    if (find_set(program, set->name) != set)
      poa_diagnose(&model->diagnostics, set->location, (int)strlen(set->name),
                   "the parameter set '%s' is declared twice", set->name);
    else if (set->copy_of && (!source || source->copy_of || source == set))
      poa_diagnose(&model->diagnostics, set->copy_location, (int)strlen(set->copy_of),
                   source ? "'%s' is itself a copy; copy the set that it copies"
                          : "unknown parameter set '%s'",
                   set->copy_of);
  }
}

/* Every entry, so that the parameter table is the whole model's. A loop over a set misses
 * parameters that are declared after it: then all is elaborated once more. */
static void elaborate_entries(poa_model *model) {
  poa_elaborator *e = &model->elaborator;
  const poa_program *program = &model->program;
  model->graphs =
      poa_arena_alloc(model->arena, (size_t)program->entry_count * sizeof(poa_graph *) + 1);
  e->looped = poa_arena_alloc(model->arena, (size_t)program->set_count + 1);
  e->stale = true;
  for (int round = 0; e->stale && model->diagnostics.errors == 0; round++) {
    e->stale = false;
    memset(e->looped, 0, (size_t)program->set_count);
    for (int i = 0; i < program->entry_count && round < MAX_ROUNDS; i++)
      model->graphs[i] = poa_elaborate_entry(e, program->entries[i]);
    if (round == MAX_ROUNDS)
      poa_diagnose(&model->diagnostics, program->entries[0]->location, program->entries[0]->length,
                   "a loop over a parameter set makes parameters of that set without end");
  }
}

static void elaborate_all(poa_model *model, const poa_model_options *options) {
  poa_elaborator *e = &model->elaborator;
  *e = (poa_elaborator){.arena = model->arena,
                        .diagnostics = &model->diagnostics,
                        .program = &model->program,
                        .source_exists = options->source_exists,
                        .set = -1,
                        .scope = ""};
  poa_consts_open(e);
  poa_open_lattice(e);
  for (int i = 0; i < e->const_count && model->diagnostics.errors == 0; i++) {
    bool found;
    poa_const_value(e, e->consts[i].syntax->name, e->consts[i].syntax->value, &found);
  }
  if (model->diagnostics.errors > 0)
    return;
  elaborate_entries(model);
  poa_finish_parameters(e);
}

static const char *find_model(poa_arena *arena, const poa_model_options *options) {
  if (is_file(options->path))
    return options->path;
  const char *path = poa_arena_format(arena, "%s/%s.poa", options->models_dir, options->path);
  return is_file(path) ? path : NULL;
}

static poa_status open_model(poa_model *model, const poa_model_options *options, poa_error *error) {
  model->diagnostics = (poa_diagnostics){.arena = model->arena, .out = options->diagnostics};
  model->models_dir = poa_arena_text(model->arena, options->models_dir);
  model->path = find_model(model->arena, options);
  if (!model->path)
    return poa_fail(error, POA_BAD_INPUT, "no model '%s': it is neither a file nor a recipe in %s",
                    options->path, options->models_dir);
  model->path = poa_arena_text(model->arena, model->path);
  load_file(model, model->path, NULL);
  for (int i = 0; i < options->override_count; i++)
    add_override(model, options->overrides[i]);
  refuse_duplicates(model, model->program.modules, model->program.module_count, "module");
  refuse_duplicates(model, model->program.entries, model->program.entry_count, "entry");
  check_sets(model);
  if (model->diagnostics.errors == 0)
    elaborate_all(model, options);
  int errors = model->diagnostics.errors;
  if (errors == 0)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT, "%s (%d error%s)", model->diagnostics.first, errors,
                  errors == 1 ? "" : "s");
}

poa_status poa_model_load(poa_model **model, const poa_model_options *options, poa_error *error) {
  *model = NULL;
  poa_arena *arena = poa_arena_create();
  if (!arena)
    return poa_fail(error, POA_NO_MEMORY, "out of memory while loading '%s'", options->path);
  poa_model *loaded = poa_arena_alloc(arena, sizeof *loaded);
  loaded->arena = arena;
  poa_status status = open_model(loaded, options, error);
  if (status == POA_OK)
    *model = loaded;
  else
    poa_arena_free(arena);
  return status;
}

void poa_model_free(poa_model *model) {
  if (model)
    poa_arena_free(model->arena);
}

const char *poa_model_path(const poa_model *model) {
  return model->path;
}

const poa_lattice *poa_model_lattice(const poa_model *model) {
  return &model->elaborator.lattice;
}

int poa_model_entry_count(const poa_model *model) {
  return model->program.entry_count;
}

const char *poa_model_entry_name(const poa_model *model, int index) {
  return model->program.entries[index]->name;
}

/* The number of the entry, or -1. */
static int find_entry(const poa_model *model, const char *name) {
  for (int i = 0; i < model->program.entry_count; i++)
    if (strcmp(model->program.entries[i]->name, name) == 0)
      return i;
  return -1;
}

static poa_status unknown_entry(const poa_model *model, const char *entry, poa_error *error) {
  char names[400] = "";
  for (int i = 0; i < model->program.entry_count; i++) {
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
             model->program.entries[i]->name);
  }
  return poa_fail(error, POA_BAD_INPUT, "%s has no entry '%s'; its entries are: %s", model->path,
                  entry, *names ? names : "none");
}

bool poa_model_has_entry(const poa_model *model, const char *name) {
  return find_entry(model, name) >= 0;
}

poa_status poa_model_graph(const poa_model *model, const char *entry, poa_arena *arena,
                           poa_graph **graph, poa_error *error) {
  int number = find_entry(model, entry);
  if (number < 0)
    return unknown_entry(model, entry, error);
  *graph = poa_graph_share(model->graphs[number], arena);
  (*graph)->parameters = model->elaborator.parameters;
  (*graph)->parameter_count = model->elaborator.parameter_count;
  return POA_OK;
}

bool poa_model_has_const(poa_model *model, const char *name) {
  return poa_find_const(&model->elaborator, name) != NULL;
}

bool poa_model_number(poa_model *model, const char *name, double *value) {
  bool found;
  poa_worth worth = poa_const_value(&model->elaborator, name, NULL, &found);
  if (!found || worth.kind != VALUE_NUMBER || !poa_number_is_known(&worth.number))
    return false;
  *value = poa_number_value(&worth.number);
  return true;
}

const char *poa_model_extent_const(const poa_model *model, const char *entry, const char *input,
                                   int axis) {
  int number = find_entry(model, entry);
  const poa_definition *definition = number < 0 ? NULL : model->program.entries[number];
  for (int i = 0; definition && i < definition->formal_count; i++) {
    const poa_formal *formal = &definition->formals[i];
    if (strcmp(formal->name, input) != 0 || axis < 0 || axis >= formal->rank)
      continue;
    const poa_syntax *extent = formal->shape[axis];
    bool is_const = extent->kind == SYNTAX_NAME &&
                    poa_find_const((poa_elaborator *)&model->elaborator, extent->text);
    return is_const ? extent->text : NULL;
  }
  return NULL;
}
