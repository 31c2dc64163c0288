/* npy.c: see npy.h. */
#include "runtime/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/atomic_file.h"

enum { MAX_RANK = 4, MAGIC = 6, HEADER = 128, MAX_HEADER = 65536 };

typedef struct array {
  char kind; /* 'u': bytes; 'f': float; 'd': double */
  int rank;
  int64_t dim[MAX_RANK];
  const uint8_t *data;
} array;

bool poa_is_npy(const uint8_t *bytes, size_t size) {
  return size > MAGIC && memcmp(bytes, "\x93NUMPY", MAGIC) == 0;
}

/* Header */

/* What follows "'key':" in the header, or NULL. */
static const char *find_value(const char *header, const char *key) {
  const char *at = strstr(header, key);
  at = at ? strchr(at, ':') : NULL;
  return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static poa_status read_shape(const char *text, array *a, poa_error *error) {
  if (!text || *text != '(')
    return poa_fail(error, POA_BAD_INPUT, "the header names no shape");
  for (text++; *text != ')';) {
    char *end;
    long long extent = strtoll(text, &end, 10);
    if (end == text || extent < 0 || extent > INT32_MAX || a->rank == MAX_RANK)
      return poa_fail(error, POA_BAD_INPUT, "the shape is none of images: %.80s", text);
    a->dim[a->rank++] = extent;
    text = end + strspn(end, ", ");
  }
  return POA_OK;
}

static poa_status read_kind(const char *text, array *a, poa_error *error) {
  static const struct {
    const char *name;
    char kind;
  } kinds[] = {{"'|u1'", 'u'}, {"'<f4'", 'f'}, {"'<f8'", 'd'}};
  for (size_t i = 0; text && i < sizeof kinds / sizeof *kinds; i++)
    if (strncmp(text, kinds[i].name, 5) == 0) {
      a->kind = kinds[i].kind;
      return POA_OK;
    }
  return poa_fail(error, POA_BAD_INPUT,
                  "expected uint8, float32 or float64 (little-endian), found %.*s",
                  text ? (int)strcspn(text, ",}") : 7, text ? text : "no type");
}

static int64_t element_bytes(char kind) {
  return kind == 'u' ? 1 : kind == 'f' ? 4 : 8;
}

static poa_status check_size(const array *a, const uint8_t *end, poa_error *error) {
  int64_t bytes = element_bytes(a->kind);
  for (int i = 0; i < a->rank; i++)
    if (__builtin_mul_overflow(bytes, a->dim[i], &bytes))
      return poa_fail(error, POA_BAD_INPUT, "the shape is too large");
  if (end - a->data == bytes)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT, "the shape asks for %lld bytes of data, the file has %lld",
                  (long long)bytes, (long long)(end - a->data));
}

/* Where the header's text begins and ends. */
static poa_status find_header(const uint8_t *bytes, size_t size, size_t *start, size_t *length,
                              poa_error *error) {
  int version = size > MAGIC ? bytes[MAGIC] : 0;
  *start = version == 1 ? 10 : 12;
  *length = 0;
  if (version < 1 || version > 3)
    return poa_fail(error, POA_BAD_INPUT, "expected version 1, 2 or 3 of the format, found %d",
                    version);
  if (size < *start)
    return poa_fail(error, POA_BAD_INPUT, "the header is cut short");
  *length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
  if (version > 1)
    *length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (*length > size - *start)
    return poa_fail(error, POA_BAD_INPUT, "the header is cut short");
  if (*length > MAX_HEADER)
    return poa_fail(error, POA_BAD_INPUT, "the header is %zu bytes long, expected at most %d",
                    *length, MAX_HEADER);
  return POA_OK;
}

static poa_status read_header(const char *header, array *a, poa_error *error) {
  const char *order = find_value(header, "'fortran_order'");
  poa_status status = read_kind(find_value(header, "'descr'"), a, error);
  if (status == POA_OK && (!order || strncmp(order, "False", 5) != 0))
    status = poa_fail(error, POA_BAD_INPUT,
                      "expected rows first (C order): save numpy.ascontiguousarray of it");
  return status ? status : read_shape(find_value(header, "'shape'"), a, error);
}

static poa_status read_array(const uint8_t *bytes, size_t size, array *a, poa_error *error) {
  *a = (array){0};
  size_t start, length;
  poa_status status = find_header(bytes, size, &start, &length, error);
  if (status)
    return status;
  char *header = strndup((const char *)bytes + start, length);
  if (!header)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  status = read_header(header, a, error);
  free(header);
  a->data = bytes + start + length;
  return status ? status : check_size(a, bytes + size, error);
}

/* Shapes of images */

static bool is_channels(int64_t extent) {
  return extent == 1 || extent == 3;
}

/* Numbers of the axes: images, channels, rows, columns; -1: there is none. */
typedef struct axes {
  int n, c, h, w;
} axes;

static bool find_axes(const array *a, axes *x) {
  const int64_t *d = a->dim;
  if (a->rank == 4 && is_channels(d[1]))
    *x = (axes){0, 1, 2, 3};
  else if (a->rank == 4 && is_channels(d[3]))
    *x = (axes){0, 3, 1, 2};
  else if (a->rank == 3 && d[0] == 3)
    *x = (axes){-1, 0, 1, 2};
  else if (a->rank == 3 && is_channels(d[2]))
    *x = (axes){-1, 2, 0, 1};
  else if (a->rank == 3)
    *x = (axes){0, -1, 1, 2};
  else if (a->rank == 2)
    *x = (axes){-1, -1, 0, 1};
  else
    return false;
  return true;
}

static double value_at(const array *a, int64_t i) {
  float single;
  double real;
  switch (a->kind) {
  case 'u':
    return a->data[i];
  case 'f':
    memcpy(&single, a->data + 4 * i, sizeof single);
    return single;
  default:
    memcpy(&real, a->data + 8 * i, sizeof real);
    return real;
  }
}

/* Elements from one index of `axis` to the next; 0 where there is no such axis. */
static int64_t stride_of(const array *a, int axis) {
  int64_t stride = axis >= 0;
  for (int i = axis + 1; axis >= 0 && i < a->rank; i++)
    stride *= a->dim[i];
  return stride;
}

/* `count` elements of the array from `from` on, to the images' from `to` on. */
static void copy_row(const array *a, int64_t from, int64_t stride, int64_t count,
                     poa_loaded_images *images, int64_t to) {
  for (int64_t i = 0; i < count; i++, from += stride)
    if (images->values)
      images->values[to + i] = (float)value_at(a, from);
    else
      images->pixels[to + i] = a->data[from];
}

static void copy_images(const array *a, const axes *x, poa_loaded_images *images) {
  int64_t by_image = stride_of(a, x->n), by_channel = stride_of(a, x->c);
  int64_t by_row = stride_of(a, x->h), by_column = stride_of(a, x->w), to = 0;
  for (int64_t n = 0; n < images->count; n++)
    for (int c = 0; c < images->channels; c++)
      for (int row = 0; row < images->height; row++, to += images->width)
        copy_row(a, n * by_image + c * by_channel + row * by_row, by_column, images->width, images,
                 to);
}

poa_status poa_npy_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                          poa_error *error) {
  array a;
  axes x;
  poa_status status = read_array(bytes, size, &a, error);
  if (status)
    return status;
  if (!find_axes(&a, &x))
    return poa_fail(error, POA_BAD_INPUT,
                    "the shape is none of images: expected [n,c,h,w], [n,h,w,c], [n,h,w] or [h,w], "
                    "with 1 or 3 channels");
  poa_loaded_images extents = {.count = x.n >= 0 ? a.dim[x.n] : 1,
                               .channels = x.c >= 0 ? (int)a.dim[x.c] : 1,
                               .height = (int)a.dim[x.h],
                               .width = (int)a.dim[x.w]};
  status = poa_images_allocate(images, extents, a.kind != 'u', error);
  if (status == POA_OK)
    copy_images(&a, &x, images);
  return status;
}

/* Writing */

size_t poa_npy_header(char header[HEADER], int64_t rows, int64_t columns) {
  int used =
      snprintf(header, HEADER,
               "%c%s%c%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
               '\x93', "NUMPY", 1, 0, HEADER - 10, 0, (long long)rows, (long long)columns);
  memset(header + used, ' ', (size_t)(HEADER - used));
  header[HEADER - 1] = '\n';
  return HEADER;
}

poa_status poa_npy_write(const char *path, const float *values, int64_t rows, int64_t columns,
                         poa_error *error) {
  char header[HEADER];
  poa_atomic_file *file;
  poa_status status = poa_atomic_file_open(&file, path, error);
  if (status == POA_OK)
    status = poa_atomic_file_write(&file, header, poa_npy_header(header, rows, columns), error);
  if (status == POA_OK)
    status = poa_atomic_file_write(&file, values, (size_t)(rows * columns) * sizeof *values, error);
  return status ? status : poa_atomic_file_commit(&file, error);
}
