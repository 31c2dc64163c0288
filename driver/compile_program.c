/* compile_program.c: a program of its own.
 *
 *   entries -> objects in a temporary folder -> the system's linker -> the output, renamed when
 *   it is whole
 *
 * Linked in are libpoa_program and libpoart, of which only what is called stays, and the static
 * libraries they need, those of images only where they are asked for or trained on; libc, libm and
 * the OpenMP runtime are shared. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/compile.h"
#include "driver/install_paths.h"
#include "driver/link.h"
#include "driver/steps.h"
#include "driver/subnetwork.h"
#include "driver/temporary_folder.h"
#include "program/training_report.h"
#include "runtime/safetensors.h"

#define FEATURES "features"

static bool is_features(const poa_compilation *c) {
  return strcmp(c->entry, FEATURES) == 0;
}

/* Entries */

/* A trainer evaluates at its end, as `poa train` does. */
static poa_status add_evaluation(poa_compilation *c, poa_error *error) {
  poa_point points[POA_REPORTED_POINTS];
  const poa_model *model = poa_compilation_model(c);
  poa_status status = POA_OK;
  if (!poa_model_has_entry(model, FEATURES))
    return POA_OK;
  int64_t count = poa_reported_points(poa_model_lattice(model), points);
  for (int64_t i = 0; i < count && status == POA_OK; i++)
    status = poa_compile_add(c, FEATURES, &points[i], error);
  return status;
}

static poa_status add_entries(poa_compilation *c, poa_error *error) {
  poa_status status = POA_OK;
  for (int64_t i = 0; i < c->point_count && status == POA_OK; i++)
    status = poa_compile_add(c, c->entry, &c->points[i], error);
  return status || is_features(c) ? status : add_evaluation(c, error);
}

/* What is told of a sub-network: its size and FLOPs for one image. */
static poa_status describe_entry(const poa_compilation *c, const poa_compiled_entry *made,
                                 poa_arena *scratch, poa_program_entry *entry, poa_error *error) {
  *entry = (poa_program_entry){.entry = made->entry,
                               .point = made->point,
                               .variant = made->variant,
                               .plan = made->lowered.plan};
  if (strcmp(made->entry, FEATURES) != 0)
    return POA_OK;
  poa_subnetwork network;
  poa_status status = poa_subnetwork_measure(c->deployments[made->batch].model, &made->point,
                                             scratch, &network, error);
  const poa_plan *plan = made->lowered.plan;
  entry->batch = plan->input_count ? plan->inputs[0].shape.dim[0] : 1;
  entry->parameters = network.parameters;
  entry->flops = network.flops;
  return status;
}

static poa_status describe_entries(const poa_compilation *c, poa_program *program,
                                   poa_error *error) {
  poa_program_entry *entries =
      poa_arena_alloc(c->arena, ((size_t)c->entry_count + 1) * sizeof *entries);
  poa_arena *scratch = poa_arena_create();
  poa_status status = scratch ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
  for (int i = 0; i < c->entry_count && status == POA_OK; i++)
    status = describe_entry(c, &c->entries[i], scratch, &entries[i], error);
  poa_arena_free(scratch);
  program->entries = entries;
  program->entry_count = c->entry_count;
  return status;
}

static poa_status describe(const poa_compilation *c, poa_program *program, poa_error *error) {
  const poa_deployment *d = &c->deployments[0];
  *program = (poa_program){
      .version = POA_VERSION,
      .model = d->flags.arguments[0],
      .model_path = poa_model_path(d->model),
      .overrides = d->overrides,
      .source = d->source,
      .lattice = *poa_model_lattice(d->model),
      .normalization = d->normalization,
      .bf16 = c->bf16,
      .variants = c->variants,
      .variant_count = c->variant_count,
      .weights_file = "",
  };
  poa_model_number(d->model, "steps", &program->steps);
  poa_model_number(d->model, "eval_images", &program->eval_images);
  return describe_entries(c, program, error);
}

/* What --steps of a trainer may change, in one of its entries. */
static poa_status describe_schedules(const poa_compilation *c, const char *entry,
                                     poa_program *program, poa_error *error) {
  poa_step_slopes slopes;
  poa_status status = poa_find_step_slopes(&c->deployments[0], entry, c->arena, &slopes, error);
  if (status)
    return status;
  program->steps_vary = program->steps_vary && slopes.vary;
  for (int i = 0; i < program->entry_count; i++)
    if (strcmp(program->entries[i].entry, entry) == 0)
      poa_set_step_slopes(&slopes, program->entries[i].plan);
  return POA_OK;
}

static poa_status describe_training(const poa_compilation *c, poa_program *program,
                                    poa_error *error) {
  program->steps_vary = true;
  poa_status status = describe_schedules(c, c->entry, program, error);
  if (status == POA_OK && poa_model_has_entry(poa_compilation_model(c), FEATURES))
    status = describe_schedules(c, FEATURES, program, error);
  return status;
}

/* A trainer is of an elastic network, for a known number of steps if that is a constant. */
static poa_status check_trainer(const poa_compilation *c, poa_error *error) {
  double steps = 0;
  poa_model *model = poa_compilation_model(c);
  if (c->deployments[0].extracted)
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s' is a plain network: a trainer is made of a description or of a run's "
                    "folder",
                    c->flags->arguments[0]);
  if (!poa_model_has_const(model, "steps"))
    return POA_OK;
  if (poa_model_number(model, "steps", &steps) && steps >= 1 && steps == floor(steps))
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "the constant 'steps' has to be a whole number of at least 1 to compile a "
                  "trainer: --set steps=N");
}

/* Weights beside the program */

static poa_status write_weights(const poa_compilation *c, const poa_plan *plan, const void *weights,
                                const char *path, poa_error *error) {
  poa_file_tensor *tensors =
      poa_arena_alloc(c->arena, ((size_t)plan->parameter_count + 1) * sizeof *tensors);
  for (int i = 0; i < plan->parameter_count; i++) {
    const poa_plan_parameter *p = &plan->parameters[i];
    char key[1100];
    poa_parameter_key(p, key, sizeof key);
    tensors[i] = (poa_file_tensor){.name = poa_arena_text(c->arena, key),
                                   .dtype = POA_TENSOR_F32,
                                   .shape = p->shape,
                                   .order = p->order,
                                   .data = (const char *)weights + p->offset};
  }
  poa_metadata metadata[] = {{"model", c->deployments[0].flags.arguments[0]},
                             {"version", POA_VERSION}};
  return poa_safetensors_write(path, plan->parameter_count, tensors, 2, metadata, error);
}

/* Into the program, or into OUTPUT.safetensors. */
static poa_status place_weights(poa_compilation *c, poa_program *program, void **weights,
                                poa_error *error) {
  const poa_plan *plan = c->entries[0].lowered.plan;
  poa_status status = poa_compile_weights(c, weights, error);
  program->weight_bytes = plan->parameter_bytes;
  if (status || !c->flags->weights_external) {
    program->weights = *weights;
    return status;
  }
  const char *path = poa_arena_format(c->arena, "%s.safetensors", c->flags->output);
  program->weights_file = poa_base_name(path);
  return write_weights(c, plan, *weights, path, error);
}

/* Linking */

static poa_status link_program(const poa_compilation *c, const char *prefix, int objects,
                               const char *output, poa_error *error) {
  char folder[PATH_MAX];
  const char *linker;
  poa_link_line line = {0};
  bool images = *POA_IMAGE_LIBRARIES && (c->flags->with_images || !is_features(c));
  poa_status status = poa_linker_find(&linker, error);
  if (status == POA_OK)
    status = poa_library_dir(folder, sizeof folder, error);
  if (status)
    return status;
  const char *ours = poa_arena_format(c->arena, "%s/", folder);
  poa_link_add(&line, linker);
  poa_link_add_list(&line, c->arena, "", "-pie|-o");
  poa_link_add(&line, output);
  for (int i = 0; i < objects; i++)
    poa_link_add(&line, poa_arena_format(c->arena, "%s-%d.o", prefix, i));
  poa_link_add_list(&line, c->arena, ours, "libpoa_program.a|libpoart.a");
  poa_link_add_list(&line, c->arena, ours, images ? "libpoa_images.a" : "libpoa_no_images.a");
  if (images)
    poa_link_add_list(&line, c->arena, ours, "libpoart.a|" POA_IMAGE_LIBRARIES);
  poa_link_add_list(&line, c->arena, ours, POA_STATIC_LIBRARIES);
  poa_link_add_list(&line, c->arena, "", POA_LINK_FLAGS);
  return poa_linker_run(linker, line.argument, error);
}

/* Builds everything in `folder`, then gives the program its name. */
static poa_status build(poa_compilation *c, const poa_program *program, const char *folder,
                        poa_error *error) {
  poa_lowered *lowered = poa_arena_alloc(c->arena, ((size_t)c->entry_count + 1) * sizeof *lowered);
  for (int i = 0; i < c->entry_count; i++)
    lowered[i] = c->entries[i].lowered;
  poa_aot_program made = {.program = program,
                          .lowered = lowered,
                          .targets = c->targets,
                          .main = is_features(c) ? "poa_features_main" : "poa_training_main"};
  const char *prefix = poa_arena_format(c->arena, "%s/object", folder);
  const char *output =
      poa_arena_format(c->arena, "%s.linking-%ld", c->flags->output, (long)getpid());
  int objects = 0;
  poa_status status = poa_aot_program_write(&made, prefix, &objects, error);
  if (status == POA_OK)
    status = poa_check_signals(&c->signals, error);
  if (status == POA_OK)
    status = link_program(c, prefix, objects, output, error);
  if (status == POA_OK && rename(output, c->flags->output) != 0)
    status = poa_fail(error, POA_IO, "cannot write '%s': %s", c->flags->output, strerror(errno));
  if (status)
    unlink(output);
  for (int i = 0; i < objects; i++)
    unlink(poa_arena_format(c->arena, "%s-%d.o", prefix, i));
  return status;
}

static poa_status build_in_temporary_folder(poa_compilation *c, const poa_program *program,
                                            poa_error *error) {
  const char *folder;
  poa_status status = poa_make_temporary_folder(c->arena, &folder, error);
  if (status)
    return status;
  status = build(c, program, folder, error);
  poa_remove_temporary_folder(folder);
  return status;
}

static void tell(const poa_compilation *c, const poa_program *program) {
  const char *weights = program->weights         ? "inside"
                        : *program->weights_file ? program->weights_file
                                                 : "none";
  printf("%s: %d plan%s for %s%s%s; weights: %s\n", c->flags->output, program->entry_count,
         program->entry_count == 1 ? "" : "s", c->variants[0].cpu,
         c->variant_count > 1 ? " and " : "", c->variant_count > 1 ? c->variants[1].cpu : "",
         weights);
}

poa_status poa_compile_program(poa_compilation *c, poa_error *error) {
  poa_program program;
  void *weights = NULL;
  poa_status status = is_features(c) ? POA_OK : check_trainer(c, error);
  if (status == POA_OK)
    status = add_entries(c, error);
  if (status == POA_OK)
    status = poa_compile_lower(c, error);
  if (status == POA_OK)
    status = describe(c, &program, error);
  if (status == POA_OK && is_features(c))
    status = place_weights(c, &program, &weights, error);
  else if (status == POA_OK)
    status = describe_training(c, &program, error);
  if (status == POA_OK)
    status = build_in_temporary_folder(c, &program, error);
  free(weights);
  if (status == POA_OK)
    tell(c, &program);
  return status;
}
