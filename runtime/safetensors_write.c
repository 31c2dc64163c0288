/* safetensors_write.c: tensors and metadata to a file, whole or not at all.
 *
 * Tensors go by falling element size, then by name, so each is aligned and the bytes
 * do not depend on the order of the caller's list. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/atomic_file.h"
#include "runtime/file_order.h"
#include "runtime/safetensors.h"

enum { LENGTH_BYTES = 8, HEADER_ALIGNMENT = 8 };

typedef struct file_content {
  int tensor_count, metadata_count;
  const poa_file_tensor **tensors; /* in the file's order */
  const poa_metadata **metadata;   /* sorted by key */
} file_content;

static int64_t data_bytes(const poa_file_tensor *tensor) {
  return poa_plan_elements(tensor->shape) * poa_tensor_dtype_bytes(tensor->dtype);
}

static int compare_tensor_names(const void *a, const void *b) {
  return strcmp((*(const poa_file_tensor *const *)a)->name,
                (*(const poa_file_tensor *const *)b)->name);
}

static int compare_tensors(const void *a, const void *b) {
  int64_t x = poa_tensor_dtype_bytes((*(const poa_file_tensor *const *)a)->dtype);
  int64_t y = poa_tensor_dtype_bytes((*(const poa_file_tensor *const *)b)->dtype);
  return x != y ? (x < y) - (x > y) : compare_tensor_names(a, b);
}

static int compare_keys(const void *a, const void *b) {
  return strcmp((*(const poa_metadata *const *)a)->key, (*(const poa_metadata *const *)b)->key);
}

static poa_status sort_content(file_content *content, const char *path, poa_error *error) {
  size_t tensors = (size_t)content->tensor_count, metadata = (size_t)content->metadata_count;
  qsort(content->tensors, tensors, sizeof *content->tensors, compare_tensor_names);
  for (size_t i = 1; i < tensors; i++)
    if (compare_tensor_names(&content->tensors[i - 1], &content->tensors[i]) == 0)
      return poa_fail(error, POA_BAD_INPUT, "cannot write '%s': two tensors are called '%.200s'",
                      path, content->tensors[i]->name);
  qsort(content->metadata, metadata, sizeof *content->metadata, compare_keys);
  for (size_t i = 1; i < metadata; i++)
    if (compare_keys(&content->metadata[i - 1], &content->metadata[i]) == 0)
      return poa_fail(error, POA_BAD_INPUT, "cannot write '%s': two values for metadata '%.200s'",
                      path, content->metadata[i]->key);
  qsort(content->tensors, tensors, sizeof *content->tensors, compare_tensors);
  return POA_OK;
}

static bool add_integer(json_t *array, int64_t value) {
  return json_array_append_new(array, json_integer(value)) == 0;
}

/* Each step of building fails only for want of memory (or for a name that is not UTF-8); one flag
 * gathers them all. */
static bool add_tensor(json_t *header, const poa_file_tensor *tensor, int64_t begin) {
  json_t *entry = json_object(), *shape = json_array(), *offsets = json_array();
  const char *dtype = poa_tensor_dtype_name(tensor->dtype);
  bool done = json_object_set_new(header, tensor->name, entry) == 0 &&
              json_object_set_new(entry, "dtype", json_string(dtype)) == 0;
  done = json_object_set_new(entry, "shape", shape) == 0 && done;
  done = json_object_set_new(entry, "data_offsets", offsets) == 0 && done;
  for (int axis = 0; done && axis < tensor->shape.rank; axis++)
    done = add_integer(shape, tensor->shape.dim[axis]);
  return done && add_integer(offsets, begin) && add_integer(offsets, begin + data_bytes(tensor));
}

static char *header_text(const file_content *content) {
  json_t *header = json_object(), *metadata = json_object();
  bool done = header && metadata;
  for (int i = 0; done && i < content->metadata_count; i++)
    done = json_object_set_new(metadata, content->metadata[i]->key,
                               json_string(content->metadata[i]->value)) == 0;
  if (done && content->metadata_count > 0)
    done = json_object_set(header, "__metadata__", metadata) == 0;
  int64_t begin = 0;
  for (int i = 0; done && i < content->tensor_count; i++) {
    done = add_tensor(header, content->tensors[i], begin);
    begin += data_bytes(content->tensors[i]);
  }
  char *text = done ? json_dumps(header, JSON_COMPACT) : NULL;
  json_decref(metadata);
  json_decref(header);
  return text;
}

static poa_status write_header(poa_atomic_file **file, const char *text, poa_error *error) {
  static const char spaces[HEADER_ALIGNMENT] = "        ";
  size_t bytes = strlen(text), padding = -bytes % HEADER_ALIGNMENT;
  uint64_t total = bytes + padding;
  unsigned char length[LENGTH_BYTES];
  for (int i = 0; i < LENGTH_BYTES; i++)
    length[i] = (unsigned char)(total >> 8 * i);
  poa_status status = poa_atomic_file_write(file, length, sizeof length, error);
  if (status == POA_OK)
    status = poa_atomic_file_write(file, text, bytes, error);
  return status == POA_OK ? poa_atomic_file_write(file, spaces, padding, error) : status;
}

static poa_status write_tensor(poa_atomic_file **file, const poa_file_tensor *tensor,
                               poa_error *error) {
  float *copy;
  const void *data = poa_values_for_file(&tensor->order, tensor->shape, tensor->data, &copy);
  size_t bytes = (size_t)data_bytes(tensor);
  poa_status status = data || bytes == 0
                          ? poa_atomic_file_write(file, data, bytes, error)
                          : poa_fail(error, POA_NO_MEMORY, "no memory to write '%s'", tensor->name);
  free(copy);
  return status;
}

static poa_status write_content(const char *path, const file_content *content, poa_error *error) {
  char *text = header_text(content);
  if (!text)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the header of '%s'", path);
  poa_atomic_file *file;
  poa_status status = poa_atomic_file_open(&file, path, error);
  if (status == POA_OK)
    status = write_header(&file, text, error);
  free(text);
  for (int i = 0; status == POA_OK && i < content->tensor_count; i++)
    status = write_tensor(&file, content->tensors[i], error);
  return status == POA_OK ? poa_atomic_file_commit(&file, error) : status;
}

poa_status poa_safetensors_write(const char *path, int tensor_count, const poa_file_tensor *tensors,
                                 int metadata_count, const poa_metadata *metadata,
                                 poa_error *error) {
  file_content content = {.tensor_count = tensor_count, .metadata_count = metadata_count};
  content.tensors = calloc((size_t)tensor_count + 1, sizeof *content.tensors);
  content.metadata = calloc((size_t)metadata_count + 1, sizeof *content.metadata);
  poa_status status = POA_NO_MEMORY;
  if (content.tensors && content.metadata) {
    for (int i = 0; i < tensor_count; i++)
      content.tensors[i] = &tensors[i];
    for (int i = 0; i < metadata_count; i++)
      content.metadata[i] = &metadata[i];
    status = sort_content(&content, path, error);
    if (status == POA_OK)
      status = write_content(path, &content, error);
  } else {
    poa_fail(error, status, "out of memory while writing '%s'", path);
  }
  free(content.tensors);
  free(content.metadata);
  return status;
}
