/* type.c: dtype and shape, f32[64,4*width]. */
#include "ir/internal.h"

const char *poa_dtype_name(poa_dtype dtype) {
  static const char *const names[] = {[POA_F32] = "f32", [POA_I32] = "i32", [POA_BOOL] = "bool"};
  return names[dtype];
}

bool poa_type_known(poa_type type) {
  for (int i = 0; i < type.rank; i++)
    if (type.dim[i].expr)
      return false;
  return true;
}

int64_t poa_type_elements(poa_type type) {
  int64_t elements = 1;
  for (int i = 0; i < type.rank; i++)
    if (__builtin_mul_overflow(elements, type.dim[i].value, &elements))
      return INT64_MAX;
  return elements;
}

int64_t poa_joined_extent(const poa_type *type, int first, int end) {
  int64_t extent = 1;
  for (int i = first; i < end; i++)
    extent *= type->dim[i].value;
  return extent;
}

bool poa_type_equal(const poa_lattice *lattice, const poa_type *a, const poa_type *b) {
  if (a->dtype != b->dtype || a->rank != b->rank)
    return false;
  for (int i = 0; i < a->rank; i++)
    if (!poa_extent_equal(lattice, a->dim[i], b->dim[i]))
      return false;
  return true;
}

bool poa_same_shape(const poa_type *a, const poa_type *b) {
  if (a->rank != b->rank)
    return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i].value != b->dim[i].value)
      return false;
  return true;
}

static size_t left(size_t size, int length) {
  return (size_t)length < size ? size - (size_t)length : 0;
}

int poa_type_print(const poa_lattice *lattice, const poa_type *type, char *out, size_t size) {
  int length = snprintf(out, size, "%s[", poa_dtype_name(type->dtype));
  for (int i = 0; i < type->rank; i++) {
    size_t rest = left(size, length);
    length += snprintf(rest ? out + length : NULL, rest, "%s", i ? "," : "");
    rest = left(size, length);
    length += poa_extent_print(lattice, type->dim[i], rest ? out + length : NULL, rest);
  }
  size_t rest = left(size, length);
  return length + snprintf(rest ? out + length : NULL, rest, "]");
}

poa_type_text poa_type_words(const poa_graph *graph, const poa_type *type) {
  poa_type_text words;
  poa_type_print(&graph->lattice, type, words.text, sizeof words.text);
  return words;
}
