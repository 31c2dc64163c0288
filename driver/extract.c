/* extract.c: writes points of the lattice as plain models, and proves each.
 *
 * The proof: the file that was written is opened again, the plain network runs on its
 * values, the elastic network runs at the point, both on the same random images. Their
 * features are sums of the same products, some with a factor taken into a weight first, so they
 * differ by float rounding alone: at most 1e-5 of the largest feature. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/lower.h"
#include "driver/deployment.h"
#include "driver/forward.h"
#include "driver/kernels.h"
#include "driver/temporary_folder.h"
#include "program/features_ends.h"
#include "runtime/checkpoint.h"
#include "runtime/file_order.h"
#include "runtime/philox.h"

#define ENTRY "features"
#define LARGEST_DIFFERENCE 1e-5

enum { PROOF_IMAGES = 8, METADATA = 8 };

static const uint32_t proof_use = 0x70726f66u; /* "prof" */

typedef struct extractor {
  poa_signals signals;
  const poa_flags *flags;
  poa_arena *arena;   /* of the run */
  poa_arena *scratch; /* of one point */
  poa_deployment deployment;
  poa_target target;
  poa_kernel_library *library;
  poa_executor *executor;
  int64_t proved, launches;
  poa_parameter_store *elastic; /* made for the first point: the table is the same at all */
} extractor;

static poa_status open_tools(extractor *x, poa_error *error) {
  const poa_flags *flags = x->flags;
  poa_status status = poa_open_kernels(flags, &x->target, &x->library, error);
  int threads = flags->threads > 0 ? (int)flags->threads : 0;
  return status ? status : poa_executor_create(&x->executor, threads, NULL, error);
}

/* Writing */

static poa_file_tensor file_tensor(const poa_plain_parameter *plain, const int64_t *file_axes,
                                   const float *values) {
  poa_file_tensor tensor = {.name = plain->name,
                            .dtype = POA_TENSOR_F32,
                            .order = poa_order_of_axes(file_axes, plain->type.rank),
                            .data = values};
  tensor.shape.rank = plain->file_type.rank;
  for (int i = 0; i < tensor.shape.rank; i++)
    tensor.shape.dim[i] = plain->file_type.dim[i].value;
  return tensor;
}

/* "runs/a teacher, step 950" */
static const char *describe_source(const extractor *x, const poa_extraction *extraction) {
  const poa_deployment *d = &x->deployment;
  const char *set = x->flags->from      ? x->flags->from
                    : extraction->count ? extraction->elastic[extraction->parameters[0].source].set
                                        : "";
  return poa_arena_format(x->scratch, "%s%s%s, step %lld", d->weights ? d->source : "first values",
                          *set ? " " : "", set, (long long)d->step);
}

static int describe(const extractor *x, const poa_extraction *extraction, const char *point,
                    poa_metadata *metadata) {
  const poa_deployment *d = &x->deployment;
  int count = 0;
  metadata[count++] = (poa_metadata){"version", POA_VERSION};
  metadata[count++] = (poa_metadata){"format", "pt"}; /* what PyTorch's tools look for */
  metadata[count++] = (poa_metadata){"model", d->flags.arguments[0]};
  metadata[count++] = (poa_metadata){"overrides", d->overrides};
  metadata[count++] = (poa_metadata){POA_KEY_POINT, point};
  metadata[count++] = (poa_metadata){"normalization", d->normalization};
  metadata[count++] = (poa_metadata){POA_KEY_SOURCE, describe_source(x, extraction)};
  metadata[count++] =
      (poa_metadata){"step", poa_arena_format(x->scratch, "%lld", (long long)d->step)};
  return count;
}

static poa_status write_file(extractor *x, const poa_extraction *extraction, const char *point,
                             const char *path, poa_error *error) {
  poa_file_tensor *tensors =
      poa_arena_alloc(x->scratch, ((size_t)extraction->count + 1) * sizeof *tensors);
  poa_metadata metadata[METADATA];
  poa_status status = POA_OK;
  for (int i = 0; i < extraction->count && status == POA_OK; i++) {
    const poa_plain_parameter *plain = &extraction->parameters[i];
    float *values =
        poa_arena_alloc(x->scratch, (size_t)poa_type_elements(plain->type) * sizeof *values);
    status = poa_deployment_plain_values(&x->deployment, extraction, i, values, error);
    tensors[i] = file_tensor(plain, extraction->elastic[plain->source].file_axes, values);
  }
  int count = describe(x, extraction, point, metadata);
  return status ? status
                : poa_safetensors_write(path, extraction->count, tensors, count, metadata, error);
}

/* Proof */

/* Runs the network on the proof's images; *features and *count are in the scratch arena. */
static poa_status run(extractor *x, poa_forward *forward, const poa_parameter_store *store,
                      float **features, int64_t *count, poa_error *error) {
  poa_features_ends ends;
  poa_random random;
  poa_status status = poa_find_features_ends(forward->plan, &ends, error);
  if (status == POA_OK)
    status = poa_forward_prepare(forward, x->executor, store, error);
  if (status)
    return status;
  float *pixels = poa_prepared_pointer(forward->prepared, ends.images->buffer);
  poa_random_open(&random, 0, 0, proof_use);
  for (int64_t i = 0; i < poa_plan_elements(ends.images->shape); i++)
    pixels[i] = (float)poa_random_normal(&random);
  poa_executor_run(x->executor, forward->prepared, NULL);
  x->launches += forward->plan->launch_count;
  *count = poa_plan_elements(ends.features->shape);
  *features = poa_arena_alloc(x->scratch, (size_t)*count * sizeof **features);
  memcpy(*features, poa_prepared_pointer(forward->prepared, ends.features->buffer),
         (size_t)*count * sizeof **features);
  return POA_OK;
}

/* The values of the elastic network's parameters that `graph` reads. They outlive the point: the
 * table and its places are the same at all. */
static poa_status fill_elastic(extractor *x, const poa_graph *graph, poa_error *error) {
  poa_plan *table;
  poa_graph *kept = poa_graph_create(x->arena, graph->name);
  size_t bytes = (size_t)graph->parameter_count * sizeof *kept->parameters;
  kept->parameter_count = graph->parameter_count;
  kept->parameters = poa_arena_alloc(x->arena, bytes + 1);
  memcpy(kept->parameters, graph->parameters, bytes);
  poa_status status = poa_lower_parameters(kept, x->arena, &table, error);
  if (status == POA_OK)
    status = poa_parameter_store_create(&x->elastic, table, error);
  for (int i = 0; i < kept->parameter_count && status == POA_OK; i++)
    status =
        poa_deployment_values(&x->deployment, &kept->parameters[i],
                              poa_parameter_store_values(x->elastic, &table->parameters[i]), error);
  return status;
}

static poa_status run_elastic(extractor *x, const poa_point *point, float **features,
                              int64_t *count, poa_error *error) {
  poa_options options = {
      .point = *point, .has_point = true, .vector_lanes = x->target.vector_lanes};
  poa_graph *graph;
  poa_forward forward = {0};
  poa_status status = poa_model_graph(x->deployment.model, ENTRY, x->scratch, &graph, error);
  if (status)
    return status;
  poa_drop_unread_parameters(graph); /* while it is symbolic: what some point reads */
  status = poa_forward_compile(&forward, graph, &options, x->library, error);
  if (status == POA_OK && !x->elastic)
    status = fill_elastic(x, graph, error);
  if (status == POA_OK)
    status = run(x, &forward, x->elastic, features, count, error);
  poa_forward_close(&forward);
  return status;
}

static poa_status run_plain(extractor *x, const char *path, poa_graph *graph, float **features,
                            int64_t *count, poa_error *error) {
  poa_options options = {.vector_lanes = x->target.vector_lanes};
  poa_forward forward = {0};
  poa_safetensors *file = NULL;
  poa_parameter_store *store = NULL;
  poa_status status = poa_safetensors_open(&file, path, error);
  if (status == POA_OK)
    status = poa_forward_compile(&forward, graph, &options, x->library, error);
  if (status == POA_OK)
    status = poa_parameter_store_create(&store, forward.plan, error);
  if (status == POA_OK)
    status = poa_checkpoint_load(file, store, error);
  if (status == POA_OK)
    status = run(x, &forward, store, features, count, error);
  poa_forward_close(&forward);
  poa_parameter_store_free(store);
  poa_safetensors_close(file);
  return status;
}

/* The largest difference, as a share of the largest feature. NaN is no proof. */
static double compare(const float *a, const float *b, int64_t count) {
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < count; i++) {
    double d = fabs((double)a[i] - (double)b[i]);
    if (!isfinite(d))
      return INFINITY;
    difference = d > difference ? d : difference;
    largest = fabs((double)b[i]) > largest ? fabs((double)b[i]) : largest;
  }
  return largest > 0 ? difference / largest : difference;
}

static poa_status prove(extractor *x, const char *path, poa_graph *plain, const poa_point *point,
                        double *difference, poa_error *error) {
  float *found, *expected;
  int64_t count, expected_count;
  poa_status status = run_plain(x, path, plain, &found, &count, error);
  if (status == POA_OK)
    status = run_elastic(x, point, &expected, &expected_count, error);
  if (status == POA_OK && count != expected_count)
    status = poa_fail(error, POA_UNSUPPORTED,
                      "the plain network has other features than the elastic one, a bug of poa");
  if (status)
    return status;
  *difference = compare(found, expected, count);
  ++x->proved;
  if (*difference <= LARGEST_DIFFERENCE)
    return POA_OK;
  return poa_fail(error, POA_UNSUPPORTED,
                  "the plain network does not compute what the elastic one does: its features "
                  "differ by %.2g of the largest, more than %.0g; nothing was written",
                  *difference, LARGEST_DIFFERENCE);
}

/* A point */

/* A proved file gets its name, or goes where it was only to be checked. */
static poa_status keep(const extractor *x, const char *unproved, const char *path,
                       poa_error *error) {
  if (x->flags->check)
    return unlink(unproved) == 0
               ? POA_OK
               : poa_fail(error, POA_IO, "cannot remove '%s': %s", unproved, strerror(errno));
  return rename(unproved, path) == 0
             ? POA_OK
             : poa_fail(error, POA_IO, "cannot write '%s': %s", path, strerror(errno));
}

static poa_status extract_to(extractor *x, const poa_point *point, const char *path,
                             poa_error *error) {
  poa_graph *graph;
  poa_extraction extraction;
  char text[256];
  double difference;
  const char *unproved = poa_arena_format(x->scratch, "%s.unproved-%ld", path, (long)getpid());
  poa_point_print(poa_model_lattice(x->deployment.model), point, text, sizeof text);
  poa_status status =
      poa_deployment_plain(&x->deployment, ENTRY, point, x->scratch, &graph, &extraction, error);
  if (status == POA_OK)
    status = write_file(x, &extraction, text, unproved, error);
  if (status)
    return status;
  status = prove(x, unproved, graph, point, &difference, error);
  if (status == POA_OK)
    status = keep(x, unproved, path, error);
  if (status) {
    unlink(unproved);
    return status;
  }
  int64_t elements = 0;
  for (int i = 0; i < extraction.count; i++)
    elements += poa_type_elements(extraction.parameters[i].type);
  printf("%s: %s%s%lld parameters; its features differ from the elastic network's by %.1e of the "
         "largest\n",
         x->flags->check ? "checked" : path, text, *text ? ", " : "", (long long)elements,
         difference);
  fflush(stdout);
  return POA_OK;
}

static poa_status extract_point(extractor *x, const poa_point *point, const char *path,
                                poa_error *error) {
  poa_arena_reset(x->scratch);
  if (poa_check_signals(&x->signals, error))
    return POA_INTERRUPTED;
  poa_status status = extract_to(x, point, path, error);
  return status ? poa_context(error, "%s", path) : POA_OK;
}

/* How few kernels the sub-networks share. */
static void report_kernels(const extractor *x) {
  poa_kernel_statistics kernels = poa_kernel_library_statistics(x->library);
  printf(
      "%lld sub-networks, as plain and as elastic networks: %lld launches, %lld kernels compiled, "
      "%lld from disk\n",
      (long long)x->proved, (long long)x->launches, (long long)kernels.compiled,
      (long long)kernels.from_disk);
}

static poa_status extract_all(extractor *x, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(x->deployment.model);
  const char *folder = x->flags->all_to;
  if (x->flags->check)
    folder = poa_temporary_base();
  else if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return poa_fail(error, POA_IO, "cannot make the folder '%s': %s", folder, strerror(errno));
  poa_status status = POA_OK;
  for (int64_t i = 0; i < poa_lattice_size(lattice) && status == POA_OK; i++) {
    char text[256];
    poa_point point = poa_lattice_point(lattice, i);
    poa_point_print(lattice, &point, text, sizeof text);
    const char *path =
        poa_arena_format(x->arena, "%s/%s.safetensors", folder, *text ? text : "model");
    status = extract_point(x, &point, path, error);
  }
  if (status == POA_OK)
    report_kernels(x);
  return status;
}

static poa_status check_flags(const poa_flags *flags, poa_error *error) {
  if ((flags->output != NULL) + (flags->all_to != NULL) + flags->check != 1)
    return poa_fail(
        error, POA_BAD_INPUT,
        "say where to: -o FILE for one point, or --all DIR; or --check to keep nothing");
  if (!flags->output && flags->at)
    return poa_fail(error, POA_BAD_INPUT,
                    "--all and --check take every point of the lattice: leave out --at");
  if (flags->points.count > 1)
    return poa_fail(error, POA_BAD_INPUT,
                    "a file holds one point: give one --at, or --all DIR for every point");
  return flags->output ? poa_check_writable(flags->output, error) : POA_OK;
}

static poa_status extract(extractor *x, poa_error *error) {
  poa_deployment *d = &x->deployment;
  poa_status status = check_flags(x->flags, error);
  if (status == POA_OK)
    status = poa_deployment_open_batch(d, x->flags, ENTRY, PROOF_IMAGES, x->arena, error);
  if (status == POA_OK && d->extracted)
    status = poa_fail(error, POA_BAD_INPUT, "'%s' is extracted already", x->flags->arguments[0]);
  poa_point point = {0};
  if (status == POA_OK && x->flags->output)
    status = poa_point_parse(poa_model_lattice(d->model), x->flags->at ? x->flags->at : "", &point,
                             error);
  if (status == POA_OK)
    status = open_tools(x, error);
  if (status)
    return status;
  return x->flags->output ? extract_point(x, &point, x->flags->output, error)
                          : extract_all(x, error);
}

int poa_extract_command(const poa_flags *flags) {
  poa_error error = {0};
  extractor x = {.flags = flags, .arena = poa_arena_create(), .scratch = poa_arena_create()};
  poa_status status = x.arena && x.scratch ? poa_signals_watch(&x.signals, &error)
                                           : poa_fail(&error, POA_NO_MEMORY, "out of memory");
  if (status == POA_OK) {
    status = extract(&x, &error);
    poa_signals_restore(&x.signals);
  }
  poa_executor_free(x.executor);
  poa_parameter_store_free(x.elastic);
  poa_kernel_library_free(x.library);
  poa_target_free(&x.target);
  poa_deployment_close(&x.deployment);
  poa_arena_free(x.scratch);
  poa_arena_free(x.arena);
  return status ? poa_report_failure(&error) : 0;
}
