/* image_list.c: a list of images in a text file, and what both kinds of list share. */
#include "runtime/image_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LABEL = 999999 };

poa_status poa_image_list_add(poa_image_list *list, const char *name, size_t length, int32_t label,
                              poa_error *error) {
  if (list->count == list->capacity) {
    int64_t capacity = list->capacity ? 2 * list->capacity : 1024;
    const char **names = realloc(list->names, (size_t)capacity * sizeof *names);
    list->names = names ? names : list->names;
    int32_t *labels = realloc(list->labels, (size_t)capacity * sizeof *labels);
    list->labels = labels ? labels : list->labels;
    if (!names || !labels)
      return poa_fail(error, POA_NO_MEMORY, "no memory for the names of %lld images",
                      (long long)capacity);
    list->capacity = capacity;
  }
  if (list->count == INT32_MAX)
    return poa_fail(error, POA_BAD_INPUT, "more than %d images", INT32_MAX);
  list->names[list->count] = poa_arena_span(list->arena, name, length);
  list->labels[list->count++] = label;
  return POA_OK;
}

void poa_image_list_free(poa_image_list *list) {
  free(list->names);
  free(list->labels);
  poa_arena_free(list->arena);
  *list = (poa_image_list){0};
}

/* Whether the text is an integer, perhaps with a sign. */
static bool is_integer(const char *text) {
  text += *text == '-' || *text == '+';
  return *text && !text[strspn(text, "0123456789")];
}

/* Sets *label to that of the line, which is cut off, or to -1. */
static poa_status take_label(char *line, int32_t *label, poa_error *error) {
  char *tab = strrchr(line, '\t'), *at = tab ? tab : strrchr(line, ' ');
  *label = -1;
  if (!at || (!tab && !is_integer(at + 1))) /* a blank within a name */
    return POA_OK;
  long value = is_integer(at + 1) ? strtol(at + 1, NULL, 10) : -1;
  if (value < 0 || value > MAX_LABEL)
    return poa_fail(error, POA_BAD_INPUT, "expected a label of 0 to %d, found '%s'", MAX_LABEL,
                    at + 1);
  *label = (int32_t)value;
  while (at > line && (at[-1] == ' ' || at[-1] == '\t'))
    at--;
  *at = '\0';
  return POA_OK;
}

static poa_status add_line(poa_image_list *list, char *line, size_t length, poa_error *error) {
  int32_t label;
  if (strlen(line) != length)
    return poa_fail(error, POA_BAD_INPUT, "a byte of 0; this is no list of images");
  while (length > 0 && strchr(" \t\r\n", line[length - 1]))
    line[--length] = '\0';
  if (length == 0 || *line == '#')
    return POA_OK;
  poa_status status = take_label(line, &label, error);
  if (status == POA_OK && list->count && (list->labels[0] < 0) != (label < 0))
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s has a label and %s has none; either all have one or none",
                      label < 0 ? list->names[0] : line, label < 0 ? line : list->names[0]);
  return status ? status : poa_image_list_add(list, line, strlen(line), label, error);
}

static poa_status read_lines(poa_image_list *list, FILE *file, const char *path, poa_error *error) {
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  poa_status status = POA_OK;
  for (int64_t number = 1; status == POA_OK && (length = getline(&line, &capacity, file)) >= 0;
       number++) {
    status = add_line(list, line, (size_t)length, error);
    if (status)
      poa_context(error, "%s:%lld", path, (long long)number);
  }
  if (status == POA_OK && ferror(file))
    status = poa_fail(error, POA_IO, "%s: cannot read: %s", path, strerror(errno));
  free(line);
  return status;
}

poa_status poa_image_list_read(poa_image_list *list, const char *path, poa_error *error) {
  *list = (poa_image_list){.arena = poa_arena_create()};
  if (!list->arena)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a list of images");
  const char *slash = strrchr(path, '/');
  list->folder =
      slash ? poa_arena_span(list->arena, path, (size_t)(slash - path) + 1) : "."; /* "/" stays */
  FILE *file = fopen(path, "re");
  if (!file)
    return poa_fail(error, POA_IO, "%s: cannot open: %s", path, strerror(errno));
  poa_status status = read_lines(list, file, path, error);
  fclose(file);
  if (status == POA_OK && list->count == 0)
    status =
        poa_fail(error, POA_BAD_INPUT, "%s: names no images: expected a path in each line", path);
  if (status == POA_OK && list->labels[0] < 0) {
    free(list->labels);
    list->labels = NULL;
  }
  return status;
}
