/* compile.c: turns a model into native code that needs neither poa nor LLVM.
 *
 * Everything that can be wrong with what was asked for is found before the work begins: points
 * outside the lattice, an unknown CPU, a missing linker, a place that cannot be written. */
#include "driver/compile.h"

#include <stdlib.h>
#include <string.h>

#include "driver/link.h"
#include "driver/precision.h"

typedef enum product { EXE, SHARED, OBJECT, LLVM, ASM, ONNX } product;

static const char *const product_names[] = {"exe", "shared", "object", "llvm", "asm", "onnx"};
enum { PRODUCTS = sizeof product_names / sizeof *product_names };

static poa_status read_product(const poa_flags *flags, product *result, poa_error *error) {
  const char *name = flags->emit ? flags->emit : "exe";
  for (int i = 0; i < PRODUCTS; i++)
    if (strcmp(product_names[i], name) == 0) {
      *result = (product)i;
      return POA_OK;
    }
  const char *nearest = poa_nearest(name, product_names, PRODUCTS);
  return poa_fail(error, POA_BAD_INPUT,
                  "--emit '%s': expected exe, shared, object, llvm, asm or onnx%s%s%s", name,
                  nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static bool is_linked(product made) {
  return made == EXE || made == SHARED;
}

static poa_status check_trainer_flags(const poa_flags *flags, poa_error *error) {
  if (strcmp(flags->entry, "step") != 0)
    return poa_fail(
        error, POA_BAD_INPUT,
        "programs are made of the entries 'features' and 'step'; for '%s': --emit shared",
        flags->entry);
  if (flags->points.count)
    return poa_fail(error, POA_BAD_INPUT,
                    "a trainer has every point of the lattice compiled in: leave out --at");
  if (flags->batch)
    return poa_fail(error, POA_BAD_INPUT,
                    "the batch of a trainer is its description's: set the constant that says it, "
                    "by --set, and leave out --batch");
  if (flags->weights || flags->weights_external)
    return poa_fail(error, POA_BAD_INPUT,
                    "a trainer holds no weights: leave out %s, and give it a file to start from by "
                    "its own flag --init",
                    flags->weights ? "--weights" : "--weights-external");
  return POA_OK;
}

/* What does not go together. */
static poa_status check_flags(const poa_flags *flags, product made, poa_error *error) {
  bool step = flags->entry && strcmp(flags->entry, "features") != 0;
  if (!flags->output)
    return poa_fail(error, POA_BAD_INPUT, "say where to: -o FILE");
  if (flags->precision && !step)
    return poa_fail(error, POA_BAD_INPUT, "--precision is of training steps: add --entry step");
  if (flags->multiversion && made != EXE)
    return poa_fail(error, POA_BAD_INPUT, "--multiversion goes with --emit exe alone");
  if (flags->multiversion && (flags->cpu || flags->target))
    return poa_fail(error, POA_BAD_INPUT,
                    "--multiversion compiles for x86-64-v4 and x86-64-v3: leave out %s",
                    flags->cpu ? "--cpu" : "--target");
  if (flags->target && is_linked(made))
    return poa_fail(
        error, POA_BAD_INPUT,
        "--target goes with --emit object, llvm or asm: a program or shared library for "
        "another machine has to be linked there, or by a cross linker");
  if (flags->with_images && (made != EXE || step))
    return poa_fail(error, POA_BAD_INPUT,
                    "--with-images goes with --emit exe of the entry 'features' alone; trainers "
                    "read images without it");
  if (flags->with_images && !*POA_IMAGE_LIBRARIES)
    return poa_fail(error, POA_UNSUPPORTED,
                    "--with-images: this poa was built without libjpeg-turbo and libpng");
  return step && made == EXE ? check_trainer_flags(flags, error) : POA_OK;
}

/* Targets. */

static poa_status add_variant(poa_compilation *c, const char *cpu, poa_error *error) {
  poa_target *target = &c->targets[c->variant_count];
  poa_status status = poa_target_init_for(target, cpu, c->flags->target, error);
  if (status)
    return status;
  c->variants[c->variant_count++] =
      (poa_program_variant){.cpu = target->cpu, .features = target->features};
  return POA_OK;
}

static poa_status choose_targets(poa_compilation *c, poa_error *error) {
  if (!c->flags->multiversion)
    return add_variant(c, c->flags->cpu, error);
  poa_status status = add_variant(c, "x86-64-v4", error);
  return status ? status : add_variant(c, "x86-64-v3", error);
}

/* One precision for all variants, so that a program computes the same everywhere. */
static poa_status choose_precision(poa_compilation *c, poa_error *error) {
  c->bf16 = true;
  for (int i = 0; i < c->variant_count && c->bf16; i++) {
    poa_status status = poa_precision_of(c->flags, &c->targets[i], &c->bf16, error);
    if (status)
      return status;
  }
  return POA_OK;
}

/* Points. */

static bool is_listed(const poa_compilation *c, const poa_point *point) {
  const poa_lattice *lattice = poa_model_lattice(poa_compilation_model(c));
  for (int64_t i = 0; i < c->point_count; i++)
    if (poa_point_equal(lattice, &c->points[i], point))
      return true;
  return false;
}

static poa_status add_point(poa_compilation *c, const char *text, poa_error *error) {
  poa_point point;
  poa_status status =
      poa_point_parse(poa_model_lattice(poa_compilation_model(c)), text, &point, error);
  if (status == POA_OK && !is_listed(c, &point))
    c->points[c->point_count++] = point;
  return status;
}

static void take_all_points(poa_compilation *c, const poa_lattice *lattice) {
  c->point_count = poa_lattice_size(lattice);
  c->points = poa_arena_alloc(c->arena, (size_t)c->point_count * sizeof *c->points);
  for (int64_t i = 0; i < c->point_count; i++)
    c->points[i] = poa_lattice_point(lattice, i);
}

/* An extracted file is of one point; otherwise the points that --at names, and else the largest;
 * a trainer has all. */
static poa_status choose_points(poa_compilation *c, bool trainer, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(poa_compilation_model(c));
  const poa_texts *given = &c->flags->points;
  bool all = trainer || (given->count == 1 && strcmp(given->text[0], "all") == 0);
  if (all && !c->deployments[0].extracted) {
    take_all_points(c, lattice);
    return POA_OK;
  }
  c->points = poa_arena_alloc(c->arena, (size_t)(given->count + 1) * sizeof *c->points);
  poa_status status = POA_OK;
  for (int i = 0; i < given->count && status == POA_OK && !all; i++)
    status = add_point(c, given->text[i], error);
  if (status == POA_OK && c->point_count == 0) {
    c->points[0] = c->deployments[0].extracted ? c->deployments[0].point : poa_lattice_top(lattice);
    c->point_count = 1;
  }
  return status;
}

/* Batches. */

/* "1,16" */
static poa_status read_batches(poa_compilation *c, const char *otherwise, poa_error *error) {
  const char *text = c->flags->batch ? c->flags->batch : otherwise;
  for (const char *at = text; *at;) {
    char *end;
    long long batch = strtoll(at, &end, 10);
    if (end == at || (*end && *end != ',') || batch < 1 || batch > 65536 ||
        c->batch_count == POA_MAX_BATCHES)
      return poa_fail(error, POA_BAD_INPUT,
                      "--batch '%s': expected up to %d numbers of images from 1 to 65536, as 1,16",
                      text, POA_MAX_BATCHES);
    bool there = false;
    for (int i = 0; i < c->batch_count; i++)
      there |= c->batches[i] == batch;
    if (!there)
      c->batches[c->batch_count++] = batch;
    at = *end ? end + 1 : end;
  }
  return POA_OK;
}

static bool is_trainer(const poa_compilation *c, product made) {
  return made == EXE && strcmp(c->entry, "features") != 0;
}

/* Opens the model once for each batch: its size is a constant of the description. What trains
 * keeps the description's. */
static poa_status open_batches(poa_compilation *c, product made, poa_error *error) {
  poa_status status = poa_deployment_open(&c->deployments[0], c->flags, c->arena, error);
  bool sized = status == POA_OK && !is_trainer(c, made) &&
               poa_deployment_has_batch(&c->deployments[0], c->entry);
  if (status == POA_OK && !sized && c->flags->batch)
    status = poa_fail(
        error, POA_BAD_INPUT,
        "--batch: the entry '%s' has no input images whose first extent is a constant", c->entry);
  if (status == POA_OK && sized)
    status = read_batches(c, made == EXE ? "1,16" : made == ONNX ? "7" : "1", error);
  if (status == POA_OK && made != EXE && c->batch_count > 1)
    status = poa_fail(error, POA_BAD_INPUT, "several batches go with --emit exe alone");
  if (status || !sized) {
    c->batch_count = 1;
    return status;
  }
  poa_deployment_close(&c->deployments[0]);
  for (int i = 0; i < c->batch_count && status == POA_OK; i++)
    status = poa_deployment_open_batch(&c->deployments[i], c->flags, c->entry, c->batches[i],
                                       c->arena, error);
  return status;
}

/* The work. */

static poa_status make(poa_compilation *c, product made, poa_error *error) {
  switch (made) {
  case EXE:
    return poa_compile_program(c, error);
  case SHARED:
  case OBJECT:
    return poa_compile_library(c, POA_AOT_OBJECT, made == SHARED, error);
  case LLVM:
    return poa_compile_library(c, POA_AOT_LLVM, false, error);
  case ASM:
    return poa_compile_library(c, POA_AOT_ASSEMBLY, false, error);
  case ONNX:
    return poa_compile_onnx(c, error);
  }
  return POA_OK;
}

static poa_status compile(poa_compilation *c, poa_error *error) {
  product made = EXE;
  const char *linker;
  poa_status status = read_product(c->flags, &made, error);
  if (status == POA_OK)
    status = check_flags(c->flags, made, error);
  if (status == POA_OK)
    status = poa_check_writable(c->flags->output, error);
  if (status == POA_OK && is_linked(made))
    status = poa_linker_find(&linker, error);
  if (status == POA_OK)
    status = choose_targets(c, error);
  if (status == POA_OK)
    status = choose_precision(c, error);
  if (status == POA_OK)
    status = open_batches(c, made, error);
  c->trainer = is_trainer(c, made);
  if (status == POA_OK)
    status = choose_points(c, c->trainer, error);
  if (status == POA_OK && made != EXE && c->point_count > 1)
    status = poa_fail(error, POA_BAD_INPUT, "several points go with --emit exe alone");
  return status ? status : make(c, made, error);
}

int poa_compile(const poa_flags *flags) {
  poa_error error = {0};
  poa_compilation *c = calloc(1, sizeof *c);
  poa_arena *arena = poa_arena_create();
  poa_status status = POA_NO_MEMORY;
  if (c && arena) {
    c->flags = flags;
    c->arena = arena;
    c->entry = flags->entry ? flags->entry : "features";
    status = poa_signals_watch(&c->signals, &error);
    if (status == POA_OK) {
      status = compile(c, &error);
      poa_signals_restore(&c->signals);
    }
  } else {
    poa_fail(&error, POA_NO_MEMORY, "out of memory");
  }
  for (int i = 0; c && i < c->entry_count; i++)
    free(c->entries[i].owned);
  for (int i = 0; c && i < POA_MAX_BATCHES; i++)
    poa_deployment_close(&c->deployments[i]);
  for (int i = 0; c && i < c->variant_count; i++)
    poa_target_free(&c->targets[i]);
  free(c);
  poa_arena_free(arena);
  return status ? poa_report_failure(&error) : 0;
}
