/* image_folder.c: the images under a folder, by file tree walk. */
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image_files.h"
#include "runtime/image_list.h"

typedef struct scan {
  poa_image_list *list;
  const char *folder;
  size_t prefix; /* characters of a path up to what lies within the folder */
  int class_count;
  const char **classes; /* sorted */
  bool flat;            /* some image lies in no sub-folder */
  const char *stray;    /* the first image of another class */
} scan;

static int by_name(const FTSENT **a, const FTSENT **b) {
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *walk(const char *folder) {
  char *const roots[] = {(char *)(uintptr_t)folder, NULL}; /* fts takes no const, changes nothing */
  return fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
}

static bool is_hidden(const FTSENT *entry) {
  return entry->fts_level > 0 && entry->fts_name[0] == '.';
}

static bool is_readable(poa_image_format format) {
  return format == POA_IMAGE_OTHER || poa_codec_knows(format);
}

/* Whether the name ends like that of an image, and of which format. */
static bool ends_like_image(const char *name, poa_image_format *format) {
  static const struct {
    const char *ending;
    poa_image_format format;
  } rows[] = {{".jpg", POA_IMAGE_JPEG},  {".jpeg", POA_IMAGE_JPEG}, {".png", POA_IMAGE_PNG},
              {".webp", POA_IMAGE_WEBP}, {".ppm", POA_IMAGE_OTHER}, {".pgm", POA_IMAGE_OTHER},
              {".pnm", POA_IMAGE_OTHER}};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof rows / sizeof *rows; i++)
    if (strcasecmp(dot, rows[i].ending) == 0) {
      *format = rows[i].format;
      return true;
    }
  return false;
}

/* The sub-folders of `folder`, which are few enough to be looked through. */
static poa_status find_classes(scan *s, const char *folder, poa_error *error) {
  int capacity = 0;
  FTS *tree = walk(folder);
  FTSENT *root = tree ? fts_read(tree) : NULL;
  if (!root) {
    poa_status status =
        poa_fail(error, POA_IO, "%s: cannot read this folder: %s", folder, strerror(errno));
    if (tree)
      fts_close(tree);
    return status;
  }
  for (FTSENT *entry = fts_children(tree, 0); entry; entry = entry->fts_link) {
    if (entry->fts_info != FTS_D || entry->fts_name[0] == '.')
      continue;
    if (s->class_count == capacity) {
      capacity = capacity ? 2 * capacity : 64;
      const char **classes = poa_arena_alloc(s->list->arena, (size_t)capacity * sizeof *classes);
      if (s->class_count)
        memcpy(classes, s->classes, (size_t)s->class_count * sizeof *classes);
      s->classes = classes;
    }
    s->classes[s->class_count++] = poa_arena_text(s->list->arena, entry->fts_name);
  }
  fts_close(tree);
  return POA_OK;
}

/* The place of the first sub-folder in `name` among the classes; -1 if there is none. */
static int32_t class_of(const scan *s, const char *name) {
  size_t length = strcspn(name, "/");
  int low = 0, high = s->class_count;
  while (low < high) {
    int middle = (low + high) / 2, order = strncmp(s->classes[middle], name, length);
    order = order ? order : s->classes[middle][length] != '\0';
    if (order == 0)
      return middle;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}

static poa_status add_file(scan *s, const FTSENT *entry, poa_error *error) {
  poa_image_list *list = s->list;
  poa_image_format format;
  const char *name = entry->fts_path + s->prefix;
  if (!ends_like_image(entry->fts_name, &format))
    return POA_OK;
  if (!is_readable(format)) {
    if (list->foreign++ == 0)
      list->first_foreign = poa_arena_text(list->arena, name);
    return POA_OK;
  }
  bool flat = entry->fts_level <= 1;
  int32_t label = flat ? -1 : class_of(s, name);
  s->flat = s->flat || flat;
  if (!flat && label < 0 && !s->stray)
    s->stray = poa_arena_text(list->arena, name);
  return poa_image_list_add(list, name, strlen(name), label, error);
}

static poa_status add_files(scan *s, FTS *tree, poa_error *error) {
  poa_status status = POA_OK;
  FTSENT *entry;
  while (status == POA_OK && (errno = 0, entry = fts_read(tree))) {
    if (is_hidden(entry)) {
      fts_set(tree, entry, FTS_SKIP);
      continue;
    }
    /* A link to nothing is an image that cannot be read: it will be named. */
    if (entry->fts_info == FTS_F || entry->fts_info == FTS_SLNONE)
      status = add_file(s, entry, error);
    else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
      status = poa_fail(error, POA_IO, "%s: cannot read this folder: %s", entry->fts_path,
                        strerror(entry->fts_errno));
  }
  if (status == POA_OK && errno != 0)
    status = poa_fail(error, POA_IO, "%s: cannot read this folder: %s", s->folder, strerror(errno));
  return status;
}

poa_status poa_image_list_scan(poa_image_list *list, const char *folder, const char *classes,
                               poa_error *error) {
  *list = (poa_image_list){.arena = poa_arena_create()};
  if (!list->arena)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a list of images");
  list->folder = poa_arena_text(list->arena, folder);
  size_t length = strlen(folder);
  scan s = {
      .list = list, .folder = folder, .prefix = length + (length > 0 && folder[length - 1] != '/')};
  poa_status status = find_classes(&s, classes, error);
  FTS *tree = status == POA_OK ? walk(folder) : NULL;
  if (status == POA_OK && !tree)
    status = poa_fail(error, POA_IO, "%s: cannot read this folder: %s", folder, strerror(errno));
  if (status == POA_OK)
    status = add_files(&s, tree, error);
  if (tree)
    fts_close(tree);
  bool labelled = !s.flat && s.class_count >= 2;
  if (status == POA_OK && labelled && s.stray)
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s: holds the class '%.*s', of which there is no folder in %s", folder,
                      (int)strcspn(s.stray, "/"), s.stray, classes);
  if (!labelled) {
    free(list->labels);
    list->labels = NULL;
  }
  return status;
}
