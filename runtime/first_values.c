/* first_values.c: draws the first values of parameters, a piece at a time.
 *
 *   a set and a name          shape           pieces
 *   - student "head.weight"   f32[65536,256]  0 .. 255, each also copied to teacher "head.weight"
 *   - student "head.bias"     f32[65536]      256
 *   - adam_m "head.weight"    constant 0      257 .. 512 */
#include "runtime/first_values.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/crew.h"
#include "runtime/normal_values.h"
#include "runtime/philox.h"
#include "runtime/shape.h"

/* The use of randomness that names the streams of initial values ("init"). */
static const uint32_t initialization_use = 0x696e6974u;
static const double truncation = 2.0;

enum { PIECE = 1 << 16 }; /* elements: what fits a core's cache while it is copied */

/* Of a parameter. Numbers of parameters; -1: none. */
typedef struct share {
  int64_t first_piece;
  int first_copy; /* the first that starts as a copy of this one */
  int next_copy;  /* the next copy of what this one copies */
} share;

struct poa_first_values {
  const poa_parameter_store *store;
  uint64_t seed;
  int64_t pieces;
  share *shares; /* one per parameter, and an end */
};

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

/* Numbers that are never drawn again can be drawn from anywhere in the stream. */
static bool is_plainly_normal(const poa_plan_parameter *parameter) {
  return parameter->initializer == POA_INIT_NORMAL ||
         (parameter->initializer == POA_INIT_TRUNC_NORMAL &&
          parameter->a * POA_LARGEST_NORMAL < truncation);
}

static bool is_divisible(const poa_plan_parameter *parameter) {
  return parameter->initializer == POA_INIT_CONSTANT || is_plainly_normal(parameter);
}

static void fill(float *values, const poa_plan_parameter *parameter, int64_t first, int64_t count,
                 uint64_t seed) {
  uint64_t name = hash_name(parameter->name);
  if (is_plainly_normal(parameter)) {
    poa_normal_values(values, first, count, parameter->a, seed, name, initialization_use);
    return;
  }
  poa_random random; /* here first is 0, or nothing is drawn */
  poa_random_open(&random, seed, name, initialization_use);
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
        hops <= poa_parameter_store_plan(store)->parameter_count)
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

/* Dividing */

static int64_t piece_count(const poa_plan_parameter *parameter) {
  int64_t elements = poa_plan_elements(parameter->shape);
  if (elements == 0 || parameter->initializer == POA_INIT_COPY)
    return 0;
  return is_divisible(parameter) ? (elements + PIECE - 1) / PIECE : 1;
}

static void divide(poa_first_values *values) {
  const poa_plan *plan = poa_parameter_store_plan(values->store);
  for (int i = 0; i < plan->parameter_count; i++) {
    values->shares[i] = (share){values->pieces, -1, -1};
    values->pieces += piece_count(&plan->parameters[i]);
  }
  values->shares[plan->parameter_count] = (share){values->pieces, -1, -1};
  for (int i = 0; i < plan->parameter_count; i++) {
    if (plan->parameters[i].initializer != POA_INIT_COPY)
      continue;
    const poa_plan_parameter *source = copied_parameter(values->store, &plan->parameters[i], NULL);
    share *of = &values->shares[source - plan->parameters];
    values->shares[i].next_copy = of->first_copy;
    of->first_copy = i;
  }
}

poa_status poa_first_values_plan(poa_first_values **values, const poa_parameter_store *store,
                                 uint64_t seed, poa_error *error) {
  const poa_plan *plan = poa_parameter_store_plan(store);
  *values = NULL;
  for (int i = 0; i < plan->parameter_count; i++) {
    poa_status status = check_initializer(store, &plan->parameters[i], error);
    if (status != POA_OK)
      return status;
  }
  poa_first_values *made = calloc(1, sizeof *made);
  share *shares = calloc((size_t)plan->parameter_count + 1, sizeof *shares);
  if (!made || !shares) {
    free(made);
    free(shares);
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the first values");
  }
  *made = (poa_first_values){.store = store, .seed = seed, .shares = shares};
  divide(made);
  *values = made;
  return POA_OK;
}

int64_t poa_first_values_pieces(const poa_first_values *values) {
  return values->pieces;
}

void poa_first_values_free(poa_first_values *values) {
  if (values)
    free(values->shares);
  free(values);
}

/* Filling */

/* The parameter that a piece is of. */
static int parameter_of(const poa_first_values *values, int64_t piece) {
  int low = 0, high = poa_parameter_store_plan(values->store)->parameter_count;
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    if (values->shares[middle].first_piece <= piece)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void poa_first_values_fill(const poa_first_values *values, int64_t piece) {
  const poa_plan *plan = poa_parameter_store_plan(values->store);
  int number = parameter_of(values, piece);
  const poa_plan_parameter *parameter = &plan->parameters[number];
  int64_t first = (piece - values->shares[number].first_piece) * PIECE;
  int64_t left = poa_plan_elements(parameter->shape) - first;
  int64_t count = left > PIECE && is_divisible(parameter) ? PIECE : left;
  float *filled = poa_parameter_store_values(values->store, parameter) + first;
  fill(filled, parameter, first, count, values->seed);
  for (int i = values->shares[number].first_copy; i >= 0; i = values->shares[i].next_copy)
    memcpy(poa_parameter_store_values(values->store, &plan->parameters[i]) + first, filled,
           sizeof *filled * (size_t)count);
}

static void fill_piece(void *context, int64_t piece) {
  poa_first_values_fill(context, piece);
}

poa_status poa_parameter_store_initialize(poa_parameter_store *store, uint64_t seed, int threads,
                                          poa_error *error) {
  poa_first_values *values;
  poa_crew crew;
  poa_status status = poa_first_values_plan(&values, store, seed, error);
  if (status != POA_OK)
    return status;
  poa_crew_start(&crew, threads > 0 ? threads : omp_get_max_threads(), values->pieces, fill_piece,
                 values);
  poa_crew_finish(&crew);
  poa_first_values_free(values);
  return POA_OK;
}

poa_status poa_parameter_store_copy_sets(poa_parameter_store *store, poa_error *error) {
  const poa_plan *plan = poa_parameter_store_plan(store);
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
