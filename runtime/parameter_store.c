/* parameter_store.c: one block of parameters, found by name, initialized by name. */
#include "runtime/parameter_store.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory_block.h"
#include "runtime/philox.h"
#include "runtime/shape.h"

/* The use of randomness that names the streams of initial values ("init"). */
static const uint32_t initialization_use = 0x696e6974u;
static const double truncation = 2.0;

struct poa_parameter_store {
  const poa_plan *plan;
  poa_memory_block block;
  bool borrowed;                     /* the block is someone else's */
  const poa_plan_parameter **sorted; /* by set, then name */
};

/* Lookup */

static int compare_names(const char *set_a, const char *name_a, const char *set_b,
                         const char *name_b) {
  int order = strcmp(set_a, set_b);
  return order ? order : strcmp(name_a, name_b);
}

static int compare_parameters(const void *a, const void *b) {
  const poa_plan_parameter *x = *(const poa_plan_parameter *const *)a;
  const poa_plan_parameter *y = *(const poa_plan_parameter *const *)b;
  return compare_names(x->set, x->name, y->set, y->name);
}

const poa_plan_parameter *poa_parameter_store_find(const poa_parameter_store *store,
                                                   const char *set, const char *name) {
  int low = 0, high = store->plan->parameter_count;
  while (low < high) {
    int middle = low + (high - low) / 2;
    const poa_plan_parameter *candidate = store->sorted[middle];
    int order = compare_names(set, name, candidate->set, candidate->name);
    if (order == 0)
      return candidate;
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

int poa_parameter_key(const poa_plan_parameter *parameter, char *key, size_t bytes) {
  return snprintf(key, bytes, "%s%s%s", parameter->set, parameter->set[0] ? "." : "",
                  parameter->name);
}

void *poa_parameter_store_data(const poa_parameter_store *store) {
  return store->block.data;
}

int64_t poa_parameter_store_bytes(const poa_parameter_store *store) {
  return store->block.bytes;
}

const poa_plan *poa_parameter_store_plan(const poa_parameter_store *store) {
  return store->plan;
}

float *poa_parameter_store_values(const poa_parameter_store *store,
                                  const poa_plan_parameter *parameter) {
  return (float *)((char *)store->block.data + parameter->offset);
}

/* Creation */

static poa_status check_parameter(const poa_plan *plan, const poa_plan_parameter *parameter,
                                  poa_error *error) {
  int64_t bytes = poa_plan_elements(parameter->shape) * (int64_t)sizeof(float);
  if (bytes >= 0 && parameter->offset >= 0 && parameter->offset % (int64_t)sizeof(float) == 0 &&
      bytes <= plan->parameter_bytes && parameter->offset <= plan->parameter_bytes - bytes)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "entry '%s': parameter '%s' of set '%s' has %lld bytes at offset %lld of a "
                  "space of %lld bytes; the plan is damaged",
                  plan->entry, parameter->name, parameter->set, (long long)bytes,
                  (long long)parameter->offset, (long long)plan->parameter_bytes);
}

static poa_status sort_parameters(poa_parameter_store *store, poa_error *error) {
  const poa_plan *plan = store->plan;
  for (int i = 0; i < plan->parameter_count; i++) {
    poa_status status = check_parameter(plan, &plan->parameters[i], error);
    if (status != POA_OK)
      return status;
    store->sorted[i] = &plan->parameters[i];
  }
  qsort(store->sorted, (size_t)plan->parameter_count, sizeof *store->sorted, compare_parameters);
  for (int i = 1; i < plan->parameter_count; i++)
    if (compare_parameters(&store->sorted[i - 1], &store->sorted[i]) == 0)
      return poa_fail(error, POA_BAD_INPUT,
                      "entry '%s': parameter '%s' of set '%s' is listed twice; names must differ",
                      plan->entry, store->sorted[i]->name, store->sorted[i]->set);
  return POA_OK;
}

/* A store whose parameters are sorted, without memory for their values. */
static poa_status create_empty(poa_parameter_store **store, const poa_plan *plan,
                               poa_error *error) {
  *store = NULL;
  poa_parameter_store *made = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the parameters");
  made->plan = plan;
  made->sorted = calloc((size_t)plan->parameter_count + 1, sizeof *made->sorted);
  poa_status status = made->sorted ? sort_parameters(made, error)
                                   : poa_fail(error, POA_NO_MEMORY, "out of memory for parameters");
  if (status != POA_OK) {
    poa_parameter_store_free(made);
    return status;
  }
  *store = made;
  return POA_OK;
}

poa_status poa_parameter_store_create(poa_parameter_store **store, const poa_plan *plan,
                                      poa_error *error) {
  poa_status status = create_empty(store, plan, error);
  if (status != POA_OK)
    return status;
  status =
      poa_memory_block_create(&(*store)->block, plan->parameter_bytes, "the parameters", error);
  if (status != POA_OK) {
    poa_parameter_store_free(*store);
    *store = NULL;
  }
  return status;
}

poa_status poa_parameter_store_borrow(poa_parameter_store **store, const poa_plan *plan,
                                      const void *data, poa_error *error) {
  poa_status status = create_empty(store, plan, error);
  if (status != POA_OK)
    return status;
  /* Nothing writes through it: a plan without updates has no launch that could. */
  (*store)->block = (poa_memory_block){(void *)(uintptr_t)data, plan->parameter_bytes};
  (*store)->borrowed = true;
  return POA_OK;
}

void poa_parameter_store_free(poa_parameter_store *store) {
  if (!store)
    return;
  if (!store->borrowed)
    poa_memory_block_free(&store->block);
  free(store->sorted);
  free(store);
}

/* Initialization */

/* FNV-1a, 64 bits. */
static uint64_t hash_name(const char *name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
  return hash;
}

/* A normal cut at +-truncation. Drawing again is right for any deviation, but takes ever
 * longer for a large one; then a uniform number, kept with the density's probability, is as right.
 */
static double truncated_normal(poa_random *random, double deviation) {
  for (;;) {
    if (deviation <= 2 * truncation) {
      double value = deviation * poa_random_normal(random);
      if (fabs(value) <= truncation)
        return value;
    } else {
      double value = truncation * (2 * poa_random_uniform(random) - 1);
      double ratio = value / deviation;
      if (poa_random_uniform(random) <= exp(-0.5 * ratio * ratio))
        return value;
    }
  }
}

static double draw(poa_random *random, poa_initializer initializer, double a) {
  switch (initializer) {
  case POA_INIT_TRUNC_NORMAL:
    return truncated_normal(random, a);
  case POA_INIT_NORMAL:
    return a * poa_random_normal(random);
  case POA_INIT_UNIFORM:
    return a * (2 * poa_random_uniform(random) - 1);
  case POA_INIT_CONSTANT:
  case POA_INIT_COPY:
    break;
  }
  return a;
}

static void fill(float *values, const poa_plan_parameter *parameter, uint64_t seed) {
  int64_t count = poa_plan_elements(parameter->shape);
  poa_random random;
  poa_random_open(&random, seed, hash_name(parameter->name), initialization_use);
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)draw(&random, parameter->initializer, parameter->a);
}

/* The parameter at the end of a chain of copies, or NULL after recording why there is none. */
static const poa_plan_parameter *copied_parameter(const poa_parameter_store *store,
                                                  const poa_plan_parameter *parameter,
                                                  poa_error *error) {
  const poa_plan_parameter *source = parameter;
  for (int hops = 0; source->initializer == POA_INIT_COPY; hops++) {
    const char *from = source->copy_of;
    source = from ? poa_parameter_store_find(store, from, source->name) : NULL;
    if (source && poa_shapes_equal(source->shape, parameter->shape) &&
        hops <= store->plan->parameter_count)
      continue;
    poa_fail(error, POA_BAD_INPUT, "parameter '%s' of set '%s' starts as a copy of set '%s', %s",
             parameter->name, parameter->set, from ? from : "",
             !source ? "which has no parameter of that name"
             : poa_shapes_equal(source->shape, parameter->shape)
                 ? "which in turn copies it; one set must have values of its own"
                 : "where it has another shape");
    return NULL;
  }
  return source;
}

static poa_status check_initializer(const poa_parameter_store *store,
                                    const poa_plan_parameter *parameter, poa_error *error) {
  switch (parameter->initializer) {
  case POA_INIT_CONSTANT:
    return POA_OK;
  case POA_INIT_COPY:
    return copied_parameter(store, parameter, error) ? POA_OK : POA_BAD_INPUT;
  case POA_INIT_TRUNC_NORMAL:
  case POA_INIT_NORMAL:
  case POA_INIT_UNIFORM:
    if (isfinite(parameter->a) && parameter->a >= 0)
      return POA_OK;
    return poa_fail(error, POA_BAD_INPUT,
                    "parameter '%s' of set '%s': an initializer's width must be a finite number "
                    "not below 0, but it is %g",
                    parameter->name, parameter->set, parameter->a);
  }
  return poa_fail(error, POA_BAD_INPUT, "parameter '%s' of set '%s': unknown initializer %d",
                  parameter->name, parameter->set, (int)parameter->initializer);
}

poa_status poa_parameter_store_initialize(poa_parameter_store *store, uint64_t seed, int threads,
                                          poa_error *error) {
  const poa_plan *plan = store->plan;
  for (int i = 0; i < plan->parameter_count; i++) {
    poa_status status = check_initializer(store, &plan->parameters[i], error);
    if (status != POA_OK)
      return status;
  }
  if (threads <= 0)
    threads = omp_get_max_threads();
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int i = 0; i < plan->parameter_count; i++)
    if (plan->parameters[i].initializer != POA_INIT_COPY)
      fill(poa_parameter_store_values(store, &plan->parameters[i]), &plan->parameters[i], seed);
  return poa_parameter_store_copy_sets(store, error);
}

poa_status poa_parameter_store_copy_sets(poa_parameter_store *store, poa_error *error) {
  const poa_plan *plan = store->plan;
  for (int i = 0; i < plan->parameter_count; i++) {
    const poa_plan_parameter *parameter = &plan->parameters[i];
    if (parameter->initializer != POA_INIT_COPY)
      continue;
    const poa_plan_parameter *source = copied_parameter(store, parameter, error);
    if (!source)
      return POA_BAD_INPUT;
    memcpy(poa_parameter_store_values(store, parameter), poa_parameter_store_values(store, source),
           sizeof(float) * (size_t)poa_plan_elements(parameter->shape));
  }
  return POA_OK;
}
