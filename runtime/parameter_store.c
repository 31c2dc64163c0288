/* parameter_store.c: one block of parameters, found by name. */
#include "runtime/parameter_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory_block.h"

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
