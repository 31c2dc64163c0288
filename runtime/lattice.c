/* lattice.c: points of a lattice, by number and as the user writes them. */
#include "runtime/lattice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

poa_point poa_lattice_top(const poa_lattice *lattice) {
  poa_point point = {0};
  for (int i = 0; i < lattice->count; i++)
    point.value[i] = lattice->name[i].max;
  return point;
}

int64_t poa_elastic_values(const poa_elastic *name) {
  int64_t span;
  if (name->step <= 0 || name->max < name->min)
    return 1;
  if (__builtin_sub_overflow(name->max, name->min, &span))
    return INT64_MAX;
  span /= name->step;
  return span < INT64_MAX ? span + 1 : span;
}

int64_t poa_lattice_size(const poa_lattice *lattice) {
  int64_t size = 1;
  for (int i = 0; i < lattice->count; i++)
    if (__builtin_mul_overflow(size, poa_elastic_values(&lattice->name[i]), &size))
      return INT64_MAX;
  return size;
}

poa_point poa_lattice_point(const poa_lattice *lattice, int64_t index) {
  poa_point point = {0};
  for (int i = lattice->count - 1; i >= 0; i--) {
    const poa_elastic *name = &lattice->name[i];
    int64_t values = poa_elastic_values(name);
    point.value[i] = name->min + index % values * name->step;
    index /= values;
  }
  return point;
}

bool poa_lattice_contains(const poa_lattice *lattice, const poa_point *point) {
  for (int i = 0; i < lattice->count; i++) {
    const poa_elastic *name = &lattice->name[i];
    int64_t value = point->value[i];
    if (value < name->min || value > name->max)
      return false;
    if (name->step > 0 && (value - name->min) % name->step != 0)
      return false;
  }
  return true;
}

bool poa_point_equal(const poa_lattice *lattice, const poa_point *a, const poa_point *b) {
  return memcmp(a, b, (size_t)lattice->count * sizeof a->value[0]) == 0;
}

int poa_point_print(const poa_lattice *lattice, const poa_point *point, char *out, size_t size) {
  int length = 0;
  if (size)
    *out = '\0';
  for (int i = 0; i < lattice->count; i++) {
    size_t left = (size_t)length < size ? size - (size_t)length : 0;
    length += snprintf(left ? out + length : NULL, left, "%s%s=%" PRId64, i ? "," : "",
                       lattice->name[i].name, point->value[i]);
  }
  return length;
}

/* "width=64..192 step 64, depth=3..6" */
static const char *describe(const poa_lattice *lattice, char *text, size_t size) {
  *text = '\0';
  for (int i = 0; i < lattice->count; i++) {
    const poa_elastic *e = &lattice->name[i];
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s=%" PRId64 "..%" PRId64, i ? ", " : "", e->name, e->min,
             e->max);
    used = strlen(text);
    if (e->step != 1)
      snprintf(text + used, size - used, " step %" PRId64, e->step);
  }
  return *text ? text : "none: the model has no elastic names";
}

static int find_name(const poa_lattice *lattice, const char *name, size_t length) {
  for (int i = 0; i < lattice->count; i++)
    if (strlen(lattice->name[i].name) == length &&
        strncmp(lattice->name[i].name, name, length) == 0)
      return i;
  return -1;
}

/* Names left out stand for their largest value. */
poa_status poa_point_parse(const poa_lattice *lattice, const char *text, poa_point *point,
                           poa_error *error) {
  char points[400];
  *point = poa_lattice_top(lattice);
  for (const char *at = text; *at;) {
    const char *equals = strchr(at, '=');
    int index = equals ? find_name(lattice, at, (size_t)(equals - at)) : -1;
    char *end = NULL;
    if (index >= 0)
      point->value[index] = strtoll(equals + 1, &end, 10);
    if (index < 0 || end == equals + 1 || (*end && *end != ','))
      return poa_fail(error, POA_BAD_INPUT, "--at '%s': expected NAME=NUMBER,..; the points are %s",
                      text, describe(lattice, points, sizeof points));
    at = *end ? end + 1 : end;
  }
  if (!poa_lattice_contains(lattice, point))
    return poa_fail(error, POA_BAD_INPUT, "--at '%s' is outside the lattice; the points are %s",
                    text, describe(lattice, points, sizeof points));
  return POA_OK;
}
