/* safetensors.c: opening and checking a file; what a tensor of it is called. */
#include "runtime/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t max_header_bytes = 100 * 1000 * 1000; /* as the reference reader has it */
static const int64_t max_exact_integer = INT64_C(1) << 53;  /* what any reader of JSON can hold */
enum { LENGTH_BYTES = 8 };

typedef struct opened_file {
  poa_safetensors content; /* first, so that the public pointer is ours */
  char *path;
  unsigned char *map;
  uint64_t map_bytes, header_bytes;
  json_t *header;
  poa_file_tensor *tensors;
  const poa_file_tensor **by_name;
  poa_metadata *metadata;
} opened_file;

static const struct {
  const char *name;
  int64_t bytes;
} dtypes[] = {
    [POA_TENSOR_F32] = {"F32", 4},   [POA_TENSOR_F64] = {"F64", 8},   [POA_TENSOR_F16] = {"F16", 2},
    [POA_TENSOR_BF16] = {"BF16", 2}, [POA_TENSOR_I64] = {"I64", 8},   [POA_TENSOR_I32] = {"I32", 4},
    [POA_TENSOR_U8] = {"U8", 1},     [POA_TENSOR_BOOL] = {"BOOL", 1},
};

const char *poa_tensor_dtype_name(poa_tensor_dtype dtype) {
  return dtypes[dtype].name;
}

int64_t poa_tensor_dtype_bytes(poa_tensor_dtype dtype) {
  return dtypes[dtype].bytes;
}

__attribute__((format(printf, 3, 4))) static poa_status
refuse(const opened_file *file, poa_error *error, const char *format, ...) {
  char reason[1200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  return poa_fail(error, POA_BAD_INPUT, "'%s': %s", file->path, reason);
}

/* The bytes */

static poa_status map_file(opened_file *file, poa_error *error) {
  int descriptor = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    int code = errno;
    if (descriptor >= 0)
      close(descriptor);
    return poa_fail(error, POA_IO, "cannot open '%s': %s", file->path, strerror(code));
  }
  if (!S_ISREG(status.st_mode) || status.st_size < LENGTH_BYTES) {
    close(descriptor);
    return refuse(file, error, "not a safetensors file: expected a plain file of at least 8 bytes");
  }
  file->map_bytes = (uint64_t)status.st_size;
  void *map = mmap(NULL, file->map_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  int code = errno;
  close(descriptor);
  if (map == MAP_FAILED)
    return poa_fail(error, POA_IO, "cannot read '%s': %s", file->path, strerror(code));
  file->map = map;
  return POA_OK;
}

static poa_status parse_header(opened_file *file, poa_error *error) {
  for (int i = LENGTH_BYTES - 1; i >= 0; i--)
    file->header_bytes = file->header_bytes << 8 | file->map[i];
  uint64_t most = file->map_bytes - LENGTH_BYTES;
  if (file->header_bytes > max_header_bytes || file->header_bytes > most)
    return refuse(file, error,
                  "not a safetensors file, or a truncated one: its first 8 bytes "
                  "announce a header of %llu bytes, but %s",
                  (unsigned long long)file->header_bytes,
                  file->header_bytes > most ? "the file ends before" : "100 MB is the limit");
  size_t bytes = (size_t)file->header_bytes;
  const unsigned char *text = file->map + LENGTH_BYTES;
  if (bytes == 0 || text[0] != '{')
    return refuse(file, error,
                  "not a safetensors file: the header must be a JSON object and "
                  "start with '{'");
  json_error_t problem;
  size_t flags = JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK;
  file->header = json_loadb((const char *)text, bytes, flags, &problem);
  if (!file->header)
    return refuse(file, error, "the header is not JSON in UTF-8: %s, near byte %d", problem.text,
                  problem.position);
  size_t end = (size_t)problem.position;
  while (end < bytes && strchr(" \t\r\n", text[end]) && text[end])
    end++;
  if (end != bytes)
    return refuse(file, error, "the header goes on after its JSON object, at byte %zu", end);
  return POA_OK;
}

/* The entries of the header */

/* An integer in 0..2^53, or -1. */
static int64_t exact_integer(const json_t *item) {
  json_int_t value = json_is_integer(item) ? json_integer_value(item) : -1;
  return value <= max_exact_integer ? value : -1;
}

static poa_status read_dtype(const opened_file *file, poa_file_tensor *tensor, const json_t *item,
                             poa_error *error) {
  const char *name = json_is_string(item) ? json_string_value(item) : "";
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (strcmp(name, dtypes[i].name) == 0) {
      tensor->dtype = (poa_tensor_dtype)i;
      return POA_OK;
    }
  return refuse(file, error,
                "tensor '%.200s': dtype '%.40s' is unknown; expected F32, F64, F16, "
                "BF16, I64, I32, U8 or BOOL",
                tensor->name, name);
}

static poa_status read_shape(const opened_file *file, poa_file_tensor *tensor, const json_t *item,
                             poa_error *error) {
  int rank = json_is_array(item) && json_array_size(item) <= POA_PLAN_MAX_RANK
                 ? (int)json_array_size(item)
                 : -1;
  if (rank < 0)
    return refuse(file, error, "tensor '%.200s': shape must be a list of at most %d extents",
                  tensor->name, POA_PLAN_MAX_RANK);
  for (int axis = 0; axis < rank; axis++) {
    int64_t value = exact_integer(json_array_get(item, (size_t)axis));
    if (value < 0)
      return refuse(file, error,
                    "tensor '%.200s': extent %d of its shape must be an integer not "
                    "below 0",
                    tensor->name, axis);
    tensor->shape.dim[tensor->shape.rank++] = value;
  }
  return POA_OK;
}

/* The bytes that the shape stands for, or -1 beyond 2^63. */
static int64_t shape_bytes(const poa_file_tensor *tensor) {
  int64_t bytes = dtypes[tensor->dtype].bytes;
  bool overflow = false;
  for (int axis = 0; axis < tensor->shape.rank; axis++)
    overflow |= __builtin_mul_overflow(bytes, tensor->shape.dim[axis], &bytes);
  return overflow ? -1 : bytes;
}

static poa_status read_offsets(const opened_file *file, poa_file_tensor *tensor, const json_t *item,
                               poa_error *error) {
  uint64_t available = file->map_bytes - LENGTH_BYTES - file->header_bytes;
  bool pair = json_is_array(item) && json_array_size(item) == 2;
  int64_t begin = pair ? exact_integer(json_array_get(item, 0)) : -1;
  int64_t end = pair ? exact_integer(json_array_get(item, 1)) : -1;
  if (begin < 0 || end < begin)
    return refuse(file, error,
                  "tensor '%.200s': data_offsets must be two integers, "
                  "0 <= begin <= end",
                  tensor->name);
  if ((uint64_t)end > available)
    return refuse(file, error,
                  "tensor '%.200s': its data ends at byte %lld, but the file has %llu "
                  "bytes of data; it is truncated",
                  tensor->name, (long long)end, (unsigned long long)available);
  int64_t expected = shape_bytes(tensor);
  if (end - begin != expected)
    return refuse(file, error,
                  "tensor '%.200s': data_offsets span %lld bytes, but its shape and "
                  "dtype %s need %lld%s",
                  tensor->name, (long long)(end - begin), dtypes[tensor->dtype].name,
                  (long long)expected, expected < 0 ? " (more than 2^63)" : "");
  tensor->data = file->map + LENGTH_BYTES + file->header_bytes + begin;
  return POA_OK;
}

static poa_status read_tensor(opened_file *file, const char *name, const json_t *entry,
                              poa_error *error) {
  poa_file_tensor *tensor = &file->tensors[file->content.tensor_count++];
  tensor->name = name;
  const json_t *dtype = json_object_get(entry, "dtype"), *shape = json_object_get(entry, "shape");
  const json_t *offsets = json_object_get(entry, "data_offsets");
  if (json_object_size(entry) != 3 || !dtype || !shape || !offsets)
    return refuse(file, error,
                  "tensor '%.200s': expected exactly the fields dtype, shape and "
                  "data_offsets",
                  tensor->name);
  poa_status status = read_dtype(file, tensor, dtype, error);
  if (status == POA_OK)
    status = read_shape(file, tensor, shape, error);
  return status == POA_OK ? read_offsets(file, tensor, offsets, error) : status;
}

static int compare_metadata(const void *a, const void *b) {
  return strcmp(((const poa_metadata *)a)->key, ((const poa_metadata *)b)->key);
}

static poa_status read_metadata(opened_file *file, json_t *entry, poa_error *error) {
  size_t count = json_object_size(entry);
  file->metadata = calloc(count + 1, sizeof *file->metadata);
  if (!file->metadata)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the metadata of '%s'", file->path);
  const char *key;
  const json_t *item;
  bool strings = json_is_object(entry);
  json_object_foreach(entry, key, item) {
    strings = strings && json_is_string(item);
    if (!strings)
      break;
    file->metadata[file->content.metadata_count++] =
        (poa_metadata){.key = key, .value = json_string_value(item)};
  }
  if (!strings)
    return refuse(file, error, "__metadata__ must be an object whose values are all strings");
  qsort(file->metadata, count, sizeof *file->metadata, compare_metadata);
  return POA_OK;
}

static poa_status read_entries(opened_file *file, poa_error *error) {
  size_t count = json_object_size(file->header) + 1;
  file->tensors = calloc(count, sizeof *file->tensors);
  file->by_name = calloc(count, sizeof *file->by_name);
  if (!file->tensors || !file->by_name)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the header of '%s'", file->path);
  const char *name;
  json_t *entry;
  json_object_foreach(file->header, name, entry) {
    poa_status status = strcmp(name, "__metadata__") == 0 ? read_metadata(file, entry, error)
                                                          : read_tensor(file, name, entry, error);
    if (status != POA_OK)
      return status;
  }
  return POA_OK;
}

/* All tensors together */

static int compare_data(const void *a, const void *b) {
  const uintptr_t x = (uintptr_t)((const poa_file_tensor *)a)->data;
  const uintptr_t y = (uintptr_t)((const poa_file_tensor *)b)->data;
  int64_t bytes_x = shape_bytes(a), bytes_y = shape_bytes(b);
  /* an empty tensor lies before the one that starts at the same byte */
  return x != y ? (x > y) - (x < y) : (bytes_x > bytes_y) - (bytes_x < bytes_y);
}

/* The data of all tensors must follow each other from the first byte to the last. */
static poa_status check_coverage(const opened_file *file, poa_error *error) {
  const unsigned char *expected = file->map + LENGTH_BYTES + file->header_bytes;
  const unsigned char *end = file->map + file->map_bytes;
  for (int i = 0; i < file->content.tensor_count; i++) {
    const poa_file_tensor *tensor = &file->tensors[i];
    const unsigned char *data = tensor->data;
    if (data < expected)
      return refuse(file, error, "the data of tensor '%.200s' overlaps that of '%.200s'",
                    tensor->name, file->tensors[i - 1].name);
    if (data > expected)
      return refuse(file, error, "there is a gap of %lld bytes before the data of tensor '%.200s'",
                    (long long)(data - expected), tensor->name);
    expected = data + shape_bytes(tensor);
  }
  if (expected != end)
    return refuse(file, error, "%lld bytes follow the data of the last tensor",
                  (long long)(end - expected));
  return POA_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcmp((*(const poa_file_tensor *const *)a)->name,
                (*(const poa_file_tensor *const *)b)->name);
}

/* Puts the tensors in the order of their data, and by name. (That names differ the parser saw to.)
 */
static void index_names(opened_file *file) {
  int count = file->content.tensor_count;
  qsort(file->tensors, (size_t)count, sizeof *file->tensors, compare_data);
  for (int i = 0; i < count; i++)
    file->by_name[i] = &file->tensors[i];
  qsort(file->by_name, (size_t)count, sizeof *file->by_name, compare_names);
}

static poa_status read_file(opened_file *file, poa_error *error) {
  poa_status status = map_file(file, error);
  if (status == POA_OK)
    status = parse_header(file, error);
  if (status == POA_OK)
    status = read_entries(file, error);
  if (status != POA_OK)
    return status;
  index_names(file);
  return check_coverage(file, error);
}

poa_status poa_safetensors_open(poa_safetensors **file, const char *path, poa_error *error) {
  *file = NULL;
  opened_file *made = calloc(1, sizeof *made);
  char *copy = strdup(path);
  if (!made || !copy) {
    free(made);
    free(copy);
    return poa_fail(error, POA_NO_MEMORY, "out of memory while opening '%s'", path);
  }
  made->path = copy;
  poa_status status = read_file(made, error);
  if (status != POA_OK) {
    poa_safetensors_close(&made->content);
    return status;
  }
  made->content.path = made->path;
  made->content.tensors = made->tensors;
  made->content.metadata = made->metadata;
  *file = &made->content;
  return POA_OK;
}

void poa_safetensors_close(poa_safetensors *file) {
  if (!file)
    return;
  opened_file *opened = (opened_file *)file;
  if (opened->map)
    munmap(opened->map, opened->map_bytes);
  json_decref(opened->header);
  free(opened->tensors);
  free(opened->by_name);
  free(opened->metadata);
  free(opened->path);
  free(opened);
}

const poa_file_tensor *poa_safetensors_find(const poa_safetensors *file, const char *name) {
  const opened_file *opened = (const opened_file *)file;
  poa_file_tensor wanted = {.name = name};
  const poa_file_tensor *key = &wanted;
  const poa_file_tensor **found = bsearch(&key, opened->by_name, (size_t)file->tensor_count,
                                          sizeof *opened->by_name, compare_names);
  return found ? *found : NULL;
}

const char *poa_safetensors_metadata(const poa_safetensors *file, const char *key) {
  poa_metadata wanted = {.key = key};
  const poa_metadata *found = file->metadata_count
                                  ? bsearch(&wanted, file->metadata, (size_t)file->metadata_count,
                                            sizeof *file->metadata, compare_metadata)
                                  : NULL;
  return found ? found->value : NULL;
}
